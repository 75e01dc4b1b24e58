/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Moderation and the board as pages see them: by raw messages, well-meant and hostile.
 * session.c and seat.c are compiled here: with WebSockets of our own, and so that what
 * the worker is told to forward is seen and can be refused.
 */
#define ws_accept	 fake_accept
#define ws_send		 fake_send
#define ws_close	 fake_close
#define http_segment	 fake_segment
#define http_reply_error fake_reply_error
#include "../../src/api/session.c"
#undef http_reply_error
#undef http_segment
#undef ws_close
#undef ws_send
#undef ws_accept
int worker_told(struct worker *w, uint64_t leg, enum stream_kind kind,
		bool on) MUST_CHECK;
#define worker_leg_media worker_told
#include "../../src/call/seat.c"
#undef worker_leg_media

#include "unit/api_rig.h"
#include "unit/data/offers.h"

struct ws {
	const struct ws_ops *ops;
	struct session *session;
	json_t *got; /* all events, in order */
	size_t bytes;
	unsigned closed; /* code */
	char id[PERSON_ID_BYTES + 1], ticket[TOKEN_TEXT_MAX];
};

static struct ws *opening;
static bool busy, forwarded[STREAM_KINDS]; /* of the last leg that was told of */
static uint64_t forwarded_leg;

int worker_told(struct worker *w, uint64_t leg, enum stream_kind kind, bool on)
{
	if (busy)
		return -ENOBUFS;
	if (leg != forwarded_leg)
		memset(forwarded, 0, sizeof forwarded);
	forwarded_leg = leg;
	forwarded[kind] = on;
	return worker_leg_media(w, leg, kind, on);
}

const char *fake_segment(const struct http_request *rq, unsigned i)
{
	(void)rq;
	(void)i;
	return "room";
}

void fake_reply_error(struct http_request *rq, int status, const char *code,
		      const char *text)
{
	(void)rq;
	fail_msg("%d %s %s", status, code, text);
}

struct ws *fake_accept(struct http_request *rq, const char *subprotocol,
		       const struct ws_ops *ops, void *arg)
{
	(void)rq;
	(void)subprotocol;
	opening->ops = ops;
	opening->session = arg;
	return opening;
}

int fake_send(struct ws *w, const char *text, size_t len)
{
	json_t *batch = json_loadb(text, len, 0, NULL);

	assert_true(json_is_array(batch));
	w->bytes += len;
	json_array_extend(w->got, batch);
	json_decref(batch);
	return 0;
}

void fake_close(struct ws *w, unsigned code, const char *reason)
{
	(void)reason;
	w->closed = code;
}

/* ---- pages -------------------------------------------------------------------------- */

static void say_text(struct ws *w, const char *text)
{
	if (w->session)
		w->ops->on_text(w->session, text, strlen(text));
	sessions_flush(api);
}

static void say(struct ws *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct ws *w, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	w->session->messages = 0;     /* how many is another test's */
	for (char *c = text; *c; c++) /* so that the tests are readable */
		if (*c == '\'')
			*c = '"';
	say_text(w, text);
}

/* The last event of this type since hush(); NULL. */
static const json_t *heard(const struct ws *w, const char *t)
{
	const json_t *found = NULL, *e;
	size_t i;

	json_array_foreach(w->got, i, e) if (!strcmp(json_get_text(e, "t", 32), t))
		found = e;
	return found;
}

static unsigned how_often(const struct ws *w, const char *t)
{
	unsigned count = 0;
	const json_t *e;
	size_t i;

	json_array_foreach(w->got, i, e) count += !strcmp(json_get_text(e, "t", 32), t);
	return count;
}

static void hush(struct ws *w)
{
	json_array_clear(w->got);
	w->bytes = 0;
}

static const char *text_of(const json_t *e, const char *key)
{
	assert_non_null(e);
	assert_true(json_is_string(json_object_get(e, key)));
	return json_string_value(json_object_get(e, key));
}

static int64_t number_of(const json_t *e, const char *key)
{
	assert_non_null(e);
	assert_true(json_is_integer(json_object_get(e, key)));
	return json_integer_value(json_object_get(e, key));
}

static void assert_refused(struct ws *w, const char *code, const char *why)
{
	const json_t *e = heard(w, "error");

	assert_string_equal(text_of(e, "error"), code);
	if (why)
		assert_string_equal(text_of(e, "why"), why);
	assert_true(strlen(text_of(e, "message")) > 10);
	hush(w);
}

static json_t *token_of(enum role role)
{
	char link[API_LINK_MAX];

	assert_int_equal(api_link(&api_secret, "room", role, 0, 0, link), 0);
	return json_string(strchr(link, '#') + 1);
}

/* By ticket, if the page has one. The status. */
static int post_join(struct ws *w, const char *name, enum role role, const char *key)
{
	size_t len;
	char *offer = offer_read("chromium-audio", &len), *text;
	json_t *body = json_pack("{ssss}", "name", name, "offer", offer), *answer;
	int status;

	if (w->ticket[0])
		json_object_set_new(body, "ticket", json_string(w->ticket));
	else
		json_object_set_new(body, "token", token_of(role));
	if (key)
		json_object_set_new(body, "key", json_string(key));
	text = json_dumps(body, 0);
	status = api_ask("POST /api/1/rooms/room/join", "Host: a\r\n", text);
	free(text);
	free(offer);
	json_decref(body);
	answer = json_loads(api_body(), 0, NULL);
	assert_non_null(answer);
	if (status < 300) {
		snprintf(w->ticket, sizeof w->ticket, "%s", text_of(answer, "ticket"));
		snprintf(w->id, sizeof w->id, "%s",
			 text_of(json_object_get(answer, "you"), "id"));
		assert_true((status == 202) ==
			    json_is_true(json_object_get(answer, "waiting")));
	}
	json_decref(answer);
	return status;
}

