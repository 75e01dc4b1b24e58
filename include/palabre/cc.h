/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * cc: what a link bears. Level 3, worker's thread. No sockets, no clock: numbers and time
 * come in as arguments, decisions go out by return.
 *
 * voice_ctl: the controller of one direction of somebody's voice, down (what the server
 * sends them) or up (what their page sends): which rung, how much redundancy, how deep a
 * jitter buffer. It judges by queueing delay (one-way, so the other direction does not
 * disturb it) and by loss, and tells the two apart: a queue that grows means less, loss
 * without one means protection.
 *
 * video_ctl: do others' pictures go down beside the voices, all of them or none? A voice that is
 * seconds late, or lost, says no; how much a link bears is not asked here.
 *
 * pacer: what goes now and what waits, of what is to go to one listener. alloc_ctl: which layers of
 * whose pictures go to one listener. demand: which of a source's layers anybody takes.
 * gcc: how much a leg bears, in bits per second; by the transport-cc feedback of what it is sent.
 */
#ifndef PALABRE_CC_H
#define PALABRE_CC_H

#include <palabre/base.h>

/* From poor to rich. */
struct voice_rung {
	uint32_t bitrate_bps;
	uint8_t packet_ms;
};
enum { VOICE_RUNGS = 6, VOICE_FLOOR = 0, VOICE_TOP = VOICE_RUNGS - 1 };
extern const struct voice_rung voice_rungs[VOICE_RUNGS];
/* On the wire, bits per second, with `overhead` bytes a packet (IP, UDP, RTP, tag: 50 for IPv4
 * and SHA1_80) and `red` earlier packets in each. */
uint32_t voice_cost_bps(unsigned rung, unsigned red, unsigned overhead);
/* What a page sends more than the rung's bitrate where it needs no redundancy (web/voice.js). */
uint32_t voice_page_more_bps(unsigned rung);

