/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Answers to offers of real programs. With --print <audio slots> <video slots> [listen]
 * it answers the offer on its standard input; tests/browser/answer_check.mjs gives that
 * answer back to the browser that made the offer.
 */
#include "unit/data/nego_fixture.h"

static unsigned numbers(const struct sdp_media *m)
{
	unsigned count = 0;

	for (unsigned k = 0; k < m->ext_count; k++)
		count += strstr(m->exts[k].uri, "transport-wide-cc") != NULL;
	return count;
}

static bool is_helper(const struct sdp_codec *c)
{
	return !strcasecmp(c->name, "rtx") || !strcasecmp(c->name, "red");
}

/* Transport-wide numbers: where sound goes out and where pictures come in, if the browser has them there; nowhere
 * else. */
static void assert_measured(const struct fixture *f)
{
	for (unsigned i = 0; i < f->sdp->media_count; i++) {
		const struct sdp_media *m = &f->sdp->media[i];
		const struct sdp_media *offered = &f->offer->media[i];
		bool wanted = m->kind == SDP_AUDIO ? m->dir == SDP_SENDONLY
						   : m->dir == SDP_RECVONLY;
		bool told = wanted && offered->codecs[0].fb_twcc && numbers(offered);

		for (unsigned k = 0; k < m->codec_count; k++)
			assert_int_equal(m->codecs[k].fb_twcc,
					 told && !is_helper(&m->codecs[k]));
		assert_int_equal(numbers(m), wanted && numbers(offered));
	}
}

static void test_every_offer(void **state)
{
	static const char *const want[] = { "rrrrsssssss", "rsss", "rrrrssss",
					    "rrrrsssssss", "rsss", "rrrrssss",
					    "rr",	   "rr" };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(offer_names); i++) {
		struct fixture f;

		load_offer(&f, offer_names[i]);
		answer_ok(&f);
		assert_directions(f.sdp, want[i]);
		assert_false(f.plan.dtls_client);
		assert_string_equal(f.plan.local_ufrag, "srvufrag");
		assert_string_equal(f.plan.remote_ufrag, f.offer->media[0].ice.ufrag);
		assert_string_equal(f.plan.remote_pwd, f.offer->media[0].ice.pwd);
		assert_int_equal(f.plan.source_count, count(want[i], "r"));
		assert_int_equal(f.plan.slot_count, count(want[i], "s"));
		assert_null(strstr(f.answer.s, "stereo"));
		assert_measured(&f);
		assert_int_equal(count(f.answer.s, "a=simulcast:recv l;m;h\r\n"),
				 strstr(offer_names[i], "simulcast") ? 1 : 0);
		assert_int_equal(count(f.answer.s, "simulcast"),
				 strstr(offer_names[i], "simulcast") ? 1 : 0);
		assert_int_equal(count(f.answer.s, "a=candidate"), 3);
		unload(&f);
	}
}