static void open_socket(struct ws *w)
{
	w->got = w->got ? w->got : json_array();
	opening = w;
	w->closed = 0;
	session_open(NULL, api);
	say(w, "{'t':'hello','ticket':'%s'}", w->ticket);
}

static struct ws *page(const char *name, enum role role)
{
	struct ws *w = calloc(1, sizeof *w);

	assert_int_equal(post_join(w, name, role, NULL), 201);
	open_socket(w);
	assert_non_null(heard(w, "welcome"));
	return w;
}

static void shut(struct ws *w)
{
	if (w->session)
		w->ops->on_close(w->session, 1000);
	w->session = NULL;
	json_decref(w->got);
	free(w);
}

static struct seat *seat_at(const struct ws *w)
{
	return call_seat(call_find(api_calls, "room"), w->id);
}

static struct room *the_room(void)
{
	return call_room(call_find(api_calls, "room"));
}

static struct ws *host, *guest, *listener;

static int set_up(void **state)
{
	api_setup(state);
	busy = false;
	api_conf.room.joins_per_minute_per_address_max = 1000;
	host = page("Host", ROLE_HOST);
	guest = page("Guest", ROLE_SPEAKER);
	listener = page("Listener", ROLE_LISTENER);
	hush(host);
	hush(guest);
	hush(listener);
	return 0;
}

static int tear_down(void **state)
{
	shut(host);
	shut(guest);
	shut(listener);
	return api_teardown(state);
}

/* ---- moderation --------------------------------------------------------------------- */

static void test_muted_on_the_way(void **state)
{
	(void)state;
	say(guest, "{'t':'media','mic':true}");
	assert_int_equal(forwarded_leg, seat_at(guest)->leg);
	assert_true(forwarded[STREAM_MIC]);
	say(host, "{'t':'mute','p':'%s','k':'mic'}", guest->id);
	assert_false(forwarded[STREAM_MIC]); /* not only in the page */
	assert_string_equal(
		text_of(json_array_get(json_object_get(heard(listener, "update"), "held"),
				       0)
				? heard(listener, "update")
				: NULL,
			"id"),
		guest->id);
	say(guest, "{'t':'media','mic':true,'ref':7}");
	assert_false(forwarded[STREAM_MIC]);
	assert_int_equal(number_of(heard(guest, "error"), "ref"), 7);
	assert_string_equal(text_of(heard(guest, "error"), "re"), "media");
	assert_refused(guest, "not-allowed", "held");
	/* Joining again is no way around it. */
	assert_int_equal(post_join(guest, "Guest", ROLE_SPEAKER, NULL), 201);
	say(guest, "{'t':'media','mic':true}");
	assert_refused(guest, "not-allowed", "held");
	say(host, "{'t':'ask','p':'%s','k':'mic'}", guest->id);
	assert_string_equal(text_of(heard(guest, "asked"), "k"), "mic");
	assert_null(heard(listener, "asked"));
	say(guest, "{'t':'media','mic':true}");
	assert_int_equal(forwarded_leg, seat_at(guest)->leg);
	assert_true(forwarded[STREAM_MIC]);
}

static void run_loop(unsigned ms)
{
	rig_pump(&api_client, ms);
	sessions_flush(api);
}

/* A worker that has no room for the command is told again: a mute is not lost. */
static void test_mute_is_not_lost(void **state)
{
	(void)state;
	say(guest, "{'t':'media','mic':true}");
	busy = true;
	say(host, "{'t':'rules','mute':true}");
	assert_true(forwarded[STREAM_MIC]);
	busy = false;
	run_loop(1200);
	assert_false(forwarded[STREAM_MIC]);
}

static void test_mute_all_is_two_small_events(void **state)
{
	const json_t *off;

	(void)state;
	say(guest, "{'t':'media','mic':true}");
	say(host, "{'t':'media','mic':true}");
	hush(listener);
	say(host, "{'t':'rules','mute':true,'ref':1}");
	assert_int_equal(number_of(heard(host, "ok"), "ref"), 1);
	assert_int_equal(json_array_size(listener->got), 2);
	assert_true(json_is_true(json_object_get(heard(listener, "rules"), "mute")));
	off = json_object_get(heard(listener, "off"), "mic");
	assert_int_equal(json_array_size(off), 1);
	assert_int_equal(json_integer_value(json_array_get(off, 0)),
			 seat_at(guest)->person->number);
	assert_true(listener->bytes < 120);
	say(guest, "{'t':'media','mic':true}");
	assert_refused(guest, "not-allowed", "muted");
	say(listener, "{'t':'media','mic':true}");
	assert_refused(listener, "not-allowed", "listener");
	say(host, "{'t':'call','p':'%s'}", listener->id);
	say(listener, "{'t':'media','mic':true}");
	assert_int_equal(forwarded_leg, seat_at(listener)->leg);
	assert_true(forwarded[STREAM_MIC]); /* without another negotiation */
}

