/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What voice_queue.c knows of the link, for voice.c, which decides. */
#ifndef PALABRE_CC_VOICE_IN_H
#define PALABRE_CC_VOICE_IN_H

#include <palabre/cc.h>

void voice_buckets_turn(struct voice_ctl *c, uint64_t now_us);
/* Loss of 256 in the last 16 s, fading; in reports, where they are all there is. */
unsigned voice_loss_long_q8(const struct voice_ctl *c, uint64_t now_us);
/* Longer than this is a queue and no jitter. */
int64_t voice_queue_limit_us(const struct voice_ctl *c);
/* Mean of the last samples; negative: too few. */
int64_t voice_queue_level_us(const struct voice_ctl *c, uint64_t now_us);
enum voice_queue {
	VOICE_QUEUE_NONE,
	VOICE_QUEUE_LATE, /* one sample says so: it may have been a stall */
	VOICE_QUEUE_GROWS /* and does not get shorter */
};
enum voice_queue voice_queue_judge(const struct voice_ctl *c, uint64_t now_us);
/* After LATE, until it is either. */
void voice_doubt_begin(struct voice_ctl *c, uint64_t now_us);
enum voice_queue voice_doubt_judge(struct voice_ctl *c, uint64_t now_us);
/* What the link bears if it has been sent `bps` while the queue grew. */
uint32_t voice_queue_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);

uint32_t voice_doubt_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps);
/* What looked like one is none: the way has become longer. */
void voice_queue_none(struct voice_ctl *c);
/* The queue as it must be by now, at `bps` where the link bears cap_bps. */
uint64_t voice_queue_now_us(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			    uint32_t cap_bps);

/* Probe: sends `red` more packets in each from now on, bps instead of usual_bps, until probe.until_us. */
void voice_probe_begin(struct voice_ctl *c, uint64_t now_us, unsigned red, uint32_t bps,
		       uint32_t usual_bps);
/* All of it has been heard of, or should have been. */
bool voice_probe_over(const struct voice_ctl *c, uint64_t now_us);
/* It made a queue that can only mean that the link has become much less meanwhile. */
bool voice_probe_burst(const struct voice_ctl *c);
/* What the link bears by it, having got `bps` instead of `usual_bps`. *all: all of bps, it may
 * be more. 0: it shows nothing, nobody spoke or too little is known. */
uint32_t voice_probe_rate_bps(const struct voice_ctl *c, uint64_t now_us, uint32_t bps,
			      uint32_t usual_bps, bool *all);

#endif
