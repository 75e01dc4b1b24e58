/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * HTTP connections. Invariants: one request of a connection is in work at a time, and the
 * next is looked at only when the answer before it has left our buffer, so a client that
 * sends without reading costs one answer and one input buffer; every state but waiting
 * for a route has a deadline; a connection is freed only outside of its own loop
 * (conn_unref in process) and takes itself out of the request's sight when it goes.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_inner.h"
#include "proxy.h"

enum {
	INPUT_MAX = HTTP_HEAD_MAX, /* read ahead of what is being parsed */
	/* After a last answer the client may still be sending; closing then would reset
	 * the connection and take the answer back. Read on for a while. */
	LINGER_MS = 1000,
	LINGER_BYTES_MAX = 2 * HTTP_BODY_MAX,
	/* What a client must take of an answer in each idle_ms: a 2G link may be slow,
	 * but a reader of one byte a minute only wants to hold our memory. */
	PROGRESS_BYTES_MIN = 512
};

enum conn_step {
	READING, /* idle, or a request is coming in */
	WAITING, /* for the route's answer */
	CLOSING, /* the last answer is going out */
	LINGERING
};

struct http_conn {
	struct http_conn *prev, *next;
	struct http_server *server;
	struct bufferevent *bev; /* NULL: ended, only process() still holds us */
	struct event timer;
	void *ticket;
	/* READING: ours, partly read, or NULL between requests. WAITING: seen, not held.
	 */
	struct http_request *rq;
	enum conn_step step;
	bool busy, eof, tls;
	size_t lingered_bytes, unsent_before;
	struct addr peer;
};

struct http_server {
	struct event_base *base;
	struct http_conn *conns;
	struct http_child *children;
	struct http_route *routes;
	unsigned request_ms, idle_ms;
	struct proxies proxies;
};

static void process(struct http_conn *c);

/* ---- ends -------------------------------------------------------------------------- */

static void say_end(SSL *ssl)
{
	if (!ssl || !SSL_is_init_finished(ssl))
		return;
	SSL_shutdown(ssl);
	ERR_clear_error(); /* what it says of this peer is not for the next one */
}

void http_bev_half_close(struct bufferevent *bev)
{
	say_end(bufferevent_openssl_get_ssl(bev));
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

void http_bev_free(struct bufferevent *bev)
{
	say_end(bufferevent_openssl_get_ssl(bev));
	bufferevent_free(bev);
}

/* Out of the server's list, its timer gone, the request told. */
static struct bufferevent *conn_detach(struct http_conn *c)
{
	struct bufferevent *bev = c->bev;

	event_del(&c->timer);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->rq) {
		c->rq->conn = NULL;
		if (c->step == READING)
			mem_unref(c->rq);
		c->rq = NULL;
	}
	c->bev = NULL;
	return bev;
}

static void conn_end(struct http_conn *c)
{
	if (!c->bev)
		return;
	http_bev_free(conn_detach(c));
	c->ticket = mem_unref(c->ticket);
	mem_unref(c);
}

static void arm(struct http_conn *c, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(&c->timer, &tv);
}

