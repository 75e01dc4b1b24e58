/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One UDP socket for many clients: on loopback every 127.x.y.z is ours, so each client
 * has a source address of its own (IP_PKTINFO) and the server sees as many peers.
 */
#include "client_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, SOCKET_BYTES = 4 * 1024 * 1024 };

struct client_hub {
	int fd;
	unsigned group, next;
	uint64_t arrival_ns;
	struct client *clients[HUB_CLIENTS_MAX];
	uint8_t buf[BATCH][CLIENT_BUF];
	uint8_t control[BATCH][64];
};

static uint32_t ip_of(const struct client_hub *h, unsigned index)
{
	return 127u << 24 | (64 + h->group) << 16 | (index + 1);
}

struct client_hub *client_hub_create(unsigned group)
{
	struct client_hub *h = calloc(1, sizeof *h);
	struct sockaddr_in any = { .sin_family = AF_INET };
	int on = 1, bytes = SOCKET_BYTES;

	if (!h || group >= 64) {
		free(h);
		return NULL;
	}
	h->group = group;
	h->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&any, sizeof any) ||
	    setsockopt(h->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) ||
	    setsockopt(h->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on)) {
		if (h->fd >= 0)
			close(h->fd);
		free(h);
		return NULL;
	}
	/* Beyond the usual limit if we may, or a busy machine loses what the server sent.
	 */
	if (setsockopt(h->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
		setsockopt(h->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	setsockopt(h->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	return h;
}

void client_hub_destroy(struct client_hub *h)
{
	if (!h)
		return;
	close(h->fd);
	free(h);
}

int client_hub_fd(const struct client_hub *h)
{
	return h->fd;
}

/* Round robin, so that a client that leaves or moves doesn't hand its address on at once.
 */
int hub_join(struct client_hub *h, struct client *c)
{
	unsigned i;

	for (i = 0; i < HUB_CLIENTS_MAX; i++) {
		unsigned at = (h->next + i) % HUB_CLIENTS_MAX;

		if (h->clients[at])
			continue;
		h->clients[at] = c;
		h->next = at + 1;
		c->hub_index = at;
		return 0;
	}
	return -ENOBUFS;
}

void hub_leave(struct client_hub *h, struct client *c)
{
	if (h->clients[c->hub_index] == c)
		h->clients[c->hub_index] = NULL;
}

void hub_send(struct client_hub *h, const struct client *c, const uint8_t *data,
	      size_t len)
{
	struct sockaddr_storage to;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct in_pktinfo info = { 0 };
	struct cmsghdr *cm;

	m.msg_name = &to;
	m.msg_namelen = addr_to_sockaddr(&c->server, &to);
	memset(&control, 0, sizeof control);
	m.msg_control = &control;
	m.msg_controllen = sizeof control.bytes;
	cm = CMSG_FIRSTHDR(&m);
	cm->cmsg_level = IPPROTO_IP;
	cm->cmsg_type = IP_PKTINFO;
	cm->cmsg_len = CMSG_LEN(sizeof info);
	info.ipi_spec_dst.s_addr = htonl(ip_of(h, c->hub_index));
	memcpy(CMSG_DATA(cm), &info, sizeof info);
	if (sendmsg(h->fd, &m, 0) < 0)
		return; /* lost, as on any network */
}

static struct client *client_for(struct client_hub *h, struct msghdr *m)
{
	struct cmsghdr *cm;
	struct client *found = NULL;
	struct in_pktinfo info;
	struct timespec at;
	uint32_t index;

	h->arrival_ns = 0;
	for (cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm)) {
		if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&at, CMSG_DATA(cm), sizeof at);
			h->arrival_ns =
				(uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
			continue;
		}
		if (cm->cmsg_level != IPPROTO_IP || cm->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(cm), sizeof info);
		index = ntohl(info.ipi_addr.s_addr) - ip_of(h, 0);
		found = index < HUB_CLIENTS_MAX ? h->clients[index] : NULL;
	}
	return found;
}

uint64_t client_hub_arrival_ns(const struct client_hub *h)
{
	return h->arrival_ns;
}

unsigned client_hub_poll(struct client_hub *h, unsigned max, uint64_t now_us)
{
	struct mmsghdr mm[BATCH];
	struct iovec iov[BATCH];
	unsigned done = 0;
	int n, i;

	while (done < max) {
		memset(mm, 0, sizeof mm);
		for (i = 0; i < BATCH; i++) {
			iov[i].iov_base = h->buf[i];
			iov[i].iov_len = sizeof h->buf[i];
			mm[i].msg_hdr.msg_iov = &iov[i];
			mm[i].msg_hdr.msg_iovlen = 1;
			mm[i].msg_hdr.msg_control = h->control[i];
			mm[i].msg_hdr.msg_controllen = sizeof h->control[i];
		}
		n = recvmmsg(h->fd, mm, BATCH, 0, NULL);
		if (n <= 0)
			break;
		for (i = 0; i < n; i++) {
			struct client *c = client_for(h, &mm[i].msg_hdr);

			if (c)
				client_input(c, h->buf[i], mm[i].msg_len, now_us);
		}
		done += (unsigned)n;
		if (n < BATCH)
			break;
	}
	return done;
}
