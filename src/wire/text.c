/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Text that grows. Invariant: s is NULL or holds len bytes and a 0 within cap; once
 * `bad`, nothing more is added, so what is there is a whole prefix of what was meant.
 */
#include <palabre/wire.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_FIRST_BYTES = 256 };

/* Room for n more bytes and the 0. */
static bool text_reserve(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : TEXT_FIRST_BYTES;
	char *s;

	if (t->bad)
		return false;
	if (n >= SIZE_MAX / 4 - t->len) {
		t->bad = true;
		return false;
	}
	while (cap < t->len + n + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	s = realloc(t->s, cap);
	if (!s) {
		t->bad = true;
		return false;
	}
	if (!t->s)
		s[0] = 0;
	t->s = s;
	t->cap = cap;
	return true;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	if (text_reserve(t, 0)) {
		n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
		if (n < 0) {
			t->bad = true;
		} else if ((size_t)n < t->cap - t->len) {
			t->len += (size_t)n;
		} else if (text_reserve(t, (size_t)n)) {
			vsnprintf(t->s + t->len, t->cap - t->len, fmt, again);
			t->len += (size_t)n;
		}
		t->s[t->len] = 0; /* also after a failure in the middle */
	}
	va_end(again);
	va_end(ap);
}

void text_add_bytes(struct text *t, const void *data, size_t n)
{
	if (!text_reserve(t, n))
		return;
	if (n)
		memcpy(t->s + t->len, data, n);
	t->len += n;
	t->s[t->len] = 0;
}

void text_free(struct text *t)
{
	free(t->s);
	*t = (struct text) { 0 };
}
