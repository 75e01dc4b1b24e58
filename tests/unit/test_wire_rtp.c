/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RTP headers: RFC 3550 §5.1, the pictures of RFC 8285 §4.2 and §4.3, round trips,
 * damage. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct ext_map map = { .of_id = {
					    [1] = EXT_AUDIO_LEVEL,
					    [2] = EXT_MID,
					    [3] = EXT_RID,
					    [4] = EXT_RRID,
					    [5] = EXT_DD,
					    [15] = EXT_MID,
				    } };

/* Parses a copy that ends where the data ends. */
static int parse(const uint8_t *data, size_t len, struct rtp_view *v)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	int err = rtp_parse(copy, len, &map, v);

	free(copy);
	return err;
}

static void refuse(const uint8_t *data, size_t len)
{
	struct rtp_view v, before;

	memset(&v, 0x5a, sizeof v);
	memcpy(&before, &v, sizeof v);
	assert_int_equal(parse(data, len, &v), -EBADMSG);
	assert_memory_equal(&v, &before, sizeof v);
}

static void test_plain(void **state)
{
	static const uint8_t data[] = { 0x80, 0xe0 | 0x0f, 0x12, 0x34, 1,   2,	 3,  4,
					0xde, 0xad,	   0xbe, 0xef, 'p', 'a', 'y' };
	struct rtp_view v;

	(void)state;
	memset(&v, 0xff, sizeof v);
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.pt, 0x6f);
	assert_true(v.marker);
	assert_int_equal(v.seq, 0x1234);
	assert_int_equal(v.ts, 0x01020304);
	assert_int_equal(v.ssrc, 0xdeadbeef);
	assert_int_equal(v.payload_off, 12);
	assert_int_equal(v.payload_len, 3);
	assert_int_equal(v.padding_len, 0);
	assert_int_equal(v.level_dbov, -1);
	assert_false(v.voice);
	for (unsigned i = 0; i < EXT_COUNT; i++)
		assert_int_equal(v.ext[i].off, 0);
	assert_int_equal(v.codec, CODEC_NONE);
	assert_int_equal(v.seq64, 0);
	assert_int_equal(v.ts64, 0);
	assert_int_equal(v.frame.pid_off, 0);
}

static void test_no_payload(void **state)
{
	static const uint8_t data[12] = { 0x80, 0x60 };
	struct rtp_view v;

	(void)state;
	assert_int_equal(parse(data, 12, &v), 0);
	assert_int_equal(v.payload_len, 0);
	assert_false(v.marker);
}

static void test_versions(void **state)
{
	uint8_t data[12] = { 0 };

	(void)state;
	for (unsigned version = 0; version < 4; version++) {
		struct rtp_view v;

		data[0] = (uint8_t)(version << 6);
		assert_int_equal(parse(data, 12, &v), version == 2 ? 0 : -EBADMSG);
	}
}

static void test_padding(void **state)
{
	uint8_t data[20] = { 0xa0, 0x60 };
	struct rtp_view v;

	(void)state;
	data[19] = 3;
	assert_int_equal(parse(data, 20, &v), 0);
	assert_int_equal(v.payload_len, 5);
	assert_int_equal(v.padding_len, 3);
	data[19] = 8; /* all of it */
	assert_int_equal(parse(data, 20, &v), 0);
	assert_int_equal(v.payload_len, 0);
	assert_int_equal(v.padding_len, 8);
	data[19] = 9; /* into the header */
	refuse(data, 20);
	data[19] = 255;
	refuse(data, 20);
	data[19] = 0; /* counts itself, so never 0 */
	refuse(data, 20);
	refuse(data, 12); /* padding announced, nothing there */
}

static void test_csrcs(void **state)
{
	uint8_t data[12 + 15 * 4 + 1] = { 0x8f, 0x60 };
	struct rtp_view v;

	(void)state;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.payload_off, 72);
	assert_int_equal(v.payload_len, 1);
	refuse(data, 71);
}

