/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A leg whose link does not bear the pictures: they are withheld, the voice goes on in another way, and all
 * comes back by itself. */
#include "unit/leg_rig.h"

#include <palabre/audio.h>
#include <palabre/cc.h>

#include <errno.h>
#include <math.h>
#include <opus/opus.h>

enum {
	TWCC_ID = 3,
	WAY_MS = 60,
	LATE_MS = 1500, /* with pictures, on the thin link */
	ACKS = 256,
	CAMERA_STREAM = 1 << 2 | STREAM_CAMERA
};

static struct world {
	struct scene s;
	OpusEncoder *opus;
	unsigned said; /* packets */
	bool thin;
	uint16_t told; /* up to this number */
	unsigned count;
	struct ack {
		uint64_t at_ms, arrival_us;
		uint16_t number;
	} acks[ACKS];
} W;

static int begin(void **state)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct scene *s = &W.s;
	struct leg *leg = NULL;
	int err;

	(void)state;
	memset(&W, 0, sizeof W);
	W.opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	scene_open(s);
	leg_close(s->to, now_us(s));
	assert_non_null(plan);
	strcpy(plan->local_ufrag, "eyes");
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	plan->slot_count = 2;
	plan->slots[AUDIO] =
		(struct nego_slot) { .sec = section("4", true), .ssrc = 3333 };
	plan->slots[VIDEO] =
		(struct nego_slot) { .sec = section("5", false), .ssrc = 4444 };
	plan->slots[AUDIO].sec.codecs[0].twcc = true;
	plan->slots[AUDIO].sec.exts.of_id[TWCC_ID] = EXT_TWCC;
	assert_int_equal(leg_create(&leg, s->legs, s->room, 3, plan, NULL, now_us(s)), 0);
	free(plan);
	leg->link = LEG_UP;
	relay_port_suspend(leg->port, false, now_us(s));
	s->to = leg;
	W.told = leg->measure->next;
	return 0;
}

static int end(void **state)
{
	(void)state;
	scene_close(&W.s);
	opus_encoder_destroy(W.opus);
	return 0;
}

/* ---- the other end ----------------------------------------------------------------- */

static void rtcp(const uint8_t *data, size_t len)
{
	struct pkt *p = pkt_take(W.s.pool);

	memcpy(p->data, data, len);
	p->len = (uint16_t)len;
	p->arrival_us = now_us(&W.s);
	leg_on_rtcp(W.s.to, p, now_us(&W.s));
	pkt_unref(p);
}

/* draft-holmer-rmcat-transport-wide-cc-extensions-01: one packet, a large delta. */
static void acknowledge(const struct ack *a)
{
	uint8_t data[24] = { 0x80 | RTPFB_TWCC, RTCP_RTPFB, 0, 5 };
	uint32_t reference = (uint32_t)(a->arrival_us / 64000);

	put_be32(data + 4, 7);
	put_be32(data + 8, 3333);
	put_be16(data + 12, a->number);
	put_be16(data + 14, 1);
	put_be32(data + 16, reference << 8);
	put_be16(data + 20, 2 << 13 | 1);
	put_be16(data + 22, (uint16_t)(a->arrival_us % 64000 / 250));
	rtcp(data, sizeof data);
}

static void feedback(void)
{
	const struct measure *m = W.s.to->measure;
	unsigned kept = 0;

	for (; W.told != m->next; W.told++) {
		uint64_t way_ms =
			WAY_MS +
			(W.thin && !leg_voice_get(W.s.to).no_pictures ? LATE_MS : 0);

		assert_true(W.count < ACKS);
		W.acks[W.count++] = (struct ack) { W.s.ms + way_ms + WAY_MS,
						   now_us(&W.s) + way_ms * MS, W.told };
	}
	for (unsigned i = 0; i < W.count; i++) {
		if (W.acks[i].at_ms > W.s.ms)
			W.acks[kept++] = W.acks[i];
		else
			acknowledge(&W.acks[i]);
	}
	W.count = kept;
}

static void report(uint32_t ssrc, uint8_t fraction)
{
	struct rtcp_block b = { .ssrc = ssrc, .fraction_lost = fraction };
	uint8_t data[64];
	struct wr w;

	wr_init(&w, data, sizeof data);
	rtcp_put_rr(&w, 7, &b, 1);
	rtcp(data, wr_len(&w));
}

/* In words, or it would be noise. */
static void say(void)
{
	struct rtp_header h = { .pt = OPUS_PT,
				.seq = W.s.audio_seq++,
				.ts = audio_ts(&W.s, W.s.ms),
				.ssrc = MIC_SSRC };
	bool word = W.said++ % 25 < 21;
	uint8_t payload[180];
	float pcm[AUDIO_TICK];
	int len;

	for (unsigned i = 0; i < AUDIO_TICK; i++)
		pcm[i] = word ? 0.1f * sinf((float)(W.said * AUDIO_TICK + i) * 0.3f) : 0;
	len = opus_encode_float(W.opus, pcm, AUDIO_TICK, payload, sizeof payload);
	assert_true(len > 0);
	deliver(&W.s, &h, payload, (size_t)len);
}

