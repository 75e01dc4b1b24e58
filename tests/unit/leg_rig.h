/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Two legs in a room, without a network: what one sends goes in as plain packets on
 * virtual time, what the other's slots carry and are told is looked at.
 */
#ifndef TESTS_LEG_RIG_H
#define TESTS_LEG_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "leg_private.h"
#include <palabre/crypto.h>

#define MS	1000ULL
#define STAT(n) atomic_load_explicit(&stats.n, memory_order_relaxed)

enum {
	POOL = 4096,
	MIC_SSRC = 1111,
	CAMERA_SSRC = 2222,
	OPUS_PT = 111,
	VP8_PT = 96,
	AUDIO_MS = 20,
	VIDEO_MS = 40,
	SHORTEST_MS = 30,	/* of the way here */
	PICTURE_LATER_MS = 150, /* than the sound of the same moment */
	AUDIO = 0,
	VIDEO = 1 /* slots */
};
static const uint64_t WALL_US =
	UINT64_C(1700000000) * 1000000; /* the sender's, at 0 ms */
static const uint32_t AUDIO_TS = 0xfffffff0, VIDEO_TS = 7000;

static struct stats stats;

struct scene {
	uint64_t start_us, ms; /* since then */
	struct cert *cert;
	struct wheel *wheel, *idle; /* nobody connects, and nobody minds */
	struct pkt_pool *pool;
	struct tx *tx;
	struct transport *transport;
	struct relay *relay;
	struct relay_room *room;
	struct legs *legs;
	struct leg *from, *to;
	uint16_t audio_seq, video_seq;
	uint32_t mic_ssrc;
	uint8_t audio_pt;
	unsigned audio_bytes; /* of a packet, 0: 8 */
	unsigned changes;     /* of `to` */
	unsigned speaking;
	bool reports;
	int64_t audio_ahead_us; /* the sender's sound card is faster than its clock */
};

static inline void on_changed(void *arg, struct leg *leg)
{
	struct scene *s = arg;

	s->changes += leg == s->to;
}

static inline void on_speakers(void *owner, struct relay_room *room,
			       const uint32_t *ports, unsigned count, uint64_t now_us)
{
	struct scene *s = owner;

	(void)room;
	(void)ports;
	(void)now_us;
	s->speaking = count;
}

static const struct leg_ops leg_ops = { .changed = on_changed };
static const struct relay_room_ops room_ops = { .speakers = on_speakers };

static inline uint64_t now_us(const struct scene *s)
{
	return s->start_us + s->ms * MS;
}

static inline struct nego_section section(const char *mid, bool audio)
{
	struct nego_section sec = { .audio = audio, .codec_count = 1 };

	strcpy(sec.mid, mid);
	sec.codecs[0] = (struct nego_codec) { .codec = audio ? CODEC_OPUS : CODEC_VP8,
					      .pt = audio ? OPUS_PT : VP8_PT,
					      .nack = true,
					      .pli = !audio };
	return sec;
}

static inline struct leg *make_leg(struct scene *s, uint32_t port, const char *ufrag,
				   bool sends)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct leg *leg = NULL;

	assert_non_null(plan);
	strcpy(plan->local_ufrag, ufrag);
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	if (sends) {
		plan->source_count = 2;
		plan->sources[0] = (struct nego_source) { .sec = section("0", true),
							  .kind = STREAM_MIC,
							  .ssrc = MIC_SSRC };
		plan->sources[1] = (struct nego_source) { .sec = section("1", false),
							  .kind = STREAM_CAMERA,
							  .ssrc = CAMERA_SSRC };
	} else {
		plan->slot_count = 2;
		plan->slots[AUDIO] =
			(struct nego_slot) { .sec = section("4", true), .ssrc = 3333 };
		plan->slots[VIDEO] =
			(struct nego_slot) { .sec = section("5", false), .ssrc = 4444 };
	}
	assert_int_equal(leg_create(&leg, s->legs, s->room, port, plan, NULL, now_us(s)),
			 0);
	free(plan);
	leg->link = LEG_UP;
	relay_port_suspend(leg->port, false, now_us(s));
	return leg;
}

static inline void scene_open(struct scene *s)
{
	memset(s, 0, sizeof *s);
	memset(&stats, 0, sizeof stats);
	stats_here = &stats;
	s->start_us = 50000 * MS;
	s->mic_ssrc = MIC_SSRC;
	s->audio_pt = OPUS_PT;
	s->audio_seq = 30000;
	s->video_seq = 100;
	s->reports = true;
	s->cert = cert_create();
	s->wheel = wheel_create(now_us(s));
	s->pool = pkt_pool_create(POOL);
	s->tx = tx_create(NULL, NULL);
	s->idle = wheel_create(now_us(s));
	s->transport = transport_create(s->cert, s->tx, s->idle, s->pool);
	s->relay = relay_create(&leg_port_ops, &leg_stream_ops, &room_ops);
	s->room = relay_room_create(s->relay, s);
	s->legs = legs_create(s->transport, s->tx, s->relay, s->wheel, s->pool, &leg_ops,
			      s);
	assert_non_null(s->legs);
	s->from = make_leg(s, 1, "from", true);
	s->to = make_leg(s, 2, "to", false);
	leg_media(s->from, STREAM_MIC, true, now_us(s));
	leg_media(s->from, STREAM_CAMERA, true, now_us(s));
}

