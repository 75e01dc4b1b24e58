/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The rate, by what delay says: less at once when there is a queue, more in small steps (draft §5.5).
 *
 * - Less: a part of what arrives, since a full link delivers at its own pace. The longer the queue
 *   the less, so that it is gone in about a second.
 * - What arrived then is what the link bears (libwebrtc's link capacity estimate). When the queue is
 *   gone the rate goes straight to REST of that, and rests there: the longer, the more often the link
 *   has turned out to be the same. Then it feels its way up until there is a queue again, or until
 *   the link clearly bears more, and what was known of it is forgotten.
 * - Feeling up grows with the fourth root of the rate (binomial control: Bansal, Balakrishnan,
 *   INFOCOM 2001), so that of two on a link the smaller gains on the greater; the slower, the longer a
 *   change takes to show, and the faster, the longer there has been no queue, so that no link, thin or
 *   fat, takes minutes.
 * - With less sent than may be there is nothing to grow on (ALR); probes are for that.
 */
#include "gcc_in.h"

#include <math.h>

/* Numbers without a source are those with which sim_cc_gcc holds its bounds; it tells when they do not. */
static const double BETA = 0.85;    /* draft §5.5 */
static const double BETA_MIN = 0.5; /* where the queue is long */
static const int64_t BETA_QUEUE_US = 80000, BETA_PER_US = 700000;
static const double LIMITED_MIN = 0.6; /* of the rate at once, where little was sent */
static const double REST = 0.88;
static const uint64_t REST_US = 1500000, REST_STEADY_US = 2000000;
enum { STEADY_MAX = 4 };
static const double STEADY = 0.06; /* it is the same if it differs by less */
static const double FORGET = 1.10; /* so much of it without a queue: it is another link */
static const double MULTIPLY = 0.08; /* per second, where nothing is known (draft §5.5) */
static const double RECOVER = 0.40;  /* per second, up to what was known to fit */
static const double FEEL = 0.03, FEEL_MIN = 0.0025, FEEL_MAX = 0.030;
enum { STEADY_ALONE = 3 };
static const double FEEL_STEADY = 0.015;
static const double FEEL_BPS = 100000; /* there FEEL is per second */
static const uint64_t FEEL_US = 300000, FASTER_US = 9000000;
static const uint64_t BEST_US = 60000000;
static const double BEST_FADES = 0.7; /* it has become so much less */
static const double WORSE = 0.8;
/* From a decrease to the next that is no echo of it; that what a probe has found must hold for. */
static const uint64_t FULL_US = 2000000, SUSTAINED_US = 2000000, ECHO_US = 300000;
/* What a burst takes of a link that is shared. */
static const double PUSHED = 1.3;
enum { STUCK_MAX = 2 };

void gcc_aimd_init(struct gcc *c)
{
	c->aimd.start = true;
	c->aimd.updated_us = c->now_us;
}

bool gcc_aimd_alone(const struct gcc *c)
{
	return c->aimd.steady >= STEADY_ALONE;
}

/* ---- less -------------------------------------------------------------------------- */

/* What arrives; it counts what the radio has lost (gcc.c). */
static double throughput(const struct gcc *c)
{
	int64_t window_us = gcc_rate_window_us(c);
	double bps = gcc_rate_bps(&c->arrived, window_us);

	/* In the presence of a queue a short window is as good, and knows nothing of before. */
	if (c->delay.queue_us > gcc_delay_limit_us(c)) {
		int64_t packet_us = gcc_packet_us(c, bps > 0 ? bps : c->bps);
		double of_late = gcc_rate_bps(&c->arrived, window_us / 4 + packet_us);

		if (of_late > 0 && of_late < bps * WORSE)
			bps = of_late;
		/* A cluster's own queue drains at the pace of the link, not at what was sent before. */
		if (c->probe.active && of_late > bps)
			bps = of_late;
	}
	return bps;
}

static void learn(struct gcc *c, double bps)
{
	double off = c->aimd.capacity_bps > 0 ? bps / c->aimd.capacity_bps - 1 : 1;

	off = off < 0 ? -off : off;
	if (off > STEADY) {
		c->aimd.steady = 0;
		c->aimd.capacity_bps = bps;
		return;
	}
	if (c->aimd.steady < STEADY_MAX)
		c->aimd.steady++;
	c->aimd.capacity_bps += (bps - c->aimd.capacity_bps) / 3;
}

/* It has become much less than it was before this queue: that is worth looking for. */
static void remember_best(struct gcc *c, double bps)
{
	double before = c->aimd.draining ? c->aimd.drained_bps : c->delay_bps;

	if (c->aimd.best_bps > 0 && c->now_us < c->aimd.best_us + BEST_US &&
	    c->aimd.best_bps >= before)
		return;
	/* What was never carried was never so. */
	if (!c->aimd.full || bps >= before * BEST_FADES)
		return;
	if (c->aimd.raised_us &&
	    c->now_us < c->aimd.raised_us + SUSTAINED_US + gcc_response_us(c)) {
		gcc_probe_regret(c);
		return;
	}
	c->aimd.best_bps = before;
	c->aimd.best_us = c->now_us;
	c->probe.row = 0;
}

/* What looked like a queue is the way. */
static void is_way(struct gcc *c)
{
	c->aimd.stuck = 0;
	c->aimd.draining = false;
	gcc_delay_rebase(c);
}

/* The queue stays as it was though less is sent than last time: it is not ours, or not one at all. Who sends far less than
 * the estimate sends as much as before: a queue of theirs would have grown, or gone. */
static bool stuck(struct gcc *c)
{
	bool grows = c->delay.standing_us * 4 >= c->aimd.queue_us * 5;
	bool falls = c->delay.standing_us * 5 <= c->aimd.queue_us * 4;

	if (!c->aimd.draining || grows || (falls && !c->limited))
		c->aimd.stuck = 0;
	else
		c->aimd.stuck += c->limited ? STUCK_MAX : 1;
	if (c->aimd.stuck < STUCK_MAX)
		return false;
	is_way(c);
	return true;
}

/* What is decided shows after a response, and the queue before it. */
static uint64_t effect_us(const struct gcc *c)
{
	return gcc_response_us(c) + (uint64_t)c->aimd.queue_us +
	       (uint64_t)gcc_packet_us(c, c->bps);
}

/* What was decided last has not had its effect yet.
 * Unless it is worse than it seemed. */
static bool soon(const struct gcc *c, double target)
{
	if (!c->aimd.decreased_us || c->now_us >= c->aimd.decreased_us + effect_us(c))
		return false;
	return target > c->delay_bps * WORSE ||
	       c->delay.queue_us * 5 < c->aimd.last_us * 6;
}

/* It has had twice the time that it takes to go, and has hardly become less. */
static bool lingers(const struct gcc *c)
{
	return c->aimd.draining && c->now_us >= c->aimd.decreased_us + 2 * effect_us(c) &&
	       c->delay.standing_us * 3 > c->aimd.queue_us * 2;
}

static void decrease(struct gcc *c)
{
	double bps = throughput(c), beta = BETA, target;
	int64_t over_us = c->delay.standing_us - BETA_QUEUE_US - gcc_packet_us(c, c->bps);

	if (bps <= 0)
		return;
	/* What is left of a cluster's queue. */
	if (c->aimd.probed_us &&
	    c->now_us < c->aimd.probed_us + gcc_response_us(c) + ECHO_US &&
	    bps < c->aimd.capacity_bps)
		bps = c->aimd.capacity_bps;
	if (over_us > 0)
		beta -= (double)over_us / (double)BETA_PER_US;
	if (beta < BETA_MIN)
		beta = BETA_MIN;
	target = bps * beta;
	if (c->limited && target < c->delay_bps * LIMITED_MIN)
		target = c->delay_bps * LIMITED_MIN;
	if (soon(c, target) || stuck(c))
		return;
	if (!c->aimd.draining)
		c->aimd.drained_bps = c->delay_bps;
	if (target < c->delay_bps) {
		remember_best(c, bps);
		c->delay_bps = target;
	}
	/* The first time it may have been a probe's own queue, after little was sent. */
	if (!c->limited && c->aimd.decreased_us &&
	    c->now_us > c->aimd.decreased_us + FULL_US + gcc_response_us(c))
		c->aimd.full = true;
	c->aimd.start = false;
	if (!c->limited && !(c->probe.active && c->aimd.capacity_bps > 0))
		learn(c, bps);
	c->aimd.draining = true;
	c->aimd.queue_us = c->delay.standing_us;
	c->aimd.last_us = c->delay.queue_us;
	c->aimd.decreased_us = c->now_us;
}

void gcc_aimd_timeout(struct gcc *c)
{
	remember_best(c, c->delay_bps * 0.5);
	c->delay_bps *= 0.8;
	c->aimd.start = false;
}

/* ---- more -------------------------------------------------------------------------- */

/* Per second; the faster, the longer there has been no queue at all. */
static double feel(const struct gcc *c, uint64_t since_us)
{
	double root = sqrt(FEEL_BPS / c->delay_bps), per_s, most;

	per_s = FEEL * root * sqrt(root);
	per_s = per_s < FEEL_MIN ? FEEL_MIN : per_s > FEEL_MAX ? FEEL_MAX : per_s;
	if (gcc_response_us(c) > FEEL_US)
		per_s *= 2 * (double)FEEL_US / (double)(FEEL_US + gcc_response_us(c));
	per_s *= 1 + (double)since_us / (double)FASTER_US;
	most = gcc_aimd_alone(c) ? FEEL_STEADY : FEEL_MAX;
	return per_s > most ? most : per_s;
}

static void increase(struct gcc *c, double past_s)
{
	double rest = c->aimd.capacity_bps * REST, bps = c->delay_bps;
	uint64_t rest_us = REST_US + c->aimd.steady * REST_STEADY_US;

	if (c->limited || c->now_us < c->loss.hold_us)
		return;
	if (c->aimd.capacity_bps <= 0) {
		bps *= 1 + MULTIPLY * past_s;
	} else if (bps < rest) {
		bps *= 1 + RECOVER * past_s;
		bps = bps > rest ? rest : bps;
	} else if (c->now_us < c->aimd.decreased_us + rest_us) {
		return;
	} else {
		bps *= 1 + feel(c, c->now_us - c->aimd.decreased_us - rest_us) * past_s;
		/* It is measured no better than by half a packet, and a queue takes as long to show. */
		if (bps > c->aimd.capacity_bps *
				  (FORGET + (double)gcc_packet_us(c, bps) / 2 /
						    (double)gcc_rate_window_us(c)))
			c->aimd.capacity_bps = 0;
	}
	c->delay_bps = bps;
}

void gcc_aimd_update(struct gcc *c, enum gcc_signal signal)
{
	double past_s = (double)(c->now_us - c->aimd.updated_us) / 1e6;

	c->aimd.updated_us = c->now_us;
	if (past_s > 0.5)
		past_s = 0.5;
	if (signal == GCC_OVERUSE) {
		decrease(c);
		return;
	}
	if (c->delay.standing_us <= gcc_delay_limit_us(c) / 2) {
		c->aimd.draining = false;
		c->aimd.stuck = 0;
	}
	if (lingers(c))
		is_way(c);
	/* What is in the queue goes first. */
	if (signal == GCC_UNDERUSE || c->aimd.draining ||
	    c->delay.standing_us > gcc_delay_limit_us(c) / 2)
		return;
	increase(c, past_s);
}

void gcc_aimd_probed(struct gcc *c, double bps, bool full)
{
	if (full) {
		c->aimd.start = false;
		/* A burst takes more than its share of a full link from others on it, which is not
		 * ours: what a queue has shown counts for more. */
		if (c->aimd.full && c->aimd.capacity_bps > 0 &&
		    bps < c->aimd.capacity_bps * PUSHED)
			return;
		if (c->aimd.capacity_bps <= 0 || bps > c->aimd.capacity_bps * FORGET) {
			c->aimd.capacity_bps = bps;
			c->aimd.steady = 0;
			c->aimd.decreased_us = c->now_us; /* for the rest */
			c->aimd.queue_us = c->aimd.last_us = 0;
		}
		bps *= REST;
	} else if (bps > c->aimd.capacity_bps * FORGET) {
		c->aimd.capacity_bps = 0;
	}
	if (bps > c->delay_bps * 1.1)
		c->aimd.raised_us = c->now_us;
	if (bps > c->delay_bps)
		c->delay_bps = bps;
}
