/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rtp: what an RTP endpoint keeps about a stream it receives (rtp_recv, rtp_clock,
 * rtp_store) and about a slot it sends (rtp_slot). Level 3, worker's thread. No sockets,
 * no clock, no codec: packets, numbers and time come in as arguments. The structs are
 * public so that a leg can hold them by value; their fields are this module's own.
 */
#ifndef PALABRE_RTP_H
#define PALABRE_RTP_H

#include <palabre/base.h>
#include <palabre/wire.h>

static inline uint64_t rtp_ticks(uint64_t us, uint32_t rate)
{
	return us / 1000000 * rate + us % 1000000 * rate / 1000000;
}

/* How long after its timestamp a stream's earliest packet came: arrival less timestamp, in ticks. Of the last two
 * windows, each of 2 s and 30 packets at least, so a pause of up to two minutes changes nothing. All zero: nothing known. */
struct rtp_transit {
	uint64_t since_us, last_us; /* begin of the present window, 0 none; last packet */
	int64_t least, pending;	    /* of both windows, of the present one */
	unsigned count;		    /* packets in the present one */
};
/* Takes a packet in; the least. Hot. */
int64_t rtp_transit_put(struct rtp_transit *t, uint64_t arrival_us, int64_t transit);

/* ---- receiving: one per source SSRC (RFC 3550 §6.4.1, appendix A; RFC 4585 for NACK)  */

enum {
	RECV_WINDOW = 1024, /* packets remembered for duplicates and losses */
	RECV_JUMP = RECV_WINDOW *
		    4, /* a larger step of the sequence is a restart of the source */
	RECV_NACKS_MAX = 128, /* missing packets asked for at the same time */
	RECV_NACK_TRIES_MAX = 20,
	RECV_NACK_AGE_AUDIO_MS = 600,
	RECV_NACK_AGE_VIDEO_MS = 1500,
	RECV_REORDER_MS = 10, /* how long a gap may be mere reordering */
	/* Sound: a timestamp this far off from the time that has passed is a jump. No queue
	 * on the way is as long. */
	RECV_TS_JUMP_S = 10
};
/* NEW and LATE go on to the relay; DUP and OLD are dropped (and counted); so is STRAY, a new
 * packet with a timestamp that is not believed, whose number is used up. */
enum recv_result { RECV_NEW, RECV_LATE, RECV_DUP, RECV_OLD, RECV_STRAY };
struct rtp_recv {
	uint32_t ssrc, clock_rate;
	bool audio, nack;
	uint64_t highest; /* seq64, 0 = nothing yet */
	uint64_t base;	  /* first seq64 since the last restart */
	uint64_t key_seq; /* seq64 of the last key frame's first packet; losses before it
			     don't matter */
	uint32_t bad_seq; /* the number that would confirm a restart (RFC 3550 A.1),
			     UINT32_MAX none */
	uint32_t restarts;
	bool renewed;	   /* the next packet is a restart */
	uint64_t ts64;	   /* of highest, strays apart */
	uint64_t ts_us;	   /* its arrival */
	uint64_t stray_ts; /* of the last packet if that was one, else 0 */
	uint64_t received; /* packets, duplicates not counted */
	uint64_t bytes;
	uint64_t answered; /* packets that came after they were asked for */
	uint64_t expected_prior, received_prior;
	uint64_t last_us; /* arrival of the last packet */
	int64_t transit;
	struct rtp_transit early; /* of pictures */
	uint32_t jitter_q4;
	uint64_t seen[RECV_WINDOW / 64];
	unsigned nack_count;
	struct {
		uint64_t seq;
		uint64_t since_us, next_us;
		uint8_t tries;
	} nacks[RECV_NACKS_MAX];
	bool key_needed;     /* losses given up or too many: ask for a key frame */
	uint32_t sr_mid_ntp; /* LSR */
	uint64_t sr_arrival_us;
	uint64_t sr_wall_us, sr_ts64; /* sender's clock and ts of its last SR, 0 = none */
};
void rtp_recv_init(struct rtp_recv *r, uint32_t ssrc, uint32_t clock_rate, bool audio,
		   bool nack);
/* Sets p->rtp.seq64, ts64 and transit and accounts for the packet. A jump of more than RECV_JUMP
 * restarts the statistics after two packets in sequence (RFC 3550 A.1; the first of them
 * is RECV_OLD). seq64 then goes on *upwards*, more than RECV_JUMP past all before, so
 * that numbers never repeat in a store: whoever keeps a mapping sees the restart from the
 * step alone (relay does, and begins a new segment in every slot). Sound whose timestamp
 * jumps while the sequence goes on is a restart, too, from its second packet on (`restarts`
 * tells; seq64 goes on by one). `repaired`: it came by
 * RTX (no jitter, restarts nothing). Parse the frame before: losses before a key frame
 * are not worth another. Hot. */
