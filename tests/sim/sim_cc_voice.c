/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The voice controller against links on a virtual clock: a queue of bounded length in front of
 * a rate, a delay, jitter, loss; what changes by schedule. The receiver reports as Chromium
 * does: transport-wide feedback every 100 ms, NACK at the next packet, a report every 5 s.
 */
#include <palabre/cc.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OVERHEAD = 50,
	EVENTS = 4096,
	STEP_US = 1000,
	RUN_US = 100000,
	FEEDBACK_US = 100000,
	REPORT_US = 5000000,
	SPARSE_US = 500000
};

static uint64_t seed;

static double dice(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)(seed >> 11) / 9007199254740992.0;
}

struct link {
	unsigned rate_bps; /* 0 = no limit */
	unsigned queue_ms;
	unsigned delay_ms; /* one way */
	unsigned jitter_ms;
	double loss;
	double burst;	/* mean length of a loss (Gilbert-Elliott); 0 = each for itself */
	double stall_s; /* mean time between stalls, 0 = none */
	unsigned stall_ms; /* nothing moves for so long, then all at once */
	bool down;
};
enum kind { SAMPLE, NACK, ARRIVAL, CHOICE };
struct event {
	uint64_t at_us;
	enum kind kind;
	uint64_t sent_us;
	int64_t arrival_us;
	unsigned bytes;
	struct voice_choice choice;
};

static struct world {
	struct voice_ctl c;
	struct voice_choice choice; /* that holds */
	uint8_t rung;		    /* when last looked at */
	bool up; /* theirs: the page has to hear of a choice first, each packet is seen */
	struct link link;
	uint64_t now_us, free_us, last_arrival_us, next_packet_us, next_run_us,
		next_report_us;
	uint64_t marked_us, stall_end_us;
	bool bad;	   /* within a burst of losses */
	bool reports_only; /* a receiver without transport-wide feedback */
	double drift;	   /* of the receiver's clock */
	double talk_s; /* mean length of what is said, and of the pause after; 0 = no pause */
	uint64_t turn_us;
	bool pause;
	unsigned hole; /* packets lost since the last arrival */
	unsigned report_sent, report_lost;
	unsigned count;
	uint64_t earliest_us;
	struct event events[EVENTS];
	/* what is looked at */
	unsigned changes, downs, longest_gap_ms;
	unsigned wanted; /* rung */
	unsigned ticks, poorer,
		far_poorer; /* runs in all, below that, and two below it */
	uint64_t heard_us, bytes;
	uint64_t queue_sum_us, queue_max_us, packets, full;
} W;

static void later(uint64_t at_us, enum kind kind, uint64_t sent_us, int64_t arrival_us,
		  unsigned bytes)
{
	assert_true(W.count < EVENTS);
	if (at_us < W.earliest_us || !W.count)
		W.earliest_us = at_us;
	W.events[W.count++] = (struct event) { .at_us = at_us,
					       .kind = kind,
					       .sent_us = sent_us,
					       .arrival_us = arrival_us,
					       .bytes = bytes };
}

static bool lost(void)
{
	struct link *l = &W.link;

	if (l->burst <= 0)
		return dice() < l->loss;
	/* bad for `burst` packets in the mean, good for as long as makes `loss` of all */
	if (W.bad)
		W.bad = dice() >= 1 / l->burst;
	else
		W.bad = dice() < l->loss / (1 - l->loss) / l->burst;
	return W.bad;
}

static void stalls(void)
{
	struct link *l = &W.link;

	if (l->stall_s <= 0 || dice() >= STEP_US / 1e6 / l->stall_s)
		return;
	W.stall_end_us = W.now_us + l->stall_ms * 1000ULL;
	if (W.free_us < W.stall_end_us)
		W.free_us = W.stall_end_us;
}

static uint64_t queue_us(void)
{
	return W.free_us > W.now_us ? W.free_us - W.now_us : 0;
}

