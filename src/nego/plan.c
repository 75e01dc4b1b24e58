/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What each section of an offer becomes.
 *
 * Invariant: a section is accepted only if it is bundled, muxed, has a mid that fits and
 * a codec we can forward; everything else is rejected, and does no harm to the rest.
 * Every source and slot of the plan belongs to exactly one accepted section.
 */
#include "nego_inner.h"
#include <palabre/crypto.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int fail(char *why, size_t why_len, int err, const char *text)
{
	snprintf(why, why_len, "%s", text);
	return err;
}

static bool is_bundled(const struct sdp *offer, const char *mid)
{
	unsigned i;

	for (i = 0; i < offer->bundle_count; i++)
		if (strcmp(offer->bundle[i], mid) == 0)
			return true;
	return false;
}

/* RFC 8829 §5.1.2: DTLS-SRTP with feedback, over whatever the candidates say. */
static bool proto_ok(const char *proto)
{
	return strcmp(proto, "UDP/TLS/RTP/SAVPF") == 0 ||
	       strcmp(proto, "TCP/TLS/RTP/SAVPF") == 0 || strcmp(proto, "RTP/SAVPF") == 0;
}

/* Port 0 means rejected, unless the section is only for the bundle (RFC 8843 §6). */
static bool section_usable(const struct sdp *offer, const struct sdp_media *m)
{
	size_t mid_len = strlen(m->mid);

	return (m->kind == SDP_AUDIO || m->kind == SDP_VIDEO) &&
	       (m->port || m->bundle_only) && mid_len > 0 && mid_len <= NEGO_MID_MAX &&
	       is_bundled(offer, m->mid) && proto_ok(m->proto);
}

static void section_start(struct verdict *v, const struct sdp_media *m)
{
	memset(v, 0, sizeof *v);
	snprintf(v->sec.mid, sizeof v->sec.mid, "%s", m->mid);
	v->sec.audio = m->kind == SDP_AUDIO;
}

/* Sets the use and what follows from it; a use without codec falls back to rejection. */
static void section_use(struct verdict *v, const struct sdp_media *m, enum use use)
{
	v->use = use;
	nego_select_exts(m, use, &v->sec);
	nego_select_codecs(m, use, &v->sec);
	if (v->sec.codec_count == 0)
		v->use = USE_REJECT;
}

static bool kinds_named(const struct nego_policy *policy)
{
	unsigned k;

	for (k = 0; k < STREAM_KINDS; k++)
		if (policy->kind_mids[k])
			return true;
	return false;
}

/* What the page sends in this section: by its mid, or the first kind not taken yet.
 * STREAM_KINDS if none. `taken` has a bit for each kind. */
static enum stream_kind kind_of(const struct nego_policy *policy,
				const struct sdp_media *m, unsigned taken)
{
	bool named = kinds_named(policy);
	enum stream_kind k;

	for (k = 0; k < STREAM_KINDS; k++) {
		if (stream_kind_is_audio(k) != (m->kind == SDP_AUDIO) ||
		    (taken & 1U << k))
			continue;
		if (!named ||
		    (policy->kind_mids[k] && strcmp(policy->kind_mids[k], m->mid) == 0))
			return k;
	}
	return STREAM_KINDS;
}

/* Encodings that can be told apart, if there are as many as we forward. A section of which they are not taken
 * is answered without a word of them: then the browser sends one. */
static void judge_rids(const struct nego_policy *policy, const struct sdp_media *m,
		       struct nego_source *src)
{
	if (policy->whip || src->kind != STREAM_CAMERA || m->rid_count < 2 ||
	    m->rid_count > NEGO_RIDS_MAX || !nego_has_ext(&src->sec, EXT_MID) ||
	    !nego_has_ext(&src->sec, EXT_RID))
		return;
	for (unsigned i = 0; i < m->rid_count; i++) {
		if (strlen(m->rids[i]) > NEGO_RID_MAX)
			return;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(m->rids[i], m->rids[k]) == 0)
				return;
	}
	src->rid_count = m->rid_count;
	for (unsigned i = 0; i < m->rid_count; i++)
		snprintf(src->rids[i], sizeof src->rids[i], "%s", m->rids[i]);
}

