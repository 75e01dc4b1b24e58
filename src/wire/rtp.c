/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RTP headers. Invariant of parsing: each length is checked against what is left before
 * the first byte that it covers is read, and the view is written only when all of them
 * held. Hot.
 */
#include <palabre/wire.h>

#include <errno.h>
#include <string.h>

enum {
	RTP_FIXED_BYTES = 12,
	EXT_PROFILE_ONE = 0xbede,
	EXT_PROFILE_TWO = 0x1000, /* and four bits for the application */
	EXT_ID_MAP_MAX = 15,
	EXT_PLACES = 8 /* power of two, so that a mask keeps a wrong map inside */
};
_Static_assert((int)EXT_COUNT <= (int)EXT_PLACES, "rtp_parse: more places");

struct ext_place {
	uint16_t off;
	uint8_t len;
};

/* Elements of no interest all land on place[EXT_NONE], which nobody reads: the walk has
 * no branch for them. `i` and `end` count from data, end ≤ UINT16_MAX. */
static int ext_walk_one(const uint8_t *data, size_t i, size_t end,
			const struct ext_map *map, struct ext_place *place)
{
	while (i < end) {
		unsigned id = data[i] >> 4;
		size_t len = (data[i] & 15u) + 1;

		if (data[i] == 0) {
			i++;
			continue;
		}
		/* RFC 8285 §4.2 (15) and §4.1.2 (0 with a length): all that follows is
		 * void. */
		if (id == 15 || id == 0)
			return 0;
		if (len > end - i - 1)
			return -EBADMSG;
		place[map->of_id[id] & (EXT_PLACES - 1)] =
			(struct ext_place) { (uint16_t)(i + 1), (uint8_t)len };
		i += 1 + len;
	}
	return 0;
}

static int ext_walk_two(const uint8_t *data, size_t i, size_t end,
			const struct ext_map *map, struct ext_place *place)
{
	while (i < end) {
		unsigned id = data[i++];

		if (id == 0)
			continue;
		if (i == end || data[i] > end - i - 1)
			return -EBADMSG;
		unsigned kind = id <= EXT_ID_MAP_MAX ? map->of_id[id] : EXT_NONE;

		place[kind & (EXT_PLACES - 1)] =
			(struct ext_place) { (uint16_t)(i + 1), data[i] };
		i += 1u + data[i];
	}
	return 0;
}

int rtp_parse(const uint8_t *data, size_t len, const struct ext_map *map,
	      struct rtp_view *v)
{
	struct ext_place place[EXT_PLACES] = { 0 };
	size_t padding = 0;

	if (len < RTP_FIXED_BYTES || len > UINT16_MAX || data[0] >> 6 != 2)
		return -EBADMSG;
	size_t off = RTP_FIXED_BYTES + 4 * (data[0] & 15u);

	if (data[0] & 0x10) {
		if (off + 4 > len)
			return -EBADMSG;
		unsigned profile = get_be16(data + off);
		size_t end = off + 4 + 4u * get_be16(data + off + 2);
		int err = 0;

		if (end > len)
			return -EBADMSG;
		if (profile == EXT_PROFILE_ONE)
			err = ext_walk_one(data, off + 4, end, map, place);
		else if ((profile & 0xfff0) == EXT_PROFILE_TWO)
			err = ext_walk_two(data, off + 4, end, map, place);
		if (err)
			return err;
		off = end;
	}
	if (off > len)
		return -EBADMSG;
	if (data[0] & 0x20) {
		padding = data[len - 1];
		if (padding == 0 || padding > len - off)
			return -EBADMSG;
	}

	memset(v, 0, sizeof *v);
	v->pt = data[1] & 0x7f;
	v->marker = data[1] >> 7;
	v->csrc_count = data[0] & 15;
	v->seq = get_be16(data + 2);
	v->ts = get_be32(data + 4);
	v->ssrc = get_be32(data + 8);
	v->payload_off = (uint16_t)off;
	v->payload_len = (uint16_t)(len - off - padding);
	v->padding_len = (uint8_t)padding;
	v->level_dbov = -1;
	for (unsigned i = EXT_NONE + 1; i < EXT_COUNT; i++) {
		v->ext[i].off = place[i].off;
		v->ext[i].len = place[i].len;
	}
	if (place[EXT_AUDIO_LEVEL].len) {
		uint8_t level = data[place[EXT_AUDIO_LEVEL].off];

		v->level_dbov = (int8_t)(level & 0x7f);
		v->voice = level >> 7;
	}
	return 0;
}

/* RFC 8285 §4.2: the one-byte form holds ids 1-14 and 1-16 bytes of data. */
static bool ext_fits_one(const struct rtp_header *h)
{
	for (unsigned i = 0; i < h->ext_count; i++)
		if (h->ext[i].id > 14 || h->ext[i].len == 0 || h->ext[i].len > 16)
			return false;
	return true;
}

int rtp_build_header(const struct rtp_header *h, uint8_t *buf, size_t cap)
{
	struct wr w;

	if (h->csrc_count > 15 || h->ext_count > ARRAY_LEN(h->ext))
		return -ENOBUFS;
	wr_init(&w, buf, cap);
	unsigned flags = (h->padding ? 0x20u : 0) | (h->ext_count ? 0x10u : 0);

	wr_u8(&w, (uint8_t)(0x80 | flags | h->csrc_count));
	wr_u8(&w, (uint8_t)(h->marker << 7 | (h->pt & 0x7f)));
	wr_be16(&w, h->seq);
	wr_be32(&w, h->ts);
	wr_be32(&w, h->ssrc);
	for (unsigned i = 0; i < h->csrc_count; i++)
		wr_be32(&w, h->csrc[i]);
	if (h->ext_count) {
		bool one = ext_fits_one(h);
		size_t bytes = 0;

		for (unsigned i = 0; i < h->ext_count; i++) {
			if (h->ext[i].id == 0) /* would be padding */
				return -EINVAL;
			bytes += (one ? 1u : 2u) + h->ext[i].len;
		}
		wr_be16(&w, one ? EXT_PROFILE_ONE : EXT_PROFILE_TWO);
		wr_be16(&w, (uint16_t)((bytes + 3) / 4));
		for (unsigned i = 0; i < h->ext_count; i++) {
			if (one) {
				wr_u8(&w,
				      (uint8_t)(h->ext[i].id << 4 | (h->ext[i].len - 1)));
			} else {
				wr_u8(&w, h->ext[i].id);
				wr_u8(&w, h->ext[i].len);
			}
			wr_bytes(&w, h->ext[i].data, h->ext[i].len);
		}
		for (; bytes % 4; bytes++)
			wr_u8(&w, 0);
	}
	return w.bad ? -ENOBUFS : (int)wr_len(&w);
}
