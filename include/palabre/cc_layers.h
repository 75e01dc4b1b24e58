/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * cc, pictures in layers. pacer: what goes now and what waits, of what is to go to one listener. alloc_ctl: which
 * layers of whose pictures go to one listener. demand: which of a source's layers anybody takes. Level 3, worker's
 * thread; numbers and time come in as arguments.
 */
#ifndef PALABRE_CC_LAYERS_H
#define PALABRE_CC_LAYERS_H

#include <palabre/base.h>

/* ---- pacer: what goes now ---------------------------------------------------------------
 *
 * One a leg that gets pictures; hot; 21 KB. Sound goes at once and is paid for by what comes behind it:
 * first what is sent again, then pictures, slots in turns, evenly at the rate that the link is said to
 * bear, then padding. A key frame takes its time like the rest. While what waits would take longer than
 * PACER_DRAIN_US, it goes faster, up to 2.5 times (as libwebrtc's pacing factor).
 *
 * How a leg uses it. forward() puts a picture's packet, its reference as the handle, instead of
 * enqueueing it, and does not number it yet. Sound and reports take no detour: they go by the out queue
 * as ever, and pacer_sent() tells of their bytes. legs_drain(), after the out queue, which stays in front,
 *
 *	while (pacer_take(&leg->pacer, now_us, &out))
 *		out.drop ? give the reference back : rtp_slot_map, write, seal, send
 *
 * for each leg on a list of those that have been put something, or whose timer, armed for
 * pacer_next_us(), has fired. Numbers are given there, and a new segment begins where `resumed` says so:
 * what is dropped then leaves no gap that the receiver would ask to have filled. leg/resend.c puts what it
 * would write, with (slot, seq) as the handle; a resend of sound goes at once as before.
 *
 * Cost: a few stores and two multiplications an item, whatever waits; once a batch and leg a look at each
 * slot's head. Nothing is kept but numbers: who puts something has it back once, by pacer_take or
 * pacer_flush, and counts what is dropped. */
enum pacer_class { PACER_AUDIO, PACER_RTX, PACER_VIDEO, PACER_PADDING, PACER_CLASSES };
enum {
	PACER_SLOTS = 16,
	PACER_QUEUES = PACER_SLOTS + 3,
	PACER_AUDIO_MAX = 64,
	PACER_RTX_MAX = 128,
	PACER_VIDEO_MAX = 560, /* 0.25 s of 20 Mbit/s; of one slot two thirds of it */
	PACER_PADDING_MAX = 16,
	PACER_ITEMS = 768, /* of all classes */
	PACER_PROBES = 4,
	/* At once go so much of the rate, and what a late call has missed of so much, and one packet. */
	PACER_AHEAD_US = 5000,
	PACER_LATE_US = 5000,
	PACER_DRAIN_US = 1000000,
	PACER_DRAIN_X10 = 25,
	/* Pictures that have waited for longer go, to the next key frame; a frame that has begun, or a key
	 * frame, only after the second. */
	PACER_STALE_US = 1000000,
	PACER_CUT_US = 2000000
};
struct pacer_item {
	uint64_t handle; /* the caller's, like note */
	uint64_t at_us;	 /* since when it waits: its arrival */
	uint16_t bytes;	 /* on the wire */
	uint8_t class;
	uint8_t slot;
	bool start, end, key; /* pictures: of a frame; it belongs to a key frame */
	uint8_t note;
};
struct pacer_out {
	struct pacer_item item;
	bool drop;	 /* it is not to be sent */
	bool key_needed; /* nothing more comes of its slot before a key frame, and none waits */
	bool resumed;  /* of what came before it in its slot something was dropped */
	uint8_t probe; /* that it belongs to, 0 none */
};
struct pacer {
	uint32_t rate_bps;
	uint64_t at_us; /* the debt is as of then */
	int64_t debt; /* in bits, times a million; below 0: time that a late call missed */
	uint16_t free;		    /* items that are, by next */
	uint16_t waiting, dropping; /* slots, as bits */
	uint8_t turn;
	uint64_t looked_us; /* for what is stale */
	uint32_t count[PACER_CLASSES], bytes[PACER_CLASSES];
	struct pacer_queue {
		uint16_t first, last, count;
	} queues[PACER_QUEUES];
	struct pacer_slot {
		uint16_t keys;	 /* key frames that wait, without doomed ones */
		uint16_t doomed; /* so many from the head are dropped, */
		bool seeks;	 /* and then what comes before a key frame */
		bool untold;	 /* that a key frame is needed */
		bool resumes;
		bool open, open_key; /* what was sent last has not ended its frame */
		/* a key frame was through: what waited behind it is given time from then on */
		uint64_t since_us;
		uint64_t dropped_us;
	} slots[PACER_SLOTS];
	unsigned probe_count;
	struct pacer_probe {
		uint8_t id;
		bool begun;
		uint32_t bps, bytes, sent;
		uint64_t begin_us;
	} probes[PACER_PROBES];
	uint16_t next[PACER_ITEMS];
	struct pacer_item items[PACER_ITEMS];
};
void pacer_init(struct pacer *p, uint64_t now_us);
/* At any time; to begin with, and with 0 (no more may be in flight), nothing goes but sound. */
void pacer_rate(struct pacer *p, uint64_t now_us, uint32_t bps);
/* 0, and it comes back by pacer_take; else it stays the caller's, who counts it: -ENOBUFS: no room, and if
 * it is a picture's, what waits of its slot is dropped too and a key frame needed; -ESTALE: a picture's,
 * whose slot waits for a key frame; -EINVAL. */
