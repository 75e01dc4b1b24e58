/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which layers go to a listener: cases with names, and, with random slots and links, that what is promised
 * holds. */
#include "ladder.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { RUN_US = 100000, SWITCH_US = 300000 };

static struct alloc_ctl C;
static struct alloc_slot S[ALLOC_SLOTS];
static struct alloc_choice O[ALLOC_SLOTS];
static struct alloc_link L;
static unsigned count;
static uint64_t now_us;
static uint64_t seed;

static unsigned dice(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void begin(uint32_t estimate_bps, uint32_t audio_bps)
{
	now_us = 1000000;
	count = 0;
	memset(S, 0, sizeof S);
	alloc_init(&C);
	L = (struct alloc_link) { estimate_bps, audio_bps, ALLOC_VIDEO };
}

static void layer(struct alloc_slot *s, unsigned sid, unsigned tid, uint32_t bps,
		  unsigned fps)
{
	s->layers[sid][tid] = (struct alloc_layer) { .bps = bps,
						     .width = (uint16_t)(320u << sid),
						     .height = (uint16_t)(180u << sid),
						     .fps = (uint8_t)fps,
						     .state = ALLOC_ALIVE,
						     .key = true };
}

static struct alloc_slot *add(enum alloc_kind kind, unsigned width, unsigned height)
{
	struct alloc_slot *s = &S[count++];

	memset(s, 0, sizeof *s);
	s->source = 100 + count;
	s->kind = (uint8_t)kind;
	s->width = (uint16_t)width;
	s->height = (uint16_t)height;
	s->shown_sid = s->shown_tid = -1;
	return s;
}

/* 320x180, 640x360, 1280x720, each at 7, 15 and 30 a second. */
static struct alloc_slot *camera(enum alloc_kind kind, unsigned width, unsigned height)
{
	static const uint32_t bps[3][3] = { { 60000, 90000, 140000 },
					    { 200000, 300000, 450000 },
					    { 600000, 900000, 1400000 } };
	struct alloc_slot *s = add(kind, width, height);

	for (unsigned sid = 0; sid < 3; sid++)
		for (unsigned tid = 0; tid < 3; tid++)
			layer(s, sid, tid, bps[sid][tid], tid == 2 ? 30 : 7 + 8 * tid);
	return s;
}

static unsigned run(void)
{
	return alloc_run(&C, now_us, &L, S, count, O);
}

static uint32_t sum(void)
{
	uint32_t bps = 0;

	for (unsigned i = 0; i < count; i++)
		bps += O[i].bps;
	return bps;
}

/* So long, with what is chosen shown a little later. */
static unsigned go(double s)
{
	uint64_t end_us = now_us + (uint64_t)(s * 1e6);
	unsigned changes = 0;

	for (; now_us < end_us; now_us += RUN_US) {
		changes += (unsigned)__builtin_popcount(run());
		for (unsigned i = 0; i < count; i++) {
			if ((S[i].shown_sid == O[i].now_sid &&
			     S[i].shown_tid == O[i].now_tid) ||
			    (O[i].now_sid >= 0 && now_us % SWITCH_US))
				continue;
			S[i].shown_sid = O[i].now_sid;
			S[i].shown_tid = O[i].now_tid;
			S[i].shown_us = now_us;
		}
	}
	return changes;
}

static void expect(unsigned slot, enum alloc_reason reason, int sid, int tid)
{
	assert_int_equal(O[slot].reason, reason);
	assert_int_equal(O[slot].sid, sid);
	assert_int_equal(O[slot].tid, tid);
}

/* ---- cases with names -------------------------------------------------------------- */

/* AV1, 320x180, 8 frames a second, beside sound of 8 kbit/s in packets of 60 ms (thin-links.md §3). */
static void test_thinnest(void **state)
{
	(void)state;
	begin(45000, 15100);
	layer(add(ALLOC_SPEAKER, 320, 180), 0, 0, 24400, 8);
	layer(add(ALLOC_CAMERA, 320, 180), 0, 0, 24400, 8);
	run();
	expect(0, ALLOC_SENT, 0, 0);
	expect(1, ALLOC_NO_ROOM, -1, -1);
	/* nothing so small is made: it is told what may be */
	begin(45000, 15100);
	camera(ALLOC_SPEAKER, 320, 180);
	run();
	expect(0, ALLOC_NO_ROOM, -1, -1);
	assert_true(O[0].room_bps > 24400 && O[0].room_bps < 29900);
	/* sound first */
	begin(45000, 50000);
	layer(add(ALLOC_SPEAKER, 320, 180), 0, 0, 1000, 8);
	run();
	expect(0, ALLOC_NO_ROOM, -1, -1);
	assert_int_equal(O[0].room_bps, 0);
}

static void test_reasons(void **state)
{
	(void)state;
	begin(5000000, 50000);
	for (unsigned i = 0; i < 7; i++)
		camera(i == 6 ? ALLOC_SCREEN : ALLOC_CAMERA, 320, 180);
	S[0].source = 0;
	S[1].undecodable = S[1].hidden = true;
	S[2].muted = S[2].hidden = true;
	S[3].hidden = true;
	memset(S[4].layers, 0, sizeof S[4].layers);
	assert_int_equal(run(), 0x7e);
	expect(0, ALLOC_EMPTY, -1, -1);
	expect(1, ALLOC_UNDECODABLE, -1, -1);
	expect(2, ALLOC_MUTED, -1, -1);
	expect(3, ALLOC_HIDDEN, -1, -1);
	expect(4, ALLOC_WAITING, -1, -1);
	expect(5, ALLOC_SENT, 0, 2);
	expect(6, ALLOC_SENT, 0, 2);
	L.saving = ALLOC_SLIDES;
	run();
	expect(5, ALLOC_SAVING, -1, -1);
	expect(6, ALLOC_SENT, 0, 2);
	L.saving = ALLOC_VOICE;
	assert_int_equal(run(), 0x40);
	expect(6, ALLOC_SAVING, -1, -1);
	assert_int_equal(run(), 0);
	S[0].source = 5;
	S[0].kind = ALLOC_KINDS;
	run();
	expect(0, ALLOC_EMPTY, -1, -1);
}

/* A tile's size is the most: what fills it in one direction is enough. */
static void test_tiles(void **state)
{
	(void)state;
	begin(20000000, 50000);
	camera(ALLOC_CAMERA, 320, 180);
	camera(ALLOC_CAMERA, 340, 190); /* nearly */
	camera(ALLOC_CAMERA, 480, 270);
	camera(ALLOC_CAMERA, 1920, 1080);
	camera(ALLOC_CAMERA, 0, 0);
	camera(ALLOC_CAMERA, 180, 400);
	for (unsigned tid = 0; tid < 3; tid++)
		S[0].layers[0][tid].state = ALLOC_NONE;
	run();
	expect(0, ALLOC_SENT, 1, 2); /* there is no smaller one */
	expect(1, ALLOC_SENT, 0, 2);
	expect(2, ALLOC_SENT, 1, 2);
	expect(3, ALLOC_SENT, 2, 2);
	expect(4, ALLOC_SENT, 2, 2);
	expect(5, ALLOC_SENT, 0, 2);
}

/* Full size at a low rate before anything else; then faces; then more pictures a second. */
static void test_screen(void **state)
{
	(void)state;
	begin(1000000, 50000);
	camera(ALLOC_SPEAKER, 1280, 720);
	camera(ALLOC_SCREEN, 1280, 720);
	run();
	expect(1, ALLOC_SENT, 2, 0);
	assert_true(O[0].sid == 0);
	L.estimate_bps = 650000;
	alloc_init(&C);
	run();
	assert_true(O[1].sid == 1 && O[0].sid == 0); /* full size does not fit */
	L.estimate_bps = 130000;
	alloc_init(&C);
	run();
	expect(1, ALLOC_SENT, 0, 0);
	expect(0, ALLOC_NO_ROOM, -1, -1);
	L.estimate_bps = 5000000;
	alloc_init(&C);
	run();
	expect(1, ALLOC_SENT, 2, 2);
	expect(0, ALLOC_SENT, 2, 2);
}

static void test_rich(void **state)
{
	(void)state;
	for (unsigned tiles = 9; tiles <= 16; tiles += 7) {
		begin(20000000, 100000);
		camera(ALLOC_SPEAKER, 1280, 720);
		camera(ALLOC_SCREEN, 1280, 720);
		while (count < tiles)
			camera(count == 2 ? ALLOC_PINNED : ALLOC_CAMERA, 640, 360);
		run();
		for (unsigned i = 0; i < tiles; i++)
			expect(i, ALLOC_SENT, i < 2 ? 2 : 1, 2);
	}
}

static void test_up_takes_time(void **state)
{
	(void)state;
	begin(300000, 50000);
	camera(ALLOC_SPEAKER, 1280, 720);
	go(10);
	expect(0, ALLOC_SENT, 0, 2);
	L.estimate_bps = 3000000;
	go(1);
	expect(0, ALLOC_SENT, 0, 2);
	go(3);
	expect(0, ALLOC_SENT, 2, 2);
	/* less at once; again only after a while */
	L.estimate_bps = 1200000;
	run();
	expect(0, ALLOC_SENT, 2, 1);
	L.estimate_bps = 3000000;
	go(4.5);
	expect(0, ALLOC_SENT, 2, 1);
	go(3);
	expect(0, ALLOC_SENT, 2, 2);
}

/* Room without a margin is none. */
static void test_margin(void **state)
{
	(void)state;
	begin(112000, 50000);
	camera(ALLOC_SPEAKER, 320, 180);
	go(20);
	expect(0, ALLOC_NO_ROOM, -1, -1);
	L.estimate_bps = 120000;
	go(5);
	expect(0, ALLOC_SENT, 0, 0);
	/* but once there it stays */
	L.estimate_bps = 110000;
	go(5);
	expect(0, ALLOC_SENT, 0, 0);
	L.estimate_bps = 109999;
	run();
	expect(0, ALLOC_NO_ROOM, -1, -1);
}

/* What fails again and again is tried ever more rarely. */
static void test_patience(void **state)
{
	unsigned tries[2] = { 0 };

	(void)state;
	begin(150000, 50000);
	camera(ALLOC_SPEAKER, 320, 180);
	go(5);
	for (unsigned half = 0; half < 2; half++)
		for (unsigned i = 0; i < 300; i++) {
			int before = O[0].tid;

			/* it looks as if there were room until it is tried */
			L.estimate_bps = before == 2 ? 170000 : 300000;
			go(0.5);
			tries[half] += O[0].tid == 2 && before != 2;
		}
	assert_true(tries[0] >= 3 && tries[0] <= 6);
	assert_true(tries[1] <= 3);
}

/* Who begins to speak, or shares a screen, takes another's place at once; who gave way has not failed. */
static void test_displaces(void **state)
{
	(void)state;
	begin(125000, 50000);
	camera(ALLOC_CAMERA, 320, 180);
	camera(ALLOC_CAMERA, 320, 180);
	go(5);
	expect(0, ALLOC_SENT, 0, 0);
	expect(1, ALLOC_NO_ROOM, -1, -1);
	L.estimate_bps = 112000; /* not enough for anything new */
	go(5);
	S[1].kind = ALLOC_SPEAKER;
	run();
	expect(0, ALLOC_NO_ROOM, -1, -1);
	expect(1, ALLOC_SENT, 0, 0);
	/* one of the same kind stays where it is */
	S[1].kind = ALLOC_CAMERA;
	assert_int_equal(go(20), 0);
	expect(1, ALLOC_SENT, 0, 0);
	S[0].kind = ALLOC_PINNED;
	run();
	expect(0, ALLOC_SENT, 0, 0);
	assert_true(C.held[1].failed_until_us < now_us);
}

/* Just when the link falls: who is in front gets what is left. */
static void test_displaces_in_a_fall(void **state)
{
	(void)state;
	begin(200000, 50000);
	layer(add(ALLOC_CAMERA, 320, 180), 0, 0, 60000, 15);
	layer(add(ALLOC_CAMERA, 320, 180), 0, 0, 60000, 15);
	layer(add(ALLOC_SPEAKER, 320, 180), 0, 0, 60000, 15);
	S[2].hidden = true;
	go(5);
	expect(1, ALLOC_SENT, 0, 0);
	L.estimate_bps = 113000;
	S[2].hidden = false;
	run();
	expect(0, ALLOC_NO_ROOM, -1, -1);
	expect(1, ALLOC_NO_ROOM, -1, -1);
	expect(2, ALLOC_SENT, 0, 0);
}

/* All of the link is in use: who speaks now gets the steps that others had, though none are to be had. */
static void test_displaces_steps(void **state)
{
	(void)state;
	begin(400000, 50000);
	layer(add(ALLOC_CAMERA, 640, 360), 0, 0, 60000, 15);
	layer(&S[0], 1, 0, 200000, 15);
	layer(add(ALLOC_CAMERA, 640, 360), 0, 0, 60000, 15);
	layer(&S[1], 1, 0, 195000, 15);
	S[1].layers[1][0].state = ALLOC_NONE;
	go(10);
	expect(0, ALLOC_SENT, 1, 0);
	expect(1, ALLOC_SENT, 0, 0);
	L.estimate_bps = 315000; /* with a margin that is too much */
	S[1].layers[1][0].state = ALLOC_ALIVE;
	assert_int_equal(go(10), 0);
	S[1].kind = ALLOC_SPEAKER;
	assert_int_equal(go(10), 2);
	expect(0, ALLOC_SENT, 0, 0);
	expect(1, ALLOC_SENT, 1, 0);
}

/* Somebody new, and what was there before: together they keep the margin. */
static void test_new_keeps_margin(void **state)
{
	(void)state;
	begin(200000, 50000);
	layer(add(ALLOC_CAMERA, 320, 180), 0, 0, 38000, 15);
	layer(add(ALLOC_CAMERA, 320, 180), 0, 0, 38000, 15);
	layer(add(ALLOC_SPEAKER, 320, 180), 0, 0, 70000, 15);
	S[2].hidden = true;
	go(5);
	S[2].hidden = false;
	run();
	expect(2, ALLOC_SENT, 0, 0);
	expect(0, ALLOC_SENT, 0, 0);
	expect(1, ALLOC_NO_ROOM, -1, -1); /* 146 of 150 kbit/s */
}

/* A tile that grows and grows: a slot is not sent one key frame after the other. */
static void test_rests(void **state)
{
	(void)state;
	begin(5000000, 50000);
	camera(ALLOC_SPEAKER, 320, 180);
	go(5);
	expect(0, ALLOC_SENT, 0, 2);
	S[0].width = 640;
	S[0].height = 360;
	run();
	expect(0, ALLOC_SENT, 1, 2);
	S[0].width = 1280;
	S[0].height = 720;
	go(3.5);
	expect(0, ALLOC_SENT, 1, 2);
	go(2);
	expect(0, ALLOC_SENT, 2, 2);
	/* and none at all while the last has not come */
	S[0].width = 320;
	S[0].height = 180;
	for (unsigned i = 0; i < 50; i++, now_us += RUN_US)
		run();
	S[0].width = 1280;
	S[0].height = 720;
	run();
	expect(0, ALLOC_SENT, 0, 2);
	now_us += 8000000;
	run();
	expect(0, ALLOC_SENT, 2, 2);
}

/* Two layers that are nearly worth the same, and cost nearly the same. */
static void test_alike(void **state)
{
	unsigned changes = 0;

	(void)state;
	seed = 17;
	begin(300000, 50000);
	layer(add(ALLOC_SPEAKER, 640, 360), 0, 2, 200000, 30);
	layer(&S[0], 1, 0, 190000, 7);
	go(5);
	expect(0, ALLOC_SENT, 0, 2);
	L.estimate_bps = 253000;
	for (unsigned i = 0; i < 6000; i++) {
		S[0].layers[0][2].bps = 200000 / 100 * (96 + dice(9));
		S[0].layers[1][0].bps = 190000 / 100 * (96 + dice(9));
		changes += go(0.1);
	}
	printf("figure: two layers nearly alike: %u switches in ten minutes\n", changes);
	assert_true(changes <= 40);
}

/* What is remembered goes with the source. */
static void test_moves(void **state)
{
	struct alloc_slot was;

	(void)state;
	begin(125000, 50000);
	camera(ALLOC_CAMERA, 320, 180);
	camera(ALLOC_CAMERA, 320, 180)->hidden = true;
	go(5);
	L.estimate_bps = 112000;
	go(5);
	expect(0, ALLOC_SENT, 0, 0);
	was = S[0];
	S[0] = S[1];
	S[1] = was;
	assert_int_equal(run(), 0);
	expect(1, ALLOC_SENT, 0, 0);
}

/* A layer that the sender has paused is wanted, and what is alive below it goes meanwhile. */
static void test_waiting(void **state)
{
	(void)state;
	begin(5000000, 50000);
	camera(ALLOC_SPEAKER, 1280, 720);
	for (unsigned tid = 0; tid < 3; tid++)
		S[0].layers[2][tid].state = ALLOC_PAUSED;
	go(5);
	expect(0, ALLOC_SENT, 2, 2);
	assert_true(O[0].now_sid == 1 && O[0].now_tid == 2);
	for (unsigned tid = 0; tid < 6; tid++)
		S[0].layers[tid / 3][tid % 3].state = ALLOC_PAUSED;
	run();
	expect(0, ALLOC_WAITING, 2, 2);
	assert_int_equal(O[0].now_sid, -1);
}

/* The link falls, and what is shown could only be changed by a key frame. */
static void test_stop(void **state)
{
	(void)state;
	begin(2000000, 50000);
	camera(ALLOC_SPEAKER, 1280, 720);
	go(5);
	expect(0, ALLOC_SENT, 2, 2);
	assert_false(O[0].stop);
	L.estimate_bps = 300000;
	run();
	expect(0, ALLOC_SENT, 0, 2);
	assert_true(O[0].stop);
	/* but where there is room it may go on */
	L.estimate_bps = 2000000;
	S[0].width = 320;
	S[0].height = 180;
	run();
	expect(0, ALLOC_SENT, 0, 2);
	assert_false(O[0].stop);
}

/* ---- whatever the slots and the link ----------------------------------------------- */

static void random_slot(unsigned i)
{
	struct alloc_slot *s = add((enum alloc_kind)dice(ALLOC_KINDS), 0, 0);
	unsigned sids = 1 + dice(3), tids = 1 + dice(3);
	uint32_t bps = 20000 + dice(150000);

	if (dice(6)) {
		s->width = (uint16_t)(100 + dice(1200));
		s->height = (uint16_t)(s->width * 9u / 16);
	}
	s->source = i + 1;
	s->hidden = !dice(12);
	s->muted = !dice(15);
	s->undecodable = !dice(20);
	for (unsigned sid = 0; sid < sids; sid++)
		for (unsigned tid = 0; tid < tids; tid++) {
			layer(s, sid, tid, bps, tids == 1 ? 30 : 7u << tid);
			s->layers[sid][tid].state = (uint8_t)(dice(8)	? ALLOC_ALIVE
							      : dice(2) ? ALLOC_PAUSED
									: ALLOC_NONE);
			s->layers[sid][tid].key = dice(3) != 0;
			bps += bps / 8 * (1 + dice(8));
		}
}

static void check_sum(void)
{
	uint32_t room = L.estimate_bps > L.audio_bps ? L.estimate_bps - L.audio_bps : 0;

	assert_true(sum() <= room);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(O[i].sid >= 0, O[i].bps > 0);
		if (O[i].sid >= 0)
			assert_true(S[i].layers[O[i].sid][O[i].tid].state != ALLOC_NONE &&
				    S[i].layers[O[i].sid][O[i].tid].bps == O[i].bps);
		if (O[i].now_sid >= 0)
			assert_int_equal(S[i].layers[O[i].now_sid][O[i].now_tid].state,
					 ALLOC_ALIVE);
		if (O[i].reason != ALLOC_SENT && O[i].reason != ALLOC_WAITING)
			assert_int_equal(O[i].sid, -1);
	}
}

