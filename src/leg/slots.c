/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a leg gets: the relay's port callbacks, and the out queue between them and the
 * wire. Invariant: an item in the queue holds a reference to its packet and is gone
 * before the batch ends. What mixers make has a ring of its own, whose items may outlast it, but not
 * their leg.
 */
#include "leg_private.h"

#include <errno.h>

enum { AHEAD_TICKS = 48000 }; /* more is another beginning of the voice's numbers */

static bool switch_slot(struct leg_slot *slot, const struct leg_source *src,
			uint32_t stream, const struct pkt *p)
{
	const struct nego_codec *codec = nego_match(&slot->plan->sec, src->codec);
	uint8_t pt = !codec ? 0 : src->red ? codec->red_pt : codec->pt;
	uint8_t dd_id = 0;

	/* The relay asked accepts() before; should it be none, nothing of `src` is mapped. */
	slot->epoch = pt ? src->epoch : 0;
	if (!pt)
		return false;
	for (uint8_t id = 1; id < ARRAY_LEN(slot->plan->sec.exts.of_id); id++)
		if (slot->plan->sec.exts.of_id[id] == EXT_DD)
			dd_id = id;
	rtp_slot_switch(&slot->rtp, stream, pt, codec->rtx_pt, dd_id, p);
	rtp_slot_layer(&slot->rtp, src->layer);
	if (src->red)
		rtp_slot_red(&slot->rtp, codec->pt);
	slot->report_now = true;
	slot->silence_left = 0;
	return true;
}

/* Source packet or moment `ts64` goes out as `ts`. Until the sender has reported, when it
 * came stands for when it was captured. */
static void anchor(struct leg *leg, struct leg_slot *slot, const struct leg_source *src,
		   uint64_t ts64, uint32_t ts, uint64_t arrival_us)
{
	if (!rtp_capture_us(&src->recv, src->clock, ts64, &slot->anchor_us))
		slot->anchor_us = arrival_us;
	slot->anchor_ts64 = ts64;
	slot->state.ts = ts;
	slot->state.at_ms = slot->anchor_us / 1000;
	leg->all->ops->changed(leg->all->arg, leg);
}

void leg_slot_follow(struct leg *leg, struct leg_slot *slot, const struct leg_source *src)
{
	uint64_t ticks = src->recv.ts64 - slot->anchor_ts64;
	uint64_t at_us, drift_us;

	if (!rtp_capture_us(&src->recv, src->clock, slot->anchor_ts64, &at_us))
		return;
	drift_us = at_us > slot->anchor_us ? at_us - slot->anchor_us
					   : slot->anchor_us - at_us;
	if (drift_us > ANCHOR_DRIFT_US ||
	    ticks > (uint64_t)ANCHOR_AGE_S * src->recv.clock_rate)
		anchor(leg, slot, src, src->recv.ts64, slot->state.ts + (uint32_t)ticks,
		       src->recv.last_us);
}

static void write_item(struct legs *l, const struct out_item *item)
{
	struct leg_slot *slot = &item->leg->slots[item->slot];
	uint8_t *buf = tx_reserve(l->tx);
	size_t header_len;
	int len = rtp_slot_write(&slot->rtp, item->pkt, &item->out, buf,
				 TX_MTU - SEAL_OVERHEAD_MAX, &header_len);

	if (len < 0)
		tx_commit(l->tx, NULL, 0);
	else if (!conn_send_rtp(item->leg->conn, &slot->seal, buf, (size_t)len,
				header_len, item->out.seq64)) {
		STAT_INC(rtp_fwd);
		if (slot->plan->sec.audio) {
			item->leg->sent.packets++;
			item->leg->sent.bytes += (unsigned)len + WIRE_BYTES;
		}
	}
	pkt_unref(item->pkt);
}

void legs_drain(struct legs *l)
{
	for (unsigned i = 0; i < l->out_count; i++)
		write_item(l, &l->out[i]);
	l->out_count = 0;
}

