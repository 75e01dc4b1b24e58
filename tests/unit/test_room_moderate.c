/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What moderators may, and nobody else: roles, mutes, rules, the lobby, bans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <palabre/room.h>

enum { NOW = 1000000 };

static struct {
	unsigned joined, left, updated, events[32];
	enum leave_reason reason;
	struct room_event last;
	uint8_t off[64]; /* by number: what ROOM_OFF told */
} seen;
static struct room *room;
static struct person *host, *mod, *speaker, *listener, *interpreter;

static void on_joined(void *arg, struct person *p)
{
	(void)arg;
	(void)p;
	seen.joined++;
}

static void on_leaving(void *arg, struct person *p, enum leave_reason reason)
{
	(void)arg;
	(void)p;
	seen.left++;
	seen.reason = reason;
}

static void on_updated(void *arg, struct person *p)
{
	(void)arg;
	assert_false(p->waiting);
	seen.updated++;
}

static void on_event(void *arg, const struct room_event *ev)
{
	(void)arg;
	seen.events[ev->type]++;
	seen.last = *ev;
	for (struct person *p = room_first(room); p && ev->type == ROOM_OFF; p = p->next)
		seen.off[p->number] = p->off;
}

static const struct room_observer observer = { on_joined, on_leaving, on_updated,
					       on_event };

static struct person *join(const char *name, enum role role)
{
	struct person *p = NULL;

	assert_int_equal(room_join(room, NULL, name, role, NOW, &p), 0);
	return p;
}

static int set_up(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	room = room_create("tree", 10, &observer, NULL);
	host = join("Host", ROLE_HOST);
	mod = join("Mod", ROLE_MODERATOR);
	speaker = join("Speaker", ROLE_SPEAKER);
	listener = join("Listener", ROLE_LISTENER);
	interpreter = join("Interpreter", ROLE_INTERPRETER);
	memset(&seen, 0, sizeof seen);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	room_destroy(room);
	return 0;
}

static enum deny act(struct person *p, enum act_type type, const struct person *on_whom,
		     bool on)
{
	struct act a = { .type = type, .person = on_whom ? on_whom->id : NULL, .on = on };

	memset(a.rules, -1, sizeof a.rules);
	return room_act(room, p, &a, NOW);
}

static enum deny give(struct person *p, const struct person *to, enum role role)
{
	struct act a = { .type = ACT_ROLE, .person = to->id, .role = role };

	return room_act(room, p, &a, NOW);
}

static enum deny rule(struct person *p, enum rule which, bool on)
{
	struct act a = { .type = ACT_RULES };

	memset(a.rules, -1, sizeof a.rules);
	a.rules[which] = on;
	return room_act(room, p, &a, NOW);
}

static enum deny mic(struct person *p, bool on)
{
	return room_set_media(room, p, MEDIA_MIC, on);
}

static bool is_everybodys(unsigned type)
{
	static const enum act_type open[] = { ACT_HAND,	 ACT_QUESTION, ACT_VOTE,
					      ACT_DROP,	 ACT_SAY,      ACT_UNSAY,
					      ACT_REACT, ACT_CHOOSE };

	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		if (type == open[i])
			return true;
	return false;
}

/* Every act but those, by everybody who may not, on everybody: refused with a reason, and nothing
 * changes. */
