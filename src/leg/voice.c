/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a leg hears of the voices follows what its link bears: evidence from its reports, NACKs and
 * measured packets goes to cc's controller, whose rung and redundancy go to the mixer. Only for
 * legs that asked for it (a voice without video, or a rung that the person has pinned: then only
 * protection follows), and those that pictures were too much for (video.c).
 *
 * The microphone is judged likewise, from what arrives; its page is told what to send.
 *
 * Above the richest rung are the lanes as they are sent; they are tried when that rung has
 * stood for a while, and for longer each time that it was too much.
 */
#include "leg_private.h"

#include <palabre/audio.h>
#include <palabre/cc.h>

#include <stdlib.h>
#include <string.h>

enum {
	RUN_US = 100000,
	BEGIN_RUNG = 3, /* 12 kbit/s: an EDGE link bears it */
	LANES_WAIT_US = 10000000,
	LANES_WAIT_MAX_US = 600000000,
	JITTER_HOLD_US = 20000000,
	PICTURES_US = 1500000, /* a queue of a second, full of them */
	LATE_KEPT = 16,
	LOSS_TWICE_Q8 = 20 /* 8 %: one repeat in twelve is lost */
};
_Static_assert((int)VOICE_RUNGS == (int)RUNGS, "one ladder");

struct control {
	struct leg *leg;
	struct voice_ctl ctl;
	struct voice_choice choice;
	struct timer timer;
	uint64_t packets, bytes; /* of leg->sent, when looked at last */
	uint8_t loss_q8;
	uint16_t
		jitter_ms; /* what its buffers should hold, and when that was last needed */
	uint64_t jitter_us;
	bool rtt_known, lanes, pinned;
	uint64_t top_us, lanes_us,
		lanes_wait_us; /* at the top since; lanes since; patience */
	struct {
		struct voice_ctl ctl;
		struct voice_choice choice;
		bool judged, rests;
		uint64_t expected, received, repaired, bytes; /* when looked at last */
	} up;						      /* the microphone */
	struct asked {
		uint64_t asked, lost; /* bit i is number `newest` - i */
		uint16_t newest;
		uint8_t late_count; /* modulo 256 */
		struct late {
			uint32_t at_ms; /* 0: none */
			uint16_t seq;
		} late[LATE_KEPT]; /* sent again, or only now, last */
	} asked[NEGO_SLOTS_MAX];   /* NACKed */
};

static void apply(struct control *v, uint64_t now_us)
{
	int rung = v->lanes ? LEG_LANES : (int)v->choice.rung;
	unsigned more = v->lanes ? 0 : v->choice.red;

	leg_measure_every(v->leg, v->choice.measure_ms);
	leg_again_copies(v->leg, v->ctl.params.copies ? more : 0);
	if (leg_voice(v->leg, rung, v->ctl.params.copies ? 0 : more, now_us))
		STAT_INC(mix_fail);
	v->leg->all->ops->changed(v->leg->all->arg, v->leg);
}

/* True: it has changed. */
static bool choose_lanes(struct control *v, uint64_t now_us)
{
	bool top = !v->pinned && v->choice.rung == VOICE_TOP && !v->choice.red;

	if (!top) {
		v->top_us = 0;
		if (!v->lanes)
			return false;
		v->lanes = false;
		if (now_us < v->lanes_us + v->lanes_wait_us &&
		    v->lanes_wait_us < LANES_WAIT_MAX_US)
			v->lanes_wait_us *= 2;
		return true;
	}
	if (!v->top_us)
		v->top_us = now_us;
	if (v->lanes || now_us < v->top_us + v->lanes_wait_us)
		return false;
	v->lanes = true;
	v->lanes_us = now_us;
	return true;
}

static struct leg_source *microphone(const struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		if (leg->plan.sources[i].kind == STREAM_MIC)
			return leg->sources[i];
	return NULL;
}

/* True: the page is to send in another way. */
static bool judge_up(struct control *v, uint64_t now_us)
{
	const struct leg_source *src = microphone(v->leg);
	const struct rtp_recv *r = src ? &src->recv : NULL;
	uint64_t expected, came, missing, bytes, repaired;

	if (!r || !src->ssrc || !r->highest)
		return false;
	if (v->up.rests)
		voice_heard(&v->up.ctl, now_us);
	expected = r->highest - r->base + 1;
	bytes = r->bytes + src->red_bytes;
	/* What came only because it was asked for was lost. */
	repaired = src->repaired + r->answered;
	if (!v->up.judged || expected < v->up.expected) { /* its numbers began anew */
		v->up.judged = true;
	} else {
		came = r->received - v->up.received - (repaired - v->up.repaired);
		missing = expected - v->up.expected;
		missing = missing > came ? missing - came : 0;
		if (came + missing)
			voice_sent(&v->up.ctl, now_us, (unsigned)(came + missing),
				   (unsigned)(bytes - v->up.bytes +
					      came * WIRE_VOICE_BYTES));
		if (missing)
			voice_lost(&v->up.ctl, now_us, (unsigned)missing);
	}
	v->up.expected = expected;
	v->up.received = r->received;
	v->up.repaired = repaired;
	v->up.bytes = bytes;
	return voice_run(&v->up.ctl, now_us, &v->up.choice);
}

