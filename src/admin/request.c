/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A line as a request: one table of what can be asked, one of what a field must look like. What is
 * not understood is refused whole, so that a mistyped name does not leave a setting as it was.
 */
#include "admin_in.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT(field) (1u << FIELD_##field)
enum {
	OF_ROOM = BIT(TITLE) | BIT(DESCRIPTION) | BIT(FROM) | BIT(UNTIL) | BIT(ZONE) |
		  BIT(LANGUAGES) | BIT(LOBBY) | BIT(MUTE) | BIT(AUDIENCE) | BIT(LOCK) |
		  BIT(APPROVE) | BIT(RETENTION)
};
static const struct verb_row {
	const char *name;
	uint32_t must, may;
} verbs[VERBS] = {
	[VERB_STATUS] = { "status", 0, 0 },
	[VERB_HEALTH] = { "health", 0, 0 },
	[VERB_METRICS] = { "metrics", 0, 0 },
	[VERB_ROOMS] = { "rooms", 0, 0 },
	[VERB_ROOM] = { "room", BIT(ROOM), 0 },
	[VERB_ROOM_ADD] = { "room-add", BIT(ROOM), OF_ROOM },
	[VERB_ROOM_SET] = { "room-set", BIT(ROOM), OF_ROOM },
	[VERB_ROOM_REMOVE] = { "room-remove", BIT(ROOM), 0 },
	[VERB_LINKS] = { "links", BIT(ROOM), 0 },
	[VERB_LINK_ADD] = { "link-add", BIT(ROOM) | BIT(ROLE), BIT(EXPIRES) },
	[VERB_LINK_REVOKE] = { "link-revoke", BIT(ROOM) | BIT(LINK), 0 },
	[VERB_PEOPLE] = { "people", BIT(ROOM), 0 },
	[VERB_KICK] = { "kick", BIT(ROOM) | BIT(PERSON), 0 },
	[VERB_DRAIN] = { "drain", BIT(ON), 0 },
	[VERB_LOG] = { "log", 0, BIT(LEVEL) },
	[VERB_KEYS] = { "keys", 0, 0 },
	[VERB_CHALLENGE_ADD] = { "challenge-add", BIT(CHALLENGE), 0 },
	[VERB_CHALLENGE_REMOVE] = { "challenge-remove", BIT(CHALLENGE), 0 },
};

/* In seconds since 1970: until the year 9999. */
#define TIME_MAX_S INT64_C(253402300799)

enum kind {
	KIND_ROOM,
	KIND_TEXT, /* limit: bytes; lines: line ends are kept */
	KIND_ZONE,
	KIND_LANGUAGES,
	KIND_TIME,
	KIND_DAYS,
	KIND_FLAG,
	KIND_ROLE,
	KIND_LINK,
	KIND_PERSON,
	KIND_LEVEL,
	KIND_CHALLENGE
};
#define AT(member) offsetof(struct request, member)
static const struct field_row {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t limit;
	bool lines;
} fields[FIELDS] = {
	[FIELD_ROOM] = { "room", KIND_ROOM, AT(room.name), 0, false },
	[FIELD_TITLE] = { "title", KIND_TEXT, AT(room.title), STORE_TITLE_MAX, false },
	[FIELD_DESCRIPTION] = { "description", KIND_TEXT, AT(room.description),
				STORE_DESCRIPTION_MAX, true },
	[FIELD_FROM] = { "from", KIND_TIME, AT(room.starts_s), 0, false },
	[FIELD_UNTIL] = { "until", KIND_TIME, AT(room.ends_s), 0, false },
	[FIELD_ZONE] = { "zone", KIND_ZONE, AT(room.zone), STORE_ZONE_MAX, false },
	[FIELD_LANGUAGES] = { "languages", KIND_LANGUAGES, AT(room.languages),
			      STORE_LANGUAGES_MAX, false },
	[FIELD_LOBBY] = { "lobby", KIND_FLAG, AT(room.lobby), 0, false },
	[FIELD_MUTE] = { "mute", KIND_FLAG, AT(room.mute), 0, false },
	[FIELD_AUDIENCE] = { "audience", KIND_FLAG, AT(room.audience), 0, false },
	[FIELD_LOCK] = { "lock", KIND_FLAG, AT(room.lock), 0, false },
	[FIELD_APPROVE] = { "approve", KIND_FLAG, AT(room.approve), 0, false },
	[FIELD_RETENTION] = { "retention", KIND_DAYS, AT(room.retention_days), 0, false },
	[FIELD_ROLE] = { "role", KIND_ROLE, AT(role), 0, false },
	[FIELD_EXPIRES] = { "expires", KIND_TIME, AT(expires_s), 0, false },
	[FIELD_LINK] = { "link", KIND_LINK, AT(link), 0, false },
	[FIELD_PERSON] = { "person", KIND_PERSON, AT(person), 0, false },
	[FIELD_ON] = { "on", KIND_FLAG, AT(on), 0, false },
	[FIELD_LEVEL] = { "level", KIND_LEVEL, AT(level), 0, false },
	[FIELD_CHALLENGE] = { "challenge", KIND_CHALLENGE, AT(challenge), CHALLENGE_MAX,
			      false },
};

