/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a leg sends us: SSRC → source (latched, since browsers stop sending MID), repair,
 * parsing, and into the relay. Invariant: relay_stream_packet sees each packet once, with
 * its codec, level and frame known, and never one of a stream that is switched off.
 */
#include "leg_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void want_key(void *owner, struct relay_stream *st, unsigned layer, bool patient,
		     uint64_t now_us)
{
	struct leg_source *first = owner;
	struct leg_source *src = leg_source_of(st, layer);

	if (patient)
		keyreq_wish(&src->key);
	else
		keyreq_want(&src->key);
	leg_feedback_at(first->leg, now_us);
}

static bool whole(void *owner, struct relay_stream *st, unsigned layer, uint64_t ts64,
		  uint64_t *next)
{
	struct leg_source *src = leg_source_of(st, layer);

	(void)owner;

	for (;;) {
		const struct pkt *p = rtp_store_get(&src->store, *next);

		if (!p)
			return false;
		if (p->rtp.ts64 != ts64) /* no marker, but the next picture */
			return true;
		++*next;
		if (p->rtp.marker)
			return true;
	}
}

static void wanted(void *owner, struct relay_stream *st, bool is_wanted, uint64_t now_us)
{
	struct leg_source *src = owner;
	struct legs *l = src->leg->all;

	(void)st;
	(void)now_us;
	src->wanted = is_wanted;
	l->ops->changed(l->arg, src->leg);
}

static void demand(void *owner, struct relay_stream *st, uint64_t now_us)
{
	struct leg_source *src = owner;
	struct legs *l = src->leg->all;

	(void)st;
	(void)now_us;
	l->ops->changed(l->arg, src->leg);
}

const struct relay_stream_ops leg_stream_ops = {
	.want_key = want_key, .whole = whole, .wanted = wanted, .demand = demand
};

/* ---- sources and their layers ------------------------------------------------------ */

struct leg_source *leg_source_at(const struct leg *leg, unsigned i)
{
	const struct leg_source *first = leg->sources[i / RELAY_LAYERS_MAX];

	return first ? first->layers[i % RELAY_LAYERS_MAX] : NULL;
}

struct leg_source *leg_source_of(const struct relay_stream *st, unsigned layer)
{
	struct leg_source *first = relay_stream_owner(st);

	return layer && layer < first->layer_count ? first->layers[layer] : first;
}

const struct nego_codec *leg_source_codec(const struct leg_source *first)
{
	for (unsigned i = 0; i < first->layer_count; i++)
		if (first->layers[i]->codec)
			return first->layers[i]->codec;
	return first->codec;
}

static void layers_free(struct leg_source *first)
{
	for (unsigned i = 0; i < RELAY_LAYERS_MAX; i++) {
		struct leg_source *src = first->layers[i];

		if (!src)
			continue;
		rtp_store_fini(&src->store);
		if (src != first)
			free(src);
	}
	free(first);
}

/* NULL: out of memory. */
static struct leg_source *layers_create(struct leg *leg, const struct nego_source *plan)
{
	unsigned count = plan->rid_count ? plan->rid_count : 1;
	struct leg_source *first = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct leg_source *src = calloc(1, sizeof *src);

		if (!src)
			break;
		if (!first) {
			first = src;
			first->layer_count = count;
		}
		first->layers[i] = src;
		src->first = first;
		src->leg = leg;
		src->clock = &leg->clock;
		src->plan = plan;
		src->layer = (uint8_t)i;
		src->epoch = 1;
		if (rtp_store_init(&src->store,
				   plan->sec.audio ? STORE_AUDIO : STORE_VIDEO))
			break;
		if (i + 1 == count)
			return first;
	}
	if (first)
		layers_free(first);
	return NULL;
}

struct leg_source *leg_source_get(struct leg *leg, unsigned index)
{
	struct leg_source *src = leg->sources[index];
	const struct nego_source *plan = &leg->plan.sources[index];

	if (src)
		return src;
	if (leg_arrivals_init(leg, plan))
		return NULL;
	src = layers_create(leg, plan);
	if (!src)
		return NULL;
	src->wanted = true;
	src->stream = relay_stream_create(
		leg->port, leg_stream_id(leg->port_id, plan->kind), plan->sec.audio,
		plan->kind == STREAM_SCREEN || plan->kind == STREAM_SCREEN_AUDIO, src);
	if (!src->stream) {
		layers_free(src);
		return NULL;
	}
	relay_stream_layers(src->stream, src->layer_count);
	for (unsigned i = 1; i < src->layer_count; i++)
		src->layers[i]->stream = src->stream;
	leg->sources[index] = src;
	return src;
}

