/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Other clocks against ours: a stream's timestamps, and a sender's wall clock. Its offset is
 * the smallest difference seen in the last two to four minutes: the SR that waited least in queues is the best witness; forgetting
 * old ones follows drift (100 ppm are 24 ms in four minutes).
 */
#include <palabre/rtp.h>

static const uint64_t TRANSIT_WINDOW_US = UINT64_C(2) * 1000000;
/* What was known before a pause holds after it, when the first is often late: clocks drift by 10 ms in that time. */
static const uint64_t TRANSIT_KEPT_US = UINT64_C(120) * 1000000;
enum { TRANSIT_PKTS = 30 }; /* fewer may all have been late */
static const uint64_t WINDOW_US = UINT64_C(120) * 1000000;
/* Beyond what a queue can delay: somebody has set the clock. */
static const int64_t STEP_US = INT64_C(30) * 1000000;

int64_t rtp_transit_put(struct rtp_transit *t, uint64_t arrival_us, int64_t transit)
{
	if (!t->since_us || arrival_us > t->last_us + TRANSIT_KEPT_US) {
		t->least = t->pending = transit;
		t->since_us = arrival_us;
		t->count = 0;
	} else if (t->count >= TRANSIT_PKTS &&
		   arrival_us > t->since_us + TRANSIT_WINDOW_US) {
		t->least = t->pending;
		t->pending = transit;
		t->since_us = arrival_us;
		t->count = 0;
	}
	t->last_us = arrival_us;
	t->count++;
	if (transit < t->pending)
		t->pending = transit;
	if (transit < t->least)
		t->least = transit;
	return t->least;
}

void rtp_clock_sr(struct rtp_clock *c, uint64_t ntp, uint64_t arrival_us)
{
	int64_t diff;

	if (!ntp)
		return;
	diff = (int64_t)arrival_us - (int64_t)ntp_to_wall_us(ntp);
	if (!c->known || diff - c->offset_us > STEP_US) {
		c->known = true;
		c->offset_us = diff;
		c->pending_us = diff;
		c->window_us = arrival_us;
		return;
	}
	if (diff < c->pending_us)
		c->pending_us = diff;
	if (diff < c->offset_us)
		c->offset_us = diff;
	if (arrival_us > c->window_us && arrival_us - c->window_us >= WINDOW_US) {
		c->offset_us = c->pending_us;
		c->pending_us = diff;
		c->window_us = arrival_us;
	}
}

bool rtp_capture_us(const struct rtp_recv *r, const struct rtp_clock *c, uint64_t ts64,
		    uint64_t *out)
{
	/* 2^40 ticks are 140 days at 90 kHz; times 10^6 still fits. */
	const int64_t far_ticks = INT64_C(1) << 40;
	int64_t ticks = (int64_t)(ts64 - r->sr_ts64);
	int64_t at;

	if (!c->known || !r->sr_wall_us || ticks > far_ticks || ticks < -far_ticks)
		return false;
	at = (int64_t)r->sr_wall_us + ticks * 1000000 / (int64_t)r->clock_rate +
	     c->offset_us;
	if (at <= 0)
		return false;
	*out = (uint64_t)at;
	return true;
}
