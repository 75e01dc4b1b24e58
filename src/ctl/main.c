/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* palabrectl: asks and tells a running palabred. */
#include <palabre/ctl.h>

#include <jansson.h>
#include <locale.h>
#include <stdio.h>

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
	struct ctl_command c;
	char why[512];
	int status = EXIT_USAGE;

	setlocale(LC_CTYPE, "");
	if (ctl_args(&c, argc, argv, why, sizeof why))
		fprintf(stderr, "palabrectl: %s\n", why);
	else
		status = c.leave ? 0 : ctl_run(&c);
	json_decref(c.ask);
	return status;
}
