/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The same bytes once more, a while later, since losses come in bursts.
 *
 * Whoever can neither ask for a packet again nor take RED is sent each twice, and some three times,
 * unasked: two packets in a row are never sent at once, the copy goes out in the middle between those
 * that follow. And where much is lost, so are repeats: those that are asked for go twice.
 */
#include "leg_private.h"

#include <stdlib.h>
#include <string.h>

enum {
	AGAIN_MAX = 64,
	TWICE_US = 30000,
	COPIED_MAX = 10000, /* who does not report for minutes */
	MEAN_PART = 16,
	SECOND = 256,	   /* a second copy, in what it is paid with */
	SPARE = 2 * SECOND /* what is saved up for one of a small packet */
};
struct again {
	struct leg *leg;
	struct timer timer;
	uint8_t copies;
	unsigned mean;	/* bytes of a packet, in 1/MEAN_PART */
	unsigned saved; /* for second copies */
	unsigned first, count;
	unsigned copied[NEGO_SLOTS_MAX][VOICE_COPIES + 1]; /* packets by their copies */
	struct copy {
		uint64_t due_us;
		uint32_t packet_us;
		uint16_t seq;
		uint8_t slot, left;
	} copy[AGAIN_MAX]; /* a ring: due in this order, or nearly */
};

static struct copy *copy_at(struct again *a, unsigned i)
{
	return &a->copy[(a->first + i) % AGAIN_MAX];
}

static void add(struct again *a, struct copy c)
{
	if (a->count ==
	    AGAIN_MAX) { /* more than a second of 20 ms packets: forget the oldest */
		a->first++;
		a->count--;
	}
	*copy_at(a, a->count++) = c;
	if (!a->timer.due_us || c.due_us < a->timer.due_us)
		wheel_arm(a->leg->all->wheel, &a->timer, c.due_us);
}

static void send_copy(struct leg *leg, const struct copy *c, uint64_t now_us)
{
	if (leg->link != LEG_UP)
		return;
	if (leg_resend_one(leg, &leg->slots[c->slot], c->seq, now_us))
		STAT_INC(copy_miss);
	else
		STAT_INC(copy_tx);
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct again *a = CONTAINER_OF(t, struct again, timer);
	struct leg *leg = a->leg;
	uint64_t next_us = UINT64_MAX;
	unsigned n = a->count;

	/* Each once round: what is not due, or goes out yet another time, comes behind. */
	for (unsigned i = 0; i < n; i++) {
		struct copy c = *copy_at(a, 0);

		a->first++;
		a->count--;
		if (c.due_us <= now_us) {
			send_copy(leg, &c, now_us);
			if (!--c.left)
				continue;
			c.due_us = now_us + c.packet_us;
		}
		*copy_at(a, a->count++) = c;
		if (c.due_us < next_us)
			next_us = c.due_us;
	}
	if (next_us != UINT64_MAX)
		wheel_arm(leg->all->wheel, t, next_us);
}

int leg_again_init(struct leg *leg)
{
	if (leg->again)
		return 0;
	leg->again = calloc(1, sizeof *leg->again);
	if (!leg->again)
		return -1;
	leg->again->leg = leg;
	leg->again->timer.fn = on_timer;
	return 0;
}

void leg_again_copies(struct leg *leg, unsigned copies)
{
	if (leg->again)
		leg->again->copies = (uint8_t)copies;
}

unsigned leg_again_get(const struct leg *leg)
{
	return leg->again ? leg->again->copies : 0;
}

void leg_again_take(struct leg *leg, unsigned slot, unsigned copied[VOICE_COPIES + 1])
{
	memcpy(copied, leg->again->copied[slot], sizeof leg->again->copied[slot]);
	memset(leg->again->copied[slot], 0, sizeof leg->again->copied[slot]);
}

/* A second one of VOICE_SECOND_Q8 of them, of larger packets first: more is said there. */
static unsigned copies_of(struct again *a, unsigned bytes)
{
	bool large;

	if (!a->copies || bytes <= OPUS_REST_BYTES)
		return 0;
	if (a->copies == 1)
		return 1;
	large = bytes * MEAN_PART >= a->mean;
	a->mean = a->mean ? a->mean + bytes - a->mean / MEAN_PART : bytes * MEAN_PART;
	a->saved += VOICE_SECOND_Q8;
	if (a->saved < (large ? SECOND : SPARE))
		return 1;
	a->saved -= SECOND;
	return 2;
}

void leg_again_twice(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us)
{
	add(leg->again, (struct copy) { .due_us = now_us + TWICE_US,
					.seq = seq,
					.slot = (uint8_t)slot,
					.left = 1 });
}

void leg_again_out(struct leg *leg, unsigned slot, const struct rtp_out *out,
		   const struct pkt *p, uint64_t now_us)
{
	struct again *a = leg->again;
	uint32_t packet_us = p->rtp.frame.samples * 1000u / 48;
	unsigned copies;

	if (!packet_us)
		return;
	copies = copies_of(a, p->rtp.payload_len);
	if (a->copied[slot][copies] < COPIED_MAX)
		a->copied[slot][copies]++;
	if (!copies)
		return;
	add(a, (struct copy) { .due_us = now_us + packet_us / 2,
			       .packet_us = packet_us,
			       .seq = (uint16_t)out->seq64,
			       .slot = (uint8_t)slot,
			       .left = (uint8_t)copies });
}

void leg_again_fini(struct leg *leg)
{
	if (!leg->again)
		return;
	wheel_disarm(leg->all->wheel, &leg->again->timer);
	free(leg->again);
	leg->again = NULL;
}
