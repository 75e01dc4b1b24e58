/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The doors of nego: answer, restart, WHIP's fragment, and finding a codec.
 *
 * Invariant: the caller's plan and text change only when everything has succeeded.
 */
#include "nego_inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const stream_kind_names[STREAM_KINDS] = {
	[STREAM_MIC] = "mic",
	[STREAM_CAMERA] = "camera",
	[STREAM_SCREEN] = "screen",
	[STREAM_SCREEN_AUDIO] = "screenaudio",
};

static bool text_fits(const char *s, size_t max)
{
	return s && s[0] && strlen(s) <= max;
}

static int check_policy(const struct nego_policy *p, char *why, size_t why_len)
{
	if (text_fits(p->local_ufrag, NEGO_UFRAG_MAX) &&
	    text_fits(p->local_pwd, NEGO_PWD_MAX) &&
	    text_fits(p->fingerprint, SDP_TEXT_MAX))
		return 0;
	snprintf(why, why_len, "the server has no credentials to answer with");
	return -EINVAL;
}

static void plan_put_transport(struct nego_plan *plan, const struct nego_policy *policy,
			       const struct remote *remote)
{
	snprintf(plan->local_ufrag, sizeof plan->local_ufrag, "%s", policy->local_ufrag);
	snprintf(plan->local_pwd, sizeof plan->local_pwd, "%s", policy->local_pwd);
	snprintf(plan->remote_ufrag, sizeof plan->remote_ufrag, "%s", remote->ufrag);
	snprintf(plan->remote_pwd, sizeof plan->remote_pwd, "%s", remote->pwd);
	memcpy(plan->remote_fingerprint, remote->fingerprint,
	       sizeof plan->remote_fingerprint);
}

/* Writes to a text of its own, so that half an answer is never seen. */
static int finish(const struct sdp *offer, const struct nego_policy *policy,
		  const struct nego_plan *plan, const struct verdict *verdicts,
		  unsigned version, struct text *answer, char *why, size_t why_len)
{
	struct text t = { 0 };

	nego_write(offer, policy, plan, verdicts, version, &t);
	if (!t.bad)
		text_add_bytes(answer, t.s, t.len);
	else
		answer->bad = true;
	text_free(&t);
	if (!answer->bad)
		return 0;
	snprintf(why, why_len, "out of memory");
	return -ENOBUFS;
}

int nego_answer(const struct sdp *offer, const struct nego_policy *policy,
		struct nego_plan *plan, struct text *answer, char *why, size_t why_len)
{
	struct verdict verdicts[SDP_MEDIA_MAX];
	struct nego_plan p = { 0 };
	struct remote remote;
	int r;

	r = check_policy(policy, why, why_len);
	if (r == 0)
		r = nego_judge(offer, policy, &p, verdicts, why, why_len);
	if (r == 0)
		r = nego_find_remote(offer, verdicts, &remote, why, why_len);
	if (r < 0)
		return r;
	plan_put_transport(&p, policy, &remote);
	/* We leave the first flight to them wherever they leave us the choice (RFC 8842
	 * §5.3): they know when ICE has found a way. */
	p.dtls_client = remote.setup == SETUP_PASSIVE;
	r = finish(offer, policy, &p, verdicts, 1, answer, why, why_len);
	if (r == 0)
		*plan = p;
	return r;
}

/* The roles of a DTLS association stay as they are (RFC 8842 §5.5). */
static bool role_kept(const struct nego_plan *plan, enum sdp_setup offered)
{
	return offered == SETUP_ACTPASS || offered == SETUP_NONE ||
	       (offered == SETUP_PASSIVE) == plan->dtls_client;
}

int nego_restart(const struct sdp *offer, const struct nego_policy *policy,
		 struct nego_plan *plan, struct text *answer, char *why, size_t why_len)
{
	struct verdict verdicts[SDP_MEDIA_MAX];
	struct nego_policy with = *policy;
	struct nego_plan p = *plan;
	struct remote remote;
	int r;

