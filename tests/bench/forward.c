/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bench forward PALABRED [receivers] [seconds]: a room on real sockets, three publishers
 * (50 packets/s of audio and 1 Mbit/s of video each), N receivers, each with its
 * WebSocket. CPU is the whole server's (all threads, from /proc), so is its memory; the
 * limit is tests/bench/limit.c in the same run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"
#include "limit.h"

enum { PUBLISHERS = 3, PORT = 18080, SETTLE_S = 14 };

int main(int argc, char **argv)
{
	unsigned receivers = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 8;
	struct server s;
	struct crowd c;
	long rss_before, rss_after;
	uint64_t cpu_ns, rtp, wall_us;
	double us, limit;
	int err = 0;

	if (argc < 2 || server_start(&s, argv[1], PORT, crowd_sets, 2) ||
	    crowd_create(&c, &s.link, receivers + PUBLISHERS))
		return 1;
	for (unsigned i = 0; i < PUBLISHERS && !err; i++)
		err = crowd_join(&c, true);
	if (!err && !crowd_connect(&c, 10000000))
		err = -1;
	/* The publishers' own stores and buffers are part of the room, not of a receiver.
	 */
	if (!err)
		crowd_run(&c, SETTLE_S * 1000000ULL, true);
	rss_before = server_rss_kib(&s);
	for (unsigned i = 0; i < receivers && !err; i++) {
		err = crowd_join(&c, false);
		crowd_run(&c, 1000, true);
	}
	if (!err && !crowd_connect(&c, 30000000))
		err = -1;
	if (err) {
		fprintf(stderr, "not everybody got in\n");
		server_stop(&s);
		return 1;
	}
	/* Handshake memory is given back some seconds after the first packet. */
	crowd_run(&c, SETTLE_S * 1000000ULL, true);
	cpu_ns = server_cpu_ns(&s);
	rtp = c.rtp;
	wall_us = clock_now_us();
	crowd_run(&c, seconds * 1000000ULL, true);
	wall_us = clock_now_us() - wall_us;
	cpu_ns = server_cpu_ns(&s) - cpu_ns;
	rtp = c.rtp - rtp;
	rss_after = server_rss_kib(&s);
	crowd_destroy(&c);
	server_stop(&s);
	limit = limit_us_per_packet(receivers, PUBLISHERS, 6);
	us = rtp ? (double)cpu_ns / 1000.0 / (double)rtp : 0;
	printf("%u receivers, %u publishers, %u s; RSS %ld KiB with publishers only, %ld "
	       "KiB with all; server %.1f %% of a core\n",
	       receivers, PUBLISHERS, seconds, rss_before, rss_after,
	       (double)cpu_ns / 10.0 / (double)wall_us);
	printf("us_per_packet=%.2f limit_us_per_packet=%.2f ratio=%.2f "
	       "kib_per_person=%.1f packets_per_s=%.0f\n",
	       us, limit, us / limit, (double)(rss_after - rss_before) / receivers,
	       (double)rtp * 1e6 / (double)wall_us);
	return rtp ? 0 : 1;
}
