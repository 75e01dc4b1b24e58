/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A palabred under test: started on a port of its own on loopback, measured from /proc,
 * stopped with the program that started it. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "signalling.h"

enum { SERVER_SETS_MAX = 16 };
struct server {
	pid_t pid;
	const char *program;
	uint16_t port;
	char dir[64];
	struct signal_link link; /* the guest link it printed */
};
/* A port that is free now, in TCP and UDP, and that no client's socket will take; 0 none.
 */
uint16_t server_free_port(void);
/* `program` is the binary, `sets` up to SERVER_SETS_MAX options as after --set, then
 * NULL; `log` is where its log goes (2: as it is). 0 or -1 after saying why. */
int server_start(struct server *s, const char *program, uint16_t port,
		 const char *const *sets, int log);
/* SIGTERM. The exit code, or -1 if a signal ended it. */
int server_stop(struct server *s);
/* It hasn't ended by itself. */
bool server_alive(const struct server *s);
/* A link into another room. 0 or -1 after saying why. */
int server_link(const struct server *s, const char *role, const char *room,
		struct signal_link *out);
/* CPU time of all its threads, nanoseconds. */
uint64_t server_cpu_ns(const struct server *s);
long server_rss_kib(const struct server *s);
/* One of its counters (base.h), read from its log, which server_start was given as a file; -1
 * when it says nothing for 2 s. 0 too if there is none of that name. */
int64_t server_counter(const struct server *s, int log, const char *name);
/* Open file descriptors, -1 unknown. */
int server_fds(const struct server *s);

#endif
