/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Does everybody answer? Asked only when somebody wants to know, so that idle workers sleep. That the
 * control thread answers, the answer itself shows.
 */
#include "admin_in.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

static void tell(struct admin *a, bool good, const char *text)
{
	struct health *h = &a->health;

	while (h->count) {
		struct asker asker = h->askers[--h->count];

		asker.fn(asker.arg, good, text);
	}
}

/* False: not known yet. */
static bool look(struct admin *a)
{
	int silent = calls_silent(a->p.calls);
	char text[128];

	if (silent >= 0 && clock_now_us() - a->health.since_us < HEALTH_MS * 1000ULL)
		return false;
	if (silent >= 0)
		snprintf(text, sizeof text, "Worker %d has not answered for %d s.",
			 silent, HEALTH_MS / 1000);
	else if (api_is_draining(a->p.api))
		snprintf(text, sizeof text,
			 "The server is draining: nobody new comes in.");
	else
		snprintf(text, sizeof text, "All threads answer.");
	tell(a, silent < 0 && !api_is_draining(a->p.api), text);
	return true;
}

static void arm(struct health *h)
{
	struct timeval t = { 0, POLL_MS * 1000 };

	event_add(h->poll, &t);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct admin *a = arg;

	(void)fd;
	(void)what;
	if (!look(a))
		arm(&a->health);
}

bool health_ask(struct admin *a, void (*fn)(void *arg, bool good, const char *text),
		void *arg)
{
	struct health *h = &a->health;

	if (h->count == ASKERS_MAX)
		return false;
	h->askers[h->count++] = (struct asker) { fn, arg };
	if (h->count > 1)
		return true; /* the same answer is theirs */
	h->since_us = clock_now_us();
	calls_ping(a->p.calls);
	arm(h);
	return true;
}

void health_forget(struct admin *a, void *arg)
{
	struct health *h = &a->health;

	for (unsigned i = h->count; i-- > 0;)
		if (h->askers[i].arg == arg)
			h->askers[i] = h->askers[--h->count];
}

int health_init(struct admin *a)
{
	a->health.poll = event_new(a->p.base, -1, 0, on_poll, a);
	return a->health.poll ? 0 : -ENOMEM;
}

void health_fini(struct admin *a)
{
	if (a->health.poll)
		event_free(a->health.poll);
	a->health.poll = NULL;
	tell(a, false, "The server stops.");
}
