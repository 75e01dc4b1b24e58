/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The whole configuration in one list: parser, checks, sample file and manual come from
 * it. A new option is a member of struct conf and a line here; then let `test_conf_sample
 * write` write conf/palabre.conf anew.
 *
 *   SECTION(section, text)
 *   TEXT(section, name, kind, default, text)            kind: see enum option_kind
 *   NUMBER(section, name, default, min, max, unit, text)
 *   SWITCH(section, name, default, text)
 */
#ifndef PALABRE_CONF_OPTIONS_H
#define PALABRE_CONF_OPTIONS_H

#include <palabre/conf.h>

/* clang-format off */
#define CONF_OPTIONS(SECTION, TEXT, NUMBER, SWITCH) \
SECTION(server, "The server itself.") \
TEXT(server, listen, LISTEN, "*", \
	"Own IP addresses to listen on, comma-separated; * is all of them, IPv4 and IPv6.") \
NUMBER(server, port, 8080, 1, 65535, "", \
	"Port for the page (TCP) and for voice and video (UDP, and TCP where UDP is blocked).\n" \
	"Each worker after the first takes the next higher number.") \
TEXT(server, state_dir, PATH, "", \
	"Directory for what must be kept: the secret that signs links, rooms, settings.\n" \
	"Empty: /var/lib/palabre as an installed service; else one's own, and rooms made with\n" \
	"palabrectl are gone when the server stops.") \
TEXT(server, runtime_dir, PATH, "", \
	"Directory for the socket by which palabrectl reaches this server.\n" \
	"Empty: what systemd gives, else /run/palabre, else one's own.") \
NUMBER(server, workers, 0, 0, 64, "threads", \
	"Threads that forward voice and video. 0: one per processor core.") \
TEXT(server, log_level, LEVEL, "info", \
	"debug, info, warn or error. Only debug shows addresses of people.") \
TEXT(server, url, URL, "", \
	"Address of the page as people type it, such as https://call.example.org.\n" \
	"Empty: localhost with the port above.") \
TEXT(server, contact, MAIL, "", \
	"Mail address of who runs this server, such as me@example.org. Everybody may read it,\n" \
	"in /.well-known/security.txt. Empty: nobody's.") \
\
SECTION(tls, \
	"Certificate for https. Browsers give the microphone only to pages from https or\n" \
	"localhost. Set both files, or acme, or none when a proxy in front does https.") \
TEXT(tls, certificate_file, PATH, "", "File with the certificate and its chain, PEM.") \
TEXT(tls, key_file, PATH, "", "File with the private key, PEM.") \
TEXT(tls, acme, URL, "", \
	"ACME authority from which the service gets and renews a certificate for the name in\n" \
	"server.url: https://acme-v02.api.letsencrypt.org/directory. Whoever sets it agrees to\n" \
	"the authority's terms. Needs redirect_port 80 and the package uacme. Empty: the two files.") \
NUMBER(tls, redirect_port, 0, 0, 65535, "", \
	"Port for plain http, where browsers are sent to server.url and told to use https from\n" \
	"then on, and where the authority asks: 80. 0: none.") \
\
SECTION(http, "The page and its requests.") \
TEXT(http, trust_proxy, NETWORKS, "", \
	"IP addresses or networks of proxies in front, comma-separated. Their X-Forwarded-For\n" \
	"header is believed, and they count as many people: 127.0.0.1, ::1 for one on this machine.") \
TEXT(http, metrics, NETWORKS, "127.0.0.1, ::1", \
	"IP addresses or networks that may read /health and /metrics, comma-separated.\n" \
	"Empty: nobody; palabrectl can, always.") \
NUMBER(http, connections_max, 4096, 16, 1000000, "connections", \
	"Open TCP connections; further ones are closed at once.") \
NUMBER(http, connections_per_address_max, 256, 1, 1000000, "connections", \
	"The same from one IP address. A school or an office often shares one.") \
NUMBER(http, request_timeout_s, 15, 1, 300, "seconds", \
	"A request that is not complete after this time is dropped. Slow links need time.") \
\
SECTION(media, "Voice and video.") \
TEXT(media, announce, ADDRESSES, "", \
	"Public IP addresses that browsers are told to send to, comma-separated; for a server\n" \
	"behind NAT. Empty: the addresses listened on.") \
NUMBER(media, announce_port, 0, 0, 65535, "", \
	"Public port that goes with them, if NAT changes it. 0: the same as the port listened on.") \
SWITCH(media, tcp, true, \
	"Offer TCP too, for networks that block UDP.") \
NUMBER(media, pool_pkts, 32768, 1024, 1048576, "packets", \
	"Packets that one worker can hold, at about 2 KB each; memory is taken when used.") \
NUMBER(media, video_slots_max, 4, 0, 9, "videos", \
	"Videos that one person can receive at once. 0: voice only.") \
\
SECTION(room, "Rooms and people.") \
SWITCH(room, by_link, true, \
	"Links that palabred prints (--print-link) open a room of any name. no: only rooms made\n" \
	"with palabrectl, by its links, which can be revoked.") \
NUMBER(room, people_max, 500, 2, 10000, "people", "People in one room.") \
NUMBER(room, rooms_max, 200, 1, 10000, "rooms", "Rooms with people in them at the same time.") \
NUMBER(room, resume_s, 600, 0, 86400, "seconds", \
	"How long the seat of a person whose connection broke is kept: role, raised hand,\n" \
	"language.") \
NUMBER(room, joins_per_minute_per_address_max, 120, 1, 100000, "joins", \
	"Joins in a minute from one IP address. A village can share one.")
/* clang-format on */

/* What a value must look like. */
enum option_kind {
	KIND_PATH,	/* anything */
	KIND_LISTEN,	/* "*" or addresses */
	KIND_ADDRESSES, /* addresses without ports, comma-separated */
	KIND_NETWORKS,	/* the same, or networks: 10.0.0.0/8 */
	KIND_LEVEL,
	KIND_URL,
	KIND_MAIL,
	KIND_NUMBER,
	KIND_SWITCH,
	KIND_SECTION, /* not an option: begins a section in the list */
};

struct option {
	const char *section;
	const char *name; /* NULL: the section itself */
	enum option_kind kind;
	size_t offset; /* of the member in struct conf */
	const char *text_default;
	int64_t number_default, min, max;
	const char *unit;
	const char *help;
};

enum { OPTION_WHAT_MAX = 512 };

extern const struct option conf_option[];
extern const size_t conf_option_count;

/* Finds by section and name; NULL. */
const struct option *option_find(const char *section, const char *name);
/* The name most like `name`: of an option of `section`, with NULL of any; with `sections`
 * that of a section. NULL when nothing is near enough to be meant. */
const struct option *option_guess(const char *section, const char *name, bool sections);
/* Sets from text; 0, or -EINVAL and in `what` "what is wrong; the mend". */
int option_set(struct conf *c, const struct option *o, const char *value,
	       char what[OPTION_WHAT_MAX]);
/* The same check on the value that is there. */
int option_check(const struct conf *c, const struct option *o,
		 char what[OPTION_WHAT_MAX]);

#endif
