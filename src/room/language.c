/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A room's languages, and the channels that stand for them. */
#include "room_in.h"

#include <errno.h>
#include <string.h>

void room_set_languages(struct room *r, const char *list)
{
	size_t len;

	memset(r->languages, 0, sizeof r->languages);
	r->language_count = 0;
	for (; *list && r->language_count < ROOM_LANGUAGES_MAX;
	     list += len + !!list[len]) {
		char tag[LANGUAGE_MAX + 1] = "";

		len = strcspn(list, ",");
		if (!len || len > LANGUAGE_MAX)
			continue;
		memcpy(tag, list, len);
		if (room_channel(r, tag) < 0)
			memcpy(r->languages[r->language_count++], tag, sizeof tag);
	}
}

unsigned room_languages(const struct room *r)
{
	return r->language_count;
}

const char *room_language(const struct room *r, unsigned channel)
{
	return channel && channel <= r->language_count ? r->languages[channel - 1] : "";
}

int room_channel(const struct room *r, const char *language)
{
	if (!language || !language[0])
		return 0;
	for (unsigned i = 0; i < r->language_count; i++)
		if (!strcmp(r->languages[i], language))
			return (int)i + 1;
	return -ENOENT;
}
