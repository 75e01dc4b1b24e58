/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One HTTP/1.x request from bytes, without sockets: http-parser finds the pieces, this
 * keeps them and enforces the limits. Any thread.
 */
#ifndef PALABRE_NET_HTTP_PARSE_H
#define PALABRE_NET_HTTP_PARSE_H

#include <palabre/net.h>

#include <http_parser.h>

enum {
	/* Bytes of a body as sent: chunk headers may cost more than what they carry. */
	HTTP_BODY_RAW_MAX = 4 * HTTP_BODY_MAX
};

struct http_field { /* offsets of 0-terminated texts in head */
	uint16_t name, value;
};

struct http_msg {
	http_parser parser;
	char *head; /* target, then name and value of each field, 0-terminated */
	size_t head_len, head_cap;
	size_t head_seen, raw_seen;
	uint8_t *body; /* as sent; inflated once done */
	size_t body_len, body_cap;
	unsigned field_count;
	struct http_field field[HTTP_HEADERS_MAX];
	bool in_value;
	bool head_done, done;
	bool keep_alive;
	bool want_continue; /* Expect: 100-continue and nothing of the body yet */
	/* What is wrong with it: the answer's status (0: nothing), code and text. */
	int status;
	const char *code, *text;
};

void http_msg_init(struct http_msg *m);
void http_msg_fini(struct http_msg *m);
/* Returns the bytes used; all of them unless it is done or status is set. */
size_t http_msg_feed(struct http_msg *m, const void *data, size_t len);
const char *http_msg_target(const struct http_msg *m);
/* First one of the name; NULL. */
const char *http_msg_field(const struct http_msg *m, const char *name);
/* Is `token` in the comma-separated list of any field of the name? Any case. */
bool http_msg_has_token(const struct http_msg *m, const char *name, const char *token);

/* http_reply.c: RFC 9110 §5.6.2 token. */
bool http_field_name_valid(const char *name);

/* http_inflate.c: a whole gzip, zlib or raw deflate stream. -EBADMSG, -ENOBUFS more than
 * `max`, -ENOMEM. *out is the caller's to free(). */
enum http_coding { HTTP_GZIP, HTTP_DEFLATE };
int http_inflate(enum http_coding coding, const uint8_t *in, size_t len, size_t max,
		 uint8_t **out, size_t *out_len) MUST_CHECK;

/* The other way. `len` < 4 GB. -ENOMEM. */
int http_gzip(const void *in, size_t len, uint8_t **out, size_t *out_len) MUST_CHECK;

/* http_route.c: the target's path, percent-decoded. No %00 or other control characters,
 * no %2F (it would not be what the route saw), no "." or ".." segments, valid UTF-8. 0,
 * -EBADMSG, -ENOBUFS longer than HTTP_PATH_MAX. */
int http_path_decode(const char *target, char out[HTTP_PATH_MAX + 1]) MUST_CHECK;
/* http_query of include/palabre/net.h. */
int http_query_decode(const char *target, const char *name, char *out,
		      size_t cap) MUST_CHECK;

#endif
