/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Voices → mixes → packets, decoded again: who is heard in which, that silence costs nothing,
 * and that the number of encodes depends on mixes and rungs alone. */
#include <palabre/audio.h>
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "tone.h"
#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 128, T0 = 7000000, SECOND = 50 };

static const unsigned tones_hz[MIX_VOICES] = { 300, 470, 740, 1150 };

static struct scene {
	struct pkt_pool *pool;
	struct audio_mixer *m;
	OpusEncoder *talkers[MIX_VOICES];
	uint64_t tick;
	unsigned phase[MIX_VOICES];
	/* per output: decoder, counts, mean energy at each tone lately */
	struct heard {
		OpusDecoder *opus;
		unsigned packets, bytes, silent;
		uint64_t next_ts64;
		unsigned gaps;
		unsigned voices;
		float tone[MIX_VOICES];
	} heard[MIXES][RUNGS];
} S;

static int setup(void **state)
{
	int err;

	(void)state;
	memset(&S, 0, sizeof S);
	S.pool = pkt_pool_create(POOL);
	S.m = audio_mixer_create();
	for (unsigned v = 0; v < MIX_VOICES; v++) {
		S.talkers[v] =
			opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
		opus_encoder_ctl(S.talkers[v], OPUS_SET_BITRATE(24000));
	}
	return S.m ? 0 : -1;
}

static int teardown(void **state)
{
	bool all;

	(void)state;
	audio_mixer_destroy(S.m);
	for (unsigned v = 0; v < MIX_VOICES; v++)
		opus_encoder_destroy(S.talkers[v]);
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++)
			if (S.heard[i][r].opus)
				opus_decoder_destroy(S.heard[i][r].opus);
	all = pkt_pool_free_count(S.pool) == POOL;
	pkt_pool_destroy(S.pool);
	return all ? 0 : -1;
}

/* Share of the energy at this frequency (Goertzel). */
static void talk(unsigned voice, float loud)
{
	float s[AUDIO_TICK];
	struct pkt *p = pkt_take(S.pool);
	int len;

	/* A tone in syllables, four a second: one that stood still would be noise. */
	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		float t = (float)(S.phase[voice]++ % AUDIO_RATE) / AUDIO_RATE;
		float word = sinf((float)(2 * M_PI) * 2 * t + (float)voice);

		s[i] = loud * word * word *
		       sinf((float)(2 * M_PI) * (float)tones_hz[voice] * t);
	}
	len = opus_encode_float(S.talkers[voice], s, AUDIO_TICK, p->data, 400);
	assert_true(len > 0);
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->rtp.ts64 = (1000 + S.tick) * AUDIO_TICK_48K;
	p->arrival_us = T0 + S.tick * AUDIO_TICK_US;
	audio_mixer_put(S.m, voice, p);
	pkt_unref(p);
}

static void hear(const struct audio_mixed *x)
{
	struct heard *h = &S.heard[x->mix][x->rung];
	float s[AUDIO_RATE / 1000 * 120];
	int err, n;

	if (!h->opus)
		h->opus = opus_decoder_create(AUDIO_RATE, 1, &err);
	n = opus_decode_float(h->opus, x->data, (int)x->len, s, 1920, 0);
	assert_int_equal(n, audio_rungs[x->rung].packet_ms * (AUDIO_RATE / 1000));
	assert_int_equal(opus_packet_samples(x->data, x->len), n * 3);
	assert_int_equal(x->ts64 % ((uint64_t)n * 3), 0);
	if (h->packets && x->ts64 != h->next_ts64)
		h->gaps++;
	h->next_ts64 = x->ts64 + (uint64_t)n * 3;
	h->packets++;
	h->bytes += (unsigned)x->len;
	h->silent += x->len <= 2;
	h->voices = x->voices;
	for (unsigned v = 0; v < MIX_VOICES; v++)
		h->tone[v] += (energy_at(s, (unsigned)n, tones_hz[v]) - h->tone[v]) / 16;
}

/* One tick in which `speaking` (bits) talk at their loudness. */
static void tick(unsigned speaking, const float *loud)
{
	struct audio_mixed x;

	for (unsigned v = 0; v < MIX_VOICES; v++)
		if (speaking >> v & 1)
			talk(v, loud ? loud[v] : 0.2f);
	audio_mixer_tick(S.m, T0 + S.tick * AUDIO_TICK_US);
	S.tick++;
	while (audio_mixer_next(S.m, &x))
		hear(&x);
}

static void open_all(void)
{
	for (unsigned v = 0; v < MIX_VOICES; v++)
		audio_mixer_open(S.m, v);
}

static void test_who_is_heard(void **state)
{
	(void)state;
	open_all();
	for (unsigned i = 0; i < MIXES; i++)
		assert_int_equal(audio_mixer_start(S.m, i, RUNG_12K_60), 0);
	for (unsigned t = 0; t < 2 * SECOND; t++)
		tick(0x7, NULL);
	for (unsigned i = 0; i < MIXES; i++) {
		const struct heard *h = &S.heard[i][RUNG_12K_60];

		assert_int_equal(h->voices, 7u & ~(i < MIX_VOICES ? 1u << i : 0));
		for (unsigned v = 0; v < MIX_VOICES; v++) {
			if (h->voices >> v & 1)
				assert_true(h->tone[v] > 0.001f);
			else
				assert_true(h->tone[v] < 0.00003f);
		}
		assert_in_range(h->packets, 32, 33);
		assert_int_equal(h->gaps, 0);
	}
}

