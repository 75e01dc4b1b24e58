/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A tiny WebRTC endpoint for tests and benchmarks: full ICE in its controlling role with
 * one server address, DTLS client or server, SRTP by libsrtp2 both ways. It shares no
 * code with the server's transport (STUN is written by hand here), so that the two check
 * each other.
 *
 * No event loop and no thread: the caller polls. Time is the caller's, but for DTLS
 * retransmissions, which OpenSSL times itself. Its network is one of: an own UDP socket;
 * a hub (one socket for up to HUB_CLIENTS_MAX clients, each with its own 127.x.y.z source
 * address); or the caller's send function and client_input(), for TCP framing or a
 * simulated network.
 *
 * A client belongs to one thread; several threads may each have theirs.
 */
#ifndef PALABRE_TEST_CLIENT_H
#define PALABRE_TEST_CLIENT_H

#include <palabre/base.h>
#include <palabre/crypto.h>

enum { CLIENT_SECTIONS_MAX = 20, CLIENT_SLOT_SSRCS = 2, HUB_CLIENTS_MAX = 8192 };

struct client;
struct client_hub;

/* One m-section of the offer. A sending one has an SSRC (and, video, one for RTX); a
 * receiving one is a slot whose SSRCs the answer names. */
struct client_section {
	bool video;
	bool send;
	uint32_t ssrc, rtx_ssrc;
};
struct client_params {
	const struct cert *cert; /* may be shared by all clients */
	struct client_hub *hub;	 /* NULL: own socket, or `send` */
	void (*send)(void *arg, const uint8_t *data, size_t len);
	bool dtls_server;  /* a=setup:passive */
	bool sha1_only;	   /* offers only SRTP_AES128_CM_SHA1_80 */
	bool big_hello;	   /* a ClientHello of two datagrams, as Chromium's */
	bool blind;	   /* counts media and doesn't open it: cheap, for crowds */
	uint64_t check_us; /* between checks once connected; 0: 2.5 s */
	unsigned section_count;
	const struct client_section *sections;
	/* Plain packets; may be NULL. */
	void (*on_rtp)(void *arg, uint8_t *data, size_t len, uint64_t now_us);
	void (*on_rtcp)(void *arg, uint8_t *data, size_t len, uint64_t now_us);
	void *arg;
};

/* What it does and doesn't; all start true but silent. May be changed at any time. */
struct client_manners {
	bool silent;	    /* sends nothing at all */
	bool send_checks;   /* ICE checks */
	bool nominate;	    /* with USE-CANDIDATE */
	bool answer_checks; /* the server's */
	bool start_dtls;
};
struct client_counts {
	uint64_t checks_sent, checks_answered; /* ours */
	uint64_t errors;	/* STUN error responses to ours; last_error is the code */
	uint64_t server_checks; /* the server's, valid ones */
	uint64_t server_checks_bad;
	uint64_t rtp, rtcp, srtp_bad, other;
	uint64_t datagrams, bytes; /* all received */
	uint64_t tx_datagrams, tx_bytes;
	unsigned last_error;
};

struct client *client_create(const struct client_params *p, uint64_t now_us) MUST_CHECK;
void client_destroy(struct client *c);
struct client_manners *client_manners(struct client *c);
const struct client_counts *client_counts(const struct client *c);

/* ---- signalling ----
 * The offer's text, terminated; returns its length or -ENOBUFS. */
int client_offer(struct client *c, char *buf, size_t cap) MUST_CHECK;
/* Reads the answer: credentials, fingerprint, setup, the first UDP candidate of a family
 * that it can reach, and the slots' SSRCs. 0 or -EBADMSG. */
int client_answer(struct client *c, const char *sdp, uint64_t now_us) MUST_CHECK;
/* The same by hand. `server` with family 0 keeps the address known. */
void client_set_remote(struct client *c, const char *ufrag, const char *pwd,
		       const uint8_t fingerprint[FINGERPRINT_BYTES],
		       const struct addr *server, uint64_t now_us);
