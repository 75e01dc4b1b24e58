/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Received streams: numbers, duplicates, statistics, NACK; the sender's clock; key
 * requests. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <palabre/rtp.h>

static struct pkt P;

static enum recv_result feed_at(struct rtp_recv *r, unsigned seq, uint32_t ts,
				uint64_t at_us)
{
	P.rtp.seq = (uint16_t)seq;
	P.rtp.ts = ts;
	P.rtp.payload_len = 10;
	P.arrival_us = at_us;
	return rtp_recv_packet(r, &P, false);
}

static enum recv_result feed(struct rtp_recv *r, unsigned seq)
{
	return feed_at(r, seq, seq * 960u, 1000000 + seq * 20000ull);
}

static void test_wrap_and_window(void **state)
{
	struct rtp_recv r;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true); /* its timestamps do not wrap */
	assert_int_equal(feed(&r, 65534), RECV_NEW);
	assert_int_equal(P.rtp.seq64, 65536 + 65534);
	/* one from before the first still gets a number */
	assert_int_equal(feed(&r, 65530), RECV_LATE);
	assert_int_equal(P.rtp.seq64, 65536 + 65530);
	assert_int_equal(feed(&r, 65530), RECV_DUP);
	assert_int_equal(feed(&r, 1), RECV_NEW);
	assert_int_equal(P.rtp.seq64, 2 * 65536 + 1);
	assert_int_equal(feed(&r, 65535), RECV_LATE);
	assert_int_equal(feed(&r, 65535), RECV_DUP);
	assert_int_equal(feed(&r, 0), RECV_LATE);
	assert_int_equal(feed(&r, 1), RECV_DUP);
	/* duplicates are known up to the window's edge, and beyond it nothing is taken */
	for (unsigned i = 2; i <= 2000; i++)
		assert_int_equal(feed(&r, i), RECV_NEW);
	assert_int_equal(feed(&r, 2000 - RECV_WINDOW + 1), RECV_DUP);
	assert_int_equal(feed(&r, 2000 - RECV_WINDOW), RECV_OLD);
	assert_int_equal(r.received, 5 + 1999);
	/* a gap wider than the window leaves no stale marks */
	assert_int_equal(feed(&r, 2000 + RECV_WINDOW + 5), RECV_NEW);
	for (unsigned i = 6; i < RECV_WINDOW; i++)
		assert_int_equal(feed(&r, 2000 + i), RECV_LATE);
	/* and one narrower neither */
	assert_int_equal(feed(&r, 2000 + 2 * RECV_WINDOW), RECV_NEW);
	assert_int_equal(feed(&r, 2000 + 2 * RECV_WINDOW - 1), RECV_LATE);
}

static void test_ts_wraps(void **state)
{
	struct rtp_recv r;
	uint64_t first;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	feed_at(&r, 10, 0xfffffff0u, 1000);
	first = P.rtp.ts64;
	assert_true(first >= 1ull << 32);
	feed_at(&r, 12, 0x10, 2000);
	assert_int_equal(P.rtp.ts64 - first, 0x20);
	feed_at(&r, 11, 0xfffffff8u, 3000);
	assert_int_equal(P.rtp.ts64 - first, 8);
	assert_int_equal(r.ts64 - first, 0x20);
}

