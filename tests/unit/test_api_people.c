/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who is in the room, told in parts: everybody once and nobody missed, whoever comes and goes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../src/api/api_private.h"

enum { MANY = 450 };

static bool told[2 * MANY + 2]; /* by number */
static bool shown;

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

static struct room *room_of(unsigned count)
{
	static const struct room_observer nobody = { .joined = on_person,
						     .leaving = on_leaving,
						     .updated = on_person };
	struct room *r = room_create("room", 2 * MANY, &nobody, NULL);
	struct person *p;
	char name[32];

	assert_non_null(r);
	memset(told, 0, sizeof told);
	for (unsigned i = 1; i <= count; i++) {
		snprintf(name, sizeof name, "Person %u", i);
		assert_int_equal(room_join(r, NULL, name, ROLE_SPEAKER, 1, &p), 0);
		assert_int_equal(p->number, i);
	}
	return r;
}

/* Takes a part in; where to ask on, -1 at the end. */
static int64_t take(const struct room *r, json_t *part)
{
	const json_t *list = json_object_get(part, "people"),
		     *more = json_object_get(part, "more");
	int64_t next = more ? json_integer_value(more) : -1;
	char *text = json_dumps(part, JSON_COMPACT);
	const json_t *p;
	size_t i;

	assert_int_equal(json_integer_value(json_object_get(part, "count")),
			 room_count(r));
	assert_in_range(json_array_size(list), 0, PEOPLE_PART);
	assert_true(strlen(text) < 100 * PEOPLE_PART);
	json_array_foreach(list, i, p)
	{
		told[json_integer_value(json_object_get(p, "n"))] = true;
		assert_non_null(json_object_get(p, "name"));
		assert_non_null(json_object_get(p, "role"));
	}
	shown = json_is_true(json_object_get(part, "shown"));
	free(text);
	json_decref(part);
	return next;
}

static void test_small(void **state)
{
	struct room *r = room_of(PEOPLE_PART);

	(void)state;
	assert_int_equal(take(r, people_first(r, room_by_number(r, PEOPLE_PART))), -1);
	for (unsigned n = 1; n <= PEOPLE_PART; n++)
		assert_true(told[n]);
	room_destroy(r);
}

static void test_large(void **state)
{
	struct room *r = room_of(MANY);
	struct person *self = room_by_number(r, MANY), *p;
	unsigned parts = 1;
	int64_t more;

	(void)state;
	for (unsigned n = 400; n < 420; n++)
		room_set_media(r, room_by_number(r, n), STREAM_MIC, true);
	more = take(r, people_first(r, self));
	for (unsigned n = 400; n < 420; n++)
		assert_true(told[n]);
	assert_true(told[MANY] && told[1] && !told[399] && shown);
	assert_in_range(more, 1, PEOPLE_PART);
	while (more >= 0) {
		/* who has been told last goes; one comes: their own events tell */
		p = room_by_number(r, (uint32_t)more);
		if (p && p != self)
			room_leave(r, p, LEAVE_LEFT);
		assert_int_equal(room_join(r, NULL, "Late", ROLE_LISTENER, 1, &p), 0);
		more = take(r, people_after(r, (uint32_t)more));
		assert_true(++parts < 10);
	}
	assert_in_range(parts, MANY / PEOPLE_PART, MANY / PEOPLE_PART + 2);
	for (p = room_first(r); p; p = p->next)
		assert_true(told[p->number]);
	room_destroy(r);
}

/* More have something on than there is room for: asked for from the beginning. Numbers that nobody has are no
 * harm. */
static void test_all_on(void **state)
{
	struct room *r = room_of(MANY);

	(void)state;
	for (unsigned n = 1; n <= MANY; n++)
		room_set_media(r, room_by_number(r, n), STREAM_MIC, true);
	assert_int_equal(take(r, people_first(r, room_by_number(r, MANY))), 0);
	assert_true(told[MANY] && !shown); /* a page asks on, however many there are */
	for (int64_t more = 0; more >= 0;)
		more = take(r, people_after(r, (uint32_t)more));
	for (unsigned n = 1; n <= MANY; n++)
		assert_true(told[n]);
	assert_int_equal(take(r, people_after(r, UINT32_MAX)), -1);
	assert_int_equal(take(r, people_after(r, MANY)), -1);
	room_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_all_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
