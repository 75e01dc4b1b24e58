/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clocks, losses and numbers of what a leg forwards. */
#include "unit/leg_rig.h"

#include <palabre/cc.h>

/* How late the slot is by what it tells: what was captured when the sender's clock showed
 * 0 ms has, on our clock, ... ms since the start. */
static int64_t told_ms(const struct scene *s, unsigned slot)
{
	const struct leg_slot *sl = &s->to->slots[slot];
	struct leg_slot_state state = leg_slot_get(s->to, slot);
	const struct rtp_segment *seg =
		&sl->rtp.segments[(sl->rtp.segment_count - 1) % SLOT_SEGMENTS];
	/* Back to the source's timestamps. */
	uint32_t in = state.ts - (uint32_t)seg->ts_off;
	int32_t ms = slot == AUDIO ? (int32_t)(in - audio_ts(s, 0)) / 48
				   : (int32_t)(in - video_ts(0)) / 90;

	assert_int_not_equal(state.stream, 0);
	return (int64_t)(state.at_ms - s->start_us / 1000) - ms;
}

static void assert_slot_told(const struct scene *s, unsigned slot, int64_t want)
{
	int64_t got = told_ms(s, slot);

	if (got < want - 1 || got > want + 1)
		fail_msg("slot %u: %lld, not %lld ms", slot, (long long)got,
			 (long long)want);
}

static void assert_told(const struct scene *s, int64_t audio_ms, int64_t video_ms)
{
	assert_slot_told(s, AUDIO, audio_ms);
	assert_slot_told(s, VIDEO, video_ms);
}

/* ---- what was lost ----------------------------------------------------------------- */

/* How often the sender is asked for three packets that are lost of its sound, or of its
 * pictures. The other one's NACKs are agreed on when its own are not. */
static uint64_t asked_for(bool audio, bool nack)
{
	struct scene s;
	uint64_t asked;

	scene_open(&s);
	s.from->plan.sources[0].sec.codecs[0].nack = audio == nack;
	s.from->plan.sources[1].sec.codecs[0].nack = audio != nack;
	speak(&s, 1000);
	assert_int_equal(STAT(nack_tx), 0);
	*(audio ? &s.audio_seq : &s.video_seq) += 3;
	speak(&s, 500);
	asked = STAT(nack_tx);
	scene_close(&s);
	return asked;
}

static void losses_are_asked_for_where_agreed(void **state)
{
	(void)state;
	assert_true(asked_for(true, true) >= 3);
	assert_int_equal(asked_for(true, false), 0);
	assert_true(asked_for(false, true) >= 3);
	assert_int_equal(asked_for(false, false), 0);
}

/* The payload type says which of a section's codecs it is. */
static void asking_goes_by_the_codec(void **state)
{
	struct nego_section *sec;
	struct scene s;

	(void)state;
	scene_open(&s);
	sec = &s.from->plan.sources[0].sec;
	sec->codecs[1] = sec->codecs[0];
	sec->codecs[1].pt = OPUS_PT + 1;
	sec->codecs[1].nack = false;
	sec->codec_count = 2;
	s.audio_pt = OPUS_PT + 1;
	speak(&s, 1000);
	s.audio_seq++;
	speak(&s, 500);
	assert_int_equal(STAT(nack_tx), 0);
	s.audio_pt = OPUS_PT;
	speak(&s, 100);
	s.audio_seq++;
	speak(&s, 500);
	assert_true(STAT(nack_tx) > 0);
	scene_close(&s);
}

/* All receivers of a browser ask at about the same time: the answer to one is for all. */
static void the_way_is_measured_once(void **state)
{
	static const uint8_t xr[] = { 0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0,
				      0,    2,	 1, 2, 3, 4, 5, 6, 7, 8 };
	struct scene *s = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct pkt *p = pkt_take(s->pool);

		assert_non_null(p);
		memcpy(p->data, xr, sizeof xr);
		p->len = sizeof xr;
		leg_on_rtcp(s->to, p, now_us(s));
		pkt_unref(p);
		speak(s, 10);
	}
	assert_int_equal(STAT(dlrr_tx), 1);
	speak(s, 1000);
	assert_int_equal(STAT(dlrr_tx), 1);
}

/* ---- lip sync ---------------------------------------------------------------------- */

static void before_reports_arrival_counts(void **state)
{
	struct scene *s = *state;

	s->reports = false;
	speak(s, 3000);
	assert_told(s, SHORTEST_MS, SHORTEST_MS + PICTURE_LATER_MS);
}

static void slots_are_told_on_one_clock(void **state)
{
	struct scene *s = *state;

	speak(s, 3000);
	/* Both by the quickest report: the picture's longer way is seen as what it is. */
	assert_told(s, SHORTEST_MS, SHORTEST_MS);
}

static void a_clock_that_drifts_is_told_again(void **state)
{
	struct scene *s = *state;
	unsigned changes;

	speak(s, 3000);
	changes = s->changes;
	s->audio_ahead_us = 8000;
	speak(s, 3000);
	assert_int_equal(s->changes, changes);
	s->audio_ahead_us = 12000;
	speak(s, 3000);
	assert_int_equal(s->changes, changes + 1);
	assert_slot_told(s, AUDIO, SHORTEST_MS);
}

