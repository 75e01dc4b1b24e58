/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See crowd.h. */
#include "crowd.h"

#include <palabre/wire.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "limit.h"

enum {
	AUDIO_PT = 111,
	VIDEO_PT = 96,
	KEY_EVERY = 25,
	SECTIONS = 8,
	AUDIO_SLOTS = 3,
	REPORT_US = 1000000,
	VOICE_REPORT_US = 5000000,
	DRAIN_US = 1000000,
	PONG_US = 15000000,
	TIMERS_US = 10000,
	SHORT_US = 1000
};

const char *const crowd_sets[] = { "room.people_max=10000",
				   "room.joins_per_minute_per_address_max=100000",
				   "http.connections_max=20000",
				   "http.connections_per_address_max=20000", NULL };

static void on_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct crowd *c = arg;

	(void)data;
	(void)len;
	(void)now_us;
	c->rtp++;
}

int crowd_create(struct crowd *c, const struct signal_link *link, unsigned cap)
{
	memset(c, 0, sizeof *c);
	c->link = link;
	c->cap = cap;
	c->tick_us = MIX_TICK_US;
	c->cert = cert_create();
	c->hub = client_hub_create(1);
	c->people = calloc(cap, sizeof *c->people);
	return c->cert && c->hub && c->people ? 0 : -1;
}

void crowd_destroy(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		client_destroy(c->people[i].client);
		signal_close(&c->people[i].join);
	}
	free(c->people);
	if (c->hub)
		client_hub_destroy(c->hub);
	mem_unref(c->cert);
}

/* As a page's offer: what it may send first, then three audio and four video slots. */
static unsigned sections_make(struct crowd_person *p,
			      struct client_section s[SECTIONS + 1])
{
	unsigned n = 0;

	if (p->sends) {
		s[n++] = (struct client_section) { .send = true, .ssrc = p->audio_ssrc };
		s[n++] = (struct client_section) { .video = true,
						   .send = true,
						   .ssrc = p->video_ssrc,
						   .rtx_ssrc = p->video_ssrc + 1 };
	}
	for (unsigned i = 0; i < 7; i++)
		s[n++] = (struct client_section) { .video = i >= 3 };
	return n;
}

/* With its offer in params: into the room, and its WebSocket. */
static int join(struct crowd *c, const struct signal_link *link,
		const struct client_params *params, const char *media)
{
	static char offer[64 * 1024];
	struct crowd_person *p = &c->people[c->count];
	uint64_t now_us = clock_now_us();
	char name[32];
	int err;

	p->client = c->count < c->cap ? client_create(params, now_us) : NULL;
	if (!p->client || client_offer(p->client, offer, sizeof offer) < 0) {
		fprintf(stderr, "no client\n");
		return -1;
	}
	snprintf(name, sizeof name, "Person %u", c->count);
	err = signal_join(link, name, offer, media, &p->join);
	if (!err)
		err = client_answer(p->client, p->join.answer, now_us);
	if (!err)
		err = signal_events(link, &p->join);
	if (err) {
		fprintf(stderr, "join of person %u: error %d\n", c->count, err);
		client_destroy(p->client);
		signal_close(&p->join);
		return -1;
	}
	free(p->join.answer);
	p->join.answer = NULL;
	c->count++;
	return 0;
}

int crowd_join(struct crowd *c, bool sends)
{
	struct client_section sections[SECTIONS + 1];
	struct crowd_person *p = &c->people[c->count];
	struct client_params params = { .cert = c->cert,
					.hub = c->hub,
					.sections = sections,
					.on_rtp = on_rtp,
					.arg = c };

	p->sends = sends;
	p->slot = sends ? 2 : 0;
	p->audio_ssrc = random_u32() | 1;
	p->video_ssrc = (random_u32() | 1) - 1;
	params.section_count = sections_make(p, sections);
	return join(c, c->link, &params, sends ? "{\"mic\":true,\"camera\":true}" : NULL);
}

int crowd_join_voice(struct crowd *c, const struct crowd_voice *v)
{
	struct client_section sections[AUDIO_SLOTS + 1] = { 0 };
	struct crowd_person *p = &c->people[c->count];
	struct client_params params = { .cert = c->cert,
					.hub = c->hub,
					.section_count = AUDIO_SLOTS + v->mic,
					.sections = sections,
					.blind = !v->on_rtp,
					.on_rtp = v->on_rtp,
					.arg = v->arg };

	p->slot = v->mic;
	p->audio_ssrc = random_u32() | 1;
	if (v->mic)
		sections[0] =
			(struct client_section) { .send = true, .ssrc = p->audio_ssrc };
	return join(c, v->link, &params, v->mic ? "{\"mic\":true}" : NULL);
}

uint64_t crowd_received(const struct crowd *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->count; i++)
		sum += client_counts(c->people[i].client)->rtp;
	return sum;
}

void crowd_raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static void put_header(uint8_t *buf, uint8_t pt, bool marker, uint16_t seq, uint32_t ts,
		       uint32_t ssrc)
{
	buf[0] = 0x80;
	buf[1] = (uint8_t)(pt | (marker ? 0x80 : 0));
	put_be16(buf + 2, seq);
	put_be32(buf + 4, ts);
	put_be32(buf + 8, ssrc);
}

