/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A received stream: 64-bit numbers, duplicates, losses, statistics.
 *
 * Invariants: seq64 only ever grows past `highest`, also when the source restarts, so
 * that a number names one packet for the life of the struct. Bit n mod RECV_WINDOW of
 * `seen` speaks of the packet n in (highest - RECV_WINDOW, highest]. `nacks` is ascending
 * and holds unseen numbers only.
 */
#include <palabre/rtp.h>

#include <string.h>

enum {
	NACK_SPACING_MIN_US = 12000,
	/* Each is asked for twice: on a link that loses packets so are the askings, and
	 * whoever has answered the first within a round trip ignores the second. Sound, whose packets
	 * are small and losses in bursts, later. */
	NACK_TWICE_AUDIO_US = 40000,
	NACK_TWICE_VIDEO_US = 15000,
	/* After so long without a packet nothing is merely out of order. */
	NACK_AT_ONCE_US = 3 * RECV_REORDER_MS * 1000,
	NACK_GIVE_UP_US =
		100000, /* without NACK: enough for reordering, soon for a PLI */
	NACK_GAP_AUDIO = RECV_NACK_AGE_AUDIO_MS / 20, /* older ones would come too late */
	NO_BAD_SEQ = -1
};

/* Bigger steps of the timestamp say nothing of jitter and would overflow it. */
static const uint64_t JITTER_STEP_MAX = 1u << 26;

static void reset(struct rtp_recv *r)
{
	r->received = 0;
	r->expected_prior = 0;
	r->received_prior = 0;
	r->transit = INT64_MIN;
	memset(&r->early, 0, sizeof r->early);
	r->jitter_q4 = 0;
	memset(r->seen, 0, sizeof r->seen);
	r->nack_count = 0;
	r->key_seq = 0;
	r->bad_seq = (uint32_t)NO_BAD_SEQ;
	r->renewed = false;
	r->stray_ts = 0;
}

static void forget_sr(struct rtp_recv *r)
{
	r->sr_mid_ntp = 0;
	r->sr_arrival_us = 0;
	r->sr_wall_us = 0;
	r->sr_ts64 = 0;
}

void rtp_recv_init(struct rtp_recv *r, uint32_t ssrc, uint32_t clock_rate, bool audio,
		   bool nack)
{
	memset(r, 0, sizeof *r);
	r->ssrc = ssrc;
	r->clock_rate = clock_rate ? clock_rate : 90000;
	r->audio = audio;
	r->nack = nack;
	reset(r);
}

void rtp_recv_renew(struct rtp_recv *r, uint32_t ssrc)
{
	r->ssrc = ssrc;
	r->renewed = true;
	/* An SR of the new SSRC may come before its first packet, the old one's must go.
	 */
	forget_sr(r);
}

static bool seen_get(const struct rtp_recv *r, uint64_t seq)
{
	return r->seen[seq / 64 % (RECV_WINDOW / 64)] >> (seq % 64) & 1;
}

static void seen_set(struct rtp_recv *r, uint64_t seq)
{
	r->seen[seq / 64 % (RECV_WINDOW / 64)] |= 1ull << (seq % 64);
}

static void seen_clear(struct rtp_recv *r, uint64_t seq)
{
	r->seen[seq / 64 % (RECV_WINDOW / 64)] &= ~(1ull << (seq % 64));
}

static void nack_drop(struct rtp_recv *r, unsigned i)
{
	r->nack_count--;
	memmove(&r->nacks[i], &r->nacks[i + 1], (r->nack_count - i) * sizeof r->nacks[0]);
}

static void nack_remove(struct rtp_recv *r, uint64_t seq)
{
	for (unsigned i = 0; i < r->nack_count && r->nacks[i].seq <= seq; i++)
		if (r->nacks[i].seq == seq) {
			r->answered += r->nacks[i].tries > 0;
			nack_drop(r, i);
			return;
		}
}

