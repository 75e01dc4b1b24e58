/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bandwidth estimator's parts, and what it makes of bad input: nothing. How well it estimates is for
 * sim_cc_gcc. */
#include "gcc_in.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static struct gcc C;
static uint64_t now_us, number;
enum { AHEAD_US = 123456789 }; /* the receiver's clock */

static void begin(uint32_t start_bps)
{
	struct gcc_params p = { .min_bps = 6000,
				.start_bps = start_bps,
				.max_bps = 20000000 };

	now_us = 5000000;
	number = 65000; /* wraps soon */
	gcc_init(&C, &p, now_us);
}

static uint64_t send(unsigned bytes)
{
	assert_int_equal(gcc_sent(&C, now_us, ++number, bytes, GCC_VIDEO), 0);
	return number;
}

static enum gcc_verdict tell(uint64_t n, bool received, int64_t at_us)
{
	return gcc_feedback(&C, (uint16_t)n, received, at_us);
}

/* Bytes every interval for so long, each way_us later there, rising by rise_us a second; feedback of
 * ten at a time, 50 ms later. */
static void flow(double s, unsigned bytes, uint64_t interval_us, int64_t way_us,
		 double rise_us, double loss)
{
	uint64_t count = (uint64_t)(s * 1e6) / interval_us, first = number + 1;
	static double lost;
	uint64_t sent_us[16];

	for (uint64_t i = 0; i < count; i++) {
		sent_us[i % 10] = now_us;
		(void)send(bytes);
		now_us += interval_us;
		if (i % 10 != 9)
			continue;
		gcc_feedback_begin(&C, now_us + (uint64_t)way_us + 50000);
		for (unsigned k = 0; k < 10; k++) {
			double t = (double)(sent_us[k] - 5000000) / 1e6;
			bool drop;

			lost += loss;
			drop = lost >= 1;
			lost -= drop;
			(void)tell(first++, !drop,
				   (int64_t)sent_us[k] + AHEAD_US + way_us +
					   (int64_t)(t * rise_us));
		}
		(void)gcc_feedback_end(&C);
	}
}

/* ---- bad input */

static void test_sent(void **state)
{
	(void)state;
	begin(100000);
	assert_int_equal(gcc_sent(&C, now_us, 0, 1200, GCC_AUDIO), -EINVAL);
	assert_int_equal(gcc_sent(&C, now_us, 10, 1200, GCC_AUDIO), 0);
	assert_int_equal(gcc_sent(&C, now_us, 10, 1200, GCC_AUDIO), -EINVAL);
	assert_int_equal(gcc_sent(&C, now_us, 9, 1200, GCC_AUDIO), -EINVAL);
	assert_int_equal(gcc_sent(&C, now_us, 11, 0, GCC_AUDIO), -EINVAL);
	assert_int_equal(gcc_sent(&C, now_us, 11, 65536, GCC_AUDIO), -EINVAL);
	assert_int_equal(gcc_sent(&C, now_us, 11, 100, GCC_KINDS), -EINVAL);
	assert_int_equal(C.in_flight_bytes, 1200);
	/* numbers may be left out, and jump */
	assert_int_equal(gcc_sent(&C, now_us, 20, 100, GCC_AUDIO), 0);
	assert_int_equal(C.in_flight_bytes, 1300);
	assert_int_equal(gcc_sent(&C, now_us, 1ull << 40, 100, GCC_AUDIO), 0);
	assert_int_equal(C.in_flight_bytes, 100);
	/* what is not acknowledged at all leaves the ring, and flight with it */
	for (unsigned i = 1; i <= 3 * GCC_PACKETS; i++)
		assert_int_equal(gcc_sent(&C, now_us, (1ull << 40) + i, 100, GCC_VIDEO),
				 0);
	assert_int_equal(C.in_flight_bytes, 100 * GCC_PACKETS);
}

