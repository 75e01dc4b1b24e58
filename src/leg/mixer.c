/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A room's mixer, there while somebody listens at a rung. It is a port that hears every
 * lane and a source of made streams (made.c), one for each (mix, rung) that somebody listens to.
 *
 * Who speaks hears the mix without themselves: the port's places are the mixer's voices,
 * and a listener whose own port is in a place is moved to that place's mix at the next
 * tick. While they are silent there, everybody's is the same, and theirs is not encoded: they
 * hear that from 2 s after their last word on, and their own again with the packet in which they begin. A listener who changes rungs goes over on the 120 ms grid, once the new encoder has
 * heard a packet.
 *
 * Who speaks alone is not encoded again where the rung bears it otherwise: they are heard as they
 * send, or, if only the headers of short packets are too much, joined into packets of the rung's
 * length. Listeners go over to that on the grid, from where the mix has come to, and back to the
 * mix when somebody else says something, with the packet in which that begins.
 *
 * Invariants: out[mix][rung].made[red].users counts the listeners with that, as `at`, as `to` or as `all`;
 * joined[].out.made[red].users those with that as `joined`. Ticks are counted from start_us; the timer runs
 * while there is something to hear.
 */
#include "mixing.h"

#include <palabre/cc.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	MIXER_PORT = LEG_PORT_MAX, /* no leg's */
	GRID_TICKS = 6,
	BETWEEN_TURNS_US = 1000,
	EFFORT_US = 1000000,
	TICKS_LATE_MAX = 10, /* later than that time is skipped */
	PAUSE_TICKS =
		5, /* 100 ms since the gate closed, 400 since the last word: between words, not
			    within */
	ALONE_TICKS = 150,  /* 3 s */
	SPEAKS_TICKS = 100, /* 2 s: longer than pauses between sentences */
	EXPIRE_TICKS = 10 * GRID_TICKS,
	LOOK_GRIDS = 8, /* about a second: what it costs may have changed */
	TICKS_OF_SECOND = 48000,
	FAR_SECONDS = 5,
	JOINED_BYTES = 1 /* that a packet has more than its parts */
};
/* A voice far too soft or too loud is evened out, which takes encoding. */
static const float GAIN_MAX = 2;

/* ---- in: a port's callbacks -------------------------------------------------------- */

static void wake(struct mixer *m, uint64_t now_us)
{
	if (m->running)
		return;
	m->running = true;
	wheel_arm(m->all->wheel, &m->timer, now_us);
}

/* A second that is full of speech costs more than one with pauses: the dearest of late counts. */
static unsigned dearest(unsigned bps, unsigned now_bps)
{
	return now_bps > bps ? now_bps : (bps * 7 + now_bps) / 8;
}

/* The second is over: what it cost, and would have cost in packets of each length. */
static void close_second(struct cost *c, uint64_t second)
{
	unsigned packets = c->at[second % 2].packets, bytes = c->at[second % 2].bytes;
	unsigned bps = (bytes + packets * WIRE_VOICE_BYTES) * 8;

	c->as_sent_bps = dearest(c->as_sent_bps, bps);
	for (unsigned i = 0; i < JOINS; i++) {
		unsigned ticks = audio_joins_ms[i] * 48u;
		unsigned parts = c->ticks && ticks % c->ticks == 0 ? ticks / c->ticks : 0;
		unsigned n = parts ? (packets + parts - 1) / parts : 0;

		bps = (bytes + n * (WIRE_VOICE_BYTES + JOINED_BYTES)) * 8;
		c->joined_bps[i] = parts ? dearest(c->joined_bps[i], bps) : 0;
	}
	memset(&c->at[second % 2], 0, sizeof c->at[0]);
}

static void count_cost(struct cost *c, const struct pkt *p)
{
	uint64_t second = p->rtp.ts64 / TICKS_OF_SECOND;

	if (second + FAR_SECONDS <
	    c->second) /* its clock has leapt: no repeat is so late */
		*c = (struct cost) { .second = second };
	if (second + 1 < c->second)
		return;
	if (second > c->second) {
		if (c->second)
			close_second(c, second); /* the one before the last */
		if (c->second && second > c->second + 1)
			close_second(c, second - 1);
		c->second = second;
	}
	c->at[second % 2].packets++;
	c->at[second % 2].bytes += p->rtp.payload_len;
	c->ticks = p->rtp.frame.samples;
}