static void judge_source(const struct nego_policy *policy, const struct sdp_media *m,
			 unsigned *taken, struct nego_plan *plan, struct verdict *v)
{
	enum stream_kind kind = kind_of(policy, m, *taken);
	struct nego_source *src;

	if (kind == STREAM_KINDS) {
		section_use(v, m, USE_INACTIVE);
		return;
	}
	/* A forbidden microphone must not make the next section "the mic". */
	*taken |= 1U << kind;
	section_use(v, m, policy->may_send[kind] ? USE_SOURCE : USE_INACTIVE);
	if (v->use != USE_SOURCE)
		return;
	v->index = plan->source_count++;
	src = &plan->sources[v->index];
	*src = (struct nego_source) { .sec = v->sec, .kind = kind };
	judge_rids(policy, m, src);
	if (m->ssrc_count && m->rid_count == 0) {
		src->ssrc = m->ssrcs[0].ssrc;
		src->rtx_ssrc = m->ssrcs[0].rtx;
	}
}

static bool ssrc_taken(const struct sdp *offer, const struct nego_plan *plan,
		       uint32_t ssrc)
{
	unsigned i, k;

	if (ssrc == 0)
		return true;
	for (i = 0; i < plan->slot_count; i++)
		if (plan->slots[i].ssrc == ssrc || plan->slots[i].rtx_ssrc == ssrc)
			return true;
	for (i = 0; i < offer->media_count; i++)
		for (k = 0; k < offer->media[i].ssrc_count; k++)
			if (offer->media[i].ssrcs[k].ssrc == ssrc ||
			    offer->media[i].ssrcs[k].rtx == ssrc)
				return true;
	return false;
}

static uint32_t new_ssrc(const struct sdp *offer, const struct nego_plan *plan)
{
	uint32_t ssrc;

	do {
		ssrc = random_u32();
	} while (ssrc_taken(offer, plan, ssrc));
	return ssrc;
}

static bool has_rtx(const struct nego_section *sec)
{
	unsigned i;

	for (i = 0; i < sec->codec_count; i++)
		if (sec->codecs[i].rtx_pt)
			return true;
	return false;
}

/* Slots stand audio first in the plan: two passes, `audio` says which. */
static void judge_slots(const struct sdp *offer, unsigned max, bool audio,
			struct nego_plan *plan, struct verdict *verdicts)
{
	unsigned i, n = 0;

	for (i = 0; i < offer->media_count; i++) {
		const struct sdp_media *m = &offer->media[i];
		struct verdict *v = &verdicts[i];
		struct nego_slot *slot;

		if (v->use != USE_SLOT || v->sec.audio != audio)
			continue;
		section_use(v, m, n < max ? USE_SLOT : USE_INACTIVE);
		if (v->use != USE_SLOT)
			continue;
		n++;
		v->index = plan->slot_count;
		slot = &plan->slots[v->index];
		*slot = (struct nego_slot) { .sec = v->sec };
		plan->slot_count++; /* counted now: the two must differ from each other
				       too */
		slot->ssrc = new_ssrc(offer, plan);
		if (has_rtx(&v->sec))
			slot->rtx_ssrc = new_ssrc(offer, plan);
	}
}

static unsigned at_most(unsigned v, unsigned max)
{
	return v < max ? v : max;
}

