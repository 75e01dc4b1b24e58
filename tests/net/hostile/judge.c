/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What was expected and what came; the server's log and counters; sockets. */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COUNTERS_WAIT_S = 5, GROWN_TRIES = 20, GROWN_MS = 100, LINE_MAX_BYTES = 4096 };

static _Atomic unsigned failure_count;
static _Thread_local char attack[128] = "start";

void trying(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(attack, sizeof attack, fmt, ap);
	va_end(ap);
	if (getenv("HOSTILE_VERBOSE"))
		fprintf(stderr, "%.3f %s\n", (double)clock_now_us() / 1e6, attack);
}

bool expect(bool ok, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (ok)
		return true;
	failure_count++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fprintf(stderr, "FAILED %s: %s\n", attack, text);
	return false;
}

unsigned failures(void)
{
	return failure_count;
}

/* ---- the log ----------------------------------------------------------------------- */

struct watch {
	FILE *in;
	pthread_t thread;
	pthread_mutex_t lock, one_reader;
	pthread_cond_t told;
	struct counters now, next;
	unsigned generation;
};

static void take_counter(struct watch *w, const char *pair)
{
	struct counters *c = &w->next;
	unsigned long long value;
	char name[COUNTER_NAME_MAX];

	if (c->count == COUNTERS_MAX ||
	    sscanf(pair, "%31[a-z0-9_]=%llu", name, &value) != 2)
		return;
	memcpy(c->of[c->count].name, name, sizeof name);
	c->of[c->count++].value = value;
}

/* Routine is kept quiet; everything else (a sanitizer's report, too) is shown. */
static bool is_routine(const char *line)
{
	return strstr(line, " INFO ") || strstr(line, " DEBUG ");
}

static void *watch_main(void *arg)
{
	struct watch *w = arg;
	char line[LINE_MAX_BYTES];
	const char *pair;

	while (fgets(line, sizeof line, w->in)) {
		pair = strstr(line, "app.counter ");
		if (pair) {
			take_counter(w, pair + strlen("app.counter "));
		} else if (strstr(line, "app.counters ")) {
			pthread_mutex_lock(&w->lock);
			w->now = w->next;
			w->next.count = 0;
			w->generation++;
			pthread_cond_broadcast(&w->told);
			pthread_mutex_unlock(&w->lock);
		} else if (!is_routine(line) || getenv("HOSTILE_VERBOSE")) {
			fputs(line, stderr);
		}
	}
	return NULL;
}

struct watch *watch_create(int log)
{
	struct watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->in = fdopen(log, "r");
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->one_reader, NULL);
	pthread_cond_init(&w->told, NULL);
	if (!w->in || pthread_create(&w->thread, NULL, watch_main, w)) {
		free(w);
		return NULL;
	}
	return w;
}

void watch_destroy(struct watch *w)
{
	pthread_join(w->thread, NULL);
	fclose(w->in);
	free(w);
}

bool counters_read(struct hostile *h, struct counters *out)
{
	struct watch *w = h->watch;
	struct timespec until;
	unsigned before;
	int err = 0;

	pthread_mutex_lock(&w->one_reader);
	pthread_mutex_lock(&w->lock);
	before = w->generation;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += COUNTERS_WAIT_S;
	kill(h->server.pid, SIGUSR1);
	while (w->generation == before && !err)
		err = !server_alive(&h->server)
			      ? ESRCH
			      : pthread_cond_timedwait(&w->told, &w->lock, &until);
	*out = w->now;
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_unlock(&w->one_reader);
	return expect(!err, "the server tells no counters");
}

uint64_t counter(const struct counters *c, const char *name)
{
	for (unsigned i = 0; i < c->count; i++)
		if (!strcmp(c->of[i].name, name))
			return c->of[i].value;
	return 0;
}

static uint64_t growth(const struct counters *before, const struct counters *now,
		       const char *names)
{
	char copy[256], *save = NULL;
	uint64_t sum = 0;

	snprintf(copy, sizeof copy, "%s", names);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		sum += counter(now, w) - counter(before, w);
	return sum;
}

uint64_t expect_grown(struct hostile *h, const struct counters *before, const char *names,
		      uint64_t least)
{
	struct counters now;
	uint64_t grown = 0;

	for (unsigned i = 0; i < GROWN_TRIES; i++) {
		if (!counters_read(h, &now))
			return 0;
		grown = growth(before, &now, names);
		if (grown >= least)
			return grown;
		pause_ms(GROWN_MS);
	}
	expect(false, "%s grown by %llu, not by %llu", names, (unsigned long long)grown,
	       (unsigned long long)least);
	return grown;
}

/* ---- sockets ----------------------------------------------------------------------- */

static int connected(const struct hostile *h, const char *address, int type)
{
	struct sockaddr_in from = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET,
				  .sin_port = htons(h->server.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd >= 0 && inet_pton(AF_INET, address, &from.sin_addr) == 1 &&
	    !bind(fd, (struct sockaddr *)&from, sizeof from) &&
	    !connect(fd, (struct sockaddr *)&to, sizeof to))
		return fd;
	expect(false, "no connection from %s: %s", address, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int udp_from(const struct hostile *h, const char *address)
{
	return connected(h, address, SOCK_DGRAM);
}

int tcp_from(const struct hostile *h, const char *address)
{
	return connected(h, address, SOCK_STREAM);
}

/* What comes next, before `end_us`; -1 with EAGAIN when nothing does. */
static ssize_t receive(int fd, void *buf, size_t cap, uint64_t end_us)
{
	uint64_t now_us = clock_now_us();
	int ms = now_us < end_us ? (int)((end_us - now_us) / 1000) + 1 : 0;
	struct pollfd p = { fd, POLLIN, 0 };

	(void)!poll(&p, 1, ms);
	return recv(fd, buf, cap, MSG_DONTWAIT);
}

uint64_t udp_received(int fd, int ms)
{
	uint64_t end_us = clock_now_us() + (uint64_t)ms * 1000, sum = 0;
	uint8_t buf[2048];
	ssize_t n;

	while (clock_now_us() < end_us) {
		n = receive(fd, buf, sizeof buf, end_us);
		if (n >= 0)
			sum += (uint64_t)n + UDP_OVERHEAD;
	}
	return sum;
}

int closed_within(int fd, int ms)
{
	uint64_t start_us = clock_now_us(), end_us = start_us + (uint64_t)ms * 1000;
	uint8_t buf[16384];
	ssize_t n;

	while (clock_now_us() < end_us) {
		n = receive(fd, buf, sizeof buf, end_us);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return (int)((clock_now_us() - start_us) / 1000);
	}
	return -1;
}

void pause_ms(int ms)
{
	usleep((unsigned)ms * 1000);
}

void noise(uint8_t *out, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		out[i] = (uint8_t)(x >> 11);
	}
}
