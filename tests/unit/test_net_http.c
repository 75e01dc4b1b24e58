/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The HTTP server over a socket pair: framing of requests, limits, deadlines, answers. */
#include "unit/net_rig.h"

#include <zlib.h>

#include "http_inner.h"

enum { REQUEST_MS = 150, IDLE_MS = 150 };

static struct event_base *base;
static struct http_server *server;
static struct rig_client client;
static struct http_request *kept;
static char *seen; /* the last body */
static size_t seen_len;
static unsigned calls;

static void on_echo(struct http_request *rq, void *arg)
{
	const uint8_t *body = http_body(rq, &seen_len);

	assert_ptr_equal(arg, &calls);
	calls++;
	free(seen);
	seen = malloc(seen_len + 1);
	memcpy(seen, body ? body : (const uint8_t *)"", seen_len);
	seen[seen_len] = 0;
	http_reply(rq, 200, "text/plain", seen, seen_len);
	http_reply(rq, 500, "text/plain", "twice", 5); /* does nothing */
}

static void on_where(struct http_request *rq, void *arg)
{
	char text[4096];

	(void)arg;
	snprintf(text, sizeof text, "[%s %s|%s|%s|%s]", http_method(rq), http_path(rq),
		 http_segment(rq, 0), http_segment(rq, 1), http_segment(rq, 7));
	http_set_header(rq, "X-One", "first");
	http_set_header(rq, "X-Two", "2");
	http_set_header(rq, "x-one", "again"); /* replaces */
	http_set_header(rq, "X-Bad", "a\r\nX-Injected: 1");
	http_set_header(rq, "X-Bad2", "a\nb");
	http_set_header(rq, "X Bad3", "c");
	http_set_header(rq, "Content-Length", "7");
	http_reply(rq, 200, "text/plain", text, strlen(text));
}

static void on_later(struct http_request *rq, void *arg)
{
	(void)arg;
	calls++;
	kept = mem_ref(rq);
}

static void on_nothing(struct http_request *rq, void *arg)
{
	(void)rq;
	(void)arg;
}

static void on_bare(struct http_request *rq, void *arg)
{
	http_reply(rq, arg ? 304 : 204, NULL, NULL, 0);
}

static void on_last(struct http_request *rq, void *arg)
{
	(void)arg;
	http_set_close(rq);
	http_reply(rq, 200, "text/plain", "last", 4);
}

/* As much JSON as `arg` says. */
static void on_json(struct http_request *rq, void *arg)
{
	const size_t *len = arg;
	char *body = malloc(*len);

	memset(body, '1', *len);
	http_reply(rq, 200, "application/json", body, *len);
	free(body);
}

static size_t long_json = 3000, short_json = 1000;

static void on_big(struct http_request *rq, void *arg)
{
	size_t len = 1 << 20;
	char *body = malloc(len);

	(void)arg;
	calls++;
	memset(body, 'b', len);
	http_reply(rq, 200, "text/plain", body, len);
	free(body);
}

static int setup(void **state)
{
	struct addr peer = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 9 };
	int fd[2];

	(void)state;
	stats_here = &rig_stats;
	log_set_level(LOG_ERROR);
	calls = 0;
	base = event_base_new();
	server = http_server_create(base, REQUEST_MS, IDLE_MS);
	http_route(server, "POST", "/echo", on_echo, &calls);
	http_route(server, "PUT", "/echo", on_echo, &calls);
	http_route(server, "GET", "/", on_where, NULL);
	http_route(server, "GET", "/r/{}", on_where, NULL);
	http_route(server, "GET", "/r/{}/x/{}", on_where, NULL);
	http_route(server, "GET", "/files/{}/{*}", on_where, NULL);
	http_route(server, "", "/any", on_where, NULL);
	http_route(server, "GET", "/later", on_later, NULL);
	http_route(server, "GET", "/nothing", on_nothing, NULL);
	http_route(server, "GET", "/bare", on_bare, NULL);
	http_route(server, "GET", "/same", on_bare, &calls);
	http_route(server, "GET", "/big", on_big, NULL);
	http_route(server, "GET", "/json", on_json, &long_json);
	http_route(server, "GET", "/json/short", on_json, &short_json);
	http_route(server, "GET", "/last", on_last, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	evutil_make_socket_nonblocking(fd[0]);
	http_adopt(server, bufferevent_socket_new(base, fd[0], BEV_OPT_CLOSE_ON_FREE),
		   &peer, false, NULL);
	rig_client_init(&client, base, fd[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_destroy(server);
	rig_client_fini(&client);
	event_base_free(base);
	free(seen);
	seen = NULL;
	return 0;
}

#define HOST "Host: a\r\n"

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

/* ---- compressed bodies ------------------------------------------------------------- */

static size_t deflate_to(uint8_t *out, size_t cap, int bits, const void *in, size_t len)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, 0), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)in;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void post_coded(const char *coding, const void *body, size_t len)
{
	char head[200];

	sprintf(head,
		"POST /echo HTTP/1.1\r\n" HOST
		"Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
		coding, len);
	rig_say(&client, head);
	rig_send(&client, body, len);
}

