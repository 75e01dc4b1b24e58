/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A link on virtual time, and legs that send over it as a server does: audio every so often at once,
 * pictures of changing size through a pacer, probe clusters as asked for; receivers that send
 * transport-cc feedback back, which takes its time and may be lost. Same seed, same run.
 */
#ifndef PALABRE_SIM_GCC_LINK_H
#define PALABRE_SIM_GCC_LINK_H

#include <palabre/cc_gcc.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEP_US = 1000,
	SEQS = 8192,
	QUEUE = 8192,
	FEEDBACKS = 64,
	LEGS = 2,
	HIST = 4096,
	SAMPLES = 8192,
	AHEAD = 4000
};

static uint64_t seed;

static double dice(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 9007199254740992.0;
}

/* ---- one leg: sender, receiver, and what is on the way back */
struct leg {
	struct gcc c;
	bool on;
	uint64_t number;
	/* what is sent */
	double app_bps;	   /* pictures have no use for more; 0: they have */
	uint64_t audio_us; /* from one to the next */
	unsigned audio_bytes, fps;
	uint64_t audio_next_us, frame_next_us, pace_us;
	double debt;	  /* bytes by which pictures are below what they may be */
	unsigned waiting; /* bytes of pictures before the pacer, */
	unsigned packet;  /* in packets of that size */
	struct gcc_cluster cluster;
	unsigned cluster_left;
	bool padding;
	/* what has arrived, 0: not */
	int64_t arrivals[SEQS];
	uint64_t seen, told; /* highest number that arrived; told of up to here */
	uint64_t feedback_next_us, feedback_us;
	struct {
		uint64_t at_us, from, to;
	} back[FEEDBACKS];
	unsigned back_head, back_count;
	uint64_t run_us;
	uint64_t sent_bytes, got_bytes, padding_bytes;
	uint64_t last_arrival_us;
	bool wrong; /* something of its feedback was ignored */
};

static struct link {
	uint64_t now_us, begun_us;
	double rate_bps;
	uint64_t limit_us, delay_us, jitter_us; /* one way each */
	double loss, loss_back, burst;		/* burst: mean of lost in a row; 0: 1 */
	bool bad;				/* in a burst */
	struct {
		uint64_t number;
		unsigned bytes, leg;
		uint64_t at_us;
	} queue[QUEUE];
	unsigned head, count;
	double head_bits; /* of the first that are still to go */
	double bits;	  /* that wait in all */
	struct leg legs[LEGS];
	/* measured */
	bool measuring;
	uint32_t hist[HIST]; /* queueing delay in ms */
	uint64_t hist_count, queue_most_us, dropped;
	double est_sum[LEGS], est_least[LEGS], est_most[LEGS];
	float est[LEGS][SAMPLES];
	uint64_t est_count;
} L;

static void link_send(unsigned leg, unsigned bytes, enum gcc_kind kind)
{
	struct leg *l = &L.legs[leg];
	unsigned i = (L.head + L.count) % QUEUE;

	l->number++;
	l->arrivals[l->number % SEQS] = 0;
	l->sent_bytes += bytes;
	if (gcc_sent(&l->c, L.now_us, l->number, bytes, kind))
		abort();
	if (L.bits * 1e6 / L.rate_bps > (double)L.limit_us || L.count == QUEUE) {
		L.dropped++;
		return;
	}
	if (!L.count)
		L.head_bits = bytes * 8;
	L.queue[i].number = l->number;
	L.queue[i].bytes = bytes;
	L.queue[i].leg = leg;
	L.queue[i].at_us = L.now_us;
	L.count++;
	L.bits += bytes * 8;
}

static bool lost(void)
{
	if (L.burst <= 1)
		return dice() < L.loss;
	L.bad = L.bad ? dice() >= 1 / L.burst : dice() < L.loss / (1 - L.loss) / L.burst;
	return L.bad;
}

static void measure(uint64_t queue_us)
{
	uint64_t ms = queue_us / 1000;

	if (!L.measuring)
		return;
	L.hist[ms < HIST ? ms : HIST - 1]++;
	L.hist_count++;
	if (queue_us > L.queue_most_us)
		L.queue_most_us = queue_us;
}

