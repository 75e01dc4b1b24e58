/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bandwidth estimator on links of all kinds, over seeds: what it finds, what queue it makes, how it
 * shares, what loss costs it, how soon it follows. Bounds are those of issue 4; where one is not the
 * issue's, the reason stands beside it. */
#include <palabre/cc_gcc.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/gcc_link.h"

enum { VIDEO_BYTES = 1200 };

static const double rates_k[] = { 30, 50, 150, 300, 1000, 5000 };
static const double rtts_ms[] = { 20, 100, 300, 800 };
#define FOR_LINKS(r, t) \
	for (unsigned r = 0; r < ARRAY_LEN(rates_k); r++) \
		for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)

/* ---- figures: the worst and the middle over all links and seeds */
struct figure {
	unsigned count;
	double values[1024];
};

static void add(struct figure *f, double value)
{
	assert_true(f->count < ARRAY_LEN(f->values));
	f->values[f->count++] = value;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void show(struct figure *f, const char *what)
{
	qsort(f->values, f->count, sizeof f->values[0], order);
	printf("figure: %s: %.3f to %.3f, median %.3f (%u runs)\n", what, f->values[0],
	       f->values[f->count - 1], f->values[f->count / 2], f->count);
}

static void check(bool ok, const char *what, double value, double limit)
{
	if (ok)
		return;
	printf("link %.0f kbit/s, round trip %.0f ms: %s is %.3f, limit %.3f\n",
	       L.rate_bps / 1e3, (double)L.delay_us * 2 / 1e3, what, value, limit);
	fail();
}

/* Per link, rate and seed a run of its own. */
static void begin(unsigned r, unsigned t, unsigned s)
{
	seed = (s + 1) * 104729ull + r * 7919 + t * 131;
	(void)dice();
	link_begin(rates_k[r] * 1e3, rtts_ms[t]);
}

static double packet_ms(void)
{
	return VIDEO_BYTES * 8e3 / L.rate_bps;
}

/* ---- one alone */

/* 85 to 95 % of the link; a queue of 150 ms and one packet of video for 95 % of packets; 95 % of the time
 * within 15 % of the mean. In one run of ten the crest of the saw goes beyond that for a second or two, at
 * 800 ms or 50 kbit/s: a queue is told from a packet (320 ms at 30 kbit/s) only after two of them, and known
 * only after a round trip, and until then the rate grows. It stays below 1.25. */
static void test_steady(void **state)
{
	static struct figure means, queues, outside, most;

	(void)state;
	for (unsigned s = 0; s < 4; s++)
		FOR_LINKS(r, t)
		{
			double mean, p95, out;

			begin(r, t, s);
			leg_begin(0, L.rate_bps);
			run(50);
			link_measure();
			run(90);
			mean = est_mean(0);
			p95 = p95_ms();
			out = est_outside(0, 0.15);
			add(&means, mean / L.rate_bps);
			add(&queues, p95 - packet_ms());
			add(&outside, out);
			add(&most, L.est_most[0] / mean);
			check(mean >= 0.85 * L.rate_bps, "mean", mean / L.rate_bps, 0.85);
			check(mean <= 0.95 * L.rate_bps, "mean", mean / L.rate_bps, 0.95);
			check(p95 <= 150 + packet_ms(), "queue", p95, 150 + packet_ms());
			check(out <= 0.05, "time beyond 15 %", out, 0.05);
			check(L.est_most[0] <= mean * 1.25, "crest", L.est_most[0] / mean,
			      1.25);
			assert_false(L.legs[0].wrong);
		}
	show(&means, "estimate, of the link");
	show(&queues, "queue, p95, less a packet of video, ms");
	show(&outside, "time beyond 15 % of the mean");
	show(&most, "crest, of the mean");
}

/* 15 ms of jitter, and one in ten feedbacks lost. */
static void test_jitter(void **state)
{
	static struct figure means, queues;

	(void)state;
	for (unsigned s = 0; s < 2; s++)
		FOR_LINKS(r, t)
		{
			double mean;

			begin(r, t, s);
			L.jitter_us = 15000;
			L.loss_back = 0.1;
			leg_begin(0, L.rate_bps);
			run(40);
			link_measure();
			run(80);
			mean = est_mean(0);
			add(&means, mean / L.rate_bps);
			add(&queues, p95_ms() - packet_ms());
			check(mean >= 0.80 * L.rate_bps, "mean", mean / L.rate_bps, 0.80);
			check(mean <= 0.96 * L.rate_bps, "mean", mean / L.rate_bps, 0.96);
			check(p95_ms() <= 150 + packet_ms(), "queue", p95_ms(),
			      150 + packet_ms());
		}
	show(&means, "jitter: estimate, of the link");
	show(&queues, "jitter: queue, p95, less a packet of video, ms");
}

/* 40 and 80 ms of it, in order: as of a phone in a moving bus. What is far above what pictures need is not asserted: 0.2 of 5 Mbit/s
 * are left of 80 ms. */
static void test_much_jitter(void **state)
{
	static struct figure means;

	(void)state;
	for (unsigned ms = 40; ms <= 80; ms += 40)
		FOR_LINKS(r, t)
		{
			double mean;

			if (rates_k[r] < 150 || rates_k[r] > 1000)
				continue;
			begin(r, t, 0);
			L.jitter_us = ms * 1000;
			leg_begin(0, L.rate_bps);
			run(40);
			link_measure();
			run(80);
			mean = est_mean(0);
			add(&means, mean / L.rate_bps);
			check(mean >= 0.80 * L.rate_bps, "mean", mean / L.rate_bps, 0.80);
			check(p95_ms() <= 150 + packet_ms(), "queue", p95_ms(),
			      150 + packet_ms());
		}
	show(&means, "40 and 80 ms of jitter: estimate, of the link");
}

/* The radio loses a tenth, one by one or three in a row: less than 15 % of the rate (of 92 % that are
 * found without). */
static void test_radio(void **state)
{
	static struct figure means, queues;

	(void)state;
	for (unsigned s = 0; s < 4; s++)
		FOR_LINKS(r, t)
		{
			double mean;

			begin(r, t, s);
			L.loss = 0.1;
			L.burst = s % 2 ? 3 : 1;
			leg_begin(0, L.rate_bps);
			run(40);
			link_measure();
			run(80);
			mean = est_mean(0);
			add(&means, mean / L.rate_bps);
			add(&queues, p95_ms() - packet_ms());
			check(mean >= 0.85 * 0.92 * L.rate_bps, "mean at 10 % loss",
			      mean / L.rate_bps, 0.85 * 0.92);
		}
	show(&means, "10 % loss: estimate, of the link");
	show(&queues, "10 % loss: queue, p95, less a packet of video, ms");
}

/* A queue so short that no delay shows: loss alone says that it is too much. */
static void test_short_queue(void **state)
{
	static struct figure means, losses;

	(void)state;
	for (unsigned s = 0; s < 3; s++)
		FOR_LINKS(r, t)
		{
			double mean, loss;

			begin(r, t, s);
			/* Room for less than four packets is no link that carries video. */
			L.limit_us = 30000 + (uint64_t)(packet_ms() * 3e3);
			leg_begin(0, L.rate_bps);
			run(60);
			link_measure();
			run(80);
			mean = est_mean(0);
			loss = 1 -
			       (double)L.legs[0].got_bytes / (double)L.legs[0].sent_bytes;
			add(&means, mean / L.rate_bps);
			add(&losses, loss);
			check(mean <= 1.1 * L.rate_bps, "mean", mean / L.rate_bps, 1.1);
			check(mean >= 0.75 * L.rate_bps, "mean", mean / L.rate_bps, 0.75);
			check(loss <= 0.12, "loss", loss, 0.12);
		}
	show(&means, "short queue: estimate, of the link");
	show(&losses, "short queue: loss");
}

/* ---- two on one link */

/* The greater gets at most twice as much, from two minutes after the second came: in 19 of 20 runs, and in
 * none three times. Beyond twice there are runs of two at 50 kbit/s each with 300 ms and more: each has
 * found its share the same for so often that it takes itself for alone (gcc_aimd_alone), and neither
 * gives way by more than the other. Putting that to the test every fifth time was tried: it costs the
 * 15 % of a steady link, and mends one run of three. */
static void test_fair(void **state)
{
	static struct figure ratios, sums, queues;
	static const double fair_k[] = { 100, 300, 1000, 5000 };
	unsigned unfair = 0, runs = 0;

	(void)state;
	for (unsigned s = 0; s < 4; s++)
		for (unsigned r = 0; r < ARRAY_LEN(fair_k); r++)
			for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++) {
				double ratio, sum;

				begin(r, t, s + 10);
				L.rate_bps = fair_k[r] * 1e3;
				leg_begin(0, L.rate_bps / 2);
				run(s % 2 ? 40 : 5);
				leg_begin(1, L.rate_bps / 2);
				run(120);
				link_measure();
				run(120);
				ratio = (double)L.legs[0].got_bytes /
					(double)L.legs[1].got_bytes;
				ratio = ratio < 1 ? 1 / ratio : ratio;
				sum = (est_mean(0) + est_mean(1)) / L.rate_bps;
				add(&ratios, ratio);
				add(&sums, sum);
				add(&queues, p95_ms() - packet_ms());
				check(ratio <= 3, "ratio", ratio, 3);
				unfair += ratio > 2;
				runs++;
				check(sum >= 0.8 && sum <= 1, "sum", sum, 0.8);
			}
	show(&ratios, "two on a link: the greater, of the smaller");
	assert_true(unfair * 20 <= runs);
	show(&sums, "two on a link: both estimates, of the link");
	show(&queues, "two on a link: queue, p95, less a packet of video, ms");
}

