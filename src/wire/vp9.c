/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * VP9 payload descriptor (RFC 9628 §4.2). It is walked to its end, scalability structure
 * included, so that a descriptor cut short is found here and not by a decoder.
 */
#include "frame_priv.h"

#include <errno.h>

enum { VP9_PDIFF_MAX = 3, VP9_TID_MAX = 7 };

enum {
	VP9_I = 0x80,
	VP9_P = 0x40,
	VP9_L = 0x20,
	VP9_F = 0x10,
	VP9_B = 8,
	VP9_E = 4,
	VP9_V = 2
};

/* §4.2.1 */
static void vp9_skip_structure(struct rd *r)
{
	uint8_t head = rd_u8(r);

	if (head & 0x10) /* Y: width and height of each spatial layer */
		rd_bytes(r, 4u * ((head >> 5) + 1u));
	if (head & 0x08) { /* G: picture group */
		unsigned pictures = rd_u8(r);

		for (unsigned i = 0; i < pictures && !r->bad; i++)
			rd_bytes(r, (rd_u8(r) >> 2) & 3); /* R reference indices */
	}
}

int vp9_parse(const uint8_t *payload, size_t len, bool marker, struct frame_view *f)
{
	struct frame_view v = frame_none();
	struct rd r;

	(void)marker; /* ends the picture; E ends the layer frame */
	rd_init(&r, payload, len);
	uint8_t has = rd_u8(&r);

	if (has & VP9_I)
		frame_read_pid(&r, payload, &v);
	if (has & VP9_L) {
		uint8_t layer = rd_u8(&r);

		v.tid = layer >> 5;
		if (layer & 0x10) /* U */
			v.up_tid = VP9_TID_MAX;
		v.sid = (layer >> 1) & 7;
		if (!(has & VP9_F)) {
			v.tl0_off = (uint16_t)(r.p - payload);
			v.tl0 = rd_u8(&r);
		}
	}
	if ((has & (VP9_F | VP9_P)) == (VP9_F | VP9_P)) {
		unsigned diffs = 1;

		while (rd_u8(&r) & 1) /* N: another one follows */
			if (++diffs > VP9_PDIFF_MAX)
				return -EBADMSG;
	}
	if (has & VP9_V)
		vp9_skip_structure(&r);
	if (r.bad || rd_left(&r) == 0)
		return -EBADMSG;
	v.start = (has & VP9_B) && v.sid == 0;
	v.end = has & VP9_E;
	v.key = !(has & VP9_P) && v.sid == 0;
	*f = v;
	return 0;
}
