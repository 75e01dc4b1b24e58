/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Pictures beside a voice on links of all kinds: off soon where they are too much, never where it is
 * the machine that stalls, and back when they fit. The voice itself behaves as its own controller makes
 * it: thin while pictures are off, and calm once the link bears the lanes. */
#include <palabre/cc.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEP_US = 5000,
	VOICE_BPS = 52000,
	THIN_BPS = 15000,
	EVENTS = 4096,
	FEEDBACK_US = 100000,
	OFTEN_US = 50000,
	SPARSE_US = 400000
};

static uint64_t seed;

static double dice(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static struct world {
	struct video_ctl c;
	uint64_t now_us, next_us, marked_us, run_us;
	/* the link */
	double rate_bps, video_bps, loss, loss_back;
	uint64_t queue_us, most_us, delay_us; /* what waits now, the most that may */
	bool dead;
	/* the receiver's machine: does nothing until then; stalls every so often for up to so long */
	uint64_t stalled_us;
	double stall_s, stall_most_s;
	bool muted;
	/* what is on its way back */
	unsigned count;
	struct event {
		uint64_t at_us, sent_us;
		int64_t arrival_us; /* 0: it was lost */
	} events[EVENTS];
	uint64_t heard_us;
	bool calm;
	unsigned offs, ons, probes;
} W;

static void begin(double rate_bps, double video_bps)
{
	memset(&W, 0, sizeof W);
	W.now_us = W.next_us = W.run_us = 100000000;
	W.rate_bps = rate_bps;
	W.video_bps = video_bps;
	W.most_us = 1000000;
	W.delay_us = 50000;
	video_init(&W.c, false, W.now_us);
}

/* What is sent fills the queue, and the link empties it. Gives the chance to get in. */
static double flow(void)
{
	double bps = (W.muted			     ? 0
		      : W.c.on			     ? VOICE_BPS
		      : W.rate_bps > VOICE_BPS * 1.2 ? VOICE_BPS
						     : THIN_BPS) +
		     (W.c.on ? W.video_bps : 0);
	double grown_us;

	if (W.rate_bps <= 0) {
		W.queue_us = 0;
		return 1;
	}
	grown_us = STEP_US * (bps / W.rate_bps - 1);
	if ((double)W.queue_us + grown_us <= 0) {
		W.queue_us = 0;
		return 1;
	}
	if ((double)W.queue_us + grown_us <= (double)W.most_us) {
		W.queue_us = (uint64_t)((double)W.queue_us + grown_us);
		return 1;
	}
	W.queue_us = W.most_us;
	return W.rate_bps / bps;
}

static void packet(double gets_in)
{
	uint64_t arrival_us = W.now_us + W.queue_us + W.delay_us, at_us;
	bool lost = W.dead || dice() >= gets_in || dice() < W.loss;

	if (W.now_us < W.marked_us + (W.c.measure ? OFTEN_US : SPARSE_US))
		return;
	W.marked_us = W.now_us;
	video_sent(&W.c, W.now_us);
	assert_true(W.count < EVENTS);
	if (arrival_us < W.stalled_us)
		arrival_us = W.stalled_us;
	at_us = (arrival_us / FEEDBACK_US + 1) * FEEDBACK_US + W.delay_us;
	W.events[W.count++] =
		(struct event) { at_us, W.now_us,
				 lost ? 0 : (int64_t)arrival_us + 333333333 };
}

/* A loss is told of with what arrives next. */
static void feedback(void)
{
	unsigned kept = 0;
	int last = -1;
	bool away = W.dead || W.now_us < W.stalled_us + W.delay_us;

	for (unsigned i = 0; i < W.count; i++)
		if (W.events[i].at_us <= W.now_us && W.events[i].arrival_us)
			last = (int)i;
	if (away || last < 0)
		return;
	if (dice() >= W.loss_back)
		video_heard(&W.c, W.now_us);
	for (unsigned i = 0; i < W.count; i++) {
		struct event e = W.events[i];

		if ((int)i > last)
			W.events[kept++] = e;
		else if (W.heard_us != W.now_us && dice() < W.loss_back)
			continue;
		else if (e.arrival_us)
			video_sample(&W.c, W.now_us, e.sent_us, e.arrival_us);
		else
			video_lost(&W.c, W.now_us);
	}
	W.count = kept;
}

static void stalls(void)
{
	if (W.stall_s > 0 && W.now_us >= W.stalled_us &&
	    dice() < STEP_US / 1e6 / W.stall_s)
		W.stalled_us = W.now_us + (uint64_t)(dice() * W.stall_most_s * 1e6);
}

static void run(double s)
{
	uint64_t end_us = W.now_us + (uint64_t)(s * 1e6);

	for (; W.now_us < end_us; W.now_us += STEP_US) {
		double gets_in = flow();

		stalls();
		if (!W.muted && W.now_us >= W.next_us) {
			W.next_us = W.now_us + 20000;
			packet(gets_in);
		}
		feedback();
		/* reports, requests, a microphone */
		if (!W.dead && W.now_us >= W.stalled_us && W.now_us % 200000 == 0 &&
		    dice() >= W.loss_back)
			video_heard(&W.c, W.now_us);
		if (W.now_us < W.run_us)
			continue;
		W.run_us += VIDEO_RUN_US;
		W.calm = !W.c.on && (W.rate_bps <= 0 || W.rate_bps > VOICE_BPS * 1.2) &&
			 W.queue_us < 100000;
		video_rtt(&W.c, W.delay_us * 2);
		if (video_run(&W.c, W.now_us, W.calm)) {
			W.offs += !W.c.on;
			W.ons += W.c.on;
		}
		if (!W.muted && video_asks(&W.c, W.now_us)) {
			if (W.rate_bps > 0)
				W.queue_us +=
					(uint64_t)(VIDEO_PROBE_BYTES * 8e6 / W.rate_bps);
			video_probe(&W.c, W.now_us);
			W.probes++;
		}
	}
}

/* Seconds until pictures are on, or off. */
static double until(bool on, double most_s)
{
	uint64_t begin_us = W.now_us;

	while (W.c.on != on && W.now_us < begin_us + (uint64_t)(most_s * 1e6))
		run(STEP_US / 1e6);
	return (double)(W.now_us - begin_us) / 1e6;
}

static void test_fits(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		seed = i * 7919;
		begin(i % 2 ? 0 : 800000, 500000);
		W.loss = i % 4 < 2 ? 0 : 0.15;
		W.loss_back = W.loss;
		W.delay_us = i * 25000;
		run(600);
		if (W.offs)
			printf("seed %u: off %u times\n", i, W.offs);
		assert_int_equal(W.offs, 0);
	}
}

