/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What came, for people. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

struct json_t;
/* `items` an array, `end` the last line. The exit status. */
int show(const char *verb, const struct json_t *items, const struct json_t *end);

#endif
