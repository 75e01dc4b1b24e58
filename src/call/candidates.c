/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The addresses a browser may reach us at: media.announce if set, else those of this
 * machine's interfaces. Loopback only for browsers on this machine: elsewhere each
 * useless candidate costs pings on a thin link.
 */
#include "call_private.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static bool is_loopback(const struct addr *a)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 : !memcmp(a->ip, v6, sizeof v6);
}

static bool is_link_local(const struct addr *a)
{
	return a->family == 4 ? a->ip[0] == 169 && a->ip[1] == 254
			      : a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static bool is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->ip, zero, sizeof zero);
}

/* Do we listen there? */
static bool bound(const struct calls *cs, const struct addr *a)
{
	for (unsigned i = 0; i < cs->bind_count; i++)
		if (cs->bind[i].family == a->family &&
		    (is_any(&cs->bind[i]) ||
		     !memcmp(cs->bind[i].ip, a->ip, sizeof a->ip)))
			return true;
	return false;
}

static unsigned add(struct nego_candidate *out, unsigned count, const struct addr *a,
		    uint16_t port, bool tcp)
{
	if (count == NEGO_CANDIDATES_MAX)
		return count;
	out[count].addr = *a;
	out[count].addr.port = port;
	out[count].tcp = tcp;
	return count + 1;
}

static unsigned announced(const char *list, struct addr *out, unsigned max)
{
	char text[CONF_TEXT_MAX];
	char *save = NULL;
	unsigned count = 0;

	memcpy(text, list, sizeof text);
	for (char *w = strtok_r(text, ", ", &save); w && count < max;
	     w = strtok_r(NULL, ", ", &save))
		if (!addr_parse(&out[count], w))
			count++;
	return count;
}

static unsigned interfaces(const struct calls *cs, bool loopback, struct addr *out,
			   unsigned max)
{
	struct ifaddrs *all, *i;
	unsigned count = 0;

	if (getifaddrs(&all))
		return 0;
	for (int want_loopback = 0; want_loopback <= (loopback ? 1 : 0);
	     want_loopback++) {
		for (i = all; i && count < max; i = i->ifa_next) {
			struct addr a;

			if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
			    (i->ifa_addr->sa_family != AF_INET &&
			     i->ifa_addr->sa_family != AF_INET6))
				continue;
			addr_from_sockaddr(&a, i->ifa_addr);
			if (is_loopback(&a) == (want_loopback == 1) &&
			    !is_link_local(&a) && bound(cs, &a))
				out[count++] = a;
		}
	}
	freeifaddrs(all);
	return count;
}

unsigned candidates_list(const struct calls *cs, unsigned worker, bool loopback,
			 struct nego_candidate out[NEGO_CANDIDATES_MAX])
{
	struct addr addrs[NEGO_CANDIDATES_MAX / 2];
	int64_t base = cs->conf->media.announce_port ? cs->conf->media.announce_port
						     : cs->conf->server.port;
	uint16_t port = (uint16_t)(base + worker);
	unsigned count = 0, n;

	if (cs->conf->media.announce[0])
		n = announced(cs->conf->media.announce, addrs, ARRAY_LEN(addrs));
	else
		n = interfaces(cs, loopback, addrs, ARRAY_LEN(addrs));
	for (unsigned i = 0; i < n; i++)
		count = add(out, count, &addrs[i], port, false);
	for (unsigned i = 0; i < n && cs->conf->media.tcp; i++)
		count = add(out, count, &addrs[i], port, true);
	return count;
}