/* Somebody is heard and seen, with a key frame each second. */
static void run(unsigned ms)
{
	struct scene *s = &W.s;

	for (unsigned i = 0; i < ms; i++, s->ms++) {
		if (s->ms % AUDIO_MS == 0)
			say();
		if (s->ms % VIDEO_MS == 0)
			send_video(s, s->ms, s->ms % 1000 == 0);
		wheel_run(s->wheel, now_us(s));
		(void)legs_drain_made(s->legs, now_us(s));
		feedback();
		if (s->ms % 100 == 0) /* it is there */
			report(4444, 0);
		if (s->ms % AUDIO_MS == 0 && s->from->sources[0]->on) {
			/* nobody is connected here: nothing counts as sent */
			s->to->sent.packets++;
			s->to->sent.bytes += 130;
		}
		if (s->ms % 100 == 0)
			relay_tick(s->relay, now_us(s));
	}
}

/* Milliseconds until pictures are withheld, or not. */
static unsigned until(bool withheld, unsigned most_ms)
{
	unsigned ms = 0;

	for (; leg_voice_get(W.s.to).no_pictures != withheld && ms < most_ms; ms += 10)
		run(10);
	return ms;
}

static bool seen(void)
{
	struct relay_stream *st = relay_port_slot(W.s.to->port, VIDEO);

	return st && W.s.to->slots[VIDEO].state.stream == CAMERA_STREAM;
}

/* ---- tests ------------------------------------------------------------------------- */

static void off_and_back(void **state)
{
	struct leg_voice_state v;

	(void)state;
	run(20000);
	assert_true(seen());
	assert_null(W.s.to->control);
	assert_int_equal(STAT(video_off), 0);
	W.thin = true;
	assert_in_range(until(true, 5000), 1000, 3500);
	assert_int_equal(STAT(video_off), 1);
	assert_false(seen());
	assert_int_equal(W.s.to->slots[VIDEO].state.stream, 0);
	v = leg_voice_get(W.s.to);
	assert_true(v.following);
	assert_in_range(v.rung, 0, 2);
	/* one who looks may have been the only one */
	assert_false(leg_paused_get(W.s.from, STREAM_CAMERA));
	run(2500);
	assert_true(leg_paused_get(W.s.from, STREAM_CAMERA));
	assert_false(seen());
	assert_non_null(relay_port_slot(W.s.to->port, AUDIO));
	/* it would be as before */
	W.thin = false;
	assert_in_range(until(false, 120000), 8000, 119000);
	assert_int_equal(leg_voice_get(W.s.to).rung, LEG_LANES);
	assert_null(W.s.to->control);
	run(2000);
	assert_true(seen());
	assert_false(leg_paused_get(W.s.from, STREAM_CAMERA));
	run(60000);
	assert_int_equal(STAT(video_off), 1);
}

/* What is asked for of the pictures would take the voice's room. */
static void nothing_of_them_is_repeated(void **state)
{
	uint64_t before;
	uint16_t seq;
	uint8_t data[64];
	struct wr w;

	(void)state;
	run(5000);
	seq = (uint16_t)W.s.to->slots[VIDEO].rtp.highest;
	wr_init(&w, data, sizeof data);
	rtcp_put_nack(&w, 7, 4444, &seq, 1);
	before = STAT(nack_miss);
	rtcp(data, wr_len(&w));
	assert_int_equal(STAT(nack_miss), before + 1); /* nobody is connected here */
	W.thin = true;
	assert_true(until(true, 5000) < 4000);
	before = STAT(tx_drop) + STAT(rtx_tx);
	rtcp(data, wr_len(&w));
	assert_int_equal(STAT(tx_drop) + STAT(rtx_tx), before);
	assert_int_equal(leg_resend_one(W.s.to, &W.s.to->slots[VIDEO], seq, now_us(&W.s)),
			 -ENOENT);
}

/* How the voices come was chosen: that stays. */
static void a_choice_stays(void **state)
{
	(void)state;
	run(2000);
	assert_int_equal(leg_follow(W.s.to, 3, 3, now_us(&W.s)), 0);
	run(3000);
	assert_true(seen());
	assert_int_equal(leg_voice_get(W.s.to).rung, 3);
	W.thin = true;
	assert_true(until(true, 6000) < 5000);
	assert_int_equal(leg_voice_get(W.s.to).rung, 3);
	run(3000);
	assert_int_equal(leg_voice_get(W.s.to).rung, 3);
	W.thin = false;
	assert_true(until(false, 30000) < 20000);
	assert_int_equal(leg_voice_get(W.s.to).rung, 3);
	run(2000);
	assert_true(seen());
	/* taken back while there are none: they follow the link */
	W.thin = true;
	assert_true(until(true, 30000) < 20000);
	assert_int_equal(leg_lanes(W.s.to, now_us(&W.s)), 0);
	assert_true(leg_voice_get(W.s.to).following);
	W.thin = false;
	assert_true(until(false, 120000) < 119000);
	assert_int_equal(leg_voice_get(W.s.to).rung, LEG_LANES);
}

/* Reports of pictures that are lost do it as well. */
static void by_reports(void **state)
{
	(void)state;
	run(5000);
	for (unsigned i = 0; i < 40 && !leg_voice_get(W.s.to).no_pictures; i++) {
		leg_media(W.s.from, STREAM_MIC, false, now_us(&W.s));
		run(250);
		report(4444, 150);
	}
	assert_true(leg_voice_get(W.s.to).no_pictures);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(off_and_back),
		SCENE(nothing_of_them_is_repeated),
		SCENE(a_choice_stays),
		SCENE(by_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
