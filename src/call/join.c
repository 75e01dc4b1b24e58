/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Joining: offer → plan → person → leg on the worker → answer. The answer leaves only
 * after the worker said that the leg exists, or the browser's first check would beat it.
 * Everything that can be refused is refused before anybody in the room hears of the
 * newcomer.
 */
#include "call_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int negotiate(struct call *c, const struct join_request *rq,
		     struct nego_plan *plan, struct text *answer, struct refusal *why)
{
	char ufrag[WORKER_UFRAG_BYTES + 1], pwd[WORKER_PWD_BYTES + 1], words[160] = "";
	struct nego_candidate candidates[NEGO_CANDIDATES_MAX];
	struct nego_policy policy = {
		.audio_slots_max = NEGO_AUDIO_SLOTS_MAX,
		.video_slots_max = (unsigned)c->all->conf->media.video_slots_max,
		.local_ufrag = ufrag,
		.local_pwd = pwd,
		.fingerprint = c->all->cert->fingerprint,
		.candidates = candidates,
		.whip = rq->whip,
	};
	struct arena *arena = arena_create(SDP_BYTES_MAX * 4);
	const char *bad = "not enough memory";
	int err = -ENOMEM, status = 400;
	struct sdp *sdp;

	worker_credentials(c->worker, ufrag, pwd);
	policy.candidate_count = candidates_list(
		c->all, (unsigned)worker_of_ufrag(ufrag, 1), rq->loopback, candidates);
	for (unsigned k = 0; k < STREAM_KINDS; k++) {
		/* Of everybody, since a listener may be called, and there is no second
		 * negotiation: what is forwarded the room decides. */
		policy.may_send[k] = true;
		policy.kind_mids[k] = rq->kind_mids[k];
	}
	if (arena)
		err = sdp_parse(arena, rq->offer, rq->offer_len, &sdp, &bad);
	if (!err) {
		err = nego_answer(sdp, &policy, plan, answer, words, sizeof words);
		bad = words;
		if (rq->whip) /* RFC 9725 §4.4.3 */
			status = 422;
	}
	if (err)
		refuse(why, status, "bad-offer", "The offer cannot be used: %s.", bad);
	if (arena)
		arena_destroy(arena);
	return err;
}

static struct entry entry_of(const struct join_request *rq)
{
	return (struct entry) { .id = rq->id,
				.name = rq->name,
				.role = rq->role,
				.key = rq->key,
				.admitted = rq->admitted };
}

/* Before anything is begun. A publisher cannot wait: nobody would tell it to go on. */
static int check_entry(struct call *c, const struct join_request *rq, bool *waits,
		       struct refusal *why)
{
	struct entry e = entry_of(rq);
	enum deny deny = room_may_enter(c->room, &e, waits);

	if (!deny && *waits && rq->whip)
		deny = DENY_WAITING;
	if (deny)
		refusal_of_deny(why, deny);
	else if (!*waits && !rq->offer)
		refuse(why, 400, "bad-offer",
		       "The request has no offer (SDP of at most 128 KB).");
	else
		return 0;
	return -EACCES;
}

static int person_get(struct call *c, const struct join_request *rq, bool waits,
		      struct seat **out, struct refusal *why)
{
	struct entry e = entry_of(rq);
	struct person *p = NULL;
	int err = waits ? room_wait(c->room, &e, clock_now_us(), &p)
			: room_enter(c->room, &e, clock_now_us(), &p);

	if (!err) {
		*out = p->user;
		if (*out)
			return 0;
		room_leave(c->room, p, LEAVE_EXPIRED);
		err = -ENOMEM;
	}
	if (err == -ENOSPC)
		refuse(why, 503, "room-full",
		       "This room is full (%lld people). Try again when somebody has "
		       "left.",
		       (long long)c->all->conf->room.people_max);
	else if (err == -EACCES)
		refuse(why, 403, "gone",
		       "Your stay in this room has ended. Use the link to come back.");
	else
		refuse(why, 500, "internal", "The server has not enough memory.");
	return err;
}

static int pending_add(struct calls *cs, uint64_t leg, char *answer, join_done_fn fn,
		       void *arg)
{
	struct join_pending *j = calloc(1, sizeof *j);

	if (!j)
		return -ENOMEM;
	j->leg = leg;
	j->answer = answer;
	j->fn = fn;
	j->arg = arg;
	j->deadline_us = clock_now_us() + CALL_JOIN_DEADLINE_MS * 1000ULL;
	j->next = cs->pending;
	cs->pending = j;
	return 0;
}