static void forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		    uint64_t begin, uint64_t now_us)
{
	struct mixer *m = owner;

	if (begin) {
		audio_mixer_open(m->audio, slot);
		m->places[slot] = (struct place) { .port = relay_stream_port(st),
						   .stream = relay_stream_id(st) };
		m->moved = true;
	}
	count_cost(&m->places[slot].cost, p);
	audio_mixer_put(m->audio, slot, p);
	wake(m, now_us);
}

static bool accepts(void *owner, unsigned slot, const struct relay_stream *st)
{
	(void)owner;
	(void)slot;
	return relay_stream_codec_get(st) == CODEC_OPUS;
}

static void idle(void *owner, unsigned slot, uint64_t now_us)
{
	struct mixer *m = owner;

	(void)now_us;
	audio_mixer_clear(m->audio, slot);
	m->places[slot] = (struct place) { 0 };
	m->moved = true;
}

static const struct relay_port_ops port_ops = { .forward = forward,
						.accepts = accepts,
						.idle = idle };

/* ---- listeners --------------------------------------------------------------------- */

static unsigned mix_for(const struct mixer *m, const struct leg *leg)
{
	for (unsigned i = 0; i < MIX_VOICES; i++)
		if (m->places[i].port == leg->port_id)
			return i;
	return MIX_ALL;
}

static bool same(struct leg_mix a, struct leg_mix b)
{
	return a.used == b.used && a.mix == b.mix && a.rung == b.rung && a.red == b.red;
}

/* The lone speaker's stream that the leg hears instead of the mix, as they send it or joined, if
 * that costs no more than the rung: encoding it again would cost quality. 0: the mix. With earlier
 * packets in each if the leg wants them, they may have the rung's length already. */
static uint32_t alone_for(const struct mixer *m, const struct leg *leg,
			  struct leg_joined *joined)
{
	const struct place *pl = m->alone < 0 ? NULL : &m->places[m->alone];
	unsigned rung = leg->mix_at.rung;
	unsigned bears =
		(voice_cost_bps(rung, 0, WIRE_VOICE_BYTES) + voice_page_more_bps(rung)) /
		8 * 9;

	*joined = (struct leg_joined) { 0 };
	if (!pl || !pl->stream || pl->port == leg->port_id)
		return 0;
	if (!leg->mix_at.red && pl->cost.as_sent_bps && pl->cost.as_sent_bps <= bears)
		return pl->stream;
	for (unsigned i = 0; i < JOINS; i++) {
		if (audio_joins_ms[i] != audio_rungs[rung].packet_ms ||
		    !pl->cost.joined_bps[i] || pl->cost.joined_bps[i] > bears)
			continue;
		*joined = (struct leg_joined) { .used = true,
						.join = (uint8_t)i,
						.red = leg->mix_at.red };
		return joined_id(*joined);
	}
	return 0;
}

/* Of the mixes. */
static struct leg_mix mix_heard(const struct mixer *m, const struct leg *leg)
{
	if (!leg->mix_all.used || m->places[leg->mix_at.mix].speaks)
		return leg->mix_at;
	return leg->mix_all;
}

/* What it is to hear, from now on. Into what somebody says alone only on the grid, where the mix has
 * ended a packet. */
static void hear(struct mixer *m, struct leg *leg, bool grid, uint64_t now_us)
{
	struct leg_joined was = leg->joined, joined;
	uint32_t stream = alone_for(m, leg, &joined);
	/* More or less in each of the same packets: at any time. */
	bool kin = was.used && joined.used && was.join == joined.join;
	bool other = was.used != joined.used || was.join != joined.join ||
		     was.red != joined.red;

	if (stream && stream != leg->hears && !grid && !kin) {
		stream = 0;
		m->look = true;
	}
	if (stream && joined.used && other && joined_use(m, joined, now_us))
		stream = 0;
	if (!stream) {
		joined = (struct leg_joined) { 0 };
		other = was.used;
	}
	leg->mix_hears = mix_heard(m, leg);
	if (!stream)
		audio_mixer_rest(m->audio, leg->mix_hears.mix,
				 (enum audio_rung)leg->mix_hears.rung, false);
	m->settle = true;
	if (stream != leg->hears) {
		leg->from_ts64 = 0;
		if (stream && !joined.used)
			(void)audio_mixer_next_ts(m->audio, (unsigned)m->alone,
						  &leg->from_ts64);
	}
	leg->joined = joined;
	leg->hears = stream ? stream : made_id(leg->mix_hears);
	relay_port_alone(leg->port, leg->hears, now_us);
	if (was.used && other)
		joined_leave(m, was, now_us);
}

