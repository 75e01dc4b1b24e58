/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A worker's life and loop. One timer wakes it for the wheel, the relay's tick,
 * handshakes and events that found no room; it is armed for the earliest of them, so an
 * idle worker sleeps.
 */
#include "worker_private.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char index_chars[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
_Static_assert(sizeof index_chars == WORKERS_MAX + 1, "one ice-char per worker");

_Thread_local struct worker *worker_here;

/* One that is overdue is left alone: libevent calls sockets first and takes a timer that is set
 * anew back from those to be called, so packets every millisecond would put it off for ever. */
static void timer_arm(struct worker *w, uint64_t now_us, uint64_t due_us)
{
	uint64_t wait_us = due_us > now_us ? due_us - now_us : 1;
	struct timeval tv = { (time_t)(wait_us / 1000000),
			      (suseconds_t)(wait_us % 1000000) };

	if (w->timer_due_us && w->timer_due_us <= due_us)
		return; /* fires early enough, and arms the rest then */
	w->timer_due_us = due_us;
	event_add(w->timer_event, &tv);
}

static uint64_t earliest(const struct worker *w, uint64_t now_us)
{
	uint64_t wheel_us = wheel_next_us(w->wheel, now_us);
	uint64_t relay_us = relay_next_us(w->relay, now_us);

	return wheel_us < relay_us ? wheel_us : relay_us;
}

/* What a turn leaves behind: handshakes, states to tell, timers. */
void worker_after(struct worker *w, uint64_t now_us)
{
	bool more = transport_run(w->transport, now_us);
	uint64_t due_us;

	tx_flush(w->tx);
	more |= notify_flush(w);
	due_us = more ? now_us + 1000 : earliest(w, now_us);
	if (due_us != UINT64_MAX)
		timer_arm(w, now_us, due_us);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t now_us = clock_now_us();

	(void)fd;
	(void)what;
	w->timer_due_us = 0;
	wheel_run(w->wheel, now_us);
	legs_drain(w->legs); /* what mixers have made */
	relay_tick(w->relay, now_us);
	worker_after(w, now_us);
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)what;
	pipeline_run(w, udp_fd(w->udp[0]) == fd ? w->udp[0] : w->udp[1]);
}

static void on_command(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t now_us = clock_now_us();
	struct command c;

	(void)fd;
	(void)what;
	ring_clear(w->commands);
	while (ring_pop(w->commands, &c))
		command_run(w, &c, now_us);
	if (w->stopping) {
		command_close_all(w, now_us);
		tx_flush(w->tx);
		event_base_loopbreak(w->base);
		return;
	}
	worker_after(w, now_us);
}

static void on_frame(void *arg, struct pkt *p)
{
	struct worker *w = arg;
	uint64_t now_us = p->arrival_us;

	pipeline_packet(w, p, now_us);
	legs_drain(w->legs);
	tx_flush(w->tx);
	worker_after(w, now_us);
}

static void on_frame_close(void *arg, uint32_t tcp)
{
	struct worker *w = arg;
	uint64_t now_us = clock_now_us();

	transport_tcp_closed(w->transport, tcp, now_us);
	worker_after(w, now_us);
}

static bool frames_wanted(void *arg, const struct flow *flow)
{
	struct worker *w = arg;

	return transport_knows(w->transport, flow);
}

static const struct framed_ops framed_ops = { .on_packet = on_frame,
					      .on_close = on_frame_close,
					      .wanted = frames_wanted };
static const struct leg_ops leg_ops = { .changed = notify_leg_changed };
static const struct relay_room_ops room_ops = { .speakers = notify_speakers };

static void *thread_main(void *arg)
{
	struct worker *w = arg;

	worker_here = w;
	stats_here = &w->stats;
	event_base_dispatch(w->base);
	return NULL;
}

static int sockets_open(struct worker *w, const struct worker_config *config, char *why,
			size_t why_len)
{
	struct udp_sock *v4 = NULL, *v6 = NULL;

	for (unsigned i = 0; i < config->bind_count && i < 2; i++) {
		int err = udp_open(&w->udp[i], &config->bind[i]);
		char text[ADDR_TEXT_MAX];

		if (err) {
			snprintf(why, why_len,
				 "UDP %s cannot be opened: %s; choose another "
				 "server.port, or stop what holds it",
				 addr_text(&config->bind[i], text), strerror(-err));
			return err;
		}
		*(config->bind[i].family == 4 ? &v4 : &v6) = w->udp[i];
	}
	w->tx = tx_create(v4, v6);
	return w->tx ? 0 : -ENOMEM;
}

