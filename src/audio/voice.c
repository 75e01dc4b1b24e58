/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A speaker's packets, in order and on time. Time: `base` is the least of (arrival -
 * timestamp) lately, so a packet's lateness is what its way took more than the fastest;
 * what is played now is the timestamp of (now - base - delay). The delay follows the
 * lateness of the last packets, and changes only where nothing is said (a tick left out,
 * or one of silence more).
 *
 * Invariants: queue[0..count) ascend in timestamp and none is before `play`; samples in
 * `pcm` from pcm_at on belong to `play` on.
 */
#include <palabre/audio.h>
#include <palabre/wire.h>

#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

enum {
	PCM_MAX = AUDIO_RATE / 1000 * 120,
	LATE_KEPT = 64,		   /* latenesses remembered: 1.3 s of 20 ms packets */
	LATE_STRAYS = 1,	   /* of which the latest may be a stray */
	BASE_WINDOW_US = 10000000, /* clocks drift, routes change */
	LATE_LONG_US = 1000000,	   /* all too late for so long: the clock has been set */
	RESET_TICKS = 10 * 48000,
	CONCEAL_TICKS_MAX = 4, /* then it fades into nothing */
	TICKS_A_SAMPLE = 48000 / AUDIO_RATE,
	TICKS_STEP = 120 /* 2.5 ms: what Opus counts in */
};
/* Off by a tick and a half: worth mending when nothing is said. */
static const int64_t DRIFT_TICKS = AUDIO_TICK_48K * 3 / 2;
/* So far off that a pause cannot be waited for. */
static const int64_t FAR_TICKS = 48 * 250;
static const float QUIET = 1e-5f; /* mean square, -50 dBFS */
static const float PEAK = 1.0f;

struct audio_voice {
	OpusDecoder *opus;
	audio_turn_fn tap;
	void *tap_arg;
	unsigned count;
	struct pkt *queue[VOICE_QUEUE];
	bool playing;
	uint64_t play; /* timestamp of what comes next */
	unsigned pcm_at, pcm_len;
	float pcm[PCM_MAX];
	unsigned concealed; /* ticks in a row */
	bool quiet;	    /* the last tick was */
	bool known;
	uint64_t origin; /* timestamp that times are counted from: sums stay small */
	int64_t base_us, base_next_us;
	uint64_t window_us;
	uint64_t highest;
	uint64_t late_since_us; /* 0: the last packet was not too late */
	unsigned late_count;
	uint32_t late_us[LATE_KEPT];
	uint64_t delay_us;
};

struct audio_voice *audio_voice_create(void)
{
	struct audio_voice *v = calloc(1, sizeof *v);
	int err;

	if (!v)
		return NULL;
	v->opus = opus_decoder_create(AUDIO_RATE, 1, &err);
	if (!v->opus) {
		free(v);
		return NULL;
	}
	v->delay_us = VOICE_DELAY_MIN_US;
	return v;
}

static void queue_drop(struct audio_voice *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pkt_unref(v->queue[i]);
	v->count -= n;
	memmove(v->queue, v->queue + n, v->count * sizeof v->queue[0]);
}

void audio_voice_destroy(struct audio_voice *v)
{
	if (!v)
		return;
	queue_drop(v, v->count);
	opus_decoder_destroy(v->opus);
	free(v);
}

void audio_voice_reset(struct audio_voice *v)
{
	OpusDecoder *opus = v->opus;
	audio_turn_fn tap = v->tap;
	void *tap_arg = v->tap_arg;

	queue_drop(v, v->count);
	memset(v, 0, sizeof *v);
	v->opus = opus;
	v->tap = tap;
	v->tap_arg = tap_arg;
	v->delay_us = VOICE_DELAY_MIN_US;
	opus_decoder_ctl(opus, OPUS_RESET_STATE);
}

void audio_voice_tap(struct audio_voice *v, audio_turn_fn fn, void *arg)
{
	v->tap = fn;
	v->tap_arg = arg;
}

bool audio_voice_next_ts(const struct audio_voice *v, uint64_t *ts64)
{
	if (!v->known)
		return false;
	*ts64 = v->playing ? v->play : v->count ? v->queue[0]->rtp.ts64 : v->highest + 1;
	return true;
}

