/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* WebSockets: half open, against the framing, against the protocol, and deaf. */
#include "hostile.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WS_ADDRESS "127.0.16.1"

enum {
	OPCODE_CONTINUE,
	OPCODE_TEXT,
	OPCODE_BINARY,
	OPCODE_CLOSE = 8,
	OPCODE_PING,
	FIN = 0x80,
	UNMASKED = 0x100, /* a flag of ours */
	CODE_EOF = 1,	  /* closed without a close frame */
	CODE_NONE = 0,	  /* still open */
	HELLO_MS = 10000,
	PONG_MS = 35000, /* 20 s of silence, then 15 s for the answer: ws.c */
	SLACK_MS = 4000,
	CODE_MS = 3000,
	PEOPLE = 45
};

/* ---- the tool ---------------------------------------------------------------------- */

#define UPGRADE \
	"Upgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: palabre.1\r\n"

/* The rest of the head stays unread until the test reads frames. */
static bool upgrade(int fd, const char *room)
{
	char buf[1024];
	size_t have = 0;
	int n = snprintf(buf, sizeof buf,
			 "GET /api/1/rooms/%s/events HTTP/1.1\r\nHost: "
			 "localhost\r\n" UPGRADE "\r\n",
			 room);

	(void)!send(fd, buf, (size_t)n, MSG_NOSIGNAL);
	memset(buf, 0, sizeof buf);
	while (have < sizeof buf - 1 && !strstr(buf, "\r\n\r\n"))
		if (recv(fd, buf + have++, 1, 0) <= 0)
			break;
	return expect(!strncmp(buf, "HTTP/1.1 101", 12), "no WebSocket: %.200s", buf);
}