/* Whose voice is in the slot as they send it, NULL if it is made or nobody's. */
static const struct leg *speaker(const struct leg *leg, unsigned slot)
{
	struct relay_stream *st =
		leg->plan.slots[slot].sec.audio ? relay_port_slot(leg->port, slot) : NULL;
	const struct leg_source *src = st ? relay_stream_owner(st) : NULL;

	return src ? src->leg : NULL;
}

static void longest(const struct leg *from, unsigned *ms)
{
	if (from && from->control && from->control->up.choice.jitter_ms > *ms)
		*ms = from->control->up.choice.jitter_ms;
}

/* What a speaker's own link loses comes late to whoever hears it as it is sent; and may be heard so at any time by who
 * hears it in the mix now. */
static unsigned repaired_ms(const struct leg *leg)
{
	unsigned most = 0;

	for (unsigned i = 0; i < leg->plan.slot_count; i++)
		longest(speaker(leg, i), &most);
	for (unsigned i = 0; leg->mixer && i < MIX_VOICES; i++)
		longest(leg_mixer_speaker(leg, i), &most);
	return most;
}

/* Each change moves the listener's clock: less only when more has not been needed for long. */
static bool choose_jitter(struct control *v, uint64_t now_us)
{
	unsigned ms = v->choice.jitter_ms + repaired_ms(v->leg);

	if (ms >= v->jitter_ms)
		v->jitter_us = now_us;
	if (ms == v->jitter_ms ||
	    (ms < v->jitter_ms && now_us < v->jitter_us + JITTER_HOLD_US))
		return false;
	v->jitter_ms = (uint16_t)ms;
	return true;
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct control *v = CONTAINER_OF(t, struct control, timer);
	struct leg *leg = v->leg;
	bool changed;

	wheel_arm(leg->all->wheel, t, now_us + RUN_US);
	if (leg->link != LEG_UP)
		return;
	if (leg->sent.packets != v->packets)
		voice_sent(&v->ctl, now_us, (unsigned)(leg->sent.packets - v->packets),
			   (unsigned)(leg->sent.bytes - v->bytes));
	v->packets = leg->sent.packets;
	v->bytes = leg->sent.bytes;
	if (!v->rtt_known && conn_rtt_us(leg->conn)) { /* before the first report */
		v->rtt_known = true;
		voice_rtt(&v->ctl, conn_rtt_us(leg->conn));
		voice_rtt(&v->up.ctl, conn_rtt_us(leg->conn));
	}
	changed = voice_run(&v->ctl, now_us, &v->choice);
	changed |= choose_lanes(v, now_us);
	changed |= choose_jitter(v, now_us);
	v->loss_q8 = (uint8_t)voice_loss_q8(&v->ctl, now_us);
	conn_lossy(leg->conn, v->loss_q8 >= LOSS_TWICE_Q8);
	if (changed)
		apply(v, now_us);
	if (judge_up(v, now_us))
		leg->all->ops->changed(leg->all->arg, leg);
}

/* ---- evidence ---------------------------------------------------------------------- */

void leg_control_heard(struct leg *leg, uint64_t now_us)
{
	leg_video_heard(leg, now_us);
	if (!leg->control)
		return;
	voice_heard(&leg->control->ctl, now_us);
	voice_heard(&leg->control->up.ctl, now_us);
}

/* When its last sample was said is when it was sent: a microphone's clock does not wait. */
void leg_control_arrived(const struct leg_source *src, const struct pkt *p,
			 uint64_t now_us)
{
	struct control *v = src->leg->control;
	uint64_t said;

	if (!v || src->plan->kind != STREAM_MIC)
		return;
	v->up.rests = p->rtp.payload_len <= OPUS_REST_BYTES;
	said = p->rtp.ts64 + p->rtp.frame.samples;
	voice_sample(&v->up.ctl, now_us, said / 48 * 1000, (int64_t)p->arrival_us);
}

