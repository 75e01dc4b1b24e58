/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RTCP, both ways. Outgoing feedback never leaves from the hot path: the receiver only
 * makes the feedback timer fire soon. Reports go every second while something flows, else
 * every five; a slot's SR also right after its source changed.
 */
#include "leg_private.h"

#include <errno.h>
#include <stdio.h>

static struct leg_slot *slot_by_ssrc(struct leg *leg, uint32_t ssrc, unsigned *index)
{
	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		if (leg->slots[i].plan->ssrc == ssrc) {
			*index = i;
			return &leg->slots[i];
		}
	}
	return NULL;
}

static struct leg_source *source_by_ssrc(struct leg *leg, uint32_t ssrc)
{
	for (unsigned i = 0; i < LEG_SOURCES; i++) {
		struct leg_source *src = leg_source_at(leg, i);

		if (src && src->ssrc == ssrc && ssrc)
			return src;
	}
	return NULL;
}

static void on_sr(struct leg *leg, const struct rtcp_pkt *r, uint64_t arrival_us)
{
	struct leg_source *src = source_by_ssrc(leg, r->ssrc);

	if (!src)
		return;
	rtp_recv_sr(&src->recv, r->sr.ntp, r->sr.rtp_ts, arrival_us);
	rtp_clock_sr(&leg->clock, r->sr.ntp, arrival_us);
}

static void on_nack(struct leg *leg, const struct rtcp_pkt *r, uint64_t now_us)
{
	uint16_t seqs[SLOT_NACKS_MAX];
	unsigned index, count;
	if (!slot_by_ssrc(leg, r->media_ssrc, &index))
		return;
	count = rtcp_nack_get(r, seqs, ARRAY_LEN(seqs));
	leg->nacked_us = now_us;
	STAT_ADD(nack_rx, count);
	leg_resend_asked(leg, index, seqs, count, now_us);
}

static void on_key_request(struct leg *leg, uint32_t ssrc, uint64_t now_us)
{
	unsigned index;

	if (!slot_by_ssrc(leg, ssrc, &index))
		return;
	STAT_INC(pli_rx);
	relay_port_key_request(leg->port, index, now_us);
}

static void on_psfb(struct leg *leg, const struct rtcp_pkt *r, uint64_t now_us)
{
	uint32_t ssrc;
	uint8_t seq;

	if (r->count == PSFB_PLI)
		on_key_request(leg, r->media_ssrc, now_us);
	else if (r->count == PSFB_FIR)
		for (unsigned i = 0;
		     i < leg->plan.slot_count && rtcp_fir_get(r, i, &ssrc, &seq); i++)
			on_key_request(leg, ssrc, now_us);
}

/* A browser that sends no video learns the round trip, after which it asks again for what is
 * missing, from this alone. All its receivers ask, and share what one of them learns. */
static void on_xr(struct leg *leg, const struct rtcp_pkt *r, uint64_t now_us)
{
	uint32_t mid_ntp;

	if (!rtcp_rrtr_get(r, &mid_ntp) || now_us - leg->rrtr.came_us < REPORT_US / 2)
		return;
	leg->rrtr.ssrc = r->ssrc;
	leg->rrtr.mid_ntp = mid_ntp;
	leg->rrtr.came_us = now_us;
	leg->rrtr.due = true;
	leg_feedback_at(leg, now_us);
}

void leg_on_rtcp(struct leg *leg, struct pkt *p, uint64_t now_us)
{
	struct rtcp_iter it;
	struct rtcp_pkt r;

	STAT_INC(rtcp_rx);
	if (rtcp_iter_init(&it, p->data, p->len)) {
		STAT_INC(rtcp_bad);
		return;
	}
	leg_control_heard(leg, now_us);
	while (rtcp_next(&it, &r)) {
		for (unsigned i = 0; i < r.blocks; i++) {
			struct rtcp_block b;

			rtcp_block_get(&r, i, &b);
			leg_control_report(leg, &b, now_us);
			leg_video_report(leg, &b, now_us);
		}
		switch (r.type) {
		case RTCP_SR:
			on_sr(leg, &r, p->arrival_us);
			break;
		case RTCP_RTPFB:
			if (r.count == RTPFB_NACK)
				on_nack(leg, &r, now_us);
			else if (r.count == RTPFB_TWCC)
				leg_control_feedback(leg, &r, now_us);
			break;
		case RTCP_PSFB:
			on_psfb(leg, &r, now_us);
			break;
		case RTCP_XR:
			on_xr(leg, &r, now_us);
			break;
		default: /* SDES, BYE: the page tells us */
			break;
		}
	}
}

/* ---- sending ----------------------------------------------------------------------- */

/* As in the answer's a=ssrc lines. Says nothing about anybody. */
static void cname_put(struct wr *w, const struct leg_slot *slot)
{
	char cname[NEGO_MID_MAX + 8];

	snprintf(cname, sizeof cname, "slot-%s", slot->plan->sec.mid);
	rtcp_put_sdes_cname(w, slot->plan->ssrc, cname);
}

