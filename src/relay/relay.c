/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plane as a whole: which rooms need a look, and when. */
#include "priv.h"

static const uint64_t TICK_US = 100000;

struct relay *relay_create(const struct relay_port_ops *port_ops,
			   const struct relay_stream_ops *stream_ops,
			   const struct relay_room_ops *room_ops)
{
	struct relay *r = mem_create(sizeof *r, NULL);

	if (!r)
		return NULL;
	r->port_ops = port_ops;
	r->stream_ops = stream_ops;
	r->room_ops = room_ops;
	return r;
}

void relay_destroy(struct relay *r)
{
	mem_unref(r);
}

void relay_tick(struct relay *r, uint64_t now_us)
{
	struct link *l = r->live;

	r->tick_us = now_us;
	while (l) {
		struct relay_room *room = CONTAINER_OF(l, struct relay_room, live_link);

		l = l->next;
		room_tick(room, now_us);
	}
}

uint64_t relay_next_us(const struct relay *r, uint64_t now_us)
{
	if (!r->live)
		return UINT64_MAX;
	return r->tick_us + TICK_US > now_us ? r->tick_us + TICK_US : now_us;
}
