/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SDP: lines, m-lines and sections (RFC 8866 §5). Attributes are in sdp_attr.c.
 *
 * Invariant: nothing in the result points into the caller's text or is longer than
 * SDP_TEXT_MAX, and every kept string is free of control characters, so that a value can
 * be echoed in an answer without making a second line of it. Lines and attributes that we
 * don't use are passed over, whatever they hold.
 */
#include "sdp_inner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SDP_WHY_MAX = 160, SDP_PORT_MAX = 65535, SDP_PT_MAX = 127 };

struct str str_take(struct str *s, char sep)
{
	const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
	struct str head = { s->p, at ? (size_t)(at - s->p) : s->n };
	size_t used = at ? head.n + 1 : head.n;

	s->p += used;
	s->n -= used;
	return head;
}

bool str_is(struct str s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

bool str_is_nocase(struct str s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

bool str_uint(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0 || s.n > 19) /* 19 digits fit in 64 bits */
		return false;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

bool str_is_token(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c <= ' ' || c > '~' || strchr("\"(),/:;<=>?@[\\]", c))
			return false;
	}
	return s.n > 0;
}

int sdp_fail(struct sdp_parser *ps, int err, const char *fmt, ...)
{
	char *why = arena_take(ps->arena, SDP_WHY_MAX);
	va_list ap;
	int n;

	if (!why) {
		ps->why = "larger than this server takes";
		return -ENOBUFS;
	}
	n = snprintf(why, SDP_WHY_MAX, "line %u: ", ps->line);
	va_start(ap, fmt);
	vsnprintf(why + n, SDP_WHY_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	ps->why = why;
	return err;
}

int sdp_keep(struct sdp_parser *ps, struct str s, const char **out)
{
	char *copy;

	if (s.n > SDP_TEXT_MAX)
		return sdp_fail(ps, -ENOBUFS, "a value of more than %d characters",
				SDP_TEXT_MAX);
	copy = arena_take(ps->arena, s.n + 1);
	if (!copy)
		return sdp_fail(ps, -ENOBUFS, "too large");
	if (s.n)
		memcpy(copy, s.p, s.n);
	*out = copy;
	return 0;
}

/* The arena's copy of an array, NULL if it is empty; false when the arena is full. */
static bool sdp_keep_array(struct sdp_parser *ps, const void *src, size_t bytes,
			   void **out)
{
	*out = NULL;
	if (bytes == 0)
		return true;
	*out = arena_take(ps->arena, bytes);
	if (*out)
		memcpy(*out, src, bytes);
	return *out != NULL;
}

static bool draft_is_rtx(const struct sdp_draft *d, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < d->fid_count; i++)
		if (d->fids[i].rtx == ssrc)
			return true;
	return false;
}

/* SSRCs without the RTX ones, each with its RTX. The lines come in any order. */
static int draft_finish_ssrcs(struct sdp_parser *ps, struct sdp_draft *d)
{
	struct sdp_ssrc list[SDP_RAW_SSRCS_MAX];
	unsigned n = 0, i, k;
	void *kept;

	for (i = 0; i < d->raw_count; i++) {
		if (draft_is_rtx(d, d->raw_ssrcs[i]))
			continue;
		list[n] = (struct sdp_ssrc) { .ssrc = d->raw_ssrcs[i] };
		for (k = 0; k < d->fid_count; k++)
			if (d->fids[k].ssrc == list[n].ssrc)
				list[n].rtx = d->fids[k].rtx;
		n++;
	}
	if (n > SDP_SSRCS_MAX)
		return sdp_fail(ps, -ENOBUFS, "more than %d SSRCs in the section before",
				SDP_SSRCS_MAX);
	if (!sdp_keep_array(ps, list, n * sizeof list[0], &kept))
		return sdp_fail(ps, -ENOBUFS, "too large");
	d->m.ssrcs = kept;
	d->m.ssrc_count = n;
	return 0;
}

