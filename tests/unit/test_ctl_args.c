/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Command lines as requests; times in zones, over changes of the clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <palabre/ctl.h>

static struct ctl_command command;
static char why[512];

/* Words with blanks between them; '_' stands for one. */
static int args(const char *line)
{
	static char copy[1024];
	char *argv[80] = { (char *)(uintptr_t) "palabrectl" }, *save = NULL;
	int argc = 1;

	json_decref(command.ask);
	strcpy(copy, line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		for (char *c = w; *c; c++)
			if (*c == '_')
				*c = ' ';
		argv[argc++] = w;
	}
	why[0] = 0;
	return ctl_args(&command, argc, argv, why, sizeof why);
}

static void assert_asks(const char *line, const char *json)
{
	json_t *want = json_loads(json, 0, NULL);

	assert_non_null(want);
	if (args(line))
		fail_msg("%s: %s", line, why);
	if (!json_equal(command.ask, want))
		fail_msg("%s: %s, not %s", line, json_dumps(command.ask, 0), json);
	json_decref(want);
}

static void commands_become_requests(void **state)
{
	(void)state;
	assert_asks("status", "{\"do\":\"status\"}");
	assert_asks("room show tree", "{\"do\":\"room\",\"room\":\"tree\"}");
	assert_asks(
		"room add tree --title Under_the_tree --lobby --no-mute --retention 7",
		"{\"do\":\"room-add\",\"room\":\"tree\",\"title\":\"Under the tree\","
		"\"lobby\":true,\"mute\":false,\"retention\":7}");
	assert_asks("room set --title --lobby tree",
		    "{\"do\":\"room-set\",\"room\":\"tree\",\"title\":\"--lobby\"}");
	assert_asks("room set tree --zone Africa/Nairobi --from 2026-12-01_18:00 --until "
		    "none",
		    "{\"do\":\"room-set\",\"room\":\"tree\",\"zone\":\"Africa/Nairobi\","
		    "\"from\":1796137200,\"until\":0}");
	assert_asks("link add tree host", "{\"do\":\"link-add\",\"room\":\"tree\","
					  "\"role\":\"host\"}");
	assert_asks("link revoke -- tree -x", "{\"do\":\"link-revoke\",\"room\":\"tree\","
					      "\"link\":\"-x\"}");
	assert_asks("challenge add -- -a.b",
		    "{\"do\":\"challenge-add\",\"challenge\":\"-a.b\"}");
	assert_asks("challenge remove a.b",
		    "{\"do\":\"challenge-remove\",\"challenge\":\"a.b\"}");
	assert_asks("drain", "{\"do\":\"drain\",\"on\":true}");
	assert_asks("drain --off", "{\"do\":\"drain\",\"on\":false}");
	assert_asks("log", "{\"do\":\"log\"}");
	assert_asks("log warn", "{\"do\":\"log\",\"level\":\"warn\"}");
	assert_false(command.json);
	assert_asks("--json --socket /a/b rooms", "{\"do\":\"rooms\"}");
	assert_true(command.json);
	assert_string_equal(command.socket, "/a/b");
	assert_string_equal(command.name, "rooms");
}

static void an_expiry_counts_from_now(void **state)
{
	int64_t now_s = (int64_t)(clock_wall_us() / 1000000), at;

	(void)state;
	assert_int_equal(args("link add tree host --expires 7d"), 0);
	at = json_integer_value(json_object_get(command.ask, "expires"));
	assert_in_range(at, now_s + 7 * 86400, now_s + 7 * 86400 + 5);
}

