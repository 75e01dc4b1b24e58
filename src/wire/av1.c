/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * AV1: aggregation header (AV1 RTP specification §4.4) and dependency descriptor
 * (appendix A). The descriptor's template structure is not decoded: where a frame's
 * template is found depends only on the difference of two ids, so shifting both leaves
 * its meaning unchanged.
 */
#include "frame_priv.h"

#include <errno.h>

enum {
	DD_MANDATORY_BYTES = 3,
	DD_OFFSET_BYTES = 5, /* up to the end of template_id_offset: 24 + 5 + 6 bits */
	DD_STRUCTURE = 0x80, /* in byte 3, then four more flags */
	DD_ID_MASK = 0x3f
};

int av1_parse(const uint8_t *payload, size_t len, bool marker, struct frame_view *f)
{
	struct frame_view v = frame_none();

	if (len < 2) /* the header and at least one byte of an OBU element */
		return -EBADMSG;
	bool z = payload[0] & 0x80; /* goes on with the last packet's OBU */
	bool n = payload[0] & 0x08; /* first packet of a coded video sequence */

	if (z && n) /* §4.4 forbids it */
		return -EBADMSG;
	v.start = !z;
	v.key = n;
	v.end = marker;
	*f = v;
	return 0;
}

int dd_parse(const uint8_t *dd, size_t len, struct frame_view *f)
{
	if (len < DD_MANDATORY_BYTES)
		return -EBADMSG;
	bool structure = len > DD_MANDATORY_BYTES && (dd[3] & DD_STRUCTURE);

	if (structure && len < DD_OFFSET_BYTES)
		return -EBADMSG;
	f->has_dd = true;
	f->start = dd[0] & 0x80;
	f->end = dd[0] & 0x40;
	f->dd_template = dd[0] & DD_ID_MASK;
	f->dd_frame = get_be16(dd + 1);
	f->dd_structure = structure;
	return 0;
}

void dd_rewrite(uint8_t *dd, size_t len, const struct frame_view *f, uint16_t frame,
		uint8_t template_shift)
{
	if (!f->has_dd || len < DD_MANDATORY_BYTES)
		return;
	dd[0] = (uint8_t)((dd[0] & ~DD_ID_MASK) |
			  ((dd[0] + template_shift) & DD_ID_MASK));
	put_be16(dd + 1, frame);
	if (!f->dd_structure || len < DD_OFFSET_BYTES)
		return;
	/* Three bits of byte 3, after the flags, and three of byte 4. */
	unsigned offset = (dd[3] & 7u) << 3 | dd[4] >> 5;

	offset = (offset + template_shift) & DD_ID_MASK;
	dd[3] = (uint8_t)((dd[3] & 0xf8u) | offset >> 3);
	dd[4] = (uint8_t)((dd[4] & 0x1fu) | (offset & 7) << 5);
}
