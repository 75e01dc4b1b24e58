/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is known of the link of one direction of a voice: the queue (what a packet's way took
 * beyond the quickest), losses, and what a probe found.
 *
 * A queue tells the link's rate: sent `bps`, it grows by bps / rate - 1 seconds a second.
 */
#include "voice_in.h"
#include "way.h"

#include <string.h>

static const uint64_t BUCKET_US = 500000;
static const uint64_t FRESH_US = 3000000;  /* six samples, of two a second */
static const uint64_t REPORT_US = 6000000; /* they come every 5 s */
/* A queue is more than one packet on the wire, which takes as long as from packet to packet at
 * most, and than a phone's jitter; jitter that has been seen comes on top. */
static const int64_t QUEUE_US = 70000;
static const int64_t NOISE_MOST_US = 60000;    /* more is a stall */
static const uint64_t NOISE_EVERY_US = 400000; /* two a second, or nearly */
/* One sample alone is a queue, or a stall, if it is so late: 250 ms of 26 kbit/s at 14. */
static const int64_t QUEUE_LATE_US = 150000;
/* Else it must have been there for that long: a stall's queue gets shorter from the start. */
static const uint64_t QUEUE_LASTS_US = 300000;
/* And a round trip: three samples are there by then. */
static const uint64_t DOUBT_US = 1500000;
/* What 100 bytes take at 40 kbit/s; more than a clock drifts by in two windows. */
static const int64_t QUICKER_US = 25000;
static const uint64_t QUICKER_AFTER_US = 8000000; /* the quickest of so many */
static const int64_t STALL_US = 100000;		  /* longer than the last stall */
static const int64_t QUEUE_RISE_US = 30000;	  /* in QUEUE_LASTS_US: 10 % too much */
static const int64_t REPEATS_US = 100000; /* more waits for longer, whatever it is */
/* A queue that is there for so long, and has not become shorter for half of it, stays. */
static const uint64_t QUEUE_STANDS_US = 4000000;
/* 60 bytes, by which rungs differ, at 12 kbit/s. */
static const int64_t QUEUE_SHORT_US = 40000;
enum {
	LOSS_MIN_PACKETS = 8, /* fewer tell nothing */
	LONG_SHIFT = 5,	      /* 16 s */
	BURST_MOST = 8,
	SENT_BUCKETS = 2,  /* 1 s */
	LEVEL_SAMPLES = 2, /* more would still be what has drained */
	NOISE_PART = 8	   /* of new ones: known after 4 s */
};

/* ---- what is told ------------------------------------------------------------------ */

void voice_buckets_turn(struct voice_ctl *c, uint64_t now_us)
{
	for (unsigned i = 0; i < VOICE_BUCKETS && now_us >= c->bucket_us + BUCKET_US;
	     i++) {
		c->sent_long +=
			(c->buckets[c->bucket].sent << 8) - (c->sent_long >> LONG_SHIFT);
		c->lost_long +=
			(c->buckets[c->bucket].lost << 8) - (c->lost_long >> LONG_SHIFT);
		c->bucket = (c->bucket + 1) % VOICE_BUCKETS;
		memset(&c->buckets[c->bucket], 0, sizeof c->buckets[0]);
		c->bucket_us += BUCKET_US;
	}
	if (now_us >= c->bucket_us + BUCKET_US)
		c->bucket_us = now_us;
}

bool voice_pauses(const struct voice_ctl *c, uint64_t now_us)
{
	unsigned before = (c->bucket + VOICE_BUCKETS - 1) % VOICE_BUCKETS;
	uint64_t us = 1000ull * (c->buckets[c->bucket].ms + c->buckets[before].ms);
	uint64_t in_us = BUCKET_US + now_us - c->bucket_us;

	/* And one is on its way. */
	return us + 1000u * voice_rungs[c->now.rung].packet_ms < in_us / 2;
}

void voice_sent(struct voice_ctl *c, uint64_t now_us, unsigned packets, unsigned bytes)
{
	voice_buckets_turn(c, now_us);
	c->buckets[c->bucket].sent += packets;
	c->buckets[c->bucket].bytes += bytes;
	c->buckets[c->bucket].ms += packets * voice_rungs[c->now.rung].packet_ms;
	if (!c->due)
		c->due_us = now_us;
	c->due = true;
	if (c->probe.red)
		c->probe.bytes += bytes;
}

