/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * WHIP (RFC 9725): OBS and GStreamer publish into a room with a link's token as bearer.
 * The publisher is a person like any other; it goes when its connection goes.
 */
#include "api_private.h"

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

	return given && !strncasecmp(given, type, strlen(type));
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
	if (err)
		reply_refusal(rq, &why);
	return err;
}

struct publishing {
	struct api *api;
	struct http_request *rq;
};

static void etag_set(struct http_request *rq, const struct seat *s)
{
	char etag[NEGO_UFRAG_MAX + 3];

	snprintf(etag, sizeof etag, "\"%s\"",
		 s->plan->remote_ufrag[0] ? s->plan->local_ufrag : "");
	http_set_header(rq, "ETag", etag);
}

static void on_joined(void *arg, struct seat *s, const char *answer,
		      const struct refusal *why)
{
	struct publishing *p = arg;
	char location[ROOM_NAME_MAX + 48];

	cors(p->rq);
	if (s) {
		snprintf(location, sizeof location, "/whip/%s/%llx",
			 room_name(call_room(s->call)), (unsigned long long)s->leg);
		http_set_header(p->rq, "Location", location);
		http_set_header(p->rq, "Accept-Patch", "application/trickle-ice-sdpfrag");
		etag_set(p->rq, s);
		http_reply(p->rq, 201, "application/sdp", answer, strlen(answer));
	} else {
		reply_refusal(p->rq, why);
	}
	mem_unref(p->rq);
	free(p);
}

static void publish(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	struct identity who;
	struct join_request jr = { 0 };
	struct publishing *p;
	size_t len;

	if (!join_allowed(a, rq))
		return;
	cors(rq);
	if (!has_type(rq, "application/sdp")) {
		http_reply_error(rq, 415, "not-supported",
				 "WHIP wants Content-Type: application/sdp.");
		return;
	}
	if (identify(a, rq, &who))
		return;
	p = calloc(1, sizeof *p);
	if (a->closing || !p) {
		free(p);
		http_reply_error(rq, 503, "server-full",
				 "The server is restarting; try again in a moment.");
		return;
	}
	p->api = a;
	p->rq = mem_ref(rq);
	jr.room = who.room;
	jr.name = "WHIP";
	jr.role = who.role;
	jr.offer = (const char *)http_body(rq, &len);
	jr.offer_len = len;
	jr.whip = true;
	jr.loopback = peer_is_local(rq);
	jr.media_given = true;
	jr.media[STREAM_MIC] = jr.media[STREAM_CAMERA] = true;
	call_join(a->calls, &jr, on_joined, p);
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

static void patch(struct http_request *rq, void *arg)
{
	struct api *a = arg;
	struct seat *s = seat_of(a, rq);
	char ufrag[WORKER_UFRAG_BYTES + 1], pwd[WORKER_PWD_BYTES + 1];
	struct text text = { 0 };
	struct refusal why;
	size_t len;
	const uint8_t *body = http_body(rq, &len);
	int err;

	if (!s)
		return;
	if (!has_type(rq, "application/trickle-ice-sdpfrag")) {
		http_reply_error(rq, 415, "not-supported",
				 "PATCH wants application/trickle-ice-sdpfrag.");
		return;
	}
	err = call_restart_fragment(s, (const char *)body, len, ufrag, pwd, &why);
	if (err < 0) {
		reply_refusal(rq, &why);
	} else if (err > 0) {
		http_reply(rq, 204, NULL, NULL, 0);
	} else {
		text_add(&text, "a=ice-lite\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", ufrag,
			 pwd);
		http_reply(rq, 200, "application/trickle-ice-sdpfrag",
			   text.s ? text.s : "", text.len);
		text_free(&text);
	}
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
	http_reply(rq, 204, NULL, NULL, 0);
}

void api_routes_whip(struct api *a, struct http_server *http)
{
	http_route(http, "POST", "/whip/{}", publish, a);
	http_route(http, "OPTIONS", "/whip/{}", options, a);
	http_route(http, "OPTIONS", "/whip/{}/{}", options, a);
	http_route(http, "PATCH", "/whip/{}/{}", patch, a);
	http_route(http, "DELETE", "/whip/{}/{}", end, a);
}
