/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Conversations by script: turns with overlaps, backchannels, coughs, rooms whose noise
 * differs from person to person. Judged as a listener would: how much of each word is
 * missing, above all of its beginning, and how often slots change hands.
 */
#include "unit/relay_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speakers.h"

enum { PEOPLE = 12, FRAME_US = 20000, ONSET = 5, SEEDS = 12 };

struct person {
	struct relay_port *port;
	struct relay_stream *st;
	int noise;  /* dBov, positive */
	int speech; /* likewise */
	bool levels, dtx;
	/* script */
	uint64_t talk_until, cough_until;
	/* within an utterance */
	int word_left, gap_left, word_age;
	uint64_t seq, ts;
	bool heard; /* by the judge, this frame */
	/* verdict */
	unsigned words, packets, lost, onset_lost, run, worst_run;
};

static struct relay *R;
static struct relay_room *room;
static struct relay_port *judge;
static struct person who[PEOPLE];
static unsigned people, changes, seed;
static uint64_t now, rng;
static const char *scene;

#define CHECK(c) \
	do { \
		if (!(c)) { \
			fprintf(stderr, "%s:%d: %s, seed %u: %s\n", __FILE__, __LINE__, \
				scene, seed, #c); \
			report(); \
			abort(); \
		} \
	} while (0)

static void report(void)
{
	fprintf(stderr, "%u changes\n", changes);
	for (unsigned i = 0; i < people; i++)
		fprintf(stderr,
			"%u: noise -%d speech -%d: %u words, %u packets, lost %u, of "
			"onsets %u, worst run %u\n",
			i, who[i].noise, who[i].speech, who[i].words, who[i].packets,
			who[i].lost, who[i].onset_lost, who[i].worst_run);
}

static unsigned dice(unsigned n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng >> 33) % n;
}

static void on_forward(void *owner, unsigned slot, struct relay_stream *st, struct pkt *p,
		       uint64_t begin, uint64_t now_us)
{
	(void)slot;
	(void)p;
	(void)now_us;
	if (owner != &judge)
		return;
	((struct person *)relay_stream_owner(st))->heard = true;
	changes += begin != 0;
}

static bool on_accepts(void *owner, unsigned slot, const struct relay_stream *st)
{
	(void)owner;
	(void)slot;
	(void)st;
	return true;
}

static void on_idle(void *owner, unsigned slot, uint64_t now_us)
{
	(void)owner;
	(void)slot;
	(void)now_us;
}

static void on_want_key(void *owner, struct relay_stream *st, unsigned layer,
			bool patient, uint64_t now_us)
{
	(void)owner;
	(void)st;
	(void)layer;
	(void)patient;
	(void)now_us;
}

static void on_wanted(void *owner, struct relay_stream *st, bool wanted, uint64_t now_us)
{
	(void)owner;
	(void)st;
	(void)wanted;
	(void)now_us;
}

static void on_speakers(void *owner, struct relay_room *r, const uint32_t *ids,
			unsigned count, uint64_t now_us)
{
	(void)owner;
	(void)r;
	(void)ids;
	(void)count;
	(void)now_us;
}

static const struct relay_port_ops port_ops = { on_forward, on_accepts, on_idle };
static const struct relay_stream_ops stream_ops = { on_want_key, rig_whole, on_wanted,
						    rig_demand };
static const struct relay_room_ops room_ops = { on_speakers };

static void begin(const char *name, unsigned count)
{
	scene = name;
	rng = seed * 104729ull + 7;
	now = 100000000;
	people = count;
	changes = 0;
	memset(who, 0, sizeof who);
	R = relay_create(&port_ops, &stream_ops, &room_ops);
	room = R ? relay_room_create(R, NULL) : NULL;
	judge = room ? relay_port_create(room, 1000, 3, 0, &judge) : NULL;
	CHECK(judge);
	relay_port_suspend(judge, false, now);
	for (unsigned i = 0; i < count; i++) {
		struct person *w = &who[i];

		w->noise = 52 + (int)dice(25);
		w->speech = 22 + (int)dice(10);
		w->levels = true;
		w->seq = 65536;
		w->port = relay_port_create(room, i + 1, 3, 0, w);
		CHECK(w->port);
		relay_port_suspend(w->port, false, now);
		w->st = relay_stream_create(w->port, i + 1, true, false, w);
		CHECK(w->st);
		relay_stream_codec(w->st, CODEC_OPUS, now);
		relay_stream_active(w->st, true, now);
	}
}