static inline void scene_close(struct scene *s)
{
	leg_close(s->to, now_us(s));
	leg_close(s->from, now_us(s));
	legs_destroy(s->legs);
	relay_room_destroy(s->room);
	relay_destroy(s->relay);
	transport_destroy(s->transport);
	tx_destroy(s->tx);
	assert_int_equal(pkt_pool_free_count(s->pool), POOL);
	pkt_pool_destroy(s->pool);
	wheel_destroy(s->wheel);
	wheel_destroy(s->idle);
	mem_unref(s->cert);
	stats_here = NULL;
}

static inline void deliver(struct scene *s, const struct rtp_header *h,
			   const uint8_t *payload, size_t len)
{
	struct pkt *p = pkt_take(s->pool);
	int n;

	assert_non_null(p);
	n = rtp_build_header(h, p->data, 200);
	assert_true(n > 0);
	memcpy(p->data + n, payload, len);
	p->len = (uint16_t)((size_t)n + len);
	p->arrival_us = now_us(s);
	leg_on_rtp(s->from, p, now_us(s));
	legs_drain(s->legs);
	pkt_unref(p);
}

/* What was said at `ms` of the sender's clock. */
static inline uint32_t audio_ts(const struct scene *s, uint64_t ms)
{
	return AUDIO_TS + (uint32_t)(ms * 48) + (uint32_t)(s->audio_ahead_us * 48 / 1000);
}

static inline uint32_t video_ts(uint64_t ms)
{
	return VIDEO_TS + (uint32_t)(ms * 90);
}

static inline void send_audio(struct scene *s, uint64_t captured_ms)
{
	static const uint8_t voice[100] = { 0x78, 1, 2, 3, 4, 5, 6, 7 };
	struct rtp_header h = { .pt = s->audio_pt,
				.seq = s->audio_seq++,
				.ts = audio_ts(s, captured_ms),
				.ssrc = s->mic_ssrc };

	deliver(s, &h, voice, s->audio_bytes ? s->audio_bytes : 8);
}

static inline void send_video(struct scene *s, uint64_t captured_ms, bool key)
{
	const uint8_t vp8[] = { 0x10, key ? 0 : 1, 2, 3 };
	struct rtp_header h = { .marker = true,
				.pt = VP8_PT,
				.seq = s->video_seq++,
				.ts = video_ts(captured_ms),
				.ssrc = CAMERA_SSRC };

	deliver(s, &h, vp8, sizeof vp8);
}

static inline void send_report(struct scene *s, uint32_t ssrc, uint64_t at_ms,
			       uint32_t ts)
{
	struct pkt *p = pkt_take(s->pool);
	struct wr w;

	assert_non_null(p);
	wr_init(&w, p->data, 200);
	rtcp_put_sr(&w, ssrc, ntp_from_wall_us(WALL_US + at_ms * MS), ts, 1, 1, NULL, 0);
	p->len = (uint16_t)wr_len(&w);
	p->arrival_us = now_us(s);
	leg_on_rtcp(s->from, p, now_us(s));
	pkt_unref(p);
}

/* A person speaks for so long, seen and heard; a report each 500 ms. */
static inline void speak(struct scene *s, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++, s->ms++) {
		uint64_t sent = s->ms - SHORTEST_MS;
		uint64_t seen = sent - PICTURE_LATER_MS;

		if (s->ms >= SHORTEST_MS && sent % AUDIO_MS == 0)
			send_audio(s, sent);
		if (s->ms >= SHORTEST_MS + PICTURE_LATER_MS && seen % VIDEO_MS == 0)
			send_video(s, seen, seen == 0);
		if (s->reports && s->ms >= SHORTEST_MS && sent % 500 == 400) {
			send_report(s, s->mic_ssrc, sent, audio_ts(s, sent));
			send_report(s, CAMERA_SSRC, sent, video_ts(sent));
		}
		wheel_run(s->wheel, now_us(s));
		if (s->ms % 100 == 0)
			relay_tick(s->relay, now_us(s));
	}
}

/* A scene for each test. */
static inline int setup(void **state)
{
	struct scene *s = malloc(sizeof *s);

	assert_non_null(s);
	scene_open(s);
	*state = s;
	return 0;
}

static inline int teardown(void **state)
{
	scene_close(*state);
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
