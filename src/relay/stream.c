/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A source: the hot path from its packet to the slots that carry it, and its coming and
 * going. Invariant: an inactive stream is on no slot's list and in no lane.
 */
#include "speakers.h"

#include <assert.h>
#include <string.h>

static const uint64_t CALM_US = 2000000;
/* A layer that begins again costs a key frame of all: browsers' encoders start anew. */
static const uint64_t LAYER_CALM_US = 5000000;
/* A browser's estimate of its link begins low and finds out more by what it can send: while it is limited by the link it
 * does not probe for a layer that is added (Chromium 156 was seen to stay at the smallest for 40 s). */
static const uint64_t STEP_US = 2000000;
/* A key frame's first packet recovered later than this many packets is no place to begin:
 * the receiver would have to ask for all of them again. */
static const uint64_t LATE_KEY_PKTS = 128;
/* Who sees another picture meanwhile waits no longer for all of a key frame. */
static const uint64_t KEY_WAIT_US = 500000;
static const uint64_t KEY_WAIT_PKTS = 64;

/* ---- what is wanted of it ---------------------------------------------------------- */

static bool taken(const struct relay_stream *st)
{
	for (unsigned i = 0; i < st->layer_count; i++)
		if (st->layers[i].carriers || st->layers[i].waiters)
			return true;
	return false;
}

/* So many layers are asked for where `layer` does not come: up to the largest below it that does, and the next one
 * when that has come for a while. */
static unsigned steps(const struct relay_stream *st, unsigned layer, uint64_t now_us)
{
	while (layer && !(st->alive >> (layer - 1) & 1))
		layer--;
	if (layer && now_us < st->layers[layer - 1].alive_us + STEP_US)
		return layer;
	return layer + 1;
}

static unsigned layers_needed(const struct relay_stream *st, uint64_t now_us)
{
	unsigned parts = demand_layers(&st->demand, false), needed = 0;

	for (unsigned i = 0; i < st->layer_count; i++) {
		if (!(parts >> i * ALLOC_TEMPORAL & 1))
			continue;
		if (st->alive >> i & 1 || st->layers[i].borne)
			needed |= 1u << i;
		else /* perhaps its link does not bear it: one after the other */
			needed |= (1u << steps(st, i, now_us)) - 1;
	}
	return needed ? needed | 1 : 0;
}

static void calm_begin(struct relay_stream *st, uint64_t calm_us)
{
	if (st->calm_link.at && st->calm_us <= calm_us)
		return;
	link_remove(&st->calm_link);
	st->calm_us = calm_us;
	link_add(&st->room->calming, &st->calm_link);
	room_mark(st->room);
}

/* More is told at once, less when nobody has needed it for a while. */
void stream_look(struct relay_stream *st, uint64_t now_us)
{
	unsigned needed, told = st->told;

	if (st->layer_count == 1)
		return;
	needed = layers_needed(st, now_us);
	if (!needed) /* its own calm is shorter */
		return;
	for (unsigned i = 0; i < st->layer_count; i++) {
		struct layer *y = &st->layers[i];

		if (needed >> i & 1) {
			if (!(told >> i & 1))
				y->told_us = now_us;
			told |= 1u << i;
			y->spare_us = 0;
		} else if (!y->spare_us) {
			y->spare_us = now_us;
		} else if (now_us >= y->spare_us + LAYER_CALM_US) {
			told &= ~(1u << i);
		}
	}
	if (told == st->told)
		return;
	st->told = (uint8_t)told;
	st->room->relay->stream_ops->demand(st->owner, st, now_us);
}

void stream_part(struct relay_stream *st, struct demand_part *part, int sid, int tid)
{
	if (st->layer_count > 1)
		(void)demand_change(&st->demand, part, sid, tid, 0);
}

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
	if (!st->audio && st->wanted && !taken(st))
		calm_begin(st, now_us + CALM_US);
}

void stream_calm(struct relay_stream *st, uint64_t now_us)
{
	link_remove(&st->calm_link);
	st->told = 0;
	st->wanted = false;
	st->room->relay->stream_ops->wanted(st->owner, st, false, now_us);
}

void stream_want_key(struct relay_stream *st, unsigned layer, bool patient,
		     uint64_t now_us)
{
	st->room->relay->stream_ops->want_key(st->owner, st, layer, patient, now_us);
}

/* ---- hot --------------------------------------------------------------------------- */

/* The source has begun new numbers (see rtp_recv_packet): every mapping onto the old ones
 * ends. */
static void restart(struct layer *y, uint64_t now_us)
{
	struct link *l = y->carriers;

	while (l) {
		struct slot *s = CONTAINER_OF(l, struct slot, cur_link);

		l = l->next;
		slot_renew(s, now_us);
	}
}

