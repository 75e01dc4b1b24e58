/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Pictures on their way to a leg wait in cc's pacer until its link bears them; sound goes around it, at once, and
 * is paid for by what comes behind. What would come too late is dropped up to a key frame, and the slot's next
 * segment begins there: numbers are given when a packet goes, so the receiver sees no gap.
 *
 * Only where the browser has transport-cc: what others' links bear is known too slowly for that.
 *
 * Invariants:
 * - Each item of the pacer holds a reference to its packet (pictures), and is given back once.
 * - What waits in a slot, and is not to be dropped, is of the stream that was put there last; slot->epoch is that of its
 *   segment, pace->epoch that of what waits. They differ between a drop and the beginning behind it.
 */
#include "leg_private.h"

#include <palabre/cc_layers.h>

#include <errno.h>
#include <stdlib.h>

_Static_assert((int)PACER_SLOTS >= (int)NEGO_SLOTS_MAX, "a queue for each slot");

enum {
	WAKE_US = 1000,
	PAD_PKTS = 16 /* the last of a slot, that are sent again as padding */
};

struct pace {
	struct leg *leg;
	struct pacer pacer;
	struct timer timer;
	bool listed;
	struct leg *next;
	struct {
		uint32_t epoch;
		uint64_t highest; /* of its source, put */
	} slots[NEGO_SLOTS_MAX];
	uint8_t pad_slot, probe; /* the last picture's; the last cluster's id */
	uint16_t pad_back;
};

/* ---- life -------------------------------------------------------------------------- */

static void list(struct pace *a)
{
	if (a->listed)
		return;
	a->listed = true;
	a->next = a->leg->all->paced;
	a->leg->all->paced = a->leg;
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct pace *a = CONTAINER_OF(t, struct pace, timer);

	a->leg->all->batch_us = now_us;
	leg_pace_run(a->leg, now_us);
}

int leg_pace_init(struct leg *leg, uint64_t now_us)
{
	const struct gcc *c = leg_estimate_get(leg);

	if (!c || c->params.blind)
		return 0;
	leg->pace = calloc(1, sizeof *leg->pace);
	if (!leg->pace)
		return -1;
	leg->pace->leg = leg;
	leg->pace->timer.fn = on_timer;
	pacer_init(&leg->pace->pacer, now_us);
	return 0;
}

void leg_pace_stop(struct leg *leg)
{
	struct pace *a = leg->pace;
	struct pacer_out out;

	if (!a)
		return;
	wheel_disarm(leg->all->wheel, &a->timer);
	while (pacer_flush(&a->pacer, &out))
		if (out.item.class == PACER_VIDEO)
			pkt_unref((struct pkt *)(uintptr_t)out.item.handle);
	for (unsigned i = 0; i < leg->plan.slot_count; i++)
		a->slots[i].epoch = 0;
	for (struct leg **p = &leg->all->paced; a->listed && *p; p = &(*p)->pace->next) {
		if (*p != leg)
			continue;
		*p = a->next;
		a->listed = false;
		return;
	}
}

void leg_pace_fini(struct leg *leg)
{
	free(leg->pace);
}

/* ---- in ---------------------------------------------------------------------------- */

static void put(struct leg *leg, unsigned slot, struct pkt *p, bool beginning,
		uint64_t now_us)
{
	struct pace *a = leg->pace;
	bool newest = p->rtp.seq64 > a->slots[slot].highest;
	struct pacer_item item = {
		.handle = (uintptr_t)p,
		.at_us = now_us,
		/* What will be left out keeps its place, for the numbers. */
		.bytes = p->rtp.frame.tid > relay_port_tid(leg->port, slot)
				 ? 1
				 : (uint16_t)(p->rtp.payload_len + RESEND_BYTES +
					      WIRE_BYTES),
		.class = PACER_VIDEO,
		.slot = (uint8_t)slot,
		/* A late packet is no beginning: those after it have passed already. */
		.start = p->rtp.frame.start && (newest || beginning),
		.end = p->rtp.frame.end,
		.key = p->rtp.frame.key
	};
	int err;

	if (newest)
		a->slots[slot].highest = p->rtp.seq64;
	err = pacer_put(&a->pacer, now_us, &item);
	if (!err) {
		pkt_ref(p);
		return;
	}
	STAT_INC(pace_drop);
	if (err == -ENOBUFS)
		relay_port_key_request(leg->port, slot, now_us);
}

