/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Lanes: the rules are in speakers.h. Invariant: lanes[0..lane_count) hold distinct
 * active audio streams, and st->voice.lane is the stream's index there or -1.
 */
#include "speakers.h"

#include <string.h>

enum { DB = 256, LOUD_MAX = 127 * DB };

void speakers_reset(struct relay_stream *st)
{
	memset(&st->voice, 0, sizeof st->voice);
	st->voice.low_now = LOUD_MAX;
	st->voice.lane = -1;
}

/* Without voice for long enough to yield. */
static bool is_silent(const struct relay_stream *st, uint64_t now_us)
{
	uint64_t limit = st->screen ? SCREEN_SILENT_US : VOICE_SILENT_US;

	return !st->voice.voice_us || now_us >= st->voice.voice_us + limit;
}

/* ---- levels ------------------------------------------------------------------------ */

static int packet_ms(const struct relay_stream *st, const struct pkt *p)
{
	uint64_t ticks = p->rtp.ts64 - st->voice.ts64;
	uint64_t ms = ticks / (p->rtp.codec == CODEC_OPUS ? 48 : 8);

	/* After a pause or a jump: one packet as any. */
	return ms >= 2 && ms <= 120 ? (int)ms : 20;
}

static void floor_update(struct voice *v, int raw, uint64_t now_us)
{
	if (!v->window_us || now_us > v->window_us + 2 * VOICE_FLOOR_US) {
		/* Unknown (again): everything stands out of it. */
		v->low_prev = 0;
		v->low_now = LOUD_MAX;
		v->window_us = now_us;
	} else if (now_us >= v->window_us + VOICE_FLOOR_US) {
		v->low_prev = v->low_now;
		v->low_now = LOUD_MAX;
		v->window_us = now_us;
	}
	if (raw < v->low_now)
		v->low_now = raw;
}

/* Takes the packet's level in and says if it is voice. */
static bool level_update(struct relay_stream *st, const struct pkt *p, uint64_t now_us)
{
	struct voice *v = &st->voice;
	int level = p->rtp.level_dbov;
	int ms = packet_ms(st, p);
	int raw, over, low;
	bool voice;

	if (level < 0)
		level = p->rtp.payload_len > VOICE_NOTHING_BYTES ? VOICE_MIDDLE_DBOV
								 : 127;
	raw = LOUD_MAX - level * DB;
	floor_update(v, raw, now_us);
	low = v->low_now < v->low_prev ? v->low_now : v->low_prev;
	over = p->rtp.voice ? VOICE_OVER_FLOOR_FLAGGED_DB : VOICE_OVER_FLOOR_DB;
	if (st->screen)
		voice = raw > LOUD_MAX - SCREEN_DBOV * DB;
	else
		voice = raw > LOUD_MAX - VOICE_DBOV * DB &&
			(p->rtp.level_dbov < 0 || raw >= low + over * DB);
	if (voice) {
		if (!v->voice_us || now_us >= v->voice_us + VOICE_SILENT_US) {
			v->talk_us = now_us;
			v->over_us = 0;
			v->loud = raw;
		}
		/* Of voice only: a pause for breath makes nobody quieter. */
		if (raw > v->loud)
			v->loud += (raw - v->loud) *
				   (ms < VOICE_ATTACK_MS ? ms : VOICE_ATTACK_MS) /
				   VOICE_ATTACK_MS;
		else
			v->loud -= (v->loud - raw) * ms / VOICE_DECAY_MS;
		v->voice_us = now_us;
	}
	v->packet_us = now_us;
	v->ts64 = p->rtp.ts64;
	return voice;
}

/* ---- lanes ------------------------------------------------------------------------- */

static void lane_set(struct relay_room *room, unsigned i, struct relay_stream *st)
{
	room->lanes[i] = st;
	st->voice.lane = (int)i;
}

static void lane_drop(struct relay_room *room, unsigned i)
{
	room->lanes[i]->voice.lane = -1;
	room->lane_count--;
	for (; i < room->lane_count; i++)
		lane_set(room, i, room->lanes[i + 1]);
	room->lanes[room->lane_count] = NULL;
}