/* Whose numbers the slot's present segment maps; NULL also while a source that has begun
 * new ones has sent nothing that could be forwarded. */
static struct leg_source *slot_source(struct leg *leg, unsigned index)
{
	struct relay_stream *st = relay_port_slot(leg->port, index);
	int layer = relay_port_sid(leg->port, index);
	struct leg_source *src =
		st && layer >= 0 ? leg_source_of(st, (unsigned)layer) : NULL;

	return src && src->epoch == leg->slots[index].epoch ? src : NULL;
}

static void sr_put(struct leg *leg, unsigned index, struct wr *w, uint64_t now_us)
{
	struct leg_slot *slot = &leg->slots[index];
	struct leg_source *src = slot_source(leg, index);
	uint64_t capture_us, ntp;
	uint32_t ts;

	if (!src)
		return;
	/* Of the latest packet: its capture time on our clock, or, before the sender's
	 * first SR, its arrival. */
	if (!rtp_capture_us(&src->recv, src->clock, src->recv.ts64, &capture_us))
		capture_us = src->recv.last_us;
	rtp_slot_sr(&slot->rtp, src->recv.ts64, capture_us, now_us,
		    (uint64_t)((int64_t)now_us + clock_wall_offset_us()), &ntp, &ts);
	rtcp_put_sr(w, slot->plan->ssrc, ntp, ts, (uint32_t)slot->rtp.packets,
		    (uint32_t)slot->rtp.bytes, NULL, 0);
	cname_put(w, slot);
	slot->sr_mid_ntp = (uint32_t)(ntp >> 16);
	slot->sr_sent_us = now_us;
	slot->report_now = false;
}

/* Without video there are no lips, and a voice-only page is to hear nothing. */
static void slots_follow(struct leg *leg)
{
	if (!leg->plan.slot_count || leg->plan.slots[leg->plan.slot_count - 1].sec.audio)
		return;
	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		struct leg_source *src = slot_source(leg, i);

		if (src)
			leg_slot_follow(leg, &leg->slots[i], src);
	}
}

static bool rr_put(struct leg *leg, struct wr *w, uint64_t now_us)
{
	struct rtcp_block blocks[LEG_SOURCES];
	unsigned count = 0;

	for (unsigned i = 0; i < LEG_SOURCES; i++) {
		struct leg_source *src = leg_source_at(leg, i);

		if (src && src->first->on && src->recv.highest &&
		    now_us - src->recv.last_us < 5000000)
			rtp_recv_block(&src->recv, now_us, &blocks[count++]);
	}
	if (!count)
		return false;
	rtcp_put_rr(w, leg->ssrc, blocks, count);
	return true;
}

static void compound_send(struct leg *leg, struct wr *w)
{
	if (w->bad || !wr_len(w))
		tx_commit(leg->all->tx, NULL, 0);
	else
		(void)conn_send_rtcp(leg->conn, w->start, wr_len(w));
}

static void compound_begin(struct leg *leg, struct wr *w)
{
	wr_init(w, tx_reserve(leg->all->tx), TX_MTU - SEAL_OVERHEAD_MAX);
}

static void stores_expire(struct leg *leg, uint64_t now_us)
{
	for (unsigned i = 0; i < LEG_SOURCES; i++) {
		struct leg_source *src = leg_source_at(leg, i);

		if (src)
			rtp_store_expire(&src->store, now_us - STORE_AGE_MS * 1000ULL);
	}
}

static void on_report(struct timer *t, uint64_t now_us)
{
	struct leg *leg = CONTAINER_OF(t, struct leg, report);
	uint64_t due_us;
	bool busy;
	struct wr w;

	stores_expire(leg, now_us);
	if (leg->link != LEG_UP) {
		wheel_arm(leg->all->wheel, t, wheel_coarse_us(now_us + REPORT_IDLE_US));
		return;
	}
	due_us = now_us + (leg->mixer ? REPORT_THIN_US : REPORT_US);
	compound_begin(leg, &w);
	busy = rr_put(leg, &w, now_us);
	for (unsigned i = 0; i < leg->plan.slot_count; i++)
		sr_put(leg, i, &w, now_us);
	slots_follow(leg);
	busy |= wr_len(&w) > 0;
	compound_send(leg, &w);
	/* Who has something to report does so at its own moment. */
	if (!busy)
		due_us = wheel_coarse_us(now_us + REPORT_IDLE_US);
	wheel_arm(leg->all->wheel, t, due_us);
}

void leg_report_soon(struct leg *leg, uint64_t now_us)
{
	wheel_arm(leg->all->wheel, &leg->report, now_us + REPORT_US / 4);
}

