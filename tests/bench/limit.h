/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The floor a forwarder can reach here: a bare loop of recvmmsg, AES-128-GCM by EVP per
 * receiver, sendmmsg, with the same packets, the same number of receivers and drained
 * sockets, on loopback.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

/* Microseconds of the loop's thread CPU time per packet sent, or < 0. */
double limit_us_per_packet(unsigned receivers, unsigned publishers, unsigned seconds);

/* The synthetic publisher's mix: audio every 20 ms, video frames of `video_pkts` packets
 * every 40 ms. */
enum {
	MIX_AUDIO_BYTES = 80,
	MIX_VIDEO_BYTES = 1000,
	MIX_VIDEO_PKTS = 5, /* × 25 frames/s × 1000 bytes = 1 Mbit/s */
	MIX_TICK_US = 20000
};

#endif
