/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests into the parsing layer: first byte = how the rest is cut into pieces. Whatever
 * the pieces, the outcome must be the same as in one, and the limits must hold. */
#include <stdlib.h>
#include <string.h>

#include "http_inner.h"
#include "proxy.h"

/* Where all are believed the search goes all the way. */
static void check_client(const struct http_msg *m)
{
	static const struct addr from = { .ip = { 127, 0, 0, 1 },
					  .family = 4,
					  .port = 9 };
	struct addr peer = from;
	struct proxies all;

	if (proxies_parse(&all, "0.0.0.0/0, ::/0"))
		abort();
	proxy_client(&all, m, &peer);
	if (peer.family != 4 && peer.family != 6)
		abort();
	if (peer.port && memcmp(&peer, &from, sizeof peer))
		abort();
}

static void check(const struct http_msg *m)
{
	static char path[HTTP_PATH_MAX + 1];
	static struct http_match match;
	struct http_route *routes = NULL;
	char value[16];
	struct text allow = { 0 };

	if (m->body_len > HTTP_BODY_MAX || m->field_count > HTTP_HEADERS_MAX)
		abort();
	if (m->status || !m->done)
		return;
	if (!http_msg_field(m, "Host") && m->parser.http_minor)
		abort();
	http_msg_has_token(m, "Connection", "upgrade");
	check_client(m);
	if (http_query_decode(http_msg_target(m), "a", value, sizeof value) == 0 &&
	    strlen(value) >= sizeof value)
		abort();
	if (http_path_decode(http_msg_target(m), path))
		return;
	if (strlen(path) > HTTP_PATH_MAX || strstr(path, "/../"))
		abort();
	if (!http_route_add(&routes, "GET", "/a/{}/{*}", NULL, NULL) ||
	    !http_route_add(&routes, "POST", "/{}", NULL, NULL))
		abort();
	http_route_find(routes, "GET", path, &match, &allow);
	text_free(&allow);
	http_routes_free(routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_msg whole, cut;
	size_t step, at, used, cut_used = 0;

	if (!size)
		return 0;
	step = data[0] ? data[0] : 1;
	data++;
	size--;
	http_msg_init(&whole);
	http_msg_init(&cut);
	used = http_msg_feed(&whole, data, size);
	for (at = 0; at < size && !cut.done && !cut.status; at += step)
		cut_used += http_msg_feed(&cut, data + at,
					  size - at < step ? size - at : step);
	/* Of two things wrong with it the cut may decide which is seen first. */
	if (whole.done != cut.done || !whole.status != !cut.status)
		abort();
	if (whole.done && (used != cut_used || whole.body_len != cut.body_len ||
			   whole.head_len != cut.head_len ||
			   memcmp(whole.head, cut.head, cut.head_len) != 0))
		abort();
	check(&whole);
	http_msg_fini(&whole);
	http_msg_fini(&cut);
	return 0;
}