/* ---- a link that changes */

/* 1000 -> 200 -> 1000 kbit/s. A queue of 300 ms at most is not possible: what is on its way at 920 kbit/s in
 * a round trip of 20 ms and an interval of feedback of 50 ms is 320 ms of the new rate by itself (at 800 ms,
 * 3.9 s). What is sent until feedback of the new rate can be back is in the queue whatever is decided then:
 * a round trip, an interval, and two packets at the new rate, 48 ms each, since a single late one is
 * jitter. The queue of that moment is not the estimator's; from there on it may grow by 300 ms. Afterwards
 * 90 % of the rate are back within 8 s. */
static void test_drop(void **state)
{
	static struct figure overshoots, backs, lows, longest;

	(void)state;
	for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
		for (unsigned s = 0; s < 8; s++) {
			double before, known_ms, over_ms, back_s = 0;

			begin(4, t, s);
			L.limit_us = 20000000;
			leg_begin(0, L.rate_bps);
			run(40);
			link_measure();
			run(20 + dice());
			before = est_mean(0);
			L.rate_bps = 200000;
			run((double)(2 * L.delay_us + L.legs[0].feedback_us) / 1e6 +
			    2 * packet_ms() / 1e3);
			known_ms = L.bits * 1e3 / L.rate_bps;
			link_measure();
			run(15 + 10 * dice());
			over_ms = (double)L.queue_most_us / 1e3 - known_ms;
			add(&overshoots, over_ms);
			if (!t)
				add(&longest, (double)L.queue_most_us / 1e3);
			add(&lows, gcc_bps(&L.legs[0].c) / L.rate_bps);
			check(over_ms <= 300, "overshoot", over_ms, 300);
			L.rate_bps = 1000000;
			while (gcc_bps(&L.legs[0].c) < 0.9 * before && back_s < 20) {
				run(0.05);
				back_s += 0.05;
			}
			add(&backs, back_s);
			check(back_s <= 8, "back after", back_s, 8);
		}
	show(&overshoots, "1000 -> 200 kbit/s: queue beyond what was on its way, ms");
	show(&longest, "1000 -> 200 kbit/s: longest queue at 20 ms, ms");
	show(&lows, "1000 -> 200 kbit/s: estimate before it is back, of the link");
	show(&backs, "200 -> 1000 kbit/s: 90 % back after, s");
}

