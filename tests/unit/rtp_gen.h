/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Makes sources' packets for tests, as bytes, and parses them as a leg would. The last
 * four bytes of a payload say which source and packet it is, so that a test can tell what
 * came out.
 */
#ifndef TEST_RTP_GEN_H
#define TEST_RTP_GEN_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <palabre/rtp.h>

enum { GEN_DD_ID = 5, GEN_OUT_DD_ID = 11, GEN_PT = 96 };

struct gen {
	enum codec_id codec;
	unsigned pid_bits; /* VP8, VP9 */
	bool flexible;	   /* VP9 */
	bool dd;
	unsigned templates; /* of its structure */
	uint8_t dd_base;
	uint16_t seq;
	uint32_t ts;
	uint16_t pid, dd_frame;
	uint8_t tl0;
	uint32_t frame; /* number */
	uint16_t id;
	uint16_t count; /* packets */
	bool up;	/* VP8: Y, VP9: U */
	struct dd_layers layers;
};

static inline void put_bits(uint8_t *buf, unsigned *bit, unsigned n, unsigned v)
{
	while (n--) {
		if (v >> n & 1)
			buf[*bit / 8] |= (uint8_t)(0x80 >> *bit % 8);
		(*bit)++;
	}
}

static inline uint8_t gen_dd(const struct gen *g, uint8_t *dd, bool start, bool end,
			     bool key, unsigned tid)
{
	unsigned bit = 0;

	memset(dd, 0, 64);
	put_bits(dd, &bit, 1, start);
	put_bits(dd, &bit, 1, end);
	put_bits(dd, &bit, 6, (g->dd_base + (key ? 0 : 1 + tid)) & 63);
	put_bits(dd, &bit, 16, g->dd_frame);
	if (!(key && start))
		return 3;
	put_bits(dd, &bit, 5, 0x10); /* structure only */
	put_bits(dd, &bit, 6, g->dd_base);
	put_bits(dd, &bit, 5, 0); /* one decode target */
	for (unsigned i = 0; i < g->templates; i++)
		put_bits(dd, &bit, 2,
			 i + 1 == g->templates ? 3
			 : i == 0	       ? 0
			 : i < 3	       ? 1
					       : 0);
	for (unsigned i = 0; i < g->templates; i++)
		put_bits(dd, &bit, 2, 2);    /* dtis: switch */
	put_bits(dd, &bit, g->templates, 0); /* no fdiffs */
	put_bits(dd, &bit, 1, 0);	     /* chains: ns(2) = 0 */
	put_bits(dd, &bit, 1, 0);	     /* no resolutions */
	return (uint8_t)((bit + 7) / 8);
}

static inline size_t gen_descriptor(const struct gen *g, uint8_t *b, bool start, bool end,
				    bool key, unsigned tid)
{
	size_t n = 0;
	bool wide = g->pid_bits == 15;

	switch (g->codec) {
	case CODEC_VP8:
		b[n++] = (uint8_t)(0x80 | (start ? 0x10 : 0));
		b[n++] = (uint8_t)((g->pid_bits ? 0x80 : 0) | 0x40 | 0x20);
		if (wide)
			b[n++] = (uint8_t)(0x80 | g->pid >> 8);
		if (g->pid_bits)
			b[n++] = (uint8_t)(wide ? g->pid : g->pid & 0x7f);
		b[n++] = g->tl0;
		b[n++] = (uint8_t)(tid << 6 | (g->up ? 0x20 : 0));
		b[n++] = key && start ? 0x10 : 0x11;
		b[n++] = 0;
		b[n++] = 0;
		if (key && start) {
			static const uint8_t head[] = { 0x9d, 0x01, 0x2a, 0x40,
							0x01, 0xf0, 0x00 };

			memcpy(b + n, head, sizeof head);
			n += sizeof head;
		}
		break;
	case CODEC_VP9:
		b[n++] = (uint8_t)((g->pid_bits ? 0x80 : 0) | (key ? 0 : 0x40) | 0x20 |
				   (g->flexible ? 0x10 : 0) | (start ? 8 : 0) |
				   (end ? 4 : 0));
		if (wide)
			b[n++] = (uint8_t)(0x80 | g->pid >> 8);
		if (g->pid_bits)
			b[n++] = (uint8_t)(wide ? g->pid : g->pid & 0x7f);
		b[n++] = (uint8_t)(tid << 5 | (g->up ? 0x10 : 0));
		if (g->flexible && !key)
			b[n++] = 1 << 1;
		else if (!g->flexible)
			b[n++] = g->tl0;
		break;
	case CODEC_AV1:
		b[n++] = (uint8_t)((start ? 0 : 0x80) | (end ? 0 : 0x40) | 0x10 |
				   (key && start ? 8 : 0));
		b[n++] = 0x32;
		break;
	default:
		b[n++] = 0x78; /* Opus, 20 ms, one frame */
	}
	return n;
}

/* One packet; the caller sets arrival_us. */
static inline struct pkt *gen_packet(struct pkt_pool *pool, struct gen *g, bool start,
				     bool end, bool key, unsigned tid)
{
	struct ext_map map = { .of_id = { [GEN_DD_ID] = EXT_DD } };
	struct rtp_header h = {
		.pt = GEN_PT, .seq = g->seq, .ts = g->ts, .ssrc = 1000u + g->id
	};
	struct pkt *p = pkt_take(pool);
	uint8_t dd[64];
	size_t n;
	int len, err;

	assert(p);
	h.marker = end && g->codec != CODEC_OPUS;
	if (g->dd) {
		h.ext_count = 1;
		h.ext[0].id = GEN_DD_ID;
		h.ext[0].len = gen_dd(g, dd, start, end, key, tid);
		h.ext[0].data = dd;
	}
	len = rtp_build_header(&h, p->data, pkt_room(p));
	assert(len > 0);
	n = (size_t)len + gen_descriptor(g, p->data + len, start, end, key, tid);
	for (unsigned i = 0; i < 20; i++)
		p->data[n++] = (uint8_t)i;
	put_be16(p->data + n, g->id);
	put_be16(p->data + n + 2, g->count++);
	p->len = (uint16_t)(n + 4);
	err = rtp_parse(p->data, p->len, &map, &p->rtp);
	assert(!err);
	p->rtp.codec = (uint8_t)g->codec;
	err = frame_parse(g->codec, p->data + p->rtp.payload_off, p->rtp.payload_len,
			  p->rtp.marker, &p->rtp.frame);
	assert(!err);
	if (p->rtp.ext[EXT_DD].off)
		err = dd_parse(p->data + p->rtp.ext[EXT_DD].off, p->rtp.ext[EXT_DD].len,
			       &p->rtp.frame);
	assert(!err);
	if (p->rtp.frame.dd_structure)
		err = dd_layers_parse(p->data + p->rtp.ext[EXT_DD].off,
				      p->rtp.ext[EXT_DD].len, &g->layers);
	assert(!err);
	if (p->rtp.frame.has_dd)
		dd_layers_put(&g->layers, p->data + p->rtp.ext[EXT_DD].off,
			      p->rtp.ext[EXT_DD].len, &p->rtp.frame);
	(void)err;
	g->seq++;
	return p;
}

/* After a frame: on to the next. */
static inline void gen_next(struct gen *g, uint32_t ticks, bool next_is_base)
{
	g->ts += ticks;
	g->frame++;
	g->pid = (uint16_t)((g->pid + 1) & (g->pid_bits == 7 ? 0x7f : 0x7fff));
	g->dd_frame++;
	if (next_is_base)
		g->tl0++;
}

#endif
