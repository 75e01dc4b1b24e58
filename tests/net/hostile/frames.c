/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 4571 on the one port: strangers, and a peer whose frames go wrong. */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SOON_MS = 2000,
	FIRST_BYTES_MS = 10000, /* the server's patience: app/run.c, worker_private.h */
	WANTED_MS = 10000,
	SLACK_MS = 4000,
	UNKNOWN = 270, /* more than FRAMED_PER_ADDRESS_MAX */
	UNKNOWN_MAX = 256
};

static size_t framed(uint8_t *out, const uint8_t *data, size_t len)
{
	put_be16(out, (uint16_t)len);
	memcpy(out + 2, data, len);
	return len + 2;
}

/* A Binding request for somebody that worker 0 would know. */
static size_t unknown_check(uint8_t *out, char worker)
{
	static const char name[] = "?nobody1:stranger";
	uint8_t b[64] = { 0, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42 };

	noise(b + 8, 12, random_u32());
	put_be16(b + 20, 6);
	put_be16(b + 22, sizeof name - 1);
	memcpy(b + 24, name, sizeof name - 1);
	b[24] = (uint8_t)worker;
	return framed(out, b, 44);
}

static const struct {
	const char *what;
	uint8_t bytes[32];
	size_t len;
} first_bytes[] = {
	{ "a byte that begins nothing", { 0x80 }, 1 },
	{ "a frame too long to be a check", { 2, 1 }, 2 },
	{ "the longest frame", { 0xff, 0xff }, 2 },
	{ "an empty frame", { 0, 0 }, 2 },
	{ "a frame of one byte", { 0, 1, 0 }, 3 },
	{ "a frame of RTP", { 0, 12, 0x80, 111, 0, 1 }, 14 },
	{ "a frame of DTLS", { 0, 14, 22, 0xfe, 0xfd }, 16 },
	{ "STUN without a name", { 0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 }, 22 },
	{ "lower case", "get / HTTP/1.1\r\n\r\n", 18 },
	{ "TLS where there is none", { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc }, 9 },
};

static void strangers(struct hostile *h)
{
	struct counters before;
	uint8_t buf[128];
	size_t len;
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(first_bytes); i++) {
		trying("frames: %s", first_bytes[i].what);
		counters_read(h, &before);
		fd = tcp_from(h, "127.0.13.1");
		(void)!send(fd, first_bytes[i].bytes, first_bytes[i].len, MSG_NOSIGNAL);
		expect(closed_within(fd, SOON_MS) >= 0, "it stays open");
		close(fd);
		if (first_bytes[i].bytes[0] != 0x16)
			expect_grown(h, &before, "tcp_rx_bad", 1);
	}
	trying("frames: a worker that isn't there");
	counters_read(h, &before);
	fd = tcp_from(h, "127.0.13.1");
	len = unknown_check(buf, 'B');
	(void)!send(fd, buf, len, MSG_NOSIGNAL);
	expect(closed_within(fd, SOON_MS) >= 0, "it stays open");
	expect_grown(h, &before, "stun_unknown_user", 1);
	close(fd);
}

static void peer_frames(struct hostile *h)
{
	static uint8_t frame[2 + 5000];
	struct counters before;
	struct peer p;

	trying("frames: a peer's");
	if (peer_join(&p, h, &h->spare, NULL, true) || !peer_connect(&p))
		return;
	/* Skipped and counted, and the connection goes on. */
	trying("frames: longer than a packet");
	counters_read(h, &before);
	put_be16(frame, 4000);
	(void)!send(p.fd, frame, 2 + 4000, MSG_NOSIGNAL);
	expect_grown(h, &before, "rx_trunc", 1);
	trying("frames: garbage from a peer");
	counters_read(h, &before);
	for (unsigned i = 0; i < 300; i++) {
		size_t len = 2 + (i * 37) % 1500;

		noise(frame + 2, len - 2, i);
		put_be16(frame, (uint16_t)(len - 2));
		(void)!send(p.fd, frame, len, MSG_NOSIGNAL);
	}
	expect_grown(h, &before, "rx_unknown", 30);
	counters_read(h, &before);
	client_send_rtp(p.client, frame, peer_audio(&p, frame, p.audio_ssrc));
	expect_grown(h, &before, "rtp_muted", 1);
	trying("frames: longer than any");
	counters_read(h, &before);
	put_be16(frame, 5000);
	(void)!send(p.fd, frame, 2 + 5000, MSG_NOSIGNAL);
	for (int i = 0; i < 100 && !p.closed; i++)
		peer_run(&p, 20);
	expect(p.closed, "it stays open");
	expect_grown(h, &before, "tcp_rx_bad", 1);
	peer_leave(&p);
}

