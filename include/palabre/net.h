/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * net: sockets. Level 2. Every object belongs to the thread of the loop it was made with.
 *
 * Hot: udp_recv_batch, tx_*. Everything else is control or set-up.
 */
#ifndef PALABRE_NET_H
#define PALABRE_NET_H

#include <palabre/base.h>

struct event_base;
struct ssl_ctx_st;
struct bufferevent;

/* ---- UDP in batches ---------------------------------------------------------------- */

enum { UDP_BATCH = 64 };
struct udp_sock;
/* Binds one address (port in host order, 0 = any), IPV6_V6ONLY for v6, IP(V6)_PKTINFO,
 * SO_TIMESTAMPNS, large buffers, non-blocking. -errno. */
int udp_open(struct udp_sock **out, const struct addr *bind) MUST_CHECK;
/* Gives the packets kept inside back: before pkt_pool_destroy. */
void udp_close(struct udp_sock *s);
int udp_fd(const struct udp_sock *s);
/* The address bound, with the port the kernel gave. */
const struct addr *udp_local(const struct udp_sock *s);
/* One recvmmsg: fills up to min(max, UDP_BATCH) packets from the pool; flow.peer, flow.local
 * (IP from pktinfo), arrival_us (kernel timestamp moved to the monotonic clock by
 * wall_offset_us, never later than now_us nor earlier than now_us - 1 s). Reuses unfilled packets
 * kept inside. Truncated datagrams are counted and dropped; an empty pool reads and drops one
 * batch, counted. Returns how many. */
unsigned udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool, struct pkt **out,
			unsigned max, uint64_t now_us, int64_t wall_offset_us);

/* ---- outgoing batch ---------------------------------------------------------------- */

enum { TX_BATCH = 128, TX_MTU = 1472 };
struct tx;
/* A worker's send batch over its sockets (v4 and/or v6; either may be NULL). */
struct tx *tx_create(struct udp_sock *v4, struct udp_sock *v6) MUST_CHECK;
void tx_destroy(struct tx *tx);
/* Where packets for flows with tcp != 0 go: framed by the callee, dropped if its queue is full. */
typedef void (*tx_tcp_fn)(void *arg, uint32_t tcp, const uint8_t *data, size_t len);
void tx_set_tcp(struct tx *tx, tx_tcp_fn fn, void *arg);
/* TX_MTU bytes to write a datagram into; sends the batch first when it is full. Never NULL. */
uint8_t *tx_reserve(struct tx *tx);
/* Queues what was written since tx_reserve for `flow`; len 0 gives the place back. */
void tx_commit(struct tx *tx, const struct flow *flow, size_t len);
/* sendmmsg of everything queued. EAGAIN drops the rest, counted (tx_drop); errors of one
 * destination skip that datagram (tx_fail). */
void tx_flush(struct tx *tx);

/* ---- RFC 4571 frames over TCP (worker's thread) ------------------------------------ */

enum {
	FRAMED_MAX = 4096,
	FRAMED_CONNECTIONS_MAX = 1024, /* of a worker; a power of two */
	FRAMED_PER_ADDRESS_MAX = 256   /* as http.connections_per_address_max */
};
struct framed_set; /* all framed connections of a worker */
struct framed_ops {
	/* A frame arrived as a packet from the pool; the reference passes to the callee. */
	void (*on_packet)(void *arg, struct pkt *p);
	/* The peer or an error has ended it; not after framed_close or framed_set_destroy. */
	void (*on_close)(void *arg, uint32_t tcp);
	/* Does the connection still belong to anybody? */
	bool (*wanted)(void *arg, const struct flow *flow);
};
/* queue_ms bounds output: a frame is dropped (tcp_tx_drop) when the oldest unsent one is older.
 * A connection that nobody wants, asked every wanted_ms, is closed (tcp_unwanted). */
struct framed_set *framed_set_create(struct event_base *base, struct pkt_pool *pool,
				     unsigned queue_ms, unsigned wanted_ms,
				     const struct framed_ops *ops, void *arg) MUST_CHECK;
void framed_set_destroy(struct framed_set *s);
/* Takes over a connected non-blocking fd; `early` are bytes already read from it. Returns the
 * connection's id (never 0) or -errno (the fd is then closed); more than FRAMED_CONNECTIONS_MAX
 * in all or FRAMED_PER_ADDRESS_MAX from one address (IPv6: /64): -ENOBUFS (tcp_limit). */
int64_t framed_add(struct framed_set *s, int fd, const struct addr *peer,
		   const struct addr *local, const uint8_t *early,
		   size_t early_len) MUST_CHECK;
/* tx_tcp_fn with arg = the set. */
void framed_send(void *set, uint32_t tcp, const uint8_t *data, size_t len);
void framed_close(struct framed_set *s, uint32_t tcp);

/* ---- proxies in front of us -------------------------------------------------------- */

enum { PROXIES_MAX = 16 };
/* Who connects from one of these is believed when it says, in X-Forwarded-For, whom it speaks
 * for, and is not held to what one address may have. */
struct proxies {
	unsigned count;
	struct addr_net net[PROXIES_MAX];
};
/* Comma-separated, as addr_net_parse takes them. -EINVAL malformed, -ENOBUFS too many. */
int proxies_parse(struct proxies *out, const char *list) MUST_CHECK;
bool proxies_trust(const struct proxies *p, const struct addr *peer);

/* ---- TCP door: accepts, tells connections apart by their first bytes --------------- */

