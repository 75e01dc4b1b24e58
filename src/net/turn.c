/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariants: nothing but an error is said to a request that is not signed with a password of ours, and
 * nothing goes anywhere before there is an allocation; a packet goes to our own media or nowhere. What
 * permissions keep out elsewhere, packets of strangers to the relayed address, cannot be here, so they are
 * answered and not kept.
 */
#include "turn.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define REALM "palabre"
enum { TRANSPORT_UDP = 17, ERROR_WORDS_MAX = 40 };

struct turning {
	struct turn *t;
	const uint8_t *unit;
	struct turn_msg m;
	uint64_t now_s;
	const struct turn_calls *calls;
	void *arg;
};

void turn_init(struct turn *t, const struct addr *client)
{
	memset(t, 0, sizeof *t);
	t->client = *client;
	random_text(t->nonce, TURN_NONCE_BYTES);
}

/* ---- signatures ---------------------------------------------------------------------- */

/* RFC 8489 §9.2.2. */
static int key_of(const char *name, size_t len, const char *password,
		  uint8_t key[TURN_KEY_BYTES])
{
	char text[TURN_NAME_MAX + sizeof REALM + TOKEN_TEXT_MAX + 4];
	int n = snprintf(text, sizeof text, "%.*s:%s:%s", (int)len, name, REALM,
			 password);
	unsigned size = 0;
	uint8_t full[EVP_MAX_MD_SIZE];

	if (n < 0 || (size_t)n >= sizeof text ||
	    EVP_Digest(text, (size_t)n, full, &size, EVP_md5(), NULL) != 1 ||
	    size != TURN_KEY_BYTES)
		return -EINVAL;
	memcpy(key, full, TURN_KEY_BYTES);
	return 0;
}

