/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sealing: RFC 3711 and RFC 7714 vectors, libsrtp2 as the oracle over random packets, the
 * ring of tags, and that nothing is allocated for a packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include "seal.h"

enum { CAP = 1500, ROUNDS = 4000 };

static size_t allocations;

static void *count_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* Same run every time. */
static uint32_t seed = 12345;
static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned v;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		out[n++] = (uint8_t)v;
		hex++;
	}
	return n;
}

/* RFC 3711 B.3. */
static void test_derivation(void **state)
{
	uint8_t key[32], salt[32], want[128], got[128];
	size_t n;

	(void)state;
	unhex("E1F97A0D3E018BE0D64FA32C06DE4139", key);
	unhex("0EC675AD498AFEEBB6960B3AABE6", salt);
	n = unhex("C61E7A93744F39EE10734AFE3FF7A087", want);
	assert_int_equal(srtp_derive(key, salt, 0, got, n), 0);
	assert_memory_equal(got, want, n);
	n = unhex("30CBBC08863D8C85D49DB34A9AE1", want);
	assert_int_equal(srtp_derive(key, salt, 2, got, n), 0);
	assert_memory_equal(got, want, n);
	n = unhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE"
		  "E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25"
		  "6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2",
		  want);
	assert_int_equal(n, 94);
	assert_int_equal(srtp_derive(key, salt, 1, got, n), 0);
	assert_memory_equal(got, want, n);
}

/* RFC 7714 §16.1.1 and §17.1: the session key and salt are given, not derived. */
static void test_rfc7714(void **state)
{
	uint8_t key[16], salt[12], buf[CAP], want[CAP];
	struct seal_stream st;
	struct seal s;
	int n;

	(void)state;
	unhex("000102030405060708090a0b0c0d0e0f", key);
	unhex("517569642070726f2071756f", salt);
	assert_int_equal(seal_init(&s, PROFILE_GCM, key, salt), 0);
	assert_int_equal(EVP_EncryptInit_ex(s.rtp, NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_EncryptInit_ex(s.rtcp, NULL, NULL, key, NULL), 1);
	memcpy(s.rtp_salt, salt, 12);
	memcpy(s.rtcp_salt, salt, 12);

	n = (int)unhex(
		"8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976"
		"69736120 696e2070 61727465 73207472 6573",
		buf);
	seal_stream_init(&st, 0x5501a0b2);
	n = seal_rtp(&s, &st, buf, (size_t)n, CAP, 12, 0xf17b);
	assert_int_equal(
		n, (int)unhex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c"
			      "9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf"
			      "8833899d 7f27beb1 6a9152cf 765ee439 0cce",
			      want));
	assert_memory_equal(buf, want, (size_t)n);
	seal_stream_fini(&st);

	/* §17.1: SSRC 4d617273, index 0x000005d4. */
	n = (int)unhex(
		"81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61"
		"deadbeef deadbeef deadbeef deadbeef deadbeef",
		buf);
	s.rtcp_index = 0x5d3;
	n = seal_rtcp(&s, buf, (size_t)n, CAP);
	assert_int_equal(
		n, (int)unhex("81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99"
			      "7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded"
			      "0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
			      want));
	assert_memory_equal(buf, want, (size_t)n);
	seal_fini(&s);
}

/* ---- against libsrtp2 -------------------------------------------------------------- */

struct pair {
	struct seal s;
	srtp_t peer;
};

static void pair_open(struct pair *p, enum srtp_profile profile)
{
	uint8_t key[SRTP_KEY_BYTES + SRTP_SALT_MAX];
	srtp_policy_t policy = { 0 };
	srtp_profile_t lib = profile == PROFILE_GCM ? srtp_profile_aead_aes_128_gcm
						    : srtp_profile_aes128_cm_sha1_80;
	unsigned i;

	for (i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)rnd(256);
	srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, lib);
	srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, lib);
	policy.ssrc.type = ssrc_any_inbound;
	policy.key = key;
	policy.window_size = 1024;
	assert_int_equal(srtp_create(&p->peer, &policy), srtp_err_status_ok);
	assert_int_equal(seal_init(&p->s, profile, key, key + SRTP_KEY_BYTES), 0);
}

