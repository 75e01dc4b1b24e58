/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A picture slot that changes to another camera, on real sockets. */
#include "worker_rig.h"

#include <palabre/wire.h>

enum {
	FIRST = 1000,
	SECOND = 2000,
	VIDEO_PT = 96,
	MARK = 17,
	MARK_AT = MARK - 12,
	SEEN_MAX = 64
};

/* What the viewer has got, in the order of arrival; and what it got again. */
static struct seen {
	unsigned count;
	uint16_t seq[SEEN_MAX];
	uint8_t mark[SEEN_MAX];
} seen, again;

static void on_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	bool rtx = (data[1] & 0x7f) != VIDEO_PT;
	struct seen *to = rtx ? &again : &seen;
	size_t header = 12 + 4 * (data[0] & 15u);
	size_t mark = header + MARK_AT + (rtx ? RTX_OSN_BYTES : 0);

	(void)arg;
	(void)now_us;
	if (len <= mark || to->count == SEEN_MAX)
		return;
	to->seq[to->count] = get_be16(data + (rtx ? header : 2));
	to->mark[to->count++] = data[mark];
}

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	memset(&again, 0, sizeof again);
	return 0;
}

/* One VP8 packet: first of its frame or not, of a key frame or not, with a mark to know it
 * by. */
static void send_video(struct client *c, uint32_t ssrc, uint16_t seq, uint16_t frame,
		       bool start, bool key, uint8_t mark)
{
	uint8_t buf[200] = { 0x80, VIDEO_PT };

	put_be16(buf + 2, seq);
	put_be32(buf + 4, frame * 3000u);
	put_be32(buf + 8, ssrc);
	buf[12] = start ? 0x90 : 0x80; /* X, S */
	buf[13] = 0x80;		       /* I */
	put_be16(buf + 14, (uint16_t)(0x8000 | frame));
	buf[16] = start && key ? 0 : 1; /* P */
	buf[MARK] = mark;
	assert_int_equal(client_send_rtp(c, buf, 120), 0);
}

static void run(struct scene *s, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		scene_poll(s);
		poll(NULL, 0, 1);
	}
}

static void await_seen(struct scene *s, unsigned count)
{
	for (unsigned i = 0; i < 2000 && seen.count < count; i++)
		run(s, 1);
	assert_int_equal(seen.count, count);
}

/* The viewer's one slot is to show person `port`. */
static void show(struct scene *s, uint32_t port)
{
	struct relay_view view = { .stream = leg_stream_id(port, STREAM_CAMERA),
				   .width = 640,
				   .height = 480 };

	assert_int_equal(worker_leg_view(s->worker, 3, false, &view, 1), 0);
	run(s, 20);
}

/* Two cameras and a viewer, who looks at the first. */
static void show_open(struct scene *s, unsigned group, struct client **first,
		      struct client **second, struct client **viewer)
{
	static const struct client_section
		one[] = { { .send = true, .video = true, .ssrc = FIRST } },
		two[] = { { .send = true, .video = true, .ssrc = SECOND } },
		slot[] = { { .video = true } };
	struct client_params params = { .on_rtp = on_rtp };

	scene_open(s, group);
	*first = scene_join(s, one, 1, NULL);
	*second = scene_join(s, two, 1, NULL);
	*viewer = scene_join(s, slot, 1, &params);
	scene_connect(s);
	show(s, 1);
}

/* The first packet of the key frame comes after the rest of it and the frame behind: the
 * slot begins with it, and the rest follows without having been asked for. */
static void late_key_frame(void **state)
{
	static const uint8_t want[] = { 1, 2, 20, 21, 22, 23, 24 };
	struct client *a, *b, *c;
	struct scene s;

	(void)state;
	show_open(&s, 3, &a, &b, &c);
	send_video(b, SECOND, 70, 1, true, true, 0); /* nobody watches yet */
	send_video(a, FIRST, 7, 1, true, true, 1);
	await_seen(&s, 1);
	show(&s, 2);
	send_video(a, FIRST, 8, 2, true, false, 2); /* goes on until then */
	await_seen(&s, 2);
	send_video(b, SECOND, 71, 2, true, false, 9); /* no place to begin */
	send_video(b, SECOND, 73, 3, false, true, 21);
	send_video(b, SECOND, 74, 3, false, true, 22);
	send_video(b, SECOND, 75, 4, true, false, 23);
	run(&s, 20);
	assert_int_equal(seen.count, 2);
	send_video(b, SECOND, 72, 3, true, true, 20);
	await_seen(&s, 6);
	send_video(b, SECOND, 76, 5, true, false, 24);
	await_seen(&s, 7);
	assert_memory_equal(seen.mark, want, sizeof want);
	for (unsigned i = 1; i < seen.count; i++)
		assert_int_equal((uint16_t)(seen.seq[i] - seen.seq[i - 1]), 1);
	assert_int_equal(again.count, 0); /* it has missed nothing */
	scene_close(&s);
}

static void ask_again(struct client *c, uint16_t seq)
{
	uint8_t buf[200];
	struct wr w;

	wr_init(&w, buf, sizeof buf - 64);
	rtcp_put_nack(&w, 77, client_slot_ssrc(c, 0), &seq, 1);
	assert_int_equal(client_send_rtcp(c, buf, wr_len(&w)), 0);
}

/* Who has just missed packets gets the first frame after a switch once more. */
static void repeated_key_frame(void **state)
{
	static const uint8_t want[] = { 1, 1, 20, 21 };
	struct client *a, *b, *c;
	struct scene s;

	(void)state;
	show_open(&s, 4, &a, &b, &c);
	send_video(a, FIRST, 7, 1, true, true, 1);
	await_seen(&s, 1);
	ask_again(c, seen.seq[0]);
	run(&s, 60);
	assert_int_equal(again.count, 2);
	assert_int_equal(again.seq[0], again.seq[1]);
	show(&s, 2);
	send_video(b, SECOND, 71, 1, true, true, 20);
	send_video(b, SECOND, 72, 1, false, true, 21);
	await_seen(&s, 3);
	for (unsigned i = 0; i < 500 && again.count < 4; i++)
		run(&s, 1);
	send_video(b, SECOND, 73, 2, true, false, 22);
	await_seen(&s, 4);
	run(&s, 100);
	assert_int_equal(again.count, 4); /* and nothing more */
	assert_memory_equal(again.mark, want, sizeof want);
	assert_memory_equal(again.seq + 1, seen.seq, 3 * sizeof seen.seq[0]);
	scene_close(&s);
}

/* What is asked for goes once more unasked, but no more than a part of what was sent. */
static void asked_for_twice(void **state)
{
	struct client *a, *b, *c;
	struct scene s;

	(void)state;
	show_open(&s, 5, &a, &b, &c);
	for (unsigned i = 0; i < 32; i++)
		send_video(a, FIRST, (uint16_t)(7 + i), (uint16_t)(1 + i), true, i == 0,
			   (uint8_t)i);
	await_seen(&s, 32);
	for (unsigned i = 0; i < 20; i++) {
		ask_again(c, seen.seq[i]);
		run(&s, 30);
	}
	run(&s, 60);
	assert_int_equal(again.count, 20 + 8 + 32 / 16);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(late_key_frame, setup),
		cmocka_unit_test_setup(repeated_key_frame, setup),
		cmocka_unit_test_setup(asked_for_twice, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
