/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* People for benchmarks: test clients that join a server by its link and are polled
 * together on one thread. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "client.h"
#include "server.h"

struct crowd_person {
	struct client *client;
	struct signal_join join;
	bool sends;
	unsigned slot; /* section of its first receiving slot */
	uint32_t audio_ssrc, video_ssrc;
	uint16_t audio_seq, video_seq;
	uint32_t ts48, ts90;
	uint16_t pid;
	unsigned frames;
};
struct crowd {
	const struct signal_link *link;
	struct client_hub *hub;
	struct cert *cert;
	unsigned count, cap;
	struct crowd_person *people;
	uint64_t rtp; /* received by all that open what they get */
	/* Instead of the synthetic mix, every tick_us: what a benchmark sends itself; reports then
	 * come as seldom as of a browser with sound only. */
	void (*on_tick)(void *arg, uint64_t tick);
	void *arg;
	uint64_t tick_us, tick, next_us, timers_us;
};
/* One whose offer has sound only. */
struct crowd_voice {
	const struct signal_link *link;
	bool mic;
	void (*on_rtp)(void *arg, uint8_t *data, size_t len,
		       uint64_t now_us); /* NULL: counts and opens nothing */
	void *arg;
};
/* For server_start: limits that a crowd from one address doesn't reach. */
extern const char *const crowd_sets[];
int crowd_create(struct crowd *c, const struct signal_link *link, unsigned cap);
void crowd_destroy(struct crowd *c);
/* Joins one more; a sender has microphone and camera on. 0 or -1 after saying why. */
int crowd_join(struct crowd *c, bool sends);
int crowd_join_voice(struct crowd *c, const struct crowd_voice *v);
/* What all have received, opened or not. */
uint64_t crowd_received(const struct crowd *c);
/* As many descriptors as we may have, for this program and what it starts. */
void crowd_raise_limits(void);
/* Runs everybody for `us` microseconds; senders send the synthetic mix if `media`. */
void crowd_run(struct crowd *c, uint64_t us, bool media);
/* Lets the ticks go that joining has made late. */
void crowd_skip(struct crowd *c);
/* Until all are connected; false after `us`. */
bool crowd_connect(struct crowd *c, uint64_t us);

#endif
