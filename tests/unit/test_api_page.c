/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The page's files over HTTP. */
#include "unit/api_rig.h"

/* The directive with what it lets the page talk to; the policy ends with it. */
static const char *connect_src(const char *host)
{
	static char out[2048];
	char headers[1200];
	char *at, *end;

	snprintf(headers, sizeof headers, "Host: %s\r\n", host);
	if (api_ask("GET /r/room", headers, "") != 200)
		return NULL;
	assert_int_equal(rig_times(&api_client, "Content-Security-Policy: "), 1);
	at = strstr((char *)api_client.in, "Content-Security-Policy: ");
	end = strstr(at, "\r\n");
	assert_int_equal(rig_times(&api_client, "script-src"), 1);
	at = strstr(at, "connect-src ");
	assert_true(at && at < end);
	snprintf(out, sizeof out, "%.*s", (int)(end - at), at);
	return out;
}

static void test_policy_names_the_host(void **state)
{
	(void)state;
	assert_string_equal(connect_src("meet.example"),
			    "connect-src 'self' ws://meet.example wss://meet.example");
	assert_string_equal(connect_src("A-1.b:8443"),
			    "connect-src 'self' ws://A-1.b:8443 wss://A-1.b:8443");
	assert_string_equal(connect_src("127.0.0.1:80"),
			    "connect-src 'self' ws://127.0.0.1:80 wss://127.0.0.1:80");
}

static void test_policy_takes_nothing_else(void **state)
{
	static const char *const bad[] = {
		"a;script-src",
		"a; script-src *",
		"a b",
		"a\tb",
		"a,b",
		"*",
		"*.example",
		"a:*",
		"a'b",
		"[::1]:80",
		"",
		".",
		"a.",
		".a",
		"a..b",
		"a:",
		"a:b",
		":80",
		"a/b",
		"a:80/b",
		"u@a",
		"a%3b",
		"\xc3\xa9",
		"a:80 b",
		"a_b",
		"a\"b",
	};
	char longest[HTTP_PATH_MAX] = "";
	const char *got;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		got = connect_src(bad[i]);
		if (got && strcmp(got, "connect-src 'self'") != 0)
			fail_msg("Host: %s gives %s", bad[i], got);
	}
	memset(longest, 'a', 255);
	got = connect_src(longest);
	assert_int_equal(strlen(got),
			 strlen("connect-src 'self' ws:// wss://") + 2 * 255);
	memset(longest, 'a', 256);
	assert_string_equal(connect_src(longest), "connect-src 'self'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_policy_names_the_host, api_setup,
						api_teardown),
		cmocka_unit_test_setup_teardown(test_policy_takes_nothing_else, api_setup,
						api_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