/* Whatever the queue, and at 20 and at 90 % too much. */
static void test_too_much(void **state)
{
	double worst = 0;

	(void)state;
	for (unsigned i = 1; i <= 60; i++) {
		double s;

		seed = i * 104729;
		begin(0, 200000 + dice() * 800000);
		W.delay_us = 20000 + (uint64_t)(dice() * 300000);
		run(20);
		W.rate_bps = 20000 + dice() * 100000;
		W.most_us = 600000 + (uint64_t)(dice() * dice() * 5e6);
		s = until(false, 10);
		if (getenv("SHOW"))
			printf("%.0f bit/s, queue %llu ms: off after %.1f s\n",
			       W.rate_bps, (unsigned long long)W.most_us / 1000, s);
		if (s > worst)
			worst = s;
	}
	printf("figure: pictures too much: off after %.1f s at most\n", worst);
	assert_true(worst < 4.5);
}

/* A queue too short to be late: most is lost. */
static void test_lost(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		seed = i * 15485863;
		begin(0, 500000);
		run(20);
		W.rate_bps = 60000;
		W.most_us = 150000;
		assert_true(until(false, 10) < 8);
	}
}

/* All muted: nothing of the sound tells; reports of the pictures do. */
static void test_reports(void **state)
{
	(void)state;
	begin(0, 500000);
	run(5);
	W.muted = true;
	for (unsigned i = 0; i < 40 && W.c.on; i++) {
		run(0.25);
		video_report(&W.c, i < 4 ? 20 : 200);
	}
	assert_false(W.c.on);
	/* a rare bad one is none */
	begin(0, 500000);
	W.muted = true;
	for (unsigned i = 0; i < 100; i++) {
		run(4);
		video_report(&W.c, 200);
	}
	assert_true(W.c.on);
	/* who only reports */
	video_init(&W.c, true, W.now_us);
	for (unsigned i = 0; i < 100; i++) {
		run(0.25);
		video_report(&W.c, i % 3 ? 200 : 10);
	}
	assert_true(W.c.on);
	for (unsigned i = 0; i < 10; i++) {
		run(0.25);
		video_report(&W.c, 200);
	}
	assert_false(W.c.on);
}

