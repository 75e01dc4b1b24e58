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
 * Of pictures in layers: cc_gcc.h has how much a leg bears, cc_layers.h what goes of whose pictures, and when.
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
	struct {
		uint64_t at_us;
		int64_t way_us;
	} quick; /* the quickest way, a while ago */
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

#endif
