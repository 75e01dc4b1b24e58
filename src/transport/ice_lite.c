/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * ICE-lite (RFC 8445 §2.5): answers checks, and sends the few of our own that prove an
 * address. libnice's STUN library reads, verifies and writes; this file decides.
 *
 * Invariant: nothing is answered or believed before MESSAGE-INTEGRITY has been verified:
 * requests with our password, whose USERNAME names exactly this pair of credentials;
 * answers with the peer's password, by a transaction id that this very path sent.
 *
 * What fails verification is dropped without a word (RFC 8489 §9.1.3 would have 400 or
 * 401): a browser treats both the same, and a stranger learns nothing and costs nothing.
 */
#include "internal.h"

#include <palabre/wire.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <stun/usages/ice.h>

enum {
	HEADER_BYTES = 20,
	INTEGRITY_BYTES = 20,
	MESSAGE_MAX = 1280,
	ID_OFFSET = 8, /* of the transaction id without the cookie */
	/* RFC 8445 §5.1.2.1: peer-reflexive, highest local preference, component 1. */
	CHECK_PRIORITY = 110 << 24 | 65535 << 8 | 255
};

void ice_init(struct transport *t)
{
	static const uint16_t known[] = { STUN_ATTRIBUTE_MAPPED_ADDRESS,
					  STUN_ATTRIBUTE_USERNAME,
					  STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
					  STUN_ATTRIBUTE_ERROR_CODE,
					  STUN_ATTRIBUTE_UNKNOWN_ATTRIBUTES,
					  STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
					  STUN_ATTRIBUTE_PRIORITY,
					  STUN_ATTRIBUTE_USE_CANDIDATE,
					  0 };

	stun_agent_init(&t->strict, known, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS |
				STUN_AGENT_USAGE_USE_FINGERPRINT);
	stun_agent_init(&t->lax, known, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS);
	random_bytes(&t->tie, sizeof t->tie);
}

/* libnice takes the 20 bytes of MESSAGE-INTEGRITY on trust: a shorter one in last place
 * would be read past the end. Also tells whether there is a FINGERPRINT. */
static bool attributes_sane(const struct pkt *p, bool *fingerprint)
{
	struct rd r;
	bool integrity = false;

	*fingerprint = false;
	rd_init(&r, p->data, p->len);
	rd_bytes(&r, HEADER_BYTES);
	while (rd_left(&r)) {
		uint16_t type = rd_be16(&r);
		uint16_t size = rd_be16(&r);

		if (*fingerprint || !rd_bytes(&r, (size + 3u) & ~3u))
			return false; /* nothing comes after FINGERPRINT */
		if (type == STUN_ATTRIBUTE_MESSAGE_INTEGRITY) {
			if (size != INTEGRITY_BYTES || integrity)
				return false;
			integrity = true;
		} else if (type == STUN_ATTRIBUTE_FINGERPRINT) {
			if (size != 4)
				return false;
			*fingerprint = true;
		}
	}
	return integrity;
}

/* USERNAME must be "local:remote" of one generation (RFC 8445 §7.3). */
static bool on_password(StunAgent *agent, StunMessage *msg, uint8_t *name, uint16_t len,
			uint8_t **password, size_t *password_len, void *arg)
{
	struct cred *k = arg;

	(void)agent;
	(void)msg;
	if (!name || len != k->local_ufrag_len + 1 + k->remote_ufrag_len ||
	    memcmp(name, k->local_ufrag, k->local_ufrag_len) != 0 ||
	    name[k->local_ufrag_len] != ':' ||
	    memcmp(name + k->local_ufrag_len + 1, k->remote_ufrag, k->remote_ufrag_len) !=
		    0)
		return false;
	*password = (uint8_t *)k->local_pwd;
	*password_len = k->local_pwd_len;
	return true;
}

static void send_built(struct path *p, size_t len, uint64_t now_us)
{
	struct conn *c = p->conn;

	if (len && !path_may_send(p, len, now_us)) {
		STAT_INC(amplify_limit);
		len = 0;
	}
	tx_commit(c->t->tx, &p->flow, len);
	if (!len)
		return;
	c->tx_bytes += wire_bytes(&p->flow, len);
	STAT_INC(stun_reply);
}

static void keep_answer(struct path *p, const uint8_t *buf, size_t len, uint64_t now_us)
{
	struct conn *c = p->conn;

	if (!c->lossy || p != c->cur || p->flow.tcp || c->state != CONN_UP ||
	    len > ANSWER_MAX)
		return;
	memcpy(c->answer.data, buf, len);
	c->answer.len = (uint16_t)len;
	c->answer.left = ANSWER_AGAIN;
	c->answer.due_us = now_us + ANSWER_GAP_US;
	conn_wake(c, c->answer.due_us);
}

