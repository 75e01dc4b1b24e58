/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Building RTCP. Invariant: each builder knows its packet's length before it writes the
 * header, and writes exactly that much; if it cannot, the writer is bad for good.
 */
#include <palabre/wire.h>

#include <string.h>

enum { SDES_CNAME = 1, SDES_TEXT_MAX = 255 };

/* `bytes` counts all of the packet, a multiple of four. */
static void put_head(struct wr *w, uint8_t type, unsigned count, size_t bytes,
		     uint32_t ssrc)
{
	if (bytes > (size_t)(w->end - w->p))
		w->bad = true; /* nothing at all rather than a part */
	wr_u8(w, (uint8_t)(0x80 | count));
	wr_u8(w, type);
	wr_be16(w, (uint16_t)(bytes / 4 - 1));
	wr_be32(w, ssrc);
}

static uint32_t lost_to_wire(int32_t lost) /* RFC 3550 §6.4.1: saturates */
{
	if (lost > 0x7fffff)
		lost = 0x7fffff;
	if (lost < -0x800000)
		lost = -0x800000;
	return (uint32_t)lost & 0xffffff;
}

static void put_blocks(struct wr *w, const struct rtcp_block *blocks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		wr_be32(w, blocks[i].ssrc);
		wr_u8(w, blocks[i].fraction_lost);
		wr_be24(w, lost_to_wire(blocks[i].lost));
		wr_be32(w, blocks[i].highest_seq);
		wr_be32(w, blocks[i].jitter);
		wr_be32(w, blocks[i].lsr);
		wr_be32(w, blocks[i].dlsr);
	}
}

void rtcp_put_sr(struct wr *w, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts,
		 uint32_t packets, uint32_t bytes, const struct rtcp_block *blocks,
		 unsigned count)
{
	if (count > RTCP_BLOCKS_MAX) {
		w->bad = true;
		return;
	}
	put_head(w, RTCP_SR, count, 28 + 24 * (size_t)count, ssrc);
	wr_be32(w, (uint32_t)(ntp >> 32));
	wr_be32(w, (uint32_t)ntp);
	wr_be32(w, rtp_ts);
	wr_be32(w, packets);
	wr_be32(w, bytes);
	put_blocks(w, blocks, count);
}

void rtcp_put_rr(struct wr *w, uint32_t ssrc, const struct rtcp_block *blocks,
		 unsigned count)
{
	if (count > RTCP_BLOCKS_MAX) {
		w->bad = true;
		return;
	}
	put_head(w, RTCP_RR, count, 8 + 24 * (size_t)count, ssrc);
	put_blocks(w, blocks, count);
}

void rtcp_put_sdes_cname(struct wr *w, uint32_t ssrc, const char *cname)
{
	size_t text = strnlen(cname, SDES_TEXT_MAX + 1);
	size_t item = 2 + text;
	size_t bytes = 8 + (item + 4) / 4 * 4; /* one to four zeros end the chunk */

	if (text > SDES_TEXT_MAX) {
		w->bad = true;
		return;
	}
	put_head(w, RTCP_SDES, 1, bytes, ssrc);
	wr_u8(w, SDES_CNAME);
	wr_u8(w, (uint8_t)text);
	wr_bytes(w, cname, text);
	for (size_t i = 8 + item; i < bytes; i++)
		wr_u8(w, 0);
}

void rtcp_put_bye(struct wr *w, uint32_t ssrc)
{
	put_head(w, RTCP_BYE, 1, 8, ssrc);
}

/* How many of `seqs` (at least one) fit in one PID+BLP pair, and the BLP. */
static unsigned nack_pack(const uint16_t *seqs, unsigned count, uint16_t *blp)
{
	unsigned n = 1;

	*blp = 0;
	for (; n < count; n++) {
		unsigned distance = (uint16_t)(seqs[n] - seqs[0]);

		if (distance > 16)
			break;
		if (distance) /* 0: the same one twice */
			*blp = (uint16_t)(*blp | 1u << (distance - 1));
	}
	return n;
}

void rtcp_put_nack(struct wr *w, uint32_t ssrc, uint32_t media_ssrc, const uint16_t *seqs,
		   unsigned count)
{
	size_t pairs = 0;
	uint16_t blp;

	for (unsigned i = 0; i < count; i += nack_pack(seqs + i, count - i, &blp))
		pairs++;
	if (pairs == 0) /* an empty NACK is not a packet */
		return;
	if (pairs > UINT16_MAX - 2) {
		w->bad = true;
		return;
	}
	put_head(w, RTCP_RTPFB, RTPFB_NACK, 12 + 4 * pairs, ssrc);
	wr_be32(w, media_ssrc);
	for (unsigned i = 0; i < count;) {
		unsigned n = nack_pack(seqs + i, count - i, &blp);

		wr_be16(w, seqs[i]);
		wr_be16(w, blp);
		i += n;
	}
}

void rtcp_put_pli(struct wr *w, uint32_t ssrc, uint32_t media_ssrc)
{
	put_head(w, RTCP_PSFB, PSFB_PLI, 12, ssrc);
	wr_be32(w, media_ssrc);
}

/* RFC 5104 §4.3.1.2: the media source of the header is 0, the entry names the sender. */
void rtcp_put_fir(struct wr *w, uint32_t ssrc, uint32_t media_ssrc, uint8_t seq)
{
	put_head(w, RTCP_PSFB, PSFB_FIR, 20, ssrc);
	wr_be32(w, 0);
	wr_be32(w, media_ssrc);
	wr_u8(w, seq);
	wr_be24(w, 0);
}

void rtcp_put_dlrr(struct wr *w, uint32_t ssrc, uint32_t reporter, uint32_t mid_ntp,
		   uint32_t delay)
{
	put_head(w, RTCP_XR, 0, 24, ssrc);
	wr_u8(w, XR_DLRR);
	wr_u8(w, 0);
	wr_be16(w, 3);
	wr_be32(w, reporter);
	wr_be32(w, mid_ntp);
	wr_be32(w, delay);
}
