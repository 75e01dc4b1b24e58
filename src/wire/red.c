/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Redundant audio data, RFC 2198. */
#include <palabre/wire.h>

#include <errno.h>

enum { HEADER_BYTES = 4, MORE = 0x80 };

int red_parse(const uint8_t *payload, size_t len, struct red_block out[RED_BLOCKS_MAX])
{
	unsigned count = 0;
	struct rd r;

	rd_init(&r, payload, len);
	for (;;) {
		uint8_t first = rd_u8(&r);

		if (r.bad || count == RED_BLOCKS_MAX)
			return -EBADMSG;
		out[count] = (struct red_block) { .pt = first & 0x7f };
		if (!(first & MORE))
			break;
		uint32_t rest = rd_be24(&r);

		out[count].ts_offset = (uint16_t)(rest >> 10);
		out[count++].len = rest & 0x3ff;
	}
	for (unsigned i = 0; i < count; i++)
		out[i].data = rd_bytes(&r, out[i].len);
	out[count].len = (uint16_t)rd_left(&r);
	out[count].data = rd_bytes(&r, out[count].len);
	return r.bad ? -EBADMSG : (int)count + 1;
}

int red_build(const struct red_block *blocks, unsigned count, uint8_t *buf, size_t cap)
{
	struct wr w;

	if (!count || count > RED_BLOCKS_MAX)
		return -EINVAL;
	wr_init(&w, buf, cap);
	for (unsigned i = 0; i + 1 < count; i++) {
		if (blocks[i].ts_offset > RED_OFFSET_MAX || blocks[i].len > RED_LEN_MAX)
			return -EINVAL;
		wr_u8(&w, MORE | blocks[i].pt);
		wr_be24(&w, (uint32_t)blocks[i].ts_offset << 10 | blocks[i].len);
	}
	wr_u8(&w, blocks[count - 1].pt & 0x7f);
	for (unsigned i = 0; i < count; i++)
		wr_bytes(&w, blocks[i].data, blocks[i].len);
	return w.bad ? -ENOBUFS : (int)wr_len(&w);
}

void red_put_pt(uint8_t *payload, size_t len, uint8_t pt)
{
	size_t at = 0;

	for (; at < len && payload[at] & MORE; at += HEADER_BYTES)
		payload[at] = MORE | pt;
	if (at < len)
		payload[at] = pt;
}
