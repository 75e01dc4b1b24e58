/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Ports, streams and slots, case by case; the random walk is in sim/sim_relay_rooms.c. */
#include "unit/relay_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <palabre/relay.h>

enum { PEOPLE = 10 };

struct person {
	struct relay_port *port;
	struct relay_stream *mic, *cam, *screen;
	uint32_t hears[RELAY_SLOTS_MAX]; /* stream id, 0 idle */
	unsigned forwards, firsts, idles;
	uint64_t begin; /* of what is shown */
	bool refuse_av1;
};
struct source {
	unsigned keys, wants, unwants;
	uint64_t seq;
	uint64_t ts;
	bool partial; /* something of its key frames is missing */
};

static struct relay *R;
static struct relay_room *room;
static struct person who[PEOPLE];
static struct source src[64];
static uint64_t now;
static uint32_t speaking[RELAY_LANES];
static unsigned speaking_count, speaking_calls;

static void on_forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		       uint64_t begin, uint64_t now_us)
{
	struct person *w = owner;

	(void)p;
	(void)now_us;
	w->forwards++;
	w->firsts += begin != 0;
	if (begin)
		w->begin = begin;
	if (!begin)
		assert_int_equal(w->hears[slot], relay_stream_id(st));
	w->hears[slot] = relay_stream_id(st);
}

static bool on_accepts(void *owner, unsigned slot, const struct relay_stream *st)
{
	struct person *w = owner;

	(void)slot;
	return !(w->refuse_av1 && relay_stream_codec_get(st) == CODEC_AV1);
}

static void on_idle(void *owner, unsigned slot, uint64_t now_us)
{
	struct person *w = owner;

	(void)now_us;
	assert_true(w->hears[slot] != 0);
	w->hears[slot] = 0;
	w->idles++;
}

static void on_want_key(void *owner, struct relay_stream *st, unsigned layer,
			bool patient, uint64_t now_us)
{
	(void)st;
	(void)layer;
	(void)patient;
	(void)now_us;
	((struct source *)owner)->keys++;
}

static bool on_whole(void *owner, struct relay_stream *st, unsigned layer, uint64_t ts64,
		     uint64_t *next)
{
	const struct source *s = owner;

	(void)st;
	(void)layer;
	assert_true(ts64 <= s->ts && *next < s->seq);
	return !s->partial;
}

static void on_wanted(void *owner, struct relay_stream *st, bool wanted, uint64_t now_us)
{
	struct source *s = owner;

	(void)now_us;
	assert_int_equal(relay_stream_wanted(st), wanted);
	if (wanted)
		s->wants++;
	else
		s->unwants++;
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)r;
	(void)now_us;
	memcpy(speaking, ids, count * sizeof ids[0]);
	speaking_count = count;
	speaking_calls++;
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, on_whole, on_wanted,
						    rig_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static int setup(void **state)
{
	(void)state;
	memset(who, 0, sizeof who);
	memset(src, 0, sizeof src);
	now = 5000000;
	speaking_count = speaking_calls = 0;
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	room = relay_room_create(R, NULL);
	return R && room ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEOPLE; i++)
		relay_port_destroy(who[i].port, now);
	assert_int_equal(relay_room_ports(room), 0);
	relay_room_destroy(room);
	relay_destroy(R);
	return 0;
}

static struct relay_stream *add(unsigned i, uint32_t id, bool audio, bool screen)
{
	struct relay_stream *st =
		relay_stream_create(who[i].port, id, audio, screen, &src[id]);

	assert_non_null(st);
	src[id].seq = 65536 + id;
	relay_stream_codec(st, audio ? CODEC_OPUS : CODEC_VP8, now);
	relay_stream_active(st, true, now);
	return st;
}

