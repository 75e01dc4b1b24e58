/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* Control characters of ASCII and of Latin-1 (U+0080 to U+009F). */
static void make_plain(char *text, bool lines)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if ((*p < 0x20 && !(lines && *p == '\n')) || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* On a terminal; as many as bytes if the locale does not know the text. */
static unsigned width_of(const char *text)
{
	wchar_t wide[512];
	size_t len = mbstowcs(wide, text, ARRAY_LEN(wide));
	int width = len < ARRAY_LEN(wide) ? wcswidth(wide, len) : -1;

	return width >= 0 ? (unsigned)width : (unsigned)strlen(text);
}

static void add(struct table *t, char *cell)
{
	unsigned count = t->rows;

	if (cell && count == t->cap) {
		unsigned cap = t->cap ? 2 * t->cap : 64;
		char **cells = realloc(t->cells, cap * sizeof *cells);

		if (cells) {
			t->cells = cells;
			t->cap = cap;
		}
	}
	if (!cell || count == t->cap) {
		free(cell);
		t->bad = true;
		return;
	}
	t->cells[t->rows++] = cell;
}

void table_init(struct table *t, unsigned columns, const char *const *headings)
{
	*t = (struct table) { .columns = columns };
	for (unsigned i = 0; i < columns; i++)
		table_cell(t, "%s", headings[i]);
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		make_plain(text, false);
	add(t, text);
}

void table_print(const struct table *t)
{
	unsigned widths[TABLE_COLUMNS_MAX] = { 0 };

	for (unsigned i = 0; i < t->rows; i++) {
		unsigned width = width_of(t->cells[i]);

		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
	for (unsigned i = 0; i < t->rows; i++) {
		unsigned column = i % t->columns;
		bool last = column == t->columns - 1;

		fputs(t->cells[i], stdout);
		for (unsigned w = width_of(t->cells[i]); !last && w < widths[column] + 2;
		     w++)
			putchar(' ');
		if (last)
			putchar('\n');
	}
	if (t->bad)
		fputs("palabrectl: not enough memory for all of it\n", stderr);
}

void table_fini(struct table *t)
{
	for (unsigned i = 0; i < t->rows; i++)
		free(t->cells[i]);
	free(t->cells);
}

void plain_print(const char *text)
{
	char *copy = strdup(text);

	if (copy) {
		make_plain(copy, true);
		fputs(copy, stdout);
	}
	free(copy);
}
