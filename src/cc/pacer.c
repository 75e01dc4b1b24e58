/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What goes when. Invariant: an item that was put comes out once, to be sent or to be dropped, and those
 * of one slot in the order in which they were put.
 *
 * The budget is a debt in bits times a million, so that a microsecond pays for `rate` of them and nothing
 * is divided on the way: all that is sent adds to it, time pays it off, and what is paced goes while
 * there is next to none. So sound, which never asks, is paid for by the pictures behind it. (libwebrtc's
 * PacingController keeps such a debt, draft-ietf-rmcat-gcc-02 §3 a budget a time slot.)
 *
 * Items are in lists over one table: putting and taking touch a list's ends only, and what goes stale is
 * looked for once a batch, at the heads of the slots.
 */
#include <palabre/cc_layers.h>

#include <errno.h>
#include <string.h>

enum {
	NONE = UINT16_MAX,
	AUDIO = PACER_SLOTS, /* queues; before them those of the slots */
	RTX,
	PADDING,
	PACKET_BYTES = 1500,
	/* Of what is free a slot may have twice as much (the dynamic threshold of Choudhury and Hahne,
	 * 1998): one alone gets two thirds of the room, and there is always some for another. */
	SHARE = 2
};
static const int64_t BITS = 8000000; /* of a byte, in the debt's unit */
/* More than a second's debt is forgiven: sound that is more than the rate is others' business. */
static const uint64_t DEBT_US = 1000000;
static const uint64_t SETTLE_MOST_US = 2000000; /* pays any debt */
static const uint64_t PROBE_LATE_US = 500000;

_Static_assert(PACER_AUDIO_MAX + PACER_RTX_MAX + PACER_VIDEO_MAX + PACER_PADDING_MAX ==
		       PACER_ITEMS,
	       "no class takes another's room");
_Static_assert(PACER_SLOTS <= 16, "they are bits of 16");

static const uint16_t most[PACER_CLASSES] = { PACER_AUDIO_MAX, PACER_RTX_MAX,
					      PACER_VIDEO_MAX, PACER_PADDING_MAX };

void pacer_init(struct pacer *p, uint64_t now_us)
{
	memset(p, 0, sizeof *p);
	p->at_us = now_us;
	for (unsigned i = 0; i < PACER_QUEUES; i++)
		p->queues[i].first = p->queues[i].last = NONE;
	for (unsigned i = 0; i < PACER_ITEMS; i++)
		p->next[i] = (uint16_t)(i + 1 < PACER_ITEMS ? i + 1 : NONE);
}

/* ---- budget ------------------------------------------------------------------------ */

static uint64_t waiting_bytes(const struct pacer *p)
{
	return (uint64_t)p->bytes[PACER_RTX] + p->bytes[PACER_VIDEO];
}

/* As fast as is needed for nothing to wait longer than PACER_DRAIN_US, within limits. */
static uint64_t speed_bps(const struct pacer *p)
{
	uint64_t need_bps = waiting_bytes(p) * 8 * 1000000 / PACER_DRAIN_US;
	uint64_t most_bps = (uint64_t)p->rate_bps * PACER_DRAIN_X10 / 10;

	if (need_bps <= p->rate_bps)
		return p->rate_bps;
	return need_bps < most_bps ? need_bps : most_bps;
}

static bool paced(const struct pacer *p)
{
	return p->queues[RTX].count || p->waiting || p->queues[PADDING].count;
}

/* Who wakes late, while something waits, has not lost the time; who had nothing to send saves none. */
static void settle(struct pacer *p, uint64_t now_us)
{
	int64_t least = paced(p) ? -(int64_t)p->rate_bps * PACER_LATE_US : 0;
	uint64_t us = now_us > p->at_us ? now_us - p->at_us : 0;

	p->at_us += us;
	if (us > SETTLE_MOST_US)
		us = SETTLE_MOST_US;
	p->debt -= (int64_t)(us * speed_bps(p));
	if (p->debt < least)
		p->debt = least;
}

