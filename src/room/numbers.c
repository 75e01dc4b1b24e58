/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A set of people's numbers: ascending, so that it does not tell who came first. */
#include "room_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where n is, or would be. */
static unsigned place_of(const struct numbers *s, uint32_t n)
{
	unsigned low = 0, high = s->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (s->n[mid] < n)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool numbers_has(const struct numbers *s, uint32_t n)
{
	unsigned at = place_of(s, n);

	return at < s->count && s->n[at] == n;
}

int numbers_add(struct numbers *s, uint32_t n)
{
	unsigned at = place_of(s, n), cap;
	uint32_t *grown;

	if (at < s->count && s->n[at] == n)
		return -EEXIST;
	if (s->count == s->cap) {
		cap = s->cap ? 2 * s->cap : 8;
		grown = realloc(s->n, cap * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		s->n = grown;
		s->cap = cap;
	}
	memmove(s->n + at + 1, s->n + at, (s->count - at) * sizeof *s->n);
	s->n[at] = n;
	s->count++;
	return 0;
}

bool numbers_take_out(struct numbers *s, uint32_t n)
{
	unsigned at = place_of(s, n);

	if (at == s->count || s->n[at] != n)
		return false;
	s->count--;
	memmove(s->n + at, s->n + at + 1, (s->count - at) * sizeof *s->n);
	return true;
}

void numbers_fini(struct numbers *s)
{
	free(s->n);
	*s = (struct numbers) { 0 };
}
