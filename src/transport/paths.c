/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The addresses of one connection.
 *
 * Invariant: media leaves only to c->cur, and c->cur changes after the handshake only to
 * a path from which the peer has answered our own check (or finished the handshake) less
 * than PATH_FORGET_US ago. To any other path at most AMPLIFY_MAX times what came from it
 * is sent, and at most CHECK_TRIES checks; if none is answered, it is deaf: nothing at
 * all is sent for PATH_FORGET_US.
 *
 * Which path the peer wants: the one whose row of checks with USE-CANDIDATE began last. A
 * check without it ends the row, so a peer that nominates every pair at once (RFC 5245's
 * aggressive nomination) moves us once and not at every check. If the path in use has
 * fallen silent, any wish will do: an older nomination, or authenticated SRTP from
 * elsewhere.
 */
#include "internal.h"

#include <string.h>

static const uint64_t try_gap_us[CHECK_TRIES] = { 200000, 500000, CHECK_WAIT_US };

struct path *path_find(struct conn *c, const struct flow *flow)
{
	unsigned i;

	for (i = 0; i < PATHS_MAX; i++)
		if (c->paths[i].used && flow_equal(&c->paths[i].flow, flow))
			return &c->paths[i];
	return NULL;
}

void path_free(struct path *p)
{
	struct conn *c = p->conn;

	if (!p->used)
		return;
	hash_remove(c->t->flows, &p->node);
	if (c->cur == p)
		c->cur = NULL;
	if (c->dtls_path == p)
		c->dtls_path = NULL;
	memset(p, 0, sizeof *p);
	p->conn = c; /* somebody may be in the middle of sending to it: nothing is allowed
			now */
}

bool path_proven(const struct path *p, uint64_t now_us)
{
	/* The one in use is watched by consent instead. */
	if (p == p->conn->cur && p->conn->state == CONN_UP)
		return true;
	return p->proven_us && now_us - p->proven_us < PATH_FORGET_US;
}

static bool evictable(const struct path *p, uint64_t now_us)
{
	if (p == p->conn->cur || p == p->conn->dtls_path)
		return false;
	if (path_proven(p, now_us) || p->deaf_until_us > now_us)
		return false;
	/* One that we have checked keeps its count of tries as long as it would be deaf,
	 * or it could be used up again and again under the guise of a new one. */
	return !p->probed || now_us - p->heard_us >= PATH_FORGET_US;
}

struct path *path_take(struct conn *c, const struct flow *flow, uint64_t now_us)
{
	struct path *p = path_find(c, flow), *q;
	unsigned i;

	if (p)
		return p;
	if (flow_claims(c->t, flow) >= FLOW_CONNS_MAX) {
		STAT_INC(path_limit);
		return NULL;
	}
	for (i = 0; i < PATHS_MAX; i++) {
		q = &c->paths[i];
		if (!q->used) {
			p = q;
			break;
		}
		if (evictable(q, now_us) && (!p || q->heard_us < p->heard_us))
			p = q;
	}
	if (!p) {
		STAT_INC(path_limit);
		return NULL;
	}
	p->conn = c;
	path_free(p);
	memset(p, 0, sizeof *p);
	p->used = true;
	p->conn = c;
	p->flow = *flow;
	p->created_us = p->heard_us = now_us;
	hash_insert(c->t->flows, &p->node, hash_bytes(flow, sizeof *flow));
	return p;
}

void path_received(struct path *p, size_t len, uint64_t now_us)
{
	if (!path_proven(p, now_us))
		p->rx_bytes += wire_bytes(&p->flow, len);
}

bool path_may_send(struct path *p, size_t len, uint64_t now_us)
{
	size_t bytes = wire_bytes(&p->flow, len);

	if (path_proven(p, now_us))
		return true;
	if (p->tx_bytes + bytes > AMPLIFY_MAX * p->rx_bytes)
		return false;
	p->tx_bytes += bytes;
	return true;
}

/* ---- our own checks ---------------------------------------------------------------- */

void path_probe(struct path *p, uint64_t now_us)
{
	if (p->tries || p->deaf_until_us > now_us)
		return; /* a round is under way, or was in vain */
	if (!p->check_due_us || p->check_due_us > now_us)
		p->check_due_us = now_us;
	conn_wake(p->conn, p->check_due_us);
}

static uint64_t next_periodic(uint64_t now_us)
{
	/* Jitter of ±1/8, so that 500 people don't meet. */
	return wheel_coarse_us(now_us + CONN_OWN_CHECK_US * 7 / 8 +
			       random_u32() % (CONN_OWN_CHECK_US / 4));
}

static void path_run(struct path *p, uint64_t now_us)
{
	struct conn *c = p->conn;
	struct check *check;
	uint64_t gap_us;

	if (p->tries < CHECK_TRIES) {
		p->probed = true;
		gap_us = try_gap_us[p->tries];
		if (p == c->cur && gap_us < c->rtt_us * 3 / 2)
			gap_us = c->rtt_us * 3 / 2;
		p->check_due_us = now_us + gap_us;
		check = &p->checks[p->tries++];
		ice_send_check(p, check, now_us);
		return;
	}
	p->tries = 0;
	p->check_due_us = 0;
	if (p == c->cur) { /* consent decides about this one; see conn.c */
		if (c->state == CONN_UP)
			p->check_due_us = next_periodic(now_us);
	} else {
		p->deaf_until_us = now_us + PATH_FORGET_US;
	}
}

