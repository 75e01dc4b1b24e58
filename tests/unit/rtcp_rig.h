/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RTCP as bytes and as what is read from them. For the tests of wire. */
#ifndef TESTS_RTCP_RIG_H
#define TESTS_RTCP_RIG_H

#include <palabre/wire.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* The one packet of a compound. */
static inline struct rtcp_pkt only(const uint8_t *data, size_t len)
{
	struct rtcp_iter it;
	struct rtcp_pkt p, more;

	assert_int_equal(rtcp_iter_init(&it, data, len), 0);
	assert_true(rtcp_next(&it, &p));
	assert_false(rtcp_next(&it, &more));
	assert_int_equal(it.seen, 1);
	return p;
}

#endif
