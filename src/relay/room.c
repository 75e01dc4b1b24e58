/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A room: its ports, its streams by id, the order of its cameras. Invariant:
 * ports[p->pos] == p; `videos` holds every video stream once, in the order that
 * room_sort() gives.
 */
#include "speakers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t id_hash(uint32_t id)
{
	return hash_bytes(&id, sizeof id);
}

static void destroy(void *obj)
{
	struct relay_room *room = obj;

	hash_destroy(room->streams);
	hash_destroy(room->port_ids);
	free(room->ports);
	free(room->videos);
}

struct relay_room *relay_room_create(struct relay *r, void *owner)
{
	struct relay_room *room = mem_create(sizeof *room, destroy);

	if (!room)
		return NULL;
	room->relay = r;
	room->owner = owner;
	room->streams = hash_create(16);
	room->port_ids = hash_create(16);
	if (!room->streams || !room->port_ids)
		return mem_unref(room);
	r->rooms++;
	return room;
}

void relay_room_destroy(struct relay_room *room)
{
	if (!room)
		return;
	if (room->live)
		link_remove(&room->live_link);
	room->relay->rooms--;
	mem_unref(room);
}

unsigned relay_room_ports(const struct relay_room *room)
{
	return room->port_count;
}

void room_mark(struct relay_room *room)
{
	if (room->live)
		return;
	room->live = true;
	link_add(&room->relay->live, &room->live_link);
}

struct relay_port *room_port(const struct relay_room *room, uint32_t id)
{
	for (struct hash_node *n = hash_find(room->port_ids, id_hash(id)); n;
	     n = hash_next(n)) {
		struct relay_port *p = CONTAINER_OF(n, struct relay_port, id_node);

		if (p->id == id)
			return p;
	}
	return NULL;
}

struct relay_stream *relay_stream_find(struct relay_room *room, uint32_t id)
{
	for (struct hash_node *n = hash_find(room->streams, id_hash(id)); n;
	     n = hash_next(n)) {
		struct relay_stream *st = CONTAINER_OF(n, struct relay_stream, id_node);

		if (st->id == id)
			return st;
	}
	return NULL;
}

/* Room for one more pointer: the array, moved perhaps, or NULL and nothing has changed.
 */
static void *grow(void *array, unsigned count, unsigned *cap)
{
	unsigned want = *cap ? *cap * 2 : 8;
	void *bigger;

	if (count < *cap)
		return array;
	bigger = realloc(array, want * sizeof(void *));
	if (bigger)
		*cap = want;
	return bigger;
}

int room_add_port(struct relay_room *room, struct relay_port *p)
{
	struct relay_port **ports = grow(room->ports, room->port_count, &room->port_cap);

	if (!ports)
		return -ENOMEM;
	room->ports = ports;
	p->pos = room->port_count;
	room->ports[room->port_count++] = p;
	hash_insert(room->port_ids, &p->id_node, id_hash(p->id));
	return 0;
}

void room_remove_port(struct relay_room *room, struct relay_port *p)
{
	struct relay_port *last = room->ports[--room->port_count];

	room->ports[p->pos] = last;
	last->pos = p->pos;
	hash_remove(room->port_ids, &p->id_node);
}

int room_add_stream(struct relay_room *room, struct relay_stream *st)
{
	if (!st->audio) {
		struct relay_stream **videos =
			grow(room->videos, room->video_count, &room->video_cap);

		if (!videos)
			return -ENOMEM;
		room->videos = videos;
		room->videos[room->video_count++] = st;
	}
	st->age = ++room->age;
	hash_insert(room->streams, &st->id_node, id_hash(st->id));
	if (!st->audio)
		room_sort(room);
	return 0;
}

void room_remove_stream(struct relay_room *room, struct relay_stream *st)
{
	hash_remove(room->streams, &st->id_node);
	for (unsigned i = 0; !st->audio && i < room->video_count; i++)
		if (room->videos[i] == st) {
			room->video_count--;
			memmove(&room->videos[i], &room->videos[i + 1],
				(room->video_count - i) * sizeof room->videos[0]);
			break;
		}
}

static bool comes_before(const struct relay_stream *a, const struct relay_stream *b)
{
	if (a->screen != b->screen)
		return a->screen;
	if (!a->screen && a->port->recent != b->port->recent)
		return a->port->recent > b->port->recent;
	return a->age < b->age;
}

/* By insertion: all but a few are in order already. */
void room_sort(struct relay_room *room)
{
	for (unsigned i = 1; i < room->video_count; i++) {
		struct relay_stream *st = room->videos[i];
		unsigned k = i;

		for (; k > 0 && comes_before(st, room->videos[k - 1]); k--)
			room->videos[k] = room->videos[k - 1];
		room->videos[k] = st;
	}
}

void room_update_audio(struct relay_room *room, uint64_t now_us)
{
	for (unsigned i = 0; i < room->port_count; i++)
		port_update_audio(room->ports[i], now_us);
	room_mark(room);
}

static bool calm(struct relay_room *room, uint64_t now_us)
{
	struct link *l = room->calming;

	while (l) {
		struct relay_stream *st = CONTAINER_OF(l, struct relay_stream, calm_link);

		l = l->next;
		if (now_us >= st->calm_us)
			stream_calm(st, now_us);
	}
	return room->calming;
}

/* Layers that have stopped: their slots go over to another. And it may be time to ask for the next. */
static void check_layers(struct relay_room *room, uint64_t now_us)
{
	for (unsigned i = 0; i < room->video_count; i++) {
		struct relay_stream *st = room->videos[i];

		if (!st->active || st->layer_count == 1)
			continue;
		if (layers_check(st))
			stream_layers(st, now_us);
		else
			stream_look(st, now_us);
	}
}

void room_tick(struct relay_room *room, uint64_t now_us)
{
	bool more = room->packets;

	room->packets = false;
	if (speakers_tick(room, now_us))
		more = true;
	check_layers(room, now_us);
	if (calm(room, now_us))
		more = true;
	if (!more) {
		room->live = false;
		link_remove(&room->live_link);
	}
}
