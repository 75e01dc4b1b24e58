/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Probe clusters: for a moment more is sent than the estimate, and the pace at which it arrives
 * is what the link bears (libwebrtc's probe controller and probe bitrate estimator). All that is
 * sent in between counts, whatever it is, since all of it shares the link.
 *
 * A cluster is short enough that the queue it makes on a link that bears no more stays below what
 * is allowed anyway. When: at the start, again as long as each passes; after the link has become much
 * less, every few seconds, since it is often back soon; and where less is sent than may be but more
 * is wanted. Never with a queue, so that two on a link do not push each other aside.
 */
#include "gcc_in.h"

#include <string.h>

static const uint64_t LENGTH_US = 120000, LENGTH_THIN_US = 160000;
static const double THIN_BPS = 150000;
static const double QUEUE_MOST_US = 130000;
enum { SEEN_MIN = 5, PACKETS_MIN = 5, PACKET_MIN = 60, PACKET_MAX = 1200 };
static const double STEP = 2.0, STEP_START = 3.0, STEP_BEST = 2.5, STEP_THIN = 1.7;
static const double PASSED = 0.90; /* of the pace it was sent at: libwebrtc's 0.9 */
/* It was not sent at the pace asked for, or not much faster than usual. */
static const double SENT_LEAST = 1.15;
static const uint64_t PATIENCE_US = 400000; /* and a round trip: for feedback */
static const uint64_t WAIT_US = 2500000, WAIT_LIMITED_US = 5000000;
static const uint64_t WAIT_ROW_US = 6000000; /* where it was in vain that often */
enum { ROW = 10, REGRET = 4 };
static const uint64_t WAIT_MAX_US = 30000000;
static const uint64_t BEST_US = 60000000; /* after it became less: every WAIT_US */
static const double LOST_MORE = 0.1;	  /* than usual: chance */

void gcc_probe_init(struct gcc *c)
{
	c->probe.wait_us = WAIT_US;
	c->probe.next_us = 0;
}

/* ---- when -------------------------------------------------------------------------- */

/* What to try; 0: nothing. */
static double aim(const struct gcc *c, uint64_t now_us)
{
	double bps = 0, most = c->params.max_bps;

	if (c->aimd.start || c->probe.soon)
		bps = c->bps * STEP_START;
	else if (c->aimd.best_bps > c->bps * 1.2 && now_us < c->aimd.best_us + BEST_US)
		bps = c->bps * STEP_BEST < c->aimd.best_bps * 1.1
			      ? c->bps * STEP_BEST
			      : c->aimd.best_bps * 1.1;
	else if (c->limited || c->aimd.capacity_bps <= 0 || !c->aimd.full)
		bps = c->bps * STEP;
	if (c->bps < THIN_BPS && bps > c->bps * STEP_THIN)
		bps = c->bps * STEP_THIN;
	if (c->wanted_bps > 0 && most > c->wanted_bps * 1.2)
		most = c->wanted_bps * 1.2;
	if (c->remb_bps > 0 && most > c->remb_bps)
		most = c->remb_bps;
	if (c->loss_bps > 0)
		most = 0;
	bps = bps > most ? most : bps;
	return bps > c->bps * 1.1 ? bps : 0;
}

bool gcc_probe(struct gcc *c, uint64_t now_us, struct gcc_cluster *out)
{
	struct gcc_cluster *plan = &c->probe.plan;
	uint64_t length_us;
	double bps;

	if (c->params.blind || c->probe.active || c->delay.count < SEEN_MIN ||
	    now_us < c->probe.next_us || c->delay.signal != GCC_NORMAL ||
	    c->aimd.draining || c->delay.standing_us > gcc_delay_limit_us(c) ||
	    (c->aimd.start && c->delay.rise_us > (double)gcc_delay_limit_us(c)))
		return false;
	bps = aim(c, now_us);
	if (bps <= 0)
		return false;
	length_us = c->bps < THIN_BPS ? LENGTH_THIN_US : LENGTH_US;
	length_us += 8 * (uint64_t)c->delay.jitter_us < LENGTH_US
			     ? 8 * (uint64_t)c->delay.jitter_us
			     : LENGTH_US;
	/* On a link that bears no more than the estimate it makes so much of a queue. */
	if ((double)length_us * (bps / c->bps - 1) > QUEUE_MOST_US && !c->aimd.start)
		length_us = (uint64_t)(QUEUE_MOST_US / (bps / c->bps - 1));
	plan->bps = (uint32_t)bps;
	plan->bytes = (uint32_t)(bps * (double)length_us / 8e6);
	plan->packet_bytes = plan->bytes / PACKETS_MIN;
	if (plan->packet_bytes > PACKET_MAX)
		plan->packet_bytes = PACKET_MAX;
	if (plan->packet_bytes < PACKET_MIN)
		plan->packet_bytes = PACKET_MIN;
	plan->deadline_us = now_us + 2 * length_us;
	memset(&c->probe.run, 0, sizeof c->probe.run);
	c->probe.active = c->probe.sending = true;
	c->probe.soon = false;
	c->probe.before_bps = c->bps;
	*out = *plan;
	return true;
}

/* ---- what becomes of it ------------------------------------------------------------ */

void gcc_probe_sent(struct gcc *c, uint64_t number, unsigned bytes)
{
	if (!c->probe.sending)
		return;
	if (!c->probe.run.sent_bytes)
		c->probe.run.first = number;
	c->probe.run.last = number;
	c->probe.run.sent_bytes += bytes;
	if (c->probe.run.sent_bytes >= c->probe.plan.bytes)
		c->probe.sending = false;
}

static bool in_cluster(const struct gcc *c, const struct gcc_packet *p)
{
	return c->probe.active && c->probe.run.sent_bytes &&
	       p->number - (uint32_t)c->probe.run.first <=
		       (uint32_t)(c->probe.run.last - c->probe.run.first);
}

void gcc_probe_status(struct gcc *c, const struct gcc_packet *p, bool received,
		      int64_t arrival_us)
{
	if (!in_cluster(c, p))
		return;
	if (!c->probe.run.first_us)
		c->probe.run.first_us = p->sent_us;
	c->probe.run.last_us = p->sent_us;
	c->probe.run.last_bytes = p->bytes;
	if (!received) {
		c->probe.run.lost_bytes += p->bytes;
		return;
	}
	if (!c->probe.run.count++) {
		c->probe.run.first_bytes = p->bytes;
		c->probe.run.first_at_us = arrival_us;
		c->probe.run.first_got_us = p->sent_us;
	}
	c->probe.run.last_at_us = arrival_us;
	c->probe.run.bytes += p->bytes;
}

void gcc_probe_assume(struct gcc *c, const struct gcc_packet *p)
{
	if (in_cluster(c, p) && c->probe.run.count)
		c->probe.run.bytes += p->bytes;
}

/* Pace of sending and of arrival; false: too little is known. What a full link delivers comes at its
 * pace after the first; on an empty one packets lie as far apart as they were sent, whatever the size
 * of first and last. */
static bool paces(const struct gcc *c, double *sent_bps, double *got_bps)
{
	uint32_t told = c->probe.run.bytes + c->probe.run.lost_bytes;
	int64_t got_us = c->probe.run.last_at_us - c->probe.run.first_at_us;
	double lost = told ? (double)c->probe.run.lost_bytes / told : 1, sent_us;

	if (c->probe.run.count + 1 < PACKETS_MIN ||
	    told * 5ull < c->probe.plan.bytes * 4ull ||
	    c->probe.run.last_us <= c->probe.run.first_us || got_us <= 0)
		return false;
	*sent_bps = (told - c->probe.run.last_bytes) * 8e6 /
		    (double)(c->probe.run.last_us - c->probe.run.first_us);
	got_us += 2 * c->delay.jitter_us; /* it may have been squeezed so much */
	*got_bps = (c->probe.run.bytes - c->probe.run.first_bytes) * 8e6 / (double)got_us;
	/* What the radio loses at any rate was no want of it. */
	if (lost > c->loss.inherent + LOST_MORE)
		lost = c->loss.inherent;
	*got_bps /= 1 - lost;
	sent_us = (double)(c->probe.run.last_us - c->probe.run.first_us) +
		  2 * (double)c->delay.jitter_us;
	if (c->probe.run.lost_bytes == 0 &&
	    c->probe.run.first_at_us - (int64_t)c->probe.run.first_got_us <
		    c->delay.floor.base_us + gcc_delay_limit_us(c) / 2 &&
	    *got_bps < *sent_bps * sent_us / (double)got_us)
		*got_bps = *sent_bps * sent_us / (double)got_us;
	return true;
}

static void over(struct gcc *c, bool passed)
{
	c->probe.active = c->probe.sending = false;
	c->aimd.probed_us = c->now_us;
	c->probe.soon = passed && !c->limited;
	c->probe.passed += passed;
	c->probe.failed += !passed;
	c->probe.row += !passed;
	if (passed || (c->aimd.best_bps > 0 && c->now_us < c->aimd.best_us + BEST_US))
		c->probe.wait_us = c->probe.row < ROW ? WAIT_US : WAIT_ROW_US;
	else
		c->probe.wait_us += c->probe.wait_us / 2;
	if (c->probe.wait_us > WAIT_MAX_US)
		c->probe.wait_us = WAIT_MAX_US;
	if (c->limited && c->probe.wait_us < WAIT_LIMITED_US)
		c->probe.wait_us = WAIT_LIMITED_US;
	c->probe.next_us = c->now_us + (c->probe.soon ? 0 : c->probe.wait_us);
}

void gcc_probe_regret(struct gcc *c)
{
	c->probe.row += REGRET;
	c->probe.soon = false;
	c->probe.next_us = c->now_us + WAIT_ROW_US;
}

void gcc_probe_judge(struct gcc *c)
{
	double sent_bps, got_bps;

	if (!c->probe.active)
		return;
	if (c->probe.sending && c->now_us > c->probe.plan.deadline_us)
		c->probe.sending = false;
	if (c->probe.sending)
		return;
	if (c->acked < c->probe.run.last && c->probe.run.sent_bytes &&
	    c->now_us < c->probe.plan.deadline_us + PATIENCE_US + 2 * c->rtt_us)
		return;
	if (!paces(c, &sent_bps, &got_bps) ||
	    sent_bps < c->probe.before_bps * SENT_LEAST) {
		over(c, false);
	} else if (got_bps >= PASSED * sent_bps) {
		gcc_aimd_probed(c, got_bps < sent_bps ? got_bps : sent_bps, false);
		over(c, true);
	} else {
		gcc_aimd_probed(c, got_bps, true);
		over(c, false);
	}
}
