/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Levels: shy and loud end alike, noise ends as silence, a sum is turned down and not cut. */
#include <palabre/audio.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static float rms(const float *s, unsigned n)
{
	float sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += s[i] * s[i];
	return sqrtf(sum / (float)n);
}

static float db(float x)
{
	return 20 * log10f(x);
}

static float noise(void)
{
	return (float)random_u32() / (float)UINT32_MAX * 2 - 1;
}

/* 0.6 s of "speech" (a tone whose loudness moves), 0.4 s of pause, over a noise floor. */
static void speech(float s[AUDIO_TICK], unsigned tick, float loud, float floor)
{
	bool pause = tick % 50 >= 30;

	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		unsigned n = tick * AUDIO_TICK + i;
		float word = sinf((float)(n % AUDIO_RATE) * 0.35f) *
			     (0.7f + 0.3f * sinf((float)(n % 4000) * 0.00157f));

		s[i] = (pause ? 0 : loud * word) + floor * noise();
	}
}

static float settled(float loud, float floor)
{
	struct audio_level l;
	float s[AUDIO_TICK];
	float sum = 0;
	unsigned n = 0;

	audio_level_init(&l);
	for (unsigned t = 0; t < 1500; t++) {
		speech(s, t, loud, floor);
		audio_level_tick(&l, s);
		if (t >= 1000 && t % 50 >= 5 && t % 50 < 25) {
			sum += rms(s, AUDIO_TICK);
			n++;
		}
	}
	return db(sum / (float)n);
}

static void test_evened(void **state)
{
	/* a shy phone, a usual one, a loud headset: 30 dB apart */
	float shy = settled(0.015f, 0.0003f);
	float usual = settled(0.1f, 0.001f);
	float loud = settled(0.5f, 0.001f);

	(void)state;
	assert_true(fabsf(usual - LEVEL_TARGET_DBFS) < 2);
	assert_true(fabsf(loud - LEVEL_TARGET_DBFS) < 2);
	assert_true(fabsf(shy - usual) < 3);
}

/* A fan, a hiss: nothing is left of it, whatever its level; words over it get through. */
static void test_gate(void **state)
{
	static const float floors[] = { 0.0005f, 0.003f, 0.01f, 0.03f };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(floors); k++) {
		struct audio_level l;
		float s[AUDIO_TICK];
		unsigned open = 0;

		audio_level_init(&l);
		for (unsigned t = 0; t < 1000; t++) {
			for (unsigned i = 0; i < AUDIO_TICK; i++)
				s[i] = floors[k] * noise();
			if (audio_level_tick(&l, s) && t >= 300)
				open++;
			else if (t >= 300)
				assert_true(rms(s, AUDIO_TICK) == 0);
		}
		assert_int_equal(open, 0);
		/* The first tick of a word is there, and whole. */
		speech(s, 0, 0.2f, floors[k]);
		assert_true(audio_level_tick(&l, s));
		assert_true(rms(s, AUDIO_TICK / 4) > 0.03f);
	}
}

static void test_pause_closes(void **state)
{
	struct audio_level l;
	float s[AUDIO_TICK];
	unsigned t, closed = 0;

	(void)state;
	audio_level_init(&l);
	for (t = 0; t < 30; t++) {
		speech(s, t, 0.2f, 0.0005f);
		assert_true(audio_level_tick(&l, s));
	}
	for (t = 0; t < 40; t++) {
		for (unsigned i = 0; i < AUDIO_TICK; i++)
			s[i] = 0.0005f * noise();
		if (!audio_level_tick(&l, s))
			closed++;
	}
	assert_in_range(closed, 40 - LEVEL_HANG_TICKS - 2, 40 - LEVEL_HANG_TICKS);
}

static void test_limiter(void **state)
{
	struct audio_limiter m;
	float s[AUDIO_TICK], before[AUDIO_TICK];

	(void)state;
	audio_limiter_init(&m);
	for (unsigned t = 0; t < 200; t++) {
		bool loud = t / 20 % 2;
		float last = 0, step = 0;

		for (unsigned i = 0; i < AUDIO_TICK; i++)
			s[i] = (loud ? 3.0f : 0.3f) *
			       sinf((float)((t * AUDIO_TICK + i) % AUDIO_RATE) * 0.05f);
		memcpy(before, s, sizeof s);
		audio_limiter_tick(&m, s);
		for (unsigned i = 0; i < AUDIO_TICK; i++) {
			assert_true(fabsf(s[i]) <= 0.9001f);
			if (i)
				step = fmaxf(step, fabsf(s[i] - last));
			last = s[i];
		}
		/* turned down, not cut: a sine of this frequency moves by 0.045 a sample */
		assert_true(step < 0.12f);
		if (!loud && t % 20 > 10)
			assert_memory_equal(before, s, sizeof s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evened),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_pause_closes),
		cmocka_unit_test(test_limiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