static void test_no_way_up(void **state)
{
	static const char *const wishes[] = {
		"{'t':'role','p':'%s','role':'host'}",
		"{'t':'role','p':'%s','role':'moderator'}",
		"{'t':'role','p':'%s','role':'speaker'}",
		"{'t':'call','p':'%s'}",
		"{'t':'allow','p':'%s','k':'mic'}",
		"{'t':'mute','p':'%s','k':'mic'}",
		"{'t':'remove','p':'%s'}",
		"{'t':'ban','p':'%s'}",
		"{'t':'spotlight','p':'%s'}",
		"{'t':'rules','lock':true,'x':'%s'}",
		"{'t':'admit','all':true,'x':'%s'}",
		"{'t':'boardrules','order':'votes','x':'%s'}",
		"{'t':'answer','x':'%s'}",
		"{'t':'done','x':'%s'}",
		"{'t':'approve','q':1,'x':'%s'}",
		"{'t':'reopen','q':1,'x':'%s'}",
	};

	(void)state;
	hush(host);
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		say(listener, wishes[i], listener->id);
		assert_refused(listener, "not-allowed", "role");
		say(guest, wishes[i], host->id);
		assert_refused(guest, "not-allowed", "role");
#pragma GCC diagnostic pop
	}
	/* What is not the server's field is not heard at all. */
	say(listener, "{'t':'hello','ticket':'%s','role':'host'}", listener->ticket);
	assert_string_equal(
		text_of(json_object_get(heard(listener, "welcome"), "you"), "role"),
		"listener");
	assert_null(json_object_get(heard(listener, "welcome"), "waiting"));
	assert_int_equal(json_array_size(host->got), 0); /* others are not bothered */
	assert_true(atomic_load(&rig_stats.act_refused) >= 2 * ARRAY_LEN(wishes));
}

/* What is malformed is neither "everybody" nor "off". */
static void test_malformed(void **state)
{
	static const char *const wrong[] = {
		"{'t':'admit'}",
		"{'t':'admit','p':5}",
		"{'t':'admit','p':''}",
		"{'t':'admit','p':null}",
		"{'t':'admit','all':1}",
		"{'t':'mute','k':'mic'}",
		"{'t':'mute','p':'x','k':'voice'}",
		"{'t':'mute','p':'x'}",
		"{'t':'mute','p':'x','k':'mic','stay':0}",
		"{'t':'role','p':'x','role':'boss'}",
		"{'t':'role','p':'x'}",
		"{'t':'rules'}",
		"{'t':'rules','lock':1}",
		"{'t':'rules','lock':true,'mute':'yes'}",
		"{'t':'remove','p':['x']}",
		"{'t':'remove','p':'thirteenbytes'}",
		"{'t':'question'}",
		"{'t':'question','text':5}",
		"{'t':'question','text':'a','anonymous':'yes'}",
		"{'t':'vote'}",
		"{'t':'vote','q':0}",
		"{'t':'vote','q':-1}",
		"{'t':'vote','q':4294967296}",
		"{'t':'vote','q':1.0}",
		"{'t':'vote','q':'1'}",
		"{'t':'answer','q':'1'}",
		"{'t':'hand','on':1}",
		"{'t':'boardrules','order':'chaos'}",
		"{'t':'boardrules','limit':-5}",
		"{'t':'boardrules','hands':'no'}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		say(host, "%s", wrong[i]);
		assert_refused(host, "bad-json", NULL);
	}
	assert_int_equal(json_array_size(guest->got), 0);
	say(host, "{'t':'remove','p':'nobody'}");
	assert_refused(host, "not-found", "gone");
	say(host, "{'t':'vote','q':99}");
	assert_refused(host, "not-found", "no-item");
}

static void test_forged_tickets(void **state)
{
	static const struct secret other = { "another secret not ours" };
	char ticket[TOKEN_TEXT_MAX];
	uint8_t body[64] = { 1, ROLE_HOST };
	struct ws *w = calloc(1, sizeof *w);

	(void)state;
	/* One letter at a time. */
	for (size_t i = 0; i < strlen(listener->ticket); i++) {
		strcpy(w->ticket, listener->ticket);
		w->ticket[i] = w->ticket[i] == 'A' ? 'B' : 'A';
		open_socket(w);
		assert_int_equal(w->closed, 4401);
		assert_null(heard(w, "welcome"));
		w->ops->on_close(w->session, 4401);
	}
	memcpy(body + 2, listener->id, PERSON_ID_BYTES);
	body[14] = 4;
	memcpy(body + 15, "room", 4);
	assert_int_equal(token_sign(&other, TOKEN_TICKET, 0, body, 19, ticket), 0);
	strcpy(w->ticket, ticket);
	open_socket(w);
	assert_int_equal(w->closed, 4401);
	w->ops->on_close(w->session, 4401);
	/* A link is no ticket. */
	assert_int_equal(token_sign(&api_secret, TOKEN_LINK, 0, body, 19, ticket), 0);
	strcpy(w->ticket, ticket);
	open_socket(w);
	assert_int_equal(w->closed, 4401);
	assert_int_equal(post_join(w, "Eve", ROLE_SPEAKER, NULL), 401);
	shut(w);
	assert_int_equal(room_count(the_room()), 3);
}