void voice_lost(struct voice_ctl *c, uint64_t now_us, unsigned packets)
{
	voice_buckets_turn(c, now_us);
	if (c->away || now_us < c->deaf_us)
		return;
	c->buckets[c->bucket].lost += packets;
}

void voice_burst(struct voice_ctl *c, unsigned packets)
{
	uint32_t q8 = (packets < BURST_MOST ? packets : BURST_MOST) * 256u;

	c->burst_q8 = (c->burst_q8 * 7 + q8) / 8;
}

void voice_heard(struct voice_ctl *c, uint64_t now_us)
{
	if (c->due && !c->away)
		c->gap_us = (c->gap_us * 7 + now_us - c->due_us) / 8;
	c->due = false;
}

static bool tells_of_silence(const struct voice_ctl *c, uint64_t now_us)
{
	return now_us < c->deaf_us || (c->back_us && now_us < c->back_us + REPORT_US);
}

void voice_report(struct voice_ctl *c, uint64_t now_us, unsigned fraction_lost)
{
	voice_heard(c, now_us);
	if (tells_of_silence(c, now_us))
		return;
	c->loss_q8 = fraction_lost;
	c->reported_us = now_us;
}

/* What the link loses, of 256, if so much of that is missing at the other end. */
static unsigned link_loss_q8(const struct voice_ctl *c)
{
	uint64_t missing = (uint64_t)c->missing << 24;
	unsigned loss = 0;

	for (; loss < 255; loss++) {
		uint64_t left = 0, all_lost_q24 = (uint64_t)loss << 16;

		for (unsigned i = 0; i <= VOICE_COPIES; i++) {
			left += c->copied[i] * all_lost_q24;
			all_lost_q24 = all_lost_q24 * loss >> 8;
		}
		if (left >= missing)
			break;
	}
	return loss;
}

void voice_report_copied(struct voice_ctl *c, uint64_t now_us, unsigned fraction_lost,
			 const unsigned packets[VOICE_COPIES + 1])
{
	unsigned sent = 0;

	voice_heard(c, now_us);
	for (unsigned i = 0; i <= VOICE_COPIES; i++)
		sent += packets[i];
	if (!sent || tells_of_silence(c, now_us))
		return;
	/* Of forty packets with two copies each a report misses one in four times: the mean of some
	 * tells more. */
	for (unsigned i = 0; i <= VOICE_COPIES; i++)
		c->copied[i] = c->copied[i] * 3 / 4 + (packets[i] << 8);
	c->missing = c->missing * 3 / 4 + sent * fraction_lost;
	voice_report(c, now_us, link_loss_q8(c));
}

/* The decision by which a packet heard now was sent: a round trip and its queue ago, whichever
 * direction this is, and whatever clock sent_us is by. */
uint64_t voice_decided_us(const struct voice_ctl *c, uint64_t heard_us, int64_t queue_us)
{
	uint64_t ago_us = c->rtt_us + (uint64_t)queue_us;

	return heard_us > ago_us ? heard_us - ago_us : 0;
}

/* How far samples lie from the line between their neighbours: a queue that grows or drains is
 * no jitter. Of two a second, or it would depend on how many are measured. */
static void noise_update(struct voice_ctl *c, uint64_t sent_us, int64_t queue_us)
{
	int64_t off_us;

	if (sent_us < c->noise.sent_us + NOISE_EVERY_US && c->noise.count)
		return;
	if (c->noise.count > 1) {
		off_us = c->noise.last_us - (c->noise.before_us + queue_us) / 2;
		if (off_us < 0)
			off_us = -off_us;
		if (off_us > NOISE_MOST_US)
			off_us = NOISE_MOST_US;
		c->noise_us += (off_us - c->noise_us) / NOISE_PART;
	}
	c->noise.count++;
	c->noise.sent_us = sent_us;
	c->noise.before_us = c->noise.last_us;
	c->noise.last_us = queue_us;
}

/* The quickest way has become quicker: a packet takes less time on the wire. The link is another one, or has more rate: what has
 * failed on it may be tried anew. */
static void look_if_quicker(struct voice_ctl *c, uint64_t now_us)
{
	/* Those of another rung may be smaller. */
	bool settled = now_us >= c->since_us + QUICKER_AFTER_US;
	bool quicker = settled && c->way.base_us + QUICKER_US < c->quick.way_us;

	if (quicker)
		voice_better(c, now_us);
	if (!quicker && settled && now_us < c->quick.at_us + QUICKER_AFTER_US)
		return;
	c->quick.at_us = now_us;
	c->quick.way_us = c->way.base_us;
}

