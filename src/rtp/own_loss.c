/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What of the loss that a receiver reports is its own. A slot's numbers have holes where packets had not come in
 * (rtp_slot maps by a constant), and the receiver cannot tell them from what its link loses.
 *
 * The slot knows of a hole before the receiver can report it, so holes wait here until they are reported;
 * not for ever, since those that were filled late (RTX of the sender) are reported by nobody.
 */
#include <palabre/rtp.h>

unsigned rtp_own_loss(struct rtp_own_loss *o, const struct rtp_slot *s,
		      unsigned fraction_lost)
{
	bool begun = o->highest;
	int64_t used = (int64_t)(s->highest - o->highest);
	int64_t sent = (int64_t)(s->packets - o->packets);
	int64_t lost, own;

	o->highest = s->highest;
	o->packets = s->packets;
	if (!begun)
		return fraction_lost;
	/* What was sent of earlier numbers fills holes. */
	o->missing += used - sent;
	if (o->missing < 0)
		o->missing = 0;
	lost = (used * (fraction_lost > 255 ? 255 : fraction_lost) + 255) / 256;
	own = lost > o->missing ? lost - o->missing : 0;
	o->missing -= lost - own;
	if (o->missing > used) /* older than one report */
		o->missing = used;
	if (!own)
		return 0;
	own = own * 256 / (sent > own ? sent : own);
	return own > 255 ? 255 : (unsigned)own;
}
