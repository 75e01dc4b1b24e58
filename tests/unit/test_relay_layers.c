/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sizes of one picture: which of them a slot carries, where it changes, what is wanted of the sender. */
#include "unit/relay_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <palabre/relay.h>

enum { VIEWERS = 3, CAM = 50, OTHER = 60, SECOND = 1000000 };

struct viewer {
	struct relay_port *port;
	unsigned forwards, firsts, idles;
	int layer; /* of the last packet, -1 none */
	uint32_t stream;
};

static struct relay *R;
static struct relay_room *room;
static struct relay_port *senders[2];
static struct relay_stream *cam, *other;
static struct viewer who[VIEWERS];
static uint64_t now, seqs[RELAY_LAYERS_MAX];
static unsigned keys[RELAY_LAYERS_MAX], impatient, demands, paused;

static void on_forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		       uint64_t begin, uint64_t now_us)
{
	struct viewer *w = owner;

	(void)now_us;
	assert_int_equal(slot, 0);
	if (begin)
		assert_true(begin == p->rtp.seq64 && p->rtp.frame.key &&
			    p->rtp.frame.start);
	else
		assert_int_equal(w->layer, p->rtp.layer);
	w->layer = p->rtp.layer;
	w->stream = relay_stream_id(st);
	w->forwards++;
	w->firsts += begin != 0;
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
	struct viewer *w = owner;

	(void)slot;
	(void)now_us;
	w->idles++;
	w->layer = -1;
	w->stream = 0;
}

static void on_want_key(void *owner, struct relay_stream *st, unsigned layer,
			bool patient, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	if (relay_stream_id(st) != CAM)
		return;
	keys[layer]++;
	impatient += !patient;
}

static void on_wanted(void *owner, struct relay_stream *st, bool wanted, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	paused += relay_stream_id(st) == CAM && !wanted;
}

static void on_demand(void *owner, struct relay_stream *st, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	assert_int_equal(relay_stream_id(st), CAM);
	demands++;
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)r;
	(void)ids;
	(void)count;
	(void)now_us;
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, rig_whole, on_wanted,
						    on_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static struct relay_stream *camera(struct relay_port *p, uint32_t id, unsigned layers)
{
	struct relay_stream *st = relay_stream_create(p, id, false, false, NULL);

	assert_non_null(st);
	relay_stream_layers(st, layers);
	relay_stream_codec(st, CODEC_VP8, now);
	relay_stream_active(st, true, now);
	return st;
}

static int setup(void **state)
{
	(void)state;
	memset(who, 0, sizeof who);
	memset(keys, 0, sizeof keys);
	impatient = demands = paused = 0;
	now = 5 * SECOND;
	for (unsigned i = 0; i < RELAY_LAYERS_MAX; i++)
		seqs[i] = 65536 + 1000 * i;
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	room = relay_room_create(R, NULL);
	for (unsigned i = 0; i < 2; i++)
		senders[i] = relay_port_create(room, 100 + i, 0, 0, NULL);
	cam = camera(senders[0], CAM, 3);
	other = camera(senders[1], OTHER, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VIEWERS; i++)
		relay_port_destroy(who[i].port, now);
	for (unsigned i = 0; i < 2; i++)
		relay_port_destroy(senders[i], now);
	relay_room_destroy(room);
	relay_destroy(R);
	return 0;
}

static void view(unsigned i, uint32_t stream, uint16_t width, uint16_t height)
{
	const struct relay_view v = { stream, width, height };

	relay_port_view(who[i].port, false, &v, stream ? 1 : 0, now);
}

/* Somebody who shows the camera in a tile of that size. */
static void look(unsigned i, uint16_t width, uint16_t height)
{
	who[i].layer = -1;
	who[i].port = relay_port_create(room, 1 + i, 0, 1, &who[i]);
	assert_non_null(who[i].port);
	view(i, CAM, width, height);
	relay_port_suspend(who[i].port, false, now);
}

