/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Interpreters and their channels, and what each person hears. Invariants: of a channel's interpreters exactly
 * one is live, if there are any; a hand-over is asked for by somebody in the booth, and only while
 * there are two.
 */
#include "room_in.h"

enum { GAP_US = 1000000, BURST = 8 };

static const char *const level_names[FLOOR_LEVELS] = {
	[FLOOR_OFF] = "off",
	[FLOOR_20DB] = "-20",
	[FLOOR_12DB] = "-12",
};

const char *floor_level_name(enum floor_level level)
{
	return (unsigned)level < FLOOR_LEVELS ? level_names[level] : NULL;
}

bool person_is_heard(const struct person *p)
{
	return !p->booth || p->live;
}

uint32_t room_handover(const struct room *r, unsigned channel)
{
	return channel <= ROOM_LANGUAGES_MAX ? r->handovers[channel] : 0;
}

/* The other one, or how many others there are. */
static struct person *partner(const struct room *r, const struct person *p,
			      unsigned channel, unsigned *count)
{
	struct person *other = NULL;

	*count = 0;
	for (struct person *o = r->people.first; o; o = o->next) {
		if (o == p || o->booth != channel)
			continue;
		other = o;
		++*count;
	}
	return other;
}

static void tell(struct room *r)
{
	room_tell(r, &(struct room_event) { .type = ROOM_CHANNELS });
}

/* Nobody is heard somewhere else than they think: it is they who switch the microphone on again. */
static void hush(struct room *r, struct person *p)
{
	if (!p->media[MEDIA_MIC])
		return;
	p->media[MEDIA_MIC] = false;
	r->obs->updated(r->arg, p);
}

static void move_out(struct room *r, struct person *p)
{
	unsigned count;
	struct person *other = partner(r, p, p->booth, &count);

	r->handovers[p->booth] = 0;
	if (p->live && other)
		other->live = true; /* listeners are not left alone */
	p->booth = 0;
	p->live = false;
}

void booth_leave(struct room *r, struct person *p)
{
	if (!p->booth)
		return;
	hush(r, p);
	move_out(r, p);
	tell(r);
}

static enum deny take_seat(struct room *r, struct person *p, int channel, uint64_t now_us)
{
	unsigned count;

	if (channel < 0)
		return DENY_NO_LANGUAGE;
	if (p->booth == (unsigned)channel)
		return DENY_NOTHING;
	(void)partner(r, p, (unsigned)channel, &count);
	if (channel && count >= BOOTH_MAX)
		return DENY_BOOTH_FULL;
	if (!rate_take(&p->booth_us, now_us, GAP_US, BURST))
		return DENY_RATE;
	hush(r, p);
	if (p->booth)
		move_out(r, p);
	p->booth = (unsigned)channel;
	p->live = channel && !count;
	tell(r);
	return DENY_NOTHING;
}

static void swap(struct room *r, struct person *p, struct person *other)
{
	p->live = !p->live;
	other->live = !p->live;
	r->handovers[p->booth] = 0;
	tell(r);
}

/* One asks, the other says yes. Who is not there any more need not be asked. */
static enum deny hand_over(struct room *r, struct person *p, bool on, uint64_t now_us)
{
	unsigned count;
	struct person *other = partner(r, p, p->booth, &count);
	uint32_t *asks = &r->handovers[p->booth];

	if (!p->booth || !other)
		return DENY_NO_BOOTH;
	if (!rate_take(&p->booth_us, now_us, GAP_US, BURST))
		return DENY_RATE;
	if (on && (*asks == other->number || (other->away && !p->live))) {
		swap(r, p, other);
	} else if (on ? *asks != p->number : *asks != 0) {
		*asks = on ? p->number : 0;
		tell(r);
	}
	return DENY_NOTHING;
}

enum deny booth_act(struct room *r, struct person *p, const struct act *a,
		    uint64_t now_us)
{
	if (a->type == ACT_HANDOVER)
		return hand_over(r, p, a->on, now_us);
	return take_seat(r, p, room_channel(r, a->language), now_us);
}

enum deny hear_act(struct room *r, struct person *p, const struct act *a, uint64_t now_us)
{
	int channel = room_channel(r, a->language);

	(void)now_us; /* it concerns nobody else */
	if (channel < 0 || a->item >= FLOOR_LEVELS)
		return DENY_NO_LANGUAGE;
	p->hears = (unsigned)channel;
	p->floor = (uint8_t)a->item;
	room_tell(r, &(struct room_event) {
			     .type = ROOM_HEARS, .audience = ROOM_TO_ONE, .person = p });
	return DENY_NOTHING;
}