/* RFC 8285 §4.2's picture: ids with 1, 2 and 4 bytes, two bytes of padding in between. */
static void test_one_byte_form(void **state)
{
	static const uint8_t data[] = {
		0x90, 0x60, 0,	  1,   0,   0, 0, 1,	0,   0,	  0,   2,   0xbe,
		0xde, 0,    3, /* */
		0x10, 0x85, 0x21, 'a', 'b', 0, 0, 0x33, 'r', 'i', 'd', '3', 'x',
	};
	struct rtp_view v;

	(void)state;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.payload_off, 28);
	assert_int_equal(v.payload_len, 1);
	assert_int_equal(v.ext[EXT_AUDIO_LEVEL].off, 17);
	assert_int_equal(v.ext[EXT_AUDIO_LEVEL].len, 1);
	assert_int_equal(v.level_dbov, 5);
	assert_true(v.voice);
	assert_int_equal(v.ext[EXT_MID].off, 19);
	assert_int_equal(v.ext[EXT_MID].len, 2);
	assert_int_equal(v.ext[EXT_RID].off, 24);
	assert_int_equal(v.ext[EXT_RID].len, 4);
	assert_memory_equal(data + v.ext[EXT_RID].off, "rid3", 4);
	assert_int_equal(v.ext[EXT_RRID].off, 0);
	assert_int_equal(v.ext[EXT_DD].off, 0);
}

static void test_level_ends_of_scale(void **state)
{
	uint8_t data[] = { 0x90, 0x60, 0,    1,	   0, 0, 0,    1,    0, 0,
			   0,	 2,    0xbe, 0xde, 0, 1, 0x10, 0x7f, 0, 0 };
	struct rtp_view v;

	(void)state;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.level_dbov, 127);
	assert_false(v.voice);
	data[17] = 0x80;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.level_dbov, 0);
	assert_true(v.voice);
}

/* RFC 8285 §4.2: 15 ends it; §4.1.2: so does 0 with a length. What came before counts. */
static void test_one_byte_stops(void **state)
{
	uint8_t data[] = { 0x90, 0x60, 0,    1,	   0,	 0,    0,    1,
			   0,	 0,    0,    2,	   0xbe, 0xde, 0,    2, /* */
			   0x10, 0x03, 0xf3, 0x21, 'a',	 'b',  0x2f, 0x2f };
	struct rtp_view v;

	(void)state;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.level_dbov, 3);
	assert_int_equal(v.ext[EXT_MID].off, 0);
	data[18] = 0x03; /* id 0, length 4 */
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.level_dbov, 3);
	assert_int_equal(v.ext[EXT_MID].off, 0);
	data[18] = 0; /* mere padding: MID is seen, and what follows overruns */
	refuse(data, sizeof data);
	data[22] = data[23] = 0;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.ext[EXT_MID].off, 20);
}

/* RFC 8285 §4.3's picture: elements of 0, 1 and 4 bytes, one byte of padding. */
static void test_two_byte_form(void **state)
{
	uint8_t data[] = {
		0x90, 0x60, 0, 1, 0,	0, 0, 1, 0,   0,   0,	2,   0x10,
		0x00, 0,    3, /* */
		2,    0,    1, 1, 0x07, 0, 3, 4, 'r', 'i', 'd', '3', 'x',
	};
	struct rtp_view v;

	(void)state;
	for (unsigned appbits = 0; appbits < 16; appbits++) {
		data[13] = (uint8_t)appbits;
		assert_int_equal(parse(data, sizeof data, &v), 0);
		assert_int_equal(v.payload_off, 28);
		assert_int_equal(v.ext[EXT_MID].off, 18); /* there, and empty */
		assert_int_equal(v.ext[EXT_MID].len, 0);
		assert_int_equal(v.level_dbov, 7);
		assert_int_equal(v.ext[EXT_RID].off, 24);
		assert_int_equal(v.ext[EXT_RID].len, 4);
	}
	data[13] = 0x10; /* 0x1010 is another profile: skipped unread */
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.payload_off, 28);
	assert_int_equal(v.level_dbov, -1);
	data[13] = 0;
	data[16] = 15; /* no stop in this form, id 15 is an ordinary one */
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.ext[EXT_MID].off, 18);
	data[16] = 200; /* not negotiable with us: skipped */
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.ext[EXT_MID].off, 0);
	assert_int_equal(v.level_dbov, 7);
	data[18] = 2; /* an empty level is no level */
	data[16] = 1;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.ext[EXT_AUDIO_LEVEL].off, 18);
	assert_int_equal(v.level_dbov, -1);
}

