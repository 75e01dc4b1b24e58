/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The INI reader. It works on a copy of the configuration and goes on after a mistake, so
 * that a person sees all mistakes at once and a file with one changes nothing.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every mistake, one a line; those that don't fit are counted. */
struct mistakes {
	char *buf;
	size_t size, used;
	unsigned count, left_out;
	const char *file;
};

struct parser {
	struct conf conf;
	struct mistakes bad;
	unsigned line;
	const char *section;	 /* NULL: none yet, or an unknown one */
	bool in_unknown_section; /* which was reported; its options aren't */
	unsigned *seen_line;	 /* per option of the table */
};

enum { MORE_BYTES = 32 }; /* kept for "(and N more)" */

static void mistakes_init(struct mistakes *m, const char *file, char *buf, size_t size)
{
	*m = (struct mistakes) { .buf = buf, .size = size, .file = file };
	if (size)
		buf[0] = 0;
}

/* line 0: the file as a whole. */
static void mistake(struct mistakes *m, unsigned line, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void mistake(struct mistakes *m, unsigned line, const char *fmt, ...)
{
	char text[OPTION_WHAT_MAX + 256], where[300];
	size_t len, i;
	va_list ap;
	int n;

	m->count++;
	if (!m->size)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (i = 0; text[i]; i++) { /* what the file says can't play with a terminal */
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
	if (line)
		snprintf(where, sizeof where, "%.255s:%u: ", m->file, line);
	else
		snprintf(where, sizeof where, "%.255s: ", m->file);
	len = strlen(where) + strlen(text) + (m->used > 0);
	/* The first is worth cutting rather than leaving out. */
	if (m->left_out || (m->used && m->used + len + MORE_BYTES >= m->size)) {
		m->left_out++;
		return;
	}
	n = snprintf(m->buf + m->used, m->size - m->used, "%s%s%s", m->used ? "\n" : "",
		     where, text);
	m->used += n < 0 ? 0 : (size_t)n;
}

static int mistakes_end(struct mistakes *m)
{
	if (m->left_out && m->used < m->size)
		snprintf(m->buf + m->used, m->size - m->used, "\n(and %u more)",
			 m->left_out);
	return m->count ? -EINVAL : 0;
}

void conf_defaults(struct conf *c)
{
	size_t i;

	memset(c, 0, sizeof *c);
	for (i = 0; i < conf_option_count; i++) {
		const struct option *o = &conf_option[i];
		char *member = (char *)c + o->offset;
		bool on = o->number_default != 0;

		if (o->kind == KIND_NUMBER)
			memcpy(member, &o->number_default, sizeof o->number_default);
		else if (o->kind == KIND_SWITCH)
			memcpy(member, &on, sizeof on);
		else if (o->kind != KIND_SECTION)
			strcpy(member, o->text_default);
	}
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = 0;
	return s;
}

static void parse_section(struct parser *p, char *s)
{
	const struct option *o;
	size_t len;
	char *name;

	s[strcspn(s, "#")] = 0;
	trim(s);
	len = strlen(s);
	p->section = NULL;
	p->in_unknown_section = true;
	if (s[len - 1] != ']') {
		mistake(&p->bad, p->line, "\"%.60s\" has no ] at its end; write [%.60s]",
			s, s + 1);
		return;
	}
	s[len - 1] = 0;
	name = trim(s + 1);
	o = option_find(name, NULL);
	if (o) {
		p->section = o->section;
		p->in_unknown_section = false;
		return;
	}
	o = option_guess(NULL, name, true);
	if (o)
		mistake(&p->bad, p->line,
			"there is no section [%.60s]; did you mean [%s]?", name,
			o->section);
	else
		mistake(&p->bad, p->line,
			"there is no section [%.60s]; the sections are in the sample "
			"file",
			name);
}

/* The section that has an option of this name, NULL if none. */
static const char *home_of(const char *name)
{
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		if (conf_option[i].name && strcmp(conf_option[i].name, name) == 0)
			return conf_option[i].section;
	}
	return NULL;
}

static void unknown_option(struct parser *p, const char *name)
{
	const char *home = home_of(name);
	const struct option *o;

	if (home) {
		mistake(&p->bad, p->line, "%s belongs in section [%s]; move it there",
			name, home);
		return;
	}
	o = option_guess(p->section, name, false);
	if (!o)
		o = option_guess(NULL, name, false);
	if (o && p->section && strcmp(o->section, p->section) == 0)
		mistake(&p->bad, p->line,
			"there is no option \"%.60s\"; did you mean %s?", name, o->name);
	else if (o)
		mistake(&p->bad, p->line,
			"there is no option \"%.60s\"; did you mean %s in section [%s]?",
			name, o->name, o->section);
	else
		mistake(&p->bad, p->line,
			"there is no option \"%.60s\"; remove it, or see the sample file",
			name);
}

/* Takes off quotes, or a comment after a blank. Points into s; NULL and a mistake. */
static char *clean_value(struct parser *p, char *s)
{
	char *end;

	s = trim(s);
	if (s[0] == '"') {
		end = strchr(s + 1, '"');
		if (!end) {
			mistake(&p->bad, p->line,
				"a quote \" is not closed; close it or leave it out");
			return NULL;
		}
		*end++ = 0;
		end = trim(end);
		if (*end && *end != '#') {
			mistake(&p->bad, p->line,
				"there is text after the closing \"; remove it");
			return NULL;
		}
		return s + 1;
	}
	for (end = s; *end; end++) {
		if (*end == '#' && (end == s || end[-1] == ' ' || end[-1] == '\t')) {
			*end = 0;
			break;
		}
	}
	return trim(s);
}

static void parse_option(struct parser *p, char *s)
{
	char *equals = strchr(s, '='), *name, *value, what[OPTION_WHAT_MAX];
	const struct option *o;
	unsigned *seen;

	if (!equals) {
		mistake(&p->bad, p->line,
			"\"%.60s\" is neither a [section] nor \"name = value\"; begin "
			"comments with "
			"#",
			s);
		return;
	}
	*equals = 0;
	name = trim(s);
	if (p->in_unknown_section)
		return;
	o = p->section ? option_find(p->section, name) : NULL;
	if (!name[0] || !o) {
		unknown_option(p, name);
		return;
	}
	value = clean_value(p, equals + 1);
	if (!value)
		return;
	seen = &p->seen_line[o - conf_option];
	if (*seen) {
		mistake(&p->bad, p->line,
			"%s was set in line %u already; keep one of the two", name,
			*seen);
		return;
	}
	*seen = p->line;
	if (option_set(&p->conf, o, value, what))
		mistake(&p->bad, p->line, "%s: %s", name, what);
}

static void parse_line(struct parser *p, char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t' &&
		     !(s[i] == '\r' && i == len - 1)) ||
		    s[i] == 0x7f) {
			mistake(&p->bad, p->line,
				"there is an invisible character (code %u) at column "
				"%zu; type the "
				"line anew",
				(unsigned)(unsigned char)s[i], i + 1);
			return;
		}
	}
	s = trim(s);
	if (!s[0] || s[0] == '#')
		return;
	if (s[0] == '[')
		parse_section(p, s);
	else
		parse_option(p, s);
}

