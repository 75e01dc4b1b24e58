/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A slot seen from the receiver: bytes out are parsed again and must be one gapless
 * stream, whoever was in it, with loss, late packets and reordering before and after.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <errno.h>
#include <cmocka.h>

#include "unit/rtp_gen.h"

enum { POOL = 4096 };

static struct pkt_pool *pool;

static int setup(void **state)
{
	(void)state;
	pool = pkt_pool_create(POOL);
	return pool ? 0 : -1;
}

static int teardown(void **state)
{
	bool all = pkt_pool_free_count(pool) == POOL;

	(void)state;
	pkt_pool_destroy(pool);
	return all ? 0 : -1;
}

struct parsed {
	struct rtp_view v;
	uint8_t bytes[PKT_BUF_BYTES];
	size_t len;
};

static void parse_out(struct parsed *o, enum codec_id codec)
{
	struct ext_map map = { .of_id = { [GEN_OUT_DD_ID] = EXT_DD } };

	assert_int_equal(rtp_parse(o->bytes, o->len, &map, &o->v), 0);
	if (!o->v.payload_len)
		return;
	assert_int_equal(frame_parse(codec, o->bytes + o->v.payload_off, o->v.payload_len,
				     o->v.marker, &o->v.frame),
			 0);
	if (o->v.ext[EXT_DD].off)
		assert_int_equal(dd_parse(o->bytes + o->v.ext[EXT_DD].off,
					  o->v.ext[EXT_DD].len, &o->v.frame),
				 0);
}

static void write_out(const struct rtp_slot *s, const struct pkt *p,
		      const struct rtp_out *out, struct parsed *o)
{
	size_t header;
	int n = rtp_slot_write(s, p, out, o->bytes, sizeof o->bytes, &header);
	uint8_t again[PKT_BUF_BYTES];

	assert_true(n > 0);
	o->len = (size_t)n;
	assert_int_equal(rtp_slot_write(s, p, out, again, sizeof again, &header), n);
	assert_memory_equal(again, o->bytes, o->len);
	parse_out(o, p->rtp.codec);
	assert_int_equal(header, o->v.payload_off);
	assert_int_equal(o->v.seq, (uint16_t)out->seq64);
	assert_int_equal(o->v.ts, (uint32_t)out->ts64);
}

static struct pkt *opus(struct gen *g, struct rtp_recv *r, uint64_t at)
{
	struct pkt *p = gen_packet(pool, g, true, true, false, 0);

	p->arrival_us = at;
	assert_int_equal(rtp_recv_packet(r, p, false), RECV_NEW);
	gen_next(g, 960, false);
	return p;
}

