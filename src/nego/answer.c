/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Writing an answer (RFC 8829 §5.3, RFC 8843 §7.3).
 *
 * Invariant: as many sections as the offer, in its order, with its mids; what is copied
 * from the offer has been through the SDP parser, so it cannot bring a line of its own.
 * Transport's lines stand in every accepted section, though BUNDLE asks for them in the
 * first only: not every WHIP client looks there.
 */
#include "nego_inner.h"

#include <string.h>

/*
 * Type preferences. RFC 8445 §5.1.2.2 recommends 126 for hosts; ours are lower than any of
 * the browser's, so that they decide about a pair's priority (§6.1.2.3), and rise with each
 * ICE restart: Chromium stays for 3.5 s on the path in use, though nothing comes over it,
 * but moves at once to a new one of higher priority (measured: sound is back 1.8 s after a
 * silent death, 3.7 s without). TCP is below every UDP. IPv4 comes before IPv6 then, where
 * the browser has both: 20 bytes less a packet.
 */
enum {
	PREF_UDP = 50,
	PREF_TCP = 10,
	PREF_RESTARTS_MAX = 39,
	PREF_LOCAL_MAX = 65535,
	PREF_TCP_PASSIVE = 4 << 13, /* RFC 6544 §4.2 */
	PREF_TCP_OTHER_MAX = 8191
};

/* Chromium would begin with 300 kbit/s. With 100 it finds what a link of 3 Mbit/s bears within 2.5 s, by its probes, but they fill
 * the queue of one of 100 kbit/s for 0.45 s (2.9 % of the voice concealed; with 30: 0.19 s and 0.2 %, and 122 kbit/s
 * after 25 s on the good one). Below, VP8 sends nothing. */
enum { START_KBIT = 30 };

static const char *const codec_names[CODEC_COUNT] = {
	[CODEC_OPUS] = "opus/48000/2", [CODEC_PCMU] = "PCMU/8000",
	[CODEC_PCMA] = "PCMA/8000",    [CODEC_VP8] = "VP8/90000",
	[CODEC_VP9] = "VP9/90000",     [CODEC_AV1] = "AV1/90000",
	[CODEC_H264] = "H264/90000",
};

static void put_candidates(struct text *t, const struct nego_policy *policy,
			   unsigned restarts)
{
	unsigned more = restarts < PREF_RESTARTS_MAX ? restarts : PREF_RESTARTS_MAX;
	char ip[ADDR_TEXT_MAX];
	unsigned i;

	for (i = 0; i < policy->candidate_count && i < NEGO_CANDIDATES_MAX; i++) {
		const struct nego_candidate *c = &policy->candidates[i];
		uint32_t type = (c->tcp ? PREF_TCP : PREF_UDP) + more;
		uint32_t local = c->tcp ? PREF_TCP_PASSIVE + PREF_TCP_OTHER_MAX - i
					: PREF_LOCAL_MAX - i;

		text_add(t, "a=candidate:%u 1 %s %u %s %u typ host%s\r\n", i + 1,
			 c->tcp ? "tcp" : "udp", type << 24 | local << 8 | 255,
			 addr_ip_text(&c->addr, ip), c->addr.port,
			 c->tcp ? " tcptype passive" : "");
	}
	text_add(t, "a=end-of-candidates\r\n");
}

/* The one place that lists what feedback we give and want. */
static void put_feedback(struct text *t, const struct nego_codec *c)
{
	if (c->nack)
		text_add(t, "a=rtcp-fb:%u nack\r\n", c->pt);
	if (c->twcc)
		text_add(t, "a=rtcp-fb:%u transport-cc\r\n", c->pt);
	if (c->pli)
		text_add(t, "a=rtcp-fb:%u nack pli\r\n", c->pt);
	if (c->fir)
		text_add(t, "a=rtcp-fb:%u ccm fir\r\n", c->pt);
	if (c->rrtr)
		text_add(t, "a=rtcp-fb:%u rrtr\r\n", c->pt);
}

/* "key=value" as offered, if it is there. `n` counts what stands already. */
static void put_copied(struct text *t, const char *fmtp, const char *key, unsigned *n)
{
	const char *value;
	size_t len;

	if (!sdp_fmtp_get(fmtp, key, &value, &len) || len == 0)
		return;
	text_add(t, "%s%s=%.*s", (*n)++ ? ";" : "", key, (int)len, value);
}

