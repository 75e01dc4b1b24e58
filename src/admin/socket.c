/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The socket: who may ask is decided by the kernel's word on the peer (SO_PEERCRED), besides the
 * socket's mode. A connection has one request at a time; what it may send and may leave unread is
 * bounded in bytes and time.
 */
#include "admin_in.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool peer_allowed(unsigned uid, unsigned own)
{
	return uid == 0 || uid == own;
}

/* ---- answers ------------------------------------------------------------------------ */

static void send_json(struct caller *c, json_t *j)
{
	char *text = j ? json_write(j) : NULL;

	if (text) {
		bufferevent_write(c->bev, text, strlen(text));
		bufferevent_write(c->bev, "\n", 1);
	}
	free(text);
	json_decref(j);
}

void answer_item(struct caller *c, json_t *item)
{
	send_json(c, json_pack("{so}", "item", item));
}

void answer(struct caller *c, json_t *fields)
{
	json_t *j = fields ? fields : json_object();

	json_object_set_new(j, "ok", json_true());
	send_json(c, j);
	c->busy = false;
}

void answer_error(struct caller *c, const char *code, const char *fmt, ...)
{
	char text[REQUEST_WHY_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	send_json(c, json_pack("{ssss}", "error", code, "message", text));
	c->busy = false;
}

/* True: it was sent. */
static bool answer_if_kept(struct caller *c)
{
	const struct store *s = c->admin->p.store;
	json_t *fields = c->kept;

	if (store_tried(s) < c->until)
		return false;
	c->kept = NULL;
	if (store_refused(s) != c->refused)
		json_object_set_new(fields, "unkept", json_true());
	answer(c, fields);
	return true;
}

static void poll_soon(struct admin *a)
{
	struct timeval t = { 0, POLL_MS * 1000 };

	event_add(a->poll, &t);
}

void answer_kept(struct caller *c, json_t *fields)
{
	const struct store *s = c->admin->p.store;

	if (!store_is_kept(s)) {
		answer(c, fields);
		return;
	}
	c->kept = fields ? fields : json_object();
	c->until = store_changed(s);
	c->refused = store_refused(s);
	if (!answer_if_kept(c))
		poll_soon(c->admin);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct admin *a = arg;
	struct caller *next;
	bool waits = false;

	(void)fd;
	(void)what;
	for (struct caller *c = a->callers; c; c = next) {
		next = c->next;
		if (!c->kept)
			continue;
		if (answer_if_kept(c))
			caller_go_on(c);
		else
			waits = true;
	}
	if (waits)
		poll_soon(a);
}

/* ---- connections -------------------------------------------------------------------- */

static void caller_free(struct caller *c)
{
	struct admin *a = c->admin;

	health_forget(a, c);
	*(c->prev ? &c->prev->next : &a->callers) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	a->caller_count--;
	if (a->listener)
		evconnlistener_enable(a->listener);
	json_decref(c->kept);
	bufferevent_free(c->bev);
	free(c);
}

/* With what is to be sent; nothing more is read. */
static void caller_end(struct caller *c)
{
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
	if (!evbuffer_get_length(bufferevent_get_output(c->bev)))
		caller_free(c);
}

static void run(struct caller *c, const char *line, size_t len)
{
	static void (*const does[VERBS])(struct caller * c, const struct request *rq) = {
		[VERB_STATUS] = on_status,
		[VERB_HEALTH] = on_health,
		[VERB_METRICS] = on_metrics,
		[VERB_ROOMS] = on_rooms,
		[VERB_ROOM] = on_room,
		[VERB_ROOM_ADD] = on_room_add,
		[VERB_ROOM_SET] = on_room_set,
		[VERB_ROOM_REMOVE] = on_room_remove,
		[VERB_LINKS] = on_links,
		[VERB_LINK_ADD] = on_link_add,
		[VERB_LINK_REVOKE] = on_link_revoke,
		[VERB_PEOPLE] = on_people,
		[VERB_KICK] = on_kick,
		[VERB_DRAIN] = on_drain,
		[VERB_LOG] = on_log,
		[VERB_KEYS] = on_keys,
		[VERB_CHALLENGE_ADD] = on_challenge_add,
		[VERB_CHALLENGE_REMOVE] = on_challenge_remove,
	};
	char why[REQUEST_WHY_MAX];
	struct request rq;

	c->busy = true;
	if (request_read(&rq, line, len, why)) {
		answer_error(c, "bad-request", "%s", why);
		return;
	}
	log_debug("admin.ask", "do=%s", verb_name(rq.verb));
	does[rq.verb](c, &rq);
}

void caller_go_on(struct caller *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len;
	char *line;

	while (!c->busy && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		run(c, line, len);
		free(line);
	}
	if (c->busy || evbuffer_get_length(in) < CTL_LINE_MAX)
		return;
	answer_error(c, "too-large", "A request is one line of at most %d bytes.",
		     CTL_LINE_MAX);
	caller_end(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	caller_go_on(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct caller *c = arg;

	(void)bev;
	if (c->closing)
		caller_free(c);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what; /* gone, an error, or its time is over */
	caller_free(arg);
}

static struct caller *caller_create(struct admin *a, evutil_socket_t fd)
{
	struct timeval read_s = { READ_S, 0 }, write_s = { WRITE_S, 0 };
	struct caller *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->bev = bufferevent_socket_new(a->p.base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		free(c);
		return NULL;
	}
	c->admin = a;
	c->next = a->callers;
	if (c->next)
		c->next->prev = c;
	a->callers = c;
	a->caller_count++;
	bufferevent_setcb(c->bev, on_read, on_written, on_end, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CTL_LINE_MAX);
	bufferevent_set_timeouts(c->bev, &read_s, &write_s);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return c;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa,
		      int len, void *arg)
{
	struct admin *a = arg;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t peer_len = sizeof peer;
	struct caller *c;

	(void)sa;
	(void)len;
	c = caller_create(a, fd);
	if (!c) {
		close(fd);
		return;
	}
	if (a->caller_count == CONNECTIONS_MAX) /* the others wait */
		evconnlistener_disable(l);
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) &&
	    peer_allowed(peer.uid, geteuid()))
		return;
	log_warn("admin.refused", "uid=%u", (unsigned)peer.uid);
	answer_error(c, "not-allowed",
		     "Only root and the user that palabred runs as may ask.");
	caller_end(c);
}

/* ---- listening ---------------------------------------------------------------------- */

/* The lock is on the directory: it goes with the process, however that ends, so a socket
 * that is there without it is a dead one's. */
static int lock_dir(struct admin *a, const char *dir, char *why, size_t why_len)
{
	int err;

	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dir_fd >= 0 && !flock(a->dir_fd, LOCK_EX | LOCK_NB))
		return 0;
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (err == -EBUSY)
		snprintf(why, why_len,
			 "%s is used by another palabred; set server.runtime_dir to "
			 "another directory",
			 dir);
	else
		snprintf(why, why_len, "%s cannot be used: %s", dir, strerror(-err));
	return err;
}

