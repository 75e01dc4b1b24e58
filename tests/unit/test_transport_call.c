/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A transport and the project's own client over real loopback sockets, on virtual time:
 * handshake, media, addresses that change, forged and refused things.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <palabre/wire.h>

#include "internal.h"
#include "client_internal.h"

enum { STEP_US = 2000, POOL = 512, TCP_ID = 77 };
#define MS 1000ULL
#define S  1000000ULL

static struct cert *server_cert, *client_cert;
static struct stats stats;
#define STAT(n) atomic_load_explicit(&stats.n, memory_order_relaxed)

struct rig {
	uint64_t now;
	struct wheel *wheel;
	struct pkt_pool *pool;
	struct udp_sock *sock;
	struct tx *tx;
	struct transport *t;
	struct conn *conn;
	struct client *client;
	char ufrag[9], pwd[25];
	unsigned states[CONN_FAILED + 1], moves;
	bool close_in_callback;
	/* received by the server, plain */
	unsigned rtp, rtcp;
	uint8_t last[PKT_BUF_BYTES];
	size_t last_len;
	/* received by the client */
	unsigned client_rtp;
	uint8_t client_last[PKT_BUF_BYTES];
	size_t client_last_len;
	/* TCP flow */
	bool tcp;
	unsigned drop_to_client; /* this many datagrams get lost */
	bool drop_last_flight;	 /* ChangeCipherSpec and Finished */
	uint64_t to_client_bytes, from_client_bytes;
};

static void on_state(void *arg, enum conn_state state, uint64_t now_us)
{
	struct rig *r = arg;

	r->states[state]++;
	if (r->close_in_callback && r->conn) {
		conn_close(r->conn, now_us);
		r->conn = mem_unref(r->conn);
	}
}

static void on_moved(void *arg, uint64_t now_us)
{
	struct rig *r = arg;

	(void)now_us;
	r->moves++;
}

static const struct conn_ops ops = { on_state, on_moved };

static void on_client_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct rig *r = arg;

	(void)now_us;
	r->client_rtp++;
	memcpy(r->client_last, data, len);
	r->client_last_len = len;
}

static void server_input(struct rig *r, struct pkt *p)
{
	bool rtcp = false;

	switch (wire_demux(p->data, p->len)) {
	case DEMUX_STUN:
		transport_on_stun(r->t, p, r->now);
		return;
	case DEMUX_DTLS:
		transport_on_dtls(r->t, p, r->now);
		return;
	case DEMUX_RTCP:
		rtcp = true;
		/* fall through */
	case DEMUX_RTP:
		if (transport_open(r->t, p, rtcp, r->now)) {
			r->rtp += !rtcp;
			r->rtcp += rtcp;
			r->last_len = p->len;
			memcpy(r->last, p->data, p->len);
		}
		break;
	default:
		break;
	}
	pkt_unref(p);
}

/* ---- a TCP flow: no sockets at all
 * ------------------------------------------------------------ */

static void tcp_flow(struct flow *f)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(addr_parse(&f->peer, "192.0.2.9:9"), 0);
	assert_int_equal(addr_parse(&f->local, "192.0.2.1:443"), 0);
	f->tcp = TCP_ID;
}

static void client_to_server(void *arg, const uint8_t *data, size_t len)
{
	struct rig *r = arg;
	struct pkt *p = pkt_take(r->pool);

	r->from_client_bytes += len;
	assert_non_null(p);
	memcpy(p->data, data, len);
	p->len = (uint16_t)len;
	tcp_flow(&p->flow);
	server_input(r, p);
}

static void server_to_client(void *arg, uint32_t tcp, const uint8_t *data, size_t len)
{
	struct rig *r = arg;
	uint8_t copy[TX_MTU];

	assert_int_equal(tcp, TCP_ID);
	r->to_client_bytes += len;
	if (r->drop_last_flight && data[0] == SSL3_RT_CHANGE_CIPHER_SPEC)
		return;
	if (r->drop_to_client) {
		r->drop_to_client--;
		return;
	}
	memcpy(copy, data, len);
	client_input(r->client, copy, len, r->now);
}

/* ---- the rig
 * ------------------------------------------------------------------------------------ */

struct options {
	bool server_connects, prefer_sha1, sha1_only, big_hello, tcp, wrong_pwd,
		wrong_print;
};

static void rig_open(struct rig *r, struct options o)
{
	static const struct client_section sections[] = { { .send = true, .ssrc = 1111 },
							  { .send = false } };
	struct client_params cp = { .cert = client_cert,
				    .dtls_server = o.server_connects,
				    .sha1_only = o.sha1_only,
				    .big_hello = o.big_hello,
				    .section_count = 2,
				    .sections = sections,
				    .on_rtp = on_client_rtp,
				    .arg = r };
	struct conn_params p = { .ops = &ops, .arg = r };
	uint8_t print[FINGERPRINT_BYTES];
	struct addr bind;

	memset(r, 0, sizeof *r);
	memset(&stats, 0, sizeof stats);
	r->now = clock_now_us();
	r->tcp = o.tcp;
	r->wheel = wheel_create(r->now);
	r->pool = pkt_pool_create(POOL);
	assert_int_equal(addr_parse(&bind, "127.0.0.1:0"), 0);
	assert_int_equal(udp_open(&r->sock, &bind), 0);
	r->tx = tx_create(r->sock, NULL);
	tx_set_tcp(r->tx, server_to_client, r);
	r->t = transport_create(server_cert, r->tx, r->wheel, r->pool);
	assert_non_null(r->t);
	if (o.tcp)
		cp.send = client_to_server;
	r->client = client_create(&cp, r->now);
	assert_non_null(r->client);
	random_text(r->ufrag, 8);
	random_text(r->pwd, 24);
	p.local_ufrag = r->ufrag;
	p.local_pwd = r->pwd;
	p.remote_ufrag = client_ufrag(r->client);
	p.remote_pwd = client_pwd(r->client);
	p.dtls_client = o.server_connects;
	p.prefer_sha1 = o.prefer_sha1;
	assert_int_equal(cert_digest(client_cert->x509, p.remote_fingerprint), 0);
	p.remote_fingerprint[3] ^= o.wrong_print;
	r->conn = conn_create(r->t, &p, r->now);
	assert_non_null(r->conn);
	assert_null(conn_create(r->t, &p, r->now)); /* the ufrag is taken */
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	client_set_remote(r->client, r->ufrag,
			  o.wrong_pwd ? "wrongwrongwrongwrongwrong" : r->pwd, print,
			  udp_local(r->sock), r->now);
}