static void packet(struct relay_stream *st, unsigned layer, bool start, bool key)
{
	static struct pkt p;

	memset(&p.rtp, 0, sizeof p.rtp);
	p.refs = 1;
	p.rtp.codec = CODEC_VP8;
	p.rtp.layer = (uint8_t)layer;
	p.rtp.seq64 = seqs[layer]++;
	p.rtp.ts64 = now * 9 / 100;
	p.rtp.payload_len = (uint16_t)(100u << layer);
	p.rtp.frame.start = start;
	p.rtp.frame.key = key;
	if (key && start) {
		p.rtp.frame.width = (uint16_t)(160u << layer);
		p.rtp.frame.height = (uint16_t)(90u << layer);
	}
	p.arrival_us = now;
	relay_stream_packet(st, &p, now);
}

/* A picture in each of these sizes, and what time does. */
static void frame(unsigned layers, bool key)
{
	for (unsigned i = 0; i < 3; i++)
		if (layers >> i & 1)
			packet(cam, i, true, key);
	now += 40000;
	relay_tick(R, now);
}

static void frames(unsigned layers, unsigned count)
{
	while (count--)
		frame(layers, false);
}

static void test_the_tile_decides(void **state)
{
	static const struct {
		uint16_t width, height;
		int layer;
	} tiles[] = {
		{ 150, 100, 0 }, { 180, 300, 0 },  { 190, 110, 1 }, { 365, 300, 1 },
		{ 640, 360, 2 }, { 1900, 900, 2 }, { 0, 0, 2 },
	};

	(void)state;
	look(0, 10, 10);
	frame(7, true);
	assert_int_equal(who[0].layer, 0);
	for (unsigned i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
		view(0, CAM, tiles[i].width, tiles[i].height);
		frames(7, 3);
		frame(7, true);
		assert_int_equal(who[0].layer, tiles[i].layer);
	}
}

/* What was shown goes on until the other's key frame, of which only that layer's counts. */
static void test_changes_at_a_key_frame(void **state)
{
	unsigned forwards;

	(void)state;
	look(0, 160, 90);
	frame(7, true);
	assert_int_equal(who[0].firsts, 1);
	assert_true(impatient > 0);
	memset(keys, 0, sizeof keys);
	impatient = 0;
	view(0, CAM, 640, 360);
	assert_int_equal(keys[2], 1);
	assert_int_equal(impatient, 0);
	forwards = who[0].forwards;
	frames(7, 10);
	assert_int_equal(who[0].layer, 0);
	assert_int_equal(who[0].forwards, forwards + 10);
	packet(cam, 1, true, true);
	assert_int_equal(who[0].layer, 0);
	packet(cam, 2, true, true);
	assert_int_equal(who[0].layer, 2);
	assert_int_equal(who[0].firsts, 2);
	packet(cam, 0, true, false);
	assert_int_equal(who[0].layer, 2);
	/* back before anything came of it: nothing is waited for any more */
	view(0, CAM, 320, 180);
	view(0, CAM, 640, 360);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	assert_int_equal(who[0].firsts, 2);
	/* a decoder that has lost its way asks for what is shown */
	keys[2] = 0;
	relay_port_key_request(who[0].port, 0, now);
	assert_int_equal(keys[2], 1);
	assert_int_equal(relay_port_sid(who[0].port, 0), 2);
}

