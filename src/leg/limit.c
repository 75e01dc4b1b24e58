/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What one microphone may cost: MIC_PKTS_A_SECOND packets, and now and then a new beginning
 * (SSRC, numbers, codec), which costs every listener a switch. Who has spent more is not
 * heard until AGAIN_US are saved, in one piece: many short holes would each be a beginning.
 */
#include "leg_private.h"

enum {
	PKT_COST_US = 1000000 / MIC_PKTS_A_SECOND,
	BEGIN_COST_US = 500000,
	/* What a stall of the link holds back comes at once: 8 s of 20 ms packets. */
	SAVED_MAX_US = 2000000,
	AGAIN_US = 750000 /* and a beginning can be paid of it */
};

bool leg_limit_take(struct mic_limit *l, uint64_t arrival_us)
{
	if (arrival_us > l->last_us) {
		uint64_t us = arrival_us - l->last_us;

		l->last_us = arrival_us;
		l->saved_us += us < SAVED_MAX_US ? (int64_t)us : SAVED_MAX_US;
		if (l->saved_us > SAVED_MAX_US)
			l->saved_us = SAVED_MAX_US;
	}
	l->silent = l->saved_us < (l->silent ? AGAIN_US : PKT_COST_US);
	if (!l->silent)
		l->saved_us -= PKT_COST_US;
	return !l->silent;
}

/* On credit: a beginning is known by the packet that has been let in. */
void leg_limit_begin(struct mic_limit *l)
{
	l->saved_us -= BEGIN_COST_US;
}
