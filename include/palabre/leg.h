/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * leg: one media connection of the relay to the outside. Level 5, worker's thread. A
 * browser's leg joins what the lower modules do separately: transport (addresses, keys),
 * rtp (statistics, repair, rewriting), relay (who gets what).
 *
 * On the hot path a leg only parses, maps and enqueues (legs_on_packet → relay → out
 * queue); legs_drain writes, seals and hands to the send batch. Feedback (RR, SR, NACK,
 * PLI) goes out from timers.
 */
#ifndef PALABRE_LEG_H
#define PALABRE_LEG_H

#include <palabre/nego.h>
#include <palabre/relay.h>
#include <palabre/rtp.h>
#include <palabre/transport.h>

/* Stream ids in a relay room: the port's id and the kind in one number. */
static inline uint32_t leg_stream_id(uint32_t port, enum stream_kind kind)
{
	return port << 2 | (uint32_t)kind;
}
static inline uint32_t leg_stream_port(uint32_t stream)
{
	return stream >> 2;
}
static inline enum stream_kind leg_stream_kind(uint32_t stream)
{
	return (enum stream_kind)(stream & 3);
}
enum { LEG_PORT_MAX = 1 << 28 };

struct legs; /* all legs of a worker, and what they share */
struct leg;  /* mem_* reference-counted, owned by the worker's table */

/* How a leg stands, as its owner sees it. */
enum leg_link { LEG_CONNECTING, LEG_UP, LEG_SUSPENDED, LEG_GONE };
/* What is in a slot: from RTP timestamp `ts` on. stream 0 = idle. What has `ts` was
 * captured at `at_ms` on our monotonic clock, which is the same for all slots: so a page
 * can align sound and picture. Told again, with a later `ts`, when the sender's clocks
 * have drifted apart. */
struct leg_slot_state {
	uint32_t stream;
	uint32_t ts;
	uint64_t at_ms;
};
struct leg_ops {
	/* Something of leg_link_get, leg_slot_get, leg_paused_get or leg_layers_get has changed: read it
	 * when convenient, not from inside. Hot. */
	void (*changed)(void *arg, struct leg *leg);
};

struct legs *legs_create(struct transport *t, struct tx *tx, struct relay *relay,
			 struct wheel *wheel, struct pkt_pool *pool,
			 const struct leg_ops *ops, void *arg) MUST_CHECK;
void legs_destroy(struct legs *l);
/* The relay's callbacks, for relay_create (owners of ports are legs, of streams their
 * sources). */
extern const struct relay_port_ops leg_port_ops;
extern const struct relay_stream_ops leg_stream_ops;

/* The plan is copied. `port` is the person's number in the room. All streams start off
 * unless `media` says otherwise. -ENOMEM, -EEXIST (the port has a leg in this room
 * already: close that one first). */
int leg_create(struct leg **out, struct legs *l, struct relay_room *room, uint32_t port,
	       const struct nego_plan *plan, void *user, uint64_t now_us) MUST_CHECK;
/* Sends RTCP BYE and DTLS close, leaves the room. The pointer is dead afterwards. */
void leg_close(struct leg *leg, uint64_t now_us);
/* The person switched a stream on or off. A kind that was not negotiated is ignored. */
void leg_media(struct leg *leg, enum stream_kind kind, bool on, uint64_t now_us);
void leg_view(struct leg *leg, bool automatic, const struct relay_view *view,
	      unsigned count, uint64_t now_us);
/* What it hears of the voices: the lanes as they are sent (LEG_LANES), or all in one stream at a
 * rung (enum audio_rung), without its own, with `red` (0 to 2) earlier packets in each. Takes effect
 * within 240 ms. -ENOMEM, -EINVAL (RED was not agreed on): as it was. */
enum { LEG_LANES = -1, LEG_FOLLOWS = -2 };
int leg_voice(struct leg *leg, int rung, unsigned red, uint64_t now_us) MUST_CHECK;
/* The lanes, as long as the link bears them: a leg with places for pictures is without them, and follows
 * its link, while they are too much for it. -ENOMEM, -1. */
int leg_lanes(struct leg *leg, uint64_t now_us) MUST_CHECK;
/* From now on rung and redundancy follow what the link bears, within rungs low..high; both the same:
 * pinned, only protection follows. Lanes are above all rungs: where nothing is pinned. 0, -1 out of
 * memory. */
int leg_follow(struct leg *leg, unsigned low, unsigned high, uint64_t now_us) MUST_CHECK;
/* They stay as they are. */
void leg_follow_end(struct leg *leg, uint64_t now_us);
void leg_restart(struct leg *leg, const char *local_ufrag, const char *local_pwd,
		 const char *remote_ufrag, const char *remote_pwd, uint64_t now_us);

/* Hot: an opened RTP or RTCP packet of this leg. The reference stays the caller's. */
void leg_on_rtp(struct leg *leg, struct pkt *p, uint64_t now_us);
void leg_on_rtcp(struct leg *leg, struct pkt *p, uint64_t now_us);
/* Hot: writes and seals all that is enqueued, */
void legs_drain(struct legs *l);
/* and a part of what mixers have made: one such packet goes to thousands at once, and others' are
 * not to wait for all of them. True: there is more. */
bool legs_drain_made(struct legs *l, uint64_t now_us);

/* How the voices travel to it. */
struct leg_voice_state {
	bool following;
	bool no_pictures; /* others' are withheld: they are too much for its link */
	int8_t rung;	  /* or LEG_LANES */
	uint8_t red;
	uint8_t up_rung; /* how its microphone is to be sent */
	bool up_red;
	uint8_t loss_q8;    /* of 256 */
	uint16_t jitter_ms; /* what its buffers should hold, 0 = as they like */
};
struct leg_voice_state leg_voice_get(const struct leg *leg);
void *leg_user(const struct leg *leg);
enum leg_link leg_link_get(const struct leg *leg);
unsigned leg_slot_count(const struct leg *leg);
struct leg_slot_state leg_slot_get(const struct leg *leg, unsigned slot);
/* Nobody takes this stream at present. */
bool leg_paused_get(const struct leg *leg, enum stream_kind kind);
/* Which layers of this stream somebody takes, as bits, smallest picture first; 0: nobody does, or it has no
 * layers. */
unsigned leg_layers_get(const struct leg *leg, enum stream_kind kind);
struct relay_port *leg_port(const struct leg *leg);
struct conn *leg_conn(const struct leg *leg);

#endif
