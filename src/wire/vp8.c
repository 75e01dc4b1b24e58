/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * VP8 payload descriptor (RFC 7741 §4.2) and the one bit of the payload header (§4.3)
 * that tells a key frame. That header exists in a frame's first packet only.
 */
#include "frame_priv.h"

#include <errno.h>

enum { VP8_START_CODE = 0x9d012a, VP8_SIZE_MASK = 0x3fff };

/* RFC 6386 §9.1: what follows a key frame's tag. Not there, or no start code: the size is not known. */
static void read_size(struct rd r, struct frame_view *v)
{
	uint32_t code, width, height;

	rd_bytes(&r, 2); /* the rest of the tag */
	code = rd_be24(&r);
	width = rd_u8(&r);
	width |= (uint32_t)rd_u8(&r) << 8;
	height = rd_u8(&r);
	height |= (uint32_t)rd_u8(&r) << 8;
	if (r.bad || code != VP8_START_CODE)
		return;
	v->width = width & VP8_SIZE_MASK;
	v->height = height & VP8_SIZE_MASK;
}

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

		if (has & 0x20) { /* T: otherwise TID and Y are to be ignored */
			v.tid = layer >> 6;
			if (layer & 0x20) /* Y: it needs nothing but the base layer */
				v.up_tid = v.tid;
		}
	}
	v.start = (first & 0x17) == 0x10; /* S, and PID 0 */
	uint8_t header = rd_u8(&r);	  /* a packet without any VP8 data is malformed */

	v.key = v.start && !(header & 1);
	v.end = marker;
	if (r.bad)
		return -EBADMSG;
	if (v.key)
		read_size(r, &v);
	*f = v;
	return 0;
}
