/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Chat, reactions and polls: limits, who sees what, and what nobody can find out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <palabre/room.h>

enum { S = 1000000 };

static uint64_t now;
static struct room *room;
static struct person *host, *ana, *bo;
static unsigned told[64], to_moderators, to_one;
static struct message last;
static char last_text[CHAT_MAX + 1];
static unsigned poll_votes, reactions[REACTIONS];

static void on_person(void *arg, struct person *p)
{
	(void)arg;
	(void)p;
}

static void on_leaving(void *arg, struct person *p, enum leave_reason reason)
{
	(void)reason;
	on_person(arg, p);
}

static void on_event(void *arg, const struct room_event *ev)
{
	(void)arg;
	told[ev->type]++;
	to_moderators += ev->audience == ROOM_TO_MODERATORS;
	to_one += ev->audience == ROOM_TO_ONE;
	if (ev->type == ROOM_SAID) {
		last = *ev->message;
		strcpy(last_text, ev->message->text);
	}
	if (ev->type == ROOM_POLL_VOTES)
		poll_votes = ev->poll->voted.count;
	if (ev->type == ROOM_REACTIONS)
		memcpy(reactions, room_reactions(room), sizeof reactions);
}

static const struct room_observer observer = { on_person, on_leaving, on_person,
					       on_event };

static struct person *join(const char *name, enum role role)
{
	struct person *p = NULL;

	assert_int_equal(room_join(room, NULL, name, role, now, &p), 0);
	return p;
}

static int set_up(void **state)
{
	(void)state;
	memset(told, 0, sizeof told);
	memset(reactions, 0, sizeof reactions);
	to_moderators = to_one = poll_votes = 0;
	now = 1000 * (uint64_t)S;
	room = room_create("chat", 1000, &observer, NULL);
	host = join("Host", ROLE_HOST);
	ana = join("Ana", ROLE_SPEAKER);
	bo = join("Bo", ROLE_LISTENER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	room_destroy(room);
	return 0;
}

static enum deny act(struct person *p, struct act a)
{
	return room_act(room, p, &a, now);
}

static enum deny say(struct person *p, const char *text, bool to_hosts)
{
	now += 3 * S;
	return act(p, (struct act) { .type = ACT_SAY, .text = text, .on = to_hosts });
}

static enum deny item(struct person *p, enum act_type type, uint32_t id)
{
	return act(p, (struct act) { .type = type, .item = id });
}

static unsigned kept(const struct person *viewer)
{
	unsigned count = 0;

	for (const struct message *m = chat_after(room, viewer, 0); m;
	     m = chat_after(room, viewer, m->id))
		count++;
	return count;
}

static void messages_reach_whom_they_are_for(void **state)
{
	(void)state;
	assert_int_equal(say(ana, "Hello\nall", false), DENY_NOTHING);
	assert_string_equal(last_text, "Hello\nall");
	assert_string_equal(last.name, "Ana");
	assert_int_equal(to_moderators + to_one, 0);
	assert_int_equal(say(ana, "Only you", true), DENY_NOTHING);
	assert_int_equal(to_moderators, 1);
	assert_int_equal(to_one, 1); /* she sees what she wrote */
	assert_int_equal(kept(ana), 2);
	assert_int_equal(kept(bo), 1);
	assert_int_equal(kept(host), 2);
	/* What one does not see one cannot touch; own or as a moderator one can. */
	assert_int_equal(item(bo, ACT_UNSAY, last.id), DENY_NO_ITEM);
	assert_int_equal(item(bo, ACT_UNSAY, last.id - 1), DENY_ROLE);
	assert_int_equal(item(ana, ACT_UNSAY, last.id - 1), DENY_NOTHING);
	assert_int_equal(item(host, ACT_UNSAY, last.id), DENY_NOTHING);
	assert_int_equal(item(host, ACT_UNSAY, last.id), DENY_NO_ITEM);
	assert_int_equal(item(host, ACT_UNSAY, last.id + 1), DENY_NO_ITEM);
	assert_int_equal(kept(host), 0);
	assert_int_equal(say(ana, "", false), DENY_TEXT);
	assert_int_equal(say(ana, NULL, false), DENY_TEXT);
}

static void who_is_removed_takes_it_along(void **state)
{
	struct person *eve = join("Eve", ROLE_SPEAKER);

	(void)state;
	assert_int_equal(say(eve, "Buy", false), DENY_NOTHING);
	assert_int_equal(say(ana, "Hello", false), DENY_NOTHING);
	assert_int_equal(say(eve, "Buy this", true), DENY_NOTHING);
	room_leave(room, eve, LEAVE_REMOVED);
	assert_int_equal(told[ROOM_UNSAID], 3); /* what hosts saw, to them and to her */
	assert_int_equal(kept(host), 1);
	room_leave(room, ana, LEAVE_LEFT);
	assert_int_equal(told[ROOM_UNSAID], 3);
	assert_int_equal(kept(host), 1);
}

static void the_chat_can_be_closed(void **state)
{
	(void)state;
	assert_int_equal(item(ana, ACT_CHAT, CHAT_OFF), DENY_ROLE);
	assert_int_equal(item(host, ACT_CHAT, CHAT_HOSTS), DENY_NOTHING);
	assert_int_equal(told[ROOM_CHAT], 1);
	assert_int_equal(say(ana, "All?", false), DENY_CHAT_CLOSED);
	assert_int_equal(say(ana, "Hosts?", true), DENY_NOTHING);
	assert_int_equal(say(host, "All", false), DENY_NOTHING);
	assert_int_equal(item(host, ACT_CHAT, CHAT_OFF), DENY_NOTHING);
	assert_int_equal(say(ana, "Hosts?", true), DENY_CHAT_CLOSED);
	assert_int_equal(item(ana, ACT_REACT, REACTION_CLAP), DENY_CHAT_CLOSED);
	assert_int_equal(item(host, ACT_CHAT, CHAT_MODES), DENY_NO_ITEM);
}

static void a_flood_is_stopped(void **state)
{
	unsigned why[DENY_COUNT] = { 0 };
	struct person *many[60];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		now += 1000;
		why[act(ana, (struct act) { .type = ACT_SAY, .text = "x" })]++;
	}
	assert_in_range(why[DENY_NOTHING], 5, 5 + 10 / 2 + 1); /* in 10 s */
	/* Many together. */
	for (unsigned i = 0; i < 60; i++)
		many[i] = join("M", ROLE_SPEAKER);
	now += 100 * (uint64_t)S;
	memset(why, 0, sizeof why);
	for (unsigned i = 0; i < 240; i++)
		why[act(many[i % 60], (struct act) { .type = ACT_SAY, .text = "x" })]++;
	assert_int_equal(why[DENY_NOTHING], 40);
	assert_int_equal(why[DENY_BUSY], 200);
	assert_int_equal(act(host, (struct act) { .type = ACT_SAY, .text = "Stop" }),
			 DENY_NOTHING);
	/* What is kept is bounded, and in order. */
	for (unsigned i = 0; i < CHAT_KEPT_MAX + 10; i++)
		assert_int_equal(say(host, i ? "more" : "first", false), DENY_NOTHING);
	assert_int_equal(kept(bo), CHAT_KEPT_MAX);
	assert_int_equal(chat_after(room, bo, 0)->id,
			 chat_last(room) - CHAT_KEPT_MAX + 1);
	assert_int_equal(chat_after(room, bo, chat_last(room) - 1)->id, chat_last(room));
	assert_null(chat_after(room, bo, chat_last(room)));
	assert_null(chat_after(room, bo, UINT32_MAX));
}

