/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RTCP feedback: byte vectors after RFC 4585 (NACK, PLI), RFC 5104 (FIR) and REMB, round
 * trips, limits. */
#include "unit/rtcp_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4585 §6.2.1: the least significant bit of the BLP is PID + 1. */
static void test_nack_vector(void **state)
{
	static const uint8_t data[] = { 0x81, 205,  0, 4, 0,	0,    0,
					1,    0,    0, 0, 2,	0xff, 0xfe,
					0x80, 0x05, 0, 9, 0x00, 0x00 };
	static const uint16_t want[] = { 0xfffe, 0xffff, 1, 14, 9 };
	uint16_t seqs[8];

	(void)state;
	struct rtcp_pkt p = only(data, sizeof data);

	assert_int_equal(p.type, RTCP_RTPFB);
	assert_int_equal(p.count, RTPFB_NACK);
	assert_int_equal(p.ssrc, 1);
	assert_int_equal(p.media_ssrc, 2);
	assert_int_equal(p.body_len, 8);
	assert_int_equal(rtcp_nack_get(&p, seqs, 8), 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(seqs[i], want[i]);
	for (unsigned max = 0; max < 5; max++) {
		memset(seqs, 0x5a, sizeof seqs);
		assert_int_equal(rtcp_nack_get(&p, seqs, max), max);
		assert_int_equal(seqs[max], 0x5a5a);
	}
	p.count = RTPFB_TWCC;
	assert_int_equal(rtcp_nack_get(&p, seqs, 8), 0);
	p.count = RTPFB_NACK;
	p.type = RTCP_PSFB;
	assert_int_equal(rtcp_nack_get(&p, seqs, 8), 0);
}

static void nack_round_trip(const uint16_t *seqs, unsigned count, size_t pairs)
{
	uint8_t buf[2048];
	uint16_t got[400];
	struct wr w;

	wr_init(&w, buf, sizeof buf);
	rtcp_put_nack(&w, 5, 6, seqs, count);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), 12 + 4 * pairs);
	struct rtcp_pkt p = only(buf, wr_len(&w));

	assert_int_equal(p.ssrc, 5);
	assert_int_equal(p.media_ssrc, 6);
	assert_int_equal(rtcp_nack_get(&p, got, 400), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(got[i], seqs[i]);
}

static void test_nack_packing(void **state)
{
	uint16_t seqs[400];
	uint8_t buf[64];
	struct wr w;

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		seqs[i] = (uint16_t)(65500 + i);
	nack_round_trip(seqs, 1, 1);
	nack_round_trip(seqs, 17, 1);
	nack_round_trip(seqs, 18, 2);
	nack_round_trip(seqs, 400, 24); /* over the wrap */
	seqs[0] = 65535;
	seqs[1] = 15; /* 16 after: the last that fits */
	nack_round_trip(seqs, 2, 1);
	seqs[1] = 16;
	nack_round_trip(seqs, 2, 2);
	for (unsigned i = 0; i < 300; i++)
		seqs[i] = (uint16_t)(i * 200);
	nack_round_trip(seqs, 300, 300);

	seqs[0] = seqs[1] = 7; /* twice the same asks once */
	wr_init(&w, buf, sizeof buf);
	rtcp_put_nack(&w, 5, 6, seqs, 2);
	assert_int_equal(wr_len(&w), 16);
	assert_int_equal(get_be16(buf + 12), 7);
	assert_int_equal(get_be16(buf + 14), 0);

	wr_init(&w, buf, sizeof buf);
	rtcp_put_nack(&w, 5, 6, seqs, 0);
	assert_int_equal(wr_len(&w), 0);
	assert_false(w.bad);
}

static void test_nack_longer_than_a_packet(void **state)
{
	unsigned count = 65536;
	uint16_t *seqs = calloc(count, sizeof *seqs);
	uint8_t *buf = malloc(300000);
	struct wr w;

	(void)state;
	for (unsigned i = 0; i < count; i++)
		seqs[i] = (uint16_t)(i * 100);
	wr_init(&w, buf, 300000);
	rtcp_put_nack(&w, 1, 2, seqs, count);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 0);
	free(seqs);
	free(buf);
}

static void test_pli(void **state)
{
	static const uint8_t want[] = { 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };
	uint8_t buf[12];
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_pli(&w, 1, 2);
	assert_int_equal(wr_len(&w), 12);
	assert_memory_equal(buf, want, 12);
	struct rtcp_pkt p = only(buf, 12);

	assert_int_equal(p.type, RTCP_PSFB);
	assert_int_equal(p.count, PSFB_PLI);
	assert_int_equal(p.media_ssrc, 2);
	assert_int_equal(p.body_len, 0);
}

