/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How much care encoders take. A thread that has no time left sends everything late, to everybody; encoding with
 * less care costs a little quality (docs/measurements.md, "Many rooms"). Each step costs five eighths of the one
 * above or more, so what is calm enough for a step up does not become too much by it.
 */
#include <palabre/audio.h>

enum {
	BUSY_PCT = 70,
	FULL_PCT = 90, /* two steps at once */
	CALM_PCT = 40,
	CALM_RUNS = 5,
	RUN_US = 500000 /* shorter ones are not judged */
};

void audio_effort_run(struct audio_effort *e, uint64_t now_us, uint64_t cpu_us)
{
	uint64_t wall_us = now_us - e->now_us, pct = 0;
	unsigned down = 0;

	if (e->now_us && wall_us < RUN_US)
		return;
	if (e->now_us)
		pct = (cpu_us - e->cpu_us) * 100 / wall_us;
	e->now_us = now_us;
	e->cpu_us = cpu_us;
	e->calm = pct < CALM_PCT ? e->calm + 1 : 0;
	if (pct >= BUSY_PCT)
		down = pct >= FULL_PCT ? 2 : 1;
	e->less += down;
	if (e->less >= AUDIO_EFFORTS)
		e->less = AUDIO_EFFORTS - 1;
	if (e->calm < CALM_RUNS || !e->less)
		return;
	e->calm = 0;
	e->less--;
}
