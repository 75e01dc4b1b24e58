/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The door: HTTP, TLS, RFC 4571, garbage or nothing; limits; TLS with a certificate made
 * here. */
#include "unit/net_rig.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "count.h"

static struct event_base *base;
static struct http_server *server;
static struct door *door;
static struct rig_client client;
static struct ssl_ctx_st *tls;
static char dir[] = "/tmp/palabre-door-XXXXXX", cert[100], key[100];
static int framed_fd = -1;
static size_t framed_len;
static uint8_t framed_early[600];
static char framed_ufrag[300];

static void on_framed(void *arg, int fd, const struct addr *peer,
		      const struct addr *local, const uint8_t *early, size_t len,
		      const char *ufrag, size_t ufrag_len)
{
	assert_ptr_equal(arg, &door);
	assert_int_equal(peer->ip[0], 127);
	assert_int_equal(local->ip[0], 127);
	framed_fd = fd;
	framed_len = len;
	memcpy(framed_early, early, len);
	snprintf(framed_ufrag, sizeof framed_ufrag, "%.*s", (int)ufrag_len, ufrag);
}

static const struct door_ops ops = { .on_framed = on_framed };

static void on_page(struct http_request *rq, void *arg)
{
	(void)arg;
	http_reply(rq, 200, "text/plain", http_is_tls(rq) ? "tls" : "open",
		   http_is_tls(rq) ? 3 : 4);
}

static void make_certificate(void)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, pair);
	assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
	f = fopen(cert, "w");
	PEM_write_X509(f, x);
	fclose(f);
	f = fopen(key, "w");
	PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static unsigned first_bytes_ms;

static void open_door(unsigned total, unsigned per_address, bool with_tls)
{
	struct door_limits limits = { total, per_address, first_bytes_ms, { 0 } };
	struct addr at;

	assert_int_equal(addr_parse(&at, "127.0.0.1:0"), 0);
	assert_int_equal(door_create(&door, base, &at, with_tls ? tls : NULL, server,
				     &limits, &ops, &door),
			 0);
}

static int dial(void)
{
	struct sockaddr_storage name;
	struct addr at;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	door_local(door, &at);
	len = addr_to_sockaddr(&at, &name);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, len), 0);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	memset(&rig_stats, 0, sizeof rig_stats);
	stats_here = &rig_stats;
	log_set_level(LOG_ERROR);
	framed_fd = -1;
	first_bytes_ms = 100;
	base = event_base_new();
	server = http_server_create(base, 1000, 1000);
	http_route(server, "GET", "/", on_page, NULL);
	return 0;
}

static void dial_in(void)
{
	rig_client_init(&client, base, dial());
}

static int teardown(void **state)
{
	(void)state;
	door_destroy(door);
	door = NULL;
	http_server_destroy(server);
	rig_client_fini(&client);
	memset(&client, 0, sizeof client);
	if (framed_fd >= 0)
		close(framed_fd);
	event_base_free(base);
	return 0;
}

static size_t binding(uint8_t *out, const char *username)
{
	size_t n = strlen(username), padded = (n + 3) & ~(size_t)3;

	memset(out, 0, 2 + 20 + 4 + padded);
	put_be16(out, (uint16_t)(20 + 4 + padded));
	put_be16(out + 2, 1);
	put_be16(out + 4, (uint16_t)(4 + padded));
	put_be32(out + 6, 0x2112a442);
	put_be16(out + 22, 6);
	put_be16(out + 24, (uint16_t)n);
	memcpy(out + 26, username, n);
	return 2 + 20 + 4 + padded;
}

static void test_http(void **state)
{
	(void)state;
	open_door(10, 10, false);
	dial_in();
	rig_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	rig_expect(&client, "\r\n\r\nopen");
}

static bool option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
	return value;
}

static void test_framed(void **state)
{
	uint8_t f[300];
	size_t i, n = binding(f, "UFRAG:peer");

	(void)state;
	first_bytes_ms = 600; /* a byte a turn, on a loaded machine */
	open_door(10, 10, false);
	dial_in();
	for (i = 0; i < n; i++) {
		assert_int_equal(framed_fd, -1);
		rig_send(&client, f + i, 1);
	}
	RIG_UNTIL(&client, framed_fd >= 0);
	assert_string_equal(framed_ufrag, "UFRAG");
	assert_int_equal(framed_len, n);
	assert_memory_equal(framed_early, f, n);
	assert_true(option(framed_fd, TCP_NODELAY));
	assert_true(option(framed_fd, TCP_THIN_LINEAR_TIMEOUTS));
	send(client.fd, "more", 4, 0); /* the callee's from now on */
	rig_pump(&client, 700);	       /* also past the deadline */
	assert_int_equal(recv(framed_fd, f, sizeof f, MSG_DONTWAIT), 4);
	assert_false(client.eof);
}

