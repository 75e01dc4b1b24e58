/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What an authenticated peer can say: opened RTP (RTX too) and RTCP into two legs of one
 * room, through parsing, repair, relay and rewriting. Input: records of a head byte
 * (what, and which leg), a length of 16 bits and so many bytes. Afterwards every packet
 * is back in its pool and no timer is left.
 *
 * Nothing is sealed (the connections have no keys): see fuzz_transport_entrance.
 */
#include "fuzz.h"
#include "leg_private.h"
#include "record.h"

#include "../../src/transport/internal.h"

#include <palabre/wire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEGS = 2, POOL = 4096, RECORDS_MAX = 200, START_US = 1000000000 };
enum { PT_OPUS = 111, PT_VP8 = 96, PT_RTX = 97, PT_AV1 = 45 };
enum {
	EXT_ID_LEVEL = 1,
	EXT_ID_MID = 4,
	EXT_ID_DD = 5,
	EXT_ID_TWCC = 6,
	EXT_ID_RID = 7,
	EXT_ID_RRID = 8
};
enum { SLOT_AUDIO = 2, SLOT_VIDEO = 2 };
enum kind {
	K_RTP,	/* as it is */
	K_MADE, /* flags, payload type, sequence (2), ssrc; then the payload */
	K_RTCP, /* as it is */
	K_NACK,
	K_MEDIA,
	K_VIEW,
	K_TIME,
	K_SUSPEND,
	K_COUNT
};

static struct pkt_pool *pool;
static struct tx *tx;
static struct cert *cert;
static struct transport *transport;
static struct wheel *wheel;
static struct relay *relay;
static struct legs *legs;
static struct leg *leg[LEGS];
static uint64_t now;

static void on_changed(void *arg, struct leg *l)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < leg_slot_count(l); i++)
		(void)leg_slot_get(l, i);
}

static void on_speakers(void *owner, struct relay_room *room, const uint32_t *ports,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)room;
	(void)ports;
	(void)now_us;
	check(count <= RELAY_LANES);
}

static const struct leg_ops leg_ops = { .changed = on_changed };
static const struct relay_room_ops room_ops = { .speakers = on_speakers };

static struct nego_section section(const char *mid, bool audio)
{
	struct nego_section s = { .audio = audio, .codec_count = audio ? 1 : 2 };

	snprintf(s.mid, sizeof s.mid, "%s", mid);
	s.exts.of_id[EXT_ID_LEVEL] = EXT_AUDIO_LEVEL;
	s.exts.of_id[EXT_ID_MID] = EXT_MID;
	s.exts.of_id[EXT_ID_DD] = EXT_DD;
	s.exts.of_id[EXT_ID_TWCC] = EXT_TWCC;
	s.exts.of_id[EXT_ID_RID] = EXT_RID;
	s.exts.of_id[EXT_ID_RRID] = EXT_RRID;
	if (audio) {
		s.codecs[0] = (struct nego_codec) { .codec = CODEC_OPUS, .pt = PT_OPUS };
		return s;
	}
	s.codecs[0] = (struct nego_codec) { .codec = CODEC_VP8,
					    .pt = PT_VP8,
					    .rtx_pt = PT_RTX,
					    .nack = true,
					    .twcc = true };
	s.codecs[1] = (struct nego_codec) { .codec = CODEC_AV1, .pt = PT_AV1 };
	return s;
}

static void plan_make(struct nego_plan *p, unsigned i)
{
	unsigned k;

	memset(p, 0, sizeof *p);
	snprintf(p->local_ufrag, sizeof p->local_ufrag, "server%u", i);
	strcpy(p->local_pwd, "serverserverserverserver");
	strcpy(p->remote_ufrag, "client");
	strcpy(p->remote_pwd, "clientclientclientclient");
	p->source_count = 2;
	p->sources[0] =
		(struct nego_source) { .sec = section("0", true), .kind = STREAM_MIC };
	p->sources[1] = (struct nego_source) { .sec = section("1", false),
					       .kind = STREAM_CAMERA,
					       .ssrc = 3,
					       .rtx_ssrc = 4 };
	if (i) { /* the second sends three sizes */
		p->sources[1].ssrc = p->sources[1].rtx_ssrc = 0;
		p->sources[1].rid_count = NEGO_RIDS_MAX;
		for (k = 0; k < NEGO_RIDS_MAX; k++)
			p->sources[1].rids[k][0] = (char)('0' + k);
	}
	p->slot_count = SLOT_AUDIO + SLOT_VIDEO;
	for (k = 0; k < p->slot_count; k++) {
		struct nego_slot *s = &p->slots[k];

		s->sec = section("2", k < SLOT_AUDIO);
		s->ssrc = 10 + k;
		s->rtx_ssrc = k < SLOT_AUDIO ? 0 : 20 + k;
	}
}

