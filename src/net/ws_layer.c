/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariants: a message never grows beyond WS_MESSAGE_MAX (a frame that would make it so
 * is refused by its announced length, before its payload is kept); nothing is written
 * after a close frame; nothing is handed up once we have sent one.
 */
#include "ws_layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum { MSG_FIRST_BYTES = 512 };

static ssize_t on_recv(uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws_layer *l = arg;
	size_t n = len < l->in_left ? len : l->in_left;

	(void)flags;
	if (!n)
		return -1;
	memcpy(buf, l->in, n);
	l->in += n;
	l->in_left -= n;
	return (ssize_t)n;
}

static ssize_t on_send(const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws_layer *l = arg;

	(void)flags;
	return l->ops->write(l->arg, data, len) ? -1 : (ssize_t)len;
}

static int on_mask(uint8_t *buf, size_t len, void *arg)
{
	(void)arg;
	random_bytes(buf, len); /* never called: servers don't mask */
	return 0;
}

int ws_layer_init(struct ws_layer *l, const struct ws_layer_ops *ops, void *arg)
{
	static const struct wslay_frame_callbacks callbacks = { on_send, on_recv,
								on_mask };

	memset(l, 0, sizeof *l);
	l->ops = ops;
	l->arg = arg;
	return wslay_frame_context_init(&l->frame, &callbacks, l) ? -ENOMEM : 0;
}

void ws_layer_fini(struct ws_layer *l)
{
	if (l->frame)
		wslay_frame_context_free(l->frame);
	free(l->msg);
	l->frame = NULL;
	l->msg = NULL;
}

/* ---- out --------------------------------------------------------------------------- */

static int send_frame(struct ws_layer *l, uint8_t opcode, const void *data, size_t len)
{
	struct wslay_frame_iocb io = {
		.fin = 1,
		.opcode = opcode,
		.payload_length = len,
		.data = data,
		.data_length = len,
	};

	if (l->close_sent)
		return -ENOTCONN;
	if (wslay_frame_send(l->frame, &io) != (ssize_t)len)
		return -ENOMEM;
	return 0;
}

int ws_layer_text(struct ws_layer *l, const char *text, size_t len)
{
	return send_frame(l, WSLAY_TEXT_FRAME, text, len);
}

int ws_layer_ping(struct ws_layer *l)
{
	return send_frame(l, WSLAY_PING, NULL, 0);
}

int ws_layer_close(struct ws_layer *l, unsigned code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];
	size_t len = reason ? strlen(reason) : 0;
	int err;

	if (len > sizeof payload - 2)
		len = sizeof payload - 2;
	while (len && !utf8_valid((const uint8_t *)reason, len))
		len--; /* not in the middle of a character */
	put_be16(payload, (uint16_t)code);
	if (len)
		memcpy(payload + 2, reason, len);
	err = send_frame(l, WSLAY_CONNECTION_CLOSE, payload, len + 2);
	if (!err)
		l->close_sent = true;
	return err;
}

/* ---- in ---------------------------------------------------------------------------- */

/* The peer broke a rule; our close frame says which. */
static void fail(struct ws_layer *l, uint16_t code)
{
	l->over = true;
	l->code = code;
	ws_layer_close(l, code, NULL); /* if that fails too, the socket ends it */
}

/* RFC 6455 §7.4: those that may stand in a close frame. */
static bool code_valid(unsigned code)
{
	if (code >= 3000 && code <= 4999)
		return true;
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
	       code != 1006;
}

static void close_received(struct ws_layer *l)
{
	uint16_t code;

	if (l->control_len == 0) {
		l->over = true;
		l->code = 1005;
		if (!send_frame(l, WSLAY_CONNECTION_CLOSE, NULL, 0))
			l->close_sent = true;
		return;
	}
	code = l->control_len >= 2 ? get_be16(l->control) : 0;
	if (!code_valid(code)) {
		fail(l, 1002);
	} else if (!utf8_valid(l->control + 2, l->control_len - 2u)) {
		fail(l, 1007);
	} else {
		fail(l, code); /* not a failure: the echo is the same frame */
	}
}

