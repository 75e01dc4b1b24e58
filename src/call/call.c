/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The calls of this server. A call is made by its first join and goes with its last
 * person (away ones count); the worker is the one with the fewest legs at that moment.
 */
#include "call_private.h"

_Static_assert((int)MEDIA_MIC == STREAM_MIC && (int)MEDIA_CAMERA == STREAM_CAMERA &&
		       (int)MEDIA_SCREEN == STREAM_SCREEN &&
		       (int)MEDIA_SCREEN_AUDIO == STREAM_SCREEN_AUDIO &&
		       (int)MEDIA_KINDS == STREAM_KINDS,
	       "room knows kinds by these numbers");

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 1000 };

void refuse(struct refusal *why, int status, const char *code, const char *fmt, ...)
{
	va_list ap;

	why->status = status;
	why->code = code;
	why->why = NULL;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
}

void refusal_of_deny(struct refusal *out, enum deny why)
{
	static const struct {
		const char *code;
		int status;
	} codes[] = { { "not-found", 404 },
		      { "too-many", 429 },
		      { "room-full", 503 },
		      { "bad-text", 400 },
		      { "internal", 500 } };
	const char *code = deny_code(why);
	int status = 403;

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strcmp(codes[i].code, code))
			status = codes[i].status;
	refuse(out, status, code, "%s", deny_text(why));
	out->why = deny_id(why);
}

/* ---- the room's observer: seats follow people -------------------------------------- */

/* NULL: person_get() undoes what was begun. */
static struct seat *seat_create(struct call *c, struct person *p)
{
	struct seat *s = calloc(1, sizeof *s);

	p->user = s;
	if (!s)
		return NULL;
	s->person = p;
	s->call = c;
	s->link = LEG_GONE;
	s->voice_rung = LEG_LANES;
	return s;
}

static void on_joined(void *arg, struct person *p)
{
	struct call *c = arg;
	struct seat *s = p->user ? p->user : seat_create(c, p); /* who waited has one */

	if (!s)
		return;
	c->all->ops->joined(c->all->arg, s);
	for (struct person *other = room_first(c->room); other; other = other->next)
		if (other->user && seat_views(other->user, p))
			seat_view_send(other->user);
}

static void on_leaving(void *arg, struct person *p, enum leave_reason reason)
{
	struct call *c = arg;
	struct seat *s = p->user;

	if (!s)
		return;
	seat_leg_close(s);
	c->all->ops->leaving(c->all->arg, s, reason);
	free(s->view);
	free(s);
	p->user = NULL;
}

static void on_updated(void *arg, struct person *p)
{
	struct call *c = arg;

	if (!p->user)
		return;
	seat_media_send(p->user);
	c->all->ops->updated(c->all->arg, p->user);
}

static void media_send_all(struct call *c)
{
	for (struct person *p = room_first(c->room); p; p = p->next)
		if (p->user)
			seat_media_send(p->user);
}

static void on_room_event(void *arg, const struct room_event *ev)
{
	struct call *c = arg;

	if (ev->type == ROOM_WAITING && !ev->person->user && !seat_create(c, ev->person))
		return;
	if (ev->type == ROOM_OFF)
		media_send_all(c);
	c->all->ops->event(c->all->arg, c, ev);
}

static const struct room_observer observer = { .joined = on_joined,
					       .leaving = on_leaving,
					       .updated = on_updated,
					       .event = on_room_event };

/* ---- calls ------------------------------------------------------------------------- */

struct call *call_find(struct calls *cs, const char *name)
{
	for (struct hash_node *n = hash_find(cs->by_name, hash_bytes(name, strlen(name)));
	     n; n = hash_next(n)) {
		struct call *c = CONTAINER_OF(n, struct call, node);

		if (!strcmp(room_name(c->room), name))
			return c;
	}
	return NULL;
}

struct by_id {
	uint64_t id;
	struct call *found;
};

static void match_id(struct hash_node *n, void *arg)
{
	struct by_id *want = arg;
	struct call *c = CONTAINER_OF(n, struct call, node);

	if (c->id == want->id)
		want->found = c;
}

/* Only for events about a whole room (who speaks), a few a second: walking the calls is
 * cheap enough. */
struct call *call_by_id(struct calls *cs, uint64_t id)
{
	struct by_id want = { id, NULL };

