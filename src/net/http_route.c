/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Paths and routes. Invariant: the decoded path has as many segments as the one sent
 * (an encoded slash is refused), so matching and file names cannot disagree.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_inner.h"
#include "utf8.h"

struct http_route {
	struct http_route *next;
	char *method, *pattern;
	http_route_fn fn;
	void *arg;
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* "." and ".." in any segment. */
static bool has_dots(const char *path)
{
	const char *s;

	for (s = path; (s = strchr(s, '/')); s++) {
		size_t n = strcspn(s + 1, "/");

		if ((n == 1 && s[1] == '.') || (n == 2 && s[1] == '.' && s[2] == '.'))
			return true;
	}
	return false;
}

/* The byte at *p, which moves past it; "%41" is one. -1: malformed. */
static int unescape(const char **p)
{
	const char *s = *p;
	int high, low;

	*p = s + 1;
	if (*s != '%')
		return (unsigned char)*s;
	high = hex(s[1]);
	low = high < 0 ? -1 : hex(s[2]);
	*p = s + 3;
	return low < 0 ? -1 : high << 4 | low;
}

/* Or nothing at all, from unescape(). */
static bool control(int c)
{
	return c < 0x20 || c == 0x7f;
}

int http_path_decode(const char *target, char out[HTTP_PATH_MAX + 1])
{
	size_t len = 0;

	/* absolute-form (RFC 9112 §3.2.2): whose host it names is not our question */
	if (strncasecmp(target, "http://", 7) == 0 ||
	    strncasecmp(target, "https://", 8) == 0) {
		target = strstr(target, "//") + 2;
		target += strcspn(target, "/?#");
		if (*target != '/')
			target = "/";
	}
	if (*target != '/')
		return -EBADMSG;
	while (*target && *target != '?' && *target != '#') {
		bool escaped = *target == '%';
		int c = unescape(&target);

		if (control(c) || c == '\\' || (escaped && c == '/'))
			return -EBADMSG;
		if (len == HTTP_PATH_MAX)
			return -ENOBUFS;
		out[len++] = (char)c;
	}
	out[len] = 0;
	if (has_dots(out) || !utf8_valid((const uint8_t *)out, len))
		return -EBADMSG;
	return 0;
}

/* The value of one "name=value"; `end` is where the part ends. */
static int query_value(const char *p, const char *end, char *out, size_t cap)
{
	size_t len = 0;

	while (p < end) {
		bool space = *p == '+';
		int c = unescape(&p);

		if (control(c))
			return -EBADMSG;
		if (len + 1 >= cap)
			return -ENOBUFS;
		out[len++] = space ? ' ' : (char)c;
	}
	out[len] = 0;
	return utf8_valid((const uint8_t *)out, len) ? 0 : -EBADMSG;
}

int http_query_decode(const char *target, const char *name, char *out, size_t cap)
{
	const char *p = target + strcspn(target, "?#"), *end;
	size_t n = strlen(name);

	while (*p && *p != '#') {
		p++;
		end = p + strcspn(p, "&#");
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			return query_value(p + n + 1, end, out, cap);
		p = end;
	}
	return -ENOENT;
}

static void capture(struct http_match *m, const char *s, size_t n, size_t *used)
{
	m->at[m->count++] = (uint16_t)*used;
	memcpy(m->buf + *used, s, n);
	m->buf[*used + n] = 0;
	*used += n + 1;
}

/* Both begin with '/'; segment by segment. */
static bool matches(const char *pattern, const char *path, struct http_match *m)
{
	size_t used = 0;

	m->count = 0;
	while (*pattern && *path) {
		size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");

		if (want == 3 && strncmp(pattern, "{*}", 3) == 0) {
			capture(m, path, strlen(path), &used);
			return true;
		}
		if (want == 2 && strncmp(pattern, "{}", 2) == 0) {
			if (!have)
				return false;
			capture(m, path, have, &used);
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return false;
		}
		pattern += want;
		path += have;
	}
	return !*pattern && !*path;
}

static bool pattern_valid(const char *p)
{
	unsigned captures = 0;

	if (*p != '/')
		return false;
	for (; *p; p++) {
		if (*p == '{')
			captures++;
		if (strncmp(p, "{*}", 3) == 0 && p[3])
			return false;
	}
	return captures <= HTTP_SEGMENTS_MAX;
}

struct http_route *http_route_add(struct http_route **list, const char *method,
				  const char *pattern, http_route_fn fn, void *arg)
{
	struct http_route *r;

	if (!pattern_valid(pattern))
		return NULL;
	r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->method = strdup(method);
	r->pattern = strdup(pattern);
	r->fn = fn;
	r->arg = arg;
	if (!r->method || !r->pattern) {
		http_routes_free(r);
		return NULL;
	}
	while (*list)
		list = &(*list)->next;
	*list = r;
	return r;
}

void http_routes_free(struct http_route *list)
{
	struct http_route *next;

	for (; list; list = next) {
		next = list->next;
		free(list->method);
		free(list->pattern);
		free(list);
	}
}

void http_route_call(const struct http_route *r, struct http_request *rq)
{
	r->fn(rq, r->arg);
}

const struct http_route *http_route_find(const struct http_route *list,
					 const char *method, const char *path,
					 struct http_match *m, struct text *allow)
{
	bool head = strcmp(method, "HEAD") == 0;

	for (; list; list = list->next) {
		if (!matches(list->pattern, path, m))
			continue;
		if (!*list->method || strcmp(list->method, method) == 0 ||
		    (head && strcmp(list->method, "GET") == 0))
			return list;
		text_add(allow, "%s%s%s", allow->len ? ", " : "", list->method,
			 strcmp(list->method, "GET") == 0 ? ", HEAD" : "");
	}
	m->count = 0;
	return NULL;
}
