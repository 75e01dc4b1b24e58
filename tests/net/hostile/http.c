/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* HTTP: requests that aren't, bodies that are too much, and clients with time. */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define HTTP_ADDRESS "127.0.14.1"
#define JOIN_PATH    "/api/1/rooms/spare/join"

enum {
	SLACK_MS = 2500,
	CONNECTIONS = 300, /* more than http.connections_per_address_max */
	CONNECTIONS_MAX = 256,
	SLOW = 60,
	PROMPT_MS = 1500
};

/* ---- heads ------------------------------------------------------------------------- */

#define HOST "Host: localhost\r\n"
static const struct {
	const char *what;
	const char *request;
	int status; /* 0: closed without an answer */
	const char *code;
} heads[] = {
	{ "right, to see that it is answered", "GET / HTTP/1.1\r\n" HOST "\r\n", 200,
	  "" },
	{ "a method that isn't one", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, "method" },
	{ "a method of lower case", "GeT / HTTP/1.1\r\n" HOST "\r\n", 501, "method" },
	{ "a method not for this address", "DELETE / HTTP/1.1\r\n" HOST "\r\n", 405,
	  "method" },
	{ "a proxy's method", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 405, "method" },
	{ "no version", "GET /\r\n\r\n", 505, "version" },
	{ "a version to come", "GET / HTTP/3.0\r\n" HOST "\r\n", 505, "version" },
	{ "no host", "GET / HTTP/1.1\r\n\r\n", 400, "host" },
	{ "two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, "host" },
	{ "a header without colon", "GET / HTTP/1.1\r\n" HOST "nonsense\r\n\r\n", 400,
	  "bad-request" },
	{ "a space before the colon",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n12345", 400,
	  "bad-header" },
	{ "a control character", "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400,
	  "bad-request" },
	{ "an expectation", "GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", 417,
	  "expect" },
	{ "parents", "GET /../../../etc/passwd HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "parents in disguise",
	  "GET /web/x/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "a slash in disguise", "GET /r%2fspare HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "a backslash", "GET /web/x/..\\..\\etc HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "a zero", "GET /web/x/a%00.js HTTP/1.1\r\n" HOST "\r\n", 400, "bad-address" },
	{ "half a per cent", "GET /web/x/%4 HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "an address that isn't UTF-8", "GET /r/%c0%af HTTP/1.1\r\n" HOST "\r\n", 400,
	  "bad-address" },
	{ "no file", "GET /web/x/etc/passwd HTTP/1.1\r\n" HOST "\r\n", 404, "not-found" },
	{ "nothing there", "GET /admin HTTP/1.1\r\n" HOST "\r\n", 404, "not-found" },
	{ "two lengths",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
	  400, "bad-request" },
	{ "a negative length",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400,
	  "bad-request" },
	{ "a length beyond 64 bits",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Length: 99999999999999999999999\r\n\r\n",
	  400, "bad-request" },
	{ "a length of a megabyte",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n", 413,
	  "too-large" },
	{ "length and chunks, as smugglers do",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  400, "bad-request" },
	{ "chunks in a coding of their own",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	  501, "transfer-encoding" },
	{ "a chunk of no number",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
	  400, "bad-request" },
	{ "a chunk beyond 64 bits",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n",
	  400, "bad-request" },
	{ "a negative chunk",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
	  400, "bad-request" },
	{ "a body that isn't compressed as it says",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
	  400, "content-encoding" },
	{ "a coding that nobody knows",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}",
	  415, "content-encoding" },
	{ "no body", "POST " JOIN_PATH " HTTP/1.1\r\n" HOST "\r\n", 400, "bad-json" },
	{ "a token of nobody",
	  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
	  "Content-Length: 34\r\n\r\n{\"token\":\"AAAA\",\"name\":\"x\",\"o\":\"\"}",
	  401, "bad-token" },
	{ "WHIP without a token",
	  "POST /whip/spare HTTP/1.1\r\n" HOST
	  "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0",
	  401, "bad-token" },
	{ "WHIP of no SDP",
	  "POST /whip/spare HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 415,
	  "not-supported" },
	{ "a WHIP leg of nobody",
	  "DELETE /whip/spare/ffffffffffffffffffff HTTP/1.1\r\n" HOST "\r\n", 401,
	  "bad-token" },
	{ "a WebSocket that isn't asked for",
	  "GET /api/1/rooms/spare/events HTTP/1.1\r\n" HOST "\r\n", 426, "websocket" },
};

static void expect_reply(const struct reply *r, int status, const char *code)
{
	expect(r->status == status && !strcmp(r->code, code),
	       "answered %d %s, not %d %s; %.300s", r->status, r->code, status, code,
	       r->text);
}

/* `what` repeated until there are `len` bytes of it. */
static char *repeated(const char *before, const char *what, size_t len, const char *after)
{
	size_t n = strlen(what), at = strlen(before);
	char *text = malloc(at + len + n + strlen(after) + 1);

	if (!text)
		abort();
	strcpy(text, before);
	for (size_t end = at + len; at < end; at += n)
		memcpy(text + at, what, n);
	strcpy(text + at, after);
	return text;
}

static void long_heads(struct hostile *h, struct reply *r)
{
	static const struct {
		const char *what, *before, *repeat;
		size_t len;
		const char *after;
		int status;
		const char *code;
	} cases[] = {
		{ "a header of 64 KB", "GET / HTTP/1.1\r\n" HOST "A: ", "x", 65536,
		  "\r\n\r\n", 431, "head-too-large" },
		{ "ten thousand headers", "GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 60000,
		  "\r\n", 431, "head-too-large" },
		{ "an address of 64 KB", "GET /", "x", 65536, " HTTP/1.1\r\n" HOST "\r\n",
		  431, "head-too-large" },
		{ "an address of 2 KB", "GET /", "x", 2048, " HTTP/1.1\r\n" HOST "\r\n",
		  414, "address-too-long" },
		{ "a chunk's extension of 2 MB",
		  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
		  "Transfer-Encoding: chunked\r\n\r\n2;",
		  "x", 2 << 20, "\r\n{}\r\n0\r\n\r\n", 431, "head-too-large" },
		{ "a million chunks of one byte",
		  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
		  "Transfer-Encoding: chunked\r\n\r\n",
		  "1\r\nx\r\n", 6000000, "0\r\n\r\n", 413, "too-large" },
		{ "a chunk's trailers without end",
		  "POST " JOIN_PATH " HTTP/1.1\r\n" HOST
		  "Transfer-Encoding: chunked\r\n\r\n0\r\n",
		  "A: b\r\n", 2 << 20, "\r\n", 431, "head-too-large" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = repeated(cases[i].before, cases[i].repeat, cases[i].len,
				      cases[i].after);

		trying("http: %s", cases[i].what);
		ask(h, HTTP_ADDRESS, text, strlen(text), r);
		expect_reply(r, cases[i].status, cases[i].code);
		free(text);
	}
}

/* A hundred at once on one connection, and the last asks for its end: as many answers. */
static void pipelined(struct hostile *h)
{
	char *text =
		repeated("", "GET /favicon.ico HTTP/1.1\r\n" HOST "\r\n",
			 99 * strlen("GET /favicon.ico HTTP/1.1\r\n" HOST "\r\n"),
			 "GET /nothing HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	int fd = tcp_from(h, HTTP_ADDRESS);
	size_t len = strlen(text), have = 0, answers = 0;
	char *back = calloc(1, 1 << 20);
	ssize_t n;

	trying("http: pipelined");
	expect(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len, "cannot send");
	while (back && have < (1 << 20) - 1 &&
	       (n = recv(fd, back + have, (1 << 20) - 1 - have, 0)) > 0)
		have += (size_t)n;
	for (const char *at = back; at && (at = strstr(at, "HTTP/1.1 ")); at++)
		answers++;
	expect(answers == 100, "%zu answers to 100 requests", answers);
	expect(back && strstr(back, "HTTP/1.1 404"), "the last one has no answer");
	close(fd);
	free(back);
	free(text);
}

/* One that never reads what it asked for gets no second answer made for it. */
static void deaf(struct hostile *h)
{
	char *text = repeated("", "GET / HTTP/1.1\r\n" HOST "\r\n", 1 << 20, "");
	int fd = tcp_from(h, HTTP_ADDRESS);
	size_t len = strlen(text), sent = 0;

	trying("http: pipelined by one who doesn't read");
	for (unsigned quiet = 0; sent < len && quiet < 20;) {
		ssize_t n =
			send(fd, text + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			quiet = 0;
		} else {
			pause_ms(20);
			quiet++;
		}
	}
	close(fd);
	free(text);
}

void attack_http(struct hostile *h)
{
	struct reply *r = malloc(sizeof *r);

	if (!r)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		trying("http: %s", heads[i].what);
		ask(h, HTTP_ADDRESS, heads[i].request, strlen(heads[i].request), r);
		expect_reply(r, heads[i].status, heads[i].code);
	}
	long_heads(h, r);
	pipelined(h);
	deaf(h);
	free(r);
}

/* ---- bodies ------------------------------------------------------------------------ */

static void refused(struct hostile *h, const char *what, const char *headers,
		    const void *body, size_t len, int status, const char *code)
{
	struct reply *r = malloc(sizeof *r);

	if (!r)
		abort();
	trying("bodies: %s", what);
	post(h, "127.0.14.2", JOIN_PATH, headers, body, len, r);
	expect_reply(r, status, code);
	free(r);
}

static void refused_text(struct hostile *h, const char *what, char *body, int status,
			 const char *code)
{
	refused(h, what, "", body, strlen(body), status, code);
	free(body);
}

static void compressed(struct hostile *h, const char *what, const char *coding,
		       int window_bits, const char *text, size_t len, int status,
		       const char *code)
{
	size_t cap = compressBound(len) + 64;
	uint8_t *out = malloc(cap);
	z_stream z = { 0 };
	char header[64];

	if (!out || deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY))
		abort();
	z.next_in = (z_const Bytef *)text;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)cap;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	snprintf(header, sizeof header, "Content-Encoding: %s\r\n", coding);
	refused(h, what, header, out, z.total_out, status, code);
	deflateEnd(&z);
	free(out);
}

