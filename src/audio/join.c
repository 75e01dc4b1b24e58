/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A voice's short packets joined into longer ones by Opus' repacketizer: no decoder, no encoder,
 * the frames stay as they are. Three packets of 20 ms in one of 60 save two headers, which is 13
 * kbit/s.
 *
 * Invariant: buf[0..bytes) holds the packets that the repacketizer has been given since `from`;
 * they follow each other without a gap up to `next` and have one TOC.
 */
#include <palabre/audio.h>
#include <palabre/wire.h>

#include <opus/opus.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	READY = 4,	   /* closed, not taken yet */
	PAUSE_BYTES = 2,   /* no more than a TOC: DTX */
	FRAMES_MAX = 48,   /* RFC 6716 §3.2.5 */
	LENGTHS = 2 + 48,  /* what joining may add: a count, and a frame's length each */
	TOC_KIND = 0xfc,   /* all but how many frames */
	STATE_MAX = 4096,  /* of a repacketizer: 496 in libopus 1.3, more in later ones */
	AGO_TICKS = 480000 /* 10 s: no longer late, but another beginning */
};

struct audio_join {
	OpusRepacketizer *opus;
	unsigned limit; /* of a packet, in RTP's clock */
	bool known;
	uint64_t next; /* timestamp behind the last packet */
	uint64_t from; /* of what is held: its first timestamp, */
	unsigned ticks, frames, bytes;
	int level;
	uint8_t buf[JOIN_BYTES_MAX];
	unsigned made, taken; /* ever; ready[taken..made) */
	struct audio_joined ready[READY];
};

const uint8_t audio_joins_ms[JOINS] = { 40, 60, 120 };

struct audio_join *audio_join_create(unsigned packet_ms)
{
	struct audio_join *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	j->limit = packet_ms * 48;
	j->opus = opus_repacketizer_create();
	if (!j->opus) {
		free(j);
		return NULL;
	}
	return j;
}

void audio_join_destroy(struct audio_join *j)
{
	if (!j)
		return;
	opus_repacketizer_destroy(j->opus);
	free(j);
}

size_t audio_join_two(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
		      uint8_t out[AUDIO_PACKET_MAX])
{
	_Alignas(max_align_t) uint8_t state[STATE_MAX];
	OpusRepacketizer *opus = (OpusRepacketizer *)(void *)state;
	int len;

	if (opus_repacketizer_get_size() > STATE_MAX)
		return 0;
	opus_repacketizer_init(opus);
	if (opus_repacketizer_cat(opus, a, (opus_int32)a_len) ||
	    opus_repacketizer_cat(opus, b, (opus_int32)b_len))
		return 0;
	len = opus_repacketizer_out(opus, out, AUDIO_PACKET_MAX);
	return len > 0 ? (size_t)len : 0;
}

/* Nothing is held. */
static void begin(struct audio_join *j, uint64_t ts64)
{
	opus_repacketizer_init(j->opus);
	j->from = ts64;
	j->ticks = j->frames = j->bytes = 0;
	j->level = -1;
}

void audio_join_clear(struct audio_join *j)
{
	begin(j, 0);
	j->known = false;
	j->taken = j->made;
}

/* Where the next one goes that is ready. NULL: nobody has taken the last ones. */
static struct audio_joined *room(struct audio_join *j)
{
	return j->made - j->taken < READY ? &j->ready[j->made % READY] : NULL;
}

void audio_join_flush(struct audio_join *j)
{
	struct audio_joined *out = room(j);
	opus_int32 len;

	if (!j->ticks)
		return;
	len = out ? opus_repacketizer_out(j->opus, out->data, sizeof out->data) : 0;
	if (len > 0) {
		out->ts64 = j->from;
		out->ticks = j->ticks;
		out->level_dbov = j->level;
		out->len = (size_t)len;
		j->made++;
	}
	begin(j, j->next);
}

/* As it came. */
static void alone(struct audio_join *j, const uint8_t *data, size_t len, uint64_t ts64,
		  unsigned ticks, int level)
{
	struct audio_joined *out = room(j);

	if (!out)
		return;
	memcpy(out->data, data, len);
	out->len = len;
	out->ts64 = ts64;
	out->ticks = ticks;
	out->level_dbov = level;
	j->made++;
}

static void hold(struct audio_join *j, const uint8_t *data, size_t len, unsigned frames,
		 unsigned ticks, int level)
{
	uint8_t *copy = j->buf + j->bytes;

	memcpy(copy, data, len);
	if (opus_repacketizer_cat(j->opus, copy, (opus_int32)len)) {
		audio_join_flush(j);
		return;
	}
	j->bytes += (unsigned)len;
	j->frames += frames;
	j->ticks += ticks;
	if (level >= 0 && (j->level < 0 || level < j->level))
		j->level = level;
	if (j->ticks == j->limit)
		audio_join_flush(j);
}

void audio_join_put(struct audio_join *j, const uint8_t *data, size_t len, uint64_t ts64,
		    int level)
{
	const unsigned char *places[FRAMES_MAX];
	opus_int16 sizes[FRAMES_MAX];
	unsigned ticks = opus_packet_samples(data, len);
	int frames = ticks && len <= JOIN_BYTES_MAX
			     ? opus_packet_parse(data, (opus_int32)len, NULL, places,
						 sizes, NULL)
			     : 0;

	if (frames < 1)
		return; /* it lies */
	if (j->known && ts64 < j->next && j->next - ts64 < AGO_TICKS)
		return; /* late */
	if (j->ticks && (ts64 != j->next || ((j->buf[0] ^ data[0]) & TOC_KIND) ||
			 len <= PAUSE_BYTES || j->ticks + ticks > j->limit ||
			 j->frames + (unsigned)frames > FRAMES_MAX ||
			 j->bytes + len + LENGTHS > JOIN_BYTES_MAX))
		audio_join_flush(j);
	j->known = true;
	j->next = ts64 + ticks;
	if (len <= PAUSE_BYTES || ticks >= j->limit || len + LENGTHS > JOIN_BYTES_MAX) {
		alone(j, data, len, ts64, ticks, level);
		return;
	}
	if (!j->ticks)
		begin(j, ts64);
	hold(j, data, len, (unsigned)frames, ticks, level);
}

bool audio_join_next(struct audio_join *j, const struct audio_joined **out)
{
	if (j->taken == j->made)
		return false;
	*out = &j->ready[j->taken++ % READY];
	return true;
}
