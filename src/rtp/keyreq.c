/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * When to ask a source for a key frame. `waiting`: asked and not answered, so that the
 * next request is a repetition (it waits for the answer's way as well).
 */
#include <palabre/rtp.h>

static const uint64_t RTT_MAX_US = 10 * 1000000;

void keyreq_want(struct keyreq *k)
{
	k->wanted = true;
	k->hurried = true;
}

void keyreq_wish(struct keyreq *k)
{
	k->wanted = true;
}

void keyreq_shared(struct keyreq *k, uint64_t asked_us)
{
	k->asked_us = asked_us;
}

bool keyreq_due(struct keyreq *k, uint64_t now_us, uint64_t rtt_us, uint64_t *next_us)
{
	uint64_t wait = (k->hurried ? KEYREQ_MIN_MS : KEYREQ_PATIENT_MS) * UINT64_C(1000);

	*next_us = UINT64_MAX;
	if (!k->wanted)
		return false;
	if (k->waiting) {
		uint64_t rtt = rtt_us < RTT_MAX_US ? rtt_us : RTT_MAX_US;
		uint64_t answer = rtt + rtt / 2 + 100000;

		if (answer > wait)
			wait = answer;
	}
	if (k->asked_us && now_us < k->asked_us + wait) {
		*next_us = k->asked_us + wait;
		return false;
	}
	k->asked_us = now_us;
	k->waiting = true;
	*next_us = now_us + wait;
	return true;
}

void keyreq_got(struct keyreq *k)
{
	k->wanted = false;
	k->waiting = false;
	k->hurried = false;
}