static void charge(struct pacer *p, unsigned bytes)
{
	int64_t cap = (int64_t)(p->rate_bps * DEBT_US);

	if (cap < PACKET_BYTES * BITS)
		cap = PACKET_BYTES * BITS;
	p->debt += bytes * BITS;
	if (p->debt > cap)
		p->debt = cap;
}

void pacer_rate(struct pacer *p, uint64_t now_us, uint32_t bps)
{
	settle(p, now_us);
	p->rate_bps = bps;
	charge(p, 0);
}

void pacer_sent(struct pacer *p, uint64_t now_us, unsigned bytes)
{
	settle(p, now_us);
	charge(p, bytes);
}

uint64_t pacer_delay_us(const struct pacer *p)
{
	uint64_t bits = waiting_bytes(p) * 8000000;

	if (!bits)
		return 0;
	if (p->debt > 0)
		bits += (uint64_t)p->debt;
	return p->rate_bps ? bits / p->rate_bps : UINT64_MAX;
}

/* ---- queues ------------------------------------------------------------------------ */

static void append(struct pacer *p, unsigned queue, const struct pacer_item *item)
{
	struct pacer_queue *q = &p->queues[queue];
	uint16_t i = p->free;

	p->free = p->next[i];
	p->items[i] = *item;
	p->next[i] = NONE;
	if (q->count++)
		p->next[q->last] = i;
	else
		q->first = i;
	q->last = i;
	p->count[item->class]++;
	p->bytes[item->class] += item->bytes;
	if (queue < PACER_SLOTS)
		p->waiting |= (uint16_t)(1u << queue);
}

static void pop(struct pacer *p, unsigned queue, struct pacer_item *item)
{
	struct pacer_queue *q = &p->queues[queue];
	uint16_t i = q->first;

	*item = p->items[i];
	q->first = p->next[i];
	if (!--q->count)
		q->last = NONE;
	p->next[i] = p->free;
	p->free = i;
	p->count[item->class]--;
	p->bytes[item->class] -= item->bytes;
	if (queue < PACER_SLOTS && !q->count)
		p->waiting &= (uint16_t) ~(1u << queue);
}

static const struct pacer_item *head(const struct pacer *p, unsigned queue)
{
	return &p->items[p->queues[queue].first];
}

static bool begins_key(const struct pacer_item *item)
{
	return item->start && item->key;
}

/* ---- dropping ---------------------------------------------------------------------- */

/* The first `doomed` that wait in the slot go, and, if it seeks, what follows up to a key frame. */
static void doom(struct pacer *p, unsigned slot, uint16_t doomed, bool seeks)
{
	struct pacer_slot *s = &p->slots[slot];

	s->doomed = doomed;
	s->seeks = seeks;
	s->open = false;
	s->resumes = true;
	if (!p->queues[slot].count)
		return;
	s->untold = seeks && !s->keys;
	p->dropping |= (uint16_t)(1u << slot);
}

/* How long its first item may wait: a frame that has begun, and a key frame that no other follows, for
 * longer, since to drop them costs as much again. What waited behind a key frame is given time to catch
 * up: else it would go stale behind every one, and ask for the next. */
static uint64_t stale_at_us(const struct pacer *p, unsigned slot)
{
	const struct pacer_slot *s = &p->slots[slot];
	const struct pacer_item *item = head(p, slot);

	if ((s->open && !item->start) || (begins_key(item) && s->keys == 1))
		return item->at_us + PACER_CUT_US;
	return (item->at_us > s->since_us ? item->at_us : s->since_us) + PACER_STALE_US;
}

static void look(struct pacer *p, uint64_t now_us)
{
	if (p->looked_us == now_us)
		return;
	p->looked_us = now_us;
	for (unsigned left = p->waiting & ~p->dropping; left; left &= left - 1) {
		unsigned slot = (unsigned)__builtin_ctz(left);

		if (now_us <= stale_at_us(p, slot))
			continue;
		if (begins_key(head(p, slot)))
			p->slots[slot].keys--;
		doom(p, slot, 1, true);
	}
}

