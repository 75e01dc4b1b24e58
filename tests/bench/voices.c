/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See voices.h. Time goes in ticks of 1 ms, so that rooms and talkers do not all send at once. */
#include "voices.h"

#include <palabre/wire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	AUDIO_PT = 111,
	EXT_LEVEL = 1, /* as the client offers it */
	PACKET_MS = 20,
	LOOP_PKTS = VOICES_LOOP_S * BABBLE_PKTS_A_SECOND,
	KNOWN = 8192, /* slots of the table, more than twice what is in it */
	SAMPLES_MAX = 1 << 20,
	JOIN_RUN_US = 1000,
	CONNECT_US = 60000000,
	LATE_US = 50000
};
_Static_assert(KNOWN > 2 * VOICES_TALKERS * LOOP_PKTS, "room in the table");

struct voices_known {
	uint32_t hash; /* 0 empty */
	uint8_t talker;
	bool twice; /* the same bytes in two places: no time can be told */
	unsigned at;
};

/* ---- who is where: packets are known by their content, since their numbers are the server's */

static uint32_t hash_of(const uint8_t *data, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * 16777619;
	return h ? h : 1;
}

static struct voices_known *known_slot(struct voices *v, uint32_t hash)
{
	unsigned i = hash % KNOWN;

	while (v->known[i].hash && v->known[i].hash != hash)
		i = (i + 1) % KNOWN;
	return &v->known[i];
}

static void learn(struct voices *v)
{
	for (unsigned t = 0; t < VOICES_TALKERS; t++) {
		for (unsigned i = 0; i < v->babble[t].count; i++) {
			const struct babble_pkt *p = &v->babble[t].pkts[i];
			uint32_t hash = hash_of(p->data, p->len);
			struct voices_known *k = known_slot(v, hash);

			if (!p->len)
				continue;
			k->twice = k->hash != 0;
			*k = (struct voices_known) { hash, (uint8_t)t, k->twice, i };
		}
	}
}

/* Where the payload of an RTP packet begins; len when it is none. */
static size_t payload_at(const uint8_t *data, size_t len)
{
	size_t at = 12 + 4 * (size_t)(data[0] & 15);

	if (data[0] & 0x10 && at + 4 <= len)
		at += 4 + 4 * (size_t)get_be16(data + at + 2);
	return at < len ? at : len;
}

static void on_watch(void *arg, uint8_t *data, size_t len, uint64_t now_us)
{
	struct voices_room *r = arg;
	struct voices *v = r->all;
	size_t at = payload_at(data, len);
	uint64_t arrival_us = client_hub_arrival_ns(v->crowd.hub) / 1000, sent_us;
	const struct voices_known *k = known_slot(v, hash_of(data + at, len - at));

	(void)now_us;
	if (!v->measuring || !k->hash || k->twice || v->sample_count == SAMPLES_MAX)
		return;
	sent_us = r->sent_us[k->talker][k->at];
	if (sent_us && arrival_us >= sent_us)
		v->delays_us[v->sample_count++] = (uint32_t)(arrival_us - sent_us);
}

/* ---- talking ----------------------------------------------------------------------- */

static void say(struct voices_room *r, unsigned t, uint64_t tick)
{
	struct crowd_person *p = r->talkers[t];
	unsigned at = (unsigned)((tick / PACKET_MS + r->ahead) % LOOP_PKTS);
	const struct babble_pkt *b = &r->all->babble[t].pkts[at];
	uint8_t buf[BABBLE_PKT_MAX + 64] = { 0x90, AUDIO_PT };

	p->ts48 = (uint32_t)(48 * tick);
	if (!b->len || !client_up(p->client))
		return;
	put_be16(buf + 2, p->audio_seq++);
	put_be32(buf + 4, p->ts48);
	put_be32(buf + 8, p->audio_ssrc);
	put_be32(buf + 12, 0xbede0001);
	buf[16] = EXT_LEVEL << 4;
	buf[17] = (uint8_t)((b->level_dbov < 60 ? 0x80 : 0) | b->level_dbov);
	memcpy(buf + 20, b->data, b->len);
	r->sent_us[t][at] = clock_wall_us();
	(void)client_send_rtp(p->client, buf, 20u + b->len);
}

