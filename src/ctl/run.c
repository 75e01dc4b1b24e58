/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Asks the server, and reads its lines. */
#include "show.h"

#include <palabre/ctl.h>
#include <palabre/wire.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { EXIT_REFUSED = 1, EXIT_NO_SERVER = 3, WAIT_S = 15, REPLY_MAX = 1024 * 1024 };

static int complain(const char *path, int err)
{
	const char *mend =
		err == ENOENT || err == ECONNREFUSED
			? "palabred does not run, or with another server.runtime_dir"
		: err == EACCES ? "only root and the user that palabred runs as may ask"
		: err == EAGAIN ? "the server does not answer"
				: strerror(err);

	fprintf(stderr, "palabrectl: %s: %s\n", path, mend);
	return EXIT_NO_SERVER;
}

static int find_socket(const struct ctl_command *c, char out[2 * CTL_PATH_MAX])
{
	const char *given = c->socket[0] ? c->socket : getenv("PALABRE_SOCKET");
	char dir[CTL_PATH_MAX];

	if (given && given[0]) {
		snprintf(out, 2 * CTL_PATH_MAX, "%s", given);
		return 0;
	}
	if (ctl_dir("", false, dir)) {
		fputs("palabrectl: no palabred runs here (no " CTL_SOCKET
		      " in /run/palabre); --socket FILE names another place\n",
		      stderr);
		return -ENOENT;
	}
	snprintf(out, 2 * CTL_PATH_MAX, "%s/%s", dir, CTL_SOCKET);
	return 0;
}

static int reach(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval wait = { WAIT_S, 0 };
	int fd;

	if (strlen(path) >= sizeof at.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	if (connect(fd, (struct sockaddr *)&at, sizeof at)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* -EMSGSIZE, -ENOMEM. A server that has hung up has said why: that is still to be read. */
static int ask(int fd, const struct json_t *request)
{
	struct text line = { 0 };
	char *text = json_write(request);
	int err = text ? 0 : -ENOMEM;

	if (!err && strlen(text) >= CTL_LINE_MAX)
		err = -EMSGSIZE;
	if (!err)
		text_add(&line, "%s\n", text);
	for (size_t sent = 0; sent < line.len;) {
		ssize_t n = send(fd, line.s + sent, line.len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	text_free(&line);
	free(text);
	return err;
}

/* The last line; items are added to `items`. NULL and errno. */
static json_t *read_reply(FILE *f, json_t *items)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	json_t *end = NULL;

	while (!end && (len = getline(&line, &cap, f)) > 0 && len < REPLY_MAX) {
		json_t *j = json_loadb(line, (size_t)len, 0, NULL);
		json_t *item = json_object_get(j, "item");

		if (item)
			json_array_append(items, item);
		else if (json_is_object(j))
			end = json_incref(j);
		json_decref(j);
	}
	if (!end && !ferror(f))
		errno = ECONNRESET;
	free(line);
	return end;
}

/* One document, as it came. */
static int print_json(json_t *items, json_t *end, bool list)
{
	json_object_del(end, "ok");
	if (list)
		json_object_set(end, "items", items);
	json_dumpf(end, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	return json_object_get(end, "error") ||
			       json_is_true(json_object_get(end, "unkept"))
		       ? EXIT_REFUSED
		       : EXIT_SUCCESS;
}

static bool is_list(const char *verb)
{
	static const char *const lists[] = { "rooms", "links", "people", "keys" };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (!strcmp(verb, lists[i]))
			return true;
	return false;
}

static int print(const struct ctl_command *c, json_t *items, json_t *end)
{
	const char *message = json_string_value(json_object_get(end, "message"));

	if (c->json)
		return print_json(items, end,
				  is_list(c->name) && !json_object_get(end, "error"));
	if (!json_object_get(end, "error"))
		return show(c->name, items, end);
	fprintf(stderr, "palabrectl: %s\n", message ? message : "refused");
	return EXIT_REFUSED;
}

int ctl_run(const struct ctl_command *c)
{
	char path[2 * CTL_PATH_MAX];
	json_t *items, *end;
	int status, fd;
	FILE *f;

	if (find_socket(c, path))
		return EXIT_NO_SERVER;
	fd = reach(path);
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!f)
		return complain(path, errno);
	if (ask(fd, c->ask)) {
		fprintf(stderr, "palabrectl: that is longer than %d bytes\n",
			CTL_LINE_MAX);
		fclose(f);
		return EXIT_REFUSED;
	}
	items = json_array();
	end = read_reply(f, items);
	status = end ? print(c, items, end) : complain(path, errno);
	json_decref(items);
	json_decref(end);
	fclose(f);
	return status;
}
