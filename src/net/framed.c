/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RFC 4571 connections of one worker. Invariants: a frame once begun on the wire is
 * finished, so the peer never loses the frame boundary; what waits is at most queue_ms
 * old and FRAMED_QUEUE_BYTES long, and a frame that finds the queue older or fuller is
 * dropped whole. A connection is freed only when nothing of this file is below it on the
 * stack.
 *
 * framed_send is hot: it writes to the socket or copies into the queue made with the
 * connection; both events are edge-triggered, so nothing needs arming, and the age of the
 * queue is told by the set's tick, not by a clock.
 */
#include <palabre/net.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "framed_parse.h"

enum {
	FRAMED_QUEUE_BYTES =
		128 * 1024, /* 500 ms of 2 Mbit/s; resident only as far as used */
	FRAMED_QUEUE_FRAMES = 512,
	/* Kept in the kernel but not yet sent: it would add to what queue_ms bounds. */
	FRAMED_NOTSENT_BYTES = 8 * 1024,
	READ_BYTES = 16 * 1024,
	READS_A_TURN = 4, /* then the others get theirs */
	TICK_MIN_MS = 5
};

/* Frames waiting, headers included; a frame may wrap. */
struct queue {
	size_t head, len;
	unsigned first, count;
	struct {
		uint32_t left; /* bytes of it still to be written */
		uint64_t at_ms;
	} frame[FRAMED_QUEUE_FRAMES];
	uint8_t buf[FRAMED_QUEUE_BYTES];
};

struct framed {
	struct framed_set *set;
	int fd;
	uint32_t id;
	bool ended;	   /* no longer in the table */
	bool broken;	   /* an error on writing: the read event reports it */
	uint64_t asked_ms; /* when somebody last wanted it */
	struct event read_event, write_event;
	struct flow flow;
	struct queue *queue;
	uint8_t *early;
	size_t early_len;
	struct framed_parse parse;
};

struct framed_set {
	struct event_base *base;
	struct pkt_pool *pool;
	unsigned queue_ms, wanted_ms;
	const struct framed_ops *ops;
	void *arg;
	struct event tick;
	uint64_t now_ms; /* as of the last tick or event */
	unsigned count;
	uint32_t generation;
	struct framed *conn[FRAMED_CONNECTIONS_MAX];
	uint8_t input[READ_BYTES];
};

static struct framed *find(struct framed_set *s, uint32_t id)
{
	struct framed *c = s->conn[id % FRAMED_CONNECTIONS_MAX];

	return c && c->id == id ? c : NULL;
}

static void framed_destroy(void *obj)
{
	struct framed *c = obj;

	if (c->fd >= 0)
		close(c->fd);
	free(c->queue);
	free(c->early);
}

/* Out of the table; freed now or when the caller's callers return. */
static void end(struct framed *c, bool tell)
{
	struct framed_set *s = c->set;

	if (c->ended)
		return;
	c->ended = true;
	event_del(&c->read_event);
	event_del(&c->write_event);
	s->conn[c->id % FRAMED_CONNECTIONS_MAX] = NULL;
	if (--s->count == 0)
		event_del(&s->tick);
	if (tell)
		s->ops->on_close(s->arg, c->id);
	mem_unref(c);
}

/* ---- in ---------------------------------------------------------------------------- */

struct reading {
	struct framed *c;
	uint64_t now_us;
};

static bool on_frame(void *arg, const uint8_t *frame, size_t len)
{
	struct reading *r = arg;
	struct framed_set *s = r->c->set;
	struct pkt *p = pkt_take(s->pool);

	if (!p) {
		STAT_INC(rx_pool_empty);
		return true;
	}
	memcpy(p->data, frame, len);
	p->len = (uint16_t)len;
	p->arrival_us = r->now_us;
	p->flow = r->c->flow;
	STAT_INC(rx_pkts);
	STAT_ADD(rx_bytes, len);
	s->ops->on_packet(s->arg, p);
	return !r->c->ended; /* the owner may have closed it meanwhile */
}

/* false when the connection is over. */
static bool take(struct framed *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	struct reading r = { .c = c, .now_us = now_us };
	int err = framed_parse(&c->parse, data, len, on_frame, &r);

	if (err == -EBADMSG) {
		STAT_INC(tcp_rx_bad);
		end(c, true);
	}
	return !err;
}

static bool take_early(struct framed *c, uint64_t now_us)
{
	uint8_t *early = c->early;
	bool goes_on;

	if (!early)
		return true;
	c->early = NULL;
	goes_on = take(c, early, c->early_len, now_us);
	free(early);
	return goes_on;
}