/* It becomes five times as much without ever having been so. */
static void test_rise(void **state)
{
	static struct figure backs;

	(void)state;
	for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
		for (unsigned s = 0; s < 4; s++) {
			double s_s = 0;

			begin(3, t, s);
			L.rate_bps = 200000;
			leg_begin(0, L.rate_bps);
			run(40);
			L.rate_bps = 1000000;
			while (gcc_bps(&L.legs[0].c) < 800000 && s_s < 60) {
				run(0.1);
				s_s += 0.1;
			}
			add(&backs, s_s);
			check(s_s <= 30, "found after", s_s, 30);
		}
	show(&backs, "200 -> 1000 kbit/s for the first time: 80 % after, s");
}

/* Nothing passes for a while. */
static void test_dead(void **state)
{
	static struct figure backs;

	(void)state;
	for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
		for (unsigned s = 0; s < 4; s++) {
			double s_s = 0, before;

			begin(4, t, s);
			leg_begin(0, L.rate_bps);
			run(40);
			before = gcc_bps(&L.legs[0].c);
			L.loss = 1;
			run(5);
			check(gcc_bps(&L.legs[0].c) < before * 0.95, "dead", 1, 1);
			L.loss = 0;
			while (gcc_bps(&L.legs[0].c) < 0.8 * before && s_s < 60) {
				run(0.1);
				s_s += 0.1;
			}
			add(&backs, s_s);
			check(s_s <= 10, "back after", s_s, 10);
		}
	show(&backs, "dead for 5 s: 80 % back after, s");
}

