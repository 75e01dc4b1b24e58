/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * IP addresses in one comparable form. Invariant: every byte that a family doesn't use is
 * zero, and an IPv4-mapped address never stays IPv6, so memcmp() is equality.
 */
#include <palabre/base.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void set_ip6(struct addr *a, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(ip, mapped, sizeof mapped) == 0) {
		a->family = 4;
		memcpy(a->ip, ip + 12, 4);
	} else {
		a->family = 6;
		memcpy(a->ip, ip, 16);
	}
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	memset(out, 0, sizeof *out);
	if (sa->sa_family == AF_INET) { /* copied: a control message may lie unaligned */
		memcpy(&in, sa, sizeof in);
		out->family = 4;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof in6);
		out->port = ntohs(in6.sin6_port);
		set_ip6(out, in6.sin6_addr.s6_addr);
	}
}

unsigned addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	if (a->family == 4) {
		memset(in, 0, sizeof *in);
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof *in;
	}
	if (a->family == 6) {
		memset(in6, 0, sizeof *in6);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof *in6;
	}
	out->ss_family = AF_UNSPEC;
	return 0;
}

const char *addr_ip_text(const struct addr *a, char *buf)
{
	if (a->family != 4 && a->family != 6)
		return strcpy(buf, "none");
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, buf, ADDR_TEXT_MAX);
	return buf;
}

const char *addr_text(const struct addr *a, char *buf)
{
	char ip[INET6_ADDRSTRLEN];

	if (a->family != 4 && a->family != 6)
		return strcpy(buf, "none");
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip);
	snprintf(buf, ADDR_TEXT_MAX, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
	return buf;
}

static int parse_number(const char *text, uint16_t *out)
{
	uint32_t v = 0;
	int digits;

	for (digits = 0; text[digits] >= '0' && text[digits] <= '9' && digits < 5;
	     digits++)
		v = v * 10 + (uint32_t)(text[digits] - '0');
	if (!digits || text[digits] || v > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

int addr_parse(struct addr *out, const char *text)
{
	const char *ip_start = text, *ip_end, *port = NULL;
	char ip[INET6_ADDRSTRLEN];
	struct addr a = { 0 };
	uint8_t bytes[16];

	if (text[0] == '[') {
		ip_start = text + 1;
		ip_end = strchr(text, ']');
		if (!ip_end || (ip_end[1] && ip_end[1] != ':'))
			return -EINVAL;
		if (ip_end[1])
			port = ip_end + 2;
	} else {
		ip_end = strchr(text, ':');
		if (ip_end && !strchr(ip_end + 1, ':')) /* one colon: IPv4 with a port */
			port = ip_end + 1;
		else
			ip_end = text + strlen(text);
	}
	if ((size_t)(ip_end - ip_start) >= sizeof ip)
		return -EINVAL;
	memcpy(ip, ip_start, (size_t)(ip_end - ip_start));
	ip[ip_end - ip_start] = 0;
	if (port && parse_number(port, &a.port))
		return -EINVAL;
	if (text[0] != '[' && inet_pton(AF_INET, ip, a.ip) == 1) {
		a.family = 4;
	} else if ((text[0] == '[' || !port) && inet_pton(AF_INET6, ip, bytes) == 1) {
		memset(a.ip, 0, sizeof a.ip);
		set_ip6(&a, bytes);
	} else {
		return -EINVAL;
	}
	*out = a;
	return 0;
}

int addr_net_parse(struct addr_net *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char ip[ADDR_TEXT_MAX];
	struct addr_net n = { 0 };
	uint16_t bits;
	unsigned most;

	if (len >= sizeof ip)
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = 0;
	if (addr_parse(&n.addr, ip) || n.addr.port)
		return -EINVAL;
	most = n.addr.family == 4 ? 32 : 128;
	bits = (uint16_t)most;
	if (slash && (parse_number(slash + 1, &bits) || bits > most))
		return -EINVAL;
	n.bits = (uint8_t)bits;
	*out = n;
	return 0;
}

bool addr_net_has(const struct addr_net *n, const struct addr *a)
{
	unsigned whole = n->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> n->bits % 8);

	return a->family == n->addr.family && !memcmp(a->ip, n->addr.ip, whole) &&
	       (!mask || !((a->ip[whole] ^ n->addr.ip[whole]) & mask));
}
