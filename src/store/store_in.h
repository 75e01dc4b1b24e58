/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* store: what its files share. */
#ifndef STORE_IN_H
#define STORE_IN_H

#include <palabre/store.h>

struct sqlite3;

enum change_type { CHANGE_ROOM, CHANGE_ROOM_GONE, CHANGE_LINK };
/* One thing to be written; freed by the thread. */
struct change {
	enum change_type type;
	struct store_room room; /* of links only the name */
	struct store_link link;
};

/* disk.c: the only file that knows SQLite. 0 or -EIO; where `why` is, -errno and words. */
int disk_open(struct sqlite3 **out, const char *path, char *why, size_t why_len);
void disk_close(struct sqlite3 *db);
int disk_read(struct sqlite3 *db,
	      int (*on_room)(void *arg, const struct store_room *room),
	      int (*on_link)(void *arg, const char *room, const struct store_link *link),
	      void *arg);
int disk_write(struct sqlite3 *db, const struct change *c);

#endif
