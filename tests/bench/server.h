/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A palabred under test: started on a port of its own, measured from /proc, stopped with
 * the benchmark. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "signalling.h"

struct server {
	pid_t pid;
	char dir[64];
	struct signal_link link; /* the guest link it printed */
};
/* `program` is the binary. 0 or -1 after saying why. */
int server_start(struct server *s, const char *program, uint16_t port);
void server_stop(struct server *s);
/* CPU time of all its threads, nanoseconds. */
uint64_t server_cpu_ns(const struct server *s);
long server_rss_kib(const struct server *s);

#endif
