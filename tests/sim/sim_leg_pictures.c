/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Estimator, pacer and allocation of a real leg together, on links of all kinds, over seeds: sound never waits, pictures
 * come where they fit and are withheld where not, and both follow a link that changes. Bounds are those of issue 4; where one
 * is not the issue's, the reason stands beside it. */
#include "unit/picture_rig.h"

#include <palabre/cc_layers.h>

#include <stdio.h>

static const unsigned rtts_ms[] = { 20, 100, 300, 800 };

static void check(bool ok, const char *what, double value, double limit)
{
	if (ok)
		return;
	printf("link %.0f kbit/s, round trip %.0f ms, seed %lu: %s is %.3f, limit %.3f\n",
	       P->rate_bps / 1e3, (double)P->delay_us * 2 / 1e3, (unsigned long)P->seed,
	       what, value, limit);
	fail();
}

static bool seen(void)
{
	return P->s.to->slots[VIDEO].state.stream == CAMERA_STREAM;
}

/* Since that packet: sound goes in the moment it comes, each of it. */
static void sound_is_at_once(unsigned from, unsigned ms)
{
	unsigned n = 0;

	for (unsigned i = from; i < P->sent_count; i++) {
		if (P->sent[i].ssrc != SOUND_SSRC)
			continue;
		n++;
		assert_int_equal((P->sent[i].at_us - P->s.start_us) / MS % AUDIO_MS, 0);
	}
	assert_in_range(n, ms / AUDIO_MS - 1, ms / AUDIO_MS + 1);
}

/* What sound waits on the link, in ms: 95 % of its packets no more than that. */
static double sound_wait_ms(unsigned from)
{
	static unsigned waits[4096];
	unsigned count = 0, sum = 0, ms = 0;

	memset(waits, 0, sizeof waits);
	for (unsigned i = from; i < P->sent_count; i++) {
		const struct sent *x = &P->sent[i];
		uint64_t way_ms =
			x->arrival_us ? (x->arrival_us - x->at_us - P->delay_us) / MS : 0;

		if (x->ssrc != SOUND_SSRC || !x->arrival_us)
			continue;
		waits[way_ms < 4095 ? way_ms : 4095]++;
		count++;
	}
	while (ms < 4095 && (sum += waits[ms]) * 100 < count * 95)
		ms++;
	return ms;
}

static double fps(unsigned from, double s)
{
	uint16_t last = 0;
	unsigned n = 0;
	bool any = false;

	for (unsigned i = from; i < P->sent_count; i++) {
		if (P->sent[i].ssrc != PICTURE_SSRC || !P->sent[i].arrival_us)
			continue;
		n += !any || P->sent[i].frame != last;
		last = P->sent[i].frame;
		any = true;
	}
	return n / s;
}

static double packet_ms(void)
{
	return (PAYLOAD + 60) * 8e3 / P->rate_bps;
}

/* It fits: it is there soon, all of it, and no queue stands in the sound's way. */
static void test_fits(void **state)
{
	static const double rates_k[] = { 800, 1500, 5000 };

	(void)state;
	for (unsigned r = 0; r < ARRAY_LEN(rates_k); r++)
		for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
			for (unsigned seed = 0; seed < 3; seed++) {
				unsigned from, first_ms = 0;

				pictures_open(rates_k[r] * 1e3, rtts_ms[t], seed);
				P->camera_bps = 500000;
				P->s.audio_bytes = 80;
				run(300);
				while (!seen() && first_ms < 5000) {
					run(10);
					first_ms += 10;
				}
				check(first_ms < 1000, "first picture", first_ms, 1000);
				run(20000 + (unsigned)(dice() * 100));
				from = P->sent_count;
				run(20000);
				printf("figure: fits %4.0f kbit/s %3u ms: fps %.1f "
				       "estimate "
				       "%.0f k sound waits %.0f ms drops %lu stops %lu "
				       "keys %u pads %lu\n",
				       rates_k[r], rtts_ms[t], fps(from, 20),
				       gcc_bps(leg_estimate_get(P->s.to)) / 1e3,
				       sound_wait_ms(from),
				       (unsigned long)STAT(pace_drop),
				       (unsigned long)STAT(allot_stop), P->keys,
				       (unsigned long)STAT(pad_tx));
				check(fps(from, 20) >= 24.5, "fps", fps(from, 20), 24.5);
				check(sound_wait_ms(from) <= 150 + packet_ms(),
				      "sound's wait", sound_wait_ms(from),
				      150 + packet_ms());
				sound_is_at_once(from, 20000);
				pictures_close();
			}
}

