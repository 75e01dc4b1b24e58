/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading RTCP compounds. Invariant: rtcp_iter_init() has walked the whole compound with
 * the very function that rtcp_next() uses, so a compound is either handed out to its end
 * or not at all, and what the getters touch is inside.
 */
#include <palabre/wire.h>

#include <errno.h>

enum {
	RTCP_SENDER_BYTES = 20, /* SR: NTP, RTP time, packets, bytes */
	RTCP_BLOCK_BYTES = 24,
	RTCP_FIR_BYTES = 8,
	RTCP_REMB_ID = 0x52454d42 /* "REMB" */
};

/* SR and RR: after the blocks profile-specific extensions may follow (RFC 3550 §6.4.3).
 */
static int rtcp_read_report(struct rd *r, struct rtcp_pkt *p)
{
	if (p->type == RTCP_SR) {
		p->sr.ntp = (uint64_t)rd_be32(r) << 32;
		p->sr.ntp |= rd_be32(r);
		p->sr.rtp_ts = rd_be32(r);
		p->sr.packets = rd_be32(r);
		p->sr.bytes = rd_be32(r);
	}
	p->blocks = p->count;
	return !r->bad && rd_left(r) >= p->count * (size_t)RTCP_BLOCK_BYTES ? 0
									    : -EBADMSG;
}

/* What stands between the four bytes of header and the padding. */
static int rtcp_read_body(struct rd *r, struct rtcp_pkt *p)
{
	struct rd peek = *r;

	p->ssrc = rd_be32(&peek);
	switch (p->type) {
	case RTCP_SDES: /* chunks, each with its own SSRC: the first one's is shown */
		if (p->count && peek.bad)
			return -EBADMSG;
		break;
	case RTCP_BYE: /* may name nobody */
		if (rd_left(r) < p->count * 4u)
			return -EBADMSG;
		if (p->count)
			*r = peek;
		else
			p->ssrc = 0;
		break;
	case RTCP_SR:
	case RTCP_RR:
	case RTCP_APP:
	case RTCP_XR:
	case RTCP_RTPFB:
	case RTCP_PSFB:
		*r = peek;
		break;
	default: /* unknown: the SSRC is a guess */
		if (!peek.bad)
			*r = peek;
	}
	if (p->type == RTCP_RTPFB || p->type == RTCP_PSFB)
		p->media_ssrc = rd_be32(r);
	p->body = r->p;
	p->body_len = rd_left(r);
	if (p->type == RTCP_APP)
		rd_be32(r); /* its name */
	if (p->type == RTCP_SR || p->type == RTCP_RR)
		return rtcp_read_report(r, p);
	return r->bad ? -EBADMSG : 0;
}

static int rtcp_read_pkt(struct rd *rd, struct rtcp_pkt *p)
{
	struct rd body;

	*p = (struct rtcp_pkt) { 0 };
	uint8_t first = rd_u8(rd);

	p->type = rd_u8(rd);
	p->count = first & 31;
	size_t len = 4u * rd_be16(rd);
	const uint8_t *data = rd_bytes(rd, len);

	if (!data || first >> 6 != 2)
		return -EBADMSG;
	if (first & 0x20) {
		/* RFC 3550 §6.4.1 wants a multiple of four, in the last packet only. Browsers pad
		 * transport-wide feedback by one to three bytes, and may send several at once. */
		uint8_t padding = len ? data[len - 1] : 0;

		if (padding == 0 || padding > len)
			return -EBADMSG;
		len -= padding;
	}
	rd_init(&body, data, len);
	return rtcp_read_body(&body, p);
}

int rtcp_iter_init(struct rtcp_iter *it, const uint8_t *data, size_t len)
{
	struct rtcp_pkt p;
	struct rd rd;
	unsigned seen = 0;

	rd_init(&rd, data, len);
	do {
		if (seen++ == RTCP_PACKETS_MAX)
			return -ENOBUFS;
		int err = rtcp_read_pkt(&rd, &p);

		if (err)
			return err;
	} while (rd_left(&rd));
	rd_init(&it->rd, data, len);
	it->seen = 0;
	return 0;
}

