/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An attacker who has a link: a test client whose every datagram passes through here. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, OFFER_MAX = 64 * 1024, AUDIO_BYTES = 80, PT_OPUS = 111 };

uint32_t peer_slot(const struct peer *p, unsigned i)
{
	return client_slot_ssrc(p->client, PEER_SLOT_FIRST + i);
}

static void on_send(void *arg, const uint8_t *data, size_t len)
{
	struct peer *p = arg;
	uint8_t frame[2 + 2048];

	if (data[0] >= 20 && data[0] <= 63 && p->hold_dtls) {
		if (!p->hello_len && len <= sizeof p->hello) {
			memcpy(p->hello, data, len);
			p->hello_len = len;
		}
		return;
	}
	if (!p->tcp) {
		(void)!send(p->fd, data, len, MSG_DONTWAIT);
		return;
	}
	put_be16(frame, (uint16_t)len);
	memcpy(frame + 2, data, len);
	(void)!send(p->fd, frame, len + 2, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct peer *p = arg;

	(void)now_us;
	p->rtp_bytes += len;
	for (unsigned i = 0; i < PEER_SLOTS; i++)
		if (len > 12 && peer_slot(p, i) == get_be32(data + 8)) {
			p->slot_seq[i] = get_be16(data + 2);
			p->slot_packets[i]++;
			p->slot_bytes[i] += len;
		}
}

static int offer_and_join(struct peer *p, const struct signal_link *link,
			  const char *media)
{
	char *offer = malloc(OFFER_MAX);
	uint64_t now_us = clock_now_us();
	int err = -ENOMEM;

	if (offer && client_offer(p->client, offer, OFFER_MAX) > 0)
		err = signal_join(link, "Mallory", offer, media, &p->join);
	if (!err)
		err = client_answer(p->client, p->join.answer, now_us);
	free(offer);
	return err;
}

int peer_join(struct peer *p, const struct hostile *h, const struct signal_link *link,
	      const char *media, bool tcp)
{
	struct client_section sections[9] = { { .send = true },
					      { .video = true, .send = true } };
	struct client_params params = { .cert = h->cert,
					.send = on_send,
					.section_count = 9,
					.sections = sections,
					.on_rtp = on_rtp,
					.arg = p };
	int err = -1;

	memset(p, 0, sizeof *p);
	p->h = h;
	p->link = link;
	p->tcp = tcp;
	p->join.ws = -1;
	sections[0].ssrc = p->audio_ssrc = random_u32() | 1;
	sections[1].ssrc = p->video_ssrc = random_u32() & ~1u;
	sections[1].rtx_ssrc = p->video_ssrc + 1;
	for (unsigned i = 2; i < 9; i++)
		sections[i].video = i >= 5;
	p->fd = tcp ? tcp_from(h, CALL_ADDRESS) : udp_from(h, CALL_ADDRESS);
	p->client = client_create(&params, clock_now_us());
	if (p->fd >= 0 && p->client)
		err = offer_and_join(p, link, media);
	if (!err)
		return 0;
	expect(false, "the attacker cannot join: %d", err);
	peer_leave(p);
	return -1;
}

/* The frames that are whole. */
static void take_frames(struct peer *p, uint64_t now_us)
{
	size_t at = 0;

	while (p->in_len - at >= 2 && p->in_len - at >= 2u + get_be16(p->in + at)) {
		size_t len = get_be16(p->in + at);

		client_input(p->client, p->in + at + 2, len, now_us);
		at += 2 + len;
	}
	memmove(p->in, p->in + at, p->in_len - at);
	p->in_len -= at;
}

static void take_input(struct peer *p, uint64_t now_us)
{
	ssize_t n;

	if (p->tcp) {
		n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len,
			 MSG_DONTWAIT);
		p->closed |= n == 0 || (n < 0 && errno != EAGAIN);
		if (n > 0)
			p->in_len += (size_t)n;
		take_frames(p, now_us);
		return;
	}
	while ((n = recv(p->fd, p->in, sizeof p->in, MSG_DONTWAIT)) >= 0)
		client_input(p->client, p->in, (size_t)n, now_us);
}

void peer_run(struct peer *p, int ms)
{
	uint64_t now_us = clock_now_us(), end_us = now_us + (uint64_t)ms * 1000;

	do {
		struct pollfd fd = { p->fd, POLLIN, 0 };

		(void)poll(&fd, 1, 2);
		now_us = clock_now_us();
		take_input(p, now_us);
		client_poll(p->client, now_us);
	} while (now_us < end_us);
}

bool peer_connect(struct peer *p)
{
	for (int i = 0; i < CONNECT_MS / 10 && !client_up(p->client); i++)
		peer_run(p, 10);
	return expect(client_up(p->client), "the attacker gets no connection");
}

void peer_leave(struct peer *p)
{
	char path[128], body[SIGNAL_TEXT_MAX + 32];
	struct reply *r = malloc(sizeof *r);
	int n;

	if (r && p->join.ticket[0]) {
		snprintf(path, sizeof path, "/api/1/rooms/%s/leave", p->link->room);
		n = snprintf(body, sizeof body, "{\"ticket\":\"%s\"}", p->join.ticket);
		post(p->h, CALL_ADDRESS, path, "", body, (size_t)n, r);
		expect(r->status == 204, "leaving gives %d", r->status);
	}
	free(r);
	if (p->client)
		client_destroy(p->client);
	if (p->fd >= 0)
		close(p->fd);
	signal_close(&p->join);
	memset(p, 0, sizeof *p);
	p->fd = -1;
}

size_t peer_audio(struct peer *p, uint8_t *buf, uint32_t ssrc)
{
	memset(buf, 0, AUDIO_BYTES);
	buf[0] = 0x80;
	buf[1] = PT_OPUS;
	put_be16(buf + 2, p->seq);
	put_be32(buf + 4, p->seq * 960u);
	put_be32(buf + 8, ssrc);
	buf[12] = 0x78;
	p->seq++;
	return AUDIO_BYTES;
}

char *make_offer(const struct hostile *h, unsigned sections)
{
	struct client_section s[9] = {
		{ .send = true, .ssrc = 1111 },
		{ .video = true, .send = true, .ssrc = 2222, .rtx_ssrc = 3333 }
	};
	struct client_params params = { .cert = h->cert,
					.sections = s,
					.section_count = sections };
	char *text = malloc(OFFER_MAX);
	struct client *c;

	for (unsigned i = 2; i < ARRAY_LEN(s); i++)
		s[i].video = i >= 5;
	c = client_create(&params, clock_now_us());
	if (!text || !c || client_offer(c, text, OFFER_MAX) < 0)
		abort();
	client_destroy(c);
	return text;
}