const char *verb_name(enum verb verb)
{
	return verbs[verb].name;
}

static int wrong(char why[REQUEST_WHY_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(char why[REQUEST_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, REQUEST_WHY_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- what a value must look like ---------------------------------------------------- */

static int take_room(const char *text, char *out)
{
	if (room_name_check(text))
		return -EINVAL;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int take_text(const char *text, const struct field_row *row, char *out)
{
	if (!text[strspn(text, " \t\n")]) {
		out[0] = 0;
		return 0;
	}
	return room_text_take(text, (unsigned)row->limit, row->limit, row->lines, out) < 0
		       ? -EINVAL
		       : 0;
}

/* "Africa/Nairobi", "Etc/GMT+3"; if there is such a zone palabrectl knows. */
static int take_zone(const char *text, const struct field_row *row, char *out)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_+-/");

	if (text[len] || len > row->limit || text[0] == '/')
		return -EINVAL;
	memcpy(out, text, len + 1);
	return 0;
}

/* BCP 47 tags, roughly: "en,fr,pt-BR". */
static int take_languages(const char *text, const struct field_row *row, char *out)
{
	size_t total = strlen(text);

	if (total > row->limit)
		return -EINVAL;
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ",");
		size_t first = strspn(p, "abcdefghijklmnopqrstuvwxyz");
		size_t all = strspn(p, "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

		if (first < 2 || first > 3 || all != len ||
		    (len > first && p[first] != '-'))
			return -EINVAL;
		p += len;
		if (*p == ',' && !*++p)
			return -EINVAL;
	}
	memcpy(out, text, total + 1);
	return 0;
}

static int take_role(const char *text, unsigned *out)
{
	int role = role_parse(text);

	if (role < 0)
		return -EINVAL;
	*out = (unsigned)role;
	return 0;
}

static int take_link(const char *text, uint32_t *out)
{
	if (strlen(text) != 8 || text[strspn(text, "0123456789abcdef")])
		return -EINVAL;
	*out = (uint32_t)strtoul(text, NULL, 16);
	return *out ? 0 : -EINVAL;
}

static int take_person(const char *text, char *out)
{
	size_t len = strlen(text);

	if (!len || len > PERSON_ID_BYTES)
		return -EINVAL;
	memcpy(out, text, len + 1);
	return 0;
}

static int take_level(const char *text, unsigned *out)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*out = i;
		return 0;
	}
	return -EINVAL;
}

/* What is in it is for the one who keeps it to judge. */
static int take_challenge(const char *text, const struct field_row *row, char *out)
{
	size_t len = strlen(text);

	if (len > row->limit)
		return -EINVAL;
	memcpy(out, text, len + 1);
	return 0;
}

static int take_string(const struct field_row *row, const char *text, void *out)
{
	switch (row->kind) {
	case KIND_ROOM:
		return take_room(text, out);
	case KIND_TEXT:
		return take_text(text, row, out);
	case KIND_ZONE:
		return take_zone(text, row, out);
	case KIND_LANGUAGES:
		return take_languages(text, row, out);
	case KIND_ROLE:
		return take_role(text, out);
	case KIND_LINK:
		return take_link(text, out);
	case KIND_PERSON:
		return take_person(text, out);
	case KIND_LEVEL:
		return take_level(text, out);
	case KIND_CHALLENGE:
		return take_challenge(text, row, out);
	default:
		return -EINVAL;
	}
}

static int take_value(const struct field_row *row, const json_t *v, void *out)
{
	json_int_t n = json_integer_value(v);
	unsigned days;

	switch (row->kind) {
	case KIND_FLAG:
		if (!json_is_boolean(v))
			return -EINVAL;
		*(bool *)out = json_is_true(v);
		return 0;
	case KIND_TIME:
		if (!json_is_integer(v) || n < 0 || n > TIME_MAX_S)
			return -EINVAL;
		*(uint64_t *)out = (uint64_t)n;
		return 0;
	case KIND_DAYS:
		if (!json_is_integer(v) || n < 0 || n > STORE_RETENTION_DAYS_MAX)
			return -EINVAL;
		days = (unsigned)n;
		memcpy(out, &days, sizeof days);
		return 0;
	default:
		return json_is_string(v) ? take_string(row, json_string_value(v), out)
					 : -EINVAL;
	}
}

/* What to do about it. */
static int refuse(char why[REQUEST_WHY_MAX], const struct field_row *row)
{
	static const char *const words[] = {
		[KIND_ROOM] = "a room's name is 1 to 64 of a-z, 0-9 and -",
		[KIND_TEXT] = "the text is too long, or not UTF-8",
		[KIND_ZONE] = "a time zone is written like Africa/Nairobi",
		[KIND_LANGUAGES] = "languages are written like en,fr,pt-BR",
		[KIND_TIME] = "a time is a number of seconds since 1970",
		[KIND_DAYS] = "a number of days from 0 to 3650",
		[KIND_FLAG] = "true or false",
		[KIND_ROLE] =
			"a role is host, moderator, speaker, interpreter, captioner or "
			"listener",
		[KIND_LINK] =
			"a link's id has eight digits of 0-9a-f; `palabrectl link list` "
			"has them",
		[KIND_PERSON] = "a person's id is what `palabrectl people` shows",
		[KIND_LEVEL] = "a level is debug, info, warn or error",
		[KIND_CHALLENGE] = "a challenge is written TOKEN.THUMBPRINT",
	};

	return wrong(why, "%s: %s", row->name, words[row->kind]);
}

/* ---- the request -------------------------------------------------------------------- */

static int find_field(const char *name)
{
	for (int f = 0; f < FIELDS; f++)
		if (!strcmp(name, fields[f].name))
			return f;
	return -1;
}

static int take_fields(struct request *out, const json_t *j, char why[REQUEST_WHY_MAX])
{
	const struct verb_row *row = &verbs[out->verb];
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		int f = find_field(key);

		if (!strcmp(key, "do"))
			continue;
		if (f < 0 || !((row->must | row->may) >> f & 1))
			return wrong(why, "%s takes no \"%.40s\"", row->name, key);
		if (take_value(&fields[f], v, (char *)out + fields[f].offset))
			return refuse(why, &fields[f]);
		out->given |= 1u << f;
	}
	for (int f = 0; f < FIELDS; f++)
		if ((row->must & ~out->given) >> f & 1)
			return wrong(why, "%s wants \"%s\"", row->name, fields[f].name);
	return 0;
}

