/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The call beside: three people in a thread of their own, each sending numbered audio and
 * video, each checking what comes: every slot is gapless, and of everybody else every
 * packet arrives, once, in order, with the content sent. Nobody asks for anything again,
 * so whatever the server or its socket loses is seen. Beside that somebody sends forged
 * packets in their names: from their own addresses.
 */
#include "hostile.h"

#include <palabre/wire.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PEOPLE = 3,
	KINDS = 2, /* audio, video */
	SECTIONS = 9,
	FIRST_SLOT = 2,
	TICK_MS = 20,
	FRAME_TICKS = 3,
	KEY_FRAMES = 16, /* a key frame in so many: once a second */
	VIDEO_PKTS = 2,
	FORGED_TICKS = 4,
	BEGIN_MS = 15000,
	END_MS = 1500,
	ALIVE_TICKS = 200, /* a sign of life on the WebSocket: 4 s */
	AUDIO_BYTES = 90,
	VIDEO_BYTES = 900,
	RTP_HEADER = 12,
	AUDIO_DESCRIPTOR = 1, /* TOC */
	VIDEO_DESCRIPTOR = 5, /* VP8's, and the first byte of its frame */
	MARK_BYTES = 8
};

/* What one person has got of another's stream. */
struct flow_seen {
	bool begun;
	uint32_t next;
};
struct slot_seen {
	bool begun;
	uint16_t next;
};
struct caller {
	struct call *call;
	unsigned index;
	struct client *client;
	struct signal_join join;
	uint32_t ssrc[KINDS];
	uint16_t seq[KINDS], pid;
	uint32_t sent[KINDS]; /* packets, and the number of the next */
	struct flow_seen from[PEOPLE][KINDS];
	struct slot_seen slots[SECTIONS];
	uint32_t named[PEOPLE]; /* CSRC of their pictures, 0: none yet */
};

struct call {
	struct hostile *h;
	struct client_hub *hub;
	struct caller people[PEOPLE];
	pthread_t thread;
	_Atomic bool sending, stopping;
	_Atomic uint64_t received, foreign;
	_Atomic unsigned begun; /* flows */
	_Atomic unsigned wrong;
	unsigned forged; /* packets that a seal should keep out */
	unsigned wrong_before;
};

/* ---- in ---------------------------------------------------------------------------- */

static void wrong(struct caller *c, const char *what, uint64_t wanted, uint64_t got)
{
	c->call->wrong++;
	expect(false, "the call beside, person %u: %s: wanted %llu, got %llu", c->index,
	       what, (unsigned long long)wanted, (unsigned long long)got);
}

static int slot_of(const struct caller *c, uint32_t ssrc)
{
	for (unsigned i = FIRST_SLOT; i < SECTIONS; i++)
		if (client_slot_ssrc(c->client, i) == ssrc)
			return (int)i;
	return -1;
}

static void mark(uint8_t *at, unsigned person, unsigned kind, uint32_t number)
{
	put_be16(at, 0xca11);
	at[2] = (uint8_t)person;
	at[3] = (uint8_t)kind;
	put_be32(at + 4, number);
}

/* A whole payload behind its descriptor: MARK_BYTES or more. */
static void check_content(struct caller *c, const uint8_t *p, size_t len, unsigned kind)
{
	uint8_t want[VIDEO_BYTES];
	unsigned person = p[2];
	struct flow_seen *f;
	uint32_t number;

	if (person >= PEOPLE || p[3] != kind || get_be16(p) != 0xca11) {
		wrong(c, "content that nobody sent, bytes", 0, len);
		return;
	}
	number = get_be32(p + 4);
	noise(want, len, number * KINDS + kind);
	mark(want, person, kind, number);
	if (memcmp(want, p, len) != 0)
		wrong(c, "changed content of packet", number, number);
	f = &c->from[person][kind];
	if (!f->begun)
		c->call->begun++;
	else if (number != f->next)
		wrong(c, kind ? "video packet" : "audio packet", f->next, number);
	f->begun = true;
	f->next = number + 1;
}

