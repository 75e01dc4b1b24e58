/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A random walk of rooms: joins, leaves, views, mutes, codecs, suspensions, packets with
 * loss, lateness and restarts. After every few steps the whole state is compared with
 * what an independent reading of the rules says. Each slot feeds a real rtp_slot, whose
 * output must go on without a step back. `sim_relay_rooms [seed [steps]]`.
 */
#include "unit/relay_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speakers.h"

enum {
	ROOMS = 2,
	PORTS = 14,
	STREAMS = RELAY_STREAMS_MAX,
	STEPS = 100000,
	POOL = 64,
	HELD = 512
};

#define CHECK(c) \
	do { \
		if (!(c)) { \
			fprintf(stderr, "%s:%d: seed %u step %u: %s\n", __FILE__, \
				__LINE__, seed, step, #c); \
			abort(); \
		} \
	} while (0)

struct source {
	struct relay_stream *st;
	uint64_t seq, ts;
	bool told;
	unsigned keys;
	struct view {
		uint64_t seq, ts;
		bool key, marker;
	} held[HELD]; /* the last packets */
};
struct person {
	struct relay_room *room;
	struct relay_port *port;
	uint32_t id;
	bool refuse[CODEC_COUNT];
	bool view_auto;
	unsigned view_count;
	struct relay_view view[RELAY_VIEW_MAX];
	struct source src[STREAMS];
	struct relay_stream *hears[RELAY_SLOTS_MAX];
	uint32_t hears_id[RELAY_SLOTS_MAX];
	struct rtp_slot out[RELAY_SLOTS_MAX];
	uint64_t out_ts[RELAY_SLOTS_MAX];
	uint64_t got_in[RELAY_SLOTS_MAX];
};

static unsigned seed = 1, step;
static uint64_t rng, now = 10000000;
static struct relay *R;
static struct relay_room *rooms[ROOMS];
static struct person people[ROOMS][PORTS];
static uint32_t next_id = 1;
static struct pkt_pool *pool;
static unsigned long forwards, firsts, idles, refused, waited;

static unsigned dice(unsigned n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng >> 33) % n;
}

static void on_forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		       uint64_t begin, uint64_t now_us)
{
	struct person *w = owner;
	struct rtp_slot *s = &w->out[slot];
	struct rtp_out out;
	uint64_t before = s->highest;
	int err;

	struct pkt from = *p;

	CHECK(now_us == now && p->refs == 1);
	CHECK(slot < w->port->audio + w->port->video);
	CHECK(!w->port->suspended && st->active && st->port != w->port);
	CHECK((slot < w->port->audio) == st->audio);
	CHECK(!w->refuse[st->codec]);
	forwards++;
	firsts += begin != 0;
	if (begin) {
		const struct source *src = st->owner;
		const struct view *v = &src->held[begin % HELD];

		waited += begin != p->rtp.seq64;
		CHECK(v->seq == begin && (st->audio || v->key));
		from.rtp.seq64 = begin;
		from.rtp.ts64 = v->ts;
		rtp_slot_switch(s, st->id, 100, 101, 0, &from);
	} else {
		CHECK(w->hears[slot] == st && w->hears_id[slot] == st->id);
	}
	err = rtp_slot_map(s, &from, &out, false);
	if (err) {
		/* only what is older than the segment's first */
		CHECK(!begin &&
		      p->rtp.seq64 < s->segments[(s->segment_count - 1) % SLOT_SEGMENTS]
					     .first_in);
		refused++;
		return;
	}
	if (begin) {
		CHECK(out.seq64 == before + 1);
		CHECK(out.ts64 > w->out_ts[slot]);
	}
	if (out.seq64 > before) {
		CHECK(out.ts64 >= w->out_ts[slot]);
		w->out_ts[slot] = out.ts64;
	}
	w->hears[slot] = st;
	w->hears_id[slot] = st->id;
}

