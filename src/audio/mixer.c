/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The mixer. Each tick: the voices' samples, evened out; their sum, and for each voice that
 * somebody needs it for the sum without it; then the encoders whose packet is full. Packets
 * of every length end on a common grid of 120 ms, so a listener who changes rungs misses
 * nothing and hears nothing twice. What is joined of a voice are the packets whose turn to be
 * played was within the mix's packet of that length.
 *
 * Invariant: an output's encoder exists exactly between start and stop; history[mix] holds the
 * last 240 ms of a mix that any output wants: a packet, and the one before for an encoder that
 * has rested.
 */
#include <palabre/audio.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	GRID_TICKS = 6, /* 120 ms */
	HISTORY = 2 * GRID_TICKS,
	/* Silence is encoded for so long, then it is known: Opus decides within 200 ms. */
	QUIET_TICKS = 10 * GRID_TICKS
};

struct output {
	struct audio_encoder *encoder;
	bool due, ready, rests;
	bool stale; /* has rested since its last packet */
};
struct mix {
	struct audio_limiter limiter;
	unsigned wanted; /* outputs */
	unsigned quiet;	 /* ticks of silence in a row */
	unsigned voices[HISTORY];
	float history[HISTORY][AUDIO_TICK];
	struct output outputs[RUNGS];
};
struct audio_mixer {
	uint64_t tick; /* the next one */
	struct place {
		struct audio_voice *voice;
		struct audio_join *joins[JOINS]; /* NULL: nobody wants that */
		struct audio_level level;
		bool taken, said;
		unsigned silence; /* ticks since it was last heard, if it was */
		unsigned nothing; /* ticks without a packet */
	} voices[MIX_VOICES];
	struct mix mixes[MIXES];
	unsigned next_mix, next_rung;
};

static void on_turn(void *arg, const struct pkt *p)
{
	struct place *pl = arg;

	for (unsigned i = 0; i < JOINS; i++)
		if (pl->joins[i])
			audio_join_put(pl->joins[i], p->data + p->rtp.payload_off,
				       p->rtp.payload_len, p->rtp.ts64,
				       p->rtp.level_dbov);
}

struct audio_mixer *audio_mixer_create(void)
{
	struct audio_mixer *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	for (unsigned i = 0; i < MIXES; i++) {
		audio_limiter_init(&m->mixes[i].limiter);
		m->mixes[i].quiet = QUIET_TICKS;
	}
	m->next_mix = MIXES;
	for (unsigned i = 0; i < MIX_VOICES; i++) {
		m->voices[i].nothing = QUIET_TICKS;
		m->voices[i].voice = audio_voice_create();
		if (!m->voices[i].voice) {
			audio_mixer_destroy(m);
			return NULL;
		}
		audio_voice_tap(m->voices[i].voice, on_turn, &m->voices[i]);
	}
	return m;
}

void audio_mixer_destroy(struct audio_mixer *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < MIX_VOICES; i++) {
		audio_voice_destroy(m->voices[i].voice);
		for (unsigned k = 0; k < JOINS; k++)
			audio_join_destroy(m->voices[i].joins[k]);
	}
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++)
			audio_encoder_destroy(m->mixes[i].outputs[r].encoder);
	free(m);
}

void audio_mixer_put(struct audio_mixer *m, unsigned voice, struct pkt *p)
{
	if (!m->voices[voice].taken)
		return;
	m->voices[voice].nothing = 0;
	audio_voice_put(m->voices[voice].voice, p);
}

void audio_mixer_open(struct audio_mixer *m, unsigned voice)
{
	audio_voice_reset(m->voices[voice].voice);
	audio_level_init(&m->voices[voice].level);
	for (unsigned i = 0; i < JOINS; i++)
		if (m->voices[voice].joins[i])
			audio_join_clear(m->voices[voice].joins[i]);
	m->voices[voice].taken = true;
	m->voices[voice].said = false;
}

void audio_mixer_clear(struct audio_mixer *m, unsigned voice)
{
	audio_voice_reset(m->voices[voice].voice); /* its packets go back */
	m->voices[voice].taken = false;
	m->voices[voice].nothing = QUIET_TICKS;
}

