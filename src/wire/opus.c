/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opus seen from outside: only the TOC and, for code 3, the count byte are read. The
 * frames stay unread on purpose: they may be encrypted end to end.
 */
#include <palabre/wire.h>

enum { OPUS_PACKET_SAMPLES_MAX = 5760 }; /* 120 ms, RFC 6716 §3.2.5 [R5] */

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
		frames = payload[1] & 0x3f;
	}
	unsigned samples = frames * opus_frame_samples(payload[0] >> 3);

	return samples <= OPUS_PACKET_SAMPLES_MAX ? samples : 0;
}
