/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A room with a mixer, on real sockets: three talk, one listens at a rung, and one of those who
 * talk does, too. What comes out is decoded. */
#include "tone.h"
#include "worker_rig.h"

#include <palabre/audio.h>
#include <palabre/cc.h>
#include <palabre/wire.h>

#include <math.h>
#include <opus/opus.h>

enum { TALKERS = 3, LISTENER = TALKERS, PEOPLE, OPUS_PT = 111, RED_PT = 63 };

static const unsigned tones_hz[TALKERS] = { 330, 560, 950 };

static struct ear {
	OpusDecoder *opus;
	unsigned packets, bytes, gaps, ms[4]; /* packets by length: 20, 40, 60, 120 */
	unsigned red, wrong; /* packets of RED; blocks not as they were sent */
	struct said {
		uint32_t ts;
		unsigned len;
		uint8_t data[400];
	} said[4]; /* the last primaries */
	uint32_t ssrc;
	uint16_t seq;
	float tone[TALKERS];
	float tone_most; /* the first voice's, in any packet */
} ears[PEOPLE];
static struct talker {
	OpusEncoder *opus;
	unsigned phase;
	uint16_t seq;
	uint32_t ts;
} talkers[TALKERS];
static uint64_t next_us;
static unsigned quiet; /* bits: who says nothing, but goes on sending */

/* What is new in the packet; what RED brings again must be what came before. */
static const uint8_t *primary(struct ear *e, const uint8_t *data, size_t *len)
{
	size_t header = 12 + 4 * (data[0] & 15u); /* with who talks */
	struct red_block b[RED_BLOCKS_MAX] = { { .data = data + header,
						 .len = (uint16_t)(*len - header) } };
	uint32_t ts = get_be32(data + 4);
	struct said *s = &e->said[e->packets % ARRAY_LEN(e->said)];
	int n = 1;

	if ((data[1] & 0x7f) == RED_PT) {
		e->red++;
		n = red_parse(data + header, *len - header, b);
		assert_true(n >= 1);
	}
	for (int i = 0; i + 1 < n; i++) {
		bool same = false;

		assert_int_equal(b[i].pt, OPUS_PT);
		for (size_t k = 0; k < ARRAY_LEN(e->said); k++)
			same |= e->said[k].ts == ts - b[i].ts_offset &&
				e->said[k].len == b[i].len &&
				!memcmp(e->said[k].data, b[i].data, b[i].len);
		e->wrong += !same;
	}
	s->ts = ts;
	s->len = b[n - 1].len;
	memcpy(s->data, b[n - 1].data, b[n - 1].len);
	*len = b[n - 1].len;
	return b[n - 1].data;
}

static void on_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct ear *e = arg;
	const uint8_t *payload;
	float s[1920];
	int err, n;

	(void)now_us;
	if (!e->opus)
		e->opus = opus_decoder_create(AUDIO_RATE, 1, &err);
	payload = primary(e, data, &len);
	n = opus_decode_float(e->opus, payload, (int)len, s, 1920, 0);
	assert_true(n > 0);
	if (e->ssrc && (e->ssrc != get_be32(data + 8) ||
			(uint16_t)(e->seq + 1) != get_be16(data + 2)))
		e->gaps++;
	e->ssrc = get_be32(data + 8);
	e->seq = get_be16(data + 2);
	e->packets++;
	e->bytes += (unsigned)len;
	e->ms[n == 320 ? 0 : n == 640 ? 1 : n == 960 ? 2 : 3]++;
	for (unsigned v = 0; v < TALKERS; v++) {
		float tone = energy_at(s, (unsigned)n, tones_hz[v]);

		e->tone[v] += (tone - e->tone[v]) / 8;
		if (!v && tone > e->tone_most)
			e->tone_most = tone;
	}
}

