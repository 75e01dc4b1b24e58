/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Why something was refused, in words: one list, in the header. */
#include <palabre/room.h>

struct words {
	const char *id, *code, *text;
};
static const struct words words[DENY_COUNT] = { { "", "", "" },
#define X(name, id, code, text) { id, code, text },
						DENY_LIST(X)
#undef X
};

static const struct words *words_of(enum deny why)
{
	return &words[(unsigned)why < DENY_COUNT ? why : DENY_NOTHING];
}

const char *deny_id(enum deny why)
{
	return words_of(why)->id;
}

const char *deny_code(enum deny why)
{
	return words_of(why)->code;
}

const char *deny_text(enum deny why)
{
	return words_of(why)->text;
}
