/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Loss: the radio's, or a link that is full? (The idea is libwebrtc's loss-based estimator v2: a
 * model with an inherent loss and a capacity, fitted to what was seen.) Each observation is a rate,
 * a number of packets and how many of them were lost. The model says that of what is sent
 *
 *     p + (1 - p) x max(0, 1 - capacity / rate)
 *
 * is lost. For a capacity, the p that explains the observations best is found in a few steps; the
 * capacity whose p explains them best wins, if it does so clearly better than no capacity at all:
 * loss that is the same at each rate is the radio's, and costs nothing. So that there are different
 * rates to tell from, loss that is more than a conversation bears lowers the rate a little, once in
 * a while.
 */
#include "gcc_in.h"

#include <math.h>
#include <string.h>

static const uint64_t LONG_US = 300000, LONG_MAX_US = 2000000;
enum { TOLD_MIN = 20 };		   /* or as many as LONG_MAX_US has */
static const double AGE = 0.9;	   /* weight of each older observation */
static const double CLEARLY = 4.0; /* log likelihood: e^4 to one */
static const double INHERENT_MAX = 0.6;
static const double FEW = 0.02;	    /* no matter */
static const double CEILING = 0.95; /* of the capacity that was found */
static const double LIFT = 0.03;    /* per observation, once it is explained no more */
static const double DIP = 0.5, DIP_AT = 0.15; /* x loss (draft §6) */
static const uint64_t DIP_US = 12000000;
static const double STEP = 0.92;
static const double TEST_AT = 0.08, TEST_MOST = 0.75;
static const uint64_t TEST_US = 4000000, HOLD_US = 1000000;
enum { STEPS = 18 }; /* capacities tried, from the greatest rate seen down to a quarter */

static unsigned at(const struct gcc *c, unsigned back)
{
	return (c->loss.head + GCC_LOSS_POINTS - 1 - back) % GCC_LOSS_POINTS;
}

static double excess(double rate, double capacity)
{
	return capacity > 0 && rate > capacity ? 1 - capacity / rate : 0;
}

/* Log likelihood of all that was seen, and its inherent loss, found in a few steps: the share of
 * the losses that a full link does not explain. */
static double fit(const struct gcc *c, double capacity, double *inherent)
{
	double p = c->loss.recent, sum = 0, weight;

	for (unsigned step = 0; step < 4; step++) {
		double lost = 0, told = 0;

		weight = 1;
		for (unsigned i = 0; i < c->loss.count; i++, weight *= AGE) {
			double x = excess(c->loss.points[at(c, i)].bps, capacity);
			double all = p + (1 - p) * x;

			told += weight * c->loss.points[at(c, i)].told;
			if (all > 0)
				lost += weight * c->loss.points[at(c, i)].lost * p / all;
		}
		p = told > 0 ? lost / told : 0;
		p = p > INHERENT_MAX ? INHERENT_MAX : p;
	}
	weight = 1;
	for (unsigned i = 0; i < c->loss.count; i++, weight *= AGE) {
		double x = excess(c->loss.points[at(c, i)].bps, capacity);
		double all = p + (1 - p) * x, lost = c->loss.points[at(c, i)].lost;

		all = all < 0.001 ? 0.001 : all > 0.99 ? 0.99 : all;
		sum += weight * (lost * log(all) +
				 (c->loss.points[at(c, i)].told - lost) * log1p(-all));
	}
	*inherent = p;
	return sum;
}

/* The capacity that explains it clearly best; 0: none does. */
static double explain(struct gcc *c)
{
	double most = 0, none, best = 0, p, inherent;
	double capacity, lost = 0, runs = 0;

	for (unsigned i = 0; i < c->loss.count; i++) {
		if (c->loss.points[at(c, i)].bps > most)
			most = c->loss.points[at(c, i)].bps;
		lost += c->loss.points[at(c, i)].lost;
		runs += c->loss.points[at(c, i)].runs;
	}
	/* Packets that are lost in a row are lost for one reason, and say so once. */
	none = fit(c, 0, &inherent) +
	       CLEARLY * (runs > 0 && lost > runs ? lost / runs : 1);
	capacity = most;
	for (unsigned i = 0; i < STEPS; i++) {
		double likely;

		capacity *= STEP;
		likely = fit(c, capacity, &p);
		if (likely <= none)
			continue;
		none = likely;
		best = capacity;
		inherent = p;
	}
	c->loss.inherent = inherent;
	return best;
}

