/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A slot step by step: switches, silence, padding, RTX, finding, codecs. */
#include "unit/slot_rig.h"

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
	/* the next second it may have twice what was sent in this, and if that was
	 * nothing, 50 */
	for (unsigned second = 1; second < 3; second++) {
		ok = 0;
		for (unsigned i = 0; i < 100; i++)
			if (!rtp_slot_find(&s, (uint16_t)(first + 20),
					   t + second * 1000000, &seg, &in))
				ok++;
		assert_int_equal(ok, second == 1 ? 60 : 50);
	}
}

/* Who asks for the first time after a minute has saved nothing up. */
static void test_find_first(void **state)
{
	struct gen g = { .codec = CODEC_OPUS, .seq = 1, .id = 1 };
	const struct rtp_segment *seg;
	uint64_t in, t = 1000000;
	struct rtp_recv r;
	struct rtp_slot s;
	struct rtp_out out = { 0 };
	unsigned ok = 0;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	rtp_slot_init(&s, 5, 6, 48000, true);
	for (unsigned i = 0; i < 3000; i++, t += 20000) {
		struct pkt *p = opus(&g, &r, t);

		if (!i)
			rtp_slot_switch(&s, 1, 111, 0, 0, p);
		assert_int_equal(rtp_slot_map(&s, p, &out, false), 0);
		pkt_unref(p);
	}
	for (unsigned i = 0; i < 200; i++)
		if (!rtp_slot_find(&s, (uint16_t)s.highest, t, &seg, &in))
			ok++;
	assert_int_equal(ok, 100);
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

/* ---- pictures in time -------------------------------------------------------------- */

struct camera {
	struct gen gen;
	struct rtp_recv recv;
	uint64_t at; /* µs: when it takes its next picture */
	unsigned us; /* between two, by the server's clock; 3000 ticks by its own */
};

/* The camera's next picture comes `late` µs after the others would. */
static struct pkt *picture(struct camera *c, bool key, unsigned late)
{
	struct pkt *p = gen_packet(pool, &c->gen, true, true, key, 0);

	p->arrival_us = c->at + late;
	assert_int_equal(rtp_recv_packet(&c->recv, p, false), RECV_NEW);
	gen_next(&c->gen, 3000, true);
	c->at += c->us;
	return p;
}

/* Sends it; the slot's timestamp against `due` µs, in ticks. */
static int64_t sent_at(struct rtp_slot *s, struct pkt *p, uint64_t due)
{
	struct rtp_out out = { 0 };

	assert_int_equal(rtp_slot_map(s, p, &out, false), 0);
	pkt_unref(p);
	return (int64_t)(out.ts64 - rtp_ticks(due, 90000));
}

/* Two cameras in turn, pictures missing, key frames late, clocks that drift: what the
 * receiver gets stays on one line of time. */
static void test_picture_line(void **state)
{
	struct camera cam[] = {
		{ .gen = { .codec = CODEC_VP8, .seq = 1, .ts = 77, .id = 1 },
		  .at = 1000000,
		  .us = 33340 }, /* 200 ppm slow */
		{ .gen = { .codec = CODEC_VP8, .seq = 9, .ts = 0xffff0000, .id = 2 },
		  .at = 1011000,
		  .us = 33327 }, /* 200 ppm fast */
	};
	struct rtp_slot s;
	int64_t from = 0, last = 0;

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		rtp_recv_init(&cam[k].recv, k, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	for (unsigned round = 0; round < 200; round++) {
		struct camera *c = &cam[round & 1], *other = &cam[~round & 1];

		for (unsigned f = 0; f < 30; f++) {
			/* every key frame came by a resend, and other pictures */
			unsigned late = !f ? 80000 : f % 10 == 7 ? 50000 : 0;
			uint64_t due = c->at;
			struct pkt *p;
			int64_t d;

			pkt_unref(picture(other, false, 0));
			/* one in seven is not sent at all, and two before the change */
			if (f && (f % 7 == 3 || f > 27)) {
				c->gen.ts += 3000;
				c->at += c->us;
				continue;
			}
			p = picture(c, !f, late);
			if (!f)
				rtp_slot_switch(&s, 1 + (round & 1), 100, 101, 0, p);
			d = sent_at(&s, p, due);
			if (!round && !f)
				from = last = d;
			/* no jump of a millisecond from one picture to the next */
			assert_in_range(d - last + 90, 0, 180);
			last = d;
		}
	}
	/* 200 seconds, and no more drift than the cameras' own clocks have */
	assert_in_range(last - from + 3600, 0, 7200);
}

/* A second of the camera's pictures, the first of them `late` µs after where it would be; where the last stands,
 * in ticks. */
static int64_t second_of(struct rtp_slot *s, struct camera *c, uint32_t stream,
			 unsigned late)
{
	int64_t d = 0;

	for (unsigned f = 0; f < 30; f++) {
		uint64_t due = c->at;
		struct pkt *p = picture(c, !f, f ? 0 : late);

		if (!f)
			rtp_slot_switch(s, stream, 100, 101, 0, p);
		d = sent_at(s, p, due);
	}
	return d;
}

static void pause_until(struct camera *c, uint64_t us)
{
	while (c->at + c->us <= us) {
		c->gen.ts += 3000;
		c->at += c->us;
	}
}

/* A camera that is seldom watched, its first picture late each time: where it has been seen before it stands on the
 * line, and where nothing was known of it the line is found again at the next change. */
static void test_picture_line_found_again(void **state)
{
	struct camera cam[] = {
		{ .gen = { .codec = CODEC_VP8, .seq = 1, .ts = 5 },
		  .at = 1000000,
		  .us = 33333 },
		{ .gen = { .codec = CODEC_VP8, .seq = 9, .ts = 7 },
		  .at = 1000000,
		  .us = 33333 },
	};
	struct rtp_slot s;
	int64_t line, d;

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		rtp_recv_init(&cam[k].recv, k, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	line = second_of(&s, &cam[0], 1, 0);
	for (unsigned round = 0; round < 12; round++) {
		pause_until(&cam[1], cam[0].at);
		d = second_of(&s, &cam[1], 2, 60000) - line;
		/* 60 ms ahead the first time, when nobody could know; else within 5 ms, as clocks drift */
		assert_in_range(d + 450, round ? 0 : 5400, round ? 900 : 6300);
		pause_until(&cam[0], cam[1].at + (round % 2 ? 20000000 : 0));
		d = second_of(&s, &cam[0], 1, round % 2 ? 60000 : 0) - line;
		/* right behind what ran ahead, no earlier than that */
		assert_in_range(d + 450, 0, round ? 900 : 3150);
	}
}

/* A slot goes over when all of a key frame has come, which took `us`: by then the one before is past the moment where that
 * stands. What follows is in order, closer together, and soon on the line, so that nothing is late. */
static void test_picture_line_caught_up(void **state)
{
	struct camera cam[] = {
		{ .gen = { .codec = CODEC_VP8, .seq = 1, .ts = 5 },
		  .at = 1000000,
		  .us = 33333 },
		{ .gen = { .codec = CODEC_VP8, .seq = 9, .ts = 0xfffff000 },
		  .at = 1010000,
		  .us = 33333 },
	};
	struct rtp_slot s;
	struct pkt *held[40];
	int64_t line;

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		rtp_recv_init(&cam[k].recv, k, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	line = second_of(&s, &cam[0], 1, 0);
	for (unsigned round = 1; round < 40; round++) {
		struct camera *c = &cam[round & 1], *old = &cam[~round & 1];
		unsigned n = 0, late = 0;
		uint64_t due[40], before, behind, end;

		pause_until(c, old->at);
		end = c->at + round * 24000; /* to 0.94 s */
		while (c->at <= end) {
			due[n] = c->at;
			held[n] = picture(c, !n, 0);
			n++;
		}
		while (old->at < end) {
			uint64_t at = old->at;

			(void)sent_at(&s, picture(old, false, 0), at);
		}
		before = s.ts64;
		behind = before - (uint64_t)(line + (int64_t)rtp_ticks(due[0], 90000));
		rtp_slot_switch(&s, 1 + (round & 1), 100, 101, 0, held[0]);
		for (unsigned i = 0; i < n + 30; i++) {
			uint64_t at = i < n ? due[i] : c->at;
			struct pkt *p = i < n ? held[i] : picture(c, false, 0);
			int64_t d = sent_at(&s, p, at) - line;

			assert_true(s.ts64 > before);
			before = s.ts64;
			assert_true(d > -450);
			/* a sixteenth of its time passes for what is behind */
			if (rtp_ticks(at - due[0], 90000) > behind + behind / 15 + 2)
				assert_in_range(d + 450, 0, 900);
			else
				late++;
		}
		assert_true((int64_t)behind < 0 || late > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_audio_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_padding_and_rtx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_picture_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_picture_line_found_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_picture_line_caught_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_sr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_video_codecs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