/* What nobody hears is not encoded. */
static void settle(struct mixer *m)
{
	bool heard[MIXES][RUNGS] = { { false } };

	m->settle = false;
	for (const struct leg *leg = m->listeners; leg; leg = leg->next_listener) {
		if (leg->hears == made_id(leg->mix_hears))
			heard[leg->mix_hears.mix][leg->mix_hears.rung] = true;
		if (!same(leg->mix_at, leg->mix_to))
			heard[leg->mix_to.mix][leg->mix_to.rung] = true;
	}
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++)
			if (m->out[i][r].users && !heard[i][r])
				audio_mixer_rest(m->audio, i, (enum audio_rung)r, true);
}

/* Ticks since anybody but `but` was heard. */
static unsigned others_silence(const struct mixer *m, int but)
{
	unsigned least = UINT_MAX;

	for (unsigned v = 0; v < MIX_VOICES; v++) {
		unsigned silence = audio_mixer_silence(m->audio, v);

		if ((int)v != but && silence < least)
			least = silence;
	}
	return least;
}

/* Place of who has been the only one for a while and makes a pause now; -1 none. */
static int lone_speaker(const struct mixer *m)
{
	for (int v = 0; v < MIX_VOICES; v++) {
		unsigned silence = audio_mixer_silence(m->audio, (unsigned)v);
		float gain = audio_mixer_gain(m->audio, (unsigned)v);

		if (silence >= PAUSE_TICKS && silence < ALONE_TICKS &&
		    others_silence(m, v) >= ALONE_TICKS && gain < GAIN_MAX &&
		    gain > 1 / GAIN_MAX)
			return v;
	}
	return -1;
}

static void hear_all(struct mixer *m, bool grid, uint64_t now_us)
{
	for (struct leg *leg = m->listeners; leg; leg = leg->next_listener)
		hear(m, leg, grid, now_us);
}

/* Somebody else says something, or it is another in that place. */
static void end_alone(struct mixer *m, uint64_t now_us)
{
	if (m->alone < 0 || (m->places[m->alone].stream == m->alone_stream &&
			     others_silence(m, m->alone) > 0))
		return;
	m->alone = -1;
	hear_all(m, false, now_us);
}

/* Somebody in a place has begun to speak, or has not for a while. */
static void follow_speaking(struct mixer *m, uint64_t now_us)
{
	for (unsigned v = 0; v < MIX_VOICES; v++) {
		struct place *pl = &m->places[v];
		bool speaks = audio_mixer_silence(m->audio, v) < SPEAKS_TICKS;

		if (speaks == pl->speaks)
			continue;
		pl->speaks = speaks;
		for (struct leg *leg = m->listeners; leg; leg = leg->next_listener)
			if (leg->mix_all.used && leg->mix_at.mix == v)
				hear(m, leg, false, now_us);
	}
}

/* In a pause of theirs somebody turns out to speak alone, or what they cost is looked at again. */
static void follow_alone(struct mixer *m, uint64_t now_us)
{
	bool look = m->look;

	m->look = false;
	if (m->alone < 0) {
		m->alone = lone_speaker(m);
		m->alone_stream = m->alone < 0 ? 0 : m->places[m->alone].stream;
		look = m->alone >= 0;
	} else if (m->ticks % (LOOK_GRIDS * GRID_TICKS) == 0 &&
		   audio_mixer_silence(m->audio, (unsigned)m->alone) >= PAUSE_TICKS) {
		look = true;
	}
	if (look)
		hear_all(m, true, now_us);
}

