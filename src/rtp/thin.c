/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Temporal layers that a slot leaves out, and the numbers that close up behind them.
 *
 * Invariants: whether a picture is left out is decided once, at its first packet seen, in order. What has been given
 * a number keeps it, what has been left out never gets one: so packets that come late, or are sent again, are
 * placed by the holes alone. Holes of a segment ascend and do not touch each other, but for the last, which may
 * still grow.
 */
#include "thin.h"

#include <errno.h>

void rtp_slot_limit(struct rtp_slot *s, unsigned tid)
{
	s->thin.want_tid = tid < SLOT_TID_ALL ? (uint8_t)tid : SLOT_TID_ALL;
}

void thin_begin(struct rtp_thin *t, struct rtp_segment *seg, const struct pkt *first)
{
	t->tid = t->want_tid;
	t->newest_in = first->rtp.seq64 - 1;
	t->ts64 = first->rtp.ts64;
	t->numbered = t->end = t->leaving = false;
	t->frames = 0;
	seg->hole_first = t->hole_count;
	seg->hole_end = UINT32_MAX;
}

/* ---- where it is decided ----------------------------------------------------------- */

static bool leaves_out(struct rtp_thin *t, const struct frame_view *f)
{
	unsigned tid = f->tid < SLOT_TID_ALL ? f->tid : SLOT_TID_ALL;

	if (t->want_tid < t->tid || f->key)
		t->tid = t->want_tid;
	else if (f->up_tid > t->tid && f->tid <= t->tid + (f->up_tid == f->tid))
		t->tid = f->up_tid < t->want_tid ? f->up_tid : t->want_tid;
	return tid > t->tid;
}

/* Pictures' numbers go up by one: what comes between two is then known. */
static bool number_of(const struct pkt *p, uint16_t *number, uint16_t *mask)
{
	const struct frame_view *f = &p->rtp.frame;

	*mask = 0xffff;
	*number = f->dd_frame;
	if (f->has_dd)
		return true;
	*number = f->pid;
	*mask = f->pid_bits > 7 ? 0x7fff : 0x7f;
	return p->rtp.codec == CODEC_VP8 && f->pid_bits;
}

/* Are the packets missing between the newest and this one of a picture that is left out? */
static bool gap_is_out(const struct rtp_thin *t, const struct pkt *p, bool leaving)
{
	uint16_t number, mask;
	bool numbered = number_of(p, &number, &mask);

	if (p->rtp.ts64 == t->ts64)
		return leaving;
	if (!numbered || !t->numbered ||
	    ((number - t->number) & mask) != 1) /* whole pictures are missing */
		return false;
	if (p->rtp.frame.start) /* the former one's end */
		return t->leaving;
	return leaving && (t->leaving || t->end);
}

/* `count` packets up to *end* are left out. */
static void hole_grow(struct rtp_thin *t, const struct rtp_segment *seg, uint64_t end,
		      unsigned count, bool touches)
{
	bool any = t->hole_count != seg->hole_first;
	struct rtp_hole *last = any ? &t->holes[(t->hole_count - 1) % SLOT_HOLES] : NULL;
	uint32_t before = last ? last->pkts : 0;

	if (!last || !touches || last->first_in != t->newest_in + 1)
		last = &t->holes[t->hole_count++ % SLOT_HOLES];
	last->first_in = end;
	last->pkts = before + count;
	last->frames = t->frames;
}

void thin_next(struct rtp_thin *t, const struct rtp_segment *seg, const struct pkt *p)
{
	uint64_t in = p->rtp.seq64, gap = in - t->newest_in - 1;
	bool picture = p->rtp.payload_len > 0; /* padding goes with the one before */
	bool leaving = t->leaving, out_gap;
	uint16_t number, mask;

	if (picture && p->rtp.ts64 != t->ts64) {
		leaving = leaves_out(t, &p->rtp.frame);
		t->frames += leaving;
	}
	out_gap = gap && picture && gap_is_out(t, p, leaving);
	if (leaving || out_gap)
		hole_grow(t, seg, in + leaving, (out_gap ? (unsigned)gap : 0) + leaving,
			  !gap || out_gap);
	t->newest_in = in;
	if (!picture)
		return;
	t->ts64 = p->rtp.ts64;
	t->leaving = leaving;
	t->end = p->rtp.frame.end;
	t->numbered = number_of(p, &number, &mask);
	t->number = number;
}

/* ---- where it is looked up --------------------------------------------------------- */

static uint32_t oldest_kept(const struct rtp_thin *t, const struct rtp_segment *seg)
{
	uint32_t oldest = t->hole_count > SLOT_HOLES ? t->hole_count - SLOT_HOLES : 0;

	return oldest > seg->hole_first ? oldest : seg->hole_first;
}

static uint32_t end_of(const struct rtp_thin *t, const struct rtp_segment *seg)
{
	return seg->hole_end < t->hole_count ? seg->hole_end : t->hole_count;
}

int thin_before(const struct rtp_thin *t, const struct rtp_segment *seg, uint64_t in,
		struct rtp_hole *gone)
{
	uint32_t oldest = oldest_kept(t, seg), i = end_of(t, seg);
	const struct rtp_hole *next = NULL;
	struct rtp_hole found = { 0 };

	for (; i > oldest; i--) {
		const struct rtp_hole *h = &t->holes[(i - 1) % SLOT_HOLES];

		if (h->first_in <= in) {
			found = *h;
			break;
		}
		next = h;
	}
	if (i <= oldest && oldest != seg->hole_first)
		return -EPROTO;
	if (next && in >= next->first_in - (next->pkts - found.pkts))
		return -ENOENT;
	*gone = found;
	return 0;
}

int thin_before_out(const struct rtp_thin *t, const struct rtp_segment *seg, uint64_t out,
		    struct rtp_hole *gone)
{
	uint32_t oldest = oldest_kept(t, seg), i = end_of(t, seg);

	for (; i > oldest; i--) {
		const struct rtp_hole *h = &t->holes[(i - 1) % SLOT_HOLES];

		if (h->first_in + seg->seq_off - h->pkts <= out) {
			*gone = *h;
			return 0;
		}
	}
	if (oldest != seg->hole_first)
		return -ENOENT;
	*gone = (struct rtp_hole) { 0 };
	return 0;
}
