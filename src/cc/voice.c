/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One direction of a voice: decisions, in this order.
 *
 * - The other end is silent though something has been sent: the floor, until it is heard again;
 *   then back at once. A page cannot be told meanwhile, and goes on as it was.
 * - What is sent is too much: what was before, if it has just been raised; else a rung that
 *   fits what gets through and lets the queue drain. By one late sample alone at once too,
 *   but with no consequences until others say the same: it may have been a stall.
 * - Packets are lost without a queue: redundancy; within what the link is known to bear, at
 *   the price of a rung or two.
 * - Calm: try. A probe (more redundancy for some packets) measures what the link bears and
 *   makes nothing worse than a short delay; then straight to the rung for that. Where there
 *   is no redundancy to probe with, the next rung is tried for real.
 *
 * Patience goes by how long the link has been as it is: after a short drop tries come
 * quickly, after a long one rarely. What has failed has a patience of its own, so that it
 * hinders nothing below it.
 */
#include "voice_in.h"

#include <string.h>

static const uint64_t AWAY_US = 1500000; /* and two of the usual gaps */
static const uint64_t GAP_US = 2500000; /* to begin with: a report every 5 s may be all */
/* Tries come after an eighth of the time that the link has been as it is, so that what was short
 * ends soon; later less often, since each delays the voice a little. */
static const uint64_t WAIT_MIN_US = 1000000, WAIT_MAX_US = 60000000;
static const uint64_t SHORT_US = 20000000;
static const uint64_t WAIT_GOOD_US =
	15000000; /* up to there, twice as long at a good rung */
/* What is tried for real is heard if it fails. */
static const uint64_t REAL_MIN_US = 4000000;
/* And four round trips, a raise is on trial: 10 % too much makes a queue of 800 ms by then. */
static const uint64_t PROVEN_US = 8000000;
static const uint64_t REPORTS_US = 12000000; /* the same for who only reports: two come */
/* What has stood for so long and is too much now is so because the link has changed. */
static const uint64_t STOOD_US = 20000000;
/* What failed is not tried again for that long, twice as long each time; found by simulation:
 * shorter swings, longer leaves what has become possible unused. */
static const uint64_t FAILED_MIN_US = 15000000, FAILED_MAX_US = 120000000;
static const uint64_t FAILED_FORGET_US = 300000000; /* then patience begins anew */
/* What stood near the limit and stumbled: five or six changes in two minutes at most. */
static const uint64_t STUMBLE_US = 45000000;
/* So long, the rung before a drop is tried first. */
static const uint64_t BEFORE_US = 120000000;
static const uint64_t MEASURE_US = 4000000; /* after a queue or a raise */
static const uint64_t SHOWS_US = 500000;    /* and a round trip: until a raise shows */
static const uint64_t BACK_US =
	500000; /* and a round trip: what a silence has cost is asked for */
static const uint64_t DRAIN_US = 2000000;    /* a queue is to be gone after that */
static const uint64_t RTT_QUEUE_US = 400000; /* more than jitter both ways: a queue */
enum {
	/* What comes back costs 1.2 kbit/s, and double that where more is at stake. */
	MEASURE_MS = 400,
	MEASURE_GOOD_MS = 200,
	GOOD = 4,	     /* 16 kbit/s: what is more is no hurry */
	LOSS_RAISED_Q8 = 31, /* and double what it was: by the raise, 12 % */
	/* 40 %: whatever the reason, more than the poorest is wasted */
	LOSS_FULL_Q8 = 102,
	RTT_NACK_US = 275000, /* two tries fit */
	RTT_RED_US = 550000   /* one does; beyond, none */
};

void voice_init(struct voice_ctl *c, const struct voice_params *params, uint64_t now_us)
{
	memset(c, 0, sizeof *c);
	c->params = *params;
	c->high = VOICE_TOP;
	c->now.rung = params->rung;
	c->gap_us = GAP_US;
	c->lossless_us = c->bucket_us = now_us;
	c->since_us = c->tried_us = now_us;
	c->tries = 2;
	c->burst_q8 = 256;
}

void voice_deaf(struct voice_ctl *c, uint64_t until_us)
{
	c->deaf_us = until_us;
}

