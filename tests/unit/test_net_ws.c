/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* WebSockets over a socket pair: handshake, framing rules, limits, timers, ends. */
#include "unit/net_rig.h"

#include <event2/buffer.h>
#include <malloc.h>

#include "http_inner.h"
#include "utf8.h"
#include "ws_layer.h"

static struct event_base *base;
static struct http_server *server;
static struct rig_client client;
static struct ws *ws;
static char *got; /* the last message */
static size_t got_len;
static unsigned texts, closes, close_code;
static bool close_on_text, refuse_all;

static void on_text(void *arg, const char *text, size_t len)
{
	assert_ptr_equal(arg, &ws);
	texts++;
	free(got);
	got = malloc(len + 1);
	memcpy(got, text, len);
	got[len] = 0;
	got_len = len;
	if (close_on_text)
		ws_close(ws, 4001, "enough");
}

static void on_close(void *arg, unsigned code)
{
	assert_ptr_equal(arg, &ws);
	closes++;
	close_code = code;
	ws = NULL;
}

static const struct ws_ops ops = { .on_text = on_text, .on_close = on_close };

static void on_open(struct http_request *rq, void *arg)
{
	http_set_header(rq, "X-Extra", "yes");
	if (refuse_all)
		http_reply_error(rq, 403, "no", "no");
	ws = ws_accept(rq, arg, &ops, &ws);
}

