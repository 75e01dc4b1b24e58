/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Payload descriptors of VP8 (RFC 7741), VP9 (RFC 9628) and H.264 (RFC 6184): every
 * combination of optional fields, cut at every byte, rewritten in place. */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = 0xffff };

/* Parses a copy that ends where the payload ends; a failure must leave the view alone. */
static int parse(enum codec_id codec, const uint8_t *data, size_t len, bool marker,
		 struct frame_view *f)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct frame_view before;

	if (len)
		memcpy(copy, data, len);
	memset(f, 0x01, sizeof *f);
	memcpy(&before, f, sizeof before);
	int err = frame_parse(codec, copy, len, marker, f);

	if (err)
		assert_memory_equal(f, &before, sizeof before);
	free(copy);
	return err;
}

static void refuse(enum codec_id codec, const uint8_t *data, size_t len)
{
	struct frame_view f;

	assert_int_equal(parse(codec, data, len, false, &f), -EBADMSG);
}

/* Picture id and TL0PICIDX rewritten: only those bytes change, and they read back. */
static void rewrite(enum codec_id codec, const uint8_t *data, size_t len,
		    const struct frame_view *f)
{
	static const uint16_t pids[] = { 0, 1, 0x7f, 0x80, 0x1234, 0x7fff, 0xffff };
	uint8_t *copy = malloc(len);
	struct frame_view g;

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		memcpy(copy, data, len);
		frame_put_pid(copy, f, pids[i]);
		frame_put_tl0(copy, f, 0xc3);
		assert_int_equal(frame_parse(codec, copy, len, f->end, &g), 0);
		assert_int_equal(g.pid_bits, f->pid_bits);
		assert_int_equal(g.pid, pids[i] & ((1u << f->pid_bits) - 1));
		assert_int_equal(g.tl0, f->tl0_off == NONE ? 0 : 0xc3);
		g.pid = f->pid;
		g.tl0 = f->tl0;
		assert_memory_equal(&g, f, sizeof g);
		frame_put_pid(copy, f, f->pid);
		frame_put_tl0(copy, f, f->tl0);
		assert_memory_equal(copy, data, len);
	}
	free(copy);
}

/* ---- VP8 --------------------------------------------------------------------------- */

/* After the examples of RFC 7741 §4.6: a key frame and an interframe in one packet each,
 * a frame's second packet, a later partition's first, the long picture id 4711. */