static void only_moderators(void **state)
{
	struct person *const who[] = { speaker, listener, interpreter };
	struct person *const whom[] = { host, mod, speaker, listener };

	(void)state;
	for (unsigned t = 0; t < ACT_COUNT; t++)
		for (unsigned i = 0; i < 3 && !is_everybodys(t); i++)
			for (unsigned k = 0; k < 4; k++) {
				struct act a = { .type = (enum act_type)t,
						 .person = whom[k]->id,
						 .on = true,
						 .role = ROLE_HOST,
						 .rules = { 1, 1, 1, 1 } };

				assert_int_equal(room_act(room, who[i], &a, NOW),
						 DENY_ROLE);
			}
	assert_int_equal(room_act(room, host, &(struct act) { .type = ACT_COUNT }, NOW),
			 DENY_ROLE);
	for (unsigned i = 0; i < RULE_COUNT; i++)
		assert_false(room_rule(room, (enum rule)i));
	assert_int_equal(speaker->role, ROLE_SPEAKER);
	assert_int_equal(seen.left + seen.updated, 0);
	for (unsigned i = 0; i < ARRAY_LEN(seen.events); i++)
		assert_int_equal(seen.events[i], 0);
	for (unsigned d = 1; d < DENY_COUNT; d++)
		assert_true(deny_id((enum deny)d)[0] && deny_code((enum deny)d)[0] &&
			    strlen(deny_text((enum deny)d)) > 20);
}

static void moderators_do_not_rule_hosts(void **state)
{
	(void)state;
	assert_int_equal(act(mod, ACT_MUTE, host, true), DENY_RANK);
	assert_int_equal(act(mod, ACT_REMOVE, host, true), DENY_RANK);
	assert_int_equal(act(mod, ACT_BAN, host, true), DENY_RANK);
	assert_int_equal(give(mod, host, ROLE_LISTENER), DENY_RANK);
	assert_int_equal(give(mod, mod, ROLE_HOST), DENY_HOST);
	assert_int_equal(give(mod, speaker, ROLE_MODERATOR), DENY_HOST);
	assert_int_equal(give(mod, speaker, ROLE_INTERPRETER), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_REMOVE, mod, true), DENY_RANK);
	/* A host's mute stands, whatever a moderator tries. */
	assert_int_equal(act(host, ACT_MUTE, mod, true), DENY_NOTHING);
	assert_int_equal(mic(mod, true), DENY_HELD);
	assert_int_equal(act(mod, ACT_ALLOW, mod, true), DENY_RANK);
	assert_int_equal(act(mod, ACT_ASK, mod, true), DENY_RANK);
	assert_int_equal(act(mod, ACT_CALL, mod, true), DENY_RANK);
	assert_int_equal(rule(mod, RULE_MUTE, true), DENY_NOTHING);
	assert_int_equal(rule(mod, RULE_MUTE, false), DENY_NOTHING);
	assert_int_equal(mic(mod, true), DENY_HELD);
	assert_int_equal(act(host, ACT_ALLOW, mod, true), DENY_NOTHING);
	assert_int_equal(mic(mod, true), DENY_NOTHING);
}

static void roles_are_given_and_taken(void **state)
{
	(void)state;
	assert_int_equal(give(host, host, ROLE_LISTENER), DENY_LAST_HOST);
	assert_int_equal(give(host, speaker, ROLE_HOST), DENY_NOTHING);
	assert_int_equal(seen.last.type, ROOM_ROLE);
	assert_ptr_equal(seen.last.person, speaker);
	assert_int_equal(give(speaker, host, ROLE_LISTENER), DENY_NOTHING);
	assert_int_equal(act(host, ACT_MUTE, listener, true), DENY_ROLE);
	/* What the new role does not bear is switched off. */
	assert_int_equal(mic(mod, true), DENY_NOTHING);
	assert_int_equal(give(speaker, mod, ROLE_CAPTIONER), DENY_NOTHING);
	assert_false(mod->media[MEDIA_MIC]);
	assert_int_equal(mic(mod, true), DENY_LISTENER);
}

