/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Addresses: text, sockaddr and back; what must be refused. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void test_parse_and_print(void **state)
{
	static const struct {
		const char *in, *ip, *text;
		uint8_t family;
		uint16_t port;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:0", 4, 0 },
		{ "192.0.2.1:5000", "192.0.2.1", "192.0.2.1:5000", 4, 5000 },
		{ "0.0.0.0:65535", "0.0.0.0", "0.0.0.0:65535", 4, 65535 },
		{ "::1", "::1", "[::1]:0", 6, 0 },
		{ "[::1]", "::1", "[::1]:0", 6, 0 },
		{ "[2001:db8::1]:443", "2001:db8::1", "[2001:db8::1]:443", 6, 443 },
		{ "::", "::", "[::]:0", 6, 0 },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::1]:0", 6, 0 },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:0", 4, 0 },
		{ "[::ffff:c000:201]:7", "192.0.2.1", "192.0.2.1:7", 4, 7 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0", 6, 0 },
	};
	char buf[ADDR_TEXT_MAX];
	struct addr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		memset(&a, 0xaa, sizeof a);
		assert_int_equal(addr_parse(&a, cases[i].in), 0);
		assert_int_equal(a.family, cases[i].family);
		assert_int_equal(a.port, cases[i].port);
		assert_int_equal(a.zero, 0);
		assert_string_equal(addr_ip_text(&a, buf), cases[i].ip);
		assert_string_equal(addr_text(&a, buf), cases[i].text);
		memset(&b, 0x55, sizeof b);
		assert_int_equal(addr_parse(&b, buf), 0);
		assert_memory_equal(&a, &b, sizeof a);
	}
}

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"",
		":",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4: 1",
		"1.2.3.4:1x",
		"1.2.3.4:000001",
		" 1.2.3.4",
		"1.2.3.4 ",
		"[1.2.3.4]",
		"[1.2.3.4]:5",
		"[::1",
		"::1]",
		"[::1]5",
		"[::1]:",
		"[::1]:65536",
		"[]",
		"[]:5",
		"[::1]:5:6",
		"::1::2",
		"fe80::1%eth0",
		"[fe80::1%1]:5",
		"localhost",
		"localhost:80",
		"12345678:1",
		":::",
		"1:2:3:4:5:6:7:8:9",
		"11111111111111111111111111111111111111111111111111",
	};
	struct addr a, before;
	size_t i;

	(void)state;
	memset(&before, 0xaa, sizeof before);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		a = before;
		assert_int_equal(addr_parse(&a, cases[i]), -EINVAL);
		assert_memory_equal(&a, &before, sizeof a);
	}
}

static void test_networks(void **state)
{
	static const struct {
		const char *net, *in, *out;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.77/24", "192.0.2.1", "192.0.1.255" },
		{ "10.0.0.0/9", "10.127.255.255", "10.128.0.0" },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.1/32", "192.0.2.1", "192.0.2.0" },
		{ "0.0.0.0/0", "203.0.113.9", "::1" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::8000/113", "2001:db8::ffff", "2001:db8::7fff" },
		{ "::1", "::1", "::2" },
		{ "::/0", "::2", "0.0.0.2" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2" },
	};
	static const char *const bad[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0.0:80",
		"10.0.0.0:80/8",
		"::/129",
		"::/65537",
		"[::]:1/8",
		"10.0.0.0/x",
		"ten/8",
		"1111111111111111111111111111111111111111111111111111111111111111111111/"
		"8",
	};
	struct addr_net n;
	struct addr in, out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(addr_net_parse(&n, cases[i].net), 0);
		assert_int_equal(addr_parse(&in, cases[i].in), 0);
		assert_int_equal(addr_parse(&out, cases[i].out), 0);
		assert_true(addr_net_has(&n, &in));
		assert_false(addr_net_has(&n, &out));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(addr_net_parse(&n, bad[i]), -EINVAL);
}

static void test_sockaddr(void **state)
{
	struct sockaddr_in6 *in6;
	struct sockaddr_storage ss;
	struct sockaddr_in *in;
	struct addr a, b;

	(void)state;
	assert_int_equal(addr_parse(&a, "192.0.2.1:5000"), 0);
	memset(&ss, 0xaa, sizeof ss);
	assert_int_equal(addr_to_sockaddr(&a, &ss), sizeof(struct sockaddr_in));
	in = (struct sockaddr_in *)&ss;
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(5000));
	assert_int_equal(in->sin_addr.s_addr, inet_addr("192.0.2.1"));
	addr_from_sockaddr(&b, (struct sockaddr *)&ss);
	assert_memory_equal(&a, &b, sizeof a);

	assert_int_equal(addr_parse(&a, "[2001:db8::1]:5000"), 0);
	memset(&ss, 0xaa, sizeof ss);
	assert_int_equal(addr_to_sockaddr(&a, &ss), sizeof(struct sockaddr_in6));
	in6 = (struct sockaddr_in6 *)&ss;
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_scope_id, 0);
	addr_from_sockaddr(&b, (struct sockaddr *)&ss);
	assert_memory_equal(&a, &b, sizeof a);
}

static void test_mapped_sockaddr(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct addr a, b;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
	addr_from_sockaddr(&a, (struct sockaddr *)&in6);
	assert_int_equal(addr_parse(&b, "192.0.2.1:9"), 0);
	assert_memory_equal(&a, &b, sizeof a);
}

static void test_none(void **state)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct sockaddr_storage ss;
	char buf[ADDR_TEXT_MAX];
	struct addr a, none = { 0 };

	(void)state;
	memset(&a, 0xaa, sizeof a);
	addr_from_sockaddr(&a, &sa);
	assert_memory_equal(&a, &none, sizeof a);
	assert_int_equal(addr_to_sockaddr(&a, &ss), 0);
	assert_string_equal(addr_text(&a, buf), "none");
	assert_string_equal(addr_ip_text(&a, buf), "none");
}

static void test_flow(void **state)
{
	struct flow a = { 0 }, b = { 0 };

	(void)state;
	assert_true(flow_equal(&a, &b));
	b.tcp = 1;
	assert_false(flow_equal(&a, &b));
	b.tcp = 0;
	b.local.port = 1;
	assert_false(flow_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_print),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_mapped_sockaddr),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
