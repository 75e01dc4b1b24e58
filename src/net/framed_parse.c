/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariant: buf holds the beginning of exactly one frame, never a whole one, and is
 * empty while a frame is skipped. A frame that lies whole in the input isn't copied.
 */
#include "framed_parse.h"

#include <errno.h>
#include <string.h>

static size_t less(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Moves up to what makes buf `want` bytes long; how many. */
static size_t collect(struct framed_parse *f, const uint8_t *data, size_t len,
		      size_t want)
{
	size_t n = less(want - f->len, len);

	memcpy(f->buf + f->len, data, n);
	f->len += n;
	return n;
}

/* The frame that buf begins. Bytes used. */
static int take_rest(struct framed_parse *f, const uint8_t *data, size_t len,
		     const uint8_t **frame, size_t *used)
{
	size_t size;

	*frame = NULL;
	*used = f->len < FRAMED_HEADER_BYTES ? collect(f, data, len, FRAMED_HEADER_BYTES)
					     : 0;
	if (f->len < FRAMED_HEADER_BYTES)
		return 0;
	size = get_be16(f->buf);
	if (size > FRAMED_MAX)
		return -EBADMSG;
	if (size > FRAMED_KEEP_MAX) {
		STAT_INC(rx_trunc);
		f->skip = size;
		f->len = 0;
		return 0;
	}
	*used += collect(f, data + *used, len - *used, FRAMED_HEADER_BYTES + size);
	if (f->len == FRAMED_HEADER_BYTES + size) {
		*frame = f->buf + FRAMED_HEADER_BYTES;
		f->len = 0;
	}
	return 0;
}

int framed_parse(struct framed_parse *f, const uint8_t *data, size_t len,
		 framed_frame_fn fn, void *arg)
{
	const uint8_t *end = data + len, *frame;
	size_t used, size;
	int err;

	while (data < end) {
		if (f->skip) {
			used = less(f->skip, (size_t)(end - data));
			f->skip -= used;
			data += used;
			continue;
		}
		size = end - data >= FRAMED_HEADER_BYTES ? get_be16(data) : 0;
		if (!f->len && size <= FRAMED_KEEP_MAX &&
		    (size_t)(end - data) >= FRAMED_HEADER_BYTES + size) {
			frame = data + FRAMED_HEADER_BYTES;
			used = FRAMED_HEADER_BYTES + size;
		} else {
			err = take_rest(f, data, (size_t)(end - data), &frame, &used);
			if (err)
				return err;
			size = frame ? get_be16(f->buf) : 0;
		}
		data += used;
		if (frame && size &&
		    !fn(arg, frame, size)) /* an empty one says nothing */
			return -ECANCELED;
	}
	return 0;
}
