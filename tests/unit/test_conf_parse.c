/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading a configuration: values, every kind of mistake with its mend, nothing
 * half-applied. */
#include <palabre/conf.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct conf conf;
static char why[4096];

static int setup(void **state)
{
	(void)state;
	conf_defaults(&conf);
	strcpy(why, "untouched");
	return 0;
}

static int parse(const char *text)
{
	return conf_parse(&conf, "f.conf", text, strlen(text), why, sizeof why);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_string_equal(conf.server.listen, "*");
	assert_int_equal(conf.server.port, 8080);
	assert_string_equal(conf.server.state_dir, "");
	assert_int_equal(conf.server.workers, 0);
	assert_string_equal(conf.server.log_level, "info");
	assert_string_equal(conf.server.url, "");
	assert_int_equal(conf.http.connections_max, 4096);
	assert_int_equal(conf.http.connections_per_address_max, 256);
	assert_int_equal(conf.http.request_timeout_s, 15);
	assert_true(conf.media.tcp);
	assert_int_equal(conf.media.announce_port, 0);
	assert_int_equal(conf.media.pool_pkts, 32768);
	assert_int_equal(conf.media.video_slots_max, 4);
	assert_int_equal(conf.room.people_max, 500);
	assert_int_equal(conf.room.rooms_max, 200);
	assert_int_equal(conf.room.resume_s, 600);
	assert_int_equal(conf.room.joins_per_minute_per_address_max, 120);
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), 0);
	assert_string_equal(why, "");
}

static void on_difference(const char *section, const char *name, void *arg)
{
	char *list = arg;

	sprintf(list + strlen(list), "%s.%s ", section, name);
}

static void test_compare(void **state)
{
	static struct conf other;
	char list[512] = "";

	(void)state;
	conf_defaults(&other);
	conf_compare(&conf, &other, on_difference, list);
	assert_string_equal(list, "");
	assert_int_equal(
		parse("[server]\nport=1\ncontact = me@example.org\n[media]\ntcp=no"), 0);
	conf_compare(&conf, &other, on_difference, list);
	assert_string_equal(list, "server.port server.contact media.tcp ");
}

