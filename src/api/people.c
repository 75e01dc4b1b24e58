/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who is in the room, in parts: a list of thousands would stand in front of everything else on a thin link. First come those
 * of whom something is to be seen or heard, and as many others as there is room for; a page asks for the rest, a part
 * after the other, as fast as its link brings them. In order of their numbers, which are never used twice: who comes or goes in
 * between is told by events, and nobody is missed.
 */
#include "api_private.h"

static bool shows(const struct person *p)
{
	for (unsigned k = 0; k < STREAM_KINDS; k++)
		if (p->media[k])
			return true;
	return false;
}

static json_t *part(const struct room *r, json_t *list, int64_t more)
{
	json_t *j = json_pack("{sosi}", "people", list, "count", (int)room_count(r));

	if (more >= 0)
		json_object_set_new(j, "more", json_integer(more));
	return j;
}

/* `shown`: everybody who shows something is in it. */
static json_t *first_part(const struct room *r, json_t *list, int64_t more, bool shown)
{
	json_t *j = part(r, list, more);

	json_object_set_new(j, "shown", json_boolean(shown));
	return j;
}

json_t *people_first(const struct room *r, const struct person *self)
{
	json_t *list = json_array();
	unsigned count = 1;
	int64_t all_up_to = 0;
	const struct person *p;

	json_array_append_new(list, encode_person(self, false));
	for (p = room_first(r); p; p = p->next) {
		if (p == self || !shows(p))
			continue;
		if (count++ == PEOPLE_PART)
			return first_part(r, list, 0, false);
		json_array_append_new(list, encode_person(p, false));
	}
	for (p = room_first(r); p; p = p->next) {
		if (p != self && !shows(p)) {
			if (count++ == PEOPLE_PART)
				return first_part(r, list, all_up_to, true);
			json_array_append_new(list, encode_person(p, false));
		}
		all_up_to = p->number;
	}
	return first_part(r, list, -1, true);
}

json_t *people_after(const struct room *r, uint32_t number)
{
	json_t *list = json_array();
	const struct person *p = room_by_number(r, number);
	unsigned count = 0;

	for (p = p ? p->next : room_first(r); p; p = p->next) {
		if (p->number <= number)
			continue;
		if (count++ == PEOPLE_PART)
			return part(r, list, p->prev->number);
		json_array_append_new(list, encode_person(p, false));
	}
	return part(r, list, -1);
}
