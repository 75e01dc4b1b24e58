/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * DTLS 1.2 (RFC 6347) with use_srtp (RFC 5764) on OpenSSL's memory BIOs.
 *
 * Invariant: packets wait in the connection's queue and only dtls_run, from
 * transport_run, touches the SSL object, so that the cost of handshakes is bounded per
 * turn. Keys are taken once, after the handshake is finished and the certificate's
 * SHA-256 is the one the peer's SDP has promised; otherwise the connection has failed.
 *
 * Answers go to where the packet came from: browsers begin before they nominate.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>

enum {
	RECORD_HEADER = 13,
	SCRATCH_BYTES = 2048,
	FIRST_TIMEOUT_MIN_US = 250000, /* OpenSSL's 1 s is long on Wi-Fi */
	FIRST_TIMEOUT_MAX_US = 1500000,
	TIMEOUT_MAX_US = 4000000
};

/* The certificate is judged by its digest, after the handshake. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

int dtls_init(struct transport *t)
{
	SSL_CTX *ctx = SSL_CTX_new(DTLS_method());

	t->ssl_ctx = ctx;
	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_SINGLE_ECDH_USE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (!SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:"
					  "ECDHE-ECDSA-AES256-GCM-SHA384:"
					  "ECDHE-ECDSA-CHACHA20-POLY1305") ||
	    !SSL_CTX_set1_groups_list(ctx, "X25519:P-256") ||
	    SSL_CTX_use_certificate(ctx, t->cert->x509) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, t->cert->key) != 1)
		return -EINVAL;
	return 0;
}

static unsigned on_timeout_wanted(SSL *ssl, unsigned last_us)
{
	const struct conn *c = SSL_get_app_data(ssl);

	if (!last_us)
		return (unsigned)c->dtls_first_us;
	return last_us * 2 < TIMEOUT_MAX_US ? last_us * 2 : TIMEOUT_MAX_US;
}

int dtls_open(struct conn *c)
{
	/* OpenSSL, as server, takes its own order; as client the browser's would decide,
	 * so only one is offered. */
	static const char *const profiles[2][2] = {
		{ "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
		  "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM" },
		{ "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80" }
	};
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(c->t->ssl_ctx);

	/* 0 means success here. */
	if (!in || !out || !ssl ||
	    SSL_set_tlsext_use_srtp(ssl, profiles[c->dtls_client][c->prefer_sha1])) {
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(in, -1);
	BIO_set_mem_eof_return(out, -1);
	SSL_set_bio(ssl, in, out);
	SSL_set_app_data(ssl, c);
	SSL_set_mtu(ssl, DTLS_MTU);
	c->dtls_first_us = FIRST_TIMEOUT_MIN_US;
	DTLS_set_timer_cb(ssl, on_timeout_wanted);
	if (c->dtls_client)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	c->ssl = ssl;
	c->dtls_in = in;
	c->dtls_out = out;
	return 0;
}

void dtls_close(struct conn *c)
{
	if (!c->ssl)
		return;
	wheel_disarm(c->t->wheel, &c->dtls_timer);
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->dtls_in = c->dtls_out = NULL;
	c->dtls_path = NULL;
}

void dtls_drop_queue(struct conn *c)
{
	struct pkt *p;

	while ((p = c->dtls_head)) {
		c->dtls_head = p->next;
		p->next = NULL;
		c->dtls_queued--;
		c->t->dtls_queued--;
		pkt_unref(p);
	}
	c->dtls_tail = &c->dtls_head;
}

/* ---- out --------------------------------------------------------------------------- */

static void send_datagram(struct conn *c, struct path *path, const uint8_t *data,
			  size_t len, uint64_t now_us)
{
	uint8_t *buf;

	if (!path_may_send(path, len, now_us)) {
		STAT_INC(amplify_limit);
		return;
	}
	buf = tx_reserve(c->t->tx);
	memcpy(buf, data, len);
	tx_commit(c->t->tx, &path->flow, len);
	c->tx_bytes += wire_bytes(&path->flow, len);
}