static void reactions_are_counted_together(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		(void)!item(ana, ACT_REACT, REACTION_CLAP);
	assert_int_equal(item(bo, ACT_REACT, REACTION_HEART), DENY_NOTHING);
	assert_int_equal(item(bo, ACT_REACT, REACTIONS), DENY_NO_ITEM);
	assert_int_equal(told[ROOM_REACTIONS], 0);
	room_gather(room, now);
	assert_int_equal(told[ROOM_REACTIONS], 1);
	assert_int_equal(reactions[REACTION_CLAP], 3); /* of one, at once */
	assert_int_equal(reactions[REACTION_HEART], 1);
	room_gather(room, now);
	assert_int_equal(told[ROOM_REACTIONS], 1);
}

static void something_is_pinned(void **state)
{
	(void)state;
	assert_int_equal(act(ana, (struct act) { .type = ACT_PIN, .text = "x" }),
			 DENY_ROLE);
	assert_int_equal(act(host, (struct act) { .type = ACT_PIN,
						  .text = "https://example.org/notes" }),
			 DENY_NOTHING);
	assert_string_equal(room_pinned(room), "https://example.org/notes");
	assert_int_equal(act(host, (struct act) { .type = ACT_PIN, .text = "" }),
			 DENY_NOTHING);
	assert_string_equal(room_pinned(room), "");
	assert_int_equal(told[ROOM_PIN], 2);
}

static enum deny poll(struct person *p, bool multiple, bool late)
{
	return act(p, (struct act) { .type = ACT_POLL,
				     .text = "Tea?",
				     .options = { "Yes", "No", "Coffee" },
				     .option_count = 3,
				     .multiple = multiple,
				     .late = late });
}

static enum deny choose(struct person *p, uint32_t id, uint32_t choices)
{
	return act(p,
		   (struct act) { .type = ACT_CHOOSE, .item = id, .choices = choices });
}

