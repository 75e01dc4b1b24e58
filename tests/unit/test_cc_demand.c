/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a source's listeners want in all. */
#include <palabre/cc_layers.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t seed;

static unsigned dice(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void test_demand(void **state)
{
	struct demand d = { 0 };
	struct demand_part a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(demand_top(&d), -1);
	assert_int_equal(demand_layers(&d, true), 0);
	assert_true(demand_change(&d, &a, 0, 1, 100000));
	assert_int_equal(demand_layers(&d, false), 0x03);
	assert_false(demand_change(&d, &b, 0, 1, 50000));
	assert_true(demand_change(&d, &b, 2, 0, 1000000));
	assert_int_equal(demand_layers(&d, false), 0x43);
	assert_int_equal(demand_layers(&d, true), 0x4b);
	assert_int_equal(demand_top(&d), 2);
	assert_true(demand_room_bps(&d) > 700000 && demand_room_bps(&d) <= 1000000);
	assert_true(demand_change(&d, &b, -1, -1, 0));
	assert_int_equal(demand_top(&d), 0);
	/* on the edge between two steps */
	assert_true(demand_room_bps(&d) > 70000 && demand_room_bps(&d) <= 100000);
	for (unsigned i = 0; i < 20; i++)
		assert_false(demand_change(&d, &a, 0, 1, i % 2 ? 100000 : 90000));
	assert_true(demand_change(&d, &a, -1, -1, 0));
	assert_int_equal(demand_room_bps(&d), 0);
	assert_false(demand_change(&d, &a, 3, 0, 0));
	assert_false(demand_change(&d, &a, 0, 3, 8191));
	assert_true(demand_change(&d, &a, 0, 0, UINT32_MAX));
	assert_true(demand_room_bps(&d) >= 20000000);
}

/* As if everybody had been asked. */
static void test_demand_whatever(void **state)
{
	enum { LISTENERS = 200 };
	static struct demand_part parts[LISTENERS];
	static struct {
		int layer;
		uint32_t bps;
	} want[LISTENERS];
	struct demand d = { 0 };

	(void)state;
	seed = 4711;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned who = dice(LISTENERS), layers = 0,
			 before = demand_layers(&d, false);
		uint32_t most = 0, room = demand_room_bps(&d);
		bool changed;

		want[who].layer = dice(4) ? -1 : (int)dice(1 + i % 9);
		want[who].bps = dice(3) ? 0 : dice(1u << (8 + i / 1250));
		changed = demand_change(
			&d, &parts[who], want[who].layer < 0 ? -1 : want[who].layer / 3,
			want[who].layer < 0 ? -1 : want[who].layer % 3, want[who].bps);
		for (unsigned w = 0; w < LISTENERS; w++) {
			if (parts[w].layer)
				layers |= 1u << want[w].layer;
			if (want[w].bps > most)
				most = want[w].bps;
		}
		assert_int_equal(layers, d.layers);
		assert_true(demand_room_bps(&d) <= most);
		assert_true(most < 12000 || demand_room_bps(&d) >= most / 100 * 64);
		if (demand_layers(&d, false) != before || demand_room_bps(&d) != room)
			assert_true(changed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demand),
		cmocka_unit_test(test_demand_whatever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