/* A machine that does nothing for seconds, again and again, is no thin link. */
static void test_stalls(void **state)
{
	unsigned offs = 0;

	(void)state;
	for (unsigned i = 1; i <= 40; i++) {
		seed = i * 49979687;
		begin(0, 500000);
		W.stall_s = 1 + i % 4;
		W.stall_most_s = 1 + i % 3;
		run(300);
		offs += W.offs;
	}
	printf("figure: 200 minutes on machines that stall: off %u times\n", offs);
	assert_int_equal(offs, 0);
}

/* It dies for a while: as before when it is back. */
static void test_dead(void **state)
{
	(void)state;
	begin(0, 500000);
	run(20);
	W.dead = true;
	run(5);
	W.dead = false;
	run(20);
	assert_int_equal(W.offs, 0);
	W.dead = true;
	run(12);
	assert_int_equal(W.offs, 1);
	W.dead = false;
	assert_true(until(true, 30) < 15);
	run(60);
	assert_int_equal(W.offs, 1);
}

/* It fits again: tried soon. It does not: tried, and given up at once, and ever more rarely. */
static void test_back(void **state)
{
	unsigned tries;

	(void)state;
	seed = 5;
	begin(30000, 500000);
	run(60);
	assert_int_equal(W.offs, 1);
	assert_int_equal(W.ons, 0);
	W.rate_bps = 0;
	assert_true(until(true, 30) < 6);
	run(120);
	assert_int_equal(W.offs, 1);
	/* pictures are out of the question: probes say so, and come rarely */
	begin(100000, 500000);
	run(60);
	assert_int_equal(W.offs, 1);
	W.probes = 0;
	run(3600);
	assert_int_equal(W.ons, 0);
	assert_in_range(W.probes, 50, 65);
	/* they nearly fit */
	begin(300000, 500000);
	run(60);
	tries = W.offs;
	assert_in_range(tries, 2, 5);
	run(3600);
	printf("figure: pictures tried in an hour where only voices fit: %u times\n",
	       W.offs - tries);
	assert_in_range(W.offs - tries, 4, 14);
	/* and after long calm patience begins anew */
	W.rate_bps = 0;
	assert_true(until(true, 700) < 650);
	run(200);
	W.rate_bps = 30000;
	assert_true(until(false, 10) < 5);
	W.rate_bps = 0;
	assert_true(until(true, 60) < 15);
}

static void test_rests(void **state)
{
	(void)state;
	begin(0, 500000);
	assert_true(video_rests(&W.c));
	run(5);
	W.muted = true;
	run(2);
	assert_true(video_rests(&W.c));
	video_sent(&W.c, W.now_us);
	assert_false(video_rests(&W.c));
	run(2);
	video_report(&W.c, 200);
	assert_false(video_rests(&W.c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),   cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_lost),   cmocka_unit_test(test_reports),
		cmocka_unit_test(test_stalls), cmocka_unit_test(test_dead),
		cmocka_unit_test(test_back),   cmocka_unit_test(test_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
