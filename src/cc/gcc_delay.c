/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Queues, by one-way delay on two clocks. Packets sent within 5 ms are one group (draft §5.2); a
 * group's delay is a point. Two things are seen in the points:
 *
 * - the trend, a line through those of a window of time (libwebrtc's trendline estimator): how much
 *   the delay has risen in it, against a threshold that adapts to the link's jitter (draft §5.4,
 *   gamma). It is soon, and sees a capacity that has fallen.
 * - the queue that stands: the lowest delay of a short window above the lowest of all of late (as
 *   CoDel, RFC 8289 §3.2, and as the minimum filters of BBR). On a thin link a single packet of
 *   video is a queue of 320 ms that comes and goes eight times in three seconds: no trend holds, yet
 *   in between it is empty if the rate is right. It sees a rate that is just a little too much.
 *
 * The receiver's clock may jump: a queue is believed as far as our own round trip has grown too.
 */
#include "gcc_in.h"

#include <string.h>

static const uint64_t GROUP_US = 5000, BURST_US = 100000;
static const int64_t JUMP_US = 10000000, BACK_US = 1000000;
static const int64_t WINDOW_US = 300000, WINDOW_MAX_US = 2000000;
static const int64_t STANDING_US = 160000;
/* What of the way is the link and what is a queue is known anew after one or two of these: a queue
 * of our own is emptied at every decrease, and one that others keep up is not ours to empty. */
static const uint64_t FLOOR_US = 15000000;
/* gamma: draft §5.4 has 12.5 ms, 6 to 600 */
static const double GAMMA_US = 12500, GAMMA_MIN_US = 8000, GAMMA_MAX_US = 100000;
/* per microsecond; libwebrtc's 0.0087 and 0.039 per ms */
static const double GAMMA_UP = 0.0087e-3, GAMMA_DOWN = 0.039e-3;
static const double GAMMA_OUTLIER_US = 15000;
static const int64_t OVER_US = 10000; /* for so long (draft §5.4: overuse_time_th) */
/* A queue that stands, without jitter: far less than anybody hears, far more than a clock's grain. */
static const int64_t LIMIT_US = 20000, LIMIT_JITTER_MAX_US = 40000;
/* More of it the less the rate: of two on a link the greater sees too much first, gives way, and the
 * smaller goes on. */
static const int64_t LIMIT_OCTAVE_US = 10000;
static const int64_t LIMIT_RTT_US = 1600000; /* at this round trip twice as much */
static const int64_t LIMIT_MORE_US = 45000;
static const double LIMIT_BPS = 10e6; /* none from there on */
enum { RISING = 3 };
static const int64_t JITTER_MAX_US = 100000;
static const int64_t RTT_SLACK_US = 10000;

void gcc_delay_init(struct gcc *c)
{
	memset(&c->delay, 0, sizeof c->delay);
	c->delay.gamma_us = GAMMA_US;
}

static unsigned at(const struct gcc *c, unsigned back)
{
	return (c->delay.head + GCC_POINTS - 1 - back) % GCC_POINTS;
}

static void point(struct gcc *c, int64_t at_us, int64_t way_us)
{
	c->delay.points[c->delay.head].at_us = at_us;
	c->delay.points[c->delay.head].way_us = way_us;
	c->delay.head = (c->delay.head + 1) % GCC_POINTS;
	if (c->delay.count < GCC_POINTS)
		c->delay.count++;
}

static void close_group(struct gcc *c)
{
	point(c, c->delay.group.at_us,
	      c->delay.group.at_us - (int64_t)c->delay.group.last_us);
}

