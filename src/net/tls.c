/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The TLS server context. No session cache: tickets resume without it, and 500 people
 * coming back cost no table. Reloading a certificate is a new context for new
 * connections; those that have the old one keep it alive.
 */
#include <palabre/net.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof ours - 1,
				  in, in_len) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
}

/* A key with a password can't be used by a service: fail, don't ask the terminal. */
static int on_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static void explain(char *why, size_t why_len, const char *what, const char *file)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	snprintf(why, why_len, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
		 reason ? reason : "unknown reason");
	ERR_clear_error();
}

static int load(SSL_CTX *ctx, const char *certificate_file, const char *key_file,
		char *why, size_t why_len)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate_file) != 1) {
		explain(why, why_len, "certificate", certificate_file);
		return -1;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1) {
		explain(why, why_len, "key", key_file);
		return -1;
	}
	if (SSL_CTX_check_private_key(ctx) != 1) {
		explain(why, why_len, "key does not belong to the certificate", NULL);
		return -1;
	}
	return 0;
}

struct ssl_ctx_st *tls_create(const char *certificate_file, const char *key_file,
			      char *why, size_t why_len)
{
	/* TLS 1.2: forward secrecy and authenticated encryption only. ECDSA and RSA both,
	 * since certificates of either kind are about. TLS 1.3's defaults are fine. */
	static const char suites[] = "ECDHE-ECDSA-AES128-GCM-SHA256:"
				     "ECDHE-RSA-AES128-GCM-SHA256:"
				     "ECDHE-ECDSA-CHACHA20-POLY1305:"
				     "ECDHE-RSA-CHACHA20-POLY1305:"
				     "ECDHE-ECDSA-AES256-GCM-SHA384:"
				     "ECDHE-RSA-AES256-GCM-SHA384";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx) {
		explain(why, why_len, "TLS", NULL);
		return NULL;
	}
	SSL_CTX_set_default_passwd_cb(ctx, on_password);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, suites) != 1) {
		explain(why, why_len, "TLS", NULL);
		goto out;
	}
	/* Phones without AES instructions put ChaCha first; they get it. */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* An idle connection without buffers: 34 KB less each (SSL_MODE_RELEASE_BUFFERS).
	 */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1); /* one is enough, and 250 bytes on a thin link */
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	if (load(ctx, certificate_file, key_file, why, why_len))
		goto out;
	return ctx;
out:
	SSL_CTX_free(ctx);
	return NULL;
}

void tls_destroy(struct ssl_ctx_st *tls)
{
	SSL_CTX_free(tls);
}

struct x509_st *tls_certificate(const struct ssl_ctx_st *tls)
{
	return SSL_CTX_get0_certificate(tls);
}
