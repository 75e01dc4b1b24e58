/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The door: TCP connections that have not yet said what they are. Invariants: one is
 * known by its first byte, which is only peeked at, so TLS and HTTP find everything where
 * it was; only RFC 4571 is read here, at most one frame of FIRST_FRAME_MAX; a connection
 * holds a ticket of `count` from accept until whoever serves it lets go (RFC 4571: until
 * the hand-over, the workers count their own).
 */
#include <palabre/net.h>
#include <palabre/wire.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "count.h"
#include "http_inner.h"

enum {
	FRAME_HEADER_BYTES = 2,
	FIRST_FRAME_MAX = 512, /* a Binding request is 100-200 bytes */
	BACKLOG = 256,
	ACCEPTS_A_TURN = 32,  /* then others get theirs */
	REST_MS = 100,	      /* when there is no descriptor or memory left */
	TLS_FIRST_BYTE = 0x16 /* handshake record */
};

struct guest;
struct door {
	int fd;
	struct event_base *base;
	struct event accept_event, rest_event;
	struct ssl_ctx_st *tls;
	struct http_server *http;
	struct count *count;
	struct door_limits limits;
	const struct door_ops *ops;
	void *arg;
	struct guest *guests;
};

struct guest {
	struct guest *prev, *next;
	struct door *door;
	int fd;
	struct event event, deadline;
	struct count_ticket *ticket;
	struct addr peer, local;
	size_t len;
	uint8_t buf[FRAME_HEADER_BYTES + FIRST_FRAME_MAX];
};

/* Forgets the guest; its descriptor and ticket are whose they were. */
static void guest_forget(struct guest *g)
{
	event_del(&g->event);
	event_del(&g->deadline);
	if (g->prev)
		g->prev->next = g->next;
	else
		g->door->guests = g->next;
	if (g->next)
		g->next->prev = g->prev;
	mem_unref(g);
}

static void guest_close(struct guest *g)
{
	close(g->fd);
	mem_unref(g->ticket);
	guest_forget(g);
}

static void to_http(struct guest *g)
{
	struct door *d = g->door;
	struct bufferevent *bev =
		bufferevent_socket_new(d->base, g->fd, BEV_OPT_CLOSE_ON_FREE);

	if (!bev) {
		guest_close(g);
		return;
	}
	http_adopt(d->http, bev, &g->peer, false, g->ticket);
	guest_forget(g);
}

static void to_tls(struct guest *g)
{
	struct door *d = g->door;
	struct bufferevent *bev;
	SSL *ssl = d->tls ? SSL_new(d->tls) : NULL;

	if (!ssl) {
		guest_close(g);
		return;
	}
	event_del(&g->event); /* the bufferevent watches the same descriptor */
	bev = bufferevent_openssl_socket_new(
		d->base, g->fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		SSL_free(ssl);
		guest_close(g);
		return;
	}
	/* a phone that drops the line without close_notify has ended, not failed */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	http_adopt(d->http, bev, &g->peer, true, g->ticket);
	guest_forget(g);
}

/* The first frame is whole: whose is it? */
static void to_framed(struct guest *g)
{
	const uint8_t *frame = g->buf + FRAME_HEADER_BYTES;
	size_t frame_len = get_be16(g->buf), ufrag_len;
	struct door *d = g->door;
	const char *ufrag;

	if (wire_demux(frame, frame_len) != DEMUX_STUN ||
	    stun_peek_ufrag(frame, frame_len, &ufrag, &ufrag_len)) {
		STAT_INC(tcp_rx_bad);
		guest_close(g);
		return;
	}
	event_del(&g->event); /* before the worker sees the descriptor */
	mem_unref(g->ticket);
	d->ops->on_framed(d->arg, g->fd, &g->peer, &g->local, g->buf, g->len, ufrag,
			  ufrag_len);
	guest_forget(g);
}

/* Reads no further than the end of the first frame, or of its length when that isn't
 * known. */
static void read_frame(struct guest *g)
{
	size_t want = FRAME_HEADER_BYTES;
	ssize_t n;

	for (;;) {
		if (g->len >= FRAME_HEADER_BYTES) {
			want = FRAME_HEADER_BYTES + get_be16(g->buf);
			if (want > sizeof g->buf) {
				STAT_INC(tcp_rx_bad);
				guest_close(g);
				return;
			}
			if (g->len == want) {
				to_framed(g);
				return;
			}
		}
		n = recv(g->fd, g->buf + g->len, want - g->len, MSG_DONTWAIT);
		if (n <= 0)
			break;
		g->len += (size_t)n;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		guest_close(g);
}

static void on_guest(evutil_socket_t fd, short what, void *arg)
{
	struct guest *g = arg;
	uint8_t first;
	ssize_t n;

	(void)what;
	if (g->len) {
		read_frame(g);
		return;
	}
	n = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		guest_close(g);
	} else if (first == TLS_FIRST_BYTE) {
		to_tls(g);
	} else if (first >= 'A' && first <= 'Z') {
		event_del(&g->event);
		to_http(g);
	} else if (first <= FIRST_FRAME_MAX >> 8 && g->door->ops->on_framed) {
		read_frame(g);
	} else {
		STAT_INC(tcp_rx_bad);
		guest_close(g);
	}
}

