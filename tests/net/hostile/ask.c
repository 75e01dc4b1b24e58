/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One HTTP exchange as an attacker makes it: any bytes out, one answer back. */
#include "hostile.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MS = 8000 };

/* Is the answer in r->text whole? Also when the head says nothing of a length and there
 * can be none (204, 304). */
static bool whole(struct reply *r, size_t len)
{
	char *end = strstr(r->text, "\r\n\r\n");
	const char *length;

	if (!end)
		return false;
	r->body = end + 4;
	length = strcasestr(r->text, "\r\ncontent-length:");
	if (!length || length > end)
		return true;
	return len >= (size_t)(r->body - r->text) + strtoul(length + 17, NULL, 10);
}

static void judge(struct reply *r, size_t len)
{
	const char *code = r->body ? strstr(r->body, "\"error\":\"") : NULL;

	if (len < 12 || strncmp(r->text, "HTTP/1.1 ", 9) != 0)
		return;
	r->status = atoi(r->text + 9);
	if (r->body)
		snprintf(r->head, sizeof r->head, "%.*s",
			 (int)(r->body - r->text < 1000 ? r->body - r->text : 1000),
			 r->text);
	if (code)
		(void)sscanf(code + 9, "%31[a-z0-9-]", r->code);
}

static bool send_some(int fd, const uint8_t **data, size_t *len)
{
	ssize_t n = send(fd, *data, *len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	*data += n;
	*len -= (size_t)n;
	return true;
}

/* Both ways at once: a server that refuses early answers before all is sent. */
static void exchange(int fd, const uint8_t *data, size_t len, struct reply *r)
{
	uint64_t end_us = clock_now_us() + ANSWER_MS * 1000ULL;
	bool writable = true;
	size_t have = 0;

	r->status = -1;
	while (clock_now_us() < end_us) {
		struct pollfd p = { fd, POLLIN, 0 };
		ssize_t n;

		if (writable && len)
			p.events |= POLLOUT;
		if (poll(&p, 1, 200) <= 0)
			continue;
		if (p.revents & POLLOUT)
			writable = send_some(fd, &data, &len);
		if (!(p.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = recv(fd, r->text + have, sizeof r->text - 1 - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n > 0) {
			have += (size_t)n;
			r->text[have] = 0;
			/* a 100 is not yet the answer */
			if (!strncmp(r->text, "HTTP/1.1 100", 12) && whole(r, have)) {
				have -= (size_t)(r->body - r->text);
				memmove(r->text, r->body, have + 1);
			}
		}
		if (n <= 0 || whole(r, have) || have == sizeof r->text - 1) {
			r->status = 0;
			judge(r, have);
			return;
		}
	}
}

int ask(const struct hostile *h, const char *address, const void *data, size_t len,
	struct reply *r)
{
	int fd = tcp_from(h, address);

	memset(r, 0, sizeof *r);
	r->body = r->text;
	if (fd < 0)
		return -1;
	exchange(fd, data, len, r);
	close(fd);
	return r->status;
}

int post(const struct hostile *h, const char *address, const char *path,
	 const char *headers, const void *body, size_t len, struct reply *r)
{
	size_t cap = len + strlen(path) + strlen(headers) + 256;
	char *text = malloc(cap);
	int n, status;

	if (!text)
		abort();
	n = snprintf(text, cap,
		     "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: "
		     "%zu\r\nConnection: close\r\n\r\n",
		     path, headers, len);
	memcpy(text + n, body, len);
	status = ask(h, address, text, (size_t)n + len, r);
	free(text);
	return status;
}

char *join_body(const struct signal_link *link, const char *name, const char *offer)
{
	json_t *j =
		json_pack("{ssssss}", "token", link->token, "name", name, "offer", offer);
	char *text = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	if (!text)
		abort();
	return text;
}
