/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Roles as capabilities, and who may send what. Invariant: person.media[k] only if
 * person_may_send(p, k) denies nothing; whatever changes the one settles the other.
 */
#include "room_in.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned caps;
} roles[ROLE_COUNT] = {
	[ROLE_HOST] = { "host", CAP_SPEAK | CAP_STAGE | CAP_MODERATE | CAP_APPOINT |
					CAP_PASS_LOBBY | CAP_PASS_LOCK },
	[ROLE_MODERATOR] = { "moderator", CAP_SPEAK | CAP_STAGE | CAP_MODERATE |
						  CAP_PASS_LOBBY | CAP_PASS_LOCK },
	[ROLE_SPEAKER] = { "speaker", CAP_SPEAK },
	/* Without them others understand nothing. */
	[ROLE_INTERPRETER] = { "interpreter", CAP_SPEAK | CAP_STAGE | CAP_PASS_LOBBY },
	[ROLE_CAPTIONER] = { "captioner", CAP_PASS_LOBBY },
	[ROLE_LISTENER] = { "listener", 0 },
};

static const char *const rule_names[RULE_COUNT] = {
	[RULE_LOCK] = "lock",
	[RULE_LOBBY] = "lobby",
	[RULE_MUTE] = "mute",
	[RULE_AUDIENCE] = "audience",
};

const char *rule_name(enum rule rule)
{
	return (unsigned)rule < RULE_COUNT ? rule_names[rule] : NULL;
}

const char *role_name(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r].name : NULL;
}

int role_parse(const char *text)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (!strcmp(text, roles[i].name))
			return i;
	return -EINVAL;
}

unsigned role_caps(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r].caps : 0;
}

bool role_may_send(enum role r, unsigned media_kind)
{
	return media_kind < MEDIA_KINDS && role_caps(r) & CAP_SPEAK;
}

bool person_can(const struct person *p, enum capability cap)
{
	return role_caps(p->role) & cap;
}

/* The screen's sound is a way to speak, too. */
static bool is_held(const struct person *p, unsigned kind)
{
	if (kind == MEDIA_SCREEN_AUDIO)
		return p->held[MEDIA_MIC] || p->held[MEDIA_SCREEN];
	return p->held[kind];
}

enum deny person_may_send(const struct person *p, unsigned kind)
{
	bool sound = kind == MEDIA_MIC || kind == MEDIA_SCREEN_AUDIO;

	if (p->waiting || kind >= MEDIA_KINDS)
		return DENY_WAITING;
	if (is_held(p, kind))
		return DENY_HELD;
	if (p->called || person_can(p, CAP_STAGE))
		return DENY_NOTHING;
	if (!person_can(p, CAP_SPEAK))
		return DENY_LISTENER;
	if (room_rule(p->room, RULE_AUDIENCE))
		return DENY_AUDIENCE;
	if (sound && room_rule(p->room, RULE_MUTE) && !p->allowed)
		return DENY_MUTED;
	return DENY_NOTHING;
}

bool person_settle(struct person *p)
{
	p->off = 0;
	for (unsigned k = 0; k < MEDIA_KINDS; k++) {
		if (!p->media[k] || !person_may_send(p, k))
			continue;
		p->media[k] = false;
		p->off |= (uint8_t)(1u << k);
	}
	return p->off;
}
