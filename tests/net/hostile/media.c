/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Attackers who have a link and keys: SRTP replayed, forged and senseless. */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REPLAYS = 100,
	SSRC_FLOOD = 60,
	NONSENSE = 3000,
	BUF = 2048,
	PAUSE_EVERY = 100,
	SEALED_MAX = 1400
};

/* Between packets, so that a flood leaves the server's socket room. */
static void breathe(struct peer *p, unsigned i)
{
	if (i % PAUSE_EVERY == PAUSE_EVERY - 1)
		peer_run(p, 2);
}

static size_t sealed(struct peer *p, uint8_t *buf)
{
	size_t len = peer_audio(p, buf, p->audio_ssrc);

	return (size_t)client_seal(p->client, buf, len, false);
}

static void replay(struct hostile *h, struct peer *p)
{
	int stranger = udp_from(h, "127.0.12.1"), known = udp_from(h, "127.0.12.2");
	struct counters before;
	uint8_t buf[BUF], check[BUF];
	size_t len, check_len;

	trying("srtp: replayed from the same address");
	counters_read(h, &before);
	len = sealed(p, buf);
	for (unsigned i = 0; i < REPLAYS + 1; i++)
		client_send_raw(p->client, buf, len);
	expect_grown(h, &before, "srtp_replay", REPLAYS);
	expect_grown(h, &before, "rtp_muted", 1); /* the first was taken */
	trying("srtp: replayed from a stranger's");
	counters_read(h, &before);
	for (unsigned i = 0; i < REPLAYS; i++)
		(void)!send(stranger, buf, len, 0);
	expect_grown(h, &before, "srtp_no_key", REPLAYS);
	trying("srtp: replayed from an address that has been checked");
	check_len = client_write_check(p->client, 0, check, sizeof check);
	(void)!send(known, check, check_len, 0);
	expect(udp_received(known, 100) > 0, "a right check gets no answer");
	counters_read(h, &before);
	for (unsigned i = 0; i < REPLAYS; i++)
		(void)!send(known, buf, len, 0);
	expect_grown(h, &before, "srtp_replay", REPLAYS);
	counters_read(h, &before);
	expect(udp_received(known, 300) == 0, "replays bring media elsewhere");
	close(stranger);
	close(known);
}

static void forge(struct hostile *h, struct peer *p)
{
	struct counters before;
	uint8_t good[BUF], buf[BUF];
	size_t len = sealed(p, good);

	trying("srtp: every bit flipped");
	counters_read(h, &before);
	for (unsigned bit = 0; bit < 8 * len; bit++) {
		memcpy(buf, good, len);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		client_send_raw(p->client, buf, len);
		breathe(p, bit);
	}
	/* each one refused, though some have become something else */
	expect_grown(h, &before,
		     "srtp_auth srtp_bad srtp_replay rx_unknown dtls_bad stun_bad",
		     8 * len);
	trying("srtp: cut short");
	counters_read(h, &before);
	for (size_t n = 12; n < len; n++)
		client_send_raw(p->client, good, n);
	expect_grown(h, &before, "srtp_auth srtp_bad", len - 12);
	trying("srtp: the real one after all the forged");
	counters_read(h, &before);
	client_send_raw(p->client, good, len);
	expect_grown(h, &before, "rtp_muted", 1);
}

static void many_ssrcs(struct hostile *h, struct peer *p)
{
	struct counters before, after;
	uint8_t buf[BUF];

	trying("srtp: SSRCs without end");
	counters_read(h, &before);
	for (unsigned i = 0; i < SSRC_FLOOD; i++)
		client_send_rtp(p->client, buf, peer_audio(p, buf, 0x1000 + i));
	expect_grown(h, &before, "ssrc_limit", SSRC_FLOOD - 16);
	counters_read(h, &after);
	/* stopped before libsrtp makes room for them, not behind it */
	expect(counter(&after, "ssrc_unknown") <= counter(&before, "ssrc_unknown") + 16,
	       "more than 16 were opened");
	counters_read(h, &before);
	client_send_rtp(p->client, buf, peer_audio(p, buf, p->audio_ssrc));
	expect_grown(h, &before, "rtp_muted", 1);
}

