/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Links and tickets: what the signed bodies hold. Both name the room, so a token is worth
 * nothing elsewhere. link:   version 1 | role | id of the link (4) | room ticket: version
 * 1 | role, and a bit while in the lobby | person id (12) | room length | room | name
 */
#include "api_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BODY_VERSION = 1, LINK_HEAD = 6, TICKET_HEAD = 3 + PERSON_ID_BYTES, WAITS = 0x80 };

static uint64_t now_s(void)
{
	return clock_wall_us() / 1000000;
}

static int refuse_token(struct refusal *why, int err, bool ticket)
{
	why->status = err == -ETIME ? 410 : 401;
	why->code = err == -ETIME ? "expired" : "bad-token";
	why->why = NULL;
	if (err == -ETIME)
		snprintf(why->text, sizeof why->text,
			 ticket ? "You were away for too long. Use the link again."
				: "This link has expired. Ask the host for a new one.");
	else
		snprintf(why->text, sizeof why->text,
			 "This link is not complete or not for this server. Copy it "
			 "again, with everything after the #.");
	return err;
}

static int verify(const struct secret *s, enum token_type type, const char *token,
		  uint8_t body[TOKEN_BODY_MAX], size_t *len, struct refusal *why)
{
	int err = token_verify(s, type, now_s(), token, strlen(token), body, len);

	return err ? refuse_token(why, err, type == TOKEN_TICKET) : 0;
}

static int take_room(struct identity *out, const uint8_t *p, size_t len)
{
	if (!len || len > ROOM_NAME_MAX)
		return -EBADMSG;
	memcpy(out->room, p, len);
	out->room[len] = 0;
	return room_name_check(out->room);
}

int identity_of_link(const struct secret *s, const char *token, struct identity *out,
		     struct refusal *why)
{
	uint8_t body[TOKEN_BODY_MAX];
	size_t len;
	int err = verify(s, TOKEN_LINK, token, body, &len, why);

	if (err)
		return err;
	memset(out, 0, sizeof *out);
	if (len <= LINK_HEAD || body[0] != BODY_VERSION || body[1] >= ROLE_COUNT ||
	    take_room(out, body + LINK_HEAD, len - LINK_HEAD))
		return refuse_token(why, -EBADMSG, false);
	out->role = (enum role)body[1];
	out->link = get_be32(body + 2);
	return 0;
}

static int refuse_room(struct refusal *why)
{
	*why = (struct refusal) {
		404, "no-such-room",
		"There is no such room on this server. Check the link."
	};
	return -ENOENT;
}

/* One that the store knows. All of it is in memory. */
static int check_link(const struct api *a, const struct identity *who,
		      struct refusal *why)
{
	enum store_link_state is =
		a->store ? store_link_check(a->store, who->room, who->role, who->link,
					    now_s())
			 : STORE_LINK_UNKNOWN;

	if (is == STORE_LINK_GOOD)
		return 0;
	if (is == STORE_LINK_EXPIRED)
		return refuse_token(why, -ETIME, false);
	if (!a->store || !store_room_find(a->store, who->room))
		return refuse_room(why);
	*why = (struct refusal) {
		410, "expired",
		"This link has been withdrawn. Ask the host for a new one."
	};
	return -EACCES;
}

/* Who comes by a link that the store does not know, or with a ticket. */
static int check_room(const struct api *a, const struct identity *who,
		      struct refusal *why)
{
	if (a->conf->room.by_link)
		return 0;
	if (!a->store || !store_room_find(a->store, who->room))
		return refuse_room(why);
	return who->id[0] ? 0 : refuse_token(why, -EACCES, false);
}

int identity_admit(const struct api *a, const struct identity *who, struct refusal *why)
{
	int err = who->link ? check_link(a, who, why) : check_room(a, who, why);
	bool is_back = who->id[0] && call_find(a->calls, who->room);

	if (err || !(a->closing || (a->draining && !is_back)))
		return err;
	*why = (struct refusal) { 503, "server-full",
				  "The server is restarting; try again in a moment." };
	if (!a->closing)
		snprintf(why->text, sizeof why->text,
			 "This server takes nobody new at the moment, as it is being "
			 "worked on. Try again later.");
	return -EAGAIN;
}

int identity_of_ticket(const struct secret *s, const char *ticket, struct identity *out,
		       struct refusal *why)
{
	uint8_t body[TOKEN_BODY_MAX];
	size_t len, room_len;
	int err = verify(s, TOKEN_TICKET, ticket, body, &len, why);

	if (err)
		return err;
	memset(out, 0, sizeof *out);
	room_len = len > TICKET_HEAD ? body[TICKET_HEAD - 1] : 0;
	if (len < TICKET_HEAD + room_len ||
	    len - TICKET_HEAD - room_len > PERSON_NAME_MAX || body[0] != BODY_VERSION ||
	    (body[1] & ~WAITS) >= ROLE_COUNT ||
	    take_room(out, body + TICKET_HEAD, room_len))
		return refuse_token(why, -EBADMSG, true);
	out->role = (enum role)(body[1] & ~WAITS);
	out->admitted = !(body[1] & WAITS);
	memcpy(out->id, body + 2, PERSON_ID_BYTES);
	memcpy(out->name, body + TICKET_HEAD + room_len, len - TICKET_HEAD - room_len);
	return 0;
}

int ticket_make(const struct api *a, const struct seat *s, char out[TOKEN_TEXT_MAX])
{
	const char *room = room_name(call_room(s->call));
	uint8_t body[TOKEN_BODY_MAX];
	size_t room_len = strlen(room), name_len = strlen(s->person->name);

	_Static_assert(TICKET_HEAD + ROOM_NAME_MAX + PERSON_NAME_MAX <= TOKEN_BODY_MAX,
		       "a ticket fits");
	body[0] = BODY_VERSION;
	body[1] = (uint8_t)(s->person->role | (s->person->waiting ? WAITS : 0));
	memcpy(body + 2, s->person->id, PERSON_ID_BYTES);
	body[TICKET_HEAD - 1] = (uint8_t)room_len;
	memcpy(body + TICKET_HEAD, room, room_len);
	memcpy(body + TICKET_HEAD + room_len, s->person->name, name_len);
	return token_sign(a->secret, TOKEN_TICKET,
			  now_s() + (uint64_t)a->conf->room.resume_s, body,
			  TICKET_HEAD + room_len + name_len, out);
}

int api_link(const struct secret *secret, const char *room, enum role role, uint32_t id,
	     uint64_t expiry_s, char out[API_LINK_MAX])
{
	uint8_t body[TOKEN_BODY_MAX] = { BODY_VERSION, (uint8_t)role };
	char token[TOKEN_TEXT_MAX];
	int err = room_name_check(room);

	if (err)
		return err;
	put_be32(body + 2, id);
	memcpy(body + LINK_HEAD, room, strlen(room));
	err = token_sign(secret, TOKEN_LINK, expiry_s, body, LINK_HEAD + strlen(room),
			 token);
	if (!err)
		snprintf(out, API_LINK_MAX, "/r/%s#%s", room, token);
	return err;
}
