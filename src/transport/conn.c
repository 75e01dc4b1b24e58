/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Life of a connection:
 *
 *   NEW ─ valid check → CHECKED ─ handshake → UP ⇄ SUSPENDED
 *    └── CONN_CONNECT_US ──┴→ FAILED ←──────────────┘ CONN_GONE_US
 *
 * Invariant: one timer per connection, armed for the earliest of its deadlines or
 * earlier; the hot path only writes down when the peer was heard, and the timer finds out
 * what that means. Every function that calls the owner holds a reference and looks at
 * c->closed afterwards.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

static void on_timer(struct timer *timer, uint64_t now_us);

/* ---- credentials ------------------------------------------------------------------- */

static void on_cred_destroy(void *obj)
{
	struct cred *k = obj;

	OPENSSL_cleanse(k->local_pwd, k->local_pwd_len);
	OPENSSL_cleanse(k->remote_pwd, k->remote_pwd_len);
}

static struct cred *cred_create(struct conn *c, const char *local_ufrag,
				const char *local_pwd, const char *remote_ufrag,
				const char *remote_pwd)
{
	size_t a = strlen(local_ufrag), b = strlen(local_pwd);
	size_t d = strlen(remote_ufrag), e = strlen(remote_pwd);
	struct cred *k;
	char *text;

	if (!a || a > UFRAG_MAX || !d || d > UFRAG_MAX || b < PWD_MIN || b > PWD_MAX ||
	    e < PWD_MIN || e > PWD_MAX || cred_find(c->t, local_ufrag, a))
		return NULL;
	k = mem_create(sizeof *k + a + b + d + e, on_cred_destroy);
	if (!k)
		return NULL;
	text = (char *)(k + 1);
	k->conn = c;
	k->local_ufrag = memcpy(text, local_ufrag, a);
	k->local_pwd = memcpy(text + a, local_pwd, b);
	k->remote_ufrag = memcpy(text + a + b, remote_ufrag, d);
	k->remote_pwd = memcpy(text + a + b + d, remote_pwd, e);
	k->local_ufrag_len = (uint16_t)a;
	k->local_pwd_len = (uint16_t)b;
	k->remote_ufrag_len = (uint16_t)d;
	k->remote_pwd_len = (uint16_t)e;
	hash_insert(c->t->ufrags, &k->node, hash_bytes(local_ufrag, a));
	return k;
}

static struct cred *cred_drop(struct cred *k)
{
	if (k)
		hash_remove(k->conn->t->ufrags, &k->node);
	return mem_unref(k);
}

/* ---- birth and death --------------------------------------------------------------- */

/* Out of every table; no callback comes any more. */
static void detach(struct conn *c)
{
	unsigned i;

	if (c->closed)
		return;
	c->closed = true;
	wheel_disarm(c->t->wheel, &c->timer);
	wheel_disarm(c->t->wheel, &c->dtls_timer);
	dtls_drop_queue(c);
	run_remove(c);
	for (i = 0; i < PATHS_MAX; i++)
		path_free(&c->paths[i]);
	c->cred = cred_drop(c->cred);
	c->old_cred = cred_drop(c->old_cred);
	dtls_close(c);
	srtp_close(c);
	c->state = CONN_FAILED;
}

static void on_conn_destroy(void *obj)
{
	struct conn *c = obj;

	if (c->t)
		detach(c);
}

struct conn *conn_create(struct transport *t, const struct conn_params *p,
			 uint64_t now_us)
{
	struct conn *c = mem_create(sizeof *c, on_conn_destroy);

	if (!c)
		return NULL;
	c->t = t;
	c->ops = p->ops;
	c->arg = p->arg;
	c->timer.fn = on_timer;
	c->dtls_timer.fn = dtls_on_timer;
	c->dtls_tail = &c->dtls_head;
	c->created_us = now_us;
	c->dtls_client = p->dtls_client;
	c->prefer_sha1 = p->prefer_sha1;
	memcpy(c->remote_fingerprint, p->remote_fingerprint, FINGERPRINT_BYTES);
	c->cred = cred_create(c, p->local_ufrag, p->local_pwd, p->remote_ufrag,
			      p->remote_pwd);
	if (!c->cred || dtls_open(c))
		return mem_unref(c);
	conn_wake(c, now_us + CONN_CONNECT_US);
	return c;
}

void conn_close(struct conn *c, uint64_t now_us)
{
	if (c->closed)
		return;
	dtls_send_close(c, now_us);
	detach(c);
}