/* The way becomes longer by 120 ms and stays so: a queue that nothing drains is none for long. */
static void test_route(void **state)
{
	static struct figure backs;

	(void)state;
	for (unsigned r = 1; r < ARRAY_LEN(rates_k); r++)
		for (unsigned s = 0; s < 4; s++) {
			double s_s = 0, under_s = 0;

			begin(r, 0, s);
			leg_begin(0, L.rate_bps);
			run(50);
			L.delay_us += 120000;
			for (; s_s < 60; s_s += 0.1) {
				run(0.1);
				if (gcc_bps(&L.legs[0].c) < 0.7 * L.rate_bps)
					under_s = s_s;
			}
			add(&backs, under_s);
			/* two windows of gcc_delay.c, and the way up */
			check(under_s <= 45, "70 % again after", under_s, 45);
		}
	show(&backs, "120 ms more of way: 70 % of the link again after, s");
}

/* What it begins with is twice what a link of 2G bears. */
static void test_start(void **state)
{
	static struct figure queues, soon;

	(void)state;
	for (unsigned s = 0; s < 4; s++)
		FOR_LINKS(r, t)
		{
			double s_s = 0;

			begin(r, t, s);
			L.limit_us = 20000000;
			leg_begin(0, L.rate_bps);
			link_measure();
			if (rates_k[r] < 60) {
				run(10);
				add(&queues, (double)L.queue_most_us / 1e3);
				/* Twice the link until a round trip has passed. */
				check((double)L.queue_most_us / 1e3 < 1100 + rtts_ms[t],
				      "queue", (double)L.queue_most_us / 1e3,
				      1100 + rtts_ms[t]);
				continue;
			}
			while (gcc_bps(&L.legs[0].c) < 0.7 * L.rate_bps && s_s < 60) {
				run(0.1);
				s_s += 0.1;
			}
			add(&soon, s_s);
			check(s_s <= 15, "70 % after", s_s, 15);
		}
	show(&queues, "start at 60 kbit/s on 30 and 50: longest queue, ms");
	show(&soon, "start at 60 kbit/s on more: 70 % of the link after, s");
}

