/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Frames into the message layer: the first byte says how they are cut. Messages are valid
 * UTF-8 and bounded, and nothing follows a close frame. */
#include <stdlib.h>

#include "utf8.h"
#include "ws_layer.h"

struct run {
	struct ws_layer layer;
	bool closed;
};

static void on_text(void *arg, const char *text, size_t len)
{
	struct run *r = arg;

	if (r->layer.close_sent || len > WS_MESSAGE_MAX ||
	    !utf8_valid((const uint8_t *)text, len) || text[len])
		abort();
	if (len && text[0] == 'c')
		ws_layer_close(&r->layer, 4000, text);
	else if (len && text[0] == 'e' && ws_layer_text(&r->layer, text, len))
		abort();
}

static int on_write(void *arg, const void *data, size_t len)
{
	struct run *r = arg;

	(void)data;
	if (len && r->layer.close_sent)
		abort();
	return 0;
}

static const struct ws_layer_ops ops = { .on_text = on_text, .write = on_write };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { 0 };
	size_t step, n;

	if (!size || ws_layer_init(&r.layer, &ops, &r))
		return 0;
	step = data[0] ? data[0] : 4096;
	for (data++, size--; size; data += n, size -= n) {
		n = size < step ? size : step;
		if (!ws_layer_feed(&r.layer, data, n)) {
			if (!r.layer.code || !r.layer.close_sent)
				abort();
			break;
		}
	}
	ws_layer_fini(&r.layer);
	return 0;
}
