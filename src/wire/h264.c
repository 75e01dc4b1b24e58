/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * H.264 payloads (RFC 6184) of packetization modes 0 and 1: one NAL unit, STAP-A, FU-A.
 * The other types belong to the interleaved mode, which browsers don't have.
 */
#include "frame_priv.h"

#include <errno.h>

enum {
	NAL_SLICE = 1,
	NAL_SLICE_A = 2, /* data partition A, the one with the slice header */
	NAL_IDR = 5,
	NAL_SEI = 6,
	NAL_SPS = 7,
	NAL_PPS = 8,
	NAL_AUD = 9,
	NAL_SINGLE_MAX = 23,
	NAL_STAP_A = 24,
	NAL_FU_A = 28
};

static bool nal_is_key(unsigned type)
{
	return type == NAL_SPS || type == NAL_IDR;
}

/* `body` is the first byte after the NAL unit's header. A slice header begins with
 * first_mb_in_slice in Exp-Golomb code: 0, the picture's first slice, is a single 1 bit.
 */
static bool nal_is_start(unsigned type, uint8_t body)
{
	if (type >= NAL_SEI && type <= NAL_AUD)
		return true;
	return (type == NAL_SLICE || type == NAL_SLICE_A || type == NAL_IDR) &&
	       (body & 0x80);
}

static int stap_parse(struct rd *r, struct frame_view *v)
{
	bool first = true;

	do {
		uint16_t size = rd_be16(r);
		const uint8_t *nal = rd_bytes(r, size);

		if (!nal || size == 0)
			return -EBADMSG;
		unsigned type = nal[0] & 31;

		if (type == 0 || type > NAL_SINGLE_MAX) /* §5.7: no nesting */
			return -EBADMSG;
		if (first)
			v->start = nal_is_start(type, size > 1 ? nal[1] : 0);
		v->key |= nal_is_key(type);
		first = false;
	} while (rd_left(r));
	return 0;
}

static int fu_parse(struct rd *r, struct frame_view *v)
{
	uint8_t fu = rd_u8(r);
	uint8_t body = rd_u8(r); /* §5.8: a fragment must not be empty */
	unsigned type = fu & 31;

	if (r->bad || type == 0 || type > NAL_SINGLE_MAX)
		return -EBADMSG;
	v->start = (fu & 0x80) && nal_is_start(type, body);
	v->key = nal_is_key(type);
	return 0;
}

int h264_parse(const uint8_t *payload, size_t len, bool marker, struct frame_view *f)
{
	struct frame_view v = frame_none();
	struct rd r;
	int err = 0;

	rd_init(&r, payload, len);
	unsigned type = rd_u8(&r) & 31;

	if (r.bad || type == 0)
		return -EBADMSG;
	if (type <= NAL_SINGLE_MAX) {
		v.start = nal_is_start(type, rd_u8(&r));
		v.key = nal_is_key(type);
	} else if (type == NAL_STAP_A) {
		err = stap_parse(&r, &v);
	} else if (type == NAL_FU_A) {
		err = fu_parse(&r, &v);
	} else {
		err = -EBADMSG;
	}
	if (err)
		return err;
	v.end = marker;
	*f = v;
	return 0;
}
