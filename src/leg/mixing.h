/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A room's mixer, as its two files see it: made.c has the streams, mixer.c who hears which. */
#ifndef LEG_MIXING_H
#define LEG_MIXING_H

#include "leg_private.h"

#include <palabre/audio.h>

struct made {
	unsigned users;
	struct leg_source src;
	/* Who talks, as said last, and how many more packets say that it is news. */
	uint8_t talker_count, talk_news;
	uint32_t talkers[TALKERS_MAX];
};
/* Packets as they are, and with one or two of those before in each. */
struct output {
	unsigned users; /* of all its streams */
	struct made made[RED_DEPTH + 1];
	unsigned said; /* packets ever */
	struct said {
		uint64_t ts64;
		uint16_t len;
		uint8_t data[AUDIO_PACKET_MAX];
	} last[RED_DEPTH];
};
/* What is joined of who speaks alone, or has that length as they send it. */
struct joined {
	unsigned place; /* whose */
	struct output out;
};

/* What a voice costs, and what it would cost in longer packets: the dearest second of late, and the count of the last two
 * seconds. Of its own time: repeats come late, and a second in which many do would be a dear one. */
struct cost {
	uint64_t second; /* of `at[second % 2]`; 0: nothing yet */
	struct {
		unsigned packets, bytes;
	} at[2];
	unsigned ticks;				 /* of its last packet, 48 kHz */
	unsigned as_sent_bps, joined_bps[JOINS]; /* 0: not known, or cannot be */
};
struct place {
	uint32_t port;	 /* whose, 0 nobody's */
	uint32_t stream; /* what they send */
	bool speaks;	 /* or did a moment ago: must not hear themselves */
	struct cost cost;
};

struct mixer {
	struct legs *all;
	struct relay_room *room;
	struct relay_port *port;
	struct audio_mixer *audio;
	struct timer timer;
	uint64_t start_us, ticks; /* ticks done */
	bool running;
	bool moved;  /* somebody has taken or left a place */
	bool look;   /* somebody may hear something else from the next grid on */
	bool settle; /* some output may be heard by nobody */
	struct place places[MIX_VOICES];
	int alone; /* place of who speaks alone, -1 none, */
	uint32_t alone_stream;
	struct leg *listeners;
	uint64_t created; /* streams ever */
	struct output out[MIXES][RUNGS];
	struct joined joined[JOINS];
};

/* Streams exist while somebody uses them. use: -ENOMEM. */
uint32_t made_id(struct leg_mix x);
int made_use(struct mixer *m, struct leg_mix x, uint64_t now_us) MUST_CHECK;
void made_leave(struct mixer *m, struct leg_mix x, uint64_t now_us);
/* The packets of who speaks alone, joined into ones of audio_joins_ms[join], with `red` earlier ones in
 * each; used false: nothing. */
uint32_t joined_id(struct leg_joined x);
int joined_use(struct mixer *m, struct leg_joined x, uint64_t now_us) MUST_CHECK;
void joined_leave(struct mixer *m, struct leg_joined x, uint64_t now_us);
/* What was made before that is no longer there to be sent again. */
void made_expire(struct mixer *m, uint64_t before_us);
/* Sends what is due of the last tick, as far as a turn goes. True: more is. */
bool made_send(struct mixer *m, uint64_t now_us);

#endif
