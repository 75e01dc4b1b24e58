/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The first look at a datagram: what it is, and for STUN whose. */
#include "fuzz.h"

#include <palabre/wire.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	const char *ufrag = NULL;
	size_t len = 0;

	check(copy);
	if (size)
		memcpy(copy, data, size);
	enum demux kind = wire_demux(copy, size);

	check(kind <= DEMUX_OTHER);
	if (stun_peek_ufrag(copy, size, &ufrag, &len) == 0) {
		const uint8_t *start = (const uint8_t *)ufrag;

		check(kind == DEMUX_STUN);
		check(len > 0 && start >= copy + 24 && start + len < copy + size);
		check(start[len] == ':' && !memchr(start, ':', len));
	} else {
		check(!ufrag && !len);
	}
	free(copy);
	return 0;
}