void conn_restart(struct conn *c, const char *local_ufrag, const char *local_pwd,
		  const char *remote_ufrag, const char *remote_pwd, uint64_t now_us)
{
	struct cred *k;

	(void)now_us;
	if (c->closed)
		return;
	k = cred_create(c, local_ufrag, local_pwd, remote_ufrag, remote_pwd);
	if (!k) {
		log_warn("transport.restart", "error=credentials");
		return;
	}
	/* A second restart before the first was used: the peer can't know those in
	 * between. */
	if (c->old_cred)
		cred_drop(c->cred);
	else
		c->old_cred = c->cred;
	c->cred = k;
	paths_restart(c);
}

/* ---- states ------------------------------------------------------------------------ */

void conn_set_state(struct conn *c, enum conn_state state, uint64_t now_us)
{
	if (c->closed || c->state == state || c->state == CONN_FAILED)
		return;
	c->state = state;
	c->resume = false;
	if (state == CONN_SUSPENDED) {
		c->suspended_us = now_us;
		conn_wake(c, now_us + CONN_GONE_US);
	} else if (state == CONN_UP) {
		/* Both clocks of consent start again. */
		if (c->cur) {
			c->cur->heard_us = now_us;
			if (!c->cur->check_due_us)
				path_probe(c->cur, now_us);
		}
		c->moved_us = now_us;
		conn_wake(c, now_us + CONN_CONSENT_US);
	} else if (state == CONN_FAILED) {
		wheel_disarm(c->t->wheel, &c->timer);
		wheel_disarm(c->t->wheel, &c->dtls_timer);
		dtls_drop_queue(c);
		dtls_close(c);
	}
	if (c->ops && c->ops->on_state) {
		mem_ref(c);
		c->ops->on_state(c->arg, state, now_us);
		mem_unref(c);
	}
}

void conn_notify_moved(struct conn *c, uint64_t now_us)
{
	if (c->ops && c->ops->on_moved)
		c->ops->on_moved(c->arg, now_us);
}

void conn_wake(struct conn *c, uint64_t at_us)
{
	if (!c->closed && c->state != CONN_FAILED &&
	    (!c->timer.due_us || at_us < c->timer.due_us))
		wheel_arm(c->t->wheel, &c->timer, at_us);
}

/* An authenticated sign of life from `p` while suspended. */
static void revive(struct conn *c, struct path *p, uint64_t now_us)
{
	if (p != c->cur)
		return;
	if (c->answers_checks)
		path_probe(p, now_us); /* its answer brings the connection up */
	else
		conn_set_state(c, CONN_UP, now_us);
}

void conn_on_check(struct conn *c, struct path *p, struct cred *cred, bool nominated,
		   uint64_t now_us)
{
	if (!p->used) /* its TCP connection has closed while we answered */
		return;
	mem_ref(c);
	p->heard_us = now_us;
	if (cred == c->cred && c->old_cred)
		c->old_cred = cred_drop(c->old_cred);
	if (!nominated) {
		p->nominated_since_us = 0;
	} else {
		if (!p->nominated_since_us || now_us - p->nominated_us > PATH_WISH_US)
			p->nominated_since_us = now_us;
		p->nominated_us = now_us;
	}
	switch (c->state) {
	case CONN_NEW:
		c->cur = p;
		if (c->dtls_client) {
			c->client_start = true;
			run_add(c);
		}
		conn_set_state(c, CONN_CHECKED, now_us);
		break;
	case CONN_CHECKED:
		/* A DTLS client talks to the pair that the peer wants. */
		if (!c->cur || (nominated && !c->dtls_path))
			c->cur = p;
		break;
	case CONN_SUSPENDED:
		revive(c, p, now_us);
		path_consider(p, now_us);
		break;
	case CONN_UP:
		path_consider(p, now_us);
		break;
	case CONN_FAILED:
		break;
	}
	mem_unref(c);
}

void conn_on_handshake(struct conn *c, uint64_t now_us)
{
	c->cur = c->dtls_path;
	c->keyed_us = now_us;
	c->cur->proven_us = c->cur->heard_us = now_us;
	c->cur->rx_bytes = c->cur->tx_bytes = 0;
	path_probe(c->cur, now_us); /* the round trip, and whether it answers at all */
	conn_wake(c, now_us + DTLS_LINGER_US);
	STAT_INC(dtls_done);
	conn_set_state(c, CONN_UP, now_us);
}

/* When the path in use stops being consented to (RFC 7675). */
static uint64_t consent_end_us(const struct conn *c)
{
	uint64_t heard_us, answered_us, end_us;

	if (!c->cur)
		return 0;
	heard_us = c->cur->heard_us;
	end_us = heard_us + CONN_CONSENT_US;
	if (!c->answers_checks) /* some peers never answer a lite agent's checks */
		return end_us;
	answered_us = c->cur->proven_us > c->moved_us ? c->cur->proven_us : c->moved_us;
	return answered_us + CONN_UNANSWERED_US < end_us
		       ? answered_us + CONN_UNANSWERED_US
		       : end_us;
}