static void test_vp8_examples(void **state)
{
	static const struct {
		uint8_t len, data[5];
		bool start, key;
		uint8_t pid_bits;
		uint16_t pid;
	} cases[] = {
		{ 4, { 0x90, 0x80, 0x11, 0x10 }, true, true, 7, 17 },
		{ 2, { 0x10, 0x11 }, true, false, 0, 0 },
		{ 4, { 0x80, 0x80, 0x11, 0x00 }, false, false, 7, 17 }, /* no header: no
									   key */
		{ 4, { 0x91, 0x80, 0x11, 0x00 }, false, false, 7, 17 },
		{ 5, { 0x90, 0x80, 0x92, 0x67, 0x11 }, true, false, 15, 4711 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool marker = i & 1;
		struct frame_view f;

		assert_int_equal(
			parse(CODEC_VP8, cases[i].data, cases[i].len, marker, &f), 0);
		assert_int_equal(f.start, cases[i].start);
		assert_int_equal(f.key, cases[i].key);
		assert_int_equal(f.end, marker);
		assert_int_equal(f.pid_bits, cases[i].pid_bits);
		assert_int_equal(f.pid, cases[i].pid);
		assert_int_equal(f.pid_off, cases[i].pid_bits ? 2 : NONE);
		assert_int_equal(f.tl0_off, NONE);
		assert_int_equal(f.sid, 0);
		assert_int_equal(f.tid, 0);
		assert_false(f.has_dd || f.dd_structure);
	}
}

static void test_vp8_start_needs_partition_zero(void **state)
{
	struct frame_view f;

	(void)state;
	for (unsigned first = 0; first < 0x80; first++) { /* N and R don't matter */
		uint8_t data[2] = { (uint8_t)first, 0x00 };
		bool start = (first & 0x10) && (first & 7) == 0;

		assert_int_equal(parse(CODEC_VP8, data, 2, false, &f), 0);
		assert_int_equal(f.start, start);
		assert_int_equal(f.key, start);
		data[1] = 0x01;
		assert_int_equal(parse(CODEC_VP8, data, 2, false, &f), 0);
		assert_int_equal(f.start, start);
		assert_false(f.key);
	}
}

/* All 16 × {7, 15 bits} descriptors, as RFC 7741 §4.2 lays them out. */
static void test_vp8_every_descriptor(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		uint8_t has = (uint8_t)((i & 15) << 4), data[8];
		bool wide = i & 16;
		struct frame_view f;
		struct wr w;

		wr_init(&w, data, sizeof data);
		wr_u8(&w, 0x90);
		wr_u8(&w, has | 0x0f); /* reserved bits set: to be ignored */
		size_t pid_at = wr_len(&w);

		if (has & 0x80) {
			if (wide)
				wr_be16(&w, 0x8000 | 0x4321);
			else
				wr_u8(&w, 0x55);
		}
		size_t tl0_at = wr_len(&w);

		if (has & 0x40)
			wr_u8(&w, 0xa7);
		if (has & 0x30)
			wr_u8(&w, 0xbf); /* TID 2, Y, KEYIDX 31 */
		size_t body = wr_len(&w);

		wr_u8(&w, 0x00);
		for (size_t cut = 0; cut <= body; cut++)
			refuse(CODEC_VP8, data, cut);
		assert_int_equal(parse(CODEC_VP8, data, body + 1, true, &f), 0);
		assert_true(f.start && f.end && f.key);
		assert_int_equal(f.pid_off, has & 0x80 ? pid_at : NONE);
		assert_int_equal(f.pid_bits, has & 0x80 ? (wide ? 15 : 7) : 0);
		assert_int_equal(f.pid, has & 0x80 ? (wide ? 0x4321 : 0x55) : 0);
		assert_int_equal(f.tl0_off, has & 0x40 ? tl0_at : NONE);
		assert_int_equal(f.tl0, has & 0x40 ? 0xa7 : 0);
		assert_int_equal(f.tid, has & 0x20 ? 2 : 0);
		assert_int_equal(f.up_tid, has & 0x20 ? 2 : 0);
		assert_int_equal(f.width, 0);
		rewrite(CODEC_VP8, data, body + 1, &f);
	}
}

/* A key frame says how large it is (RFC 6386 §9.1); the two upper bits are for scaling. */
static void test_vp8_size(void **state)
{
	uint8_t data[] = { 0x10, 0x30, 2, 3, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x81 };
	struct frame_view f;

	(void)state;
	assert_int_equal(parse(CODEC_VP8, data, sizeof data, false, &f), 0);
	assert_true(f.key);
	assert_int_equal(f.width, 640);
	assert_int_equal(f.height, 360);
	for (size_t cut = 2; cut < sizeof data;
	     cut++) { /* cut off: it is a key frame all the same */
		assert_int_equal(parse(CODEC_VP8, data, cut, false, &f), 0);
		assert_true(f.key);
		assert_int_equal(f.width, 0);
	}
	data[5] = 0; /* no start code */
	assert_int_equal(parse(CODEC_VP8, data, sizeof data, false, &f), 0);
	assert_int_equal(f.width, 0);
	data[5] = 1;
	data[1] = 0x31; /* no key frame */
	assert_int_equal(parse(CODEC_VP8, data, sizeof data, false, &f), 0);
	assert_int_equal(f.width, 0);
}

/* ---- VP9 --------------------------------------------------------------------------- */

/* All combinations of I (7, 15), P, L, F, V with a structure of 3 layers and 2 pictures.
 */
