/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who gets which layer. Invariants: what is chosen costs no more than the estimate leaves beside sound; and
 * nobody goes without for want of room while somebody of a lower kind has something of the same cost.
 *
 * Two limits make the hysteresis. What was chosen before (it is *held*) stays while it is within the estimate.
 * What is new must be within the least estimate of the last seconds, less a margin; or within what is sent
 * now, since that much goes through: so those in front can take the place of those behind at once.
 *
 * Steps are taken in an order that does not depend on the rate there is, up to the first that does not fit:
 * a smaller one behind it would have to go again when there is a little more.
 */
#include "ladder.h"

#include <string.h>

static const uint64_t BUCKET_US = 500000;
/* Between steps up of a slot; a key frame costs as much as a second of pictures. */
static const uint64_t REST_US = 1500000, REST_KEY_US = 4000000;
/* A switch that waits longer for its key frame is taken for done. */
static const uint64_t SWITCH_MOST_US = 8000000;
/* What had to be taken back: patience, twice as long each time unless it had stood. */
static const uint64_t WAIT_MIN_US = 5000000, WAIT_MAX_US = 80000000;
static const uint64_t STOOD_US = 60000000;
enum {
	MARGIN_Q8 = 20, /* 8 %: on 45 kbit/s, beside 15 of sound, 26 are left */
	/* Of 16: what costs so nearly the same may do so when it is measured again. */
	NEAR_Q4 = 13,
	/* Of 2: so much better is what takes the place of what is held. */
	HELD_GAIN_Q1 = 3
};

struct work {
	struct alloc_ctl *ctl;
	const struct alloc_slot *slots;
	uint64_t now_us;
	unsigned count;
	/* slots in turn, without those that get nothing anyway */
	uint8_t order[ALLOC_SLOTS];
	unsigned turns;
	uint8_t reason[ALLOC_SLOTS];
	struct ladder ladders[ALLOC_SLOTS];
	int at[ALLOC_SLOTS]; /* rung, -1 none */
	/* what is held, as it is measured now, 0 nothing; the least that somebody in front has not got */
	uint32_t held_bps[ALLOC_SLOTS], before_bps[ALLOC_SLOTS];
	uint32_t held_value[ALLOC_SLOTS];
	int64_t sum, held_sum;
	int64_t room;	    /* beside sound */
	int64_t most, safe; /* of it for what is held; for what is new */
};

void alloc_init(struct alloc_ctl *c)
{
	memset(c, 0, sizeof *c);
	for (unsigned i = 0; i < ALLOC_SLOTS; i++) {
		c->held[i].reason = ALLOC_EMPTY;
		c->held[i].sid = c->held[i].tid = -1;
	}
}

/* ---- what is known ----------------------------------------------------------------- */

/* The least for some time: a bucket in which nothing was said holds what was said last. */
static uint32_t least_follow(struct alloc_ctl *c, uint64_t now_us, uint32_t bps)
{
	uint32_t least_bps = bps;

	if (!c->begun) {
		c->begun = true;
		c->bucket_us = now_us;
		for (unsigned i = 0; i < ALLOC_BUCKETS; i++)
			c->least_bps[i] = bps;
	}
	for (unsigned i = 0; i < ALLOC_BUCKETS && now_us >= c->bucket_us + BUCKET_US;
	     i++) {
		c->bucket = (c->bucket + 1) % ALLOC_BUCKETS;
		c->least_bps[c->bucket] = bps;
		c->bucket_us += BUCKET_US;
	}
	if (now_us >= c->bucket_us + BUCKET_US)
		c->bucket_us = now_us;
	if (bps < c->least_bps[c->bucket])
		c->least_bps[c->bucket] = bps;
	for (unsigned i = 0; i < ALLOC_BUCKETS; i++)
		if (c->least_bps[i] < least_bps)
			least_bps = c->least_bps[i];
	return least_bps;
}

/* What is remembered goes with its source, whichever slot that is in. */
static void held_follow(struct work *w)
{
	struct alloc_held was[ALLOC_SLOTS];

	memcpy(was, w->ctl->held, sizeof was);
	for (unsigned i = 0; i < ALLOC_SLOTS; i++) {
		struct alloc_held *h = &w->ctl->held[i];
		uint32_t source = i < w->count ? w->slots[i].source : 0;

		if (h->source == source)
			continue;
		*h = (struct alloc_held) {
			.source = source, .reason = ALLOC_EMPTY, .sid = -1, .tid = -1
		};
		for (unsigned j = 0; source && j < ALLOC_SLOTS; j++)
			if (was[j].source == source)
				*h = was[j];
	}
}