static uint64_t nacks_put(struct leg *leg, struct leg_source *src, struct wr *w,
			  uint64_t now_us)
{
	uint16_t seqs[64];
	uint64_t next_us;
	unsigned count = rtp_recv_nacks(&src->recv, now_us, conn_rtt_us(leg->conn), seqs,
					ARRAY_LEN(seqs), &next_us);

	if (count) {
		rtcp_put_nack(w, leg->ssrc, src->ssrc, seqs, count);
		STAT_ADD(nack_tx, count);
	}
	if (rtp_recv_take_key_needed(&src->recv) && !src->plan->sec.audio)
		keyreq_want(&src->key);
	return next_us;
}

static uint64_t source_feedback(struct leg *leg, struct leg_source *src, struct wr *w,
				uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX, key_us = UINT64_MAX;

	if (!src->first->on || !src->recv.highest)
		return next_us;
	next_us = nacks_put(leg, src, w, now_us);
	if (src->plan->sec.audio)
		return next_us;
	/* A layer that does not come would be asked for ever, and all others answer, too. */
	if (src->first->layer_count > 1 && now_us > src->recv.last_us + LAYER_GONE_US)
		keyreq_got(&src->key);
	if (keyreq_due(&src->key, now_us, conn_rtt_us(leg->conn), &key_us)) {
		rtcp_put_pli(w, leg->ssrc, src->ssrc);
		STAT_INC(pli_tx);
		for (unsigned i = 0; i < src->first->layer_count; i++)
			keyreq_shared(&src->first->layers[i]->key, now_us);
	}
	return next_us < key_us ? next_us : key_us;
}

static void dlrr_put(struct leg *leg, struct wr *w, uint64_t now_us)
{
	if (!leg->rrtr.due)
		return;
	leg->rrtr.due = false;
	STAT_INC(dlrr_tx);
	rtcp_put_dlrr(w, leg->ssrc, leg->rrtr.ssrc, leg->rrtr.mid_ntp,
		      (uint32_t)(((now_us - leg->rrtr.came_us) << 16) / 1000000));
}

static void on_feedback(struct timer *t, uint64_t now_us)
{
	struct leg *leg = CONTAINER_OF(t, struct leg, feedback);
	uint64_t next_us;
	struct wr w;

	if (leg->link != LEG_UP)
		return;
	compound_begin(leg, &w);
	for (unsigned i = 0; i < leg->plan.slot_count; i++)
		if (leg->slots[i].report_now)
			sr_put(leg, i, &w, now_us);
	dlrr_put(leg, &w, now_us);
	next_us = leg_arrivals_put(leg, &w, now_us);
	for (unsigned i = 0; i < LEG_SOURCES; i++) {
		struct leg_source *src = leg_source_at(leg, i);
		uint64_t due_us =
			src ? source_feedback(leg, src, &w, now_us) : UINT64_MAX;

		if (due_us < next_us)
			next_us = due_us;
	}
	compound_send(leg, &w);
	if (next_us != UINT64_MAX)
		leg_feedback_at(leg, next_us);
}

void leg_feedback_at(struct leg *leg, uint64_t due_us)
{
	if (!leg->feedback.due_us || due_us < leg->feedback.due_us)
		wheel_arm(leg->all->wheel, &leg->feedback, due_us);
}

static void on_silence(struct timer *t, uint64_t now_us)
{
	struct leg *leg = CONTAINER_OF(t, struct leg, silence);
	bool more = false;

	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		struct leg_slot *slot = &leg->slots[i];
		uint64_t index;
		size_t header_len;
		uint8_t *buf;
		int len;

		if (!slot->silence_left)
			continue;
		buf = tx_reserve(leg->all->tx);
		len = rtp_slot_write_silence(&slot->rtp, now_us, buf,
					     TX_MTU - SEAL_OVERHEAD_MAX, &header_len,
					     &index);
		if (len < 0)
			tx_commit(leg->all->tx, NULL, 0);
		else
			(void)conn_send_rtp(leg->conn, &slot->seal, buf, (size_t)len,
					    header_len, index);
		more |= --slot->silence_left > 0;
	}
	if (more)
		wheel_arm(leg->all->wheel, t, now_us + 20000);
}

void leg_feedback_init(struct leg *leg, uint64_t now_us)
{
	leg->report.fn = on_report;
	leg->feedback.fn = on_feedback;
	leg->silence.fn = on_silence;
	leg->repeat.fn = leg_on_repeat;
	wheel_arm(leg->all->wheel, &leg->report, now_us + REPORT_US);
}

void leg_feedback_fini(struct leg *leg)
{
	wheel_disarm(leg->all->wheel, &leg->report);
	wheel_disarm(leg->all->wheel, &leg->feedback);
	wheel_disarm(leg->all->wheel, &leg->silence);
	wheel_disarm(leg->all->wheel, &leg->repeat);
}

void leg_send_bye(struct leg *leg)
{
	struct wr w;

	if (leg->link != LEG_UP)
		return;
	compound_begin(leg, &w);
	rtcp_put_rr(&w, leg->ssrc, NULL, 0);
	rtcp_put_bye(&w, leg->ssrc);
	compound_send(leg, &w);
}