static void many_joins(struct hostile *h)
{
	struct reply *r = malloc(sizeof *r);
	struct counters before;

	if (!r)
		abort();
	trying("bodies: more joins than a minute has");
	counters_read(h, &before);
	for (unsigned i = 0; i < JOINS_PER_MINUTE; i++) {
		post(h, "127.0.14.8", JOIN_PATH, "", "{}", 2, r);
		expect(r->status == 401, "answered %d", r->status);
	}
	post(h, "127.0.14.8", JOIN_PATH, "", "{}", 2, r);
	expect_reply(r, 429, "too-many");
	expect(strstr(r->head, "Retry-After: ") != NULL, "doesn't say until when");
	post(h, "127.0.14.9", JOIN_PATH, "", "{}", 2, r);
	expect_reply(r, 401, "bad-token");
	expect_grown(h, &before, "http_limited", 1);
	expect_grown(h, &before, "http_refused", JOINS_PER_MINUTE + 1);
	free(r);
}

void attack_bodies(struct hostile *h)
{
	char *big = repeated("{\"token\":\"", "x", 1 << 20, "\"}");
	char *zeros = calloc(1, 60 << 20);

	if (!zeros)
		abort();
	refused(h, "1 MB of JSON", "", big, strlen(big), 413, "too-large");
	compressed(h, "1 MB of JSON in gzip", "gzip", 31, big, strlen(big), 413,
		   "too-large");
	compressed(h, "1 MB of JSON deflated", "deflate", 15, big, strlen(big), 413,
		   "too-large");
	compressed(h, "a bomb of 60 MB", "gzip", 31, zeros, 60 << 20, 413, "too-large");
	compressed(h, "a bomb of raw deflate", "deflate", -15, zeros, 60 << 20, 413,
		   "too-large");
	free(zeros);
	refused_text(h, "nested arrays", repeated("{\"a\":", "[", 10000, ""), 400,
		     "bad-json");
	refused_text(h, "nested objects", repeated("", "{\"a\":", 50000, "1"), 400,
		     "bad-json");
	refused_text(h, "a key twice",
		     strdup("{\"name\":\"a\",\"name\":\"b\",\"token\":\"\"}"), 400,
		     "bad-json");
	refused_text(h, "no object", strdup("[1,2,3]"), 400, "bad-json");
	refused_text(h, "an escaped zero", strdup("{\"name\":\"a\\u0000b\"}"), 400,
		     "bad-json");
	refused(h, "a zero", "", "{\"name\":\"a\0b\"}", 14, 400, "bad-json");
	refused_text(h, "not UTF-8", strdup("{\"name\":\"\xc0\xaf\xff\"}"), 400,
		     "bad-json");
	refused_text(h, "half a surrogate", strdup("{\"name\":\"\\ud800\"}"), 400,
		     "bad-json");
	refused_text(h, "a number beyond everything", strdup("{\"a\":1e99999}"), 400,
		     "bad-json");
	refused_text(h, "an integer beyond 64 bits",
		     strdup("{\"a\":99999999999999999999999999}"), 400, "bad-json");
	refused_text(h, "something behind", strdup("{} {}"), 400, "bad-json");
	refused_text(h, "a token of 100 KB",
		     repeated("{\"token\":\"", "A", 100000, "\"}"), 401, "bad-token");
	refused_text(h, "a ticket that is a list", strdup("{\"ticket\":[\"a\"]}"), 401,
		     "bad-token");
	free(big);
	many_joins(h);
}

