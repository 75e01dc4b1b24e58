/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Absurd SDP: refused with words, or taken for what is usable in it. */
#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_ADDRESS "127.0.15.1"
#define JOIN_PATH     "/api/1/rooms/spare/join"

enum { TEXT_MAX_BYTES = 1 << 20 };

/* What is being made of the good offer. */
struct offer {
	char *text; /* TEXT_MAX_BYTES */
	size_t len;
};

static void add(struct offer *o, const char *s)
{
	size_t n = strlen(s);

	if (o->len + n >= TEXT_MAX_BYTES)
		return;
	memcpy(o->text + o->len, s, n + 1);
	o->len += n;
}

static void addf(struct offer *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void addf(struct offer *o, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	add(o, text);
}

/* The first `from` becomes `to`; it must be there. */
static void put(struct offer *o, const char *from, const char *to)
{
	char *at = strstr(o->text, from);
	size_t n = strlen(from), m = strlen(to);

	if (!at || o->len + m >= TEXT_MAX_BYTES) {
		fprintf(stderr, "no %s in the offer\n", from);
		abort();
	}
	memmove(at + m, at + n, o->len - (size_t)(at - o->text) - n + 1);
	memcpy(at, to, m);
	o->len += m - n;
}

static void put_all(struct offer *o, const char *from, const char *to)
{
	while (strstr(o->text, from))
		put(o, from, to);
}

/* ---- what is done to it ------------------------------------------------------------ */

static void empty(struct offer *o)
{
	o->text[o->len = 0] = 0;
}

static void no_sdp(struct offer *o)
{
	empty(o);
	add(o, "<?xml version=\"1.0\"?><offer/>");
}

static void sections(struct offer *o)
{
	for (unsigned i = 0; i < 1000; i++)
		addf(o, "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:x%u\r\n", i);
}

static void candidates(struct offer *o, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		addf(o, "a=candidate:%u 1 udp 2122260223 192.0.2.1 %u typ host\r\n", i,
		     i % 65536);
}

static void some_candidates(struct offer *o)
{
	candidates(o, 1500);
}

static void many_candidates(struct offer *o)
{
	candidates(o, 10000);
}

static void long_lines(struct offer *o, const char *name)
{
	size_t len;

	add(o, name);
	len = o->len;
	memset(o->text + len, 'x', 65536);
	o->text[o->len = len + 65536] = 0;
	add(o, "\r\n");
}

static void long_unknown(struct offer *o)
{
	long_lines(o, "a=x-unknown:");
}

static void long_msid(struct offer *o)
{
	put_all(o, "a=msid:", "a=x-msid:");
	long_lines(o, "a=msid:");
}

static void long_fmtp(struct offer *o)
{
	long_lines(o, "a=fmtp:96 ");
}

static void rids(struct offer *o)
{
	put(o, "a=rtcp-mux\r\na=rtcp-rsize\r\n", "a=rtcp-mux\r\n");
	add(o, "a=simulcast:send ");
	for (unsigned i = 0; i < 1000; i++)
		add(o, "r1;");
	add(o, "\r\n");
}

static void rid_lines(struct offer *o)
{
	for (unsigned i = 0; i < 5000; i++)
		add(o, "a=rid:r1 send\r\n");
}

static void ssrcs(struct offer *o)
{
	for (unsigned i = 0; i < 3000; i++)
		addf(o, "a=ssrc:%u cname:x\r\n", i + 1);
}

static void groups(struct offer *o)
{
	for (unsigned i = 0; i < 1000; i++)
		addf(o, "a=ssrc-group:FID %u %u\r\n", i + 1, i + 2);
}

static void extensions(struct offer *o)
{
	for (unsigned i = 0; i < 255; i++)
		addf(o, "a=extmap:%u urn:x:%u\r\n", i + 1, i);
}

static void upside_down(struct offer *o)
{
	put(o, "v=0\r\n", "");
	add(o, "v=0\r\n");
}

static const struct {
	const char *what;
	int status, whip; /* whip: a publisher is taken whole or not at all */
	void (*change)(struct offer *o);
	/* or the first, or all, `from` become `to` */
	const char *from, *to;
	bool all;
} offers[] = {
	{ "as it should be", 201, 201 },
	{ "1500 candidates", 201, 201, some_candidates },
	{ "10 000 candidates", 413, 413, many_candidates },
	{ "empty", 400, 400, empty },
	{ "no SDP", 400, 400, no_sdp },
	{ "upside down", 400, 400, upside_down },
	{ "1000 sections", 400, 400, sections },
	{ "a line of 64 KB that is nobody's", 201, 201, long_unknown },
	{ "a line of 64 KB", 400, 400, long_msid },
	{ "parameters of 64 KB", 400, 400, long_fmtp },
	{ "no fingerprint", 400, 422, NULL, "a=fingerprint:", "a=x-finger:", true },
	{ "a fingerprint of MD5", 400, 422, NULL, "a=fingerprint:sha-256",
	  "a=fingerprint:md5", true },
	{ "half a fingerprint", 400, 422, NULL, "a=fingerprint:sha-256 ",
	  "a=fingerprint:sha-256 AB:CD\r\na=x:" },
	{ "no ICE", 400, 422, NULL, "a=ice-pwd:", "a=x-pwd:", true },
	{ "a password of three letters", 400, 400, NULL,
	  "a=ice-pwd:", "a=ice-pwd:abc\r\na=x:" },
	{ "formats in the name", 400, 400, NULL,
	  "a=ice-ufrag:", "a=ice-ufrag:%s%n<b>\r\na=x:" },
	{ "no rtcp-mux", 400, 422, NULL, "a=rtcp-mux\r\n", "", true },
	{ "no BUNDLE", 400, 422, NULL, "a=group:BUNDLE", "a=group:LS" },
	{ "1000 layers", 400, 400, rids },
	{ "5000 rids", 201, 201, rid_lines },
	{ "a negative port", 400, 400, NULL, "m=audio 9 ", "m=audio -1 " },
	{ "port 65536", 400, 400, NULL, "m=audio 9 ", "m=audio 65536 " },
	{ "payload type 128", 400, 400, NULL, "SAVPF 111", "SAVPF 111 128" },
	{ "payload type -111", 400, 400, NULL, "a=rtpmap:111", "a=rtpmap:-111" },
	{ "a clock beyond 64 bits", 400, 400, NULL, "opus/48000/2",
	  "opus/99999999999999999999/2" },
	{ "an SSRC beyond 32 bits", 400, 400, NULL,
	  "a=ssrc:", "a=ssrc:4294967296 cname:x\r\na=x:" },
	{ "3000 SSRCs", 400, 400, ssrcs },
	{ "1000 groups of SSRCs", 400, 400, groups },
	{ "255 extensions", 400, 400, extensions },
	{ "75 codecs", 400, 400, NULL, "SAVPF 111",
	  "SAVPF 111 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 "
	  "25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 "
	  "50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74" },
	{ "a mid twice", 400, 400, NULL, "a=mid:1\r\n", "a=mid:0\r\n" },
	{ "two mids in one", 400, 400, NULL, "a=mid:1\r\n", "a=mid:1\r\na=mid:2\r\n" },
	{ "a long mid", 201, 422, NULL, "a=mid:0\r\n",
	  "a=mid:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" },
	{ "a mid with HTML in it", 400, 400, NULL, "a=mid:0\r\n",
	  "a=mid:0\" onload=\"x\r\n" },
	{ "control characters", 400, 400, NULL, "a=mid:0\r\n",
	  "a=mid:0\r\na=tool:\x01\x1b[31m\r\n" },
	{ "a lonely return", 400, 400, NULL, "a=mid:0\r\n", "a=mid:0\ra=ice-lite\r\n" },
	{ "a setup that is none", 400, 400, NULL, "a=setup:actpass", "a=setup:holdconn" },
	{ "no encryption", 400, 422, NULL, "UDP/TLS/RTP/SAVPF", "RTP/AVP", true },
};

static void whip_headers(const struct hostile *h, const char *type,
			 char out[SIGNAL_TEXT_MAX + 128])
{
	snprintf(out, SIGNAL_TEXT_MAX + 128,
		 "Authorization: Bearer %s\r\nContent-Type: application/%s\r\n",
		 h->spare.token, type);
}

static void try_whip(struct hostile *h, const char *offer, int status, struct reply *r)
{
	char headers[SIGNAL_TEXT_MAX + 128];

	whip_headers(h, "sdp", headers);
	post(h, "127.0.15.2", "/whip/spare", headers, offer, strlen(offer), r);
	expect(r->status == status, "as WHIP answered %d, not %d; %.300s", r->status,
	       status, r->text);
}

/* What follows a WHIP offer. */
#define ANY "If-Match: *\r\n"
static const struct {
	const char *what, *method, *path, *headers, *body;
	int status;
} later[] = {
	{ "an empty fragment", "PATCH", NULL, ANY, "", 400 },
	{ "a fragment of nothing", "PATCH", NULL, ANY, "a=ice-ufrag\r\na=ice-pwd\r\n",
	  400 },
	{ "a fragment of two letters", "PATCH", NULL, ANY,
	  "a=ice-ufrag:ab\r\na=ice-pwd:cd\r\n", 400 },
	{ "a fragment with HTML", "PATCH", NULL, ANY,
	  "a=ice-ufrag:<script>\r\na=ice-pwd:0123456789012345678901\r\n", 400 },
	{ "nobody's fragment", "PATCH", "/whip/spare/fffffffffffffff", ANY, "a=x\r\n",
	  404 },
	{ "another room's", "PATCH", "/whip/palabre/1", ANY, "a=x\r\n", 403 },
	{ "no If-Match", "PATCH", NULL, "",
	  "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n", 428 },
	{ "another's If-Match", "PATCH", NULL, "If-Match: \"*, x\", \"\r\n",
	  "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n", 412 },
	{ "a restart", "PATCH", NULL, ANY,
	  "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n", 200 },
	{ "nobody's end", "DELETE", "/whip/spare/zzz", "", "", 404 },
	{ "the end", "DELETE", NULL, "", "", 200 },
	{ "the end once more", "DELETE", NULL, "", "", 404 },
};

static void try_later(struct hostile *h, const char *good, struct reply *r)
{
	char headers[SIGNAL_TEXT_MAX + 128], text[2048], path[256] = "";
	const char *at;
	int n;

	trying("offers: WHIP");
	try_whip(h, good, 201, r);
	at = strstr(r->text, "Location: ");
	if (!expect(at && sscanf(at, "Location: %255s", path) == 1, "no location"))
		return;
	whip_headers(h, "trickle-ice-sdpfrag", headers);
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		trying("offers: WHIP, %s", later[i].what);
		n = snprintf(text, sizeof text,
			     "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%sContent-Length: "
			     "%zu\r\n\r\n%s",
			     later[i].method, later[i].path ? later[i].path : path,
			     headers, later[i].headers, strlen(later[i].body),
			     later[i].body);
		ask(h, "127.0.15.3", text, (size_t)n, r);
		expect(r->status == later[i].status, "answered %d, not %d; %.300s",
		       r->status, later[i].status, r->text);
	}
}