/* Key frames, and nothing else, begin with whose they are: one CSRC for each person. */
static void check_named(struct caller *c, const uint8_t *data, const uint8_t *descriptor)
{
	bool key = (descriptor[0] & 0x10) && !(descriptor[4] & 1); /* S, P */
	unsigned person = descriptor[VIDEO_DESCRIPTOR + 2] % PEOPLE;
	uint32_t csrc = get_be32(data + RTP_HEADER);

	if ((data[0] & 15) != key)
		wrong(c, "CSRCs of a picture", key, data[0] & 15);
	if (!key)
		return;
	for (unsigned i = 0; i < PEOPLE; i++)
		if (c->named[i] && (c->named[i] == csrc) != (i == person))
			wrong(c, "whose a picture is", c->named[i], csrc);
	c->named[person] = csrc;
}

/* What an attacker says who is in the call (voices.c), and the silence after it has left: of
 * that only the slot's numbers are looked at. */
static bool is_foreign(const uint8_t *data, size_t len, unsigned kind)
{
	const uint8_t *said = data + RTP_HEADER;

	if (kind || (data[0] & 15))
		return false;
	if (len == RTP_HEADER + sizeof opus_silence)
		return !memcmp(said, opus_silence, sizeof opus_silence);
	return len > RTP_HEADER + AUDIO_DESCRIPTOR + MARK_BYTES &&
	       get_be16(said + AUDIO_DESCRIPTOR) == VOICE_MARK;
}

static void on_rtp(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct caller *c = arg;
	int slot = len > RTP_HEADER ? slot_of(c, get_be32(data + 8)) : -1;
	unsigned kind = slot >= FIRST_SLOT + 3;
	/* a picture may name its source */
	size_t header = RTP_HEADER + 4 * (size_t)(data[0] & kind);
	size_t skip = header + (kind ? VIDEO_DESCRIPTOR : AUDIO_DESCRIPTOR);
	bool foreign = slot >= 0 && is_foreign(data, len, kind);
	struct slot_seen *s;

	(void)now_us;
	if (slot < 0 || (data[0] & ~kind) != 0x80 ||
	    (len < skip + MARK_BYTES && !foreign)) {
		wrong(c, "a packet of no slot, bytes", 0, len);
		return;
	}
	s = &c->slots[slot];
	if (s->begun && get_be16(data + 2) != s->next)
		wrong(c, "a slot's sequence number", s->next, get_be16(data + 2));
	s->begun = true;
	s->next = (uint16_t)(get_be16(data + 2) + 1);
	if (foreign) {
		c->call->foreign++;
		return;
	}
	c->call->received++;
	if (kind)
		check_named(c, data, data + header);
	check_content(c, data + skip, len - skip, kind);
}

/* ---- in their names ---------------------------------------------------------------- */

/* How a datagram begins that somebody forges who knows a person's address but no key.
 * Noise follows. */
static const struct {
	uint8_t head[24];
	uint8_t head_len, len;
} forgeries[] = {
	/* DTLS: close_notify and a fatal alert in the clear, the same as if sealed */
	{ { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0 }, 15, 15 },
	{ { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2, 40 }, 15, 15 },
	{ { 21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 99, 0, 26 }, 13, 39 },
	/* a new ClientHello, application data */
	{ { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 11, 0, 100, 1, 0, 0, 88 }, 17, 113 },
	{ { 23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 98, 0, 60 }, 13, 73 },
	/* STUN: a request, an answer, an error, each for nobody */
	{ { 0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42 }, 8, 28 },
	{ { 1, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42 }, 8, 28 },
	{ { 1, 17, 0, 8, 0x21, 0x12, 0xa4, 0x42 }, 8, 28 },
	/* RTP and RTCP without a seal */
	{ { 0x80, 111 }, 2, 90 },
	{ { 0x81, 203, 0, 1 }, 4, 40 },
};

static void send_forged(struct caller *p, unsigned n)
{
	uint8_t buf[128];
	unsigned i = n % ARRAY_LEN(forgeries);

	noise(buf, sizeof buf, n);
	memcpy(buf, forgeries[i].head, forgeries[i].head_len);
	if (buf[0] == 0x80) {
		put_be16(buf + 2, p->seq[0]); /* the next one, and its SSRC */
		put_be32(buf + 8, p->ssrc[0]);
		p->call->forged++;
	}
	client_send_raw(p->client, buf, forgeries[i].len);
}

/* ---- out --------------------------------------------------------------------------- */

