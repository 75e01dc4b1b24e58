/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Chat, reactions and what a moderator has pinned. Invariant: the ring holds the last
 * CHAT_KEPT_MAX messages by id; one that was taken back has no text. In memory only.
 */
#include "room_in.h"

#include <stdlib.h>
#include <string.h>

enum {
	SAY_GAP_US = 2000000,
	SAY_BURST = 5,
	ROOM_SAY_GAP_US = 50000, /* of all together: each goes to everybody */
	ROOM_SAY_BURST = 40,
	REACT_GAP_US = 1000000,
	REACT_BURST = 3
};

static const char *const mode_names[CHAT_MODES] = {
	[CHAT_ALL] = "all",
	[CHAT_HOSTS] = "hosts",
	[CHAT_OFF] = "off",
};
static const char *const reaction_names[REACTIONS] = {
	[REACTION_CLAP] = "clap", [REACTION_HEART] = "heart", [REACTION_LAUGH] = "laugh",
	[REACTION_WOW] = "wow",	  [REACTION_YES] = "yes",     [REACTION_NO] = "no",
};

const char *chat_mode_name(enum chat_mode mode)
{
	return (unsigned)mode < CHAT_MODES ? mode_names[mode] : NULL;
}

const char *reaction_name(enum reaction reaction)
{
	return (unsigned)reaction < REACTIONS ? reaction_names[reaction] : NULL;
}

enum chat_mode chat_mode(const struct room *r)
{
	return r->chat.mode;
}

uint32_t chat_last(const struct room *r)
{
	return r->chat.last_id;
}

const char *room_pinned(const struct room *r)
{
	return r->chat.pinned ? r->chat.pinned : "";
}

const unsigned *room_reactions(const struct room *r)
{
	return r->chat.reactions;
}

static struct message *place_of(struct room *r, uint32_t id)
{
	return &r->chat.kept[id % CHAT_KEPT_MAX];
}

static bool sees(const struct person *viewer, const struct message *m)
{
	return !m->to_hosts || m->author == viewer->number ||
	       person_can(viewer, CAP_MODERATE);
}

const struct message *chat_after(const struct room *r, const struct person *viewer,
				 uint32_t id)
{
	uint32_t last = r->chat.last_id, before = r->chat.first_id;

	if (last - before > CHAT_KEPT_MAX)
		before = last - CHAT_KEPT_MAX;
	if (id < before)
		id = before;
	while (id < last) {
		const struct message *m = &r->chat.kept[++id % CHAT_KEPT_MAX];

		if (m->text && sees(viewer, m))
			return m;
	}
	return NULL;
}

void chat_init(struct room *r)
{
	/* After a restart nothing is taken for what was before. */
	r->chat.first_id = r->chat.last_id = random_u32() >> 2;
}

void chat_fini(struct room *r)
{
	for (unsigned i = 0; i < CHAT_KEPT_MAX; i++)
		free(r->chat.kept[i].text);
	free(r->chat.pinned);
}

static void tell(struct room *r, enum room_event_type type, const struct message *m)
{
	struct room_event ev = { .type = type,
				 .message = m,
				 .audience =
					 m->to_hosts ? ROOM_TO_MODERATORS : ROOM_TO_ALL };

	room_tell(r, &ev);
	ev.audience = ROOM_TO_ONE;
	ev.person = m->to_hosts ? room_by_number(r, m->author) : NULL;
	if (ev.person && !person_can(ev.person, CAP_MODERATE))
		room_tell(r, &ev);
}

static enum deny may_say(struct room *r, struct person *p, bool to_hosts, uint64_t now_us)
{
	if (!person_can(p, CAP_MODERATE) &&
	    (r->chat.mode == CHAT_OFF || (r->chat.mode == CHAT_HOSTS && !to_hosts)))
		return DENY_CHAT_CLOSED;
	/* One's own first: what one may not say takes no place from others. */
	if (!rate_take(&p->said_us, now_us, SAY_GAP_US, SAY_BURST))
		return DENY_RATE;
	/* A crowd that floods does not silence who can stop it. */
	if (person_can(p, CAP_MODERATE) ||
	    rate_take(&r->chat.said_us, now_us, ROOM_SAY_GAP_US, ROOM_SAY_BURST))
		return DENY_NOTHING;
	STAT_INC(chat_limit);
	return DENY_BUSY;
}

