/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * WHIP (RFC 9725): OBS and GStreamer publish into a room with a link's token as bearer.
 * The publisher is a person like any other; it goes when its connection goes.
 */
#include "api_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void cors(struct http_request *rq)
{
	http_set_header(rq, "Access-Control-Allow-Origin", "*");
	http_set_header(rq, "Access-Control-Allow-Methods",
			"POST, PATCH, DELETE, OPTIONS");
	http_set_header(rq, "Access-Control-Allow-Headers",
			"Authorization, Content-Type, If-Match");
	http_set_header(rq, "Access-Control-Expose-Headers",
			"Location, ETag, Accept-Patch");
}

static bool has_type(const struct http_request *rq, const char *type)
{
	const char *given = http_header(rq, "Content-Type");
	size_t len = strlen(type);

	/* strchr() finds the end, too. */
	return given && !strncasecmp(given, type, len) && strchr("; \t", given[len]);
}

static int identify(struct api *a, struct http_request *rq, struct identity *who)
{
	const char *auth = http_header(rq, "Authorization");
	struct refusal why;
	int err = identity_of_link(
		a->secret, auth && !strncasecmp(auth, "Bearer ", 7) ? auth + 7 : "", who,
		&why);

	if (!err && strcmp(who->room, http_segment(rq, 0))) {
		why = (struct refusal) { 403, "bad-token",
					 "This token is for another room." };
		err = -1;
	}
	if (err && why.status == 401)
		http_set_header(rq, "WWW-Authenticate", "Bearer");
	if (err)
		reply_refusal(rq, &why);
	return err;
}

static int name_take(struct http_request *rq, char out[PERSON_NAME_MAX + 1])
{
	char name[PERSON_NAME_MAX + 1] = "WHIP";
	int err = http_query(rq, "name", name, sizeof name);

	if ((!err || err == -ENOENT) && !person_name_check(name, out))
		return 0;
	http_reply_error(rq, 400, "bad-name",
			 "A name (the query ?name=) has 1 to 64 characters, none of them "
			 "control characters.");
	return -EINVAL;
}

/* One for each ICE session, as our half of its credentials is. */
enum { ETAG_MAX = NEGO_UFRAG_MAX + 3 };

static const char *etag_of(const struct seat *s, char out[ETAG_MAX])
{
	snprintf(out, ETAG_MAX, "\"%s\"", s->plan->local_ufrag);
	return out;
}

static void on_joined(void *arg, struct seat *s, const char *answer,
		      const struct refusal *why)
{
	struct http_request *rq = arg;
	char location[ROOM_NAME_MAX + 48], etag[ETAG_MAX];

	if (s) {
		snprintf(location, sizeof location, "/whip/%s/%llx",
			 room_name(call_room(s->call)), (unsigned long long)s->leg);
		http_set_header(rq, "Location", location);
		http_set_header(rq, "Accept-Patch", "application/trickle-ice-sdpfrag");
		http_set_header(rq, "ETag", etag_of(s, etag));
		http_reply(rq, 201, "application/sdp", answer, strlen(answer));
	} else {
		reply_refusal(rq, why);
	}
	mem_unref(rq);
}

static void publish(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	struct identity who;
	struct refusal why;
	struct join_request jr = { 0 };
	size_t len;

	cors(rq);
	if (!join_allowed(a, rq))
		return;
	if (!has_type(rq, "application/sdp")) {
		http_reply_error(rq, 415, "not-supported",
				 "WHIP wants Content-Type: application/sdp.");
		return;
	}
	if (identify(a, rq, &who) || name_take(rq, who.name))
		return;
	if (!role_may_send(who.role, STREAM_MIC)) {
		http_reply_error(rq, 403, "not-allowed",
				 "This link is for listening only. Ask the host for one "
				 "to speak with.");
		return;
	}
	if (identity_admit(a, &who, &why)) {
		reply_refusal(rq, &why);
		return;
	}
	jr.room = who.room;
	jr.name = who.name;
	jr.role = who.role;
	jr.offer = (const char *)http_body(rq, &len);
	jr.offer_len = len;
	jr.whip = true;
	jr.loopback = peer_is_local(rq);
	call_join(a->calls, &jr, on_joined, mem_ref(rq));
}

