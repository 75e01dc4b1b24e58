/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The protocol's objects (docs/protocol.md), one function each. */
#include "api_private.h"

json_t *encode_you(const struct person *p)
{
	return json_pack("{ssssss}", "id", p->id, "name", p->name, "role",
			 role_name(p->role));
}

static json_t *kinds_held(const struct person *p)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < STREAM_KINDS; k++)
		if (p->held[k])
			json_array_append_new(list, json_string(stream_kind_names[k]));
	return list;
}

static void put_flag(json_t *j, const char *name, bool on, bool whole)
{
	if (on || whole)
		json_object_set_new(j, name, json_boolean(on));
}

json_t *encode_person(const struct person *p, bool whole)
{
	json_t *j = encode_you(p);

	for (unsigned k = 0; k < STREAM_KINDS; k++)
		put_flag(j, stream_kind_names[k], p->media[k], whole);
	put_flag(j, "away", p->away, whole);
	put_flag(j, "allowed", p->allowed, whole);
	put_flag(j, "called", p->called, whole);
	if (whole || p->held[MEDIA_MIC] || p->held[MEDIA_CAMERA] || p->held[MEDIA_SCREEN])
		json_object_set_new(j, "held", kinds_held(p));
	json_object_set_new(j, "n", json_integer(p->number));
	return j;
}

json_t *encode_slot(const struct seat *s, unsigned slot)
{
	const struct seat_slot *state = &s->slots[slot];
	struct person *p = state->stream ? room_by_number(call_room(s->call),
							  leg_stream_port(state->stream))
					 : NULL;
	json_t *j = json_pack("{ss}", "mid", state->mid);

	json_object_set_new(j, "p", p ? json_string(p->id) : json_null());
	if (p) {
		json_object_set_new(
			j, "k",
			json_string(stream_kind_names[leg_stream_kind(state->stream)]));
		json_object_set_new(j, "at", json_integer((json_int_t)state->at_ms));
	}
	if (state->stream || state->ts) /* not of a slot that nobody has been in */
		json_object_set_new(j, "ts", json_integer(state->ts));
	return j;
}

json_t *encode_slots(const struct seat *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->slot_count; i++)
		json_array_append_new(list, encode_slot(s, i));
	return list;
}

json_t *encode_speakers(const struct call *c)
{
	struct person *people[RELAY_LANES];
	unsigned count = call_speakers(c, people);
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_string(people[i]->id));
	return list;
}

json_t *encode_pause(const struct seat *s, enum stream_kind kind)
{
	const struct seat_pause *p = &s->pauses[kind];
	json_t *j = json_pack("{sssssb}", "t", "pause", "k", stream_kind_names[kind],
			      "on", p->paused);

	if (j && p->layers)
		json_object_set_new(j, "layers", json_integer(p->layers));
	return j;
}

json_t *encode_voice(const struct seat *s)
{
	const struct leg_voice_state *v = &s->voice;
	json_t *j = json_pack("{sssisisi}", "t", "voice", "red", (int)v->red, "loss",
			      v->loss_q8 * 100 / 256, "jitter", (int)v->jitter_ms);

	if (v->following) {
		json_object_set_new(j, "up", json_integer(v->up_rung));
		json_object_set_new(j, "upred", json_boolean(v->up_red));
	}
	if (v->no_pictures)
		json_object_set_new(j, "video", json_false());
	json_object_set_new(j, "down",
			    v->rung == LEG_LANES ? json_string("all")
						 : json_integer(v->rung));
	return j;
}

json_t *encode_room(const struct store_room *room)
{
	json_t *j = json_object();

	if (room->title[0])
		json_object_set_new(j, "title", json_string(room->title));
	if (room->starts_s)
		json_object_set_new(j, "from", json_integer((json_int_t)room->starts_s));
	if (room->ends_s)
		json_object_set_new(j, "until", json_integer((json_int_t)room->ends_s));
	if (room->zone[0])
		json_object_set_new(j, "zone", json_string(room->zone));
	if (room->languages[0])
		json_object_set_new(j, "languages", json_string(room->languages));
	return j;
}

json_t *encode_rules(const struct room *r)
{
	json_t *j = json_object();

	for (unsigned i = 0; i < RULE_COUNT; i++)
		put_flag(j, rule_name((enum rule)i), room_rule(r, (enum rule)i), true);
	return j;
}

json_t *encode_spotlight(const struct room *r)
{
	json_t *list = json_array();

	for (const struct person *p = room_first(r); p; p = p->next)
		if (p->spotlit)
			json_array_append_new(list, json_string(p->id));
	return list;
}

json_t *encode_waiting(const struct room *r)
{
	json_t *list = json_array();

	for (const struct person *p = room_first_waiting(r); p; p = p->next)
		json_array_append_new(list, encode_you(p));
	return list;
}

/* By number, which is short: {"mic":[3,4],"camera":[4]}. */
json_t *encode_off(const struct room *r)
{
	json_t *j = json_object();

	for (unsigned k = 0; k < STREAM_KINDS; k++) {
		json_t *list = json_array();

		for (const struct person *p = room_first(r); p; p = p->next)
			if (p->off & 1u << k)
				json_array_append_new(list, json_integer(p->number));
		if (json_array_size(list))
			json_object_set(j, stream_kind_names[k], list);
		json_decref(list);
	}
	return j;
}
