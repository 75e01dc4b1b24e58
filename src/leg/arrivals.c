/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * When pictures came in, told to whoever sends them: transport-wide feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01), from which a browser learns what its uplink bears. Sound
 * has no such number (see ext_wanted in nego/select.c): it would cost 9 kbit/s back and is not what fills a link.
 *
 * Invariant: what is told of next is `next`; numbers up to `highest` may have come, and of the last
 * ARRIVALS it is known when. Numbers that leap begin anew, and what was not told of before that never is: a
 * browser takes it for lost. Memory is fixed; packets cost a store each, and a feedback is never larger than
 * what it tells of.
 */
#include "leg_private.h"

#include <stdlib.h>

enum {
	ARRIVALS = 1024,
	LATE_MAX = 64, /* so many are told of again when an earlier one comes after all */
	/* As libwebrtc does it: 5 % of what comes, between 4 and 20 times a second. */
	TELL_MIN_US = 50000,
	TELL_MAX_US = 250000,
	TELL_PART = 20,
	TOGETHER_US = 10000, /* packets of a frame that follow the first */
	TWCC_BYTES = 2
};
_Static_assert((int)ARRIVALS <= (int)TWCC_PUT_MAX, "one packet may tell of all");

struct arrivals {
	bool any;
	uint8_t number; /* of the next feedback */
	uint32_t ssrc;	/* of the last packet */
	uint64_t highest, next;
	uint64_t due_us;  /* 0: nothing to tell of */
	uint64_t told_us; /* the last time, */
	uint64_t every_us;
	uint64_t bytes; /* that came since */
	uint64_t rate_bps;
	struct {
		uint64_t number; /* 0: none */
		uint64_t at_us;
	} came[ARRIVALS]; /* by number */
};

int leg_arrivals_init(struct leg *leg, const struct nego_source *plan)
{
	if (leg->arrivals || plan->sec.audio || !plan->sec.codec_count ||
	    !plan->sec.codecs[0].twcc)
		return 0;
	leg->arrivals = calloc(1, sizeof *leg->arrivals);
	if (!leg->arrivals)
		return -1;
	leg->arrivals->every_us = TELL_MAX_US;
	return 0;
}

void leg_arrivals_fini(struct leg *leg)
{
	free(leg->arrivals);
}

/* Upwards always, so that what was remembered before is never taken for these. */
static uint64_t anew(struct arrivals *a, uint16_t seq)
{
	if (a->any)
		STAT_INC(twcc_stray);
	a->any = true;
	a->highest = a->next = ((a->highest >> 16) + 2) << 16 | seq;
	return a->highest;
}

/* The packet's number in 64 bits; 0: it is not to be told of. */
static uint64_t place(struct arrivals *a, uint16_t seq)
{
	uint64_t number = seq_extend16(a->highest, seq);

	if (!a->any || number > a->highest + ARRIVALS || number + ARRIVALS <= a->highest)
		return anew(a, seq);
	if (a->came[number % ARRIVALS].number == number || number + LATE_MAX < a->next) {
		STAT_INC(twcc_stray);
		return 0;
	}
	if (number > a->highest)
		a->highest = number;
	if (number < a->next)
		a->next = number;
	/* Who leaves out numbers pushes out what was not told of yet. */
	if (a->next + ARRIVALS <= a->highest)
		a->next = a->highest - ARRIVALS + 1;
	return number;
}

void leg_arrivals_take(struct leg *leg, const struct pkt *p, uint64_t now_us)
{
	struct arrivals *a = leg->arrivals;
	uint64_t number, soon_us = now_us + TOGETHER_US;

	if (p->rtp.ext[EXT_TWCC].len != TWCC_BYTES)
		return;
	number = place(a, get_be16(p->data + p->rtp.ext[EXT_TWCC].off));
	if (!number)
		return;
	a->came[number % ARRIVALS].number = number;
	a->came[number % ARRIVALS].at_us = p->arrival_us;
	a->ssrc = p->rtp.ssrc;
	a->bytes += p->len + WIRE_BYTES;
	if (!a->due_us) {
		a->due_us = a->told_us + a->every_us;
		if (a->due_us < soon_us)
			a->due_us = soon_us;
	}
	leg_feedback_at(leg, a->due_us);
}

/* How long until the next, so that this one has cost its part of what comes. */
static void pace(struct arrivals *a, size_t bytes, uint64_t now_us)
{
	uint64_t since_us = a->told_us ? now_us - a->told_us : TELL_MAX_US;
	uint64_t bps = a->bytes * 8 * 1000000 / (since_us ? since_us : 1);

	/* After a pause it is not the last rate that counts. */
	a->rate_bps = since_us > 4 * TELL_MAX_US || !a->rate_bps
			      ? bps
			      : (a->rate_bps * 3 + bps) / 4;
	a->every_us = bytes * 8 * 1000000 * TELL_PART / (a->rate_bps ? a->rate_bps : 1);
	if (a->every_us < TELL_MIN_US)
		a->every_us = TELL_MIN_US;
	if (a->every_us > TELL_MAX_US)
		a->every_us = TELL_MAX_US;
	a->told_us = now_us;
	a->bytes = 0;
}

static unsigned collect(const struct arrivals *a, int64_t at_us[ARRIVALS])
{
	unsigned count = (unsigned)(a->highest - a->next + 1);

	for (unsigned i = 0; i < count; i++) {
		uint64_t number = a->next + i;

		at_us[i] = a->came[number % ARRIVALS].number == number
				   ? (int64_t)a->came[number % ARRIVALS].at_us
				   : TWCC_LOST;
	}
	return count;
}

uint64_t leg_arrivals_put(struct leg *leg, struct wr *w, uint64_t now_us)
{
	struct arrivals *a = leg->arrivals;
	int64_t at_us[ARRIVALS];
	struct rtcp_twcc head;
	size_t before = wr_len(w);
	unsigned done;

	if (!a || !a->due_us)
		return UINT64_MAX;
	if (now_us < a->due_us)
		return a->due_us;
	head = (struct rtcp_twcc) { .ssrc = leg->ssrc,
				    .media_ssrc = a->ssrc,
				    .base = (uint16_t)a->next,
				    .number = a->number };
	done = rtcp_put_twcc(w, &head, at_us, collect(a, at_us));
	if (!done) /* what stands there leaves no room: the next one has it */
		return now_us;
	STAT_INC(twcc_tx);
	a->number++;
	a->next += done;
	if (a->next <= a->highest)
		return now_us;
	pace(a, wr_len(w) - before + WIRE_BYTES, now_us);
	a->due_us = 0;
	return UINT64_MAX;
}