static int ws_open(const struct hostile *h, const char *address, const char *room)
{
	int fd = tcp_from(h, address);

	if (fd >= 0 && !upgrade(fd, room)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* `first` is the first byte of the frame, and UNMASKED. */
static bool frame(int fd, unsigned first, const void *data, size_t len)
{
	size_t at = 2;
	uint8_t *buf = malloc(len + 16);
	bool ok;

	if (!buf)
		abort();
	buf[0] = (uint8_t)first;
	if (len < 126) {
		buf[1] = (uint8_t)len;
	} else if (len < 65536) {
		buf[1] = 126;
		put_be16(buf + 2, (uint16_t)len);
		at = 4;
	} else {
		buf[1] = 127;
		put_be32(buf + 2, 0);
		put_be32(buf + 6, (uint32_t)len);
		at = 10;
	}
	if (!(first & UNMASKED)) {
		buf[1] |= 0x80;
		memset(buf + at, 0, 4);
		at += 4;
	}
	memcpy(buf + at, data, len);
	ok = send(fd, buf, at + len, MSG_NOSIGNAL) == (ssize_t)(at + len);
	free(buf);
	return ok;
}

static bool say(int fd, const char *text)
{
	return frame(fd, FIN | OPCODE_TEXT, text, strlen(text));
}

static bool read_all(int fd, void *to, size_t len, uint64_t end_us)
{
	size_t have = 0;

	while (have < len) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint64_t now_us = clock_now_us();
		ssize_t n;

		if (now_us >= end_us) {
			errno = ETIME;
			return false;
		}
		if (poll(&p, 1, (int)((end_us - now_us) / 1000) + 1) <= 0)
			continue;
		n = recv(fd, (uint8_t *)to + have, len - have, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0) {
			errno = EPIPE;
			return false;
		}
		have += (size_t)n;
	}
	return true;
}

/* Reads frames until one is a text with `wanted` in it (true), or a close frame, the end,
 * or the time comes: *code. */
static bool read_until(int fd, const char *wanted, int ms, unsigned *code)
{
	uint64_t end_us = clock_now_us() + (uint64_t)ms * 1000;
	static _Thread_local char text[256 * 1024];
	uint8_t head[4];

	for (;;) {
		size_t len;

		*code = CODE_NONE;
		if (!read_all(fd, head, 2, end_us))
			break;
		len = head[1] & 127;
		if (len == 126) {
			if (!read_all(fd, head + 2, 2, end_us))
				break;
			len = get_be16(head + 2);
		} else if (len == 127) {
			uint8_t wide[8];

			if (!read_all(fd, wide, 8, end_us))
				break;
			len = get_be32(wide + 4);
		}
		if (len >= sizeof text || !read_all(fd, text, len, end_us))
			break;
		text[len] = 0;
		if ((head[0] & 15) == OPCODE_CLOSE) {
			*code = len >= 2 ? get_be16((uint8_t *)text) : 1005;
			return false;
		}
		if (wanted && (head[0] & 15) == OPCODE_TEXT && strstr(text, wanted))
			return true;
	}
	*code = errno == EPIPE ? CODE_EOF : CODE_NONE;
	return false;
}

static void expect_code(int fd, unsigned wanted)
{
	unsigned code;

	read_until(fd, NULL, CODE_MS, &code);
	expect(code == wanted, "closed with %u, not %u", code, wanted);
	close(fd);
}

static void expect_event(int fd, const char *wanted)
{
	unsigned code;
	bool came = read_until(fd, wanted, CODE_MS, &code);

	expect(came, "no %s, but %u", wanted, code);
}

/* ---- handshakes -------------------------------------------------------------------- */

#define EVENTS "GET /api/1/rooms/spare/events HTTP/1.1\r\nHost: localhost\r\n"
static const struct {
	const char *what;
	const char *request;
	int status;
	const char *code;
} handshakes[] = {
	{ "no key",
	  EVENTS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
		 "13\r\nSec-WebSocket-Protocol: palabre.1\r\n\r\n",
	  400, "websocket-key" },
	{ "a key too short",
	  EVENTS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
		 "13\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Protocol: "
		 "palabre.1\r\n\r\n",
	  400, "websocket-key" },
	{ "another version",
	  EVENTS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
		 "8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	  426, "websocket-version" },
	{ "another protocol",
	  EVENTS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
		 "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Sec-WebSocket-Protocol: chat, palabre.2\r\n\r\n",
	  400, "websocket-protocol" },
	{ "no upgrade", EVENTS "Sec-WebSocket-Version: 13\r\n\r\n", 426, "websocket" },
	{ "a room with a name that isn't one",
	  "GET /api/1/rooms/A%20B/events HTTP/1.1\r\nHost: localhost\r\n" UPGRADE "\r\n",
	  404, "no-such-room" },
};

static void try_handshakes(struct hostile *h)
{
	struct reply *r = malloc(sizeof *r);

	if (!r)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(handshakes); i++) {
		trying("websockets: %s", handshakes[i].what);
		ask(h, WS_ADDRESS, handshakes[i].request, strlen(handshakes[i].request),
		    r);
		expect(r->status == handshakes[i].status &&
			       !strcmp(r->code, handshakes[i].code),
		       "answered %d %s, not %d %s", r->status, r->code,
		       handshakes[i].status, handshakes[i].code);
	}
	free(r);
}

/* ---- frames ------------------------------------------------------------------------ */

static const struct {
	const char *what;
	unsigned first;
	const char *bytes;
	size_t len;
	unsigned code;
} frames[] = {
	{ "not masked", FIN | OPCODE_TEXT | UNMASKED, "{}", 2, 1002 },
	{ "binary", FIN | OPCODE_BINARY, "{}", 2, 1003 },
	{ "a reserved opcode", FIN | 3, "{}", 2, 1002 },
	{ "a reserved bit", FIN | 0x40 | OPCODE_TEXT, "{}", 2, 1002 },
	{ "a continuation of nothing", FIN | OPCODE_CONTINUE, "{}", 2, 1002 },
	{ "a ping in fragments", OPCODE_PING, "", 0, 1002 },
	{ "a close with half a code", FIN | OPCODE_CLOSE, "\x03", 1, 1002 },
	{ "a close with a code that isn't one", FIN | OPCODE_CLOSE, "\x03\xed", 2, 1002 },
	{ "a close whose reason isn't UTF-8", FIN | OPCODE_CLOSE, "\x03\xe8\xff", 3,
	  1007 },
	{ "text that isn't UTF-8", FIN | OPCODE_TEXT, "\"\xc0\xaf\"", 4, 1007 },
	{ "a right close", FIN | OPCODE_CLOSE, "\x03\xe8", 2, 1000 },
};

static void too_large(struct hostile *h)
{
	static const uint8_t announced[] = {
		FIN | OPCODE_TEXT, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	char *big = malloc(70000);
	int fd;

	if (!big)
		abort();
	memset(big, ' ', 70000);
	trying("websockets: a frame of exabytes");
	fd = ws_open(h, WS_ADDRESS, "spare");
	(void)!send(fd, announced, sizeof announced, MSG_NOSIGNAL);
	(void)!send(fd, "\0\0\0\0x", 5, MSG_NOSIGNAL);
	expect_code(fd, 1009);
	trying("websockets: a message of 70 000 bytes");
	fd = ws_open(h, WS_ADDRESS, "spare");
	frame(fd, FIN | OPCODE_TEXT, big, 70000);
	expect_code(fd, 1009);
	trying("websockets: fragments without end");
	fd = ws_open(h, WS_ADDRESS, "spare");
	for (unsigned i = 0; i < 80; i++)
		frame(fd, i ? OPCODE_CONTINUE : OPCODE_TEXT, big, 1000);
	expect_code(fd, 1009);
	free(big);
}

/* Pings are answered while somebody reads; one who doesn't is let go. */
static void ping_flood(struct hostile *h)
{
	static uint8_t pings[131 * 500];
	int fd = ws_open(h, "127.0.16.2", "spare"), small = 2048;
	unsigned sent = 0;

	trying("websockets: pings without end, nothing read");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	for (unsigned i = 0; i < 500; i++) {
		pings[131 * i] = FIN | OPCODE_PING;
		pings[131 * i + 1] = 0x80 | 125;
	}
	for (; sent < 400; sent++) /* 26 MB, if nobody stops it */
		if (send(fd, pings, sizeof pings, MSG_NOSIGNAL) < 0)
			break;
	expect(sent < 400, "all pings are swallowed");
	close(fd);
}

/* ---- the protocol ------------------------------------------------------------------ */

static void hello(int fd, const char *ticket)
{
	char text[SIGNAL_TEXT_MAX + 64];

	snprintf(text, sizeof text, "{\"t\":\"hello\",\"ticket\":\"%s\"}", ticket);
	say(fd, text);
}

static void tickets(struct hostile *h, const struct peer *p)
{
	char forged[SIGNAL_TEXT_MAX];
	size_t n = strlen(p->join.ticket);
	int fd;

	trying("websockets: no ticket");
	fd = ws_open(h, WS_ADDRESS, "spare");
	say(fd, "{\"t\":\"hello\"}");
	expect_code(fd, 4401);
	trying("websockets: a link for a ticket");
	fd = ws_open(h, WS_ADDRESS, "spare");
	hello(fd, h->spare.token);
	expect_code(fd, 4401);
	trying("websockets: a ticket for another room");
	fd = ws_open(h, WS_ADDRESS, "palabre");
	hello(fd, p->join.ticket);
	expect_code(fd, 4401);
	trying("websockets: forged tickets");
	for (size_t i = 0; i < n; i += n / 7) {
		strcpy(forged, p->join.ticket);
		forged[i] = forged[i] == 'A' ? 'B' : 'A';
		fd = ws_open(h, WS_ADDRESS, "spare");
		hello(fd, forged);
		expect_code(fd, 4401);
	}
}

/* Signed by the server, but of long ago. */
static void expired_ticket(struct hostile *h, const struct peer *p)
{
	char path[128], why[256], old[TOKEN_TEXT_MAX], body[TOKEN_TEXT_MAX + 32];
	uint8_t in[TOKEN_BODY_MAX];
	struct reply *r = malloc(sizeof *r);
	struct secret secret;
	size_t len;
	int fd, n;

	trying("websockets: a ticket of long ago");
	snprintf(path, sizeof path, "%s/secret", h->server.dir);
	if (!r || secret_load(&secret, path, why, sizeof why) ||
	    token_verify(&secret, TOKEN_TICKET, 1, p->join.ticket, strlen(p->join.ticket),
			 in, &len) ||
	    token_sign(&secret, TOKEN_TICKET, 1000, in, len, old))
		abort();
	fd = ws_open(h, WS_ADDRESS, "spare");
	hello(fd, old);
	expect_code(fd, 4401);
	n = snprintf(body, sizeof body, "{\"ticket\":\"%s\"}", old);
	post(h, WS_ADDRESS, "/api/1/rooms/spare/leave", "", body, (size_t)n, r);
	expect(r->status == 410 && !strcmp(r->code, "expired"), "answered %d %s",
	       r->status, r->code);
	free(r);
}

static void messages(struct hostile *h, const struct peer *p)
{
	static const char *const bad[] = { "nonsense",
					   "[]",
					   "{}",
					   "{\"t\":5}",
					   "{\"t\":\"name\",\"name\":\"\"}",
					   "{\"t\":\"name\",\"name\":\"a\\u202eb\"}",
					   "{\"t\":\"view\"}",
					   "{\"t\":\"view\",\"show\":{}}",
					   "{\"t\":\"view\",\"show\":[1]}",
					   "{\"t\":\"view\",\"show\":[{\"p\":\"x\",\"k\":"
					   "\"mic\"}]}" };
	char view[8192] = "{\"t\":\"view\",\"show\":[", deep[2000];
	int fd = ws_open(h, WS_ADDRESS, "spare");
	struct counters before;

	trying("websockets: messages before hello");
	say(fd, "{\"t\":\"name\",\"name\":\"Eve\"}");
	expect_event(fd, "Say hello first");
	hello(fd, p->join.ticket);
	expect_event(fd, "\"welcome\"");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		trying("websockets: %s", bad[i]);
		say(fd, bad[i]);
		expect_event(fd, "\"bad-json\"");
	}
	trying("websockets: nested 1000 deep");
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	say(fd, deep);
	expect_event(fd, "nested deeper");
	trying("websockets: a view of 65");
	for (unsigned i = 0; i < 65; i++)
		snprintf(view + strlen(view), sizeof view - strlen(view),
			 "%s{\"p\":\"x\",\"k\":\"camera\",\"w\":99999999999,\"h\":-1}",
			 i ? "," : "");
	strcat(view, "]}");
	say(fd, view);
	expect_event(fd, "at most 64");
	trying("websockets: and it still works");
	say(fd, "{\"t\":\"name\",\"name\":\"Eve\"}");
	expect_event(fd, "\"Eve\"");
	trying("websockets: more than 50 messages");
	counters_read(h, &before);
	for (unsigned i = 0; i < 60; i++)
		say(fd, "{\"t\":\"of-tomorrow\"}");
	expect_code(fd, 4429);
	expect_grown(h, &before, "ws_limited", 1);
}

/* One socket, two people; the end of the first must not be the server's. */
static void two_hellos(struct hostile *h, const struct peer *p)
{
	struct peer other;
	int fd, again;

	trying("websockets: hello as two people");
	if (peer_join(&other, h, &h->spare, NULL, false))
		return;
	fd = ws_open(h, WS_ADDRESS, "spare");
	hello(fd, p->join.ticket);
	expect_event(fd, "\"welcome\"");
	hello(fd, other.join.ticket);
	expect_event(fd, "\"welcome\"");
	say(fd, "{\"t\":\"name\",\"name\":\"Second\"}");
	expect_event(fd, "\"Second\"");
	close(fd);
	pause_ms(100);
	again = ws_open(h, WS_ADDRESS, "spare");
	hello(again, p->join.ticket);
	expect_event(again, "\"welcome\"");
	fd = ws_open(h, WS_ADDRESS, "spare");
	hello(fd, other.join.ticket);
	expect_event(fd, "\"welcome\"");
	trying("websockets: a newer one replaces the older");
	hello(fd, p->join.ticket);
	expect_code(again, 4409);
	close(fd);
	peer_leave(&other);
}

/* ---- deaf -------------------------------------------------------------------------- */

/* With small segments and a small window the kernel takes little on our behalf, so what
 * isn't read waits in the server. */
static int deaf_socket(const struct hostile *h, const char *room)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(h->server.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = 2048, mss = 536;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) || !upgrade(fd, room))
		return -1;
	return fd;
}

