/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rooms and links are there again after the store was closed; limits; what is no store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <palabre/store.h>

static char dir[64], path[96], why[256];
static struct store *store;

static void open_store(void)
{
	if (store_open(&store, path, why, sizeof why))
		fail_msg("%s", why);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/palabre-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/rooms.db", dir);
	log_set_level(LOG_ERROR);
	open_store();
	return 0;
}

static int tear_down(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char file[128];

	(void)state;
	if (store)
		store_close(store);
	store = NULL;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	return rmdir(dir);
}

static void reopen(void)
{
	store_close(store);
	open_store();
}

static const struct store_room tree = {
	.name = "tree",
	.title = "Under the tree – 明 '); DROP TABLE room;--",
	.description = "Monthly.\nBring questions.",
	.starts_s = 1800000000,
	.ends_s = 1800003600,
	.zone = "Africa/Nairobi",
	.languages = "en,sw,ar",
	.lobby = true,
	.mute = true,
	.lock = true,
	.approve = true,
	.pin = "483920",
	.data_mode = STORE_DATA_VOICE,
	.retention_days = 7
};

static void rooms_are_kept(void **state)
{
	struct store_room other = { .name = "other" };
	const struct store_room *r;
	struct stat st;

	(void)state;
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(store_room_put(store, &other), 0);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	reopen();
	assert_int_equal(store_rooms(store), 2);
	r = store_room_find(store, "tree");
	assert_non_null(r);
	assert_memory_equal(r, &tree, sizeof tree);
	assert_ptr_equal(store_room_by_pin(store, "483920"), r);
	assert_null(store_room_by_pin(store, ""));
	assert_null(store_room_by_pin(store, "4839"));
	other.audience = true;
	assert_int_equal(store_room_put(store, &other), 0);
	assert_int_equal(store_room_remove(store, "tree"), 0);
	assert_int_equal(store_room_remove(store, "tree"), -ENOENT);
	reopen();
	assert_int_equal(store_rooms(store), 1);
	assert_true(store_room_find(store, "other")->audience);
}

static void what_is_wrong_is_refused(void **state)
{
	struct store_room r = tree;

	(void)state;
	r.name[0] = 0;
	assert_int_equal(store_room_put(store, &r), -EINVAL);
	r = tree;
	r.ends_s = 1;
	assert_int_equal(store_room_put(store, &r), -EINVAL);
	r = tree;
	strcpy(r.pin, "12a");
	assert_int_equal(store_room_put(store, &r), -EINVAL);
	assert_int_equal(store_rooms(store), 0);
	assert_int_equal(store_room_put(store, &tree), 0);
	r = tree;
	strcpy(r.name, "forest");
	assert_int_equal(store_room_put(store, &r),
			 -EEXIST); /* whose call would it be? */
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(store_rooms(store), 1);
}

enum { NOW_S = 1800000000 };

static uint32_t link_of(const char *room, unsigned role, uint64_t expires_s)
{
	struct store_link l;

	assert_int_equal(store_link_add(store, room, role, NOW_S, expires_s, &l), 0);
	return l.id;
}

static enum store_link_state is(const char *room, unsigned role, uint32_t id)
{
	return store_link_check(store, room, role, id, NOW_S);
}

