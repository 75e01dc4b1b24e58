/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RTCP: iterates everything through every getter. A compound that passed rtcp_iter_init()
 * must come out to its last byte; a NACK that was read must survive being built again.
 */
#include "fuzz.h"

#include <palabre/wire.h>

#include <stdlib.h>
#include <string.h>

enum { SEQS_MAX = 512 };

static volatile uint32_t sink;

static void walk(const uint8_t *body, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sink += body[i];
}

static void try_nack(const struct rtcp_pkt *p)
{
	uint16_t seqs[SEQS_MAX], again[SEQS_MAX];
	uint8_t buf[12 + 4 * SEQS_MAX];
	unsigned n = rtcp_nack_get(p, seqs, SEQS_MAX);
	struct rtcp_iter it;
	struct rtcp_pkt q;
	struct wr w;

	check(n <= SEQS_MAX);
	check(rtcp_nack_get(p, again, n / 2) == n / 2);
	check(memcmp(seqs, again, n / 2 * sizeof *seqs) == 0);
	if (n == 0)
		return;
	wr_init(&w, buf, sizeof buf);
	rtcp_put_nack(&w, p->ssrc, p->media_ssrc, seqs, n);
	check(!w.bad);
	check(rtcp_iter_init(&it, buf, wr_len(&w)) == 0 && rtcp_next(&it, &q));
	check(q.ssrc == p->ssrc && q.media_ssrc == p->media_ssrc);
	unsigned m = rtcp_nack_get(&q, again, SEQS_MAX);

	/* Whatever their order, all that were asked for are asked for again. */
	for (unsigned i = 0; i < n; i++) {
		unsigned j = 0;

		while (j < m && again[j] != seqs[i])
			j++;
		check(j < m);
	}
}

/* What was read is said again, as far as one packet says it. */
static void twcc_again(const struct rtcp_pkt *p, uint16_t base, const int64_t *at_us,
		       unsigned count)
{
	struct rtcp_twcc head = { .ssrc = p->ssrc,
				  .media_ssrc = p->media_ssrc,
				  .base = base };
	uint8_t buf[1200];
	struct twcc_status status;
	struct twcc_iter it;
	struct rtcp_iter all;
	struct rtcp_pkt q;
	unsigned n;
	struct wr w;

	wr_init(&w, buf, sizeof buf);
	n = rtcp_put_twcc(&w, &head, at_us, count);
	check(!w.bad && n <= count && !n == !wr_len(&w));
	if (!n)
		return;
	check(rtcp_iter_init(&all, buf, wr_len(&w)) == 0 && rtcp_next(&all, &q));
	check(twcc_iter_init(&it, &q) == 0 && it.left == n);
	for (unsigned i = 0; i < n; i++) {
		check(twcc_next(&it, &status));
		check(status.received == (at_us[i] != TWCC_LOST));
		/* Of the clock 24 bits of 64 ms are told. */
		check(!status.received ||
		      (at_us[i] - status.arrival_us) % (INT64_C(64000) << 24) == 0);
	}
}

static void try_twcc(const struct rtcp_pkt *p)
{
	int64_t at_us[TWCC_STATUS_MAX];
	struct twcc_status status;
	struct twcc_iter it;
	uint16_t base;
	unsigned n = 0;

	if (twcc_iter_init(&it, p))
		return;
	check(it.left && it.left <= TWCC_STATUS_MAX);
	base = it.seq;
	while (twcc_next(&it, &status)) {
		check(n < TWCC_STATUS_MAX);
		at_us[n++] = status.received ? status.arrival_us : TWCC_LOST;
	}
	twcc_again(p, base, at_us, n);
}

static void try_reports(const struct rtcp_pkt *p)
{
	struct rtcp_block b;

	check(p->blocks <= RTCP_BLOCKS_MAX);
	for (unsigned i = 0; i <= p->blocks; i++) {
		rtcp_block_get(p, i, &b);
		check(b.lost >= -0x800000 && b.lost <= 0x7fffff);
		sink += b.ssrc;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	const uint8_t *end = copy;
	struct rtcp_iter it;
	struct rtcp_pkt p;
	unsigned packets = 0;

	check(copy);
	if (size)
		memcpy(copy, data, size);
	if (rtcp_iter_init(&it, copy, size) == 0) {
		while (rtcp_next(&it, &p)) {
			uint32_t ssrc;
			uint64_t bps;
			uint8_t seq;

			packets++;
			walk(p.body, p.body_len);
			try_reports(&p);
			try_nack(&p);
			try_twcc(&p);
			for (unsigned i = 0; rtcp_fir_get(&p, i, &ssrc, &seq); i++)
				check(8 * (i + 1) <= p.body_len);
			if (rtcp_remb_get(&p, &bps))
				sink += (uint32_t)bps;
			if (rtcp_rrtr_get(&p, &ssrc))
				check(p.type == RTCP_XR && p.body_len >= 12);
			end = it.rd.p;
		}
		check(packets > 0 && packets <= RTCP_PACKETS_MAX);
		check(end == copy + size);
	}
	free(copy);
	return 0;
}