static void test_inflate(void **state)
{
	static const struct {
		const char *coding;
		int bits;
	} ways[] = {
		{ "gzip", 31 }, { "x-gzip", 31 }, { "deflate", 15 }, { "deflate", -15 }
	};
	uint8_t z[1000];
	char text[3000];
	size_t i, n;

	(void)state;
	memset(text, 'a', sizeof text);
	for (i = 0; i < ARRAY_LEN(ways); i++) {
		n = deflate_to(z, sizeof z, ways[i].bits, text, sizeof text);
		post_coded(ways[i].coding, z, n);
		RIG_UNTIL(&client, calls == i + 1);
		assert_int_equal(seen_len, sizeof text);
		assert_memory_equal(seen, text, sizeof text);
	}
	rig_pump(&client, 20);
	/* exactly the limit passes */
	uint8_t *most = calloc(1, HTTP_BODY_MAX);

	n = deflate_to(z, sizeof z, 31, most, HTTP_BODY_MAX);
	free(most);
	post_coded("gzip", z, n);
	RIG_UNTIL(&client, calls == i + 1);
	assert_int_equal(seen_len, HTTP_BODY_MAX);
}

static void refused_coded(const char *coding, const void *body, size_t len,
			  const char *line)
{
	post_coded(coding, body, len);
	rig_expect(&client, line);
	rig_expect_eof(&client);
	assert_int_equal(calls, 0);
	teardown(NULL);
	setup(NULL);
}

static void test_inflate_bad(void **state)
{
	static uint8_t z[100000];
	size_t len = 20 << 20, n;
	uint8_t *zeros = calloc(1, len);

	(void)state;
	n = deflate_to(z, sizeof z, 31, zeros, len); /* 20 KB → 20 MB */
	refused_coded("gzip", z, n, "HTTP/1.1 413 ");
	n = deflate_to(z, sizeof z, 31, zeros, HTTP_BODY_MAX + 1);
	refused_coded("gzip", z, n, "HTTP/1.1 413 ");
	refused_coded("gzip", z, n - 1, "HTTP/1.1 413 ");
	n = deflate_to(z, sizeof z, 31, zeros, 100);
	refused_coded("gzip", z, n - 1, "HTTP/1.1 400 "); /* cut */
	z[n] = 0;
	refused_coded("gzip", z, n + 1, "HTTP/1.1 400 "); /* more behind */
	refused_coded("gzip", "not gzip", 8, "HTTP/1.1 400 ");
	refused_coded("gzip", "", 0, "HTTP/1.1 400 ");
	refused_coded("br", "x", 1, "HTTP/1.1 415 ");
	refused_coded("gzip, gzip", z, n, "HTTP/1.1 415 ");
	free(zeros);
}

/* ---- refusals ---------------------------------------------------------------------- */

/* The answer begins with `line`, and the connection ends. */
static void refused(const char *request, const char *line)
{
	rig_send(&client, request, strlen(request));
	rig_expect(&client, line);
	rig_expect_eof(&client);
	assert_int_equal(rig_times(&client, "Connection: close\r\n"), 1);
	assert_int_equal(rig_times(&client, "{\"error\":\""), 1);
	assert_int_equal(calls, 0);
	teardown(NULL);
	setup(NULL);
}