void voice_rtt(struct voice_ctl *c, uint64_t rtt_us)
{
	unsigned fit;

	c->rtt_last_us = rtt_us;
	if (c->queueing && rtt_us > c->rtt_us)
		return;
	if (!c->rtt_least_us || rtt_us < c->rtt_least_us)
		c->rtt_least_us = rtt_us;
	else
		c->rtt_least_us += (rtt_us - c->rtt_least_us) / 64;
	/* Some of it is a queue: rather the lower ones. */
	if (!c->rtt_us)
		c->rtt_us = rtt_us;
	else if (rtt_us < c->rtt_us)
		c->rtt_us = (c->rtt_us + rtt_us) / 2;
	else
		c->rtt_us = (c->rtt_us * 7 + rtt_us) / 8;
	/* Near a limit it stays as it is. */
	fit = c->rtt_us <= RTT_NACK_US ? 2 : c->rtt_us <= RTT_RED_US ? 1 : 0;
	if (fit < c->tries &&
	    c->rtt_us * 7 / 8 <= (c->tries == 2 ? RTT_NACK_US : RTT_RED_US))
		fit = c->tries;
	c->tries = (uint8_t)fit;
}

/* What is sent changes: what has been sent before says nothing of it. */
static void changed(struct voice_ctl *c, uint64_t now_us)
{
	c->probe.red = 0;
	c->tried_us = c->changed_us = c->least_at_us = now_us;
	c->least_us = VOICE_QUEUE_ANY_US;
}

void voice_limit(struct voice_ctl *c, uint64_t now_us, unsigned low, unsigned high)
{
	if (low == c->low && high == c->high)
		return;
	if (c->now.rung > high) {
		c->before =
			c->now.rung; /* it was borne, and is tried first when it may be again */
		c->before_us = now_us + BEFORE_US;
	}
	c->low = (uint8_t)low;
	c->high = (uint8_t)high;
	c->away_rung = (uint8_t)voice_clamp(c, c->away_rung);
	c->raised.trial = false;
	c->doubt.until_us = 0;
	c->since_us = now_us;
	changed(c, now_us);
}

static unsigned loss_most_q8(const struct voice_ctl *c, uint64_t now_us)
{
	unsigned loss = voice_loss_q8(c, now_us), lately = voice_loss_long_q8(c, now_us);

	return loss > lately ? loss : lately;
}

/* Sends more from here on, for a time on trial. */
static void send_more(struct voice_ctl *c, uint64_t now_us, unsigned rung,
		      unsigned protect)
{
	c->raised.rung = c->now.rung;
	c->raised.protect = c->protect;
	c->raised.loss_q8 = loss_most_q8(c, now_us);
	c->raised.since_us = c->since_us;
	c->raised.at_us = c->since_us = now_us;
	c->raised.trial = true;
	changed(c, now_us);
	c->now.rung = (uint8_t)rung;
	c->protect = (uint8_t)protect;
	if (c->before_us && c->now.rung >= c->before)
		c->before_us = 0;
	c->measure_us = now_us + MEASURE_US;
}

/* What has failed is not sent again before its time. */
static bool may_send(const struct voice_ctl *c, uint64_t now_us, unsigned rung,
		     unsigned red)
{
	return !c->failed.bps || now_us >= c->failed.until_us ||
	       voice_cost(c, rung, red) < c->failed.bps;
}

/* ---- protection -------------------------------------------------------------------- */

/* Where nothing climbs, copies that seemed too much are tried again in time: reports are rare and
 * tell of the past, and the losses may have grown by themselves. */
static void copies_again(struct voice_ctl *c, uint64_t now_us)
{
	if (c->params.copies && c->low == c->high && c->failed.bps &&
	    now_us >= c->failed.until_us)
		c->cap_bps = c->failed.bps = 0;
}

static void protect(struct voice_ctl *c, uint64_t now_us)
{
	uint32_t now_bps = voice_cost_now(c), bps;
	unsigned red;

	copies_again(c, now_us);
	bps = voice_fit_bps(c, now_us, c->cap_bps);
	voice_loss_judge(c, now_us);
	red = voice_wanted(c);
	if (red < c->protect) {
		c->protect = (uint8_t)red;
		c->now.rung = (uint8_t)voice_richest(c, now_bps, red, c->high);
	} else if (red > c->protect && c->cap_bps) {
		red = voice_affordable(c, now_us, bps);
		if (red <= c->protect)
			return;
		c->now.rung = (uint8_t)voice_richest(c, bps, red, c->now.rung);
		c->protect = (uint8_t)red;
	} else if (red > c->protect && !c->queueing &&
		   !(c->params.copies && c->raised.trial) &&
		   now_us >= c->changed_us + c->rtt_us + SHOWS_US) {
		/* It may bear it: one more at a time. */
		send_more(c, now_us, c->now.rung, c->protect + 1u);
	}
}

