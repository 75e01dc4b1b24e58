/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Loudness. Speech is what stands out of the noise floor (the least of the last seconds)
 * and is not next to nothing; its loudness sets the gain slowly, so that words keep their
 * shape. What is not speech becomes digital silence, which Opus sends as nothing (DTX): the
 * gate opens within the tick in which a word begins and closes after its end.
 */
#include <palabre/audio.h>

#include <math.h>
#include <string.h>

enum { FLOOR_TICKS = 100 };		/* two windows of 2 s */
static const float SPEECH_MIN = 1e-5f;	/* -50 dBFS */
static const float OVER_FLOOR = 4.0f;	/* 6 dB */
static const float LOUD_STEP = 0.02f;	/* of the mean, a tick: 1 s */
static const float UP_A_TICK = 1.007f;	/* 3 dB/s */
static const float DOWN_A_TICK = 0.95f; /* 22 dB/s */

static float gain_of_db(int db)
{
	return powf(10, (float)db / 20);
}

void audio_level_init(struct audio_level *l)
{
	*l = (struct audio_level) { .wanted = 1, .floor_now = 1, .floor_before = 0 };
}

static float mean_square(const float s[AUDIO_TICK])
{
	float sum = 0;

	for (unsigned i = 0; i < AUDIO_TICK; i++)
		sum += s[i] * s[i];
	return sum / AUDIO_TICK;
}

static void floor_update(struct audio_level *l, float power)
{
	if (++l->window_ticks == FLOOR_TICKS) {
		l->floor_before = l->floor_now;
		l->floor_now = power;
		l->window_ticks = 0;
	}
	if (power < l->floor_now)
		l->floor_now = power;
}

static void wanted_update(struct audio_level *l, float power)
{
	float target = gain_of_db(LEVEL_TARGET_DBFS);
	float want;

	l->loud = l->loud > 0 ? l->loud + (power - l->loud) * LOUD_STEP : power;
	want = target / sqrtf(l->loud);
	want = fminf(fmaxf(want, gain_of_db(LEVEL_GAIN_MIN_DB)),
		     gain_of_db(LEVEL_GAIN_MAX_DB));
	if (want > l->wanted)
		l->wanted = fminf(want, l->wanted * UP_A_TICK);
	else
		l->wanted = fmaxf(want, l->wanted * DOWN_A_TICK);
}

bool audio_level_tick(struct audio_level *l, float s[AUDIO_TICK])
{
	float power = mean_square(s);
	float noise = fminf(l->floor_now, l->floor_before);
	bool speech = power > SPEECH_MIN && power > noise * OVER_FLOOR;
	float to;

	floor_update(l, power);
	if (speech) {
		wanted_update(l, power);
		l->hang = LEVEL_HANG_TICKS;
	} else if (l->hang) {
		l->hang--;
	}
	to = l->hang ? l->wanted : 0;
	if (to <= 0 && l->gain <= 0) {
		memset(s, 0, AUDIO_TICK * sizeof s[0]);
		return false;
	}
	if (l->gain <= 0)
		l->gain = to; /* the first syllable whole */
	for (unsigned i = 0; i < AUDIO_TICK; i++)
		s[i] *= l->gain + (to - l->gain) * (float)(i + 1) / AUDIO_TICK;
	l->gain = to;
	return true;
}

/* ---- limiter ----------------------------------------------------------------------- */

enum { PART = AUDIO_TICK / 8 }; /* 2.5 ms */
static const float CEILING = 0.9f;
static const float RECOVER = 1.02f; /* a part: 70 dB/s */

void audio_limiter_init(struct audio_limiter *m)
{
	m->gain = 1;
}

static float needed(const float *s)
{
	float peak = 0;

	for (unsigned i = 0; i < PART; i++)
		peak = fabsf(s[i]) > peak ? fabsf(s[i]) : peak;
	return peak > CEILING ? CEILING / peak : 1;
}

/* Each part ends at a gain that its own peak and the next one's allow, and begins where the
 * one before ended; in a part whose own peak asks for less, the whole is at that. */
void audio_limiter_tick(struct audio_limiter *m, float s[AUDIO_TICK])
{
	for (unsigned at = 0; at < AUDIO_TICK; at += PART) {
		float own = needed(s + at);
		float next = at + PART < AUDIO_TICK ? needed(s + at + PART) : 1;
		float from = fminf(m->gain, own);
		float to = fminf(fminf(own, next), m->gain * RECOVER);

		if (from == 1 && to >= 1) {
			m->gain = 1;
			continue;
		}
		to = fminf(to, 1);
		for (unsigned i = 0; i < PART; i++)
			s[at + i] *= from + (to - from) * (float)(i + 1) / PART;
		m->gain = to;
	}
}