/* Its own event: one that is both readable and timed starts anew with each byte. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	guest_close(arg);
}

static void set_options(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* What is lost of a few small messages is sent again at even times, or one in a hundred waits for more than 20 s
	 * where a fifth is lost. */
	setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof on);
}

/* Takes the descriptor over, or closes it. */
static void admit(struct door *d, int fd, const struct sockaddr_storage *name)
{
	struct timeval tv = { .tv_sec = d->limits.first_bytes_ms / 1000,
			      .tv_usec = d->limits.first_bytes_ms % 1000 * 1000 };
	struct sockaddr_storage local = { 0 };
	socklen_t local_len = sizeof local;
	struct count_ticket *ticket;
	struct addr peer;
	struct guest *g;

	addr_from_sockaddr(&peer, (const struct sockaddr *)name);
	if (count_take(d->count, &peer, proxies_trust(&d->limits.proxies, &peer),
		       &ticket)) {
		STAT_INC(tcp_limit);
		close(fd);
		return;
	}
	g = mem_create(sizeof *g, NULL);
	if (!g) {
		mem_unref(ticket);
		close(fd);
		return;
	}
	g->door = d;
	g->fd = fd;
	g->ticket = ticket;
	g->peer = peer;
	if (getsockname(fd, (struct sockaddr *)&local, &local_len) == 0)
		addr_from_sockaddr(&g->local, (struct sockaddr *)&local);
	set_options(fd);
	event_assign(&g->event, d->base, fd, EV_READ | EV_PERSIST, on_guest, g);
	evtimer_assign(&g->deadline, d->base, on_deadline, g);
	g->next = d->guests;
	if (g->next)
		g->next->prev = g;
	d->guests = g;
	event_add(&g->event, NULL);
	event_add(&g->deadline, &tv);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct timeval rest = { .tv_usec = REST_MS * 1000 };
	struct door *d = arg;
	int i;

	(void)what;
	for (i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage name;
		socklen_t len = sizeof name;
		int fd = accept4(listener, (struct sockaddr *)&name, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(d, fd, &name);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			/* the connection stays queued and the listener readable: don't
			 * spin */
			log_warn("door.accept", "errno=%d rest_ms=%d", errno, REST_MS);
			event_del(&d->accept_event);
			event_add(&d->rest_event, &rest);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return; /* EAGAIN, or an error of one connection (accept(2)) */
		}
	}
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;

	(void)fd;
	(void)what;
	event_add(&d->accept_event, NULL);
}

static int listen_at(const struct addr *bind_to)
{
	struct sockaddr_storage name;
	socklen_t len = addr_to_sockaddr(bind_to, &name);
	int fd, on = 1, err;

	if (!len)
		return -EINVAL;
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    (bind_to->family == 6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)) ||
	    bind(fd, (struct sockaddr *)&name, len) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int door_create(struct door **out, struct event_base *base, const struct addr *bind_to,
		struct ssl_ctx_st *tls, struct http_server *http,
		const struct door_limits *limits, const struct door_ops *ops, void *arg)
{
	struct door *d;
	int fd = listen_at(bind_to);

	if (fd < 0)
		return fd;
	d = mem_create(sizeof *d, NULL);
	if (!d)
		goto out;
	d->count = count_create(limits->connections_max,
				limits->connections_per_address_max);
	if (!d->count)
		goto out;
	d->fd = fd;
	d->base = base;
	d->http = http;
	d->limits = *limits;
	d->ops = ops;
	d->arg = arg;
	door_set_tls(d, tls);
	event_assign(&d->accept_event, base, fd, EV_READ | EV_PERSIST, on_accept, d);
	evtimer_assign(&d->rest_event, base, on_rested, d);
	event_add(&d->accept_event, NULL);
	*out = d;
	return 0;
out:
	mem_unref(d);
	close(fd);
	return -ENOMEM;
}

void door_set_tls(struct door *d, struct ssl_ctx_st *tls)
{
	if (tls)
		SSL_CTX_up_ref(tls);
	SSL_CTX_free(d->tls);
	d->tls = tls;
}

void door_local(const struct door *d, struct addr *out)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof name;

	memset(out, 0, sizeof *out);
	if (getsockname(d->fd, (struct sockaddr *)&name, &len) == 0)
		addr_from_sockaddr(out, (struct sockaddr *)&name);
}

void door_destroy(struct door *d)
{
	if (!d)
		return;
	while (d->guests)
		guest_close(d->guests);
	event_del(&d->accept_event);
	event_del(&d->rest_event);
	close(d->fd);
	SSL_CTX_free(d->tls);
	mem_unref(d->count); /* lives on in the tickets of connections being served */
	mem_unref(d);
}
