/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The hash table: finding, repeated keys, growth, removal while visiting. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct thing {
	int number;
	struct hash_node node;
};

enum { THINGS = 5000 };

static struct thing things[THINGS];

static struct thing *thing_of(struct hash_node *n)
{
	return n ? CONTAINER_OF(n, struct thing, node) : NULL;
}

static void test_insert_find_remove(void **state)
{
	struct hash *h = hash_create(0); /* grows many times */
	int i;

	(void)state;
	assert_non_null(h);
	assert_null(hash_find(h, 1));
	for (i = 0; i < THINGS; i++) {
		things[i].number = i;
		hash_insert(h, &things[i].node, (uint64_t)i << 20); /* bad low bits */
	}
	assert_int_equal(hash_count(h), THINGS);
	for (i = 0; i < THINGS; i++)
		assert_ptr_equal(thing_of(hash_find(h, (uint64_t)i << 20)), &things[i]);
	assert_null(hash_find(h, 1));
	for (i = 0; i < THINGS; i += 2)
		hash_remove(h, &things[i].node);
	assert_int_equal(hash_count(h), THINGS / 2);
	hash_remove(h, &things[0].node); /* not there: nothing happens */
	assert_int_equal(hash_count(h), THINGS / 2);
	for (i = 0; i < THINGS; i++)
		assert_ptr_equal(thing_of(hash_find(h, (uint64_t)i << 20)),
				 i % 2 ? &things[i] : NULL);
	hash_destroy(h);
	hash_destroy(NULL);
}

static void test_same_hash(void **state)
{
	struct hash *h = hash_create(4);
	struct hash_node *n;
	bool seen[100] = { 0 };
	int i, count = 0;

	(void)state;
	for (i = 0; i < 100; i++) {
		things[i].number = i;
		hash_insert(h, &things[i].node, 77);
		things[100 + i].number = -1;
		hash_insert(h, &things[100 + i].node, 78 + (uint64_t)i);
	}
	hash_remove(h, &things[50].node);
	for (n = hash_find(h, 77); n; n = hash_next(n), count++) {
		assert_true(thing_of(n)->number >= 0);
		assert_false(seen[thing_of(n)->number]);
		seen[thing_of(n)->number] = true;
	}
	assert_int_equal(count, 99);
	assert_false(seen[50]);
	hash_destroy(h);
}

struct visit {
	struct hash *h;
	unsigned count;
	int next;
};

static void on_remove_odd(struct hash_node *n, void *arg)
{
	struct visit *v = arg;

	v->count++;
	if (thing_of(n)->number % 2)
		hash_remove(v->h, n);
}

static void on_insert(struct hash_node *n, void *arg)
{
	struct visit *v = arg;

	(void)n;
	v->count++;
	if (v->next < THINGS) {
		things[v->next].number = v->next;
		hash_insert(v->h, &things[v->next].node, (uint64_t)v->next);
		v->next++;
	}
}

static void test_each(void **state)
{
	struct visit v = { .h = hash_create(8) };
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		things[i].number = i;
		hash_insert(v.h, &things[i].node, hash_bytes(&i, sizeof i) % 64);
	}
	hash_each(v.h, on_remove_odd, &v);
	assert_int_equal(v.count, 1000);
	assert_int_equal(hash_count(v.h), 500);
	v.count = 0;
	hash_each(v.h, on_remove_odd, &v);
	assert_int_equal(v.count, 500);
	hash_destroy(v.h);

	/* Inserting while visiting is safe: nothing moves under the visitor. */
	v = (struct visit) { .h = hash_create(8), .next = 10 };
	for (i = 0; i < 10; i++)
		hash_insert(v.h, &things[i].node, (uint64_t)i);
	hash_each(v.h, on_insert, &v);
	assert_true(v.count >= 10);
	assert_int_equal(hash_count(v.h), v.next);
	for (i = 0; i < v.next; i++)
		assert_ptr_equal(thing_of(hash_find(v.h, (uint64_t)i)), &things[i]);
	hash_destroy(v.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insert_find_remove),
		cmocka_unit_test(test_same_hash),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
