/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The bandwidth estimator's memory of packets, and what feedback says of them. A packet's number
 * finds it in a ring; what is older than the ring, was never sent, or has been told of already is
 * counted and passed over, so that feedback cannot do more than say what became of our packets.
 *
 * In flight is what was sent after the newest packet that feedback has mentioned: a feedback that is
 * lost leaves nothing behind.
 */
#include "gcc_in.h"

#include <errno.h>
#include <string.h>

static const uint64_t RTT_FLOOR_US = 15000000;
static const uint64_t WINDOW_SLACK_US = 150000; /* design: lowest round trip + 150 ms */
static const uint64_t INTERVAL_US = 100000, INTERVAL_MAX_US = 250000;
static const uint64_t PATIENCE_US = 1000000; /* for feedback, and two round trips */
static const uint64_t LARGE_US =
	8000000; /* the largest packet is remembered for so long */
static const uint64_t REMB_US = 10000000;
static const double PACING = 1.15;
enum { PACKET_BYTES = 300, PACKET_MAX = 1500, RTT_MAX_US = 10000000 };

void gcc_init(struct gcc *c, const struct gcc_params *params, uint64_t now_us)
{
	memset(c, 0, sizeof *c);
	c->params = *params;
	if (c->params.min_bps < 1000)
		c->params.min_bps = 1000;
	if (c->params.max_bps < c->params.min_bps)
		c->params.max_bps = c->params.min_bps;
	c->now_us = c->heard_us = c->packet_us = now_us;
	c->interval_us = INTERVAL_US;
	c->packet_bytes = PACKET_BYTES;
	c->delay_bps = params->start_bps;
	gcc_delay_init(c);
	gcc_aimd_init(c);
	gcc_probe_init(c);
	(void)gcc_settle(c);
}

void gcc_wanted(struct gcc *c, uint32_t bps)
{
	c->wanted_bps = bps;
}

void gcc_floor_update(struct gcc_floor *f, uint64_t now_us, int64_t value_us,
		      uint64_t window_us)
{
	bool turned = f->known && now_us >= f->window_us + window_us;

	if (!f->known || turned) {
		/* Two windows long ago nothing was heard: the older one says nothing of now. */
		f->base_us = turned && now_us < f->window_us + 2 * window_us ? f->next_us
									     : value_us;
		f->next_us = value_us;
		f->window_us = now_us;
		f->known = true;
	}
	if (value_us < f->next_us)
		f->next_us = value_us;
	if (value_us < f->base_us)
		f->base_us = value_us;
}

int64_t gcc_packet_us(const struct gcc *c, double bps)
{
	return (int64_t)(c->packet_bytes * 8e6 / bps);
}

uint64_t gcc_response_us(const struct gcc *c)
{
	return c->rtt_us + c->interval_us;
}

int64_t gcc_rtt_queue_us(const struct gcc *c)
{
	return c->rtt_floor.known ? (int64_t)c->rtt_last_us - c->rtt_floor.base_us : 0;
}

bool gcc_settle(struct gcc *c)
{
	double bps = c->delay_bps, before = c->bps;

	if (c->remb_bps > 0 && c->now_us > c->remb_us + REMB_US)
		c->remb_bps = 0;
	if (c->loss_bps > 0 && bps > c->loss_bps)
		bps = c->loss_bps;
	if (c->remb_bps > 0 && bps > c->remb_bps)
		bps = c->remb_bps;
	if (bps > c->params.max_bps)
		bps = c->params.max_bps;
	if (bps < c->params.min_bps)
		bps = c->params.min_bps;
	/* What holds it down now is not outgrown by the delay's part. */
	if (c->delay_bps > bps * 1.5)
		c->delay_bps = bps * 1.5;
	if (c->delay_bps < c->params.min_bps)
		c->delay_bps = c->params.min_bps;
	c->bps = bps;
	return (uint32_t)bps != (uint32_t)before;
}

/* ---- what is sent ------------------------------------------------------------------ */

static struct gcc_packet *packet(struct gcc *c, uint64_t number)
{
	struct gcc_packet *p = &c->packets[number % GCC_PACKETS];

	return p->bytes && p->number == (uint32_t)number && c->last - number < GCC_PACKETS
		       ? p
		       : NULL;
}

/* Up to that number nothing is in flight any more. */
static void land(struct gcc *c, uint64_t number)
{
	if (number <= c->acked || !c->any)
		return;
	if (number - c->acked > GCC_PACKETS)
		c->acked = number - GCC_PACKETS;
	while (c->acked < number) {
		struct gcc_packet *p = packet(c, ++c->acked);

		if (p)
			c->in_flight_bytes -= p->bytes;
	}
}

