/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any offer: an answer that parses again, with the offer's sections and mids, or a
 * reason. What was answered can be answered again with the same offer, and the plan stays
 * as it is.
 */
#include <palabre/nego.h>

#include <stdlib.h>
#include <string.h>

static const struct nego_candidate candidates[] = {
	{ .addr = { .ip = { 192, 0, 2, 1 }, .port = 443, .family = 4 } },
	{ .addr = { .ip = { 0x20, 1, 0xd, 0xb8 }, .port = 443, .family = 6 },
	  .tcp = true },
};
static const struct nego_policy policy = {
	.may_send = { true, true, false, true },
	.audio_slots_max = 3,
	.video_slots_max = 9,
	.local_ufrag = "ufrag",
	.local_pwd = "0123456789012345678901",
	.fingerprint = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
		       "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
	.candidate_count = 2,
	.candidates = candidates,
};

/* Aborts unless `text` parses and matches the offer. */
static void check_answer(const struct sdp *offer, const struct text *text)
{
	struct arena *a = arena_create(SDP_ARENA_MAX);
	struct sdp *sdp;
	const char *why;
	unsigned i, accepted = 0;

	if (sdp_parse(a, text->s, text->len, &sdp, &why) < 0)
		abort();
	if (sdp->media_count != offer->media_count)
		abort();
	for (i = 0; i < sdp->media_count; i++) {
		const struct sdp_media *m = &sdp->media[i];

		if (strcmp(m->mid, offer->media[i].mid) != 0 ||
		    m->kind != offer->media[i].kind)
			abort();
		if (m->dir &
		    ~(((offer->media[i].dir & 1) << 1) | offer->media[i].dir >> 1))
			abort(); /* flows that weren't offered */
		accepted += m->port != 0;
	}
	if (accepted == 0 || accepted != sdp->bundle_count)
		abort();
	arena_destroy(a);
}

static void check_restart(const struct sdp *offer, struct nego_plan *plan,
			  const struct text *first)
{
	struct nego_policy again = policy;
	struct nego_plan was = *plan;
	struct text t = { 0 };
	char why[128];

	again.local_ufrag = "other";
	if (nego_restart(offer, &again, plan, &t, why, sizeof why) < 0)
		abort();
	/* No ICE restart: our credentials stay too. Versions 1 and 2 have the same
	 * length. */
	if (t.len != first->len || memcmp(plan, &was, sizeof was) != 0)
		abort();
	check_answer(offer, &t);
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_create(SDP_ARENA_MAX);
	struct text t = { 0 };
	struct nego_plan plan;
	struct sdp *offer;
	const char *reason;
	char why[128] = "", ufrag[SDP_TEXT_MAX + 1], pwd[SDP_TEXT_MAX + 1];

	if (nego_read_fragment((const char *)data, size, ufrag, pwd) == 0 &&
	    (strlen(ufrag) < SDP_UFRAG_MIN || strlen(pwd) < SDP_PWD_MIN))
		abort();
	if (sdp_parse(a, (const char *)data, size, &offer, &reason) == 0) {
		if (nego_answer(offer, &policy, &plan, &t, why, sizeof why) == 0) {
			check_answer(offer, &t);
			check_restart(offer, &plan, &t);
		} else if (!why[0] || t.s) {
			abort();
		}
		text_free(&t);
	}
	arena_destroy(a);
	return 0;
}
