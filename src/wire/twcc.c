/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1. A packet
 * says for a run of transport numbers which have arrived (chunks of statuses), and when (a
 * delta of 250 µs for each that has). Read and built.
 */
#include <palabre/wire.h>

#include <errno.h>

enum {
	HEADER_BYTES = 8,
	RUN_MAX = 0x1fff,
	VECTOR_ONE_BIT = 14,
	VECTOR_TWO_BITS = 7,
	REFERENCE_US = 64000,
	REFERENCE_TICKS = REFERENCE_US / TWCC_DELTA_US,
	SMALL_MAX = 0xff,
	RTCP_HEAD_BYTES = 12
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

/* ---- building ---------------------------------------------------------------------- */

/* What goes into one packet: statuses, and of those that have arrived the ticks of 250 µs since
 * the one before. */
struct draft {
	unsigned count;
	int64_t reference; /* in ticks */
	uint8_t status[TWCC_PUT_MAX];
	int16_t delta[TWCC_PUT_MAX];
	unsigned chunk_count;
	uint16_t chunks[TWCC_PUT_MAX / VECTOR_TWO_BITS + 2];
};

static int64_t ticks_of(int64_t us) /* rounded down, also below 0 */
{
	return us / TWCC_DELTA_US - (us % TWCC_DELTA_US < 0);
}

static bool took(const struct draft *d, unsigned i)
{
	return d->status[i] != LOST;
}

/* Up to the last that has arrived, or that is too long before or after its neighbour to be said. */
static void draft_fill(struct draft *d, const int64_t *at_us, unsigned count)
{
	int64_t before = 0;
	bool any = false;

	d->count = 0;
	for (unsigned i = 0; i < count && i < TWCC_PUT_MAX; i++) {
		int64_t at, step;

		d->status[i] = LOST;
		d->delta[i] = 0;
		if (at_us[i] == TWCC_LOST)
			continue;
		at = ticks_of(at_us[i]);
		if (!any) {
			before = at - (at % REFERENCE_TICKS + REFERENCE_TICKS) %
					      REFERENCE_TICKS;
			d->reference = before;
			any = true;
		}
		step = at - before;
		if (step < INT16_MIN || step > INT16_MAX)
			return;
		d->status[i] = step >= 0 && step <= SMALL_MAX ? SMALL : LARGE;
		d->delta[i] = (int16_t)step;
		before = at;
		d->count = i + 1;
	}
}

/* How many of the same status stand from `i` on. */
static unsigned run_len(const struct draft *d, unsigned i)
{
	unsigned n = 1;

	while (i + n < d->count && n < RUN_MAX && d->status[i + n] == d->status[i])
		n++;
	return n;
}

/* How many a vector from `i` on says, one bit each or two. */
static unsigned vector_len(const struct draft *d, unsigned i, bool *two)
{
	unsigned left = d->count - i;
	unsigned len = left < VECTOR_ONE_BIT ? left : VECTOR_ONE_BIT;

	*two = false;
	for (unsigned k = 0; k < len; k++)
		*two |= d->status[i + k] == LARGE;
	if (*two && len > VECTOR_TWO_BITS)
		len = VECTOR_TWO_BITS;
	return len;
}

/* The chunk from `i` on that says most; how many it says. */
static unsigned chunk_make(const struct draft *d, unsigned i, uint16_t *chunk)
{
	unsigned run = run_len(d, i), len;
	bool two;

	len = vector_len(d, i, &two);
	if (run >= len) {
		*chunk = (uint16_t)((unsigned)d->status[i] << 13 | run);
		return run;
	}
	*chunk = two ? 0xc000 : 0x8000;
	for (unsigned k = 0; k < len; k++)
		*chunk = (uint16_t)(*chunk | (two ? d->status[i + k] << (12 - 2 * k)
						  : took(d, i + k) << (13 - k)));
	return len;
}

/* What of the chunk i..i + n fits into so many bytes: how many statuses; *bytes is how long that is. */
static unsigned chunk_fit(const struct draft *d, unsigned i, unsigned n, size_t room,
			  size_t *bytes)
{
	unsigned fits;

	*bytes = 2;
	for (fits = 0; fits < n; fits++) {
		size_t delta = d->status[i + fits]; /* SMALL 1, LARGE 2 */

		if (*bytes + delta > room)
			break;
		*bytes += delta;
	}
	return room < 2 ? 0 : fits;
}

/* Makes the chunks, of as many statuses as fit; the length of it all without padding. */
static size_t draft_chunks(struct draft *d, size_t room)
{
	size_t bytes = RTCP_HEAD_BYTES + HEADER_BYTES, more = 0;
	unsigned i = 0, n, fits;
	uint16_t chunk;

	room = room / 4 * 4;
	d->chunk_count = 0;
	while (i < d->count) {
		n = chunk_make(d, i, &chunk);
		fits = room < bytes ? 0 : chunk_fit(d, i, n, room - bytes, &more);
		if (fits < n) {
			d->count = i + fits;
			if (!fits)
				break;
			(void)chunk_make(d, i, &chunk); /* of these alone */
		}
		d->chunks[d->chunk_count++] = chunk;
		bytes += more;
		i += fits;
	}
	return bytes;
}

unsigned rtcp_put_twcc(struct wr *w, const struct rtcp_twcc *head, const int64_t *at_us,
		       unsigned count)
{
	struct draft d;
	size_t bytes;

	draft_fill(&d, at_us, count);
	bytes = draft_chunks(&d, w->bad ? 0 : (size_t)(w->end - w->p));
	if (!d.count)
		return 0;
	wr_u8(w, 0x80 | RTPFB_TWCC);
	wr_u8(w, RTCP_RTPFB);
	wr_be16(w, (uint16_t)((bytes + 3) / 4 - 1));
	wr_be32(w, head->ssrc);
	wr_be32(w, head->media_ssrc);
	wr_be16(w, head->base);
	wr_be16(w, (uint16_t)d.count);
	wr_be24(w, (uint32_t)(d.reference / REFERENCE_TICKS) & 0xffffff);
	wr_u8(w, head->number);
	for (unsigned i = 0; i < d.chunk_count; i++)
		wr_be16(w, d.chunks[i]);
	for (unsigned i = 0; i < d.count; i++) {
		if (d.status[i] == SMALL)
			wr_u8(w, (uint8_t)d.delta[i]);
		else if (d.status[i] == LARGE)
			wr_be16(w, (uint16_t)d.delta[i]);
	}
	for (; bytes % 4; bytes++) /* without the padding flag: others may follow */
		wr_u8(w, 0);
	return d.count;
}