	r = check_policy(policy, why, why_len);
	if (r == 0)
		r = nego_judge_again(offer, plan, verdicts, why, why_len);
	if (r == 0)
		r = nego_find_remote(offer, verdicts, &remote, why, why_len);
	if (r < 0)
		return r;
	if (!equal_constant_time(remote.fingerprint, plan->remote_fingerprint,
				 sizeof remote.fingerprint)) {
		snprintf(why, why_len, "the fingerprint has changed");
		return -EACCES;
	}
	if (!role_kept(plan, remote.setup)) {
		snprintf(why, why_len, "the DTLS role has changed");
		return -EPROTO;
	}
	if (strcmp(remote.ufrag, plan->remote_ufrag) == 0 &&
	    strcmp(remote.pwd, plan->remote_pwd) == 0) {
		with.local_ufrag = plan->local_ufrag;
		with.local_pwd = plan->local_pwd;
	} else {
		p.restarts++;
	}
	plan_put_transport(&p, &with, &remote);
	r = finish(offer, &with, &p, verdicts, 2, answer, why, why_len);
	if (r == 0)
		*plan = p;
	return r;
}

/* The value of the first line that begins with `name`; its length, or 0. */
static size_t find_line(const char *text, size_t len, const char *name,
			const char **value)
{
	size_t name_len = strlen(name);
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		if (n && p[n - 1] == '\r')
			n--;
		if (n > name_len && memcmp(p, name, name_len) == 0) {
			*value = p + name_len;
			return n - name_len;
		}
		p = nl ? nl + 1 : end;
	}
	return 0;
}

int nego_read_fragment(const char *text, size_t len, char ufrag[SDP_TEXT_MAX + 1],
		       char pwd[SDP_TEXT_MAX + 1])
{
	const char *u = NULL, *p = NULL;
	size_t u_len, p_len;

	if (len == 0 || len > SDP_BYTES_MAX)
		return -EBADMSG;
	u_len = find_line(text, len, "a=ice-ufrag:", &u);
	p_len = find_line(text, len, "a=ice-pwd:", &p);
	if (!sdp_ice_text_valid(u, u_len, SDP_UFRAG_MIN) ||
	    !sdp_ice_text_valid(p, p_len, SDP_PWD_MIN))
		return -EBADMSG;
	memcpy(ufrag, u, u_len);
	ufrag[u_len] = 0;
	memcpy(pwd, p, p_len);
	pwd[p_len] = 0;
	return 0;
}

/* Constraint flags matter only where RFC 6184 table 5 says so: constrained Baseline is
 * Baseline's profile_idc with flag 1 (0x40), or Main's with flag 0 (0x80); the rest are
 * equal when written equal. */
static uint16_t h264_kind(uint16_t profile)
{
	uint16_t idc = profile & 0xff00, iop = profile & 0xff;

	if ((idc == 0x4200 && (iop & 0x40)) || (idc == 0x4d00 && (iop & 0x80)))
		return 0x4240;
	if (idc == 0x4200 || idc == 0x4d00)
		return idc;
	return profile;
}

const struct nego_codec *nego_match(const struct nego_section *sec,
				    const struct nego_codec *c)
{
	unsigned i;

	for (i = 0; i < sec->codec_count; i++) {
		const struct nego_codec *own = &sec->codecs[i];

		if (own->codec != c->codec)
			continue;
		if (c->codec == CODEC_H264 &&
		    (own->h264_mode != c->h264_mode ||
		     h264_kind(own->h264_profile) != h264_kind(c->h264_profile)))
			continue;
		if (c->codec == CODEC_VP9 && own->vp9_profile != c->vp9_profile)
			continue;
		return own;
	}
	return NULL;
}

const struct nego_codec *nego_by_pt(const struct nego_section *sec, uint8_t pt)
{
	unsigned i;

	for (i = 0; i < sec->codec_count; i++)
		if (sec->codecs[i].pt == pt || (pt && sec->codecs[i].red_pt == pt))
			return &sec->codecs[i];
	return NULL;
}