static void what_is_not_understood_is_said(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "", "not a command" },
		{ "roms", "\"roms\" is not a command" },
		{ "room", "show, add, set or remove" },
		{ "room make tree", "show, add, set or remove" },
		{ "link tree", "add, list or revoke" },
		{ "challenge a.b", "add or remove" },
		{ "room add", "usage: palabrectl room add ROOM" },
		{ "room add a b", "usage" },
		{ "link add tree", "usage" },
		{ "log a b", "usage" },
		{ "rooms --lobby", "--lobby is not understood" },
		{ "drain --on", "--on is not understood" },
		{ "room add tree --titel x", "--titel is not understood" },
		{ "room add tree --no-title", "--no-title is not understood" },
		{ "room add tree -x", "-x is not understood" },
		{ "room add tree --title", "--title wants a value" },
		{ "room add tree --retention soon", "number of days" },
		{ "room add tree --retention -1", "number of days" },
		{ "room add tree --zone Africa/Nirobi", "no time zone" },
		{ "room add tree --zone ../../etc/passwd", "no time zone" },
		{ "room set tree --from 2026-12-01_18:00", "--zone" },
		{ "room add tree --from tomorrow", "--from wants" },
		{ "room add tree --from 2026-02-31_10:00 --zone UTC", "--from wants" },
		{ "room add tree --from 2026-12-01_25:00 --zone UTC", "--from wants" },
		{ "room add tree --from 2026-12-01_18:00x --zone UTC", "--from wants" },
		{ "link add tree host --expires 7w", "--expires wants" },
		{ "link add tree host --expires d", "--expires wants" },
		{ "status --socket", "--socket wants" },
		{ "room add tree --title \xff", "title is not UTF-8" },
		{ "a b c d e f g h i", "too much" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!args(cases[i].line))
			fail_msg("taken: %s", cases[i].line);
		if (!strstr(why, cases[i].words))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, why,
				 cases[i].words);
	}
}

static void times_go_there_and_back(void **state)
{
	static const char *const texts[] = { "2026-03-28 23:59", "2026-03-29 03:00",
					     "2026-10-25 01:59", "2026-10-25 03:00",
					     "2028-02-29 12:00" };
	char text[CTL_TIME_MAX];
	uint64_t at, utc;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(ctl_time_parse(texts[i], "Europe/Paris", &at), 0);
		ctl_time_text(at, "Europe/Paris", text);
		assert_string_equal(text, texts[i]);
	}
	/* Two o'clock comes not at all in March. */
	assert_true(ctl_time_parse("2026-03-29 02:30", "Europe/Paris", &at) < 0);
	assert_int_equal(ctl_time_parse("2026-03-29T02:30", "UTC", &utc), 0);
	ctl_time_text(utc, "Africa/Nairobi", text);
	assert_string_equal(text, "2026-03-29 05:30");
	assert_int_equal(ctl_span_parse("90m"), 5400);
	assert_int_equal(ctl_span_parse("12h"), 43200);
	assert_true(ctl_span_parse("7dd") < 0 && ctl_span_parse("") < 0);
	assert_true(ctl_span_parse("9999999d") < 0);
}

/* The same places for both ends. */
static void the_socket_has_its_place(void **state)
{
	char dir[CTL_PATH_MAX], made[] = "/tmp/palabre-ctl-XXXXXX", given[128];

	(void)state;
	assert_non_null(mkdtemp(made));
	snprintf(given, sizeof given, "%s/own", made);
	assert_int_equal(ctl_dir(given, true, dir), 0);
	assert_string_equal(dir, given);
	assert_int_equal(access(given, W_OK), 0);
	assert_int_equal(ctl_dir(given, false, dir), -ENOENT); /* no socket yet */
	assert_int_equal(ctl_dir("/nonexistent/a", true, dir), -ENOENT);
	memset(given, 'x', sizeof given - 1);
	given[sizeof given - 1] = 0;
	assert_int_equal(ctl_dir(given, true, dir), -ENAMETOOLONG);
	snprintf(given, sizeof given, "%s:/run/other", made); /* as systemd may */
	setenv("RUNTIME_DIRECTORY", given, 1);
	assert_int_equal(ctl_dir("", true, dir), 0);
	assert_string_equal(dir, made);
	unsetenv("RUNTIME_DIRECTORY");
	snprintf(given, sizeof given, "%s/own", made);
	assert_int_equal(rmdir(given), 0);
	assert_int_equal(rmdir(made), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_become_requests),
		cmocka_unit_test(an_expiry_counts_from_now),
		cmocka_unit_test(what_is_not_understood_is_said),
		cmocka_unit_test(times_go_there_and_back),
		cmocka_unit_test(the_socket_has_its_place),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	json_decref(command.ask);
	return failed;
}
