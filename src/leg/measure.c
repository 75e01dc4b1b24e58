/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Some of the sound that a leg gets carries a transport-wide number, so that its browser tells
 * when it arrived: two or three packets a second, which costs 1.2 kbit/s coming back, more where it
 * is rich or it is doubted that pictures fit, and each one while the voice is in trouble. (While pictures
 * go it is each packet of all: estimate.c.) Which packet had which number is remembered, for feedback and
 * because a resend must be the same bytes.
 */
#include "leg_private.h"

#include <stdlib.h>

enum { OFTEN_US = 50000 };

/* What one slot sent lately, by its number, had which transport-wide number. */
struct numbered {
	uint16_t seq, twcc;
	bool any;
};

static int slot_init(struct leg_slot *slot)
{
	const struct nego_section *sec = &slot->plan->sec;

	if (!sec->codec_count || !sec->codecs[0].twcc)
		return 0;
	for (uint8_t id = 1; id < ARRAY_LEN(sec->exts.of_id); id++)
		if (sec->exts.of_id[id] == EXT_TWCC)
			slot->twcc_id = id;
	if (!slot->twcc_id)
		return 0;
	slot->numbered = calloc(NUMBERED, sizeof *slot->numbered);
	return slot->numbered ? 0 : -1;
}

int leg_measure_init(struct leg *leg)
{
	leg->number = 1 + (random_u32() & 0xffff);
	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		struct leg_slot *slot = &leg->slots[i];

		if (slot_init(slot))
			return -1;
		if (!slot->plan->sec.audio || !slot->twcc_id || leg->measure)
			continue;
		leg->measure = calloc(1, sizeof *leg->measure);
		if (!leg->measure)
			return -1;
		leg_measure_every(leg, MEASURE_IDLE_MS);
	}
	return 0;
}

void leg_measure_fini(struct leg *leg)
{
	for (unsigned i = 0; leg->slots && i < leg->plan.slot_count; i++)
		free(leg->slots[i].numbered);
	free(leg->measure);
}

void leg_measure_every(struct leg *leg, unsigned ms)
{
	if (leg->measure)
		leg->measure->every_us = 1000u * ms;
}

void leg_measure_often(struct leg *leg, bool often)
{
	if (leg->measure)
		leg->measure->often = often;
}

uint64_t leg_number(struct leg *leg, unsigned slot, struct rtp_out *out)
{
	out->twcc_id = leg->slots[slot].twcc_id;
	out->twcc = (uint16_t)leg->number;
	return leg->number++;
}

void leg_measure_note(struct leg *leg, unsigned slot, const struct rtp_out *out,
		      uint64_t now_us)
{
	struct measured *sent = &leg->measure->sent[out->twcc % MEASURED];

	leg->measure->last_us = now_us;
	sent->sent_us = now_us;
	sent->twcc = out->twcc;
	sent->seq = (uint16_t)out->seq64;
	sent->slot = (uint8_t)slot;
	sent->again = false;
	leg_video_sent(leg, now_us);
}

void leg_measure_out(struct leg *leg, unsigned slot, struct rtp_out *out, uint64_t now_us)
{
	struct measure *m = leg->measure;

	if (!m || !leg->slots[slot].twcc_id || !leg->slots[slot].plan->sec.audio ||
	    leg_estimate_going(leg) ||
	    now_us < m->last_us + (m->often && m->every_us > OFTEN_US ? OFTEN_US
								      : m->every_us))
		return;
	(void)leg_number(leg, slot, out);
	leg_measure_note(leg, slot, out, now_us);
}

void leg_number_keep(struct leg_slot *slot, const struct rtp_out *out)
{
	struct numbered *n;

	if (!slot->numbered)
		return;
	n = &slot->numbered[out->seq64 % NUMBERED];
	n->any = out->twcc_id;
	n->seq = (uint16_t)out->seq64;
	n->twcc = out->twcc;
}

void leg_measure_again(struct leg *leg, unsigned slot, struct rtp_out *out)
{
	const struct leg_slot *s = &leg->slots[slot];
	const struct numbered *n =
		s->numbered ? &s->numbered[out->seq64 % NUMBERED] : NULL;
	struct measured *sent;

	if (!n || !n->any || n->seq != (uint16_t)out->seq64)
		return;
	out->twcc_id = s->twcc_id;
	out->twcc = n->twcc;
	sent = leg->measure ? &leg->measure->sent[n->twcc % MEASURED] : NULL;
	if (sent && sent->twcc == n->twcc && sent->slot == slot)
		sent->again = true;
}

bool leg_measure_sent(const struct leg *leg, uint16_t twcc, uint64_t *sent_us)
{
	const struct measure *m = leg->measure;
	const struct measured *sent = m ? &m->sent[twcc % MEASURED] : NULL;

	if (!sent || !sent->sent_us || sent->twcc != twcc || sent->again)
		return false;
	*sent_us = sent->sent_us;
	return true;
}