static void test_feedback_of_nothing(void **state)
{
	uint32_t before;

	(void)state;
	begin(100000);
	before = gcc_bps(&C);
	gcc_feedback_begin(&C, now_us);
	assert_int_equal(tell(5, true, 1), GCC_NEVER_SENT);
	(void)gcc_feedback_end(&C);
	/* before the first number of all */
	assert_int_equal(gcc_sent(&C, now_us, 1, 100, GCC_AUDIO), 0);
	gcc_feedback_begin(&C, now_us);
	assert_int_equal(tell(65530, true, 1), GCC_FORGOTTEN);
	assert_int_equal(tell(1, true, 1), GCC_USED);
	assert_int_equal(C.in_flight_bytes, 0);
	begin(100000);
	gcc_feedback_begin(&C, now_us);
	assert_int_equal(tell(5, true, 1), GCC_NEVER_SENT);
	assert_false(gcc_feedback_end(&C));
	for (unsigned i = 0; i < 2 * GCC_PACKETS; i++)
		(void)send(100);
	now_us += 50000;
	gcc_feedback_begin(&C, now_us);
	assert_int_equal(tell(number + 1, true, 1), GCC_NEVER_SENT);
	assert_int_equal(tell(number + 30000, true, 1), GCC_NEVER_SENT);
	assert_int_equal(tell(number - GCC_PACKETS, true, 1), GCC_FORGOTTEN);
	assert_int_equal(tell(number - 20000, false, 0), GCC_FORGOTTEN);
	assert_false(gcc_feedback_end(&C));
	assert_int_equal(C.ignored[GCC_NEVER_SENT], 3);
	assert_int_equal(C.ignored[GCC_FORGOTTEN], 2);
	assert_int_equal(gcc_bps(&C), before);
	assert_int_equal(C.in_flight_bytes, 100 * GCC_PACKETS);
	/* feedback of none, and one that never began */
	gcc_feedback_begin(&C, now_us);
	assert_false(gcc_feedback_end(&C));
	assert_false(gcc_feedback_end(&C));
}

static void test_duplicates(void **state)
{
	uint64_t n;

	(void)state;
	begin(100000);
	n = send(1000);
	now_us += 50000;
	gcc_feedback_begin(&C, now_us);
	assert_int_equal(tell(n, false, 0), GCC_USED);
	assert_int_equal(tell(n, false, 0), GCC_DUPLICATE);
	assert_int_equal(C.loss.now.lost, 1);
	/* it comes after all */
	assert_int_equal(tell(n, true, AHEAD_US), GCC_USED);
	assert_int_equal(C.loss.now.lost, 0);
	assert_int_equal(C.loss.now.told, 1);
	assert_int_equal(tell(n, true, AHEAD_US), GCC_DUPLICATE);
	assert_int_equal(tell(n, false, 0), GCC_DUPLICATE);
	assert_int_equal(C.ignored[GCC_DUPLICATE], 3);
	assert_int_equal(C.in_flight_bytes, 0);
}