bool gcc_delay_packet(struct gcc *c, uint64_t sent_us, int64_t arrival_us)
{
	int64_t way_us = arrival_us - (int64_t)sent_us, d;
	int64_t last_us = c->delay.group.at_us;
	uint64_t last_sent_us = c->delay.group.last_us;
	bool jumped;

	d = way_us - (last_us - (int64_t)last_sent_us);
	jumped = c->delay.grouped && (d > JUMP_US || arrival_us < last_us - BACK_US);
	if (jumped) {
		double gamma_us = c->delay.gamma_us;

		gcc_delay_init(c);
		c->delay.gamma_us = gamma_us;
		c->jumps++;
	}
	gcc_floor_update(&c->delay.floor, c->now_us, way_us, FLOOR_US);
	if (!c->delay.grouped) {
		c->delay.grouped = true;
	} else if (sent_us < last_sent_us || arrival_us < last_us) {
		return !jumped; /* overtaken: says nothing of a queue (draft §5.2) */
	} else if (sent_us - c->delay.group.first_us <= GROUP_US ||
		   (arrival_us - last_us <= (int64_t)GROUP_US && d < 0 &&
		    arrival_us - c->delay.group.first_at_us < (int64_t)BURST_US)) {
		/* Held back on the way and let go at once is one group as well. */
		c->delay.group.last_us = sent_us;
		c->delay.group.at_us = arrival_us;
		return !jumped;
	} else {
		close_group(c);
	}
	c->delay.group.first_us = c->delay.group.last_us = sent_us;
	c->delay.group.first_at_us = c->delay.group.at_us = arrival_us;
	return !jumped;
}

/* Least squares: how much the delay has risen from the window's begin to its end. */
static double rise(const struct gcc *c, int64_t window_us, unsigned *count)
{
	int64_t end_us = c->delay.points[at(c, 0)].at_us;
	int64_t zero_us = c->delay.points[at(c, 0)].way_us;
	double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, span = 0, det;

	for (unsigned i = 0; i < c->delay.count; i++) {
		double x = (double)(c->delay.points[at(c, i)].at_us - end_us);
		double y = (double)(c->delay.points[at(c, i)].way_us - zero_us);

		if (x < -(double)window_us)
			break;
		n++;
		sx += x;
		sy += y;
		sxx += x * x;
		sxy += x * y;
		span = -x;
	}
	*count = (unsigned)n;
	det = n * sxx - sx * sx;
	if (n < 4 || det < 1)
		return 0;
	return (n * sxy - sx * sy) / det * span;
}

static int64_t lowest(const struct gcc *c, int64_t window_us)
{
	int64_t end_us = c->delay.points[at(c, 0)].at_us;
	int64_t least_us = c->delay.points[at(c, 0)].way_us;

	for (unsigned i = 1; i < c->delay.count; i++) {
		if (i >= 3 && c->delay.points[at(c, i)].at_us < end_us - window_us)
			break;
		if (c->delay.points[at(c, i)].way_us < least_us)
			least_us = c->delay.points[at(c, i)].way_us;
	}
	return least_us;
}

static void adapt_gamma(struct gcc *c, double m, int64_t at_us)
{
	double past = m < 0 ? -m : m, k;
	double dt = (double)(at_us - c->delay.gamma_at_us);

	c->delay.gamma_at_us = at_us;
	if (past > c->delay.gamma_us + GAMMA_OUTLIER_US)
		return;
	if (dt > 100000)
		dt = 100000;
	k = past < c->delay.gamma_us ? GAMMA_DOWN : GAMMA_UP;
	c->delay.gamma_us += k * (past - c->delay.gamma_us) * dt;
	if (c->delay.gamma_us < GAMMA_MIN_US)
		c->delay.gamma_us = GAMMA_MIN_US;
	if (c->delay.gamma_us > GAMMA_MAX_US)
		c->delay.gamma_us = GAMMA_MAX_US;
}

int64_t gcc_delay_limit_us(const struct gcc *c)
{
	int64_t jitter_us = c->delay.jitter_us, more_us = 0, octave_us = LIMIT_OCTAVE_US;
	double bps = c->bps;

	/* What the greater gives way by takes a response to be seen by the smaller. */
	octave_us += octave_us * c->rtt_floor.base_us / LIMIT_RTT_US;
	for (; bps < LIMIT_BPS / 2; bps *= 2)
		more_us += octave_us;
	if (bps < LIMIT_BPS)
		more_us += (int64_t)((LIMIT_BPS / bps - 1) * (double)octave_us);
	if (jitter_us > LIMIT_JITTER_MAX_US)
		jitter_us = LIMIT_JITTER_MAX_US;
	/* Nobody to give way to. */
	if (gcc_aimd_alone(c) && more_us > LIMIT_MORE_US)
		more_us = LIMIT_MORE_US;
	return LIMIT_US + more_us + gcc_packet_us(c, c->bps) / 4 + jitter_us;
}

