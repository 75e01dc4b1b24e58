/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An input that is a row of records: what happens, one after another. */
#ifndef TESTS_FUZZ_RECORD_H
#define TESTS_FUZZ_RECORD_H

#include <palabre/wire.h>

/* A head byte (its meaning is the target's), a length of 16 bits and so many bytes; fewer
 * where the input ends. */
struct record {
	uint8_t head;
	const uint8_t *body;
	size_t len;
};

/* False: no whole head is left. */
static inline bool record_next(struct rd *r, struct record *out)
{
	if (rd_left(r) < 3)
		return false;
	out->head = rd_u8(r);
	out->len = rd_be16(r);
	if (out->len > rd_left(r))
		out->len = rd_left(r);
	out->body = rd_bytes(r, out->len);
	return true;
}

#endif
