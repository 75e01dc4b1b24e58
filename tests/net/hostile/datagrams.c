/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Strangers on UDP: whatever they send, they get nothing back, or (with a right check
 * from an address not proven) at most three times what they sent. */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STRANGER_MS = 150, HELLOS = 200, BURST = 50, DATAGRAM_MAX = 65507 };
#define STRANGER "127.0.10.1"
#define OTHER	 "127.0.10.2"

/* ---- garbage ----------------------------------------------------------------------- */

struct garbage {
	uint8_t first, second;
	const char *name;
	const char *counter;
};

/* Of each class of RFC 7983 and of those it leaves over. */
static const struct garbage classes[] = {
	{ 0, 1, "STUN", "stun_bad" },	       { 3, 255, "STUN", "stun_bad" },
	{ 22, 254, "DTLS", "dtls_bad" },       { 63, 0, "DTLS", "dtls_bad" },
	{ 128, 111, "RTP", "srtp_no_key" },    { 191, 96, "RTP", "srtp_no_key" },
	{ 128, 200, "RTCP", "srtp_no_key" },   { 191, 223, "RTCP", "srtp_no_key" },
	{ 19, 0, "ZRTP", "rx_unknown" },       { 64, 0, "TURN channel", "rx_unknown" },
	{ 255, 255, "nothing", "rx_unknown" },
};
static const size_t sizes[] = {
	0,  1,	 2,   7,    8,	  11,	12,   13,   19,
	20, 100, 500, 1200, 1472, 1690, 2000, 9000, DATAGRAM_MAX
};
enum { WHOLE_FROM = 9, TOO_LONG = 3 }; /* of sizes: from 20 bytes; more than a packet */

static void garbage(struct hostile *h)
{
	uint8_t *buf = malloc(DATAGRAM_MAX);
	int fd = udp_from(h, STRANGER);
	struct counters before;

	if (!buf || fd < 0)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		trying("datagrams: %s garbage", classes[i].name);
		counters_read(h, &before);
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
			noise(buf, sizes[k], (uint32_t)(i * 100 + k));
			if (sizes[k])
				buf[0] = classes[i].first;
			if (sizes[k] > 1)
				buf[1] = classes[i].second;
			expect(send(fd, buf, sizes[k], 0) >= 0, "cannot send %zu",
			       sizes[k]);
		}
		expect_grown(h, &before, classes[i].counter,
			     ARRAY_LEN(sizes) - WHOLE_FROM - TOO_LONG);
		expect_grown(h, &before, "rx_trunc", TOO_LONG);
		expect_grown(h, &before, "rx_unknown", 4); /* too short for any class */
	}
	expect(udp_received(fd, STRANGER_MS) == 0, "a stranger got an answer");
	close(fd);
	free(buf);
}

/* Thousands in a row, as fast as leaves the socket's buffer room. */
static void flood(struct hostile *h)
{
	int fd = udp_from(h, OTHER);
	struct counters before;
	uint8_t buf[300];

	trying("datagrams: flood");
	counters_read(h, &before);
	for (unsigned i = 0; i < 5000; i++) {
		noise(buf, sizeof buf, i);
		(void)!send(fd, buf, 20 + i % 280, MSG_DONTWAIT);
		if (i % BURST == 0)
			pause_ms(2);
	}
	expect_grown(h, &before, "rx_pkts", 5000);
	expect(udp_received(fd, STRANGER_MS) == 0, "a stranger got an answer");
	close(fd);
}

void attack_datagrams(struct hostile *h)
{
	garbage(h);
	flood(h);
}

/* ---- checks ------------------------------------------------------------------------ */

static void set_len(uint8_t *msg, size_t len)
{
	put_be16(msg + 2, (uint16_t)(len - 20));
}

/* A Binding request of nobody with a USERNAME of `name_len` bytes. */
static size_t request(uint8_t *buf, size_t name_len, bool colon)
{
	size_t padded = (name_len + 3) & ~(size_t)3;

	memset(buf, 0, 20);
	buf[1] = 1;
	put_be32(buf + 4, 0x2112a442);
	noise(buf + 8, 12, (uint32_t)name_len);
	put_be16(buf + 20, 6);
	put_be16(buf + 22, (uint16_t)name_len);
	memset(buf + 24, 'a', padded);
	if (colon && name_len)
		buf[24 + name_len / 2] = ':';
	set_len(buf, 24 + padded);
	return 24 + padded;
}

