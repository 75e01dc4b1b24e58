/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* AV1: aggregation header; the dependency descriptor is compared with one written bit by
 * bit after the specification's syntax tables (appendix A.8). */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse(const uint8_t *data, size_t len, bool marker, struct frame_view *f)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, data, len);
	int err = frame_parse(CODEC_AV1, copy, len, marker, f);

	free(copy);
	return err;
}

/* Z Y W W N - - - */
static void test_aggregation_header(void **state)
{
	(void)state;
	for (unsigned header = 0; header < 256; header++) {
		uint8_t data[2] = { (uint8_t)header, 0x0a };
		bool z = header & 0x80, n = header & 0x08;
		struct frame_view f;

		memset(&f, 0x5a, sizeof f);
		int err = parse(data, 2, header & 1, &f);

		if (z && n) { /* a sequence cannot begin inside an OBU */
			assert_int_equal(err, -EBADMSG);
			assert_int_equal(f.tid, 0x5a);
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(f.start, !z);
		assert_int_equal(f.key, n);
		assert_int_equal(f.end, header & 1);
		assert_int_equal(f.pid_off, 0xffff);
		assert_int_equal(f.tl0_off, 0xffff);
		assert_false(f.has_dd);
		assert_int_equal(parse(data, 1, false, &f), -EBADMSG);
	}
	struct frame_view f;

	assert_int_equal(parse(NULL, 0, false, &f), -EBADMSG);
}

/* ---- a writer of descriptors, by the syntax tables --------------------------------- */

struct bits {
	uint8_t data[64];
	unsigned n;
};

static void put(struct bits *b, unsigned value, unsigned width)
{
	while (width--) {
		assert_true(b->n < 8 * sizeof b->data);
		if (value >> width & 1)
			b->data[b->n / 8] |= (uint8_t)(0x80 >> b->n % 8);
		b->n++;
	}
}

static void put_mandatory(struct bits *b, bool start, bool end, unsigned id,
			  unsigned frame)
{
	put(b, start, 1);
	put(b, end, 1);
	put(b, id, 6);
	put(b, frame, 16);
}

/* L1T3 with one chain: 4 templates, 3 decode targets, a resolution. */
static void put_structure_l1t3(struct bits *b, unsigned id_offset)
{
	static const uint8_t next_layer[] = { 0, 1, 1 }; /* T0 T0 T1 T2 */
	static const uint8_t dtis[4][3] = {
		{ 2, 2, 2 }, { 3, 3, 2 }, { 0, 3, 1 }, { 0, 0, 1 }
	};
	static const uint8_t fdiff[4] = { 0, 4, 2, 1 };
	static const uint8_t chain_fdiff[4] = { 0, 4, 2, 1 };

	put(b, id_offset, 6);
	put(b, 3 - 1, 5);
	for (unsigned i = 0; i < 3; i++)
		put(b, next_layer[i], 2);
	put(b, 3, 2); /* no more templates */
	for (unsigned t = 0; t < 4; t++)
		for (unsigned d = 0; d < 3; d++)
			put(b, dtis[t][d], 2);
	for (unsigned t = 0; t < 4; t++) {
		if (fdiff[t]) {
			put(b, 1, 1);
			put(b, fdiff[t] - 1u, 4);
		}
		put(b, 0, 1);
	}
	put(b, 1, 2); /* chain_cnt = 1, ns(4) */
	/* decode_target_protected_by: ns(1), no bits */
	for (unsigned t = 0; t < 4; t++)
		put(b, chain_fdiff[t], 4);
	put(b, 1, 1); /* resolutions_present_flag */
	put(b, 1280 - 1, 16);
	put(b, 720 - 1, 16);
}

static struct bits key_frame(unsigned id, unsigned frame, unsigned id_offset)
{
	struct bits b = { .n = 0 };

	put_mandatory(&b, true, false, id, frame);
	put(&b, 0x10, 5); /* structure, no targets bitmask, nothing custom */
	put_structure_l1t3(&b, id_offset);
	return b;
}

static size_t bytes_of(const struct bits *b)
{
	return (b->n + 7) / 8;
}

static int parse_dd(const uint8_t *data, size_t len, struct frame_view *f)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, data, len);
	int err = dd_parse(copy, len, f);

	free(copy);
	return err;
}

static void test_dd_mandatory(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		uint8_t dd[3] = { (uint8_t)first, 0xbe, 0xef };
		struct frame_view f = { .start = first & 1,
					.end = first & 1,
					.key = true,
					.tid = 3,
					.dd_structure = true,
					.pid_off = 0xffff };

		assert_int_equal(parse_dd(dd, 3, &f), 0);
		assert_true(f.has_dd);
		assert_false(f.dd_structure);
		assert_int_equal(f.start, first >> 7);
		assert_int_equal(f.end, first >> 6 & 1);
		assert_int_equal(f.dd_template, first & 63);
		assert_int_equal(f.dd_frame, 0xbeef);
		assert_true(f.key); /* not the descriptor's to say */
		assert_int_equal(f.tid, 3);
		assert_int_equal(f.pid_off, 0xffff);
	}
}

static void test_dd_structure(void **state)
{
	struct bits b = key_frame(17, 1000, 17);
	struct frame_view f = { 0 };

	(void)state;
	assert_int_equal(parse_dd(b.data, bytes_of(&b), &f), 0);
	assert_true(f.has_dd && f.dd_structure && f.start && !f.end);
	assert_int_equal(f.dd_template, 17);
	assert_int_equal(f.dd_frame, 1000);
}

