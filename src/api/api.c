/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Wiring of the api, and what it hears from the calls. */
#include "api_private.h"

#include <event2/event.h>
#include <stdlib.h>

static void on_joined(void *arg, struct seat *s)
{
	(void)arg;
	room_event(s->call,
		   json_pack("{ssso}", "t", "join", "p", encode_person(s->person, false)),
		   s);
}

static const char *const bye_words[] = {
	[LEAVE_LEFT] = "left",	     [LEAVE_REMOVED] = "removed",
	[LEAVE_BANNED] = "removed",  [LEAVE_DENIED] = "removed",
	[LEAVE_EXPIRED] = "expired",
};

static const char *const bye_whys[] = {
	[LEAVE_BANNED] = "banned",
	[LEAVE_DENIED] = "denied",
	[LEAVE_EXPIRED] = NULL, /* the last: it has an entry for each */
};

static void on_leaving(void *arg, struct seat *s, enum leave_reason reason)
{
	(void)arg;
	session_detach(s, bye_words[reason], bye_whys[reason], 1000);
	if (s->person->waiting) {
		room_event_moderators(
			s->call, json_pack("{ssss}", "t", "waited", "id", s->person->id));
		return;
	}
	room_event(s->call, json_pack("{ssss}", "t", "leave", "id", s->person->id), s);
}

static void on_updated(void *arg, struct seat *s)
{
	/* Whole: a page may not know them yet. */
	json_t *event = encode_person(s->person, true);

	(void)arg;
	json_object_set_new(event, "t", json_string("update"));
	room_event(s->call, event, NULL);
}

static json_t *speakers_event(const struct call *c)
{
	return json_pack("{ssso}", "t", "speakers", "ids", encode_speakers(c));
}

static void on_slot(void *arg, struct seat *s, unsigned slot)
{
	json_t *event;

	(void)arg;
	if (!s->user || (s->slots[slot].audio && call_names_talkers(s)))
		return;
	event = encode_slot(s, slot);
	json_object_set_new(event, "t", json_string("slot"));
	session_event(s->user, event);
}

static void on_voice(void *arg, struct seat *s)
{
	(void)arg;
	if (!s->user)
		return;
	session_event(s->user, encode_voice(s));
	if (call_names_talkers(s))
		return;
	/* Who talks, and where, is told by events from now on. */
	for (unsigned i = 0; i < s->slot_count; i++)
		if (s->slots[i].audio)
			on_slot(NULL, s, i);
	session_event(s->user, speakers_event(s->call));
}

static void on_paused(void *arg, struct seat *s, enum stream_kind kind)
{
	(void)arg;
	if (s->user)
		session_event(s->user, encode_pause(s, kind));
}

static void on_link(void *arg, struct seat *s)
{
	static const char *const words[] = { [LEG_CONNECTING] = "connecting",
					     [LEG_UP] = "up",
					     [LEG_SUSPENDED] = "suspended",
					     [LEG_GONE] = "gone" };

	(void)arg;
	if (s->user)
		session_event(s->user,
			      json_pack("{ssss}", "t", "link", "state", words[s->link]));
}

static void on_speakers(void *arg, struct call *c)
{
	(void)arg;
	room_event_talk(c, speakers_event(c));
}

static void on_room_event(void *arg, struct call *c, const struct room_event *ev)
{
	(void)arg;
	room_told(c, ev);
}

const struct call_ops api_call_ops = {
	.joined = on_joined,
	.leaving = on_leaving,
	.updated = on_updated,
	.slot = on_slot,
	.paused = on_paused,
	.voice = on_voice,
	.link = on_link,
	.speakers = on_speakers,
	.event = on_room_event,
};

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sessions_flush(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sessions_renew(arg);
}

struct api *api_create(struct event_base *base, const struct conf *conf,
		       const struct secret *secret, struct http_server *http)
{
	struct api *a = calloc(1, sizeof *a);
	struct timeval second = { 1, 0 };

	if (!a)
		return NULL;
	a->base = base;
	a->conf = conf;
	a->secret = secret;
	a->flush = event_new(base, -1, 0, on_flush, a);
	a->tick = event_new(base, -1, EV_PERSIST, on_tick, a);
	if (!a->flush || !a->tick || event_add(a->tick, &second)) {
		api_destroy(a);
		return NULL;
	}
	api_routes_join(a, http);
	api_routes_whip(a, http);
	api_routes_assets(a, http);
	return a;
}

void api_set_calls(struct api *a, struct calls *calls)
{
	a->calls = calls;
}

void api_set_store(struct api *a, const struct store *store)
{
	a->store = store;
}

void api_drain(struct api *a, bool on)
{
	a->draining = on;
}

bool api_is_draining(const struct api *a)
{
	return a->draining;
}

void api_close(struct api *a)
{
	a->closing = true;
	sessions_close(a, "closing", 1001);
}

void api_destroy(struct api *a)
{
	if (a->flush)
		event_free(a->flush);
	if (a->tick)
		event_free(a->tick);
	free(a);
}