/* Packets `from`..`to` are missing. */
static void nack_add(struct rtp_recv *r, uint64_t from, uint64_t to, uint64_t now_us)
{
	bool at_once = !r->audio && now_us >= r->last_us + NACK_AT_ONCE_US;
	uint64_t missing = to - from + 1;

	if (r->audio) {
		if (missing > NACK_GAP_AUDIO)
			from = to - NACK_GAP_AUDIO + 1;
		while (r->nack_count && r->nack_count + (to - from + 1) > RECV_NACKS_MAX)
			nack_drop(r, 0);
	} else if (r->nack_count + missing > RECV_NACKS_MAX) {
		/* A key frame costs less than so many resends. */
		r->nack_count = 0;
		r->key_needed = true;
		return;
	}
	for (uint64_t seq = from; seq <= to; seq++) {
		unsigned i = r->nack_count++;

		r->nacks[i].seq = seq;
		r->nacks[i].since_us = now_us;
		r->nacks[i].next_us = now_us + (at_once ? 0 : RECV_REORDER_MS * 1000);
		r->nacks[i].tries = 0;
	}
}

static void advance(struct rtp_recv *r, uint64_t seq, uint64_t now_us)
{
	if (seq - r->highest >= RECV_WINDOW) {
		memset(r->seen, 0, sizeof r->seen);
	} else {
		for (uint64_t i = r->highest + 1; i < seq; i++)
			seen_clear(r, i);
	}
	if (seq > r->highest + 1)
		nack_add(r, r->highest + 1, seq - 1, now_us);
	r->highest = seq;
	seen_set(r, seq);
}

/* RFC 3550 A.8, in its integer form. */
static void jitter_update(struct rtp_recv *r, int64_t transit)
{
	uint64_t d;

	if (r->transit != INT64_MIN) {
		d = (uint64_t)transit - (uint64_t)r->transit;
		if (d >> 63)
			d = 0 - d;
		if (d <= JITTER_STEP_MAX)
			r->jitter_q4 += (uint32_t)d - ((r->jitter_q4 + 8) >> 4);
	}
	r->transit = transit;
}

static void begin(struct rtp_recv *r, struct pkt *p)
{
	uint64_t past;

	if (r->highest) {
		if (!r->renewed)
			forget_sr(r);
		reset(r);
		r->restarts++;
		past = r->highest + RECV_JUMP + 1;
		p->rtp.seq64 = past + (uint16_t)(p->rtp.seq - (uint16_t)past);
		p->rtp.ts64 = ((r->ts64 >> 32) + 1) << 32 | p->rtp.ts;
		if (r->sr_ts64)
			r->sr_ts64 = seq_extend32(p->rtp.ts64, (uint32_t)r->sr_ts64);
	} else {
		p->rtp.seq64 = seq_extend16(0, p->rtp.seq);
		/* An SR may have come before. */
		p->rtp.ts64 = seq_extend32(r->sr_ts64, p->rtp.ts);
	}
	r->base = p->rtp.seq64;
	r->highest = p->rtp.seq64;
	r->ts64 = p->rtp.ts64;
	r->ts_us = p->arrival_us;
	seen_set(r, p->rtp.seq64);
}

/* ---- timestamps of sound ----------------------------------------------------------- */

/* Does `ts` follow what came `us` before with `from`? Not backwards, and not ahead of the time,
 * by more than a queue on the way explains. */
static bool ts_follows(const struct rtp_recv *r, uint64_t from, uint64_t ts, uint64_t us)
{
	int64_t step = (int64_t)(ts - from);
	int64_t most = (int64_t)RECV_TS_JUMP_S * r->clock_rate;

	return step >= -most && step <= most + (int64_t)rtp_ticks(us, r->clock_rate);
}

/* A newest packet's timestamp is taken in, or is a stray. Like a sequence number (RFC 3550 A.1) a
 * jump is believed when the next packet goes on from there. */
