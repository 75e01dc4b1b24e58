/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The timer wheel on virtual time: by hand, and against a plain array of due times. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define START_US UINT64_C(1000000007)

struct mine {
	struct timer t;
	unsigned fired;
	uint64_t fired_us;
	struct mine *disarm, *arm;
	uint64_t arm_us;
	bool free;
};

static struct wheel *wheel;

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct mine *m = CONTAINER_OF(t, struct mine, t);

	assert_int_equal(t->due_us, 0);
	m->fired++;
	m->fired_us = now_us;
	if (m->disarm)
		wheel_disarm(wheel, &m->disarm->t);
	if (m->arm)
		wheel_arm(wheel, &m->arm->t, m->arm_us);
	if (m->free)
		free(m);
}

static int setup(void **state)
{
	(void)state;
	wheel = wheel_create(START_US);
	return !wheel;
}

static int teardown(void **state)
{
	(void)state;
	wheel_destroy(wheel);
	return 0;
}

static void test_fires_once_and_not_early(void **state)
{
	static const uint64_t in_us[] = { 0,	   1,	     3999,	4000,
					  4001,	   999999,   4095999,	4096000,
					  4096001, 60000000, 3600000000 };
	struct mine m[ARRAY_LEN(in_us)] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(in_us); i++) {
		m[i].t.fn = on_timer;
		wheel_arm(wheel, &m[i].t, START_US + in_us[i]);
	}
	assert_int_equal(wheel_count(wheel), ARRAY_LEN(in_us));
	for (i = 0; i < ARRAY_LEN(in_us); i++) {
		if (in_us[i])
			wheel_run(wheel, START_US + in_us[i] - 1);
		assert_int_equal(m[i].fired, 0);
		wheel_run(wheel, START_US + in_us[i]);
		assert_int_equal(m[i].fired, 1);
		assert_int_equal(m[i].fired_us, START_US + in_us[i]);
		assert_int_equal(m[i].t.due_us, 0);
	}
	assert_int_equal(wheel_count(wheel), 0);
	wheel_run(wheel, START_US + UINT64_C(7200000000));
	for (i = 0; i < ARRAY_LEN(in_us); i++)
		assert_int_equal(m[i].fired, 1);
}

static void test_rearm_and_disarm(void **state)
{
	struct mine m = { .t.fn = on_timer };

	(void)state;
	wheel_disarm(wheel, &m.t); /* never armed */
	wheel_arm(wheel, &m.t, START_US + 10);
	wheel_arm(wheel, &m.t, START_US + 50000);
	assert_int_equal(wheel_count(wheel), 1);
	wheel_run(wheel, START_US + 20);
	assert_int_equal(m.fired, 0);
	wheel_arm(wheel, &m.t, 0); /* as far in the past as can be */
	wheel_run(wheel, START_US + 21);
	assert_int_equal(m.fired, 1);
	wheel_arm(wheel, &m.t, START_US + 30);
	wheel_disarm(wheel, &m.t);
	wheel_disarm(wheel, &m.t);
	assert_int_equal(wheel_count(wheel), 0);
	wheel_run(wheel, START_US + 1000000);
	assert_int_equal(m.fired, 1);
}

static void test_handler_rearms_itself(void **state)
{
	struct mine m = { .t.fn = on_timer, .arm = &m, .arm_us = START_US };
	uint64_t now_us = START_US + 100;

	(void)state;
	wheel_arm(wheel, &m.t, now_us);
	wheel_run(wheel, now_us);
	assert_int_equal(m.fired,
			 1); /* armed for the past: next run, not an endless loop */
	assert_true(wheel_next_us(wheel, now_us) <= now_us);
	wheel_run(wheel, now_us);
	assert_int_equal(m.fired, 2);
	wheel_run(wheel, now_us + 500000);
	assert_int_equal(m.fired, 3);
	m.arm_us = now_us + 600000;
	wheel_run(wheel, now_us + 500001);
	assert_int_equal(m.fired, 4);
	assert_int_equal(wheel_next_us(wheel, now_us + 500001), now_us + 600000);
	wheel_run(wheel, now_us + 599999);
	assert_int_equal(m.fired, 4);
	m.arm = NULL;
	wheel_run(wheel, now_us + 600000);
	assert_int_equal(m.fired, 5);
	assert_int_equal(wheel_count(wheel), 0);
}

static void test_handler_disarms_others(void **state)
{
	struct mine a = { .t.fn = on_timer }, b = a, c = a, d = a;

	(void)state;
	/* a and b are due in one run, in one slot and in two: a stops b, b must not fire.
	 */
	a.disarm = &b;
	wheel_arm(wheel, &a.t, START_US + 100);
	wheel_arm(wheel, &b.t, START_US + 101);
	wheel_arm(wheel, &c.t, START_US + 9000);
	wheel_arm(wheel, &d.t, START_US + 900000);
	b.disarm = &c;
	wheel_run(wheel, START_US + 20000);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(c.fired, 1);
	assert_int_equal(wheel_count(wheel), 1);
	a.disarm = &d; /* one that isn't due */
	a.arm = &c;    /* and one of the same run put off */
	a.arm_us = START_US + 50000;
	wheel_arm(wheel, &a.t, START_US + 30000);
	wheel_arm(wheel, &c.t, START_US + 30001);
	wheel_run(wheel, START_US + 40000);
	assert_int_equal(a.fired, 2);
	assert_int_equal(c.fired, 1);
	assert_int_equal(d.fired, 0);
	wheel_run(wheel, START_US + 50000);
	assert_int_equal(c.fired, 2);
	assert_int_equal(wheel_count(wheel), 0);
}

