/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * room: who is in a room and as what, what its moderators have decided, and its board: a
 * state machine with an observer. Level 7, control thread. No media, no network, no clock
 * (time comes as an argument). Nothing here is written to disk, and nothing assumes that a
 * person is local.
 *
 * What people want goes through one door, room_act(): only there is decided who may do it.
 */
#ifndef PALABRE_ROOM_H
#define PALABRE_ROOM_H

#include <palabre/wire.h>

enum {
	ROOM_NAME_MAX = 64,	/* [a-z0-9-] */
	PERSON_NAME_CHARS = 64, /* Unicode characters … */
	PERSON_NAME_MAX = 96,	/* … and bytes */
	PERSON_ID_BYTES = 12,
	PERSON_KEY_MAX = 64,
	ROOM_LEFT_MAX = 512, /* ended stays remembered, so that their tickets stay void */
	ROOM_REMOVED_MAX = 256, /* and those that moderators have ended: of their own, or
				   whoever comes and goes would push them out */
	ROOM_BANS_MAX = 256,
	ROOM_LOBBY_MAX = 100, /* people waiting */
	ROOM_SPOTLIGHTS_MAX = 4,
	ROOM_LOBBY_KEEP_S = 60 /* waiting without a connection */
};

/* As enum stream_kind. */
enum media_kind {
	MEDIA_MIC,
	MEDIA_CAMERA,
	MEDIA_SCREEN,
	MEDIA_SCREEN_AUDIO,
	MEDIA_KINDS
};

/* ---- why something was refused ------------------------------------------------------
 *   X(NAME, id of the page's text, the protocol's code, in plain English)
 */
/* clang-format off */
#define DENY_LIST(X) \
X(ROLE, "role", "not-allowed", "Only a host or a moderator may do that.") \
X(HOST, "host", "not-allowed", "Only a host may do that.") \
X(RANK, "rank", "not-allowed", "You may not do that to a host or a moderator.") \
X(LAST_HOST, "last-host", "not-allowed", "You are the only host here; make somebody else host first.") \
X(GONE, "gone", "not-found", "That person is not here (any more).") \
X(WAITING, "waiting", "not-allowed", "You are in the lobby until a host lets you in.") \
X(HELD, "held", "not-allowed", "A moderator has switched that off for you; you may raise your hand.") \
X(MUTED, "muted", "not-allowed", "Everybody is muted at the moment; you may raise your hand.") \
X(AUDIENCE, "audience", "not-allowed", "Only who is called may speak at the moment; you may raise your hand.") \
X(LISTENER, "listener", "not-allowed", "You are here as a listener; you may raise your hand.") \
X(LOCKED, "locked", "locked", "This room is locked: nobody can join at the moment.") \
X(BANNED, "banned", "banned", "A moderator has excluded you from this room.") \
X(LOBBY_FULL, "lobby-full", "too-many", "Too many people wait to be let in. Try again in a minute.") \
X(FULL, "full", "room-full", "This room is full. Try again when somebody has left.") \
X(BANS_FULL, "bans-full", "too-many", "Too many people are excluded already; lock the room instead.") \
X(SPOTLIGHTS_FULL, "spotlights-full", "too-many", "Four people are in the spotlight already.") \
X(MEMORY, "memory", "internal", "The server has not enough memory.")
/* clang-format on */
enum deny {
	DENY_NOTHING,
#define X(name, id, code, text) DENY_##name,
	DENY_LIST(X)
#undef X
		DENY_COUNT
};
/* Static; of DENY_NOTHING "". */
const char *deny_id(enum deny why);
const char *deny_code(enum deny why);
const char *deny_text(enum deny why);

/* ---- roles -------------------------------------------------------------------------- */