/* Of what stands before `at`, with the length as it is when the signature is the last (§14.5). */
static int integrity(const uint8_t *message, size_t at, const uint8_t key[TURN_KEY_BYTES],
		     uint8_t out[TURN_INTEGRITY_BYTES])
{
	uint8_t copy[TURN_UNIT_MAX], full[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (at > sizeof copy)
		return -EINVAL;
	memcpy(copy, message, at);
	put_be16(copy + 2, (uint16_t)(at - TURN_HEADER_BYTES + 4 + TURN_INTEGRITY_BYTES));
	if (!HMAC(EVP_sha1(), key, TURN_KEY_BYTES, copy, at, full, &size) ||
	    size != TURN_INTEGRITY_BYTES)
		return -EINVAL;
	memcpy(out, full, TURN_INTEGRITY_BYTES);
	return 0;
}

/* ---- answers ------------------------------------------------------------------------- */

struct saying {
	struct wr w;
	uint8_t buf[512];
};

static void begin(const struct turning *g, struct saying *s, enum turn_class class)
{
	wr_init(&s->w, s->buf, sizeof s->buf);
	turn_begin(&s->w, g->m.method, class, g->m.id);
}

static void put_lifetime(struct saying *s, uint32_t lifetime_s)
{
	uint8_t value[4];

	put_be32(value, lifetime_s);
	turn_put(&s->w, TURN_ATTR_LIFETIME, value, sizeof value);
}

/* Signed where the client is known. */
static void end(const struct turning *g, struct saying *s, const uint8_t *key)
{
	uint8_t mac[TURN_INTEGRITY_BYTES];

	if (key && !integrity(s->buf, wr_len(&s->w), key, mac))
		turn_put(&s->w, TURN_ATTR_INTEGRITY, mac, sizeof mac);
	turn_end(&s->w);
	if (!s->w.bad)
		g->calls->say(g->arg, s->buf, wr_len(&s->w));
}

static int refuse(const struct turning *g, unsigned code, const char *words)
{
	uint8_t value[4 + ERROR_WORDS_MAX] = { 0, 0, (uint8_t)(code / 100),
					       (uint8_t)(code % 100) };
	size_t len = strnlen(words, ERROR_WORDS_MAX);
	struct saying s;

	STAT_INC(turn_refused);
	begin(g, &s, TURN_ERROR);
	memcpy(value + 4, words, len);
	turn_put(&s.w, TURN_ATTR_ERROR, value, 4 + len);
	if (code == 401 || code == 438) {
		turn_put(&s.w, TURN_ATTR_REALM, REALM, sizeof REALM - 1);
		turn_put(&s.w, TURN_ATTR_NONCE, g->t->nonce, TURN_NONCE_BYTES);
	}
	if (code == 420) {
		uint8_t list[2 * TURN_UNKNOWN_MAX];

		for (unsigned i = 0; i < g->m.unknown_count; i++)
			put_be16(list + 2 * i, g->m.unknown[i]);
		turn_put(&s.w, TURN_ATTR_UNKNOWN, list, 2 * g->m.unknown_count);
	}
	end(g, &s, NULL);
	return ++g->t->refusals > TURN_REFUSALS_MAX ? -EACCES : 0;
}

/* ---- who asks ------------------------------------------------------------------------ */

static bool same(const struct turn_text *a, const char *b)
{
	return a->s && a->len == strlen(b) && !memcmp(a->s, b, a->len);
}

/* True and the key; or it is refused, and *err says how that went. */
static bool known(const struct turning *g, uint8_t key[TURN_KEY_BYTES], int *err)
{
	const struct turn_msg *m = &g->m;
	uint8_t mac[TURN_INTEGRITY_BYTES];
	char password[TOKEN_TEXT_MAX];

	if (!m->integrity_at) {
		*err = refuse(g, 401, "Unauthorized");
	} else if (!m->username.s || !same(&m->realm, REALM) || !m->nonce.s) {
		*err = refuse(g, 400, "Bad Request");
	} else if (!same(&m->nonce, g->t->nonce)) {
		*err = refuse(g, 438, "Stale Nonce");
	} else if (g->t->allocated && !same(&m->username, g->t->name)) {
		*err = refuse(g, 441, "Wrong Credentials");
	} else {
		/* How long a name holds is asked when it comes in; who is inside may stay. */
		if (g->t->allocated)
			memcpy(key, g->t->key, TURN_KEY_BYTES);
		else if (g->calls->password(g->arg, m->username.s, m->username.len,
					    password) ||
			 key_of(m->username.s, m->username.len, password, key)) {
			*err = refuse(g, 401, "Unauthorized");
			return false;
		}
		if (!integrity(g->unit, m->integrity_at, key, mac) &&
		    !CRYPTO_memcmp(mac, g->unit + m->integrity_at + 4, sizeof mac))
			return true;
		*err = refuse(g, 401, "Unauthorized");
	}
	return false;
}

/* ---- requests ------------------------------------------------------------------------ */

static uint32_t lifetime(const struct turn_msg *m)
{
	if (!m->has_lifetime || m->lifetime_s < TURN_LIFETIME_S)
		return TURN_LIFETIME_S;
	return m->lifetime_s < TURN_LIFETIME_MAX_S ? m->lifetime_s : TURN_LIFETIME_MAX_S;
}

static int on_allocate(struct turning *g, const uint8_t key[TURN_KEY_BYTES])
{
	struct turn *t = g->t;
	uint32_t lifetime_s = lifetime(&g->m);
	struct saying s;

	if (t->allocated)
		return refuse(g, 437, "Allocation Mismatch");
	if (!g->m.has_transport)
		return refuse(g, 400, "Bad Request");
	if (g->m.transport != TRANSPORT_UDP)
		return refuse(g, 442, "Unsupported Transport Protocol");
	if (g->m.has_family && g->m.family != (t->client.family == 4 ? 1 : 2))
		return refuse(g, 440, "Address Family not Supported");
	t->allocated = true;
	memcpy(t->key, key, TURN_KEY_BYTES);
	memcpy(t->name, g->m.username.s, g->m.username.len); /* its password was found */
	t->until_s = g->now_s + lifetime_s;
	STAT_INC(turn_allocated);
	begin(g, &s, TURN_SUCCESS);
	turn_put_addr(&s.w, TURN_ATTR_RELAYED, &t->client);
	turn_put_addr(&s.w, TURN_ATTR_MAPPED, &t->client);
	put_lifetime(&s, lifetime_s);
	end(g, &s, key);
	return 0;
}

static int on_refresh(struct turning *g, const uint8_t key[TURN_KEY_BYTES])
{
	bool over = g->m.has_lifetime && !g->m.lifetime_s;
	uint32_t lifetime_s = over ? 0 : lifetime(&g->m);
	struct saying s;

	g->t->until_s = g->now_s + lifetime_s;
	begin(g, &s, TURN_SUCCESS);
	put_lifetime(&s, lifetime_s);
	end(g, &s, key);
	return over ? -ECANCELED : 0;
}

static int find_peer(const struct turn *t, const struct addr *a)
{
	for (int i = 0; i < TURN_PEERS_MAX; i++)
		if (t->peers[i].addr.family && !memcmp(&t->peers[i].addr, a, sizeof *a))
			return i;
	return -ENOENT;
}

/* Who may be sent to from now on: its index. -EACCES it is not ours, -ENOBUFS. */
static int allow(struct turning *g, const struct addr *a)
{
	struct turn *t = g->t;
	int at = find_peer(t, a);

	if (at >= 0)
		return at;
	if (a->family != t->client.family || !g->calls->ours(g->arg, a))
		return -EACCES;
	for (int i = 0; i < TURN_PEERS_MAX; i++) {
		if (t->peers[i].addr.family)
			continue;
		t->peers[i] = (struct turn_peer) { .addr = *a };
		return i;
	}
	return -ENOBUFS;
}

static int refuse_peer(const struct turning *g, int err)
{
	return err == -EACCES ? refuse(g, 403, "Forbidden")
			      : refuse(g, 508, "Insufficient Capacity");
}

static int on_permission(struct turning *g, const uint8_t key[TURN_KEY_BYTES])
{
	struct saying s;

	if (!g->m.peer_count)
		return refuse(g, 400, "Bad Request");
	/* It is for an address with all of its ports (§9); whose port is ours is asked when it is used. */
	for (unsigned i = 0; i < g->m.peer_count; i++) {
		struct addr a = g->m.peers[i];

		a.port = 0;
		if (a.family != g->t->client.family || !g->calls->ours(g->arg, &a))
			return refuse_peer(g, -EACCES);
	}
	begin(g, &s, TURN_SUCCESS);
	end(g, &s, key);
	return 0;
}

static int on_bind(struct turning *g, const uint8_t key[TURN_KEY_BYTES])
{
	uint16_t channel = g->m.channel;
	struct turn *t = g->t;
	struct saying s;
	int at;

	if (!g->m.has_channel || g->m.peer_count != 1 || channel < TURN_CHANNEL_MIN ||
	    channel > TURN_CHANNEL_MAX)
		return refuse(g, 400, "Bad Request");
	at = allow(g, &g->m.peers[0]);
	if (at < 0)
		return refuse_peer(g, at);
	for (int i = 0; i < TURN_PEERS_MAX; i++)
		if (i == at ? t->peers[i].channel && t->peers[i].channel != channel
			    : t->peers[i].channel == channel)
			return refuse(g, 400, "Bad Request");
	t->peers[at].channel = channel;
	begin(g, &s, TURN_SUCCESS);
	end(g, &s, key);
	return 0;
}

static int on_binding(struct turning *g)
{
	struct saying s;

	begin(g, &s, TURN_SUCCESS);
	turn_put_addr(&s.w, TURN_ATTR_MAPPED, &g->t->client);
	end(g, &s, NULL);
	return ++g->t->refusals > TURN_REFUSALS_MAX && !g->t->allocated ? -EACCES : 0;
}

static int on_request(struct turning *g)
{
	uint8_t key[TURN_KEY_BYTES];
	int err = 0;

	if (g->m.method == TURN_BINDING)
		return on_binding(g);
	if (!known(g, key, &err))
		return err;
	if (g->m.unknown_count)
		return refuse(g, 420, "Unknown Attribute");
	if (g->m.method == TURN_ALLOCATE)
		return on_allocate(g, key);
	if (!g->t->allocated)
		return refuse(g, 437, "Allocation Mismatch");
	switch (g->m.method) {
	case TURN_REFRESH:
		return on_refresh(g, key);
	case TURN_CREATE_PERMISSION:
		return on_permission(g, key);
	case TURN_CHANNEL_BIND:
		return on_bind(g, key);
	default:
		return refuse(g, 400, "Bad Request");
	}
}

/* ---- packets ------------------------------------------------------------------------- */

static void on_send(struct turning *g)
{
	int at = g->t->allocated && g->m.peer_count == 1 ? allow(g, &g->m.peers[0])
							 : -ENOENT;

	if (at < 0 || !g->m.data || g->m.unknown_count)
		STAT_INC(turn_bad);
	else
		g->calls->packet(g->arg, (unsigned)at, g->m.data, g->m.data_len);
}

static void on_channel(struct turn *t, const uint8_t *unit, size_t len,
		       const struct turn_calls *calls, void *arg)
{
	const uint8_t *data;
	size_t data_len;
	int channel = turn_read_channel(unit, len, &data, &data_len);

	for (unsigned i = 0; channel > 0 && i < TURN_PEERS_MAX; i++) {
		if (t->peers[i].channel != channel)
			continue;
		calls->packet(arg, i, data, data_len);
		return;
	}
	STAT_INC(turn_bad);
}

int turn_on_unit(struct turn *t, const uint8_t *unit, size_t len, uint64_t now_s,
		 const struct turn_calls *calls, void *arg)
{
	struct turning g = {
		.t = t, .unit = unit, .now_s = now_s, .calls = calls, .arg = arg
	};

	if (t->allocated && now_s >= t->until_s)
		return -ECANCELED;
	if (len && unit[0] >= TURN_CHANNEL_MIN >> 8) {
		on_channel(t, unit, len, calls, arg);
		return 0;
	}
	if (turn_read(unit, len, &g.m)) {
		STAT_INC(turn_bad);
		return -EBADMSG;
	}
	if (g.m.class == TURN_REQUEST)
		return on_request(&g);
	if (g.m.class == TURN_INDICATION && g.m.method == TURN_SEND)
		on_send(&g);
	return 0; /* other indications keep a middlebox awake; answers are to nothing */
}

size_t turn_wrap(const struct turn *t, unsigned i, const uint8_t *data, size_t len,
		 uint8_t out[TURN_UNIT_MAX])
{
	const struct turn_peer *p = &t->peers[i];
	uint8_t id[TURN_ID_BYTES];
	struct wr w;

	wr_init(&w, out, TURN_UNIT_MAX);
	if (p->channel) {
		turn_put_channel(&w, p->channel, data, len);
	} else {
		random_bytes(id, sizeof id);
		turn_begin(&w, TURN_DATA, TURN_INDICATION, id);
		turn_put_addr(&w, TURN_ATTR_PEER, &p->addr);
		turn_put(&w, TURN_ATTR_DATA, data, len);
		turn_end(&w);
	}
	return w.bad ? 0 : wr_len(&w);
}