/* Authenticated, but no RTP that anybody would send. */
static void nonsense(struct hostile *h)
{
	struct counters before;
	uint8_t buf[BUF];
	struct peer p;

	trying("srtp: nonsense with a good seal");
	if (peer_join(&p, h, &h->spare, "{\"mic\":true,\"camera\":true}", false) ||
	    !peer_connect(&p))
		return;
	counters_read(h, &before);
	for (unsigned i = 0; i < NONSENSE; i++) {
		size_t len = 12 + ((i * 2654435761u) >> 8) % 200;

		noise(buf, len, i);
		buf[0] = (uint8_t)(0x80 | (buf[0] & (i % 3 ? 0x20 : 0x3f)));
		buf[1] = (uint8_t)(i % 2 ? 111 : i % 4 ? 96 : 97);
		if (i % 5) /* in sequence, so that the frame is looked at */
			put_be16(buf + 2, p.seq++);
		put_be32(buf + 8, i % 2	  ? p.audio_ssrc
				  : i % 4 ? p.video_ssrc
					  : p.video_ssrc + 1);
		client_send_rtp(p.client, buf, len); /* libsrtp refuses some: fine */
		breathe(&p, i);
	}
	expect_grown(h, &before, "rtp_bad", NONSENSE / 20);
	expect_grown(h, &before, "rtp_old", 1);
	expect_grown(h, &before, "rtx_rx", 1);
	peer_leave(&p);
}

static void muted(struct hostile *h)
{
	struct counters before;
	uint8_t buf[BUF];
	struct peer p;

	trying("srtp: a microphone that is off, in the call");
	if (peer_join(&p, h, &h->server.link, NULL, false) || !peer_connect(&p))
		return;
	counters_read(h, &before);
	for (unsigned i = 0; i < 200; i++) {
		client_send_rtp(p.client, buf, peer_audio(&p, buf, p.audio_ssrc));
		breathe(&p, i);
	}
	expect_grown(h, &before, "rtp_muted", 200);
	peer_leave(&p);
}

void attack_srtp(struct hostile *h)
{
	struct peer p;

	/* its microphone is off: what is taken of it is counted as muted */
	if (peer_join(&p, h, &h->spare, NULL, false))
		return;
	if (peer_connect(&p)) {
		replay(h, &p);
		forge(h, &p);
		many_ssrcs(h, &p);
	}
	peer_leave(&p);
	nonsense(h);
	muted(h);
}

/* ---- RTCP -------------------------------------------------------------------------- */

enum { RTPFB = 205, PSFB = 206 };

static size_t head(uint8_t *b, uint8_t count, uint8_t type, size_t len)
{
	b[0] = (uint8_t)(0x80 | count);
	b[1] = type;
	put_be16(b + 2, (uint16_t)(len / 4 - 1));
	return len;
}

/* NACKs for 17 numbers each, as many as fit. */
static size_t nacks(uint8_t *b, uint32_t ssrc, uint16_t first, unsigned count)
{
	size_t len = 12 + 4 * count;

	put_be32(b + 4, 1);
	put_be32(b + 8, ssrc);
	for (unsigned i = 0; i < count; i++) {
		put_be16(b + 12 + 4 * i, (uint16_t)(first + 17 * i));
		put_be16(b + 14 + 4 * i, 0xffff);
	}
	return head(b, 1, RTPFB, len);
}

static size_t pli(uint8_t *b, uint32_t ssrc)
{
	put_be32(b + 4, 1);
	put_be32(b + 8, ssrc);
	return head(b, 1, PSFB, 12);
}

static size_t fir(uint8_t *b, uint32_t ssrc, unsigned count)
{
	put_be32(b + 4, 1);
	put_be32(b + 8, 0);
	for (unsigned i = 0; i < count; i++) {
		put_be32(b + 12 + 8 * i, ssrc);
		put_be32(b + 16 + 8 * i, i << 24);
	}
	return head(b, 4, PSFB, 12 + 8 * count);
}

enum { AGAIN_MIN = 50 }; /* packets a second whatever a slot gets */

struct usual {
	uint64_t bytes, again;
};

/* In a second as it is usually: all bytes, and how many may come again: of each slot
 * twice its packets, at least AGAIN_MIN, each with RTX's two bytes; sound does not count, whose repeats are not opened
 * twice. The greater of two
 * such seconds is kept: this machine may stand still in one of them. */
