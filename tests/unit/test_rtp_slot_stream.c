/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A slot seen from the receiver: bytes out are parsed again and must be one gapless
 * stream, whoever was in it, with loss, late packets and reordering before and after.
 */
#include "unit/slot_rig.h"

enum { SOURCES = 4, PER_SOURCE = 9000, OUT_SPAN = 65536, SWITCHES = 150 };

struct event {
	uint64_t at;
	struct pkt *p;
	unsigned src;
	bool repaired;
};

/* What the receiver (and the judge) know of an outgoing number. */
struct got {
	uint8_t *bytes;
	uint16_t len;
	bool delivered;
	uint8_t codec;
	uint16_t src, count;
};

struct truth {
	uint32_t frame;
	uint16_t pid;
	uint16_t dd_frame;
	uint8_t tl0, pid_bits;
	bool lost, start;
};

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->p->rtp.seq - (int)y->p->rtp.seq;
}

struct world {
	struct rtp_slot slot;
	struct rtp_recv recv[SOURCES];
	struct rtp_store store[SOURCES];
	struct got *got;
	uint64_t first;
	struct truth *truth[SOURCES];
	unsigned resent, late;
};

static void deliver(struct world *w, const struct pkt *p, const struct rtp_out *out,
		    bool lost)
{
	struct got *g = &w->got[out->seq64 - w->first];
	struct parsed o;

	assert_true(out->seq64 - w->first < OUT_SPAN);
	write_out(&w->slot, p, out, &o);
	if (g->bytes) {
		/* one number, one content, for ever */
		assert_int_equal(g->len, o.len);
		assert_memory_equal(g->bytes, o.bytes, o.len);
	} else {
		g->bytes = malloc(o.len);
		memcpy(g->bytes, o.bytes, o.len);
		g->len = (uint16_t)o.len;
		g->codec = p->rtp.codec;
		g->src = get_be16(o.bytes + o.len - 4);
		g->count = get_be16(o.bytes + o.len - 2);
	}
	if (!lost)
		g->delivered = true;
}

static void nack_gaps(struct world *w, uint64_t now, uint64_t depth)
{
	uint64_t from =
		w->slot.highest > w->first + depth ? w->slot.highest - depth : w->first;

	for (uint64_t q = from; q < w->slot.highest; q++) {
		const struct rtp_segment *seg;
		struct rtp_out out;
		struct pkt *p;
		uint64_t in;
		int err;

		if (w->got[q - w->first].delivered)
			continue;
		err = rtp_slot_find(&w->slot, (uint16_t)q, now, &seg, &in);
		if (err)
			continue;
		assert_true(in >= seg->first_in);
		p = rtp_store_get(&w->store[seg->stream - 1], in);
		if (!p)
			continue;
		assert_int_equal(rtp_segment_map(&w->slot, seg, p, &out), 0);
		assert_int_equal(out.seq64, q);
		deliver(w, p, &out, rand() % 20 == 0);
		w->resent++;
	}
}