static bool drop(struct pacer *p, uint64_t now_us, struct pacer_out *out)
{
	unsigned slot = (unsigned)__builtin_ctz(p->dropping);
	struct pacer_slot *s = &p->slots[slot];

	pop(p, slot, &out->item);
	out->drop = true;
	out->key_needed = s->untold;
	s->untold = false;
	s->dropped_us = now_us;
	if (s->doomed)
		s->doomed--;
	if (!p->queues[slot].count) {
		p->dropping &= (uint16_t) ~(1u << slot);
	} else if (!s->doomed && (!s->seeks || begins_key(head(p, slot)))) {
		p->dropping &= (uint16_t) ~(1u << slot);
		s->seeks = false;
	}
	return true;
}

/* A repeat that is asked for again anyway, or of pictures before what was dropped. */
static bool rtx_useless(const struct pacer *p, uint64_t now_us)
{
	const struct pacer_item *item;

	if (!p->queues[RTX].count)
		return false;
	item = head(p, RTX);
	return now_us > item->at_us + PACER_STALE_US ||
	       p->slots[item->slot].dropped_us >= item->at_us;
}

void pacer_forget(struct pacer *p, unsigned slot)
{
	p->slots[slot].keys = 0;
	doom(p, slot, p->queues[slot].count, false);
}

/* ---- in ---------------------------------------------------------------------------- */

static int put_video(struct pacer *p, const struct pacer_item *item)
{
	struct pacer_slot *s = &p->slots[item->slot];
	unsigned have = p->queues[item->slot].count;

	if (s->seeks && !s->keys && !begins_key(item))
		return -ESTALE;
	if (have >= SHARE * (unsigned)(PACER_VIDEO_MAX - p->count[PACER_VIDEO])) {
		s->keys = 0;
		doom(p, item->slot, (uint16_t)have, true);
		return -ENOBUFS;
	}
	if (begins_key(item)) {
		s->keys++;
		if (!(p->dropping & 1u << item->slot))
			s->seeks = false;
	}
	append(p, item->slot, item);
	return 0;
}

int pacer_put(struct pacer *p, uint64_t now_us, const struct pacer_item *item)
{
	static const uint8_t queue[PACER_CLASSES] = { AUDIO, RTX, 0, PADDING };
	struct pacer_item own = *item;

	if (!own.bytes || own.class >= PACER_CLASSES || own.slot >= PACER_SLOTS)
		return -EINVAL;
	settle(p, now_us);
	if (own.at_us > now_us)
		own.at_us = now_us;
	if (own.class == PACER_VIDEO)
		return put_video(p, &own);
	if (p->count[own.class] == most[own.class])
		return -ENOBUFS;
	append(p, queue[own.class], &own);
	return 0;
}

/* ---- probes ------------------------------------------------------------------------ */

int pacer_probe(struct pacer *p, uint8_t id, uint32_t bps, uint32_t bytes)
{
	if (!id || !bps || !bytes)
		return -EINVAL;
	if (p->probe_count == PACER_PROBES)
		return -ENOBUFS;
	p->probes[p->probe_count++] =
		(struct pacer_probe) { .id = id, .bps = bps, .bytes = bytes };
	return 0;
}

static void probe_next(struct pacer *p)
{
	p->probe_count--;
	memmove(p->probes, p->probes + 1, p->probe_count * sizeof p->probes[0]);
}

/* When its next packet is due. */
static uint64_t probe_due_us(const struct pacer_probe *b)
{
	return b->begin_us + b->sent * 8000000ull / b->bps;
}

/* The one under way, begun if need be; NULL: none. One that gets nothing to send is given up. */
static struct pacer_probe *probe_now(struct pacer *p, uint64_t now_us)
{
	while (p->rate_bps && p->probe_count) {
		struct pacer_probe *b = &p->probes[0];

		if (!b->begun) {
			b->begun = true;
			b->begin_us = now_us;
		}
		if (now_us <= probe_due_us(b) + PROBE_LATE_US)
			return b;
		probe_next(p);
	}
	return NULL;
}

unsigned pacer_wants(struct pacer *p, uint64_t now_us)
{
	const struct pacer_probe *b = probe_now(p, now_us);
	uint64_t due;

	if (!b || paced(p) || now_us < probe_due_us(b))
		return 0;
	due = (now_us - b->begin_us) * b->bps / 8000000 + 1;
	if (due > b->bytes)
		due = b->bytes;
	return due > b->sent ? (unsigned)(due - b->sent) : 1;
}

