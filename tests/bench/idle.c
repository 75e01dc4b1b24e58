/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bench idle PALABRED [people] [seconds]: that many people in one room, all muted: what
 * they cost the server.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"

enum { PORT = 18081, SETTLE_S = 14 };

int main(int argc, char **argv)
{
	unsigned people = argc > 2 ? (unsigned)atoi(argv[2]) : 500;
	unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 10;
	struct server s;
	struct crowd c;
	uint64_t cpu_ns, wall_us;
	long rss_before;
	int err = 0;

	if (argc < 2 || server_start(&s, argv[1], PORT, crowd_sets, 2) ||
	    crowd_create(&c, &s.link, people))
		return 1;
	rss_before = server_rss_kib(&s);
	for (unsigned i = 0; i < people && !err; i++) {
		err = crowd_join(&c, false);
		crowd_run(&c, 1000, false);
	}
	if (err || !crowd_connect(&c, 30000000)) {
		fprintf(stderr, "not everybody got in\n");
		server_stop(&s);
		return 1;
	}
	crowd_run(&c, SETTLE_S * 1000000ULL, false);
	cpu_ns = server_cpu_ns(&s);
	wall_us = clock_now_us();
	crowd_run(&c, seconds * 1000000ULL, false);
	wall_us = clock_now_us() - wall_us;
	cpu_ns = server_cpu_ns(&s) - cpu_ns;
	printf("people=%u core_percent=%.2f kib_per_person=%.1f rss_kib=%ld\n", people,
	       (double)cpu_ns / 10.0 / (double)wall_us,
	       (double)(server_rss_kib(&s) - rss_before) / people, server_rss_kib(&s));
	crowd_destroy(&c);
	server_stop(&s);
	return 0;
}
