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

static struct audio_effort effort;
static struct stats stats;
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
		unsigned packets, bytes, silent, halves;
		uint64_t next_ts64;
		unsigned gaps;
		unsigned voices;
		float tone[MIX_VOICES];
		float last; /* the first voice's in the last packet alone */
	} heard[MIXES][RUNGS];
	/* of voice 0, in packets of 60 ms */
	struct {
		unsigned packets, holes, short_ones,
			beside; /* the mix's, at the same time */
		uint64_t next_ts64, first_ts64, off;
	} joined;
} S;

static int setup(void **state)
{
	int err;

	(void)state;
	memset(&S, 0, sizeof S);
	stats_here = &stats;
	S.pool = pkt_pool_create(POOL);
	S.m = audio_mixer_create(&effort);
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

/* What that voice says at this tick. */
static struct pkt *voice(unsigned v, float loud)
{
	float s[AUDIO_TICK];
	struct pkt *p = pkt_take(S.pool);
	int len;

	/* A tone in syllables, four a second: one that stood still would be noise. */
	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		float t = (float)(S.phase[v]++ % AUDIO_RATE) / AUDIO_RATE;
		float word = sinf((float)(2 * M_PI) * 2 * t + (float)v);

		s[i] = loud * word * word *
		       sinf((float)(2 * M_PI) * (float)tones_hz[v] * t);
	}
	len = opus_encode_float(S.talkers[v], s, AUDIO_TICK, p->data, 400);
	assert_true(len > 0);
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->rtp.ts64 = (1000 + S.tick) * AUDIO_TICK_48K;
	p->arrival_us = T0 + S.tick * AUDIO_TICK_US;
	return p;
}

static void talk(unsigned v, float loud)
{
	struct pkt *p = voice(v, loud);

	audio_mixer_put(S.m, v, p);
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
	assert_int_equal(n * 3, x->ticks);
	h->halves += x->ticks != audio_rungs[x->rung].packet_ms * 48u;
	assert_int_equal(opus_packet_samples(x->data, x->len), n * 3);
	assert_int_equal(x->ts64 % ((uint64_t)n * 3), 0);
	if (h->packets && x->ts64 != h->next_ts64)
		h->gaps++;
	h->next_ts64 = x->ts64 + (uint64_t)n * 3;
	h->packets++;
	h->bytes += (unsigned)x->len;
	h->silent += x->len <= 2;
	h->voices = x->voices;
	h->last = energy_at(s, (unsigned)n, tones_hz[0]);
	for (unsigned v = 0; v < MIX_VOICES; v++)
		h->tone[v] += (energy_at(s, (unsigned)n, tones_hz[v]) - h->tone[v]) / 16;
}

static void hear_joined(uint64_t mixed_ts64)
{
	const struct audio_joined *x;

	while (audio_mixer_next_joined(S.m, 0, 1, &x)) {
		if (!S.joined.packets++)
			S.joined.first_ts64 = x->ts64;
		else
			S.joined.holes += x->ts64 != S.joined.next_ts64;
		S.joined.next_ts64 = x->ts64 + x->ticks;
		S.joined.short_ones += x->ticks != 2880;
		S.joined.beside += mixed_ts64 && x->ts64 - mixed_ts64 == S.joined.off;
		S.joined.off = x->ts64 - mixed_ts64;
	}
}

