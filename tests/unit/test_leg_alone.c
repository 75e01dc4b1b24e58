/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who speaks alone, as a listener at a rung gets it: the mix, their packets joined, or as they are
 * sent, in one stream in which nothing is missing and nothing comes twice. Real encoders on
 * virtual time; what is said at each moment can be told from its pitch.
 */
#include "unit/leg_rig.h"
#include "tone.h"

#include <opus/opus.h>

enum {
	PITCHES = 8, /* one each 20 ms */
	TICKS_MAX = 4000,
	LEVEL_ID = 1,
	OTHER_HZ = 3100
};
static const unsigned pitches_hz[PITCHES] = {
	330, 1250, 560, 1750, 800, 2300, 1030, 440
};

static struct world {
	struct scene s;
	struct leg *other;
	OpusEncoder *opus, *other_opus;
	OpusDecoder *ear;
	uint64_t said; /* ticks */
	unsigned part; /* packets of so many ticks */
	unsigned phase;
	float loud;
	float pcm[AUDIO_TICK * 6];
	bool speaking, other_speaking;
	bool paused; /* DTX: what follows may be later */
	bool losing; /* some packets come by repeats, */
	struct pkt *late[4];
	unsigned late_count; /* these */
	/* heard */
	uint64_t next_ts64, next_seq64;
	unsigned named; /* packets that say who talks, */
	unsigned talker_count;
	uint32_t talkers[15]; /* and the last of them */
	unsigned ticks, packets, jumps, repeats;
	unsigned by_stream[3]; /* ticks of the mix, joined, as sent */
	unsigned longest;      /* ticks in a packet */
	float heard[TICKS_MAX * AUDIO_TICK];
	bool mixed[TICKS_MAX], others[TICKS_MAX];
} W;

/* ---- ears -------------------------------------------------------------------------- */

/* What is said in a tick heard, -1 nothing. An encoder is 104 samples late; the mix has two. */
static int pitch_of(unsigned tick)
{
	const float *s = W.heard + tick * AUDIO_TICK + (W.mixed[tick] ? 208 : 104) + 40;
	float best = 0.0001f;
	int which = -1;

	for (int i = 0; i < PITCHES; i++) {
		float e = energy_at(s, AUDIO_TICK - 80, pitches_hz[i]);

		if (e > best) {
			best = e;
			which = i;
		}
	}
	return which;
}

/* Who talks, as the packet on the wire says, if it does. */
static void read_names(const struct out_item *item)
{
	static uint8_t buf[2][TX_MTU];
	const struct rtp_slot *slot = &W.s.to->slots[item->slot].rtp;
	size_t header;
	int n = rtp_slot_write(slot, item->pkt, &item->out, buf[0], TX_MTU, &header);

	assert_true(n > 12);
	assert_int_equal(
		rtp_slot_write(slot, item->pkt, &item->out, buf[1], TX_MTU, &header), n);
	assert_memory_equal(buf[0], buf[1], (size_t)n);
	if (!(buf[0][0] & 15))
		return;
	W.named++;
	W.talker_count = buf[0][0] & 15;
	for (unsigned i = 0; i < W.talker_count; i++)
		W.talkers[i] = get_be32(buf[0] + 12 + 4 * i);
}

static void hear(const struct out_item *item)
{
	const struct pkt *p = item->pkt;
	uint32_t stream = item->out.seg->stream;
	unsigned n, kind = stream < 1 << 30 ? 2 : stream & 1 << 24 ? 1 : 0;
	float *s = W.heard + W.ticks * AUDIO_TICK;
	int got;

	assert_true(W.ticks + 12 < TICKS_MAX);
	read_names(item);

	got = opus_decode_float(W.ear, p->data + p->rtp.payload_off, p->rtp.payload_len,
				s, AUDIO_TICK * 6, 0);
	assert_true(got > 0);
	n = (unsigned)got / AUDIO_TICK;
	if (W.packets && item->out.ts64 < W.next_ts64)
		W.repeats++;
	if (W.packets && ((item->out.ts64 != W.next_ts64 && !W.paused) ||
			  item->out.seq64 != W.next_seq64))
		W.jumps++;
	W.paused = p->rtp.payload_len <= 2;
	W.packets++;
	W.next_ts64 = item->out.ts64 + n * AUDIO_TICK_48K;
	W.next_seq64 = item->out.seq64 + 1;
	W.by_stream[kind] += n;
	W.longest = n > W.longest ? n : W.longest;
	for (unsigned i = 0; i < n && W.ticks < TICKS_MAX; i++, W.ticks++) {
		W.mixed[W.ticks] = kind == 0;
		W.others[W.ticks] =
			energy_at(s + i * AUDIO_TICK, AUDIO_TICK, OTHER_HZ) > 0.0003f;
	}
}

