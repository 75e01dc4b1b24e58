/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The voice controller against links of all kinds: what it makes of them, and how quickly. */
#include "voice_rig.h"

static void test_clean_goes_up(void **state)
{
	(void)state;
	seed = 1;
	begin((struct link) { .delay_ms = 40, .jitter_ms = 10 }, 2, true,
	      VOICE_FLOOR + 1);
	assert_true(until(VOICE_TOP, true, 30) < 25);
	forget();
	run(120);
	assert_int_equal(W.changes, 0);
	assert_int_equal(W.choice.red, 0);
}

/* Random loss with room to spare is no reason to send less; protection goes by the round trip. */
static void test_radio_loss(void **state)
{
	static const struct {
		unsigned rtt_ms, red, nacks;
	} cases[] = { { 100, 0, 2 }, { 250, 0, 2 }, { 500, 1, 1 }, { 1000, 2, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		seed = 17 + i;
		begin((struct link) { .delay_ms = cases[i].rtt_ms / 2, .loss = 0.2 }, 2,
		      true, 3);
		run(20);
		assert_true(W.choice.rung >= 3);
		forget();
		run(60);
		assert_int_equal(W.downs, 0);
		assert_true(W.choice.red >= cases[i].red);
		assert_int_equal(W.choice.nacks, cases[i].nacks);
		assert_true(W.choice.jitter_ms >= cases[i].nacks * cases[i].rtt_ms);
		/* pinned, it stays and is protected all the same */
		voice_limit(&W.c, W.now_us, 1, 1);
		run(3);
		assert_int_equal(W.choice.rung, 1);
		assert_int_equal(W.choice.red, cases[i].red);
		/* and when the loss is over, so is that */
		W.link.loss = 0;
		run(25);
		assert_int_equal(W.choice.red, 0);
		assert_int_equal(W.choice.jitter_ms, 0);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct drop {
	double down_s, up_s;
	unsigned gap_ms;
};

/* 40 → 14 → 40 kbit/s at 600 ms. */
static struct drop drop_and_return(double before_s, double low_s, unsigned jitter_ms,
				   bool pauses)
{
	struct link wide = { .rate_bps = 40000,
			     .queue_ms = 3000,
			     .delay_ms = 300,
			     .jitter_ms = jitter_ms };
	struct drop d;
	unsigned before;

	begin(wide, 2, true, 2);
	if (pauses) {
		W.talk_s = 3;
		W.pause_s = 0.6;
	}
	run(before_s);
	before = W.choice.rung;
	assert_true(before >= 3);
	forget();
	W.link.rate_bps = 14000;
	d.down_s = until(1, false, 5);
	run(low_s);
	d.gap_ms = W.longest_gap_ms;
	/* A pause in a probe may look as if nothing queued. */
	assert_true(W.choice.rung <= 1 || pauses);
	W.link.rate_bps = 40000;
	d.up_s = until(before, true, 10);
	if (getenv("SHOW") || d.down_s > 2.0 || d.up_s > 5.0)
		printf("down from rung %u after %.1f s in %.1f s, up after %.1f s in "
		       "%.1f s\n",
		       before, before_s, d.down_s, low_s, d.up_s);
	return d;
}

/* The issue's own row. */
static void test_drop_and_return(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		struct drop d;

		seed = s * 7919;
		d = drop_and_return(60, 12, s % 4 * 10, false);
		assert_true(d.down_s <= 2.0);
		assert_true(d.gap_ms <= 1200);
		assert_true(d.up_s <= 5.0);
	}
}

/* Whenever it comes, also in the midst of a probe, and for however long. */
static void drop_any_time(const char *name, double least_s, double most_s, bool pauses)
{
	enum { RUNS = 100 };
	double down_s[RUNS], up_s[RUNS];
	unsigned gap_ms = 0;

	for (unsigned s = 0; s < RUNS; s++) {
		struct drop d;
		double before_s;

		seed = (s + 1) * 7919;
		dice();
		before_s = least_s + dice() * (most_s - least_s);
		d = drop_and_return(before_s, 5 + dice() * 15, s % 5 * 10, pauses);
		down_s[s] = d.down_s;
		up_s[s] = d.up_s;
		if (d.gap_ms > gap_ms)
			gap_ms = d.gap_ms;
	}
	qsort(down_s, RUNS, sizeof down_s[0], by_size);
	qsort(up_s, RUNS, sizeof up_s[0], by_size);
	printf("figure: 40 kbit/s fall to 14 and return, %s: down in %.1f s (worst "
	       "%.1f), "
	       "up in %.1f s (worst %.1f), longest gap %u ms\n",
	       name, down_s[RUNS / 2], down_s[RUNS - 1], up_s[RUNS / 2], up_s[RUNS - 1],
	       gap_ms);
	assert_true(gap_ms <= 1200);
	/* In a pause nothing is seen. */
	assert_true(down_s[RUNS * 9 / 10] <= (pauses ? 2.5 : 2.0));
	assert_true(down_s[RUNS - 1] <= (pauses ? 4.0 : 3.0));
	assert_true(up_s[RUNS * 9 / 10] <= (pauses ? 7.0 : 5.0));
	assert_true(pauses || up_s[RUNS - 1] <= 5.0);
}

static void test_drop_any_time(void **state)
{
	(void)state;
	drop_any_time("any time", 40, 80, false);
	drop_any_time("soon", 20, 40, false);
	drop_any_time("of who pauses", 20, 80, true);
}

static void test_blackout(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		unsigned before;

		seed = s * 104729;
		begin((struct link) { .rate_bps = 60000,
				      .queue_ms = 2000,
				      .delay_ms = 150 },
		      2, true, 3);
		run(40);
		before = W.choice.rung;
		W.link.down = true;
		run(5);
		assert_int_equal(W.choice.rung, VOICE_FLOOR);
		W.link.down = false;
		assert_true(until(before, true, 5) <= 2.0);
		forget();
		run(20);
		assert_int_equal(W.downs, 0);
		assert_int_equal(W.choice.red, 0);
	}
}

/* Hundreds of links: what is sent fits, the queue stays short, nothing swings, and what the link
 * bears is used. */
static void many_links(const char *name, unsigned n, uint64_t first, unsigned red_max,
		       bool up)
{
	unsigned swings = 0, idle = 0, over = 0, late = 0;
	double queue_s = 0, share = 0, measured = 0;

	for (unsigned s = 1; s <= n; s++) {
		struct link l = { .queue_ms = 2000 };
		unsigned fits = VOICE_FLOOR;
		double mean_s;

		seed = s * first;
		dice();
		l.rate_bps = (unsigned)(12000 + dice() * dice() * 120000);
		l.delay_ms = (unsigned)(20 + dice() * 480);
		l.jitter_ms = (unsigned)(dice() * 60);
		l.loss = dice() < 0.5 ? 0 : dice() * 0.1;
		begin(l, red_max, true, (unsigned)(dice() * VOICE_RUNGS));
		W.up = W.c.params.page = up;
		run(90);
		forget();
		run(120);
		while (fits < VOICE_TOP &&
		       voice_cost_bps(fits + 1u, 0, OVERHEAD) < l.rate_bps * 7 / 10)
			fits++;
		mean_s = (double)W.queue_sum_us / (double)W.packets / 1e6;
		if (W.changes > 8 || W.choice.rung + 2u < fits || mean_s > 0.25 ||
		    W.bytes * 8 / 120 > l.rate_bps)
			printf("%s, seed %u: %u bit/s, %u + %u ms, loss %.3f: rung %u "
			       "red %u (fits "
			       "%u), %u changes, queue %.0f ms, %llu bit/s\n",
			       name, s, l.rate_bps, l.delay_ms, l.jitter_ms, l.loss,
			       W.choice.rung, W.choice.red, fits, W.changes,
			       mean_s * 1000, (unsigned long long)W.bytes * 8 / 120);
		swings += W.changes > 8;
		idle += W.choice.rung + 2u < fits;
		late += mean_s > 0.25;
		over += W.bytes * 8 / 120 > l.rate_bps;
		queue_s += mean_s;
		share += W.choice.rung >= fits;
		measured += (double)W.measured / W.ticks;
	}
	printf("figure: %s, of %u links: swings on %u, uses too little of %u, too much "
	       "of %u, "
	       "queue over 250 ms on %u, mean queue %.0f ms, what fits or more on %.0f "
	       "%%, "
	       "every packet measured %.0f %% of the time\n",
	       name, n, swings, idle, over, late, queue_s * 1000 / n, share * 100 / n,
	       measured * 100 / n);
	assert_int_equal(over, 0);
	assert_true(swings <= n / 50);
	assert_true(idle <= n / 100);
	assert_true(late <= n / 100);
}

static void test_many_links(void **state)
{
	(void)state;
	many_links("down", 300, 2654435761u, 2, false);
	many_links("down, no redundancy", 100, 40503, 0, false);
	many_links("up", 100, 2246822519u, 1, true);
	many_links("up, no redundancy", 100, 3266489917u, 0, true);
}

/* What a link does; the rung that fits it; what is allowed in two minutes after one to settle. */
struct trouble {
	const char *name;
	struct link link;
	unsigned fits;
	struct {
		unsigned changes;
		unsigned poorer;     /* per cent of the time */
		unsigned far_poorer; /* and by two rungs */
		unsigned queue_ms;   /* mean */
	} most;
};

/* One run in ten may be worse. */
static void troubles(const struct trouble *t, size_t n, unsigned red_max, bool nack)
{
	enum { RUNS = 10 };

	for (size_t i = 0; i < n; i++) {
		unsigned worse = 0, changes = 0;
		double poorer = 0, queue_ms = 0;

		for (unsigned s = 1; s <= RUNS; s++) {
			double mean_ms;
			bool ok;

			seed = s * 15485863 + i;
			begin(t[i].link, red_max, nack, 2);
			W.wanted = t[i].fits;
			run(90);
			forget();
			run(120);
			mean_ms = (double)W.queue_sum_us / (double)W.packets / 1000;
			ok = W.changes <= t[i].most.changes &&
			     W.full * 100 <= 3 * (W.packets + W.full) &&
			     W.poorer * 100 <= t[i].most.poorer * W.ticks &&
			     W.far_poorer * 100 <= t[i].most.far_poorer * W.ticks &&
			     mean_ms <= t[i].most.queue_ms;
			if (!ok || getenv("SHOW"))
				printf("%s, seed %u: rung %u red %u, %u changes, poorer "
				       "%u %%, by "
				       "two %u %%, queue %.0f ms\n",
				       t[i].name, s, W.choice.rung, W.choice.red,
				       W.changes, W.poorer * 100 / W.ticks,
				       W.far_poorer * 100 / W.ticks, mean_ms);
			worse += !ok;
			changes += W.changes;
			poorer += 100.0 * W.poorer / W.ticks / RUNS;
			queue_ms += mean_ms / RUNS;
		}
		printf("figure: %s: %.1f changes in two minutes, poorer than fits %.0f "
		       "%% of the "
		       "time, mean queue %.0f ms\n",
		       t[i].name, (double)changes / RUNS, poorer, queue_ms);
		assert_true(worse <= 1);
	}
}

static void test_bursts(void **state)
{
	static const struct trouble t[] = {
		{ "bursts, near",
		  { .delay_ms = 50, .loss = 0.15, .burst = 3 },
		  5,
		  { 4, 20, 10, 20 } },
		{ "bursts, far",
		  { .delay_ms = 250, .loss = 0.15, .burst = 3 },
		  5,
		  { 4, 20, 10, 20 } },
		{ "bursts, very far",
		  { .delay_ms = 500, .loss = 0.15, .burst = 3 },
		  4,
		  { 4, 20, 10, 20 } },
		{ "bursts, 40 kbit/s",
		  { .rate_bps = 40000,
		    .queue_ms = 2000,
		    .delay_ms = 100,
		    .loss = 0.15,
		    .burst = 3 },
		  3,
		  { 8, 20, 10, 100 } },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 2, true);
}

static void test_stalls(void **state)
{
	static const struct trouble t[] = {
		{ "stalls, wide",
		  { .delay_ms = 150, .stall_s = 10, .stall_ms = 400 },
		  5,
		  { 16, 25, 10, 50 } },
		{ "stalls, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .stall_s = 10,
		    .stall_ms = 400 },
		  4,
		  { 16, 25, 10, 100 } },
		{ "stalls, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .stall_s = 10,
		    .stall_ms = 400 },
		  2,
		  { 16, 25, 10, 150 } },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 2, true);
}