/* A page reckons in 32 bits, which turn over every 13 hours. */
static void an_old_clock_is_told_again(void **state)
{
	struct scene *s = *state;
	unsigned changes;

	speak(s, 3000);
	changes = s->changes;
	s->reports = false;
	for (unsigned i = 0; i < 3590 / 4; i++) {
		s->ms += 4000 - VIDEO_MS; /* hardly a word, to make it short */
		speak(s, VIDEO_MS);
	}
	assert_int_equal(s->changes, changes);
	speak(s, 12000);
	assert_int_equal(s->changes, changes + 2);
	assert_told(s, SHORTEST_MS, SHORTEST_MS);
}

/* ---- sources ----------------------------------------------------------------------- */

static void a_new_ssrc_goes_on_being_heard(void **state)
{
	struct scene *s = *state;
	uint64_t before;

	speak(s, 2000);
	assert_int_equal(s->speaking, 1);
	before = s->to->slots[AUDIO].rtp.packets;
	s->mic_ssrc = 5555;
	s->audio_seq = 10;
	speak(s, 3000);
	assert_int_equal(s->to->slots[AUDIO].rtp.packets - before, 3000 / AUDIO_MS);
	assert_int_equal(s->speaking, 1);
	assert_slot_told(s, AUDIO, SHORTEST_MS);
}

static void swapped_first_packets_are_one_segment(void **state)
{
	struct scene *s = *state;

	s->audio_seq = 2;
	send_audio(s, AUDIO_MS);
	s->audio_seq = 1;
	send_audio(s, 0);
	s->audio_seq = 3;
	speak(s, 1000);
	assert_int_equal(s->to->slots[AUDIO].rtp.segment_count, 1);
}

static void losses_before_a_key_frame_cost_no_other(void **state)
{
	struct scene *s = *state;
	unsigned long plis;

	speak(s, 1000);
	plis = STAT(pli_tx);
	s->video_seq += 3;
	send_video(s, s->ms, true);
	speak(s, 3000);
	assert_int_equal(STAT(pli_tx), plis);
	/* But after it they do. */
	s->video_seq += 3;
	speak(s, 3000);
	assert_true(STAT(pli_tx) > plis);
}

static void each_thing_is_counted_once(void **state)
{
	struct scene *s = *state;

	speak(s, 1000);
	assert_int_equal(STAT(slot_switch), 2);
	s->audio_seq--;
	send_audio(s, s->ms);
	assert_int_equal(STAT(rtp_dup), 1);
	s->audio_seq += 20000;
	send_audio(s, s->ms);
	assert_int_equal(STAT(rtp_old), 1);
}

/* Who can neither ask nor take RED is sent each packet again, half a packet later, and some once more
 * a packet after that, if so. */
static void copies_go_out_unasked(void **state)
{
	static const unsigned a_second[] = {
		0, 1000 / AUDIO_MS,
		1000 / AUDIO_MS + 1000 / AUDIO_MS * VOICE_SECOND_Q8 / 256
	};
	struct scene *s = *state;
	uint64_t before, copies;

	speak(s, 500);
	assert_int_equal(STAT(copy_tx) + STAT(copy_miss), 0);
	for (unsigned n = 1; n <= 2; n++) {
		leg_again_copies(s->to, n);
		assert_int_equal(leg_again_get(s->to), n);
		speak(s, 100);
		before = STAT(copy_tx) + STAT(copy_miss);
		speak(s, 1000);
		copies = STAT(copy_tx) + STAT(copy_miss) - before;
		assert_in_range(copies, a_second[n] - 1, a_second[n] + 1);
	}
	leg_again_copies(s->to, 0);
	speak(s, 100); /* those on their way */
	before = STAT(copy_tx) + STAT(copy_miss);
	speak(s, 500);
	assert_int_equal(STAT(copy_tx) + STAT(copy_miss), before);
}

/* A browser asks for what is missing each 100 ms, however long the way: what has gone out since it can have asked does not go
 * again, and is no other loss. */