void leg_pace_forward(struct leg *leg, unsigned slot, const struct leg_source *src,
		      struct pkt *p, uint64_t begin, uint64_t now_us)
{
	struct pace *a = leg->pace;
	struct pkt *first = NULL;

	list(a);
	if (!begin && a->slots[slot].epoch == src->epoch) {
		put(leg, slot, p, false, now_us);
		return;
	}
	pacer_forget(&a->pacer, slot);
	a->slots[slot].epoch = src->epoch;
	if (begin && begin != p->rtp.seq64)
		first = rtp_store_get(&src->store, begin);
	if (!first)
		first = p;
	a->slots[slot].highest = first->rtp.seq64;
	put(leg, slot, first, true, now_us);
	/* What has passed since follows. */
	for (uint64_t seq = first->rtp.seq64 + 1; seq <= src->recv.highest; seq++) {
		struct pkt *q = rtp_store_get(&src->store, seq);

		if (q)
			put(leg, slot, q, false, now_us);
	}
}

void leg_pace_forget(struct leg *leg, unsigned slot)
{
	if (!leg->pace || leg->plan.slots[slot].sec.audio)
		return;
	pacer_forget(&leg->pace->pacer, slot);
	leg->pace->slots[slot].epoch = 0;
	list(leg->pace);
}

int leg_pace_resend(struct leg *leg, unsigned slot, uint16_t seq, const struct pkt *p,
		    uint64_t now_us)
{
	struct pacer_item item = { .handle = seq,
				   .at_us = now_us,
				   .bytes = (uint16_t)(p->rtp.payload_len + RESEND_BYTES +
						       WIRE_BYTES),
				   .class = PACER_RTX,
				   .slot = (uint8_t)slot };

	list(leg->pace);
	return pacer_put(&leg->pace->pacer, now_us, &item) ? -EAGAIN : 0;
}

void leg_pace_sent(struct leg *leg, unsigned bytes, uint64_t now_us)
{
	if (leg->pace)
		pacer_sent(&leg->pace->pacer, now_us, bytes);
}

void leg_pace_probe(struct leg *leg, const struct gcc_cluster *cluster)
{
	struct pace *a = leg->pace;

	if (!a)
		return;
	a->probe = (uint8_t)(a->probe % UINT8_MAX + 1);
	/* With four waiting nothing has been sent for seconds. */
	if (pacer_probe(&a->pacer, a->probe, cluster->bps, cluster->bytes))
		STAT_INC(probe_skip);
	list(a);
}

void leg_pace_soon(struct leg *leg)
{
	if (leg->pace)
		list(leg->pace);
}

uint64_t leg_pace_delay_us(const struct leg *leg)
{
	return leg->pace ? pacer_delay_us(&leg->pace->pacer) : 0;
}

/* ---- out --------------------------------------------------------------------------- */

static bool begin(struct leg *leg, unsigned slot, struct pkt *p, uint64_t now_us)
{
	struct relay_stream *st = relay_port_slot(leg->port, slot);
	const struct leg_source *src = st ? leg_source_of(st, p->rtp.layer) : NULL;

	return src && src->epoch == leg->pace->slots[slot].epoch &&
	       leg_slot_begin(leg, slot, st, p, now_us);
}