static enum recv_result ts_take(struct rtp_recv *r, const struct pkt *p, bool repaired)
{
	uint64_t ts = p->rtp.ts64;
	uint64_t us = p->arrival_us > r->ts_us ? p->arrival_us - r->ts_us : 0;
	uint64_t stray = r->stray_ts;

	if (r->audio && !ts_follows(r, r->ts64, ts, us)) {
		if (repaired || !stray || !ts_follows(r, stray, ts, 0)) {
			if (!repaired)
				r->stray_ts = ts;
			STAT_INC(ts_stray);
			return RECV_STRAY;
		}
		STAT_INC(ts_jump);
		r->restarts++;
		forget_sr(r);
	}
	r->stray_ts = 0;
	r->ts64 = ts;
	r->ts_us = p->arrival_us;
	return RECV_NEW;
}

/* A late packet's is one of those before the newest. */
static bool ts_is_late(const struct rtp_recv *r, uint64_t ts)
{
	return !r->audio || (ts <= r->ts64 && ts_follows(r, ts, r->ts64, 0));
}

static bool is_jump(const struct rtp_recv *r, uint64_t seq)
{
	return seq > r->highest ? seq - r->highest > RECV_JUMP
				: r->highest - seq > RECV_JUMP;
}

bool rtp_recv_lacks(const struct rtp_recv *r, uint16_t seq)
{
	uint64_t seq64 = seq_extend16(r->highest, seq);

	return r->highest && seq64 >= r->base && seq64 < r->highest &&
	       r->highest - seq64 < RECV_WINDOW && !seen_get(r, seq64);
}

enum recv_result rtp_recv_packet(struct rtp_recv *r, struct pkt *p, bool repaired)
{
	enum recv_result res = RECV_NEW;
	int64_t transit;
	uint64_t seq;

	seq = seq_extend16(r->highest, p->rtp.seq);
	if (!r->highest || r->renewed || is_jump(r, seq)) {
		bool confirmed = !r->highest || r->renewed || r->bad_seq == p->rtp.seq;

		if (repaired || !confirmed) {
			if (!repaired)
				r->bad_seq = (uint16_t)(p->rtp.seq + 1);
			STAT_INC(rtp_old);
			return RECV_OLD;
		}
		begin(r, p);
	} else {
		p->rtp.seq64 = seq;
		p->rtp.ts64 = seq_extend32(r->ts64, p->rtp.ts);
		r->bad_seq = (uint32_t)NO_BAD_SEQ;
		if (seq > r->highest) {
			advance(r, seq, p->arrival_us);
			res = ts_take(r, p, repaired);
		} else if (r->highest - seq >= RECV_WINDOW) {
			STAT_INC(rtp_old);
			return RECV_OLD;
		} else if (seen_get(r, seq)) {
			STAT_INC(rtp_dup);
			return RECV_DUP;
		} else if (!ts_is_late(r, p->rtp.ts64)) {
			STAT_INC(ts_stray);
			return RECV_OLD;
		} else {
			seen_set(r, seq);
			nack_remove(r, seq);
			/* Reordered with the very first: expected must count it too. */
			if (seq < r->base)
				r->base = seq;
			res = RECV_LATE;
		}
	}
	r->received++;
	r->bytes += p->rtp.payload_len;
	r->last_us = p->arrival_us;
	transit = (int64_t)(rtp_ticks(p->arrival_us, r->clock_rate) - p->rtp.ts64);
	if (!repaired && res != RECV_STRAY)
		jitter_update(r, transit);
	if (r->audio)
		return res;
	p->rtp.transit = rtp_transit_put(&r->early, p->arrival_us, transit);
	if (p->rtp.frame.start && p->rtp.frame.key && p->rtp.seq64 > r->key_seq)
		r->key_seq = p->rtp.seq64;
	return res;
}