static void test_jitter(void **state)
{
	static const struct trouble t[] = {
		{ "jitter, wide",
		  { .delay_ms = 150, .jitter_ms = 150 },
		  5,
		  { 2, 10, 5, 50 } },
		{ "jitter, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 150,
		    .jitter_ms = 150 },
		  4,
		  { 4, 10, 5, 100 } },
		{ "jitter, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 150,
		    .jitter_ms = 150 },
		  2,
		  { 6, 20, 10, 150 } },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 2, true);
}

/* A receiver with neither redundancy nor repeats: what is more is tried for real, and patience
 * grows. */
static void test_bare_receiver(void **state)
{
	static const struct trouble t[] = {
		{ "bare, wide",
		  { .delay_ms = 100, .jitter_ms = 20 },
		  5,
		  { 0, 0, 0, 20 } },
		{ "bare, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 100,
		    .jitter_ms = 20 },
		  4,
		  { 4, 5, 2, 50 } },
		{ "bare, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .jitter_ms = 20 },
		  2,
		  { 6, 10, 2, 100 } },
		{ "bare, 14 kbit/s",
		  { .rate_bps = 14000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .jitter_ms = 20 },
		  1,
		  { 6, 20, 0, 200 } },
		{ "bare, 40 kbit/s, loss",
		  { .rate_bps = 40000, .queue_ms = 2000, .delay_ms = 100, .loss = 0.1 },
		  4,
		  { 6, 20, 10, 100 } },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 0, false);
}