/* Requests of nobody: names of all lengths, none, and lengths that lie. */
static void nobody(struct hostile *h, int fd)
{
	static const size_t names[] = { 0, 1, 3, 8, 255, 256, 257, 513, 600, 1240 };
	struct counters before;
	uint8_t buf[2048];
	size_t len;

	trying("checks: nobody's");
	counters_read(h, &before);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		for (unsigned colon = 0; colon < 2; colon++) {
			len = request(buf, names[i], colon);
			(void)!send(fd, buf, len, 0);
		}
	/* without MESSAGE-INTEGRITY each of them is malformed */
	expect_grown(h, &before, "stun_bad", 2 * ARRAY_LEN(names));
	trying("checks: lengths that lie");
	counters_read(h, &before);
	for (size_t i = 0; i < 40; i++) {
		len = request(buf, 20, true);
		put_be16(buf + (i & 1 ? 2 : 22), (uint16_t)(i * 1677));
		(void)!send(fd, buf, len, 0);
	}
	expect_grown(h, &before, "stun_bad", 40);
}

/* Real checks of a peer, each broken in its own way, from a stranger's address. */
static void broken(struct hostile *h, struct peer *p, int fd)
{
	static const struct {
		const char *what;
		unsigned flags;
		const char *counter;
	} cases[] = {
		{ "wrong password", CHECK_BAD_INTEGRITY, "stun_auth" },
		{ "wrong fingerprint", CHECK_BAD_FINGERPRINT, "stun_bad" },
		{ "no integrity", CHECK_NO_INTEGRITY, "stun_bad" },
		{ "four bytes of integrity", CHECK_SHORT_INTEGRITY, "stun_bad" },
	};
	struct counters before;
	uint8_t buf[2048];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		trying("checks: %s", cases[i].what);
		counters_read(h, &before);
		for (unsigned k = 0; k < 10; k++) {
			len = client_write_check(p->client,
						 cases[i].flags | CHECK_NOMINATE, buf,
						 sizeof buf);
			(void)!send(fd, buf, len, 0);
		}
		expect_grown(h, &before, cases[i].counter, 10);
	}
	trying("checks: truncated");
	counters_read(h, &before);
	len = client_write_check(p->client, CHECK_NOMINATE, buf, sizeof buf);
	for (size_t n = 20; n < len; n++)
		(void)!send(fd, buf, n, 0);
	expect_grown(h, &before, "stun_bad", len - 20);
	trying("checks: with more behind");
	counters_read(h, &before);
	(void)!send(fd, buf, sizeof buf > 1300 ? 1300 : sizeof buf, 0);
	expect_grown(h, &before, "stun_bad", 1);
}

/* Right in everything, but for somebody who isn't there. */
static void unknown_user(struct hostile *h, struct peer *p, int fd)
{
	static const uint8_t no_fingerprint[FINGERPRINT_BYTES];
	struct client_params params = { .cert = h->cert };
	struct client *c = client_create(&params, clock_now_us());
	struct addr server;
	struct counters before;
	uint8_t buf[2048];
	size_t len;

	(void)p;
	trying("checks: unknown user");
	if (!c || addr_parse(&server, "127.0.0.1:1"))
		abort();
	client_set_remote(c, "Anobodys", "nobodysnobodysnobodys00", no_fingerprint,
			  &server, clock_now_us());
	counters_read(h, &before);
	for (unsigned i = 0; i < 100; i++) {
		len = client_write_check(c, CHECK_NOMINATE, buf, sizeof buf);
		(void)!send(fd, buf, len, 0);
	}
	expect_grown(h, &before, "stun_unknown_user", 100);
	client_destroy(c);
}

/* A right check from a new address is answered, or the tests above prove nothing; and
 * what follows from there stays within three times what came. */
