/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A slot's layers in order. Invariant: along a ladder rate and value grow and what a bit gives falls, so that
 * steps of all slots can be taken in one order of gain, whatever the rate that there is to share.
 */
#include "ladder.h"

enum {
	CHEAPER_Q3 = 1,	     /* of 8: what was chosen last */
	NEARLY_Q3 = 7,	     /* of 8: so much of a tile fills it */
	UNKNOWN_WIDTH = 320, /* of the smallest; the next is twice as wide */
	UNKNOWN_HEIGHT = 180,
	UNKNOWN_FPS = 7,
	FPS_SCALE = 1024 /* so that the root of frame rates has some digits */
};
/* Who looks at it looks first at. */
static const uint8_t weight[ALLOC_KINDS] = {
	[ALLOC_SCREEN] = 4, [ALLOC_SPEAKER] = 3, [ALLOC_PINNED] = 2, [ALLOC_CAMERA] = 1
};

static uint32_t root(uint32_t v)
{
	uint32_t r = 0;

	for (uint32_t bit = 1u << 15; bit; bit >>= 1)
		if ((uint64_t)(r + bit) * (r + bit) <= v)
			r += bit;
	return r;
}

static uint32_t width_of(const struct alloc_slot *slot, unsigned sid)
{
	const struct alloc_layer *y = slot->layers[sid];

	for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++)
		if (y[tid].width && y[tid].height)
			return y[tid].width;
	return (uint32_t)UNKNOWN_WIDTH << sid;
}

static uint32_t height_of(const struct alloc_slot *slot, unsigned sid)
{
	const struct alloc_layer *y = slot->layers[sid];

	for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++)
		if (y[tid].width && y[tid].height)
			return y[tid].height;
	return (uint32_t)UNKNOWN_HEIGHT << sid;
}

static bool there(const struct alloc_layer *y)
{
	return y->state != ALLOC_NONE && y->bps;
}

static bool any_there(const struct alloc_slot *slot, unsigned sid)
{
	for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++)
		if (there(&slot->layers[sid][tid]))
			return true;
	return false;
}

/* The whole picture is shown in the tile (CSS object-fit: contain): one direction fills it. */
static bool fills(const struct alloc_slot *slot, unsigned sid)
{
	return slot->width && slot->height &&
	       (width_of(slot, sid) * 8 >= slot->width * (uint32_t)NEARLY_Q3 ||
		height_of(slot, sid) * 8 >= slot->height * (uint32_t)NEARLY_Q3);
}

/* The smallest that fills the tile, or the largest. */
static unsigned top_of(const struct alloc_slot *slot)
{
	unsigned top = 0;

	for (unsigned sid = 0; sid < ALLOC_SPATIAL; sid++) {
		if (!any_there(slot, sid))
			continue;
		top = sid;
		if (fills(slot, sid))
			break;
	}
	return top;
}

/* To the eye: what a picture is across, and the root of its rate, since the first frames a second count most;
 * a screen's rate counts little. */
static uint32_t value_of(const struct alloc_slot *slot, unsigned sid, unsigned tid)
{
	uint32_t pixels = width_of(slot, sid) * height_of(slot, sid);
	uint32_t tile = (uint32_t)slot->width * slot->height;
	uint32_t fps = slot->layers[sid][tid].fps;
	uint32_t rate = root((fps ? fps : (uint32_t)UNKNOWN_FPS << tid) * FPS_SCALE);

	if (tile && pixels > tile)
		pixels = tile;
	if (slot->kind == ALLOC_SCREEN)
		rate = root(rate * FPS_SCALE);
	return weight[slot->kind] * root(pixels) * rate;
}

static void add(struct ladder *l, const struct rung *r)
{
	unsigned at = l->count++;

	for (; at && (l->rungs[at - 1].order_bps > r->order_bps ||
		      (l->rungs[at - 1].order_bps == r->order_bps &&
		       l->rungs[at - 1].value < r->value));
	     at--)
		l->rungs[at] = l->rungs[at - 1];
	l->rungs[at] = *r;
}

static void drop_worse(struct ladder *l)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->count; i++)
		if (!kept || l->rungs[i].value > l->rungs[kept - 1].value)
			l->rungs[kept++] = l->rungs[i];
	l->count = kept;
}

static uint64_t gain_of(const struct rung *from, const struct rung *to)
{
	return ((uint64_t)(to->value - from->value) << 20) /
	       (to->order_bps - from->order_bps + 1);
}

/* Along the convex hull: a small step before a great one has the gain of both together. */
static void gains(struct ladder *l)
{
	for (unsigned from = 0, to; from + 1 < l->count; from = to) {
		to = from + 1;
		for (unsigned i = to + 1; i < l->count; i++)
			if (gain_of(&l->rungs[from], &l->rungs[i]) >=
			    gain_of(&l->rungs[from], &l->rungs[to]))
				to = i;
		for (unsigned i = from + 1; i <= to; i++)
			l->rungs[i].gain = gain_of(&l->rungs[from], &l->rungs[to]);
	}
}

static struct rung rung_of(const struct alloc_slot *slot, unsigned sid, unsigned tid,
			   const struct alloc_held *held)
{
	const struct alloc_layer *y = &slot->layers[sid][tid];
	struct rung r = { .bps = y->bps,
			  .order_bps = y->bps,
			  .value = value_of(slot, sid, tid),
			  .sid = (int8_t)sid,
			  .tid = (int8_t)tid,
			  .alive = y->state == ALLOC_ALIVE,
			  .key = y->key };

	if (slot->kind != ALLOC_SCREEN && held->sid == r.sid && held->tid == r.tid)
		r.order_bps -= r.order_bps / 8 * CHEAPER_Q3;
	return r;
}

static void add_size(struct ladder *l, const struct alloc_slot *slot, unsigned sid,
		     bool lowest, const struct alloc_held *held)
{
	struct rung r, least = { .bps = UINT32_MAX };

	for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++) {
		if (!there(&slot->layers[sid][tid]))
			continue;
		r = rung_of(slot, sid, tid, held);
		if (!lowest)
			add(l, &r);
		else if (r.bps < least.bps)
			least = r;
	}
	if (least.value)
		add(l, &least);
}

void ladder_build(struct ladder *l, const struct alloc_slot *slot, bool lowest, int only,
		  const struct alloc_held *held)
{
	unsigned top = top_of(slot);

	l->count = 0;
	for (unsigned sid = 0; sid <= top; sid++)
		if (only == LADDER_ANY || sid == (unsigned)only)
			add_size(l, slot, sid, lowest, held);
	drop_worse(l);
	gains(l);
}