/* The memory BIO glues the records of a flight together; a datagram holds whole ones. */
static void flush(struct conn *c, struct path *path, uint64_t now_us)
{
	size_t start = 0, at = 0, len, left;
	char *mem;
	const uint8_t *data;
	long n = BIO_get_mem_data(c->dtls_out, &mem);

	data = (const uint8_t *)mem;
	left = n > 0 ? (size_t)n : 0;
	while (path && at + RECORD_HEADER <= left) {
		len = RECORD_HEADER + get_be16(data + at + 11);
		if (len > left - at || len > TX_MTU)
			break; /* not ours: never seen */
		if (at > start && at + len - start > DTLS_MTU) {
			send_datagram(c, path, data + start, at - start, now_us);
			start = at;
		}
		at += len;
	}
	if (path && at > start)
		send_datagram(c, path, data + start, at - start, now_us);
	(void)BIO_reset(c->dtls_out);
}

/* OpenSSL keeps the time itself; the wheel only says when to ask it. */
static void arm_timer(struct conn *c, uint64_t now_us)
{
	struct timeval tv;

	if (c->ssl && c->state == CONN_CHECKED && DTLSv1_get_timeout(c->ssl, &tv) == 1)
		wheel_arm(c->t->wheel, &c->dtls_timer,
			  now_us + (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec +
				  1000);
	else
		wheel_disarm(c->t->wheel, &c->dtls_timer);
}

void dtls_on_timer(struct timer *timer, uint64_t now_us)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, dtls_timer);

	(void)now_us;
	c->timeout_due = true;
	run_add(c);
}

/* ---- the handshake's end ----------------------------------------------------------- */

static bool certificate_matches(struct conn *c)
{
	X509 *x509 = SSL_get1_peer_certificate(c->ssl);
	uint8_t digest[FINGERPRINT_BYTES];
	bool ok;

	ok = x509 && cert_digest(x509, digest) == 0 &&
	     equal_constant_time(digest, c->remote_fingerprint, sizeof digest);
	X509_free(x509);
	return ok;
}

static int take_keys(struct conn *c)
{
	static const char label[] = "EXTRACTOR-dtls_srtp";
	const SRTP_PROTECTION_PROFILE *chosen = SSL_get_selected_srtp_profile(c->ssl);
	uint8_t material[EXPORT_MAX];
	enum srtp_profile profile;
	size_t len;
	int err;

	if (!chosen)
		return -EPROTO;
	profile = chosen->id == SRTP_AEAD_AES_128_GCM ? PROFILE_GCM : PROFILE_CM_SHA1_80;
	len = 2 *
	      (SRTP_KEY_BYTES + (profile == PROFILE_GCM ? SRTP_SALT_GCM : SRTP_SALT_MAX));
	if (SSL_export_keying_material(c->ssl, material, len, label, sizeof label - 1,
				       NULL, 0, 0) != 1)
		return -EPROTO;
	err = srtp_keys(c, profile, material);
	OPENSSL_cleanse(material, sizeof material);
	return err;
}

static void fail(struct conn *c, const char *why, uint64_t now_us)
{
	STAT_INC(dtls_fail);
	log_debug("transport.dtls", "error=%s", why);
	conn_set_state(c, CONN_FAILED, now_us);
}

static void finish(struct conn *c, uint64_t now_us)
{
	if (!c->dtls_path) { /* its TCP connection has closed meanwhile */
		fail(c, "path", now_us);
	} else if (!certificate_matches(c)) {
		dtls_send_close(c, now_us);
		fail(c, "fingerprint", now_us);
	} else if (take_keys(c)) {
		dtls_send_close(c, now_us);
		fail(c, "profile", now_us);
	} else {
		conn_on_handshake(c, now_us);
	}
}

