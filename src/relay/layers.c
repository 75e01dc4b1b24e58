/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The sizes of one picture: which of them come, how large they are, what they cost, and which is of use where.
 */
#include "priv.h"

#include <string.h>

enum {
	RATE_US = 1000000,
	/* A browser leaves a layer out at once when its link does not bear it. All are made of the same
	 * picture, so one is dead when others go on without it; rate control skips a few frames, too. */
	DEAD_US = 700000,
	BORNE_US =
		2000000, /* one that is asked for again comes within that, if it does */
	HEADER_BYTES = 12,
	NEARLY_Q3 = 7 /* of 8: so much of a tile fills it, as in cc/ladder.c */
};

/* What a layer is taken to cost until it has been measured: as the page sends them (web/peer.js). */
static const uint32_t expected_bps[RELAY_LAYERS_MAX] = { 80000, 250000, 700000 };

/* ---- measuring --------------------------------------------------------------------- */

static void turn(struct layer *y, uint64_t now_us)
{
	y->window_us = now_us - y->since_us;
	memcpy(y->past_bytes, y->bytes, sizeof y->bytes);
	memcpy(y->past_frames, y->frames, sizeof y->frames);
	memset(y->bytes, 0, sizeof y->bytes);
	memset(y->frames, 0, sizeof y->frames);
	y->since_us = now_us;
}

void layers_measure(struct layer *y, const struct pkt *p)
{
	const struct frame_view *f = &p->rtp.frame;
	unsigned tid = f->tid < ALLOC_TEMPORAL ? f->tid : ALLOC_TEMPORAL - 1;

	if (!y->since_us || p->arrival_us > y->since_us + RATE_US)
		turn(y, p->arrival_us);
	y->bytes[tid] += p->rtp.payload_len + HEADER_BYTES;
	y->frames[tid] += f->start;
}

void relay_stream_measured(const struct relay_stream *st, uint64_t now_us,
			   struct alloc_layer layers[ALLOC_SPATIAL][ALLOC_TEMPORAL])
{
	memset(layers, 0, sizeof(struct alloc_layer[ALLOC_SPATIAL][ALLOC_TEMPORAL]));
	for (unsigned sid = 0; sid < st->layer_count; sid++) {
		const struct layer *y = &st->layers[sid];
		bool alive = st->alive >> sid & 1;
		/* The window before, and the present one as far as it has come. */
		uint64_t us = y->since_us && y->window_us < 2 * RATE_US
				      ? now_us - y->since_us + y->window_us
				      : 0;
		uint64_t bytes = 0, frames = 0;

		for (unsigned tid = 0; tid < ALLOC_TEMPORAL; tid++) {
			struct alloc_layer *a = &layers[sid][tid];
			unsigned own = y->bytes[tid] + y->past_bytes[tid];

			bytes += own;
			frames += y->frames[tid] + y->past_frames[tid];
			if (tid && (!alive || !own))
				continue;
			a->state = alive ? ALLOC_ALIVE : ALLOC_PAUSED;
			a->width = y->width;
			a->height = y->height;
			a->key = true;
			a->bps = expected_bps[sid];
			if (!alive || us < RATE_US / 2)
				continue;
			a->bps = (uint32_t)(bytes * 8 * 1000000 / us);
			a->fps = (uint8_t)((frames * 1000000 + us / 2) / us);
		}
	}
}

/* ---- which of them come ------------------------------------------------------------ */

bool layers_heard(struct relay_stream *st, const struct pkt *p)
{
	const struct frame_view *f = &p->rtp.frame;
	unsigned layer = p->rtp.layer;
	struct layer *y = &st->layers[layer];
	bool news = !(st->alive >> layer & 1);

	layers_measure(y, p);
	y->last_us = p->arrival_us;
	if (news)
		y->alive_us = p->arrival_us;
	st->alive |= (uint8_t)(1u << layer);
	if (f->width && (f->width != y->width || f->height != y->height)) {
		y->width = f->width;
		y->height = f->height;
		news = true;
	}
	return news;
}

bool layers_check(struct relay_stream *st)
{
	uint64_t newest = 0;
	uint8_t before = st->alive;

	for (unsigned i = 0; i < st->layer_count; i++)
		if (st->layers[i].last_us > newest)
			newest = st->layers[i].last_us;
	for (unsigned i = 0; i < st->layer_count; i++) {
		struct layer *y = &st->layers[i];
		bool told = st->told >> i & 1;

		if (newest > y->last_us + DEAD_US)
			st->alive &= (uint8_t) ~(1u << i);
		if (st->alive >> i & 1)
			y->borne = true;
		else if (told && newest > y->told_us + BORNE_US)
			y->borne = false;
	}
	return st->alive != before;
}

/* ---- which of them is of use ------------------------------------------------------- */

/* Its own, or by that of another; 0: none has said anything. */
static void size_of(const struct relay_stream *st, unsigned layer, unsigned *width,
		    unsigned *height)
{
	*width = *height = 0;
	for (unsigned away = 0; away < st->layer_count && !*width; away++) {
		if (layer + away < st->layer_count) {
			*width = st->layers[layer + away].width / (1u << away);
			*height = st->layers[layer + away].height / (1u << away);
		}
		if (!*width && layer >= away) {
			*width = st->layers[layer - away].width * (1u << away);
			*height = st->layers[layer - away].height * (1u << away);
		}
	}
}

unsigned layers_fill(const struct relay_stream *st, unsigned width, unsigned height)
{
	unsigned layer = 0;

	if (!width || !height)
		return st->layer_count - 1;
	for (; layer + 1 < st->layer_count; layer++) {
		unsigned w, h;

		size_of(st, layer, &w, &h);
		/* The whole picture is shown in the tile: one direction fills it. */
		if (w && (w * 8 >= width * NEARLY_Q3 || h * 8 >= height * NEARLY_Q3))
			break;
	}
	return layer;
}

unsigned layers_best(const struct relay_stream *st, unsigned want)
{
	for (unsigned i = want + 1; i-- > 0;)
		if (st->alive >> i & 1)
			return i;
	for (unsigned i = want + 1; i < st->layer_count; i++)
		if (st->alive >> i & 1)
			return i;
	return want;
}
