/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* palabred: the server. */
#include <palabre/app.h>

#include <stdlib.h>

int main(int argc, char **argv)
{
	static struct app_options options;
	int done = app_options_read(&options, argc, argv);

	if (done < 0)
		return 2;
	return done ? EXIT_SUCCESS : app_run(&options);
}
