/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* security.txt (RFC 9116): who finds something wrong with this server learns whom to tell. */
#include "contact.h"

#include <palabre/conf.h>
#include <palabre/net.h>

#include <stdio.h>
#include <time.h>

/* Expires is required and should be less than a year away (§2.5.5); what is answered now is true
 * now, so a month from now on will do. */
enum { VALID_S = 30 * 86400 };

static void on_security_txt(struct http_request *rq, void *arg)
{
	const struct conf *c = arg;
	time_t until = (time_t)(clock_wall_us() / 1000000) + VALID_S;
	char body[2 * CONF_TEXT_MAX], when[sizeof "2025-01-01T00:00:00Z"];
	struct tm tm;
	int len;

	gmtime_r(&until, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	len = snprintf(body, sizeof body, "Contact: mailto:%s\nExpires: %s\n",
		       c->server.contact, when);
	http_reply(rq, 200, "text/plain; charset=utf-8", body, (size_t)len);
}

void contact_route(struct http_server *http, const struct conf *c)
{
	if (c->server.contact[0])
		http_route(http, "GET", "/.well-known/security.txt", on_security_txt,
			   (void *)c);
}