/* apt of rtx, and what red repeats. After all lines: fmtp may stand before rtpmap. */
static void draft_finish_codecs(struct sdp_draft *d)
{
	unsigned i;

	for (i = 0; i < d->m.codec_count; i++) {
		struct sdp_codec *c = &d->m.codecs[i];
		struct str fmtp = { c->fmtp, strlen(c->fmtp) };
		uint64_t pt;

		if (strcasecmp(c->name, "rtx") == 0) {
			unsigned apt = sdp_fmtp_get_uint(c->fmtp, "apt", SDP_PT_MAX, 255);

			c->apt = apt == 255 ? -1 : (int)apt;
		} else if (strcasecmp(c->name, "red") == 0 &&
			   str_uint(str_take(&fmtp, '/'), SDP_PT_MAX, &pt)) {
			c->apt = (int)pt;
		}
	}
}

static int draft_finish(struct sdp_parser *ps)
{
	struct sdp_draft *d = &ps->draft;
	void *exts, *rids;
	unsigned i;
	int r;

	if (!ps->in_media)
		return 0;
	draft_finish_codecs(d);
	r = draft_finish_ssrcs(ps, d);
	if (r < 0)
		return r;
	if (!sdp_keep_array(ps, d->exts, d->m.ext_count * sizeof d->exts[0], &exts) ||
	    !sdp_keep_array(ps, d->rids, d->m.rid_count * sizeof d->rids[0], &rids))
		return sdp_fail(ps, -ENOBUFS, "too large");
	d->m.exts = exts;
	d->m.rids = rids;
	if (!d->has_dir)
		d->m.dir = ps->session_dir;
	for (i = 0; d->m.mid[0] && i < ps->sdp->media_count; i++)
		if (strcmp(ps->media[i].mid, d->m.mid) == 0)
			return sdp_fail(ps, -EBADMSG, "a mid used twice above");
	ps->media[ps->sdp->media_count++] = d->m;
	return 0;
}

/* The m-line's formats as payload types. */
static int sdp_read_formats(struct sdp_parser *ps, struct sdp_media *m,
			    struct str formats)
{
	struct sdp_codec codecs[SDP_CODECS_MAX];
	unsigned n = 0, i;
	uint64_t pt;
	void *kept;

	while (formats.n) {
		struct str f = str_take(&formats, ' ');

		if (f.n == 0)
			continue;
		if (!str_uint(f, SDP_PT_MAX, &pt))
			return sdp_fail(ps, -EBADMSG,
					"a payload type that isn't 0 to 127");
		if (n == SDP_CODECS_MAX)
			return sdp_fail(ps, -ENOBUFS, "more than %d codecs",
					SDP_CODECS_MAX);
		for (i = 0; i < n; i++)
			if (codecs[i].pt == pt)
				return sdp_fail(ps, -EBADMSG, "payload type %u twice",
						(unsigned)pt);
		codecs[n++] = (struct sdp_codec) {
			.pt = (uint8_t)pt, .name = "", .fmtp = "", .apt = -1
		};
	}
	if (!sdp_keep_array(ps, codecs, n * sizeof codecs[0], &kept))
		return sdp_fail(ps, -ENOBUFS, "too large");
	m->codecs = kept;
	m->codec_count = n;
	return 0;
}

static enum sdp_kind sdp_kind_of(struct str s)
{
	if (str_is(s, "audio"))
		return SDP_AUDIO;
	if (str_is(s, "video"))
		return SDP_VIDEO;
	if (str_is(s, "application"))
		return SDP_APPLICATION;
	return SDP_OTHER;
}

