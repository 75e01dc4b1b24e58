/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RED: blocks lie within the payload, and what was parsed is built again as it was. */
#include "fuzz.h"

#include <palabre/wire.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[65536];
	struct red_block b[RED_BLOCKS_MAX];
	int count, len;

	if (size > sizeof again)
		return 0;
	count = red_parse(data, size, b);
	if (count < 0)
		return 0;
	check(count <= RED_BLOCKS_MAX);
	for (int i = 0; i < count; i++)
		check(!b[i].len ||
		      (b[i].data >= data && b[i].data + b[i].len <= data + size));
	len = red_build(b, (unsigned)count, again, sizeof again);
	check(len == (int)size);
	/* but for the highest bit of the last header, which is 0 by definition */
	check(memcmp(again, data, size) == 0);
	return 0;
}