static void control_end(struct ws_layer *l, uint8_t opcode)
{
	if (opcode == WSLAY_CONNECTION_CLOSE)
		close_received(l);
	else if (opcode == WSLAY_PING && !l->close_sent &&
		 send_frame(l, WSLAY_PONG, l->control, l->control_len))
		fail(l, 1011);
	/* a pong is a sign of life, nothing else */
}

static void message_end(struct ws_layer *l)
{
	char *msg = l->msg; /* NULL: empty */
	size_t len = l->msg_len;

	l->in_message = false;
	l->msg = NULL; /* on_text may take its time; we hold nothing between messages */
	l->msg_len = l->msg_cap = 0;
	if (len && !utf8_valid((const uint8_t *)msg, len))
		fail(l, 1007);
	else if (!l->close_sent)
		l->ops->on_text(l->arg, msg ? msg : "", len);
	free(msg);
}

static int message_add(struct ws_layer *l, const uint8_t *data, size_t len)
{
	size_t cap = l->msg_cap ? l->msg_cap : MSG_FIRST_BYTES;
	char *p;

	if (l->close_sent) /* nobody will hear it */
		return 0;
	while (cap < l->msg_len + len + 1)
		cap *= 2;
	if (cap != l->msg_cap) {
		p = realloc(l->msg, cap);
		if (!p)
			return -ENOMEM;
		l->msg = p;
		l->msg_cap = cap;
	}
	memcpy(l->msg + l->msg_len, data, len);
	l->msg_len += len;
	l->msg[l->msg_len] = 0;
	return 0;
}

/* What the header says; 0 or the code of what is wrong with it. */
static uint16_t check_header(struct ws_layer *l, const struct wslay_frame_iocb *io)
{
	if (io->rsv || !io->mask)
		return 1002;
	switch (io->opcode) {
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG:
		l->control_len = 0;
		return 0;
	case WSLAY_CONTINUATION_FRAME:
		if (!l->in_message)
			return 1002;
		break;
	case WSLAY_TEXT_FRAME:
		if (l->in_message)
			return 1002;
		l->in_message = true;
		break;
	case WSLAY_BINARY_FRAME:
		return l->in_message ? 1002 : 1003;
	default:
		return 1002;
	}
	return io->payload_length > WS_MESSAGE_MAX - l->msg_len ? 1009 : 0;
}

/* One piece of a frame. */
static void take(struct ws_layer *l, const struct wslay_frame_iocb *io)
{
	bool control = wslay_is_ctrl_frame(io->opcode);

	if (!l->in_frame) {
		uint16_t code = check_header(l, io);

		if (code) {
			if (code == 1009)
				STAT_INC(ws_limited);
			fail(l, code);
			return;
		}
		l->in_frame = true;
		l->frame_left = io->payload_length;
	}
	if (control) { /* wslay has checked: ≤ 125 */
		memcpy(l->control + l->control_len, io->data, io->data_length);
		l->control_len = (uint8_t)(l->control_len + io->data_length);
	} else if (io->data_length && message_add(l, io->data, io->data_length)) {
		fail(l, 1011);
		return;
	}
	l->frame_left -= io->data_length;
	if (l->frame_left)
		return;
	l->in_frame = false;
	if (control)
		control_end(l, io->opcode);
	else if (io->fin)
		message_end(l);
}

bool ws_layer_feed(struct ws_layer *l, const void *data, size_t len)
{
	struct wslay_frame_iocb io;
	ssize_t n;

	l->in = data;
	l->in_left = len;
	while (!l->over) {
		memset(&io, 0, sizeof io);
		n = wslay_frame_recv(l->frame, &io);
		if (n == WSLAY_ERR_WANT_READ) {
			if (!l->in_left)
				break;
			continue; /* a header came in two pieces */
		}
		if (n < 0)
			fail(l, 1002);
		else
			take(l, &io);
	}
	l->in = NULL;
	l->in_left = 0;
	return !l->over;
}
