/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The door: lock, lobby, bans. Who was inside before comes back past lock and lobby; a ban
 * holds for everybody. Invariant: who waits is in the lobby's list and found by id, but has
 * no number, so that nothing which goes over the people meets them.
 */
#include "room_in.h"

#include <errno.h>
#include <string.h>

static bool is_banned(const struct room *r, const struct entry *e)
{
	for (unsigned i = 0; i < r->ban_count; i++) {
		const struct ban *b = &r->bans[i];

		if ((b->key && b->key == e->key) || (e->id && !strcmp(b->id, e->id)))
			return true;
	}
	return false;
}

enum deny room_may_enter(const struct room *r, const struct entry *e, bool *waits)
{
	const struct person *p = e->id ? room_by_id(r, e->id) : NULL;
	unsigned caps = role_caps(e->role);

	*waits = false;
	if (is_banned(r, e))
		return DENY_BANNED;
	if (p) {
		*waits = p->waiting;
		return DENY_NOTHING;
	}
	if (e->admitted)
		return DENY_NOTHING;
	if (r->rules[RULE_LOCK] && !(caps & CAP_PASS_LOCK))
		return DENY_LOCKED;
	*waits = r->rules[RULE_LOBBY] && !(caps & CAP_PASS_LOBBY);
	if (*waits && r->lobby.count >= ROOM_LOBBY_MAX) {
		STAT_INC(lobby_full);
		return DENY_LOBBY_FULL;
	}
	return DENY_NOTHING;
}

int room_wait(struct room *r, const struct entry *e, uint64_t now_us, struct person **out)
{
	struct person *p = e->id ? room_by_id(r, e->id) : NULL;

	if (p) {
		if (e->name)
			room_set_name(r, p, e->name);
		*out = p;
		return 0;
	}
	if (e->id && room_has_ended(r, e->id))
		return -EACCES;
	if (r->lobby.count >= ROOM_LOBBY_MAX)
		return -ENOSPC;
	p = person_create(r, e, now_us);
	if (!p)
		return -ENOMEM;
	p->waiting = true;
	people_add(&r->lobby, p);
	room_tell(r, &(struct room_event) { .type = ROOM_WAITING,
					    .audience = ROOM_TO_MODERATORS,
					    .person = p });
	*out = p;
	return 0;
}

enum deny room_admit(struct room *r, struct person *p, uint64_t now_us)
{
	if (room_count(r) >= r->people_max)
		return DENY_FULL;
	people_take_out(&r->lobby, p);
	p->waiting = false;
	p->away = true; /* until the media connection is up */
	p->away_us = now_us;
	room_number(r, p);
	r->obs->joined(r->arg, p);
	room_tell(r, &(struct room_event) { .type = ROOM_ADMITTED,
					    .audience = ROOM_TO_ONE,
					    .person = p });
	return DENY_NOTHING;
}

enum deny room_ban(struct room *r, const struct person *p)
{
	struct ban *b;

	if (r->ban_count == ROOM_BANS_MAX) {
		STAT_INC(ban_limit);
		return DENY_BANS_FULL;
	}
	b = &r->bans[r->ban_count++];
	memcpy(b->id, p->id, sizeof b->id);
	b->key = p->key;
	return DENY_NOTHING;
}

struct person *room_first_waiting(const struct room *r)
{
	return r->lobby.first;
}

unsigned room_waiting_count(const struct room *r)
{
	return r->lobby.count;
}
