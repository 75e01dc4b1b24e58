/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the tests of udp.c look at besides the public functions. */
#ifndef PALABRE_NET_UDP_H
#define PALABRE_NET_UDP_H

#include <stdint.h>

/* The kernel's wall-clock stamp on the monotonic clock, within now_us - 1 s … now_us,
 * never 0. */
uint64_t udp_arrival_us(int64_t kernel_wall_us, uint64_t now_us, int64_t wall_offset_us);

#endif