static void rig_close(struct rig *r)
{
	if (r->conn) {
		conn_close(r->conn, r->now);
		r->conn = mem_unref(r->conn);
	}
	client_destroy(r->client);
	assert_int_equal(hash_count(r->t->flows), 0);
	assert_int_equal(hash_count(r->t->ufrags), 0);
	transport_destroy(r->t);
	tx_destroy(r->tx);
	udp_close(r->sock);
	assert_int_equal(wheel_count(r->wheel), 0);
	wheel_destroy(r->wheel);
	assert_int_equal(pkt_pool_free_count(r->pool) + UDP_BATCH >= POOL, true);
	pkt_pool_destroy(r->pool);
}

static void server_turn(struct rig *r)
{
	struct pkt *batch[UDP_BATCH];
	unsigned n, i;

	do {
		n = udp_recv_batch(r->sock, r->pool, batch, UDP_BATCH, r->now,
				   clock_wall_offset_us());
		for (i = 0; i < n; i++)
			server_input(r, batch[i]);
	} while (n == UDP_BATCH);
	while (transport_run(r->t, r->now))
		;
	wheel_run(r->wheel, r->now);
	while (transport_run(r->t, r->now))
		;
	tx_flush(r->tx);
}

static void step(struct rig *r, uint64_t us)
{
	r->now += us;
	client_poll(r->client, r->now);
	server_turn(r);
	client_poll(r->client, r->now);
}

static void run(struct rig *r, uint64_t us)
{
	uint64_t end = r->now + us;

	while (r->now < end)
		step(r, STEP_US);
}

static bool until(struct rig *r, bool (*done)(struct rig *r), uint64_t us)
{
	uint64_t end = r->now + us;

	while (r->now < end && !done(r))
		step(r, STEP_US);
	return done(r);
}

static bool both_up(struct rig *r)
{
	return client_up(r->client) && conn_get_state(r->conn) == CONN_UP;
}

static bool suspended(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_SUSPENDED;
}

static bool server_up(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_UP;
}

static bool failed(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_FAILED;
}

static bool moved(struct rig *r)
{
	return r->moves > 0;
}

static void open_up(struct rig *r, struct options o)
{
	rig_open(r, o);
	assert_true(until(r, both_up, 2 * S));
	run(r, 20 * MS);
}

static size_t rtp_plain(uint8_t *buf, uint32_t ssrc, uint16_t seq)
{
	memset(buf, 0x55, 80);
	buf[0] = 0x80;
	buf[1] = 111;
	put_be16(buf + 2, seq);
	put_be32(buf + 4, seq * 960u);
	put_be32(buf + 8, ssrc);
	return 80;
}

static size_t rtcp_plain(uint8_t *buf, uint32_t ssrc)
{
	memset(buf, 0, 8);
	buf[0] = 0x80;
	buf[1] = 201;
	put_be16(buf + 2, 1);
	put_be32(buf + 4, ssrc);
	return 8;
}

static void client_says(struct rig *r, uint32_t ssrc, uint16_t seq)
{
	uint8_t buf[256];

	assert_int_equal(client_send_rtp(r->client, buf, rtp_plain(buf, ssrc, seq)), 0);
}

static int server_says(struct rig *r, struct seal_stream *s, uint64_t index)
{
	uint8_t *buf = tx_reserve(r->tx);
	size_t len = rtp_plain(buf, s->ssrc, (uint16_t)index);
	int err = conn_send_rtp(r->conn, s, buf, len, 12, index);

	tx_flush(r->tx);
	return err;
}

static void media_both_ways(struct rig *r)
{
	uint8_t want[256], *buf;
	struct seal_stream s;
	unsigned before = r->rtp, client_before = r->client_rtp, i;

	seal_stream_init(&s, 4242 + r->client_rtp);
	for (i = 0; i < 20; i++) {
		client_says(r, 1111, (uint16_t)(65530 + r->rtp));
		assert_int_equal(server_says(r, &s, 65530 + i), 0);
		step(r, 20 * MS);
	}
	assert_int_equal(r->rtp, before + 20);
	assert_int_equal(r->client_rtp, client_before + 20);
	rtp_plain(want, s.ssrc, (uint16_t)(65530 + 19));
	assert_int_equal(r->client_last_len, 80);
	assert_memory_equal(r->client_last, want, 80);
	rtp_plain(want, 1111, (uint16_t)(65530 + r->rtp - 1));
	assert_int_equal(r->last_len, 80);
	assert_memory_equal(r->last, want, 80);

	before = r->rtcp;
	assert_int_equal(client_send_rtcp(r->client, want, rtcp_plain(want, 1)), 0);
	buf = tx_reserve(r->tx);
	assert_int_equal(conn_send_rtcp(r->conn, buf, rtcp_plain(buf, 9)), 0);
	run(r, 10 * MS);
	assert_int_equal(r->rtcp, before + 1);
	assert_true(client_counts(r->client)->rtcp > 0);
	assert_int_equal(client_counts(r->client)->srtp_bad, 0);
	seal_stream_fini(&s);
}

