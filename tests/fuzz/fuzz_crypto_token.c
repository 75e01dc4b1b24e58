/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Hostile token and fingerprint texts; and every body that may be signed comes back. */
#include "fuzz.h"

#include <palabre/crypto.h>

#include <stdlib.h>
#include <string.h>

static const struct secret secret = { { 0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10,
					11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
					22, 23, 24, 25, 26, 27, 28, 29, 30, 31 } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t body[TOKEN_BODY_MAX], digest[FINGERPRINT_BYTES];
	size_t len = SIZE_MAX, signed_len;
	char text[TOKEN_TEXT_MAX], *copy;

	if (token_verify(&secret, TOKEN_LINK, 1600000000, (const char *)data, size, body,
			 &len))
		check(len == SIZE_MAX);
	else
		check(len <= TOKEN_BODY_MAX);

	copy = strndup((const char *)data, size);
	if (copy && fingerprint_parse(copy, digest) == 0)
		check(strlen(copy) == 3 * FINGERPRINT_BYTES - 1);
	free(copy);

	signed_len = size < TOKEN_BODY_MAX ? size : TOKEN_BODY_MAX;
	check(token_sign(&secret, TOKEN_TICKET, 1700000000, data, signed_len, text) == 0);
	check(strlen(text) < TOKEN_TEXT_MAX);
	check(token_verify(&secret, TOKEN_TICKET, 1600000000, text, strlen(text), body,
			   &len) == 0);
	check(len == signed_len && (!len || memcmp(body, data, len) == 0));
	return 0;
}
