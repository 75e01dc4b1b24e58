/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A talker whose sound lies. Beside it somebody talks as people do: one listener gets both as
 * they are sent, another the mix. Whatever the first does is counted and bounded, and the second
 * is heard as if nothing were.
 */
#include "unit/leg_rig.h"
#include "unit/tone.h"

#include <palabre/audio.h>

#include <opus/opus.h>
#include <stdio.h>

enum {
	MALLORY,
	HONEST,
	TALKERS,
	RED_PT = 63,
	BEFORE = 100, /* ticks */
	ATTACK = 200,
	AFTER = 100,
	SILENT = 65, /* before she is let in again, at most: 1.3 s */
	TICK_MS = 20
};
static const unsigned tones_hz[TALKERS] = { 1150, 470 };

struct talker {
	struct leg *leg;
	OpusEncoder *opus;
	unsigned phase;
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t payload[400]; /* this tick's */
	size_t len;
};
static struct party {
	struct scene s;
	struct talker talkers[TALKERS];
	struct leg *lanes, *mix; /* listeners */
	bool skips;		 /* she leaves numbers out, as if they were lost */
	uint64_t first_out[TALKERS];
	/* of the mix */
	OpusDecoder *opus;
	const struct leg_source *heard;
	uint64_t heard_seq;
	float tone[TALKERS]; /* energy lately */
} P;

/* ---- people ------------------------------------------------------------------------ */

static struct leg *make_listener(uint32_t port, const char *ufrag)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct leg *leg = NULL;

	assert_non_null(plan);
	strcpy(plan->local_ufrag, ufrag);
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	plan->slot_count = TALKERS;
	for (unsigned i = 0; i < TALKERS; i++)
		plan->slots[i] = (struct nego_slot) { .sec = section(i ? "5" : "4", true),
						      .ssrc = 100 * port + i };
	assert_int_equal(
		leg_create(&leg, P.s.legs, P.s.room, port, plan, NULL, now_us(&P.s)), 0);
	free(plan);
	leg->link = LEG_UP;
	relay_port_suspend(leg->port, false, now_us(&P.s));
	return leg;
}

static void talker_open(unsigned i, struct leg *leg)
{
	struct talker *t = &P.talkers[i];
	int err;

	t->leg = leg;
	t->ssrc = 7000 + i;
	t->ts = 0xffff0000u + i;
	t->seq = (uint16_t)(65000 + i);
	t->opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	assert_non_null(t->opus);
	opus_encoder_ctl(t->opus, OPUS_SET_BITRATE(24000));
	leg->plan.sources[0].sec.codecs[0].red_pt = RED_PT;
	leg->plan.sources[0].sec.codecs[0].nack = false;
}

static int party_open(void **state)
{
	int err;

	(void)state;
	memset(&P, 0, sizeof P);
	scene_open(&P.s);
	talker_open(MALLORY, P.s.from);
	talker_open(HONEST, make_leg(&P.s, 3, "honest", true));
	leg_media(P.talkers[HONEST].leg, STREAM_MIC, true, now_us(&P.s));
	P.lanes = make_listener(4, "lanes");
	P.mix = make_listener(5, "mix");
	P.opus = opus_decoder_create(AUDIO_RATE, 1, &err);
	return leg_voice(P.mix, RUNG_24K_20, 0, now_us(&P.s));
}

static int party_close(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TALKERS; i++)
		opus_encoder_destroy(P.talkers[i].opus);
	opus_decoder_destroy(P.opus);
	leg_close(P.mix, now_us(&P.s));
	leg_close(P.lanes, now_us(&P.s));
	leg_close(P.talkers[HONEST].leg, now_us(&P.s));
	scene_close(&P.s);
	return 0;
}

/* ---- talking ----------------------------------------------------------------------- */

