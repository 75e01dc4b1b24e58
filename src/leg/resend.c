/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A receiver's NACKs: number → segment → the source's store → the same bytes again
 * (audio) or RTX (video).
 */
#include "leg_private.h"

#include <errno.h>
#include <string.h>

enum { PROBE_PKTS = 32 };

static struct pkt *stored(struct leg *leg, const struct rtp_segment *seg,
			  uint64_t in_seq64)
{
	struct relay_stream *st =
		seg->stream ? relay_stream_find(leg->room, seg->stream) : NULL;
	struct leg_source *src = st ? leg_source_of(st, seg->layer) : NULL;

	return src ? rtp_store_get(&src->store, in_seq64) : NULL;
}

/* *bytes grows by what it is on the wire. */
static int resend(struct leg *leg, struct leg_slot *slot, uint16_t seq, uint64_t now_us,
		  unsigned *bytes)
{
	const struct rtp_segment *seg;
	struct seal_stream *seal = &slot->seal;
	struct rtp_out out;
	uint64_t in_seq64, index;
	size_t header_len;
	struct pkt *p;
	uint8_t *buf;
	int len, err;

	if (!slot->plan->sec.audio && leg_video_withheld(leg))
		return -ENOENT;
	len = rtp_slot_find(&slot->rtp, seq, now_us, &seg, &in_seq64);
	if (len)
		return len;
	p = stored(leg, seg, in_seq64);
	if (!p)
		return -ENOENT;
	len = rtp_segment_map(&slot->rtp, seg, p, &out);
	if (len)
		return len;
	leg_measure_again(leg, (unsigned)(slot - leg->slots), &out);
	buf = tx_reserve(leg->all->tx);
	if (slot->plan->rtx_ssrc && seg->rtx_pt) {
		seal = &slot->seal_rtx;
		len = rtp_slot_write_rtx(&slot->rtp, p, &out, buf,
					 TX_MTU - SEAL_OVERHEAD_MAX, &header_len, &index);
	} else {
		index = out.seq64;
		len = rtp_slot_write(&slot->rtp, p, &out, buf, TX_MTU - SEAL_OVERHEAD_MAX,
				     &header_len);
	}
	if (len < 0) {
		tx_commit(leg->all->tx, NULL, 0);
		return len;
	}
	err = conn_send_rtp(leg->conn, seal, buf, (size_t)len, header_len, index);
	if (err != -EEXIST) /* too old for its seal to say that it is the same */
		*bytes += (unsigned)len + WIRE_BYTES;
	if (!err && slot->plan->sec.audio)
		leg_control_late(leg, (unsigned)(slot - leg->slots), seq, now_us);
	return err;
}

int leg_resend_one(struct leg *leg, struct leg_slot *slot, uint16_t seq, uint64_t now_us)
{
	unsigned bytes = 0;

	return resend(leg, slot, seq, now_us, &bytes);
}

bool leg_resend_probe(struct leg *leg, unsigned bytes, uint64_t now_us)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < leg->plan.slot_count && sent < bytes; i++) {
		struct leg_slot *slot = &leg->slots[i];
		uint16_t newest = (uint16_t)slot->rtp.highest;

		for (unsigned back = 0;
		     slot->plan->sec.audio && relay_port_slot(leg->port, i) &&
		     back < PROBE_PKTS && sent < bytes;
		     back++)
			if (!resend(leg, slot, (uint16_t)(newest - back), now_us, &sent))
				STAT_INC(copy_tx);
	}
	return sent >= bytes;
}

static int count_resend(int result)
{
	if (!result)
		STAT_INC(rtx_tx);
	else if (result == -EAGAIN)
		STAT_INC(nack_limit);
	else
		STAT_INC(nack_miss);
	return result;
}

/* ---- pictures: once more, a while later -------------------------------------------- */

static void repeat_arm(struct leg *leg, uint64_t due_us)
{
	if (!leg->repeat.due_us || due_us < leg->repeat.due_us)
		wheel_arm(leg->all->wheel, &leg->repeat, due_us);
}

void leg_repeat_later(struct leg *leg, struct leg_slot *slot, const struct rtp_out *out,
		      uint64_t now_us)
{
	slot->repeat_ts64 = out->ts64;
	slot->repeat_first = slot->repeat_last = out->seq64;
	slot->repeat_us = now_us + REPEAT_US;
	repeat_arm(leg, slot->repeat_us);
}

static void repeat_first(struct leg *leg, struct leg_slot *slot, uint64_t now_us)
{
	uint64_t seq = slot->repeat_first;

	slot->repeat_ts64 = 0;
	if (slot->repeat_last - seq >= REPEAT_PKTS_MAX)
		seq = slot->repeat_last - REPEAT_PKTS_MAX + 1;
	for (; seq <= slot->repeat_last; seq++)
		if (count_resend(leg_resend_one(leg, slot, (uint16_t)seq, now_us)) ==
		    -EAGAIN)
			return;
}

void leg_on_repeat(struct timer *t, uint64_t now_us)
{
	struct leg *leg = CONTAINER_OF(t, struct leg, repeat);
	uint64_t next_us = UINT64_MAX;

	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		struct leg_slot *slot = &leg->slots[i];

		if (slot->repeat_ts64 && slot->repeat_us <= now_us)
			repeat_first(leg, slot, now_us);
		else if (slot->repeat_ts64 && slot->repeat_us < next_us)
			next_us = slot->repeat_us;
	}
	if (next_us != UINT64_MAX)
		repeat_arm(leg, next_us);
}

/* ---- what was asked for ------------------------------------------------------------ */

void leg_resend_asked(struct leg *leg, unsigned index, const uint16_t *seqs,
		      unsigned count, uint64_t now_us)
{
	unsigned burst = 0;

	leg_control_asked(leg, index, seqs, count);
	for (unsigned i = 0; i < count; i++) {
		unsigned times;
		int err;

		if (leg_control_crossed(leg, index, seqs[i], now_us)) {
			STAT_INC(nack_crossed);
			continue;
		}
		times = leg_control_repeats(leg, index, seqs[i], now_us);
		err = times ? leg_resend_one(leg, &leg->slots[index], seqs[i], now_us)
			    : 0;

		if (times && count_resend(err) == -EAGAIN)
			break;
		if (err) /* its speaker's own link has lost it: it is not there to be sent */
			continue;
		if (!leg->slots[index].plan->sec.audio && times)
			leg_again_picture(leg, index, seqs[i], now_us);
		else if (times > 1)
			leg_again_twice(leg, index, seqs[i], now_us);
		if (!leg_control_lost(leg, index, seqs[i], now_us))
			continue;
		if (burst && (uint16_t)(seqs[i] - seqs[i - 1]) != 1) {
			leg_control_burst(leg, burst);
			burst = 0;
		}
		burst++;
	}
	if (burst)
		leg_control_burst(leg, burst);
}