void voice_sample(struct voice_ctl *c, uint64_t now_us, uint64_t sent_us,
		  int64_t arrival_us)
{
	int64_t way_us = arrival_us - (int64_t)sent_us;
	unsigned at = c->sample_count % VOICE_SAMPLES;
	int64_t queue_us;

	voice_heard(c, now_us);
	if (way_update(&c->way, now_us, way_us))
		c->stall_us = c->stall_us * 3 / 4;
	look_if_quicker(c, now_us);
	queue_us = way_us - c->way.base_us;
	if (c->probe.red)
		c->noise.count = 0;
	else
		noise_update(c, sent_us, queue_us);
	c->samples[at].sent_us = sent_us;
	c->samples[at].heard_us = now_us;
	c->samples[at].queue_us = queue_us;
	c->sample_count++;
	if (queue_us > voice_queue_limit_us(c))
		c->queued_us = now_us;
	else
		c->empty_us = now_us;
	if (c->probe.red)
		voice_probe_see(c, now_us, queue_us);
	if (queue_us < c->least_us &&
	    voice_decided_us(c, now_us, queue_us) >= c->changed_us + VOICE_SLACK_US) {
		c->least_us = queue_us;
		c->least_at_us = now_us;
	}
}

unsigned voice_loss_q8(const struct voice_ctl *c, uint64_t now_us)
{
	uint64_t sent = 0, lost = 0;
	unsigned own = 0;

	for (unsigned i = 0; i < VOICE_BUCKETS; i++) {
		sent += c->buckets[i].sent;
		lost += c->buckets[i].lost;
	}
	if (sent >= LOSS_MIN_PACKETS && lost > 1) /* one is an accident */
		own = (unsigned)(lost * 256 / sent);
	/* Reports are rare: they count while they are news, or if there is nothing else. */
	if (c->reported_us && c->loss_q8 > own &&
	    (c->params.copies || now_us < c->reported_us + REPORT_US))
		own = c->loss_q8;
	return own < 256 ? own : 255;
}

unsigned voice_loss_long_q8(const struct voice_ctl *c, uint64_t now_us)
{
	if ((!c->way.known || c->params.copies) && c->reported_us)
		return voice_loss_q8(c, now_us);
	return c->sent_long < 16 << 8 ? 0
				      : (unsigned)(c->lost_long * 256ull / c->sent_long);
}

/* ---- what it means ----------------------------------------------------------------- */

/* The i-th last sample; -1: there is none, or it is old. */
static int sample_at(const struct voice_ctl *c, unsigned i, uint64_t now_us)
{
	unsigned kept = c->sample_count < VOICE_SAMPLES ? c->sample_count : VOICE_SAMPLES;
	unsigned at;

	if (i >= kept)
		return -1;
	at = (c->sample_count - 1 - i) % VOICE_SAMPLES;
	return now_us < c->samples[at].heard_us + FRESH_US ? (int)at : -1;
}

uint64_t voice_queue_us(const struct voice_ctl *c, uint64_t now_us)
{
	int at = sample_at(c, 0, now_us);

	return at < 0 ? 0 : (uint64_t)c->samples[at].queue_us;
}

/* What has been lost is sent again: it queues behind what is new. */
static int64_t repeats_us(const struct voice_ctl *c)
{
	unsigned before = (c->bucket + VOICE_BUCKETS - 1) % VOICE_BUCKETS;
	uint32_t lost = c->buckets[c->bucket].lost + c->buckets[before].lost;
	int64_t us = 500ll * voice_rungs[c->now.rung].packet_ms * lost;

	return !c->now.nacks ? 0 : us < REPEATS_US ? us : REPEATS_US;
}

int64_t voice_queue_limit_us(const struct voice_ctl *c)
{
	return QUEUE_US + 1000 * voice_rungs[c->now.rung].packet_ms + 3 * c->noise_us;
}

int64_t voice_queue_level_us(const struct voice_ctl *c, uint64_t now_us)
{
	int64_t sum_us = 0;
	int n = 0, at;

	while (n < LEVEL_SAMPLES && (at = sample_at(c, (unsigned)n, now_us)) >= 0) {
		sum_us += c->samples[at].queue_us;
		n++;
	}
	return n < LEVEL_SAMPLES ? -1 : sum_us / n;
}

