/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The counters' table of the running thread, and how to list one. */
#include <palabre/base.h>

static struct stats dummy;

_Thread_local struct stats *stats_here = &dummy;

void stats_each(struct stats *s, void (*fn)(const char *name, uint64_t value, void *arg),
		void *arg)
{
#define X(n) fn(#n, atomic_load_explicit(&s->n, memory_order_relaxed), arg);
	STATS_LIST(X)
#undef X
}

void stats_add(struct stats *to, struct stats *from)
{
#define X(n) to->n += atomic_load_explicit(&from->n, memory_order_relaxed);
	STATS_LIST(X)
#undef X
}
