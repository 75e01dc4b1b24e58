/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A slot: one gapless stream to one receiver, whoever is in it.
 *
 * Invariants:
 * - What goes out for a source packet is a function of the packet, its segment and the holes before it
 * (thin.c) alone (no other state of the slot enters), so a resend is the same bytes however late.
 * - Segments have disjoint, ascending ranges of numbers: a segment begins at highest + 1,
 * and when it ends the slot maps no more packets of it that were not below `highest`
 * then.
 * - Every counter of a new segment (sequence, timestamp, picture id, TL0PICIDX, DD frame
 * number) is ahead of the greatest that went out before, so a receiver sees the switch as
 * the next frame.
 * - Template ids: a receiver keeps one structure and 64 ids. The new structure's ids
 * begin where those of the last structure sent end (modulo 64), whatever the source calls
 * them. So a frame of the old structure that arrives after the switch is not mistaken for
 * one of the new, as long as both together have at most 64 templates (the largest in use,
 * L3T3, has 27).
 */
#include "thin.h"

#include <errno.h>
#include <string.h>

enum {
	DD_MANDATORY_BYTES = 3,
	DD_BYTES_MAX = 255,
	AUDIO_CONTINUES_US = 200000,
	LINE_FOLLOWS = 1000,
	CLOSER = 16,
	BEHIND_MAX_S = 1,
	NACK_WINDOW_US = 1000000,
	NACK_QUOTA_MIN = 50,
	NACK_QUOTA_MAX = 10000, /* 100 Mbit/s of resends: no slot needs it */
	SILENCE_SAMPLES = 960,
	TALK_FIRST = 2,
	TALK_AGAIN = 96000 /* 2 s at 48 kHz */
};

/* ---- dependency descriptor --------------------------------------------------------- */

/* Template ids of the structure in a descriptor: [*offset, *offset + count). After the
 * mandatory fields and five flags come template_id_offset (6), dt_cnt_minus_one (5), and
 * one next_layer_idc (2) a template, 3 = last. Without a structure 0. */
static unsigned dd_templates(const struct pkt *p, uint8_t *offset)
{
	const uint8_t *dd = p->data + p->rtp.ext[EXT_DD].off;
	unsigned len = p->rtp.ext[EXT_DD].len;
	unsigned count = 0;

	if (!p->rtp.frame.dd_structure || len < DD_MANDATORY_BYTES + 3)
		return 0;
	*offset = (uint8_t)((dd[3] & 7) << 3 | dd[4] >> 5);
	for (unsigned bit = 40; bit + 2 <= len * 8; bit += 2) {
		count++;
		if ((dd[bit / 8] >> (6 - bit % 8) & 3) == 3 || count == DD_TEMPLATES_MAX)
			break;
	}
	return count;
}

static bool has_dd(const struct rtp_segment *seg, const struct pkt *p)
{
	return seg->dd_id && p->rtp.frame.has_dd && p->rtp.ext[EXT_DD].off &&
	       p->rtp.ext[EXT_DD].len >= DD_MANDATORY_BYTES;
}

/* A view that nobody filled (audio) has offsets of 0, so the codec must say so too. */
static bool is_vpx(const struct pkt *p)
{
	return p->rtp.codec == CODEC_VP8 || p->rtp.codec == CODEC_VP9;
}

static bool has_pid(const struct pkt *p)
{
	return is_vpx(p) && p->rtp.frame.pid_bits &&
	       p->rtp.frame.pid_off < p->rtp.payload_len;
}

static bool has_tl0(const struct pkt *p)
{
	return is_vpx(p) && p->rtp.frame.tl0_off < p->rtp.payload_len;
}

/* ---- segments ---------------------------------------------------------------------- */

