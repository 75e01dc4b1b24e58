/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The command line as a request. What values must look like the server decides, but for times, which
 * are people's; so what is here is which words there are.
 */
#include <palabre/ctl.h>
#include <palabre/wire.h>

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum options { OPTIONS_NONE, OPTIONS_ROOM, OPTIONS_LINK, OPTIONS_DRAIN };
static const struct command {
	const char *first, *second; /* words; second may be NULL */
	const char *verb;
	const char *operands[2]; /* fields */
	bool optional;		 /* the first of them may be missing */
	enum options options;
	const char *usage;
} commands[] = {
	{ "status", NULL, "status", { 0 }, false, OPTIONS_NONE, "status" },
	{ "health", NULL, "health", { 0 }, false, OPTIONS_NONE, "health" },
	{ "metrics", NULL, "metrics", { 0 }, false, OPTIONS_NONE, "metrics" },
	{ "keys", NULL, "keys", { 0 }, false, OPTIONS_NONE, "keys" },
	{ "rooms", NULL, "rooms", { 0 }, false, OPTIONS_NONE, "rooms" },
	{ "room", "show", "room", { "room" }, false, OPTIONS_NONE, "room show ROOM" },
	{ "room",
	  "add",
	  "room-add",
	  { "room" },
	  false,
	  OPTIONS_ROOM,
	  "room add ROOM [OPTION…]" },
	{ "room",
	  "set",
	  "room-set",
	  { "room" },
	  false,
	  OPTIONS_ROOM,
	  "room set ROOM OPTION…" },
	{ "room",
	  "remove",
	  "room-remove",
	  { "room" },
	  false,
	  OPTIONS_NONE,
	  "room remove ROOM" },
	{ "link",
	  "add",
	  "link-add",
	  { "room", "role" },
	  false,
	  OPTIONS_LINK,
	  "link add ROOM ROLE [--expires WHEN]" },
	{ "link", "list", "links", { "room" }, false, OPTIONS_NONE, "link list ROOM" },
	{ "link",
	  "revoke",
	  "link-revoke",
	  { "room", "link" },
	  false,
	  OPTIONS_NONE,
	  "link revoke ROOM LINK" },
	{ "people", NULL, "people", { "room" }, false, OPTIONS_NONE, "people ROOM" },
	{ "kick",
	  NULL,
	  "kick",
	  { "room", "person" },
	  false,
	  OPTIONS_NONE,
	  "kick ROOM PERSON" },
	{ "challenge",
	  "add",
	  "challenge-add",
	  { "challenge" },
	  false,
	  OPTIONS_NONE,
	  "challenge add -- TOKEN.THUMBPRINT" },
	{ "challenge",
	  "remove",
	  "challenge-remove",
	  { "challenge" },
	  false,
	  OPTIONS_NONE,
	  "challenge remove -- TOKEN.THUMBPRINT" },
	{ "drain", NULL, "drain", { 0 }, false, OPTIONS_DRAIN, "drain [--off]" },
	{ "log",
	  NULL,
	  "log",
	  { "level" },
	  true,
	  OPTIONS_NONE,
	  "log [debug|info|warn|error]" },
};