enum recv_result rtp_recv_packet(struct rtp_recv *r, struct pkt *p, bool repaired);
/* Is this number, older than the newest, missing? */
bool rtp_recv_lacks(const struct rtp_recv *r, uint16_t seq);
/* The stream goes on under another SSRC: the next packet restarts, at once. */
void rtp_recv_renew(struct rtp_recv *r, uint32_t ssrc);
/* Missing packets whose time to be asked for has come (first after a short reorder wait,
 * then once per max(rtt, 20 ms) · 1.25), ascending; gives up by age and tries. Without
 * `nack` it asks for nothing and gives up after 100 ms. *next_us: when to call again,
 * UINT64_MAX if nothing is missing. */
unsigned rtp_recv_nacks(struct rtp_recv *r, uint64_t now_us, uint64_t rtt_us,
			uint16_t *out, unsigned max, uint64_t *next_us);
/* Takes and clears key_needed. */
bool rtp_recv_take_key_needed(struct rtp_recv *r);
/* Report block for an RR or SR; resets the interval. */
void rtp_recv_block(struct rtp_recv *r, uint64_t now_us, struct rtcp_block *b);
void rtp_recv_sr(struct rtp_recv *r, uint64_t ntp, uint32_t rtp_ts, uint64_t arrival_us);

/* VP8 in temporal layers, after a key frame (sync.c): which have had a picture since. All zero: none has been seen. */
struct rtp_sync {
	uint64_t key, newest; /* seq64: where the key frame begins, and of all */
	uint64_t ts64;	      /* of the picture decided last */
	unsigned missing;     /* packets between the two */
	uint8_t seen;	      /* temporal layers, a bit each; 0: no key frame yet */
	bool put;	      /* that picture is marked */
};
/* A parsed packet that is no duplicate, in the order in which they come. true: its picture is one that needs nothing
 * from before the key frame, and a browser would not know: it is to be marked (frame_put_sync). Hot. */
bool rtp_sync_take(struct rtp_sync *s, const struct pkt *p);

/* A sender's wall clock against ours: the smallest (arrival - SR's time) of the last few
 * minutes, one for all streams of a leg, so that its sound and picture keep their
 * relation. */
struct rtp_clock {
	bool known;
	int64_t offset_us; /* add to the sender's wall clock to get our monotonic clock */
	int64_t pending_us;
	uint64_t window_us;
};
void rtp_clock_sr(struct rtp_clock *c, uint64_t ntp, uint64_t arrival_us);
/* When ts64 of this stream was captured, on our monotonic clock. false before the first
 * SR (the caller then takes arrival time). */
bool rtp_capture_us(const struct rtp_recv *r, const struct rtp_clock *c, uint64_t ts64,
		    uint64_t *out);

/* ---- retransmission store: each packet once per source ----------------------------- */

enum { STORE_VIDEO = 1024, STORE_AUDIO = 128, STORE_AGE_MS = 1500 };
struct rtp_store {
	struct pkt **ring;
	uint32_t mask;
	uint64_t highest, oldest;
};
int rtp_store_init(struct rtp_store *s,
		   unsigned size) MUST_CHECK; /* control time; size a power of two */
void rtp_store_fini(struct rtp_store *s);
/* Takes a reference of its own; replaces what was size packets before, and more of the oldest while the pool has few left. Hot. */
void rtp_store_put(struct rtp_store *s, struct pkt *p);
/* By p->rtp.seq64; NULL if gone. */
struct pkt *rtp_store_get(const struct rtp_store *s, uint64_t seq64);
/* Lets go of packets that arrived before `before_us`. */
void rtp_store_expire(struct rtp_store *s, uint64_t before_us);

/* ---- sending: a slot is one gapless stream whoever is in it ----
 *
 * Between two switches the mapping source → slot is constant, so a *segment* describes
 * it: a NACKed number is found again as (stream, seq64 - offset) in the source's store,
 * and rewriting it gives the very same bytes. No packet is held per receiver.
 *
 * A slot may leave out temporal layers. The offset then grows at each *hole*, a run of packets that
 * have no number; the last SLOT_HOLES are kept (thin.c).
 */
