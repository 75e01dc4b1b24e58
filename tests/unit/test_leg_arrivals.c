/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a sender of pictures is told of their arrival: when, how often, and whatever its numbers do. */
#include "unit/leg_rig.h"

enum { TWCC_ID = 3, TOLD_MAX = 4096, ROOM = 1200 };

static struct world {
	struct scene s;
	struct leg *leg; /* sends */
	unsigned messages, bytes;
	uint8_t number; /* of the next message */
	unsigned count;
	struct twcc_status told[TOLD_MAX];
} W;

static int begin(void **state)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);

	(void)state;
	memset(&W, 0, sizeof W);
	scene_open(&W.s);
	leg_close(W.s.from, now_us(&W.s));
	assert_non_null(plan);
	strcpy(plan->local_ufrag, "face");
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	plan->source_count = 2;
	plan->sources[0] = (struct nego_source) { .sec = section("0", true),
						  .kind = STREAM_MIC,
						  .ssrc = MIC_SSRC };
	plan->sources[1] = (struct nego_source) { .sec = section("1", false),
						  .kind = STREAM_CAMERA,
						  .ssrc = CAMERA_SSRC };
	plan->sources[1].sec.codecs[0].twcc = true;
	plan->sources[1].sec.exts.of_id[TWCC_ID] = EXT_TWCC;
	assert_int_equal(
		leg_create(&W.leg, W.s.legs, W.s.room, 3, plan, NULL, now_us(&W.s)), 0);
	free(plan);
	W.leg->link = LEG_UP;
	relay_port_suspend(W.leg->port, false, now_us(&W.s));
	W.s.from = W.leg;
	leg_media(W.leg, STREAM_MIC, true, now_us(&W.s));
	assert_null(W.leg->arrivals); /* who sends no pictures is told nothing */
	leg_media(W.leg, STREAM_CAMERA, true, now_us(&W.s));
	assert_non_null(W.leg->arrivals);
	return 0;
}

static int end(void **state)
{
	(void)state;
	scene_close(&W.s);
	return 0;
}

static void send_numbered(uint16_t number, unsigned bytes)
{
	uint8_t twcc[2], vp8[ROOM] = { 0x10, 1 };
	struct rtp_header h = { .marker = true,
				.pt = VP8_PT,
				.seq = W.s.video_seq++,
				.ts = video_ts(W.s.ms),
				.ssrc = CAMERA_SSRC,
				.ext_count = 1 };

	put_be16(twcc, number);
	h.ext[0].id = TWCC_ID;
	h.ext[0].len = sizeof twcc;
	h.ext[0].data = twcc;
	deliver(&W.s, &h, vp8, bytes);
}

/* Takes what would go out now; when to ask again. */
static uint64_t hear(void)
{
	uint8_t buf[ROOM];
	struct twcc_status s;
	struct rtcp_iter all;
	struct twcc_iter it;
	struct rtcp_pkt p;
	struct wr w;
	uint64_t next;

	wr_init(&w, buf, sizeof buf);
	next = leg_arrivals_put(W.leg, &w, now_us(&W.s));
	assert_false(w.bad);
	if (!wr_len(&w))
		return next;
	assert_int_equal(rtcp_iter_init(&all, buf, wr_len(&w)), 0);
	while (rtcp_next(&all, &p)) {
		assert_int_equal(p.media_ssrc, CAMERA_SSRC);
		assert_int_equal(twcc_iter_init(&it, &p), 0);
		assert_int_equal(it.number, W.number++);
		while (twcc_next(&it, &s)) {
			assert_true(W.count < TOLD_MAX);
			W.told[W.count++] = s;
		}
		W.messages++;
	}
	W.bytes += (unsigned)wr_len(&w);
	return next;
}

/* Packets of so many bytes each so many ms, heard of every millisecond. */
static void stream(uint16_t *number, unsigned ms, unsigned every_ms, unsigned bytes)
{
	for (unsigned i = 0; i < ms; i++, W.s.ms++) {
		if (i % every_ms == 0)
			send_numbered((*number)++, bytes);
		(void)hear();
	}
}

static void test_all_is_told(void **state)
{
	uint16_t number = 0xffd0;
	int64_t first;

	(void)state;
	stream(&number, 3000, 10, 200);
	W.s.ms += 300;
	assert_int_equal(hear(), UINT64_MAX);
	assert_int_equal(W.count, 300);
	first = W.told[0].arrival_us;
	for (unsigned i = 0; i < W.count; i++) {
		assert_int_equal(W.told[i].seq, (uint16_t)(0xffd0 + i));
		assert_true(W.told[i].received);
		assert_int_equal(W.told[i].arrival_us - first, 10000 * i);
	}
	assert_int_equal(STAT(twcc_stray), 0);
	assert_int_equal(STAT(twcc_tx), W.messages);
	/* Nothing came, nothing is said. */
	W.messages = 0;
	for (unsigned i = 0; i < 2000; i++, W.s.ms++)
		assert_int_equal(hear(), UINT64_MAX);
	assert_int_equal(W.messages, 0);
}

