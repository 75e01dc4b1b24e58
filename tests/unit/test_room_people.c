/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <palabre/room.h>

struct seen {
	unsigned joined, left, updated;
	enum leave_reason reason;
	char last[PERSON_ID_BYTES + 1];
};

static void on_joined(void *arg, struct person *p)
{
	struct seen *s = arg;

	s->joined++;
	strcpy(s->last, p->id);
}

static void on_leaving(void *arg, struct person *p, enum leave_reason reason)
{
	struct seen *s = arg;

	s->left++;
	s->reason = reason;
	strcpy(s->last, p->id);
	assert_ptr_equal(room_by_id(p->room, p->id), p); /* still in the lists */
}

static void on_updated(void *arg, struct person *p)
{
	struct seen *s = arg;

	s->updated++;
	strcpy(s->last, p->id);
}

static const struct room_observer observer = { on_joined, on_leaving, on_updated };

static struct person *join(struct room *r, const char *name, enum role role)
{
	struct person *p = NULL;

	assert_int_equal(room_join(r, NULL, name, role, 1000, &p), 0);
	return p;
}

static void people_come_and_go(void **state)
{
	struct seen seen = { 0 };
	struct room *r = room_create("tree", 3, &observer, &seen);
	struct person *ana = join(r, "Ana", ROLE_HOST), *bo = join(r, "Bo", ROLE_SPEAKER),
		      *cy = join(r, "Cy", ROLE_LISTENER);
	struct person *late = NULL;

	(void)state;
	assert_int_equal(seen.joined, 3);
	assert_true(ana->number != bo->number && bo->number != cy->number && ana->number);
	assert_int_equal(room_join(r, NULL, "Di", ROLE_SPEAKER, 0, &late), -ENOSPC);
	assert_null(late);
	assert_ptr_equal(room_by_number(r, bo->number), bo);
	assert_ptr_equal(room_first(r), ana);
	assert_ptr_equal(ana->next, bo);
	room_leave(r, bo, LEAVE_LEFT);
	assert_int_equal(seen.left, 1);
	assert_int_equal(seen.reason, LEAVE_LEFT);
	assert_ptr_equal(ana->next, cy);
	assert_int_equal(room_count(r), 2);
	room_destroy(r);
}

static void coming_back_keeps_role_and_media(void **state)
{
	struct seen seen = { 0 };
	struct room *r = room_create("tree", 10, &observer, &seen);
	struct person *ana = join(r, "Ana", ROLE_HOST), *again = NULL;
	uint32_t number = ana->number;
	char id[PERSON_ID_BYTES + 1];

	(void)state;
	strcpy(id, ana->id);
	room_set_media(r, ana, 0, true);
	room_set_away(r, ana, false, 2000);
	assert_int_equal(seen.updated, 2);
	assert_int_equal(room_join(r, id, "Ana B", ROLE_LISTENER, 3000, &again), 0);
	assert_ptr_equal(again, ana);
	assert_int_equal(again->role, ROLE_HOST);
	assert_true(again->media[0]);
	assert_string_equal(again->name, "Ana B");
	assert_int_equal(again->number, number);
	assert_int_equal(seen.joined, 1);

	/* After an explicit leave the id is void; after an expiry it is not. */
	room_leave(r, ana, LEAVE_LEFT);
	assert_int_equal(room_join(r, id, "Ana", ROLE_HOST, 4000, &again), -EACCES);
	assert_int_equal(room_join(r, "othersomeone", "Eve", ROLE_HOST, 4000, &again), 0);
	assert_string_equal(again->id, "othersomeone");
	assert_int_equal(again->role, ROLE_HOST);
	assert_true(again->number > number);
	room_destroy(r);
}

