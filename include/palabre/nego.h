/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nego: offer + policy + ids → answer + plan of the leg. Pure, level 2, any thread.
 *
 * A page makes one PeerConnection and one offer: sending sections (microphone, camera, screen,
 * screen's sound) and receiving sections, which become *slots*: places where the server can
 * put any stream. The answer accepts, per section, only codecs that the relay forwards.
 */
#ifndef PALABRE_NEGO_H
#define PALABRE_NEGO_H

#include <palabre/wire.h>

enum {
	NEGO_SOURCES_MAX = 4,
	NEGO_AUDIO_SLOTS_MAX = 3,
	NEGO_VIDEO_SLOTS_MAX = 9,
	NEGO_SLOTS_MAX = NEGO_AUDIO_SLOTS_MAX + NEGO_VIDEO_SLOTS_MAX,
	NEGO_CODECS_MAX = 12,
	NEGO_RIDS_MAX = 3,
	NEGO_RID_MAX = 16,
	NEGO_MID_MAX = 16,
	NEGO_UFRAG_MAX = 32,
	NEGO_PWD_MAX = 64,
	NEGO_CANDIDATES_MAX = 16
};

enum stream_kind {
	STREAM_MIC,
	STREAM_CAMERA,
	STREAM_SCREEN,
	STREAM_SCREEN_AUDIO,
	STREAM_KINDS
};
/* "mic", "camera", "screen", "screenaudio" */
extern const char *const stream_kind_names[STREAM_KINDS];
static inline bool stream_kind_is_audio(enum stream_kind k)
{
	return k == STREAM_MIC || k == STREAM_SCREEN_AUDIO;
}

/* One way of encoding both sides agreed on in a section. */
struct nego_codec {
	uint8_t codec; /* enum codec_id */
	uint8_t pt;
	uint8_t rtx_pt;	       /* 0 = none */
	uint8_t red_pt;	       /* of RED that repeats it (Opus), 0 = none */
	uint8_t h264_mode;     /* packetization-mode */
	uint16_t h264_profile; /* profile_idc << 8 | profile-iop (constraint flags) */
	uint8_t vp9_profile;
	bool nack, pli, fir;
	bool twcc; /* transport-wide feedback: of a slot comes to us, of a source goes back */
	bool rrtr; /* of a slot: it asks how long the way is (RFC 3611 §4.4) */
};
struct nego_section {
	char mid[NEGO_MID_MAX + 1];
	bool audio;
	struct ext_map exts; /* ids as agreed in this section */
	unsigned codec_count;
	struct nego_codec codecs[NEGO_CODECS_MAX]; /* preference order */
};
struct nego_source { /* the browser sends, we receive */
	struct nego_section sec;
	enum stream_kind kind;
	uint32_t ssrc, rtx_ssrc; /* from a=ssrc, 0 = learn from MID */
	/* Simulcast (RFC 8853), smallest picture first: 2 or 3 of one camera, or 0: one encoding, which has no
	 * name. Told apart by RID and, of RTX, by repaired RID (RFC 8852). */
	unsigned rid_count;
	char rids[NEGO_RIDS_MAX][NEGO_RID_MAX + 1];
};
/* we send; in the answer its cname, stream and track are all "slot-<mid>", so that no browser
 * synchronises two slots. */
struct nego_slot {
	struct nego_section sec;
	uint32_t ssrc, rtx_ssrc; /* ours, random; rtx_ssrc 0 for audio */
};
struct nego_plan {
	char local_ufrag[NEGO_UFRAG_MAX + 1], local_pwd[NEGO_PWD_MAX + 1];
	char remote_ufrag[SDP_TEXT_MAX + 1], remote_pwd[SDP_TEXT_MAX + 1];
	uint8_t remote_fingerprint[32]; /* SHA-256 */
	bool dtls_client;		/* we connect (a=setup:active in the answer) */
	unsigned restarts;		/* of ICE so far */
	unsigned source_count, slot_count;
	struct nego_source sources[NEGO_SOURCES_MAX];
	struct nego_slot slots[NEGO_SLOTS_MAX]; /* audio first, in the offer's order */
};

struct nego_candidate {
	struct addr addr; /* port included */
	bool tcp;
};
struct nego_policy {
	bool may_send[STREAM_KINDS];
	unsigned audio_slots_max, video_slots_max;
	const char *local_ufrag, *local_pwd;
	const char *fingerprint; /* SHA-256 text */
	unsigned candidate_count;
	const struct nego_candidate *candidates;
	/* Which section carries what, by mid, from the page's JSON; NULL: by order (first audio
	 * = mic, first video = camera, second video = screen, second audio = screen's sound). */
	const char *kind_mids[STREAM_KINDS];
	bool whip; /* RFC 9725: every section must become a source; no simulcast, whose order is not known */
};

/* Answers. On failure -EBADMSG (offer unusable: no ICE credentials, no SHA-256 fingerprint, no
 * rtcp-mux, not BUNDLEd, no usable codec in any section) with `why` for people. The answer
 * rejects (port 0) or inactivates what it doesn't take; sections keep the offer's order and mids.
 * -EINVAL: the policy's own texts are missing or too long; -ENOBUFS: out of memory. `plan` and
 * `answer` are untouched on failure (but for `bad` when out of memory). */
int nego_answer(const struct sdp *offer, const struct nego_policy *policy,
		struct nego_plan *plan, struct text *answer, char *why,
		size_t why_len) MUST_CHECK;

/* ICE restart or a re-applied offer within a leg: the offer must have the plan's sections (mids in
 * order, with at least the plan's codecs and extensions under the same numbers, else -EPROTO);
 * takes new remote credentials and fingerprint (which must be the same one: a changed
 * fingerprint is -EACCES) and writes an answer with the plan's sections, the policy's local
 * credentials and candidates; the rest of the policy isn't looked at. If the remote credentials
 * haven't changed, it is no ICE restart: the plan's local ones stay, in plan and answer (Firefox
 * refuses new ones it hasn't asked for), so see from plan->local_ufrag what to do. A section that
 * the offer has paused or stopped is answered so and stays in the plan. */
int nego_restart(const struct sdp *offer, const struct nego_policy *policy,
		 struct nego_plan *plan, struct text *answer, char *why,
		 size_t why_len) MUST_CHECK;

/* WHIP PATCH (RFC 8840 fragment): reads ufrag and pwd. -EBADMSG. */
int nego_read_fragment(const char *text, size_t len, char ufrag[SDP_TEXT_MAX + 1],
		       char pwd[SDP_TEXT_MAX + 1]) MUST_CHECK;

/* And our answer to one that restarts ICE: the plan's local credentials, the policy's candidates. */
void nego_write_fragment(const struct nego_plan *plan, const struct nego_policy *policy,
			 struct text *t);

/* The codec of `sec` that can carry a stream coded as `c` by another leg (H264: same profile and
 * packetization mode; VP9: same profile). NULL if this leg can't decode it. */
const struct nego_codec *nego_match(const struct nego_section *sec,
				    const struct nego_codec *c);
/* RED's number names what it repeats. */
const struct nego_codec *nego_by_pt(const struct nego_section *sec, uint8_t pt);

#endif
