/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* leg: what its files share. */
#ifndef LEG_PRIVATE_H
#define LEG_PRIVATE_H

#include <palabre/audio.h>
#include <palabre/cc.h>
#include <palabre/leg.h>

enum {
	WIRE_BYTES = 38,		    /* around a plain packet: IPv4, UDP, tag */
	WIRE_VOICE_BYTES = WIRE_BYTES + 12, /* and its RTP header */
	OUT_QUEUE = 2048,		    /* packets between two drains */
	MADE_QUEUE = 2048,	/* mixers' packets that wait behind all others */
	MADE_TURN = 128,	/* of them between two looks at the sockets: about 1 ms */
	SEAL_WINDOW_AUDIO = 64, /* resendable on the same SSRC: 1.3 s at 20 ms */
	SEAL_WINDOW_VIDEO = 128, /* late packets only: resends travel as RTX */
	SEAL_WINDOW_RTX = 2,
	SILENCE_FRAMES = 3,
	/* The first frame after a switch, or its last packets, goes once more to who has
	 * missed packets lately: until the frame behind it comes nobody can know of a
	 * loss, and the repeat asked for may be lost, too. Apart, since losses come in bursts. */
	REPEAT_PKTS_MAX = 8,
	REPEAT_US = 25000,
	LOSSY_US = 10000000,
	LAYER_GONE_US = 1000000, /* of which nothing has come for so long */
	REPORT_US = 1000000,
	REPORT_IDLE_US = 5000000,
	REPORT_THIN_US = 5000000, /* each report costs what 100 ms of speech do */
	/* 5 ms packets, four times what browsers send; see limit.c. */
	MIC_PKTS_A_SECOND = 200,
	/* A slot's clock is told again when it is off by so much, a small part of what is
	 * noticed between lips and voice; and in time before a page's 32-bit difference
	 * of timestamps turns over (6.6 h). */
	ANCHOR_DRIFT_US = 10000,
	ANCHOR_AGE_S = 3600
};

struct mic_limit {
	uint64_t last_us;
	int64_t saved_us; /* 1 s a second, spent on packets and beginnings */
	bool silent;
};

/* A stream this leg sends us (made when it is first switched on), or one that a mixer makes,
 * without leg and plan. */
struct leg_source {
	struct leg *leg;
	const struct rtp_clock *clock; /* its sender's */
	const struct nego_source *plan;
	struct relay_stream *stream;
	const struct nego_codec *codec; /* of the packets that arrive now */
	/* Simulcast: a source of its own a layer, all of them one stream, which is the first one's, as are on and
	 * wanted. layers[0] is itself, as is first. */
	unsigned layer_count;
	struct leg_source *layers[RELAY_LAYERS_MAX], *first;
	uint8_t layer;
	bool on, wanted;
	bool red; /* its packets are RED */
	uint32_t
		of; /* joined from the packets of this stream, with its timestamps; 0 not */
	uint64_t
		repaired; /* packets that RTX or RED brought before they were asked for */
	uint64_t red_bytes;	 /* of RED, besides what was new in it */
	uint32_t ssrc, rtx_ssrc; /* 0 = not seen yet */
	uint32_t epoch;		 /* counts restarts of the numbering */
	bool hole;		 /* sound: its last packet was not passed on */
	struct mic_limit limit;	 /* sound */
	struct rtp_recv recv;
	struct rtp_store store;
	struct keyreq key;
	struct dd_layers dd;  /* pictures: as their descriptors said last */
	struct rtp_sync sync; /* VP8 */
};

struct leg_slot {
	const struct nego_slot *plan;
	struct rtp_slot rtp;
	struct seal_stream seal, seal_rtx;
	uint32_t epoch; /* of the source, when the segment began */
	struct leg_slot_state state;
	uint64_t anchor_ts64, anchor_us; /* of state.ts: the source's number, its capture
					    */
	uint64_t repeat_ts64, repeat_first, repeat_last; /* 0 nothing to repeat */
	uint64_t repeat_us;				 /* when */
	uint8_t silence_left;
	uint32_t sr_mid_ntp; /* last sender report: middle of its NTP time, */
	uint64_t sr_sent_us; /* and when it went out */
	uint8_t twcc_id;     /* extension that its packets may carry, 0 none */
	bool report_now;
};

