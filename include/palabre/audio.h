/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * audio: voices as samples. Level 3, worker's thread. No sockets, no clock: packets and
 * time come in as arguments, packets go out by return.
 *
 * A room's mixer takes each speaker's packets (audio_voice), makes 20 ms of samples of
 * each 20 ms of time, evens them out, and encodes what listeners on thin links hear:
 * everybody together, or everybody but one, at a *rung*. One encoder per rung and mix,
 * whoever many listen, so the cost does not depend on listeners.
 *
 * Samples are mono float in [-1, 1] at 16 kHz: what Opus carries at the rungs (wideband at
 * 12 kbit/s and above, narrowband below).
 */
#ifndef PALABRE_AUDIO_H
#define PALABRE_AUDIO_H

#include <palabre/base.h>

enum {
	AUDIO_RATE = 16000,
	AUDIO_TICK_US = 20000,
	AUDIO_TICK = 320,     /* samples */
	AUDIO_TICK_48K = 960, /* the same in RTP's clock */
	AUDIO_PACKET_MAX = 1275
};

/* ---- rungs: bitrate and packet length of what the server encodes ------------------- */

/* From poor to rich, as cc's voice_rungs. */
enum audio_rung {
	RUNG_6K_120,
	RUNG_8K_120,
	RUNG_8K_60,
	RUNG_12K_60,
	RUNG_16K_40,
	RUNG_24K_20,
	RUNGS
};
struct audio_rung_params {
	uint32_t bitrate_bps;
	uint8_t packet_ms;
};
extern const struct audio_rung_params audio_rungs[RUNGS];

/* ---- effort: how much care encoders take, by how busy their thread is -------------- */

enum { AUDIO_EFFORTS = 4 };
struct audio_effort {
	uint64_t now_us, cpu_us; /* when run last; now_us 0: never */
	unsigned less;		 /* steps below full care, < AUDIO_EFFORTS */
	unsigned calm;		 /* runs in a row, */
	unsigned patience;	 /* and so many before a step up */
	unsigned since_up;	 /* runs since the last, or more */
};
/* About once a second, with the time that the thread has spent computing: steps down from 70 % on, up
 * after five runs below 40 %, or more where that was too much. */
void audio_effort_run(struct audio_effort *e, uint64_t now_us, uint64_t cpu_us);

/* ---- encoder ----------------------------------------------------------------------- */

struct audio_encoder;
/* NULL: out of memory. */
struct audio_encoder *audio_encoder_create(enum audio_rung rung) MUST_CHECK;
void audio_encoder_destroy(struct audio_encoder *e);
/* Of what is encoded next: several speak at once (with more care, at rungs of up to 8 kbit/s); and
 * audio_effort.less. */
void audio_encoder_care(struct audio_encoder *e, bool together, unsigned less);
/* One packet's samples (packet_ms of them) → its length or -EINVAL. Silence has one or two bytes (DTX), and a few more
 * every 400 ms. */
int audio_encode(struct audio_encoder *e, const float *samples, uint8_t *out,
		 size_t cap) MUST_CHECK;

/* ---- one voice: packets in, a tick of samples out ---------------------------------- */

enum {
	VOICE_QUEUE = 32,
	VOICE_DELAY_MIN_US = 20000,
	/* What comes later than this is not waited for, repeated or not. */
	VOICE_DELAY_MAX_US = 400000
};
struct audio_voice;
struct audio_voice *audio_voice_create(void) MUST_CHECK;
void audio_voice_destroy(struct audio_voice *v);
/* An Opus packet of the speaker with p->rtp.ts64 (48 kHz) and arrival_us; keeps a reference
 * until it is decoded or too late. Duplicates and late ones are dropped. A step of more than
 * 10 s either way is another beginning, and so it is when all come too late for 1 s: whatever
 * timestamps do, the voice is heard 2 s later. Hot. */
void audio_voice_put(struct audio_voice *v, struct pkt *p);
/* The next tick, samples within ±1. What is missing is decoded from the packet behind it (in-band
 * FEC), if that is there, or concealed. */