static void test_elements_past_the_block(void **state)
{
	uint8_t data[] = { 0x90, 0x60, 0, 1,	0,    0,    0,	 1,
			   0,	 0,    0, 2,	0xbe, 0xde, 0,	 1, /* */
			   0,	 0,    0, 0x10, 'p',  'a',  'y', 'l' };
	struct rtp_view v;

	(void)state;
	refuse(data, sizeof data); /* its byte would be the payload's first */
	data[19] = 0;
	data[17] = 0x11;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	data[17] = 0x12;
	refuse(data, sizeof data);
	put_be16(data + 12, 0x1000);
	data[17] = 1;
	data[18] = 1;
	data[19] = 9;
	assert_int_equal(parse(data, sizeof data, &v), 0);
	assert_int_equal(v.level_dbov, 9);
	data[18] = 2;
	refuse(data, sizeof data);
	data[17] = data[18] = 0;
	data[19] = 1; /* an id without its length */
	refuse(data, sizeof data);
}

static void test_extension_lengths(void **state)
{
	uint8_t data[16] = { 0x90, 0x60 };
	struct rtp_view v;

	(void)state;
	put_be16(data + 12, 0xbede);
	assert_int_equal(parse(data, 16, &v), 0); /* an empty block */
	assert_int_equal(v.payload_off, 16);
	for (size_t len = 0; len < 16; len++)
		refuse(data, len);
	put_be16(data + 14, 1);
	refuse(data, 16);
	put_be16(data + 14, 0xffff);
	refuse(data, 16);
	data[0] = 0x9f;
	refuse(data, 16);
}

static void test_longer_than_a_view_can_say(void **state)
{
	uint8_t *data = calloc(1, 65536);
	struct rtp_view v;

	(void)state;
	data[0] = 0x80;
	assert_int_equal(parse(data, 65535, &v), 0);
	assert_int_equal(v.payload_len, 65535 - 12);
	refuse(data, 65536);
	free(data);
}

static void test_a_wrong_map_stays_inside(void **state)
{
	static const uint8_t data[] = { 0x90, 0x60, 0,	  1,	0, 0, 0,    1,	  0, 0,
					0,    2,    0xbe, 0xde, 0, 1, 0x10, 0x7f, 0, 0 };
	struct ext_map wrong;
	struct rtp_view v;

	(void)state;
	memset(&wrong, 0xff, sizeof wrong);
	assert_int_equal(rtp_parse(data, sizeof data, &wrong, &v), 0);
	assert_int_equal(v.payload_off, 20);
}

static void test_build_plain(void **state)
{
	static const uint8_t want[12] = {
		0x80, 0xef, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8
	};
	struct rtp_header h = { .pt = 111,
				.marker = true,
				.seq = 0xfffe,
				.ts = 0x01020304,
				.ssrc = 0x05060708 };
	uint8_t buf[12];

	(void)state;
	assert_int_equal(rtp_build_header(&h, buf, sizeof buf), 12);
	assert_memory_equal(buf, want, 12);
	for (size_t cap = 0; cap < 12; cap++)
		assert_int_equal(rtp_build_header(&h, buf, cap), -ENOBUFS);
}

static const uint32_t csrc[15] = { 0x11111111, 0x22222222, 3,  4,  5,  6,  7, 8,
				   9,	       10,	   11, 12, 13, 14, 15 };
static const uint8_t bytes[255] = "\x85these are the data of elements";