static void pair_close(struct pair *p)
{
	srtp_dealloc(p->peer);
	seal_fini(&p->s);
}

/* Random CSRCs, extension and payload; returns the length. */
static size_t random_rtp(uint8_t *buf, uint32_t ssrc, uint16_t seq, size_t *header_len)
{
	unsigned cc = rnd(4) ? 0 : rnd(16), words = rnd(5);
	bool ext = rnd(2) == 0;
	size_t len, payload = rnd(20) ? rnd(1100) : 0, i;

	for (i = 0; i < CAP; i++)
		buf[i] = (uint8_t)rnd(256);
	buf[0] = (uint8_t)(0x80 | cc | (ext ? 0x10 : 0));
	put_be16(buf + 2, seq);
	put_be32(buf + 8, ssrc);
	len = 12 + 4 * cc;
	if (ext) {
		put_be16(buf + len, 0xbede);
		put_be16(buf + len + 2, (uint16_t)words);
		len += 4 + 4 * words;
	}
	*header_len = len;
	return len + payload;
}

static void differential_rtp(enum srtp_profile profile, uint64_t start)
{
	uint8_t plain[CAP], buf[CAP], last[CAP], last_plain[CAP];
	size_t len, header_len = 0, last_len = 0;
	struct seal_stream st[3];
	uint64_t index[3];
	struct pair p;
	unsigned i, k;
	int n, m;

	pair_open(&p, profile);
	for (k = 0; k < 3; k++) {
		seal_stream_init(&st[k], 1000 + k);
		assert_int_equal(seal_stream_reserve(&st[k], 64), 0);
		index[k] = start + rnd(50);
	}
	for (i = 0; i < ROUNDS; i++) {
		k = rnd(3);
		/* Over the rollover several times in few packets. */
		index[k] += rnd(10) ? 1 : 1 + rnd(i % 3 ? 20 : 9000);
		len = random_rtp(plain, 1000 + k, (uint16_t)index[k], &header_len);
		memcpy(buf, plain, len);
		n = seal_rtp(&p.s, &st[k], buf, len, CAP, header_len, index[k]);
		assert_int_equal(n, len + (profile == PROFILE_GCM ? 16 : 10));
		memcpy(last, buf, (size_t)n);
		memcpy(last_plain, plain, len);
		last_len = len;
		m = n;
		assert_int_equal(srtp_unprotect(p.peer, buf, &m), srtp_err_status_ok);
		assert_int_equal(m, len);
		assert_memory_equal(buf, plain, len);
		if (rnd(4) == 0) { /* a resend is the same to the bit */
			memcpy(buf, last_plain, last_len);
			m = seal_rtp(&p.s, &st[k], buf, last_len, CAP, header_len,
				     index[k]);
			assert_int_equal(m, n);
			assert_memory_equal(buf, last, (size_t)n);
			assert_int_equal(srtp_unprotect(p.peer, buf, &m),
					 srtp_err_status_replay_fail);
		}
	}
	for (k = 0; k < 3; k++) {
		assert_true(index[k] - start >
			    2 * 65536); /* else no rollover was tried */
		seal_stream_fini(&st[k]);
	}
	pair_close(&p);
}

static void test_rtp_gcm(void **state)
{
	(void)state;
	differential_rtp(PROFILE_GCM, 65536 + 65000);
	differential_rtp(PROFILE_GCM, 1);
}

static void test_rtp_sha1(void **state)
{
	(void)state;
	differential_rtp(PROFILE_CM_SHA1_80, 65536 + 65000);
	differential_rtp(PROFILE_CM_SHA1_80, 1);
}