static void test_malformed(void **state)
{
	(void)state;
	refused("BREW / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501 ");
	refused("G\x01T / HTTP/1.1\r\n\r\n", "HTTP/1.1 501 ");
	refused("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ");
	refused("GET / HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505 ");
	refused("GET /\r\n\r\n", "HTTP/1.1 505 ");
	refused("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
	refused("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400 ");
	refused("GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", "HTTP/1.1 400 ");
	refused("GET / HTTP/1.1\r\n" HOST "X y: a\r\n\r\n", "HTTP/1.1 400 ");
	refused("GET * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 ");
	refused("POST /echo HTTP/1.1\r\n" HOST
		"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 400 ");
	refused("POST /echo HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
		"HTTP/1.1 400 ");
	refused("POST /echo HTTP/1.1\r\n" HOST
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 400 ");
	refused("POST /echo HTTP/1.1\r\n" HOST
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 501 ");
	refused("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 400 ");
	refused("POST /echo HTTP/1.1\r\n" HOST
		"Content-Length: 1\r\nExpect: tea\r\n\r\nx",
		"HTTP/1.1 417 ");
}

static void test_bad_paths(void **state)
{
	static const char *const bad[] = { "/r/%00",	    "/r/a%00b",	   "/r/%",
					   "/r/%4",	    "/r/%zz",	   "/r/..",
					   "/../r/a",	    "/r/%2e%2e",   "/r/./a",
					   "/r/a%2Fb",	    "/r/a%2f..",   "/r/%5c..",
					   "/r/%ff",	    "/r/%0a",	   "/r/%c0%ae",
					   "/files/a/../b", "/r/%ed%a0%80" };
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		sprintf(text, "GET %s HTTP/1.1\r\n" HOST "\r\n", bad[i]);
		refused(text, "HTTP/1.1 400 ");
	}
}

static void test_query(void **state)
{
	static const struct {
		const char *target;
		int err;
		const char *value;
	} cases[] = {
		{ "/?name=Asya", 0, "Asya" },
		{ "/?name=Person%2009", 0, "Person 09" },
		{ "/?a=1&name=J+%C3%A9+%2b&name=no#name=no", 0, "J é +" },
		{ "/?name=", 0, "" },
		{ "/?name=12345678901", 0, "12345678901" },
		{ "/?name=123456789012", -ENOBUFS, NULL },
		{ "/", -ENOENT, NULL },
		{ "/name=a", -ENOENT, NULL },
		{ "/?name", -ENOENT, NULL },
		{ "/?names=a&nam=b&&=c", -ENOENT, NULL },
		{ "/#?name=a", -ENOENT, NULL },
		{ "/?x#&name=a", -ENOENT, NULL },
		{ "/?name=%", -EBADMSG, NULL },
		{ "/?name=%4&b", -EBADMSG, NULL },
		{ "/?name=a%00b", -EBADMSG, NULL },
		{ "/?name=%0a", -EBADMSG, NULL },
		{ "/?name=%ff", -EBADMSG, NULL },
	};
	char value[12];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		int err = http_query_decode(cases[i].target, "name", value, sizeof value);

		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].target, err);
		if (!err)
			assert_string_equal(value, cases[i].value);
	}
}

static char *repeat(const char *before, const char *what, size_t times, const char *after)
{
	char *s = malloc(strlen(before) + strlen(what) * times + strlen(after) + 1);
	char *p = stpcpy(s, before);

	while (times--)
		p = stpcpy(p, what);
	strcpy(p, after);
	return s;
}

static void refused_long(const char *before, const char *what, size_t times,
			 const char *after, const char *line)
{
	char *s = repeat(before, what, times, after);

	refused(s, line);
	free(s);
}