/* ---- time -------------------------------------------------------------------------- */

static int64_t ticks_of(const struct audio_voice *v, uint64_t ts64)
{
	return (int64_t)(ts64 - v->origin);
}

static int64_t offset_of(const struct audio_voice *v, const struct pkt *p)
{
	return (int64_t)p->arrival_us - ticks_of(v, p->rtp.ts64) * 1000 / 48;
}

/* What is to be played at now_us, in ticks since `origin`. */
static int64_t play_due(const struct audio_voice *v, uint64_t now_us)
{
	return ((int64_t)now_us - v->base_us - (int64_t)v->delay_us) * 48 / 1000;
}

static void begin_anew(struct audio_voice *v, const struct pkt *p)
{
	queue_drop(v, v->count);
	v->playing = false;
	v->pcm_len = v->pcm_at = 0;
	v->late_count = 0;
	v->concealed = 0;
	v->known = true;
	v->late_since_us = 0;
	v->origin = p->rtp.ts64;
	v->base_us = v->base_next_us = (int64_t)p->arrival_us;
	v->window_us = p->arrival_us;
	v->highest = p->rtp.ts64;
}

static void clock_update(struct audio_voice *v, const struct pkt *p)
{
	int64_t offset_us = offset_of(v, p);

	if (p->arrival_us >= v->window_us + BASE_WINDOW_US) {
		v->base_us = v->base_next_us;
		v->base_next_us = offset_us;
		v->window_us = p->arrival_us;
	}
	if (offset_us < v->base_next_us)
		v->base_next_us = offset_us;
	if (offset_us < v->base_us)
		v->base_us = offset_us;
}

/* A clock that was set back, or a stray from the future, makes all that comes too late; base
 * would know in two windows. */
static bool late_for_long(struct audio_voice *v, const struct pkt *p)
{
	if (offset_of(v, p) - v->base_us <= VOICE_DELAY_MAX_US)
		v->late_since_us = 0;
	else if (!v->late_since_us)
		v->late_since_us = p->arrival_us;
	return v->late_since_us && p->arrival_us >= v->late_since_us + LATE_LONG_US;
}

/* The latest of the last packets, but for strays, and a little. */
static void delay_update(struct audio_voice *v, const struct pkt *p)
{
	int64_t late_us = offset_of(v, p) - v->base_us;
	uint32_t most[LATE_STRAYS + 1] = { 0 };
	unsigned kept;
	uint64_t want_us;

	if (late_us > VOICE_DELAY_MAX_US)
		late_us = VOICE_DELAY_MAX_US;
	v->late_us[v->late_count++ % LATE_KEPT] = (uint32_t)late_us;
	kept = v->late_count < LATE_KEPT ? v->late_count : LATE_KEPT;
	for (unsigned i = 0; i < kept; i++) {
		uint32_t l = v->late_us[i];

		for (unsigned k = 0; k <= LATE_STRAYS; k++) {
			if (l > most[k]) {
				uint32_t t = most[k];

				most[k] = l;
				l = t;
			}
		}
	}
	/* Of a few packets each counts. */
	want_us = most[kept > LATE_KEPT / 4 ? LATE_STRAYS : 0] + VOICE_DELAY_MIN_US;
	v->delay_us = want_us < VOICE_DELAY_MAX_US ? want_us : VOICE_DELAY_MAX_US;
}

uint64_t audio_voice_delay_us(const struct audio_voice *v)
{
	return v->delay_us;
}

/* ---- in ---------------------------------------------------------------------------- */

