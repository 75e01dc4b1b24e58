/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who is heard. A room has RELAY_LANES lanes, by rank; a listener with n audio slots
 * hears the first n that are not their own. So four lanes let three speakers hear the
 * fourth, while everybody else hears three.
 *
 * - A packet has *voice* if it is louder than -50 dBov and stands out of its own noise
 *   floor (the least level of the last 1.5 to 3 s). The V bit lowers that bar but isn't
 *   needed: many never set it. Without levels a packet is voice if it is longer than
 * Opus' "nothing" (3 bytes).
 * - Nobody is thrown out while there are places. With at most RELAY_LANES microphones
 *   everybody has one, from the start.
 * - The first voice packet takes a free lane, else at once the lane of whoever has been
 *   silent longest, if that is 800 ms or more. Longest silent rather than
 *   quietest: between two silent people the level compares only their rooms' noise.
 * - While all are speaking, a newcomer must be 6 dB louder than the quietest for 300 ms.
 *   Loudness is that of voice packets, so a pause for breath makes nobody quieter.
 * - The same two rules move a speaker up in rank, past whoever yields. All of this is
 *   driven by the speaker's own packets.
 * - A screen's sound counts from -60 dBov, yields after 2 s without, and never to mere
 *   loudness.
 */
#ifndef RELAY_SPEAKERS_H
#define RELAY_SPEAKERS_H

#include "priv.h"

enum {
	VOICE_DBOV = 50,
	VOICE_OVER_FLOOR_DB = 10,
	VOICE_OVER_FLOOR_FLAGGED_DB = 6,
	VOICE_MIDDLE_DBOV = 40, /* for streams without levels */
	VOICE_NOTHING_BYTES = 3,
	VOICE_SILENT_US = 800000,
	VOICE_LOUDER_DB = 6,
	VOICE_LOUDER_US = 300000,
	VOICE_FLOOR_US = 1500000,
	VOICE_ATTACK_MS = 30,
	VOICE_DECAY_MS = 300,
	VOICE_COUNTS_US = 500000, /* a cough is not a speaker whose camera is shown */
	SCREEN_DBOV = 60,
	SCREEN_SILENT_US = 2000000,
	LANE_DEAD_US = 5000000 /* without any packet */
};

void speakers_reset(struct relay_stream *st);
/* The stream has become active / is about to be inactive. */
void speakers_join(struct relay_stream *st, uint64_t now_us);
void speakers_leave(struct relay_stream *st, uint64_t now_us);
/* Hot: a packet newer than all before; it is marked with who talks. */
void speakers_packet(struct relay_stream *st, struct pkt *p, uint64_t now_us);
/* Streams that have gone quiet without a word leave; tells who speaks; orders the
 * cameras. true: call again. */
bool speakers_tick(struct relay_room *room, uint64_t now_us);

#endif
