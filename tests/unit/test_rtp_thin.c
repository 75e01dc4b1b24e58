/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A slot that leaves temporal layers out: where it goes up and down, what numbers its receiver sees. */
#include "unit/slot_rig.h"

enum { POOL = 8192, FRAMES = 4000, PACKETS = FRAMES * 4, OUT_SPAN = 32768, STREAM = 7 };

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

/* ---- step by step ------------------------------------------------------------------ */

struct scene {
	struct gen g;
	struct rtp_recv recv;
	struct rtp_slot slot;
	uint64_t at;
	struct parsed o;
	struct rtp_out out;
};

static void scene_init(struct scene *s, enum codec_id codec)
{
	memset(s, 0, sizeof *s);
	s->g = (struct gen) { .codec = codec,
			      .pid_bits = codec == CODEC_AV1 ? 0 : 15,
			      .dd = codec == CODEC_AV1,
			      .templates = 5,
			      .pid = 0x7ffe,
			      .dd_frame = 0xfffe,
			      .dd_base = 60,
			      .id = 1,
			      .seq = 65530 };
	s->at = 1000000;
	rtp_recv_init(&s->recv, 1, 90000, false, true);
	rtp_slot_init(&s->slot, 5, 6, 90000, false);
}

/* A packet that has arrived. */
static struct pkt *arrive(struct scene *s, bool start, bool end, bool key, unsigned tid,
			  bool up)
{
	struct pkt *p;

	s->g.up = up;
	p = gen_packet(pool, &s->g, start, end, key, tid);
	p->arrival_us = s->at += 1000;
	(void)rtp_recv_packet(&s->recv, p, false);
	return p;
}

static int map(struct scene *s, struct pkt *p)
{
	int err = rtp_slot_map(&s->slot, p, &s->out, false);

	if (!err)
		write_out(&s->slot, p, &s->out, &s->o);
	return err;
}

/* A picture of two packets; both go, or neither. */
static int picture(struct scene *s, bool key, unsigned tid, bool up)
{
	int first = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct pkt *p = arrive(s, i == 0, i == 1, key, tid, up);
		int err;

		if (key && i == 0 && !s->slot.segment_count)
			rtp_slot_switch(&s->slot, STREAM, 100, 101, GEN_OUT_DD_ID, p);
		err = map(s, p);
		if (i == 0)
			first = err;
		assert_int_equal(err, first);
		pkt_unref(p);
	}
	gen_next(&s->g, 3000, tid == 0);
	return first;
}

static void test_down_at_once_up_at_a_sync(void **state)
{
	struct scene s;
	uint64_t seq;
	uint16_t pid;

	(void)state;
	scene_init(&s, CODEC_VP8);
	assert_int_equal(picture(&s, true, 0, false), 0);
	assert_int_equal(picture(&s, false, 2, true), 0);
	assert_int_equal(picture(&s, false, 1, true), 0);
	rtp_slot_limit(&s.slot, 0);
	seq = s.slot.highest;
	pid = s.o.v.frame.pid;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(picture(&s, false, 2, false), -ENOENT);
		assert_int_equal(picture(&s, false, 1, false), -ENOENT);
		assert_int_equal(picture(&s, false, 0, false), 0);
		/* as if nothing had been there */
		assert_int_equal(s.slot.highest, seq + 2 * (i + 1));
		assert_int_equal(s.o.v.frame.pid, (pid + 1 + i) & 0x7fff);
	}
	rtp_slot_limit(&s.slot, 2);
	/* not yet: they need others of their layers */
	assert_int_equal(picture(&s, false, 2, false), -ENOENT);
	assert_int_equal(picture(&s, false, 1, false), -ENOENT);
	/* the second layer has its point before the third */
	assert_int_equal(picture(&s, false, 2, true), -ENOENT);
	assert_int_equal(picture(&s, false, 1, true), 0);
	assert_int_equal(picture(&s, false, 2, false), -ENOENT);
	assert_int_equal(picture(&s, false, 0, false), 0);
	assert_int_equal(picture(&s, false, 2, true), 0);
	assert_int_equal(picture(&s, false, 1, false), 0);
	assert_int_equal(picture(&s, false, 2, false), 0);
	/* and all of it from a key frame on */
	rtp_slot_limit(&s.slot, 0);
	assert_int_equal(picture(&s, false, 1, true), -ENOENT);
	rtp_slot_limit(&s.slot, 1);
	assert_int_equal(picture(&s, true, 0, false), 0);
	assert_int_equal(picture(&s, false, 2, true), -ENOENT);
	assert_int_equal(picture(&s, false, 1, false), 0);
}