/* When it arrives; UINT64_MAX never. */
static uint64_t through(unsigned bytes)
{
	struct link *l = &W.link;
	uint64_t wait_us = queue_us(), at_us;

	if (l->down)
		return UINT64_MAX;
	if (l->rate_bps && wait_us > l->queue_ms * 1000ULL) {
		W.full++;
		return UINT64_MAX;
	}
	W.free_us =
		W.now_us + wait_us + (l->rate_bps ? bytes * 8000000ULL / l->rate_bps : 0);
	if (wait_us > W.queue_max_us)
		W.queue_max_us = wait_us;
	W.queue_sum_us += wait_us;
	W.packets++;
	if (lost())
		return UINT64_MAX;
	at_us = W.free_us + l->delay_ms * 1000ULL +
		(uint64_t)(dice() * l->jitter_ms * 1000);
	if (at_us < W.last_arrival_us)
		at_us = W.last_arrival_us;
	W.last_arrival_us = at_us;
	return at_us;
}

static uint64_t feedback_at(uint64_t arrival_us)
{
	return (arrival_us / FEEDBACK_US + 1) * FEEDBACK_US + W.link.delay_ms * 1000ULL;
}

static unsigned packet_bytes(void)
{
	const struct voice_rung *r = &voice_rungs[W.choice.rung];
	unsigned payload = r->bitrate_bps * r->packet_ms / 8000;

	if (W.pause)
		payload = 2;
	return OVERHEAD + payload * (W.choice.red + 1u) +
	       (W.choice.red ? 1 + 4u * W.choice.red : 0);
}

/* Who speaks pauses: a small packet every 400 ms. */
static void turns(void)
{
	if (W.talk_s <= 0 || W.now_us < W.turn_us)
		return;
	W.turn_us = W.now_us + (uint64_t)(dice() * 2e6 * W.talk_s);
	W.pause = !W.pause;
}

static void resend(uint64_t arrival_us, unsigned bytes)
{
	if (!W.reports_only)
		later(arrival_us + W.link.delay_ms * 1000ULL, NACK, 0, 0, bytes);
}

static void packet(void)
{
	unsigned bytes = packet_bytes();
	uint64_t arrival_us = through(bytes);
	bool marked = W.choice.measure || W.now_us >= W.marked_us + SPARSE_US;

	if (!W.up)
		voice_sent(&W.c, W.now_us, 1, bytes);
	W.bytes += bytes;
	W.report_sent++;
	W.next_packet_us +=
		(W.pause ? 400 : voice_rungs[W.choice.rung].packet_ms) * 1000ULL;
	if (marked)
		W.marked_us = W.now_us;
	if (arrival_us == UINT64_MAX) {
		W.hole++;
		W.report_lost++;
		return;
	}
	if (W.up) {
		later(arrival_us, ARRIVAL, W.now_us + 333333333, (int64_t)arrival_us,
		      bytes);
		for (; W.hole; W.hole--)
			later(arrival_us, NACK, 0, 0, bytes);
	}
	/* feedback is lost too */
	if (!W.up && marked && !W.reports_only && dice() >= W.link.loss)
		later(feedback_at(arrival_us), SAMPLE, W.now_us,
		      (int64_t)((double)arrival_us * (1 + W.drift)) + 777777777, 0);
	for (; W.hole; W.hole--)
		resend(arrival_us, bytes);
	if (W.heard_us && arrival_us > W.heard_us &&
	    (arrival_us - W.heard_us) / 1000 > W.longest_gap_ms)
		W.longest_gap_ms = (unsigned)((arrival_us - W.heard_us) / 1000);
	W.heard_us = arrival_us;
}

/* The other end asks for it: it takes its room on the link again. */
static void asked(unsigned bytes)
{
	if (W.up)
		voice_sent(&W.c, W.now_us, 1, 0);
	voice_lost(&W.c, W.now_us, 1);
	if (!W.choice.nacks)
		return;
	W.bytes += bytes;
	through(bytes);
}

/* The server sees each packet of theirs. */
static void arrived(const struct event *e)
{
	voice_sent(&W.c, W.now_us, 1, e->bytes);
	voice_sample(&W.c, W.now_us, e->sent_us, e->arrival_us);
}

