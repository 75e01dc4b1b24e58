/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any text: parses or says why; what is kept is within the named limits. */
#include <palabre/wire.h>

#include <stdlib.h>
#include <string.h>

static void check_text(const char *s)
{
	size_t i, n = strlen(s);

	if (n > SDP_TEXT_MAX)
		abort();
	for (i = 0; i < n; i++)
		if (s[i] == '\r' || s[i] == '\n')
			abort();
}

static void check_media(const struct sdp_media *m)
{
	unsigned i;

	check_text(m->kind_text);
	check_text(m->proto);
	check_text(m->fmt);
	check_text(m->mid);
	check_text(m->msid);
	if (m->codec_count > SDP_CODECS_MAX || m->ssrc_count > SDP_SSRCS_MAX ||
	    m->ext_count > SDP_EXTS_MAX || m->rid_count > SDP_RIDS_MAX)
		abort();
	for (i = 0; i < m->codec_count; i++) {
		check_text(m->codecs[i].name);
		check_text(m->codecs[i].fmtp);
	}
	for (i = 0; i < m->ext_count; i++)
		check_text(m->exts[i].uri);
	for (i = 0; i < m->rid_count; i++)
		check_text(m->rids[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_create(SDP_ARENA_MAX);
	struct sdp *sdp = NULL;
	const char *why = NULL;
	unsigned i;

	if (sdp_parse(a, (const char *)data, size, &sdp, &why) == 0) {
		if (sdp->media_count > SDP_MEDIA_MAX || sdp->bundle_count > SDP_MEDIA_MAX)
			abort();
		for (i = 0; i < sdp->media_count; i++)
			check_media(&sdp->media[i]);
	} else if (sdp || !why || !why[0]) {
		abort();
	}
	arena_destroy(a);
	return 0;
}
