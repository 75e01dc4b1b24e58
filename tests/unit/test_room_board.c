/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The board: one order for everybody, from what the server tells; limits; who sees what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <palabre/room.h>

enum { S = 1000000, IDS = 2048 };

static uint64_t now;
static struct room *room;
static struct person *host, *ana, *bo;

/* What a page that hears everything for everybody knows: states, votes, time spoken. */
static struct {
	bool there;
	enum item_state state;
	unsigned votes, spoke_s;
} page[IDS];
static unsigned told, told_one, told_moderators, votes_told, asked;
static uint32_t revision, own;

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

static void learn(const struct item *it)
{
	page[it->id].there = true;
	page[it->id].state = it->state;
	page[it->id].votes = it->votes.count;
	page[it->id].spoke_s = it->spoke_s;
}

static void on_event(void *arg, const struct room_event *ev)
{
	(void)arg;
	if (ev->type == ROOM_ASKED)
		asked++;
	if (ev->type == ROOM_ITEM_OWN)
		own = ev->item->id;
	if (ev->type < ROOM_BOARD)
		return;
	if (ev->audience == ROOM_TO_ONE) {
		told_one++;
		return;
	}
	if (ev->audience == ROOM_TO_MODERATORS) {
		told_moderators++;
		return;
	}
	told++;
	assert_int_equal(board_revision(room), ++revision);
	if (ev->type == ROOM_ITEM)
		learn(ev->item);
	if (ev->type == ROOM_ITEM_GONE)
		page[ev->item->id].there = false;
	votes_told += ev->type == ROOM_VOTES;
	for (const struct item *it = board_after(room, NULL, 0);
	     it && ev->type == ROOM_VOTES; it = board_after(room, NULL, it->id))
		if (it->fresh)
			learn(it);
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
	memset(page, 0, sizeof page);
	told = told_one = told_moderators = votes_told = asked = own = 0;
	now = 1000 * (uint64_t)S;
	room = room_create("ama", 1000, &observer, NULL);
	revision = board_revision(room);
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

static enum deny ask(struct person *p, const char *text, bool anonymous)
{
	now += 20 * S;
	return act(p,
		   (struct act) { .type = ACT_QUESTION, .text = text, .on = anonymous });
}

static enum deny on_item(struct person *p, enum act_type type, uint32_t id)
{
	return act(p, (struct act) { .type = type, .item = id, .on = true });
}

static enum deny hand(struct person *p, bool on)
{
	now += 20 * S;
	return act(p, (struct act) { .type = ACT_HAND, .on = on });
}

static enum deny rules(struct person *p, int approve, int order, int limit_s)
{
	return act(p, (struct act) { .type = ACT_BOARD,
				     .board = { -1, -1, (int8_t)approve, -1,
						(int8_t)order, limit_s } });
}

/* As a page sorts. */
static enum board_order page_order;
static int page_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (page[x].state != page[y].state)
		return page[x].state < page[y].state ? -1 : 1;
	if (page[x].state == ITEM_DONE)
		return x > y ? -1 : 1;
	if (page_order == ORDER_VOTES && page[x].votes != page[y].votes)
		return page[x].votes > page[y].votes ? -1 : 1;
	if (page_order == ORDER_LEAST && page[x].spoke_s != page[y].spoke_s)
		return page[x].spoke_s < page[y].spoke_s ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void check_page(void)
{
	const struct item *list[BOARD_WAITING_MAX + BOARD_DONE_MAX];
	unsigned count = board_list(room, bo, list, ARRAY_LEN(list)), known = 0;
	uint32_t ids[IDS];

	for (uint32_t id = 0; id < IDS; id++)
		if (page[id].there)
			ids[known++] = id;
	page_order = board_rules(room).order;
	qsort(ids, known, sizeof ids[0], page_compare);
	assert_int_equal(known, count);
	assert_int_equal(known, board_count(room, false));
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(ids[i], list[i]->id);
}

static void everybody_has_the_same_order(void **state)
{
	struct person *people[40];
	struct act a;

	(void)state;
	srand(7);
	for (unsigned i = 0; i < ARRAY_LEN(people); i++)
		people[i] = join("Somebody", i % 2 ? ROLE_SPEAKER : ROLE_LISTENER);
	for (unsigned step = 0; step < 4000; step++) {
		struct person *p = people[(unsigned)rand() % ARRAY_LEN(people)];
		uint32_t talker = p->number;

		now += (unsigned)rand() % (3 * S);
		a = (struct act) { .item = (uint32_t)rand() % 600,
				   .on = rand() % 4,
				   .text = "Why?",
				   .board = { -1, -1, 0, -1, -1, -1 } };
		switch (rand() % 12) {
		case 0:
		case 1:
			a.type = ACT_HAND;
			break;
		case 2:
		case 3:
			a.type = ACT_QUESTION;
			break;
		case 4:
			a.type = ACT_ANSWER;
			a.item = rand() % 2 ? 0 : a.item;
			p = host;
			break;
		case 5:
			a.type = rand() % 2 ? ACT_DONE : ACT_REOPEN;
			p = host;
			break;
		case 6:
			a.type = ACT_DROP;
			p = rand() % 2 ? host : p;
			break;
		case 7:
			a.type = ACT_BOARD;
			a.board.order = (int8_t)(rand() % ORDER_COUNT);
			p = host;
			break;
		case 8:
			room_speaking(room, &talker, 1, now);
			room_gather(room, now);
			check_page();
			continue;
		default:
			a.type = ACT_VOTE;
		}
		(void)!room_act(room, p, &a, now);
		if (step % 97 == 0) {
			unsigned i = (unsigned)rand() % ARRAY_LEN(people);

			room_leave(room, people[i], LEAVE_LEFT);
			people[i] = join("Another", ROLE_SPEAKER);
		}
	}
	room_gather(room, now);
	check_page();
	assert_true(board_count(room, false) > 20);
}

static void who_has_spoken_least_comes_first(void **state)
{
	uint32_t talker = ana->number;
	const struct item *list[4];

	(void)state;
	room_speaking(room, &talker, 1, now);
	room_speaking(room, NULL, 0, now + 60 * S);
	now += 60 * S;
	assert_int_equal(hand(ana, true), DENY_NOTHING);
	assert_int_equal(ask(ana, "Anonymous?", true), DENY_NOTHING);
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(rules(host, -1, ORDER_LEAST, -1), DENY_NOTHING);
	assert_int_equal(board_list(room, NULL, list, 4), 3);
	assert_int_equal(list[0]->author, bo->number);
	/* What one has spoken does not give an anonymous question away. */
	assert_true(list[1]->anonymous);
	assert_int_equal(list[1]->spoke_s, 1);
	assert_int_equal(list[2]->spoke_s, 60);
	assert_int_equal(act(host, (struct act) { .type = ACT_ANSWER }), DENY_NOTHING);
	assert_int_equal(list[0]->state, ITEM_NOW);
}

static void a_hand_gives_the_word_for_its_turn(void **state)
{
	(void)state;
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(hand(bo, true), DENY_NOTHING); /* is up already */
	assert_int_equal(board_count(room, false), 1);
	assert_int_equal(room_set_media(room, bo, MEDIA_MIC, true), DENY_LISTENER);
	assert_int_equal(on_item(bo, ACT_ANSWER, 1), DENY_ROLE);
	assert_int_equal(on_item(host, ACT_ANSWER, 1), DENY_NOTHING);
	assert_int_equal(asked, 1);
	assert_int_equal(room_set_media(room, bo, MEDIA_MIC, true), DENY_NOTHING);
	now += 30 * S;
	/* The next begins, so this one is over. */
	assert_int_equal(ask(ana, "Why?", false), DENY_NOTHING);
	assert_int_equal(on_item(host, ACT_ANSWER, 2), DENY_NOTHING);
	assert_int_equal(page[1].state, ITEM_DONE);
	assert_int_equal(board_item(room, 1)->took_us, 50 * S);
	assert_false(bo->media[MEDIA_MIC]);
	assert_int_equal(room_set_media(room, bo, MEDIA_MIC, true), DENY_LISTENER);
	assert_int_equal(act(host, (struct act) { .type = ACT_DONE }), DENY_NOTHING);
	assert_int_equal(act(host, (struct act) { .type = ACT_DONE }), DENY_NOBODY_WAITS);
	assert_int_equal(act(host, (struct act) { .type = ACT_ANSWER }),
			 DENY_NOBODY_WAITS);
	/* Who was called before keeps it. */
	assert_int_equal(
		act(host,
		    (struct act) { .type = ACT_CALL, .person = bo->id, .on = true }),
		DENY_NOTHING);
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(act(host, (struct act) { .type = ACT_ANSWER }), DENY_NOTHING);
	assert_int_equal(hand(bo, false), DENY_NOTHING);
	assert_int_equal(page[3].state, ITEM_DONE);
	assert_true(bo->called);
	/* Taken back and put on again. */
	assert_int_equal(on_item(host, ACT_REOPEN, 2), DENY_NOTHING);
	assert_int_equal(page[2].state, ITEM_OPEN);
	assert_int_equal(on_item(host, ACT_REOPEN, 2), DENY_NO_ITEM);
	/* One's own question may be taken off, another's not. */
	assert_int_equal(on_item(bo, ACT_DROP, 2), DENY_ROLE);
	assert_int_equal(on_item(ana, ACT_DROP, 2), DENY_NOTHING);
	assert_false(page[2].there);
	check_page();
}

static void a_vote_counts_once_and_while_one_is_here(void **state)
{
	struct person *p;

	(void)state;
	assert_int_equal(ask(ana, "Why?", false), DENY_NOTHING);
	assert_int_equal(on_item(ana, ACT_VOTE, 1), DENY_OWN);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(on_item(bo, ACT_VOTE, 1), DENY_NOTHING);
	/* Coming again and again adds nothing. */
	for (unsigned i = 0; i < 100; i++) {
		p = join("Stuffer", ROLE_SPEAKER);
		assert_int_equal(on_item(p, ACT_VOTE, 1), DENY_NOTHING);
		room_leave(room, p, i % 2 ? LEAVE_LEFT : LEAVE_EXPIRED);
	}
	told = 0;
	room_gather(room, now);
	assert_int_equal(page[1].votes, 1);
	assert_int_equal(told, 1); /* a hundred and ten votes, one event */
	room_gather(room, now);
	assert_int_equal(told, 1);
	assert_true(board_voted(board_item(room, 1), bo));
	assert_int_equal(act(bo, (struct act) { .type = ACT_VOTE, .item = 1 }),
			 DENY_NOTHING);
	room_gather(room, now);
	assert_int_equal(page[1].votes, 0);
	/* What is answered is not voted on, and keeps what it had. */
	assert_int_equal(on_item(bo, ACT_VOTE, 1), DENY_NOTHING);
	assert_int_equal(on_item(host, ACT_ANSWER, 1), DENY_NOTHING);
	p = join("Late", ROLE_SPEAKER);
	assert_int_equal(on_item(p, ACT_VOTE, 1), DENY_NO_ITEM);
	room_leave(room, bo, LEAVE_LEFT);
	assert_int_equal(board_item(room, 1)->votes.count, 1);
	assert_int_equal(on_item(p, ACT_VOTE, 99), DENY_NO_ITEM);
}

static void questions_may_wait_for_approval(void **state)
{
	const struct item *list[4];

	(void)state;
	assert_int_equal(rules(ana, 1, -1, -1), DENY_ROLE);
	assert_int_equal(rules(host, 1, -1, 120), DENY_NOTHING);
	assert_int_equal(board_rules(room).limit_s, 120);
	told = 0;
	assert_int_equal(ask(ana, "Rude?", false), DENY_NOTHING);
	assert_int_equal(own, 1);
	assert_int_equal(told, 0);
	assert_int_equal(told_moderators, 1);
	assert_int_equal(told_one, 2); /* she sees it, and that it is hers */
	/* For others it is not there. */
	assert_int_equal(board_list(room, bo, list, 4), 0);
	assert_int_equal(board_list(room, ana, list, 4), 1);
	assert_int_equal(board_list(room, host, list, 4), 1);
	assert_null(board_after(room, bo, 0));
	assert_int_equal(on_item(bo, ACT_VOTE, 1), DENY_NO_ITEM);
	assert_int_equal(on_item(bo, ACT_DROP, 1), DENY_NO_ITEM);
	assert_int_equal(on_item(bo, ACT_APPROVE, 1), DENY_ROLE);
	assert_int_equal(on_item(ana, ACT_APPROVE, 1), DENY_ROLE);
	assert_int_equal(on_item(host, ACT_DONE, 1), DENY_NO_ITEM);
	assert_int_equal(on_item(host, ACT_REOPEN, 1), DENY_NO_ITEM);
	assert_int_equal(told, 0);
	assert_int_equal(on_item(host, ACT_APPROVE, 1), DENY_NOTHING);
	assert_true(page[1].there);
	assert_int_equal(on_item(host, ACT_APPROVE, 1), DENY_NO_ITEM);
	assert_int_equal(ask(host, "A host's own", false), DENY_NOTHING);
	assert_int_equal(page[2].state, ITEM_OPEN);
	/* Refused: nobody but moderators and the author hears of it. */
	assert_int_equal(ask(bo, "Spam", false), DENY_NOTHING);
	told = told_one = told_moderators = 0;
	assert_int_equal(on_item(host, ACT_DROP, 3), DENY_NOTHING);
	assert_int_equal(told, 0);
	assert_int_equal(told_moderators, 1);
	assert_int_equal(told_one, 1);
	check_page();
}

static void nobody_fills_the_board(void **state)
{
	unsigned taken = 0, why[DENY_COUNT] = { 0 };
	char text[QUESTION_MAX + 2];
	struct person *p;

	(void)state;
	/* As fast as one can, ten thousand. */
	for (unsigned i = 0; i < 10000; i++) {
		now += 2000;
		why[act(ana, (struct act) { .type = ACT_QUESTION, .text = "?" })]++;
	}
	assert_int_equal(why[DENY_NOTHING], 5);
	assert_int_equal(why[DENY_RATE] + why[DENY_MINE_FULL], 9995);
	assert_true(why[DENY_RATE] > 1000);
	/* And by leaving and coming again. */
	for (unsigned i = 0; i < 1000; i++) {
		p = join("Flood", ROLE_SPEAKER);
		assert_int_equal(ask(p, "?", false), DENY_NOTHING);
		room_leave(room, p, LEAVE_LEFT);
	}
	assert_int_equal(board_count(room, true), 5);
	/* With friends, to the limit. */
	for (unsigned i = 0; i < 200 && taken < BOARD_WAITING_MAX - 5; i++) {
		p = join("Friend", ROLE_SPEAKER);
		for (unsigned k = 0; k < 5; k++)
			taken += ask(p, "?", false) == DENY_NOTHING;
	}
	assert_int_equal(ask(host, "?", false), DENY_BOARD_FULL);
	assert_int_equal(hand(host, true), DENY_BOARD_FULL);
	assert_int_equal(board_count(room, true), BOARD_WAITING_MAX);
	room_leave(room, ana, LEAVE_BANNED); /* takes everything with them */
	assert_int_equal(board_count(room, true), BOARD_WAITING_MAX - 5);
	check_page();

	memset(text, 'a', sizeof text);
	text[QUESTION_CHARS + 1] = 0;
	assert_int_equal(ask(bo, text, false), DENY_TEXT);
	assert_int_equal(ask(bo, " \n ", false), DENY_TEXT);
	assert_int_equal(ask(bo, NULL, false), DENY_TEXT);
	text[QUESTION_CHARS] = 0;
	assert_int_equal(ask(bo, text, false), DENY_NOTHING);
}

static void what_is_done_is_kept_to_a_limit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOARD_DONE_MAX + 10; i++) {
		assert_int_equal(ask(host, "?", false), DENY_NOTHING);
		assert_int_equal(act(host, (struct act) { .type = ACT_ANSWER }),
				 DENY_NOTHING);
	}
	assert_int_equal(act(host, (struct act) { .type = ACT_DONE }), DENY_NOTHING);
	assert_int_equal(board_count(room, true), BOARD_DONE_MAX);
	assert_null(board_item(room, 1));
	assert_int_equal(on_item(ana, ACT_DROP, 100), DENY_ROLE);
	check_page();
}

