/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Bounded cursors. Invariant: start ≤ p ≤ end, and once `bad` is set p no longer moves.
 * So a caller may read or write a whole structure and look at `bad` once, at the end.
 */
#include <palabre/wire.h>

#include <string.h>

/* Stands in for NULL, from which no pointer arithmetic is allowed, not even + 0. */
static uint8_t nothing[1];

void rd_init(struct rd *r, const void *data, size_t len)
{
	r->p = data && len ? data : nothing;
	r->end = r->p + (data ? len : 0);
	r->bad = false;
}

size_t rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > (size_t)(r->end - p)) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? p[0] : 0;
}

uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p ? get_be16(p) : 0;
}

uint32_t rd_be24(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 3);

	return p ? get_be24(p) : 0;
}

uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p ? get_be32(p) : 0;
}

void wr_init(struct wr *w, void *buf, size_t cap)
{
	w->start = buf && cap ? buf : nothing;
	w->p = w->start;
	w->end = w->start + (buf ? cap : 0);
	w->bad = false;
}

size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

static uint8_t *wr_take(struct wr *w, size_t n)
{
	uint8_t *p = w->p;

	if (w->bad || n > (size_t)(w->end - p)) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	return p;
}

void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_take(w, 1);

	if (p)
		p[0] = v;
}

void wr_be16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_take(w, 2);

	if (p)
		put_be16(p, v);
}

void wr_be24(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_take(w, 3);

	if (p)
		put_be24(p, v);
}

void wr_be32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_take(w, 4);

	if (p)
		put_be32(p, v);
}

void wr_bytes(struct wr *w, const void *data, size_t n)
{
	uint8_t *p = wr_take(w, n);

	if (p && n)
		memcpy(p, data, n);
}
