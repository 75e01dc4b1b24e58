/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * wire: bytes to structs and back. Level 1, any thread. Parsers are pure: no state, no
 * allocation (SDP takes memory from a caller's arena; json.c serves control code only),
 * every read bounded. Results are untouched on failure unless said otherwise.
 *
 * Errors: -EBADMSG cannot be parsed, -ENOBUFS more than a named limit or than the buffer.
 */
#ifndef PALABRE_WIRE_H
#define PALABRE_WIRE_H

#include <palabre/base.h>

/* ---- bounded cursors --------------------------------------------------------------- */

/* Reader with a sticky error: past the end every read gives 0 and sets `bad`. */
struct rd {
	const uint8_t *p, *end;
	bool bad;
};
/* Writer likewise: past the end nothing is written and `bad` is set. */
struct wr {
	uint8_t *start, *p, *end;
	bool bad;
};
void rd_init(struct rd *r, const void *data, size_t len);
size_t rd_left(const struct rd *r);
uint8_t rd_u8(struct rd *r);
uint16_t rd_be16(struct rd *r);
uint32_t rd_be24(struct rd *r);
uint32_t rd_be32(struct rd *r);
const uint8_t *rd_bytes(struct rd *r, size_t n); /* NULL when bad */
void wr_init(struct wr *w, void *buf, size_t cap);
size_t wr_len(const struct wr *w);
void wr_u8(struct wr *w, uint8_t v);
void wr_be16(struct wr *w, uint16_t v);
void wr_be24(struct wr *w, uint32_t v);
void wr_be32(struct wr *w, uint32_t v);
void wr_bytes(struct wr *w, const void *data, size_t n);

/* ---- demultiplexing one port (RFC 7983 §7, RFC 9443) ------------------------------- */

enum demux { DEMUX_STUN, DEMUX_DTLS, DEMUX_RTP, DEMUX_RTCP, DEMUX_OTHER };
/* By the first bytes; RTP and RTCP are told apart by RFC 5761 §4 (type 192-223). A length
 * too short for the kind gives DEMUX_OTHER. */
enum demux wire_demux(const uint8_t *data, size_t len);

/* USERNAME's first part (up to ':') of a STUN Binding request, for finding its owner before
 * anything is verified. 0 and a pointer into data, or -EBADMSG. */
int stun_peek_ufrag(const uint8_t *data, size_t len, const char **ufrag,
		    size_t *ufrag_len);

/* ---- RTP (RFC 3550 §5.1, RFC 8285 one- and two-byte extensions) -------------------- */

/* map[id] = enum ext_id for ids 1..14 (one byte) and up to 15 for the two-byte form. */
struct ext_map {
	uint8_t of_id[16];
};
/* Fills every field of `v` that comes from the header; leaves codec, seq64, ts64, frame zero.
 * Checks version, lengths (extension elements too), padding; at most UINT16_MAX bytes. An
 * element that overruns the extension is -EBADMSG. Hot. */
int rtp_parse(const uint8_t *data, size_t len, const struct ext_map *map,
	      struct rtp_view *v) MUST_CHECK;

/* What a header to be sent holds. CSRCs and extensions are optional. */
struct rtp_header {
	uint8_t pt;
	bool marker;
	bool padding;
	uint16_t seq;
	uint32_t ts;
	uint32_t ssrc;
	unsigned csrc_count; /* ≤ 15 */
	const uint32_t *csrc;
	unsigned ext_count; /* ≤ 4; one-byte form if all fit, else two-byte */
	struct {
		uint8_t id;
		uint8_t len;
		const uint8_t *data;
	} ext[4];
};
/* Returns the header's length, -ENOBUFS, or -EINVAL for an extension id 0. */
int rtp_build_header(const struct rtp_header *h, uint8_t *buf, size_t cap) MUST_CHECK;

/* RTX (RFC 4588 §4): the payload begins with the original sequence number. */
enum { RTX_OSN_BYTES = 2 };

/* Opus: samples at 48 kHz in a packet, from its TOC and frame count alone (RFC 6716 §3.1,
 * §3.2: the frames may be encrypted end to end); 0 when empty or longer than 120 ms. */
unsigned opus_packet_samples(const uint8_t *payload, size_t len);
/* That, and its frames' lengths add up (§3.4). What is encrypted end to end must keep TOC and lengths
 * true. */
bool opus_packet_whole(const uint8_t *payload, size_t len);
/* 20 ms of digital silence, mono. */
extern const uint8_t opus_silence[3];
/* So long or shorter is DTX: nothing is said in it, and nothing follows for a while. */
enum { OPUS_REST_BYTES = 2 };

/* ---- RED (RFC 2198): a packet that carries earlier ones again ---------------------- */

enum { RED_BLOCKS_MAX = 8, RED_OFFSET_MAX = 0x3fff, RED_LEN_MAX = 0x3ff };
struct red_block {
	uint8_t pt;
	uint16_t ts_offset; /* how much earlier than the packet's timestamp; primary: 0 */
	uint16_t len;
	const uint8_t *data;
};
/* Oldest first, the primary last. How many, or -EBADMSG. They point into the payload. */
int red_parse(const uint8_t *payload, size_t len,
	      struct red_block out[RED_BLOCKS_MAX]) MUST_CHECK;
/* In place: the payload type of every block. */
void red_put_pt(uint8_t *payload, size_t len, uint8_t pt);
/* The length; -EINVAL: an offset or a length that has no room in its field; -ENOBUFS. */
int red_build(const struct red_block *blocks, unsigned count, uint8_t *buf,
	      size_t cap) MUST_CHECK;

/* ---- video payloads: fill struct frame_view from the first bytes of a payload ------ */

/* A payload without any codec data is -EBADMSG; so is an empty one, which padding-only packets
 * have: don't ask for those. */

/* RFC 7741. start: S = 1 and PID = 0. key: known in a frame's first packet only (P = 0), false
 * in the later ones even of a key frame. */
int vp8_parse(const uint8_t *payload, size_t len, bool marker,
	      struct frame_view *f) MUST_CHECK;
/* RFC 9628, flexible and non-flexible mode. start: B on the base spatial layer; end: E (of the
 * layer frame). key: a packet of a frame not inter-picture predicted (P = 0) on the base
 * spatial layer. */
int vp9_parse(const uint8_t *payload, size_t len, bool marker,
	      struct frame_view *f) MUST_CHECK;
/* RFC 6184 single NAL, STAP-A, FU-A. start: SPS, PPS, AUD, SEI or first slice (the caller sees
 * a new timestamp anyhow), of a STAP-A its first NAL unit; key: SPS or IDR, any NAL unit of a
 * STAP-A, every fragment of an FU-A. */
int h264_parse(const uint8_t *payload, size_t len, bool marker,
	       struct frame_view *f) MUST_CHECK;
/* AV1 RTP specification v1.0 §4.4: aggregation header. key = N bit: set in a sequence's first
 * packet only. start: begins with a new OBU (Z = 0), which a frame's later packets may do too,
 * so where a dependency descriptor is there call dd_parse() after this: its start and end are
 * exact. sid and tid stay 0. */
int av1_parse(const uint8_t *payload, size_t len, bool marker,
	      struct frame_view *f) MUST_CHECK;
/* Dependency descriptor's fixed part and structure flag (AV1 RTP specification, appendix A);
 * sets has_dd, dd_*, start, end and leaves the rest of `f`. For any codec that carries it. */
int dd_parse(const uint8_t *dd, size_t len, struct frame_view *f) MUST_CHECK;
/* Which layers the frames of a descriptor's structure belong to, by template. */
enum { DD_TEMPLATES_MAX = 64 };
struct dd_layers {
	uint8_t offset,
		count; /* template ids are offset, offset + 1 … modulo 64; count 0: nothing is known */
	struct {
		uint8_t sid, tid, up_tid;
	} of[DD_TEMPLATES_MAX];
};
/* From a descriptor with a structure (f->dd_structure): its templates' layers, and up to which temporal
 * layer their frames are Switch indications for the largest picture. -EBADMSG: cut off, or with more
 * templates than there are ids. */
int dd_layers_parse(const uint8_t *dd, size_t len, struct dd_layers *l) MUST_CHECK;
/* Sets sid, tid and up_tid of a frame that dd_parse() took; leaves them if its template is not known. */
void dd_layers_put(const struct dd_layers *l, const uint8_t *dd, size_t len,
		   struct frame_view *f);
/* By codec; audio gives 0 and a zeroed view with start = end = key = true and its samples (120 ms at
 * most), or -EBADMSG for Opus that is not whole. Offsets that aren't there are 0xffff. */
int frame_parse(enum codec_id codec, const uint8_t *payload, size_t len, bool marker,
		struct frame_view *f) MUST_CHECK;

/* In-place rewriting at the offsets found by the parsers. */
void frame_put_pid(uint8_t *payload, const struct frame_view *f, uint16_t pid);
void frame_put_tl0(uint8_t *payload, const struct frame_view *f, uint8_t tl0);
/* VP8's Y bit. Only for a picture with tl0_off and a tid of more than 0. */
void frame_put_sync(uint8_t *payload, const struct frame_view *f);
/* Once per copy of a descriptor that dd_parse() took. Sets frame_number and shifts the template
 * ids (mandatory field, and template_id_offset if a structure is present) by template_shift
 * modulo 64. */
void dd_rewrite(uint8_t *dd, size_t len, const struct frame_view *f, uint16_t frame,
		uint8_t template_shift);

/* ---- RTCP (RFC 3550 §6, RFC 4585, RFC 5104) ---------------------------------------- */

enum {
	RTCP_SR = 200,
	RTCP_RR = 201,
	RTCP_SDES = 202,
	RTCP_BYE = 203,
	RTCP_APP = 204,
	RTCP_RTPFB = 205,
	RTCP_PSFB = 206,
	RTCP_XR = 207
};
enum { RTPFB_NACK = 1, RTPFB_TWCC = 15 };
enum { XR_RRTR = 4, XR_DLRR = 5 };
enum { PSFB_PLI = 1, PSFB_FIR = 4, PSFB_AFB = 15 };
enum { RTCP_BLOCKS_MAX = 31, RTCP_PACKETS_MAX = 32 };

struct rtcp_block { /* report block */
	uint32_t ssrc;
	uint8_t fraction_lost; /* of 256 */
	int32_t lost;	       /* 24 bits, sign-extended */
	uint32_t highest_seq;
	uint32_t jitter; /* in units of the RTP clock */
	uint32_t lsr, dlsr;
};
/* One packet of a compound. Points into the caller's buffer. */
struct rtcp_pkt {
	uint8_t type;
	uint8_t count; /* RC, SC or FMT */
	uint32_t ssrc; /* sender */
	const uint8_t
		*body;	 /* after the sender's SSRC (SDES: after the header, `ssrc` is the
			      * first chunk's; a BYE for nobody: ssrc 0) */
	size_t body_len; /* without padding */
	struct {	 /* SR only */
		uint64_t ntp;
		uint32_t rtp_ts, packets, bytes;
	} sr;
	unsigned blocks;     /* SR, RR: rtcp_block_get() */
	uint32_t media_ssrc; /* RTPFB, PSFB: after it body points at the FCI */
};
struct rtcp_iter {
	struct rd rd;
	unsigned seen;
};
/* A compound must be whole: lengths that add up, version 2, at most RTCP_PACKETS_MAX. Reduced
 * size (RFC 5506) is accepted. Checks before anything is handed out: each type's least length,
 * report counts, padding (last packet only). The iterator points into `data`. */
int rtcp_iter_init(struct rtcp_iter *it, const uint8_t *data, size_t len) MUST_CHECK;
/* true and the next packet; unknown types come too. */
bool rtcp_next(struct rtcp_iter *it, struct rtcp_pkt *out);
/* All zero past the last block. */
void rtcp_block_get(const struct rtcp_pkt *p, unsigned i, struct rtcp_block *out);
/* NACK FCI (RFC 4585 §6.2.1): writes up to `max` sequence numbers; returns how many there are
 * room for; the rest is ignored. */
unsigned rtcp_nack_get(const struct rtcp_pkt *p, uint16_t *seqs, unsigned max);
/* FIR FCI (RFC 5104 §4.3.1.1): i-th (ssrc, sequence); false past the end. */
bool rtcp_fir_get(const struct rtcp_pkt *p, unsigned i, uint32_t *ssrc, uint8_t *seq);
/* REMB (draft-alvestrand-rmcat-remb-03 §2.2): bits per second, false if it isn't one or
 * says more than 64 bits hold. */
bool rtcp_remb_get(const struct rtcp_pkt *p, uint64_t *bps);
/* Receiver reference time (RFC 3611 §4.4): the middle 32 bits of its NTP time; false if the XR has none. */
bool rtcp_rrtr_get(const struct rtcp_pkt *p, uint32_t *mid_ntp);

/* Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). Statuses in
 * order of the transport's numbers; arrival_us on the receiver's clock, of which only differences
 * mean something, and meaningful if received. -EBADMSG: it isn't one, is cut off, or has more than
 * TWCC_STATUS_MAX; deltas that are missing end the iteration. */
enum { TWCC_STATUS_MAX = 4096, TWCC_DELTA_US = 250 };
struct twcc_status {
	uint16_t seq;
	bool received;
	int64_t arrival_us;
};
struct twcc_iter {
	struct rd chunks, deltas;
	uint16_t seq, left, chunk, chunk_len, in_chunk;
	uint8_t number; /* of the feedback packet */
	int64_t at_us;
};
int twcc_iter_init(struct twcc_iter *it, const struct rtcp_pkt *p) MUST_CHECK;
bool twcc_next(struct twcc_iter *it, struct twcc_status *out);

/* And built: at_us[i] is when number base + i arrived, µs on a clock of ours (24 bits of 64 ms of it are told),
 * or TWCC_LOST. Appends one packet about as many of the first of them as fit, TWCC_PUT_MAX at most; how many
 * those are: the next packet begins behind them. 0: nothing is written, since there is no room for any or none
 * has arrived. It ends with one that has arrived, or where its room does; and before a step of more than 8 s. */
enum { TWCC_PUT_MAX = 1024 };
#define TWCC_LOST INT64_MIN
struct rtcp_twcc {
	uint32_t ssrc, media_ssrc;
	uint16_t base;
	uint8_t number; /* counts the feedback packets */
};
unsigned rtcp_put_twcc(struct wr *w, const struct rtcp_twcc *head, const int64_t *at_us,
		       unsigned count) MUST_CHECK;

/* Builders append to a writer, a whole packet or nothing; on overflow, more than
 * RTCP_BLOCKS_MAX blocks or a CNAME over 255 bytes w->bad is set and the caller drops the
 * compound. Block losses saturate at 24 bits. */
void rtcp_put_sr(struct wr *w, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts,
		 uint32_t packets, uint32_t bytes, const struct rtcp_block *blocks,
		 unsigned count);
void rtcp_put_rr(struct wr *w, uint32_t ssrc, const struct rtcp_block *blocks,
		 unsigned count);
void rtcp_put_sdes_cname(struct wr *w, uint32_t ssrc, const char *cname);
void rtcp_put_bye(struct wr *w, uint32_t ssrc);
/* `seqs` ascending (wrapping); packs into PID+BLP pairs. None: writes nothing. */
void rtcp_put_nack(struct wr *w, uint32_t ssrc, uint32_t media_ssrc, const uint16_t *seqs,
		   unsigned count);
void rtcp_put_pli(struct wr *w, uint32_t ssrc, uint32_t media_ssrc);
/* The answer to `reporter`'s reference time (RFC 3611 §4.5): `delay` in 1/65536 s since it came. */
void rtcp_put_dlrr(struct wr *w, uint32_t ssrc, uint32_t reporter, uint32_t mid_ntp,
		   uint32_t delay);
/* media_ssrc goes into the entry; the header's is 0 (RFC 5104 §4.3.1.2). */
void rtcp_put_fir(struct wr *w, uint32_t ssrc, uint32_t media_ssrc, uint8_t seq);

/* ---- SDP (RFC 8866, RFC 8829, RFC 8843, RFC 8839) ---------------------------------- */

enum {
	SDP_BYTES_MAX = 128 * 1024,
	SDP_MEDIA_MAX = 32,
	SDP_CODECS_MAX = 64,
	SDP_SSRCS_MAX = 16,
	SDP_EXTS_MAX = 24,
	SDP_RIDS_MAX = 4,
	SDP_TEXT_MAX = 256, /* longest ufrag, pwd, fingerprint value, fmtp … kept */
	SDP_ARENA_MAX = 512 * 1024 /* an arena that holds any SDP within these limits */
};
struct arena; /* bump allocator of one parse */
struct arena *arena_create(size_t limit_bytes) MUST_CHECK;
void *arena_take(struct arena *a, size_t bytes); /* zeroed, NULL past the limit */
void arena_destroy(struct arena *a);

enum sdp_dir { SDP_INACTIVE = 0, SDP_SENDONLY = 1, SDP_RECVONLY = 2, SDP_SENDRECV = 3 };
enum sdp_kind { SDP_AUDIO, SDP_VIDEO, SDP_APPLICATION, SDP_OTHER };
enum sdp_setup { SETUP_NONE, SETUP_ACTIVE, SETUP_PASSIVE, SETUP_ACTPASS };

struct sdp_codec {
	uint8_t pt;
	const char *name; /* as written, "" if only in the m-line */
	uint32_t clock;
	unsigned channels;
	const char *fmtp; /* "" if none */
	int apt;	  /* of rtx (and red's first), -1 */
	bool fb_nack, fb_pli, fb_fir, fb_twcc, fb_remb, fb_rrtr;
};
struct sdp_ext {
	uint16_t id;	  /* 1..255 */
	enum sdp_dir dir; /* RFC 8285 §5: SDP_SENDRECV unless the line says otherwise */
	const char *uri;
};
struct sdp_ssrc {
	uint32_t ssrc;
	uint32_t rtx; /* a=ssrc-group:FID, 0 */
};
struct sdp_ice {
	const char *ufrag, *pwd;	/* NULL if absent at this level */
	const char *fp_hash, *fp_value; /* "sha-256", "AA:BB…" */
	enum sdp_setup setup;
};
struct sdp_media {
	enum sdp_kind kind;
	const char *kind_text; /* as written */
	unsigned port;
	const char *proto;
	const char *mid;  /* "" if absent */
	const char *msid; /* "" or "stream track" */
	enum sdp_dir dir;
	bool rtcp_mux, rtcp_rsize, bundle_only;
	struct sdp_ice ice;
	unsigned codec_count;
	struct sdp_codec *codecs; /* in the m-line's order */
	unsigned ext_count;
	struct sdp_ext *exts;
	unsigned ssrc_count; /* without the RTX ones, in order of appearance */
	struct sdp_ssrc *ssrcs;
	unsigned rid_count; /* a=simulcast's send list, in order */
	const char **rids;
	const char
		*fmt; /* m-line's formats as written (application sections are echoed) */
};
struct sdp {
	struct sdp_ice ice;
	bool ice_lite, trickle;
	unsigned bundle_count;
	const char **bundle; /* mids */
	unsigned media_count;
	struct sdp_media *media;
};
/* Everything in the result lives in the arena. On -EBADMSG or -ENOBUFS *why says in plain
 * words what and in which line ("line 12: more than 64 codecs"); it lives in the arena too. */
int sdp_parse(struct arena *a, const char *text, size_t len, struct sdp **out,
	      const char **why) MUST_CHECK;
/* ice-char only (RFC 8839 §5.4) and min..SDP_TEXT_MAX of them; a ufrag has at least
 * SDP_UFRAG_MIN, a password SDP_PWD_MIN. */
enum { SDP_UFRAG_MIN = 4, SDP_PWD_MIN = 22 };
bool sdp_ice_text_valid(const char *s, size_t len, size_t min);
/* The value of `key` in a codec's fmtp ("a=1;b=2", keys in any case): *value and *len point into
 * it; false if it isn't there. */
bool sdp_fmtp_get(const char *fmtp, const char *key, const char **value, size_t *len);
/* The same as a number 0..max, else `fallback`. */
unsigned sdp_fmtp_get_uint(const char *fmtp, const char *key, unsigned max,
			   unsigned fallback);

/* ---- text that grows (SDP answers, JSON, pages) ------------------------------------ */

struct text {
	char *s; /* always terminated; NULL before the first add */
	size_t len, cap;
	bool bad; /* out of memory: s keeps what it had */
};
void text_add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add_bytes(struct text *t, const void *data, size_t n);
void text_free(struct text *t);

/* ---- JSON for control code (jansson) ----------------------------------------------- */

struct json_t;
enum { JSON_BYTES_MAX = 256 * 1024, JSON_DEPTH_MAX = 16 };
/* One object, at most JSON_BYTES_MAX and JSON_DEPTH_MAX (checked before jansson sees it), no
 * duplicate keys, no NUL. *why (static or in `err`, SDP_TEXT_MAX bytes) tells a person. */
struct json_t *json_read(const char *text, size_t len, char *err) MUST_CHECK;
/* Compact text, caller frees with free(). */
char *json_write(const struct json_t *j) MUST_CHECK;
/* NULL if absent or not a string or longer than max bytes. */
const char *json_get_text(const struct json_t *obj, const char *key, size_t max);
/* `fallback` if absent or not an integer in min..max. */
int64_t json_get_int(const struct json_t *obj, const char *key, int64_t min, int64_t max,
		     int64_t fallback);
bool json_get_bool(const struct json_t *obj, const char *key, bool fallback);

#endif