static void test_restart(void **state)
{
	struct rtp_recv r;
	struct rtcp_block b;
	uint64_t before;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	for (unsigned i = 0; i < 10; i++)
		feed(&r, 1000 + i);
	before = r.highest;
	/* one stray packet changes nothing */
	assert_int_equal(feed(&r, 30000), RECV_OLD);
	assert_int_equal(feed(&r, 1010), RECV_NEW);
	assert_int_equal(r.highest, before + 1);
	/* and does not count as the first of two later */
	assert_int_equal(feed(&r, 30001), RECV_OLD);
	/* RTX never restarts */
	P.rtp.seq = 30002;
	assert_int_equal(rtp_recv_packet(&r, &P, true), RECV_OLD);
	assert_int_equal(r.restarts, 0);
	assert_int_equal(feed(&r, 30002), RECV_NEW);
	assert_int_equal(r.restarts, 1);
	assert_true(P.rtp.seq64 > before + RECV_JUMP);
	assert_int_equal(P.rtp.seq64 & 0xffff, 30002);
	rtp_recv_block(&r, 5000000, &b);
	assert_int_equal(b.lost, 0);
	/* downwards, numbers still go up; 2^16 restarts leave room */
	for (unsigned i = 0; i < 65536; i++) {
		unsigned to = i % 2 ? 30000 : 100;

		before = r.highest;
		assert_int_equal(feed(&r, to), RECV_OLD);
		assert_int_equal(feed(&r, to + 1), RECV_NEW);
		assert_true(r.highest > before + RECV_JUMP &&
			    r.highest <= before + 70000);
	}
	assert_int_equal(r.restarts, 65537);
	/* a step of exactly RECV_JUMP is loss, one more a restart */
	before = r.highest;
	assert_int_equal(feed(&r, (unsigned)before + RECV_JUMP), RECV_NEW);
	assert_int_equal(r.highest, before + RECV_JUMP);
	assert_int_equal(feed(&r, (unsigned)r.highest + RECV_JUMP + 1), RECV_OLD);
	/* another SSRC: at once */
	rtp_recv_renew(&r, 77);
	before = r.highest;
	assert_int_equal(feed(&r, (unsigned)before), RECV_NEW);
	assert_true(r.highest > before + RECV_JUMP);
	rtp_recv_block(&r, 5000000, &b);
	assert_int_equal(b.ssrc, 77);
}

/* Sound's timestamps go with the time; a step that does not is believed the second time. */
static void test_ts_jumps(void **state)
{
	static const uint32_t steps[] = { 0x80000000, 0x7fffffff, 48000 * 11,
					  (uint32_t)-48000 * 11 };
	uint64_t at_us = 1000000;
	uint32_t ts = 5000;
	unsigned seq = 10;
	struct rtp_recv r;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	assert_int_equal(feed_at(&r, seq++, ts, at_us), RECV_NEW);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		/* one alone */
		assert_int_equal(feed_at(&r, seq++, ts + steps[i], at_us), RECV_STRAY);
		assert_int_equal(feed_at(&r, seq++, ts += 960, at_us), RECV_NEW);
		/* another clock */
		ts += steps[i];
		assert_int_equal(feed_at(&r, seq++, ts += 960, at_us), RECV_STRAY);
		assert_int_equal(r.restarts, i);
		assert_int_equal(feed_at(&r, seq++, ts += 960, at_us), RECV_NEW);
		assert_int_equal(r.restarts, i + 1);
		assert_int_equal((uint32_t)r.ts64, ts);
		assert_int_equal(P.rtp.seq64, 65536 + seq - 1);
	}
	/* an hour without a packet is no jump, nor are a queue of 9 s and what it held back */
	at_us += UINT64_C(3600) * 1000000;
	ts += 3600u * 48000;
	assert_int_equal(feed_at(&r, seq++, ts, at_us), RECV_NEW);
	at_us += 9000000;
	for (unsigned i = 0; i < 450; i++)
		assert_int_equal(feed_at(&r, seq++, ts += 960, at_us), RECV_NEW);
	/* a late one is from before, and not from long before */
	seq += 3;
	ts += 3 * 960;
	assert_int_equal(feed_at(&r, seq++, ts, at_us), RECV_NEW);
	assert_int_equal(feed_at(&r, seq - 2, ts - 960, at_us), RECV_LATE);
	assert_int_equal(feed_at(&r, seq - 3, ts + 960, at_us), RECV_OLD);
	assert_int_equal(feed_at(&r, seq - 3, ts - 48000 * 11, at_us), RECV_OLD);
	assert_int_equal(feed_at(&r, seq - 3, ts - 2 * 960, at_us), RECV_LATE);
	assert_int_equal(r.restarts, ARRAY_LEN(steps));
	/* pictures may be from whenever they like */
	rtp_recv_init(&r, 1, 90000, false, true);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(feed_at(&r, i, i * 0x70000000u, at_us), RECV_NEW);
}