static void test_values(void **state)
{
	(void)state;
	assert_int_equal(parse("\xef\xbb\xbf# comment\r\n"
			       "\r\n"
			       "  [server]  # the server\r\n"
			       "listen = 192.0.2.1 , 2001:db8::1\t# two\r\n"
			       "port=443\r\n"
			       "log_level = \"debug\" # quoted\r\n"
			       "url = https://call.example.org:8443\r\n"
			       "state_dir = \"/srv/a # b \"\r\n"
			       "[ media ]\r\n"
			       "tcp = No\r\n"
			       "announce=203.0.113.5\r\n"
			       "[server]\r\n"
			       "workers = 2\r\n"
			       "[room]\r\n"
			       "resume_s = 0"),
			 0);
	assert_string_equal(why, "");
	assert_string_equal(conf.server.listen, "192.0.2.1 , 2001:db8::1");
	assert_int_equal(conf.server.port, 443);
	assert_string_equal(conf.server.log_level, "debug");
	assert_string_equal(conf.server.url, "https://call.example.org:8443");
	assert_string_equal(conf.server.state_dir, "/srv/a # b ");
	assert_false(conf.media.tcp);
	assert_string_equal(conf.media.announce, "203.0.113.5");
	assert_int_equal(conf.server.workers, 2);
	assert_int_equal(conf.room.resume_s, 0);
	assert_int_equal(conf.room.people_max, 500);
	assert_int_equal(parse(""), 0);
	assert_int_equal(conf.server.port, 443); /* over the present values */
	assert_int_equal(parse("[server]\nstate_dir =\n"), 0);
	assert_string_equal(conf.server.state_dir, "");
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "[server]\nprot = 1\n",
		  "f.conf:2: there is no option \"prot\"; did you mean port?" },
		{ "[server]\n\n#\nlisen = *",
		  "f.conf:4: there is no option \"lisen\"; did you mean listen?" },
		{ "[room]\nresume = 5",
		  "f.conf:2: there is no option \"resume\"; did you mean resume_s?" },
		{ "[http]\ntimeout = 5", "f.conf:2: there is no option \"timeout\"; did "
					 "you mean request_timeout_s?" },
		{ "[room]\nworker = 5", "f.conf:2: there is no option \"worker\"; did "
					"you mean workers in section "
					"[server]?" },
		{ "[server]\nbanana = 1", "f.conf:2: there is no option \"banana\"; "
					  "remove it, or see the sample file" },
		{ "port = 1",
		  "f.conf:1: port belongs in section [server]; move it there" },
		{ "[room]\ntcp = no",
		  "f.conf:2: tcp belongs in section [media]; move it there" },
		{ "[sever]\nport = 1\nbanana = 2",
		  "f.conf:1: there is no section [sever]; did you mean [server]?" },
		{ "[zzzzzzzz]", "f.conf:1: there is no section [zzzzzzzz]; the sections "
				"are in the sample file" },
		{ "[server\nport = 1",
		  "f.conf:1: \"[server\" has no ] at its end; write [server]" },
		{ "[]", "f.conf:1: there is no section []; the sections are in the "
			"sample file" },
		{ "[server]\nport 1", "f.conf:2: \"port 1\" is neither a [section] nor "
				      "\"name = value\"; begin comments "
				      "with #" },
		{ "[server]\n= 1", "f.conf:2: there is no option \"\"; remove it, or see "
				   "the sample file" },
		{ "[server]\nport = 0",
		  "f.conf:2: port: 0 is out of range; write a number from 1 to 65535" },
		{ "[server]\nport = 65536", "f.conf:2: port: 65536 is out of range; "
					    "write a number from 1 to 65535" },
		{ "[media]\npool_pkts = 1023",
		  "f.conf:2: pool_pkts: 1023 is out of range; write a "
		  "number from 1024 to 1048576 packets" },
		{ "[media]\nvideo_slots_max = 10",
		  "f.conf:2: video_slots_max: 10 is out of range; "
		  "write a number from 0 to 9 videos" },
		{ "[room]\nresume_s = -1",
		  "f.conf:2: resume_s: -1 is out of range; write a number "
		  "from 0 to 86400 seconds" },
		{ "[room]\nresume_s = 99999999999999999999999",
		  "f.conf:2: resume_s: 9223372036854775807 is out of range; write a "
		  "number from 0 to "
		  "86400 seconds" },
		{ "[room]\nresume_s = 10s",
		  "f.conf:2: resume_s: \"10s\" is not a whole number; write "
		  "a number from 0 to 86400 seconds, digits only" },
		{ "[room]\nresume_s =",
		  "f.conf:2: resume_s: \"\" is not a whole number; write a "
		  "number from 0 to 86400 seconds, digits only" },
		{ "[room]\nresume_s = -",
		  "f.conf:2: resume_s: \"-\" is not a whole number; write a "
		  "number from 0 to 86400 seconds, digits only" },
		{ "[media]\ntcp = maybe",
		  "f.conf:2: tcp: \"maybe\" is neither yes nor no; write yes or no" },
		{ "[server]\nlog_level = loud",
		  "f.conf:2: log_level: \"loud\" is not a level; write "
		  "debug, info, warn or error" },
		{ "[server]\nlisten =",
		  "f.conf:2: listen: is empty; write * to listen on all addresses" },
		{ "[server]\nlisten = 192.0.2.1,",
		  "f.conf:2: listen: \"\" is not an IP address; write addresses such as "
		  "192.0.2.1 or "
		  "2001:db8::1, comma-separated" },
		{ "[http]\ntrust_proxy = 10.0.0.0/8, proxy",
		  "f.conf:2: trust_proxy: \"proxy\" is not an IP address or network; "
		  "write them like 192.0.2.1 or 10.0.0.0/8, comma-separated" },
		{ "[http]\ntrust_proxy = "
		  "::,::,::,::,::,::,::,::,::,::,::,::,::,::,::,::,::",
		  "f.conf:2: trust_proxy: has more than 16 entries" },
		{ "[media]\nannounce = *", "f.conf:2: announce: \"*\" is not an IP "
					   "address; write addresses such as 192.0.2.1 "
					   "or 2001:db8::1, comma-separated" },
		{ "[media]\nannounce = 192.0.2.1:80",
		  "f.conf:2: announce: \"192.0.2.1:80\" has a port; leave it out, the "
		  "port is an "
		  "option of its own" },
		{ "[server]\nurl = call.example.org",
		  "f.conf:2: url: \"call.example.org\" is not the address of a page; "
		  "write it like "
		  "https://call.example.org" },
		{ "[server]\ncontact = me@@example.org",
		  "f.conf:2: contact: \"me@@example.org\" is not a mail address; write "
		  "it "
		  "like me@example.org" },
		{ "[server]\ncontact = me, you@example.org",
		  "f.conf:2: contact: \"me, you@example.org\" is not a mail address; "
		  "write it "
		  "like me@example.org" },
		{ "[server]\ncontact = me@",
		  "f.conf:2: contact: \"me@\" is not a mail address; write it like "
		  "me@example.org" },
		{ "[server]\nurl = https://", "f.conf:2: url: \"https://\" is not the "
					      "address of a page; write it like "
					      "https://call.example.org" },
		{ "[server]\nport = 1\n\nport = 1",
		  "f.conf:4: port was set in line 2 already; keep one of the two" },
		{ "[server]\nlisten = \"*",
		  "f.conf:2: a quote \" is not closed; close it or leave it out" },
		{ "[server]\nlisten = \"*\" x",
		  "f.conf:2: there is text after the closing \"; remove it" },
		{ "[server]\nstate_dir = a\x1b[31mb",
		  "f.conf:2: there is an invisible character (code 27) at column 14; "
		  "type the line "
		  "anew" },
	};
	struct conf before = conf;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse(cases[i].text), -EINVAL);
		assert_string_equal(why, cases[i].why);
		assert_memory_equal(&conf, &before, sizeof conf);
	}
}

