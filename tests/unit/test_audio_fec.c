/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * In-band FEC: what a lost packet said comes from the packet behind it, if that is there in time.
 * Judged against libopus decoding the very same packets: all of them (what was said), and with
 * plain concealment for the lost ones.
 */
#include <palabre/audio.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <opus/opus.h>
#include <stdio.h>
#include <string.h>

enum { PACKETS = 300, POOL = 64, T0 = 5000000, LOSS = 5, SAMPLES = PACKETS * AUDIO_TICK };
#define STAT(n) atomic_load_explicit(&stats.n, memory_order_relaxed)

static struct stats stats;
static struct {
	uint8_t data[400];
	int len;
} sent[PACKETS];
static float said[SAMPLES], plain[SAMPLES], heard[SAMPLES];

/* A voice as a source and three formants: pitch that moves, vowels that change four times a
 * second, pauses between words. */
static void speak(float *out, unsigned n)
{
	static const float vowels[][3] = { { 700, 1200, 2600 },
					   { 300, 2200, 2900 },
					   { 400, 800, 2500 },
					   { 500, 1700, 2500 } };
	float y[3][2] = { { 0 } }, pulse = 0;

	for (unsigned i = 0; i < n; i++) {
		float t = (float)i / AUDIO_RATE, sum = 0;
		const float *vowel = vowels[i / (AUDIO_RATE / 4) % 4];
		float word = sinf((float)(2 * M_PI) * 1.3f * t);

		pulse += (120 + 30 * sinf((float)(2 * M_PI) * 0.7f * t)) / AUDIO_RATE;
		for (unsigned f = 0; f < 3; f++) {
			float r = 0.97f, w = (float)(2 * M_PI) * vowel[f] / AUDIO_RATE;
			float x = (pulse >= 1 ? 1.0f : 0) + 2 * r * cosf(w) * y[f][0] -
				  r * r * y[f][1];

			y[f][1] = y[f][0];
			y[f][0] = x;
			sum += x / (float)(f + 1);
		}
		if (pulse >= 1)
			pulse -= 1;
		out[i] = 0.08f * sum * (word > -0.6f ? 1 : 0.02f);
	}
}

/* `ticks` of 20 ms a packet. */
static unsigned encode_all(unsigned ticks, bool fec)
{
	static float s[SAMPLES];
	int err, n = (int)ticks * AUDIO_TICK;
	unsigned count = PACKETS / ticks;
	OpusEncoder *e = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);

	speak(s, SAMPLES);
	opus_encoder_ctl(e, OPUS_SET_BITRATE(24000));
	opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(fec));
	opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(20));
	for (unsigned i = 0; i < count; i++) {
		sent[i].len = opus_encode_float(e, s + i * (unsigned)n, n, sent[i].data,
						sizeof sent[i].data);
		assert_true(sent[i].len > 0);
	}
	opus_encoder_destroy(e);
	return count;
}

static bool is_lost(unsigned i)
{
	return i % LOSS == LOSS - 1;
}

/* What libopus makes of all, with concealment for what is lost. */
static void decode_all(float *out, unsigned count, unsigned ticks, bool lose)
{
	int err, n = (int)ticks * AUDIO_TICK;
	OpusDecoder *d = opus_decoder_create(AUDIO_RATE, 1, &err);

	for (unsigned i = 0; i < count; i++, out += n)
		assert_int_equal(opus_decode_float(
					 d, lose && is_lost(i) ? NULL : sent[i].data,
					 lose && is_lost(i) ? 0 : sent[i].len, out, n, 0),
				 n);
	opus_decoder_destroy(d);
}

/* The same through a voice; how many packets it has recovered. */
static unsigned play_all(unsigned count, unsigned ticks)
{
	struct pkt_pool *pool = pkt_pool_create(POOL);
	struct audio_voice *v = audio_voice_create();
	uint64_t len_us = ticks * AUDIO_TICK_US, now_us = T0;
	unsigned next = 0, at = 0;

	memset(&stats, 0, sizeof stats);
	stats_here = &stats;
	while (at < PACKETS * AUDIO_TICK) {
		while (next < count && T0 + next * len_us <= now_us) {
			struct pkt *p = pkt_take(pool);

			p->len = p->rtp.payload_len = (uint16_t)sent[next].len;
			p->rtp.payload_off = 0;
			memcpy(p->data, sent[next].data, p->len);
			p->rtp.ts64 = 100000 + next * ticks * AUDIO_TICK_48K;
			p->arrival_us = now_us;
			if (!is_lost(next))
				audio_voice_put(v, p);
			pkt_unref(p);
			next++;
		}
		if (audio_voice_tick(v, now_us, heard + at) != PIECE_NONE || at)
			at += AUDIO_TICK;
		now_us += AUDIO_TICK_US;
	}
	audio_voice_destroy(v);
	assert_int_equal(pkt_pool_free_count(pool), POOL);
	pkt_pool_destroy(pool);
	stats_here = NULL;
	return (unsigned)STAT(fec_used);
}

static double error_of(const float *x, unsigned ticks, bool lost)
{
	double sum = 0, all = 0;

	for (unsigned i = 2 * LOSS * ticks; i < PACKETS - 12; i++) {
		if (is_lost(i / ticks) != lost)
			continue;
		for (unsigned k = 0; k < AUDIO_TICK; k++) {
			double d = x[i * AUDIO_TICK + k] - said[i * AUDIO_TICK + k];

			sum += d * d;
			all += (double)said[i * AUDIO_TICK + k] *
			       said[i * AUDIO_TICK + k];
		}
	}
	return sum / all;
}

/* How many packets were recovered; *better by how many dB the lost are nearer to what was said
 * than with plain concealment. */
static unsigned measure(unsigned ticks, bool fec, double *better)
{
	unsigned count = encode_all(ticks, fec), used;
	double concealed, recovered;

	decode_all(said, count, ticks, false);
	decode_all(plain, count, ticks, true);
	used = play_all(count, ticks);
	concealed = error_of(plain, ticks, true);
	recovered = error_of(heard, ticks, true);
	*better = 10 * log10(concealed / recovered);
	printf("%u ms%s: %u recovered of %u lost; error in the lost %.3f, plainly %.3f: "
	       "%.1f dB; in the others %.3f, plainly %.3f\n",
	       ticks * 20, fec ? " with FEC" : "", used, count / LOSS, recovered,
	       concealed, *better, error_of(heard, ticks, false),
	       error_of(plain, ticks, false));
	return used;
}

/* Seen: 42 of 60 (in pauses there is none), 13.3 dB. */
static void test_the_next_packet_says_it(void **state)
{
	double better;

	(void)state;
	assert_true(measure(1, true, &better) >= 36);
	assert_true(better > 9);
}

static void test_without_it_is_concealed(void **state)
{
	double better;

	(void)state;
	assert_int_equal(measure(1, false, &better), 0);
	assert_true(better > -0.1 && better < 0.1);
}

/* The next one comes when half, or two thirds, have been concealed: the rest is better, and
 * what follows, since the decoder knows where it is. Seen: 2.3 and 1.3 dB. */
static void test_long_packets(void **state)
{
	double better;

	(void)state;
	assert_true(measure(2, true, &better) >= 18);
	assert_true(better > 1.2);
	assert_true(measure(3, true, &better) >= 12);
	assert_true(better > 0.6);
	assert_true(error_of(heard, 3, false) < error_of(plain, 3, false) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_packet_says_it),
		cmocka_unit_test(test_without_it_is_concealed),
		cmocka_unit_test(test_long_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