static void test_audio_switch(void **state)
{
	struct gen a = { .codec = CODEC_OPUS, .seq = 65530, .ts = 0xffffff00, .id = 1 };
	struct gen b = { .codec = CODEC_OPUS, .seq = 7, .ts = 12345, .id = 2 };
	struct rtp_recv ra, rb;
	struct rtp_slot s;
	struct rtp_out out = { 0 };
	struct parsed o;
	struct pkt *p;
	uint64_t seq, ts, t = 1000000;

	(void)state;
	rtp_recv_init(&ra, 1, 48000, true, true);
	rtp_recv_init(&rb, 2, 48000, true, true);
	rtp_slot_init(&s, 0xabcd, 0, 48000, true);
	assert_in_range(s.highest, 1, 65535);
	p = opus(&a, &ra, t);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), -EPROTO);
	seq = s.highest;
	ts = s.ts64;
	rtp_slot_switch(&s, 1, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	assert_int_equal(out.seq64, seq + 1);
	assert_int_equal(out.ts64, ts);
	write_out(&s, p, &out, &o);
	assert_int_equal(o.v.ssrc, 0xabcd);
	assert_int_equal(o.v.pt, 111);
	assert_int_equal(o.v.payload_len, p->rtp.payload_len);
	assert_memory_equal(o.bytes + o.v.payload_off, p->data + p->rtp.payload_off,
			    o.v.payload_len);
	pkt_unref(p);
	for (unsigned i = 1; i < 20; i++) {
		p = opus(&a, &ra, t += 20000);
		assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
		assert_int_equal(out.seq64, seq + 1 + i);
		assert_int_equal(out.ts64, ts + i * 960);
		pkt_unref(p);
	}
	/* a late packet takes its old place and turns no clock back */
	seq = s.highest;
	ts = s.ts64;
	p = opus(&a, &ra, t);
	a.seq--;
	a.ts -= 960;
	ra.highest--;
	p->rtp.seq64 -= 3;
	p->rtp.ts64 -= 3 * 960;
	p->arrival_us = t + 5000;
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	assert_int_equal(out.seq64, seq - 2);
	assert_int_equal(s.highest, seq);
	assert_int_equal(s.ts64, ts);
	assert_int_equal(s.sent_us, t);
	pkt_unref(p);
	/* close behind, late or in a burst: exactly one packet on */
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned gap_us[] = { 0, 20000, 199999 };
		struct gen *g = i % 2 ? &a : &b;

		seq = s.highest;
		ts = s.ts64;
		p = opus(g, i % 2 ? &ra : &rb, t += gap_us[i]);
		rtp_slot_switch(&s, g->id, 111, 0, 0, p);
		assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
		assert_int_equal(out.seq64, seq + 1);
		assert_int_equal(out.ts64, ts + 960);
		pkt_unref(p);
	}
	/* after a pause the time that passed */
	ts = s.ts64;
	p = opus(&a, &ra, t += 1500000);
	rtp_slot_switch(&s, 1, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	assert_int_equal(out.ts64, ts + 72000);
	assert_int_equal(s.packets, 25);
	/* a packet of before the segment's first has no place in it; `again` changes
	 * nothing */
	p->rtp.seq64--;
	assert_int_equal(rtp_slot_map(&s, p, &out, false), -EPROTO);
	p->rtp.seq64 += 6;
	assert_int_equal(rtp_slot_map(&s, p, &out, true), 0);
	assert_int_equal(s.packets, 25);
	p->rtp.seq64 += RECV_JUMP;
	assert_int_equal(rtp_slot_map(&s, p, &out, false), -EPROTO);
	pkt_unref(p);
}

static void test_silence(void **state)
{
	struct gen a = { .codec = CODEC_OPUS, .seq = 1, .id = 1 };
	const struct rtp_segment *seg;
	struct rtp_recv ra;
	struct rtp_slot s;
	struct rtp_out out;
	struct parsed o;
	struct pkt *p;
	uint64_t index, in, seq, ts, t = 1000000;
	size_t header;
	int n;

	(void)state;
	rtp_recv_init(&ra, 1, 48000, true, true);
	rtp_slot_init(&s, 5, 0, 48000, true);
	assert_int_equal(
		rtp_slot_write_silence(&s, t, o.bytes, sizeof o.bytes, &header, &index),
		-EPROTO);
	p = opus(&a, &ra, t);
	rtp_slot_switch(&s, 1, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	pkt_unref(p);
	seq = s.highest;
	ts = s.ts64;
	assert_int_equal(rtp_slot_write_silence(&s, t, o.bytes, 14, &header, &index),
			 -ENOBUFS);
	assert_int_equal(s.highest, seq);
	for (unsigned i = 1; i <= 3; i++) {
		n = rtp_slot_write_silence(&s, t += 20000, o.bytes, sizeof o.bytes,
					   &header, &index);
		assert_int_equal(n, 12 + (int)sizeof opus_silence);
		o.len = (size_t)n;
		parse_out(&o, CODEC_OPUS);
		assert_int_equal(index, seq + i);
		assert_int_equal(o.v.seq, (uint16_t)(seq + i));
		assert_int_equal(o.v.ts, (uint32_t)(ts + i * 960));
		assert_int_equal(o.v.pt, 111);
	}
	assert_int_equal(s.segment_count, 2);
	/* server-made packets are not kept; the one before is */
	assert_int_equal(rtp_slot_find(&s, (uint16_t)(seq + 2), t, &seg, &in), -ENOENT);
	assert_int_equal(rtp_slot_find(&s, (uint16_t)(seq + 4), t, &seg, &in), -ENOENT);
	assert_int_equal(rtp_slot_find(&s, (uint16_t)seq, t, &seg, &in), 0);
	assert_int_equal(in, 65537);
	assert_int_equal(rtp_slot_find(&s, (uint16_t)(seq - 1), t, &seg, &in), -ENOENT);
	/* the source's packets don't map while silence is in */
	p = opus(&a, &ra, t += 20000);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), -EPROTO);
	rtp_slot_switch(&s, 1, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	assert_int_equal(out.seq64, seq + 4);
	assert_int_equal(out.ts64, ts + 4 * 960);
	pkt_unref(p);
	/* G.711 and video have no such silence */
	s.segments[(s.segment_count - 1) % SLOT_SEGMENTS].codec = CODEC_PCMU;
	assert_int_equal(
		rtp_slot_write_silence(&s, t, o.bytes, sizeof o.bytes, &header, &index),
		-EPROTO);
}