static void collect(void)
{
	struct legs *l = W.s.legs;

	for (unsigned i = 0; i < l->made_count; i++) {
		const struct out_item *item = &l->made[(l->made_first + i) % MADE_QUEUE];

		if (item->leg == W.s.to && item->slot == AUDIO)
			hear(item);
	}
	for (unsigned i = 0; i < l->out_count; i++)
		if (l->out[i].leg == W.s.to && l->out[i].slot == AUDIO)
			hear(&l->out[i]);
	legs_drain(l);
	assert_false(legs_drain_made(l, now_us(&W.s)));
}

/* ---- mouths ------------------------------------------------------------------------ */

static void arrive(struct leg *leg, struct pkt *p)
{
	p->arrival_us = now_us(&W.s);
	leg_on_rtp(leg, p, now_us(&W.s));
	pkt_unref(p);
	collect();
}

static void send(struct leg *leg, OpusEncoder *opus, const float *pcm, unsigned ticks,
		 uint16_t seq, uint32_t ts)
{
	uint8_t level = 100; /* RFC 6464 */
	struct rtp_header h = { .pt = OPUS_PT,
				.seq = seq,
				.ts = ts,
				.ssrc = MIC_SSRC,
				.ext_count = 1,
				.ext = { { LEVEL_ID, 1, &level } } };
	struct pkt *p = pkt_take(W.s.pool);
	int n, len;

	for (unsigned i = 0; i < ticks * AUDIO_TICK; i++)
		if (pcm[i] > 0.01f)
			level = 25;
	n = rtp_build_header(&h, p->data, 200);
	len = opus_encode_float(opus, pcm, (int)(ticks * AUDIO_TICK), p->data + n, 600);
	assert_true(len > 0);
	p->len = (uint16_t)(n + len);
	if (leg == W.s.from && W.losing && seq % 16 < 12 && seq % 3 == 2) {
		W.late[W.late_count++] = p;
		return;
	}
	arrive(leg, p);
	while (leg == W.s.from && seq % 16 == 15 && W.late_count)
		arrive(leg, W.late[--W.late_count]);
}

static void say(void)
{
	unsigned at = (unsigned)(W.said % W.part) * AUDIO_TICK;
	float other[AUDIO_TICK];

	for (unsigned i = 0; i < AUDIO_TICK; i++) {
		float t = (float)(W.phase++ % AUDIO_RATE) / AUDIO_RATE;
		float edge = sinf((float)M_PI * ((float)i + 0.5f) / AUDIO_TICK);
		float word =
			W.said % 25 < 21 ? W.loud : 0; /* words, or it would be noise */

		W.pcm[at + i] =
			W.speaking
				? word * edge *
					  sinf((float)(2 * M_PI) *
					       (float)pitches_hz[W.part == 1
									 ? W.said %
										   PITCHES
									 : 0] *
					       t)
				: 0;
		other[i] = W.other_speaking
				   ? 0.05f * sinf((float)(2 * M_PI) * OTHER_HZ * t)
				   : 0;
	}
	W.said++;
	if (W.said % W.part == 0)
		send(W.s.from, W.opus, W.pcm, W.part, (uint16_t)(5000 + W.said / W.part),
		     (uint32_t)((W.said - W.part) * AUDIO_TICK_48K));
	send(W.other, W.other_opus, other, 1, (uint16_t)(900 + W.said),
	     (uint32_t)(777 + W.said * AUDIO_TICK_48K));
}