static int open_socket(const char *path, char *why, size_t why_len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	memcpy(at.sun_path, path, strlen(path) + 1);
	unlink(path);
	/* Nobody can connect before it listens, so the mode comes in time. */
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at) &&
	    !chmod(path, 0600) && !listen(fd, CONNECTIONS_MAX))
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	snprintf(why, why_len, "%s cannot be made: %s", path, strerror(-err));
	return err;
}

int admin_listen(struct admin *a, char *why, size_t why_len)
{
	char dir[CTL_PATH_MAX], path[CTL_PATH_MAX];
	const char *given = a->p.conf->server.runtime_dir;
	int err = ctl_dir(given, true, dir), fd;

	if (err) {
		snprintf(why, why_len,
			 "%s cannot be used for palabrectl's socket: %s; set "
			 "server.runtime_dir to a directory that can",
			 given[0] ? given : "no usual directory", strerror(-err));
		return err;
	}
	err = lock_dir(a, dir, why, why_len);
	if (err)
		return err;
	/* ctl_dir() has seen to it that it fits. */
	snprintf(path, sizeof path, "%.*s/%s", CTL_PATH_MAX - (int)sizeof CTL_SOCKET - 2,
		 dir, CTL_SOCKET);
	fd = open_socket(path, why, why_len);
	if (fd < 0)
		return fd;
	a->listener =
		evconnlistener_new(a->p.base, on_accept, a,
				   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!a->listener) {
		close(fd);
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	memcpy(a->path, path, sizeof path);
	return 0;
}

/* ---- life --------------------------------------------------------------------------- */

struct admin *admin_create(const struct admin_parts *p)
{
	struct admin *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->p = *p;
	a->dir_fd = -1;
	a->started_s = clock_wall_us() / 1000000;
	snprintf(a->url, sizeof a->url, "%s", p->url);
	a->p.url = a->url;
	a->poll = event_new(p->base, -1, 0, on_poll, a);
	if (!a->poll || health_init(a) ||
	    proxies_parse(&a->readers, p->conf->http.metrics)) {
		admin_destroy(a);
		return NULL;
	}
	pages_init(a);
	return a;
}

void admin_destroy(struct admin *a)
{
	while (a->callers)
		caller_free(a->callers);
	if (a->listener)
		evconnlistener_free(a->listener);
	if (a->path[0])
		unlink(a->path);
	if (a->dir_fd >= 0)
		close(a->dir_fd);
	if (a->poll)
		event_free(a->poll);
	health_fini(a);
	free(a);
}
