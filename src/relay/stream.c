/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A source: the hot path from its packet to the slots that carry it, and its coming and
 * going. Invariant: an inactive stream is on no slot's list and in no lane.
 */
#include "speakers.h"

#include <assert.h>
#include <string.h>

static const uint64_t CALM_US = 2000000;
/* A key frame's first packet recovered later than this many packets is no place to begin:
 * the receiver would have to ask for all of them again. */
static const uint64_t LATE_KEY_PKTS = 128;
/* Who sees another picture meanwhile waits no longer for all of a key frame. */
static const uint64_t KEY_WAIT_US = 500000;
static const uint64_t KEY_WAIT_PKTS = 64;

void stream_take(struct relay_stream *st, uint64_t now_us)
{
	link_remove(&st->calm_link);
	if (st->wanted || st->made)
		return;
	st->wanted = true;
	st->room->relay->stream_ops->wanted(st->owner, st, true, now_us);
}

void stream_release(struct relay_stream *st, uint64_t now_us)
{
	if (st->audio || !st->wanted || st->carriers || st->waiters || st->calm_link.at)
		return;
	st->calm_us = now_us + CALM_US;
	link_add(&st->room->calming, &st->calm_link);
	room_mark(st->room);
}

void stream_want_key(struct relay_stream *st, uint64_t now_us)
{
	st->room->relay->stream_ops->want_key(st->owner, st, now_us);
}

/* ---- hot --------------------------------------------------------------------------- */

/* The source has begun new numbers (see rtp_recv_packet): every mapping onto the old ones
 * ends. */
static void restart(struct relay_stream *st, uint64_t now_us)
{
	struct link *l = st->carriers;

	while (l) {
		struct slot *s = CONTAINER_OF(l, struct slot, cur_link);

		l = l->next;
		slot_renew(s, now_us);
	}
}

/* Slots that wait for this stream go over: all, or those that show nothing. */
static void promote(struct relay_stream *st, bool all, uint64_t now_us)
{
	for (struct link *l = st->waiters, *next; l; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, next_link);
		struct relay_stream *old = s->cur;

		next = l->next;
		if (old && !all)
			continue;
		if (old)
			link_remove(&s->cur_link);
		slot_promote(s);
		if (old)
			stream_release(old, now_us);
	}
}

/* The newest, whose first packet `p` may be. */
static void key_take(struct key_frame *k, const struct pkt *p, uint64_t now_us)
{
	uint64_t seq = p->rtp.seq64, ts64 = p->rtp.ts64;

	if (!p->rtp.frame.key || !p->rtp.frame.start)
		return;
	if (!k->first || ts64 > k->ts64 || (ts64 == k->ts64 && seq < k->first))
		*k = (struct key_frame) {
			.first = seq, .next = seq, .ts64 = ts64, .since_us = now_us
		};
}

/*
 * A sender paces its key frames, or one of its packets is lost: whoever goes over with the first packet has no
 * picture until the last. So who sees another stays with that until all of it has come.
 */
static void await_key(struct relay_stream *st, const struct pkt *p, uint64_t now_us)
{
	const struct relay_stream_ops *ops = st->room->relay->stream_ops;
	struct key_frame *k = &st->key;
	bool whole;

	key_take(k, p, now_us);
	if (!k->first)
		return;
	if (st->highest - k->first > LATE_KEY_PKTS) {
		*k = (struct key_frame) { 0 };
		stream_want_key(st, now_us);
		return;
	}
	whole = ops->whole(st->owner, k->ts64, &k->next) ||
		now_us > k->since_us + KEY_WAIT_US ||
		st->highest - k->first >= KEY_WAIT_PKTS;
	promote(st, whole, now_us);
}

void relay_stream_packet(struct relay_stream *st, struct pkt *p, uint64_t now_us)
{
	struct relay *r = st->room->relay;
	uint64_t seq = p->rtp.seq64;
	bool newest = seq > st->highest;
	bool jumped = st->highest && newest && seq - st->highest > RECV_JUMP;

	if (newest)
		st->highest = seq;
	if (!st->active) {
		STAT_INC(rtp_muted);
		return;
	}
	r->forwarding = true;
	if (jumped)
		restart(st, now_us);
	if (st->audio) {
		if (newest && !st->made) {
			st->room->packets = true;
			room_mark(st->room);
			speakers_packet(st, p, now_us);
		}
	} else if (st->waiters) {
		await_key(st, p, now_us);
	}
	for (struct link *l = st->carriers, *next; l; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, cur_link);
		bool first = s->fresh;

		next = l->next;
		/* A late packet is no beginning: those after it have passed already. */
		if (first && !newest && st->audio)
			continue;
		s->fresh = false;
		s->sounding = true;
		s->port->ops->forward(s->port->owner, s->index, st, p,
				      !first	  ? 0
				      : st->audio ? seq
						  : st->key.first,
				      now_us);
	}
	if (!st->waiters)
		st->key.first = 0;
	r->forwarding = false;
}

