/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* DTLS 1.2 with use_srtp on memory BIOs, and the two libsrtp2 sessions. */
#include "client_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

enum { RECORD_HEADER = 13, BIG_HELLO_BYTES = 1300, KEY = 16 };

static int on_verify(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* Chromium's key share for post-quantum groups has about this size. */
static int on_padding(SSL *s, unsigned type, const unsigned char **out, size_t *len,
		      int *al, void *arg)
{
	static const unsigned char bytes[BIG_HELLO_BYTES];

	(void)s;
	(void)type;
	(void)al;
	(void)arg;
	*out = bytes;
	*len = sizeof bytes;
	return 1;
}

/* A second initialisation fails harmlessly, e.g. when a transport runs in the same
 * process (create that first: it insists). If the library is really broken, srtp_create
 * says so. */
static void init_srtp(void)
{
	(void)srtp_init();
}

int dtls_setup(struct client *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_srtp);
	c->ssl_ctx = SSL_CTX_new(DTLS_method());
	if (!c->ssl_ctx)
		return -ENOMEM;
	SSL_CTX_set_options(c->ssl_ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(c->ssl_ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(c->ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	SSL_CTX_set_cert_verify_callback(c->ssl_ctx, on_verify, NULL);
	if (SSL_CTX_use_certificate(c->ssl_ctx, c->p.cert->x509) != 1 ||
	    SSL_CTX_use_PrivateKey(c->ssl_ctx, c->p.cert->key) != 1)
		return -EINVAL;
	if (c->p.big_hello &&
	    SSL_CTX_add_client_custom_ext(c->ssl_ctx, 0xff77, on_padding, NULL, NULL,
					  NULL, NULL) != 1)
		return -ENOMEM;
	c->ssl = SSL_new(c->ssl_ctx);
	if (!c->ssl)
		return -ENOMEM;
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(c->in, -1);
	BIO_set_mem_eof_return(c->out, -1);
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_mtu(c->ssl, CLIENT_MTU);
	/* A browser's order. */
	if (SSL_set_tlsext_use_srtp(
		    c->ssl, c->p.sha1_only
				    ? "SRTP_AES128_CM_SHA1_80"
				    : "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"))
		return -EINVAL;
	if (c->p.dtls_server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	return 0;
}

void dtls_teardown(struct client *c)
{
	if (c->tx)
		srtp_dealloc(c->tx);
	if (c->rx)
		srtp_dealloc(c->rx);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ssl_ctx);
}

static void flush(struct client *c)
{
	char *mem;
	long n = BIO_get_mem_data(c->out, &mem);
	const uint8_t *data = (const uint8_t *)mem;
	size_t at = 0, start = 0, len;

	while (n > 0 && at + RECORD_HEADER <= (size_t)n) {
		len = RECORD_HEADER + get_be16(data + at + 11);
		if (at > start && at + len - start > CLIENT_MTU) {
			client_out(c, data + start, at - start);
			start = at;
		}
		at += len;
	}
	if (at > start)
		client_out(c, data + start, at - start);
	(void)BIO_reset(c->out);
}

static int session(srtp_t *out, srtp_profile_t profile, bool inbound, const uint8_t *key,
		   const uint8_t *salt, size_t salt_len)
{
	uint8_t both[KEY + 14] = { 0 };
	srtp_policy_t policy;

	memset(&policy, 0, sizeof policy);
	memcpy(both, key, KEY);
	memcpy(both + KEY, salt, salt_len);
	srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, profile);
	srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, profile);
	policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
	policy.key = both;
	policy.window_size = 1024;
	policy.allow_repeat_tx = 1;
	return srtp_create(out, &policy) == srtp_err_status_ok ? 0 : -ENOMEM;
}

static int take_keys(struct client *c)
{
	const SRTP_PROTECTION_PROFILE *chosen = SSL_get_selected_srtp_profile(c->ssl);
	X509 *x509 = SSL_get1_peer_certificate(c->ssl);
	unsigned ours = c->p.dtls_server ? 1 : 0;
	uint8_t digest[FINGERPRINT_BYTES], m[60];
	srtp_profile_t profile;
	size_t salt;
	int err;

	err = !x509 || !chosen || cert_digest(x509, digest) ||
	      memcmp(digest, c->remote_fingerprint, sizeof digest) != 0;
	X509_free(x509);
	if (err)
		return -EACCES;
	profile = chosen->id == SRTP_AEAD_AES_128_GCM ? srtp_profile_aead_aes_128_gcm
						      : srtp_profile_aes128_cm_sha1_80;
	salt = chosen->id == SRTP_AEAD_AES_128_GCM ? 12 : 14;
	if (SSL_export_keying_material(c->ssl, m, 2 * (KEY + salt), "EXTRACTOR-dtls_srtp",
				       19, NULL, 0, 0) != 1)
		return -EPROTO;
	err = session(&c->tx, profile, false, m + ours * KEY, m + 2 * KEY + ours * salt,
		      salt);
	if (!err)
		err = session(&c->rx, profile, true, m + !ours * KEY,
			      m + 2 * KEY + !ours * salt, salt);
	return err;
}

static void arm(struct client *c, uint64_t now_us)
{
	struct timeval tv;

	c->dtls_due_us = UINT64_MAX;
	if (!c->up && !c->failed && DTLSv1_get_timeout(c->ssl, &tv) == 1)
		c->dtls_due_us = now_us + (uint64_t)tv.tv_sec * 1000000 +
				 (uint64_t)tv.tv_usec + 1000;
}

void dtls_input(struct client *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	uint8_t scratch[CLIENT_BUF];
	int n, err;

	if (c->failed)
		return;
	if (data) {
		(void)BIO_reset(c->in);
		if (BIO_write(c->in, data, (int)len) != (int)len)
			return;
	}
	c->dtls_started = true;
	ERR_clear_error();
	if (c->up) {
		while (SSL_read(c->ssl, scratch, sizeof scratch) > 0)
			;
		if (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN)
			c->closed = true;
		flush(c);
		return;
	}
	n = SSL_do_handshake(c->ssl);
	err = SSL_get_error(c->ssl, n);
	flush(c);
	if (n == 1) {
		c->failed = take_keys(c) != 0;
		c->up = !c->failed;
	} else if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE) {
		c->failed = true;
	}
	arm(c, now_us);
}

void dtls_timer(struct client *c, uint64_t now_us)
{
	if (c->up || c->failed)
		return;
	if (!c->dtls_started) {
		if (c->checked && c->manners.start_dtls && !c->p.dtls_server)
			dtls_input(c, NULL, 0, now_us);
	} else if (now_us >= c->dtls_due_us) {
		ERR_clear_error();
		if (DTLSv1_handle_timeout(c->ssl) < 0)
			c->failed = true;
		flush(c);
		arm(c, now_us);
	}
}
