/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clock, NTP time, extension of sequence numbers, byte order, counters. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void test_clock_goes_forward(void **state)
{
	uint64_t a = clock_now_us(), b = clock_now_us();
	int64_t offset = clock_wall_offset_us();

	(void)state;
	assert_true(a > 0);
	assert_true(b >= a);
	assert_true(clock_wall_us() > UINT64_C(1700000000) * 1000000); /* after 2023 */
	assert_true(llabs((int64_t)(clock_wall_us() - clock_now_us()) - offset) <
		    1000000);
}

static void test_ntp(void **state)
{
	uint64_t us;

	(void)state;
	assert_int_equal(ntp_from_wall_us(0), UINT64_C(2208988800) << 32);
	assert_int_equal(ntp_from_wall_us(500000),
			 UINT64_C(2208988800) << 32 | 0x80000000);
	/* There and back is the same microsecond, on both sides of the era's end in 2036.
	 */
	for (us = 0; us < 1000000; us += 7)
		assert_int_equal(ntp_to_wall_us(ntp_from_wall_us(us)), us);
	for (us = UINT64_C(2085978490) * 1000000; us < UINT64_C(2085978500) * 1000000;
	     us += 99991)
		assert_int_equal(ntp_to_wall_us(ntp_from_wall_us(us)), us);
	assert_int_equal(ntp_from_wall_us(UINT64_C(2085978496) * 1000000), 0);
}

static void test_extend16(void **state)
{
	(void)state;
	assert_int_equal(seq_extend16(0, 0), 0x10000);
	assert_int_equal(seq_extend16(0, 65535), 0x1ffff);
	assert_int_equal(seq_extend16(0x1ffff, 0), 0x20000);
	assert_int_equal(seq_extend16(0x20000, 65535), 0x1ffff);
	assert_int_equal(seq_extend16(0x10000, 65535), 0xffff); /* before the first */
	assert_int_equal(seq_extend16(0x10005, 5), 0x10005);
	assert_int_equal(seq_extend16(0x10000, 0x7fff), 0x17fff);
	assert_int_equal(seq_extend16(0x18000, 0), 0x10000); /* half way: the older */
	assert_int_equal(seq_extend16(0x18000, 1), 0x10001);
	assert_int_equal(seq_extend16(0x17fff, 0), 0x10000);
	assert_int_equal(seq_extend16(0x18001, 0), 0x20000);
	assert_int_equal(seq_extend16(0x18001, 0xffff), 0x1ffff);
	assert_int_equal(seq_extend16(5, 65000), 65000); /* never below 1 */
	assert_int_equal(seq_extend16(5, 0), 0x10000);
}

static void test_extend16_walk(void **state)
{
	uint64_t truth = 0x10000 + 65000, last = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		last = seq_extend16(last, (uint16_t)truth);
		assert_int_equal(last, truth);
		truth += i % 3 ? 97 : 1;
		if (i % 10 == 9)
			truth -= 30; /* reordering across every wrap */
	}
}

static void test_extend32(void **state)
{
	const uint64_t cycle = UINT64_C(1) << 32;

	(void)state;
	assert_int_equal(seq_extend32(0, 0), cycle);
	assert_int_equal(seq_extend32(0, UINT32_MAX), cycle + UINT32_MAX);
	assert_int_equal(seq_extend32(cycle + UINT32_MAX, 959), 2 * cycle + 959);
	assert_int_equal(seq_extend32(2 * cycle, UINT32_MAX), 2 * cycle - 1);
	assert_int_equal(seq_extend32(cycle, UINT32_MAX), cycle - 1);
	assert_int_equal(seq_extend32(7, 0), cycle);
}

static void test_byte_order(void **state)
{
	uint8_t b[4];

	(void)state;
	put_be16(b, 0xfedc);
	assert_memory_equal(b, "\xfe\xdc", 2);
	assert_int_equal(get_be16(b), 0xfedc);
	put_be24(b, 0xfedcba);
	assert_memory_equal(b, "\xfe\xdc\xba", 3);
	assert_int_equal(get_be24(b), 0xfedcba);
	put_be32(b, 0xfedcba98);
	assert_memory_equal(b, "\xfe\xdc\xba\x98", 4);
	assert_true(get_be32(b) == 0xfedcba98);
}

struct seen {
	unsigned count;
	uint64_t rx_pkts, last;
	const char *last_name;
};

static void on_stat(const char *name, uint64_t value, void *arg)
{
	struct seen *seen = arg;

	if (strcmp(name, "rx_pkts") == 0)
		seen->rx_pkts = value;
	seen->count++;
	seen->last = value;
	seen->last_name = name;
}

static void test_stats(void **state)
{
	struct stats mine = { 0 }, sum = { 0 }, *before = stats_here;
	struct seen seen = { 0 };

	(void)state;
	STAT_INC(rx_pkts); /* to the dummy */
	stats_here = &mine;
	STAT_INC(rx_pkts);
	STAT_ADD(rx_pkts, 41);
	STAT_INC(event_full);
	stats_here = before;
	stats_each(&mine, on_stat, &seen);
	assert_int_equal(seen.count, sizeof mine / sizeof(uint64_t));
	assert_int_equal(seen.rx_pkts, 42);
	assert_int_equal(mine.event_full, 1);
	assert_int_equal(mine.rx_bytes, 0);
	assert_non_null(seen.last_name);
	seen = (struct seen) { 0 };
	stats_add(&sum, &mine);
	stats_add(&sum, &mine);
	stats_each(&sum, on_stat, &seen);
	assert_int_equal(seen.rx_pkts, 84);
	assert_int_equal(sum.event_full, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_goes_forward),
		cmocka_unit_test(test_ntp),
		cmocka_unit_test(test_extend16),
		cmocka_unit_test(test_extend16_walk),
		cmocka_unit_test(test_extend32),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
