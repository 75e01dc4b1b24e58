/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * relay: the forwarding plane of a worker: rooms, streams (sources), ports (listeners)
 * with slots, and who gets what. Level 4, worker's thread. No network, no crypto, no
 * codec: it calls the port's owner through relay_port_ops and the stream's owner through
 * relay_stream_ops (implemented by leg). Nothing here assumes that a port is a person or
 * is local.
 *
 * Cost: a packet of a stream visits exactly the slots that carry it (stream → its list
 * of slots). A change of speakers or of a view costs the ports concerned, once. 500
 * silent people cost nothing.
 *
 * A mixer is a port, too: it hears every lane, and its streams, which are nobody's voice, are
 * heard by the ports that ask for one instead of the lanes (relay_port_alone).
 *
 * Audio slots: the loudest speakers (RFC 6464 levels), for each port without its own
 * voice. A speaker keeps the place until another needs it (no chopping): see speakers.h.
 * Video slots: what the port asked for (relay_port_view), else the latest speakers'
 * cameras and the screens. A video slot changes at a key frame of the new stream and
 * shows the old one until then.
 *
 * Layers: a camera may come in several sizes at once (simulcast), each with its own numbers. A slot carries exactly
 * one of them, and changes at a key frame of the other as it does between streams. Which one is the largest
 * that may go (relay_port_layer) and is of use (the tile's size), or, while that does not come, the nearest that does:
 * what is wanted is told to the sender at once, what nobody takes after a calm. Temporal layers are left out by
 * whoever writes the slot (rtp_slot_limit).
 */
#ifndef PALABRE_RELAY_H
#define PALABRE_RELAY_H

#include <palabre/base.h>
#include <palabre/cc_layers.h>
#include <palabre/rtp.h>

enum {
	RELAY_AUDIO_SLOTS_MAX = 3,
	RELAY_VIDEO_SLOTS_MAX = 9,
	/* Loudest kept: one more, so that a speaker hears three others. */
	RELAY_LANES = RELAY_AUDIO_SLOTS_MAX + 1,
	RELAY_SLOTS_MAX = RELAY_LANES + RELAY_VIDEO_SLOTS_MAX,
	RELAY_VIEW_MAX = 64,
	RELAY_LAYERS_MAX = ALLOC_SPATIAL, /* sizes of one picture */
	RELAY_STREAMS_MAX = 4		  /* of one port */
};

struct relay;
struct relay_room;
struct relay_stream;
struct relay_port;

/*
 * Callbacks run inside a relay call (the hot ones inside relay_stream_packet). They must
 * not change anything here: no create, destroy, active, codec, view, suspend; asking
 * (relay_*_get, _slot, _find, _id, _owner) and relay_port_key_request are allowed. All
 * are needed.
 */
struct relay_port_ops {
	/* Hot. `p` is to go out in this slot. `begin`, unless 0: the slot's stream has just changed, or
	 * its source restarted its numbers, or changed codec: a new segment begins with the packet of that seq64,
	 * p itself or one before it, in the source's store, whose followers are to go now, too
	 * (rtp_slot_switch, then rtp_slot_map of each). Late packets come too, and
	 * rtp_slot_map refuses those from before the segment. */
	void (*forward)(void *owner, unsigned slot, struct relay_stream *st,
			struct pkt *p, uint64_t begin, uint64_t now_us);
	/* Can this port decode the stream in such a slot? */
	bool (*accepts)(void *owner, unsigned slot, const struct relay_stream *st);
	/* The slot has fallen idle, its stream is gone or no longer shown (not called
	 * when another takes over without a break). */
	void (*idle)(void *owner, unsigned slot, uint64_t now_us);
};
struct relay_stream_ops {
	/* A slot waits for a key frame of this layer of the stream. The owner throttles and repeats
	 * until relay_stream_packet brings one. patient: it shows another layer of it meanwhile. */
	void (*want_key)(void *owner, struct relay_stream *st, unsigned layer,
			 bool patient, uint64_t now_us);
	/* Hot. Has all of the layer's picture of timestamp `ts64` come? *next is the seq64 of its first packet, then of the
	 * first that was missing. */
	bool (*whole)(void *owner, struct relay_stream *st, unsigned layer, uint64_t ts64,
		      uint64_t *next);
	/* Somebody / nobody takes the stream now: a slot carries it or waits for it. Sound is
	 * wanted for good from the first taking on: who isn't heard could not be noticed. Not
	 * told when the stream is destroyed (told from relay_tick after a calm of 2 s when
	 * it becomes false; at once when true). */
	void (*wanted)(void *owner, struct relay_stream *st, bool wanted,
		       uint64_t now_us);
	/* What is wanted of a stream of several layers has changed: relay_stream_demand() tells. More is told
	 * at once, less after a calm of 5 s. */
	void (*demand)(void *owner, struct relay_stream *st, uint64_t now_us);
};
struct relay_room_ops {
	/* The ports of those who speak now (loudest first, ≤ RELAY_LANES), told from
	 * relay_tick on change, at most every 300 ms. */
	void (*speakers)(void *owner, struct relay_room *room, const uint32_t *port_ids,
			 unsigned count, uint64_t now_us);
};

struct relay *relay_create(const struct relay_port_ops *port_ops,
			   const struct relay_stream_ops *stream_ops,
			   const struct relay_room_ops *room_ops) MUST_CHECK;
void relay_destroy(struct relay *r);
/* Every 100 ms: speaker changes that wait for time, pauses, silent streams leaving their
 * lanes. Cost grows with rooms that have had a packet or a change since the last tick. */
void relay_tick(struct relay *r, uint64_t now_us);
/* When relay_tick is needed next, UINT64_MAX if nothing is pending. */
uint64_t relay_next_us(const struct relay *r, uint64_t now_us);

struct relay_room *relay_room_create(struct relay *r, void *owner) MUST_CHECK;
void relay_room_destroy(struct relay_room *room); /* must be empty */

/* A listener with `audio` + `video` slots; slot numbers: audio 0.., then video. `id` is
 * unique in the room, never 0. It starts suspended, with an automatic view:
 * relay_port_suspend(p, false, now) when media can be sent. NULL: out of memory, a limit,
 * or the id is taken. */
struct relay_port *relay_port_create(struct relay_room *room, uint32_t id, unsigned audio,
				     unsigned video, void *owner) MUST_CHECK;
void relay_port_destroy(struct relay_port *p, uint64_t now_us); /* and its streams */
/* A suspended port gets nothing (idle() is not called), and keeps its slots' places. */
void relay_port_suspend(struct relay_port *p, bool suspended, uint64_t now_us);

/* What the client shows: streams by id in order of importance, with the size of each tile
 * in pixels: no larger layer goes than fills it. With automatic =
 * true the server fills what the list leaves free (all of it when count is 0): screens,
 * then the cameras of those who spoke last, then by age. More than RELAY_VIEW_MAX: the
 * first. Ids that don't exist (yet) are remembered: when such a stream appears it is
 * shown. A stream of the port itself is ignored. */
struct relay_view {
	uint32_t stream;
	uint16_t width, height;
};
void relay_port_view(struct relay_port *p, bool automatic, const struct relay_view *view,
		     unsigned count, uint64_t now_us);

/* Its video slots stay empty, whatever its view, or are filled again; they are to begin with. */
void relay_port_pictures(struct relay_port *p, bool on, uint64_t now_us);

/* Which layers of the slot's pictures may go, by size and rate, as alloc_choice's sid and tid: they are the slot's, whoever
 * comes into it. To begin with all (RELAY_LAYERS_MAX - 1, SLOT_TID_ALL). sid -1: none, it falls idle and
 * keeps its place. */
void relay_port_layer(struct relay_port *p, unsigned slot, int sid, int tid,
		      uint64_t now_us);
/* What goes now, -1 nothing, and what of it may go. Hot. */
int relay_port_sid(const struct relay_port *p, unsigned slot);
unsigned relay_port_tid(const struct relay_port *p, unsigned slot);
/* What is to be shown in the slot: in it, waited for, or kept from it by relay_port_layer; NULL: nothing. */
struct relay_stream *relay_port_target(const struct relay_port *p, unsigned slot);
/* Its tile, by the view; 0 unknown. */
void relay_port_tile(const struct relay_port *p, unsigned slot, uint16_t *width,
		     uint16_t *height);

/* A source of a port: `id` unique in the room, never 0; at most RELAY_STREAMS_MAX a port,
 * NULL otherwise. `screen` with `audio`: a screen's sound. `codec` may change with
 * relay_stream_codec (then slots are checked again). */
struct relay_stream *relay_stream_create(struct relay_port *p, uint32_t id, bool audio,
					 bool screen, void *owner) MUST_CHECK;
void relay_stream_destroy(struct relay_stream *st, uint64_t now_us);
void relay_stream_codec(struct relay_stream *st, enum codec_id codec, uint64_t now_us);
/* Muted (by the person or the server), or no camera: leaves slots and lanes at once;
 * packets are dropped. Streams start inactive. */
void relay_stream_active(struct relay_stream *st, bool active, uint64_t now_us);
/* The stream has several layers from now on: rtp.layer of its packets is below that. */
void relay_stream_layers(struct relay_stream *st, unsigned count);
/* The layers that anybody takes, as bits; for one that is wanted and does not come all up to the next above those that do,
 * so that a thin link is asked for one after the other; with any the smallest, too, so that there is something to
 * fall back on. 0: nobody wants it. */
unsigned relay_stream_demand(const struct relay_stream *st);
/* Its layers as the allocator wants them: rates and frames as measured over the last second or two, without headers below RTP
 * (12 bytes a packet are reckoned); sizes where key frames said them. alloc_layer.key is set but for temporal layers. */
void relay_stream_measured(const struct relay_stream *st, uint64_t now_us,
			   struct alloc_layer layers[ALLOC_SPATIAL][ALLOC_TEMPORAL]);
/* Hot: a packet of the stream, parsed (rtp.level_dbov, rtp.frame, rtp.layer, seq64 of that layer), never a
 * duplicate. A step of seq64 of more than RECV_JUMP is a restart of the source (see
 * rtp_recv_packet): every slot then gets a new segment. */
void relay_stream_packet(struct relay_stream *st, struct pkt *p, uint64_t now_us);
/* The port's slot lost its decoder state (its PLI or FIR): asks the stream now in it. */
void relay_port_key_request(struct relay_port *p, unsigned slot, uint64_t now_us);

/* The server's own port in the room, which hears all lanes, each in a slot 0..RELAY_LANES - 1, by
 * callbacks of its own (the default ones of relay_create are for all others). Not suspended. NULL: out
 * of memory or the id is taken. */
struct relay_port *relay_mixer_create(struct relay_room *room, uint32_t id,
				      const struct relay_port_ops *ops, void *owner,
				      uint64_t now_us) MUST_CHECK;
/* A stream made by a mixer, active from the start and never told of want_key or wanted; as many as
 * needed, each to be destroyed before the mixer's port. */
struct relay_stream *relay_made_create(struct relay_port *mixer, uint32_t id,
				       enum codec_id codec, void *owner) MUST_CHECK;
/* The port hears the stream `id` alone, a made one or another port's voice, in audio slot 0, and
 * nothing in the others; 0, or while there is no such stream: the lanes. */
void relay_port_alone(struct relay_port *p, uint32_t id, uint64_t now_us);

uint32_t relay_stream_id(const struct relay_stream *st);
void *relay_stream_owner(const struct relay_stream *st);
enum codec_id relay_stream_codec_get(const struct relay_stream *st);
bool relay_stream_wanted(const struct relay_stream *st);
uint32_t relay_port_id(const struct relay_port *p);
void *relay_port_owner(const struct relay_port *p);
/* NULL if there is none of that id. */
struct relay_port *relay_port_find(struct relay_room *room, uint32_t id);
/* Whose stream it is. */
uint32_t relay_stream_port(const struct relay_stream *st);
/* The stream in a slot now (forwarded already), NULL if idle or still waiting for the
 * stream's first packet. */
struct relay_stream *relay_port_slot(const struct relay_port *p, unsigned slot);
/* Finds by id for retransmission; NULL if gone. */
struct relay_stream *relay_stream_find(struct relay_room *room, uint32_t id);
unsigned relay_room_ports(const struct relay_room *room);

#endif
