/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Compressed bodies: the first byte says the coding and the bound, the rest is the body.
 * What comes out is within the bound, or nothing comes out; and a good one is the same
 * with no byte to spare. */
#include "http_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t bounds[] = { 16, 1000, 8192, HTTP_BODY_MAX };
	enum http_coding coding;
	uint8_t *out = NULL, *again = NULL;
	size_t max, len = 0, again_len = 0;
	int err;

	if (!size)
		return 0;
	coding = data[0] & 1 ? HTTP_DEFLATE : HTTP_GZIP;
	max = bounds[data[0] >> 1 & 3];
	err = http_inflate(coding, data + 1, size - 1, max, &out, &len);
	if (err) {
		if (out || (err != -EBADMSG && err != -ENOBUFS))
			abort();
		return 0;
	}
	if (len > max)
		abort();
	if (http_inflate(coding, data + 1, size - 1, len, &again, &again_len) ||
	    again_len != len || (len && memcmp(out, again, len) != 0))
		abort();
	if (len && http_inflate(coding, data + 1, size - 1, len - 1, &again,
				&again_len) != -ENOBUFS)
		abort();
	free(again);
	free(out);
	return 0;
}
