/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sealing with OpenSSL: three to ten times cheaper than Debian's libsrtp2 (on NSS), which
 * remains the oracle of its test.
 *
 * Invariant: no packet index of a stream leaves twice with different content, since a
 * repeated nonce gives the key stream away (and with GCM the authentication key): an
 * index above `highest` is new; one at or below is sealed only if its slot in the ring of
 * tags is empty (never sent, late) or holds the tag that has just been computed. What is
 * past the ring is refused.
 *
 * HMAC-SHA1 runs on two saved SHA_CTX states (key xor ipad, key xor opad). EVP_MAC and
 * EVP_MD_CTX_copy would allocate for every packet in OpenSSL 3.0.
 */
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum label {
	LABEL_RTP_KEY,
	LABEL_RTP_AUTH,
	LABEL_RTP_SALT,
	LABEL_RTCP_KEY,
	LABEL_RTCP_AUTH,
	LABEL_RTCP_SALT
};
enum {
	AUTH_KEY_BYTES = 20,
	IV_GCM = 12,
	IV_CM = 16,
	RTP_HEADER_MIN = 12,
	RTCP_HEADER = 8, /* what SRTCP leaves in the clear */
	INDEX_AHEAD_MAX =
		0x7fff, /* further, and the receiver guesses a wrong rollover counter */
	SHA1_BLOCK = 64
};
#define SRTCP_E	       0x80000000u
#define SRTP_INDEX_END (UINT64_C(1) << 48)

int srtp_derive(const uint8_t key[SRTP_KEY_BYTES], const uint8_t salt[SRTP_SALT_MAX],
		uint8_t label, uint8_t *out, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[IV_CM] = { 0 };
	int n, err = -ENOMEM;

	memcpy(iv, salt, SRTP_SALT_MAX);
	iv[7] ^= label;
	memset(out, 0, len);
	if (ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, out, (int)len) == 1)
		err = 0;
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

