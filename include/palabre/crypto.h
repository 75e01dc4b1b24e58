/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * crypto: the server's certificate for DTLS, the secret that signs links and tickets.
 * Level 1, any thread; objects are immutable once made.
 */
#ifndef PALABRE_CRYPTO_H
#define PALABRE_CRYPTO_H

#include <palabre/base.h>

/* ---- DTLS certificate: ECDSA P-256, self-signed, made at start --------------------- */

struct x509_st;
struct evp_pkey_st;
enum { FINGERPRINT_TEXT_MAX = 96, FINGERPRINT_BYTES = 32 };
struct cert {
	struct x509_st *x509;
	struct evp_pkey_st *key;
	char fingerprint[FINGERPRINT_TEXT_MAX]; /* SHA-256, "AA:BB:…" */
};
struct cert *cert_create(void) MUST_CHECK; /* mem_unref */
/* SHA-256 of a certificate. */
int cert_digest(struct x509_st *x509, uint8_t out[FINGERPRINT_BYTES]) MUST_CHECK;
/* The same as text. */
int cert_text(struct x509_st *x509, char out[FINGERPRINT_TEXT_MAX]) MUST_CHECK;
/* "AA:BB:…" (any case) to 32 bytes. 0 or -EINVAL. */
int fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_BYTES]) MUST_CHECK;

/* ---- the server's secret ----------------------------------------------------------- */

enum { SECRET_BYTES = 32 };
struct secret {
	uint8_t key[SECRET_BYTES];
};
/* Reads `path`, or makes it (mode 0600, written whole or not at all). -errno; *why for people. */
int secret_load(struct secret *s, const char *path, char *why, size_t why_len) MUST_CHECK;
/* By which two secrets are told apart; says nothing of the secret. */
enum { SECRET_PRINT_MAX = 24 };
int secret_text(const struct secret *s, char out[SECRET_PRINT_MAX]) MUST_CHECK;

/* ---- signed tokens ------------------------------------------------------------------------------
 * base64url(type byte | expiry, 5 bytes big-endian seconds since 1970 | body) "." is not used:
 * the whole is payload || first 16 bytes of HMAC-SHA-256(secret, "palabre token v1" || payload),
 * then base64url without padding. The type keeps a link from serving as a ticket.
 */
enum token_type { TOKEN_LINK = 1, TOKEN_TICKET = 2 };
enum { TOKEN_BODY_MAX = 192, TOKEN_TEXT_MAX = 320 };
/* expiry_s 0 = never. 0 or -EINVAL (body too long). */
int token_sign(const struct secret *s, enum token_type type, uint64_t expiry_s,
	       const void *body, size_t len, char out[TOKEN_TEXT_MAX]) MUST_CHECK;
/* 0 and the body; -EACCES wrong signature or type; -EBADMSG not a token; -ETIME expired. */
int token_verify(const struct secret *s, enum token_type type, uint64_t now_s,
		 const char *text, size_t text_len, uint8_t body[TOKEN_BODY_MAX],
		 size_t *len) MUST_CHECK;

#endif
