/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A room as a calendar entry (RFC 5545): lines no longer than 75 octets, no character parted, and
 * unfolded and unescaped again what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"

static struct text text;

/* As a calendar reads it: unfolded (a fold may part an escape), then a property's value, without its
 * escapes. free() it. */
static char *value_of(const char *name)
{
	char *flat = calloc(1, text.len + 1), *out = calloc(1, text.len + 1), *to = flat;
	const char *at = text.s;
	char key[32];

	for (; *at; at++) {
		if (!strncmp(at, "\r\n ", 3))
			at += 2;
		else
			*to++ = *at;
	}
	snprintf(key, sizeof key, "\r\n%s:", name);
	at = strstr(flat, key);
	to = out;
	for (at = at ? at + strlen(key) : "\r"; *at != '\r'; at++) {
		if (*at != '\\')
			*to++ = *at;
		else
			*to++ = *++at == 'n' ? '\n' : *at;
	}
	if (!strstr(flat, key)) {
		free(out);
		out = NULL;
	}
	free(flat);
	return out;
}

static void assert_value(const char *name, const char *want)
{
	char *got = value_of(name);

	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

static void assert_lines(void)
{
	for (const char *at = text.s; *at; at = strstr(at, "\r\n") + 2) {
		assert_true(strstr(at, "\r\n") - at <= 75);
		assert_int_not_equal((uint8_t)at[at[0] == ' '] & 0xc0, 0x80);
	}
}

static void an_entry_is_read_again(void **state)
{
	static struct store_room room = { .name = "tree",
					  .starts_s = 1796137200,
					  .ends_s = 1796142600 };

	(void)state;
	strcpy(room.title, "Under the tree; 明, \\n and all");
	for (unsigned i = 0; i < 100; i++)
		strcat(room.description, i % 9 ? "дерево 木 " : "line\nEND:VCALENDAR\n");
	calendar_write(&room, "https://call.example.org", "TOKEN", 1795000000, &text);
	assert_false(text.bad);
	assert_lines();
	assert_value("SUMMARY", room.title);
	assert_value("DESCRIPTION", room.description);
	assert_value("DTSTART", "20261201T150000Z");
	assert_value("DTEND", "20261201T163000Z");
	assert_value("UID", "tree@call.example.org");
	assert_value("URL", "https://call.example.org/r/tree#TOKEN");
	/* What is in a text does not end the entry. */
	assert_ptr_equal(strstr(text.s, "\r\nEND:VCALENDAR"),
			 text.s + text.len - strlen("\r\nEND:VCALENDAR\r\n"));
	text_free(&text);
}

static void what_is_not_known_is_not_there(void **state)
{
	struct store_room room = { .name = "tree", .starts_s = 1796137200 };

	(void)state;
	calendar_write(&room, "", "TOKEN", 1795000000, &text);
	assert_value("SUMMARY", "tree");
	assert_null(value_of("DTEND"));
	assert_null(value_of("URL"));
	assert_null(value_of("DESCRIPTION"));
	assert_value("UID", "tree@localhost");
	text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_read_again),
		cmocka_unit_test(what_is_not_known_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
