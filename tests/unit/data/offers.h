/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Offers as real programs made them (tests/browser/answer_check.mjs --capture; Debian's
 * whip-client), for tests that want the real thing.
 */
#ifndef PALABRE_TESTS_OFFERS_H
#define PALABRE_TESTS_OFFERS_H

#include <palabre/wire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const offer_names[] = {
	"chromium-full",  "chromium-audio",	    "chromium-simulcast",
	"firefox-full",	  "firefox-audio",	    "firefox-simulcast",
	"whip-gstreamer", "whip-gstreamer-trickle",
};

/* The offer's text, terminated; aborts if it isn't there. Caller frees. */
static inline char *offer_read(const char *name, size_t *len)
{
	const char *slash = strrchr(__FILE__, '/');
	char path[512], *s = malloc(SDP_BYTES_MAX + 1);
	FILE *f;

	snprintf(path, sizeof path, "%.*s/offers/%s.sdp", (int)(slash - __FILE__),
		 __FILE__, name);
	f = fopen(path, "r");
	if (!f || !s) {
		perror(path);
		abort();
	}
	*len = fread(s, 1, SDP_BYTES_MAX, f);
	s[*len] = 0;
	fclose(f);
	return s;
}

#endif
