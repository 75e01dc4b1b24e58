/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef PALABRE_NET_PROXY_H
#define PALABRE_NET_PROXY_H

#include "http_parse.h"

/* `peer`: whose connection it is; becomes the right-most address of X-Forwarded-For that is
 * no trusted proxy's, as long as each one before was. A malformed entry ends the search. */
void proxy_client(const struct proxies *p, const struct http_msg *m, struct addr *peer);

#endif