static bool on_accepts(void *owner, unsigned slot, const struct relay_stream *st)
{
	struct person *w = owner;

	(void)slot;
	return !w->refuse[st->codec];
}

static void on_idle(void *owner, unsigned slot, uint64_t now_us)
{
	struct person *w = owner;

	(void)now_us;
	CHECK(w->hears[slot]);
	CHECK(!w->port->slots[slot].cur);
	w->hears[slot] = NULL;
	idles++;
}

static void on_want_key(void *owner, struct relay_stream *st, unsigned layer,
			bool patient, uint64_t now_us)
{
	(void)layer;
	(void)patient;
	(void)now_us;
	CHECK(!st->audio);
	((struct source *)owner)->keys++;
}

static bool on_whole(void *owner, struct relay_stream *st, unsigned layer, uint64_t ts64,
		     uint64_t *next)
{
	const struct source *s = owner;

	(void)st;
	(void)layer;
	for (;; ++*next) {
		const struct view *v = &s->held[*next % HELD];

		if (v->seq != *next)
			return false;
		if (v->ts != ts64 || v->marker)
			return true;
	}
}

static void on_wanted(void *owner, struct relay_stream *st, bool wanted, uint64_t now_us)
{
	struct source *s = owner;

	(void)now_us;
	CHECK(s->told != wanted && relay_stream_wanted(st) == wanted);
	s->told = wanted;
	CHECK(wanted || (!st->layers[0].carriers && !st->layers[0].waiters));
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	CHECK(count <= RELAY_LANES);
	for (unsigned i = 0; i < count; i++)
		CHECK(room_port(r, ids[i]));
}

/* ---- what must hold ---------------------------------------------------------------- */

static bool on_list(const struct link *l, const struct link *node)
{
	for (; l; l = l->next)
		if (l == node)
			return true;
	return false;
}

static void check_slot(struct person *w, unsigned i)
{
	const struct slot *s = &w->port->slots[i];
	const struct relay_stream *both[2] = { s->cur, s->next };

	for (unsigned k = 0; k < 2; k++) {
		const struct relay_stream *st = both[k];

		if (!st)
			continue;
		CHECK(st->active && st->port != w->port && st->room == w->room);
		CHECK(st->audio == (i < w->port->audio));
		CHECK(!w->refuse[st->codec]);
		for (unsigned j = i + 1; j < w->port->audio + w->port->video; j++)
			CHECK(w->port->slots[j].cur != st &&
			      w->port->slots[j].next != st);
	}
	CHECK(!s->cur || s->cur != s->next);
	if (s->cur)
		CHECK(on_list(s->cur->layers[0].carriers, &s->cur_link));
	if (s->next)
		CHECK(on_list(w->port->suspended ? s->next->parked
						 : s->next->layers[0].waiters,
			      &s->next_link));
	CHECK(!(w->port->suspended && s->cur));
	CHECK(!(i < w->port->audio && s->next && !w->port->suspended));
	CHECK(s->sounding == (w->hears[i] != NULL));
	if (s->cur && !s->fresh)
		CHECK(w->hears[i] == s->cur);
	CHECK(relay_port_slot(w->port, i) == (s->cur && !s->fresh ? s->cur : NULL));
}

