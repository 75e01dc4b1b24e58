/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a slot sends, parsed again as its receiver would. */
#ifndef TESTS_SLOT_RIG_H
#define TESTS_SLOT_RIG_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <errno.h>
#include <cmocka.h>

#include "unit/rtp_gen.h"

struct parsed {
	struct rtp_view v;
	uint8_t bytes[PKT_BUF_BYTES];
	size_t len;
};

static inline void parse_out(struct parsed *o, enum codec_id codec)
{
	struct ext_map map = { .of_id = { [GEN_OUT_DD_ID] = EXT_DD } };

	assert_int_equal(rtp_parse(o->bytes, o->len, &map, &o->v), 0);
	if (!o->v.payload_len)
		return;
	assert_int_equal(frame_parse(codec, o->bytes + o->v.payload_off, o->v.payload_len,
				     o->v.marker, &o->v.frame),
			 0);
	if (o->v.ext[EXT_DD].off)
		assert_int_equal(dd_parse(o->bytes + o->v.ext[EXT_DD].off,
					  o->v.ext[EXT_DD].len, &o->v.frame),
				 0);
}

static inline void write_out(const struct rtp_slot *s, const struct pkt *p,
			     const struct rtp_out *out, struct parsed *o)
{
	size_t header;
	int n = rtp_slot_write(s, p, out, o->bytes, sizeof o->bytes, &header);
	uint8_t again[PKT_BUF_BYTES];

	assert_true(n > 0);
	o->len = (size_t)n;
	assert_int_equal(rtp_slot_write(s, p, out, again, sizeof again, &header), n);
	assert_memory_equal(again, o->bytes, o->len);
	parse_out(o, p->rtp.codec);
	assert_int_equal(header, o->v.payload_off);
	assert_int_equal(o->v.seq, (uint16_t)out->seq64);
	assert_int_equal(o->v.ts, (uint32_t)out->ts64);
}

#endif
