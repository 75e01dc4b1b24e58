/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers: heads and small JSON errors. Nothing given by a caller can end a line early.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_inner.h"

bool http_field_name_valid(const char *name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	const char *p;

	for (p = name; *p; p++) {
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= 'A' && *p <= 'Z') || strchr(others, *p)))
			return false;
	}
	return p > name;
}

bool http_field_value_valid(const char *value)
{
	const unsigned char *p = (const unsigned char *)value;

	for (; *p; p++) {
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	}
	return true;
}

/* These say where the message ends; only this file does. */
static bool reserved(const char *name)
{
	return strcasecmp(name, "Connection") == 0 ||
	       strcasecmp(name, "Content-Length") == 0 ||
	       strcasecmp(name, "Transfer-Encoding") == 0;
}

/* An answer with an SDP is 14 KB, of which a tenth is news: on a thin link that is seconds.
 * Secrets in it (a ticket) are new each time, so its length gives nothing away. */
enum { GZIP_MIN_BYTES = 1024 };

/* NULL: the body goes as it is. */
static uint8_t *pack(struct http_request *rq, const char *type, const void *body,
		     size_t *len)
{
	uint8_t *packed;

	if (*len < GZIP_MIN_BYTES || !type || strcmp(type, "application/json") != 0 ||
	    !http_msg_has_token(&rq->msg, "Accept-Encoding", "gzip") ||
	    http_gzip(body, *len, &packed, len))
		return NULL;
	http_set_header(rq, "Content-Encoding", "gzip");
	return packed;
}

/* The line of `name` in the headers set so far, and its length with CR LF. */
static char *find_line(struct text *t, const char *name, size_t *len)
{
	size_t n = strlen(name);
	char *line, *end;

	for (line = t->s; line && *line; line = end) {
		end = strstr(line, "\r\n") + 2; /* each line was added whole */
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			*len = (size_t)(end - line);
			return line;
		}
	}
	return NULL;
}

void http_set_header(struct http_request *rq, const char *name, const char *value)
{
	struct text *t = &rq->headers;
	size_t len;
	char *line;

	if (!http_field_name_valid(name) || !http_field_value_valid(value) ||
	    reserved(name) ||
	    t->len + strlen(name) + strlen(value) + 4 > HTTP_REPLY_HEADERS_MAX) {
		log_warn("http.header", "refused=%s",
			 http_field_name_valid(name) ? name : "name");
		return;
	}
	line = find_line(t, name, &len);
	if (line) {
		memmove(line, line + len, t->len - (size_t)(line - t->s) - len + 1);
		t->len -= len;
	}
	text_add(t, "%s: %s\r\n", name, value);
}

void http_set_close(struct http_request *rq)
{
	rq->close = true;
}

void http_reply_head(struct text *t, const struct http_request *rq, int status,
		     const char *type, int64_t len, bool keep_alive)
{
	text_add(t, "HTTP/1.1 %d %s\r\n", status,
		 http_status_str((enum http_status)status));
	if (type && http_field_value_valid(type))
		text_add(t, "Content-Type: %s\r\n", type);
	if (len >= 0)
		text_add(t, "Content-Length: %" PRId64 "\r\n", len);
	if (!keep_alive)
		text_add(t, "Connection: close\r\n");
	else if (rq->msg.parser.http_minor == 0)
		text_add(t, "Connection: keep-alive\r\n");
	if (rq->headers.len)
		text_add_bytes(t, rq->headers.s, rq->headers.len);
	text_add(t, "\r\n");
}

void http_reply(struct http_request *rq, int status, const char *type, const void *body,
		size_t len)
{
	/* RFC 9110 §8.6: these have no body, and 204 no length either */
	bool bare = status == 204 || status == 304 || (status >= 100 && status < 200);
	bool keep = rq->msg.keep_alive && rq->msg.done && !rq->close;
	struct http_conn *c = rq->conn;
	struct text head = { 0 };
	uint8_t *packed;

	if (rq->answered)
		return;
	rq->answered = true;
	if (!c)
		return;
	packed = pack(rq, type, body, &len);
	http_reply_head(&head, rq, status, type, bare ? -1 : (int64_t)len, keep);
	if (bare || strcmp(http_method(rq), "HEAD") == 0)
		len = 0;
	rq->conn = NULL;
	http_conn_send(c, &head, packed ? packed : body, len, keep);
	free(packed);
	text_free(&head);
}

static void add_json_text(struct text *t, const char *s)
{
	text_add(t, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			text_add(t, "\\%c", c);
		else if (c < 0x20)
			text_add(t, "\\u%04x", c);
		else
			text_add_bytes(t, s, 1);
	}
	text_add(t, "\"");
}

static void count_error(int status)
{
	switch (status) {
	case 413:
	case 414:
	case 429:
	case 431:
	case 503:
		STAT_INC(http_limited);
		break;
	case 500:
		STAT_INC(http_failed);
		break;
	default:
		STAT_INC(http_refused);
	}
}

void http_reply_error(struct http_request *rq, int status, const char *code,
		      const char *text)
{
	struct text t = { 0 };

	if (rq->conn)
		count_error(status);
	text_add(&t, "{\"error\":");
	add_json_text(&t, code);
	text_add(&t, ",\"message\":");
	add_json_text(&t, text);
	text_add(&t, "}\n");
	http_reply(rq, status, "application/json", t.bad ? "" : t.s, t.bad ? 0 : t.len);
	text_free(&t);
}