static uint8_t excluded(const struct alloc_slot *slot, uint8_t saving)
{
	if (!slot->source || slot->kind >= ALLOC_KINDS)
		return ALLOC_EMPTY;
	if (saving == ALLOC_VOICE ||
	    (saving == ALLOC_SLIDES && slot->kind != ALLOC_SCREEN))
		return ALLOC_SAVING;
	if (slot->undecodable)
		return ALLOC_UNDECODABLE;
	if (slot->muted)
		return ALLOC_MUTED;
	return slot->hidden ? ALLOC_HIDDEN : ALLOC_SENT;
}

static uint32_t held_bps(const struct work *w, unsigned i)
{
	const struct alloc_held *h = &w->ctl->held[i];
	const struct alloc_layer *y;

	if (h->sid < 0)
		return 0;
	y = &w->slots[i].layers[h->sid][h->tid];
	return y->state != ALLOC_NONE && y->bps ? y->bps : h->bps;
}

/* Any, if it is not on the ladder any more: then what costs no more takes its place. */
static uint32_t held_value(const struct work *w, unsigned i)
{
	const struct alloc_held *h = &w->ctl->held[i];
	const struct ladder *l = &w->ladders[i];

	for (unsigned rung = 0; rung < l->count; rung++)
		if (l->rungs[rung].sid == h->sid && l->rungs[rung].tid == h->tid)
			return l->rungs[rung].value;
	return UINT32_MAX;
}

/* What a slot may have, and has had. */
static void look(struct work *w, unsigned i, uint8_t saving)
{
	const struct alloc_slot *slot = &w->slots[i];
	struct ladder *l = &w->ladders[i];

	w->at[i] = -1;
	w->held_bps[i] = 0;
	w->before_bps[i] = UINT32_MAX;
	l->count = 0;
	w->reason[i] = excluded(slot, saving);
	if (w->reason[i] != ALLOC_SENT)
		return;
	ladder_build(l, slot, slot->kind == ALLOC_SCREEN, LADDER_ANY, &w->ctl->held[i]);
	w->reason[i] = l->count ? ALLOC_NO_ROOM : ALLOC_WAITING;
	if (!l->count)
		return;
	w->held_bps[i] = held_bps(w, i);
	w->held_value[i] = held_value(w, i);
	w->held_sum += w->held_bps[i];
}

/* By kind; of a kind those first that have something. */
static void line_up(struct work *w)
{
	for (unsigned turn = 0; turn < 2 * ALLOC_KINDS; turn++)
		for (unsigned i = 0; i < w->count; i++)
			if (w->ladders[i].count && w->slots[i].kind == turn / 2 &&
			    (w->held_bps[i] ? 0 : 1) == turn % 2)
				w->order[w->turns++] = (uint8_t)i;
}

/* ---- what fits --------------------------------------------------------------------- */

static bool is_held(const struct work *w, unsigned i, const struct rung *r)
{
	return r->bps <= w->held_bps[i] && r->value <= w->held_value[i];
}

static int64_t sum_with(const struct work *w, unsigned i, const struct rung *r)
{
	return w->sum + r->bps - (w->at[i] < 0 ? 0 : w->ladders[i].rungs[w->at[i]].bps);
}

/* It did not stand, and that is not long ago. */
static bool has_failed(const struct work *w, unsigned i, const struct rung *r)
{
	const struct alloc_held *h = &w->ctl->held[i];

	return w->now_us < h->failed_until_us && r->bps >= h->failed_bps;
}

/* What it has may take a step again: it is shown, and has been for a while. */
static bool has_rested(const struct work *w, unsigned i, const struct rung *r)
{
	const struct alloc_held *h = &w->ctl->held[i];
	const struct alloc_slot *slot = &w->slots[i];
	uint64_t since_us = w->now_us - h->changed_us;

	if (h->sid < 0 || r == w->ladders[i].rungs) /* it has nothing, or nothing less */
		return true;
	if ((slot->shown_sid != h->sid || slot->shown_tid != h->tid) &&
	    since_us < SWITCH_MOST_US)
		return false;
	if (slot->shown_sid >= 0 && slot->shown_us > h->changed_us)
		since_us = w->now_us - slot->shown_us;
	return since_us >= (r->key && r->sid != h->sid ? REST_KEY_US : REST_US);
}

/* As far as it does not depend on the room there is. */
static bool may_have(const struct work *w, unsigned i, const struct rung *r)
{
	uint32_t before_bps = w->before_bps[i];

	if (is_held(w, i, r))
		return r->bps < before_bps;
	return r->bps < before_bps / 16 * NEAR_Q4 && !has_failed(w, i, r) &&
	       has_rested(w, i, r);
}

/* Behind what is new, what was held has to fit within what is safe, too: both together are more than has been
 * tried. */
