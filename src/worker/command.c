/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Commands: the only door into a worker. Sent by the control thread, run here between
 * batches. An id the worker doesn't know (any more) makes a command do nothing: the leg
 * may have gone meanwhile.
 */
#include "worker_private.h"

#include <palabre/cc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct worker_leg *find_leg(struct worker *w, uint64_t id)
{
	for (struct hash_node *n = hash_find(w->leg_table, id); n; n = hash_next(n)) {
		struct worker_leg *wl = CONTAINER_OF(n, struct worker_leg, node);

		if (wl->id == id)
			return wl;
	}
	return NULL;
}

static struct worker_room *find_room(struct worker *w, uint64_t id)
{
	for (struct hash_node *n = hash_find(w->rooms, id); n; n = hash_next(n)) {
		struct worker_room *wr = CONTAINER_OF(n, struct worker_room, node);

		if (wr->id == id)
			return wr;
	}
	return NULL;
}

static struct worker_room *get_room(struct worker *w, uint64_t id)
{
	struct worker_room *wr = find_room(w, id);

	if (wr)
		return wr;
	wr = calloc(1, sizeof *wr);
	if (!wr)
		return NULL;
	wr->id = id;
	wr->relay = relay_room_create(w->relay, wr);
	if (!wr->relay) {
		free(wr);
		return NULL;
	}
	hash_insert(w->rooms, &wr->node, id);
	return wr;
}

static void put_room(struct worker *w, struct worker_room *wr)
{
	if (wr->legs)
		return;
	notify_forget_room(w, wr);
	hash_remove(w->rooms, &wr->node);
	relay_room_destroy(wr->relay);
	free(wr);
}

static int create(struct worker *w, const struct command *c, uint64_t now_us)
{
	struct worker_room *wr = get_room(w, c->room);
	struct worker_leg *wl = calloc(1, sizeof *wl);
	int err = -ENOMEM;

	if (!wr || !wl)
		goto out;
	wl->id = c->leg;
	wl->room = wr;
	wl->voice.rung = LEG_LANES;
	err = leg_create(&wl->leg, w->legs, wr->relay, c->port, c->data, wl, now_us);
	if (err)
		goto out;
	hash_insert(w->leg_table, &wl->node, wl->id);
	wr->legs++;
	atomic_store(&w->leg_count, hash_count(w->leg_table));
	return 0;
out:
	free(wl);
	if (wr)
		put_room(w, wr);
	return err;
}

static void close_leg(struct worker *w, struct worker_leg *wl, uint64_t now_us)
{
	struct worker_room *wr = wl->room;

	leg_close(wl->leg, now_us);
	notify_forget_leg(w, wl); /* after leg_close: it may still have said something */
	hash_remove(w->leg_table, &wl->node);
	atomic_store(&w->leg_count, hash_count(w->leg_table));
	free(wl);
	wr->legs--;
	put_room(w, wr);
}

static void close_each(struct hash_node *n, void *arg)
{
	struct worker *w = arg;

	close_leg(w, CONTAINER_OF(n, struct worker_leg, node), clock_now_us());
}

void command_close_all(struct worker *w, uint64_t now_us)
{
	(void)now_us;
	hash_each(w->leg_table, close_each, w);
}

static void tcp(struct worker *w, const struct command_tcp *t)
{
	int64_t id = framed_add(w->framed, t->fd, &t->peer, &t->local, t->early, t->len);

	if (id < 0)
		log_debug("worker.tcp", "error=%s", strerror((int)-id));
}

static int voice(struct leg *leg, const struct command *c, uint64_t now_us)
{
	if (c->rung == LEG_LANES)
		return leg_lanes(leg, now_us);
	leg_follow_end(leg, now_us);
	return leg_voice(leg, c->rung, c->red, now_us);
}

static void run_on_leg(struct worker_leg *wl, const struct command *c, uint64_t now_us)
{
	const struct command_restart *r = c->data;
	const struct command_view *v = c->data;

	switch (c->type) {
	case COMMAND_MEDIA:
		leg_media(wl->leg, (enum stream_kind)c->kind, c->on, now_us);
		break;
	case COMMAND_VIEW:
		leg_view(wl->leg, c->on, v ? v->view : NULL, v ? v->count : 0, now_us);
		break;
	case COMMAND_VOICE:
		if (voice(wl->leg, c, now_us))
			STAT_INC(mix_fail);
		break;
	case COMMAND_FOLLOW:
		if (leg_follow(wl->leg, c->low, c->high, now_us))
			STAT_INC(mix_fail);
		break;
	case COMMAND_RESTART:
		leg_restart(wl->leg, r->local_ufrag, r->local_pwd, r->remote_ufrag,
			    r->remote_pwd, now_us);
		break;
	default:
		break;
	}
}

