/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The first look at a datagram: what it is, and for STUN whose. */
#include <palabre/wire.h>

#include <stdlib.h>
#include <string.h>

#define CHECK(x) \
	do { \
		if (!(x)) \
			__builtin_trap(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	const char *ufrag = NULL;
	size_t len = 0;

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	enum demux kind = wire_demux(copy, size);

	CHECK(kind <= DEMUX_OTHER);
	if (stun_peek_ufrag(copy, size, &ufrag, &len) == 0) {
		const uint8_t *start = (const uint8_t *)ufrag;

		CHECK(kind == DEMUX_STUN);
		CHECK(len > 0 && start >= copy + 24 && start + len < copy + size);
		CHECK(start[len] == ':' && !memchr(start, ':', len));
	} else {
		CHECK(!ufrag && !len);
	}
	free(copy);
	return 0;
}
