/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What moderators do to people and to the room. Each act either happens whole or is
 * refused before anything changed. Nobody's microphone or camera is ever switched on from
 * here: people are allowed to, and asked to.
 */
#include "room_in.h"

/* Hosts may do it to everybody, moderators to those who are neither. */
static bool outranks(const struct person *p, const struct person *target)
{
	return person_can(p, CAP_APPOINT) || !person_can(target, CAP_MODERATE);
}

/* To themselves people may do what takes, not what gives: else a moderator would undo what
 * a host did. */
static bool is_own(const struct person *p, const struct person *target,
		   enum act_type type)
{
	return p == target &&
	       (type == ACT_MUTE || type == ACT_ROLE || type == ACT_SPOTLIGHT);
}

static enum deny target_of(struct room *r, const struct person *p, const struct act *a,
			   struct person **out)
{
	struct person *target = a->person ? room_by_id(r, a->person) : NULL;

	if (!target || target->waiting)
		return DENY_GONE;
	*out = target;
	return outranks(p, target) || is_own(p, target, a->type) ? DENY_NOTHING
								 : DENY_RANK;
}

static void told(struct room *r, struct person *p)
{
	person_settle(p);
	p->off = 0;
	r->obs->updated(r->arg, p);
}

/* ---- rules -------------------------------------------------------------------------- */

static bool settle_all(struct room *r)
{
	bool any = false;

	for (struct person *p = r->people.first; p; p = p->next)
		any |= person_settle(p);
	return any;
}

/* Everybody begins anew; but what a host has decided about a moderator stays, and is told
 * again. */
static void reset_mutes(struct room *r, const struct person *actor)
{
	for (struct person *p = r->people.first; p; p = p->next) {
		p->allowed = false;
		if (p->held[MEDIA_MIC] && !outranks(actor, p))
			told(r, p);
		else
			p->held[MEDIA_MIC] = false;
	}
}

static enum deny set_rules(struct room *r, const struct person *actor,
			   const struct act *a)
{
	bool was_muted = r->rules[RULE_MUTE], changed = false;

	for (unsigned i = 0; i < RULE_COUNT; i++) {
		if (a->rules[i] < 0 || r->rules[i] == !!a->rules[i])
			continue;
		changed = true;
		r->rules[i] = a->rules[i];
	}
	if (!changed)
		return DENY_NOTHING;
	room_tell(r, &(struct room_event) { .type = ROOM_RULES });
	if (was_muted != r->rules[RULE_MUTE])
		reset_mutes(r, actor);
	if (settle_all(r))
		room_tell(r, &(struct room_event) { .type = ROOM_OFF });
	return DENY_NOTHING;
}

/* ---- the lobby ---------------------------------------------------------------------- */

static enum deny admit_one(struct room *r, struct person *waiting, bool in,
			   uint64_t now_us)
{
	if (in)
		return room_admit(r, waiting, now_us);
	room_leave(r, waiting, LEAVE_DENIED);
	return DENY_NOTHING;
}

static enum deny admit(struct room *r, const struct act *a, uint64_t now_us)
{
	struct person *waiting, *next;
	enum deny why = DENY_NOTHING;

	if (a->person && a->person[0]) {
		waiting = room_by_id(r, a->person);
		return waiting && waiting->waiting ? admit_one(r, waiting, a->on, now_us)
						   : DENY_GONE;
	}
	for (waiting = r->lobby.first; waiting && !why; waiting = next) {
		next = waiting->next;
		why = admit_one(r, waiting, a->on, now_us);
	}
	return why;
}

/* ---- people ------------------------------------------------------------------------- */

/* The screen and its sound are held together. */
static unsigned kind_of(const struct act *a)
{
	return a->kind == MEDIA_SCREEN_AUDIO ? MEDIA_SCREEN : a->kind;
}

static enum deny mute(struct room *r, struct person *target, const struct act *a)
{
	unsigned kind = kind_of(a);

	target->media[kind] = false;
	if (kind == MEDIA_MIC || kind == MEDIA_SCREEN)
		target->media[MEDIA_SCREEN_AUDIO] = false;
	if (a->on) {
		target->held[kind] = true;
		target->allowed &= kind != MEDIA_MIC;
	}
	told(r, target);
	return DENY_NOTHING;
}

