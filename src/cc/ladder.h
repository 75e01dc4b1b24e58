/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cc: what a slot may show, from little to much. */
#ifndef CC_LADDER_H
#define CC_LADDER_H

#include <palabre/cc_layers.h>

enum { LADDER_RUNGS = ALLOC_SPATIAL * ALLOC_TEMPORAL, LADDER_ANY = -1 };
struct rung {
	uint32_t bps;
	uint32_t order_bps; /* by which they stand in order */
	uint32_t value;
	uint64_t gain; /* for a bit, from the one before; not more than what that has */
	int8_t sid, tid;
	bool alive, key;
};
/* Rate and value increase; none that costs more and shows less. */
struct ladder {
	unsigned count;
	struct rung rungs[LADDER_RUNGS];
};
/* The layers of a slot up to what its tile shows. lowest: of each picture size only the lowest frame rate. sid:
 * of this size only, if not LADDER_ANY. A camera's layer that was chosen last counts as a little cheaper than it
 * is, so that measured rates that vary do not change the order back and forth. */
void ladder_build(struct ladder *l, const struct alloc_slot *slot, bool lowest, int sid,
		  const struct alloc_held *held);

#endif
