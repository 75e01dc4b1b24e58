/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* call: what its files share. */
#ifndef CALL_PRIVATE_H
#define CALL_PRIVATE_H

#include <palabre/call.h>

struct event;

struct call {
	struct hash_node node;
	struct calls *all;
	struct worker *worker;
	uint64_t id;
	struct room *room;
	unsigned speaker_count;
	uint32_t speakers[RELAY_LANES];
	uint64_t empty_us; /* since when nobody is here, 0: somebody is */
	bool media_due;	   /* a worker had no room for what somebody may send */
};

/* A join that waits for its worker. */
struct join_pending {
	struct join_pending *next;
	uint64_t leg;
	join_done_fn fn;
	void *arg;
	char *answer;
	uint64_t deadline_us;
};

/* leg id → seat */
struct leg_entry {
	struct hash_node node;
	uint64_t leg;
	struct seat *seat;
};

struct calls {
	struct event_base *base;
	const struct conf *conf;
	const struct cert *cert;
	const struct call_ops *ops;
	void *arg;
	const struct store *store; /* NULL none */
	unsigned worker_count;
	struct worker *workers[WORKERS_MAX];
	struct event *worker_events[WORKERS_MAX], *tick;
	unsigned bind_count;
	struct addr bind[2];
	struct hash *by_name, *by_id, *legs;
	struct join_pending *pending;
	uint64_t last_id;
};

/* candidates.c: what to put in an answer for worker `index`. */
unsigned candidates_list(const struct calls *cs, unsigned worker, bool loopback,
			 struct nego_candidate out[NEGO_CANDIDATES_MAX]);
/* join.c */
void join_created(struct calls *cs, uint64_t leg, int error);
void join_expire(struct calls *cs, uint64_t now_us);
/* seat.c */
void seat_leg_close(struct seat *s);
int seat_leg_set(struct seat *s, uint64_t leg, const struct nego_plan *plan) MUST_CHECK;
/* Tells the worker what it may forward of this person. What it has no room for now is told at
 * the next tick. */
void seat_media_send(struct seat *s);
void seat_view_send(struct seat *s);
void seat_voice_send(struct seat *s);
/* Its view names this person. */
bool seat_views(const struct seat *s, const struct person *p);
/* call.c */
struct call *call_get(struct calls *cs, const char *name, struct refusal *why);
/* Unless something was arranged in it that is kept for as long as a person's seat. */
void call_drop_if_empty(struct call *c, uint64_t now_us);
void call_drop(struct call *c); /* nobody may be in it */
struct call *call_by_id(struct calls *cs, uint64_t id);
void refuse(struct refusal *why, int status, const char *code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#endif