void leg_control_asked(struct leg *leg, unsigned slot, const uint16_t *seqs,
		       unsigned count)
{
	struct asked *a = leg->control ? &leg->control->asked[slot] : NULL;

	for (unsigned i = 0; a && i < count; i++) {
		uint16_t ahead = (uint16_t)(seqs[i] - a->newest);
		uint16_t back = (uint16_t)-ahead;

		if (ahead && ahead < 0x8000) {
			a->asked = ahead < 64 ? a->asked << ahead : 0;
			a->lost = ahead < 64 ? a->lost << ahead : 0;
			a->newest = seqs[i];
			back = 0;
		}
		if (back < 64)
			a->asked |= UINT64_C(1) << back;
	}
}

void leg_control_late(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us)
{
	struct asked *a = leg->control ? &leg->control->asked[slot] : NULL;

	if (a)
		a->late[a->late_count++ % LATE_KEPT] =
			(struct late) { (uint32_t)(now_us / 1000), seq };
}

bool leg_control_crossed(const struct leg *leg, unsigned slot, uint16_t seq,
			 uint64_t now_us)
{
	const struct control *v = leg->control;
	uint64_t way_ms = v ? v->ctl.rtt_us / 1000 * 15 / 16 : 0;

	for (unsigned i = 0; v && i < LATE_KEPT; i++) {
		const struct late *l = &v->asked[slot].late[i];

		if (l->at_ms && l->seq == seq &&
		    (uint32_t)(now_us / 1000) - l->at_ms < way_ms)
			return true;
	}
	return false;
}

/* RED: a later packet that is not missing has brought it. */
static bool is_covered(const struct leg *leg, const struct asked *a, uint16_t seq)
{
	for (unsigned i = 1; i <= leg->mix_at.red; i++) {
		uint16_t back = (uint16_t)(a->newest - (uint16_t)(seq + i));

		if (back >= 64 || !(a->asked >> back & 1))
			return true;
	}
	return false;
}

unsigned leg_control_repeats(struct leg *leg, unsigned slot, uint16_t seq,
			     uint64_t now_us)
{
	struct control *v = leg->control;

	if (!v || !leg->plan.slots[slot].sec.audio)
		return 1;
	if (is_covered(leg, &v->asked[slot], seq) || !v->choice.nacks)
		return 0;
	return voice_loss_q8(&v->ctl, now_us) >= LOSS_TWICE_Q8 ? 2 : 1;
}

/* A number that is asked for again is not lost twice. */
bool leg_control_lost(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us)
{
	struct control *v = leg->control;
	struct asked *a = v ? &v->asked[slot] : NULL;
	uint16_t back;

	if (!v || !leg->plan.slots[slot].sec.audio)
		return false;
	back = (uint16_t)(a->newest - seq);
	if (back >= 64 || a->lost >> back & 1)
		return false;
	a->lost |= UINT64_C(1) << back;
	voice_lost(&v->ctl, now_us, 1);
	return true;
}

void leg_control_burst(struct leg *leg, unsigned packets)
{
	if (leg->control)
		voice_burst(&leg->control->ctl, packets);
}

/* What a receiver misses of a slot that its speaker's link has lost before. */
static unsigned lost_before_q8(const struct leg *leg, unsigned slot, uint64_t now_us)
{
	const struct leg *from = speaker(leg, slot);

	return from && from->control ? voice_loss_q8(&from->control->up.ctl, now_us) : 0;
}

void leg_control_report(struct leg *leg, const struct rtcp_block *b, uint64_t now_us)
{
	struct control *v = leg->control;
	unsigned before_q8, lost_q8, copied[VOICE_COPIES + 1];

	for (unsigned i = 0; v && i < leg->plan.slot_count; i++) {
		struct leg_slot *slot = &leg->slots[i];

		if (slot->plan->ssrc != b->ssrc || !slot->plan->sec.audio)
			continue;
		before_q8 = lost_before_q8(leg, i, now_us);
		lost_q8 = b->fraction_lost > before_q8 ? b->fraction_lost - before_q8 : 0;
		if (v->ctl.params.copies) {
			leg_again_take(leg, i, copied);
			voice_report_copied(&v->ctl, now_us, lost_q8, copied);
		} else {
			voice_report(&v->ctl, now_us, lost_q8);
		}
		/* RFC 3550 §6.4.1, without our wall clock: when that report of ours went out. */
		if (b->lsr && b->lsr == slot->sr_mid_ntp) {
			uint64_t held_us = (uint64_t)b->dlsr * 1000000 / 65536;
			uint64_t since_us = now_us - slot->sr_sent_us;

			if (since_us <= held_us)
				continue;
			v->rtt_known = true;
			voice_rtt(&v->ctl, since_us - held_us);
			voice_rtt(&v->up.ctl, since_us - held_us);
		}
	}
}

