/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* way.c: what a packet's way takes without a queue. */
#ifndef PALABRE_CC_WAY_H
#define PALABRE_CC_WAY_H

#include <palabre/cc.h>

/* A packet took way_us, on two clocks. True: a new window has begun. */
bool way_update(struct cc_way *w, uint64_t now_us, int64_t way_us);

#endif