static void test_handler_frees_itself(void **state)
{
	struct mine *m = calloc(1, sizeof *m);

	(void)state;
	m->t.fn = on_timer;
	m->free = true;
	wheel_arm(wheel, &m->t, START_US);
	wheel_run(wheel, START_US);
	assert_int_equal(wheel_count(wheel), 0);
}

static void test_next(void **state)
{
	struct mine a = { .t.fn = on_timer }, b = a;

	(void)state;
	assert_true(wheel_next_us(wheel, START_US) == UINT64_MAX);
	wheel_arm(wheel, &a.t, START_US + 123456);
	assert_int_equal(wheel_next_us(wheel, START_US), START_US + 123456);
	/* A later round in the same slot, and one beyond the second, don't wake anybody.
	 */
	wheel_arm(wheel, &a.t, START_US + 123456 + 4096000);
	assert_int_equal(wheel_next_us(wheel, START_US), START_US + 1000000);
	wheel_arm(wheel, &b.t, START_US + 999999);
	assert_int_equal(wheel_next_us(wheel, START_US), START_US + 999999);
	wheel_disarm(wheel, &b.t);
	assert_int_equal(wheel_next_us(wheel, START_US), START_US + 1000000);
	wheel_disarm(wheel, &a.t);
	assert_true(wheel_next_us(wheel, START_US) == UINT64_MAX);
}

static void test_jumps(void **state)
{
	struct mine m[300];
	unsigned i;

	(void)state;
	memset(m, 0, sizeof m);
	for (i = 0; i < ARRAY_LEN(m); i++) {
		m[i].t.fn = on_timer;
		wheel_arm(wheel, &m[i].t, START_US + i * 100003);
	}
	wheel_run(wheel, START_US - 500000); /* back: nothing is due */
	for (i = 0; i < ARRAY_LEN(m); i++)
		assert_int_equal(m[i].fired, 0);
	wheel_run(wheel, START_US + UINT64_C(1000000000)); /* asleep for 1000 s */
	for (i = 0; i < ARRAY_LEN(m); i++)
		assert_int_equal(m[i].fired, 1);
	assert_int_equal(wheel_count(wheel), 0);
}

/* A hundred thousand random steps against the obvious implementation. */
static void test_model(void **state)
{
	enum { TIMERS = 64 };
	static struct mine m[TIMERS];
	uint64_t due[TIMERS] = { 0 }, now_us = START_US, min, next;
	unsigned expect[TIMERS] = { 0 }, i, step, armed;

	(void)state;
	srandom(1);
	memset(m, 0, sizeof m);
	for (i = 0; i < TIMERS; i++)
		m[i].t.fn = on_timer;
	for (step = 0; step < 100000; step++) {
		i = (unsigned)random() % TIMERS;
		switch (random() % 4) {
		case 0:
			wheel_disarm(wheel, &m[i].t);
			due[i] = 0;
			break;
		case 1:
			due[i] = now_us - 5000 + (uint64_t)random() % 20000;
			wheel_arm(wheel, &m[i].t, due[i]);
			break;
		case 2:
			due[i] = now_us + (uint64_t)random() % 20000000;
			wheel_arm(wheel, &m[i].t, due[i]);
			break;
		default:
			next = wheel_next_us(wheel, now_us);
			if (random() % 2 && next != UINT64_MAX && next > now_us)
				now_us = next; /* exactly when it asked to be run */
			else
				now_us += (uint64_t)random() % 3000;
			wheel_run(wheel, now_us);
			for (i = 0; i < TIMERS; i++) {
				if (due[i] && due[i] <= now_us) {
					expect[i]++;
					due[i] = 0;
				}
			}
		}
		min = UINT64_MAX;
		armed = 0;
		for (i = 0; i < TIMERS; i++) {
			assert_int_equal(m[i].fired, expect[i]);
			assert_true(m[i].t.due_us == due[i]);
			armed += due[i] != 0;
			if (due[i] && due[i] < min)
				min = due[i];
		}
		assert_int_equal(wheel_count(wheel), armed);
		next = wheel_next_us(wheel, now_us);
		assert_true(next <= min);
		if (!armed)
			continue;
		assert_true(next <= now_us + 1000000);
		wheel_run(wheel, now_us);
		for (i = 0; i < TIMERS; i++) {
			if (due[i] && due[i] <= now_us) {
				expect[i]++;
				due[i] = 0;
			}
		}
		/* After a run it never asks to be run at once: that would be a busy loop.
		 */
		assert_true(wheel_next_us(wheel, now_us) > now_us);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_fires_once_and_not_early),
		T(test_rearm_and_disarm),
		T(test_handler_rearms_itself),
		T(test_handler_disarms_others),
		T(test_handler_frees_itself),
		T(test_next),
		T(test_jumps),
		T(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
