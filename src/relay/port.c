/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A listener and its slots. Who *should* be in them is worked out from the room (lanes,
 * cameras) and the port's view; places are sticky: a stream that stays keeps its slot.
 */
#include "speakers.h"

#include <assert.h>
#include <string.h>

bool port_is_audio(const struct relay_port *p, unsigned slot)
{
	return slot < p->audio;
}

static unsigned slot_count(const struct relay_port *p)
{
	return p->audio + p->video;
}

/* ---- one slot ---------------------------------------------------------------------- */

/* What it would have of the stream, whether that comes or not; NULL: nothing. */
static void wish(struct slot *s, struct relay_stream *st, int layer)
{
	if (s->wished && s->wished != st)
		stream_part(s->wished, &s->wish_part, -1, -1);
	s->wished = st;
	if (st)
		stream_part(st, &s->wish_part, layer, s->tid);
}

/* The stream has left the slot, unless it is in it twice. */
static void left(struct slot *s, struct relay_stream *st, uint64_t now_us)
{
	if (s->wished == st && s->cur != st && s->next != st)
		wish(s, NULL, -1);
	stream_look(st, now_us);
	stream_release(st, now_us);
}

static void cur_clear(struct slot *s, uint64_t now_us)
{
	struct relay_stream *st = s->cur;

	if (!st)
		return;
	link_remove(&s->cur_link);
	s->cur = NULL;
	stream_part(st, &s->cur_part, -1, -1);
	left(s, st, now_us);
}

static void next_clear(struct slot *s, uint64_t now_us)
{
	struct relay_stream *st = s->next;

	if (!st)
		return;
	link_remove(&s->next_link);
	s->next = NULL;
	stream_part(st, &s->next_part, -1, -1);
	left(s, st, now_us);
}

void slot_clear(struct slot *s, uint64_t now_us)
{
	cur_clear(s, now_us);
	next_clear(s, now_us);
}

void slot_settle(struct slot *s, uint64_t now_us)
{
	if (s->cur || !s->sounding)
		return;
	s->sounding = false;
	s->port->ops->idle(s->port->owner, s->index, now_us);
}

static void carry(struct slot *s, struct relay_stream *st, unsigned layer)
{
	s->cur = st;
	s->cur_layer = (uint8_t)layer;
	s->fresh = true;
	link_add(&st->layers[layer].carriers, &s->cur_link);
	stream_part(st, &s->cur_part, (int)layer, s->tid);
}

static void park(struct slot *s, struct relay_stream *st)
{
	s->next = st;
	link_add(&st->parked, &s->next_link);
}

/* The largest layer that may go and is of use. */
static unsigned layer_wanted(const struct slot *s, const struct relay_stream *st)
{
	unsigned most = st->layer_count - 1, fill;
	uint16_t width, height;

	port_tile(s->port, st->id, &width, &height);
	fill = layers_fill(st, width, height);
	if (s->sid >= 0 && (unsigned)s->sid < most)
		most = (unsigned)s->sid;
	return fill < most ? fill : most;
}

/* Waits in this slot for a key frame; what is shown goes on. */
static void await(struct slot *s, struct relay_stream *st, uint64_t now_us)
{
	unsigned wanted = layer_wanted(s, st), layer = layers_best(st, wanted);

	s->next = st;
	s->next_layer = (uint8_t)layer;
	link_add(&st->layers[layer].waiters, &s->next_link);
	stream_take(st, now_us);
	wish(s, st, (int)wanted);
	stream_part(st, &s->next_part, (int)layer, s->tid);
	stream_look(st, now_us);
	stream_want_key(st, layer, s->cur == st && st->alive >> s->cur_layer & 1, now_us);
}

/* A slot that may have nothing keeps its place. */
static void enter(struct slot *s, struct relay_stream *st, uint64_t now_us)
{
	if (s->sid < 0)
		park(s, st);
	else
		await(s, st, now_us);
}

void slot_layers(struct slot *s, uint64_t now_us)
{
	struct relay_stream *st = s->next ? s->next : s->cur;
	unsigned wanted, layer;

	if (!st || st->layer_count == 1 || s->port->suspended || s->sid < 0)
		return;
	wanted = layer_wanted(s, st);
	layer = layers_best(st, wanted);
	wish(s, st, (int)wanted);
	if (s->cur == st && s->cur_layer == layer) {
		next_clear(s, now_us);
		stream_look(st, now_us);
	} else if (!s->next) {
		await(s, st, now_us);
	} else if (s->next_layer != layer) {
		link_remove(&s->next_link);
		await(s, st, now_us);
	} else {
		stream_look(st, now_us);
	}
}

