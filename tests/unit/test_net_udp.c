/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* udp and tx over loopback: addresses of both ends, batches, truncation, an empty pool.
 */
#include <palabre/net.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "udp.h"

static struct stats stats;

static uint64_t count(_Atomic uint64_t *n)
{
	return atomic_load(n);
}

static int setup(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof stats);
	stats_here = &stats;
	return 0;
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct udp_sock *open_at(const char *text)
{
	struct addr a = address(text);
	struct udp_sock *s = NULL;
	int err = udp_open(&s, &a);

	if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
		skip(); /* a machine without IPv6 */
	assert_int_equal(err, 0);
	return s;
}

static void wait_readable(struct udp_sock *s)
{
	struct pollfd p = { .fd = udp_fd(s), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 2000), 1);
}

static unsigned receive(struct udp_sock *s, struct pkt_pool *pool, struct pkt **out,
			unsigned max)
{
	return udp_recv_batch(s, pool, out, max, clock_now_us(), clock_wall_offset_us());
}

/* Many datagrams from `tx_local` to several local addresses of a wildcard socket, and
 * back. */
static void round_trip(const char *any, const char *near, const char *far)
{
	struct udp_sock *a = open_at(any), *b = open_at(any);
	bool v6 = udp_local(a)->family == 6;
	struct tx *ta = tx_create(v6 ? NULL : a, v6 ? a : NULL);
	struct tx *tb = tx_create(v6 ? NULL : b, v6 ? b : NULL);
	struct pkt_pool *pool = pkt_pool_create(200);
	struct flow f = { .peer = address(far), .local = address(near) };
	struct pkt *p[UDP_BATCH];
	unsigned i, n, got = 0;
	uint64_t before = clock_now_us();

	assert_non_null(ta);
	assert_non_null(tb);
	assert_true(udp_local(a)->port != 0);
	f.peer.port = udp_local(b)->port;
	for (i = 0; i < 100; i++) {
		uint8_t *buf = tx_reserve(ta);

		memset(buf, (int)i, i + 1);
		tx_commit(ta, &f, i + 1);
	}
	tx_flush(ta);
	assert_int_equal(count(&stats.tx_pkts), 100);
	assert_int_equal(count(&stats.tx_bytes), 5050);
	while (got < 100) {
		wait_readable(b);
		n = receive(b, pool, p,
			    got ? UDP_BATCH : 7); /* a partial batch, then whole */
		assert_true(n > 0);
		for (i = 0; i < n; i++, got++) {
			assert_int_equal(p[i]->len, got + 1);
			assert_int_equal(p[i]->data[p[i]->len - 1], got);
			assert_memory_equal(p[i]->flow.local.ip, f.peer.ip, 16);
			assert_int_equal(p[i]->flow.local.port, udp_local(b)->port);
			assert_int_equal(p[i]->flow.local.family, v6 ? 6 : 4);
			assert_memory_equal(p[i]->flow.peer.ip, f.local.ip, 16);
			assert_int_equal(p[i]->flow.peer.port, udp_local(a)->port);
			assert_int_equal(p[i]->flow.tcp, 0);
			assert_true(p[i]->arrival_us >= before - 1000);
			assert_true(p[i]->arrival_us <= clock_now_us());
			if (got ==
			    99) { /* answered where it came from, from where it went */
				memcpy(tx_reserve(tb), "back", 4);
				tx_commit(tb, &p[i]->flow, 4);
				tx_flush(tb);
			}
			pkt_unref(p[i]);
		}
	}
	assert_int_equal(count(&stats.rx_pkts), 100);
	assert_int_equal(count(&stats.rx_bytes), 5050);
	wait_readable(a);
	assert_int_equal(receive(a, pool, p, UDP_BATCH), 1);
	assert_true(p[0]->flow.peer.port == f.peer.port);
	assert_memory_equal(p[0]->flow.peer.ip, f.peer.ip, 16);
	pkt_unref(p[0]);
	assert_int_equal(receive(a, pool, p, UDP_BATCH), 0);
	tx_destroy(ta);
	tx_destroy(tb);
	udp_close(a);
	udp_close(b);
	assert_int_equal(pkt_pool_free_count(pool), 200);
	pkt_pool_destroy(pool);
}

static void test_v4(void **state)
{
	(void)state;
	round_trip("0.0.0.0:0", "127.0.0.3", "127.0.0.77");
}

static void test_v6(void **state)
{
	(void)state;
	round_trip("[::]:0", "::1", "::1");
}

static void test_v6_only(void **state)
{
	struct udp_sock *six = open_at("[::]:0"), *four = NULL;
	struct addr a = address("0.0.0.0:0");

	(void)state;
	a.port = udp_local(six)->port;
	assert_int_equal(udp_open(&four, &a), 0); /* the same port: not dual */
	udp_close(four);
	udp_close(six);
}

