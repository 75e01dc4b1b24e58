/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a datagram on the one port is, and whose. Nothing here is authenticated: the
 * answers only say where to look, and must cost an unknown sender's packet next to
 * nothing.
 */
#include <palabre/wire.h>

#include <errno.h>
#include <string.h>

enum {
	STUN_HEADER_BYTES = 20,
	STUN_COOKIE = 0x2112a442,
	STUN_BINDING_REQUEST = 0x0001,
	STUN_ATTR_USERNAME = 0x0006,
	STUN_ATTR_INTEGRITY = 0x0008,
	ICE_UFRAG_MAX = 256, /* RFC 8839 §5.4 */
	DTLS_HEADER_BYTES = 13,
	RTP_HEADER_BYTES = 12,
	RTCP_HEADER_BYTES = 8
};

enum demux wire_demux(const uint8_t *data, size_t len)
{
	if (len < RTCP_HEADER_BYTES)
		return DEMUX_OTHER;
	if (data[0] >= 128 && data[0] <= 191) {
		/* RFC 5761 §4: RTP types 64-95 are never used beside RTCP. */
		if (data[1] >= 192 && data[1] <= 223)
			return DEMUX_RTCP;
		return len >= RTP_HEADER_BYTES ? DEMUX_RTP : DEMUX_OTHER;
	}
	if (data[0] >= 20 && data[0] <= 63)
		return len >= DTLS_HEADER_BYTES ? DEMUX_DTLS : DEMUX_OTHER;
	if (data[0] <= 3)
		return len >= STUN_HEADER_BYTES ? DEMUX_STUN : DEMUX_OTHER;
	return DEMUX_OTHER;
}

/* RFC 8489 §14: the first attribute of a type counts, and after MESSAGE-INTEGRITY only
 * FINGERPRINT and the second integrity do: a name behind it is nobody's. */
int stun_peek_ufrag(const uint8_t *data, size_t len, const char **ufrag,
		    size_t *ufrag_len)
{
	struct rd r;

	rd_init(&r, data, len);
	uint16_t type = rd_be16(&r);
	uint16_t body = rd_be16(&r);
	uint32_t cookie = rd_be32(&r);
	rd_bytes(&r, 12); /* transaction */
	if (r.bad || type != STUN_BINDING_REQUEST || cookie != STUN_COOKIE || body % 4 ||
	    body != rd_left(&r))
		return -EBADMSG;
	while (rd_left(&r)) {
		uint16_t attr = rd_be16(&r);
		uint16_t size = rd_be16(&r);
		const uint8_t *value = rd_bytes(&r, (size + 3u) & ~3u);

		if (!value || attr == STUN_ATTR_INTEGRITY)
			return -EBADMSG;
		if (attr != STUN_ATTR_USERNAME)
			continue;
		const uint8_t *colon = memchr(value, ':', size);

		if (!colon || colon == value || colon - value > ICE_UFRAG_MAX)
			return -EBADMSG;
		*ufrag = (const char *)value;
		*ufrag_len = (size_t)(colon - value);
		return 0;
	}
	return -EBADMSG;
}