static void assign(struct slot *s, struct relay_stream *st, uint64_t now_us)
{
	struct relay_port *p = s->port;

	if (p->suspended || s->sid < 0) {
		if (s->next != st) {
			next_clear(s, now_us);
			if (st)
				park(s, st);
		}
	} else if (port_is_audio(p, s->index)) {
		if (s->cur != st) {
			cur_clear(s, now_us);
			if (st) {
				carry(s, st, 0);
				stream_take(st, now_us);
			}
		}
	} else if (s->cur == st) {
		if (s->next != st) /* else it waits for another layer */
			next_clear(s, now_us);
		if (!st)
			cur_clear(s, now_us);
	} else if (s->next != st) {
		next_clear(s, now_us);
		if (st)
			await(s, st, now_us);
	} else if (!st) {
		cur_clear(s, now_us);
	}
	if (!st)
		cur_clear(s, now_us);
}

void slot_promote(struct slot *s, uint64_t now_us)
{
	struct relay_stream *st = s->next, *old = s->cur;

	link_remove(&s->next_link);
	s->next = NULL;
	if (old && old != st)
		stream_part(old, &s->cur_part, -1, -1);
	if (old)
		link_remove(&s->cur_link);
	carry(s, st, s->next_layer);
	stream_part(st, &s->next_part, -1, -1);
	stream_look(st, now_us);
	if (old && old != st)
		left(s, old, now_us);
}

void slot_renew(struct slot *s, uint64_t now_us)
{
	struct relay_stream *st = s->cur;

	if (port_is_audio(s->port, s->index)) {
		s->fresh = true;
		return;
	}
	/* Another that was waited for stays waited for: this one can't be shown in
	 * between. */
	if (s->next) {
		cur_clear(s, now_us);
		return;
	}
	link_remove(&s->cur_link);
	s->cur = NULL;
	stream_part(st, &s->cur_part, -1, -1);
	await(s, st, now_us);
}

/* ---- all slots --------------------------------------------------------------------- */

static bool accepts(const struct slot *s, const struct relay_stream *st)
{
	return s->port->ops->accepts(s->port->owner, s->index, st);
}

/* Gives the wanted streams their slots: whoever is shown stays where they are, then
 * whoever is waited for, then the others take what is free. `slots` are `n` of one kind,
 * `want` at most `n`. */
static void place(struct slot *slots, unsigned n, struct relay_stream **want,
		  unsigned wanted, uint64_t now_us)
{
	struct relay_stream *target[RELAY_SLOTS_MAX] = { NULL };
	bool placed[RELAY_SLOTS_MAX] = { false };

	for (unsigned pass = 0; pass < 4; pass++) {
		for (unsigned w = 0; w < wanted; w++) {
			for (unsigned i = 0; i < n && !placed[w]; i++) {
				const struct slot *s = &slots[i];
				bool fits = pass == 0	? s->cur == want[w]
					    : pass == 1 ? s->next == want[w]
					    : pass == 2 ? !s->cur && !s->next
							: true;

				if (!fits || target[i] || !accepts(s, want[w]))
					continue;
				target[i] = want[w];
				placed[w] = true;
			}
		}
	}
	/* First out, then in, so that nobody is in two slots. What is still shown while
	 * another is waited for must be allowed; it is wanted nowhere else, or the first
	 * pass had kept it here. */
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = &slots[i];

		if (s->next && s->next != target[i])
			next_clear(s, now_us);
		if (s->cur && s->cur != target[i] &&
		    (!target[i] || !s->cur->active || !accepts(s, s->cur)))
			cur_clear(s, now_us);
	}
	for (unsigned i = 0; i < n; i++) {
		assign(&slots[i], target[i], now_us);
		slot_layers(&slots[i], now_us);
		slot_settle(&slots[i], now_us);
	}
}

static bool takes_any(const struct slot *slots, unsigned n, const struct relay_stream *st)
{
	for (unsigned i = 0; i < n; i++)
		if (accepts(&slots[i], st))
			return true;
	return false;
}

/* Adds to the list unless it is the port's own, inactive, there already, or not
 * decodable. */
static void want_add(struct relay_port *p, struct relay_stream *st, struct slot *slots,
		     unsigned n, struct relay_stream **want, unsigned *wanted)
{
	if (!st || st->port == p || !st->active || *wanted == n)
		return;
	for (unsigned i = 0; i < *wanted; i++)
		if (want[i] == st)
			return;
	if (takes_any(slots, n, st))
		want[(*wanted)++] = st;
}

