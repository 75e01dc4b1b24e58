/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is in memory, and the thread that writes. Invariant: a change is in memory exactly if it
 * is in the ring, or the thread has taken it, in the same order; what the disk refuses is logged,
 * and told by the next flush.
 */
#include "store_in.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 1024 };

struct entry {
	struct hash_node node;
	struct store_room room;
	unsigned link_count;
	struct store_link links[STORE_LINKS_MAX];
};

struct store {
	struct hash *rooms;
	struct sqlite3 *db; /* the thread's, once it runs; NULL: there is none */
	struct ring *changes;
	pthread_t thread;
	sem_t flushed;
	_Atomic bool failed; /* since the last flush */
	uint64_t changed;
	_Atomic uint64_t tried, refused; /* by the thread */
};

/* ---- the thread --------------------------------------------------------------------- */

/* In the ring between changes; needing no memory, they can always be sent. */
static struct change flush, stop;

/* False: it was the last. */
static bool take(struct store *s, struct change *c)
{
	if (c == &stop)
		return false;
	if (c == &flush) {
		sem_post(&s->flushed);
		return true;
	}
	if (disk_write(s->db, c)) {
		log_error("store.write", "room=%s", c->room.name);
		atomic_store(&s->failed, true);
		s->refused++;
	}
	s->tried++;
	free(c);
	return true;
}

static void *run(void *arg)
{
	struct store *s = arg;
	struct pollfd fd = { .fd = ring_fd(s->changes), .events = POLLIN };
	struct change *c;

	for (;;) {
		if (poll(&fd, 1, -1) < 0)
			continue;
		ring_clear(s->changes);
		while (ring_pop(s->changes, &c))
			if (!take(s, c))
				return NULL;
	}
}

static int push(struct store *s, const struct change *change)
{
	struct change *c = s->db ? malloc(sizeof *c) : NULL;

	if (!s->db)
		return 0;
	if (!c)
		return -ENOMEM;
	*c = *change;
	if (!ring_push(s->changes, &c)) {
		s->changed++;
		return 0;
	}
	free(c);
	STAT_INC(store_full);
	return -ENOBUFS;
}

/* The thread makes room all the time. */
static void push_patiently(struct store *s, struct change *c)
{
	while (ring_push(s->changes, &c))
		(void)poll(NULL, 0, 1);
}

int store_flush(struct store *s)
{
	if (!s->db)
		return 0;
	push_patiently(s, &flush);
	while (sem_wait(&s->flushed) && errno == EINTR)
		;
	return atomic_exchange(&s->failed, false) ? -EIO : 0;
}

uint64_t store_changed(const struct store *s)
{
	return s->changed;
}

uint64_t store_tried(const struct store *s)
{
	return s->tried;
}

uint64_t store_refused(const struct store *s)
{
	return s->refused;
}

/* ---- memory ------------------------------------------------------------------------- */

static uint64_t name_hash(const char *name)
{
	return hash_bytes(name, strlen(name));
}

static struct entry *find(const struct store *s, const char *name)
{
	for (struct hash_node *n = hash_find(s->rooms, name_hash(name)); n;
	     n = hash_next(n)) {
		struct entry *e = CONTAINER_OF(n, struct entry, node);

		if (!strcmp(e->room.name, name))
			return e;
	}
	return NULL;
}

static struct store_link *find_link(struct entry *e, uint32_t id)
{
	for (unsigned i = 0; e && i < e->link_count; i++)
		if (e->links[i].id == id)
			return &e->links[i];
	return NULL;
}

static struct entry *add(struct store *s, const struct store_room *room)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->room = *room;
	hash_insert(s->rooms, &e->node, name_hash(room->name));
	return e;
}

static bool is_wrong(const struct store_room *r)
{
	return !r->name[0] || (r->ends_s && r->ends_s < r->starts_s) ||
	       r->starts_s > INT64_MAX || r->ends_s > INT64_MAX ||
	       r->pin[strspn(r->pin, "0123456789")] ||
	       (unsigned)r->data_mode >= STORE_DATA_MODES ||
	       r->retention_days > STORE_RETENTION_DAYS_MAX;
}

