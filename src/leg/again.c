/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The same bytes once more, a while later, since losses come in bursts.
 *
 * Whoever can neither ask for a packet again nor take RED is sent each twice, and some three times,
 * unasked: two packets in a row are never sent at once, the copy goes out in the middle between those
 * that follow. And where much is lost, so are repeats: those that are asked for go twice. Pictures' always do:
 * a browser that does not know the way yet asks again only after 100 ms.
 */
#include "leg_private.h"

#include <stdlib.h>
#include <string.h>

enum {
	AGAIN_MAX = 64,
	/* Pictures: at most so many of what was sent, since a full queue loses most. */
	PICTURES_MAX = 16,
	PICTURES_PART = 16,
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
	struct {
		unsigned copied[VOICE_COPIES + 1]; /* packets by their copies */
		uint64_t twice; /* pictures' packets, reckoned against those sent */
	} slots[NEGO_SLOTS_MAX];
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
	if (!leg->plan.slot_count)
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
	memcpy(copied, leg->again->slots[slot].copied,
	       sizeof leg->again->slots[slot].copied);
	memset(leg->again->slots[slot].copied, 0, sizeof leg->again->slots[slot].copied);
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
	add(leg->again, (struct copy) { .due_us = now_us + REPEAT_US,
					.seq = seq,
					.slot = (uint8_t)slot,
					.left = 1 });
}

void leg_again_picture(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us)
{
	uint64_t *twice = &leg->again->slots[slot].twice;
	uint64_t most = PICTURES_MAX / 2 + leg->slots[slot].rtp.packets / PICTURES_PART;

	/* What a good hour has saved up is not for a bad minute. */
	if (*twice + PICTURES_MAX < most)
		*twice = most - PICTURES_MAX;
	if (*twice >= most)
		return;
	++*twice;
	leg_again_twice(leg, slot, seq, now_us);
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
	if (a->slots[slot].copied[copies] < COPIED_MAX)
		a->slots[slot].copied[copies]++;
	if (!copies)
		return;
	add(a, (struct copy) { .due_us = now_us + packet_us / 2,
			       .packet_us = packet_us,
			       .seq = (uint16_t)out->seq64,
			       .slot = (uint8_t)slot,
			       .left = (uint8_t)copies });
}

void leg_again_stop(struct leg *leg)
{
	if (leg->again)
		wheel_disarm(leg->all->wheel, &leg->again->timer);
}

void leg_again_fini(struct leg *leg)
{
	free(leg->again);
}
