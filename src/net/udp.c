/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A UDP socket read in batches. Invariant: everything recvmmsg needs is set up once at
 * udp_open; between two batches only the packets that were filled are replaced, so a call
 * that finds nothing touches neither the pool nor the message headers.
 */
#include <palabre/net.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "udp.h"

enum {
	/* One worker's whole traffic comes here and a handshake may keep it away for 2
	 * ms, on a busy Pi for longer; at 20 Mbit/s 4 MB are more than a second. */
	UDP_BUFFER_BYTES = 4 << 20,
	ARRIVAL_AGE_MAX_US = 1000000
};

union udp_cmsg {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		 CMSG_SPACE(sizeof(struct timespec))];
};

struct udp_sock {
	int fd;
	struct addr local;
	unsigned spare_count;
	struct pkt *spare[UDP_BATCH]; /* [i] is what msgs[i] will fill */
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_in6 names[UDP_BATCH]; /* large enough for either family */
	union udp_cmsg cmsgs[UDP_BATCH];
};

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) ? -errno : 0;
}

/* As much as the administrator's limit allows if we may not go beyond it. */
static void set_buffer(int fd, int force, int plain)
{
	if (set_int(fd, SOL_SOCKET, force, UDP_BUFFER_BYTES))
		(void)set_int(fd, SOL_SOCKET, plain, UDP_BUFFER_BYTES);
}

static int set_options(int fd, unsigned family)
{
	int err;

	if (family == 6) {
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (!err)
			err = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	} else {
		err = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
	if (!err)
		err = set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	return err;
}

static void udp_sock_destroy(void *obj)
{
	struct udp_sock *s = obj;
	unsigned i;

	for (i = 0; i < s->spare_count; i++)
		pkt_unref(s->spare[i]);
	if (s->fd >= 0)
		close(s->fd);
}

int udp_open(struct udp_sock **out, const struct addr *bind_to)
{
	struct sockaddr_storage name;
	socklen_t name_len = addr_to_sockaddr(bind_to, &name);
	struct udp_sock *s;
	int err;

	if (!name_len)
		return -EINVAL;
	s = mem_create(sizeof *s, udp_sock_destroy);
	if (!s)
		return -ENOMEM;
	s->fd = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		err = -errno;
		goto out;
	}
	err = set_options(s->fd, bind_to->family);
	if (err)
		goto out;
	if (bind(s->fd, (struct sockaddr *)&name, name_len)) {
		err = -errno;
		goto out;
	}
	name_len = sizeof name;
	if (getsockname(s->fd, (struct sockaddr *)&name, &name_len)) {
		err = -errno;
		goto out;
	}
	addr_from_sockaddr(&s->local, (struct sockaddr *)&name);
	*out = s;
	return 0;
out:
	mem_unref(s);
	return err;
}

void udp_close(struct udp_sock *s)
{
	mem_unref(s);
}

int udp_fd(const struct udp_sock *s)
{
	return s->fd;
}

const struct addr *udp_local(const struct udp_sock *s)
{
	return &s->local;
}

/* Packets for messages 0..want-1; how many there are. */
static unsigned fill_spares(struct udp_sock *s, struct pkt_pool *pool, unsigned want)
{
	struct pkt *p;

	while (s->spare_count < want && (p = pkt_take(pool))) {
		struct iovec *iov = &s->iov[s->spare_count];
		struct msghdr *h = &s->msgs[s->spare_count].msg_hdr;

		iov->iov_base = p->data;
		iov->iov_len = pkt_room(p);
		h->msg_iov = iov;
		h->msg_iovlen = 1;
		h->msg_name = &s->names[s->spare_count];
		h->msg_namelen = sizeof s->names[0];
		h->msg_control = &s->cmsgs[s->spare_count];
		h->msg_controllen = sizeof s->cmsgs[0];
		s->spare[s->spare_count++] = p;
	}
	return s->spare_count < want ? s->spare_count : want;
}

/* With no packet to put them in the datagrams go, or the socket stays readable and the
 * loop spins. */
static void drop_batch(struct udp_sock *s)
{
	struct mmsghdr msgs[UDP_BATCH];
	int n;

	memset(msgs, 0, sizeof msgs);
	n = recvmmsg(s->fd, msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
	if (n > 0)
		STAT_ADD(rx_pool_empty, n);
}

uint64_t udp_arrival_us(int64_t kernel_wall_us, uint64_t now_us, int64_t wall_offset_us)
{
	int64_t now = (int64_t)now_us;
	int64_t at = kernel_wall_us - wall_offset_us;
	int64_t earliest = now > ARRIVAL_AGE_MAX_US ? now - ARRIVAL_AGE_MAX_US : 1;

	if (at > now)
		return now_us;
	return (uint64_t)(at < earliest ? earliest : at);
}

static void read_cmsgs(struct msghdr *h, struct pkt *p, uint64_t now_us,
		       int64_t wall_offset_us)
{
	struct cmsghdr *c;

	p->arrival_us = now_us;
	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			/* spec_dst, not addr: of a broadcast it is the one we may send
			 * from */
			memcpy(p->flow.local.ip, &info.ipi_spec_dst, 4);
			p->flow.local.family = 4;
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			memcpy(p->flow.local.ip, &info.ipi6_addr, 16);
			p->flow.local.family = 6;
		} else if (c->cmsg_level == SOL_SOCKET &&
			   c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(c), sizeof ts);
			p->arrival_us = udp_arrival_us((int64_t)ts.tv_sec * 1000000 +
							       ts.tv_nsec / 1000,
						       now_us, wall_offset_us);
		}
	}
}

unsigned udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool, struct pkt **out,
			unsigned max, uint64_t now_us, int64_t wall_offset_us)
{
	unsigned i, left, done = 0, want = max < UDP_BATCH ? max : UDP_BATCH;
	int n;

	if (!want)
		return 0;
	want = fill_spares(s, pool, want);
	if (!want) {
		drop_batch(s);
		return 0;
	}
	n = recvmmsg(s->fd, s->msgs, want, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return 0;
	for (i = 0; i < (unsigned)n; i++) {
		struct msghdr *h = &s->msgs[i].msg_hdr;
		struct pkt *p = s->spare[i];

		if (h->msg_flags & MSG_TRUNC) {
			STAT_INC(rx_trunc);
			pkt_unref(p);
			continue;
		}
		p->len = (uint16_t)s->msgs[i].msg_len;
		addr_from_sockaddr(&p->flow.peer, h->msg_name);
		p->flow.local = s->local;
		read_cmsgs(h, p, now_us, wall_offset_us);
		STAT_INC(rx_pkts);
		STAT_ADD(rx_bytes, p->len);
		out[done++] = p;
	}
	/* The unfilled ones move to the front, with fresh headers. */
	left = s->spare_count - (unsigned)n;
	s->spare_count = 0;
	for (i = 0; i < left; i++) {
		struct pkt *p = s->spare[(unsigned)n + i];
		struct msghdr *h = &s->msgs[i].msg_hdr;

		s->spare[s->spare_count++] = p;
		s->iov[i].iov_base = p->data;
		h->msg_namelen = sizeof s->names[0];
		h->msg_controllen = sizeof s->cmsgs[0];
	}
	return done;
}
