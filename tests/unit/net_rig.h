/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A loop, and a client in the same thread: what it sends is pumped through, what comes
 * back is collected. For the tests of net. */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

#include <palabre/net.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RIG_WAIT_MS = 3000, RIG_IN_MAX = 2 << 20 };

struct rig_client {
	struct event_base *base;
	int fd;
	bool eof;
	bool deaf; /* doesn't read */
	size_t len;
	uint8_t *in; /* RIG_IN_MAX and a 0 */
};

static struct stats rig_stats;

static inline uint64_t rig_ms(void)
{
	return clock_now_us() / 1000;
}

static inline void rig_client_init(struct rig_client *c, struct event_base *base, int fd)
{
	memset(c, 0, sizeof *c);
	c->base = base;
	c->fd = fd;
	c->in = calloc(1, RIG_IN_MAX + 1);
	assert_non_null(c->in);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static inline void rig_client_fini(struct rig_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
}

/* One turn of the loop, and what has come for the client. */
static inline void rig_turn(struct rig_client *c)
{
	ssize_t n = -1;

	event_base_loop(c->base, EVLOOP_NONBLOCK);
	if (c->fd >= 0 && !c->deaf && !c->eof && c->len < RIG_IN_MAX) {
		n = recv(c->fd, c->in + c->len, RIG_IN_MAX - c->len, 0);
		if (n > 0)
			c->len += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			c->eof = true;
	}
	c->in[c->len] = 0;
	if (n <= 0)
		usleep(200);
}

static inline void rig_pump(struct rig_client *c, unsigned ms)
{
	uint64_t until = rig_ms() + ms;

	do
		rig_turn(c);
	while (rig_ms() < until);
}

/* All of it, as fast as the other side takes it; false when that has closed. */
static inline bool rig_send(struct rig_client *c, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t until = rig_ms() + RIG_WAIT_MS;

	while (len && rig_ms() < until) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return false;
		}
		rig_turn(c);
	}
	return !len;
}

static inline void rig_say(struct rig_client *c, const char *text)
{
	assert_true(rig_send(c, text, strlen(text)));
}

static inline unsigned rig_times(const struct rig_client *c, const char *text)
{
	unsigned n = 0;
	const uint8_t *p = c->in, *end = c->in + c->len;

	while ((p = memmem(p, (size_t)(end - p), text, strlen(text)))) {
		n++;
		p += strlen(text);
	}
	return n;
}

#define RIG_UNTIL(c, condition) \
	do { \
		uint64_t until_ = rig_ms() + RIG_WAIT_MS; \
		while (!(condition) && rig_ms() < until_) \
			rig_turn(c); \
		assert_true(condition); \
	} while (0)

/* Waits until `text` has come. */
static inline void rig_expect(struct rig_client *c, const char *text)
{
	uint64_t until = rig_ms() + RIG_WAIT_MS;

	while (!rig_times(c, text) && rig_ms() < until && !c->eof)
		rig_turn(c);
	if (!rig_times(c, text))
		fail_msg("wanted \"%s\", got \"%.600s\"", text, (char *)c->in);
}

static inline void rig_expect_eof(struct rig_client *c)
{
	RIG_UNTIL(c, c->eof);
}

#endif
