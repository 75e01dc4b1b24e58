/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A voice through its decoder: order, loss, jitter, pauses, lies. On a virtual clock. */
#include <palabre/audio.h>
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <opus/opus.h>
#include <string.h>

enum { POOL = 512, T0 = 5000000, TONE_HZ = 440 };

static struct pkt_pool *pool;
static OpusEncoder *opus;
static unsigned phase;

static int setup(void **state)
{
	int err;

	(void)state;
	pool = pkt_pool_create(POOL);
	opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	opus_encoder_ctl(opus, OPUS_SET_BITRATE(16000));
	phase = 0;
	return pool && opus ? 0 : -1;
}

static int teardown(void **state)
{
	bool all = pkt_pool_free_count(pool) == POOL;

	(void)state;
	opus_encoder_destroy(opus);
	pkt_pool_destroy(pool);
	return all ? 0 : -1;
}

/* `ms` of a tone (or of nothing), as a packet that arrives at arrival_us. */
static struct pkt *packet(uint64_t ts64, uint64_t arrival_us, unsigned ms, float loud)
{
	float s[AUDIO_RATE / 1000 * 120];
	unsigned n = ms * (AUDIO_RATE / 1000);
	struct pkt *p = pkt_take(pool);
	int len;

	for (unsigned i = 0; i < n; i++, phase++)
		s[i] = loud * sinf((float)(2 * M_PI * TONE_HZ / AUDIO_RATE) *
				   (float)(phase % AUDIO_RATE));
	len = opus_encode_float(opus, s, (int)n, p->data, AUDIO_PACKET_MAX);
	assert_true(len > 0);
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->rtp.payload_off = 0;
	p->rtp.ts64 = ts64;
	p->arrival_us = arrival_us;
	return p;
}

static void put(struct audio_voice *v, struct pkt *p)
{
	audio_voice_put(v, p);
	pkt_unref(p);
}

static float loudness(const float *s)
{
	float sum = 0;

	for (unsigned i = 0; i < AUDIO_TICK; i++)
		sum += s[i] * s[i];
	return sqrtf(sum / AUDIO_TICK);
}

struct result {
	unsigned played, recovered, concealed, none, loud;
	unsigned hole, longest_hole; /* ticks without sound between sounds */
};

static void count(struct result *r, enum audio_piece piece, const float *out)
{
	r->played += piece == PIECE_PLAYED;
	r->recovered += piece == PIECE_RECOVERED;
	r->concealed += piece == PIECE_CONCEALED;
	r->none += piece == PIECE_NONE;
	if (loudness(out) > 0.05f) {
		if (r->loud && r->hole > r->longest_hole)
			r->longest_hole = r->hole;
		r->loud++;
		r->hole = 0;
	} else {
		r->hole++;
	}
}

/* `packets` of `ms` each, packet i delayed by delay_us(i) (UINT64_MAX: lost); ticks on the 20
 * ms grid. */
static struct result run(unsigned packets, unsigned ms, uint64_t (*delay_us)(unsigned i),
			 uint64_t *delay)
{
	struct audio_voice *v = audio_voice_create();
	struct pkt *all[POOL] = { NULL };
	struct result r = { 0 };
	float out[AUDIO_TICK];
	uint64_t end_us = T0 + packets * ms * 1000 + 600000;

	assert_non_null(v);
	for (unsigned i = 0; i < packets; i++) {
		uint64_t d = delay_us(i);

		all[i] = packet((1000000 + i * ms) * 48ULL, T0 + (i + 1) * ms * 1000 + d,
				ms, 0.5f);
		if (d == UINT64_MAX) {
			pkt_unref(all[i]);
			all[i] = NULL;
		}
	}
	for (uint64_t now_us = T0; now_us < end_us; now_us += 1000) {
		for (unsigned i = 0; i < packets; i++) {
			if (!all[i] || all[i]->arrival_us > now_us)
				continue;
			put(v, all[i]);
			all[i] = NULL;
		}
		if ((now_us - T0) % AUDIO_TICK_US)
			continue;
		count(&r, audio_voice_tick(v, now_us, out), out);
	}
	if (delay)
		*delay = audio_voice_delay_us(v);
	audio_voice_destroy(v);
	return r;
}

static uint64_t steady(unsigned i)
{
	(void)i;
	return 0;
}

