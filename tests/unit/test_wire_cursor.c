/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bounded cursors: values, the sticky error, the edges. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_read(void **state)
{
	static const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	struct rd r;

	(void)state;
	rd_init(&r, data, sizeof data);
	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_be16(&r), 0x0203);
	assert_int_equal(rd_be24(&r), 0x040506);
	assert_int_equal(rd_be32(&r), 0x0708090a);
	assert_int_equal(rd_left(&r), 2);
	assert_ptr_equal(rd_bytes(&r, 0), data + 10);
	assert_ptr_equal(rd_bytes(&r, 2), data + 12 - 2);
	assert_int_equal(rd_left(&r), 0);
	assert_false(r.bad);
}

static void test_read_past_the_end_sticks(void **state)
{
	static const uint8_t data[] = { 0xaa, 0xbb, 0xcc };
	struct rd r;

	(void)state;
	rd_init(&r, data, sizeof data);
	assert_int_equal(rd_be32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_u8(&r), 0); /* though three bytes are there */
	assert_null(rd_bytes(&r, 0));
	assert_ptr_equal(r.p, data);

	rd_init(&r, data, sizeof data);
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_true(r.bad);
	rd_init(&r, data, 2);
	assert_int_equal(rd_be24(&r), 0);
	assert_true(r.bad);
	rd_init(&r, data, 1);
	assert_int_equal(rd_be16(&r), 0);
	assert_true(r.bad);
}

static void test_nothing_at_all(void **state)
{
	struct rd r;
	struct wr w;

	(void)state;
	rd_init(&r, NULL, 0);
	assert_int_equal(rd_left(&r), 0);
	assert_non_null(rd_bytes(&r, 0));
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
	wr_init(&w, NULL, 0);
	wr_bytes(&w, NULL, 0);
	assert_false(w.bad);
	wr_u8(&w, 1);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 0);
}

static void test_write(void **state)
{
	static const uint8_t want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 'a', 'b' };
	uint8_t buf[12];
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	wr_u8(&w, 1);
	wr_be16(&w, 0x0203);
	wr_be24(&w, 0x040506);
	wr_be32(&w, 0x0708090a);
	wr_bytes(&w, "ab", 2);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), 12);
	assert_memory_equal(buf, want, 12);
	wr_u8(&w, 99);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 12);
}

static void test_write_past_the_end_sticks(void **state)
{
	uint8_t buf[8];
	struct wr w;

	(void)state;
	memset(buf, 0xee, sizeof buf);
	wr_init(&w, buf, 3);
	wr_be32(&w, 0x01020304);
	assert_true(w.bad);
	wr_u8(&w, 1); /* would fit */
	assert_int_equal(wr_len(&w), 0);
	for (size_t i = 0; i < sizeof buf; i++)
		assert_int_equal(buf[i], 0xee);
	wr_init(&w, buf, sizeof buf);
	wr_bytes(&w, "x", SIZE_MAX);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_past_the_end_sticks),
		cmocka_unit_test(test_nothing_at_all),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_past_the_end_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
