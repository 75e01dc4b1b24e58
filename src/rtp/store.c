/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a source has sent lately, once for all its receivers.
 *
 * Invariant: place n & mask is empty or holds packet n for one n in [oldest, highest],
 * and highest - oldest <= mask.
 */
#include <palabre/rtp.h>

#include <errno.h>
#include <stdlib.h>

enum { SCARCE_DROPS = 4 }; /* for one that is put */

int rtp_store_init(struct rtp_store *s, unsigned size)
{
	if (!size || (size & (size - 1)))
		return -EINVAL;
	s->ring = calloc(size, sizeof *s->ring);
	if (!s->ring)
		return -ENOMEM;
	s->mask = size - 1;
	s->highest = 0;
	s->oldest = 0;
	return 0;
}

static void drop(struct rtp_store *s, uint64_t seq64)
{
	struct pkt **place = &s->ring[seq64 & s->mask];

	pkt_unref(*place);
	*place = NULL;
}

void rtp_store_fini(struct rtp_store *s)
{
	if (!s->ring)
		return;
	for (uint64_t i = 0; i <= s->mask; i++)
		drop(s, i);
	free(s->ring);
	s->ring = NULL;
	s->mask = 0;
	s->highest = 0;
	s->oldest = 0;
}

/* Rather no resend than no packet for what arrives: then everybody's connection would be lost. */
static void make_room(struct rtp_store *s, const struct pkt *p)
{
	for (unsigned i = 0;
	     i < SCARCE_DROPS && s->oldest < s->highest && pkt_pool_scarce(p->pool);
	     i++) {
		STAT_ADD(store_scarce, s->ring[s->oldest & s->mask] != NULL);
		drop(s, s->oldest++);
	}
}

void rtp_store_put(struct rtp_store *s, struct pkt *p)
{
	uint64_t seq = p->rtp.seq64;

	if (s->highest == 0) {
		s->highest = seq;
		s->oldest = seq;
	} else if (seq > s->highest) {
		uint64_t from = s->highest + 1;

		/* What the missing ones would have replaced goes too. */
		if (seq - s->highest > s->mask)
			from = seq - s->mask;
		for (uint64_t i = from; i < seq; i++)
			drop(s, i);
		s->highest = seq;
		if (s->oldest + s->mask < seq)
			s->oldest = seq - s->mask;
	} else if (s->highest - seq > s->mask) {
		return;
	} else if (seq < s->oldest) {
		s->oldest = seq;
	}
	drop(s, seq);
	s->ring[seq & s->mask] = pkt_ref(p);
	make_room(s, p);
}

struct pkt *rtp_store_get(const struct rtp_store *s, uint64_t seq64)
{
	struct pkt *p;

	if (!s->ring || seq64 < s->oldest || seq64 > s->highest)
		return NULL;
	p = s->ring[seq64 & s->mask];
	return p && p->rtp.seq64 == seq64 ? p : NULL;
}

void rtp_store_expire(struct rtp_store *s, uint64_t before_us)
{
	if (!s->ring)
		return;
	for (; s->oldest < s->highest || (s->oldest == s->highest && s->highest);
	     s->oldest++) {
		struct pkt *p = s->ring[s->oldest & s->mask];

		/* A late arrival may hold up those behind it, by the age once more at
		 * most. */
		if (p && p->arrival_us >= before_us)
			return;
		drop(s, s->oldest);
	}
}