static void send_packet(struct caller *c, unsigned kind, uint32_t ts, bool marker,
			const uint8_t *descriptor, size_t descriptor_len, size_t len)
{
	uint8_t buf[VIDEO_BYTES + 64];
	size_t at = RTP_HEADER + descriptor_len;

	buf[0] = 0x80;
	buf[1] = (uint8_t)((kind ? 96 : 111) | (marker ? 0x80 : 0));
	put_be16(buf + 2, c->seq[kind]++);
	put_be32(buf + 4, ts);
	put_be32(buf + 8, c->ssrc[kind]);
	memcpy(buf + RTP_HEADER, descriptor, descriptor_len);
	noise(buf + at, len - at, c->sent[kind] * KINDS + kind);
	mark(buf + at, c->index, kind, c->sent[kind]++);
	if (client_send_rtp(c->client, buf, len))
		wrong(c, "packets that can be sent", 1, 0);
}

static void send_frame(struct caller *c, unsigned tick)
{
	bool key = c->pid % KEY_FRAMES == 0;

	for (unsigned i = 0; i < VIDEO_PKTS; i++) {
		uint8_t d[VIDEO_DESCRIPTOR] = { i ? 0x80 : 0x90, 0x80 }; /* X, S; I */

		put_be16(d + 2, (uint16_t)(0x8000 | (c->pid & 0x7fff)));
		d[4] = i || key ? 0 : 1; /* P */
		send_packet(c, 1, tick * TICK_MS * 90, i == VIDEO_PKTS - 1, d, sizeof d,
			    VIDEO_BYTES);
	}
	c->pid++;
}

static void send_all(struct call *c, unsigned tick)
{
	static const uint8_t toc[AUDIO_DESCRIPTOR] = { 0x78 };

	for (unsigned i = 0; i < PEOPLE; i++) {
		struct caller *p = &c->people[i];

		if (tick % FORGED_TICKS == i)
			send_forged(p, tick / FORGED_TICKS);
		send_packet(p, 0, tick * TICK_MS * 48, false, toc, sizeof toc,
			    AUDIO_BYTES);
		if (tick % FRAME_TICKS == i)
			send_frame(p, tick);
	}
}

/* ---- its thread -------------------------------------------------------------------- */

static void poll_all(struct call *c, int wait_ms)
{
	struct pollfd fd = { client_hub_fd(c->hub), POLLIN, 0 };
	uint64_t now_us;

	(void)poll(&fd, 1, wait_ms);
	now_us = clock_now_us();
	while (client_hub_poll(c->hub, 256, now_us) == 256)
		;
	for (unsigned i = 0; i < PEOPLE; i++)
		client_poll(c->people[i].client, now_us);
}

/* Saying what is known already changes nothing, but shows that somebody is there. */
static void sign_of_life(struct caller *c)
{
	if (signal_drain(&c->join) < 0 ||
	    signal_send(&c->join, "{\"t\":\"media\",\"mic\":true}"))
		wrong(c, "an open WebSocket", 1, 0);
}

static void *call_main(void *arg)
{
	struct call *c = arg;
	uint64_t due_us = clock_now_us();

	trying("call");
	for (unsigned tick = 0; !c->stopping;) {
		uint64_t now_us = clock_now_us();

		if (now_us >= due_us) {
			if (c->sending)
				send_all(c, tick);
			if (tick % ALIVE_TICKS == 0)
				for (unsigned i = 0; i < PEOPLE; i++)
					sign_of_life(&c->people[i]);
			due_us += TICK_MS * 1000;
			tick++;
			continue;
		}
		poll_all(c, (int)((due_us - now_us + 999) / 1000));
	}
	return NULL;
}

/* ---- beginning --------------------------------------------------------------------- */