void rtp_slot_init(struct rtp_slot *s, uint32_t ssrc, uint32_t rtx_ssrc,
		   uint32_t clock_rate, bool audio)
{
	memset(s, 0, sizeof *s);
	s->ssrc = ssrc;
	s->rtx_ssrc = rtx_ssrc;
	s->clock_rate = clock_rate ? clock_rate : 90000;
	s->audio = audio;
	/* The roll-over counter starts at 0; the lower half leaves a receiver time to see
	 * the first wrap. */
	s->highest = 1 + (random_u32() & 0x7fff);
	s->rtx_seq = 1 + (random_u32() & 0x7fff);
	s->ts64 = (UINT64_C(1) << 32) + random_u32();
	s->pid = (uint16_t)(random_u32() & 0x7fff);
	s->tl0 = (uint8_t)random_u32();
	s->dd_frame = (uint16_t)random_u32();
	s->packet_ticks = s->clock_rate / 50;
	s->thin.want_tid = SLOT_TID_ALL;
}

static struct rtp_segment *current(const struct rtp_slot *s)
{
	if (!s->segment_count)
		return NULL;
	return (struct rtp_segment *)&s->segments[(s->segment_count - 1) % SLOT_SEGMENTS];
}

static struct rtp_segment *segment_add(struct rtp_slot *s)
{
	struct rtp_segment *seg = current(s);

	if (seg)
		seg->hole_end = s->thin.hole_count;
	seg = &s->segments[s->segment_count++ % SLOT_SEGMENTS];
	/* The count says two things: how many are kept (min with SLOT_SEGMENTS) and which
	 * is the last; keep both when it wraps. */
	if (s->segment_count == 0)
		s->segment_count = SLOT_SEGMENTS;
	memset(seg, 0, sizeof *seg);
	seg->first_out = s->highest + 1;
	return seg;
}

/* The timestamp for sound that follows the last packet sent and arrives now. */
static uint64_t next_sound_ts(const struct rtp_slot *s, uint64_t now_us)
{
	uint64_t us = now_us > s->sent_us ? now_us - s->sent_us : 0;
	uint64_t ticks = rtp_ticks(us, s->clock_rate);

	if (!s->segment_count)
		return s->ts64;
	if (us < AUDIO_CONTINUES_US || ticks < s->packet_ticks)
		return s->ts64 + s->packet_ticks;
	return s->ts64 + ticks;
}

/* The same for a picture: its place on the line, as if it had come as early as its source's
 * others do. */
static uint64_t next_picture_ts(const struct rtp_slot *s, const struct pkt *p)
{
	if (!s->segment_count)
		return s->ts64;
	return p->rtp.ts64 + (uint64_t)p->rtp.transit - (uint64_t)s->transit;
}

/* In order, and no two on one timestamp: where what was shown last is past that place already, the pictures that are
 * behind follow closely, and are passed over by who draws, until they have caught up with the line. Shifted instead, all that
 * comes would be late by as much. */
static void catch_line(struct rtp_slot *s, struct rtp_segment *seg, uint64_t ts)
{
	uint64_t least = s->ts64 + s->clock_rate / 1000;
	uint64_t from = ts - seg->ts_off;
	uint64_t behind = least - ts;

	seg->line_ts64 = from;
	if (s->audio || s->segment_count == 1 || (int64_t)behind <= 0)
		return;
	if (behind > s->clock_rate * BEHIND_MAX_S)
		seg->ts_off += behind;
	else
		seg->line_ts64 += behind + behind / (CLOSER - 1) + 1;
}

