/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The HTTP server: framing of requests, routes, answers, deadlines. */
#include "unit/http_rig.h"

static void test_byte_by_byte(void **state)
{
	static const char text[] =
		"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
		"GET /r/room HTTP/1.1\r\n" HOST "\r\n";
	const char *p;

	(void)state;
	for (p = text; *p; p++)
		assert_true(rig_send(&client, p, 1));
	rig_expect(&client, "\r\n\r\nhelloHTTP/1.1 200 OK\r\n");
	rig_expect(&client, "[GET /r/room|room||]");
	assert_int_equal(rig_times(&client, "Content-Length: 5\r\n"), 1);
	assert_int_equal(calls, 1);
	assert_false(client.eof);
}

static void test_pipelined(void **state)
{
	unsigned i;
	char text[20000] = "";

	(void)state;
	for (i = 0; i < 100; i++)
		sprintf(text + strlen(text),
			"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n%04u",
			i);
	rig_say(&client, text);
	rig_expect(&client, "\r\n\r\n0099");
	assert_int_equal(calls, 100);
	for (i = 0; i < 100; i++) {
		sprintf(text, "\r\n\r\n%04u", i);
		assert_int_equal(rig_times(&client, text), 1);
	}
	assert_true(strstr((char *)client.in, "0041H") >
		    strstr((char *)client.in, "0040H"));
}