static void events(void)
{
	unsigned kept = 0, count = W.count;

	if (W.now_us < W.earliest_us)
		return;
	W.earliest_us = UINT64_MAX;

	for (unsigned i = 0; i < count; i++) {
		struct event e = W.events[i];

		if (e.at_us > W.now_us) {
			W.events[kept++] = e;
			if (e.at_us < W.earliest_us)
				W.earliest_us = e.at_us;
			continue;
		}
		if (W.link.down)
			continue;
		if (e.kind == SAMPLE)
			voice_sample(&W.c, W.now_us, e.sent_us, e.arrival_us);
		else if (e.kind == NACK)
			asked(e.bytes);
		else if (e.kind == ARRIVAL)
			arrived(&e);
		else
			W.choice = e.choice;
		if (e.kind != CHOICE)
			voice_heard(&W.c, W.now_us);
	}
	W.count = kept;
}

static void begin(struct link link, unsigned red_max, bool nack, unsigned rung)
{
	struct voice_params p = { .overhead = OVERHEAD,
				  .red_max = (uint8_t)red_max,
				  .nack = nack,
				  .rung = (uint8_t)rung };

	memset(&W, 0, sizeof W);
	W.link = link;
	W.now_us = 10000000;
	W.next_packet_us = W.next_run_us = W.now_us;
	W.next_report_us = W.now_us + REPORT_US;
	voice_init(&W.c, &p, W.now_us);
	voice_rtt(&W.c, link.delay_ms * 2000ULL);
	W.choice.rung = W.rung = (uint8_t)rung;
	W.drift = 4e-5;
}

static void forget(void)
{
	W.changes = W.downs = W.longest_gap_ms = W.ticks = W.poorer = W.far_poorer = 0;
	W.bytes = W.queue_sum_us = W.queue_max_us = W.packets = W.full = 0;
}

/* Every 5 s, as receivers do; what they say of the round trip has both queues in it. */
static void report(void)
{
	if (W.now_us < W.next_report_us)
		return;
	if (!W.link.down && W.report_sent) {
		voice_report(&W.c, W.now_us, W.report_lost * 255 / W.report_sent);
		voice_rtt(&W.c, W.link.delay_ms * 2000ULL + queue_us() +
					(uint64_t)(dice() * W.link.jitter_ms * 2000));
	}
	W.report_sent = W.report_lost = 0;
	W.next_report_us += REPORT_US;
}

static void show(uint8_t rung)
{
	if (getenv("SHOW") && W.choice.rung != rung)
		printf("%7.1f s rung %u red %u queue %llu ms loss %u cap %u\n",
		       (double)(W.now_us - 10000000) / 1e6, W.choice.rung, W.choice.red,
		       (unsigned long long)voice_queue_us(&W.c, W.now_us) / 1000,
		       voice_loss_q8(&W.c, W.now_us), W.c.cap_bps);
}

static void decide(void)
{
	struct voice_choice choice;

	if (!voice_run(&W.c, W.now_us, &choice))
		return;
	if (!W.up) {
		W.choice = choice;
		return;
	}
	later(W.now_us + W.link.delay_ms * 1000ULL, CHOICE, 0, 0, 0);
	W.events[W.count - 1].choice = choice;
}

static void look(void)
{
	W.changes += W.choice.rung != W.rung;
	W.downs += W.choice.rung < W.rung;
	show(W.rung);
	W.rung = W.choice.rung;
}

static void run(double s)
{
	uint64_t end_us = W.now_us + (uint64_t)(s * 1e6);

	for (; W.now_us < end_us; W.now_us += STEP_US) {
		stalls();
		turns();
		events();
		while (W.now_us >= W.next_packet_us)
			packet();
		report();
		if (W.now_us >= W.next_run_us) {
			W.ticks++;
			W.poorer += W.choice.rung < W.wanted;
			W.far_poorer += W.choice.rung + 1u < W.wanted;
			decide();
			W.next_run_us += RUN_US;
		}
		look();
	}
}