enum audio_piece {
	PIECE_NONE, /* nothing has come for a while, or not yet: `out` is all zero */
	PIECE_PLAYED,
	PIECE_RECOVERED, /* from FEC */
	PIECE_CONCEALED
};
enum audio_piece audio_voice_tick(struct audio_voice *v, uint64_t now_us,
				  float out[AUDIO_TICK]);
/* Nothing has come yet. */
void audio_voice_reset(struct audio_voice *v);
/* How long a packet waits at present, for display and tests. */
uint64_t audio_voice_delay_us(const struct audio_voice *v);
/* Told of each packet when its turn has come: in order, each once, late ones not. Hot. */
typedef void (*audio_turn_fn)(void *arg, const struct pkt *p);
void audio_voice_tap(struct audio_voice *v, audio_turn_fn fn, void *arg);
/* Packets from this timestamp on have not had their turn. false: nothing has come yet. */
bool audio_voice_next_ts(const struct audio_voice *v, uint64_t *ts64);

/* ---- joining: a voice's short packets in longer ones, neither decoded nor encoded --- */

enum { JOINS = 3, JOIN_BYTES_MAX = 1400 }; /* what a datagram holds */
extern const uint8_t audio_joins_ms[JOINS];
struct audio_joined {
	uint64_t ts64;	/* of its first sample, on the voice's clock */
	unsigned ticks; /* how long, likewise */
	int level_dbov; /* the loudest of its parts, -1 unknown */
	size_t len;
	uint8_t data[JOIN_BYTES_MAX];
};
struct audio_join;
/* Packets of up to packet_ms, at most 120. NULL: out of memory. */
struct audio_join *audio_join_create(unsigned packet_ms) MUST_CHECK;
void audio_join_destroy(struct audio_join *j);
/* The voice's next packet. What is held ends where the new one does not follow without a gap,
 * has another TOC, or has no room. One that tells of a pause (DTX) or is not shorter than packet_ms goes alone.
 * One from before the last (up to 10 s), or whose lengths lie, is left out. Hot. */
void audio_join_put(struct audio_join *j, const uint8_t *data, size_t len, uint64_t ts64,
		    int level_dbov);
/* What is held is ready as it is. */
void audio_join_flush(struct audio_join *j);
/* Nothing is held or ready, and the next packet may have any timestamp. */
void audio_join_clear(struct audio_join *j);
/* false: nothing is ready. Valid until the next put; take all that is ready before that (up to
 * four wait, more are dropped). */
bool audio_join_next(struct audio_join *j, const struct audio_joined **out);

/* Two packets of the same TOC in one, of a + b + 3 bytes at most. 0: they cannot be. */
size_t audio_join_two(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
		      uint8_t out[AUDIO_PACKET_MAX]);

/* ---- level: a shy phone and a loud headset equally loud, noise as silence ---------- */

enum {
	LEVEL_TARGET_DBFS = -22, /* of speech, RMS */
	LEVEL_GAIN_MIN_DB = -12,
	LEVEL_GAIN_MAX_DB = 18,
	LEVEL_HANG_TICKS = 15 /* the gate stays open for the end of a word */
};
struct audio_level {
	float gain;		       /* at the end of the last tick, 0 = gate closed */
	float wanted;		       /* gain by the loudness of speech so far */
	float loud;		       /* mean square of speech */
	float floor_now, floor_before; /* least mean square of two windows */
	unsigned window_ticks, hang;
};
void audio_level_init(struct audio_level *l);
/* Evens `s` out in place. false: it is silence, all zero now. */
bool audio_level_tick(struct audio_level *l, float s[AUDIO_TICK]);

/* ---- limiter: a sum that is too loud is turned down, never cut --------------------- */

struct audio_limiter {
	float gain;
};
void audio_limiter_init(struct audio_limiter *m);
/* Brings `s` within ±0.9 in place. */
void audio_limiter_tick(struct audio_limiter *m, float s[AUDIO_TICK]);

