/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the service manager hears: a socket of its protocol (sd_notify(3)) on the other side. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service.h"

enum { WATCHDOG_US = 80000 };

static int manager;
static bool answers;

static bool alive(void *arg)
{
	(void)arg;
	return answers;
}

/* The next message, "" if there is none. */
static const char *told(void)
{
	static char text[512];
	ssize_t n = recv(manager, text, sizeof text - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = 0;
	return text;
}

static void run(struct event_base *base, int us)
{
	struct timeval tv = { .tv_usec = us };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static int set_up(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char watchdog[32];

	snprintf(name.sun_path, sizeof name.sun_path, "/tmp/palabre-notify-%d", getpid());
	manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&name, sizeof name), 0);
	assert_false(service_managed());
	setenv("NOTIFY_SOCKET", name.sun_path, 1);
	snprintf(watchdog, sizeof watchdog, "%d", WATCHDOG_US);
	setenv("WATCHDOG_USEC", watchdog, 1);
	*state = event_base_new();
	return 0;
}

static int tear_down(void **state)
{
	unlink(getenv("NOTIFY_SOCKET"));
	close(manager);
	event_base_free(*state);
	return 0;
}

static void test_told(void **state)
{
	struct service *s;
	unsigned beats = 0;

	answers = true;
	assert_true(service_managed());
	s = service_start(*state, alive, NULL);
	assert_non_null(s);
	assert_string_equal(told(), "READY=1");
	run(*state, 2 * WATCHDOG_US);
	while (!strcmp(told(), "WATCHDOG=1"))
		beats++;
	assert_in_range(beats, 3, 8); /* 8, if the machine keeps up */

	answers = false;
	log_set_level(LOG_ERROR + 1);
	run(*state, 2 * WATCHDOG_US);
	assert_string_equal(told(), "");
	answers = true;
	run(*state, WATCHDOG_US);
	assert_string_equal(told(), "WATCHDOG=1");
	while (*told())
		;
	service_destroy(s);
}

static void test_reload(void **state)
{
	(void)state;
	while (*told())
		;
	service_reloading();
	assert_int_equal(strncmp(told(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	service_reloaded(NULL);
	assert_string_equal(told(), "READY=1\nSTATUS=");
	service_reloaded("key a: no");
	assert_string_equal(told(), "READY=1\nSTATUS=Goes on as before: key a: no");
	service_stopping();
	assert_string_equal(told(), "STOPPING=1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_told),
						   cmocka_unit_test(test_reload) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
