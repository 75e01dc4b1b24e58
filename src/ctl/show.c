/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "show.h"

#include "table.h"

#include <palabre/ctl.h>

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text ? text : "";
}

static int64_t int_of(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static bool is(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

static void cell_time(struct table *t, const json_t *j, const char *key, const char *none)
{
	char text[CTL_TIME_MAX];

	if (!int_of(j, key)) {
		table_cell(t, "%s", none);
		return;
	}
	ctl_time_text((uint64_t)int_of(j, key), text_of(j, "zone"), text);
	table_cell(t, "%s", text);
}

static int by_room(const void *a, const void *b)
{
	return strcmp(text_of(*(json_t *const *)a, "room"),
		      text_of(*(json_t *const *)b, "room"));
}

static void row_of_room(struct table *t, const json_t *room)
{
	table_cell(t, "%s", text_of(room, "room"));
	table_cell(t, "%s", is(room, "kept") ? text_of(room, "title") : "(by link only)");
	cell_time(t, room, "from", "");
	table_cell(t, "%" PRId64, int_of(room, "people"));
	table_cell(t, "%" PRId64, int_of(room, "waiting"));
	table_cell(t, "%" PRId64, int_of(room, "links"));
}

static void show_rooms(const json_t *items)
{
	static const char *const headings[] = { "ROOM",	  "TITLE",   "FROM",
						"PEOPLE", "WAITING", "LINKS" };
	size_t count = json_array_size(items);
	const json_t **sorted = calloc(count ? count : 1, sizeof(json_t *));
	struct table t;

	table_init(&t, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count && sorted; i++)
		sorted[i] = json_array_get(items, i);
	if (sorted)
		qsort(sorted, count, sizeof *sorted, by_room);
	for (size_t i = 0; i < count && sorted; i++)
		row_of_room(&t, sorted[i]);
	table_print(&t);
	table_fini(&t);
	free(sorted);
}

static void show_room(const json_t *room)
{
	static const char *const flags[] = { "lobby", "mute", "audience", "lock",
					     "approve" };
	struct table t = { .columns = 2 };

	table_cell(&t, "room");
	table_cell(&t, "%s", text_of(room, "room"));
	table_cell(&t, "title");
	table_cell(&t, "%s", text_of(room, "title"));
	table_cell(&t, "from");
	cell_time(&t, room, "from", "any time");
	table_cell(&t, "until");
	cell_time(&t, room, "until", "any time");
	table_cell(&t, "zone");
	table_cell(&t, "%s", text_of(room, "zone"));
	table_cell(&t, "languages");
	table_cell(&t, "%s", text_of(room, "languages"));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		table_cell(&t, "%s", flags[i]);
		table_cell(&t, "%s", is(room, flags[i]) ? "yes" : "no");
	}
	table_cell(&t, "retention");
	table_cell(&t, "%" PRId64 " days", int_of(room, "retention"));
	table_cell(&t, "people");
	table_cell(&t, "%" PRId64 ", waiting %" PRId64, int_of(room, "people"),
		   int_of(room, "waiting"));
	table_cell(&t, "links");
	table_cell(&t, "%" PRId64, int_of(room, "links"));
	table_print(&t);
	table_fini(&t);
	if (text_of(room, "description")[0]) {
		putchar('\n');
		plain_print(text_of(room, "description"));
		putchar('\n');
	}
}

static void show_links(const json_t *items)
{
	static const char *const headings[] = { "LINK", "ROLE", "STATE", "EXPIRES",
						"ADDRESS" };
	struct table t;
	const json_t *link;
	size_t i;

	table_init(&t, ARRAY_LEN(headings), headings);
	json_array_foreach(items, i, link)
	{
		table_cell(&t, "%s", text_of(link, "link"));
		table_cell(&t, "%s", text_of(link, "role"));
		table_cell(&t, "%s", text_of(link, "state"));
		cell_time(&t, link, "expires", "never");
		table_cell(&t, "%s", text_of(link, "url"));
	}
	table_print(&t);
	table_fini(&t);
}

static void cell_on(struct table *t, const json_t *on)
{
	struct text text = { 0 };
	const json_t *kind;
	size_t i;

	json_array_foreach(on, i, kind)
		text_add(&text, "%s%s", i ? "," : "", json_string_value(kind));
	table_cell(t, "%s", text.s ? text.s : "");
	text_free(&text);
}

static void show_people(const json_t *items)
{
	static const char *const headings[] = { "PERSON", "NAME",  "ROLE", "LINK",
						"ON",	  "VOICE", "LOSS" };
	struct table t;
	const json_t *p;
	size_t i;

	table_init(&t, ARRAY_LEN(headings), headings);
	json_array_foreach(items, i, p)
	{
		table_cell(&t, "%s", text_of(p, "id"));
		table_cell(&t, "%s", text_of(p, "name"));
		table_cell(&t, "%s", text_of(p, "role"));
		table_cell(&t, "%s", is(p, "waiting") ? "waiting" : text_of(p, "link"));
		cell_on(&t, json_object_get(p, "on"));
		if (int_of(p, "rung") < 0)
			table_cell(&t, "all");
		else
			table_cell(&t, "step %" PRId64 "%s", int_of(p, "rung"),
				   is(p, "nopictures") ? ", no pictures" : "");
		table_cell(&t, "%" PRId64 " %%", int_of(p, "loss"));
	}
	table_print(&t);
	table_fini(&t);
}

static void show_keys(const json_t *items)
{
	static const char *const headings[] = { "KEY", "FINGERPRINT" };
	struct table t;
	const json_t *key;
	size_t i;

	table_init(&t, ARRAY_LEN(headings), headings);
	json_array_foreach(items, i, key)
	{
		table_cell(&t, "%s", text_of(key, "key"));
		table_cell(&t, "%s", text_of(key, "fingerprint"));
	}
	table_print(&t);
	table_fini(&t);
}

static void show_status(const json_t *s)
{
	int64_t up = int_of(s, "uptime");
	const json_t *legs = json_object_get(s, "legs"), *n;
	size_t i;

	printf("palabred %s, up %" PRId64 " d %02" PRId64 ":%02" PRId64 "\n",
	       text_of(s, "version"), up / 86400, up / 3600 % 24, up / 60 % 60);
	printf("calls %" PRId64 ", people %" PRId64 " (away %" PRId64
	       "), in lobbies %" PRId64 "\n",
	       int_of(s, "calls"), int_of(s, "people"), int_of(s, "away"),
	       int_of(s, "waiting"));
	printf("rooms %" PRId64 ", %s%s\n", int_of(s, "rooms"),
	       is(s, "kept") ? "kept on disk"
			     : "in memory only: server.state_dir is not set",
	       is(s, "bylink") ? "; links of palabred open others, too" : "");
	printf("media connections");
	json_array_foreach(legs, i, n) printf("%s worker %zu: %" PRId64, i ? "," : "", i,
					      (int64_t)json_integer_value(n));
	putchar('\n');
	if (is(s, "draining"))
		puts("draining: nobody new comes in (palabrectl drain --off ends that)");
	if (int_of(s, "unkept"))
		printf("The disk has refused %" PRId64
		       " changes; they hold until the server stops. See its log.\n",
		       int_of(s, "unkept"));
}

static void show_changed(const char *verb, const json_t *end)
{
	if (!strcmp(verb, "link-add"))
		printf("%s\n", text_of(end, "url"));
	else if (!strcmp(verb, "link-revoke"))
		puts("Revoked: nobody comes in by it any more. Who is inside stays; see "
		     "palabrectl people and kick.");
	else if (!strcmp(verb, "room-remove"))
		printf("Removed, with its links. People sent away: %" PRId64 ".\n",
		       int_of(end, "gone"));
	else
		printf("Room %s is kept%s.%s\n", text_of(end, "room"),
		       is(end, "kept") ? "" : " in memory only, until the server stops",
		       is(end, "running") ? " A call goes on there: its rules stay as "
					    "they are until it is over."
					  : "");
}

static int show_one(const char *verb, const json_t *items, const json_t *end)
{
	if (!strcmp(verb, "rooms"))
		show_rooms(items);
	else if (!strcmp(verb, "room"))
		show_room(end);
	else if (!strcmp(verb, "links"))
		show_links(items);
	else if (!strcmp(verb, "people"))
		show_people(items);
	else if (!strcmp(verb, "keys"))
		show_keys(items);
	else if (!strcmp(verb, "status"))
		show_status(end);
	else if (!strcmp(verb, "health"))
		printf("%s\n", text_of(end, "text"));
	else if (!strcmp(verb, "metrics"))
		fputs(text_of(end, "text"), stdout);
	else if (!strcmp(verb, "kick"))
		puts("Gone; their ticket is void.");
	else if (!strcmp(verb, "log"))
		printf("%s\n", text_of(end, "level"));
	else if (!strcmp(verb, "drain"))
		printf(is(end, "draining") ? "Nobody new comes in. People here: %" PRId64
					     ".\n"
					   : "Open again. People here: %" PRId64 ".\n",
		       int_of(end, "people"));
	else if (strncmp(verb, "challenge-", 10) != 0) /* a script asks */
		show_changed(verb, end);
	return !strcmp(verb, "health") && !is(end, "good");
}

int show(const char *verb, const json_t *items, const json_t *end)
{
	int status = show_one(verb, items, end);

	if (strcmp(verb, "status") != 0 && is(end, "unkept")) {
		fputs("palabrectl: done, but the disk refused it: it holds until the "
		      "server stops. See the server's log.\n",
		      stderr);
		return 1;
	}
	return status;
}