static void test_all_mistakes_and_nothing_applied(void **state)
{
	struct conf before = conf;

	(void)state;
	assert_int_equal(parse("[server]\nworkers = 3\nprot = 1\nport = "
			       "0\n[media]\nvideo_slots_max = "
			       "5\ntcp = x\n"),
			 -EINVAL);
	assert_string_equal(
		why, "f.conf:3: there is no option \"prot\"; did you mean port?\n"
		     "f.conf:4: port: 0 is out of range; write a number from 1 to 65535\n"
		     "f.conf:7: tcp: \"x\" is neither yes nor no; write yes or no");
	assert_memory_equal(&conf, &before, sizeof conf);
}

static void test_small_why(void **state)
{
	static const char text[] = "[server]\na1 = 1\na2 = 1\na3 = 1\na4 = 1\n";
	char small[180];
	size_t size;

	(void)state;
	assert_int_equal(conf_parse(&conf, "f", text, strlen(text), small, sizeof small),
			 -EINVAL);
	assert_int_equal(strncmp(small, "f:2: there is no option \"a1\"", 28), 0);
	assert_non_null(strstr(small, "sample file\nf:3: "));
	assert_string_equal(strrchr(small, '\n'), "\n(and 2 more)");
	for (size = 0; size < sizeof small; size++) {
		memset(small, 'x', sizeof small);
		assert_int_equal(conf_parse(&conf, "f", text, strlen(text), small, size),
				 -EINVAL);
		assert_int_equal(small[size], 'x');
		assert_true(!size || strnlen(small, size) < size);
	}
	assert_int_equal(conf_parse(&conf, "f", text, strlen(text), NULL, 0), -EINVAL);
}

