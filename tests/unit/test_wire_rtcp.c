/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RTCP: byte vectors after RFC 3550, 4585, 5104 and REMB, round trips, damaged compounds.
 */
#include "unit/rtcp_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Parses in place; the buffer must end where the data ends. */
static int count_pkts(const uint8_t *data, size_t len, unsigned *n)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct rtcp_iter it;
	struct rtcp_pkt p;

	memcpy(copy, data, len);
	*n = 0;
	int err = rtcp_iter_init(&it, copy, len);

	if (!err)
		while (rtcp_next(&it, &p))
			++*n;
	free(copy);
	return err;
}

static void refuse(const uint8_t *data, size_t len)
{
	unsigned n;

	assert_int_equal(count_pkts(data, len, &n), -EBADMSG);
}

/* RFC 3550 §6.4.1's picture, one block, a profile-specific extension of one word. */
static const uint8_t sr[] = {
	0x81, 200,  0x00, 0x0d, 0x11, 0x22, 0x33, 0x44,				/* */
	0xe1, 0xe2, 0xe3, 0xe4, 0xf1, 0xf2, 0xf3, 0xf4,				/* NTP */
	0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x10, 0x00, 0x00, 0x20, 0x00, 0x00, /* */
	0xaa, 0xbb, 0xcc, 0xdd, 0x40, 0xff, 0xff, 0xfe, /* a quarter, -2 */
	0x00, 0x01, 0x00, 0x05, 0x00, 0x00, 0x00, 0x63, /* */
	0xe3, 0xe4, 0xf1, 0xf2, 0x00, 0x01, 0x80, 0x00, /* LSR, DLSR 1.5 s */
	'm',  'o',  'r',  'e',
};

static void test_sr(void **state)
{
	struct rtcp_block b;

	(void)state;
	struct rtcp_pkt p = only(sr, sizeof sr);

	assert_int_equal(p.type, RTCP_SR);
	assert_int_equal(p.count, 1);
	assert_int_equal(p.ssrc, 0x11223344);
	assert_true(p.sr.ntp == UINT64_C(0xe1e2e3e4f1f2f3f4));
	assert_int_equal(p.sr.rtp_ts, 0x01020304);
	assert_int_equal(p.sr.packets, 4096);
	assert_int_equal(p.sr.bytes, 0x200000);
	assert_int_equal(p.blocks, 1);
	assert_ptr_equal(p.body, sr + 8);
	assert_int_equal(p.body_len, sizeof sr - 8);
	rtcp_block_get(&p, 0, &b);
	assert_int_equal(b.ssrc, 0xaabbccdd);
	assert_int_equal(b.fraction_lost, 64);
	assert_int_equal(b.lost, -2);
	assert_int_equal(b.highest_seq, 0x10005);
	assert_int_equal(b.jitter, 99);
	assert_int_equal(b.lsr, 0xe3e4f1f2);
	assert_int_equal(b.dlsr, 0x18000);
	rtcp_block_get(&p, 1, &b); /* there is none */
	assert_int_equal(b.ssrc, 0);
	rtcp_block_get(&p, UINT32_MAX, &b);
	assert_int_equal(b.ssrc, 0);
}

static void test_report_counts(void **state)
{
	uint8_t data[8 + 24] = { 0x81, 201, 0, 7 };
	unsigned n;

	(void)state;
	assert_int_equal(count_pkts(data, sizeof data, &n), 0);
	data[0] = 0x82; /* two blocks, room for one */
	refuse(data, sizeof data);
	data[0] = 0x80;
	assert_int_equal(count_pkts(data, sizeof data, &n), 0);
	data[0] = 0x80;
	data[1] = 200; /* an SR without blocks needs 28 bytes */
	data[3] = 5;
	refuse(data, 24);
	data[3] = 6;
	assert_int_equal(count_pkts(data, 28, &n), 0);
}

static struct rtcp_block block(unsigned i)
{
	return (struct rtcp_block) { .ssrc = 0x1000 + i,
				     .fraction_lost = (uint8_t)(i * 8),
				     .lost = (int32_t)i * 1000 - 15000,
				     .highest_seq = 0xfff00000 + i,
				     .jitter = i * 7,
				     .lsr = i * 65537,
				     .dlsr = ~i };
}

static void same_block(const struct rtcp_block *a, const struct rtcp_block *b)
{
	assert_int_equal(a->ssrc, b->ssrc);
	assert_int_equal(a->fraction_lost, b->fraction_lost);
	assert_int_equal(a->lost, b->lost);
	assert_int_equal(a->highest_seq, b->highest_seq);
	assert_int_equal(a->jitter, b->jitter);
	assert_int_equal(a->lsr, b->lsr);
	assert_int_equal(a->dlsr, b->dlsr);
}