int conf_parse(struct conf *c, const char *name, const char *text, size_t len, char *why,
	       size_t why_len)
{
	struct parser p = { .conf = *c };
	char *copy, *s, *end;
	int err;

	mistakes_init(&p.bad, name, why, why_len);
	if (len > CONF_FILE_MAX) {
		mistake(&p.bad, 0, "is longer than %d bytes; is it the right file?",
			CONF_FILE_MAX);
		return mistakes_end(&p.bad);
	}
	copy = malloc(len + 1);
	p.seen_line = calloc(conf_option_count, sizeof *p.seen_line);
	if (!copy || !p.seen_line) {
		mistake(&p.bad, 0, "there is no memory left to read it");
		err = -ENOMEM;
		goto out;
	}
	if (len)
		memcpy(copy, text, len);
	copy[len] = 0;
	s = copy;
	if (len >= 3 &&
	    memcmp(s, "\xef\xbb\xbf", 3) == 0) /* Windows' editors begin with it */
		s += 3;
	for (; s < copy + len; s = end + 1) {
		p.line++;
		end = memchr(s, '\n', (size_t)(copy + len - s));
		if (!end)
			end = copy + len;
		*end = 0;
		parse_line(&p, s, (size_t)(end - s));
	}
	err = mistakes_end(&p.bad);
	if (!err)
		*c = p.conf;
out:
	free(p.seen_line);
	free(copy);
	return err;
}

