/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Type=notify and the watchdog. The beat comes from the control thread's loop and stops when a
 * worker does: the manager then ends us and starts us anew, and people come back by themselves.
 */
#include "service.h"

#include <palabre/base.h>

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

/* A worker has from one beat to the next to answer, so an end comes after two lost in a row at the
 * earliest. */
enum { BEATS_PER_WATCHDOG = 4 };

struct service {
	struct event *beat;
	bool (*alive)(void *arg);
	void *arg;
	bool silent; /* logged already */
};

bool service_managed(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	bool alive = s->alive(s->arg);

	(void)fd;
	(void)what;
	if (alive)
		(void)sd_notify(0, "WATCHDOG=1");
	else if (!s->silent)
		log_error("app.watchdog", "a worker does not answer");
	s->silent = !alive;
}

struct service *service_start(struct event_base *base, bool (*alive)(void *arg),
			      void *arg)
{
	struct service *s = calloc(1, sizeof *s);
	uint64_t watchdog_us = 0;
	struct timeval tv;

	if (!s)
		return NULL;
	s->alive = alive;
	s->arg = arg;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
		watchdog_us /= BEATS_PER_WATCHDOG;
		tv.tv_sec = (time_t)(watchdog_us / 1000000);
		tv.tv_usec = (suseconds_t)(watchdog_us % 1000000);
		s->beat = event_new(base, -1, EV_PERSIST, on_beat, s);
		if (!s->beat || event_add(s->beat, &tv)) {
			service_destroy(s);
			return NULL;
		}
	}
	(void)sd_notify(0, "READY=1");
	return s;
}

void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_us());
}

void service_reloaded(const char *problem)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s%s", problem ? "Goes on as before: " : "",
			 problem ? problem : "");
}

void service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void service_destroy(struct service *s)
{
	if (!s)
		return;
	if (s->beat)
		event_free(s->beat);
	free(s);
}
