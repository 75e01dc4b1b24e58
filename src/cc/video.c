/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Pictures, all or none. Coarse, until there is an estimate of the link: pictures go when the voices beside
 * them come late or not at all for more than a second, and come back when the voice has got through
 * for a while; later each time that they were too much. Before that a probe of two packets' size shows if
 * they are out of the question: where queues are long, a second of them is silence for many.
 *
 * Each quarter of a second is good (a packet of sound has arrived in time), bad (one was late, or none
 * arrives though the other end is there), or says nothing. Bad ones in a row count, so that a machine
 * that stalls is no thin link: what it gets late it gets all at once.
 */
#include "way.h"

#include <string.h>

/* Longer than the usual way: no jitter, and nothing that a conversation bears. On trial it is
 * sooner, since what is too much then gathers in a queue that the voice waits behind. */
static const int64_t LATE_US = 500000, LATE_TRIAL_US = 300000;
enum { BAD_MOST = 5, BAD_MOST_TRIAL = 2 };
static const uint64_t BAD_LASTS_US = 3000000; /* then it is a row no more */
/* And a round trip: then a packet should be known to have arrived. Reports come every 100 ms. */
static const uint64_t DUE_US = 600000;
enum { WAITING_MIN = 2 };
/* Nothing at all comes back. */
static const uint64_t SILENT_US = 8000000;
static const uint64_t TRIAL_US = 10000000;
static const uint64_t WAIT_MIN_US = 8000000, WAIT_MAX_US = 600000000;
static const uint64_t FORGET_US = 120000000; /* stood for so long: patience begins anew */
static const uint64_t CALM_US = 3000000;
/* By so much is what follows a probe late on 200 kbit/s. */
static const int64_t PROBE_LATE_US = 80000;
static const uint64_t PROBE_PATIENCE_US =
	1500000; /* and a round trip: until it must show */
static const uint64_t PROBE_WAIT_MIN_US = 8000000, PROBE_WAIT_MAX_US = 60000000;
static const uint64_t BUCKET_US = 500000;
enum {
	LOSS_DOUBT_Q8 = 51, /* 20 %, of few: measured more often then */
	LOSS_DOUBT_MIN = 5,
	LOSS_MOST_Q8 = 90, /* 35 %: repeats and redundancy cannot mend what is left */
	LOSS_MOST_MIN = 50,
	LOSS_FEW_Q8 = 51,
	/* Told of in one run: more is a hole that is over, and no loss that lasts. */
	LOST_MOST = 16
};

void video_init(struct video_ctl *c, bool blind, uint64_t now_us)
{
	memset(c, 0, sizeof *c);
	c->on = true;
	c->blind = blind;
	c->heard_us = c->bucket_us = c->changed_us = now_us;
	c->wait_us = WAIT_MIN_US;
}

void video_rtt(struct video_ctl *c, uint64_t rtt_us)
{
	/* Some of it may be a queue: it is believed slowly. */
	c->rtt_us = rtt_us < c->rtt_us || !c->rtt_us ? rtt_us
						     : (c->rtt_us * 63 + rtt_us) / 64;
}

static void buckets_turn(struct video_ctl *c, uint64_t now_us)
{
	for (unsigned i = 0; i < VIDEO_BUCKETS && now_us >= c->bucket_us + BUCKET_US;
	     i++) {
		c->bucket = (c->bucket + 1) % VIDEO_BUCKETS;
		memset(&c->buckets[c->bucket], 0, sizeof c->buckets[0]);
		c->bucket_us += BUCKET_US;
	}
	if (now_us >= c->bucket_us + BUCKET_US)
		c->bucket_us = now_us;
}

static unsigned loss_q8(const struct video_ctl *c, unsigned min)
{
	unsigned told = 0, lost = 0;

	for (unsigned i = 0; i < VIDEO_BUCKETS; i++) {
		told += c->buckets[i].told;
		lost += c->buckets[i].lost;
	}
	return told < min ? 0 : lost * 256 / told;
}

/* ---- what is told ------------------------------------------------------------------ */

void video_sent(struct video_ctl *c, uint64_t now_us)
{
	if (!c->waiting++)
		c->waiting_us = now_us;
}

void video_heard(struct video_ctl *c, uint64_t now_us)
{
	c->heard = true;
	c->heard_us = now_us;
}

/* It fits, and pictures are on trial from the next run on; or it does not, and is tried again another time. */
static void probe_judge(struct video_ctl *c, uint64_t now_us, bool fits)
{
	c->probe.at_us = 0;
	c->probe.fits = fits;
	if (fits) {
		c->probe.wait_us = 0;
		return;
	}
	c->probe.wait_us *= 2;
	if (c->probe.wait_us < PROBE_WAIT_MIN_US)
		c->probe.wait_us = PROBE_WAIT_MIN_US;
	if (c->probe.wait_us > PROBE_WAIT_MAX_US)
		c->probe.wait_us = PROBE_WAIT_MAX_US;
	c->probe.until_us = now_us + c->probe.wait_us;
}

