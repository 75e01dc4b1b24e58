/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * TURN's sockets: one TLS connection to the client, and for each peer one end of a socket pair whose other
 * end a worker takes for an RFC 4571 connection. So a client of TURN is to the media what any client by TCP
 * is, limits and all. Invariants: what waits for a client is at most OUTPUT_MAX and what its kernel has; a
 * pair is not read meanwhile, so that the worker's queue fills, which drops by age. A client is freed only
 * outside of client_run (`busy`), which what TLS calls in the middle of a write would enter once more.
 */
#include "turn_relay.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "framed_parse.h"
#include "http_inner.h"
#include "turn.h"

enum {
	OUTPUT_MAX = 8 * 1024, /* for the client; then the pairs wait */
	INPUT_MAX = 16 * 1024, /* read ahead */
	PAIR_BYTES = 16 * 1024,
	PAIR_OUTPUT_MAX = 64 * 1024, /* for a worker, who reads at once or is gone */
	NOTSENT_BYTES = 8 * 1024,
	ALLOCATE_MS = 10000 /* to say who one is */
};

struct client;
struct pair {
	struct client *client;
	unsigned index;
	struct bufferevent *bev; /* NULL: none yet */
	struct framed_parse parse;
};
struct client {
	struct client *prev, *next;
	struct turn_server *server;
	struct bufferevent *bev;
	void *ticket;
	struct event timer;
	struct addr peer, local;
	bool busy, ended;
	struct turn turn;
	struct pair pairs[TURN_PEERS_MAX];
};
struct turn_server {
	struct event_base *base;
	const struct secret *secret;
	const struct turn_ops *ops;
	void *arg;
	unsigned count;
	struct client *clients;
};

static void client_run(struct client *c);

static uint64_t now_s(void)
{
	return clock_now_us() / 1000000;
}

/* ---- ends ---------------------------------------------------------------------------- */

static void pair_close(struct pair *p)
{
	if (p->bev)
		bufferevent_free(p->bev);
	p->bev = NULL;
	p->parse.len = p->parse.skip = 0;
}

static void client_free(struct client *c)
{
	struct turn_server *s = c->server;

	event_del(&c->timer);
	for (unsigned i = 0; i < TURN_PEERS_MAX; i++)
		pair_close(&c->pairs[i]);
	http_bev_free(c->bev);
	mem_unref(c->ticket);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->count--;
	mem_unref(c);
}

static void client_end(struct client *c)
{
	c->ended = true;
	if (!c->busy)
		client_free(c);
}

/* ---- from a worker to the client ----------------------------------------------------- */

static size_t unsent(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static bool on_frame(void *arg, const uint8_t *frame, size_t len)
{
	struct pair *p = arg;
	uint8_t unit[TURN_UNIT_MAX];
	size_t n = turn_wrap(&p->client->turn, p->index, frame, len, unit);

	if (!n || bufferevent_write(p->client->bev, unit, n))
		STAT_INC(tcp_tx_drop);
	return true;
}

/* As much as the client may have waiting. */
static void pair_drain(struct pair *p)
{
	struct evbuffer *in = bufferevent_get_input(p->bev);
	struct evbuffer_iovec piece;

	while (unsent(p->client) < OUTPUT_MAX &&
	       evbuffer_peek(in, -1, NULL, &piece, 1) >= 1 && piece.iov_len) {
		size_t len = piece.iov_len < OUTPUT_MAX ? piece.iov_len : OUTPUT_MAX;

		if (framed_parse(&p->parse, piece.iov_base, len, on_frame, p)) {
			pair_close(p);
			return;
		}
		evbuffer_drain(in, len);
	}
}

static void on_pair_read(struct bufferevent *bev, void *arg)
{
	struct pair *p = arg;

	(void)bev;
	client_run(p->client);
}

/* The worker has no use for it (any more): a check from the client opens another. */
static void on_pair_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	pair_close(arg);
}

/* ---- from the client to a worker ----------------------------------------------------- */