void ice_answer_again(struct conn *c, uint64_t now_us)
{
	if (!c->answer.due_us || c->answer.due_us > now_us)
		return;
	c->answer.due_us = 0;
	if (c->state != CONN_UP || !c->cur)
		return;
	memcpy(tx_reserve(c->t->tx), c->answer.data, c->answer.len);
	send_built(c->cur, c->answer.len, now_us);
	if (--c->answer.left)
		c->answer.due_us = now_us + ANSWER_GAP_US;
}

static void send_error(struct path *p, StunMessage *rq, StunError code, uint64_t now_us)
{
	StunAgent *agent = &p->conn->t->strict;
	uint8_t *buf = tx_reserve(p->conn->t->tx);
	StunMessage msg;
	size_t len = 0;

	if (code == STUN_ERROR_UNKNOWN_ATTRIBUTE)
		len = stun_agent_build_unknown_attributes_error(agent, &msg, buf, TX_MTU,
								rq);
	else if (stun_agent_init_error(agent, &msg, buf, TX_MTU, rq, code))
		len = stun_agent_finish_message(agent, &msg, rq->key, rq->key_len);
	send_built(p, len, now_us);
}

/* True if the check counts: it has been answered with success, or only the amplification
 * limit held the answer back. */
static bool answer(struct path *p, StunMessage *rq, uint64_t now_us)
{
	struct transport *t = p->conn->t;
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(&p->flow.peer, &ss);
	StunMessage msg;
	uint8_t *buf;
	size_t len = 0;

	/* A lite agent is controlled, whatever the tie-breakers say: the peer has to
	 * switch. */
	if (stun_message_has_attribute(rq, STUN_ATTRIBUTE_ICE_CONTROLLED)) {
		send_error(p, rq, STUN_ERROR_ROLE_CONFLICT, now_us);
		return false;
	}
	/* Not by the library's stun_usage_ice_conncheck_create_reply(): it says the USERNAME again, 24 bytes of 88, for which nobody
	 * asks (RFC 8489 §9.1.3) and which on a thin link are a per cent of the sound. */
	buf = tx_reserve(t->tx);
	if (stun_agent_init_response(&t->strict, &msg, buf, TX_MTU, rq) &&
	    stun_message_append_xor_addr(&msg, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS, &ss,
					 ss_len) == STUN_MESSAGE_RETURN_SUCCESS)
		len = stun_agent_finish_message(&t->strict, &msg, rq->key, rq->key_len);
	if (!len) {
		tx_commit(t->tx, &p->flow, 0);
		return false;
	}
	keep_answer(p, buf, len, now_us);
	send_built(p, len, now_us);
	return true;
}

static void on_request(struct transport *t, struct pkt *p, bool fingerprint,
		       uint64_t now_us)
{
	StunValidationStatus status;
	const char *ufrag;
	struct path *path;
	struct cred *k;
	StunMessage msg;
	size_t len;

	if (stun_peek_ufrag(p->data, p->len, &ufrag, &len)) {
		STAT_INC(stun_bad);
		return;
	}
	k = cred_find(t, ufrag, len);
	if (!k) {
		STAT_INC(stun_unknown_user);
		return;
	}
	status = stun_agent_validate(fingerprint ? &t->strict : &t->lax, &msg, p->data,
				     p->len, on_password, k);
	if (status == STUN_VALIDATION_UNAUTHORIZED ||
	    status == STUN_VALIDATION_UNAUTHORIZED_BAD_REQUEST) {
		STAT_INC(stun_auth);
		return;
	}
	if ((status != STUN_VALIDATION_SUCCESS &&
	     status != STUN_VALIDATION_UNKNOWN_REQUEST_ATTRIBUTE) ||
	    !msg.key) {
		STAT_INC(stun_bad);
		return;
	}
	if (k->conn->state == CONN_FAILED)
		return;
	path = path_take(k->conn, &p->flow, now_us);
	if (!path)
		return;
	path_received(path, p->len, now_us);
	k->conn->rx_bytes += wire_bytes(&p->flow, p->len);
	if (path->deaf_until_us > now_us)
		return;
	if (status == STUN_VALIDATION_UNKNOWN_REQUEST_ATTRIBUTE) {
		send_error(path, &msg, STUN_ERROR_UNKNOWN_ATTRIBUTE, now_us);
		return;
	}
	if (answer(path, &msg, now_us))
		conn_on_check(k->conn, path, k,
			      stun_usage_ice_conncheck_use_candidate(&msg), now_us);
}

/* ---- our own checks ---------------------------------------------------------------- */

