/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Somebody seen and heard by a leg behind a link of its own, on virtual time: what the leg sends is caught where it
 * would be sealed (-Wl,--wrap=conn_send_rtp), goes through the link, and its browser tells of it in transport-cc
 * feedback. The camera makes key frames when it is asked to (-Wl,--wrap=conn_send_rtcp would be too late: it counts
 * requests). Same seed, same run.
 */
#ifndef TESTS_PICTURE_RIG_H
#define TESTS_PICTURE_RIG_H

#include "unit/leg_rig.h"

#include <errno.h>

enum {
	TWCC_ID = 3,
	RTX_PT = 97,
	SOUND_SSRC = 3333,
	PICTURE_SSRC = 4444,
	PICTURE_RTX_SSRC = 4445,
	NUMBERS = 65536,
	FEEDBACK_MS = 50,
	FEEDBACK_MOST = 200, /* statuses in one */
	SENT = 1 << 17,
	PAYLOAD = 1100,
	CAMERA_FPS = 25,
	PLI_MS = 60, /* from a request to the key frame */
	CAMERA_STREAM = 1 << 2 | STREAM_CAMERA
};

/* One packet that went out. */
struct sent {
	uint64_t at_us, arrival_us; /* 0: lost */
	uint32_t ssrc;
	uint16_t seq, number, frame; /* frame: low bits of its time */
	uint16_t bytes;		     /* on the wire */
	bool numbered, key;
};

static struct pictures {
	struct scene s;
	uint64_t seed;
	/* the link: what is on it waits, up to so long */
	double rate_bps, loss;
	uint64_t delay_us, limit_us, free_us, jitter_us, arrival_us;
	unsigned sent_count;
	struct sent sent[SENT];
	/* its browser */
	uint32_t by_number[NUMBERS]; /* 1 + index in sent; 0 none */
	bool deaf;		     /* no feedback */
	uint64_t told, seen; /* numbers in 64 bits: up to here was told, has arrived */
	bool any;
	/* the camera */
	double camera_bps, key_times;
	uint64_t pli, key_due_ms;
	unsigned keys, frames;
	uint16_t video_seq;
	bool camera_on, mic_on;
	uint64_t queue_most_us;
} * P;

static inline double dice(void)
{
	P->seed = P->seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(P->seed >> 11) / 9007199254740992.0;
}

/* ---- the link ---------------------------------------------------------------------- */

int __wrap_conn_send_rtp(struct conn *c, struct seal_stream *s, uint8_t *buf, size_t len,
			 size_t header_len, uint64_t index64);
int __wrap_conn_send_rtp(struct conn *c, struct seal_stream *s, uint8_t *buf, size_t len,
			 size_t header_len, uint64_t index64)
{
	struct ext_map exts = { 0 };
	struct rtp_view v;
	struct sent *x = &P->sent[P->sent_count];
	uint64_t now = now_us(&P->s), wait_us;

	(void)header_len;
	if (!P->s.to || c != P->s.to->conn)
		return -EPROTO;
	exts.of_id[TWCC_ID] = EXT_TWCC;
	memset(&v, 0, sizeof v);
	assert_int_equal(rtp_parse(buf, len, &exts, &v), 0);
	assert_int_equal(v.ssrc, s->ssrc);
	assert_int_equal(v.seq, (uint16_t)index64);
	assert_true(P->sent_count < SENT);
	*x = (struct sent) { .at_us = now,
			     .ssrc = v.ssrc,
			     .seq = v.seq,
			     .bytes = (uint16_t)(len + WIRE_BYTES) };
	if (v.ext[EXT_TWCC].off) {
		x->numbered = true;
		x->number = get_be16(buf + v.ext[EXT_TWCC].off);
	}
	x->frame = (uint16_t)(v.ts >> 4);
	x->key = v.ssrc == PICTURE_SSRC && v.payload_len > 1 &&
		 buf[v.payload_off] == 0x10 && !(buf[v.payload_off + 1] & 1);
	P->sent_count++;
	if (x->numbered)
		P->by_number[x->number] = P->sent_count;
	if (P->free_us < now)
		P->free_us = now;
	wait_us = P->free_us - now;
	if (wait_us > P->queue_most_us)
		P->queue_most_us = wait_us;
	if (wait_us > P->limit_us)
		return 0;
	P->free_us += (uint64_t)(x->bytes * 8e6 / P->rate_bps);
	if (dice() >= P->loss)
		x->arrival_us = P->free_us + P->delay_us +
				(uint64_t)(dice() * (double)P->jitter_us);
	if (x->arrival_us && x->arrival_us < P->arrival_us) /* in order */
		x->arrival_us = P->arrival_us;
	if (x->arrival_us)
		P->arrival_us = x->arrival_us;
	return 0;
}