/* The first in the queue has left at `out_us`. */
static void leaves(uint64_t out_us)
{
	struct leg *l = &L.legs[L.queue[L.head].leg];
	uint64_t number = L.queue[L.head].number;
	unsigned bytes = L.queue[L.head].bytes;
	uint64_t at_us = out_us + L.delay_us + (uint64_t)(dice() * (double)L.jitter_us);

	/* Without the time it takes by itself. */
	measure(out_us - L.queue[L.head].at_us - (uint64_t)(bytes * 8e6 / L.rate_bps) <
				1u << 30
			? out_us - L.queue[L.head].at_us -
				  (uint64_t)(bytes * 8e6 / L.rate_bps)
			: 0);
	L.head = (L.head + 1) % QUEUE;
	L.count--;
	L.bits -= bytes * 8;
	if (lost())
		return;
	if (at_us < l->last_arrival_us)
		at_us = l->last_arrival_us;
	l->last_arrival_us = at_us;
	l->got_bytes += bytes;
	l->arrivals[number % SEQS] = (int64_t)at_us;
}

static void link_step(void)
{
	double left_us = STEP_US;

	while (L.count) {
		double need_us = L.head_bits * 1e6 / L.rate_bps;

		if (need_us > left_us) {
			L.head_bits -= left_us * L.rate_bps / 1e6;
			return;
		}
		left_us -= need_us;
		leaves(L.now_us + STEP_US - (uint64_t)left_us);
		if (L.count)
			L.head_bits = L.queue[L.head].bytes * 8;
	}
}

/* ---- the receiver: feedback every so often of all up to the last that has arrived */

static void receiver(struct leg *l)
{
	unsigned i = (l->back_head + l->back_count) % FEEDBACKS;

	if (L.now_us < l->feedback_next_us)
		return;
	l->feedback_next_us = L.now_us + l->feedback_us;
	while (l->seen < l->number) {
		uint64_t n;

		/* the next that has arrived by now, if any */
		for (n = l->seen + 1; n <= l->number && n < l->seen + AHEAD; n++)
			if (l->arrivals[n % SEQS] &&
			    l->arrivals[n % SEQS] <= (int64_t)L.now_us)
				break;
		if (n > l->number || n >= l->seen + AHEAD)
			break;
		l->seen = n;
	}
	if (l->seen == l->told)
		return;
	if (dice() >= L.loss_back && l->back_count < FEEDBACKS) {
		l->back[i].at_us =
			L.now_us + L.delay_us + (uint64_t)(dice() * (double)L.jitter_us);
		l->back[i].from = l->told + 1;
		l->back[i].to = l->seen;
		l->back_count++;
	}
	l->told = l->seen;
}

static void feedback(struct leg *l)
{
	while (l->back_count && l->back[l->back_head].at_us <= L.now_us) {
		gcc_feedback_begin(&l->c, L.now_us);
		for (uint64_t n = l->back[l->back_head].from;
		     n <= l->back[l->back_head].to; n++) {
			int64_t at_us = l->arrivals[n % SEQS] / 250 * 250;

			if (gcc_feedback(&l->c, (uint16_t)n, at_us > 0,
					 at_us + 77777777000) != GCC_USED)
				l->wrong = true;
		}
		(void)gcc_feedback_end(&l->c);
		l->back_head = (l->back_head + 1) % FEEDBACKS;
		l->back_count--;
	}
}

/* ---- the sender */

static void frame(struct leg *l)
{
	double audio_bps = l->audio_bytes * 8e6 / (double)l->audio_us;
	double bps = gcc_bps(&l->c) - audio_bps, size;

	if (bps < 0)
		bps = 0;
	if (l->app_bps > 0 && bps > l->app_bps - audio_bps)
		bps = l->app_bps > audio_bps ? l->app_bps - audio_bps : 0;
	l->debt += bps / 8 / l->fps;
	/* An encoder misses by a third, and makes up for it. A queue before the pacer: none. */
	if (l->waiting * 8.0 > gcc_bps(&l->c) * 0.3) {
		l->debt = 0;
		return;
	}
	size = (bps / 8 / l->fps * 0.5 + l->debt * 0.5) * (0.6 + 0.8 * dice());
	if (dice() < 0.01)
		size *= 3;
	if (size < 60)
		return;
	l->debt -= size;
	l->waiting += (unsigned)size;
	l->packet = (unsigned)size / ((unsigned)size / 1200 + 1) + 1;
}