static void test_limits(void **state)
{
	char *s = repeat("GET /r/", "a", HTTP_PATH_MAX - 3, " HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	rig_say(&client, s); /* as long as may be */
	rig_expect(&client, "HTTP/1.1 200 OK");
	free(s);
	s = repeat("GET / HTTP/1.1\r\n" HOST, "X: y\r\n", HTTP_HEADERS_MAX - 1, "\r\n");
	rig_say(&client, s);
	rig_expect(&client, "[GET /|||]");
	free(s);
	refused_long("GET /r/", "a", HTTP_PATH_MAX - 2, " HTTP/1.1\r\n" HOST "\r\n",
		     "HTTP/1.1 414 ");
	refused_long("GET / HTTP/1.1\r\n" HOST, "X: y\r\n", HTTP_HEADERS_MAX, "\r\n",
		     "HTTP/1.1 431 ");
	refused_long("GET / HTTP/1.1\r\n" HOST "X: ", "y", HTTP_HEAD_MAX, "\r\n\r\n",
		     "HTTP/1.1 431 ");
	refused_long("GET / HTTP/1.1\r\n" HOST "X: ", "y", 1 << 20, "\r\n\r\n",
		     "HTTP/1.1 431 ");
	refused_long("GET /", "y", 1 << 20, " HTTP/1.1\r\n\r\n", "HTTP/1.1 431 ");
	refused_long("", "\r\n", HTTP_HEAD_MAX, "GET / HTTP/1.1\r\n", "HTTP/1.1 431 ");
	refused("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 262145\r\n\r\n",
		"HTTP/1.1 413 ");
	/* the answer arrives though the body is still being sent */
	refused_long("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 400000\r\n\r\n", "x",
		     400000, "", "HTTP/1.1 413 ");
	refused_long("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
		     "10\r\n0123456789abcdef\r\n", HTTP_BODY_MAX / 16 + 1, "",
		     "HTTP/1.1 413 ");
	/* little body in much around it: one long extension, many short ones */
	refused_long("POST /echo HTTP/1.1\r\n" HOST
		     "Transfer-Encoding: chunked\r\n\r\n1;",
		     "0123456789abcdef", HTTP_BODY_RAW_MAX / 16 + 1, "", "HTTP/1.1 431 ");
	refused_long("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
		     "1;0123456789abcdef\r\nx\r\n",
		     (HTTP_BODY_RAW_MAX + HTTP_HEAD_MAX) / 23 + 1, "", "HTTP/1.1 413 ");
}

static void test_full_body(void **state)
{
	char *s = repeat("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 262144\r\n\r\n",
			 "x", HTTP_BODY_MAX, "");

	(void)state;
	rig_say(&client, s);
	rig_expect(&client, "HTTP/1.1 200 OK");
	RIG_UNTIL(&client, client.len > HTTP_BODY_MAX);
	assert_int_equal(seen_len, HTTP_BODY_MAX);
	free(s);
}

static void on_full(struct http_request *rq, void *arg)
{
	int *status = arg;

	http_reply_error(rq, *status, "full", "Wait.");
	http_reply_error(rq, *status, "full", "Counted once.");
}

/* Whoever refuses: the parser, the routes' table, or a route. */
static void test_errors_counted(void **state)
{
	static const struct {
		const char *target;
		int status;
		unsigned limited, failed, refused;
	} cases[] = {
		{ "/full", 429, 1, 0, 0 },  { "/full", 503, 1, 0, 0 },
		{ "/full", 413, 1, 0, 0 },  { "/full", 403, 0, 0, 1 },
		{ "/full", 500, 0, 1, 0 },  { "/nothing", 500, 0, 1, 0 },
		{ "/none", 404, 0, 0, 1 },  { "/echo", 405, 0, 0, 1 },
		{ "/r/%00", 400, 0, 0, 1 }, { "/r/one", 200, 0, 0, 0 },
	};
	char text[80];
	int status;
	size_t i;

	(void)state;
	http_route(server, "GET", "/full", on_full, &status);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		memset(&rig_stats, 0, sizeof rig_stats);
		client.len = 0;
		status = cases[i].status;
		sprintf(text, "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
		rig_say(&client, text);
		sprintf(text, "HTTP/1.1 %d ", cases[i].status);
		rig_expect(&client, text);
		if (atomic_load(&rig_stats.http_limited) != cases[i].limited ||
		    atomic_load(&rig_stats.http_failed) != cases[i].failed ||
		    atomic_load(&rig_stats.http_refused) != cases[i].refused)
			fail_msg("%s %d is counted wrongly", cases[i].target, status);
		if (cases[i].status == 400) { /* ends the connection */
			teardown(NULL);
			setup(NULL);
			http_route(server, "GET", "/full", on_full, &status);
		}
	}
	memset(&rig_stats, 0, sizeof rig_stats);
	refused_long("GET / HTTP/1.1\r\n" HOST "X: ", "y", HTTP_HEAD_MAX, "\r\n\r\n",
		     "HTTP/1.1 431 ");
	refused_long("GET /r/", "a", HTTP_PATH_MAX, " HTTP/1.1\r\n" HOST "\r\n",
		     "HTTP/1.1 414 ");
	assert_int_equal(atomic_load(&rig_stats.http_limited), 2);
	assert_int_equal(atomic_load(&rig_stats.http_refused), 0);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		TEST(test_inflate),
		TEST(test_inflate_bad),
		TEST(test_malformed),
		TEST(test_bad_paths),
		cmocka_unit_test(test_query),
		TEST(test_limits),
		TEST(test_full_body),
		TEST(test_errors_counted),
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
