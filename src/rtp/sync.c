/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A VP8 encoder that keeps to a low rate leaves pictures out after a key frame, and often the very ones that carry the Y bit
 * (RFC 7741 §4.2: nothing but the base layer is needed). The others name what they need by layer alone, so a
 * browser that has had no picture of a layer since the key frame waits with all that may need it until the next round of Y
 * bits, for 400 ms at 20 pictures a second, and shows the base layer's meanwhile: each switch to another picture began
 * with that.
 *
 * But a key frame renews everything that can be referred to. Who has all packets since then has all that any picture after it
 * needs, and the first of a layer can be marked with the Y bit that was left out. Of who loses a picture between the base layer's
 * and that one, the browser may decode it all the same, with a blemish until the next round.
 */
#include <palabre/rtp.h>

static bool lacks_layer(const struct rtp_sync *s, unsigned tid)
{
	unsigned needed = (2u << tid) - 1;

	return (s->seen & needed) != needed;
}

static void count(struct rtp_sync *s, uint64_t seq)
{
	if (seq > s->newest) {
		s->missing += (unsigned)(seq - s->newest - 1);
		s->newest = seq;
	} else if (s->missing) {
		s->missing--;
	}
}

bool rtp_sync_take(struct rtp_sync *s, const struct pkt *p)
{
	const struct frame_view *f = &p->rtp.frame;
	uint64_t seq = p->rtp.seq64;

	if (p->rtp.payload_len && f->key && f->start && seq > s->newest) {
		*s = (struct rtp_sync) {
			.key = seq, .newest = seq, .ts64 = p->rtp.ts64, .seen = 1
		};
		return false;
	}
	if (!s->seen || seq < s->key)
		return false;
	count(s, seq);
	if (!p->rtp.payload_len)
		return false; /* padding */
	if (p->rtp.ts64 == s->ts64)
		return s->put;
	if (seq != s->newest) { /* one that was missing: it has a mark, or none */
		s->seen |= (uint8_t)(1u << f->tid);
		return false;
	}
	s->ts64 = p->rtp.ts64;
	s->put = f->tid && f->up_tid != f->tid && !s->missing && lacks_layer(s, f->tid);
	s->seen |= (uint8_t)(1u << f->tid);
	return s->put;
}