enum { MEASURED = 128, RED_DEPTH = 2 };
struct measure {
	uint16_t next;
	bool often;	   /* some twenty a second, */
	uint32_t every_us; /* or so; 0: each */
	uint64_t last_us;
	struct measured {
		uint64_t sent_us; /* 0: none yet */
		uint16_t twcc, seq;
		uint8_t slot;
		bool again; /* it has gone out twice: nobody knows which arrived */
	} sent[MEASURED];   /* by number */
};
struct mixer;
struct again;
/* A stream of the mixer. */
struct leg_mix {
	bool used;
	uint8_t mix, rung, red; /* earlier packets in each */
};

/* What it has of who speaks alone. */
struct leg_joined {
	bool used;
	uint8_t join, red; /* length of packets, earlier ones in each */
};

struct leg {
	struct legs *all;
	void *user;
	struct conn *conn;
	struct relay_room *room;
	struct relay_port *port;
	uint32_t port_id;
	enum leg_link link;
	uint32_t ssrc; /* sender of our receiver reports */
	struct nego_plan plan;
	struct ext_map exts; /* of all receiving sections together (one BUNDLE: same id,
				same meaning) */
	struct leg_source *sources[NEGO_SOURCES_MAX]; /* by plan index, NULL = never on */
	unsigned ssrc_count;
	struct leg_ssrc {
		uint32_t ssrc;
		uint8_t source, layer;
		bool rtx;
	} ssrcs[SSRCS_MAX];
	struct leg_slot *slots; /* plan.slot_count */
	struct rtp_clock clock;
	struct timer report, feedback, silence, repeat;
	uint64_t nacked_us; /* when it last asked for a packet */
	struct {
		uint32_t ssrc, mid_ntp;
		uint64_t came_us; /* the last one that is answered */
		bool due;
	} rrtr; /* it asks how long the way is */
	struct arrivals *
		arrivals; /* arrivals.c: NULL until it sends pictures whose arrival it wants to know */
	struct control *control; /* voice.c: NULL unless what it hears follows its link */
	struct video *video;	 /* video.c: NULL without places for pictures */
	struct {
		uint64_t packets, bytes; /* of sound, on the wire */
	} sent;
	struct again *again;	 /* NULL without slots */
	struct measure *measure; /* NULL: nothing of what it gets can be measured */
	struct mixer *mixer;	 /* whose listener it is, NULL: it hears the lanes */
	struct leg *next_listener;
	struct leg_mix mix_at,
		mix_to; /* heard now, unless somebody speaks alone, and soon */
	struct leg_mix
		mix_all; /* everybody's, which it uses besides while it is one of the voices, */
	struct leg_mix
		mix_hears; /* and which of the two it hears: its own only while it speaks */
	uint32_t hears;	   /* the stream that it hears of the mixer's choice */
	struct leg_joined joined; /* that it uses */
	uint64_t
		from_ts64; /* `hears` begins here if it is there already, 0: with the next */
	uint8_t fir_seq;
};

/* One packet on its way out. */
struct out_item {
	struct leg *leg;
	struct pkt *pkt;
	struct rtp_out out;
	uint8_t slot;
};
struct legs {
	struct transport *transport;
	struct tx *tx;
	struct relay *relay;
	struct wheel *wheel;
	struct pkt_pool *pool;
	const struct leg_ops *ops;
	void *arg;
	uint64_t batch_us;	   /* time of the batch under way */
	struct rtp_clock no_clock; /* of what is made here: never known */
	unsigned out_count;
	struct out_item out[OUT_QUEUE];
	bool making;	 /* what is enqueued now has a mixer made: a ring of its own */
	unsigned mixers; /* while there are any: */
	struct timer effort_timer; /* how busy is the thread? */
	struct audio_effort effort;
	unsigned made_first, made_count;
	struct out_item made[MADE_QUEUE];
};

