/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An offer of a real program, as it is or changed, a policy that allows everything, and
 * the checks that every answer must pass. For the tests of nego; inline, as not all use
 * all.
 */
#ifndef PALABRE_TESTS_NEGO_FIXTURE_H
#define PALABRE_TESTS_NEGO_FIXTURE_H

#include <palabre/nego.h>
#include "unit/data/offers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FP \
	"5A:1B:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:" \
	"EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD"

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

static inline void policy_init(struct fixture *f, unsigned audio, unsigned video)
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

static inline void load(struct fixture *f, char *text)
{
	const char *why = NULL;

	memset(f, 0, sizeof *f);
	f->text = text;
	f->arena = arena_create(SDP_ARENA_MAX);
	if (sdp_parse(f->arena, text, strlen(text), &f->offer, &why) < 0)
		fail_msg("%s", why);
	policy_init(f, 3, 4);
}

static inline void load_offer(struct fixture *f, const char *name)
{
	size_t len;

	load(f, offer_read(name, &len));
}

static inline char *find(char *text, const char *what)
{
	char *at = strstr(text, what);

	if (!at)
		fail_msg("no \"%s\" in the offer", what);
	return at;
}

/* The named offer with every `from` replaced. */
static inline void load_changed(struct fixture *f, const char *name, const char *from,
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

static inline void unload(struct fixture *f)
{
	arena_destroy(f->arena);
	arena_destroy(f->answer_arena);
	text_free(&f->answer);
	free(f->text);
}

static inline int answer(struct fixture *f)
{
	return nego_answer(f->offer, &f->policy, &f->plan, &f->answer, f->why,
			   sizeof f->why);
}

/* Parses the answer again and checks what every answer must keep. */
static inline void check_answer(struct fixture *f)
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

static inline void answer_ok(struct fixture *f)
{
	int r = answer(f);

	if (r < 0)
		print_error("%s\n", f->why);
	assert_int_equal(r, 0);
	check_answer(f);
}

static inline unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* "r" recvonly, "s" sendonly, "i" inactive, "-" rejected, for each section. */
static inline void assert_directions(const struct sdp *sdp, const char *want)
{
	char got[SDP_MEDIA_MAX + 1] = "";
	unsigned i;

	for (i = 0; i < sdp->media_count; i++)
		got[i] = sdp->media[i].port ? "isrb"[sdp->media[i].dir] : '-';
	assert_string_equal(got, want);
}

#endif
