/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The file: its tables, and rows ↔ structs. WAL, so that a crash loses nothing that was
 * written; each change is a transaction of its own, since they are rare. */
#include "store_in.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 2, BUSY_MS = 1000 };

/* What each version added to the one before; a new file gets all of it. */
static const char *const steps[VERSION] = {
	"CREATE TABLE room (name TEXT PRIMARY KEY, title TEXT NOT NULL,"
	" description TEXT NOT NULL, starts_s INTEGER NOT NULL, ends_s INTEGER NOT NULL,"
	" zone TEXT NOT NULL, languages TEXT NOT NULL, lobby INTEGER NOT NULL,"
	" audience INTEGER NOT NULL, approve INTEGER NOT NULL, pin TEXT NOT NULL,"
	" data_mode INTEGER NOT NULL, retention_days INTEGER NOT NULL) STRICT;"
	"CREATE TABLE link (id INTEGER PRIMARY KEY, room TEXT NOT NULL"
	" REFERENCES room (name) ON DELETE CASCADE, role INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL) STRICT;",
	"ALTER TABLE room ADD COLUMN mute INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE room ADD COLUMN lock INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE link ADD COLUMN made_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE link ADD COLUMN expires_s INTEGER NOT NULL DEFAULT 0;",
};

static int version_of(sqlite3 *db)
{
	sqlite3_stmt *st;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL))
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return version;
}

/* Whole, or as it was. */
static int upgrade(sqlite3 *db, int version)
{
	char done[64];

	snprintf(done, sizeof done, "PRAGMA user_version = %d; COMMIT", VERSION);
	if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL))
		return -EIO;
	for (int i = version; i < VERSION; i++)
		if (sqlite3_exec(db, steps[i], NULL, NULL, NULL))
			return -EIO;
	return sqlite3_exec(db, done, NULL, NULL, NULL) ? -EIO : 0;
}

static int prepare(sqlite3 *db, const char *path, char *why, size_t why_len)
{
	int version;

	sqlite3_busy_timeout(db, BUSY_MS);
	/* Two programs that each think they know all of it would undo each other's changes. */
	if (sqlite3_exec(db,
			 "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
			 "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
			 "PRAGMA trusted_schema = OFF; BEGIN EXCLUSIVE; COMMIT",
			 NULL, NULL, NULL))
		goto fail;
	version = version_of(db);
	if (version > VERSION) {
		snprintf(why, why_len, "%s was written by a newer palabred", path);
		return -EINVAL;
	}
	if (version >= 0 && (version == VERSION || !upgrade(db, version)))
		return 0;
fail:
	if (sqlite3_errcode(db) == SQLITE_BUSY) {
		snprintf(why, why_len, "%s is locked: another palabred uses it", path);
		return -EBUSY;
	}
	snprintf(why, why_len, "%s cannot be used: %s", path, sqlite3_errmsg(db));
	return -EIO;
}

int disk_open(sqlite3 **out, const char *path, char *why, size_t why_len)
{
	/* Before SQLite makes it, which would give it the usual mode. One that is there is
	 * not opened: closing it would end the locks that this process has on it. */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = -errno;
	sqlite3 *db = NULL;

	if (fd < 0 && err != -EEXIST) {
		snprintf(why, why_len, "%s cannot be opened: %s", path, strerror(-err));
		return err;
	}
	if (fd >= 0)
		close(fd);
	else if (access(path,
			R_OK | W_OK)) { /* SQLite's words would be "disk I/O error" */
		err = -errno;
		snprintf(why, why_len,
			 "%s cannot be read and written: %s; it must belong to the user "
			 "that the server runs as",
			 path, strerror(-err));
		return err;
	}
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX,
			    NULL)) {
		snprintf(why, why_len, "%s cannot be opened: %s", path,
			 db ? sqlite3_errmsg(db) : "not enough memory");
		sqlite3_close(db);
		return -EIO;
	}
	err = prepare(db, path, why, why_len);
	if (err)
		sqlite3_close(db);
	else
		*out = db;
	return err;
}

void disk_close(sqlite3 *db)
{
	sqlite3_close(db);
}

/* ---- reading ------------------------------------------------------------------------ */

static void text_of(sqlite3_stmt *st, int column, char *out, size_t len)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	snprintf(out, len, "%s", text ? text : "");
}

static void room_of(sqlite3_stmt *st, struct store_room *r)
{
	memset(r, 0, sizeof *r);
	text_of(st, 0, r->name, sizeof r->name);
	text_of(st, 1, r->title, sizeof r->title);
	text_of(st, 2, r->description, sizeof r->description);
	r->starts_s = (uint64_t)sqlite3_column_int64(st, 3);
	r->ends_s = (uint64_t)sqlite3_column_int64(st, 4);
	text_of(st, 5, r->zone, sizeof r->zone);
	text_of(st, 6, r->languages, sizeof r->languages);
	r->lobby = sqlite3_column_int(st, 7);
	r->audience = sqlite3_column_int(st, 8);
	r->approve = sqlite3_column_int(st, 9);
	text_of(st, 10, r->pin, sizeof r->pin);
	r->data_mode = (enum store_data_mode)sqlite3_column_int(st, 11);
	r->retention_days = (unsigned)sqlite3_column_int(st, 12);
	r->mute = sqlite3_column_int(st, 13);
	r->lock = sqlite3_column_int(st, 14);
}

