/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A mixer in the room: it hears all lanes, and those who ask hear its streams instead. */
#include "unit/relay_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <palabre/relay.h>

enum { PEOPLE = 6, MIXER = 100, MIX = 500, MINUS = 501 };

static struct party {
	struct relay_port *port;
	struct relay_stream *mic;
	uint32_t hears[RELAY_SLOTS_MAX]; /* stream id, 0 idle */
	unsigned forwards;
	bool refuses;
} who[PEOPLE], mixer;
static struct relay *R;
static struct relay_room *room;
static struct relay_stream *mix, *minus;
static uint64_t now, seq;

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
	(void)slot;
	return relay_stream_codec_get(st) == CODEC_OPUS &&
	       !((struct party *)owner)->refuses;
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
	(void)now_us;
	assert_non_null(owner); /* never of a made stream */
	assert_int_equal(relay_stream_wanted(st), wanted);
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)r;
	(void)now_us;
	for (unsigned i = 0; i < count; i++)
		assert_in_range(ids[i], 1, PEOPLE);
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_port_ops mixer_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, rig_whole, on_wanted,
						    rig_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static int setup(void **state)
{
	(void)state;
	memset(who, 0, sizeof who);
	memset(&mixer, 0, sizeof mixer);
	now = 5000000;
	seq = 70000;
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	room = relay_room_create(R, NULL);
	for (unsigned i = 0; i < PEOPLE; i++) {
		who[i].port = relay_port_create(room, i + 1, 3, 0, &who[i]);
		relay_port_suspend(who[i].port, false, now);
		who[i].mic =
			relay_stream_create(who[i].port, 10 + i, true, false, &who[i]);
		relay_stream_codec(who[i].mic, CODEC_OPUS, now);
		relay_stream_active(who[i].mic, true, now);
	}
	mixer.port = relay_mixer_create(room, MIXER, &mixer_ops, &mixer, now);
	mix = relay_made_create(mixer.port, MIX, CODEC_OPUS, NULL);
	minus = relay_made_create(mixer.port, MINUS, CODEC_OPUS, NULL);
	return mixer.port && mix && minus ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	relay_stream_destroy(mix, now);
	relay_stream_destroy(minus, now);
	relay_port_destroy(mixer.port, now);
	for (unsigned i = 0; i < PEOPLE; i++)
		relay_port_destroy(who[i].port, now);
	assert_int_equal(relay_room_ports(room), 0);
	relay_room_destroy(room);
	relay_destroy(R);
	return 0;
}

static void packet(struct relay_stream *st, int level)
{
	struct pkt p = { .refs = 1, .arrival_us = now };

	p.rtp.codec = CODEC_OPUS;
	p.rtp.seq64 = ++seq;
	p.rtp.ts64 = seq * 960;
	p.rtp.level_dbov = (int8_t)level;
	p.rtp.payload_len = 80;
	relay_stream_packet(st, &p, now);
}

/* Those of `bits` talk; so do the mixes. */
static void talk(unsigned bits, unsigned ms)
{
	for (unsigned t = 0; t < ms; t += 20, now += 20000) {
		for (unsigned i = 0; i < PEOPLE; i++)
			if (bits >> i & 1)
				packet(who[i].mic, t % 200 == 180 ? 80 : 25);
		if (mix)
			packet(mix, 20);
		packet(minus, 20);
		if (t % 100 == 0)
			relay_tick(R, now);
	}
}

static unsigned count(const struct party *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < RELAY_SLOTS_MAX; i++)
		n += w->hears[i] != 0;
	return n;
}

static bool hears(const struct party *w, uint32_t id)
{
	for (unsigned i = 0; i < RELAY_SLOTS_MAX; i++)
		if (w->hears[i] == id)
			return true;
	return false;
}

/* The mixer has all four speakers, one more than anybody else. Nobody hears it unasked, and
 * it is nobody's voice. */
