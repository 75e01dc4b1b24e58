/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How much of one frequency there is in samples at AUDIO_RATE (Goertzel). */
#ifndef TEST_TONE_H
#define TEST_TONE_H

#include <palabre/audio.h>

#include <math.h>

/* Square of its amplitude. */
static inline float energy_at(const float *s, unsigned n, unsigned hz)
{
	float k = 2 * cosf((float)(2 * M_PI) * (float)hz / AUDIO_RATE);
	float a = 0, b = 0;

	for (unsigned i = 0; i < n; i++) {
		float c = s[i] + k * a - b;

		b = a;
		a = c;
	}
	return (a * a + b * b - k * a * b) / ((float)n * (float)n / 4);
}

#endif