/* ---- calls
 * --------------------------------------------------------------------------------------------
 */

static void one_call(struct options o, enum srtp_profile profile)
{
	struct rig r;
	uint64_t rx, tx;

	open_up(&r, o);
	assert_int_equal(r.states[CONN_CHECKED], 1);
	assert_int_equal(r.states[CONN_UP], 1);
	assert_int_equal(r.conn->seal.profile, profile);
	assert_int_equal(conn_is_tcp(r.conn), o.tcp);
	media_both_ways(&r);
	assert_int_equal(client_counts(r.client)->server_checks, 1);
	assert_int_equal(client_counts(r.client)->server_checks_bad, 0);
	assert_true(conn_rtt_us(r.conn) > 0 && conn_rtt_us(r.conn) < 50 * MS);
	conn_bytes(r.conn, &rx, &tx);
	assert_true(rx > 20 * (80 + 28 + 10) && tx > 20 * (80 + 28 + 10));
	/* The peer is told that it is over, as long as the DTLS object lives. */
	conn_close(r.conn, r.now);
	tx_flush(r.tx);
	step(&r, STEP_US);
	assert_true(client_closed(r.client));
	rig_close(&r);
}

static void test_calls(void **state)
{
	(void)state;
	one_call((struct options) { 0 }, PROFILE_GCM);
	one_call((struct options) { .prefer_sha1 = true }, PROFILE_CM_SHA1_80);
	one_call((struct options) { .sha1_only = true }, PROFILE_CM_SHA1_80);
	one_call((struct options) { .big_hello = true }, PROFILE_GCM);
	one_call((struct options) { .server_connects = true }, PROFILE_GCM);
	one_call((struct options) { .server_connects = true, .prefer_sha1 = true },
		 PROFILE_CM_SHA1_80);
	one_call((struct options) { .tcp = true }, PROFILE_GCM);
}

static void test_mapped_address(void **state)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr own;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	assert_int_equal(getsockname(client_fd(r.client), (struct sockaddr *)&ss, &len),
			 0);
	addr_from_sockaddr(&own, (struct sockaddr *)&ss);
	assert_memory_equal(client_mapped(r.client), &own, sizeof own);
	assert_memory_equal(&conn_flow(r.conn)->peer, &own, sizeof own);
	rig_close(&r);
}

static void test_sdp(void **state)
{
	static char offer[8192], answer[2048];
	struct rig r;
	int n;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	n = client_offer(r.client, offer, sizeof offer);
	assert_true(n > 500);
	assert_int_equal(client_offer(r.client, offer, 100), -ENOBUFS);
	assert_int_equal(client_answer(r.client, "v=0\r\n", r.now), -EBADMSG);
	snprintf(answer, sizeof answer,
		 "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF "
		 "111\r\na=ice-ufrag:%s\r\n"
		 "a=ice-pwd:%s\r\na=fingerprint:sha-256 %s\r\na=setup:passive\r\n"
		 "a=candidate:1 1 tcp 5 127.0.0.1 9 typ host\r\n"
		 "a=candidate:1 1 udp 5 127.0.0.1 %u typ host\r\n"
		 "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ssrc:777 cname:x\r\n",
		 r.ufrag, r.pwd, server_cert->fingerprint, udp_local(r.sock)->port);
	assert_int_equal(client_answer(r.client, answer, r.now), 0);
	assert_int_equal(client_slot_ssrc(r.client, 0), 0);
	assert_int_equal(client_slot_ssrc(r.client, 1), 777);
	assert_true(until(&r, both_up, 2 * S));
	rig_close(&r);
}

static void test_wrong_password(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { .wrong_pwd = true });
	run(&r, 1 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);
	assert_int_equal(client_counts(r.client)->datagrams, 0);
	assert_true(STAT(stun_auth) >= 5);
	run(&r, 30 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_FAILED);
	assert_int_equal(r.states[CONN_FAILED], 1);
	rig_close(&r);
}

static void test_wrong_fingerprint(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { .wrong_print = true });
	assert_true(until(&r, failed, 2 * S));
	assert_int_equal(STAT(dtls_fail), 1);
	assert_int_equal(r.states[CONN_UP], 0);
	assert_false(r.conn->keyed);
	run(&r, 100 * MS);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_print = true, .server_connects = true });
	assert_true(until(&r, failed, 2 * S));
	rig_close(&r);
}

static void test_closed_in_callback(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	r.close_in_callback = true; /* at CHECKED, from the middle of a check */
	run(&r, 100 * MS);
	assert_null(r.conn);
	assert_int_equal(r.states[CONN_CHECKED], 1);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_print = true });
	while (conn_get_state(r.conn) == CONN_NEW)
		step(&r, STEP_US);
	r.close_in_callback = true; /* at FAILED, from the middle of a handshake */
	run(&r, 500 * MS);
	assert_null(r.conn);
	assert_int_equal(r.states[CONN_FAILED], 1);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_pwd = true });
	r.close_in_callback = true; /* at FAILED, from the timer */
	r.now += 31 * S;
	step(&r, STEP_US);
	assert_null(r.conn);
	rig_close(&r);
}

/* ---- STUN
 * ---------------------------------------------------------------------------------------------
 */

static void check_with(struct rig *r, unsigned flags)
{
	uint8_t buf[600];
	size_t n = client_write_check(r->client, flags, buf, sizeof buf);

	r->client->check_sent_us = r->now;
	client_send_raw(r->client, buf, n);
	step(r, STEP_US);
}

