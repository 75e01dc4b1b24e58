/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A speaker's bad uplink and a listener's bad link, told apart in the listener's reports. */
#include "unit/slot_rig.h"

enum { REPORT = 50, WAY = 7 /* packets */ };

/* A slot, the two links, and what the receiver at their end sees, WAY packets later. */
static struct {
	struct rtp_slot slot;
	struct rtp_own_loss own;
	uint64_t in, seen;
	struct rtcp_block block; /* as the receiver says it */
	bool there[4096];	 /* by the slot's number, from the first */
	uint64_t first;
	uint32_t dice;
} W;

static bool lost(unsigned percent)
{
	W.dice = W.dice * 1664525 + 1013904223;
	return (W.dice >> 8) % 100 < percent;
}

static int begin(void **state)
{
	struct pkt p = { .rtp = { .seq64 = 70000, .ts64 = 1, .codec = CODEC_OPUS } };
	struct rtp_out out;

	(void)state;
	memset(&W, 0, sizeof W);
	W.dice = 1;
	W.in = 70000;
	rtp_slot_init(&W.slot, 1, 0, 48000, true);
	rtp_slot_switch(&W.slot, 5, 111, 0, 0, &p);
	assert_int_equal(rtp_slot_map(&W.slot, &p, &out, false), 0);
	W.first = W.slot.highest;
	W.seen = W.first;
	W.block.highest_seq = (uint32_t)W.seen;
	W.block.fraction_lost = 9;
	assert_int_equal(rtp_own_loss(&W.own, &W.slot, &W.block), 9);
	return 0;
}

static void put(uint64_t seq64, bool arrives)
{
	struct pkt p = { .rtp = { .seq64 = seq64,
				  .ts64 = (seq64 - 70000) * 960,
				  .codec = CODEC_OPUS } };
	struct rtp_out out;

	assert_int_equal(rtp_slot_map(&W.slot, &p, &out, false), 0);
	W.there[out.seq64 - W.first] = arrives;
}

/* So many packets of the speaker's, then a report; what of it is the listener's own, of 256. */
static unsigned report(unsigned up_percent, unsigned down_percent)
{
	for (unsigned i = 0; i < REPORT; i++) {
		W.in++;
		if (!lost(up_percent))
			put(W.in, !lost(down_percent));
	}
	/* It has seen all but the last few. */
	while (W.seen + WAY < W.slot.highest) {
		W.seen++;
		W.block.lost += !W.there[W.seen - W.first];
	}
	W.block.highest_seq = (uint32_t)W.seen;
	return rtp_own_loss(&W.own, &W.slot, &W.block);
}

static unsigned mean(unsigned up_percent, unsigned down_percent)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 40; i++)
		sum += report(up_percent, down_percent);
	return sum / 40;
}

static void test_uplink_alone(void **state)
{
	(void)state;
	assert_int_equal(mean(0, 0), 0);
	assert_int_equal(mean(20, 0), 0);
}

static void test_downlink_alone(void **state)
{
	(void)state;
	assert_in_range(mean(0, 20), 44, 58);
}

static void test_both(void **state)
{
	(void)state;
	assert_in_range(mean(20, 20), 42, 60);
}

/* A second in which nothing came in; and one whose packets all came late, after all. */
static void test_outage_and_repair(void **state)
{
	uint64_t hole;

	(void)state;
	W.in += REPORT;
	assert_int_equal(report(0, 0), 0);
	assert_int_equal(report(0, 0), 0);
	hole = W.in + 1;
	W.in += 20;
	put(++W.in, true);
	for (uint64_t i = 0; i < 20; i++)
		put(hole + i, true);
	assert_int_equal(report(0, 0), 0);
	/* Nothing of that is set off against what the listener then loses itself. */
	for (unsigned i = 0; i < 2; i++)
		(void)report(0, 0);
	assert_in_range(report(0, 100), 256 * 40 / 50, 255);
	/* It says what it likes. */
	W.block.lost = 0x7fffff;
	assert_in_range(report(0, 0), 0, 255);
	W.block.lost = -0x800000;
	assert_int_equal(report(0, 0), 0);
	W.block.highest_seq += 0x80000000;
	assert_in_range(rtp_own_loss(&W.own, &W.slot, &W.block), 0, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_uplink_alone, begin),
		cmocka_unit_test_setup(test_downlink_alone, begin),
		cmocka_unit_test_setup(test_both, begin),
		cmocka_unit_test_setup(test_outage_and_repair, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