bool legs_drain_made(struct legs *l, uint64_t now_us)
{
	for (unsigned i = 0; i < MADE_TURN && l->made_count; i++) {
		struct out_item *item = &l->made[l->made_first];

		l->made_first = (l->made_first + 1) % MADE_QUEUE;
		l->made_count--;
		if (!item->leg)
			continue;
		if (item->leg->slots[item->slot].twcc_id)
			leg_measure_out(item->leg, item->slot, &item->out, now_us);
		write_item(l, item);
	}
	return l->made_count > 0;
}

void leg_made_forget(struct leg *leg)
{
	struct legs *l = leg->all;

	for (unsigned i = 0; i < l->made_count; i++) {
		struct out_item *item = &l->made[(l->made_first + i) % MADE_QUEUE];

		if (item->leg != leg)
			continue;
		pkt_unref(item->pkt);
		item->leg = NULL;
	}
}

/* Its place in the queue it belongs to. */
static struct out_item *place(struct legs *l)
{
	if (!l->making) {
		if (l->out_count == OUT_QUEUE)
			legs_drain(l);
		return &l->out[l->out_count++];
	}
	if (l->made_count == MADE_QUEUE)
		(void)legs_drain_made(l, l->batch_us);
	return &l->made[(l->made_first + l->made_count++) % MADE_QUEUE];
}

/* False when the slot's segment does not take the packet. */
static bool enqueue(struct leg *leg, unsigned index, struct pkt *p, struct rtp_out *out)
{
	struct leg_slot *slot = &leg->slots[index];
	struct legs *l = leg->all;
	struct out_item *item;
	int err;

	if (leg->mixer && slot->plan->sec.audio)
		rtp_slot_name(&slot->rtp, p->rtp.seq64);
	err = rtp_slot_map(&slot->rtp, p, out, false);
	if (err == -ENOENT)
		STAT_INC(layer_cut);
	if (err)
		return false;
	if (slot->repeat_ts64 == out->ts64 && out->seq64 > slot->repeat_last)
		slot->repeat_last = out->seq64;
	if (slot->twcc_id && !l->making)
		leg_measure_out(leg, index, out, l->batch_us);
	if (slot->plan->sec.audio) {
		leg_again_out(leg, index, out, p, l->batch_us);
		if (out->seq64 != slot->rtp.highest) /* it came by a repeat */
			leg_control_late(leg, index, (uint16_t)out->seq64, l->batch_us);
	}
	item = place(l);
	item->leg = leg;
	item->slot = (uint8_t)index;
	item->pkt = pkt_ref(p);
	item->out = *out;
	return true;
}

/* The slot began with a packet that came late: what has passed since follows at once, or
 * the receiver would see a gap and have to ask for all of it. */
static void catch_up(struct leg *leg, unsigned index, const struct leg_source *src,
		     uint64_t first)
{
	struct rtp_out out;

	for (uint64_t seq = first + 1; seq <= src->recv.highest; seq++) {
		struct pkt *p = rtp_store_get(&src->store, seq);

		if (p)
			(void)enqueue(leg, index, p, &out);
	}
}

/* Who came from the mix, which is later than the voice itself, has not heard what has just passed of
 * it: the segment begins there, and the rest follows at once. */
static struct pkt *begin_at(struct leg *leg, const struct leg_source *src, struct pkt *p)
{
	uint64_t from_ts64 = leg->from_ts64;
	struct pkt *first = p;

	leg->from_ts64 = 0;
	for (uint64_t back = 1; from_ts64 && back < STORE_AUDIO && back < p->rtp.seq64;
	     back++) {
		struct pkt *q = rtp_store_get(&src->store, p->rtp.seq64 - back);

		if (q && q->rtp.ts64 < from_ts64)
			break;
		if (q)
			first = q;
	}
	return first;
}

/* A joined packet behind the same voice as it is sent, which is ahead of it: what of the packet has
 * not gone out yet goes as it was sent. True: that is all of it. */