static void test_reports_round_trip(void **state)
{
	struct rtcp_block in[RTCP_BLOCKS_MAX], out;
	uint8_t buf[1024];
	struct wr w;

	(void)state;
	for (unsigned i = 0; i < RTCP_BLOCKS_MAX; i++)
		in[i] = block(i);
	for (unsigned count = 0; count <= RTCP_BLOCKS_MAX; count++) {
		wr_init(&w, buf, sizeof buf);
		rtcp_put_sr(&w, 1, UINT64_C(0xfedcba9876543210), 2, 3, 4, in, count);
		assert_false(w.bad);
		struct rtcp_pkt p = only(buf, wr_len(&w));

		assert_int_equal(p.blocks, count);
		assert_true(p.sr.ntp == UINT64_C(0xfedcba9876543210));
		assert_int_equal(p.sr.rtp_ts, 2);
		assert_int_equal(p.sr.packets, 3);
		assert_int_equal(p.sr.bytes, 4);
		for (unsigned i = 0; i < count; i++) {
			rtcp_block_get(&p, i, &out);
			same_block(&out, &in[i]);
		}
		wr_init(&w, buf, sizeof buf);
		rtcp_put_rr(&w, 0xffffffff, in, count);
		assert_false(w.bad);
		p = only(buf, wr_len(&w));
		assert_int_equal(p.type, RTCP_RR);
		assert_int_equal(p.ssrc, 0xffffffff);
		assert_int_equal(p.blocks, count);
		assert_int_equal(p.body_len, 24 * count);
		for (unsigned i = 0; i < count; i++) {
			rtcp_block_get(&p, i, &out);
			same_block(&out, &in[i]);
		}
	}
	wr_init(&w, buf, sizeof buf);
	rtcp_put_rr(&w, 1, in, RTCP_BLOCKS_MAX + 1);
	assert_true(w.bad);
	wr_init(&w, buf, sizeof buf);
	rtcp_put_sr(&w, 1, 2, 3, 4, 5, in, RTCP_BLOCKS_MAX + 1);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 0);
}

static void test_lost_saturates(void **state)
{
	static const int32_t cases[][2] = {
		{ 0x7fffff, 0x7fffff },	  { 0x800000, 0x7fffff },
		{ INT32_MAX, 0x7fffff },  { -1, -1 },
		{ -0x800000, -0x800000 }, { -0x800001, -0x800000 },
		{ INT32_MIN, -0x800000 },
	};
	uint8_t buf[64];
	struct wr w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtcp_block b = { .lost = cases[i][0] };

		wr_init(&w, buf, sizeof buf);
		rtcp_put_rr(&w, 1, &b, 1);
		struct rtcp_pkt p = only(buf, wr_len(&w));

		rtcp_block_get(&p, 0, &b);
		assert_int_equal(b.lost, cases[i][1]);
	}
}

/* RFC 3550 §6.5: each length of text ends in 1 to 4 zeros. */
static void test_sdes(void **state)
{
	static const uint8_t want[] = { 0x81, 202, 0,	3,   0,	  0,   0,   9, /* */
					1,    5,   'p', 'a', 'l', 'a', 'b', 0 };
	char name[257];
	uint8_t buf[300];
	struct wr w;

	(void)state;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_sdes_cname(&w, 9, "palab");
	assert_int_equal(wr_len(&w), sizeof want);
	assert_memory_equal(buf, want, sizeof want);
	for (size_t len = 0; len <= 255; len++) {
		memset(name, 'n', sizeof name);
		name[len] = 0;
		memset(buf, 0xee, sizeof buf);
		wr_init(&w, buf, sizeof buf);
		rtcp_put_sdes_cname(&w, 0x01020304, name);
		assert_false(w.bad);
		struct rtcp_pkt p = only(buf, wr_len(&w));

		assert_int_equal(p.type, RTCP_SDES);
		assert_int_equal(p.ssrc, 0x01020304);
		assert_ptr_equal(p.body, buf + 4);
		assert_int_equal(p.body[5], len);
		assert_memory_equal(p.body + 6, name, len);
		assert_in_range(p.body_len, 6 + len + 1, 6 + len + 4);
		for (size_t i = 6 + len; i < p.body_len; i++)
			assert_int_equal(p.body[i], 0);
	}
	name[255] = 'n';
	name[256] = 0;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_sdes_cname(&w, 1, name);
	assert_true(w.bad);
}

