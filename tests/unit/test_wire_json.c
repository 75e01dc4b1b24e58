/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <palabre/wire.h>

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void refuse(const char *text, size_t len, const char *why)
{
	char err[SDP_TEXT_MAX] = "";

	assert_null(json_read(text, len, err));
	if (!strstr(err, why))
		fail_msg("\"%s\" in place of \"%s\"", err, why);
}

static void test_read_write(void **state)
{
	const char *text =
		"{\"a\": \"x\\\"y{[\", \"n\": -3, \"b\": true, \"o\": {\"k\": [1, 2]}}";
	char err[SDP_TEXT_MAX];
	json_t *j = json_read(text, strlen(text), err);
	char *s;

	(void)state;
	assert_non_null(j);
	assert_string_equal(json_get_text(j, "a", 10), "x\"y{[");
	assert_non_null(json_get_text(j, "a", 5));
	assert_null(json_get_text(j, "a", 4));
	assert_null(json_get_text(j, "n", 10));
	assert_null(json_get_text(j, "none", 10));
	assert_int_equal(json_get_int(j, "n", -3, 5, 9), -3);
	assert_int_equal(json_get_int(j, "n", -2, 5, 9), 9);
	assert_int_equal(json_get_int(j, "n", -9, -4, 9), 9);
	assert_int_equal(json_get_int(j, "a", -9, 9, 7), 7);
	assert_int_equal(json_get_int(j, "none", -9, 9, 7), 7);
	assert_true(json_get_bool(j, "b", false));
	assert_false(json_get_bool(j, "n", false));
	assert_true(json_get_bool(j, "none", true));
	assert_null(json_get_text(NULL, "a", 10));
	s = json_write(j);
	assert_string_equal(
		s, "{\"a\":\"x\\\"y{[\",\"n\":-3,\"b\":true,\"o\":{\"k\":[1,2]}}");
	free(s);
	json_decref(j);
}

static void test_refused(void **state)
{
	(void)state;
	refuse("", 0, "line");
	refuse(NULL, 0, "line");
	refuse("[1]", 3, "not an object");
	refuse("{\"a\":1,\"a\":2}", 13, "duplicate");
	refuse("{\"a\":1}x", 8, "line 1");
	refuse("{\"a\":\"\\u0000\"}", 14, "NUL");
	refuse("{\"a\0\":1}", 8, "NUL");
	refuse("{\"a\":\"\xff\"}", 9, "line 1");
	refuse("{\"a\":99999999999999999999}", 26, "big");
	refuse("{\"a\\", 4, "line 1");
}

/* An object that holds depth - 1 arrays. */
static char *nested(unsigned depth, const char *inside)
{
	struct text t = { 0 };
	unsigned i;

	text_add(&t, "{\"k\":");
	for (i = 1; i < depth; i++)
		text_add(&t, "[");
	text_add(&t, "%s", inside);
	for (i = 1; i < depth; i++)
		text_add(&t, "]");
	text_add(&t, "}");
	return t.s;
}

static void test_depth(void **state)
{
	char err[SDP_TEXT_MAX], *s;
	json_t *j;

	(void)state;
	/* Brackets in a string don't count, also behind escapes. */
	s = nested(JSON_DEPTH_MAX, "\"[[[[\\\"[[[[[[[[[[[[[[[[[\\\\\"");
	j = json_read(s, strlen(s), err);
	assert_non_null(j);
	json_decref(j);
	free(s);
	s = nested(JSON_DEPTH_MAX + 1, "1");
	refuse(s, strlen(s), "nested deeper than 16");
	free(s);
	s = nested(100000, "1");
	refuse(s, strlen(s), "nested deeper than 16");
	free(s);
}

static void test_size(void **state)
{
	char err[SDP_TEXT_MAX], *s = malloc(JSON_BYTES_MAX + 1);
	json_t *j;

	(void)state;
	memset(s, ' ', JSON_BYTES_MAX + 1);
	s[0] = '{';
	s[JSON_BYTES_MAX - 1] = '}';
	j = json_read(s, JSON_BYTES_MAX, err);
	assert_non_null(j);
	json_decref(j);
	refuse(s, JSON_BYTES_MAX + 1, "longer than");
	free(s);
}

static void test_text(void **state)
{
	struct text t = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++)
		text_add(&t, "%u,", i);
	assert_int_equal(t.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(t.s[t.len], 0);
	assert_memory_equal(t.s + t.len - 8, "998,999,", 8);
	text_add_bytes(&t, "a\0b", 3);
	assert_memory_equal(t.s + t.len - 3, "a\0b", 4);
	text_add_bytes(&t, NULL, 0);
	assert_false(t.bad);
	/* What cannot fit leaves what is there, and nothing follows. */
	text_add_bytes(&t, "x", SIZE_MAX / 2);
	assert_true(t.bad);
	text_add(&t, "more");
	assert_memory_equal(t.s + t.len - 3, "a\0b", 4);
	text_free(&t);
	assert_null(t.s);
	assert_false(t.bad);
	text_add_bytes(&t, NULL, 0);
	assert_string_equal(t.s, "");
	text_free(&t);
	/* Exactly a buffer's size. */
	text_add(&t, "%255s", "");
	assert_int_equal(t.len, 255);
	text_add(&t, "%s", "");
	text_add(&t, "%256s", "y");
	assert_int_equal(t.len, 511);
	assert_int_equal(strlen(t.s), 511);
	text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),	   cmocka_unit_test(test_size),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