/* source.c */
struct leg_source *leg_source_get(struct leg *leg, unsigned index);
void leg_source_destroy(struct leg *leg, unsigned index, uint64_t now_us);
/* All of the leg's sources, layers among them, are at i < LEG_SOURCES; NULL where there is none. */
enum { LEG_SOURCES = NEGO_SOURCES_MAX * RELAY_LAYERS_MAX };
struct leg_source *leg_source_at(const struct leg *leg, unsigned i);
/* The layer's source of a stream. */
struct leg_source *leg_source_of(const struct relay_stream *st, unsigned layer);
/* As what comes of the stream is coded, in any layer; NULL: nothing has come. */
const struct nego_codec *leg_source_codec(const struct leg_source *first);
/* limit.c, hot. take: false, the packet is too much. begin: something begins anew. */
bool leg_limit_take(struct mic_limit *l, uint64_t arrival_us);
void leg_limit_begin(struct mic_limit *l);
/* feedback.c: NACK, PLI, SR, RR */
void leg_feedback_init(struct leg *leg, uint64_t now_us);
void leg_feedback_fini(struct leg *leg);
/* Makes the feedback timer fire at due_us at the latest. */
void leg_feedback_at(struct leg *leg, uint64_t due_us);
void leg_report_soon(struct leg *leg, uint64_t now_us);
void leg_send_bye(struct leg *leg);
/* slots.c: makes the slot's state follow the clocks of the source that is in it. */
void leg_slot_follow(struct leg *leg, struct leg_slot *slot,
		     const struct leg_source *src);
/* measure.c: which packets carry a transport-wide number. init: -1 out of memory. */
int leg_measure_init(struct leg *leg) MUST_CHECK;
void leg_measure_fini(struct leg *leg);
enum { MEASURE_IDLE_MS = 400 }; /* until somebody wants it otherwise */
void leg_measure_every(struct leg *leg, unsigned ms); /* 0: each */
void leg_measure_often(struct leg *leg, bool often);
/* Hot: gives a packet going out the first time its number, if it is to have one; */
void leg_measure_out(struct leg *leg, unsigned slot, struct rtp_out *out,
		     uint64_t now_us);
/* and one that goes out again the one it had. */
void leg_measure_again(struct leg *leg, unsigned slot, struct rtp_out *out);
bool leg_measure_sent(const struct leg *leg, uint16_t twcc, uint64_t *sent_us);
/* arrivals.c: what it sends is told when it came. init: when it may begin to send that; -1 out of memory. */
struct arrivals;
int leg_arrivals_init(struct leg *leg, const struct nego_source *plan) MUST_CHECK;
void leg_arrivals_fini(struct leg *leg);
/* Hot, where leg->arrivals. */
void leg_arrivals_take(struct leg *leg, const struct pkt *p, uint64_t now_us);
/* Appends a feedback if it is time; when to call again. */
uint64_t leg_arrivals_put(struct leg *leg, struct wr *w, uint64_t now_us);
/* again.c. init: -1 out of memory. stop: before it is closed. copies: of each audio packet, sent unasked, from now on; as
 * voice_choice.red says. take: packets that went out in the slot since the last time. */
int leg_again_init(struct leg *leg) MUST_CHECK;
void leg_again_stop(struct leg *leg);
void leg_again_fini(struct leg *leg);
void leg_again_copies(struct leg *leg, unsigned copies);
unsigned leg_again_get(const struct leg *leg);
void leg_again_take(struct leg *leg, unsigned slot, unsigned copied[VOICE_COPIES + 1]);
/* A packet that was asked for went out, and does so once more soon. Pictures: if it was not too many of late. */
void leg_again_picture(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us);
void leg_again_twice(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us);
/* Hot: a packet of sound goes out the first time. */
void leg_again_out(struct leg *leg, unsigned slot, const struct rtp_out *out,
		   const struct pkt *p, uint64_t now_us);