/* Whoever is in the slots leaves them for this one. */
static void place_alone(struct relay_port *p, struct relay_stream *st, uint64_t now_us)
{
	for (unsigned i = 0; i < p->audio; i++) {
		assign(&p->slots[i], i ? NULL : st, now_us);
		slot_settle(&p->slots[i], now_us);
	}
}

void port_update_audio(struct relay_port *p, uint64_t now_us)
{
	struct relay_room *room = p->room;
	struct relay_stream *want[RELAY_SLOTS_MAX];
	struct relay_stream *alone = p->alone ? relay_stream_find(room, p->alone) : NULL;
	unsigned wanted = 0;

	if (p->dying)
		return;
	if (alone && alone->audio && alone->active && alone->port != p && p->audio &&
	    accepts(&p->slots[0], alone)) {
		place_alone(p, alone, now_us);
		return;
	}
	for (unsigned i = 0; i < room->lane_count; i++)
		want_add(p, room->lanes[i], p->slots, p->audio, want, &wanted);
	place(p->slots, p->audio, want, wanted, now_us);
}

void port_update_video(struct relay_port *p, uint64_t now_us)
{
	struct relay_room *room = p->room;
	struct slot *slots = p->slots + p->audio;
	struct relay_stream *want[RELAY_SLOTS_MAX];
	unsigned wanted = 0;

	if (p->dying || !p->video)
		return;
	for (unsigned i = 0; !p->blind && i < p->view_count && wanted < p->video; i++) {
		struct relay_stream *st = relay_stream_find(room, p->view[i].stream);

		if (st && !st->audio)
			want_add(p, st, slots, p->video, want, &wanted);
	}
	for (unsigned i = 0;
	     !p->blind && p->automatic && i < room->video_count && wanted < p->video; i++)
		want_add(p, room->videos[i], slots, p->video, want, &wanted);
	place(slots, p->video, want, wanted, now_us);
}

void port_tile(const struct relay_port *p, uint32_t stream, uint16_t *width,
	       uint16_t *height)
{
	*width = *height = 0;
	for (unsigned i = 0; i < p->view_count; i++) {
		if (p->view[i].stream != stream)
			continue;
		*width = p->view[i].width;
		*height = p->view[i].height;
		return;
	}
}

bool port_views(const struct relay_port *p, uint32_t stream)
{
	for (unsigned i = 0; i < p->view_count; i++)
		if (p->view[i].stream == stream)
			return true;
	return false;
}

/* ---- the port ---------------------------------------------------------------------- */

static struct relay_port *port_create(struct relay_room *room, uint32_t id,
				      unsigned audio, unsigned video,
				      const struct relay_port_ops *ops, void *owner)
{
	struct relay_port *p;

	if (!id || room_port(room, id))
		return NULL;
	p = mem_create(sizeof *p, NULL);
	if (!p)
		return NULL;
	p->room = room;
	p->ops = ops;
	p->owner = owner;
	p->id = id;
	p->audio = audio;
	p->video = video;
	p->automatic = true;
	for (unsigned i = 0; i < slot_count(p); i++) {
		p->slots[i].port = p;
		p->slots[i].index = (uint8_t)i;
		p->slots[i].sid = RELAY_LAYERS_MAX - 1;
		p->slots[i].tid = SLOT_TID_ALL;
	}
	/* Nothing can be sent yet, and the owner may not be ready for questions. */
	p->suspended = true;
	if (room_add_port(room, p))
		return mem_unref(p);
	return p;
}

struct relay_port *relay_port_create(struct relay_room *room, uint32_t id, unsigned audio,
				     unsigned video, void *owner)
{
	if (audio > RELAY_AUDIO_SLOTS_MAX || video > RELAY_VIDEO_SLOTS_MAX)
		return NULL;
	return port_create(room, id, audio, video, room->relay->port_ops, owner);
}

struct relay_port *relay_mixer_create(struct relay_room *room, uint32_t id,
				      const struct relay_port_ops *ops, void *owner,
				      uint64_t now_us)
{
	struct relay_port *p = port_create(room, id, RELAY_LANES, 0, ops, owner);

	if (p)
		relay_port_suspend(p, false, now_us);
	return p;
}

void relay_port_alone(struct relay_port *p, uint32_t id, uint64_t now_us)
{
	assert(!p->room->relay->forwarding);
	if (p->alone == id)
		return;
	p->alone = id;
	port_update_audio(p, now_us);
}