bool rtcp_next(struct rtcp_iter *it, struct rtcp_pkt *out)
{
	struct rtcp_pkt p;

	if (!rd_left(&it->rd) || rtcp_read_pkt(&it->rd, &p))
		return false;
	it->seen++;
	*out = p;
	return true;
}

void rtcp_block_get(const struct rtcp_pkt *p, unsigned i, struct rtcp_block *out)
{
	struct rd r;

	*out = (struct rtcp_block) { 0 };
	if (i >= p->blocks)
		return;
	rd_init(&r, p->body, p->body_len);
	rd_bytes(&r, p->type == RTCP_SR ? RTCP_SENDER_BYTES : 0);
	rd_bytes(&r, (size_t)i * RTCP_BLOCK_BYTES);
	out->ssrc = rd_be32(&r);
	out->fraction_lost = rd_u8(&r);
	uint32_t lost = rd_be24(&r);

	out->lost = (int32_t)(lost ^ 0x800000) - 0x800000;
	out->highest_seq = rd_be32(&r);
	out->jitter = rd_be32(&r);
	out->lsr = rd_be32(&r);
	out->dlsr = rd_be32(&r);
}

unsigned rtcp_nack_get(const struct rtcp_pkt *p, uint16_t *seqs, unsigned max)
{
	unsigned n = 0;
	struct rd r;

	if (p->type != RTCP_RTPFB || p->count != RTPFB_NACK)
		return 0;
	rd_init(&r, p->body, p->body_len);
	while (rd_left(&r) >= 4 && n < max) {
		uint16_t pid = rd_be16(&r);
		uint32_t bits = (uint32_t)rd_be16(&r) << 1 | 1; /* bit i: pid + i */

		for (; bits && n < max; bits >>= 1, pid++)
			if (bits & 1)
				seqs[n++] = pid;
	}
	return n;
}

bool rtcp_fir_get(const struct rtcp_pkt *p, unsigned i, uint32_t *ssrc, uint8_t *seq)
{
	struct rd r;

	if (p->type != RTCP_PSFB || p->count != PSFB_FIR)
		return false;
	rd_init(&r, p->body, p->body_len);
	rd_bytes(&r, (size_t)i * RTCP_FIR_BYTES);
	const uint8_t *entry = rd_bytes(&r, RTCP_FIR_BYTES);

	if (!entry)
		return false;
	*ssrc = get_be32(entry);
	*seq = entry[4];
	return true;
}

bool rtcp_remb_get(const struct rtcp_pkt *p, uint64_t *bps)
{
	struct rd r;

	if (p->type != RTCP_PSFB || p->count != PSFB_AFB)
		return false;
	rd_init(&r, p->body, p->body_len);
	uint32_t id = rd_be32(&r);
	uint8_t ssrcs = rd_u8(&r);
	uint32_t rate = rd_be24(&r); /* exponent 6 bits, mantissa 18 */

	if (r.bad || id != RTCP_REMB_ID || rd_left(&r) < 4u * ssrcs)
		return false;
	uint64_t mantissa = rate & 0x3ffff;
	unsigned shift = rate >> 18;

	if (mantissa << shift >> shift != mantissa)
		return false; /* more than 64 bits */
	*bps = mantissa << shift;
	return true;
}

bool rtcp_rrtr_get(const struct rtcp_pkt *p, uint32_t *mid_ntp)
{
	struct rd r;

	if (p->type != RTCP_XR)
		return false;
	rd_init(&r, p->body, p->body_len);
	while (rd_left(&r)) {
		uint8_t block = rd_u8(&r);

		rd_u8(&r);
		size_t len = 4u * rd_be16(&r);
		const uint8_t *data = rd_bytes(&r, len);

		if (!data)
			return false;
		if (block != XR_RRTR)
			continue;
		if (len != 8)
			return false;
		*mid_ntp = get_be32(data + 2);
		return true;
	}
	return false;
}
