/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "certificate.h"

#include <palabre/net.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLACE_MAX = 2 * CONF_TEXT_MAX + 64 };

/* As uacme(1) lays them out; conf_check() has seen that the url has a plain name. */
static void places(const struct conf *c, const char *state_dir,
		   char certificate[PLACE_MAX], char key[PLACE_MAX])
{
	const char *host = c->server.url + strlen("https://");
	int len = (int)strcspn(host, ":/");

	snprintf(certificate, PLACE_MAX, "%s/acme/%.*s/cert.pem", state_dir, len, host);
	snprintf(key, PLACE_MAX, "%s/acme/private/%.*s/key.pem", state_dir, len, host);
}

int certificate_load(struct ssl_ctx_st **out, const struct conf *c, const char *state_dir,
		     char *why, size_t why_len)
{
	const char *file = c->tls.certificate_file, *key_file = c->tls.key_file;
	char certificate[PLACE_MAX], key[PLACE_MAX];

	if (c->tls.acme[0]) {
		places(c, state_dir, certificate, key);
		if (access(certificate, F_OK)) {
			*out = NULL;
			return 0;
		}
		file = certificate;
		key_file = key;
	} else if (!file[0]) {
		*out = NULL;
		return 0;
	}
	*out = tls_create(file, key_file, why, why_len);
	return *out ? 0 : -EINVAL;
}
