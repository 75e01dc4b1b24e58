/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Short packets joined: decoded they are what their parts were; and what ends a packet. */
#include <palabre/audio.h>
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 60, T0 = 70000 };

static struct part {
	uint8_t data[AUDIO_PACKET_MAX];
	size_t len;
} parts[PACKETS];
static OpusEncoder *opus;
static unsigned phase;

static int setup(void **state)
{
	int err;

	(void)state;
	opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	phase = 0;
	return opus ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	opus_encoder_destroy(opus);
	return 0;
}

/* `ms` of something like a voice. */
static void speak(struct part *p, unsigned ms)
{
	float s[AUDIO_RATE / 1000 * 120];
	unsigned n = ms * (AUDIO_RATE / 1000);
	int len;

	for (unsigned i = 0; i < n; i++, phase++) {
		float t = (float)phase / AUDIO_RATE;

		s[i] = 0.3f * sinf((float)(2 * M_PI) * 4 * t) *
		       sinf((float)(2 * M_PI) * (200 + 60 * sinf(3 * t)) * t);
	}
	len = opus_encode_float(opus, s, (int)n, p->data, sizeof p->data);
	assert_true(len > 2);
	p->len = (size_t)len;
}

static void put(struct audio_join *j, const struct part *p, uint64_t ts64)
{
	audio_join_put(j, p->data, p->len, ts64, 30);
}

static const struct audio_joined *next(struct audio_join *j)
{
	const struct audio_joined *out;

	return audio_join_next(j, &out) ? out : NULL;
}

static void assert_none(struct audio_join *j)
{
	assert_null(next(j));
}

/* `n` parts from the i-th on, as one packet. */
static void assert_joins(struct audio_join *j, unsigned i, unsigned n, uint64_t ts64,
			 unsigned ticks)
{
	const struct audio_joined *out = next(j);
	const unsigned char *frames[48];
	opus_int16 sizes[48];
	int count;

	assert_non_null(out);
	assert_int_equal(out->ts64, ts64);
	assert_int_equal(out->ticks, ticks);
	assert_int_equal(opus_packet_samples(out->data, out->len), ticks);
	count = opus_packet_parse(out->data, (opus_int32)out->len, NULL, frames, sizes,
				  NULL);
	assert_int_equal(count, n);
	for (unsigned k = 0; k < n; k++) {
		assert_int_equal(sizes[k], parts[i + k].len - 1);
		assert_memory_equal(frames[k], parts[i + k].data + 1, (size_t)sizes[k]);
	}
}

/* By one decoder the parts, by another the joined: not a bit differs. */
static void decode_both(unsigned part_ms, unsigned packet_ms, int bitrate_bps)
{
	struct audio_join *j = audio_join_create(packet_ms);
	const struct audio_joined *out;
	OpusDecoder *one, *other;
	float a[48 * 120], b[48 * 120];
	unsigned per = packet_ms / part_ms, ticks = part_ms * 48, joined = 0;
	int err;

	opus_encoder_ctl(opus, OPUS_SET_BITRATE(bitrate_bps));
	opus_encoder_ctl(opus, OPUS_SET_BANDWIDTH(OPUS_BANDWIDTH_WIDEBAND));
	for (unsigned i = 0; i < 20; i++) /* it settles on a mode */
		speak(&parts[0], part_ms);
	one = opus_decoder_create(48000, 1, &err);
	other = opus_decoder_create(48000, 1, &err);
	for (unsigned i = 0; i < PACKETS; i++) {
		speak(&parts[i], part_ms);
		put(j, &parts[i], T0 + i * ticks);
		out = next(j);
		assert_int_equal(out != NULL, i % per == per - 1);
		if (!out)
			continue;
		assert_int_equal(out->ts64, T0 + (i + 1 - per) * ticks);
		assert_int_equal(out->ticks, packet_ms * 48);
		assert_int_equal(out->level_dbov, 30);
		assert_int_equal(opus_decode_float(other, out->data, (opus_int32)out->len,
						   b, 48 * 120, 0),
				 packet_ms * 48);
		for (unsigned k = 0; k < per; k++) {
			const struct part *p = &parts[i + 1 - per + k];

			assert_int_equal(opus_decode_float(one, p->data,
							   (opus_int32)p->len,
							   a + k * ticks, 48 * 120, 0),
					 ticks);
		}
		assert_memory_equal(a, b, packet_ms * 48 * sizeof a[0]);
		joined++;
	}
	assert_int_equal(joined, PACKETS / per);
	opus_decoder_destroy(one);
	opus_decoder_destroy(other);
	audio_join_destroy(j);
}