/* The next 20 ms: a tone in syllables. */
static void say(struct talker *t, unsigned hz)
{
	float pcm[AUDIO_TICK];
	int len;

	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		float at = (float)(t->phase++ % AUDIO_RATE) / AUDIO_RATE;
		float word = sinf((float)(2 * M_PI) * 2 * at + (float)hz);

		pcm[i] = 0.3f * word * word * sinf((float)(2 * M_PI) * (float)hz * at);
	}
	len = opus_encode_float(t->opus, pcm, AUDIO_TICK, t->payload, sizeof t->payload);
	assert_true(len > 0);
	t->len = (size_t)len;
}

static void send_as(struct talker *t, const struct rtp_header *h, const uint8_t *payload,
		    size_t len)
{
	struct pkt *p = pkt_take(P.s.pool);
	int n;

	assert_non_null(p);
	n = rtp_build_header(h, p->data, 200);
	assert_true(n > 0);
	memcpy(p->data + n, payload, len);
	p->len = (uint16_t)((size_t)n + len);
	p->arrival_us = now_us(&P.s);
	leg_on_rtp(t->leg, p, now_us(&P.s));
	legs_drain(P.s.legs);
	pkt_unref(p);
}

static struct rtp_header next_header(struct talker *t)
{
	return (struct rtp_header) {
		.pt = OPUS_PT, .seq = t->seq++, .ts = t->ts, .ssrc = t->ssrc
	};
}

static void send_plain(struct talker *t)
{
	struct rtp_header h = next_header(t);

	send_as(t, &h, t->payload, t->len);
}

/* ---- listening --------------------------------------------------------------------- */

static void hear(const struct pkt *p)
{
	float s[AUDIO_RATE / 1000 * 120];
	int n = opus_decode_float(P.opus, p->data + p->rtp.payload_off,
				  p->rtp.payload_len, s, ARRAY_LEN(s), 0);

	assert_true(n > 0);
	for (unsigned i = 0; i < TALKERS; i++)
		P.tone[i] += (energy_at(s, (unsigned)n, tones_hz[i]) - P.tone[i]) / 25;
}

/* What has gone to the mix's listener since the last time: the mix, or a voice as it is. */
static void listen(void)
{
	struct relay_stream *st = relay_port_slot(P.mix->port, 0);
	const struct leg_source *src = st ? relay_stream_owner(st) : NULL;

	if (src != P.heard)
		P.heard_seq = src ? src->recv.highest : 0;
	P.heard = src;
	while (src && P.heard_seq < src->recv.highest) {
		const struct pkt *p = rtp_store_get(&src->store, ++P.heard_seq);

		if (p)
			hear(p);
	}
}

/* The slot in which the lanes' listener has a talker; it must have one. */
static struct leg_slot *slot_of(unsigned talker)
{
	uint32_t id = leg_stream_id(P.talkers[talker].leg->port_id, STREAM_MIC);

	for (unsigned i = 0; i < TALKERS; i++)
		if (P.lanes->slots[i].state.stream == id)
			return &P.lanes->slots[i];
	fail_msg("talker %u is in no slot", talker);
	return NULL;
}

/* Numbers without a gap: what is not passed on is not missed. */
static void assert_gapless(unsigned talker)
{
	const struct rtp_slot *s = &slot_of(talker)->rtp;

	if (!P.first_out[talker])
		P.first_out[talker] = s->highest - s->packets;
	assert_int_equal(s->highest - s->packets, P.first_out[talker]);
}

typedef void (*attack_fn)(struct talker *t, unsigned tick);

static void plain(struct talker *t, unsigned tick)
{
	(void)tick;
	send_plain(t);
}

static void run(unsigned ticks, attack_fn attack)
{
	for (unsigned tick = 0; tick < ticks; tick++) {
		for (unsigned i = 0; i < TALKERS; i++) {
			say(&P.talkers[i], tones_hz[i]);
			P.talkers[i].ts += AUDIO_TICK_48K;
		}
		send_plain(&P.talkers[HONEST]);
		attack(&P.talkers[MALLORY], tick);
		for (unsigned ms = 0; ms < TICK_MS; ms++) {
			P.s.ms++;
			wheel_run(P.s.wheel, now_us(&P.s));
			legs_drain(P.s.legs);
			listen();
		}
		if (tick % 5 == 0)
			relay_tick(P.s.relay, now_us(&P.s));
		if (tick > 2)
			for (unsigned i = P.skips ? HONEST : 0; i < TALKERS; i++)
				assert_gapless(i);
	}
}