static void test_checks(void **state)
{
	const struct client_counts *n;
	uint8_t junk[64] = { 0 };
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	n = client_counts(r.client);
	client_manners(r.client)->send_checks = false;
	client_manners(r.client)->start_dtls = false;
	check_with(&r, CHECK_BAD_INTEGRITY);
	assert_int_equal(STAT(stun_auth), 1);
	check_with(&r, CHECK_BAD_FINGERPRINT);
	check_with(&r, CHECK_NO_INTEGRITY);
	check_with(&r, CHECK_SHORT_INTEGRITY);
	check_with(&r, CHECK_SHORT_INTEGRITY | CHECK_NO_FINGERPRINT);
	assert_int_equal(STAT(stun_bad), 4);
	assert_int_equal(n->datagrams, 0);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);

	check_with(&r, CHECK_UNKNOWN_ATTRIBUTE);
	assert_int_equal(n->errors, 1);
	assert_int_equal(n->last_error, 420);
	check_with(&r, CHECK_CONTROLLED);
	assert_int_equal(n->errors, 2);
	assert_int_equal(n->last_error, 487);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);
	assert_int_equal(n->checks_answered, 0);

	check_with(&r, CHECK_NO_FINGERPRINT);
	assert_int_equal(n->checks_answered, 1);
	assert_int_equal(conn_get_state(r.conn), CONN_CHECKED);
	check_with(&r, CHECK_NOMINATE);
	assert_int_equal(n->checks_answered, 2);

	client_send_raw(r.client, junk, sizeof junk);
	step(&r, STEP_US);
	assert_int_equal(n->checks_answered, 2);
	/* Somebody else's name. */
	r.client->remote_ufrag[0] ^= 1;
	check_with(&r, 0);
	assert_int_equal(STAT(stun_unknown_user), 1);
	r.client->remote_ufrag[0] ^= 1;
	/* Ours, but the second half is wrong. */
	r.client->ufrag[0] ^= 1;
	check_with(&r, 0);
	assert_int_equal(STAT(stun_auth), 2);
	assert_int_equal(n->checks_answered, 2);
	rig_close(&r);
}

/* Until the handshake is over: at most three times what came. */
static void test_amplification(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) {
			     .tcp = true }); /* every byte passes through the rig */
	client_manners(r.client)->start_dtls = false;
	step(&r, STEP_US);
	client_manners(r.client)->send_checks = false;
	client_manners(r.client)->start_dtls = true;
	/* The ClientHello and then nothing more; all that comes back is lost. */
	r.drop_to_client = UINT32_MAX;
	client_poll(r.client, r.now);
	client_manners(r.client)->silent = true;
	for (i = 0; i < 8; i++) { /* OpenSSL looks at the real clock */
		usleep(150000);
		step(&r, 150 * MS);
	}
	assert_true(STAT(amplify_limit) > 0);
	assert_true(r.to_client_bytes > 500);
	/* IP and UDP headers are counted on both sides. */
	assert_true(r.to_client_bytes <= AMPLIFY_MAX * (r.from_client_bytes + 2 * 42));
	rig_close(&r);
}

/* The server's first flight is lost: it comes again after 250 ms, not after a second. */
static void test_lost_flight(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { .tcp = true });
	step(&r, STEP_US);
	r.drop_to_client = 1;
	step(&r, STEP_US);
	for (i = 0; i < 10 && !both_up(&r); i++) {
		usleep(50000);
		step(&r, 50 * MS);
	}
	assert_true(both_up(&r));
	rig_close(&r);
}

static void test_lost_finished(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { .tcp = true });
	r.drop_last_flight = true;
	assert_true(until(&r, server_up, 1 * S));
	assert_false(client_up(r.client));
	for (i = 0; i < 30 && !client_up(r.client); i++) {
		r.drop_last_flight = false;
		usleep(50000);
		step(&r, 50 * MS);
	}
	assert_true(client_up(r.client));
	rig_close(&r);
}

static void test_dtls_queue(void **state)
{
	struct pkt *p;
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->start_dtls = false;
	run(&r, 100 * MS);
	for (i = 0; i < 20; i++) {
		p = pkt_take(r.pool);
		memset(p->data, 22, 100);
		p->len = 100;
		p->flow = *conn_flow(r.conn);
		transport_on_dtls(r.t, p, r.now);
	}
	assert_int_equal(r.conn->dtls_queued, DTLS_QUEUE_CONN_MAX);
	assert_int_equal(STAT(dtls_queue_full), 20 - DTLS_QUEUE_CONN_MAX);
	/* A flow nobody knows. */
	p = pkt_take(r.pool);
	memset(p->data, 22, 100);
	p->len = 100;
	tcp_flow(&p->flow);
	transport_on_dtls(r.t, p, r.now);
	assert_int_equal(STAT(dtls_bad), 1);
	/* Junk disturbs no handshake. */
	step(&r, STEP_US);
	assert_int_equal(r.conn->dtls_queued, 0);
	client_manners(r.client)->start_dtls = true;
	assert_true(until(&r, both_up, 2 * S));
	rig_close(&r);
}

