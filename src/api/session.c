/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * WebSocket sessions. A seat has at most one; a newer one replaces it. Events are
 * gathered for FLUSH_MS and leave as one array. Invariant: seat->user == session exactly
 * while session->seat == seat.
 */
#include "api_private.h"

#include <palabre/audio.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void schedule(struct session *s)
{
	struct timeval soon = { 0, FLUSH_MS * 1000 };

	if (s->listed)
		return;
	s->listed = true;
	s->next_dirty = s->api->dirty;
	s->api->dirty = s;
	if (!event_pending(s->api->flush, EV_TIMEOUT, NULL))
		event_add(s->api->flush, &soon);
}

static void append(struct session *s, const char *json)
{
	text_add(&s->pending, "%s%s", s->pending.len ? "," : "[", json);
	schedule(s);
}

void session_event(struct session *s, json_t *event)
{
	char *text = event ? json_write(event) : NULL;

	if (text)
		append(s, text);
	free(text);
	json_decref(event);
}

static void flush_one(struct session *s)
{
	if (!s->pending.len || s->pending.bad) {
		text_free(&s->pending);
		return;
	}
	text_add(&s->pending, "]");
	(void)ws_send(s->ws, s->pending.s,
		      s->pending.len); /* too slow a client is closed by ws_send */
	text_free(&s->pending);
}

void sessions_flush(struct api *a)
{
	while (a->dirty) {
		struct session *s = a->dirty;

		a->dirty = s->next_dirty;
		s->listed = false;
		flush_one(s);
	}
}

enum whom { EVERYBODY, MODERATORS, WHO_IS_NOT_TOLD_WHO_TALKS };

static bool is_meant(const struct seat *s, enum whom whom)
{
	switch (whom) {
	case MODERATORS:
		return role_caps(s->person->role) & CAP_MODERATE;
	case WHO_IS_NOT_TOLD_WHO_TALKS:
		return !call_names_talkers(s);
	default:
		return true;
	}
}

/* Who waits in the lobby is not among them. */
static void send_all(struct call *c, json_t *event, const struct seat *except,
		     enum whom whom)
{
	char *text = event ? json_write(event) : NULL;

	for (struct person *p = room_first(call_room(c)); p && text; p = p->next) {
		struct seat *seat = p->user;

		if (seat && seat != except && seat->user && is_meant(seat, whom))
			append(seat->user, text);
	}
	free(text);
	json_decref(event);
}

void room_event(struct call *c, json_t *event, const struct seat *except)
{
	send_all(c, event, except, EVERYBODY);
}

void room_event_moderators(struct call *c, json_t *event)
{
	send_all(c, event, NULL, MODERATORS);
}

void room_event_talk(struct call *c, json_t *event)
{
	send_all(c, event, NULL, WHO_IS_NOT_TOLD_WHO_TALKS);
}

void session_refuse(struct session *s, const struct refusal *why, const json_t *m)
{
	json_t *event = json_pack("{ssssss}", "t", "error", "error", why->code, "message",
				  why->text);
	const char *t = m ? json_get_text(m, "t", 32) : NULL;

	if (why->why)
		json_object_set_new(event, "why", json_string(why->why));
	if (t)
		json_object_set_new(event, "re", json_string(t));
	if (m && json_is_integer(json_object_get(m, "ref")))
		json_object_set(event, "ref", json_object_get(m, "ref"));
	session_event(s, event);
}

void session_bad(struct session *s, const char *text, const json_t *m)
{
	struct refusal why = { 400, "bad-json", "" };

	snprintf(why.text, sizeof why.text, "%.199s", text);
	session_refuse(s, &why, m);
}

static void bad_message(struct session *s, const char *text)
{
	session_bad(s, text, NULL);
}

/* Ends the session of a seat: the WebSocket closes, the seat stays. */
void session_detach(struct seat *seat, const char *bye, const char *why, unsigned code)
{
	json_t *event = json_pack("{ssss}", "t", "bye", "reason", bye);
	struct session *s = seat->user;

	if (!s) {
		json_decref(event);
		return;
	}
	if (why)
		json_object_set_new(event, "why", json_string(why));
	seat->user = NULL;
	s->seat = NULL;
	session_event(s, event);
	flush_one(s);
	ws_close(s->ws, code, bye);
}

