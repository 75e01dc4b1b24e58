/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What fits into a rate: rungs, and redundancy against loss.
 */
#include "voice_in.h"

static const uint64_t LOSS_WINDOW_US = 4000000; /* of the buckets */
static const uint64_t CALM_US = 12000000; /* two reports, and what they count as news */
enum {
	/* Voice takes 5/6 of what gets through: so one more redundant packet probes for the next
	 * rung, and two for two or three. */
	FIT_NUM = 5,
	FIT_DEN = 6,
	NEXT_NUM = 15, /* for one step: a probe shows no less than 1/8 too much */
	NEXT_DEN = 16,
	/* Redundancy that costs a rung needs a tenth more, or it comes and goes. */
	ROOM_NUM = 9,
	ROOM_DEN = 10,
	LOSS_PROTECT_Q8 = 8, /* 3 % */
	LOSS_LITTLE_Q8 = 4,  /* 1.5 % */
	/* 8 kbit/s bare is better than 6 protected up to there (ESTOI .84 and .87 at 10 %) */
	LOSS_HEAVY_Q8 = 26,
	/* One copy leaves 2.2 % of 15 %. */
	LOSS_SECOND_Q8 = 38,
	LOSS_ONE_Q8 = 18,
	KNEE = 1 /* 8 kbit/s: below, words are lost; where several speak at once a little above, too */
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

uint32_t voice_page_more_bps(unsigned rung)
{
	return rung == KNEE ? 1000 : 0;
}

uint32_t voice_cost(const struct voice_ctl *c, unsigned rung, unsigned red)
{
	uint32_t bps;

	if (c->params.page && !red)
		return voice_cost_bps(rung, 0, c->params.overhead) +
		       voice_page_more_bps(rung);

	if (!c->params.copies)
		return voice_cost_bps(rung, red, c->params.overhead);
	bps = voice_cost_bps(rung, 0, c->params.overhead);
	return red < VOICE_COPIES ? bps * (red + 1)
				  : bps * VOICE_COPIES + bps / 256 * VOICE_SECOND_Q8;
}

uint32_t voice_cost_now(const struct voice_ctl *c)
{
	return voice_cost(c, c->now.rung, c->protect);
}

unsigned voice_clamp(const struct voice_ctl *c, unsigned rung)
{
	return rung < c->low ? c->low : rung > c->high ? c->high : rung;
}

unsigned voice_next(const struct voice_ctl *c)
{
	return voice_clamp(c, c->now.rung + 1u);
}

/* The richest rung up to `most` that costs no more. */
unsigned voice_richest(const struct voice_ctl *c, uint32_t bps, unsigned red,
		       unsigned most)
{
	while (most > c->low && voice_cost(c, most, red) > bps)
		most--;
	return voice_clamp(c, most);
}

/* Of bps, without what is repeated. */
static uint32_t once_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	unsigned again = c->params.nack && c->tries ? voice_loss_long_q8(c, now_us) : 0;

	return bps / (256 + again) * 256;
}

/* What of bps voice may take: the rest is for being wrong. */
uint32_t voice_fit_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	return once_bps(c, now_us, bps) / FIT_DEN * FIT_NUM;
}

/* The next rung needs less of a proof: it is one step, and can be taken back. */
uint32_t voice_next_fit_bps(uint32_t bps)
{
	return bps / NEXT_DEN * NEXT_NUM;
}

void voice_loss_judge(struct voice_ctl *c, uint64_t now_us)
{
	unsigned loss = voice_loss_q8(c, now_us);

	if (loss >= LOSS_LITTLE_Q8)
		c->lossless_us = now_us;
	if (now_us >= c->lossless_us + CALM_US)
		c->lossy = false;
	/* What a full queue drops comes back by sending less. */
	else if (loss >= LOSS_PROTECT_Q8 &&
		 (!c->queued_us || now_us >= c->queued_us + LOSS_WINDOW_US))
		c->lossy = true;
	c->heavy = c->lossy && loss >= (c->heavy ? LOSS_ONE_Q8 : LOSS_SECOND_Q8);
}

/* Redundancy that the losses want at this round trip. */
unsigned voice_wanted(const struct voice_ctl *c)
{
	unsigned want = !c->lossy	   ? 0
			: c->params.copies ? 1u + c->heavy
			: !c->params.nack  ? 2
					   : 2u - c->tries;

	return want < c->params.red_max ? want : c->params.red_max;
}

/* The poorest rung that redundancy may push the voice to: none poorer, if repeats leave little to
 * mend. */
unsigned voice_knee(const struct voice_ctl *c, uint64_t now_us)
{
	uint32_t loss = voice_loss_long_q8(c, now_us), left = loss;

	for (unsigned i = 0; i < (c->params.nack ? c->tries : 0u); i++)
		left = left * loss / 256;
	if (left < LOSS_PROTECT_Q8)
		return c->now.rung;
	return voice_clamp(c, loss >= LOSS_HEAVY_Q8 ? VOICE_FLOOR : KNEE);
}

/* Redundancy for bps: as wanted, if it leaves a rung that is worth it, and, since it costs one or
 * two, with some room. */
unsigned voice_affordable(const struct voice_ctl *c, uint64_t now_us, uint32_t bps)
{
	unsigned red = voice_wanted(c), rung = voice_knee(c, now_us);

	while (red > c->protect && voice_cost(c, rung, red) > bps / ROOM_DEN * ROOM_NUM)
		red--;
	while (red && red <= c->protect &&
	       voice_cost(c, rung < c->now.rung ? rung : c->now.rung, red) > bps)
		red--;
	return red;
}
