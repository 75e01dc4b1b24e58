/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Channels beside the floor. Invariant: an active voice is either among the floor's microphones
 * (speakers.c) or in its channel's list, so that nobody who follows the floor has anything to do with it.
 */
#include "speakers.h"

#include <assert.h>

static void update(struct relay_room *room, unsigned channel, uint64_t now_us)
{
	for (unsigned i = 0; i < room->port_count; i++)
		if (room->ports[i]->channel == channel)
			port_update_audio(room->ports[i], now_us);
}

void channel_join(struct relay_stream *st, uint64_t now_us)
{
	speakers_reset(st);
	link_add(&st->room->channels[st->channel], &st->mic_link);
	update(st->room, st->channel, now_us);
}

void channel_leave(struct relay_stream *st, uint64_t now_us)
{
	link_remove(&st->mic_link);
	update(st->room, st->channel, now_us);
}

struct relay_stream *channel_voice(const struct relay_port *p)
{
	if (!p->channel)
		return NULL;
	for (struct link *l = p->room->channels[p->channel]; l; l = l->next) {
		struct relay_stream *st = CONTAINER_OF(l, struct relay_stream, mic_link);

		if (st->port != p)
			return st;
	}
	return NULL;
}

void relay_stream_channel(struct relay_stream *st, unsigned channel, uint64_t now_us)
{
	bool active = st->active;

	assert(!st->room->relay->forwarding && st->audio &&
	       channel <= RELAY_CHANNELS_MAX);
	if (st->channel == channel)
		return;
	relay_stream_active(st, false, now_us);
	st->channel = (uint8_t)channel;
	relay_stream_active(st, active, now_us);
}

unsigned relay_stream_channel_get(const struct relay_stream *st)
{
	return st->channel;
}

void relay_port_channel(struct relay_port *p, unsigned channel, bool floor,
			uint64_t now_us)
{
	assert(!p->room->relay->forwarding && channel <= RELAY_CHANNELS_MAX);
	if (p->channel == channel && p->floorless == !floor)
		return;
	p->channel = (uint8_t)channel;
	p->floorless = !floor;
	port_update_audio(p, now_us);
}
