/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * ICE restarts over HTTP: of a page, and of a WHIP publisher. seat.c is compiled here, so
 * that what the worker is told can be counted and refused.
 */
#define worker_leg_restart worker_told
#include "../../src/call/seat.c"
#undef worker_leg_restart

#include "unit/api_rig.h"
#include "unit/data/offers.h"

int worker_leg_restart(struct worker *w, uint64_t leg, const char *local_ufrag,
		       const char *local_pwd, const char *remote_ufrag,
		       const char *remote_pwd) MUST_CHECK;

static unsigned told;
static bool busy;

int worker_told(struct worker *w, uint64_t leg, const char *local_ufrag,
		const char *local_pwd, const char *remote_ufrag, const char *remote_pwd)
{
	if (busy)
		return -ENOBUFS;
	told++;
	return worker_leg_restart(w, leg, local_ufrag, local_pwd, remote_ufrag,
				  remote_pwd);
}

/* A link's token is what comes behind '#'. */
static const char *token(void)
{
	static char link[API_LINK_MAX];

	assert_int_equal(api_link(&api_secret, "room", ROLE_SPEAKER, 0, 0, link), 0);
	return strchr(link, '#') + 1;
}

/* Chromium's offer, with `ufrag` in front of its own. Caller frees. */
static char *offer_of(const char *name, const char *ufrag)
{
	static const char line[] = "a=ice-ufrag:";
	struct text t = { 0 };
	size_t len;
	char *s = offer_read(name, &len), *p = s, *at;

	while ((at = strstr(p, line))) {
		at += strlen(line);
		text_add_bytes(&t, p, (size_t)(at - p));
		text_add(&t, "%s", ufrag);
		p = at;
	}
	text_add(&t, "%s", p);
	free(s);
	assert_false(t.bad);
	return t.s;
}

static int post(const char *line, json_t *body)
{
	char *text = json_dumps(body, 0);
	int status = api_ask(line, "Host: a\r\n", text);

	free(text);
	json_decref(body);
	return status;
}

static json_t *joined;

static void join(void)
{
	char *offer = offer_of("chromium-audio", "");

	told = 0;
	busy = false;
	assert_int_equal(post("POST /api/1/rooms/room/join",
			      json_pack("{ssssss}", "token", token(), "name", "Asya",
					"offer", offer)),
			 201);
	free(offer);
	joined = json_loads(api_body(), 0, NULL);
	assert_non_null(joined);
}

static void leave(void)
{
	json_decref(joined);
}

/* The status; of 200, the answer too, which the caller frees. */
static int restart_with(const char *ufrag, char **answer)
{
	char *offer = offer_of("chromium-audio", ufrag);
	int status =
		post("POST /api/1/rooms/room/ice",
		     json_pack("{sOsOss}", "ticket", json_object_get(joined, "ticket"),
			       "leg", json_object_get(joined, "leg"), "offer", offer));
	json_t *got;

	free(offer);
	if (status == 200) {
		got = json_loads(api_body(), 0, NULL);
		*answer = strdup(json_string_value(json_object_get(got, "answer")));
		json_decref(got);
	}
	return status;
}

static void test_repeated_offer(void **state)
{
	char *first, *again, *next;

	(void)state;
	join();
	assert_int_equal(restart_with("New", &first), 200);
	assert_string_not_equal(first,
				json_string_value(json_object_get(joined, "answer")));
	assert_int_equal(told, 1);
	assert_int_equal(restart_with("New", &again), 200);
	assert_string_equal(again, first);
	assert_int_equal(told, 1); /* no second restart */
	assert_int_equal(restart_with("Newer", &next), 200);
	assert_string_not_equal(next, first);
	assert_int_equal(told, 2);
	free(first);
	free(again);
	free(next);
	leave();
}

/* What was refused has not happened: the same offer again restarts. */
static void test_busy_worker(void **state)
{
	char *answer = NULL;

	(void)state;
	join();
	busy = true;
	assert_int_equal(restart_with("New", &answer), 503);
	busy = false;
	assert_int_equal(restart_with("New", &answer), 200);
	assert_int_equal(told, 1);
	free(answer);
	leave();
}

static int patch(const char *line, const char *ufrag)
{
	char headers[700], body[200];

	snprintf(headers, sizeof headers,
		 "Host: a\r\nAuthorization: Bearer %s\r\nIf-Match: *\r\n"
		 "Content-Type: application/trickle-ice-sdpfrag\r\n",
		 token());
	snprintf(body, sizeof body, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", ufrag,
		 "P2uYro0UCOQ4zxjKXaWCBui1");
	return api_ask(line, headers, body);
}

static void test_busy_worker_of_a_publisher(void **state)
{
	char headers[700], line[200], *offer = offer_of("whip-gstreamer", ""), *at;

	(void)state;
	told = 0;
	busy = false;
	snprintf(headers, sizeof headers,
		 "Host: a\r\nAuthorization: Bearer %s\r\n"
		 "Content-Type: application/sdp\r\n",
		 token());
	assert_int_equal(api_ask("POST /whip/room", headers, offer), 201);
	free(offer);
	at = strstr((char *)api_client.in, "Location: ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "Location: %99s", headers), 1);
	snprintf(line, sizeof line, "PATCH %.99s", headers);
	busy = true;
	assert_int_equal(patch(line, "fresh"), 503);
	busy = false;
	assert_int_equal(patch(line, "fresh"), 200);
	assert_int_equal(told, 1);
	assert_int_equal(patch(line, "fresh"), 204); /* nothing new */
	assert_int_equal(told, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_repeated_offer, api_setup,
						api_teardown),
		cmocka_unit_test_setup_teardown(test_busy_worker, api_setup,
						api_teardown),
		cmocka_unit_test_setup_teardown(test_busy_worker_of_a_publisher,
						api_setup, api_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
