/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Chat and polls as pages get them: parts that are asked for, and events. */
#include "api_private.h"

#include <string.h>

enum { CHAT_PART = 50, CHAT_PART_BYTES = 16 * 1024, POLLS_PART_BYTES = 16 * 1024 };

/* About what it is as JSON. */
static size_t size_of(const struct message *m)
{
	return 100 + strlen(m->name) + strlen(m->text);
}

json_t *encode_message(const struct message *m, uint64_t now_us)
{
	json_t *j = json_pack("{sIsIsssssI}", "m", (json_int_t)m->id, "n",
			      (json_int_t)m->author, "name", m->name, "text", m->text,
			      "age", (json_int_t)((now_us - m->at_us) / 1000000));

	if (m->to_hosts)
		json_object_set_new(j, "hosts", json_true());
	return j;
}

/* How far behind `id` one part goes; without `after` the last part is wanted, so the way is
 * gone first. */
static uint32_t last_part(const struct room *r, const struct person *viewer)
{
	uint32_t ids[CHAT_KEPT_MAX], from = 0;
	size_t sizes[CHAT_KEPT_MAX], bytes = 0;
	unsigned count = 0, taken = 0;

	for (const struct message *m = chat_after(r, viewer, 0); m;
	     m = chat_after(r, viewer, m->id)) {
		ids[count] = m->id;
		sizes[count++] = size_of(m);
	}
	while (count-- && taken++ < CHAT_PART) {
		bytes += sizes[count];
		if (bytes > CHAT_PART_BYTES)
			break;
		from = ids[count] - 1;
	}
	return from;
}

json_t *chat_part(const struct room *r, const struct person *viewer, const json_t *ask,
		  uint64_t now_us)
{
	bool last = !json_is_integer(json_object_get(ask, "after"));
	uint32_t from =
		last ? last_part(r, viewer)
		     : (uint32_t)json_get_int(ask, "after", 0, UINT32_MAX, UINT32_MAX);
	json_t *items = json_array(), *j = json_pack("{so}", "items", items);
	size_t bytes = 0;

	for (const struct message *m = chat_after(r, viewer, from); m;
	     m = chat_after(r, viewer, m->id)) {
		bytes += size_of(m);
		if (json_array_size(items) == CHAT_PART || bytes > CHAT_PART_BYTES) {
			json_object_set_new(j, "more", json_true());
			break;
		}
		json_array_append_new(items, encode_message(m, now_us));
	}
	return j;
}

json_t *chat_mark(const struct room *r)
{
	json_t *j = json_pack("{sIss}", "last", (json_int_t)chat_last(r), "mode",
			      chat_mode_name(chat_mode(r)));

	if (room_pinned(r)[0])
		json_object_set_new(j, "pin", json_string(room_pinned(r)));
	if (polls_count(r))
		json_object_set_new(j, "polls", json_integer(polls_count(r)));
	return j;
}

json_t *encode_reactions(const struct room *r)
{
	const unsigned *counts = room_reactions(r);
	json_t *j = json_object();

	for (unsigned i = 0; i < REACTIONS; i++)
		if (counts[i])
			json_object_set_new(j, reaction_name((enum reaction)i),
					    json_integer(counts[i]));
	return j;
}

json_t *encode_poll(const struct poll *poll, const struct person *viewer)
{
	json_t *options = json_array(), *counts = json_array();
	json_t *j = json_pack("{sIsssosbsbsbsi}", "poll", (json_int_t)poll->id, "text",
			      poll->text, "options", options, "open", poll->open,
			      "multiple", poll->multiple, "late", poll->late, "votes",
			      (int)poll->voted.count);

	for (unsigned i = 0; i < poll->option_count; i++) {
		json_array_append_new(options, json_string(poll->options[i]));
		if (poll_shows(poll))
			json_array_append_new(counts, json_integer(poll->counts[i]));
	}
	if (poll_shows(poll))
		json_object_set(j, "counts", counts);
	json_decref(counts);
	if (viewer && poll_voted(poll, viewer))
		json_object_set_new(j, "voted", json_true());
	return j;
}

static size_t poll_size(const struct poll *poll)
{
	size_t bytes = 150 + strlen(poll->text);

	for (unsigned i = 0; i < poll->option_count; i++)
		bytes += 10 + strlen(poll->options[i]);
	return bytes;
}

json_t *polls_part(const struct room *r, const struct person *viewer, const json_t *ask)
{
	json_int_t after = json_get_int(ask, "after", 0, UINT32_MAX, 0);
	json_t *items = json_array(), *j = json_pack("{so}", "items", items);
	size_t bytes = 0;

	for (unsigned i = 0; i < polls_count(r); i++) {
		const struct poll *poll = poll_at(r, i);

		if (poll->id <= after)
			continue;
		bytes += poll_size(poll);
		if (json_array_size(items) && bytes > POLLS_PART_BYTES) {
			json_object_set_new(j, "more", json_true());
			break;
		}
		json_array_append_new(items, encode_poll(poll, viewer));
	}
	return j;
}