static void on_tick(void *arg, uint64_t tick)
{
	struct voices *v = arg;

	for (unsigned i = 0; i < v->room_count; i++) {
		struct voices_room *r = &v->rooms[i];

		for (unsigned t = 0; t < VOICES_TALKERS; t++)
			if (r->talkers[t] &&
			    (tick + r->phase_ms + 7 * t) % PACKET_MS == 0)
				say(r, t, tick);
	}
}

/* ---- life -------------------------------------------------------------------------- */

static int rooms_create(struct voices *v, unsigned count)
{
	v->rooms = calloc(count, sizeof *v->rooms);
	if (!v->rooms)
		return -1;
	v->room_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct voices_room *r = &v->rooms[i];
		char name[16];

		r->all = v;
		r->phase_ms = i * 3;
		r->ahead = i * LOOP_PKTS / count;
		for (unsigned t = 0; t < VOICES_TALKERS; t++) {
			r->sent_us[t] = calloc(LOOP_PKTS, sizeof *r->sent_us[t]);
			if (!r->sent_us[t])
				return -1;
		}
		snprintf(name, sizeof name, "room-%u", i);
		if (server_link(&v->server, "speaker", name, &r->link))
			return -1;
	}
	return 0;
}

int voices_start(struct voices *v, const char *program, uint16_t port, unsigned rooms,
		 unsigned people, const uint32_t talks[VOICES_TALKERS])
{
	memset(v, 0, sizeof *v);
	crowd_raise_limits();
	v->log = memfd_create("log", MFD_CLOEXEC);
	v->known = calloc(KNOWN, sizeof *v->known);
	v->delays_us = calloc(SAMPLES_MAX, sizeof *v->delays_us);
	if (v->log < 0 || !v->known || !v->delays_us)
		return -1;
	for (unsigned t = 0; t < VOICES_TALKERS; t++)
		if (babble_create(&v->babble[t], t, VOICES_LOOP_S,
				  talks ? &talks[t] : NULL))
			return -1;
	learn(v);
	if (server_start(&v->server, program, port, crowd_sets, v->log))
		return -1;
	if (crowd_create(&v->crowd, &v->server.link, people) || rooms_create(v, rooms)) {
		voices_stop(v);
		return -1;
	}
	v->crowd.on_tick = on_tick;
	v->crowd.arg = v;
	v->crowd.tick_us = 1000;
	return 0;
}

void voices_stop(struct voices *v)
{
	/* The server first: thousands of sockets closed under it are work for nothing. */
	server_stop(&v->server);
	crowd_destroy(&v->crowd);
	for (unsigned i = 0; i < v->room_count; i++)
		for (unsigned t = 0; t < VOICES_TALKERS; t++)
			free(v->rooms[i].sent_us[t]);
	for (unsigned t = 0; t < VOICES_TALKERS; t++)
		babble_destroy(&v->babble[t]);
	free(v->rooms);
	free(v->known);
	free(v->delays_us);
	close(v->log);
}

/* ---- people ------------------------------------------------------------------------ */

static struct crowd_person *join(struct voices_room *r, bool mic, bool watches)
{
	struct crowd *c = &r->all->crowd;
	struct crowd_voice voice = { .link = &r->link,
				     .mic = mic,
				     .on_rtp = watches ? on_watch : NULL,
				     .arg = r };

	if (crowd_join_voice(c, &voice))
		return NULL;
	r->people++;
	crowd_run(c, JOIN_RUN_US, true);
	return &c->people[c->count - 1];
}