/* A queue of two packets, or of none: what is too much is lost and hardly late. */
static void test_short_queue(void **state)
{
	static const struct trouble t[] = {
		{ "queue of 200 ms",
		  { .rate_bps = 25000,
		    .queue_ms = 200,
		    .delay_ms = 100,
		    .jitter_ms = 10 },
		  2,
		  { 6, 20, 10, 60 } },
		{ "queue of 80 ms",
		  { .rate_bps = 25000, .queue_ms = 80, .delay_ms = 100, .jitter_ms = 10 },
		  2,
		  { 6, 20, 10, 20 } },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 2, true);
}

/* Every 10-30 s another rate. */
static void test_changing_rate(void **state)
{
	uint64_t queue_us = 0, packets = 0, ticks = 0, poorer = 0, far = 0, lost = 0;

	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		seed = s * 32452843;
		dice();
		begin((struct link) { .rate_bps = 40000,
				      .queue_ms = 2000,
				      .delay_ms = (unsigned)(20 + dice() * 300),
				      .jitter_ms = 20 },
		      2, true, 2);
		run(30);
		forget();
		for (unsigned i = 0; i < 30; i++) {
			W.link.rate_bps = (unsigned)(13000 + dice() * dice() * 70000);
			W.wanted = VOICE_FLOOR;
			while (W.wanted < VOICE_TOP &&
			       voice_cost_bps(W.wanted + 1u, 0, OVERHEAD) <
				       W.link.rate_bps * 7 / 10)
				W.wanted++;
			run(10 + dice() * 20);
		}
		queue_us += W.queue_sum_us;
		packets += W.packets;
		ticks += W.ticks;
		poorer += W.poorer;
		far += W.far_poorer;
		lost += W.full;
	}
	printf("figure: another rate every 10-30 s: mean queue %.0f ms, lost of it %.1f "
	       "%%, poorer "
	       "than fits %.0f %% of the time, by two rungs %.0f %%\n",
	       (double)queue_us / (double)packets / 1000,
	       100.0 * (double)lost / (double)packets,
	       100.0 * (double)poorer / (double)ticks,
	       100.0 * (double)far / (double)ticks);
	assert_true(queue_us / packets < 200000);
	assert_true(lost * 100 < packets);
	assert_true(far * 100 < ticks * 15);
}