/* People with the longest names, so that a welcome is long. */
static void fill(struct hostile *h, const struct signal_link *link, char *ticket)
{
	char *offer = make_offer(h, 1), path[128], *body;
	struct reply *r = malloc(sizeof *r);
	const char *at;

	if (!r)
		abort();
	snprintf(path, sizeof path, "/api/1/rooms/%s/join", link->room);
	for (unsigned i = 0; i < PEOPLE; i++) {
		body = join_body(link,
				 "\u4f60\u597d\u4f60\u597d \u4f60\u597d\u4f60"
				 "\u597d \u4f60\u597d\u4f60\u597d \u4f60\u597d"
				 "\u4f60\u597d \u4f60\u597d\u4f60\u597d \u4f60"
				 "\u597d\u4f60\u597d",
				 offer);
		post(h, "127.0.16.3", path, "", body, strlen(body), r);
		expect(r->status == 201, "no place for more: %d", r->status);
		free(body);
	}
	at = strstr(r->body, "\"ticket\":\"");
	if (expect(at != NULL, "no ticket"))
		(void)sscanf(at + 10, "%511[A-Za-z0-9_-]", ticket);
	free(offer);
	free(r);
}

static void deaf(struct hostile *h)
{
	char ticket[SIGNAL_TEXT_MAX] = "";
	struct signal_link link;
	unsigned code;
	int fd;

	trying("websockets: one who doesn't read");
	if (server_link(&h->server, "speaker", "deaf", &link))
		return;
	fill(h, &link, ticket);
	fd = deaf_socket(h, "deaf");
	for (unsigned i = 0; i < 49; i++) {
		hello(fd, ticket);
		pause_ms(25);
	}
	read_until(fd, NULL, CODE_MS, &code); /* in time to see why */
	expect(code == 1013, "closed with %u, not 1013", code);
	close(fd);
}