static void links_are_revoked_for_good(void **state)
{
	struct store_link links[4], none;
	uint32_t host, guest;

	(void)state;
	assert_int_equal(store_link_add(store, "tree", 0, NOW_S, 0, &none), -ENOENT);
	assert_int_equal(store_room_put(store, &tree), 0);
	host = link_of("tree", 0, 0);
	guest = link_of("tree", 2, 0);
	assert_true(host != guest && host && guest);
	assert_int_equal(is("tree", 0, host), STORE_LINK_GOOD);
	assert_int_equal(is("tree", 0, guest), STORE_LINK_UNKNOWN); /* another role */
	assert_int_equal(is("other", 0, host), STORE_LINK_UNKNOWN);
	assert_int_equal(is("tree", 0, 0), STORE_LINK_UNKNOWN);
	assert_int_equal(store_link_revoke(store, "tree", guest), 0);
	assert_int_equal(is("tree", 2, guest), STORE_LINK_REVOKED);
	assert_int_equal(store_link_revoke(store, "tree", guest + 1), -ENOENT);
	assert_int_equal(store_link_revoke(store, "other", host), -ENOENT);
	reopen();
	assert_int_equal(is("tree", 0, host), STORE_LINK_GOOD);
	assert_int_equal(is("tree", 2, guest), STORE_LINK_REVOKED);
	assert_int_equal(store_links(store, "tree", links, 4), 2);
	/* A room that changes keeps its links; one made again under its name has none. */
	assert_int_equal(store_room_put(store, &tree), 0);
	reopen();
	assert_int_equal(is("tree", 0, host), STORE_LINK_GOOD);
	assert_int_equal(store_room_remove(store, "tree"), 0);
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(is("tree", 0, host), STORE_LINK_UNKNOWN);
	reopen();
	assert_int_equal(store_links(store, "tree", links, 4), 0);
}

static void links_end_at_their_time(void **state)
{
	uint32_t id;

	(void)state;
	assert_int_equal(store_room_put(store, &tree), 0);
	id = link_of("tree", 5, NOW_S + 60);
	reopen();
	assert_int_equal(store_link_check(store, "tree", 5, id, NOW_S + 59),
			 STORE_LINK_GOOD);
	assert_int_equal(store_link_check(store, "tree", 5, id, NOW_S + 60),
			 STORE_LINK_EXPIRED);
	assert_int_equal(store_link_revoke(store, "tree", id), 0);
	assert_int_equal(store_link_check(store, "tree", 5, id, NOW_S + 60),
			 STORE_LINK_REVOKED);
}

static void links_have_a_limit(void **state)
{
	struct store_link l;

	(void)state;
	assert_int_equal(store_room_put(store, &tree), 0);
	for (unsigned i = 0; i < STORE_LINKS_MAX; i++)
		link_of("tree", 2, 0);
	assert_int_equal(store_link_add(store, "tree", 2, NOW_S, 0, &l), -ENOBUFS);
	assert_int_equal(store_flush(store), 0);
}

static void count_room(void *arg, const struct store_room *room)
{
	unsigned *count = arg;

	assert_string_equal(room->name, "tree");
	++*count;
}

static void without_a_file_it_is_in_memory(void **state)
{
	unsigned count = 0;

	(void)state;
	assert_true(store_is_kept(store));
	store_close(store);
	assert_int_equal(store_open(&store, NULL, why, sizeof why), 0);
	assert_false(store_is_kept(store));
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(is("tree", 0, link_of("tree", 0, 0)), STORE_LINK_GOOD);
	store_rooms_each(store, count_room, &count);
	assert_int_equal(count, 1);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(store_changed(store), store_tried(store));
	reopen();
	assert_int_equal(store_rooms(store), 0);
}

