/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a request may hold (bodies, paths, queries, lengths), and how the rest is refused. */
#include "unit/http_rig.h"

#include <zlib.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inflate),   TEST(test_inflate_bad),	    TEST(test_malformed),
		TEST(test_bad_paths), cmocka_unit_test(test_query), TEST(test_limits),
		TEST(test_full_body), TEST(test_errors_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
