/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * call: binds a room's people to legs and workers: picks the worker, negotiates, sends
 * commands down and carries states up. Level 8, control thread. What signalling,
 * federation and phones share: none of them talks to a worker itself.
 */
#ifndef PALABRE_CALL_H
#define PALABRE_CALL_H

#include <palabre/conf.h>
#include <palabre/nego.h>
#include <palabre/room.h>
#include <palabre/store.h>
#include <palabre/worker.h>

struct event_base;
struct calls; /* all calls of this server */
struct call;  /* what happens in one room */

enum { CALL_JOIN_DEADLINE_MS = 5000 };

/* A person's place in a call. Made with the person, gone with it. */
struct seat {
	struct person *person;
	struct call *call;
	uint64_t leg; /* 0 = no media connection */
	enum leg_link link;
	bool whip;  /* goes when its leg goes: nobody would come back with a ticket */
	void *user; /* the api's session, NULL while no WebSocket is attached */
	unsigned slot_count;
	struct seat_slot {
		char mid[NEGO_MID_MAX + 1];
		bool audio;
		uint32_t stream; /* 0 idle */
		uint32_t ts;
		uint64_t at_ms; /* of leg_slot_state */
	} slots[NEGO_SLOTS_MAX];
	/* What is to be sent of a stream, as the worker has said of this leg; layers as leg_layers_get. */
	struct seat_pause {
		bool known, paused;
		uint8_t layers;
	} pauses[STREAM_KINDS];
	bool forwarded[STREAM_KINDS]; /* what the worker has been told of person->media */
	/* Last view asked for, kept for the next leg; NULL = automatic. */
	struct seat_view *view;
	unsigned view_count;
	struct leg_voice_state voice; /* how the voices come to them now, */
	bool voice_known;	      /* if the worker has said so of this leg */
	int voice_rung;		/* asked for, kept for the next leg; as leg_voice() */
	struct nego_plan *plan; /* for ICE restarts */
};
struct seat_view {
	char person[PERSON_ID_BYTES + 1];
	enum stream_kind kind;
	uint16_t width, height;
};

struct call_ops {
	void (*joined)(void *arg, struct seat *s);
	void (*leaving)(void *arg, struct seat *s, enum leave_reason reason);
	void (*updated)(void *arg, struct seat *s);
	void (*slot)(void *arg, struct seat *s, unsigned slot);
	void (*paused)(void *arg, struct seat *s, enum stream_kind kind);
	void (*voice)(void *arg, struct seat *s);
	void (*link)(void *arg, struct seat *s);
	void (*speakers)(void *arg, struct call *c);
	/* Of ROOM_WAITING the person has a seat already. */
	void (*event)(void *arg, struct call *c, const struct room_event *ev);
};

struct calls *calls_create(struct event_base *base, const struct conf *conf,
			   const struct cert *cert, const struct call_ops *ops,
			   void *arg) MUST_CHECK;
void calls_destroy(struct calls *cs); /* stops the workers */
/* Calls in rooms that are kept there begin as it says. */
void calls_set_store(struct calls *cs, const struct store *store);
/* What is kept of this room has changed: an empty call, which is there only for what it remembers,
 * begins anew. */
void calls_room_changed(struct calls *cs, const char *room);
/* Starts the workers on these addresses (without ports: conf's). */
int calls_start(struct calls *cs, const struct addr *bind, unsigned bind_count, char *why,
		size_t why_len) MUST_CHECK;

/* Why something was refused: a stable code and words for people. */
struct refusal {
	int status; /* HTTP */
	const char *code;
	char text[200];
	const char *why; /* id of the page's text, NULL: it goes by the code */
};
void refusal_of_deny(struct refusal *out, enum deny why);
struct join_request {
	const char *room;
	const char *id; /* of a person who comes back, NULL = new */
	const char *name;
	enum role role;
	uint64_t key;	   /* of the browser, 0 none */
	bool admitted;	   /* comes back, and was inside */
	const char *offer; /* NULL: would only wait, if there is a lobby */
	size_t offer_len;
	const char *kind_mids[STREAM_KINDS]; /* all NULL: by order */
	bool media_given; /* else a returning person's stay as they are */
	bool media[STREAM_KINDS];
	bool whip;
	bool loopback; /* the peer is on this machine: loopback candidates make sense */
};
/* Without a seat: refused. With a seat and no answer: in the lobby, to come again with the ticket when
 * let in. Called once, later or from inside. */
typedef void (*join_done_fn)(void *arg, struct seat *seat, const char *answer,
			     const struct refusal *why);
void call_join(struct calls *cs, const struct join_request *rq, join_done_fn fn,
	       void *arg);
/* The one who asked has gone away: the callback won't come. */
void call_join_forget(struct calls *cs, void *arg);
/* ICE restart of the present leg: 0 and the answer (caller frees), or a refusal. */
int call_restart(struct seat *s, const char *offer, size_t len, bool loopback,
		 char **answer, struct refusal *why) MUST_CHECK;
/* The same from a WHIP fragment. One that only brings candidates is read over (an ICE-lite server
 * needs none): 0, and no answer. */
int call_restart_fragment(struct seat *s, const char *fragment, size_t len, bool loopback,
			  struct text *answer, struct refusal *why) MUST_CHECK;
void call_leave(struct seat *s, enum leave_reason reason);
enum deny call_media(struct seat *s, enum stream_kind kind, bool on);
/* As room_act(), now. */
enum deny call_act(struct seat *s, const struct act *a) MUST_CHECK;
/* Somebody in the lobby has a WebSocket, or none any more. */
void call_attend(struct seat *s, bool here);
void call_view(struct seat *s, bool automatic, const struct seat_view *view,
	       unsigned count);
/* What they hear of the voices, and what their page is asked to send: LEG_LANES, a rung that they
 * have pinned (enum audio_rung, from poor to rich), or LEG_FOLLOWS: what their link bears. */
void call_voice(struct seat *s, int rung);
/* The sound that they hear names itself who talks (a voice at a rung, without pictures): they need no
 * events for that. */
bool call_names_talkers(const struct seat *s);
void call_rename(struct seat *s, const char *name);

struct call *call_find(struct calls *cs, const char *room);
struct room *call_room(const struct call *c);
struct seat *call_seat(const struct call *c, const char *person_id);
struct seat *call_seat_by_leg(struct calls *cs, uint64_t leg);
/* Who speaks now, loudest first. */
unsigned call_speakers(const struct call *c, struct person *out[RELAY_LANES]);
unsigned calls_count(const struct calls *cs);
/* All; `fn` must not end one. */
void calls_each(const struct calls *cs, void (*fn)(void *arg, struct call *c), void *arg);
unsigned calls_workers(const struct calls *cs);
unsigned calls_worker_legs(const struct calls *cs, unsigned worker);
/* Asks every worker for a sign of life; then: the first that has not given it (yet), -1 none. */
void calls_ping(struct calls *cs);
int calls_silent(const struct calls *cs);
/* The worker of a framed TCP connection. */
void calls_tcp(struct calls *cs, int fd, const struct addr *peer,
	       const struct addr *local, const uint8_t *early, size_t len,
	       const char *ufrag, size_t ufrag_len);
/* Adds all workers' counters to `out`. */
void calls_stats(struct calls *cs, struct stats *out);

#endif