/* Any arrival times at all: bounded, and well again when they are. */
static void test_clocks(void **state)
{
	static const int64_t jumps_us[] = {
		INT64_MIN,	     INT64_MAX,	       -1, (int64_t)1 << 43,
		-((int64_t)1 << 43), (int64_t)1 << 44, 0
	};

	(void)state;
	begin(300000);
	flow(5, 1000, 30000, 20000, 0, 0);
	for (unsigned i = 0; i < ARRAY_LEN(jumps_us); i++) {
		uint64_t n = send(1000);
		enum gcc_verdict v;

		now_us += 30000;
		gcc_feedback_begin(&C, now_us + 50000);
		v = tell(n, true, jumps_us[i]);
		assert_true(v == GCC_USED || v == GCC_BAD_TIME);
		(void)gcc_feedback_end(&C);
		assert_in_range(gcc_bps(&C), 6000, 20000000);
	}
	assert_int_equal(C.ignored[GCC_BAD_TIME], 3);
	assert_true(C.jumps >= 2);
	/* backwards by 20 ms each: no queue of any kind */
	for (unsigned i = 0; i < 200; i++) {
		uint64_t n = send(1000);

		now_us += 30000;
		gcc_feedback_begin(&C, now_us + 50000);
		(void)tell(n, true, (int64_t)(1000000 - i * 20000));
		(void)gcc_feedback_end(&C);
	}
	assert_in_range(gcc_bps(&C), 6000, 20000000);
	flow(30, 1000, 20000, 20000, 0, 0);
	assert_true(gcc_bps(&C) > 300000);
	/* A step of the receiver's clock, with no round trip that has grown, is no queue. */
	C.delay_bps = C.bps = 400000;
	flow(2, 1000, 20000, 20000, 0, 0);
	C.aimd.start = false;
	for (unsigned i = 0; i < 50; i++) {
		uint64_t n = send(1000);

		gcc_feedback_begin(&C, now_us + 70000);
		(void)tell(n, true, (int64_t)now_us + AHEAD_US + 20000 + 400000);
		(void)gcc_feedback_end(&C);
		now_us += 20000;
	}
	assert_true(gcc_bps(&C) > 350000);
}

/* Our own clock is monotonic; if it were not, nothing breaks. */
static void test_time_back(void **state)
{
	(void)state;
	begin(300000);
	flow(2, 1000, 30000, 20000, 0, 0);
	gcc_feedback_begin(&C, 1);
	(void)gcc_feedback_end(&C);
	(void)gcc_run(&C, 0);
	(void)gcc_report(&C, 0, 255, UINT64_MAX);
	(void)gcc_remb(&C, 0, 100000);
	flow(2, 1000, 30000, 20000, 0, 0);
	assert_in_range(gcc_bps(&C), 6000, 20000000);
	(void)gcc_run(&C, UINT64_MAX / 2);
	assert_in_range(gcc_bps(&C), 6000, 20000000);
}

static uint32_t chance(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 20);
}

/* All of it at random: the estimate stays within its bounds, flight within what was sent. */
static void test_anything(void **state)
{
	struct gcc_cluster plan;

	(void)state;
	begin(100000);
	for (unsigned i = 0; i < 200000; i++) {
		now_us += chance() % 20000;
		switch (chance() % 8) {
		default:
			(void)gcc_sent(&C, now_us, number += chance() % 3,
				       chance() % 1500, GCC_VIDEO);
			break;
		case 4:
			gcc_feedback_begin(&C, now_us);
			for (unsigned k = chance() % 30; k; k--)
				(void)tell(number - chance() % 64, chance() % 4,
					   (int64_t)(now_us + chance() % 300000 -
						     chance() % 100000));
			(void)gcc_feedback_end(&C);
			break;
		case 5:
			(void)gcc_run(&C, now_us);
			break;
		case 6:
			if (gcc_probe(&C, now_us, &plan)) {
				assert_true(plan.bytes > 0 && plan.packet_bytes > 0);
				assert_true(plan.bps <= 20000000);
			}
			break;
		case 7:
			if (chance() % 100 == 0)
				(void)gcc_remb(&C, now_us, (uint64_t)chance() << 20);
			(void)gcc_report(&C, now_us, chance() % 256, chance());
			break;
		}
		assert_in_range(gcc_bps(&C), 6000, 20000000);
		assert_true(C.in_flight_bytes <= 1500u * GCC_PACKETS);
		assert_true(C.loss.inherent >= 0 && C.loss.inherent < 1);
	}
}

/* ---- reports */