void audio_voice_put(struct audio_voice *v, struct pkt *p)
{
	uint64_t ts = p->rtp.ts64;
	unsigned at;

	if (!p->rtp.payload_len)
		return;
	if (!v->known || ts > v->highest + RESET_TICKS || ts + RESET_TICKS < v->highest)
		begin_anew(v, p);
	clock_update(v, p);
	if (late_for_long(v, p))
		begin_anew(v, p);
	delay_update(v, p);
	if (ts > v->highest)
		v->highest = ts;
	if (v->playing && ts < v->play)
		return; /* too late: heard of, but concealed already */
	at = v->count;
	while (at > 0 && v->queue[at - 1]->rtp.ts64 > ts)
		at--;
	if (at > 0 && v->queue[at - 1]->rtp.ts64 == ts)
		return;
	if (v->count == VOICE_QUEUE) {
		if (!at)
			return;
		queue_drop(v, 1);
		at--;
	}
	memmove(v->queue + at + 1, v->queue + at, (v->count - at) * sizeof v->queue[0]);
	v->queue[at] = pkt_ref(p);
	v->count++;
}

/* ---- out --------------------------------------------------------------------------- */

/* Samples of what is at `play`, into the empty pcm. */
static bool decode(struct audio_voice *v, const uint8_t *data, size_t len,
		   unsigned samples, bool fec)
{
	int n = opus_decode_float(v->opus, data, (opus_int32)len, v->pcm, (int)samples,
				  fec);

	v->pcm_at = 0;
	v->pcm_len = n > 0 ? (unsigned)n : 0;
	/* A stream can be made that decodes to anything, and the limiter would turn everybody
	 * down for it. */
	for (unsigned i = 0; i < v->pcm_len; i++)
		v->pcm[i] = v->pcm[i] > PEAK	 ? PEAK
			    : v->pcm[i] >= -PEAK ? v->pcm[i]
						 : -PEAK; /* NaN, too */
	return n > 0;
}

static bool decode_next(struct audio_voice *v)
{
	struct pkt *p = v->queue[0];
	const uint8_t *data = p->data + p->rtp.payload_off;
	bool good;

	if (v->tap)
		v->tap(v->tap_arg, p);
	good = opus_packet_samples(data, p->rtp.payload_len) &&
	       decode(v, data, p->rtp.payload_len, PCM_MAX, false);
	if (!good)
		STAT_INC(voice_bad);
	queue_drop(v, 1);
	return good;
}

/* How much of the packet before it a packet carries once more, in ticks; 0 none. RFC 6716
 * §4.2.3: a SILK frame begins with a voice activity bit for each 20 ms in it, then the LBRR flag;
 * for stereo a second set. */
static unsigned fec_ticks(const uint8_t *data, size_t len)
{
	const unsigned char *frames[48];
	opus_int16 sizes[48];
	unsigned ticks, parts;
	bool fec;

	if (!len || data[0] & 0x80 || /* CELT alone */
	    opus_packet_parse(data, (opus_int32)len, NULL, frames, sizes, NULL) < 1 ||
	    !sizes[0])
		return 0;
	ticks = (unsigned)opus_packet_get_samples_per_frame(data, 48000);
	parts = ticks > AUDIO_TICK_48K ? ticks / AUDIO_TICK_48K : 1;
	fec = frames[0][0] >> (7 - parts) & 1;
	if (opus_packet_get_nb_channels(data) == 2)
		fec |= frames[0][0] >> (6 - 2 * parts) & 1;
	return fec ? ticks : 0;
}

/* The packet at `play` is missing, the one behind it is there and says what was in it: all of
 * it, or the end if its beginning has been concealed while that one was on its way. */
static bool recover(struct audio_voice *v)
{
	const struct pkt *p = v->count ? v->queue[0] : NULL;
	const uint8_t *data = p ? p->data + p->rtp.payload_off : NULL;
	uint64_t gap = p ? p->rtp.ts64 - v->play : 0;
	unsigned ticks = p ? fec_ticks(data, p->rtp.payload_len) : 0;

	if (!ticks || !gap || gap > ticks || gap % TICKS_STEP ||
	    !decode(v, data, p->rtp.payload_len, ticks / TICKS_A_SAMPLE, true))
		return false;
	v->pcm_at = (ticks - (unsigned)gap) / TICKS_A_SAMPLE;
	STAT_INC(fec_used);
	return true;
}

/* Up to `want` samples; returns how many. */
static unsigned take(struct audio_voice *v, float *out, unsigned want)
{
	unsigned n = v->pcm_len - v->pcm_at;

	if (n > want)
		n = want;
	memcpy(out, v->pcm + v->pcm_at, n * sizeof out[0]);
	v->pcm_at += n;
	v->play += n * TICKS_A_SAMPLE;
	return n;
}