int request_read(struct request *out, const char *line, size_t len,
		 char why[REQUEST_WHY_MAX])
{
	char words[SDP_TEXT_MAX] = "not enough memory";
	struct request rq = { .verb = VERBS };
	json_t *j = json_read(line, len, words);
	const char *verb = j ? json_get_text(j, "do", 32) : NULL;
	int err;

	if (!j)
		return wrong(why, "the request is no JSON object: %.160s", words);
	for (unsigned v = 0; v < VERBS && verb; v++)
		if (!strcmp(verb, verbs[v].name))
			rq.verb = (enum verb)v;
	err = rq.verb == VERBS ? wrong(why, "\"do\" says nothing that is known here")
			       : take_fields(&rq, j, why);
	if (!err && rq.room.ends_s && rq.room.ends_s < rq.room.starts_s)
		err = wrong(why, "it would end before it begins");
	if (!err)
		*out = rq;
	json_decref(j);
	return err;
}

static size_t size_of(const struct field_row *row)
{
	switch (row->kind) {
	case KIND_TIME:
		return sizeof(uint64_t);
	case KIND_DAYS:
		return sizeof(unsigned);
	case KIND_FLAG:
		return sizeof(bool);
	default:
		return row->limit + 1;
	}
}

void request_apply(const struct request *rq, struct store_room *room)
{
	for (int f = 0; f < FIELDS; f++) {
		size_t at = fields[f].offset - AT(room);

		if ((unsigned)OF_ROOM >> f & 1 && has(rq, (enum field)f))
			memcpy((char *)room + at, (const char *)rq + fields[f].offset,
			       size_of(&fields[f]));
	}
}