static void a_mute_stays_until_allowed(void **state)
{
	struct act screen = { .type = ACT_MUTE,
			      .person = speaker->id,
			      .on = true,
			      .kind = MEDIA_SCREEN_AUDIO };

	(void)state;
	mic(speaker, true);
	room_set_media(room, speaker, MEDIA_SCREEN_AUDIO, true);
	room_set_media(room, speaker, MEDIA_CAMERA, true);
	assert_int_equal(act(mod, ACT_MUTE, speaker, true), DENY_NOTHING);
	assert_false(speaker->media[MEDIA_MIC]);
	assert_false(speaker->media[MEDIA_SCREEN_AUDIO]); /* no way around */
	assert_true(speaker->media[MEDIA_CAMERA]);
	assert_int_equal(mic(speaker, true), DENY_HELD);
	assert_int_equal(room_set_media(room, speaker, MEDIA_SCREEN_AUDIO, true),
			 DENY_HELD);
	assert_int_equal(act(mod, ACT_ASK, speaker, true), DENY_NOTHING);
	assert_int_equal(seen.last.type, ROOM_ASKED);
	assert_ptr_equal(seen.last.person, speaker);
	assert_false(speaker->media[MEDIA_MIC]); /* nobody opens another's microphone */
	assert_int_equal(mic(speaker, true), DENY_NOTHING);
	/* Only switched off, not held: */
	assert_int_equal(act(mod, ACT_MUTE, speaker, false), DENY_NOTHING);
	assert_false(speaker->media[MEDIA_MIC]);
	assert_int_equal(mic(speaker, true), DENY_NOTHING);
	/* The screen goes with its sound. */
	assert_int_equal(room_act(room, mod, &screen, NOW), DENY_NOTHING);
	assert_int_equal(room_set_media(room, speaker, MEDIA_SCREEN, true), DENY_HELD);
	assert_int_equal(room_set_media(room, speaker, MEDIA_SCREEN_AUDIO, true),
			 DENY_HELD);
	screen.type = ACT_ALLOW;
	assert_int_equal(room_act(room, mod, &screen, NOW), DENY_NOTHING);
	assert_int_equal(room_set_media(room, speaker, MEDIA_SCREEN, true), DENY_NOTHING);
	screen.kind = MEDIA_KINDS;
	assert_int_equal(room_act(room, mod, &screen, NOW), DENY_GONE);
}

static void all_are_muted_in_one_event(void **state)
{
	struct person *late;

	(void)state;
	mic(speaker, true);
	mic(interpreter, true);
	mic(host, true);
	seen.updated = 0;
	assert_int_equal(rule(mod, RULE_MUTE, true), DENY_NOTHING);
	assert_int_equal(seen.events[ROOM_RULES], 1);
	assert_int_equal(seen.events[ROOM_OFF], 1);
	assert_int_equal(seen.updated, 0);
	assert_int_equal(seen.off[speaker->number], 1 << MEDIA_MIC);
	assert_int_equal(seen.off[interpreter->number], 0);
	assert_int_equal(seen.off[host->number], 0);
	assert_int_equal(mic(speaker, true), DENY_MUTED);
	assert_int_equal(room_set_media(room, speaker, MEDIA_SCREEN_AUDIO, true),
			 DENY_MUTED);
	assert_int_equal(room_set_media(room, speaker, MEDIA_CAMERA, true), DENY_NOTHING);
	late = join("Late", ROLE_SPEAKER);
	assert_int_equal(mic(late, true), DENY_MUTED);
	assert_int_equal(act(mod, ACT_ALLOW, late, true), DENY_NOTHING);
	assert_int_equal(mic(late, true), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_MUTE, late, true), DENY_NOTHING);
	assert_int_equal(mic(late, true), DENY_HELD);
	assert_int_equal(rule(host, RULE_MUTE, false), DENY_NOTHING);
	assert_int_equal(mic(late, true), DENY_NOTHING);
	assert_int_equal(rule(host, RULE_MUTE, false), DENY_NOTHING);
	assert_int_equal(seen.events[ROOM_RULES], 2); /* nothing new: nothing told */
}