static int on_room(void *arg, const struct store_room *room)
{
	struct store *s = arg;

	if (hash_count(s->rooms) == STORE_ROOMS_MAX)
		return -ENOBUFS;
	if (is_wrong(room))
		return -EBADMSG;
	return add(s, room) ? 0 : -ENOMEM;
}

static int on_link(void *arg, const char *room, const struct store_link *link)
{
	struct entry *e = find(arg, room);

	if (e && e->link_count < STORE_LINKS_MAX)
		e->links[e->link_count++] = *link;
	return 0;
}

static void free_entry(struct hash_node *n, void *arg)
{
	hash_remove(arg, n);
	free(CONTAINER_OF(n, struct entry, node));
}

static void store_free(struct store *s)
{
	if (s->rooms) {
		hash_each(s->rooms, free_entry, s->rooms);
		hash_destroy(s->rooms);
	}
	if (s->changes)
		ring_destroy(s->changes);
	if (s->db)
		disk_close(s->db);
	sem_destroy(&s->flushed);
	free(s);
}

/* The file, and the thread that writes it. */
static int open_file(struct store *s, const char *path, char *why, size_t why_len)
{
	int err = disk_open(&s->db, path, why, why_len);

	if (!err) {
		err = disk_read(s->db, on_room, on_link, s);
		if (err)
			snprintf(why, why_len, "%s cannot be read: %s", path,
				 err == -EBADMSG   ? "it holds a room that cannot be"
				 : err == -ENOBUFS ? "it holds too many rooms"
						   : "it is damaged");
	}
	if (!err) {
		err = -pthread_create(&s->thread, NULL, run, s);
		if (err)
			snprintf(why, why_len, "no thread: %s", strerror(-err));
	}
	return err;
}

int store_open(struct store **out, const char *path, char *why, size_t why_len)
{
	struct store *s = calloc(1, sizeof *s);
	int err = -ENOMEM;

	snprintf(why, why_len, "not enough memory");
	if (!s)
		return err;
	sem_init(&s->flushed, 0, 0);
	s->rooms = hash_create(64);
	s->changes = ring_create(RING, sizeof(struct change *));
	if (s->rooms && s->changes)
		err = path ? open_file(s, path, why, why_len) : 0;
	if (err)
		store_free(s);
	else
		*out = s;
	return err;
}

void store_close(struct store *s)
{
	if (s->db) {
		push_patiently(s, &stop);
		pthread_join(s->thread, NULL);
	}
	store_free(s);
}

bool store_is_kept(const struct store *s)
{
	return s->db;
}

/* ---- rooms -------------------------------------------------------------------------- */

unsigned store_rooms(const struct store *s)
{
	return hash_count(s->rooms);
}

const struct store_room *store_room_find(const struct store *s, const char *name)
{
	const struct entry *e = find(s, name);

	return e ? &e->room : NULL;
}

struct by_pin {
	const char *pin;
	const struct store_room *found;
};

static void match_pin(struct hash_node *n, void *arg)
{
	const struct entry *e = CONTAINER_OF(n, struct entry, node);
	struct by_pin *want = arg;

	if (!strcmp(e->room.pin, want->pin))
		want->found = &e->room;
}

/* A call or two a minute: walking is cheap enough. */
const struct store_room *store_room_by_pin(const struct store *s, const char *pin)
{
	struct by_pin want = { pin, NULL };

	if (pin[0])
		hash_each(s->rooms, match_pin, &want);
	return want.found;
}

struct each {
	void (*fn)(void *arg, const struct store_room *room);
	void *arg;
};

static void each_room(struct hash_node *n, void *arg)
{
	const struct each *each = arg;

	each->fn(each->arg, &CONTAINER_OF(n, struct entry, node)->room);
}

void store_rooms_each(const struct store *s,
		      void (*fn)(void *arg, const struct store_room *room), void *arg)
{
	struct each each = { fn, arg };

	hash_each(s->rooms, each_room, &each);
}

static int check_room(const struct store *s, const struct store_room *r)
{
	const struct store_room *other;

	if (is_wrong(r))
		return -EINVAL;
	other = store_room_by_pin(s, r->pin);
	return other && strcmp(other->name, r->name) != 0 ? -EEXIST : 0;
}

