/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One direction of a voice. Evidence: samples of the queue (what a packet's way took beyond
 * the quickest), losses, silence of the other end. Decisions, in this order:
 *
 * - the other end is silent: the floor, until it is heard again; then back at once;
 * - the queue grows: a rung that fits what got through;
 * - packets are lost without a queue: redundancy, and a poorer rung if both don't fit;
 * - calm: try. More redundancy first, since a try that fails then is a delay of some tens of
 *   ms and nothing audible; if the queue stays flat, the rung for that rate: the one before
 *   the trouble, or the next.
 */
#include <palabre/cc.h>

#include <string.h>

static const uint64_t BASE_WINDOW_US = 30000000; /* clocks drift 50 ppm: 1.5 ms */
static const uint64_t BUCKET_US = 500000;
static const uint64_t FRESH_US = 3000000;
/* A queue: more than a packet or two of 100 bytes at 14 kbit/s, and than a phone's jitter. */
static const int64_t QUEUE_US = 130000;
static const int64_t QUEUE_FULL_US = 300000; /* one such sample is enough */
static const int64_t QUEUE_FLAT_US = 70000;
static const int64_t QUEUE_RISE_US = 40000; /* within a try */
static const uint64_t TROUBLE_US = 4000000;
static const uint64_t AWAY_US = 1500000;
static const uint64_t WAIT_MIN_US = 1500000, WAIT_MAX_US = 20000000;
/* After a drop what was there a minute ago may be back any moment. */
static const uint64_t WAIT_RECENT_US = 1500000, RECENT_US = 60000000;
static const uint64_t STAGE_US = 300000; /* and a round trip, and two packets */
static const uint64_t BEFORE_US = 120000000;
static const uint64_t CAP_FORGET_US = 30000000;
static const uint64_t CALM_US = 10000000;
static const uint64_t PROVEN_US =
	20000000; /* a rung that has stood for so long was right */
enum {
	FIT_NUM = 8, /* voice takes 8/10 of what gets through */
	FIT_DEN = 10,
	LOSS_PROTECT_Q8 = 8,  /* 3 % */
	LOSS_LITTLE_Q8 = 4,   /* 1.5 % */
	LOSS_MIN_PACKETS = 8, /* fewer tell nothing */
	RTT_NACK_US = 275000, /* two tries fit */
	RTT_RED_US = 550000   /* one does; beyond, none */
};

const struct voice_rung voice_rungs[VOICE_RUNGS] = {
	{ 6000, 120 }, { 8000, 120 }, { 8000, 60 },
	{ 12000, 60 }, { 16000, 40 }, { 24000, 20 },
};

uint32_t voice_cost_bps(unsigned rung, unsigned red, unsigned overhead)
{
	const struct voice_rung *r = &voice_rungs[rung];
	/* RFC 2198: a byte, and four a block */
	unsigned bytes = overhead + (red ? 1 + 4 * red : 0);

	return r->bitrate_bps * (red + 1) + bytes * 8000 / r->packet_ms;
}

static uint32_t cost(const struct voice_ctl *c, unsigned rung, unsigned red)
{
	return voice_cost_bps(rung, red, c->params.overhead);
}

void voice_init(struct voice_ctl *c, const struct voice_params *params, uint64_t now_us)
{
	memset(c, 0, sizeof *c);
	c->params = *params;
	c->high = VOICE_TOP;
	c->now.rung = params->rung;
	c->heard_us = c->bad_us = c->lossless_us = c->bucket_us = now_us;
	c->wait_us = WAIT_MIN_US;
}

void voice_limit(struct voice_ctl *c, unsigned low, unsigned high)
{
	c->low = (uint8_t)low;
	c->high = (uint8_t)high;
}

void voice_rtt(struct voice_ctl *c, uint64_t rtt_us)
{
	c->rtt_us = c->rtt_us ? (c->rtt_us * 3 + rtt_us) / 4 : rtt_us;
}

/* ---- evidence ---------------------------------------------------------------------- */

static void buckets_turn(struct voice_ctl *c, uint64_t now_us)
{
	for (unsigned i = 0; i < VOICE_BUCKETS && now_us >= c->bucket_us + BUCKET_US;
	     i++) {
		c->bucket = (c->bucket + 1) % VOICE_BUCKETS;
		memset(&c->buckets[c->bucket], 0, sizeof c->buckets[0]);
		c->bucket_us += BUCKET_US;
	}
	if (now_us >= c->bucket_us + BUCKET_US)
		c->bucket_us = now_us;
}