/* Until the rung is at least (or at most) that; seconds, 99 if it does not come. */
static double until(unsigned rung, bool up, double most_s)
{
	uint64_t begin_us = W.now_us;

	while (up ? W.choice.rung < rung : W.choice.rung > rung) {
		if ((double)(W.now_us - begin_us) / 1e6 > most_s)
			return 99;
		run(0.1);
	}
	return (double)(W.now_us - begin_us) / 1e6;
}

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
		voice_limit(&W.c, 1, 1);
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
static struct drop drop_and_return(double before_s, double low_s, unsigned jitter_ms)
{
	struct link wide = { .rate_bps = 40000,
			     .queue_ms = 3000,
			     .delay_ms = 300,
			     .jitter_ms = jitter_ms };
	struct drop d;
	unsigned before;

	begin(wide, 2, true, 2);
	run(before_s);
	before = W.choice.rung;
	assert_true(before >= 3);
	forget();
	W.link.rate_bps = 14000;
	d.down_s = until(1, false, 5);
	run(low_s);
	d.gap_ms = W.longest_gap_ms;
	assert_true(W.choice.rung <= 1);
	W.link.rate_bps = 40000;
	d.up_s = until(before, true, 10);
	if (getenv("SHOW") || d.down_s > 2.0 || d.up_s > 5.0)
		printf("down after %.1f s in %.1f s, up after %.1f s in %.1f s\n",
		       before_s, d.down_s, low_s, d.up_s);
	return d;
}

/* The issue's own row. */
static void test_drop_and_return(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 20; s++) {
		struct drop d;

		seed = s * 7919;
		d = drop_and_return(60, 12, s % 4 * 10);
		assert_true(d.down_s <= 2.0);
		assert_true(d.gap_ms <= 1200);
		assert_true(d.up_s <= 5.0);
	}
}

/* Whenever it comes, also in the midst of a probe, and for however long. */
static void test_drop_any_time(void **state)
{
	enum { RUNS = 100 };
	double down_s[RUNS], up_s[RUNS];
	unsigned gap_ms = 0;

	(void)state;
	for (unsigned s = 0; s < RUNS; s++) {
		struct drop d;
		double before_s;

		seed = (s + 1) * 7919;
		dice();
		before_s = 40 + dice() * 40;
		d = drop_and_return(before_s, 5 + dice() * 15, s % 5 * 10);
		down_s[s] = d.down_s;
		up_s[s] = d.up_s;
		if (d.gap_ms > gap_ms)
			gap_ms = d.gap_ms;
	}
	qsort(down_s, RUNS, sizeof down_s[0], by_size);
	qsort(up_s, RUNS, sizeof up_s[0], by_size);
	printf("figure: 40 kbit/s fall to 14 and return: down in %.1f s (worst %.1f), up "
	       "in "
	       "%.1f s (worst %.1f), longest gap %u ms\n",
	       down_s[RUNS / 2], down_s[RUNS - 1], up_s[RUNS / 2], up_s[RUNS - 1],
	       gap_ms);
	assert_true(down_s[RUNS * 9 / 10] <= 2.0);
	assert_true(down_s[RUNS - 1] <= 3.0);
	assert_true(up_s[RUNS - 1] <= 5.0);
	assert_true(gap_ms <= 1200);
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
		run(20);
		assert_true(W.choice.rung + 1u >= before);
	}
}

/* Hundreds of links: what is sent fits, the queue stays short, nothing swings, and what the link
 * bears is used. */
static void many_links(const char *name, unsigned n, uint64_t first, unsigned red_max,
		       bool up)
{
	unsigned swings = 0, idle = 0, over = 0, late = 0;
	double queue_s = 0, share = 0;

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
		W.up = up;
		run(90);
		forget();
		run(120);
		while (fits < VOICE_TOP &&
		       voice_cost_bps(fits + 1u, 0, OVERHEAD) < l.rate_bps * 7 / 10)
			fits++;
		mean_s = (double)W.queue_sum_us / (double)W.packets / 1e6;
		if (W.changes > 8 || W.choice.rung + 2u < fits || mean_s > 0.25)
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
	}
	printf("figure: %s, of %u links: swings on %u, uses too little of %u, too much "
	       "of %u, "
	       "queue over 250 ms on %u, mean queue %.0f ms, what fits or more on %.0f "
	       "%%\n",
	       name, n, swings, idle, over, late, queue_s * 1000 / n, share * 100 / n);
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
	unsigned changes;    /* at most */
	unsigned poorer;     /* per cent of the time */
	unsigned far_poorer; /* and by two rungs */
	unsigned queue_ms;   /* mean */
};

