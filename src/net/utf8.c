/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of RFC 3629 §4, row by row. */
#include "utf8.h"

/* How many continuation bytes follow `lead`, and the range of the first of them; -1: no
 * lead. */
static int lead_info(uint8_t lead, uint8_t *low, uint8_t *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (lead < 0x80)
		return 0;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef) {
		if (lead == 0xe0)
			*low = 0xa0; /* overlong */
		if (lead == 0xed)
			*high = 0x9f; /* surrogates */
		return 2;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		if (lead == 0xf0)
			*low = 0x90; /* overlong */
		if (lead == 0xf4)
			*high = 0x8f; /* above U+10FFFF */
		return 3;
	}
	return -1;
}

bool utf8_valid(const uint8_t *s, size_t len)
{
	const uint8_t *end = s + len;
	uint8_t low, high;
	int more;

	while (s < end) {
		more = lead_info(*s++, &low, &high);
		if (more < 0 || end - s < more)
			return false;
		for (; more; more--, s++) {
			if (*s < low || *s > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}
