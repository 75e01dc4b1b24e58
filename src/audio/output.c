/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a mixer's listeners get: each mix at each rung that is wanted, as packets. Rungs of one bitrate have one
 * encoder, that of the shorter packets: of the longer, two of them are joined. So what is encoded depends on mixes and
 * bitrates alone.
 */
#include "mixer_in.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The rung whose packets it is made of. */
static enum audio_rung coded_as(enum audio_rung rung)
{
	return rung == RUNG_8K_120 ? RUNG_8K_60 : rung;
}

/* Who is made of them, too; itself if nobody. */
static const struct output *joined_of(const struct mix *x, enum audio_rung coded)
{
	return &x->outputs[coded == RUNG_8K_60 ? RUNG_8K_120 : coded];
}

static bool encodes(const struct mix *x, enum audio_rung coded)
{
	const struct output *o = &x->outputs[coded], *j = joined_of(x, coded);

	return (o->wanted && !o->rests) || (j->wanted && !j->rests);
}

/* A mix that nobody has wanted so far. What has passed of it is everybody's, if who is left out of it has not been
 * in that: true. */
static bool begin(struct audio_mixer *m, unsigned mix)
{
	struct mix *x = &m->mixes[mix], *all = &m->mixes[MIX_ALL];
	unsigned heard = 0;

	memset(x->history, 0, sizeof x->history);
	memset(x->voices, 0, sizeof x->voices);
	audio_limiter_init(&x->limiter);
	for (unsigned i = 0; i < HISTORY; i++)
		heard |= all->voices[i];
	if (mix == MIX_ALL || !all->wanted || heard >> mix & 1)
		return false;
	memcpy(x->history, all->history, sizeof x->history);
	memcpy(x->voices, all->voices, sizeof x->voices);
	x->limiter = all->limiter;
	return true;
}

int audio_mixer_start(struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	struct mix *x = &m->mixes[mix];
	struct output *o = &x->outputs[rung], *coded = &x->outputs[coded_as(rung)];
	bool known = x->wanted > 0, fresh = !coded->encoder;

	if (o->wanted)
		return 0;
	if (fresh)
		coded->encoder = audio_encoder_create(coded_as(rung));
	if (!coded->encoder)
		return -ENOMEM;
	o->wanted = true;
	o->silent = false;
	if (!x->wanted++)
		known = begin(m, mix);
	if (fresh)
		coded->stale = known; /* it hears what has just passed first */
	if (fresh && coded_as(rung) == RUNG_8K_60)
		x->halves[0].len = x->halves[1].len = 0;
	x->quiet = 0; /* or the new encoder would hear nothing */
	return 0;
}

void audio_mixer_stop(struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	struct mix *x = &m->mixes[mix];
	struct output *o = &x->outputs[rung], *coded = &x->outputs[coded_as(rung)];

	if (!o->wanted)
		return;
	*o = (struct output) { .encoder = o->encoder, .stale = o->stale };
	x->wanted--;
	if (coded->wanted || joined_of(x, coded_as(rung))->wanted)
		return;
	audio_encoder_destroy(coded->encoder);
	*coded = (struct output) { 0 };
}

bool audio_mixer_ready(const struct audio_mixer *m, unsigned mix, enum audio_rung rung)
{
	return m->mixes[mix].outputs[rung].ready;
}

void audio_mixer_rest(struct audio_mixer *m, unsigned mix, enum audio_rung rung,
		      bool rests)
{
	struct mix *x = &m->mixes[mix];

	x->outputs[rung].rests = rests;
	if (!encodes(x, coded_as(rung)))
		x->outputs[coded_as(rung)].stale = true;
}

/* ---- a tick's packets -------------------------------------------------------------- */

void mixer_outputs_due(struct audio_mixer *m)
{
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++) {
			struct output *o = &m->mixes[i].outputs[r];

			o->due = (o->wanted || o->encoder) &&
				 m->tick % packet_ticks(r) == 0 &&
				 m->mixes[i].quiet < QUIET_TICKS;
		}
	m->next_mix = 0;
	m->next_rung = RUNGS;
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

/* What the output is to send is in `out`. False: of silence that is known already. */
static bool say(const struct audio_mixer *m, struct output *o, struct audio_mixed *out,
		unsigned ticks_before_end)
{
	bool known = o->silent;

	o->ready = true;
	o->silent = out->len <= SILENT_BYTES_MAX;
	out->ts64 = (m->tick - ticks_before_end) * AUDIO_TICK_48K;
	return o->wanted && !o->rests && !(known && o->silent);
}

