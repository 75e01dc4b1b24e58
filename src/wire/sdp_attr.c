/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SDP: the attributes this server understands, one function each, in one table.
 *
 * Invariant: what is not in the table is passed over unread; what is in it is either
 * understood or fails the whole text, but for payload types that the m-line doesn't list
 * and feedback or group semantics we have no use for, which are passed over too.
 */
#include "sdp_inner.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { CLOCK_MAX = 1000000, CHANNELS_MAX = 255, ATTR_PT_MAX = 127 };

bool sdp_ice_text_valid(const char *s, size_t len, size_t min)
{
	size_t i;

	if (len < min || len > SDP_TEXT_MAX)
		return false;
	for (i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '+' || c == '/'))
			return false;
	}
	return true;
}

static struct str str_trim(struct str s)
{
	while (s.n && s.p[0] == ' ') {
		s.p++;
		s.n--;
	}
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

bool sdp_fmtp_get(const char *fmtp, const char *key, const char **value, size_t *len)
{
	struct str s = { fmtp, strlen(fmtp) };

	while (s.n) {
		struct str v = str_take(&s, ';');
		struct str k = str_trim(str_take(&v, '='));

		if (str_is_nocase(k, key)) {
			v = str_trim(v);
			*value = v.p;
			*len = v.n;
			return true;
		}
	}
	return false;
}

unsigned sdp_fmtp_get_uint(const char *fmtp, const char *key, unsigned max,
			   unsigned fallback)
{
	struct str s;
	uint64_t v;

	if (!sdp_fmtp_get(fmtp, key, &s.p, &s.n) || !str_uint(s, max, &v))
		return fallback;
	return (unsigned)v;
}

static struct sdp_ice *ice_of(struct sdp_parser *ps)
{
	return ps->in_media ? &ps->draft.m.ice : &ps->sdp->ice;
}

static int read_ufrag(struct sdp_parser *ps, struct str v)
{
	if (!sdp_ice_text_valid(v.p, v.n, SDP_UFRAG_MIN))
		return sdp_fail(ps, -EBADMSG, "a bad ice-ufrag");
	return sdp_keep(ps, v, &ice_of(ps)->ufrag);
}

static int read_pwd(struct sdp_parser *ps, struct str v)
{
	if (!sdp_ice_text_valid(v.p, v.n, SDP_PWD_MIN))
		return sdp_fail(ps, -EBADMSG, "a bad ice-pwd");
	return sdp_keep(ps, v, &ice_of(ps)->pwd);
}

/* Several may be there (RFC 8122 §5): the first SHA-256 is kept, else the first. */
static int read_fingerprint(struct sdp_parser *ps, struct str v)
{
	struct sdp_ice *ice = ice_of(ps);
	struct str hash = str_take(&v, ' ');
	int r;

	if (hash.n == 0 || v.n == 0)
		return sdp_fail(ps, -EBADMSG, "a bad fingerprint");
	if (ice->fp_hash &&
	    (strcasecmp(ice->fp_hash, "sha-256") == 0 || !str_is_nocase(hash, "sha-256")))
		return 0;
	r = sdp_keep(ps, hash, &ice->fp_hash);
	return r < 0 ? r : sdp_keep(ps, v, &ice->fp_value);
}

static int read_setup(struct sdp_parser *ps, struct str v)
{
	struct sdp_ice *ice = ice_of(ps);

	if (str_is(v, "active"))
		ice->setup = SETUP_ACTIVE;
	else if (str_is(v, "passive"))
		ice->setup = SETUP_PASSIVE;
	else if (str_is(v, "actpass"))
		ice->setup = SETUP_ACTPASS;
	else
		return sdp_fail(ps, -EBADMSG,
				"a setup that isn't active, passive or actpass");
	return 0;
}

static int read_ice_lite(struct sdp_parser *ps, struct str v)
{
	(void)v;
	if (!ps->in_media)
		ps->sdp->ice_lite = true;
	return 0;
}

static int read_ice_options(struct sdp_parser *ps, struct str v)
{
	while (v.n)
		if (str_is(str_take(&v, ' '), "trickle"))
			ps->sdp->trickle = true;
	return 0;
}

/* Only the first BUNDLE group; a second would be a second transport. */
static int read_group(struct sdp_parser *ps, struct str v)
{
	struct sdp *s = ps->sdp;
	int r;

	if (ps->in_media || !str_is(str_take(&v, ' '), "BUNDLE") || s->bundle_count)
		return 0;
	while (v.n) {
		struct str mid = str_take(&v, ' ');

		if (mid.n == 0)
			continue;
		if (!str_is_token(mid))
			return sdp_fail(ps, -EBADMSG, "a bad mid in BUNDLE");
		if (s->bundle_count == SDP_MEDIA_MAX)
			return sdp_fail(ps, -ENOBUFS, "more than %d mids in BUNDLE",
					SDP_MEDIA_MAX);
		r = sdp_keep(ps, mid, &ps->bundle[s->bundle_count]);
		if (r < 0)
			return r;
		s->bundle_count++;
	}
	return 0;
}

static int read_mid(struct sdp_parser *ps, struct str v)
{
	if (!ps->in_media)
		return 0;
	if (!str_is_token(v))
		return sdp_fail(ps, -EBADMSG, "a bad mid");
	if (ps->draft.m.mid[0])
		return sdp_fail(ps, -EBADMSG, "a second mid in one section");
	return sdp_keep(ps, v, &ps->draft.m.mid);
}

static int read_msid(struct sdp_parser *ps, struct str v)
{
	/* Firefox and old Chromium write one line per stream: the first will do. */
	if (!ps->in_media || ps->draft.m.msid[0])
		return 0;
	return sdp_keep(ps, v, &ps->draft.m.msid);
}

static int set_dir(struct sdp_parser *ps, enum sdp_dir dir)
{
	if (ps->in_media) {
		ps->draft.m.dir = dir;
		ps->draft.has_dir = true;
	} else {
		ps->session_dir = dir;
	}
	return 0;
}

static int read_sendrecv(struct sdp_parser *ps, struct str v)
{
	(void)v;
	return set_dir(ps, SDP_SENDRECV);
}

static int read_sendonly(struct sdp_parser *ps, struct str v)
{
	(void)v;
	return set_dir(ps, SDP_SENDONLY);
}

static int read_recvonly(struct sdp_parser *ps, struct str v)
{
	(void)v;
	return set_dir(ps, SDP_RECVONLY);
}

static int read_inactive(struct sdp_parser *ps, struct str v)
{
	(void)v;
	return set_dir(ps, SDP_INACTIVE);
}

static int read_rtcp_mux(struct sdp_parser *ps, struct str v)
{
	(void)v;
	ps->draft.m.rtcp_mux = true;
	return 0;
}

static int read_rtcp_rsize(struct sdp_parser *ps, struct str v)
{
	(void)v;
	ps->draft.m.rtcp_rsize = true;
	return 0;
}

static int read_bundle_only(struct sdp_parser *ps, struct str v)
{
	(void)v;
	ps->draft.m.bundle_only = true;
	return 0;
}

/* Takes "<pt> " off the value. NULL if the m-line doesn't list it. */
static struct sdp_codec *take_codec(struct sdp_parser *ps, struct str *v, bool *bad)
{
	struct sdp_media *m = &ps->draft.m;
	uint64_t pt;
	unsigned i;