static void people_who_go(void **state)
{
	(void)state;
	assert_int_equal(hand(ana, true), DENY_NOTHING);
	assert_int_equal(ask(ana, "Wanted", false), DENY_NOTHING);
	assert_int_equal(ask(ana, "Not wanted", false), DENY_NOTHING);
	assert_int_equal(on_item(bo, ACT_VOTE, 2), DENY_NOTHING);
	room_leave(room, ana, LEAVE_EXPIRED);
	assert_false(page[1].there);
	assert_true(page[2].there);
	assert_false(page[3].there);
	assert_string_equal(board_item(room, 2)->name, "Ana");
	/* A hand in its turn, whose owner is gone. */
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	assert_int_equal(on_item(host, ACT_ANSWER, 4), DENY_NOTHING);
	room_leave(room, bo, LEAVE_LEFT);
	bo = NULL;
	assert_false(page[4].there);
	assert_int_equal(act(host, (struct act) { .type = ACT_DONE }), DENY_NOBODY_WAITS);
	room_gather(room, now);
	check_page();
}

static void it_is_exported_as_text(void **state)
{
	struct text out = { 0 };

	(void)state;
	assert_int_equal(ask(ana, "Why\nnot?\x7f", false), DENY_NOTHING);
	assert_int_equal(ask(bo, "Who am I?", true), DENY_NOTHING);
	assert_int_equal(rules(host, 1, -1, -1), DENY_NOTHING);
	assert_int_equal(ask(bo, "Pending", false), DENY_NOTHING);
	assert_int_equal(on_item(bo, ACT_VOTE, 1), DENY_NOTHING);
	assert_int_equal(on_item(host, ACT_ANSWER, 1), DENY_NOTHING);
	now += 75 * (uint64_t)S;
	assert_int_equal(on_item(host, ACT_DONE, 1), DENY_NOTHING);
	assert_int_equal(hand(bo, true), DENY_NOTHING);
	board_export(room, &out);
	assert_string_equal(out.s, "· +0  0:00:20  –: Who am I?\n"
				   "· +0  0:02:15  Bo ✋\n"
				   "✓ +1  0:00:00 (1:15)  Ana: Why not?\n");
	text_free(&out);
}