/* ---- out --------------------------------------------------------------------------- */

/* Slots take turns: a key frame does not keep others' small pictures waiting. */
static unsigned choose(struct pacer *p)
{
	unsigned above = p->waiting & ~((1u << p->turn) - 1);
	unsigned slot;

	if (p->queues[RTX].count)
		return RTX;
	if (!p->waiting)
		return PADDING;
	slot = (unsigned)__builtin_ctz(above ? above : p->waiting);
	p->turn = (uint8_t)((slot + 1) % PACER_SLOTS);
	return slot;
}

static void frame_follow(struct pacer_slot *s, const struct pacer_item *item,
			 uint64_t now_us)
{
	bool ended = s->open && s->open_key && item->start;

	if (item->start)
		s->open_key = item->key;
	if (ended || (s->open_key && item->end))
		s->since_us = now_us;
	s->open = !item->end;
}

static bool send_item(struct pacer *p, unsigned queue, uint64_t now_us,
		      struct pacer_out *out)
{
	pop(p, queue, &out->item);
	charge(p, out->item.bytes);
	if (queue < PACER_SLOTS) {
		struct pacer_slot *s = &p->slots[queue];

		if (begins_key(&out->item))
			s->keys--;
		out->resumed = s->resumes;
		s->resumes = false;
		frame_follow(s, &out->item, now_us);
	}
	return true;
}

static bool send_probe(struct pacer *p, struct pacer_probe *b, uint64_t now_us,
		       struct pacer_out *out)
{
	if (!paced(p) || now_us < probe_due_us(b))
		return false;
	(void)send_item(p, choose(p), now_us, out);
	out->probe = b->id;
	b->sent += out->item.bytes;
	if (b->sent >= b->bytes)
		probe_next(p);
	return true;
}

bool pacer_take(struct pacer *p, uint64_t now_us, struct pacer_out *out)
{
	struct pacer_probe *probe;

	memset(out, 0, sizeof *out);
	settle(p, now_us);
	if (p->queues[AUDIO].count)
		return send_item(p, AUDIO, now_us, out);
	look(p, now_us);
	if (p->dropping)
		return drop(p, now_us, out);
	if (rtx_useless(p, now_us)) {
		pop(p, RTX, &out->item);
		out->drop = true;
		return true;
	}
	probe = probe_now(p, now_us);
	if (probe)
		return send_probe(p, probe, now_us, out);
	if (!paced(p) || p->debt >= (int64_t)p->rate_bps * PACER_AHEAD_US)
		return false;
	return send_item(p, choose(p), now_us, out);
}

bool pacer_flush(struct pacer *p, struct pacer_out *out)
{
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < PACER_QUEUES; i++) {
		if (!p->queues[i].count)
			continue;
		pop(p, i, &out->item);
		out->drop = true;
		return true;
	}
	memset(p->slots, 0, sizeof p->slots);
	p->dropping = 0;
	p->probe_count = 0;
	return false;
}

uint64_t pacer_next_us(const struct pacer *p, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX, at_us;

	if (p->queues[AUDIO].count || p->dropping)
		return now_us;
	for (unsigned left = p->waiting; left; left &= left - 1) {
		at_us = stale_at_us(p, (unsigned)__builtin_ctz(left)) + 1;
		if (at_us < next_us)
			next_us = at_us;
	}
	if (p->rate_bps && p->probe_count) {
		at_us = p->probes[0].begun ? probe_due_us(&p->probes[0]) : now_us;
		/* Without anything to send it only has to be given up. */
		if (!paced(p) && at_us < now_us)
			at_us = at_us + PROBE_LATE_US + 1;
		if (at_us < next_us)
			next_us = at_us;
	} else if (p->rate_bps && paced(p)) {
		uint64_t bps = speed_bps(p);

		at_us = p->at_us;
		if (p->debt > 0)
			at_us += ((uint64_t)p->debt + bps - 1) / bps;
		if (at_us < next_us)
			next_us = at_us;
	}
	return next_us > now_us ? next_us : now_us;
}