enum {
	SLOT_SEGMENTS = 8,
	SLOT_NACKS_MAX = 64,
	SLOT_HOLES =
		64, /* at 15 a second those of 4 s, and packets are stored for 1.5 s */
	SLOT_TID_ALL = 2 /* the third layer and all above */
};
struct rtp_hole {
	uint64_t first_in; /* the first packet behind it */
	uint32_t pkts;	   /* left out in its segment so far, with it; VP8: frames, too */
	uint16_t frames;
};
/* What a slot leaves out. */
struct rtp_thin {
	uint8_t want_tid, tid; /* layers above are left out, soon and now */
	uint64_t newest_in; /* newest packet of the present segment that was looked at: */
	uint64_t ts64;	    /* its picture, */
	uint16_t number;    /* and that one's number, if it has one */
	bool numbered, end, leaving;
	uint16_t frames;     /* left out in the segment so far */
	uint32_t hole_count; /* ever */
	struct rtp_hole holes[SLOT_HOLES];
};
struct rtp_segment {
	uint64_t first_out; /* first seq64 sent in it */
	/* seq64 of the source there; earlier ones don't belong to it */
	uint64_t first_in;
	uint64_t seq_off; /* out = in + seq_off (modulo 2^64) */
	/* the same of timestamps from `line_ts64` of the source on; those before it are closer together */
	uint64_t ts_off, line_ts64;
	uint32_t stream; /* caller's id of the source, 0 = made by the server (silence) */
	uint8_t pt, rtx_pt, dd_id; /* as negotiated with this receiver; dd_id 0 = no DD */
	uint8_t codec;
	uint64_t
		names_from; /* seq64 of the source from which on who talks is named, 0 never */
	uint8_t red_of; /* RED: this receiver's payload type of what it repeats; 0 no RED */
	uint16_t pid_off;
	uint8_t tl0_off;
	uint16_t dd_off;
	uint8_t dd_shift;
	uint8_t layer; /* of simulcast, for the caller: which store it is in */
	uint32_t hole_first, hole_end; /* its holes, by rtp_thin's count */
};
struct rtp_slot {
	uint32_t ssrc, rtx_ssrc, clock_rate;
	bool audio;
	unsigned segment_count; /* ever; the last min(count, SLOT_SEGMENTS) are kept */
	struct rtp_segment segments[SLOT_SEGMENTS];
	/* Highest sent; start random (seq at most 2^15, RFC 3550 §5.1). */
	uint64_t highest, ts64;
	uint64_t sent_us; /* arrival time of what was sent last */
	int64_t transit; /* pictures' line of time: earliest arrival less timestamp, ticks */
	uint32_t packet_ticks; /* sound: a packet's duration, for continuing */
	uint16_t pid, dd_frame;
	uint8_t tl0, dd_next;
	struct rtp_thin thin;
	uint64_t rtx_seq;
	uint64_t packets, bytes; /* for SR, without RTX */
	uint64_t nack_window_us; /* rate limit of resends: this second's start, */
	uint64_t nack_packets;	 /* `packets` then, */
	uint32_t nack_quota;	 /* what the second before allows, */
	uint32_t nack_used;	 /* and what is used of it */
};
void rtp_slot_init(struct rtp_slot *s, uint32_t ssrc, uint32_t rtx_ssrc,
		   uint32_t clock_rate, bool audio);

/* What to put in a packet for this receiver. */
struct rtp_out {
	uint64_t seq64; /* also the index for sealing */
	uint64_t ts64;
	const struct rtp_segment *seg;
	uint16_t pid_off; /* of the picture id */
	/* Transport-wide number to write, under this id of the receiver's; 0 none. A resend must
	 * have the same. */
	uint8_t twcc_id;
	uint16_t twcc;
};
/* Begins a segment: from packet `first` on the slot carries `stream`. Sequence goes on by
 * one. The timestamp goes on by the time that passed: a picture that comes no later than its
 * source's others stands where the line of the former ones would now be, at least 1 ms after
 * the last (those pictures that are late so follow closely, until they stand on the line again); a packet of sound closer than 200 ms follows without a gap. Picture id, TL0PICIDX, DD frame number go on by one, the template
 * ids are shifted past those in use. Hot. */
void rtp_slot_switch(struct rtp_slot *s, uint32_t stream, uint8_t pt, uint8_t rtx_pt,
		     uint8_t dd_id, const struct pkt *first);
/* The present segment is RED (RFC 2198): `pt` is put into its blocks' headers. Hot. */
void rtp_slot_red(struct rtp_slot *s, uint8_t pt);
/* The present segment is of this layer of its stream. Hot. */
void rtp_slot_layer(struct rtp_slot *s, unsigned layer);
/* Sound: from the source's packet `seq64` on the present segment names who talks in it (rtp.talkers, as
 * CSRCs): the first two packets, those of news, and one every 2 s. Again: no effect. Hot. */
void rtp_slot_name(struct rtp_slot *s, uint64_t seq64);
/* Pictures of temporal layers above `tid` are left out, from the next one on; of layers that were left out
 * before those from their next switching-up point (frame_view.up_tid) or key frame on, as with all at the
 * beginning of a segment. What is left out leaves no gap: numbers and VP8's picture ids close up behind it (VP9's
 * and the descriptor's frame numbers stay: by them frames name those they need). Missing packets keep
 * their numbers, unless it is clear that they are of a picture that is left out. Hot. */