static struct rtp_header full_header(void)
{
	return (struct rtp_header) {
		.pt = 96,
		.padding = true,
		.seq = 7,
		.ts = 8,
		.ssrc = 9,
		.csrc_count = 2,
		.csrc = csrc,
		.ext_count = 4,
		.ext = { { 1, 1, bytes },
			 { 2, 16, bytes },
			 { 3, 3, bytes },
			 { 5, 7, bytes } },
	};
}

static void round_trip(const struct rtp_header *h, unsigned profile)
{
	static const uint8_t kinds[4] = { EXT_AUDIO_LEVEL, EXT_MID, EXT_RID, EXT_DD };
	uint8_t buf[1024];
	struct rtp_view v;
	int len = rtp_build_header(h, buf, sizeof buf);

	assert_true(len > 0 && len % 4 == 0);
	for (int cap = 0; cap < len; cap++) {
		uint8_t *small = malloc(cap ? (size_t)cap : 1);

		assert_int_equal(rtp_build_header(h, small, (size_t)cap), -ENOBUFS);
		free(small);
	}
	assert_int_equal(get_be16(buf + 12 + 4 * h->csrc_count), profile);
	for (unsigned i = 0; i < h->csrc_count; i++)
		assert_int_equal(get_be32(buf + 12 + 4 * i), h->csrc[i]);
	buf[len] = 'p';
	buf[len + 1] = 1; /* padding */
	assert_int_equal(parse(buf, (size_t)len + 2, &v), 0);
	assert_int_equal(v.pt, h->pt);
	assert_int_equal(v.marker, h->marker);
	assert_int_equal(v.seq, h->seq);
	assert_int_equal(v.ts, h->ts);
	assert_int_equal(v.ssrc, h->ssrc);
	assert_int_equal(v.payload_off, len);
	assert_int_equal(v.payload_len, 1);
	assert_int_equal(v.padding_len, 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(v.ext[kinds[i]].len, h->ext[i].len);
		assert_memory_equal(buf + v.ext[kinds[i]].off, h->ext[i].data,
				    h->ext[i].len);
	}
	assert_int_equal(v.level_dbov, 5);
	for (size_t cut = 0; cut < (size_t)len; cut++)
		refuse(buf, cut);
}

static void test_build_round_trip(void **state)
{
	struct rtp_header h = full_header();

	(void)state;
	round_trip(&h, 0xbede);
	h.ext[3].len = 17;
	round_trip(&h, 0x1000);
	h.ext[3].len = 255;
	h.csrc_count = 15;
	round_trip(&h, 0x1000);
	h = full_header();
	h.ext[2].len = 0;
	round_trip(&h, 0x1000);
	h = full_header();
	h.ext[1].id = 15; /* maps to MID too */
	round_trip(&h, 0x1000);
}

static void test_build_limits(void **state)
{
	struct rtp_header h = full_header();
	uint8_t buf[256];

	(void)state;
	h.csrc_count = 16;
	assert_int_equal(rtp_build_header(&h, buf, sizeof buf), -ENOBUFS);
	h = full_header();
	h.ext_count = 5;
	assert_int_equal(rtp_build_header(&h, buf, sizeof buf), -ENOBUFS);
	h = full_header();
	h.ext[2].id = 0;
	assert_int_equal(rtp_build_header(&h, buf, sizeof buf), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_no_payload),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_csrcs),
		cmocka_unit_test(test_one_byte_form),
		cmocka_unit_test(test_level_ends_of_scale),
		cmocka_unit_test(test_one_byte_stops),
		cmocka_unit_test(test_two_byte_form),
		cmocka_unit_test(test_elements_past_the_block),
		cmocka_unit_test(test_extension_lengths),
		cmocka_unit_test(test_longer_than_a_view_can_say),
		cmocka_unit_test(test_a_wrong_map_stays_inside),
		cmocka_unit_test(test_build_plain),
		cmocka_unit_test(test_build_round_trip),
		cmocka_unit_test(test_build_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
