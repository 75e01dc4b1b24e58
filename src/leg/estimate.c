/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the link of a leg with places for pictures bears: while pictures go, every packet it is sent has a
 * transport-wide number, is told to cc's estimator, and so is what its browser says became of each. Without
 * pictures some sound is measured (measure.c): full feedback costs 9 kbit/s coming back.
 *
 * A browser without transport-cc (blind) says in reports how much is missing, and maybe how much it takes
 * (REMB); what a picture's sender has lost on its own way is no loss of this link.
 *
 * Invariant: numbers told to the estimator only rise, and are those on the wire (the low 16 bits).
 */
#include "leg_private.h"

#include <stdlib.h>

enum {
	RUN_US = 100000,
	REST_US = 5000000, /* after the last picture: a camera that is switched again */
	MIN_BPS = 6000,
	/* What is sent until the first feedback: a queue of half a second on 100 kbit/s. On a good link three probes
	 * within as many round trips show that there is more. */
	START_BPS = 150000,
	MAX_BPS = 20000000
};

struct estimate {
	struct leg *leg;
	struct gcc gcc;
	struct timer timer;
	bool going;
	uint64_t picture_us; /* the last one came */
	struct {
		unsigned lost_q8, count; /* of the report that is being read */
		uint64_t rtt_us;
	} report;
	struct {
		uint32_t stream;
		uint64_t expected, received; /* of its sender, at the last report */
	} before[NEGO_SLOTS_MAX];
};

struct gcc *leg_estimate_get(const struct leg *leg)
{
	return leg->estimate ? &leg->estimate->gcc : NULL;
}

/* Something has been heard, or time has passed: more may go, and maybe more is tried. */
static void probe(struct estimate *e, uint64_t now_us)
{
	struct gcc_cluster cluster;

	leg_allot_run(e->leg, now_us);
	if (e->going && e->leg->pace && gcc_probe(&e->gcc, now_us, &cluster))
		leg_pace_probe(e->leg, &cluster);
	leg_pace_soon(e->leg);
}

/* ---- life -------------------------------------------------------------------------- */

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct estimate *e = CONTAINER_OF(t, struct estimate, timer);

	e->leg->all->batch_us = now_us;
	if (now_us > e->picture_us + REST_US)
		e->going = false;
	(void)gcc_run(&e->gcc, now_us);
	probe(e, now_us);
	/* What is on its way is heard of, or written off. */
	if (e->going || e->gcc.in_flight_bytes)
		wheel_arm(e->leg->all->wheel, t, now_us + RUN_US);
}

static void begin(struct gcc *c, bool blind, uint64_t now_us)
{
	const struct gcc_params params = { .min_bps = MIN_BPS,
					   .start_bps = START_BPS,
					   .max_bps = MAX_BPS,
					   .blind = blind };

	gcc_init(c, &params, now_us);
}

int leg_estimate_init(struct leg *leg, uint64_t now_us)
{
	const struct nego_plan *plan = &leg->plan;
	const struct leg_slot *last;

	if (!plan->slot_count || plan->slots[plan->slot_count - 1].sec.audio)
		return 0;
	leg->estimate = calloc(1, sizeof *leg->estimate);
	if (!leg->estimate)
		return -1;
	last = &leg->slots[plan->slot_count - 1];
	leg->estimate->leg = leg;
	leg->estimate->timer.fn = on_timer;
	begin(&leg->estimate->gcc, !last->twcc_id, now_us);
	return 0;
}

void leg_estimate_renew(struct leg *leg, uint64_t now_us)
{
	struct gcc *c = leg_estimate_get(leg);

	if (c)
		begin(c, c->params.blind, now_us);
}

void leg_estimate_stop(struct leg *leg)
{
	if (leg->estimate)
		wheel_disarm(leg->all->wheel, &leg->estimate->timer);
}

void leg_estimate_fini(struct leg *leg)
{
	free(leg->estimate);
}

/* ---- what goes out ----------------------------------------------------------------- */

void leg_estimate_picture(struct leg *leg, uint64_t now_us)
{
	struct estimate *e = leg->estimate;

	if (!e)
		return;
	e->picture_us = now_us;
	if (e->going)
		return;
	e->going = true;
	if (!e->timer.due_us)
		wheel_arm(leg->all->wheel, &e->timer, now_us + RUN_US);
}

bool leg_estimate_going(const struct leg *leg)
{
	return leg->estimate && leg->estimate->going;
}

void leg_estimate_rest(struct leg *leg)
{
	if (leg->estimate)
		leg->estimate->going = false;
	leg_pace_stop(leg);
}