static void only_the_called_speak(void **state)
{
	(void)state;
	mic(speaker, true);
	assert_int_equal(mic(listener, true), DENY_LISTENER);
	assert_int_equal(rule(mod, RULE_AUDIENCE, true), DENY_NOTHING);
	assert_false(speaker->media[MEDIA_MIC]);
	assert_int_equal(mic(speaker, true), DENY_AUDIENCE);
	assert_int_equal(mic(interpreter, true), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_ASK, speaker, true), DENY_AUDIENCE);
	assert_int_equal(seen.events[ROOM_ASKED], 0);
	assert_int_equal(act(mod, ACT_CALL, listener, true), DENY_NOTHING);
	assert_int_equal(mic(listener, true), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_CALL, listener, false), DENY_NOTHING);
	assert_false(listener->media[MEDIA_MIC]);
	assert_int_equal(mic(listener, true), DENY_LISTENER);
}

static void the_spotlight_has_places(void **state)
{
	struct person *extra[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		extra[i] = join("Extra", ROLE_SPEAKER);
		assert_int_equal(act(mod, ACT_SPOTLIGHT, extra[i], true), DENY_NOTHING);
	}
	assert_int_equal(act(mod, ACT_SPOTLIGHT, speaker, true), DENY_SPOTLIGHTS_FULL);
	seen.events[ROOM_SPOTLIGHT] = 0;
	room_leave(room, extra[1], LEAVE_LEFT);
	assert_int_equal(seen.events[ROOM_SPOTLIGHT], 1);
	assert_int_equal(act(mod, ACT_SPOTLIGHT, speaker, true), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_SPOTLIGHT, speaker, false), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_SPOTLIGHT, host, true), DENY_RANK);
}

static enum deny knock(struct entry e, struct person **out)
{
	bool waits = false;
	enum deny why = room_may_enter(room, &e, &waits);

	*out = NULL;
	if (!why)
		assert_int_equal(waits ? room_wait(room, &e, NOW, out)
				       : room_enter(room, &e, NOW, out),
				 0);
	return why;
}

static void people_wait_in_the_lobby(void **state)
{
	struct person *ana, *bo, *again;
	struct entry back = { .role = ROLE_SPEAKER };
	char id[PERSON_ID_BYTES + 1];

	(void)state;
	assert_int_equal(rule(host, RULE_LOBBY, true), DENY_NOTHING);
	assert_int_equal(
		knock((struct entry) { .name = "Ana", .role = ROLE_SPEAKER }, &ana),
		DENY_NOTHING);
	assert_true(ana->waiting && !ana->number);
	assert_int_equal(seen.last.type, ROOM_WAITING);
	assert_int_equal(seen.last.audience, ROOM_TO_MODERATORS);
	assert_int_equal(room_count(room), 5);
	assert_ptr_equal(room_by_id(room, ana->id), ana);
	assert_int_equal(seen.joined, 0);
	/* Who waits can do nothing, and nothing can be done to them but this. */
	assert_int_equal(mic(ana, true), DENY_WAITING);
	assert_int_equal(act(ana, ACT_RULES, NULL, true), DENY_WAITING);
	assert_int_equal(act(host, ACT_CALL, ana, true), DENY_GONE);
	assert_int_equal(give(host, ana, ROLE_HOST), DENY_GONE);
	room_set_name(room, ana, "Ana B");
	assert_int_equal(seen.updated, 0);
	assert_int_equal(seen.events[ROOM_WAITING], 2);
	/* Comes again with the ticket: the same. */
	back.id = ana->id;
	assert_int_equal(knock(back, &again), DENY_NOTHING);
	assert_ptr_equal(again, ana);
	assert_int_equal(act(speaker, ACT_ADMIT, ana, true), DENY_ROLE);
	assert_int_equal(act(mod, ACT_ADMIT, ana, true), DENY_NOTHING);
	assert_false(ana->waiting);
	assert_ptr_equal(room_by_number(room, ana->number), ana);
	assert_int_equal(seen.joined, 1);
	assert_int_equal(seen.last.type, ROOM_ADMITTED);
	assert_int_equal(act(mod, ACT_ADMIT, ana, true), DENY_GONE);

	assert_int_equal(
		knock((struct entry) { .name = "Bo", .role = ROLE_LISTENER }, &bo),
		DENY_NOTHING);
	strcpy(id, bo->id);
	assert_int_equal(act(mod, ACT_ADMIT, bo, false), DENY_NOTHING);
	assert_int_equal(seen.reason, LEAVE_DENIED);
	back.id = id;
	assert_int_equal(room_wait(room, &back, NOW, &again), -EACCES);
}

