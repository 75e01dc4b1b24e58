/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Messages that want something done: read strictly here (what is malformed is never taken
 * for "everybody" or "off"), decided by the room.
 */
#include "api_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef int (*read_fn)(const json_t *m, struct act *a);

static int read_flag(const json_t *m, const char *key, bool fallback, bool *out)
{
	const json_t *v = json_object_get(m, key);

	*out = v ? json_is_true(v) : fallback;
	return !v || json_is_boolean(v) ? 0 : -EINVAL;
}

static int read_person(const json_t *m, struct act *a)
{
	a->person = json_get_text(m, "p", PERSON_ID_BYTES);
	return a->person && a->person[0] ? read_flag(m, "on", true, &a->on) : -EINVAL;
}

static int read_rules(const json_t *m, struct act *a)
{
	bool any = false;

	for (unsigned i = 0; i < RULE_COUNT; i++) {
		const json_t *v = json_object_get(m, rule_name((enum rule)i));

		if (v && !json_is_boolean(v))
			return -EINVAL;
		a->rules[i] = v ? json_is_true(v) : -1;
		any |= v != NULL;
	}
	return any ? 0 : -EINVAL;
}

/* One, or {"all":true}. */
static int read_admit(const json_t *m, struct act *a)
{
	if (json_object_get(m, "p"))
		return read_person(m, a);
	return json_is_true(json_object_get(m, "all")) ? read_flag(m, "on", true, &a->on)
						       : -EINVAL;
}

static int read_stream(const json_t *m, struct act *a)
{
	const char *kind = json_get_text(m, "k", 16);

	if (read_person(m, a) || !kind || read_flag(m, "stay", true, &a->on))
		return -EINVAL;
	for (a->kind = 0; a->kind < STREAM_KINDS; a->kind++)
		if (!strcmp(stream_kind_names[a->kind], kind))
			return 0;
	return -EINVAL;
}

static int read_role(const json_t *m, struct act *a)
{
	const char *name = json_get_text(m, "role", 16);
	int role = name ? role_parse(name) : -EINVAL;

	if (role < 0)
		return role;
	a->role = (enum role)role;
	return read_person(m, a);
}

static int read_switch(const json_t *m, const char *key, int8_t *out)
{
	const json_t *v = json_object_get(m, key);

	*out = v ? json_is_true(v) : -1;
	return !v || json_is_boolean(v) ? 0 : -EINVAL;
}

static int read_board(const json_t *m, struct act *a)
{
	const json_t *order = json_object_get(m, "order"),
		     *limit = json_object_get(m, "limit");

	a->board.order = -1;
	for (int i = 0; i < ORDER_COUNT && json_is_string(order); i++)
		if (!strcmp(json_string_value(order),
			    board_order_name((enum board_order)i)))
			a->board.order = (int8_t)i;
	a->board.limit_s = (int)json_get_int(m, "limit", 0, BOARD_LIMIT_MAX_S, -1);
	if ((order && a->board.order < 0) || (limit && a->board.limit_s < 0))
		return -EINVAL;
	if (read_switch(m, "hands", &a->board.hands) ||
	    read_switch(m, "questions", &a->board.questions) ||
	    read_switch(m, "approve", &a->board.approve))
		return -EINVAL;
	return read_switch(m, "anonymous", &a->board.anonymous);
}

static int read_on(const json_t *m, struct act *a)
{
	return read_flag(m, "on", true, &a->on);
}

static int read_question(const json_t *m, struct act *a)
{
	a->text = json_get_text(m, "text", WS_MESSAGE_MAX);
	return a->text ? read_flag(m, "anonymous", false, &a->on) : -EINVAL;
}

static int read_item(const json_t *m, struct act *a)
{
	a->item = (uint32_t)json_get_int(m, "q", 1, UINT32_MAX, 0);
	return a->item ? read_flag(m, "on", true, &a->on) : -EINVAL;
}

/* Without one it is the next, or the present one. */
static int read_item_or_none(const json_t *m, struct act *a)
{
	return json_object_get(m, "q") ? read_item(m, a) : 0;
}

/* ---- chat and polls ------------------------------------------------------------------ */

static int read_say(const json_t *m, struct act *a)
{
	const json_t *to = json_object_get(m, "to");
	const char *word = json_string_value(to);

	a->text = json_get_text(m, "text", WS_MESSAGE_MAX);
	a->on = word && !strcmp(word, "hosts");
	return a->text && (!to || a->on || (word && !strcmp(word, "room"))) ? 0 : -EINVAL;
}

static int read_message(const json_t *m, struct act *a)
{
	a->item = (uint32_t)json_get_int(m, "m", 1, UINT32_MAX, 0);
	return a->item ? 0 : -EINVAL;
}

static int read_reaction(const json_t *m, struct act *a)
{
	const char *name = json_get_text(m, "k", 16);

	for (a->item = 0; name && a->item < REACTIONS; a->item++)
		if (!strcmp(reaction_name((enum reaction)a->item), name))
			return 0;
	return -EINVAL;
}

static int read_mode(const json_t *m, struct act *a)
{
	const char *name = json_get_text(m, "mode", 16);

	for (a->item = 0; name && a->item < CHAT_MODES; a->item++)
		if (!strcmp(chat_mode_name((enum chat_mode)a->item), name))
			return 0;
	return -EINVAL;
}

static int read_pin(const json_t *m, struct act *a)
{
	a->text = json_get_text(m, "text", WS_MESSAGE_MAX);
	return a->text ? 0 : -EINVAL;
}