void rtp_slot_switch(struct rtp_slot *s, uint32_t stream, uint8_t pt, uint8_t rtx_pt,
		     uint8_t dd_id, const struct pkt *first)
{
	const struct frame_view *f = &first->rtp.frame;
	uint64_t ts = s->audio ? next_sound_ts(s, first->arrival_us)
			       : next_picture_ts(s, first);
	struct rtp_segment *seg = segment_add(s);
	uint8_t offset = f->dd_template;

	thin_begin(&s->thin, seg, first);
	seg->first_in = first->rtp.seq64;
	seg->seq_off = seg->first_out - seg->first_in;
	seg->ts_off = ts - first->rtp.ts64;
	catch_line(s, seg, ts);
	seg->stream = stream;
	seg->pt = pt;
	seg->rtx_pt = rtx_pt;
	seg->dd_id = dd_id;
	seg->codec = first->rtp.codec;
	seg->pid_off = (uint16_t)((s->pid + 1 - f->pid) & 0x7fff);
	seg->tl0_off = (uint8_t)(s->tl0 + 1 - f->tl0);
	if (has_dd(seg, first)) {
		dd_templates(first, &offset);
		seg->dd_off = (uint16_t)(s->dd_frame + 1 - f->dd_frame);
		seg->dd_shift = (uint8_t)((s->dd_next - offset) & 63);
	}
	STAT_INC(slot_switch);
}

void rtp_slot_red(struct rtp_slot *s, uint8_t pt)
{
	struct rtp_segment *seg = current(s);

	if (seg)
		seg->red_of = pt;
}

void rtp_slot_layer(struct rtp_slot *s, unsigned layer)
{
	struct rtp_segment *seg = current(s);

	if (seg)
		seg->layer = (uint8_t)layer;
}

void rtp_slot_name(struct rtp_slot *s, uint64_t seq64)
{
	struct rtp_segment *seg = current(s);

	if (seg && s->audio && !seg->names_from)
		seg->names_from = seq64;
}

int rtp_segment_map(const struct rtp_slot *s, const struct rtp_segment *seg,
		    const struct pkt *p, struct rtp_out *out)
{
	struct rtp_hole gone;
	uint64_t before = 0; /* the line, in time of the source */
	int err = thin_before(&s->thin, seg, p->rtp.seq64, &gone);

	if (err)
		return err;
	if (p->rtp.ts64 < seg->line_ts64)
		before = seg->line_ts64 - p->rtp.ts64;
	out->seq64 = p->rtp.seq64 + seg->seq_off - gone.pkts;
	out->ts64 = p->rtp.ts64 + seg->ts_off + before - before / CLOSER;
	out->seg = seg;
	/* VP9's frames name those they need by the difference. */
	out->pid_off =
		(uint16_t)(seg->pid_off - (p->rtp.codec == CODEC_VP8 ? gone.frames : 0));
	out->twcc_id = 0;
	return 0;
}

/* The line follows the clock of who is in the slot; ahead by at most 1 ms a second, ten times what clocks drift by. What is
 * more comes of a picture that was late when nothing earlier of its source was known (the first after a
 * long pause): that segment runs ahead, and the next must not begin there. */
static void follow_line(struct rtp_slot *s, const struct pkt *p)
{
	int64_t seen = p->rtp.transit - (int64_t)current(s)->ts_off;
	int64_t off = seen - s->transit;
	uint64_t us = p->arrival_us > s->sent_us ? p->arrival_us - s->sent_us : 0;
	int64_t most = 1 + (int64_t)rtp_ticks(us / LINE_FOLLOWS, s->clock_rate);

	if (s->segment_count == 1 || off >= -most)
		s->transit = seen;
	else
		s->transit -= most;
}

static void account_time(struct rtp_slot *s, const struct pkt *p, uint64_t ts64)
{
	if ((int64_t)(ts64 - s->ts64) <= 0 && s->packets)
		return;
	if (!s->audio)
		follow_line(s, p);
	if (p->rtp.frame.samples) /* its next one follows without a gap */
		s->packet_ticks = p->rtp.frame.samples;
	s->ts64 = ts64;
	s->sent_us = p->arrival_us;
}

static void account_packet(struct rtp_slot *s, size_t payload_len, uint64_t now_us)
{
	if (!s->packets) /* what it may get again is reckoned from its first packet */
		s->nack_window_us = now_us;
	s->packets++;
	s->bytes += payload_len;
}