/* Extended, but without a structure: the four other flags are no structure. */
static void test_dd_extended_only(void **state)
{
	struct bits b = { .n = 0 };
	struct frame_view f = { 0 };

	(void)state;
	put_mandatory(&b, false, true, 63, 65535);
	put(&b, 0x0f, 5);
	assert_int_equal(parse_dd(b.data, 4, &f), 0);
	assert_true(f.has_dd && !f.dd_structure && !f.start && f.end);
	assert_int_equal(f.dd_template, 63);
}

static void test_dd_cut(void **state)
{
	struct bits b = key_frame(1, 2, 3);

	(void)state;
	for (size_t len = 0; len < 5; len++) {
		struct frame_view f, before;

		memset(&f, 0x01, sizeof f);
		memcpy(&before, &f, sizeof f);
		if (len == 3) /* that much alone is a whole descriptor */
			continue;
		assert_int_equal(parse_dd(b.data, len, &f), -EBADMSG);
		assert_memory_equal(&f, &before, sizeof f);
	}
}

/* Every offset, every shift: the rewritten descriptor is the one written with the new
 * ids. */
static void test_dd_rewrite_structure(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 64; offset++) {
		for (unsigned shift = 0; shift < 256; shift += shift < 70 ? 1 : 37) {
			unsigned id = (offset + 2) % 64;
			unsigned frame = 65000 + offset * 64 + shift;
			struct bits in = key_frame(id, 4711, offset);
			struct bits want = key_frame((id + shift) % 64, frame & 0xffff,
						     (offset + shift) % 64);
			size_t len = bytes_of(&in);
			uint8_t *dd = malloc(len);
			struct frame_view f = { 0 };

			memcpy(dd, in.data, len);
			assert_int_equal(dd_parse(dd, len, &f), 0);
			dd_rewrite(dd, len, &f, (uint16_t)frame, (uint8_t)shift);
			assert_memory_equal(dd, want.data, len);
			free(dd);
		}
	}
}

static void test_dd_rewrite_mandatory_only(void **state)
{
	uint8_t dd[5] = { 0x80 | 60, 0x00, 0x01, 0x7f,
			  0xff }; /* flags but no structure */
	struct frame_view f = { 0 };

	(void)state;
	assert_int_equal(dd_parse(dd, 5, &f), 0);
	dd_rewrite(dd, 5, &f, 0xfedc, 10);
	assert_int_equal(dd[0], 0x80 | 6);
	assert_int_equal(get_be16(dd + 1), 0xfedc);
	assert_int_equal(dd[3], 0x7f);
	assert_int_equal(dd[4], 0xff);

	uint8_t *exact = malloc(3);

	memcpy(exact, "\x40\0\0", 3);
	assert_int_equal(dd_parse(exact, 3, &f), 0);
	dd_rewrite(exact, 3, &f, 1, 255);
	assert_int_equal(exact[0], 0x7f);
	assert_int_equal(exact[2], 1);
	free(exact);
}

static void test_dd_rewrite_stays_away(void **state)
{
	struct frame_view none = { 0 }, f = { .has_dd = true, .dd_structure = true };
	uint8_t dd[4] = { 1, 2, 3, 0x87 };

	(void)state;
	dd_rewrite(dd, 4, &none, 9, 9); /* no descriptor was parsed */
	assert_int_equal(get_be32(dd), 0x01020387);
	dd_rewrite(dd, 2, &f, 9, 9); /* shorter than it was */
	assert_int_equal(get_be32(dd), 0x01020387);
	dd_rewrite(dd, 4, &f, 9, 9);
	assert_int_equal(get_be32(dd), 0x0a000987);
}

static void test_dd_layers(void **state)
{
	static const uint8_t tids[] = { 0, 0, 1, 2 }, ups[] = { 2, 2, 0, 0 };
	struct bits b = key_frame(62, 1, 62);
	struct dd_layers l = { 0 }, before;
	uint8_t head[4] = { 0, 0, 1, 0 };

	(void)state;
	assert_int_equal(dd_layers_parse(b.data, bytes_of(&b), &l), 0);
	assert_int_equal(l.count, 4);
	for (unsigned i = 0; i < 6; i++) { /* two that are not in it */
		struct frame_view f = { .tid = 7, .sid = 7 };

		f.dd_template = (62 + i) & 63;
		dd_layers_put(&l, head, 3, &f);
		assert_int_equal(f.tid, i < 4 ? tids[i] : 7);
		assert_int_equal(f.sid, i < 4 ? 0 : 7);
		assert_int_equal(f.up_tid, i < 4 ? ups[i] : 0);
		/* custom_dtis_flag: it is another frame than its template says */
		head[3] = 0x20;
		dd_layers_put(&l, head, 4, &f);
		assert_int_equal(f.up_tid, 0);
		head[3] = 0;
	}
	/* cut off within layers or indications: nothing has changed */
	memcpy(&before, &l, sizeof l);
	for (size_t len = 0; len < 9; len++) {
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, b.data, len);
		assert_int_equal(dd_layers_parse(copy, len, &l), -EBADMSG);
		assert_memory_equal(&l, &before, sizeof l);
		free(copy);
	}
	/* templates that never end: more than there are ids */
	memset(b.data + 5, 0, sizeof b.data - 5);
	assert_int_equal(dd_layers_parse(b.data, sizeof b.data, &l), -EBADMSG);
	assert_memory_equal(&l, &before, sizeof l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aggregation_header),
		cmocka_unit_test(test_dd_layers),
		cmocka_unit_test(test_dd_mandatory),
		cmocka_unit_test(test_dd_structure),
		cmocka_unit_test(test_dd_extended_only),
		cmocka_unit_test(test_dd_cut),
		cmocka_unit_test(test_dd_rewrite_structure),
		cmocka_unit_test(test_dd_rewrite_mandatory_only),
		cmocka_unit_test(test_dd_rewrite_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
