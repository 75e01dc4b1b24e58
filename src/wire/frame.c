/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One door to the payload parsers, and the stores that rewrite what they found.
 * Invariant: an offset in a view is either FRAME_OFF_NONE or lies, with the field's whole
 * width, inside the payload that was parsed; so the stores need no length.
 */
#include "frame_priv.h"

#include <errno.h>

enum { PCM_SAMPLES_MAX = 960 }; /* 120 ms */

static int audio_parse(enum codec_id codec, const uint8_t *payload, size_t len,
		       struct frame_view *f)
{
	if (codec == CODEC_OPUS && !opus_packet_whole(payload, len))
		return -EBADMSG;
	*f = frame_none();
	f->start = f->end = f->key = true;
	if (codec == CODEC_OPUS)
		f->samples = (uint16_t)opus_packet_samples(payload, len);
	else if (codec == CODEC_PCMU || codec == CODEC_PCMA) /* a byte a sample */
		f->samples = (uint16_t)(len < PCM_SAMPLES_MAX ? len : PCM_SAMPLES_MAX);
	return 0;
}

int frame_parse(enum codec_id codec, const uint8_t *payload, size_t len, bool marker,
		struct frame_view *f)
{
	switch (codec) {
	case CODEC_VP8:
		return vp8_parse(payload, len, marker, f);
	case CODEC_VP9:
		return vp9_parse(payload, len, marker, f);
	case CODEC_H264:
		return h264_parse(payload, len, marker, f);
	case CODEC_AV1:
		return av1_parse(payload, len, marker, f);
	default:
		return audio_parse(codec, payload, len, f);
	}
}

/* The width stays what the sender chose: nothing in the packet moves. */
void frame_put_pid(uint8_t *payload, const struct frame_view *f, uint16_t pid)
{
	if (f->pid_off == FRAME_OFF_NONE)
		return;
	if (f->pid_bits == 15)
		put_be16(payload + f->pid_off, pid | 0x8000);
	else
		payload[f->pid_off] = pid & 0x7f;
}

void frame_put_tl0(uint8_t *payload, const struct frame_view *f, uint8_t tl0)
{
	if (f->tl0_off != FRAME_OFF_NONE)
		payload[f->tl0_off] = tl0;
}

void frame_put_sync(uint8_t *payload, const struct frame_view *f)
{
	if (f->tl0_off != FRAME_OFF_NONE && f->tid)
		payload[f->tl0_off + 1] |= 0x20; /* TID and Y follow TL0PICIDX */
}