static void test_chromium_full(void **state)
{
	const struct nego_source *src;
	const struct nego_slot *slot;
	struct fixture f;
	unsigned i, k;

	(void)state;
	load_offer(&f, "chromium-full");
	answer_ok(&f);
	for (i = 0; i < 4; i++) {
		static const enum stream_kind kinds[] = { STREAM_MIC, STREAM_CAMERA,
							  STREAM_SCREEN,
							  STREAM_SCREEN_AUDIO };

		assert_int_equal(f.plan.sources[i].kind, kinds[i]);
		assert_string_equal(f.plan.sources[i].sec.mid, f.offer->media[i].mid);
		assert_int_equal(f.plan.sources[i].ssrc, f.offer->media[i].ssrcs[0].ssrc);
		assert_int_equal(f.plan.sources[i].rtx_ssrc,
				 f.offer->media[i].ssrcs[0].rtx);
	}
	/* Microphone: Opus alone, with the level and the mid. */
	src = &f.plan.sources[0];
	assert_true(src->sec.audio);
	assert_int_equal(src->sec.codec_count, 1);
	assert_int_equal(src->sec.codecs[0].codec, CODEC_OPUS);
	assert_int_equal(src->sec.codecs[0].pt, 111);
	assert_int_equal(src->sec.codecs[0].rtx_pt, 0);
	assert_int_equal(src->sec.exts.of_id[1], EXT_AUDIO_LEVEL);
	assert_int_equal(src->sec.exts.of_id[4], EXT_MID);
	assert_int_equal(f.sdp->media[0].ext_count, 2);
	assert_string_equal(f.sdp->media[0].codecs[0].fmtp,
			    "minptime=10;useinbandfec=1;usedtx=1");
	/* Camera: the offer's order, H264 in mode 1 only, each with its rtx. */
	src = &f.plan.sources[1];
	assert_int_equal(src->sec.codec_count, 7);
	assert_int_equal(src->sec.codecs[0].codec, CODEC_VP8);
	assert_int_equal(src->sec.codecs[0].rtx_pt, 97);
	assert_true(src->sec.codecs[0].nack && src->sec.codecs[0].pli &&
		    src->sec.codecs[0].fir);
	assert_int_equal(src->sec.codecs[1].codec, CODEC_H264);
	assert_int_equal(src->sec.codecs[1].h264_profile, 0x4200);
	assert_int_equal(src->sec.codecs[2].h264_profile, 0x42e0);
	assert_int_equal(src->sec.codecs[3].h264_profile, 0x4d00);
	for (i = 1; i < 4; i++)
		assert_int_equal(src->sec.codecs[i].h264_mode, 1);
	assert_int_equal(src->sec.codecs[4].codec, CODEC_AV1);
	assert_int_equal(src->sec.codecs[5].codec, CODEC_VP9);
	assert_int_equal(src->sec.codecs[5].vp9_profile, 0);
	assert_int_equal(src->sec.codecs[6].vp9_profile, 2);
	assert_int_equal(src->sec.exts.of_id[10], EXT_RID);
	assert_int_equal(src->sec.exts.of_id[11], EXT_RRID);
	assert_int_equal(src->sec.exts.of_id[3], EXT_TWCC);
	assert_string_equal(f.sdp->media[1].codecs[2].fmtp,
			    "level-asymmetry-allowed=1;packetization-mode=1;"
			    "profile-level-id=42001f;x-google-start-bitrate=30");
	assert_string_equal(f.sdp->media[1].codecs[0].fmtp, "x-google-start-bitrate=30");
	assert_string_equal(f.sdp->media[7].codecs[0].fmtp, ""); /* a slot's VP8 */
	/* Slots: audio first, then video, each with SSRCs that nobody else has. */
	for (i = 0; i < 7; i++) {
		char want[64];

		slot = &f.plan.slots[i];
		assert_string_equal(slot->sec.mid, f.offer->media[4 + i].mid);
		assert_int_equal(slot->sec.audio, i < 3);
		assert_int_not_equal(slot->ssrc, 0);
		assert_int_equal(slot->rtx_ssrc == 0, i < 3);
		assert_int_equal(f.sdp->media[4 + i].ssrc_count, 1);
		assert_int_equal(f.sdp->media[4 + i].ssrcs[0].ssrc, slot->ssrc);
		assert_int_equal(f.sdp->media[4 + i].ssrcs[0].rtx, slot->rtx_ssrc);
		snprintf(want, sizeof want, "slot-%s slot-%s", slot->sec.mid,
			 slot->sec.mid);
		assert_string_equal(f.sdp->media[4 + i].msid, want);
		for (k = 0; k < i; k++)
			assert_int_not_equal(slot->ssrc, f.plan.slots[k].ssrc);
		assert_int_equal(f.sdp->media[4 + i].ext_count, i < 3);
	}
	/* RED stands behind what it repeats, both ways. */
	for (i = 0; i < 7; i++) {
		const struct sdp_media *m = &f.sdp->media[i];

		if (m->kind != SDP_AUDIO)
			continue;
		assert_int_equal(m->codec_count, 2);
		assert_string_equal(m->codecs[1].name, "red");
		assert_int_equal(m->codecs[1].pt, 63);
		assert_int_equal(m->codecs[1].apt, 111);
	}
	assert_int_equal(f.plan.sources[0].sec.codecs[0].red_pt, 63);
	assert_int_equal(f.plan.slots[0].sec.codecs[0].red_pt, 63);
	assert_true(f.plan.slots[0].sec.codecs[0].twcc);
	assert_false(f.plan.sources[0].sec.codecs[0].twcc);
	assert_true(f.plan.sources[1].sec.codecs[0].twcc); /* camera */
	assert_true(f.plan.sources[2].sec.codecs[0].twcc); /* screen */
	assert_false(f.plan.sources[3].sec.codecs[0].twcc);
	assert_false(f.plan.slots[3].sec.codecs[0].twcc);
	/* A decoder may have mode 0 and four H264 profiles too: 12 codecs. */
	slot = &f.plan.slots[3];
	assert_int_equal(slot->sec.codec_count, NEGO_CODECS_MAX);
	assert_string_equal(f.sdp->media[4].codecs[0].fmtp, "minptime=10;useinbandfec=1");
	unload(&f);
}

