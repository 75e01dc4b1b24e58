/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * States up to the control thread. A leg or room that changed goes on a list (no
 * allocation: this is called from the hot path); after the batch each one's present state
 * is compared with what was told last and the differences go into the ring. If the ring
 * is full the rest stays listed: nothing is lost, only intermediate states.
 */
#include "worker_private.h"

static bool tell(struct worker *w, const struct worker_event *ev)
{
	if (ring_push(w->events, ev)) {
		STAT_INC(event_full);
		return false;
	}
	return true;
}

void notify_created(struct worker *w, uint64_t leg, int error)
{
	struct worker_event ev = { .type = WORKER_CREATED, .leg = leg, .error = error };

	/* The control thread has a deadline for this answer; a full ring makes it pass.
	 */
	(void)tell(w, &ev);
}

void notify_leg_changed(void *arg, struct leg *leg)
{
	struct worker *w = arg;
	struct worker_leg *wl = leg_user(leg);

	if (wl->dirty)
		return;
	wl->dirty = true;
	wl->next_dirty = w->dirty_legs;
	w->dirty_legs = wl;
}

void notify_speakers(void *owner, struct relay_room *room, const uint32_t *ports,
		     unsigned count, uint64_t now_us)
{
	struct worker_room *wr = owner;

	(void)room;
	(void)now_us;
	wr->speaker_count = count;
	for (unsigned i = 0; i < count; i++)
		wr->speakers[i] = ports[i];
	if (wr->dirty)
		return;
	wr->dirty = true;
	wr->next_dirty = worker_here->dirty_rooms;
	worker_here->dirty_rooms = wr;
}

static bool tell_link(struct worker *w, struct worker_leg *wl)
{
	struct worker_event ev = { .type = WORKER_LINK,
				   .leg = wl->id,
				   .link = leg_link_get(wl->leg) };

	if (ev.link == wl->link)
		return true;
	if (!tell(w, &ev))
		return false;
	wl->link = ev.link;
	return true;
}

static bool tell_slots(struct worker *w, struct worker_leg *wl)
{
	for (unsigned i = 0; i < leg_slot_count(wl->leg); i++) {
		struct leg_slot_state now = leg_slot_get(wl->leg, i);
		struct worker_event ev = { .type = WORKER_SLOT,
					   .leg = wl->id,
					   .slot = i,
					   .stream = now.stream,
					   .ts = now.ts,
					   .at_ms = now.at_ms };

		if (now.stream == wl->slots[i].stream && now.ts == wl->slots[i].ts &&
		    now.at_ms == wl->slots[i].at_ms)
			continue;
		if (!tell(w, &ev))
			return false;
		wl->slots[i] = now;
	}
	return true;
}

static bool tell_paused(struct worker *w, struct worker_leg *wl)
{
	for (unsigned kind = 0; kind < STREAM_KINDS; kind++) {
		bool paused = leg_paused_get(wl->leg, (enum stream_kind)kind);
		unsigned layers = leg_layers_get(wl->leg, (enum stream_kind)kind);
		struct worker_event ev = { .type = WORKER_PAUSED,
					   .leg = wl->id,
					   .kind = (uint8_t)kind,
					   .paused = paused,
					   .layers = (uint8_t)layers };

		if (paused == (wl->paused >> kind & 1) && layers == wl->layers[kind])
			continue;
		if (!tell(w, &ev))
			return false;
		wl->paused = (uint8_t)((wl->paused & ~(1u << kind)) | (unsigned)paused
									      << kind);
		wl->layers[kind] = (uint8_t)layers;
	}
	return true;
}

/* The loss alone is no news. */
static bool tell_voice(struct worker *w, struct worker_leg *wl)
{
	struct worker_event ev = { .type = WORKER_VOICE,
				   .leg = wl->id,
				   .voice = leg_voice_get(wl->leg) };

	if (ev.voice.following == wl->voice.following &&
	    ev.voice.no_pictures == wl->voice.no_pictures &&
	    ev.voice.rung == wl->voice.rung && ev.voice.red == wl->voice.red &&
	    ev.voice.up_rung == wl->voice.up_rung &&
	    ev.voice.up_red == wl->voice.up_red &&
	    ev.voice.jitter_ms == wl->voice.jitter_ms)
		return true;
	if (!tell(w, &ev))
		return false;
	wl->voice = ev.voice;
	return true;
}

static bool tell_speakers(struct worker *w, struct worker_room *wr)
{
	struct worker_event ev = { .type = WORKER_SPEAKERS,
				   .room = wr->id,
				   .count = (uint8_t)wr->speaker_count };

	for (unsigned i = 0; i < wr->speaker_count; i++)
		ev.ports[i] = wr->speakers[i];
	return tell(w, &ev);
}

bool notify_flush(struct worker *w)
{
	while (w->dirty_legs) {
		struct worker_leg *wl = w->dirty_legs;

		if (!tell_link(w, wl) || !tell_slots(w, wl) || !tell_paused(w, wl) ||
		    !tell_voice(w, wl))
			return true;
		w->dirty_legs = wl->next_dirty;
		wl->dirty = false;
	}
	while (w->dirty_rooms) {
		struct worker_room *wr = w->dirty_rooms;

		if (!tell_speakers(w, wr))
			return true;
		w->dirty_rooms = wr->next_dirty;
		wr->dirty = false;
	}
	return false;
}

void notify_forget_leg(struct worker *w, struct worker_leg *wl)
{
	for (struct worker_leg **p = &w->dirty_legs; *p; p = &(*p)->next_dirty) {
		if (*p == wl) {
			*p = wl->next_dirty;
			return;
		}
	}
}

void notify_forget_room(struct worker *w, struct worker_room *wr)
{
	for (struct worker_room **p = &w->dirty_rooms; *p; p = &(*p)->next_dirty) {
		if (*p == wr) {
			*p = wr->next_dirty;
			return;
		}
	}
}