void leg_control_feedback(struct leg *leg, const struct rtcp_pkt *r, uint64_t now_us)
{
	struct control *v = leg->control;
	struct twcc_status status;
	struct twcc_iter it;
	uint64_t sent_us;

	if (!leg->measure)
		return;
	if (twcc_iter_init(&it, r)) {
		STAT_INC(rtcp_bad);
		return;
	}
	while (twcc_next(&it, &status)) {
		if (!leg_measure_sent(leg, status.seq, &sent_us))
			continue;
		leg_video_measured(leg, &status, sent_us, now_us);
		if (v && status.received)
			voice_sample(&v->ctl, now_us, sent_us, status.arrival_us);
	}
}

/* ---- life -------------------------------------------------------------------------- */

static bool agreed(const struct leg *leg, bool *red)
{
	for (unsigned i = 0; i < leg->plan.slot_count; i++) {
		const struct nego_section *sec = &leg->plan.slots[i].sec;

		if (!sec->audio || !sec->codec_count)
			continue;
		*red = sec->codecs[0].red_pt;
		return sec->codecs[0].nack;
	}
	return *red = false;
}

/* Chromium puts one earlier packet in each. */
static uint8_t up_red(const struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		if (leg->plan.sources[i].kind == STREAM_MIC)
			return leg->plan.sources[i].sec.codecs[0].red_pt != 0;
	return 0;
}

void leg_follow_end(struct leg *leg, uint64_t now_us)
{
	struct control *v = leg->control;

	(void)now_us;
	if (!v)
		return;
	wheel_disarm(leg->all->wheel, &v->timer);
	leg->control = NULL;
	free(v);
	leg_measure_every(leg, MEASURE_IDLE_MS);
	leg_again_copies(leg, 0);
}

static struct control *control_get(struct leg *leg, unsigned rung, uint64_t now_us)
{
	struct control *v = leg->control;
	struct voice_params params = { .overhead = WIRE_VOICE_BYTES,
				       .rung = (uint8_t)rung };
	bool red;

	if (v)
		return v;
	v = calloc(1, sizeof *v);
	if (!v)
		return NULL;
	params.nack = agreed(leg, &red);
	params.copies = !params.nack && !red;
	params.red_max = red || params.copies ? RED_DEPTH : 0;
	v->leg = leg;
	v->timer.fn = on_timer;
	v->lanes_wait_us = LANES_WAIT_US;
	v->packets = leg->sent.packets;
	v->bytes = leg->sent.bytes;
	voice_init(&v->ctl, &params, now_us);
	v->choice.rung = params.rung;
	params.copies = false;
	params.page = true;
	params.red_max = up_red(leg);
	params.rung = BEGIN_RUNG;
	voice_init(&v->up.ctl, &params, now_us);
	v->up.choice.rung = params.rung;
	leg->control = v;
	wheel_arm(leg->all->wheel, &v->timer, now_us + RUN_US);
	return v;
}

int leg_control_follow(struct leg *leg, unsigned rung, unsigned low, unsigned high,
		       uint64_t now_us)
{
	bool begins = !leg->control;
	struct control *v = control_get(leg, rung, now_us);

	if (!v)
		return -1;
	/* What pictures have made of the link's queue is over then. */
	if (begins && leg_video_withheld(leg))
		voice_deaf(&v->ctl, now_us + conn_rtt_us(leg->conn) + PICTURES_US);
	v->pinned = low == high;
	voice_limit(&v->ctl, now_us, low, high);
	voice_limit(&v->up.ctl, now_us, low, high);
	(void)voice_run(&v->ctl, now_us, &v->choice);
	(void)voice_run(&v->up.ctl, now_us, &v->up.choice);
	(void)choose_lanes(v, now_us);
	apply(v, now_us);
	return 0;
}

int leg_follow(struct leg *leg, unsigned low, unsigned high, uint64_t now_us)
{
	leg_video_chosen(leg);
	return leg_control_follow(leg, BEGIN_RUNG, low, high, now_us);
}

bool leg_control_calm(const struct leg *leg)
{
	return leg->control && (leg->control->pinned || leg->control->top_us);
}

struct leg_voice_state leg_voice_get(const struct leg *leg)
{
	const struct control *v = leg->control;
	struct leg_voice_state s = { .rung = LEG_LANES,
				     .no_pictures = leg_video_withheld(leg) };

	if (leg->mixer)
		s.rung = (int8_t)leg->mix_to.rung;
	s.red = leg->mix_to.red;
	if (leg_again_get(leg))
		s.red = (uint8_t)leg_again_get(leg);
	if (v) {
		s.following = true;
		s.up_rung = v->up.choice.rung;
		s.up_red = v->up.choice.red > 0;
		s.jitter_ms = v->jitter_ms;
		s.loss_q8 = (uint8_t)v->loss_q8;
	}
	return s;
}
