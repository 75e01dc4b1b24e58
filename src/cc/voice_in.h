/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What voice.c, which decides, knows by the others: voice_fit.c what fits into a rate,
 * voice_queue.c how the link is, voice_probe.c what it might be.
 */
#ifndef PALABRE_CC_VOICE_IN_H
#define PALABRE_CC_VOICE_IN_H

#include <palabre/cc.h>

/* Until a decision shows in samples: their report comes every 100 ms, and the decision waits for
 * the next packet. */
#define VOICE_SLACK_US	   150000u
#define VOICE_QUEUE_ANY_US (INT64_MAX / 2) /* c->least_us: none seen yet */

/* ---- voice_fit.c ------------------------------------------------------------------- */

uint32_t voice_cost(const struct voice_ctl *c, unsigned rung, unsigned red);
uint32_t voice_cost_now(const struct voice_ctl *c); /* without a probe */
unsigned voice_clamp(const struct voice_ctl *c, unsigned rung);
unsigned voice_next(const struct voice_ctl *c);
/* The richest rung up to `most` that costs no more than bps with `red`. */
unsigned voice_richest(const struct voice_ctl *c, uint32_t bps, unsigned red,
		       unsigned most);
/* What voice may take of bps that get through. */
uint32_t voice_fit_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);
/* And for one step up, which can be taken back. */
uint32_t voice_next_fit_bps(uint32_t bps);
/* The link has become better: patience begins anew. */
void voice_better(struct voice_ctl *c, uint64_t now_us);
/* Is it lossy? Kept in c->lossy. */
void voice_loss_judge(struct voice_ctl *c, uint64_t now_us);
/* Redundancy that the losses want at this round trip, */
unsigned voice_wanted(const struct voice_ctl *c);
/* the poorest rung that it may push the voice to, and what of it is worth having for bps. */
unsigned voice_knee(const struct voice_ctl *c, uint64_t now_us);
unsigned voice_affordable(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);

/* ---- voice_queue.c ----------------------------------------------------------------- */

/* Nobody speaks now: of the last half second or more, packets are missing. */
bool voice_pauses(const struct voice_ctl *c, uint64_t now_us);
void voice_buckets_turn(struct voice_ctl *c, uint64_t now_us);
/* Loss of 256 in the last 16 s, fading; in reports, where they are all there is. */
unsigned voice_loss_long_q8(const struct voice_ctl *c, uint64_t now_us);
/* Longer than this is a queue and no jitter. */
int64_t voice_queue_limit_us(const struct voice_ctl *c);
/* Mean of the last samples; negative: too few. */
int64_t voice_queue_level_us(const struct voice_ctl *c, uint64_t now_us);
/* The decision by which a packet heard then was sent: a round trip and its queue ago, whichever
 * direction this is, and whatever clock its sending is by. */
uint64_t voice_decided_us(const struct voice_ctl *c, uint64_t heard_us, int64_t queue_us);
enum voice_queue {
	VOICE_QUEUE_NONE,
	VOICE_QUEUE_LATE, /* one sample says so: it may have been a stall */
	VOICE_QUEUE_GROWS /* or stands, and does not drain */
};
enum voice_queue voice_queue_judge(const struct voice_ctl *c, uint64_t now_us);
/* What the link bears if it has been sent `bps` while the queue grew. */
uint32_t voice_queue_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);
/* The queue as it must be by now, at `bps` where the link bears cap_bps. */
uint64_t voice_queue_now_us(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			    uint32_t cap_bps);
/* What looked like one is none: the way has become longer. */
void voice_queue_none(struct voice_ctl *c);
/* After LATE, until it is either. */
void voice_doubt_begin(struct voice_ctl *c, uint64_t now_us);
enum voice_queue voice_doubt_judge(struct voice_ctl *c, uint64_t now_us);
uint32_t voice_doubt_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);

/* ---- voice_probe.c ----------------------------------------------------------------- */

/* Sends `red` more packets in each from now on, bps instead of usual_bps, until
 * probe.until_us. */
void voice_probe_begin(struct voice_ctl *c, uint64_t now_us, unsigned red, uint32_t bps,
		       uint32_t usual_bps);
void voice_probe_see(struct voice_ctl *c, uint64_t now_us, int64_t queue_us);
/* All of it has been heard of, or should have been. */
bool voice_probe_over(const struct voice_ctl *c, uint64_t now_us);
/* It made a queue that can only mean that the link has become much less meanwhile. */
/* As much as it takes, from its beginning until now: who pauses sends next to nothing. */
bool voice_probe_sent(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);
bool voice_probe_burst(const struct voice_ctl *c);
/* What the link bears by it. *all: all of bps, it may be more. 0: it shows nothing, nobody spoke
 * or too little is known. */
uint32_t voice_probe_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			      uint32_t usual_bps, bool *all);

#endif