static void test_remb(void **state)
{
	(void)state;
	begin(300000);
	assert_true(gcc_remb(&C, now_us, 100000));
	assert_int_equal(gcc_bps(&C), 100000);
	assert_true(gcc_remb(&C, now_us, 0));
	assert_int_equal(gcc_bps(&C), 6000);
	(void)gcc_remb(&C, now_us, 1ull << 63);
	assert_in_range(gcc_bps(&C), 6000, 300000);
	/* it lasts for 10 s, after which nobody says so any more */
	(void)gcc_remb(&C, now_us, 7000);
	now_us += 5000000;
	(void)gcc_run(&C, now_us);
	assert_int_equal(gcc_bps(&C), 7000);
	now_us += 6000000;
	(void)gcc_run(&C, now_us);
	assert_true(gcc_bps(&C) > 7000);
}

static void test_reports(void **state)
{
	struct gcc_params p = {
		.min_bps = 6000, .start_bps = 100000, .max_bps = 1000000, .blind = true
	};

	(void)state;
	now_us = 5000000;
	number = 0;
	gcc_init(&C, &p, now_us);
	assert_false(gcc_report(&C, now_us, 200, 0)); /* of nothing */
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 50; k++) {
			(void)send(gcc_bps(&C) / 8 / 50);
			now_us += 20000;
		}
		(void)gcc_report(&C, now_us, 0, 100000);
	}
	assert_in_range(gcc_bps(&C), 150000, 1000000);
	/* a round trip that grows is a queue */
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 50; k++) {
			(void)send(gcc_bps(&C) / 8 / 50);
			now_us += 20000;
		}
		(void)gcc_report(&C, now_us, 0, 600000);
	}
	assert_true(gcc_bps(&C) < 150000);
	assert_true(gcc_may_send(&C, 100000)); /* there is nothing to know of flight */
	/* reports decide nothing where there is transport-cc */
	begin(100000);
	(void)send(1000);
	assert_false(gcc_report(&C, now_us, 255, 5000000));
	assert_int_equal(gcc_bps(&C), 100000);
}

/* ---- parts */

static void test_groups(void **state)
{
	(void)state;
	begin(100000);
	C.now_us = now_us;
	/* three within 5 ms are one; the fourth closes it */
	assert_true(gcc_delay_packet(&C, 0, 100000));
	assert_true(gcc_delay_packet(&C, 2000, 101000));
	assert_true(gcc_delay_packet(&C, 5000, 108000));
	assert_int_equal(C.delay.count, 0);
	assert_true(gcc_delay_packet(&C, 20000, 120000));
	assert_int_equal(C.delay.count, 1);
	assert_int_equal(C.delay.points[0].way_us, 103000);
	/* held back and let go at once: one group with the one before */
	assert_true(gcc_delay_packet(&C, 40000, 121000));
	assert_int_equal(C.delay.count, 1);
	/* overtaken: passed over */
	assert_true(gcc_delay_packet(&C, 10000, 130000));
	assert_int_equal(C.delay.count, 1);
	/* and a jump begins anew */
	assert_false(gcc_delay_packet(&C, 60000, 20000000));
	assert_int_equal(C.delay.count, 0);
}

static void test_trend(void **state)
{
	(void)state;
	begin(300000);
	flow(3, 700, 20000, 20000, 0, 0);
	assert_int_equal(C.delay.signal, GCC_NORMAL);
	assert_true(C.delay.rise_us < 1000 && C.delay.rise_us > -1000);
	assert_int_equal(C.delay.standing_us, 0);
	/* a tenth too much: with the queue the round trip grows as well, here told by hand */
	for (unsigned i = 0; i < 200 && C.delay.signal != GCC_OVERUSE; i++) {
		uint64_t n = send(700);
		int64_t queue_us = i * 2000;

		gcc_feedback_begin(&C, now_us + 70000 + (uint64_t)queue_us);
		(void)tell(n, true, (int64_t)now_us + AHEAD_US + 20000 + queue_us);
		(void)gcc_feedback_end(&C);
		now_us += 20000;
	}
	assert_int_equal(C.delay.signal, GCC_OVERUSE);
	assert_true(C.delay.rise_us > 0);
	assert_true(C.delay.queue_us < 150000);
	assert_true(gcc_bps(&C) < 300000);
	assert_true(C.aimd.draining);
	/* and less: it drains */
	for (unsigned i = 0; i < 5; i++) {
		uint64_t n = send(700);
		int64_t queue_us = 90000 - 20000 * (int64_t)i;

		gcc_feedback_begin(&C, now_us + 70000 + (uint64_t)(queue_us + 10000));
		(void)tell(n, true, (int64_t)now_us + AHEAD_US + 20000 + queue_us);
		(void)gcc_feedback_end(&C);
		now_us += 60000;
	}
	assert_int_equal(C.delay.signal, GCC_UNDERUSE);
	assert_true(C.delay.rise_us < 0);
}

