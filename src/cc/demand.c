/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The sum over a source's listeners. Counts of layers taken, and of steps of rate (four an octave) for which
 * there is room: the most is the highest step with a count, so nobody is ever visited.
 */
#include <palabre/cc_layers.h>

enum { OCTAVE_MIN = 13 /* 8 kbit/s: less carries no picture */, STEPS_OCTAVE = 4 };

static unsigned step_of(uint32_t bps)
{
	unsigned octave, step;

	if (bps < 1u << OCTAVE_MIN)
		return 0;
	octave = 31 - (unsigned)__builtin_clz(bps);
	step = (octave - OCTAVE_MIN) * STEPS_OCTAVE + (bps >> (octave - 2) & 3) + 1;
	return step < DEMAND_STEPS ? step : DEMAND_STEPS - 1;
}

static uint32_t bps_of(unsigned step)
{
	unsigned octave = OCTAVE_MIN + (step - 1) / STEPS_OCTAVE;

	return (4 + (step - 1) % STEPS_OCTAVE) << (octave - 2);
}

/* A step up is one when there is an eighth more than that: an estimate on the edge between two is not to be
 * told to the sender ten times a second. */
static unsigned step_follow(unsigned was, uint32_t bps)
{
	unsigned high = step_of(bps), sure = step_of(bps - bps / 8);

	if (sure > was || !was)
		return sure;
	return high < was ? high : was;
}

static bool layer_move(struct demand *d, unsigned was, unsigned is)
{
	uint16_t before = d->layers;

	if (was && !--d->takers[was - 1])
		d->layers &= (uint16_t) ~(1u << (was - 1));
	if (is && !d->takers[is - 1]++)
		d->layers |= (uint16_t)(1u << (is - 1));
	return d->layers != before;
}

static bool step_move(struct demand *d, unsigned was, unsigned is)
{
	uint32_t before = demand_room_bps(d);

	if (was && !--d->rooms[was])
		d->steps &= ~(1ull << was);
	if (is && !d->rooms[is]++)
		d->steps |= 1ull << is;
	return demand_room_bps(d) != before;
}

bool demand_change(struct demand *d, struct demand_part *part, int sid, int tid,
		   uint32_t room_bps)
{
	bool valid = sid >= 0 && sid < ALLOC_SPATIAL && tid >= 0 && tid < ALLOC_TEMPORAL;
	unsigned layer = valid ? 1 + (unsigned)(sid * ALLOC_TEMPORAL + tid) : 0;
	unsigned step = step_follow(part->step, room_bps);
	bool changed = layer_move(d, part->layer, layer);

	changed |= step_move(d, part->step, step);
	part->layer = (uint8_t)layer;
	part->step = (uint8_t)step;
	return changed;
}

unsigned demand_layers(const struct demand *d, bool svc)
{
	unsigned needed = 0;

	for (unsigned i = 0; i < DEMAND_LAYERS; i++) {
		if (!(d->layers & 1u << i))
			continue;
		/* rates below it, and with svc those of the pictures below it */
		for (unsigned below = 0; below <= i; below++)
			if (below % ALLOC_TEMPORAL <= i % ALLOC_TEMPORAL &&
			    (svc || below / ALLOC_TEMPORAL == i / ALLOC_TEMPORAL))
				needed |= 1u << below;
	}
	return needed;
}

int demand_top(const struct demand *d)
{
	if (!d->layers)
		return -1;
	return (31 - __builtin_clz(d->layers)) / ALLOC_TEMPORAL;
}

uint32_t demand_room_bps(const struct demand *d)
{
	return d->steps ? bps_of(63 - (unsigned)__builtin_clzll(d->steps)) : 0;
}