static uint64_t sample_decided_us(const struct voice_ctl *c, int at)
{
	return voice_decided_us(c, c->samples[at].heard_us, c->samples[at].queue_us);
}

/* Looks at samples of what is sent now: since the last change, but nothing of a probe. *last:
 * the newest; *first: the next one that was sent QUEUE_LASTS_US before it, or met no queue. */
static bool queue_ends(const struct voice_ctl *c, uint64_t now_us, int *first, int *last)
{
	int at;

	*last = -1;
	for (unsigned i = 0; (at = sample_at(c, i, now_us)) >= 0; i++) {
		if (c->probe.red &&
		    sample_decided_us(c, at) + c->rtt_us / 4 >= c->probe.begin_us)
			continue;
		if (sample_decided_us(c, at) < c->changed_us + VOICE_SLACK_US)
			return false;
		if (*last < 0) {
			*last = at;
			continue;
		}
		*first = at;
		if (c->samples[at].queue_us < voice_queue_limit_us(c) / 3 ||
		    c->samples[*last].sent_us >= c->samples[at].sent_us + QUEUE_LASTS_US)
			return true;
	}
	return false;
}

/* One sample as late as that tells of a queue; but stalls that long have been seen. */
static int64_t late_us(const struct voice_ctl *c)
{
	int64_t late = QUEUE_LATE_US + 4 * c->noise_us;
	int64_t limit = voice_queue_limit_us(c) + QUEUE_RISE_US;

	if (c->stall_us && late < c->stall_us + STALL_US)
		late = c->stall_us + STALL_US;
	return late > limit ? late : limit;
}

static bool sparse(const struct voice_ctl *c, int first, int last)
{
	return c->samples[last].sent_us >= c->samples[first].sent_us + QUEUE_LASTS_US;
}

static int64_t queue_most_us(const struct voice_ctl *c, uint64_t now_us, int first,
			     int last)
{
	int64_t most_us = 0;
	int at;

	for (unsigned i = 0; (at = sample_at(c, i, now_us)) >= 0 && at != first; i++)
		if (c->samples[at].sent_us < c->samples[last].sent_us &&
		    c->samples[at].queue_us > most_us)
			most_us = c->samples[at].queue_us;
	return most_us;
}

/* A queue too short to make anything late: it never empties, and what it cannot hold is lost. With
 * redundancy packets are longer, which looks like it. */
static bool short_and_full(const struct voice_ctl *c, uint64_t now_us)
{
	return c->lossy && !c->protect && !c->probe.red && c->least_us > QUEUE_SHORT_US &&
	       c->least_us < VOICE_QUEUE_ANY_US &&
	       now_us > c->changed_us + c->rtt_us + QUEUE_STANDS_US;
}

enum voice_queue voice_queue_judge(const struct voice_ctl *c, uint64_t now_us)
{
	int64_t limit_us = voice_queue_limit_us(c), last_us, first_us;
	int first, last;

	if (!queue_ends(c, now_us, &first, &last))
		return VOICE_QUEUE_NONE;
	last_us = c->samples[last].queue_us;
	first_us = c->samples[first].queue_us;
	if (short_and_full(c, now_us))
		return VOICE_QUEUE_GROWS;
	if (last_us <= limit_us)
		return VOICE_QUEUE_NONE;
	if (now_us > c->empty_us + QUEUE_STANDS_US &&
	    now_us > c->least_at_us + QUEUE_STANDS_US / 2)
		return VOICE_QUEUE_GROWS;
	/* What was there before drains; the queue must have grown since. A stall's is longest at
	 * once. */
	limit_us += repeats_us(c);
	if (last_us <= c->least_us + limit_us ||
	    last_us + c->noise_us < queue_most_us(c, now_us, first, last))
		return VOICE_QUEUE_NONE;
	if (first_us < limit_us / 3)
		return last_us > late_us(c) && sparse(c, first, last) ? VOICE_QUEUE_LATE
								      : VOICE_QUEUE_NONE;
	return last_us > first_us + QUEUE_RISE_US + c->noise_us ? VOICE_QUEUE_GROWS
								: VOICE_QUEUE_NONE;
}

void voice_doubt_begin(struct voice_ctl *c, uint64_t now_us)
{
	int at = sample_at(c, 0, now_us);

	c->doubt.sent_us = c->samples[at].sent_us;
	c->doubt.queue_us = c->samples[at].queue_us;
	c->doubt.until_us = now_us + c->rtt_us + DOUBT_US;
}