/* Person i has port i + 1, microphone 10 + i, camera 20 + i. */
static void join(unsigned i, unsigned audio, unsigned video, bool mic, bool cam)
{
	who[i].port = relay_port_create(room, i + 1, audio, video, &who[i]);
	assert_non_null(who[i].port);
	relay_port_suspend(who[i].port, false, now);
	if (mic)
		who[i].mic = add(i, 10 + i, true, false);
	if (cam)
		who[i].cam = add(i, 20 + i, false, false);
}

static void packet(struct relay_stream *st, int level, bool start, bool key)
{
	static struct pkt p;
	struct source *s = relay_stream_owner(st);

	memset(&p.rtp, 0, sizeof p.rtp);
	p.refs = 1;
	p.rtp.codec = (uint8_t)relay_stream_codec_get(st);
	p.rtp.seq64 = s->seq++;
	p.rtp.ts64 = s->ts += 960;
	p.rtp.level_dbov = (int8_t)level;
	p.rtp.payload_len = 80;
	p.rtp.frame.start = start;
	p.rtp.frame.key = key;
	p.arrival_us = now;
	relay_stream_packet(st, &p, now);
}

static void speak(struct relay_stream *st, int level)
{
	packet(st, level, true, true);
}

static void key(struct relay_stream *st)
{
	packet(st, -1, true, true);
}

static void delta(struct relay_stream *st)
{
	packet(st, -1, true, false);
}

/* `st` talks for a while as people do, with dips. */
static void talk(struct relay_stream *st, unsigned ms)
{
	for (unsigned t = 0; t < ms; t += 20) {
		speak(st, t % 200 == 180 ? 80 : 25);
		now += 20000;
		if (t % 100 == 0)
			relay_tick(R, now);
	}
}

static bool hears(unsigned i, uint32_t id)
{
	for (unsigned s = 0; s < RELAY_SLOTS_MAX; s++)
		if (who[i].hears[s] == id)
			return true;
	return false;
}

static void test_small_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		join(i, 3, 0, true, false);
	/* everybody has a lane before a word is said, and slots never change */
	for (unsigned round = 0; round < 400; round++) {
		for (unsigned i = 0; i < 4; i++)
			speak(who[i].mic, round / 50 % 4 == i ? 20 : 70);
		now += 20000;
		relay_tick(R, now);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(who[i].firsts, 3);
		assert_int_equal(who[i].forwards, 1200);
		assert_false(hears(i, 10 + i));
	}
	/* muted: idle at once, and packets that still come go nowhere */
	relay_stream_active(who[0].mic, false, now);
	assert_int_equal(who[1].idles, 1);
	speak(who[0].mic, 20);
	assert_int_equal(who[1].forwards, 1200);
	assert_false(hears(1, 10));
	relay_stream_active(who[0].mic, true, now);
	speak(who[0].mic, 20);
	assert_true(hears(1, 10));
	assert_int_equal(who[1].firsts, 4);
}

/* Who has lost their lane is not told to stop sending: they could never win one again. */
static void test_sound_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		join(i, 3, 0, true, false);
	for (unsigned i = 1; i < 6; i++) {
		talk(who[i].mic, 2500);
		assert_true(hears(0, 10 + i));
	}
	assert_false(hears(0, 11));
	now += 3000000;
	relay_tick(R, now);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(src[10 + i].unwants, 0);
	talk(who[1].mic, 400);
	assert_true(hears(0, 11));
}

static void test_fewer_slots(void **state)
{
	(void)state;
	join(0, 1, 0, false, false);
	join(5, 0, 0, false, false);
	for (unsigned i = 1; i < 5; i++)
		join(i, 3, 0, true, false);
	/* one slot follows who speaks, once the other has been silent */
	talk(who[1].mic, 1000);
	assert_int_equal(who[0].hears[0], 11);
	now += 900000;
	talk(who[3].mic, 40);
	assert_int_equal(who[0].hears[0], 13);
	talk(who[1].mic, 200);
	assert_int_equal(who[0].hears[0], 13);
	assert_int_equal(who[0].idles, 0);
	assert_int_equal(who[5].forwards, 0);
}

