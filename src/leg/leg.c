/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A leg's life, and its state as the owner sees it. Invariant: a leg is in its relay room
 * exactly from leg_create to leg_close; whether packets flow is the port's suspended
 * flag, which follows the connection's state.
 */
#include "leg_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct legs *legs_create(struct transport *t, struct tx *tx, struct relay *relay,
			 struct wheel *wheel, struct pkt_pool *pool,
			 const struct leg_ops *ops, void *arg)
{
	struct legs *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->transport = t;
	l->tx = tx;
	l->relay = relay;
	l->wheel = wheel;
	l->pool = pool;
	l->ops = ops;
	l->arg = arg;
	return l;
}

void legs_destroy(struct legs *l)
{
	free(l);
}

static void on_conn_state(void *arg, enum conn_state state, uint64_t now_us)
{
	struct leg *leg = arg;
	enum leg_link link = leg->link;

	switch (state) {
	case CONN_NEW:
	case CONN_CHECKED:
		return;
	case CONN_UP:
		link = LEG_UP;
		break;
	case CONN_SUSPENDED:
		link = LEG_SUSPENDED;
		break;
	case CONN_FAILED:
		link = LEG_GONE;
		break;
	}
	if (link == leg->link)
		return;
	leg->link = link;
	relay_port_suspend(leg->port, link != LEG_UP, now_us);
	if (link == LEG_UP)
		leg_report_soon(leg, now_us);
	leg->all->ops->changed(leg->all->arg, leg);
}

static void on_conn_moved(void *arg, uint64_t now_us)
{
	struct leg *leg = arg;
	char text[ADDR_TEXT_MAX];

	(void)now_us;
	log_debug("leg.moved", "port=%u to=%s", leg->port_id,
		  addr_text(&conn_flow(leg->conn)->peer, text));
}

static const struct conn_ops conn_ops = { .on_state = on_conn_state,
					  .on_moved = on_conn_moved };

static int slots_init(struct leg *leg)
{
	unsigned count = leg->plan.slot_count;

	leg->slots = calloc(count ? count : 1, sizeof *leg->slots);
	if (!leg->slots)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		struct leg_slot *s = &leg->slots[i];
		bool audio = leg->plan.slots[i].sec.audio;

		s->plan = &leg->plan.slots[i];
		rtp_slot_init(&s->rtp, s->plan->ssrc, s->plan->rtx_ssrc,
			      audio ? 48000 : 90000, audio);
		seal_stream_init(&s->seal, s->plan->ssrc);
		seal_stream_init(&s->seal_rtx, s->plan->rtx_ssrc);
		if (seal_stream_reserve(&s->seal,
					audio ? SEAL_WINDOW_AUDIO : SEAL_WINDOW_VIDEO) ||
		    (s->plan->rtx_ssrc &&
		     seal_stream_reserve(&s->seal_rtx, SEAL_WINDOW_RTX)))
			return -ENOMEM;
	}
	return 0;
}

static void leg_destroy(void *obj)
{
	struct leg *leg = obj;

	for (unsigned i = 0; leg->slots && i < leg->plan.slot_count; i++) {
		seal_stream_fini(&leg->slots[i].seal);
		seal_stream_fini(&leg->slots[i].seal_rtx);
	}
	leg_measure_fini(leg);
	leg_again_fini(leg);
	leg_arrivals_fini(leg);
	leg_video_fini(leg);
	free(leg->slots);
	mem_unref(leg->conn);
}

static void exts_merge(struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		for (unsigned id = 1; id < ARRAY_LEN(leg->exts.of_id); id++)
			if (leg->plan.sources[i].sec.exts.of_id[id])
				leg->exts.of_id[id] =
					leg->plan.sources[i].sec.exts.of_id[id];
}

static void ssrcs_preset(struct leg *leg)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++) {
		const struct nego_source *s = &leg->plan.sources[i];

		if (s->ssrc && leg->ssrc_count < SSRCS_MAX)
			leg->ssrcs[leg->ssrc_count++] =
				(struct leg_ssrc) { s->ssrc, (uint8_t)i, 0, false };
		if (s->rtx_ssrc && leg->ssrc_count < SSRCS_MAX)
			leg->ssrcs[leg->ssrc_count++] =
				(struct leg_ssrc) { s->rtx_ssrc, (uint8_t)i, 0, true };
	}
}