static void shut_out(const void *data, size_t len)
{
	dial_in();
	rig_send(&client, data, len);
	rig_expect_eof(&client);
	assert_int_equal(client.len, 0);
	assert_int_equal(framed_fd, -1);
	rig_client_fini(&client);
	memset(&client, 0, sizeof client);
}

static void test_garbage(void **state)
{
	uint8_t f[300];
	size_t n = binding(f, "UFRAG:peer");
	uint64_t start = rig_ms();

	(void)state;
	open_door(10, 10, false);
	shut_out("\xff\xff", 2);
	shut_out("get / ", 6);
	shut_out("\r\n", 2);
	shut_out("\x16\x03\x01", 3); /* no certificate: no TLS */
	shut_out("\x02\x01", 2);     /* 513 bytes */
	shut_out("\x00\x00", 2);
	f[3] = 2; /* no Binding request */
	shut_out(f, n);
	n = binding(f, "nocolon");
	shut_out(f, n);
	assert_true(rig_ms() - start < 90 * 8); /* none of them waited for the deadline */
	assert_true(atomic_load(&rig_stats.tcp_rx_bad) >= 6);
}

static void test_nothing(void **state)
{
	uint64_t start;

	(void)state;
	open_door(10, 10, false);
	start = rig_ms();
	shut_out("", 0);
	assert_true(rig_ms() - start >= 90);
	dial_in(); /* a byte now and then does not prolong it */
	start = rig_ms();
	rig_send(&client, "\x01", 1);
	while (!client.eof && rig_ms() - start < 1000) {
		send(client.fd, "", 1, MSG_NOSIGNAL);
		rig_pump(&client, 20);
	}
	assert_true(client.eof);
	assert_true(rig_ms() - start < 400);
}

static void test_limits(void **state)
{
	int held[3];
	int i;

	(void)state;
	open_door(10, 3, false);
	for (i = 0; i < 3; i++) {
		dial_in();
		rig_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		rig_expect(&client, "open");
		held[i] = client.fd;
		client.fd = -1;
		rig_client_fini(&client);
	}
	shut_out("", 0);
	assert_int_equal(atomic_load(&rig_stats.tcp_limit), 1);
	for (i = 0; i < 3; i++)
		close(held[i]);
	dial_in();
	rig_pump(&client, 30);
	rig_client_fini(&client);
	dial_in(); /* there is room again */
	rig_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	rig_expect(&client, "open");
	/* the door may go first; who is being served stays */
	door_destroy(door);
	door = NULL;
	rig_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	RIG_UNTIL(&client, rig_times(&client, "open") == 2);
}

static void test_count(void **state)
{
	struct count *c = count_create(4, 2);
	struct count_ticket *t[4], *more;
	struct addr a, near, far, four;

	(void)state;
	assert_int_equal(addr_parse(&a, "[2001:db8:0:1::1]:1"), 0);
	assert_int_equal(addr_parse(&near, "[2001:db8:0:1:ffff::2]:2"), 0); /* one /64 */
	assert_int_equal(addr_parse(&far, "[2001:db8:0:2::1]:1"), 0);
	assert_int_equal(addr_parse(&four, "32.1.13.184:1"),
			 0); /* its bytes begin alike */
	assert_int_equal(count_take(c, &a, false, &t[0]), 0);
	assert_int_equal(count_take(c, &near, false, &t[1]), 0);
	assert_int_equal(count_take(c, &a, false, &more), -ENOBUFS);
	assert_int_equal(count_take(c, &far, false, &t[2]), 0);
	mem_fail_after(1);
	assert_int_equal(count_take(c, &four, false, &t[3]), -ENOMEM);
	assert_int_equal(count_take(c, &four, false, &t[3]), 0);
	assert_int_equal(count_take(c, &four, false, &more), -ENOBUFS); /* in all */
	assert_int_equal(count_take(c, &four, true, &more), -ENOBUFS);
	mem_unref(t[1]);
	mem_unref(t[3]);
	assert_int_equal(count_total(c), 2);
	assert_int_equal(count_take(c, &a, false, &t[1]), 0);
	assert_int_equal(count_take(c, &a, false, &t[3]), -ENOBUFS);
	assert_int_equal(count_take(c, &a, true, &t[3]), 0); /* a proxy */
	mem_unref(t[0]);
	mem_unref(t[1]);
	mem_unref(c); /* the tickets keep it */
	mem_unref(t[2]);
	mem_unref(t[3]);
	memset(&client, 0, sizeof client);
	client.fd = -1;
}