/* ---- steps ------------------------------------------------------------------------- */

static void handshake(struct conn *c, uint64_t now_us)
{
	int n, err;

	ERR_clear_error();
	n = SSL_do_handshake(c->ssl);
	err = SSL_get_error(c->ssl, n);
	flush(c, c->dtls_path, now_us);
	if (n == 1)
		finish(c, now_us);
	else if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE)
		fail(c, "handshake", now_us);
}

/* Afterwards: a repeated Finished is answered by OpenSSL, a close_notify ends it; what
 * else there is (application data, forgeries) is thrown away. */
static void afterwards(struct conn *c, uint64_t now_us)
{
	uint8_t scratch[SCRATCH_BYTES];
	int n, i;

	for (i = 0; i < DTLS_QUEUE_CONN_MAX; i++) {
		ERR_clear_error();
		n = SSL_read(c->ssl, scratch, sizeof scratch);
		if (n <= 0)
			break;
	}
	flush(c, c->dtls_path, now_us);
	if (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN)
		conn_set_state(c, CONN_FAILED, now_us);
	else if (n <= 0 && SSL_get_error(c->ssl, n) == SSL_ERROR_SSL)
		dtls_close(c); /* of no further use; the keys stay good */
}

static void step(struct conn *c, uint64_t now_us)
{
	if (c->keyed)
		afterwards(c, now_us);
	else
		handshake(c, now_us);
}

static bool alive(const struct conn *c)
{
	return !c->closed && c->ssl && c->state != CONN_FAILED;
}

static void on_packet(struct conn *c, struct pkt *p, uint64_t now_us)
{
	struct path *path = path_find(c, &p->flow);
	uint64_t since_us;

	if (!path || path->deaf_until_us > now_us) /* gone while it waited */
		return;
	if (!c->keyed || path_proven(path, now_us)) {
		if (!c->dtls_path && !c->dtls_client) {
			/* The browser starts when it has our answer to its first check,
			 * so this is about one round trip. */
			since_us = (now_us - path->created_us) * 3 / 2;
			if (since_us > FIRST_TIMEOUT_MAX_US)
				since_us = FIRST_TIMEOUT_MAX_US;
			if (since_us > c->dtls_first_us)
				c->dtls_first_us = since_us;
		}
		c->dtls_path = path;
	}
	(void)BIO_reset(
		c->dtls_in); /* half a record of the datagram before is of no use */
	if (BIO_write(c->dtls_in, p->data, p->len) == p->len)
		step(c, now_us);
}

void dtls_run(struct conn *c, uint64_t now_us)
{
	struct pkt *p;

	mem_ref(c);
	if (alive(c) && c->client_start) {
		c->client_start = false;
		c->dtls_path = c->cur;
		if (c->dtls_path)
			step(c, now_us);
	}
	if (alive(c) && c->timeout_due && !c->keyed) {
		ERR_clear_error();
		if (DTLSv1_handle_timeout(c->ssl) < 0)
			fail(c, "timeout", now_us);
		else
			flush(c, c->dtls_path, now_us);
	}
	c->timeout_due = false;
	while (alive(c) && (p = c->dtls_head)) {
		c->dtls_head = p->next;
		if (!c->dtls_head)
			c->dtls_tail = &c->dtls_head;
		p->next = NULL;
		c->dtls_queued--;
		c->t->dtls_queued--;
		on_packet(c, p, now_us);
		pkt_unref(p);
	}
	if (!c->closed) {
		dtls_drop_queue(c);
		arm_timer(c, now_us);
	}
	mem_unref(c);
}

void dtls_send_close(struct conn *c, uint64_t now_us)
{
	struct path *path = c->state == CONN_UP ? c->cur : c->dtls_path;

	if (!c->ssl || !path || SSL_in_init(c->ssl))
		return;
	ERR_clear_error();
	SSL_shutdown(c->ssl);
	flush(c, path, now_us);
}