/* As the page changes what Chromium offers: where pictures go out, and nowhere else. */
static void test_round_trip_asked(void **state)
{
	struct fixture f;

	(void)state;
	load_changed(&f, "chromium-full", "a=rtcp-fb:96 nack\r\n",
		     "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 rrtr\r\n");
	answer_ok(&f);
	for (unsigned i = 0; i < f.sdp->media_count; i++) {
		const struct sdp_media *m = &f.sdp->media[i];

		for (unsigned k = 0; k < m->codec_count; k++)
			assert_int_equal(m->codecs[k].fb_rrtr,
					 m->codecs[k].pt == 96 && m->kind == SDP_VIDEO &&
						 m->dir == SDP_SENDONLY);
	}
	unload(&f);
}

/* Several layers were offered, with an SSRC each: which one comes is learnt from the MID.
 */
static void test_simulcast(void **state)
{
	struct fixture f;

	(void)state;
	load_offer(&f, "firefox-simulcast");
	assert_true(f.offer->media[1].ssrc_count > 0 && f.offer->media[1].rid_count == 3);
	answer_ok(&f);
	assert_int_equal(f.plan.sources[1].kind, STREAM_CAMERA);
	assert_int_equal(f.plan.sources[1].ssrc, 0);
	assert_int_equal(f.plan.sources[1].rid_count, 3);
	assert_string_equal(f.plan.sources[1].rids[0], "l");
	assert_string_equal(f.plan.sources[1].rids[2], "h");
	assert_non_null(strstr(f.answer.s, "a=rid:l recv\r\na=rid:m recv\r\na=rid:h "
					   "recv\r\na=simulcast:recv l;m;h\r\n"));
	unload(&f);
}

/* What could not be told apart, or is too much, is answered without a word: then one comes. */
static void test_simulcast_refused(void **state)
{
	static const char *const changes[][2] = {
		{ "a=simulcast:send l;m;h", "a=simulcast:send l" },
		{ "a=simulcast:send l;m;h", "a=simulcast:send l;m;h;x" },
		{ "a=simulcast:send l;m;h", "a=simulcast:send l;m;l" },
		{ "a=simulcast:send l;m;h", "a=simulcast:send l;m;hhhhhhhhhhhhhhhhh" },
		{ "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
		  "a=extmap:10 urn:x" },
	};
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
		load_changed(&f, "chromium-simulcast", changes[i][0], changes[i][1]);
		answer_ok(&f);
		assert_int_equal(f.plan.sources[1].rid_count, 0);
		assert_null(strstr(f.answer.s, "simulcast"));
		assert_null(strstr(f.answer.s, "a=rid"));
		unload(&f);
	}
	load_changed(&f, "chromium-simulcast", "a=simulcast:send l;m;h",
		     "a=simulcast:send l;~h"); /* h stands still for the moment */
	answer_ok(&f);
	assert_int_equal(f.plan.sources[1].rid_count, 2);
	assert_non_null(strstr(f.answer.s, "a=simulcast:recv l;h\r\n"));
	unload(&f);
}

