/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Stands in for libgupnp-igd when Debian 12's whip-client runs: that links libsoup 2, and
 * libnice, which it loads through GStreamer, brings libsoup 3 by way of gupnp; libsoup 3
 * then ends the process. libnice goes without UPnP when it gets no object.
 */
#include <stddef.h>

size_t gupnp_simple_igd_get_type(void);
void *gupnp_simple_igd_thread_new(void);
void gupnp_simple_igd_add_port(void);
void gupnp_simple_igd_remove_port_local(void);

size_t gupnp_simple_igd_get_type(void)
{
	return 0;
}

void *gupnp_simple_igd_thread_new(void)
{
	return NULL;
}

void gupnp_simple_igd_add_port(void) {}

void gupnp_simple_igd_remove_port_local(void) {}
