/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rooms that are kept, and their links. */
#include "admin_in.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct store_room *find(struct caller *c, const struct request *rq)
{
	const struct store_room *room = store_room_find(c->admin->p.store, rq->room.name);

	if (!room)
		answer_error(c, "no-such-room",
			     "There is no room %s; `palabrectl rooms` lists them.",
			     rq->room.name);
	return room;
}

/* What the store has refused. */
static void refuse(struct caller *c, const struct request *rq, int err)
{
	const char *room = rq->room.name;

	if (err == -ENOENT)
		answer_error(c, "not-found", "Room %s has no such link.", room);
	else if (err == -ENOBUFS)
		answer_error(c, "too-many",
			     "There are %d rooms already, or this room has %d links "
			     "(revoked ones count until it is removed), or the disk is "
			     "too slow at the moment.",
			     STORE_ROOMS_MAX, STORE_LINKS_MAX);
	else if (err == -EINVAL)
		answer_error(c, "bad-request", "It would end before it begins.");
	else
		answer_error(c, "internal", "Room %s cannot be changed: %s.", room,
			     strerror(-err));
}

/* ---- rooms -------------------------------------------------------------------------- */

static json_t *encode_live(struct admin *a, const char *name)
{
	const struct call *call = call_find(a->p.calls, name);
	const struct room *r = call ? call_room(call) : NULL;

	return r ? json_pack("{si,si}", "people", (int)room_count(r), "waiting",
			     (int)room_waiting_count(r))
		 : json_object();
}

/* Without the description, which may be long. */
static json_t *encode_brief(struct admin *a, const struct store_room *room)
{
	struct store_link links[STORE_LINKS_MAX];
	unsigned count = store_links(a->p.store, room->name, links, STORE_LINKS_MAX),
		 good = 0;
	json_t *j = encode_live(a, room->name);

	for (unsigned i = 0; i < count; i++)
		good += !links[i].revoked;
	json_object_set_new(j, "room", json_string(room->name));
	json_object_set_new(j, "title", json_string(room->title));
	json_object_set_new(j, "from", json_integer((json_int_t)room->starts_s));
	json_object_set_new(j, "until", json_integer((json_int_t)room->ends_s));
	json_object_set_new(j, "zone", json_string(room->zone));
	json_object_set_new(j, "links", json_integer(good));
	json_object_set_new(j, "kept", json_true());
	return j;
}

static json_t *encode_whole(struct admin *a, const struct store_room *room)
{
	json_t *j = encode_brief(a, room);

	json_object_set_new(j, "description", json_string(room->description));
	json_object_set_new(j, "languages", json_string(room->languages));
	json_object_set_new(j, "lobby", json_boolean(room->lobby));
	json_object_set_new(j, "mute", json_boolean(room->mute));
	json_object_set_new(j, "audience", json_boolean(room->audience));
	json_object_set_new(j, "lock", json_boolean(room->lock));
	json_object_set_new(j, "approve", json_boolean(room->approve));
	json_object_set_new(j, "retention", json_integer(room->retention_days));
	return j;
}

static void list_kept(void *arg, const struct store_room *room)
{
	struct caller *c = arg;

	answer_item(c, encode_brief(c->admin, room));
}

/* Of a room by link only. */
static void list_call(void *arg, struct call *call)
{
	struct caller *c = arg;
	const char *name = room_name(call_room(call));
	json_t *j;

	if (store_room_find(c->admin->p.store, name))
		return;
	j = encode_live(c->admin, name);
	json_object_set_new(j, "room", json_string(name));
	json_object_set_new(j, "kept", json_false());
	answer_item(c, j);
}

void on_rooms(struct caller *c, const struct request *rq)
{
	(void)rq;
	store_rooms_each(c->admin->p.store, list_kept, c);
	calls_each(c->admin->p.calls, list_call, c);
	answer(c, NULL);
}

void on_room(struct caller *c, const struct request *rq)
{
	const struct store_room *room = find(c, rq);

	if (room)
		answer(c, encode_whole(c->admin, room));
}

static void put(struct caller *c, const struct request *rq, const struct store_room *room)
{
	int err = store_room_put(c->admin->p.store, room);
	const struct call *call;

	if (err) {
		refuse(c, rq, err);
		return;
	}
	log_info("admin.room", "do=%s room=%s", verb_name(rq->verb), room->name);
	calls_room_changed(c->admin->p.calls, room->name);
	call = call_find(c->admin->p.calls, room->name);
	answer_kept(c, json_pack("{ss,sb,sb}", "room", room->name, "kept",
				 store_is_kept(c->admin->p.store), "running",
				 call && room_first(call_room(call))));
}

