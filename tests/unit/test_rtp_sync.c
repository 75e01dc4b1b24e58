/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* VP8 after a key frame: which pictures are marked as needing nothing but the base layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/rtp_gen.h"

enum { POOL = 64, SYNC = 0x20 };

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

struct scene {
	struct gen g;
	struct rtp_recv recv;
	struct rtp_sync sync;
};

static void scene_init(struct scene *s)
{
	memset(s, 0, sizeof *s);
	s->g = (struct gen) { .codec = CODEC_VP8, .pid_bits = 15, .id = 1, .seq = 65530 };
	rtp_recv_init(&s->recv, 1, 90000, false, true);
}

static struct pkt *make(struct scene *s, bool start, bool end, int tid, bool up)
{
	struct pkt *p;

	s->g.up = up;
	p = gen_packet(pool, &s->g, start, end, tid < 0, tid < 0 ? 0 : (unsigned)tid);
	if (end)
		gen_next(&s->g, 4500, false);
	return p;
}

/* Is it marked? And its bytes say so. */
static bool take(struct scene *s, struct pkt *p)
{
	struct frame_view after;
	bool put;

	assert_true(rtp_recv_packet(&s->recv, p, false) <= RECV_LATE);
	put = rtp_sync_take(&s->sync, p);
	if (put)
		frame_put_sync(p->data + p->rtp.payload_off, &p->rtp.frame);
	assert_int_equal(vp8_parse(p->data + p->rtp.payload_off, p->rtp.payload_len,
				   p->rtp.marker, &after),
			 0);
	assert_int_equal(after.tid, p->rtp.frame.tid);
	assert_int_equal(after.tl0, p->rtp.frame.tl0);
	assert_int_equal(after.up_tid, put ? after.tid : p->rtp.frame.up_tid);
	pkt_unref(p);
	return put;
}

/* A picture of one packet. tid -1: a key frame. */
static bool picture(struct scene *s, int tid, bool up)
{
	return take(s, make(s, true, true, tid, up));
}

static void test_whole(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	assert_false(picture(&s, 2, false)); /* no key frame yet */
	picture(&s, -1, false);
	/* Nothing is left out: the encoder's own are enough. */
	assert_false(picture(&s, 2, true));
	assert_false(picture(&s, 1, true));
	assert_false(picture(&s, 2, false));
	assert_false(picture(&s, 0, false));
	assert_false(picture(&s, 2, false));
	assert_false(picture(&s, 1, false));
}

static void test_left_out(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	picture(&s, -1, false);
	/* The first of the top layer was not made. */
	assert_false(picture(&s, 1, true));
	assert_true(picture(&s, 2, false));
	assert_false(picture(&s, 0, false));
	assert_false(picture(&s, 2, false));
	assert_false(picture(&s, 1, false));
	picture(&s, -1, false);
	/* The first of the middle one. */
	assert_false(picture(&s, 2, true));
	assert_true(picture(&s, 2, false));
	assert_false(picture(&s, 0, false));
	assert_true(picture(&s, 2, false));
	assert_true(picture(&s, 1, false));
	assert_false(picture(&s, 2, false));
}

static void test_all_packets_of_it(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	take(&s, make(&s, true, false, -1, false));
	take(&s, make(&s, false, true, -1, false));
	assert_false(picture(&s, 1, true));
	assert_true(take(&s, make(&s, true, false, 2, false)));
	assert_true(take(&s, make(&s, false, false, 2, false)));
	assert_true(take(&s, make(&s, false, true, 2, false)));
	assert_false(picture(&s, 2, false));
}

static void test_something_missing(void **state)
{
	struct scene s;
	struct pkt *late;

	(void)state;
	scene_init(&s);
	picture(&s, -1, false);
	late = make(&s, true, true, 2, true);
	assert_false(picture(&s, 1, true));
	assert_false(picture(&s, 2, false)); /* who knows what it needs */
	assert_false(take(&s, late));
	/* All there again, and the layer has had its own. */
	assert_false(picture(&s, 0, false));
	assert_false(picture(&s, 2, false));
	picture(&s, -1, false);
	late = make(&s, true, true, 0, false);
	assert_false(picture(&s, 1, false));
	assert_false(take(&s, late));
	assert_false(picture(&s, 1, false)); /* there has been one of its layer */
	assert_true(picture(&s, 2, false));
}

static void test_without_numbers(void **state)
{
	struct frame_view f = { .tid = 2, .tl0_off = 0xffff };
	uint8_t payload[4] = { 0 }, same[4] = { 0 };

	(void)state;
	frame_put_sync(payload, &f);
	assert_memory_equal(payload, same, sizeof same);
	f = (struct frame_view) { .tid = 0, .tl0_off = 1 };
	frame_put_sync(payload, &f);
	assert_memory_equal(payload, same, sizeof same);
	f.tid = 1;
	frame_put_sync(payload, &f);
	assert_int_equal(payload[2], SYNC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_all_packets_of_it),
		cmocka_unit_test(test_something_missing),
		cmocka_unit_test(test_without_numbers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
