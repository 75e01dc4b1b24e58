/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariant: what is kept of a request is bounded at each step (head, number of fields,
 * body, body as sent), whatever the order in which the bytes come; and a request is done
 * exactly once, with no byte of the next one touched.
 */
#include "http_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEAD_FIRST_BYTES = 1024,
	HEAD_CAP =
		HTTP_HEAD_MAX + 256, /* the zeros take no more than the separators did */
	BODY_FIRST_BYTES = 4096
};

static int fail(struct http_msg *m, int status, const char *code, const char *text)
{
	if (!m->status) {
		m->status = status;
		m->code = code;
		m->text = text;
	}
	return -1;
}

static int fail_memory(struct http_msg *m)
{
	return fail(m, 503, "out-of-memory",
		    "The server is short of memory; try again later.");
}

static int fail_body_size(struct http_msg *m)
{
	return fail(m, 413, "too-large", "The body is larger than this server accepts.");
}

static int fail_head_size(struct http_msg *m)
{
	return fail(m, 431, "head-too-large", "Send fewer or shorter header fields.");
}

/* Room for `n` bytes more, at most `cap_max` in all. */
static int grow(void **buf, size_t *cap, size_t len, size_t n, size_t first,
		size_t cap_max)
{
	size_t want = *cap ? *cap : first;
	void *p;

	if (n > cap_max - len)
		return -ENOBUFS;
	while (want < len + n)
		want *= 2;
	if (want > cap_max)
		want = cap_max;
	if (want == *cap)
		return 0;
	p = realloc(*buf, want);
	if (!p)
		return -ENOMEM;
	*buf = p;
	*cap = want;
	return 0;
}

static int head_add(struct http_msg *m, const char *s, size_t n)
{
	void *buf = m->head;
	int err = grow(&buf, &m->head_cap, m->head_len, n, HEAD_FIRST_BYTES, HEAD_CAP);

	m->head = buf;
	if (err)
		return err == -ENOBUFS ? fail_head_size(m) : fail_memory(m);
	memcpy(m->head + m->head_len, s, n);
	m->head_len += n;
	return 0;
}

static int head_end(struct http_msg *m)
{
	return head_add(m, "", 1);
}

static int on_url(http_parser *p, const char *at, size_t len)
{
	return head_add(p->data, at, len);
}

/* A new field begins: the text before it ends, whether target or value. */
static int field_begin(struct http_msg *m)
{
	struct http_field *f;

	if (m->field_count == HTTP_HEADERS_MAX)
		return fail_head_size(m);
	if (head_end(m))
		return -1;
	f = &m->field[m->field_count];
	f->name = (uint16_t)m->head_len;
	f->value = 0;
	return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
	struct http_msg *m = p->data;

	if (m->head_done) /* trailers: read and forgotten, RFC 9110 §6.5.1 allows it */
		return 0;
	if (m->field_count == 0 || m->in_value) {
		if (field_begin(m))
			return -1;
		m->field_count++;
		m->in_value = false;
	}
	return head_add(m, at, len);
}

static int on_value(http_parser *p, const char *at, size_t len)
{
	struct http_msg *m = p->data;
	size_t i;

	if (m->head_done)
		return 0;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return fail(m, 400, "bad-header",
				    "A header value has a control character.");
	}
	if (!m->in_value) {
		if (head_end(m))
			return -1;
		m->field[m->field_count - 1].value = (uint16_t)m->head_len;
		m->in_value = true;
	}
	return head_add(m, at, len);
}

const char *http_msg_target(const struct http_msg *m)
{
	return m->head_done ? m->head : "";
}

const char *http_msg_field(const struct http_msg *m, const char *name)
{
	unsigned i;

	if (!m->head_done)
		return NULL;
	for (i = 0; i < m->field_count; i++) {
		if (strcasecmp(m->head + m->field[i].name, name) == 0)
			return m->head + m->field[i].value;
	}
	return NULL;
}

static bool list_has(const char *list, const char *token)
{
	size_t len = strlen(token);

	while (*list) {
		const char *end;

		list += strspn(list, ", \t");
		end = list + strcspn(list, ", \t");
		if ((size_t)(end - list) == len && strncasecmp(list, token, len) == 0)
			return true;
		list = end;
	}
	return false;
}

bool http_msg_has_token(const struct http_msg *m, const char *name, const char *token)
{
	unsigned i;

	if (!m->head_done)
		return false;
	for (i = 0; i < m->field_count; i++) {
		if (strcasecmp(m->head + m->field[i].name, name) == 0 &&
		    list_has(m->head + m->field[i].value, token))
			return true;
	}
	return false;
}

static unsigned field_times(const struct http_msg *m, const char *name)
{
	unsigned i, n = 0;

	for (i = 0; i < m->field_count; i++)
		n += strcasecmp(m->head + m->field[i].name, name) == 0;
	return n;
}

