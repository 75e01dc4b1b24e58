/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <palabre/wire.h>
#include "unit/data/offers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define UFRAG "a=ice-ufrag:abcd\r\n"
#define PWD   "a=ice-pwd:0123456789012345678901\r\n"
#define HEAD  "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"

struct fixture {
	struct arena *arena;
	struct sdp *sdp;
	const char *why;
};

static int parse(struct fixture *f, const char *text, size_t len)
{
	f->arena = arena_create(SDP_ARENA_MAX);
	f->sdp = NULL;
	f->why = NULL;
	return sdp_parse(f->arena, text, len, &f->sdp, &f->why);
}

static void parse_ok(struct fixture *f, const char *text)
{
	int r = parse(f, text, strlen(text));

	if (r < 0)
		print_error("%s\n", f->why);
	assert_int_equal(r, 0);
}

/* Fails with `err`, says `why`, and leaves the result alone. */
static void parse_fails(const char *text, size_t len, int err, const char *why)
{
	struct fixture f;

	assert_int_equal(parse(&f, text, len), err);
	assert_null(f.sdp);
	assert_non_null(f.why);
	if (!strstr(f.why, why))
		fail_msg("\"%s\" in place of \"%s\"", f.why, why);
	arena_destroy(f.arena);
}

static void fails(const char *text, int err, const char *why)
{
	parse_fails(text, strlen(text), err, why);
}

static const struct sdp_codec *codec(const struct sdp_media *m, uint8_t pt)
{
	unsigned i;

	for (i = 0; i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	fail_msg("no payload type %u", pt);
	return NULL;
}

static void test_every_offer(void **state)
{
	unsigned i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(offer_names); i++) {
		struct fixture f;
		size_t len;
		char *s = offer_read(offer_names[i], &len);

		parse_ok(&f, s);
		assert_int_equal(f.sdp->bundle_count, f.sdp->media_count);
		assert_true(f.sdp->trickle);
		assert_false(f.sdp->ice_lite);
		for (k = 0; k < f.sdp->media_count; k++) {
			const struct sdp_media *m = &f.sdp->media[k];

			assert_string_equal(m->mid, f.sdp->bundle[k]);
			assert_string_equal(m->proto, "UDP/TLS/RTP/SAVPF");
			assert_true(m->rtcp_mux);
			assert_int_equal(m->ice.setup, SETUP_ACTPASS);
			assert_non_null(m->ice.ufrag);
			assert_non_null(m->ice.pwd);
			assert_true(m->codec_count >= 1);
		}
		arena_destroy(f.arena);
		free(s);
	}
}

static void test_chromium_full(void **state)
{
	const struct sdp_media *m;
	struct fixture f;
	size_t len;
	char *s = offer_read("chromium-full", &len);

	(void)state;
	parse_ok(&f, s);
	assert_int_equal(f.sdp->media_count, 11);
	m = &f.sdp->media[0];
	assert_int_equal(m->kind, SDP_AUDIO);
	assert_string_equal(m->kind_text, "audio");
	assert_int_equal(m->dir, SDP_SENDONLY);
	assert_int_equal(m->codec_count, 8);
	assert_int_equal(m->codecs[0].pt, 111);
	assert_string_equal(m->codecs[0].name, "opus");
	assert_int_equal(m->codecs[0].clock, 48000);
	assert_int_equal(m->codecs[0].channels, 2);
	assert_string_equal(m->codecs[0].fmtp, "minptime=10;useinbandfec=1");
	assert_true(m->codecs[0].fb_twcc);
	assert_false(m->codecs[0].fb_nack);
	assert_int_equal(codec(m, 63)->apt, 111); /* red */
	assert_int_equal(codec(m, 0)->channels, 1);
	assert_int_equal(m->ssrc_count, 1);
	assert_int_equal(m->ssrcs[0].rtx, 0);
	assert_true(m->rtcp_rsize);
	assert_string_equal(m->ice.fp_hash, "sha-256");
	assert_int_equal(strlen(m->ice.fp_value), 95);
	assert_int_equal(m->ext_count, 4);
	assert_int_equal(m->exts[0].id, 1);
	assert_int_equal(m->exts[0].dir, SDP_SENDRECV);
	assert_string_equal(m->exts[0].uri,
			    "urn:ietf:params:rtp-hdrext:ssrc-audio-level");
	m = &f.sdp->media[1];
	assert_int_equal(m->kind, SDP_VIDEO);
	assert_int_equal(m->ssrc_count, 1);
	assert_int_not_equal(m->ssrcs[0].rtx, 0);
	assert_int_not_equal(m->ssrcs[0].rtx, m->ssrcs[0].ssrc);
	assert_int_equal(codec(m, 97)->apt, 96);
	assert_true(codec(m, 96)->fb_nack && codec(m, 96)->fb_pli &&
		    codec(m, 96)->fb_fir && codec(m, 96)->fb_remb &&
		    codec(m, 96)->fb_twcc);
	assert_int_equal(codec(m, 96)->apt, -1);
	assert_int_equal(f.sdp->media[10].dir, SDP_RECVONLY);
	arena_destroy(f.arena);
	free(s);
}

