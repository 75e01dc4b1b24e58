/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which pictures go to a leg, how large and how often, by what its link bears: cc's allocation is asked a few times a second,
 * and at once when the estimate falls. It sees what the relay has measured of each layer of each source that is to be shown, and
 * says which may go (relay_port_layer). Where not even the smallest fits, the place falls idle and the page is
 * told why: a picture of which every other second is dropped helps nobody, and costs its sender key frames that all others get,
 * too.
 *
 * Only where pictures are paced. Sound comes first; that there is room for it is video.c's business.
 */
#include "leg_private.h"

#include <palabre/cc_layers.h>

#include <stdlib.h>

enum {
	EVERY_US = 200000,
	RATE_PART = 4,
	/* Below RTP: addresses, tag, extensions; of packets that are small where it matters. */
	AROUND_PERCENT = 10,
	SOUND_BPS = 40000, /* somebody begins to speak */
	SOUND_US = 1000000,
	/* Nothing waits for so long: then what goes now fits, whatever the estimate says of the moment. */
	CALM_US = 400000,
	MORE_BPS = 1000000, /* than all that is there: somebody may come */
	LESS_Q3 = 7,	    /* of 8: the estimate has fallen */
	TRIED_PERCENT = 120
};

struct allot {
	struct alloc_ctl ctl;
	uint64_t due_us;
	uint32_t estimate_bps; /* when it was asked last */
	uint64_t sound_us, sound_bytes;
	uint32_t sound_bps; /* fading */
	struct {
		int8_t sid, tid; /* as shown when it was looked at last */
		uint32_t stream;
		uint64_t shown_us;
		bool withheld;
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

/* What goes now, and since when. */
static void look_shown(struct leg *leg, unsigned index, struct alloc_slot *out,
		       uint64_t now_us)
{
	const struct leg_slot *slot = &leg->slots[index];
	int sid =
		slot->state.stream == out->source ? relay_port_sid(leg->port, index) : -1;
	int tid = sid < 0 ? -1 : (int)relay_port_tid(leg->port, index);

	if (tid >= ALLOC_TEMPORAL)
		tid = ALLOC_TEMPORAL - 1;
	while (tid > 0 && !out->layers[sid][tid].bps)
		tid--;
	out->shown_sid = (int8_t)sid;
	out->shown_tid = (int8_t)tid;
	if (leg->allot->slots[index].stream != out->source ||
	    leg->allot->slots[index].sid != sid || leg->allot->slots[index].tid != tid) {
		leg->allot->slots[index].stream = out->source;
		leg->allot->slots[index].sid = (int8_t)sid;
		leg->allot->slots[index].tid = (int8_t)tid;
		leg->allot->slots[index].shown_us = now_us;
	}
	out->shown_us = leg->allot->slots[index].shown_us;
}

static void look(struct leg *leg, unsigned index, struct alloc_slot *out, uint64_t now_us)
{
	struct relay_stream *st = relay_port_target(leg->port, index);

	*out = (struct alloc_slot) { .shown_sid = -1, .shown_tid = -1 };
	if (!st)
		return;
	out->source = relay_stream_id(st);
	out->kind = leg_stream_kind(out->source) == STREAM_SCREEN ? ALLOC_SCREEN
								  : ALLOC_CAMERA;
	relay_port_tile(leg->port, index, &out->width, &out->height);
	relay_stream_measured(st, now_us, out->layers);
	for (unsigned sid = 0; sid < ALLOC_SPATIAL; sid++)
		for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++)
			out->layers[sid][tid].bps +=
				out->layers[sid][tid].bps / 100 * AROUND_PERCENT;
	look_shown(leg, index, out, now_us);
}

static uint32_t shown_bps(const struct alloc_slot *slot)
{
	return slot->shown_sid < 0 ? 0
				   : slot->layers[slot->shown_sid][slot->shown_tid].bps;
}

/* All that there is of it. */
static uint32_t most_bps(const struct alloc_slot *slot)
{
	uint32_t most = 0;

	for (unsigned sid = 0; sid < ALLOC_SPATIAL; sid++)
		for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++)
			if (slot->layers[sid][tid].bps > most)
				most = slot->layers[sid][tid].bps;
	return most;
}

/* ---- what comes of it -------------------------------------------------------------- */

static void allow(struct leg *leg, unsigned index, const struct alloc_slot *slot,
		  const struct alloc_choice *choice, uint64_t now_us)
{
	bool *withheld = &leg->allot->slots[index].withheld;
	bool before = *withheld;

	if (!slot->source)
		return;
	*withheld = choice->sid < 0 || choice->stop;
	leg->slots[index].state.no_room = *withheld;
	relay_port_layer(leg->port, index, *withheld ? -1 : choice->sid, choice->tid,
			 now_us);
	if (*withheld) /* so that it is found out when it fits again */
		leg_estimate_picture(leg, now_us);
	if (*withheld == before)
		return;
	if (*withheld)
		STAT_INC(allot_stop);
	leg->all->ops->changed(leg->all->arg, leg);
}

/* As long as nothing waits, what goes now fits. Of a link that has never been full the estimate is not what it bears: the
 * smallest of each is tried. */
static uint32_t estimate(const struct leg *leg, uint32_t shown, uint32_t least)
{
	const struct gcc *c = leg_estimate_get(leg);
	uint32_t bps = gcc_bps(c);

	if (c->aimd.start && bps < least)
		bps = least;
	return leg_pace_delay_us(leg) < CALM_US && shown > bps ? shown : bps;
}

void leg_allot_run(struct leg *leg, uint64_t now_us)
{
	struct allot *a = leg->allot;
	struct gcc *c = leg_estimate_get(leg);
	struct alloc_slot slots[ALLOC_SLOTS];
	struct alloc_choice out[ALLOC_SLOTS];
	struct alloc_link link = { .saving = ALLOC_VIDEO };
	unsigned first = 0, count;
	uint32_t wanted, shown, least = 0;

	if (!a || (now_us < a->due_us && gcc_bps(c) >= a->estimate_bps / 8 * LESS_Q3))
		return;
	a->due_us = now_us + EVERY_US;
	a->estimate_bps = gcc_bps(c);
	while (first < leg->plan.slot_count && leg->plan.slots[first].sec.audio)
		first++;
	count = leg->plan.slot_count - first;
	link.audio_bps = wanted = shown = sound_bps(leg, now_us);
	for (unsigned i = 0; i < count; i++) {
		look(leg, first + i, &slots[i], now_us);
		wanted += most_bps(&slots[i]);
		shown += shown_bps(&slots[i]);
		least += slots[i].layers[0][0].bps;
	}
	least = link.audio_bps + least / 100 * TRIED_PERCENT;
	link.estimate_bps = estimate(leg, shown, least);
	gcc_wanted(c, wanted + (wanted > MORE_BPS ? wanted : MORE_BPS));
	(void)alloc_run(&a->ctl, now_us, &link, slots, count, out);
	for (unsigned i = 0; i < count; i++)
		allow(leg, first + i, &slots[i], &out[i], now_us);
}