/* ---- clients with time ------------------------------------------------------------- */

/* Refused, and when it should be. */
static bool timed_out(int fd, uint64_t start_us)
{
	char buf[512] = "";
	ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
	int ms = (int)((clock_now_us() - start_us) / 1000);

	return n > 12 && !strncmp(buf, "HTTP/1.1 408", 12) &&
	       ms >= REQUEST_TIMEOUT_S * 1000 - 200 &&
	       ms <= REQUEST_TIMEOUT_S * 1000 + SLACK_MS;
}

/* As the name says: many, each a byte now and then; nobody else notices. */
void wait_slow_http(struct hostile *h)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: yes";
	static const char quick[] = "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	struct reply *r = malloc(sizeof *r);
	uint64_t start_us = clock_now_us(), asked_us;
	unsigned refused = 0;
	int fd[SLOW];

	if (!r)
		abort();
	for (unsigned i = 0; i < SLOW; i++)
		fd[i] = tcp_from(h, "127.0.14.3");
	for (size_t k = 0; k < 5; k++) {
		for (unsigned i = 0; i < SLOW; i++)
			(void)!send(fd[i], head + 8 * k, 8, MSG_NOSIGNAL);
		asked_us = clock_now_us();
		ask(h, "127.0.14.4", quick, strlen(quick), r);
		expect(r->status == 200 && clock_now_us() - asked_us < PROMPT_MS * 1000,
		       "somebody else's request took %llu ms",
		       (unsigned long long)(clock_now_us() - asked_us) / 1000);
		pause_ms(400);
	}
	for (unsigned i = 0; i < SLOW; i++) {
		refused += timed_out(fd[i], start_us);
		close(fd[i]);
	}
	expect(refused == SLOW, "%u of %u end with 408 in time", refused, SLOW);
	free(r);
}