int pacer_put(struct pacer *p, uint64_t now_us, const struct pacer_item *item) MUST_CHECK;
/* So much went out around it: sound, reports. */
void pacer_sent(struct pacer *p, uint64_t now_us, unsigned bytes);
/* The next that is to be sent now, or dropped; false: none. */
bool pacer_take(struct pacer *p, uint64_t now_us, struct pacer_out *out);
/* What waits in the slot is dropped at the next pacer_take: somebody else comes into it, or nobody. */
void pacer_forget(struct pacer *p, unsigned slot);
/* Whatever waits, one after the other, to be given back; false: nothing does. */
bool pacer_flush(struct pacer *p, struct pacer_out *out);
/* When pacer_take is to be called again, after it has returned false; UINT64_MAX: not before something is
 * put. Other times do no harm. */
uint64_t pacer_next_us(const struct pacer *p, uint64_t now_us);
/* What waits would take so long at the rate; UINT64_MAX: it stands. */
uint64_t pacer_delay_us(const struct pacer *p);
/* Soon `bytes` go at a rate of their own, as libwebrtc's probe clusters: of what waits, and where that is
 * not enough of the padding that is wanted then. What it sends is in debt afterwards. Given up when nothing
 * comes for half a second. -ENOBUFS, -EINVAL (an id is not 0). */
int pacer_probe(struct pacer *p, uint8_t id, uint32_t bps, uint32_t bytes) MUST_CHECK;
/* So much padding is to be put now, after pacer_take has returned false. */
unsigned pacer_wants(struct pacer *p, uint64_t now_us);

/* ---- allocation: which layers of whose pictures go to one listener ------------------------
 *
 * One a leg that gets pictures; run a few times a second, and at once when the estimate falls or anything of a
 * slot changes; not for packets. Sound has what it needs first. Then each slot in turn (screens, who speaks, who
 * is pinned, others; of each kind first who is shown already) gets its smallest layer if that fits, screens
 * their full resolution at the lowest frame rate; what is left goes to steps up by what they give to the eye for
 * a bit. A tile's size is the most that its slot gets. Less comes at once; more when there has been room for it
 * for some time, with a margin, and what has not stood is not tried again soon. So with an estimate that is off
 * by 10 % either way next to nothing flaps.
 *
 * Without that memory (the first run): a greater estimate takes from no slot, unless a slot before it in turn
 * has got its smallest layer, or a screen more resolution, by it.
 *
 * Cost: for 16 slots of 9 layers some 2000 comparisons, when all of them climb to the top. */
