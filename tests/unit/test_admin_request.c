/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Lines as requests: what is understood, what is refused and in which words; who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "admin_in.h"

static struct request rq;
static char why[REQUEST_WHY_MAX];

static int read_line(const char *line)
{
	why[0] = 0;
	return request_read(&rq, line, strlen(line), why);
}

static void a_room_is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(
		read_line(
			"{\"do\":\"room-add\",\"room\":\"tree\",\"title\":\" Under the "
			"tree\\u0007 \",\"description\":\"Monthly.\\nBring it.\","
			"\"from\":1796137200,\"until\":1796142600,\"zone\":"
			"\"Africa/Nairobi\",\"languages\":\"en,pt-BR,sw\",\"lobby\":true,"
			"\"mute\":false,\"lock\":true,\"retention\":7}"),
		0);
	assert_int_equal(rq.verb, VERB_ROOM_ADD);
	assert_string_equal(rq.room.name, "tree");
	assert_null(strchr(rq.room.title, '\a')); /* nothing that moves a terminal */
	assert_non_null(strstr(rq.room.title, "Under the tree"));
	assert_string_equal(rq.room.description, "Monthly.\nBring it.");
	assert_int_equal(rq.room.starts_s, 1796137200);
	assert_int_equal(rq.room.ends_s, 1796142600);
	assert_string_equal(rq.room.zone, "Africa/Nairobi");
	assert_string_equal(rq.room.languages, "en,pt-BR,sw");
	assert_true(rq.room.lobby && rq.room.lock && !rq.room.mute);
	assert_true(has(&rq, FIELD_MUTE));
	assert_false(has(&rq, FIELD_AUDIENCE));
	assert_int_equal(rq.room.retention_days, 7);
}

static void only_what_is_given_changes(void **state)
{
	struct store_room room = { .name = "tree",
				   .title = "T",
				   .starts_s = 5,
				   .lobby = true,
				   .mute = true,
				   .retention_days = 3,
				   .pin = "12" };
	struct store_room before = room;

	(void)state;
	assert_int_equal(read_line("{\"do\":\"room-set\",\"room\":\"tree\"}"), 0);
	request_apply(&rq, &room);
	assert_memory_equal(&room, &before, sizeof room);
	assert_int_equal(
		read_line("{\"do\":\"room-set\",\"room\":\"tree\",\"mute\":false,"
			  "\"title\":\"\",\"from\":0,\"retention\":0}"),
		0);
	request_apply(&rq, &room);
	assert_string_equal(room.title, "");
	assert_true(room.lobby);
	assert_false(room.mute);
	assert_int_equal(room.starts_s, 0);
	assert_int_equal(room.retention_days, 0);
	assert_string_equal(room.pin, "12");
}

static void others_are_read(void **state)
{
	(void)state;
	assert_int_equal(read_line("{\"do\":\"link-add\",\"room\":\"a\",\"role\":"
				   "\"interpreter\",\"expires\":9}"),
			 0);
	assert_int_equal(rq.role, ROLE_INTERPRETER);
	assert_int_equal(rq.expires_s, 9);
	assert_int_equal(read_line("{\"do\":\"link-revoke\",\"room\":\"a\",\"link\":"
				   "\"0badcafe\"}"),
			 0);
	assert_int_equal(rq.link, 0x0badcafe);
	assert_int_equal(read_line("{\"do\":\"log\"}"), 0);
	assert_false(has(&rq, FIELD_LEVEL));
	assert_int_equal(read_line("{\"do\":\"log\",\"level\":\"warn\"}"), 0);
	assert_int_equal(rq.level, LOG_WARN);
	assert_int_equal(read_line("{\"do\":\"drain\",\"on\":false}"), 0);
	assert_false(rq.on);
}

