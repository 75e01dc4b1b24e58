/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What http.c, http_route.c, http_reply.c, ws.c and door.c share. Control thread.
 *
 * A request belongs to its connection while it is read; then to whoever answers it. The
 * connection and the request point at each other until the answer is given or one of them
 * goes; neither keeps the other alive.
 */
#ifndef PALABRE_NET_HTTP_INNER_H
#define PALABRE_NET_HTTP_INNER_H

#include <palabre/net.h>
#include <palabre/wire.h>

#include "http_parse.h"

enum {
	HTTP_SEGMENTS_MAX = 8,		  /* captured by one pattern */
	HTTP_REPLY_HEADERS_MAX = 8 * 1024 /* what http_set_header may add up to */
};

struct http_route;
/* Segments captured, each 0-terminated in buf. */
struct http_match {
	unsigned count;
	uint16_t at[HTTP_SEGMENTS_MAX];
	char buf[HTTP_PATH_MAX + HTTP_SEGMENTS_MAX + 1];
};

struct http_conn;
struct http_request {
	struct http_msg msg;
	struct http_conn *conn; /* NULL: answered, or the client has gone */
	struct addr peer;
	bool tls;
	bool answered;
	bool close;	     /* after the answer */
	struct text headers; /* of the reply */
	struct http_match match;
	char path[HTTP_PATH_MAX + 1];
};

/* ---- http_route.c ------------------------------------------------------------------ */

/* Appends to the list; NULL when out of memory or the pattern is malformed. */
struct http_route *http_route_add(struct http_route **list, const char *method,
				  const char *pattern, http_route_fn fn, void *arg);
void http_routes_free(struct http_route *list);
void http_route_call(const struct http_route *r, struct http_request *rq);
/* The route, or NULL with *allow (a text the caller frees) listing the methods the path
 * has (empty: none). */
const struct http_route *http_route_find(const struct http_route *list,
					 const char *method, const char *path,
					 struct http_match *m, struct text *allow);

/* ---- http_reply.c ------------------------------------------------------------------ */

bool http_field_value_valid(const char *value);
/* The head of an answer, up to and with the empty line. `len` < 0: no Content-Length. */
void http_reply_head(struct text *t, const struct http_request *rq, int status,
		     const char *type, int64_t len, bool keep_alive);

/* ---- http.c ------------------------------------------------------------------------ */

/* A connection from now on the server's: `bev`, and `ticket`, which is mem_unref'ed when
 * it ends. */
void http_adopt(struct http_server *s, struct bufferevent *bev, const struct addr *peer,
		bool tls, void *ticket);
struct event_base *http_base(const struct http_server *s);
/* http_reply's end: sends, then goes on with the connection. */
void http_conn_send(struct http_conn *c, const struct text *head, const void *body,
		    size_t len, bool keep_alive);
/* Takes the connection out of HTTP (101 is still to be written). The request is answered
 * with that. NULL if the client has gone. */
struct bufferevent *http_take(struct http_request *rq, void **ticket,
			      struct http_server **s);
/* All is written: the peer gets close_notify if it is TLS, and our FIN; what it still
 * sends can be read, for closing at once could reset the connection before it has read
 * the end. */
void http_bev_half_close(struct bufferevent *bev);
/* close_notify if it is TLS, then free. */
void http_bev_free(struct bufferevent *bev);

/* WebSockets, so that http_server_destroy can end them. */
struct http_child {
	struct http_child *prev, *next;
	void (*destroy)(struct http_child *c);
};
void http_child_add(struct http_server *s, struct http_child *c,
		    void (*destroy)(struct http_child *c));
void http_child_remove(struct http_server *s, struct http_child *c);

#endif