void leg_estimate_number(struct leg *leg, unsigned slot, struct rtp_out *out,
			 uint64_t now_us)
{
	if (!leg_estimate_going(leg) || out->twcc_id || !leg->slots[slot].twcc_id)
		return;
	(void)leg_number(leg, slot, out);
	if (leg->measure && leg->slots[slot].plan->sec.audio)
		leg_measure_note(leg, slot, out, now_us);
}

void leg_estimate_sent(struct leg *leg, const struct rtp_out *out, unsigned bytes,
		       enum gcc_kind kind, uint64_t now_us)
{
	struct estimate *e = leg->estimate;
	uint64_t number;

	if (!leg_estimate_going(leg))
		return;
	if (e->gcc.params.blind)
		number = leg->number++;
	else if (out->twcc_id) /* one of the last that were given */
		number = leg->number - (uint16_t)((uint16_t)leg->number - out->twcc);
	else
		return;
	if (gcc_sent(&e->gcc, now_us, number, bytes, kind))
		STAT_INC(twcc_late);
}

/* ---- what is heard ----------------------------------------------------------------- */

void leg_estimate_begin(struct leg *leg, uint64_t now_us)
{
	STAT_INC(twcc_rx);
	if (leg->estimate && leg->estimate->gcc.any)
		gcc_feedback_begin(&leg->estimate->gcc, now_us);
}

void leg_estimate_status(struct leg *leg, const struct twcc_status *status)
{
	struct estimate *e = leg->estimate;

	if ((int16_t)(status->seq - (uint16_t)leg->number) >= 0) {
		STAT_INC(twcc_unsent);
		return;
	}
	/* Later ones were sound that is measured while no pictures go. */
	if (e && e->gcc.any && (int16_t)(status->seq - (uint16_t)e->gcc.last) <= 0)
		(void)gcc_feedback(&e->gcc, status->seq, status->received,
				   status->arrival_us);
}

void leg_estimate_end(struct leg *leg, uint64_t now_us)
{
	struct estimate *e = leg->estimate;

	if (!e || !e->gcc.any)
		return;
	(void)gcc_feedback_end(&e->gcc);
	probe(e, now_us);
}

/* ---- without transport-cc ---------------------------------------------------------- */

/* Of 256, what the picture's sender has lost since the last report of this slot. */
static unsigned lost_before_q8(struct estimate *e, unsigned slot)
{
	struct relay_stream *st = relay_port_slot(e->leg->port, slot);
	const struct leg_source *src = st ? relay_stream_owner(st) : NULL;
	uint64_t expected, received, missing = 0, all = 0;

	if (!src || !src->recv.highest)
		return 0;
	expected = src->recv.highest - src->recv.base + 1;
	received = src->recv.received;
	if (e->before[slot].stream == relay_stream_id(st) &&
	    expected > e->before[slot].expected) {
		uint64_t came = received - e->before[slot].received;

		all = expected - e->before[slot].expected;
		missing = all > came ? all - came : 0;
	}
	e->before[slot].stream = relay_stream_id(st);
	e->before[slot].expected = expected;
	e->before[slot].received = received;
	return all ? (unsigned)(missing * 256 / all) : 0;
}

void leg_estimate_block(struct leg *leg, const struct rtcp_block *b, uint64_t now_us)
{
	struct estimate *e = leg->estimate;

	for (unsigned i = 0; leg_estimate_going(leg) && i < leg->plan.slot_count; i++) {
		const struct leg_slot *slot = &leg->slots[i];
		unsigned before_q8, rtt_us;

		if (slot->plan->ssrc != b->ssrc || slot->plan->sec.audio)
			continue;
		before_q8 = lost_before_q8(e, i);
		rtt_us = (unsigned)leg_report_rtt_us(slot, b, now_us);
		e->report.count++;
		if (b->fraction_lost > before_q8)
			e->report.lost_q8 += b->fraction_lost - before_q8;
		if (rtt_us)
			e->report.rtt_us = rtt_us;
	}
}

void leg_estimate_blocks_end(struct leg *leg, uint64_t now_us)
{
	struct estimate *e = leg->estimate;

	if (!e || !e->report.count)
		return;
	if (e->gcc.params.blind)
		(void)gcc_report(&e->gcc, now_us, e->report.lost_q8 / e->report.count,
				 e->report.rtt_us);
	e->report.count = e->report.lost_q8 = 0;
	e->report.rtt_us = 0;
}

void leg_estimate_remb(struct leg *leg, uint64_t bps, uint64_t now_us)
{
	if (leg->estimate)
		(void)gcc_remb(&leg->estimate->gcc, now_us, bps);
}
