/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whom a proxy speaks for. Each proxy appends the address it was reached from to
 * X-Forwarded-For, some as another line, so the last entry is the last proxy's word, and
 * what stands left of the first address that we do not trust may be anybody's invention.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "proxy.h"

static const char blank[] = " \t";

int proxies_parse(struct proxies *out, const char *list)
{
	struct proxies p = { 0 };
	char one[ADDR_TEXT_MAX];
	size_t len;

	for (list += strspn(list, ", \t"); *list; list += strspn(list, ", \t")) {
		len = strcspn(list, ", \t");
		if (p.count == PROXIES_MAX)
			return -ENOBUFS;
		if (len >= sizeof one)
			return -EINVAL;
		memcpy(one, list, len);
		one[len] = 0;
		if (addr_net_parse(&p.net[p.count++], one))
			return -EINVAL;
		list += len;
	}
	*out = p;
	return 0;
}

bool proxies_trust(const struct proxies *p, const struct addr *peer)
{
	for (unsigned i = 0; i < p->count; i++)
		if (addr_net_has(&p->net[i], peer))
			return true;
	return false;
}

/* The list's last entry before `end`, which moves to the comma before it. -EINVAL: it is no
 * address. */
static int take_last(const char *list, const char **end, struct addr *out)
{
	const char *from = *end, *to = *end;
	char one[ADDR_TEXT_MAX];

	while (from > list && from[-1] != ',')
		from--;
	*end = from > list ? from - 1 : NULL;
	from += strspn(from, blank);
	while (to > from && strchr(blank, to[-1]))
		to--;
	if (from >= to || (size_t)(to - from) >= sizeof one)
		return -EINVAL;
	memcpy(one, from, (size_t)(to - from));
	one[to - from] = 0;
	if (addr_parse(out, one))
		return -EINVAL;
	out->port = 0;
	return 0;
}

void proxy_client(const struct proxies *p, const struct http_msg *m, struct addr *peer)
{
	for (unsigned i = m->field_count; i-- > 0;) {
		const char *list = m->head + m->field[i].value;
		const char *end = list + strlen(list);

		if (strcasecmp(m->head + m->field[i].name, "X-Forwarded-For"))
			continue;
		while (end) {
			if (!proxies_trust(p, peer) || take_last(list, &end, peer))
				return;
		}
	}
}