/* When OpenSSL's 45 kB can go. Until the peer has sent SRTP our last flight may have been
 * lost; but who only listens to silence never sends any. */
static uint64_t linger_end_us(const struct conn *c)
{
	uint64_t from_us =
		c->first_srtp_us > c->keyed_us ? c->first_srtp_us : c->keyed_us;

	if (!c->ssl || !c->keyed)
		return UINT64_MAX;
	return from_us + (c->first_srtp_us ? DTLS_LINGER_US : DTLS_LINGER_SILENT_US);
}

static uint64_t deadline_us(const struct conn *c)
{
	switch (c->state) {
	case CONN_NEW:
	case CONN_CHECKED:
		return c->created_us + CONN_CONNECT_US;
	case CONN_UP:
		return wheel_coarse_us(consent_end_us(c));
	case CONN_SUSPENDED:
		return c->suspended_us + CONN_GONE_US;
	default:
		return UINT64_MAX;
	}
}

static uint64_t next_due_us(const struct conn *c)
{
	uint64_t due_us[] = { paths_next_us(c), deadline_us(c), linger_end_us(c),
			      c->answer.due_us ? c->answer.due_us : UINT64_MAX };
	uint64_t next_us = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_LEN(due_us); i++)
		if (due_us[i] < next_us)
			next_us = due_us[i];
	return next_us;
}

void conn_calm(struct conn *c, uint64_t now_us)
{
	uint64_t next_us = next_due_us(c);

	/* What is due now stays due: the hot path may have noted something. */
	if (!c->closed && c->timer.due_us > now_us && next_us != UINT64_MAX)
		wheel_arm(c->t->wheel, &c->timer, next_us);
}

/* What the hot path has noted since: SRTP from another path, or while suspended. */
static void take_notes(struct conn *c, uint64_t now_us)
{
	unsigned i;

	if (c->resume) {
		c->resume = false;
		if (c->state == CONN_SUSPENDED && c->cur)
			revive(c, c->cur, now_us);
	}
	for (i = 0; i < PATHS_MAX && !c->closed; i++) {
		struct path *p = &c->paths[i];

		if (p->used && p->srtp_us && p != c->cur)
			path_consider(p, now_us);
	}
}

static void on_timer(struct timer *timer, uint64_t now_us)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);
	uint64_t next_us;

	mem_ref(c);
	take_notes(c, now_us);
	if (!c->closed && deadline_us(c) <= now_us)
		conn_set_state(c, c->state == CONN_UP ? CONN_SUSPENDED : CONN_FAILED,
			       now_us);
	if (c->closed || c->state == CONN_FAILED)
		goto out;
	if (linger_end_us(c) <= now_us)
		dtls_close(c);
	paths_run(c, now_us);
	ice_answer_again(c, now_us);
	next_us = next_due_us(c);
	if (next_us != UINT64_MAX)
		conn_wake(c, next_us);
out:
	mem_unref(c);
}

/* ---- sending and asking ------------------------------------------------------------ */

/* What the commit calls may close a TCP connection, and with it the path in use. */
static int send_sealed(struct conn *c, int sealed)
{
	const struct flow *flow = conn_flow(c);

	if (sealed > 0)
		c->tx_bytes += wire_bytes(flow, (size_t)sealed);
	tx_commit(c->t->tx, flow, sealed > 0 ? (size_t)sealed : 0);
	return sealed < 0 ? sealed : 0;
}

int conn_send_rtp(struct conn *c, struct seal_stream *s, uint8_t *buf, size_t len,
		  size_t header_len, uint64_t index64)
{
	int n = -EPROTO;

	if (c->state == CONN_UP && c->cur)
		n = seal_rtp(&c->seal, s, buf, len, TX_MTU, header_len, index64);
	return send_sealed(c, n);
}

int conn_send_rtcp(struct conn *c, uint8_t *buf, size_t len)
{
	int n = -EPROTO;

	if (c->state == CONN_UP && c->cur)
		n = seal_rtcp(&c->seal, buf, len, TX_MTU);
	return send_sealed(c, n);
}

void conn_lossy(struct conn *c, bool lossy)
{
	c->lossy = lossy;
}

enum conn_state conn_get_state(const struct conn *c)
{
	return c->state;
}

uint64_t conn_rtt_us(const struct conn *c)
{
	return c->rtt_us;
}

const struct flow *conn_flow(const struct conn *c)
{
	static const struct flow none;

	return c->cur ? &c->cur->flow : &none;
}

bool conn_is_tcp(const struct conn *c)
{
	return c->cur && c->cur->flow.tcp;
}

void conn_bytes(const struct conn *c, uint64_t *rx, uint64_t *tx)
{
	*rx = c->rx_bytes;
	*tx = c->tx_bytes;
}
