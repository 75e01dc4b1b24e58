/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A client's stream of TURN, let in and not: every unit is taken or refused, what goes out is well-formed,
 * and nothing goes anywhere but to us. */
#include "fuzz.h"

#include "turn.h"

#include <string.h>

static const struct addr client_at = { .family = 4,
				       .ip = { 192, 0, 2, 7 },
				       .port = 5001 };

static int on_password(void *arg, const char *name, size_t len,
		       char password[TOKEN_TEXT_MAX])
{
	(void)arg;
	check(name && len <= TURN_TEXT_MAX);
	memcpy(password, "password", sizeof "password");
	return len < TURN_NAME_MAX ? 0 : -1;
}

static bool on_ours(void *arg, const struct addr *peer)
{
	(void)arg;
	return peer->ip[0] == 203;
}

static void on_say(void *arg, const uint8_t *data, size_t len)
{
	struct turn_msg m;

	(void)arg;
	check(turn_unit(data, len) == (int)len && !turn_read(data, len, &m));
	check(m.class == TURN_SUCCESS || m.class == TURN_ERROR);
}

static void on_packet(void *arg, unsigned i, const uint8_t *data, size_t len)
{
	const struct turn *t = arg;
	uint8_t out[TURN_UNIT_MAX];
	size_t n;

	check(t->allocated && i < TURN_PEERS_MAX && t->peers[i].addr.ip[0] == 203);
	n = turn_wrap(t, i, data, len, out);
	check(!n || turn_unit(out, n) == (int)n);
}

static const struct turn_calls calls = { on_password, on_ours, on_say, on_packet };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct turn t;
	int len;

	if (!size)
		return 0;
	turn_init(&t, &client_at);
	if (data[0] & 1) { /* one who is inside */
		t.allocated = true;
		t.until_s = 100;
		t.peers[0] = (struct turn_peer) {
			{ .family = 4, .ip = { 203, 0, 113, 1 }, .port = 443 }, 0x4000
		};
	}
	for (data++, size--; (len = turn_unit(data, size)) > 0;
	     data += len, size -= (size_t)len)
		if (turn_on_unit(&t, data, (size_t)len, 1, &calls, &t))
			break;
	return 0;
}
