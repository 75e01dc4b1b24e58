/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A transport and the project's own client over real loopback sockets (or a TCP flow
 * without any), on virtual time. Only OpenSSL's DTLS timers see the real clock.
 */
#ifndef PALABRE_TESTS_TRANSPORT_RIG_H
#define PALABRE_TESTS_TRANSPORT_RIG_H

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
/* Not every test uses everything. */
#define RIG static __attribute__((unused))
#define MS  1000ULL
#define S   1000000ULL

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

RIG void on_state(void *arg, enum conn_state state, uint64_t now_us)
{
	struct rig *r = arg;

	r->states[state]++;
	if (r->close_in_callback && r->conn) {
		conn_close(r->conn, now_us);
		r->conn = mem_unref(r->conn);
	}
}

RIG void on_moved(void *arg, uint64_t now_us)
{
	struct rig *r = arg;

	(void)now_us;
	r->moves++;
}

static const struct conn_ops ops = { on_state, on_moved };

RIG void on_client_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct rig *r = arg;

	(void)now_us;
	r->client_rtp++;
	memcpy(r->client_last, data, len);
	r->client_last_len = len;
}

RIG void server_input(struct rig *r, struct pkt *p)
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

/* ---- a TCP flow: no sockets at all ------------------------------------------------- */

RIG void tcp_flow(struct flow *f)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(addr_parse(&f->peer, "192.0.2.9:9"), 0);
	assert_int_equal(addr_parse(&f->local, "192.0.2.1:443"), 0);
	f->tcp = TCP_ID;
}

RIG void client_to_server(void *arg, const uint8_t *data, size_t len)
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

RIG void server_to_client(void *arg, uint32_t tcp, const uint8_t *data, size_t len)
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

/* ---- the rig ----------------------------------------------------------------------- */

struct options {
	bool server_connects, prefer_sha1, sha1_only, big_hello, tcp, wrong_pwd,
		wrong_print;
};

RIG void rig_open(struct rig *r, struct options o)
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

RIG void rig_close(struct rig *r)
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

RIG void server_turn(struct rig *r)
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

RIG void step(struct rig *r, uint64_t us)
{
	r->now += us;
	client_poll(r->client, r->now);
	server_turn(r);
	client_poll(r->client, r->now);
}

RIG void run(struct rig *r, uint64_t us)
{
	uint64_t end = r->now + us;

	while (r->now < end)
		step(r, STEP_US);
}

RIG bool until(struct rig *r, bool (*done)(struct rig *r), uint64_t us)
{
	uint64_t end = r->now + us;

	while (r->now < end && !done(r))
		step(r, STEP_US);
	return done(r);
}

RIG bool both_up(struct rig *r)
{
	return client_up(r->client) && conn_get_state(r->conn) == CONN_UP;
}

RIG bool suspended(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_SUSPENDED;
}

RIG bool server_up(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_UP;
}

RIG bool failed(struct rig *r)
{
	return conn_get_state(r->conn) == CONN_FAILED;
}

RIG bool moved(struct rig *r)
{
	return r->moves > 0;
}

RIG void open_up(struct rig *r, struct options o)
{
	rig_open(r, o);
	assert_true(until(r, both_up, 2 * S));
	run(r, 20 * MS);
}

RIG size_t rtp_plain(uint8_t *buf, uint32_t ssrc, uint16_t seq)
{
	memset(buf, 0x55, 80);
	buf[0] = 0x80;
	buf[1] = 111;
	put_be16(buf + 2, seq);
	put_be32(buf + 4, seq * 960u);
	put_be32(buf + 8, ssrc);
	return 80;
}

RIG size_t rtcp_plain(uint8_t *buf, uint32_t ssrc)
{
	memset(buf, 0, 8);
	buf[0] = 0x80;
	buf[1] = 201;
	put_be16(buf + 2, 1);
	put_be32(buf + 4, ssrc);
	return 8;
}

RIG void client_says(struct rig *r, uint32_t ssrc, uint16_t seq)
{
	uint8_t buf[256];

	assert_int_equal(client_send_rtp(r->client, buf, rtp_plain(buf, ssrc, seq)), 0);
}

/* What it would say, to be sent from wherever; `buf` has 256 bytes. */
RIG size_t client_sealed(struct rig *r, uint8_t *buf, uint16_t seq)
{
	int n = client_seal(r->client, buf, rtp_plain(buf, 1111, seq), false);

	assert_true(n > 80);
	return (size_t)n;
}

RIG int server_says(struct rig *r, struct seal_stream *s, uint64_t index)
{
	uint8_t *buf = tx_reserve(r->tx);
	size_t len = rtp_plain(buf, s->ssrc, (uint16_t)index);
	int err = conn_send_rtp(r->conn, s, buf, len, 12, index);

	tx_flush(r->tx);
	return err;
}

RIG void media_both_ways(struct rig *r)
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

/* ---- addresses --------------------------------------------------------------------- */

struct stranger {
	int fd;
	unsigned checks, replies, media, other;
	struct addr self;
	uint8_t last[2048];
	size_t last_len;
};

RIG void stranger_open(struct stranger *s)
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

RIG void stranger_send(struct stranger *s, struct rig *r, const uint8_t *data, size_t len)
{
	struct sockaddr_storage to;
	unsigned n = addr_to_sockaddr(udp_local(r->sock), &to);

	assert_int_equal(sendto(s->fd, data, len, 0, (struct sockaddr *)&to, n),
			 (ssize_t)len);
}

RIG void stranger_check(struct stranger *s, struct rig *r, unsigned flags)
{
	uint8_t buf[600];

	stranger_send(s, r, buf, client_write_check(r->client, flags, buf, sizeof buf));
}

/* With one check that the server has seen. */
RIG void stranger_enter(struct stranger *s, struct rig *r, unsigned flags)
{
	stranger_open(s);
	stranger_check(s, r, flags);
	run(r, 20 * MS);
}

RIG void stranger_read(struct stranger *s, struct rig *r)
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

RIG int rig_main(const struct CMUnitTest *tests, size_t count)
{
	stats_here = &stats;
	log_set_level(LOG_ERROR);
	server_cert = cert_create();
	client_cert = cert_create();
	if (!server_cert || !client_cert)
		return 1;
	return _cmocka_run_group_tests("transport", tests, count, NULL, NULL);
}

#endif
