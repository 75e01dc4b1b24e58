/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any text as a person's name, as a room's and as a question: what is accepted keeps the rules,
 * and is accepted again as it stands. */
#include <palabre/room.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_text(const char *text, bool lines)
{
	char out[QUESTION_MAX + 1], again[QUESTION_MAX + 1];
	int len = room_text_take(text, QUESTION_CHARS, QUESTION_MAX, lines, out);

	if (len < 0)
		return;
	if (!len || len > QUESTION_MAX || (size_t)len != strlen(out) ||
	    room_text_take(out, QUESTION_CHARS, QUESTION_MAX, lines, again) != len ||
	    strcmp(out, again) != 0)
		abort();
	for (int i = 0; i < len; i++)
		if (((unsigned char)out[i] < 0x20 && !(lines && out[i] == '\n')) ||
		    out[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[PERSON_NAME_MAX + 1], again[PERSON_NAME_MAX + 1];
	char *text = strndup((const char *)data, size);
	size_t i;

	if (!text)
		return 0;
	if (person_name_check(text, out) == 0) {
		size_t len = strlen(out);

		if (!len || len > PERSON_NAME_MAX || out[0] == ' ' ||
		    out[len - 1] == ' ' || person_name_check(out, again) ||
		    strcmp(out, again) != 0)
			abort();
		for (i = 0; i < len; i++)
			if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
				abort();
	}
	if (room_name_check(text) == 0 && (!*text || strlen(text) > ROOM_NAME_MAX))
		abort();
	(void)!role_parse(text);
	take_text(text, false);
	take_text(text, true);
	free(text);
	return 0;
}
