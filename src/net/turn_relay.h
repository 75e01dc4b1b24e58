/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where a connection goes that speaks TURN. Control thread. */
#ifndef PALABRE_NET_TURN_RELAY_H
#define PALABRE_NET_TURN_RELAY_H

#include <palabre/net.h>

/* Takes over `bev`, with what has come already, and `ticket`. */
void turn_adopt(struct turn_server *s, struct bufferevent *bev, const struct addr *peer,
		void *ticket);

#endif