static int read_poll(const json_t *m, struct act *a)
{
	const json_t *options = json_object_get(m, "options"), *option;
	size_t i;

	a->text = json_get_text(m, "text", WS_MESSAGE_MAX);
	if (!a->text || !json_is_array(options) ||
	    json_array_size(options) > POLL_OPTIONS_MAX)
		return -EINVAL;
	json_array_foreach(options, i, option)
	{
		if (!json_is_string(option))
			return -EINVAL;
		a->options[a->option_count++] = json_string_value(option);
	}
	return read_flag(m, "multiple", false, &a->multiple) ||
			       read_flag(m, "late", false, &a->late)
		       ? -EINVAL
		       : 0;
}

static int read_poll_id(const json_t *m, struct act *a)
{
	a->item = (uint32_t)json_get_int(m, "poll", 1, UINT32_MAX, 0);
	return a->item ? 0 : -EINVAL;
}

static int read_choose(const json_t *m, struct act *a)
{
	const json_t *choices = json_object_get(m, "choices"), *choice;
	size_t i;

	if (!json_is_array(choices) || json_array_size(choices) > POLL_OPTIONS_MAX)
		return -EINVAL;
	json_array_foreach(choices, i, choice)
	{
		json_int_t n = json_integer_value(choice);

		if (!json_is_integer(choice) || n < 0 || n >= POLL_OPTIONS_MAX)
			return -EINVAL;
		a->choices |= 1u << n;
	}
	return read_poll_id(m, a);
}

static const struct {
	const char *t;
	enum act_type type;
	read_fn read;
	const char *form; /* what it has to look like */
} acts[] = {
	{ "rules", ACT_RULES, read_rules,
	  "{\"lock\",\"lobby\",\"mute\",\"audience\"}: on or off" },
	{ "admit", ACT_ADMIT, read_admit,
	  "{\"p\":person} or {\"all\":true}, \"on\":false to turn away" },
	{ "mute", ACT_MUTE, read_stream, "{\"p\":person,\"k\":\"mic\",\"stay\":true}" },
	{ "allow", ACT_ALLOW, read_stream, "{\"p\":person,\"k\":\"mic\"}" },
	{ "ask", ACT_ASK, read_stream, "{\"p\":person,\"k\":\"mic\"}" },
	{ "call", ACT_CALL, read_person, "{\"p\":person,\"on\":true}" },
	{ "role", ACT_ROLE, read_role, "{\"p\":person,\"role\":\"speaker\"}" },
	{ "spotlight", ACT_SPOTLIGHT, read_person, "{\"p\":person,\"on\":true}" },
	{ "remove", ACT_REMOVE, read_person, "{\"p\":person}" },
	{ "ban", ACT_BAN, read_person, "{\"p\":person}" },
	{ "boardrules", ACT_BOARD, read_board,
	  "{\"order\":\"votes\",\"limit\":seconds} and on or off: hands, questions, "
	  "approve, anonymous" },
	{ "hand", ACT_HAND, read_on, "{\"on\":true}" },
	{ "question", ACT_QUESTION, read_question,
	  "{\"text\":\"…\",\"anonymous\":false}" },
	{ "vote", ACT_VOTE, read_item, "{\"q\":number,\"on\":true}" },
	{ "approve", ACT_APPROVE, read_item, "{\"q\":number}" },
	{ "answer", ACT_ANSWER, read_item_or_none, "{\"q\":number} or nothing" },
	{ "done", ACT_DONE, read_item_or_none, "{\"q\":number} or nothing" },
	{ "reopen", ACT_REOPEN, read_item, "{\"q\":number}" },
	{ "say", ACT_SAY, read_say, "{\"text\":\"…\"}, \"to\":\"hosts\" or \"room\"" },
	{ "unsay", ACT_UNSAY, read_message, "{\"m\":number}" },
	{ "react", ACT_REACT, read_reaction,
	  "{\"k\":\"clap\"}, heart, laugh, wow, yes or no" },
	{ "chatrules", ACT_CHAT, read_mode, "{\"mode\":\"all\"}, hosts or off" },
	{ "pin", ACT_PIN, read_pin, "{\"text\":\"…\"}" },
	{ "poll", ACT_POLL, read_poll,
	  "{\"text\",\"options\":[at most 10 texts],\"multiple\",\"late\"}" },
	{ "choose", ACT_CHOOSE, read_choose,
	  "{\"poll\":number,\"choices\":[places from 0]}" },
	{ "closepoll", ACT_POLL_CLOSE, read_poll_id, "{\"poll\":number}" },
	{ "droppoll", ACT_POLL_DROP, read_poll_id, "{\"poll\":number}" },
	{ "drop", ACT_DROP, read_item, "{\"q\":number}" },
};

static void act(struct session *s, const struct act *a, const json_t *m)
{
	const json_t *ref = json_object_get(m, "ref");
	struct refusal why;
	enum deny deny = call_act(s->seat, a);

	if (deny) {
		refusal_of_deny(&why, deny);
		session_refuse(s, &why, m);
	} else if (json_is_integer(ref)) {
		session_event(s, json_pack("{sssO}", "t", "ok", "ref", ref));
	}
}

bool acts_take(struct session *s, const char *t, const json_t *m)
{
	struct act a = { 0 };
	char text[200];

	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		if (strcmp(acts[i].t, t) != 0)
			continue;
		a.type = acts[i].type;
		if (!acts[i].read(m, &a)) {
			act(s, &a, m);
			return true;
		}
		snprintf(text, sizeof text, "%s is %s.", t, acts[i].form);
		session_bad(s, text, m);
		return true;
	}
	return false;
}
