/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The entrances, and the tables that find whose a packet is.
 *
 * Invariant: `flows` holds every used path of every connection, `ufrags` every credential
 * that is still good. A flow may be claimed by several connections (a NAT gave the port
 * again, or a guest forged the source of a check), so claims never replace each other:
 * the best one is chosen.
 */
#include "internal.h"

#include <palabre/wire.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TABLE_HINT = 256,
	IP4_UDP = 28,
	IP6_UDP = 48,
	TCP_FRAMING = 14 /* TCP − UDP + length */
};

size_t wire_bytes(const struct flow *flow, size_t len)
{
	return len + (flow->peer.family == 6 ? IP6_UDP : IP4_UDP) +
	       (flow->tcp ? TCP_FRAMING : 0);
}

struct transport *transport_create(const struct cert *cert, struct tx *tx,
				   struct wheel *wheel, struct pkt_pool *pool)
{
	struct transport *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->tx = tx;
	t->wheel = wheel;
	t->pool = pool;
	t->run_tail = &t->run_head;
	t->cert = mem_ref((void *)(uintptr_t)cert); /* counted, never changed */
	t->flows = hash_create(TABLE_HINT);
	t->ufrags = hash_create(TABLE_HINT);
	if (!t->flows || !t->ufrags || srtp_open_init() || dtls_init(t)) {
		transport_destroy(t);
		return NULL;
	}
	ice_init(t);
	return t;
}

void transport_destroy(struct transport *t)
{
	if (!t)
		return;
	hash_destroy(t->flows);
	hash_destroy(t->ufrags);
	SSL_CTX_free(t->ssl_ctx);
	mem_unref(t->cert);
	free(t);
}

struct cred *cred_find(const struct transport *t, const char *ufrag, size_t len)
{
	struct hash_node *n = hash_find(t->ufrags, hash_bytes(ufrag, len));

	for (; n; n = hash_next(n)) {
		struct cred *k = CONTAINER_OF(n, struct cred, node);

		if (k->local_ufrag_len == len && memcmp(k->local_ufrag, ufrag, len) == 0)
			return k;
	}
	return NULL;
}

unsigned flow_claims(const struct transport *t, const struct flow *flow)
{
	struct hash_node *n = hash_find(t->flows, hash_bytes(flow, sizeof *flow));
	unsigned count = 0;

	for (; n; n = hash_next(n))
		count += flow_equal(&CONTAINER_OF(n, struct path, node)->flow, flow);
	return count;
}

bool transport_knows(const struct transport *t, const struct flow *flow)
{
	return flow_claims(t, flow) > 0;
}

/* How good a claim is; 0 none. Among equal ones the older wins: a forger comes later. */
static unsigned claim(const struct path *p, enum flow_use use)
{
	const struct conn *c = p->conn;
	bool shaking = (c->state == CONN_NEW || c->state == CONN_CHECKED) && c->ssl;

	if (c->state == CONN_FAILED)
		return 0;
	if (use == FLOW_FOR_DTLS) {
		if (shaking)
			return 3;
		return !c->ssl ? 0 : p == c->cur ? 2 : 1;
	}
	if (!c->keyed)
		return 0;
	return p == c->cur ? 3 : p->proven_us ? 2 : 1;
}

struct path *flow_find(const struct transport *t, const struct flow *flow,
		       enum flow_use use)
{
	struct hash_node *n = hash_find(t->flows, hash_bytes(flow, sizeof *flow));
	struct path *best = NULL;
	unsigned best_claim = 0;

	for (; n; n = hash_next(n)) {
		struct path *p = CONTAINER_OF(n, struct path, node);
		unsigned v;

		if (!flow_equal(&p->flow, flow))
			continue;
		v = claim(p, use);
		/* Two that have proved it: the port has a new owner, so the later one.
		 * Else the earlier. */
		if (v > best_claim || (v && v == best_claim &&
				       (use == FLOW_FOR_SRTP && p->proven_us
						? p->proven_us > best->proven_us
						: p->created_us < best->created_us))) {
			best = p;
			best_claim = v;
		}
	}
	return best;
}

/* ---- who waits for a handshake step ------------------------------------------------ */

