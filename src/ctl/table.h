/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows under headings, as wide as they must be. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <palabre/wire.h>

enum { TABLE_COLUMNS_MAX = 8 };
struct table {
	unsigned columns, rows, cap;
	char **cells; /* columns × rows */
	bool bad;     /* out of memory */
};
void table_init(struct table *t, unsigned columns, const char *const *headings);
/* Copied; what a terminal would take for an order is shown as '?'. */
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(const struct table *t);
void table_fini(struct table *t);
/* The same of a text of its own; line ends stay. */
void plain_print(const char *text);

#endif
