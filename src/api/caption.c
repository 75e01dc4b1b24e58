/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Captions as pages get them: who asked for them gets the last lines, then each new one. Who has not
 * asked is sent none, but told once that there are some: text costs a thin link, too.
 */
#include "api_private.h"

#include <string.h>

enum { CAPTIONS_PART = 20 };

json_t *encode_caption(const struct room *r, const struct caption *c, uint64_t now_us)
{
	json_t *j = json_pack("{sIsssI}", "c", (json_int_t)c->id, "text", c->text, "age",
			      (json_int_t)((now_us - c->at_us) / 1000000));

	if (c->channel)
		json_object_set_new(j, "lang", json_string(room_language(r, c->channel)));
	return j;
}

/* `of`: "all" (or missing), "none", "floor", or a language. */
static int read_choice(const struct room *r, const json_t *of, bool *on, int *channel)
{
	const char *word = of ? json_string_value(of) : "all";

	*on = true;
	*channel = READS_ALL;
	if (!word)
		return -1;
	if (!strcmp(word, "none"))
		*on = false;
	else if (!strcmp(word, "floor"))
		*channel = 0;
	else if (strcmp(word, "all") != 0)
		*channel = word[0] ? room_channel(r, word) : -2;
	return *channel >= READS_ALL ? 0 : -1;
}

/* The last lines behind `after` that are read; oldest first. */
static json_t *lines(const struct session *s, const struct room *r, uint32_t after)
{
	const struct caption *last[CAPTIONS_PART];
	uint64_t now_us = clock_now_us();
	json_t *items = json_array();
	unsigned count = 0;

	for (const struct caption *c = captions_after(r, after); c;
	     c = captions_after(r, c->id))
		if (s->reads_channel == READS_ALL || s->reads_channel == (int)c->channel)
			last[count++ % CAPTIONS_PART] = c;
	for (unsigned i = count > CAPTIONS_PART ? count - CAPTIONS_PART : 0; i < count;
	     i++)
		json_array_append_new(items,
				      encode_caption(r, last[i % CAPTIONS_PART], now_us));
	return items;
}

json_t *captions_begin(struct session *s, const json_t *ask, struct refusal *why)
{
	const struct room *r = call_room(s->seat->call);
	bool on;
	int channel;

	if (read_choice(r, json_object_get(ask, "of"), &on, &channel)) {
		refusal_of_deny(why, DENY_NO_LANGUAGE);
		return NULL;
	}
	s->reads = on;
	s->reads_channel = channel;
	return json_pack(
		"{sssoso}", "t", "captions", "last", json_integer(captions_last(r)),
		"items",
		on ? lines(s, r, (uint32_t)json_get_int(ask, "after", 0, UINT32_MAX, 0))
		   : json_array());
}

void captions_told(struct call *c, const struct caption *line, json_t *event)
{
	const struct room *r = call_room(c);

	if (!captions_after(r, 0) || captions_after(r, 0)->id == line->id)
		room_event_others(c, json_pack("{ss}", "t", "captioned"));
	room_event_readers(c, event, line->channel);
}