int gcc_sent(struct gcc *c, uint64_t now_us, uint64_t number, unsigned bytes,
	     enum gcc_kind kind)
{
	struct gcc_packet *p = &c->packets[number % GCC_PACKETS];

	if (!bytes || bytes > UINT16_MAX || number <= c->last || kind >= GCC_KINDS)
		return -EINVAL;
	if (!c->any || number - c->last >= GCC_PACKETS) {
		c->in_flight_bytes = 0;
		c->acked = number - 1;
	} else if (number - c->acked > GCC_PACKETS) {
		land(c, number - GCC_PACKETS);
	}
	if (!c->in_flight_bytes)
		c->timeout_us = now_us;
	c->any = true;
	c->last = number;
	p->sent_us = now_us;
	p->number = (uint32_t)number;
	p->bytes = (uint16_t)bytes;
	p->kind = (uint8_t)kind;
	p->state = GCC_UNKNOWN;
	c->in_flight_bytes += bytes;
	c->sent_bytes[kind] += bytes;
	if (bytes >= c->packet_bytes || now_us > c->packet_us + LARGE_US) {
		c->packet_bytes = bytes > PACKET_MAX ? PACKET_MAX : bytes;
		c->packet_us = now_us;
	}
	gcc_rate_add(&c->sent, (int64_t)now_us, bytes);
	gcc_probe_sent(c, number, bytes);
	c->loss.sent++;
	return 0;
}

/* ---- feedback ---------------------------------------------------------------------- */

void gcc_feedback_begin(struct gcc *c, uint64_t now_us)
{
	uint64_t past_us = now_us - c->heard_us;

	/* One that was lost, or a pause, is no interval. */
	if (now_us > c->heard_us && past_us < 3 * c->interval_us)
		c->interval_us = (c->interval_us * 7 + past_us) / 8;
	c->heard_us = now_us;
	if (c->interval_us > INTERVAL_MAX_US)
		c->interval_us = INTERVAL_MAX_US;
	c->now_us = now_us > c->now_us ? now_us : c->now_us;
	c->fresh = false;
	c->newest_us = 0;
}

static enum gcc_verdict ignore(struct gcc *c, enum gcc_verdict why)
{
	c->ignored[why]++;
	return why;
}

/* An arrival that our own clock allows for: the receiver's is anywhere, but the numbers of 24 bits
 * times 64 ms in transport-cc end somewhere (draft-holmer-rmcat-transport-wide-cc-extensions-01
 * §3.1); ten times that. */
static bool time_is_sane(int64_t arrival_us)
{
	return arrival_us > -((int64_t)1 << 44) && arrival_us < (int64_t)1 << 44;
}

/* What lies between the last that was told of and this one was told of in a feedback that got lost:
 * to the rate of what arrives it counts as arrived, or each lost feedback would halve it. */
static void assume(struct gcc *c, uint64_t number)
{
	uint64_t first = c->acked + 1;

	if (number > first + GCC_PACKETS)
		first = number - GCC_PACKETS;
	for (; first < number; first++) {
		struct gcc_packet *p = packet(c, first);

		if (!p || p->state != GCC_UNKNOWN)
			continue;
		p->state = GCC_ASSUMED;
		gcc_rate_skip(&c->arrived, p->bytes);
		gcc_probe_assume(c, p);
	}
}

static enum gcc_verdict arrived(struct gcc *c, struct gcc_packet *p, int64_t arrival_us)
{
	bool counted = p->state != GCC_UNKNOWN;

	if (p->state == GCC_LOST)
		gcc_loss_undo(c);
	else
		gcc_loss_status(c, p, true);
	p->state = GCC_ARRIVED;
	if (!time_is_sane(arrival_us))
		return ignore(c, GCC_BAD_TIME);
	if (!gcc_delay_packet(c, p->sent_us, arrival_us))
		memset(&c->arrived, 0, sizeof c->arrived);
	gcc_rate_add(&c->arrived, arrival_us, counted ? 0 : p->bytes);
	gcc_probe_status(c, p, true, arrival_us);
	if (p->sent_us > c->newest_us)
		c->newest_us = p->sent_us;
	return GCC_USED;
}

