/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Demultiplexing by first bytes, and whose a STUN request is (RFC 5769's request). */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum demux kind(uint8_t first, uint8_t second, size_t len)
{
	uint8_t *data = calloc(1, len);

	data[0] = first;
	if (len > 1)
		data[1] = second;
	enum demux d = wire_demux(data, len);

	free(data);
	return d;
}

/* RFC 7983 §7's picture, all 256 values. */
static void test_first_byte(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		enum demux want = DEMUX_OTHER;

		if (b <= 3)
			want = DEMUX_STUN;
		else if (b >= 20 && b <= 63)
			want = DEMUX_DTLS;
		else if (b >= 128 && b <= 191)
			want = DEMUX_RTP;
		assert_int_equal(kind((uint8_t)b, 0x60, 20), want);
	}
}

/* RFC 5761 §4 */
static void test_rtp_or_rtcp(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++)
		assert_int_equal(kind(0x80, (uint8_t)b, 12),
				 b >= 192 && b <= 223 ? DEMUX_RTCP : DEMUX_RTP);
}

static void test_too_short(void **state)
{
	(void)state;
	assert_int_equal(wire_demux(NULL, 0), DEMUX_OTHER);
	assert_int_equal(kind(0, 1, 19), DEMUX_OTHER);
	assert_int_equal(kind(0, 1, 20), DEMUX_STUN);
	assert_int_equal(kind(22, 0xfe, 12), DEMUX_OTHER);
	assert_int_equal(kind(22, 0xfe, 13), DEMUX_DTLS);
	assert_int_equal(kind(0x80, 96, 11), DEMUX_OTHER);
	assert_int_equal(kind(0x80, 96, 12), DEMUX_RTP);
	assert_int_equal(kind(0x80, 200, 7), DEMUX_OTHER);
	assert_int_equal(kind(0x80, 200, 8), DEMUX_RTCP);
	assert_int_equal(kind(0x80, 200, 1), DEMUX_OTHER);
}

/* RFC 5769 §2.1 */
static const uint8_t request[108] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01,
	0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10,
	0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c,
	0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
	0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36,
	0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76,
	0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
	0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
	0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};
enum { USERNAME_AT = 60 };

static int peek(const uint8_t *data, size_t len, const char **ufrag, size_t *n)
{
	return stun_peek_ufrag(data, len, ufrag, n);
}

static void test_ufrag_rfc5769(void **state)
{
	const char *ufrag = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(wire_demux(request, sizeof request), DEMUX_STUN);
	assert_int_equal(peek(request, sizeof request, &ufrag, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(ufrag, "evtj", 4);
	assert_ptr_equal(ufrag, (const char *)request + USERNAME_AT + 4);
}

static void test_ufrag_cut_anywhere(void **state)
{
	const char *ufrag = "as it was";
	size_t n = 77;

	(void)state;
	for (size_t len = 0; len < sizeof request; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, request, len);
		assert_int_equal(peek(cut, len, &ufrag, &n), -EBADMSG);
		if (len >= 20) { /* the header's length right, an attribute cut */
			put_be16(cut + 2, (uint16_t)(len - 20));
			int err = peek(cut, len, &ufrag, &n);

			if (len < USERNAME_AT + 4 + 12 || len % 4)
				assert_int_equal(err, -EBADMSG);
			else
				assert_int_equal(err, 0);
			ufrag = "as it was";
			n = 77;
		}
		free(cut);
	}
}

/* One change to the request, then it must be refused with the results untouched. */
static void refuse(size_t at, uint8_t value)
{
	const char *ufrag = "as it was";
	uint8_t bad[sizeof request];
	size_t n = 77;

	memcpy(bad, request, sizeof bad);
	bad[at] = value;
	assert_int_equal(peek(bad, sizeof bad, &ufrag, &n), -EBADMSG);
	assert_string_equal(ufrag, "as it was");
	assert_int_equal(n, 77);
}

static void test_ufrag_refused(void **state)
{
	uint8_t longer[sizeof request + 4] = { 0 };
	const char *ufrag;
	size_t n;

	(void)state;
	refuse(1, 0x11); /* an indication */
	refuse(0, 0x01); /* a success response */
	refuse(3, 0x54); /* length: too little, too much, not a multiple of four */
	refuse(3, 0x5c);
	refuse(3, 0x59);
	refuse(2, 0xff);
	refuse(4, 0x20);			 /* cookie */
	refuse(USERNAME_AT + 1, 0x07);		 /* no USERNAME */
	refuse(USERNAME_AT + 3, 0x04);		 /* no colon inside */
	refuse(USERNAME_AT + 3, 0x00);		 /* empty */
	refuse(USERNAME_AT + 2, 0xff);		 /* past the end */
	refuse(USERNAME_AT + 4, ':');		 /* nothing before the colon */
	refuse(USERNAME_AT + 8, 'x');		 /* no colon at all */
	memcpy(longer, request, sizeof request); /* bytes after the message */
	assert_int_equal(peek(longer, sizeof longer, &ufrag, &n), -EBADMSG);
}

static void test_username_after_integrity_is_nobodys(void **state)
{
	uint8_t bad[sizeof request];
	const char *ufrag;
	size_t n;

	(void)state;
	memcpy(bad, request, sizeof bad);
	put_be16(bad + 40, 0x0008); /* PRIORITY becomes MESSAGE-INTEGRITY */
	assert_int_equal(peek(bad, sizeof bad, &ufrag, &n), -EBADMSG);
}

/* A fragment of n characters, then a colon. */
static int peek_long(size_t n, size_t *found)
{
	size_t value = n + 2, body = 4 + (value + 3) / 4 * 4;
	uint8_t *data = calloc(1, 20 + body);
	const char *ufrag;
	struct wr w;

	wr_init(&w, data, 20 + body);
	wr_be16(&w, 1);
	wr_be16(&w, (uint16_t)body);
	wr_be32(&w, 0x2112a442);
	wr_bytes(&w, "transaction ", 12);
	wr_be16(&w, 6);
	wr_be16(&w, (uint16_t)value);
	for (size_t i = 0; i < n; i++)
		wr_u8(&w, 'u');
	wr_bytes(&w, ":x", 2);
	int err = stun_peek_ufrag(data, 20 + body, &ufrag, found);

	free(data);
	return err;
}

static void test_ufrag_limit(void **state)
{
	size_t n = 0;

	(void)state;
	assert_int_equal(peek_long(1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(peek_long(256, &n), 0);
	assert_int_equal(n, 256);
	assert_int_equal(peek_long(257, &n), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_rtp_or_rtcp),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_ufrag_rfc5769),
		cmocka_unit_test(test_ufrag_cut_anywhere),
		cmocka_unit_test(test_ufrag_refused),
		cmocka_unit_test(test_username_after_integrity_is_nobodys),
		cmocka_unit_test(test_ufrag_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
