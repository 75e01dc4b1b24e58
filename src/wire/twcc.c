/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1. A packet
 * says for a run of transport numbers which have arrived (chunks of statuses), and when (a
 * delta of 250 µs for each that has).
 */
#include <palabre/wire.h>

#include <errno.h>

enum {
	HEADER_BYTES = 8,
	RUN_MAX = 0x1fff,
	VECTOR_ONE_BIT = 14,
	VECTOR_TWO_BITS = 7,
	REFERENCE_US = 64000
};
enum status { LOST, SMALL, LARGE, RESERVED };

/* The statuses of one chunk: how many, and what the i-th is. */
static unsigned chunk_len(uint16_t chunk)
{
	if (!(chunk & 0x8000))
		return chunk & RUN_MAX;
	return chunk & 0x4000 ? VECTOR_TWO_BITS : VECTOR_ONE_BIT;
}

static enum status chunk_get(uint16_t chunk, unsigned i)
{
	if (!(chunk & 0x8000))
		return (enum status)(chunk >> 13 & 3);
	if (chunk & 0x4000)
		return (enum status)(chunk >> (12 - 2 * i) & 3);
	return chunk >> (13 - i) & 1 ? SMALL : LOST;
}

int twcc_iter_init(struct twcc_iter *it, const struct rtcp_pkt *p)
{
	unsigned seen = 0;
	struct rd r;

	if (p->type != RTCP_RTPFB || p->count != RTPFB_TWCC)
		return -EBADMSG;
	rd_init(&r, p->body, p->body_len);
	it->seq = rd_be16(&r);
	it->left = rd_be16(&r);
	it->at_us = (int64_t)((int32_t)(rd_be24(&r) << 8) >> 8) * REFERENCE_US;
	it->number = rd_u8(&r);
	it->chunks = r;
	if (!it->left || it->left > TWCC_STATUS_MAX)
		return -EBADMSG;
	while (seen < it->left && !r.bad) {
		unsigned len = chunk_len(rd_be16(&r));

		if (!len)
			return -EBADMSG;
		seen += len;
	}
	it->deltas = r;
	it->chunk = 0;
	it->in_chunk = it->chunk_len = 0;
	return r.bad ? -EBADMSG : 0;
}

bool twcc_next(struct twcc_iter *it, struct twcc_status *out)
{
	enum status status;

	if (!it->left)
		return false;
	if (it->in_chunk == it->chunk_len) {
		it->chunk = rd_be16(&it->chunks);
		it->chunk_len = (uint16_t)chunk_len(it->chunk);
		it->in_chunk = 0;
	}
	status = chunk_get(it->chunk, it->in_chunk++);
	out->seq = it->seq++;
	out->received = status == SMALL || status == LARGE;
	if (status == SMALL)
		it->at_us += rd_u8(&it->deltas) * TWCC_DELTA_US;
	else if (status == LARGE)
		it->at_us += (int16_t)rd_be16(&it->deltas) * TWCC_DELTA_US;
	if (it->deltas.bad || status == RESERVED) {
		it->left = 0; /* it says more than it holds: what came before stands */
		return false;
	}
	out->arrival_us = it->at_us;
	it->left--;
	return true;
}
