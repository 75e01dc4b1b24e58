/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* People of a room. Invariant: a person is in the list and in both tables, or in none. */
#include "room_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	board_init(r);
	chat_init(r);
	return r;
}

void room_begin(struct room *r, const bool rules[RULE_COUNT], bool approve)
{
	memcpy(r->rules, rules, sizeof r->rules);
	memcpy(r->begun, rules, sizeof r->begun);
	r->board.rules.approve = approve;
}

static void free_people(struct people *list)
{
	while (list->first) {
		struct person *p = list->first;

		people_take_out(list, p);
		free(p);
	}
}

void room_destroy(struct room *r)
{
	free_people(&r->people);
	free_people(&r->lobby);
	board_fini(r);
	chat_fini(r);
	polls_fini(r);
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

static bool has_id(const char ring[][PERSON_ID_BYTES + 1], unsigned size, unsigned ever,
		   const char *id)
{
	for (unsigned i = 0; i < size && i < ever; i++)
		if (!strcmp(ring[i], id))
			return true;
	return false;
}

bool room_has_ended(const struct room *r, const char *id)
{
	return has_id(r->left, ROOM_LEFT_MAX, r->left_count, id) ||
	       has_id(r->removed, ROOM_REMOVED_MAX, r->removed_count, id);
}

static void remember_end(struct room *r, const struct person *p, enum leave_reason reason)
{
	char *place = NULL;

	if (reason == LEAVE_LEFT)
		place = r->left[r->left_count++ % ROOM_LEFT_MAX];
	else if (reason != LEAVE_EXPIRED)
		place = r->removed[r->removed_count++ % ROOM_REMOVED_MAX];
	if (place)
		memcpy(place, p->id, sizeof p->id);
}

void people_add(struct people *list, struct person *p)
{
	p->next = NULL;
	p->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = p;
	list->last = p;
	list->count++;
}

void people_take_out(struct people *list, struct person *p)
{
	*(p->prev ? &p->prev->next : &list->first) = p->next;
	*(p->next ? &p->next->prev : &list->last) = p->prev;
	list->count--;
}

void room_tell(struct room *r, const struct room_event *ev)
{
	if (r->obs->event)
		r->obs->event(r->arg, ev);
}

/* From now on one of the people. */
void room_number(struct room *r, struct person *p)
{
	p->number = ++r->last_number;
	people_add(&r->people, p);
	hash_insert(r->by_number, &p->by_number, p->number);
}

struct person *person_create(struct room *r, const struct entry *e, uint64_t now_us)
{
	struct person *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	if (e->id)
		memcpy(p->id, e->id, strnlen(e->id, PERSON_ID_BYTES));
	else
		random_text(p->id, PERSON_ID_BYTES);
	for (char *c = p->id; *c; c++) /* fit for a URL and a selector */
		if (*c == '+' || *c == '/')
			*c = *c == '+' ? 'p' : 's';
	if (e->name)
		memcpy(p->name, e->name, strnlen(e->name, PERSON_NAME_MAX));
	p->role = e->role;
	p->key = e->key;
	p->room = r;
	p->away = true; /* until the media connection is up */
	p->away_us = now_us;
	hash_insert(r->by_id, &p->by_id, id_hash(p->id));
	return p;
}

int room_enter(struct room *r, const struct entry *e, uint64_t now_us,
	       struct person **out)
{
	struct person *p = e->id ? room_by_id(r, e->id) : NULL;

	if (p && p->waiting)
		return -EACCES;
	if (p) {
		if (e->name)
			room_set_name(r, p, e->name);
		*out = p;
		return 0;
	}
	if (e->id && room_has_ended(r, e->id))
		return -EACCES;
	if (room_count(r) >= r->people_max)
		return -ENOSPC;
	p = person_create(r, e, now_us);
	if (!p)
		return -ENOMEM;
	room_number(r, p);
	r->obs->joined(r->arg, p);
	*out = p;
	return 0;
}

int room_join(struct room *r, const char *id, const char *name, enum role role,
	      uint64_t now_us, struct person **out)
{
	struct entry e = { .id = id, .name = name, .role = role };

	return room_enter(r, &e, now_us, out);
}

void room_leave(struct room *r, struct person *p, enum leave_reason reason)
{
	bool spotlit = p->spotlit;

	if (!p->waiting) {
		board_on_leave(r, p, reason);
		chat_on_leave(r, p, reason);
	}
	r->obs->leaving(r->arg, p, reason);
	remember_end(r, p, reason);
	people_take_out(p->waiting ? &r->lobby : &r->people, p);
	hash_remove(r->by_id, &p->by_id);
	if (!p->waiting)
		hash_remove(r->by_number, &p->by_number);
	free(p);
	if (spotlit) {
		r->spotlights--;
		room_tell(r, &(struct room_event) { .type = ROOM_SPOTLIGHT });
	}
}

enum deny room_set_media(struct room *r, struct person *p, unsigned kind, bool on)
{
	enum deny why = on ? person_may_send(p, kind) : DENY_NOTHING;

	if (why || kind >= MEDIA_KINDS || p->media[kind] == on)
		return why;
	p->media[kind] = on;
	r->obs->updated(r->arg, p);
	return DENY_NOTHING;
}

/* People hear of each other; of who waits, moderators. */
static void updated(struct room *r, struct person *p)
{
	if (!p->waiting)
		r->obs->updated(r->arg, p);
	else
		room_tell(r, &(struct room_event) { .type = ROOM_WAITING,
						    .audience = ROOM_TO_MODERATORS,
						    .person = p });
}

void room_set_name(struct room *r, struct person *p, const char *name)
{
	if (!strcmp(p->name, name))
		return;
	memset(p->name, 0, sizeof p->name);
	memcpy(p->name, name, strnlen(name, PERSON_NAME_MAX));
	updated(r, p);
}

void room_set_away(struct room *r, struct person *p, bool away, uint64_t now_us)
{
	if (p->away == away)
		return;
	p->away = away;
	p->away_us = now_us;
	if (!p->waiting)
		r->obs->updated(r->arg, p);
}

static void expire(struct room *r, struct people *list, uint64_t now_us, uint64_t keep_us)
{
	struct person *next;

	for (struct person *p = list->first; p; p = next) {
		next = p->next;
		if (p->away && now_us > p->away_us && now_us - p->away_us > keep_us)
			room_leave(r, p, LEAVE_EXPIRED);
	}
}

unsigned room_expire(struct room *r, uint64_t now_us, uint64_t keep_us)
{
	uint64_t lobby_us = ROOM_LOBBY_KEEP_S * 1000000ULL;

	expire(r, &r->people, now_us, keep_us);
	expire(r, &r->lobby, now_us, keep_us < lobby_us ? keep_us : lobby_us);
	return r->people.count + r->lobby.count;
}

void room_speaking(struct room *r, const uint32_t *numbers, unsigned count,
		   uint64_t now_us)
{
	for (unsigned i = 0; i < r->talker_count; i++) {
		struct person *p = room_by_number(r, r->talkers[i]);

		if (p && now_us > r->talk_us)
			p->spoke_us += now_us - r->talk_us;
	}
	r->talk_us = now_us;
	r->talker_count = count < ROOM_TALKERS_MAX ? count : ROOM_TALKERS_MAX;
	for (unsigned i = 0; i < r->talker_count; i++)
		r->talkers[i] = numbers[i];
}

void room_gather(struct room *r, uint64_t now_us)
{
	/* What those who speak have spoken so far. */
	uint32_t talkers[ROOM_TALKERS_MAX];

	memcpy(talkers, r->talkers, sizeof talkers);
	room_speaking(r, talkers, r->talker_count, now_us);
	board_tick(r);
	chat_tick(r);
	polls_tick(r);
}

unsigned room_count(const struct room *r)
{
	return r->people.count;
}

struct person *room_first(const struct room *r)
{
	return r->people.first;
}

bool room_rule(const struct room *r, enum rule rule)
{
	return r->rules[rule];
}

bool room_is_hosted(const struct room *r)
{
	for (const struct person *p = r->people.first; p; p = p->next)
		if (person_can(p, CAP_MODERATE) && !p->away)
			return true;
	return false;
}

bool room_is_arranged(const struct room *r)
{
	for (unsigned i = 0; i < RULE_COUNT; i++)
		if (r->rules[i] != r->begun[i])
			return true;
	/* Who was sent away has a ticket that is void only while this is remembered. */
	return r->ban_count || r->removed_count || r->board.first || r->poll_count ||
	       r->chat.pinned || r->chat.mode != CHAT_ALL;
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