static void test_open_errors(void **state)
{
	struct udp_sock *s = open_at("127.0.0.1:0"), *again = NULL;
	struct addr none = { 0 }, foreign = address("192.0.2.1:0");
	unsigned i;

	(void)state;
	assert_int_equal(udp_open(&again, &none), -EINVAL);
	assert_int_equal(udp_open(&again, udp_local(s)), -EADDRINUSE);
	assert_int_equal(udp_open(&again, &foreign), -EADDRNOTAVAIL);
	mem_fail_after(1);
	assert_int_equal(udp_open(&again, udp_local(s)), -ENOMEM);
	assert_null(again);
	for (i = 1; i < 2; i++) {
		mem_fail_after(i);
		assert_null(tx_create(s, NULL));
	}
	udp_close(s);
	udp_close(NULL);
	tx_destroy(NULL);
}

static void test_truncated(void **state)
{
	struct udp_sock *a = open_at("127.0.0.1:0"), *b = open_at("127.0.0.1:0");
	struct pkt_pool *pool = pkt_pool_create(8);
	struct pkt *p[UDP_BATCH];
	uint8_t big[PKT_BUF_BYTES] = { 0 };
	size_t room = PKT_BUF_BYTES - PKT_HEADROOM_BYTES;
	struct sockaddr_storage to;
	socklen_t to_len = addr_to_sockaddr(udp_local(b), &to);
	size_t sizes[] = { room, room + 1, 0, 3 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(sendto(udp_fd(a), big, sizes[i], 0,
					(struct sockaddr *)&to, to_len),
				 sizes[i]);
	wait_readable(b);
	assert_int_equal(receive(b, pool, p, UDP_BATCH), 3);
	assert_int_equal(p[0]->len, room);
	assert_int_equal(p[1]->len, 0);
	assert_int_equal(p[2]->len, 3);
	assert_int_equal(count(&stats.rx_trunc), 1);
	for (i = 0; i < 3; i++)
		pkt_unref(p[i]);
	udp_close(a);
	udp_close(b);
	assert_int_equal(pkt_pool_free_count(pool), 8);
	pkt_pool_destroy(pool);
}

static void test_pool_runs_out(void **state)
{
	struct udp_sock *a = open_at("127.0.0.1:0"), *b = open_at("127.0.0.1:0");
	struct pkt_pool *pool = pkt_pool_create(3);
	struct tx *tx = tx_create(a, NULL);
	struct flow f = { .peer = *udp_local(b) };
	struct pkt *p[UDP_BATCH];
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++) {
		tx_reserve(tx)[0] = (uint8_t)i;
		tx_commit(tx, &f, 1);
	}
	tx_flush(tx);
	wait_readable(b);
	assert_int_equal(receive(b, pool, p, 0), 0);
	assert_int_equal(receive(b, pool, p, UDP_BATCH), 3);
	assert_int_equal(receive(b, pool, p + 3, UDP_BATCH), 0); /* drops the other 7 */
	assert_int_equal(count(&stats.rx_pool_empty), 7);
	tx_reserve(tx)[0] = 42;
	tx_commit(tx, &f, 1);
	tx_flush(tx);
	for (i = 0; i < 3; i++)
		pkt_unref(p[i]);
	wait_readable(b);
	assert_int_equal(receive(b, pool, p, UDP_BATCH), 1);
	assert_int_equal(p[0]->data[0], 42);
	pkt_unref(p[0]);
	tx_destroy(tx);
	udp_close(a);
	udp_close(b);
	pkt_pool_destroy(pool);
}

static void test_arrival(void **state)
{
	(void)state;
	assert_int_equal(udp_arrival_us(1500, 600, 1000), 500);
	assert_int_equal(udp_arrival_us(1700, 600, 1000), 600); /* from the future */
	assert_int_equal(udp_arrival_us(1001, 600, 1000), 1);
	assert_int_equal(udp_arrival_us(0, 600, 1000), 1);	  /* never 0 or less */
	assert_int_equal(udp_arrival_us(0, 5000000, 0), 4000000); /* at most 1 s old */
	assert_int_equal(udp_arrival_us(4000001, 5000000, 0), 4000001);
}

static struct {
	uint32_t tcp;
	size_t len;
	uint8_t first;
	unsigned calls;
} tcp_seen;

static void on_tcp(void *arg, uint32_t tcp, const uint8_t *data, size_t len)
{
	assert_ptr_equal(arg, &tcp_seen);
	tcp_seen.tcp = tcp;
	tcp_seen.len = len;
	tcp_seen.first = data[0];
	tcp_seen.calls++;
}

