/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a source that a test of the relay makes need not care about. */
#ifndef TESTS_RELAY_RIG_H
#define TESTS_RELAY_RIG_H

#include <palabre/relay.h>

/* All of a picture comes with its first packet. */
static inline bool rig_whole(void *owner, struct relay_stream *st, unsigned layer,
			     uint64_t ts64, uint64_t *next)
{
	(void)owner;
	(void)st;
	(void)layer;
	(void)ts64;
	(void)next;
	return true;
}

static inline void rig_demand(void *owner, struct relay_stream *st, uint64_t now_us)
{
	(void)owner;
	(void)st;
	(void)now_us;
}

#endif