static const char *changed(struct offer *o, const char *good, size_t i)
{
	empty(o);
	add(o, good);
	if (offers[i].change)
		offers[i].change(o);
	else if (offers[i].all)
		put_all(o, offers[i].from, offers[i].to);
	else if (offers[i].from)
		put(o, offers[i].from, offers[i].to);
	return o->text;
}

void attack_offers(struct hostile *h)
{
	char *page = make_offer(h, 9), *whip = make_offer(h, 2), *body;
	struct offer o = { malloc(TEXT_MAX_BYTES), 0 };
	struct reply *r = malloc(sizeof *r);

	if (!o.text || !r)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		const char *code = offers[i].status == 400   ? "bad-offer"
				   : offers[i].status == 413 ? "too-large"
							     : "";

		trying("offers: %s", offers[i].what);
		body = join_body(&h->spare, "Mallory", changed(&o, page, i));
		post(h, OFFER_ADDRESS, JOIN_PATH, "", body, strlen(body), r);
		expect(r->status == offers[i].status && !strcmp(r->code, code),
		       "answered %d %s, not %d %s; %.300s", r->status, r->code,
		       offers[i].status, code, r->text);
		free(body);
		try_whip(h, changed(&o, whip, i), offers[i].whip, r);
	}
	try_later(h, whip, r);
	free(o.text);
	free(page);
	free(whip);
	free(r);
}
