/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Random numbers from the kernel, comparison without timing, and the tables' keyed hash.
 */
#include <palabre/base.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "siphash.h"

static uint64_t hash_key[2];

/* Before main(), so that hash_bytes() needs no check on the hot path. */
__attribute__((constructor)) static void make_hash_key(void)
{
	random_bytes(hash_key, sizeof hash_key);
}

void random_bytes(void *buf, size_t len)
{
	uint8_t *p = buf;
	ssize_t n;

	while (len) {
		n = getrandom(p, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}

uint32_t random_u32(void)
{
	uint32_t v;

	random_bytes(&v, sizeof v);
	return v;
}

void random_text(char *out, size_t len)
{
	static const char ice_char[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	random_bytes(out, len);
	for (i = 0; i < len; i++)
		out[i] = ice_char[(unsigned char)out[i] & 63]; /* 64 of them: no bias */
	out[len] = 0;
}

bool equal_constant_time(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;
	size_t i;

	for (i = 0; i < len; i++)
		differ |= (uint8_t)(x[i] ^ y[i]);
	return differ == 0;
}

uint64_t hash_bytes(const void *data, size_t len)
{
	return siphash13(hash_key, data, len);
}