static void send_cluster(unsigned leg)
{
	struct leg *l = &L.legs[leg];

	while (l->cluster_left && l->pace_us <= L.now_us) {
		unsigned bytes = l->cluster.packet_bytes;
		enum gcc_kind kind = GCC_PADDING;

		if (L.now_us > l->cluster.deadline_us) {
			l->cluster_left = 0;
			return;
		}
		if (l->waiting) {
			kind = GCC_VIDEO;
			bytes = l->waiting < bytes ? l->waiting : bytes;
			l->waiting -= bytes;
		} else {
			l->padding_bytes += bytes;
		}
		l->cluster_left -= bytes < l->cluster_left ? bytes : l->cluster_left;
		link_send(leg, bytes, kind);
		l->pace_us += (uint64_t)(bytes * 8e6 / l->cluster.bps);
	}
}

static void pacer(unsigned leg)
{
	struct leg *l = &L.legs[leg];

	if (l->pace_us + 5000 < L.now_us)
		l->pace_us = L.now_us - 5000;
	if (!l->cluster_left && l->padding && gcc_probe(&l->c, L.now_us, &l->cluster)) {
		l->cluster_left = l->cluster.bytes;
		l->pace_us = L.now_us;
	}
	send_cluster(leg);
	while (!l->cluster_left && l->waiting && l->pace_us <= L.now_us) {
		unsigned bytes = l->waiting < l->packet ? l->waiting : l->packet;

		if (!gcc_may_send(&l->c, bytes))
			return;
		l->waiting -= bytes;
		link_send(leg, bytes, GCC_VIDEO);
		l->pace_us += (uint64_t)(bytes * 8e6 / gcc_pacing_bps(&l->c));
	}
}

static void sender(unsigned leg)
{
	struct leg *l = &L.legs[leg];

	if (L.now_us >= l->audio_next_us) {
		l->audio_next_us += l->audio_us;
		link_send(leg, l->audio_bytes, GCC_AUDIO);
		if (!l->cluster_left)
			l->pace_us +=
				(uint64_t)(l->audio_bytes * 8e6 / gcc_pacing_bps(&l->c));
		else
			l->cluster_left -= l->audio_bytes < l->cluster_left
						   ? l->audio_bytes
						   : l->cluster_left;
	}
	if (L.now_us >= l->frame_next_us) {
		l->frame_next_us += 1000000 / l->fps;
		frame(l);
	}
	pacer(leg);
	if (L.now_us >= l->run_us) {
		l->run_us = L.now_us + 100000;
		(void)gcc_run(&l->c, L.now_us);
	}
}

/* ---- running */

static void link_begin(double rate_bps, double rtt_ms)
{
	memset(&L, 0, sizeof L);
	L.now_us = L.begun_us = 1000000000;
	L.rate_bps = rate_bps;
	L.delay_us = (uint64_t)(rtt_ms * 500);
	L.limit_us = 1000000;
}

static void leg_begin(unsigned leg, double share_bps)
{
	struct gcc_params p = { .min_bps = 6000,
				.start_bps = 60000,
				.max_bps = 30000000 };
	struct leg *l = &L.legs[leg];

	memset(l, 0, sizeof *l);
	gcc_init(&l->c, &p, L.now_us);
	l->on = l->padding = true;
	l->number = l->seen = l->told = seed % 70000;
	/* What the ladder of voices gives such a link. */
	l->audio_us = share_bps < 150000 ? 60000 : 20000;
	l->audio_bytes = share_bps < 150000 ? 110 : 120;
	l->fps = share_bps < 150000 ? 8 : 25;
	l->feedback_us = share_bps < 150000 ? 100000 : 50000;
	l->audio_next_us = l->frame_next_us = l->pace_us = l->run_us = L.now_us;
	l->feedback_next_us = L.now_us + (uint64_t)(dice() * 50000);
}