static void unproven(struct hostile *h, struct peer *p)
{
	int fd = udp_from(h, OTHER);
	uint64_t in = 0, out;
	struct counters before;
	uint8_t buf[2048];
	size_t len;

	trying("checks: ClientHellos to an address not proven");
	counters_read(h, &before);
	len = client_write_check(p->client, CHECK_NOMINATE, buf, sizeof buf);
	in += (uint64_t)send(fd, buf, len, 0) + UDP_OVERHEAD;
	expect((out = udp_received(fd, STRANGER_MS)) > 0, "a right check gets no answer");
	for (unsigned i = 0; i < HELLOS; i++) {
		in += (uint64_t)send(fd, p->hello, p->hello_len, 0) + UDP_OVERHEAD;
		if (i % 10 == 0) {
			pause_ms(1);
			out += udp_received(fd, 1);
		}
	}
	out += udp_received(fd, 1500); /* retransmissions, too */
	expect(out <= 3 * in, "%llu bytes back for %llu", (unsigned long long)out,
	       (unsigned long long)in);
	expect_grown(h, &before, "dtls_rx", HELLOS);
	close(fd);

	trying("checks: one ClientHello, and silence");
	fd = udp_from(h, "127.0.10.3");
	len = client_write_check(p->client, CHECK_NOMINATE, buf, sizeof buf);
	in = (uint64_t)send(fd, buf, len, 0) + UDP_OVERHEAD;
	out = udp_received(fd, 50);
	in += (uint64_t)send(fd, p->hello, p->hello_len, 0) + UDP_OVERHEAD;
	out += udp_received(fd, 2500);
	expect(out > 0 && out <= 3 * in, "%llu bytes back for %llu",
	       (unsigned long long)out, (unsigned long long)in);
	close(fd);
}

static void unchecked_hellos(struct hostile *h, const struct peer *p, int fd)
{
	struct counters before;

	trying("checks: ClientHellos without a check");
	counters_read(h, &before);
	for (unsigned i = 0; i < HELLOS; i++) {
		(void)!send(fd, p->hello, p->hello_len, 0);
		if (i % BURST == 0)
			pause_ms(1);
	}
	expect_grown(h, &before, "dtls_bad", HELLOS);
}

/* One link, many addresses: the table is full, and the connection goes on. */
static void many_addresses(struct hostile *h)
{
	struct counters before;
	uint8_t buf[2048];
	struct peer p;
	char from[32];

	trying("checks: many addresses");
	if (peer_join(&p, h, &h->spare, NULL, false) || !peer_connect(&p))
		return;
	counters_read(h, &before);
	for (unsigned i = 0; i < 40; i++) {
		size_t len = client_write_check(p.client, i & 1 ? CHECK_NOMINATE : 0, buf,
						sizeof buf);
		int fd;

		snprintf(from, sizeof from, "127.0.11.%u", i + 1);
		fd = udp_from(h, from);
		(void)!send(fd, buf, len, 0);
		close(fd);
		peer_run(&p, 5);
	}
	expect_grown(h, &before, "path_limit", 20); /* unproven ones make room */
	counters_read(h, &before);
	for (unsigned i = 0; i < 10; i++)
		client_send_rtp(p.client, buf, peer_audio(&p, buf, p.audio_ssrc));
	expect_grown(h, &before, "rtp_muted", 10); /* taken: its microphone is off */
	peer_leave(&p);
}

void attack_checks(struct hostile *h)
{
	int fd = udp_from(h, STRANGER);
	struct peer p;

	if (peer_join(&p, h, &h->spare, NULL, false))
		return;
	p.hold_dtls = true;
	for (int i = 0; i < 300 && !p.hello_len; i++)
		peer_run(&p, 10);
	if (expect(p.hello_len > 0, "the attacker makes no ClientHello")) {
		nobody(h, fd);
		unknown_user(h, &p, fd);
		broken(h, &p, fd);
		unchecked_hellos(h, &p, fd);
		expect(udp_received(fd, STRANGER_MS) == 0, "a stranger got an answer");
		unproven(h, &p);
	}
	peer_leave(&p);
	close(fd);
	many_addresses(h);
}