static void set_up(void)
{
	log_set_level(LOG_ERROR);
	cert = cert_create();
	pool = pkt_pool_create(POOL);
	tx = tx_create(NULL, NULL);
	check(cert && pool && tx);
	transport = transport_create(cert, tx, NULL, pool);
	check(transport != NULL);
}

static struct relay_room *open_all(void)
{
	struct relay_room *room;
	struct nego_plan plan;
	unsigned i;

	now = START_US;
	wheel = transport->wheel = wheel_create(now); /* a new clock for each input */
	check(wheel != NULL);
	relay = relay_create(&leg_port_ops, &leg_stream_ops, &room_ops);
	legs = legs_create(transport, tx, relay, wheel, pool, &leg_ops, NULL);
	check(relay && legs);
	room = relay_room_create(relay, NULL);
	check(room != NULL);
	for (i = 0; i < LEGS; i++) {
		plan_make(&plan, i);
		check(!leg_create(&leg[i], legs, room, i + 1, &plan, NULL, now));
		leg[i]->link = LEG_UP; /* so that its timers do their work */
		relay_port_suspend(leg[i]->port, false, now);
		leg_media(leg[i], STREAM_MIC, true, now);
		leg_media(leg[i], STREAM_CAMERA, true, now);
	}
	return room;
}

static void close_all(struct relay_room *room)
{
	unsigned i;

	legs_drain(legs);
	for (i = 0; i < LEGS; i++)
		leg_close(leg[i], now);
	check(relay_room_ports(room) == 0);
	relay_room_destroy(room);
	relay_destroy(relay);
	legs_destroy(legs);
	check(wheel_count(wheel) == 0);
	wheel_destroy(wheel);
	check(pkt_pool_free_count(pool) == POOL);
}

enum { F_MID = 1, F_MARKER = 2, F_DD = 4, F_RID = 8, F_RID_SHIFT = 4 };

static size_t put_element(uint8_t *out, uint8_t id, const uint8_t *data, size_t len)
{
	out[0] = (uint8_t)((size_t)id << 4 | (len - 1));
	memcpy(out + 1, data, len);
	return len + 1;
}

/* The extension that the flags ask for; a dependency descriptor comes from the body, a transport-wide number is
 * that of the packet. */
static size_t put_extension(uint8_t *out, uint8_t flags, bool video, const uint8_t *seq,
			    struct rd *body)
{
	uint8_t mid = video ? '1' : '0', level = flags & 0xf8, dd_len;
	uint8_t rid = (uint8_t)('0' + (flags >> F_RID_SHIFT & 3));
	const uint8_t *dd;
	size_t at = 4;

	if (!(flags & (F_MID | F_DD)))
		return 0;
	memset(out, 0, 40);
	if (flags & F_MID) {
		at += put_element(out + at, EXT_ID_MID, &mid, 1);
		at += put_element(out + at, EXT_ID_LEVEL, &level, 1);
		if (video)
			at += put_element(out + at, EXT_ID_TWCC, seq, 2);
	}
	if (flags & F_RID) {
		at += put_element(out + at, EXT_ID_RID, &rid, 1);
		at += put_element(out + at, EXT_ID_RRID, &rid, 1);
	}
	dd_len = flags & F_DD ? rd_u8(body) % 16 + 1 : 0;
	dd = dd_len ? rd_bytes(body, dd_len) : NULL;
	if (dd)
		at += put_element(out + at, EXT_ID_DD, dd, dd_len);
	at = (at + 3) & ~(size_t)3;
	put_be16(out, 0xbede);
	put_be16(out + 2, (uint16_t)(at / 4 - 1));
	return at;
}