const struct leg *leg_mixer_speaker(const struct leg *leg, unsigned place)
{
	const struct mixer *m = leg->mixer;
	const struct place *pl = &m->places[place];
	struct relay_stream *st = NULL;
	const struct leg_source *src;

	if (pl->speaks && pl->port != leg->port_id)
		st = relay_stream_find(m->room, pl->stream);
	src = st ? relay_stream_owner(st) : NULL;
	return src ? src->leg : NULL;
}

/* From now on. */
static void go_over(struct mixer *m, struct leg *leg, bool grid, uint64_t now_us)
{
	struct leg_mix old = leg->mix_at, old_all = leg->mix_all;

	leg->mix_at = leg->mix_all = leg->mix_to;
	leg->mix_all.mix = MIX_ALL;
	leg->mix_all.used =
		leg->mix_at.mix != MIX_ALL && !made_use(m, leg->mix_all, now_us);
	hear(m, leg, grid, now_us);
	if (old.used)
		made_leave(m, old, now_us);
	if (old_all.used)
		made_leave(m, old_all, now_us);
}

/* In the mix that is theirs. Another mix at once, another rung when it is ready. */
static int aim(struct mixer *m, struct leg *leg, unsigned rung, unsigned red,
	       uint64_t now_us)
{
	struct leg_mix to = { .used = true,
			      .mix = (uint8_t)mix_for(m, leg),
			      .rung = (uint8_t)rung,
			      .red = (uint8_t)red };
	bool pending = leg->mix_to.used && !same(leg->mix_to, leg->mix_at);

	if (same(leg->mix_to, to))
		return 0;
	if (made_use(m, to, now_us))
		return -ENOMEM;
	/* It may rest since before it has ever been ready. */
	audio_mixer_rest(m->audio, to.mix, (enum audio_rung)to.rung, false);
	if (pending)
		made_leave(m, leg->mix_to, now_us);
	leg->mix_to = to;
	wake(m, now_us);
	if (!leg->mix_at.used || leg->mix_at.mix != to.mix || leg->mix_at.rung == to.rung)
		go_over(m, leg, false, now_us);
	return 0;
}

static void follow_places(struct mixer *m, uint64_t now_us)
{
	m->moved = false;
	for (struct leg *leg = m->listeners; leg; leg = leg->next_listener)
		if (aim(m, leg, leg->mix_to.rung, leg->mix_to.red, now_us))
			m->moved = true; /* again at the next tick */
}

static void follow_rungs(struct mixer *m, uint64_t now_us)
{
	for (struct leg *leg = m->listeners; leg; leg = leg->next_listener)
		if (!same(leg->mix_at, leg->mix_to) &&
		    audio_mixer_ready(m->audio, leg->mix_to.mix,
				      (enum audio_rung)leg->mix_to.rung))
			go_over(m, leg, true, now_us);
}

/* ---- time -------------------------------------------------------------------------- */

/* Every packet has ended here. */
static void on_grid(struct mixer *m, uint64_t now_us)
{
	follow_rungs(m, now_us);
	follow_alone(m, now_us);
	if (m->settle)
		settle(m);
	if (m->ticks % EXPIRE_TICKS == 0)
		made_expire(m, now_us - STORE_AGE_MS * UINT64_C(1000));
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct mixer *m = CONTAINER_OF(t, struct mixer, timer);
	uint64_t due = (now_us - m->start_us) / AUDIO_TICK_US;

	if (m->moved)
		follow_places(m, now_us);
	if (made_send(m, now_us)) {
		wheel_arm(m->all->wheel, t, now_us + BETWEEN_TURNS_US);
		return;
	}
	if (due > m->ticks + TICKS_LATE_MAX) {
		audio_mixer_skip(m->audio, (unsigned)(due - 1 - m->ticks));
		STAT_ADD(mix_late, due - 1 - m->ticks);
		m->ticks = due - 1;
	}
	if (m->ticks < due) {
		if (m->ticks % GRID_TICKS == 0)
			on_grid(m, now_us);
		audio_mixer_tick(m->audio, m->start_us + m->ticks++ * AUDIO_TICK_US);
		end_alone(m, now_us);
		follow_speaking(m, now_us);
		wheel_arm(m->all->wheel, t, now_us);
		return;
	}
	if (audio_mixer_idle(m->audio) && !m->moved) {
		m->running = false;
		made_expire(m, now_us);
		return;
	}
	wheel_arm(m->all->wheel, t, m->start_us + (m->ticks + 1) * AUDIO_TICK_US);
}

