/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How often one person may do something: GCRA, one number of state. */
#include "room_in.h"

bool rate_take(uint64_t *state, uint64_t now_us, uint64_t gap_us, unsigned burst)
{
	uint64_t due = *state > now_us ? *state : now_us;

	if (due - now_us > gap_us * (burst - 1))
		return false;
	*state = due + gap_us;
	return true;
}