/* Keeps the greatest of each counter sent, each by its own arithmetic. */
static void account_frame(struct rtp_slot *s, const struct rtp_out *out,
			  const struct pkt *p)
{
	const struct rtp_segment *seg = out->seg;
	const struct frame_view *f = &p->rtp.frame;

	if (has_pid(p)) {
		/* A 7-bit id moves the 15-bit count by its low bits. */
		uint16_t mask = f->pid_bits > 7 ? 0x7fff : 0x7f;
		uint16_t ahead = (uint16_t)((f->pid + out->pid_off - s->pid) & mask);

		if (ahead <= mask / 2)
			s->pid = (uint16_t)((s->pid + ahead) & 0x7fff);
	}
	if (has_tl0(p)) {
		uint8_t ahead = (uint8_t)(f->tl0 + seg->tl0_off - s->tl0);

		if (ahead < 0x80)
			s->tl0 = (uint8_t)(s->tl0 + ahead);
	}
	if (has_dd(seg, p)) {
		uint16_t ahead = (uint16_t)(f->dd_frame + seg->dd_off - s->dd_frame);
		uint8_t offset;
		unsigned count = dd_templates(p, &offset);

		if (ahead < 0x8000)
			s->dd_frame = (uint16_t)(s->dd_frame + ahead);
		if (count && ahead < 0x8000)
			s->dd_next = (uint8_t)((offset + seg->dd_shift + count) & 63);
	}
}

int rtp_slot_map(struct rtp_slot *s, const struct pkt *p, struct rtp_out *out, bool again)
{
	const struct rtp_segment *seg = current(s);
	uint64_t in = p->rtp.seq64;
	struct rtp_out o;
	int err;

	if (!seg || !seg->stream || in < seg->first_in ||
	    (in > s->thin.newest_in && in - s->thin.newest_in > RECV_JUMP))
		return -EPROTO;
	if (!again && in > s->thin.newest_in)
		thin_next(&s->thin, seg, p);
	err = rtp_segment_map(s, seg, p, &o);
	if (err)
		return err;
	*out = o;
	if (again)
		return 0;
	account_time(s, p, o.ts64);
	if (!s->audio)
		account_frame(s, &o, p);
	if (o.seq64 > s->highest)
		s->highest = o.seq64;
	account_packet(s, p->rtp.payload_len, p->arrival_us);
	return 0;
}

bool rtp_slot_end(const struct rtp_slot *s, uint32_t stream, uint64_t *ts64)
{
	const struct rtp_segment *seg = current(s);

	if (!seg || !stream || seg->stream != stream)
		return false;
	*ts64 = s->ts64 - seg->ts_off + s->packet_ticks;
	return true;
}

/* ---- writing ----------------------------------------------------------------------- */

/* Whose picture it is goes with the picture itself, once a key frame (4 bytes): what is told
 * over TCP may be late by seconds on a thin link, and a face must not have another's name. */
static bool names_source(const struct rtp_slot *s, const struct rtp_segment *seg,
			 const struct pkt *p)
{
	const struct frame_view *f = &p->rtp.frame;

	return !s->audio && p->rtp.payload_len &&
	       ((f->start && f->key) || p->rtp.seq64 == seg->first_in);
}

/* Who talks goes with the sound itself: an event a second costs what 100 ms of speech do. Again every
 * 2 s of the source's time, for who has missed it. */
static bool names_talkers(const struct rtp_segment *seg, const struct pkt *p)
{
	return seg->names_from && p->rtp.talker_count &&
	       p->rtp.seq64 >= seg->names_from &&
	       (p->rtp.talk_news || p->rtp.seq64 - seg->names_from < TALK_FIRST ||
		p->rtp.ts64 % TALK_AGAIN < p->rtp.frame.samples);
}

/* Header with the descriptor, then `prefix` bytes left free, then the payload as this
 * segment has it. Only `ssrc`, `pt`, `seq` and the prefix tell a resend by RTX from the
 * first sending. */
