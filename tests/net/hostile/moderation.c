/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Somebody who does not care what a moderator has decided, nor what the page would show: goes
 * on sending when muted, helps themselves to a role, speaks as a listener. A host in the same
 * room must hear nothing of it, and hear them again when allowed.
 */
#include "hostile.h"

#include <stdio.h>

enum { SAY_MS = 600, PACKET_MS = 20, SETTLE_MS = 200 };

struct two {
	struct peer host, other;
	struct signal_link host_link, other_link;
};

static uint64_t heard(const struct peer *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PEER_AUDIO; i++)
		sum += p->slot_packets[i];
	return sum;
}

/* What the host hears of it. */
static uint64_t talk(struct two *t)
{
	uint64_t before = heard(&t->host);
	uint8_t buf[256];

	for (unsigned i = 0; i < SAY_MS / PACKET_MS; i++) {
		size_t len = peer_audio(&t->other, buf, t->other.audio_ssrc);

		client_send_rtp(t->other.client, buf, len);
		peer_run(&t->other, PACKET_MS / 2);
		peer_run(&t->host, PACKET_MS / 2);
	}
	(void)signal_drain(&t->host.join);
	(void)signal_drain(&t->other.join);
	return heard(&t->host) - before;
}

static void say(struct two *t, struct peer *who, const char *json)
{
	expect(!signal_send(&who->join, json), "cannot say %s", json);
	peer_run(&t->host, SETTLE_MS / 2);
	peer_run(&t->other, SETTLE_MS / 2);
}

static void say_of(struct two *t, struct peer *who, const char *type,
		   const struct peer *whom, const char *rest)
{
	char text[256];

	snprintf(text, sizeof text, "{\"t\":\"%s\",\"p\":\"%s\"%s}", type,
		 whom->join.person, rest);
	say(t, who, text);
}

static bool begin(struct two *t, struct hostile *h, const char *role)
{
	if (server_link(&h->server, "host", "moderated", &t->host_link) ||
	    server_link(&h->server, role, "moderated", &t->other_link) ||
	    peer_join(&t->host, h, &t->host_link, NULL, false))
		return false;
	if (peer_join(&t->other, h, &t->other_link, "{\"mic\":true}", false)) {
		peer_leave(&t->host);
		return false;
	}
	return peer_connect(&t->host) && peer_connect(&t->other) &&
	       expect(!signal_events(&t->host_link, &t->host.join) &&
			      !signal_events(&t->other_link, &t->other.join),
		      "no events");
}

static void end(struct two *t)
{
	peer_leave(&t->other);
	peer_leave(&t->host);
}

/* Nothing comes of what they try, whichever way. */
static void try_everything(struct two *t)
{
	static const char *const wishes[] = { "role", "allow", "ask", "call" };

	for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
		say_of(t, &t->other, wishes[i], &t->other,
		       ",\"role\":\"host\",\"k\":\"mic\"");
	say_of(t, &t->other, "mute", &t->host, ",\"k\":\"mic\"");
	say(t, &t->other, "{\"t\":\"rules\",\"mute\":false}");
	say(t, &t->other, "{\"t\":\"media\",\"mic\":true,\"screenaudio\":true}");
}

static void muted(struct hostile *h)
{
	static struct two t;
	struct counters before;
	uint64_t n;

	trying("moderation: muted");
	if (begin(&t, h, "speaker")) {
		n = talk(&t);
		expect(n > 10, "the host hears %llu packets before",
		       (unsigned long long)n);
		counters_read(h, &before);
		say_of(&t, &t.host, "mute", &t.other, ",\"k\":\"mic\"");
		n = talk(&t);
		expect(!n, "the host hears %llu packets of who is muted",
		       (unsigned long long)n);
		try_everything(&t);
		n = talk(&t);
		expect(!n, "and %llu after they tried", (unsigned long long)n);
		expect_grown(h, &before, "act_refused", 6);
		expect_grown(h, &before, "rtp_muted", 2 * SAY_MS / PACKET_MS - 4);
		say_of(&t, &t.host, "allow", &t.other, ",\"k\":\"mic\"");
		n = talk(&t);
		expect(!n, "%llu though they have not switched on",
		       (unsigned long long)n);
		say(&t, &t.other, "{\"t\":\"media\",\"mic\":true}");
		n = talk(&t);
		expect(n > 10, "the host hears %llu packets when allowed",
		       (unsigned long long)n);
	}
	end(&t);
}

static void listening(struct hostile *h)
{
	static struct two t;
	uint64_t n;

	trying("moderation: a listener speaks");
	if (begin(&t, h, "listener")) {
		n = talk(&t);
		expect(!n, "the host hears %llu packets of a listener",
		       (unsigned long long)n);
		try_everything(&t);
		n = talk(&t);
		expect(!n, "and %llu after they tried", (unsigned long long)n);
		say_of(&t, &t.host, "call", &t.other, "");
		say(&t, &t.other, "{\"t\":\"media\",\"mic\":true}");
		n = talk(&t);
		expect(n > 10, "the host hears %llu packets when they are called",
		       (unsigned long long)n);
	}
	end(&t);
}

void attack_moderation(struct hostile *h)
{
	muted(h);
	listening(h);
}