void leg_source_destroy(struct leg *leg, unsigned index, uint64_t now_us)
{
	struct leg_source *src = leg->sources[index];

	if (!src)
		return;
	relay_stream_destroy(src->stream, now_us);
	layers_free(src);
	leg->sources[index] = NULL;
}

void leg_media(struct leg *leg, enum stream_kind kind, bool on, uint64_t now_us)
{
	for (unsigned i = 0; i < leg->plan.source_count; i++) {
		struct leg_source *src;

		if (leg->plan.sources[i].kind != kind || (!leg->sources[i] && !on))
			continue;
		src = leg_source_get(leg, i);
		if (!src || src->on == on)
			return;
		src->on = on;
		relay_stream_active(src->stream, on, now_us);
		leg->all->ops->changed(leg->all->arg, leg);
		return;
	}
}

/* RFC 8843 §9.2: MID first, else the payload type if only one section has it. */
static int source_by_mid(const struct leg *leg, const struct pkt *p)
{
	const uint8_t *mid = p->data + p->rtp.ext[EXT_MID].off;
	size_t len = p->rtp.ext[EXT_MID].len;

	for (unsigned i = 0; i < leg->plan.source_count; i++)
		if (strlen(leg->plan.sources[i].sec.mid) == len &&
		    !memcmp(leg->plan.sources[i].sec.mid, mid, len))
			return (int)i;
	return -1;
}

static bool section_has_pt(const struct nego_section *sec, uint8_t pt, bool *rtx)
{
	for (unsigned i = 0; i < sec->codec_count; i++) {
		*rtx = sec->codecs[i].rtx_pt == pt && pt;
		if (sec->codecs[i].pt == pt || *rtx ||
		    (sec->codecs[i].red_pt == pt && pt))
			return true;
	}
	return false;
}

/* RFC 8852: RTX names the encoding that it repairs. A browser names both until it has had a report of them. -1: it
 * is none of those agreed on. */
static int layer_by_rid(const struct nego_source *plan, const struct pkt *p, bool rtx)
{
	const uint8_t *rid = p->data + p->rtp.ext[rtx ? EXT_RRID : EXT_RID].off;
	size_t len = p->rtp.ext[rtx ? EXT_RRID : EXT_RID].len;

	if (!plan->rid_count)
		return 0;
	for (unsigned i = 0; i < plan->rid_count; i++)
		if (len && strlen(plan->rids[i]) == len &&
		    !memcmp(plan->rids[i], rid, len))
			return (int)i;
	return -1;
}

static const struct leg_ssrc *ssrc_learn(struct leg *leg, const struct pkt *p)
{
	int index = -1, layer;
	bool rtx = false;

	if (p->rtp.ext[EXT_MID].off) {
		index = source_by_mid(leg, p);
		if (index >= 0 &&
		    !section_has_pt(&leg->plan.sources[index].sec, p->rtp.pt, &rtx))
			index = -1;
	} else {
		for (unsigned i = 0; i < leg->plan.source_count; i++) {
			bool is_rtx;

			if (!section_has_pt(&leg->plan.sources[i].sec, p->rtp.pt,
					    &is_rtx))
				continue;
			if (index >= 0)
				return NULL;
			index = (int)i;
			rtx = is_rtx;
		}
	}
	if (index < 0)
		return NULL;
	layer = layer_by_rid(&leg->plan.sources[index], p, rtx);
	if (layer < 0)
		return NULL;
	if (leg->ssrc_count == SSRCS_MAX) {
		STAT_INC(ssrc_limit);
		return NULL;
	}
	leg->ssrcs[leg->ssrc_count] =
		(struct leg_ssrc) { p->rtp.ssrc, (uint8_t)index, (uint8_t)layer, rtx };
	return &leg->ssrcs[leg->ssrc_count++];
}

static const struct leg_ssrc *ssrc_find(struct leg *leg, const struct pkt *p)
{
	for (unsigned i = 0; i < leg->ssrc_count; i++)
		if (leg->ssrcs[i].ssrc == p->rtp.ssrc)
			return &leg->ssrcs[i];
	return ssrc_learn(leg, p);
}

/* The source sends with another SSRC than before (or its first). Its 64-bit numbers go
 * on upwards, or the relay would take all it sends for late. */
static void source_begin(struct leg_source *src, uint32_t ssrc)
{
	bool audio = src->plan->sec.audio;

	if (src->ssrc)
		rtp_recv_renew(&src->recv, ssrc);
	else
		rtp_recv_init(&src->recv, ssrc, audio ? 48000 : 90000, audio,
			      false); /* until codec_set */
	src->ssrc = ssrc;
}

