/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A view names somebody who is not here (yet): after a restart of the server everybody comes
 * back with the same ids. seat.c is compiled here, so that what the worker is told is seen.
 */
#define worker_leg_view worker_told
#include "../../src/call/seat.c"
#undef worker_leg_view

#include "unit/api_rig.h"
#include "unit/data/offers.h"

int worker_leg_view(struct worker *w, uint64_t leg, bool automatic,
		    const struct relay_view *view, unsigned count) MUST_CHECK;

static unsigned told, told_count;
static uint64_t told_leg;
static uint32_t told_stream;

int worker_told(struct worker *w, uint64_t leg, bool automatic,
		const struct relay_view *view, unsigned count)
{
	told++;
	told_leg = leg;
	told_count = count;
	told_stream = count ? view[0].stream : 0;
	return worker_leg_view(w, leg, automatic, view, count);
}

/* Joins by ticket if there is one; the answer. */
static json_t *join(const char *name, const json_t *before)
{
	char link[API_LINK_MAX];
	size_t len;
	char *offer = offer_read("chromium-audio", &len), *text;
	json_t *body = json_pack("{ssss}", "name", name, "offer", offer);

	assert_int_equal(api_link(&api_secret, "room", ROLE_SPEAKER, 0, 0, link), 0);
	if (before)
		json_object_set(body, "ticket", json_object_get(before, "ticket"));
	else
		json_object_set_new(body, "token", json_string(strchr(link, '#') + 1));
	text = json_dumps(body, 0);
	assert_int_equal(api_ask("POST /api/1/rooms/room/join", "Host: a\r\n", text),
			 201);
	free(text);
	free(offer);
	json_decref(body);
	body = json_loads(api_body(), 0, NULL);
	assert_non_null(body);
	return body;
}

static struct seat *seat_of(const json_t *joined)
{
	const json_t *you = json_object_get(joined, "you");

	return call_seat(call_find(api_calls, "room"),
			 json_string_value(json_object_get(you, "id")));
}

static void test_comes_back_later(void **state)
{
	struct seat_view view = { .kind = STREAM_CAMERA, .width = 640, .height = 480 };
	json_t *asya = join("Asya", NULL), *bo = join("Bo", NULL), *again, *bo_again,
	       *cleo;
	struct seat *a;

	strcpy(view.person, seat_of(bo)->person->id);
	/* The server is restarted. Asya is first, and still wants to see Bo. */
	api_teardown(state);
	api_setup(state);
	again = join("Asya", asya);
	a = seat_of(again);
	told = 0;
	call_view(a, false, &view, 1);
	assert_int_equal(told, 1);
	assert_int_equal(told_count, 0);
	cleo = join("Cleo", NULL); /* nobody asked for her */
	assert_int_equal(told, 1);
	bo_again = join("Bo", bo);
	assert_int_equal(told, 2);
	assert_int_equal(told_leg, a->leg);
	assert_int_equal(told_count, 1);
	assert_int_equal(told_stream,
			 leg_stream_id(seat_of(bo_again)->person->number, STREAM_CAMERA));
	json_decref(bo_again);
	json_decref(cleo);
	json_decref(again);
	json_decref(bo);
	json_decref(asya);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back_later, api_setup,
						api_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
