/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See signalling.h. Deliberately simple: one request a connection, whole answers in
 * memory.
 */
#include "signalling.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MAX = 2 * 1024 * 1024, DEADLINE_S = 10 };

int signal_link_parse(struct signal_link *out, const char *url)
{
	unsigned port;

	if (sscanf(url, "http://localhost:%u/r/%79[a-z0-9-]#%511[A-Za-z0-9_-]", &port,
		   out->room, out->token) != 3)
		return -EINVAL;
	out->port = (uint16_t)port;
	return 0;
}

static int dial(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval deadline = { DEADLINE_S, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
	if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int send_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return n ? -errno : -EPIPE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads head and body (Content-Length); *body points into buf. The status or -errno. */
static int read_answer(int fd, char *buf, char **body)
{
	size_t have = 0, want = SIZE_MAX;

	*body = NULL;
	while (have < want && have < ANSWER_MAX) {
		ssize_t n = recv(fd, buf + have, ANSWER_MAX - have, 0);

		if (n <= 0)
			break;
		have += (size_t)n;
		buf[have] = 0;
		if (!*body && (*body = strstr(buf, "\r\n\r\n"))) {
			const char *length = strcasestr(buf, "\r\ncontent-length:");

			*body += 4;
			want = (size_t)(*body - buf) +
			       (length && length < *body ? strtoul(length + 17, NULL, 10)
							 : 0);
		}
	}
	return *body && have >= want && have > 12 ? atoi(buf + 9) : -EPROTO;
}

static int take_join(char *body, struct signal_join *out)
{
	const char *answer = NULL, *ticket = NULL, *leg = NULL, *id = NULL;
	int err = -EPROTO;
	json_t *j;

	j = json_loads(body, 0, NULL);
	if (!json_unpack(j, "{s:s,s:s,s:s,s:{s:s}}", "answer", &answer, "ticket", &ticket,
			 "leg", &leg, "you", "id", &id)) {
		out->answer = strdup(answer);
		snprintf(out->ticket, sizeof out->ticket, "%s", ticket);
		snprintf(out->leg, sizeof out->leg, "%s", leg);
		snprintf(out->person, sizeof out->person, "%s", id);
		err = out->answer ? 0 : -ENOMEM;
	}
	json_decref(j);
	return err;
}

int signal_join(const struct signal_link *link, const char *name, const char *offer,
		const char *media, struct signal_join *out)
{
	json_t *body =
		json_pack("{ssssss}", "token", link->token, "name", name, "offer", offer);
	char *text, *buf = malloc(ANSWER_MAX + 1), *answer, head[256];
	int fd = dial(link->port), err = fd < 0 ? fd : 0, status;

	memset(out, 0, sizeof *out);
	out->ws = -1;
	if (media)
		json_object_set_new(body, "media", json_loads(media, 0, NULL));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (!err && (!text || !buf))
		err = -ENOMEM;
	if (!err) {
		snprintf(head, sizeof head,
			 "POST /api/1/rooms/%s/join HTTP/1.1\r\nHost: "
			 "localhost:%u\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			 link->room, link->port, strlen(text));
		err = send_all(fd, head, strlen(head));
	}
	if (!err)
		err = send_all(fd, text, strlen(text));
	if (!err) {
		status = read_answer(fd, buf, &answer);
		err = status == 201 ? take_join(answer, out)
		      : status < 0  ? status
				    : -status;
	}
	if (fd >= 0)
		close(fd);
	free(text);
	free(buf);
	return err;
}

int signal_send(struct signal_join *j, const char *json)
{
	size_t len = strlen(json), head = 2;
	unsigned char frame[1400];

	if (len > sizeof frame - 8)
		return -EINVAL;
	frame[0] = 0x81;
	if (len < 126) {
		frame[1] = (unsigned char)(0x80 | len);
	} else {
		frame[1] = 0x80 | 126;
		frame[2] = (unsigned char)(len >> 8);
		frame[3] = (unsigned char)len;
		head = 4;
	}
	memset(frame + head, 0, 4); /* a mask of zeros is a mask */
	memcpy(frame + head + 4, json, len);
	return send_all(j->ws, frame, head + 4 + len);
}

int signal_events(const struct signal_link *link, struct signal_join *j)
{
	char head[512], buf[2048], hello[SIGNAL_TEXT_MAX + 128];
	size_t have = 0;
	int err;

	j->ws = dial(link->port);
	if (j->ws < 0)
		return j->ws;
	snprintf(head, sizeof head,
		 "GET /api/1/rooms/%s/events HTTP/1.1\r\nHost: localhost:%u\r\nUpgrade: "
		 "websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: palabre.1\r\n\r\n",
		 link->room, link->port);
	err = send_all(j->ws, head, strlen(head));
	while (!err && have < sizeof buf - 1) {
		ssize_t n = recv(j->ws, buf + have, 1, 0);

		if (n <= 0)
			return -EPROTO;
		buf[++have] = 0;
		if (have >= 4 && !memcmp(buf + have - 4, "\r\n\r\n", 4))
			break;
	}
	if (err || strncmp(buf, "HTTP/1.1 101", 12))
		return err ? err : -EPROTO;
	snprintf(hello, sizeof hello,
		 "{\"t\":\"hello\",\"ticket\":\"%s\",\"leg\":\"%s\"}", j->ticket, j->leg);
	return signal_send(j, hello);
}

int signal_pong(struct signal_join *j)
{
	static const unsigned char frame[] = { 0x8a, 0x80, 0, 0, 0, 0 };

	return send_all(j->ws, frame, sizeof frame);
}

long signal_drain(struct signal_join *j)
{
	char buf[16384];
	long sum = 0;

	for (unsigned i = 0; i < 64; i++) {
		ssize_t n = recv(j->ws, buf, sizeof buf, MSG_DONTWAIT);

		if (n == 0)
			return -1;
		if (n < 0)
			return errno == EAGAIN ? sum : -1;
		sum += n;
	}
	return sum;
}

void signal_close(struct signal_join *j)
{
	if (j->ws >= 0)
		close(j->ws);
	j->ws = -1;
	free(j->answer);
	j->answer = NULL;
}