/* ---- too much ---------------------------------------------------------------------- */

/* By what else than samples: more is lost since more is sent, or the round trip has a queue. */
static bool too_much(const struct voice_ctl *c, uint64_t now_us)
{
	unsigned lately = voice_loss_long_q8(c, now_us);
	/* Of some thirty packets a third may be lost where it is a fifth in the long run. */
	unsigned loss = (voice_loss_q8(c, now_us) + lately) / 2;

	if (c->probe.red || now_us < c->changed_us + c->rtt_us + SHOWS_US)
		return false;
	return lately >= LOSS_FULL_Q8 ||
	       (c->raised.trial && loss > 2 * c->raised.loss_q8 + LOSS_RAISED_Q8) ||
	       (!c->way.known && c->rtt_last_us > c->rtt_least_us + RTT_QUEUE_US);
}

static void remember(struct voice_ctl *c, uint64_t now_us)
{
	if (!c->before_us || now_us >= c->before_us || c->now.rung > c->before)
		c->before = c->now.rung;
	c->before_us = now_us + BEFORE_US;
}

/* It cannot be sent: patience with it, the longer the more often it has been so. */
static void failed(struct voice_ctl *c, uint64_t now_us, uint32_t cap_bps)
{
	c->failed.wait_us *= 2;
	if (c->failed.wait_us < FAILED_MIN_US ||
	    now_us > c->failed.until_us + FAILED_FORGET_US)
		c->failed.wait_us = FAILED_MIN_US;
	if (c->failed.wait_us > FAILED_MAX_US)
		c->failed.wait_us = FAILED_MAX_US;
	c->failed.bps = voice_cost_now(c);
	c->failed.cap_bps = cap_bps;
	c->failed.until_us = now_us + c->failed.wait_us;
}

/* What was raised has stood. */
static void proven(struct voice_ctl *c)
{
	c->raised.trial = false;
	if (voice_cost_now(c) >= c->failed.bps)
		c->failed.bps = 0;
}

/* What was before the raise has been borne. */
static void take_back(struct voice_ctl *c)
{
	c->now.rung = c->raised.rung;
	c->protect = c->raised.protect;
	c->since_us = c->raised.since_us;
	if (c->cap_bps < voice_cost_now(c))
		c->cap_bps = voice_cost_now(c);
}

/* A rung that fits, and lets what has gathered drain. */
static void lower(struct voice_ctl *c, uint64_t now_us, uint32_t cap_bps)
{
	uint64_t queue_us = voice_queue_now_us(c, now_us, voice_cost_now(c), cap_bps);
	uint32_t bps = voice_fit_bps(c, now_us, cap_bps), drain_bps;

	if (queue_us > DRAIN_US)
		queue_us = DRAIN_US;
	drain_bps = (uint32_t)(cap_bps * (2 * DRAIN_US - queue_us) / (2 * DRAIN_US));
	if (bps > drain_bps)
		bps = drain_bps;
	c->cap_bps = cap_bps;
	c->protect = (uint8_t)voice_affordable(c, now_us, bps);
	c->now.rung = (uint8_t)voice_richest(c, bps, c->protect, c->now.rung);
	changed(c, now_us);
}

/* Was it too much from the start, or has the link become less? Of what was borne before the
 * last raise, not even a part gets through then. */
static void account(struct voice_ctl *c, uint64_t now_us, uint32_t cap_bps, bool trial)
{
	uint32_t borne_bps = voice_cost(c, c->raised.rung, c->raised.protect);

	if (now_us < c->raised.at_us + STOOD_US &&
	    cap_bps >= borne_bps / 4 * (trial ? 2 : 3)) {
		failed(c, now_us, cap_bps);
		return;
	}
	c->failed.bps = 0;
	if (cap_bps > voice_cost_now(c) / 6 * 5) {
		/* It has been near the limit, and stumbled: once in a while is enough. */
		c->failed.bps = voice_cost_now(c);
		c->failed.cap_bps = cap_bps;
		c->failed.until_us = c->raised.at_us + STUMBLE_US;
	} else {
		c->failed.wait_us = 0;
	}
	/* It may be back any moment. */
	if (c->now.rung > c->low)
		c->since_us = now_us;
}