/* One tick in which `speaking` (bits) talk at their loudness. */
static void tick(unsigned speaking, const float *loud)
{
	uint64_t mixed_ts64 = 0;
	struct audio_mixed x;

	for (unsigned v = 0; v < MIX_VOICES; v++)
		if (speaking >> v & 1)
			talk(v, loud ? loud[v] : 0.2f);
	audio_mixer_tick(S.m, T0 + S.tick * AUDIO_TICK_US);
	S.tick++;
	while (audio_mixer_next(S.m, &x)) {
		hear(&x);
		if (x.mix == MIX_ALL && x.rung == RUNG_12K_60)
			mixed_ts64 = x.ts64;
	}
	hear_joined(mixed_ts64);
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

static unsigned encodes(void)
{
	return (unsigned)atomic_exchange(&stats.mix_encode, 0);
}

/* Two rungs of one bitrate are encoded once: packets of 120 ms are those of 60, joined. So they are when only they are
 * wanted, and either may rest. */
static void test_joined_rung(void **state)
{
	const struct heard *h = &S.heard[MIX_ALL][RUNG_8K_120],
			   *half = &S.heard[MIX_ALL][RUNG_8K_60];

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_120), 0);
	(void)encodes();
	for (unsigned t = 0; t < 60; t++)
		tick(3, NULL);
	assert_int_equal(encodes(), 20);
	assert_int_equal(h->packets, 10);
	assert_int_equal(half->packets, 0);
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_60), 0);
	for (unsigned t = 0; t < 60; t++)
		tick(3, NULL);
	assert_int_equal(encodes(), 20);
	assert_int_equal(h->packets, 20);
	assert_int_equal(half->packets, 20);
	audio_mixer_rest(S.m, MIX_ALL, RUNG_8K_120, true);
	for (unsigned t = 0; t < 60; t++)
		tick(3, NULL);
	assert_int_equal(encodes(), 20);
	assert_int_equal(h->packets, 20);
	audio_mixer_rest(S.m, MIX_ALL, RUNG_8K_60, true);
	for (unsigned t = 0; t < 60; t++)
		tick(3, NULL);
	assert_int_equal(encodes(), 0);
	assert_int_equal(half->packets, 40);
	audio_mixer_rest(S.m, MIX_ALL, RUNG_8K_120, false);
	audio_mixer_stop(S.m, MIX_ALL, RUNG_8K_60);
	for (unsigned t = 0; t < 60; t++)
		tick(3, NULL);
	assert_int_equal(h->packets, 30);
	assert_int_equal(h->halves, 0);
	assert_true(h->tone[0] > 0.001f && h->tone[1] > 0.001f);
	audio_mixer_stop(S.m, MIX_ALL, RUNG_8K_120);
}

/* Words of half a second between pauses: the packets of 120 ms bring what those of 60 do, and their first
 * silent one tells of each pause. */
static void test_joined_pauses(void **state)
{
	const struct heard *h = &S.heard[MIX_ALL][RUNG_8K_120],
			   *half = &S.heard[MIX_ALL][RUNG_8K_60];

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_120), 0);
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_60), 0);
	for (unsigned word = 0; word < 20; word++)
		for (unsigned t = 0; t < 25 + 40 + word % 6; t++)
			tick(t < 25, NULL);
	assert_in_range(h->silent + 4, half->silent, half->silent + 8);
	assert_true(half->silent >= 18);
	assert_true(h->bytes < half->bytes + h->packets * 3);
	assert_true(h->bytes > half->bytes * 9 / 10);
	assert_true(h->packets < half->packets * 2 / 3);
	print_message("packets of 60: %u, of 120: %u, of them half: %u\n", half->packets,
		      h->packets, h->halves);
}

/* A thread with no time left takes less care, one step a second or two; and more again when it is calm. What is left is
 * speech still. */
static void test_effort(void **state)
{
	static const struct {
		unsigned pct, runs, less;
	} steps[] = { { 50, 20, 0 },
		      { 75, 1, 1 },
		      { 60, 20, 1 },
		      { 95, 1, 3 },
		      { 100, 5, 3 },
		      { 35, 4, 3 },
		      { 50, 1, 3 },
		      { 35, 5, 2 },
		      { 10, 9, 1 },
		      { 10, 50, 0 },
		      { 75, 1, 1 },
		      { 30, 5, 0 },
		      /* a step up that was too much waits twice as long */
		      { 80, 1, 1 },
		      { 30, 9, 1 },
		      { 30, 1, 0 } };
	struct audio_effort e = { 0 };
	uint64_t now_us = T0, cpu_us = 5;

	(void)state;
	audio_effort_run(&e, now_us, cpu_us);
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		for (unsigned n = 0; n < steps[i].runs; n++) {
			now_us += 1000000;
			cpu_us += steps[i].pct * 10000;
			audio_effort_run(&e, now_us, cpu_us);
		}
		assert_int_equal(e.less, steps[i].less);
	}
	open_all();
	for (unsigned r = 0; r < RUNGS; r++)
		assert_int_equal(audio_mixer_start(S.m, MIX_ALL, (enum audio_rung)r), 0);
	for (effort.less = 0; effort.less < AUDIO_EFFORTS; effort.less++) {
		for (unsigned t = 0; t < 2 * SECOND; t++)
			tick(3, NULL);
		for (unsigned r = 0; r < RUNGS; r++)
			assert_true(S.heard[MIX_ALL][r].tone[0] > 0.001f &&
				    S.heard[MIX_ALL][r].tone[1] > 0.001f &&
				    !S.heard[MIX_ALL][r].gaps);
	}
	effort.less = 0;
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