static size_t unsent(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* The last answer is out: no more from us, and a moment for the client to read it. */
static void linger(struct http_conn *c)
{
	if (c->eof) {
		conn_end(c);
		return;
	}
	c->step = LINGERING;
	http_bev_half_close(c->bev);
	arm(c, LINGER_MS);
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
}

/* ---- requests ---------------------------------------------------------------------- */

static void request_destroy(void *obj)
{
	struct http_request *rq = obj;

	/* A route that forgets to answer must not leave the client waiting. */
	if (rq->conn && rq->msg.head_done && !rq->answered)
		http_reply_error(rq, 500, "internal",
				 "The server has no answer to this.");
	http_msg_fini(&rq->msg);
	text_free(&rq->headers);
}

static bool request_begin(struct http_conn *c)
{
	struct http_request *rq = mem_create(sizeof *rq, request_destroy);

	if (!rq)
		return false;
	http_msg_init(&rq->msg);
	rq->peer = c->peer;
	rq->tls = c->tls;
	c->rq = rq;
	return true;
}

/* From here on the request is not the connection's. */
static struct http_request *request_release(struct http_conn *c)
{
	struct http_request *rq = c->rq;

	event_del(&c->timer);
	c->step = WAITING;
	rq->conn = c;
	return rq;
}

static void refuse(struct http_conn *c, int status, const char *code, const char *text)
{
	struct http_request *rq = request_release(c);

	rq->close = true;
	http_reply_error(rq, status, code, text);
	mem_unref(rq);
}

static void route(struct http_server *s, struct http_request *rq)
{
	struct text allow = { 0 };
	const struct http_route *r;

	r = http_route_find(s->routes, http_method(rq), rq->path, &rq->match, &allow);
	if (r) {
		http_route_call(r, rq);
	} else if (allow.len) {
		http_set_header(rq, "Allow", allow.s);
		http_reply_error(rq, 405, "method",
				 "This address does not take that method.");
	} else {
		http_reply_error(rq, 404, "not-found",
				 "There is nothing at this address.");
	}
	text_free(&allow);
}

static void dispatch(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_request *rq;
	int err = http_path_decode(http_msg_target(&c->rq->msg), c->rq->path);

	if (err == -ENOBUFS) {
		refuse(c, 414, "address-too-long", "Shorten the address.");
	} else if (err) {
		refuse(c, 400, "bad-address", "The address is not well-formed.");
	} else {
		rq = request_release(c);
		proxy_client(&s->proxies, &rq->msg, &rq->peer);
		route(s, rq);
		mem_unref(rq);
	}
}

/* One piece of input into the request being read. */
static void feed(struct http_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct http_msg *m = &c->rq->msg;
	struct evbuffer_iovec piece;

	if (evbuffer_peek(in, -1, NULL, &piece, 1) < 1)
		return;
	evbuffer_drain(in, http_msg_feed(m, piece.iov_base, piece.iov_len));
	if (m->status) {
		refuse(c, m->status, m->code, m->text);
	} else if (m->done) {
		dispatch(c);
	} else if (m->want_continue) {
		m->want_continue = false;
		if (!evbuffer_get_length(in)) /* else it didn't wait */
			bufferevent_write(c->bev, go_on, sizeof go_on - 1);
	}
}

static void process(struct http_conn *c)
{
	if (c->busy)
		return;
	c->busy = true;
	mem_ref(c);
	while (c->bev && c->step == READING && !unsent(c) &&
	       evbuffer_get_length(bufferevent_get_input(c->bev))) {
		if (!c->rq) {
			if (!request_begin(c)) {
				conn_end(c);
				break;
			}
			arm(c, c->server->request_ms);
		}
		feed(c);
	}
	/* Nothing more comes, and what came is no request. */
	if (c->bev && c->eof && c->step == READING && !unsent(c))
		conn_end(c);
	c->busy = false;
	mem_unref(c);
}

void http_conn_send(struct http_conn *c, const struct text *head, const void *body,
		    size_t len, bool keep_alive)
{
	c->rq = NULL;
	if (head->bad || bufferevent_write(c->bev, head->s, head->len) ||
	    (len && bufferevent_write(c->bev, body, len))) {
		/* half an answer is worse than none; not conn_end: process() may be above
		 * us */
		keep_alive = false;
		evbuffer_drain(bufferevent_get_output(c->bev), SIZE_MAX);
		c->eof = true;
	}
	c->step = keep_alive ? READING : CLOSING;
	c->unsent_before = unsent(c);
	arm(c, c->server->idle_ms); /* on_write goes on when it is out */
}

/* ---- events ------------------------------------------------------------------------ */

static void on_read(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (c->step == READING) {
		process(c);
	} else if (c->step != WAITING) {
		c->lingered_bytes += evbuffer_get_length(in);
		evbuffer_drain(in, SIZE_MAX);
		if (c->lingered_bytes > LINGER_BYTES_MAX)
			conn_end(c);
	}
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if (c->step == CLOSING) {
		linger(c);
	} else if (c->step == READING) {
		if (!c->rq)
			arm(c, c->server->idle_ms);
		process(c);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	/* The handshake is done. Plaintext is HTTP; RFC 4571 inside TLS (for networks
	 * that let only TLS through) would be told apart here, by door.c's rule, and
	 * handed over with the SSL object. */
	if (what & BEV_EVENT_CONNECTED)
		return;
	if (!(what & BEV_EVENT_EOF) || c->step == WAITING || c->step == LINGERING) {
		conn_end(c);
		return;
	}
	c->eof = true;
	if (c->step == READING)
		process(c); /* an answer going out may still get there */
	else if (!unsent(c))
		conn_end(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	if (unsent(c) && c->step != LINGERING &&
	    c->unsent_before >= unsent(c) + PROGRESS_BYTES_MIN) {
		c->unsent_before = unsent(c);
		arm(c, c->server->idle_ms);
	} else if (c->step == READING && c->rq && !unsent(c))
		refuse(c, 408, "timeout", "The request took too long to arrive.");
	else
		conn_end(c);
}

/* ---- from and to others ------------------------------------------------------------ */

void http_adopt(struct http_server *s, struct bufferevent *bev, const struct addr *peer,
		bool tls, void *ticket)
{
	struct http_conn *c = mem_create(sizeof *c, NULL);

	if (!c) {
		bufferevent_free(bev);
		mem_unref(ticket);
		return;
	}
	c->server = s;
	c->bev = bev;
	c->peer = *peer;
	c->tls = tls;
	c->ticket = ticket;
	evtimer_assign(&c->timer, s->base, on_timer, c);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	bufferevent_setcb(bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	arm(c, s->request_ms);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

struct bufferevent *http_take(struct http_request *rq, void **ticket,
			      struct http_server **s)
{
	struct http_conn *c = rq->conn;
	struct bufferevent *bev;

	rq->answered = true;
	if (!c)
		return NULL;
	*s = c->server;
	*ticket = c->ticket;
	c->ticket = NULL;
	bev = conn_detach(c);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	mem_unref(c);
	return bev;
}

struct event_base *http_base(const struct http_server *s)
{
	return s->base;
}

void http_child_add(struct http_server *s, struct http_child *c,
		    void (*destroy)(struct http_child *c))
{
	c->destroy = destroy;
	c->prev = NULL;
	c->next = s->children;
	if (c->next)
		c->next->prev = c;
	s->children = c;
}

void http_child_remove(struct http_server *s, struct http_child *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		s->children = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

struct http_server *http_server_create(struct event_base *base, unsigned request_ms,
				       unsigned idle_ms)
{
	struct http_server *s = mem_create(sizeof *s, NULL);

	if (!s)
		return NULL;
	/* libevent and OpenSSL write without MSG_NOSIGNAL */
	signal(SIGPIPE, SIG_IGN);
	s->base = base;
	s->request_ms = request_ms;
	s->idle_ms = idle_ms;
	return s;
}

void http_trust(struct http_server *s, const struct proxies *proxies)
{
	s->proxies = *proxies;
}

void http_server_destroy(struct http_server *s)
{
	if (!s)
		return;
	while (s->children)
		s->children->destroy(s->children);
	while (s->conns)
		conn_end(s->conns);
	http_routes_free(s->routes);
	mem_unref(s);
}

void http_route(struct http_server *s, const char *method, const char *pattern,
		http_route_fn fn, void *arg)
{
	if (!http_route_add(&s->routes, method, pattern, fn, arg))
		log_error("http.route", "pattern=%s refused=1", pattern);
}

const char *http_method(const struct http_request *rq)
{
	return http_method_str((enum http_method)rq->msg.parser.method);
}

const char *http_path(const struct http_request *rq)
{
	return rq->path;
}

const char *http_segment(const struct http_request *rq, unsigned i)
{
	return i < rq->match.count ? rq->match.buf + rq->match.at[i] : "";
}

int http_query(const struct http_request *rq, const char *name, char *out, size_t cap)
{
	return http_query_decode(http_msg_target(&rq->msg), name, out, cap);
}

const char *http_header(const struct http_request *rq, const char *name)
{
	return http_msg_field(&rq->msg, name);
}

const char *http_target(const struct http_request *rq)
{
	return http_msg_target(&rq->msg);
}

const uint8_t *http_body(const struct http_request *rq, size_t *len)
{
	*len = rq->msg.body_len;
	return rq->msg.body;
}

const struct addr *http_peer(const struct http_request *rq)
{
	return &rq->peer;
}

bool http_is_tls(const struct http_request *rq)
{
	return rq->tls;
}

bool http_gone(const struct http_request *rq)
{
	return !rq->conn;
}