static void test_video_waits_for_key(void **state)
{
	struct relay_view a = { 21, 640, 360 }, b = { 22, 640, 360 };

	(void)state;
	join(0, 0, 1, false, false);
	join(1, 0, 1, false, true);
	join(2, 0, 1, false, true);
	join(3, 0, 1, false, false);
	relay_port_view(who[3].port, false, &b, 1, now);
	relay_port_view(who[0].port, false, &a, 1, now);
	assert_true(src[21].keys > 0);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 0);
	assert_null(relay_port_slot(who[0].port, 0));
	packet(who[1].cam, -1, false, true); /* key, but not its start */
	assert_int_equal(who[0].hears[0], 0);
	key(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_ptr_equal(relay_port_slot(who[0].port, 0), who[1].cam);
	/* the old one is shown until the new one's key; all who wait change at that
	 * packet */
	src[22].keys = 0;
	relay_port_view(who[0].port, false, &b, 1, now);
	assert_int_equal(src[22].keys, 1);
	delta(who[1].cam);
	assert_int_equal(who[0].forwards, 2);
	delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 21);
	key(who[2].cam);
	assert_int_equal(who[0].hears[0], 22);
	assert_int_equal(who[3].hears[0], 22);
	assert_int_equal(who[0].idles, 0);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 22);
	/* back and back again before a key: nothing is lost */
	relay_port_view(who[0].port, false, &a, 1, now);
	relay_port_view(who[0].port, false, &b, 1, now);
	key(who[1].cam);
	delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 22);
	/* decoder loss */
	src[22].keys = 0;
	relay_port_key_request(who[0].port, 0, now);
	relay_port_key_request(who[0].port, 7, now);
	assert_int_equal(src[22].keys, 1);
	/* gone: idle, then waits for the other */
	relay_port_view(who[0].port, false, &a, 1, now);
	relay_stream_active(who[2].cam, false, now);
	assert_int_equal(who[0].idles, 1);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 0);
	key(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	/* a key frame whose start came much too late is no beginning */
	relay_stream_active(who[2].cam, true, now);
	relay_port_view(who[0].port, false, &b, 1, now);
	src[22].seq += 500;
	delta(who[2].cam);
	src[22].seq -= 200;
	src[22].keys = 0;
	key(who[2].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_true(src[22].keys > 0);
	src[22].seq += 100;
	key(who[2].cam);
	assert_int_equal(who[0].hears[0], 22);
}

/* Who sees another goes over when all of a key frame is there, and with its first packet; who sees nobody, at once. */
static void test_whole_key_frame(void **state)
{
	struct relay_view a = { 21, 640, 360 }, b = { 22, 640, 360 };
	uint64_t begin;

	(void)state;
	join(0, 0, 1, false, false);
	join(1, 0, 1, false, true);
	join(2, 0, 1, false, true);
	relay_port_view(who[0].port, false, &a, 1, now);
	key(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	relay_port_view(who[0].port, false, &b, 1, now);
	join(3, 0, 1, false, false);
	relay_port_view(who[3].port, false, &b, 1, now);
	src[22].partial = true;
	src[22].keys = 0;
	begin = src[22].seq;
	key(who[2].cam);
	assert_int_equal(who[3].hears[0], 22);
	assert_int_equal(who[0].hears[0], 21);
	now += 100000;
	delta(who[2].cam);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_int_equal(who[0].forwards, 2);
	src[22].partial = false;
	delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 22);
	assert_true(who[0].begin == begin && who[0].firsts == 2);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 22);
	assert_int_equal(who[0].idles, 0);
	/* half a second is enough, or 64 packets */
	src[21].partial = true;
	relay_port_view(who[0].port, false, &a, 1, now);
	key(who[1].cam);
	now += 490000;
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 22);
	now += 20000;
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	src[22].partial = true;
	relay_port_view(who[0].port, false, &b, 1, now);
	key(who[2].cam);
	for (unsigned i = 0; i < 63; i++)
		delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 21);
	delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 22);
	/* the newest counts; and nobody waits who sees nobody any more */
	relay_port_view(who[0].port, false, &a, 1, now);
	key(who[1].cam);
	delta(who[1].cam);
	begin = src[21].seq;
	key(who[1].cam);
	assert_int_equal(who[0].hears[0], 22);
	relay_stream_active(who[2].cam, false, now);
	delta(who[1].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_true(who[0].begin == begin);
	/* one of long ago is not what the next who waits begins with */
	relay_stream_active(who[2].cam, true, now);
	src[22].partial = false;
	key(who[2].cam);
	relay_port_view(who[0].port, false, &b, 1, now);
	delta(who[2].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_int_equal(src[22].keys > 0, 1);
}

static void test_views(void **state)
{
	struct relay_view v[RELAY_VIEW_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		join(i, 0, 2, false, i > 0 && i < 4);
	who[0].cam = add(0, 20, false, false);
	/* twice, own, unknown, refused: none takes a slot */
	who[0].refuse_av1 = true;
	relay_stream_codec(who[3].cam, CODEC_AV1, now);
	memset(v, 0, sizeof v);
	v[0].stream = 21;
	v[1].stream = 21;
	v[2].stream = 20;
	v[3].stream = 60;
	v[4].stream = 23;
	v[5].stream = 22;
	relay_port_view(who[0].port, false, v, RELAY_VIEW_MAX + 1, now);
	for (unsigned i = 1; i < 4; i++)
		key(who[i].cam);
	assert_true(hears(0, 21) && hears(0, 22));
	assert_int_equal(who[0].hears[0], 21);
	/* the unknown one appears, and is before 22 */
	who[4].cam = add(4, 60, false, false);
	assert_true(src[60].keys > 0);
	key(who[4].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_int_equal(who[0].hears[1], 60);
	/* order alone moves nobody */
	v[0].stream = 60;
	v[1].stream = 21;
	relay_port_view(who[0].port, false, v, 2, now);
	key(who[1].cam);
	key(who[4].cam);
	assert_int_equal(who[0].hears[0], 21);
	assert_int_equal(who[0].hears[1], 60);
	/* an empty explicit view empties the slots */
	relay_port_view(who[0].port, false, NULL, 0, now);
	assert_int_equal(who[0].idles, 2);
	key(who[1].cam);
	assert_false(hears(0, 21));
	/* codec changes to what can't be shown, and to another that can */
	relay_port_view(who[0].port, false, v, 2, now);
	key(who[1].cam);
	key(who[4].cam);
	relay_stream_codec(who[1].cam, CODEC_AV1, now);
	assert_false(hears(0, 21));
	src[60].keys = 0;
	relay_stream_codec(who[4].cam, CODEC_VP9, now);
	assert_int_equal(src[60].keys, 1);
	{
		unsigned n = who[0].forwards, firsts = who[0].firsts;

		delta(who[4].cam);
		assert_int_equal(who[0].forwards, n);
		key(who[4].cam);
		assert_int_equal(who[0].firsts, firsts + 1);
	}
}

static void test_automatic(void **state)
{
	(void)state;
	join(0, 3, 2, false, false);
	for (unsigned i = 1; i < 8; i++)
		join(i, 3, 0, true, true);
	for (unsigned i = 1; i < 8; i++)
		key(who[i].cam);
	/* by age */
	assert_true(hears(0, 21) && hears(0, 22));
	/* a cough is no reason, a sentence is */
	talk(who[6].mic, 200);
	now += 2000000;
	relay_tick(R, now);
	for (unsigned i = 1; i < 8; i++)
		key(who[i].cam);
	assert_true(hears(0, 21) && hears(0, 22));
	talk(who[6].mic, 1200);
	for (unsigned i = 1; i < 8; i++)
		key(who[i].cam);
	assert_true(hears(0, 26) && hears(0, 21));
	assert_int_equal(who[0].hears[4], 26); /* in the place of 22, which came last */
	talk(who[4].mic, 1200);
	for (unsigned i = 1; i < 8; i++)
		key(who[i].cam);
	assert_true(hears(0, 24) && hears(0, 26));
	/* a screen comes first, and its slot is the less recent speaker's */
	who[2].screen = add(2, 50, false, true);
	key(who[2].screen);
	assert_true(hears(0, 50) && hears(0, 24));
	relay_stream_destroy(who[2].screen, now);
	key(who[6].cam);
	assert_true(hears(0, 26) && hears(0, 24));
	/* pinned and the rest automatic */
	relay_port_view(who[0].port, true, &(struct relay_view) { .stream = 27 }, 1, now);
	key(who[7].cam);
	assert_true(hears(0, 27) && hears(0, 24));
	assert_int_equal(speaking_count, 1);
	assert_int_equal(speaking[0], 5);
}

static void test_joint_speech_does_not_flap(void **state)
{
	unsigned firsts;

	(void)state;
	join(0, 3, 1, false, false);
	for (unsigned i = 1; i < 4; i++)
		join(i, 3, 0, true, true);
	talk(who[2].mic, 1000);
	key(who[2].cam);
	assert_true(hears(0, 22));
	firsts = who[0].firsts;
	for (unsigned t = 0; t < 200; t++) {
		speak(who[2].mic, t % 10 == 9 ? 80 : 25 + (int)(t % 7));
		speak(who[3].mic, t % 11 == 9 ? 80 : 25 + (int)(t % 5));
		key(who[1].cam);
		key(who[2].cam);
		key(who[3].cam);
		now += 20000;
		relay_tick(R, now);
	}
	assert_true(hears(0, 22));
	assert_in_range(who[0].firsts - firsts, 0, 1); /* 13's sound begins */
	talk(who[3].mic, 1200);
	key(who[3].cam);
	assert_true(hears(0, 23));
}

/* Four speak; a fifth is much louder, but a shout now and a shout later are not 300 ms of
 * it. */
static void test_challenger(void **state)
{
	uint64_t since = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		join(i, 3, 0, true, false);
	for (unsigned t = 0; t < 500; t++) {
		bool shout = (t >= 300 && t < 310) || t >= 380;

		for (unsigned i = 0; i < 4; i++)
			speak(who[i].mic, t % 10 == 2 * i ? 80 : 40);
		if (t >= 380 && !since)
			since = now;
		speak(who[4].mic, shout ? 20 : 90);
		if (hears(0, 14))
			break;
		now += 20000;
	}
	assert_true(since != 0);
	assert_in_range(now - since, 300000, 400000);
}

static void test_suspend(void **state)
{
	uint32_t before[RELAY_SLOTS_MAX];
	unsigned forwards;

	(void)state;
	join(0, 3, 2, false, false);
	for (unsigned i = 1; i < 4; i++)
		join(i, 3, 0, true, true);
	for (unsigned i = 1; i < 4; i++) {
		speak(who[i].mic, 20);
		key(who[i].cam);
	}
	memcpy(before, who[0].hears, sizeof before);
	forwards = who[0].forwards;
	relay_port_suspend(who[0].port, true, now);
	relay_port_suspend(who[0].port, true, now);
	assert_null(relay_port_slot(who[0].port, 0));
	for (unsigned i = 1; i < 4; i++) {
		speak(who[i].mic, 20);
		key(who[i].cam);
	}
	relay_port_key_request(who[0].port, 3, now);
	assert_int_equal(who[0].forwards, forwards);
	assert_int_equal(who[0].idles, 0);
	/* nobody wants the cameras now: said after two seconds */
	now += 1900000;
	relay_tick(R, now);
	assert_int_equal(src[21].unwants, 0);
	now += 200000;
	relay_tick(R, now);
	assert_int_equal(src[21].unwants, 1);
	assert_false(relay_stream_wanted(who[1].cam));
	/* one leaves meanwhile: the others keep their places */
	relay_stream_active(who[1].cam, false, now);
	relay_port_suspend(who[0].port, false, now);
	assert_int_equal(src[22].wants, 2);
	who[0].firsts = 0;
	for (unsigned i = 1; i < 4; i++) {
		speak(who[i].mic, 20);
		key(who[i].cam);
	}
	assert_int_equal(who[0].firsts, 5);
	assert_int_equal(who[0].hears[0], before[0]);
	assert_int_equal(who[0].hears[1], before[1]);
	assert_int_equal(who[0].hears[2], before[2]);
	assert_int_equal(before[3], 21);
	assert_int_equal(who[0].hears[3], 23);
	assert_int_equal(who[0].hears[4], before[4]);
	/* back within the calm: nobody is told anything */
	relay_port_suspend(who[0].port, true, now);
	now += 1000000;
	relay_tick(R, now);
	relay_port_suspend(who[0].port, false, now);
	now += 3000000;
	relay_tick(R, now);
	assert_int_equal(src[22].unwants, 1);
	assert_int_equal(src[22].wants, 2);
}

static void test_restart(void **state)
{
	unsigned forwards;

	(void)state;
	join(0, 3, 1, false, false);
	join(1, 3, 0, true, true);
	speak(who[1].mic, 20);
	key(who[1].cam);
	assert_int_equal(who[0].firsts, 2);
	/* a gap is a gap */
	src[11].seq += RECV_JUMP - 1;
	src[21].seq += RECV_JUMP - 1;
	speak(who[1].mic, 20);
	delta(who[1].cam);
	assert_int_equal(who[0].firsts, 2);
	assert_int_equal(who[0].forwards, 4);
	/* a restart: sound goes on in a new segment, the picture from its next key */
	src[11].seq += RECV_JUMP;
	src[21].seq += RECV_JUMP;
	speak(who[1].mic, 20);
	assert_int_equal(who[0].firsts, 3);
	src[21].keys = 0;
	forwards = who[0].forwards;
	delta(who[1].cam);
	assert_int_equal(src[21].keys, 1);
	assert_int_equal(who[0].forwards, forwards);
	key(who[1].cam);
	assert_int_equal(who[0].firsts, 4);
	assert_int_equal(who[0].idles, 0);
	/* a late packet is nobody's first */
	relay_stream_active(who[1].mic, false, now);
	relay_stream_active(who[1].mic, true, now);
	forwards = who[0].forwards;
	src[11].seq -= 5;
	speak(who[1].mic, 20);
	assert_int_equal(who[0].forwards, forwards);
	src[11].seq += 5;
	speak(who[1].mic, 20);
	assert_int_equal(who[0].firsts, 5);
}

static void test_limits(void **state)
{
	struct relay_stream *st;

	(void)state;
	assert_null(relay_port_create(room, 0, 3, 0, NULL));
	assert_null(relay_port_create(room, 9, RELAY_AUDIO_SLOTS_MAX + 1, 0, NULL));
	assert_null(relay_port_create(room, 9, 0, RELAY_VIDEO_SLOTS_MAX + 1, NULL));
	join(0, 3, 9, false, false);
	join(1, 3, 9, true, true);
	assert_null(relay_port_create(room, 1, 0, 0, NULL));
	assert_null(relay_stream_create(who[0].port, 0, true, false, NULL));
	assert_null(relay_stream_create(who[0].port, 11, true, false, NULL));
	add(1, 30, false, true);
	st = add(1, 31, true, true);
	assert_null(relay_stream_create(who[1].port, 32, true, false, NULL));
	relay_stream_destroy(st, now);
	assert_null(relay_stream_find(room, 31));
	assert_non_null(relay_stream_find(room, 30));
	add(1, 32, true, false);
	mem_fail_after(1);
	assert_null(relay_stream_create(who[0].port, 40, true, false, NULL));
	mem_fail_after(1);
	assert_null(relay_port_create(room, 9, 3, 0, NULL));
	mem_fail_after(1);
	assert_null(relay_room_create(R, NULL));
	mem_fail_after(1);
	assert_null(relay_create(&port_ops, &stream_ops, &room_ops));
	mem_fail_after(0);
	assert_null(relay_port_slot(who[0].port, RELAY_SLOTS_MAX));
	/* a port that goes takes its streams along and frees the others' slots */
	speak(who[1].mic, 20);
	assert_true(hears(0, 11));
	relay_port_destroy(who[1].port, now);
	who[1].port = NULL;
	assert_false(hears(0, 11));
	assert_null(relay_stream_find(room, 11));
	assert_int_equal(relay_room_ports(room), 1);
}

static void test_ticks(void **state)
{
	(void)state;
	assert_true(relay_next_us(R, now) == UINT64_MAX);
	for (unsigned i = 0; i < 6; i++)
		join(i, 3, 0, true, false);
	talk(who[0].mic, 300);
	assert_true(relay_next_us(R, now) <= now + 100000);
	assert_int_equal(speaking_count, 1);
	assert_int_equal(speaking[0], 1);
	/* at most every 300 ms */
	speaking_calls = 0;
	for (unsigned t = 0; t < 100; t++) {
		talk(who[t % 3].mic, 20);
		relay_tick(R, now);
	}
	assert_in_range(speaking_calls, 1, 7);
	/* silence: the list empties, who sends nothing leaves, and the room sleeps */
	for (unsigned t = 0; t < 80; t++)
		relay_tick(R, now += 100000);
	assert_int_equal(speaking_count, 0);
	assert_int_equal(who[5].hears[0] | who[5].hears[1] | who[5].hears[2], 0);
	assert_true(relay_next_us(R, now) == UINT64_MAX);
}

/* No pictures for one port: the voices stay, the others see on, and when they are back all is as its
 * view says. */
static void test_without_pictures(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		join(i, 3, 2, true, i > 0);
	key(who[1].cam);
	key(who[2].cam);
	talk(who[1].mic, 400);
	assert_true(hears(0, 21) && hears(0, 22) && hears(3, 21) && hears(3, 22));
	relay_port_pictures(who[0].port, false, now);
	assert_false(hears(0, 21) || hears(0, 22));
	assert_true(hears(0, 11));
	relay_port_pictures(who[0].port, false, now);
	/* nothing brings them back but that */
	relay_port_view(who[0].port, false, (struct relay_view[]) { { 23, 1, 1 } }, 1,
			now);
	relay_port_suspend(who[0].port, true, now);
	relay_port_suspend(who[0].port, false, now);
	memset(who[0].hears, 0, sizeof who[0].hears);
	relay_stream_active(who[2].cam, false, now);
	relay_stream_active(who[2].cam, true, now);
	for (unsigned i = 1; i < 4; i++)
		key(who[i].cam);
	talk(who[1].mic, 3000);
	for (unsigned i = 1; i < 4; i++) {
		delta(who[i].cam);
		assert_false(hears(0, 20 + i));
	}
	assert_true(hears(0, 11) && hears(3, 21) && hears(3, 22));
	assert_int_equal(src[21].unwants, 0);
	/* its own view */
	relay_port_pictures(who[0].port, true, now);
	for (unsigned i = 1; i < 4; i++)
		key(who[i].cam);
	assert_true(hears(0, 23));
	assert_false(hears(0, 21) || hears(0, 22));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_pictures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sound_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fewer_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_video_waits_for_key, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_whole_key_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_views, setup, teardown),
		cmocka_unit_test_setup_teardown(test_automatic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_joint_speech_does_not_flap, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_challenger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_suspend, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
