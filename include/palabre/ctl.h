/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * ctl: palabrectl, and what it and the server agree on. Level 2. It is a program of its own: of the
 * server it knows a socket and lines of JSON, one object each:
 *
 *   → {"do":"links","room":"tree"}
 *   ← {"item":{…}}            as many as there are
 *   ← {"ok":true,…}           or {"error":"CODE","message":"what happened and what to do"}
 */
#ifndef PALABRE_CTL_H
#define PALABRE_CTL_H

#include <palabre/base.h>

enum {
	CTL_LINE_MAX = 16 * 1024, /* of a request; 413 `too-large` */
	CTL_PATH_MAX = 108	  /* sun_path's */
};
#define CTL_SOCKET "ctl.sock"

/* The directory of the socket: `given` if it isn't "", else what systemd gives, else /run/palabre, else
 * one's own ($XDG_RUNTIME_DIR/palabre). With `make` it is made; without, it is the first that has a
 * socket. -ENOENT none, -errno `given` cannot be used. */
int ctl_dir(const char *given, bool make, char out[CTL_PATH_MAX]) MUST_CHECK;

/* Times as people write them, in a zone ("" the machine's): "2026-12-01 18:00" and back. 0 or
 * -EINVAL. Changes the process' time zone. */
enum { CTL_TIME_MAX = 24 };
bool ctl_zone_known(const char *zone);
int ctl_time_parse(const char *text, const char *zone, uint64_t *out) MUST_CHECK;
void ctl_time_text(uint64_t at_s, const char *zone, char out[CTL_TIME_MAX]);
/* "90m", "12h", "7d": seconds; -EINVAL. */
int64_t ctl_span_parse(const char *text) MUST_CHECK;

/* The command line as a request. */
struct json_t;
struct ctl_command {
	bool json;		   /* print what came, not tables */
	bool leave;		   /* all done: help, version */
	char socket[CTL_PATH_MAX]; /* "" the usual place */
	const char *name;	   /* of the command, static */
	struct json_t *ask;	   /* json_decref() */
};
/* 0, or -EINVAL and `why` for people. */
int ctl_args(struct ctl_command *out, int argc, char **argv, char *why,
	     size_t why_len) MUST_CHECK;
/* Asks and prints. The program's exit status: 0, 1 refused, 3 no server. */
int ctl_run(const struct ctl_command *c);

#endif