/* ---- its browser ------------------------------------------------------------------- */

static inline void to_leg(const uint8_t *data, size_t len)
{
	struct pkt *p = pkt_take(P->s.pool);

	assert_non_null(p);
	memcpy(p->data, data, len);
	p->len = (uint16_t)len;
	p->arrival_us = now_us(&P->s);
	leg_on_rtcp(P->s.to, p, now_us(&P->s));
	legs_drain(P->s.legs);
	pkt_unref(p);
}

static inline const struct sent *by_number(uint64_t number)
{
	uint32_t i = P->by_number[(uint16_t)number];

	return i ? &P->sent[i - 1] : NULL;
}

/* draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1: statuses of two bits, large deltas. */
static inline size_t feedback_build(uint8_t *data, uint64_t from, unsigned count)
{
	const struct sent *first = NULL;
	uint64_t at, base_us;
	size_t n = 20;
	unsigned words;

	for (unsigned i = 0; i < count && !first; i++) {
		const struct sent *x = by_number(from + i);

		if (x && x->arrival_us)
			first = x;
	}
	base_us = first ? first->arrival_us / 64000 * 64000 : 0;
	memset(data, 0, 20);
	data[0] = 0x80 | RTPFB_TWCC;
	data[1] = RTCP_RTPFB;
	put_be32(data + 4, 7);
	put_be32(data + 8, SOUND_SSRC);
	put_be16(data + 12, (uint16_t)from);
	put_be16(data + 14, (uint16_t)count);
	put_be24(data + 16, (uint32_t)(base_us / 64000) & 0xffffff);
	for (unsigned i = 0; i < count; i += 7) {
		uint16_t chunk = 0xc000;

		for (unsigned k = 0; k < 7; k++) {
			const struct sent *x =
				i + k < count ? by_number(from + i + k) : NULL;

			if (x && x->arrival_us)
				chunk |= (uint16_t)(2 << (12 - 2 * k));
		}
		put_be16(data + n, chunk);
		n += 2;
	}
	at = base_us;
	for (unsigned i = 0; i < count; i++) {
		const struct sent *x = by_number(from + i);

		if (!x || !x->arrival_us)
			continue;
		put_be16(data + n,
			 (uint16_t)(((int64_t)x->arrival_us - (int64_t)at) / 250));
		at = (uint64_t)((int64_t)at +
				((int64_t)x->arrival_us - (int64_t)at) / 250 * 250);
		n += 2;
	}
	while (n % 4)
		data[n++] = 0;
	words = (unsigned)(n / 4 - 1);
	put_be16(data + 2, (uint16_t)words);
	return n;
}

/* Everything up to the newest that had arrived when the feedback was sent. */
static inline void feedback(void)
{
	uint64_t now = now_us(&P->s), next = P->s.to->number;
	uint8_t data[1400];

	if (!P->any)
		P->told = P->seen = next - 1;
	P->any = true;
	for (uint64_t n = P->seen + 1; n < next; n++) {
		const struct sent *x = by_number(n);

		if (x && x->arrival_us && x->arrival_us + P->delay_us <= now)
			P->seen = n;
	}
	while (P->told < P->seen && !P->deaf) {
		unsigned count = P->seen - P->told > FEEDBACK_MOST
					 ? FEEDBACK_MOST
					 : (unsigned)(P->seen - P->told);
		size_t len = feedback_build(data, P->told + 1, count);

		P->told += count;
		to_leg(data, len);
	}
}