static int write_pkt(const struct rtp_slot *s, const struct rtp_out *out,
		     const struct pkt *p, struct rtp_header *h, size_t prefix,
		     uint8_t *buf, size_t cap, size_t *header_len)
{
	const struct rtp_segment *seg = out->seg;
	const struct frame_view *f = &p->rtp.frame;
	size_t len = p->rtp.payload_len;
	uint8_t dd[DD_BYTES_MAX], twcc[2];
	uint8_t *payload;
	int n;

	h->marker = p->rtp.marker;
	if (names_source(s, seg, p)) {
		h->csrc_count = 1;
		h->csrc = &seg->stream;
	} else if (names_talkers(seg, p)) {
		h->csrc_count = p->rtp.talker_count;
		h->csrc = p->rtp.talkers;
	}
	if (has_dd(seg, p)) {
		uint8_t dd_len = p->rtp.ext[EXT_DD].len;

		memcpy(dd, p->data + p->rtp.ext[EXT_DD].off, dd_len);
		dd_rewrite(dd, dd_len, f, (uint16_t)(f->dd_frame + seg->dd_off),
			   seg->dd_shift);
		h->ext_count = 1;
		h->ext[0].id = seg->dd_id;
		h->ext[0].len = dd_len;
		h->ext[0].data = dd;
	}
	if (out->twcc_id) {
		put_be16(twcc, out->twcc);
		h->ext[h->ext_count].id = out->twcc_id;
		h->ext[h->ext_count].len = sizeof twcc;
		h->ext[h->ext_count++].data = twcc;
	}
	/* An empty packet keeps its number and goes as one byte of padding. */
	h->padding = len == 0 && prefix == 0;
	n = rtp_build_header(h, buf, cap);
	if (n < 0)
		return n;
	if (cap - (size_t)n < prefix + len + h->padding)
		return -ENOBUFS;
	payload = buf + n + prefix;
	if (h->padding)
		payload[0] = 1;
	memcpy(payload, p->data + p->rtp.payload_off, len);
	if (has_pid(p))
		frame_put_pid(payload, f,
			      (uint16_t)((f->pid + out->pid_off) &
					 (f->pid_bits > 7 ? 0x7fff : 0x7f)));
	if (has_tl0(p))
		frame_put_tl0(payload, f, (uint8_t)(f->tl0 + seg->tl0_off));
	if (seg->red_of)
		red_put_pt(payload, len, seg->red_of);
	*header_len = (size_t)n;
	return n + (int)(prefix + len + h->padding);
}

int rtp_slot_write(const struct rtp_slot *s, const struct pkt *p,
		   const struct rtp_out *out, uint8_t *buf, size_t cap,
		   size_t *header_len)
{
	struct rtp_header h = {
		.pt = out->seg->pt,
		.seq = (uint16_t)out->seq64,
		.ts = (uint32_t)out->ts64,
		.ssrc = s->ssrc,
	};

	return write_pkt(s, out, p, &h, 0, buf, cap, header_len);
}

int rtp_slot_write_rtx(struct rtp_slot *s, const struct pkt *p, const struct rtp_out *out,
		       uint8_t *buf, size_t cap, size_t *header_len, uint64_t *index64)
{
	struct rtp_header h = {
		.pt = out->seg->rtx_pt,
		.seq = (uint16_t)s->rtx_seq,
		.ts = (uint32_t)out->ts64,
		.ssrc = s->rtx_ssrc,
	};
	int n;

	if (!out->seg->rtx_pt || !s->rtx_ssrc)
		return -EPROTO;
	n = write_pkt(s, out, p, &h, RTX_OSN_BYTES, buf, cap, header_len);
	if (n < 0)
		return n;
	put_be16(buf + *header_len, (uint16_t)out->seq64);
	*index64 = s->rtx_seq++;
	return n;
}