static void test_padding_and_rtx(void **state)
{
	struct gen g = { .codec = CODEC_VP8, .pid_bits = 15, .seq = 65535, .id = 3 };
	struct rtp_recv r;
	struct rtp_slot s;
	struct rtp_out out;
	struct parsed o;
	struct pkt *p, *pad;
	uint64_t index, rtx_seq;
	size_t header;
	int n;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	p = gen_packet(pool, &g, true, true, true, 0);
	p->arrival_us = 5;
	assert_int_equal(rtp_recv_packet(&r, p, false), RECV_NEW);
	rtp_slot_switch(&s, 3, 100, 101, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	rtx_seq = s.rtx_seq;
	assert_int_equal(rtp_slot_write_rtx(&s, p, &out, o.bytes, 20, &header, &index),
			 -ENOBUFS);
	assert_int_equal(s.rtx_seq, rtx_seq);
	n = rtp_slot_write_rtx(&s, p, &out, o.bytes, sizeof o.bytes, &header, &index);
	assert_int_equal(n, 16 + 2 + p->rtp.payload_len);
	assert_int_equal(index, rtx_seq);
	assert_int_equal(s.rtx_seq, rtx_seq + 1);
	/* RFC 4588: taking the OSN off gives the original */
	o.len = (size_t)n;
	assert_int_equal(get_be16(o.bytes + header), (uint16_t)out.seq64);
	assert_int_equal(o.bytes[1] & 0x7f, 101);
	assert_int_equal(get_be32(o.bytes + 8), 6);
	memmove(o.bytes + header, o.bytes + header + 2, o.len - header - 2);
	o.bytes[1] = (uint8_t)((o.bytes[1] & 0x80) | 100);
	put_be16(o.bytes + 2, (uint16_t)out.seq64);
	put_be32(o.bytes + 8, 5);
	{
		uint8_t plain[PKT_BUF_BYTES];

		assert_int_equal(
			rtp_slot_write(&s, p, &out, plain, sizeof plain, &header), n - 2);
		assert_memory_equal(plain, o.bytes, (size_t)n - 2);
		/* every short buffer is refused and none overrun */
		for (size_t cap = 0; cap < (size_t)n - 2; cap++) {
			uint8_t *b = malloc(cap ? cap : 1);

			assert_int_equal(rtp_slot_write(&s, p, &out, b, cap, &header),
					 -ENOBUFS);
			free(b);
		}
	}
	/* padding only */
	pad = gen_packet(pool, &g, true, true, false, 0);
	pad->rtp.padding_len = (uint8_t)pad->rtp.payload_len;
	pad->rtp.payload_len = 0;
	memset(&pad->rtp.frame, 0, sizeof pad->rtp.frame);
	assert_int_equal(rtp_recv_packet(&r, pad, false), RECV_NEW);
	assert_int_equal(rtp_slot_map(&s, pad, &out, false), 0);
	n = rtp_slot_write(&s, pad, &out, o.bytes, sizeof o.bytes, &header);
	assert_int_equal(n, 13);
	assert_int_equal(o.bytes[0], 0xa0);
	assert_int_equal(o.bytes[12], 1);
	n = rtp_slot_write_rtx(&s, pad, &out, o.bytes, sizeof o.bytes, &header, &index);
	assert_int_equal(n, 14);
	assert_int_equal(o.bytes[0], 0x80);
	assert_int_equal(get_be16(o.bytes + 12), (uint16_t)out.seq64);
	/* not negotiated */
	s.rtx_ssrc = 0;
	assert_int_equal(
		rtp_slot_write_rtx(&s, p, &out, o.bytes, sizeof o.bytes, &header, &index),
		-EPROTO);
	pkt_unref(p);
	pkt_unref(pad);
}

/* Whose picture it is: key frames say it, resends too, nothing else does. */
static void test_source_named(void **state)
{
	static const bool keys[] = { true, false, false, true, false };
	struct gen g = { .codec = CODEC_VP8, .pid_bits = 15, .seq = 9, .id = 3 };
	struct gen a = { .codec = CODEC_OPUS, .seq = 9, .id = 3 };
	struct rtp_recv r, ra;
	struct rtp_slot s;
	struct rtp_out out;
	struct parsed o;
	struct pkt *p;
	uint64_t index;
	size_t header;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		/* two packets a frame */
		for (unsigned part = 0; part < 2; part++) {
			bool named = part == 0 && keys[i];

			p = gen_packet(pool, &g, part == 0, part == 1, keys[i], 0);
			p->arrival_us = i * 33000;
			assert_int_equal(rtp_recv_packet(&r, p, false), RECV_NEW);
			if (i == 0 && part == 0)
				rtp_slot_switch(&s, 0xc0ffee01, 100, 101, 0, p);
			assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
			write_out(&s, p, &out, &o);
			assert_int_equal(o.bytes[0] & 15, named);
			if (named)
				assert_int_equal(get_be32(o.bytes + 12), 0xc0ffee01);
			assert_true(rtp_slot_write_rtx(&s, p, &out, o.bytes,
						       sizeof o.bytes, &header,
						       &index) > 0);
			assert_int_equal(o.bytes[0] & 15, named);
			pkt_unref(p);
		}
		gen_next(&g, 3000, true);
	}
	rtp_recv_init(&ra, 1, 48000, true, true);
	rtp_slot_init(&s, 7, 0, 48000, true);
	p = opus(&a, &ra, 1);
	rtp_slot_switch(&s, 4, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	write_out(&s, p, &out, &o);
	assert_int_equal(o.bytes[0] & 15, 0);
	pkt_unref(p);
}

static void test_find_limits(void **state)
{
	struct gen g = { .codec = CODEC_OPUS, .seq = 1, .id = 1 };
	const struct rtp_segment *seg;
	uint64_t in, t = 1000000, first;
	struct rtp_recv r;
	struct rtp_slot s;
	struct rtp_out out = { 0 };
	struct pkt *p;
	unsigned ok = 0;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	rtp_slot_init(&s, 5, 6, 48000, true);
	assert_int_equal(rtp_slot_find(&s, (uint16_t)s.highest, t, &seg, &in), -ENOENT);
	/* 10 segments of 3 packets: 8 are kept */
	first = s.highest + 1;
	for (unsigned i = 0; i < 30; i++) {
		p = opus(&g, &r, t);
		if (i % 3 == 0)
			rtp_slot_switch(&s, 1 + i / 3, 111, 0, 0, p);
		assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
		assert_int_equal(out.seq64, first + i);
		pkt_unref(p);
	}
	assert_int_equal(rtp_slot_find(&s, (uint16_t)(first + 5), t, &seg, &in), -ENOENT);
	for (unsigned i = 6; i < 30; i++) {
		assert_int_equal(rtp_slot_find(&s, (uint16_t)(first + i), t, &seg, &in),
				 0);
		assert_int_equal(seg->stream, 1 + i / 3);
		assert_int_equal(in, 65537 + i);
	}
	/* 24 of at least 50, or twice what was sent (60 by now) are used */
	for (unsigned i = 0; i < 100; i++)
		if (rtp_slot_find(&s, (uint16_t)(first + 20), t + 500000, &seg, &in) == 0)
			ok++;
	assert_int_equal(ok + 24, 60);
	assert_int_equal(rtp_slot_find(&s, (uint16_t)(first + 20), t + 999999, &seg, &in),
			 -EAGAIN);
	/* the next second nothing has been sent: 50 */
	ok = 0;
	for (unsigned i = 0; i < 100; i++)
		if (rtp_slot_find(&s, (uint16_t)(first + 20), t + 1000000, &seg, &in) ==
		    0)
			ok++;
	assert_int_equal(ok, 50);
}

static void test_sr(void **state)
{
	struct gen g = { .codec = CODEC_OPUS, .seq = 1, .ts = 500, .id = 1 };
	struct rtp_recv r;
	struct rtp_slot s;
	struct rtp_out out = { 0 };
	struct pkt *p;
	uint64_t ntp;
	uint32_t ts;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	rtp_slot_init(&s, 5, 6, 48000, true);
	p = opus(&g, &r, 2000000);
	rtp_slot_switch(&s, 1, 111, 0, 0, p);
	assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
	rtp_slot_sr(&s, p->rtp.ts64, 1900000, 2000000, 1700000000000000, &ntp, &ts);
	assert_int_equal(ntp, ntp_from_wall_us(1700000000000000));
	assert_int_equal(ts, (uint32_t)(out.ts64 + 4800));
	rtp_slot_sr(&s, p->rtp.ts64, 2100000, 2000000, 1700000000000000, &ntp, &ts);
	assert_int_equal(ts, (uint32_t)(out.ts64 - 4800));
	pkt_unref(p);
}

/* A picture slot walks through codecs and id widths; every counter goes on by one. */
static void test_video_codecs(void **state)
{
	struct gen gens[] = {
		{ .codec = CODEC_VP8,
		  .pid_bits = 15,
		  .pid = 0x7ffe,
		  .tl0 = 254,
		  .id = 1,
		  .seq = 5 },
		{ .codec = CODEC_VP8,
		  .pid_bits = 7,
		  .pid = 126,
		  .tl0 = 3,
		  .id = 2,
		  .seq = 65534 },
		{ .codec = CODEC_VP9, .pid_bits = 15, .pid = 77, .tl0 = 255, .id = 3 },
		{ .codec = CODEC_AV1,
		  .dd = true,
		  .templates = 27,
		  .dd_base = 60,
		  .dd_frame = 65535,
		  .id = 4 },
		{ .codec = CODEC_VP9,
		  .pid_bits = 15,
		  .flexible = true,
		  .pid = 0x7fff,
		  .id = 5 },
		{ .codec = CODEC_AV1,
		  .dd = true,
		  .templates = 5,
		  .dd_base = 0,
		  .dd_frame = 9,
		  .id = 6 },
		{ .codec = CODEC_VP8, .pid_bits = 0, .id = 7 },
	};
	struct rtp_recv r[ARRAY_LEN(gens)];
	struct rtp_slot s;
	struct rtp_out out;
	struct parsed o;
	uint64_t t = 1000000, last_ts = 0;
	int pid = -1, tl0 = -1, dd = -1, template_end = -1;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(gens); i++)
		rtp_recv_init(&r[i], i, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	for (unsigned round = 0; round < 60; round++) {
		unsigned k = round % ARRAY_LEN(gens);
		struct gen *g = &gens[k];

		for (unsigned f = 0; f < 5; f++) {
			for (unsigned n = 0; n < 2; n++) {
				struct pkt *p = gen_packet(pool, g, n == 0, n == 1,
							   f == 0, f % 2);

				p->arrival_us = t;
				assert_int_equal(rtp_recv_packet(&r[k], p, false),
						 RECV_NEW);
				if (f == 0 && n == 0) {
					assert_true(p->rtp.frame.key &&
						    p->rtp.frame.start);
					rtp_slot_switch(&s, k + 1, 100, 101,
							GEN_OUT_DD_ID, p);
				}
				assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
				write_out(&s, p, &out, &o);
				if (n == 0)
					assert_true(out.ts64 > last_ts);
				else
					assert_true(out.ts64 == last_ts);
				last_ts = out.ts64;
				if (g->pid_bits) {
					int mask = g->pid_bits == 15 ? 0x7fff : 0x7f;

					assert_int_equal(o.v.frame.pid_bits, g->pid_bits);
					if (pid >= 0)
						assert_int_equal(o.v.frame.pid,
								 (pid + (n == 0)) & mask);
					/* follow in 15 bits */
					if (n == 0)
						pid = pid < 0 ? o.v.frame.pid : pid + 1;
				}
				if (o.v.frame.tl0_off != 0xffff && !g->flexible) {
					int step = n == 0 && f % 2 == 0;

					if (tl0 >= 0)
						assert_int_equal(o.v.frame.tl0,
								 (tl0 + step) & 255);
					tl0 = o.v.frame.tl0;
				}
				if (g->dd) {
					if (dd >= 0)
						assert_int_equal(o.v.frame.dd_frame,
								 (dd + (n == 0)) &
									 0xffff);
					dd = o.v.frame.dd_frame;
					if (f == 0 && n == 0) {
						if (template_end >= 0)
							assert_int_equal(
								o.v.frame.dd_template,
								template_end);
						template_end = (o.v.frame.dd_template +
								(int)g->templates) &
							       63;
					}
				} else {
					assert_int_equal(o.v.ext[EXT_DD].off, 0);
				}
				pkt_unref(p);
			}
			gen_next(g, 3000, f % 2 == 1 || f == 4);
			/* frames in bursts of three */
			if (f % 3 == 2)
				t += 100000;
		}
	}
	assert_int_equal(s.segment_count, 60);
}

/* ---- the property ------------------------------------------------------------------ */

enum { SOURCES = 4, PER_SOURCE = 9000, OUT_SPAN = 65536, SWITCHES = 150 };

struct event {
	uint64_t at;
	struct pkt *p;
	unsigned src;
	bool repaired;
};

/* What the receiver (and the judge) know of an outgoing number. */
struct got {
	uint8_t *bytes;
	uint16_t len;
	bool delivered;
	uint8_t codec;
	uint16_t src, count;
};

struct truth {
	uint32_t frame;
	uint16_t pid;
	uint16_t dd_frame;
	uint8_t tl0, pid_bits;
	bool lost, start;
};

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->p->rtp.seq - (int)y->p->rtp.seq;
}