/* ---- life -------------------------------------------------------------------------- */

static void on_effort(struct timer *t, uint64_t now_us)
{
	struct legs *l = CONTAINER_OF(t, struct legs, effort_timer);

	audio_effort_run(&l->effort, now_us, clock_thread_us());
	STAT_ADD(mix_less_s, l->effort.less > 0);
	wheel_arm(l->wheel, t, now_us + EFFORT_US);
}

static void mixer_destroy(struct mixer *m, uint64_t now_us)
{
	if (!--m->all->mixers)
		wheel_disarm(m->all->wheel, &m->all->effort_timer);
	wheel_disarm(m->all->wheel, &m->timer);
	if (m->port)
		relay_port_destroy(m->port, now_us);
	audio_mixer_destroy(m->audio);
	free(m);
}

static struct mixer *mixer_get(struct leg *leg, uint64_t now_us)
{
	struct relay_port *port = relay_port_find(leg->room, MIXER_PORT);
	struct mixer *m;

	if (port)
		return relay_port_owner(port);
	m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->all = leg->all;
	m->room = leg->room;
	m->start_us = now_us;
	m->timer.fn = on_timer;
	m->alone = -1;
	if (!m->all->mixers++) {
		m->all->effort_timer.fn = on_effort;
		on_effort(&m->all->effort_timer, now_us);
	}
	m->audio = audio_mixer_create(&m->all->effort);
	m->port =
		m->audio ? relay_mixer_create(leg->room, MIXER_PORT, &port_ops, m, now_us)
			 : NULL;
	if (!m->port) {
		mixer_destroy(m, now_us);
		return NULL;
	}
	return m;
}

void leg_voice_end(struct leg *leg, uint64_t now_us)
{
	struct mixer *m = leg->mixer;
	struct leg_mix at = leg->mix_at, to = leg->mix_to, all = leg->mix_all;

	if (!m)
		return;
	for (struct leg **p = &m->listeners; *p; p = &(*p)->next_listener) {
		if (*p == leg) {
			*p = leg->next_listener;
			break;
		}
	}
	leg->mix_at = leg->mix_to = leg->mix_all = leg->mix_hears =
		(struct leg_mix) { 0 };
	leg->mixer = NULL;
	leg->hears = 0;
	leg->from_ts64 = 0;
	relay_port_alone(leg->port, 0, now_us);
	if (leg->joined.used)
		joined_leave(m, leg->joined, now_us);
	leg->joined = (struct leg_joined) { 0 };
	if (at.used && !same(at, to))
		made_leave(m, at, now_us);
	if (to.used)
		made_leave(m, to, now_us);
	if (all.used)
		made_leave(m, all, now_us);
	if (!m->listeners)
		mixer_destroy(m, now_us);
}

static bool takes_red(const struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.slot_count; i++)
		if (leg->plan.slots[i].sec.audio)
			return leg->plan.slots[i].sec.codecs[0].red_pt;
	return false;
}

int leg_voice(struct leg *leg, int rung, unsigned red, uint64_t now_us)
{
	struct mixer *m = leg->mixer;
	int err;

	if (rung == LEG_LANES) {
		leg_voice_end(leg, now_us);
		return 0;
	}
	if (rung < 0 || rung >= RUNGS || red > RED_DEPTH || (red && !takes_red(leg)))
		return -EINVAL;
	if (m)
		return aim(m, leg, (unsigned)rung, red, now_us);
	m = mixer_get(leg, now_us);
	if (!m)
		return -ENOMEM;
	leg->mixer = m;
	leg->next_listener = m->listeners;
	m->listeners = leg;
	err = aim(m, leg, (unsigned)rung, red, now_us);
	if (err)
		leg_voice_end(leg, now_us);
	return err;
}
