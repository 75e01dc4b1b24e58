/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The service manager: what it is told (sd_notify(3)), and the watchdog. All of it does nothing
 * when there is none. Control thread.
 */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include <stdbool.h>

struct event_base;
struct service;

/* Does a service manager wait to be told? Then what we print goes to its journal. */
bool service_managed(void);
/* The server serves. From now on the watchdog is fed from the loop, as long as `alive` says so.
 * NULL: not enough memory. */
struct service *service_start(struct event_base *base, bool (*alive)(void *arg),
			      void *arg);
void service_reloading(void);
/* `problem`: what went wrong, or NULL. */
void service_reloaded(const char *problem);
void service_stopping(void);
void service_destroy(struct service *s);

#endif
