/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where the certificate for https is: two files that are named, or what the service
 * palabre-certificate has gotten from an ACME authority. Control thread. */
#ifndef APP_CERTIFICATE_H
#define APP_CERTIFICATE_H

#include <palabre/conf.h>

struct ssl_ctx_st;

/* 0, and *out is NULL where there is none (yet): tls_destroy(). -EINVAL and `why`. */
int certificate_load(struct ssl_ctx_st **out, const struct conf *c, const char *state_dir,
		     char *why, size_t why_len) MUST_CHECK;

#endif
