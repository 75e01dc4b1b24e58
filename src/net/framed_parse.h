/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 4571 §2 frames out of a byte stream, without sockets. */
#ifndef PALABRE_NET_FRAMED_PARSE_H
#define PALABRE_NET_FRAMED_PARSE_H

#include <palabre/net.h>

enum {
	FRAMED_HEADER_BYTES = 2,
	/* What a packet of the pool holds; a longer frame is skipped and counted. */
	FRAMED_KEEP_MAX = PKT_BUF_BYTES - PKT_HEADROOM_BYTES
};

struct framed_parse {
	size_t len;  /* bytes in buf, of a frame not yet whole */
	size_t skip; /* bytes of a frame too long to keep still to come */
	uint8_t buf[FRAMED_HEADER_BYTES + FRAMED_KEEP_MAX];
};
/* A whole frame, 1..FRAMED_KEEP_MAX bytes, valid during the call. false: stop. */
typedef bool (*framed_frame_fn)(void *arg, const uint8_t *frame, size_t len);
/* 0; -EBADMSG a frame of more than FRAMED_MAX (the stream is lost); -ECANCELED fn said
 * stop. */
int framed_parse(struct framed_parse *f, const uint8_t *data, size_t len,
		 framed_frame_fn fn, void *arg) MUST_CHECK;

#endif