int conf_read(struct conf *c, const char *path, char *why, size_t why_len)
{
	char *text = malloc(CONF_FILE_MAX + 1), message[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	size_t len = 0;
	ssize_t n = 0;

	if (!text || fd < 0) {
		err = text ? -errno : -ENOMEM;
		goto out;
	}
	do {
		n = read(fd, text + len, CONF_FILE_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len <= CONF_FILE_MAX) || (n < 0 && errno == EINTR));
	if (n < 0)
		err = -errno;
out:
	if (err)
		snprintf(why, why_len, "%s: can't be read: %s%s", path,
			 strerror_r(-err, message, sizeof message),
			 err == -ENOENT	  ? "; write it, or give the path of another"
			 : err == -EACCES ? "; the server's user must be able to read it"
					  : "");
	else
		err = conf_parse(c, path, text, len, why, why_len);
	if (fd >= 0)
		close(fd);
	free(text);
	return err;
}

/* "section.name" */
static const struct option *find_dotted(const char *name)
{
	const char *dot = strchr(name, '.');
	char section[64];

	if (!dot || (size_t)(dot - name) >= sizeof section || !dot[1])
		return NULL;
	memcpy(section, name, (size_t)(dot - name));
	section[dot - name] = 0;
	return option_find(section, dot + 1);
}

int conf_get(const struct conf *c, const char *name, char out[CONF_TEXT_MAX])
{
	const struct option *o = find_dotted(name);
	const char *member = o ? (const char *)c + o->offset : NULL;
	int64_t number;

	if (!o)
		return -ENOENT;
	if (o->kind == KIND_NUMBER) {
		memcpy(&number, member, sizeof number);
		snprintf(out, CONF_TEXT_MAX, "%lld", (long long)number);
	} else if (o->kind == KIND_SWITCH) {
		snprintf(out, CONF_TEXT_MAX, "%s", *(const bool *)member ? "yes" : "no");
	} else {
		snprintf(out, CONF_TEXT_MAX, "%s", member);
	}
	return 0;
}

int conf_set(struct conf *c, const char *name, const char *value, char *why,
	     size_t why_len)
{
	const char *dot = strchr(name, '.');
	const struct option *o = find_dotted(name);
	char what[OPTION_WHAT_MAX];
	int err;

	if (!o) {
		o = option_guess(NULL, dot ? dot + 1 : name, false);
		if (o)
			snprintf(why, why_len,
				 "%.60s: there is no such option; did you mean %s.%s?",
				 name, o->section, o->name);
		else
			snprintf(why, why_len,
				 "%.60s: there is no such option; write section.name as "
				 "in the sample "
				 "file",
				 name);
		return -EINVAL;
	}
	err = option_set(c, o, value, what);
	if (err)
		snprintf(why, why_len, "%s: %s", name, what);
	return err;
}

static void check_readable(struct mistakes *m, const char *option, const char *path)
{
	char message[128];
	struct stat st;
	int fd;

	if (!path[0])
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		mistake(m, 0, "tls.%s: %.255s can't be read: %s; %s", option, path,
			strerror_r(errno, message, sizeof message),
			errno == EACCES ? "the server's user must be able to read it"
					: "correct the path");
	else if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		mistake(m, 0, "tls.%s: %.255s is not a file; correct the path", option,
			path);
	if (fd >= 0)
		close(fd);
}

/* Chromium takes candidates below port 1024 at 80 and 443 only, and says nothing of others (tried:
 * 80 and 443 work, 444 does not, nor does 443 at 10.77.0.1). */
static void check_low_ports(struct mistakes *bad, const struct conf *c)
{
	int64_t port = c->media.announce_port ? c->media.announce_port : c->server.port;
	const char *name = c->media.announce_port ? "media.announce_port" : "server.port";

	if (port < 1024 && port != 80 && port != 443)
		mistake(bad, 0,
			"%s %lld: of the ports below 1024 browsers send voice and video "
			"to 80 "
			"and 443 only; take one of those, or one from 1024",
			name, (long long)port);
	else if (port < 1024 && c->server.workers != 1)
		mistake(bad, 0,
			"%s %lld: a second worker would have a port that browsers send "
			"no voice "
			"and video to; write server.workers = 1, or take a port from "
			"1024",
			name, (long long)port);
}

static void check_acme(struct mistakes *bad, const struct conf *c)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	bool https = !strncmp(c->server.url, "https://", 8);
	const char *host = https ? c->server.url + 8 : "";
	size_t len = strcspn(host, ":/");

	if (c->tls.redirect_port && !https)
		mistake(bad, 0,
			"tls.redirect_port: where to is what server.url says; set it, "
			"such "
			"as https://call.example.org");
	if (c->tls.redirect_port && c->tls.redirect_port >= c->server.port &&
	    c->tls.redirect_port <
		    c->server.port + (c->server.workers ? c->server.workers : 64))
		mistake(bad, 0,
			"tls.redirect_port %lld is needed for voice and video; take "
			"another, such as 80",
			(long long)c->tls.redirect_port);
	if (!c->tls.acme[0])
		return;
	if (c->tls.certificate_file[0])
		mistake(bad, 0,
			"tls.acme and tls.certificate_file: set one of them, not both");
	if (!c->tls.redirect_port)
		mistake(bad, 0,
			"tls.acme: the authority asks at port 80; write "
			"tls.redirect_port = 80");
	if (!https || strspn(host, letters) != len || host[0] == '.' || host[0] == '-' ||
	    strstr(host, ".."))
		mistake(bad, 0,
			"tls.acme: an authority gives certificates for names; write "
			"server.url like https://call.example.org, in small letters");
}