static void test_create_errors(void **state)
{
	struct door_limits limits = { 1, 1, 1, { 0 } };
	struct door *other = NULL;
	struct addr at, none = { 0 };
	unsigned i;

	(void)state;
	open_door(1, 1, false);
	door_local(door, &at);
	assert_int_equal(
		door_create(&other, base, &at, NULL, server, &limits, &ops, NULL),
		-EADDRINUSE);
	assert_int_equal(
		door_create(&other, base, &none, NULL, server, &limits, &ops, NULL),
		-EINVAL);
	at.port = 0;
	for (i = 1; i <= 2; i++) {
		mem_fail_after(i);
		assert_int_equal(
			door_create(&other, base, &at, NULL, server, &limits, &ops, NULL),
			-ENOMEM);
	}
	assert_null(other);
	client.fd = -1;
}

/* ---- TLS --------------------------------------------------------------------------- */

/* A step of a non-blocking SSL call: true when done. */
static bool done(SSL *ssl, int r)
{
	int why = r > 0 ? 0 : SSL_get_error(ssl, r);

	assert_true(!why || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE);
	return r > 0;
}

static SSL *tls_client(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	client.deaf = true; /* OpenSSL reads */
	assert_non_null(ssl);
	SSL_set_fd(ssl, client.fd);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void tls_exchange(SSL_CTX *ctx, int version)
{
	static const char ask[] =
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	const unsigned char *alpn;
	char text[1000] = "";
	unsigned alpn_len;
	int n = 0, r;
	SSL *ssl;

	dial_in();
	ssl = tls_client(ctx);
	RIG_UNTIL(&client, done(ssl, SSL_do_handshake(ssl)));
	assert_int_equal(SSL_version(ssl), version);
	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	assert_int_equal(alpn_len, 8);
	assert_memory_equal(alpn, "http/1.1", 8);
	assert_int_equal(SSL_write(ssl, ask, sizeof ask - 1), sizeof ask - 1);
	while ((r = SSL_read(ssl, text + n, 900 - n)) > 0 ||
	       SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ) {
		n += r > 0 ? r : 0;
		rig_turn(&client);
	}
	assert_non_null(strstr(text, "\r\n\r\ntls"));
	assert_int_equal(SSL_get_error(ssl, r), SSL_ERROR_ZERO_RETURN); /* said goodbye */
	SSL_free(ssl);
	rig_client_fini(&client);
	memset(&client, 0, sizeof client);
	client.fd = -1;
}

static void test_tls(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	open_door(10, 10, true);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
	tls_exchange(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	tls_exchange(ctx, TLS1_2_VERSION);
	SSL_CTX_free(ctx);
}

static void tls_fails(SSL_CTX *ctx)
{
	SSL *ssl;
	int r = 0;
	uint64_t until = rig_ms() + RIG_WAIT_MS;

	dial_in();
	ssl = tls_client(ctx);
	while (rig_ms() < until) {
		r = SSL_do_handshake(ssl);
		if (r > 0 || SSL_get_error(ssl, r) == SSL_ERROR_SSL)
			break;
		rig_turn(&client);
	}
	assert_true(r <= 0 && SSL_get_error(ssl, r) == SSL_ERROR_SSL);
	SSL_free(ssl);
	rig_client_fini(&client);
	memset(&client, 0, sizeof client);
	client.fd = -1;
}

static void test_tls_refused(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	open_door(10, 10, true);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2", 3);
	tls_fails(ctx);
	SSL_CTX_free(ctx);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	tls_fails(ctx);
	SSL_CTX_free(ctx);
}

/* A handshake that stops in the middle has the deadline of a request. */
static void test_tls_stalls(void **state)
{
	uint64_t start = rig_ms();

	(void)state;
	open_door(10, 10, true);
	dial_in();
	rig_send(&client, "\x16\x03\x01\x02\x00\x01", 6);
	rig_expect_eof(&client);
	assert_true(rig_ms() - start >= 900);
}

static void test_tls_files(void **state)
{
	char why[200] = "", other[100];
	FILE *f;

	(void)state;
	assert_null(tls_create("/nonexistent", key, why, sizeof why));
	assert_non_null(strstr(why, "certificate /nonexistent: "));
	assert_null(tls_create(cert, cert, why, sizeof why));
	assert_non_null(strstr(why, "key "));
	snprintf(other, sizeof other, "%s/other.pem", dir);
	f = fopen(other, "w");
	EVP_PKEY *pair = EVP_EC_gen("P-256");

	PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	EVP_PKEY_free(pair);
	assert_null(tls_create(cert, other, why, sizeof why));
	assert_true(strlen(why) > 10);
	unlink(other);
	open_door(1, 1, false);
	client.fd = -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http),	  TEST(test_framed),	TEST(test_garbage),
		TEST(test_nothing),	  TEST(test_limits),	TEST(test_count),
		TEST(test_create_errors), TEST(test_tls),	TEST(test_tls_refused),
		TEST(test_tls_stalls),	  TEST(test_tls_files),
	};
	char why[200];
	int failed;

	make_certificate();
	tls = tls_create(cert, key, why, sizeof why);
	if (!tls) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	tls_destroy(tls);
	unlink(cert);
	unlink(key);
	rmdir(dir);
	return failed;
}
