/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A room's mixer, there while somebody listens at a rung. It is a port that hears every
 * lane and a source of made streams, one for each (mix, rung) that somebody listens to:
 * from there on a made packet goes the way of any other (store, slot, seal), so what a
 * listener costs is a forwarded packet.
 *
 * Who speaks hears the mix without themselves: the port's places are the mixer's voices,
 * and a listener whose own port is in a place is moved to that place's mix at the next
 * tick. A listener who changes rungs goes over on the 120 ms grid, once the new encoder has
 * heard a packet.
 *
 * Invariants: out[mix][rung].made[red].users counts the listeners with that, as `at` or as `to`;
 * the stream exists exactly while it is > 0, the encoder while any of an output's is. Ticks are counted from
 * start_us; the timer runs while there is something to hear.
 */
#include "leg_private.h"

#include <palabre/audio.h>
#include <palabre/cc.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	MIXER_PORT = LEG_PORT_MAX, /* no leg's */
	MADE_STREAM = 1 << 30,	   /* above all ids of legs' streams */
	GRID_TICKS = 6,
	ENCODES_A_TURN = 4, /* about 1 ms; then the sockets have their turn */
	BETWEEN_TURNS_US = 1000,
	TICKS_LATE_MAX = 10, /* later than that time is skipped */
	MADE_STORE = 32,
	PAUSE_TICKS = 10,  /* 200 ms: between words, not within */
	ALONE_TICKS = 150, /* 3 s */
	LOOK_TICKS = 50	   /* what it costs may have changed */
};
/* A voice far too soft or too loud is evened out, which takes encoding. */
static const float GAIN_MAX = 2;

struct made {
	unsigned users;
	struct leg_source src;
};
/* What one encoder makes: as it is, and with one or two packets before it in each. */
struct output {
	unsigned users; /* of all its streams */
	struct made made[RED_DEPTH + 1];
	unsigned said; /* packets ever */
	struct said {
		uint64_t ts64;
		uint16_t len;
		uint8_t data[AUDIO_PACKET_MAX];
	} last[RED_DEPTH];
};
struct mixer {
	struct legs *all;
	struct relay_room *room;
	struct relay_port *port;
	struct audio_mixer *audio;
	struct timer timer;
	uint64_t start_us, ticks; /* ticks done */
	bool running;
	bool moved; /* somebody has taken or left a place */
	struct place {
		uint32_t port;	 /* whose, 0 nobody's */
		uint32_t stream; /* what they send */
		/* What it costs to send on as it is: this second's packets and bytes, and the
		 * last one's rate. */
		uint64_t second_us;
		unsigned packets, bytes, cost_bps;
	} places[MIX_VOICES];
	int alone; /* place of who speaks alone, -1 none, */
	uint32_t alone_stream;
	struct leg *listeners;
	struct output out[MIXES][RUNGS];
};

static const struct nego_codec made_codec = { .codec = CODEC_OPUS };

/* ---- in: a port's callbacks -------------------------------------------------------- */

static void wake(struct mixer *m, uint64_t now_us)
{
	if (m->running)
		return;
	m->running = true;
	wheel_arm(m->all->wheel, &m->timer, now_us);
}

/* A second that is full of speech costs more than one with pauses: the dearest of late counts. */
static void count_cost(struct place *pl, const struct pkt *p)
{
	if (p->arrival_us >= pl->second_us + 1000000) {
		unsigned bps = (pl->bytes + pl->packets * WIRE_VOICE_BYTES) * 8;

		pl->cost_bps = bps > pl->cost_bps ? bps : (pl->cost_bps * 7 + bps) / 8;
		pl->second_us = p->arrival_us;
		pl->packets = pl->bytes = 0;
	}
	pl->packets++;
	pl->bytes += p->rtp.payload_len;
}