enum role {
	ROLE_HOST,
	ROLE_MODERATOR,
	ROLE_SPEAKER,
	ROLE_INTERPRETER,
	ROLE_CAPTIONER,
	ROLE_LISTENER,
	ROLE_COUNT
};
/* "host", … ; NULL outside. */
const char *role_name(enum role r);
/* -EINVAL if it isn't one. */
int role_parse(const char *text) MUST_CHECK;
/* What a role gives. */
enum capability {
	CAP_SPEAK = 1 << 0, /* sends sound and pictures, if nothing else forbids it */
	CAP_STAGE = 1 << 1, /* also while all are muted, or only those called may speak */
	CAP_MODERATE = 1 << 2, /* everything of enum act_type but what needs */
	CAP_APPOINT = 1 << 3,  /* … this: roles of any rank, and acts on moderators */
	CAP_PASS_LOBBY = 1 << 4,
	CAP_PASS_LOCK = 1 << 5
};
unsigned role_caps(enum role r);
/* May people of this role send that kind of stream without being called? */
bool role_may_send(enum role r, unsigned media_kind);

/* ---- people ------------------------------------------------------------------------- */

struct room;
struct person {
	char id[PERSON_ID_BYTES + 1];
	uint32_t number; /* in this room, never used twice; 0 while waiting */
	char name[PERSON_NAME_MAX + 1];
	enum role role;
	bool waiting;		 /* in the lobby: not one of the people yet */
	bool media[MEDIA_KINDS]; /* what the person has switched on, and may send */
	bool held[MEDIA_KINDS];	 /* a moderator's: may not be switched on */
	bool allowed;		 /* to speak, though all are muted */
	bool called;		 /* to speak, as listener or in audience mode */
	bool spotlit;
	uint8_t off;	   /* bits by kind: what ROOM_OFF tells, only while it does */
	bool away;	   /* no media connection; the place is kept until … */
	uint64_t away_us;  /* … this plus the resume time */
	uint64_t key;	   /* by which they are known again after a ban; 0 none */
	uint64_t spoke_us; /* so much in all */
	void *user;	   /* the owner's */
	struct room *room;
	struct hash_node by_id, by_number;
	struct person *next, *prev;
};

enum leave_reason {
	LEAVE_LEFT,
	LEAVE_REMOVED, /* by a moderator, … */
	LEAVE_BANNED,  /* … for good, */
	LEAVE_DENIED,  /* or not let in */
	LEAVE_EXPIRED
};

/* What holds for the room. */
enum rule { RULE_LOCK, RULE_LOBBY, RULE_MUTE, RULE_AUDIENCE, RULE_COUNT };
/* "lock", …; NULL outside. */
const char *rule_name(enum rule rule);

enum room_event_type {
	ROOM_RULES, /* a rule has changed; with RULE_MUTE nobody is held or allowed any more */
	ROOM_OFF,      /* streams of several people were switched off: person.off */
	ROOM_ASKED,    /* to one: please switch `kind` on */
	ROOM_ROLE,     /* to one: they have another role now */
	ROOM_ADMITTED, /* to one, who waited */
	ROOM_WAITING,  /* to moderators: `person` waits (or is called differently) */
	ROOM_SPOTLIGHT /* who is in the spotlight has changed */
};
enum room_audience { ROOM_TO_ALL, ROOM_TO_MODERATORS, ROOM_TO_ONE };
struct room_event {
	enum room_event_type type;
	enum room_audience audience;
	struct person *person;
	unsigned kind;
};
struct room_observer {
	void (*joined)(void *arg, struct person *p);
	/* Still in the lists while called. Also of people who wait. */
	void (*leaving)(void *arg, struct person *p, enum leave_reason reason);
	/* Name, media, away, or what moderators have decided about them. */
	void (*updated)(void *arg, struct person *p);
	/* NULL: nobody listens. Must not act on the room. */
	void (*event)(void *arg, const struct room_event *ev);
};

/* 0, or -EINVAL: not [a-z0-9-]{1,64}. */
int room_name_check(const char *name) MUST_CHECK;
/* Trims, and refuses empty, too long, control and bidi-override characters, bad UTF-8. 0
 * or -EINVAL. */
int person_name_check(const char *name, char out[PERSON_NAME_MAX + 1]) MUST_CHECK;

struct room *room_create(const char *name, unsigned people_max,
			 const struct room_observer *obs, void *arg) MUST_CHECK;