static void run(unsigned ms)
{
	for (unsigned i = 0; i < ms; i++, W.s.ms++) {
		wheel_run(W.s.wheel, now_us(&W.s));
		collect();
		if (W.s.ms % 20 == 7)
			say();
		if (W.s.ms % 100 == 0)
			relay_tick(W.s.relay, now_us(&W.s));
	}
}

static void speak_for(unsigned ms)
{
	W.speaking = true;
	run(ms);
}

static void pause_for(unsigned ms)
{
	W.speaking = false;
	run(ms);
}

/* What follows is counted anew. */
static void forget(void)
{
	memset(W.by_stream, 0, sizeof W.by_stream);
	W.ticks = W.jumps = W.repeats = W.longest = 0;
	atomic_store(&stats.mix_encode, 0);
	atomic_store(&stats.mix_join, 0);
}

/* Where in what was said the listener is: the difference, modulo PITCHES, between what a tick says
 * and its number, by the vote of these. It stays the same exactly while nothing is missing and
 * nothing comes twice. */
static unsigned where(unsigned from, unsigned to)
{
	unsigned votes[PITCHES] = { 0 }, best = 0, heard = 0;

	for (unsigned i = from; i < to; i++) {
		int pitch = pitch_of(i);

		if (pitch < 0)
			continue;
		heard++;
		votes[((unsigned)pitch + PITCHES - i % PITCHES) % PITCHES]++;
	}
	for (unsigned k = 0; k < PITCHES; k++)
		best = votes[k] > votes[best] ? k : best;
	assert_true(heard * 3 > to - from);
	assert_true(votes[best] * 2 > heard);
	return best;
}

/* All that was heard, 600 ms at a time. */
static void assert_in_step(void)
{
	for (unsigned i = 30; i + 31 < W.ticks; i += 10)
		assert_int_equal(where(i, i + 30), where(0, 30));
}

static void begin(unsigned part, int bitrate_bps)
{
	int err;

	memset(&W, 0, sizeof W);
	scene_open(&W.s);
	W.part = part;
	W.loud = 0.17f;
	W.other = make_leg(&W.s, 3, "other", true);
	leg_media(W.other, STREAM_MIC, true, now_us(&W.s));
	W.s.from->exts.of_id[LEVEL_ID] = W.other->exts.of_id[LEVEL_ID] = EXT_AUDIO_LEVEL;
	W.opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	W.other_opus = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &err);
	opus_encoder_ctl(W.opus, OPUS_SET_BITRATE(bitrate_bps));
	opus_encoder_ctl(W.opus, OPUS_SET_VBR(0));
	opus_encoder_ctl(W.opus, OPUS_SET_BANDWIDTH(OPUS_BANDWIDTH_WIDEBAND));
	W.ear = opus_decoder_create(AUDIO_RATE, 1, &err);
}

static void end(void)
{
	leg_close(W.other, now_us(&W.s));
	opus_encoder_destroy(W.opus);
	opus_encoder_destroy(W.other_opus);
	opus_decoder_destroy(W.ear);
	scene_close(&W.s);
}

static void listen_at(enum audio_rung rung, unsigned red)
{
	assert_int_equal(leg_voice(W.s.to, (int)rung, red, now_us(&W.s)), 0);
}

/* ---- tests ------------------------------------------------------------------------- */

/* 20 ms packets are too dear for the rung only by their headers: joined, from a pause on, and when
 * somebody else says something the mix, from the very packet on. */
