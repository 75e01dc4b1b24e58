/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The emulated path does what its settings say: what the thin-link tests rest on. */
#include "path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t MS = 1000000;

static void set(struct path *p, const char *key, const char *value)
{
	assert_int_equal(path_set(p, key, value), 0);
}

static int setup(void **state)
{
	static struct path p;

	path_init(&p, 1);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	path_fini(*state);
	return 0;
}

static void test_delay(void **state)
{
	struct path *p = *state;
	unsigned char out[PATH_PKT_MAX_BYTES];

	set(p, "delay", "30");
	path_put(p, "abc", 3, 0);
	assert_int_equal(path_next_ns(p), 30 * MS);
	assert_int_equal(path_take(p, out, 30 * MS - 1), 0);
	assert_int_equal(path_take(p, out, 30 * MS), 3);
	assert_memory_equal(out, "abc", 3);
	assert_int_equal(path_take(p, out, INT64_MAX - 1), 0);
	assert_true(path_next_ns(p) == INT64_MAX);
}

/* 1000 bytes at 80 kbit/s take 100 ms each; with a queue of 250 ms the fifth at once
 * goes. */
static void test_rate_and_queue(void **state)
{
	struct path *p = *state;
	unsigned char data[1000] = { 0 };

	set(p, "rate", "80");
	set(p, "queue", "250");
	for (int i = 0; i < 5; i++)
		path_put(p, data, sizeof(data), 0);
	assert_int_equal(p->counts.queue_drops_pkts, 2);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(path_next_ns(p), i * 100 * MS);
		assert_int_equal(path_take(p, data, i * 100 * MS), 1000);
	}
	assert_true(p->counts.queue_max_ms == 200);
}

static void test_loss(void **state)
{
	struct path *p = *state;

	set(p, "loss", "20");
	for (int i = 0; i < 20000; i++)
		path_put(p, "x", 1, i * MS);
	assert_in_range(p->counts.lost_pkts, 3800, 4200);
	assert_int_equal(p->counts.lost_pkts + p->n, 20000);
}

/* 1 % into bursts of 10 packets on average: about 9 % lost, in far fewer runs. */
static void test_bursts(void **state)
{
	struct path *p = *state;
	unsigned runs = 0;
	uint64_t lost = 0;
	bool was = false;

	set(p, "ge", "1,10");
	for (int i = 0; i < 50000; i++) {
		path_put(p, "x", 1, i * MS);
		runs += p->counts.lost_pkts > lost && !was;
		was = p->counts.lost_pkts > lost;
		lost = p->counts.lost_pkts;
	}
	assert_in_range(lost, 3600, 5500);
	assert_in_range(lost / runs, 7, 13);
}

static void test_order(void **state)
{
	struct path *p = *state;

	for (int reorder = 0; reorder < 2; reorder++) {
		int swapped = 0, last = -1, x;

		set(p, "jitter", "40");
		set(p, "reorder", reorder ? "1" : "0");
		for (x = 0; x < 500; x++)
			path_put(p, &x, sizeof(x), (reorder * 1000 + x) * 10 * MS);
		for (int i = 0; i < 500; i++) {
			unsigned char out[PATH_PKT_MAX_BYTES];

			assert_int_equal(path_take(p, out, INT64_MAX - 1), sizeof(x));
			memcpy(&x, out, sizeof(x));
			swapped += x < last;
			last = x;
		}
		assert_true(reorder ? swapped > 50 : swapped == 0);
	}
}

static void test_down_and_dup(void **state)
{
	struct path *p = *state;

	set(p, "dup", "100");
	path_put(p, "x", 1, 0);
	assert_int_equal(p->n, 2);
	set(p, "down", "1");
	path_put(p, "x", 1, 0);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->counts.lost_pkts, 1);
}

static void test_same_seed_same_losses(void **state)
{
	struct path other, *p = *state;

	path_init(&other, 1);
	set(p, "loss", "50");
	set(&other, "loss", "50");
	set(&other, "rate", "1000"); /* must not change which are lost */
	for (int i = 0; i < 1000; i++) {
		path_put(p, "x", 1, i * MS);
		path_put(&other, "x", 1, i * MS);
		assert_int_equal(p->counts.lost_pkts, other.counts.lost_pkts);
	}
	path_fini(&other);
}

static void test_bad_settings(void **state)
{
	static const char *bad[][2] = { { "rate", "" },	       { "rate", "-1" },
					{ "rate", "x" },       { "loss", "101" },
					{ "down", "2" },       { "loss", "nan" },
					{ "speed", "1" },      { "ge", "1,x" },
					{ "ge", "1,2,3,4,5" }, { "delay", "1 2" } };
	struct path *p = *state;
	struct path_settings before = p->set;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(path_set(p, bad[i][0], bad[i][1]), -EINVAL);
	assert_memory_equal(&p->set, &before, sizeof(before));
}

static void test_counts(void **state)
{
	struct path *p = *state;
	unsigned char udp4[600] = { 0x45 }, tcp6[1300] = { 0x60 };
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	udp4[9] = 17;
	tcp6[6] = 6;
	path_put(p, udp4, sizeof(udp4), 0);
	path_put(p, tcp6, sizeof(tcp6), 0);
	path_put(p, "x", 1, 0);
	assert_int_equal(p->counts.udp_pkts, 1);
	assert_int_equal(p->counts.tcp_pkts, 1);
	assert_int_equal(p->counts.other_pkts, 1);
	path_print(p, f);
	fclose(f);
	assert_non_null(strstr(text, "\"in_bytes\":1901,"));
	assert_non_null(strstr(text, "\"longer_pkts\":1,\"queue_max_ms\":0.0}"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_and_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loss, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bursts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_and_dup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_seed_same_losses, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