static void test_firefox_full(void **state)
{
	const struct sdp_media *m;
	struct fixture f;
	size_t len;
	char *s = offer_read("firefox-full", &len);

	(void)state;
	parse_ok(&f, s);
	assert_int_equal(f.sdp->media_count, 11);
	assert_string_equal(f.sdp->ice.fp_hash, "sha-256"); /* at session level */
	m = &f.sdp->media[1];
	assert_int_equal(m->port, 0);
	assert_true(m->bundle_only);
	assert_null(m->ice.fp_hash);
	assert_int_equal(codec(m, 124)->apt, 120); /* its fmtp stands before its rtpmap */
	assert_string_equal(codec(m, 124)->name, "rtx");
	assert_int_not_equal(m->ssrcs[0].rtx, 0); /* its group stands after its lines */
	assert_int_equal(m->ssrc_count, 1);
	assert_int_equal(m->exts[3].dir, SDP_RECVONLY); /* 6/recvonly playout-delay */
	arena_destroy(f.arena);
	free(s);
}

static void test_simulcast(void **state)
{
	static const char *const names[] = { "chromium-simulcast", "firefox-simulcast" };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		struct fixture f;
		size_t len;
		char *s = offer_read(names[i], &len);

		parse_ok(&f, s);
		assert_int_equal(f.sdp->media[1].rid_count, 3);
		assert_string_equal(f.sdp->media[1].rids[0], "l");
		assert_string_equal(f.sdp->media[1].rids[2], "h");
		assert_int_equal(f.sdp->media[0].rid_count, 0);
		arena_destroy(f.arena);
		free(s);
	}
}

/* Every cut of a real offer parses or fails; nothing is read past its end (with ASan). */
static void test_cut_anywhere(void **state)
{
	size_t len, n;
	char *s = offer_read("firefox-audio", &len);

	(void)state;
	for (n = 0; n < len; n++) {
		struct fixture f;
		char *exact = malloc(n ? n : 1);
		int r;

		memcpy(exact, s, n);
		r = parse(&f, exact, n);
		free(exact);
		assert_true(r == 0 || r == -EBADMSG);
		assert_true((r == 0) == (f.sdp != NULL));
		arena_destroy(f.arena);
	}
	free(s);
}

/* Whatever the arena's limit, the parser ends with a result or -ENOBUFS. */
static void test_small_arena(void **state)
{
	size_t len, limit;
	char *s = offer_read("whip-gstreamer", &len);
	unsigned good = 0;

	(void)state;
	for (limit = 0; limit < 40000; limit += 97) {
		struct arena *a = arena_create(limit);
		const char *why = NULL;
		struct sdp *sdp = NULL;
		int r = sdp_parse(a, s, len, &sdp, &why);

		assert_true(r == 0 || (r == -ENOBUFS && why && !sdp));
		good += r == 0;
		arena_destroy(a);
	}
	assert_true(good > 10);
	free(s);
}

