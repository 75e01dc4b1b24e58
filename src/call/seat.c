/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A person's place: at most one leg, and what it shows. Invariant: s->leg != 0 exactly
 * while the leg table knows it; closing is a command that may be late, so events for
 * unknown legs are ignored.
 */
#include "call_private.h"

#include <palabre/cc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct leg_entry *entry_find(struct calls *cs, uint64_t leg)
{
	for (struct hash_node *n = hash_find(cs->legs, leg); n; n = hash_next(n)) {
		struct leg_entry *e = CONTAINER_OF(n, struct leg_entry, node);

		if (e->leg == leg)
			return e;
	}
	return NULL;
}

struct seat *call_seat_by_leg(struct calls *cs, uint64_t leg)
{
	struct leg_entry *e = leg ? entry_find(cs, leg) : NULL;

	return e ? e->seat : NULL;
}

void seat_leg_close(struct seat *s)
{
	struct calls *cs = s->call->all;
	struct leg_entry *e = s->leg ? entry_find(cs, s->leg) : NULL;

	if (!e)
		return;
	if (worker_leg_close(s->call->worker, s->leg))
		log_warn("call.busy", "worker=full leg=%llu", (unsigned long long)s->leg);
	hash_remove(cs->legs, &e->node);
	free(e);
	free(s->plan);
	s->plan = NULL;
	s->leg = 0;
	s->slot_count = 0;
	s->link = LEG_GONE;
	memset(s->pauses, 0, sizeof s->pauses);
	memset(s->forwarded, 0, sizeof s->forwarded);
}

int seat_leg_set(struct seat *s, uint64_t leg, const struct nego_plan *plan)
{
	struct leg_entry *e = calloc(1, sizeof *e);

	s->plan = malloc(sizeof *s->plan);
	if (!e || !s->plan) {
		free(e);
		free(s->plan);
		s->plan = NULL;
		return -ENOMEM;
	}
	*s->plan = *plan;
	e->leg = leg;
	e->seat = s;
	hash_insert(s->call->all->legs, &e->node, leg);
	s->leg = leg;
	s->link = LEG_CONNECTING;
	s->voice = (struct leg_voice_state) { .rung = LEG_LANES };
	s->voice_known = false;
	s->slot_count = plan->slot_count;
	for (unsigned i = 0; i < plan->slot_count; i++) {
		memcpy(s->slots[i].mid, plan->slots[i].sec.mid, sizeof s->slots[i].mid);
		s->slots[i].audio = plan->slots[i].sec.audio;
		s->slots[i].stream = 0;
		s->slots[i].ts = 0;
		s->slots[i].at_ms = 0;
	}
	return 0;
}

void seat_media_send(struct seat *s)
{
	for (unsigned k = 0; k < STREAM_KINDS && s->leg; k++) {
		bool on = s->person->media[k];

		if (s->forwarded[k] == on)
			continue;
		if (worker_leg_media(s->call->worker, s->leg, (enum stream_kind)k, on)) {
			log_warn("call.busy", "worker=full leg=%llu",
				 (unsigned long long)s->leg);
			s->call->media_due = true;
			return;
		}
		s->forwarded[k] = on;
	}
}

enum deny call_media(struct seat *s, enum stream_kind kind, bool on)
{
	enum deny why = room_set_media(s->call->room, s->person, kind, on);

	seat_media_send(s); /* also of a new leg, when nothing has changed */
	return why;
}

enum deny call_act(struct seat *s, const struct act *a)
{
	return room_act(s->call->room, s->person, a, clock_now_us());
}

void call_attend(struct seat *s, bool here)
{
	if (s->person->waiting)
		room_set_away(s->call->room, s->person, !here, clock_now_us());
}

bool seat_views(const struct seat *s, const struct person *p)
{
	for (unsigned i = 0; i < s->view_count; i++)
		if (!strcmp(s->view[i].person, p->id))
			return true;
	return false;
}

/* The view names people; the relay knows numbers. Who isn't here is left out, and the view sent
 * again when they come: after a restart of the server people come back one by one, and a page that
 * has seen nobody go does not ask again. */
void seat_view_send(struct seat *s)
{
	struct relay_view view[RELAY_VIEW_MAX];
	unsigned count = 0;

	if (!s->leg)
		return;
	for (unsigned i = 0; i < s->view_count && s->view; i++) {
		struct person *p = room_by_id(s->call->room, s->view[i].person);

		if (!p)
			continue;
		view[count].stream = leg_stream_id(p->number, s->view[i].kind);
		view[count].width = s->view[i].width;
		view[count++].height = s->view[i].height;
	}
	if (worker_leg_view(s->call->worker, s->leg, !s->view, view, count))
		log_warn("call.busy", "worker=full leg=%llu", (unsigned long long)s->leg);
}

