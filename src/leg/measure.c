/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Some of the sound that a leg gets carries a transport-wide number, so that its browser tells
 * when it arrived: two or three packets a second, which costs 1.2 kbit/s coming back, more where it
 * is rich or it is doubted that pictures fit, and each one while the voice is in trouble. Which
 * packet had which number is remembered, for feedback and because a resend must be the same bytes.
 */
#include "leg_private.h"

#include <stdlib.h>

enum { OFTEN_US = 50000 };

int leg_measure_init(struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		const struct nego_section *sec = &leg->plan.slots[i].sec;

		if (!sec->audio || !sec->codec_count || !sec->codecs[0].twcc)
			continue;
		for (uint8_t id = 1; id < ARRAY_LEN(sec->exts.of_id); id++)
			if (sec->exts.of_id[id] == EXT_TWCC)
				leg->slots[i].twcc_id = id;
		if (leg->slots[i].twcc_id && !leg->measure) {
			leg->measure = calloc(1, sizeof *leg->measure);
			if (!leg->measure)
				return -1;
			leg->measure->next = (uint16_t)random_u32();
			leg_measure_every(leg, MEASURE_IDLE_MS);
		}
	}
	return 0;
}

void leg_measure_fini(struct leg *leg)
{
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

void leg_measure_out(struct leg *leg, unsigned slot, struct rtp_out *out, uint64_t now_us)
{
	struct measure *m = leg->measure;
	struct measured *sent;

	if (!leg->slots[slot].twcc_id ||
	    now_us < m->last_us + (m->often && m->every_us > OFTEN_US ? OFTEN_US
								      : m->every_us))
		return;
	m->last_us = now_us;
	out->twcc_id = leg->slots[slot].twcc_id;
	out->twcc = m->next++;
	sent = &m->sent[out->twcc % MEASURED];
	sent->sent_us = now_us;
	sent->twcc = out->twcc;
	sent->seq = (uint16_t)out->seq64;
	sent->slot = (uint8_t)slot;
	sent->again = false;
	leg_video_sent(leg, now_us);
}

void leg_measure_again(struct leg *leg, unsigned slot, struct rtp_out *out)
{
	struct measure *m = leg->measure;

	for (unsigned i = 0; leg->slots[slot].twcc_id && i < MEASURED; i++) {
		if (!m->sent[i].sent_us || m->sent[i].slot != slot ||
		    m->sent[i].seq != (uint16_t)out->seq64)
			continue;
		out->twcc_id = leg->slots[slot].twcc_id;
		out->twcc = m->sent[i].twcc;
		m->sent[i].again = true;
		return;
	}
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