	hash_each(cs->by_name, match_id, &want);
	return want.found;
}

static struct worker *least_loaded(const struct calls *cs)
{
	struct worker *best = cs->workers[0];

	for (unsigned i = 1; i < cs->worker_count; i++)
		if (worker_legs(cs->workers[i]) < worker_legs(best))
			best = cs->workers[i];
	return best;
}

static void drop_if_nobody(struct hash_node *n, void *arg)
{
	struct call *c = CONTAINER_OF(n, struct call, node);

	(void)arg;
	if (!room_count(c->room) && !room_waiting_count(c->room))
		call_drop(c);
}

/* As the store has the room, if it does. */
static void begin(struct call *c)
{
	const struct calls *cs = c->all;
	const struct store_room *kept =
		cs->store ? store_room_find(cs->store, room_name(c->room)) : NULL;
	bool rules[RULE_COUNT] = { false };

	if (kept) {
		rules[RULE_LOCK] = kept->lock;
		rules[RULE_LOBBY] = kept->lobby;
		rules[RULE_MUTE] = kept->mute;
		rules[RULE_AUDIENCE] = kept->audience;
	}
	room_begin(c->room, rules, kept && kept->approve);
}

void calls_room_changed(struct calls *cs, const char *room)
{
	struct call *c = call_find(cs, room);

	if (c && !room_count(c->room) && !room_waiting_count(c->room))
		begin(c);
}

struct call *call_get(struct calls *cs, const char *name, struct refusal *why)
{
	struct call *c = call_find(cs, name);

	if (c)
		return c;
	if (hash_count(cs->by_name) >= (unsigned)cs->conf->room.rooms_max)
		hash_each(cs->by_name, drop_if_nobody, NULL);
	if (hash_count(cs->by_name) >= (unsigned)cs->conf->room.rooms_max) {
		refuse(why, 503, "server-full",
		       "This server holds %lld calls already. Try again later.",
		       (long long)cs->conf->room.rooms_max);
		return NULL;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->all = cs;
	c->id = ++cs->last_id;
	c->worker = least_loaded(cs);
	c->room = room_create(name, (unsigned)cs->conf->room.people_max, &observer, c);
	if (!c->room) {
		free(c);
		return NULL;
	}
	begin(c);
	hash_insert(cs->by_name, &c->node, hash_bytes(name, strlen(name)));
	return c;
}

void call_drop(struct call *c)
{
	hash_remove(c->all->by_name, &c->node);
	room_destroy(c->room);
	free(c);
}

void call_drop_if_empty(struct call *c, uint64_t now_us)
{
	uint64_t keep_us = (uint64_t)c->all->conf->room.resume_s * 1000000;

	if (room_count(c->room) || room_waiting_count(c->room)) {
		c->empty_us = 0;
		return;
	}
	if (!c->empty_us)
		c->empty_us = now_us;
	if (!room_is_arranged(c->room) || now_us - c->empty_us > keep_us)
		call_drop(c);
}

void call_leave(struct seat *s, enum leave_reason reason)
{
	struct call *c = s->call;

	room_leave(c->room, s->person, reason);
	/* The call stays until the next tick: ended stays are remembered in it, and
	 * callers hold it. */
}

struct room *call_room(const struct call *c)
{
	return c->room;
}

struct seat *call_seat(const struct call *c, const char *person_id)
{
	struct person *p = room_by_id(c->room, person_id);

