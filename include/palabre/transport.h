/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * transport: one worker's connections: ICE-lite (RFC 8445 §2.5 on libnice's STUN library), DTLS (RFC 5764),
 * SRTP (opened by libsrtp2, sealed by OpenSSL EVP). Level 3, worker's thread.
 *
 *   STUN  → transport_on_stun   answers checks, follows the peer's address
 *   DTLS  → transport_on_dtls   queued; handshakes run in transport_run, at most ~2 ms a turn
 *   SRTP  → transport_open      finds the connection by flow, authenticates, decrypts in place
 *
 * A peer's address: the first one is proven by the DTLS handshake, each later one by an authenticated answer to our
 * own Binding request (CHECK_TRIES at most per address; then the address is deaf for PATH_FORGET_US). The
 * address in use follows the latest valid USE-CANDIDATE check, or authenticated SRTP from a checked address, once
 * proven; media flows to the old one meanwhile. Until an address is proven we send at most
 * AMPLIFY_MAX times the bytes received from it.
 */
#ifndef PALABRE_TRANSPORT_H
#define PALABRE_TRANSPORT_H

#include <palabre/base.h>
#include <palabre/crypto.h>
#include <palabre/net.h>

enum {
	CHECK_TRIES = 3,
	PATHS_MAX = 6,	/* addresses remembered per connection */
	SSRCS_MAX = 16, /* incoming SSRCs of a connection */
	AMPLIFY_MAX = 3,
	DTLS_QUEUE_MAX =
		1024, /* packets of all connections waiting for a handshake step */
	DTLS_TURN_US = 2000
};

struct transport;
struct conn; /* mem_* reference-counted; owned by its leg */

enum conn_state {
	CONN_NEW,     /* no valid check yet */
	CONN_CHECKED, /* a valid check came, DTLS under way */
	CONN_UP,      /* keys in place, address proven */
	CONN_SUSPENDED, /* consent lost (RFC 7675): nothing is sent but answers and checks */
	CONN_FAILED /* DTLS failed, or suspended or unconnected too long; the owner lets go */
};
struct conn_ops {
	/* After any change of state; the conn may be destroyed from inside. */
	void (*on_state)(void *arg, enum conn_state state, uint64_t now_us);
	/* The peer's address in use changed (logged at debug by the owner; media continues). */
	void (*on_moved)(void *arg, uint64_t now_us);
};
struct conn_params {
	const char *local_ufrag, *local_pwd, *remote_ufrag, *remote_pwd;
	uint8_t remote_fingerprint[FINGERPRINT_BYTES];
	bool dtls_client;
	bool prefer_sha1; /* SRTP profile order: small tag first (voice on a thin link) */
	const struct conn_ops *ops;
	void *arg;
};

/* Timeouts, all on the caller's clock. */
#define CONN_CONNECT_US (30 * 1000000ULL) /* CONN_NEW or CHECKED → FAILED */
#define CONN_CONSENT_US \
	(8 * 1000000ULL) /* nothing authenticated from the peer → SUSPENDED */
#define CONN_GONE_US (30 * 1000000ULL) /* suspended → FAILED */
#define CONN_OWN_CHECK_US \
	(10 * \
	 1000000ULL) /* our own check on the path in use: RTT, and proof that it still receives
					       (RFC 7675: unanswered for 30 s → SUSPENDED) */
#define PATH_FORGET_US (30 * 1000000ULL)

struct transport *transport_create(const struct cert *cert, struct tx *tx,
				   struct wheel *wheel, struct pkt_pool *pool) MUST_CHECK;
void transport_destroy(struct transport *t);
struct conn *conn_create(struct transport *t, const struct conn_params *p,
			 uint64_t now_us) MUST_CHECK;
void conn_close(
	struct conn *c,
	uint64_t now_us); /* DTLS close_notify; no more callbacks; then mem_unref */
/* ICE restart: both sides' new credentials. Old local ones stay valid until the first check with new ones. The path in
 * use stays in use until a new one is proven. */
void conn_restart(struct conn *c, const char *local_ufrag, const char *local_pwd,
		  const char *remote_ufrag, const char *remote_pwd, uint64_t now_us);

/* Much of what is sent to the peer gets lost (8 % or so): answers to its checks on the path in use go more than once. */
void conn_lossy(struct conn *c, bool lossy);

/* Hot path. transport_on_stun and transport_on_dtls take over the reference. */
void transport_on_stun(struct transport *t, struct pkt *p, uint64_t now_us);
void transport_on_dtls(struct transport *t, struct pkt *p, uint64_t now_us);
/* SRTP and SRTCP: on success p->data, p->len hold the plain packet and the connection's owner (conn_params.arg) is returned. NULL:
 * dropped and counted (unknown flow, no keys, forged, replayed, too many SSRCs). The reference stays the caller's. */
void *transport_open(struct transport *t, struct pkt *p, bool rtcp, uint64_t now_us);
/* A bounded turn of handshakes (about DTLS_TURN_US); true if some are left. Reads the clock: not between the batches. */
bool transport_run(struct transport *t, uint64_t now_us);
/* Does any connection claim the flow? */
bool transport_knows(const struct transport *t, const struct flow *flow);
/* A framed TCP connection has closed: its paths go. */
void transport_tcp_closed(struct transport *t, uint32_t tcp, uint64_t now_us);

/* State for sealing one outgoing SSRC: the rollover counter, and the tags of what was sent. A packet index is sealed twice only if the
 * result is the same to the bit (RFC 3711 §9.1, RFC 7714 §8.1: a reused nonce gives the key away). */
enum { SEAL_TAGS = 512 };
struct seal_stream {
	uint64_t highest; /* packet index of the last new packet, 0 = none */
	uint64_t
		roc_base; /* upper bits of the first index: the receiver's rollover counter starts at 0 */
	uint64_t *
		tags; /* SEAL_TAGS or fewer first 8 bytes of tags, by index; grown once on first use */
	uint32_t mask;
	uint32_t ssrc;
};
/* One seal_stream per SSRC for the whole life of a connection: a second one would repeat nonces. */
void seal_stream_init(struct seal_stream *s, uint32_t ssrc);
/* Allocates room for `window` (power of two ≤ SEAL_TAGS) resendable packets; control time. -ENOMEM. */
int seal_stream_reserve(struct seal_stream *s, unsigned window) MUST_CHECK;
void seal_stream_fini(struct seal_stream *s);

/* Seals in place and queues to the connection's address: `buf` came from tx_reserve() and holds a plain RTP packet of
 * `len` bytes whose header is `header_len` long; index64 is its extended sequence number (its low 16 bits are in the
 * header). 0, or -EPROTO (not up, suspended), -EEXIST (an index again with other content; nothing sent), -EINVAL. On any error the
 * reserved place is given back. */
int conn_send_rtp(struct conn *c, struct seal_stream *s, uint8_t *buf, size_t len,
		  size_t header_len, uint64_t index64);
/* Plain RTCP compound in a tx_reserve() buffer. */
int conn_send_rtcp(struct conn *c, uint8_t *buf, size_t len);
enum { SEAL_OVERHEAD_MAX = 24 };

enum conn_state conn_get_state(const struct conn *c);
/* Round trip from our own checks, 0 = unknown yet. */
uint64_t conn_rtt_us(const struct conn *c);
const struct flow *
conn_flow(const struct conn *c); /* in use; family 0 before there is one */
bool conn_is_tcp(const struct conn *c);
/* Bytes on the wire, both directions, IP and UDP headers counted. */
void conn_bytes(const struct conn *c, uint64_t *rx, uint64_t *tx);

#endif
