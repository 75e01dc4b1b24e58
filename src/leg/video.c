/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Do others' pictures go to this leg? For legs with places for them. What its sound meets on the way (its
 * measured packets, reports) goes to cc's video_ctl. While pictures are withheld the relay leaves their
 * places empty, nothing of them is sent again, and the voices follow the link as those of a leg without
 * video do, unless the person has chosen how they come. An estimate of the link will take the place of
 * video_ctl; what it has to do then is in turn().
 *
 * The timer runs while there is something to decide: nobody is woken for a leg that gets nothing.
 */
#include "leg_private.h"

#include <palabre/cc.h>

#include <stdlib.h>

/* To begin with, where pictures were too much: 8 kbit/s in long packets; and 12 where the link has borne more
 * before they were tried. */
enum { THIN_RUNG = 1, TRIED_RUNG = 3 };
enum { SPEECH_BYTES = 250 }; /* at least, between two runs: of 8 kbit/s */

struct video {
	struct leg *leg;
	struct video_ctl ctl;
	struct timer timer;
	bool chosen;	/* how the voices come */
	uint64_t bytes; /* of leg->sent, when looked at last */
};

static void turn(struct video *v, uint64_t now_us)
{
	struct leg *leg = v->leg;

	if (!v->ctl.on)
		STAT_INC(video_off);
	log_debug("leg.video", "port=%u on=%d", leg->port_id, v->ctl.on);
	relay_port_pictures(leg->port, v->ctl.on, now_us);
	if (!v->chosen && leg_lanes(leg, now_us))
		STAT_INC(mix_fail);
	leg->all->ops->changed(leg->all->arg, leg);
}

/* While somebody speaks: what a pause sends is too little to fill a probe. */
static void probe(struct video *v, uint64_t now_us)
{
	struct leg *leg = v->leg;
	bool speech = leg->sent.bytes - v->bytes >= SPEECH_BYTES;

	v->bytes = leg->sent.bytes;
	if (speech && video_asks(&v->ctl, now_us) &&
	    leg_resend_probe(leg, VIDEO_PROBE_BYTES, now_us))
		video_probe(&v->ctl, now_us);
}

static void on_timer(struct timer *t, uint64_t now_us)
{
	struct video *v = CONTAINER_OF(t, struct video, timer);
	struct leg *leg = v->leg;

	if (leg->link != LEG_UP || video_rests(&v->ctl))
		return;
	wheel_arm(leg->all->wheel, t, now_us + VIDEO_RUN_US);
	video_rtt(&v->ctl, conn_rtt_us(leg->conn));
	if (video_run(&v->ctl, now_us, leg_control_calm(leg)))
		turn(v, now_us);
	leg_measure_often(leg, v->ctl.measure);
	probe(v, now_us);
}

int leg_video_init(struct leg *leg, uint64_t now_us)
{
	const struct nego_plan *plan = &leg->plan;

	if (!plan->slot_count || plan->slots[plan->slot_count - 1].sec.audio)
		return 0;
	leg->video = calloc(1, sizeof *leg->video);
	if (!leg->video)
		return -1;
	leg->video->leg = leg;
	leg->video->timer.fn = on_timer;
	video_init(&leg->video->ctl, !leg->measure, now_us);
	return 0;
}

void leg_video_stop(struct leg *leg)
{
	if (leg->video)
		wheel_disarm(leg->all->wheel, &leg->video->timer);
}

void leg_video_fini(struct leg *leg)
{
	free(leg->video);
}

bool leg_video_withheld(const struct leg *leg)
{
	return leg->video && !leg->video->ctl.on;
}

int leg_lanes(struct leg *leg, uint64_t now_us)
{
	if (leg->video)
		leg->video->chosen = false;
	if (leg_video_withheld(leg))
		return leg_control_follow(leg,
					  leg->video->ctl.failed ? TRIED_RUNG : THIN_RUNG,
					  VOICE_FLOOR, VOICE_TOP, now_us);
	leg_follow_end(leg, now_us);
	return leg_voice(leg, LEG_LANES, 0, now_us);
}

void leg_video_chosen(struct leg *leg)
{
	if (leg->video)
		leg->video->chosen = true;
}

/* ---- evidence ---------------------------------------------------------------------- */

static void wake(struct video *v, uint64_t now_us)
{
	if (!v->timer.due_us)
		wheel_arm(v->leg->all->wheel, &v->timer, now_us + VIDEO_RUN_US);
}

void leg_video_sent(struct leg *leg, uint64_t now_us)
{
	if (!leg->video)
		return;
	video_sent(&leg->video->ctl, now_us);
	wake(leg->video, now_us);
}

void leg_video_heard(struct leg *leg, uint64_t now_us)
{
	if (leg->video)
		video_heard(&leg->video->ctl, now_us);
}

void leg_video_measured(struct leg *leg, const struct twcc_status *status,
			uint64_t sent_us, uint64_t now_us)
{
	if (!leg->video)
		return;
	if (status->received)
		video_sample(&leg->video->ctl, now_us, sent_us, status->arrival_us);
	else
		video_lost(&leg->video->ctl, now_us);
}

void leg_video_report(struct leg *leg, const struct rtcp_block *b, uint64_t now_us)
{
	for (unsigned i = 0; leg->video && i < leg->plan.slot_count; i++) {
		if (leg->slots[i].plan->ssrc != b->ssrc ||
		    (leg->measure && leg->plan.slots[i].sec.audio))
			continue;
		video_report(&leg->video->ctl, b->fraction_lost);
		wake(leg->video, now_us);
	}
}