static void test_bye(void **state)
{
	static const uint8_t two[] = { 0x82, 203, 0, 3, 0, 0,	0,   1,
				       0,    0,	  0, 2, 2, 'o', 'k', 0 };
	static const uint8_t nobody[] = { 0x80, 203, 0, 0 };
	static const uint8_t lacking[] = { 0x82, 203, 0, 1, 0, 0, 0, 1 };
	uint8_t buf[8];
	struct wr w;

	(void)state;
	struct rtcp_pkt p = only(two, sizeof two);

	assert_int_equal(p.ssrc, 1);
	assert_int_equal(p.count, 2);
	assert_int_equal(get_be32(p.body), 2);
	assert_int_equal(p.body_len, 8);
	p = only(nobody, sizeof nobody);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.ssrc, 0);
	refuse(lacking, sizeof lacking);
	wr_init(&w, buf, sizeof buf);
	rtcp_put_bye(&w, 0xcafe);
	assert_false(w.bad);
	p = only(buf, wr_len(&w));
	assert_int_equal(p.type, RTCP_BYE);
	assert_int_equal(p.ssrc, 0xcafe);
	assert_int_equal(p.body_len, 0);
}

/* SR, SDES, NACK, PLI, BYE, as a sender puts it; where each ends. */
static size_t compound(uint8_t *buf, size_t cap, size_t ends[5])
{
	static const uint16_t seqs[] = { 1, 2, 50 };
	struct rtcp_block b = block(3);
	struct wr w;

	wr_init(&w, buf, cap);
	rtcp_put_sr(&w, 1, 2, 3, 4, 5, &b, 1);
	ends[0] = wr_len(&w);
	rtcp_put_sdes_cname(&w, 1, "someone");
	ends[1] = wr_len(&w);
	rtcp_put_nack(&w, 1, 2, seqs, 3);
	ends[2] = wr_len(&w);
	rtcp_put_pli(&w, 1, 2);
	ends[3] = wr_len(&w);
	rtcp_put_bye(&w, 1);
	ends[4] = wr_len(&w);
	return w.bad ? 0 : wr_len(&w);
}

static void test_compound_in_order(void **state)
{
	static const uint8_t types[] = { 200, 202, 205, 206, 203 };
	struct rtcp_iter it;
	struct rtcp_pkt p;
	uint8_t buf[256];
	size_t ends[5];

	(void)state;
	size_t len = compound(buf, sizeof buf, ends);

	assert_int_equal(rtcp_iter_init(&it, buf, len), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(rtcp_next(&it, &p));
		assert_int_equal(p.type, types[i]);
		assert_int_equal(it.seen, i + 1);
		assert_ptr_equal(p.body + p.body_len, buf + ends[i]);
	}
	assert_false(rtcp_next(&it, &p));
	assert_int_equal(p.type, 203); /* untouched */
}

static void test_compound_cut_anywhere(void **state)
{
	size_t ends[5], boundary = 0;
	uint8_t buf[256];
	unsigned n;

	(void)state;
	size_t len = compound(buf, sizeof buf, ends);

	refuse(buf, 0);
	for (size_t cut = 1; cut < len; cut++) {
		if (cut == ends[boundary]) {
			assert_int_equal(count_pkts(buf, cut, &n), 0);
			assert_int_equal(n, ++boundary);
		} else {
			refuse(buf, cut);
		}
	}
}

/* Too small a buffer: nothing past it, whole packets before it, `bad` at the end. */
static void test_builders_overflow(void **state)
{
	uint8_t whole[256];
	size_t ends[5], small_ends[5];

	(void)state;
	size_t len = compound(whole, sizeof whole, ends);

	for (size_t cap = 0; cap < len; cap++) {
		uint8_t *small = malloc(cap ? cap : 1);
		unsigned fit = 0;

		assert_int_equal(compound(small, cap, small_ends), 0);
		while (ends[fit] <= cap)
			fit++;
		assert_int_equal(small_ends[4], fit ? ends[fit - 1] : 0);
		assert_memory_equal(small, whole, small_ends[4]);
		free(small);
	}
	uint8_t buf[32];
	struct wr w;

	wr_init(&w, buf, 19);
	rtcp_put_fir(&w, 1, 2, 3);
	assert_true(w.bad);
	assert_int_equal(wr_len(&w), 0);
	wr_init(&w, buf, 7);
	rtcp_put_rr(&w, 1, NULL, 0);
	assert_true(w.bad);
}

static void test_versions(void **state)
{
	uint8_t buf[256];
	size_t ends[5];

	(void)state;
	size_t len = compound(buf, sizeof buf, ends);

	for (unsigned i = 0; i < 4; i++) { /* the header after ends[i], and the first */
		buf[ends[i]] ^= 0xc0;
		refuse(buf, len);
		buf[ends[i]] ^= 0xc0;
	}
	buf[0] &= 0x3f;
	refuse(buf, len);
}