/* A tag of 10 bytes instead of 16: 0.4 kbit/s of 11. */
static bool voice_only(const struct nego_plan *plan)
{
	for (unsigned i = 0; i < plan->source_count; i++)
		if (!plan->sources[i].sec.audio)
			return false;
	for (unsigned i = 0; i < plan->slot_count; i++)
		if (!plan->slots[i].sec.audio)
			return false;
	return true;
}

static struct conn *connect_leg(struct leg *leg, uint64_t now_us)
{
	const struct nego_plan *plan = &leg->plan;
	struct conn_params params = {
		.local_ufrag = plan->local_ufrag,
		.local_pwd = plan->local_pwd,
		.remote_ufrag = plan->remote_ufrag,
		.remote_pwd = plan->remote_pwd,
		.dtls_client = plan->dtls_client,
		.prefer_sha1 = voice_only(plan),
		.ops = &conn_ops,
		.arg = leg,
	};

	memcpy(params.remote_fingerprint, plan->remote_fingerprint,
	       sizeof params.remote_fingerprint);
	return conn_create(leg->all->transport, &params, now_us);
}

int leg_create(struct leg **out, struct legs *l, struct relay_room *room, uint32_t port,
	       const struct nego_plan *plan, void *user, uint64_t now_us)
{
	struct leg *leg = mem_create(sizeof *leg, leg_destroy);
	unsigned audio = 0;
	int err = -ENOMEM;

	if (!leg)
		return -ENOMEM;
	leg->all = l;
	leg->user = user;
	leg->room = room;
	leg->port_id = port;
	leg->plan = *plan;
	leg->ssrc = random_u32();
	exts_merge(leg);
	ssrcs_preset(leg);
	if (slots_init(leg) || leg_measure_init(leg) || leg_again_init(leg) ||
	    leg_video_init(leg, now_us))
		goto out;
	for (unsigned i = 0; i < plan->slot_count; i++)
		audio += plan->slots[i].sec.audio;
	leg->conn = connect_leg(leg, now_us);
	if (!leg->conn)
		goto out;
	leg->port = relay_port_create(room, port, audio, plan->slot_count - audio, leg);
	if (!leg->port) {
		conn_close(leg->conn, now_us);
		goto out;
	}
	relay_port_suspend(leg->port, true, now_us);
	leg_feedback_init(leg, now_us);
	*out = leg;
	return 0;
out:
	mem_unref(leg);
	return err;
}

void leg_close(struct leg *leg, uint64_t now_us)
{
	leg_send_bye(leg);
	leg_video_stop(leg);
	leg_follow_end(leg, now_us);
	leg_again_stop(leg);
	leg_voice_end(leg, now_us); /* before its timers go: a slot falls idle */
	leg_made_forget(leg);
	leg_feedback_fini(leg);
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		leg_source_destroy(leg, i, now_us);
	relay_port_destroy(leg->port, now_us);
	conn_close(leg->conn, now_us);
	mem_unref(leg);
}

void leg_view(struct leg *leg, bool automatic, const struct relay_view *view,
	      unsigned count, uint64_t now_us)
{
	relay_port_view(leg->port, automatic, view, count, now_us);
}

void leg_restart(struct leg *leg, const char *local_ufrag, const char *local_pwd,
		 const char *remote_ufrag, const char *remote_pwd, uint64_t now_us)
{
	conn_restart(leg->conn, local_ufrag, local_pwd, remote_ufrag, remote_pwd, now_us);
}

void *leg_user(const struct leg *leg)
{
	return leg->user;
}

enum leg_link leg_link_get(const struct leg *leg)
{
	return leg->link;
}

unsigned leg_slot_count(const struct leg *leg)
{
	return leg->plan.slot_count;
}

struct leg_slot_state leg_slot_get(const struct leg *leg, unsigned slot)
{
	return leg->slots[slot].state;
}

bool leg_paused_get(const struct leg *leg, enum stream_kind kind)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		if (leg->plan.sources[i].kind == kind && leg->sources[i])
			return leg->sources[i]->on && !leg->sources[i]->wanted;
	return false;
}

unsigned leg_layers_get(const struct leg *leg, enum stream_kind kind)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++)
		if (leg->plan.sources[i].kind == kind && leg->sources[i])
			return relay_stream_demand(leg->sources[i]->stream);
	return 0;
}

struct relay_port *leg_port(const struct leg *leg)
{
	return leg->port;
}

struct conn *leg_conn(const struct leg *leg)
{
	return leg->conn;
}
