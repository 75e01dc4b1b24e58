/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is said, written down by captioners and by programs. Invariant: the ring holds the last
 * CAPTIONS_KEPT_MAX lines by id. In memory only.
 */
#include "room_in.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Fast speech is three words a second, a short line each two. */
	GAP_US = 500000,
	BURST = 8,
	ROOM_GAP_US =
		250000, /* of all together, several languages: each goes to all readers */
	ROOM_BURST = 16
};

uint32_t captions_last(const struct room *r)
{
	return r->captions.last_id == r->captions.first_id ? 0 : r->captions.last_id;
}

const struct caption *captions_after(const struct room *r, uint32_t id)
{
	uint32_t last = r->captions.last_id, before = r->captions.first_id;

	if (last - before > CAPTIONS_KEPT_MAX)
		before = last - CAPTIONS_KEPT_MAX;
	/* What is ahead of us was another server's, before a restart. */
	if (id < before || id > last)
		id = before;
	return id < last ? &r->captions.kept[(id + 1) % CAPTIONS_KEPT_MAX] : NULL;
}

void captions_init(struct room *r)
{
	/* After a restart nothing is taken for what was before. */
	r->captions.first_id = r->captions.last_id = random_u32() >> 2;
}

void captions_fini(struct room *r)
{
	for (unsigned i = 0; i < CAPTIONS_KEPT_MAX; i++)
		free(r->captions.kept[i].text);
}

static enum deny may_write(struct room *r, struct person *p, uint64_t now_us)
{
	/* One's own first: what one may not write takes no place from others. */
	if (p && !rate_take(&p->captioned_us, now_us, GAP_US, BURST))
		return DENY_RATE;
	if (rate_take(&r->captions.said_us, now_us, ROOM_GAP_US, ROOM_BURST))
		return DENY_NOTHING;
	STAT_INC(caption_limit);
	return DENY_BUSY;
}

enum deny caption_act(struct room *r, struct person *p, const struct act *a,
		      uint64_t now_us)
{
	int channel = room_channel(r, a->language);
	char text[CAPTION_MAX + 1], *copy;
	struct caption *c;
	enum deny why;

	if (!a->text ||
	    room_text_take(a->text, CAPTION_CHARS, CAPTION_MAX, false, text) < 0)
		return DENY_TEXT;
	if (channel < 0)
		return DENY_NO_LANGUAGE;
	why = may_write(r, p, now_us);
	if (why)
		return why;
	copy = strdup(text);
	if (!copy)
		return DENY_MEMORY;
	c = &r->captions.kept[++r->captions.last_id % CAPTIONS_KEPT_MAX];
	free(c->text);
	*c = (struct caption) { .id = r->captions.last_id,
				.channel = (unsigned)channel,
				.text = copy,
				.at_us = now_us };
	room_tell(r, &(struct room_event) { .type = ROOM_CAPTION, .caption = c });
	return DENY_NOTHING;
}
