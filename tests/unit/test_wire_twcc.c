/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transport-wide feedback: each kind of chunk, numbers and times that wrap, and lies; what is built is read again. */
#include "unit/rtcp_rig.h"

#include <errno.h>
#include <string.h>

static struct rtcp_pkt packet(const uint8_t *fci, size_t len)
{
	return (struct rtcp_pkt) {
		.type = RTCP_RTPFB, .count = RTPFB_TWCC, .body = fci, .body_len = len
	};
}

#define FCI(...) \
	((const uint8_t[]) { __VA_ARGS__ }), sizeof((const uint8_t[]) { __VA_ARGS__ })

/* The next of a series that is the same each time (Numerical Recipes' constants), below `n`. */
static uint32_t random_at(uint32_t *dice, uint32_t n)
{
	*dice = *dice * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*dice * n >> 32);
}

struct want {
	uint16_t seq;
	bool received;
	int64_t ms; /* after the reference */
};

static void expect(struct rtcp_pkt p, int64_t reference_us, const struct want *want,
		   unsigned count)
{
	struct twcc_status s;
	struct twcc_iter it;

	assert_int_equal(twcc_iter_init(&it, &p), 0);
	for (unsigned i = 0; i < count; i++) {
		assert_true(twcc_next(&it, &s));
		assert_int_equal(s.seq, want[i].seq);
		assert_int_equal(s.received, want[i].received);
		if (s.received)
			assert_int_equal(s.arrival_us, reference_us + want[i].ms * 1000);
	}
	assert_false(twcc_next(&it, &s));
	assert_false(twcc_next(&it, &s));
}

/* Three arrived 10 ms apart; reference time 2 (128 ms). */
static void test_run(void **state)
{
	static const struct want want[] = { { 0xfffe, true, 10 },
					    { 0xffff, true, 20 },
					    { 0, true, 30 } };

	(void)state;
	expect(packet(FCI(0xff, 0xfe, 0, 3, 0, 0, 2, 7, 0x20, 3, 40, 40, 40, 0)), 128000,
	       want, 3);
}

static void test_vectors(void **state)
{
	/* one bit each: 1 0 1, then the filling of 11 that the count cuts off */
	static const struct want one[] = { { 100, true, 1 },
					   { 101, false, 0 },
					   { 102, true, 3 } };
	/* two bits: small, lost, large (-5 ms: out of order), small; a run of 2 lost behind the 7 */
	static const struct want two[] = {
		{ 5, true, 10 },  { 6, false, 0 },  { 7, true, 5 },
		{ 8, true, 6 },	  { 9, false, 0 },  { 10, false, 0 },
		{ 11, false, 0 }, { 12, false, 0 }, { 13, false, 0 },
	};

	(void)state;
	expect(packet(FCI(0, 100, 0, 3, 0, 0, 0, 0, 0xa8, 0, 4, 8)), 0, one, 3);
	expect(packet(FCI(0, 5, 0, 9, 0xff, 0xff, 0xff, 0, 0xd2, 0x40, 0, 2, 40, 0xff,
			  0xec, 4)),
	       -64000, two, 9);
}

