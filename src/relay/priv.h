/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The forwarding plane's objects, seen by this module only.
 *
 * Invariants, kept by slot_* in port.c and checked by tests/sim/sim_relay_rooms.c:
 * - A slot's `cur` is on the `carriers` list of a layer of its stream, its `next` on `waiters` (of a
 * suspended port, or a slot that may have nothing: on the stream's `parked`, with cur NULL). Both may be the same stream, in
 * different layers. So a stream knows everybody who has
 * anything to do with it, and taking a slot off is O(1), without any array to grow.
 * - A port has a stream at most once among its slots' cur and next.
 * - Only active streams of other ports are in slots and lanes.
 */
#ifndef RELAY_PRIV_H
#define RELAY_PRIV_H

#include <palabre/relay.h>

/* A doubly linked list whose nodes know their predecessor's pointer. */
struct link {
	struct link *next, **at;
};
static inline void link_add(struct link **head, struct link *l)
{
	l->next = *head;
	l->at = head;
	if (l->next)
		l->next->at = &l->next;
	*head = l;
}
static inline void link_remove(struct link *l)
{
	if (!l->at)
		return;
	*l->at = l->next;
	if (l->next)
		l->next->at = l->at;
	l->next = NULL;
	l->at = NULL;
}

struct slot {
	struct relay_port *port;
	struct relay_stream *cur;  /* forwarded */
	struct relay_stream *next; /* waited for, or parked */
	struct link cur_link, next_link;
	/* What it counts for in their demand; `wish`: what it would have of the one to be shown. */
	struct relay_stream *wished;
	struct demand_part cur_part, next_part, wish_part;
	uint8_t cur_layer, next_layer;
	int8_t sid; /* the most that may go, -1 nothing */
	uint8_t tid;
	uint8_t index;
	bool fresh;    /* nothing of cur has been forwarded yet */
	bool sounding; /* something was forwarded since the last idle() */
};

struct relay {
	const struct relay_port_ops *port_ops;
	const struct relay_stream_ops *stream_ops;
	const struct relay_room_ops *room_ops;
	struct link *live; /* rooms with something to do at the next tick */
	uint64_t tick_us;
	unsigned rooms;
	bool forwarding; /* inside a callback of the hot path */
};

struct relay_room {
	struct relay *relay;
	void *owner;
	struct relay_port **ports;
	unsigned port_count, port_cap;
	struct hash *streams, *port_ids;
	/* Video streams in the order of the automatic view: see room_sort(). */
	struct relay_stream **videos;
	unsigned video_count, video_cap;
	uint64_t age;	 /* of the youngest stream */
	uint64_t recent; /* greatest port->recent */
	/* who is heard, by rank: speakers.c */
	struct relay_stream *lanes[RELAY_LANES];
	unsigned lane_count;
	struct link *mics; /* active audio streams */
	unsigned mic_count;
	uint32_t told[RELAY_LANES];
	unsigned told_count;
	uint64_t told_us;
	struct link *calming; /* streams that nobody wants, not told yet */
	struct link live_link;
	bool live, packets;
};

struct relay_port {
	struct relay_room *room;
	const struct relay_port_ops *ops;
	void *owner;
	struct hash_node id_node;
	uint32_t id;
	unsigned pos;	/* in room->ports */
	uint32_t alone; /* stream heard instead of the lanes, 0 none */
	unsigned audio, video;
	bool suspended, automatic, dying;
	bool blind; /* no pictures for it */
	unsigned view_count;
	struct relay_view view[RELAY_VIEW_MAX];
	uint64_t recent; /* greater: spoke later; 0 never */
	struct relay_stream *streams[RELAY_STREAMS_MAX];
	struct slot slots[RELAY_SLOTS_MAX];
};

/* What speakers.c knows of one voice. Loudness is 127 dB + level, so 0 is silence, in
 * 1/256 dB. */
struct voice {
	int loud; /* of voice, smoothed */
	int low_now,
		low_prev; /* least of this window and the one before: the noise floor */
	uint64_t window_us;
	uint64_t packet_us; /* last packet */
	uint64_t voice_us;  /* last packet with voice, 0 never */
	uint64_t talk_us;   /* begin of the present utterance */
	uint64_t over_us; /* since when clearly louder than the one to be replaced, 0 not
			   */
	uint64_t ts64;
	bool talks;	   /* as its packets say, */
	uint8_t talk_news; /* and how many more of them say that it is news */
	int lane;	   /* -1 none */
};

/* The key frame that slots wait for, as far as it has come. */
struct key_frame {
	uint64_t first; /* seq64; 0: none has come */
	uint64_t next;	/* nothing before it is missing */
	uint64_t ts64, since_us;
};