static void test_rtcp(void **state)
{
	static const enum srtp_profile profiles[] = { PROFILE_GCM, PROFILE_CM_SHA1_80 };
	uint8_t plain[CAP], buf[CAP];
	struct pair p;
	unsigned i, k;
	size_t len, j;
	int n;

	(void)state;
	for (k = 0; k < 2; k++) {
		pair_open(&p, profiles[k]);
		for (i = 0; i < ROUNDS; i++) {
			len = 8 + 4 * rnd(200);
			for (j = 0; j < len; j++)
				plain[j] = (uint8_t)rnd(256);
			plain[0] = 0x80;
			plain[1] = 200;
			put_be16(plain + 2, (uint16_t)(len / 4 - 1));
			put_be32(plain + 4, 7 + rnd(3));
			memcpy(buf, plain, len);
			n = seal_rtcp(&p.s, buf, len, CAP);
			assert_int_equal(n, len + (k ? 14 : 20));
			assert_int_equal(srtp_unprotect_rtcp(p.peer, buf, &n),
					 srtp_err_status_ok);
			assert_int_equal(n, len);
			assert_memory_equal(buf, plain, len);
		}
		p.s.rtcp_index = 0x7fffffff; /* never wraps */
		assert_int_equal(seal_rtcp(&p.s, buf, 8, CAP), -EPROTO);
		assert_int_equal(seal_rtcp(&p.s, buf, 7, CAP), -EINVAL);
		pair_close(&p);
	}
}

/* ---- the ring of tags -------------------------------------------------------------- */

static int put(struct pair *p, struct seal_stream *st, uint64_t index, uint8_t fill)
{
	uint8_t buf[CAP];

	memset(buf, fill, 60);
	buf[0] = 0x80;
	put_be16(buf + 2, (uint16_t)index);
	put_be32(buf + 8, st->ssrc);
	return seal_rtp(&p->s, st, buf, 60, CAP, 12, index);
}

static void ring_of(enum srtp_profile profile)
{
	struct seal_stream st;
	struct pair p;
	uint64_t i;

	pair_open(&p, profile);
	seal_stream_init(&st, 9);
	assert_int_equal(put(&p, &st, 0, 1), -EINVAL);
	/* Without a ring nothing is ever sealed again. */
	assert_true(put(&p, &st, 70000, 1) > 0);
	assert_int_equal(put(&p, &st, 70000, 1), -EEXIST);
	assert_int_equal(put(&p, &st, 69999, 1), -EEXIST);
	assert_true(put(&p, &st, 70001, 2) > 0);
	assert_int_equal(seal_stream_reserve(&st, 63), -EINVAL);
	assert_int_equal(seal_stream_reserve(&st, SEAL_TAGS * 2), -EINVAL);
	assert_int_equal(seal_stream_reserve(&st, 16), 0);
	/* Sent before the ring was there: content unknown, so refused. */
	assert_int_equal(put(&p, &st, 70001, 2), -EEXIST);
	assert_true(put(&p, &st, 70002, 3) > 0);
	assert_true(put(&p, &st, 70002, 3) > 0);
	assert_int_equal(put(&p, &st, 70002, 4), -EEXIST);
	/* A gap may be filled once, with anything, and then only with that. */
	assert_true(put(&p, &st, 70010, 5) > 0);
	assert_true(put(&p, &st, 70005, 6) > 0);
	assert_true(put(&p, &st, 70005, 6) > 0);
	assert_int_equal(put(&p, &st, 70005, 7), -EEXIST);
	/* Growing keeps what is known. */
	assert_int_equal(seal_stream_reserve(&st, 64), 0);
	assert_int_equal(seal_stream_reserve(&st, 16), 0); /* never shrinks */
	assert_int_equal(put(&p, &st, 70005, 7), -EEXIST);
	assert_true(put(&p, &st, 70005, 6) > 0);
	assert_true(put(&p, &st, 70006, 1) > 0);
	assert_int_equal(put(&p, &st, 69980, 1), -EEXIST);
	/* The window's edge, and slots used again a round later. */
	for (i = 70011; i < 70300; i++)
		assert_true(put(&p, &st, i, (uint8_t)i) > 0);
	assert_true(put(&p, &st, 70299 - 63, (uint8_t)(70299 - 63)) > 0);
	assert_int_equal(put(&p, &st, 70299 - 64, (uint8_t)(70299 - 64)), -EEXIST);
	/* A gap longer than the ring empties it. */
	assert_true(put(&p, &st, 70500, 1) > 0);
	for (i = 70500 - 63; i < 70500; i++)
		assert_true(put(&p, &st, i, 9) > 0);
	assert_int_equal(put(&p, &st, 70470, 8), -EEXIST);
	/* A jump that the receiver's rollover counter can't follow. */
	assert_int_equal(put(&p, &st, 70500 + 0x8000, 1), -EINVAL);
	assert_true(put(&p, &st, 70500 + 0x7fff, 1) > 0);
	seal_stream_fini(&st);

	/* Never below the counter's start. */
	seal_stream_init(&st, 10);
	assert_int_equal(seal_stream_reserve(&st, 16), 0);
	assert_true(put(&p, &st, 65536 + 2, 1) > 0);
	assert_true(put(&p, &st, 65536, 1) > 0);
	assert_int_equal(put(&p, &st, 65535, 1), -EEXIST);
	seal_stream_fini(&st);
	pair_close(&p);
}