/* RFC 5104 §4.3.1 */
static void test_fir(void **state)
{
	static const uint8_t want[] = { 0x84, 206, 0, 4, 0, 0, 0,   1, 0, 0,
					0,    0,   0, 0, 0, 2, 255, 0, 0, 0 };
	static const uint8_t two[] = { 0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
				       0,    2,	  3, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0 };
	uint8_t buf[20], seq = 0;
	uint32_t ssrc = 0;
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_fir(&w, 1, 2, 255);
	assert_int_equal(wr_len(&w), 20);
	assert_memory_equal(buf, want, 20);
	struct rtcp_pkt p = only(buf, 20);

	assert_true(rtcp_fir_get(&p, 0, &ssrc, &seq));
	assert_int_equal(ssrc, 2);
	assert_int_equal(seq, 255);
	assert_false(rtcp_fir_get(&p, 1, &ssrc, &seq));
	p = only(two, sizeof two);
	assert_true(rtcp_fir_get(&p, 1, &ssrc, &seq));
	assert_int_equal(ssrc, 4);
	assert_int_equal(seq, 5);
	assert_false(rtcp_fir_get(&p, 2, &ssrc, &seq));
	assert_false(rtcp_fir_get(&p, UINT32_MAX, &ssrc, &seq));
	p.body_len = 12; /* half an entry is none */
	assert_false(rtcp_fir_get(&p, 1, &ssrc, &seq));
	assert_int_equal(ssrc, 4);
	p.count = PSFB_PLI;
	assert_false(rtcp_fir_get(&p, 0, &ssrc, &seq));
}

/* draft-alvestrand-rmcat-remb-03 §2.2 */
static void test_remb(void **state)
{
	uint8_t data[] = { 0x8f, 206, 0,   5,	0, 0,	 0,    1,    0, 0, 0, 0,
			   'R',	 'E', 'M', 'B', 1, 0x0b, 0xe8, 0xd0, 0, 0, 0, 9 };
	uint64_t bps = 42;

	(void)state;
	struct rtcp_pkt p = only(data, sizeof data);

	assert_true(rtcp_remb_get(&p, &bps)); /* exponent 2, mantissa 256208 */
	assert_true(bps == UINT64_C(256208) << 2);
	put_be24(data + 17, 46u << 18 | 0x3ffff); /* the most that fits 64 bits */
	assert_true(rtcp_remb_get(&p, &bps));
	assert_true(bps == UINT64_C(0x3ffff) << 46);
	bps = 42;
	put_be24(data + 17, 47u << 18 | 0x3ffff);
	assert_false(rtcp_remb_get(&p, &bps));
	put_be24(data + 17, 63u << 18 | 1);
	assert_true(rtcp_remb_get(&p, &bps));
	assert_true(bps == UINT64_C(1) << 63);
	put_be24(data + 17, 63u << 18);
	assert_true(rtcp_remb_get(&p, &bps));
	assert_true(bps == 0);
	bps = 42;
	data[16] = 2; /* more SSRCs than there are */
	assert_false(rtcp_remb_get(&p, &bps));
	data[16] = 0;
	assert_true(rtcp_remb_get(&p, &bps));
	bps = 42;
	data[12] = 'X';
	assert_false(rtcp_remb_get(&p, &bps));
	data[12] = 'R';
	p.body_len = 4;
	assert_false(rtcp_remb_get(&p, &bps));
	p.body_len = 12;
	p.count = PSFB_FIR;
	assert_false(rtcp_remb_get(&p, &bps));
	assert_true(bps == 42);
}

/* RFC 3611 §4.4: after another block; lengths that lie are no time. */
static void test_reference_time(void **state)
{
	uint8_t data[] = {
		0x80, 207, 0, 6, 0, 0, 0, 1, 7,	   0,	 0,    1,    9,	   9,
		9,    9,   4, 0, 0, 2, 1, 2, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80
	};
	uint32_t ntp = 42;

	(void)state;
	struct rtcp_pkt p = only(data, sizeof data);

	assert_true(rtcp_rrtr_get(&p, &ntp));
	assert_int_equal(p.ssrc, 1);
	assert_int_equal(ntp, 0x30405060);
	ntp = 42;
	data[19] = 1;
	assert_false(rtcp_rrtr_get(&p, &ntp));
	data[19] = 3;
	assert_false(rtcp_rrtr_get(&p, &ntp));
	data[19] = 2;
	data[11] = 4;
	assert_false(rtcp_rrtr_get(&p, &ntp));
	data[11] = 1;
	data[16] = XR_DLRR;
	assert_false(rtcp_rrtr_get(&p, &ntp));
	p.type = RTCP_RR;
	data[16] = XR_RRTR;
	assert_false(rtcp_rrtr_get(&p, &ntp));
	assert_int_equal(ntp, 42);
}

/* RFC 3611 §4.5 */
static void test_delay_since(void **state)
{
	static const uint8_t want[] = {
		0x80, 207, 0, 5, 0, 0,	  0,	1,    5, 0, 0, 3,
		0,    0,   0, 2, 0, 0x30, 0x40, 0x50, 0, 1, 0, 0
	};
	uint8_t buf[sizeof want];
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_dlrr(&w, 1, 2, 0x304050, 0x10000);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), sizeof want);
	assert_memory_equal(buf, want, sizeof want);
	assert_int_equal(only(buf, sizeof buf).type, RTCP_XR);
	wr_init(&w, buf, sizeof buf - 1);
	rtcp_put_dlrr(&w, 1, 2, 3, 4);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nack_vector),
		cmocka_unit_test(test_nack_packing),
		cmocka_unit_test(test_nack_longer_than_a_packet),
		cmocka_unit_test(test_pli),
		cmocka_unit_test(test_fir),
		cmocka_unit_test(test_remb),
		cmocka_unit_test(test_reference_time),
		cmocka_unit_test(test_delay_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