int rtp_slot_write_silence(struct rtp_slot *s, uint64_t now_us, uint8_t *buf, size_t cap,
			   size_t *header_len, uint64_t *index64)
{
	const struct rtp_segment *seg = current(s);
	struct rtp_header h = { .ssrc = s->ssrc };
	uint64_t ts;
	uint8_t pt;
	int n;

	if (!seg || !s->audio || seg->codec != CODEC_OPUS)
		return -EPROTO;
	pt = seg->pt;
	ts = next_sound_ts(s, now_us);
	h.pt = pt;
	h.seq = (uint16_t)(s->highest + 1);
	h.ts = (uint32_t)ts;
	n = rtp_build_header(&h, buf, cap);
	if (n < 0)
		return n;
	if (cap - (size_t)n < sizeof opus_silence)
		return -ENOBUFS;
	memcpy(buf + n, opus_silence, sizeof opus_silence);
	if (seg->stream) {
		struct rtp_segment *own = segment_add(s);

		own->pt = pt;
		own->codec = CODEC_OPUS;
	}
	*index64 = ++s->highest;
	s->ts64 = ts;
	s->sent_us = now_us;
	s->packet_ticks = SILENCE_SAMPLES;
	account_packet(s, sizeof opus_silence, now_us);
	*header_len = (size_t)n;
	return n + (int)sizeof opus_silence;
}

/* ---- resends and reports ----------------------------------------------------------- */

static bool resend_allowed(struct rtp_slot *s, uint64_t now_us)
{
	uint64_t sent = s->packets - s->nack_packets;
	uint64_t allowed;

	if (now_us - s->nack_window_us >= NACK_WINDOW_US) {
		uint64_t quota = 2 * sent * NACK_WINDOW_US / (now_us - s->nack_window_us);

		s->nack_quota = quota < NACK_QUOTA_MAX ? (uint32_t)quota : NACK_QUOTA_MAX;
		s->nack_used = 0;
		s->nack_packets = s->packets;
		s->nack_window_us = now_us;
		sent = 0;
	}
	/* A stream that has just grown may use what it sends now. */
	allowed = s->nack_quota > 2 * sent ? s->nack_quota : 2 * sent;
	if (allowed < NACK_QUOTA_MIN)
		allowed = NACK_QUOTA_MIN;
	if (s->nack_used >= allowed)
		return false;
	s->nack_used++;
	return true;
}

int rtp_slot_find(struct rtp_slot *s, uint16_t seq, uint64_t now_us,
		  const struct rtp_segment **seg, uint64_t *in_seq64)
{
	uint16_t back = (uint16_t)((uint16_t)s->highest - seq);
	unsigned kept =
		s->segment_count < SLOT_SEGMENTS ? s->segment_count : SLOT_SEGMENTS;
	const struct rtp_segment *found = NULL;
	struct rtp_hole gone;
	uint64_t out;

	if (back >= 0x8000 || back > s->highest)
		return -ENOENT;
	out = s->highest - back;
	for (unsigned i = 1; i <= kept && !found; i++) {
		const struct rtp_segment *g =
			&s->segments[(s->segment_count - i) % SLOT_SEGMENTS];

		if (g->first_out <= out)
			found = g;
	}
	if (!found || !found->stream || thin_before_out(&s->thin, found, out, &gone))
		return -ENOENT;
	if (!resend_allowed(s, now_us))
		return -EAGAIN;
	*seg = found;
	*in_seq64 = out - found->seq_off + gone.pkts;
	return 0;
}

void rtp_slot_sr(const struct rtp_slot *s, uint64_t ts64_in, uint64_t capture_us,
		 uint64_t now_us, uint64_t now_wall_us, uint64_t *ntp, uint32_t *rtp_ts)
{
	const struct rtp_segment *seg = current(s);
	uint64_t ts = s->ts64;
	uint64_t at = s->sent_us;

	if (seg && seg->stream) {
		ts = ts64_in + seg->ts_off;
		at = capture_us;
	}
	*ntp = ntp_from_wall_us(now_wall_us);
	if (now_us >= at)
		ts += rtp_ticks(now_us - at, s->clock_rate);
	else
		ts -= rtp_ticks(at - now_us, s->clock_rate);
	*rtp_ts = (uint32_t)ts;
}
