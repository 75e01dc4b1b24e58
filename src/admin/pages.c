/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * /health and /metrics, for machines near by. To everybody else they are not there. Who asks through
 * a proxy that is not trusted is a stranger, wherever the proxy stands.
 */
#include "admin_in.h"

#include <string.h>

static bool may_read(const struct admin *a, const struct http_request *rq)
{
	const struct addr *peer = http_peer(rq);
	bool relayed = http_header(rq, "X-Forwarded-For") ||
		       http_header(rq, "Forwarded") || http_header(rq, "Via");

	/* Whom a trusted proxy names has no port. */
	return proxies_trust(&a->readers, peer) && !(relayed && peer->port);
}

static bool admit(const struct admin *a, struct http_request *rq)
{
	if (may_read(a, rq)) {
		http_set_header(rq, "Cache-Control", "no-store");
		return true;
	}
	http_reply_error(rq, 404, "not-found", "There is nothing at this address.");
	return false;
}

static void on_healthy(void *arg, bool good, const char *text)
{
	struct http_request *rq = arg;
	struct text page = { 0 };

	text_add(&page, "%s\n", text);
	http_reply(rq, good ? 200 : 503, "text/plain; charset=utf-8",
		   page.s ? page.s : "", page.len);
	text_free(&page);
	mem_unref(rq);
}

static void on_health_page(struct http_request *rq, void *arg)
{
	struct admin *a = arg;

	if (admit(a, rq) && !health_ask(a, on_healthy, mem_ref(rq)))
		on_healthy(rq, false, "Too many ask at once.");
}

static void on_metrics_page(struct http_request *rq, void *arg)
{
	struct admin *a = arg;
	struct text page = { 0 };

	if (!admit(a, rq))
		return;
	metrics_write(a, &page);
	if (page.bad || !page.s)
		http_reply_error(rq, 500, "internal",
				 "The server has not enough memory.");
	else
		http_reply(rq, 200, "text/plain; version=0.0.4; charset=utf-8", page.s,
			   page.len);
	text_free(&page);
}

void pages_init(struct admin *a)
{
	http_route(a->p.http, "GET", "/health", on_health_page, a);
	http_route(a->p.http, "GET", "/metrics", on_metrics_page, a);
}