static void put_fmtp(struct text *t, const struct nego_codec *c,
		     const struct sdp_codec *offered, enum use use)
{
	static const char *const copied_h264[] = { "level-asymmetry-allowed",
						   "packetization-mode",
						   "profile-level-id" };
	static const char *const copied_av1[] = { "level-idx", "profile", "tier" };
	struct text line = { 0 };
	unsigned i, n = 0;

	if (c->codec == CODEC_OPUS) {
		/* Never stereo=1: it switches Opus to music mode. */
		text_add(&line, "minptime=10;useinbandfec=1%s",
			 use == USE_SOURCE ? ";usedtx=1" : "");
	} else if (c->codec == CODEC_VP9) {
		text_add(&line, "profile-id=%u", c->vp9_profile);
	} else if (c->codec == CODEC_H264) {
		for (i = 0; i < ARRAY_LEN(copied_h264); i++)
			put_copied(&line, offered->fmtp, copied_h264[i], &n);
	} else if (c->codec == CODEC_AV1) {
		for (i = 0; i < ARRAY_LEN(copied_av1); i++)
			put_copied(&line, offered->fmtp, copied_av1[i], &n);
	}
	if (use == USE_SOURCE && c->codec != CODEC_OPUS)
		text_add(&line, "%sx-google-start-bitrate=%u", line.len ? ";" : "",
			 START_KBIT);
	if (line.len)
		text_add(t, "a=fmtp:%u %s\r\n", c->pt, line.s);
	t->bad |= line.bad;
	text_free(&line);
}

static void put_codecs(struct text *t, const struct sdp_media *m, const struct verdict *v)
{
	unsigned i;

	for (i = 0; i < v->sec.codec_count; i++) {
		const struct nego_codec *c = &v->sec.codecs[i];

		text_add(t, "a=rtpmap:%u %s\r\n", c->pt, codec_names[c->codec]);
		put_feedback(t, c);
		put_fmtp(t, c, nego_offered(m, c->pt), v->use);
		if (c->red_pt)
			text_add(t, "a=rtpmap:%u red/48000/2\r\na=fmtp:%u %u/%u\r\n",
				 c->red_pt, c->red_pt, c->pt, c->pt);
		if (c->rtx_pt)
			text_add(t, "a=rtpmap:%u rtx/90000\r\na=fmtp:%u apt=%u\r\n",
				 c->rtx_pt, c->rtx_pt, c->pt);
	}
}

/* A direction in the offer is answered with its other end (RFC 8285 §5). */
static const char *ext_way(const struct sdp_media *m, unsigned id)
{
	unsigned i;

	for (i = 0; i < m->ext_count; i++) {
		if (m->exts[i].id != id)
			continue;
		if (m->exts[i].dir == SDP_SENDONLY)
			return "/recvonly";
		if (m->exts[i].dir == SDP_RECVONLY)
			return "/sendonly";
	}
	return "";
}

static void put_exts(struct text *t, const struct sdp_media *m,
		     const struct nego_section *sec)
{
	unsigned id;

	for (id = 0; id < ARRAY_LEN(sec->exts.of_id); id++)
		if (sec->exts.of_id[id])
			text_add(t, "a=extmap:%u%s %s\r\n", id, ext_way(m, id),
				 nego_ext_uri(sec->exts.of_id[id]));
}

static void put_slot(struct text *t, const struct nego_slot *slot)
{
	const char *mid = slot->sec.mid;

	text_add(t, "a=msid:slot-%s slot-%s\r\n", mid, mid);
	if (slot->rtx_ssrc)
		text_add(t, "a=ssrc-group:FID %u %u\r\n", slot->ssrc, slot->rtx_ssrc);
	text_add(t, "a=ssrc:%u cname:slot-%s\r\n", slot->ssrc, mid);
	if (slot->rtx_ssrc)
		text_add(t, "a=ssrc:%u cname:slot-%s\r\n", slot->rtx_ssrc, mid);
}

