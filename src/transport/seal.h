/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * seal: outgoing SRTP and SRTCP of one connection, on OpenSSL EVP: AEAD_AES_128_GCM (RFC
 * 7714) and AES_CM_128_HMAC_SHA1_80 (RFC 3711). Private to transport; worker's thread.
 *
 * Hot: seal_rtp, seal_rtcp. They allocate nothing: keys are set once, in seal_init.
 */
#ifndef PALABRE_TRANSPORT_SEAL_H
#define PALABRE_TRANSPORT_SEAL_H

#include <palabre/transport.h>

/* SHA1 by its states (see seal.c) is in OpenSSL's deprecated part. */
#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/evp.h>
#include <openssl/sha.h>

enum srtp_profile { PROFILE_GCM = 1, PROFILE_CM_SHA1_80 };
enum {
	SRTP_KEY_BYTES = 16,
	SRTP_SALT_MAX = 14,
	SRTP_SALT_GCM = 12,
	SEAL_TAG_GCM = 16,
	SEAL_TAG_SHA1 = 10,
	SRTCP_INDEX_BYTES = 4
};

struct seal_mac { /* HMAC-SHA1 with the key already absorbed */
	SHA_CTX inner, outer;
};
struct seal {
	enum srtp_profile profile;
	EVP_CIPHER_CTX *rtp, *rtcp;
	struct seal_mac rtp_mac, rtcp_mac; /* CM only */
	uint8_t rtp_salt[SRTP_SALT_MAX], rtcp_salt[SRTP_SALT_MAX];
	uint32_t rtcp_index; /* last used; one for all SSRCs, 31 bits */
};

/* A key of at most 64 bytes. A message begins with a copy of `inner`, to which it is added; end
 * makes its HMAC of it. */
void seal_mac_init(struct seal_mac *m, const uint8_t *key, size_t len);
void seal_mac_end(const struct seal_mac *m, SHA_CTX *inner,
		  uint8_t out[SHA_DIGEST_LENGTH]);

/* RFC 3711 §4.3.1 with key derivation rate 0; a GCM salt is followed by two zero bytes
 * (RFC 7714 §11). 0 or -ENOMEM. */
int srtp_derive(const uint8_t key[SRTP_KEY_BYTES], const uint8_t salt[SRTP_SALT_MAX],
		uint8_t label, uint8_t *out, size_t len) MUST_CHECK;
/* `salt` has 12 (GCM) or 14 bytes. 0 or -ENOMEM; seal_fini also after a failure. */
int seal_init(struct seal *s, enum srtp_profile profile, const uint8_t *key,
	      const uint8_t *salt) MUST_CHECK;
void seal_fini(struct seal *s);
/* In place; `cap` is the buffer's size. The sealed length, or as conn_send_rtp. */
int seal_rtp(struct seal *s, struct seal_stream *st, uint8_t *buf, size_t len, size_t cap,
	     size_t header_len, uint64_t index64) MUST_CHECK;
/* The sealed length, or -EINVAL (too short or too long), -EPROTO (2^31 packets sent). */
int seal_rtcp(struct seal *s, uint8_t *buf, size_t len, size_t cap) MUST_CHECK;

#endif