static void decide(struct gcc *c)
{
	bool any = false;
	double capacity = 0;

	for (unsigned i = 0; i < c->loss.count; i++)
		any |= c->loss.points[at(c, i)].lost > 0;
	if (any)
		capacity = explain(c);
	else
		c->loss.inherent = 0;
	if (capacity > 0 && c->loss.recent > FEW) {
		c->loss_bps = capacity * CEILING;
		c->aimd.start = false;
		return;
	}
	if (c->loss_bps > 0) {
		c->loss_bps *= 1 + LIFT;
		if (c->loss_bps > c->delay_bps * 1.2)
			c->loss_bps = 0;
	}
	if (c->loss.recent > DIP_AT && c->now_us > c->loss.dipped_us + DIP_US) {
		c->loss.dipped_us = c->now_us;
		c->loss.hold_us = c->now_us + gcc_response_us(c) + HOLD_US;
		c->delay_bps = c->bps * (1 - DIP * c->loss.recent);
	}
}

/* More is lost than a while ago: would it be at the rate of then? If so it is the radio, and the rate may
 * rise from there again; if not, it was too much. */
static void test(struct gcc *c)
{
	unsigned calm = 0;

	if (c->now_us < c->loss.tested_us + TEST_US)
		return;
	for (unsigned i = 1; i < c->loss.count; i++)
		if (c->loss.points[at(c, i)].recent < c->loss.points[at(c, calm)].recent)
			calm = i;
	if (c->loss.recent < c->loss.points[at(c, calm)].recent + TEST_AT)
		return;
	c->loss.tested_us = c->now_us;
	c->loss.hold_us = c->now_us + gcc_response_us(c) + HOLD_US;
	if (c->delay_bps > c->loss.points[at(c, calm)].est_bps)
		c->delay_bps = c->loss.points[at(c, calm)].est_bps > c->bps * TEST_MOST
				       ? c->loss.points[at(c, calm)].est_bps
				       : c->bps * TEST_MOST;
}

void gcc_loss_observe(struct gcc *c, double bps, unsigned told, unsigned lost,
		      unsigned runs)
{
	if (!told)
		return;
	if (lost > told)
		lost = told;
	c->loss.points[c->loss.head].bps = bps;
	c->loss.points[c->loss.head].told = told;
	c->loss.points[c->loss.head].lost = lost;
	c->loss.points[c->loss.head].runs = runs;
	c->loss.head = (c->loss.head + 1) % GCC_LOSS_POINTS;
	if (c->loss.count < GCC_LOSS_POINTS)
		c->loss.count++;
	c->loss.recent += ((double)lost / told - c->loss.recent) / 4;
	c->loss.points[at(c, 0)].recent = c->loss.recent;
	c->loss.points[at(c, 0)].est_bps = c->bps;
	test(c);
	decide(c);
}

void gcc_loss_status(struct gcc *c, const struct gcc_packet *p, bool received)
{
	if (!c->loss.now.told++)
		c->loss.first_us = p->sent_us;
	c->loss.now.lost += !received;
	c->loss.now.runs += !received && !c->loss.now.in_run;
	c->loss.now.in_run = !received;
	c->loss.now.bytes += p->bytes;
	c->loss.last_us = p->sent_us;
}

void gcc_loss_undo(struct gcc *c)
{
	if (c->loss.now.lost)
		c->loss.now.lost--;
}

/* Packets that were sent in a time: the rate is the one at which these very ones went out. */
void gcc_loss_update(struct gcc *c)
{
	uint64_t past_us = c->loss.last_us - c->loss.first_us;
	unsigned told = c->loss.now.told, lost = c->loss.now.lost, runs;
	double bps;

	if (c->params.blind || !told || c->loss.last_us <= c->loss.first_us ||
	    past_us < LONG_US || (told < TOLD_MIN && past_us < LONG_MAX_US))
		return;
	bps = (double)c->loss.now.bytes * 8e6 / (double)past_us;
	runs = c->loss.now.runs;
	memset(&c->loss.now, 0, sizeof c->loss.now);
	gcc_loss_observe(c, bps, told, lost, runs);
}