bool ice_send_check(struct path *p, struct check *check, uint64_t now_us)
{
	struct conn *c = p->conn;
	StunAgent *agent = &c->t->strict;
	const struct cred *k = c->cred;
	char name[2 * UFRAG_MAX + 1];
	size_t name_len = 0, len;
	StunTransactionId id;
	StunMessage msg;
	uint8_t *buf;

	memcpy(name, k->remote_ufrag, k->remote_ufrag_len);
	name_len = k->remote_ufrag_len;
	name[name_len++] = ':';
	memcpy(name + name_len, k->local_ufrag, k->local_ufrag_len);
	name_len += k->local_ufrag_len;
	buf = tx_reserve(c->t->tx);
	len = stun_usage_ice_conncheck_create(
		agent, &msg, buf, TX_MTU, (const uint8_t *)name, name_len,
		(const uint8_t *)k->remote_pwd, k->remote_pwd_len, false, false,
		CHECK_PRIORITY, c->t->tie, NULL, STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
	if (len) {
		stun_message_id(&msg, id);
		/* The agent's memory is 200 entries for everybody; ours is in the path.
		 */
		stun_agent_forget_transaction(agent, id);
		if (!path_may_send(p, len, now_us)) {
			STAT_INC(amplify_limit);
			len = 0;
		}
	}
	if (len) {
		memcpy(check->id, id + STUN_ID_LEN - TRANSACTION_BYTES,
		       TRANSACTION_BYTES);
		check->sent_us = now_us;
		c->tx_bytes += wire_bytes(&p->flow, len);
	}
	tx_commit(c->t->tx, &p->flow, len);
	if (!len)
		return false;
	STAT_INC(stun_check_sent);
	return true;
}

static struct check *check_of(struct path *p, const uint8_t *id)
{
	unsigned i;

	for (i = 0; i < CHECK_TRIES; i++)
		if (p->checks[i].sent_us &&
		    memcmp(p->checks[i].id, id, TRANSACTION_BYTES) == 0)
			return &p->checks[i];
	return NULL;
}

/* The library matches answers against what its agent sent; we lend it the one
 * transaction. */
static bool answer_valid(struct transport *t, struct pkt *p, const struct cred *k,
			 bool fingerprint)
{
	StunAgent *agent = fingerprint ? &t->strict : &t->lax;
	StunAgentSavedIds *sent = &agent->sent_ids[0];
	StunValidationStatus status;
	StunMessage msg;

	memset(sent, 0, sizeof *sent);
	memcpy(sent->id, p->data + 4, sizeof sent->id);
	sent->method = STUN_BINDING;
	sent->key = (uint8_t *)k->remote_pwd;
	sent->key_len = k->remote_pwd_len;
	sent->valid = true;
	status = stun_agent_validate(agent, &msg, p->data, p->len, NULL, NULL);
	memset(sent, 0, sizeof *sent);
	return status == STUN_VALIDATION_SUCCESS && msg.key &&
	       stun_message_get_class(&msg) == STUN_RESPONSE;
}

static void on_response(struct transport *t, struct pkt *p, bool fingerprint,
			uint64_t now_us)
{
	struct hash_node *n = hash_find(t->flows, hash_bytes(&p->flow, sizeof p->flow));
	struct check *check = NULL;
	struct path *path = NULL;

	for (; n && !check; n = hash_next(n)) {
		path = CONTAINER_OF(n, struct path, node);
		if (flow_equal(&path->flow, &p->flow))
			check = check_of(path, p->data + ID_OFFSET);
	}
	if (!check) {
		STAT_INC(stun_bad);
		return;
	}
	/* After an ICE restart the check may have been written with the credentials
	 * before. */
	if (!answer_valid(t, p, path->conn->cred, fingerprint) &&
	    !(path->conn->old_cred &&
	      answer_valid(t, p, path->conn->old_cred, fingerprint))) {
		STAT_INC(stun_auth);
		return;
	}
	path_received(path, p->len, now_us);
	path->conn->rx_bytes += wire_bytes(&p->flow, p->len);
	STAT_INC(stun_check_answered);
	path_answered(path, check, now_us);
}

void ice_on_packet(struct transport *t, struct pkt *p, uint64_t now_us)
{
	bool fingerprint;
	uint16_t type;

	if (p->len < HEADER_BYTES || p->len > MESSAGE_MAX ||
	    !attributes_sane(p, &fingerprint)) {
		STAT_INC(stun_bad);
		return;
	}
	type = get_be16(p->data);
	if (type == 0x0001)
		on_request(t, p, fingerprint, now_us);
	else if (type == 0x0101)
		on_response(t, p, fingerprint, now_us);
	else if (type != 0x0111 &&
		 type != 0x0011) /* errors and indications mean nothing to us */
		STAT_INC(stun_bad);
}
