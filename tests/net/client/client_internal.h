/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the test client's files share. */
#ifndef PALABRE_TEST_CLIENT_INTERNAL_H
#define PALABRE_TEST_CLIENT_INTERNAL_H

#include "client.h"

#include <openssl/ssl.h>
#include <srtp2/srtp.h>

enum {
	CLIENT_MTU = 1200,
	CLIENT_BUF = 2048,
	UFRAG_LEN = 8,
	PWD_LEN = 24,
	TEXT_MAX = 257
};

struct client {
	struct client_params p;
	struct client_section sections[CLIENT_SECTIONS_MAX];
	uint32_t slot_ssrc[CLIENT_SECTIONS_MAX];
	struct client_manners manners;
	struct client_counts counts;

	int fd;
	unsigned hub_index;
	bool have_remote;
	struct addr server, mapped;

	/* Next pair of credentials is sent in offers, the one in `ufrag` goes with the
	 * remote's. */
	char ufrag[UFRAG_LEN + 1], pwd[PWD_LEN + 1];
	char remote_ufrag[TEXT_MAX], remote_pwd[TEXT_MAX];
	uint8_t remote_fingerprint[FINGERPRINT_BYTES];
	uint64_t tie;
	uint8_t check_id[12];
	uint64_t check_sent_us, check_due_us, rtt_us;
	bool checked;

	SSL_CTX *ssl_ctx;
	SSL *ssl;
	BIO *in, *out;
	bool dtls_started, up, failed, closed;
	uint64_t dtls_due_us;
	srtp_t tx, rx;
};

/* ---- client.c ---------------------------------------------------------------------- */
void client_out(struct client *c, const uint8_t *data, size_t len);

/* ---- client_stun.c ----------------------------------------------------------------- */
void stun_input(struct client *c, uint8_t *data, size_t len, uint64_t now_us);
void stun_run(struct client *c, uint64_t now_us);

/* ---- client_dtls.c ----------------------------------------------------------------- */
int dtls_setup(struct client *c) MUST_CHECK;
void dtls_teardown(struct client *c);
/* data NULL: start or timer. */
void dtls_input(struct client *c, const uint8_t *data, size_t len, uint64_t now_us);
void dtls_timer(struct client *c, uint64_t now_us);

/* ---- client_hub.c ------------------------------------------------------------------ */
int hub_join(struct client_hub *h, struct client *c) MUST_CHECK;
void hub_leave(struct client_hub *h, struct client *c);
void hub_send(struct client_hub *h, const struct client *c, const uint8_t *data,
	      size_t len);

#endif
