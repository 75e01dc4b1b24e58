/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The ring alone, and between two threads: order, limit, and no wake-up lost. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

static bool readable(struct ring *r, int timeout_ms)
{
	struct pollfd p = { .fd = ring_fd(r), .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void test_one_thread(void **state)
{
	struct ring *r = ring_create(3, sizeof(int)); /* 4 */
	int i, v = -1, round;

	(void)state;
	assert_non_null(r);
	for (round = 0; round < 10; round++) {
		assert_false(ring_pop(r, &v));
		assert_false(readable(r, 0));
		for (i = 0; i < 4; i++)
			assert_int_equal(ring_push(r, &i), 0);
		assert_int_equal(ring_push(r, &i), -ENOBUFS);
		assert_true(readable(r, 0));
		ring_clear(r);
		assert_false(readable(r, 0));
		for (i = 0; i < 4; i++) {
			assert_true(ring_pop(r, &v));
			assert_int_equal(v, i);
		}
		assert_false(ring_pop(r, &v));
		ring_clear(r); /* with nothing to clear: doesn't block */
	}
	ring_destroy(r);
	ring_destroy(NULL);
}

static void test_signals_once(void **state)
{
	struct ring *r = ring_create(8, 1);
	char c = 'x';

	(void)state;
	assert_int_equal(ring_push(r, &c), 0);
	ring_clear(r);
	assert_int_equal(ring_push(r, &c), 0); /* wasn't empty: no second signal */
	assert_false(readable(r, 0));
	assert_true(ring_pop(r, &c));
	assert_true(ring_pop(r, &c));
	assert_int_equal(ring_push(r, &c), 0);
	assert_true(readable(r, 0));
	ring_destroy(r);
}

static void test_create_refuses(void **state)
{
	(void)state;
	assert_null(ring_create(8, 0));
	assert_null(ring_create(UINT32_MAX, 8));
}

enum { ITEMS = 1000000 };

struct item {
	uint32_t number;
	uint32_t check;
	uint8_t rest[12];
};

static void *produce(void *arg)
{
	struct ring *r = arg;
	struct item it = { 0 };
	uint32_t i;

	for (i = 0; i < ITEMS; i++) {
		it.number = i;
		it.check = ~i;
		it.rest[11] = (uint8_t)i;
		while (ring_push(r, &it))
			sched_yield();
		/* Pauses of all lengths, so that the ring runs empty at every point. */
		if (i % 7 == 0 && i < ITEMS / 4)
			sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct ring *r = ring_create(64, sizeof(struct item));
	uint32_t expect = 0, lost = 0;
	pthread_t thread;
	struct item it;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
	while (expect < ITEMS) {
		if (!readable(r, 5000)) {
			lost++;
			break;
		}
		ring_clear(r);
		while (ring_pop(r, &it)) {
			if (it.number != expect || it.check != ~expect ||
			    it.rest[11] != (uint8_t)expect)
				fail_msg("item %u came as %u", expect, it.number);
			expect++;
		}
	}
	assert_int_equal(lost, 0);
	assert_int_equal(expect, ITEMS);
	pthread_join(thread, NULL);
	assert_false(ring_pop(r, &it));
	ring_destroy(r);
}

/* Every item alone: the consumer sleeps before each, so each needs its own wake-up. */
static void *ping(void *arg)
{
	struct ring **r = arg;
	uint32_t i, v;

	for (i = 0; i < 20000; i++) {
		if (ring_push(r[0], &i))
			return (void *)1;
		if (!readable(r[1], 5000))
			return (void *)2;
		ring_clear(r[1]);
		if (!ring_pop(r[1], &v) || v != i)
			return (void *)3;
	}
	return NULL;
}

static void test_ping_pong(void **state)
{
	struct ring *r[2] = { ring_create(1, 4), ring_create(1, 4) };
	uint32_t i, v;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ping, r), 0);
	for (i = 0; i < 20000; i++) {
		assert_true(readable(r[0], 5000));
		ring_clear(r[0]);
		assert_true(ring_pop(r[0], &v));
		assert_int_equal(ring_push(r[1], &v), 0);
	}
	pthread_join(thread, &result);
	assert_null(result);
	ring_destroy(r[0]);
	ring_destroy(r[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_signals_once),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