static void usage(void)
{
	puts("palabrectl - asks and tells a running palabred\n"
	     "\n"
	     "  palabrectl [--socket FILE] [--json] COMMAND\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("    %s\n", commands[i].usage);
	puts("\n"
	     "  Options of rooms: --title TEXT  --description TEXT  --from TIME  --until "
	     "TIME\n"
	     "    --zone ZONE  --languages en,fr  --retention DAYS\n"
	     "    --lobby  --mute  --audience  --lock  --approve  (or --no-lobby, …)\n"
	     "  ROLE: host moderator speaker interpreter captioner listener\n"
	     "  TIME: \"2026-12-01 18:00\" in the zone, or none.  WHEN: that, or 90m, "
	     "12h, 7d\n"
	     "\n"
	     "See palabrectl(1).");
}

struct parse {
	struct ctl_command *out;
	const struct command *command;
	const char *zone, *from, *until;
	char *why;
	size_t why_len;
};

static int wrong(const struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(const struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, p->why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int set(const struct parse *p, const char *key, json_t *value)
{
	return value && !json_object_set_new(p->out->ask, key, value)
		       ? 0
		       : wrong(p, "%s is not UTF-8", key);
}

/* ---- options ------------------------------------------------------------------------ */

static int take_flag(struct parse *p, const char *name, bool *known)
{
	static const char *const flags[] = { "lobby", "mute", "audience", "lock",
					     "approve" };
	bool on = strncmp(name, "no-", 3) != 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(on ? name : name + 3, flags[i]) != 0)
			continue;
		*known = true;
		return set(p, flags[i], json_boolean(on));
	}
	return 0;
}

static int take_days(struct parse *p, const char *text)
{
	if (!text[0] || strlen(text) > 6 || text[strspn(text, "0123456789")])
		return wrong(p, "--retention wants a number of days, not \"%.40s\"",
			     text);
	return set(p, "retention", json_integer(strtol(text, NULL, 10)));
}

static int take_expiry(struct parse *p, const char *text)
{
	int64_t span = ctl_span_parse(text);
	uint64_t at;

	if (span >= 0)
		at = clock_wall_us() / 1000000 + (uint64_t)span;
	else if (ctl_time_parse(text, "", &at))
		return wrong(p,
			     "--expires wants 90m, 12h, 7d or \"2026-12-01 18:00\", not "
			     "\"%.40s\"",
			     text);
	return set(p, "expires", json_integer((json_int_t)at));
}

static int take_room_value(struct parse *p, const char *name, const char *value)
{
	if (!strcmp(name, "retention"))
		return take_days(p, value);
	if (!strcmp(name, "from"))
		p->from = value;
	else if (!strcmp(name, "until"))
		p->until = value;
	else if (!strcmp(name, "zone") && value[0] && !ctl_zone_known(value))
		return wrong(p,
			     "there is no time zone \"%.40s\"; they are called like "
			     "Africa/Nairobi",
			     value);
	else
		return set(p, name, json_string(value));
	return 0;
}

static bool is_room_value(const char *name)
{
	static const char *const names[] = { "title", "description", "from",	 "until",
					     "zone",  "languages",   "retention" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* `*used`: the value that follows was taken. */
static int take_option(struct parse *p, const char *name, const char *value, bool *used)
{
	enum options kind = p->command->options;
	bool known = false, wants_value;
	int err = kind == OPTIONS_ROOM ? take_flag(p, name, &known) : 0;

	if (err || known)
		return err;
	if (kind == OPTIONS_DRAIN && !strcmp(name, "off"))
		return set(p, "on", json_false());
	wants_value = (kind == OPTIONS_LINK && !strcmp(name, "expires")) ||
		      (kind == OPTIONS_ROOM && is_room_value(name));
	if (!wants_value)
		return wrong(p, "--%.40s is not understood; usage: palabrectl %s", name,
			     p->command->usage);
	if (!value)
		return wrong(p, "--%s wants a value", name);
	*used = true;
	if (!strcmp(name, "zone"))
		p->zone = value;
	return kind == OPTIONS_LINK ? take_expiry(p, value)
				    : take_room_value(p, name, value);
}

static int set_time(struct parse *p, const char *key, const char *text)
{
	uint64_t at = 0;

	if (text && strcmp(text, "none") != 0 &&
	    ctl_time_parse(text, p->zone ? p->zone : "", &at))
		return wrong(p,
			     "--%s wants \"2026-12-01 18:00\" or none, not \"%.40s\" (a "
			     "time that the clocks skip is none, either)",
			     key, text);
	return text ? set(p, key, json_integer((json_int_t)at)) : 0;
}

/* Once the zone is known. */
static int take_times(struct parse *p)
{
	if ((p->from || p->until) && !p->zone && !strcmp(p->command->verb, "room-set"))
		return wrong(p, "say with --zone in which time zone that is");
	return set_time(p, "from", p->from) ? -EINVAL : set_time(p, "until", p->until);
}

/* ---- words -------------------------------------------------------------------------- */

static int find_command(struct parse *p, const char *first, const char *second,
			unsigned *words)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (!first || strcmp(first, c->first) != 0)
			continue;
		known = true;
		if (c->second && (!second || strcmp(second, c->second) != 0))
			continue;
		p->command = c;
		*words = c->second ? 2 : 1;
		return 0;
	}
	return known ? wrong(p, "\"%.40s\" goes with %s; see palabrectl --help", first,
			     first[0] == 'r'   ? "show, add, set or remove"
			     : first[0] == 'c' ? "add or remove"
					       : "add, list or revoke")
		     : wrong(p, "\"%.40s\" is not a command; see palabrectl --help",
			     first ? first : "");
}

static int take_operands(struct parse *p, char **words, unsigned count)
{
	unsigned wanted = 0;

	while (wanted < ARRAY_LEN(p->command->operands) && p->command->operands[wanted])
		wanted++;
	if (count > wanted || (count < wanted && !(p->command->optional && !count)))
		return wrong(p, "usage: palabrectl %s", p->command->usage);
	for (unsigned i = 0; i < count; i++)
		if (set(p, p->command->operands[i], json_string(words[i])))
			return -EINVAL;
	return 0;
}

/* Those that any command takes; how many words that were, 0: none of them. */
static int take_global(struct parse *p, const char *word, const char *next)
{
	struct ctl_command *out = p->out;

	if (!strcmp(word, "--json")) {
		out->json = true;
		return 1;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
	    !strcmp(word, "--version")) {
		if (word[2] == 'v')
			puts("palabrectl " PALABRE_VERSION);
		else
			usage();
		out->leave = true;
		return 1;
	}
	if (strcmp(word, "--socket") != 0)
		return 0;
	if (!next || strlen(next) >= sizeof out->socket)
		return wrong(p, "--socket wants a file of at most %zu characters",
			     sizeof out->socket - 1);
	memcpy(out->socket, next, strlen(next) + 1);
	return 2;
}

/* Sorts argv into words and options behind them; both keep their order. */
struct sorted {
	unsigned word_count, rest_count;
	char *words[8], *rest[64];
};

static int sort(struct parse *p, int argc, char **argv, struct sorted *s)
{
	bool plain = false;

	for (int i = 1; i < argc && !p->out->leave; i++) {
		int taken = plain ? 0
				  : take_global(p, argv[i],
						i + 1 < argc ? argv[i + 1] : NULL);

		if (taken < 0)
			return taken;
		i += taken > 0 ? taken - 1 : 0;
		if (taken)
			continue;
		if (!plain && !strcmp(argv[i], "--"))
			plain = true;
		else if (!plain && argv[i][0] == '-' && s->rest_count < 62) {
			s->rest[s->rest_count++] = argv[i];
			/* What follows may be its value: its command knows. */
			if (i + 1 < argc && is_room_value(argv[i] + 2))
				s->rest[s->rest_count++] = argv[++i];
			else if (i + 1 < argc && !strcmp(argv[i], "--expires"))
				s->rest[s->rest_count++] = argv[++i];
		} else if (s->word_count < ARRAY_LEN(s->words)) {
			s->words[s->word_count++] = argv[i];
		} else {
			return wrong(p, "that is too much at once");
		}
	}
	return 0;
}

static int take_rest(struct parse *p, const struct sorted *s)
{
	for (unsigned i = 0; i < s->rest_count; i++) {
		const char *next = i + 1 < s->rest_count ? s->rest[i + 1] : NULL;
		bool used = false;

		if (strncmp(s->rest[i], "--", 2) != 0)
			return wrong(p, "%.40s is not understood", s->rest[i]);
		if (take_option(p, s->rest[i] + 2, next, &used))
			return -EINVAL;
		i += used;
	}
	return 0;
}

int ctl_args(struct ctl_command *out, int argc, char **argv, char *why, size_t why_len)
{
	struct parse p = { .out = out, .why = why, .why_len = why_len };
	struct sorted s = { 0 };
	unsigned words = 0;
	int err;

	*out = (struct ctl_command) { .ask = json_object() };
	err = out->ask ? sort(&p, argc, argv, &s) : wrong(&p, "not enough memory");
	if (err || out->leave)
		return err;
	err = find_command(&p, s.word_count ? s.words[0] : NULL,
			   s.word_count > 1 ? s.words[1] : NULL, &words);
	if (err)
		return err;
	out->name = p.command->verb;
	if (p.command->options == OPTIONS_DRAIN)
		json_object_set_new(out->ask, "on", json_true());
	err = set(&p, "do", json_string(p.command->verb));
	if (!err)
		err = take_rest(&p, &s);
	if (!err)
		err = take_operands(&p, s.words + words, s.word_count - words);
	return err ? err : take_times(&p);
}
