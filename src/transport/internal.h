/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What transport's files share. Worker's thread.
 *
 *   transport.c  tables: flow → path → conn, ufrag → cred → conn; the entrances
 *   conn.c       life of a connection: states, deadlines, sending
 *   paths.c      its addresses: which is proven, which is in use, what may be sent there
 *   ice_lite.c   STUN messages, in and out
 *   dtls.c       the handshake
 *   srtp.c       opening;  srtp_cipher.c its ciphers;  seal.c sealing
 */
#ifndef PALABRE_TRANSPORT_INTERNAL_H
#define PALABRE_TRANSPORT_INTERNAL_H

#include "seal.h"

#include <openssl/ssl.h>
#include <srtp2/srtp.h>
#include <stun/stunagent.h>

enum {
	DTLS_MTU = 1200,
	DTLS_QUEUE_CONN_MAX =
		8,	    /* packets of one connection waiting for a handshake step */
	FLOW_CONNS_MAX = 4, /* connections that claim the same flow */
	TRANSACTION_BYTES = 12,
	UFRAG_MAX = 256, /* RFC 8839 §5.4 */
	PWD_MIN = 22,
	PWD_MAX = 256
};

/* A path in use that has been silent for so long gives way to one with an older
 * nomination, or to SRTP from elsewhere. */
#define PATH_QUIET_US (1 * 1000000ULL)
/* A wish for a path (USE-CANDIDATE, SRTP) older than this no longer counts: two of
 * Chromium's pings. */
#define PATH_WISH_US (5 * 1000000ULL)
/* Tries of a round: at once, +200 ms, +500 ms, then this long for a late answer. */
#define CHECK_WAIT_US (2 * 1000000ULL)
/* An answer later than this is no longer one. */
#define CHECK_ANSWER_US (10 * 1000000ULL)
/* RFC 7675: our checks unanswered for so long, although the peer once answered them. */
#define CONN_UNANSWERED_US (30 * 1000000ULL)
/* The browser may repeat its Finished until it has ours. */
#define DTLS_LINGER_US (10 * 1000000ULL)
/* The same for a peer that sends no SRTP. Its timer doubles from 1 s up to 60 s (RFC 6347
 * §4.2.4.1): if our last flight was lost, repeats are answered for so long, and after a
 * later one it must join again. A page of ours gives up in 12 s (session.js). */
#define DTLS_LINGER_SILENT_US (40 * 1000000ULL)

/* Where much is lost an answer goes again so much later, so often: Firefox asks once in 5 s and gives a connection up of which
 * it has had no answer for 30 s, although all goes on. */
#define ANSWER_GAP_US (40 * 1000ULL)
enum { ANSWER_AGAIN = 2, ANSWER_MAX = 128 };

/* One generation of ICE credentials, in one block. */
struct cred {
	struct hash_node node; /* by local ufrag */
	struct conn *conn;
	uint16_t local_ufrag_len, local_pwd_len, remote_ufrag_len, remote_pwd_len;
	char *local_ufrag, *local_pwd, *remote_ufrag, *remote_pwd;
};

struct check {
	uint8_t id[TRANSACTION_BYTES];
	uint64_t sent_us; /* 0: answered or never sent */
};
struct path {
	struct hash_node node; /* by flow */
	struct conn *conn;
	bool used;
	struct flow flow;
	uint64_t created_us;
	uint64_t heard_us;	     /* last authenticated packet */
	uint64_t nominated_us;	     /* last check with USE-CANDIDATE */
	uint64_t nominated_since_us; /* the first of an unbroken row of them, 0: the last
					had none */
	uint64_t srtp_us;
	uint64_t proven_us; /* last answer to our own check, or the handshake; 0 never */
	uint64_t deaf_until_us;
	uint64_t rx_bytes, tx_bytes; /* counted while unproven, headers included */
	bool probed;		     /* our own checks have been sent to it */
	uint8_t tries;
	uint64_t check_due_us; /* next own check, or end of the round; 0 none under way */
	struct check checks[CHECK_TRIES];
};

struct conn {
	struct transport *t;
	const struct conn_ops *ops;
	void *arg;
	enum conn_state state;
	bool closed;
	bool timeout_due;    /* DTLS retransmission */
	bool client_start;   /* DTLS client: first flight is due */
	bool answers_checks; /* the peer has answered one of ours, so it must go on doing
				so */
	bool resume;	     /* SUSPENDED and the path in use has been heard again */
	bool lossy;	     /* as the owner says */
	struct {
		uint64_t due_us; /* 0: none */
		uint8_t left;
		uint16_t len;
		uint8_t data[ANSWER_MAX];
	} answer; /* to a check on the path in use, that goes again */
	struct timer timer, dtls_timer;
	uint64_t created_us, suspended_us, moved_us, keyed_us, first_srtp_us;
	uint64_t rtt_us;
	uint64_t rx_bytes, tx_bytes;
	struct cred *cred, *old_cred;
	struct path *cur; /* in use; before the handshake: where a DTLS client begins */
	struct path paths[PATHS_MAX];

