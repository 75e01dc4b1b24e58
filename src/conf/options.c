/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table made from the list of options, and what one value must look like. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AT(s, n)	       offsetof(struct conf, s.n)
#define SECTION(s, help)       { #s, NULL, KIND_SECTION, 0, NULL, 0, 0, 0, "", help },
#define TEXT(s, n, k, d, help) { #s, #n, KIND_##k, AT(s, n), d, 0, 0, 0, "", help },
#define NUMBER(s, n, d, min, max, unit, help) \
	{ #s, #n, KIND_NUMBER, AT(s, n), NULL, d, min, max, unit, help },
#define SWITCH(s, n, d, help) { #s, #n, KIND_SWITCH, AT(s, n), NULL, d, 0, 1, "", help },
const struct option conf_option[] = { CONF_OPTIONS(SECTION, TEXT, NUMBER, SWITCH) };
#undef SECTION
#undef TEXT
#undef NUMBER
#undef SWITCH
const size_t conf_option_count = ARRAY_LEN(conf_option);

const struct option *option_find(const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const struct option *o = &conf_option[i];

		if (strcmp(o->section, section) == 0 &&
		    (name ? o->name && strcmp(o->name, name) == 0 : !o->name))
			return o;
	}
	return NULL;
}

/* Levenshtein's distance, letters' case ignored; longer words count as far away. */
static unsigned distance(const char *a, const char *b)
{
	enum { WORD_MAX = 63 };
	unsigned row[WORD_MAX + 1], diagonal, up, i, j;
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return UINT32_MAX;
	for (j = 0; j <= b_len; j++)
		row[j] = j;
	for (i = 1; i <= a_len; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			up = row[j];
			row[j] = diagonal + (tolower((unsigned char)a[i - 1]) !=
					     tolower((unsigned char)b[j - 1]));
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diagonal = up;
		}
	}
	return row[b_len];
}

/* "resume" for "resume_s", "timeout" for "request_timeout_s": whole words of a name. */
static bool part_of(const char *part, const char *name)
{
	const char *at = strlen(part) >= 3 ? strstr(name, part) : NULL;
	char after;

	if (!at || (at != name && at[-1] != '_'))
		return false;
	after = at[strlen(part)];
	return after == 0 || after == '_';
}

const struct option *option_guess(const char *section, const char *name, bool sections)
{
	unsigned best = (unsigned)strlen(name) / 3 + 2, d;
	const struct option *found = NULL;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const struct option *o = &conf_option[i];
		const char *candidate = sections ? o->section : o->name;

		if (sections != !o->name || (section && strcmp(section, o->section) != 0))
			continue;
		d = part_of(name, candidate) ? 1 : distance(name, candidate);
		/* A word of which nothing would remain isn't like the other. */
		if (d < best && d < strlen(candidate)) {
			best = d;
			found = o;
		}
	}
	return found;
}

