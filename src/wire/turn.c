/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* STUN messages with TURN's attributes, and ChannelData. */
#include <palabre/wire.h>

#include <errno.h>
#include <string.h>

#define COOKIE UINT32_C(0x2112a442)
enum { LENGTH_AT = 2, COOKIE_AT = 4, COMPREHENSION_OPTIONAL = 0x8000 };

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

int turn_unit(const uint8_t *data, size_t len)
{
	size_t size;

	if (len && data[0] > TURN_CHANNEL_MAX >> 8)
		return -EBADMSG;
	if (len && data[0] >= 0x04 && data[0] < TURN_CHANNEL_MIN >> 8)
		return -EBADMSG;
	if (len < TURN_CHANNEL_HEADER_BYTES)
		return 0;
	size = get_be16(data + LENGTH_AT);
	if (data[0] < 0x04) {
		if (size % 4)
			return -EBADMSG;
		size += TURN_HEADER_BYTES;
	} else {
		size = TURN_CHANNEL_HEADER_BYTES + padded(size);
	}
	if (size > TURN_UNIT_MAX)
		return -EBADMSG;
	return len < size ? 0 : (int)size;
}

int turn_read_channel(const uint8_t *data, size_t len, const uint8_t **payload,
		      size_t *payload_len)
{
	struct rd r;
	uint16_t channel, size;
	const uint8_t *p;

	rd_init(&r, data, len);
	channel = rd_be16(&r);
	size = rd_be16(&r);
	p = rd_bytes(&r, size);
	if (r.bad || channel < TURN_CHANNEL_MIN || channel > TURN_CHANNEL_MAX)
		return -EBADMSG;
	*payload = p;
	*payload_len = size;
	return channel;
}

/* RFC 8489 §14.2. */
static int read_addr(const uint8_t *id, const uint8_t *value, size_t len,
		     struct addr *out)
{
	uint8_t mask[16];
	struct addr a = { 0 };
	size_t size;

	if (len < 4 || (value[1] != 1 && value[1] != 2))
		return -EBADMSG;
	size = value[1] == 1 ? 4 : 16;
	if (len != 4 + size)
		return -EBADMSG;
	put_be32(mask, COOKIE);
	memcpy(mask + 4, id, TURN_ID_BYTES);
	a.family = value[1] == 1 ? 4 : 6;
	a.port = (uint16_t)(get_be16(value + 2) ^ (COOKIE >> 16));
	for (size_t i = 0; i < size; i++)
		a.ip[i] = value[4 + i] ^ mask[i];
	*out = a;
	return 0;
}

static int read_text(struct turn_text *t, const uint8_t *value, size_t len)
{
	if (len > TURN_TEXT_MAX)
		return -EBADMSG;
	if (!t->s)
		*t = (struct turn_text) { (const char *)value, len };
	return 0;
}

static int read_peer(struct turn_msg *m, const uint8_t *value, size_t len)
{
	if (m->peer_count == TURN_PEERS_MAX)
		return -ENOBUFS;
	if (read_addr(m->id, value, len, &m->peers[m->peer_count]))
		return -EBADMSG;
	m->peer_count++;
	return 0;
}

/* A value of four bytes. */
static bool four(bool *has, size_t len)
{
	*has |= len == 4;
	return len == 4;
}

static int read_attr(struct turn_msg *m, uint16_t attr, const uint8_t *value, size_t len)
{
	switch (attr) {
	case TURN_ATTR_USERNAME:
		return read_text(&m->username, value, len);
	case TURN_ATTR_REALM:
		return read_text(&m->realm, value, len);
	case TURN_ATTR_NONCE:
		return read_text(&m->nonce, value, len);
	case TURN_ATTR_PEER:
		return read_peer(m, value, len);
	case TURN_ATTR_DATA:
		if (!m->data) {
			m->data = value;
			m->data_len = len;
		}
		return 0;
	case TURN_ATTR_CHANNEL:
		if (!four(&m->has_channel, len))
			return -EBADMSG;
		m->channel = get_be16(value);
		return 0;
	case TURN_ATTR_LIFETIME:
		if (!four(&m->has_lifetime, len))
			return -EBADMSG;
		m->lifetime_s = get_be32(value);
		return 0;
	case TURN_ATTR_TRANSPORT:
		if (!four(&m->has_transport, len))
			return -EBADMSG;
		m->transport = value[0];
		return 0;
	case TURN_ATTR_FAMILY:
		if (!four(&m->has_family, len))
			return -EBADMSG;
		m->family = value[0];
		return 0;
	default:
		if (!(attr & COMPREHENSION_OPTIONAL) &&
		    m->unknown_count < TURN_UNKNOWN_MAX)
			m->unknown[m->unknown_count++] = attr;
		return 0;
	}
}