struct world {
	struct rtp_slot slot;
	struct rtp_recv recv[SOURCES];
	struct rtp_store store[SOURCES];
	struct got *got;
	uint64_t first;
	struct truth *truth[SOURCES];
	unsigned resent, late;
};

static void deliver(struct world *w, const struct pkt *p, const struct rtp_out *out,
		    bool lost)
{
	struct got *g = &w->got[out->seq64 - w->first];
	struct parsed o;

	assert_true(out->seq64 - w->first < OUT_SPAN);
	write_out(&w->slot, p, out, &o);
	if (g->bytes) {
		/* one number, one content, for ever */
		assert_int_equal(g->len, o.len);
		assert_memory_equal(g->bytes, o.bytes, o.len);
	} else {
		g->bytes = malloc(o.len);
		memcpy(g->bytes, o.bytes, o.len);
		g->len = (uint16_t)o.len;
		g->codec = p->rtp.codec;
		g->src = get_be16(o.bytes + o.len - 4);
		g->count = get_be16(o.bytes + o.len - 2);
	}
	if (!lost)
		g->delivered = true;
}

static void nack_gaps(struct world *w, uint64_t now, uint64_t depth)
{
	uint64_t from =
		w->slot.highest > w->first + depth ? w->slot.highest - depth : w->first;

	for (uint64_t q = from; q < w->slot.highest; q++) {
		const struct rtp_segment *seg;
		struct rtp_out out;
		struct pkt *p;
		uint64_t in;
		int err;

		if (w->got[q - w->first].delivered)
			continue;
		err = rtp_slot_find(&w->slot, (uint16_t)q, now, &seg, &in);
		if (err)
			continue;
		assert_true(in >= seg->first_in);
		p = rtp_store_get(&w->store[seg->stream - 1], in);
		if (!p)
			continue;
		rtp_segment_map(seg, p, &out);
		assert_int_equal(out.seq64, q);
		deliver(w, p, &out, rand() % 20 == 0);
		w->resent++;
	}
}