struct voice_choice {
	uint8_t rung;
	/* Earlier packets carried again in each. If it is copies, 1: one of each, 2: and a second one
	 * of VOICE_SECOND_Q8 of them. */
	uint8_t red;
	/* Times that a lost packet is to be asked for; 0 where that comes too late. */
	uint8_t nacks;
	uint16_t measure_ms; /* a packet is to be measured that often; 0: each */
	uint16_t jitter_ms;  /* target of the receiver's buffer, 0 = its own */
};
struct voice_params {
	unsigned overhead;
	uint8_t red_max; /* that sender and receiver manage */
	bool nack;	 /* they repeat */
	bool copies;	 /* redundancy is whole packets */
	/* A page is told what to send: it takes its time, and begins anew with the next packet, which
	 * has no redundancy yet. */
	bool page;
	uint8_t rung; /* to begin with */
};
enum { VOICE_COPIES = 2, VOICE_SECOND_Q8 = 160 };
/* What a packet's way takes at least, by two clocks: of this window of time and the next. */
struct cc_way {
	bool known;
	int64_t base_us, next_us;
	uint64_t window_us;
};
enum { VOICE_SAMPLES = 32, VOICE_BUCKETS = 8 };
struct voice_ctl {
	struct voice_params params;
	struct voice_choice now;
	uint8_t low, high;     /* rungs allowed */
	uint64_t rtt_us;       /* smoothed */
	uint64_t rtt_least_us; /* of late: what is more is a queue somewhere */
	uint64_t rtt_last_us;  /* told; 0: it has had its effect */
	/* queue, by samples */
	struct cc_way way;
	int64_t noise_us; /* how far a sample lies from between its neighbours, mean */
	struct {
		unsigned count; /* since a probe */
		uint64_t sent_us;
		int64_t last_us, before_us; /* queue of the last two looked at */
	} noise;
	bool queueing;	    /* there is a queue, if not too long a one */
	uint64_t queued_us; /* last sample that was one, */
	uint64_t empty_us;  /* and that was none */
	int64_t least_us;   /* the least since changed_us, and when */
	uint64_t least_at_us;
	int64_t stall_us; /* so late was a packet without a queue, fading */
	unsigned sample_count;
	struct {
		uint64_t sent_us, heard_us;
		int64_t queue_us;
	} samples[VOICE_SAMPLES];
	/* losses, in buckets of 500 ms */
	uint64_t bucket_us;
	unsigned bucket;
	struct {
		uint32_t sent, lost, bytes;
		uint32_t ms; /* of speech, as long as packets are by the rung */
	} buckets[VOICE_BUCKETS];
	uint32_t sent_long, lost_long; /* fading, in 1/256 */
	uint32_t loss_q8;	       /* of 256, by a receiver's report */
	uint64_t reported_us;
	/* what reports were of, fading, in 1/256: packets by their copies, and of them missing */
	uint32_t copied[VOICE_COPIES + 1], missing;
	/* protection */
	bool lossy;	      /* packets are lost, and not for want of rate */
	bool heavy;	      /* so many that one copy leaves holes */
	uint8_t tries;	      /* NACKs that come in time at this round trip */
	uint8_t protect;      /* redundancy because of loss */
	uint64_t lossless_us; /* since when there has been next to none */
	uint32_t burst_q8;    /* packets lost in a row, mean, in 1/256 */
	/* silence */
	bool due; /* something has been sent that the other end has not answered, */
	uint64_t due_us; /* since then; */
	uint64_t gap_us; /* usually for so long */
	bool away;
	uint64_t back_us;  /* end of the last silence, 0 none */
	uint64_t deaf_us;  /* losses heard of until then are of what was before */
	uint8_t away_rung; /* before */
	/* what the link bears */
	uint32_t cap_bps;   /* as far as is known; 0: it has never been too small */
	uint8_t before;	    /* rung that stood before that */
	uint64_t before_us; /* until when; 0 none */
	/* patience: the longer the link has been as it is, the rarer it is tried */
	uint64_t since_us;   /* it has been so */
	uint64_t tried_us;   /* last try or step */
	uint64_t changed_us; /* what was sent before that says nothing of now */
	struct {
		bool trial; /* it has not stood long enough yet */
		uint64_t at_us;
		uint64_t since_us;
		uint8_t rung, protect; /* before */
		uint32_t loss_q8;
	} raised; /* last time that more was sent */
	struct {
		uint32_t bps;	  /* what could not be sent when it was tried; 0 none */
		uint32_t cap_bps; /* what got through then */
		uint64_t until_us, wait_us; /* it is not tried again */
	} failed;
	struct {
		uint64_t until_us; /* 0: no doubt */
		uint64_t sent_us;
		int64_t queue_us;
		uint8_t rung, protect; /* before */
		uint32_t cap_bps;
	} doubt; /* about the last step */
	struct {
		uint8_t red; /* more in each; 0: no probe */
		bool over;
		uint64_t begin_us, until_us;
		uint64_t end_us;	  /* when it was over; 0: not yet */
		uint32_t loss_q8;	  /* before */
		uint32_t bytes;		  /* sent since begin_us */
		unsigned seen;		  /* samples since */
		uint64_t seen_us;	  /* up to which decision */
		int64_t level_us, top_us; /* queue before and at its highest */
		int64_t mean_us;	  /* now, smoothed */
		int64_t most_us;	  /* what it may be, if the link is as it was */
	} probe;
	uint64_t measure_us; /* until then every packet is measured */
};
void voice_init(struct voice_ctl *c, const struct voice_params *params, uint64_t now_us);
/* Only rungs low..high from now on; both the same: pinned. What was outside of that is as good as
 * untried. */
void voice_limit(struct voice_ctl *c, uint64_t now_us, unsigned low, unsigned high);
/* Until then, what is said to be lost was so by what was sent before, or waits behind it. */
void voice_deaf(struct voice_ctl *c, uint64_t until_us);
/* As measured, by checks or reports; the first soon after voice_init. */
void voice_rtt(struct voice_ctl *c, uint64_t rtt_us);
/* `packets` have been sent, `bytes` on the wire in all; up: those that arrived, and with 0 bytes
 * those found missing. */
void voice_sent(struct voice_ctl *c, uint64_t now_us, unsigned packets, unsigned bytes);
/* So many are known to be lost; each once. */
void voice_lost(struct voice_ctl *c, uint64_t now_us, unsigned packets);
/* The last losses were so many in a row. */
void voice_burst(struct voice_ctl *c, unsigned packets);
/* A packet that was sent at sent_us arrived at arrival_us, on clocks of their own. In the order of
 * sending; where choice.measure_ms was 0, each that arrived. */
void voice_sample(struct voice_ctl *c, uint64_t now_us, uint64_t sent_us,
		  int64_t arrival_us);
/* A report of the receiver: loss of 256. */
void voice_report(struct voice_ctl *c, uint64_t now_us, unsigned fraction_lost);
/* Of one that is sent copies: only what is lost with all its copies is missing there. packets: what
 * has been sent since the last report, by the number of copies of each. */