static void test_a_new_role_is_in_the_ticket(void **state)
{
	const json_t *role;

	(void)state;
	say(host, "{'t':'role','p':'%s','role':'moderator'}", guest->id);
	role = heard(guest, "role");
	assert_string_equal(text_of(role, "role"), "moderator");
	assert_true(json_is_array(json_object_get(role, "waiting")));
	assert_string_equal(text_of(heard(listener, "update"), "role"), "moderator");
	assert_null(heard(listener, "role"));
	snprintf(guest->ticket, sizeof guest->ticket, "%s", text_of(role, "ticket"));
	/* The server is restarted: they come back as what they were made. */
	assert_int_equal(post_join(guest, "Guest", ROLE_SPEAKER, NULL), 201);
	assert_int_equal(seat_at(guest)->person->role, ROLE_MODERATOR);
	say(guest, "{'t':'spotlight','p':'%s'}", listener->id);
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(heard(listener, "spotlight"), "ids"), 0)),
		listener->id);
}

/* ---- the lobby ---------------------------------------------------------------------- */

static void test_lobby(void **state)
{
	struct ws *w = calloc(1, sizeof *w);
	const json_t *e;

	(void)state;
	say(host, "{'t':'rules','lobby':true}");
	hush(host);
	hush(listener);
	assert_int_equal(post_join(w, "New", ROLE_SPEAKER, NULL), 202);
	sessions_flush(api);
	e = json_object_get(heard(host, "waiting"), "p");
	assert_string_equal(text_of(e, "id"), w->id);
	assert_int_equal(json_array_size(listener->got), 0);
	open_socket(w);
	e = heard(w, "welcome");
	assert_true(json_is_true(json_object_get(e, "waiting")));
	assert_null(json_object_get(e, "people")); /* nothing of what is inside */
	assert_int_equal(post_join(w, "New", ROLE_SPEAKER, NULL), 202);
	hush(w);
	say(w, "{'t':'people'}");
	assert_refused(w, "not-allowed", "waiting");
	say(w, "{'t':'board'}");
	assert_refused(w, "not-allowed", "waiting");
	say(w, "{'t':'question','text':'Let me in'}");
	assert_refused(w, "not-allowed", "waiting");
	say(w, "{'t':'admit','all':true}");
	assert_refused(w, "not-allowed", "waiting");
	say(guest, "{'t':'rules','lock':true}");
	assert_null(heard(w, "rules"));
	say(host, "{'t':'admit','p':'%s'}", w->id);
	e = heard(w, "admitted");
	snprintf(w->ticket, sizeof w->ticket, "%s", text_of(e, "ticket"));
	assert_string_equal(text_of(json_object_get(heard(listener, "join"), "p"), "id"),
			    w->id);
	assert_int_equal(post_join(w, "New", ROLE_SPEAKER, NULL), 201);
	say(w, "{'t':'hello','ticket':'%s'}", w->ticket);
	assert_non_null(json_object_get(heard(w, "welcome"), "people"));
	shut(w);

	w = calloc(1, sizeof *w);
	assert_int_equal(post_join(w, "Unwanted", ROLE_SPEAKER, NULL), 202);
	open_socket(w);
	hush(listener);
	say(host, "{'t':'admit','p':'%s','on':false}", w->id);
	assert_string_equal(text_of(heard(w, "bye"), "reason"), "removed");
	assert_string_equal(text_of(heard(w, "bye"), "why"), "denied");
	assert_string_equal(text_of(heard(host, "waited"), "id"), w->id);
	assert_int_equal(json_array_size(listener->got), 0);
	assert_int_equal(post_join(w, "Unwanted", ROLE_SPEAKER, NULL), 403);
	shut(w);
}

static void test_ban(void **state)
{
	struct ws *w = calloc(1, sizeof *w), *again = calloc(1, sizeof *w);

	(void)state;
	assert_int_equal(post_join(w, "Eve", ROLE_SPEAKER, "browser-of-eve"), 201);
	open_socket(w);
	say(host, "{'t':'ban','p':'%s'}", w->id);
	assert_string_equal(text_of(heard(w, "bye"), "why"), "banned");
	assert_string_equal(text_of(heard(listener, "leave"), "id"), w->id);
	assert_int_equal(post_join(w, "Eve", ROLE_SPEAKER, NULL), 403);
	assert_non_null(strstr(api_body(), "\"banned\""));
	assert_int_equal(post_join(again, "Eve", ROLE_SPEAKER, "browser-of-eve"), 403);
	assert_int_equal(post_join(again, "Bo", ROLE_SPEAKER, "browser-of-bo"), 201);
	shut(w);
	free(again);
	say(host, "{'t':'rules','lock':true}");
	again = calloc(1, sizeof *again);
	assert_int_equal(post_join(again, "Late", ROLE_SPEAKER, NULL), 403);
	assert_non_null(strstr(api_body(), "\"locked\""));
	assert_int_equal(post_join(again, "Host too", ROLE_HOST, NULL), 201);
	free(again);
}

/* ---- the board ---------------------------------------------------------------------- */

static void tick(void)
{
	room_gather(the_room(), clock_now_us());
	sessions_flush(api);
}

