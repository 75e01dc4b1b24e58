/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Answers to offers of real programs. With --print <audio slots> <video slots> [listen]
 * it answers the offer on its standard input; tests/browser/answer_check.mjs gives that
 * answer back to the browser that made the offer.
 */
#include <palabre/nego.h>
#include "unit/data/offers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FP \
	"5A:1B:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:" \
	"88:99:" \
	"AA:BB:CC:DD"

struct fixture {
	struct arena *arena, *answer_arena;
	char *text;		 /* of the offer */
	struct sdp *offer, *sdp; /* sdp: the answer, parsed again */
	struct nego_policy policy;
	struct nego_candidate candidates[3];
	struct nego_plan plan;
	struct text answer;
	char why[128];
};

static void policy_init(struct fixture *f, unsigned audio, unsigned video)
{
	unsigned i;

	f->candidates[0] = (struct nego_candidate) { .tcp = false };
	f->candidates[1] = (struct nego_candidate) { .tcp = false };
	f->candidates[2] = (struct nego_candidate) { .tcp = true };
	if (addr_parse(&f->candidates[0].addr, "192.0.2.1:4433") < 0 ||
	    addr_parse(&f->candidates[1].addr, "[2001:db8::1]:4433") < 0 ||
	    addr_parse(&f->candidates[2].addr, "192.0.2.1:4433") < 0)
		abort();
	f->policy = (struct nego_policy) {
		.audio_slots_max = audio,
		.video_slots_max = video,
		.local_ufrag = "srvufrag",
		.local_pwd = "srvpassword0123456789abc",
		.fingerprint = FP,
		.candidate_count = 3,
		.candidates = f->candidates,
	};
	for (i = 0; i < STREAM_KINDS; i++)
		f->policy.may_send[i] = true;
}

static void load(struct fixture *f, char *text)
{
	const char *why = NULL;

	memset(f, 0, sizeof *f);
	f->text = text;
	f->arena = arena_create(SDP_ARENA_MAX);
	if (sdp_parse(f->arena, text, strlen(text), &f->offer, &why) < 0)
		fail_msg("%s", why);
	policy_init(f, 3, 4);
}

static void load_offer(struct fixture *f, const char *name)
{
	size_t len;

	load(f, offer_read(name, &len));
}

static char *find(char *text, const char *what)
{
	char *at = strstr(text, what);

	if (!at)
		fail_msg("no \"%s\" in the offer", what);
	return at;
}

/* The named offer with every `from` replaced. */
static void load_changed(struct fixture *f, const char *name, const char *from,
			 const char *to)
{
	struct text t = { 0 };
	size_t len;
	char *s = offer_read(name, &len), *p = s, *at;

	find(s, from);
	while ((at = strstr(p, from))) {
		text_add_bytes(&t, p, (size_t)(at - p));
		text_add(&t, "%s", to);
		p = at + strlen(from);
	}
	text_add(&t, "%s", p);
	free(s);
	load(f, t.s);
}

static void unload(struct fixture *f)
{
	arena_destroy(f->arena);
	arena_destroy(f->answer_arena);
	text_free(&f->answer);
	free(f->text);
}

static int answer(struct fixture *f)
{
	return nego_answer(f->offer, &f->policy, &f->plan, &f->answer, f->why,
			   sizeof f->why);
}

/* Parses the answer again and checks what every answer must keep. */
static void check_answer(struct fixture *f)
{
	const char *why = NULL;
	unsigned i, b = 0;

	arena_destroy(f->answer_arena);
	f->answer_arena = arena_create(SDP_ARENA_MAX);
	if (sdp_parse(f->answer_arena, f->answer.s, f->answer.len, &f->sdp, &why) < 0)
		fail_msg("%s", why);
	assert_true(f->sdp->ice_lite);
	assert_int_equal(f->sdp->media_count, f->offer->media_count);
	for (i = 0; i < f->sdp->media_count; i++) {
		const struct sdp_media *m = &f->sdp->media[i], *o = &f->offer->media[i];

		assert_string_equal(m->mid, o->mid);
		assert_string_equal(m->kind_text, o->kind_text);
		assert_string_equal(m->proto, o->proto);
		if (m->port == 0)
			continue;
		assert_string_equal(f->sdp->bundle[b++], m->mid);
		assert_true(m->rtcp_mux);
		assert_int_equal(m->rtcp_rsize, o->rtcp_rsize);
		assert_string_equal(m->ice.ufrag, "srvufrag");
		assert_string_equal(m->ice.fp_value, FP);
		assert_int_equal(m->ice.setup,
				 f->plan.dtls_client ? SETUP_ACTIVE : SETUP_PASSIVE);
		assert_int_equal(m->rid_count, 0);
	}
	assert_int_equal(b, f->sdp->bundle_count);
}