int store_room_put(struct store *s, const struct store_room *room)
{
	struct change c = { .type = CHANGE_ROOM, .room = *room };
	struct entry *e = find(s, room->name);
	int err = check_room(s, room);
	bool made = false;

	if (!err && !e && hash_count(s->rooms) == STORE_ROOMS_MAX) {
		STAT_INC(store_full);
		err = -ENOBUFS;
	}
	if (!err && !e) {
		e = add(s, room);
		made = e != NULL;
		err = e ? 0 : -ENOMEM;
	}
	if (!err)
		err = push(s, &c);
	if (!err)
		e->room = *room;
	else if (made)
		free_entry(&e->node, s->rooms);
	return err;
}

int store_room_remove(struct store *s, const char *name)
{
	struct change c = { .type = CHANGE_ROOM_GONE };
	struct entry *e = find(s, name);
	int err;

	if (!e)
		return -ENOENT;
	c.room = e->room;
	err = push(s, &c);
	if (!err)
		free_entry(&e->node, s->rooms);
	return err;
}

/* ---- links -------------------------------------------------------------------------- */

static int push_link(struct store *s, const struct entry *e,
		     const struct store_link *link)
{
	struct change c = { .type = CHANGE_LINK, .room = e->room, .link = *link };

	return push(s, &c);
}

struct by_link {
	uint32_t id;
	bool found;
};

static void match_link(struct hash_node *n, void *arg)
{
	struct by_link *want = arg;

	want->found |= find_link(CONTAINER_OF(n, struct entry, node), want->id) != NULL;
}

static uint32_t new_link_id(struct store *s)
{
	struct by_link taken;

	do {
		taken = (struct by_link) { random_u32(), false };
		hash_each(s->rooms, match_link, &taken);
	} while (!taken.id || taken.found);
	return taken.id;
}

int store_link_add(struct store *s, const char *room, unsigned role, uint64_t now_s,
		   uint64_t expires_s, struct store_link *out)
{
	struct entry *e = find(s, room);
	struct store_link link = { .role = role,
				   .made_s = now_s,
				   .expires_s = expires_s };
	int err;

	if (!e)
		return -ENOENT;
	if (e->link_count == STORE_LINKS_MAX) {
		STAT_INC(store_full);
		return -ENOBUFS;
	}
	link.id = new_link_id(s);
	err = push_link(s, e, &link);
	if (err)
		return err;
	e->links[e->link_count++] = link;
	*out = link;
	return 0;
}

int store_link_revoke(struct store *s, const char *room, uint32_t id)
{
	struct entry *e = find(s, room);
	struct store_link *l = find_link(e, id), revoked;
	int err;

	if (!l)
		return -ENOENT;
	revoked = *l;
	revoked.revoked = true;
	err = push_link(s, e, &revoked);
	if (!err)
		*l = revoked;
	return err;
}

enum store_link_state store_link_check(const struct store *s, const char *room,
				       unsigned role, uint32_t id, uint64_t now_s)
{
	const struct entry *e = find(s, room);
	struct store_link found = { 0 };

	for (unsigned i = 0; e && i < e->link_count; i++) { /* to the end, always */
		uint32_t mask = (uint32_t)0 - (e->links[i].id == id);

		found.id |= e->links[i].id & mask;
		found.role |= e->links[i].role & mask;
		found.revoked |= e->links[i].revoked & (mask != 0);
		found.expires_s |= e->links[i].expires_s & ((uint64_t)0 - (mask != 0));
	}
	if (!id || found.id != id || found.role != role)
		return STORE_LINK_UNKNOWN;
	if (found.revoked)
		return STORE_LINK_REVOKED;
	return found.expires_s && now_s >= found.expires_s ? STORE_LINK_EXPIRED
							   : STORE_LINK_GOOD;
}

unsigned store_links(const struct store *s, const char *room, struct store_link *out,
		     unsigned max)
{
	const struct entry *e = find(s, room);

	if (!e)
		return 0;
	for (unsigned i = 0; i < e->link_count && i < max; i++)
		out[i] = e->links[i];
	return e->link_count;
}