/* The set of streams a port should have, by the rules, read once more. */
static unsigned expected(struct person *w, bool audio, const struct relay_stream **want)
{
	const struct relay_room *r = w->room;
	unsigned n = 0, max = audio ? w->port->audio : w->port->video;
	bool taken[1024] = { false };

	if (audio) {
		for (unsigned i = 0; i < r->lane_count && n < max; i++)
			if (r->lanes[i]->port != w->port &&
			    !w->refuse[r->lanes[i]->codec])
				want[n++] = r->lanes[i];
		return n;
	}
	for (unsigned i = 0; i < w->view_count && n < max; i++) {
		const struct relay_stream *st =
			relay_stream_find(w->room, w->view[i].stream);

		if (!st || st->audio || !st->active || st->port == w->port ||
		    w->refuse[st->codec] || taken[st->id % 1024])
			continue;
		taken[st->id % 1024] = true;
		want[n++] = st;
	}
	while (w->view_auto && n < max) {
		const struct relay_stream *best = NULL;

		for (unsigned i = 0; i < r->video_count; i++) {
			const struct relay_stream *st = r->videos[i];
			bool better;

			if (!st->active || st->port == w->port || w->refuse[st->codec] ||
			    taken[st->id % 1024])
				continue;
			better = !best || (st->screen && !best->screen) ||
				 (st->screen == best->screen && st->screen &&
				  st->age < best->age) ||
				 (!st->screen && !best->screen &&
				  (st->port->recent > best->port->recent ||
				   (st->port->recent == best->port->recent &&
				    st->age < best->age)));
			if (better)
				best = st;
		}
		if (!best)
			break;
		taken[best->id % 1024] = true;
		want[n++] = best;
	}
	return n;
}

static void check_port(struct person *w)
{
	const struct relay_stream *want[RELAY_SLOTS_MAX];

	for (unsigned i = 0; i < w->port->audio + w->port->video; i++)
		check_slot(w, i);
	for (unsigned audio = 0; audio < 2; audio++) {
		unsigned from = audio ? 0 : w->port->audio;
		unsigned to = audio ? w->port->audio : w->port->audio + w->port->video;
		unsigned n, used = 0;

		/* one that was suspended from the start has had no reason to be worked
		 * out */
		if (w->port->suspended)
			continue;
		n = expected(w, audio, want);
		for (unsigned i = from; i < to; i++) {
			const struct slot *s = &w->port->slots[i];

			used += s->next || s->cur;
		}
		CHECK(used == n);
		for (unsigned k = 0; k < n; k++) {
			unsigned i = from;

			while (i < to && w->port->slots[i].next != want[k] &&
			       (w->port->slots[i].cur != want[k] ||
				w->port->slots[i].next))
				i++;
			CHECK(i < to);
		}
	}
}

static void check_room(unsigned k)
{
	struct relay_room *r = rooms[k];
	unsigned mics = 0, ports = 0;

	for (unsigned i = 0; i < PORTS; i++) {
		struct person *w = &people[k][i];

		if (!w->port)
			continue;
		ports++;
		check_port(w);
		for (unsigned j = 0; j < STREAMS; j++) {
			struct relay_stream *st = w->src[j].st;

			if (!st)
				continue;
			CHECK(relay_stream_find(r, st->id) == st);
			CHECK(st->wanted == w->src[j].told);
			if (st->audio) /* from the first taking on */
				CHECK(st->wanted ||
				      !(st->layers[0].carriers || st->layers[0].waiters));
			else
				CHECK(st->wanted ==
				      (st->layers[0].carriers || st->layers[0].waiters ||
				       st->calm_link.at));
			CHECK(!st->calm_link.at ||
			      (!st->layers[0].carriers && !st->layers[0].waiters));
			if (!st->active)
				CHECK(!st->layers[0].carriers && !st->layers[0].waiters &&
				      !st->parked && st->voice.lane == -1);
			if (!st->audio)
				continue;
			mics += st->active;
			if (st->voice.lane >= 0)
				CHECK(r->lanes[st->voice.lane] == st);
		}
	}
	CHECK(r->port_count == ports && r->mic_count == mics);
	CHECK(r->lane_count <= RELAY_LANES);
	for (unsigned i = 0; i < r->lane_count; i++)
		CHECK(r->lanes[i]->voice.lane == (int)i && r->lanes[i]->active);
	if (mics <= RELAY_LANES)
		CHECK(r->lane_count == mics);
	CHECK(!r->calming || r->live);
}

/* ---- what happens ------------------------------------------------------------------ */