static void test_dtls_freed(void **state)
{
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	run(&r, 12 * S);
	assert_non_null(
		r.conn->ssl); /* no media yet: the browser may not have our Finished */
	client_says(&r, 1111, 1);
	run(&r, 9 * S);
	assert_non_null(r.conn->ssl);
	run(&r, 3 * S);
	assert_null(r.conn->ssl);
	media_both_ways(&r);
	/* Late DTLS is ignored. */
	SSL_shutdown(r.client->ssl);
	client_input(r.client, (uint8_t[]) { 22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
		     13, r.now);
	run(&r, 100 * MS);
	assert_int_equal(conn_get_state(r.conn), CONN_UP);
	rig_close(&r);
}

/* ---- SRTP
 * ----------------------------------------------------------------------------------------------
 */

static void test_forged_srtp(void **state)
{
	uint8_t buf[256], copy[256];
	struct rig r;
	int n;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	n = client_seal(r.client, buf, rtp_plain(buf, 1111, 5), false);
	assert_true(n > 80);
	memcpy(copy, buf, (size_t)n);
	copy[20] ^= 1;
	client_send_raw(r.client, copy, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 0);
	assert_int_equal(STAT(srtp_auth), 1);
	client_send_raw(r.client, buf, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	client_send_raw(r.client, buf, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(srtp_replay), 1);
	/* Lengths that lie. */
	for (i = 12; i < 30; i++) {
		rtp_plain(copy, 1111, 6);
		copy[0] = 0x9f;
		client_send_raw(r.client, copy, i);
	}
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(srtp_bad), 18);
	/* Before there are keys. */
	rig_close(&r);
	rig_open(&r, (struct options) { 0 });
	client_send_raw(r.client, buf, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(STAT(srtp_no_key), 1);
	rig_close(&r);
}

static void test_ssrc_limit(void **state)
{
	uint8_t buf[256];
	struct rig r;
	unsigned i;
	int n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	/* Forged ones don't count. */
	for (i = 0; i < 50; i++) {
		rtp_plain(buf, 90000 + i, 1);
		client_send_raw(r.client, buf, 110);
	}
	step(&r, STEP_US);
	assert_int_equal(STAT(srtp_auth), 50);
	for (i = 0; i < SSRCS_MAX; i++)
		client_says(&r, 100 + i, 1);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX);
	client_says(&r, 100 + SSRCS_MAX, 1);
	n = client_seal(r.client, buf, rtcp_plain(buf, 5), true);
	client_send_raw(r.client, buf, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX);
	assert_int_equal(r.rtcp, 0);
	assert_int_equal(STAT(ssrc_limit), 2);
	client_says(&r, 100, 2);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX + 1);
	rig_close(&r);
}

static void test_sending_refused(void **state)
{
	struct seal_stream s;
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	assert_int_equal(server_says(&r, &s, 1), -EPROTO);
	assert_int_equal(conn_send_rtcp(r.conn, tx_reserve(r.tx), 8), -EPROTO);
	assert_true(until(&r, both_up, 2 * S));
	assert_int_equal(server_says(&r, &s, 1), 0);
	assert_int_equal(server_says(&r, &s, 1), -EEXIST);
	assert_int_equal(STAT(seal_reuse), 1);
	run(&r, 10 * MS);
	assert_int_equal(r.client_rtp, 1);
	conn_close(r.conn, r.now);
	assert_int_equal(server_says(&r, &s, 2), -EPROTO);
	rig_close(&r);
}

/* ---- addresses
 * -------------------------------------------------------------------------------------------
 */

struct stranger {
	int fd;
	unsigned checks, replies, media, other;
	struct addr self;
	uint8_t last[2048];
	size_t last_len;
};

static void stranger_open(struct stranger *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	memset(s, 0, sizeof *s);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&s->self, (struct sockaddr *)&ss);
}

static void stranger_send(struct stranger *s, struct rig *r, const uint8_t *data,
			  size_t len)
{
	struct sockaddr_storage to;
	unsigned n = addr_to_sockaddr(udp_local(r->sock), &to);

	assert_int_equal(sendto(s->fd, data, len, 0, (struct sockaddr *)&to, n),
			 (ssize_t)len);
}

static void stranger_check(struct stranger *s, struct rig *r, unsigned flags)
{
	uint8_t buf[600];

	stranger_send(s, r, buf, client_write_check(r->client, flags, buf, sizeof buf));
}

static void stranger_read(struct stranger *s, struct rig *r)
{
	uint8_t buf[2048];
	ssize_t n;

	while ((n = recv(s->fd, buf, sizeof buf, 0)) > 0) {
		if (client_is_check(r->client, buf, (size_t)n)) {
			s->checks++;
			memcpy(s->last, buf, (size_t)n);
			s->last_len = (size_t)n;
		} else if (buf[0] <= 3) {
			s->replies++;
		} else if (buf[0] >= 128 && buf[0] < 192) {
			s->media++;
		} else {
			s->other++;
		}
	}
}

/* A guest whose checks carry a victim's address: three small checks, no media, then
 * silence. */
static void test_spoofed_check(void **state)
{
	struct seal_stream s;
	struct stranger v;
	uint64_t index = 1;
	struct rig r;
	unsigned replies, i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	stranger_open(&v);
	for (i = 0; i < 200; i++) { /* 20 s */
		stranger_check(&v, &r, CHECK_NOMINATE);
		assert_int_equal(server_says(&r, &s, index++), 0);
		run(&r, 100 * MS);
		stranger_read(&v, &r);
	}
	assert_int_equal(v.checks, CHECK_TRIES);
	assert_int_equal(v.media, 0);
	assert_int_equal(v.other, 0);
	replies = v.replies;
	assert_true(replies > 0 && replies < 40); /* deaf since 2.7 s */
	assert_int_equal(r.client_rtp, 200);
	assert_int_equal(r.moves, 0);
	/* After 30 s it may try again, no more. */
	for (i = 0; i < 200; i++) {
		stranger_check(&v, &r, CHECK_NOMINATE);
		run(&r, 100 * MS);
	}
	stranger_read(&v, &r);
	assert_int_equal(v.checks, 2 * CHECK_TRIES);
	assert_int_equal(v.media, 0);
	assert_int_equal(r.moves, 0);
	close(v.fd);
	rig_close(&r);
}