/* RFC 4588: put back what was lost, as if it came late. */
static int rtx_unwrap(struct leg_source *src, struct pkt *p)
{
	const struct nego_section *sec = &src->plan->sec;

	STAT_INC(rtx_rx);
	if (p->rtp.payload_len < RTX_OSN_BYTES || !src->ssrc)
		return -EBADMSG;
	for (unsigned i = 0; i < sec->codec_count; i++) {
		if (sec->codecs[i].rtx_pt != p->rtp.pt)
			continue;
		p->rtp.pt = sec->codecs[i].pt;
		p->rtp.seq = get_be16(p->data + p->rtp.payload_off);
		p->rtp.ssrc = src->ssrc;
		p->rtp.payload_off = (uint16_t)(p->rtp.payload_off + RTX_OSN_BYTES);
		p->rtp.payload_len = (uint16_t)(p->rtp.payload_len - RTX_OSN_BYTES);
		return 0;
	}
	return -EBADMSG;
}

static int parse_descriptor(struct leg_source *src, const uint8_t *dd, size_t len,
			    bool own_layers, struct frame_view *f)
{
	int err = dd_parse(dd, len, f);

	if (err)
		return err;
	if (f->dd_structure)
		err = dd_layers_parse(dd, len, &src->dd);
	if (!err && !own_layers)
		dd_layers_put(&src->dd, dd, len, f);
	return err;
}

static int parse_frame(struct leg_source *src, struct pkt *p)
{
	struct rtp_view *v = &p->rtp;

	if (frame_parse((enum codec_id)v->codec, p->data + v->payload_off, v->payload_len,
			v->marker, &v->frame))
		return -EBADMSG;
	if (v->ext[EXT_DD].off && !src->plan->sec.audio)
		return parse_descriptor(
			src, p->data + v->ext[EXT_DD].off, v->ext[EXT_DD].len,
			v->codec == CODEC_VP8 || v->codec == CODEC_VP9, &v->frame);
	return 0;
}

/* ---- beginnings, and what is not passed on ----------------------------------------- */

/* From the next packet on it is another segment in every slot. */
static void begin_anew(struct leg_source *src)
{
	src->epoch++;
	if (src->plan->sec.audio)
		leg_limit_begin(&src->limit);
}

/* Sound that is not passed on is no listener's loss, who would ask for it, report it and be given
 * less: what follows is a beginning. */
static void leave_hole(struct leg_source *src)
{
	if (!src->hole)
		begin_anew(src);
	src->hole = true;
}

static bool admits(struct leg_source *src, uint64_t arrival_us)
{
	if (!src->plan->sec.audio || leg_limit_take(&src->limit, arrival_us))
		return true;
	STAT_INC(voice_drop);
	leave_hole(src);
	return false;
}

static int codec_set(struct leg_source *src, struct pkt *p, uint64_t now_us)
{
	const struct nego_codec *codec = src->codec;

	if (!codec ||
	    (codec->pt != p->rtp.pt && (!p->rtp.pt || codec->red_pt != p->rtp.pt))) {
		codec = nego_by_pt(&src->plan->sec, p->rtp.pt);
		if (!codec)
			return -EBADMSG;
		src->codec = codec;
		src->recv.nack = codec->nack; /* asked only if it is obeyed */
		begin_anew(src);
		relay_stream_codec(src->stream, (enum codec_id)codec->codec, now_us);
	}
	p->rtp.codec = src->codec->codec;
	p->rtp.layer = src->layer;
	return 0;
}

/* A packet that has its number and goes no further. */
static void refuse(struct leg_source *src, enum recv_result result, bool bad)
{
	bool audio = src->plan->sec.audio;

	if (bad && audio)
		STAT_INC(voice_bad);
	else if (bad)
		STAT_INC(rtp_bad);
	else if (result == RECV_LATE) /* before a beginning */
		STAT_INC(rtp_old);
	if (audio && result != RECV_LATE)
		leave_hole(src);
}

static void deliver(struct leg_source *src, struct pkt *p, bool repaired, uint64_t now_us)
{
	uint32_t restarts = src->recv.restarts;
	uint64_t answered = src->recv.answered;
	bool audio = src->plan->sec.audio;
	/* Before it is numbered: what was lost before a key frame is not missed. */
	bool bad = p->rtp.payload_len && parse_frame(src, p);
	enum recv_result result = rtp_recv_packet(&src->recv, p, repaired);
	bool key;

	if (result == RECV_DUP || result == RECV_OLD)
		return;
	if (src->recv.restarts != restarts && !src->hole)
		begin_anew(src);
	if (bad || result == RECV_STRAY || (src->hole && result == RECV_LATE)) {
		refuse(src, result, bad);
		return;
	}
	src->hole = false;
	if (repaired && src->recv.answered == answered)
		src->repaired++;
	else if (audio && result == RECV_NEW) /* repeats come late */
		leg_control_arrived(src, p, now_us);
	if (p->rtp.codec == CODEC_VP8 && rtp_sync_take(&src->sync, p))
		frame_put_sync(p->data + p->rtp.payload_off, &p->rtp.frame);
	rtp_store_put(&src->store, p);
	if (src->recv.nack_count) { /* the oldest, and what is missing since just now */
		leg_feedback_at(src->leg, src->recv.nacks[0].next_us);
		leg_feedback_at(src->leg,
				src->recv.nacks[src->recv.nack_count - 1].next_us);
	}
	key = p->rtp.frame.key && !audio;
	if (key)
		keyreq_got(&src->key);
	relay_stream_packet(src->stream, p, now_us);
	/* A slot that has just heard that this layer comes, and went over to it with this packet. */
	if (key && result == RECV_NEW)
		keyreq_got(&src->key);
}