static void read_some(struct framed *c)
{
	struct framed_set *s = c->set;
	uint64_t now_us = clock_now_us();
	ssize_t n;
	int i;

	s->now_ms = now_us / 1000;
	if (c->broken) {
		end(c, true);
		return;
	}
	if (!take_early(c, now_us))
		return;
	for (i = 0; i < READS_A_TURN; i++) {
		n = recv(c->fd, s->input, sizeof s->input, MSG_DONTWAIT);
		if (n > 0) {
			if (!take(c, s->input, (size_t)n, now_us))
				return;
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			return;
		} else {
			end(c, true);
			return;
		}
	}
	event_active(&c->read_event, EV_READ, 1); /* an edge comes only once */
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct framed *c = mem_ref(arg);

	(void)fd;
	(void)what;
	read_some(c);
	mem_unref(c);
}

/* ---- out --------------------------------------------------------------------------- */

/* Takes n written bytes off the queue. */
static void queue_advance(struct queue *q, size_t n)
{
	q->head = (q->head + n) % FRAMED_QUEUE_BYTES;
	q->len -= n;
	while (n) {
		uint32_t *left = &q->frame[q->first].left;
		size_t part = n < *left ? n : *left;

		*left -= (uint32_t)part;
		n -= part;
		if (!*left) {
			q->first = (q->first + 1) % FRAMED_QUEUE_FRAMES;
			q->count--;
		}
	}
	if (!q->len)
		q->head = 0; /* so that few pages are ever touched */
}

static void queue_put(struct queue *q, const uint8_t *data, size_t len)
{
	size_t at = (q->head + q->len) % FRAMED_QUEUE_BYTES;
	size_t part = len < FRAMED_QUEUE_BYTES - at ? len : FRAMED_QUEUE_BYTES - at;

	memcpy(q->buf + at, data, part);
	memcpy(q->buf, data + part, len - part);
	q->len += len;
}

/* The rest of a frame of which `written` bytes, header included, are out already. */
static void queue_frame(struct framed *c, const uint8_t header[FRAMED_HEADER_BYTES],
			const uint8_t *data, size_t len, size_t written)
{
	struct queue *q = c->queue;
	unsigned i = (q->first + q->count) % FRAMED_QUEUE_FRAMES;

	q->frame[i].left = (uint32_t)(FRAMED_HEADER_BYTES + len - written);
	q->frame[i].at_ms = c->set->now_ms;
	q->count++;
	if (written < FRAMED_HEADER_BYTES) {
		queue_put(q, header + written, FRAMED_HEADER_BYTES - written);
		written = FRAMED_HEADER_BYTES;
	}
	written -= FRAMED_HEADER_BYTES;
	queue_put(q, data + written, len - written);
}

static bool queue_takes(const struct framed *c, size_t len)
{
	const struct queue *q = c->queue;

	return q->count < FRAMED_QUEUE_FRAMES &&
	       q->len + FRAMED_HEADER_BYTES + len <= FRAMED_QUEUE_BYTES &&
	       c->set->now_ms - q->frame[q->first].at_ms <= c->set->queue_ms;
}

/* The owner hears of it from the loop, not from inside its own sending. */
static void mark_broken(struct framed *c)
{
	c->broken = true;
	event_active(&c->read_event, EV_READ, 1);
}

void framed_send(void *set, uint32_t tcp, const uint8_t *data, size_t len)
{
	struct framed *c = find(set, tcp);
	uint8_t header[FRAMED_HEADER_BYTES];
	struct iovec iov[2] = {
		{ .iov_base = header, .iov_len = sizeof header },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = 0;

	if (!c || c->broken || !len || len > FRAMED_MAX) {
		STAT_INC(tcp_tx_drop);
		return;
	}
	put_be16(header, (uint16_t)len);
	if (!c->queue->count) {
		n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			STAT_INC(tcp_tx_drop);
			mark_broken(c);
			return;
		}
		n = n < 0 ? 0 : n;
	} else if (!queue_takes(c, len)) {
		STAT_INC(tcp_tx_drop);
		return;
	}
	STAT_INC(tx_pkts);
	STAT_ADD(tx_bytes, len);
	if ((size_t)n < sizeof header + len)
		queue_frame(c, header, data, len, (size_t)n);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct framed *c = arg;
	struct queue *q = c->queue;
	ssize_t n;

	(void)what;
	while (q->len) {
		size_t part = q->len < FRAMED_QUEUE_BYTES - q->head
				      ? q->len
				      : FRAMED_QUEUE_BYTES - q->head;

		n = send(fd, q->buf + q->head, part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				mark_broken(c);
			return;
		}
		queue_advance(q, (size_t)n);
	}
}

/* ---- the set ----------------------------------------------------------------------- */