static void test_dependency_descriptor(void **state)
{
	struct fixture f;
	unsigned i;

	(void)state;
	load_changed(&f, "chromium-full",
		     "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
		     "https://aomediacodec.github.io/av1-rtp-spec/"
		     "#dependency-descriptor-rtp-header-extension");
	answer_ok(&f);
	assert_int_equal(f.plan.sources[1].sec.exts.of_id[7], EXT_DD);
	assert_int_equal(f.plan.slots[2].sec.exts.of_id[7], 0);
	for (i = 3; i < 7; i++) {
		assert_int_equal(f.plan.slots[i].sec.exts.of_id[7], EXT_DD);
		assert_int_equal(f.sdp->media[4 + i].ext_count, 1);
	}
	unload(&f);
	/* Offered for one way only: answered with the other, or not at all. */
	load_changed(&f, "chromium-full", "extmap:4 ", "extmap:4/sendonly ");
	answer_ok(&f);
	assert_int_equal(f.plan.sources[0].sec.exts.of_id[4], EXT_MID);
	assert_non_null(strstr(f.answer.s, "a=extmap:4/recvonly urn:ietf"));
	unload(&f);
	load_changed(&f, "chromium-full", "extmap:4 ", "extmap:4/recvonly ");
	answer_ok(&f);
	assert_int_equal(f.plan.sources[0].sec.exts.of_id[4], 0);
	unload(&f);
	/* Ids past the one-byte form. */
	load_changed(&f, "chromium-full", "extmap:4 ", "extmap:15 ");
	answer_ok(&f);
	assert_int_equal(f.plan.sources[0].sec.exts.of_id[15], 0);
	unload(&f);
}

static void test_candidates(void **state)
{
	struct fixture f;
	const char *first, *second;

	(void)state;
	load_offer(&f, "chromium-audio");
	answer_ok(&f);
	assert_non_null(strstr(
		f.answer.s, "a=candidate:1 1 udp 855638015 192.0.2.1 4433 typ host\r\n"
			    "a=candidate:2 1 udp 855637759 2001:db8::1 4433 typ host\r\n"
			    "a=candidate:3 1 tcp 178257407 192.0.2.1 4433 typ host "
			    "tcptype passive\r\na=end-of-candidates\r\n"));
	first = strstr(f.answer.s, "m=audio");
	second = strstr(first + 1, "m=audio");
	assert_true(strstr(f.answer.s, "a=candidate") > first);
	assert_true(strstr(f.answer.s, "a=end-of-candidates") < second);
	unload(&f);
}

static void test_limits_and_rights(void **state)
{
	struct fixture f;
	unsigned i;

	(void)state;
	load_offer(&f, "chromium-full");
	policy_init(&f, 2, 1);
	f.policy.may_send[STREAM_MIC] = false;
	answer_ok(&f);
	assert_directions(f.sdp, "irrrssisiii");
	assert_int_equal(f.plan.source_count, 3);
	/* The screen's sound doesn't become the microphone that is forbidden. */
	assert_int_equal(f.plan.sources[0].kind, STREAM_CAMERA);
	assert_int_equal(f.plan.sources[2].kind, STREAM_SCREEN_AUDIO);
	assert_int_equal(f.plan.slot_count, 3);
	assert_false(f.plan.slots[2].sec.audio);
	assert_string_equal(f.plan.slots[2].sec.mid, "7");
	unload(&f);
	load_offer(&f, "firefox-full");
	policy_init(&f, 0, 0);
	for (i = 0; i < STREAM_KINDS; i++)
		f.policy.may_send[i] = false;
	answer_ok(&f);
	assert_directions(f.sdp, "iiiiiiiiiii");
	assert_int_equal(f.plan.source_count + f.plan.slot_count, 0);
	unload(&f);
	load_offer(&f, "chromium-full");
	policy_init(&f, 1000, 1000);
	answer_ok(&f);
	assert_directions(f.sdp, "rrrrsssssss");
	unload(&f);
}

