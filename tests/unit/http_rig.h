/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An HTTP server over a socket pair, with routes that show what they were given. */
#ifndef TESTS_HTTP_RIG_H
#define TESTS_HTTP_RIG_H

#include "unit/net_rig.h"

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

/* A test with a server of its own. */
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