/* Of a room that is kept: what it is. */
static void add_room(const struct session *s, json_t *event)
{
	const struct api *a = s->api;
	const struct store_room *room =
		a->store ? store_room_find(a->store, s->room) : NULL;

	if (room)
		json_object_set_new(event, "room", encode_room(room));
}

static void welcome(struct session *s, bool leg)
{
	struct seat *seat = s->seat;
	const struct room *r = call_room(seat->call);
	char ticket[TOKEN_TEXT_MAX];
	json_t *event;

	if (ticket_make(s->api, seat, ticket))
		return;
	if (seat->person->waiting) {
		event = json_pack("{sssosssbsb}", "t", "welcome", "you",
				  encode_you(seat->person), "ticket", ticket, "waiting",
				  1, "hosted", room_is_hosted(call_room(seat->call)));
		add_room(s, event);
		session_event(s, event);
		return;
	}
	event = json_pack("{sssosssososb}", "t", "welcome", "you",
			  encode_you(seat->person), "ticket", ticket, "slots",
			  encode_slots(seat), "speakers", encode_speakers(seat->call),
			  "leg", leg);
	add_room(s, event);
	json_object_update_new(event, people_first(r, seat->person));
	json_object_set_new(event, "rules", encode_rules(r));
	json_object_set_new(event, "spotlight", encode_spotlight(r));
	json_object_set_new(event, "board",
			    board_glance(r, seat->person, clock_now_us()));
	json_object_set_new(event, "chat", chat_mark(r));
	if (role_caps(seat->person->role) & CAP_MODERATE)
		json_object_set_new(event, "waiting", encode_waiting(r));
	session_event(s, event);
	/* It may have been said while nobody listened. */
	if (leg && seat->voice_known)
		session_event(s, encode_voice(seat));
	/* One that was told while there was no WebSocket would stand for ever. */
	for (enum stream_kind kind = 0; leg && kind < STREAM_KINDS; kind++)
		if (seat->pauses[kind].known)
			session_event(s, encode_pause(seat, kind));
}

static void on_hello(struct session *s, const json_t *m)
{
	const char *ticket = json_get_text(m, "ticket", TOKEN_TEXT_MAX);
	const char *leg = json_get_text(m, "leg", 32);
	struct identity who;
	struct refusal why;
	struct call *c;
	struct seat *seat;

	if (!ticket || identity_of_ticket(s->api->secret, ticket, &who, &why) ||
	    strcmp(who.room, s->room)) {
		ws_close(s->ws, 4401, "ticket");
		return;
	}
	c = call_find(s->api->calls, who.room);
	seat = c ? call_seat(c, who.id) : NULL;
	if (!seat) {
		/* After a restart nobody is here yet: the page joins again with its
		 * ticket, then says hello again. */
		session_event(s, json_pack("{sssb}", "t", "welcome", "leg", 0));
		return;
	}
	if (seat->user && seat->user != s)
		session_detach(seat, "replaced", NULL, 4409);
	if (s->seat) /* said before, perhaps as somebody else */
		s->seat->user = NULL;
	seat->user = s;
	s->seat = seat;
	call_attend(seat, true);
	welcome(s, seat->leg && leg && strtoull(leg, NULL, 16) == seat->leg);
}

static void on_media(struct session *s, const json_t *m)
{
	struct refusal why;

	for (unsigned k = 0; k < STREAM_KINDS; k++) {
		const json_t *v = json_object_get(m, stream_kind_names[k]);

		enum deny deny = DENY_NOTHING;

		if (json_is_boolean(v))
			deny = call_media(s->seat, (enum stream_kind)k, json_is_true(v));
		if (!deny)
			continue;
		refusal_of_deny(&why, deny);
		session_refuse(s, &why, m);
	}
}