/* Everything that came, in order of its number. */
static void judge(struct world *w)
{
	const struct truth *last = NULL;
	struct parsed o = { .len = 0 }, before;
	unsigned src = 0, missing = 0, present = 0, borders = 0, count = 0,
		 unexplained = 0;
	uint64_t last_i = 0;
	uint64_t end = w->slot.highest - w->first;
	int vpx_pid = -1, vpx_tl0 = -1, dd = -1, template_end = -1;

	for (uint64_t i = 0; i <= end; i++) {
		const struct got *g = &w->got[i];
		const struct truth *t;

		if (!g->delivered) {
			missing++;
			continue;
		}
		present++;
		before = o;
		o.len = g->len;
		memcpy(o.bytes, g->bytes, g->len);
		memset(&o.v, 0, sizeof o.v);
		parse_out(&o, g->codec);
		t = &w->truth[g->src][g->count];
		if (last) {
			int32_t step = (int32_t)(o.v.ts - before.v.ts);

			assert_true(step >= 0);
			if (src == g->src) {
				/* the same distance as at the source, in everything */
				uint32_t frames = t->frame - last->frame;

				assert_int_equal(step == 0, frames == 0);
				/* gapless: numbers are missing where the source's are,
				 * and nowhere else */
				assert_int_equal(i - last_i,
						 (uint16_t)(g->count - count));
				for (unsigned c = count + 1; c < g->count; c++)
					unexplained += !w->truth[src][c].lost;
			} else {
				borders++;
				assert_true(step > 0);
				assert_true(o.v.frame.start && o.v.frame.key);
			}
		}
		if (t->pid_bits) {
			int mask = t->pid_bits == 15 ? 0x7fff : 0x7f;

			if (last && src == g->src)
				assert_int_equal(
					(o.v.frame.pid - before.v.frame.pid) & mask,
					(t->frame - last->frame) & (uint32_t)mask);
			else if (vpx_pid >= 0)
				assert_int_equal(o.v.frame.pid & 0x7f,
						 (vpx_pid + 1) & 0x7f);
			vpx_pid = o.v.frame.pid;
			if (last && src == g->src)
				assert_int_equal((o.v.frame.tl0 - before.v.frame.tl0) &
							 255,
						 (t->tl0 - last->tl0) & 255);
			else if (vpx_tl0 >= 0)
				assert_int_equal(o.v.frame.tl0, (vpx_tl0 + 1) & 255);
			vpx_tl0 = o.v.frame.tl0;
		} else {
			if (last && src == g->src)
				assert_int_equal(
					(o.v.frame.dd_frame - before.v.frame.dd_frame) &
						0xffff,
					(t->frame - last->frame) & 0xffff);
			else if (dd >= 0)
				assert_int_equal(o.v.frame.dd_frame, (dd + 1) & 0xffff);
			dd = o.v.frame.dd_frame;
			if (src != g->src) {
				if (template_end >= 0)
					assert_int_equal(o.v.frame.dd_template,
							 template_end);
				template_end = (o.v.frame.dd_template + 7) & 63;
			}
		}
		last = t;
		last_i = i;
		src = g->src;
		count = g->count;
	}
	print_message("%u present, %u missing, %u borders, %u resent, %u late, %u "
		      "unexplained\n",
		      present, missing, borders, w->resent, w->late, unexplained);
	assert_true(borders >= SWITCHES / 2);
	assert_true(w->resent > 100 && w->late > 100);
	/* what reached the server reaches the receiver (but for what is still on its way
	 * when its segment ages) */
	assert_true(missing * 20 < present);
	assert_true(unexplained * 500 < present);
}