/* The packets of a voice joined end where the mix's do, from the same moment of it on. */
static void test_join(void **state)
{
	uint64_t ts64;

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_12K_60), 0);
	for (unsigned t = 0; t < 48; t++)
		tick(1, NULL);
	assert_int_equal(S.joined.packets, 0);
	assert_true(audio_mixer_next_ts(S.m, 0, &ts64));
	assert_false(audio_mixer_next_ts(S.m, 1, &ts64));
	assert_int_equal(audio_mixer_join(S.m, 0, 1), 0);
	for (unsigned t = 0; t < 30; t++)
		tick(1, NULL);
	assert_int_equal(S.joined.packets, 10);
	assert_int_equal(S.joined.holes, 0);
	assert_int_equal(S.joined.short_ones, 0);
	assert_int_equal(S.joined.first_ts64, ts64);
	assert_int_equal(S.joined.beside, 9); /* each after the first as far from it */
	audio_mixer_part(S.m, 0, 1);
	for (unsigned t = 0; t < 12; t++)
		tick(1, NULL);
	assert_int_equal(S.joined.packets, 10);
	assert_int_equal(S.heard[MIX_ALL][RUNG_12K_60].gaps, 0);
}

/* What comes late, but in time to be played, is joined in order; what is lost is a hole. */
static void test_join_jitter(void **state)
{
	struct pkt *held = NULL;

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_join(S.m, 0, 1), 0);
	for (unsigned t = 0; t < 4 * SECOND; t++) {
		bool lost = t > 3 * SECOND && t % 25 == 0;

		if (t == 2 * SECOND) /* by now it knows how late they come */
			S.joined.packets = S.joined.holes = S.joined.short_ones = 0;
		if (held) {
			held->arrival_us = T0 + S.tick * AUDIO_TICK_US;
			audio_mixer_put(S.m, 0, held);
			pkt_unref(held);
			held = NULL;
		}
		if (t % 5 == 3) {
			held = voice(0, 0.2f);
		} else if (!lost) {
			talk(0, 0.2f);
		}
		tick(0, NULL);
	}
	if (held)
		pkt_unref(held);
	assert_in_range(S.joined.packets, 33, 38);
	assert_in_range(S.joined.holes, 1, 3);
	assert_in_range(S.joined.short_ones, 1, 4);
}

/* Whom nobody hears is not encoded; and then the first packet is whole. */
static void test_rest(void **state)
{
	struct heard *h = &S.heard[MIX_ALL][RUNG_8K_120];
	float usual;

	(void)state;
	open_all();
	assert_int_equal(audio_mixer_start(S.m, MIX_ALL, RUNG_8K_120), 0);
	assert_int_equal(audio_mixer_start(S.m, 1, RUNG_8K_120), 0);
	for (unsigned t = 0; t < 60; t++)
		tick(1, NULL);
	usual = h->tone[0];
	audio_mixer_rest(S.m, MIX_ALL, RUNG_8K_120, true);
	for (unsigned t = 0; t < 60; t++)
		tick(1, NULL);
	assert_int_equal(h->packets, 10);
	assert_int_equal(S.heard[1][RUNG_8K_120].packets, 20);
	for (unsigned t = 0; t < 4; t++)
		tick(1, NULL);
	audio_mixer_rest(S.m, MIX_ALL, RUNG_8K_120, false);
	for (unsigned t = 0; t < 2; t++)
		tick(1, NULL);
	assert_int_equal(h->packets, 11);
	assert_true(h->last > usual / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_is_heard), TEST(test_evened),	   TEST(test_rungs),
		TEST(test_silence),	 TEST(test_places),	   TEST(test_join),
		TEST(test_joined_rung),	 TEST(test_joined_pauses), TEST(test_effort),
		TEST(test_join_jitter),	 TEST(test_rest),	   TEST(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
