/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whom a proxy speaks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy.h"

static void client_of(const char *trusted, const char *from, const char *headers,
		      char *out)
{
	struct http_msg m;
	struct proxies p;
	struct addr peer;
	char text[1024];
	int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
			   headers);

	assert_int_equal(proxies_parse(&p, trusted), 0);
	assert_int_equal(addr_parse(&peer, from), 0);
	http_msg_init(&m);
	assert_int_equal(http_msg_feed(&m, text, (size_t)len), len);
	assert_true(m.done);
	proxy_client(&p, &m, &peer);
	addr_ip_text(&peer, out);
	http_msg_fini(&m);
}

static void test_client(void **state)
{
	static const struct {
		const char *trusted, *from, *headers, *client;
	} cases[] = {
		/* nobody is believed */
		{ "", "192.0.2.1", "X-Forwarded-For: 203.0.113.5\r\n", "192.0.2.1" },
		{ "127.0.0.1", "192.0.2.1", "X-Forwarded-For: 203.0.113.5\r\n",
		  "192.0.2.1" },
		/* one proxy */
		{ "127.0.0.1", "127.0.0.1", "", "127.0.0.1" },
		{ "127.0.0.1", "127.0.0.1", "x-forwarded-FOR:203.0.113.5\r\n",
		  "203.0.113.5" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: 2001:db8::5\r\n",
		  "2001:db8::5" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: 203.0.113.5:77\r\n",
		  "203.0.113.5" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: [2001:db8::5]:77 \r\n",
		  "2001:db8::5" },
		/* what the client invented stands before what the proxy appended */
		{ "127.0.0.1", "127.0.0.1",
		  "X-Forwarded-For: 198.51.100.1, 203.0.113.5\r\n", "203.0.113.5" },
		{ "127.0.0.1", "127.0.0.1",
		  "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.5\r\n",
		  "203.0.113.5" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: 127.0.0.1, 203.0.113.5\r\n",
		  "203.0.113.5" },
		/* proxies in a row */
		{ "127.0.0.1, 10.0.0.0/8", "127.0.0.1",
		  "X-Forwarded-For: 198.51.100.1, 203.0.113.5,10.1.2.3 , 10.3.2.1\r\n",
		  "203.0.113.5" },
		{ "127.0.0.1 10.0.0.0/8", "127.0.0.1",
		  "X-Forwarded-For: 198.51.100.1\r\nA: b\r\nX-Forwarded-For: "
		  "203.0.113.5\r\n"
		  "X-Forwarded-For: 10.1.2.3\r\n",
		  "203.0.113.5" },
		{ "127.0.0.1, 10.0.0.0/8", "127.0.0.1",
		  "X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n", "10.1.1.1" },
		/* malformed: no further than what was clear */
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: unknown\r\n", "127.0.0.1" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For: 203.0.113.5,\r\n",
		  "127.0.0.1" },
		{ "127.0.0.1", "127.0.0.1", "X-Forwarded-For:\r\n", "127.0.0.1" },
		{ "127.0.0.1, 10.0.0.0/8", "127.0.0.1",
		  "X-Forwarded-For: 203.0.113.5, _h, 10.2.2.2\r\n", "10.2.2.2" },
	};
	char got[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		client_of(cases[i].trusted, cases[i].from, cases[i].headers, got);
		assert_string_equal(got, cases[i].client);
	}
}

static void test_parse(void **state)
{
	struct proxies p = { .count = 7 };
	char list[PROXIES_MAX * 4 + 8] = "";

	(void)state;
	assert_int_equal(proxies_parse(&p, "10.0.0.0/8, nobody"), -EINVAL);
	assert_int_equal(p.count, 7);
	for (unsigned i = 0; i < PROXIES_MAX; i++)
		strcat(list, "::1,");
	assert_int_equal(proxies_parse(&p, list), 0);
	assert_int_equal(p.count, PROXIES_MAX);
	strcat(list, "::1");
	assert_int_equal(proxies_parse(&p, list), -ENOBUFS);
	assert_int_equal(proxies_parse(&p, " , "), 0);
	assert_int_equal(p.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
