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
	ROOM_LOBBY_KEEP_S = 60, /* waiting without a connection */
	BOARD_WAITING_MAX = 400,
	BOARD_DONE_MAX = 200, /* then the oldest are forgotten */
	BOARD_MINE_MAX = 5,   /* questions of one person that wait */
	QUESTION_CHARS = 400,
	QUESTION_MAX = 1200, /* bytes */
	BOARD_LIMIT_MAX_S = 3600
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
X(HANDS_CLOSED, "hands-closed", "not-allowed", "Hands cannot be raised at the moment.") \
X(QUESTIONS_CLOSED, "questions-closed", "not-allowed", "Questions are closed at the moment.") \
X(NOT_ANONYMOUS, "not-anonymous", "not-allowed", "Questions here are asked with one's name.") \
X(TEXT, "text", "bad-text", "The text is empty or too long.") \
X(MINE_FULL, "mine-full", "too-many", "Five of your questions wait already; withdraw one, or wait for an answer.") \
X(BOARD_FULL, "board-full", "too-many", "Too many questions and hands wait already. Try again later.") \
X(RATE, "rate", "too-many", "That was too fast; wait a few seconds.") \
X(NO_ITEM, "no-item", "not-found", "That is not here (any more).") \
X(OWN, "own", "not-allowed", "You cannot vote for what you have asked yourself.") \
X(NOBODY_WAITS, "nobody-waits", "not-found", "Nobody and nothing waits on the board.") \
X(CHAT_CLOSED, "chat-closed", "not-allowed", "The chat is closed at the moment.") \
X(BUSY, "busy", "too-many", "Too many write at once. Try again in a moment.") \
X(OPTIONS, "options", "bad-text", "A poll has 2 to 10 different options, and one choice unless it takes several.") \
X(POLLS_FULL, "polls-full", "too-many", "There are 20 polls already; drop one.") \
X(POLL_CLOSED, "poll-closed", "not-allowed", "This poll is closed; no vote counts any more.") \
X(VOTED, "voted", "not-allowed", "You have voted already; nobody knows for what, so it cannot be changed.") \
X(LATE, "late", "not-allowed", "This poll is for those who were here when it began.") \
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
	uint64_t asked_us, raised_us, said_us, reacted_us; /* rate.c's */
	void *user;					   /* the owner's */
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
	ROOM_OFF,	 /* streams of several people were switched off: person.off */
	ROOM_ASKED,	 /* to one: please switch `kind` on */
	ROOM_ROLE,	 /* to one: they have another role now */
	ROOM_ADMITTED,	 /* to one, who waited */
	ROOM_WAITING,	 /* to moderators: `person` waits (or is called differently) */
	ROOM_SPOTLIGHT,	 /* who is in the spotlight has changed */
	ROOM_BOARD,	 /* the board's rules have changed */
	ROOM_ITEM,	 /* `item` is new, or has changed */
	ROOM_ITEM_GONE,	 /* `item` is taken off the board */
	ROOM_ITEM_OWN,	 /* to one: `item` is theirs */
	ROOM_SAID,	 /* `message` */
	ROOM_UNSAID,	 /* `message`, whose text is gone */
	ROOM_CHAT,	 /* who may write has changed */
	ROOM_PIN,	 /* what is pinned has changed */
	ROOM_REACTIONS,	 /* room_reactions() since they were told last */
	ROOM_POLL,	 /* `poll` is new, or closed */
	ROOM_POLL_VOTES, /* how many have voted in `poll` */
	ROOM_POLL_GONE,	 /* `poll` */
	ROOM_VOTES /* of items with `fresh`, only while it is told: votes, or `spoke_s` */
};
enum room_audience { ROOM_TO_ALL, ROOM_TO_MODERATORS, ROOM_TO_ONE };
struct room_event {
	enum room_event_type type;
	enum room_audience audience;
	struct person *person;
	unsigned kind;
	const struct item *item;
	const struct message *message;
	const struct poll *poll;
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
/* How it begins, before anybody is in it: its rules, and if questions wait for approval. */
void room_begin(struct room *r, const bool rules[RULE_COUNT], bool approve);
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

/* What is gathered, to be told to everybody at once: to be called once a second. */
void room_gather(struct room *r, uint64_t now_us);

/* ---- the board: hands and questions in one order ------------------------------------
 *
 * Everybody has the same list, ordered by what the server tells: first what is answered now,
 * then what waits, then what waits for approval, then what is done, the last first. What waits: by id
 * (arrival); by votes, the most first, then id; by spoke_s, the least first, then id.
 *
 * A vote counts while its giver is in the room, so that nobody gains by coming again.
 */
enum item_kind { ITEM_HAND, ITEM_QUESTION };
enum item_state {
	ITEM_NOW,
	ITEM_OPEN,
	ITEM_PENDING,
	ITEM_DONE
}; /* pending: moderators see it */
enum board_order { ORDER_ARRIVAL, ORDER_VOTES, ORDER_LEAST, ORDER_COUNT };
/* "arrival", …; NULL outside. */
const char *board_order_name(enum board_order order);

/* Ascending, none twice. */
struct numbers {
	uint32_t *n;
	unsigned count, cap;
};
struct item {
	struct item *next, *prev; /* by id */
	uint32_t id;		  /* never used twice */
	enum item_kind kind;
	enum item_state state;
	bool anonymous;			/* nobody is told the author */
	uint32_t author;		/* number */
	char name[PERSON_NAME_MAX + 1]; /* as it was; "" of anonymous ones */
	char *text;			/* NULL of hands */
	struct numbers votes;
	unsigned spoke_s; /* what the author has spoken, as it counts here */
	bool fresh;
	bool called;	   /* its author may speak because of it */
	uint64_t at_us;	   /* when it came */
	uint64_t since_us; /* when it was called up, */
	uint64_t took_us;  /* and how long that was */
};
struct board_rules {
	bool hands, questions; /* are taken */
	bool approve;	       /* questions wait for a moderator before others see them */
	bool anonymous;	       /* questions may be */
	enum board_order order;
	unsigned limit_s; /* speaking time; 0 none */
};
struct board_rules board_rules(const struct room *r);
/* Counts what everybody, and what moderators alone were told; of no use but to be compared. */
uint32_t board_revision(const struct room *r);
uint32_t board_moderators_revision(const struct room *r);
unsigned board_count(const struct room *r, bool with_pending);
/* How many wait for an answer, without the one that is answered. */
unsigned board_open(const struct room *r);
const struct item *board_now(const struct room *r); /* or NULL */
/* The hand that this person has up, or NULL. */
const struct item *board_hand(const struct room *r, const struct person *p);
/* The first `max` in order; how many. Of pending ones only those of `viewer`, if it is no
 * moderator; NULL: all. */
unsigned board_list(const struct room *r, const struct person *viewer,
		    const struct item **out, unsigned max);
/* In the order of ids, behind `id`; NULL at the end. */
const struct item *board_after(const struct room *r, const struct person *viewer,
			       uint32_t id);
const struct item *board_item(const struct room *r, uint32_t id);
bool board_voted(const struct item *it, const struct person *p);
/* What has been asked and answered, in order; without what waits for approval. */
void board_export(const struct room *r, struct text *out);

/* Plain text by people: control characters, and those that turn the direction of others' text,
 * are left out, line ends become blanks, or with `lines` stay. `out` takes max_bytes + 1. Its length, or
 * -EINVAL: nothing left, too long, or no UTF-8. */
int room_text_take(const char *text, unsigned max_chars, size_t max_bytes, bool lines,
		   char *out) MUST_CHECK;

/* ---- chat, reactions, polls: in memory only ---------------------------------------- */

enum {
	CHAT_KEPT_MAX = 200, /* messages; then the oldest are forgotten */
	CHAT_CHARS = 1000,
	CHAT_MAX = 3000, /* bytes */
	PIN_CHARS = 500,
	POLLS_MAX = 20,
	POLL_OPTIONS_MAX = 10,
	POLL_OPTION_CHARS = 80,
	POLL_VOTERS_MAX = 20000,
	POLL_SHOWN_MIN = 3 /* votes: of fewer the counts would tell who chose what */
};
enum chat_mode { CHAT_ALL, CHAT_HOSTS, CHAT_OFF, CHAT_MODES }; /* hosts: only to them */
const char *chat_mode_name(enum chat_mode mode);
enum reaction {
	REACTION_CLAP,
	REACTION_HEART,
	REACTION_LAUGH,
	REACTION_WOW,
	REACTION_YES,
	REACTION_NO,
	REACTIONS
};
const char *reaction_name(enum reaction reaction);
struct message {
	uint32_t id;
	uint32_t author; /* number */
	char name[PERSON_NAME_MAX + 1];
	bool to_hosts;
	char *text;
	uint64_t at_us;
};
enum chat_mode chat_mode(const struct room *r);
uint32_t chat_last(const struct room *r); /* id of the last message */
/* The first kept one behind `id` that the viewer may see; NULL at the end. */
const struct message *chat_after(const struct room *r, const struct person *viewer,
				 uint32_t id);
const char *room_pinned(const struct room *r); /* "" nothing */
const unsigned *room_reactions(const struct room *r);

/* Who voted, and what was chosen: nothing says both. */
struct poll {
	uint32_t id;
	char text[QUESTION_MAX + 1];
	unsigned option_count;
	char options[POLL_OPTIONS_MAX][4 * POLL_OPTION_CHARS + 1];
	bool open, multiple;
	bool late; /* also who came after it began */
	bool fresh;
	uint32_t newest; /* number of the last who was there then */
	struct numbers voted;
	unsigned counts[POLL_OPTIONS_MAX]; /* not to be told but if poll_shows() */
};
unsigned polls_count(const struct room *r);
const struct poll *poll_at(const struct room *r, unsigned i);
bool poll_shows(const struct poll *poll);
bool poll_voted(const struct poll *poll, const struct person *p);

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
	ACT_BOARD,     /* board: its rules; -1 as it is */
	ACT_HAND,      /* on: one's own */
	ACT_QUESTION,  /* text; on: anonymous */
	ACT_VOTE,      /* item, on */
	ACT_APPROVE,   /* item */
	ACT_ANSWER, /* item, 0 the next: now. A hand's owner may speak, and what was before is done */
	ACT_DONE,	/* item, 0 the present one */
	ACT_REOPEN,	/* item */
	ACT_DROP,	/* item: by its author, or a moderator */
	ACT_SAY,	/* text; on: to hosts and moderators */
	ACT_UNSAY,	/* item: a message */
	ACT_REACT,	/* item: enum reaction */
	ACT_CHAT,	/* item: enum chat_mode */
	ACT_PIN,	/* text; "" or NULL: nothing */
	ACT_POLL,	/* text, options, multiple, late */
	ACT_CHOOSE,	/* item: a poll; choices: bits */
	ACT_POLL_CLOSE, /* item */
	ACT_POLL_DROP,	/* item */
	ACT_COUNT
};
struct act {
	enum act_type type;
	const char *person; /* id; NULL or "": everybody */
	unsigned kind;
	bool on;
	enum role role;
	int8_t rules[RULE_COUNT];
	uint32_t item;
	const char *text;
	struct {
		int8_t hands, questions, approve, anonymous, order;
		int limit_s;
	} board;
	const char *options[POLL_OPTIONS_MAX];
	unsigned option_count;
	bool multiple, late;
	uint32_t choices;
};
/* Does it, or says why not; then nothing has changed (of many who wait, as many are let in as
 * there is room for). Who is acted on may be gone afterwards; `p` is not. */
enum deny room_act(struct room *r, struct person *p, const struct act *a,
		   uint64_t now_us) MUST_CHECK;

#endif
