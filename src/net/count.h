/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How many TCP connections there are, in all and per address. A connection holds a ticket
 * from accept to its end, whoever has it by then; the ticket keeps the table alive.
 */
#ifndef PALABRE_NET_COUNT_H
#define PALABRE_NET_COUNT_H

#include <palabre/base.h>

struct count;
struct count_ticket;
/* mem_unref() ends it. */
struct count *count_create(unsigned max, unsigned per_address_max) MUST_CHECK;
/* One more from `peer` (an IPv6 /64 counts as one address), who may be `exempt` from the limit of
 * one address. -ENOBUFS over a limit, -ENOMEM. mem_unref() gives it back. */
int count_take(struct count *c, const struct addr *peer, bool exempt,
	       struct count_ticket **out) MUST_CHECK;
unsigned count_total(const struct count *c);

#endif