/* RFC 9628: from U on all layers above can be taken; its frames name those they need by picture id. */
static void test_vp9(void **state)
{
	struct scene s;
	uint16_t pid;

	(void)state;
	scene_init(&s, CODEC_VP9);
	assert_int_equal(picture(&s, true, 0, false), 0);
	pid = s.o.v.frame.pid;
	rtp_slot_limit(&s.slot, 0);
	assert_int_equal(picture(&s, false, 2, true), -ENOENT);
	assert_int_equal(picture(&s, false, 1, false), -ENOENT);
	rtp_slot_limit(&s.slot, 2);
	assert_int_equal(picture(&s, false, 2, true), -ENOENT);
	assert_int_equal(picture(&s, false, 0, true), 0);
	assert_int_equal(s.o.v.frame.pid, (pid + 4) & 0x7fff);
	assert_int_equal(picture(&s, false, 2, false), 0);
	assert_int_equal(picture(&s, false, 1, false), 0);
}

/* The rig's templates are Switch indications for the only decode target: of three layers. */
static void test_descriptor(void **state)
{
	struct scene s;
	uint16_t frame;

	(void)state;
	scene_init(&s, CODEC_AV1);
	assert_int_equal(picture(&s, true, 0, false), 0);
	frame = s.o.v.frame.dd_frame;
	rtp_slot_limit(&s.slot, 1);
	assert_int_equal(picture(&s, false, 2, false), -ENOENT);
	assert_int_equal(picture(&s, false, 1, false), 0);
	rtp_slot_limit(&s.slot, 0);
	assert_int_equal(picture(&s, false, 1, false), -ENOENT);
	rtp_slot_limit(&s.slot, 2);
	/* this one is not known to be whole, */
	assert_int_equal(picture(&s, false, 2, false), -ENOENT);
	/* and this one is */
	assert_int_equal(picture(&s, false, 0, false), 0);
	assert_int_equal(s.o.v.frame.dd_frame, (uint16_t)(frame + 5));
	assert_int_equal(picture(&s, false, 2, false), 0);
}

/* What is missing keeps a number unless it can only be of what is left out. */
static void test_missing(void **state)
{
	struct scene s;
	struct pkt *late, *p;
	uint64_t seq;

	(void)state;
	scene_init(&s, CODEC_VP8);
	assert_int_equal(picture(&s, true, 0, false), 0);
	rtp_slot_limit(&s.slot, 0);
	seq = s.slot.highest;
	/* the middle, the end and the beginning of pictures that are left out */
	for (unsigned lost = 0; lost < 3; lost++) {
		for (unsigned i = 0; i < 3; i++) {
			p = arrive(&s, i == 0, i == 2, false, 1, false);
			if (i != (lost + 1) % 3)
				assert_int_equal(map(&s, p), -ENOENT);
			pkt_unref(p);
		}
		if (lost == 1) { /* the next one's beginning must not be lost as well */
			gen_next(&s.g, 3000, true);
			assert_int_equal(picture(&s, false, 0, false), 0);
			seq += 2;
			assert_int_equal(s.slot.highest, seq);
			s.g.pid--;
			s.g.ts -= 3000;
		}
		gen_next(&s.g, 3000, false);
	}
	assert_int_equal(picture(&s, false, 0, false), 0);
	assert_int_equal(s.slot.highest, seq + 2);
	/* a whole picture: nobody knows yet whose it is; when it comes it goes, though it is late */
	late = arrive(&s, true, true, false, 1, false);
	gen_next(&s.g, 3000, false);
	assert_int_equal(picture(&s, false, 1, false), -ENOENT);
	assert_int_equal(picture(&s, false, 0, false), 0);
	assert_int_equal(s.slot.highest, seq + 5);
	assert_int_equal(map(&s, late), 0);
	assert_int_equal(s.out.seq64, seq + 3);
	pkt_unref(late);
}

/* ---- from the receiver, at random -------------------------------------------------- */

struct sent {
	struct pkt *pkt; /* kept for resends; NULL: it never arrived */
	uint32_t picture;
	uint8_t tid;
	bool mapped;
	uint64_t out;
};

static struct sent sent[PACKETS + 1];
static unsigned owner[OUT_SPAN];

/* Each number sent belongs to one packet of the source, in its order. */
static void judge(const struct rtp_slot *slot, uint64_t first, uint64_t base,
		  uint64_t now)
{
	struct rtp_slot copy = *slot, *s = &copy;
	uint64_t last_in = 0;
	unsigned gone = 0, there = 0;

	s->nack_used = 0;
	s->nack_window_us = now;
	s->nack_quota = 1000;
	for (uint64_t q = s->highest - 60; q <= s->highest; q++) {
		const struct rtp_segment *seg;
		struct rtp_out out;
		uint64_t in;
		const struct sent *x;

		assert_true(q >= first);
		assert_int_equal(rtp_slot_find(s, (uint16_t)q, now, &seg, &in), 0);
		assert_true(in > last_in);
		last_in = in;
		x = &sent[in - base];
		if (!x->mapped) { /* it kept a number, and has not come */
			gone++;
			continue;
		}
		there++;
		assert_int_equal(x->out, q);
		assert_int_equal(rtp_segment_map(s, seg, x->pkt, &out), 0);
		assert_int_equal(out.seq64, q);
	}
	assert_true(there > 2 * gone);
}