/* What a page shows that has not asked for the board. */
static void test_board_at_a_glance(void **state)
{
	const json_t *b;
	struct ws *w;

	(void)state;
	say(host, "{'t':'boardrules','limit':90}");
	say(guest, "{'t':'hand'}");
	say(guest, "{'t':'question','text':'Why?'}");
	assert_int_equal(number_of(heard(listener, "item"), "open"), 2);
	hush(listener);
	say(host, "{'t':'answer','q':2}");
	assert_int_equal(number_of(heard(listener, "item"), "open"), 1);
	w = page("Late", ROLE_SPEAKER);
	b = json_object_get(heard(w, "welcome"), "board");
	assert_int_equal(number_of(b, "open"), 1);
	assert_int_equal(number_of(b, "limit"), 90);
	assert_string_equal(text_of(json_object_get(b, "now"), "text"), "Why?");
	assert_null(json_object_get(b, "hand"));
	shut(w);
	say(host, "{'t':'boardrules','approve':true}");
	say(guest, "{'t':'question','text':'And who?'}");
	hush(guest);
	say(guest, "{'t':'hello','ticket':'%s'}", guest->ticket);
	b = json_object_get(heard(guest, "welcome"), "board");
	assert_int_equal(number_of(b, "hand"), 1);
	assert_true(json_is_true(json_object_get(json_object_get(b, "now"), "own")));
	assert_null(json_object_get(b, "pending"));
	hush(host);
	say(host, "{'t':'hello','ticket':'%s'}", host->ticket);
	b = json_object_get(heard(host, "welcome"), "board");
	assert_int_equal(number_of(b, "pending"), 1);
	assert_int_equal(number_of(b, "open"), 1);
	hush(listener);
	say(guest, "{'t':'hand','on':false}");
	assert_int_equal(number_of(heard(listener, "gone"), "open"), 0);
	say(host, "{'t':'done'}");
	hush(host);
	say(host, "{'t':'hello','ticket':'%s'}", host->ticket);
	assert_null(
		json_object_get(json_object_get(heard(host, "welcome"), "board"), "now"));
}

static void test_board(void **state)
{
	const json_t *e;
	int64_t r;

	(void)state;
	say(guest, "{'t':'board'}");
	e = heard(guest, "board");
	r = number_of(e, "r");
	assert_null(json_object_get(e, "mr"));
	assert_int_equal(json_array_size(json_object_get(e, "items")), 0);
	say(guest, "{'t':'question','text':'<script>alert(\\'1\\')</script>'}");
	e = heard(listener, "item");
	assert_string_equal(text_of(e, "text"), "<script>alert(\"1\")</script>");
	assert_int_equal(number_of(e, "r"), r + 1);
	assert_int_equal(number_of(heard(guest, "own"), "q"), 1);
	assert_null(heard(listener, "own"));
	assert_null(json_object_get(e, "own"));
	say(guest, "{'t':'question','text':'Why?'}");
	assert_int_equal(number_of(heard(listener, "item"), "r"), r + 2);
	/* Nobody is told who asked this. */
	hush(listener);
	hush(host);
	say(guest, "{'t':'question','text':'Secretly','anonymous':true}");
	for (unsigned i = 0; i < 2; i++) {
		char *text = json_dumps((i ? host : listener)->got, 0);

		assert_non_null(strstr(text, "Secretly"));
		assert_null(strstr(text, guest->id));
		assert_null(strstr(text, "Guest"));
		assert_null(json_object_get(heard(i ? host : listener, "item"), "n"));
		free(text);
	}
	/* Forty votes of one, one event for all. */
	hush(host);
	for (unsigned i = 0; i < 40; i++)
		say(listener, "{'t':'vote','q':2,'on':%s}", i % 2 ? "false" : "true");
	say(listener, "{'t':'vote','q':2}");
	tick();
	assert_int_equal(json_array_size(host->got), 1);
	e = json_array_get(json_object_get(heard(host, "votes"), "v"), 0);
	assert_int_equal(json_integer_value(json_array_get(e, 1)), 1);
	assert_int_equal(number_of(heard(host, "votes"), "r"), r + 4);
	say(listener, "{'t':'board'}");
	e = json_object_get(heard(listener, "board"), "items");
	assert_int_equal(json_array_size(e), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *item = json_array_get(e, i);

		assert_int_equal(json_is_true(json_object_get(item, "voted")),
				 number_of(item, "q") == 2);
	}
	say(host, "{'t':'answer','q':2}");
	e = heard(listener, "item");
	assert_string_equal(text_of(e, "s"), "now");
	assert_int_equal(number_of(e, "for"), 0);
}

static void test_approval(void **state)
{
	int64_t mr;

	(void)state;
	say(host, "{'t':'boardrules','approve':true,'limit':90,'order':'votes'}");
	assert_string_equal(text_of(heard(listener, "boardrules"), "order"), "votes");
	assert_int_equal(number_of(heard(listener, "boardrules"), "limit"), 90);
	say(host, "{'t':'board'}");
	mr = number_of(heard(host, "board"), "mr");
	hush(listener);
	say(guest, "{'t':'question','text':'Unseen'}");
	assert_int_equal(json_array_size(listener->got), 0);
	assert_int_equal(number_of(heard(host, "item"), "mr"), mr + 1);
	assert_string_equal(text_of(heard(guest, "item"), "s"), "pending");
	say(listener, "{'t':'board'}");
	assert_int_equal(number_of(heard(listener, "board"), "count"), 0);
	hush(listener);
	say(host, "{'t':'approve','q':1}");
	assert_string_equal(text_of(heard(listener, "item"), "text"), "Unseen");
	say(guest, "{'t':'drop','q':1}");
	assert_int_equal(number_of(heard(listener, "gone"), "q"), 1);
}

