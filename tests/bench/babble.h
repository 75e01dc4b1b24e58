/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Speech-like sound for benchmarks, made and encoded once: syllables of a voice or of noise through
 * three formants, with gaps between words, as Opus at 24 kbit/s in packets of 20 ms. */
#ifndef BENCH_BABBLE_H
#define BENCH_BABBLE_H

#include <stdbool.h>
#include <stdint.h>

enum { BABBLE_PKT_MAX = 200, BABBLE_PKTS_A_SECOND = 50 };

struct babble_pkt {
	uint8_t len;	    /* 0: nothing is sent (DTX) */
	uint8_t level_dbov; /* as the header extension has it: 127 silence */
	uint8_t data[BABBLE_PKT_MAX];
};
struct babble {
	unsigned count;
	struct babble_pkt *pkts; /* a loop */
};
/* Who speaks in which second: bit s of `talks[s / 32]`; NULL all the time. `voice` tells people
 * apart: another pitch, other words. 0 or -1. */
int babble_create(struct babble *b, unsigned voice, unsigned seconds,
		  const uint32_t *talks);
void babble_destroy(struct babble *b);

#endif
