/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A worker of our own with people on loopback: the tests' WebRTC client, no signalling. */
#ifndef WORKER_RIG_H
#define WORKER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <client.h>
#include <palabre/crypto.h>
#include <palabre/worker.h>

enum { SCENE_PEOPLE_MAX = 128, SCENE_SECTIONS_MAX = 8 };

struct scene {
	struct worker *worker;
	struct cert *cert;
	struct client_hub *hub;
	uint16_t port;
	unsigned count;
	struct client *people[SCENE_PEOPLE_MAX];
};

/* Nobody else's at this moment. */
static inline uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* `group` keeps the hubs of tests that run at the same time apart. */
static inline void scene_open(struct scene *s, unsigned group)
{
	struct worker_config config = { .pool_pkts = 4096,
					.tcp_queue_ms = 500,
					.bind_count = 1 };
	char why[200] = "";

	memset(s, 0, sizeof *s);
	s->cert = cert_create();
	s->hub = client_hub_create(group);
	s->port = free_port();
	config.cert = s->cert;
	config.bind[0] =
		(struct addr) { .ip = { 127, 0, 0, 1 }, .port = s->port, .family = 4 };
	assert_int_equal(worker_start(&s->worker, &config, why, sizeof why), 0);
}

static inline void scene_close(struct scene *s)
{
	worker_stop(s->worker);
	for (unsigned i = 0; i < s->count; i++)
		client_destroy(s->people[i]);
	client_hub_destroy(s->hub);
	mem_unref(s->cert);
}

static inline void await_created(struct worker *w)
{
	struct worker_event ev;

	for (unsigned i = 0; i < 2000; i++) {
		worker_event_clear(w);
		while (worker_event_next(w, &ev)) {
			if (ev.type == WORKER_CREATED) {
				assert_int_equal(ev.error, 0);
				return;
			}
		}
		poll(NULL, 0, 1);
	}
	fail_msg("the worker did not answer");
}

/* The next person's leg and port have the number of people that there are then; what the
 * sections send is switched on. */
static inline struct client *scene_join(struct scene *s,
					const struct client_section *sections,
					unsigned section_count,
					const struct client_params *more)
{
	static char offer[32 * 1024];
	char ufrag[WORKER_UFRAG_BYTES + 1], pwd[WORKER_PWD_BYTES + 1], why[200] = "";
	struct nego_candidate candidate = {
		.addr = { .ip = { 127, 0, 0, 1 }, .port = s->port, .family = 4 }
	};
	struct nego_policy policy = { .audio_slots_max = 3,
				      .video_slots_max = 4,
				      .local_ufrag = ufrag,
				      .local_pwd = pwd,
				      .fingerprint = s->cert->fingerprint,
				      .candidate_count = 1,
				      .candidates = &candidate };
	struct client_params params = more ? *more : (struct client_params) { 0 };
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct arena *arena = arena_create(SDP_BYTES_MAX * 4);
	struct text answer = { 0 };
	struct client *c;
	struct sdp *sdp;
	const char *bad;
	uint32_t id = s->count + 1;
	int len;

	params.cert = s->cert;
	params.hub = s->hub;
	params.section_count = section_count;
	params.sections = sections;
	c = client_create(&params, clock_now_us());
	assert_non_null(c);
	s->people[s->count++] = c;
	len = client_offer(c, offer, sizeof offer);
	assert_true(len > 0);
	worker_credentials(s->worker, ufrag, pwd);
	for (unsigned i = 0; i < section_count; i++)
		if (sections[i].send)
			policy.may_send[sections[i].video ? STREAM_CAMERA : STREAM_MIC] =
				true;
	assert_int_equal(sdp_parse(arena, offer, (size_t)len, &sdp, &bad), 0);
	assert_int_equal(nego_answer(sdp, &policy, plan, &answer, why, sizeof why), 0);
	assert_int_equal(worker_leg_create(s->worker, id, 7, id, plan), 0);
	await_created(s->worker);
	for (unsigned k = 0; k < STREAM_KINDS; k++)
		if (policy.may_send[k])
			assert_int_equal(worker_leg_media(s->worker, id, k, true), 0);
	assert_int_equal(client_answer(c, answer.s, clock_now_us()), 0);
	text_free(&answer);
	arena_destroy(arena);
	free(plan);
	return c;
}

static inline void scene_poll(struct scene *s)
{
	uint64_t now_us = clock_now_us();

	while (client_hub_poll(s->hub, 256, now_us) == 256)
		;
	for (unsigned i = 0; i < s->count; i++)
		client_poll(s->people[i], now_us);
}

static inline void scene_connect(struct scene *s)
{
	for (unsigned turn = 0; turn < 5000; turn++) {
		unsigned up = 0;

		scene_poll(s);
		for (unsigned i = 0; i < s->count; i++)
			up += client_up(s->people[i]);
		if (up == s->count)
			return;
		poll(NULL, 0, 2);
	}
	fail_msg("not everybody connected");
}

#endif
