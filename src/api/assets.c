/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Serves the page from memory: index.html with its style and scripts in it, asked for anew (by
 * ETag); what it loads besides has the version in its address and is kept by the browser for
 * ever. So a first visit over a thin link costs two round trips and the transfer, a second one
 * one small request.
 */
#include "api_private.h"
#include "assets.h"

#include <stdio.h>
#include <string.h>

enum {
	HOST_MAX = 255,
	HASHES_MAX = 256 /* three of 53 */
};

#define POLICY \
	"default-src 'none'; script-src 'self' %s; style-src 'self' %s; img-src 'self' " \
	"data: " \
	"blob:; media-src 'self' blob: mediastream:; manifest-src 'self'; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src " \
	"'self'"

/* A host as a policy can have it (CSP 3 §2.3.1, no wildcard), so that nothing in it ends a
 * source or a directive. IPv6 it cannot have. */
static bool host_valid(const char *host)
{
	static const char digits[] = "0123456789",
			  letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	const char *p = host;
	size_t n;

	if (strlen(host) > HOST_MAX)
		return false;
	while ((n = strspn(p, letters)) && p[n] == '.')
		p += n + 1;
	p += n;
	if (n && *p == ':') {
		n = strspn(p + 1, digits);
		p += n + 1;
	}
	return n && !*p;
}

/* 'self' means our WebSocket, too, but for Safari before 15.4, which has to be told. */
static void set_policy(struct http_request *rq)
{
	const char *host = http_header(rq, "Host");
	char policy[sizeof POLICY + HASHES_MAX + 2 * HOST_MAX + 16];
	int n = snprintf(policy, sizeof policy, POLICY, asset_scripts, asset_styles);

	if (host && host_valid(host))
		snprintf(policy + n, sizeof policy - (size_t)n, " ws://%s wss://%s", host,
			 host);
	http_set_header(rq, "Content-Security-Policy", policy);
}

static const struct asset *find(const char *path)
{
	for (size_t i = 0; i < asset_count; i++)
		if (!strcmp(assets[i].path, path))
			return &assets[i];
	return NULL;
}

static bool accepts(const struct http_request *rq, const char *coding)
{
	const char *list = http_header(rq, "Accept-Encoding");
	const char *at = list ? strstr(list, coding) : NULL;

	/* ";q=0" refuses; "q=0.5" is not worth telling apart: browsers don't send it. */
	return at && (at == list || strchr(", \t", at[-1])) &&
	       strncmp(at + strlen(coding), ";q=0", 4) != 0;
}

static void serve(struct http_request *rq, const struct asset *f, const char *cache)
{
	const struct asset_body *body = &f->plain;

	http_set_header(rq, "Vary", "Accept-Encoding");
	http_set_header(rq, "Cache-Control", cache);
	http_set_header(rq, "X-Content-Type-Options", "nosniff");
	if (f->brotli.start != f->brotli.end && accepts(rq, "br")) {
		body = &f->brotli;
		http_set_header(rq, "Content-Encoding", "br");
	} else if (f->gzip.start != f->gzip.end && accepts(rq, "gzip")) {
		body = &f->gzip;
		http_set_header(rq, "Content-Encoding", "gzip");
	}
	http_reply(rq, 200, f->type, body->start, (size_t)(body->end - body->start));
}

/* Only who has given port 80 to us, too, has given us the name: no browser is to ask for it by plain
 * http for half a year (RFC 6797). */
static void set_strict(struct http_request *rq, const struct api *a)
{
	if (a->conf->tls.redirect_port && http_is_tls(rq))
		http_set_header(rq, "Strict-Transport-Security", "max-age=15552000");
}

static void page(struct http_request *rq, void *arg)
{
	const struct asset *f = find("index.html");
	const char *have = http_header(rq, "If-None-Match");
	char etag[80];

	if (!f) {
		http_reply_error(rq, 500, "internal",
				 "This server was built without its page.");
		return;
	}
	snprintf(etag, sizeof etag, "\"%s\"", asset_version);
	http_set_header(rq, "ETag", etag);
	set_policy(rq);
	set_strict(rq, arg);
	http_set_header(rq, "Referrer-Policy", "no-referrer");
	http_set_header(rq, "Permissions-Policy",
			"camera=(self), microphone=(self), display-capture=(self), "
			"autoplay=(self)");
	if (have && strstr(have, etag)) {
		http_reply(rq, 304, NULL, NULL, 0);
		return;
	}
	serve(rq, f, "no-cache");
}

static void file(struct http_request *rq, void *arg)
{
	const struct asset *f = find(http_segment(rq, 1));

	(void)arg;
	if (!f)
		http_reply_error(rq, 404, "not-found", "There is no such file.");
	else
		serve(rq, f,
		      strcmp(http_segment(rq, 0), asset_version)
			      ? "no-cache"
			      : "public, max-age=31536000, immutable");
}

static void icon(struct http_request *rq, void *arg)
{
	const struct asset *f = find("favicon.svg");

	(void)arg;
	if (f)
		serve(rq, f, "public, max-age=86400");
	else
		http_reply(rq, 204, NULL, NULL, 0);
}

void api_routes_assets(struct api *a, struct http_server *http)
{
	http_route(http, "GET", "/", page, a);
	http_route(http, "GET", "/r/{}", page, a);
	http_route(http, "GET", "/web/{}/{*}", file, a);
	http_route(http, "GET", "/favicon.ico", icon, a);
}
