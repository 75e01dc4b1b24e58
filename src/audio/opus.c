/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rungs and their encoders. Measured on Debian's libopus 1.3.1: at 8 kbit/s speech is
 * understood (ESTOI .925), at 6 clearly worse; long packets cost no quality; in-band FEC below
 * 24 kbit/s takes more than it gives; OPUS_APPLICATION_AUDIO, which leaves the low end as it is, is
 * as good as VOIP for one voice and better for several (docs/measurements.md, "Three at once").
 */
#include <palabre/audio.h>

#include <errno.h>
#include <opus/opus.h>
#include <stdlib.h>

/* By audio_effort.less. 5 costs half of what 10 does, and there is no difference in ESTOI at 8 kbit/s. */
static const int usual_complexity[AUDIO_EFFORTS] = { 5, 3, 1, 0 };
/* But where several speak at once, who are all to be understood, it is one; and so are 10 % more, which still
 * fit where the rung is the floor. */
static const int together_complexity[AUDIO_EFFORTS] = { 9, 5, 1, 0 };
enum { TOGETHER_BPS = 9000 };

const struct audio_rung_params audio_rungs[RUNGS] = {
	[RUNG_6K_120] = { 6000, 120 }, [RUNG_8K_120] = { 8000, 120 },
	[RUNG_8K_60] = { 8000, 60 },   [RUNG_12K_60] = { 12000, 60 },
	[RUNG_16K_40] = { 16000, 40 }, [RUNG_24K_20] = { 24000, 20 },
};

struct audio_encoder {
	OpusEncoder *opus;
	enum audio_rung rung;
	int samples; /* of a packet */
	bool together;
	unsigned less;
};

static int set_bitrate(OpusEncoder *opus, uint32_t bitrate_bps, int complexity)
{
	return opus_encoder_ctl(opus, OPUS_SET_BITRATE((opus_int32)bitrate_bps)) ||
			       opus_encoder_ctl(opus, OPUS_SET_COMPLEXITY(complexity))
		       ? -EINVAL
		       : 0;
}

static int set_up(OpusEncoder *opus, enum audio_rung rung)
{
	if (set_bitrate(opus, audio_rungs[rung].bitrate_bps, usual_complexity[0]) ||
	    (rung <= RUNG_8K_60 &&
	     opus_encoder_ctl(opus, OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_NARROWBAND))) ||
	    opus_encoder_ctl(opus, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) ||
	    opus_encoder_ctl(opus, OPUS_SET_DTX(1)))
		return -EINVAL;
	return 0;
}

struct audio_encoder *audio_encoder_create(enum audio_rung rung)
{
	const struct audio_rung_params *p = &audio_rungs[rung];
	struct audio_encoder *e = calloc(1, sizeof *e);
	int err;

	if (!e)
		return NULL;
	e->samples = p->packet_ms * (AUDIO_RATE / 1000);
	e->rung = rung;
	e->opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_AUDIO, &err);
	if (!e->opus || set_up(e->opus, rung)) {
		audio_encoder_destroy(e);
		return NULL;
	}
	return e;
}

void audio_encoder_destroy(struct audio_encoder *e)
{
	if (e && e->opus)
		opus_encoder_destroy(e->opus);
	free(e);
}

void audio_encoder_care(struct audio_encoder *e, bool together, unsigned less)
{
	uint32_t bps = audio_rungs[e->rung].bitrate_bps;

	together = together && e->rung <= RUNG_8K_60;
	if (e->together == together && e->less == less)
		return;
	e->together = together;
	e->less = less;
	if (together && e->rung == RUNG_8K_60)
		bps = TOGETHER_BPS;
	(void)set_bitrate(e->opus, bps,
			  (together ? together_complexity : usual_complexity)[less]);
}

int audio_encode(struct audio_encoder *e, const float *samples, uint8_t *out, size_t cap)
{
	int n = opus_encode_float(e->opus, samples, e->samples, out,
				  cap < AUDIO_PACKET_MAX ? (opus_int32)cap
							 : AUDIO_PACKET_MAX);

	return n < 0 ? -EINVAL : n;
}