static void test_lies(void **state)
{
	struct twcc_status s;
	struct twcc_iter it;
	struct rtcp_pkt p = packet(FCI(0, 1, 0, 5, 0, 0, 0, 0, 0x20, 5, 4, 4));
	unsigned n = 0;

	(void)state;
	/* two deltas of five */
	assert_int_equal(twcc_iter_init(&it, &p), 0);
	while (twcc_next(&it, &s))
		n++;
	assert_int_equal(n, 2);
	/* chunks missing, none, of length 0; too many; nothing; another kind */
	p = packet(FCI(0, 1, 0, 5, 0, 0, 0, 0, 0x20, 4));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p = packet(FCI(0, 1, 0, 5, 0, 0, 0, 0));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p = packet(FCI(0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p = packet(FCI(0, 1, 0xff, 0xff, 0, 0, 0, 0, 0x1f, 0xff, 0x1f, 0xff));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p = packet(FCI(0, 1, 0, 0, 0, 0, 0, 0));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p = packet(FCI(0, 1));
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	p.count = RTPFB_NACK;
	assert_int_equal(twcc_iter_init(&it, &p), -EBADMSG);
	/* the reserved status ends it */
	p = packet(FCI(0, 1, 0, 2, 0, 0, 0, 0, 0x60, 2, 4, 4));
	assert_int_equal(twcc_iter_init(&it, &p), 0);
	assert_false(twcc_next(&it, &s));
}

/* ---- building ---------------------------------------------------------------------- */

enum { ROOM = 1200 };

/* Builds one packet about these; its bytes must be those of `want` behind media SSRC. */
static void expect_built(uint16_t base, uint8_t number, const int64_t *at_us,
			 unsigned count, const uint8_t *want, size_t want_len)
{
	struct rtcp_twcc head = {
		.ssrc = 7, .media_ssrc = 8, .base = base, .number = number
	};
	uint8_t buf[ROOM];
	struct rtcp_pkt p;
	struct wr w;

	wr_init(&w, buf, sizeof buf);
	assert_int_equal(rtcp_put_twcc(&w, &head, at_us, count), count);
	assert_false(w.bad);
	p = only(buf, wr_len(&w));
	assert_int_equal(p.type, RTCP_RTPFB);
	assert_int_equal(p.count, RTPFB_TWCC);
	assert_int_equal(p.ssrc, 7);
	assert_int_equal(p.media_ssrc, 8);
	assert_int_equal(p.body_len, want_len);
	assert_memory_equal(p.body, want, want_len);
}

static void test_chunks(void **state)
{
	int64_t at[60];

	(void)state;
	/* the three of test_run: a run of small deltas */
	for (unsigned i = 0; i < 3; i++)
		at[i] = 138000 + i * 10000;
	expect_built(0xfffe, 7, at, 3,
		     FCI(0xff, 0xfe, 0, 3, 0, 0, 2, 7, 0x20, 3, 40, 40, 40, 0, 0, 0));
	/* one lost, and one bit each says it */
	at[1] = TWCC_LOST;
	at[2] = 140000;
	expect_built(100, 0, at, 3, FCI(0, 100, 0, 3, 0, 0, 2, 0, 0xa8, 0, 40, 8));
	/* out of order: two bits */
	at[2] = 133000;
	expect_built(5, 1, at, 3,
		     FCI(0, 5, 0, 3, 0, 0, 2, 1, 0xd2, 0, 40, 0xff, 0xec, 0, 0, 0));
	/* a vector of seven, and behind it a run is as good */
	for (unsigned i = 0; i < 9; i++)
		at[i] = 64000 * (int64_t)(i + 1);
	expect_built(1, 2, at, 9,
		     FCI(0, 1, 0, 9, 0, 0, 1, 2, 0xda, 0xaa, 0x40, 2, 0, 1, 0, 1, 0, 1, 0,
			 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0));
	/* twenty small ones are a run, of ten lost ones and another a vector says more */
	for (unsigned i = 0; i < 31; i++)
		at[i] = i < 20 || i == 30 ? 0 : TWCC_LOST;
	expect_built(1, 3, at, 31,
		     FCI(0, 1, 0, 31, 0, 0, 0, 3, 0x20, 20, 0x80, 8, 0, 0, 0, 0, 0, 0, 0,
			 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

/* What cannot be said ends a packet: too long a step, too little room, nothing that has arrived. */
static void test_ends(void **state)
{
	struct rtcp_twcc head = { .base = 1 };
	int64_t at[40] = { 1000, TWCC_LOST, 1000 + 9000000, 1000 + 9001000 };
	uint8_t buf[ROOM];
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	assert_int_equal(rtcp_put_twcc(&w, &head, at, 4), 1);
	assert_int_equal(rtcp_put_twcc(&w, &head, at + 1, 3), 3);
	for (unsigned i = 0; i < 40; i++)
		at[i] = i % 2 ? TWCC_LOST : 1000 * i;
	for (size_t room = 0; room < 64; room += 4) {
		unsigned n;

		wr_init(&w, buf, room);
		n = rtcp_put_twcc(&w, &head, at, 39);
		assert_false(w.bad);
		/* a head of 20 bytes, a chunk for each 14, a delta for every second */
		assert_int_equal(n, room < 24	? 0
				    : room < 28 ? 4
				    : room < 32 ? 12
				    : room < 36 ? 16
				    : room < 40 ? 24
				    : room < 44 ? 28
				    : room < 48 ? 36
						: 39);
		assert_true(n ? wr_len(&w) <= room : !wr_len(&w));
	}
	at[0] = TWCC_LOST;
	wr_init(&w, buf, sizeof buf);
	assert_int_equal(rtcp_put_twcc(&w, &head, at, 2), 0);
	assert_int_equal(rtcp_put_twcc(&w, &head, at, 0), 0);
	assert_int_equal(wr_len(&w), 0);
	w.bad = true;
	assert_int_equal(rtcp_put_twcc(&w, &head, at, 39), 0);
}

/* Arrivals as they come: bursts, losses, packets out of order, silences, steps back of a clock. */
static unsigned scatter(int64_t *at_us, unsigned max, uint32_t *dice)
{
	unsigned count = 1 + random_at(dice, max), loss = random_at(dice, 100);
	unsigned gap = 1 + random_at(dice, 4) * random_at(dice, 200000);
	int64_t now = (int64_t)random_at(dice, 1u << 30) * 1000 - 500000000;

	for (unsigned i = 0; i < count; i++) {
		now += random_at(dice, gap);
		if (random_at(dice, 300) == 0)
			now += 20000000 - (int64_t)random_at(dice, 40000000);
		at_us[i] =
			random_at(dice, 100) < loss
				? TWCC_LOST
				: now - (random_at(dice, 8) ? 0 : random_at(dice, 60000));
	}
	at_us[count - 1] = now;
	return count;
}

/* The packets about `at_us`, in whatever room there is, say all of it, each number once. */
static void round_trip(const int64_t *at_us, unsigned count, uint16_t base,
		       uint32_t *dice)
{
	struct rtcp_twcc head = { .ssrc = 1, .media_ssrc = 2, .base = base };
	unsigned done = 0, packets = 0;

	while (done < count) {
		uint8_t buf[ROOM];
		struct twcc_status s;
		struct twcc_iter it;
		struct rtcp_pkt p;
		int64_t first_us = 0, first_at = 0;
		bool any = false;
		unsigned n;
		struct wr w;

		wr_init(&w, buf, 24 + random_at(dice, ROOM - 23));
		head.number = (uint8_t)packets++;
		n = rtcp_put_twcc(&w, &head, at_us + done, count - done);
		assert_in_range(n, 1, count - done);
		p = only(buf, wr_len(&w));
		assert_int_equal(twcc_iter_init(&it, &p), 0);
		assert_int_equal(it.number, head.number);
		assert_int_equal(it.left, n);
		for (unsigned i = 0; i < n; i++) {
			int64_t at = at_us[done + i];

			assert_true(twcc_next(&it, &s));
			assert_int_equal(s.seq, (uint16_t)(base + done + i));
			assert_int_equal(s.received, at != TWCC_LOST);
			if (!s.received)
				continue;
			/* 24 bits of the clock are told; within a packet nothing adds up */
			if (!any) {
				first_us = s.arrival_us;
				first_at = at;
			}
			any = true;
			assert_in_range(s.arrival_us - first_us - (at - first_at) +
						TWCC_DELTA_US,
					1, 2 * TWCC_DELTA_US - 1);
			assert_in_range((uint64_t)(at - s.arrival_us) % (64000ULL << 24),
					0, TWCC_DELTA_US - 1);
		}
		assert_false(twcc_next(&it, &s));
		done += n;
		head.base = (uint16_t)(base + done);
	}
}

static void test_round_trips(void **state)
{
	static int64_t at_us[TWCC_PUT_MAX + 500];
	uint32_t dice = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned most = i % 50 ? 200 : (unsigned)ARRAY_LEN(at_us);
		unsigned count = scatter(at_us, most, &dice);

		round_trip(at_us, count, (uint16_t)random_at(&dice, 65536), &dice);
	}
	/* The longest gap that is said in one. */
	for (unsigned i = 0; i < TWCC_PUT_MAX; i++)
		at_us[i] = TWCC_LOST;
	at_us[0] = 5;
	at_us[TWCC_PUT_MAX - 1] = 6;
	round_trip(at_us, TWCC_PUT_MAX, 0xff00, &dice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),  cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lies), cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_ends), cmocka_unit_test(test_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