	bool dtls_client, prefer_sha1;
	uint8_t remote_fingerprint[FINGERPRINT_BYTES];
	SSL *ssl;
	BIO *dtls_in, *dtls_out; /* owned by ssl */
	struct path *dtls_path;	 /* where the last handshake packet came from */
	uint64_t dtls_first_us;	 /* first retransmission timer */
	struct pkt *dtls_head, **dtls_tail;
	unsigned dtls_queued;
	bool in_run;
	struct conn *run_next, **run_prev;

	bool keyed;
	struct seal seal;
	srtp_t srtp;
	unsigned ssrc_count;
	uint32_t ssrcs[SSRCS_MAX];
};

struct transport {
	struct tx *tx;
	struct wheel *wheel;
	struct pkt_pool *pool;
	struct cert *cert;
	struct hash *flows, *ufrags;
	SSL_CTX *ssl_ctx;
	StunAgent strict, lax; /* FINGERPRINT there, and absent */
	uint64_t tie;
	unsigned dtls_queued;
	struct conn *run_head, **run_tail;
};

/* ---- transport.c ------------------------------------------------------------------- */
enum flow_use { FLOW_FOR_DTLS, FLOW_FOR_SRTP };
/* Several connections may claim a flow (a port used again, a forged source): the one that
 * has proved it, or needs it for its handshake. NULL if nobody. */
struct path *flow_find(const struct transport *t, const struct flow *flow,
		       enum flow_use use);
unsigned flow_claims(const struct transport *t, const struct flow *flow);
struct cred *cred_find(const struct transport *t, const char *ufrag, size_t len);
void run_add(struct conn *c);
void run_remove(struct conn *c);
size_t wire_bytes(const struct flow *flow,
		  size_t len); /* with IP and UDP or TCP headers */

/* ---- conn.c ------------------------------------------------------------------------ */
void conn_set_state(struct conn *c, enum conn_state state,
		    uint64_t now_us); /* calls the owner */
void conn_on_check(struct conn *c, struct path *p, struct cred *cred, bool nominated,
		   uint64_t now_us);
void conn_on_handshake(struct conn *c, uint64_t now_us);
void conn_wake(struct conn *c,
	       uint64_t at_us); /* runs its timer at `at_us` if not before */
/* Deadlines have moved away: its timer runs when the first of them is. */
void conn_calm(struct conn *c, uint64_t now_us);
void conn_notify_moved(struct conn *c, uint64_t now_us);

/* ---- ice_lite.c -------------------------------------------------------------------- */
/* The answer that goes again, if it is due. */
void ice_answer_again(struct conn *c, uint64_t now_us);

/* ---- paths.c ----------------------------------------------------------------------- */
struct path *path_find(struct conn *c, const struct flow *flow);
/* Finds or makes room; NULL: the table is full of better ones (path_limit). */
struct path *path_take(struct conn *c, const struct flow *flow, uint64_t now_us);
void path_free(struct path *p);
bool path_proven(const struct path *p, uint64_t now_us);
void path_received(struct path *p, size_t len, uint64_t now_us);
/* May `len` bytes be sent (amplification)? Accounts for them if so. */
bool path_may_send(struct path *p, size_t len, uint64_t now_us);
void path_probe(struct path *p, uint64_t now_us);
void path_answered(struct path *p, struct check *check, uint64_t now_us);
/* The path's wish to be the one in use may be due. */
void path_consider(struct path *p, uint64_t now_us);
/* Own checks that are due; when the next one is, UINT64_MAX never. */
void paths_run(struct conn *c, uint64_t now_us);
uint64_t paths_next_us(const struct conn *c);
void paths_restart(struct conn *c);

/* ---- ice_lite.c -------------------------------------------------------------------- */
void ice_init(struct transport *t);
void ice_on_packet(struct transport *t, struct pkt *p, uint64_t now_us);
/* Sends a Binding request of our own and remembers it in `check`. False: not sent. */
bool ice_send_check(struct path *p, struct check *check, uint64_t now_us);

/* ---- dtls.c ------------------------------------------------------------------------ */
int dtls_init(struct transport *t) MUST_CHECK;
int dtls_open(struct conn *c) MUST_CHECK;
void dtls_close(struct conn *c); /* frees; sends nothing */
void dtls_drop_queue(struct conn *c);
void dtls_on_timer(struct timer *timer, uint64_t now_us);
/* One step: everything queued of this connection. */
void dtls_run(struct conn *c, uint64_t now_us);
void dtls_send_close(struct conn *c, uint64_t now_us);
/* Bytes of the TLS exporter: client key, server key, client salt, server salt. */
enum { EXPORT_MAX = 2 * (SRTP_KEY_BYTES + SRTP_SALT_MAX) };

/* ---- srtp.c ------------------------------------------------------------------------ */
int srtp_open_init(void) MUST_CHECK;
/* Both directions from the exported keys. 0 or -ENOMEM. */
int srtp_keys(struct conn *c, enum srtp_profile profile,
	      const uint8_t *material) MUST_CHECK;
void srtp_close(struct conn *c);
/* In place; false: dropped and counted. */
bool srtp_open(struct conn *c, struct pkt *p, bool rtcp);

#endif
