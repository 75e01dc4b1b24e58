/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* audio: a mixer, as its two files see it: mixer.c has the voices and the mixes, output.c encodes these. */
#ifndef AUDIO_MIXER_IN_H
#define AUDIO_MIXER_IN_H

#include <palabre/audio.h>

enum {
	GRID_TICKS = 6, /* 120 ms */
	HISTORY = 2 * GRID_TICKS,
	/* Silence is encoded for so long, then it is known: Opus decides within 200 ms. */
	QUIET_TICKS = 10 * GRID_TICKS,
	HALF_MAX = 400,	     /* 60 ms at 8 kbit/s are 60 */
	SILENT_BYTES_MAX = 2 /* opus_encode: such a packet need not be sent, */
	/* but the first of them tells a receiver that the pause is meant (NetEq). */
};

struct output {
	struct audio_encoder *encoder; /* at the rung that is encoded */
	bool wanted, due, ready, rests;
	bool stale;  /* the encoder has rested since its last packet */
	bool silent; /* its last packet was */
};
/* A packet that is half of a longer one; len 0 none. */
struct half {
	size_t len;
	unsigned voices;
	int level_dbov;
	uint8_t data[HALF_MAX];
};
struct mix {
	struct audio_limiter limiter;
	unsigned wanted; /* outputs */
	unsigned quiet;	 /* ticks of silence in a row */
	unsigned voices[HISTORY];
	float history[HISTORY][AUDIO_TICK];
	struct output outputs[RUNGS];
	struct half halves[2]; /* of RUNG_8K_120 */
};
struct audio_mixer {
	const struct audio_effort *effort;
	uint64_t tick; /* the next one */
	struct place {
		struct audio_voice *voice;
		struct audio_join *joins[JOINS]; /* NULL: nobody wants that */
		struct audio_level level;
		bool taken, said;
		unsigned silence; /* ticks since it was last heard, if it was */
		unsigned nothing; /* ticks without a packet */
	} voices[MIX_VOICES];
	struct mix mixes[MIXES];
	unsigned next_mix, next_rung;
};

static inline unsigned packet_ticks(unsigned rung)
{
	return audio_rungs[rung].packet_ms / (AUDIO_TICK_US / 1000);
}

/* What of the mixes is due at the end of this tick. */
void mixer_outputs_due(struct audio_mixer *m);

#endif