static size_t vp9_make(uint8_t *data, size_t cap, unsigned has, bool wide, unsigned sid,
		       size_t *pid_at, size_t *tl0_at)
{
	struct wr w;

	wr_init(&w, data, cap);
	wr_u8(&w, (uint8_t)has);
	*pid_at = wr_len(&w);
	if (has & 0x80) {
		if (wide)
			wr_be16(&w, 0x8000 | 0x7abc);
		else
			wr_u8(&w, 0x7e);
	}
	if (has & 0x20)
		wr_u8(&w, (uint8_t)(3 << 5 | 0x10 | sid << 1 | 1)); /* TID 3, U, SID, D */
	*tl0_at = wr_len(&w);
	if ((has & 0x30) == 0x20)
		wr_u8(&w, 0x99);
	if ((has & 0x50) == 0x50) {
		wr_u8(&w, 1 << 1 | 1);
		wr_u8(&w, 2 << 1 | 1);
		wr_u8(&w, 3 << 1);
	}
	if (has & 0x02) {
		wr_u8(&w, 2 << 5 | 0x18); /* three layers, Y, G */
		for (unsigned i = 0; i < 3; i++)
			wr_be32(&w, 0x01400168 + i);
		wr_u8(&w, 2);
		wr_u8(&w, 0x00);
		wr_u8(&w, 2 << 5 | 3 << 2); /* three references */
		wr_be24(&w, 0x010203);
	}
	size_t body = wr_len(&w);

	wr_u8(&w, 0x82);
	assert_false(w.bad);
	return body;
}

static void test_vp9_every_descriptor(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1024; i++) {
		unsigned has = i & 0xff, sid = i & 0x200 ? 2 : 0;
		bool wide = i & 0x100, layers = has & 0x20;
		size_t pid_at, tl0_at;
		struct frame_view f;
		uint8_t data[64];
		size_t body =
			vp9_make(data, sizeof data, has, wide, sid, &pid_at, &tl0_at);

		for (size_t cut = 0; cut <= body; cut++)
			refuse(CODEC_VP9, data, cut);
		assert_int_equal(parse(CODEC_VP9, data, body + 1, i & 1, &f), 0);
		assert_int_equal(f.pid_off, has & 0x80 ? pid_at : NONE);
		assert_int_equal(f.pid_bits, has & 0x80 ? (wide ? 15 : 7) : 0);
		assert_int_equal(f.pid, has & 0x80 ? (wide ? 0x7abc : 0x7e) : 0);
		assert_int_equal(f.sid, layers ? sid : 0);
		assert_int_equal(f.tid, layers ? 3 : 0);
		assert_int_equal(f.up_tid, layers ? 7 : 0);
		assert_int_equal(f.tl0_off, layers && !(has & 0x10) ? tl0_at : NONE);
		assert_int_equal(f.start, (has & 8) && (sid == 0 || !layers));
		assert_int_equal(f.end, !!(has & 4));
		assert_int_equal(f.key, !(has & 0x40) && (sid == 0 || !layers));
		rewrite(CODEC_VP9, data, body + 1, &f);
	}
}

static void test_vp9_reference_limit(void **state)
{
	/* I, P, F; three reference indices at most (RFC 9628 §4.2) */
	static const uint8_t four[] = { 0xd8, 0x01, 0x03, 0x03, 0x03, 0x02, 0x00 };
	static const uint8_t three[] = { 0xd8, 0x01, 0x03, 0x03, 0x02, 0x00 };
	struct frame_view f;

	(void)state;
	refuse(CODEC_VP9, four, sizeof four);
	assert_int_equal(parse(CODEC_VP9, three, sizeof three, false, &f), 0);
}