/* The publisher's seat: the leg's id in the path is a secret only its owner was told (and
 * the token is checked too). */
static struct seat *seat_of(struct api *a, struct http_request *rq)
{
	struct identity who;
	struct seat *s;

	cors(rq);
	if (identify(a, rq, &who))
		return NULL;
	s = call_seat_by_leg(a->calls, strtoull(http_segment(rq, 1), NULL, 16));
	if (s && s->whip && !strcmp(room_name(call_room(s->call)), who.room))
		return s;
	http_reply_error(rq, 404, "not-found", "There is no such publisher (any more).");
	return NULL;
}

/* RFC 9725 §4.3.1: If-Match names the ICE session that the client believes in, or "*" (drafts
 * wrote the quotes, too). */
static bool match_allows(struct http_request *rq, const struct seat *s)
{
	const char *p = http_header(rq, "If-Match");
	char etag[ETAG_MAX];
	size_t len;

	if (!p) {
		http_reply_error(
			rq, 428, "mismatch",
			"PATCH wants If-Match: the ETag of the ICE session, or * "
			"to restart it.");
		return false;
	}
	etag_of(s, etag);
	for (; *p; p += len) {
		p += strspn(p, ", \t");
		len = strcspn(p, ", \t");
		if ((len == 1 && *p == '*') || (len == 3 && !strncmp(p, "\"*\"", 3)) ||
		    (len == strlen(etag) && !strncmp(p, etag, len)))
			return true;
	}
	http_reply_error(rq, 412, "mismatch",
			 "ICE has been restarted meanwhile: that is no longer its ETag.");
	return false;
}

static void patch(struct http_request *rq, void *arg)
{
	struct seat *s = seat_of(arg, rq);
	struct text answer = { 0 };
	char etag[ETAG_MAX];
	struct refusal why;
	size_t len;
	const uint8_t *body = http_body(rq, &len);

	if (!s)
		return;
	if (!has_type(rq, "application/trickle-ice-sdpfrag")) {
		http_reply_error(rq, 415, "not-supported",
				 "PATCH wants application/trickle-ice-sdpfrag.");
		return;
	}
	if (!match_allows(rq, s))
		return;
	if (call_restart_fragment(s, (const char *)body, len, peer_is_local(rq), &answer,
				  &why)) {
		reply_refusal(rq, &why);
	} else if (!answer.len) {
		http_reply(rq, 204, NULL, NULL, 0);
	} else {
		http_set_header(rq, "ETag", etag_of(s, etag));
		http_reply(rq, 200, "application/trickle-ice-sdpfrag", answer.s,
			   answer.len);
	}
	text_free(&answer);
}

static void end(struct http_request *rq, void *arg)
{
	struct seat *s = seat_of(arg, rq);

	if (!s)
		return;
	call_leave(s, LEAVE_LEFT);
	http_reply(rq, 200, NULL, NULL, 0);
}

static void options(struct http_request *rq, void *arg)
{
	(void)arg;
	cors(rq);
	http_set_header(rq, "Accept-Post", "application/sdp");
	http_reply(rq, 200, NULL, NULL, 0);
}

void api_routes_whip(struct api *a, struct http_server *http)
{
	http_route(http, "POST", "/whip/{}", publish, a);
	http_route(http, "OPTIONS", "/whip/{}", options, a);
	http_route(http, "OPTIONS", "/whip/{}/{}", options, a);
	http_route(http, "PATCH", "/whip/{}/{}", patch, a);
	http_route(http, "DELETE", "/whip/{}/{}", end, a);
}