static bool is_ahead(struct leg *leg, unsigned index, const struct leg_source *src,
		     const struct pkt *p)
{
	struct leg_slot *slot = &leg->slots[index];
	struct relay_stream *st = src->of ? relay_stream_find(leg->room, src->of) : NULL;
	const struct leg_source *own = st ? relay_stream_owner(st) : NULL;
	struct rtp_out out;
	uint64_t end_ts64;

	if (!own || !rtp_slot_end(&slot->rtp, src->of, &end_ts64) ||
	    end_ts64 <= p->rtp.ts64 || end_ts64 - p->rtp.ts64 > AHEAD_TICKS ||
	    own->recv.highest < STORE_AUDIO)
		return false;
	for (uint64_t seq = own->recv.highest - STORE_AUDIO + 1; seq <= own->recv.highest;
	     seq++) {
		struct pkt *q = rtp_store_get(&own->store, seq);

		if (q && q->rtp.ts64 >= end_ts64 &&
		    q->rtp.ts64 < p->rtp.ts64 + p->rtp.frame.samples)
			(void)enqueue(leg, index, q, &out);
	}
	slot->epoch = 0; /* so that the next one comes as a first */
	return true;
}

static void forward(void *owner, unsigned index, struct relay_stream *st, struct pkt *p,
		    uint64_t begin, uint64_t now_us)
{
	struct leg *leg = owner;
	struct leg_slot *slot = &leg->slots[index];
	struct leg_source *src = leg_source_of(st, p->rtp.layer);
	struct pkt *first = p;
	struct rtp_out out;

	rtp_slot_limit(&slot->rtp, relay_port_tid(leg->port, index));
	if (begin || slot->epoch != src->epoch) {
		if (is_ahead(leg, index, src, p))
			return;
		if (leg->from_ts64 && leg->hears == relay_stream_id(st))
			first = begin_at(leg, src, p);
		else if (begin && begin != p->rtp.seq64)
			first = rtp_store_get(&src->store, begin);
		if (!first) /* the room's memory for pictures is short: with its next */
			first = p;
		if (!switch_slot(slot, src, relay_stream_id(st), first) ||
		    !enqueue(leg, index, first, &out))
			return;
		slot->state.stream = relay_stream_id(st);
		/* The moment that the line of time has where the slot begins. */
		anchor(leg, slot, src, out.ts64 - out.seg->ts_off, (uint32_t)out.ts64,
		       first->arrival_us);
		leg_feedback_at(leg, now_us);
		if (!slot->plan->sec.audio && leg->nacked_us &&
		    now_us < leg->nacked_us + LOSSY_US)
			leg_repeat_later(leg, slot, &out, now_us);
		if (first != p || !slot->plan->sec.audio)
			catch_up(leg, index, src, first->rtp.seq64);
	} else {
		(void)enqueue(leg, index, p, &out);
	}
}

static bool accepts(void *owner, unsigned index, const struct relay_stream *st)
{
	struct leg *leg = owner;
	const struct leg_source *src = relay_stream_owner(st);
	const struct nego_codec *coded = leg_source_codec(src);
	const struct nego_codec *codec =
		coded ? nego_match(&leg->slots[index].plan->sec, coded) : NULL;

	return codec && (!src->red || codec->red_pt);
}

static void idle(void *owner, unsigned index, uint64_t now_us)
{
	struct leg *leg = owner;
	struct leg_slot *slot = &leg->slots[index];

	slot->state.stream = 0;
	slot->state.ts = (uint32_t)slot->rtp.ts64 + 1;
	leg->all->ops->changed(leg->all->arg, leg);
	if (slot->plan->sec.audio && slot->rtp.segment_count) {
		slot->silence_left = SILENCE_FRAMES;
		if (!leg->silence.due_us)
			wheel_arm(leg->all->wheel, &leg->silence, now_us + 20000);
	}
}

const struct relay_port_ops leg_port_ops = { .forward = forward,
					     .accepts = accepts,
					     .idle = idle };
