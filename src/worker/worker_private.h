/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* worker: what its files share. */
#ifndef WORKER_PRIVATE_H
#define WORKER_PRIVATE_H

#include <palabre/worker.h>

#include <pthread.h>

struct event;
struct event_base;

enum {
	COMMAND_RING = 4096,
	EVENT_RING = 8192,
	PIPELINE_ROUNDS = 8, /* batches before the loop looks at other things */
	EARLY_MAX = 1024,
	TCP_WANTED_MS = 10000 /* for a first valid check, and after a leg has gone */
};

/* Table entries of the worker around the modules' objects. */
struct worker_room {
	struct hash_node node;
	uint64_t id;
	struct relay_room *relay;
	unsigned legs;
	bool dirty; /* speakers to be told */
	struct worker_room *next_dirty;
	unsigned speaker_count;
	uint32_t speakers[RELAY_LANES];
};
struct worker_leg {
	struct hash_node node;
	uint64_t id;
	struct leg *leg;
	struct worker_room *room;
	bool dirty;
	struct worker_leg *next_dirty;
	/* Told last. */
	enum leg_link link;
	uint8_t paused; /* bits by kind */
	uint8_t layers[STREAM_KINDS];
	struct leg_slot_state slots[NEGO_SLOTS_MAX];
	struct leg_voice_state voice;
};

struct worker {
	unsigned index;
	pthread_t thread;
	struct event_base *base;
	struct udp_sock *udp[2];
	struct event *udp_event[2], *command_event, *timer_event;
	struct tx *tx;
	struct pkt_pool *pool;
	struct wheel *wheel;
	struct transport *transport;
	struct relay *relay;
	struct legs *legs;
	struct framed_set *framed;
	struct hash *rooms, *leg_table;
	struct worker_leg *dirty_legs;
	struct worker_room *dirty_rooms;
	struct ring *commands, *events;
	uint64_t timer_due_us;
	_Atomic unsigned leg_count;
	unsigned pings; /* the control thread's, as … */
	bool ping_lost; /* … this: there was no room for the last */
	_Atomic unsigned pongs;
	bool stopping;
	struct stats stats;
};

/* pipeline.c */
void pipeline_made(struct worker *w, uint64_t now_us);
void pipeline_run(struct worker *w, struct udp_sock *sock);
void pipeline_packet(struct worker *w, struct pkt *p, uint64_t now_us);
/* command.c: runs what the control thread sent */
enum command_type {
	COMMAND_CREATE,
	COMMAND_CLOSE,
	COMMAND_MEDIA,
	COMMAND_VIEW,
	COMMAND_VOICE,
	COMMAND_FOLLOW,
	COMMAND_RESTART,
	COMMAND_TCP,
	COMMAND_PING,
	COMMAND_STOP
};
struct command_view {
	unsigned count;
	struct relay_view view[RELAY_VIEW_MAX];
};
struct command_restart {
	char local_ufrag[NEGO_UFRAG_MAX + 1], local_pwd[NEGO_PWD_MAX + 1];
	char remote_ufrag[SDP_TEXT_MAX + 1], remote_pwd[SDP_TEXT_MAX + 1];
};
struct command_tcp {
	int fd;
	struct addr peer, local;
	size_t len;
	uint8_t early[EARLY_MAX];
};
struct command {
	uint8_t type;
	uint8_t kind;
	bool on;
	int rung;
	unsigned red;
	uint8_t low, high; /* rungs */
	uint32_t port;
	uint64_t leg, room;
	void *data; /* nego_plan, command_view, command_restart, command_tcp; freed by the
		       worker */
};
void command_run(struct worker *w, const struct command *c, uint64_t now_us);
void command_close_all(struct worker *w, uint64_t now_us);
/* notify.c: states up to the control thread */
void notify_created(struct worker *w, uint64_t leg, int error);
void notify_leg_changed(void *arg, struct leg *leg);
void notify_speakers(void *owner, struct relay_room *room, const uint32_t *ports,
		     unsigned count, uint64_t now_us);
void notify_forget_leg(struct worker *w, struct worker_leg *wl);
void notify_forget_room(struct worker *w, struct worker_room *wr);
/* Tells what it can; true if something is left for later. */
bool notify_flush(struct worker *w);
/* worker.c */
extern _Thread_local struct worker *worker_here; /* of the running thread */
void worker_after(struct worker *w, uint64_t now_us);

#endif
