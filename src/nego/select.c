/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which codecs and header extensions of a section we take.
 *
 * Invariant: a selected codec is one that the relay can parse and forward unchanged, its
 * payload type is the offer's, and the order is the offer's (pages order their codecs
 * with setCodecPreferences). Extension ids fit the one-byte form.
 */
#include "nego_inner.h"

#include <string.h>
#include <strings.h>

enum {
	EXT_ONE_BYTE_MAX = 14,
	VIDEO_CLOCK = 90000,
	OPUS_CLOCK = 48000,
	PROFILE_MAX = 255
};

static const char *const ext_uris[EXT_COUNT] = {
	[EXT_AUDIO_LEVEL] = "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
	[EXT_MID] = "urn:ietf:params:rtp-hdrext:sdes:mid",
	[EXT_RID] = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
	[EXT_RRID] = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
	[EXT_DD] = "https://aomediacodec.github.io/av1-rtp-spec/"
		   "#dependency-descriptor-rtp-header-extension",
	[EXT_TWCC] = "http://www.ietf.org/id/"
		     "draft-holmer-rmcat-transport-wide-cc-extensions-01",
};

const char *nego_ext_uri(enum ext_id id)
{
	return ext_uris[id];
}

bool nego_has_ext(const struct nego_section *sec, enum ext_id id)
{
	for (unsigned i = 0; i < ARRAY_LEN(sec->exts.of_id); i++)
		if (sec->exts.of_id[i] == id)
			return true;
	return false;
}

