/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* SipHash-c-d of Aumasson and Bernstein (2012) with c = 1, d = 3; here so that a test can
 * choose the key. */
#ifndef PALABRE_BASE_SIPHASH_H
#define PALABRE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash13(const uint64_t key[2], const void *data, size_t len);

#endif