/* Has `st` been clearly louder than `o` for long enough? */
static bool outshouts(struct relay_stream *st, const struct relay_stream *o,
		      uint64_t now_us)
{
	if (st->voice.loud < o->voice.loud + VOICE_LOUDER_DB * DB) {
		st->voice.over_us = 0;
		return false;
	}
	if (!st->voice.over_us)
		st->voice.over_us = now_us;
	return now_us >= st->voice.over_us + VOICE_LOUDER_US;
}

/* Which of the lanes [0, n) yields to `st`, a speaker below them: the longest silent,
 * else the quietest if `st` outshouts that one; -1 none. */
static int yielding(struct relay_room *room, unsigned n, struct relay_stream *st,
		    uint64_t now_us)
{
	const struct relay_stream *quietest = NULL, *silent = NULL;

	for (unsigned i = 0; i < n; i++) {
		const struct relay_stream *o = room->lanes[i];

		if (is_silent(o, now_us)) {
			if (!silent || o->voice.voice_us <= silent->voice.voice_us)
				silent = o;
		} else if (!o->screen &&
			   (!quietest || o->voice.loud <= quietest->voice.loud)) {
			quietest = o;
		}
	}
	if (silent)
		return silent->voice.lane;
	return quietest && outshouts(st, quietest, now_us) ? quietest->voice.lane : -1;
}

/* A speaker in a lane changes places with who yields higher up. */
static bool rank_up(struct relay_room *room, struct relay_stream *st, uint64_t now_us)
{
	bool moved = false;
	int to;

	while ((to = yielding(room, (unsigned)st->voice.lane, st, now_us)) >= 0) {
		room->lanes[to]->voice.over_us = 0;
		lane_set(room, (unsigned)st->voice.lane, room->lanes[to]);
		lane_set(room, (unsigned)to, st);
		moved = true;
	}
	return moved;
}

/* The lane that `st`, a speaker without one, may take; -1 none. */
static int lane_for(struct relay_room *room, struct relay_stream *st, uint64_t now_us)
{
	if (room->lane_count < RELAY_LANES)
		return (int)room->lane_count++;
	return yielding(room, RELAY_LANES, st, now_us);
}

static void lane_take(struct relay_room *room, int lane, struct relay_stream *st)
{
	unsigned i = (unsigned)lane;

	if (room->lanes[i]) {
		room->lanes[i]->voice.lane = -1;
		room->lanes[i]->voice.over_us = 0;
	}
	lane_set(room, i, st);
	STAT_INC(speaker_change);
}

/* The packet says itself if its speaker talks: see rtp_slot_name(). */
static void mark(struct relay_stream *st, struct pkt *p, uint64_t now_us)
{
	struct voice *v = &st->voice;
	bool talks = !is_silent(st, now_us);

	if (talks != v->talks)
		v->talk_news = 2;
	v->talks = talks;
	p->rtp.talk_news = v->talk_news > 0;
	v->talk_news = (uint8_t)(v->talk_news - p->rtp.talk_news);
	p->rtp.talker_count = 1;
	p->rtp.talkers[0] = talks ? st->id : TALK_NOBODY;
}

void speakers_packet(struct relay_stream *st, struct pkt *p, uint64_t now_us)
{
	struct relay_room *room = st->room;
	bool changed = false;
	bool voice = level_update(st, p, now_us);

	mark(st, p, now_us);
	if (!voice)
		return;
	if (st->voice.lane < 0) {
		int lane = lane_for(room, st, now_us);

		if (lane < 0)
			return;
		lane_take(room, lane, st);
		changed = true;
	}
	if (rank_up(room, st, now_us) || changed)
		room_update_audio(room, now_us);
}