static void usual_second(struct peer *p, struct usual *u)
{
	uint64_t packets[PEER_SLOTS], slot_bytes[PEER_SLOTS], start_us, us, bytes,
		again = 0;

	memcpy(packets, p->slot_packets, sizeof packets);
	memcpy(slot_bytes, p->slot_bytes, sizeof slot_bytes);
	bytes = p->rtp_bytes;
	start_us = clock_now_us();
	peer_run(p, 1000);
	us = clock_now_us() - start_us;
	bytes = (p->rtp_bytes - bytes) * 1000000 / us;
	for (unsigned k = 0; k < PEER_SLOTS; k++) {
		uint64_t n = (p->slot_packets[k] - packets[k]) * 1000000 / us;
		uint64_t b = (p->slot_bytes[k] - slot_bytes[k]) * 1000000 / us;

		if (n && k >= PEER_AUDIO)
			again += (b / n + 2) * (2 * n > AGAIN_MIN ? 2 * n : AGAIN_MIN);
	}
	u->bytes = bytes > u->bytes ? bytes : u->bytes;
	u->again = again > u->again ? again : u->again;
}

static void flood(struct peer *p, unsigned times)
{
	uint8_t buf[BUF];

	for (unsigned i = 0; i < times; i++) {
		size_t len = 0;

		for (unsigned k = 0; k < PEER_SLOTS; k++)
			len += nacks(buf + len, peer_slot(p, k),
				     (uint16_t)(p->slot_seq[k] - 60), 4);
		client_send_rtcp(p->client, buf, len);
		peer_run(p, 1);
	}
}

/* What a slot gets again in a second is bounded by what it gets: twice as much. */
static void nack_flood(struct hostile *h, struct peer *p)
{
	uint64_t start_us, us, flooded, allowed;
	struct usual u = { 0 };
	struct counters before;

	trying("rtcp: NACKs for everything");
	peer_run(p, 500);
	usual_second(p, &u);
	expect(u.bytes > 10000, "the attacker hears nothing: %llu bytes",
	       (unsigned long long)u.bytes);
	counters_read(h, &before);
	flood(p, 300); /* what was allowed for the second that has begun is used up */
	flooded = p->rtp_bytes;
	start_us = clock_now_us();
	flood(p, 1000);
	flooded = p->rtp_bytes - flooded;
	us = clock_now_us() - start_us;
	expect_grown(h, &before, "nack_rx", 1000 * PEER_SLOTS * 60);
	expect_grown(h, &before, "nack_limit", 500);
	peer_run(p, 500);
	usual_second(p, &u);
	/* each second that begins in it has its allowance; a tenth more: pictures are not
	 * all of one size */
	allowed = (u.bytes * us / 1000000 + u.again * (us / 1000000 + 1)) * 11 / 10;
	printf("rtcp         %.1f s of NACKs for everything: %llu bytes, %llu usual, "
	       "%llu allowed\n",
	       (double)us / 1e6, (unsigned long long)flooded,
	       (unsigned long long)(u.bytes * us / 1000000), (unsigned long long)allowed);
	expect(flooded > 2 * u.bytes && flooded < allowed,
	       "%llu bytes where %llu a second were usual and %llu allowed",
	       (unsigned long long)flooded, (unsigned long long)u.bytes,
	       (unsigned long long)allowed);
}

/* However often it is asked for, a sender hears of it four times a second. */
static void key_flood(struct hostile *h, struct peer *p)
{
	uint64_t start_us = clock_now_us(), us;
	struct counters before, after;
	uint8_t buf[BUF];

	trying("rtcp: PLIs and FIRs without end");
	counters_read(h, &before);
	for (unsigned i = 0; i < 500; i++) {
		size_t len = 0;

		for (unsigned k = 0; k < PEER_SLOTS; k++)
			len += pli(buf + len, peer_slot(p, k));
		for (unsigned k = 3; k < PEER_SLOTS; k++)
			len += fir(buf + len, peer_slot(p, k), 20);
		len += fir(buf + len, 0x12345678, 50); /* of nobody */
		client_send_rtcp(p->client, buf, len);
		peer_run(p, 2);
	}
	expect_grown(h, &before, "pli_rx", 500 * 4);
	counters_read(h, &after);
	us = clock_now_us() - start_us;
	/* three cameras, at most one in KEYREQ_MIN_MS each */
	expect(counter(&after, "pli_tx") - counter(&before, "pli_tx") <=
		       3 * (us / 250000 + 2),
	       "%llu key frames asked for in %llu ms",
	       (unsigned long long)(counter(&after, "pli_tx") -
				    counter(&before, "pli_tx")),
	       (unsigned long long)(us / 1000));
}