/* In good time, at bps. */
static bool drains(uint32_t bps, uint32_t cap_bps, uint64_t queue_us)
{
	return cap_bps > bps && queue_us * cap_bps / (cap_bps - bps) < 4 * DRAIN_US;
}

static void step_down(struct voice_ctl *c, uint64_t now_us, uint32_t cap_bps)
{
	uint64_t queue_us = voice_queue_now_us(c, now_us, voice_cost_now(c), cap_bps);
	bool trial = c->raised.trial;

	c->rtt_last_us = 0;
	c->raised.trial = false;
	account(c, now_us, cap_bps, trial);
	if (trial) {
		take_back(c);
		changed(c, now_us);
		if (drains(voice_cost_now(c), cap_bps, queue_us))
			return;
		c->since_us = now_us;
	}
	if (c->now.rung > c->low)
		remember(c, now_us);
	lower(c, now_us, cap_bps);
}

/* By one sample: at once, and without consequences until others say the same. */
static void doubt(struct voice_ctl *c, uint64_t now_us)
{
	voice_doubt_begin(c, now_us);
	c->doubt.rung = c->now.rung;
	c->doubt.protect = c->protect;
	c->doubt.cap_bps = c->cap_bps;
	lower(c, now_us, voice_queue_rate_bps(c, now_us, voice_cost_now(c)));
}

static void doubt_resolve(struct voice_ctl *c, uint64_t now_us)
{
	enum voice_queue queue = voice_doubt_judge(c, now_us);
	uint32_t cap_bps = c->cap_bps, grown_bps;

	if (queue == VOICE_QUEUE_LATE)
		return;
	c->doubt.until_us = 0;
	c->now.rung = c->doubt.rung;
	c->protect = c->doubt.protect;
	c->cap_bps = c->doubt.cap_bps;
	grown_bps = voice_doubt_rate_bps(c, now_us, voice_cost_now(c));
	changed(c, now_us);
	if (queue == VOICE_QUEUE_GROWS)
		step_down(c, now_us, cap_bps < grown_bps ? cap_bps : grown_bps);
}

/* True: it was too much, and something has been done. */
static bool relieve(struct voice_ctl *c, uint64_t now_us)
{
	uint32_t now_bps = voice_cost_now(c), cap_bps;
	enum voice_queue queue = voice_queue_judge(c, now_us);
	bool least = c->now.rung == c->low && !c->protect;

	if (c->doubt.until_us) {
		doubt_resolve(c, now_us);
		return true;
	}
	if (c->probe.red && voice_probe_burst(c)) {
		step_down(c, now_us, voice_cost(c, c->low, 0));
		return true;
	}
	if (queue == VOICE_QUEUE_NONE) {
		if (least || !too_much(c, now_us))
			return false;
		/* A round trip alone tells little of how much it is. */
		cap_bps = now_bps / 256 * (256 - voice_loss_q8(c, now_us));
		step_down(c, now_us, c->way.known ? cap_bps : cap_bps / 3 * 2);
		return true;
	}
	cap_bps = voice_queue_rate_bps(c, now_us, now_bps);
	if (queue == VOICE_QUEUE_LATE) {
		doubt(c, now_us);
	} else if (least && cap_bps >= now_bps / 11 * 10) {
		/* Nothing less can be sent, and still it neither grows nor drains. */
		voice_queue_none(c);
		changed(c, now_us);
	} else {
		step_down(c, now_us, cap_bps);
	}
	return true;
}

/* ---- more -------------------------------------------------------------------------- */

void voice_better(struct voice_ctl *c, uint64_t now_us)
{
	c->since_us = now_us;
	c->failed.bps = 0;
	c->failed.wait_us = 0;
}

static bool had_more(const struct voice_ctl *c, uint64_t now_us)
{
	return c->before_us && now_us < c->before_us && c->before > c->now.rung;
}

/* What would be better: redundancy that is wanted, the rung before the drop, or the next. */
static uint32_t goal_bps(const struct voice_ctl *c, uint64_t now_us)
{
	if (voice_wanted(c) > c->protect)
		return voice_cost(c, voice_knee(c, now_us), c->protect + 1u);
	if (had_more(c, now_us))
		return voice_cost(c, c->before, c->protect);
	return voice_cost(c, voice_next(c), c->protect);
}

