/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The signalling side of the project's own test client: joins a palabred over HTTP and
 * holds the WebSocket, blocking, with a deadline on every step. For benchmarks and load
 * tests on loopback only.
 */
#ifndef TEST_SIGNAL_H
#define TEST_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGNAL_TEXT_MAX = 512 };
struct signal_link {
	uint16_t port;
	char room[80], token[SIGNAL_TEXT_MAX];
};
struct signal_join {
	int ws; /* socket of the WebSocket, -1 */
	char leg[32], person[32], ticket[SIGNAL_TEXT_MAX];
	char *answer; /* free() */
};
/* "http://localhost:8080/r/ROOM#TOKEN" → parts. 0 or -EINVAL. */
int signal_link_parse(struct signal_link *out, const char *url);
/* POST join. `media` is JSON for the media field or NULL. 0, -errno, or the HTTP status
 * negated (< -99). */
int signal_join(const struct signal_link *link, const char *name, const char *offer,
		const char *media, struct signal_join *out);
/* Opens the WebSocket, says hello and reads the welcome. */
int signal_events(const struct signal_link *link, struct signal_join *j);
/* Sends one text message. */
int signal_send(struct signal_join *j, const char *json);
/* Says without being asked that it is there: nothing here answers the server's pings, and who does
 * not for 15 s is closed. */
int signal_pong(struct signal_join *j);
/* Reads and throws away what has arrived; the bytes read, or -1 when closed. Never
 * blocks. */
long signal_drain(struct signal_join *j);
void signal_close(struct signal_join *j);

#endif