void run_add(struct conn *c)
{
	struct transport *t = c->t;

	if (c->in_run || c->closed)
		return;
	c->in_run = true;
	c->run_next = NULL;
	c->run_prev = t->run_tail;
	*t->run_tail = c;
	t->run_tail = &c->run_next;
}

void run_remove(struct conn *c)
{
	if (!c->in_run)
		return;
	c->in_run = false;
	*c->run_prev = c->run_next;
	if (c->run_next)
		c->run_next->run_prev = c->run_prev;
	else
		c->t->run_tail = c->run_prev;
}

bool transport_run(struct transport *t, uint64_t now_us)
{
	uint64_t end_us;
	struct conn *c;

	if (!t->run_head)
		return false;
	end_us = clock_now_us() + DTLS_TURN_US;
	do {
		c = t->run_head;
		run_remove(c);
		dtls_run(c, now_us);
	} while (t->run_head && clock_now_us() < end_us);
	return t->run_head != NULL;
}

/* ---- entrances --------------------------------------------------------------------- */

void transport_on_stun(struct transport *t, struct pkt *p, uint64_t now_us)
{
	ice_on_packet(t, p, now_us);
	pkt_unref(p);
}

void transport_on_dtls(struct transport *t, struct pkt *p, uint64_t now_us)
{
	struct path *path = flow_find(t, &p->flow, FLOW_FOR_DTLS);
	struct conn *c;

	STAT_INC(dtls_rx);
	if (!path || path->deaf_until_us > now_us) {
		STAT_INC(dtls_bad);
		goto drop;
	}
	c = path->conn;
	path_received(path, p->len, now_us);
	c->rx_bytes += wire_bytes(&p->flow, p->len);
	if (c->dtls_queued >= DTLS_QUEUE_CONN_MAX || t->dtls_queued >= DTLS_QUEUE_MAX) {
		STAT_INC(dtls_queue_full);
		goto drop;
	}
	p->next = NULL;
	*c->dtls_tail = p;
	c->dtls_tail = &p->next;
	c->dtls_queued++;
	t->dtls_queued++;
	run_add(c);
	return;
drop:
	pkt_unref(p);
}

void *transport_open(struct transport *t, struct pkt *p, bool rtcp, uint64_t now_us)
{
	struct path *path = flow_find(t, &p->flow, FLOW_FOR_SRTP);
	struct conn *c;
	uint16_t len = p->len;

	if (!path) {
		STAT_INC(srtp_no_key);
		return NULL;
	}
	c = path->conn;
	if (!srtp_open(c, p, rtcp))
		return NULL;
	c->rx_bytes += wire_bytes(&p->flow, len);
	path->heard_us = now_us;
	if (!c->first_srtp_us) {
		c->first_srtp_us = now_us;
		conn_wake(c, now_us + DTLS_LINGER_US);
	}
	if (path != c->cur) {
		path->srtp_us = now_us;
		path_received(path, len, now_us);
		if (path->deaf_until_us <= now_us)
			conn_wake(c, now_us);
	} else if (c->state == CONN_SUSPENDED) {
		path_received(path, len, now_us);
		c->resume = true;
		conn_wake(c, now_us);
	}
	return c->arg;
}

struct closing {
	uint32_t tcp;
	unsigned count;
	struct path *found[16];
};

static void on_flow(struct hash_node *n, void *arg)
{
	struct path *p = CONTAINER_OF(n, struct path, node);
	struct closing *q = arg;

	if (p->flow.tcp == q->tcp && q->count < ARRAY_LEN(q->found))
		q->found[q->count++] = p;
}

void transport_tcp_closed(struct transport *t, uint32_t tcp, uint64_t now_us)
{
	struct closing q;
	unsigned i;

	do { /* rare: a walk over all is cheaper than a third table */
		q.tcp = tcp;
		q.count = 0;
		hash_each(t->flows, on_flow, &q);
		for (i = 0; i < q.count; i++) {
			struct conn *c = q.found[i]->conn;

			path_free(q.found[i]);
			conn_wake(c, now_us); /* no path in use: it is suspended from its
						 timer */
		}
	} while (q.count == ARRAY_LEN(q.found));
}