/* 5 % of what comes, 4 to 20 times a second. */
static void test_how_often(void **state)
{
	static const struct {
		unsigned every_ms, bytes, least, most;
	} rows[] = { { 200, 600, 30, 42 }, /* 25 kbit/s */
		     { 25, 100, 38, 90 },  /* 48 */
		     { 20, 160, 60, 130 }, /* 85 */
		     { 10, 1000, 180, 202 } /* 830 */ };
	uint16_t number = 1;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned sent;

		stream(&number, 2000, rows[i].every_ms, rows[i].bytes); /* it settles */
		W.messages = W.bytes = W.count = 0;
		stream(&number, 10000, rows[i].every_ms, rows[i].bytes);
		assert_in_range(W.messages, rows[i].least, rows[i].most);
		sent = 10000 / rows[i].every_ms * (rows[i].bytes + 20 + WIRE_BYTES);
		print_message("%u kbit/s: %u messages, %.1f kbit/s back\n",
			      sent * 8 / 10000, W.messages,
			      (W.bytes + W.messages * WIRE_BYTES) * 8 / 10000.0);
		if (W.messages > 45)
			assert_true((W.bytes + W.messages * WIRE_BYTES) * 18 < sent);
	}
}

/* Lost ones are told of as lost; one that comes after all is told of then. */
static void test_lost_and_late(void **state)
{
	uint16_t number = 100;
	unsigned lost = 0;

	(void)state;
	stream(&number, 500, 10, 200);
	number += 3;
	stream(&number, 500, 10, 200);
	for (unsigned i = 0; i < W.count; i++)
		lost += !W.told[i].received;
	assert_int_equal(lost, 3);
	W.count = 0;
	send_numbered(151, 200);
	W.s.ms += 300;
	(void)hear();
	assert_int_equal(W.told[0].seq, 151);
	assert_true(W.told[0].received);
	for (unsigned i = 1; i < W.count; i++)
		assert_int_equal(W.told[i].received,
				 W.told[i].seq != 150 && W.told[i].seq != 152);
	assert_int_equal(STAT(twcc_stray), 0);
}

/* Numbers that repeat, leap or come from long ago: counted, bounded, and then it goes on. */
static void test_hostile(void **state)
{
	uint16_t number = 1000;
	uint32_t dice = 1;

	(void)state;
	stream(&number, 500, 10, 200);
	W.s.ms += 300;
	(void)hear();
	W.count = 0;
	for (unsigned i = 0; i < 100; i++)
		send_numbered((uint16_t)(number - 1), 200);
	send_numbered((uint16_t)(number - 1000), 200); /* in the window, long told of */
	W.s.ms += 300;
	assert_int_equal(hear(), UINT64_MAX);
	assert_int_equal(W.count, 0);
	assert_int_equal(STAT(twcc_stray), 101);
	/* A leap. */
	send_numbered((uint16_t)(number + 20000), 200);
	W.s.ms += 300;
	assert_int_equal(hear(), UINT64_MAX);
	assert_int_equal(W.count, 1);
	assert_int_equal(STAT(twcc_stray), 102);
	/* Anything: what is said is never more than a part of what comes. */
	W.count = W.bytes = W.messages = 0;
	for (unsigned i = 0; i < 20000; i++) {
		dice = dice * 1664525 + 1013904223;
		number = (uint16_t)(i % 3 ? number + (dice >> 22) : dice >> 16);
		send_numbered(number, 1 + (dice >> 8) % 50);
		W.s.ms += i % 16 ? 0 : 1;
		W.count = 0;
		(void)hear();
	}
	assert_true(W.messages > 10 && W.bytes < 20000 * 20);
	assert_true(STAT(twcc_stray) > 5000);
	/* And it goes on. */
	W.count = 0;
	number = 5;
	stream(&number, 1000, 10, 200);
	W.s.ms += 300;
	(void)hear();
	assert_true(W.told[W.count - 1].seq == 104 && W.told[W.count - 1].received);
}

/* As much as arrives between two messages does not fit into one: several, nothing twice. */
static void test_more_than_fits(void **state)
{
	unsigned turns = 0;
	uint16_t number = 7;

	(void)state;
	for (unsigned i = 0; i < 1020; i++) {
		send_numbered(number++, 50);
		W.s.ms += i % 10 == 9 ? 70 : 0; /* large deltas, too */
	}
	W.s.ms += 300;
	while (hear() != UINT64_MAX)
		assert_true(++turns < 5);
	assert_true(W.messages > 1);
	assert_int_equal(W.count, 1020);
	for (unsigned i = 0; i < 1020; i++)
		assert_true(W.told[i].seq == 7 + i && W.told[i].received);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_told, begin, end),
		cmocka_unit_test_setup_teardown(test_how_often, begin, end),
		cmocka_unit_test_setup_teardown(test_lost_and_late, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile, begin, end),
		cmocka_unit_test_setup_teardown(test_more_than_fits, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
