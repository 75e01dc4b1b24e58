/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bench rooms PALABRED [rooms] [people in each]: many rooms on one worker, in each somebody talks,
 * now and then two, all hear the mix on their rungs; in every fifth room one person stays on
 * the lanes and tells how late forwarded packets get through.
 */
#include <stdio.h>
#include <stdlib.h>

#include "voices.h"

enum { PORT = 18083, WATCHED = 5, BEFORE_S = 3, SETTLE_S = 14, MEASURE_S = 20 };

/* Seconds 0-19: the first 0-6 and 17-19, the second 6-11 and a word at 3, the third 12-17. */
static const uint32_t talks[VOICES_TALKERS] = { 0xe007f, 0x00fc8, 0x3f000 };

static int begin(struct voices *v, struct voices_figures *before)
{
	int err = 0;

	for (unsigned i = 0; i < v->room_count && !err; i++) {
		for (unsigned t = 0; t < VOICES_TALKERS && !err; t++)
			err = voices_join_talker(&v->rooms[i]);
		if (!err && i % WATCHED == 0)
			err = voices_join_watcher(&v->rooms[i]);
	}
	if (!err)
		err = voices_settle(v, BEFORE_S);
	return err ? err : voices_measure(v, MEASURE_S, before);
}

static int fill(struct voices *v, unsigned people)
{
	int err = 0;

	for (unsigned i = 0; i < v->room_count && !err; i++) {
		err = voices_talkers_listen(&v->rooms[i]);
		while (!err && v->rooms[i].people < people)
			err = voices_join_listener(&v->rooms[i]);
	}
	return err ? err : voices_settle(v, SETTLE_S);
}

int main(int argc, char **argv)
{
	unsigned rooms = argc > 2 ? (unsigned)atoi(argv[2]) : 40;
	unsigned people = argc > 3 ? (unsigned)atoi(argv[3]) : 25;
	struct voices_figures before, f;
	struct voices v;
	int err;

	if (argc < 2 || voices_start(&v, argv[1], PORT, rooms, rooms * people, talks))
		return 1;
	err = begin(&v, &before);
	if (!err)
		err = fill(&v, people);
	if (!err)
		err = voices_measure(&v, MEASURE_S, &f);
	voices_stop(&v);
	if (err)
		return 1;
	printf("no mix: cpu %.1f %% of a core, forwarding p50 %u us, p99 %u us\n",
	       before.cpu_pct, before.p50_us, before.p99_us);
	printf("rooms=%u people=%u encodes_per_s=%.0f cpu_pct=%.1f added_p99_us=%d "
	       "p99_us=%u "
	       "p50_us=%u packets_per_s=%.0f less_care_s=%.0f of %d\n",
	       rooms, rooms * people, f.encodes_per_s, f.cpu_pct,
	       (int)f.p99_us - (int)before.p99_us, f.p99_us, f.p50_us, f.packets_per_s,
	       f.less_s, MEASURE_S);
	return 0;
}