void voice_sent(struct voice_ctl *c, uint64_t now_us, unsigned packets, unsigned bytes)
{
	buckets_turn(c, now_us);
	c->buckets[c->bucket].sent += packets;
	c->buckets[c->bucket].bytes += bytes;
}

void voice_lost(struct voice_ctl *c, uint64_t now_us, unsigned packets)
{
	buckets_turn(c, now_us);
	c->buckets[c->bucket].lost += packets;
}

void voice_heard(struct voice_ctl *c, uint64_t now_us)
{
	c->heard_us = now_us;
}

void voice_report(struct voice_ctl *c, uint64_t now_us, unsigned fraction_lost)
{
	c->loss_q8 = fraction_lost;
	c->reported_us = now_us;
	voice_heard(c, now_us);
}

void voice_sample(struct voice_ctl *c, uint64_t now_us, uint64_t sent_us,
		  int64_t arrival_us)
{
	int64_t way_us = arrival_us - (int64_t)sent_us;
	unsigned at = c->sample_count++ % VOICE_SAMPLES;

	voice_heard(c, now_us);
	if (!c->known) {
		c->known = true;
		c->base_us = c->base_next_us = way_us;
		c->base_window_us = now_us;
	}
	if (now_us >= c->base_window_us + BASE_WINDOW_US) {
		c->base_us = c->base_next_us;
		c->base_next_us = way_us;
		c->base_window_us = now_us;
	}
	if (way_us < c->base_next_us)
		c->base_next_us = way_us;
	if (way_us < c->base_us)
		c->base_us = way_us;
	c->samples[at].sent_us = sent_us;
	c->samples[at].heard_us = now_us;
	c->samples[at].queue_us = way_us - c->base_us;
}

unsigned voice_loss_q8(const struct voice_ctl *c, uint64_t now_us)
{
	uint64_t sent = 0, lost = 0;
	unsigned own = 0;

	for (unsigned i = 0; i < VOICE_BUCKETS; i++) {
		sent += c->buckets[i].sent;
		lost += c->buckets[i].lost;
	}
	if (sent >= LOSS_MIN_PACKETS)
		own = (unsigned)(lost * 256 / sent);
	/* Reports are rare (5 s): they count while they are news. */
	if (c->reported_us && now_us < c->reported_us + 2 * FRESH_US && c->loss_q8 > own)
		own = c->loss_q8;
	return own < 256 ? own : 255;
}

/* The i-th last sample; NULL: there is none, or it is old. */
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

/* The least of the last three: jitter is not a queue. */
static int64_t queue_least(const struct voice_ctl *c, uint64_t now_us)
{
	int64_t least = INT64_MAX;

	for (unsigned i = 0; i < 3; i++) {
		int at = sample_at(c, i, now_us);

		if (at < 0)
			return 0;
		if (c->samples[at].queue_us < least)
			least = c->samples[at].queue_us;
	}
	return least;
}

/* How much the queue has grown for each second of sending, in 1/256, over the last half second
 * or what there is. */
static int64_t queue_slope_q8(const struct voice_ctl *c, uint64_t now_us)
{
	int last = sample_at(c, 0, now_us), first = last;

	for (unsigned i = 1; i < VOICE_SAMPLES && last >= 0; i++) {
		int at = sample_at(c, i, now_us);

		if (at < 0)
			break;
		first = at;
		if (c->samples[last].sent_us >= c->samples[at].sent_us + BUCKET_US)
			break;
	}
	if (last < 0 || c->samples[last].sent_us <= c->samples[first].sent_us)
		return 0;
	return (c->samples[last].queue_us - c->samples[first].queue_us) * 256 /
	       (int64_t)(c->samples[last].sent_us - c->samples[first].sent_us);
}

/* ---- decisions --------------------------------------------------------------------- */

static unsigned clamp_rung(const struct voice_ctl *c, unsigned rung)
{
	return rung < c->low ? c->low : rung > c->high ? c->high : rung;
}

/* The richest rung below `below` that fits into bps with this redundancy. */
static unsigned fitting(const struct voice_ctl *c, uint32_t bps, unsigned red,
			unsigned below)
{
	unsigned rung = below;

	while (rung > c->low && cost(c, rung - 1, red) > bps)
		rung--;
	return clamp_rung(c, rung ? rung - 1 : 0);
}

static void remember(struct voice_ctl *c, uint64_t now_us)
{
	bool old = !c->before_us || now_us >= c->before_us + BEFORE_US;

	if (old || c->now.rung > c->before) {
		c->before = c->now.rung;
		c->before_us = now_us;
	}
}

static void patience(struct voice_ctl *c)
{
	c->wait_us = c->wait_us * 2;
	if (c->wait_us > WAIT_MAX_US)
		c->wait_us = WAIT_MAX_US;
}

