/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Offers after the first, WHIP's fragment, and finding a codec in a section. */
#include "unit/data/nego_fixture.h"

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

/* The encodings stay what they are, one that stands still among them. */
static void test_restart_keeps_rids(void **state)
{
	struct fixture f;

	(void)state;
	begin_restart(&f, "chromium-simulcast", "a=simulcast:send l;m;h",
		      "a=simulcast:send l;~m;~h");
	assert_int_equal(restart(&f), 0);
	assert_int_equal(f.plan.sources[1].rid_count, 3);
	assert_non_null(strstr(f.answer.s, "a=simulcast:recv l;m;h\r\n"));
	unload(&f);
	begin_restart(&f, "chromium-simulcast", "a=simulcast:send l;m;h",
		      "a=simulcast:send l;h;m");
	assert_int_equal(restart(&f), -EPROTO);
	unload(&f);
	begin_restart(&f, "chromium-simulcast", "a=simulcast:send l;m;h",
		      "a=simulcast:send l;m");
	assert_int_equal(restart(&f), -EPROTO);
	unload(&f);
}

/* The lowest priority of a candidate of that protocol, or the highest. */
static unsigned priority(const char *sdp, const char *proto, bool highest)
{
	unsigned found = highest ? 0 : UINT32_MAX, value;
	char got[4];

	for (; (sdp = strstr(sdp, "a=candidate:")); sdp++) {
		assert_int_equal(sscanf(sdp, "a=candidate:%*u 1 %3s %u ", got, &value),
				 2);
		if (!strcmp(got, proto) && (value > found) == highest)
			found = value;
	}
	return found;
}

/* Each restart's candidates win over those before it, but TCP never over UDP, nor any over
 * the browser's own (TCP host 90 << 24, Chromium), since the lower of a pair's two
 * decides. */
static void test_restart_priority(void **state)
{
	unsigned udp = 0, tcp = 0, udp_first = 0, i;
	struct nego_plan plan = { 0 };
	char ufrag[32], remote[32];
	struct fixture f;

	(void)state;
	for (i = 0; i <= 40; i++) {
		snprintf(remote, sizeof remote, "a=ice-ufrag:New%u", i);
		snprintf(ufrag, sizeof ufrag, "srv%u", i);
		load_changed(&f, "chromium-audio", "a=ice-ufrag:", remote);
		f.policy.local_ufrag = ufrag;
		f.plan = plan;
		assert_int_equal(i ? restart(&f) : answer(&f), 0);
		plan = f.plan;
		if (i == 0)
			udp_first = priority(f.answer.s, "udp", false);
		if (i < 40) { /* the last one cannot rise any more */
			assert_true(priority(f.answer.s, "udp", false) > udp);
			assert_true(priority(f.answer.s, "tcp", false) > tcp);
		}
		udp = priority(f.answer.s, "udp", true);
		tcp = priority(f.answer.s, "tcp", true);
		assert_true(tcp < udp_first && udp < 90U << 24);
		unload(&f);
	}
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

static void test_write_fragment(void **state)
{
	char ufrag[SDP_TEXT_MAX + 1], pwd[SDP_TEXT_MAX + 1];
	struct text t = { 0 };
	struct fixture f;

	(void)state;
	load_offer(&f, "whip-gstreamer");
	f.policy.whip = true;
	answer_ok(&f);
	f.policy.candidate_count = 1;
	nego_write_fragment(&f.plan, &f.policy, &t);
	assert_string_equal(t.s,
			    "a=ice-lite\r\na=group:BUNDLE video0 audio1\r\n"
			    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:video0\r\n"
			    "a=ice-ufrag:srvufrag\r\n"
			    "a=ice-pwd:srvpassword0123456789abc\r\n"
			    "a=candidate:1 1 udp 855638015 192.0.2.1 4433 typ host\r\n"
			    "a=end-of-candidates\r\n");
	assert_int_equal(nego_read_fragment(t.s, t.len, ufrag, pwd), 0);
	assert_string_equal(ufrag, "srvufrag");
	text_free(&t);
	unload(&f);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_keeps_rids),
		cmocka_unit_test(test_restart_priority),
		cmocka_unit_test(test_restart_paused),
		cmocka_unit_test(test_restart_refused),
		cmocka_unit_test(test_restart_sections),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_write_fragment),
		cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
