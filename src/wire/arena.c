/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Memory of one parse: taken piece by piece, given back all at once.
 *
 * Invariant: `used` counts every byte handed out, alignment included, and never passes
 * `limit`; so what a hostile text can make us hold is bounded whatever the parser does.
 */
#include <palabre/wire.h>

#include <stdalign.h>
#include <stdlib.h>

enum { ARENA_CHUNK_BYTES = 8 * 1024, ARENA_ALIGN = alignof(max_align_t) };

struct chunk {
	struct chunk *next;
	size_t len, cap;
	alignas(max_align_t) unsigned char data[];
};
struct arena {
	struct chunk *first; /* the only one with room */
	size_t used, limit;
};

struct arena *arena_create(size_t limit_bytes)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a)
		a->limit = limit_bytes;
	return a;
}

void *arena_take(struct arena *a, size_t bytes)
{
	struct chunk *c = a->first;
	void *p;

	if (bytes > a->limit || a->limit - a->used < bytes)
		return NULL;
	bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	if (bytes == 0)
		bytes = ARENA_ALIGN;
	if (a->limit - a->used < bytes)
		return NULL;
	if (!c || c->cap - c->len < bytes) {
		size_t cap = bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES;

		c = calloc(1, sizeof *c + cap);
		if (!c)
			return NULL;
		c->cap = cap;
		c->next = a->first;
		a->first = c;
	}
	p = c->data + c->len;
	c->len += bytes;
	a->used += bytes;
	return p;
}

void arena_destroy(struct arena *a)
{
	struct chunk *c, *next;

	if (!a)
		return;
	for (c = a->first; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}
