/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The board in its order, for who looks at it, and as text. */
#include "room_in.h"

#include <stdlib.h>

static const char *const order_names[ORDER_COUNT] = {
	[ORDER_ARRIVAL] = "arrival",
	[ORDER_VOTES] = "votes",
	[ORDER_LEAST] = "least",
};

const char *board_order_name(enum board_order order)
{
	return (unsigned)order < ORDER_COUNT ? order_names[order] : NULL;
}

static int later(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int compare(const struct item *a, const struct item *b, enum board_order order)
{
	int d = 0;

	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	if (a->state == ITEM_DONE)
		return later(b->id, a->id);
	if (a->state == ITEM_OPEN && order == ORDER_VOTES)
		d = later(b->votes.count, a->votes.count);
	else if (a->state == ITEM_OPEN && order == ORDER_LEAST)
		d = later(a->spoke_s, b->spoke_s);
	return d ? d : later(a->id, b->id);
}

static int compare_in(const void *a, const void *b, void *order)
{
	return compare(*(const struct item *const *)a, *(const struct item *const *)b,
		       *(const enum board_order *)order);
}

static bool sees(const struct person *viewer, const struct item *it)
{
	return it->state != ITEM_PENDING || !viewer || person_can(viewer, CAP_MODERATE) ||
	       it->author == viewer->number;
}

struct item *board_next(struct room *r)
{
	struct item *best = NULL;

	for (struct item *it = r->board.first; it; it = it->next)
		if (it->state == ITEM_OPEN &&
		    (!best || compare(it, best, r->board.rules.order) < 0))
			best = it;
	return best;
}

unsigned board_count(const struct room *r, bool with_pending)
{
	return r->board.waiting + r->board.done + (with_pending ? r->board.pending : 0);
}

unsigned board_list(const struct room *r, const struct person *viewer,
		    const struct item **out, unsigned max)
{
	const struct item *all[BOARD_WAITING_MAX + BOARD_DONE_MAX];
	enum board_order order = r->board.rules.order;
	unsigned count = 0;

	for (const struct item *it = r->board.first; it; it = it->next)
		if (sees(viewer, it) && count < ARRAY_LEN(all))
			all[count++] = it;
	qsort_r(all, count, sizeof all[0], compare_in, &order);
	if (count > max)
		count = max;
	for (unsigned i = 0; i < count; i++)
		out[i] = all[i];
	return count;
}

const struct item *board_after(const struct room *r, const struct person *viewer,
			       uint32_t id)
{
	const struct item *it = r->board.first;

	while (it && (it->id <= id || !sees(viewer, it)))
		it = it->next;
	return it;
}

bool board_voted(const struct item *it, const struct person *p)
{
	return numbers_has(&it->votes, p->number);
}

/* No words in any language: "▶ now", "· waits", "✓ done", votes, when it came and how long it
 * took, who and what. */
static void export_one(const struct item *it, uint64_t from_us, struct text *out)
{
	static const char *const marks[] = {
		[ITEM_NOW] = "▶", [ITEM_OPEN] = "·", [ITEM_DONE] = "✓"
	};
	unsigned at_s = (unsigned)((it->at_us - from_us) / 1000000);
	unsigned took_s = (unsigned)(it->took_us / 1000000);

	text_add(out, "%s +%u  %u:%02u:%02u", marks[it->state], it->votes.count,
		 at_s / 3600, at_s / 60 % 60, at_s % 60);
	if (took_s)
		text_add(out, " (%u:%02u)", took_s / 60, took_s % 60);
	text_add(out, "  %s%s%s\n", it->anonymous ? "–" : it->name,
		 it->text ? ": " : " ✋", it->text ? it->text : "");
}

void board_export(const struct room *r, struct text *out)
{
	const struct item *all[BOARD_WAITING_MAX + BOARD_DONE_MAX];
	unsigned count = board_list(r, NULL, all, ARRAY_LEN(all));

	for (unsigned i = 0; i < count; i++)
		if (all[i]->state != ITEM_PENDING)
			export_one(all[i], r->board.first->at_us, out);
}