/* Redundancy for a probe that can show that, or at least the next rung; 0: none can. */
static unsigned probe_red(const struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = c->protect + 1u, most = c->params.red_max;
	uint32_t next_bps = voice_cost(c, voice_next(c), c->protect);

	/* Without a round trip its samples cannot be told from those before, and of copies there
	 * are none. */
	if (c->params.copies || !c->rtt_us || most <= c->protect ||
	    voice_queue_level_us(c, now_us) < 0 ||
	    voice_next_fit_bps(voice_cost(c, c->now.rung, most)) < next_bps)
		return 0;
	while (red < most && voice_fit_bps(c, now_us, voice_cost(c, c->now.rung, red)) <
				     goal_bps(c, now_us))
		red++;
	return red;
}

static uint64_t within(uint64_t us, uint64_t least_us, uint64_t most_us)
{
	return us < least_us ? least_us : us > most_us ? most_us : us;
}

/* How long to wait before what is sent now is tried to be more. */
static uint64_t wait_us(const struct voice_ctl *c, uint64_t now_us, bool probe)
{
	uint64_t so_us = now_us - c->since_us;
	uint64_t long_us = so_us > SHORT_US ? so_us - SHORT_US : 0;
	uint64_t us;

	if (!probe)
		return within(so_us / 4, c->way.known ? REAL_MIN_US : REPORTS_US,
			      WAIT_MAX_US);
	us = so_us / 8 + long_us / 4;
	if (c->now.rung >= GOOD && us < WAIT_GOOD_US)
		us = us < WAIT_GOOD_US / 2 ? 2 * us : WAIT_GOOD_US;
	return within(us, WAIT_MIN_US, WAIT_MAX_US);
}

static void probe_judge(struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = c->protect + c->probe.red, to;
	bool all;
	uint32_t bps = voice_probe_rate_bps(c, now_us, voice_cost(c, c->now.rung, red),
					    voice_cost_now(c), &all);

	changed(c, now_us);
	c->changed_us = c->probe.end_us;
	if (!bps) {
		/* It has shown nothing: soon again. */
		c->tried_us = now_us + WAIT_MIN_US - wait_us(c, now_us, true);
		return;
	}
	if (c->cap_bps || !all)
		c->cap_bps = bps;
	red = voice_affordable(c, now_us, voice_fit_bps(c, now_us, bps));
	to = voice_richest(c, voice_fit_bps(c, now_us, bps), red, c->high);
	if (all && to <= c->now.rung)
		to = voice_richest(c, voice_next_fit_bps(bps), red, voice_next(c));
	/* What was borne lately needs less of a proof. */
	if (all && had_more(c, now_us) && to < c->before)
		to = voice_richest(c, bps / 4 * 5, red, c->before);
	/* It has become better than when that failed. */
	if (voice_fit_bps(c, now_us, bps) > c->failed.bps / 4 * 5 ||
	    bps > c->failed.cap_bps / 3 * 4)
		c->failed.bps = 0;
	while (to > c->now.rung && !may_send(c, now_us, to, red))
		to--;
	if (red < c->protect || (red == c->protect && to <= c->now.rung))
		return;
	send_more(c, now_us, to, red);
	if (c->raised.loss_q8 > c->probe.loss_q8 &&
	    voice_loss_long_q8(c, now_us) < c->raised.loss_q8)
		c->raised.loss_q8 = c->probe.loss_q8;
}

static void climb(struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = probe_red(c, now_us);

	/* Who pauses shows nothing; and to be asked to send otherwise costs more than silence. */
	if (voice_pauses(c, now_us))
		return;
	/* What is on trial is not tried any further; but at first, and after a drop. */
	if (c->raised.trial && (!red || (c->cap_bps && !had_more(c, now_us))))
		return;
	if (now_us < c->tried_us + wait_us(c, now_us, red) || c->queueing)
		return;
	if (red)
		voice_probe_begin(c, now_us, red - c->protect,
				  voice_cost(c, c->now.rung, red), voice_cost_now(c));
	else if (may_send(c, now_us, voice_next(c), c->protect))
		send_more(c, now_us, voice_next(c), c->protect);
}