static void send_audio(struct crowd_person *p)
{
	uint8_t buf[MIX_AUDIO_BYTES + 64] = { 0 };

	put_header(buf, AUDIO_PT, false, p->audio_seq++, p->ts48, p->audio_ssrc);
	p->ts48 += 960;
	buf[12] = 0x78; /* Opus: CELT-less 20 ms, one frame */
	(void)client_send_rtp(p->client, buf, MIX_AUDIO_BYTES);
}

static void send_frame(struct crowd_person *p)
{
	bool key = p->frames++ % KEY_EVERY == 0;

	for (unsigned i = 0; i < MIX_VIDEO_PKTS; i++) {
		uint8_t buf[MIX_VIDEO_BYTES + 64] = { 0 };

		put_header(buf, VIDEO_PT, i == MIX_VIDEO_PKTS - 1, p->video_seq++,
			   p->ts90, p->video_ssrc);
		buf[12] = i ? 0x80 : 0x90; /* X, S */
		buf[13] = 0x80;		   /* I */
		put_be16(buf + 14, (uint16_t)(0x8000 | (p->pid & 0x7fff)));
		buf[16] = i || key ? 0 : 1; /* P bit of the payload header */
		(void)client_send_rtp(p->client, buf, MIX_VIDEO_BYTES);
	}
	p->pid++;
	p->ts90 += 3600;
}

static void media(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (!c->people[i].sends)
			continue;
		send_audio(&c->people[i]);
		if (c->tick % 2)
			send_frame(&c->people[i]);
	}
}

/* What a browser reports while it receives: once a second, with sound only every five. */
static void send_report(struct crowd_person *p)
{
	uint8_t buf[256];
	struct rtcp_block block = { .ssrc = client_slot_ssrc(p->client, p->slot) };
	struct wr w;

	wr_init(&w, buf, sizeof buf - 64);
	rtcp_put_rr(&w, p->audio_ssrc, &block, 1);
	(void)client_send_rtcp(p->client, buf, wr_len(&w));
}

static void reports(struct crowd *c)
{
	uint64_t every = (c->on_tick ? VOICE_REPORT_US : REPORT_US) / c->tick_us;

	for (uint64_t i = c->tick % every; i < c->count; i += every)
		send_report(&c->people[i]);
}

static void poll_all(struct crowd *c, uint64_t now_us)
{
	while (client_hub_poll(c->hub, 256, now_us) == 256)
		;
	if (now_us < c->timers_us)
		return;
	c->timers_us = now_us + TIMERS_US;
	for (unsigned i = 0; i < c->count; i++)
		if (client_next_us(c->people[i].client, now_us) <= now_us)
			client_poll(c->people[i].client, now_us);
}

/* A share of the WebSockets every tick. */
static void read_events(struct crowd *c)
{
	uint64_t drain = DRAIN_US / c->tick_us, pong = PONG_US / c->tick_us;

	for (uint64_t i = c->tick % drain; i < c->count; i += drain)
		(void)signal_drain(&c->people[i].join);
	for (uint64_t i = c->tick % pong; i < c->count; i += pong)
		(void)signal_pong(&c->people[i].join);
}

static void on_tick(struct crowd *c, bool with_media)
{
	if (c->on_tick)
		c->on_tick(c->arg, c->tick);
	else if (with_media)
		media(c);
	if (with_media)
		reports(c);
	read_events(c);
	c->tick++;
}

void crowd_run(struct crowd *c, uint64_t us, bool with_media)
{
	uint64_t now_us = clock_now_us(), end_us = now_us + us;

	if (!c->next_us)
		c->next_us = now_us;
	for (; now_us < end_us; now_us = clock_now_us()) {
		struct pollfd fd = { client_hub_fd(c->hub), POLLIN, 0 };
		struct timespec wait = { 0 };

		if (now_us >= c->next_us) {
			on_tick(c, with_media);
			c->next_us += c->tick_us;
		}
		poll_all(c, now_us);
		now_us = clock_now_us();
		/* Short ticks are waited for without looking: a wake for each packet costs
		 * more than its work. */
		if (now_us < c->next_us)
			wait.tv_nsec = (long)(c->next_us - now_us) * 1000;
		if (now_us < c->next_us)
			(void)ppoll(&fd, c->tick_us > SHORT_US, &wait, NULL);
	}
}

void crowd_skip(struct crowd *c)
{
	uint64_t now_us = clock_now_us(), missed;

	if (!c->next_us || now_us <= c->next_us)
		return;
	missed = (now_us - c->next_us) / c->tick_us;
	c->tick += missed;
	c->next_us += missed * c->tick_us;
}

bool crowd_connect(struct crowd *c, uint64_t us)
{
	for (uint64_t end_us = clock_now_us() + us; clock_now_us() < end_us;) {
		unsigned up = 0;

		crowd_run(c, 20000, false);
		for (unsigned i = 0; i < c->count; i++)
			up += client_up(c->people[i].client);
		if (up == c->count)
			return true;
	}
	return false;
}