/* The honest one before, during and after; then the other one is heard again, too. */
static void survive(const char *name, attack_fn attack)
{
	uint64_t forwarded, want = ATTACK + AFTER;
	float before[TALKERS];

	run(BEFORE, plain);
	memcpy(before, P.tone, sizeof before);
	for (unsigned i = 0; i < TALKERS; i++)
		assert_true(before[i] > 0.0005f);
	forwarded = slot_of(HONEST)->rtp.packets;
	run(ATTACK, attack);
	printf("%s: honest %.2f, mallory %.2f of before\n", name,
	       (double)(P.tone[HONEST] / before[HONEST]),
	       (double)(P.tone[MALLORY] / before[MALLORY]));
	assert_true(P.tone[HONEST] > before[HONEST] * 0.5f);
	run(AFTER, plain);
	assert_int_equal(slot_of(HONEST)->rtp.packets - forwarded, want);
	assert_true(P.tone[HONEST] > before[HONEST] * 0.5f);
	assert_true(P.tone[MALLORY] > before[MALLORY] * 0.5f);
	/* she has cost the worker no more than the store of a microphone */
	assert_true(pkt_pool_free_count(P.s.pool) > POOL - 4 * STORE_AUDIO);
}

/* ---- lengths ----------------------------------------------------------------------- */

static const struct {
	uint8_t data[8];
	uint8_t len;
} liars[] = {
	{ { 0x7b, 63, 1, 2, 3 }, 5 },		   /* 63 frames of 20 ms */
	{ { 0x1b, 3, 1, 2, 3 }, 5 },		   /* three of 60 ms */
	{ { 0x7b, 0, 1, 2 }, 4 },		   /* none */
	{ { 0x7b }, 1 },			   /* no count */
	{ { 0x79, 1, 2, 3 }, 4 },		   /* two equal ones of 1.5 bytes */
	{ { 0x7a, 200, 1, 2 }, 4 },		   /* the first longer than the packet */
	{ { 0x7b, 0x83, 1, 250, 0 }, 5 },	   /* the second, too */
	{ { 0x7b, 0x42, 0xff, 0xff, 0xff, 9 }, 6 } /* more padding than packet */
};

static void lie_toc(struct talker *t, unsigned tick)
{
	struct rtp_header h = next_header(t);

	if (tick % 2)
		send_as(t, &h, t->payload, t->len);
	else
		send_as(t, &h, liars[tick / 2 % ARRAY_LEN(liars)].data,
			liars[tick / 2 % ARRAY_LEN(liars)].len);
}

static void only_lies(struct talker *t, unsigned tick)
{
	struct rtp_header h = next_header(t);

	send_as(t, &h, liars[tick % ARRAY_LEN(liars)].data,
		liars[tick % ARRAY_LEN(liars)].len);
}

static void tocs_that_lie(void **state)
{
	uint64_t packets;

	(void)state;
	survive("tocs", lie_toc);
	/* each hole is a beginning, and those are few */
	assert_true(STAT(voice_bad) >= 8);
	assert_true(STAT(voice_drop) > 0);
	assert_in_range(STAT(voice_bad) + STAT(voice_drop), ATTACK / 2, ATTACK + SILENT);
	packets = slot_of(MALLORY)->rtp.packets;
	run(50, only_lies);
	assert_int_equal(slot_of(MALLORY)->rtp.packets, packets);
}

static size_t red_of(struct talker *t, uint8_t *out, size_t cap, unsigned earlier,
		     const uint8_t *said, size_t len)
{
	struct red_block b[RED_BLOCKS_MAX];
	int n;

	for (unsigned i = 0; i < earlier; i++)
		b[i] = (struct red_block) { .pt = OPUS_PT,
					    .ts_offset = (uint16_t)((earlier - i) * 960),
					    .len = (uint16_t)len,
					    .data = said };
	b[earlier] = (struct red_block) { .pt = OPUS_PT,
					  .len = (uint16_t)t->len,
					  .data = t->payload };
	n = red_build(b, earlier + 1, out, cap);
	assert_true(n > 0);
	return (size_t)n;
}