static int read_view(const json_t *show, struct seat_view *out)
{
	size_t i;
	const json_t *v;
	unsigned count = 0;

	json_array_foreach(show, i, v)
	{
		const char *id = json_get_text(v, "p", PERSON_ID_BYTES);
		const char *kind = json_get_text(v, "k", 16);

		if (count == RELAY_VIEW_MAX)
			return -ENOBUFS;
		if (!id || !kind || (strcmp(kind, "camera") && strcmp(kind, "screen")))
			return -EINVAL;
		memset(&out[count], 0, sizeof out[count]);
		memcpy(out[count].person, id, strlen(id));
		out[count].kind = kind[0] == 'c' ? STREAM_CAMERA : STREAM_SCREEN;
		out[count].width = (uint16_t)json_get_int(v, "w", 0, 16384, 0);
		out[count].height = (uint16_t)json_get_int(v, "h", 0, 16384, 0);
		count++;
	}
	return (int)count;
}

static void on_view(struct session *s, const json_t *m)
{
	struct seat_view view[RELAY_VIEW_MAX];
	const json_t *show = json_object_get(m, "show");
	int count;

	if (json_get_bool(m, "auto", false)) {
		call_view(s->seat, true, NULL, 0);
		return;
	}
	count = json_is_array(show) ? read_view(show, view) : -EINVAL;
	if (count < 0)
		bad_message(s, "A view is {\"show\":[{\"p\",\"k\",\"w\",\"h\"}]} with at "
			       "most 64 entries.");
	else
		call_view(s->seat, false, view, (unsigned)count);
}

/* {"down": "all"} as everybody sends, "auto" what the link bears, or a rung from 0 (poorest). */
static void on_voice(struct session *s, const json_t *m)
{
	const json_t *down = json_object_get(m, "down");
	const char *word = json_string_value(down);

	if (word && !strcmp(word, "all"))
		call_voice(s->seat, LEG_LANES);
	else if (word && !strcmp(word, "auto"))
		call_voice(s->seat, LEG_FOLLOWS);
	else if (json_is_integer(down) && json_integer_value(down) >= 0 &&
		 json_integer_value(down) < RUNGS)
		call_voice(s->seat, (int)json_integer_value(down));
	else
		bad_message(s, "A voice is {\"down\":\"auto\"}, \"all\" or 0 to 5.");
}

static void on_people(struct session *s, const json_t *m)
{
	json_int_t after = json_get_int(m, "after", 0, UINT32_MAX, 0);
	json_t *event = people_after(call_room(s->seat->call), (uint32_t)after);

	json_object_set_new(event, "t", json_string("people"));
	session_event(s, event);
}

static void on_name(struct session *s, const json_t *m)
{
	const char *name = json_get_text(m, "name", PERSON_NAME_MAX);
	char checked[PERSON_NAME_MAX + 1];

	if (!name || person_name_check(name, checked))
		bad_message(s, "A name has 1 to 64 characters, none of them control "
			       "characters.");
	else
		call_rename(s->seat, checked);
}

static void on_board(struct session *s, const json_t *m)
{
	json_t *event =
		board_part(call_room(s->seat->call), s->seat->person, m, clock_now_us());

	json_object_set_new(event, "t", json_string("board"));
	session_event(s, event);
}

static void on_chat(struct session *s, const json_t *m)
{
	json_t *event =
		chat_part(call_room(s->seat->call), s->seat->person, m, clock_now_us());

	json_object_set_new(event, "t", json_string("chat"));
	session_event(s, event);
}

static void on_polls(struct session *s, const json_t *m)
{
	json_t *event = polls_part(call_room(s->seat->call), s->seat->person, m);

	json_object_set_new(event, "t", json_string("polls"));
	session_event(s, event);
}

/* What somebody in the lobby may say, too. */
static bool on_waiting(struct session *s, const char *t, const json_t *m)
{
	if (!strcmp(t, "ping"))
		session_event(s, json_pack("{ss}", "t", "pong"));
	else if (!strcmp(t, "name"))
		on_name(s, m);
	else if (!strcmp(t, "leave"))
		call_leave(s->seat, LEAVE_LEFT);
	else
		return false;
	return true;
}

