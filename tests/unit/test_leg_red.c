/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A microphone that sends RED: what was lost comes out of the packets behind it. */
#include "unit/leg_rig.h"

enum { RED_PT = 63, SAID_BYTES = 8 };

/* What the `n`-th packet says; its timestamp is audio_ts(20 n). */
static void say(uint8_t out[SAID_BYTES], unsigned n)
{
	out[0] = 0x78;
	for (unsigned i = 1; i < SAID_BYTES; i++)
		out[i] = (uint8_t)(n + i);
}

static void red_begin(struct scene *s)
{
	s->from->plan.sources[0].sec.codecs[0].red_pt = RED_PT;
	s->from->plan.sources[0].sec.codecs[0].nack = false;
}

/* The `n`-th packet, with `earlier` ones before it again. */
static void send_red(struct scene *s, unsigned n, unsigned earlier)
{
	uint8_t said[RED_BLOCKS_MAX][SAID_BYTES], payload[200];
	struct red_block b[RED_BLOCKS_MAX];
	struct rtp_header h = { .pt = RED_PT,
				.seq = (uint16_t)(s->audio_seq + n),
				.ts = audio_ts(s, n * 20),
				.ssrc = s->mic_ssrc };
	int len;

	for (unsigned i = 0; i <= earlier; i++) {
		say(said[i], n - earlier + i);
		b[i] = (struct red_block) { .pt = OPUS_PT,
					    .ts_offset = (uint16_t)((earlier - i) * 960),
					    .len = SAID_BYTES,
					    .data = said[i] };
	}
	len = red_build(b, earlier + 1, payload, sizeof payload);
	assert_true(len > 0);
	deliver(s, &h, payload, (size_t)len);
	s->ms += 20;
	relay_tick(s->relay, now_us(s));
}

/* The store has what was sent or recovered: numbers, times and bytes as they were. */
static void assert_stored(struct scene *s, unsigned n)
{
	struct leg_source *src = s->from->sources[0];
	uint64_t seq64 = src->recv.highest - (uint16_t)((uint16_t)src->recv.highest -
							(uint16_t)(s->audio_seq + n));
	struct pkt *p = rtp_store_get(&src->store, seq64);
	uint8_t want[SAID_BYTES];

	assert_non_null(p);
	say(want, n);
	assert_int_equal(p->rtp.payload_len, SAID_BYTES);
	assert_memory_equal(p->data + p->rtp.payload_off, want, SAID_BYTES);
	assert_int_equal((uint32_t)p->rtp.ts64, audio_ts(s, n * 20));
	assert_int_equal(p->rtp.pt, OPUS_PT);
}

static void every_packet_is_taken_apart(void **state)
{
	struct scene *s = *state;

	red_begin(s);
	for (unsigned n = 2; n < 40; n++)
		send_red(s, n, 2);
	for (unsigned n = 2; n < 40; n++)
		assert_stored(s, n);
	/* What a packet costs is all of it: RFC 2198's byte, and four and the block for each earlier one. */
	assert_int_equal(s->from->sources[0]->red_bytes, 38 * (1 + 2 * (4 + SAID_BYTES)));
	assert_int_equal(STAT(red_rx), 0); /* nothing was missing */
	assert_int_equal(STAT(rtp_bad), 0);
}

static void the_lost_come_out_of_those_behind(void **state)
{
	struct scene *s = *state;

	red_begin(s);
	for (unsigned n = 2; n < 60; n++) {
		/* one, then two in a row */
		if (n % 10 == 5 || n % 20 == 12 || n % 20 == 13)
			continue;
		send_red(s, n, 2);
	}
	for (unsigned n = 2; n < 59; n++)
		assert_stored(s, n);
	assert_int_equal(STAT(red_rx), 6 + 3 * 2);
	assert_int_equal(s->from->sources[0]->recv.received, 58);
}

/* More lost than is repeated: what is there is taken, and what is not stays missing. */
static void too_much_is_lost(void **state)
{
	struct scene *s = *state;

	red_begin(s);
	for (unsigned n = 2; n < 10; n++)
		send_red(s, n, 1);
	send_red(s, 14, 1); /* 10 to 13 were lost; it brings 13 */
	assert_int_equal(STAT(red_rx), 1);
	assert_stored(s, 13);
	assert_int_equal(s->from->sources[0]->recv.received, 10);
	/* And plain Opus on the same stream is as good. */
	s->audio_pt = OPUS_PT;
	assert_int_equal(s->from->sources[0]->codec->pt, OPUS_PT);
}

static void lies_are_counted(void **state)
{
	static const uint8_t lies[][6] = {
		{ 0xef, 0, 0, 9, OPUS_PT, 1 },	  /* longer than the packet */
		{ 0xef, 0, 0, 1, 77, 1 },	  /* a primary of another kind */
		{ 0xff, 0xff, 0xff, 0xff, 0xff }, /* no end */
		{ RED_PT, 1, 2, 3, 4, 5 },	  /* RED in RED */
	};
	struct scene *s = *state;

	red_begin(s);
	for (unsigned n = 2; n < 6; n++)
		send_red(s, n, 1);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct rtp_header h = { .pt = RED_PT,
					.seq = (uint16_t)(s->audio_seq + 6 + i),
					.ts = audio_ts(s, 120 + i * 20),
					.ssrc = s->mic_ssrc };

		deliver(s, &h, lies[i], sizeof lies[i]);
	}
	assert_int_equal(STAT(rtp_bad), ARRAY_LEN(lies));
	assert_int_equal(s->from->sources[0]->recv.received, 4);
	/* without having agreed to it, it is nothing known */
	s->from->plan.sources[0].sec.codecs[0].red_pt = 0;
	send_red(s, 20, 1);
	assert_int_equal(s->from->sources[0]->recv.received, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_packet_is_taken_apart),
		TEST(the_lost_come_out_of_those_behind),
		TEST(too_much_is_lost),
		TEST(lies_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