/* The first packet must be a check, which says whose it is. */
static int pair_open(struct pair *p, const uint8_t *frame, size_t len)
{
	const uint8_t *data = frame + FRAMED_HEADER_BYTES;
	struct client *c = p->client;
	struct turn_server *s = c->server;
	int fd[2], bytes = PAIR_BYTES;
	const char *ufrag;
	size_t ufrag_len;

	if (stun_peek_ufrag(data, len - FRAMED_HEADER_BYTES, &ufrag, &ufrag_len)) {
		STAT_INC(turn_bad);
		return -EBADMSG;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
		return -errno;
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	p->bev = bufferevent_socket_new(s->base, fd[0], BEV_OPT_CLOSE_ON_FREE);
	if (!p->bev) {
		close(fd[0]);
		close(fd[1]);
		return -ENOMEM;
	}
	bufferevent_setcb(p->bev, on_pair_read, NULL, on_pair_event, p);
	bufferevent_setwatermark(p->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
	s->ops->door.on_framed(s->arg, fd[1], &c->peer, &c->local, frame, len, ufrag,
			       ufrag_len);
	return 0;
}

static void on_packet(void *arg, unsigned i, const uint8_t *data, size_t len)
{
	struct client *c = arg;
	struct pair *p = &c->pairs[i];
	uint8_t frame[FRAMED_HEADER_BYTES + TURN_UNIT_MAX];

	if (!len || len > FRAMED_KEEP_MAX) {
		STAT_INC(turn_bad);
		return;
	}
	put_be16(frame, (uint16_t)len);
	memcpy(frame + FRAMED_HEADER_BYTES, data, len);
	len += FRAMED_HEADER_BYTES;
	if (!p->bev) {
		(void)pair_open(p, frame, len);
		return;
	}
	if (evbuffer_get_length(bufferevent_get_output(p->bev)) > PAIR_OUTPUT_MAX ||
	    bufferevent_write(p->bev, frame, len))
		STAT_INC(rx_pool_empty);
}

/* ---- the client's stream ------------------------------------------------------------- */

static int on_password(void *arg, const char *name, size_t len,
		       char password[TOKEN_TEXT_MAX])
{
	struct client *c = arg;

	return turn_password(c->server->secret, clock_wall_us() / 1000000, name, len,
			     password);
}

static bool on_ours(void *arg, const struct addr *peer)
{
	struct client *c = arg;

	return c->server->ops->ours(c->server->arg, peer);
}

static void on_say(void *arg, const uint8_t *data, size_t len)
{
	struct client *c = arg;

	if (bufferevent_write(c->bev, data, len))
		STAT_INC(tcp_tx_drop);
}

static const struct turn_calls calls = {
	.password = on_password, .ours = on_ours, .say = on_say, .packet = on_packet
};

static void arm(struct client *c)
{
	uint64_t now = now_s();
	uint64_t left = c->turn.until_s > now ? c->turn.until_s - now : 0;
	struct timeval tv = { .tv_sec = c->turn.allocated ? (time_t)left + 1
							  : ALLOCATE_MS / 1000 };

	event_add(&c->timer, &tv);
}

/* One unit off the input; 0 if it isn't whole, negative ends the client. */
static int take_unit(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	uint8_t unit[TURN_UNIT_MAX];
	ssize_t have = evbuffer_copyout(in, unit, sizeof unit);
	uint64_t until_s = c->turn.until_s;
	int len, err;

	if (have <= 0)
		return 0;
	len = turn_unit(unit, (size_t)have);
	if (len <= 0) {
		if (len)
			STAT_INC(turn_bad);
		return len;
	}
	evbuffer_drain(in, (size_t)len);
	err = turn_on_unit(&c->turn, unit, (size_t)len, now_s(), &calls, c);
	if (c->turn.until_s != until_s)
		arm(c);
	return err ? err : len;
}

/* All there is to do. What a client that does not read asks for waits until it does. */
static void client_run(struct client *c)
{
	int len = 1;

	if (c->busy)
		return;
	c->busy = true;
	while (len > 0 && !c->ended && unsent(c) < 2 * OUTPUT_MAX)
		len = take_unit(c);
	for (unsigned i = 0; i < TURN_PEERS_MAX && len >= 0 && !c->ended; i++)
		if (c->pairs[i].bev)
			pair_drain(&c->pairs[i]);
	c->busy = false;
	if (len < 0 || c->ended)
		client_end(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_run(arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_run(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (!(what & BEV_EVENT_CONNECTED))
		client_end(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_end(arg);
}

static void set_options(struct client *c, int fd)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof name;
	int bytes = NOTSENT_BYTES;

	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
	if (getsockname(fd, (struct sockaddr *)&name, &len) == 0)
		addr_from_sockaddr(&c->local, (struct sockaddr *)&name);
}

void turn_adopt(struct turn_server *s, struct bufferevent *bev, const struct addr *peer,
		void *ticket)
{
	struct client *c =
		s->count < TURN_CLIENTS_MAX ? mem_create(sizeof *c, NULL) : NULL;

	if (!c) {
		STAT_INC(turn_limit);
		http_bev_free(bev);
		mem_unref(ticket);
		return;
	}
	c->server = s;
	c->bev = bev;
	c->ticket = ticket;
	c->peer = *peer;
	turn_init(&c->turn, peer);
	for (unsigned i = 0; i < TURN_PEERS_MAX; i++) {
		c->pairs[i].client = c;
		c->pairs[i].index = i;
	}
	set_options(c, bufferevent_getfd(bev));
	evtimer_assign(&c->timer, s->base, on_timer, c);
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->count++;
	bufferevent_setcb(bev, on_read, on_write, on_event, c);
	/* Called as soon as there is room again, not only when all is out. */
	bufferevent_setwatermark(bev, EV_WRITE, OUTPUT_MAX / 2, 0);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	arm(c);
	client_run(c);
}

struct turn_server *turn_server_create(struct event_base *base,
				       const struct secret *secret,
				       const struct turn_ops *ops, void *arg)
{
	struct turn_server *s = mem_create(sizeof *s, NULL);

	if (!s)
		return NULL;
	s->base = base;
	s->secret = secret;
	s->ops = ops;
	s->arg = arg;
	return s;
}

void turn_server_destroy(struct turn_server *s)
{
	if (!s)
		return;
	while (s->clients)
		client_free(s->clients);
	mem_unref(s);
}
