/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 4571: frames cut and glued, too long, early bytes, a peer that doesn't read, ends.
 */
#include "unit/net_rig.h"

#include "framed_parse.h"

enum { WANTED_MS = 150 };

static struct event_base *base;
static struct pkt_pool *pool;
static struct framed_set *set;
static struct rig_client client;
static uint32_t id, closed_id;
static unsigned packets, closes;
static size_t last_len;
static uint8_t last[FRAMED_KEEP_MAX];
static bool close_inside, wanted;
static const struct addr peer = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 7 };
static const struct addr local = { .family = 4, .ip = { 192, 0, 2, 2 }, .port = 443 };

static void on_packet(void *arg, struct pkt *p)
{
	assert_ptr_equal(arg, &packets);
	assert_int_equal(p->flow.tcp, id);
	assert_memory_equal(&p->flow.peer, &peer, sizeof peer);
	assert_memory_equal(&p->flow.local, &local, sizeof local);
	assert_true(p->arrival_us > 0 && p->arrival_us <= clock_now_us());
	packets++;
	last_len = p->len;
	memcpy(last, p->data, p->len);
	pkt_unref(p);
	if (close_inside)
		framed_close(set, id);
}

static void on_close(void *arg, uint32_t tcp)
{
	(void)arg;
	closes++;
	closed_id = tcp;
}

static bool on_wanted(void *arg, const struct flow *flow)
{
	assert_ptr_equal(arg, &packets);
	assert_int_equal(flow->tcp, id);
	return wanted;
}

static const struct framed_ops ops = { .on_packet = on_packet,
				       .on_close = on_close,
				       .wanted = on_wanted };

static void add(const void *early, size_t early_len)
{
	int fd[2];
	int64_t r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	evutil_make_socket_nonblocking(fd[0]);
	rig_client_init(&client, base, fd[1]);
	r = framed_add(set, fd[0], &peer, &local, early, early_len);
	assert_true(r > 0);
	id = (uint32_t)r;
	assert_int_equal(packets, 0); /* from the loop only */
}

static int setup(void **state)
{
	(void)state;
	memset(&rig_stats, 0, sizeof rig_stats);
	stats_here = &rig_stats;
	packets = closes = 0;
	close_inside = false;
	wanted = true;
	base = event_base_new();
	pool = pkt_pool_create(4);
	set = framed_set_create(base, pool, 100, WANTED_MS, &ops, &packets);
	assert_non_null(set);
	client.fd = -1;
	client.in = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	framed_set_destroy(set);
	rig_client_fini(&client);
	assert_int_equal(pkt_pool_free_count(pool), 4);
	pkt_pool_destroy(pool);
	event_base_free(base);
	return 0;
}

static void test_split_and_merged(void **state)
{
	static const char three[] = "\0\3abc\0\1d\0\0\0\4efgh";
	size_t i, n = sizeof three - 1;

	(void)state;
	add(NULL, 0);
	for (i = 0; i < n; i++)
		rig_send(&client, three + i, 1);
	RIG_UNTIL(&client, packets == 3); /* the empty one says nothing */
	assert_int_equal(last_len, 4);
	assert_memory_equal(last, "efgh", 4);
	rig_send(&client, three, n);
	RIG_UNTIL(&client, packets == 6);
	rig_send(&client, three, 3); /* cut within */
	rig_pump(&client, 5);
	rig_send(&client, three + 3, n - 3);
	RIG_UNTIL(&client, packets == 9);
}

static void test_early(void **state)
{
	(void)state;
	add("\0\2hi\0\5he", 8);
	RIG_UNTIL(&client, packets == 1);
	assert_memory_equal(last, "hi", 2);
	rig_send(&client, "llo", 3);
	RIG_UNTIL(&client, packets == 2);
	assert_memory_equal(last, "hello", 5);
}

