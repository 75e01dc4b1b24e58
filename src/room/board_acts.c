/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What people do to the board. Each act happens whole or is refused before anything changed. */
#include "room_in.h"

#include <stdlib.h>
#include <string.h>

enum { ASK_GAP_US = 5000000, ASK_BURST = 3, RAISE_GAP_US = 3000000, RAISE_BURST = 3 };

static void mark_fresh(struct room *r, struct item *it)
{
	it->fresh = r->board.fresh = true;
}

static enum deny set_rules(struct room *r, const struct act *a)
{
	struct board_rules next = r->board.rules;

	if (a->board.hands >= 0)
		next.hands = a->board.hands;
	if (a->board.questions >= 0)
		next.questions = a->board.questions;
	if (a->board.approve >= 0)
		next.approve = a->board.approve;
	if (a->board.anonymous >= 0)
		next.anonymous = a->board.anonymous;
	if (a->board.order >= 0 && a->board.order < ORDER_COUNT)
		next.order = (enum board_order)a->board.order;
	if (a->board.limit_s >= 0 && a->board.limit_s <= BOARD_LIMIT_MAX_S)
		next.limit_s = (unsigned)a->board.limit_s;
	if (!memcmp(&next, &r->board.rules, sizeof next))
		return DENY_NOTHING;
	r->board.rules = next;
	r->board.revision++;
	room_tell(r, &(struct room_event) { .type = ROOM_BOARD });
	return DENY_NOTHING;
}

/* ---- asking ------------------------------------------------------------------------- */

static bool is_full(const struct room *r)
{
	if (r->board.waiting + r->board.pending < BOARD_WAITING_MAX)
		return false;
	STAT_INC(board_full);
	return true;
}

const struct item *board_hand(const struct room *r, const struct person *p)
{
	for (const struct item *it = r->board.first; it; it = it->next)
		if (it->author == p->number && it->kind == ITEM_HAND &&
		    it->state != ITEM_DONE)
			return it;
	return NULL;
}

static enum deny hand(struct room *r, struct person *p, bool on, uint64_t now_us)
{
	const struct item *up = board_hand(r, p);
	struct item *it = up ? board_find(r, up->id) : NULL;

	if (!on && it && it->state == ITEM_NOW) /* they have had their turn */
		board_set_state(r, it, ITEM_DONE, now_us);
	else if (!on && it)
		board_take_off(r, it);
	if (it || !on)
		return DENY_NOTHING;
	if (!r->board.rules.hands)
		return DENY_HANDS_CLOSED;
	if (is_full(r))
		return DENY_BOARD_FULL;
	if (!rate_take(&p->raised_us, now_us, RAISE_GAP_US, RAISE_BURST))
		return DENY_RATE;
	it = board_add(r, p, ITEM_HAND, ITEM_OPEN, now_us);
	if (!it)
		return DENY_MEMORY;
	board_changed(r, it);
	return DENY_NOTHING;
}

static unsigned waiting_of(const struct room *r, const struct person *p)
{
	unsigned count = 0;

	for (const struct item *it = r->board.first; it; it = it->next)
		count += it->author == p->number && it->kind == ITEM_QUESTION &&
			 it->state != ITEM_DONE;
	return count;
}

static enum deny may_ask(struct room *r, struct person *p, const struct act *a,
			 uint64_t now_us)
{
	if (!r->board.rules.questions && !person_can(p, CAP_MODERATE))
		return DENY_QUESTIONS_CLOSED;
	if (a->on && !r->board.rules.anonymous)
		return DENY_NOT_ANONYMOUS;
	if (waiting_of(r, p) >= BOARD_MINE_MAX)
		return DENY_MINE_FULL;
	if (is_full(r))
		return DENY_BOARD_FULL;
	return rate_take(&p->asked_us, now_us, ASK_GAP_US, ASK_BURST) ? DENY_NOTHING
								      : DENY_RATE;
}

