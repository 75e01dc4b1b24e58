/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RED: there and back, RFC 2198's own example, lengths that lie. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

/* RFC 2198 §3: a DVI4 primary (PT 5) with an LPC block (PT 7) of 14 bytes from 20 ms before. */
static void test_rfc(void **state)
{
	uint8_t packet[4 + 1 + 14 + 84];
	struct red_block b[RED_BLOCKS_MAX];

	(void)state;
	memset(packet, 0xaa, sizeof packet);
	packet[0] = 0x87;
	packet[1] = 160 >> 6;
	packet[2] = (160 << 2) & 0xff;
	packet[3] = 14;
	packet[4] = 5;
	assert_int_equal(red_parse(packet, sizeof packet, b), 2);
	assert_int_equal(b[0].pt, 7);
	assert_int_equal(b[0].ts_offset, 160);
	assert_int_equal(b[0].len, 14);
	assert_ptr_equal(b[0].data, packet + 5);
	assert_int_equal(b[1].pt, 5);
	assert_int_equal(b[1].ts_offset, 0);
	assert_int_equal(b[1].len, 84);
	assert_ptr_equal(b[1].data, packet + 19);
}

static void test_round_trip(void **state)
{
	uint8_t data[RED_LEN_MAX + 1], packet[4096];
	struct red_block in[RED_BLOCKS_MAX], out[RED_BLOCKS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	for (unsigned n = 1; n <= RED_BLOCKS_MAX; n++) {
		int len;

		for (unsigned i = 0; i < n; i++)
			in[i] = (struct red_block) {
				.pt = (uint8_t)(i * 37 % 128),
				.ts_offset =
					(uint16_t)(i + 1 == n ? 0
							      : RED_OFFSET_MAX - i * 960),
				.len = (uint16_t)(i * 73),
				.data = data + i
			};
		len = red_build(in, n, packet, sizeof packet);
		assert_true(len > 0);
		assert_int_equal(red_parse(packet, (size_t)len, out), n);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(out[i].pt, in[i].pt);
			assert_int_equal(out[i].ts_offset, in[i].ts_offset);
			assert_int_equal(out[i].len, in[i].len);
			assert_memory_equal(out[i].data, in[i].data, in[i].len);
		}
		for (int cap = 0; cap < len; cap++)
			assert_int_equal(red_build(in, n, packet, (size_t)cap), -ENOBUFS);
	}
	in[0] = (struct red_block) { .ts_offset = RED_OFFSET_MAX + 1, .data = data };
	assert_int_equal(red_build(in, 2, packet, sizeof packet), -EINVAL);
	in[0] = (struct red_block) { .len = RED_LEN_MAX + 1, .data = data };
	assert_int_equal(red_build(in, 2, packet, sizeof packet), -EINVAL);
	assert_int_equal(red_build(in, 0, packet, sizeof packet), -EINVAL);
	assert_int_equal(red_build(in, RED_BLOCKS_MAX + 1, packet, sizeof packet),
			 -EINVAL);
}

static void test_lies(void **state)
{
	static const uint8_t longer[] = { 0xef, 0, 0, 3, 111, 1, 2 };
	static const uint8_t exact[] = { 0xef, 0, 0, 2, 111, 1, 2 };
	static const uint8_t cut[] = { 0xef, 0, 0 };
	static const uint8_t endless[64] = { [0 ... 63] = 0x80 };
	struct red_block b[RED_BLOCKS_MAX];

	(void)state;
	assert_int_equal(red_parse(longer, sizeof longer, b), -EBADMSG);
	assert_int_equal(red_parse(exact, sizeof exact, b), 2); /* an empty primary */
	assert_int_equal(b[1].len, 0);
	assert_int_equal(red_parse(cut, sizeof cut, b), -EBADMSG);
	assert_int_equal(red_parse(endless, sizeof endless, b), -EBADMSG);
	assert_int_equal(red_parse(NULL, 0, b), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