static void look(struct gcc *c, int64_t packet_us)
{
	int64_t base_us = c->delay.floor.base_us, believed_us, above_us;

	c->delay.queue_us = c->delay.points[at(c, 0)].way_us - base_us;
	c->delay.standing_us = lowest(c, STANDING_US + 2 * packet_us) - base_us;
	/* Jitter: what comes and goes; a packet's own time is no part of it. */
	above_us = c->delay.queue_us - c->delay.standing_us - packet_us;
	above_us = above_us < 0 ? 0 : above_us > JITTER_MAX_US ? JITTER_MAX_US : above_us;
	if (!c->aimd.draining)
		c->delay.jitter_us += (above_us - c->delay.jitter_us) / 16;
	believed_us = gcc_rtt_queue_us(c) + RTT_SLACK_US;
	if (c->delay.queue_us > believed_us)
		c->delay.queue_us = believed_us;
	if (c->delay.standing_us > believed_us)
		c->delay.standing_us = believed_us;
}

/* Each of the last few later than the one before, and all of them far too late: a link that has become
 * much less. What was held back and let go at once comes the less late the later it was sent. */
static bool rises(const struct gcc *c, int64_t packet_us)
{
	int64_t limit_us = gcc_delay_limit_us(c) * 3 / 4 + 2 * packet_us;
	int64_t first_us, last_us;

	if (c->delay.count < RISING)
		return false;
	for (unsigned i = 0; i + 1 < RISING; i++)
		if (c->delay.points[at(c, i)].way_us <
		    c->delay.points[at(c, i + 1)].way_us)
			return false;
	first_us = c->delay.points[at(c, 1)].way_us - c->delay.floor.base_us;
	last_us = c->delay.points[at(c, 0)].way_us - c->delay.floor.base_us;
	return last_us > limit_us && first_us > limit_us / 2 &&
	       c->delay.queue_us > limit_us;
}

void gcc_delay_judge(struct gcc *c)
{
	int64_t packet_us = gcc_packet_us(c, c->bps), window_us = 4 * packet_us, at_us;
	double m, gamma_us;
	unsigned count;

	c->delay.signal = GCC_NORMAL;
	if (!c->delay.count)
		return;
	window_us = window_us < WINDOW_US	? WINDOW_US
		    : window_us > WINDOW_MAX_US ? WINDOW_MAX_US
						: window_us;
	at_us = c->delay.points[at(c, 0)].at_us;
	look(c, packet_us);
	m = rise(c, window_us, &count);
	gamma_us = c->delay.gamma_us + (double)packet_us / 2 +
		   2 * (double)c->delay.jitter_us;
	if (m > gamma_us && c->delay.standing_us > gcc_delay_limit_us(c) / 2) {
		if (!c->delay.over++)
			c->delay.over_us = at_us;
		if (m >= c->delay.rise_before_us && c->delay.over > 1 &&
		    at_us >= c->delay.over_us + OVER_US)
			c->delay.signal = GCC_OVERUSE;
		/* So much at once is no jitter. */
		if (c->delay.queue_us > 3 * gcc_delay_limit_us(c) + packet_us)
			c->delay.signal = GCC_OVERUSE;
	} else {
		c->delay.over = 0;
		if (m < -gamma_us)
			c->delay.signal = GCC_UNDERUSE;
	}
	if (c->delay.standing_us > gcc_delay_limit_us(c) &&
	    c->delay.signal != GCC_UNDERUSE)
		c->delay.signal = GCC_OVERUSE;
	if (rises(c, packet_us))
		c->delay.signal = GCC_OVERUSE;
	adapt_gamma(c, m, at_us);
	c->delay.rise_us = c->delay.rise_before_us = m;
}

void gcc_delay_rebase(struct gcc *c)
{
	int64_t least_us = c->delay.count ? lowest(c, STANDING_US) : 0;

	c->delay.floor.base_us = c->delay.floor.next_us = least_us;
	c->rtt_floor.base_us = c->rtt_floor.next_us = (int64_t)c->rtt_last_us;
}