static void test_sounds_the_same(void **state)
{
	(void)state;
	decode_both(20, 60, 8000);   /* SILK */
	decode_both(20, 120, 12000); /* six */
	decode_both(60, 120, 8000);
	decode_both(20, 40, 96000); /* CELT */
	decode_both(10, 60, 16000);
}

/* Who begins to send otherwise: what is held goes, and the new kind begins a packet. */
static void test_another_kind(void **state)
{
	struct audio_join *j = audio_join_create(60);

	(void)state;
	opus_encoder_ctl(opus, OPUS_SET_BITRATE(12000));
	for (unsigned i = 0; i < 6; i++) {
		if (i == 2)
			opus_encoder_ctl(opus,
					 OPUS_SET_BANDWIDTH(OPUS_BANDWIDTH_NARROWBAND));
		if (i == 2)
			opus_encoder_ctl(opus, OPUS_RESET_STATE);
		speak(&parts[i], 20);
	}
	assert_int_not_equal(parts[1].data[0] & 0xfc, parts[2].data[0] & 0xfc);
	for (unsigned i = 0; i < 6; i++) {
		put(j, &parts[i], T0 + i * 960);
		if (i == 2)
			assert_joins(j, 0, 2, T0, 1920);
		if (i == 4)
			assert_joins(j, 2, 3, T0 + 1920, 2880);
		assert_none(j);
	}
	audio_join_flush(j);
	assert_joins(j, 5, 1, T0 + 5 * 960, 960);
	audio_join_flush(j);
	assert_none(j);
	/* longer frames likewise; one that fills a packet goes alone, as it is */
	speak(&parts[6], 40);
	speak(&parts[7], 60);
	put(j, &parts[5], T0 + 6 * 960);
	put(j, &parts[6], T0 + 7 * 960);
	assert_joins(j, 5, 1, T0 + 6 * 960, 960);
	assert_none(j);
	put(j, &parts[7], T0 + 9 * 960);
	assert_joins(j, 6, 1, T0 + 7 * 960, 1920);
	assert_joins(j, 7, 1, T0 + 9 * 960, 2880);
	assert_none(j);
	audio_join_destroy(j);
}

static void test_gap(void **state)
{
	struct audio_join *j = audio_join_create(60);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		speak(&parts[i], 20);
	put(j, &parts[0], T0);
	put(j, &parts[1], T0 + 960);
	put(j, &parts[2], T0 + 3 * 960); /* one is missing */
	assert_joins(j, 0, 2, T0, 1920);
	put(j, &parts[3], T0 + 4 * 960);
	assert_none(j);
	/* what was missing comes too late, and so does what was there already */
	put(j, &parts[4], T0 + 2 * 960);
	put(j, &parts[4], T0 + 4 * 960);
	assert_none(j);
	put(j, &parts[4], T0 + 5 * 960);
	assert_joins(j, 2, 3, T0 + 3 * 960, 2880);
	/* another beginning, long before */
	put(j, &parts[5], 0x100000000);
	put(j, &parts[6], T0);
	assert_joins(j, 5, 1, 0x100000000, 960);
	put(j, &parts[7], T0 + 960);
	audio_join_flush(j);
	assert_joins(j, 6, 2, T0, 1920);
	/* forgotten */
	put(j, &parts[0], T0 + 1920);
	audio_join_clear(j);
	audio_join_flush(j);
	assert_none(j);
	put(j, &parts[0], 5);
	audio_join_flush(j);
	assert_joins(j, 0, 1, 5, 960);
	audio_join_destroy(j);
}