/* The largest that may go is a bound as the tile is; nothing may be right, too. */
static void test_the_allocator_decides(void **state)
{
	uint16_t width, height;

	(void)state;
	look(0, 640, 360);
	relay_port_layer(who[0].port, 0, 1, 0, now);
	frame(7, true);
	assert_int_equal(who[0].layer, 1);
	assert_int_equal(relay_port_tid(who[0].port, 0), 0);
	relay_port_layer(who[0].port, 0, 2, 1, now);
	frames(7, 2);
	assert_int_equal(relay_port_tid(who[0].port, 0), 1);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	relay_port_layer(who[0].port, 0, -1, -1, now);
	assert_int_equal(who[0].idles, 1);
	assert_int_equal(relay_port_sid(who[0].port, 0), -1);
	assert_ptr_equal(relay_port_target(who[0].port, 0), cam);
	relay_port_tile(who[0].port, 0, &width, &height);
	assert_int_equal(width, 640);
	assert_int_equal(height, 360);
	frame(7, true);
	assert_int_equal(who[0].layer, -1);
	view(0, CAM, 700, 400); /* changes nothing of that */
	frame(7, true);
	assert_int_equal(who[0].layer, -1);
	relay_port_layer(who[0].port, 0, 0, 2, now);
	frames(7, 2);
	assert_int_equal(who[0].layer, -1);
	frame(7, true);
	assert_int_equal(who[0].layer, 0);
	/* while nobody can send: the place is kept, and what may go is remembered */
	relay_port_suspend(who[0].port, true, now);
	relay_port_layer(who[0].port, 0, -1, 0, now);
	relay_port_suspend(who[0].port, false, now);
	frame(7, true);
	assert_int_equal(relay_port_sid(who[0].port, 0), -1);
	relay_port_layer(who[0].port, 0, 2, 2, now);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	/* what does not exist is nobody's business */
	relay_port_layer(who[0].port, 99, -1, 0, now);
	relay_port_layer(who[0].port, 0, 100, 100, now);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
}

static unsigned wanted(void)
{
	return relay_stream_demand(cam);
}

static void test_demand(void **state)
{
	(void)state;
	assert_int_equal(wanted(), 0);
	look(0, 160, 90);
	frame(1, true);
	assert_int_equal(who[0].layer, 0);
	assert_int_equal(wanted(), 1);
	frames(1, 150);
	assert_int_equal(wanted(), 1);
	/* a larger tile: told at once, one after the other */
	demands = 0;
	view(0, CAM, 640, 360);
	assert_int_equal(demands, 1);
	assert_int_equal(wanted(), 3);
	frames(1, 10);
	assert_int_equal(who[0].layer, 0);
	frame(3, true); /* its link bears no more: better than nothing */
	assert_int_equal(who[0].layer, 1);
	assert_int_equal(wanted(), 3);
	frames(3, 45);
	assert_int_equal(wanted(), 3);
	frames(3, 10);
	assert_int_equal(wanted(), 7);
	frames(3, 200);
	assert_int_equal(wanted(), 7);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	frames(7, 100);
	assert_int_equal(wanted(), 7);
	frames(7, 50);
	assert_int_equal(wanted(), 5);
	frames(5, 50);
	/* a second one with a middle tile, and gone again */
	look(1, 320, 180);
	assert_int_equal(wanted(), 7);
	frames(5, 5);
	frame(7, true);
	assert_int_equal(who[1].layer, 1);
	assert_int_equal(who[0].layer, 2);
	relay_port_destroy(who[1].port, now);
	who[1].port = NULL;
	frames(7, 100);
	assert_int_equal(wanted(), 7);
	frames(7, 40);
	assert_int_equal(wanted(), 5);
	/* one that came until nobody needed it is asked for at once, and not for ever if it does not come */
	view(0, CAM, 160, 90);
	frame(5, true);
	assert_int_equal(who[0].layer, 0);
	frames(5, 130);
	assert_int_equal(wanted(), 1);
	frames(1, 30);
	view(0, CAM, 640, 360);
	assert_int_equal(wanted(), 5);
	frames(1, 45);
	assert_int_equal(wanted(), 5);
	frames(1, 15);
	assert_int_equal(wanted(), 7);
	frames(1, 130);
	assert_int_equal(wanted(), 3);
	/* nobody at all */
	assert_int_equal(paused, 0);
	view(0, 0, 0, 0);
	frames(5, 60);
	assert_int_equal(paused, 1);
	assert_int_equal(wanted(), 0);
	assert_int_equal(who[0].idles, 1);
}