void attack_websockets(struct hostile *h)
{
	struct peer p;

	try_handshakes(h);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		int fd = ws_open(h, WS_ADDRESS, "spare");

		trying("websockets: %s", frames[i].what);
		frame(fd, frames[i].first, frames[i].bytes, frames[i].len);
		expect_code(fd, frames[i].code);
	}
	too_large(h);
	ping_flood(h);
	trying("websockets: join");
	if (!peer_join(&p, h, &h->spare, NULL, false)) {
		tickets(h, &p);
		expired_ticket(h, &p);
		messages(h, &p);
		two_hellos(h, &p);
		peer_leave(&p);
	}
	deaf(h);
}

void wait_no_hello(struct hostile *h)
{
	uint64_t start_us = clock_now_us();
	int fd = ws_open(h, "127.0.16.4", "spare"), ms;
	unsigned code;

	read_until(fd, NULL, HELLO_MS + SLACK_MS, &code);
	ms = (int)((clock_now_us() - start_us) / 1000);
	expect(code == 4408 && ms >= HELLO_MS - 500, "closed with %u after %d ms", code,
	       ms);
	close(fd);
}

/* Said hello, and then nothing more, not even to a ping: as one whose link broke. */
void wait_no_pong(struct hostile *h)
{
	uint64_t start_us = clock_now_us();
	struct peer p;
	unsigned code;
	int fd, ms;

	if (peer_join(&p, h, &h->spare, NULL, false))
		return;
	fd = ws_open(h, "127.0.16.5", "spare");
	hello(fd, p.join.ticket);
	expect_event(fd, "\"welcome\"");
	/* what others do comes here, and counts for nothing */
	do {
		read_until(fd, NULL, PONG_MS, &code);
		ms = (int)((clock_now_us() - start_us) / 1000);
	} while (code == CODE_NONE && ms < PONG_MS + SLACK_MS);
	expect(code == CODE_EOF && ms >= PONG_MS - 500, "closed with %u after %d ms",
	       code, ms);
	close(fd);
	peer_leave(&p);
}