void voice_report_copied(struct voice_ctl *c, uint64_t now_us, unsigned fraction_lost,
			 const unsigned packets[VOICE_COPIES + 1]);
/* Anything at all from the other end. To whom nothing is sent has nothing to say. */
void voice_heard(struct voice_ctl *c, uint64_t now_us);
/* Decides; call it every 100 ms or so. True: *out differs from last time. */
bool voice_run(struct voice_ctl *c, uint64_t now_us, struct voice_choice *out);
/* For display: loss of 256, queueing delay. */
unsigned voice_loss_q8(const struct voice_ctl *c, uint64_t now_us);
uint64_t voice_queue_us(const struct voice_ctl *c, uint64_t now_us);

enum { VIDEO_BUCKETS = 8 };
struct video_ctl {
	bool on;      /* they go down; so it begins */
	bool measure; /* sound is to be measured some twenty times a second, else twice */
	bool trial;   /* on, and not for long enough yet */
	bool failed;  /* off since a trial */
	bool blind;   /* the receiver only reports */
	/* way of sound, by samples */
	struct cc_way way;
	uint64_t rtt_us;
	/* measured packets sent since the last that is known to have arrived in time, and the first of them */
	unsigned waiting;
	uint64_t waiting_us;
	/* of them, by what receivers say, in buckets of 500 ms */
	uint64_t bucket_us;
	unsigned bucket;
	struct {
		uint16_t told, lost;
	} buckets[VIDEO_BUCKETS];
	/* since the last run: something arrived in time, or late; anything was heard */
	bool good, late, heard;
	uint8_t lost_now;
	uint64_t heard_us;
	unsigned bad; /* runs in a row, more or less, that were; the last of them */
	uint64_t bad_us;
	uint64_t changed_us; /* on or off since */
	uint64_t wait_us;    /* patience */
	uint64_t calm_us;    /* the voice has been as it should since; 0 it is not */
	int64_t way_us;	     /* of the last sample */
	struct {
		uint64_t at_us; /* it went out; 0 there is none under way */
		bool fits;
		int64_t way_us;		    /* before */
		uint64_t wait_us, until_us; /* patience with it */
	} probe;
};
void video_init(struct video_ctl *c, bool blind, uint64_t now_us);
void video_rtt(struct video_ctl *c, uint64_t rtt_us);
/* A measured packet goes out; */
void video_sent(struct video_ctl *c, uint64_t now_us);
/* it arrived, on clocks of their own; it did not. */
void video_sample(struct video_ctl *c, uint64_t now_us, uint64_t sent_us,
		  int64_t arrival_us);
void video_lost(struct video_ctl *c, uint64_t now_us);
/* A receiver's report of pictures, or, if blind, of anything: loss of 256. */
void video_report(struct video_ctl *c, unsigned fraction_lost);
void video_heard(struct video_ctl *c, uint64_t now_us);
/* Decides; call it every VIDEO_RUN_US while there is something to decide. calm: the voice gets
 * through as richly as may be. True: c->on has changed. */
enum { VIDEO_RUN_US = 250000 };
bool video_run(struct video_ctl *c, uint64_t now_us, bool calm);
/* True: pictures might fit, and VIDEO_PROBE_BYTES at once would show if the link bears much more than the
 * voice. They are to be sent, then video_probe, and the next packet of sound is to be measured. */
enum { VIDEO_PROBE_BYTES = 2000 };
bool video_asks(const struct video_ctl *c, uint64_t now_us);
void video_probe(struct video_ctl *c, uint64_t now_us);
/* There is nothing to decide until something is sent. */
bool video_rests(const struct video_ctl *c);

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
/*
 * gcc: how many bits per second go down one leg (Google Congestion Control:
 * draft-ietf-rmcat-gcc-02, and what libwebrtc has made of it since: trendline, link capacity,
 * loss from a model with an inherent part, probe clusters, application-limited regions).
 *
 * Each packet is told of when it goes out (gcc_sent), each transport-cc feedback as
 * gcc_feedback_begin, gcc_feedback for each status in it, gcc_feedback_end. In between: gcc_run every
 * 100 ms or so, and gcc_probe, which says when a burst is to show if there is more.
 * gcc_bps is for the allocator, gcc_pacing_bps and gcc_may_send are for the pacer: audio goes at
 * once, video only as long as it may.
 *
 * A receiver may say what it likes: the estimate stays within params, and nothing grows. Memory is the
 * struct's, some 37 KB; a status costs some 100 ns.
 *
 * Bytes are those on the wire with IP and UDP. Windows are times, and what counts as a queue is
 * measured in the time that one packet takes: at 20 kbit/s as at 20 Mbit/s.
 */