static int wrong(char what[OPTION_WHAT_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(char what[OPTION_WHAT_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, OPTION_WHAT_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int check_address(const char *text, char what[OPTION_WHAT_MAX])
{
	struct addr a;

	if (addr_parse(&a, text))
		return wrong(what,
			     "\"%.60s\" is not an IP address; write addresses such as "
			     "192.0.2.1 or 2001:db8::1, comma-separated",
			     text);
	if (a.port)
		return wrong(what,
			     "\"%.60s\" has a port; leave it out, the port is an option "
			     "of its own",
			     text);
	return 0;
}

static int check_network(const char *text, char what[OPTION_WHAT_MAX])
{
	struct addr_net n;

	if (addr_net_parse(&n, text))
		return wrong(what,
			     "\"%.60s\" is not an IP address or network; write them like "
			     "192.0.2.1 or 10.0.0.0/8, comma-separated",
			     text);
	return 0;
}

static int check_list(const char *list, int (*check)(const char *text, char *what),
		      char what[OPTION_WHAT_MAX])
{
	static const char blank[] = " \t";
	char one[CONF_TEXT_MAX];
	unsigned count = 0;
	size_t len, n;

	if (!list[strspn(list, blank)])
		return 0;
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		n = len;
		memcpy(one, list, len);
		while (n && strchr(blank, one[n - 1]))
			n--;
		one[n] = 0;
		if (check(one + strspn(one, blank), what))
			return -EINVAL;
		if (++count > CONF_LIST_MAX)
			return wrong(what, "has more than %d entries", CONF_LIST_MAX);
		if (!list[len])
			return 0;
	}
}

/* Not RFC 5321's whole grammar: no blanks, quotes or controls, one @ with something on both
 * sides. */
static int check_mail(const char *value, char what[OPTION_WHAT_MAX])
{
	const char *at = strchr(value, '@');

	if (at && at != value && at[1] && !strchr(at + 1, '@')) {
		for (const char *p = value; *p; p++)
			if (*p <= ' ' || *p > '~' || strchr("\"'\\,;:<>()[]", *p))
				goto bad;
		return 0;
	}
bad:
	return wrong(what,
		     "\"%.60s\" is not a mail address; write it like me@example.org",
		     value);
}

static int check_text(const struct option *o, const char *value,
		      char what[OPTION_WHAT_MAX])
{
	if (o->kind == KIND_LISTEN && strcmp(value, "*") == 0)
		return 0;
	if (o->kind == KIND_LISTEN && !value[strspn(value, " \t")])
		return wrong(what, "is empty; write * to listen on all addresses");
	if (o->kind == KIND_LISTEN || o->kind == KIND_ADDRESSES)
		return check_list(value, check_address, what);
	if (o->kind == KIND_NETWORKS)
		return check_list(value, check_network, what);
	if (o->kind == KIND_LEVEL && strcmp(value, "debug") != 0 &&
	    strcmp(value, "info") != 0 && strcmp(value, "warn") != 0 &&
	    strcmp(value, "error") != 0)
		return wrong(what,
			     "\"%.60s\" is not a level; write debug, info, warn or error",
			     value);
	if (o->kind == KIND_MAIL && value[0])
		return check_mail(value, what);
	if (o->kind == KIND_URL && value[0] &&
	    ((strncmp(value, "https://", 8) != 0 && strncmp(value, "http://", 7) != 0) ||
	     strcspn(strstr(value, "://") + 3, "/?# \t\"<>\\") == 0 ||
	     value[strcspn(value, "?# \t\"<>\\")]))
		return wrong(what,
			     "\"%.60s\" is not the address of a page; write it like "
			     "https://call.example.org",
			     value);
	return 0;
}

static int check_number(const struct option *o, int64_t v, char what[OPTION_WHAT_MAX])
{
	if (v < o->min || v > o->max)
		return wrong(what,
			     "%lld is out of range; write a number from %lld to %lld%s%s",
			     (long long)v, (long long)o->min, (long long)o->max,
			     o->unit[0] ? " " : "", o->unit);
	return 0;
}

static int parse_number(const struct option *o, const char *text, int64_t *v,
			char what[OPTION_WHAT_MAX])
{
	const char *p = text + (text[0] == '-');

	/* Digits only: strtoll would take blanks and a plus too. */
	if (!p[0] || p[strspn(p, "0123456789")])
		return wrong(
			what,
			"\"%.60s\" is not a whole number; write a number from %lld to "
			"%lld%s%s, digits only",
			text, (long long)o->min, (long long)o->max, o->unit[0] ? " " : "",
			o->unit);
	*v = strtoll(text, NULL, 10); /* too big ends at the edge, out of every range */
	return check_number(o, *v, what);
}

static int parse_switch(const char *text, bool *v, char what[OPTION_WHAT_MAX])
{
	static const char *const words[] = { "no",  "yes", "false", "true",
					     "off", "on",  "0",	    "1" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*v = i % 2;
			return 0;
		}
	}
	return wrong(what, "\"%.60s\" is neither yes nor no; write yes or no", text);
}

int option_set(struct conf *c, const struct option *o, const char *value,
	       char what[OPTION_WHAT_MAX])
{
	void *member = (char *)c + o->offset;
	int64_t number = 0;
	bool on = false;
	int err;

	if (o->kind == KIND_NUMBER) {
		err = parse_number(o, value, &number, what);
		if (!err)
			memcpy(member, &number, sizeof number);
		return err;
	}
	if (o->kind == KIND_SWITCH) {
		err = parse_switch(value, &on, what);
		if (!err)
			memcpy(member, &on, sizeof on);
		return err;
	}
	if (strlen(value) >= CONF_TEXT_MAX)
		return wrong(what, "has %zu characters; at most %d fit, shorten it",
			     strlen(value), CONF_TEXT_MAX - 1);
	err = check_text(o, value, what);
	if (!err) {
		memset(member, 0, CONF_TEXT_MAX);
		memcpy(member, value, strlen(value));
	}
	return err;
}

void conf_compare(const struct conf *a, const struct conf *b,
		  void (*fn)(const char *section, const char *name, void *arg), void *arg)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct option *o = &conf_option[i];
		size_t n = CONF_TEXT_MAX; /* what follows a text in it is zero */

		if (o->kind == KIND_NUMBER)
			n = sizeof(int64_t);
		else if (o->kind == KIND_SWITCH)
			n = sizeof(bool);
		if (o->kind != KIND_SECTION &&
		    memcmp((const char *)a + o->offset, (const char *)b + o->offset, n))
			fn(o->section, o->name, arg);
	}
}

int option_check(const struct conf *c, const struct option *o, char what[OPTION_WHAT_MAX])
{
	const char *member = (const char *)c + o->offset;
	int64_t number;

	if (o->kind == KIND_SWITCH || o->kind == KIND_SECTION)
		return 0;
	if (o->kind != KIND_NUMBER)
		return check_text(o, member, what);
	memcpy(&number, member, sizeof number);
	return check_number(o, number, what);
}
