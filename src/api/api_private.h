/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* api: what its files share. */
#ifndef API_PRIVATE_H
#define API_PRIVATE_H

#include <palabre/api.h>

#include <jansson.h>

struct event;

enum {
	HELLO_MS = 10000,
	FLUSH_MS = 10, /* events of one burst travel together */
	TICKET_RENEW_S = 240,
	MESSAGES_MAX = 50,	    /* from one client … */
	MESSAGES_WINDOW_MS = 10000, /* … in this time */
	JOIN_ADDRESSES = 1024	    /* remembered for the limit on joins */
};

/* One WebSocket. Before hello it has no seat. */
struct session {
	struct api *api;
	struct ws *ws;
	struct seat *seat;
	char room[ROOM_NAME_MAX + 1];
	struct text pending; /* "[{…},{…}" to be flushed */
	bool listed;	     /* in api->dirty */
	struct session *next_dirty;
	struct session *next, *prev; /* all */
	uint64_t opened_us, window_us;
	unsigned messages;
};

struct api {
	struct event_base *base;
	const struct conf *conf;
	const struct secret *secret;
	struct calls *calls;
	const struct store *store; /* NULL: no rooms are kept */
	struct event *flush, *tick;
	struct session *sessions, *dirty;
	unsigned since_renewal_s;
	bool closing, draining;
	struct join_rate {
		uint64_t key; /* of the address */
		uint64_t window_us;
		unsigned count;
	} rates[JOIN_ADDRESSES];
};

/* Who somebody is, by link or ticket. */
struct identity {
	char room[ROOM_NAME_MAX + 1];
	enum role role;
	uint32_t link; /* link only: the store's, 0 of one it does not know */
	char id[PERSON_ID_BYTES + 1]; /* ticket only */
	bool admitted;		      /* ticket only: was inside */
	char name[PERSON_NAME_MAX + 1];
};
/* identity.c */
int identity_of_link(const struct secret *s, const char *token, struct identity *out,
		     struct refusal *why) MUST_CHECK;
int identity_of_ticket(const struct secret *s, const char *ticket, struct identity *out,
		       struct refusal *why) MUST_CHECK;
/* May they come now: the room is there, their link is good, the server takes people? */
int identity_admit(const struct api *a, const struct identity *who,
		   struct refusal *why) MUST_CHECK;
int ticket_make(const struct api *a, const struct seat *s,
		char out[TOKEN_TEXT_MAX]) MUST_CHECK;
/* encode.c: new references. whole: with what is off, too. */
json_t *encode_person(const struct person *p, bool whole);
json_t *encode_slot(const struct seat *s, unsigned slot);
json_t *encode_slots(const struct seat *s);
json_t *encode_voice(const struct seat *s);
json_t *encode_pause(const struct seat *s, enum stream_kind kind);
json_t *encode_speakers(const struct call *c);
json_t *encode_you(const struct person *p);
/* What everybody in it is told of a room that is kept. */
json_t *encode_room(const struct store_room *room);
json_t *encode_rules(const struct room *r);
json_t *encode_spotlight(const struct room *r);
json_t *encode_waiting(const struct room *r);
json_t *encode_off(const struct room *r);
/* board.c: the board as JSON. `viewer` NULL: as everybody may see it, without what is one's own. */
enum { BOARD_PART = 50, BOARD_PART_BYTES = 16 * 1024 };
json_t *encode_item(const struct item *it, const struct person *viewer, uint64_t now_us);
json_t *encode_board_rules(const struct room *r);
json_t *encode_votes(const struct room *r);
/* What a page compares with what it has. */
json_t *board_mark(const struct room *r, const struct person *viewer);
/* The same, with what a page shows that has not asked for the board. */
json_t *board_glance(const struct room *r, const struct person *viewer, uint64_t now_us);
/* Answers {"after","have"} with {"items","count","more"}; without "after" the first in order. */
json_t *board_part(const struct room *r, const struct person *viewer, const json_t *ask,
		   uint64_t now_us);
/* chat.c: messages and polls as JSON. `viewer` NULL: without what is one's own. */
json_t *encode_message(const struct message *m, uint64_t now_us);
json_t *encode_poll(const struct poll *poll, const struct person *viewer);
json_t *encode_reactions(const struct room *r);
/* Answers {"after"} with {"items","more"}; without "after" the last. */
json_t *chat_part(const struct room *r, const struct person *viewer, const json_t *ask,
		  uint64_t now_us);
/* The same of polls; without "after" the first. */
json_t *polls_part(const struct room *r, const struct person *viewer, const json_t *ask);
/* calendar.c: an .ics of a room that has a beginning. `url` of the page, "" not known; token: with which
 * one comes in, or NULL. */
void calendar_write(const struct store_room *room, const char *url, const char *token,
		    uint64_t now_s, struct text *out);
/* What of chat and polls a page is told at once. */
json_t *chat_mark(const struct room *r);
/* acts.c: does what the message wants; false: it is none of these. */
bool acts_take(struct session *s, const char *t, const json_t *m);
/* events.c: what a room tells. */
void room_told(struct call *c, const struct room_event *ev);
/* people.c: {"people", "count"} and, if there are others, "more": the number to ask after. The first has "shown", too: nobody is
 * among those others who shows something. New references. */
enum { PEOPLE_PART = 100 };
json_t *people_first(const struct room *r, const struct person *self);
json_t *people_after(const struct room *r, uint32_t number);
/* session.c */
void session_event(struct session *s, json_t *event); /* takes the reference */
/* `m`: the message that was refused, whose type and `ref` are told; or NULL. */
void session_refuse(struct session *s, const struct refusal *why, const json_t *m);
void session_bad(struct session *s, const char *text, const json_t *m);
void sessions_flush(struct api *a);
void sessions_close(struct api *a, const char *reason, unsigned code);
void sessions_renew(struct api *a);
void session_open(struct http_request *rq, void *arg);
/* `why` may be NULL. */
void session_detach(struct seat *seat, const char *bye, const char *why, unsigned code);
void room_event(struct call *c, json_t *event,
		const struct seat *except); /* takes the reference */
/* Likewise, to moderators. */
void room_event_moderators(struct call *c, json_t *event);
/* Likewise, to all whose sound does not name who talks. */
void room_event_talk(struct call *c, json_t *event);
/* join.c, whip.c, assets.c: routes */
void api_routes_join(struct api *a, struct http_server *http);
void api_routes_whip(struct api *a, struct http_server *http);
void api_routes_assets(struct api *a, struct http_server *http);
void reply_refusal(struct http_request *rq, const struct refusal *why);
/* Counts a join of this address; false: too many in the last minute (a 429 was sent). */
bool join_allowed(struct api *a, struct http_request *rq);
bool peer_is_local(const struct http_request *rq);

#endif