static void end(void)
{
	for (unsigned i = 0; i < people; i++)
		relay_port_destroy(who[i].port, now);
	relay_port_destroy(judge, now);
	relay_room_destroy(room);
	relay_destroy(R);
}

static int jitter(int db)
{
	return (int)dice((unsigned)(2 * db + 1)) - db;
}

/* The level of this frame, and whether it's part of a word. */
static int level(struct person *w, bool *word)
{
	int l = w->noise + jitter(2);

	*word = false;
	if (now < w->cough_until)
		return 20 + jitter(3);
	if (now >= w->talk_until) {
		w->word_left = w->gap_left = 0;
		return l;
	}
	if (!w->word_left && !w->gap_left) {
		w->word_left = 8 + (int)dice(20);
		w->word_age = 0;
		w->words++;
	}
	if (w->word_left) {
		if (--w->word_left == 0)
			w->gap_left = dice(6) ? 2 + (int)dice(8) : 15 + (int)dice(15);
		*word = true;
		l = w->speech + jitter(5);
		/* a word rises within its first frame, and has weaker syllables */
		if (w->word_age == 0)
			l += 8;
		return l;
	}
	w->gap_left--;
	return l < w->speech + 25 ? l : w->speech + 25 + jitter(4);
}

static void verdict(struct person *w)
{
	w->packets++;
	if (w->heard) {
		w->run = 0;
	} else {
		w->lost++;
		w->onset_lost += w->word_age < ONSET;
		if (++w->run > w->worst_run)
			w->worst_run = w->run;
	}
	w->word_age++;
}

static void frame(bool judged)
{
	static struct pkt p;

	for (unsigned n = 0, from = dice(people); n < people; n++) {
		struct person *w = &who[(from + n) % people];
		bool word;
		int l = level(w, &word);

		memset(&p.rtp, 0, sizeof p.rtp);
		p.refs = 1;
		p.rtp.codec = CODEC_OPUS;
		w->ts += 960;
		if (w->dtx && !word && dice(20))
			continue;
		p.rtp.seq64 = ++w->seq;
		p.rtp.ts64 = w->ts;
		p.rtp.level_dbov = (int8_t)(w->levels ? (l < 0 ? 0 : l) : -1);
		p.rtp.payload_len = w->dtx && !word ? 2 : 60;
		p.arrival_us = now;
		w->heard = false;
		relay_stream_packet(w->st, &p, now);
		if (word && judged)
			verdict(w);
	}
	now += FRAME_US;
	if (relay_next_us(R, now) <= now)
		relay_tick(R, now);
}

static void frames(unsigned ms)
{
	for (unsigned t = 0; t < ms; t += 20)
		frame(true);
}

/* Nobody loses more than `run` frames of a word together, nor more than `per_mille` of
 * all. */
static void bound(unsigned run, unsigned per_mille)
{
	for (unsigned i = 0; i < people; i++) {
		CHECK(who[i].worst_run <= run);
		CHECK(who[i].lost * 1000 <= who[i].packets * per_mille);
	}
}

static void warm_up(void)
{
	for (unsigned t = 0; t < 250; t++)
		frame(false);
	changes = 0;
}

/* Two talk by turns, one says "mhm" meanwhile, the others cough now and then. */
static void dialogue(void)
{
	unsigned said = 0;
	uint64_t quiet = 0; /* four sounds at once don't fit into three slots */

	begin("dialogue", 8);
	warm_up();
	for (unsigned turn = 0; turn < 60; turn++) {
		struct person *a = &who[turn % 2], *b = &who[1 - turn % 2];
		unsigned left = 2000 + dice(6000);

		a->talk_until = now + left * 1000ull;
		while (left >= 100) {
			if (dice(25) == 0) {
				b->talk_until = now + 250000;
				said++;
			}
			if (now >= quiet && dice(40) == 0) {
				quiet = now + 1000000;
				who[2 + dice(6)].cough_until =
					now + 120000 + dice(150) * 1000ull;
				said++;
			}
			frames(100);
			left -= 100;
		}
		/* the next begins before the end or after a breath */
		frames(dice(2) ? dice(600) : 0);
		said++;
	}
	bound(2, 5);
	CHECK(who[0].words > 200 && who[1].words > 200);
	CHECK(changes <= said);
	end();
}