static void test_repaired_first(void **state)
{
	struct rtp_recv r;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	P.rtp.seq = 5;
	assert_int_equal(rtp_recv_packet(&r, &P, true), RECV_OLD);
	assert_int_equal(r.highest, 0);
}

/* RFC 3550 A.3: fraction of the interval, cumulative loss with sign. */
static void test_report_block(void **state)
{
	struct rtp_recv r;
	struct rtcp_block b;

	(void)state;
	rtp_recv_init(&r, 9, 48000, true, true);
	rtp_recv_block(&r, 1000, &b);
	assert_int_equal(b.ssrc, 9);
	assert_int_equal(b.highest_seq, 0);
	assert_int_equal(b.fraction_lost, 0);
	for (unsigned i = 65500; i < 65500 + 100; i++)
		if (i % 4)
			feed(&r, i);
	/* 65500 is divisible by 4: first is 65501, last 65599; 24 lost of 99 */
	rtp_recv_block(&r, 1000, &b);
	assert_int_equal(b.highest_seq, 65599);
	assert_int_equal(b.lost, 24);
	assert_in_range(b.fraction_lost, 24 * 256 / 99 - 1, 24 * 256 / 99);
	rtp_recv_block(&r, 1000, &b);
	assert_int_equal(b.fraction_lost, 0);
	assert_int_equal(b.lost, 24);
	/* repairs bring it back, and more than expected in an interval is no loss */
	for (unsigned i = 65504; i < 65600; i += 4) {
		P.rtp.seq = (uint16_t)i;
		assert_int_equal(rtp_recv_packet(&r, &P, true), RECV_LATE);
	}
	rtp_recv_block(&r, 1000, &b);
	assert_int_equal(b.fraction_lost, 0);
	assert_int_equal(b.lost, 0);
	/* LSR and DLSR: 1.5 s */
	assert_int_equal(b.lsr, 0);
	rtp_recv_sr(&r, 0x1234567890abcdefull, 0, 2000000);
	rtp_recv_block(&r, 3500000, &b);
	assert_int_equal(b.lsr, 0x567890ab);
	assert_int_equal(b.dlsr, 3 * 65536 / 2);
}

/* The worked form of RFC 3550 A.8: J += (|D| - J) / 16 in the integer arithmetic given
 * there. */
static void test_jitter(void **state)
{
	static const int late_us[] = { 0, 10000, 0, 5000, 20000, 0, 0, 0, 3000, 7000 };
	struct rtp_recv r;
	struct rtcp_block b;
	uint32_t q = 0;
	int64_t last = 0;

	(void)state;
	rtp_recv_init(&r, 1, 8000, true, true);
	for (unsigned i = 0; i < ARRAY_LEN(late_us); i++) {
		int64_t transit = late_us[i] * 8 / 1000;
		uint32_t d = (uint32_t)llabs(transit - last);

		feed_at(&r, i, i * 160, 1000000 + i * 20000 + (unsigned)late_us[i]);
		if (i)
			q += d - ((q + 8) >> 4);
		last = transit;
		rtp_recv_block(&r, 0, &b);
		assert_int_equal(b.jitter, q >> 4);
	}
	assert_true(b.jitter > 20 && b.jitter < 80);
	/* RTX arrivals say nothing */
	P.rtp.seq = 11;
	P.rtp.ts = 12 * 160;
	P.arrival_us = 9000000;
	assert_int_equal(rtp_recv_packet(&r, &P, true), RECV_NEW);
	rtp_recv_block(&r, 0, &b);
	assert_int_equal(b.jitter, q >> 4);
	/* nor does a senseless timestamp, and it overflows nothing */
	feed_at(&r, 12, 0x7fffffff, 1300000);
	rtp_recv_block(&r, 0, &b);
	assert_int_equal(b.jitter, q >> 4);
}

