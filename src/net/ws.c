/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * WebSockets. Invariants: the owner hears of the end exactly once, from the loop; the
 * object is freed only in its own timer's callback (or by http_server_destroy), so
 * nothing below on_text can pull it from under ws_layer_feed; output is bounded, whether
 * the owner writes it or the peer's pings do.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <errno.h>
#include <string.h>

#include "http_inner.h"
#include "ws_layer.h"

enum {
	KEY_CHARS = 24, /* 16 bytes in base64 */
	KEY_BYTES = 16,
	INPUT_MAX = 16 * 1024
};

struct ws_timing ws_timing = { .ping_ms = 20000, .pong_ms = 15000, .close_ms = 2000 };

enum ws_step {
	OPEN,
	CLOSING, /* our close frame is under way, the peer's is awaited */
	ENDING,	 /* both are exchanged, or the peer broke a rule: output leaves, then EOF
		  */
	DEAD	 /* the timer's callback will free it */
};

struct ws {
	struct http_child child;
	struct http_server *server;
	struct bufferevent *bev;
	void *ticket;
	const struct ws_ops *ops;
	void *arg;
	struct event timer;
	enum ws_step step;
	bool pinged;
	unsigned code; /* for on_close */
	struct ws_layer layer;
};

static void arm(struct ws *w, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(&w->timer, &tv);
}

/* At the end of a sixteenth of the time between pings, so that the pings of many wake the
 * thread once. */
static void arm_ping(struct ws *w)
{
	unsigned grid_ms = ws_timing.ping_ms / 16 + 1;
	unsigned past_ms = (unsigned)(clock_now_us() / 1000 % grid_ms);

	arm(w, ws_timing.ping_ms + grid_ms - past_ms);
}

static size_t unsent(const struct ws *w)
{
	return evbuffer_get_length(bufferevent_get_output(w->bev));
}