const struct sdp_codec *nego_offered(const struct sdp_media *m, uint8_t pt)
{
	unsigned i;

	for (i = 0; i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

/* profile-level-id is three bytes in hex (RFC 6184 §8.1); without it Baseline is meant.
 */
static bool h264_profile(const char *fmtp, uint16_t *profile)
{
	const char *s;
	size_t len, i;
	unsigned v = 0;

	if (!sdp_fmtp_get(fmtp, "profile-level-id", &s, &len)) {
		*profile = 0x4200;
		return true;
	}
	if (len != 6)
		return false;
	for (i = 0; i < len; i++) {
		const char *digits = "0123456789abcdef";
		const char *d =
			strchr(digits, s[i] >= 'A' && s[i] <= 'F' ? s[i] + 32 : s[i]);

		if (!d || !*d)
			return false;
		v = v << 4 | (unsigned)(d - digits);
	}
	*profile = (uint16_t)(v >> 8);
	return true;
}

/* Fills codec and profile; false if we can't use it. `sends`: the browser would encode.
 */
static bool select_video(const struct sdp_codec *c, bool sends, struct nego_codec *out)
{
	unsigned n;

	if (c->clock != VIDEO_CLOCK)
		return false;
	if (strcasecmp(c->name, "VP8") == 0) {
		out->codec = CODEC_VP8;
	} else if (strcasecmp(c->name, "VP9") == 0) {
		/* 1 and 3 are 4:2:2 and 4:4:4: nobody's camera, and not every decoder. */
		n = sdp_fmtp_get_uint(c->fmtp, "profile-id", PROFILE_MAX, 0);
		if (n != 0 && n != 2)
			return false;
		out->codec = CODEC_VP9;
		out->vp9_profile = (uint8_t)n;
	} else if (strcasecmp(c->name, "AV1") == 0) {
		if (sdp_fmtp_get_uint(c->fmtp, "profile", PROFILE_MAX, 0) != 0)
			return false;
		out->codec = CODEC_AV1;
	} else if (strcasecmp(c->name, "H264") == 0) {
		/* Mode 0 wants packets as large as slices; only decoders may have it. */
		n = sdp_fmtp_get_uint(c->fmtp, "packetization-mode", PROFILE_MAX, 0);
		if (n > 1 || (n == 0 && sends))
			return false;
		if (!h264_profile(c->fmtp, &out->h264_profile))
			return false;
		out->codec = CODEC_H264;
		out->h264_mode = (uint8_t)n;
	} else {
		return false;
	}
	return true;
}

static bool select_audio(const struct sdp_codec *c, struct nego_codec *out)
{
	if (strcasecmp(c->name, "opus") != 0 || c->clock != OPUS_CLOCK ||
	    c->channels != 2)
		return false;
	out->codec = CODEC_OPUS;
	return true;
}

/* rtx of a payload type, 0 if there is none (0 itself is PCMU's). */
static uint8_t rtx_of(const struct sdp_media *m, uint8_t pt)
{
	unsigned i;

	for (i = 0; i < m->codec_count; i++)
		if (m->codecs[i].apt == pt && strcasecmp(m->codecs[i].name, "rtx") == 0)
			return m->codecs[i].pt;
	return 0;
}

/* red/48000/2 that says it repeats `pt` and nothing else (fmtp 111/111). */
static uint8_t red_of(const struct sdp_media *m, uint8_t pt)
{
	for (unsigned i = 0; i < m->codec_count; i++) {
		const struct sdp_codec *c = &m->codecs[i];

		if (strcasecmp(c->name, "red") == 0 && c->clock == OPUS_CLOCK &&
		    c->channels == 2 && c->apt == pt)
			return c->pt;
	}
	return 0;
}

void nego_select_codecs(const struct sdp_media *m, enum use use, struct nego_section *sec)
{
	/* An inactive section is judged by what it would be, or a restart would see in it
	 * what the first answer did not. */
	bool sends =
		use == USE_SOURCE || (use == USE_INACTIVE && (m->dir & SDP_SENDONLY));
	unsigned i;

	sec->codec_count = 0;
	for (i = 0; i < m->codec_count && sec->codec_count < NEGO_CODECS_MAX; i++) {
		const struct sdp_codec *c = &m->codecs[i];
		struct nego_codec out = { .pt = c->pt };

		if (m->kind == SDP_AUDIO) {
			if (!select_audio(c, &out))
				continue;
			out.red_pt = red_of(m, c->pt);
		} else {
			if (!select_video(c, sends, &out))
				continue;
			out.rtx_pt = rtx_of(m, c->pt);
			out.pli = c->fb_pli;
			out.fir = c->fb_fir;
			out.rrtr = use == USE_SLOT && c->fb_rrtr;
		}
		out.nack = c->fb_nack;
		out.twcc = c->fb_twcc && nego_has_ext(sec, EXT_TWCC);
		sec->codecs[sec->codec_count++] = out;
	}
}

/* Audio slots are told apart by SSRC alone. Transport-wide numbers go on few packets of the sound that we send,
 * and on the pictures that a browser does: on the microphone's they would cost 9 kbit/s of feedback and provoke
 * padding. */
static bool ext_wanted(enum ext_id id, bool audio, enum use use)
{
	if (use == USE_SOURCE)
		return audio ? id == EXT_AUDIO_LEVEL || id == EXT_MID
			     : id == EXT_MID || id == EXT_RID || id == EXT_RRID ||
				       id == EXT_DD || id == EXT_TWCC;
	return use == USE_SLOT && id == (audio ? EXT_TWCC : EXT_DD);
}

void nego_select_exts(const struct sdp_media *m, enum use use, struct nego_section *sec)
{
	enum sdp_dir need = use == USE_SOURCE ? SDP_SENDONLY : SDP_RECVONLY;
	bool have[EXT_COUNT] = { false };
	unsigned i, id;

	memset(&sec->exts, 0, sizeof sec->exts);
	for (i = 0; i < m->ext_count; i++) {
		const struct sdp_ext *e = &m->exts[i];

		if (e->id > EXT_ONE_BYTE_MAX || !(e->dir & need))
			continue;
		for (id = EXT_NONE + 1; id < EXT_COUNT; id++) {
			if (have[id] || !ext_wanted(id, m->kind == SDP_AUDIO, use) ||
			    strcmp(e->uri, ext_uris[id]) != 0)
				continue;
			have[id] = true;
			sec->exts.of_id[e->id] = (uint8_t)id;
		}
	}
}