enum gcc_verdict gcc_feedback(struct gcc *c, uint16_t seq, bool received,
			      int64_t arrival_us)
{
	/* The number with these low bits that lies closest to the last sent. */
	int16_t ahead = (int16_t)(seq - (uint16_t)c->last);
	uint64_t number = c->last + (uint64_t)(int64_t)ahead;
	struct gcc_packet *p;

	if (!c->any || ahead > 0)
		return ignore(c, GCC_NEVER_SENT);
	p = packet(c, number);
	if (!p)
		return ignore(c, GCC_FORGOTTEN);
	if (p->state == GCC_ARRIVED || (p->state == GCC_LOST && !received))
		return ignore(c, GCC_DUPLICATE);
	assume(c, number);
	land(c, number);
	c->fresh = true;
	if (received)
		return arrived(c, p, arrival_us);
	/* What the radio loses has been carried nevertheless. */
	if (p->state == GCC_UNKNOWN && c->loss.recent > 0)
		gcc_rate_skip(
			&c->arrived,
			c->loss.inherent < c->loss.recent
				? (unsigned)(p->bytes * c->loss.inherent / c->loss.recent)
				: p->bytes);
	p->state = GCC_LOST;
	gcc_loss_status(c, p, false);
	gcc_probe_status(c, p, false, 0);
	return GCC_USED;
}

static void rtt(struct gcc *c, uint64_t rtt_us)
{
	if (rtt_us > RTT_MAX_US)
		rtt_us = RTT_MAX_US;
	c->rtt_last_us = rtt_us;
	c->rtt_us = c->rtt_us ? (c->rtt_us * 7 + rtt_us) / 8 : rtt_us;
	gcc_floor_update(&c->rtt_floor, c->now_us, (int64_t)rtt_us, RTT_FLOOR_US);
}

bool gcc_feedback_end(struct gcc *c)
{
	if (!c->fresh)
		return false;
	c->timeout_us = c->now_us;
	gcc_rate_limited(c);
	if (c->newest_us) {
		if (c->now_us > c->newest_us)
			rtt(c, c->now_us - c->newest_us);
		gcc_delay_judge(c);
	} else {
		c->delay.signal = GCC_NORMAL;
	}
	gcc_probe_judge(c);
	gcc_loss_update(c);
	gcc_aimd_update(c, c->delay.signal);
	return gcc_settle(c);
}

/* Nothing comes back though something is out: what was sent is written off, so that a packet may
 * show whether there is a link, and less is sent each time (libwebrtc: feedback timeout, x 0.8). */
bool gcc_run(struct gcc *c, uint64_t now_us)
{
	uint64_t patience_us = PATIENCE_US + 2 * c->rtt_us;

	if (now_us > c->now_us + 3 * c->interval_us)
		c->now_us = now_us - c->interval_us; /* no feedback: the clock goes on */
	if (c->params.blind) {
		land(c, c->last);
	} else if (c->in_flight_bytes && now_us > c->timeout_us + patience_us) {
		land(c, c->last);
		c->timeout_us = now_us;
		gcc_aimd_timeout(c);
	}
	gcc_probe_judge(c);
	return gcc_settle(c);
}

/* ---- what comes out ---------------------------------------------------------------- */

uint32_t gcc_bps(const struct gcc *c)
{
	return (uint32_t)c->bps;
}

uint32_t gcc_pacing_bps(const struct gcc *c)
{
	return (uint32_t)(c->bps * PACING);
}

uint32_t gcc_window_bytes(const struct gcc *c)
{
	uint64_t packet_us = (uint64_t)gcc_packet_us(c, c->bps);
	uint64_t slack_us = (uint64_t)gcc_delay_limit_us(c) + 2 * packet_us;
	double bytes;

	if (slack_us > WINDOW_SLACK_US + packet_us)
		slack_us = WINDOW_SLACK_US + packet_us;
	slack_us += c->interval_us + (c->rtt_floor.known ? (uint64_t)c->rtt_floor.base_us
							 : WINDOW_SLACK_US);
	bytes = c->bps * (double)slack_us / 8e6;

	return bytes < c->packet_bytes ? c->packet_bytes : (uint32_t)bytes;
}

bool gcc_may_send(const struct gcc *c, unsigned bytes)
{
	return c->params.blind || !c->in_flight_bytes ||
	       c->in_flight_bytes + bytes <= gcc_window_bytes(c);
}

uint64_t gcc_queue_us(const struct gcc *c)
{
	return c->delay.standing_us > 0 ? (uint64_t)c->delay.standing_us : 0;
}

unsigned gcc_loss_q8(const struct gcc *c)
{
	return (unsigned)(c->loss.recent * 255);
}