/* Slots that wait for this layer go over: all, or those that show nothing. */
static void promote(struct layer *y, bool all, uint64_t now_us)
{
	for (struct link *l = y->waiters, *next; l; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, next_link);

		next = l->next;
		if (all || !s->cur)
			slot_promote(s, now_us);
	}
}

void stream_layers(struct relay_stream *st, uint64_t now_us)
{
	for (unsigned i = 0; i < st->layer_count; i++) {
		struct link *l = st->layers[i].carriers, *next;

		for (; l; l = next) {
			next = l->next;
			slot_layers(CONTAINER_OF(l, struct slot, cur_link), now_us);
		}
		/* One that moves to a later list is met again, and stays there. */
		for (l = st->layers[i].waiters; l; l = next) {
			next = l->next;
			slot_layers(CONTAINER_OF(l, struct slot, next_link), now_us);
		}
	}
	stream_look(st, now_us);
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
static void await_key(struct relay_stream *st, unsigned layer, const struct pkt *p,
		      uint64_t now_us)
{
	const struct relay_stream_ops *ops = st->room->relay->stream_ops;
	struct layer *y = &st->layers[layer];
	struct key_frame *k = &y->key;
	bool whole;

	key_take(k, p, now_us);
	if (!k->first)
		return;
	if (y->highest - k->first > LATE_KEY_PKTS) {
		*k = (struct key_frame) { 0 };
		stream_want_key(st, layer, false, now_us);
		return;
	}
	whole = ops->whole(st->owner, st, layer, k->ts64, &k->next) ||
		now_us > k->since_us + KEY_WAIT_US ||
		y->highest - k->first >= KEY_WAIT_PKTS;
	promote(y, whole, now_us);
}

void relay_stream_packet(struct relay_stream *st, struct pkt *p, uint64_t now_us)
{
	struct relay *r = st->room->relay;
	unsigned layer = p->rtp.layer < st->layer_count ? p->rtp.layer : 0;
	struct layer *y = &st->layers[layer];
	uint64_t seq = p->rtp.seq64;
	bool newest = seq > y->highest;
	bool jumped = y->highest && newest && seq - y->highest > RECV_JUMP;

	if (newest)
		y->highest = seq;
	if (!st->active) {
		STAT_INC(rtp_muted);
		return;
	}
	r->forwarding = true;
	if (jumped)
		restart(y, now_us);
	if (st->layer_count > 1) {
		st->room->packets = true;
		room_mark(st->room);
	}
	if (!st->audio && layers_heard(st, p) && st->layer_count > 1)
		stream_layers(st, now_us);
	if (st->audio) {
		if (newest && !st->made) {
			st->room->packets = true;
			room_mark(st->room);
			speakers_packet(st, p, now_us);
		}
	} else if (y->waiters) {
		await_key(st, layer, p, now_us);
	}
	for (struct link *l = y->carriers, *next; l; l = next) {
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
						  : y->key.first,
				      now_us);
	}
	if (!y->waiters)
		y->key.first = 0;
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

/* Any that has to do with it, NULL if none has. */
static struct slot *any_slot(const struct relay_stream *st)
{
	for (unsigned i = 0; i < st->layer_count; i++) {
		const struct layer *y = &st->layers[i];

		if (y->carriers)
			return CONTAINER_OF(y->carriers, struct slot, cur_link);
		if (y->waiters)
			return CONTAINER_OF(y->waiters, struct slot, next_link);
	}
	return st->parked ? CONTAINER_OF(st->parked, struct slot, next_link) : NULL;
}

/* Out of every slot; each port then looks for another. */
static void withdraw(struct relay_stream *st, uint64_t now_us)
{
	struct slot *s;

	while ((s = any_slot(st))) {
		struct relay_port *p = s->port;

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
	st->layer_count = 1;
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
	st->alive = 0;
}

void relay_stream_codec(struct relay_stream *st, enum codec_id codec, uint64_t now_us)
{
	assert(!st->room->relay->forwarding);
	if (st->codec == codec)
		return;
	st->codec = codec;
	if (!st->active)
		return;
	offer(st, now_us);
	/* Those who keep it need a new segment: another payload type, another decoder. */
	for (unsigned i = 0; i < st->layer_count; i++)
		restart(&st->layers[i], now_us);
}

void relay_stream_layers(struct relay_stream *st, unsigned count)
{
	assert(!any_slot(st) && count && count <= RELAY_LAYERS_MAX);
	st->layer_count = count;
}

unsigned relay_stream_demand(const struct relay_stream *st)
{
	return st->told;
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