/* Common to both ways of judging: is there anything left, and is it muxed? */
static int check_accepted(const struct sdp *offer, const struct verdict *verdicts,
			  char *why, size_t why_len)
{
	unsigned i, accepted = 0;

	if (offer->media_count == 0)
		return fail(why, why_len, -EBADMSG, "the offer has no sections");
	if (offer->bundle_count == 0)
		return fail(why, why_len, -EBADMSG, "the offer does not use BUNDLE");
	for (i = 0; i < offer->media_count; i++) {
		if (verdicts[i].use == USE_REJECT)
			continue;
		if (!offer->media[i].rtcp_mux)
			return fail(why, why_len, -EBADMSG,
				    "the offer does not use rtcp-mux");
		accepted++;
	}
	if (accepted == 0)
		return fail(why, why_len, -EBADMSG, "no codec in common in any section");
	return 0;
}

/* RFC 9725 §4.4.3: a publisher is taken whole, or its people would believe that they are
 * seen. */
static int check_whole(const struct sdp *offer, const struct verdict *verdicts, char *why,
		       size_t why_len)
{
	unsigned i;

	for (i = 0; i < offer->media_count; i++) {
		if (verdicts[i].use == USE_SOURCE)
			continue;
		snprintf(why, why_len,
			 "section %u (%s) is not one that this server takes: one audio "
			 "and two videos at most, sendonly, with a codec it knows",
			 i + 1, offer->media[i].kind_text);
		return -EBADMSG;
	}
	return 0;
}

int nego_judge(const struct sdp *offer, const struct nego_policy *policy,
	       struct nego_plan *plan, struct verdict *verdicts, char *why,
	       size_t why_len)
{
	unsigned audio_max = at_most(policy->audio_slots_max, NEGO_AUDIO_SLOTS_MAX);
	unsigned video_max = at_most(policy->video_slots_max, NEGO_VIDEO_SLOTS_MAX);
	unsigned i, taken = 0;
	int r;

	for (i = 0; i < offer->media_count; i++) {
		const struct sdp_media *m = &offer->media[i];
		struct verdict *v = &verdicts[i];

		section_start(v, m);
		if (!section_usable(offer, m))
			v->use = USE_REJECT;
		else if (m->dir & SDP_SENDONLY)
			judge_source(policy, m, &taken, plan, v);
		else if (m->dir == SDP_RECVONLY)
			v->use = USE_SLOT; /* for now */
		else
			section_use(v, m, USE_INACTIVE);
	}
	judge_slots(offer, audio_max, true, plan, verdicts);
	judge_slots(offer, video_max, false, plan, verdicts);
	r = check_accepted(offer, verdicts, why, why_len);
	return r == 0 && policy->whip ? check_whole(offer, verdicts, why, why_len) : r;
}

/* Everything `was` agreed on is still offered, under the same numbers. */
static bool section_covers(const struct nego_section *now, const struct nego_section *was)
{
	unsigned i;

	for (i = 0; i < was->codec_count; i++) {
		const struct nego_codec *a = &was->codecs[i], *b = nego_by_pt(now, a->pt);

		if (!b || b->codec != a->codec || b->rtx_pt != a->rtx_pt ||
		    b->red_pt != a->red_pt || b->h264_mode != a->h264_mode ||
		    b->h264_profile != a->h264_profile ||
		    b->vp9_profile != a->vp9_profile || (a->nack && !b->nack) ||
		    (a->pli && !b->pli) || (a->fir && !b->fir))
			return false;
	}
	for (i = 0; i < ARRAY_LEN(was->exts.of_id); i++)
		if (was->exts.of_id[i] && now->exts.of_id[i] != was->exts.of_id[i])
			return false;
	return was->audio == now->audio;
}

/* The encodings agreed on, in their order. */
static bool rids_kept(const struct sdp_media *m, const struct nego_source *was)
{
	if (!was->rid_count)
		return true;
	if (m->rid_count != was->rid_count)
		return false;
	for (unsigned i = 0; i < m->rid_count; i++)
		if (strcmp(m->rids[i], was->rids[i]) != 0)
			return false;
	return true;
}

