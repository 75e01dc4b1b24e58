/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Bytes by time: a running total at points in time, so that the rate over any window is the
 * difference of two of them. What arrives from a full link comes at the link's pace, so that a
 * window may begin and end at packets (libwebrtc's acknowledged bitrate has fixed windows of 150 ms,
 * in which a thin link has one packet or none).
 *
 * Limited by the application (libwebrtc's ALR): for a while less has been sent than may be. Then
 * nothing is known of what the link bears beyond that.
 */
#include "gcc_in.h"

static const int64_t WINDOW_US = 500000, WINDOW_MAX_US = 2500000;
static const int64_t STEP_US = 40000; /* points lie no closer: they last for 2.5 s */
/* Less than that of what may be sent; and it is over with more than that. */
static const double LIMITED = 0.80, UNLIMITED = 0.88;

static unsigned at(const struct gcc_rate *r, unsigned back)
{
	return (r->head + GCC_RATE_POINTS - 1 - back) % GCC_RATE_POINTS;
}

void gcc_rate_add(struct gcc_rate *r, int64_t at_us, unsigned bytes)
{
	unsigned last = at(r, 0), before = at(r, 1);

	r->total += bytes;
	/* The last point moves until it is far enough from the one before. */
	if (r->count >= 2 && r->points[last].at_us < r->points[before].at_us + STEP_US) {
		if (at_us > r->points[last].at_us)
			r->points[last].at_us = at_us;
		r->points[last].total = r->total;
		return;
	}
	if (r->count && at_us < r->points[last].at_us)
		at_us = r->points[last].at_us;
	r->points[r->head].at_us = at_us;
	r->points[r->head].total = r->total;
	r->head = (r->head + 1) % GCC_RATE_POINTS;
	if (r->count < GCC_RATE_POINTS)
		r->count++;
}

void gcc_rate_skip(struct gcc_rate *r, unsigned bytes)
{
	r->total += bytes;
}

/* The oldest point within the window before `end_us`. */
static unsigned begins(const struct gcc_rate *r, int64_t end_us, int64_t window_us)
{
	unsigned back = 0;

	while (back + 1 < r->count &&
	       r->points[at(r, back + 1)].at_us >= end_us - window_us)
		back++;
	return back;
}

double gcc_rate_bps(const struct gcc_rate *r, int64_t window_us)
{
	unsigned last = at(r, 0), first;
	int64_t span_us;

	if (!r->count)
		return 0;
	first = at(r, begins(r, r->points[last].at_us, window_us));
	span_us = r->points[last].at_us - r->points[first].at_us;
	/* Of a window's third or less: a burst, no rate. */
	if (span_us * 3 < window_us)
		return 0;
	return (double)(r->points[last].total - r->points[first].total) * 8e6 /
	       (double)span_us;
}

double gcc_rate_until_bps(const struct gcc_rate *r, int64_t now_us, int64_t window_us)
{
	unsigned first;
	int64_t span_us;

	if (!r->count || r->points[at(r, 0)].at_us < now_us - window_us)
		return 0;
	first = at(r, begins(r, now_us, window_us));
	span_us = now_us - r->points[first].at_us;
	if (span_us * 3 < window_us)
		return 0;
	return (double)(r->points[at(r, 0)].total - r->points[first].total) * 8e6 /
	       (double)span_us;
}

int64_t gcc_rate_window_us(const struct gcc *c)
{
	int64_t window_us = 5 * gcc_packet_us(c, c->bps);

	return window_us < WINDOW_US	   ? WINDOW_US
	       : window_us > WINDOW_MAX_US ? WINDOW_MAX_US
					   : window_us;
}

void gcc_rate_limited(struct gcc *c)
{
	int64_t window_us = gcc_rate_window_us(c) * 2;
	double bps;

	if (window_us > WINDOW_MAX_US)
		window_us = WINDOW_MAX_US;
	bps = gcc_rate_until_bps(&c->sent, (int64_t)c->now_us, window_us);
	if (!c->limited && bps < LIMITED * c->bps) {
		c->limited = true;
	} else if (bps > UNLIMITED * c->bps) {
		c->limited = false;
	}
}