/* One size of a picture. Rates in windows of a second, by temporal layer. */
struct layer {
	struct link *carriers, *waiters;
	uint64_t highest; /* seq64 */
	struct key_frame key;
	uint64_t last_us;  /* its last packet, 0 none */
	uint64_t alive_us; /* since when it has come */
	uint64_t
		spare_us; /* since when nobody has needed it, though it is told; 0: somebody does */
	uint64_t told_us; /* when it was told last that it is needed */
	bool borne; /* it came until nobody needed it: its link bears it, as far as is known */
	uint64_t since_us,
		window_us; /* begin of the present window; length of the one before */
	uint32_t bytes[ALLOC_TEMPORAL], past_bytes[ALLOC_TEMPORAL];
	uint16_t frames[ALLOC_TEMPORAL], past_frames[ALLOC_TEMPORAL];
	uint16_t width, height;
};

struct relay_stream {
	struct relay_port *port;
	struct relay_room *room;
	void *owner;
	struct hash_node id_node;
	uint32_t id;
	bool audio, screen, active, wanted;
	bool made; /* by a mixer: in no lane, and nobody is told what is wanted of it */
	enum codec_id codec;
	uint64_t age;
	unsigned layer_count;
	struct layer layers[RELAY_LAYERS_MAX];
	uint8_t alive; /* layers that come, as bits */
	struct demand demand;
	uint8_t told; /* layers, as bits, that the owner knows to be wanted */
	struct link *parked;
	struct link mic_link, calm_link;
	uint64_t calm_us;
	struct voice voice;
};

/* room.c */
void room_mark(struct relay_room *room); /* needs a tick */
struct relay_port *room_port(const struct relay_room *room, uint32_t id);
int room_add_port(struct relay_room *room, struct relay_port *p) MUST_CHECK;
void room_remove_port(struct relay_room *room, struct relay_port *p);
int room_add_stream(struct relay_room *room, struct relay_stream *st) MUST_CHECK;
void room_remove_stream(struct relay_room *room, struct relay_stream *st);
/* Restores the order of room->videos: screens, then by who spoke last, then by age. */
void room_sort(struct relay_room *room);
/* The lanes have changed: every port's audio slots. */
void room_update_audio(struct relay_room *room, uint64_t now_us);
void room_tick(struct relay_room *room, uint64_t now_us);

/* port.c */
void port_update_audio(struct relay_port *p, uint64_t now_us);
void port_update_video(struct relay_port *p, uint64_t now_us);
bool port_views(const struct relay_port *p, uint32_t stream);
/* In its view; 0 unknown. */
void port_tile(const struct relay_port *p, uint32_t stream, uint16_t *width,
	       uint16_t *height);
bool port_is_audio(const struct relay_port *p, unsigned slot);
/* The waiting slot goes over to its `next`. */
void slot_promote(struct slot *s, uint64_t now_us);
/* Looks again at which layer of what is to be shown is right. Hot, where something of the stream has changed. */
void slot_layers(struct slot *s, uint64_t now_us);
/* The carrying slot must begin anew: audio at the next packet, video at the next key
 * frame. */
void slot_renew(struct slot *s, uint64_t now_us);
/* Takes cur and next out without looking for others. */
void slot_clear(struct slot *s, uint64_t now_us);
/* Tells the owner if the slot has just fallen idle. */
void slot_settle(struct slot *s, uint64_t now_us);

/* stream.c */
void stream_take(struct relay_stream *st, uint64_t now_us);    /* somebody has come */
void stream_release(struct relay_stream *st, uint64_t now_us); /* somebody has gone */
void stream_want_key(struct relay_stream *st, unsigned layer, bool patient,
		     uint64_t now_us);
/* A slot counts for so much in its demand now, sid -1: nothing. When all of its parts are right, look: tells the
 * owner. */
void stream_part(struct relay_stream *st, struct demand_part *part, int sid, int tid);
void stream_look(struct relay_stream *st, uint64_t now_us);
/* The calm is over. */
void stream_calm(struct relay_stream *st, uint64_t now_us);
/* Which of its layers come, or how large they are, has changed: its slots look again. Hot. */
void stream_layers(struct relay_stream *st, uint64_t now_us);

/* layers.c: which size of a picture. */
void layers_measure(struct layer *y, const struct pkt *p);
/* Hot: a packet of the layer has come. True: which layers come, or how large they are, has changed. */
bool layers_heard(struct relay_stream *st, const struct pkt *p);
/* Layers that have stopped while others go on are dead. True: some have died. */
bool layers_check(struct relay_stream *st);
/* The largest that is of use in a tile, */
unsigned layers_fill(const struct relay_stream *st, unsigned width, unsigned height);
/* and what stands for `want`: it, or the nearest that comes. */
unsigned layers_best(const struct relay_stream *st, unsigned want);

#endif
