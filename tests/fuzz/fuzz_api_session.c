/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What pages say on their WebSockets: three sessions; a host, a speaker, a listener, and one
 * in the lobby of a room without media. Input: records of a head byte (what, and which
 * session), a length of 16 bits and so many bytes. After each: a seat and its session name
 * each other or nobody, nobody has on what they may not send, and what the server has said
 * is an array of JSON.
 *
 * session.c is compiled here with WebSockets of our own.
 */
#define ws_accept	 fake_accept
#define ws_send		 fake_send
#define ws_close	 fake_close
#define http_segment	 fake_segment
#define http_reply_error fake_reply_error
#include "../../src/api/session.c"
#undef http_reply_error
#undef http_segment

#include "../../src/call/call_private.h"
#include "fuzz.h"
#include "record.h"

enum { SESSIONS = 3, PEOPLE = 4, RECORDS_MAX = 64 };
enum kind { K_OPEN, K_TEXT, K_HELLO, K_CLOSE, K_FLUSH, K_RENEW, K_COUNT };

struct ws {
	const struct ws_ops *ops;
	struct session *session;
	bool open, closing;
};

static const char room[] = "room";
static const struct secret secret;
static struct conf conf;
static struct event_base *base;
struct http_server *http; /* not static: nobody reads it, but LeakSanitizer must see it */
static struct api *api;
static struct calls *calls;
static struct ws sockets[SESSIONS], *opening;
static struct call *the_call;
static char ids[PEOPLE][PERSON_ID_BYTES + 1];
static char tickets[PEOPLE][TOKEN_TEXT_MAX];

/* ---- what session.c sees of net ---------------------------------------------------- */

const char *fake_segment(const struct http_request *rq, unsigned i)
{
	(void)rq;
	return i ? "" : room;
}

void fake_reply_error(struct http_request *rq, int status, const char *code,
		      const char *text)
{
	(void)rq;
	(void)status;
	(void)code;
	(void)text;
}

struct ws *fake_accept(struct http_request *rq, const char *subprotocol,
		       const struct ws_ops *ops, void *arg)
{
	(void)rq;
	check(!strcmp(subprotocol, "palabre.1"));
	*opening = (struct ws) { .ops = ops, .session = arg, .open = true };
	return opening;
}

int fake_send(struct ws *w, const char *text, size_t len)
{
	json_t *j = json_loadb(text, len, 0, NULL);

	check(w->open && json_is_array(j));
	json_decref(j);
	return 0;
}

void fake_close(struct ws *w, unsigned code, const char *reason)
{
	check(w->open && code && reason);
	w->closing = true;
}

/* ---- the room ---------------------------------------------------------------------- */

static void set_up(void)
{
	conf_defaults(&conf);
	base = event_base_new();
	http = http_server_create(base, 1000, 1000);
	check(base && http);
	api = api_create(base, &conf, &secret, http);
	check(api != NULL);
	calls = calls_create(base, &conf, NULL, &api_call_ops, api);
	check(calls != NULL);
	api_set_calls(api, calls);
}

static void fill_room(void)
{
	struct refusal why;
	unsigned i;

	the_call = call_get(calls, room, &why);
	check(the_call != NULL);
	for (i = 0; i < PEOPLE; i++) {
		static const enum role roles[PEOPLE] = { ROLE_SPEAKER, ROLE_HOST,
							 ROLE_LISTENER, ROLE_SPEAKER };
		char id[] = { (char)('a' + i), 0 };
		struct entry e = {
			.id = id, .name = "Someone", .role = roles[i], .key = i
		};
		struct person *p;

		if (i == PEOPLE - 1)
			check(!room_wait(the_call->room, &e, 1, &p));
		else
			check(!room_enter(the_call->room, &e, 1, &p));
		memcpy(ids[i], p->id, sizeof ids[i]);
		check(!ticket_make(api, p->user, tickets[i]));
	}
}

static void on_end(struct ws *w)
{
	w->open = false;
	w->ops->on_close(w->session, 1000);
}

static void empty_room(void)
{
	unsigned i;

	for (i = 0; i < SESSIONS; i++)
		if (sockets[i].open)
			on_end(&sockets[i]);
	check(!api->sessions && !api->dirty);
	while (room_first(the_call->room))
		call_leave(room_first(the_call->room)->user, LEAVE_LEFT);
	while (room_first_waiting(the_call->room))
		call_leave(room_first_waiting(the_call->room)->user, LEAVE_LEFT);
	call_drop(the_call);
}

static void check_room(void)
{
	unsigned i;

	for (i = 0; i < SESSIONS; i++) {
		const struct session *s = sockets[i].session;

		if (sockets[i].open && s->seat)
			check(s->seat->user == s);
	}
	for (i = 0; i < PEOPLE; i++) {
		const struct seat *seat = call_seat(the_call, ids[i]);
		bool found = !seat || !seat->user;
		unsigned k;

		for (k = 0; k < SESSIONS && !found; k++)
			found = sockets[k].open && sockets[k].session == seat->user &&
				sockets[k].session->seat == seat;
		check(found);
	}
	for (const struct person *p = room_first(the_call->room); p; p = p->next)
		for (i = 0; i < MEDIA_KINDS; i++)
			check(!p->media[i] || !person_may_send(p, i));
}

/* ---- records ----------------------------------------------------------------------- */

static void say(struct ws *w, const char *text, size_t len)
{
	char *copy = malloc(len + 1); /* of exactly its size, for the sanitizer */

	check(copy != NULL);
	if (len)
		memcpy(copy, text, len);
	copy[len] = 0;
	w->ops->on_text(w->session, copy, len);
	free(copy);
}

static void say_hello(struct ws *w, const uint8_t *body, size_t len)
{
	char text[sizeof tickets[0] + 64];
	unsigned who = len ? body[0] % PEOPLE : 0;

	snprintf(text, sizeof text, "{\"t\":\"hello\",\"ticket\":\"%.*s\"}",
		 (int)sizeof tickets[0] - 1, tickets[who]);
	say(w, text, strlen(text));
}

static void run(enum kind kind, struct ws *w, const uint8_t *body, size_t len)
{
	if (kind == K_OPEN && !w->open) {
		opening = w;
		session_open(NULL, api);
	} else if (kind == K_FLUSH) {
		sessions_flush(api);
	} else if (kind == K_RENEW) {
		api->since_renewal_s = TICKET_RENEW_S;
		sessions_renew(api);
		room_gather(the_call->room, clock_now_us());
	} else if (!w->open || w->closing) {
		return; /* as ws.c: nothing is heard any more */
	} else if (kind == K_TEXT) {
		say(w, (const char *)body, len);
	} else if (kind == K_HELLO) {
		say_hello(w, body, len);
	} else if (kind == K_CLOSE) {
		on_end(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n, i;
	struct record rec;
	struct rd r;

	if (!api)
		set_up();
	fill_room();
	rd_init(&r, data, size);
	for (n = 0; n < RECORDS_MAX && record_next(&r, &rec); n++) {
		run((enum kind)(rec.head % K_COUNT),
		    &sockets[rec.head / K_COUNT % SESSIONS], rec.body, rec.len);
		for (i = 0; i < SESSIONS; i++) /* from the loop */
			if (sockets[i].open && sockets[i].closing)
				on_end(&sockets[i]);
		check_room();
	}
	empty_room();
	return 0;
}