static void probe_end(struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = c->protect + c->probe.red;

	c->probe.end_us = now_us;
	if (c->params.page ||
	    voice_probe_sent(c, now_us, voice_cost(c, c->now.rung, red)))
		return;
	/* Who speaks has paused meanwhile: no need to wait for what it shows. */
	changed(c, now_us);
	c->tried_us = now_us + WAIT_MIN_US / 2 - wait_us(c, now_us, true);
}

static void try(struct voice_ctl *c, uint64_t now_us)
{
	if (!c->probe.red && c->now.rung < c->high)
		climb(c, now_us);
	else if (c->probe.red && !c->probe.end_us && now_us >= c->probe.until_us)
		probe_end(c, now_us);
	else if (c->probe.red && voice_probe_over(c, now_us))
		probe_judge(c, now_us);
}

/* ---- the rest ---------------------------------------------------------------------- */

static void set_rest(struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = c->protect, packet_ms = voice_rungs[c->now.rung].packet_ms;
	unsigned ms;

	if (c->probe.red && !c->probe.end_us)
		red += c->probe.red;
	c->now.red = (uint8_t)red;
	c->now.nacks = c->params.nack ? c->tries : 0;
	if (c->queued_us && now_us < c->queued_us + MEASURE_US)
		c->measure_us = c->queued_us + MEASURE_US;
	c->now.measure_ms = c->probe.red || now_us < c->measure_us ? 0
			    : c->now.rung >= GOOD		   ? MEASURE_GOOD_MS
								   : MEASURE_MS;
	if (!c->lossy) {
		c->now.jitter_ms = 0;
		return;
	}
	/* What repeats and redundancy bring must still come in time. Coarse: each change moves
	 * the receiver's clock. */
	ms = (c->protect + 1u) * packet_ms + 60 +
	     c->now.nacks * (unsigned)(c->rtt_us / 1000);
	/* The first of a burst is missed when the first after it has come. */
	if (c->now.nacks && c->burst_q8 > 256)
		ms += (c->burst_q8 - 256) * packet_ms / 256;
	if (ms > c->now.jitter_ms || ms + 200 < c->now.jitter_ms)
		c->now.jitter_ms = (uint16_t)((ms + 99) / 100 * 100);
}

static bool silent(const struct voice_ctl *c, uint64_t now_us)
{
	return c->due && now_us >= c->due_us + AWAY_US + c->rtt_us + 2 * c->gap_us;
}

static void go_away(struct voice_ctl *c)
{
	if (c->away)
		return;
	c->away = true;
	c->away_rung = c->now.rung;
	c->probe.red = 0;
	c->raised.trial = false;
	c->doubt.until_us = 0;
	if (!c->params.page)
		c->now.rung = (uint8_t)voice_clamp(c, VOICE_FLOOR);
}

/* As it was; if that is too much now the queue will say so. */
static void come_back(struct voice_ctl *c, uint64_t now_us)
{
	c->away = false;
	c->now.rung = c->away_rung;
	c->measure_us = now_us + MEASURE_US;
	changed(c, now_us);
	c->sample_count = 0;
	if (!c->params.copies) /* reports may have been lost: it is the mean of some */
		c->loss_q8 = 0;
	c->sent_long = c->lost_long = 0;
	memset(c->buckets, 0, sizeof c->buckets);
	c->back_us = now_us;
	c->deaf_us = now_us + c->rtt_us + BACK_US;
}

/* Copies have none. */
static bool by_samples(const struct voice_ctl *c)
{
	return c->way.known && !(c->params.copies && c->protect);
}

bool voice_run(struct voice_ctl *c, uint64_t now_us, struct voice_choice *out)
{
	struct voice_choice before = c->now;

	voice_buckets_turn(c, now_us);
	c->queueing = voice_queue_level_us(c, now_us) > voice_queue_limit_us(c) / 2;
	if (c->raised.trial && now_us >= c->raised.at_us + 4 * c->rtt_us +
						 (by_samples(c) ? PROVEN_US : REPORTS_US))
		proven(c);
	if (silent(c, now_us)) {
		go_away(c);
	} else if (c->away) {
		come_back(c, now_us);
	} else if (!relieve(c, now_us)) {
		protect(c, now_us);
		try(c, now_us);
	}
	c->now.rung = (uint8_t)voice_clamp(c, c->now.rung);
	set_rest(c, now_us);
	*out = c->now;
	return memcmp(&before, &c->now, sizeof before) != 0;
}