static void test_padding(void **state)
{
	uint8_t data[] = { 0xa1, 206, 0, 4, 0,	  0,   0, 1, 0, 0, 0, 2, 0, 0, 0, 0,
			   0,	 0,   0, 8, 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };
	static const uint8_t empty[] = { 0xa0, 203, 0, 0 };
	unsigned n;

	(void)state;
	struct rtcp_pkt p = only(data, 20);

	assert_int_equal(p.media_ssrc, 2);
	assert_int_equal(p.body_len, 0);
	assert_int_equal(count_pkts(data, sizeof data, &n),
			 0); /* not the last one only */
	assert_int_equal(n, 2);
	data[19] = 4;
	p = only(data, 20);
	assert_int_equal(p.body_len, 4);
	data[19] = 12; /* leaves a PLI without its media SSRC */
	refuse(data, 20);
	data[19] = 20; /* longer than the packet */
	refuse(data, 20);
	data[19] = 0;
	refuse(data, 20);
	data[19] = 3;
	p = only(data, 20);
	assert_int_equal(p.body_len, 5);
	refuse(empty, 4);
}

/* As Chromium tells of one packet alone: a byte of padding. */
static void test_padded_feedback(void **state)
{
	static const uint8_t data[] = { 0xaf, 205, 0, 5, 0, 0, 0, 1, 0,	   0, 0,  2,
					0,    7,   0, 1, 0, 0, 0, 9, 0x20, 1, 40, 1 };
	struct twcc_status status;
	struct twcc_iter it;

	(void)state;
	struct rtcp_pkt p = only(data, sizeof data);

	assert_int_equal(twcc_iter_init(&it, &p), 0);
	assert_true(twcc_next(&it, &status));
	assert_int_equal(status.seq, 7);
	assert_true(status.received);
	assert_int_equal(status.arrival_us, 10000);
	assert_false(twcc_next(&it, &status));
}

static void test_short_bodies(void **state)
{
	static const uint8_t types[] = { RTCP_SR, RTCP_RR,    RTCP_APP,
					 RTCP_XR, RTCP_RTPFB, RTCP_PSFB };
	static const uint8_t need[] = { 24, 4, 8, 4, 8, 8 }; /* after the header's four */
	uint8_t data[32] = { 0x80 };
	unsigned n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		data[1] = types[i];
		for (uint8_t words = 0; words < 7; words++) {
			data[3] = words;
			assert_int_equal(count_pkts(data, 4 + 4u * words, &n),
					 words * 4 < need[i] ? -EBADMSG : 0);
		}
	}
	data[0] = 0x81;
	data[1] = RTCP_SDES;
	data[3] = 0;
	refuse(data, 4);
	data[0] = 0x80;
	assert_int_equal(count_pkts(data, 4, &n), 0);
}

static void test_unknown_types_come_too(void **state)
{
	uint8_t data[] = { 0x9f, 195, 0, 1, 0, 0, 0, 7, 0x80, 210, 0, 0 };
	struct rtcp_iter it;
	struct rtcp_pkt p;

	(void)state;
	assert_int_equal(rtcp_iter_init(&it, data, sizeof data), 0);
	assert_true(rtcp_next(&it, &p));
	assert_int_equal(p.type, 195);
	assert_int_equal(p.count, 31);
	assert_int_equal(p.ssrc, 7);
	assert_int_equal(p.body_len, 0);
	assert_true(rtcp_next(&it, &p));
	assert_int_equal(p.type, 210);
	assert_int_equal(p.ssrc, 0);
	assert_int_equal(p.body_len, 0);
	assert_false(rtcp_next(&it, &p));
}

static void test_packet_limit(void **state)
{
	uint8_t data[4 * (RTCP_PACKETS_MAX + 1)];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < sizeof data; i += 4)
		memcpy(data + i, "\x80\xcb\0\0", 4);
	assert_int_equal(count_pkts(data, 4 * RTCP_PACKETS_MAX, &n), 0);
	assert_int_equal(n, RTCP_PACKETS_MAX);
	assert_int_equal(count_pkts(data, sizeof data, &n), -ENOBUFS);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sr),
		cmocka_unit_test(test_report_counts),
		cmocka_unit_test(test_reports_round_trip),
		cmocka_unit_test(test_lost_saturates),
		cmocka_unit_test(test_sdes),
		cmocka_unit_test(test_bye),
		cmocka_unit_test(test_compound_in_order),
		cmocka_unit_test(test_compound_cut_anywhere),
		cmocka_unit_test(test_builders_overflow),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_padded_feedback),
		cmocka_unit_test(test_short_bodies),
		cmocka_unit_test(test_unknown_types_come_too),
		cmocka_unit_test(test_packet_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