/* An answer counts only from the address asked, signed, and to that question. */
static void test_false_proof(void **state)
{
	struct stranger v, other;
	uint8_t buf[600];
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_open(&v);
	stranger_open(&other);
	stranger_check(&v, &r, CHECK_NOMINATE);
	run(&r, 20 * MS);
	stranger_read(&v, &r);
	assert_int_equal(v.checks, 1);
	n = client_write_answer(r.client, v.last, v.last_len, &r.client->server, buf,
				sizeof buf);
	assert_true(n > 20);
	stranger_send(&other, &r, buf, n); /* from elsewhere */
	client_send_raw(r.client, buf, n); /* from the path in use */
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 0);
	buf[n - 20] ^= 1; /* within MESSAGE-INTEGRITY */
	stranger_send(&v, &r, buf, n);
	buf[n - 20] ^= 1;
	buf[12] ^= 1; /* another question */
	stranger_send(&v, &r, buf, n);
	buf[12] ^= 1;
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 0);
	stranger_send(&v, &r, buf, n); /* and the right one */
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 1);
	assert_memory_equal(&conn_flow(r.conn)->peer, &v.self, sizeof v.self);
	close(v.fd);
	close(other.fd);
	rig_close(&r);
}

static void test_path_limit(void **state)
{
	struct stranger v[PATHS_MAX + 3];
	unsigned i, checks = 0, replies = 0;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_open(&v[i]);
		stranger_check(&v[i], &r, 0); /* a single check pays for two of ours */
		stranger_check(&v[i], &r, CHECK_NOMINATE);
		run(&r, 10 * MS);
	}
	run(&r, 5 * S);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_check(&v[i], &r, CHECK_NOMINATE);
		step(&r, STEP_US);
		stranger_read(&v[i], &r);
		checks += v[i].checks;
		replies += v[i].replies;
	}
	assert_int_equal(checks, CHECK_TRIES * (PATHS_MAX - 1));
	assert_int_equal(replies, 2 * (PATHS_MAX - 1)); /* deaf by now */
	assert_int_equal(STAT(path_limit), 3 * (ARRAY_LEN(v) - (PATHS_MAX - 1)));
	media_both_ways(&r);
	/* 30 s later there is room for a new network. */
	run(&r, 31 * S);
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, moved, 2 * S));
	for (i = 0; i < ARRAY_LEN(v); i++)
		close(v[i].fd);
	rig_close(&r);
}

/* Plain checks, as browsers send on every pair, move nothing and cost no table space for
 * long. */
static void test_plain_checks(void **state)
{
	struct stranger v[PATHS_MAX + 3];
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_open(&v[i]);
		stranger_check(&v[i], &r, 0);
		run(&r, 10 * MS);
		stranger_read(&v[i], &r);
		assert_int_equal(v[i].replies, 1);
	}
	run(&r, 5 * S);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_read(&v[i], &r);
		assert_int_equal(v[i].checks, 0);
		close(v[i].fd);
	}
	assert_int_equal(r.moves, 0);
	assert_int_equal(STAT(path_limit), 0);
	rig_close(&r);
}

static void test_move(void **state)
{
	struct seal_stream s;
	struct addr before;
	uint64_t index = 1;
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	for (i = 1; i <= 3; i++) {
		before = conn_flow(r.conn)->peer;
		run(&r, 3 * S);
		assert_int_equal(client_move(r.client, r.now), 0);
		run(&r, 300 * MS);
		assert_int_equal(r.moves, i);
		assert_memory_not_equal(&conn_flow(r.conn)->peer, &before, sizeof before);
		assert_int_equal(server_says(&r, &s, index++), 0);
		run(&r, 10 * MS);
		assert_int_equal(r.client_rtp, i);
		assert_int_equal(r.states[CONN_SUSPENDED], 0);
	}
	media_both_ways(&r);
	rig_close(&r);
}

/* SRTP from a checked address, without nomination: media follows when the old path is
 * silent. */
static void test_move_by_srtp(void **state)
{
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	run(&r, 3 * S);
	client_manners(r.client)->nominate = false;
	assert_int_equal(client_move(r.client, r.now), 0);
	for (i = 0; i < 60 && !r.moves; i++) {
		client_says(&r, 2222, (uint16_t)(i + 1));
		run(&r, 20 * MS);
	}
	assert_int_equal(r.moves, 1);
	assert_true(i * 20 <= 1100);
	assert_true(r.rtp + 2 >= i); /* and it was heard all the time */
	media_both_ways(&r);
	rig_close(&r);
}

/* SRTP from an address that no check has passed belongs to nobody. */
static void test_srtp_from_nowhere(void **state)
{
	struct stranger v;
	uint8_t buf[256];
	struct rig r;
	int n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_open(&v);
	n = client_seal(r.client, buf, rtp_plain(buf, 1111, 5), false);
	stranger_send(&v, &r, buf, (size_t)n);
	run(&r, 3 * S);
	stranger_read(&v, &r);
	assert_int_equal(v.checks + v.media + v.replies + v.other, 0);
	assert_int_equal(r.rtp, 0);
	assert_int_equal(STAT(srtp_no_key), 1);
	close(v.fd);
	rig_close(&r);
}

static void answer_as(struct stranger *v, struct rig *r)
{
	uint8_t buf[600];
	unsigned before = v->checks;
	size_t n;

	stranger_read(v, r);
	if (v->checks == before)
		return;
	n = client_write_answer(r->client, v->last, v->last_len, &r->client->server, buf,
				sizeof buf);
	stranger_send(v, r, buf, n);
}

/* Both pairs nominated at every check: one move, not one per check. */
static void test_aggressive_nomination(void **state)
{
	struct stranger v;
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_open(&v);
	r.client->p.check_us = 400 * MS;
	for (i = 0; i < 40; i++) {
		stranger_check(&v, &r, CHECK_NOMINATE);
		run(&r, 200 * MS);
		answer_as(&v, &r);
		run(&r, 200 * MS);
		answer_as(&v, &r);
	}
	assert_int_equal(r.moves, 1);
	assert_memory_equal(&conn_flow(r.conn)->peer, &v.self, sizeof v.self);
	/* The newer one falls silent: back. */
	run(&r, 3 * S);
	assert_int_equal(r.moves, 2);
	close(v.fd);
	rig_close(&r);
}