static void test_export(void **state)
{
	char body[TOKEN_TEXT_MAX + 32];

	(void)state;
	say(guest, "{'t':'question','text':'Why?'}");
	snprintf(body, sizeof body, "{\"ticket\":\"%s\"}", listener->ticket);
	assert_int_equal(api_ask("POST /api/1/rooms/room/board", "Host: a\r\n", body),
			 403);
	snprintf(body, sizeof body, "{\"ticket\":\"%s\"}", host->ticket);
	assert_int_equal(api_ask("POST /api/1/rooms/room/board", "Host: a\r\n", body),
			 200);
	assert_non_null(strstr(api_body(), "Guest: Why?"));
}

/* ---- chat and polls ----------------------------------------------------------------- */

static size_t items_of(struct ws *w, const char *t)
{
	say(w, "{'t':'%s'}", t);
	return json_array_size(json_object_get(heard(w, t), "items"));
}

static void test_chat(void **state)
{
	int64_t first;

	(void)state;
	say(guest, "{'t':'say','text':'<img src=x onerror=alert(1)>\u202ehi'}");
	assert_string_equal(text_of(heard(listener, "said"), "text"),
			    "<img src=x onerror=alert(1)>hi");
	first = number_of(heard(listener, "said"), "m");
	hush(listener);
	say(guest, "{'t':'say','text':'Help','to':'hosts'}");
	assert_true(json_is_true(json_object_get(heard(host, "said"), "hosts")));
	assert_int_equal(how_often(guest, "said"), 2);
	assert_int_equal(json_array_size(listener->got), 0);
	assert_int_equal(items_of(listener, "chat"), 1);
	assert_int_equal(items_of(host, "chat"), 2);
	/* Of the one not seen nothing can be learnt, and nobody takes back another's. */
	say(listener, "{'t':'unsay','m':%lld}", (long long)first + 1);
	assert_refused(listener, "not-found", "no-item");
	say(listener, "{'t':'unsay','m':%lld}", (long long)first);
	assert_refused(listener, "not-allowed", "role");
	say(guest, "{'t':'unsay','m':%lld}", (long long)first);
	assert_int_equal(number_of(heard(listener, "unsaid"), "m"), first);
	say(listener, "{'t':'chat','after':4294967295}");
	assert_int_equal(
		json_array_size(json_object_get(heard(listener, "chat"), "items")), 0);
	say(guest, "{'t':'chatrules','mode':'off'}");
	assert_refused(guest, "not-allowed", "role");
	say(guest, "{'t':'pin','text':'https://evil.example/'}");
	assert_refused(guest, "not-allowed", "role");
	say(host, "{'t':'pin','text':'https://example.org/'}");
	say(host, "{'t':'chatrules','mode':'off'}");
	say(guest, "{'t':'say','text':'Hello?'}");
	assert_refused(guest, "not-allowed", "chat-closed");
	say(guest, "{'t':'hello','ticket':'%s'}", guest->ticket);
	assert_string_equal(
		text_of(json_object_get(heard(guest, "welcome"), "chat"), "pin"),
		"https://example.org/");
}

static void test_chat_flood(void **state)
{
	unsigned said;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		say(guest, "{'t':'say','text':'%u'}", i);
		say(guest, "{'t':'react','k':'clap'}");
	}
	said = how_often(listener, "said");
	assert_in_range(said, 5, 15); /* five, and one for each 2 s that this took */
	assert_int_equal(json_array_size(listener->got), said); /* nothing else */
	assert_refused(guest, "too-many", "rate");
	tick();
	assert_int_equal(how_often(listener, "reactions"), 1);
	assert_in_range(number_of(heard(listener, "reactions"), "clap"), 3, 23);
	assert_null(json_object_get(heard(listener, "reactions"), "n"));
	/* Others are heard. */
	say(listener, "{'t':'say','text':'Excuse me'}");
	assert_string_equal(text_of(heard(host, "said"), "text"), "Excuse me");
	/* Who is removed takes it along. */
	hush(listener);
	say(host, "{'t':'remove','p':'%s'}", guest->id);
	assert_int_equal(how_often(listener, "unsaid"), said);
	assert_int_equal(items_of(listener, "chat"), 1);
}

/* What everybody was told, and what they are told who ask. */
static void assert_unheard(const char *secret)
{
	struct ws *all[] = { host, guest, listener };

	for (unsigned i = 0; i < 3; i++) {
		char *text;

		(void)items_of(all[i], "polls");
		text = json_dumps(all[i]->got, 0);
		assert_null(strstr(text, secret));
		free(text);
	}
}