static void test_tx_more_than_a_batch(void **state)
{
	struct udp_sock *a = open_at("127.0.0.1:0"), *b = open_at("127.0.0.1:0");
	struct pkt_pool *pool = pkt_pool_create(500);
	struct tx *tx = tx_create(a, NULL);
	struct flow f = { .peer = *udp_local(b) },
		    tcp = { .peer = *udp_local(b), .tcp = 9 };
	struct flow six = { .peer = { .family = 6, .port = 1 } }, none = { 0 };
	struct pkt *p[UDP_BATCH];
	unsigned i, n, got = 0;

	(void)state;
	memset(&tcp_seen, 0, sizeof tcp_seen);
	tx_flush(tx); /* nothing */
	for (i = 0; i < TX_BATCH * 2 + 5; i++) {
		tx_commit(tx, &f, (put_be16(tx_reserve(tx), (uint16_t)i), 2));
		if (i % 3 == 0)
			tx_commit(tx, &f, (tx_reserve(tx)[0] = 7, 0)); /* given back */
	}
	assert_int_equal(count(&stats.tx_pkts), 2 * TX_BATCH); /* the rest waits */
	tx_reserve(tx)[0] = 99;
	tx_commit(tx, &tcp, 12); /* without a function: lost, counted */
	assert_int_equal(count(&stats.tx_fail), 1);
	tx_set_tcp(tx, on_tcp, &tcp_seen);
	tx_reserve(tx)[0] = 98;
	tx_commit(tx, &tcp, 12);
	assert_int_equal(tcp_seen.calls, 1);
	assert_int_equal(tcp_seen.tcp, 9);
	assert_int_equal(tcp_seen.len, 12);
	assert_int_equal(tcp_seen.first, 98);
	tx_reserve(tx);
	tx_commit(tx, &six, 5); /* no such socket */
	tx_reserve(tx);
	tx_commit(tx, &none, 5);
	tx_reserve(tx);
	tx_commit(tx, &f, TX_MTU + 1);
	assert_int_equal(count(&stats.tx_fail), 4);
	tx_flush(tx);
	assert_int_equal(count(&stats.tx_pkts), 2 * TX_BATCH + 5);
	while (got < TX_BATCH * 2 + 5) {
		wait_readable(b);
		n = receive(b, pool, p, UDP_BATCH);
		for (i = 0; i < n; i++, got++) {
			assert_int_equal(get_be16(p[i]->data), got);
			pkt_unref(p[i]);
		}
	}
	tx_destroy(tx);
	udp_close(a);
	udp_close(b);
	pkt_pool_destroy(pool);
}

/* One bad destination in the middle costs only itself. */
static void test_tx_bad_destination(void **state)
{
	struct udp_sock *a = open_at("127.0.0.1:0"), *b = open_at("127.0.0.1:0");
	struct pkt_pool *pool = pkt_pool_create(20);
	struct tx *tx = tx_create(a, NULL);
	struct flow good = { .peer = *udp_local(b) }, bad = good, source = good;
	static const uint8_t arrived[] = { 0, 1, 3, 5 };
	struct pkt *p[UDP_BATCH];
	unsigned i;

	(void)state;
	bad.peer.port = 0;
	source.local = address("192.0.2.9"); /* not ours */
	for (i = 0; i < 6; i++) {
		tx_reserve(tx)[0] = (uint8_t)i;
		tx_commit(tx, i == 2 ? &bad : i == 4 ? &source : &good, 1);
	}
	tx_flush(tx);
	assert_int_equal(count(&stats.tx_fail), 2);
	assert_int_equal(count(&stats.tx_pkts), 4);
	wait_readable(b);
	assert_int_equal(receive(b, pool, p, UDP_BATCH), 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(p[i]->data[0], arrived[i]);
		pkt_unref(p[i]);
	}
	tx_destroy(tx);
	udp_close(a);
	udp_close(b);
	pkt_pool_destroy(pool);
}

/* Both families in one batch, each through its own socket. */
static void test_tx_mixed(void **state)
{
	struct udp_sock *four = open_at("127.0.0.1:0"), *six = open_at("[::1]:0");
	struct pkt_pool *pool = pkt_pool_create(20);
	struct tx *tx = tx_create(four, six);
	struct flow f4 = { .peer = *udp_local(four) }, f6 = { .peer = *udp_local(six) };
	struct pkt *p[UDP_BATCH];
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		tx_reserve(tx)[0] = (uint8_t)i;
		tx_commit(tx, i % 2 ? &f6 : &f4, 1);
	}
	tx_flush(tx);
	wait_readable(four);
	assert_int_equal(receive(four, pool, p, UDP_BATCH), 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(p[i]->data[0], i * 2);
		pkt_unref(p[i]);
	}
	wait_readable(six);
	assert_int_equal(receive(six, pool, p, UDP_BATCH), 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(p[i]->data[0], i * 2 + 1);
		pkt_unref(p[i]);
	}
	tx_destroy(tx);
	udp_close(four);
	udp_close(six);
	pkt_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_v4, setup),
		cmocka_unit_test_setup(test_v6, setup),
		cmocka_unit_test_setup(test_v6_only, setup),
		cmocka_unit_test_setup(test_open_errors, setup),
		cmocka_unit_test_setup(test_truncated, setup),
		cmocka_unit_test_setup(test_pool_runs_out, setup),
		cmocka_unit_test_setup(test_arrival, setup),
		cmocka_unit_test_setup(test_tx_more_than_a_batch, setup),
		cmocka_unit_test_setup(test_tx_bad_destination, setup),
		cmocka_unit_test_setup(test_tx_mixed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