static void test_sizes(void **state)
{
	static char big[CONF_FILE_MAX + 1];
	char line[512];

	(void)state;
	memset(big, '#', sizeof big);
	assert_int_equal(conf_parse(&conf, "f", big, CONF_FILE_MAX, why, sizeof why), 0);
	assert_int_equal(conf_parse(&conf, "f", big, CONF_FILE_MAX + 1, why, sizeof why),
			 -EINVAL);
	assert_string_equal(why, "f: is longer than 65536 bytes; is it the right file?");
	snprintf(line, sizeof line, "[server]\nstate_dir = %0*d", CONF_TEXT_MAX - 1, 0);
	assert_int_equal(parse(line), 0);
	assert_int_equal(strlen(conf.server.state_dir), CONF_TEXT_MAX - 1);
	snprintf(line, sizeof line, "[server]\nstate_dir = %0*d", CONF_TEXT_MAX, 0);
	assert_int_equal(parse(line), -EINVAL);
	assert_string_equal(
		why,
		"f.conf:2: state_dir: has 256 characters; at most 255 fit, shorten it");
	assert_int_equal(conf_parse(&conf, "f", "[ser\0ver]", 9, why, sizeof why),
			 -EINVAL);
	assert_non_null(strstr(why, "(code 0) at column 5"));
}

static void test_read(void **state)
{
	char path[] = "/tmp/palabre-conf-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[server]\nport = 99\n", 19), 19);
	assert_int_equal(conf_read(&conf, path, why, sizeof why), 0);
	assert_int_equal(conf.server.port, 99);
	assert_int_equal(write(fd, "x = 1\n", 6), 6);
	assert_int_equal(conf_read(&conf, path, why, sizeof why), -EINVAL);
	assert_int_equal(strncmp(why, path, strlen(path)), 0);
	assert_int_equal(strncmp(why + strlen(path), ":3: ", 4), 0);
	assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 100), 0);
	assert_int_equal(conf_read(&conf, path, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "is longer than"));
	close(fd);
	unlink(path);
	assert_int_equal(conf_read(&conf, path, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "No such file or directory; write it"));
	assert_int_equal(conf_read(&conf, "/tmp", why, sizeof why), -EISDIR);
	assert_int_equal(conf.server.port, 99);
}

static void test_set(void **state)
{
	(void)state;
	assert_int_equal(conf_set(&conf, "server.port", "1234", why, sizeof why), 0);
	assert_int_equal(conf.server.port, 1234);
	assert_string_equal(why, "untouched");
	assert_int_equal(conf_set(&conf, "server.port", "0", why, sizeof why), -EINVAL);
	assert_string_equal(
		why, "server.port: 0 is out of range; write a number from 1 to 65535");
	assert_int_equal(conf_set(&conf, "server.prot", "1", why, sizeof why), -EINVAL);
	assert_string_equal(
		why, "server.prot: there is no such option; did you mean server.port?");
	assert_int_equal(conf_set(&conf, "port", "1", why, sizeof why), -EINVAL);
	assert_string_equal(why,
			    "port: there is no such option; did you mean server.port?");
	assert_int_equal(conf_set(&conf, "server", "1", why, sizeof why), -EINVAL);
	assert_int_equal(conf_set(&conf, "server.", "1", why, sizeof why), -EINVAL);
	assert_int_equal(conf_set(&conf, "", "1", why, sizeof why), -EINVAL);
	assert_string_equal(
		why, ": there is no such option; write section.name as in the sample "
		     "file");
	assert_int_equal(conf.server.port, 1234);
}

static void test_check(void **state)
{
	char path[] = "/tmp/palabre-conf-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	strcpy(conf.tls.certificate_file, path);
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
	assert_string_equal(why, "f.conf: tls.certificate_file is set but tls.key_file "
				 "is not; set both or none");
	strcpy(conf.tls.key_file, path);
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), 0);
	strcpy(conf.tls.key_file, "/tmp");
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
	assert_string_equal(why,
			    "f.conf: tls.key_file: /tmp is not a file; correct the path");
	unlink(path);
	strcpy(conf.tls.certificate_file, "");
	strcpy(conf.tls.key_file, path);
	strcpy(conf.server.log_level, "loud");
	strcpy(conf.server.listen, "nowhere");
	conf.media.pool_pkts = 3;
	conf.server.port = 65535;
	conf.server.workers = 2;
	conf.media.announce_port = 65535;
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "f.conf: server.log_level: \"loud\" is not a level"));
	assert_non_null(strstr(why, "\nf.conf: media.pool_pkts: 3 is out of range"));
	assert_non_null(
		strstr(why, "f.conf: server.listen: \"nowhere\" is not an IP address"));
	assert_non_null(strstr(
		why, "f.conf: tls.key_file is set but tls.certificate_file is not"));
	assert_non_null(strstr(
		why, "can't be read: No such file or directory; correct the path"));
	assert_non_null(
		strstr(why, "server.port 65535 and 2 workers need ports above 65535"));
	assert_non_null(strstr(why, "media.announce_port 65535 and 2 workers"));
}