static void link_measure(void)
{
	L.measuring = true;
	memset(L.hist, 0, sizeof L.hist);
	L.hist_count = L.queue_most_us = L.dropped = L.est_count = 0;
	for (unsigned i = 0; i < LEGS; i++) {
		L.est_sum[i] = L.est_most[i] = 0;
		L.est_least[i] = 1e12;
		L.legs[i].sent_bytes = L.legs[i].got_bytes = L.legs[i].padding_bytes = 0;
	}
}

static void look(void)
{
	if (!L.measuring || L.now_us % 50000)
		return;
	if (L.est_count == SAMPLES)
		return;
	for (unsigned i = 0; i < LEGS; i++) {
		double bps = L.legs[i].on ? gcc_bps(&L.legs[i].c) : 0;

		L.est_sum[i] += bps;
		L.est_least[i] = bps < L.est_least[i] ? bps : L.est_least[i];
		L.est_most[i] = bps > L.est_most[i] ? bps : L.est_most[i];
		L.est[i][L.est_count] = (float)bps;
	}
	L.est_count++;
}

/* TRACE=n: a line every n ms. */
static void trace(void)
{
	static int every_ms = -1;

	if (every_ms < 0)
		every_ms = getenv("TRACE") ? atoi(getenv("TRACE")) : 0;
	if (!every_ms || (L.now_us - L.begun_us) % ((unsigned)every_ms * 1000u))
		return;
	for (unsigned i = 0; i < LEGS; i++) {
		const struct gcc *c = &L.legs[i].c;

		if (!L.legs[i].on)
			continue;
		fprintf(stderr,
			"%7.2f leg %u queue %.0f est %.0f loss %.0f capacity %.0f best "
			"%.0f%s | "
			"signal %d stands %.0f rise %.0f gamma %.0f jitter %.0f%s | rtt "
			"%.0f "
			"flight %u/%u | inherent %.3f recent %.3f | probes %u/%u%s\n",
			(double)(L.now_us - L.begun_us) / 1e6, i,
			L.bits * 1e3 / L.rate_bps, c->bps / 1e3, c->loss_bps / 1e3,
			c->aimd.capacity_bps / 1e3, c->aimd.best_bps / 1e3,
			c->limited ? " limited" : "", (int)c->delay.signal,
			(double)c->delay.standing_us / 1e3, c->delay.rise_us / 1e3,
			c->delay.gamma_us / 1e3, (double)c->delay.jitter_us / 1e3,
			c->aimd.draining ? " drains" : "", (double)c->rtt_last_us / 1e3,
			c->in_flight_bytes, gcc_window_bytes(c), c->loss.inherent,
			c->loss.recent, c->probe.passed, c->probe.failed,
			c->probe.active ? " on" : "");
	}
}

static void run(double s)
{
	uint64_t end_us = L.now_us + (uint64_t)(s * 1e6);

	for (; L.now_us < end_us; L.now_us += STEP_US) {
		for (unsigned i = 0; i < LEGS; i++)
			if (L.legs[i].on) {
				feedback(&L.legs[i]);
				sender(i);
			}
		link_step();
		for (unsigned i = 0; i < LEGS; i++)
			if (L.legs[i].on)
				receiver(&L.legs[i]);
		look();
		trace();
	}
}

/* Queueing delay that 95 % of packets had no more than. */
static double p95_ms(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HIST; i++) {
		sum += L.hist[i];
		if (sum * 100 >= L.hist_count * 95)
			return i + 1;
	}
	return HIST;
}

static double est_mean(unsigned leg)
{
	return L.est_sum[leg] / (double)L.est_count;
}

/* Part of the time in which it was further from its mean than that. */
static double est_outside(unsigned leg, double by)
{
	double mean = est_mean(leg);
	unsigned count = 0;

	for (unsigned i = 0; i < L.est_count; i++)
		count += fabs(L.est[leg][i] / mean - 1) > by;
	return (double)count / (double)L.est_count;
}

#endif