/* ---- little to send */

/* Most of the time there is little to send: the estimate stays near the link, neither gone with what is
 * sent nor out of bounds, and probing for it costs little. */
static void test_limited(void **state)
{
	static struct figure means, most, padding;

	(void)state;
	for (unsigned s = 0; s < 3; s++)
		FOR_LINKS(r, t)
		{
			double pad, mean;

			if (rates_k[r] < 150)
				continue;
			begin(r, t, s);
			leg_begin(0, L.rate_bps);
			run(30);
			L.legs[0].app_bps = L.rate_bps * 0.25;
			link_measure();
			run(120);
			mean = est_mean(0);
			pad = (double)L.legs[0].padding_bytes * 8 / 120 / L.rate_bps;
			add(&means, mean / L.rate_bps);
			add(&most, L.est_most[0] / L.rate_bps);
			add(&padding, pad);
			check(mean >= 0.45 * L.rate_bps, "mean", mean / L.rate_bps, 0.45);
			check(L.est_most[0] <= 1.3 * L.rate_bps, "most",
			      L.est_most[0] / L.rate_bps, 1.3);
			check(pad <= 0.08, "padding", pad, 0.08);
			/* and with all to send again it makes no more queue than that */
			L.legs[0].app_bps = 0;
			link_measure();
			run(20);
			check(L.queue_most_us < 500000, "queue",
			      (double)L.queue_most_us / 1e3, 500);
		}
	show(&means, "a quarter sent: estimate, of the link");
	show(&most, "a quarter sent: most of it");
	show(&padding, "a quarter sent: padding, of the link");
}

/* ---- without transport-cc */

static void test_blind(void **state)
{
	static struct figure means;
	struct gcc_params p = {
		.min_bps = 6000, .start_bps = 60000, .max_bps = 30000000, .blind = true
	};

	(void)state;
	for (unsigned s = 0; s < 2; s++)
		FOR_LINKS(r, t)
		{
			uint64_t sent = 0, got = 0;
			double sum = 0;
			unsigned n = 0;

			begin(r, t, s);
			L.loss = s ? 0.05 : 0;
			leg_begin(0, L.rate_bps);
			gcc_init(&L.legs[0].c, &p, L.now_us);
			L.legs[0].feedback_us = 1u << 30; /* none */
			L.legs[0].feedback_next_us = UINT64_MAX;
			for (unsigned i = 0; i < 150; i++) {
				uint64_t more_sent, more_got;
				double lost;

				run(1);
				more_sent = L.legs[0].sent_bytes - sent;
				more_got = L.legs[0].got_bytes - got;
				sent += more_sent;
				got += more_got;
				lost = more_got < more_sent &&
						       (double)L.limit_us * 0.9 <
							       L.bits * 1e6 / L.rate_bps
					       ? 1 - (double)more_got / (double)more_sent
					       : L.loss;
				(void)gcc_report(
					&L.legs[0].c, L.now_us, (unsigned)(lost * 256),
					2 * L.delay_us +
						(uint64_t)(L.bits * 1e6 / L.rate_bps));
				if (i >= 70) {
					sum += gcc_bps(&L.legs[0].c);
					n++;
				}
			}
			add(&means, sum / n / L.rate_bps);
			check(sum / n <= 1.15 * L.rate_bps, "mean", sum / n / L.rate_bps,
			      1.15);
			check(sum / n >= 0.5 * L.rate_bps, "mean", sum / n / L.rate_bps,
			      0.5);
		}
	show(&means, "reports alone: estimate, of the link");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),	    cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_much_jitter), cmocka_unit_test(test_radio),
		cmocka_unit_test(test_short_queue), cmocka_unit_test(test_fair),
		cmocka_unit_test(test_drop),	    cmocka_unit_test(test_rise),
		cmocka_unit_test(test_dead),	    cmocka_unit_test(test_route),
		cmocka_unit_test(test_start),	    cmocka_unit_test(test_limited),
		cmocka_unit_test(test_blind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