static void add_connection(struct rig_client *c)
{
	struct addr peer = { .family = 4 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	evutil_make_socket_nonblocking(fd[0]);
	http_adopt(server, bufferevent_socket_new(base, fd[0], BEV_OPT_CLOSE_ON_FREE),
		   &peer, false, NULL);
	rig_client_init(c, base, fd[1]);
}

static int setup(void **state)
{
	(void)state;
	stats_here = &rig_stats;
	memset(&rig_stats, 0, sizeof rig_stats);
	log_set_level(LOG_ERROR);
	ws = NULL;
	texts = closes = close_code = 0;
	close_on_text = refuse_all = false;
	ws_timing = (struct ws_timing) { 20000, 15000, 100 };
	base = event_base_new();
	server = http_server_create(base, 2000, 2000);
	http_route(server, "", "/ws", on_open, (void *)(uintptr_t) "palabre.1");
	http_route(server, "GET", "/plain", on_open, NULL);
	add_connection(&client);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_destroy(server);
	assert_null(ws); /* on_close came, at the latest now */
	rig_client_fini(&client);
	event_base_free(base);
	free(got);
	got = NULL;
	return 0;
}

#define GOOD \
	"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n" \
	"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Protocol: other, palabre.1\r\n\r\n"

static void open_ws(void)
{
	rig_say(&client, GOOD);
	rig_expect(&client, "\r\n\r\n");
	assert_non_null(ws);
	client.len = 0;
}

/* A masked frame as clients send them. Returns its length. */
static size_t frame(uint8_t *out, uint8_t first, const void *data, size_t len)
{
	static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
	const uint8_t *in = data;
	uint8_t *p = out;
	size_t i;

	*p++ = first;
	if (len < 126) {
		*p++ = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		*p++ = 0x80 | 126;
		put_be16(p, (uint16_t)len);
		p += 2;
	} else {
		*p++ = 0x80 | 127;
		put_be32(p, 0);
		put_be32(p + 4, (uint32_t)len);
		p += 8;
	}
	memcpy(p, key, 4);
	p += 4;
	for (i = 0; i < len; i++)
		*p++ = in[i] ^ key[i % 4];
	return (size_t)(p - out);
}

static bool send_frame(uint8_t first, const void *data, size_t len)
{
	uint8_t *buf = malloc(len + 20);
	bool sent = rig_send(&client, buf, frame(buf, first, data, len));

	free(buf);
	return sent;
}

/* What came is exactly one close frame with this code, then EOF, and the owner knows. */
static void expect_close(unsigned code)
{
	rig_expect_eof(&client);
	RIG_UNTIL(&client, closes == 1 || client.fd < 0 || closes);
	assert_true(client.len >= 4);
	assert_int_equal(client.in[0], 0x88);
	assert_int_equal(client.in[1], client.len - 2);
	assert_int_equal(get_be16(client.in + 2), code);
	assert_int_equal(close_code, code);
	assert_int_equal(closes, 1);
	assert_null(ws);
}

static void hang_up(void)
{
	close(client.fd);
	client.fd = -1;
}

static void test_handshake(void **state)
{
	(void)state;
	rig_say(&client, GOOD);
	rig_expect(&client, "\r\n\r\n");
	rig_expect(&client, "HTTP/1.1 101 Switching Protocols\r\n");
	/* RFC 6455 §1.3 */
	rig_expect(&client, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
	rig_expect(&client, "Sec-WebSocket-Protocol: palabre.1\r\n");
	rig_expect(&client, "X-Extra: yes\r\n");
	rig_expect(&client, "Connection: Upgrade\r\n");
	assert_int_equal(rig_times(&client, "Extensions"), 0);
	assert_non_null(ws);
}

static void refused(const char *from, const char *to, const char *line)
{
	char text[1000];
	const char *at = strstr(GOOD, from);

	assert_non_null(at);
	sprintf(text, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
	rig_say(&client, text);
	rig_expect(&client, line);
	assert_null(ws);
	assert_int_equal(closes, 0);
	teardown(NULL);
	setup(NULL);
}

static void test_handshake_errors(void **state)
{
	(void)state;
	refused("Upgrade: WebSocket", "Upgrade: h2c", "HTTP/1.1 426 ");
	refused("Upgrade: WebSocket", "Upgrade: h2c", "Upgrade: websocket\r\n");
	refused("keep-alive, Upgrade", "keep-alive", "HTTP/1.1 426 ");
	refused("keep-alive, Upgrade", "keep-alive, Upgraded", "HTTP/1.1 426 ");
	refused("GET /ws", "PUT /ws", "HTTP/1.1 426 ");
	refused("Version: 13", "Version: 8", "Sec-WebSocket-Version: 13\r\n");
	refused("Sec-WebSocket-Version: 13\r\n", "", "HTTP/1.1 426 ");
	refused("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: ", "HTTP/1.1 400 ");
	refused("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhlIHNhbXBsZSBub25jZQ=",
		"HTTP/1.1 400 ");
	refused("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhlIHNhbXBsZSBub25jZTE=",
		"HTTP/1.1 400 ");
	refused("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhl!HNhbXBsZSBub25jZQ==",
		"HTTP/1.1 400 ");
	refused("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhlIHNhbXBsZSBub25jZQ==a",
		"HTTP/1.1 400 ");
	refused("Sec-WebSocket-Key", "X-Key", "HTTP/1.1 400 ");
	refused("other, palabre.1", "other, palabre.11", "HTTP/1.1 400 ");
	refuse_all = true; /* a route that has answered already */
	rig_say(&client, GOOD);
	rig_expect(&client, "HTTP/1.1 403 ");
	assert_null(ws);
	refuse_all = false;
	mem_fail_after(2); /* the request, then the ws */
	rig_say(&client, GOOD);
	rig_expect(&client, "HTTP/1.1 503 ");
	mem_fail_after(0);
	assert_null(ws);
}

static void test_without_subprotocol(void **state)
{
	(void)state;
	rig_say(&client, "GET /plain HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	rig_expect(&client, "HTTP/1.1 101 ");
	assert_int_equal(rig_times(&client, "Protocol:"), 0);
}

static void test_text_both_ways(void **state)
{
	uint8_t buf[200], both[600];
	char big[300];
	size_t i, n;

	(void)state;
	/* the frame comes right behind the handshake */
	memcpy(both, GOOD, strlen(GOOD));
	n = strlen(GOOD) + frame(both + strlen(GOOD), 0x81, "early", 5);
	rig_send(&client, both, n);
	RIG_UNTIL(&client, texts == 1);
	assert_string_equal(got, "early");
	client.len = 0;
	n = frame(buf, 0x81, "h\xc3\xa9llo", 6);
	for (i = 0; i < n; i++) /* byte by byte */
		rig_send(&client, buf + i, 1);
	RIG_UNTIL(&client, texts == 2);
	assert_string_equal(got, "h\xc3\xa9llo");
	send_frame(0x81, "", 0);
	RIG_UNTIL(&client, texts == 3);
	assert_int_equal(got_len, 0);
	assert_int_equal(ws_send(ws, "{}", 2), 0);
	RIG_UNTIL(&client, client.len == 4);
	assert_memory_equal(client.in, "\x81\x02{}", 4);
	memset(big, 'b', sizeof big);
	assert_int_equal(ws_send(ws, big, sizeof big), 0);
	RIG_UNTIL(&client, client.len == 4 + 4 + 300);
	assert_memory_equal(client.in + 4, "\x81\x7e\x01\x2c", 4);
	assert_memory_equal(client.in + 8, big, 300);
}

static void test_fragments(void **state)
{
	(void)state;
	open_ws();
	send_frame(0x01, "\xe2", 1); /* in the middle of a character */
	send_frame(0x89, "are you there", 13);
	send_frame(0x00, "\x82", 1);
	send_frame(0x8a, "unasked", 7);
	send_frame(0x00, "", 0);
	send_frame(0x80, "\xac!", 2);
	RIG_UNTIL(&client, texts == 1);
	assert_string_equal(got, "\xe2\x82\xac!");
	assert_memory_equal(client.in,
			    "\x8a\x0d"
			    "are you there",
			    15);
	assert_int_equal(client.len, 15);
}

static void broken(uint8_t first, const void *data, size_t len, unsigned code)
{
	open_ws();
	send_frame(first, data, len);
	expect_close(code);
	assert_int_equal(texts, 0);
	teardown(NULL);
	setup(NULL);
}

static void broken_raw(const char *raw, size_t len, unsigned code)
{
	open_ws();
	rig_send(&client, raw, len);
	expect_close(code);
	assert_int_equal(texts, 0);
	teardown(NULL);
	setup(NULL);
}

static void test_broken_rules(void **state)
{
	(void)state;
	broken_raw("\x81\x05hello", 7, 1002); /* unmasked */
	broken_raw("\x88\x00", 2, 1002);
	broken_raw("\x89\xfe\x00\x80", 4, 1002); /* a long ping */
	broken_raw("\x81\xfe\x00\x05", 4, 1002); /* not the shortest length */
	broken_raw("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05", 10, 1002);
	broken_raw("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 10, 1002);
	broken_raw("\x81\xff\x00\x00\x7f\xff\xff\xff\xff\xff"
		   "abcd"
		   "x",
		   15, 1009);
	broken(0x09, "p", 1, 1002); /* fragmented ping */
	broken(0xc1, "x", 1, 1002); /* RSV1: nobody agreed on compression */
	broken(0x91, "x", 1, 1002);
	broken(0x80, "x", 1, 1002); /* continues nothing */
	broken(0x83, "x", 1, 1002);
	broken(0x8b, "x", 1, 1002);
	broken(0x82, "x", 1, 1003);
	broken(0x02, "x", 1, 1003);
	broken(0x81, "\xff", 1, 1007);
	broken(0x81, "\xe2\x82", 2, 1007);
	broken(0x81, "\xed\xa0\x80", 3, 1007);
	broken(0x88, "\x03", 1, 1002);
	broken(0x88, "\x03\xed", 2, 1002); /* 1005 */
	broken(0x88, "\x03\xe7", 2, 1002); /* 999 */
	broken(0x88, "\x13\x88", 2, 1002); /* 5000 */
	broken(0x88, "\x03\xe8\xff", 3, 1007);
	open_ws(); /* a second message in the first */
	send_frame(0x01, "a", 1);
	send_frame(0x81, "b", 1);
	expect_close(1002);
}

static void test_size(void **state)
{
	uint8_t *big = malloc(WS_MESSAGE_MAX + 1);
	unsigned i;

	(void)state;
	memset(big, 'm', WS_MESSAGE_MAX + 1);
	open_ws();
	send_frame(0x81, big, WS_MESSAGE_MAX);
	RIG_UNTIL(&client, texts == 1);
	assert_int_equal(got_len, WS_MESSAGE_MAX);
	for (i = 0; i < 4; i++)
		send_frame(i ? 0x00 : 0x01, big, WS_MESSAGE_MAX / 4);
	send_frame(0x80, "", 0);
	RIG_UNTIL(&client, texts == 2);
	assert_int_equal(got_len, WS_MESSAGE_MAX);
	teardown(NULL);
	setup(NULL);
	open_ws();
	send_frame(0x81, big, WS_MESSAGE_MAX + 1);
	expect_close(1009);
	assert_int_equal(atomic_load(&rig_stats.ws_limited), 1);
	teardown(NULL);
	setup(NULL);
	open_ws();
	send_frame(0x01, big, WS_MESSAGE_MAX);
	send_frame(0x80, big, 1);
	expect_close(1009);
	assert_int_equal(atomic_load(&rig_stats.ws_limited), 1);
	free(big);
}

/* ---- ends -------------------------------------------------------------------------- */

static void test_peer_closes(void **state)
{
	(void)state;
	open_ws();
	send_frame(0x88,
		   "\x0f\xa1"
		   "bye",
		   5);
	expect_close(4001);
	teardown(NULL);
	setup(NULL);
	open_ws();
	send_frame(0x88, "", 0);
	rig_expect_eof(&client);
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(client.len, 2);
	assert_memory_equal(client.in, "\x88\x00", 2);
	assert_int_equal(close_code, 1005);
	teardown(NULL);
	setup(NULL);
	open_ws();
	hang_up();
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(close_code, 1006);
}

static void test_we_close(void **state)
{
	(void)state;
	open_ws();
	ws_close(ws, 4404, "no such room");
	assert_int_equal(closes, 0);
	assert_int_equal(ws_send(ws, "x", 1), -ENOTCONN);
	ws_close(ws, 1000, "again"); /* nothing */
	RIG_UNTIL(&client, client.len == 16);
	assert_memory_equal(client.in, "\x88\x0e\x11\x34no such room", 16);
	send_frame(0x81, "late", 4); /* said before it knew */
	send_frame(0x88, "\x11\x34", 2);
	expect_close(4404);
	assert_int_equal(texts, 0);
	teardown(NULL);
	setup(NULL);
	open_ws(); /* a peer that doesn't answer */
	ws_close(ws, 1001, NULL);
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(close_code, 1001);
	rig_expect_eof(&client);
}

static void test_close_reason_is_cut(void **state)
{
	char reason[300] = "";
	unsigned i;

	(void)state;
	open_ws();
	for (i = 0; i < 50; i++)
		strcat(reason, "\xe2\x82\xac"); /* 150 bytes; 123 fit, 41 whole ones */
	ws_close(ws, 4000, reason + 0);
	RIG_UNTIL(&client, client.len == 2 + 2 + 123);
	assert_true(utf8_valid(client.in + 4, 123));
	teardown(NULL);
	setup(NULL);
	open_ws();
	memmove(reason + 1, reason, 151);
	reason[0] = 'x';
	ws_close(ws, 4000, reason);
	RIG_UNTIL(&client, client.len == 2 + 2 + 121);
}

static void test_close_from_inside(void **state)
{
	(void)state;
	open_ws();
	close_on_text = true;
	uint8_t two[40];
	size_t n = frame(two, 0x81, "one", 3);

	n += frame(two + n, 0x81, "two", 3);
	rig_send(&client, two, n);
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(texts, 1);
	assert_int_equal(close_code, 4001);
}

static void test_server_destroyed(void **state)
{
	(void)state;
	open_ws();
	http_server_destroy(server);
	server = NULL;
	assert_int_equal(closes, 1);
	assert_int_equal(close_code, 1001);
}

/* ---- timers and queues ------------------------------------------------------------- */

static void test_ping(void **state)
{
	uint64_t start;

	(void)state;
	ws_timing.ping_ms = 60;
	ws_timing.pong_ms = 80;
	open_ws();
	start = rig_ms();
	RIG_UNTIL(&client, client.len == 2);
	assert_memory_equal(client.in, "\x89\x00", 2);
	assert_true(rig_ms() - start >= 50);
	send_frame(0x8a, "", 0);
	RIG_UNTIL(&client, client.len == 4); /* the next */
	send_frame(0x81, "x", 1);	     /* anything is a sign of life */
	RIG_UNTIL(&client, client.len == 6);
	assert_int_equal(closes, 0);
	RIG_UNTIL(&client, closes == 1); /* silence is not */
	assert_int_equal(close_code, 1006);
	rig_expect_eof(&client);
	assert_int_equal(client.len, 6);
}

static void test_talking_needs_no_ping(void **state)
{
	unsigned i;

	(void)state;
	ws_timing.ping_ms = 100;
	open_ws();
	for (i = 0; i < 15; i++) {
		send_frame(0x81, "x", 1);
		rig_pump(&client, 20);
	}
	assert_int_equal(client.len, 0);
	assert_int_equal(texts, 15);
}

static void test_slow_reader(void **state)
{
	char text[1000];
	unsigned sent = 0;
	int err;

	(void)state;
	memset(text, 't', sizeof text);
	open_ws();
	client.deaf = true;
	while ((err = ws_send(ws, text, sizeof text)) == 0 && sent < 5000) {
		sent++;
		rig_turn(&client);
	}
	assert_int_equal(err, -ENOBUFS);
	assert_true(sent * sizeof text > WS_QUEUE_MAX - 2000);
	assert_int_equal(closes, 0); /* not from inside */
	assert_int_equal(ws_send(ws, text, 1), -ENOTCONN);
	client.deaf = false; /* it wakes up and learns why */
	rig_expect(&client, "\x03\xf5too slow");
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(close_code, 1013);
	assert_int_equal(atomic_load(&rig_stats.ws_limited), 1);
}

/* Pings without end from one who doesn't read: our pongs must not pile up. */
static void test_ping_flood(void **state)
{
	uint8_t pings[131 * 100];
	char payload[125] = { 0 };
	size_t n = 0;
	unsigned i;

	(void)state;
	open_ws();
	while (n + 131 <= sizeof pings)
		n += frame(pings + n, 0x89, payload, 125);
	client.deaf = true;
	for (i = 0; i < 1000 && !closes; i++) {
		if (!rig_send(&client, pings, n))
			break;
	}
	RIG_UNTIL(&client, closes == 1);
	assert_int_equal(close_code, 1008);
	assert_int_equal(atomic_load(&rig_stats.ws_limited), 1);
	assert_true(i < 200);
}

/* ---- the rest ---------------------------------------------------------------------- */

static void test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool valid;
	} cases[] = {
		{ "", true },
		{ "abc", true },
		{ "\xc2\x80", true },
		{ "\xc1\xbf", false },
		{ "\xc2", false },
		{ "\x80", false },
		{ "\xe0\xa0\x80", true },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\x9f\xbf", true },
		{ "\xed\xa0\x80", false },
		{ "\xee\x80\x80", true },
		{ "\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xe2\x28\xa1", false },
		{ "\xe2\x82(", false },
		{ "a\xf0\x9f\x98\x80z", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			utf8_valid((const uint8_t *)cases[i].s, strlen(cases[i].s)),
			cases[i].valid);
}

#ifndef __SANITIZE_ADDRESS__
#define COUNT_MEMORY 1
#else
#define COUNT_MEMORY 0
#endif

/* The promise: less than 8 KB for one that says nothing. */
static void test_memory(void **state)
{
	enum { MANY = 100 };
	struct rig_client c;
	static int fds[MANY];
	size_t before;
	unsigned i;

	(void)state;
	if (!COUNT_MEMORY)
		skip(); /* the sanitizer has its own malloc */
	open_ws();
	before = mallinfo2().uordblks;
	for (i = 0; i < MANY; i++) {
		add_connection(&c);
		rig_say(&c, GOOD);
		rig_expect(&c, "\r\n\r\n");
		fds[i] = c.fd;
		c.fd = -1;
		rig_client_fini(&c);
	}
	size_t each = (mallinfo2().uordblks - before) / MANY;

	print_message("idle WebSocket: %zu bytes\n", each);
	assert_true(each < 8192);
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	closes = 0;
	http_server_destroy(server);
	server = NULL;
	assert_int_equal(closes, MANY + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handshake),
		TEST(test_handshake_errors),
		TEST(test_without_subprotocol),
		TEST(test_text_both_ways),
		TEST(test_fragments),
		TEST(test_broken_rules),
		TEST(test_size),
		TEST(test_peer_closes),
		TEST(test_we_close),
		TEST(test_close_reason_is_cut),
		TEST(test_close_from_inside),
		TEST(test_server_destroyed),
		TEST(test_ping),
		TEST(test_talking_needs_no_ping),
		TEST(test_slow_reader),
		TEST(test_ping_flood),
		TEST(test_utf8),
		TEST(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
