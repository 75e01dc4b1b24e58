/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* app: the program: options, wiring, signals. Level 11, control thread. */
#ifndef PALABRE_APP_H
#define PALABRE_APP_H

#include <palabre/conf.h>
#include <palabre/room.h>

enum { APP_SETS_MAX = 64 };
/* What the command line asked for. */
struct app_options {
	struct conf conf;
	char file[CONF_TEXT_MAX]; /* configuration file, "" = none */
	char *sets[APP_SETS_MAX]; /* --set, of argv */
	unsigned set_count;
	const char *get; /* print this option's value and leave */
	bool check;	 /* check the configuration and leave */
	bool sample;	 /* print a sample configuration and leave */
	bool print_link; /* print a link and leave */
	enum role link_role;
	char link_room[ROOM_NAME_MAX +
		       1]; /* also the room of the links printed at start */
};

/* Reads the command line and the files it names. 0; 1: all done (help, version), leave
 * with success; -EINVAL after saying what is wrong on stderr. */
int app_options_read(struct app_options *o, int argc, char **argv) MUST_CHECK;
/* Reads the configuration again, as at the start; -EINVAL after saying what is wrong on
 * stderr. */
int app_options_again(const struct app_options *o, struct conf *out) MUST_CHECK;
/* Runs the server until SIGTERM or SIGINT. The program's exit status. */
int app_run(const struct app_options *o);

#endif