/* Clocks that drift by 100 ppm: two hours of it change nothing. */
static void test_drift(void **state)
{
	(void)state;
	for (int i = -1; i <= 1; i += 2) {
		seed = 5;
		begin((struct link) { .delay_ms = 100, .jitter_ms = 30 }, 2, true, 4);
		W.drift = i * 1e-4;
		run(60);
		assert_int_equal(W.choice.rung, VOICE_TOP);
		forget();
		run(7200);
		assert_int_equal(W.changes, 0);
		assert_true(voice_queue_us(&W.c, W.now_us) < 50000);
	}
}

/* Who pauses sends next to nothing: that shows nothing of the link. */
static void test_pauses(void **state)
{
	unsigned swings = 0;

	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		seed = s * 49979687;
		begin((struct link) { .rate_bps = 25000,
				      .queue_ms = 2000,
				      .delay_ms = 150 },
		      2, true, 2);
		W.talk_s = W.pause_s = 2;
		run(90);
		forget();
		run(120);
		if (getenv("SHOW") || W.changes > 8)
			printf("pauses, seed %u: rung %u, %u changes, queue %llu ms\n", s,
			       W.choice.rung, W.changes,
			       (unsigned long long)(W.queue_sum_us / W.packets / 1000));
		swings += W.changes > 8;
		assert_true(W.queue_sum_us / W.packets < 150000);
		assert_true(W.choice.rung >= 1);
	}
	assert_true(swings <= 1);
}