static void test_async_keeps_order(void **state)
{
	(void)state;
	rig_say(&client, "GET /later HTTP/1.1\r\n" HOST "\r\n"
			 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	rig_pump(&client, REQUEST_MS * 2); /* no deadline while the route has it */
	assert_int_equal(calls, 1);
	assert_int_equal(client.len, 0);
	assert_false(http_gone(kept));
	http_reply(kept, 200, "text/plain", "slow", 4);
	assert_true(http_gone(kept));
	kept = mem_unref(kept);
	rig_expect(&client, "slowHTTP/1.1 200 OK");
	rig_expect(&client, "\r\n\r\nx");
}

static void test_gone(void **state)
{
	(void)state;
	rig_say(&client, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	RIG_UNTIL(&client, calls == 1);
	close(client.fd);
	client.fd = -1;
	RIG_UNTIL(&client, http_gone(kept));
	assert_int_equal(http_peer(kept)->ip[0], 192); /* still whole */
	assert_string_equal(http_path(kept), "/later");
	http_reply(kept, 200, "text/plain", "late", 4);
	kept = mem_unref(kept);
}

static void test_server_destroyed_first(void **state)
{
	(void)state;
	rig_say(&client, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	RIG_UNTIL(&client, calls == 1);
	http_server_destroy(server);
	server = NULL;
	assert_true(http_gone(kept));
	http_reply_error(kept, 500, "x", "y");
	kept = mem_unref(kept);
}

static void test_forgotten_answer(void **state)
{
	(void)state;
	rig_say(&client, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "HTTP/1.1 500 ");
	rig_expect(&client, "{\"error\":\"internal\"");
	assert_false(client.eof);
}

static void test_routes(void **state)
{
	(void)state;
	rig_say(&client, "GET /r/a%20b/x/%c3%a9?q=/r/z#f HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /r/a b/x/\xc3\xa9|a b|\xc3\xa9|]");
	assert_int_equal(rig_times(&client, "x-one: again\r\n"), 1);
	assert_int_equal(rig_times(&client, "first"), 0);
	assert_int_equal(rig_times(&client, "X-Two: 2\r\n"), 1);
	assert_int_equal(rig_times(&client, "Injected"), 0);
	assert_int_equal(rig_times(&client, "X-Bad"), 0);
	assert_int_equal(rig_times(&client, "X Bad3"), 0);
	assert_int_equal(rig_times(&client, "Content-Length"), 1);
	rig_say(&client, "GET /files/v1/css/a.css HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /files/v1/css/a.css|v1|css/a.css|]");
	rig_say(&client, "GET http://other.example/r/abs HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /r/abs|abs||]");
	rig_say(&client, "GET http://other.example?x HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /|||]");
	rig_say(&client, "DELETE /any HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[DELETE /any|||]");
	rig_say(&client, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "HTTP/1.1 405 ");
	rig_expect(&client, "Allow: POST, PUT\r\n");
	rig_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	rig_expect(&client, "Allow: GET, HEAD\r\n");
	assert_int_equal(rig_times(&client, "404"), 0);
	rig_say(&client, "GET /r/ HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "HTTP/1.1 404 ");
	assert_false(client.eof);
}

static void test_head_and_bare(void **state)
{
	(void)state;
	rig_say(&client, "HEAD /r/q HTTP/1.1\r\n" HOST "\r\nGET /bare HTTP/1.1\r\n" HOST
			 "\r\nGET /same HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST
			 "Connection: close\r\n\r\n");
	rig_expect_eof(&client);
	assert_int_equal(rig_times(&client, "[HEAD"), 0);
	assert_int_equal(rig_times(&client, "Content-Length: 15\r\n"), 1);
	rig_expect(&client,
		   "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n");
	rig_expect(&client, "[GET /|||]");
	assert_int_equal(rig_times(&client, "Connection: close\r\n"), 1);
}

/* Long JSON travels compressed, to whom says that it may. */
static void test_gzip(void **state)
{
	static const struct {
		const char *target, *accept;
		size_t len;
		bool packed;
	} cases[] = {
		{ "/json", "Accept-Encoding: br, gzip\r\n", 3000, true },
		{ "/json", "Accept-Encoding: br\r\n", 3000, false },
		{ "/json", "Accept-Encoding: gzip;q=0\r\n", 3000, false },
		{ "/json", "", 3000, false },
		{ "/json/short", "Accept-Encoding: gzip\r\n", 1000, false },
		{ "/r/a", "Accept-Encoding: gzip\r\n", strlen("[GET /r/a|a||]"), false },
	};
	char text[200];
	uint8_t *out;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const char *body;

		sprintf(text, "GET %s HTTP/1.1\r\n" HOST "Connection: close\r\n%s\r\n",
			cases[i].target, cases[i].accept);
		rig_say(&client, text);
		rig_expect_eof(&client);
		body = strstr((char *)client.in, "\r\n\r\n") + 4;
		n = client.len - (size_t)(body - (char *)client.in);
		assert_int_equal(rig_times(&client, "Content-Encoding: gzip\r\n"),
				 cases[i].packed);
		sprintf(text, "Content-Length: %zu\r\n", n);
		assert_int_equal(rig_times(&client, text), 1);
		if (cases[i].packed) {
			assert_true(n < 100);
			assert_int_equal(http_inflate(HTTP_GZIP, (const uint8_t *)body, n,
						      HTTP_BODY_MAX, &out, &n),
					 0);
			assert_int_equal(out[n - 1], '1');
			free(out);
		}
		assert_int_equal(n, cases[i].len);
		teardown(NULL);
		setup(NULL);
	}
}

static void test_close_wished(void **state)
{
	(void)state;
	rig_say(&client, "GET /last HTTP/1.1\r\n" HOST "\r\n"
			 "GET /r/a HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "\r\n\r\nlast");
	rig_expect_eof(&client);
	assert_int_equal(rig_times(&client, "Connection: close\r\n"), 1);
	assert_int_equal(rig_times(&client, "HTTP/1.1 200 OK"), 1);
}

static void test_http10(void **state)
{
	(void)state;
	rig_say(&client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	rig_expect(&client, "Connection: keep-alive\r\n");
	rig_say(&client, "GET / HTTP/1.0\r\n\r\n");
	rig_expect(&client, "Connection: close\r\n");
	rig_expect_eof(&client);
}

static void test_chunked(void **state)
{
	(void)state;
	rig_say(&client,
		"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"4;ext=1\r\nabcd\r\n2\r\nef\r\n0\r\nTrailer: gone\r\n\r\n");
	rig_expect(&client, "\r\n\r\nabcdef");
	rig_say(&client, "GET /r/next HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /r/next|next||]");
}

static void test_continue(void **state)
{
	(void)state;
	rig_say(&client, "POST /echo HTTP/1.1\r\n" HOST
			 "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	rig_expect(&client, "HTTP/1.1 100 Continue\r\n\r\n");
	assert_int_equal(calls, 0);
	rig_say(&client, "abc");
	rig_expect(&client, "\r\n\r\nabc");
	assert_int_equal(rig_times(&client, "100 Continue"), 1);
	/* one that doesn't wait needs no leave */
	rig_say(&client, "POST /echo HTTP/1.1\r\n" HOST
			 "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nxyz");
	rig_expect(&client, "\r\n\r\nxyz");
	assert_int_equal(rig_times(&client, "100 Continue"), 1);
}

/* ---- deadlines --------------------------------------------------------------------- */

static void test_slow_request(void **state)
{
	uint64_t start = rig_ms();

	(void)state;
	rig_say(&client, "GET / HTT");
	while (!client.eof && rig_ms() - start < 2000) {
		send(client.fd, "P", 1,
		     MSG_NOSIGNAL); /* a byte now and then doesn't help */
		rig_pump(&client, 20);
		if (client.len)
			break;
	}
	rig_pump(&client, 20);
	assert_true(client.len > 0 || client.eof);
	assert_true(rig_ms() - start < REQUEST_MS * 4);
}

static void test_slow_body(void **state)
{
	(void)state;
	rig_say(&client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab");
	rig_expect(&client, "HTTP/1.1 408 ");
	rig_expect_eof(&client);
	assert_int_equal(calls, 0);
}

static void test_silent_and_idle(void **state)
{
	uint64_t start = rig_ms();

	(void)state;
	rig_expect_eof(&client); /* says nothing at all */
	assert_int_equal(client.len, 0);
	assert_true(rig_ms() - start >= REQUEST_MS - 10);
	teardown(NULL);
	setup(NULL);
	rig_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
	rig_expect(&client, "[GET /|||]");
	rig_expect_eof(&client);
	assert_int_equal(rig_times(&client, "408"), 0);
}

/* Someone asks for much and reads nothing: one answer is made, then it ends. */
static void test_does_not_read(void **state)
{
	unsigned i;

	(void)state;
	client.deaf = true;
	for (i = 0; i < 20; i++)
		rig_say(&client, "GET /big HTTP/1.1\r\n" HOST "\r\n");
	rig_pump(&client, IDLE_MS / 2);
	assert_int_equal(calls, 1);
	rig_pump(&client, IDLE_MS * 3);
	client.deaf = false;
	rig_expect_eof(&client);
	assert_int_equal(calls, 1);
	assert_true(client.len < 1 << 20);
}

/* A slow reader who keeps reading gets all of it. */
static void test_reads_slowly(void **state)
{
	uint64_t start = rig_ms();
	size_t last;

	(void)state;
	rig_say(&client, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	client.deaf = true;
	while (!client.eof && rig_ms() - start < 5000 && client.len < 1 << 20) {
		last = client.len;
		rig_pump(&client, IDLE_MS / 3);
		client.deaf = false;
		rig_turn(&client);
		client.deaf = true;
		if (client.len - last > 0 && client.len < 1 << 18)
			continue;
		client.deaf = rig_ms() - start < IDLE_MS * 3; /* then at full speed */
	}
	client.deaf = false;
	rig_expect_eof(&client);
	assert_true(client.len > 1 << 20);
	assert_true(rig_ms() - start > IDLE_MS * 2);
}

static void test_half_closed(void **state)
{
	(void)state;
	rig_say(&client,
		"GET /r/one HTTP/1.1\r\n" HOST "\r\nGET /r/two HTTP/1.1\r\n" HOST "\r\n");
	shutdown(client.fd, SHUT_WR);
	rig_expect(&client, "[GET /r/two|two||]");
	assert_int_equal(rig_times(&client, "[GET /r/one|one||]"), 1);
	rig_expect_eof(&client);
}

static void test_out_of_memory(void **state)
{
	struct addr peer = { .family = 4 };
	int fd[2];

	(void)state;
	mem_fail_after(1);
	rig_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
	rig_expect_eof(&client);
	assert_int_equal(client.len, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	mem_fail_after(1);
	http_adopt(server, bufferevent_socket_new(base, fd[0], BEV_OPT_CLOSE_ON_FREE),
		   &peer, false, NULL);
	mem_fail_after(0);
	rig_turn(&client); /* libevent closes from the loop */
	assert_int_equal(recv(fd[1], &peer, 1, MSG_DONTWAIT), 0);
	close(fd[1]);
	mem_fail_after(1);
	assert_null(http_server_create(base, 1, 1));
}

static void test_error_text(void **state)
{
	(void)state;
	rig_say(&client, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	RIG_UNTIL(&client, kept);
	http_reply_error(kept, 418, "odd", "say \"no\" \\ \n\t\xc3\xa9");
	kept = mem_unref(kept);
	rig_expect(&client,
		   "{\"error\":\"odd\",\"message\":\"say \\\"no\\\" \\\\ \\u000a\\u0009"
		   "\xc3\xa9\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_byte_by_byte),
		TEST(test_pipelined),
		TEST(test_async_keeps_order),
		TEST(test_gone),
		TEST(test_server_destroyed_first),
		TEST(test_forgotten_answer),
		TEST(test_routes),
		TEST(test_head_and_bare),
		TEST(test_gzip),
		TEST(test_close_wished),
		TEST(test_http10),
		TEST(test_chunked),
		TEST(test_continue),
		TEST(test_slow_request),
		TEST(test_slow_body),
		TEST(test_silent_and_idle),
		TEST(test_does_not_read),
		TEST(test_reads_slowly),
		TEST(test_half_closed),
		TEST(test_out_of_memory),
		TEST(test_error_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
