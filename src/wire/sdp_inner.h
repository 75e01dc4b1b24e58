/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the two halves of the SDP parser share: sdp_parse.c (lines, m-lines, sections) and
 * sdp_attr.c (one function for each attribute we understand).
 */
#ifndef PALABRE_WIRE_SDP_INNER_H
#define PALABRE_WIRE_SDP_INNER_H

#include <palabre/wire.h>

/* A piece of the text, not terminated. */
struct str {
	const char *p;
	size_t n;
};

enum {
	SDP_RAW_SSRCS_MAX = 2 * SDP_SSRCS_MAX, /* with their RTX */
	SDP_EXT_ID_MAX = 255		       /* RFC 8285 §4.3 */
};

/* One section while its lines come in. Copied into the arena when the next m-line comes.
 */
struct sdp_draft {
	struct sdp_media m;
	bool has_dir;
	struct sdp_ext exts[SDP_EXTS_MAX];
	unsigned raw_count;
	uint32_t raw_ssrcs[SDP_RAW_SSRCS_MAX];
	unsigned fid_count;
	struct sdp_ssrc fids[SDP_SSRCS_MAX];
	const char *rids[SDP_RIDS_MAX];
};

struct sdp_parser {
	struct arena *arena;
	struct sdp *sdp;
	struct sdp_media media[SDP_MEDIA_MAX];
	bool started, in_media;
	struct sdp_draft draft;
	const char *bundle[SDP_MEDIA_MAX];
	enum sdp_dir session_dir;
	unsigned line;
	const char *why;
};

/* Takes what is before `sep` (all, if it isn't there) off the front. */
struct str str_take(struct str *s, char sep);
bool str_is(struct str s, const char *text);	    /* exactly */
bool str_is_nocase(struct str s, const char *text); /* ASCII case ignored */
/* The whole string as a decimal number of 0..max. */
bool str_uint(struct str s, uint64_t max, uint64_t *out);
/* RFC 8866 token: what a mid or a rid may consist of. At least one character. */
bool str_is_token(struct str s);

/* Notes the reason (with the line's number) and returns err. */
int sdp_fail(struct sdp_parser *ps, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A terminated copy of at most SDP_TEXT_MAX characters. 0 or an error already noted. */
int sdp_keep(struct sdp_parser *ps, struct str s, const char **out);
/* One a= line, "name" or "name:value", of the session or the draft section. */
int sdp_attribute(struct sdp_parser *ps, struct str line);

#endif
