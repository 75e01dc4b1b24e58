/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What an ACME authority asks for. The answers are handed over by palabrectl and live in memory:
 * no name that a stranger sends ever becomes that of a file. Invariant: an entry is a key
 * authorization (RFC 8555 §8.1), so what is answered begins with what was asked.
 */
#include <palabre/api.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHALLENGES_MAX = 8 };
/* An authority asks within seconds, some try again for minutes. */
#define CHALLENGE_US (10 * 60 * 1000000ULL)

struct challenges {
	struct challenge {
		char text[CHALLENGE_MAX + 1]; /* "TOKEN.THUMBPRINT" */
		size_t token_len;	      /* 0: free */
		uint64_t until_us;
	} entries[CHALLENGES_MAX];
};

/* base64url both (RFC 8555 §8.3); 0 if it is none. */
static size_t token_of(const char *text)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_";
	size_t len = strspn(text, letters), rest;

	if (!len || text[len] != '.')
		return 0;
	rest = strspn(text + len + 1, letters);
	return rest && !text[len + 1 + rest] && len + 1 + rest <= CHALLENGE_MAX ? len : 0;
}

static struct challenge *find(struct challenges *c, const char *token, size_t len)
{
	uint64_t now_us = clock_now_us();

	for (unsigned i = 0; i < CHALLENGES_MAX; i++) {
		struct challenge *e = &c->entries[i];

		if (e->token_len && e->until_us <= now_us)
			e->token_len = 0;
		if (e->token_len == len && !memcmp(e->text, token, len))
			return e;
	}
	return NULL;
}

struct challenges *challenges_create(void)
{
	return calloc(1, sizeof(struct challenges));
}

void challenges_destroy(struct challenges *c)
{
	free(c);
}

int challenge_add(struct challenges *c, const char *text)
{
	size_t len = token_of(text);
	struct challenge *e;

	if (!len)
		return -EINVAL;
	e = find(c, text, len);
	for (unsigned i = 0; i < CHALLENGES_MAX && !e; i++)
		if (!c->entries[i].token_len)
			e = &c->entries[i];
	if (!e)
		return -ENOBUFS;
	memcpy(e->text, text, strlen(text) + 1);
	e->token_len = len;
	e->until_us = clock_now_us() + CHALLENGE_US;
	return 0;
}

int challenge_remove(struct challenges *c, const char *text)
{
	size_t len = token_of(text);
	struct challenge *e = len ? find(c, text, len) : NULL;

	if (!e)
		return len ? -ENOENT : -EINVAL;
	e->token_len = 0;
	return 0;
}

static void on_asked(struct http_request *rq, void *arg)
{
	const char *token = http_segment(rq, 0);
	size_t len = strlen(token);
	const struct challenge *e = len ? find(arg, token, len) : NULL;

	if (e)
		http_reply(rq, 200, "application/octet-stream", e->text, strlen(e->text));
	else
		http_reply_error(rq, 404, "not-found", "There is no such challenge.");
}

void challenges_route(struct challenges *c, struct http_server *http)
{
	http_route(http, "GET", "/.well-known/acme-challenge/{}", on_asked, c);
}