static int check_head(struct http_msg *m)
{
	const http_parser *p = &m->parser;
	bool v11 = p->http_major == 1 && p->http_minor == 1;
	const char *coding = http_msg_field(m, "Transfer-Encoding");
	const char *expect = http_msg_field(m, "Expect");
	unsigned i;

	/* Debian builds http-parser lenient: it lets "Content-Length : 5" through as some
	 * other header, which a proxy in front may read as the length (RFC 9112 §5.1). */
	for (i = 0; i < m->field_count; i++) {
		if (!http_field_name_valid(m->head + m->field[i].name))
			return fail(m, 400, "bad-header", "A header name is malformed.");
	}
	if (!v11 && !(p->http_major == 1 && p->http_minor == 0))
		return fail(m, 505, "version", "Use HTTP/1.1.");
	if (p->method == HTTP_CONNECT)
		return fail(m, 405, "method", "This server is no proxy.");
	/* RFC 9112 §3.2: two of them is how requests are smuggled past a proxy. */
	if (field_times(m, "Host") != 1 && (v11 || field_times(m, "Host") > 1))
		return fail(m, 400, "host", "Send exactly one Host header.");
	if (coding && (strcasecmp(coding, "chunked") != 0 ||
		       field_times(m, "Transfer-Encoding") != 1))
		return fail(m, 501, "transfer-encoding",
			    "Only chunked is understood as Transfer-Encoding.");
	if (p->flags & F_CONTENTLENGTH && p->content_length > HTTP_BODY_MAX)
		return fail_body_size(m);
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return fail(m, 417, "expect", "Only Expect: 100-continue is understood.");
	m->want_continue = expect && v11 &&
			   (p->flags & F_CHUNKED ||
			    (p->flags & F_CONTENTLENGTH && p->content_length));
	return 0;
}

static int on_headers_complete(http_parser *p)
{
	struct http_msg *m = p->data;

	/* A field without a value never reached on_value. */
	if (m->field_count && !m->in_value) {
		if (head_end(m))
			return -1;
		m->field[m->field_count - 1].value = (uint16_t)m->head_len;
	}
	if (head_end(m))
		return -1;
	m->head_done = true;
	return check_head(m);
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_msg *m = p->data;
	void *buf = m->body;
	int err = grow(&buf, &m->body_cap, m->body_len, len, BODY_FIRST_BYTES,
		       HTTP_BODY_MAX);

	m->body = buf;
	m->want_continue = false;
	if (err)
		return err == -ENOBUFS ? fail_body_size(m) : fail_memory(m);
	memcpy(m->body + m->body_len, at, len);
	m->body_len += len;
	return 0;
}

static int on_message_complete(http_parser *p)
{
	struct http_msg *m = p->data;

	m->done = true;
	m->want_continue = false;
	m->keep_alive = http_should_keep_alive(p);
	http_parser_pause(p, 1); /* the next request is another struct's */
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void http_msg_init(struct http_msg *m)
{
	memset(m, 0, sizeof *m);
	http_parser_init(&m->parser, HTTP_REQUEST);
	m->parser.data = m;
}

void http_msg_fini(struct http_msg *m)
{
	free(m->head);
	free(m->body);
	m->head = NULL;
	m->body = NULL;
}

static void fail_parser(struct http_msg *m)
{
	switch (HTTP_PARSER_ERRNO(&m->parser)) {
	case HPE_HEADER_OVERFLOW:
		fail_head_size(m);
		break;
	case HPE_INVALID_METHOD:
		fail(m, 501, "method", "This method is not known.");
		break;
	case HPE_INVALID_VERSION:
		fail(m, 505, "version", "Use HTTP/1.1.");
		break;
	default:
		fail(m, 400, "bad-request", "This is not a well-formed HTTP request.");
		break;
	}
}

/* Once it is whole: what a Content-Encoding hides. */
static void decode_body(struct http_msg *m)
{
	const char *coding = http_msg_field(m, "Content-Encoding");
	enum http_coding how;
	uint8_t *out;
	size_t len;
	int err;

	if (!coding || !*coding || strcasecmp(coding, "identity") == 0)
		return;
	if (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0) {
		how = HTTP_GZIP;
	} else if (strcasecmp(coding, "deflate") == 0) {
		how = HTTP_DEFLATE;
	} else {
		fail(m, 415, "content-encoding",
		     "Use gzip, deflate or no Content-Encoding.");
		return;
	}
	err = http_inflate(how, m->body, m->body_len, HTTP_BODY_MAX, &out, &len);
	if (err == -EBADMSG)
		fail(m, 400, "content-encoding",
		     "The body is not what its Content-Encoding says.");
	else if (err == -ENOBUFS)
		fail_body_size(m);
	else if (err)
		fail_memory(m);
	if (err)
		return;
	free(m->body);
	m->body = out;
	m->body_len = m->body_cap = len;
}

/* At most the bytes that the limit of the part being read still allows. */
static size_t portion(struct http_msg *m, size_t len)
{
	size_t left = m->head_done ? HTTP_BODY_RAW_MAX - m->raw_seen
				   : HTTP_HEAD_MAX - m->head_seen;

	if (!left) {
		if (m->head_done)
			fail_body_size(m);
		else
			fail_head_size(m);
	}
	return len < left ? len : left;
}

size_t http_msg_feed(struct http_msg *m, const void *data, size_t len)
{
	const char *p = data;
	size_t n, used, total = 0;
	bool was_head;

	while (total < len && !m->done && !m->status) {
		n = portion(m, len - total);
		if (!n)
			break;
		was_head = !m->head_done;
		used = http_parser_execute(&m->parser, &settings, p + total, n);
		total += used;
		if (was_head)
			m->head_seen += used;
		else
			m->raw_seen += used;
		if (m->done)
			decode_body(m);
		else if (HTTP_PARSER_ERRNO(&m->parser) != HPE_OK || !used)
			fail_parser(m); /* keeps what a callback said */
	}
	return total;
}