/* ---- coming and going -------------------------------------------------------------- */

/* Active, or decodable by others than before: the ports that may now want it. */
static void offer(struct relay_stream *st, uint64_t now_us)
{
	struct relay_room *room = st->room;

	if (st->audio) {
		room_update_audio(room, now_us);
		return;
	}
	for (unsigned i = 0; i < room->port_count; i++)
		if (room->ports[i]->automatic || port_views(room->ports[i], st->id))
			port_update_video(room->ports[i], now_us);
}

/* Out of every slot; each port then looks for another. */
static void withdraw(struct relay_stream *st, uint64_t now_us)
{
	while (st->carriers || st->waiters || st->parked) {
		struct slot *s;
		struct relay_port *p;

		if (st->carriers)
			s = CONTAINER_OF(st->carriers, struct slot, cur_link);
		else if (st->waiters)
			s = CONTAINER_OF(st->waiters, struct slot, next_link);
		else
			s = CONTAINER_OF(st->parked, struct slot, next_link);
		p = s->port;
		/* The update takes it out, since it's inactive and so not wanted. */
		if (st->audio)
			port_update_audio(p, now_us);
		else
			port_update_video(p, now_us);
		if (s->cur == st || s->next == st)
			slot_clear(s, now_us);
	}
}

static struct relay_stream *stream_create(struct relay_port *p, uint32_t id, bool audio,
					  bool screen, void *owner)
{
	struct relay_room *room = p->room;
	struct relay_stream *st;

	if (!id || relay_stream_find(room, id))
		return NULL;
	st = mem_create(sizeof *st, NULL);
	if (!st)
		return NULL;
	st->port = p;
	st->room = room;
	st->owner = owner;
	st->id = id;
	st->audio = audio;
	st->screen = screen;
	speakers_reset(st);
	if (room_add_stream(room, st))
		return mem_unref(st);
	return st;
}

struct relay_stream *relay_stream_create(struct relay_port *p, uint32_t id, bool audio,
					 bool screen, void *owner)
{
	unsigned i;

	for (i = 0; i < RELAY_STREAMS_MAX && p->streams[i]; i++)
		;
	if (i == RELAY_STREAMS_MAX)
		return NULL;
	p->streams[i] = stream_create(p, id, audio, screen, owner);
	return p->streams[i];
}

struct relay_stream *relay_made_create(struct relay_port *mixer, uint32_t id,
				       enum codec_id codec, void *owner)
{
	struct relay_stream *st = stream_create(mixer, id, true, false, owner);

	if (!st)
		return NULL;
	st->made = true;
	st->active = true;
	st->codec = codec;
	return st;
}

void relay_stream_destroy(struct relay_stream *st, uint64_t now_us)
{
	if (!st)
		return;
	relay_stream_active(st, false, now_us);
	link_remove(&st->calm_link);
	room_remove_stream(st->room, st);
	for (unsigned i = 0; i < RELAY_STREAMS_MAX; i++)
		if (st->port->streams[i] == st)
			st->port->streams[i] = NULL;
	mem_unref(st);
}

void relay_stream_active(struct relay_stream *st, bool active, uint64_t now_us)
{
	assert(!st->room->relay->forwarding);
	if (st->active == active)
		return;
	st->active = active;
	if (active) {
		if (st->audio)
			speakers_join(st, now_us);
		else
			offer(st, now_us);
		return;
	}
	if (st->audio && !st->made)
		speakers_leave(st, now_us);
	withdraw(st, now_us);
}

void relay_stream_codec(struct relay_stream *st, enum codec_id codec, uint64_t now_us)
{
	struct link *l;

	assert(!st->room->relay->forwarding);
	if (st->codec == codec)
		return;
	st->codec = codec;
	if (!st->active)
		return;
	offer(st, now_us);
	/* Those who keep it need a new segment: another payload type, another decoder. */
	l = st->carriers;
	while (l) {
		struct slot *s = CONTAINER_OF(l, struct slot, cur_link);

		l = l->next;
		slot_renew(s, now_us);
	}
}

uint32_t relay_stream_id(const struct relay_stream *st)
{
	return st->id;
}

uint32_t relay_stream_port(const struct relay_stream *st)
{
	return st->port->id;
}

void *relay_stream_owner(const struct relay_stream *st)
{
	return st->owner;
}

enum codec_id relay_stream_codec_get(const struct relay_stream *st)
{
	return st->codec;
}

bool relay_stream_wanted(const struct relay_stream *st)
{
	return st->wanted;
}
