/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A room's times as a calendar entry (RFC 5545). Times are in UTC, so that every calendar shows them as
 * its owner's; the same room has always the same UID, so that a changed one replaces it.
 */
#include "api_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 75 };

/* §3.1: at most 75 octets in a line, not parting a character; a blank begins what goes on. */
static void add_line(struct text *out, const char *line)
{
	size_t len = strlen(line), room = LINE_BYTES;

	while (len > room) {
		size_t n = room;

		while (n && ((unsigned char)line[n] & 0xc0) == 0x80)
			n--;
		text_add_bytes(out, line, n);
		text_add(out, "\r\n ");
		line += n;
		len -= n;
		room = LINE_BYTES - 1;
	}
	text_add_bytes(out, line, len);
	text_add(out, "\r\n");
}

/* §3.3.11 */
static void add_text(struct text *out, const char *name, const char *value)
{
	struct text line = { 0 };

	text_add(&line, "%s:", name);
	for (const char *c = value; *c; c++) {
		if (*c == '\n')
			text_add(&line, "\\n");
		else
			text_add(&line, strchr("\\;,", *c) ? "\\%c" : "%c", *c);
	}
	if (line.s && !line.bad)
		add_line(out, line.s);
	out->bad |= line.bad;
	text_free(&line);
}

static void add_time(struct text *out, const char *name, uint64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm tm = { 0 };
	char text[32] = "";

	gmtime_r(&at, &tm);
	strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm);
	text_add(out, "%s:%s\r\n", name, text);
}

/* For the UID. */
static void host_of(const char *url, char *out, size_t len)
{
	const char *at = strstr(url, "://");

	at = at ? at + 3 : "localhost";
	snprintf(out, len, "%.*s", (int)strcspn(at, "/"), at);
}

void calendar_write(const struct store_room *room, const char *url, const char *token,
		    uint64_t now_s, struct text *out)
{
	char host[CONF_TEXT_MAX], line[CONF_TEXT_MAX + API_LINK_MAX];

	host_of(url, host, sizeof host);
	text_add(out, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Palabre//palabred//"
		      "EN\r\nBEGIN:VEVENT\r\n");
	snprintf(line, sizeof line, "UID:%s@%s", room->name, host);
	add_line(out, line);
	add_time(out, "DTSTAMP", now_s);
	add_time(out, "DTSTART", room->starts_s);
	if (room->ends_s)
		add_time(out, "DTEND", room->ends_s);
	add_text(out, "SUMMARY", room->title[0] ? room->title : room->name);
	if (room->description[0])
		add_text(out, "DESCRIPTION", room->description);
	if (url[0] && token) {
		snprintf(line, sizeof line, "URL:%s/r/%s#%s", url, room->name, token);
		add_line(out, line);
	}
	text_add(out, "END:VEVENT\r\nEND:VCALENDAR\r\n");
}
