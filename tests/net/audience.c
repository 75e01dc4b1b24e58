/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * audience LINK COUNT: so many people who listen at the least, by the server's own loopback. Says
 * "in" when all are, and goes on until it is killed, half an hour at the most.
 */
#include <palabre/base.h>

#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"

enum { COUNT_MAX = 1000, CONNECT_US = 20000000, SECONDS_MAX = 1800 };

static int enter(struct crowd *c, const struct signal_link *link, unsigned count)
{
	const struct crowd_voice voice = { .link = link };

	for (unsigned i = 0; i < count; i++) {
		if (crowd_join_voice(c, &voice) ||
		    signal_send(&c->people[i].join, "{\"t\":\"voice\",\"down\":1}"))
			return -1;
		crowd_run(c, 1000, false);
	}
	return crowd_connect(c, CONNECT_US) ? 0 : -1;
}

int main(int argc, char **argv)
{
	unsigned count = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	struct signal_link link;
	struct crowd c;
	int err;

	if (!count || count > COUNT_MAX || signal_link_parse(&link, argv[1])) {
		fprintf(stderr, "audience http://localhost:PORT/r/ROOM#TOKEN COUNT\n");
		return 2;
	}
	crowd_raise_limits();
	err = crowd_create(&c, &link, count);
	if (!err)
		err = enter(&c, &link, count);
	if (!err) {
		puts("in");
		fflush(stdout);
		for (unsigned s = 0; s < SECONDS_MAX; s++)
			crowd_run(&c, 1000000, true);
	}
	crowd_destroy(&c);
	return err ? 1 : 0;
}