static void talk(struct scene *s, unsigned v)
{
	struct talker *t = &talkers[v];
	uint8_t buf[600] = { 0x80, OPUS_PT };
	float pcm[AUDIO_TICK];
	int len;

	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		float at = (float)(t->phase++ % AUDIO_RATE) / AUDIO_RATE;
		float word = sinf((float)(2 * M_PI) * 2 * at + (float)v);

		pcm[i] = (quiet >> v & 1 ? 0 : 0.3f) * word * word *
			 sinf((float)(2 * M_PI) * (float)tones_hz[v] * at);
	}
	put_be16(buf + 2, t->seq++);
	put_be32(buf + 4, t->ts);
	put_be32(buf + 8, 1000 + v);
	t->ts += AUDIO_TICK_48K;
	len = opus_encode_float(t->opus, pcm, AUDIO_TICK, buf + 12, 400);
	assert_true(len > 0);
	assert_int_equal(client_send_rtp(s->people[v], buf, 12 + (size_t)len), 0);
}

/* Real time. `junk`: a socket that sends the worker something all the time, or -1. */
static void run_with(struct scene *s, unsigned ms, int junk)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(s->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint64_t end_us = clock_now_us() + ms * 1000ULL;

	if (!next_us)
		next_us = clock_now_us();
	while (clock_now_us() < end_us) {
		while (clock_now_us() >= next_us) {
			for (unsigned v = 0; v < TALKERS; v++)
				talk(s, v);
			next_us += AUDIO_TICK_US;
		}
		scene_poll(s);
		if (junk < 0)
			poll(NULL, 0, 1);
		else if (sendto(junk, "junk", 4, 0, (struct sockaddr *)&to, sizeof to) >
			 0)
			usleep(300);
	}
}

static void run(struct scene *s, unsigned ms)
{
	run_with(s, ms, -1);
}

static void forget(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		OpusDecoder *opus = ears[i].opus;

		ears[i] = (struct ear) { .opus = opus };
	}
}

static void scene_of_talkers(struct scene *s)
{
	static struct client_section sections[PEOPLE][4];
	int err;

	scene_open(s, 9);
	next_us = 0;
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct client_params params = { .on_rtp = on_rtp, .arg = &ears[i] };
		unsigned n = 0;

		if (i < TALKERS) {
			sections[i][n++] = (struct client_section) { .send = true,
								     .ssrc = 1000 + i };
			talkers[i].opus = opus_encoder_create(
				AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
		}
		for (unsigned k = 0; k < 3; k++)
			sections[i][n++] = (struct client_section) { 0 };
		scene_join(s, sections[i], n, &params);
	}
	scene_connect(s);
}

static void scene_end(struct scene *s)
{
	scene_close(s);
	for (unsigned i = 0; i < TALKERS; i++)
		opus_encoder_destroy(talkers[i].opus);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (ears[i].opus)
			opus_decoder_destroy(ears[i].opus);
	memset(ears, 0, sizeof ears);
	memset(talkers, 0, sizeof talkers);
}

/* Who does not speak hears what all hear, which is encoded once; and from their first word on not themselves. */
static void test_quiet(void **state)
{
	const struct ear *e = &ears[LISTENER], *own = &ears[0];
	struct scene s;
	_Atomic uint64_t *encodes;

	(void)state;
	scene_of_talkers(&s);
	encodes = &worker_stats(s.worker)->mix_encode;
	run(&s, 500);
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_12K_60, 0), 0);
	assert_int_equal(worker_leg_voice(s.worker, 1, RUNG_12K_60, 0), 0);
	run(&s, 600);
	atomic_store(encodes, 0);
	run(&s, 1200);
	assert_in_range(atomic_load(encodes), 38, 42);
	quiet = 1;
	run(&s, 3000);
	forget();
	atomic_store(encodes, 0);
	run(&s, 1200);
	assert_in_range(atomic_load(encodes), 19, 21);
	assert_in_range(own->packets, 19, 21);
	assert_true(own->tone[1] > 0.0005f && own->tone[2] > 0.0005f);
	quiet = 0;
	run(&s, 1200);
	assert_true(own->tone_most < 0.0005f);
	assert_true(own->tone[1] > 0.0005f && own->tone[2] > 0.0005f);
	assert_true(e->tone[0] > 0.0005f);
	assert_int_equal(own->gaps, 0);
	assert_int_equal(e->gaps, 0);
	scene_end(&s);
}