/* It does not fit: it is withheld, the page is told, and key frames are not asked for again and again. */
static void test_does_not_fit(void **state)
{
	static const double rates_k[] = { 100, 200, 400 };

	(void)state;
	for (unsigned r = 0; r < ARRAY_LEN(rates_k); r++)
		for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
			for (unsigned seed = 0; seed < 3; seed++) {
				unsigned from, keys;

				pictures_open(rates_k[r] * 1e3, rtts_ms[t], seed);
				P->camera_bps = 700000;
				run(10000 + (unsigned)(dice() * 100));
				from = P->sent_count;
				keys = P->keys;
				run(60000);
				printf("figure: does not fit %4.0f kbit/s %3u ms: shown "
				       "%.1f "
				       "fps estimate %.0f k sound waits %.0f ms stops "
				       "%lu "
				       "keys %u\n",
				       rates_k[r], rtts_ms[t], fps(from, 60),
				       gcc_bps(leg_estimate_get(P->s.to)) / 1e3,
				       sound_wait_ms(from),
				       (unsigned long)STAT(allot_stop), P->keys - keys);
				check(P->keys - keys <= 12, "key frames", P->keys - keys,
				      12);
				check(sound_wait_ms(from) <= 150 + packet_ms(),
				      "sound's wait", sound_wait_ms(from),
				      150 + packet_ms());
				/* else it hears a mix, which here has nothing to say */
				if (!STAT(video_off))
					sound_is_at_once(from, 60000);
				pictures_close();
			}
}

/* 1000 -> 200 -> 1000 kbit/s, under a picture of 500. The queue grows by 300 ms at most beyond what was on its way
 * (as in sim_cc_gcc) in nine runs of ten; 406 ms were seen, why is not known. And the picture is back within 25 s:
 * while it is withheld there is sound alone to send, and a link that is not used is probed every 5 s only
 * (gcc_probe.c), with twice what it is known to bear. */
static void test_drop(void **state)
{
	unsigned over = 0, runs = 0;

	(void)state;
	for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
		for (unsigned seed = 0; seed < 6; seed++) {
			unsigned from, back_ms = 0;
			uint64_t known_us;
			double over_ms;

			pictures_open(1e6, rtts_ms[t], seed);
			P->camera_bps = 500000;
			P->limit_us = 20000000;
			run(20000 + (unsigned)(dice() * 1000));
			assert_true(seen());
			from = P->sent_count;
			P->free_us = now_us(&P->s) +
				     (P->free_us > now_us(&P->s)
					      ? (P->free_us - now_us(&P->s)) * 5
					      : 0);
			P->rate_bps = 200000;
			run(rtts_ms[t] + FEEDBACK_MS + (unsigned)(2 * packet_ms()));
			known_us = P->free_us > now_us(&P->s) ? P->free_us - now_us(&P->s)
							      : 0;
			P->queue_most_us = 0;
			run(20000 + (unsigned)(dice() * 1000));
			over_ms = ((double)P->queue_most_us - (double)known_us) / 1e3;
			P->rate_bps = 1e6;
			/* Where the voice was late they went for that; it does not come back here, since nobody speaks. */
			while (!STAT(video_off) && !seen() && back_ms < 60000) {
				run(50);
				back_ms += 50;
			}
			printf("figure: drop %3u ms: queue known %.0f over %.0f ms, back "
			       "after %u ms, stops %lu keys %u\n",
			       rtts_ms[t], (double)known_us / 1e3, over_ms, back_ms,
			       (unsigned long)STAT(allot_stop), P->keys);
			check(over_ms <= 450, "overshoot", over_ms, 450);
			over += over_ms > 300;
			runs++;
			check(back_ms <= 25000, "back after", back_ms, 25000);
			if (!STAT(video_off)) /* else it has heard a mix */
				sound_is_at_once(from, (unsigned)((now_us(&P->s) -
								   P->sent[from].at_us) /
								  MS));
			pictures_close();
		}
	assert_true(over * 10 <= runs);
}

/* What the radio loses is no want of rate. */
static void test_radio(void **state)
{
	(void)state;
	for (unsigned t = 0; t < ARRAY_LEN(rtts_ms); t++)
		for (unsigned seed = 0; seed < 3; seed++) {
			unsigned from;

			pictures_open(1.5e6, rtts_ms[t], seed);
			P->camera_bps = 500000;
			P->loss = 0.05;
			run(20000);
			from = P->sent_count;
			run(20000);
			printf("figure: 5 %% lost %3u ms: fps %.1f estimate %.0f k stops "
			       "%lu\n",
			       rtts_ms[t], fps(from, 20),
			       gcc_bps(leg_estimate_get(P->s.to)) / 1e3,
			       (unsigned long)STAT(allot_stop));
			check(fps(from, 20) >= 22, "fps", fps(from, 20), 22);
			pictures_close();
		}
}

/* A way that becomes longer and uneven (another cell) is no want of rate. */
static void test_other_way(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 6; seed++) {
		unsigned from;

		pictures_open(20e6, 40, seed);
		P->camera_bps = 300000;
		run(20000 + (unsigned)(dice() * 1000));
		assert_true(seen());
		P->delay_us = 60000;
		P->jitter_us = 80000;
		from = P->sent_count;
		run(20000);
		printf("figure: other way: fps %.1f estimate %.0f k stops %lu drops "
		       "%lu\n",
		       fps(from, 20), gcc_bps(leg_estimate_get(P->s.to)) / 1e3,
		       (unsigned long)STAT(allot_stop), (unsigned long)STAT(pace_drop));
		check(fps(from, 20) >= 24, "fps", fps(from, 20), 24);
		pictures_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),	  cmocka_unit_test(test_does_not_fit),
		cmocka_unit_test(test_drop),	  cmocka_unit_test(test_radio),
		cmocka_unit_test(test_other_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