static void test_low_ports(void **state)
{
	(void)state;
	conf.server.port = 443;
	conf.server.workers = 1;
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), 0);
	conf.server.workers = 0; /* as many as there are cores */
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "server.port 443: a second worker"));
	conf.media.announce_port = 8080;
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), 0);
	conf.server.workers = 1;
	conf.media.announce_port = 444;
	assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "media.announce_port 444: of the ports below 1024"));
}

static void test_acme(void **state)
{
	static const struct {
		const char *url, *certificate;
		int64_t port, redirect;
		const char *words;
	} bad[] = {
		{ "https://a.example", "", 443, 0, "write tls.redirect_port = 80" },
		{ "", "", 443, 80, "redirect_port: where to is what server.url says" },
		{ "http://a.example", "", 443, 80, "server.url like https://" },
		{ "https://A.example", "", 443, 80, "small letters" },
		{ "https://[::1]", "", 443, 80, "certificates for names" },
		{ "https://..", "", 443, 80, "certificates for names" },
		{ "https://.a", "", 443, 80, "certificates for names" },
		{ "https://a.example", "/etc/passwd", 443, 80, "not both" },
		{ "https://a.example", "", 443, 443, "needed for voice and video" },
	};

	(void)state;
	conf.server.workers = 1;
	strcpy(conf.tls.acme, "https://acme.example/dir");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		strcpy(conf.server.url, bad[i].url);
		strcpy(conf.tls.certificate_file, bad[i].certificate);
		strcpy(conf.tls.key_file, bad[i].certificate);
		conf.server.port = bad[i].port;
		conf.tls.redirect_port = bad[i].redirect;
		assert_int_equal(conf_check(&conf, "f.conf", why, sizeof why), -EINVAL);
		if (!strstr(why, bad[i].words))
			fail_msg("\"%s\" does not say \"%s\"", why, bad[i].words);
	}
	conf_defaults(&conf);
	conf.server.workers = 1;
	conf.server.port = 443;
	conf.tls.redirect_port = 80;
	strcpy(conf.tls.acme, "https://acme.example/dir");
	strcpy(conf.server.url, "https://a-1.example:443/");
	if (conf_check(&conf, "f.conf", why, sizeof why))
		fail_msg("%s", why);
}

static void test_get(void **state)
{
	char value[CONF_TEXT_MAX];

	(void)state;
	strcpy(conf.server.contact, "me@example.org");
	assert_int_equal(conf_get(&conf, "server.contact", value), 0);
	assert_string_equal(value, "me@example.org");
	assert_int_equal(conf_get(&conf, "server.port", value), 0);
	assert_string_equal(value, "8080");
	assert_int_equal(conf_get(&conf, "media.tcp", value), 0);
	assert_string_equal(value, "yes");
	assert_int_equal(conf_get(&conf, "server", value), -ENOENT);
	assert_int_equal(conf_get(&conf, "server.", value), -ENOENT);
	assert_int_equal(conf_get(&conf, ".port", value), -ENOENT);
	assert_int_equal(conf_get(&conf, "server.nothing", value), -ENOENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_defaults),  T(test_values),
		T(test_mistakes),  T(test_all_mistakes_and_nothing_applied),
		T(test_small_why), T(test_sizes),
		T(test_read),	   T(test_set),
		T(test_check),	   T(test_low_ports),
		T(test_compare),   T(test_acme),
		T(test_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