/* m=<media> <port>[/<count>] <proto> <fmt> … */
static int sdp_read_media(struct sdp_parser *ps, struct str s)
{
	struct sdp_media m = { .mid = "", .msid = "" };
	struct str kind = str_take(&s, ' '), ports = str_take(&s, ' '),
		   proto = str_take(&s, ' ');
	struct str port = str_take(&ports, '/');
	uint64_t v;
	int r;

	r = draft_finish(ps);
	if (r < 0)
		return r;
	if (ps->sdp->media_count == SDP_MEDIA_MAX)
		return sdp_fail(ps, -ENOBUFS, "more than %d sections", SDP_MEDIA_MAX);
	if (!str_is_token(kind) || !str_uint(port, SDP_PORT_MAX, &v) || proto.n == 0 ||
	    s.n == 0)
		return sdp_fail(ps, -EBADMSG, "not an m-line");
	m.kind = sdp_kind_of(kind);
	m.port = (unsigned)v;
	r = sdp_keep(ps, kind, &m.kind_text);
	if (r == 0)
		r = sdp_keep(ps, proto, &m.proto);
	if (r == 0)
		r = sdp_keep(ps, s, &m.fmt);
	if (r == 0 && (m.kind == SDP_AUDIO || m.kind == SDP_VIDEO) &&
	    strstr(m.proto, "RTP/"))
		r = sdp_read_formats(ps, &m, s);
	if (r < 0)
		return r;
	memset(&ps->draft, 0, sizeof ps->draft);
	ps->draft.m = m;
	ps->in_media = true;
	return 0;
}

static int sdp_read_line(struct sdp_parser *ps, struct str line)
{
	struct str value = { line.p + 2, line.n - 2 };
	size_t i;

	for (i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t')
			return sdp_fail(ps, -EBADMSG, "a control character");
	if (line.p[0] < 'a' || line.p[0] > 'z')
		return sdp_fail(ps, -EBADMSG, "not of the form x=value");
	if (line.p[0] == 'm')
		return sdp_read_media(ps, value);
	if (line.p[0] == 'a')
		return sdp_attribute(ps, value);
	return 0;
}

static int sdp_read_text(struct sdp_parser *ps, struct str text)
{
	int r;

	while (text.n) {
		struct str line = str_take(&text, '\n');

		ps->line++;
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0)
			continue; /* some senders end with an empty line */
		if (line.n < 2 || line.p[1] != '=')
			return sdp_fail(ps, -EBADMSG, "not of the form x=value");
		if (!ps->started && !str_is(line, "v=0"))
			return sdp_fail(ps, -EBADMSG, "SDP begins with v=0");
		ps->started = true;
		r = sdp_read_line(ps, line);
		if (r < 0)
			return r;
	}
	if (!ps->started)
		return sdp_fail(ps, -EBADMSG, "empty");
	return draft_finish(ps);
}

int sdp_parse(struct arena *a, const char *text, size_t len, struct sdp **out,
	      const char **why)
{
	struct sdp_parser *ps;
	void *media = NULL, *bundle = NULL;
	int r;

	if (len > SDP_BYTES_MAX) {
		*why = "longer than this server takes";
		return -ENOBUFS;
	}
	ps = arena_take(a, sizeof *ps);
	if (ps) {
		ps->arena = a;
		ps->session_dir = SDP_SENDRECV; /* RFC 8866 §6.7 */
		ps->sdp = arena_take(a, sizeof *ps->sdp);
	}
	if (!ps || !ps->sdp) {
		*why = "larger than this server takes";
		return -ENOBUFS;
	}
	r = sdp_read_text(ps, (struct str) { text, len });
	if (r == 0 &&
	    (!sdp_keep_array(ps, ps->media, ps->sdp->media_count * sizeof ps->media[0],
			     &media) ||
	     !sdp_keep_array(ps, ps->bundle, ps->sdp->bundle_count * sizeof ps->bundle[0],
			     &bundle)))
		r = sdp_fail(ps, -ENOBUFS, "too large");
	if (r < 0) {
		*why = ps->why;
		return r;
	}
	ps->sdp->media = media;
	ps->sdp->bundle = bundle;
	*out = ps->sdp;
	return 0;
}
