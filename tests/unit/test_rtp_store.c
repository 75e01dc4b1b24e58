/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The retransmission store against a plain model; every reference comes back. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <palabre/rtp.h>

enum { POOL = 300, SIZE = 64, STEPS = 20000, SPAN = 1 << 20 };

static void put(struct pkt_pool *pool, struct rtp_store *s, uint64_t seq, uint64_t at)
{
	struct pkt *p = pkt_take(pool);

	assert_non_null(p);
	p->rtp.seq64 = seq;
	p->arrival_us = at;
	rtp_store_put(s, p);
	pkt_unref(p);
}

static void test_init(void **state)
{
	struct rtp_store s = { 0 };

	(void)state;
	assert_true(rtp_store_init(&s, 0) < 0);
	assert_true(rtp_store_init(&s, 48) < 0);
	rtp_store_fini(&s);
	assert_null(rtp_store_get(&s, 5));
	rtp_store_expire(&s, 5);
}

/* While few are left, stores let go of their oldest, and the newest is still there. */
static void test_scarce(void **state)
{
	enum { STORES = 4, PKTS = 128, EACH = 64 };
	struct pkt_pool *pool = pkt_pool_create(PKTS);
	struct rtp_store s[STORES];

	(void)state;
	for (unsigned k = 0; k < STORES; k++)
		assert_int_equal(rtp_store_init(&s[k], EACH), 0);
	for (unsigned i = 1; i <= 1000; i++)
		for (unsigned k = 0; k < STORES; k++) {
			put(pool, &s[k], 70000 + i, i);
			assert_non_null(rtp_store_get(&s[k], 70000 + i));
			assert_true(pkt_pool_free_count(pool) >= PKTS / 8 - 1);
		}
	for (unsigned k = 0; k < STORES; k++)
		rtp_store_fini(&s[k]);
	assert_int_equal(pkt_pool_free_count(pool), PKTS);
	pkt_pool_destroy(pool);
}

static void test_overwrite_and_expire(void **state)
{
	struct pkt_pool *pool = pkt_pool_create(POOL);
	struct rtp_store s;

	(void)state;
	assert_int_equal(rtp_store_init(&s, SIZE), 0);
	for (unsigned i = 1; i <= 100; i++)
		put(pool, &s, 70000 + i, i);
	assert_int_equal(pkt_pool_free_count(pool), POOL - SIZE);
	assert_null(rtp_store_get(&s, 70000 + 100 - SIZE));
	assert_int_equal(rtp_store_get(&s, 70000 + 100 - SIZE + 1)->rtp.seq64,
			 70000 + 101 - SIZE);
	assert_non_null(rtp_store_get(&s, 70100));
	assert_null(rtp_store_get(&s, 70101));
	/* too old: not taken, and it throws nobody out */
	put(pool, &s, 70100 - SIZE, 200);
	assert_null(rtp_store_get(&s, 70100 - SIZE));
	assert_non_null(rtp_store_get(&s, 70100));
	/* a jump lets go of everything it passes */
	put(pool, &s, 90000, 101);
	assert_int_equal(pkt_pool_free_count(pool), POOL - 1);
	put(pool, &s, 90000 - 3, 102);
	put(pool, &s, 90001, 103);
	rtp_store_expire(&s, 103);
	assert_int_equal(pkt_pool_free_count(pool), POOL - 1);
	assert_non_null(rtp_store_get(&s, 90001));
	rtp_store_expire(&s, 104);
	assert_int_equal(pkt_pool_free_count(pool), POOL);
	/* a late one after all have gone, then on */
	put(pool, &s, 90000, 105);
	assert_non_null(rtp_store_get(&s, 90000));
	put(pool, &s, 90002, 106);
	assert_non_null(rtp_store_get(&s, 90002));
	rtp_store_fini(&s);
	assert_int_equal(pkt_pool_free_count(pool), POOL);
	pkt_pool_destroy(pool);
}

static void test_model(void **state)
{
	struct pkt_pool *pool = pkt_pool_create(POOL);
	uint64_t *at = calloc(SPAN, sizeof *at);
	uint64_t highest = 1000, oldest_us = 0;
	struct rtp_store s;

	(void)state;
	srand(7);
	assert_int_equal(rtp_store_init(&s, SIZE), 0);
	put(pool, &s, highest, 1);
	at[highest] = 1;
	for (uint64_t now = 2; now < STEPS; now++) {
		unsigned kind = (unsigned)rand() % 100;
		uint64_t seq = highest + 1;

		if (kind < 20)
			seq = highest - (uint64_t)(rand() % (SIZE + 10));
		else if (kind < 30)
			seq = highest + 1 + (uint64_t)(rand() % 20);
		else if (kind == 30)
			seq = highest + (uint64_t)(rand() % (3 * SIZE));
		if (!at[seq]) {
			put(pool, &s, seq, now);
			if (seq + SIZE > highest)
				at[seq] = now;
		}
		if (seq > highest)
			highest = seq;
		if (kind > 97) {
			oldest_us = now > 50 ? now - 50 : 0;
			rtp_store_expire(&s, oldest_us);
		}
		for (uint64_t i = highest - 2 * SIZE; i <= highest + 2; i++) {
			const struct pkt *p = rtp_store_get(&s, i);

			if (p)
				assert_true(p->rtp.seq64 == i && at[i] == p->arrival_us);
			/* what was put and is neither replaced nor expired must be there
			 */
			if (at[i] && i + SIZE > highest && at[i] >= oldest_us)
				assert_non_null(p);
			if (i + SIZE <= highest)
				assert_null(p);
		}
	}
	assert_true(pkt_pool_free_count(pool) >= POOL - SIZE);
	rtp_store_fini(&s);
	assert_int_equal(pkt_pool_free_count(pool), POOL);
	pkt_pool_destroy(pool);
	free(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_scarce),
		cmocka_unit_test(test_overwrite_and_expire),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