void command_run(struct worker *w, const struct command *c, uint64_t now_us)
{
	struct worker_leg *wl = c->leg ? find_leg(w, c->leg) : NULL;

	switch (c->type) {
	case COMMAND_CREATE:
		notify_created(w, c->leg, wl ? -EEXIST : create(w, c, now_us));
		break;
	case COMMAND_CLOSE:
		if (wl)
			close_leg(w, wl, now_us);
		break;
	case COMMAND_TCP:
		tcp(w, c->data);
		break;
	case COMMAND_PING:
		w->pongs++;
		break;
	case COMMAND_STOP:
		w->stopping = true;
		break;
	default:
		if (wl)
			run_on_leg(wl, c, now_us);
	}
	free(c->data);
}

/* ---- control thread's side --------------------------------------------------------- */

static int send_command(struct worker *w, const struct command *c)
{
	if (!ring_push(w->commands, c))
		return 0;
	STAT_INC(cmd_full);
	free(c->data);
	return -ENOBUFS;
}

static void *copy(const void *data, size_t len)
{
	void *p = malloc(len);

	if (p)
		memcpy(p, data, len);
	return p;
}

int worker_leg_create(struct worker *w, uint64_t leg, uint64_t room, uint32_t port,
		      const struct nego_plan *plan)
{
	struct command c = {
		.type = COMMAND_CREATE, .leg = leg, .room = room, .port = port
	};

	c.data = copy(plan, sizeof *plan);
	return c.data ? send_command(w, &c) : -ENOMEM;
}

int worker_leg_voice(struct worker *w, uint64_t leg, int rung, unsigned red)
{
	struct command c = {
		.type = COMMAND_VOICE, .leg = leg, .rung = rung, .red = red
	};

	return send_command(w, &c);
}

int worker_leg_follow(struct worker *w, uint64_t leg, unsigned low, unsigned high)
{
	struct command c = { .type = COMMAND_FOLLOW, .leg = leg };

	if (low > high || high >= VOICE_RUNGS)
		return -EINVAL;
	c.low = (uint8_t)low;
	c.high = (uint8_t)high;
	return send_command(w, &c);
}

int worker_leg_close(struct worker *w, uint64_t leg)
{
	struct command c = { .type = COMMAND_CLOSE, .leg = leg };

	return send_command(w, &c);
}

int worker_leg_media(struct worker *w, uint64_t leg, enum stream_kind kind, bool on)
{
	struct command c = {
		.type = COMMAND_MEDIA, .leg = leg, .kind = (uint8_t)kind, .on = on
	};

	return send_command(w, &c);
}

int worker_leg_view(struct worker *w, uint64_t leg, bool automatic,
		    const struct relay_view *view, unsigned count)
{
	struct command c = { .type = COMMAND_VIEW, .leg = leg, .on = automatic };
	struct command_view *v;

	if (count > RELAY_VIEW_MAX)
		return -EINVAL;
	v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	v->count = count;
	for (unsigned i = 0; i < count; i++)
		v->view[i] = view[i];
	c.data = v;
	return send_command(w, &c);
}

static void text_copy(char *to, size_t cap, const char *from)
{
	size_t len = strnlen(from, cap - 1);

	memcpy(to, from, len);
	to[len] = 0;
}

int worker_leg_restart(struct worker *w, uint64_t leg, const char *local_ufrag,
		       const char *local_pwd, const char *remote_ufrag,
		       const char *remote_pwd)
{
	struct command c = { .type = COMMAND_RESTART, .leg = leg };
	struct command_restart *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	text_copy(r->local_ufrag, sizeof r->local_ufrag, local_ufrag);
	text_copy(r->local_pwd, sizeof r->local_pwd, local_pwd);
	text_copy(r->remote_ufrag, sizeof r->remote_ufrag, remote_ufrag);
	text_copy(r->remote_pwd, sizeof r->remote_pwd, remote_pwd);
	c.data = r;
	return send_command(w, &c);
}

void worker_ping(struct worker *w)
{
	struct command c = { .type = COMMAND_PING };

	if (w->pongs != w->pings) /* that one will do */
		return;
	w->ping_lost = send_command(w, &c) != 0;
	if (!w->ping_lost)
		w->pings++;
}

bool worker_answered(const struct worker *w)
{
	return !w->ping_lost && w->pongs == w->pings;
}

int worker_tcp(struct worker *w, int fd, const struct addr *peer,
	       const struct addr *local, const uint8_t *early, size_t len)
{
	struct command c = { .type = COMMAND_TCP };
	struct command_tcp *t = len <= EARLY_MAX ? calloc(1, sizeof *t) : NULL;
	int err = -ENOMEM;

	if (t) {
		t->fd = fd;
		t->peer = *peer;
		t->local = *local;
		t->len = len;
		memcpy(t->early, early, len);
		c.data = t;
		err = send_command(w, &c);
	}
	if (err)
		close(fd);
	return err;
}
