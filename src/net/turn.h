/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One client's TURN (RFC 8656), without sockets or clock: units in, answers and packets out. It relays to
 * this server's own media only: there is no relay socket, and the relayed address is the client's own as
 * we see it, so that what the media answers to checks agrees with it. Control thread.
 */
#ifndef PALABRE_NET_TURN_H
#define PALABRE_NET_TURN_H

#include <palabre/crypto.h>
#include <palabre/net.h>
#include <palabre/wire.h>

enum {
	TURN_KEY_BYTES = 16,
	TURN_NONCE_BYTES = 16,
	TURN_LIFETIME_S = 600,
	TURN_LIFETIME_MAX_S = 3600,
	TURN_REFUSALS_MAX = 16 /* then the client is sent away */
};

struct turn_peer {
	struct addr addr; /* family 0: free */
	uint16_t channel; /* 0: none, it gets Data indications */
};
struct turn {
	struct addr client;
	bool allocated;
	char name[TURN_NAME_MAX]; /* of the allocation */
	uint8_t key[TURN_KEY_BYTES];
	char nonce[TURN_NONCE_BYTES + 1];
	uint64_t until_s; /* the allocation's */
	unsigned refusals;
	struct turn_peer peers[TURN_PEERS_MAX];
};
struct turn_calls {
	/* The password of a name; 0 or negative. */
	int (*password)(void *arg, const char *name, size_t len,
			char password[TOKEN_TEXT_MAX]);
	/* Is that where this server's media is? Port 0: any of its ports. */
	bool (*ours)(void *arg, const struct addr *peer);
	/* For the client, a whole message. */
	void (*say)(void *arg, const uint8_t *data, size_t len);
	/* From the client to peers[i]. */
	void (*packet)(void *arg, unsigned i, const uint8_t *data, size_t len);
};
void turn_init(struct turn *t, const struct addr *client);
/* A unit of the stream (turn_unit()). 0; -ECANCELED the client has ended it, -EBADMSG, -EACCES: it is to be
 * closed. */
int turn_on_unit(struct turn *t, const uint8_t *unit, size_t len, uint64_t now_s,
		 const struct turn_calls *calls, void *arg) MUST_CHECK;
/* A packet of peers[i] as the client gets it; 0 if it has no room. */
size_t turn_wrap(const struct turn *t, unsigned i, const uint8_t *data, size_t len,
		 uint8_t out[TURN_UNIT_MAX]);

#endif