static void the_lobby_is_bounded_and_emptied(void **state)
{
	struct entry e = { .name = "Many", .role = ROLE_SPEAKER };
	struct person *p, *first = NULL;

	(void)state;
	rule(host, RULE_LOBBY, true);
	for (unsigned i = 0; i < ROOM_LOBBY_MAX; i++) {
		assert_int_equal(knock(e, &p), DENY_NOTHING);
		first = first ? first : p;
	}
	assert_int_equal(knock(e, &p), DENY_LOBBY_FULL);
	assert_int_equal(room_wait(room, &e, NOW, &p), -ENOSPC);
	/* As many as there is room for: 5 of 10 places are taken. */
	assert_int_equal(act(mod, ACT_ADMIT, NULL, true), DENY_FULL);
	assert_int_equal(room_count(room), 10);
	assert_int_equal(room_waiting_count(room), ROOM_LOBBY_MAX - 5);
	/* Who has no connection does not keep a place for long. */
	p = room_first_waiting(room);
	room_set_away(room, p, false, NOW);
	room_expire(room, NOW + ROOM_LOBBY_KEEP_S * 1000000ULL + 1, 600000000);
	assert_int_equal(room_waiting_count(room), 1);
	assert_int_equal(act(mod, ACT_ADMIT, NULL, false), DENY_NOTHING);
	assert_int_equal(room_waiting_count(room), 0);
	assert_int_equal(knock(e, &p), DENY_NOTHING);
}

static void the_door_knows_who_may_pass(void **state)
{
	struct entry e = { .name = "X", .role = ROLE_SPEAKER };
	struct person *p;

	(void)state;
	rule(host, RULE_LOCK, true);
	assert_int_equal(knock(e, &p), DENY_LOCKED);
	e.role = ROLE_INTERPRETER;
	assert_int_equal(knock(e, &p), DENY_LOCKED);
	e.role = ROLE_HOST;
	assert_int_equal(knock(e, &p), DENY_NOTHING);
	assert_false(p->waiting);
	e.role = ROLE_SPEAKER; /* who was inside comes back, also after a restart */
	e.id = "somebodyelse";
	assert_int_equal(knock(e, &p), DENY_LOCKED);
	e.admitted = true;
	assert_int_equal(knock(e, &p), DENY_NOTHING);
	assert_false(p->waiting);
	rule(host, RULE_LOCK, false);
	rule(host, RULE_LOBBY, true);
	e = (struct entry) { .name = "I", .role = ROLE_INTERPRETER };
	assert_int_equal(knock(e, &p), DENY_NOTHING);
	assert_false(p->waiting);
	assert_true(room_is_arranged(room));
}