static void a_poll_keeps_its_secret(void **state)
{
	const struct poll *it;

	(void)state;
	assert_int_equal(poll(ana, false, false), DENY_ROLE);
	assert_int_equal(poll(host, false, false), DENY_NOTHING);
	it = poll_at(room, 0);
	assert_int_equal(choose(ana, 1, 1), DENY_NOTHING);
	assert_int_equal(choose(bo, 1, 4), DENY_NOTHING);
	assert_int_equal(told[ROOM_POLL_VOTES], 0);
	room_gather(room, now);
	assert_int_equal(told[ROOM_POLL_VOTES], 1);
	assert_int_equal(poll_votes, 2);
	assert_false(poll_shows(it)); /* not while it is open, */
	assert_int_equal(item(host, ACT_POLL_CLOSE, 1), DENY_NOTHING);
	assert_false(poll_shows(it)); /* nor of two: each would know the other's */
	assert_int_equal(choose(host, 1, 1), DENY_POLL_CLOSED);

	assert_int_equal(poll(host, true, false), DENY_NOTHING);
	assert_int_equal(choose(ana, 2, 3), DENY_NOTHING);
	assert_int_equal(choose(bo, 2, 1), DENY_NOTHING);
	assert_int_equal(choose(host, 2, 1), DENY_NOTHING);
	assert_false(poll_shows(poll_at(room, 1)));
	assert_int_equal(item(host, ACT_POLL_CLOSE, 2), DENY_NOTHING);
	assert_true(poll_shows(poll_at(room, 1)));
	assert_int_equal(poll_at(room, 1)->counts[0], 3);
	assert_int_equal(poll_at(room, 1)->counts[1], 1);
	/* In which order they voted is nowhere. */
	for (unsigned i = 1; i < 3; i++)
		assert_true(poll_at(room, 1)->voted.n[i - 1] <
			    poll_at(room, 1)->voted.n[i]);
}

static void a_poll_is_not_stuffed(void **state)
{
	struct person *p;

	(void)state;
	assert_int_equal(poll(host, false, false), DENY_NOTHING);
	assert_int_equal(choose(ana, 1, 3), DENY_OPTIONS); /* one only */
	assert_int_equal(choose(ana, 1, 0), DENY_OPTIONS);
	assert_int_equal(choose(ana, 1, 8), DENY_OPTIONS);
	assert_int_equal(choose(ana, 1, 1u << 31), DENY_OPTIONS);
	assert_int_equal(choose(ana, 1, 2), DENY_NOTHING);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(choose(ana, 1, 2), DENY_VOTED);
	for (unsigned i = 0; i < 100; i++) { /* by coming again */
		p = join("Stuffer", ROLE_SPEAKER);
		assert_int_equal(choose(p, 1, 1), DENY_LATE);
		room_leave(room, p, LEAVE_LEFT);
	}
	assert_int_equal(poll_at(room, 0)->counts[1], 1);
	assert_int_equal(poll_at(room, 0)->counts[0], 0);
	assert_int_equal(choose(ana, 9, 1), DENY_NO_ITEM);
	assert_int_equal(poll(host, false, true), DENY_NOTHING);
	p = join("Late", ROLE_SPEAKER);
	assert_int_equal(choose(p, 2, 1), DENY_NOTHING);
}

static void polls_have_limits(void **state)
{
	struct act a = { .type = ACT_POLL,
			 .text = "Tea?",
			 .options = { "Yes", "Yes" },
			 .option_count = 2 };

	(void)state;
	assert_int_equal(act(host, a), DENY_OPTIONS);
	a.option_count = 1;
	assert_int_equal(act(host, a), DENY_OPTIONS);
	a.option_count = 2;
	a.options[1] = " ";
	assert_int_equal(act(host, a), DENY_TEXT);
	a.options[1] = "No";
	a.text = NULL;
	assert_int_equal(act(host, a), DENY_TEXT);
	assert_int_equal(polls_count(room), 0);
	for (unsigned i = 0; i < POLLS_MAX; i++)
		assert_int_equal(poll(host, false, false), DENY_NOTHING);
	assert_int_equal(poll(host, false, false), DENY_POLLS_FULL);
	assert_int_equal(choose(ana, 3, 1), DENY_NOTHING);
	assert_int_equal(item(ana, ACT_POLL_DROP, 3), DENY_ROLE);
	assert_int_equal(item(host, ACT_POLL_DROP, 3), DENY_NOTHING);
	assert_int_equal(polls_count(room), POLLS_MAX - 1);
	assert_int_equal(poll_at(room, 2)->id, 4);
	assert_int_equal(poll(host, false, false), DENY_NOTHING);
	assert_int_equal(poll_at(room, POLLS_MAX - 1)->id, POLLS_MAX + 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_reach_whom_they_are_for),
		TEST(who_is_removed_takes_it_along),
		TEST(the_chat_can_be_closed),
		TEST(a_flood_is_stopped),
		TEST(reactions_are_counted_together),
		TEST(something_is_pinned),
		TEST(a_poll_keeps_its_secret),
		TEST(a_poll_is_not_stuffed),
		TEST(polls_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