/* RFC 8853 §5.3; restrictions of ours there are none. */
static void put_rids(struct text *t, const struct nego_source *src)
{
	for (unsigned i = 0; i < src->rid_count; i++)
		text_add(t, "a=rid:%s recv\r\n", src->rids[i]);
	for (unsigned i = 0; i < src->rid_count; i++)
		text_add(t, "%s%s", i ? ";" : "a=simulcast:recv ", src->rids[i]);
	if (src->rid_count)
		text_add(t, "\r\n");
}

static void put_rejected(struct text *t, const struct sdp_media *m)
{
	text_add(t, "m=%s 0 %s %s\r\nc=IN IP4 0.0.0.0\r\n", m->kind_text, m->proto,
		 m->fmt);
	if (m->mid[0])
		text_add(t, "a=mid:%s\r\n", m->mid);
	text_add(t, "a=inactive\r\n");
}

static void put_accepted(struct text *t, const struct nego_policy *policy,
			 const struct nego_plan *plan, const struct sdp_media *m,
			 const struct verdict *v, bool first)
{
	static const char *const directions[] = { [USE_INACTIVE] = "inactive",
						  [USE_SOURCE] = "recvonly",
						  [USE_SLOT] = "sendonly" };
	unsigned i;

	text_add(t, "m=%s 9 %s", v->sec.audio ? "audio" : "video", m->proto);
	for (i = 0; i < v->sec.codec_count; i++) {
		text_add(t, " %u", v->sec.codecs[i].pt);
		/* RED second: a browser sends what stands first. */
		if (v->sec.codecs[i].red_pt)
			text_add(t, " %u", v->sec.codecs[i].red_pt);
		if (v->sec.codecs[i].rtx_pt)
			text_add(t, " %u", v->sec.codecs[i].rtx_pt);
	}
	text_add(t,
		 "\r\nc=IN IP4 0.0.0.0\r\na=mid:%s\r\na=%s\r\n"
		 "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:sha-256 "
		 "%s\r\na=setup:%s\r\n"
		 "a=rtcp-mux\r\n",
		 v->sec.mid, directions[v->use], policy->local_ufrag, policy->local_pwd,
		 policy->fingerprint, plan->dtls_client ? "active" : "passive");
	if (m->rtcp_rsize)
		text_add(t, "a=rtcp-rsize\r\n");
	if (first)
		put_candidates(t, policy, plan->restarts);
	put_exts(t, m, &v->sec);
	put_codecs(t, m, v);
	if (v->use == USE_SLOT)
		put_slot(t, &plan->slots[v->index]);
	else if (v->use == USE_SOURCE)
		put_rids(t, &plan->sources[v->index]);
}

/* RFC 8840 §4.4; RFC 9725 §4.3.3 wants the section that stands for the bundle. */
void nego_write_fragment(const struct nego_plan *plan, const struct nego_policy *policy,
			 struct text *t)
{
	const struct nego_section *sec = &plan->sources[0].sec;
	unsigned i;

	text_add(t, "a=ice-lite\r\na=group:BUNDLE");
	for (i = 0; i < plan->source_count; i++)
		text_add(t, " %s", plan->sources[i].sec.mid);
	text_add(t,
		 "\r\nm=%s 9 UDP/TLS/RTP/SAVPF %u\r\na=mid:%s\r\n"
		 "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n",
		 sec->audio ? "audio" : "video", sec->codecs[0].pt, sec->mid,
		 plan->local_ufrag, plan->local_pwd);
	put_candidates(t, policy, plan->restarts);
}

void nego_write(const struct sdp *offer, const struct nego_policy *policy,
		const struct nego_plan *plan, const struct verdict *verdicts,
		unsigned version, struct text *t)
{
	bool first = true;
	unsigned i;

	text_add(t, "v=0\r\no=palabre 1 %u IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
		 version);
	text_add(t, "a=ice-lite\r\na=group:BUNDLE");
	for (i = 0; i < offer->media_count; i++)
		if (verdicts[i].use != USE_REJECT)
			text_add(t, " %s", verdicts[i].sec.mid);
	text_add(t, "\r\na=msid-semantic: WMS *\r\n");
	for (i = 0; i < offer->media_count; i++) {
		if (verdicts[i].use == USE_REJECT) {
			put_rejected(t, &offer->media[i]);
			continue;
		}
		put_accepted(t, policy, plan, &offer->media[i], &verdicts[i], first);
		first = false;
	}
}
