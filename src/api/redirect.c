/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plain http, where the page has https: to the same place there, whatever name was asked for. */
#include <palabre/api.h>

#include <stdio.h>
#include <string.h>

static void on_plain(struct http_request *rq, void *arg)
{
	const char *url = arg, *target = http_target(rq);
	char location[CONF_TEXT_MAX + HTTP_PATH_MAX];

	if (*target != '/' || strlen(url) + strlen(target) >= sizeof location)
		target = "/";
	snprintf(location, sizeof location, "%s%s", url, target);
	http_set_header(rq, "Location", location);
	/* 308 keeps the method; a room's token stays with the browser, which takes it along. */
	http_reply(rq, 308, NULL, NULL, 0);
}

void redirect_route(struct http_server *http, const char *url)
{
	http_route(http, "", "/{*}", on_plain, (void *)(uintptr_t)url);
}