static int hear(struct crowd_person *p, unsigned rung)
{
	char text[48];

	snprintf(text, sizeof text, "{\"t\":\"voice\",\"down\":%u}", rung);
	return signal_send(&p->join, text) ? -1 : 0;
}

int voices_join_talker(struct voices_room *r)
{
	for (unsigned t = 0; t < VOICES_TALKERS; t++) {
		if (r->talkers[t])
			continue;
		r->talkers[t] = join(r, true, false);
		return r->talkers[t] ? 0 : -1;
	}
	return -1;
}

int voices_join_watcher(struct voices_room *r)
{
	return join(r, false, true) ? 0 : -1;
}

/* Of 20: one at 24 kbit/s in packets of 20 ms, nine at 12 in 60, seven at 8 in 60, three at 8 in
 * 120; mixed, so that a few have the shares of many. */
int voices_join_listener(struct voices_room *r)
{
	static const uint8_t rungs[20] = { 3, 2, 3, 1, 2, 3, 2, 3, 5, 3,
					   2, 3, 1, 2, 3, 2, 3, 1, 2, 3 };
	struct crowd_person *p = join(r, false, false);

	return p ? hear(p, rungs[r->listeners++ % ARRAY_LEN(rungs)]) : -1;
}

int voices_talkers_listen(struct voices_room *r)
{
	static const uint8_t rungs[VOICES_TALKERS] = { 5, 3, 2 };
	int err = 0;

	for (unsigned t = 0; t < VOICES_TALKERS && !err; t++)
		err = r->talkers[t] ? hear(r->talkers[t], rungs[t]) : 0;
	return err;
}

/* ---- figures ----------------------------------------------------------------------- */

int voices_settle(struct voices *v, unsigned seconds)
{
	if (!crowd_connect(&v->crowd, CONNECT_US)) {
		fprintf(stderr, "not everybody got in\n");
		return -1;
	}
	crowd_skip(&v->crowd); /* what was not said while so many joined */
	crowd_run(&v->crowd, seconds * 1000000ULL, true);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int voices_measure(struct voices *v, unsigned seconds, struct voices_figures *f)
{
	int64_t encodes = server_counter(&v->server, v->log, "mix_encode");
	int64_t less = server_counter(&v->server, v->log, "mix_less_s");
	uint64_t cpu_ns = server_cpu_ns(&v->server);
	uint64_t received = crowd_received(&v->crowd);
	uint64_t wall_us = clock_now_us();
	double s;

	v->sample_count = 0;
	v->measuring = true;
	crowd_run(&v->crowd, seconds * 1000000ULL, true);
	v->measuring = false;
	s = (double)(clock_now_us() - wall_us) / 1e6;
	if (clock_now_us() > v->crowd.next_us + LATE_US)
		fprintf(stderr,
			"the benchmark itself is %.1f s late: too much for this "
			"machine\n",
			(double)(clock_now_us() - v->crowd.next_us) / 1e6);
	f->cpu_us_per_s = (double)(server_cpu_ns(&v->server) - cpu_ns) / 1e3 / s;
	f->cpu_pct = f->cpu_us_per_s / 1e4;
	f->packets_per_s = (double)(crowd_received(&v->crowd) - received) / s;
	encodes = server_counter(&v->server, v->log, "mix_encode") - encodes;
	f->less_s = (double)(server_counter(&v->server, v->log, "mix_less_s") - less);
	f->encodes_per_s = (double)encodes / s;
	f->rss_kib = server_rss_kib(&v->server);
	if (!v->sample_count) {
		fprintf(stderr, "nothing was forwarded to the watchers\n");
		return -1;
	}
	qsort(v->delays_us, v->sample_count, sizeof *v->delays_us, by_size);
	f->p50_us = v->delays_us[v->sample_count / 2];
	f->p99_us = v->delays_us[(uint64_t)v->sample_count * 99 / 100];
	return 0;
}