static void test_steady(void **state)
{
	static const unsigned lengths[] = { 10, 20, 40, 60, 120 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
		uint64_t delay;
		struct result r = run(2400 / lengths[k], lengths[k], steady, &delay);

		assert_in_range(r.played, 119, 120);
		assert_in_range(r.loud, 118, 125);
		assert_int_equal(r.longest_hole, 0);
		assert_int_equal(delay, VOICE_DELAY_MIN_US);
	}
}

static uint64_t jittery(unsigned i)
{
	static const unsigned ms[] = { 0, 35, 60, 10, 75, 20, 5, 50, 0, 62, 31 };

	return ms[i % ARRAY_LEN(ms)] * 1000ULL;
}

/* Out of order, too: 75 ms then 20. After the first packets have taught it the delay nothing
 * is missing. */
static void test_jitter(void **state)
{
	uint64_t delay;
	struct result r = run(200, 20, jittery, &delay);

	(void)state;
	assert_in_range(delay, 75000, 110000);
	assert_true(r.concealed <= 10); /* four of them at the end */
	assert_true(r.longest_hole <= 3);
	assert_true(r.played >= 192);
}

static uint64_t every_tenth_lost(unsigned i)
{
	return i % 10 == 9 ? UINT64_MAX : 0;
}

static void test_loss(void **state)
{
	struct result plain, fec;

	(void)state;
	plain = run(200, 20, every_tenth_lost, NULL);
	assert_int_equal(plain.longest_hole, 0);
	assert_int_equal(plain.recovered, 0);
	assert_in_range(plain.concealed, 18, 24);
	opus_encoder_ctl(opus, OPUS_SET_INBAND_FEC(1));
	opus_encoder_ctl(opus, OPUS_SET_PACKET_LOSS_PERC(20));
	opus_encoder_ctl(opus, OPUS_SET_BITRATE(32000));
	opus_encoder_ctl(opus, OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_WIDEBAND));
	fec = run(200, 20, every_tenth_lost, NULL);
	assert_true(fec.recovered >= 15);
	assert_true(fec.concealed <= 5);
	assert_int_equal(fec.longest_hole, 0);
}

static uint64_t repeated(unsigned i)
{
	return i % 5 == 4 ? 130000 : 0;
}

/* What is lost and comes again 130 ms later is waited for. */
static void test_repeats(void **state)
{
	uint64_t delay;
	struct result r = run(300, 20, repeated, &delay);

	(void)state;
	assert_in_range(delay, 130000, 170000);
	assert_in_range(r.concealed, 4, 14); /* four of them at the end */
	assert_true(r.longest_hole <= 6);
	assert_true(r.played >= 285);
}

/* DTX: the speaker pauses, time goes on, the next word comes on time. */
static void test_pause(void **state)
{
	struct audio_voice *v = audio_voice_create();
	struct result r = { 0 };
	float out[AUDIO_TICK];
	uint64_t now_us = T0;
	unsigned first_loud = 0;

	(void)state;
	for (unsigned i = 0; i < 250; i++, now_us += AUDIO_TICK_US) {
		enum audio_piece piece;

		if (i < 50 || (i >= 150 && i < 200))
			put(v, packet(i * 960ULL, now_us, 20, 0.5f));
		piece = audio_voice_tick(v, now_us, out);
		count(&r, piece, out);
		if (i >= 150 && !first_loud && loudness(out) > 0.05f)
			first_loud = i;
	}
	assert_in_range(first_loud, 150, 152);
	assert_in_range(r.played, 99, 100);
	assert_in_range(r.longest_hole, 90, 101);
	audio_voice_destroy(v);
}

/* A source that begins anew, far away in time either way. */
static void test_restart(void **state)
{
	static const uint64_t begins[] = { 1000, 1ULL << 40, 500, 48000ULL * 3600 };
	struct audio_voice *v = audio_voice_create();
	struct result r = { 0 };
	float out[AUDIO_TICK];
	uint64_t now_us = T0;

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(begins); b++) {
		for (unsigned i = 0; i < 25; i++, now_us += AUDIO_TICK_US) {
			put(v, packet(begins[b] + i * 960, now_us, 20, 0.5f));
			count(&r, audio_voice_tick(v, now_us, out), out);
		}
	}
	assert_true(r.played >= 25 * ARRAY_LEN(begins) - 2 * ARRAY_LEN(begins));
	assert_true(r.longest_hole <= 2);
	audio_voice_destroy(v);
}

/* A clock that is set, by less than makes a new beginning: forward, back, or for one packet.
 * The way is a jittery one. Within two seconds it is heard as before. */