static void probe_end(struct voice_ctl *c, bool well)
{
	if (!well && c->probe)
		patience(c);
	c->probe = 0;
}

/* The try was too much. What is on its way of it lengthens the queue for a round trip yet. */
static void probe_fail(struct voice_ctl *c, uint64_t now_us)
{
	probe_end(c, false);
	c->bad_us = now_us;
	c->hold_us = now_us + 2 * c->rtt_us + voice_queue_us(c, now_us) + STAGE_US;
}

/* Redundancy that the link does not bear protects nothing. */
static void protect_less(struct voice_ctl *c)
{
	while (c->protect && c->cap_bps &&
	       cost(c, c->low, c->protect) > c->cap_bps / FIT_DEN * FIT_NUM)
		c->protect--;
}

/* Rung and redundancy now are too much for the link. */
static void step_down(struct voice_ctl *c, uint64_t now_us)
{
	uint32_t rate = cost(c, c->now.rung, c->now.red);
	int64_t slope = queue_slope_q8(c, now_us);

	/* What comes through of `rate` while the queue grows by slope. One sample alone may
	 * have begun to wait just now: then it is worse than it looks. */
	if (slope < 25)
		slope = 25;
	c->cap_bps = (uint32_t)(rate * 256ull / (uint64_t)(256 + slope));
	if (queue_least(c, now_us) < QUEUE_US)
		c->cap_bps = c->cap_bps / FIT_DEN * 6;
	c->cap_us = now_us;
	c->bad_us = now_us;
	c->hold_us = now_us + c->rtt_us + voice_queue_us(c, now_us) + STAGE_US;
	if (c->climbed_us && now_us < c->climbed_us + PROVEN_US)
		patience(c);
	else
		remember(c, now_us);
	c->climbed_us = 0;
	protect_less(c);
	c->now.rung = (uint8_t)fitting(c, c->cap_bps / FIT_DEN * FIT_NUM, c->protect,
				       c->now.rung);
}

static bool congested(struct voice_ctl *c, uint64_t now_us)
{
	int64_t least = queue_least(c, now_us);
	int64_t last = (int64_t)voice_queue_us(c, now_us);
	int64_t limit = c->probe ? QUEUE_FLAT_US + QUEUE_FLAT_US / 2 : QUEUE_US;

	if (last > QUEUE_US / 2)
		c->trouble_us = now_us + TROUBLE_US;
	if (now_us < c->hold_us)
		return false;
	return (least > limit && queue_slope_q8(c, now_us) > 8) || last > QUEUE_FULL_US;
}

/* Redundancy that this loss wants at this round trip. */
static unsigned protection(const struct voice_ctl *c, uint64_t now_us)
{
	unsigned want;

	if (c->params.nack && c->rtt_us <= RTT_NACK_US)
		want = 0;
	else if (c->params.nack && c->rtt_us <= RTT_RED_US)
		want = 1;
	else
		want = 2;
	if (voice_loss_q8(c, now_us) < LOSS_PROTECT_Q8 && !c->protect)
		want = 0;
	return want < c->params.red_max ? want : c->params.red_max;
}

static void protect(struct voice_ctl *c, uint64_t now_us)
{
	unsigned loss = voice_loss_q8(c, now_us);
	uint32_t bps = c->cap_bps / FIT_DEN * FIT_NUM;

	if (loss >= LOSS_LITTLE_Q8)
		c->lossless_us = now_us;
	if (now_us >= c->lossless_us + CALM_US)
		c->protect = 0;
	else
		c->protect = (uint8_t)protection(c, now_us);
	protect_less(c);
	if (c->cap_bps && c->protect && cost(c, c->now.rung, c->protect) > bps) {
		remember(c, now_us);
		c->now.rung =
			(uint8_t)fitting(c, bps, c->protect, (unsigned)c->now.rung + 1);
	}
}

/* The rung that a try with this redundancy can show to be borne: the one before the trouble, or
 * the next; now.rung if none. What was borne lately needs less of a proof. */
static unsigned shown(const struct voice_ctl *c, unsigned red, uint64_t now_us)
{
	uint32_t tried = cost(c, c->now.rung, red);
	unsigned next = clamp_rung(c, c->now.rung + 1u);

	if (c->before_us && now_us < c->before_us + BEFORE_US && c->before > next) {
		unsigned back = clamp_rung(c, c->before);

		while (back > next && cost(c, back, c->protect) > tried * 5 / 4)
			back--;
		next = back;
	}
	if (red <= c->protect) /* nothing to try with: it is tried for real */
		return next;
	return cost(c, next, c->protect) <= tried ? next : c->now.rung;
}

