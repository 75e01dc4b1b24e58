/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * room: who is in a room and as what: a state machine with an observer. Level 7, control
 * thread. No media, no network, no clock (time comes as an argument). Nothing here is
 * written to disk, and nothing assumes that a person is local.
 */
#ifndef PALABRE_ROOM_H
#define PALABRE_ROOM_H

#include <palabre/base.h>

enum {
	ROOM_NAME_MAX = 64,	/* [a-z0-9-] */
	PERSON_NAME_CHARS = 64, /* Unicode characters … */
	PERSON_NAME_MAX = 96,	/* … and bytes */
	PERSON_ID_BYTES = 12,
	ROOM_LEFT_MAX = 512, /* ended stays remembered, so that their tickets stay void */
	MEDIA_KINDS = 4	     /* as enum stream_kind */
};

enum role {
	ROLE_HOST,
	ROLE_MODERATOR,
	ROLE_SPEAKER,
	ROLE_INTERPRETER,
	ROLE_CAPTIONER,
	ROLE_LISTENER,
	ROLE_COUNT
};
/* "host", … ; NULL outside. */
const char *role_name(enum role r);
/* -EINVAL if it isn't one. */
int role_parse(const char *text) MUST_CHECK;
/* May people of this role send that kind of stream? */
bool role_may_send(enum role r, unsigned media_kind);

struct room;
struct person {
	char id[PERSON_ID_BYTES + 1];
	uint32_t number; /* in this room, never used twice, never 0 */
	char name[PERSON_NAME_MAX + 1];
	enum role role;
	bool media[MEDIA_KINDS]; /* what the person has switched on */
	bool away;		 /* no media connection; the place is kept until … */
	uint64_t away_us;	 /* … this plus the resume time */
	void *user;		 /* the owner's */
	struct room *room;
	struct hash_node by_id, by_number;
	struct person *next, *prev;
};

enum leave_reason { LEAVE_LEFT, LEAVE_REMOVED, LEAVE_EXPIRED };
struct room_observer {
	void (*joined)(void *arg, struct person *p);
	/* Still in the lists while called. */
	void (*leaving)(void *arg, struct person *p, enum leave_reason reason);
	void (*updated)(void *arg, struct person *p); /* name, media or away */
};

/* 0, or -EINVAL: not [a-z0-9-]{1,64}. */
int room_name_check(const char *name) MUST_CHECK;
/* Trims, and refuses empty, too long, control and bidi-override characters, bad UTF-8. 0
 * or -EINVAL. */
int person_name_check(const char *name, char out[PERSON_NAME_MAX + 1]) MUST_CHECK;

struct room *room_create(const char *name, unsigned people_max,
			 const struct room_observer *obs, void *arg) MUST_CHECK;
void room_destroy(struct room *r); /* observers are not called */
const char *room_name(const struct room *r);

/* A new person, or, with an id, one who comes back: if that person is still here the same
 * object is returned, with its role and media as they were (name replaced if given); else
 * it is made again under the same id. -ENOSPC room is full, -EACCES the stay under this
 * id has ended, -ENOMEM. */
int room_join(struct room *r, const char *id, const char *name, enum role role,
	      uint64_t now_us, struct person **out) MUST_CHECK;
/* Ends the stay; p is freed. */
void room_leave(struct room *r, struct person *p, enum leave_reason reason);
void room_set_media(struct room *r, struct person *p, unsigned kind, bool on);
void room_set_name(struct room *r, struct person *p, const char *name);
void room_set_away(struct room *r, struct person *p, bool away, uint64_t now_us);
/* Ends the stays of those away longer than keep_us; returns how many people are left. */
unsigned room_expire(struct room *r, uint64_t now_us, uint64_t keep_us);

unsigned room_count(const struct room *r);
struct person *
room_first(const struct room *r); /* in order of joining; p->next goes on */
struct person *room_by_id(const struct room *r, const char *id);
struct person *room_by_number(const struct room *r, uint32_t number);

#endif
