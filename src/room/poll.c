/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Polls. Who has voted is a set of numbers that does not say in which order; what was chosen
 * is counts; nothing holds both, and no event has anything of the counts before the poll is
 * closed, or one would see them move with whoever has just voted. Of fewer than POLL_SHOWN_MIN
 * votes they are never told, since there one knows one's own and so the others'.
 *
 * Who came after a poll began has no vote in it, unless it says so: nobody gains by coming
 * again. A vote that was given cannot be taken back, as nobody knows what it was.
 */
#include "room_in.h"

#include <stdlib.h>
#include <string.h>

void polls_fini(struct room *r)
{
	for (unsigned i = 0; i < r->poll_count; i++) {
		numbers_fini(&r->polls[i]->voted);
		free(r->polls[i]);
	}
	r->poll_count = 0;
}

unsigned polls_count(const struct room *r)
{
	return r->poll_count;
}

const struct poll *poll_at(const struct room *r, unsigned i)
{
	return i < r->poll_count ? r->polls[i] : NULL;
}

bool poll_shows(const struct poll *poll)
{
	return !poll->open && poll->voted.count >= POLL_SHOWN_MIN;
}

bool poll_voted(const struct poll *poll, const struct person *p)
{
	return numbers_has(&poll->voted, p->number);
}

static void tell(struct room *r, enum room_event_type type, struct poll *poll)
{
	room_tell(r, &(struct room_event) { .type = type, .poll = poll });
}

static struct poll *find(struct room *r, uint32_t id)
{
	for (unsigned i = 0; i < r->poll_count; i++)
		if (r->polls[i]->id == id)
			return r->polls[i];
	return NULL;
}

/* No two options alike, or one could not be told from the other. */
static enum deny take_options(struct poll *poll, const struct act *a)
{
	if (a->option_count < 2 || a->option_count > POLL_OPTIONS_MAX)
		return DENY_OPTIONS;
	for (unsigned i = 0; i < a->option_count; i++) {
		if (room_text_take(a->options[i], POLL_OPTION_CHARS,
				   sizeof poll->options[i] - 1, false,
				   poll->options[i]) < 0)
			return DENY_TEXT;
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(poll->options[k], poll->options[i]))
				return DENY_OPTIONS;
	}
	poll->option_count = a->option_count;
	return DENY_NOTHING;
}

static enum deny begin(struct room *r, const struct act *a)
{
	struct poll *poll;
	enum deny why = DENY_NOTHING;

	if (r->poll_count == POLLS_MAX) {
		STAT_INC(chat_limit);
		return DENY_POLLS_FULL;
	}
	poll = calloc(1, sizeof *poll);
	if (!poll)
		return DENY_MEMORY;
	if (!a->text || room_text_take(a->text, QUESTION_CHARS, sizeof poll->text - 1,
				       false, poll->text) < 0)
		why = DENY_TEXT;
	if (!why)
		why = take_options(poll, a);
	if (why) {
		free(poll);
		return why;
	}
	poll->id = ++r->last_poll;
	poll->open = true;
	poll->multiple = a->multiple;
	poll->late = a->late;
	poll->newest = r->last_number;
	r->polls[r->poll_count++] = poll;
	tell(r, ROOM_POLL, poll);
	return DENY_NOTHING;
}

static bool is_choice(const struct poll *poll, uint32_t choices)
{
	if (!choices || choices >> poll->option_count)
		return false;
	return poll->multiple || !(choices & (choices - 1));
}

static enum deny choose(const struct person *p, struct poll *poll, uint32_t choices)
{
	if (!poll->open)
		return DENY_POLL_CLOSED;
	if (!is_choice(poll, choices))
		return DENY_OPTIONS;
	if (!poll->late && p->number > poll->newest)
		return DENY_LATE;
	if (poll_voted(poll, p))
		return DENY_VOTED;
	if (poll->voted.count >= POLL_VOTERS_MAX) {
		STAT_INC(chat_limit);
		return DENY_BUSY;
	}
	if (numbers_add(&poll->voted, p->number))
		return DENY_MEMORY;
	for (unsigned i = 0; i < poll->option_count; i++)
		poll->counts[i] += choices >> i & 1;
	poll->fresh = true;
	return DENY_NOTHING;
}

static void drop(struct room *r, struct poll *poll)
{
	unsigned i = 0;

	while (r->polls[i] != poll)
		i++;
	tell(r, ROOM_POLL_GONE, poll);
	r->poll_count--;
	memmove(&r->polls[i], &r->polls[i + 1], (r->poll_count - i) * sizeof r->polls[0]);
	numbers_fini(&poll->voted);
	free(poll);
}

enum deny poll_act(struct room *r, struct person *p, const struct act *a, uint64_t now_us)
{
	struct poll *poll = a->type == ACT_POLL ? NULL : find(r, a->item);

	(void)now_us;
	if (a->type == ACT_POLL)
		return begin(r, a);
	if (!poll)
		return DENY_NO_ITEM;
	if (a->type == ACT_CHOOSE)
		return choose(p, poll, a->choices);
	if (a->type == ACT_POLL_DROP) {
		drop(r, poll);
	} else if (poll->open) {
		poll->open = poll->fresh = false;
		tell(r, ROOM_POLL, poll);
	}
	return DENY_NOTHING;
}

void polls_tick(struct room *r)
{
	for (unsigned i = 0; i < r->poll_count; i++) {
		if (!r->polls[i]->fresh)
			continue;
		r->polls[i]->fresh = false;
		tell(r, ROOM_POLL_VOTES, r->polls[i]);
	}
}
