/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The way of a packet. Read this file first.
 *
 *   udp_recv_batch → demux ┬ STUN → transport: answered at once
 *                          ├ DTLS → transport: queued, handshakes run after the batch
 *                          └ SRTP → transport_open (in place) → leg_on_rtp → rtp_recv →
 * relay which slots want it ┘ tx_flush ← seal ← legs_drain: header rewrite, the only copy
 * per receiver ← out queue ┘
 *
 * Between udp_recv_batch() and tx_flush() nothing allocates, locks, logs or asks for the
 * time: packets carry their arrival time, and the batch has one `now_us`
 * (tests/unit/test_worker_hot.c counts).
 */
#include "worker_private.h"

static void media(struct worker *w, struct pkt *p, bool rtcp, uint64_t now_us)
{
	struct leg *leg = transport_open(w->transport, p, rtcp, now_us);

	if (leg && rtcp)
		leg_on_rtcp(leg, p, now_us);
	else if (leg)
		leg_on_rtp(leg, p, now_us);
	pkt_unref(p);
}

/* One datagram (or TCP frame); takes the reference. */
void pipeline_packet(struct worker *w, struct pkt *p, uint64_t now_us)
{
	switch (wire_demux(p->data, p->len)) {
	case DEMUX_STUN:
		transport_on_stun(w->transport, p, now_us);
		return;
	case DEMUX_DTLS:
		transport_on_dtls(w->transport, p, now_us);
		return;
	case DEMUX_RTP:
		media(w, p, false, now_us);
		return;
	case DEMUX_RTCP:
		media(w, p, true, now_us);
		return;
	case DEMUX_OTHER:
		STAT_INC(rx_unknown);
		pkt_unref(p);
		return;
	}
}

/* How many there were. */
static unsigned batch_run(struct worker *w, struct udp_sock *sock, uint64_t now_us,
			  int64_t offset_us)
{
	struct pkt *batch[UDP_BATCH];
	unsigned count =
		udp_recv_batch(sock, w->pool, batch, UDP_BATCH, now_us, offset_us);

	for (unsigned i = 0; i < count; i++)
		pipeline_packet(w, batch[i], now_us);
	legs_drain(w->legs);
	tx_flush(w->tx);
	return count;
}

/* What mixers have made, a part at a time; in between whatever has come goes first. */
void pipeline_made(struct worker *w, uint64_t now_us)
{
	int64_t offset_us = clock_wall_offset_us();

	legs_drain(w->legs);
	while (legs_drain_made(w->legs, now_us)) {
		tx_flush(w->tx);
		now_us = clock_now_us();
		for (unsigned i = 0; i < ARRAY_LEN(w->udp); i++)
			if (w->udp[i])
				(void)batch_run(w, w->udp[i], now_us, offset_us);
	}
}

/* Everything that waits on one socket, in batches, but not for ever: other sockets and
 * timers want their turn. */
void pipeline_run(struct worker *w, struct udp_sock *sock)
{
	uint64_t now_us = clock_now_us();
	int64_t offset_us = clock_wall_offset_us();

	for (unsigned round = 0; round < PIPELINE_ROUNDS; round++) {
		if (batch_run(w, sock, now_us, offset_us) < UDP_BATCH)
			break;
		now_us = clock_now_us();
	}
	worker_after(w, now_us);
}
