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

/* RFC 6716 §3.4, rule by rule; test_audio_voice.c compares with libopus. */
static void test_whole(void **state)
{
	static const struct {
		uint8_t data[8];
		uint16_t len; /* zeros follow */
		bool whole;
	} t[] = {
		{ { 0 }, 0, false },	  /* R1 */
		{ { 0x78 }, 1, true },	  /* nothing to say */
		{ { 0x78 }, 1276, true }, /* R2 */
		{ { 0x78 }, 1277, false },
		{ { 0x79 }, 5, true }, /* R3: two equal ones */
		{ { 0x79 }, 4, false },
		{ { 0x7a, 1, 9, 9 }, 4, true }, /* R4 */
		{ { 0x7a, 3, 9, 9 }, 4, false },
		{ { 0x7a }, 1, false },
		{ { 0x7a, 252 }, 2, false }, /* half a length */
		{ { 0x7a, 252, 1 }, 3 + 256, true },
		{ { 0x7a, 252, 1 }, 2 + 256, false },
		{ { 0x7b }, 1, false },
		{ { 0x7b, 0 }, 2, false }, /* R5 */
		{ { 0x7b, 6 }, 2 + 6 * 20, true },
		{ { 0x7b, 7 }, 2 + 7 * 20, false },
		{ { 0x7b, 3 }, 4, false },	/* R6 */
		{ { 0x7b, 0x41, 2 }, 5, true }, /* padding alone */
		{ { 0x7b, 0x41, 3 }, 5, false },
		{ { 0x7b, 0x41, 255, 1 }, 4 + 255, true },
		{ { 0x7b, 0x41, 255, 1 }, 3 + 255, false },
		{ { 0x7b, 0x41, 255 }, 3, false },
		{ { 0x7b, 0x83, 1, 2 }, 7, true }, /* R7 */
		{ { 0x7b, 0x83, 1, 3 }, 7, false },
		{ { 0x7b, 0xc3, 1, 1, 1 }, 9, true }, /* 1, 1 and 1 bytes, 1 of padding */
	};
	uint8_t buf[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		memset(buf, 0, sizeof buf);
		memcpy(buf, t[i].data, sizeof t[i].data);
		if (opus_packet_whole(buf, t[i].len) != t[i].whole)
			fail_msg("row %zu", i);
	}
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
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
