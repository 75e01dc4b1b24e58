/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The streams that a mixer makes: one for each (mix, rung, redundancy) and each length of joined packets
 * that somebody listens to. From relay_stream_packet on a made packet goes the way of any
 * other (store, slot, seal), so what a listener costs is a forwarded packet.
 *
 * Joined packets keep the timestamps of the voice, so that it is known where in it a listener is.
 *
 * Invariants: a stream exists exactly while its users are > 0; an output's encoder while any of
 * its streams does. Numbers are not used again in another stream of the same name: a late
 * request for a packet of the old one finds nothing.
 */
#include "mixing.h"

#include <errno.h>
#include <string.h>

enum {
	MADE_STREAM = 1 << 30, /* above all ids of legs' streams */
	JOINED_STREAM = MADE_STREAM | 1 << 24,
	MADE_STORE = 32,
	TALK_TICKS = 40,    /* 800 ms after the last word, as relay */
	ENCODES_A_TURN = 4, /* about 1 ms; then the sockets have their turn */
	NUMBERS_BITS =
		32, /* a stream's own; those above are its number in the mixer's life */
	JUMP_TICKS = 480000 /* 10 s of nothing, or a step back */
};

static const struct nego_codec made_codec = { .codec = CODEC_OPUS };

uint32_t made_id(struct leg_mix x)
{
	return MADE_STREAM | (uint32_t)x.mix << 16 | (uint32_t)x.rung << 8 | x.red;
}

uint32_t joined_id(struct leg_joined x)
{
	return JOINED_STREAM | (uint32_t)x.join << 8 | x.red;
}

/* ---- coming and going -------------------------------------------------------------- */

static int create(struct mixer *m, struct made *made, uint32_t id, bool red)
{
	struct leg_source *src = &made->src;

	memset(made, 0, sizeof *made);
	if (rtp_store_init(&src->store, MADE_STORE))
		return -ENOMEM;
	rtp_recv_init(&src->recv, 1, 48000, true, false);
	src->recv.highest = ++m->created << NUMBERS_BITS;
	src->clock = &m->all->no_clock;
	src->codec = &made_codec;
	src->red = red;
	src->epoch = 1;
	src->stream = relay_made_create(m->port, id, CODEC_OPUS, src);
	if (src->stream)
		return 0;
	rtp_store_fini(&src->store);
	return -ENOMEM;
}

static void destroy(struct leg_source *src, uint64_t now_us)
{
	relay_stream_destroy(src->stream, now_us);
	rtp_store_fini(&src->store);
}

int made_use(struct mixer *m, struct leg_mix x, uint64_t now_us)
{
	struct output *o = &m->out[x.mix][x.rung];
	struct made *made = &o->made[x.red];

	if (!made->users && create(m, made, made_id(x), x.red > 0))
		return -ENOMEM;
	if (!o->users && audio_mixer_start(m->audio, x.mix, (enum audio_rung)x.rung)) {
		destroy(&made->src, now_us);
		return -ENOMEM;
	}
	made->users++;
	o->users++;
	return 0;
}

void made_leave(struct mixer *m, struct leg_mix x, uint64_t now_us)
{
	struct output *o = &m->out[x.mix][x.rung];
	struct made *made = &o->made[x.red];

	if (!--made->users)
		destroy(&made->src, now_us);
	if (!--o->users) {
		audio_mixer_stop(m->audio, x.mix, (enum audio_rung)x.rung);
		o->said = 0;
	}
}

int joined_use(struct mixer *m, struct leg_joined x, uint64_t now_us)
{
	struct joined *j = &m->joined[x.join];
	struct made *made = &j->out.made[x.red];

	if (!j->out.users)
		j->place = (unsigned)m->alone;
	if (!made->users) {
		if (create(m, made, joined_id(x), x.red > 0))
			return -ENOMEM;
		made->src.of = m->alone_stream;
	}
	if (!j->out.users && audio_mixer_join(m->audio, j->place, x.join)) {
		destroy(&made->src, now_us);
		return -ENOMEM;
	}
	made->users++;
	j->out.users++;
	return 0;
}

void joined_leave(struct mixer *m, struct leg_joined x, uint64_t now_us)
{
	struct joined *j = &m->joined[x.join];
	struct made *made = &j->out.made[x.red];

	if (!--made->users)
		destroy(&made->src, now_us);
	if (!--j->out.users) {
		audio_mixer_part(m->audio, j->place, x.join);
		j->out.said = 0;
	}
}

/* ---- sending ----------------------------------------------------------------------- */

/* A packet of an output. */
struct saying {
	const uint8_t *data;
	size_t len;
	uint64_t ts64;
	unsigned ticks;
	int level_dbov;
	uint64_t at_us; /* made */
};

/* The packet, with those of the last `depth` that RED can still name. */
static int with_earlier(const struct output *o, const struct saying *x, unsigned depth,
			uint8_t *buf, size_t cap)
{
	struct red_block b[RED_DEPTH + 1];
	unsigned n = 0;

	for (unsigned i = depth; i > 0; i--) {
		const struct said *s = &o->last[(o->said - i) % RED_DEPTH];

		if (i > o->said || x->ts64 - s->ts64 > RED_OFFSET_MAX ||
		    s->len > RED_LEN_MAX)
			continue;
		b[n++] = (struct red_block) { .ts_offset = (uint16_t)(x->ts64 - s->ts64),
					      .len = s->len,
					      .data = s->data };
	}
	b[n++] = (struct red_block) { .len = (uint16_t)x->len, .data = x->data };
	return red_build(b, n, buf, cap);
}

