/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Is it UTF-8 (RFC 3629)? No overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef PALABRE_NET_UTF8_H
#define PALABRE_NET_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_valid(const uint8_t *s, size_t len);

#endif
