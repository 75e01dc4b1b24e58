/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* admin: what its files share. */
#ifndef ADMIN_IN_H
#define ADMIN_IN_H

#include <palabre/admin.h>
#include <palabre/cc.h>
#include <palabre/ctl.h>

#include <jansson.h>

struct bufferevent;
struct evconnlistener;
struct event;

enum {
	CONNECTIONS_MAX = 16,
	READ_S = 60,	  /* idle, or a line not complete */
	WRITE_S = 10,	  /* a reader who does not read */
	POLL_MS = 10,	  /* for the disk, and for signs of life */
	HEALTH_MS = 2000, /* then a worker is stuck */
	ASKERS_MAX = 32
};

/* ---- request.c: a line as a request ---- */

enum verb {
	VERB_STATUS,
	VERB_HEALTH,
	VERB_METRICS,
	VERB_ROOMS,
	VERB_ROOM,
	VERB_ROOM_ADD,
	VERB_ROOM_SET,
	VERB_ROOM_REMOVE,
	VERB_LINKS,
	VERB_LINK_ADD,
	VERB_LINK_REVOKE,
	VERB_PEOPLE,
	VERB_KICK,
	VERB_DRAIN,
	VERB_LOG,
	VERB_KEYS,
	VERB_CHALLENGE_ADD,
	VERB_CHALLENGE_REMOVE,
	VERBS
};
enum field {
	FIELD_ROOM,
	FIELD_TITLE,
	FIELD_DESCRIPTION,
	FIELD_FROM,
	FIELD_UNTIL,
	FIELD_ZONE,
	FIELD_LANGUAGES,
	FIELD_LOBBY,
	FIELD_MUTE,
	FIELD_AUDIENCE,
	FIELD_LOCK,
	FIELD_APPROVE,
	FIELD_RETENTION,
	FIELD_ROLE,
	FIELD_EXPIRES,
	FIELD_LINK,
	FIELD_PERSON,
	FIELD_ON,
	FIELD_LEVEL,
	FIELD_CHALLENGE,
	FIELDS
};
struct request {
	enum verb verb;
	uint32_t given;		/* bits by field */
	struct store_room room; /* its name, and what of it is given */
	unsigned role;
	uint64_t expires_s;
	uint32_t link;
	char person[PERSON_ID_BYTES + 1];
	bool on;
	unsigned level;
	char challenge[CHALLENGE_MAX + 1];
};
const char *verb_name(enum verb verb);
static inline bool has(const struct request *rq, enum field f)
{
	return rq->given >> f & 1;
}
/* 0, or -EINVAL and `why` for people. */
enum { REQUEST_WHY_MAX = 256 };
int request_read(struct request *out, const char *line, size_t len,
		 char why[REQUEST_WHY_MAX]) MUST_CHECK;
/* What is given over what there was. */
void request_apply(const struct request *rq, struct store_room *room);

/* ---- health.c: does everybody answer? ---- */

struct asker {
	void (*fn)(void *arg, bool good, const char *text);
	void *arg;
};
struct health {
	unsigned count;
	struct asker askers[ASKERS_MAX];
	uint64_t since_us;
	struct event *poll;
};
int health_init(struct admin *a) MUST_CHECK;
void health_fini(struct admin *a);
/* `fn` is called once, from the loop. False: too many ask, and it will not be. */
bool health_ask(struct admin *a, void (*fn)(void *arg, bool good, const char *text),
		void *arg) MUST_CHECK;
/* Nobody asks any more. */
void health_forget(struct admin *a, void *arg);

/* ---- socket.c: connections ---- */

struct caller {
	struct admin *admin;
	struct bufferevent *bev;
	struct caller *next, *prev;
	bool closing; /* when all is written */
	bool busy;    /* with a request: no other is read */
	json_t *kept; /* to be sent when the disk has `until` */
	uint64_t until, refused;
};
void answer_item(struct caller *c, json_t *item); /* takes the reference */
/* Ends a request: with `fields` (an object, or NULL), which it takes, and "ok". */
void answer(struct caller *c, json_t *fields);
/* The same when the store's changes so far are on the disk. */
void answer_kept(struct caller *c, json_t *fields);
void answer_error(struct caller *c, const char *code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* Who has answered later takes the next request. */
void caller_go_on(struct caller *c);
/* Root, or who the server runs as. */
bool peer_allowed(unsigned uid, unsigned own);

/* ---- rooms.c, live.c: what is asked ---- */

void on_rooms(struct caller *c, const struct request *rq);
void on_room(struct caller *c, const struct request *rq);
void on_room_add(struct caller *c, const struct request *rq);
void on_room_set(struct caller *c, const struct request *rq);
void on_room_remove(struct caller *c, const struct request *rq);
void on_links(struct caller *c, const struct request *rq);
void on_link_add(struct caller *c, const struct request *rq);
void on_link_revoke(struct caller *c, const struct request *rq);
void on_status(struct caller *c, const struct request *rq);
void on_health(struct caller *c, const struct request *rq);
void on_metrics(struct caller *c, const struct request *rq);
void on_people(struct caller *c, const struct request *rq);
void on_kick(struct caller *c, const struct request *rq);
void on_drain(struct caller *c, const struct request *rq);
void on_log(struct caller *c, const struct request *rq);
void on_keys(struct caller *c, const struct request *rq);
void on_challenge_add(struct caller *c, const struct request *rq);
void on_challenge_remove(struct caller *c, const struct request *rq);

/* ---- metrics.c, pages.c ---- */

struct tally {
	unsigned calls, people, away, waiting;
	unsigned links[LEG_GONE + 1];	 /* by enum leg_link */
	unsigned rungs[VOICE_RUNGS + 1]; /* how voices come, the last: as they are sent */
	unsigned pictureless, lossy[6];
	unsigned sending[STREAM_KINDS];
};
void tally_take(const struct calls *calls, struct tally *out);
void metrics_write(struct admin *a, struct text *out);
void pages_init(struct admin *a);

struct admin {
	struct admin_parts p;
	char url[CONF_TEXT_MAX];
	uint64_t started_s;
	int dir_fd;
	char path[CTL_PATH_MAX]; /* of the socket, "" none */
	struct evconnlistener *listener;
	unsigned caller_count;
	struct caller *callers;
	struct event *poll; /* while somebody waits for the disk */
	struct health health;
	struct proxies readers; /* of /health and /metrics */
};

#endif
