/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pacer: order, evenness, what goes stale, limits; and, on virtual time with random loads, that what it
 * promises holds whatever comes. */
#include <palabre/cc_layers.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pacer P;
static struct pacer_out out;
static uint64_t now_us, numbers;

static void begin(uint32_t bps)
{
	now_us = 1000000;
	numbers = 0;
	pacer_init(&P, now_us);
	pacer_rate(&P, now_us, bps);
}

static int put(enum pacer_class class, unsigned slot, unsigned bytes, const char *what)
{
	struct pacer_item item = { .handle = ++numbers,
				   .at_us = now_us,
				   .bytes = (uint16_t)bytes,
				   .class = (uint8_t) class,
				   .slot = (uint8_t)slot,
				   .start = strchr(what, 's') != NULL,
				   .end = strchr(what, 'e') != NULL,
				   .key = strchr(what, 'k') != NULL };

	return pacer_put(&P, now_us, &item);
}

/* A frame of so many packets. */
static void put_frame(unsigned slot, unsigned packets, unsigned bytes, bool key)
{
	for (unsigned i = 0; i < packets; i++) {
		char what[4] = "";

		strcat(what, i ? "" : "s");
		strcat(what, i + 1 == packets ? "e" : "");
		strcat(what, key ? "k" : "");
		assert_int_equal(put(PACER_VIDEO, slot, bytes, what), 0);
	}
}

static bool take(void)
{
	return pacer_take(&P, now_us, &out);
}

/* Goes on until something is to be sent or dropped. */
static void await(void)
{
	for (unsigned i = 0; !take(); i++) {
		uint64_t next_us = pacer_next_us(&P, now_us);

		assert_true(i < 100);
		assert_true(next_us > now_us && next_us != UINT64_MAX);
		now_us = next_us;
	}
}

static void test_order(void **state)
{
	(void)state;
	begin(100000);
	put_frame(0, 3, 1000, true);
	assert_int_equal(put(PACER_PADDING, 0, 200, ""), 0);
	assert_int_equal(put(PACER_RTX, 0, 500, ""), 0);
	assert_int_equal(put(PACER_AUDIO, 0, 100, ""), 0);
	assert_true(take());
	assert_int_equal(out.item.class, PACER_AUDIO);
	/* 100 bytes are in debt: 8 ms of it, and 5 may be ahead */
	assert_false(take());
	now_us += 4000;
	assert_true(take());
	assert_int_equal(out.item.class, PACER_RTX);
	for (unsigned i = 1; i <= 3; i++) {
		await();
		assert_int_equal(out.item.class, PACER_VIDEO);
		assert_int_equal(out.item.handle, i);
	}
	await();
	assert_int_equal(out.item.class, PACER_PADDING);
	assert_false(take());
	assert_true(pacer_next_us(&P, now_us) == UINT64_MAX);
	/* sound never waits, whatever is in debt */
	for (unsigned i = 0; i < PACER_AUDIO_MAX; i++)
		assert_int_equal(put(PACER_AUDIO, 0, 1000, ""), 0);
	assert_int_equal(put(PACER_AUDIO, 0, 1000, ""), -ENOBUFS);
	for (unsigned i = 0; i < PACER_AUDIO_MAX; i++)
		assert_true(take());
}

/* A key frame of 10 packets at 200 kbit/s takes as long as that takes, and sound is paid for by it. */
static void test_spread(void **state)
{
	uint64_t begin_us;

	(void)state;
	for (unsigned sound = 0; sound < 2; sound++) {
		uint64_t took_us, due_us;

		begin(200000);
		begin_us = now_us;
		put_frame(2, 10, 1000, true);
		for (unsigned i = 0; i < 10; i++) {
			await();
			if (sound)
				pacer_sent(&P, now_us, 100);
		}
		took_us = now_us - begin_us;
		due_us = 9 * (sound ? 44000 : 40000);
		assert_true(took_us <= due_us && took_us + PACER_AHEAD_US >= due_us);
	}
}

/* At 20 Mbit/s a timer that comes 4 ms late loses nothing. */
static void test_late_timer(void **state)
{
	uint64_t begin_us, bytes = 0;

	(void)state;
	begin(20000000);
	begin_us = now_us;
	while (now_us < begin_us + 1000000) {
		while (P.count[PACER_VIDEO] < 300)
			put_frame(0, 10, 1200, false);
		while (take())
			bytes += out.item.bytes;
		now_us = pacer_next_us(&P, now_us) + 4000;
	}
	assert_true(bytes * 8 > 19800000 && bytes * 8 < 20300000);
}