static void mix_joined_mix(void **state)
{
	unsigned from;

	(void)state;
	begin(1, 13000);
	speak_for(500);
	listen_at(RUNG_16K_40, 0);
	speak_for(4000);
	forget();
	speak_for(1000);
	assert_int_equal(W.by_stream[1], 0); /* within words nothing changes */
	assert_true(STAT(mix_encode) >= 24);
	pause_for(1000);
	forget();
	speak_for(1500);
	assert_true(W.by_stream[1] >= 70);
	assert_int_equal(W.by_stream[2], 0);
	assert_int_equal(W.longest, 2);
	assert_int_equal(W.jumps, 0);
	assert_int_equal(W.repeats, 0);
	assert_in_step();
	/* nothing is encoded that nobody hears */
	atomic_store(&stats.mix_encode, 0);
	speak_for(500);
	assert_int_equal(STAT(mix_encode), 0);
	/* somebody joins in */
	from = W.ticks - 20;
	W.other_speaking = true;
	speak_for(600);
	assert_int_equal(W.jumps, 0);
	assert_true(STAT(mix_encode) >= 9);
	assert_true(W.mixed[W.ticks - 1] && !W.mixed[from]);
	for (unsigned i = from; i < W.ticks; i++)
		if (W.others[i]) {
			/* within the first packet of the mix, and from its first tick that was
			 * said on until now */
			assert_true(W.mixed[i]);
			assert_in_range(W.ticks - i, 24, 31);
			break;
		}
	assert_int_equal(where(from - 20, from + 15), where(0, 30));
	assert_int_equal(where(W.ticks - 26, W.ticks - 1), where(0, 30));
	/* and then is silent: in the next pause it is joined again */
	W.other_speaking = false;
	speak_for(4500);
	forget();
	pause_for(1000);
	speak_for(1000);
	assert_true(W.by_stream[1] >= 40);
	assert_int_equal(W.jumps, 0);
	end();
}

/* The rung bears what is sent, then only joined, then again: what was on its way to be played comes
 * once. */
static void sent_joined_sent(void **state)
{
	(void)state;
	begin(1, 9000);
	speak_for(500);
	listen_at(RUNG_24K_20, 0);
	speak_for(4000);
	pause_for(1000);
	forget();
	speak_for(800);
	assert_true(W.by_stream[2] >= 39);
	assert_int_equal(W.jumps, 0);
	assert_in_step();
	for (unsigned turn = 0; turn < 3; turn++) {
		forget();
		speak_for(300);
		listen_at(RUNG_12K_60, 0);
		speak_for(700);
		assert_true(W.by_stream[1] >= 18);
		assert_int_equal(W.by_stream[0], 0);
		listen_at(RUNG_24K_20, 0);
		speak_for(700);
		assert_true(W.by_stream[2] >= 40);
		assert_int_equal(W.jumps, 0);
		assert_in_step();
	}
	assert_int_equal(W.by_stream[0], 0);
	end();
}

/* 60 ms packets for a rung of 120; and not where it would not help. */
static void longer_ones(void **state)
{
	(void)state;
	begin(3, 7000);
	speak_for(600);
	listen_at(RUNG_8K_120, 0);
	speak_for(4200);
	pause_for(1020);
	forget();
	speak_for(1800);
	assert_true(W.by_stream[1] >= 80);
	assert_int_equal(W.longest, 6);
	assert_int_equal(W.jumps, 0);
	/* with redundancy it is the mix */
	W.s.to->plan.slots[AUDIO].sec.codecs[0].red_pt = 63;
	end();

	begin(1, 30000); /* dear in itself */
	speak_for(600);
	listen_at(RUNG_12K_60, 0);
	speak_for(4200);
	pause_for(1000);
	forget();
	speak_for(1200);
	assert_int_equal(W.by_stream[1] + W.by_stream[2], 0);
	assert_int_equal(STAT(mix_join), 0);
	end();
}

/* Where a quarter comes by repeats, in clumps, a voice costs no more: it is heard as it is sent. */
static void late_ones(void **state)
{
	(void)state;
	begin(6, 8000);
	W.losing = true;
	speak_for(600);
	listen_at(RUNG_8K_120, 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		speak_for(4200);
		pause_for(1320);
	}
	forget();
	for (unsigned turn = 0; turn < 3; turn++) {
		speak_for(2400);
		pause_for(1320);
	}
	assert_int_equal(W.by_stream[0], 0);
	assert_true(W.by_stream[2] > 360);
	while (W.late_count)
		pkt_unref(W.late[--W.late_count]);
	end();
}