static void test_vp9_structure_alone(void **state)
{
	uint8_t data[300] = { 0x0a, 0x08,
			      255 }; /* B, V; G with 255 pictures, no references */
	struct frame_view f;

	(void)state;
	assert_int_equal(parse(CODEC_VP9, data, 3 + 255 + 1, false, &f), 0);
	refuse(CODEC_VP9, data, 3 + 255);
	data[1] = 0xf0; /* Y for eight layers */
	assert_int_equal(parse(CODEC_VP9, data, 2 + 32 + 1, false, &f), 0);
	refuse(CODEC_VP9, data, 2 + 32);
	data[1] = 0xe0; /* neither */
	assert_int_equal(parse(CODEC_VP9, data, 3, false, &f), 0);
	refuse(CODEC_VP9, data, 2);
}

/* ---- H.264 ------------------------------------------------------------------------- */

static void test_h264_single(void **state)
{
	struct frame_view f;

	(void)state;
	for (unsigned type = 0; type < 32; type++) {
		uint8_t nal[3] = { (uint8_t)(0x60 | type), 0x88, 0x84 };
		bool slice = type == 1 || type == 2 || type == 5;
		bool start = slice || (type >= 6 && type <= 9);

		if (type == 0 || type == 24 || type >= 25) {
			if (type != 24 && type != 28)
				refuse(CODEC_H264, nal, 3);
			continue;
		}
		assert_int_equal(parse(CODEC_H264, nal, 3, type & 1, &f), 0);
		assert_int_equal(f.start, start);
		assert_int_equal(f.key, type == 5 || type == 7);
		assert_int_equal(f.end, type & 1);
		assert_int_equal(f.pid_off, NONE);
		assert_int_equal(f.tl0_off, NONE);
		nal[1] = 0x40; /* first_mb_in_slice is not 0 */
		assert_int_equal(parse(CODEC_H264, nal, 3, false, &f), 0);
		assert_int_equal(f.start, start && !slice);
		assert_int_equal(f.key, type == 5 || type == 7);
		assert_int_equal(parse(CODEC_H264, nal, 1, false, &f),
				 0); /* bare header */
		assert_int_equal(f.start, start && !slice);
	}
	refuse(CODEC_H264, NULL, 0);
}

/* RFC 6184 §5.7.1: the browsers' key frame, SPS + PPS + IDR in one packet. */
static void test_h264_stap(void **state)
{
	uint8_t data[] = { 0x78, 0,    4,    0x67, 0x42, 0xe0, 0x1f, 0,
			   2,	 0x68, 0xce, 0,	   3,	 0x65, 0x88, 0x84 };
	struct frame_view f;

	(void)state;
	for (size_t cut = 0; cut < sizeof data; cut++)
		if (cut != 7 && cut != 11)
			refuse(CODEC_H264, data, cut);
	assert_int_equal(parse(CODEC_H264, data, sizeof data, true, &f), 0);
	assert_true(f.start && f.end && f.key);
	data[3] = 0x68; /* no SPS, still the IDR */
	assert_int_equal(parse(CODEC_H264, data, sizeof data, false, &f), 0);
	assert_true(f.start && !f.end && f.key);
	data[13] = 0x61;
	assert_int_equal(parse(CODEC_H264, data, sizeof data, false, &f), 0);
	assert_true(f.start && !f.key);
	data[3] = 0x61; /* a later slice first: not the start */
	assert_int_equal(parse(CODEC_H264, data, sizeof data, false, &f), 0);
	assert_false(f.start);
	data[13] = 0x78; /* STAP-A within STAP-A */
	refuse(CODEC_H264, data, sizeof data);
	data[13] = 0x7c;
	refuse(CODEC_H264, data, sizeof data);
	data[13] = 0x60;
	refuse(CODEC_H264, data, sizeof data);
	data[13] = 0x65;
	data[12] = 4;
	refuse(CODEC_H264, data, sizeof data);
	static const uint8_t empty[] = { 0x78, 0, 1, 0x67, 0, 0 };
	refuse(CODEC_H264, empty, sizeof empty);
	assert_int_equal(parse(CODEC_H264, empty, 4, false, &f), 0);
	assert_true(f.start && f.key);
}

