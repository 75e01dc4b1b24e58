/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The board as pages get it: the first in order at once, the others by id, a part after the
 * other, as fast as the link brings them; small changes by events in between, each with the
 * revision that it makes.
 */
#include "api_private.h"

#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = { [ITEM_NOW] = "now",
					   [ITEM_OPEN] = "open",
					   [ITEM_PENDING] = "pending",
					   [ITEM_DONE] = "done" };

static json_int_t seconds(uint64_t us)
{
	return (json_int_t)(us / 1000000);
}

/* What is usual is left out: a question that is open and has no votes. */
json_t *encode_item(const struct item *it, const struct person *viewer, uint64_t now_us)
{
	json_t *j = json_pack("{sI}", "q", (json_int_t)it->id);

	if (it->kind == ITEM_HAND)
		json_object_set_new(j, "hand", json_true());
	else
		json_object_set_new(j, "text", json_string(it->text));
	if (!it->anonymous) {
		json_object_set_new(j, "n", json_integer(it->author));
		json_object_set_new(j, "name", json_string(it->name));
	}
	if (it->state != ITEM_OPEN)
		json_object_set_new(j, "s", json_string(state_names[it->state]));
	if (it->votes.count)
		json_object_set_new(j, "v", json_integer(it->votes.count));
	if (it->spoke_s)
		json_object_set_new(j, "spoke", json_integer(it->spoke_s));
	if (it->state == ITEM_NOW)
		json_object_set_new(j, "for",
				    json_integer(seconds(now_us - it->since_us)));
	if (it->took_us)
		json_object_set_new(j, "took", json_integer(seconds(it->took_us)));
	json_object_set_new(j, "age", json_integer(seconds(now_us - it->at_us)));
	if (viewer && it->author == viewer->number)
		json_object_set_new(j, "own", json_true());
	if (viewer && board_voted(it, viewer))
		json_object_set_new(j, "voted", json_true());
	return j;
}

json_t *encode_board_rules(const struct room *r)
{
	struct board_rules rules = board_rules(r);

	return json_pack("{sbsbsbsbsssi}", "hands", rules.hands, "questions",
			 rules.questions, "approve", rules.approve, "anonymous",
			 rules.anonymous, "order", board_order_name(rules.order), "limit",
			 (int)rules.limit_s);
}

/* [[id, votes, spoke]…] of those that have changed. */
json_t *encode_votes(const struct room *r)
{
	json_t *list = json_array();

	for (const struct item *it = board_after(r, NULL, 0); it;
	     it = board_after(r, NULL, it->id))
		if (it->fresh && it->state != ITEM_PENDING)
			json_array_append_new(list, json_pack("[IIi]", (json_int_t)it->id,
							      (json_int_t)it->votes.count,
							      (int)it->spoke_s));
	return list;
}

json_t *board_mark(const struct room *r, const struct person *viewer)
{
	json_t *j = json_pack("{sI}", "r", (json_int_t)board_revision(r));

	if (role_caps(viewer->role) & CAP_MODERATE)
		json_object_set_new(
			j, "mr", json_integer((json_int_t)board_moderators_revision(r)));
	return j;
}

json_t *board_glance(const struct room *r, const struct person *viewer, uint64_t now_us)
{
	const struct item *now = board_now(r), *hand = board_hand(r, viewer);
	unsigned pending = board_count(r, true) - board_count(r, false);
	json_t *j = board_mark(r, viewer);

	json_object_set_new(j, "open", json_integer(board_open(r)));
	json_object_set_new(j, "limit", json_integer(board_rules(r).limit_s));
	if (pending && role_caps(viewer->role) & CAP_MODERATE)
		json_object_set_new(j, "pending", json_integer(pending));
	if (hand)
		json_object_set_new(j, "hand", json_integer((json_int_t)hand->id));
	if (now)
		json_object_set_new(j, "now", encode_item(now, viewer, now_us));
	return j;
}

/* ---- parts -------------------------------------------------------------------------- */

struct part {
	json_t *items;
	const struct person *viewer;
	uint64_t now_us;
	size_t bytes;
};

/* False: it is full without that one. */
static bool part_add(struct part *p, const struct item *it)
{
	size_t bytes = 100 + (it->text ? strlen(it->text) : 0);

	if (json_array_size(p->items) == BOARD_PART ||
	    (p->bytes && p->bytes + bytes > BOARD_PART_BYTES))
		return false;
	p->bytes += bytes;
	json_array_append_new(p->items, encode_item(it, p->viewer, p->now_us));
	return true;
}

/* The page has it from the first part. */
static bool has(const json_t *have, uint32_t id)
{
	size_t count = json_is_array(have) ? json_array_size(have) : 0;

	for (size_t i = 0; i < count && i < BOARD_PART; i++)
		if (json_integer_value(json_array_get(have, i)) == id)
			return true;
	return false;
}

/* -1: that was all. */
static json_int_t part_after(struct part *p, const struct room *r, uint32_t id,
			     const json_t *have)
{
	const struct item *it;

	for (it = board_after(r, p->viewer, id); it;
	     it = board_after(r, p->viewer, it->id)) {
		if (!has(have, it->id) && !part_add(p, it))
			return id;
		id = it->id;
	}
	return -1;
}

static json_int_t part_first(struct part *p, const struct room *r)
{
	const struct item *list[BOARD_PART + 1];
	unsigned count = board_list(r, p->viewer, list, BOARD_PART + 1);

	for (unsigned i = 0; i < count; i++)
		if (!part_add(p, list[i]))
			return 0;
	return -1;
}

json_t *board_part(const struct room *r, const struct person *viewer, const json_t *ask,
		   uint64_t now_us)
{
	bool first = !json_is_integer(json_object_get(ask, "after"));
	struct part p = { json_array(), viewer, now_us, 0 };
	json_int_t more;
	json_t *j = board_mark(r, viewer);

	if (first)
		more = part_first(&p, r);
	else
		more = part_after(
			&p, r,
			(uint32_t)json_get_int(ask, "after", 0, UINT32_MAX, UINT32_MAX),
			json_object_get(ask, "have"));
	if (first)
		json_object_set_new(j, "rules", encode_board_rules(r));
	json_object_set_new(j, "count",
			    json_integer(board_count(r, json_object_get(j, "mr"))));
	json_object_set_new(j, "items", p.items);
	if (more >= 0)
		json_object_set_new(j, "more", json_integer(more));
	return j;
}
