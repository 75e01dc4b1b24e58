/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See crowd.h. */
#include "crowd.h"

#include <palabre/wire.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"

enum {
	AUDIO_PT = 111,
	VIDEO_PT = 96,
	KEY_EVERY = 25,
	SECTIONS = 8,
	REPORT_TICKS = 1000000 / MIX_TICK_US
};

const char *const crowd_sets[] = { "room.people_max=5000",
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

int crowd_join(struct crowd *c, bool sends)
{
	static char offer[64 * 1024];
	struct client_section sections[SECTIONS + 1];
	struct crowd_person *p = &c->people[c->count];
	struct client_params params = { .cert = c->cert,
					.hub = c->hub,
					.sections = sections,
					.on_rtp = on_rtp,
					.arg = c };
	uint64_t now_us = clock_now_us();
	char name[32];
	int err;

	p->sends = sends;
	p->audio_ssrc = random_u32() | 1;
	p->video_ssrc = (random_u32() | 1) - 1;
	params.section_count = sections_make(p, sections);
	p->client = client_create(&params, now_us);
	if (!p->client || client_offer(p->client, offer, sizeof offer) < 0) {
		fprintf(stderr, "no client\n");
		return -1;
	}
	snprintf(name, sizeof name, "Person %u", c->count);
	err = signal_join(c->link, name, offer,
			  sends ? "{\"mic\":true,\"camera\":true}" : NULL, &p->join);
	if (!err)
		err = client_answer(p->client, p->join.answer, now_us);
	if (!err)
		err = signal_events(c->link, &p->join);
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

static void media(struct crowd *c, unsigned tick)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (!c->people[i].sends)
			continue;
		send_audio(&c->people[i]);
		if (tick % 2)
			send_frame(&c->people[i]);
	}
}

/* What a browser reports while it receives: once a second. */
static void send_report(struct crowd_person *p)
{
	uint8_t buf[256];
	struct rtcp_block block = { .ssrc = client_slot_ssrc(p->client,
							     p->sends ? 2 : 0) };
	struct wr w;

	wr_init(&w, buf, sizeof buf - 64);
	rtcp_put_rr(&w, p->audio_ssrc, &block, 1);
	(void)client_send_rtcp(p->client, buf, wr_len(&w));
}

static void reports(struct crowd *c, unsigned tick)
{
	for (unsigned i = tick % REPORT_TICKS; i < c->count; i += REPORT_TICKS)
		send_report(&c->people[i]);
}

static void poll_all(struct crowd *c, uint64_t now_us)
{
	while (client_hub_poll(c->hub, 256, now_us) == 256)
		;
	for (unsigned i = 0; i < c->count; i++)
		if (client_next_us(c->people[i].client, now_us) <= now_us)
			client_poll(c->people[i].client, now_us);
}

static void drain_events(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++)
		(void)signal_drain(&c->people[i].join);
}

void crowd_run(struct crowd *c, uint64_t us, bool with_media)
{
	uint64_t now_us = clock_now_us(), end_us = now_us + us, tick_us = now_us;

	for (unsigned tick = 0; now_us < end_us; now_us = clock_now_us()) {
		struct pollfd fd = { client_hub_fd(c->hub), POLLIN, 0 };

		if (now_us >= tick_us) {
			if (with_media) {
				media(c, tick);
				reports(c, tick);
			}
			if (tick++ % 50 == 0)
				drain_events(c);
			tick_us += MIX_TICK_US;
		}
		poll_all(c, now_us);
		now_us = clock_now_us();
		if (now_us < tick_us)
			(void)poll(&fd, 1, (int)((tick_us - now_us) / 1000));
	}
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