static void test_poll(void **state)
{
	const json_t *e;

	(void)state;
	say(guest, "{'t':'poll','text':'Tea?','options':['Yes','No']}");
	assert_refused(guest, "not-allowed", "role");
	say(host, "{'t':'poll','text':'Tea?','options':['Yes','No']}");
	assert_string_equal(text_of(heard(guest, "poll"), "text"), "Tea?");
	say(guest, "{'t':'choose','poll':1,'choices':[0]}");
	for (unsigned i = 0; i < 50; i++) { /* stuffing */
		say(guest, "{'t':'choose','poll':1,'choices':[%u]}", i % 2);
		assert_refused(guest, "not-allowed", "voted");
	}
	assert_int_equal(post_join(guest, "Guest", ROLE_SPEAKER, NULL), 201);
	say(guest, "{'t':'choose','poll':1,'choices':[0]}");
	assert_refused(guest, "not-allowed", "voted");
	say(listener, "{'t':'choose','poll':1,'choices':[1]}");
	assert_int_equal(how_often(host, "pollvotes"), 0);
	tick();
	assert_int_equal(number_of(heard(host, "pollvotes"), "votes"), 2);
	say(host, "{'t':'choose','poll':1,'choices':[1]}");
	tick();
	assert_unheard("counts");
	assert_int_equal(items_of(guest, "polls"), 1);
	e = json_array_get(json_object_get(heard(guest, "polls"), "items"), 0);
	assert_true(json_is_true(json_object_get(e, "voted")));
	say(guest, "{'t':'closepoll','poll':1}");
	assert_refused(guest, "not-allowed", "role");
	say(host, "{'t':'closepoll','poll':1}");
	e = json_object_get(heard(listener, "poll"), "counts");
	assert_int_equal(json_integer_value(json_array_get(e, 0)), 1);
	assert_int_equal(json_integer_value(json_array_get(e, 1)), 2);
	assert_null(json_object_get(heard(listener, "poll"), "voted"));
	say(host, "{'t':'droppoll','poll':1}");
	assert_int_equal(number_of(heard(listener, "pollgone"), "poll"), 1);
}

/* Of a poll with two votes the counts are never told. */
static void test_poll_of_two(void **state)
{
	(void)state;
	say(host, "{'t':'poll','text':'Tea?','options':['Yes','No']}");
	say(guest, "{'t':'choose','poll':1,'choices':[0]}");
	say(listener, "{'t':'choose','poll':1,'choices':[0]}");
	tick();
	say(host, "{'t':'closepoll','poll':1}");
	assert_int_equal(number_of(heard(host, "poll"), "votes"), 2);
	assert_unheard("counts");
}

static void test_polls_lie(void **state)
{
	static const char *const bad_polls[] = {
		"'options':7",
		"'options':['A',7]",
		"'options':['0','1','2','3','4','5','6','7','8','9','10']",
		"'options':['A','B'],'multiple':'yes'",
	};
	static const char *const bad_options[] = { "'options':[]", "'options':['A']",
						   "'options':['A',' A\u202e']" };
	static const char *const bad_choices[] = { "[10]",	   "[-1]", "['0']",
						   "[4294967296]", "0",	   "[0.5]" };
	static const char *const not_choices[] = { "[]", "[2]", "[0,1]", "[9]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_polls); i++) {
		say(host, "{'t':'poll','text':'Tea?',%s}", bad_polls[i]);
		assert_refused(host, "bad-json", NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_options); i++) {
		say(host, "{'t':'poll','text':'Tea?',%s}", bad_options[i]);
		assert_refused(host, "bad-text", "options");
	}
	assert_int_equal(items_of(host, "polls"), 0);
	assert_int_equal(how_often(listener, "poll"), 0);
	say(host, "{'t':'poll','text':'Tea?','options':['Yes','No']}");
	for (size_t i = 0; i < ARRAY_LEN(bad_choices); i++) {
		say(guest, "{'t':'choose','poll':1,'choices':%s}", bad_choices[i]);
		assert_refused(guest, "bad-json", NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(not_choices); i++) {
		say(guest, "{'t':'choose','poll':1,'choices':%s}", not_choices[i]);
		assert_refused(guest, "bad-text", "options");
	}
	say(guest, "{'t':'choose','poll':2,'choices':[0]}");
	assert_refused(guest, "not-found", "no-item");
	tick();
	assert_int_equal(how_often(listener, "pollvotes"), 0);
	/* The longest ones come in parts. */
	for (unsigned i = 0; i < 19; i++) {
		char text[4096];
		size_t at = 0;

		for (unsigned k = 0; k < 10; k++)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s'%u%0*u'",
					       k ? "," : "", k, 79, i);
		say(host, "{'t':'poll','text':'Long','options':[%s]}", text);
	}
	hush(guest);
	assert_in_range(items_of(guest, "polls"), 10, 19);
	assert_true(json_is_true(json_object_get(heard(guest, "polls"), "more")));
	assert_in_range(guest->bytes, 8 * 1024, 20 * 1024);
	say(guest, "{'t':'polls','after':19}");
	assert_int_equal(json_array_size(json_object_get(heard(guest, "polls"), "items")),
			 1);
	assert_null(json_object_get(heard(guest, "polls"), "more"));
}

/* ---- what it costs ------------------------------------------------------------------- */

enum { CROWD = 297, QUESTIONS = 200 };

static void crowd(void)
{
	struct person *p;
	char text[128];

	for (unsigned i = 0; i < CROWD; i++) {
		snprintf(text, sizeof text, "Person Somebody %u", i);
		assert_int_equal(room_join(the_room(), NULL, text, ROLE_LISTENER,
					   clock_now_us(), &p),
				 0);
		snprintf(
			text, sizeof text,
			"What would you say to somebody who has to do this for the first "
			"time, on a phone, in year %u?",
			i);
		if (i < QUESTIONS)
			assert_int_equal(room_act(the_room(), p,
						  &(struct act) { .type = ACT_QUESTION,
								  .text = text },
						  clock_now_us()),
					 DENY_NOTHING);
	}
	for (p = room_first(the_room()); p; p = p->next) /* as in a call that goes on */
		room_set_away(the_room(), p, false, clock_now_us());
}