void seal_mac_init(struct seal_mac *m, const uint8_t *key, size_t len)
{
	uint8_t pad[SHA1_BLOCK];
	unsigned i;

	memset(pad, 0x36, sizeof pad);
	for (i = 0; i < len && i < SHA1_BLOCK; i++)
		pad[i] ^= key[i];
	SHA1_Init(&m->inner);
	SHA1_Update(&m->inner, pad, sizeof pad);
	for (i = 0; i < SHA1_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA1_Init(&m->outer);
	SHA1_Update(&m->outer, pad, sizeof pad);
	OPENSSL_cleanse(pad, sizeof pad);
}

void seal_mac_end(const struct seal_mac *m, SHA_CTX *inner,
		  uint8_t out[SHA_DIGEST_LENGTH])
{
	SHA_CTX ctx = m->outer;

	SHA1_Final(out, inner);
	SHA1_Update(&ctx, out, SHA_DIGEST_LENGTH);
	SHA1_Final(out, &ctx);
}

/* HMAC over `data` and the four bytes of `tail`. */
static void mac_run(const struct seal_mac *m, const uint8_t *data, size_t len,
		    uint32_t tail, uint8_t out[SHA_DIGEST_LENGTH])
{
	SHA_CTX ctx = m->inner;
	uint8_t tail_bytes[4];

	put_be32(tail_bytes, tail);
	SHA1_Update(&ctx, data, len);
	SHA1_Update(&ctx, tail_bytes, sizeof tail_bytes);
	seal_mac_end(m, &ctx, out);
}

static int one_context(struct seal *s, EVP_CIPHER_CTX **ctx, struct seal_mac *mac,
		       uint8_t session_salt[SRTP_SALT_MAX], const uint8_t *key,
		       const uint8_t *salt, enum label first)
{
	uint8_t session_key[SRTP_KEY_BYTES], auth[AUTH_KEY_BYTES];
	bool gcm = s->profile == PROFILE_GCM;
	int err;

	err = srtp_derive(key, salt, (uint8_t)first, session_key, sizeof session_key);
	if (!err)
		err = srtp_derive(key, salt, (uint8_t)(first + 2), session_salt,
				  gcm ? SRTP_SALT_GCM : SRTP_SALT_MAX);
	if (!err && !gcm) {
		err = srtp_derive(key, salt, (uint8_t)(first + 1), auth, sizeof auth);
		seal_mac_init(mac, auth, sizeof auth);
		OPENSSL_cleanse(auth, sizeof auth);
	}
	*ctx = EVP_CIPHER_CTX_new();
	if (!err && (!*ctx ||
		     EVP_EncryptInit_ex(*ctx, gcm ? EVP_aes_128_gcm() : EVP_aes_128_ctr(),
					NULL, session_key, NULL) != 1))
		err = -ENOMEM;
	OPENSSL_cleanse(session_key, sizeof session_key);
	return err;
}

int seal_init(struct seal *s, enum srtp_profile profile, const uint8_t *key,
	      const uint8_t *salt)
{
	uint8_t padded[SRTP_SALT_MAX] = { 0 };
	int err;

	memset(s, 0, sizeof *s);
	s->profile = profile;
	memcpy(padded, salt, profile == PROFILE_GCM ? SRTP_SALT_GCM : SRTP_SALT_MAX);
	err = one_context(s, &s->rtp, &s->rtp_mac, s->rtp_salt, key, padded,
			  LABEL_RTP_KEY);
	if (!err)
		err = one_context(s, &s->rtcp, &s->rtcp_mac, s->rtcp_salt, key, padded,
				  LABEL_RTCP_KEY);
	return err;
}

void seal_fini(struct seal *s)
{
	EVP_CIPHER_CTX_free(s->rtp);
	EVP_CIPHER_CTX_free(s->rtcp);
	OPENSSL_cleanse(s, sizeof *s);
}

/* RFC 7714 §8.1 and §9.1: two zero bytes, SSRC, 48 bits of index, all xor salt. */
static void iv_gcm(uint8_t iv[IV_GCM], const uint8_t *salt, uint32_t ssrc, uint64_t index)
{
	unsigned i;

	put_be16(iv, 0);
	put_be32(iv + 2, ssrc);
	put_be16(iv + 6, (uint16_t)(index >> 32));
	put_be32(iv + 8, (uint32_t)index);
	for (i = 0; i < IV_GCM; i++)
		iv[i] ^= salt[i];
}

/* RFC 3711 §4.1.1. */
static void iv_cm(uint8_t iv[IV_CM], const uint8_t *salt, uint32_t ssrc, uint64_t index)
{
	unsigned i;

	put_be32(iv, 0);
	put_be32(iv + 4, ssrc);
	put_be16(iv + 8, (uint16_t)(index >> 32));
	put_be32(iv + 10, (uint32_t)index);
	put_be16(iv + 14, 0);
	for (i = 0; i < SRTP_SALT_MAX; i++)
		iv[i] ^= salt[i];
}

static int run_gcm(EVP_CIPHER_CTX *ctx, const uint8_t *iv, const uint8_t *aad,
		   size_t aad_len, const uint8_t *aad2, size_t aad2_len, uint8_t *data,
		   size_t len, uint8_t *tag)
{
	int n;

	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1 ||
	    (aad2_len && EVP_EncryptUpdate(ctx, NULL, &n, aad2, (int)aad2_len) != 1) ||
	    (len && EVP_EncryptUpdate(ctx, data, &n, data, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(ctx, data + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_GCM, tag) != 1)
		return -EIO;
	return 0;
}

static int run_cm(EVP_CIPHER_CTX *ctx, const uint8_t *iv, uint8_t *data, size_t len)
{
	int n;

	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
	    (len && EVP_EncryptUpdate(ctx, data, &n, data, (int)len) != 1))
		return -EIO;
	return 0;
}

/* ---- what has been sent ------------------------------------------------------------ */

void seal_stream_init(struct seal_stream *s, uint32_t ssrc)
{
	memset(s, 0, sizeof *s);
	s->ssrc = ssrc;
}

int seal_stream_reserve(struct seal_stream *s, unsigned window)
{
	uint64_t *tags;
	uint64_t i;

	if (window == 0 || window > SEAL_TAGS || (window & (window - 1)))
		return -EINVAL;
	if (s->tags && window <= s->mask + 1)
		return 0;
	tags = calloc(window, sizeof *tags);
	if (!tags)
		return -ENOMEM;
	/* What was sent before but isn't in the old ring must not look unsent: 1 is a tag
	 * that nothing has (tag_of). */
	for (i = 0; i < window && i < s->highest; i++) {
		uint64_t index = s->highest - i;

		tags[index & (window - 1)] =
			s->tags && i <= s->mask ? s->tags[index & s->mask] : 1;
	}
	free(s->tags);
	s->tags = tags;
	s->mask = window - 1;
	return 0;
}

void seal_stream_fini(struct seal_stream *s)
{
	free(s->tags);
	memset(s, 0, sizeof *s);
}

/* The first 8 bytes; 0 and 1 mean "not sent" and "sent, content unknown". */
static uint64_t tag_of(const uint8_t *tag)
{
	uint64_t v;

	memcpy(&v, tag, sizeof v);
	return v > 1 ? v : 2;
}

/* Before the costly part: can this index be sent at all? */
static int stream_check(const struct seal_stream *s, uint64_t index64)
{
	if (!s->highest) /* the first */
		return index64 ? 0 : -EINVAL;
	if (index64 > s->highest)
		return index64 - s->highest > INDEX_AHEAD_MAX ? -EINVAL : 0;
	if (!s->tags || s->highest - index64 > s->mask || index64 >> 16 < s->roc_base)
		return -EEXIST;
	return 0;
}

static int stream_note(struct seal_stream *s, uint64_t index64, uint64_t tag)
{
	uint64_t *slot = s->tags ? &s->tags[index64 & s->mask] : NULL;
	uint64_t i, skipped;

	if (index64 <= s->highest && *slot) /* stream_check has seen to s->tags */
		return *slot == tag ? 0 : -EEXIST;
	if (index64 > s->highest) {
		skipped = s->highest ? index64 - s->highest - 1 : 0;
		for (i = 1; s->tags && i <= skipped && i <= s->mask; i++)
			s->tags[(index64 - i) & s->mask] = 0;
		if (!s->highest)
			s->roc_base = index64 >> 16;
		s->highest = index64;
	}
	if (slot)
		*slot = tag;
	return 0;
}

/* ---- sealing ----------------------------------------------------------------------- */

int seal_rtp(struct seal *s, struct seal_stream *st, uint8_t *buf, size_t len, size_t cap,
	     size_t header_len, uint64_t index64)
{
	bool gcm = s->profile == PROFILE_GCM;
	size_t tag_len = gcm ? SEAL_TAG_GCM : SEAL_TAG_SHA1;
	uint8_t iv[IV_CM], mac[SHA_DIGEST_LENGTH], *tag = buf + len;
	uint64_t index;
	int err;

	if (header_len < RTP_HEADER_MIN || header_len > len || len + tag_len > cap ||
	    get_be16(buf + 2) != (uint16_t)index64 || get_be32(buf + 8) != st->ssrc)
		return -EINVAL;
	err = stream_check(st, index64);
	if (err) {
		if (err == -EEXIST)
			STAT_INC(seal_reuse);
		return err;
	}
	/* The receiver counts rollovers from 0, whatever the caller's numbering starts
	 * with. */
	index = st->highest ? index64 - (st->roc_base << 16) : index64 & 0xffff;
	if (index >= SRTP_INDEX_END)
		return -EPROTO;
	if (gcm) {
		iv_gcm(iv, s->rtp_salt, st->ssrc, index);
		err = run_gcm(s->rtp, iv, buf, header_len, NULL, 0, buf + header_len,
			      len - header_len, tag);
	} else {
		iv_cm(iv, s->rtp_salt, st->ssrc, index);
		err = run_cm(s->rtp, iv, buf + header_len, len - header_len);
		mac_run(&s->rtp_mac, buf, len, (uint32_t)(index >> 16), mac);
		memcpy(tag, mac, SEAL_TAG_SHA1);
	}
	if (err) {
		STAT_INC(seal_fail);
		return err;
	}
	err = stream_note(st, index64, tag_of(tag));
	if (err) {
		STAT_INC(seal_reuse);
		return err;
	}
	return (int)(len + tag_len);
}

int seal_rtcp(struct seal *s, uint8_t *buf, size_t len, size_t cap)
{
	bool gcm = s->profile == PROFILE_GCM;
	size_t tag_len = gcm ? SEAL_TAG_GCM : SEAL_TAG_SHA1;
	uint8_t iv[IV_CM], mac[SHA_DIGEST_LENGTH], word[SRTCP_INDEX_BYTES];
	uint32_t ssrc, e_index;
	int err;

	if (len < RTCP_HEADER || len + tag_len + SRTCP_INDEX_BYTES > cap)
		return -EINVAL;
	if (s->rtcp_index >= ~SRTCP_E)
		return -EPROTO;
	s->rtcp_index++;
	ssrc = get_be32(buf + 4);
	e_index = SRTCP_E | s->rtcp_index;
	put_be32(word, e_index);
	if (gcm) {
		iv_gcm(iv, s->rtcp_salt, ssrc, s->rtcp_index);
		err = run_gcm(s->rtcp, iv, buf, RTCP_HEADER, word, sizeof word,
			      buf + RTCP_HEADER, len - RTCP_HEADER, buf + len);
		memcpy(buf + len + SEAL_TAG_GCM, word, sizeof word);
	} else {
		iv_cm(iv, s->rtcp_salt, ssrc, s->rtcp_index);
		err = run_cm(s->rtcp, iv, buf + RTCP_HEADER, len - RTCP_HEADER);
		mac_run(&s->rtcp_mac, buf, len, e_index, mac);
		memcpy(buf + len, word, sizeof word);
		memcpy(buf + len + sizeof word, mac, SEAL_TAG_SHA1);
	}
	if (err) {
		STAT_INC(seal_fail);
		return err;
	}
	return (int)(len + tag_len + SRTCP_INDEX_BYTES);
}
