/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How much care encoders take. A thread that has no time left sends everything late, to everybody; encoding with
 * less care costs a little quality (docs/measurements.md, "Many rooms"). A step up may cost twice what was spent: one
 * that was too much is tried again later and later.
 */
#include <palabre/audio.h>

enum {
	BUSY_PCT = 70,
	FULL_PCT = 90, /* two steps at once */
	CALM_PCT = 40,
	CALM_RUNS = 5,
	TRIED_RUNS = 5,	   /* busy so soon after a step up: it was that */
	PATIENCE_MAX = 320 /* runs, and when it is forgotten */
};
static const uint64_t RUN_US = 500000; /* shorter ones are not judged */

static void down(struct audio_effort *e, unsigned steps)
{
	if (e->since_up < TRIED_RUNS && e->patience < PATIENCE_MAX)
		e->patience *= 2;
	e->since_up = TRIED_RUNS;
	e->less += steps;
	if (e->less >= AUDIO_EFFORTS)
		e->less = AUDIO_EFFORTS - 1;
}

void audio_effort_run(struct audio_effort *e, uint64_t now_us, uint64_t cpu_us)
{
	uint64_t wall_us = now_us - e->now_us, pct;

	if (!e->now_us) {
		*e = (struct audio_effort) { .now_us = now_us,
					     .cpu_us = cpu_us,
					     .patience = CALM_RUNS,
					     .since_up = TRIED_RUNS };
		return;
	}
	if (wall_us < RUN_US)
		return;
	pct = (cpu_us - e->cpu_us) * 100 / wall_us;
	e->now_us = now_us;
	e->cpu_us = cpu_us;
	e->calm = pct < CALM_PCT ? e->calm + 1 : 0;
	if (++e->since_up >= PATIENCE_MAX)
		e->patience = CALM_RUNS;
	if (pct >= BUSY_PCT)
		down(e, pct >= FULL_PCT ? 2 : 1);
	if (e->calm < e->patience || !e->less)
		return;
	e->calm = e->since_up = 0;
	e->less--;
}