static void stand(struct work *w, unsigned i, int rung)
{
	const struct rung *r = &w->ladders[i].rungs[rung];

	w->sum = sum_with(w, i, r);
	if (!is_held(w, i, r))
		w->most = w->sum > w->safe ? w->sum : w->safe;
	w->at[i] = rung;
	w->reason[i] = ALLOC_SENT;
}

/* ---- the smallest of each ---------------------------------------------------------- */

static bool is_behind(const struct work *w, unsigned i, unsigned other)
{
	return w->slots[other].kind > w->slots[i].kind;
}

/* Somebody of a lower kind has as much: theirs is the room. */
static bool may_displace(const struct work *w, unsigned turn, const struct rung *r)
{
	unsigned i = w->order[turn];

	if (!may_have(w, i, r) || w->sum + r->bps > w->most)
		return false;
	for (unsigned t = turn + 1; t < w->turns; t++)
		if (is_behind(w, i, w->order[t]) && w->held_bps[w->order[t]] >= r->bps)
			return true;
	return false;
}

static bool base_fits(const struct work *w, unsigned i, const struct rung *r)
{
	return may_have(w, i, r) &&
	       w->sum + r->bps <= (is_held(w, i, r) ? w->most : w->safe);
}

/* It goes without: who is behind gets nothing that costs as much. */
static void refuse(struct work *w, unsigned i, uint32_t bps)
{
	for (unsigned t = 0; t < w->turns; t++) {
		unsigned other = w->order[t];

		if (is_behind(w, i, other) && bps < w->before_bps[other])
			w->before_bps[other] = bps;
	}
}

/* From here on only a screen's frame rate grows; the first rung costs no more. */
static void screen_rates(struct work *w, unsigned i)
{
	struct ladder *l = &w->ladders[i];
	uint32_t bps = l->rungs[w->at[i]].bps;

	ladder_build(l, &w->slots[i], false, l->rungs[w->at[i]].sid, &w->ctl->held[i]);
	w->at[i] = 0;
	w->sum -= bps - l->rungs[0].bps;
}

/* A screen's is its full size, if that fits. */
static void base(struct work *w, unsigned turn)
{
	unsigned i = w->order[turn];
	const struct rung *rungs = w->ladders[i].rungs;
	bool screen = w->slots[i].kind == ALLOC_SCREEN;

	for (unsigned rung = screen ? w->ladders[i].count : 1; rung-- && w->at[i] < 0;)
		if (base_fits(w, i, &rungs[rung]))
			stand(w, i, (int)rung);
	if (w->at[i] < 0 && may_displace(w, turn, &rungs[0]))
		stand(w, i, 0);
	if (w->at[i] < 0)
		refuse(w, i, rungs[0].bps);
	else if (screen)
		screen_rates(w, i);
}

/* ---- steps up ---------------------------------------------------------------------- */

static uint64_t gain_of(const struct work *w, unsigned i, const struct rung *r)
{
	return is_held(w, i, r) ? r->gain * HELD_GAIN_Q1 / 2 : r->gain;
}

/* The slot whose next step gives most for a bit, -1 none. */
static int best_step(const struct work *w, const bool *stuck, bool only_held)
{
	uint64_t best = 0;
	int slot = -1;

	for (unsigned t = 0; t < w->turns; t++) {
		unsigned i = w->order[t];
		const struct rung *next = &w->ladders[i].rungs[w->at[i] + 1];

		if (w->at[i] < 0 || stuck[i] ||
		    (unsigned)w->at[i] + 1 >= w->ladders[i].count)
			continue;
		if (!may_have(w, i, next) || (only_held && !is_held(w, i, next)))
			continue;
		if (slot >= 0 && gain_of(w, i, next) <= best)
			continue;
		best = gain_of(w, i, next);
		slot = (int)i;
	}
	return slot;
}

static void steps(struct work *w)
{
	bool stuck[ALLOC_SLOTS] = { false }, only_held = false;
	int slot;

	while ((slot = best_step(w, stuck, only_held)) >= 0) {
		unsigned i = (unsigned)slot;
		const struct rung *next = &w->ladders[i].rungs[w->at[i] + 1];
		bool held = is_held(w, i, next);

		if (sum_with(w, i, next) <= (held ? w->most : w->safe))
			stand(w, i, w->at[i] + 1);
		else if (held)
			stuck[i] = true;
		else
			only_held = true;
	}
}

/* ---- what comes of it -------------------------------------------------------------- */

