/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conf: one table of options (src/conf/options.h) is the parser, the check, the sample file
 * conf/palabre.conf and, later, the man page. Level 1, control thread. INI syntax:
 * "[section]" lines, "name = value", "#" comments; every name carries its unit.
 */
#ifndef PALABRE_CONF_H
#define PALABRE_CONF_H

#include <palabre/base.h>

enum {
	CONF_TEXT_MAX = 256,
	CONF_FILE_MAX = 64 * 1024,
	CONF_LIST_MAX = 16 /* entries of a comma-separated list */
};

/* Values of every option, by section. Strings are terminated, "" = not set. */
struct conf {
	struct {
		char listen[CONF_TEXT_MAX]; /* IP addresses, comma-separated; "*" = all */
		int64_t port; /* TCP and UDP of worker 0; worker i has port + i */
		char state_dir[CONF_TEXT_MAX];
		char runtime_dir[CONF_TEXT_MAX]; /* of palabrectl's socket */
		int64_t workers;		 /* 0 = one per core */
		char log_level[CONF_TEXT_MAX];
		char contact[CONF_TEXT_MAX]; /* mail address, "" = none */
		char url[CONF_TEXT_MAX]; /* public address of the page; "" = http(s)://localhost:port */
	} server;
	struct {
		char certificate_file[CONF_TEXT_MAX];
		char key_file[CONF_TEXT_MAX];
		char acme[CONF_TEXT_MAX]; /* directory of the authority, "" = none */
		int64_t redirect_port;	  /* plain http, to https; 0 = none */
	} tls;
	struct {
		char trust_proxy
			[CONF_TEXT_MAX]; /* proxies whose X-Forwarded-For is believed */
		char metrics[CONF_TEXT_MAX]; /* who may read /health and /metrics */
		int64_t connections_max;
		int64_t connections_per_address_max;
		int64_t request_timeout_s;
	} http;
	struct {
		char announce
			[CONF_TEXT_MAX]; /* addresses for the candidates, "" = those listened on */
		int64_t announce_port; /* 0 = server.port */
		int64_t pool_pkts;     /* per worker */
		int64_t video_slots_max;
		bool tcp; /* offer ICE-TCP candidates */
	} media;
	struct {
		int64_t people_max; /* in one room */
		int64_t rooms_max;
		int64_t resume_s;
		int64_t joins_per_minute_per_address_max;
		bool by_link; /* also rooms that are not in the store */
	} room;
};

/* Sets every default. */
void conf_defaults(struct conf *c);
/* Reads a file over the present values. On error nothing is changed, -EINVAL (or -errno from
 * opening), and `why` holds every mistake, one a line: "FILE:LINE: what is wrong; the mend". */
int conf_read(struct conf *c, const char *path, char *why, size_t why_len) MUST_CHECK;
/* The same from memory; `name` stands for the file. */
int conf_parse(struct conf *c, const char *name, const char *text, size_t len, char *why,
	       size_t why_len) MUST_CHECK;
/* Rules that span options (both TLS files or none, …), after everything is read. */
int conf_check(const struct conf *c, const char *name, char *why,
	       size_t why_len) MUST_CHECK;
/* Sets one option by "section.name", as from the command line. */
int conf_set(struct conf *c, const char *name, const char *value, char *why,
	     size_t why_len) MUST_CHECK;
/* The value of "section.name" as text. -ENOENT. */
int conf_get(const struct conf *c, const char *name, char out[CONF_TEXT_MAX]) MUST_CHECK;
/* Calls `fn` for every option that isn't the same in both. */
void conf_compare(const struct conf *a, const struct conf *b,
		  void (*fn)(const char *section, const char *name, void *arg),
		  void *arg);
/* Prints the sample configuration: every option with its text, unit, range and default.
 * `line` comes without its newline. */
void conf_print_sample(void (*out)(const char *line, void *arg), void *arg);

#endif
