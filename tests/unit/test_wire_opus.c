/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Opus durations from the TOC: RFC 6716 §3.1 table 2, §3.2. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Table 2 in tenths of a millisecond. */
static const unsigned table[32] = {
	100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, /* SILK */
	100, 200, 100, 200,					    /* hybrid */
	25,  50,  100, 200, 25,	 50,  100, 200, 25,  50,  100, 200,
	25,  50,  100, 200 /* CELT */
};

static void test_every_configuration(void **state)
{
	(void)state;
	for (unsigned config = 0; config < 32; config++) {
		for (unsigned stereo = 0; stereo < 2; stereo++) {
			uint8_t toc = (uint8_t)(config << 3 | stereo << 2);
			unsigned one = table[config] * 48 / 10;
			uint8_t p[3] = { toc, 1, 0 };

			assert_int_equal(opus_packet_samples(p, 3), one);
			p[0] = toc | 1;
			assert_int_equal(opus_packet_samples(p, 3), 2 * one);
			p[0] = toc | 2;
			assert_int_equal(opus_packet_samples(p, 3), 2 * one);
			p[0] = toc | 3;
			for (unsigned count = 0; count < 64; count++) {
				/* VBR and padding flags don't matter */
				p[1] = (uint8_t)(count | (count & 3) << 6);
				assert_int_equal(opus_packet_samples(p, 3),
						 count * one <= 5760 ? count * one : 0);
			}
		}
	}
}

static void test_malformed(void **state)
{
	static const uint8_t code3[1] = { 0x03 };

	(void)state;
	assert_int_equal(opus_packet_samples(NULL, 0), 0);
	assert_int_equal(opus_packet_samples(code3, 1), 0);
}

static void test_silence(void **state)
{
	(void)state;
	assert_int_equal(opus_packet_samples(opus_silence, sizeof opus_silence), 960);
	assert_int_equal(opus_silence[0] & 4, 0); /* mono */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_configuration),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