/* One run in ten may be worse. No more than a tenth is lost by a full queue: a queue so short that
 * nothing is late in it cannot be told from radio loss. */
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
			ok = W.changes <= t[i].changes &&
			     W.full * 100 <= 10 * (W.packets + W.full) &&
			     W.poorer * 100 <= t[i].poorer * W.ticks &&
			     W.far_poorer * 100 <= t[i].far_poorer * W.ticks &&
			     mean_ms <= t[i].queue_ms;
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
		  4,
		  20,
		  10,
		  20 },
		{ "bursts, far",
		  { .delay_ms = 250, .loss = 0.15, .burst = 3 },
		  5,
		  4,
		  20,
		  10,
		  20 },
		{ "bursts, very far",
		  { .delay_ms = 500, .loss = 0.15, .burst = 3 },
		  4,
		  4,
		  20,
		  10,
		  20 },
		{ "bursts, 40 kbit/s",
		  { .rate_bps = 40000,
		    .queue_ms = 2000,
		    .delay_ms = 100,
		    .loss = 0.15,
		    .burst = 3 },
		  3,
		  8,
		  20,
		  10,
		  100 },
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
		  16,
		  25,
		  10,
		  50 },
		{ "stalls, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .stall_s = 10,
		    .stall_ms = 400 },
		  4,
		  16,
		  25,
		  10,
		  100 },
		{ "stalls, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .stall_s = 10,
		    .stall_ms = 400 },
		  2,
		  16,
		  25,
		  10,
		  150 },
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
		  2,
		  10,
		  5,
		  50 },
		{ "jitter, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 150,
		    .jitter_ms = 150 },
		  4,
		  4,
		  10,
		  5,
		  100 },
		{ "jitter, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 150,
		    .jitter_ms = 150 },
		  2,
		  6,
		  20,
		  10,
		  150 },
	};

	(void)state;
	troubles(t, ARRAY_LEN(t), 2, true);
}

/* A receiver with neither redundancy nor repeats: what is more is tried for real, and patience
 * grows. */
static void test_bare_receiver(void **state)
{
	static const struct trouble t[] = {
		{ "bare, wide", { .delay_ms = 100, .jitter_ms = 20 }, 5, 0, 0, 0, 20 },
		{ "bare, 60 kbit/s",
		  { .rate_bps = 60000,
		    .queue_ms = 2000,
		    .delay_ms = 100,
		    .jitter_ms = 20 },
		  4,
		  4,
		  5,
		  2,
		  50 },
		{ "bare, 25 kbit/s",
		  { .rate_bps = 25000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .jitter_ms = 20 },
		  2,
		  6,
		  10,
		  2,
		  100 },
		{ "bare, 14 kbit/s",
		  { .rate_bps = 14000,
		    .queue_ms = 2000,
		    .delay_ms = 300,
		    .jitter_ms = 20 },
		  1,
		  6,
		  20,
		  0,
		  200 },
		{ "bare, 40 kbit/s, loss",
		  { .rate_bps = 40000, .queue_ms = 2000, .delay_ms = 100, .loss = 0.1 },
		  4,
		  6,
		  20,
		  10,
		  100 },
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
		  6,
		  20,
		  10,
		  60 },
		{ "queue of 80 ms",
		  { .rate_bps = 25000, .queue_ms = 80, .delay_ms = 100, .jitter_ms = 10 },
		  2,
		  6,
		  20,
		  10,
		  80 },
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
		W.talk_s = 2;
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
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_reports_only),
		cmocka_unit_test(test_many_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
