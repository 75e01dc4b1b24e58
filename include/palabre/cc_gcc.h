/* SPDX-License-Identifier: AGPL-3.0-or-later */
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
#ifndef PALABRE_CC_GCC_H
#define PALABRE_CC_GCC_H

#include <palabre/base.h>

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