/* ---- mixer: a room's voices → packets for thin links ------------------------------- */

enum {
	MIX_VOICES = 4,
	MIX_ALL = MIX_VOICES, /* mix i < MIX_VOICES is everybody but voice i */
	MIXES
};
struct audio_mixer;
/* `effort` is its thread's, and stays. */
struct audio_mixer *audio_mixer_create(const struct audio_effort *effort) MUST_CHECK;
void audio_mixer_destroy(struct audio_mixer *m);
/* A (new) speaker takes place `voice`. Hot. */
void audio_mixer_open(struct audio_mixer *m, unsigned voice);
/* Nobody is in that place from now on. */
void audio_mixer_clear(struct audio_mixer *m, unsigned voice);
/* A packet of whoever has place `voice`; dropped if nobody. Hot. */
void audio_mixer_put(struct audio_mixer *m, unsigned voice, struct pkt *p);
/* Encodes `mix` at `rung` from the next packet on. -ENOMEM. */
int audio_mixer_start(struct audio_mixer *m, unsigned mix,
		      enum audio_rung rung) MUST_CHECK;
void audio_mixer_stop(struct audio_mixer *m, unsigned mix, enum audio_rung rung);
/* It has heard a packet and does not begin cold. */
bool audio_mixer_ready(const struct audio_mixer *m, unsigned mix, enum audio_rung rung);
/* Nobody hears it at present, so nothing is encoded. When that ends, at the latest before
 * audio_mixer_next, it hears the packet before first and does not begin cold. */
void audio_mixer_rest(struct audio_mixer *m, unsigned mix, enum audio_rung rung,
		      bool rests);
/* Joins what place `voice` sends into packets of audio_joins_ms[join], beginning with what has not been
 * played yet. They end where the mix's packets of that length do, so who goes over from one to
 * the other on the grid misses nothing and hears nothing twice. -ENOMEM. */
int audio_mixer_join(struct audio_mixer *m, unsigned voice, unsigned join) MUST_CHECK;
void audio_mixer_part(struct audio_mixer *m, unsigned voice, unsigned join);
/* AUDIO_TICK_US have passed. Decodes and mixes; what is due then comes from
 * audio_mixer_next, one encode a call, so that the caller can look at its socket between. */
void audio_mixer_tick(struct audio_mixer *m, uint64_t now_us);
struct audio_mixed {
	unsigned mix;
	enum audio_rung rung;
	uint64_t ts64;	 /* of its first sample; 48 kHz, from 0 at the mixer's start */
	unsigned ticks;	 /* how long, likewise: the rung's packet_ms, or half of it */
	unsigned voices; /* bits: who is heard in it */
	int level_dbov;	 /* 0 to 127, as RFC 6464 */
	size_t len;
	uint8_t data[AUDIO_PACKET_MAX];
};
/* false: no more is due. Of silence the first packet comes (it tells the receiver), then one every 400 ms. */
bool audio_mixer_next(struct audio_mixer *m, struct audio_mixed *out);
/* The same of what is joined. Valid until the next tick. */
bool audio_mixer_next_joined(struct audio_mixer *m, unsigned voice, unsigned join,
			     const struct audio_joined **out);
/* audio_voice_next_ts() of that place. */
bool audio_mixer_next_ts(const struct audio_mixer *m, unsigned voice, uint64_t *ts64);
/* Ticks since something was last said in that place; UINT_MAX never, or nobody is there. */
unsigned audio_mixer_silence(const struct audio_mixer *m, unsigned voice);
/* What that voice is turned up or down by, 1 = not at all. */
float audio_mixer_gain(const struct audio_mixer *m, unsigned voice);
/* Nobody has said anything for a while and everybody has been told: ticks can stop until
 * the next audio_mixer_put (call audio_mixer_skip then). */
bool audio_mixer_idle(const struct audio_mixer *m);
/* Time has passed without ticks. */
void audio_mixer_skip(struct audio_mixer *m, unsigned ticks);

#endif