int audio_mixer_start(struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	struct mix *x = &m->mixes[mix];
	struct output *o = &x->outputs[rung];

	if (o->encoder)
		return 0;
	o->encoder = audio_encoder_create(rung);
	if (!o->encoder)
		return -ENOMEM;
	if (!x->wanted++) {
		memset(x->history, 0, sizeof x->history);
		memset(x->voices, 0, sizeof x->voices);
		audio_limiter_init(&x->limiter);
	}
	x->quiet = 0; /* or the new encoder would hear nothing */
	return 0;
}

void audio_mixer_stop(struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	struct output *o = &m->mixes[mix].outputs[rung];

	if (!o->encoder)
		return;
	audio_encoder_destroy(o->encoder);
	*o = (struct output) { 0 };
	m->mixes[mix].wanted--;
}

bool audio_mixer_ready(const struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	return m->mixes[mix].outputs[rung].ready;
}

void audio_mixer_rest(struct audio_mixer *m, unsigned mix, enum audio_rung rung,
		      bool rests)
{
	struct output *o = &m->mixes[mix].outputs[rung];

	o->rests = rests;
	o->stale |= rests;
}

int audio_mixer_join(struct audio_mixer *m, unsigned voice, unsigned join)
{
	struct place *pl = &m->voices[voice];

	if (!pl->joins[join])
		pl->joins[join] = audio_join_create(audio_joins_ms[join]);
	return pl->joins[join] ? 0 : -ENOMEM;
}

void audio_mixer_part(struct audio_mixer *m, unsigned voice, unsigned join)
{
	audio_join_destroy(m->voices[voice].joins[join]);
	m->voices[voice].joins[join] = NULL;
}

bool audio_mixer_next_joined(struct audio_mixer *m, unsigned voice, unsigned join,
			     const struct audio_joined **out)
{
	struct audio_join *j = m->voices[voice].joins[join];

	return j && audio_join_next(j, out);
}

bool audio_mixer_next_ts(const struct audio_mixer *m, unsigned voice, uint64_t *ts64)
{
	return audio_voice_next_ts(m->voices[voice].voice, ts64);
}

/* ---- a tick ------------------------------------------------------------------------ */

static void sum(struct audio_mixer *m, unsigned mix, float (*s)[AUDIO_TICK],
		unsigned speaking)
{
	struct mix *x = &m->mixes[mix];
	unsigned at = (unsigned)(m->tick % HISTORY);
	float *to = x->history[at];

	x->voices[at] = speaking & ~(mix < MIX_VOICES ? 1u << mix : 0);
	memset(to, 0, sizeof x->history[at]);
	for (unsigned v = 0; v < MIX_VOICES; v++)
		for (unsigned i = 0; x->voices[at] >> v & 1 && i < AUDIO_TICK; i++)
			to[i] += s[v][i];
	audio_limiter_tick(&x->limiter, to);
	x->quiet = x->voices[at] ? 0 : x->quiet + 1;
}

static unsigned packet_ticks(unsigned rung)
{
	return audio_rungs[rung].packet_ms / (AUDIO_TICK_US / 1000);
}

/* Where a packet of the mix ends, one that is joined does, too. */
static void end_joined(struct audio_mixer *m, bool all)
{
	for (unsigned v = 0; v < MIX_VOICES; v++)
		for (unsigned i = 0; i < JOINS; i++)
			if (m->voices[v].joins[i] &&
			    (all ||
			     m->tick % (audio_joins_ms[i] / (AUDIO_TICK_US / 1000)) == 0))
				audio_join_flush(m->voices[v].joins[i]);
}

