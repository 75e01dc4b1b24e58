/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opening what the peer sends, with libsrtp2 (on the ciphers of srtp_cipher.c).
 *
 * Invariant: libsrtp makes 5-20 kB of state for each new SSRC it has authenticated;
 * `ssrcs` lists exactly those, and once there are SSRCS_MAX of them a packet of another
 * is dropped before libsrtp sees it. A forged packet therefore never takes a place.
 */
#include "internal.h"
#include "srtp_cipher.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum {
	REPLAY_WINDOW = 1024, /* costs nothing; resends on the same SSRC come late */
	RTP_HEADER_MIN = 12,
	RTCP_HEADER = 8
};

static srtp_err_status_t init_status;

static void init_once(void)
{
	init_status = srtp_init();
	if (init_status == srtp_err_status_ok)
		init_status = srtp_ciphers_replace();
}

int srtp_open_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
	return init_status == srtp_err_status_ok ? 0 : -ENOMEM;
}

/* RFC 5764 §4.2: client key, server key, client salt, server salt. */
int srtp_keys(struct conn *c, enum srtp_profile profile, const uint8_t *material)
{
	bool gcm = profile == PROFILE_GCM;
	srtp_profile_t lib =
		gcm ? srtp_profile_aead_aes_128_gcm : srtp_profile_aes128_cm_sha1_80;
	size_t salt_len = gcm ? SRTP_SALT_GCM : SRTP_SALT_MAX;
	const uint8_t *client_salt = material + 2 * SRTP_KEY_BYTES;
	unsigned ours = c->dtls_client ? 0 : 1, theirs = 1 - ours;
	uint8_t key[SRTP_KEY_BYTES + SRTP_SALT_MAX];
	srtp_policy_t policy;
	int err = 0;

	memset(&policy, 0, sizeof policy);
	memcpy(key, material + theirs * SRTP_KEY_BYTES, SRTP_KEY_BYTES);
	memcpy(key + SRTP_KEY_BYTES, client_salt + theirs * salt_len, salt_len);
	srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, lib);
	srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, lib);
	policy.ssrc.type = ssrc_any_inbound;
	policy.key = key;
	policy.window_size = REPLAY_WINDOW;
	if (srtp_create(&c->srtp, &policy) != srtp_err_status_ok) {
		c->srtp = NULL;
		err = -ENOMEM;
	}
	OPENSSL_cleanse(key, sizeof key);
	if (!err)
		err = seal_init(&c->seal, profile, material + ours * SRTP_KEY_BYTES,
				client_salt + ours * salt_len);
	c->keyed = !err;
	return err;
}

void srtp_close(struct conn *c)
{
	if (c->srtp)
		srtp_dealloc(c->srtp);
	c->srtp = NULL;
	seal_fini(&c->seal);
	c->keyed = false;
}

static bool ssrc_known(const struct conn *c, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < c->ssrc_count; i++)
		if (c->ssrcs[i] == ssrc)
			return true;
	return false;
}

/* Fixed header, CSRCs and extension within the packet, room for a tag behind. libsrtp
 * checks too, but not in every release. */
static bool lengths_sane(const struct conn *c, const struct pkt *p, bool rtcp)
{
	size_t tag = c->seal.profile == PROFILE_GCM ? SEAL_TAG_GCM : SEAL_TAG_SHA1;
	size_t header;

	if (rtcp)
		return p->len >= RTCP_HEADER + tag + SRTCP_INDEX_BYTES;
	if (p->len < RTP_HEADER_MIN + tag)
		return false;
	header = RTP_HEADER_MIN + 4u * (p->data[0] & 15);
	if (p->data[0] & 0x10) {
		if (header + 4 > p->len)
			return false;
		header += 4 + 4u * get_be16(p->data + header + 2);
	}
	return header + tag <= p->len;
}

bool srtp_open(struct conn *c, struct pkt *p, bool rtcp)
{
	srtp_err_status_t status;
	int len = p->len;
	uint32_t ssrc;
	bool known;

	if (!lengths_sane(c, p, rtcp)) {
		STAT_INC(srtp_bad);
		return false;
	}
	ssrc = get_be32(p->data + (rtcp ? 4 : 8));
	known = ssrc_known(c, ssrc);
	if (!known && c->ssrc_count == SSRCS_MAX) {
		STAT_INC(ssrc_limit);
		return false;
	}
	status = rtcp ? srtp_unprotect_rtcp(c->srtp, p->data, &len)
		      : srtp_unprotect(c->srtp, p->data, &len);
	if (status != srtp_err_status_ok) {
		if (status == srtp_err_status_replay_fail ||
		    status == srtp_err_status_replay_old)
			STAT_INC(srtp_replay);
		else if (status == srtp_err_status_auth_fail)
			STAT_INC(srtp_auth);
		else
			STAT_INC(srtp_bad);
		return false;
	}
	if (!known)
		c->ssrcs[c->ssrc_count++] = ssrc;
	p->len = (uint16_t)len;
	return true;
}