/* A crash: nobody closes; what was flushed is there. */
static void a_crash_loses_nothing_that_was_flushed(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	store_close(store);
	store = NULL;
	child = fork();
	if (!child) {
		if (store_open(&store, path, why, sizeof why) ||
		    store_room_put(store, &tree) || store_flush(store))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	open_store();
	assert_int_equal(store_rooms(store), 1);
}

static void nobody_else_has_it(void **state)
{
	struct store *second = NULL;

	(void)state;
	assert_int_equal(store_open(&second, path, why, sizeof why), -EBUSY);
	assert_non_null(strstr(why, "locked"));
	assert_null(second);
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(store_flush(store), 0);
}

/* By another's hand. */
static void change_file(const char *sql)
{
	sqlite3 *db;

	if (store)
		store_close(store);
	store = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void what_is_not_understood_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(store_room_put(store, &tree), 0);
	change_file("UPDATE room SET data_mode = 99");
	assert_int_equal(store_open(&store, path, why, sizeof why), -EBADMSG);
	change_file("UPDATE room SET data_mode = 0");
	open_store();
	assert_int_equal(store_rooms(store), 1);
	change_file("PRAGMA user_version = 3");
	assert_int_equal(store_open(&store, path, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "newer"));
}

/* As the first version wrote it. */
static void an_older_file_is_brought_up(void **state)
{
	(void)state;
	change_file("DROP TABLE link; DROP TABLE room;"
		    "CREATE TABLE room (name TEXT PRIMARY KEY, title TEXT NOT NULL,"
		    " description TEXT NOT NULL, starts_s INTEGER NOT NULL,"
		    " ends_s INTEGER NOT NULL, zone TEXT NOT NULL,"
		    " languages TEXT NOT NULL, lobby INTEGER NOT NULL,"
		    " audience INTEGER NOT NULL, approve INTEGER NOT NULL,"
		    " pin TEXT NOT NULL, data_mode INTEGER NOT NULL,"
		    " retention_days INTEGER NOT NULL) STRICT;"
		    "CREATE TABLE link (id INTEGER PRIMARY KEY, room TEXT NOT NULL"
		    " REFERENCES room (name) ON DELETE CASCADE,"
		    " role INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT;"
		    "INSERT INTO room VALUES ('tree', 'T', '', 1, 2, '', '', 1, 0, 0,"
		    " '', 0, 0);"
		    "INSERT INTO link VALUES (7, 'tree', 2, 0);"
		    "PRAGMA user_version = 1");
	open_store();
	assert_string_equal(store_room_find(store, "tree")->title, "T");
	assert_true(store_room_find(store, "tree")->lobby);
	assert_false(store_room_find(store, "tree")->lock);
	assert_int_equal(is("tree", 2, 7), STORE_LINK_GOOD);
	assert_int_equal(store_room_put(store, &tree), 0);
	reopen();
	assert_memory_equal(store_room_find(store, "tree"), &tree, sizeof tree);
	assert_int_equal(is("tree", 2, 7), STORE_LINK_GOOD);
}

/* A disk that refuses is told of. */
static void a_failure_is_not_silent(void **state)
{
	(void)state;
	change_file("CREATE TRIGGER no BEFORE INSERT ON room BEGIN"
		    " SELECT RAISE(ABORT, 'no'); END");
	open_store();
	log_set_level(LOG_ERROR + 1);
	assert_int_equal(store_room_put(store, &tree), 0);
	assert_int_equal(store_flush(store), -EIO);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(store_changed(store), 1);
	assert_int_equal(store_tried(store), 1);
	assert_int_equal(store_refused(store), 1);
}

static void what_is_no_store_is_said_so(void **state)
{
	struct store *none = NULL;
	FILE *f;

	(void)state;
	assert_int_equal(store_open(&none, "/nonexistent/rooms.db", why, sizeof why),
			 -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/rooms.db"));
	store_close(store);
	store = NULL;
	f = fopen(path, "w");
	assert_non_null(f);
	for (unsigned i = 0; i < 5000; i++)
		fputs("this is no database ", f);
	fclose(f);
	assert_int_equal(store_open(&none, path, why, sizeof why), -EIO);
	assert_non_null(strstr(why, "cannot be used"));
	assert_null(none);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rooms_are_kept),
		TEST(what_is_wrong_is_refused),
		TEST(links_are_revoked_for_good),
		TEST(links_end_at_their_time),
		TEST(links_have_a_limit),
		TEST(without_a_file_it_is_in_memory),
		TEST(a_crash_loses_nothing_that_was_flushed),
		TEST(nobody_else_has_it),
		TEST(what_is_not_understood_is_left_alone),
		TEST(an_older_file_is_brought_up),
		TEST(a_failure_is_not_silent),
		TEST(what_is_no_store_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