/* Another person's check with this one's address takes nothing away. */
static void test_flow_not_stolen(void **state)
{
	static const struct conn_ops none = { 0 };
	struct conn_params p = { .local_ufrag = "evilevil",
				 .local_pwd = "evilevilevilevilevilevil",
				 .remote_ufrag = "evilpeer",
				 .remote_pwd = "peerpeerpeerpeerpeerpeer",
				 .ops = &none };
	char ufrag[TEXT_MAX], pwd[TEXT_MAX], own[16];
	struct client *c;
	struct conn *evil;
	uint8_t buf[600];
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	evil = conn_create(r.t, &p, r.now);
	assert_non_null(evil);
	c = r.client;
	strcpy(ufrag, c->remote_ufrag);
	strcpy(pwd, c->remote_pwd);
	strcpy(own, c->ufrag);
	strcpy(c->remote_ufrag, p.local_ufrag);
	strcpy(c->remote_pwd, p.local_pwd);
	strcpy(c->ufrag, p.remote_ufrag);
	n = client_write_check(c, CHECK_NOMINATE, buf, sizeof buf);
	strcpy(c->remote_ufrag, ufrag);
	strcpy(c->remote_pwd, pwd);
	strcpy(c->ufrag, own);
	client_send_raw(c, buf, n);
	step(&r, STEP_US);
	assert_int_equal(conn_get_state(evil), CONN_CHECKED);
	assert_true(flow_equal(conn_flow(evil), conn_flow(r.conn)));
	media_both_ways(&r);
	assert_int_equal(STAT(srtp_auth) + STAT(srtp_no_key), 0);
	conn_close(evil, r.now);
	mem_unref(evil);
	media_both_ways(&r);
	rig_close(&r);
}

/* ---- consent
 * ------------------------------------------------------------------------------------------------
 */

static void test_consent(void **state)
{
	struct seal_stream s;
	uint64_t since;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	run(&r, 60 * S);
	assert_int_equal(r.states[CONN_SUSPENDED], 0);
	/* One own check in ten seconds, each answered. */
	assert_in_range(client_counts(r.client)->server_checks, 5, 8);
	assert_int_equal(STAT(stun_check_sent), STAT(stun_check_answered));

	client_manners(r.client)->silent = true;
	since = r.now;
	assert_true(until(&r, suspended, 10 * S));
	assert_in_range(r.now - since, 5 * S, 9 * S);
	assert_int_equal(server_says(&r, &s, 1), -EPROTO);
	run(&r, 5 * S);
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 5 * S));
	media_both_ways(&r);

	client_manners(r.client)->silent = true;
	since = r.now;
	assert_true(until(&r, failed, 60 * S));
	assert_in_range(r.now - since, 35 * S, 39 * S);
	assert_int_equal(r.states[CONN_FAILED], 1);
	/* Nothing brings it back. */
	client_manners(r.client)->silent = false;
	run(&r, 5 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_FAILED);
	rig_close(&r);
}

/* Suspended, and the peer turns up at a new address. */
static void test_resume_elsewhere(void **state)
{
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	client_manners(r.client)->silent = true;
	assert_true(until(&r, suspended, 10 * S));
	client_manners(r.client)->silent = false;
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, server_up, 1 * S));
	assert_int_equal(r.moves, 1);
	media_both_ways(&r);
	rig_close(&r);
}

static void test_unanswered_checks(void **state)
{
	uint64_t since;
	struct rig r;

	(void)state;
	/* A browser that never answers a lite agent's checks. */
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->answer_checks = false;
	assert_true(until(&r, both_up, 2 * S));
	run(&r, 100 * S);
	assert_int_equal(r.states[CONN_SUSPENDED], 0);
	client_manners(r.client)->silent = true;
	assert_true(until(&r, suspended, 10 * S));
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 3 * S));
	/* Once it has answered, it must go on. */
	client_manners(r.client)->answer_checks = true;
	run(&r, 20 * S);
	client_manners(r.client)->answer_checks = false;
	since = r.now;
	assert_true(until(&r, suspended, 35 * S));
	assert_in_range(r.now - since, 15 * S, 31 * S);
	/* Its own checks and media are no proof. */
	run(&r, 5 * S);
	assert_true(suspended(&r));
	client_says(&r, 1111, 1);
	run(&r, 100 * MS);
	assert_int_equal(r.rtp, 1);
	assert_true(suspended(&r));
	client_manners(r.client)->answer_checks = true;
	assert_true(until(&r, server_up, 5 * S));
	rig_close(&r);
}