int disk_read(sqlite3 *db, int (*on_room)(void *arg, const struct store_room *room),
	      int (*on_link)(void *arg, const char *room, const struct store_link *link),
	      void *arg)
{
	sqlite3_stmt *st;
	struct store_room room;
	struct store_link link;
	char name[STORE_NAME_MAX + 1];
	int err = 0, step;

	if (sqlite3_prepare_v2(db, "SELECT * FROM room", -1, &st, NULL))
		return -EIO;
	while ((step = sqlite3_step(st)) == SQLITE_ROW && !err) {
		room_of(st, &room);
		err = on_room(arg, &room);
	}
	sqlite3_finalize(st);
	if (err || step != SQLITE_DONE)
		return err ? err : -EIO;
	if (sqlite3_prepare_v2(
		    db,
		    "SELECT room, id, role, revoked, made_s, expires_s FROM link"
		    " ORDER BY made_s, id",
		    -1, &st, NULL))
		return -EIO;
	while ((step = sqlite3_step(st)) == SQLITE_ROW && !err) {
		text_of(st, 0, name, sizeof name);
		link = (struct store_link) {
			.id = (uint32_t)sqlite3_column_int64(st, 1),
			.role = (unsigned)sqlite3_column_int(st, 2),
			.revoked = sqlite3_column_int(st, 3),
			.made_s = (uint64_t)sqlite3_column_int64(st, 4),
			.expires_s = (uint64_t)sqlite3_column_int64(st, 5)
		};
		err = on_link(arg, name, &link);
	}
	sqlite3_finalize(st);
	return err ? err : step == SQLITE_DONE ? 0 : -EIO;
}

/* ---- writing ------------------------------------------------------------------------ */

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_room(sqlite3_stmt *st, const struct store_room *r)
{
	bind_text(st, 1, r->name);
	bind_text(st, 2, r->title);
	bind_text(st, 3, r->description);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)r->starts_s);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)r->ends_s);
	bind_text(st, 6, r->zone);
	bind_text(st, 7, r->languages);
	sqlite3_bind_int(st, 8, r->lobby);
	sqlite3_bind_int(st, 9, r->audience);
	sqlite3_bind_int(st, 10, r->approve);
	bind_text(st, 11, r->pin);
	sqlite3_bind_int(st, 12, (int)r->data_mode);
	sqlite3_bind_int(st, 13, (int)r->retention_days);
	sqlite3_bind_int(st, 14, r->mute);
	sqlite3_bind_int(st, 15, r->lock);
}

static void bind_link(sqlite3_stmt *st, const struct change *c)
{
	sqlite3_bind_int64(st, 1, c->link.id);
	bind_text(st, 2, c->room.name);
	sqlite3_bind_int(st, 3, (int)c->link.role);
	sqlite3_bind_int(st, 4, c->link.revoked);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)c->link.made_s);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)c->link.expires_s);
}

int disk_write(sqlite3 *db, const struct change *c)
{
	/* Not REPLACE, which deletes the row first, and its links with it. */
	static const char *const texts[] = {
		[CHANGE_ROOM] =
			"INSERT INTO room VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
			" ON CONFLICT (name) DO UPDATE SET title = excluded.title,"
			" description = excluded.description, starts_s = "
			"excluded.starts_s,"
			" ends_s = excluded.ends_s, zone = excluded.zone,"
			" languages = excluded.languages, lobby = excluded.lobby,"
			" audience = excluded.audience, approve = excluded.approve,"
			" pin = excluded.pin, data_mode = excluded.data_mode,"
			" retention_days = excluded.retention_days,"
			" mute = excluded.mute, lock = excluded.lock",
		[CHANGE_ROOM_GONE] = "DELETE FROM room WHERE name = ?",
		[CHANGE_LINK] =
			("INSERT INTO link VALUES (?,?,?,?,?,?)"
			 " ON CONFLICT (id) DO UPDATE SET revoked = excluded.revoked"),
	};
	sqlite3_stmt *st;
	int step;

	if (sqlite3_prepare_v2(db, texts[c->type], -1, &st, NULL))
		return -EIO;
	if (c->type == CHANGE_ROOM)
		bind_room(st, &c->room);
	else if (c->type == CHANGE_LINK)
		bind_link(st, c);
	else
		bind_text(st, 1, c->room.name);
	step = sqlite3_step(st);
	sqlite3_finalize(st);
	return step == SQLITE_DONE ? 0 : -EIO;
}
