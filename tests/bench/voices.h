/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rooms of people who hear a mix, for benchmarks: in each a few who talk (encoded once, looped), a
 * few watchers who stay on the lanes, and listeners on the rungs of the ladder.
 *
 * The delay is that of the server alone: from just before a talker's sendto to the kernel's
 * time of the copy's arrival in a watcher's socket. The benchmark's own queue is not in it.
 */
#ifndef BENCH_VOICES_H
#define BENCH_VOICES_H

#include "babble.h"
#include "crowd.h"

enum { VOICES_TALKERS = 3, VOICES_LOOP_S = 20 };

struct voices_room {
	struct voices *all;
	struct signal_link link;
	unsigned people, listeners; /* in it so far; on rungs */
	struct crowd_person *talkers[VOICES_TALKERS];
	unsigned ahead, phase_ms; /* where in the loop, and between two packets */
	uint64_t *sent_us[VOICES_TALKERS]; /* of each packet of the loop, last */
};
struct voices {
	struct server server;
	struct crowd crowd;
	int log;
	struct babble babble[VOICES_TALKERS];
	unsigned room_count;
	struct voices_room *rooms;
	struct voices_known *known; /* packets of the loops by what is in them */
	bool measuring;
	unsigned sample_count;
	uint32_t *delays_us;
};
struct voices_figures {
	double cpu_pct, cpu_us_per_s, encodes_per_s, packets_per_s;
	double less_s; /* seconds in which encoders took less care (audio_effort) */
	unsigned p50_us, p99_us;
	long rss_kib;
};
/* A server with `rooms` rooms; `talks` as babble_create wants it, of each talker, or NULL. 0 or -1
 * after saying why. */
int voices_start(struct voices *v, const char *program, uint16_t port, unsigned rooms,
		 unsigned people, const uint32_t talks[VOICES_TALKERS]);
void voices_stop(struct voices *v);
/* The next of the talkers; somebody on the lanes; somebody on the next rung. 0 or -1. */
int voices_join_talker(struct voices_room *r);
int voices_join_watcher(struct voices_room *r);
int voices_join_listener(struct voices_room *r);
/* The talkers hear the mix, too, each on another rung. */
int voices_talkers_listen(struct voices_room *r);
/* Everybody there? Then lets `seconds` pass. */
int voices_settle(struct voices *v, unsigned seconds);
int voices_measure(struct voices *v, unsigned seconds, struct voices_figures *f);

#endif
