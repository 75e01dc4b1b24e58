/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The least of one to two windows is the way without a queue: clocks drift by 100 ppm, 24 ms; a queue
 * that never empties has been noticed before it is taken for the way.
 */
#include "way.h"

static const uint64_t WINDOW_US = 120000000;

bool way_update(struct cc_way *w, uint64_t now_us, int64_t way_us)
{
	bool turned = w->known && now_us >= w->window_us + WINDOW_US;

	if (!w->known || turned) {
		w->base_us = turned ? w->next_us : way_us;
		w->next_us = way_us;
		w->window_us = now_us;
		w->known = true;
	}
	if (way_us < w->next_us)
		w->next_us = way_us;
	if (way_us < w->base_us)
		w->base_us = way_us;
	return turned;
}