static void test_lengths(void **state)
{
	static uint8_t f[2 + FRAMED_MAX + 1];

	(void)state;
	add(NULL, 0);
	put_be16(f, FRAMED_KEEP_MAX);
	rig_send(&client, f, 2 + FRAMED_KEEP_MAX);
	RIG_UNTIL(&client, packets == 1);
	assert_int_equal(last_len, FRAMED_KEEP_MAX);
	put_be16(f, FRAMED_KEEP_MAX + 1); /* skipped */
	rig_send(&client, f, 2 + FRAMED_KEEP_MAX + 1);
	put_be16(f, FRAMED_MAX);
	rig_send(&client, f, 2 + FRAMED_MAX);
	rig_send(&client, "\0\1x", 3);
	RIG_UNTIL(&client, packets == 2);
	assert_int_equal(last[0], 'x');
	assert_int_equal(atomic_load(&rig_stats.rx_trunc), 2);
	assert_int_equal(closes, 0);
	put_be16(f, FRAMED_MAX + 1); /* nobody sends that */
	rig_send(&client, f, 2);
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(closed_id, id);
	assert_int_equal(atomic_load(&rig_stats.tcp_rx_bad), 1);
	rig_expect_eof(&client);
}

/* Much at once: more than one turn reads, and nothing is forgotten at the edge. */
static void test_flood(void **state)
{
	static uint8_t f[200000];
	size_t i;

	(void)state;
	for (i = 0; i + 102 <= sizeof f; i += 102)
		put_be16(f + i, 100);
	add(NULL, 0);
	rig_send(&client, f, i);
	RIG_UNTIL(&client, packets == i / 102);
}

static void test_pool_empty(void **state)
{
	struct pkt *p[4];
	int i;

	(void)state;
	add(NULL, 0);
	for (i = 0; i < 4; i++)
		p[i] = pkt_take(pool);
	rig_send(&client, "\0\1a", 3);
	RIG_UNTIL(&client, atomic_load(&rig_stats.rx_pool_empty) == 1);
	for (i = 0; i < 4; i++)
		pkt_unref(p[i]);
	rig_send(&client, "\0\1b", 3);
	RIG_UNTIL(&client, packets == 1);
	assert_int_equal(last[0], 'b');
}

static void test_ends(void **state)
{
	uint32_t old;

	(void)state;
	add(NULL, 0);
	close_inside = true;
	rig_send(&client, "\0\1a\0\1b", 6);
	RIG_UNTIL(&client, packets == 1);
	rig_expect_eof(&client);
	assert_int_equal(packets, 1);
	assert_int_equal(closes, 0); /* who closes knows */
	framed_close(set, id);
	framed_send(set, id, (const uint8_t *)"x", 1); /* gone: counted */
	assert_int_equal(atomic_load(&rig_stats.tcp_tx_drop), 1);
	old = id;
	rig_client_fini(&client);
	packets = 0;
	add(NULL, 0);
	assert_int_not_equal(id, old);
	close(client.fd);
	client.fd = -1;
	RIG_UNTIL(&client, closes == 1);
}

static void test_send(void **state)
{
	(void)state;
	add(NULL, 0);
	framed_send(set, id, (const uint8_t *)"hello", 5);
	framed_send(set, id, (const uint8_t *)"", 0);
	RIG_UNTIL(&client, client.len == 7);
	assert_memory_equal(client.in, "\0\5hello", 7);
}

