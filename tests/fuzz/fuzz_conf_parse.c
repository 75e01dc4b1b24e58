/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any file: either it applies and every value keeps its rules, or it changes nothing and
 * every mistake is told. */
#include "fuzz.h"

#include <palabre/conf.h>

#include <stdlib.h>
#include <string.h>

#include "options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[1000], what[OPTION_WHAT_MAX], *text;
	struct conf c, before;
	size_t i;

	conf_defaults(&before);
	c = before;
	memset(why, 'x', sizeof why);
	if (conf_parse(&c, "fuzz", (const char *)data, size, why, sizeof why)) {
		check(memcmp(&c, &before, sizeof c) == 0);
		check(memchr(why, 0, sizeof why) && strncmp(why, "fuzz:", 5) == 0);
	} else {
		check(why[0] == 0);
		for (i = 0; i < conf_option_count; i++)
			check(option_check(&c, &conf_option[i], what) == 0);
	}
	/* "name=value" as on the command line. */
	text = strndup((const char *)data, size);
	if (text) {
		char *value = strchr(text, '=');

		if (value)
			*value++ = 0;
		(void)!conf_set(&c, text, value ? value : text, why, sizeof why);
		free(text);
	}
	return 0;
}
