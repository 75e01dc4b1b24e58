/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The page's files, compressed when the project is built (src/web/embed.sh writes the
 * table). */
#ifndef ASSETS_H
#define ASSETS_H

#include <stddef.h>
#include <stdint.h>

struct asset_body {
	const uint8_t *start, *end;
};
struct asset {
	const char *path; /* "style.css", "i18n/en.js" */
	const char *type;
	struct asset_body plain, gzip, brotli;
};
extern const struct asset assets[];
extern const size_t asset_count;
/* Of all files together: part of their addresses, so that they can be kept for ever. */
extern const char asset_version[];
/* What is in the page itself, as its policy names it: sources with their hashes. */
extern const char asset_scripts[], asset_styles[];

#endif
