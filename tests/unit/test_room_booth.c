/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Interpreters: one of a language is heard, hand-overs are asked for, and nobody comes to the floor unawares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <palabre/room.h>

enum { S = 1000000, EN = 1, SW = 2 };

static uint64_t now;
static struct room *room;
static struct person *host, *ana, *bo, *eve;
static unsigned told, hears;

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
	told += ev->type == ROOM_CHANNELS;
	hears += ev->type == ROOM_HEARS;
}

static const struct room_observer observer = { on_person, on_leaving, on_person,
					       on_event };

static struct person *join(const char *name, enum role role)
{
	struct person *p = NULL;

	assert_int_equal(room_join(room, NULL, name, role, now, &p), 0);
	room_set_away(room, p, false, now);
	return p;
}

static int set_up(void **state)
{
	(void)state;
	told = hears = 0;
	now = 1000 * (uint64_t)S;
	room = room_create("booth", 1000, &observer, NULL);
	room_set_languages(room, "en,sw");
	host = join("Host", ROLE_HOST);
	ana = join("Ana", ROLE_INTERPRETER);
	bo = join("Bo", ROLE_INTERPRETER);
	eve = join("Eve", ROLE_INTERPRETER);
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
	now += 2 * S;
	return room_act(room, p, &a, now);
}

static enum deny sit(struct person *p, const char *language)
{
	return act(p, (struct act) { .type = ACT_BOOTH, .language = language });
}

static enum deny hand(struct person *p, bool on)
{
	return act(p, (struct act) { .type = ACT_HANDOVER, .on = on });
}

static void interpreters_sit_down(void **state)
{
	(void)state;
	assert_int_equal(sit(host, "sw"), DENY_ROLE);
	assert_int_equal(sit(ana, "fr"), DENY_NO_LANGUAGE);
	assert_true(person_is_heard(ana)); /* on the floor, as anybody */
	assert_int_equal(sit(ana, "sw"), DENY_NOTHING);
	assert_int_equal(ana->booth, SW);
	assert_true(ana->live && person_is_heard(ana));
	assert_int_equal(sit(bo, "sw"), DENY_NOTHING);
	assert_false(bo->live || person_is_heard(bo));
	assert_int_equal(sit(eve, "sw"), DENY_BOOTH_FULL);
	assert_int_equal(sit(eve, "en"), DENY_NOTHING);
	assert_true(eve->live);
	assert_int_equal(told, 3);
	assert_int_equal(sit(eve, "en"), DENY_NOTHING); /* she is there already */
	assert_int_equal(told, 3);
}

/* One asks, the other says yes; either may be the one who is live. */
static void a_hand_over_takes_two(void **state)
{
	(void)state;
	assert_int_equal(hand(ana, true), DENY_NO_BOOTH);
	(void)!sit(ana, "sw");
	assert_int_equal(hand(ana, true), DENY_NO_BOOTH);
	(void)!sit(bo, "sw");
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(room_handover(room, SW), bo->number);
	assert_int_equal(room_handover(room, EN), 0);
	assert_int_equal(hand(bo, true), DENY_NOTHING); /* that is no yes */
	assert_true(ana->live && !bo->live);
	assert_int_equal(hand(ana, true), DENY_NOTHING);
	assert_true(bo->live && !ana->live);
	assert_int_equal(room_handover(room, SW), 0);
	/* Who is live may ask, too, and be refused, or change their mind. */
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(hand(ana, false), DENY_NOTHING);
	assert_int_equal(room_handover(room, SW), 0);
	assert_true(bo->live);
	(void)!hand(bo, true);
	(void)!hand(bo, false);
	assert_int_equal(hand(ana, true), DENY_NOTHING);
	assert_true(bo->live && !ana->live); /* that was a question of hers */
	assert_int_equal(room_handover(room, SW), ana->number);
}

static void nobody_waits_for_who_is_not_there(void **state)
{
	(void)state;
	(void)!sit(ana, "sw");
	(void)!sit(bo, "sw");
	room_set_away(room, ana, true, now);
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_true(bo->live && !ana->live);
	/* Gone: who is left is heard, and nothing is asked any more. */
	room_set_away(room, ana, false, now);
	(void)!hand(ana, true);
	room_leave(room, bo, LEAVE_LEFT);
	assert_true(ana->live);
	assert_int_equal(room_handover(room, SW), 0);
}

/* Their microphone is off then, and they switch it on again themselves. */
static void nobody_is_on_the_floor_unawares(void **state)
{
	struct act role = { .type = ACT_ROLE, .role = ROLE_SPEAKER };

	(void)state;
	assert_int_equal(room_set_media(room, ana, MEDIA_MIC, true), DENY_NOTHING);
	(void)!sit(ana, "sw");
	assert_false(ana->media[MEDIA_MIC]);
	(void)!room_set_media(room, ana, MEDIA_MIC, true);
	(void)!sit(ana, "en");
	assert_false(ana->media[MEDIA_MIC]);
	(void)!room_set_media(room, ana, MEDIA_MIC, true);
	assert_int_equal(sit(ana, ""), DENY_NOTHING);
	assert_false(ana->media[MEDIA_MIC] || ana->booth || ana->live);
	(void)!sit(ana, "en");
	(void)!room_set_media(room, ana, MEDIA_MIC, true);
	role.person = ana->id;
	assert_int_equal(act(host, role), DENY_NOTHING);
	assert_false(ana->media[MEDIA_MIC] || ana->booth || ana->live);
	assert_int_equal(sit(ana, "en"), DENY_ROLE);
}

static void everybody_hears_what_they_choose(void **state)
{
	struct act hear = { .type = ACT_HEAR, .language = "sw", .item = FLOOR_12DB };

	(void)state;
	assert_int_equal(host->hears, 0);
	assert_int_equal(act(host, hear), DENY_NOTHING);
	assert_int_equal(host->hears, SW);
	assert_int_equal(host->floor, FLOOR_12DB);
	hear.language = "fr";
	assert_int_equal(act(host, hear), DENY_NO_LANGUAGE);
	hear.language = "";
	hear.item = FLOOR_LEVELS;
	assert_int_equal(act(host, hear), DENY_NO_LANGUAGE);
	assert_int_equal(host->hears, SW);
	hear.item = FLOOR_OFF;
	assert_int_equal(act(host, hear), DENY_NOTHING);
	assert_int_equal(host->hears, 0);
	assert_int_equal(hears, 2);
	assert_int_equal(told, 0); /* it is nobody else's business */
}

static void a_flood_is_refused(void **state)
{
	struct act a = { .type = ACT_BOOTH };
	unsigned done = 0;

	(void)state;
	do
		a.language = done % 2 ? "" : "sw";
	while (room_act(room, ana, &a, now) == DENY_NOTHING && ++done < 100);
	assert_int_equal(done, 8);
	assert_int_equal(room_act(room, ana, &a, now), DENY_RATE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(interpreters_sit_down),
		TEST(a_hand_over_takes_two),
		TEST(nobody_waits_for_who_is_not_there),
		TEST(nobody_is_on_the_floor_unawares),
		TEST(everybody_hears_what_they_choose),
		TEST(a_flood_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