/* Everything that came, in order of its number. */
static void judge(struct world *w)
{
	const struct truth *last = NULL;
	struct parsed o = { .len = 0 }, before;
	unsigned src = 0, missing = 0, present = 0, borders = 0, count = 0,
		 unexplained = 0;
	uint64_t last_i = 0;
	uint64_t end = w->slot.highest - w->first;
	int vpx_pid = -1, vpx_tl0 = -1, dd = -1, template_end = -1;

	for (uint64_t i = 0; i <= end; i++) {
		const struct got *g = &w->got[i];
		const struct truth *t;

		if (!g->delivered) {
			missing++;
			continue;
		}
		present++;
		before = o;
		o.len = g->len;
		memcpy(o.bytes, g->bytes, g->len);
		memset(&o.v, 0, sizeof o.v);
		parse_out(&o, g->codec);
		t = &w->truth[g->src][g->count];
		if (last) {
			int32_t step = (int32_t)(o.v.ts - before.v.ts);

			assert_true(step >= 0);
			if (src == g->src) {
				/* the same distance as at the source, in everything */
				uint32_t frames = t->frame - last->frame;

				assert_int_equal(step == 0, frames == 0);
				/* gapless: numbers are missing where the source's are,
				 * and nowhere else */
				assert_int_equal(i - last_i,
						 (uint16_t)(g->count - count));
				for (unsigned c = count + 1; c < g->count; c++)
					unexplained += !w->truth[src][c].lost;
			} else {
				borders++;
				assert_true(step > 0);
				assert_true(o.v.frame.start && o.v.frame.key);
			}
		}
		if (t->pid_bits) {
			int mask = t->pid_bits == 15 ? 0x7fff : 0x7f;

			if (last && src == g->src)
				assert_int_equal(
					(o.v.frame.pid - before.v.frame.pid) & mask,
					(t->frame - last->frame) & (uint32_t)mask);
			else if (vpx_pid >= 0)
				assert_int_equal(o.v.frame.pid & 0x7f,
						 (vpx_pid + 1) & 0x7f);
			vpx_pid = o.v.frame.pid;
			if (last && src == g->src)
				assert_int_equal((o.v.frame.tl0 - before.v.frame.tl0) &
							 255,
						 (t->tl0 - last->tl0) & 255);
			else if (vpx_tl0 >= 0)
				assert_int_equal(o.v.frame.tl0, (vpx_tl0 + 1) & 255);
			vpx_tl0 = o.v.frame.tl0;
		} else {
			if (last && src == g->src)
				assert_int_equal(
					(o.v.frame.dd_frame - before.v.frame.dd_frame) &
						0xffff,
					(t->frame - last->frame) & 0xffff);
			else if (dd >= 0)
				assert_int_equal(o.v.frame.dd_frame, (dd + 1) & 0xffff);
			dd = o.v.frame.dd_frame;
			if (src != g->src) {
				if (template_end >= 0)
					assert_int_equal(o.v.frame.dd_template,
							 template_end);
				template_end = (o.v.frame.dd_template + 7) & 63;
			}
		}
		last = t;
		last_i = i;
		src = g->src;
		count = g->count;
	}
	print_message("%u present, %u missing, %u borders, %u resent, %u late, %u "
		      "unexplained\n",
		      present, missing, borders, w->resent, w->late, unexplained);
	assert_true(borders >= SWITCHES / 2);
	assert_true(w->resent > 100 && w->late > 100);
	/* what reached the server reaches the receiver (but for what is still on its way
	 * when its segment ages) */
	assert_true(missing * 20 < present);
	assert_true(unexplained * 500 < present);
}

