/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A stream of frames, whole and cut by the first byte: both ways the same frames. */
#include <stdlib.h>
#include <string.h>

#include "framed_parse.h"

struct seen {
	unsigned count;
	uint64_t sum;
};

static bool on_frame(void *arg, const uint8_t *frame, size_t len)
{
	struct seen *s = arg;
	size_t i;

	if (!len || len > FRAMED_KEEP_MAX)
		abort();
	s->count++;
	for (i = 0; i < len; i++)
		s->sum = s->sum * 31 + frame[i];
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct framed_parse whole, cut;
	struct seen a = { 0 }, b = { 0 };
	size_t step, at, n;
	int err, cut_err = 0;

	if (!size)
		return 0;
	memset(&whole, 0, sizeof whole);
	memset(&cut, 0, sizeof cut);
	step = data[0] ? data[0] : 1;
	data++;
	size--;
	err = framed_parse(&whole, data, size, on_frame, &a);
	for (at = 0; at < size && !cut_err; at += n) {
		n = size - at < step ? size - at : step;
		cut_err = framed_parse(&cut, data + at, n, on_frame, &b);
	}
	if (err != cut_err || a.count != b.count || a.sum != b.sum)
		abort();
	return 0;
}