enum gcc_kind { GCC_AUDIO, GCC_VIDEO, GCC_PADDING, GCC_KINDS };
/* What has become of a status. All but GCC_USED have changed nothing but gcc.ignored. */
enum gcc_verdict {
	GCC_USED,
	GCC_NEVER_SENT,
	GCC_FORGOTTEN, /* or never told of */
	GCC_DUPLICATE,
	GCC_BAD_TIME, /* arrival out of any range: it counts as arrived, but at no time */
	GCC_VERDICTS
};
enum gcc_signal { GCC_NORMAL, GCC_OVERUSE, GCC_UNDERUSE };
enum {
	GCC_PACKETS = 2048, /* remembered; 1 s at 20 Mbit/s */
	GCC_POINTS = 64,
	GCC_RATE_POINTS = 64,
	GCC_LOSS_POINTS = 20
};
struct gcc_params {
	uint32_t min_bps, start_bps, max_bps;
	bool blind; /* no transport-cc: reports and REMB alone */
};
/* Send `bytes` in all at bps from now on, in packets of packet_bytes at most, until deadline_us:
 * what waits to be sent first, then padding. */
struct gcc_cluster {
	uint32_t bps, bytes, packet_bytes;
	uint64_t deadline_us;
};
struct gcc_packet {
	uint64_t sent_us;
	uint32_t number; /* low bits */
	uint16_t bytes;
	uint8_t kind;
	uint8_t state;
};
/* The lowest of the last one to two windows. */
struct gcc_floor {
	bool known;
	int64_t base_us, next_us;
	uint64_t window_us;
};
/* Bytes by time, of which the rate over any window within is known. */
struct gcc_rate {
	unsigned count, head;
	uint64_t total;
	struct {
		int64_t at_us;
		uint64_t total;
	} points[GCC_RATE_POINTS];
};
struct gcc {
	struct gcc_params params;
	double bps;	  /* what comes out, the least of these: */
	double delay_bps; /* by delay; */
	double loss_bps;  /* by loss, 0: no limit; */
	double remb_bps;  /* by the receiver, 0: none */
	uint64_t remb_us;
	double wanted_bps; /* more is of no use; 0: it always is */
	uint64_t ignored[GCC_VERDICTS];
	uint64_t jumps; /* of the receiver's clock */
	uint64_t sent_bytes[GCC_KINDS];
	/* packets */
	struct gcc_packet packets[GCC_PACKETS];
	bool any;
	uint64_t last;	/* number of the last sent */
	uint64_t acked; /* up to here nothing is in flight any more */
	uint32_t in_flight_bytes;
	unsigned packet_bytes; /* of the largest of late */
	uint64_t packet_us;
	/* feedback */
	uint64_t now_us;	      /* as told last, by anything */
	uint64_t heard_us;	      /* the last one */
	bool fresh;		      /* something in it was used */
	uint64_t newest_us;	      /* the last packet sent that has arrived, by it */
	uint64_t interval_us;	      /* from one to the next, smoothed */
	uint64_t timeout_us;	      /* nothing came: since then */
	uint64_t rtt_us, rtt_last_us; /* smoothed */
	struct gcc_floor rtt_floor;
	struct gcc_rate arrived, sent;
	bool limited; /* less is sent than may be */
	/* delay */
	struct {
		enum gcc_signal signal;
		bool grouped;
		struct {
			uint64_t first_us, last_us; /* sent */
			int64_t first_at_us, at_us; /* arrival */
		} group;
		struct gcc_floor floor;
		unsigned count, head;
		struct {
			int64_t at_us, way_us;
		} points[GCC_POINTS];
		double gamma_us, rise_us, rise_before_us; /* draft's gamma(i), m(i) */
		int64_t gamma_at_us, over_us;		  /* at which arrival; 0 none */
		int64_t queue_us, standing_us;
		int64_t jitter_us;
		unsigned over;
	} delay;
	/* what the link bears */
	struct {
		double capacity_bps; /* 0: not known */
		unsigned steady;     /* times in a row it was the same */
		bool draining;
		uint64_t decreased_us, updated_us;
		uint64_t raised_us, probed_us; /* by a probe; it was over */
		double best_bps;	       /* before it became less, for a while */
		uint64_t best_us;
		int64_t queue_us;   /* that stood at the last decrease, */
		int64_t last_us;    /* and of the last packet */
		double drained_bps; /* estimate before the queue that drains now */
		unsigned stuck;
		bool start; /* it has never been too much yet; */
		bool full;  /* a queue has shown it, not only a probe */
	} aimd;
	struct {
		unsigned count, head;
		struct {
			double bps;
			double recent, est_bps; /* as below, and estimate, then */
			uint32_t told, lost, runs;
		} points[GCC_LOSS_POINTS];
		struct {
			uint32_t told, lost;
			uint32_t runs; /* of packets lost in a row */
			bool in_run;
			uint64_t bytes;
		} now;
		uint64_t first_us, last_us; /* sent, of these */
		uint64_t dipped_us, tested_us;
		uint64_t
			hold_us; /* until then the rate stays, so that it can be told from */
		double inherent; /* fraction that is lost whatever is sent */
		double recent;	 /* smoothed, whatever the cause */
		uint32_t sent;	 /* packets since the last report */
	} loss;
	/* without transport-cc: once in a while the queue is emptied, to see the way without it */
	struct {
		unsigned left; /* reports until it is over */
		uint64_t at_us, rtt_us;
		double bps; /* before */
	} drain;
	struct {
		bool active, sending;
		bool soon;		      /* the last one passed: on with it */
		uint64_t next_us, wait_us;    /* patience */
		unsigned passed, failed, row; /* failed in a row */
		struct gcc_cluster plan;
		double before_bps; /* estimate when it began */
		struct {
			uint64_t first, last; /* numbers */
			uint32_t sent_bytes;
			uint32_t count, bytes, lost_bytes; /* arrived; lost */
			uint32_t first_bytes, last_bytes;
			uint64_t first_us, last_us;	 /* sent */
			uint64_t first_got_us;		 /* of the first that arrived */
			int64_t first_at_us, last_at_us; /* arrived */
		} run;
	} probe;
};
void gcc_init(struct gcc *c, const struct gcc_params *params, uint64_t now_us);
/* More than that is of no use to anybody on this leg: nothing is probed beyond. 0: it always is. */
void gcc_wanted(struct gcc *c, uint32_t bps);
/* A packet goes out with that transport-wide number, 64 bit; numbers begin with 1 or more and only rise.
 * -EINVAL: it does not, or the size is none of a packet. */
