/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Channels beside the floor: who gets which voice, and that who follows the floor gets nothing of them. */
#include "unit/relay_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { PEOPLE = 8, MIC = 10 };

static struct party {
	struct relay_port *port;
	struct relay_stream *mic;
	uint32_t hears[RELAY_SLOTS_MAX]; /* stream id, 0 idle */
	unsigned forwards;
} who[PEOPLE];
static struct relay *R;
static struct relay_room *room;
static uint64_t now, seq;
static unsigned spoke; /* bits: who was told to be speaking */

static void on_forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		       uint64_t begin, uint64_t now_us)
{
	struct party *w = owner;

	(void)p;
	(void)now_us;
	assert_true(begin || w->hears[slot] == relay_stream_id(st));
	w->hears[slot] = relay_stream_id(st);
	w->forwards++;
}

static bool on_accepts(void *owner, unsigned slot, const struct relay_stream *st)
{
	(void)owner;
	(void)slot;
	(void)st;
	return true;
}

static void on_idle(void *owner, unsigned slot, uint64_t now_us)
{
	(void)now_us;
	((struct party *)owner)->hears[slot] = 0;
}

static void on_want_key(void *owner, struct relay_stream *st, unsigned layer,
			bool patient, uint64_t now_us)
{
	(void)owner;
	(void)st;
	(void)layer;
	(void)patient;
	(void)now_us;
	fail();
}

static void on_wanted(void *owner, struct relay_stream *st, bool wanted, uint64_t now_us)
{
	(void)owner;
	(void)st;
	(void)wanted;
	(void)now_us;
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)r;
	(void)now_us;
	for (unsigned i = 0; i < count; i++)
		spoke |= 1u << (ids[i] - 1);
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, rig_whole, on_wanted,
						    rig_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static int setup(void **state)
{
	(void)state;
	memset(who, 0, sizeof who);
	now = 5000000;
	seq = 70000;
	spoke = 0;
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	room = relay_room_create(R, NULL);
	for (unsigned i = 0; i < PEOPLE; i++) {
		who[i].port = relay_port_create(room, i + 1, 3, 0, &who[i]);
		relay_port_suspend(who[i].port, false, now);
		who[i].mic =
			relay_stream_create(who[i].port, MIC + i, true, false, &who[i]);
		relay_stream_codec(who[i].mic, CODEC_OPUS, now);
		relay_stream_active(who[i].mic, true, now);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEOPLE; i++)
		relay_port_destroy(who[i].port, now);
	relay_room_destroy(room);
	relay_destroy(R);
	return 0;
}

static void packet(struct relay_stream *st)
{
	struct pkt p = { .refs = 1, .arrival_us = now };

	p.rtp.codec = CODEC_OPUS;
	p.rtp.seq64 = ++seq;
	p.rtp.ts64 = seq * 960;
	p.rtp.level_dbov = seq % 10 ? 25 : 80;
	p.rtp.payload_len = 80;
	relay_stream_packet(st, &p, now);
}

/* Those of `bits` talk. */
static void talk(unsigned bits, unsigned ms)
{
	for (unsigned t = 0; t < ms; t += 20, now += 20000) {
		for (unsigned i = 0; i < PEOPLE; i++)
			if (bits >> i & 1)
				packet(who[i].mic);
		if (t % 100 == 0)
			relay_tick(R, now);
	}
}

static unsigned count(const struct party *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++)
		n += w->hears[i] != 0;
	return n;
}

static bool hears(const struct party *w, unsigned i)
{
	for (unsigned slot = 0; slot < 3; slot++)
		if (w->hears[slot] == MIC + i)
			return true;
	return false;
}

static void test_the_floor_pays_nothing(void **state)
{
	unsigned before;

	(void)state;
	relay_stream_channel(who[1].mic, 1, now);
	talk(0x03, 1000);
	before = who[2].forwards;
	talk(0x02, 1000); /* the interpreter goes on for a while */
	assert_int_equal(who[2].forwards, before);
	assert_false(hears(&who[2], 1));
	assert_true(hears(&who[2], 0));
	assert_int_equal(spoke, 1);
	assert_int_equal(relay_stream_channel_get(who[1].mic), 1);
}

/* However many talk on the floor, and however loud: the channel is there. */
static void test_over_the_floor(void **state)
{
	(void)state;
	relay_stream_channel(who[1].mic, 2, now);
	relay_port_channel(who[7].port, 2, true, now);
	relay_port_channel(who[6].port, 2, false, now);
	relay_port_channel(who[5].port, 1, true, now);
	talk(0x1f, 2000);
	assert_true(hears(&who[7], 1));
	assert_int_equal(count(&who[7]), 3);
	assert_true(hears(&who[6], 1));
	assert_int_equal(count(&who[6]), 1);
	assert_false(hears(&who[5], 1)); /* another channel, in which nobody speaks */
	assert_int_equal(count(&who[5]), 3);
	/* It ends: the floor again, and nothing else. */
	relay_stream_active(who[1].mic, false, now);
	talk(0x1d, 500);
	assert_int_equal(count(&who[6]), 3);
	assert_false(hears(&who[6], 1) || hears(&who[7], 1));
	relay_port_channel(who[7].port, 0, true, now);
	relay_stream_active(who[1].mic, true, now);
	talk(0x1f, 500);
	assert_false(hears(&who[7], 1));
	assert_true(hears(&who[6], 1));
}

/* Two interpreters, of whom the latest is heard, but by themselves. */
static void test_hand_over(void **state)
{
	(void)state;
	relay_stream_channel(who[1].mic, 1, now);
	relay_stream_active(who[2].mic, false, now);
	relay_stream_channel(who[2].mic, 1, now);
	for (unsigned i = 1; i <= 3; i++)
		relay_port_channel(who[i].port, 1, false, now);
	talk(0x07, 500);
	assert_true(hears(&who[3], 1) && hears(&who[2], 1));
	assert_false(hears(&who[1], 1));
	assert_true(hears(&who[1], 0)); /* nobody else is in it: the floor */
	relay_stream_active(who[2].mic, true, now);
	relay_stream_active(who[1].mic, false, now);
	talk(0x07, 500);
	assert_true(hears(&who[3], 2) && hears(&who[1], 2));
	assert_false(hears(&who[3], 1) || hears(&who[2], 2));
}

/* From the channel to the floor and back: never in both. */
static void test_to_the_floor(void **state)
{
	(void)state;
	relay_port_channel(who[7].port, 1, true, now);
	relay_stream_channel(who[1].mic, 1, now);
	talk(0x03, 500);
	relay_stream_channel(who[1].mic, 0, now);
	talk(0x03, 500);
	assert_true(hears(&who[2], 1) && hears(&who[7], 1));
	assert_true(spoke & 2);
	relay_stream_channel(who[1].mic, 1, now);
	talk(0x03, 500);
	assert_false(hears(&who[2], 1));
	assert_true(hears(&who[7], 1));
	/* Gone while it speaks. */
	relay_stream_destroy(who[1].mic, now);
	talk(0x01, 200);
	assert_false(hears(&who[7], 1));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_floor_pays_nothing),
		TEST(test_over_the_floor),
		TEST(test_hand_over),
		TEST(test_to_the_floor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