static void test_lines(void **state)
{
	struct fixture f;

	(void)state;
	fails("", -EBADMSG, "empty");
	fails("hello\r\n", -EBADMSG, "line 1: not of the form");
	fails("o=- 1 1 IN IP4 0.0.0.0\r\n", -EBADMSG, "line 1: SDP begins with v=0");
	fails("\r\nv=1\r\n", -EBADMSG, "line 2: SDP begins with v=0");
	fails("\r\n\n", -EBADMSG, "empty");
	fails(HEAD "a\r\n", -EBADMSG, "line 5: not of the form");
	fails(HEAD "A=x\r\n", -EBADMSG, "line 5: not of the form");
	fails(HEAD AUDIO "a=mid:0\rx\r\n", -EBADMSG, "line 6: a control character");
	parse_fails(HEAD "a=x\0y\r\n", sizeof HEAD "a=x\0y\r\n" - 1, -EBADMSG, "control");
	fails(HEAD "m=audio\r\n", -EBADMSG, "line 5: not an m-line");
	fails(HEAD "m=audio 65536 RTP/SAVPF 0\r\n", -EBADMSG, "not an m-line");
	fails(HEAD "m=audio 9 RTP/SAVPF\r\n", -EBADMSG, "not an m-line");
	fails(HEAD "m=audio 9 RTP/SAVPF 128\r\n", -EBADMSG, "0 to 127");
	fails(HEAD "m=audio 9 RTP/SAVPF 1 2 1\r\n", -EBADMSG, "payload type 1 twice");
	/* Line feeds alone, an empty line at the end, no end of the last line. */
	parse_ok(&f, "v=0\nm=audio 9/2 RTP/SAVPF 0\na=sendonly\n\n");
	assert_int_equal(f.sdp->media[0].dir, SDP_SENDONLY);
	assert_int_equal(f.sdp->media[0].port, 9);
	arena_destroy(f.arena);
	parse_ok(&f, "v=0\nm=audio 9 RTP/SAVPF 0\na=mid:x");
	assert_string_equal(f.sdp->media[0].mid, "x");
	assert_string_equal(f.sdp->media[0].codecs[0].name, "");
	arena_destroy(f.arena);
}

static void test_attributes(void **state)
{
	struct fixture f;
	const struct sdp_media *m;

	(void)state;
	parse_ok(&f, HEAD
		 "a=recvonly\r\na=ice-lite\r\na=setup:passive\r\n" UFRAG PWD
		 "a=group:LS x y\r\na=group:BUNDLE 0  1\r\na=unknown:what ever\r\n" AUDIO
		 "a=mid:0\r\na=rtcp-fb:* nack\r\na=rtpmap:111 OPUS/48000/2\r\n"
		 "a=rtpmap:99 none/8000\r\na=fmtp:99 x\r\na=rtcp-fb:99 nack\r\n"
		 "a=fingerprint:sha-1 AA\r\na=fingerprint:SHA-256 BB\r\n"
		 "a=fingerprint:sha-256 CC\r\na=fingerprint:sha-512 DD\r\n"
		 "a=extmap:4096 urn:x\r\na=extmap:0 urn:y\r\na=extmap:2/sendonly urn:z "
		 "p\r\n"
		 "a=simulcast:recv 1 send a,b;~c\r\na=ssrc-group:SIM 1 2\r\n"
		 "a=ssrc:5 cname:x\r\na=ssrc:5 msid:a b\r\na=ssrc-group:FID 6 5\r\n"
		 "a=ssrc:6 cname:x\r\n"
		 "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
		 "a=inactive\r\na=fmtp:webrtc-datachannel x=1\r\n"
		 "m=image 0 udptl t38\r\n");
	assert_int_equal(f.sdp->bundle_count, 2);
	assert_string_equal(f.sdp->bundle[1], "1");
	assert_true(f.sdp->ice_lite);
	assert_false(f.sdp->trickle);
	assert_string_equal(f.sdp->ice.ufrag, "abcd");
	assert_int_equal(f.sdp->ice.setup, SETUP_PASSIVE);
	m = &f.sdp->media[0];
	assert_int_equal(m->dir, SDP_RECVONLY); /* from the session */
	assert_null(m->ice.ufrag);
	assert_int_equal(m->ice.setup, SETUP_NONE);
	assert_string_equal(m->ice.fp_value, "BB");
	assert_true(m->codecs[0].fb_nack && m->codecs[1].fb_nack);
	assert_string_equal(m->codecs[0].name, "OPUS");
	assert_int_equal(m->ext_count, 1);
	assert_int_equal(m->exts[0].id, 2);
	assert_int_equal(m->exts[0].dir, SDP_SENDONLY);
	assert_string_equal(m->exts[0].uri, "urn:z");
	assert_int_equal(m->rid_count, 2);
	assert_string_equal(m->rids[0], "a");
	assert_string_equal(m->rids[1], "c");
	assert_int_equal(m->ssrc_count, 1);
	assert_int_equal(m->ssrcs[0].ssrc, 6);
	assert_int_equal(m->ssrcs[0].rtx, 5);
	assert_false(m->rtcp_mux || m->rtcp_rsize || m->bundle_only);
	m = &f.sdp->media[1];
	assert_int_equal(m->kind, SDP_APPLICATION);
	assert_string_equal(m->fmt, "webrtc-datachannel");
	assert_int_equal(m->codec_count, 0);
	assert_int_equal(m->dir, SDP_INACTIVE);
	assert_int_equal(f.sdp->media[2].kind, SDP_OTHER);
	assert_string_equal(f.sdp->media[2].kind_text, "image");
	assert_string_equal(f.sdp->media[2].mid, "");
	arena_destroy(f.arena);
	parse_ok(&f, HEAD "a=fingerprint:sha-512 AA\r\na=fingerprint:sha-1 BB\r\n");
	assert_string_equal(f.sdp->ice.fp_value, "AA");
	arena_destroy(f.arena);
}

