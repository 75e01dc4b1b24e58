/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opus seen from outside: the TOC and the lengths of the frames. The frames themselves stay
 * unread on purpose: they may be encrypted end to end.
 */
#include <palabre/wire.h>

enum {
	OPUS_PACKET_SAMPLES_MAX = 5760, /* 120 ms, RFC 6716 §3.2.5 [R5] */
	FRAME_BYTES_MAX = 1275,		/* [R2] */
	/* code 3's second byte */
	VBR = 0x80,
	PADDED = 0x40,
	COUNT = 0x3f
};

/* Configuration 31 (CELT, fullband, 20 ms), mono, one frame: what encoders send for DTX.
 */
const uint8_t opus_silence[3] = { 0xf8, 0xff, 0xfe };

/* RFC 6716 §3.1, table 2: samples at 48 kHz of one frame by configuration. */
static unsigned opus_frame_samples(unsigned config)
{
	static const uint16_t silk[4] = { 480, 960, 1920, 2880 };

	if (config < 12)
		return silk[config & 3];
	if (config < 16)
		return 480u << (config & 1);
	return 120u << (config & 3);
}

unsigned opus_packet_samples(const uint8_t *payload, size_t len)
{
	if (len < 1)
		return 0;
	unsigned frames = 1;
	unsigned code = payload[0] & 3;

	if (code == 1 || code == 2)
		frames = 2;
	if (code == 3) {
		if (len < 2)
			return 0;
		frames = payload[1] & COUNT;
	}
	unsigned samples = frames * opus_frame_samples(payload[0] >> 3);

	return samples <= OPUS_PACKET_SAMPLES_MAX ? samples : 0;
}

/* §3.2.1 */
static size_t frame_len(struct rd *r)
{
	size_t n = rd_u8(r);

	return n < 252 ? n : n + 4u * rd_u8(r);
}

/* §3.2.5 */
static size_t padding_len(struct rd *r)
{
	size_t sum = 0;
	uint8_t n;

	do {
		n = rd_u8(r);
		sum += n == 255 ? 254 : n;
	} while (n == 255);
	return sum;
}

/* `count` frames of one length fill what is left. */
static bool same_len(const struct rd *r, size_t left, size_t count)
{
	return !r->bad && left % count == 0 && left / count <= FRAME_BYTES_MAX;
}

static bool code3_whole(struct rd *r)
{
	uint8_t head = rd_u8(r);
	size_t count = head & COUNT, left;
	size_t used = head & PADDED ? padding_len(r) : 0;

	for (size_t i = 1; i < count && head & VBR; i++)
		used += frame_len(r);
	left = rd_left(r);
	if (r->bad || !count || used > left)
		return false;
	return same_len(r, left - used, head & VBR ? 1 : count);
}

bool opus_packet_whole(const uint8_t *payload, size_t len)
{
	struct rd r;
	size_t first;

	if (!opus_packet_samples(payload, len))
		return false;
	rd_init(&r, payload + 1, len - 1);
	switch (payload[0] & 3) {
	case 0:
		return same_len(&r, len - 1, 1);
	case 1:
		return same_len(&r, len - 1, 2);
	case 2:
		first = frame_len(&r);
		return first <= rd_left(&r) && same_len(&r, rd_left(&r) - first, 1);
	default:
		return code3_whole(&r);
	}
}