/* Sends until frames are dropped, then reads: whole frames in order, nothing torn. */
static void test_slow_reader(void **state)
{
	uint8_t f[1000];
	unsigned sent = 0, kept = 0;
	size_t at = 0;
	int64_t before = -1;

	(void)state;
	add(NULL, 0);
	client.deaf = true;
	memset(f, 0x55, sizeof f);
	while (!atomic_load(&rig_stats.tcp_tx_drop) && sent < 20000) {
		put_be32(f, sent++);
		framed_send(set, id, f, sizeof f);
	}
	assert_true(sent < 20000); /* bounded in bytes */
	client.deaf = false;
	RIG_UNTIL(&client, client.len == (size_t)(sent - 1) * 1002);
	client.deaf = true;
	while (kept < 400) { /* fills the socket again, and a little of the queue */
		put_be32(f, sent++);
		framed_send(set, id, f, sizeof f);
		kept++;
	}
	rig_pump(&client, 200); /* queue_ms is over */
	unsigned drops = (unsigned)atomic_load(&rig_stats.tcp_tx_drop);

	put_be32(f, sent++);
	framed_send(set, id, f, sizeof f);
	assert_int_equal(atomic_load(&rig_stats.tcp_tx_drop), drops + 1);
	client.deaf = false;
	rig_pump(&client, 100);
	for (kept = 0; at + 1002 <= client.len; at += 1002, kept++) {
		assert_int_equal(get_be16(client.in + at), 1000);
		assert_true(get_be32(client.in + at + 2) > before);
		before = get_be32(client.in + at + 2);
		assert_int_equal(client.in[at + 1001], 0x55);
	}
	assert_int_equal(at, client.len);
	assert_int_equal(kept + drops + 1, sent);
	framed_send(set, id, f, sizeof f); /* and it goes on */
	RIG_UNTIL(&client, client.len == at + 1002);
}

/* The owner is told from the loop, not from inside its own sending. */
static void test_broken_pipe(void **state)
{
	int i;

	(void)state;
	add(NULL, 0);
	close(client.fd);
	client.fd = -1;
	for (i = 0; i < 3; i++)
		framed_send(set, id, (const uint8_t *)"x", 1);
	assert_int_equal(closes, 0);
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(closed_id, id);
}

/* Strangers hold no place for ever, nor does what a leg has left behind. */
static void test_unwanted(void **state)
{
	(void)state;
	add(NULL, 0);
	rig_pump(&client, 3 * WANTED_MS);
	assert_int_equal(closes, 0);
	wanted = false;
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(closed_id, id);
	assert_int_equal(atomic_load(&rig_stats.tcp_unwanted), 1);
	rig_expect_eof(&client);
}

static int64_t add_from(const struct addr *from, int *far)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	*far = fd[1];
	return framed_add(set, fd[0], from, &local, NULL, 0);
}

static void test_per_address(void **state)
{
	struct addr other = { .family = 6, .ip = { 0x20, 1, 13, 184 }, .port = 1 };
	int far[FRAMED_PER_ADDRESS_MAX + 2];
	unsigned i;

	(void)state;
	for (i = 0; i < FRAMED_PER_ADDRESS_MAX; i++) {
		other.port++;
		other.ip[15]++; /* of the same /64 */
		assert_true(add_from(&other, &far[i]) > 0);
	}
	assert_int_equal(add_from(&other, &far[i]), -ENOBUFS);
	assert_int_equal(recv(far[i], last, 1, 0), 0); /* closed */
	assert_int_equal(atomic_load(&rig_stats.tcp_limit), 1);
	other.ip[7]++;
	assert_true(add_from(&other, &far[++i]) > 0);
	for (i = 0; i < ARRAY_LEN(far); i++)
		close(far[i]);
	add(NULL, 0); /* has a client, for the teardown */
}

static void test_memory(void **state)
{
	int fd[2];

	(void)state;
	add(NULL, 0);
	mem_fail_after(1);
	assert_null(framed_set_create(base, pool, 1, WANTED_MS, &ops, NULL));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	mem_fail_after(1);
	assert_int_equal(framed_add(set, fd[0], &peer, &local, NULL, 0), -ENOMEM);
	assert_int_equal(recv(fd[1], last, 1, MSG_DONTWAIT), 0); /* closed */
	close(fd[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_split_and_merged),
		TEST(test_early),
		TEST(test_lengths),
		TEST(test_flood),
		TEST(test_pool_empty),
		TEST(test_ends),
		TEST(test_send),
		TEST(test_slow_reader),
		TEST(test_broken_pipe),
		TEST(test_unwanted),
		TEST(test_per_address),
		TEST(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