/* A stranger's, whose checks name nobody, or left over from a leg that has gone. */
static void ask(struct framed *c)
{
	struct framed_set *s = c->set;

	if (s->now_ms - c->asked_ms < s->wanted_ms)
		return;
	c->asked_ms = s->now_ms;
	if (s->ops->wanted(s->arg, &c->flow))
		return;
	STAT_INC(tcp_unwanted);
	end(c, true);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct framed_set *s = arg;
	unsigned i;

	(void)fd;
	(void)what;
	s->now_ms = clock_now_us() / 1000;
	for (i = 0; i < FRAMED_CONNECTIONS_MAX && s->count; i++)
		if (s->conn[i])
			ask(s->conn[i]);
}

struct framed_set *framed_set_create(struct event_base *base, struct pkt_pool *pool,
				     unsigned queue_ms, unsigned wanted_ms,
				     const struct framed_ops *ops, void *arg)
{
	struct framed_set *s = mem_create(sizeof *s, NULL);

	if (!s)
		return NULL;
	s->base = base;
	s->pool = pool;
	s->queue_ms = queue_ms;
	s->wanted_ms = wanted_ms;
	s->ops = ops;
	s->arg = arg;
	event_assign(&s->tick, base, -1, EV_PERSIST, on_tick, s);
	return s;
}

void framed_set_destroy(struct framed_set *s)
{
	unsigned i;

	if (!s)
		return;
	for (i = 0; i < FRAMED_CONNECTIONS_MAX; i++) {
		if (s->conn[i])
			end(s->conn[i], false);
	}
	mem_unref(s);
}

/* Rare and short: cheaper than a second table. */
static unsigned count_from(const struct framed_set *s, const struct addr *peer)
{
	size_t len = peer->family == 6 ? 8 : 4;
	unsigned i, count = 0;

	for (i = 0; i < FRAMED_CONNECTIONS_MAX; i++)
		count += s->conn[i] && s->conn[i]->flow.peer.family == peer->family &&
			 memcmp(s->conn[i]->flow.peer.ip, peer->ip, len) == 0;
	return count;
}

/* An id whose slot is free; 0 if there is none. */
static uint32_t new_id(struct framed_set *s, const struct addr *peer)
{
	uint32_t id;
	unsigned i;

	if (s->count == FRAMED_CONNECTIONS_MAX ||
	    count_from(s, peer) >= FRAMED_PER_ADDRESS_MAX)
		return 0;
	for (i = 0; i <= FRAMED_CONNECTIONS_MAX; i++) {
		id = ++s->generation;
		if (id && !s->conn[id % FRAMED_CONNECTIONS_MAX])
			return id;
	}
	return 0;
}

static void start_tick(struct framed_set *s)
{
	/* an eighth of the bound is how far the queue's age may be off */
	unsigned ms = s->queue_ms / 8 > TICK_MIN_MS ? s->queue_ms / 8 : TICK_MIN_MS;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(&s->tick, &tv);
	s->now_ms = clock_now_us() / 1000;
}

static void set_options(int fd)
{
	int on = 1, bytes = FRAMED_NOTSENT_BYTES;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

int64_t framed_add(struct framed_set *s, int fd, const struct addr *peer,
		   const struct addr *local, const uint8_t *early, size_t early_len)
{
	struct framed *c = mem_create(sizeof *c, framed_destroy);

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->set = s;
	c->id = new_id(s, peer);
	if (!c->id) {
		STAT_INC(tcp_limit);
		mem_unref(c);
		return -ENOBUFS;
	}
	c->queue = malloc(sizeof *c->queue);
	c->early = early_len ? malloc(early_len) : NULL;
	if (!c->queue || (early_len && !c->early))
		goto out;
	/* not the buffer: its pages come into being when first written */
	memset(c->queue, 0, offsetof(struct queue, buf));
	if (early_len)
		memcpy(c->early, early, early_len);
	c->early_len = early_len;
	c->flow.peer = *peer;
	c->flow.local = *local;
	c->flow.tcp = c->id;
	c->asked_ms = clock_now_us() / 1000;
	set_options(fd);
	event_assign(&c->read_event, s->base, fd, EV_READ | EV_PERSIST | EV_ET, on_read,
		     c);
	event_assign(&c->write_event, s->base, fd, EV_WRITE | EV_PERSIST | EV_ET,
		     on_write, c);
	if (event_add(&c->read_event, NULL))
		goto out;
	if (event_add(&c->write_event, NULL)) {
		event_del(&c->read_event);
		goto out;
	}
	s->conn[c->id % FRAMED_CONNECTIONS_MAX] = c;
	if (s->count++ == 0)
		start_tick(s);
	/* the owner gets what is in `early` from the loop, when it knows the id */
	event_active(&c->read_event, EV_READ, 1);
	return c->id;
out:
	mem_unref(c);
	return -ENOMEM;
}

void framed_close(struct framed_set *s, uint32_t tcp)
{
	struct framed *c = find(s, tcp);

	if (c)
		end(c, false);
}
