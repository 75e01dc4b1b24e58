/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* POST join, ice, leave: bodies checked here, decided by call. */
#include "api_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reply_refusal(struct http_request *rq, const struct refusal *why)
{
	if (why->status == 429)
		http_set_header(rq, "Retry-After", "30");
	http_reply_error(rq, why->status, why->code, why->text);
}

bool peer_is_local(const struct http_request *rq)
{
	const struct addr *a = http_peer(rq);
	static const uint8_t v6[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 : !memcmp(a->ip, v6, sizeof v6);
}

/* A small table: an address that doesn't fit pushes out the one in its place, which only
 * makes the limit milder. */
bool join_allowed(struct api *a, struct http_request *rq)
{
	const struct addr *peer = http_peer(rq);
	/* Of IPv6 the /64, which is what one network has. */
	uint64_t key = hash_bytes(peer->ip, 8);
	struct join_rate *r = &a->rates[key % JOIN_ADDRESSES];
	uint64_t now_us = clock_now_us();

	if (r->key != key || now_us - r->window_us > 60000000) {
		r->key = key;
		r->window_us = now_us;
		r->count = 0;
	}
	if (++r->count <= (unsigned)a->conf->room.joins_per_minute_per_address_max)
		return true;
	http_set_header(rq, "Retry-After", "60");
	http_reply_error(
		rq, 429, "too-many",
		"Too many joins from your network in one minute. Wait a minute.");
	return false;
}

static json_t *read_body(struct http_request *rq)
{
	char err[SDP_TEXT_MAX] = "";
	size_t len;
	const uint8_t *body = http_body(rq, &len);
	json_t *j = json_read((const char *)body, len, err);

	/* The page's next request may be that its way to us has changed. On a connection
	 * kept from before it would go the dead way. */
	http_set_close(rq);
	if (!j)
		http_reply_error(rq, 400, "bad-json", err);
	return j;
}

static int identify(const struct api *a, const json_t *body, struct identity *who,
		    struct refusal *why)
{
	const char *ticket = json_get_text(body, "ticket", TOKEN_TEXT_MAX);
	const char *token = json_get_text(body, "token", TOKEN_TEXT_MAX);

	if (ticket)
		return identity_of_ticket(a->secret, ticket, who, why);
	return identity_of_link(a->secret, token ? token : "", who, why);
}

static int name_take(const json_t *body, struct identity *who, struct refusal *why)
{
	const char *name = json_get_text(body, "name", PERSON_NAME_MAX);

	if (!name && who->name[0])
		return 0;
	if (name && !person_name_check(name, who->name))
		return 0;
	*why = (struct refusal) {
		400, "bad-name",
		"A name has 1 to 64 characters, none of them control characters."
	};
	return -EINVAL;
}

static void streams_take(const json_t *body, struct join_request *jr)
{
	const json_t *streams = json_object_get(body, "streams"),
		     *media = json_object_get(body, "media");

	for (unsigned k = 0; k < STREAM_KINDS; k++) {
		if (json_is_object(streams))
			jr->kind_mids[k] = json_get_text(streams, stream_kind_names[k],
							 NEGO_MID_MAX);
		if (json_is_object(media))
			jr->media[k] = json_get_bool(media, stream_kind_names[k], false);
	}
	jr->media_given = json_is_object(media);
}

/* What the browser is known by, should it be banned. Hashed, so that it is nowhere kept. */
static uint64_t key_take(const json_t *body)
{
	const char *key = json_get_text(body, "key", PERSON_KEY_MAX);

	return key && key[0] ? hash_bytes(key, strlen(key)) : 0;
}

struct joining {
	struct api *api;
	struct http_request *rq;
};

static void reply_json(struct http_request *rq, int status, json_t *j)
{
	char *text = j ? json_write(j) : NULL;

	if (text)
		http_reply(rq, status, "application/json", text, strlen(text));
	else
		http_reply_error(rq, 500, "internal",
				 "The server has not enough memory.");
	free(text);
	json_decref(j);
}

/* In the lobby: the events tell when to come again. */
static json_t *waiting_body(const struct seat *s, const char *ticket)
{
	return json_pack("{sbsosssb}", "waiting", 1, "you", encode_you(s->person),
			 "ticket", ticket, "hosted", room_is_hosted(call_room(s->call)));
}

static void on_joined(void *arg, struct seat *s, const char *answer,
		      const struct refusal *why)
{
	struct joining *j = arg;
	char ticket[TOKEN_TEXT_MAX], leg[24];
	json_t *slots;

	if (!s) {
		reply_refusal(j->rq, why);
		goto out;
	}
	if (ticket_make(j->api, s, ticket)) {
		http_reply_error(j->rq, 500, "internal",
				 "The server has not enough memory.");
		goto out;
	}
	if (!answer) {
		reply_json(j->rq, 202, waiting_body(s, ticket));
		goto out;
	}
	snprintf(leg, sizeof leg, "%llx", (unsigned long long)s->leg);
	slots = json_array();
	for (unsigned i = 0; i < s->slot_count; i++)
		json_array_append_new(slots,
				      json_pack("{ssss}", "mid", s->slots[i].mid, "kind",
						s->slots[i].audio ? "audio" : "video"));
	reply_json(j->rq, 201,
		   json_pack("{sssossssso}", "answer", answer, "you",
			     encode_you(s->person), "leg", leg, "ticket", ticket, "slots",
			     slots));
out:
	mem_unref(j->rq);
	free(j);
}

static void join(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	struct refusal why;
	struct identity who;
	struct join_request jr = { 0 };
	struct joining *j;
	json_t *body;

	if (!join_allowed(a, rq))
		return;
	body = read_body(rq);
	if (!body)
		return;
	jr.offer = json_get_text(body, "offer", SDP_BYTES_MAX);
	if (identify(a, body, &who, &why) || name_take(body, &who, &why)) {
		reply_refusal(rq, &why);
	} else if (strcmp(who.room, http_segment(rq, 0))) {
		http_reply_error(rq, 403, "bad-token",
				 "This link is for another room. Copy it again.");
	} else if (identity_admit(a, &who, &why)) {
		reply_refusal(rq, &why);
	} else if (!(j = calloc(1, sizeof *j))) {
		http_reply_error(rq, 500, "internal",
				 "The server has not enough memory.");
	} else {
		j->api = a;
		j->rq = mem_ref(rq);
		jr.room = who.room;
		jr.id = who.id[0] ? who.id : NULL;
		jr.name = who.name;
		jr.role = who.role;
		jr.admitted = who.admitted;
		jr.key = key_take(body);
		jr.offer_len = jr.offer ? strlen(jr.offer) : 0;
		jr.loopback = peer_is_local(rq);
		streams_take(body, &jr);
		call_join(a->calls, &jr, on_joined, j);
	}
	json_decref(body);
}

/* The seat a ticket names, or a refusal was sent. */
static struct seat *seat_by_ticket(struct api *a, struct http_request *rq,
				   const json_t *body)
{
	const char *ticket = json_get_text(body, "ticket", TOKEN_TEXT_MAX);
	struct identity who;
	struct refusal why;
	struct call *c;
	struct seat *s;

	if (identity_of_ticket(a->secret, ticket ? ticket : "", &who, &why)) {
		reply_refusal(rq, &why);
		return NULL;
	}
	c = !strcmp(who.room, http_segment(rq, 0)) ? call_find(a->calls, who.room) : NULL;
	s = c ? call_seat(c, who.id) : NULL;
	if (!s)
		http_reply_error(
			rq, 410, "gone",
			"The server does not know this connection any more; join again.");
	return s;
}

static void ice(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	json_t *body = join_allowed(a, rq) ? read_body(rq) : NULL;
	struct refusal why;
	const char *offer, *leg;
	char *answer = NULL;
	struct seat *s;

	if (!body)
		return;
	offer = json_get_text(body, "offer", SDP_BYTES_MAX);
	leg = json_get_text(body, "leg", 32);
	s = seat_by_ticket(a, rq, body);
	if (!s)
		goto out;
	if (!s->leg || !leg || strtoull(leg, NULL, 16) != s->leg) {
		http_reply_error(rq, 410, "gone",
				 "This media connection is no longer there; join again.");
	} else if (!offer) {
		http_reply_error(rq, 400, "bad-offer", "The request has no offer.");
	} else if (call_restart(s, offer, strlen(offer), peer_is_local(rq), &answer,
				&why)) {
		reply_refusal(rq, &why);
	} else {
		reply_json(rq, 200, json_pack("{ss}", "answer", answer));
	}
out:
	free(answer);
	json_decref(body);
}

static void leave(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	json_t *body = read_body(rq);
	struct seat *s = body ? seat_by_ticket(a, rq, body) : NULL;

	if (s) {
		call_leave(s, LEAVE_LEFT);
		http_reply(rq, 204, NULL, NULL, 0);
	}
	json_decref(body);
}

/* The board as text, for who leads it. */
static void board(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	json_t *body = join_allowed(a, rq) ? read_body(rq) : NULL;
	struct seat *s = body ? seat_by_ticket(a, rq, body) : NULL;
	struct text text = { 0 };
	struct refusal why;

	if (s && (s->person->waiting || !(role_caps(s->person->role) & CAP_MODERATE))) {
		refusal_of_deny(&why, DENY_ROLE);
		reply_refusal(rq, &why);
	} else if (s) {
		board_export(call_room(s->call), &text);
		http_set_header(rq, "Cache-Control", "no-store");
		http_reply(rq, 200, "text/plain; charset=utf-8", text.s ? text.s : "",
			   text.len);
	}
	text_free(&text);
	json_decref(body);
}

/* The times of a room, for somebody who may come in. */
static void calendar(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	json_t *body = join_allowed(a, rq) ? read_body(rq) : NULL;
	const struct store_room *room = NULL;
	struct text text = { 0 };
	struct identity who;
	struct refusal why;

	if (!body)
		return;
	if (identify(a, body, &who, &why) || identity_admit(a, &who, &why)) {
		reply_refusal(rq, &why);
		goto out;
	}
	if (a->store && !strcmp(who.room, http_segment(rq, 0)))
		room = store_room_find(a->store, who.room);
	if (!room || !room->starts_s) {
		http_reply_error(rq, 404, "not-found",
				 "This room has no time of its own.");
		goto out;
	}
	calendar_write(room, a->conf->server.url,
		       json_get_text(body, "token", TOKEN_TEXT_MAX),
		       clock_wall_us() / 1000000, &text);
	http_set_header(rq, "Cache-Control", "no-store");
	if (text.bad)
		http_reply_error(rq, 500, "internal",
				 "The server has not enough memory.");
	else
		http_reply(rq, 200, "text/calendar; charset=utf-8", text.s, text.len);
	text_free(&text);
out:
	json_decref(body);
}

void api_routes_join(struct api *a, struct http_server *http)
{
	http_route(http, "POST", "/api/1/rooms/{}/join", join, a);
	http_route(http, "POST", "/api/1/rooms/{}/ice", ice, a);
	http_route(http, "POST", "/api/1/rooms/{}/leave", leave, a);
	http_route(http, "POST", "/api/1/rooms/{}/board", board, a);
	http_route(http, "POST", "/api/1/rooms/{}/calendar", calendar, a);
	http_route(http, "GET", "/api/1/rooms/{}/events", session_open, a);
}