static void test_kinds_by_mid(void **state)
{
	struct fixture f;

	(void)state;
	load_offer(&f, "chromium-full");
	f.policy.kind_mids[STREAM_SCREEN_AUDIO] = "0";
	f.policy.kind_mids[STREAM_MIC] = "3";
	f.policy.kind_mids[STREAM_SCREEN] = "1";
	f.policy.kind_mids[STREAM_CAMERA] = "0"; /* not a video section */
	answer_ok(&f);
	assert_directions(f.sdp, "rrirsssssss");
	assert_int_equal(f.plan.sources[0].kind, STREAM_SCREEN_AUDIO);
	assert_int_equal(f.plan.sources[1].kind, STREAM_SCREEN);
	assert_int_equal(f.plan.sources[2].kind, STREAM_MIC);
	unload(&f);
}

/* No more sources than kinds, no more slots than the plan holds. */
static void test_many_sections(void **state)
{
	struct text t = { 0 };
	struct fixture f;
	unsigned i;

	(void)state;
	text_add(&t, "v=0\r\na=group:BUNDLE");
	for (i = 0; i < SDP_MEDIA_MAX; i++)
		text_add(&t, " %u", i);
	text_add(&t, "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
		     "a=fingerprint:SHA-256 " FP "\r\na=setup:active\r\n");
	for (i = 0; i < SDP_MEDIA_MAX; i++)
		text_add(&t,
			 "m=%s 9 UDP/TLS/RTP/SAVPF 96 "
			 "97\r\na=mid:%u\r\na=%s\r\na=rtcp-mux\r\n"
			 "a=rtpmap:96 %s\r\na=rtpmap:97 x/90000\r\n",
			 i % 3 ? "video" : "audio", i, i % 2 ? "recvonly" : "sendrecv",
			 i % 3 ? "vp8/90000" : "OPUS/48000/2");
	load(&f, t.s);
	policy_init(&f, 100, 100);
	answer_ok(&f);
	assert_int_equal(f.plan.source_count, 4);
	assert_int_equal(f.plan.slot_count, NEGO_SLOTS_MAX);
	assert_string_equal(f.plan.remote_ufrag, "abcd");
	assert_int_equal(f.plan.remote_fingerprint[1], 0x1b);
	assert_int_equal(f.plan.slots[3].rtx_ssrc, 0); /* no rtx offered */
	assert_null(strstr(f.answer.s, "FID"));
	unload(&f);
}

/* Opus: no browser offers NACKs for it by itself, Chromium's page does. */
static void test_nack_as_offered(void **state)
{
	static const char opus[] = "a=rtpmap:111 opus/48000/2\r\n";
	static const char *const silent[] = { "chromium-audio", "firefox-audio" };
	struct fixture f;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(silent); i++) {
		load_offer(&f, silent[i]);
		answer_ok(&f);
		assert_false(f.plan.sources[0].sec.codecs[0].nack);
		assert_false(f.plan.slots[0].sec.codecs[0].nack);
		assert_null(strstr(f.answer.s, "nack"));
		unload(&f);
	}
	load_changed(&f, "chromium-audio", opus,
		     "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n");
	answer_ok(&f);
	assert_true(f.plan.sources[0].sec.codecs[0].nack);
	assert_true(f.plan.slots[0].sec.codecs[0].nack);
	assert_true(f.sdp->media[0].codecs[0].fb_nack);
	assert_false(f.plan.sources[0].sec.codecs[0].pli);
	unload(&f);
}

static void test_whip(void **state)
{
	struct fixture f;

	(void)state;
	load_offer(&f, "whip-gstreamer");
	f.policy.whip = true;
	answer_ok(&f);
	assert_directions(f.sdp, "rr");
	assert_int_equal(f.plan.sources[0].kind, STREAM_CAMERA);
	assert_int_equal(f.plan.sources[0].ssrc, 2);
	assert_int_equal(f.plan.sources[1].kind, STREAM_MIC);
	assert_false(f.plan.sources[0].sec.codecs[0].nack); /* not offered */
	assert_true(f.plan.sources[0].sec.codecs[0].pli);
	unload(&f);
}

