/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libsrtp2 on OpenSSL's ciphers against libsrtp2 on those it comes with: sessions made before
 * the change keep theirs. Each opens what the other sealed, and neither what was altered.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

#include "srtp_cipher.h"

enum { CAP = 1600, TAG_MAX = 24, PACKETS = 300 };

/* The same keys on the ciphers of before and of after. */
static struct both {
	srtp_t seal, open;
} before[2], after[2];
static const srtp_profile_t profiles[2] = { srtp_profile_aead_aes_128_gcm,
					    srtp_profile_aes128_cm_sha1_80 };

static void sessions(struct both *b, srtp_profile_t profile)
{
	uint8_t key[30];
	srtp_policy_t policy;

	memset(&policy, 0, sizeof policy);
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)(7 * i + 1);
	srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, profile);
	srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, profile);
	policy.key = key;
	policy.window_size = 1024;
	policy.ssrc.type = ssrc_any_outbound;
	assert_int_equal(srtp_create(&b->seal, &policy), srtp_err_status_ok);
	policy.ssrc.type = ssrc_any_inbound;
	assert_int_equal(srtp_create(&b->open, &policy), srtp_err_status_ok);
}

static int setup(void **state)
{
	(void)state;
	if (srtp_init() != srtp_err_status_ok)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		sessions(&before[i], profiles[i]);
	if (srtp_ciphers_replace() != srtp_err_status_ok)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		sessions(&after[i], profiles[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		srtp_dealloc(before[i].seal);
		srtp_dealloc(before[i].open);
		srtp_dealloc(after[i].seal);
		srtp_dealloc(after[i].open);
	}
	return srtp_shutdown() == srtp_err_status_ok ? 0 : -1;
}

/* Packet `n` of a stream, its sequence wrapping: lengths from nothing to full, extensions. */
static int make(uint8_t *buf, unsigned n, bool rtcp)
{
	unsigned head = rtcp ? 8 : 12, body = n * 37 % 1200;
	uint16_t seq = (uint16_t)(65436 + n);

	memset(buf, 0, CAP);
	body = rtcp ? body & ~3u : body;
	buf[0] = 0x80;
	buf[1] = rtcp ? 200 : 96;
	if (rtcp) {
		buf[2] = (uint8_t)(((head + body) / 4 - 1) >> 8);
		buf[3] = (uint8_t)((head + body) / 4 - 1);
	} else {
		buf[2] = (uint8_t)(seq >> 8);
		buf[3] = (uint8_t)seq;
		if (n % 3 == 0 && body >= 8) {
			buf[0] |= 0x10;
			buf[12] = 0xbe;
			buf[13] = 0xde;
			buf[15] = 1;
		}
	}
	buf[rtcp ? 7 : 11] = 4;
	for (unsigned i = 0; i < body; i++)
		if (i > 7 || rtcp || n % 3)
			buf[head + i] = (uint8_t)(i * n);
	return (int)(head + body);
}

static void cross(srtp_t seal, srtp_t open, bool rtcp)
{
	for (unsigned n = 0; n < PACKETS; n++) {
		uint8_t plain[CAP], sealed[CAP], bad[CAP];
		int len = make(plain, n, rtcp), sealed_len = len, bad_len;

		memcpy(sealed, plain, CAP);
		assert_int_equal(rtcp ? srtp_protect_rtcp(seal, sealed, &sealed_len)
				      : srtp_protect(seal, sealed, &sealed_len),
				 srtp_err_status_ok);
		assert_in_range(sealed_len, len + 10, len + TAG_MAX);
		/* one bit anywhere behind the numbers, and nothing opens */
		memcpy(bad, sealed, CAP);
		bad_len = sealed_len;
		bad[8 + n * 31 % (unsigned)(sealed_len - 8)] ^= (uint8_t)(1 << n % 8);
		assert_int_not_equal(rtcp ? srtp_unprotect_rtcp(open, bad, &bad_len)
					  : srtp_unprotect(open, bad, &bad_len),
				     srtp_err_status_ok);
		assert_int_equal(rtcp ? srtp_unprotect_rtcp(open, sealed, &sealed_len)
				      : srtp_unprotect(open, sealed, &sealed_len),
				 srtp_err_status_ok);
		assert_int_equal(sealed_len, len);
		assert_memory_equal(sealed, plain, (size_t)len);
	}
}

static void test_opens_theirs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned rtcp = 0; rtcp < 2; rtcp++)
			cross(before[i].seal, after[i].open, rtcp);
}

static void test_theirs_opens_ours(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned rtcp = 0; rtcp < 2; rtcp++)
			cross(after[i].seal, before[i].open, rtcp);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_theirs),
		cmocka_unit_test(test_theirs_opens_ours),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