static void test_property(void **state)
{
	static struct world w;
	struct gen gens[SOURCES] = {
		{ .codec = CODEC_VP8,
		  .pid_bits = 15,
		  .pid = 0x7f00,
		  .tl0 = 200,
		  .id = 0,
		  .seq = 65000 },
		{ .codec = CODEC_VP8,
		  .pid_bits = 15,
		  .pid = 5,
		  .tl0 = 3,
		  .id = 1,
		  .seq = 3000,
		  .ts = 0xfffff000 },
		{ .codec = CODEC_AV1,
		  .dd = true,
		  .templates = 7,
		  .dd_base = 40,
		  .dd_frame = 65000,
		  .id = 2 },
		{ .codec = CODEC_VP9,
		  .pid_bits = 7,
		  .pid = 100,
		  .tl0 = 250,
		  .id = 3,
		  .seq = 65535 },
	};
	struct pkt_pool *big = pkt_pool_create(2 * SOURCES * PER_SOURCE);
	struct event *ev = calloc(SOURCES * PER_SOURCE, sizeof *ev);
	unsigned events = 0, current = 0, target = 0, switches = 0;
	uint64_t next_switch = 0;

	(void)state;
	srand(20260101);
	memset(&w, 0, sizeof w);
	w.got = calloc(OUT_SPAN, sizeof *w.got);
	rtp_slot_init(&w.slot, 5, 6, 90000, false);
	w.first = w.slot.highest + 1;
	/* what the sources send, and when it arrives, if it does */
	for (unsigned k = 0; k < SOURCES; k++) {
		uint64_t t = 1000000 + k * 7000;
		struct gen *g = &gens[k];

		w.truth[k] = calloc(65536, sizeof *w.truth[k]);
		assert_int_equal(rtp_store_init(&w.store[k], 512), 0);
		rtp_recv_init(&w.recv[k], k, 90000, false, true);
		while (g->count < PER_SOURCE - 10) {
			bool key = g->frame % 23 == 0;
			unsigned tid = key ? 0 : g->frame % 2,
				 n = 1 + (unsigned)rand() % 4;

			for (unsigned i = 0; i < n; i++) {
				struct truth *tr = &w.truth[k][g->count];
				unsigned dice = (unsigned)rand() % 100;
				struct pkt *p;

				tr->frame = g->frame;
				tr->tl0 = g->tl0;
				tr->pid_bits = (uint8_t)g->pid_bits;
				p = gen_packet(big, g, i == 0, i + 1 == n, key, tid);
				p->arrival_us = t + (uint64_t)(rand() % 12000);
				if (dice < 3) {
					tr->lost = true;
					pkt_unref(p);
					continue;
				}
				ev[events].repaired = dice < 8;
				if (dice < 8)
					p->arrival_us +=
						60000 + (uint64_t)(rand() % 100000);
				ev[events].at = p->arrival_us;
				ev[events].src = k;
				ev[events++].p = p;
			}
			t += 33333;
			gen_next(g, 3000,
				 (g->frame + 1) % 23 == 0 || (g->frame + 1) % 2 == 0);
		}
	}
	qsort(ev, events, sizeof *ev, by_time);
	for (unsigned i = 0; i < events; i++) {
		struct pkt *p = ev[i].p;
		unsigned k = ev[i].src;
		enum recv_result res = rtp_recv_packet(&w.recv[k], p, ev[i].repaired);
		struct rtp_out out;

		assert_true(res == RECV_NEW || res == RECV_LATE ||
			    (res == RECV_OLD && w.recv[k].received == 0));
		if (res == RECV_OLD) {
			pkt_unref(p);
			continue;
		}
		rtp_store_put(&w.store[k], p);
		if (ev[i].at >= next_switch) {
			target = 1 + (unsigned)rand() % SOURCES;
			next_switch = ev[i].at + 200000 + (uint64_t)(rand() % 900000);
		}
		if (k + 1 == target && current != target && p->rtp.frame.start &&
		    p->rtp.frame.key) {
			rtp_slot_switch(&w.slot, target, (uint8_t)(100 + k), 101,
					GEN_OUT_DD_ID, p);
			current = target;
			switches++;
		}
		if (k + 1 == current) {
			int err = rtp_slot_map(&w.slot, p, &out, false);

			if (err) {
				const struct rtp_segment *seg =
					&w.slot.segments[(w.slot.segment_count - 1) %
							 SLOT_SEGMENTS];

				assert_true(p->rtp.seq64 < seg->first_in);
			} else {
				w.late += res == RECV_LATE;
				deliver(&w, p, &out, rand() % 100 < 3);
			}
		}
		if (i % 10 == 0)
			nack_gaps(&w, ev[i].at, 200);
		pkt_unref(p);
	}
	assert_true(switches >= 100);
	for (unsigned i = 0; i < 5; i++)
		nack_gaps(&w, 100000000000ull + i * 2000000, 200);
	judge(&w);
	for (unsigned k = 0; k < SOURCES; k++) {
		rtp_store_fini(&w.store[k]);
		free(w.truth[k]);
	}
	for (unsigned i = 0; i < OUT_SPAN; i++)
		free(w.got[i].bytes);
	free(w.got);
	free(ev);
	assert_int_equal(pkt_pool_free_count(big), 2 * SOURCES * PER_SOURCE);
	pkt_pool_destroy(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