/* A publisher is taken whole or not at all. */
static void test_whip_in_part(void **state)
{
	static const char *const changes[][2] = {
		{ "OPUS/48000", "G7221/16000" }, /* no codec in common */
		{ "BUNDLE video0 audio1", "BUNDLE video0" },
		{ "a=mid:audio1\r\n", "a=mid:audio1\r\na=recvonly\r\n" },
		{ "a=mid:audio1\r\n", "a=mid:audio1\r\na=inactive\r\n" },
		{ "m=audio", "m=application" },
	};
	struct fixture f;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(changes); i++) {
		load_changed(&f, "whip-gstreamer", changes[i][0], changes[i][1]);
		answer_ok(&f); /* a page would get that */
		text_free(&f.answer);
		f.policy.whip = true;
		assert_int_equal(answer(&f), -EBADMSG);
		assert_non_null(strstr(f.why, "section 2"));
		unload(&f);
	}
	load_offer(&f, "chromium-audio"); /* with slots to receive */
	f.policy.whip = true;
	assert_int_equal(answer(&f), -EBADMSG);
	unload(&f);
	load_offer(&f, "whip-gstreamer");
	f.policy.whip = true;
	f.policy.may_send[STREAM_MIC] = false;
	assert_int_equal(answer(&f), -EBADMSG);
	unload(&f);
}