/* The least that a slot could have had. */
static uint32_t least_bps(const struct alloc_slot *slot)
{
	static const struct alloc_held none = { .sid = -1, .tid = -1 };
	struct ladder l;

	ladder_build(&l, slot, slot->kind == ALLOC_SCREEN, LADDER_ANY, &none);
	return l.count ? l.rungs[0].bps : UINT32_MAX;
}

/* Nobody goes without for want of room while somebody behind has as much or more. */
static void check_turns(void)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			if (O[i].reason == ALLOC_NO_ROOM && S[i].kind < S[j].kind &&
			    O[j].bps >= least_bps(&S[i])) {
				printf("slot %u (kind %u, %u bit/s) without, %u has %u\n",
				       i, S[i].kind, least_bps(&S[i]), j, O[j].bps);
				fail();
			}
}

/* Things change, for minutes: what must hold holds all the time. */
static void test_whatever(void **state)
{
	(void)state;
	for (unsigned r = 1; r <= 200; r++) {
		seed = r * 2654435761u;
		begin(20000 + dice(1u << (10 + r % 14)), 10000 + dice(60000));
		for (unsigned i = 0; i < 1 + r % ALLOC_SLOTS; i++)
			random_slot(i);
		for (unsigned i = 0; i < 400; i++) {
			if (!dice(10))
				L.estimate_bps = L.estimate_bps / 16 * (8 + dice(18)) +
						 dice(30000);
			if (!dice(30))
				S[dice(count)].kind = (uint8_t)dice(ALLOC_KINDS);
			if (!dice(30))
				S[dice(count)].hidden ^= true;
			for (unsigned s = 0; s < count; s++) {
				uint32_t *bps = &S[s].layers[dice(3)][dice(3)].bps;

				*bps = *bps / 64 * (60 + dice(9));
			}
			go(0.1);
			check_sum();
			check_turns();
		}
	}
}

