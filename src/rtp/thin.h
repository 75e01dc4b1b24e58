/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rtp, private: what a slot leaves out (thin.c), as slot.c asks for it. */
#ifndef PALABRE_RTP_THIN_H
#define PALABRE_RTP_THIN_H

#include <palabre/rtp.h>

/* The segment begins with this packet. */
void thin_begin(struct rtp_thin *t, struct rtp_segment *seg, const struct pkt *first);
/* A packet that is newer than all of the segment before: does it get a number? */
void thin_next(struct rtp_thin *t, const struct rtp_segment *seg, const struct pkt *p);
/* So many were left out before the packet, in *gone (pkts, frames). -ENOENT: it is one of them; -EPROTO: it
 * is from before what is remembered. */
int thin_before(const struct rtp_thin *t, const struct rtp_segment *seg, uint64_t in,
		struct rtp_hole *gone) MUST_CHECK;
/* And before the packet that went out with this number. -ENOENT: not remembered. */
int thin_before_out(const struct rtp_thin *t, const struct rtp_segment *seg, uint64_t out,
		    struct rtp_hole *gone) MUST_CHECK;

#endif