/* Most of what a fuzzer writes isn't RTP; this always is. */
static size_t make_rtp(uint8_t *out, size_t cap, const uint8_t *data, size_t len)
{
	static const uint8_t types[] = { PT_OPUS, PT_VP8, PT_RTX, PT_AV1 };
	size_t at = 12, left;
	struct rd body;

	rd_init(&body, data, len);
	uint8_t flags = rd_u8(&body), type = rd_u8(&body) & 3;
	uint16_t seq = rd_be16(&body);

	out[0] = flags & (F_MID | F_DD) ? 0x90 : 0x80;
	out[1] = (uint8_t)(types[type] | (flags & F_MARKER ? 0x80 : 0));
	put_be16(out + 2, seq);
	put_be32(out + 4, seq * UINT32_C(3000));
	put_be32(out + 8, rd_u8(&body) % 8);
	at += put_extension(out + at, flags, type, out + 2, &body);
	left = body.bad ? 0 : rd_left(&body);
	if (left > cap - at)
		left = cap - at;
	if (left)
		memcpy(out + at, body.p, left);
	return at + left;
}

/* A NACK for what has just been sent: a slot, then distances back from its last packet
 * (which a fuzzer could only guess). */
static size_t make_nack(struct leg *l, uint8_t *out, const uint8_t *data, size_t len)
{
	const struct leg_slot *slot = &l->slots[len ? data[0] % l->plan.slot_count : 0];
	size_t count = len > 1 ? len - 1 : 0, i;

	if (count > 100)
		count = 100;
	put_be16(out, 0x81cd);
	put_be16(out + 2, (uint16_t)(2 + count));
	put_be32(out + 4, 1);
	put_be32(out + 8, slot->plan->ssrc);
	for (i = 0; i < count; i++) {
		put_be16(out + 12 + 4 * i, (uint16_t)(slot->rtp.highest - data[1 + i]));
		put_be16(out + 14 + 4 * i, data[1 + i] & 1 ? 0xffff : 0);
	}
	return 12 + 4 * count;
}

static void packet(enum kind kind, struct leg *l, const uint8_t *body, size_t len)
{
	struct pkt *p = pkt_take(pool);

	check(p != NULL);
	if (len > 1400)
		len = 1400;
	if (kind == K_MADE) {
		p->len = (uint16_t)make_rtp(p->data, 1472, body, len);
	} else if (kind == K_NACK) {
		p->len = (uint16_t)make_nack(l, p->data, body, len);
	} else {
		if (len)
			memcpy(p->data, body, len);
		p->len = (uint16_t)len;
	}
	p->arrival_us = now;
	if (kind == K_RTCP || kind == K_NACK)
		leg_on_rtcp(l, p, now);
	else
		leg_on_rtp(l, p, now);
	pkt_unref(p);
	legs_drain(legs);
	now += 1000;
}

static void view(struct leg *l, const uint8_t *body, size_t len)
{
	struct relay_view v[8] = { 0 };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(v) && i < len; i++) {
		v[i].stream = body[i] & 15;
		v[i].width = v[i].height = (uint16_t)(body[i] >> 4 << 6);
	}
	leg_view(l, i == 0, v, i, now);
}

static void run(enum kind kind, struct leg *l, const uint8_t *body, size_t len)
{
	switch (kind) {
	case K_MEDIA:
		leg_media(l, (enum stream_kind)(len ? body[0] & 3 : 0), len & 1, now);
		break;
	case K_VIEW:
		view(l, body, len);
		break;
	case K_TIME:
		now += 1 + 20000u * len;
		wheel_run(wheel, now);
		relay_tick(relay, now);
		l->link = LEG_UP; /* whatever the connection without keys says */
		break;
	case K_SUSPEND:
		if (len > 2)
			relay_port_layer(l->port, body[0] % 8, body[1] % 5 - 1,
					 body[2] % 4, now);
		else
			relay_port_suspend(l->port, len & 1, now);
		break;
	default:
		packet(kind, l, body, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relay_room *room;
	struct record rec;
	struct rd r;
	unsigned n;

	if (!cert)
		set_up();
	room = open_all();
	rd_init(&r, data, size);
	for (n = 0; n < RECORDS_MAX && record_next(&r, &rec); n++)
		run((enum kind)(rec.head % K_COUNT), leg[rec.head / K_COUNT % LEGS],
		    rec.body, rec.len);
	close_all(room);
	return 0;
}