static int objects_create(struct worker *w, const struct worker_config *config)
{
	w->base = event_base_new();
	w->pool = pkt_pool_create(config->pool_pkts);
	w->wheel = wheel_create(clock_now_us());
	w->commands = ring_create(COMMAND_RING, sizeof(struct command));
	w->events = ring_create(EVENT_RING, sizeof(struct worker_event));
	w->rooms = hash_create(64);
	w->leg_table = hash_create(256);
	if (!w->base || !w->pool || !w->wheel || !w->commands || !w->events ||
	    !w->rooms || !w->leg_table)
		return -ENOMEM;
	w->transport = transport_create(config->cert, w->tx, w->wheel, w->pool);
	w->relay = relay_create(&leg_port_ops, &leg_stream_ops, &room_ops);
	w->framed = framed_set_create(w->base, w->pool, config->tcp_queue_ms,
				      TCP_WANTED_MS, &framed_ops, w);
	if (!w->transport || !w->relay || !w->framed)
		return -ENOMEM;
	tx_set_tcp(w->tx, framed_send, w->framed);
	w->legs = legs_create(w->transport, w->tx, w->relay, w->wheel, w->pool, &leg_ops,
			      w);
	return w->legs ? 0 : -ENOMEM;
}

static int events_create(struct worker *w)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!w->udp[i])
			continue;
		w->udp_event[i] = event_new(w->base, udp_fd(w->udp[i]),
					    EV_READ | EV_PERSIST, on_udp, w);
		if (!w->udp_event[i] || event_add(w->udp_event[i], NULL))
			return -ENOMEM;
	}
	w->command_event = event_new(w->base, ring_fd(w->commands), EV_READ | EV_PERSIST,
				     on_command, w);
	w->timer_event = event_new(w->base, -1, 0, on_timer, w);
	if (!w->command_event || !w->timer_event || event_add(w->command_event, NULL))
		return -ENOMEM;
	return 0;
}

static void worker_free(struct worker *w)
{
	struct event *events[] = { w->udp_event[0], w->udp_event[1], w->command_event,
				   w->timer_event };

	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i])
			event_free(events[i]);
	legs_destroy(w->legs);
	if (w->framed)
		framed_set_destroy(w->framed);
	if (w->relay)
		relay_destroy(w->relay);
	if (w->transport)
		transport_destroy(w->transport);
	if (w->tx)
		tx_destroy(w->tx);
	for (unsigned i = 0; i < 2; i++)
		if (w->udp[i])
			udp_close(w->udp[i]);
	if (w->leg_table)
		hash_destroy(w->leg_table);
	if (w->rooms)
		hash_destroy(w->rooms);
	if (w->events)
		ring_destroy(w->events);
	if (w->commands)
		ring_destroy(w->commands);
	if (w->wheel)
		wheel_destroy(w->wheel);
	if (w->pool)
		pkt_pool_destroy(w->pool);
	if (w->base)
		event_base_free(w->base);
	free(w);
}

int worker_start(struct worker **out, const struct worker_config *config, char *why,
		 size_t why_len)
{
	struct worker *w = calloc(1, sizeof *w);
	sigset_t all, before;
	int err;

	if (!w)
		return -ENOMEM;
	w->index = config->index;
	err = sockets_open(w, config, why, why_len);
	if (err)
		goto fail;
	err = objects_create(w, config);
	if (!err)
		err = events_create(w);
	if (err) {
		snprintf(why, why_len,
			 "not enough memory for a worker with media.pool_pkts = %u; "
			 "lower it",
			 config->pool_pkts);
		goto fail;
	}
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&w->thread, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		snprintf(why, why_len, "a worker thread cannot be started: %s",
			 strerror(-err));
		goto fail;
	}
	*out = w;
	return 0;
fail:
	worker_free(w);
	return err;
}

void worker_stop(struct worker *w)
{
	struct command c = { .type = COMMAND_STOP };

	while (ring_push(w->commands, &c)) {
		struct timespec pause = { 0, 1000000 };

		nanosleep(&pause, NULL); /* the ring drains: the worker lives */
	}
	pthread_join(w->thread, NULL);
	worker_free(w);
}

int worker_event_fd(const struct worker *w)
{
	return ring_fd(w->events);
}

bool worker_event_next(struct worker *w, struct worker_event *ev)
{
	return ring_pop(w->events, ev);
}

void worker_event_clear(struct worker *w)
{
	ring_clear(w->events);
}

void worker_credentials(const struct worker *w, char ufrag[WORKER_UFRAG_BYTES + 1],
			char pwd[WORKER_PWD_BYTES + 1])
{
	random_text(ufrag, WORKER_UFRAG_BYTES);
	ufrag[0] = index_chars[w->index];
	random_text(pwd, WORKER_PWD_BYTES);
}

int worker_of_ufrag(const char *ufrag, size_t len)
{
	const char *at = len ? memchr(index_chars, ufrag[0], WORKERS_MAX) : NULL;

	return at ? (int)(at - index_chars) : -EINVAL;
}

struct stats *worker_stats(struct worker *w)
{
	return &w->stats;
}

unsigned worker_legs(const struct worker *w)
{
	return atomic_load(&w->leg_count);
}
