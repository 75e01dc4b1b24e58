/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RTP: parse, then every payload parser, then everything that rewrites in place. The
 * first 16 bytes are the extension map, the rest is the packet. Each parser and rewriter
 * gets a copy of exactly what it may touch, so the address sanitizer sees one byte too
 * far; what must hold of a result is checked.
 */
#include "fuzz.h"

#include <palabre/wire.h>

#include <stdlib.h>
#include <string.h>

static uint8_t *copy_of(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	check(copy);
	if (len)
		memcpy(copy, data, len);
	return copy;
}

static void try_payload(enum codec_id codec, const uint8_t *data, size_t len, bool marker)
{
	uint8_t *payload = copy_of(data, len);
	struct frame_view f, g;

	if (frame_parse(codec, payload, len, marker, &f) == 0) {
		check(f.pid_bits == 0 || f.pid_bits == 7 || f.pid_bits == 15);
		check((f.pid_bits == 0) == (f.pid_off == 0xffff));
		frame_put_pid(payload, &f, 0x2aaa);
		frame_put_tl0(payload, &f, 0x55);
		check(frame_parse(codec, payload, len, marker, &g) == 0);
		check(g.pid == (0x2aaa & ((1u << f.pid_bits) - 1)));
		check(g.tl0 == (f.tl0_off == 0xffff ? 0 : 0x55));
		check(g.start == f.start && g.key == f.key && g.end == f.end);
		check(g.sid == f.sid && g.tid == f.tid);
		frame_put_pid(payload, &f, f.pid);
		frame_put_tl0(payload, &f, f.tl0);
		check(len == 0 || memcmp(payload, data, len) == 0);
	}
	free(payload);
}

static void try_dd(const uint8_t *data, size_t len, uint8_t shift)
{
	struct frame_view f = { 0 }, g = { 0 };
	uint8_t *dd = copy_of(data, len);

	if (dd_parse(dd, len, &f) == 0) {
		dd_rewrite(dd, len, &f, 0xfade, shift);
		check(dd_parse(dd, len, &g) == 0);
		check(g.dd_frame == 0xfade &&
		      g.dd_template == ((f.dd_template + shift) & 63));
		check(g.start == f.start && g.end == f.end);
		check(g.dd_structure == f.dd_structure);
		dd_rewrite(dd, len, &f, f.dd_frame, (uint8_t)-shift);
		check(memcmp(dd, data, len) == 0);
	}
	free(dd);
}

/* What the view says of up to four extensions, built and parsed again. */
static void try_build(const uint8_t *data, const struct rtp_view *v)
{
	struct rtp_header h = { .pt = v->pt,
				.marker = v->marker,
				.seq = v->seq,
				.ts = v->ts,
				.ssrc = v->ssrc };
	struct ext_map map = { 0 };
	struct rtp_view again;
	uint8_t buf[12 + 4 + 4 * 257 + 3];

	for (uint8_t i = 1; i < EXT_COUNT && h.ext_count < 4; i++) {
		if (!v->ext[i].off)
			continue;
		h.ext[h.ext_count].id = i;
		h.ext[h.ext_count].len = v->ext[i].len;
		h.ext[h.ext_count++].data = data + v->ext[i].off;
		map.of_id[i] = i;
	}
	int len = rtp_build_header(&h, buf, sizeof buf);

	check(len > 0);
	uint8_t *built = copy_of(buf, (size_t)len);

	check(rtp_build_header(&h, built, (size_t)len) == len);
	check(rtp_build_header(&h, built, (size_t)len - 1) < 0);
	check(rtp_parse(built, (size_t)len, &map, &again) == 0);
	check(again.seq == v->seq && again.ts == v->ts && again.ssrc == v->ssrc);
	for (unsigned i = 0; i < h.ext_count; i++) {
		unsigned id = h.ext[i].id;

		check(again.ext[id].off && again.ext[id].len == v->ext[id].len);
		check(!memcmp(built + again.ext[id].off, h.ext[i].data, h.ext[i].len));
	}
	free(built);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ext_map map;
	struct rtp_view v;

	if (size < sizeof map)
		return 0;
	memcpy(&map, data, sizeof map);
	size -= sizeof map;
	uint8_t *pkt = copy_of(data + sizeof map, size);

	for (int codec = CODEC_NONE; codec < CODEC_COUNT;
	     codec++) /* the raw bytes, too */
		try_payload((enum codec_id)codec, pkt, size, data[0] & 1);
	try_dd(pkt, size, data[1]);
	opus_packet_samples(pkt, size);

	if (rtp_parse(pkt, size, &map, &v) == 0) {
		const uint8_t *payload = pkt + v.payload_off;

		check((size_t)v.payload_off + v.payload_len + v.padding_len == size);
		for (unsigned i = 0; i < EXT_COUNT; i++)
			check(v.ext[i].off + v.ext[i].len <= v.payload_off);
		check(v.level_dbov >= -1);
		try_build(pkt, &v);
		for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++)
			try_payload((enum codec_id)codec, payload, v.payload_len,
				    v.marker);
		if (v.ext[EXT_DD].off)
			try_dd(pkt + v.ext[EXT_DD].off, v.ext[EXT_DD].len, data[1]);
	}
	free(pkt);
	return 0;
}