static void climb(struct voice_ctl *c, uint64_t now_us)
{
	unsigned most =
		c->params.red_max > c->protect ? c->params.red_max - c->protect : 0;
	uint64_t stage_us =
		STAGE_US + c->rtt_us + 2000u * voice_rungs[c->now.rung].packet_ms;
	int64_t queue_us = queue_least(c, now_us);
	uint64_t wait_us = c->wait_us;
	unsigned to;

	if (c->before_us && now_us < c->before_us + RECENT_US && wait_us > WAIT_RECENT_US)
		wait_us = WAIT_RECENT_US;
	if (c->now.rung >= c->high) {
		probe_end(c, true);
		return;
	}
	if (!c->probe) {
		if (queue_us >= QUEUE_FLAT_US || now_us < c->bad_us + wait_us ||
		    now_us < c->hold_us)
			return;
		c->probe = 1;
		c->probe_us = now_us;
		c->probe_queue_us = queue_us;
		return;
	}
	if (queue_us >= QUEUE_FLAT_US || queue_us >= c->probe_queue_us + QUEUE_RISE_US) {
		probe_fail(c, now_us);
		return;
	}
	if (now_us < c->probe_us + stage_us)
		return;
	to = shown(c, c->now.red, now_us);
	if (c->probe < most && (to == c->now.rung || (c->before_us && to < c->before))) {
		c->probe++;
		c->probe_us = now_us;
		return;
	}
	probe_end(c, to > c->now.rung);
	c->bad_us = now_us;
	if (to == c->now.rung)
		return;
	c->now.rung = (uint8_t)to;
	c->cap_bps = 0;
	c->climbed_us = now_us;
	if (c->now.rung >= c->before)
		c->before_us = 0;
}

static void set_rest(struct voice_ctl *c, uint64_t now_us)
{
	unsigned red = c->protect + c->probe;
	unsigned ms = voice_rungs[c->now.rung].packet_ms;
	unsigned rtt_ms = (unsigned)(c->rtt_us / 1000);
	bool lossy = now_us < c->lossless_us + CALM_US &&
		     voice_loss_q8(c, now_us) >= LOSS_LITTLE_Q8;

	c->now.red = (uint8_t)(red < c->params.red_max ? red : c->params.red_max);
	c->now.nacks = !c->params.nack		  ? 0
		       : c->rtt_us <= RTT_NACK_US ? 2
		       : c->rtt_us <= RTT_RED_US  ? 1
						  : 0;
	c->now.measure = c->probe || now_us < c->trouble_us;
	if (!lossy && !c->now.jitter_ms)
		return;
	if (now_us >= c->lossless_us + CALM_US) {
		c->now.jitter_ms = 0;
		return;
	}
	/* What repeats and redundancy bring must still come in time. Coarse: each change moves
	 * the receiver's clock. */
	ms = c->protect * ms + c->now.nacks * rtt_ms + ms + 60;
	c->now.jitter_ms = (uint16_t)((ms + 99) / 100 * 100);
}

bool voice_run(struct voice_ctl *c, uint64_t now_us, struct voice_choice *out)
{
	struct voice_choice before = c->now;

	buckets_turn(c, now_us);
	if (c->climbed_us && now_us >= c->climbed_us + PROVEN_US) {
		c->wait_us = WAIT_MIN_US;
		c->climbed_us = 0;
	}
	if (c->cap_bps && now_us >= c->cap_us + CAP_FORGET_US)
		c->cap_bps = 0;
	if (now_us >= c->heard_us + AWAY_US + c->rtt_us) {
		if (!c->away) {
			remember(c, now_us);
			probe_end(c, true);
			c->away = true;
			c->now.rung = (uint8_t)clamp_rung(c, c->low);
		}
	} else if (c->away) {
		/* Back: as it was; if that is too much now the queue will say so. */
		c->away = false;
		c->now.rung = (uint8_t)clamp_rung(c, c->before);
		c->trouble_us = now_us + TROUBLE_US;
		c->hold_us = now_us + c->rtt_us + STAGE_US;
		c->sample_count = 0;
	} else if (congested(c, now_us)) {
		if (c->probe)
			probe_fail(c, now_us);
		else
			step_down(c, now_us);
	} else {
		protect(c, now_us);
		climb(c, now_us);
	}
	c->now.rung = (uint8_t)clamp_rung(c, c->now.rung);
	set_rest(c, now_us);
	*out = c->now;
	return memcmp(&before, &c->now, sizeof before) != 0;
}