static void test_nack_timing(void **state)
{
	struct rtp_recv r;
	uint16_t out[8];
	uint64_t next, t0;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	assert_int_equal(rtp_recv_nacks(&r, 1, 0, out, 8, &next), 0);
	assert_true(next == UINT64_MAX);
	feed_at(&r, 65534, 0, 1000000);
	feed_at(&r, 2, 0, 1000000);
	t0 = 1000000 + RECV_REORDER_MS * 1000;
	assert_int_equal(rtp_recv_nacks(&r, t0 - 1, 0, out, 8, &next), 0);
	assert_int_equal(next, t0);
	assert_int_equal(rtp_recv_nacks(&r, t0, 100000, out, 8, &next), 3);
	assert_int_equal(out[0], 65535);
	assert_int_equal(out[1], 0);
	assert_int_equal(out[2], 1);
	/* twice, since what asks may be lost */
	assert_int_equal(next, t0 + 15000);
	assert_int_equal(rtp_recv_nacks(&r, t0 + 15000, 100000, out, 8, &next), 3);
	t0 += 15000;
	assert_int_equal(next, t0 + 125000);
	/* one comes: it is asked for no more */
	assert_int_equal(feed_at(&r, 0, 0, 1050000), RECV_LATE);
	assert_int_equal(rtp_recv_nacks(&r, t0 + 124999, 100000, out, 8, &next), 0);
	/* no room for both: the rest at the next call */
	assert_int_equal(rtp_recv_nacks(&r, t0 + 125000, 100000, out, 1, &next), 1);
	assert_int_equal(out[0], 65535);
	assert_int_equal(next, t0 + 125000);
	assert_int_equal(rtp_recv_nacks(&r, t0 + 125000, 100000, out, 8, &next), 1);
	assert_int_equal(out[0], 1);
	/* a zero RTT still leaves 15 ms between tries */
	assert_int_equal(rtp_recv_nacks(&r, t0 + 300000, 0, out, 8, &next), 2);
	assert_int_equal(next, t0 + 315000);
	/* by age it gives up, and a picture then needs a key */
	assert_false(rtp_recv_take_key_needed(&r));
	assert_int_equal(rtp_recv_nacks(&r, 1000000 + RECV_NACK_AGE_VIDEO_MS * 1000ull, 0,
					out, 8, &next),
			 0);
	assert_true(next == UINT64_MAX);
	assert_int_equal(r.nack_count, 0);
	assert_true(rtp_recv_take_key_needed(&r));
	assert_false(rtp_recv_take_key_needed(&r));
}