/* Who speaks at a rung uses everybody's mix there, too, without hearing it. Others get there all the same. */
static void test_after_a_speaker(void **state)
{
	const struct ear *e = &ears[LISTENER];
	struct scene s;

	(void)state;
	scene_of_talkers(&s);
	run(&s, 500);
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_12K_60, 0), 0);
	run(&s, 600);
	assert_int_equal(worker_leg_voice(s.worker, 1, RUNG_8K_120, 0), 0);
	run(&s, 900);
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_8K_120, 0), 0);
	run(&s, 600);
	forget();
	run(&s, 1200);
	assert_in_range(e->ms[3], 9, 11);
	assert_int_equal(e->ms[3], e->packets);
	scene_end(&s);
}

/* Packets more often than every millisecond, whatever they are, do not put off what is due by
 * time: the mix goes on. */
static void test_busy(void **state)
{
	const struct ear *e = &ears[LISTENER];
	struct scene s;
	int junk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	scene_of_talkers(&s);
	run(&s, 300);
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_12K_60, 0), 0);
	run(&s, 600);
	forget();
	run_with(&s, 1800, junk);
	assert_in_range(e->packets, 28, 31);
	assert_int_equal(e->gaps, 0);
	close(junk);
	scene_end(&s);
}

static void test_mix(void **state)
{
	const struct ear *e = &ears[LISTENER], *own = &ears[0];
	struct scene s;

	(void)state;
	scene_of_talkers(&s);
	run(&s, 500);
	assert_true(e->packets > 50); /* three lanes */
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_12K_60, 0), 0);
	assert_int_equal(worker_leg_voice(s.worker, 1, RUNG_12K_60, 0), 0);
	run(&s, 600);
	forget();
	run(&s, 2400);
	/* everybody, in one stream without a gap, and nothing else */
	assert_in_range(e->packets, 38, 41);
	assert_int_equal(e->ms[2], e->packets);
	assert_int_equal(e->gaps, 0);
	assert_in_range(e->bytes * 8 / 2400, 6, 13);
	for (unsigned v = 0; v < TALKERS; v++)
		assert_true(e->tone[v] > 0.0005f);
	/* who talks does not hear themselves */
	assert_in_range(own->packets, 38, 41);
	assert_int_equal(own->gaps, 0);
	assert_true(own->tone[0] < 0.00003f);
	assert_true(own->tone[1] > 0.0005f && own->tone[2] > 0.0005f);
	/* those who did not ask still hear the lanes */
	assert_true(ears[1].packets > 200);
	assert_int_equal(ears[1].ms[0], ears[1].packets);

	/* another rung: nothing is lost in between */
	forget();
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_8K_120, 0), 0);
	run(&s, 1800);
	assert_int_equal(e->gaps, 0);
	assert_true(e->ms[3] >= 11);
	assert_in_range(e->ms[2] * 60 + e->ms[3] * 120, 1680, 1860);

	/* with two earlier packets in each: as many packets, and each is repeated as it was */
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, RUNG_8K_120, 2), 0);
	run(&s, 600);
	forget();
	run(&s, 1800);
	assert_int_equal(e->gaps, 0);
	assert_in_range(e->packets, 14, 16);
	assert_int_equal(e->red, e->packets);
	assert_in_range(e->wrong, 0, 3); /* before this counting began */
	for (unsigned v = 0; v < TALKERS; v++)
		assert_true(e->tone[v] > 0.0005f);

	/* and back to the lanes */
	assert_int_equal(worker_leg_voice(s.worker, LISTENER + 1, LEG_LANES, 0), 0);
	run(&s, 300);
	forget();
	run(&s, 600);
	assert_true(e->packets > 75);
	assert_int_equal(e->ms[0], e->packets);
	scene_end(&s);
}

/* What the controller counts with is what the mixer makes. */
static void test_one_ladder(void **state)
{
	(void)state;
	for (unsigned r = 0; r < RUNGS; r++) {
		assert_int_equal(voice_rungs[r].bitrate_bps, audio_rungs[r].bitrate_bps);
		assert_int_equal(voice_rungs[r].packet_ms, audio_rungs[r].packet_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_ladder), cmocka_unit_test(test_mix),
		cmocka_unit_test(test_quiet),	   cmocka_unit_test(test_after_a_speaker),
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