/* The packet that begins with tick `at` of the history. */
static bool encode_from(struct audio_mixer *m, unsigned at, struct audio_mixed *out)
{
	struct mix *x = &m->mixes[out->mix];
	const float *s = x->history[at]; /* whole on the grid: no wrap inside a packet */
	unsigned ticks = packet_ticks(out->rung);
	int len;

	out->voices = 0;
	for (unsigned i = 0; i < ticks; i++)
		out->voices |= x->voices[at + i];
	audio_encoder_care(x->outputs[out->rung].encoder,
			   (out->voices & (out->voices - 1)) != 0, m->effort->less);
	len = audio_encode(x->outputs[out->rung].encoder, s, out->data, sizeof out->data);
	STAT_INC(mix_encode);
	out->len = len > 0 ? (size_t)len : 0;
	out->ticks = ticks * AUDIO_TICK_48K;
	out->level_dbov = level_of(s, ticks * AUDIO_TICK);
	return len > 0;
}

static void keep_half(struct half *half, const struct audio_mixed *out)
{
	half->len = out->len <= HALF_MAX ? out->len : 0;
	half->voices = out->voices;
	half->level_dbov = out->level_dbov;
	memcpy(half->data, out->data, half->len);
}

/* The rung's own packet, which may be half of a longer one. Behind a rest the one before it is encoded, too: it
 * warms the encoder, and may be the other half. */
static bool encode(struct audio_mixer *m, struct audio_mixed *out)
{
	struct mix *x = &m->mixes[out->mix];
	struct output *o = &x->outputs[out->rung];
	struct half *halves = out->rung == RUNG_8K_60 ? x->halves : NULL;
	bool second = m->tick % GRID_TICKS == 0;
	unsigned ticks = packet_ticks(out->rung);
	unsigned at = (unsigned)((m->tick - ticks) % HISTORY);
	bool made;

	if (halves)
		halves[second].len = 0;
	if (!encodes(x, out->rung))
		return false;
	made = o->stale && encode_from(m, (at + HISTORY - ticks) % HISTORY, out);
	if (made && halves && second)
		keep_half(&halves[0], out);
	o->stale = false;
	if (!encode_from(m, at, out))
		return false;
	if (halves)
		keep_half(&halves[second], out);
	return say(m, o, out, ticks);
}

/* The two halves joined; if they cannot be, or there is but one, each alone: again until there is none. */
static bool join(struct audio_mixer *m, struct audio_mixed *out)
{
	struct mix *x = &m->mixes[out->mix];
	struct output *o = &x->outputs[out->rung];
	struct half *a = &x->halves[0], *b = &x->halves[1];
	unsigned ticks = packet_ticks(RUNG_8K_60);
	size_t len = 0;

	if (a->len <= SILENT_BYTES_MAX && b->len <= SILENT_BYTES_MAX && a->len)
		b->len = 0; /* one says it */
	if (a->len && b->len)
		len = audio_join_two(a->data, a->len, b->data, b->len, out->data);
	out->len = len ? len : a->len ? a->len : b->len;
	if (!out->len)
		return false;
	out->voices = (len || a->len ? a->voices : 0) | (len || !a->len ? b->voices : 0);
	out->level_dbov = a->len && (!len || a->level_dbov < b->level_dbov)
				  ? a->level_dbov
				  : b->level_dbov;
	out->ticks = (len ? 2 : 1) * ticks * AUDIO_TICK_48K;
	if (!len)
		memcpy(out->data, a->len ? a->data : b->data, out->len);
	ticks *= len || a->len ? 2 : 1;
	o->due = !len && a->len && b->len;
	a->len = 0;
	if (!o->due)
		b->len = 0;
	return say(m, o, out, ticks);
}

bool audio_mixer_next(struct audio_mixer *m, struct audio_mixed *out)
{
	for (; m->next_mix < MIXES; m->next_mix++, m->next_rung = RUNGS) {
		/* From rich to poor: what is joined comes behind its parts. */
		while (m->next_rung) {
			struct output *o =
				&m->mixes[m->next_mix].outputs[m->next_rung - 1];

			out->mix = m->next_mix;
			out->rung = (enum audio_rung)(m->next_rung - 1);
			if (!o->due) {
				m->next_rung--;
				continue;
			}
			o->due = false;
			if (coded_as(out->rung) == out->rung ? encode(m, out)
							     : join(m, out))
				return true;
		}
	}
	return false;
}
