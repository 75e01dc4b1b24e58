/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* STUN by hand (RFC 8489, RFC 8445): checks, answers, and wrong ones of both. */
#include "client_internal.h"

#include <openssl/hmac.h>
#include <string.h>
#include <zlib.h>

enum {
	COOKIE = 0x2112a442,
	HEADER = 20,
	REQUEST = 0x0001,
	RESPONSE = 0x0101,
	ERROR = 0x0111,
	A_USERNAME = 0x0006,
	A_INTEGRITY = 0x0008,
	A_ERROR = 0x0009,
	A_XOR_ADDRESS = 0x0020,
	A_PRIORITY = 0x0024,
	A_USE_CANDIDATE = 0x0025,
	A_UNKNOWN = 0x0077,
	A_FINGERPRINT = 0x8028,
	A_CONTROLLED = 0x8029,
	A_CONTROLLING = 0x802a,
	FAST_CHECK_US = 50000,
	SLOW_CHECK_US = 2500000
};

struct msg {
	uint8_t *buf;
	size_t len, cap;
};

/* RFC 8489 §14.7 */
static uint32_t fingerprint(const uint8_t *msg, size_t len)
{
	return (uint32_t)crc32(0, msg, (unsigned)len) ^ 0x5354554e;
}

static void set_len(struct msg *m, size_t len)
{
	put_be16(m->buf + 2, (uint16_t)(len - HEADER));
}

static void start(struct msg *m, uint16_t type, const uint8_t id[12])
{
	put_be16(m->buf, type);
	put_be32(m->buf + 4, COOKIE);
	memcpy(m->buf + 8, id, 12);
	m->len = HEADER;
	set_len(m, m->len);
}

static void add(struct msg *m, uint16_t type, const void *value, size_t n)
{
	size_t padded = (n + 3) & ~(size_t)3;

	if (m->len + 4 + padded > m->cap)
		return;
	put_be16(m->buf + m->len, type);
	put_be16(m->buf + m->len + 2, (uint16_t)n);
	memset(m->buf + m->len + 4, 0, padded);
	if (n)
		memcpy(m->buf + m->len + 4, value, n);
	m->len += 4 + padded;
	set_len(m, m->len);
}

static void hmac(const char *key, const uint8_t *data, size_t len, uint8_t out[20])
{
	unsigned n = 20;

	HMAC(EVP_sha1(), key, (int)strlen(key), data, len, out, &n);
}

static void add_integrity(struct msg *m, const char *key, unsigned flags)
{
	uint8_t mac[20];

	set_len(m, m->len + 24);
	hmac(key, m->buf, m->len, mac);
	if (flags & CHECK_BAD_INTEGRITY)
		mac[7] ^= 1;
	add(m, A_INTEGRITY, mac, flags & CHECK_SHORT_INTEGRITY ? 4 : 20);
}

static void add_fingerprint(struct msg *m, unsigned flags)
{
	uint8_t v[4];

	set_len(m, m->len + 8);
	put_be32(v,
		 fingerprint(m->buf, m->len) ^ (flags & CHECK_BAD_FINGERPRINT ? 1 : 0));
	add(m, A_FINGERPRINT, v, 4);
}

/* The attribute's value, or NULL; only before MESSAGE-INTEGRITY. */
static const uint8_t *find(const uint8_t *data, size_t len, uint16_t type, size_t *n)
{
	size_t at = HEADER;

	while (at + 4 <= len) {
		uint16_t t = get_be16(data + at), size = get_be16(data + at + 2);

		if (at + 4 + size > len)
			return NULL;
		if (t == type) {
			*n = size;
			return data + at + 4;
		}
		if (t == A_INTEGRITY && type != A_FINGERPRINT)
			return NULL;
		at += 4 + ((size + 3u) & ~3u);
	}
	return NULL;
}

static bool verify(const uint8_t *data, size_t len, const char *key)
{
	uint8_t copy[CLIENT_BUF], mac[20];
	const uint8_t *v, *f;
	size_t n, at;

	if (len < HEADER || len > sizeof copy || get_be32(data + 4) != COOKIE ||
	    get_be16(data + 2) != len - HEADER)
		return false;
	v = find(data, len, A_INTEGRITY, &n);
	if (!v || n != 20)
		return false;
	at = (size_t)(v - data) - 4;
	memcpy(copy, data, at);
	put_be16(copy + 2, (uint16_t)(at + 24 - HEADER));
	hmac(key, copy, at, mac);
	if (memcmp(mac, v, 20) != 0)
		return false;
	f = find(data, len, A_FINGERPRINT, &n);
	return f && n == 4 && (size_t)(f - data) + 4 == len &&
	       get_be32(f) == fingerprint(data, len - 8);
}