static void join(struct person *w, unsigned k)
{
	memset(w, 0, sizeof *w);
	w->room = rooms[k];
	w->id = next_id++;
	w->port = relay_port_create(w->room, w->id, dice(4),
				    dice(RELAY_VIDEO_SLOTS_MAX + 1), w);
	CHECK(w->port);
	w->view_auto = true;
	for (unsigned i = 0; i < RELAY_SLOTS_MAX; i++)
		rtp_slot_init(&w->out[i], 1 + i, 100 + i,
			      i < w->port->audio ? 48000 : 90000, i < w->port->audio);
	if (dice(4))
		relay_port_suspend(w->port, false, now);
}

static void leave(struct person *w)
{
	relay_port_destroy(w->port, now);
	memset(w, 0, sizeof *w);
}

static void publish(struct person *w)
{
	static const enum codec_id video[] = { CODEC_VP8, CODEC_VP9, CODEC_AV1 };
	unsigned i = dice(STREAMS);
	struct source *s = &w->src[i];
	bool audio;

	if (s->st) {
		relay_stream_destroy(s->st, now);
		memset(s, 0, sizeof *s);
		return;
	}
	audio = dice(2);
	/* some ids are seen in views before they exist */
	s->st = relay_stream_create(w->port, dice(300) + 1, audio, dice(4) == 0, s);
	if (!s->st)
		return;
	s->seq = 65536 + dice(65536);
	s->ts = 1ull << 32;
	relay_stream_codec(s->st, audio ? CODEC_OPUS : video[dice(3)], now);
	if (dice(8))
		relay_stream_active(s->st, true, now);
}

static void change_view(struct person *w)
{
	w->view_auto = dice(2);
	w->view_count = dice(3) ? dice(12) : 0;
	for (unsigned i = 0; i < w->view_count; i++) {
		memset(&w->view[i], 0, sizeof w->view[i]);
		w->view[i].stream = dice(300) + 1;
	}
	/* mostly such as exist */
	for (unsigned i = 0; i < w->view_count; i++) {
		struct relay_room *r = w->room;

		if (r->video_count && dice(4))
			w->view[i].stream = r->videos[dice(r->video_count)]->id;
	}
	relay_port_view(w->port, w->view_auto, w->view, w->view_count, now);
}

static void packets(struct person *w)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		struct source *s = &w->src[i];
		struct pkt *p;
		uint64_t late = 0;

		if (!s->st)
			continue;
		p = pkt_take(pool);
		CHECK(p);
		s->seq += 1 + (dice(20) ? 0 : dice(5));
		s->ts = (1ull << 32) + s->seq * 960;
		if (dice(500) == 0)
			s->seq += RECV_JUMP + dice(60000);
		if (dice(15) == 0)
			late = dice(200);
		memset(&p->rtp, 0, sizeof p->rtp);
		p->rtp.codec = (uint8_t)s->st->codec;
		p->rtp.seq64 = s->seq - late;
		p->rtp.ts64 = s->ts - late * 960;
		p->rtp.level_dbov = (int8_t)(dice(10) ? (int)dice(128) : -1);
		p->rtp.voice = dice(2);
		p->rtp.payload_off = 12;
		p->rtp.payload_len = (uint16_t)dice(100);
		p->rtp.frame.start = s->st->audio || dice(2);
		p->rtp.frame.key = s->st->audio || dice(3) == 0;
		p->rtp.frame.pid_off = p->rtp.frame.tl0_off = 0xffff;
		p->arrival_us = now;
		p->data[12] = 0x78;
		if (!s->st->audio) { /* pictures of up to four packets */
			p->rtp.ts64 = (1ull << 32) + p->rtp.seq64 / 4 * 3840;
			p->rtp.frame.start = p->rtp.seq64 % 4 == 0 || dice(8) == 0;
			p->rtp.frame.key = p->rtp.seq64 / 4 % 3 == 0;
			p->rtp.marker = p->rtp.seq64 % 4 == 3;
		}
		s->held[p->rtp.seq64 % HELD] =
			(struct view) { p->rtp.seq64, p->rtp.ts64,
					p->rtp.frame.key && p->rtp.frame.start,
					p->rtp.marker };
		relay_stream_packet(s->st, p, now);
		CHECK(p->refs == 1);
		pkt_unref(p);
	}
}