static void answer_ok(struct fixture *f)
{
	int r = answer(f);

	if (r < 0)
		print_error("%s\n", f->why);
	assert_int_equal(r, 0);
	check_answer(f);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* "r" recvonly, "s" sendonly, "i" inactive, "-" rejected, for each section. */
static void assert_directions(const struct sdp *sdp, const char *want)
{
	char got[SDP_MEDIA_MAX + 1] = "";
	unsigned i;

	for (i = 0; i < sdp->media_count; i++)
		got[i] = sdp->media[i].port ? "isrb"[sdp->media[i].dir] : '-';
	assert_string_equal(got, want);
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
		assert_null(strstr(f.answer.s, "transport-cc"));
		assert_null(strstr(f.answer.s, "simulcast"));
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
	assert_true(src->sec.codecs[0].nack);
	assert_int_equal(src->sec.exts.of_id[1], EXT_AUDIO_LEVEL);
	assert_int_equal(src->sec.exts.of_id[4], EXT_MID);
	assert_int_equal(f.sdp->media[0].ext_count, 2);
	assert_string_equal(f.sdp->media[0].codecs[0].fmtp,
			    "minptime=10;useinbandfec=1;usedtx=1");
	assert_true(f.sdp->media[0].codecs[0].fb_nack);
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
	assert_string_equal(f.sdp->media[1].codecs[2].fmtp,
			    "level-asymmetry-allowed=1;packetization-mode=1;"
			    "profile-level-id=42001f");
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
		assert_int_equal(f.sdp->media[4 + i].ext_count, 0);
	}
	/* A decoder may have mode 0 and four H264 profiles too: 12 codecs. */
	slot = &f.plan.slots[3];
	assert_int_equal(slot->sec.codec_count, NEGO_CODECS_MAX);
	assert_string_equal(f.sdp->media[4].codecs[0].fmtp, "minptime=10;useinbandfec=1");
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
		f.answer.s, "a=candidate:1 1 udp 2130706431 192.0.2.1 4433 typ host\r\n"
			    "a=candidate:2 1 udp 2130706175 2001:db8::1 4433 typ host\r\n"
			    "a=candidate:3 1 tcp 1520434687 192.0.2.1 4433 typ host "
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
	load_offer(&f, "chromium-audio");
	f.policy.whip = true;
	answer_ok(&f);
	assert_directions(f.sdp, "riii");
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

static int restart(struct fixture *f)
{
	return nego_restart(f->offer, &f->policy, &f->plan, &f->answer, f->why,
			    sizeof f->why);
}

/* Answers `name`, then loads it anew with a change, the plan kept. */
static void begin_restart(struct fixture *f, const char *name, const char *from,
			  const char *to)
{
	struct nego_plan plan;

	load_offer(f, name);
	answer_ok(f);
	plan = f->plan;
	unload(f);
	load_changed(f, name, from, to);
	f->plan = plan;
	f->policy.local_ufrag = "newufrag";
}

static void test_restart(void **state)
{
	struct nego_plan before;
	struct fixture f;

	(void)state;
	begin_restart(&f, "chromium-full", "a=ice-ufrag:", "a=ice-ufrag:New");
	before = f.plan;
	f.policy.may_send[STREAM_MIC] = false; /* not looked at */
	assert_int_equal(restart(&f), 0);
	assert_string_equal(f.plan.local_ufrag, "newufrag");
	assert_memory_equal(f.plan.remote_ufrag, "New", 3);
	assert_non_null(strstr(f.answer.s, "a=ice-ufrag:newufrag"));
	assert_memory_equal(f.plan.slots, before.slots, sizeof before.slots);
	assert_memory_equal(f.plan.sources, before.sources, sizeof before.sources);
	f.answer_arena = arena_create(SDP_ARENA_MAX);
	{
		const char *why;

		assert_int_equal(
			sdp_parse(f.answer_arena, f.answer.s, f.answer.len, &f.sdp, &why),
			0);
	}
	assert_directions(f.sdp, "rrrrsssssss");
	assert_int_equal(f.sdp->media[10].ssrcs[0].ssrc, before.slots[6].ssrc);
	unload(&f);
}

static void test_restart_paused(void **state)
{
	struct fixture f;
	const char *why;

	(void)state;
	/* The page has stopped sending: answered so, and the plan keeps the section. */
	begin_restart(&f, "chromium-audio", "a=sendonly", "a=inactive");
	assert_int_equal(restart(&f), 0);
	assert_int_equal(f.plan.source_count, 1);
	f.answer_arena = arena_create(SDP_ARENA_MAX);
	assert_int_equal(
		sdp_parse(f.answer_arena, f.answer.s, f.answer.len, &f.sdp, &why), 0);
	assert_directions(f.sdp, "isss");
	/* The same credentials: no ICE restart, ours stay. */
	assert_string_equal(f.plan.local_ufrag, "srvufrag");
	assert_string_equal(f.sdp->media[0].ice.ufrag, "srvufrag");
	unload(&f);
	/* The password alone makes a restart, too. */
	begin_restart(&f, "chromium-audio", "a=ice-pwd:", "a=ice-pwd:New");
	assert_int_equal(restart(&f), 0);
	assert_string_equal(f.plan.local_ufrag, "newufrag");
	assert_memory_equal(f.plan.remote_pwd, "New", 3);
	unload(&f);
}

static void test_restart_refused(void **state)
{
	static const struct {
		const char *name, *from, *to;
		int err;
	} bad[] = {
		{ "chromium-audio", "a=fingerprint:sha-256 ",
		  "a=fingerprint:sha-256 " FP "\r\na=x:", -EACCES },
		{ "chromium-audio", "a=setup:actpass", "a=setup:passive", -EPROTO },
		{ "chromium-audio", "a=mid:1\r\n", "a=mid:9\r\n", -EPROTO },
		{ "chromium-audio", "a=rtpmap:111 opus", "a=rtpmap:111 sopus", -EPROTO },
		{ "chromium-audio", "a=extmap:4 ", "a=extmap:5 ", -EPROTO },
		{ "chromium-full", "m=video 9 UDP", "m=audio 9 UDP", -EPROTO },
		{ "chromium-full", "a=fmtp:97 apt=96", "a=fmtp:97 apt=98", -EPROTO },
		{ "chromium-full", "profile-level-id=42001f", "profile-level-id=42801f",
		  -EPROTO },
		{ "chromium-audio", "a=ice-pwd", "a=x", -EBADMSG },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct nego_plan plan;
		struct fixture f;
		int r;

		begin_restart(&f, bad[i].name, bad[i].from, bad[i].to);
		plan = f.plan;
		r = restart(&f);
		if (r != bad[i].err)
			fail_msg("%s: %d (%s)", bad[i].to, r, f.why);
		assert_memory_equal(&plan, &f.plan, sizeof plan);
		assert_null(f.answer.s);
		unload(&f);
	}
}

/* Sections in another order, or fewer of them. */
static void test_restart_sections(void **state)
{
	struct fixture f;

	(void)state;
	begin_restart(&f, "chromium-audio", "a=mid:1\r\n", "a=mid:tmp\r\n");
	unload(&f);
	load_offer(&f, "chromium-audio");
	answer_ok(&f);
	f.offer->media_count = 3;
	text_free(&f.answer);
	assert_int_equal(restart(&f), -EPROTO);
	f.offer->media_count = 4;
	const char *mid = f.offer->media[1].mid;
	f.offer->media[1].mid = f.offer->media[2].mid;
	f.offer->media[2].mid = mid;
	assert_int_equal(restart(&f), -EPROTO);
	assert_null(f.answer.s);
	unload(&f);
}

static void test_fragment(void **state)
{
	/* As Debian's whip-client writes it (shortened). */
	static const char gst[] =
		"a=ice-ufrag:10EyhN7P4rMSReHJpMWLuUbKp3j0wpNN\r\n"
		"a=ice-pwd:cSAnf/mQjMqiRm0Xgc+WX08B1zb6wfGW\r\n"
		"m=audio 9 RTP/AVP 0\r\na=mid:video0\r\n"
		"a=candidate:1 1 UDP 2015363327 192.0.2.2 47440 typ host\r\n"
		"a=end-of-candidates\r\n";
	static const char good[] =
		"a=group:BUNDLE 0\r\na=ice-options:ice2\r\nm=audio 9 RTP/AVP 0\r\n"
		"a=mid:0\r\na=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host";
	static const char *const bad[] = {
		"",
		"\n\n",
		"a=ice-ufrag:EsAw\r\n",
		"a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
		"a=ice-ufrag:Es\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
		"a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n",
		"a=ice-ufrag:Es w\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
	};
	char ufrag[SDP_TEXT_MAX + 1] = "keep", pwd[SDP_TEXT_MAX + 1] = "keep", *big;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(nego_read_fragment(bad[i], strlen(bad[i]), ufrag, pwd),
				 -EBADMSG);
	big = malloc(2 * SDP_TEXT_MAX);
	memset(big, 'a', 2 * SDP_TEXT_MAX);
	memcpy(big, "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\na=ice-ufrag:", 47);
	assert_int_equal(nego_read_fragment(big, 47 + SDP_TEXT_MAX + 1, ufrag, pwd),
			 -EBADMSG);
	assert_string_equal(ufrag, "keep");
	assert_string_equal(pwd, "keep");
	assert_int_equal(nego_read_fragment(big, 47 + SDP_TEXT_MAX, ufrag, pwd), 0);
	assert_int_equal(strlen(ufrag), SDP_TEXT_MAX);
	free(big);
	assert_int_equal(nego_read_fragment(good, strlen(good), ufrag, pwd), 0);
	assert_string_equal(ufrag, "EsAw");
	assert_string_equal(pwd, "P2uYro0UCOQ4zxjKXaWCBui1");
	assert_int_equal(nego_read_fragment(gst, strlen(gst), ufrag, pwd), 0);
	assert_string_equal(ufrag, "10EyhN7P4rMSReHJpMWLuUbKp3j0wpNN");
	assert_string_equal(pwd, "cSAnf/mQjMqiRm0Xgc+WX08B1zb6wfGW");
}

static void test_match(void **state)
{
	struct nego_section sec = {
		.codec_count = 5,
		.codecs = { { .codec = CODEC_VP8, .pt = 96 },
			    { .codec = CODEC_VP9, .pt = 100, .vp9_profile = 2 },
			    { .codec = CODEC_H264, .pt = 104, .h264_profile = 0x42e0 },
			    { .codec = CODEC_H264,
			      .pt = 108,
			      .h264_profile = 0x42e0,
			      .h264_mode = 1 },
			    { .codec = CODEC_H264,
			      .pt = 39,
			      .h264_profile = 0x4d00,
			      .h264_mode = 1 } },
	};
	static const struct {
		struct nego_codec c;
		int pt;
	} cases[] = {
		{ { .codec = CODEC_VP8, .pt = 120 }, 96 },
		{ { .codec = CODEC_AV1, .pt = 96 }, -1 },
		{ { .codec = CODEC_VP9 }, -1 },
		{ { .codec = CODEC_VP9, .vp9_profile = 2 }, 100 },
		{ { .codec = CODEC_H264, .h264_profile = 0x42e0, .h264_mode = 1 }, 108 },
		{ { .codec = CODEC_H264, .h264_profile = 0x42c0, .h264_mode = 1 }, 108 },
		{ { .codec = CODEC_H264, .h264_profile = 0x42e0 }, 104 },
		{ { .codec = CODEC_H264, .h264_profile = 0x4200, .h264_mode = 1 }, -1 },
		{ { .codec = CODEC_H264, .h264_profile = 0x4d00, .h264_mode = 1 }, 39 },
		{ { .codec = CODEC_H264, .h264_profile = 0x4d00 }, -1 },
		{ { .codec = CODEC_H264, .h264_profile = 0x6400, .h264_mode = 1 }, -1 },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct nego_codec *c = nego_match(&sec, &cases[i].c);

		assert_int_equal(c ? c->pt : -1, cases[i].pt);
	}
	assert_ptr_equal(nego_by_pt(&sec, 100), &sec.codecs[1]);
	assert_null(nego_by_pt(&sec, 101));
	assert_string_equal(stream_kind_names[STREAM_SCREEN_AUDIO], "screenaudio");
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
		cmocka_unit_test(test_dependency_descriptor),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_limits_and_rights),
		cmocka_unit_test(test_kinds_by_mid),
		cmocka_unit_test(test_many_sections),
		cmocka_unit_test(test_whip),
		cmocka_unit_test(test_rejected_sections),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_own_fault),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_session_level),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_paused),
		cmocka_unit_test(test_restart_refused),
		cmocka_unit_test(test_restart_sections),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_match),
	};

	if (argc > 3 && strcmp(argv[1], "--print") == 0)
		return print_answers(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
