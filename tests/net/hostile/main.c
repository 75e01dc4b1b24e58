/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * test_hostile [call SECONDS]: see hostile.h. With "call" only the call, for the thread
 * sanitizer. $PALABRED names the server; HOSTILE_RSS_KIB how much it may grow.
 */
#include "hostile.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	RSS_GROWTH_KIB = 24 * 1024, /* seen: 4 MB */
	BACK_TRIES = 150,
	BACK_MS = 100
};

static const struct {
	const char *name;
	void (*run)(struct hostile *h);
} families[] = {
	{ "datagrams", attack_datagrams },
	{ "checks", attack_checks },
	{ "srtp", attack_srtp },
	{ "rtcp", attack_rtcp },
	{ "voices", attack_voices },
	{ "frames", attack_frames },
	{ "http", attack_http },
	{ "bodies", attack_bodies },
	{ "moderation", attack_moderation },
	{ "offers", attack_offers },
	{ "websockets", attack_websockets },
};
static const struct wait {
	const char *name;
	void (*run)(struct hostile *h);
} waits[] = {
	{ "slow http", wait_slow_http },     { "slow body", wait_slow_body },
	{ "crowded", wait_crowded },	     { "first byte", wait_first_byte },
	{ "half frame", wait_half_frame },   { "unknown frames", wait_unknown_frames },
	{ "left frames", wait_left_frames }, { "no hello", wait_no_hello },
	{ "no pong", wait_no_pong },
};

struct waiting {
	struct hostile *h;
	const struct wait *wait;
	pthread_t thread;
};

static void *wait_main(void *arg)
{
	struct waiting *w = arg;

	trying("%s", w->wait->name);
	w->wait->run(w->h);
	return NULL;
}

static void attack_all(struct hostile *h)
{
	struct waiting w[ARRAY_LEN(waits)];

	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		w[i].h = h;
		w[i].wait = &waits[i];
		if (pthread_create(&w[i].thread, NULL, wait_main, &w[i]))
			abort();
	}
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		uint64_t start_us = clock_now_us();

		trying("%s", families[i].name);
		if (!expect(server_alive(&h->server), "the server has died"))
			break;
		families[i].run(h);
		trying("%s", families[i].name);
		call_expect_good(h->call);
		printf("%-12s %.1f s\n", families[i].name,
		       (double)(clock_now_us() - start_us) / 1e6);
		fflush(stdout);
	}
	for (size_t i = 0; i < ARRAY_LEN(waits); i++)
		pthread_join(w[i].thread, NULL);
	trying("waits");
	call_expect_good(h->call);
}

static int descriptors(const struct hostile *h, int wanted)
{
	int now = server_fds(&h->server);

	for (int i = 0; i < BACK_TRIES && now > wanted; i++) {
		pause_ms(BACK_MS);
		now = server_fds(&h->server);
	}
	return now;
}

static void run(struct hostile *h, int call_s)
{
	const char *allowed = getenv("HOSTILE_RSS_KIB");
	long rss = server_rss_kib(&h->server), grown;
	int fds = server_fds(&h->server), fds_now;

	if (call_s) {
		pause_ms(call_s * 1000);
	} else {
		attack_all(h);
		trying("afterwards");
		fds_now = descriptors(h, fds);
		expect(fds_now <= fds, "%d descriptors before, %d after", fds, fds_now);
		grown = server_rss_kib(&h->server) - rss;
		printf("server: %ld KiB before, %ld more after; %d descriptors, %d\n",
		       rss, grown, fds, fds_now);
		expect(grown < (allowed ? atol(allowed) : RSS_GROWTH_KIB),
		       "the server has grown by %ld KiB", grown);
	}
}

static int start(struct hostile *h, const char *program, int log)
{
	char timeout[48], joins[64];
	const char *sets[] = { timeout, joins, "server.log_level=info", NULL };

	snprintf(timeout, sizeof timeout, "http.request_timeout_s=%d", REQUEST_TIMEOUT_S);
	snprintf(joins, sizeof joins, "room.joins_per_minute_per_address_max=%d",
		 JOINS_PER_MINUTE);
	h->cert = cert_create();
	return h->cert ? server_start(&h->server, program, server_free_port(), sets, log)
		       : -1;
}

int main(int argc, char **argv)
{
	const char *program = getenv("PALABRED");
	int call_s = argc > 2 && !strcmp(argv[1], "call") ? atoi(argv[2]) : 0;
	struct hostile h = { 0 };
	int log[2], code;

	if (!program || pipe2(log, O_CLOEXEC)) {
		fprintf(stderr, "PALABRED must name the server\n");
		return 2;
	}
	h.watch = watch_create(log[0]);
	if (!h.watch || start(&h, program, log[1]))
		return 2;
	close(log[1]);
	if (!server_link(&h.server, "speaker", "spare", &h.spare))
		h.call = call_start(&h);
	if (h.call) {
		run(&h, call_s);
		trying("end");
		call_end(h.call);
	}
	code = server_stop(&h.server);
	expect(code == 0, "the server ended with %d", code);
	watch_destroy(h.watch);
	mem_unref(h.cert);
	printf("%u failures\n", failures());
	return failures() || !h.call ? 1 : 0;
}
