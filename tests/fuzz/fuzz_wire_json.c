/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any text: reads or says why; what was read is written and read again as the same. */
#include <palabre/wire.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[SDP_TEXT_MAX] = "", *text;
	json_t *j = json_read((const char *)data, size, err), *again;

	if (!j) {
		if (!err[0])
			abort();
		return 0;
	}
	json_get_text(j, "type", 32);
	json_get_int(j, "n", -5, 5, 0);
	json_get_bool(j, "b", true);
	text = json_write(j);
	if (!text)
		abort();
	/* Written numbers may be longer than they were read: the size limit may strike.
	 */
	if (strlen(text) <= JSON_BYTES_MAX) {
		again = json_read(text, strlen(text), err);
		if (!again || !json_equal(j, again))
			abort();
		json_decref(again);
	}
	free(text);
	json_decref(j);
	return 0;
}