static void test_ring(void **state)
{
	(void)state;
	ring_of(PROFILE_GCM);
	ring_of(PROFILE_CM_SHA1_80);
}

static void test_arguments(void **state)
{
	uint8_t buf[64] = { 0x80 };
	struct seal_stream st;
	struct pair p;

	(void)state;
	pair_open(&p, PROFILE_GCM);
	seal_stream_init(&st, 5);
	put_be16(buf + 2, 77);
	put_be32(buf + 8, 5);
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 55, 12, 77),
			 -EINVAL); /* no room for a tag */
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 64, 11, 77), -EINVAL);
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 64, 41, 77), -EINVAL);
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 64, 12, 78),
			 -EINVAL); /* header says 77 */
	put_be32(buf + 8, 6);
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 64, 12, 77),
			 -EINVAL); /* another's SSRC */
	put_be32(buf + 8, 5);
	assert_int_equal(seal_rtp(&p.s, &st, buf, 40, 56, 12, 77), 56);
	assert_int_equal(seal_rtcp(&p.s, buf, 40, 59), -EINVAL);
	assert_int_equal(seal_rtcp(&p.s, buf, 40, 60), 60);
	seal_stream_fini(&st);
	pair_close(&p);
}

static void test_no_allocation(void **state)
{
	static const enum srtp_profile profiles[] = { PROFILE_GCM, PROFILE_CM_SHA1_80 };
	struct seal_stream st;
	uint8_t buf[CAP] = { 0x80, 200 };
	struct pair p;
	size_t before;
	unsigned k;
	uint64_t i;

	(void)state;
	for (k = 0; k < 2; k++) {
		before = allocations;
		pair_open(&p, profiles[k]);
		assert_true(allocations > before); /* the counter counts */
		seal_stream_init(&st, 3);
		assert_int_equal(seal_stream_reserve(&st, SEAL_TAGS), 0);
		before = allocations;
		for (i = 1; i < 100; i++) {
			assert_true(put(&p, &st, i, 1) > 0);
			assert_true(put(&p, &st, i, 1) > 0);
			assert_true(seal_rtcp(&p.s, buf, 60, CAP) > 0);
		}
		assert_int_equal(allocations, before);
		seal_stream_fini(&st);
		pair_close(&p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_derivation), cmocka_unit_test(test_rfc7714),
		cmocka_unit_test(test_rtp_gcm),	   cmocka_unit_test(test_rtp_sha1),
		cmocka_unit_test(test_rtcp),	   cmocka_unit_test(test_ring),
		cmocka_unit_test(test_arguments),  cmocka_unit_test(test_no_allocation),
	};

	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1 ||
	    srtp_init() != srtp_err_status_ok)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