/* RFC 6184 §5.8 */
static void test_h264_fu(void **state)
{
	uint8_t data[] = { 0x7c, 0x85, 0x88 };
	struct frame_view f;

	(void)state;
	assert_int_equal(parse(CODEC_H264, data, 3, false, &f), 0);
	assert_true(f.start && f.key && !f.end);
	refuse(CODEC_H264, data, 2);
	refuse(CODEC_H264, data, 1);
	data[1] = 0x05; /* middle: the same frame's, so a key frame's */
	assert_int_equal(parse(CODEC_H264, data, 3, false, &f), 0);
	assert_true(!f.start && f.key && !f.end);
	data[1] = 0x45;
	assert_int_equal(parse(CODEC_H264, data, 3, true, &f), 0);
	assert_true(!f.start && f.key && f.end);
	data[1] = 0x81;
	assert_int_equal(parse(CODEC_H264, data, 3, false, &f), 0);
	assert_true(f.start && !f.key);
	data[2] = 0x7f; /* not the picture's first slice */
	assert_int_equal(parse(CODEC_H264, data, 3, false, &f), 0);
	assert_false(f.start);
	for (unsigned type = 24; type <= 32; type++) {
		data[1] = (uint8_t)(0x80 | (type & 31));
		refuse(CODEC_H264, data, 3);
	}
}

/* ---- the rest ---------------------------------------------------------------------- */

static void test_audio_samples(void **state)
{
	static const uint8_t opus_60ms[] = { 11 << 3, 0 }; /* SILK wideband, one frame */
	static const uint8_t opus_lies[] = { 11 << 3 | 1, 0 };	  /* two equal ones */
	static const uint8_t opus_long[] = { 11 << 3 | 3, 3, 0 }; /* three of 60 ms */
	static const uint8_t pcm[1400];
	struct frame_view f;

	(void)state;
	assert_int_equal(parse(CODEC_OPUS, opus_60ms, sizeof opus_60ms, false, &f), 0);
	assert_int_equal(f.samples, 2880);
	refuse(CODEC_OPUS, opus_lies, sizeof opus_lies);
	refuse(CODEC_OPUS, opus_long, sizeof opus_long);
	assert_int_equal(parse(CODEC_PCMA, pcm, 160, false, &f), 0);
	assert_int_equal(f.samples, 160);
	assert_int_equal(parse(CODEC_PCMA, pcm, sizeof pcm, false, &f), 0);
	assert_int_equal(f.samples, 960);
	assert_int_equal(parse(CODEC_NONE, pcm, sizeof pcm, false, &f), 0);
	assert_int_equal(f.samples, 0);
}

static void test_no_video(void **state)
{
	static const enum codec_id codecs[] = { CODEC_NONE, CODEC_PCMU, CODEC_PCMA };
	struct frame_view f;
	uint8_t data[2] = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		assert_int_equal(parse(codecs[i], NULL, 0, false, &f), 0);
		assert_true(f.start && f.end && f.key);
		assert_int_equal(f.sid, 0);
		assert_int_equal(f.tid, 0);
		assert_int_equal(f.pid_bits, 0);
		assert_int_equal(f.pid_off, NONE);
		assert_int_equal(f.tl0_off, NONE);
		assert_false(f.has_dd || f.dd_structure);
		assert_int_equal(f.samples, 0);
		frame_put_pid(data, &f, 0x5555);
		frame_put_tl0(data, &f, 0x55);
		assert_int_equal(get_be16(data), 0x0102);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vp8_examples),
		cmocka_unit_test(test_vp8_start_needs_partition_zero),
		cmocka_unit_test(test_vp8_every_descriptor),
		cmocka_unit_test(test_vp8_size),
		cmocka_unit_test(test_vp9_every_descriptor),
		cmocka_unit_test(test_vp9_reference_limit),
		cmocka_unit_test(test_vp9_structure_alone),
		cmocka_unit_test(test_h264_single),
		cmocka_unit_test(test_h264_stap),
		cmocka_unit_test(test_h264_fu),
		cmocka_unit_test(test_audio_samples),
		cmocka_unit_test(test_no_video),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
