/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an ACME authority finds, and where plain http leads. */
#include "unit/api_rig.h"

#define AT   "GET /.well-known/acme-challenge/"
#define HOST "Host: a\r\n"

static struct challenges *challenges;

static int setup(void **state)
{
	int err = api_setup(state);

	challenges = challenges_create();
	challenges_route(challenges, api_http);
	redirect_route(api_http, "https://call.example.org");
	return err;
}

static int teardown(void **state)
{
	int err = api_teardown(state);

	challenges_destroy(challenges);
	return err;
}

static void test_found_until_taken_back(void **state)
{
	(void)state;
	assert_int_equal(api_ask(AT "to-ken_", HOST, ""), 404);
	assert_int_equal(challenge_add(challenges, "to-ken_.print"), 0);
	assert_int_equal(api_ask(AT "to-ken_", HOST, ""), 200);
	assert_int_equal(rig_times(&api_client, "\r\n\r\nto-ken_.print"), 1);
	assert_int_equal(api_ask(AT "to-ken", HOST, ""), 404);
	assert_int_equal(api_ask(AT "to-ken_.print", HOST, ""), 404);
	assert_int_equal(api_ask(AT "to-ken_x", HOST, ""), 404);
	assert_int_equal(api_ask("POST /.well-known/acme-challenge/to-ken_", HOST, ""),
			 308); /* to where it is refused */
	assert_int_equal(challenge_remove(challenges, "to-ken_.other"), 0);
	assert_int_equal(api_ask(AT "to-ken_", HOST, ""), 404);
	assert_int_equal(challenge_remove(challenges, "to-ken_.print"), -ENOENT);
}

static void test_only_key_authorizations(void **state)
{
	static const char *const bad[] = { "",	    ".",     "a",     "a.",    ".b",
					   "a.b.c", "a/b.c", "a.b c", "a.b\n", "a=.b" };
	char text[CHALLENGE_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(challenge_add(challenges, bad[i]), -EINVAL);
		assert_int_equal(challenge_remove(challenges, bad[i]), -EINVAL);
	}
	memset(text, 'a', sizeof text);
	text[5] = '.';
	text[CHALLENGE_MAX + 1] = 0;
	assert_int_equal(challenge_add(challenges, text), -EINVAL);
	text[CHALLENGE_MAX] = 0;
	assert_int_equal(challenge_add(challenges, text), 0);
}

static void test_so_many(void **state)
{
	char text[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		snprintf(text, sizeof text, "token%u.print", i);
		assert_int_equal(challenge_add(challenges, text), 0);
	}
	assert_int_equal(challenge_add(challenges, "more.print"), -ENOBUFS);
	assert_int_equal(challenge_add(challenges, "token3.again"), 0);
	assert_int_equal(api_ask(AT "token3", HOST, ""), 200);
	assert_int_equal(rig_times(&api_client, "token3.again"), 1);
	assert_int_equal(challenge_remove(challenges, text), 0);
	assert_int_equal(challenge_add(challenges, "more.print"), 0);
}

static void leads(const char *line, const char *location)
{
	char want[200];

	assert_int_equal(api_ask(line, "Host: evil.example\r\n", ""), 308);
	snprintf(want, sizeof want, "\r\nLocation: https://call.example.org%s\r\n",
		 location);
	if (rig_times(&api_client, want) != 1)
		fail_msg("%s: %s", line, (char *)api_client.in);
}

static void test_plain_leads_to_https(void **state)
{
	(void)state;
	leads("GET /nothing", "/nothing");
	leads("GET /no%41thing?a=%0d%0ab&c", "/no%41thing?a=%0d%0ab&c");
	leads("GET //evil.example/x", "//evil.example/x");
	leads("GET http://evil.example/x", "/");
	leads("PUT /x/y/z", "/x/y/z");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_found_until_taken_back),
					    T(test_only_key_authorizations),
					    T(test_so_many),
					    T(test_plain_leads_to_https) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
