/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bodies with a Content-Encoding. What is inflated is bounded while it is made: a bomb costs
 * no more than `max` bytes and the time to fill them. */
#include "http_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum { INFLATE_FIRST_BYTES = 8192 };

/* Inflates all of z's input into a buffer that grows. */
static int inflate_all(z_stream *z, size_t max, uint8_t **out, size_t *out_len)
{
	size_t limit = max + 1; /* one more, so that exactly `max` is seen to end */
	size_t cap = INFLATE_FIRST_BYTES < limit ? INFLATE_FIRST_BYTES : limit, want;
	uint8_t *buf = malloc(cap), *more;
	int r, err = -EBADMSG;

	if (!buf)
		return -ENOMEM;
	z->next_out = buf;
	z->avail_out = (unsigned)cap;
	for (;;) {
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			break;
		if (r == Z_MEM_ERROR)
			err = -ENOMEM;
		if ((r != Z_OK && r != Z_BUF_ERROR) || z->avail_out)
			goto out; /* malformed, or the input ends too early */
		if (cap == limit) {
			err = -ENOBUFS;
			goto out;
		}
		want = cap * 2 < limit ? cap * 2 : limit;
		more = realloc(buf, want);
		if (!more) {
			err = -ENOMEM;
			goto out;
		}
		buf = more;
		z->next_out = buf + cap;
		z->avail_out = (unsigned)(want - cap);
		cap = want;
	}
	if (z->total_out > max) {
		err = -ENOBUFS;
		goto out;
	}
	if (z->avail_in)
		goto out; /* something behind the end */
	*out = buf;
	*out_len = z->total_out;
	return 0;
out:
	free(buf);
	return err;
}

static int run(int window_bits, const uint8_t *in, size_t len, size_t max, uint8_t **out,
	       size_t *out_len)
{
	z_stream z = { 0 };
	int err;

	if (inflateInit2(&z, window_bits) != Z_OK)
		return -ENOMEM;
	z.next_in = (z_const Bytef *)in;
	z.avail_in = (unsigned)len;
	err = inflate_all(&z, max, out, out_len);
	inflateEnd(&z);
	return err;
}

int http_inflate(enum http_coding coding, const uint8_t *in, size_t len, size_t max,
		 uint8_t **out, size_t *out_len)
{
	int err;

	if (!len)
		return -EBADMSG;
	if (coding == HTTP_GZIP)
		return run(16 + MAX_WBITS, in, len, max, out, out_len);
	/* RFC 9110 §8.4.1.2 means zlib's format; clients that send raw deflate exist, and
	 * CompressionStream("deflate-raw") makes it. */
	err = run(MAX_WBITS, in, len, max, out, out_len);
	if (err == -EBADMSG)
		err = run(-MAX_WBITS, in, len, max, out, out_len);
	return err;
}

int http_gzip(const void *in, size_t len, uint8_t **out, size_t *out_len)
{
	z_stream z = { 0 };
	uint8_t *buf;
	size_t cap;
	int r;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS,
			 MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	cap = deflateBound(&z, len);
	buf = malloc(cap);
	z.next_in = (z_const Bytef *)in;
	z.avail_in = (unsigned)len;
	z.next_out = buf;
	z.avail_out = (unsigned)cap;
	r = buf ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	deflateEnd(&z);
	if (r != Z_STREAM_END) {
		free(buf);
		return -ENOMEM;
	}
	*out = buf;
	*out_len = z.total_out;
	return 0;
}