static void forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		    bool first, uint64_t now_us)
{
	struct mixer *m = owner;

	if (first) {
		audio_mixer_open(m->audio, slot);
		m->places[slot] = (struct place) { .port = relay_stream_port(st),
						   .stream = relay_stream_id(st) };
		m->moved = true;
	}
	count_cost(&m->places[slot], p);
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

/* ---- made streams ------------------------------------------------------------------ */

static uint32_t made_id(struct leg_mix x)
{
	return MADE_STREAM | (uint32_t)x.mix << 16 | (uint32_t)x.rung << 8 | x.red;
}

static int made_create(struct mixer *m, struct leg_mix x)
{
	struct leg_source *src = &m->out[x.mix][x.rung].made[x.red].src;

	memset(src, 0, sizeof *src);
	if (rtp_store_init(&src->store, MADE_STORE))
		return -ENOMEM;
	rtp_recv_init(&src->recv, 1, 48000, true, false);
	src->clock = &m->all->no_clock;
	src->codec = &made_codec;
	src->red = x.red > 0;
	src->epoch = 1;
	src->stream = relay_made_create(m->port, made_id(x), CODEC_OPUS, src);
	if (src->stream)
		return 0;
	rtp_store_fini(&src->store);
	return -ENOMEM;
}

static void made_destroy(struct mixer *m, struct leg_mix x, uint64_t now_us)
{
	struct leg_source *src = &m->out[x.mix][x.rung].made[x.red].src;

	relay_stream_destroy(src->stream, now_us);
	rtp_store_fini(&src->store);
}

static int made_use(struct mixer *m, struct leg_mix x, uint64_t now_us)
{
	struct output *o = &m->out[x.mix][x.rung];

	if (!o->made[x.red].users && made_create(m, x))
		return -ENOMEM;
	if (!o->users && audio_mixer_start(m->audio, x.mix, (enum audio_rung)x.rung)) {
		made_destroy(m, x, now_us);
		return -ENOMEM;
	}
	o->made[x.red].users++;
	o->users++;
	return 0;
}

static void made_leave(struct mixer *m, struct leg_mix x, uint64_t now_us)
{
	struct output *o = &m->out[x.mix][x.rung];

	if (!--o->made[x.red].users)
		made_destroy(m, x, now_us);
	if (!--o->users) {
		audio_mixer_stop(m->audio, x.mix, (enum audio_rung)x.rung);
		o->said = 0;
	}
}

/* The packet, with those of the last `depth` that RED can still name. */
static int with_earlier(const struct output *o, const struct audio_mixed *x,
			unsigned depth, uint8_t *buf, size_t cap)
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

static void send_made(struct mixer *m, const struct audio_mixed *x, unsigned red,
		      uint64_t at_us, uint64_t now_us)
{
	struct output *o = &m->out[x->mix][x->rung];
	struct leg_source *src = &o->made[red].src;
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
	p->len = p->rtp.payload_len = (uint16_t)len;
	p->arrival_us = at_us;
	p->rtp.codec = red ? CODEC_RED : CODEC_OPUS;
	p->rtp.level_dbov = (int8_t)x->level_dbov;
	p->rtp.frame.start = p->rtp.frame.end = p->rtp.frame.key = true;
	p->rtp.frame.samples = (uint16_t)(audio_rungs[x->rung].packet_ms * 48);
	p->rtp.seq64 = src->recv.highest ? src->recv.highest + 1 : 65536;
	p->rtp.ts64 = (UINT64_C(1) << 32) + x->ts64;
	src->recv.highest = p->rtp.seq64;
	src->recv.ts64 = p->rtp.ts64;
	src->recv.last_us = at_us;
	rtp_store_put(&src->store, p);
	relay_stream_packet(src->stream, p, now_us);
	pkt_unref(p);
}

static void send_mixed(struct mixer *m, const struct audio_mixed *x, uint64_t at_us,
		       uint64_t now_us)
{
	struct output *o = &m->out[x->mix][x->rung];
	struct said *s;

	m->all->batch_us = now_us;
	m->all->making = true;
	for (unsigned red = 0; red <= RED_DEPTH; red++)
		if (o->made[red].users)
			send_made(m, x, red, at_us, now_us);
	m->all->making = false;
	s = &o->last[o->said++ % RED_DEPTH];
	s->ts64 = x->ts64;
	s->len = (uint16_t)x->len;
	memcpy(s->data, x->data, x->len);
}

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

/* As they send it, if that costs no more than the rung: encoding it again would cost quality. */
static uint32_t heard_by(const struct mixer *m, const struct leg *leg)
{
	const struct place *pl = m->alone < 0 ? NULL : &m->places[m->alone];
	unsigned rung = leg->mix_at.rung;

	if (pl && pl->stream && pl->port != leg->port_id && !leg->mix_at.red &&
	    pl->cost_bps &&
	    pl->cost_bps <= voice_cost_bps(rung, 0, WIRE_VOICE_BYTES) / 8 * 9)
		return pl->stream;
	return made_id(leg->mix_at);
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

/* Who speaks alone is heard as they send it: from a pause of theirs on until somebody else says
 * something. */
static void follow_talk(struct mixer *m, uint64_t now_us)
{
	int before = m->alone;
	bool look = m->ticks % LOOK_TICKS == 0 && before >= 0 &&
		    audio_mixer_silence(m->audio, (unsigned)before) >= PAUSE_TICKS;

	if (m->alone >= 0 && (m->places[m->alone].stream != m->alone_stream ||
			      others_silence(m, m->alone) == 0))
		m->alone = -1;
	if (m->alone < 0) {
		m->alone = lone_speaker(m);
		m->alone_stream = m->alone < 0 ? 0 : m->places[m->alone].stream;
	}
	if (m->alone == before && !look)
		return;
	for (struct leg *leg = m->listeners; leg; leg = leg->next_listener)
		relay_port_alone(leg->port, heard_by(m, leg), now_us);
}

/* From now on. */
static void go_over(struct mixer *m, struct leg *leg, uint64_t now_us)
{
	struct leg_mix old = leg->mix_at;

	leg->mix_at = leg->mix_to;
	relay_port_alone(leg->port, heard_by(m, leg), now_us);
	if (old.used)
		made_leave(m, old, now_us);
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
	if (pending)
		made_leave(m, leg->mix_to, now_us);
	leg->mix_to = to;
	wake(m, now_us);
	if (!leg->mix_at.used || leg->mix_at.mix != to.mix || leg->mix_at.rung == to.rung)
		go_over(m, leg, now_us);
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
			go_over(m, leg, now_us);
}

/* ---- time -------------------------------------------------------------------------- */

/* What is due of the last tick, as far as a turn goes. True: more is. */
static bool encode_some(struct mixer *m, uint64_t now_us)
{
	uint64_t at_us = m->start_us + m->ticks * AUDIO_TICK_US;
	struct audio_mixed x;

	for (unsigned i = 0; i < ENCODES_A_TURN; i++) {
		if (m->all->made_count > MADE_QUEUE / 2)
			break;
		if (!audio_mixer_next(m->audio, &x))
			return false;
		send_mixed(m, &x, at_us, now_us);
	}
	return true;
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct mixer *m = CONTAINER_OF(t, struct mixer, timer);
	uint64_t due = (now_us - m->start_us) / AUDIO_TICK_US;

	if (m->moved)
		follow_places(m, now_us);
	if (encode_some(m, now_us)) {
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
			follow_rungs(m, now_us);
		audio_mixer_tick(m->audio, m->start_us + m->ticks++ * AUDIO_TICK_US);
		follow_talk(m, now_us);
		wheel_arm(m->all->wheel, t, now_us);
		return;
	}
	if (audio_mixer_idle(m->audio) && !m->moved) {
		m->running = false;
		return;
	}
	wheel_arm(m->all->wheel, t, m->start_us + (m->ticks + 1) * AUDIO_TICK_US);
}

/* ---- life -------------------------------------------------------------------------- */

static void mixer_destroy(struct mixer *m, uint64_t now_us)
{
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
	m->audio = audio_mixer_create();
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
	struct leg_mix at = leg->mix_at, to = leg->mix_to;

	if (!m)
		return;
	for (struct leg **p = &m->listeners; *p; p = &(*p)->next_listener) {
		if (*p == leg) {
			*p = leg->next_listener;
			break;
		}
	}
	leg->mix_at = leg->mix_to = (struct leg_mix) { 0 };
	leg->mixer = NULL;
	relay_port_alone(leg->port, 0, now_us);
	if (at.used && !same(at, to))
		made_leave(m, at, now_us);
	if (to.used)
		made_leave(m, to, now_us);
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
