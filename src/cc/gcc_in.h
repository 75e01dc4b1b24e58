/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of the bandwidth estimator, one file each. gcc.c remembers packets and reads feedback;
 * gcc_rate.c counts bytes by time; gcc_delay.c sees queues; gcc_aimd.c raises and lowers the rate;
 * gcc_loss.c tells radio loss from a full link; gcc_probe.c bursts; gcc_report.c does without
 * transport-cc.
 */
#ifndef PALABRE_CC_GCC_IN_H
#define PALABRE_CC_GCC_IN_H

#include <palabre/cc_gcc.h>

/* gcc_packet.state; assumed: what was to tell of it got lost itself, it counts as arrived */
enum { GCC_UNKNOWN, GCC_ASSUMED, GCC_LOST, GCC_ARRIVED };

/* ---- gcc.c */
/* What one packet of the largest size of late takes at that rate. */
int64_t gcc_packet_us(const struct gcc *c, double bps);
/* How long it takes until a change of rate shows in feedback. */
uint64_t gcc_response_us(const struct gcc *c);
/* How far the last round trip lies above the lowest. */
int64_t gcc_rtt_queue_us(const struct gcc *c);
/* gcc.bps anew from its parts; true if it has changed. */
bool gcc_settle(struct gcc *c);
/* The lowest of one to two windows of window_us. */
void gcc_floor_update(struct gcc_floor *f, uint64_t now_us, int64_t value_us,
		      uint64_t window_us);

/* ---- gcc_rate.c */
/* `bytes` passed at that time; times only rise. */
void gcc_rate_add(struct gcc_rate *r, int64_t at_us, unsigned bytes);
/* As many more passed before the next that is added. */
void gcc_rate_skip(struct gcc_rate *r, unsigned bytes);
/* In the window that ends with the last point; 0: too few points for that. */
double gcc_rate_bps(const struct gcc_rate *r, int64_t window_us);
/* In the window that ends now. */
double gcc_rate_until_bps(const struct gcc_rate *r, int64_t now_us, int64_t window_us);
/* Window that is long enough for the rate of what is sent. */
int64_t gcc_rate_window_us(const struct gcc *c);
void gcc_rate_limited(struct gcc *c);

/* ---- gcc_delay.c */
void gcc_delay_init(struct gcc *c);
/* A packet arrived; in the order of sending. False: the receiver's clock has jumped. */
bool gcc_delay_packet(struct gcc *c, uint64_t sent_us, int64_t arrival_us);
/* All of a feedback has been told. */
void gcc_delay_judge(struct gcc *c);
/* More queue than that is too much. */
int64_t gcc_delay_limit_us(const struct gcc *c);
/* The queue does not go away though less is sent: it is the way that has become longer. */
void gcc_delay_rebase(struct gcc *c);

/* ---- gcc_aimd.c */
void gcc_aimd_init(struct gcc *c);
void gcc_aimd_update(struct gcc *c, enum gcc_signal signal);
/* The link has turned out to be the same so often that there is most likely nobody else on it. */
bool gcc_aimd_alone(const struct gcc *c);
/* A probe has shown that the link bears so much; full: and no more. */
void gcc_aimd_probed(struct gcc *c, double bps, bool full);
/* Nothing at all comes back. */
void gcc_aimd_timeout(struct gcc *c);

/* ---- gcc_loss.c */
void gcc_loss_status(struct gcc *c, const struct gcc_packet *p, bool received);
/* It was told of as lost, and has come. */
void gcc_loss_undo(struct gcc *c);
void gcc_loss_update(struct gcc *c);
/* Of `told` packets at a rate so many were lost, in so many runs: one observation at once. */
void gcc_loss_observe(struct gcc *c, double bps, unsigned told, unsigned lost,
		      unsigned runs);

/* ---- gcc_probe.c */
void gcc_probe_init(struct gcc *c);
void gcc_probe_sent(struct gcc *c, uint64_t number, unsigned bytes);
void gcc_probe_assume(struct gcc *c, const struct gcc_packet *p);
void gcc_probe_status(struct gcc *c, const struct gcc_packet *p, bool received,
		      int64_t arrival_us);
/* What it showed did not hold. */
void gcc_probe_regret(struct gcc *c);
void gcc_probe_judge(struct gcc *c);

#endif