/* Those that were sent later tell. */
enum voice_queue voice_doubt_judge(struct voice_ctl *c, uint64_t now_us)
{
	int at = sample_at(c, 0, now_us);

	if (now_us >= c->doubt.until_us)
		return VOICE_QUEUE_GROWS;
	if (at < 0 || c->samples[at].sent_us <= c->doubt.sent_us)
		return VOICE_QUEUE_LATE;
	if (c->samples[at].queue_us > c->doubt.queue_us)
		return VOICE_QUEUE_GROWS;
	if (c->samples[at].queue_us > voice_queue_limit_us(c) / 2)
		return VOICE_QUEUE_LATE;
	c->stall_us = c->doubt.queue_us;
	return VOICE_QUEUE_NONE;
}

/* What was sent while the queue that is seen now grew: who pauses a little, or says what is said in few
 * bits, sends less than `bps`, and by that a link would look wider than it is. */
static uint32_t sent_bps(const struct voice_ctl *c, uint32_t bps)
{
	unsigned back = (unsigned)(c->rtt_us / 2 / BUCKET_US), bytes = 0;
	uint32_t sent;

	if (c->params.page) /* its bytes are counted where they arrive */
		return bps;
	for (unsigned i = 1; i <= SENT_BUCKETS; i++)
		bytes += c->buckets[(c->bucket + 2 * VOICE_BUCKETS - back - i) %
				    VOICE_BUCKETS]
				 .bytes;
	sent = (uint32_t)(bytes * 8000000ull / (SENT_BUCKETS * BUCKET_US));
	return sent < bps / 2 ? bps / 2 : sent < bps ? sent : bps;
}

/* What the link bears by the two. */
uint32_t voice_doubt_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	int at = sample_at(c, 0, now_us);
	uint64_t took_us = at < 0 ? 0 : c->samples[at].sent_us - c->doubt.sent_us;
	int64_t grown_us = at < 0 ? 0 : c->samples[at].queue_us - c->doubt.queue_us;

	if (grown_us <= 0 || (int64_t)took_us <= 0)
		return bps;
	bps = sent_bps(c, bps);
	return (uint32_t)(bps * took_us / (took_us + (uint64_t)grown_us));
}

void voice_queue_none(struct voice_ctl *c)
{
	if (c->least_us < VOICE_QUEUE_ANY_US)
		c->way.base_us += c->least_us;
	c->way.next_us = c->way.base_us;
	c->sample_count = 0;
}

uint64_t voice_queue_now_us(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			    uint32_t cap_bps)
{
	int at = sample_at(c, 0, now_us);
	uint64_t queue_us = voice_queue_us(c, now_us);

	if (at < 0 || bps <= cap_bps)
		return queue_us;
	return queue_us + (now_us - sample_decided_us(c, at)) * (bps - cap_bps) /
				  (cap_bps ? cap_bps : 1);
}

/* The shortest between the two: from there it grew. */
static int queue_least(const struct voice_ctl *c, uint64_t now_us, int first, int last)
{
	int least = first, at;

	for (unsigned i = 0; (at = sample_at(c, i, now_us)) >= 0 && at != first; i++)
		if (c->samples[at].sent_us < c->samples[last].sent_us &&
		    c->samples[at].queue_us < c->samples[least].queue_us)
			least = at;
	return least;
}

uint32_t voice_queue_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	int64_t grown_us, took_us;
	int first, last, least;

	if (!queue_ends(c, now_us, &first, &last))
		return bps;
	bps = sent_bps(c, bps);
	least = queue_least(c, now_us, first, last);
	if (c->samples[last].sent_us >= c->samples[least].sent_us + QUEUE_LASTS_US / 3)
		first = least;
	grown_us = c->samples[last].queue_us - c->samples[first].queue_us;
	took_us = (int64_t)(c->samples[last].sent_us - c->samples[first].sent_us);
	if (took_us <= 0)
		return bps;
	/* It began somewhere between the two. */
	if (c->samples[first].queue_us < voice_queue_limit_us(c) / 3)
		took_us /= 2;
	if (grown_us < took_us / 10) /* or it would not be a queue */
		return (uint32_t)(bps * 10ull / 11);
	if (grown_us > 4 * took_us)
		return bps / 5;
	return (uint32_t)(bps * (uint64_t)took_us / (uint64_t)(took_us + grown_us));
}