static void test_mixer_hears_all(void **state)
{
	(void)state;
	talk(0x1e, 2000);
	assert_int_equal(count(&mixer), 4);
	for (unsigned i = 1; i <= 4; i++)
		assert_true(hears(&mixer, 10 + i));
	assert_int_equal(count(&who[0]), 3);
	assert_int_equal(count(&who[1]), 3);
	for (unsigned i = 0; i < PEOPLE; i++)
		assert_false(hears(&who[i], MIX) || hears(&who[i], MINUS));
}

static void test_asked_for(void **state)
{
	unsigned before;

	(void)state;
	talk(0x0e, 1000);
	relay_port_alone(who[0].port, MIX, now);
	relay_port_alone(who[1].port, MINUS, now);
	assert_true(count(&who[0]) <= 1); /* slot 0 goes over without a break */
	talk(0x0e, 200);
	assert_int_equal(count(&who[0]), 1);
	assert_int_equal(who[0].hears[0], MIX);
	assert_int_equal(who[1].hears[0], MINUS);
	assert_int_equal(count(&who[4]), 3);
	/* a change of speakers is not their business */
	before = who[0].forwards;
	talk(0x31, 1000);
	assert_int_equal(who[0].forwards - before, 50);
	assert_int_equal(count(&who[0]), 1);
	/* and back to the lanes, and to another mix */
	relay_port_alone(who[0].port, 0, now);
	relay_port_alone(who[1].port, MIX, now);
	talk(0x32, 400);
	assert_int_equal(count(&who[0]), 3);
	assert_false(hears(&who[0], MIX));
	assert_int_equal(who[1].hears[0], MIX);
}

/* Away and back: the mix is still what they hear. No such stream: the lanes. */
static void test_suspended_and_gone(void **state)
{
	(void)state;
	relay_port_alone(who[0].port, MIX, now);
	relay_port_alone(who[2].port, 999, now);
	talk(0x1e, 400);
	assert_true(hears(&who[0], MIX));
	assert_int_equal(count(&who[2]), 3);
	relay_port_suspend(who[0].port, true, now);
	talk(0x1e, 400);
	memset(who[0].hears, 0, sizeof who[0].hears);
	relay_port_suspend(who[0].port, false, now);
	talk(0x1e, 400);
	assert_int_equal(count(&who[0]), 1);
	assert_int_equal(who[0].hears[0], MIX);
	relay_stream_destroy(mix, now);
	mix = NULL;
	talk(0x1e, 400);
	assert_int_equal(count(&who[0]), 3);
	mix = relay_made_create(mixer.port, MIX, CODEC_OPUS, NULL);
	talk(0x1e, 40);
	relay_port_alone(who[0].port, 0, now);
	relay_port_alone(who[0].port, MIX, now);
	talk(0x1e, 40);
	assert_int_equal(who[0].hears[0], MIX);
}

/* A voice alone, too; but not one's own, nor one that cannot be decoded. */
static void test_a_voice_alone(void **state)
{
	(void)state;
	relay_port_alone(who[0].port, 11, now);
	relay_port_alone(who[1].port, 11, now);
	who[2].refuses = true;
	relay_port_alone(who[2].port, MIX, now);
	talk(0x1e, 400);
	assert_int_equal(count(&who[0]), 1);
	assert_int_equal(who[0].hears[0], 11);
	assert_int_equal(count(&who[1]), 3);
	assert_false(hears(&who[1], 11));
	assert_int_equal(count(&who[2]), 0);
	/* when it is switched off the others are heard again */
	relay_stream_active(who[1].mic, false, now);
	talk(0x1c, 400);
	assert_int_equal(count(&who[0]), 3);
	assert_null(relay_mixer_create(room, MIXER, &mixer_ops, &mixer, now));
	assert_null(relay_made_create(mixer.port, MIX, CODEC_OPUS, NULL));
	assert_null(relay_made_create(mixer.port, 0, CODEC_OPUS, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mixer_hears_all),
		TEST(test_asked_for),
		TEST(test_suspended_and_gone),
		TEST(test_a_voice_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
