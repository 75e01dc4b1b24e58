/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Random bytes and text, constant-time comparison, SipHash-1-3. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "siphash.h"

static void test_random(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	bool seen[256] = { 0 };
	char text[4001];
	unsigned i, kinds = 0;

	(void)state;
	random_bytes(a, sizeof a);
	random_bytes(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a); /* once in 2^256 */
	random_bytes(a, 0);
	assert_true(random_u32() != random_u32() || random_u32() != random_u32());
	text[4000] = 'x';
	random_text(text, 4000);
	assert_int_equal(strlen(text), 4000);
	for (i = 0; i < 4000; i++)
		seen[(unsigned char)text[i]] = true;
	for (i = 0; i < 256; i++) {
		kinds += seen[i];
		if (seen[i])
			assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
					       "nopqrstuvwxyz0123456789+/",
					       (int)i));
	}
	assert_int_equal(kinds, 64);
	text[0] = text[1] = 'x';
	random_text(text, 0);
	assert_string_equal(text, "");
	assert_int_equal(text[1], 'x');
}

static void test_equal(void **state)
{
	uint8_t a[64], b[64];
	unsigned i, bit;

	(void)state;
	random_bytes(a, sizeof a);
	memcpy(b, a, sizeof a);
	assert_true(equal_constant_time(a, b, sizeof a));
	for (i = 0; i < sizeof a; i++) {
		for (bit = 0; bit < 8; bit++) {
			b[i] ^= (uint8_t)(1u << bit);
			assert_false(equal_constant_time(a, b, sizeof a));
			assert_true(equal_constant_time(a, b, i));
			b[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_true(equal_constant_time(a, b, 0));
}

/* Key 0: from CPython 3.11, whose hash(bytes) is SipHash-1-3 (PYTHONHASHSEED=0, input
 * 00 01 02 …). Key 00 01 … 0f: the first vector of the Rust library's tests. */
static void test_siphash_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} zero_key[] = {
		{ 1, 0x68a914128e01e473 },  { 2, 0x10bac45c41e3669 },
		{ 7, 0x2f098ab0c751325a },  { 8, 0xead411e67ebe2eea },
		{ 9, 0x75927f9d95124362 },  { 15, 0xf30eb725bb91c9ea },
		{ 16, 0x8972188433a5c5b7 }, { 63, 0x385d3e39e5f37359 },
	};
	static const uint64_t zero[2],
		count[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t input[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof input; i++)
		input[i] = (uint8_t)i;
	for (i = 0; i < ARRAY_LEN(zero_key); i++)
		assert_int_equal(siphash13(zero, input, zero_key[i].len),
				 zero_key[i].hash);
	assert_int_equal(siphash13(count, input, 0), 0xabac0158050fc4dc);
}

static void test_hash_bytes(void **state)
{
	static const uint64_t zero[2];
	uint8_t input[16] = { 1, 2, 3 };
	uint64_t h = hash_bytes(input, sizeof input);

	(void)state;
	assert_int_equal(h, hash_bytes(input, sizeof input));
	assert_true(h != hash_bytes(input, sizeof input - 1));
	assert_true(h != siphash13(zero, input, sizeof input)); /* the key was made */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_hash_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