static void the_away_expire(void **state)
{
	struct seen seen = { 0 };
	struct room *r = room_create("tree", 10, &observer, &seen);
	struct person *ana = join(r, "Ana", ROLE_HOST), *bo = join(r, "Bo", ROLE_SPEAKER),
		      *back = NULL;
	char id[PERSON_ID_BYTES + 1];

	(void)state;
	strcpy(id, bo->id);
	room_set_away(r, ana, false, 1000);
	room_set_away(r, bo, false, 1000);
	room_set_away(r, bo, true, 5000);
	assert_int_equal(room_expire(r, 5000 + 600, 600), 2); /* not longer than */
	assert_int_equal(room_expire(r, 5000 + 601, 600), 1);
	assert_int_equal(seen.reason, LEAVE_EXPIRED);
	assert_string_equal(seen.last, id);
	assert_int_equal(room_join(r, id, "Bo", ROLE_SPEAKER, 9000, &back), 0);
	room_destroy(r);
}

static void listeners_send_nothing(void **state)
{
	struct seen seen = { 0 };
	struct room *r = room_create("tree", 10, &observer, &seen);
	struct person *p = join(r, "Li", ROLE_LISTENER);

	(void)state;
	room_set_media(r, p, 0, true);
	room_set_media(r, p, 99, true);
	assert_false(p->media[0]);
	assert_int_equal(seen.updated, 0);
	room_destroy(r);
}

static void left_people_are_remembered_up_to_a_limit(void **state)
{
	struct seen seen = { 0 };
	struct room *r = room_create("tree", 10, &observer, &seen);
	char first[PERSON_ID_BYTES + 1], id[PERSON_ID_BYTES + 1] = "";
	struct person *p;

	(void)state;
	for (unsigned i = 0; i < ROOM_LEFT_MAX + 1; i++) {
		p = join(r, "X", ROLE_SPEAKER);
		strcpy(i ? id : first, p->id);
		room_leave(r, p, LEAVE_REMOVED);
	}
	assert_int_equal(room_join(r, id, "X", ROLE_SPEAKER, 0, &p), -EACCES);
	assert_int_equal(room_join(r, first, "X", ROLE_SPEAKER, 0, &p),
			 0); /* the oldest is forgotten */
	room_destroy(r);
}

static void names(void **state)
{
	char out[PERSON_NAME_MAX + 1], long_name[200];

	(void)state;
	assert_int_equal(person_name_check("  Amina  ", out), 0);
	assert_string_equal(out, "Amina");
	assert_int_equal(person_name_check("Zoë Ngũgĩ 明 ‏سلام", out), 0);
	assert_int_equal(person_name_check("", out), -EINVAL);
	assert_int_equal(person_name_check("   ", out), -EINVAL);
	assert_int_equal(person_name_check("a\nb", out), -EINVAL);
	assert_int_equal(person_name_check("a\x7f", out), -EINVAL);
	assert_int_equal(person_name_check("host\xe2\x80\xaenimda", out),
			 -EINVAL);					   /* U+202E */
	assert_int_equal(person_name_check("\xc0\xaf", out), -EINVAL);	   /* overlong */
	assert_int_equal(person_name_check("\xed\xa0\x80", out), -EINVAL); /* surrogate */
	assert_int_equal(person_name_check("\xe2\x82", out), -EINVAL);	   /* cut short */
	memset(long_name, 'a', sizeof long_name);
	long_name[PERSON_NAME_CHARS] = 0;
	assert_int_equal(person_name_check(long_name, out), 0);
	long_name[PERSON_NAME_CHARS] = 'a';
	long_name[PERSON_NAME_CHARS + 1] = 0;
	assert_int_equal(person_name_check(long_name, out), -EINVAL);
	assert_int_equal(room_name_check("under-the-tree-7"), 0);
	assert_int_equal(room_name_check(""), -EINVAL);
	assert_int_equal(room_name_check("Tree"), -EINVAL);
	assert_int_equal(room_name_check("a/b"), -EINVAL);
	for (int i = 0; i < ROLE_COUNT; i++)
		assert_int_equal(role_parse(role_name((enum role)i)), i);
	assert_int_equal(role_parse("boss"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_come_and_go),
		cmocka_unit_test(coming_back_keeps_role_and_media),
		cmocka_unit_test(the_away_expire),
		cmocka_unit_test(listeners_send_nothing),
		cmocka_unit_test(left_people_are_remembered_up_to_a_limit),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