static void lie_red(struct talker *t, unsigned tick)
{
	struct rtp_header h = { .pt = RED_PT, .ts = t->ts, .ssrc = t->ssrc };
	const uint8_t *said = tick % 4 ? t->payload : liars[tick % 8].data;
	size_t len = tick % 4 ? 30 : liars[tick % 8].len;
	uint8_t out[1000];
	size_t n;

	/* seven that were never sent, twenty times as many as there could be */
	for (unsigned i = 0; i < 3; i++) {
		t->seq = (uint16_t)(t->seq + 7);
		h.seq = t->seq++;
		n = red_of(t, out, sizeof out, 7, said, len);
		send_as(t, &h, out, n);
	}
	/* and lengths beyond the packet */
	h.seq = t->seq;
	put_be16(out + 2, 0xffff);
	send_as(t, &h, out, n);
}

static void red_that_lies(void **state)
{
	uint64_t most = 200 * (ATTACK + AFTER) / 50 + 400;

	(void)state;
	P.skips = true;
	survive("red", lie_red);
	assert_true(STAT(rtp_bad) > 0);
	assert_true(STAT(voice_bad) > 0);
	assert_true(STAT(voice_drop) > 0);
	assert_in_range(STAT(red_rx), 1, most);
}

/* ---- CSRCs ------------------------------------------------------------------------- */

static void send_csrcs(struct talker *t, unsigned tick)
{
	static const uint32_t csrcs[15] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
	};
	struct rtp_header h = next_header(t);

	(void)tick;
	h.csrc_count = 15;
	h.csrc = csrcs;
	send_as(t, &h, t->payload, t->len);
}

static void csrcs_go_no_further(void **state)
{
	struct leg_source *src;
	struct leg_slot *slot;
	struct rtp_out out;
	uint8_t buf[1500];
	size_t header_len;
	struct pkt *p;

	(void)state;
	survive("csrcs", send_csrcs);
	assert_int_equal(STAT(rtp_csrc), ATTACK);
	assert_int_equal(STAT(voice_drop), 0);
	send_csrcs(&P.talkers[MALLORY], 0);
	slot = slot_of(MALLORY);
	src = P.talkers[MALLORY].leg->sources[0];
	p = rtp_store_get(&src->store, src->recv.highest);
	assert_int_equal(p->rtp.csrc_count, 15);
	assert_int_equal(rtp_slot_map(&slot->rtp, p, &out, true), 0);
	assert_int_equal(
		rtp_slot_write(&slot->rtp, p, &out, buf, sizeof buf, &header_len),
		12 + P.talkers[MALLORY].len);
	assert_int_equal(buf[0], 0x80);
}

/* ---- timestamps -------------------------------------------------------------------- */

static const uint32_t steps[] = {
	0x80000000,	0x7fffffff, (uint32_t)-48000 * 3600 * 5, 48000 * 3600u,
	(uint32_t)-960, 48000 * 12, (uint32_t)-48000 * 11
};

/* Each two seconds another clock. */
static void jump(struct talker *t, unsigned tick)
{
	if (tick % 100 == 0)
		t->ts += steps[tick / 100 % ARRAY_LEN(steps)];
	send_plain(t);
}

/* Packets from another time, one by one. */
static void stray(struct talker *t, unsigned tick)
{
	struct rtp_header h = next_header(t);

	if (tick % 10 == 9)
		h.ts += steps[tick / 10 % 4];
	send_as(t, &h, t->payload, t->len);
}

static void shake(struct talker *t, unsigned tick)
{
	t->ts += steps[tick % ARRAY_LEN(steps)];
	send_plain(t);
}

/* Late packets from another time. */
static void stray_late(struct talker *t, unsigned tick)
{
	struct rtp_header h;

	if (tick % 2) {
		send_plain(t);
		return;
	}
	t->seq++;
	send_plain(t);
	h = next_header(t);
	t->seq--;
	h.seq = (uint16_t)(h.seq - 2);
	h.ts += 48000u * 3600 * (tick % 5);
	send_as(t, &h, t->payload, t->len);
}

