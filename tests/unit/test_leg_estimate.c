/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A leg that gets pictures: every packet numbered once, feedback that lies, what is asked for again, and what its pacer
 * drops. */
#include "unit/picture_rig.h"

#include <palabre/cc_layers.h>

#include <errno.h>

static int begin(void **state)
{
	(void)state;
	pictures_open(5e6, 40, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pictures_close();
	return 0;
}

/* What does not fit is then sent as far as its pacer lets it. */
static void without_allotment(void)
{
	leg_allot_fini(P->s.to);
	P->s.to->allot = NULL;
}

static unsigned count(uint32_t ssrc, unsigned from)
{
	unsigned n = 0;

	for (unsigned i = from; i < P->sent_count; i++)
		n += P->sent[i].ssrc == ssrc;
	return n;
}

/* From the first picture on each has the next number; before that few of the sound, and again when the pictures
 * have been over for a while. */
static void each_is_numbered_once(void **state)
{
	unsigned first, numbered = 0;

	(void)state;
	P->camera_on = false;
	run(4000);
	for (unsigned i = 0; i < P->sent_count; i++)
		numbered += P->sent[i].numbered;
	assert_in_range(numbered, 8, 12);
	assert_false(leg_estimate_going(P->s.to));
	P->camera_on = true;
	run(100);
	first = P->sent_count;
	run(5000);
	assert_true(leg_estimate_going(P->s.to));
	assert_true(count(PICTURE_SSRC, first) > 200);
	for (unsigned i = first; i < P->sent_count; i++) {
		assert_true(P->sent[i].numbered);
		if (i > first)
			assert_int_equal((uint16_t)(P->sent[i - 1].number + 1),
					 P->sent[i].number);
	}
	assert_int_equal(leg_estimate_get(P->s.to)->ignored[GCC_NEVER_SENT], 0);
	assert_int_equal(STAT(twcc_late), 0);
	assert_int_equal(STAT(twcc_unsent), 0);
	P->camera_on = false;
	run(7000);
	first = P->sent_count;
	run(4000);
	numbered = 0;
	for (unsigned i = first; i < P->sent_count; i++)
		numbered += P->sent[i].numbered;
	assert_in_range(numbered, 8, 12);
	P->camera_on = true;
	run(3000);
	assert_int_equal(STAT(twcc_late), 0);
	assert_int_equal(STAT(twcc_unsent), 0);
}

/* It finds what the link bears, or what there is to be sent. */
static void it_finds_the_link(void **state)
{
	uint32_t bps;

	(void)state;
	run(10000);
	bps = gcc_bps(leg_estimate_get(P->s.to));
	assert_in_range(bps, 600000, 5500000);
	assert_int_equal(STAT(pace_drop), 0);
	assert_true(P->queue_most_us < 150000);
}

/* Feedback for what was never sent changes nothing but a counter. */
static void of_what_was_never_sent(void **state)
{
	struct gcc before;
	uint8_t data[1400];
	size_t len;

	(void)state;
	run(3000);
	before = *leg_estimate_get(P->s.to);
	len = feedback_build(data, P->s.to->number, 100);
	to_leg(data, len);
	assert_int_equal(STAT(twcc_unsent), 100);
	len = feedback_build(data, P->s.to->number + 20000, 100);
	to_leg(data, len);
	assert_int_equal(STAT(twcc_unsent), 200);
	assert_true(leg_estimate_get(P->s.to)->bps == before.bps);
	assert_int_equal(leg_estimate_get(P->s.to)->last, before.last);
	run(3000);
	assert_int_equal(STAT(twcc_unsent), 200);
	assert_true(gcc_bps(leg_estimate_get(P->s.to)) >= 300000);
}

/* What is asked for goes as RTX, each with a number of its own; sound with the one that it had. */
static void repeats(void **state)
{
	struct sent first = { 0 };
	unsigned before;
	uint16_t seq;

	(void)state;
	run(3000);
	seq = (uint16_t)P->s.to->slots[VIDEO].rtp.highest;
	before = P->sent_count;
	nack(PICTURE_SSRC, &seq, 1);
	run(20);
	assert_int_equal(count(PICTURE_RTX_SSRC, before), 1);
	for (unsigned i = P->sent_count - 1; !first.numbered && i; i--)
		if (P->sent[i].ssrc == SOUND_SSRC)
			first = P->sent[i];
	assert_true(first.numbered);
	before = P->sent_count;
	nack(SOUND_SSRC, &first.seq, 1);
	assert_int_equal(P->sent_count, before + 1);
	assert_int_equal(P->sent[before].number, first.number);
	assert_int_equal(P->sent[before].seq, first.seq);
	assert_int_equal(STAT(twcc_late), 0);
}

/* Everything is asked for again, a thousand times a second: no more goes than the link bears, and the voice is as
 * before. */
static void a_flood_of_nacks(void **state)
{
	uint64_t bytes = 0, start_us;
	unsigned before, sound = 0;

	(void)state;
	P->rate_bps = 1000000;
	run(8000);
	before = P->sent_count;
	start_us = now_us(&P->s);
	P->queue_most_us = 0;
	for (unsigned i = 0; i < 3000; i++) {
		uint16_t seqs[SLOT_NACKS_MAX];

		for (unsigned k = 0; k < SLOT_NACKS_MAX; k++)
			seqs[k] = (uint16_t)(P->s.to->slots[VIDEO].rtp.highest - k);
		nack(PICTURE_SSRC, seqs, SLOT_NACKS_MAX);
		run(1);
	}
	for (unsigned i = before; i < P->sent_count; i++) {
		bytes += P->sent[i].bytes;
		sound += P->sent[i].ssrc == SOUND_SSRC;
	}
	assert_true(STAT(nack_limit) > 1000);
	assert_true((double)bytes * 8e6 / (double)(now_us(&P->s) - start_us) < 1.15e6);
	assert_int_equal(sound, 150);
	assert_true(P->queue_most_us < 400000);
}

/* The link bears a third of the pictures: what is too late is dropped up to a key frame, which is asked for; in
 * what is sent no number is missing, and sound never waits. */
static void what_is_dropped(void **state)
{
	struct leg_slot_state state_before;
	uint16_t next = 0;
	unsigned keys = 0;
	bool any = false;

	(void)state;
	without_allotment();
	P->rate_bps = 250000;
	P->camera_bps = 700000;
	run(3000);
	state_before = P->s.to->slots[VIDEO].state;
	run(17000);
	assert_true(STAT(pace_drop) > 20);
	assert_true(STAT(pli_tx) >= 2);
	/* at most four a second, whatever is dropped */
	assert_true(STAT(pli_tx) <= 80);
	for (unsigned i = 0; i < P->sent_count; i++) {
		if (P->sent[i].ssrc != PICTURE_SSRC)
			continue;
		assert_true(!any || P->sent[i].seq == next);
		next = (uint16_t)(P->sent[i].seq + 1);
		any = true;
		keys += P->sent[i].key;
	}
	assert_true(keys >= 2);
	/* the page is told where that stands in time */
	assert_int_not_equal(state_before.ts, P->s.to->slots[VIDEO].state.ts);
	assert_int_equal(P->s.to->slots[VIDEO].state.stream, CAMERA_STREAM);
}

/* Whoever is in the slot goes while their pictures wait. */
static void who_leaves(void **state)
{
	unsigned before;

	(void)state;
	without_allotment();
	P->rate_bps = 100000;
	P->camera_bps = 1500000;
	run(1500);
	assert_true(leg_pace_delay_us(P->s.to) > 0);
	P->camera_on = false;
	leg_media(P->s.from, STREAM_CAMERA, false, now_us(&P->s));
	before = P->sent_count;
	run(2000);
	assert_int_equal(count(PICTURE_SSRC, before), 0);
	assert_int_equal(leg_pace_delay_us(P->s.to), 0);
	assert_int_equal(P->s.to->slots[VIDEO].state.stream, 0);
	leg_media(P->s.from, STREAM_CAMERA, true, now_us(&P->s));
	P->rate_bps = 5e6;
	P->camera_bps = 300000;
	P->camera_on = true;
	run(6000);
	assert_true(count(PICTURE_SSRC, before) > 50);
}

/* A link that is gone for a while takes nothing with it. */
static void while_suspended(void **state)
{
	(void)state;
	without_allotment();
	P->camera_bps = 1500000;
	P->rate_bps = 100000;
	run(1500);
	assert_true(leg_pace_delay_us(P->s.to) > 0);
	relay_port_suspend(P->s.to->port, true, now_us(&P->s));
	leg_pace_stop(P->s.to);
	assert_int_equal(leg_pace_delay_us(P->s.to), 0);
	run(1000);
	relay_port_suspend(P->s.to->port, false, now_us(&P->s));
	P->rate_bps = 5e6;
	P->camera_bps = 300000;
	run(6000);
	assert_int_equal(P->s.to->slots[VIDEO].state.stream, CAMERA_STREAM);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(each_is_numbered_once),
		SCENE(it_finds_the_link),
		SCENE(of_what_was_never_sent),
		SCENE(repeats),
		SCENE(a_flood_of_nacks),
		SCENE(what_is_dropped),
		SCENE(who_leaves),
		SCENE(while_suspended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