/* At 20 kbit/s as at 20 Mbit/s: what one packet takes is no queue. */
static void test_packet_time(void **state)
{
	int64_t thin_us, fat_us;

	(void)state;
	begin(20000);
	(void)send(1200);
	thin_us = gcc_delay_limit_us(&C);
	assert_int_equal(gcc_packet_us(&C, 20000), 480000);
	begin(20000000);
	(void)send(1200);
	fat_us = gcc_delay_limit_us(&C);
	assert_true(thin_us > 120000 && thin_us < 480000);
	assert_in_range(fat_us, 15000, 40000);
	/* in flight there is always room for one packet */
	begin(6000);
	(void)send(1200);
	assert_true(gcc_window_bytes(&C) >= 1200);
}

/* The radio's loss costs nothing; a link that is full is found. */
static void test_loss(void **state)
{
	(void)state;
	begin(300000);
	C.aimd.start = false;
	C.delay_bps = C.bps = 300000;
	for (unsigned i = 0; i < 40; i++) {
		C.now_us += 500000;
		gcc_loss_observe(&C, 250000 + (i % 5) * 25000, 50, 5, 5);
	}
	assert_true(C.loss_bps == 0);
	assert_true(C.loss.inherent > 0.08 && C.loss.inherent < 0.12);
	begin(300000);
	C.aimd.start = false;
	for (unsigned i = 0; i < 40; i++) {
		double bps = 200000 + (i % 6) * 40000;
		unsigned lost = bps > 250000 ? (unsigned)(100 * (1 - 250000 / bps)) : 0;

		C.now_us += 500000;
		gcc_loss_observe(&C, bps, 100, lost, lost);
	}
	assert_true(C.loss_bps > 200000 && C.loss_bps < 260000);
	assert_true(C.loss.inherent < 0.03);
	/* more lost than told of, none told of */
	gcc_loss_observe(&C, 1, 5, 50, 5);
	gcc_loss_observe(&C, 1, 0, 50, 5);
	assert_true(C.loss.recent <= 1);
}

/* A feedback that is lost is no rate that has halved. */
static void test_feedback_lost(void **state)
{
	double before;

	(void)state;
	begin(400000);
	flow(4, 1000, 20000, 20000, 0, 0);
	before = gcc_rate_bps(&C.arrived, 1000000);
	assert_true(before > 390000 && before < 410000);
	for (unsigned i = 0; i < 10; i++) {
		(void)send(1000);
		now_us += 20000;
	}
	flow(0.4, 1000, 20000, 20000, 0, 0);
	assert_true(gcc_rate_bps(&C.arrived, 1000000) > before * 0.95);
	assert_true(gcc_rate_bps(&C.arrived, 1000000) < before * 1.05);
}

/* Little is sent: the estimate stays. */
static void test_limited(void **state)
{
	uint32_t before;

	(void)state;
	begin(1000000);
	C.aimd.start = false;
	flow(3, 200, 20000, 20000, 0, 0);
	assert_true(C.limited);
	before = gcc_bps(&C);
	flow(120, 200, 20000, 20000, 0, 0);
	assert_int_equal(gcc_bps(&C), before);
	/* a blip is not the link's end */
	flow(0.6, 200, 20000, 20000, 100000, 0);
	assert_true(gcc_bps(&C) >= before / 4);
	flow(10, 2600, 20000, 20000, 0, 0);
	assert_true(gcc_bps(&C) > before);
}

