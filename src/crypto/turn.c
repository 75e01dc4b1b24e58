/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <palabre/crypto.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EXPIRY_DIGITS_MAX = 12 }; /* a token's 40 bits have so many */

int turn_credential(const struct secret *s, uint64_t expiry_s, const char *id,
		    char name[TURN_NAME_MAX], char password[TOKEN_TEXT_MAX])
{
	int len = snprintf(name, TURN_NAME_MAX, "%" PRIu64 ":%s", expiry_s, id);

	if (len < 0 || len >= TURN_NAME_MAX)
		return -EINVAL;
	return token_sign(s, TOKEN_TURN, expiry_s, name, (size_t)len, password);
}

int turn_password(const struct secret *s, uint64_t now_s, const char *name, size_t len,
		  char password[TOKEN_TEXT_MAX])
{
	uint64_t expiry_s = 0;
	size_t i;

	for (i = 0; i < len && i < EXPIRY_DIGITS_MAX && name[i] >= '0' && name[i] <= '9';
	     i++)
		expiry_s = expiry_s * 10 + (uint64_t)(name[i] - '0');
	if (!i || i == len || name[i] != ':' || len >= TURN_NAME_MAX)
		return -EBADMSG;
	if (now_s >= expiry_s)
		return -ETIME;
	return token_sign(s, TOKEN_TURN, expiry_s, name, len, password) ? -EBADMSG : 0;
}