static enum deny say(struct room *r, struct person *p, const struct act *a,
		     uint64_t now_us)
{
	char text[CHAT_MAX + 1], *copy;
	struct message *m;
	enum deny why;

	if (!a->text || room_text_take(a->text, CHAT_CHARS, CHAT_MAX, true, text) < 0)
		return DENY_TEXT;
	why = may_say(r, p, a->on, now_us);
	if (why)
		return why;
	copy = strdup(text);
	if (!copy)
		return DENY_MEMORY;
	m = place_of(r, ++r->chat.last_id);
	free(m->text);
	*m = (struct message) { .id = r->chat.last_id,
				.author = p->number,
				.to_hosts = a->on,
				.text = copy,
				.at_us = now_us };
	memcpy(m->name, p->name, sizeof m->name);
	tell(r, ROOM_SAID, m);
	return DENY_NOTHING;
}

static void take_back(struct room *r, struct message *m)
{
	free(m->text);
	m->text = NULL;
	tell(r, ROOM_UNSAID, m);
}

/* One's own, or a moderator any. */
static enum deny unsay(struct room *r, const struct person *p, uint32_t id)
{
	struct message *m = place_of(r, id);

	if (m->id != id || !m->text || !sees(p, m))
		return DENY_NO_ITEM;
	if (m->author != p->number && !person_can(p, CAP_MODERATE))
		return DENY_ROLE;
	take_back(r, m);
	return DENY_NOTHING;
}

/* Who is sent away takes along what they wrote. */
void chat_on_leave(struct room *r, const struct person *p, enum leave_reason reason)
{
	if (reason != LEAVE_REMOVED && reason != LEAVE_BANNED)
		return;
	for (unsigned i = 0; i < CHAT_KEPT_MAX; i++)
		if (r->chat.kept[i].text && r->chat.kept[i].author == p->number)
			take_back(r, &r->chat.kept[i]);
}

/* How many there were of each is told once a second, and not of whom. */
static enum deny react(struct room *r, struct person *p, unsigned reaction,
		       uint64_t now_us)
{
	if (reaction >= REACTIONS)
		return DENY_NO_ITEM;
	if (r->chat.mode == CHAT_OFF && !person_can(p, CAP_MODERATE))
		return DENY_CHAT_CLOSED;
	if (!rate_take(&p->reacted_us, now_us, REACT_GAP_US, REACT_BURST))
		return DENY_RATE;
	r->chat.reactions[reaction]++;
	r->chat.reacted = true;
	return DENY_NOTHING;
}

static enum deny pin(struct room *r, const char *text)
{
	char clean[CHAT_MAX + 1] = "", *copy = NULL;

	if (text && text[0] && room_text_take(text, PIN_CHARS, CHAT_MAX, true, clean) < 0)
		return DENY_TEXT;
	if (clean[0]) {
		copy = strdup(clean);
		if (!copy)
			return DENY_MEMORY;
	}
	free(r->chat.pinned);
	r->chat.pinned = copy;
	room_tell(r, &(struct room_event) { .type = ROOM_PIN });
	return DENY_NOTHING;
}

static enum deny set_mode(struct room *r, unsigned mode)
{
	if (mode >= CHAT_MODES)
		return DENY_NO_ITEM;
	if (mode == r->chat.mode)
		return DENY_NOTHING;
	r->chat.mode = (enum chat_mode)mode;
	room_tell(r, &(struct room_event) { .type = ROOM_CHAT });
	return DENY_NOTHING;
}

enum deny chat_act(struct room *r, struct person *p, const struct act *a, uint64_t now_us)
{
	switch (a->type) {
	case ACT_SAY:
		return say(r, p, a, now_us);
	case ACT_UNSAY:
		return unsay(r, p, a->item);
	case ACT_REACT:
		return react(r, p, a->item, now_us);
	case ACT_PIN:
		return pin(r, a->text);
	default:
		return set_mode(r, a->item);
	}
}

void chat_tick(struct room *r)
{
	if (!r->chat.reacted)
		return;
	room_tell(r, &(struct room_event) { .type = ROOM_REACTIONS });
	memset(r->chat.reactions, 0, sizeof r->chat.reactions);
	r->chat.reacted = false;
}