/* What would wait for longer than a second goes faster, but not more than 2.5 times. */
static void test_drain(void **state)
{
	uint64_t begin_us;

	(void)state;
	begin(100000);
	begin_us = now_us;
	put_frame(0, 50, 1000, true);
	assert_int_equal(pacer_delay_us(&P), 4000000);
	for (unsigned i = 0; i < 15; i++)
		await();
	assert_false(out.drop);
	/* 14 packets at 250 kbit/s */
	assert_true(now_us - begin_us > 443000 && now_us - begin_us < 450000);
	pacer_rate(&P, now_us, 0);
	assert_true(pacer_delay_us(&P) == UINT64_MAX);
}

static void test_turns(void **state)
{
	unsigned order[8];

	(void)state;
	begin(100000);
	put_frame(3, 20, 200, true);
	put_frame(9, 2, 200, false);
	put_frame(1, 2, 200, false);
	for (unsigned i = 0; i < 8; i++) {
		await();
		order[i] = out.item.slot;
	}
	for (unsigned i = 0; i < 6; i += 3)
		assert_true(order[i] == 1 && order[i + 1] == 3 && order[i + 2] == 9);
	assert_int_equal(order[6], 3);
	assert_int_equal(order[7], 3);
}

/* Deltas that wait too long go, up to the key frame behind them; nothing has to be asked for. */
static void test_stale_to_key(void **state)
{
	(void)state;
	begin(100000);
	put_frame(0, 2, 500, false);
	assert_true(take()); /* of two */
	put_frame(0, 2, 500, false);
	put_frame(0, 1, 500, false);
	put_frame(0, 2, 500, true);
	pacer_rate(&P, now_us, 0);
	now_us += PACER_STALE_US + 500000;
	assert_false(take()); /* begun: it is not broken off yet */
	pacer_rate(&P, now_us, 100000);
	await();
	assert_true(!out.drop && out.item.end && out.item.handle == 2);
	now_us++;
	for (unsigned i = 3; i <= 5; i++) {
		assert_true(take());
		assert_true(out.drop && out.item.handle == i);
		assert_false(out.key_needed);
	}
	for (unsigned i = 6; i <= 7; i++) {
		await();
		assert_true(!out.drop && out.item.handle == i && out.item.key);
		assert_int_equal(out.resumed, i == 6);
	}
}

/* None is there: that is told, once, and what comes before it is not taken. */
static void test_stale_needs_key(void **state)
{
	(void)state;
	begin(100000);
	pacer_rate(&P, now_us, 0);
	put_frame(5, 1, 500, false);
	put_frame(5, 2, 500, false);
	assert_true(pacer_next_us(&P, now_us) == now_us + PACER_STALE_US + 1);
	now_us += PACER_STALE_US + 1;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(take());
		assert_true(out.drop);
		assert_int_equal(out.key_needed, !i);
	}
	assert_false(take());
	assert_int_equal(put(PACER_VIDEO, 5, 500, "se"), -ESTALE);
	assert_int_equal(put(PACER_VIDEO, 5, 500, "ke"), -ESTALE);
	assert_int_equal(put(PACER_VIDEO, 6, 500, "se"), 0); /* another's */
	pacer_rate(&P, now_us, 100000);
	put_frame(5, 2, 500, true);
	put_frame(5, 1, 500, false);
	for (unsigned i = 0; i < 4; i++) {
		await();
		assert_false(out.drop);
		assert_int_equal(out.resumed,
				 out.item.slot == 5 && out.item.start && out.item.key);
	}
}

/* 45 kbit/s, of which 15 are sound: a key frame of 5 KB takes more than a second, and what waits behind
 * it is not dropped for that; or every key frame would be followed by the next. */
static void test_key_on_a_thin_link(void **state)
{
	unsigned drops = 0, sent = 0;
	uint64_t frame_us, sound_us, end_us;

	(void)state;
	begin(45000);
	put_frame(0, 5, 1000, true);
	frame_us = now_us + 125000;
	sound_us = now_us + 60000;
	for (end_us = now_us + 20000000; now_us < end_us; now_us += 1000) {
		if (now_us >= frame_us) {
			put_frame(0, 1, 300, false); /* 8 a second: 19 kbit/s */
			frame_us += 125000;
		}
		if (now_us >= sound_us) {
			pacer_sent(&P, now_us, 113);
			sound_us += 60000;
		}
		while (take()) {
			drops += out.drop;
			sent += !out.drop;
		}
	}
	assert_int_equal(drops, 0);
	assert_true(sent >= 150);
	assert_true(pacer_delay_us(&P) < 200000);
}