/* The shy one is as loud as the others, and the sum of four never exceeds what can be. */
static void test_evened(void **state)
{
	static const float loud[] = { 0.02f, 0.2f, 0.8f, 0.8f };
	const struct heard *h = &S.heard[MIX_ALL][RUNG_24K_20];

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_24K_20), 0);
	for (unsigned t = 0; t < 8 * SECOND; t++)
		tick(0xf, loud);
	for (unsigned v = 0; v < MIX_VOICES; v++)
		assert_true(h->tone[v] > 0.002f && h->tone[v] < 0.06f);
}

static void test_rungs(void **state)
{
	unsigned kbit[RUNGS];

	(void)state;
	open_all();
	for (unsigned r = 0; r < RUNGS; r++)
		assert_int_equal(audio_mixer_start(S.m, MIX_ALL, (enum audio_rung)r), 0);
	assert_false(audio_mixer_ready(S.m, MIX_ALL, RUNG_8K_120));
	for (unsigned t = 0; t < 6; t++)
		tick(1, NULL);
	for (unsigned r = 0; r < RUNGS; r++)
		assert_true(audio_mixer_ready(S.m, MIX_ALL, (enum audio_rung)r));
	for (unsigned t = 6; t < 12 * SECOND; t++)
		tick(1, NULL);
	for (unsigned r = 0; r < RUNGS; r++) {
		kbit[r] = S.heard[MIX_ALL][r].bytes * 8 / 12;
		assert_int_equal(S.heard[MIX_ALL][r].packets,
				 12000 / audio_rungs[r].packet_ms);
		assert_in_range(kbit[r], audio_rungs[r].bitrate_bps / 2,
				audio_rungs[r].bitrate_bps * 11 / 10);
	}
	/* no longer wanted: no longer made */
	audio_mixer_stop(S.m, MIX_ALL, RUNG_8K_60);
	for (unsigned t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_int_equal(S.heard[MIX_ALL][RUNG_8K_60].packets, 200);
	assert_int_equal(S.heard[MIX_ALL][RUNG_8K_120].packets, 108);
}

/* Nobody says anything: a packet or two, then nothing, then no ticks either. And back. */
static void test_silence(void **state)
{
	const struct heard *h = &S.heard[MIX_ALL][RUNG_8K_60];
	unsigned before, t;

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_60), 0);
	for (t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_false(audio_mixer_idle(S.m));
	for (t = 0; t < SECOND; t++)
		tick(0, NULL);
	before = h->packets;
	assert_true(h->silent >= 1);
	for (t = 0; t < 4 * SECOND && !audio_mixer_idle(S.m); t++)
		tick(0, NULL);
	assert_true(audio_mixer_idle(S.m));
	assert_in_range(t, 1, 2 * SECOND);
	assert_true(h->packets - before <= 4);
	audio_mixer_skip(S.m, 600 * SECOND);
	S.tick += 600 * SECOND;
	before = h->packets;
	for (t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_in_range(h->packets - before, 15, 17);
	assert_true(h->tone[0] > 0.001f);
	assert_false(audio_mixer_idle(S.m));
}

/* Places change hands; an empty one takes packets and gives nothing. */
static void test_places(void **state)
{
	const struct heard *h = &S.heard[MIX_ALL][RUNG_16K_40];

	(void)state;
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_16K_40), 0);
	for (unsigned t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_int_equal(h->voices, 0);
	audio_mixer_open(S.m, 0);
	for (unsigned t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_int_equal(h->voices, 1);
	audio_mixer_clear(S.m, 0);
	audio_mixer_open(S.m, 1);
	for (unsigned t = 0; t < 5 * SECOND; t++)
		tick(2, NULL);
	assert_int_equal(h->voices, 2);
	assert_true(h->tone[1] > 0.001f && h->tone[0] < 0.00003f);
}

/* What decodes to as much as samples can be, and more: the others are not turned down for it. */
static void test_noise(void **state)
{
	struct heard *h = &S.heard[MIX_ALL][RUNG_24K_20];
	uint64_t x = 1;
	float before;

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_24K_20), 0);
	for (unsigned t = 0; t < 2 * SECOND; t++)
		tick(1, NULL);
	before = h->tone[0];
	for (unsigned t = 0; t < 2 * SECOND; t++) {
		struct pkt *p = pkt_take(S.pool);

		p->len = p->rtp.payload_len = 120;
		p->data[0] = 0xf8; /* CELT, 20 ms */
		for (unsigned i = 1; i < 120; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			p->data[i] = (uint8_t)(x >> 56);
		}
		p->rtp.ts64 = (1000 + S.tick) * AUDIO_TICK_48K;
		p->arrival_us = T0 + S.tick * AUDIO_TICK_US;
		audio_mixer_put(S.m, 3, p);
		pkt_unref(p);
		tick(1, NULL);
	}
	print_message("beside noise: %.2f of before\n", (double)(h->tone[0] / before));
	assert_int_equal(h->voices, 9);
	assert_true(h->tone[0] > before / 2); /* not clipped: a tenth */
	for (unsigned t = 0; t < SECOND; t++)
		tick(1, NULL);
	assert_true(h->tone[0] > before / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_is_heard), TEST(test_evened), TEST(test_rungs),
		TEST(test_silence),	 TEST(test_places), TEST(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