/* video.c: may pictures go to it? init: -1 out of memory. stop: before it is closed. */
int leg_video_init(struct leg *leg, uint64_t now_us) MUST_CHECK;
void leg_video_stop(struct leg *leg);
void leg_video_fini(struct leg *leg);
bool leg_video_withheld(const struct leg *leg);
/* The person has said how the voices come: that stays. */
void leg_video_chosen(struct leg *leg);
/* Evidence. sent: hot, a measured packet goes out. */
void leg_video_sent(struct leg *leg, uint64_t now_us);
void leg_video_heard(struct leg *leg, uint64_t now_us);
void leg_video_measured(struct leg *leg, const struct twcc_status *status,
			uint64_t sent_us, uint64_t now_us);
void leg_video_report(struct leg *leg, const struct rtcp_block *b, uint64_t now_us);
/* voice.c: as leg_follow, from `rung` on if it is new; the voice comes as richly as it may. */
int leg_control_follow(struct leg *leg, unsigned rung, unsigned low, unsigned high,
		       uint64_t now_us) MUST_CHECK;
bool leg_control_calm(const struct leg *leg);
/* Evidence for the controller, if there is one. */
void leg_control_heard(struct leg *leg, uint64_t now_us);
void leg_control_arrived(const struct leg_source *src, const struct pkt *p,
			 uint64_t now_us);
/* Packets are asked for. repeats: how often one of them is to be sent. */
void leg_control_asked(struct leg *leg, unsigned slot, const uint16_t *seqs,
		       unsigned count);
unsigned leg_control_repeats(struct leg *leg, unsigned slot, uint16_t seq,
			     uint64_t now_us);
/* One that was asked for was there, so that it must have been lost; true: that is news. burst: so many
 * in a row were. */
bool leg_control_lost(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us);
/* Sound that goes once more, or later than what follows it. crossed: whoever asks for it now cannot have got it yet: browsers ask
 * each 100 ms, whatever the way takes. */
void leg_control_late(struct leg *leg, unsigned slot, uint16_t seq, uint64_t now_us);
bool leg_control_crossed(const struct leg *leg, unsigned slot, uint16_t seq,
			 uint64_t now_us);
void leg_control_burst(struct leg *leg, unsigned packets);
void leg_control_report(struct leg *leg, const struct rtcp_block *b, uint64_t now_us);
void leg_control_feedback(struct leg *leg, const struct rtcp_pkt *r, uint64_t now_us);
/* slots.c: what waits for it in the ring goes. */
void leg_made_forget(struct leg *leg);
/* mixer.c: it hears the lanes again. */
void leg_voice_end(struct leg *leg, uint64_t now_us);
/* Who speaks in that place of the mixer, NULL nobody, or the leg itself. It has a mixer. */
const struct leg *leg_mixer_speaker(const struct leg *leg, unsigned place);
/* resend.c: 0, -ENOENT no longer there, -EAGAIN too many of late, or as conn_send_rtp. */
int leg_resend_one(struct leg *leg, struct leg_slot *slot, uint16_t seq, uint64_t now_us);
/* Sound that went out last goes once more, as much of it as makes `bytes` on the wire; nobody hears it. False:
 * there was not so much. */
bool leg_resend_probe(struct leg *leg, unsigned bytes, uint64_t now_us);
/* Hot. Of pictures: the frame that begins with this packet goes once more soon. */
void leg_repeat_later(struct leg *leg, struct leg_slot *slot, const struct rtp_out *out,
		      uint64_t now_us);
void leg_on_repeat(struct timer *t, uint64_t now_us); /* leg->repeat's */
/* What is asked for. */
void leg_resend_asked(struct leg *leg, unsigned index, const uint16_t *seqs,
		      unsigned count, uint64_t now_us);

#endif