/* A cluster at the pace asked for, that arrives stretched by that factor. */
static void cluster(const struct gcc_cluster *plan, double stretch, unsigned lost)
{
	uint64_t begin_us = now_us, first = number + 1;
	unsigned count = plan->bytes / plan->packet_bytes + 1;
	uint64_t step_us = plan->packet_bytes * 8000000ull / plan->bps;

	for (unsigned i = 0; i < count; i++) {
		(void)send(plan->packet_bytes);
		now_us += step_us;
	}
	now_us += 100000;
	gcc_feedback_begin(&C, now_us);
	for (unsigned i = 0; i < count; i++)
		(void)tell(first + i, i < count - lost,
			   (int64_t)(begin_us + AHEAD_US + 20000) +
				   (int64_t)((double)(i * step_us) * stretch));
	(void)gcc_feedback_end(&C);
}

static void test_probe(void **state)
{
	struct gcc_cluster plan;
	uint32_t before;

	(void)state;
	begin(200000);
	assert_false(gcc_probe(&C, now_us, &plan)); /* nothing is known yet */
	flow(1, 500, 20000, 20000, 0, 0);
	assert_true(gcc_probe(&C, now_us, &plan));
	assert_false(gcc_probe(&C, now_us, &plan)); /* one at a time */
	before = gcc_bps(&C);
	assert_true(plan.bps > before * 3 / 2);
	assert_true(plan.deadline_us > now_us);
	cluster(&plan, 1, 0);
	assert_int_equal(C.probe.passed, 1);
	assert_in_range(gcc_bps(&C), plan.bps * 9 / 10, plan.bps * 11 / 10);
	/* the link bears two thirds of the next: no more than that is believed */
	flow(1, 1200, 20000, 20000, 0, 0);
	assert_true(gcc_probe(&C, now_us, &plan));
	before = gcc_bps(&C);
	cluster(&plan, 1.5, 0);
	assert_int_equal(C.probe.failed, 1);
	assert_true(gcc_bps(&C) < plan.bps * 7 / 10);
	/* nothing of it is told of: given up in time, and nothing has changed */
	begin(200000);
	flow(1, 500, 20000, 20000, 0, 0);
	assert_true(gcc_probe(&C, now_us, &plan));
	before = gcc_bps(&C);
	for (unsigned i = 0; i < 10; i++)
		(void)send(plan.packet_bytes);
	for (unsigned i = 0; i < 20; i++)
		(void)gcc_run(&C, now_us += 200000);
	assert_false(C.probe.active);
	assert_true(gcc_bps(&C) <= before);
}

/* What nobody wants is not looked for. */
static void test_wanted(void **state)
{
	struct gcc_cluster plan;

	(void)state;
	begin(200000);
	gcc_wanted(&C, 150000);
	flow(1, 500, 20000, 20000, 0, 0);
	assert_false(gcc_probe(&C, now_us, &plan));
	gcc_wanted(&C, 250000);
	assert_true(gcc_probe(&C, now_us, &plan));
	assert_true(plan.bps <= 300000);
}

/* Video waits when too much is in flight, and goes again when that is written off. */
static void test_window(void **state)
{
	unsigned sent = 0;

	(void)state;
	begin(200000);
	flow(2, 500, 20000, 20000, 0, 0);
	while (gcc_may_send(&C, 1000)) {
		(void)send(1000);
		sent += 1000;
		assert_true(sent < 20000);
	}
	assert_true(C.in_flight_bytes <= gcc_window_bytes(&C));
	for (unsigned i = 0; i < 20; i++)
		(void)gcc_run(&C, now_us += 100000);
	assert_true(gcc_may_send(&C, 1000));
	assert_true(gcc_bps(&C) < 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_feedback_of_nothing),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_time_back),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_remb),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_packet_time),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_feedback_lost),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