static void test_restart(void **state)
{
	uint8_t print[FINGERPRINT_BYTES], old_check[600];
	char ufrag[9], pwd[25];
	const struct addr same = { 0 };
	uint64_t answered;
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	n = client_write_check(r.client, 0, old_check, sizeof old_check);
	random_text(ufrag, 8);
	random_text(pwd, 24);
	client_restart(r.client);
	conn_restart(r.conn, ufrag, pwd, client_ufrag(r.client), client_pwd(r.client),
		     r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	/* The old ones are good until the new ones come. */
	answered = STAT(stun_reply);
	client_send_raw(r.client, old_check, n);
	step(&r, STEP_US);
	assert_int_equal(STAT(stun_reply), answered + 1);
	/* Bad new ones change nothing. */
	conn_restart(r.conn, ufrag, pwd, "x", "y", r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	client_set_remote(r.client, ufrag, pwd, print, &same, r.now);
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, moved, 1 * S));
	assert_int_equal(hash_count(r.t->ufrags), 1);
	assert_int_equal(r.states[CONN_UP], 1); /* it never went down */
	media_both_ways(&r);
	client_send_raw(r.client, old_check, n);
	step(&r, STEP_US);
	assert_int_equal(STAT(stun_unknown_user), 1);
	/* Twice in a row, the one between never used. */
	conn_restart(r.conn, "second00", pwd, "abcdefgh", "abcdefghabcdefghabcdefgh",
		     r.now);
	conn_restart(r.conn, "third000", pwd, "abcdefgi", "abcdefghabcdefghabcdefgh",
		     r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	assert_null(cred_find(r.t, "second00", 8));
	assert_non_null(cred_find(r.t, ufrag, 8));
	rig_close(&r);
}

static void test_tcp_closed(void **state)
{
	struct seal_stream s;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { .tcp = true });
	media_both_ways(&r);
	seal_stream_init(&s, 7);
	transport_tcp_closed(r.t, TCP_ID + 1, r.now);
	assert_int_equal(server_says(&r, &s, 1), 0);
	transport_tcp_closed(r.t, TCP_ID, r.now);
	assert_int_equal(server_says(&r, &s, 2), -EPROTO);
	assert_int_equal(conn_flow(r.conn)->peer.family, 0);
	client_manners(r.client)->silent = true;
	run(&r, 10 * MS);
	assert_int_equal(conn_get_state(r.conn), CONN_SUSPENDED);
	/* It connects again (here: with the same id). */
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 5 * S));
	assert_true(conn_is_tcp(r.conn));
	assert_int_equal(r.moves, 1);
	media_both_ways(&r);
	rig_close(&r);
}

static void test_out_of_memory(void **state)
{
	struct conn_params p = { .local_ufrag = "abcdefgh",
				 .local_pwd = "abcdefghabcdefghabcdefgh",
				 .remote_ufrag = "r",
				 .remote_pwd = "abcdefghabcdefghabcdefgh" };
	struct conn *c;
	struct rig r;
	unsigned i;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	for (i = 1; i <= 2; i++) {
		mem_fail_after(i);
		assert_null(conn_create(r.t, &p, r.now));
		mem_fail_after(0);
	}
	p.local_pwd = "short";
	assert_null(conn_create(r.t, &p, r.now));
	p.local_pwd = p.remote_pwd;
	c = conn_create(r.t, &p, r.now);
	assert_non_null(c);
	mem_fail_after(1);
	conn_restart(c, "other000", p.local_pwd, "r", p.remote_pwd, r.now);
	mem_fail_after(0);
	assert_non_null(cred_find(r.t, "abcdefgh", 8));
	assert_null(cred_find(r.t, "other000", 8));
	assert_null(mem_unref(c)); /* without conn_close */
	rig_close(&r);
}

/* A hundred over a shared socket, each with its own source address. */
static void test_hub(void **state)
{
	enum { MANY = 40 };
	struct client_hub *hub = client_hub_create(3);
	struct client_params cp = { .cert = client_cert, .hub = hub };
	struct conn_params p = { 0 };
	struct client *clients[MANY];
	struct conn *conns[MANY];
	uint8_t print[FINGERPRINT_BYTES];
	char ufrags[MANY][9], pwds[MANY][25];
	unsigned i, up = 0, k;
	struct rig r;

	(void)state;
	assert_non_null(hub);
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->silent = true;
	assert_int_equal(cert_digest(client_cert->x509, p.remote_fingerprint), 0);
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	for (i = 0; i < MANY; i++) {
		clients[i] = client_create(&cp, r.now);
		random_text(ufrags[i], 8);
		random_text(pwds[i], 24);
		p.local_ufrag = ufrags[i];
		p.local_pwd = pwds[i];
		p.remote_ufrag = client_ufrag(clients[i]);
		p.remote_pwd = client_pwd(clients[i]);
		conns[i] = conn_create(r.t, &p, r.now);
		client_set_remote(clients[i], ufrags[i], pwds[i], print,
				  udp_local(r.sock), r.now);
	}
	for (k = 0; k < 500 && up < MANY; k++) {
		step(&r, STEP_US);
		client_hub_poll(hub, 1000, r.now);
		for (i = 0, up = 0; i < MANY; i++) {
			client_poll(clients[i], r.now);
			up += client_up(clients[i]) &&
			      conn_get_state(conns[i]) == CONN_UP;
		}
	}
	assert_int_equal(up, MANY);
	for (i = 1; i < MANY; i++)
		assert_memory_not_equal(&conn_flow(conns[i])->peer,
					&conn_flow(conns[0])->peer, sizeof(struct addr));
	for (i = 0; i < MANY; i++) {
		client_destroy(clients[i]);
		conn_close(conns[i], r.now);
		mem_unref(conns[i]);
	}
	client_hub_destroy(hub);
	rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_mapped_address),
		cmocka_unit_test(test_sdp),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_wrong_fingerprint),
		cmocka_unit_test(test_closed_in_callback),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_amplification),
		cmocka_unit_test(test_lost_flight),
		cmocka_unit_test(test_lost_finished),
		cmocka_unit_test(test_dtls_queue),
		cmocka_unit_test(test_dtls_freed),
		cmocka_unit_test(test_forged_srtp),
		cmocka_unit_test(test_ssrc_limit),
		cmocka_unit_test(test_sending_refused),
		cmocka_unit_test(test_spoofed_check),
		cmocka_unit_test(test_false_proof),
		cmocka_unit_test(test_path_limit),
		cmocka_unit_test(test_plain_checks),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_by_srtp),
		cmocka_unit_test(test_srtp_from_nowhere),
		cmocka_unit_test(test_aggressive_nomination),
		cmocka_unit_test(test_flow_not_stolen),
		cmocka_unit_test(test_consent),
		cmocka_unit_test(test_resume_elsewhere),
		cmocka_unit_test(test_unanswered_checks),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_tcp_closed),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_hub),
	};

	stats_here = &stats;
	log_set_level(LOG_ERROR);
	server_cert = cert_create();
	client_cert = cert_create();
	if (!server_cert || !client_cert)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