void room_destroy(struct room *r); /* observers are not called */
const char *room_name(const struct room *r);

/* Somebody at the door. */
struct entry {
	const char *id; /* of one who comes back, NULL new */
	const char *name;
	enum role role;
	uint64_t key;
	bool admitted; /* they were inside before, as their ticket says */
};
/* Would they get in now, and if so, straight (*waits false) or through the lobby? Nothing changes. */
enum deny room_may_enter(const struct room *r, const struct entry *e, bool *waits);
/* Into the lobby. Who waits already is returned as they are. Error as room_enter. */
int room_wait(struct room *r, const struct entry *e, uint64_t now_us,
	      struct person **out) MUST_CHECK;
/* A new person, or, with an id, one who comes back: if that person is still here the same
 * object is returned, with its role and media as they were (name replaced if given); else
 * it is made again under the same id. -ENOSPC room is full, -EACCES the stay under this
 * id has ended, -ENOMEM. */
int room_enter(struct room *r, const struct entry *e, uint64_t now_us,
	       struct person **out) MUST_CHECK;
/* The same of whom nothing else is known. */
int room_join(struct room *r, const char *id, const char *name, enum role role,
	      uint64_t now_us, struct person **out) MUST_CHECK;
/* Ends the stay; p is freed. */
void room_leave(struct room *r, struct person *p, enum leave_reason reason);
/* Switching off is always possible. */
enum deny room_set_media(struct room *r, struct person *p, unsigned kind, bool on);
enum deny person_may_send(const struct person *p, unsigned kind);
void room_set_name(struct room *r, struct person *p, const char *name);
void room_set_away(struct room *r, struct person *p, bool away, uint64_t now_us);
/* Ends the stays of those away longer than keep_us; returns how many people are left,
 * those who wait included. */
unsigned room_expire(struct room *r, uint64_t now_us, uint64_t keep_us);
/* Who speaks from now on, by number. */
enum { ROOM_TALKERS_MAX = 8 };
void room_speaking(struct room *r, const uint32_t *numbers, unsigned count,
		   uint64_t now_us);

unsigned room_count(const struct room *r); /* without those who wait */
/* In order of joining; p->next goes on. */
struct person *room_first(const struct room *r);
struct person *room_first_waiting(const struct room *r);
unsigned room_waiting_count(const struct room *r);
struct person *room_by_id(const struct room *r, const char *id); /* also who waits */
struct person *room_by_number(const struct room *r, uint32_t number);
bool room_rule(const struct room *r, enum rule rule);
/* Somebody is here who may let others in. */
bool room_is_hosted(const struct room *r);
/* Something was decided here that is not to be forgotten as soon as everybody has gone. */
bool room_is_arranged(const struct room *r);

/* ---- what people want --------------------------------------------------------------- */

enum act_type {
	ACT_RULES, /* rules[]: -1 as it is, else off or on */
	ACT_ADMIT, /* person, or everybody who waits; on: in, off: turned away */
	ACT_MUTE, /* person, kind; on: until allowed. Of a microphone: the screen's sound, too */
	ACT_ALLOW,     /* person, kind: takes that back */
	ACT_ASK,       /* person, kind: the same, and asks them to switch it on */
	ACT_CALL,      /* person, on: may speak, whatever the role */
	ACT_ROLE,      /* person, role */
	ACT_SPOTLIGHT, /* person, on */
	ACT_REMOVE,    /* person */
	ACT_BAN,       /* person: and they do not come back while this room lasts */
	ACT_COUNT
};
struct act {
	enum act_type type;
	const char *person; /* id; NULL or "": everybody */
	unsigned kind;
	bool on;
	enum role role;
	int8_t rules[RULE_COUNT];
};
/* Does it, or says why not; then nothing has changed (of many who wait, as many are let in as
 * there is room for). Who is acted on may be gone afterwards; `p` is not. */
enum deny room_act(struct room *r, struct person *p, const struct act *a,
		   uint64_t now_us) MUST_CHECK;

#endif
