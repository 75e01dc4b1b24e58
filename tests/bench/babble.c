/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See babble.h. No claim to be understood: what matters is that an encoder and a detector of
 * levels find in it what they find in speech. */
#include "babble.h"

#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

enum {
	RATE = 48000,
	SAMPLES = RATE / BABBLE_PKTS_A_SECOND,
	FORMANTS = 3,
	WORD_SYLLABLES = 3
};

struct formant {
	float a1, a2, gain, y1, y2;
};
struct speaker {
	uint32_t seed;
	float pitch_hz, phase, colour;
	unsigned left, length, syllable; /* samples of this syllable left, and in all */
	bool voiced, gap;
	struct formant formants[FORMANTS];
};

static float noise(struct speaker *s)
{
	s->seed = s->seed * 1664525 + 1013904223;
	return (float)(s->seed >> 8) / (float)(1 << 23) - 1;
}

static float between(struct speaker *s, float low, float high)
{
	return low + (noise(s) + 1) / 2 * (high - low);
}

static void tune(struct formant *f, float hz, float width_hz)
{
	float r = expf(-(float)M_PI * width_hz / RATE);

	f->a1 = 2 * r * cosf(2 * (float)M_PI * hz / RATE);
	f->a2 = -r * r;
	f->gain = 1 - r;
}

/* The next syllable: a consonant's noise now and then, otherwise a vowel; a gap after a word. */
static void next_syllable(struct speaker *s)
{
	s->gap = ++s->syllable % (WORD_SYLLABLES + 1) == 0;
	s->voiced = between(s, 0, 1) < 0.7f;
	s->length = s->left = (unsigned)between(s, RATE / 16.0f, RATE / 5.0f);
	if (s->voiced) {
		tune(&s->formants[0], between(s, 300, 800), 60);
		tune(&s->formants[1], between(s, 900, 2200), 90);
		tune(&s->formants[2], between(s, 2300, 3200), 150);
	} else {
		tune(&s->formants[0], between(s, 1500, 2500), 500);
		tune(&s->formants[1], between(s, 3000, 4500), 800);
		tune(&s->formants[2], between(s, 5000, 7000), 1000);
	}
}

/* The throat: a pulse of falling slope, its pitch swaying; or the tongue: noise. */
static float source(struct speaker *s, float at)
{
	s->phase += s->pitch_hz * (1 + 0.15f * sinf(3 * at)) / RATE;
	if (s->phase >= 1)
		s->phase -= 1;
	return s->voiced ? (1 - 2 * s->phase) + 0.05f * noise(s) : 0.4f * noise(s);
}

static float sample(struct speaker *s)
{
	float at, in, out = 0;

	if (!s->left)
		next_syllable(s);
	at = 1 - (float)s->left-- / (float)s->length;
	in = s->gap ? 0 : source(s, at) * sinf((float)M_PI * at);
	for (unsigned i = 0; i < FORMANTS; i++) {
		struct formant *f = &s->formants[i];
		float y = f->gain * in + f->a1 * f->y1 + f->a2 * f->y2;

		f->y2 = f->y1;
		f->y1 = y;
		out += y * (i ? 0.6f : 1.0f);
	}
	return out * s->colour + 0.0003f * noise(s); /* a room is never silent */
}

static OpusEncoder *encoder(void)
{
	int err;
	OpusEncoder *e = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &err);

	if (e && (opus_encoder_ctl(e, OPUS_SET_BITRATE(24000)) ||
		  opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) ||
		  opus_encoder_ctl(e, OPUS_SET_DTX(1)))) {
		opus_encoder_destroy(e);
		return NULL;
	}
	return e;
}

static int one(struct babble_pkt *p, struct speaker *s, OpusEncoder *e, bool talks)
{
	float pcm[SAMPLES], power = 1e-13f;
	int level, len;

	for (unsigned i = 0; i < SAMPLES; i++) {
		pcm[i] = talks ? sample(s) : 0;
		pcm[i] = pcm[i] > 1 ? 1 : pcm[i] < -1 ? -1 : pcm[i];
		power += pcm[i] * pcm[i] / SAMPLES;
	}
	len = opus_encode_float(e, pcm, SAMPLES, p->data, sizeof p->data);
	if (len < 0)
		return -1;
	level = (int)lroundf(-10 * log10f(power));
	p->len = len <= 2 ? 0 : (uint8_t)len;
	p->level_dbov = (uint8_t)(level < 0 ? 0 : level > 127 ? 127 : level);
	return 0;
}

int babble_create(struct babble *b, unsigned voice, unsigned seconds,
		  const uint32_t *talks)
{
	struct speaker s = { .seed = 77 + voice * 1000,
			     .pitch_hz = 105 + 35 * (float)(voice % 4),
			     .colour = 3 };
	OpusEncoder *e = encoder();
	int err = e ? 0 : -1;

	b->count = seconds * BABBLE_PKTS_A_SECOND;
	b->pkts = calloc(b->count, sizeof *b->pkts);
	if (!b->pkts)
		err = -1;
	for (unsigned i = 0; i < b->count && !err; i++) {
		unsigned second = i / BABBLE_PKTS_A_SECOND;

		err = one(&b->pkts[i], &s, e,
			  !talks || talks[second / 32] >> second % 32 & 1);
	}
	if (e)
		opus_encoder_destroy(e);
	return err;
}

void babble_destroy(struct babble *b)
{
	free(b->pkts);
	b->pkts = NULL;
}
