/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which pictures go to a leg, by what its link bears: cc's allocation is asked a few times a second, and at once when
 * the estimate falls. Of each source that size is looked at which its tile has chosen, with the rate at which it comes. What does not fit is withheld
 * as a whole (its place is empty, and the page is told why) until it does: a picture of which every other second is
 * dropped helps nobody, and costs its sender key frames that all others get, too.
 *
 * Only where pictures are paced. Sound comes first; that there is room for it is video.c's business.
 */
#include "leg_private.h"

#include <palabre/cc_layers.h>

#include <stdlib.h>

enum {
	EVERY_US = 200000,
	RATE_US = 1000000, /* a source's rate is looked at so often */
	RATE_PART = 4,
	PACKET_BYTES = 12 + 8 + WIRE_BYTES, /* around a payload */
	EXPECTED_BPS = 100000,		    /* of a source that is not known yet */
	SOUND_BPS = 40000,		    /* somebody begins to speak */
	SOUND_US = 1000000,
	/* Nothing waits for so long: then what goes now fits, whatever the estimate says of the moment. */
	CALM_US = 400000,
	MORE_BPS = 1000000, /* than all that is there: somebody may come */
	LESS_Q3 = 7	    /* of 8: the estimate has fallen */
};
/* A link that has not been full yet: what it bears is not known, and more than the estimate. */
static const uint32_t UNKNOWN_BPS = 1000000000;

struct allot {
	struct alloc_ctl ctl;
	uint64_t due_us;
	uint32_t estimate_bps; /* when it was asked last */
	uint64_t sound_us, sound_bytes;
	uint32_t sound_bps; /* fading */
	struct {
		uint32_t stream; /* that is withheld, 0 none */
		uint64_t shown_us;
	} slots[NEGO_SLOTS_MAX];
};

int leg_allot_init(struct leg *leg)
{
	if (!leg->pace)
		return 0;
	leg->allot = calloc(1, sizeof *leg->allot);
	if (!leg->allot)
		return -1;
	alloc_init(&leg->allot->ctl);
	return 0;
}

void leg_allot_fini(struct leg *leg)
{
	free(leg->allot);
}

/* ---- what is known ----------------------------------------------------------------- */

/* 0: not known yet. */
static uint32_t source_bps(struct leg_source *src, uint64_t now_us)
{
	uint64_t past_us = now_us - src->rate.at_us, bytes;

	if (past_us < RATE_US)
		return src->rate.bps;
	/* Its numbers began anew, or nobody has looked for a while: then it may have been paused. */
	if (src->recv.received > src->rate.received && past_us < 2 * RATE_US) {
		uint32_t bps;

		bytes = src->recv.bytes - src->rate.bytes +
			(src->recv.received - src->rate.received) * PACKET_BYTES;
		bps = (uint32_t)(bytes * 8000000 / past_us);
		src->rate.bps = src->rate.bps
					? src->rate.bps - src->rate.bps / RATE_PART +
						  bps / RATE_PART
					: bps;
	}
	src->rate.bytes = src->recv.bytes;
	src->rate.received = src->recv.received;
	src->rate.at_us = now_us;
	return src->rate.bps;
}

static uint32_t sound_bps(struct leg *leg, uint64_t now_us)
{
	struct allot *a = leg->allot;
	uint64_t past_us = now_us - a->sound_us;
	uint32_t bps;

	if (past_us >= SOUND_US) {
		bps = (uint32_t)((leg->sent.bytes - a->sound_bytes) * 8000000 / past_us);
		a->sound_bps = bps > a->sound_bps
				       ? bps
				       : a->sound_bps - (a->sound_bps - bps) / RATE_PART;
		a->sound_us = now_us;
		a->sound_bytes = leg->sent.bytes;
	}
	return a->sound_bps > SOUND_BPS ? a->sound_bps : SOUND_BPS;
}

