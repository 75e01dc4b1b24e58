/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What strangers and peers can push into a transport: STUN (raw; or rightly signed around
 * the fuzzer's attributes), DTLS, SRTP. Connection 0 waits for its handshake, connection
 * 1 is up with known keys.
 *
 * Input: records of a kind byte, a length of 16 bits and so many bytes. The clock moves
 * only by record. Afterwards: media has gone nowhere but to connection 1's proven flow,
 * no more was sent to an unproven flow than allowed, and every packet is back in its
 * pool.
 */
#include "fuzz.h"
#include "internal.h"
#include "record.h"

#include <palabre/wire.h>

#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CONNS = 2, FLOWS = 4, POOL = 64, RECORDS_MAX = 64, START_US = 1000000000 };
enum kind {
	K_STUN,	    /* raw */
	K_REQUEST,  /* signed with conn 0's or 1's password, by the first byte */
	K_RESPONSE, /* signed, to the last check that this flow was asked */
	K_DTLS,
	K_RTP,
	K_RTCP,
	K_TIME,
	K_RESTART,
	K_COUNT
};

static const char *const ufrag[CONNS] = { "server00", "server01" };
static const char *const pwd[CONNS] = { "serverserverserverserver",
					"servarservarservarservar" };
static const char peer_ufrag[] = "client00", peer_pwd[] = "clientclientclientclient";

static struct cert *cert;
static struct pkt_pool *pool;
static struct wheel *wheel;
static struct tx *tx;
static struct transport *t;
static struct conn *conns[CONNS];
static uint64_t now;
static struct flow flows[FLOWS];
static uint64_t sent[FLOWS], received[FLOWS];
static uint8_t asked[FLOWS][12];

static void on_sent(void *arg, uint32_t tcp, const uint8_t *data, size_t len)
{
	unsigned i = tcp - 1;

	(void)arg;
	check(i < FLOWS && len > 0);
	sent[i] += len + 42;
	if (data[0] == 0 && data[1] == 1)
		memcpy(asked[i], data + 8, 12);
}

static void set_up(void)
{
	unsigned i;

	cert = cert_create();
	pool = pkt_pool_create(POOL);
	tx = tx_create(NULL, NULL);
	check(cert && pool && tx);
	tx_set_tcp(tx, on_sent, NULL);
	t = transport_create(cert, tx, NULL,
			     pool); /* costly, and keeps nothing of an input */
	check(t != NULL);
	log_set_level(LOG_ERROR);
	for (i = 0; i < FLOWS; i++) {
		check(addr_parse(&flows[i].peer, "192.0.2.1:1") == 0);
		check(addr_parse(&flows[i].local, "192.0.2.2:443") == 0);
		flows[i].peer.port = (uint16_t)(i + 1);
		flows[i].tcp = i + 1;
	}
}

static void open_all(void)
{
	static const uint8_t material[EXPORT_MAX] = { 1, 2, 3 };
	struct conn_params p = { .remote_ufrag = peer_ufrag, .remote_pwd = peer_pwd };
	unsigned i;

	now = START_US;
	wheel = wheel_create(now);
	check(wheel != NULL);
	t->wheel = wheel;
	memset(sent, 0, sizeof sent);
	memset(received, 0, sizeof received);
	memset(asked, 0, sizeof asked);
	for (i = 0; i < CONNS; i++) {
		p.local_ufrag = ufrag[i];
		p.local_pwd = pwd[i];
		conns[i] = conn_create(t, &p, now);
		check(conns[i] != NULL);
	}
	conns[1]->dtls_path = path_take(conns[1], &flows[0], now);
	check(conns[1]->dtls_path &&
	      srtp_keys(conns[1], PROFILE_CM_SHA1_80, material) == 0);
	conn_on_handshake(conns[1], now);
}

static void close_all(void)
{
	unsigned i;

	for (i = 0; i < CONNS; i++) {
		conn_close(conns[i], now);
		mem_unref(conns[i]);
	}
	check(hash_count(t->flows) == 0 && hash_count(t->ufrags) == 0);
	check(wheel_count(wheel) == 0 && t->dtls_queued == 0 && !t->run_head);
	wheel_destroy(wheel);
	check(pkt_pool_free_count(pool) == POOL);
}

/* Header, USERNAME if it is a request, the fuzzer's attributes, MESSAGE-INTEGRITY,
 * FINGERPRINT. */
static size_t sign(uint8_t *out, bool request, const uint8_t id[12], const char *name,
		   const char *key, const uint8_t *body, size_t len)
{
	size_t name_len = strlen(name), n = 20;
	unsigned mac_len = 20;

	memset(out, 0, 20);
	out[0] = request ? 0 : 1;
	out[1] = 1;
	put_be32(out + 4, 0x2112a442);
	memcpy(out + 8, id, 12);
	if (request) {
		put_be16(out + n, 6);
		put_be16(out + n + 2, (uint16_t)name_len);
		memset(out + n + 4, 0, name_len + 4);
		memcpy(out + n + 4, name, name_len);
		n += 4 + ((name_len + 3) & ~(size_t)3);
	}
	len &= ~(size_t)3;
	memcpy(out + n, body, len);
	n += len;
	put_be16(out + 2, (uint16_t)(n + 24 - 20));
	HMAC(EVP_sha1(), key, (int)strlen(key), out, n, out + n + 4, &mac_len);
	put_be16(out + n, 8);
	put_be16(out + n + 2, 20);
	n += 24;
	put_be16(out + 2, (uint16_t)(n + 8 - 20));
	put_be16(out + n, 0x8028);
	put_be16(out + n + 2, 4);
	put_be32(out + n + 4, (uint32_t)crc32(0, out, (unsigned)n) ^ 0x5354554e);
	return n + 8;
}

static void input(enum kind kind, unsigned at, const uint8_t *data, size_t len)
{
	struct pkt *p = pkt_take(pool);
	char name[64];
	unsigned k;

	check(p != NULL);
	if (len > 1500)
		len = 1500;
	p->flow = flows[at];
	if (kind == K_REQUEST && len) {
		k = data[0] % CONNS;
		strcpy(name, ufrag[k]);
		strcat(name, ":");
		strcat(name, peer_ufrag);
		p->len = (uint16_t)sign(p->data, true, asked[at], name, pwd[k], data + 1,
					len - 1);
	} else if (kind == K_RESPONSE) {
		p->len = (uint16_t)sign(p->data, false, asked[at], "", peer_pwd, data,
					len);
	} else {
		memcpy(p->data, data, len);
		p->len = (uint16_t)len;
	}
	received[at] += p->len + 42u;
	if (kind <= K_RESPONSE) {
		transport_on_stun(t, p, now);
	} else if (kind == K_DTLS) {
		transport_on_dtls(t, p, now);
	} else {
		transport_open(t, p, kind == K_RTCP, now);
		check(p->len <= PKT_BUF_BYTES);
		pkt_unref(p);
	}
}

static void check_sent(void)
{
	unsigned i, k, j;

	for (i = 0; i < FLOWS; i++) {
		bool proven = i == 0; /* by construction */

		for (k = 0; k < CONNS; k++)
			for (j = 0; j < PATHS_MAX; j++)
				proven |=
					conns[k]->paths[j].used &&
					flow_equal(&conns[k]->paths[j].flow, &flows[i]) &&
					conns[k]->paths[j].proven_us;
		if (proven) /* may become unproven again: count from here */
			sent[i] = received[i] = 0;
		check(sent[i] <= AMPLIFY_MAX * received[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record rec;
	struct rd r;
	unsigned n;

	if (!cert)
		set_up();
	open_all();
	rd_init(&r, data, size);
	for (n = 0; n < RECORDS_MAX && record_next(&r, &rec); n++) {
		enum kind kind = (enum kind)(rec.head % K_COUNT);

		if (kind == K_TIME) {
			now += 1 + 20000u * rec.len;
			wheel_run(wheel, now);
		} else if (kind == K_RESTART) {
			conn_restart(conns[1], n & 1 ? "server02" : "server03", pwd[1],
				     peer_ufrag, peer_pwd, now);
		} else {
			input(kind, rec.head / K_COUNT % FLOWS, rec.body, rec.len);
		}
		while (transport_run(t, now))
			;
		check_sent();
	}
	close_all();
	return 0;
}