/* Nothing more happens on the wire; on_close comes from the loop. */
static void die(struct ws *w, unsigned code)
{
	if (w->step == DEAD)
		return;
	if (w->step == OPEN)
		w->code = code;
	w->step = DEAD;
	bufferevent_disable(w->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(w->bev, NULL, NULL, NULL, NULL);
	event_active(&w->timer, EV_TIMEOUT, 1);
}

static void finish(struct ws *w)
{
	http_child_remove(w->server, &w->child);
	event_del(&w->timer);
	w->ops->on_close(w->arg, w->code);
	ws_layer_fini(&w->layer);
	http_bev_free(w->bev);
	mem_unref(w->ticket);
	mem_unref(w);
}

static void to_ending(struct ws *w)
{
	if (w->step == OPEN)
		w->code = w->layer.code;
	w->step = ENDING;
	arm(w, ws_timing.close_ms);
	if (!unsent(w))
		http_bev_half_close(w->bev);
}

/* ---- events ------------------------------------------------------------------------ */

static void on_text(void *arg, const char *text, size_t len)
{
	struct ws *w = arg;

	if (w->step == OPEN)
		w->ops->on_text(w->arg, text, len);
}

static int on_layer_write(void *arg, const void *data, size_t len)
{
	struct ws *w = arg;

	return bufferevent_write(w->bev, data, len) ? -ENOMEM : 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;
	struct ws *w = arg;

	w->pinged = false;
	if (w->step == OPEN)
		arm_ping(w);
	while (w->step < ENDING && evbuffer_peek(in, -1, NULL, &piece, 1) > 0) {
		bool goes_on = ws_layer_feed(&w->layer, piece.iov_base, piece.iov_len);

		if (w->step == DEAD)
			return;
		evbuffer_drain(in, piece.iov_len);
		if (unsent(w) > WS_QUEUE_MAX + 2 * INPUT_MAX) {
			STAT_INC(ws_limited);
			die(w, 1008); /* it pings and doesn't read */
		} else if (!goes_on) {
			to_ending(w);
		}
	}
	if (w->step == ENDING)
		evbuffer_drain(in, SIZE_MAX);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct ws *w = arg;

	(void)bev;
	if (w->step == ENDING)
		http_bev_half_close(w->bev);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	die(arg, 1006);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ws *w = arg;

	(void)fd;
	(void)what;
	if (w->step == DEAD) {
		finish(w);
	} else if (w->step != OPEN || w->pinged || ws_layer_ping(&w->layer)) {
		die(w, 1006);
	} else {
		w->pinged = true;
		arm(w, ws_timing.pong_ms);
	}
}

static void on_server_destroy(struct http_child *c)
{
	struct ws *w = CONTAINER_OF(c, struct ws, child);

	die(w, 1001);
	finish(w);
}

/* ---- handshake (RFC 6455 §4.2) ----------------------------------------------------- */

static bool key_valid(const char *key)
{
	uint8_t raw[KEY_CHARS];

	/* EVP_DecodeBlock forgives spaces; a key has none */
	if (!key || strlen(key) != KEY_CHARS || strcspn(key, " \t") != KEY_CHARS)
		return false;
	if (strcmp(key + KEY_CHARS - 2, "==") != 0 || strcspn(key, "=") != KEY_CHARS - 2)
		return false;
	return EVP_DecodeBlock(raw, (const unsigned char *)key, KEY_CHARS) ==
	       KEY_BYTES + 2;
}

static void accept_value(const char *key, char out[32])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char joined[KEY_CHARS + sizeof guid], digest[SHA_DIGEST_LENGTH];

	memcpy(joined, key, KEY_CHARS);
	memcpy(joined + KEY_CHARS, guid, sizeof guid);
	SHA1(joined, sizeof joined - 1, digest);
	EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

/* Answers and returns false when the request is no WebSocket handshake. */
static bool check_request(struct http_request *rq, const char *subprotocol)
{
	const char *version = http_header(rq, "Sec-WebSocket-Version");

	if (strcmp(http_method(rq), "GET") != 0 ||
	    !http_msg_has_token(&rq->msg, "Upgrade", "websocket") ||
	    !http_msg_has_token(&rq->msg, "Connection", "upgrade")) {
		http_set_header(rq, "Upgrade", "websocket");
		http_reply_error(rq, 426, "websocket",
				 "Open this address as a WebSocket.");
	} else if (!version || strcmp(version, "13") != 0) {
		http_set_header(rq, "Sec-WebSocket-Version", "13");
		http_reply_error(rq, 426, "websocket-version",
				 "Use WebSocket version 13.");
	} else if (!key_valid(http_header(rq, "Sec-WebSocket-Key"))) {
		http_reply_error(rq, 400, "websocket-key",
				 "Sec-WebSocket-Key must be 16 bytes in base64.");
	} else if (subprotocol &&
		   !http_msg_has_token(&rq->msg, "Sec-WebSocket-Protocol", subprotocol)) {
		http_reply_error(
			rq, 400, "websocket-protocol",
			"The WebSocket protocol of this address was not offered.");
	} else {
		return true;
	}
	return false;
}

static void add_head(struct text *t, const struct http_request *rq,
		     const char *subprotocol)
{
	char value[32];

	accept_value(http_header(rq, "Sec-WebSocket-Key"), value);
	text_add(t,
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		 value);
	if (subprotocol)
		text_add(t, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
	if (rq->headers.len)
		text_add_bytes(t, rq->headers.s, rq->headers.len);
	text_add(t, "\r\n");
}

static const struct ws_layer_ops layer_ops = { .on_text = on_text,
					       .write = on_layer_write };

struct ws *ws_accept(struct http_request *rq, const char *subprotocol,
		     const struct ws_ops *ops, void *arg)
{
	struct text head = { 0 };
	struct ws *w;

	if (rq->answered || !rq->conn || !check_request(rq, subprotocol))
		return NULL;
	w = mem_create(sizeof *w, NULL);
	add_head(&head, rq, subprotocol);
	if (!w || head.bad || ws_layer_init(&w->layer, &layer_ops, w)) {
		http_reply_error(rq, 503, "out-of-memory",
				 "The server is short of memory; try again later.");
		text_free(&head);
		mem_unref(w);
		return NULL;
	}
	w->bev = http_take(rq, &w->ticket, &w->server);
	w->ops = ops;
	w->arg = arg;
	evtimer_assign(&w->timer, http_base(w->server), on_timer, w);
	http_child_add(w->server, &w->child, on_server_destroy);
	bufferevent_setcb(w->bev, on_read, on_write, on_event, w);
	bufferevent_setwatermark(w->bev, EV_READ, 0, INPUT_MAX);
	if (bufferevent_write(w->bev, head.s, head.len))
		die(w, 1006); /* the owner learns it from the loop */
	else
		arm_ping(w);
	text_free(&head);
	/* frames that came right behind the handshake */
	bufferevent_trigger(w->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS);
	return w;
}

/* ---- from the owner ---------------------------------------------------------------- */

static void begin_close(struct ws *w, unsigned code, const char *reason)
{
	if (w->step != OPEN)
		return;
	if (ws_layer_close(&w->layer, code, reason)) {
		die(w, code);
		return;
	}
	w->code = code;
	w->step = CLOSING;
	arm(w, ws_timing.close_ms);
}

int ws_send(struct ws *w, const char *text, size_t len)
{
	if (w->step != OPEN)
		return -ENOTCONN;
	if (unsent(w) + len > WS_QUEUE_MAX) {
		STAT_INC(ws_limited);
		begin_close(w, 1013, "too slow");
		return -ENOBUFS;
	}
	if (ws_layer_text(&w->layer, text, len)) {
		die(w, 1006);
		return -ENOMEM;
	}
	return 0;
}

void ws_close(struct ws *w, unsigned code, const char *reason)
{
	begin_close(w, code, reason);
}
