/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * path: one direction of an emulated network path, for tests: a bottleneck with a queue,
 * then delay, jitter, loss and duplication. Pure: no clock and no sockets; time comes in
 * as an argument (ns), packets go in and out by copy. One owner, one thread.
 */
#ifndef PALABRE_TESTS_PATH_H
#define PALABRE_TESTS_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PATH_PKT_MAX_BYTES = 2048, PATH_PKTS_MAX = 65536 };

struct path_settings {
	double rate_kbps; /* 0 = unlimited */
	double queue_ms;  /* a packet that would wait longer is dropped */
	double delay_ms;  /* one way */
	double jitter_ms; /* uniform, on top of the delay */
	double loss, dup; /* probabilities */
	double to_bad, to_good, loss_bad, loss_good; /* Gilbert-Elliott; to_bad 0 = off */
	bool reorder;				     /* jitter may change the order */
	bool down;				     /* everything is dropped */
};

struct path_counts {
	uint64_t in_pkts, in_bytes, out_pkts, out_bytes;
	uint64_t queue_drops_pkts, lost_pkts, dup_pkts, overflow_pkts;
	uint64_t udp_pkts, tcp_pkts, other_pkts; /* of those that came in */
	double queue_max_ms;
	uint64_t size_pkts[4]; /* came in: <= 128, <= 512, <= 1200, longer */
};

struct path_pkt {
	int64_t due_ns;
	uint64_t order;
	size_t len;
	unsigned char *data;
};

struct path {
	struct path_settings set;
	struct path_counts counts;
	uint64_t random; /* state; same seed, same losses */
	bool bad;	 /* Gilbert-Elliott state */
	int64_t free_ns; /* when the bottleneck has sent everything accepted so far */
	int64_t last_ns; /* when the last packet comes out, to keep the order */
	uint64_t order;
	struct path_pkt *heap;
	size_t n, room;
};

void path_init(struct path *p, uint64_t seed);
void path_fini(struct path *p);
/* "rate=64" and so on (see pathemu.c); 0, or -EINVAL and nothing changed. */
int path_set(struct path *p, const char *key, const char *value);
/* A packet comes in: copied, or dropped and counted. */
void path_put(struct path *p, const void *data, size_t len, int64_t now_ns);
/* The next packet that is due, or 0 when none is; `data` has PATH_PKT_MAX_BYTES. */
size_t path_take(struct path *p, void *data, int64_t now_ns);
/* When the next packet is due; INT64_MAX: nothing is on its way. */
int64_t path_next_ns(const struct path *p);
/* One JSON object. */
void path_print(const struct path *p, FILE *out);

#endif