size_t client_write_check(struct client *c, unsigned flags, uint8_t *buf, size_t cap)
{
	struct msg m = { .buf = buf, .cap = cap };
	char name[2 * TEXT_MAX];
	uint8_t v[8], id[12];

	random_bytes(id, sizeof id);
	memcpy(c->check_id, id, sizeof id);
	start(&m, REQUEST, id);
	strcpy(name, c->remote_ufrag);
	strcat(name, ":");
	strcat(name, c->ufrag);
	add(&m, A_USERNAME, name, strlen(name));
	put_be32(v, (uint32_t)c->tie);
	put_be32(v + 4, (uint32_t)(c->tie >> 32));
	add(&m, flags & CHECK_CONTROLLED ? A_CONTROLLED : A_CONTROLLING, v, 8);
	if (flags & CHECK_NOMINATE)
		add(&m, A_USE_CANDIDATE, NULL, 0);
	if (flags & CHECK_UNKNOWN_ATTRIBUTE)
		add(&m, A_UNKNOWN, v, 4);
	put_be32(v, 0x6e7f1eff);
	add(&m, A_PRIORITY, v, 4);
	if (!(flags & CHECK_NO_INTEGRITY))
		add_integrity(&m, c->remote_pwd, flags);
	if (!(flags & CHECK_NO_FINGERPRINT))
		add_fingerprint(&m, flags);
	return m.len;
}

static void put_xor_address(uint8_t out[20], size_t *n, const struct addr *a,
			    const uint8_t id[12])
{
	uint8_t mask[16];
	size_t len = a->family == 6 ? 16 : 4, i;

	put_be32(mask, COOKIE);
	memcpy(mask + 4, id, 12);
	out[0] = 0;
	out[1] = a->family == 6 ? 2 : 1;
	put_be16(out + 2, a->port ^ (COOKIE >> 16));
	for (i = 0; i < len; i++)
		out[4 + i] = a->ip[i] ^ mask[i];
	*n = 4 + len;
}

static void get_xor_address(const uint8_t *v, size_t n, const uint8_t id[12],
			    struct addr *a)
{
	uint8_t mask[16];
	size_t i;

	memset(a, 0, sizeof *a);
	if (n != 8 && n != 20)
		return;
	put_be32(mask, COOKIE);
	memcpy(mask + 4, id, 12);
	a->family = n == 20 ? 6 : 4;
	a->port = get_be16(v + 2) ^ (COOKIE >> 16);
	for (i = 0; i < n - 4; i++)
		a->ip[i] = v[4 + i] ^ mask[i];
}

bool client_is_check(const struct client *c, const uint8_t *data, size_t len)
{
	char name[2 * TEXT_MAX];
	const uint8_t *v;
	size_t n;

	if (len < HEADER || get_be16(data) != REQUEST || !verify(data, len, c->pwd))
		return false;
	strcpy(name, c->ufrag);
	strcat(name, ":");
	strcat(name, c->remote_ufrag);
	v = find(data, len, A_USERNAME, &n);
	return v && n == strlen(name) && memcmp(v, name, n) == 0 &&
	       find(data, len, A_CONTROLLED, &n) && !find(data, len, A_USE_CANDIDATE, &n);
}

size_t client_write_answer(struct client *c, const uint8_t *check, size_t len,
			   const struct addr *from, uint8_t *buf, size_t cap)
{
	struct msg m = { .buf = buf, .cap = cap };
	uint8_t v[20];
	size_t n;

	if (!client_is_check(c, check, len))
		return 0;
	start(&m, RESPONSE, check + 8);
	put_xor_address(v, &n, from, check + 8);
	add(&m, A_XOR_ADDRESS, v, n);
	add_integrity(&m, c->pwd, 0);
	add_fingerprint(&m, 0);
	return m.len;
}

static void on_answer(struct client *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	const uint8_t *v;
	size_t n;

	if (!c->check_sent_us || memcmp(data + 8, c->check_id, 12) != 0 ||
	    !verify(data, len, c->remote_pwd)) {
		c->counts.other++;
		return;
	}
	if (get_be16(data) == ERROR) {
		v = find(data, len, A_ERROR, &n);
		c->counts.errors++;
		c->counts.last_error = v && n >= 4 ? v[2] * 100u + v[3] : 0;
		return;
	}
	v = find(data, len, A_XOR_ADDRESS, &n);
	if (!v) {
		c->counts.other++;
		return;
	}
	get_xor_address(v, n, data + 8, &c->mapped);
	c->counts.checks_answered++;
	c->rtt_us = now_us - c->check_sent_us;
	c->check_sent_us = 0;
	c->checked = true;
	if (c->up)
		c->check_due_us =
			now_us + (c->p.check_us ? c->p.check_us : SLOW_CHECK_US);
}

void stun_input(struct client *c, uint8_t *data, size_t len, uint64_t now_us)
{
	uint8_t buf[CLIENT_BUF];
	size_t n;

	if (len < HEADER)
		return;
	if (get_be16(data) == RESPONSE || get_be16(data) == ERROR) {
		on_answer(c, data, len, now_us);
	} else if (client_is_check(c, data, len)) {
		c->counts.server_checks++;
		n = client_write_answer(c, data, len, &c->server, buf, sizeof buf);
		if (c->manners.answer_checks)
			client_out(c, buf, n);
	} else {
		c->counts.server_checks_bad++;
	}
}

void stun_run(struct client *c, uint64_t now_us)
{
	uint8_t buf[CLIENT_BUF];
	uint64_t slow_us = c->p.check_us ? c->p.check_us : SLOW_CHECK_US;
	size_t n;

	if (!c->have_remote || !c->manners.send_checks || now_us < c->check_due_us)
		return;
	n = client_write_check(c, c->manners.nominate ? CHECK_NOMINATE : 0, buf,
			       sizeof buf);
	c->check_sent_us = now_us;
	c->check_due_us = now_us + (c->checked && c->up ? slow_us : FAST_CHECK_US);
	c->counts.checks_sent++;
	client_out(c, buf, n);
}
