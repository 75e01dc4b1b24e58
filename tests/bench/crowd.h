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
	uint64_t rtp; /* received by all */
};
/* For server_start: limits that a crowd from one address doesn't reach. */
extern const char *const crowd_sets[];
int crowd_create(struct crowd *c, const struct signal_link *link, unsigned cap);
void crowd_destroy(struct crowd *c);
/* Joins one more; a sender has microphone and camera on. 0 or -1 after saying why. */
int crowd_join(struct crowd *c, bool sends);
/* Runs everybody for `us` microseconds; senders send the synthetic mix if `media`. */
void crowd_run(struct crowd *c, uint64_t us, bool media);
/* Until all are connected; false after `us`. */
bool crowd_connect(struct crowd *c, uint64_t us);

#endif