const char *client_ufrag(const struct client *c);
const char *client_pwd(const struct client *c);
/* New credentials of its own (ICE restart); checks go on with them after the next
 * client_answer. */
void client_restart(struct client *c);
/* SSRC that the answer gave to section i, 0 = none. */
uint32_t client_slot_ssrc(const struct client *c, unsigned section);
const char *client_slot_mid(const struct client *c, unsigned section, char buf[8]);

/* ---- running ----------------------------------------------------------------------- */
/* Reads its socket (not the hub's) and does what is due. */
void client_poll(struct client *c, uint64_t now_us);
uint64_t client_next_us(const struct client *c,
			uint64_t now_us); /* when to poll again at the latest */
int client_fd(const struct client *c);	  /* -1 without an own socket */
void client_input(struct client *c, uint8_t *data, size_t len, uint64_t now_us);
bool client_checked(
	const struct client *c); /* a check of ours was answered on the present address */
bool client_up(const struct client *c);	    /* keys are there */
bool client_failed(const struct client *c); /* DTLS */
bool client_closed(const struct client *c); /* the server has sent close_notify */
uint64_t client_rtt_us(const struct client *c);
/* Its own address as the server saw it (XOR-MAPPED-ADDRESS of the last answer). */
const struct addr *client_mapped(const struct client *c);

/* ---- media: plain packets in, buffers need 24 bytes of room behind them. 0 or -errno.
 */
int client_send_rtp(struct client *c, uint8_t *buf, size_t len);
int client_send_rtcp(struct client *c, uint8_t *buf, size_t len);
/* Only seals; the length or -errno. */
int client_seal(struct client *c, uint8_t *buf, size_t len, bool rtcp);

/* ---- trouble ----------------------------------------------------------------------- */
/* From now on a new socket (own socket only) with another port, or for a hub's client
 * another source address; the old one is closed. */
int client_move(struct client *c, uint64_t now_us) MUST_CHECK;
/* Bytes as they are, to the server. */
void client_send_raw(struct client *c, const uint8_t *data, size_t len);
/* Writes an authenticated check of this client, to be sent from wherever. `flags` below.
 * The length. */
enum {
	CHECK_NOMINATE = 1,
	CHECK_BAD_INTEGRITY = 2,
	CHECK_BAD_FINGERPRINT = 4,
	CHECK_NO_FINGERPRINT = 8,
	CHECK_UNKNOWN_ATTRIBUTE = 16,
	CHECK_CONTROLLED = 32,
	CHECK_NO_INTEGRITY = 64,
	CHECK_SHORT_INTEGRITY = 128
};
size_t client_write_check(struct client *c, unsigned flags, uint8_t *buf, size_t cap);
/* Writes the right answer to a check of the server, as if it came from `from`; 0 if it
 * isn't one. */
size_t client_write_answer(struct client *c, const uint8_t *check, size_t len,
			   const struct addr *from, uint8_t *buf, size_t cap);
/* True for a Binding request that the server has signed with this client's password. */
bool client_is_check(const struct client *c, const uint8_t *data, size_t len);

/* ---- hub --------------------------------------------------------------------------- */
/* One socket for many clients on loopback: 127.(64+group).x.y, the same port for all;
 * `group` < 64 keeps several hubs apart. */
struct client_hub *client_hub_create(unsigned group) MUST_CHECK;
void client_hub_destroy(struct client_hub *h); /* after its clients */
int client_hub_fd(const struct client_hub *h);
/* Reads at most `max` datagrams and gives them to their clients; how many. */
unsigned client_hub_poll(struct client_hub *h, unsigned max, uint64_t now_us);
/* Of the datagram that is being given, when it got into the socket: CLOCK_REALTIME, ns; 0 unknown. */
uint64_t client_hub_arrival_ns(const struct client_hub *h);

#endif