static enum deny allow(struct room *r, struct person *target, const struct act *a)
{
	unsigned kind = kind_of(a);
	bool held = target->held[kind], allowed = target->allowed;
	enum deny why;

	target->held[kind] = false;
	target->allowed |= kind == MEDIA_MIC && r->rules[RULE_MUTE];
	why = person_may_send(target, kind);
	if (why) { /* they have to be called first */
		target->held[kind] = held;
		target->allowed = allowed;
		return why;
	}
	if (target->held[kind] != held || target->allowed != allowed)
		told(r, target);
	if (a->type == ACT_ASK)
		room_tell(r, &(struct room_event) { .type = ROOM_ASKED,
						    .audience = ROOM_TO_ONE,
						    .person = target,
						    .kind = a->kind });
	return DENY_NOTHING;
}

static enum deny call_on(struct room *r, struct person *target, bool on)
{
	if (target->called == on)
		return DENY_NOTHING;
	target->called = on;
	if (on)
		target->held[MEDIA_MIC] = false;
	told(r, target);
	return DENY_NOTHING;
}

/* Their hand's turn has come. What a host has forbidden a moderator stays so. */
void person_call(struct room *r, const struct person *by, struct person *p)
{
	p->called = true;
	if (outranks(by, p))
		p->held[MEDIA_MIC] = false;
	told(r, p);
	room_tell(r, &(struct room_event) { .type = ROOM_ASKED,
					    .audience = ROOM_TO_ONE,
					    .person = p,
					    .kind = MEDIA_MIC });
}

void person_uncall(struct room *r, struct person *p)
{
	p->called = false;
	told(r, p);
}

static bool is_last_host(const struct room *r, const struct person *target)
{
	for (const struct person *p = r->people.first; p; p = p->next)
		if (p != target && p->role == ROLE_HOST)
			return false;
	return target->role == ROLE_HOST;
}

static enum deny give_role(struct room *r, struct person *p, struct person *target,
			   enum role role)
{
	if ((unsigned)role >= ROLE_COUNT || role == target->role)
		return DENY_NOTHING;
	if (role_caps(role) & CAP_MODERATE && !person_can(p, CAP_APPOINT))
		return DENY_HOST;
	if (is_last_host(r, target))
		return DENY_LAST_HOST;
	target->role = role;
	target->called = target->allowed = false;
	told(r, target);
	room_tell(r, &(struct room_event) { .type = ROOM_ROLE,
					    .audience = ROOM_TO_ONE,
					    .person = target });
	return DENY_NOTHING;
}

static enum deny spotlight(struct room *r, struct person *target, bool on)
{
	if (target->spotlit == on)
		return DENY_NOTHING;
	if (on && r->spotlights == ROOM_SPOTLIGHTS_MAX)
		return DENY_SPOTLIGHTS_FULL;
	target->spotlit = on;
	r->spotlights = on ? r->spotlights + 1 : r->spotlights - 1;
	room_tell(r, &(struct room_event) { .type = ROOM_SPOTLIGHT });
	return DENY_NOTHING;
}

/* Both need the capability, but nobody sends themselves away for good. */
static enum deny send_away(struct room *r, struct person *p, struct person *target,
			   bool ban)
{
	enum deny why = DENY_NOTHING;

	if (p == target)
		return DENY_RANK;
	if (ban)
		why = room_ban(r, target);
	if (!why)
		room_leave(r, target, ban ? LEAVE_BANNED : LEAVE_REMOVED);
	return why;
}

enum deny moderate(struct room *r, struct person *p, const struct act *a, uint64_t now_us)
{
	struct person *target = NULL;
	enum deny why;

	if (a->type == ACT_RULES)
		return set_rules(r, p, a);
	if (a->type == ACT_ADMIT)
		return admit(r, a, now_us);
	if (a->kind >= MEDIA_KINDS)
		return DENY_GONE;
	why = target_of(r, p, a, &target);
	if (why)
		return why;
	switch (a->type) {
	case ACT_MUTE:
		return mute(r, target, a);
	case ACT_ALLOW:
	case ACT_ASK:
		return allow(r, target, a);
	case ACT_CALL:
		return call_on(r, target, a->on);
	case ACT_ROLE:
		return give_role(r, p, target, a->role);
	case ACT_SPOTLIGHT:
		return spotlight(r, target, a->on);
	default:
		return send_away(r, p, target, a->type == ACT_BAN);
	}
}