/* A receiver that says no more than a report every 5 s. */
static void test_reports_only(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 10; s++) {
		seed = s * 67867967;
		begin((struct link) { .delay_ms = 100, .jitter_ms = 20 }, 0, false, 2);
		W.reports_only = true;
		assert_true(until(VOICE_TOP, true, 90) <= 90);
		forget();
		run(300);
		assert_int_equal(W.changes, 0);

		begin((struct link) { .rate_bps = 25000,
				      .queue_ms = 2000,
				      .delay_ms = 100 },
		      0, false, 2);
		W.reports_only = true;
		run(120);
		forget();
		run(300);
		if (getenv("SHOW"))
			printf("reports only: rung %u, %u changes, queue %llu ms\n",
			       W.choice.rung, W.changes,
			       (unsigned long long)(W.queue_sum_us / W.packets / 1000));
		assert_in_range(W.choice.rung, 1, 4);
		assert_true(W.changes <= 12);
		assert_true(W.queue_sum_us / W.packets < 400000);
	}
}

static void begin_copies(double loss)
{
	begin((struct link) { .delay_ms = 125, .jitter_ms = 10, .loss = loss },
	      VOICE_COPIES, false, 1);
	W.reports_only = W.copies = W.c.params.copies = true;
	voice_limit(&W.c, W.now_us, 1, 1);
}

/* A receiver with neither repeats nor redundancy, and a pinned rung: copies come soon, as many as
 * the link's loss wants, though the reports tell only of what was lost with all of its copies, and
 * go when the link is clean again. */
static void test_copies(void **state)
{
	static const struct {
		double loss;
		unsigned least, most; /* hundredths of what is sent without copies */
	} cases[] = { { 0, 100, 100 },
		      { 0.03, 100, 200 },
		      { 0.07, 150, 215 },
		      { 0.1, 185, 240 },
		      { 0.2, 245, 263 } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = 0, packets = 0;

		for (unsigned s = 1; s <= 20; s++) {
			seed = s * 67867967;
			begin_copies(cases[i].loss);
			run(20);
			if (cases[i].loss > 0.15)
				assert_true(W.choice.red > 0);
			forget();
			run(300);
			bytes += W.bytes;
			packets += 2500;
			W.link.loss = 0;
			run(150);
			assert_int_equal(W.choice.red, 0);
		}
		if (getenv("SHOW"))
			printf("copies at %.0f %%: %llu %% sent\n", cases[i].loss * 100,
			       (unsigned long long)(bytes * 100 / packets / 170));
		assert_in_range(bytes * 100 / packets / 170, cases[i].least,
				cases[i].most);
	}
}

/* What goes out twice measures nothing, so copies are no probe: more is tried for real, and found. */
static void test_copies_climb(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 10; s++) {
		seed = s * 67867967;
		begin_copies(0);
		W.reports_only = false;
		voice_limit(&W.c, W.now_us, 0, VOICE_TOP);
		assert_true(until(VOICE_TOP, true, 90) <= 90);
	}
}

/* A minute on 30 kbit/s, and then no limit: as where pictures wait for the voice to be at the top. */
static void test_thin_then_wide(void **state)
{
	double longest_s = 0;

	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		double up_s;

		seed = s * 86028121;
		begin((struct link) { .rate_bps = 30000,
				      .queue_ms = 1000,
				      .delay_ms = 100,
				      .jitter_ms = s % 4 * 10 },
		      2, true, 1);
		run(60);
		assert_in_range(W.choice.rung, 2, 4);
		W.link.rate_bps = 0;
		up_s = until(VOICE_TOP, true, 60);
		if (up_s > longest_s)
			longest_s = up_s;
	}
	printf("figure: 30 kbit/s for a minute, then no limit: at the top after %.1f s "
	       "at most\n",
	       longest_s);
	assert_true(longest_s <= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_goes_up),
		cmocka_unit_test(test_radio_loss),
		cmocka_unit_test(test_drop_and_return),
		cmocka_unit_test(test_drop_any_time),
		cmocka_unit_test(test_blackout),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_bare_receiver),
		cmocka_unit_test(test_short_queue),
		cmocka_unit_test(test_changing_rate),
		cmocka_unit_test(test_thin_then_wide),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_reports_only),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_copies_climb),
		cmocka_unit_test(test_many_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
