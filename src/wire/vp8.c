/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * VP8 payload descriptor (RFC 7741 §4.2) and the one bit of the payload header (§4.3)
 * that tells a key frame. That header exists in a frame's first packet only.
 */
#include "frame_priv.h"

#include <errno.h>

int vp8_parse(const uint8_t *payload, size_t len, bool marker, struct frame_view *f)
{
	struct frame_view v = frame_none();
	struct rd r;

	rd_init(&r, payload, len);
	uint8_t first = rd_u8(&r);
	uint8_t has = first & 0x80 ? rd_u8(&r) : 0; /* I L T K */

	if (has & 0x80)
		frame_read_pid(&r, payload, &v);
	if (has & 0x40) {
		v.tl0_off = (uint16_t)(r.p - payload);
		v.tl0 = rd_u8(&r);
	}
	if (has & 0x30) {
		uint8_t layer = rd_u8(&r);

		if (has & 0x20) /* T: otherwise TID is to be ignored */
			v.tid = layer >> 6;
	}
	v.start = (first & 0x17) == 0x10; /* S, and PID 0 */
	uint8_t header = rd_u8(&r);	  /* a packet without any VP8 data is malformed */

	v.key = v.start && !(header & 1);
	v.end = marker;
	if (r.bad)
		return -EBADMSG;
	*f = v;
	return 0;
}