int conf_check(const struct conf *c, const char *name, char *why, size_t why_len)
{
	bool certificate = c->tls.certificate_file[0], key = c->tls.key_file[0];
	char what[OPTION_WHAT_MAX];
	struct mistakes bad;
	size_t i;

	mistakes_init(&bad, name, why, why_len);
	for (i = 0; i < conf_option_count; i++) {
		if (option_check(c, &conf_option[i], what))
			mistake(&bad, 0, "%s.%s: %s", conf_option[i].section,
				conf_option[i].name, what);
	}
	if (certificate != key)
		mistake(&bad, 0, "tls.%s is set but tls.%s is not; set both or none",
			certificate ? "certificate_file" : "key_file",
			certificate ? "key_file" : "certificate_file");
	check_readable(&bad, "certificate_file", c->tls.certificate_file);
	check_readable(&bad, "key_file", c->tls.key_file);
	if (c->server.workers > 1 && c->server.port + c->server.workers - 1 > 65535)
		mistake(&bad, 0,
			"server.port %lld and %lld workers need ports above 65535; lower "
			"one of them",
			(long long)c->server.port, (long long)c->server.workers);
	if (c->media.announce_port && c->server.workers > 1 &&
	    c->media.announce_port + c->server.workers - 1 > 65535)
		mistake(&bad, 0,
			"media.announce_port %lld and %lld workers need ports above "
			"65535; lower one "
			"of them",
			(long long)c->media.announce_port, (long long)c->server.workers);
	check_low_ports(&bad, c);
	check_acme(&bad, c);
	return mistakes_end(&bad);
}