/* What the slot says grows with the time, whatever the clock behind it does. */
static void assert_time(uint64_t ts64, uint64_t ms)
{
	uint64_t ticks = slot_of(MALLORY)->rtp.ts64 - ts64;

	assert_in_range(ticks, (ms - 500) * 48, (ms + 500) * 48);
}

static void clocks_that_jump(void **state)
{
	uint64_t ts64, ms;

	(void)state;
	survive("jumps", jump);
	ts64 = slot_of(MALLORY)->rtp.ts64;
	ms = P.s.ms;
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		float before = P.tone[MALLORY];
		uint64_t packets = slot_of(MALLORY)->rtp.packets;

		P.talkers[MALLORY].ts += steps[i];
		P.tone[MALLORY] = 0;
		run(75, plain);
		assert_true(P.tone[MALLORY] > before * 0.5f);
		/* the first is not believed */
		assert_true(slot_of(MALLORY)->rtp.packets - packets >= 74);
		assert_time(ts64, P.s.ms - ms);
	}
	assert_int_equal(STAT(ts_jump), 2 + ARRAY_LEN(steps) - 1);
	assert_int_equal(STAT(voice_drop), 0);
}

static void strays_are_not_believed(void **state)
{
	(void)state;
	survive("strays", stray);
	assert_true(STAT(ts_stray) > 0);
	assert_int_equal(STAT(ts_jump), 0);
	P.skips = true;
	survive("late strays", stray_late);
	assert_int_equal(STAT(ts_jump), 0);
}

static void a_clock_that_shakes(void **state)
{
	(void)state;
	survive("shaking", shake);
	assert_in_range(STAT(ts_stray) + STAT(voice_drop), ATTACK / 2, ATTACK + SILENT);
}

/* ---- too much ---------------------------------------------------------------------- */

/* 400 packets a second. */
static void flood(struct talker *t, unsigned tick)
{
	(void)tick;
	for (unsigned i = 0; i < 8; i++) {
		send_plain(t);
		t->ts += 120;
	}
}

static void a_flood_is_cut(void **state)
{
	uint64_t before, packets;

	(void)state;
	survive("flood", flood);
	assert_true(STAT(voice_drop) > 0);
	/* over a long time it is half of them */
	before = slot_of(MALLORY)->rtp.packets;
	run(500, flood);
	packets = slot_of(MALLORY)->rtp.packets - before;
	assert_in_range(packets, 10 * MIC_PKTS_A_SECOND / 2, 12 * MIC_PKTS_A_SECOND);
}

/* New numbers, and new SSRCs, each other packet. */
static void begin_again(struct talker *t, unsigned tick)
{
	if (tick % 2)
		t->seq = (uint16_t)(t->seq + 20000);
	else
		t->ssrc ^= 64;
	send_plain(t);
}

static void beginnings_are_few(void **state)
{
	uint64_t switches;

	(void)state;
	run(BEFORE, plain);
	switches = STAT(slot_switch);
	survive("beginnings", begin_again);
	/* two a second in three listeners' slots, and what was saved */
	assert_true(STAT(slot_switch) - switches <= 3 * (2 * 6 + 4) + 20);
	assert_true(STAT(voice_drop) > 0);
}

/* What a stalled link has held back comes at once: that is nobody's fault. */
static void a_stall_is_no_flood(void **state)
{
	(void)state;
	run(BEFORE, plain);
	for (unsigned i = 0; i < 250; i++) {
		send_plain(&P.talkers[MALLORY]);
		P.talkers[MALLORY].ts += AUDIO_TICK_48K;
	}
	assert_int_equal(STAT(voice_drop), 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, party_open, party_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tocs_that_lie),	       TEST(red_that_lies),
		TEST(csrcs_go_no_further),     TEST(clocks_that_jump),
		TEST(strays_are_not_believed), TEST(a_clock_that_shakes),
		TEST(a_flood_is_cut),	       TEST(beginnings_are_few),
		TEST(a_stall_is_no_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
