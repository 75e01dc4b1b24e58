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

struct board {
	struct board_rules rules;
	struct item *first, *last, *now;
	uint32_t last_id, revision, moderators_revision;
	unsigned waiting, pending, done;
	bool fresh; /* items to be told of at the next tick */
};

struct chat {
	enum chat_mode mode;
	uint32_t first_id, last_id;	    /* ids begin behind first_id */
	struct message kept[CHAT_KEPT_MAX]; /* by id, modulo */
	uint64_t said_us;		    /* rate.c's, of all */
	char *pinned;
	unsigned reactions[REACTIONS];
	bool reacted;
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
	bool rules[RULE_COUNT], begun[RULE_COUNT]; /* now, and at the beginning */
	unsigned spotlights;
	unsigned talker_count;
	uint32_t talkers[ROOM_TALKERS_MAX];
	uint64_t talk_us;
	struct board board;
	struct chat chat;
	unsigned poll_count;
	uint32_t last_poll;
	struct poll *polls[POLLS_MAX];
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

/* rate.c: takes one of `burst` that come back one in `gap_us`; `*state` begins as 0. */
bool rate_take(uint64_t *state, uint64_t now_us, uint64_t gap_us, unsigned burst);

/* numbers.c */
bool numbers_has(const struct numbers *s, uint32_t n);
int numbers_add(struct numbers *s, uint32_t n) MUST_CHECK; /* 0, -EEXIST, -ENOMEM */
bool numbers_take_out(struct numbers *s, uint32_t n);
void numbers_fini(struct numbers *s);

/* board.c */
void board_init(struct room *r);
void board_fini(struct room *r);
void board_on_leave(struct room *r, struct person *p, enum leave_reason reason);
void board_tick(struct room *r);
struct item *board_find(struct room *r, uint32_t id);
struct item *board_add(struct room *r, struct person *p, enum item_kind kind,
		       enum item_state state, uint64_t now_us);
void board_set_state(struct room *r, struct item *it, enum item_state state,
		     uint64_t now_us);
void board_take_off(struct room *r, struct item *it);
void board_changed(struct room *r, struct item *it);
/* board_order.c: what stands first of what waits, or NULL. */
struct item *board_next(struct room *r);
/* board_acts.c */
enum deny board_act(struct room *r, struct person *p, const struct act *a,
		    uint64_t now_us);
/* chat.c */
void chat_init(struct room *r);
void chat_fini(struct room *r);
void chat_tick(struct room *r);
void chat_on_leave(struct room *r, const struct person *p, enum leave_reason reason);
enum deny chat_act(struct room *r, struct person *p, const struct act *a,
		   uint64_t now_us);
/* poll.c */
void polls_fini(struct room *r);
void polls_tick(struct room *r);
enum deny poll_act(struct room *r, struct person *p, const struct act *a,
		   uint64_t now_us);
/* moderate.c: for the board. */
void person_call(struct room *r, const struct person *by, struct person *p);
void person_uncall(struct room *r, struct person *p);

#endif