static void what_is_wrong_is_refused_in_words(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "{}", "\"do\"" },
		{ "{\"do\":1}", "\"do\"" },
		{ "{\"do\":\"rm -rf\"}", "\"do\"" },
		{ "{\"do\":\"status\",\"do\":\"rooms\"}", "duplicate" },
		{ "{\"do\":\"status\",\"room\":\"a\"}", "status takes no \"room\"" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"titel\":\"x\"}",
		  "room-add takes no \"titel\"" },
		{ "{\"do\":\"room-add\"}", "wants \"room\"" },
		{ "{\"do\":\"link-add\",\"room\":\"a\"}", "wants \"role\"" },
		{ "{\"do\":\"room\",\"room\":\"../etc\"}", "a room's name" },
		{ "{\"do\":\"room\",\"room\":\"\"}", "a room's name" },
		{ "{\"do\":\"room\",\"room\":7}", "a room's name" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"lobby\":1}", "true or false" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"from\":-1}", "seconds" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"from\":1e3}", "seconds" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"until\":253402300800}",
		  "seconds" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"from\":9,\"until\":8}",
		  "before it begins" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"retention\":3651}", "3650" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"zone\":\"/etc/passwd\"}",
		  "time zone" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"languages\":\"en,\"}",
		  "languages" },
		{ "{\"do\":\"room-add\",\"room\":\"a\",\"languages\":\"english\"}",
		  "languages" },
		{ "{\"do\":\"link-add\",\"room\":\"a\",\"role\":\"root\"}", "a role is" },
		{ "{\"do\":\"link-revoke\",\"room\":\"a\",\"link\":\"00000000\"}",
		  "eight digits" },
		{ "{\"do\":\"link-revoke\",\"room\":\"a\",\"link\":\"123\"}",
		  "eight digits" },
		{ "{\"do\":\"kick\",\"room\":\"a\",\"person\":\"0123456789abcdef\"}",
		  "person" },
		{ "{\"do\":\"log\",\"level\":\"trace\"}", "debug, info" },
		{ "{\"do\":\"challenge-add\"}", "wants \"challenge\"" },
		{ "{\"do\":\"challenge-add\",\"challenge\":1}", "TOKEN.THUMBPRINT" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!read_line(cases[i].line))
			fail_msg("taken: %s", cases[i].line);
		if (!strstr(why, cases[i].words))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, why,
				 cases[i].words);
	}
}

static void texts_have_their_limits(void **state)
{
	char line[STORE_DESCRIPTION_MAX + 200], text[STORE_DESCRIPTION_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t over = 0; over < 2; over++) {
		snprintf(line, sizeof line,
			 "{\"do\":\"room-add\",\"room\":\"a\",\"title\":\"%.*s\"}",
			 STORE_TITLE_MAX + (int)over, text);
		assert_int_equal(read_line(line) != 0, over);
		snprintf(line, sizeof line,
			 "{\"do\":\"room-add\",\"room\":\"a\",\"description\":\"%.*s\"}",
			 STORE_DESCRIPTION_MAX + (int)over, text);
		assert_int_equal(read_line(line) != 0, over);
		snprintf(line, sizeof line,
			 "{\"do\":\"challenge-add\",\"challenge\":\"%.*s\"}",
			 CHALLENGE_MAX + (int)over, text);
		assert_int_equal(read_line(line) != 0, over);
	}
}

static void root_and_the_own_user_may_ask(void **state)
{
	(void)state;
	assert_true(peer_allowed(0, 1000));
	assert_true(peer_allowed(1000, 1000));
	assert_true(peer_allowed(0, 0));
	assert_false(peer_allowed(1001, 1000));
	assert_false(peer_allowed(1000, 0));
	assert_false(peer_allowed((unsigned)-1, 1000)); /* the kernel did not say */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_room_is_read_whole),
		cmocka_unit_test(only_what_is_given_changes),
		cmocka_unit_test(others_are_read),
		cmocka_unit_test(what_is_wrong_is_refused_in_words),
		cmocka_unit_test(texts_have_their_limits),
		cmocka_unit_test(root_and_the_own_user_may_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