static void test_random(void **state)
{
	struct gen g = {
		.codec = CODEC_VP8, .pid_bits = 15, .pid = 0x7f00, .seq = 65000
	};
	static const uint8_t pattern[] = { 0, 2, 1, 2 };
	struct pkt_pool *big = pkt_pool_create(PACKETS);
	struct rtp_recv recv;
	struct rtp_slot s;
	uint64_t first, base = 0, at = 1000000;
	unsigned count = 0, cut = 0, late = 0, delayed[8], delays = 0;
	int last_picture = -1, last_pid = -1;

	(void)state;
	srand(20261127);
	memset(sent, 0, sizeof sent);
	memset(owner, 0, sizeof owner);
	rtp_recv_init(&recv, 1, 90000, false, true);
	rtp_slot_init(&s, 5, 6, 90000, false);
	first = s.highest + 1;
	for (unsigned f = 0; f < FRAMES; f++) {
		bool key = f % 200 == 0;
		unsigned tid = key ? 0 : pattern[f % 4], n = 1 + (unsigned)rand() % 3;

		g.up = f % 8 < 3;
		if (rand() % 20 == 0)
			rtp_slot_limit(&s, (unsigned)rand() % 3);
		for (unsigned i = 0; i < n; i++) {
			struct pkt *p = gen_packet(big, &g, i == 0, i + 1 == n, key, tid);
			struct sent *x = &sent[count];
			struct rtp_out out;
			struct parsed o;
			int err;

			*x = (struct sent) { .picture = f, .tid = (uint8_t)tid };
			p->arrival_us = at += 2000;
			/* 6 % are late, most of them come; not the first */
			if (f && rand() % 100 < 6 && delays < 8) {
				delayed[delays++] = count++;
				x->pkt = p;
				continue;
			}
			assert_int_equal(rtp_recv_packet(&recv, p, false), RECV_NEW);
			x->pkt = p;
			if (!f && !i) {
				base = p->rtp.seq64;
				rtp_slot_switch(&s, STREAM, 100, 101, 0, p);
			}
			count++;
			err = rtp_slot_map(&s, p, &out, false);
			if (err) {
				assert_int_equal(err, -ENOENT);
				assert_true(tid > 0);
				cut++;
				continue;
			}
			assert_true(tid <= s.thin.tid);
			x->mapped = true;
			x->out = out.seq64;
			assert_int_equal(owner[out.seq64 - first], 0);
			owner[out.seq64 - first] = count;
			write_out(&s, p, &out, &o);
			/* ids are missing where pictures are, and nowhere else */
			if (last_picture >= 0 && last_picture != (int)f)
				assert_in_range((o.v.frame.pid - last_pid) & 0x7fff, 1,
						f - (unsigned)last_picture);
			if (last_picture == (int)f)
				assert_int_equal(o.v.frame.pid, last_pid);
			last_picture = (int)f;
			last_pid = o.v.frame.pid;
		}
		while (delays && rand() % 4 == 0) {
			struct sent *x = &sent[delayed[--delays]];
			struct rtp_out out;

			if (rand() % 5 == 0) { /* given up */
				continue;
			}
			x->pkt->arrival_us = at;
			if (rtp_recv_packet(&recv, x->pkt, true) != RECV_LATE)
				continue;
			if (rtp_slot_map(&s, x->pkt, &out, false))
				continue;
			late++;
			x->mapped = true;
			x->out = out.seq64;
			assert_int_equal(owner[out.seq64 - first], 0);
			owner[out.seq64 - first] = (unsigned)(x - sent) + 1;
		}
		if (f > 400 && f % 40 == 0)
			judge(&s, first, base, at);
		gen_next(&g, 3000, pattern[(f + 1) % 4] == 0);
		at += 20000;
	}
	/* in the source's order */
	for (uint64_t q = 0, last = 0; q <= s.highest - first; q++) {
		if (!owner[q])
			continue;
		assert_true(owner[q] > last);
		last = owner[q];
	}
	assert_true(cut > FRAMES / 4);
	assert_true(late > 100);
	for (unsigned i = 0; i < count; i++)
		pkt_unref(sent[i].pkt);
	assert_int_equal(pkt_pool_free_count(big), PACKETS);
	pkt_pool_destroy(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_down_at_once_up_at_a_sync, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_vp9, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