static enum deny question(struct room *r, struct person *p, const struct act *a,
			  uint64_t now_us)
{
	bool pending = r->board.rules.approve && !person_can(p, CAP_MODERATE);
	char text[QUESTION_MAX + 1], *copy;
	enum deny why;
	struct item *it;

	if (!a->text ||
	    room_text_take(a->text, QUESTION_CHARS, QUESTION_MAX, false, text) < 0)
		return DENY_TEXT;
	why = may_ask(r, p, a, now_us);
	if (why)
		return why;
	copy = strdup(text);
	it = copy ? board_add(r, p, ITEM_QUESTION, pending ? ITEM_PENDING : ITEM_OPEN,
			      now_us)
		  : NULL;
	if (!it) {
		free(copy);
		return DENY_MEMORY;
	}
	it->text = copy;
	if (a->on) {
		it->anonymous = true;
		it->spoke_s = 1;
		memset(it->name, 0, sizeof it->name);
	}
	board_changed(r, it);
	room_tell(r, &(struct room_event) { .type = ROOM_ITEM_OWN,
					    .audience = ROOM_TO_ONE,
					    .person = p,
					    .item = it });
	return DENY_NOTHING;
}

static enum deny vote(struct room *r, const struct person *p, struct item *it, bool on)
{
	if (it->state != ITEM_OPEN)
		return DENY_NO_ITEM;
	if (it->author == p->number)
		return DENY_OWN;
	if (on == numbers_has(&it->votes, p->number))
		return DENY_NOTHING;
	if (on && numbers_add(&it->votes, p->number))
		return DENY_MEMORY;
	if (!on)
		numbers_take_out(&it->votes, p->number);
	mark_fresh(r, it);
	return DENY_NOTHING;
}

/* ---- leading ------------------------------------------------------------------------ */

static enum deny answer(struct room *r, const struct person *by, struct item *it,
			uint64_t now_us)
{
	struct person *author;

	if (it->state == ITEM_NOW)
		return DENY_NOTHING;
	if (r->board.now)
		board_set_state(r, r->board.now, ITEM_DONE, now_us);
	board_set_state(r, it, ITEM_NOW, now_us);
	author = room_by_number(r, it->author);
	if (it->kind == ITEM_HAND && author && !author->called) {
		it->called = true;
		person_call(r, by, author);
	}
	return DENY_NOTHING;
}

static enum deny drop(struct room *r, const struct person *p, struct item *it)
{
	if (it->author != p->number && !person_can(p, CAP_MODERATE))
		return DENY_ROLE;
	/* What has been answered is everybody's. */
	if (it->state == ITEM_DONE && !person_can(p, CAP_MODERATE))
		return DENY_ROLE;
	board_take_off(r, it);
	return DENY_NOTHING;
}

/* What others must not see is not there for them. */
static struct item *item_for(struct room *r, const struct person *p, const struct act *a)
{
	struct item *it = NULL;

	if (a->item)
		it = board_find(r, a->item);
	else if (a->type == ACT_ANSWER)
		it = board_next(r);
	else if (a->type == ACT_DONE)
		it = r->board.now;
	if (it && it->state == ITEM_PENDING && it->author != p->number &&
	    !person_can(p, CAP_MODERATE))
		return NULL;
	return it;
}

enum deny board_act(struct room *r, struct person *p, const struct act *a,
		    uint64_t now_us)
{
	struct item *it;

	if (a->type == ACT_BOARD)
		return set_rules(r, a);
	if (a->type == ACT_HAND)
		return hand(r, p, a->on, now_us);
	if (a->type == ACT_QUESTION)
		return question(r, p, a, now_us);
	it = item_for(r, p, a);
	if (!it)
		return a->item ? DENY_NO_ITEM : DENY_NOBODY_WAITS;
	switch (a->type) {
	case ACT_VOTE:
		return vote(r, p, it, a->on);
	case ACT_ANSWER:
		return answer(r, p, it, now_us);
	case ACT_DROP:
		return drop(r, p, it);
	case ACT_DONE:
		if (it->state == ITEM_PENDING) /* or all would see it */
			return DENY_NO_ITEM;
		if (it->state != ITEM_DONE)
			board_set_state(r, it, ITEM_DONE, now_us);
		return DENY_NOTHING;
	case ACT_REOPEN:
		if (it->state != ITEM_DONE && it->state != ITEM_NOW)
			return DENY_NO_ITEM;
		break;
	default: /* ACT_APPROVE */
		if (it->state != ITEM_PENDING)
			return DENY_NO_ITEM;
	}
	if (it->state != ITEM_NOW && it->state != ITEM_PENDING && is_full(r))
		return DENY_BOARD_FULL;
	board_set_state(r, it, ITEM_OPEN, now_us);
	return DENY_NOTHING;
}