	*bad = !str_uint(str_take(v, ' '), ATTR_PT_MAX, &pt);
	for (i = 0; !*bad && i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

/* <pt> <name>/<clock>[/<channels>] */
static int read_rtpmap(struct sdp_parser *ps, struct str v)
{
	uint64_t clock, channels = 1;
	struct sdp_codec *c;
	struct str name;
	bool bad;

	if (!ps->in_media)
		return 0;
	c = take_codec(ps, &v, &bad);
	name = str_take(&v, '/');
	if (bad || !str_is_token(name) ||
	    !str_uint(str_take(&v, '/'), CLOCK_MAX, &clock) ||
	    (v.n && !str_uint(v, CHANNELS_MAX, &channels)))
		return sdp_fail(ps, -EBADMSG, "a bad rtpmap");
	if (!c)
		return 0;
	c->clock = (uint32_t)clock;
	c->channels = (unsigned)channels;
	return sdp_keep(ps, name, &c->name);
}

static int read_fmtp(struct sdp_parser *ps, struct str v)
{
	struct sdp_codec *c;
	bool bad;

	if (!ps->in_media)
		return 0;
	c = take_codec(ps, &v, &bad);
	if (!c) /* application sections have formats that are no numbers */
		return 0;
	return sdp_keep(ps, v, &c->fmtp);
}

static void set_feedback(struct sdp_codec *c, struct str fb)
{
	if (str_is(fb, "nack"))
		c->fb_nack = true;
	else if (str_is(fb, "nack pli"))
		c->fb_pli = true;
	else if (str_is(fb, "ccm fir"))
		c->fb_fir = true;
	else if (str_is(fb, "transport-cc"))
		c->fb_twcc = true;
	else if (str_is(fb, "goog-remb"))
		c->fb_remb = true;
	else if (str_is(fb, "rrtr"))
		c->fb_rrtr = true;
}

/* <pt or *> <what> */
static int read_rtcp_fb(struct sdp_parser *ps, struct str v)
{
	struct sdp_media *m = &ps->draft.m;
	struct sdp_codec *c;
	unsigned i;
	bool bad;

	if (!ps->in_media)
		return 0;
	if (v.n > 2 && v.p[0] == '*' && v.p[1] == ' ') {
		for (i = 0; i < m->codec_count; i++)
			set_feedback(&m->codecs[i], (struct str) { v.p + 2, v.n - 2 });
		return 0;
	}
	c = take_codec(ps, &v, &bad);
	if (bad)
		return sdp_fail(ps, -EBADMSG, "a bad rtcp-fb");
	if (c)
		set_feedback(c, v);
	return 0;
}

/* <id>[/<direction>] <uri> [<more>]. Session level isn't used by anyone we talk to. */
static int read_extmap(struct sdp_parser *ps, struct str v)
{
	struct sdp_draft *d = &ps->draft;
	struct str way = str_take(&v, ' '), number = str_take(&way, '/'),
		   uri = str_take(&v, ' ');
	struct sdp_ext *e;
	uint64_t id;
	unsigned i;
	int r;

	if (!ps->in_media)
		return 0;
	if (!str_uint(number, UINT16_MAX, &id) || uri.n == 0)
		return sdp_fail(ps, -EBADMSG, "a bad extmap");
	if (id == 0 || id > SDP_EXT_ID_MAX)
		return 0; /* 4096 and up: alternatives to choose from (RFC 8285 §7) */
	for (i = 0; i < d->m.ext_count; i++)
		if (d->exts[i].id == id)
			return sdp_fail(ps, -EBADMSG, "extension id %u twice",
					(unsigned)id);
	if (d->m.ext_count == SDP_EXTS_MAX)
		return sdp_fail(ps, -ENOBUFS, "more than %d extensions", SDP_EXTS_MAX);
	e = &d->exts[d->m.ext_count];
	*e = (struct sdp_ext) { .id = (uint16_t)id, .dir = SDP_SENDRECV };
	if (str_is(way, "sendonly"))
		e->dir = SDP_SENDONLY;
	else if (str_is(way, "recvonly"))
		e->dir = SDP_RECVONLY;
	else if (str_is(way, "inactive"))
		e->dir = SDP_INACTIVE;
	else if (way.n && !str_is(way, "sendrecv"))
		return sdp_fail(ps, -EBADMSG, "a bad extmap");
	r = sdp_keep(ps, uri, &e->uri);
	if (r == 0)
		d->m.ext_count++;
	return r;
}

/* <ssrc> <attribute>: that it is named is all we need. */
static int read_ssrc(struct sdp_parser *ps, struct str v)
{
	struct sdp_draft *d = &ps->draft;
	uint64_t ssrc;
	unsigned i;

	if (!ps->in_media)
		return 0;
	if (!str_uint(str_take(&v, ' '), UINT32_MAX, &ssrc))
		return sdp_fail(ps, -EBADMSG, "a bad ssrc");
	for (i = 0; i < d->raw_count; i++)
		if (d->raw_ssrcs[i] == ssrc)
			return 0;
	if (d->raw_count == SDP_RAW_SSRCS_MAX)
		return sdp_fail(ps, -ENOBUFS, "more than %d SSRCs", SDP_SSRCS_MAX);
	d->raw_ssrcs[d->raw_count++] = (uint32_t)ssrc;
	return 0;
}

/* FID <ssrc> <its rtx> (RFC 5576 §4.2, RFC 4588 §8.8). */
static int read_ssrc_group(struct sdp_parser *ps, struct str v)
{
	struct sdp_draft *d = &ps->draft;
	uint64_t ssrc, rtx;

	if (!ps->in_media || !str_is(str_take(&v, ' '), "FID"))
		return 0;
	if (!str_uint(str_take(&v, ' '), UINT32_MAX, &ssrc) ||
	    !str_uint(str_take(&v, ' '), UINT32_MAX, &rtx) || ssrc == rtx)
		return sdp_fail(ps, -EBADMSG, "a bad ssrc-group");
	if (d->fid_count == SDP_SSRCS_MAX)
		return sdp_fail(ps, -ENOBUFS, "more than %d SSRC groups", SDP_SSRCS_MAX);
	d->fids[d->fid_count++] = (struct sdp_ssrc) { (uint32_t)ssrc, (uint32_t)rtx };
	return 0;
}

/* send <rid>[,<alternative>…];… recv … (RFC 8853 §5.1). The first alternative is kept. */
static int read_simulcast(struct sdp_parser *ps, struct str v)
{
	struct sdp_draft *d = &ps->draft;
	struct str way, list;
	int r;

	if (!ps->in_media || d->m.rid_count)
		return 0;
	do {
		way = str_take(&v, ' ');
		list = str_take(&v, ' ');
	} while (v.n && !str_is(way, "send"));
	if (!str_is(way, "send"))
		return 0;
	while (list.n) {
		struct str versions = str_take(&list, ';'),
			   rid = str_take(&versions, ',');

		if (rid.n && rid.p[0] == '~') { /* paused */
			rid.p++;
			rid.n--;
		}
		if (!str_is_token(rid))
			return sdp_fail(ps, -EBADMSG, "a bad simulcast");
		if (d->m.rid_count == SDP_RIDS_MAX)
			return sdp_fail(ps, -ENOBUFS, "more than %d simulcast layers",
					SDP_RIDS_MAX);
		r = sdp_keep(ps, rid, &d->rids[d->m.rid_count]);
		if (r < 0)
			return r;
		d->m.rid_count++;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*read)(struct sdp_parser *ps, struct str value);
} attributes[] = {
	{ "rtcp-fb", read_rtcp_fb },
	{ "rtpmap", read_rtpmap },
	{ "fmtp", read_fmtp },
	{ "extmap", read_extmap },
	{ "ssrc", read_ssrc },
	{ "ssrc-group", read_ssrc_group },
	{ "mid", read_mid },
	{ "msid", read_msid },
	{ "sendrecv", read_sendrecv },
	{ "sendonly", read_sendonly },
	{ "recvonly", read_recvonly },
	{ "inactive", read_inactive },
	{ "rtcp-mux", read_rtcp_mux },
	{ "rtcp-rsize", read_rtcp_rsize },
	{ "bundle-only", read_bundle_only },
	{ "ice-ufrag", read_ufrag },
	{ "ice-pwd", read_pwd },
	{ "fingerprint", read_fingerprint },
	{ "setup", read_setup },
	{ "ice-lite", read_ice_lite },
	{ "ice-options", read_ice_options },
	{ "group", read_group },
	{ "simulcast", read_simulcast },
};

int sdp_attribute(struct sdp_parser *ps, struct str line)
{
	struct str name = str_take(&line, ':');
	size_t i;

	for (i = 0; i < ARRAY_LEN(attributes); i++)
		if (str_is(name, attributes[i].name))
			return attributes[i].read(ps, line);
	return 0;
}
