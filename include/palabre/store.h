/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * store: rooms and their links, kept in SQLite. Level 1. Nothing about people.
 *
 * All of it is in memory, too: reading never waits for the disk. What is changed is checked and
 * changed there at once, and written by the store's own thread, in order. Without a file it is in
 * memory only, and there is no thread. Every function is the control thread's.
 */
#ifndef PALABRE_STORE_H
#define PALABRE_STORE_H

#include <palabre/base.h>

enum {
	STORE_ROOMS_MAX = 10000,
	STORE_LINKS_MAX = 64, /* of one room, revoked ones included */
	STORE_NAME_MAX = 64,  /* bytes, as all below */
	STORE_TITLE_MAX = 200,
	STORE_DESCRIPTION_MAX = 4000,
	STORE_ZONE_MAX = 64,
	STORE_LANGUAGES_MAX = 100,
	STORE_PIN_MAX = 12,
	STORE_RETENTION_DAYS_MAX = 3650
};
enum store_data_mode {
	STORE_DATA_ALL,
	STORE_DATA_SLIDES,
	STORE_DATA_VOICE,
	STORE_DATA_MODES
};

struct store;
struct store_room {
	char name[STORE_NAME_MAX + 1];
	char title[STORE_TITLE_MAX + 1];
	char description[STORE_DESCRIPTION_MAX + 1];
	uint64_t starts_s, ends_s;     /* since 1970, UTC; 0 any time */
	char zone[STORE_ZONE_MAX + 1]; /* "Africa/Nairobi", in which they are shown */
	char languages[STORE_LANGUAGES_MAX + 1]; /* "en,fr" */
	/* How its calls begin; hosts may change that for the one that goes on. */
	bool lobby, mute, audience, lock, approve;
	char pin[STORE_PIN_MAX + 1]; /* digits, "" no dialling in */
	enum store_data_mode data_mode;
	unsigned retention_days; /* of texts; 0: in memory only */
};
struct store_link {
	uint32_t id; /* random, never 0 */
	unsigned role;
	bool revoked;
	uint64_t made_s, expires_s; /* since 1970; expires_s 0 never */
};
/* What a link is good for. */
enum store_link_state {
	STORE_LINK_GOOD,
	STORE_LINK_UNKNOWN, /* no such room, or none of its links, or of another role */
	STORE_LINK_REVOKED,
	STORE_LINK_EXPIRED
};

/* Opens or makes the file (mode 0600), reads it, starts the thread. -EBUSY another process has it,
 * -EIO, -EINVAL a newer version, -EBADMSG a row that cannot be, -errno; `why` for people. With a
 * `path` of NULL nothing is kept. */
int store_open(struct store **out, const char *path, char *why,
	       size_t why_len) MUST_CHECK;
/* Writes what is left, ends the thread. */
void store_close(struct store *s);
/* Waits until everything is written. 0, or -EIO: something could not be (it is so in memory). */
int store_flush(struct store *s) MUST_CHECK;
/* There is a file. */
bool store_is_kept(const struct store *s);
/* How many changes there have been, and how many of them are on the disk, or were refused by it;
 * and how many of those were. For who must not wait here. */
uint64_t store_changed(const struct store *s);
uint64_t store_tried(const struct store *s);
uint64_t store_refused(const struct store *s);

unsigned store_rooms(const struct store *s);
/* NULL. Valid until the room is changed. */
const struct store_room *store_room_find(const struct store *s, const char *name);
const struct store_room *store_room_by_pin(const struct store *s, const char *pin);
/* All, in no order; `fn` must not change the store. */
void store_rooms_each(const struct store *s,
		      void (*fn)(void *arg, const struct store_room *room), void *arg);
/* Makes it, or changes it. -EINVAL (no name, end before start, pin not of digits, …), -EEXIST
 * another room's pin, -ENOBUFS a limit, or the thread is too far behind; -ENOMEM. */
int store_room_put(struct store *s, const struct store_room *room) MUST_CHECK;
/* With its links. -ENOENT, -ENOBUFS, -ENOMEM. */
int store_room_remove(struct store *s, const char *name) MUST_CHECK;

/* -ENOENT no such room, -ENOBUFS, -ENOMEM. */
int store_link_add(struct store *s, const char *room, unsigned role, uint64_t now_s,
		   uint64_t expires_s, struct store_link *out) MUST_CHECK;
/* -ENOENT, -ENOBUFS, -ENOMEM. */
int store_link_revoke(struct store *s, const char *room, uint32_t id) MUST_CHECK;
/* Takes as long whatever the answer is, for a room of as many links. */
enum store_link_state store_link_check(const struct store *s, const char *room,
				       unsigned role, uint32_t id, uint64_t now_s);
/* How many there are, the oldest first; `max` of them into `out`. */
unsigned store_links(const struct store *s, const char *room, struct store_link *out,
		     unsigned max);

#endif