int turn_read(const uint8_t *data, size_t len, struct turn_msg *out)
{
	struct turn_msg m = { 0 };
	uint16_t type, size;
	uint32_t cookie;
	struct rd r;

	rd_init(&r, data, len);
	type = rd_be16(&r);
	size = rd_be16(&r);
	cookie = rd_be32(&r);
	m.id = rd_bytes(&r, TURN_ID_BYTES);
	if (r.bad || type & 0xc000 || cookie != COOKIE || size % 4 || size != rd_left(&r))
		return -EBADMSG;
	m.method = (uint16_t)((type & 0xf) | (type & 0xe0) >> 1 | (type & 0x3e00) >> 2);
	m.class = (enum turn_class)((type & 0x10) >> 4 | (type & 0x100) >> 7);
	while (rd_left(&r) && !m.integrity_at) {
		size_t at = len - rd_left(&r);
		uint16_t attr = rd_be16(&r);
		uint16_t attr_len = rd_be16(&r);
		const uint8_t *value = rd_bytes(&r, padded(attr_len));
		int err;

		if (!value)
			return -EBADMSG;
		if (attr == TURN_ATTR_INTEGRITY) {
			if (attr_len != TURN_INTEGRITY_BYTES)
				return -EBADMSG;
			m.integrity_at = at;
			break;
		}
		err = read_attr(&m, attr, value, attr_len);
		if (err)
			return err;
	}
	*out = m;
	return 0;
}

/* ---- what we say -------------------------------------------------------------------- */

void turn_begin(struct wr *w, uint16_t method, enum turn_class class,
		const uint8_t id[TURN_ID_BYTES])
{
	unsigned c = (unsigned)class;

	wr_be16(w, (uint16_t)((method & 0xf) | (method & 0x70) << 1 |
			      (method & 0xf80) << 2 | (c & 1) << 4 | (c & 2) << 7));
	wr_be16(w, 0);
	wr_be32(w, COOKIE);
	wr_bytes(w, id, TURN_ID_BYTES);
}

void turn_put(struct wr *w, uint16_t attr, const void *data, size_t len)
{
	static const uint8_t zero[3];

	if (len > TURN_UNIT_MAX)
		w->bad = true;
	wr_be16(w, attr);
	wr_be16(w, (uint16_t)len);
	wr_bytes(w, data, len);
	wr_bytes(w, zero, padded(len) - len);
}

void turn_put_addr(struct wr *w, uint16_t attr, const struct addr *a)
{
	size_t size = a->family == 4 ? 4 : 16;
	uint8_t value[4 + 16] = { 0 }, mask[16];

	if (wr_len(w) < TURN_HEADER_BYTES) {
		w->bad = true;
		return;
	}
	memcpy(mask, w->start + COOKIE_AT, sizeof mask);
	value[1] = a->family == 4 ? 1 : 2;
	put_be16(value + 2, (uint16_t)(a->port ^ (COOKIE >> 16)));
	for (size_t i = 0; i < size; i++)
		value[4 + i] = a->ip[i] ^ mask[i];
	turn_put(w, attr, value, 4 + size);
}

void turn_end(struct wr *w)
{
	if (!w->bad)
		put_be16(w->start + LENGTH_AT, (uint16_t)(wr_len(w) - TURN_HEADER_BYTES));
}

void turn_put_channel(struct wr *w, uint16_t channel, const void *data, size_t len)
{
	turn_put(w, channel, data, len);
}