	return p ? p->user : NULL;
}

unsigned call_speakers(const struct call *c, struct person *out[RELAY_LANES])
{
	unsigned count = 0;

	for (unsigned i = 0; i < c->speaker_count; i++) {
		struct person *p = room_by_number(c->room, c->speakers[i]);

		if (p)
			out[count++] = p;
	}
	return count;
}

unsigned calls_count(const struct calls *cs)
{
	return hash_count(cs->by_name);
}

struct each_call {
	void (*fn)(void *arg, struct call *c);
	void *arg;
};

static void each_call(struct hash_node *n, void *arg)
{
	const struct each_call *each = arg;

	each->fn(each->arg, CONTAINER_OF(n, struct call, node));
}

void calls_each(const struct calls *cs, void (*fn)(void *arg, struct call *c), void *arg)
{
	struct each_call each = { fn, arg };

	hash_each(cs->by_name, each_call, &each);
}

void calls_set_store(struct calls *cs, const struct store *store)
{
	cs->store = store;
}

unsigned calls_workers(const struct calls *cs)
{
	return cs->worker_count;
}

unsigned calls_worker_legs(const struct calls *cs, unsigned worker)
{
	return worker_legs(cs->workers[worker]);
}

void calls_ping(struct calls *cs)
{
	for (unsigned i = 0; i < cs->worker_count; i++)
		worker_ping(cs->workers[i]);
}

int calls_silent(const struct calls *cs)
{
	for (unsigned i = 0; i < cs->worker_count; i++)
		if (!worker_answered(cs->workers[i]))
			return (int)i;
	return -1;
}

/* ---- events from the workers ------------------------------------------------------- */

static void on_link(struct calls *cs, struct seat *s, enum leg_link link)
{
	s->link = link;
	if (link == LEG_GONE)
		seat_leg_close(s);
	if (link == LEG_GONE && s->whip) {
		call_leave(s, LEAVE_LEFT);
		return;
	}
	room_set_away(s->call->room, s->person, link != LEG_UP, clock_now_us());
	cs->ops->link(cs->arg, s);
}

static void on_event(struct calls *cs, const struct worker_event *ev)
{
	struct seat *s = ev->leg ? call_seat_by_leg(cs, ev->leg) : NULL;
	struct call *c;

	switch (ev->type) {
	case WORKER_CREATED:
		join_created(cs, ev->leg, ev->error);
		break;
	case WORKER_LINK:
		if (s)
			on_link(cs, s, ev->link);
		break;
	case WORKER_SLOT:
		if (!s || ev->slot >= s->slot_count)
			break;
		s->slots[ev->slot].stream = ev->stream;
		s->slots[ev->slot].ts = ev->ts;
		s->slots[ev->slot].at_ms = ev->at_ms;
		cs->ops->slot(cs->arg, s, ev->slot);
		break;
	case WORKER_PAUSED:
		if (!s)
			break;
		s->pauses[ev->kind] = (struct seat_pause) { .known = true,
							    .paused = ev->paused,
							    .layers = ev->layers };
		cs->ops->paused(cs->arg, s, (enum stream_kind)ev->kind);
		break;
	case WORKER_VOICE:
		if (!s)
			break;
		s->voice = ev->voice;
		s->voice_known = true;
		log_debug("call.voice",
			  "leg=%llu rung=%d red=%u up=%u up_red=%d jitter_ms=%u",
			  (unsigned long long)s->leg, s->voice.rung, s->voice.red,
			  s->voice.up_rung, s->voice.up_red, s->voice.jitter_ms);
		cs->ops->voice(cs->arg, s);
		break;
	case WORKER_SPEAKERS:
		c = call_by_id(cs, ev->room);
		if (!c)
			break;
		c->speaker_count = ev->count;
		memcpy(c->speakers, ev->ports, sizeof c->speakers);
		room_speaking(c->room, c->speakers, c->speaker_count, clock_now_us());
		cs->ops->speakers(cs->arg, c);
		break;
	}
}

static void on_worker(evutil_socket_t fd, short what, void *arg)
{
	struct calls *cs = arg;
	struct worker_event ev;

	(void)what;
	for (unsigned i = 0; i < cs->worker_count; i++) {
		if (worker_event_fd(cs->workers[i]) != fd)
			continue;
		worker_event_clear(cs->workers[i]);
		while (worker_event_next(cs->workers[i], &ev))
			on_event(cs, &ev);
	}
}

static void tick_call(struct hash_node *n, void *arg)
{
	struct call *c = CONTAINER_OF(n, struct call, node);
	uint64_t keep_us = (uint64_t)c->all->conf->room.resume_s * 1000000;

	(void)arg;
	room_expire(c->room, clock_now_us(), keep_us);
	room_gather(c->room, clock_now_us());
	if (c->media_due) {
		c->media_due = false; /* unless there is no room yet */
		media_send_all(c);
	}
	call_drop_if_empty(c, clock_now_us());
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct calls *cs = arg;

	(void)fd;
	(void)what;
	join_expire(cs, clock_now_us());
	hash_each(cs->by_name, tick_call, NULL);
}

/* ---- life -------------------------------------------------------------------------- */

struct calls *calls_create(struct event_base *base, const struct conf *conf,
			   const struct cert *cert, const struct call_ops *ops, void *arg)
{
	struct calls *cs = calloc(1, sizeof *cs);
	struct timeval tick = { TICK_MS / 1000, 0 };

	if (!cs)
		return NULL;
	cs->base = base;
	cs->conf = conf;
	cs->cert = cert;
	cs->ops = ops;
	cs->arg = arg;
	cs->by_name = hash_create(64);
	cs->legs = hash_create(256);
	cs->tick = event_new(base, -1, EV_PERSIST, on_tick, cs);
	if (!cs->by_name || !cs->legs || !cs->tick || event_add(cs->tick, &tick)) {
		calls_destroy(cs);
		return NULL;
	}
	return cs;
}

static unsigned worker_wanted(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t count = conf->server.workers ? conf->server.workers : cores;

	return (unsigned)(count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count);
}

static int start_one(struct calls *cs, unsigned index, char *why, size_t why_len)
{
	struct worker_config config = {
		.index = index,
		.cert = cs->cert,
		.pool_pkts = (unsigned)cs->conf->media.pool_pkts,
		.tcp_queue_ms = 500,
		.bind_count = cs->bind_count,
	};
	struct worker *w;
	int err;

	for (unsigned i = 0; i < cs->bind_count; i++) {
		config.bind[i] = cs->bind[i];
		config.bind[i].port = (uint16_t)(cs->conf->server.port + index);
	}
	err = worker_start(&w, &config, why, why_len);
	if (err)
		return err;
	cs->workers[index] = w;
	cs->worker_count = index + 1;
	cs->worker_events[index] = event_new(cs->base, worker_event_fd(w),
					     EV_READ | EV_PERSIST, on_worker, cs);
	return cs->worker_events[index] && !event_add(cs->worker_events[index], NULL)
		       ? 0
		       : -ENOMEM;
}

int calls_start(struct calls *cs, const struct addr *bind, unsigned bind_count, char *why,
		size_t why_len)
{
	unsigned wanted = worker_wanted(cs->conf);
	int err = 0;

	for (unsigned i = 0; i < bind_count && i < ARRAY_LEN(cs->bind); i++)
		cs->bind[cs->bind_count++] = bind[i];
	for (unsigned i = 0; i < wanted && !err; i++)
		err = start_one(cs, i, why, why_len);
	return err;
}

static void drop_call(struct hash_node *n, void *arg)
{
	struct call *c = CONTAINER_OF(n, struct call, node);

	(void)arg;
	while (room_first(c->room))
		room_leave(c->room, room_first(c->room), LEAVE_EXPIRED);
	while (room_first_waiting(c->room))
		room_leave(c->room, room_first_waiting(c->room), LEAVE_EXPIRED);
	call_drop(c);
}

void calls_destroy(struct calls *cs)
{
	if (cs->by_name) {
		hash_each(cs->by_name, drop_call, NULL);
		hash_destroy(cs->by_name);
	}
	for (unsigned i = 0; i < cs->worker_count; i++) {
		if (cs->worker_events[i])
			event_free(cs->worker_events[i]);
		worker_stop(cs->workers[i]);
	}
	join_expire(cs, UINT64_MAX); /* whoever waits is told, and lets go */
	if (cs->legs)
		hash_destroy(cs->legs);
	if (cs->tick)
		event_free(cs->tick);
	free(cs);
}

void calls_tcp(struct calls *cs, int fd, const struct addr *peer,
	       const struct addr *local, const uint8_t *early, size_t len,
	       const char *ufrag, size_t ufrag_len)
{
	int index = worker_of_ufrag(ufrag, ufrag_len);

	if (index < 0 || (unsigned)index >= cs->worker_count) {
		STAT_INC(stun_unknown_user);
		close(fd);
		return;
	}
	if (worker_tcp(cs->workers[index], fd, peer, local, early, len))
		log_warn("call.busy", "worker=%d tcp=dropped", index);
}

void calls_stats(struct calls *cs, struct stats *out)
{
	for (unsigned i = 0; i < cs->worker_count; i++)
		stats_add(out, worker_stats(cs->workers[i]));
}