static void on_inside(struct session *s, const char *t, const json_t *m)
{
	if (!strcmp(t, "media"))
		on_media(s, m);
	else if (!strcmp(t, "view"))
		on_view(s, m);
	else if (!strcmp(t, "voice"))
		on_voice(s, m);
	else if (!strcmp(t, "people"))
		on_people(s, m);
	else if (!strcmp(t, "board"))
		on_board(s, m);
	else if (!strcmp(t, "chat"))
		on_chat(s, m);
	else if (!strcmp(t, "polls"))
		on_polls(s, m);
	else
		(void)acts_take(s, t, m);
	/* Unknown types are ignored: a newer page may say more. */
}

static void on_message(struct session *s, const json_t *m)
{
	const char *t = json_get_text(m, "t", 32);
	struct refusal why;

	if (!t) {
		bad_message(s, "A message needs a type: {\"t\":\"…\"}.");
	} else if (!strcmp(t, "hello")) {
		on_hello(s, m);
	} else if (!s->seat) {
		bad_message(s, "Say hello first.");
	} else if (on_waiting(s, t, m)) {
		return;
	} else if (s->seat->person->waiting) {
		refusal_of_deny(&why, DENY_WAITING);
		session_refuse(s, &why, m);
	} else {
		on_inside(s, t, m);
	}
}

static bool rate_allows(struct session *s)
{
	uint64_t now_us = clock_now_us();

	if (now_us - s->window_us > MESSAGES_WINDOW_MS * 1000ULL) {
		s->window_us = now_us;
		s->messages = 0;
	}
	return ++s->messages <= MESSAGES_MAX;
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct session *s = arg;
	char err[SDP_TEXT_MAX];
	json_t *m;

	if (!rate_allows(s)) {
		STAT_INC(ws_limited);
		ws_close(s->ws, 4429, "too many messages");
		return;
	}
	m = json_read(text, len, err);
	if (!m) {
		bad_message(s, err);
		return;
	}
	on_message(s, m);
	json_decref(m);
}

static void on_close(void *arg, unsigned code)
{
	struct session *s = arg;

	(void)code;
	if (s->seat) {
		s->seat->user = NULL;
		call_attend(s->seat, false);
	}
	for (struct session **p = &s->api->dirty; *p; p = &(*p)->next_dirty) {
		if (*p == s) {
			*p = s->next_dirty;
			break;
		}
	}
	*(s->prev ? &s->prev->next : &s->api->sessions) = s->next;
	if (s->next)
		s->next->prev = s->prev;
	text_free(&s->pending);
	free(s);
}

static const struct ws_ops ws_ops = { .on_text = on_text, .on_close = on_close };

void session_open(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	struct session *s;

	if (a->closing) {
		http_reply_error(rq, 503, "server-full",
				 "The server is restarting; try again in a moment.");
		return;
	}
	s = calloc(1, sizeof *s);
	if (!s || room_name_check(http_segment(rq, 0))) {
		free(s);
		http_reply_error(rq, 404, "no-such-room",
				 "There is no such room. Check the link.");
		return;
	}
	s->api = a;
	s->opened_us = clock_now_us();
	snprintf(s->room, sizeof s->room, "%s", http_segment(rq, 0));
	s->ws = ws_accept(rq, "palabre.1", &ws_ops, s);
	if (!s->ws) {
		free(s);
		return;
	}
	s->next = a->sessions;
	if (s->next)
		s->next->prev = s;
	a->sessions = s;
}

void sessions_close(struct api *a, const char *reason, unsigned code)
{
	for (struct session *s = a->sessions; s; s = s->next) {
		if (s->seat)
			session_detach(s->seat, reason, NULL, code);
		else
			ws_close(s->ws, code, reason);
	}
}

/* Once a second: those who never said hello go; tickets are renewed before they run out.
 */
void sessions_renew(struct api *a)
{
	bool renew = ++a->since_renewal_s >= TICKET_RENEW_S;
	uint64_t now_us = clock_now_us();
	char ticket[TOKEN_TEXT_MAX];

	if (renew)
		a->since_renewal_s = 0;
	for (struct session *s = a->sessions; s; s = s->next) {
		if (!s->seat && now_us - s->opened_us > HELLO_MS * 1000ULL)
			ws_close(s->ws, 4408, "no hello");
		else if (s->seat && renew && !ticket_make(a, s->seat, ticket))
			session_event(
				s, json_pack("{ssss}", "t", "ticket", "ticket", ticket));
	}
}