static void act(void)
{
	static const enum codec_id video[] = { CODEC_VP8, CODEC_VP9, CODEC_AV1 };
	unsigned k = dice(ROOMS);
	struct person *w = &people[k][dice(PORTS)];
	struct source *s = &w->src[dice(STREAMS)];

	if (!w->port) {
		if (dice(3) == 0)
			join(w, k);
		return;
	}
	switch (dice(40)) {
	case 0:
		if (dice(8) == 0)
			leave(w);
		break;
	case 1:
	case 2:
		publish(w);
		break;
	case 3:
		change_view(w);
		break;
	case 4:
		if (s->st)
			relay_stream_active(s->st, !s->st->active, now);
		break;
	case 5:
		relay_port_suspend(w->port, dice(3) == 0, now);
		memset(w->hears, 0, w->port->suspended ? sizeof w->hears : 0);
		break;
	case 6:
		if (s->st && !s->st->audio)
			relay_stream_codec(s->st, video[dice(3)], now);
		break;
	case 7:
		relay_port_key_request(w->port, dice(RELAY_SLOTS_MAX + 2), now);
		break;
	case 8:
		/* what it can decode is known from the start, so: somebody else comes */
		if (dice(10) == 0) {
			leave(w);
			join(w, k);
			w->refuse[video[dice(3)]] = true;
			relay_port_view(w->port, true, NULL, 0, now);
		}
		break;
	default:
		packets(w);
	}
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, on_whole, on_wanted,
						    rig_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static void run(unsigned steps)
{
	rng = seed * 7919ull + 1;
	pool = pkt_pool_create(POOL);
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	CHECK(pool && R);
	for (unsigned k = 0; k < ROOMS; k++) {
		rooms[k] = relay_room_create(R, NULL);
		CHECK(rooms[k]);
	}
	forwards = firsts = idles = refused = waited = 0;
	for (step = 0; step < steps; step++) {
		act();
		now += dice(3000);
		if (relay_next_us(R, now) <= now)
			relay_tick(R, now);
		if (step % 8 == 0)
			check_room(step / 8 % ROOMS);
	}
	/* walked far enough to mean something */
	CHECK(forwards > steps && firsts > steps / 100 && idles > steps / 500 &&
	      refused > 10 && waited > steps / 1000);
	printf("seed %u: %lu forwarded, %lu switches, %lu of them with all of a key "
	       "frame, %lu idle, %lu late refused\n",
	       seed, forwards, firsts, waited, idles, refused);
	/* left alone, everything is told and the plane sleeps */
	for (unsigned i = 0; i < 100; i++)
		relay_tick(R, now += 100000);
	CHECK(relay_next_us(R, now) == UINT64_MAX);
	for (unsigned k = 0; k < ROOMS; k++) {
		check_room(k);
		for (unsigned i = 0; i < PORTS; i++)
			if (people[k][i].port)
				leave(&people[k][i]);
		CHECK(relay_room_ports(rooms[k]) == 0);
		relay_room_destroy(rooms[k]);
	}
	relay_destroy(R);
	CHECK(pkt_pool_free_count(pool) == POOL);
	pkt_pool_destroy(pool);
}

int main(int argc, char **argv)
{
	unsigned last = 3, steps = STEPS;

	if (argc > 1)
		seed = last = (unsigned)atoi(argv[1]);
	if (argc > 2)
		steps = (unsigned)atoi(argv[2]);
	for (; seed <= last; seed++)
		run(steps);
	return 0;
}
