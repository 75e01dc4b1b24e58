/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Four talkers' packets into a mixer, in any order, at any time, with any timestamps: jitter
 * buffer, decoder and limiter. Input: records of a head byte (what, and whose) and a body.
 * Samples are finite and within what a speaker can do, and packets go back.
 *
 * A body is an Opus packet (K_RAW), or a TOC and an index of one that libopus has made, which
 * the rest is XORed onto (K_MADE): a fuzzer alone finds no decodable sound.
 */
#include "fuzz.h"
#include "record.h"

#include <palabre/audio.h>
#include <palabre/wire.h>

#include <math.h>
#include <opus/opus.h>
#include <string.h>

enum {
	POOL = 256,
	RECORDS_MAX = 200,
	TICKS_MAX = 120, /* in all: decoding takes time */
	MADE = 24,
	MADE_BYTES_MAX = 400,
	START_US = 1000000000
};
enum kind {
	K_RAW,	 /* step of the timestamp (4, in ticks), then the packet */
	K_MADE,	 /* step (2, signed, in 2.5 ms), index, then bytes to change */
	K_JUMP,	 /* 8: the timestamp */
	K_TIME,	 /* so many ticks pass */
	K_DELAY, /* 4: microseconds pass without a tick */
	K_OPEN,
	K_COUNT
};

static struct {
	uint8_t data[MADE_BYTES_MAX];
	size_t len;
} made[MADE];
static struct pkt_pool *pool;
static struct audio_effort effort;
static struct audio_mixer *mixer;
static struct audio_voice *alone; /* what the first talker says, without a mixer */
static uint64_t now_us, ts64[MIX_VOICES];
static unsigned ticks;

/* Speech-like sound in each mode and length, with and without FEC. */
static void make_all(void)
{
	static const int ms[] = { 10, 20, 40, 60 };
	float s[AUDIO_RATE / 1000 * 60];
	unsigned phase = 0;
	int err;

	for (unsigned i = 0; i < MADE; i++) {
		int n = ms[i % 4] * (AUDIO_RATE / 1000);
		OpusEncoder *e = opus_encoder_create(
			AUDIO_RATE, 1,
			i < MADE / 2 ? OPUS_APPLICATION_VOIP : OPUS_APPLICATION_AUDIO,
			&err);

		check(e != NULL);
		opus_encoder_ctl(e, OPUS_SET_BITRATE((opus_int32)(8000 + i * 2000)));
		opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(i % 3 != 0));
		opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(20));
		for (unsigned k = 0; k < 4; k++) { /* the last is kept */
			for (int j = 0; j < n; j++, phase++)
				s[j] = 0.4f * sinf((float)(phase % 4001) * 0.11f) *
				       sinf((float)(phase % 4001) * 0.003f);
			err = opus_encode_float(e, s, n, made[i].data, MADE_BYTES_MAX);
			check(err > 0);
			made[i].len = (size_t)err;
		}
		opus_encoder_destroy(e);
	}
	pool = pkt_pool_create(POOL);
	check(pool != NULL);
}

static void put(unsigned voice, const uint8_t *data, size_t len)
{
	struct pkt *p = pkt_take(pool);

	check(p != NULL);
	if (len > 1400)
		len = 1400;
	if (len)
		memcpy(p->data, data, len);
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->rtp.ts64 = ts64[voice];
	p->arrival_us = now_us;
	/* as wire has it, so does libopus: nothing whole is refused, nothing else decoded */
	check(opus_packet_whole(data, len) ==
	      (opus_packet_get_nb_samples(data, (opus_int32)len, 48000) > 0 &&
	       opus_packet_parse(data, (opus_int32)len, NULL, NULL,
				 (opus_int16[48]) { 0 }, NULL) > 0));
	audio_mixer_put(mixer, voice, p);
	if (!voice)
		audio_voice_put(alone, p);
	pkt_unref(p);
}

static void put_made(unsigned voice, const uint8_t *body, size_t len)
{
	uint8_t data[MADE_BYTES_MAX];
	struct rd r;
	unsigned i;

	rd_init(&r, body, len);
	ts64[voice] += (uint64_t)((int16_t)rd_be16(&r) * INT64_C(120));
	i = rd_u8(&r) % MADE;
	memcpy(data, made[i].data, made[i].len);
	for (size_t k = 0; k < made[i].len && rd_left(&r); k++)
		data[k] ^= rd_u8(&r);
	put(voice, data, made[i].len);
}

static void tick(void)
{
	float s[AUDIO_TICK];
	struct audio_mixed x;

	now_us += AUDIO_TICK_US;
	if (++ticks > TICKS_MAX)
		return;
	(void)audio_voice_tick(alone, now_us, s);
	for (unsigned i = 0; i < AUDIO_TICK; i++)
		check(isfinite(s[i]) && fabsf(s[i]) <= 1);
	check(audio_voice_delay_us(alone) <= VOICE_DELAY_MAX_US);
	audio_mixer_tick(mixer, now_us);
	while (audio_mixer_next(mixer, &x))
		check(opus_packet_whole(x.data, x.len) && x.level_dbov >= 0 &&
		      x.level_dbov <= 127);
	/* a queue for each, and one more for the first */
	check(pkt_pool_free_count(pool) >= POOL - (MIX_VOICES + 1) * VOICE_QUEUE);
}

static void run(const struct record *rec)
{
	unsigned voice = rec->head / K_COUNT % MIX_VOICES;
	struct rd r;

	rd_init(&r, rec->body, rec->len);
	switch ((enum kind)(rec->head % K_COUNT)) {
	case K_RAW:
		ts64[voice] += (uint64_t)(int64_t)(int32_t)rd_be32(&r);
		put(voice, rec->body + (rec->len < 4 ? rec->len : 4), rd_left(&r));
		break;
	case K_MADE:
		put_made(voice, rec->body, rec->len);
		break;
	case K_JUMP:
		ts64[voice] = (uint64_t)rd_be32(&r) << 32;
		ts64[voice] |= rd_be32(&r);
		break;
	case K_TIME:
		for (unsigned i = 0; i <= rec->len && ticks < TICKS_MAX; i++)
			tick();
		break;
	case K_DELAY:
		now_us += rd_be32(&r);
		break;
	default:
		audio_mixer_open(mixer, voice);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record rec;
	struct rd r;

	if (!pool)
		make_all();
	mixer = audio_mixer_create(&effort);
	alone = audio_voice_create();
	check(mixer && alone && !audio_mixer_start(mixer, MIX_ALL, RUNG_8K_120));
	effort.less = (unsigned)(size % AUDIO_EFFORTS);
	now_us = START_US;
	ticks = 0;
	for (unsigned v = 0; v < MIX_VOICES; v++) {
		ts64[v] = UINT64_C(1) << 32;
		audio_mixer_open(mixer, v);
	}
	rd_init(&r, data, size);
	for (unsigned n = 0; n < RECORDS_MAX && record_next(&r, &rec); n++)
		run(&rec);
	tick();
	audio_mixer_destroy(mixer);
	audio_voice_destroy(alone);
	check(pkt_pool_free_count(pool) == POOL);
	return 0;
}