static int place(unsigned i)
{
	return O[i].sid < 0 ? -1 : (int)O[i].bps;
}

/* The first in turn who has got its smallest layer, or a screen more resolution, at one estimate and not at the
 * other: +1 the greater has it. 0: there is none. */
static int first_difference(const struct alloc_choice *small)
{
	for (unsigned kind = 0; kind < ALLOC_KINDS; kind++)
		for (unsigned i = 0; i < count; i++) {
			int a = small[i].sid, b = O[i].sid;

			if (S[i].kind != kind)
				continue;
			if (kind == ALLOC_SCREEN ? a != b : (a < 0) != (b < 0))
				return b > a ? 1 : -1;
		}
	return 0;
}

/* More room takes from nobody, unless somebody before them in turn is let in by it. */
static void test_monotone(void **state)
{
	struct alloc_choice small[ALLOC_SLOTS];
	unsigned let_in = 0, steps = 0;

	(void)state;
	for (unsigned r = 1; r <= 300; r++) {
		uint32_t estimate = 30000;

		seed = r * 40503u;
		begin(estimate, 10000 + dice(60000));
		for (unsigned i = 0; i < 1 + r % ALLOC_SLOTS; i++)
			random_slot(i);
		run();
		for (unsigned i = 0; i < 100; i++) {
			int differ;

			memcpy(small, O, sizeof small);
			estimate += estimate / 64 + dice(estimate / 16);
			L.estimate_bps = estimate;
			alloc_init(&C);
			run();
			differ = first_difference(small);
			assert_true(differ >= 0);
			let_in += differ > 0;
			for (unsigned s = 0; s < count && !differ; s++) {
				int before = small[s].sid < 0 ? -1 : (int)small[s].bps;

				assert_true(place(s) >= before);
				steps += place(s) > before;
			}
		}
	}
	assert_true(let_in > 100 && steps > 1000);
}