/* The stream is there while somebody hears it, once for all of them. */
static void shared(void **state)
{
	struct leg *second;

	(void)state;
	begin(1, 9000);
	second = make_leg(&W.s, 4, "second", false);
	speak_for(500);
	listen_at(RUNG_12K_60, 0);
	assert_int_equal(leg_voice(second, RUNG_8K_60, 0, now_us(&W.s)), 0);
	speak_for(4000);
	pause_for(1000);
	forget();
	speak_for(1200);
	assert_in_range(STAT(mix_join), 19, 21);
	assert_int_equal(STAT(mix_encode), 0);
	assert_int_equal(second->hears, W.s.to->hears);
	/* one goes, the other goes on; the last one goes, and it is gone */
	assert_int_equal(leg_voice(second, LEG_LANES, 0, now_us(&W.s)), 0);
	assert_non_null(relay_stream_find(W.s.room, W.s.to->hears));
	speak_for(600);
	assert_int_equal(W.jumps, 0);
	listen_at(RUNG_8K_120, 0);
	speak_for(600);
	assert_int_equal(W.longest, 6);
	assert_int_equal(W.jumps, 0);
	assert_int_equal(leg_voice(W.s.to, LEG_LANES, 0, now_us(&W.s)), 0);
	speak_for(100);
	leg_close(second, now_us(&W.s));
	end();
}

static void assert_talks(uint32_t one, uint32_t two)
{
	assert_int_equal(W.talker_count, two ? 2 : 1);
	assert_true(W.talkers[0] == one || W.talkers[0] == two);
	if (two)
		assert_int_equal(W.talkers[0] ^ W.talkers[1], one ^ two);
}

/* At a rung the sound says who talks: at the beginning, where that changes, and now and then; so
 * does what is joined and what is forwarded. */
static void talkers_are_named(void **state)
{
	uint32_t first = leg_stream_id(1, STREAM_MIC),
		 other = leg_stream_id(3, STREAM_MIC);

	(void)state;
	begin(1, 9000);
	W.loud = 0.1f;
	speak_for(1000);
	assert_int_equal(W.named, 0); /* the lanes */
	listen_at(RUNG_12K_60, 0);
	speak_for(500);
	assert_in_range(W.named, 2, 4); /* a mixer just made has heard nobody yet */
	assert_talks(first, 0);
	W.named = 0;
	speak_for(4000);
	assert_int_equal(W.named, 2);
	W.named = 0;
	W.other_speaking = true;
	speak_for(500);
	assert_in_range(W.named, 2, 3);
	assert_talks(first, other);
	W.other_speaking = false;
	speak_for(1500);
	assert_talks(first, 0);
	speak_for(2500);
	pause_for(1000);
	speak_for(100);
	forget();
	W.named = W.talker_count = 0;
	speak_for(4000);
	assert_int_equal(W.by_stream[0], 0);
	assert_in_range(W.named, 2, 3);
	assert_talks(first, 0);
	/* nobody: said twice, and still so in what comes now and then */
	W.named = 0;
	pause_for(1800);
	assert_in_range(W.named, 2, 3);
	assert_talks(TALK_NOBODY, 0);
	listen_at(RUNG_24K_20, 0);
	speak_for(1000);
	assert_talks(first, 0);
	forget();
	W.named = 0;
	speak_for(4000);
	assert_int_equal(W.by_stream[0] + W.by_stream[1], 0);
	assert_int_equal(W.named, 2);
	pause_for(1800);
	assert_int_equal(W.by_stream[0] + W.by_stream[1], 0);
	assert_talks(TALK_NOBODY, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mix_joined_mix), cmocka_unit_test(sent_joined_sent),
		cmocka_unit_test(longer_ones),	  cmocka_unit_test(late_ones),
		cmocka_unit_test(shared),	  cmocka_unit_test(talkers_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
