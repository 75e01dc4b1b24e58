/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bench mix PALABRED [listeners…]: one room in which three talk at once all the time, listeners on
 * four rungs, a few people on the lanes. A line for each number of listeners (ascending; by default
 * 100, 1000, 5000). Aims, printed and not asserted: as many encodes for many as for few; a quarter
 * of a core for 1000, one for 5000, sending included; under 160 µs a listener and second.
 */
#include <stdio.h>
#include <stdlib.h>

#include "voices.h"

enum {
	PORT = 18082,
	WATCHERS = 4,
	BEFORE_S = 3,
	SETTLE_S = 14,
	MEASURE_S = 10,
	COUNTS_MAX = 8
};

static int begin(struct voices_room *r, struct voices_figures *before)
{
	int err = 0;

	for (unsigned i = 0; i < VOICES_TALKERS && !err; i++)
		err = voices_join_talker(r);
	for (unsigned i = 0; i < WATCHERS && !err; i++)
		err = voices_join_watcher(r);
	if (!err)
		err = voices_settle(r->all, BEFORE_S);
	return err ? err : voices_measure(r->all, MEASURE_S, before);
}

static int with(struct voices_room *r, unsigned listeners,
		const struct voices_figures *before)
{
	uint64_t begin_us = clock_now_us();
	struct voices_figures f;
	double us;
	int err = voices_talkers_listen(r);

	while (!err && r->listeners < listeners)
		err = voices_join_listener(r);
	begin_us = clock_now_us() - begin_us;
	if (!err)
		err = voices_settle(r->all, SETTLE_S);
	if (!err)
		err = voices_measure(r->all, MEASURE_S, &f);
	if (err)
		return err;
	us = (f.cpu_us_per_s - before->cpu_us_per_s) / listeners;
	printf("listeners=%u encodes_per_s=%.0f cpu_pct=%.1f kib_per_listener=%.1f "
	       "us_per_listener_s=%.0f added_p99_us=%d p99_us=%u p50_us=%u "
	       "packets_per_s=%.0f join_s=%.0f less_care_s=%.0f\n",
	       listeners, f.encodes_per_s, f.cpu_pct,
	       (double)(f.rss_kib - before->rss_kib) / listeners, us,
	       (int)f.p99_us - (int)before->p99_us, f.p99_us, f.p50_us, f.packets_per_s,
	       (double)begin_us / 1e6, f.less_s);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned counts[COUNTS_MAX] = { 100, 1000, 5000 }, n = 3;
	struct voices_figures before;
	struct voices v;
	int err;

	if (argc > 2)
		for (n = 0; n + 2 < (unsigned)argc && n < COUNTS_MAX; n++)
			counts[n] = (unsigned)atoi(argv[n + 2]);
	if (argc < 2 || voices_start(&v, argv[1], PORT, 1,
				     counts[n - 1] + VOICES_TALKERS + WATCHERS, NULL))
		return 1;
	err = begin(&v.rooms[0], &before);
	if (!err)
		printf("no mix: cpu %.1f %% of a core, forwarding p50 %u us, p99 %u us\n",
		       before.cpu_pct, before.p50_us, before.p99_us);
	for (unsigned i = 0; i < n && !err; i++)
		err = with(&v.rooms[0], counts[i], &before);
	voices_stop(&v);
	return err ? 1 : 0;
}