/* Ten take part, up to three at once. */
static void discussion(void)
{
	unsigned said = 0;

	begin("discussion", 10);
	warm_up();
	for (unsigned t = 0; t < 3000; t++) {
		unsigned talking = 0;

		/* who has just stopped holds the lane for 800 ms */
		for (unsigned i = 0; i < people; i++)
			talking += now < who[i].talk_until + 900000;
		if (talking < 3 && dice(10) == 0) {
			unsigned i = dice(people);

			if (now >= who[i].talk_until) {
				who[i].talk_until = now + 400000 + dice(6000) * 1000ull;
				said++;
			}
		}
		frames(100);
	}
	bound(2, 10);
	CHECK(said > 100 && changes <= said);
	end();
}

/* Loud fans and streets in every other microphone; a quiet person must get through. */
static void noise(void)
{
	begin("noise", 10);
	for (unsigned i = 1; i < people; i++)
		who[i].noise = 42 + (int)dice(4);
	who[0].noise = 75;
	who[0].speech = 38;
	warm_up();
	for (unsigned t = 0; t < 30; t++) {
		who[0].talk_until = now + 3000000;
		frames(3000);
		frames(dice(5000));
	}
	bound(3, 20);
	CHECK(who[0].words > 100);
	CHECK(changes <= 5);
	end();
}

/* Six shout at once for half a minute: the loudest three are heard, and it's calm. */
static void shouting(void)
{
	unsigned loud_lost = 0;

	begin("shouting", 6);
	for (unsigned i = 0; i < people; i++)
		who[i].speech = i < 3 ? 16 : 32;
	warm_up();
	for (unsigned i = people; i-- > 0;) {
		who[i].talk_until = now + 30000000;
		for (unsigned t = 0; t < 25; t++)
			frame(false);
	}
	for (unsigned t = 0; t < 150; t++)
		frame(false);
	CHECK(changes <= 12);
	changes = 0;
	frames(20000);
	for (unsigned i = 0; i < 3; i++)
		loud_lost += who[i].lost;
	CHECK(loud_lost == 0);
	CHECK(who[3].lost && who[4].lost && who[5].lost);
	CHECK(changes <= 4);
	end();
}

/* Equals: whoever has the floor keeps it. */
static void equals(void)
{
	begin("equals", 6);
	for (unsigned i = 0; i < people; i++)
		who[i].speech = 24 + (int)dice(4);
	warm_up();
	for (unsigned i = 0; i < people; i++) {
		who[i].talk_until = now + 60000000;
		frames(300);
	}
	changes = 0;
	frames(40000);
	CHECK(changes <= 4);
	end();
}

/* No levels at all, DTX: presence is speech. */
static void no_levels(void)
{
	unsigned said = 0;

	begin("no levels", 8);
	for (unsigned i = 0; i < people; i++) {
		who[i].levels = false;
		who[i].dtx = true;
	}
	warm_up();
	for (unsigned turn = 0; turn < 60; turn++) {
		who[dice(people)].talk_until = now + 1000000 + dice(4000) * 1000ull;
		frames(4000);
		said++;
	}
	bound(0, 0);
	CHECK(changes <= said);
	end();
}

/* A film's sound under a loud discussion; it goes when it ends. */
static void film(void)
{
	struct person *f;

	begin("film", 8);
	f = &who[0];
	relay_stream_destroy(f->st, now);
	f->st = relay_stream_create(f->port, 500, true, true, f);
	CHECK(f->st);
	relay_stream_codec(f->st, CODEC_OPUS, now);
	relay_stream_active(f->st, true, now);
	f->noise = 90;
	f->speech = 40;
	warm_up();
	f->talk_until = now + 60000000;
	frames(1000);
	for (unsigned i = 1; i < people; i++) {
		who[i].speech = 14;
		who[i].talk_until = now + 40000000;
		frames(200);
	}
	frames(38000);
	/* three of the four lanes are heard by all: it may be the fourth only before
	 * others have come */
	CHECK(f->worst_run == 0);
	f->talk_until = 0;
	frames(1000);
	CHECK(f->st->voice.lane >= 0);
	for (unsigned i = 1; i < people; i++)
		who[i].talk_until = now + 5000000;
	frames(4000);
	CHECK(f->st->voice.lane < 0);
	end();
}

int main(void)
{
	for (seed = 1; seed <= SEEDS; seed++) {
		dialogue();
		printf("seed %u: dialogue %u changes", seed, changes);
		discussion();
		printf(", discussion %u", changes);
		noise();
		printf(", noise %u", changes);
		shouting();
		equals();
		printf(", equals %u", changes);
		no_levels();
		film();
		printf("\n");
	}
	return 0;
}