static void test_bad_attributes(void **state)
{
	static const char *const bad[] = {
		"a=mid:",
		"a=mid:a b",
		"a=mid:0\r\na=mid:1",
		"a=ice-ufrag:abc",
		"a=ice-ufrag:ab d",
		"a=ice-pwd:012345678901234567890",
		"a=setup:both",
		"a=fingerprint:sha-256",
		"a=rtpmap:x opus/48000",
		"a=rtpmap:111 opus",
		"a=rtpmap:111 opus/x",
		"a=rtpmap:111 opus/48000/999",
		"a=rtpmap:128 opus/48000",
		"a=extmap:x urn:a",
		"a=extmap:1",
		"a=extmap:1/up urn:a",
		"a=extmap:1 urn:a\r\na=extmap:1 urn:b",
		"a=ssrc:4294967296 cname:x",
		"a=ssrc-group:FID 1",
		"a=ssrc-group:FID 1 1",
		"a=simulcast:send a;;b",
		"a=simulcast:send ~",
		"a=rtcp-fb:200 nack",
		"m=audio 9 RTP/SAVPF 0\r\na=mid:7\r\nm=audio 9 RTP/SAVPF 0\r\na=mid:7",
	};
	char text[512];
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text, HEAD AUDIO "%s\r\n", bad[i]);
		fails(text, -EBADMSG, "line ");
	}
	fails(HEAD "a=group:BUNDLE a,b\r\n", -EBADMSG, "line 5: a bad mid in BUNDLE");
}

/* `count` lines made by `fmt` (with the index) after the head and an m-line. */
static char *many(const char *head, const char *fmt, unsigned count)
{
	struct text t = { 0 };
	unsigned i;

	text_add(&t, "%s", head);
	for (i = 1; i <= count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		text_add(&t, fmt, i);
#pragma GCC diagnostic pop
	}
	text_add(&t, "\r\n");
	return t.s;
}

static void test_limits(void **state)
{
	static const struct {
		const char *head, *fmt;
		unsigned max;
		const char *why;
	} limits[] = {
		{ HEAD, "m=audio 9 RTP/SAVPF 0\r\n", SDP_MEDIA_MAX, "32 sections" },
		{ HEAD "m=audio 9 RTP/SAVPF", " %u", SDP_CODECS_MAX, "64 codecs" },
		{ HEAD AUDIO, "a=ssrc:%u cname:x\r\n", SDP_SSRCS_MAX, "16 SSRCs" },
		{ HEAD AUDIO, "a=extmap:%u urn:x\r\n", SDP_EXTS_MAX, "24 extensions" },
		{ HEAD AUDIO "a=simulcast:send ", "%u;", SDP_RIDS_MAX, "4 simulcast" },
		{ HEAD AUDIO, "a=ssrc-group:FID %u 99\r\n", SDP_SSRCS_MAX,
		  "16 SSRC groups" },
		{ HEAD "a=group:BUNDLE", " %u", SDP_MEDIA_MAX, "32 mids" },
	};
	struct fixture f;
	unsigned i;
	char *s;

	(void)state;
	for (i = 0; i < ARRAY_LEN(limits); i++) {
		s = many(limits[i].head, limits[i].fmt, limits[i].max);
		parse_ok(&f, s);
		arena_destroy(f.arena);
		free(s);
		s = many(limits[i].head, limits[i].fmt, limits[i].max + 1);
		fails(s, -ENOBUFS, limits[i].why);
		free(s);
	}
	s = many(HEAD AUDIO "a=mid:", "7", SDP_TEXT_MAX);
	parse_ok(&f, s);
	assert_int_equal(strlen(f.sdp->media[0].mid), SDP_TEXT_MAX);
	arena_destroy(f.arena);
	free(s);
	s = many(HEAD AUDIO "a=mid:", "7", SDP_TEXT_MAX + 1);
	fails(s, -ENOBUFS, "line 6: a value of more than 256 characters");
	free(s);
	/* 16 SSRCs and their 16 RTX are within the limit; one more of any kind is not. */
	s = many(HEAD AUDIO, "a=ssrc-group:FID 1 2\r\na=ssrc:%u x\r\n", 3);
	parse_ok(&f, s);
	assert_int_equal(f.sdp->media[0].ssrc_count, 2);
	arena_destroy(f.arena);
	free(s);
	s = many(HEAD AUDIO, "a=ssrc:%u x\r\n", 2 * SDP_SSRCS_MAX + 1);
	fails(s, -ENOBUFS, "SSRCs");
	free(s);
	s = malloc(SDP_BYTES_MAX + 1);
	memset(s, '\n', SDP_BYTES_MAX + 1);
	memcpy(s, "v=0\n", 4);
	parse_fails(s, SDP_BYTES_MAX + 1, -ENOBUFS, "longer than");
	assert_int_equal(parse(&f, s, SDP_BYTES_MAX), 0);
	assert_int_equal(f.sdp->media_count, 0);
	arena_destroy(f.arena);
	free(s);
}

