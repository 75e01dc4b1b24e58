/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Captions: who may write them, of which language, how fast, and which are kept; and the room's languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <palabre/room.h>

enum { S = 1000000 };

static uint64_t now;
static struct room *room;
static struct person *writer;
static unsigned told, last_channel;
static uint32_t last_id;
static char last_text[CAPTION_MAX + 1];

static void on_person(void *arg, struct person *p)
{
	(void)arg;
	(void)p;
}

static void on_leaving(void *arg, struct person *p, enum leave_reason reason)
{
	(void)reason;
	on_person(arg, p);
}

static void on_event(void *arg, const struct room_event *ev)
{
	(void)arg;
	if (ev->type != ROOM_CAPTION)
		return;
	told++;
	last_id = ev->caption->id;
	last_channel = ev->caption->channel;
	strcpy(last_text, ev->caption->text);
}

static const struct room_observer observer = { on_person, on_leaving, on_person,
					       on_event };

static struct person *join(enum role role)
{
	struct person *p = NULL;

	assert_int_equal(room_join(room, NULL, "Somebody", role, now, &p), 0);
	return p;
}

static int set_up(void **state)
{
	(void)state;
	told = 0;
	now = 1000 * (uint64_t)S;
	room = room_create("captions", 1000, &observer, NULL);
	room_set_languages(room, "en,sw");
	writer = join(ROLE_CAPTIONER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	room_destroy(room);
	return 0;
}

static enum deny write_as(struct person *p, const char *text, const char *language)
{
	struct act a = { .type = ACT_CAPTION, .text = text, .language = language };

	return room_act(room, p, &a, now);
}

static enum deny program(enum role role, const char *text)
{
	struct act a = { .type = ACT_CAPTION, .text = text };

	return room_act_caption(room, role, &a, now);
}

static void captioners_write_and_nobody_else(void **state)
{
	static const enum role others[] = { ROLE_HOST, ROLE_MODERATOR, ROLE_SPEAKER,
					    ROLE_INTERPRETER, ROLE_LISTENER };
	struct act appoint = { .type = ACT_ROLE, .role = ROLE_SPEAKER };

	(void)state;
	assert_int_equal(captions_last(room), 0);
	assert_null(captions_after(room, 0));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(write_as(join(others[i]), "Mine", NULL), DENY_ROLE);
		assert_int_equal(program(others[i], "Mine"), DENY_ROLE);
	}
	assert_int_equal(told, 0);
	assert_int_equal(write_as(writer, "  Good\nmorning \x01", NULL), DENY_NOTHING);
	assert_string_equal(last_text, "Good morning");
	assert_int_equal(program(ROLE_CAPTIONER, "to all"), DENY_NOTHING);
	assert_int_equal(told, 2);
	assert_int_equal(captions_last(room), last_id);
	/* A role that was taken back counts at once. */
	appoint.person = writer->id;
	assert_int_equal(room_act(room, room_by_number(room, 2), &appoint, now),
			 DENY_NOTHING);
	assert_int_equal(write_as(writer, "Still me", NULL), DENY_ROLE);
}

static void lines_are_of_a_language_of_the_room(void **state)
{
	(void)state;
	assert_int_equal(write_as(writer, "Habari", "sw"), DENY_NOTHING);
	assert_int_equal(last_channel, 2);
	assert_string_equal(room_language(room, last_channel), "sw");
	assert_int_equal(write_as(writer, "Floor", ""), DENY_NOTHING);
	assert_int_equal(last_channel, 0);
	assert_int_equal(write_as(writer, "Bonjour", "fr"), DENY_NO_LANGUAGE);
	assert_int_equal(told, 2);
}

static void text_is_bounded(void **state)
{
	char text[CAPTION_CHARS + 2];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[CAPTION_CHARS + 1] = 0;
	assert_int_equal(write_as(writer, text, NULL), DENY_TEXT);
	assert_int_equal(write_as(writer, NULL, NULL), DENY_TEXT);
	assert_int_equal(write_as(writer, " \n", NULL), DENY_TEXT);
	assert_int_equal(write_as(writer, "\xff", NULL), DENY_TEXT);
	text[CAPTION_CHARS] = 0;
	assert_int_equal(write_as(writer, text, NULL), DENY_NOTHING);
}

static void a_flood_is_refused(void **state)
{
	struct stats counted = { 0 }, *before = stats_here;
	unsigned mine = 0, all = 0;

	(void)state;
	stats_here = &counted;
	while (write_as(writer, "line", NULL) == DENY_NOTHING)
		mine++;
	assert_int_equal(mine, 8);
	assert_int_equal(write_as(writer, "line", NULL), DENY_RATE);
	while (program(ROLE_CAPTIONER, "line") == DENY_NOTHING)
		all++;
	assert_int_equal(all, 8);
	assert_int_equal(program(ROLE_CAPTIONER, "line"), DENY_BUSY);
	assert_int_equal(counted.caption_limit, 2);
	now += S;
	assert_int_equal(write_as(writer, "line", NULL), DENY_NOTHING);
	stats_here = before;
}

static void the_last_lines_are_kept(void **state)
{
	const struct caption *c;
	unsigned kept = 0;
	char text[20];

	(void)state;
	for (unsigned i = 0; i < CAPTIONS_KEPT_MAX + 20; i++) {
		now += S;
		snprintf(text, sizeof text, "line %u", i);
		assert_int_equal(write_as(writer, text, NULL), DENY_NOTHING);
	}
	assert_string_equal(captions_after(room, 0)->text, "line 20");
	for (c = captions_after(room, 0); c; c = captions_after(room, c->id))
		kept++;
	assert_int_equal(kept, CAPTIONS_KEPT_MAX);
	assert_string_equal(captions_after(room, last_id - 1)->text, last_text);
	assert_null(captions_after(room, last_id));
	/* Of a server before this one. */
	assert_string_equal(captions_after(room, last_id + 1)->text, "line 20");
}

static void languages_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(room_languages(room), 2);
	assert_int_equal(room_channel(room, "en"), 1);
	assert_int_equal(room_channel(room, NULL), 0);
	assert_int_equal(room_channel(room, "e"), -ENOENT);
	assert_string_equal(room_language(room, 0), "");
	assert_string_equal(room_language(room, 3), "");
	room_set_languages(room, "aa,,aa,a-tag-that-is-too-long,bb,cc,dd,ee,ff,gg,hh,ii");
	assert_int_equal(room_languages(room), ROOM_LANGUAGES_MAX);
	assert_string_equal(room_language(room, 2), "bb");
	assert_string_equal(room_language(room, 8), "hh");
	room_set_languages(room, "");
	assert_int_equal(room_languages(room), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(captioners_write_and_nobody_else),
		TEST(lines_are_of_a_language_of_the_room),
		TEST(text_is_bounded),
		TEST(a_flood_is_refused),
		TEST(the_last_lines_are_kept),
		TEST(languages_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