/* The link falls to nothing in the midst of a frame: it is broken off in the end. */
static void test_cut(void **state)
{
	unsigned drops = 0;

	(void)state;
	begin(5000000);
	put_frame(0, 100, 1000, true);
	assert_true(take());
	assert_int_equal(put(PACER_RTX, 0, 500, ""), 0);
	pacer_rate(&P, now_us, 10000);
	now_us += PACER_CUT_US + 1;
	while (take() && out.drop) {
		assert_int_equal(out.key_needed, !drops && out.item.class == PACER_VIDEO);
		drops++;
	}
	assert_int_equal(drops, 100); /* and a repeat of it */
	assert_int_equal(P.count[PACER_VIDEO], 0);
}

/* One slot floods: it loses what it has, and others have room. */
static void test_full(void **state)
{
	unsigned put_ok = 0, drops = 0;
	int err;

	(void)state;
	begin(1000000);
	put_frame(0, 1, 100, true);
	while (!(err = put(PACER_VIDEO, 0, 100, put_ok ? "" : "s")))
		put_ok++;
	assert_int_equal(err, -ENOBUFS);
	assert_true(put_ok > PACER_VIDEO_MAX / 2 && put_ok < PACER_VIDEO_MAX * 3 / 4);
	assert_int_equal(put(PACER_VIDEO, 0, 100, ""), -ESTALE);
	assert_int_equal(put(PACER_VIDEO, 1, 100, "se"), 0);
	assert_true(take() && out.drop && out.key_needed);
	for (drops = 1; take() && out.drop; drops++)
		assert_false(out.key_needed);
	assert_int_equal(drops, put_ok + 1);
	assert_int_equal(out.item.slot, 1);
	put_frame(0, 1, 100, true);
	await();
	assert_true(out.item.slot == 0 && out.resumed);
}

static void test_forget(void **state)
{
	(void)state;
	begin(100000);
	put_frame(4, 3, 500, false);
	assert_true(take());
	pacer_forget(&P, 4);
	put_frame(4, 2, 500, true); /* somebody else's */
	for (unsigned i = 0; i < 2; i++)
		assert_true(take() && out.drop && !out.key_needed);
	await();
	assert_true(!out.drop && out.resumed && out.item.handle == 4);
	put_frame(5, 2, 500, true);
	put(PACER_RTX, 5, 100, "");
	for (unsigned i = 0; i < 4; i++)
		assert_true(pacer_flush(&P, &out) && out.drop);
	assert_false(pacer_flush(&P, &out));
}

static void test_hold(void **state)
{
	(void)state;
	begin(0);
	put_frame(0, 1, 500, true);
	put(PACER_RTX, 0, 500, "");
	put(PACER_PADDING, 0, 500, "");
	assert_false(take());
	assert_int_equal(put(PACER_AUDIO, 0, 100, ""), 0);
	assert_true(pacer_next_us(&P, now_us) == now_us);
	assert_true(take());
	assert_false(take());
	assert_int_equal(put(PACER_VIDEO, PACER_SLOTS, 100, ""), -EINVAL);
	assert_int_equal(put(PACER_VIDEO, 0, 0, ""), -EINVAL);
	assert_int_equal(put(PACER_CLASSES, 0, 100, ""), -EINVAL);
}

/* A probe goes at its own rate: of what waits, then of padding that is asked for. */
static void test_probe(void **state)
{
	uint64_t begin_us;
	unsigned bytes = 0, wants;

	(void)state;
	begin(100000);
	assert_int_equal(pacer_probe(&P, 0, 1, 1), -EINVAL);
	for (uint8_t i = 1; i <= PACER_PROBES; i++)
		assert_int_equal(pacer_probe(&P, i, 400000, 10000), 0);
	assert_int_equal(pacer_probe(&P, 9, 400000, 10000), -ENOBUFS);
	begin(100000);
	assert_int_equal(pacer_probe(&P, 7, 400000, 10000), 0);
	put_frame(0, 4, 1000, false);
	begin_us = now_us;
	for (unsigned i = 0; i < 4; i++) {
		await();
		assert_int_equal(out.probe, 7);
		bytes += out.item.bytes;
	}
	while (bytes < 10000) {
		if (take()) {
			assert_int_equal(out.probe, 7);
			bytes += out.item.bytes;
			continue;
		}
		wants = pacer_wants(&P, now_us);
		if (wants)
			put(PACER_PADDING, 0, wants < 200 ? 200 : wants, "");
		else
			now_us = pacer_next_us(&P, now_us);
	}
	assert_true(now_us - begin_us > 170000 && now_us - begin_us < 200000);
	assert_int_equal(pacer_wants(&P, now_us), 0);
	assert_int_equal(P.probe_count, 0);
	/* what it sent is paid for */
	put_frame(0, 1, 1000, false);
	await();
	assert_true(now_us - begin_us > 700000);
	/* nothing to send: given up */
	assert_int_equal(pacer_probe(&P, 8, 400000, 10000), 0);
	assert_false(take());
	assert_true(pacer_wants(&P, now_us) > 0);
	now_us += 600000;
	assert_false(take());
	assert_int_equal(P.probe_count, 0);
}