static void test_nack_tries_and_audio(void **state)
{
	struct rtp_recv r;
	uint16_t out[RECV_NACKS_MAX];
	const uint64_t end = 1000000 + RECV_NACK_AGE_AUDIO_MS * 1000ull;
	uint64_t next = 1000000;
	unsigned asked = 0;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	feed_at(&r, 10, 0, 1000000);
	feed_at(&r, 12, 0, 1000000);
	for (unsigned i = 0; i < 100 && next != UINT64_MAX; i++)
		asked += rtp_recv_nacks(&r, next, 1, out, 8, &next);
	assert_int_equal(asked, RECV_NACK_TRIES_MAX);
	assert_true(rtp_recv_take_key_needed(&r));
	/* behind a long gap nothing is merely out of order */
	feed_at(&r, 15, 0, 1200000);
	assert_int_equal(rtp_recv_nacks(&r, 1200000, 1, out, 8, &next), 2);
	/* audio: by its own age, no key */
	rtp_recv_init(&r, 1, 48000, true, true);
	feed_at(&r, 10, 0, 1000000);
	feed_at(&r, 12, 0, 1000000);
	assert_int_equal(rtp_recv_nacks(&r, end - 1, 1, out, 8, &next), 1);
	assert_int_equal(next, end);
	assert_int_equal(rtp_recv_nacks(&r, end, 1, out, 8, &next), 0);
	assert_true(next == UINT64_MAX);
	assert_false(rtp_recv_take_key_needed(&r));
	/* each time twice, since what asks may be lost: the second, 40 ms later, unless that is
	 * when it would be asked for anew */
	rtp_recv_init(&r, 1, 48000, true, true);
	feed_at(&r, 10, 0, 1000000);
	feed_at(&r, 12, 0, 1000000);
	assert_int_equal(rtp_recv_nacks(&r, 1020000, 200000, out, 8, &next), 1);
	assert_int_equal(next, 1060000);
	assert_int_equal(rtp_recv_nacks(&r, 1060000, 200000, out, 8, &next), 1);
	assert_int_equal(next, 1310000);
	assert_int_equal(rtp_recv_nacks(&r, 1310000, 200000, out, 8, &next), 1);
	assert_int_equal(next, 1350000);
	/* a long gap in audio: only what can still be of use */
	feed_at(&r, 1012, 0, 2000000);
	assert_int_equal(rtp_recv_nacks(&r, 2100000, 1, out, RECV_NACKS_MAX, &next), 30);
	assert_int_equal(out[0], 1012 - 30);
	assert_int_equal(out[29], 1011);
	/* many gaps: the oldest go */
	for (unsigned i = 0; i < 300; i++)
		feed_at(&r, 1014 + 2 * i, 0, 2100000);
	assert_int_equal(r.nack_count, RECV_NACKS_MAX);
	for (unsigned i = 1; i < r.nack_count; i++)
		assert_true(r.nacks[i].seq > r.nacks[i - 1].seq);
	assert_int_equal(r.nacks[RECV_NACKS_MAX - 1].seq & 0xffff, 1014 + 2 * 299 - 1);
}

static void test_nack_overflow_and_key(void **state)
{
	struct rtp_recv r;
	uint16_t out[8];
	uint64_t next;

	(void)state;
	rtp_recv_init(&r, 1, 90000, false, true);
	feed_at(&r, 10, 0, 1000000);
	feed_at(&r, 10 + RECV_NACKS_MAX + 1, 0, 1000000);
	assert_int_equal(r.nack_count, RECV_NACKS_MAX);
	assert_false(rtp_recv_take_key_needed(&r));
	feed_at(&r, 10 + RECV_NACKS_MAX + 3, 0, 1000000);
	assert_int_equal(r.nack_count, 0);
	assert_true(rtp_recv_take_key_needed(&r));
	/* a loss before a key frame needs no other one */
	rtp_recv_init(&r, 1, 90000, false, true);
	feed_at(&r, 10, 0, 1000000);
	P.rtp.frame.start = P.rtp.frame.key = true;
	feed_at(&r, 12, 0, 1000000);
	memset(&P.rtp.frame, 0, sizeof P.rtp.frame);
	rtp_recv_nacks(&r, 9000000, 0, out, 8, &next);
	assert_int_equal(r.nack_count, 0);
	assert_false(rtp_recv_take_key_needed(&r));
	/* without NACK nothing is asked for, but the key is, and soon */
	rtp_recv_init(&r, 1, 90000, false, false);
	feed_at(&r, 10, 0, 1000000);
	feed_at(&r, 12, 0, 1000000);
	assert_int_equal(rtp_recv_nacks(&r, 1050000, 0, out, 8, &next), 0);
	assert_int_equal(next, 1100000);
	assert_int_equal(rtp_recv_nacks(&r, 1100000, 0, out, 8, &next), 0);
	assert_true(rtp_recv_take_key_needed(&r));
}