struct http_server;
struct door;
struct door_ops {
	/* NULL: there are none here. An RFC 4571 connection whose first frame is a STUN Binding request. The fd becomes the
	 * callee's, `early` are all bytes read so far (at least that frame). */
	void (*on_framed)(void *arg, int fd, const struct addr *peer,
			  const struct addr *local, const uint8_t *early, size_t len,
			  const char *ufrag, size_t ufrag_len);
};
struct door_limits {
	unsigned connections_max, connections_per_address_max;
	unsigned first_bytes_ms; /* to tell what it is; then closed */
	struct proxies proxies;	 /* each may have connections_max */
};
/* Listens on `bind`. Letters → http (if TLS is not configured, or from loopback, or to be
 * redirected by a route); 0x16 → TLS with `tls` (NULL: closed) and then http; a length prefix with a STUN
 * header → on_framed. -errno. */
int door_create(struct door **out, struct event_base *base, const struct addr *bind,
		struct ssl_ctx_st *tls, struct http_server *http,
		const struct door_limits *limits, const struct door_ops *ops,
		void *arg) MUST_CHECK;
/* The address bound, with the port the kernel gave. */
void door_local(const struct door *d, struct addr *out);
/* For connections from now on. */
void door_set_tls(struct door *d, struct ssl_ctx_st *tls);
void door_destroy(struct door *d);

/* TLS server context: TLS 1.2+, modern suites, ALPN http/1.1, SSL_MODE_RELEASE_BUFFERS. NULL and *why. */
struct ssl_ctx_st *tls_create(const char *certificate_file, const char *key_file,
			      char *why, size_t why_len) MUST_CHECK;
void tls_destroy(struct ssl_ctx_st *tls);
/* Its own certificate. */
struct x509_st;
struct x509_st *tls_certificate(const struct ssl_ctx_st *tls);

/* ---- HTTP/1.1 server (http-parser over bufferevents) ------------------------------- */

enum {
	HTTP_HEAD_MAX = 16 * 1024,
	HTTP_BODY_MAX = 256 * 1024, /* also after inflating */
	HTTP_PATH_MAX = 1024,
	HTTP_HEADERS_MAX = 64
};
struct http_request; /* reference-counted (mem_*); answered once, now or later */
typedef void (*http_route_fn)(struct http_request *rq, void *arg);

/* request_ms: whole head and body must be there by then; idle_ms: keep-alive. */
struct http_server *http_server_create(struct event_base *base, unsigned request_ms,
				       unsigned idle_ms) MUST_CHECK;
/* Copied. Without it nobody is believed. */
void http_trust(struct http_server *s, const struct proxies *proxies);
/* Closes every connection; WebSockets left get on_close(1001) from inside. Requests being answered are gone. */
void http_server_destroy(struct http_server *s);
/* First match wins. `pattern` has literal segments and "{}" for one segment, "{*}" for the rest; captured segments
 * are percent-decoded and given by http_segment(0..). method "" = any. A path that matches with
 * another method gets 405, none 404. */
void http_route(struct http_server *s, const char *method, const char *pattern,
		http_route_fn fn, void *arg);

const char *http_method(const struct http_request *rq);
const char *http_path(const struct http_request *rq);	/* decoded, without query */
const char *http_target(const struct http_request *rq); /* as it was sent */
const char *http_segment(const struct http_request *rq, unsigned i); /* "" if none */
/* The first value of `name` in the query, decoded as forms are ('+' is a space). -ENOENT absent;
 * -EBADMSG malformed, control characters, not UTF-8; -ENOBUFS longer than cap - 1. `out` is
 * then undefined. */
int http_query(const struct http_request *rq, const char *name, char *out,
	       size_t cap) MUST_CHECK;
/* Case-insensitive; NULL if absent. */
const char *http_header(const struct http_request *rq, const char *name);
/* Body, inflated if it came with Content-Encoding: gzip or deflate (bounded). */
const uint8_t *http_body(const struct http_request *rq, size_t *len);
/* Who asks: the peer of the connection, or whom a trusted proxy there names; then without a port. */
const struct addr *http_peer(const struct http_request *rq);
bool http_is_tls(const struct http_request *rq);
/* Response headers; values must be free of CR and LF (checked). */
void http_set_header(struct http_request *rq, const char *name, const char *value);
/* The connection ends with the answer: the client's next request opens a new one. */
void http_set_close(struct http_request *rq);
/* Sends and finishes; body copied. Later calls do nothing. A client that has gone away is fine. */
void http_reply(struct http_request *rq, int status, const char *type, const void *body,
		size_t len);
/* {"error":code,"message":text} with the status. `code` is a stable word, `text` says what to do. */
void http_reply_error(struct http_request *rq, int status, const char *code,
		      const char *text);
/* true once the client has gone away: work for it can stop. */
bool http_gone(const struct http_request *rq);

/* ---- WebSocket (RFC 6455 framing by wslay) ----------------------------------------- */

enum { WS_MESSAGE_MAX = 64 * 1024, WS_QUEUE_MAX = 256 * 1024 };
struct ws;
struct ws_ops {
	void (*on_text)(void *arg, const char *text, size_t len);
	/* Once, whoever closed; afterwards the ws must not be touched. */
	void (*on_close)(void *arg, unsigned code);
};
/* Turns a GET with the right headers into a WebSocket (subprotocol optional: must be in the client's list). NULL when it
 * isn't one (an error reply was sent). Pings every 20 s when silent, closed after 15 s without an answer. */
struct ws *ws_accept(struct http_request *rq, const char *subprotocol,
		     const struct ws_ops *ops, void *arg) MUST_CHECK;
/* Queues a text message; more than WS_QUEUE_MAX unsent closes with 1013 (-ENOBUFS). */
int ws_send(struct ws *w, const char *text, size_t len);
/* Sends a close frame; on_close follows (from the loop, never from inside this call). */
void ws_close(struct ws *w, unsigned code, const char *reason);

#endif
