/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A probe: for a moment each packet carries more redundancy, which nobody hears; the queue that
 * makes tells what the link bears. It is as long as that takes and no longer: on a link that is
 * too small for it, it delays the voice by its own queue.
 */
#include "voice_in.h"

#include <string.h>

/* Three long packets show a queue of 1/8 of what they take, 45 ms. Jitter hides it: longer. */
static const uint64_t PROBE_US = 360000;
/* Less is none: a fraction of what jitter has been seen comes on top. */
static const int64_t PROBE_FLAT_US = 30000;
/* Tells enough, where a queue is to be expected. */
static const uint64_t PROBE_QUEUE_US = 200000;
static const int64_t PROBE_MOST_US = 200000;	   /* and double what is to be expected */
static const uint64_t PROBE_PATIENCE_US = 1500000; /* for samples that do not come */
static const uint64_t PAGE_US = 120000;		   /* until a page has obeyed */
enum { PROBE_MEAN_MS = 100 /* jitter within that is not looked at */ };

void voice_probe_see(struct voice_ctl *c, uint64_t now_us, int64_t queue_us)
{
	uint64_t at_us = voice_decided_us(c, now_us, queue_us);
	int64_t part = PROBE_MEAN_MS / voice_rungs[c->now.rung].packet_ms;

	if (at_us < c->probe.begin_us)
		return;
	c->probe.seen++;
	c->probe.mean_us += (queue_us - c->probe.mean_us) / (part < 2 ? 2 : part);
	if (c->probe.mean_us > c->probe.top_us)
		c->probe.top_us = c->probe.mean_us;
	c->probe.seen_us = at_us;
	if (c->probe.end_us && at_us >= c->probe.end_us + c->rtt_us / 4 + VOICE_SLACK_US +
						(c->params.page ? PAGE_US : 0))
		c->probe.over = true;
}

/* Of a probe, before its first packet: of what a page sends, one more is as usual. */
static uint64_t probe_begins_us(const struct voice_ctl *c)
{
	return c->params.page ? 1000u * voice_rungs[c->now.rung].packet_ms : 0;
}

/* As much queue as can be told from jitter, and no more where it is to be expected. */
static uint64_t probe_length_us(const struct voice_ctl *c, uint32_t bps)
{
	uint64_t length_us = PROBE_US + 8 * (uint64_t)c->noise_us;
	uint64_t least_us = 3000u * voice_rungs[c->now.rung].packet_ms, enough_us;

	if (!c->cap_bps || bps <= c->cap_bps)
		return length_us;
	enough_us = (PROBE_QUEUE_US + 4 * (uint64_t)c->noise_us) * c->cap_bps /
		    (bps - c->cap_bps);
	if (enough_us < least_us)
		enough_us = least_us;
	return enough_us < length_us ? enough_us : length_us;
}

void voice_probe_begin(struct voice_ctl *c, uint64_t now_us, unsigned red, uint32_t bps,
		       uint32_t usual_bps)
{
	uint32_t least_bps = c->cap_bps > bps ? bps : c->cap_bps ? c->cap_bps : usual_bps;

	memset(&c->probe, 0, sizeof c->probe);
	c->probe.red = (uint8_t)red;
	c->probe.begin_us = now_us;
	c->probe.loss_q8 = voice_loss_long_q8(c, now_us);
	if (c->probe.loss_q8 > voice_loss_q8(c, now_us))
		c->probe.loss_q8 = voice_loss_q8(c, now_us);
	c->probe.until_us = now_us + probe_begins_us(c) + probe_length_us(c, bps);
	c->probe.level_us = voice_queue_level_us(c, now_us);
	c->probe.top_us = c->probe.mean_us = c->probe.level_us;
	c->probe.most_us = c->probe.level_us + PROBE_MOST_US + 4 * c->noise_us +
			   2 * (int64_t)((c->probe.until_us - now_us) *
					 (bps - least_bps) / least_bps);
}

bool voice_probe_burst(const struct voice_ctl *c)
{
	return c->probe.top_us > c->probe.most_us &&
	       c->probe.mean_us > c->probe.top_us * 7 / 8;
}

bool voice_probe_over(const struct voice_ctl *c, uint64_t now_us)
{
	return c->probe.over ||
	       (c->probe.end_us &&
		now_us >= c->probe.end_us + c->rtt_us * 3 / 2 + PROBE_PATIENCE_US);
}

bool voice_probe_sent(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	return c->probe.bytes * 4ull >= (now_us - c->probe.begin_us) * bps / 8000000 * 3;
}

/* It was sent: who pauses sends next to nothing. */
static bool probe_sent(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
		       uint32_t usual_bps)
{
	uint64_t sent_us = c->probe.end_us - c->probe.begin_us - probe_begins_us(c);
	uint64_t usual_us = now_us - c->probe.begin_us - sent_us;
	uint64_t bytes = (sent_us * bps + usual_us * usual_bps) / 8000000;

	return c->probe.bytes * 4ull >= bytes * 3 * (256 - c->probe.loss_q8) / 256 &&
	       c->probe.seen >= 3;
}

/* How much of it is missing that usually is not, of 256. */
static unsigned probe_missing_q8(const struct voice_ctl *c)
{
	uint64_t packet_us = 1000u * voice_rungs[c->now.rung].packet_ms;
	uint64_t sent = (c->probe.end_us - c->probe.begin_us) / packet_us;
	uint64_t come = 256 - c->probe.loss_q8; /* and so much of the feedback */
	uint64_t due = (c->probe.seen_us - c->probe.begin_us) / packet_us * come / 256 *
		       come / 256;
	uint64_t missing = due > c->probe.seen + 1 ? due - c->probe.seen - 1 : 0;

	if (missing * 4 <= sent)
		return 0;
	return missing < sent ? (unsigned)(missing * 256 / sent) : 255;
}

uint32_t voice_probe_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			      uint32_t usual_bps, bool *all)
{
	uint64_t end_us =
		c->probe.seen_us < c->probe.end_us ? c->probe.seen_us : c->probe.end_us;
	uint64_t begin_us = c->probe.begin_us + probe_begins_us(c);
	uint64_t sent_us = end_us > begin_us ? end_us - begin_us : 0;
	uint64_t packet_us = 1000u * voice_rungs[c->now.rung].packet_ms;
	uint64_t more_us, late_us, rate;
	int64_t grown_us = c->probe.top_us - c->probe.level_us;
	unsigned missing;

	*all = false;
	if (!probe_sent(c, now_us, bps, usual_bps))
		return 0;
	missing = probe_missing_q8(c);
	if (missing) /* the queue was full */
		return bps / 256 * (256 - missing);
	/* The last packet's greater length has made its way longer too. */
	more_us = packet_us * (bps - usual_bps) / bps;
	*all = grown_us < PROBE_FLAT_US + c->noise_us + (int64_t)more_us;
	if (*all)
		return bps;
	/* The mean is late, and the last packet may have missed it. */
	late_us = 1000u * PROBE_MEAN_MS + packet_us * 3 / 4;
	sent_us -= sent_us > 2 * late_us ? late_us : sent_us / 2;
	rate = (sent_us + more_us) * bps / (sent_us + (uint64_t)grown_us);
	return rate < bps ? (uint32_t)rate : bps;
}