void audio_mixer_tick(struct audio_mixer *m, uint64_t now_us)
{
	float s[MIX_VOICES][AUDIO_TICK];
	unsigned speaking = 0;

	for (unsigned v = 0; v < MIX_VOICES; v++) {
		if (!m->voices[v].taken)
			continue;
		if (audio_voice_tick(m->voices[v].voice, now_us, s[v]) == PIECE_NONE)
			m->voices[v].nothing++;
		m->voices[v].silence++;
		if (!audio_level_tick(&m->voices[v].level, s[v]))
			continue;
		speaking |= 1u << v;
		m->voices[v].said = true;
		m->voices[v].silence = 0;
	}
	for (unsigned i = 0; i < MIXES; i++)
		if (m->mixes[i].wanted)
			sum(m, i, s, speaking);
	m->tick++;
	end_joined(m, false);
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++)
			m->mixes[i].outputs[r].due = m->mixes[i].outputs[r].encoder &&
						     m->tick % packet_ticks(r) == 0 &&
						     m->mixes[i].quiet < QUIET_TICKS;
	m->next_mix = m->next_rung = 0;
}

static int level_of(const float *s, unsigned n)
{
	float power = 0;
	int level;

	for (unsigned i = 0; i < n; i++)
		power += s[i] * s[i];
	power /= (float)n;
	level = power > 0 ? (int)lroundf(-10 * log10f(power)) : 127;
	return level < 0 ? 0 : level > 127 ? 127 : level;
}

static bool encode(struct audio_mixer *m, struct audio_mixed *out)
{
	struct mix *x = &m->mixes[out->mix];
	struct output *o = &x->outputs[out->rung];
	unsigned ticks = packet_ticks(out->rung);
	unsigned at = (unsigned)((m->tick - ticks) % HISTORY);
	unsigned before = (at + HISTORY - ticks) % HISTORY;
	const float *s = x->history[at]; /* whole on the grid: no wrap inside a packet */
	int len;

	out->voices = 0;
	for (unsigned i = 0; i < ticks; i++)
		out->voices |= x->voices[at + i];
	audio_encoder_together(o->encoder, (out->voices & (out->voices - 1)) != 0);
	if (o->stale)
		(void)!audio_encode(o->encoder, x->history[before], out->data,
				    sizeof out->data);
	o->stale = false;
	len = audio_encode(o->encoder, s, out->data, sizeof out->data);
	STAT_INC(mix_encode);
	o->ready = true;
	if (len <= 0)
		return false;
	out->len = (size_t)len;
	out->ts64 = (m->tick - ticks) * AUDIO_TICK_48K;
	out->level_dbov = level_of(s, ticks * AUDIO_TICK);
	return true;
}

bool audio_mixer_next(struct audio_mixer *m, struct audio_mixed *out)
{
	for (; m->next_mix < MIXES; m->next_mix++, m->next_rung = 0) {
		while (m->next_rung < RUNGS) {
			struct output *o = &m->mixes[m->next_mix].outputs[m->next_rung];

			out->mix = m->next_mix;
			out->rung = (enum audio_rung)m->next_rung++;
			if (!o->due)
				continue;
			o->due = false;
			if (!o->rests && encode(m, out))
				return true;
		}
	}
	return false;
}

unsigned audio_mixer_silence(const struct audio_mixer *m, unsigned voice)
{
	return m->voices[voice].taken && m->voices[voice].said ? m->voices[voice].silence
							       : UINT_MAX;
}

float audio_mixer_gain(const struct audio_mixer *m, unsigned voice)
{
	return m->voices[voice].level.wanted;
}

bool audio_mixer_idle(const struct audio_mixer *m)
{
	for (unsigned v = 0; v < MIX_VOICES; v++)
		if (m->voices[v].nothing < QUIET_TICKS)
			return false;
	for (unsigned i = 0; i < MIXES; i++)
		if (m->mixes[i].wanted && m->mixes[i].quiet < QUIET_TICKS)
			return false;
	return true;
}

void audio_mixer_skip(struct audio_mixer *m, unsigned ticks)
{
	for (unsigned v = 0; v < MIX_VOICES; v++)
		m->voices[v].silence += ticks;
	for (unsigned i = 0; i < MIXES; i++)
		memset(m->mixes[i].history, 0, sizeof m->mixes[i].history);
	m->tick += ticks;
	m->next_mix = MIXES;
	end_joined(m, true);
}
