/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the parts of nego share: select.c (codecs and extensions of one section), plan.c
 * (what each section becomes), answer.c (writing it), nego.c (the doors).
 */
#ifndef PALABRE_NEGO_INNER_H
#define PALABRE_NEGO_INNER_H

#include <palabre/nego.h>

enum use {
	USE_REJECT,   /* port 0, out of the bundle */
	USE_INACTIVE, /* in the bundle, nothing flows */
	USE_SOURCE,   /* recvonly */
	USE_SLOT      /* sendonly */
};
/* What one section of the offer becomes. */
struct verdict {
	enum use use;
	unsigned index; /* in plan.sources or plan.slots */
	struct nego_section sec;
};
/* Where transport's data is taken from: the first accepted section, else the section that
 * stands for the bundle, else the session (RFC 8843 §7.1.3, RFC 8839 §5.4, RFC 8842 §5).
 */
struct remote {
	const char *ufrag, *pwd;
	uint8_t fingerprint[32];
	enum sdp_setup setup;
};

/* Codecs we can use in this section, in the offer's order, for what it will be used for. After
 * nego_select_exts: feedback about numbers needs the numbers. */
void nego_select_codecs(const struct sdp_media *m, enum use use,
			struct nego_section *sec);
void nego_select_exts(const struct sdp_media *m, enum use use, struct nego_section *sec);
const char *nego_ext_uri(enum ext_id id);
bool nego_has_ext(const struct nego_section *sec, enum ext_id id);
/* The section's codec in the offer. Never NULL for a codec that was selected from it. */
const struct sdp_codec *nego_offered(const struct sdp_media *m, uint8_t pt);

/* Fills a verdict for each section and the plan's sources and slots. 0 or -EBADMSG and
 * why. */
int nego_judge(const struct sdp *offer, const struct nego_policy *policy,
	       struct nego_plan *plan, struct verdict *verdicts, char *why,
	       size_t why_len) MUST_CHECK;
/* The same from a plan that is in force. 0, -EBADMSG or -EPROTO. */
int nego_judge_again(const struct sdp *offer, const struct nego_plan *plan,
		     struct verdict *verdicts, char *why, size_t why_len) MUST_CHECK;
int nego_find_remote(const struct sdp *offer, const struct verdict *verdicts,
		     struct remote *remote, char *why, size_t why_len) MUST_CHECK;

/* Appends the whole answer. `version` goes into the o-line. */
void nego_write(const struct sdp *offer, const struct nego_policy *policy,
		const struct nego_plan *plan, const struct verdict *verdicts,
		unsigned version, struct text *answer);

#endif