static void test_clock_set(void **state)
{
	static const int64_t steps_ms[] = { 9900, -9900, 3000, -3000, 600, -600 };
	uint64_t now_us = T0, ts = 48ULL * 1000000;
	struct audio_voice *v = audio_voice_create();
	float out[AUDIO_TICK];

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_LEN(steps_ms); k++) {
		uint64_t step = (uint64_t)(steps_ms[k / 2] * 48);
		bool for_good = k % 2;
		struct result r = { 0 };

		for (unsigned i = 0; i < 300; i++, now_us += AUDIO_TICK_US) {
			struct pkt *p;

			if (i == 0 && for_good)
				ts += step;
			p = packet(ts + (i	    ? 0
					 : for_good ? 0
						    : step),
				   now_us + i % 3 * 7000, 20, 0.5f);
			ts += AUDIO_TICK_48K;
			put(v, p);
			if (i == 150)
				memset(&r, 0, sizeof r);
			count(&r, audio_voice_tick(v, now_us, out), out);
			if (i == 100)
				assert_true(r.loud > 30);
		}
		assert_true(r.played >= 149);
		assert_true(r.longest_hole <= 1);
		assert_true(audio_voice_delay_us(v) < 100000);
	}
	audio_voice_destroy(v);
}

/* The rules of RFC 6716 §3.4 as wire has them are libopus'. */
static void test_whole_as_libopus(void **state)
{
	unsigned whole = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t d[40];
		opus_int16 sizes[48];
		size_t len = i % sizeof d;
		bool theirs;

		random_bytes(d, sizeof d);
		if (i % 2) {
			d[0] |= 3;
			d[1] &= 0xc7;
		}
		theirs = opus_packet_parse(d, (opus_int32)len, NULL, NULL, sizes, NULL) >
			 0;
		assert_int_equal(opus_packet_whole(d, len), theirs);
		whole += theirs;
	}
	assert_in_range(whole, 20000, 180000);
}

/* Bytes that are no Opus, TOCs that lie, more packets than can be wanted. */
static void test_lies(void **state)
{
	struct audio_voice *v = audio_voice_create();
	float out[AUDIO_TICK];
	uint64_t now_us = T0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++, now_us += i % 8 ? 0 : AUDIO_TICK_US) {
		struct pkt *p = packet(i * 120ULL, now_us, 20, 0.5f);
		unsigned how = i % 7;

		if (how == 0)
			p->rtp.payload_len = 0;
		else if (how == 1)
			p->rtp.payload_len = 1;
		else if (how == 2)
			memset(p->data, 0xff, p->rtp.payload_len);
		else if (how == 3)
			p->data[0] ^= (uint8_t)i;
		else if (how == 4)
			p->rtp.ts64 = random_u32() * 997ULL;
		put(v, p);
		if (i % 8 == 0) {
			(void)audio_voice_tick(v, now_us, out);
			for (unsigned k = 0; k < AUDIO_TICK; k++)
				assert_true(isfinite(out[k]) && fabsf(out[k]) < 8);
		}
		assert_true(pkt_pool_free_count(pool) >= POOL - VOICE_QUEUE);
	}
	audio_voice_destroy(v);
}

/* A clock that is a thousandth too fast: an hour's drift of 3.6 s is worked off in the pauses. */
static void test_drift(void **state)
{
	struct audio_voice *v = audio_voice_create();
	struct result r = { 0 };
	float out[AUDIO_TICK];
	uint64_t now_us = T0, sent_us = T0;
	uint64_t most = 0;

	(void)state;
	for (unsigned i = 0; i < 6000; i++, now_us += AUDIO_TICK_US) {
		while (sent_us <= now_us) {
			/* a second of words, a second of near silence */
			uint64_t n = (sent_us - T0) / 19980;

			put(v, packet(n * 960, sent_us, 20, n / 50 % 2 ? 0.0005f : 0.5f));
			sent_us += 19980;
		}
		count(&r, audio_voice_tick(v, now_us, out), out);
		if (audio_voice_delay_us(v) > most)
			most = audio_voice_delay_us(v);
	}
	assert_true(r.concealed < 60);
	assert_true(most < 100000);
	assert_true(pkt_pool_free_count(pool) >= POOL - 8);
	audio_voice_destroy(v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_steady),    TEST(test_jitter),
		TEST(test_loss),      TEST(test_repeats),
		TEST(test_pause),     TEST(test_restart),
		TEST(test_lies),      TEST(test_drift),
		TEST(test_clock_set), TEST(test_whole_as_libopus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