/* Random, since who knows it may end the connection (whip.c) or restart its ICE. */
static uint64_t new_leg_id(struct calls *cs)
{
	uint64_t leg;

	do {
		random_bytes(&leg, sizeof leg);
	} while (!leg || call_seat_by_leg(cs, leg));
	return leg;
}

static int leg_start(struct call *c, struct seat *s, const struct nego_plan *plan,
		     struct refusal *why)
{
	uint64_t leg = new_leg_id(c->all);
	int err;

	seat_leg_close(s);
	err = seat_leg_set(s, leg, plan);
	if (!err) {
		err = worker_leg_create(c->worker, leg, c->id, s->person->number, plan);
		if (err)
			seat_leg_close(s);
	}
	if (err)
		refuse(why, 503, "internal",
		       "The server is busy; try again in a moment.");
	return err;
}

/* A publisher has switched on what it offers: there is nobody to say otherwise later. */
static void media_apply_whip(struct seat *s)
{
	for (unsigned i = 0; i < s->plan->source_count; i++)
		(void)call_media(s, s->plan->sources[i].kind, true);
}

static void media_apply(struct seat *s, const struct join_request *rq)
{
	for (unsigned k = 0; k < STREAM_KINDS; k++) {
		if (rq->media_given)
			(void)call_media(s, (enum stream_kind)k, rq->media[k]);
		else if (s->person->media[k])
			(void)call_media(s, (enum stream_kind)k, true);
	}
	if (s->view)
		seat_view_send(s);
	if (s->voice_rung != LEG_LANES)
		seat_voice_send(s);
}

void call_join(struct calls *cs, const struct join_request *rq, join_done_fn fn,
	       void *arg)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct text answer = { 0 };
	struct refusal why = { 500, "internal", "The server has not enough memory." };
	struct call *c = plan ? call_get(cs, rq->room, &why) : NULL;
	struct seat *s = NULL;
	bool waits = false;
	int err = -ENOMEM;

	if (!c)
		goto out;
	err = check_entry(c, rq, &waits, &why);
	if (!err && !waits)
		err = negotiate(c, rq, plan, &answer, &why);
	if (!err)
		err = person_get(c, rq, waits, &s, &why);
	if (!err && waits) {
		fn(arg, s, NULL, NULL);
		goto out;
	}
	if (!err)
		err = leg_start(c, s, plan, &why);
	if (!err) {
		s->whip = rq->whip;
		err = pending_add(cs, s->leg, answer.s, fn, arg);
		if (err)
			seat_leg_close(s);
	}
	if (!err && rq->whip)
		media_apply_whip(s);
	else if (!err)
		media_apply(s, rq);
out:
	if (err) {
		text_free(&answer);
		if (s && !rq->id) /* a newcomer who didn't get in was never there */
			call_leave(s, LEAVE_LEFT);
		else if (c)
			call_drop_if_empty(c, clock_now_us());
		fn(arg, NULL, NULL, &why);
	}
	free(plan);
}

static void finish(struct calls *cs, struct join_pending *j, int error)
{
	struct seat *s = call_seat_by_leg(cs, j->leg);
	struct refusal why;

	if (!error && s) {
		if (j->fn)
			j->fn(j->arg, s, j->answer, NULL);
	} else {
		refuse(&why, 503, "internal",
		       "The server is busy; try again in a moment.");
		if (s)
			seat_leg_close(s);
		if (j->fn)
			j->fn(j->arg, NULL, NULL, &why);
	}
	free(j->answer);
	free(j);
}

void join_created(struct calls *cs, uint64_t leg, int error)
{
	for (struct join_pending **p = &cs->pending; *p; p = &(*p)->next) {
		struct join_pending *j = *p;

		if (j->leg != leg)
			continue;
		*p = j->next;
		finish(cs, j, error);
		return;
	}
}

void join_expire(struct calls *cs, uint64_t now_us)
{
	struct join_pending **p = &cs->pending;

	while (*p) {
		struct join_pending *j = *p;

		if (now_us < j->deadline_us) {
			p = &j->next;
			continue;
		}
		*p = j->next;
		finish(cs, j, -ETIME);
	}
}

void call_join_forget(struct calls *cs, void *arg)
{
	for (struct join_pending *j = cs->pending; j; j = j->next)
		if (j->arg == arg)
			j->fn = NULL;
}