/* ---- RED (RFC 2198): a packet that brings earlier ones again ----------------------- */

struct red {
	int earlier; /* blocks before the primary */
	struct red_block blocks[RED_BLOCKS_MAX];
};

/* The primary becomes the packet. */
static int red_unwrap(struct leg_source *src, struct pkt *p, struct red *red)
{
	const uint8_t *payload = p->data + p->rtp.payload_off;
	const struct red_block *primary;
	int count;

	if (!src->codec->red_pt || p->rtp.pt != src->codec->red_pt)
		return 0;
	count = red_parse(payload, p->rtp.payload_len, red->blocks);
	if (count < 1)
		return -EBADMSG;
	primary = &red->blocks[count - 1];
	if (primary->pt != src->codec->pt)
		return -EBADMSG;
	src->red_bytes += p->rtp.payload_len - primary->len;
	p->rtp.pt = primary->pt;
	p->rtp.payload_off = (uint16_t)(primary->data - p->data);
	p->rtp.payload_len = primary->len;
	red->earlier = count - 1;
	return 0;
}

/* What is missing of what it brings: block by block the packets before it. */
static void red_recover(struct leg_source *src, const struct pkt *p,
			const struct red *red, uint64_t now_us)
{
	for (int i = 0; i < red->earlier; i++) {
		const struct red_block *b = &red->blocks[i];
		uint16_t seq = (uint16_t)(p->rtp.seq - red->earlier + i);
		struct pkt *q;

		if (!b->len || b->pt != src->codec->pt ||
		    !rtp_recv_lacks(&src->recv, seq))
			continue;
		if (!admits(src, p->arrival_us))
			return;
		q = pkt_take(src->leg->all->pool);
		if (!q)
			return;
		memcpy(q->data, b->data, b->len);
		q->len = q->rtp.payload_len = b->len;
		q->arrival_us = p->arrival_us;
		q->flow = p->flow;
		q->rtp.pt = b->pt;
		q->rtp.codec = p->rtp.codec;
		q->rtp.ssrc = p->rtp.ssrc;
		q->rtp.seq = seq;
		q->rtp.ts = p->rtp.ts - b->ts_offset;
		q->rtp.level_dbov = -1;
		STAT_INC(red_rx);
		deliver(src, q, true, now_us);
		pkt_unref(q);
	}
}

void leg_on_rtp(struct leg *leg, struct pkt *p, uint64_t now_us)
{
	struct rtp_view *v = &p->rtp;
	const struct leg_ssrc *known;
	struct leg_source *src;
	struct red red; /* its blocks only if it is one */
	bool repaired = false;

	red.earlier = 0;
	STAT_INC(rtp_rx);
	leg->all->batch_us = now_us;
	leg_control_heard(leg, now_us);
	if (rtp_parse(p->data, p->len, &leg->exts, v)) {
		STAT_INC(rtp_bad);
		return;
	}
	if (leg->arrivals)
		leg_arrivals_take(leg, p, now_us);
	known = ssrc_find(leg, p);
	if (!known) {
		STAT_INC(ssrc_unknown);
		return;
	}
	src = leg->sources[known->source];
	if (!src || !src->on) {
		STAT_INC(rtp_muted);
		return;
	}
	src = src->layers[known->layer];
	if (v->csrc_count)
		STAT_INC(rtp_csrc);
	if (!admits(src, p->arrival_us))
		return;
	if (known->rtx) {
		if (rtx_unwrap(src, p))
			return;
		repaired = true;
	} else if (src->ssrc != v->ssrc) {
		source_begin(src, v->ssrc);
	}
	if (codec_set(src, p, now_us) || red_unwrap(src, p, &red)) {
		STAT_INC(rtp_bad);
		return;
	}
	deliver(src, p, repaired, now_us);
	red_recover(src, p, &red, now_us);
}