/* The most that comes and is no more than what is wanted: smaller, slower, or cheaper as measured. */
static void choose_now(const struct alloc_slot *slot, struct alloc_choice *out)
{
	uint32_t best_bps = 0;

	if (out->sid < 0)
		return;
	for (int8_t sid = 0; sid < ALLOC_SPATIAL; sid++)
		for (int8_t tid = 0; tid < ALLOC_TEMPORAL; tid++) {
			const struct alloc_layer *y = &slot->layers[sid][tid];
			bool is = sid == out->sid && tid == out->tid;
			bool less = (sid <= out->sid && tid <= out->tid) ||
				    y->bps <= out->bps;

			if (y->state != ALLOC_ALIVE || !less ||
			    (y->bps <= best_bps && !is))
				continue;
			best_bps = is ? UINT32_MAX : y->bps;
			out->now_sid = sid;
			out->now_tid = tid;
		}
	if (out->now_sid < 0)
		out->reason = ALLOC_WAITING;
}

static bool must_stop(const struct work *w, unsigned i, const struct alloc_choice *out)
{
	const struct alloc_slot *slot = &w->slots[i];
	uint32_t bps;

	if (slot->shown_sid < 0 || slot->shown_sid >= ALLOC_SPATIAL ||
	    slot->shown_tid < 0 || slot->shown_tid >= ALLOC_TEMPORAL)
		return false;
	bps = slot->layers[slot->shown_sid][slot->shown_tid].bps;
	return bps > out->bps && w->sum - out->bps + bps > w->room;
}

static struct alloc_choice choice_of(const struct work *w, unsigned i)
{
	struct alloc_choice out = {
		.reason = w->reason[i], .sid = -1, .tid = -1, .now_sid = -1, .now_tid = -1
	};
	int64_t room = w->safe - w->sum;

	if (w->at[i] >= 0) {
		const struct rung *r = &w->ladders[i].rungs[w->at[i]];

		out.sid = r->sid;
		out.tid = r->tid;
		out.bps = r->bps;
	}
	choose_now(&w->slots[i], &out);
	out.stop = must_stop(w, i, &out);
	if (out.reason == ALLOC_SENT || out.reason == ALLOC_NO_ROOM ||
	    out.reason == ALLOC_WAITING)
		out.room_bps = out.bps + (room > 0 ? (uint32_t)room : 0);
	return out;
}

/* It was sent, and is not or with less, for want of room. */
static void fail(const struct work *w, struct alloc_held *h, uint32_t bps)
{
	bool stood = w->now_us - h->raised_us >= STOOD_US;

	h->wait_us = stood || !h->wait_us ? WAIT_MIN_US : h->wait_us * 2;
	if (h->wait_us > WAIT_MAX_US)
		h->wait_us = WAIT_MAX_US;
	h->failed_bps = bps / 16 * NEAR_Q4;
	h->failed_until_us = w->now_us + h->wait_us;
}

static bool remember(const struct work *w, unsigned i, const struct alloc_choice *out)
{
	struct alloc_held *h = &w->ctl->held[i];
	bool moved = h->sid != out->sid || h->tid != out->tid;
	bool changed = moved || h->reason != out->reason;

	/* Who gave way to somebody has not failed. */
	if (moved && out->bps < w->held_bps[i] && w->held_sum > w->room)
		fail(w, h, w->held_bps[i]);
	if (moved && out->bps > w->held_bps[i])
		h->raised_us = w->now_us;
	if (moved)
		h->changed_us = w->now_us;
	h->reason = out->reason;
	h->sid = out->sid;
	h->tid = out->tid;
	h->bps = out->bps;
	return changed;
}

unsigned alloc_run(struct alloc_ctl *c, uint64_t now_us, const struct alloc_link *link,
		   const struct alloc_slot *slots, unsigned count,
		   struct alloc_choice *out)
{
	struct work w = { .ctl = c, .slots = slots, .now_us = now_us };
	uint32_t least_bps = least_follow(c, now_us, link->estimate_bps);
	unsigned changed = 0;

	w.count = count < ALLOC_SLOTS ? count : ALLOC_SLOTS;
	w.room = w.most = (int64_t)link->estimate_bps - link->audio_bps;
	w.safe = (int64_t)least_bps * 256 / (256 + MARGIN_Q8) - link->audio_bps;
	held_follow(&w);
	for (unsigned i = 0; i < w.count; i++)
		look(&w, i, link->saving);
	line_up(&w);
	if (w.safe < w.held_sum && w.held_sum <= w.room)
		w.safe = w.held_sum;
	for (unsigned turn = 0; turn < w.turns; turn++)
		base(&w, turn);
	steps(&w);
	for (unsigned i = 0; i < w.count; i++) {
		out[i] = choice_of(&w, i);
		changed |= (unsigned)remember(&w, i, &out[i]) << i;
	}
	return changed;
}