void video_sample(struct video_ctl *c, uint64_t now_us, uint64_t sent_us,
		  int64_t arrival_us)
{
	int64_t way_us = arrival_us - (int64_t)sent_us;

	buckets_turn(c, now_us);
	(void)way_update(&c->way, now_us, way_us);
	c->buckets[c->bucket].told++;
	if (c->probe.at_us && sent_us >= c->probe.at_us)
		probe_judge(c, now_us, way_us <= c->probe.way_us + PROBE_LATE_US);
	c->way_us = way_us;
	if (way_us > c->way.base_us + (c->trial ? LATE_TRIAL_US : LATE_US)) {
		c->late = true;
		return;
	}
	c->good = true;
	c->waiting = 0;
}

void video_lost(struct video_ctl *c, uint64_t now_us)
{
	buckets_turn(c, now_us);
	if (c->lost_now == LOST_MOST)
		return;
	c->lost_now++;
	c->buckets[c->bucket].told++;
	c->buckets[c->bucket].lost++;
}

void video_report(struct video_ctl *c, unsigned fraction_lost)
{
	if (fraction_lost >= LOSS_MOST_Q8)
		c->late = true;
	else if (c->blind && fraction_lost < LOSS_FEW_Q8)
		c->good = true;
}

/* ---- what it means ----------------------------------------------------------------- */

/* Nothing sent for so long is known to have arrived in time. */
static bool overdue(const struct video_ctl *c, uint64_t now_us)
{
	return c->waiting >= WAITING_MIN && now_us >= c->waiting_us + DUE_US + c->rtt_us;
}

static void count(struct video_ctl *c, uint64_t now_us)
{
	if (c->good || now_us >= c->bad_us + BAD_LASTS_US)
		c->bad = 0;
	if (!c->good && (c->late || (c->heard && overdue(c, now_us)))) {
		c->bad++;
		c->bad_us = now_us;
	}
	c->good = c->late = c->heard = false;
	c->lost_now = 0;
}

static bool too_much(const struct video_ctl *c, uint64_t now_us)
{
	return c->bad >= (c->trial ? BAD_MOST_TRIAL : BAD_MOST) ||
	       loss_q8(c, LOSS_MOST_MIN) >= LOSS_MOST_Q8 ||
	       (c->waiting >= WAITING_MIN && now_us >= c->heard_us + SILENT_US);
}

static void change(struct video_ctl *c, uint64_t now_us, bool on)
{
	c->on = c->trial = on;
	c->changed_us = now_us;
	c->calm_us = 0;
	c->bad = 0;
	c->probe.at_us = 0;
	c->probe.fits = false;
	/* What was sent before says nothing of now. */
	c->waiting = 0;
	memset(c->buckets, 0, sizeof c->buckets);
}

static void stop(struct video_ctl *c, uint64_t now_us)
{
	c->failed = c->trial;
	if (c->trial && c->wait_us < WAIT_MAX_US / 2)
		c->wait_us *= 2;
	else if (c->trial)
		c->wait_us = WAIT_MAX_US;
	change(c, now_us, false);
}

/* The voice has to get through for a while, and not by chance. */
static bool may_begin(const struct video_ctl *c, uint64_t now_us)
{
	return !c->on && c->calm_us && now_us >= c->calm_us + CALM_US &&
	       now_us >= c->changed_us + c->wait_us;
}

bool video_asks(const struct video_ctl *c, uint64_t now_us)
{
	return may_begin(c, now_us) && !c->blind && !c->probe.at_us && !c->probe.fits &&
	       now_us >= c->probe.until_us;
}

void video_probe(struct video_ctl *c, uint64_t now_us)
{
	c->probe.at_us = now_us;
	c->probe.way_us = c->way_us;
}

/* While they are withheld. True: now they may go. */
static bool begins(struct video_ctl *c, uint64_t now_us, bool calm)
{
	if (!calm || c->bad)
		c->calm_us = 0;
	else if (!c->calm_us)
		c->calm_us = now_us;
	if (c->probe.at_us && now_us >= c->probe.at_us + c->rtt_us + PROBE_PATIENCE_US)
		probe_judge(c, now_us, false);
	return may_begin(c, now_us) && (c->blind || c->probe.fits);
}

bool video_run(struct video_ctl *c, uint64_t now_us, bool calm)
{
	bool was = c->on;

	buckets_turn(c, now_us);
	count(c, now_us);
	if (c->on && too_much(c, now_us))
		stop(c, now_us);
	else if (!c->on && begins(c, now_us, calm))
		change(c, now_us, true);
	if (c->on && c->trial && now_us >= c->changed_us + TRIAL_US)
		c->trial = false;
	if (c->on && now_us >= c->changed_us + FORGET_US)
		c->wait_us = WAIT_MIN_US;
	c->measure = c->on ? c->trial || c->bad || overdue(c, now_us) ||
				     loss_q8(c, LOSS_DOUBT_MIN) >= LOSS_DOUBT_Q8
			   : c->calm_us != 0;
	return c->on != was;
}

bool video_rests(const struct video_ctl *c)
{
	return c->on && !c->trial && !c->waiting && !c->late && !c->bad && !c->measure;
}