static void texts_are_cleaned(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(room_text_take("  a\tb\n", 10, 60, false, out), 3);
	assert_string_equal(out, "a b");
	assert_int_equal(room_text_take("\na\nb\n", 10, 60, true, out), 3);
	assert_string_equal(out, "a\nb");
	assert_int_equal(room_text_take("x\xe2\x80\xaey\x01", 10, 60, false, out), 2);
	assert_string_equal(out, "xy");
	assert_int_equal(room_text_take("سلام 明", 6, 60, false, out), 12);
	assert_int_equal(room_text_take("1234567", 6, 60, false, out), -EINVAL);
	assert_int_equal(room_text_take("明明明", 6, 8, false, out), -EINVAL);
	assert_int_equal(room_text_take("\xff", 6, 8, false, out), -EINVAL);
	assert_int_equal(room_text_take("", 6, 8, false, out), -EINVAL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everybody_has_the_same_order),
		TEST(who_has_spoken_least_comes_first),
		TEST(a_hand_gives_the_word_for_its_turn),
		TEST(a_vote_counts_once_and_while_one_is_here),
		TEST(questions_may_wait_for_approval),
		TEST(nobody_fills_the_board),
		TEST(what_is_done_is_kept_to_a_limit),
		TEST(people_who_go),
		TEST(it_is_exported_as_text),
		TEST(texts_are_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