/* Everybody and every question, in parts, each item once. */
static void pull(struct ws *w, unsigned *people, unsigned *questions)
{
	bool seen[QUESTIONS + 1] = { false };
	const json_t *e = heard(w, "welcome"), *item;
	char have[1024] = "[]";
	int64_t more;
	size_t i, at = 0;

	*people = (unsigned)json_array_size(json_object_get(e, "people"));
	more = json_get_int(e, "more", 0, UINT32_MAX, -1);
	while (more >= 0) {
		say(w, "{'t':'people','after':%lld}", (long long)more);
		e = heard(w, "people");
		*people += (unsigned)json_array_size(json_object_get(e, "people"));
		more = json_get_int(e, "more", 0, UINT32_MAX, -1);
	}
	say(w, "{'t':'board'}");
	*questions = 0;
	for (;;) {
		e = heard(w, "board");
		json_array_foreach(json_object_get(e, "items"), i, item)
		{
			assert_false(seen[number_of(item, "q")]);
			seen[number_of(item, "q")] = true;
			(*questions)++;
			if (json_object_get(e, "rules"))
				at += (size_t)snprintf(have + at, sizeof have - at,
						       "%c%lld", at ? ',' : '[',
						       (long long)number_of(item, "q"));
		}
		more = json_get_int(e, "more", 0, UINT32_MAX, -1);
		if (more < 0)
			return;
		say(w, "{'t':'board','after':%lld,'have':%s]}", (long long)more, have);
	}
}

static void test_joining_a_crowd_is_small(void **state)
{
	unsigned people, questions;
	struct ws *w;

	(void)state;
	crowd();
	w = page("Late", ROLE_SPEAKER);
	pull(w, &people, &questions);
	assert_in_range(people, CROWD + 4, CROWD + 8);
	assert_int_equal(questions, QUESTIONS);
	print_message("joining %u people with %u questions: %zu bytes\n", people,
		      questions, w->bytes);
	assert_in_range(w->bytes, 1, 60 * 1024);
	/* By votes: the first part is others, and still nothing comes twice. */
	say(host, "{'t':'boardrules','order':'votes'}");
	for (unsigned q = 100; q < 140; q++)
		say(host, "{'t':'vote','q':%u}", q);
	tick();
	hush(w);
	say(w, "{'t':'hello','ticket':'%s'}", w->ticket);
	pull(w, &people, &questions);
	assert_int_equal(questions, QUESTIONS);
	/* Who has seen it all is told no more than that. */
	hush(w);
	say(w, "{'t':'hello','ticket':'%s'}", w->ticket);
	assert_int_equal(number_of(json_object_get(heard(w, "welcome"), "board"), "r"),
			 board_revision(the_room()));
	shut(w);
}

static void test_votes_of_a_crowd_are_one_message(void **state)
{
	struct person *p;

	(void)state;
	crowd();
	tick();
	sessions_flush(api);
	hush(guest);
	for (p = room_first(the_room()); p; p = p->next)
		(void)!room_act(the_room(), p,
				&(struct act) { .type = ACT_VOTE, .item = 7, .on = true },
				clock_now_us());
	sessions_flush(api);
	assert_int_equal(json_array_size(guest->got), 0);
	tick();
	assert_int_equal(how_often(guest, "votes"), 1);
	print_message("299 votes: %zu bytes to each\n", guest->bytes);
	assert_true(guest->bytes < 60);
}

/* A message is one small event to each; a thousand reactions or choices are one, too. */
static void test_chat_of_a_crowd_is_small(void **state)
{
	struct person *p;

	(void)state;
	crowd();
	say(host, "{'t':'poll','text':'Tea?','options':['Yes','No']}");
	tick();
	hush(guest);
	say(listener, "{'t':'say','text':'Good morning'}");
	assert_int_equal(json_array_size(guest->got), 1);
	print_message("a message: %zu bytes to each\n", guest->bytes);
	assert_in_range(guest->bytes, 1, 110);
	hush(guest);
	for (p = room_first(the_room()); p; p = p->next) {
		(void)!room_act(
			the_room(), p,
			&(struct act) { .type = ACT_CHOOSE, .item = 1, .choices = 1 },
			clock_now_us());
		for (unsigned i = 0; i < 5; i++)
			(void)!room_act(the_room(), p,
					&(struct act) { .type = ACT_REACT },
					clock_now_us());
	}
	sessions_flush(api);
	assert_int_equal(json_array_size(guest->got), 0);
	tick();
	assert_int_equal(json_array_size(guest->got), 2);
	assert_int_equal(number_of(heard(guest, "pollvotes"), "votes"), CROWD + 3);
	assert_int_equal(number_of(heard(guest, "reactions"), "clap"), 3 * (CROWD + 3));
	print_message("300 choices and 900 reactions: %zu bytes to each\n", guest->bytes);
	assert_in_range(guest->bytes, 1, 100);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_muted_on_the_way),
		TEST(test_mute_is_not_lost),
		TEST(test_mute_all_is_two_small_events),
		TEST(test_no_way_up),
		TEST(test_malformed),
		TEST(test_forged_tickets),
		TEST(test_a_new_role_is_in_the_ticket),
		TEST(test_lobby),
		TEST(test_ban),
		TEST(test_board_at_a_glance),
		TEST(test_board),
		TEST(test_approval),
		TEST(test_export),
		TEST(test_chat),
		TEST(test_chat_flood),
		TEST(test_poll),
		TEST(test_poll_of_two),
		TEST(test_polls_lie),
		TEST(test_joining_a_crowd_is_small),
		TEST(test_votes_of_a_crowd_are_one_message),
		TEST(test_chat_of_a_crowd_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
