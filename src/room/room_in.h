/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* room: what its files share. */
#ifndef ROOM_IN_H
#define ROOM_IN_H

#include <palabre/room.h>

struct people {
	struct person *first, *last;
	unsigned count;
};

struct ban {
	char id[PERSON_ID_BYTES + 1];
	uint64_t key; /* 0: only the id */
};

struct room {
	char name[ROOM_NAME_MAX + 1];
	unsigned people_max;
	const struct room_observer *obs;
	void *arg;
	struct hash *by_id, *by_number;
	struct people people, lobby;
	uint32_t last_number;
	unsigned left_count, removed_count; /* ever */
	char left[ROOM_LEFT_MAX][PERSON_ID_BYTES + 1];
	char removed[ROOM_REMOVED_MAX][PERSON_ID_BYTES + 1];
	unsigned ban_count;
	struct ban bans[ROOM_BANS_MAX];
	bool rules[RULE_COUNT];
	unsigned spotlights;
	unsigned talker_count;
	uint32_t talkers[ROOM_TALKERS_MAX];
	uint64_t talk_us;
};

/* room.c */
void people_add(struct people *list, struct person *p);
void people_take_out(struct people *list, struct person *p);
bool room_has_ended(const struct room *r, const char *id);
void room_number(struct room *r, struct person *p);
/* A person who is in no list yet. */
struct person *person_create(struct room *r, const struct entry *e, uint64_t now_us);
void room_tell(struct room *r, const struct room_event *ev);

/* roles.c */
bool person_can(const struct person *p, enum capability cap);
/* Switches off what p may not send any more; true if that was anything. */
bool person_settle(struct person *p);

/* entry.c */
enum deny room_admit(struct room *r, struct person *p, uint64_t now_us);
enum deny room_ban(struct room *r, const struct person *p);

/* moderate.c: acts on people, each with its capability checked already */
enum deny moderate(struct room *r, struct person *p, const struct act *a,
		   uint64_t now_us);

#endif