static void bans_hold(void **state)
{
	struct entry e = { .name = "Eve", .role = ROLE_SPEAKER, .key = 77 };
	char id[PERSON_ID_BYTES + 1];
	struct person *p;

	(void)state;
	assert_int_equal(knock(e, &p), DENY_NOTHING);
	strcpy(id, p->id);
	assert_int_equal(act(mod, ACT_BAN, p, true), DENY_NOTHING);
	assert_int_equal(seen.reason, LEAVE_BANNED);
	assert_int_equal(knock(e, &p), DENY_BANNED);
	e = (struct entry) { .id = id, .role = ROLE_HOST, .admitted = true };
	assert_int_equal(knock(e, &p), DENY_BANNED);
	e = (struct entry) { .name = "Other", .role = ROLE_SPEAKER, .key = 78 };
	assert_int_equal(knock(e, &p), DENY_NOTHING);
	assert_int_equal(act(mod, ACT_REMOVE, p, true), DENY_NOTHING);
	assert_int_equal(seen.reason, LEAVE_REMOVED);
	assert_int_equal(knock(e, &p), DENY_NOTHING); /* removed is not banned */
	/* Another without a key is not taken for one who has none, either. */
	for (unsigned i = 1; i < ROOM_BANS_MAX; i++) {
		struct person *q = join("Q", ROLE_SPEAKER);

		assert_int_equal(act(mod, ACT_BAN, q, true), DENY_NOTHING);
	}
	p = join("Q", ROLE_SPEAKER);
	assert_int_equal(act(mod, ACT_BAN, p, true), DENY_BANS_FULL);
	assert_ptr_equal(room_by_id(room, p->id), p);
	/* Whoever comes and goes does not make the removed forgotten. */
	strcpy(id, p->id);
	assert_int_equal(act(mod, ACT_REMOVE, p, true), DENY_NOTHING);
	for (unsigned i = 0; i < ROOM_LEFT_MAX; i++)
		room_leave(room, join("Y", ROLE_SPEAKER), LEAVE_LEFT);
	assert_int_equal(room_join(room, id, "Q", ROLE_SPEAKER, NOW, &p), -EACCES);
}

static void speaking_time_is_kept(void **state)
{
	uint32_t both[] = { host->number, speaker->number }, gone = 999;

	(void)state;
	room_speaking(room, both, 2, NOW);
	room_speaking(room, both, 1, NOW + 2000000);
	room_speaking(room, &gone, 1, NOW + 5000000);
	room_speaking(room, NULL, 0, NOW + 9000000);
	assert_int_equal(host->spoke_us, 5000000);
	assert_int_equal(speaker->spoke_us, 2000000);
	assert_int_equal(listener->spoke_us, 0);
}

/* What a room is made with is no decision that is to be kept for ten minutes; what is changed is,
 * and so is who was sent away: their ticket is void for as long. */
static void a_room_begins_with_rules(void **state)
{
	static const bool rules[RULE_COUNT] = { [RULE_LOBBY] = true, [RULE_MUTE] = true };
	struct entry e = { .name = "Late", .role = ROLE_SPEAKER };
	bool waits;

	tear_down(state);
	room = room_create("tree", 10, &observer, NULL);
	room_begin(room, rules, true);
	assert_false(room_is_arranged(room));
	assert_true(board_rules(room).approve);
	host = join("Host", ROLE_HOST);
	speaker = join("Speaker", ROLE_SPEAKER);
	assert_int_equal(room_may_enter(room, &e, &waits), DENY_NOTHING);
	assert_true(waits);
	assert_int_equal(mic(speaker, true), DENY_MUTED);
	assert_int_equal(rule(host, RULE_LOBBY, false), DENY_NOTHING);
	assert_true(room_is_arranged(room));
	assert_int_equal(rule(host, RULE_LOBBY, true), DENY_NOTHING);
	assert_false(room_is_arranged(room));
	assert_int_equal(act(host, ACT_REMOVE, speaker, true), DENY_NOTHING);
	assert_true(room_is_arranged(room));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_moderators),
		TEST(moderators_do_not_rule_hosts),
		TEST(roles_are_given_and_taken),
		TEST(a_mute_stays_until_allowed),
		TEST(all_are_muted_in_one_event),
		TEST(only_the_called_speak),
		TEST(the_spotlight_has_places),
		TEST(people_wait_in_the_lobby),
		TEST(the_lobby_is_bounded_and_emptied),
		TEST(the_door_knows_who_may_pass),
		TEST(bans_hold),
		TEST(speaking_time_is_kept),
		TEST(a_room_begins_with_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
