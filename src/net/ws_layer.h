/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * WebSocket messages from bytes and back, without sockets: wslay's frame layer finds the
 * frames, this makes messages of them and answers control frames.
 *
 * Why not wslay's event layer: it has a second 4 KB buffer per connection for output,
 * where the bufferevent has one already. With 1000 idle people that is what a Pi would
 * miss.
 */
#ifndef PALABRE_NET_WS_LAYER_H
#define PALABRE_NET_WS_LAYER_H

#include <palabre/net.h>

#include <wslay/wslay.h>

enum { WS_CONTROL_MAX = 125 };

struct ws_layer_ops {
	void (*on_text)(void *arg, const char *text, size_t len);
	/* Bytes for the peer; 0 or -ENOMEM. */
	int (*write)(void *arg, const void *data, size_t len);
};
struct ws_layer {
	wslay_frame_context_ptr frame;
	const struct ws_layer_ops *ops;
	void *arg;
	const uint8_t *in; /* what feed() was given and wslay has not taken yet */
	size_t in_left;
	uint64_t frame_left; /* payload of the frame under way */
	bool in_frame;
	bool in_message; /* a first frame without FIN came */
	bool close_sent; /* nothing may follow */
	bool over;	 /* nothing more is read */
	/* Once over: the peer's code (1005: it gave none), or the one of the error found.
	 */
	uint16_t code;
	uint8_t control_len;
	uint8_t control[WS_CONTROL_MAX];
	char *msg; /* NULL between messages */
	size_t msg_len, msg_cap;
};
int ws_layer_init(struct ws_layer *l, const struct ws_layer_ops *ops,
		  void *arg) MUST_CHECK;
void ws_layer_fini(struct ws_layer *l);
/* true as long as it goes on. false: a close frame came, or the peer broke the protocol;
 * a close frame has been written unless one had been before. */
bool ws_layer_feed(struct ws_layer *l, const void *data, size_t len);
/* One frame. -ENOTCONN after a close frame, -ENOMEM (the connection is broken). */
int ws_layer_text(struct ws_layer *l, const char *text, size_t len) MUST_CHECK;
int ws_layer_ping(struct ws_layer *l) MUST_CHECK;
/* `reason` is cut to what fits, at a character's end. */
int ws_layer_close(struct ws_layer *l, unsigned code, const char *reason);

/* ws.c: its timers, settable by tests. */
struct ws_timing {
	unsigned ping_ms, pong_ms, close_ms;
};
extern struct ws_timing ws_timing;

#endif