static inline void nack(uint32_t ssrc, const uint16_t *seqs, unsigned count)
{
	uint8_t data[600];
	struct wr w;

	wr_init(&w, data, sizeof data);
	rtcp_put_nack(&w, 7, ssrc, seqs, count);
	to_leg(data, wr_len(&w));
}

/* ---- who is seen ------------------------------------------------------------------- */

static inline void frame(bool key)
{
	double size = P->camera_bps / 8 / CAMERA_FPS * (0.8 + 0.4 * dice());
	unsigned left, first = 1;

	if (key)
		size = P->camera_bps / 8 / CAMERA_FPS * P->key_times;
	P->frames++;
	P->keys += key;
	for (left = (unsigned)size + 20; left;) {
		unsigned bytes = left > PAYLOAD ? PAYLOAD : left;
		uint8_t payload[PAYLOAD + 4] = { first ? 0x10 : 0, key ? 0 : 1 };
		struct rtp_header h = { .marker = bytes == left,
					.pt = VP8_PT,
					.seq = P->video_seq++,
					.ts = video_ts(P->s.ms),
					.ssrc = CAMERA_SSRC };

		if (!first)
			payload[1] = 2;
		deliver(&P->s, &h, payload, bytes > 4 ? bytes : 4);
		left -= bytes;
		first = 0;
	}
}

static inline void camera(void)
{
	uint64_t pli = STAT(pli_tx);

	if (pli != P->pli && !P->key_due_ms)
		P->key_due_ms = P->s.ms + PLI_MS;
	P->pli = pli;
	if (P->s.ms % (1000 / CAMERA_FPS))
		return;
	if (!P->frames || (P->key_due_ms && P->s.ms >= P->key_due_ms)) {
		P->key_due_ms = 0;
		frame(true);
	} else {
		frame(false);
	}
}

static inline void run(unsigned ms)
{
	struct scene *s = &P->s;

	for (unsigned i = 0; i < ms; i++, s->ms++) {
		if (P->mic_on && s->ms % AUDIO_MS == 0)
			send_audio(s, s->ms);
		if (P->camera_on)
			camera();
		wheel_run(s->wheel, now_us(s));
		(void)legs_drain_made(s->legs, now_us(s));
		legs_drain(s->legs);
		if (s->ms % FEEDBACK_MS == 17)
			feedback();
		if (s->ms % 100 == 0)
			relay_tick(s->relay, now_us(s));
	}
}

/* ---- life -------------------------------------------------------------------------- */

static inline void pictures_open(double rate_bps, unsigned rtt_ms, uint64_t seed)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct leg *leg = NULL;
	struct scene *s;

	P = calloc(1, sizeof *P);
	assert_non_null(P);
	assert_non_null(plan);
	s = &P->s;
	scene_open(s);
	P->seed = seed * 104729 + 7;
	(void)dice();
	P->rate_bps = rate_bps;
	P->delay_us = rtt_ms * 500;
	P->limit_us = 2000000;
	P->camera_bps = 600000;
	P->key_times = 6;
	P->camera_on = P->mic_on = true;
	s->audio_bytes = 80;
	leg_close(s->to, now_us(s));
	strcpy(plan->local_ufrag, "eyes");
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	plan->slot_count = 2;
	plan->slots[AUDIO] =
		(struct nego_slot) { .sec = section("4", true), .ssrc = SOUND_SSRC };
	plan->slots[VIDEO] = (struct nego_slot) { .sec = section("5", false),
						  .ssrc = PICTURE_SSRC,
						  .rtx_ssrc = PICTURE_RTX_SSRC };
	plan->slots[VIDEO].sec.codecs[0].rtx_pt = RTX_PT;
	for (unsigned i = 0; i < 2; i++) {
		plan->slots[i].sec.codecs[0].twcc = true;
		plan->slots[i].sec.exts.of_id[TWCC_ID] = EXT_TWCC;
	}
	assert_int_equal(leg_create(&leg, s->legs, s->room, 3, plan, NULL, now_us(s)), 0);
	free(plan);
	leg->link = LEG_UP;
	relay_port_suspend(leg->port, false, now_us(s));
	s->to = leg;
}

static inline void pictures_close(void)
{
	scene_close(&P->s);
	free(P);
	P = NULL;
}

#endif