static void give_picture(struct leg *leg, const struct pacer_out *out, uint64_t now_us)
{
	struct pkt *p = (struct pkt *)(uintptr_t)out->item.handle;
	unsigned slot = out->item.slot;

	if (out->drop) {
		STAT_INC(pace_drop);
		if (out->key_needed)
			relay_port_key_request(leg->port, slot, now_us);
	} else if (out->resumed) {
		/* Whoever was in the slot may have gone since: then nothing more of them goes. */
		if (!begin(leg, slot, p, now_us))
			leg->slots[slot].epoch = 0;
	} else if (leg->slots[slot].epoch &&
		   leg->slots[slot].epoch == leg->pace->slots[slot].epoch) {
		leg_slot_send(leg, slot, p);
	}
	leg->pace->pad_slot = (uint8_t)slot;
	pkt_unref(p);
}

static void give(struct leg *leg, const struct pacer_out *out, uint64_t now_us)
{
	if (out->item.class == PACER_VIDEO)
		give_picture(leg, out, now_us);
	else if (out->drop)
		STAT_INC(pace_drop);
	else if (out->item.class == PACER_RTX)
		leg_resend_write(leg, out->item.slot, (uint16_t)out->item.handle,
				 GCC_VIDEO, now_us);
	else if (out->item.handle)
		leg_resend_write(leg, out->item.slot, (uint16_t)out->item.handle,
				 GCC_PADDING, now_us);
	else
		leg_resend_pad(leg, out->item.slot, out->item.bytes, now_us);
}

/* For a probe that has nothing to be sent: something that was sent a while ago, or nothing but padding. False:
 * there is no need, or no stream for it. */
static bool pad(struct leg *leg, uint64_t now_us)
{
	struct pace *a = leg->pace;
	unsigned wants = pacer_wants(&a->pacer, now_us);
	const struct leg_slot *slot = &leg->slots[a->pad_slot];
	struct pacer_item item = { .at_us = now_us,
				   .class = PACER_PADDING,
				   .slot = a->pad_slot };
	unsigned most = PADDING_MAX + RESEND_BYTES + WIRE_BYTES, bytes;

	if (!wants || !leg_estimate_going(leg) || slot->plan->sec.audio ||
	    !slot->plan->rtx_ssrc || !slot->rtp.segment_count)
		return false;
	item.handle = (uint16_t)(slot->rtp.highest - (unsigned)a->pad_back++ % PAD_PKTS);
	bytes = wants > most ? leg_resend_bytes(leg, a->pad_slot, (uint16_t)item.handle)
			     : 0;
	if (!bytes) {
		item.handle = 0;
		bytes = wants < most ? wants : most;
	}
	item.bytes = (uint16_t)bytes;
	return !pacer_put(&a->pacer, now_us, &item);
}

/* No more than may be in flight; a cluster is small enough. */
static void follow(struct pace *a, uint64_t now_us)
{
	const struct gcc *c = leg_estimate_get(a->leg);
	bool may = c->probe.sending || gcc_may_send(c, c->packet_bytes);
	uint32_t bps = may ? gcc_pacing_bps(c) : 0;

	if (bps != a->pacer.rate_bps)
		pacer_rate(&a->pacer, now_us, bps);
}

void leg_pace_run(struct leg *leg, uint64_t now_us)
{
	struct pace *a = leg->pace;
	struct pacer_out out;
	uint64_t next_us;

	do {
		follow(a, now_us);
		while (pacer_take(&a->pacer, now_us, &out)) {
			give(leg, &out, now_us);
			follow(a, now_us);
		}
	} while (pad(leg, now_us));
	next_us = pacer_next_us(&a->pacer, now_us);
	if (next_us == UINT64_MAX)
		wheel_disarm(leg->all->wheel, &a->timer);
	else
		wheel_arm(leg->all->wheel, &a->timer,
			  next_us > now_us + WAKE_US ? next_us : now_us + WAKE_US);
}

void legs_pace(struct legs *l)
{
	while (l->paced) {
		struct leg *leg = l->paced;

		l->paced = leg->pace->next;
		leg->pace->listed = false;
		leg_pace_run(leg, l->batch_us);
	}
}