/* Whole, authenticated, and believed by nobody. */
static void lies(struct hostile *h, struct peer *p)
{
	struct counters before;
	uint8_t b[BUF];
	size_t len;

	trying("rtcp: lies");
	counters_read(h, &before);
	for (unsigned i = 0; i < 50; i++) {
		uint32_t ssrc = i % 8 < 7 ? peer_slot(p, i % 8) : p->audio_ssrc;

		/* REMB: exponent 63, the largest mantissa, 255 SSRCs that aren't there */
		memset(b, 0, 20);
		put_be32(b + 4, 1);
		memcpy(b + 12, "REMB", 4);
		put_be32(b + 16, 0xffffffff);
		len = head(b, 15, PSFB, 20);
		/* BYE for others, with a reason longer than it is */
		put_be32(b + len + 4, ssrc);
		put_be32(b + len + 8, 0xff616161);
		len += head(b + len, 1, 203, 12);
		/* a report from the year 2036, and from 1900, about everybody */
		put_be32(b + len + 4, ssrc);
		memset(b + len + 8, i & 1 ? 0xff : 0, 20);
		noise(b + len + 28, 24, i);
		len += head(b + len, 1, 200, 52);
		/* transport-cc with nothing in it; application data; extended reports */
		noise(b + len + 4, 60, i);
		len += head(b + len, 15, RTPFB, 20);
		len += head(b + len, 0, 204, 12);
		len += head(b + len, 0, 207, 8);
		client_send_rtcp(p->client, b, len);
		breathe(p, i * 10);
	}
	expect_grown(h, &before, "rtcp_rx", 50);
}

static void broken(struct hostile *h, struct peer *p)
{
	struct counters before;
	uint8_t b[BUF];
	size_t len;

	trying("rtcp: lengths that lie");
	counters_read(h, &before);
	for (unsigned i = 1; i < 200; i++) {
		len = pli(b, peer_slot(p, 3));
		len += nacks(b + len, peer_slot(p, 3), 0, 5);
		put_be16(b + (i & 1 ? 2 : 14), (uint16_t)(i * 331));
		client_send_rtcp(p->client, b, len);
		breathe(p, i);
	}
	expect_grown(h, &before, "rtcp_bad", 199);
	trying("rtcp: noise with a good seal");
	counters_read(h, &before);
	for (unsigned i = 0; i < 500; i++) {
		len = 8 + 4 * (i % 250);
		noise(b, len, i);
		b[0] = (uint8_t)(0x80 | (b[0] & 0x3f));
		b[1] = (uint8_t)(192 + i % 32);
		put_be32(b + 4, 1); /* one sender, or libsrtp runs out of room */
		client_send_rtcp(p->client, b, len);
		breathe(p, i);
	}
	expect_grown(h, &before, "rtcp_rx", 500);
	expect_grown(h, &before, "rtcp_bad", 400);
	trying("rtcp: more packets than a compound may have");
	counters_read(h, &before);
	for (len = 0; len + 12 < SEALED_MAX;)
		len += pli(b + len, peer_slot(p, 3));
	client_send_rtcp(p->client, b, len);
	expect_grown(h, &before, "rtcp_bad", 1);
}

void attack_rtcp(struct hostile *h)
{
	struct peer p;

	/* in the call itself: it gets what everybody sends */
	if (peer_join(&p, h, &h->server.link, NULL, false))
		return;
	if (peer_connect(&p)) {
		nack_flood(h, &p);
		key_flood(h, &p);
		lies(h, &p);
		broken(h, &p);
		peer_run(&p, 500);
		expect(client_up(p.client) && !client_closed(p.client),
		       "the attacker was thrown out"); /* its RTCP is no crime */
	}
	peer_leave(&p);
}
