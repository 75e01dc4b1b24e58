/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The sample file: every option as a comment with its default, so that the file as it is
 * installed sets nothing and new defaults reach everybody who didn't choose. */
#include "options.h"

#include <stdio.h>
#include <string.h>

typedef void (*line_fn)(const char *line, void *arg);

static void print_help(const char *help, line_fn out, void *arg)
{
	char line[256];
	size_t len;

	for (;; help += len + 1) {
		len = strcspn(help, "\n");
		snprintf(line, sizeof line, "# %.*s", (int)len, help);
		out(line, arg);
		if (!help[len])
			return;
	}
}

static void print_option(const struct option *o, line_fn out, void *arg)
{
	char line[2 * CONF_TEXT_MAX];

	out("", arg);
	print_help(o->help, out, arg);
	if (o->kind == KIND_NUMBER) {
		snprintf(line, sizeof line, "# From %lld to %lld%s%s.", (long long)o->min,
			 (long long)o->max, o->unit[0] ? " " : "", o->unit);
		out(line, arg);
		snprintf(line, sizeof line, "#%s = %lld", o->name,
			 (long long)o->number_default);
	} else if (o->kind == KIND_SWITCH) {
		out("# yes or no.", arg);
		snprintf(line, sizeof line, "#%s = %s", o->name,
			 o->number_default ? "yes" : "no");
	} else {
		snprintf(line, sizeof line, "#%s =%s%s", o->name,
			 o->text_default[0] ? " " : "", o->text_default);
	}
	out(line, arg);
}

void conf_print_sample(void (*out)(const char *line, void *arg), void *arg)
{
	size_t i;

	out("# Configuration of palabred. Each option stands here with its default: to "
	    "change one,",
	    arg);
	out("# take away its # and write another value. `palabred --check` tells of "
	    "mistakes.",
	    arg);
	for (i = 0; i < conf_option_count; i++) {
		const struct option *o = &conf_option[i];
		char line[64];

		if (o->kind != KIND_SECTION) {
			print_option(o, out, arg);
			continue;
		}
		out("", arg);
		snprintf(line, sizeof line, "[%s]", o->section);
		out(line, arg);
		print_help(o->help, out, arg);
	}
}