void call_view(struct seat *s, bool automatic, const struct seat_view *view,
	       unsigned count)
{
	struct seat_view *copy = NULL;

	if (count > RELAY_VIEW_MAX)
		return;
	if (!automatic) {
		copy = calloc(count ? count : 1, sizeof *copy);
		if (!copy)
			return;
		for (unsigned i = 0; i < count; i++)
			copy[i] = view[i];
	}
	free(s->view);
	s->view = copy;
	s->view_count = automatic ? 0 : count;
	seat_view_send(s);
}

void seat_voice_send(struct seat *s)
{
	struct worker *w = s->call->worker;
	unsigned low = s->voice_rung < 0 ? VOICE_FLOOR : (unsigned)s->voice_rung;
	unsigned high = s->voice_rung < 0 ? VOICE_TOP : low;

	if (s->leg &&
	    (s->voice_rung == LEG_LANES ? worker_leg_voice(w, s->leg, LEG_LANES, 0)
					: worker_leg_follow(w, s->leg, low, high)))
		log_warn("call.busy", "worker=full leg=%llu", (unsigned long long)s->leg);
}

void call_voice(struct seat *s, int rung)
{
	s->voice_rung = rung;
	seat_voice_send(s);
}

bool call_names_talkers(const struct seat *s)
{
	return s->leg && s->voice.rung != LEG_LANES && s->slot_count &&
	       (s->voice.no_pictures || s->slots[s->slot_count - 1].audio);
}

void call_rename(struct seat *s, const char *name)
{
	room_set_name(s->call->room, s->person, name);
}

/* What we bring to an ICE restart. */
struct fresh {
	char ufrag[WORKER_UFRAG_BYTES + 1], pwd[WORKER_PWD_BYTES + 1];
	struct nego_candidate candidates[NEGO_CANDIDATES_MAX];
	struct nego_policy policy;
};

static void fresh_init(struct fresh *f, const struct seat *s, bool loopback)
{
	const struct calls *cs = s->call->all;

	worker_credentials(s->call->worker, f->ufrag, f->pwd);
	f->policy = (struct nego_policy) { .fingerprint = cs->cert->fingerprint,
					   .local_ufrag = f->ufrag,
					   .local_pwd = f->pwd,
					   .candidates = f->candidates };
	f->policy.candidate_count = candidates_list(
		cs, (unsigned)worker_of_ufrag(f->ufrag, 1), loopback, f->candidates);
}

/* `plan` holds both sides' new credentials. It becomes the seat's only if the worker will hear
 * of it, or the same offer again would be taken for one that is answered. */
static int restart(struct seat *s, const struct nego_plan *plan, struct refusal *why)
{
	if (!worker_leg_restart(s->call->worker, s->leg, plan->local_ufrag,
				plan->local_pwd, plan->remote_ufrag, plan->remote_pwd)) {
		*s->plan = *plan;
		return 0;
	}
	refuse(why, 503, "internal", "The server is busy; try again in a moment.");
	return -ENOBUFS;
}

int call_restart(struct seat *s, const char *offer, size_t len, bool loopback,
		 char **answer, struct refusal *why)
{
	struct arena *arena = arena_create(SDP_BYTES_MAX * 4);
	const char *bad = "not enough memory";
	struct nego_plan plan = *s->plan;
	struct text text = { 0 };
	char words[160] = "";
	struct fresh f;
	struct sdp *sdp;
	int err = -ENOMEM;

	fresh_init(&f, s, loopback);
	if (arena)
		err = sdp_parse(arena, offer, len, &sdp, &bad);
	if (!err) {
		err = nego_restart(sdp, &f.policy, &plan, &text, words, sizeof words);
		bad = words;
	}
	if (err)
		refuse(why, 400, "bad-offer", "The offer cannot be used: %s.", bad);
	/* An offer that comes again (its answer was lost) is no second restart. */
	else if (!strcmp(plan.local_ufrag, f.ufrag))
		err = restart(s, &plan, why);
	if (!err)
		*answer = text.s;
	else
		text_free(&text);
	if (arena)
		arena_destroy(arena);
	return err;
}

int call_restart_fragment(struct seat *s, const char *fragment, size_t len, bool loopback,
			  struct text *answer, struct refusal *why)
{
	char ufrag[SDP_TEXT_MAX + 1], pwd[SDP_TEXT_MAX + 1];
	struct nego_plan plan = *s->plan;
	struct fresh f;
	int err = nego_read_fragment(fragment, len, ufrag, pwd);

	if (err) {
		refuse(why, 400, "bad-offer",
		       "The fragment has no a=ice-ufrag and a=ice-pwd.");
		return err;
	}
	if (!strcmp(ufrag, plan.remote_ufrag))
		return 0;
	fresh_init(&f, s, loopback);
	memcpy(plan.local_ufrag, f.ufrag, sizeof f.ufrag);
	memcpy(plan.local_pwd, f.pwd, sizeof f.pwd);
	memcpy(plan.remote_ufrag, ufrag, sizeof ufrag);
	memcpy(plan.remote_pwd, pwd, sizeof pwd);
	plan.restarts++;
	nego_write_fragment(&plan, &f.policy, answer);
	return restart(s, &plan, why);
}