/* A sender's browser drops its largest size when its link no longer bears it. */
static void test_a_layer_dies(void **state)
{
	(void)state;
	look(0, 640, 360);
	frame(7, true);
	frames(7, 5);
	assert_int_equal(who[0].layer, 2);
	impatient = 0;
	frames(3, 15);
	assert_int_equal(impatient, 0);
	frames(3, 5);
	assert_true(impatient > 0); /* nothing moves: this one cannot wait */
	frame(3, true);
	assert_int_equal(who[0].layer, 1);
	frames(3, 50);
	/* and comes back */
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	/* all of them stop, for a moment: nobody is taken for dead */
	now += 3 * SECOND;
	relay_tick(R, now);
	keys[0] = keys[1] = 0;
	frames(7, 20);
	assert_int_equal(keys[0] + keys[1], 0);
	assert_int_equal(who[0].layer, 2);
}

/* Between people as between sizes, both at once. */
static void test_other_streams(void **state)
{
	(void)state;
	look(0, 640, 360);
	frame(7, true);
	view(0, OTHER, 640, 360);
	frames(7, 3);
	assert_int_equal(who[0].stream, CAM);
	packet(other, 0, true, true);
	assert_int_equal(who[0].stream, OTHER);
	view(0, CAM, 160, 90);
	packet(other, 0, true, false);
	frame(7, true);
	assert_int_equal(who[0].stream, CAM);
	assert_int_equal(who[0].layer, 0);
	/* another size is waited for when the sender goes */
	view(0, CAM, 640, 360);
	relay_stream_active(cam, false, now);
	assert_int_equal(who[0].idles, 1);
	frame(7, true);
	relay_stream_active(cam, true, now);
	frame(7, true);
	assert_int_equal(who[0].layer, 2);
	/* its numbers begin anew while it waits, and while it doesn't */
	view(0, CAM, 320, 180);
	seqs[2] += 100000;
	packet(cam, 2, true, false);
	frame(7, true);
	assert_int_equal(who[0].layer, 1);
	seqs[1] += 100000;
	packet(cam, 1, true, false);
	frame(7, false);
	frame(7, true);
	assert_int_equal(who[0].layer, 1);
}

static void test_measured(void **state)
{
	struct alloc_layer y[ALLOC_SPATIAL][ALLOC_TEMPORAL];

	(void)state;
	look(0, 640, 360);
	frame(7, true);
	frames(7, 100);
	relay_stream_measured(cam, now, y);
	for (unsigned sid = 0; sid < 3; sid++) {
		/* 25 a second */
		uint32_t bps = ((100u << sid) + 12) * 8 * 25;

		assert_int_equal(y[sid][0].state, ALLOC_ALIVE);
		assert_in_range(y[sid][0].bps, bps * 95 / 100, bps * 105 / 100);
		assert_in_range(y[sid][0].fps, 24, 26);
		assert_int_equal(y[sid][0].width, 160u << sid);
		assert_int_equal(y[sid][0].height, 90u << sid);
		assert_int_equal(y[sid][1].state, ALLOC_NONE);
	}
	frames(1, 60);
	relay_stream_measured(cam, now, y);
	assert_int_equal(y[0][0].state, ALLOC_ALIVE);
	assert_int_equal(y[2][0].state, ALLOC_PAUSED);
	assert_true(y[2][0].bps > y[1][0].bps && y[1][0].bps > y[0][0].bps);
	relay_stream_measured(other, now, y);
	assert_int_equal(y[0][0].state, ALLOC_PAUSED);
	assert_int_equal(y[1][0].state, ALLOC_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_tile_decides),
		TEST(test_changes_at_a_key_frame),
		TEST(test_the_allocator_decides),
		TEST(test_demand),
		TEST(test_a_layer_dies),
		TEST(test_other_streams),
		TEST(test_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
