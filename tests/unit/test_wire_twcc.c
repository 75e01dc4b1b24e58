/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transport-wide feedback: each kind of chunk, numbers and times that wrap, and lies. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
