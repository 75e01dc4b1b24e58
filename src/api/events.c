/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a room tells, to whom it concerns (docs/protocol.md). */
#include "api_private.h"

static json_t *typed(const char *t, json_t *j)
{
	json_object_set_new(j, "t", json_string(t));
	return j;
}

/* With the revision that this event makes, and how many wait now. */
static json_t *revised(const struct room *r, const struct room_event *ev, json_t *j)
{
	if (ev->type == ROOM_ITEM || ev->type == ROOM_ITEM_GONE)
		json_object_set_new(j, "open", json_integer(board_open(r)));
	if (ev->audience == ROOM_TO_ALL)
		json_object_set_new(j, "r", json_integer((json_int_t)board_revision(r)));
	else if (ev->audience == ROOM_TO_MODERATORS)
		json_object_set_new(
			j, "mr", json_integer((json_int_t)board_moderators_revision(r)));
	return j;
}

/* A new role, or the lobby's door opened: the ticket held says otherwise. */
static json_t *with_ticket(const struct seat *s, json_t *j)
{
	const struct session *session = s->user;
	char ticket[TOKEN_TEXT_MAX];

	if (session && !ticket_make(session->api, s, ticket))
		json_object_set_new(j, "ticket", json_string(ticket));
	return j;
}

static json_t *encode_role(const struct room *r, const struct person *p)
{
	json_t *j = json_pack("{ssss}", "t", "role", "role", role_name(p->role));

	if (role_caps(p->role) & CAP_MODERATE)
		json_object_set_new(j, "waiting", encode_waiting(r));
	return with_ticket(p->user, j);
}

static json_t *encode(const struct room *r, const struct room_event *ev)
{
	uint64_t now_us = clock_now_us();

	switch (ev->type) {
	case ROOM_RULES:
		return typed("rules", encode_rules(r));
	case ROOM_OFF:
		return typed("off", encode_off(r));
	case ROOM_ASKED:
		return json_pack("{ssss}", "t", "asked", "k",
				 stream_kind_names[ev->kind]);
	case ROOM_ROLE:
		return encode_role(r, ev->person);
	case ROOM_ADMITTED:
		return with_ticket(ev->person->user, json_pack("{ss}", "t", "admitted"));
	case ROOM_WAITING:
		return json_pack("{ssso}", "t", "waiting", "p", encode_you(ev->person));
	case ROOM_SPOTLIGHT:
		return json_pack("{ssso}", "t", "spotlight", "ids", encode_spotlight(r));
	case ROOM_BOARD:
		return typed("boardrules", revised(r, ev, encode_board_rules(r)));
	case ROOM_ITEM:
		return typed("item", revised(r, ev, encode_item(ev->item, NULL, now_us)));
	case ROOM_ITEM_GONE:
		return typed(
			"gone",
			revised(r, ev, json_pack("{sI}", "q", (json_int_t)ev->item->id)));
	case ROOM_ITEM_OWN:
		return json_pack("{sssI}", "t", "own", "q", (json_int_t)ev->item->id);
	case ROOM_SAID:
		return typed("said", encode_message(ev->message, now_us));
	case ROOM_UNSAID:
		return json_pack("{sssI}", "t", "unsaid", "m",
				 (json_int_t)ev->message->id);
	case ROOM_CHAT:
		return json_pack("{ssss}", "t", "chatrules", "mode",
				 chat_mode_name(chat_mode(r)));
	case ROOM_PIN:
		return json_pack("{ssss}", "t", "pin", "text", room_pinned(r));
	case ROOM_REACTIONS:
		return typed("reactions", encode_reactions(r));
	case ROOM_POLL:
		return typed("poll", encode_poll(ev->poll, NULL));
	case ROOM_POLL_VOTES:
		return json_pack("{sssIsi}", "t", "pollvotes", "poll",
				 (json_int_t)ev->poll->id, "votes",
				 (int)ev->poll->voted.count);
	case ROOM_POLL_GONE:
		return json_pack("{sssI}", "t", "pollgone", "poll",
				 (json_int_t)ev->poll->id);
	case ROOM_VOTES:
		return typed("votes",
			     revised(r, ev, json_pack("{so}", "v", encode_votes(r))));
	}
	return NULL;
}

void room_told(struct call *c, const struct room_event *ev)
{
	struct seat *s = ev->audience == ROOM_TO_ONE ? ev->person->user : NULL;
	json_t *event;

	if (ev->audience == ROOM_TO_ONE && (!s || !s->user))
		return;
	event = encode(call_room(c), ev);
	if (ev->audience == ROOM_TO_ONE)
		session_event(s->user, event);
	else if (ev->audience == ROOM_TO_MODERATORS)
		room_event_moderators(c, event);
	else
		room_event(c, event, NULL);
}