void relay_port_destroy(struct relay_port *p, uint64_t now_us)
{
	if (!p)
		return;
	assert(!p->room->relay->forwarding);
	p->dying = true;
	for (unsigned i = 0; i < slot_count(p); i++)
		slot_clear(&p->slots[i], now_us);
	for (unsigned i = 0; i < RELAY_STREAMS_MAX; i++)
		if (p->streams[i])
			relay_stream_destroy(p->streams[i], now_us);
	room_remove_port(p->room, p);
	mem_unref(p);
}

void relay_port_suspend(struct relay_port *p, bool suspended, uint64_t now_us)
{
	assert(!p->room->relay->forwarding);
	if (p->suspended == suspended)
		return;
	for (unsigned i = 0; i < slot_count(p); i++) {
		struct slot *s = &p->slots[i];
		struct relay_stream *st = s->next ? s->next : s->cur;

		slot_clear(s, now_us);
		s->sounding = false;
		if (!st)
			continue;
		if (suspended) {
			park(s, st);
		} else if (port_is_audio(p, i)) {
			carry(s, st, 0);
			stream_take(st, now_us);
		} else {
			enter(s, st, now_us);
		}
	}
	p->suspended = suspended;
	if (!suspended) {
		port_update_audio(p, now_us);
		port_update_video(p, now_us);
	}
}

void relay_port_view(struct relay_port *p, bool automatic, const struct relay_view *view,
		     unsigned count, uint64_t now_us)
{
	assert(!p->room->relay->forwarding);
	if (count > RELAY_VIEW_MAX)
		count = RELAY_VIEW_MAX;
	if (count)
		memcpy(p->view, view, count * sizeof view[0]);
	p->view_count = count;
	p->automatic = automatic;
	port_update_video(p, now_us);
}

void relay_port_pictures(struct relay_port *p, bool on, uint64_t now_us)
{
	assert(!p->room->relay->forwarding);
	if (p->blind == !on)
		return;
	p->blind = !on;
	port_update_video(p, now_us);
}

void relay_port_key_request(struct relay_port *p, unsigned slot, uint64_t now_us)
{
	if (slot >= slot_count(p) || port_is_audio(p, slot) || p->suspended)
		return;
	if (p->slots[slot].cur)
		stream_want_key(p->slots[slot].cur, p->slots[slot].cur_layer, false,
				now_us);
}

/* ---- layers ------------------------------------------------------------------------ */

/* Nothing may go any more, or something again. */
static void slot_allow(struct slot *s, bool allowed, uint64_t now_us)
{
	struct relay_stream *st = s->next ? s->next : s->cur;

	if (s->port->suspended || !st)
		return;
	slot_clear(s, now_us);
	if (allowed)
		await(s, st, now_us);
	else
		park(s, st);
	slot_settle(s, now_us);
}

void relay_port_layer(struct relay_port *p, unsigned slot, int sid, int tid,
		      uint64_t now_us)
{
	struct slot *s;
	bool was;

	assert(!p->room->relay->forwarding);
	if (slot >= slot_count(p) || port_is_audio(p, slot))
		return;
	s = &p->slots[slot];
	was = s->sid >= 0;
	s->sid = (int8_t)(sid < 0		   ? -1
			  : sid < RELAY_LAYERS_MAX ? sid
						   : RELAY_LAYERS_MAX - 1);
	if (sid >= 0)
		s->tid = (uint8_t)(tid < 0 ? 0 : tid < SLOT_TID_ALL ? tid : SLOT_TID_ALL);
	if (was != (sid >= 0))
		slot_allow(s, sid >= 0, now_us);
	else
		slot_layers(s, now_us);
}

int relay_port_sid(const struct relay_port *p, unsigned slot)
{
	return relay_port_slot(p, slot) ? p->slots[slot].cur_layer : -1;
}

unsigned relay_port_tid(const struct relay_port *p, unsigned slot)
{
	return p->slots[slot].tid;
}

struct relay_stream *relay_port_target(const struct relay_port *p, unsigned slot)
{
	const struct slot *s = &p->slots[slot];

	return s->next ? s->next : s->cur;
}

void relay_port_tile(const struct relay_port *p, unsigned slot, uint16_t *width,
		     uint16_t *height)
{
	const struct relay_stream *st = relay_port_target(p, slot);

	port_tile(p, st ? st->id : 0, width, height);
}

uint32_t relay_port_id(const struct relay_port *p)
{
	return p->id;
}

void *relay_port_owner(const struct relay_port *p)
{
	return p->owner;
}

struct relay_port *relay_port_find(struct relay_room *room, uint32_t id)
{
	return room_port(room, id);
}

struct relay_stream *relay_port_slot(const struct relay_port *p, unsigned slot)
{
	if (slot >= slot_count(p) || p->slots[slot].fresh)
		return NULL;
	return p->slots[slot].cur;
}
