/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The board's items: a list by id. Invariants: waiting, pending and done count what is in
 * that state; `now` is the one item that is answered; whoever may see an item has been
 * told of it by the event that carries its revision.
 */
#include "room_in.h"

#include <stdlib.h>
#include <string.h>

enum { SPOKE_STEP_S = 5, ANONYMOUS_SPOKE_S = 1 };

void board_init(struct room *r)
{
	/* After a restart nothing is taken for what was before. */
	r->board.revision = random_u32() >> 2;
	r->board.moderators_revision = random_u32() >> 2;
	r->board.rules = (struct board_rules) { .hands = true,
						.questions = true,
						.anonymous = true };
}

struct board_rules board_rules(const struct room *r)
{
	return r->board.rules;
}

uint32_t board_revision(const struct room *r)
{
	return r->board.revision;
}

uint32_t board_moderators_revision(const struct room *r)
{
	return r->board.moderators_revision;
}

unsigned board_open(const struct room *r)
{
	return r->board.waiting - (r->board.now ? 1 : 0);
}

const struct item *board_now(const struct room *r)
{
	return r->board.now;
}

/* ---- telling ------------------------------------------------------------------------ */

static void tell(struct room *r, enum room_event_type type, struct item *it, bool pending)
{
	struct room_event ev = { .type = type,
				 .item = it,
				 .audience = pending ? ROOM_TO_MODERATORS : ROOM_TO_ALL };

	if (pending)
		r->board.moderators_revision++;
	else
		r->board.revision++;
	room_tell(r, &ev);
	/* Its author sees what waits for approval, too. */
	ev.audience = ROOM_TO_ONE;
	ev.person = pending ? room_by_number(r, it->author) : NULL;
	if (ev.person && !person_can(ev.person, CAP_MODERATE))
		room_tell(r, &ev);
}

void board_changed(struct room *r, struct item *it)
{
	tell(r, ROOM_ITEM, it, it->state == ITEM_PENDING);
}

/* ---- items -------------------------------------------------------------------------- */

static unsigned *counter(struct board *b, enum item_state state)
{
	return state == ITEM_DONE      ? &b->done
	       : state == ITEM_PENDING ? &b->pending
				       : &b->waiting;
}

static void item_free(struct item *it)
{
	numbers_fini(&it->votes);
	free(it->text);
	free(it);
}

static void take_out(struct board *b, struct item *it)
{
	*(it->prev ? &it->prev->next : &b->first) = it->next;
	*(it->next ? &it->next->prev : &b->last) = it->prev;
	(*counter(b, it->state))--;
	if (b->now == it)
		b->now = NULL;
}

void board_fini(struct room *r)
{
	while (r->board.first) {
		struct item *it = r->board.first;

		take_out(&r->board, it);
		item_free(it);
	}
}

struct item *board_find(struct room *r, uint32_t id)
{
	for (struct item *it = r->board.first; it; it = it->next)
		if (it->id == id)
			return it;
	return NULL;
}

const struct item *board_item(const struct room *r, uint32_t id)
{
	for (const struct item *it = r->board.first; it; it = it->next)
		if (it->id == id)
			return it;
	return NULL;
}

/* In steps, so that it is not news every second. Of an anonymous one the real value would tell
 * who it is: it stands behind those who have not spoken yet. */
static unsigned spoke_of(const struct item *it, const struct person *author)
{
	uint64_t s = author->spoke_us / 1000000;

	if (it->anonymous)
		return ANONYMOUS_SPOKE_S;
	return (unsigned)(s < SPOKE_STEP_S ? 2 * (s > 0) : s - s % SPOKE_STEP_S);
}

struct item *board_add(struct room *r, struct person *p, enum item_kind kind,
		       enum item_state state, uint64_t now_us)
{
	struct board *b = &r->board;
	struct item *it = calloc(1, sizeof *it);

	if (!it)
		return NULL;
	it->id = ++b->last_id;
	it->kind = kind;
	it->state = state;
	it->author = p->number;
	it->at_us = now_us;
	memcpy(it->name, p->name, sizeof it->name);
	it->spoke_s = spoke_of(it, p);
	it->prev = b->last;
	*(b->last ? &b->last->next : &b->first) = it;
	b->last = it;
	(*counter(b, state))++;
	return it;
}

/* Gone for everybody who has seen it. */
void board_take_off(struct room *r, struct item *it)
{
	struct person *author = room_by_number(r, it->author);
	bool called = it->called;

	take_out(&r->board, it);
	tell(r, ROOM_ITEM_GONE, it, it->state == ITEM_PENDING);
	item_free(it);
	if (called && author)
		person_uncall(r, author);
}

static void forget_oldest_done(struct room *r)
{
	for (struct item *it = r->board.first; it; it = it->next) {
		if (it->state == ITEM_DONE) {
			board_take_off(r, it);
			return;
		}
	}
}

void board_set_state(struct room *r, struct item *it, enum item_state state,
		     uint64_t now_us)
{
	struct person *author = room_by_number(r, it->author);
	struct board *b = &r->board;

	if (state == ITEM_DONE && b->done == BOARD_DONE_MAX)
		forget_oldest_done(r);
	(*counter(b, it->state))--;
	(*counter(b, state))++;
	if (it->state == ITEM_NOW) {
		it->took_us += now_us - it->since_us;
		b->now = NULL;
	}
	it->state = state;
	if (state == ITEM_NOW) {
		it->since_us = now_us;
		b->now = it;
	}
	board_changed(r, it);
	if (it->called && state != ITEM_NOW) {
		it->called = false;
		if (author)
			person_uncall(r, author);
	}
}

/* ---- people and time ---------------------------------------------------------------- */

/* A hand goes with its owner. A question stays if somebody else wants it answered: else who asks
 * and leaves, again and again, would fill the board. Who is sent away takes everything with them. */
static bool goes_along(const struct item *it, enum leave_reason reason)
{
	if (it->state == ITEM_DONE)
		return false;
	if (reason == LEAVE_REMOVED || reason == LEAVE_BANNED || it->kind == ITEM_HAND)
		return true;
	return it->state != ITEM_NOW && !it->votes.count;
}

void board_on_leave(struct room *r, struct person *p, enum leave_reason reason)
{
	struct item *next;

	for (struct item *it = r->board.first; it; it = next) {
		next = it->next;
		if (it->state == ITEM_OPEN && numbers_take_out(&it->votes, p->number))
			it->fresh = r->board.fresh = true;
		if (it->author == p->number && goes_along(it, reason)) {
			it->called = false; /* they go anyway */
			board_take_off(r, it);
		}
	}
}

static void refresh_spoke(struct room *r)
{
	for (struct item *it = r->board.first; it; it = it->next) {
		struct person *author = room_by_number(r, it->author);
		unsigned s = author ? spoke_of(it, author) : it->spoke_s;

		if (it->state == ITEM_DONE || it->state == ITEM_NOW || s == it->spoke_s)
			continue;
		it->spoke_s = s;
		it->fresh = r->board.fresh = true;
	}
}

void board_tick(struct room *r)
{
	if (r->board.rules.order == ORDER_LEAST)
		refresh_spoke(r);
	if (!r->board.fresh)
		return;
	r->board.fresh = false;
	r->board.revision++;
	room_tell(r, &(struct room_event) { .type = ROOM_VOTES });
	for (struct item *it = r->board.first; it; it = it->next)
		it->fresh = false;
}
