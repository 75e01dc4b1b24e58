/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The mixer. Each tick: the voices' samples, evened out; their sum, and for each voice that
 * somebody needs it for the sum without it; then the encoders whose packet is full. Packets
 * of every length end on a common grid of 120 ms, so a listener who changes rungs misses
 * nothing and hears nothing twice. What is joined of a voice are the packets whose turn to be
 * played was within the mix's packet of that length.
 *
 * Invariant: an output is wanted exactly between start and stop, and has an encoder then; history[mix] holds the
 * last 240 ms of a mix that any output wants: a packet, and the one before for an encoder that
 * has rested. Rungs of one bitrate have one encoder, that of the shorter packets: of the longer, two of them
 * are joined. output.encoder is theirs then, and exists while either is wanted.
 */
#include "mixer_in.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void on_turn(void *arg, const struct pkt *p)
{
	struct place *pl = arg;

	for (unsigned i = 0; i < JOINS; i++)
		if (pl->joins[i])
			audio_join_put(pl->joins[i], p->data + p->rtp.payload_off,
				       p->rtp.payload_len, p->rtp.ts64,
				       p->rtp.level_dbov);
}

struct audio_mixer *audio_mixer_create(const struct audio_effort *effort)
{
	struct audio_mixer *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	for (unsigned i = 0; i < MIXES; i++) {
		audio_limiter_init(&m->mixes[i].limiter);
		m->mixes[i].quiet = QUIET_TICKS;
	}
	m->effort = effort;
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
	mixer_outputs_due(m);
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
	for (unsigned i = 0; i < MIXES; i++) {
		memset(m->mixes[i].history, 0, sizeof m->mixes[i].history);
		m->mixes[i].halves[0].len = m->mixes[i].halves[1].len = 0;
	}
	m->tick += ticks;
	m->next_mix = MIXES;
	end_joined(m, true);
}
