/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The api with a worker behind it; a request is asked over a connection of its own. */
#ifndef TESTS_API_RIG_H
#define TESTS_API_RIG_H

#include "unit/net_rig.h"

#include <palabre/api.h>

#include <jansson.h>

static const struct secret api_secret = { "0123456789abcdef0123456789abcde" };
static struct conf api_conf;
static struct event_base *api_base;
static struct http_server *api_http;
static struct cert *api_cert;
static struct api *api;
static struct calls *api_calls;
static struct rig_client api_client; /* the last request's, with the answer */

/* http_adopt is net's own: its header is not seen from here. */
void http_adopt(struct http_server *s, struct bufferevent *bev, const struct addr *peer,
		bool tls, void *ticket);

static inline int api_setup(void **state)
{
	struct addr bind;
	char why[200] = "";

	(void)state;
	stats_here = &rig_stats;
	memset(&rig_stats, 0, sizeof rig_stats);
	log_set_level(LOG_ERROR);
	conf_defaults(&api_conf);
	api_conf.server.port = 0; /* any */
	api_conf.server.workers = 1;
	strcpy(api_conf.media.announce, "192.0.2.9");
	api_conf.media.announce_port = 4433;
	api_base = event_base_new();
	api_http = http_server_create(api_base, RIG_WAIT_MS, RIG_WAIT_MS);
	api_cert = cert_create();
	api = api_create(api_base, &api_conf, &api_secret, api_http);
	api_calls = calls_create(api_base, &api_conf, api_cert, &api_call_ops, api);
	assert_true(api_http && api_cert && api && api_calls);
	api_set_calls(api, api_calls);
	assert_int_equal(addr_parse(&bind, "127.0.0.1"), 0);
	if (calls_start(api_calls, &bind, 1, why, sizeof why))
		fail_msg("%s", why);
	return 0;
}

static inline int api_teardown(void **state)
{
	(void)state;
	if (api_client.in)
		rig_client_fini(&api_client);
	api_client.in = NULL;
	api_close(api);
	calls_destroy(api_calls);
	http_server_destroy(api_http);
	api_destroy(api);
	mem_unref(api_cert);
	event_base_free(api_base);
	return 0;
}

/* Asks; the status, and the answer is in api_client. `headers` with their line ends. */
static inline int api_ask(const char *line, const char *headers, const char *body)
{
	static const struct addr peer = { .family = 4,
					  .ip = { 192, 0, 2, 1 },
					  .port = 9 };
	char head[2048];
	int fd[2], status = 0;

	if (api_client.in)
		rig_client_fini(&api_client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	evutil_make_socket_nonblocking(fd[0]);
	rig_client_init(&api_client, api_base, fd[1]);
	http_adopt(api_http,
		   bufferevent_socket_new(api_base, fd[0], BEV_OPT_CLOSE_ON_FREE), &peer,
		   false, NULL);
	snprintf(head, sizeof head,
		 "%s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
		 line, strlen(body), headers);
	rig_say(&api_client, head);
	rig_say(&api_client, body);
	rig_expect_eof(&api_client);
	assert_int_equal(sscanf((char *)api_client.in, "HTTP/1.1 %d ", &status), 1);
	return status;
}

/* The body of the last answer. */
static inline const char *api_body(void)
{
	char *at = strstr((char *)api_client.in, "\r\n\r\n");

	assert_non_null(at);
	return at + 4;
}

#endif