void attack_frames(struct hostile *h)
{
	strangers(h);
	peer_frames(h);
}

/* ---- patience ---------------------------------------------------------------------- */

static void expect_patience(int ms, int wanted)
{
	expect(ms >= wanted - 500 && ms <= wanted + SLACK_MS,
	       "closed after %d ms, not about %d", ms, wanted);
}

void wait_first_byte(struct hostile *h)
{
	int fd = tcp_from(h, "127.0.13.2");

	expect_patience(closed_within(fd, FIRST_BYTES_MS + SLACK_MS), FIRST_BYTES_MS);
	close(fd);
}

void wait_half_frame(struct hostile *h)
{
	int fd = tcp_from(h, "127.0.13.3");
	uint8_t buf[128];
	size_t len = unknown_check(buf, 'A');
	uint64_t start_us = clock_now_us();

	/* a byte a second doesn't buy more time */
	for (size_t i = 0; i < len && i < 8; i++) {
		(void)!send(fd, buf + i, 1, MSG_NOSIGNAL);
		pause_ms(1000);
	}
	expect(closed_within(fd, FIRST_BYTES_MS) >= 0, "it stays open");
	expect_patience((int)((clock_now_us() - start_us) / 1000), FIRST_BYTES_MS);
	close(fd);
}

/* Strangers who know what a check looks like: bounded per address, and not for ever. */
void wait_unknown_frames(struct hostile *h)
{
	int fd[UNKNOWN], open_count = 0;
	struct counters before;
	uint8_t buf[128];

	counters_read(h, &before);
	for (unsigned i = 0; i < UNKNOWN; i++) {
		size_t len = unknown_check(buf, 'A');

		fd[i] = tcp_from(h, "127.0.13.4");
		(void)!send(fd[i], buf, len, MSG_NOSIGNAL);
	}
	expect_grown(h, &before, "stun_bad", UNKNOWN_MAX);
	expect_grown(h, &before, "tcp_limit", UNKNOWN - UNKNOWN_MAX);
	pause_ms(500);
	for (unsigned i = 0; i < UNKNOWN; i++)
		open_count += closed_within(fd[i], 1) < 0;
	expect(open_count == UNKNOWN_MAX, "%d stay open", open_count);
	pause_ms(WANTED_MS + SLACK_MS / 2);
	open_count = 0;
	for (unsigned i = 0; i < UNKNOWN; i++) {
		open_count += closed_within(fd[i], 10) < 0;
		close(fd[i]);
	}
	expect(open_count == 0, "%d stay open for ever", open_count);
	expect_grown(h, &before, "tcp_unwanted", UNKNOWN_MAX);
}

/* A peer leaves, its connection stays behind with half a frame in it. */
void wait_left_frames(struct hostile *h)
{
	static const uint8_t half[] = { 5, 0, 0x80, 111 };
	struct peer p;
	int fd;

	if (peer_join(&p, h, &h->spare, NULL, true) || !peer_connect(&p))
		return;
	(void)!send(p.fd, half, sizeof half, MSG_NOSIGNAL);
	fd = dup(p.fd);
	peer_leave(&p);
	expect(closed_within(fd, 2 * WANTED_MS + SLACK_MS) >= 0,
	       "it stays open for ever");
	close(fd);
}