/* Few microphones: everybody has a lane, speaking or not. */
static bool fill(struct relay_room *room)
{
	bool changed = false;

	if (room->mic_count > RELAY_LANES)
		return false;
	for (struct link *l = room->mics; l; l = l->next) {
		struct relay_stream *st = CONTAINER_OF(l, struct relay_stream, mic_link);

		if (st->voice.lane < 0 && room->lane_count < RELAY_LANES) {
			lane_take(room, (int)room->lane_count++, st);
			changed = true;
		}
	}
	return changed;
}

void speakers_join(struct relay_stream *st, uint64_t now_us)
{
	struct relay_room *room = st->room;

	speakers_reset(st);
	link_add(&room->mics, &st->mic_link);
	room->mic_count++;
	if (fill(room))
		room_update_audio(room, now_us);
}

void speakers_leave(struct relay_stream *st, uint64_t now_us)
{
	struct relay_room *room = st->room;
	bool changed = st->voice.lane >= 0;

	link_remove(&st->mic_link);
	room->mic_count--;
	if (changed)
		lane_drop(room, (unsigned)st->voice.lane);
	if (fill(room) || changed)
		room_update_audio(room, now_us);
}

/* ---- from time to time ------------------------------------------------------------- */

static bool drop_dead(struct relay_room *room, uint64_t now_us)
{
	bool changed = false;

	if (room->mic_count <= RELAY_LANES)
		return false;
	for (unsigned i = room->lane_count; i-- > 0;)
		if (now_us >= room->lanes[i]->voice.packet_us + LANE_DEAD_US) {
			lane_drop(room, i);
			changed = true;
		}
	return changed;
}

/* Speakers' cameras come first: those who speak now, in the order they had, then the
 * others in theirs. So one who joins in does not push out one who goes on, and a last
 * word does not linger before the next speaker. */
static void order_cameras(struct relay_room *room, uint64_t now_us)
{
	struct relay_port *who[RELAY_LANES];
	unsigned n = 0;
	bool same = true;

	for (unsigned i = 0; i < room->lane_count; i++) {
		const struct relay_stream *st = room->lanes[i];
		unsigned k;

		if (st->screen || is_silent(st, now_us) ||
		    st->voice.voice_us < st->voice.talk_us + VOICE_COUNTS_US)
			continue;
		for (k = 0; k < n && who[k] != st->port; k++)
			;
		if (k < n)
			continue;
		for (k = n++; k > 0 && who[k - 1]->recent < st->port->recent; k--)
			who[k] = who[k - 1];
		who[k] = st->port;
	}
	for (unsigned k = 0; k < n; k++)
		same = same && who[k]->recent && who[k]->recent == room->recent - k;
	if (same)
		return;
	room->recent += n;
	for (unsigned k = 0; k < n; k++)
		who[k]->recent = room->recent - k;
	room_sort(room);
	for (unsigned i = 0; i < room->port_count; i++)
		if (room->ports[i]->automatic)
			port_update_video(room->ports[i], now_us);
}

/* true: something is left to tell. */
static bool tell(struct relay_room *room, uint64_t now_us)
{
	const uint64_t spacing_us = 300000;
	uint32_t ids[RELAY_LANES];
	unsigned n = 0;

	for (unsigned i = 0; i < room->lane_count; i++) {
		const struct relay_stream *st = room->lanes[i];
		unsigned k;

		if (is_silent(st, now_us))
			continue;
		for (k = 0; k < n && ids[k] != st->port->id; k++)
			;
		if (k == n)
			ids[n++] = st->port->id;
	}
	if (n == room->told_count && !memcmp(ids, room->told, n * sizeof ids[0]))
		return false;
	if (room->told_us && now_us < room->told_us + spacing_us)
		return true;
	memcpy(room->told, ids, n * sizeof ids[0]);
	room->told_count = n;
	room->told_us = now_us;
	room->relay->room_ops->speakers(room->owner, room, ids, n, now_us);
	return false;
}

bool speakers_tick(struct relay_room *room, uint64_t now_us)
{
	if (drop_dead(room, now_us))
		room_update_audio(room, now_us);
	order_cameras(room, now_us);
	return tell(room, now_us) || room->told_count ||
	       (room->lane_count && room->mic_count > RELAY_LANES);
}
