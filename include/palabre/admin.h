/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * admin: what the operator asks of a running server: palabrectl's socket (src/ctl has the other
 * end), /health and /metrics. Level 10, control thread. Nothing here waits: neither for the disk nor
 * for a worker.
 */
#ifndef PALABRE_ADMIN_H
#define PALABRE_ADMIN_H

#include <palabre/api.h>
#include <palabre/store.h>

struct admin;
/* What it looks at and acts on; outlives it. */
struct admin_parts {
	struct event_base *base;
	const struct conf *conf;
	const char *url; /* of the page, without a slash at the end; copied */
	const struct secret *secret;
	const struct cert *cert;
	struct ssl_ctx_st *const
		*tls; /* where it is, since it may be loaded anew; NULL there: none */
	struct store *store;
	struct calls *calls;
	struct api *api;
	struct challenges *challenges;
	struct http_server *http; /* gets its routes */
};
struct admin *admin_create(const struct admin_parts *p) MUST_CHECK;
/* Opens the socket (mode 0600) in server.runtime_dir, or its default place. -errno and `why`. -EBUSY:
 * another palabred has it; -ENOENT: no default place can be used. */
int admin_listen(struct admin *a, char *why, size_t why_len) MUST_CHECK;
void admin_destroy(struct admin *a);

#endif
