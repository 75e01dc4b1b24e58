/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reference-counted objects and the packet pool. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int destroyed;

static void on_destroy(void *obj)
{
	assert_int_equal(*(int *)obj, 5);
	destroyed++;
}

static void test_mem_counts(void **state)
{
	int *p = mem_create(sizeof *p, on_destroy);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
	assert_int_equal(*p, 0);
	*p = 5;
	assert_ptr_equal(mem_ref(p), p);
	assert_null(mem_unref(p));
	assert_int_equal(destroyed, 0);
	p = mem_unref(p);
	assert_null(p);
	assert_int_equal(destroyed, 1);
	assert_null(mem_unref(NULL));
	assert_null(mem_ref(NULL));
}

static void test_mem_fails_when_told(void **state)
{
	void *a, *b, *c;

	(void)state;
	mem_fail_after(2);
	a = mem_create(1, NULL);
	b = mem_create(1, NULL);
	c = mem_create(1, NULL);
	assert_non_null(a);
	assert_null(b);
	assert_non_null(c);
	mem_unref(a);
	mem_unref(c);
	mem_fail_after(1);
	mem_fail_after(0);
	a = mem_create(1, NULL);
	assert_non_null(a);
	mem_unref(a);
	a = mem_create(SIZE_MAX, NULL);
	assert_null(a);
}

static void test_pkt_limits(void **state)
{
	struct pkt_pool *pool = pkt_pool_create(3);
	struct pkt *p[3];
	int i;

	(void)state;
	assert_non_null(pool);
	assert_int_equal(pkt_pool_size(pool), 3);
	assert_int_equal(pkt_pool_free_count(pool), 3);
	for (i = 0; i < 3; i++) {
		p[i] = pkt_take(pool);
		assert_non_null(p[i]);
		assert_int_equal(pkt_pool_free_count(pool), 2 - i);
	}
	assert_null(pkt_take(pool));
	assert_int_equal(pkt_pool_free_count(pool), 0);
	pkt_ref(p[1]);
	pkt_unref(p[1]);
	assert_null(pkt_take(pool));
	pkt_unref(p[0]);
	pkt_unref(p[1]);
	assert_int_equal(pkt_pool_free_count(pool), 2);
	assert_ptr_equal(pkt_take(pool), p[1]); /* last in, first out */
	assert_ptr_equal(pkt_take(pool), p[0]);
	assert_null(pkt_take(pool));
	pkt_unref(NULL);
	pkt_pool_destroy(pool);
	pkt_pool_destroy(NULL);
}

static void test_pkt_is_fresh(void **state)
{
	struct pkt_pool *pool = pkt_pool_create(1);
	struct pkt *p = pkt_take(pool);

	(void)state;
	p->len = 100;
	p->arrival_us = 1;
	p->flow.tcp = 9;
	p->rtp.ext[EXT_MID].off = 4;
	p->rtp.frame.key = true;
	p->data -= 8;
	pkt_unref(p);
	p = pkt_take(pool);
	assert_int_equal(p->len, 0);
	assert_int_equal(p->refs, 1);
	assert_int_equal(p->arrival_us, 0);
	assert_int_equal(p->flow.tcp, 0);
	assert_int_equal(p->rtp.ext[EXT_MID].off, 0);
	assert_false(p->rtp.frame.key);
	assert_ptr_equal(p->data, p->buf + PKT_HEADROOM_BYTES);
	assert_int_equal(pkt_room(p), PKT_BUF_BYTES - PKT_HEADROOM_BYTES);
	p->data[pkt_room(p) - 1] = 1;
	assert_ptr_equal(p->pool, pool);
	pkt_pool_destroy(pool);
}

static long resident_kb(void)
{
	long kb = -1;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

static void test_pkt_touches_only_what_is_used(void **state)
{
	struct pkt_pool *pool;
	struct pkt *p[8];
	long before;
	int i, j;

	(void)state;
	before = resident_kb();
	pool = pkt_pool_create(65536); /* 120 MB if it were all touched */
	assert_non_null(pool);
	for (i = 0; i < 100000; i++) {
		for (j = 0; j < 8; j++) {
			p[j] = pkt_take(pool);
			p[j]->data[0] = 1;
		}
		for (j = 0; j < 8; j++)
			pkt_unref(p[j]);
	}
	assert_true(resident_kb() - before < 8 * 1024);
	assert_int_equal(pkt_pool_free_count(pool), 65536);
	pkt_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mem_counts),
		cmocka_unit_test(test_mem_fails_when_told),
		cmocka_unit_test(test_pkt_limits),
		cmocka_unit_test(test_pkt_is_fresh),
		cmocka_unit_test(test_pkt_touches_only_what_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