void rtp_slot_limit(struct rtp_slot *s, unsigned tid);
/* Maps a packet of the present segment; -EPROTO if it precedes it, is more than RECV_JUMP
 * past what was sent last (a restart that the caller missed), or there is none; -ENOENT: it is left
 * out. Accounts for it unless `again`. Hot. */
int rtp_slot_map(struct rtp_slot *s, const struct pkt *p, struct rtp_out *out,
		 bool again) MUST_CHECK;
/* The same for any kept segment, without accounting: what a resend after rtp_slot_find
 * needs. `p` is the packet that find named. */
int rtp_segment_map(const struct rtp_slot *s, const struct rtp_segment *seg,
		    const struct pkt *p, struct rtp_out *out) MUST_CHECK;
/* Where the present segment has come to: the timestamp, in the source's numbers, right behind
 * the last packet sent. false: it is not `stream`'s. */
bool rtp_slot_end(const struct rtp_slot *s, uint32_t stream, uint64_t *ts64);
/* Writes the whole plain packet (header, DD if any, rewritten payload; padding-only
 * packets as one byte of padding). Video: the first packets of key frames have
 * the segment's `stream` as their CSRC (RFC 3550 §5.1). Returns its length and *header_len, or -ENOBUFS.
 * Deterministic: the same packet of the same segment gives the same bytes. Hot. */
int rtp_slot_write(const struct rtp_slot *s, const struct pkt *p,
		   const struct rtp_out *out, uint8_t *buf, size_t cap,
		   size_t *header_len) MUST_CHECK;
/* The same as RTX (RFC 4588): own SSRC and sequence number (taken from rtx_seq), payload
 * prefixed by OSN (a padding-only packet's RTX is the OSN alone); *index64 for sealing.
 * -EPROTO: RTX isn't negotiated. A number is used up only on success. */
int rtp_slot_write_rtx(struct rtp_slot *s, const struct pkt *p, const struct rtp_out *out,
		       uint8_t *buf, size_t cap, size_t *header_len,
		       uint64_t *index64) MUST_CHECK;
/* The slot falls idle: `buf` gets 20 ms of silence in sequence (call it 3 times, 20 ms
 * apart). -EPROTO unless it is an audio slot that sent Opus last. */
int rtp_slot_write_silence(struct rtp_slot *s, uint64_t now_us, uint8_t *buf, size_t cap,
			   size_t *header_len, uint64_t *index64) MUST_CHECK;
/* A NACKed number → (segment, source seq64): 0, or -ENOENT (never sent, too old,
 * server-made), -EAGAIN (more resends than the limit allows: at most as many a second as
 * 2 × packets sent, at least 50). */
int rtp_slot_find(struct rtp_slot *s, uint16_t seq, uint64_t now_us,
		  const struct rtp_segment **seg, uint64_t *in_seq64) MUST_CHECK;
/* Sender report fields at now_us: `capture_us` of packet `ts64_in` of the present source
 * (from rtp_capture_us or its arrival). The NTP time is our wall clock. */
void rtp_slot_sr(const struct rtp_slot *s, uint64_t ts64_in, uint64_t capture_us,
		 uint64_t now_us, uint64_t now_wall_us, uint64_t *ntp, uint32_t *rtp_ts);

/* ---- key-frame requests, per source ------------------------------------------------ */

/* keyreq_got: a key frame came, or nobody wants one any more. All zero is a fresh one.
 * At most one PLI/FIR per KEYREQ_MIN_MS (first one at once); an unanswered wish is
 * repeated after max(KEYREQ_MIN_MS, 1.5 rtt + 100 ms) until a key frame arrives or nobody
 * wants it. */
enum { KEYREQ_MIN_MS = 250, KEYREQ_PATIENT_MS = 1000 };
struct keyreq {
	uint64_t asked_us;
	bool wanted, waiting;
	bool hurried; /* by who shows nothing meanwhile; else KEYREQ_PATIENT_MS is the least */
};
void keyreq_want(struct keyreq *k);
/* By who has something to show meanwhile. */
void keyreq_wish(struct keyreq *k);
/* Another layer of the same picture has been asked: encoders answer with all of them, so this counts for
 * each. */
void keyreq_shared(struct keyreq *k, uint64_t asked_us);
/* true: send a PLI now. Call after keyreq_want and from time to time. *next_us as above.
 */
bool keyreq_due(struct keyreq *k, uint64_t now_us, uint64_t rtt_us, uint64_t *next_us);
void keyreq_got(struct keyreq *k);

#endif