static int join_one(struct call *c, unsigned index)
{
	static char offer[64 * 1024];
	struct client_section sections[SECTIONS] = { { .send = true },
						     { .video = true, .send = true } };
	struct caller *p = &c->people[index];
	struct client_params params = { .cert = c->h->cert,
					.hub = c->hub,
					.sections = sections,
					.section_count = SECTIONS,
					.on_rtp = on_rtp,
					.arg = p };
	char name[16];
	int err;

	p->call = c;
	p->index = index;
	for (unsigned k = 0; k < KINDS; k++)
		sections[k].ssrc = p->ssrc[k] = random_u32() | 1;
	p->seq[0] = (uint16_t)random_u32();
	p->seq[1] = 65500; /* wraps soon */
	for (unsigned i = FIRST_SLOT; i < SECTIONS; i++)
		sections[i].video = i >= FIRST_SLOT + 3;
	p->client = client_create(&params, clock_now_us());
	if (!p->client || client_offer(p->client, offer, sizeof offer) < 0)
		return -1;
	snprintf(name, sizeof name, "Person %u", index);
	err = signal_join(&c->h->server.link, name, offer,
			  "{\"mic\":true,\"camera\":true}", &p->join);
	if (!err)
		err = client_answer(p->client, p->join.answer, clock_now_us());
	if (!err)
		err = signal_events(&c->h->server.link, &p->join);
	return err;
}

static bool connect_all(struct call *c)
{
	uint64_t end_us = clock_now_us() + BEGIN_MS * 1000ULL;
	unsigned up = 0;

	while (up < PEOPLE && clock_now_us() < end_us) {
		poll_all(c, 10);
		up = 0;
		for (unsigned i = 0; i < PEOPLE; i++)
			up += client_up(c->people[i].client);
	}
	return up == PEOPLE;
}

struct call *call_start(struct hostile *h)
{
	struct call *c = calloc(1, sizeof *c);
	int err = 0;

	if (!c)
		return NULL;
	c->h = h;
	c->hub = client_hub_create(0);
	for (unsigned i = 0; i < PEOPLE && c->hub && !err; i++)
		err = join_one(c, i);
	if (err || !c->hub || !connect_all(c)) {
		expect(false, "the call cannot begin: %d", err);
		return NULL;
	}
	c->sending = true;
	if (pthread_create(&c->thread, NULL, call_main, c))
		return NULL;
	for (int i = 0; i < BEGIN_MS / 20; i++) {
		if (c->begun == PEOPLE * (PEOPLE - 1) * KINDS)
			return c;
		pause_ms(20);
	}
	expect(false, "of the call's %u streams %u have begun",
	       PEOPLE * (PEOPLE - 1) * KINDS, c->begun);
	return NULL;
}

/* ---- judging ----------------------------------------------------------------------- */

uint64_t call_foreign(const struct call *c)
{
	return c->foreign;
}

void call_expect_good(struct call *c)
{
	uint64_t before = c->received;

	pause_ms(3 * TICK_MS);
	expect(c->received > before, "the call beside has stopped");
	expect(c->wrong == c->wrong_before, "the call beside has suffered");
	c->wrong_before = c->wrong;
}

static void judge_flow(struct caller *to, const struct caller *from, unsigned kind)
{
	const struct flow_seen *f = &to->from[from->index][kind];

	if (f->next != from->sent[kind])
		wrong(to, kind ? "video packets in all" : "audio packets in all",
		      from->sent[kind], f->next);
}

void call_end(struct call *c)
{
	static const struct counters none;

	c->sending = false;
	pause_ms(END_MS);
	c->stopping = true;
	pthread_join(c->thread, NULL);
	expect(c->forged > 0, "nothing was forged");
	expect_grown(c->h, &none, "srtp_auth", c->forged);
	for (unsigned to = 0; to < PEOPLE; to++) {
		const struct client_counts *n = client_counts(c->people[to].client);

		for (unsigned from = 0; from < PEOPLE; from++)
			for (unsigned k = 0; k < KINDS && from != to; k++)
				judge_flow(&c->people[to], &c->people[from], k);
		expect(!n->srtp_bad && !n->server_checks_bad && !n->errors,
		       "the call beside: %llu bad packets, %llu bad checks, %llu errors",
		       (unsigned long long)n->srtp_bad,
		       (unsigned long long)n->server_checks_bad,
		       (unsigned long long)n->errors);
	}
	printf("call beside: %llu packets received, each as sent, %u wrong\n",
	       (unsigned long long)c->received, c->wrong);
	for (unsigned i = 0; i < PEOPLE; i++) {
		client_destroy(c->people[i].client);
		signal_close(&c->people[i].join);
	}
	client_hub_destroy(c->hub);
	free(c);
}
