/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * worker: one media thread: its loop, sockets, packet pool, and the legs of the rooms
 * that live on it. Level 6. The functions here are the control thread's: commands travel
 * down through a bounded ring, events come back through another. A room lives on one
 * worker, so packets meet no lock.
 *
 * Events are *states*, not deltas: a leg that changed is marked, and what it is now is
 * told when there is room in the ring. So nothing is lost when the control thread is
 * slow; only intermediate states are skipped.
 */
#ifndef PALABRE_WORKER_H
#define PALABRE_WORKER_H

#include <palabre/leg.h>
#include <palabre/net.h>

struct worker;

enum { WORKER_UFRAG_BYTES = 8, WORKER_PWD_BYTES = 24, WORKERS_MAX = 64 };

struct worker_config {
	unsigned index;
	const struct cert *cert;
	unsigned pool_pkts;
	unsigned tcp_queue_ms;
	/* To bind for UDP; at most one per family. Port included (the same for both). */
	unsigned bind_count;
	struct addr bind[2];
};

enum worker_event_type {
	WORKER_CREATED, /* leg_create's answer: `error` 0 or -errno */
	WORKER_LINK,	/* leg's link: `link` */
	WORKER_SLOT,	/* leg, `slot`, `stream` (0 idle), `ts`, `at_ms` */
	WORKER_PAUSED,	/* leg, `kind`, `paused`, `layers` (as leg_layers_get) */
	WORKER_VOICE,	/* leg, `voice` */
	WORKER_SPEAKERS /* room: `ports`, `count` */
};
struct worker_event {
	uint8_t type;
	uint8_t kind;
	bool paused;
	uint8_t layers;
	uint8_t count;
	int error;
	enum leg_link link;
	unsigned slot;
	uint64_t leg;  /* caller's id */
	uint64_t room; /* caller's id */
	uint32_t stream, ts;
	uint64_t at_ms;
	struct leg_voice_state voice;
	uint32_t ports[RELAY_LANES];
};

/* Binds, then starts the thread. -errno and `why` for people. */
int worker_start(struct worker **out, const struct worker_config *config, char *why,
		 size_t why_len) MUST_CHECK;
/* Ends the thread after closing every leg; frees all. */
void worker_stop(struct worker *w);
/* Readable when events wait. */
int worker_event_fd(const struct worker *w);
/* Pops one; false when none. Clear the fd first with worker_event_clear(). */
bool worker_event_next(struct worker *w, struct worker_event *ev);
void worker_event_clear(struct worker *w);

/* Commands. All -ENOBUFS when the ring is full (counted), -ENOMEM; nothing is
 * half-applied. Ids are the caller's, never 0 and never used twice. A room is made with
 * its first leg and goes with its last. */
int worker_leg_create(struct worker *w, uint64_t leg, uint64_t room, uint32_t port,
		      const struct nego_plan *plan) MUST_CHECK;
int worker_leg_close(struct worker *w, uint64_t leg) MUST_CHECK;
int worker_leg_media(struct worker *w, uint64_t leg, enum stream_kind kind,
		     bool on) MUST_CHECK;
int worker_leg_view(struct worker *w, uint64_t leg, bool automatic,
		    const struct relay_view *view, unsigned count) MUST_CHECK;
/* As leg_voice(), and it stays so; LEG_LANES as leg_lanes(). */
int worker_leg_voice(struct worker *w, uint64_t leg, int rung, unsigned red) MUST_CHECK;
/* As leg_follow(). -EINVAL: no such rungs. */
int worker_leg_follow(struct worker *w, uint64_t leg, unsigned low,
		      unsigned high) MUST_CHECK;
int worker_leg_restart(struct worker *w, uint64_t leg, const char *local_ufrag,
		       const char *local_pwd, const char *remote_ufrag,
		       const char *remote_pwd) MUST_CHECK;
/* Hands over a TCP connection with the bytes read from it; the fd is the worker's from
 * now on (closed on failure). */
int worker_tcp(struct worker *w, int fd, const struct addr *peer,
	       const struct addr *local, const uint8_t *early, size_t len) MUST_CHECK;

/* A fresh ICE ufrag that names this worker in its first character, and a password. */
void worker_credentials(const struct worker *w, char ufrag[WORKER_UFRAG_BYTES + 1],
			char pwd[WORKER_PWD_BYTES + 1]);
/* The worker index a ufrag names, or -EINVAL. */
int worker_of_ufrag(const char *ufrag, size_t len) MUST_CHECK;

/* Asks it for a sign of life; has it given that? */
void worker_ping(struct worker *w);
bool worker_answered(const struct worker *w);

/* Counters of the worker, for display; legs it holds. */
struct stats *worker_stats(struct worker *w);
unsigned worker_legs(const struct worker *w);

#endif
