/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An attacker who talks in the call itself: lengths that lie, CSRCs, clocks that jump, too many
 * packets, and new beginnings without end. The people in the call get of it what is sound, in
 * slots without a gap (call.c), and of each other everything.
 */
#include "hostile.h"

#include <string.h>

enum { PT_OPUS = 111, PACKET_MS = 20, TICKS = 960, SAID_BYTES = 60, CSRCS = 15 };

struct mallory {
	struct peer p;
	uint32_t ts, ssrc;
};

/* One packet; `toc` instead of her usual one if it is given. */
static void say(struct mallory *m, uint32_t ts, unsigned csrcs, const uint8_t *toc,
		size_t toc_len)
{
	uint8_t buf[256] = { (uint8_t)(0x80 | csrcs), PT_OPUS };
	size_t at = 12 + 4 * csrcs;

	put_be16(buf + 2, m->p.seq++);
	put_be32(buf + 4, ts);
	put_be32(buf + 8, m->ssrc);
	noise(buf + 12, at - 12, m->p.seq);
	buf[at] = 0x78;
	put_be16(buf + at + 1, VOICE_MARK);
	noise(buf + at + 3, SAID_BYTES - 3, m->p.seq);
	if (toc)
		memcpy(buf + at, toc, toc_len);
	client_send_rtp(m->p.client, buf, at + (toc ? toc_len : SAID_BYTES));
}

static void wait_packet(struct mallory *m)
{
	m->ts += TICKS;
	peer_run(&m->p, PACKET_MS);
}

static void talk(struct mallory *m, unsigned ms)
{
	for (unsigned i = 0; i < ms / PACKET_MS; i++) {
		say(m, m->ts, 0, NULL, 0);
		wait_packet(m);
	}
}

static void csrcs(struct hostile *h, struct mallory *m)
{
	struct counters before;

	trying("voices: CSRCs");
	counters_read(h, &before);
	for (unsigned i = 0; i < 50; i++) {
		say(m, m->ts, CSRCS, NULL, 0);
		wait_packet(m);
	}
	expect_grown(h, &before, "rtp_csrc", 50);
}

static void lengths(struct hostile *h, struct mallory *m)
{
	static const uint8_t lies[][4] = {
		{ 0x7b, 63, 1, 2 },  /* 1.26 s */
		{ 0x7b, 0, 1, 2 },   /* no frame */
		{ 0x79, 1, 2, 3 },   /* two equal ones of 1.5 bytes */
		{ 0x7a, 200, 1, 2 }, /* longer than the packet */
		{ 0x7b, 0x42, 0xff, 0xff }
	};
	struct counters before;

	trying("voices: lengths that lie");
	counters_read(h, &before);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 2)
			say(m, m->ts, 0, NULL, 0);
		else
			say(m, m->ts, 0, lies[i / 2 % ARRAY_LEN(lies)], sizeof lies[0]);
		wait_packet(m);
	}
	expect_grown(h, &before, "voice_bad", 5);
	expect_grown(h, &before, "voice_bad voice_drop", 50);
}

static void clocks(struct hostile *h, struct mallory *m)
{
	static const uint32_t steps[] = { 0x80000000,	 0x7fffffff,
					  48000 * 3600u, (uint32_t)-48000 * 3600 * 5,
					  48000 * 12,	 (uint32_t)-48000 * 11 };
	struct counters before;

	trying("voices: clocks that jump");
	counters_read(h, &before);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		m->ts += steps[i];
		talk(m, 500);
	}
	expect_grown(h, &before, "ts_jump", ARRAY_LEN(steps));
	trying("voices: packets from another time");
	counters_read(h, &before);
	for (unsigned i = 0; i < 100; i++) {
		say(m, m->ts + (i % 20 ? 0 : steps[i / 20]), 0, NULL, 0);
		wait_packet(m);
	}
	expect_grown(h, &before, "ts_stray", 3);
}

static void flood(struct hostile *h, struct mallory *m)
{
	struct counters before;

	trying("voices: 400 packets a second");
	counters_read(h, &before);
	for (unsigned i = 0; i < 4000 / PACKET_MS; i++) {
		for (unsigned k = 0; k < 400 * PACKET_MS / 1000; k++)
			say(m, m->ts + k * 120, 0, NULL, 0);
		wait_packet(m);
	}
	/* of 1600; 200 a second, and what she had saved */
	expect_grown(h, &before, "voice_drop", 100);
}

static void beginnings(struct hostile *h, struct mallory *m)
{
	struct counters before, after;

	trying("voices: beginnings without end");
	counters_read(h, &before);
	for (unsigned i = 0; i < 150; i++) {
		m->p.seq = (uint16_t)(m->p.seq + (i % 3 ? 0 : 9000));
		m->ssrc = m->p.audio_ssrc ^ (i & 4);
		say(m, m->ts, 0, NULL, 0);
		wait_packet(m);
	}
	expect_grown(h, &before, "voice_drop", 50);
	counters_read(h, &after);
	/* two a second for each of three people, and what she had saved */
	expect(counter(&after, "slot_switch") - counter(&before, "slot_switch") < 3 * 16,
	       "%llu switches",
	       (unsigned long long)(counter(&after, "slot_switch") -
				    counter(&before, "slot_switch")));
}

void attack_voices(struct hostile *h)
{
	struct mallory m = { .ts = 1000 };
	uint64_t heard;

	if (peer_join(&m.p, h, &h->server.link, "{\"mic\":true}", false))
		return;
	m.ssrc = m.p.audio_ssrc;
	if (peer_connect(&m.p)) {
		heard = call_foreign(h->call);
		talk(&m, 1000);
		heard = call_foreign(h->call) - heard;
		expect(heard >= 3 * 45, "the attacker is not heard: %llu packets",
		       (unsigned long long)heard);
		csrcs(h, &m);
		lengths(h, &m);
		talk(&m, 1000);
		clocks(h, &m);
		flood(h, &m);
		talk(&m, 1000);
		beginnings(h, &m);
		m.ssrc = m.p.audio_ssrc;
		talk(&m, 1500);
		heard = call_foreign(h->call);
		talk(&m, 1000);
		heard = call_foreign(h->call) - heard;
		expect(heard >= 3 * 45, "the attacker is not heard again: %llu packets",
		       (unsigned long long)heard);
		expect(client_up(m.p.client) && !client_closed(m.p.client),
		       "the attacker was thrown out");
	}
	peer_leave(&m.p);
}