/* Says in the packet who talks. */
static void name_talkers(const struct mixer *m, struct made *made, struct pkt *p)
{
	struct rtp_view *v = &p->rtp;

	for (unsigned i = 0; i < MIX_VOICES && v->talker_count < TALKERS_MAX; i++)
		if (m->places[i].stream && audio_mixer_silence(m->audio, i) < TALK_TICKS)
			v->talkers[v->talker_count++] = m->places[i].stream;
	if (!v->talker_count)
		v->talkers[v->talker_count++] = TALK_NOBODY;
	if (v->talker_count != made->talker_count ||
	    memcmp(v->talkers, made->talkers, sizeof v->talkers))
		made->talk_news = 2;
	made->talker_count = v->talker_count;
	memcpy(made->talkers, v->talkers, sizeof v->talkers);
	v->talk_news = made->talk_news > 0;
	made->talk_news = (uint8_t)(made->talk_news - v->talk_news);
}

/* What all made packets have in common; the payload is there, and the reference goes. */
static void send_on(struct mixer *m, struct made *made, struct pkt *p, size_t len,
		    const struct saying *x, uint64_t now_us)
{
	struct leg_source *src = &made->src;

	name_talkers(m, made, p);
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->arrival_us = x->at_us;
	p->rtp.level_dbov = (int8_t)x->level_dbov;
	p->rtp.codec = src->red ? CODEC_RED : CODEC_OPUS;
	p->rtp.frame.start = p->rtp.frame.end = p->rtp.frame.key = true;
	p->rtp.frame.samples = (uint16_t)x->ticks;
	p->rtp.seq64 = ++src->recv.highest;
	p->rtp.ts64 = src->recv.ts64 = x->ts64;
	src->recv.last_us = x->at_us;
	rtp_store_put(&src->store, p);
	relay_stream_packet(src->stream, p, now_us);
	pkt_unref(p);
}

static void send_one(struct mixer *m, struct output *o, const struct saying *x,
		     unsigned red, uint64_t now_us)
{
	struct pkt *p = pkt_take(m->all->pool);
	int len = (int)x->len;

	if (!p) {
		STAT_INC(mix_drop);
		return;
	}
	if (red)
		len = with_earlier(o, x, red, p->data, pkt_room(p));
	else
		memcpy(p->data, x->data, x->len);
	if (len < 0) {
		STAT_INC(mix_drop);
		pkt_unref(p);
		return;
	}
	send_on(m, &o->made[red], p, (size_t)len, x, now_us);
}

static void say(struct mixer *m, struct output *o, const struct saying *x,
		uint64_t now_us)
{
	struct said *s;

	for (unsigned red = 0; red <= RED_DEPTH; red++)
		if (o->made[red].users)
			send_one(m, o, x, red, now_us);
	s = &o->last[o->said++ % RED_DEPTH];
	s->ts64 = x->ts64;
	s->len = (uint16_t)x->len;
	memcpy(s->data, x->data, x->len);
}

static void send_mixed(struct mixer *m, const struct audio_mixed *x, uint64_t at_us,
		       uint64_t now_us)
{
	const struct saying saying = { .data = x->data,
				       .len = x->len,
				       .ts64 = (UINT64_C(1) << 32) + x->ts64,
				       .ticks = x->ticks,
				       .level_dbov = x->level_dbov,
				       .at_us = at_us };

	say(m, &m->out[x->mix][x->rung], &saying, now_us);
}

static void send_joined(struct mixer *m, struct joined *j, const struct audio_joined *x,
			uint64_t at_us, uint64_t now_us)
{
	const struct saying saying = { .data = x->data,
				       .len = x->len,
				       .ts64 = x->ts64,
				       .ticks = x->ticks,
				       .level_dbov = x->level_dbov,
				       .at_us = at_us };

	STAT_INC(mix_join);
	for (unsigned red = 0; red <= RED_DEPTH; red++) {
		struct leg_source *src = &j->out.made[red].src;

		/* The voice's numbers have begun anew: so do the listeners. */
		if (j->out.made[red].users && src->recv.ts64 &&
		    x->ts64 - src->recv.ts64 > JUMP_TICKS) {
			src->epoch++;
			j->out.said = 0;
		}
	}
	say(m, &j->out, &saying, now_us);
}

static void output_expire(struct output *o, uint64_t before_us)
{
	for (unsigned red = 0; red <= RED_DEPTH; red++)
		if (o->made[red].users)
			rtp_store_expire(&o->made[red].src.store, before_us);
}

void made_expire(struct mixer *m, uint64_t before_us)
{
	for (unsigned i = 0; i < MIXES; i++)
		for (unsigned r = 0; r < RUNGS; r++)
			output_expire(&m->out[i][r], before_us);
	for (unsigned i = 0; i < JOINS; i++)
		output_expire(&m->joined[i].out, before_us);
}

bool made_send(struct mixer *m, uint64_t now_us)
{
	uint64_t at_us = m->start_us + m->ticks * AUDIO_TICK_US;
	const struct audio_joined *joined;
	struct audio_mixed x;
	bool more = true;

	m->all->batch_us = now_us;
	m->all->making = true;
	for (unsigned i = 0; i < JOINS; i++)
		while (m->joined[i].out.users &&
		       audio_mixer_next_joined(m->audio, m->joined[i].place, i, &joined))
			send_joined(m, &m->joined[i], joined, at_us, now_us);
	for (unsigned i = 0; i < ENCODES_A_TURN && more; i++) {
		if (m->all->made_count > MADE_QUEUE / 2)
			break;
		more = audio_mixer_next(m->audio, &x);
		if (more)
			send_mixed(m, &x, at_us, now_us);
	}
	m->all->making = false;
	return more;
}
