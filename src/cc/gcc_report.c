/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Without transport-cc: what a receiver allows (REMB), and its reports, from which loss and round
 * trip are known every second or five. The loss goes into the same model; a round trip that has grown
 * is a queue, somewhere. In between the rate rises as carefully as on a link that is known.
 */
#include "gcc_in.h"

static const double LESS = 0.85, MORE = 1.05; /* draft §6: 1.05 per report */
static const double MUCH = 0.10;	      /* draft §6: loss above is too much, */
static const double LITTLE = 0.02;	      /* and below there is room */
static const int64_t QUEUE_US = 150000;
static const uint64_t FLOOR_US = 30000000;
static const uint64_t RTT_MAX_US = 10000000;
static const uint64_t DRAIN_US = 30000000, DRAIN_RTT_US = 300000;
enum { DRAIN_REPORTS = 3 };
static const double DRAINED = 0.7;

bool gcc_remb(struct gcc *c, uint64_t now_us, uint64_t bps)
{
	c->now_us = now_us > c->now_us ? now_us : c->now_us;
	c->remb_bps = bps > c->params.max_bps	? c->params.max_bps
		      : bps < c->params.min_bps ? c->params.min_bps
						: (double)bps;
	c->remb_us = c->now_us;
	/* With nothing else to go by it is the estimate. */
	if (c->params.blind && c->remb_bps > c->delay_bps)
		c->delay_bps += (c->remb_bps - c->delay_bps) / 4;
	return gcc_settle(c);
}

/* What was sent since the last report, per second. */
static double sent_bps(const struct gcc *c)
{
	return gcc_rate_until_bps(&c->sent, (int64_t)c->now_us, 2000000);
}

/* Loss, and a round trip that may have a queue in it which has stood since before the first report: for two
 * of them half as much is sent, and if the way gets shorter it was too much (as BBR's ProbeRTT). */
static bool draining(struct gcc *c)
{
	if (c->drain.left) {
		if (--c->drain.left)
			return true;
		c->delay_bps = c->drain.bps *
			       (c->rtt_last_us * 4 < c->drain.rtt_us * 3 ? DRAINED : 1);
		return true;
	}
	if (c->loss.recent < MUCH || c->rtt_last_us < DRAIN_RTT_US ||
	    (c->drain.at_us && c->now_us < c->drain.at_us + DRAIN_US))
		return false;
	c->drain.left = DRAIN_REPORTS;
	c->drain.at_us = c->now_us;
	c->drain.rtt_us = c->rtt_last_us;
	c->drain.bps = c->delay_bps;
	c->delay_bps *= 0.5;
	return true;
}

bool gcc_report(struct gcc *c, uint64_t now_us, unsigned fraction_lost, uint64_t rtt_us)
{
	unsigned told = c->loss.sent;
	double lost = (fraction_lost > 255 ? 255 : fraction_lost) / 256.0, bps;

	c->now_us = now_us > c->now_us ? now_us : c->now_us;
	c->loss.sent = 0;
	if (!c->params.blind || !told)
		return false;
	if (rtt_us && rtt_us < RTT_MAX_US) {
		c->rtt_us = c->rtt_us ? (c->rtt_us * 7 + rtt_us) / 8 : rtt_us;
		c->rtt_last_us = rtt_us;
		gcc_floor_update(&c->rtt_floor, c->now_us, (int64_t)rtt_us, FLOOR_US);
	}
	bps = sent_bps(c);
	c->limited = bps < c->bps * 0.8;
	gcc_loss_observe(c, bps > 0 ? bps : c->bps, told, (unsigned)(told * lost + 0.5),
			 (unsigned)(told * lost + 0.5));
	if (draining(c))
		return gcc_settle(c);
	if (gcc_rtt_queue_us(c) > QUEUE_US + gcc_packet_us(c, c->bps))
		c->delay_bps *= LESS;
	else if (c->loss.recent > MUCH && c->loss.recent > c->loss.inherent + MUCH / 2)
		c->delay_bps *= 1 - 0.5 * c->loss.recent;
	else if (!c->limited && (lost < LITTLE || lost <= c->loss.inherent * 1.2))
		c->delay_bps *= MORE;
	return gcc_settle(c);
}