/* The largest SDP within all limits fits the arena that callers are told to make. */
static void test_arena_max(void **state)
{
	struct text t = { 0 };
	struct fixture f;
	unsigned i, k;

	(void)state;
	text_add(&t, HEAD);
	for (i = 0; i < SDP_MEDIA_MAX; i++) {
		text_add(&t, "m=audio 9 RTP/SAVPF");
		for (k = 0; k < SDP_CODECS_MAX; k++)
			text_add(&t, " %u", k);
		text_add(&t, "\r\n");
		for (k = 0; k < SDP_EXTS_MAX; k++)
			text_add(&t, "a=extmap:%u u\r\n", k + 1);
		for (k = 0; k < SDP_SSRCS_MAX; k++)
			text_add(&t, "a=ssrc:%u\r\n", k);
		/* Short values cost most: each takes 16 bytes. */
		for (k = 0; k < SDP_CODECS_MAX; k++)
			text_add(&t, "a=rtpmap:%u x/1\r\na=fmtp:%u y\r\n", k, k);
	}
	assert_true(t.len < SDP_BYTES_MAX);
	parse_ok(&f, t.s);
	arena_destroy(f.arena);
	text_free(&t);
}

static void test_fmtp(void **state)
{
	const char *v;
	size_t n;

	(void)state;
	assert_true(sdp_fmtp_get("a=1; Profile-ID = 2 ;c", "profile-id", &v, &n));
	assert_int_equal(n, 1);
	assert_int_equal(*v, '2');
	assert_true(sdp_fmtp_get("a=1;c", "c", &v, &n));
	assert_int_equal(n, 0);
	assert_false(sdp_fmtp_get("a=1;c", "b", &v, &n));
	assert_false(sdp_fmtp_get("", "b", &v, &n));
	assert_int_equal(sdp_fmtp_get_uint("x=5", "x", 9, 1), 5);
	assert_int_equal(sdp_fmtp_get_uint("x=10", "x", 9, 1), 1);
	assert_int_equal(sdp_fmtp_get_uint("x=-1", "x", 9, 1), 1);
	assert_int_equal(sdp_fmtp_get_uint("x=99999999999999999999", "x", 9, 1), 1);
}

static void test_arena(void **state)
{
	struct arena *a = arena_create(100);
	unsigned char *p, *q;

	(void)state;
	assert_null(arena_take(a, 101));
	assert_null(arena_take(a, SIZE_MAX));
	p = arena_take(a, 1);
	q = arena_take(a, 40);
	assert_non_null(p);
	assert_non_null(q);
	assert_true(((uintptr_t)q & 7) == 0 && q != p);
	assert_int_equal(q[39], 0);
	assert_null(arena_take(a, 60)); /* 16 + 48 are gone */
	assert_non_null(arena_take(a, 0));
	arena_destroy(a);
	arena_destroy(NULL);
	a = arena_create(1 << 20);
	p = arena_take(a, 100000); /* larger than a chunk */
	memset(p, 7, 100000);
	q = arena_take(a, 10000);
	assert_int_equal(q[0] + q[9999], 0);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_offer),
		cmocka_unit_test(test_chromium_full),
		cmocka_unit_test(test_firefox_full),
		cmocka_unit_test(test_simulcast),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_small_arena),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_bad_attributes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_arena_max),
		cmocka_unit_test(test_fmtp),
		cmocka_unit_test(test_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
