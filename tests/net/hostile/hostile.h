/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Bad input against a real palabred on loopback, while a call goes on beside it and must
 * lose nothing. A family of attacks is one file and one function; families run one after
 * another, those that must wait for the server's patience in threads of their own. Each
 * attacker has a source address of its own (127.0.x.y is all ours), so that limits per
 * address hit it and nobody else.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <palabre/base.h>

#include "client.h"
#include "server.h"

#define CALL_ADDRESS "127.0.0.1"

enum { REQUEST_TIMEOUT_S = 3, JOINS_PER_MINUTE = 120 };

/* What an attacker who is in the call says behind the TOC, so that the call knows it. */
enum { VOICE_MARK = 0xbad1 };

struct call;
struct hostile {
	struct server server;
	struct signal_link spare; /* a room where attackers are among themselves */
	struct cert *cert;	  /* of all test clients */
	struct call *call;
	struct watch *watch; /* the server's log */
};

/* ---- judgement (judge.c), any thread ----------------------------------------------- */

/* What is being tried, for the messages of this thread; "family: attack". */
void trying(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Counts and prints a failure unless ok. */
bool expect(bool ok, const char *fmt, ...) PRINTF_LIKE(2, 3);
unsigned failures(void);

/* The server's counters, from its log (SIGUSR1). */
enum { COUNTERS_MAX = 96, COUNTER_NAME_MAX = 32 };
struct counters {
	unsigned count;
	struct {
		char name[COUNTER_NAME_MAX];
		uint64_t value;
	} of[COUNTERS_MAX];
};
struct watch *watch_create(int log); /* reads the log until it ends */
void watch_destroy(struct watch *w);
bool counters_read(struct hostile *h, struct counters *out);
uint64_t counter(const struct counters *c, const char *name);
/* Within two seconds the counters `names` (separated by spaces) have together grown by
 * `least` or more: others may add to them. The growth seen. */
uint64_t expect_grown(struct hostile *h, const struct counters *before, const char *names,
		      uint64_t least);

/* ---- sockets (judge.c) ------------------------------------------------------------- */

/* Connected to the server from an address of ours; -1 after saying so. */
int udp_from(const struct hostile *h, const char *address);
int tcp_from(const struct hostile *h, const char *address);
/* What has come back on it within `ms`: bytes, with IP and UDP headers. */
uint64_t udp_received(int fd, int ms);
enum { UDP_OVERHEAD = 28 };
/* Reads until the server closes; the milliseconds it took, or -1 after `ms`. */
int closed_within(int fd, int ms);
void pause_ms(int ms);
/* The same bytes in every run. */
void noise(uint8_t *out, size_t len, uint32_t seed);

/* ---- HTTP (ask.c) ------------------------------------------------------------------ */

struct reply {
	int status;    /* 0: closed without an answer, -1: nothing in time */
	char code[32]; /* "error" of a JSON body */
	char head[1024];
	char *body; /* of reply.text, terminated */
	char text[64 * 1024];
};
/* Sends `len` bytes (which may be less or more than a request) and reads one answer. */
int ask(const struct hostile *h, const char *address, const void *data, size_t len,
	struct reply *r);
/* POSTs JSON or SDP; `headers` are whole lines. */
int post(const struct hostile *h, const char *address, const char *path,
	 const char *headers, const void *body, size_t len, struct reply *r);
/* {"token","name","offer"} for a room; the caller frees. */
char *join_body(const struct signal_link *link, const char *name, const char *offer);

/* ---- an attacker with a media connection (peer.c) ---------------------------------- */

enum {
	PEER_SLOT_FIRST = 2,
	PEER_SLOTS = 7,
	PEER_AUDIO = 3
}; /* sections: three audio, four video */
struct peer {
	const struct hostile *h;
	const struct signal_link *link;
	struct client *client;
	struct signal_join join;
	int fd; /* its UDP socket, or TCP when framed */
	bool tcp;
	bool hold_dtls; /* keep the first DTLS packet back, in `hello` */
	bool closed;	/* by the server (TCP) */
	uint8_t hello[2048];
	size_t hello_len;
	uint32_t audio_ssrc, video_ssrc;
	uint16_t seq;
	uint64_t rtp_bytes;	       /* opened */
	uint16_t slot_seq[PEER_SLOTS]; /* last number of each slot */
	uint64_t slot_packets[PEER_SLOTS], slot_bytes[PEER_SLOTS]; /* RTX apart */
	size_t in_len;
	uint8_t in[8192]; /* TCP: frames not yet whole */
};
/* Joins the room; `media` as for signal_join. Not connected yet. 0 or -1 after saying
 * why. */
int peer_join(struct peer *p, const struct hostile *h, const struct signal_link *link,
	      const char *media, bool tcp);
/* Polls it for so long. */
void peer_run(struct peer *p, int ms);
/* Until it has keys; false after 10 s. */
bool peer_connect(struct peer *p);
/* Ends its stay and its connection. */
void peer_leave(struct peer *p);
/* Offers of the first `sections` of: microphone, camera, three and four slots. The caller
 * frees. */
char *make_offer(const struct hostile *h, unsigned sections);
/* The SSRC of its i-th slot. */
uint32_t peer_slot(const struct peer *p, unsigned i);
/* An audio packet of its own, plain; the length. */
size_t peer_audio(struct peer *p, uint8_t *buf, uint32_t ssrc);

/* ---- the call beside (call.c) ------------------------------------------------------ */

/* Three people, each with a microphone and a camera. NULL after saying why. */
struct call *call_start(struct hostile *h);
/* Is everybody being heard and seen, and has nobody lost anything so far? Says so if not.
 */
void call_expect_good(struct call *c);
/* What they have heard of an attacker in the call, packets. */
uint64_t call_foreign(const struct call *c);
/* Stops sending, waits for what is under way, judges, prints the sums. */
void call_end(struct call *c);

/* ---- families ---------------------------------------------------------------------- */

void attack_datagrams(struct hostile *h); /* strangers on UDP */
void attack_checks(struct hostile *h);	  /* STUN and DTLS */
void attack_srtp(struct hostile *h);	  /* peers: replayed, forged, nonsense */
void attack_rtcp(struct hostile *h);
void attack_voices(struct hostile *h);	   /* sound that lies, in the call */
void attack_moderation(struct hostile *h); /* who does not care what is decided */
void attack_frames(struct hostile *h);	   /* RFC 4571 */
void attack_http(struct hostile *h);
void attack_bodies(struct hostile *h);
void attack_offers(struct hostile *h);
void attack_websockets(struct hostile *h);
/* In threads of their own. */
void wait_slow_http(struct hostile *h);
void wait_slow_body(struct hostile *h);
void wait_crowded(struct hostile *h);
void wait_first_byte(struct hostile *h);
void wait_half_frame(struct hostile *h);
void wait_unknown_frames(struct hostile *h);
void wait_left_frames(struct hostile *h);
void wait_no_hello(struct hostile *h);
void wait_no_pong(struct hostile *h);

#endif