static void look(struct leg *leg, unsigned index, struct alloc_slot *out, uint64_t now_us)
{
	struct relay_stream *st = relay_port_slot(leg->port, index);
	const struct leg_slot *slot = &leg->slots[index];
	int sid = relay_port_sid(leg->port, index);
	uint32_t bps;
	bool shown;

	*out = (struct alloc_slot) { .shown_sid = -1, .shown_tid = -1 };
	if (!st)
		return;
	shown = slot->state.stream == relay_stream_id(st);
	out->source = relay_stream_id(st);
	out->kind = leg_stream_kind(out->source) == STREAM_SCREEN ? ALLOC_SCREEN
								  : ALLOC_CAMERA;
	out->shown_us = leg->allot->slots[index].shown_us;
	if (shown)
		out->shown_sid = out->shown_tid = 0;
	bps = source_bps(leg_source_of(st, sid > 0 ? (unsigned)sid : 0), now_us);
	out->layers[0][0] = (struct alloc_layer) { .bps = bps ? bps : EXPECTED_BPS,
						   .state = ALLOC_ALIVE,
						   .key = true };
}

/* ---- what comes of it -------------------------------------------------------------- */

static void withhold(struct leg *leg, unsigned index, uint32_t stream, uint64_t now_us)
{
	struct leg_slot *slot = &leg->slots[index];

	if (leg->allot->slots[index].stream == stream)
		return;
	leg->allot->slots[index].stream = stream;
	leg->allot->slots[index].shown_us = now_us;
	slot->state.no_room = stream != 0;
	leg_pace_withhold(leg, index, stream != 0, now_us);
	if (stream) {
		STAT_INC(allot_stop);
		slot->state.stream = 0;
		slot->state.ts = (uint32_t)slot->rtp.ts64 + 1;
	}
	leg->all->ops->changed(leg->all->arg, leg);
}

/* As long as nothing waits, what goes now fits. */
static uint32_t estimate(const struct leg *leg, uint32_t shown_bps)
{
	const struct gcc *c = leg_estimate_get(leg);
	uint32_t bps = gcc_bps(c);

	if (c->aimd.start)
		return UNKNOWN_BPS;
	return leg_pace_delay_us(leg) < CALM_US && shown_bps > bps ? shown_bps : bps;
}

void leg_allot_run(struct leg *leg, uint64_t now_us)
{
	struct allot *a = leg->allot;
	struct gcc *c = leg_estimate_get(leg);
	struct alloc_slot slots[ALLOC_SLOTS];
	struct alloc_choice out[ALLOC_SLOTS];
	struct alloc_link link = { .saving = ALLOC_VIDEO };
	unsigned first = 0, count;
	uint32_t wanted_bps, shown_bps;

	if (!a || (now_us < a->due_us && gcc_bps(c) >= a->estimate_bps / 8 * LESS_Q3))
		return;
	a->due_us = now_us + EVERY_US;
	a->estimate_bps = gcc_bps(c);
	while (first < leg->plan.slot_count && leg->plan.slots[first].sec.audio)
		first++;
	count = leg->plan.slot_count - first;
	link.audio_bps = wanted_bps = shown_bps = sound_bps(leg, now_us);
	for (unsigned i = 0; i < count; i++) {
		look(leg, first + i, &slots[i], now_us);
		wanted_bps += slots[i].layers[0][0].bps;
		if (slots[i].source && !a->slots[first + i].stream)
			shown_bps += slots[i].layers[0][0].bps;
	}
	link.estimate_bps = estimate(leg, shown_bps);
	gcc_wanted(c, wanted_bps + (wanted_bps > MORE_BPS ? wanted_bps : MORE_BPS));
	(void)alloc_run(&a->ctl, now_us, &link, slots, count, out);
	for (unsigned i = 0; i < count; i++)
		withhold(leg, first + i,
			 out[i].reason == ALLOC_NO_ROOM ? slots[i].source : 0, now_us);
}