/* How long a missing packet is worth asking for. */
static uint64_t nack_age_us(const struct rtp_recv *r)
{
	if (!r->nack)
		return NACK_GIVE_UP_US;
	return (r->audio ? RECV_NACK_AGE_AUDIO_MS : RECV_NACK_AGE_VIDEO_MS) *
	       UINT64_C(1000);
}

unsigned rtp_recv_nacks(struct rtp_recv *r, uint64_t now_us, uint64_t rtt_us,
			uint16_t *out, unsigned max, uint64_t *next_us)
{
	uint64_t spacing = rtt_us > NACK_SPACING_MIN_US ? rtt_us : NACK_SPACING_MIN_US;
	uint64_t twice = r->audio ? NACK_TWICE_AUDIO_US : NACK_TWICE_VIDEO_US;
	uint64_t age = nack_age_us(r);
	unsigned kept = 0, count = 0;

	spacing += spacing / 4;
	if (rtt_us <= twice)
		twice = spacing;
	*next_us = UINT64_MAX;
	for (unsigned i = 0; i < r->nack_count; i++) {
		uint64_t due = r->nacks[i].next_us;
		uint64_t end = r->nacks[i].since_us + age;

		if (now_us >= end ||
		    (now_us >= due && r->nacks[i].tries >= RECV_NACK_TRIES_MAX)) {
			if (!r->audio && r->nacks[i].seq > r->key_seq)
				r->key_needed = true;
			continue;
		}
		if (!r->nack) {
			due = end;
		} else if (now_us >= due && count < max) {
			out[count++] = (uint16_t)r->nacks[i].seq;
			r->nacks[i].tries++;
			due = now_us + (r->nacks[i].tries % 2 ? twice : spacing);
			r->nacks[i].next_us = due;
		}
		if (due > end)
			due = end;
		if (due < *next_us)
			*next_us = due;
		r->nacks[kept++] = r->nacks[i];
	}
	r->nack_count = kept;
	return count;
}

bool rtp_recv_take_key_needed(struct rtp_recv *r)
{
	bool needed = r->key_needed;

	r->key_needed = false;
	return needed;
}

/* RFC 3550 A.3. */
void rtp_recv_block(struct rtp_recv *r, uint64_t now_us, struct rtcp_block *b)
{
	uint64_t expected = r->highest ? r->highest - r->base + 1 : 0;
	int64_t lost = (int64_t)expected - (int64_t)r->received;
	uint64_t expected_now, received_now;

	memset(b, 0, sizeof *b);
	b->ssrc = r->ssrc;
	expected_now = expected - r->expected_prior;
	received_now = r->received - r->received_prior;
	r->expected_prior = expected;
	r->received_prior = r->received;
	if (expected_now && received_now < expected_now)
		b->fraction_lost = (uint8_t)(((expected_now - received_now) * 256 - 1) /
					     expected_now);
	if (lost > 0x7fffff)
		lost = 0x7fffff;
	if (lost < -0x800000)
		lost = -0x800000;
	b->lost = (int32_t)lost;
	/* seq64 starts one cycle up. */
	b->highest_seq = (uint32_t)(r->highest ? r->highest - (1u << 16) : 0);
	b->jitter = r->jitter_q4 >> 4;
	if (r->sr_arrival_us) {
		uint64_t delay =
			now_us > r->sr_arrival_us ? now_us - r->sr_arrival_us : 0;

		b->lsr = r->sr_mid_ntp;
		b->dlsr = (uint32_t)rtp_ticks(delay, 65536);
	}
}

void rtp_recv_sr(struct rtp_recv *r, uint64_t ntp, uint32_t rtp_ts, uint64_t arrival_us)
{
	r->sr_mid_ntp = (uint32_t)(ntp >> 16);
	r->sr_arrival_us = arrival_us;
	/* 0 says "no wall clock" (RFC 3550 §6.4.1). */
	r->sr_wall_us = ntp ? ntp_to_wall_us(ntp) : 0;
	r->sr_ts64 = seq_extend32(r->highest ? r->ts64 : r->sr_ts64, rtp_ts);
}