/* ---- whatever comes ---------------------------------------------------------------- */

static uint64_t seed;

static unsigned dice(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static struct {
	uint64_t next_handle;
	uint64_t in, sent, dropped;	  /* items */
	uint64_t last[PACER_SLOTS];	  /* handle of what came out last */
	unsigned frame_left[PACER_SLOTS]; /* packets of the frame being put */
	bool frame_key[PACER_SLOTS];
	bool torn[PACER_SLOTS];	  /* dropped since, and no key frame sent yet */
	bool open[PACER_SLOTS];	  /* the frame sent last has not ended */
	bool broken[PACER_SLOTS]; /* its refused tail may be missing */
	unsigned cuts, resumes, keys_needed, probes_full;
	double level_bits,
		level_us;   /* what was sent beyond the rate, if that is at its fastest */
	double strict_bits; /* the same at the rate itself */
	uint32_t rate_bps;
	bool calm; /* no more waits than the rate empties in a second */
} W;

static void settle_levels(void)
{
	double us = (double)now_us - W.level_us;

	W.level_us = (double)now_us;
	W.level_bits -= us * W.rate_bps * PACER_DRAIN_X10 / 10 / 1e6;
	W.strict_bits -= us * W.rate_bps / 1e6;
	if (W.level_bits < 0)
		W.level_bits = 0;
	if (W.strict_bits < 0)
		W.strict_bits = 0;
}

/* In every window that ends with something paced: no more than the rate and the burst. */
static void check_budget(void)
{
	double rate = W.rate_bps * (double)(PACER_AHEAD_US + PACER_LATE_US) / 1e6;
	double probes = 4 * 8.0 * 4000;

	settle_levels();
	W.level_bits += out.item.bytes * 8.0;
	W.strict_bits += out.item.bytes * 8.0;
	if (out.item.class == PACER_AUDIO)
		return;
	assert_true(W.level_bits <= rate * 2.5 + probes + 1500 * 8 + 1);
	if (!W.calm)
		W.strict_bits = 0; /* windows begin anew */
	else if (!out.probe)
		assert_true(W.strict_bits <= rate + probes + 1500 * 8 + 1);
}

static void check_frames(void)
{
	unsigned slot = out.item.slot;

	if (out.drop) {
		/* a frame that has begun is broken off only when it is old, or cannot be had whole */
		if (W.open[slot] && !out.item.start) {
			assert_true(W.broken[slot] ||
				    now_us > out.item.at_us + PACER_CUT_US);
			W.cuts++;
		}
		W.open[slot] = false;
		W.torn[slot] = true;
		W.keys_needed += out.key_needed;
		return;
	}
	if (W.torn[slot]) {
		assert_true(out.item.start && out.item.key && out.resumed);
		W.resumes++;
	}
	assert_int_equal(out.resumed, W.torn[slot] || W.broken[slot]);
	W.torn[slot] = W.broken[slot] = false;
	/* frames are sent whole: none begins in the midst of another */
	if (out.item.start)
		assert_false(W.open[slot]);
	else
		assert_true(W.open[slot]);
	W.open[slot] = !out.item.end;
}

static void took(void)
{
	if (out.drop)
		W.dropped++;
	else
		W.sent++;
	if (!out.drop)
		check_budget();
	if (out.item.class != PACER_VIDEO)
		return;
	assert_true(out.item.handle > W.last[out.item.slot]);
	W.last[out.item.slot] = out.item.handle;
	check_frames();
}

static void offer(enum pacer_class class, unsigned slot, unsigned bytes, bool start,
		  bool end, bool key)
{
	struct pacer_item item = { .handle = ++W.next_handle,
				   .at_us = now_us,
				   .bytes = (uint16_t)bytes,
				   .class = (uint8_t) class,
				   .slot = (uint8_t)slot,
				   .start = start,
				   .end = end,
				   .key = key };
	int err = pacer_put(&P, now_us, &item);

	W.in += !err;
	if (err && class == PACER_VIDEO) {
		assert_true(err == -ENOBUFS || err == -ESTALE);
		if (err == -ENOBUFS)
			W.broken[slot] = W.torn[slot] = true;
		W.open[slot] = W.open[slot] && err != -ENOBUFS;
	}
}

/* A packet of the slot's next frame; after a refusal a key frame comes sooner or later. */
static void offer_video(unsigned slot)
{
	bool start = !W.frame_left[slot];

	if (start) {
		W.frame_key[slot] = !dice(20) || !W.last[slot];
		W.frame_left[slot] = 1 + dice(W.frame_key[slot] ? 30 : 5);
	}
	W.frame_left[slot]--;
	offer(PACER_VIDEO, slot, 200 + dice(1000), start, !W.frame_left[slot],
	      W.frame_key[slot]);
}

static void drain(void)
{
	bool sound_over = false;

	for (unsigned i = 0; take(); i++) {
		bool sound = out.item.class == PACER_AUDIO;

		assert_true(i < 2 * PACER_ITEMS);
		assert_false(sound && sound_over); /* it goes before all else, */
		sound_over |= !sound;
		took();
	}
	assert_int_equal(P.count[PACER_AUDIO], 0); /* and at once */
	W.calm &= (P.bytes[PACER_VIDEO] + P.bytes[PACER_RTX]) * 8.0 <= W.rate_bps;
}

static void step(unsigned slots, unsigned load_bps)
{
	uint64_t wait_us = 1 + dice(dice(10) ? 3000 : 40000);
	unsigned bytes = (unsigned)(wait_us * load_bps / 8000000);

	now_us += wait_us;
	for (unsigned given = dice(700); given < bytes; given += 700)
		offer_video(dice(slots));
	if (!dice(8))
		offer(PACER_AUDIO, 0, 40 + dice(100), false, false, false);
	if (!dice(20))
		offer(PACER_RTX, dice(slots), 200 + dice(1000), false, false, false);
	W.calm = (P.bytes[PACER_VIDEO] + P.bytes[PACER_RTX]) * 8.0 <= W.rate_bps;
	drain();
	if (pacer_wants(&P, now_us)) {
		offer(PACER_PADDING, 0, 250, false, false, false);
		drain();
	}
}

/* Windows end there: they are bound by what the rate was. */
static void change_rate(uint32_t bps)
{
	settle_levels();
	W.rate_bps = bps;
	pacer_rate(&P, now_us, bps);
	W.level_bits = W.strict_bits = 0;
}

static void check_nothing_lost(void)
{
	uint64_t left = P.count[PACER_AUDIO] + P.count[PACER_RTX] + P.count[PACER_VIDEO] +
			P.count[PACER_PADDING];

	assert_true(W.in == W.sent + W.dropped + left);
	while (pacer_flush(&P, &out))
		left--;
	assert_int_equal(left, 0);
}

static void test_whatever(void **state)
{
	static const uint32_t rates[] = { 45000, 128000, 500000, 2000000, 20000000 };
	unsigned cuts = 0, resumes = 0, needed = 0;

	(void)state;
	for (unsigned run = 1; run <= 60; run++) {
		uint32_t bps = rates[run % 5];
		unsigned slots = 1 + run % PACER_SLOTS;
		/* from half to three times as much as goes */
		unsigned load = bps / 4 * (2 + run % 11);

		seed = run * 2654435761u;
		memset(&W, 0, sizeof W);
		begin(bps);
		W.level_us = (double)now_us;
		W.rate_bps = bps;
		for (unsigned i = 0; i < 6000; i++) {
			step(slots, load);
			if (run % 3 == 0 && !dice(300))
				change_rate(dice(5) ? rates[dice(5)] : 0);
			if (run % 4 == 0 && !dice(400))
				W.probes_full += pacer_probe(&P, 1, bps * 2,
							     1000 + dice(3000)) != 0;
		}
		check_nothing_lost();
		cuts += W.cuts;
		resumes += W.resumes;
		needed += W.keys_needed;
	}
	/* all of that has happened */
	printf("figure: frames broken off %u, key frames after a drop %u, asked for %u\n",
	       cuts, resumes, needed);
	assert_true(cuts && resumes && needed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_late_timer),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_stale_to_key),
		cmocka_unit_test(test_stale_needs_key),
		cmocka_unit_test(test_key_on_a_thin_link),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_whatever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