static void test_property(void **state)
{
	static struct world w;
	struct gen gens[SOURCES] = {
		{ .codec = CODEC_VP8,
		  .pid_bits = 15,
		  .pid = 0x7f00,
		  .tl0 = 200,
		  .id = 0,
		  .seq = 65000 },
		{ .codec = CODEC_VP8,
		  .pid_bits = 15,
		  .pid = 5,
		  .tl0 = 3,
		  .id = 1,
		  .seq = 3000,
		  .ts = 0xfffff000 },
		{ .codec = CODEC_AV1,
		  .dd = true,
		  .templates = 7,
		  .dd_base = 40,
		  .dd_frame = 65000,
		  .id = 2 },
		{ .codec = CODEC_VP9,
		  .pid_bits = 7,
		  .pid = 100,
		  .tl0 = 250,
		  .id = 3,
		  .seq = 65535 },
	};
	struct pkt_pool *big = pkt_pool_create(SOURCES * PER_SOURCE);
	struct event *ev = calloc(SOURCES * PER_SOURCE, sizeof *ev);
	unsigned events = 0, current = 0, target = 0, switches = 0;
	uint64_t next_switch = 0;

	(void)state;
	srand(20260101);
	memset(&w, 0, sizeof w);
	w.got = calloc(OUT_SPAN, sizeof *w.got);
	rtp_slot_init(&w.slot, 5, 6, 90000, false);
	w.first = w.slot.highest + 1;
	/* what the sources send, and when it arrives, if it does */
	for (unsigned k = 0; k < SOURCES; k++) {
		uint64_t t = 1000000 + k * 7000;
		struct gen *g = &gens[k];

		w.truth[k] = calloc(65536, sizeof *w.truth[k]);
		assert_int_equal(rtp_store_init(&w.store[k], 512), 0);
		rtp_recv_init(&w.recv[k], k, 90000, false, true);
		while (g->count < PER_SOURCE - 10) {
			bool key = g->frame % 23 == 0;
			unsigned tid = key ? 0 : g->frame % 2,
				 n = 1 + (unsigned)rand() % 4;

			for (unsigned i = 0; i < n; i++) {
				struct truth *tr = &w.truth[k][g->count];
				unsigned dice = (unsigned)rand() % 100;
				struct pkt *p;

				tr->frame = g->frame;
				tr->tl0 = g->tl0;
				tr->pid_bits = (uint8_t)g->pid_bits;
				p = gen_packet(big, g, i == 0, i + 1 == n, key, tid);
				p->arrival_us = t + (uint64_t)(rand() % 12000);
				if (dice < 3) {
					tr->lost = true;
					pkt_unref(p);
					continue;
				}
				ev[events].repaired = dice < 8;
				if (dice < 8)
					p->arrival_us +=
						60000 + (uint64_t)(rand() % 100000);
				ev[events].at = p->arrival_us;
				ev[events].src = k;
				ev[events++].p = p;
			}
			t += 33333;
			gen_next(g, 3000,
				 (g->frame + 1) % 23 == 0 || (g->frame + 1) % 2 == 0);
		}
	}
	qsort(ev, events, sizeof *ev, by_time);
	for (unsigned i = 0; i < events; i++) {
		struct pkt *p = ev[i].p;
		unsigned k = ev[i].src;
		enum recv_result res = rtp_recv_packet(&w.recv[k], p, ev[i].repaired);
		struct rtp_out out;

		assert_true(res == RECV_NEW || res == RECV_LATE ||
			    (res == RECV_OLD && w.recv[k].received == 0));
		if (res == RECV_OLD) {
			pkt_unref(p);
			continue;
		}
		rtp_store_put(&w.store[k], p);
		if (ev[i].at >= next_switch) {
			target = 1 + (unsigned)rand() % SOURCES;
			next_switch = ev[i].at + 200000 + (uint64_t)(rand() % 900000);
		}
		if (k + 1 == target && current != target && p->rtp.frame.start &&
		    p->rtp.frame.key) {
			rtp_slot_switch(&w.slot, target, (uint8_t)(100 + k), 101,
					GEN_OUT_DD_ID, p);
			current = target;
			switches++;
		}
		if (k + 1 == current) {
			int err = rtp_slot_map(&w.slot, p, &out, false);

			if (err) {
				const struct rtp_segment *seg =
					&w.slot.segments[(w.slot.segment_count - 1) %
							 SLOT_SEGMENTS];

				assert_true(p->rtp.seq64 < seg->first_in);
			} else {
				w.late += res == RECV_LATE;
				deliver(&w, p, &out, rand() % 100 < 3);
			}
		}
		if (i % 10 == 0)
			nack_gaps(&w, ev[i].at, 200);
		pkt_unref(p);
	}
	assert_true(switches >= 100);
	for (unsigned i = 0; i < 5; i++)
		nack_gaps(&w, 100000000000ull + i * 2000000, 200);
	judge(&w);
	for (unsigned k = 0; k < SOURCES; k++) {
		rtp_store_fini(&w.store[k]);
		free(w.truth[k]);
	}
	for (unsigned i = 0; i < OUT_SPAN; i++)
		free(w.got[i].bytes);
	free(w.got);
	free(ev);
	assert_int_equal(pkt_pool_free_count(big), SOURCES * PER_SOURCE);
	pkt_pool_destroy(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_audio_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_padding_and_rtx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_video_codecs, setup, teardown),
		cmocka_unit_test(test_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
