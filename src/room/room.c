/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* People of a room. Invariant: a person is in the list and in both tables, or in none. */
#include <palabre/room.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct room {
	char name[ROOM_NAME_MAX + 1];
	unsigned people_max;
	const struct room_observer *obs;
	void *arg;
	struct hash *by_id, *by_number;
	struct person *first, *last;
	uint32_t last_number;
	unsigned left_count; /* ever */
	char left[ROOM_LEFT_MAX][PERSON_ID_BYTES + 1];
};

static const char *const role_names[ROLE_COUNT] = {
	"host", "moderator", "speaker", "interpreter", "captioner", "listener"
};

const char *role_name(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? role_names[r] : NULL;
}

int role_parse(const char *text)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (!strcmp(text, role_names[i]))
			return i;
	return -EINVAL;
}

bool role_may_send(enum role r, unsigned media_kind)
{
	(void)media_kind;
	return r != ROLE_LISTENER && r != ROLE_CAPTIONER;
}

int room_name_check(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len && len <= ROOM_NAME_MAX && !name[len] ? 0 : -EINVAL;
}

struct room *room_create(const char *name, unsigned people_max,
			 const struct room_observer *obs, void *arg)
{
	struct room *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->by_id = hash_create(16);
	r->by_number = hash_create(16);
	if (!r->by_id || !r->by_number) {
		room_destroy(r);
		return NULL;
	}
	memcpy(r->name, name, strnlen(name, ROOM_NAME_MAX));
	r->people_max = people_max;
	r->obs = obs;
	r->arg = arg;
	return r;
}

void room_destroy(struct room *r)
{
	while (r->first) {
		struct person *p = r->first;

		r->first = p->next;
		free(p);
	}
	if (r->by_id)
		hash_destroy(r->by_id);
	if (r->by_number)
		hash_destroy(r->by_number);
	free(r);
}

const char *room_name(const struct room *r)
{
	return r->name;
}

static uint64_t id_hash(const char *id)
{
	return hash_bytes(id, strlen(id));
}

static bool has_left(const struct room *r, const char *id)
{
	unsigned count = r->left_count < ROOM_LEFT_MAX ? r->left_count : ROOM_LEFT_MAX;

	for (unsigned i = 0; i < count; i++)
		if (!strcmp(r->left[i], id))
			return true;
	return false;
}

static void insert(struct room *r, struct person *p)
{
	p->prev = r->last;
	*(r->last ? &r->last->next : &r->first) = p;
	r->last = p;
	hash_insert(r->by_id, &p->by_id, id_hash(p->id));
	hash_insert(r->by_number, &p->by_number, p->number);
}

static void take_out(struct room *r, struct person *p)
{
	*(p->prev ? &p->prev->next : &r->first) = p->next;
	*(p->next ? &p->next->prev : &r->last) = p->prev;
	hash_remove(r->by_id, &p->by_id);
	hash_remove(r->by_number, &p->by_number);
}

int room_join(struct room *r, const char *id, const char *name, enum role role,
	      uint64_t now_us, struct person **out)
{
	struct person *p = id ? room_by_id(r, id) : NULL;

	if (p) {
		if (name)
			room_set_name(r, p, name);
		*out = p;
		return 0;
	}
	if (id && has_left(r, id))
		return -EACCES;
	if (room_count(r) >= r->people_max)
		return -ENOSPC;
	p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	if (id)
		memcpy(p->id, id, strnlen(id, PERSON_ID_BYTES));
	else
		random_text(p->id, PERSON_ID_BYTES);
	for (char *c = p->id; *c; c++) /* fit for a URL and a selector */
		if (*c == '+' || *c == '/')
			*c = *c == '+' ? 'p' : 's';
	memcpy(p->name, name ? name : "", name ? strnlen(name, PERSON_NAME_MAX) : 0);
	p->number = ++r->last_number;
	p->role = role;
	p->room = r;
	p->away = true; /* until the media connection is up */
	p->away_us = now_us;
	insert(r, p);
	r->obs->joined(r->arg, p);
	*out = p;
	return 0;
}

void room_leave(struct room *r, struct person *p, enum leave_reason reason)
{
	r->obs->leaving(r->arg, p, reason);
	if (reason != LEAVE_EXPIRED)
		memcpy(r->left[r->left_count++ % ROOM_LEFT_MAX], p->id, sizeof p->id);
	take_out(r, p);
	free(p);
}

void room_set_media(struct room *r, struct person *p, unsigned kind, bool on)
{
	if (kind >= MEDIA_KINDS || p->media[kind] == on ||
	    (on && !role_may_send(p->role, kind)))
		return;
	p->media[kind] = on;
	r->obs->updated(r->arg, p);
}

void room_set_name(struct room *r, struct person *p, const char *name)
{
	if (!strcmp(p->name, name))
		return;
	memset(p->name, 0, sizeof p->name);
	memcpy(p->name, name, strnlen(name, PERSON_NAME_MAX));
	r->obs->updated(r->arg, p);
}

void room_set_away(struct room *r, struct person *p, bool away, uint64_t now_us)
{
	if (p->away == away)
		return;
	p->away = away;
	p->away_us = now_us;
	r->obs->updated(r->arg, p);
}

unsigned room_expire(struct room *r, uint64_t now_us, uint64_t keep_us)
{
	struct person *next;

	for (struct person *p = r->first; p; p = next) {
		next = p->next;
		if (p->away && now_us > p->away_us && now_us - p->away_us > keep_us)
			room_leave(r, p, LEAVE_EXPIRED);
	}
	return room_count(r);
}

unsigned room_count(const struct room *r)
{
	return hash_count(r->by_id);
}

struct person *room_first(const struct room *r)
{
	return r->first;
}

struct person *room_by_id(const struct room *r, const char *id)
{
	for (struct hash_node *n = hash_find(r->by_id, id_hash(id)); n;
	     n = hash_next(n)) {
		struct person *p = CONTAINER_OF(n, struct person, by_id);

		if (!strcmp(p->id, id))
			return p;
	}
	return NULL;
}

struct person *room_by_number(const struct room *r, uint32_t number)
{
	for (struct hash_node *n = hash_find(r->by_number, number); n; n = hash_next(n)) {
		struct person *p = CONTAINER_OF(n, struct person, by_number);

		if (p->number == number)
			return p;
	}
	return NULL;
}