enum { ALLOC_SLOTS = 16, ALLOC_SPATIAL = 3, ALLOC_TEMPORAL = 3 };
enum alloc_kind { ALLOC_SCREEN, ALLOC_SPEAKER, ALLOC_PINNED, ALLOC_CAMERA, ALLOC_KINDS };
/* What the person wants to pay for: voices only, screens too, all. */
enum alloc_saving { ALLOC_VOICE, ALLOC_SLIDES, ALLOC_VIDEO };
enum alloc_state {
	ALLOC_NONE,   /* its source has no such layer */
	ALLOC_ALIVE,  /* it comes */
	ALLOC_PAUSED, /* it would, if it were wanted */
};
struct alloc_layer {
	/* On the wire, with all the layers it needs: measured, or to be expected; 0 unknown: not chosen. */
	uint32_t bps;
	uint16_t width, height; /* 0 unknown */
	uint8_t fps;		/* likewise */
	uint8_t state;
	bool key; /* to come to it takes a key frame */
};
struct alloc_slot {
	/* What is remembered is of it, wherever it moves; 0: the slot is empty. */
	uint32_t source;
	uint8_t kind;
	bool hidden, undecodable;
	bool muted;		     /* its sender has switched it off */
	uint16_t width, height;	     /* of the tile; 0 unknown: any layer */
	int8_t shown_sid, shown_tid; /* what goes now, -1 nothing, */
	uint64_t shown_us;	     /* since then */
	struct alloc_layer layers[ALLOC_SPATIAL][ALLOC_TEMPORAL];
};
struct alloc_link {
	uint32_t estimate_bps, audio_bps; /* what it bears; what sound needs of it */
	uint8_t saving;
};
enum alloc_reason {
	ALLOC_SENT,
	ALLOC_EMPTY,
	ALLOC_SAVING, /* the person's choice */
	ALLOC_UNDECODABLE,
	ALLOC_MUTED,
	ALLOC_HIDDEN,
	ALLOC_NO_ROOM,
	ALLOC_WAITING /* for the sender: it is wanted, and paused there */
};
struct alloc_choice {
	uint8_t reason;
	int8_t sid, tid; /* wanted, and paid for; -1 none */
	/* The best up to there that comes, and so can go now; -1 nothing does. */
	int8_t now_sid, now_tid;
	/* What goes now costs too much to go on until a key frame lets it change. */
	bool stop;
	uint32_t bps;
	uint32_t room_bps; /* a layer of that rate would have been taken */
};
enum { ALLOC_BUCKETS = 5 };
struct alloc_ctl {
	bool begun;
	/* the least estimate of 2 to 2.5 s, in buckets of 500 ms */
	uint64_t bucket_us;
	unsigned bucket;
	uint32_t least_bps[ALLOC_BUCKETS];
	struct alloc_held {
		uint32_t source;
		uint8_t reason;
		int8_t sid, tid; /* chosen last, -1 none */
		uint32_t bps;
		uint64_t changed_us, raised_us;
		uint32_t failed_bps;	  /* so much did not stand, */
		uint64_t failed_until_us; /* and is not tried before then */
		uint64_t wait_us;	  /* patience */
	} held[ALLOC_SLOTS];
};
void alloc_init(struct alloc_ctl *c);
/* out: `count` choices. What they cost in all is within the estimate. Gives the slots, as bits, whose choice or
 * reason is another than last time. */
unsigned alloc_run(struct alloc_ctl *c, uint64_t now_us, const struct alloc_link *link,
		   const struct alloc_slot *slots, unsigned count,
		   struct alloc_choice *out);

/* ---- demand: what is wanted of a source, of all its listeners ----------------------------
 *
 * One a source, and a part of it a listener and slot, all zero to begin with. A change costs the same however
 * many there are: layers and steps of rate are counted. */
enum { DEMAND_LAYERS = ALLOC_SPATIAL * ALLOC_TEMPORAL, DEMAND_STEPS = 48 };
struct demand_part {
	uint8_t layer; /* 1 + its place, 0 none */
	uint8_t step;  /* of rate, 0 none */
};
struct demand {
	uint32_t takers[DEMAND_LAYERS], rooms[DEMAND_STEPS];
	uint16_t layers; /* with takers, as bits */
	uint64_t steps;
};
/* A listener now wants this of it (alloc_choice's sid, tid and room_bps; -1, -1, 0: nothing, also before it
 * goes). True: what the source is to make is another. */
bool demand_change(struct demand *d, struct demand_part *part, int sid, int tid,
		   uint32_t room_bps);
/* The layers that somebody needs, as bits sid * ALLOC_TEMPORAL + tid; the others may pause. svc: a layer needs
 * the smaller pictures below it, too. */
unsigned demand_layers(const struct demand *d, bool svc);
/* The largest picture that anybody takes, -1 none. */
int demand_top(const struct demand *d);
/* The most that anybody has room for, rounded down in steps of a quarter at most: no layer above that is of
 * use. 0: for nobody there is any. */
uint32_t demand_room_bps(const struct demand *d);

#endif