/* A receiver must see that a pause is meant. */
static void test_pause(void **state)
{
	struct audio_join *j = audio_join_create(120);
	struct part pause = { .len = 1 };

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		speak(&parts[i], 20);
	pause.data[0] = parts[0].data[0];
	put(j, &parts[0], T0);
	put(j, &pause, T0 + 960);
	assert_joins(j, 0, 1, T0, 960);
	parts[2] = pause;
	assert_joins(j, 2, 1, T0 + 960, 960);
	put(j, &pause, T0 + 960 * 21);
	assert_joins(j, 2, 1, T0 + 960 * 21, 960);
	put(j, &parts[1], T0 + 960 * 41);
	assert_none(j);
	audio_join_flush(j);
	assert_joins(j, 1, 1, T0 + 960 * 41, 960);
	audio_join_destroy(j);
}

/* Their lengths are not what they say, or there are none: left out, and nothing else suffers. */
static void test_lies(void **state)
{
	struct audio_join *j = audio_join_create(60);
	struct part lies[5] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		speak(&parts[i], 20);
	for (unsigned i = 0; i < 5; i++)
		lies[i].data[0] = parts[0].data[0] & 0xfc;
	lies[0].len = 0;
	lies[1].data[0] |= 2, lies[1].data[1] = 200, lies[1].len = 20; /* two, too long */
	lies[2].data[0] |= 1, lies[2].len = 20;	      /* two alike of 19 bytes */
	lies[3].data[0] |= 3, lies[3].data[1] = 0x3f; /* 63 frames */
	lies[3].len = 90;
	lies[4].data[0] |= 3, lies[4].data[1] = 0x40 | 2; /* padding without end */
	memset(lies[4].data + 2, 0xff, 50);
	lies[4].len = 52;
	put(j, &parts[0], T0);
	for (unsigned i = 0; i < 5; i++) {
		put(j, &lies[i], T0 + 960);
		assert_none(j);
	}
	put(j, &parts[1], T0 + 960);
	put(j, &parts[2], T0 + 1920);
	assert_joins(j, 0, 3, T0, 2880);
	assert_none(j);
	audio_join_destroy(j);
}

/* More than a datagram holds is several packets; more than nobody takes is dropped. */
static void test_limits(void **state)
{
	struct audio_join *j = audio_join_create(120);
	unsigned out = 0, ticks = 0;

	(void)state;
	opus_encoder_ctl(opus, OPUS_SET_BITRATE(256000));
	opus_encoder_ctl(opus, OPUS_SET_VBR(0));
	for (unsigned i = 0; i < 6; i++) {
		const struct audio_joined *x;

		speak(&parts[i], 20);
		put(j, &parts[i], T0 + i * 960);
		for (; (x = next(j)); out++) {
			assert_true(x->len <= JOIN_BYTES_MAX);
			ticks += x->ticks;
		}
	}
	audio_join_flush(j);
	for (const struct audio_joined *x; (x = next(j)); out++)
		ticks += x->ticks;
	assert_true(out >= 3);
	assert_int_equal(ticks, 6 * 960);
	for (unsigned i = 0; i < 20; i++) /* holes between them */
		put(j, &parts[0], T0 + (10 + 2 * i) * 960);
	for (out = 0; next(j); out++)
		;
	assert_int_equal(out, 4);
	audio_join_destroy(j);
	audio_join_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sounds_the_same), TEST(test_another_kind), TEST(test_gap),
		TEST(test_pause),	    TEST(test_lies),	     TEST(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