static void asks_that_cross(void **state)
{
	struct scene *s = *state;
	struct leg_slot *slot = &s->to->slots[AUDIO];
	struct rtcp_block b = { .ssrc = slot->plan->ssrc, .lsr = 1234 };
	uint64_t now = now_us(s);
	uint16_t seqs[2] = { 77, 78 };

	leg_control_late(s->to, AUDIO, 77, now);
	assert_false(leg_control_crossed(s->to, AUDIO, 77, now)); /* no controller */
	assert_int_equal(leg_control_follow(s->to, 3, 0, VOICE_TOP, now), 0);
	slot->sr_mid_ntp = 1234;
	slot->sr_sent_us = now - 256000;
	leg_control_report(s->to, &b, now);
	leg_control_late(s->to, AUDIO, 77, now);
	assert_true(leg_control_crossed(s->to, AUDIO, 77, now + 100000));
	assert_true(leg_control_crossed(s->to, AUDIO, 77, now + 239000));
	assert_false(leg_control_crossed(s->to, AUDIO, 77, now + 240000));
	assert_false(leg_control_crossed(s->to, AUDIO, 78, now + 100000));
	assert_false(leg_control_crossed(s->to, VIDEO, 77, now + 100000));
	leg_resend_asked(s->to, AUDIO, seqs, 2, now + 100000);
	assert_int_equal(STAT(nack_crossed), 1);
	assert_int_equal(STAT(nack_miss), 1);
	/* the newest counts, and old ones are forgotten */
	leg_control_late(s->to, AUDIO, 77, now + 200000);
	assert_true(leg_control_crossed(s->to, AUDIO, 77, now + 300000));
	for (uint16_t i = 0; i < 16; i++)
		leg_control_late(s->to, AUDIO, 100 + i, now + 200000);
	assert_false(leg_control_crossed(s->to, AUDIO, 77, now + 300000));
	assert_true(leg_control_crossed(s->to, AUDIO, 115, now + 300000));
}

/* The microphone alone for so long, in packets of packet_ms, each sent when its last sample is said. */
static void talk(struct scene *s, unsigned ms, unsigned packet_ms)
{
	/* SILK, 20 ms a frame, or two of 60 */
	uint8_t voice[9] = { packet_ms == 20 ? 0x48 : 0x59, 1, 2, 3, 4, 5, 6, 7, 8 };

	for (unsigned i = 0; i < ms; i++, s->ms++) {
		if (s->ms % packet_ms == 0) {
			struct rtp_header h = { .pt = OPUS_PT,
						.seq = s->audio_seq++,
						.ts = audio_ts(s, s->ms - packet_ms),
						.ssrc = s->mic_ssrc };
			deliver(s, &h, voice, sizeof voice);
		}
		wheel_run(s->wheel, now_us(s));
	}
}

/* What is said in a long packet was said before it is sent: that is no queue. */
static void long_packets_are_not_late(void **state)
{
	struct scene *s = *state;

	s->ms = 120;
	assert_int_equal(leg_follow(s->from, VOICE_TOP, VOICE_TOP, now_us(s)), 0);
	talk(s, 12000, 20);
	assert_int_equal(leg_voice_get(s->from).up_rung, VOICE_TOP);
	assert_int_equal(leg_follow(s->from, 1, 1, now_us(s)), 0);
	talk(s, 12000, 120);
	assert_int_equal(leg_voice_get(s->from).up_rung, 1);
	assert_int_equal(leg_follow(s->from, VOICE_FLOOR, VOICE_TOP, now_us(s)), 0);
	talk(s, 12000, 120);
	assert_true(leg_voice_get(s->from).up_rung > 1);
	leg_follow_end(s->from, now_us(s));
}

/* Packets of so many bytes, by the number of their copies. */
static void say(struct scene *s, unsigned bytes, unsigned copied[VOICE_COPIES + 1])
{
	unsigned now[VOICE_COPIES + 1];

	s->audio_bytes = bytes;
	speak(s, AUDIO_MS);
	leg_again_take(s->to, AUDIO, now);
	assert_int_equal(now[0] + now[1] + now[2], 1);
	for (unsigned i = 0; i <= VOICE_COPIES; i++)
		copied[i] += now[i];
}

/* What there is of second copies goes to where most is said, and silence has none. */
static void more_said_more_copies(void **state)
{
	unsigned large[VOICE_COPIES + 1] = { 0 }, small[VOICE_COPIES + 1] = { 0 };
	unsigned silent[VOICE_COPIES + 1] = { 0 };
	struct scene *s = *state;

	leg_again_copies(s->to, 2);
	speak(s, 500);
	leg_again_take(s->to, AUDIO, large);
	memset(large, 0, sizeof large);
	for (unsigned i = 0; i < 400; i++) {
		say(s, 90, large);
		say(s, 30, small);
		say(s, 2, silent);
	}
	assert_int_equal(silent[0], 400);
	assert_int_equal(large[0] + small[0], 0);
	assert_true(large[2] > 390);
	assert_in_range(large[2] + small[2], 800 * VOICE_SECOND_Q8 / 256 - 3,
			800 * VOICE_SECOND_Q8 / 256 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_are_asked_for_where_agreed),
		cmocka_unit_test(asking_goes_by_the_codec),
		TEST(the_way_is_measured_once),
		TEST(before_reports_arrival_counts),
		TEST(slots_are_told_on_one_clock),
		TEST(a_clock_that_drifts_is_told_again),
		TEST(an_old_clock_is_told_again),
		TEST(a_new_ssrc_goes_on_being_heard),
		TEST(swapped_first_packets_are_one_segment),
		TEST(losses_before_a_key_frame_cost_no_other),
		TEST(each_thing_is_counted_once),
		TEST(copies_go_out_unasked),
		TEST(asks_that_cross),
		TEST(long_packets_are_not_late),
		TEST(more_said_more_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
