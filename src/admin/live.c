/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What goes on now: status, people, and what is done to them and to the server. */
#include "admin_in.h"

#include <errno.h>
#include <string.h>

/* ---- status ------------------------------------------------------------------------- */

void on_status(struct caller *c, const struct request *rq)
{
	const struct admin *a = c->admin;
	uint64_t now_s = clock_wall_us() / 1000000;
	json_t *legs = json_array();
	struct tally t;

	(void)rq;
	tally_take(a->p.calls, &t);
	for (unsigned i = 0; i < calls_workers(a->p.calls); i++)
		json_array_append_new(legs,
				      json_integer(calls_worker_legs(a->p.calls, i)));
	answer(c,
	       json_pack("{ss,sI,si,si,si,si,si,sb,sb,sb,sI,so}", "version",
			 PALABRE_VERSION, "uptime",
			 (json_int_t)(now_s > a->started_s ? now_s - a->started_s : 0),
			 "rooms", (int)store_rooms(a->p.store), "calls", (int)t.calls,
			 "people", (int)t.people, "away", (int)t.away, "waiting",
			 (int)t.waiting, "draining", api_is_draining(a->p.api), "kept",
			 store_is_kept(a->p.store), "bylink", a->p.conf->room.by_link,
			 "unkept", (json_int_t)store_refused(a->p.store), "legs", legs));
}

static void on_healthy(void *arg, bool good, const char *text)
{
	struct caller *c = arg;

	answer(c, json_pack("{sb,ss}", "good", good, "text", text));
	caller_go_on(c);
}

void on_health(struct caller *c, const struct request *rq)
{
	(void)rq;
	if (!health_ask(c->admin, on_healthy, c))
		answer_error(c, "too-many", "Too many ask at once.");
}

void on_metrics(struct caller *c, const struct request *rq)
{
	struct text text = { 0 };

	(void)rq;
	metrics_write(c->admin, &text);
	answer(c, json_pack("{ss}", "text", text.s ? text.s : ""));
	text_free(&text);
}

/* ---- people ------------------------------------------------------------------------- */

static struct call *find(struct caller *c, const struct request *rq)
{
	struct call *call = call_find(c->admin->p.calls, rq->room.name);

	if (!call)
		answer_error(c, "not-found", "Nobody is in room %s.", rq->room.name);
	return call;
}

static json_t *encode_person(const struct person *p)
{
	static const char *const links[] = { [LEG_CONNECTING] = "connecting",
					     [LEG_UP] = "up",
					     [LEG_SUSPENDED] = "suspended",
					     [LEG_GONE] = "gone" };
	const struct seat *s = p->user;
	json_t *on = json_array();

	for (unsigned k = 0; k < MEDIA_KINDS; k++)
		if (p->media[k])
			json_array_append_new(on, json_string(stream_kind_names[k]));
	return json_pack("{ss,ss,ss,sb,sb,ss,so,si,si,sb}", "id", p->id, "name", p->name,
			 "role", role_name(p->role), "waiting", p->waiting, "away",
			 p->away, "link", links[s->link], "on", on, "rung",
			 s->voice_known ? s->voice.rung : LEG_LANES, "loss",
			 s->voice_known ? s->voice.loss_q8 * 100 / 256 : 0, "nopictures",
			 s->voice_known && s->voice.no_pictures);
}

void on_people(struct caller *c, const struct request *rq)
{
	struct call *call = call_find(c->admin->p.calls, rq->room.name);

	if (!call && !store_room_find(c->admin->p.store, rq->room.name)) {
		(void)find(c, rq);
		return;
	}
	for (struct person *p = call ? room_first(call_room(call)) : NULL; p; p = p->next)
		answer_item(c, encode_person(p));
	for (struct person *p = call ? room_first_waiting(call_room(call)) : NULL; p;
	     p = p->next)
		answer_item(c, encode_person(p));
	answer(c, NULL);
}

void on_kick(struct caller *c, const struct request *rq)
{
	struct call *call = find(c, rq);
	struct seat *s = call ? call_seat(call, rq->person) : NULL;

	if (!call)
		return;
	if (!s) {
		answer_error(c, "not-found",
			     "There is nobody with the id %s in room %s; `palabrectl "
			     "people %s` shows who is.",
			     rq->person, rq->room.name, rq->room.name);
		return;
	}
	log_info("admin.kick", "room=%s person=%s", rq->room.name, rq->person);
	call_leave(s, s->person->waiting ? LEAVE_DENIED : LEAVE_REMOVED);
	answer(c, NULL);
}

/* ---- the server --------------------------------------------------------------------- */

void on_drain(struct caller *c, const struct request *rq)
{
	struct tally t;

	api_drain(c->admin->p.api, rq->on);
	log_info("admin.drain", "on=%d", rq->on);
	tally_take(c->admin->p.calls, &t);
	answer(c, json_pack("{sb,si}", "draining", rq->on, "people", (int)t.people));
}

void on_log(struct caller *c, const struct request *rq)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	unsigned level = LOG_DEBUG;

	if (has(rq, FIELD_LEVEL)) {
		log_set_level((enum log_level)rq->level);
		log_info("admin.log", "level=%s", names[rq->level]);
	}
	while (level < LOG_ERROR && !log_enabled((enum log_level)level))
		level++;
	answer(c, json_pack("{ss}", "level", names[level]));
}

/* Fingerprints only. */
void on_keys(struct caller *c, const struct request *rq)
{
	const struct admin_parts *p = &c->admin->p;
	char text[FINGERPRINT_TEXT_MAX], secret[SECRET_PRINT_MAX];

	(void)rq;
	if (secret_text(p->secret, secret)) {
		answer_error(c, "internal", "The server has not enough memory.");
		return;
	}
	answer_item(c, json_pack("{ss,ss}", "key", "links", "fingerprint", secret));
	answer_item(c, json_pack("{ss,ss}", "key", "media", "fingerprint",
				 p->cert->fingerprint));
	if (*p->tls && !cert_text(tls_certificate(*p->tls), text))
		answer_item(c, json_pack("{ss,ss}", "key", "https", "fingerprint", text));
	answer(c, NULL);
}

/* ---- what an ACME authority asks for -------------------------------------------------- */

static void answer_challenge(struct caller *c, const struct request *rq, int err)
{
	if (err == -EINVAL)
		answer_error(c, "bad-request",
			     "A challenge is written TOKEN.THUMBPRINT.");
	else if (err == -ENOENT)
		answer_error(c, "not-found", "There is no such challenge.");
	else if (err)
		answer_error(c, "too-many", "There are too many challenges already.");
	else
		answer(c, NULL);
	log_info("admin.challenge", "do=%s error=%d", verb_name(rq->verb), err);
}

void on_challenge_add(struct caller *c, const struct request *rq)
{
	answer_challenge(c, rq, challenge_add(c->admin->p.challenges, rq->challenge));
}

void on_challenge_remove(struct caller *c, const struct request *rq)
{
	answer_challenge(c, rq, challenge_remove(c->admin->p.challenges, rq->challenge));
}
