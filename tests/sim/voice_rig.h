/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A voice on a link, on a virtual clock: a queue of bounded length in front of a rate, a delay,
 * jitter, losses one by one or in bursts, stalls. The receiver reports as Chromium does:
 * transport-wide feedback every 100 ms, NACK at the next packet, a report every 5 s; feedback
 * gets lost as packets do, and what is repeated takes its room. SHOW=1 prints every change.
 */
#ifndef PALABRE_TESTS_VOICE_RIG_H
#define PALABRE_TESTS_VOICE_RIG_H

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
	PAGE_US = 120000 /* a page agrees with itself on another way of sending */
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
	double talk_s,
		pause_s; /* mean lengths of what is said, and of the pause after; 0 = no pause */
	uint64_t turn_us;
	bool pause;
	bool bare; /* its first packet since it carries redundancy has nothing to repeat */
	unsigned hole; /* packets lost since the last arrival */
	unsigned report_sent, report_lost;
	bool copies;	/* redundancy is whole packets, unasked */
	unsigned saved; /* for second ones */
	unsigned copied[VOICE_COPIES + 1];
	unsigned count;
	uint64_t earliest_us;
	struct event events[EVENTS];
	/* what is looked at */
	unsigned changes, downs, longest_gap_ms;
	unsigned wanted; /* rung */
	unsigned ticks, poorer, far_poorer,
		measured; /* runs in all, below that, and two below it */
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
	if (W.bare || !W.choice.red || W.copies)
		return OVERHEAD + payload;
	return OVERHEAD + payload * (W.choice.red + 1u) + 1 + 4u * W.choice.red;
}

/* Who speaks pauses: a small packet every 400 ms. */
static void turns(void)
{
	if (W.talk_s <= 0 || W.now_us < W.turn_us)
		return;
	W.pause = !W.pause;
	W.turn_us =
		W.now_us + (uint64_t)(dice() * 2e6 * (W.pause ? W.pause_s : W.talk_s));
}

/* Those before this one are missing. What is older than a second is not repeated. */
static void missing(uint64_t at_us, unsigned bytes)
{
	unsigned recent = 1000u / voice_rungs[W.choice.rung].packet_ms;

	for (; W.hole; W.hole--)
		later(at_us, NACK, 0, 0, W.hole > recent ? 0 : bytes);
}

/* The first that arrives counts, the others are thrown away before the receiver counts. */
static uint64_t with_copies(unsigned bytes)
{
	uint64_t arrival_us = through(bytes), again_us;
	unsigned copies = W.copies ? W.choice.red : 0;

	if (copies == VOICE_COPIES) {
		W.saved += VOICE_SECOND_Q8;
		copies = W.saved >= 256 ? 2 : 1;
		W.saved %= 256;
	}
	W.copied[copies]++;
	for (unsigned i = 0; i < copies; i++) {
		W.bytes += bytes;
		again_us = through(bytes);
		if (again_us < arrival_us)
			arrival_us = again_us;
	}
	return arrival_us;
}

static void packet(void)
{
	unsigned bytes = packet_bytes();
	uint64_t arrival_us = with_copies(bytes);
	bool marked = W.now_us >= W.marked_us + W.choice.measure_ms * 1000ULL;

	W.bare = false;
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
		missing(arrival_us, bytes);
	}
	/* feedback is lost too */
	if (!W.up && marked && !W.reports_only && !(W.copies && W.choice.red) &&
	    dice() >= W.link.loss)
		later(feedback_at(arrival_us), SAMPLE, W.now_us,
		      (int64_t)((double)arrival_us * (1 + W.drift)) + 777777777, 0);
	if (W.reports_only || W.copies)
		W.hole = 0;
	missing(arrival_us + W.link.delay_ms * 1000ULL, bytes);
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
	if (!W.choice.nacks || !bytes)
		return;
	W.bytes += bytes;
	through(bytes);
}

/* The server sees each packet of theirs. */
static void arrived(const struct event *e)
{
	voice_sample(&W.c, W.now_us, e->sent_us, e->arrival_us);
	voice_sent(&W.c, W.now_us, 1, e->bytes);
}

/* The encoder is built anew: what it had gathered of a packet is thrown away. */
static void obey(const struct voice_choice *choice)
{
	if (voice_rungs[choice->rung].packet_ms != voice_rungs[W.choice.rung].packet_ms ||
	    choice->red != W.choice.red)
		W.next_packet_us =
			W.now_us + voice_rungs[choice->rung].packet_ms * 1000ULL;
	W.bare = choice->red > W.choice.red;
	W.choice = *choice;
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
			obey(&e.choice);
		if (e.kind == NACK)
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
	W.changes = W.downs = W.longest_gap_ms = W.measured = W.ticks = W.poorer =
		W.far_poorer = 0;
	W.bytes = W.queue_sum_us = W.queue_max_us = W.packets = W.full = 0;
}

/* Every 5 s, as receivers do; what they say of the round trip has both queues in it. */
static void report(void)
{
	if (W.now_us < W.next_report_us)
		return;
	/* lost, as packets are */
	if (!W.link.down && W.report_sent && (!W.copies || dice() >= W.link.loss)) {
		if (W.copies)
			voice_report_copied(&W.c, W.now_us,
					    W.report_lost * 255 / W.report_sent,
					    W.copied);
		else
			voice_report(&W.c, W.now_us, W.report_lost * 255 / W.report_sent);
		memset(W.copied, 0, sizeof W.copied);
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
	later(W.now_us + W.link.delay_ms * 1000ULL + PAGE_US, CHOICE, 0, 0, 0);
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
			W.measured += !W.choice.measure_ms;
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

#endif