static void test_clock(void **state)
{
	struct rtp_clock c = { 0 };
	struct rtp_recv r;
	uint64_t wall = 1700000000ull * 1000000, out, t = 5000000;

	(void)state;
	rtp_recv_init(&r, 1, 48000, true, true);
	assert_false(rtp_capture_us(&r, &c, 0, &out));
	/* an SR before the first packet, timestamps about to wrap */
	rtp_recv_sr(&r, ntp_from_wall_us(wall), 0xfffffff0u, t + 300000);
	rtp_clock_sr(&c, ntp_from_wall_us(wall), t + 300000);
	feed_at(&r, 1, 0xfffffff0u + 48000, t + 1300000);
	assert_true(rtp_capture_us(&r, &c, P.rtp.ts64, &out));
	assert_in_range(out, t + 1300000 - 2, t + 1300000 + 2);
	/* one that waited less corrects it, one that waited more doesn't */
	rtp_clock_sr(&c, ntp_from_wall_us(wall + 5000000), t + 5000000 + 40000);
	rtp_clock_sr(&c, ntp_from_wall_us(wall + 10000000), t + 10000000 + 900000);
	assert_true(rtp_capture_us(&r, &c, P.rtp.ts64, &out));
	assert_in_range(out, t + 1040000 - 3, t + 1040000 + 3);
	assert_true(rtp_capture_us(&r, &c, P.rtp.ts64 - 96000, &out));
	assert_in_range(out, t - 960000 - 3, t - 960000 + 3);
	/* drift: after at most two windows the old best is forgotten */
	for (unsigned i = 3; i < 60; i++)
		rtp_clock_sr(&c, ntp_from_wall_us(wall + i * 5000000ull),
			     t + i * 5000000ull + 80000);
	assert_true(rtp_capture_us(&r, &c, P.rtp.ts64, &out));
	assert_in_range(out, t + 1080000 - 3, t + 1080000 + 3);
	/* the sender's clock is set back by a day */
	rtp_clock_sr(&c, ntp_from_wall_us(wall + 300000000ull - 86400000000ull),
		     t + 300000000ull);
	assert_true(c.offset_us + (int64_t)wall > 86000000000ll);
	/* nonsense */
	assert_false(rtp_capture_us(&r, &c, P.rtp.ts64 + (1ull << 50), &out));
	rtp_recv_sr(&r, 0, 5, t);
	assert_false(rtp_capture_us(&r, &c, P.rtp.ts64, &out));
	memset(&c, 0, sizeof c);
	rtp_clock_sr(&c, 0, 5);
	assert_false(c.known);
	rtp_clock_sr(&c, UINT64_MAX, 5);
	rtp_clock_sr(&c, 1, 5);
	rtp_recv_sr(&r, 1, 5, 5);
	(void)rtp_capture_us(&r, &c, 5, &out);
}

static void test_keyreq(void **state)
{
	struct keyreq k = { 0 };
	uint64_t next;

	(void)state;
	assert_false(keyreq_due(&k, 1000, 0, &next));
	assert_true(next == UINT64_MAX);
	keyreq_want(&k);
	assert_true(keyreq_due(&k, 1000, 0, &next));
	assert_int_equal(next, 251000);
	assert_false(keyreq_due(&k, 250999, 0, &next));
	assert_int_equal(next, 251000);
	/* unanswered over a long path: 1.5 rtt + 100 ms */
	assert_false(keyreq_due(&k, 251000, 600000, &next));
	assert_int_equal(next, 1000 + 1000000);
	assert_true(keyreq_due(&k, 1001000, 600000, &next));
	keyreq_got(&k);
	assert_false(keyreq_due(&k, 9001000, 600000, &next));
	/* answered: a new wish only keeps the minimum */
	keyreq_want(&k);
	assert_true(keyreq_due(&k, 9001000, 600000, &next));
	keyreq_got(&k);
	keyreq_want(&k);
	assert_false(keyreq_due(&k, 9001001, 600000, &next));
	assert_int_equal(next, 9251000);
	assert_true(keyreq_due(&k, 9251000, UINT64_MAX, &next));
	assert_true(next < 30000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap_and_window),
		cmocka_unit_test(test_ts_wraps),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_ts_jumps),
		cmocka_unit_test(test_repaired_first),
		cmocka_unit_test(test_report_block),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_nack_timing),
		cmocka_unit_test(test_nack_tries_and_audio),
		cmocka_unit_test(test_nack_overflow_and_key),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_keyreq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