/* Nothing more is expected: the next packet begins anew. */
static void stop(struct audio_voice *v)
{
	v->playing = false;
	v->concealed = 0;
	v->pcm_at = v->pcm_len = 0;
}

static bool start(struct audio_voice *v, uint64_t now_us)
{
	if (!v->count || ticks_of(v, v->queue[0]->rtp.ts64) > play_due(v, now_us))
		return false;
	v->play = v->queue[0]->rtp.ts64;
	v->playing = true;
	return true;
}

/* Where nothing is said time can be mended. True: this tick is held. */
static bool mend(struct audio_voice *v, uint64_t now_us)
{
	int64_t behind = play_due(v, now_us) - ticks_of(v, v->play);
	unsigned drop = 0;

	if (behind < -DRIFT_TICKS && v->quiet)
		return true;
	if ((behind > DRIFT_TICKS && v->quiet) || behind > FAR_TICKS) {
		v->play = v->origin + (uint64_t)play_due(v, now_us);
		v->pcm_at = v->pcm_len = 0;
		while (drop + 1 < v->count && v->queue[drop + 1]->rtp.ts64 <= v->play)
			drop++;
		if (drop < v->count && v->queue[drop]->rtp.ts64 < v->play)
			v->play = v->queue[drop]->rtp.ts64;
		queue_drop(v, drop);
	}
	return false;
}

/* Samples for `play` into the empty pcm. PIECE_NONE: there are none. */
static enum audio_piece refill(struct audio_voice *v, uint64_t now_us)
{
	bool early;

	while (v->count &&
	       (int64_t)(v->queue[0]->rtp.ts64 - v->play) < AUDIO_TICK_48K / 2) {
		v->play = v->queue[0]->rtp.ts64;
		if (decode_next(v)) {
			v->concealed = 0;
			return PIECE_PLAYED;
		} /* else a lying packet: what is behind it, or nothing */
	}
	if (recover(v)) {
		v->concealed = 0;
		return PIECE_RECOVERED;
	}
	if (v->concealed++ >= CONCEAL_TICKS_MAX) {
		if (!v->count)
			stop(v);
		return PIECE_NONE; /* DTX, or a hole too long to bridge */
	}
	/* Ahead of what the way needs by now: what is missing may be merely late, and
	 * concealing it is the time to become slower. Tick by tick: it may still come. */
	early = play_due(v, now_us) < ticks_of(v, v->play) - AUDIO_TICK_48K / 2;
	if (!decode(v, NULL, 0, AUDIO_TICK, false))
		return PIECE_NONE;
	if (early)
		v->play -= v->pcm_len * TICKS_A_SAMPLE;
	return PIECE_CONCEALED;
}

static float power_of(const float s[AUDIO_TICK])
{
	float sum = 0;

	for (unsigned i = 0; i < AUDIO_TICK; i++)
		sum += s[i] * s[i];
	return sum / AUDIO_TICK;
}

enum audio_piece audio_voice_tick(struct audio_voice *v, uint64_t now_us,
				  float out[AUDIO_TICK])
{
	enum audio_piece worst = PIECE_NONE;
	unsigned n = 0;

	memset(out, 0, AUDIO_TICK * sizeof out[0]);
	if (!v->playing && !start(v, now_us))
		return PIECE_NONE;
	if (v->pcm_at == v->pcm_len && mend(v, now_us))
		return PIECE_NONE;
	while (n < AUDIO_TICK) {
		enum audio_piece piece = PIECE_PLAYED;

		if (v->pcm_at == v->pcm_len)
			piece = refill(v, now_us);
		if (piece == PIECE_NONE)
			break;
		if (piece > worst)
			worst = piece;
		n += take(v, out + n, AUDIO_TICK - n);
	}
	if (v->playing)
		v->play += (AUDIO_TICK - n) * TICKS_A_SAMPLE;
	v->quiet = power_of(out) < QUIET;
	return worst;
}
