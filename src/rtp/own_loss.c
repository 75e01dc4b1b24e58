/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What of the loss that a receiver reports is its own. A slot's numbers have holes where packets had not come in
 * (rtp_slot maps by a constant), and the receiver cannot tell them from what its link loses.
 *
 * The slot knows of a hole before the receiver can report it, so holes wait here until they are reported;
 * not for ever, since those that were filled late (RTX of the sender) are reported by nobody.
 */
#include <palabre/rtp.h>

/* Holes made and filled since the last report. */
static void count_holes(struct rtp_own_loss *o, const struct rtp_slot *s)
{
	int64_t used = (int64_t)(s->highest - o->highest);
	int64_t sent = (int64_t)(s->packets - o->packets);

	if (o->missing > used) /* older than one report */
		o->missing = used;
	o->missing += used - sent;
	if (o->missing < 0)
		o->missing = 0;
	o->highest = s->highest;
	o->packets = s->packets;
}

unsigned rtp_own_loss(struct rtp_own_loss *o, const struct rtp_slot *s,
		      const struct rtcp_block *b)
{
	bool begun = o->highest;
	int64_t expected = (int32_t)(b->highest_seq - o->seen);
	int64_t lost = (int64_t)b->lost - o->lost, own;

	count_holes(o, s);
	o->seen = b->highest_seq;
	o->lost = b->lost;
	if (!begun) {
		o->missing = 0;
		return b->fraction_lost;
	}
	if (expected <= 0 || lost <= 0)
		return 0;
	if (lost > expected) /* it says what it likes */
		lost = expected;
	own = lost > o->missing ? lost - o->missing : 0;
	o->missing -= lost - own;
	if (!own)
		return 0;
	own = own * 256 / (expected - (lost - own));
	return own > 255 ? 255 : (unsigned)own;
}