void wait_slow_body(struct hostile *h)
{
	static const char head[] =
		"POST " JOIN_PATH " HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n{";
	uint64_t start_us = clock_now_us();
	int fd = tcp_from(h, "127.0.14.5");

	(void)!send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
	for (unsigned i = 0; i < 2; i++) {
		pause_ms(1000);
		(void)!send(fd, " ", 1, MSG_NOSIGNAL);
	}
	expect(timed_out(fd, start_us), "no 408 in time");
	close(fd);
}

/* Everybody of one address: the next is turned away, other addresses aren't. */
void wait_crowded(struct hostile *h)
{
	static const char quick[] = "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	struct reply *r = malloc(sizeof *r);
	struct counters before;
	int fd[CONNECTIONS], open_count = 0;

	if (!r)
		abort();
	counters_read(h, &before);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		fd[i] = tcp_from(h, "127.0.14.6");
	expect_grown(h, &before, "tcp_limit", CONNECTIONS - CONNECTIONS_MAX);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		open_count += closed_within(fd[i], 1) < 0;
	expect(open_count == CONNECTIONS_MAX, "%d stay open", open_count);
	ask(h, "127.0.14.6", quick, strlen(quick), r);
	expect(r->status == 0, "one more is answered %d", r->status);
	ask(h, "127.0.14.7", quick, strlen(quick), r);
	expect(r->status == 200, "another address is answered %d", r->status);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close(fd[i]);
	pause_ms(300);
	ask(h, "127.0.14.6", quick, strlen(quick), r);
	expect(r->status == 200, "afterwards it is answered %d", r->status);
	free(r);
}