/* Ten minutes of a link whose estimate is off by up to 10 % either way, ten times a second, and of pictures whose
 * rates vary by 4 %. */
static void test_no_flapping(void **state)
{
	unsigned worst_early = 0, worst = 0, all = 0, minutes = 0;

	(void)state;
	for (unsigned r = 1; r <= 60; r++) {
		struct alloc_slot fixed[ALLOC_SLOTS];
		uint32_t estimate;
		unsigned changes = 0, minute;

		seed = r * 7919;
		estimate = 45000u + dice(1u << (15 + r % 9));
		begin(estimate, 20000);
		for (unsigned i = 0; i < 1 + r % ALLOC_SLOTS; i++)
			if (r % 2)
				random_slot(i);
			else
				camera(i == 1	? ALLOC_SCREEN
				       : i == 0 ? ALLOC_SPEAKER
						: ALLOC_CAMERA,
				       i ? 640 : 1280, i ? 360 : 720);
		memcpy(fixed, S, sizeof fixed);
		for (unsigned i = 0; i < 6000; i++) {
			L.estimate_bps = estimate / 1000 * (900 + dice(201));
			for (unsigned s = 0; s < count; s++)
				for (unsigned y = 0; y < 9; y++)
					S[s].layers[y / 3][y % 3].bps =
						fixed[s].layers[y / 3][y % 3].bps / 100 *
						(96 + dice(9));
			changes += go(0.1);
			if (i % 600 < 599)
				continue;
			minute = i / 600;
			if (minute < 2 && changes > worst_early)
				worst_early = changes;
			if (minute >= 2 && changes > worst)
				worst = changes;
			if (minute >= 2) {
				all += changes;
				minutes++;
			}
			changes = 0;
		}
	}
	printf("figure: +-10 %% of noise: all slots' switches in a minute: at most %u in "
	       "the first two, then %u; %u in %u minutes\n",
	       worst_early, worst, all, minutes);
	assert_true(worst <= 12);
	assert_true(all * 2 < minutes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thinnest),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_tiles),
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_rich),
		cmocka_unit_test(test_up_takes_time),
		cmocka_unit_test(test_margin),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_displaces),
		cmocka_unit_test(test_displaces_in_a_fall),
		cmocka_unit_test(test_displaces_steps),
		cmocka_unit_test(test_new_keeps_margin),
		cmocka_unit_test(test_rests),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_whatever),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_no_flapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
