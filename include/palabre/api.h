/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * api: what browsers and WHIP publishers speak (docs/protocol.md): HTTP to join, a
 * WebSocket for events, the page's files. Level 9, control thread.
 */
#ifndef PALABRE_API_H
#define PALABRE_API_H

#include <palabre/call.h>
#include <palabre/crypto.h>
#include <palabre/net.h>

struct api;

/* Adds its routes to `http`. The calls are told afterwards, since they report to the api.
 */
struct api *api_create(struct event_base *base, const struct conf *conf,
		       const struct secret *secret, struct http_server *http) MUST_CHECK;
void api_set_calls(struct api *a, struct calls *calls);
/* Rooms that are kept, and their links. Without it there are none. */
void api_set_store(struct api *a, const struct store *store);
/* Nobody new comes in any more; who is here stays, and comes back after a drop. */
void api_drain(struct api *a, bool on);
bool api_is_draining(const struct api *a);
/* Says goodbye to every WebSocket ("closing": come back with the ticket). */
void api_close(struct api *a);
void api_destroy(struct api *a);
/* The call's observer; its arg is the api. */
extern const struct call_ops api_call_ops;

/* HTTP-01 of ACME (RFC 8555 §8.3): what the authority is to find at a token. At most 8 at a time, each for
 * 10 minutes. */
enum { CHALLENGE_MAX = 256 };
struct challenges;
struct challenges *challenges_create(void) MUST_CHECK;
void challenges_destroy(struct challenges *c);
void challenges_route(struct challenges *c, struct http_server *http);
/* `text` is the key authorization, "TOKEN.THUMBPRINT". -EINVAL it is none, -ENOBUFS too many. */
int challenge_add(struct challenges *c, const char *text) MUST_CHECK;
/* -ENOENT, -EINVAL. */
int challenge_remove(struct challenges *c, const char *text) MUST_CHECK;

/* Whatever is asked for: 308 to the same at `url` (without a slash at the end; outlives `http`). */
void redirect_route(struct http_server *http, const char *url);

/* A signed link's path and fragment: "/r/ROOM#TOKEN". expiry_s 0 = never. id: the store's, or 0 for
 * one that it does not know: of the same room and role always the same. 0 or -EINVAL. */
enum { API_LINK_MAX = 512 };
int api_link(const struct secret *secret, const char *room, enum role role, uint32_t id,
	     uint64_t expiry_s, char out[API_LINK_MAX]) MUST_CHECK;

#endif