void paths_run(struct conn *c, uint64_t now_us)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct path *p = &c->paths[i];

		if (p->used && p->check_due_us && p->check_due_us <= now_us)
			path_run(p, now_us);
	}
}

uint64_t paths_next_us(const struct conn *c)
{
	uint64_t next_us = UINT64_MAX;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &c->paths[i];

		if (p->used && p->check_due_us && p->check_due_us < next_us)
			next_us = p->check_due_us;
	}
	return next_us;
}

static void note_rtt(struct conn *c, uint64_t rtt_us)
{
	if (!rtt_us)
		rtt_us = 1; /* 0 means unknown */
	c->rtt_us = c->rtt_us ? (3 * c->rtt_us + rtt_us) / 4 : rtt_us;
}

void path_answered(struct path *p, struct check *check, uint64_t now_us)
{
	struct conn *c = p->conn;
	uint64_t took_us = now_us - check->sent_us;
	unsigned i;

	if (took_us > CHECK_ANSWER_US)
		return;
	for (i = 0; i < CHECK_TRIES; i++) /* one answer is enough, and counts once */
		p->checks[i].sent_us = 0;
	p->tries = 0;
	p->deaf_until_us = 0;
	p->rx_bytes = p->tx_bytes = 0;
	p->proven_us = p->heard_us = now_us;
	p->check_due_us = 0;
	c->answers_checks = true;
	if (p == c->cur) {
		note_rtt(c, took_us);
		p->check_due_us = next_periodic(now_us);
		conn_calm(c, now_us);
		if (c->state == CONN_SUSPENDED)
			conn_set_state(c, CONN_UP, now_us);
		return;
	}
	if (!c->cur)
		c->rtt_us = 0;
	mem_ref(c);
	path_consider(p, now_us);
	if (c->cur == p)
		note_rtt(c, took_us);
	mem_unref(c);
}

/* ---- which one is in use ----------------------------------------------------------- */

static bool wished(const struct path *p, uint64_t now_us)
{
	return (p->nominated_since_us && now_us - p->nominated_us < PATH_WISH_US) ||
	       (p->srtp_us && now_us - p->srtp_us < PATH_WISH_US);
}

static bool better(const struct path *p, uint64_t now_us)
{
	const struct conn *c = p->conn;

	if (!c->cur || c->state == CONN_SUSPENDED)
		return true;
	if (p->nominated_since_us > c->cur->nominated_since_us)
		return true;
	/* The wish must be younger than the last sign from there, or the path just left
	 * would win it back with its last packets. */
	return now_us - c->cur->heard_us >= PATH_QUIET_US &&
	       (p->nominated_us > c->cur->heard_us || p->srtp_us > c->cur->heard_us);
}

static void move(struct path *p, uint64_t now_us)
{
	struct conn *c = p->conn;

	/* What began by SRTP counts like a nomination from now on. */
	if (!p->nominated_since_us ||
	    (c->cur && p->nominated_since_us <= c->cur->nominated_since_us))
		p->nominated_since_us = p->nominated_us = now_us;
	c->cur = p;
	c->answer.due_us = 0;
	c->moved_us = now_us;
	c->resume = false;
	c->rtt_us = 0;
	p->heard_us = now_us;
	p->tries = 0;
	p->check_due_us = next_periodic(now_us);
	conn_wake(c, p->check_due_us);
	STAT_INC(path_moved);
	mem_ref(c);
	if (c->state == CONN_SUSPENDED)
		conn_set_state(c, CONN_UP, now_us);
	if (!c->closed)
		conn_notify_moved(c, now_us);
	mem_unref(c);
}

void path_consider(struct path *p, uint64_t now_us)
{
	struct conn *c = p->conn;

	if (p == c->cur || (c->state != CONN_UP && c->state != CONN_SUSPENDED) ||
	    !wished(p, now_us))
		return;
	if (!better(p, now_us)) {
		/* SRTP from elsewhere announces a move: have the proof ready by the time
		 * the path in use has been silent long enough. */
		if (p->srtp_us > c->moved_us &&
		    now_us - p->srtp_us < PATH_QUIET_US / 10 && !path_proven(p, now_us))
			path_probe(p, now_us);
		return;
	}
	if (path_proven(p, now_us))
		move(p, now_us);
	else
		path_probe(p, now_us);
}

void paths_restart(struct conn *c)
{
	unsigned i;

	/* No new tries for a deaf one: a guest could restart all day long, and aim those at
	 * a victim. Browsers come from new ports, anyway. */
	for (i = 0; i < PATHS_MAX; i++)
		if (&c->paths[i] != c->cur)
			c->paths[i].nominated_since_us = 0;
}
