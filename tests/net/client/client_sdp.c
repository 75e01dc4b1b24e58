/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The offer this client makes, and the few lines of an answer that it needs. */
#include "client_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
	char *s;
	size_t len, cap;
	bool bad;
};

static void PRINTF_LIKE(2, 3) put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->s + o->len, o->cap - o->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= o->cap - o->len)
		o->bad = true;
	else
		o->len += (size_t)n;
}

static void put_audio(struct out *o)
{
	put(o, "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
	       "a=rtcp-fb:111 nack\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 "
	       "111/111\r\na=extmap:1 "
	       "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
	       "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
}

static void put_video(struct out *o)
{
	put(o, "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
	       "a=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 transport-cc\r\na=rtpmap:97 "
	       "rtx/90000\r\na=fmtp:97 apt=96\r\n"
	       "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	       "a=extmap:3 http://www.ietf.org/id/"
	       "draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
	       "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n");
}

static void put_section(struct out *o, const struct client *c, unsigned i)
{
	const struct client_section *s = &c->sections[i];

	put(o,
	    "m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 "
	    "0.0.0.0\r\n",
	    s->video ? "video" : "audio", s->video ? "96 97" : "111 63");
	put(o, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=ice-options:trickle\r\n", c->ufrag,
	    c->pwd);
	put(o, "a=fingerprint:sha-256 %s\r\na=setup:%s\r\na=mid:%u\r\n",
	    c->p.cert->fingerprint, c->p.dtls_server ? "passive" : "actpass", i);
	put(o, "a=%s\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
	    s->send ? "sendonly" : "recvonly");
	if (s->send)
		put(o, "a=msid:s%u t%u\r\n", i, i);
	if (s->video)
		put_video(o);
	else
		put_audio(o);
	if (!s->send || !s->ssrc)
		return;
	if (s->rtx_ssrc)
		put(o, "a=ssrc-group:FID %u %u\r\n", s->ssrc, s->rtx_ssrc);
	put(o, "a=ssrc:%u cname:c\r\n", s->ssrc);
	if (s->rtx_ssrc)
		put(o, "a=ssrc:%u cname:c\r\n", s->rtx_ssrc);
}

int client_offer(struct client *c, char *buf, size_t cap)
{
	struct out o = { .s = buf, .cap = cap };
	unsigned i;

	put(&o, "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
	for (i = 0; i < c->p.section_count; i++)
		put(&o, " %u", i);
	put(&o, "\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n");
	for (i = 0; i < c->p.section_count; i++)
		put_section(&o, c, i);
	return o.bad ? -ENOBUFS : (int)o.len;
}

static bool copy_value(const char *line, size_t len, const char *prefix, char *out)
{
	size_t n = strlen(prefix);

	if (len <= n || len - n >= TEXT_MAX || strncmp(line, prefix, n) != 0)
		return false;
	memcpy(out, line + n, len - n);
	out[len - n] = 0;
	return true;
}

/* a=candidate:F 1 udp PRIO IP PORT typ host … */
static bool read_candidate(const char *v, struct addr *a)
{
	char transport[8], ip[64], text[96];
	unsigned port;

	if (sscanf(v, "%*s %*u %7s %*u %63s %u", transport, ip, &port) != 3 ||
	    port > 65535 ||
	    (strcmp(transport, "udp") != 0 && strcmp(transport, "UDP") != 0) ||
	    strchr(ip, ':'))
		return false;
	snprintf(text, sizeof text, "%s:%u", ip, port);
	return addr_parse(a, text) == 0;
}

int client_answer(struct client *c, const char *sdp, uint64_t now_us)
{
	char ufrag[TEXT_MAX] = "", pwd[TEXT_MAX] = "", fp[TEXT_MAX] = "", v[TEXT_MAX];
	uint32_t ssrcs[CLIENT_SECTIONS_MAX] = { 0 };
	uint8_t digest[FINGERPRINT_BYTES];
	const char *line = sdp, *end;
	struct addr server = { 0 };
	int section = -1;

	for (; *line; line = *end ? end + 1 : end) {
		size_t len;

		end = line + strcspn(line, "\n");
		len = (size_t)(end - line);
		if (len && line[len - 1] == '\r')
			len--;
		if (len > 2 && line[0] == 'm' && line[1] == '=')
			section++;
		if (!*ufrag && copy_value(line, len, "a=ice-ufrag:", ufrag))
			continue;
		if (!*pwd && copy_value(line, len, "a=ice-pwd:", pwd))
			continue;
		if (!*fp && copy_value(line, len, "a=fingerprint:sha-256 ", fp))
			continue;
		if (copy_value(line, len, "a=candidate:", v) && !server.family)
			read_candidate(v, &server);
		if (section >= 0 && section < CLIENT_SECTIONS_MAX && !ssrcs[section] &&
		    copy_value(line, len, "a=ssrc:", v))
			ssrcs[section] = (uint32_t)strtoul(v, NULL, 10);
	}
	if (!*ufrag || !*pwd || fingerprint_parse(fp, digest) ||
	    (!server.family && !c->server.family))
		return -EBADMSG;
	memcpy(c->slot_ssrc, ssrcs, sizeof ssrcs);
	client_set_remote(c, ufrag, pwd, digest, &server, now_us);
	return 0;
}

uint32_t client_slot_ssrc(const struct client *c, unsigned section)
{
	return section < CLIENT_SECTIONS_MAX ? c->slot_ssrc[section] : 0;
}

const char *client_slot_mid(const struct client *c, unsigned section, char buf[8])
{
	(void)c;
	snprintf(buf, 8, "%u", section % 1000);
	return buf;
}
