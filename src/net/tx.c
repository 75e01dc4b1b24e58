/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A worker's outgoing batch. Invariant: buffers 0..used-1 belong to queued datagrams,
 * each in exactly one of the two lists; buffer `used` is the one given out by tx_reserve.
 * All memory is made once; hot: no allocation, no clock.
 */
#include <palabre/net.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

union tx_cmsg {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* The datagrams of one socket. */
struct tx_list {
	struct udp_sock *sock;
	unsigned count;
	struct mmsghdr msgs[TX_BATCH];
	struct iovec iov[TX_BATCH];
	struct sockaddr_storage names[TX_BATCH];
	union tx_cmsg cmsgs[TX_BATCH];
};

struct tx {
	unsigned used;
	tx_tcp_fn tcp_fn;
	void *tcp_arg;
	struct tx_list v4, v6;
	uint8_t bufs[TX_BATCH][TX_MTU];
};

static void list_init(struct tx_list *l, struct udp_sock *sock, unsigned family)
{
	unsigned i;

	l->sock = sock;
	for (i = 0; i < TX_BATCH; i++) {
		struct msghdr *h = &l->msgs[i].msg_hdr;
		struct cmsghdr *c = &l->cmsgs[i].align;

		h->msg_name = &l->names[i];
		h->msg_iov = &l->iov[i];
		h->msg_iovlen = 1;
		if (family == 4) {
			c->cmsg_level = IPPROTO_IP;
			c->cmsg_type = IP_PKTINFO;
			c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
		} else {
			c->cmsg_level = IPPROTO_IPV6;
			c->cmsg_type = IPV6_PKTINFO;
			c->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
		}
	}
}

struct tx *tx_create(struct udp_sock *v4, struct udp_sock *v6)
{
	struct tx *tx = mem_create(sizeof *tx, NULL);

	if (!tx)
		return NULL;
	list_init(&tx->v4, v4, 4);
	list_init(&tx->v6, v6, 6);
	return tx;
}

void tx_destroy(struct tx *tx)
{
	mem_unref(tx);
}

void tx_set_tcp(struct tx *tx, tx_tcp_fn fn, void *arg)
{
	tx->tcp_fn = fn;
	tx->tcp_arg = arg;
}

uint8_t *tx_reserve(struct tx *tx)
{
	if (tx->used == TX_BATCH)
		tx_flush(tx);
	return tx->bufs[tx->used];
}

/* The datagram must leave from the address that the peer knows, or its ICE drops it. */
static void set_source(struct tx_list *l, unsigned i, const struct addr *local)
{
	struct msghdr *h = &l->msgs[i].msg_hdr;
	struct cmsghdr *c = &l->cmsgs[i].align;

	if (local->family == 4) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, local->ip, 4);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		h->msg_controllen = CMSG_SPACE(sizeof info);
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, local->ip, 16);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		h->msg_controllen = CMSG_SPACE(sizeof info);
	}
	h->msg_control = c;
}

void tx_commit(struct tx *tx, const struct flow *flow, size_t len)
{
	struct tx_list *l;
	unsigned i;

	if (!len) /* the buffer is given back; then there may be no flow */
		return;
	l = flow->peer.family == 6 ? &tx->v6 : &tx->v4;
	i = l->count;
	if (len > TX_MTU ||
	    tx->used == TX_BATCH) { /* written past the buffer, or no tx_reserve */
		STAT_INC(tx_fail);
		return;
	}
	if (flow->tcp) {
		if (tx->tcp_fn)
			tx->tcp_fn(tx->tcp_arg, flow->tcp, tx->bufs[tx->used], len);
		else
			STAT_INC(tx_fail);
		return;
	}
	if (!flow->peer.family || !l->sock) {
		STAT_INC(tx_fail);
		return;
	}
	l->iov[i].iov_base = tx->bufs[tx->used];
	l->iov[i].iov_len = len;
	l->msgs[i].msg_hdr.msg_namelen = addr_to_sockaddr(&flow->peer, &l->names[i]);
	if (flow->local.family == flow->peer.family) {
		set_source(l, i, &flow->local);
	} else {
		l->msgs[i].msg_hdr.msg_control = NULL;
		l->msgs[i].msg_hdr.msg_controllen = 0;
	}
	l->count++;
	tx->used++;
}

static void flush_list(struct tx_list *l)
{
	unsigned i, done = 0;
	uint64_t bytes = 0;
	int n;

	while (done < l->count) {
		n = sendmmsg(udp_fd(l->sock), l->msgs + done, l->count - done,
			     MSG_DONTWAIT);
		if (n > 0) {
			for (i = done; i < done + (unsigned)n; i++)
				bytes += l->msgs[i].msg_len;
			STAT_ADD(tx_pkts, n);
			done += (unsigned)n;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			/* The queue is full for all; what waits here is stale when it
			 * empties. */
			STAT_ADD(tx_drop, l->count - done);
			break;
		} else if (errno != EINTR) {
			STAT_INC(tx_fail); /* this destination only */
			done++;
		}
	}
	STAT_ADD(tx_bytes, bytes);
	l->count = 0;
}

void tx_flush(struct tx *tx)
{
	if (tx->v4.count)
		flush_list(&tx->v4);
	if (tx->v6.count)
		flush_list(&tx->v6);
	tx->used = 0;
}