/* One section of a plan that is in force, as the new offer has it. */
static int judge_kept(const struct sdp *offer, const struct sdp_media *m, enum use use,
		      unsigned index, const struct nego_section *was, struct verdict *v)
{
	enum sdp_dir need = use == USE_SOURCE ? SDP_SENDONLY : SDP_RECVONLY;

	if (m->port == 0 && !m->bundle_only)
		return 0; /* stopped for good; rejected as it stands */
	if (!section_usable(offer, m))
		return -EPROTO;
	section_use(v, m, use);
	if (v->use != use || !section_covers(&v->sec, was))
		return -EPROTO;
	v->sec = *was;
	v->index = index;
	if (!(m->dir & need))
		v->use = USE_INACTIVE;
	return 0;
}

int nego_judge_again(const struct sdp *offer, const struct nego_plan *plan,
		     struct verdict *verdicts, char *why, size_t why_len)
{
	unsigned source = 0, slot[2] = { 0, 0 }, i; /* slots met: audio, video */
	int r = 0;

	while (slot[1] < plan->slot_count && plan->slots[slot[1]].sec.audio)
		slot[1]++;
	const unsigned slot_end[2] = { slot[1], plan->slot_count };

	for (i = 0; i < offer->media_count && r == 0; i++) {
		const struct sdp_media *m = &offer->media[i];
		struct verdict *v = &verdicts[i];
		unsigned *s = &slot[m->kind == SDP_AUDIO ? 0 : 1];

		section_start(v, m);
		if (source < plan->source_count &&
		    strcmp(plan->sources[source].sec.mid, m->mid) == 0) {
			const struct nego_source *was = &plan->sources[source];

			r = judge_kept(offer, m, USE_SOURCE, source, &was->sec, v);
			if (v->use == USE_SOURCE && !rids_kept(m, was))
				r = -EPROTO;
			source++;
		} else if (*s < slot_end[m->kind == SDP_AUDIO ? 0 : 1] &&
			   strcmp(plan->slots[*s].sec.mid, m->mid) == 0) {
			r = judge_kept(offer, m, USE_SLOT, *s, &plan->slots[*s].sec, v);
			(*s)++;
		} else if (section_usable(offer, m)) {
			section_use(v, m, USE_INACTIVE);
		}
	}
	if (r < 0 || source != plan->source_count || slot[0] != slot_end[0] ||
	    slot[1] != slot_end[1])
		return fail(why, why_len, -EPROTO,
			    "the offer's sections are not those agreed on");
	return check_accepted(offer, verdicts, why, why_len);
}

int nego_find_remote(const struct sdp *offer, const struct verdict *verdicts,
		     struct remote *remote, char *why, size_t why_len)
{
	const struct sdp_ice *places[3] = { NULL, NULL, &offer->ice };
	const char *hash = NULL, *value = NULL;
	struct remote found = { .setup = SETUP_NONE };
	unsigned i;

	for (i = 0; i < offer->media_count; i++) {
		if (!places[0] && verdicts[i].use != USE_REJECT)
			places[0] = &offer->media[i].ice;
		if (strcmp(offer->media[i].mid, offer->bundle[0]) == 0)
			places[1] = &offer->media[i].ice;
	}
	for (i = 0; i < ARRAY_LEN(places); i++) {
		const struct sdp_ice *p = places[i];

		if (!p)
			continue;
		if (!found.ufrag && p->ufrag && p->pwd) {
			found.ufrag = p->ufrag;
			found.pwd = p->pwd;
		}
		if (!hash && p->fp_hash) {
			hash = p->fp_hash;
			value = p->fp_value;
		}
		if (found.setup == SETUP_NONE)
			found.setup = p->setup;
	}
	if (!found.ufrag)
		return fail(why, why_len, -EBADMSG, "the offer has no ICE credentials");
	if (!hash || strcasecmp(hash, "sha-256") != 0 ||
	    fingerprint_parse(value, found.fingerprint) < 0)
		return fail(why, why_len, -EBADMSG,
			    "the offer has no SHA-256 fingerprint");
	*remote = found;
	return 0;
}