int gcc_sent(struct gcc *c, uint64_t now_us, uint64_t number, unsigned bytes,
	     enum gcc_kind kind);
/* One transport-cc feedback: its statuses in its order, arrival on the receiver's clock. A packet
 * that was told of as lost may arrive after all. */
void gcc_feedback_begin(struct gcc *c, uint64_t now_us);
enum gcc_verdict gcc_feedback(struct gcc *c, uint16_t seq, bool received,
			      int64_t arrival_us);
/* True: gcc_bps has changed. */
bool gcc_feedback_end(struct gcc *c);
/* What a receiver allows (draft-alvestrand-rmcat-remb-03), for 10 s: an upper limit. */
bool gcc_remb(struct gcc *c, uint64_t now_us, uint64_t bps);
/* A receiver report: loss of 256 since the last, without what was missing before it came here (or one
 * speaker's uplink lowers everybody's estimate); round trip, 0 unknown. Decides only where params.blind. */
bool gcc_report(struct gcc *c, uint64_t now_us, unsigned fraction_lost, uint64_t rtt_us);
/* What follows from time alone. */
bool gcc_run(struct gcc *c, uint64_t now_us);
/* True: a probe cluster begins with the next packet. Ask after each feedback and gcc_run. */
bool gcc_probe(struct gcc *c, uint64_t now_us, struct gcc_cluster *out);
uint32_t gcc_bps(const struct gcc *c);
/* For video and padding, where no cluster is being sent; audio counts, and does not wait. */
uint32_t gcc_pacing_bps(const struct gcc *c);
/* In flight at most: (lowest round trip + interval of feedback + the queue that may stand, 150 ms and a
 * packet at most) x estimate. */
uint32_t gcc_window_bytes(const struct gcc *c);
/* Is there room for so much more; always, if nothing is in flight. */
bool gcc_may_send(const struct gcc *c, unsigned bytes);
/* For display: queue that stands on the way, loss of 256 whatever its cause. */
uint64_t gcc_queue_us(const struct gcc *c);
unsigned gcc_loss_q8(const struct gcc *c);

#endif
