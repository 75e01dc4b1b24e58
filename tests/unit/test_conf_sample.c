/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* conf/palabre.conf is what the table prints ("test_conf_sample write" writes it anew),
 * and what it says of the defaults is true. */
#include <palabre/conf.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static char sample[CONF_FILE_MAX];

static void on_line(const char *line, void *arg)
{
	size_t *used = arg;
	int n = snprintf(sample + *used, sizeof sample - *used, "%s\n", line);

	assert_true(n > 0 && (size_t)n < sizeof sample - *used);
	assert_true(strlen(line) <= 100);
	assert_null(strchr(line, '\n'));
	*used += (size_t)n;
}

static size_t print_sample(void)
{
	size_t used = 0;

	conf_print_sample(on_line, &used);
	return used;
}

static const char *sample_path(void)
{
	static char path[4096];
	char *end;

	snprintf(path, sizeof path, "%s", __FILE__);
	end = strstr(path, "tests/unit/");
	if (!end)
		return "conf/palabre.conf";
	strcpy(end, "conf/palabre.conf");
	return path;
}

static void test_file_is_current(void **state)
{
	static char file[CONF_FILE_MAX + 1];
	FILE *f = fopen(sample_path(), "rb");
	size_t used = print_sample(), len;

	(void)state;
	assert_non_null(f);
	len = fread(file, 1, sizeof file, f);
	fclose(f);
	if (len != used || memcmp(file, sample, used) != 0)
		fail_msg("%s is not what the table prints; run: test_conf_sample write",
			 sample_path());
}

static void test_sample_sets_nothing(void **state)
{
	struct conf c, before;
	char why[1000];
	size_t used = print_sample();

	(void)state;
	memset(&before, 0xaa, sizeof before);
	c = before;
	assert_int_equal(conf_parse(&c, "sample", sample, used, why, sizeof why), 0);
	assert_memory_equal(&c, &before, sizeof c);
}

/* With every "#" before an option taken away the sample parses and gives the defaults. */
static void test_sample_tells_the_defaults(void **state)
{
	static char text[CONF_FILE_MAX];
	struct conf c, defaults;
	char why[4000], *to = text;
	size_t i, options = 0, found = 0;
	const char *p;

	(void)state;
	print_sample();
	for (p = sample; *p; p++) {
		if (*p == '#' && (p == sample || p[-1] == '\n') && p[1] != ' ') {
			found++;
			continue;
		}
		*to++ = *p;
	}
	for (i = 0; i < conf_option_count; i++)
		options += conf_option[i].kind != KIND_SECTION;
	assert_int_equal(found, options);
	conf_defaults(&defaults);
	c = defaults;
	/* Every value wrong first, so that a line that sets nothing shows. */
	memset(&c.server.port, 0x11, sizeof c.server.port);
	memset(&c.room, 0x11,
	       offsetof(struct conf, room.by_link) - offsetof(struct conf, room));
	c.room.by_link = false;
	c.media.tcp = false;
	strcpy(c.server.listen, "nonsense");
	if (conf_parse(&c, "sample", text, (size_t)(to - text), why, sizeof why))
		fail_msg("%s", why);
	assert_memory_equal(&c, &defaults, sizeof c);
}

static int write_sample(void)
{
	size_t used = print_sample();
	FILE *f = fopen(sample_path(), "wb");

	if (!f || fwrite(sample, 1, used, f) != used || fclose(f)) {
		perror(sample_path());
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_current),
		cmocka_unit_test(test_sample_sets_nothing),
		cmocka_unit_test(test_sample_tells_the_defaults),
	};

	if (argc > 1 && strcmp(argv[1], "write") == 0)
		return write_sample();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