/* What we don't take is rejected where it stands, and the rest goes on. */
static void test_rejected_sections(void **state)
{
	struct fixture f;
	struct text t = { 0 };
	size_t len;
	char *s = offer_read("chromium-audio", &len);

	(void)state;
	text_add(&t, "%s", s);
	text_add(&t, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:data\r\n"
		     "a=sctp-port:5000\r\nm=image 9 udptl t38\r\n");
	free(s);
	load(&f, t.s);
	answer_ok(&f);
	assert_directions(f.sdp, "rsss--");
	assert_non_null(strstr(f.answer.s,
			       "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
	assert_non_null(strstr(f.answer.s, "m=image 0 udptl t38\r\n"));
	unload(&f);
	/* The first section can't be used: the candidates move to the second. */
	load_changed(&f, "chromium-audio", "a=mid:0\r\n", "a=mid:12345678901234567\r\n");
	answer_ok(&f);
	assert_directions(f.sdp, "-sss");
	assert_int_equal(f.plan.source_count, 0);
	assert_true(strstr(f.answer.s, "a=candidate") > strstr(f.answer.s, "m=audio 9"));
	unload(&f);
	load_changed(&f, "chromium-audio", "BUNDLE 0 1 2 3", "BUNDLE 0 2 3");
	answer_ok(&f);
	assert_directions(f.sdp, "r-ss");
	unload(&f);
	load_changed(&f, "chromium-audio",
		     "UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n", "RTP/AVP 111\r\n");
	assert_int_equal(answer(&f), -EBADMSG);
	unload(&f);
}

static void test_refused(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} bad[] = {
		{ "a=ice-pwd", "a=x", "ICE credentials" },
		{ "a=ice-ufrag", "a=x", "ICE credentials" },
		{ "a=fingerprint:sha-256", "a=fingerprint:sha-1", "SHA-256 fingerprint" },
		{ "a=fingerprint:sha-256 ",
		  "a=fingerprint:sha-256 ZZ:", "SHA-256 fingerprint" },
		{ "a=rtcp-mux", "a=x", "rtcp-mux" },
		{ "a=group:BUNDLE", "a=group:LS", "BUNDLE" },
		{ "opus/48000/2", "opus/48000", "no codec in common" },
		{ "m=audio 9", "m=audio 0", "no codec in common" },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct nego_plan plan;
		struct fixture f;

		load_changed(&f, "chromium-audio", bad[i].from, bad[i].to);
		memset(&f.plan, 0x55, sizeof f.plan);
		plan = f.plan;
		assert_int_equal(answer(&f), -EBADMSG);
		if (!strstr(f.why, bad[i].why))
			fail_msg("\"%s\" in place of \"%s\"", f.why, bad[i].why);
		assert_memory_equal(&plan, &f.plan, sizeof plan);
		assert_null(f.answer.s);
		unload(&f);
	}
}

static void test_own_fault(void **state)
{
	struct fixture f;

	(void)state;
	load_offer(&f, "chromium-audio");
	f.policy.local_ufrag = "123456789012345678901234567890123";
	assert_int_equal(answer(&f), -EINVAL);
	policy_init(&f, 3, 4);
	f.policy.fingerprint = NULL;
	assert_int_equal(answer(&f), -EINVAL);
	policy_init(&f, 3, 4);
	f.policy.local_pwd = "";
	assert_int_equal(answer(&f), -EINVAL);
	unload(&f);
}

static void test_roles(void **state)
{
	struct fixture f;

	(void)state;
	load_changed(&f, "chromium-audio", "setup:actpass", "setup:passive");
	answer_ok(&f);
	assert_true(f.plan.dtls_client);
	assert_non_null(strstr(f.answer.s, "a=setup:active"));
	unload(&f);
	load_changed(&f, "chromium-audio", "setup:actpass", "setup:active");
	answer_ok(&f);
	assert_false(f.plan.dtls_client);
	unload(&f);
}

/* Credentials of the session serve sections that have none. */
static void test_session_level(void **state)
{
	struct fixture f;

	(void)state;
	load_changed(&f, "firefox-audio", "t=0 0\r\n",
		     "t=0 0\r\na=ice-ufrag:sess\r\na=ice-pwd:0123456789012345678901\r\n");
	answer_ok(&f);
	assert_string_not_equal(f.plan.remote_ufrag,
				"sess"); /* the section's own come first */
	unload(&f);
	/* Without a level of its own the section that stands for the bundle serves. */
	load_changed(&f, "chromium-audio", "a=mid:0\r\n", "a=mid:12345678901234567\r\n");
	f.offer->media[1].ice = (struct sdp_ice) { 0 };
	f.offer->bundle[0] = f.offer->media[0].mid;
	answer_ok(&f);
	assert_string_equal(f.plan.remote_ufrag, f.offer->media[0].ice.ufrag);
	unload(&f);
}

/* Up to a NUL byte or the end. false at the end. */
static bool read_offer(char *text, size_t *len)
{
	int c;

	for (*len = 0; (c = getchar()) != EOF && c != 0;)
		if (*len <= SDP_BYTES_MAX)
			text[(*len)++] = (char)c;
	return *len > 0;
}

/* For answer_check.mjs: offers end with a NUL byte, and so do the answers. Offers after
 * the first are restarts. */
static int print_answers(int argc, char **argv)
{
	static char text[SDP_BYTES_MAX + 1];
	struct fixture f = { 0 };
	const char *why = NULL;
	unsigned i, round;
	size_t len;
	int r = 0;

	policy_init(&f, (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
	for (i = 0; argc > 4 && i < STREAM_KINDS; i++)
		f.policy.may_send[i] = false;
	for (round = 0; r == 0 && read_offer(text, &len); round++) {
		f.arena = arena_create(SDP_ARENA_MAX);
		r = sdp_parse(f.arena, text, len, &f.offer, &why);
		if (r == 0) {
			why = f.why;
			f.policy.local_ufrag = round % 2 ? "srvagain" : "srvufrag";
			r = round ? nego_restart(f.offer, &f.policy, &f.plan, &f.answer,
						 f.why, sizeof f.why)
				  : answer(&f);
		}
		if (r == 0)
			fwrite(f.answer.s, 1, f.answer.len + 1, stdout);
		else
			fprintf(stderr, "%s\n", why);
		fflush(stdout);
		arena_destroy(f.arena);
		text_free(&f.answer);
	}
	return r < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_offer),
		cmocka_unit_test(test_chromium_full),
		cmocka_unit_test(test_round_trip_asked),
		cmocka_unit_test(test_simulcast),
		cmocka_unit_test(test_simulcast_refused),
		cmocka_unit_test(test_dependency_descriptor),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_limits_and_rights),
		cmocka_unit_test(test_kinds_by_mid),
		cmocka_unit_test(test_many_sections),
		cmocka_unit_test(test_nack_as_offered),
		cmocka_unit_test(test_whip),
		cmocka_unit_test(test_whip_in_part),
		cmocka_unit_test(test_rejected_sections),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_own_fault),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_session_level),
	};

	if (argc > 3 && strcmp(argv[1], "--print") == 0)
		return print_answers(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