void on_room_add(struct caller *c, const struct request *rq)
{
	if (store_room_find(c->admin->p.store, rq->room.name))
		answer_error(c, "exists",
			     "There is a room %s already; `palabrectl room set` changes "
			     "it.",
			     rq->room.name);
	else
		put(c, rq, &rq->room);
}

void on_room_set(struct caller *c, const struct request *rq)
{
	const struct store_room *there = find(c, rq);
	struct store_room room;

	if (!there)
		return;
	room = *there;
	request_apply(rq, &room);
	put(c, rq, &room);
}

/* Nobody stays in a room that is not there, nor waits for it. */
static unsigned send_away(struct admin *a, const char *name)
{
	struct call *call = call_find(a->p.calls, name);
	struct room *r = call ? call_room(call) : NULL;
	unsigned count = 0;

	for (; r && room_first(r); count++)
		call_leave(room_first(r)->user, LEAVE_REMOVED);
	for (; r && room_first_waiting(r); count++)
		call_leave(room_first_waiting(r)->user, LEAVE_DENIED);
	return count;
}

void on_room_remove(struct caller *c, const struct request *rq)
{
	unsigned gone;
	int err;

	if (!find(c, rq))
		return;
	err = store_room_remove(c->admin->p.store, rq->room.name);
	if (err) {
		refuse(c, rq, err);
		return;
	}
	gone = send_away(c->admin, rq->room.name);
	calls_room_changed(c->admin->p.calls, rq->room.name);
	log_info("admin.room", "do=%s room=%s people=%u", verb_name(rq->verb),
		 rq->room.name, gone);
	answer_kept(c, json_pack("{si}", "gone", (int)gone));
}

/* ---- links -------------------------------------------------------------------------- */

static json_t *encode_link(struct admin *a, const char *room,
			   const struct store_link *link)
{
	char path[API_LINK_MAX], id[16];
	const char *state =
		link->revoked ? "revoked"
		: link->expires_s && clock_wall_us() / 1000000 >= link->expires_s
			? "expired"
			: "good";
	json_t *j;

	snprintf(id, sizeof id, "%08x", link->id);
	j = json_pack("{ss,ss*,ss,sI,sI}", "link", id, "role",
		      role_name((enum role)link->role), "state", state, "made",
		      (json_int_t)link->made_s, "expires", (json_int_t)link->expires_s);
	if (!link->revoked && !api_link(a->p.secret, room, (enum role)link->role,
					link->id, link->expires_s, path))
		json_object_set_new(j, "url", json_sprintf("%s%s", a->p.url, path));
	return j;
}

void on_links(struct caller *c, const struct request *rq)
{
	struct store_link links[STORE_LINKS_MAX];
	unsigned count;

	if (!find(c, rq))
		return;
	count = store_links(c->admin->p.store, rq->room.name, links, STORE_LINKS_MAX);
	for (unsigned i = 0; i < count; i++)
		answer_item(c, encode_link(c->admin, rq->room.name, &links[i]));
	answer(c, NULL);
}

void on_link_add(struct caller *c, const struct request *rq)
{
	uint64_t now_s = clock_wall_us() / 1000000;
	struct store_link link;
	int err;

	if (!find(c, rq))
		return;
	if (rq->expires_s && rq->expires_s <= now_s) {
		answer_error(c, "bad-request", "It would have expired already.");
		return;
	}
	err = store_link_add(c->admin->p.store, rq->room.name, rq->role, now_s,
			     rq->expires_s, &link);
	if (err) {
		refuse(c, rq, err);
		return;
	}
	log_info("admin.link", "do=%s room=%s link=%08x role=%s", verb_name(rq->verb),
		 rq->room.name, link.id, role_name((enum role)rq->role));
	answer_kept(c, encode_link(c->admin, rq->room.name, &link));
}

void on_link_revoke(struct caller *c, const struct request *rq)
{
	int err;

	if (!find(c, rq))
		return;
	err = store_link_revoke(c->admin->p.store, rq->room.name, rq->link);
	if (err) {
		refuse(c, rq, err);
		return;
	}
	log_info("admin.link", "do=%s room=%s link=%08x", verb_name(rq->verb),
		 rq->room.name, rq->link);
	answer_kept(c, NULL);
}
