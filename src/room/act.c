/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The one door for what people want. Each act's line says which capability it needs, and
 * an act without a line cannot be done: nothing can forget to ask.
 */
#include "room_in.h"

typedef enum deny (*act_fn)(struct room *r, struct person *p, const struct act *a,
			    uint64_t now_us);

static const struct {
	act_fn fn;
	unsigned needs; /* 0: everybody who is inside */
} acts[ACT_COUNT] = {
	[ACT_RULES] = { moderate, CAP_MODERATE },
	[ACT_ADMIT] = { moderate, CAP_MODERATE },
	[ACT_MUTE] = { moderate, CAP_MODERATE },
	[ACT_ALLOW] = { moderate, CAP_MODERATE },
	[ACT_ASK] = { moderate, CAP_MODERATE },
	[ACT_CALL] = { moderate, CAP_MODERATE },
	[ACT_ROLE] = { moderate, CAP_MODERATE },
	[ACT_SPOTLIGHT] = { moderate, CAP_MODERATE },
	[ACT_REMOVE] = { moderate, CAP_MODERATE },
	[ACT_BAN] = { moderate, CAP_MODERATE },
	[ACT_BOARD] = { board_act, CAP_MODERATE },
	[ACT_HAND] = { board_act, 0 },
	[ACT_QUESTION] = { board_act, 0 },
	[ACT_VOTE] = { board_act, 0 },
	[ACT_APPROVE] = { board_act, CAP_MODERATE },
	[ACT_ANSWER] = { board_act, CAP_MODERATE },
	[ACT_DONE] = { board_act, CAP_MODERATE },
	[ACT_REOPEN] = { board_act, CAP_MODERATE },
	[ACT_DROP] = { board_act, 0 }, /* it looks whose it is */
	[ACT_SAY] = { chat_act, 0 },
	[ACT_UNSAY] = { chat_act, 0 }, /* likewise */
	[ACT_REACT] = { chat_act, 0 },
	[ACT_CHAT] = { chat_act, CAP_MODERATE },
	[ACT_PIN] = { chat_act, CAP_MODERATE },
	[ACT_POLL] = { poll_act, CAP_MODERATE },
	[ACT_CHOOSE] = { poll_act, 0 },
	[ACT_POLL_CLOSE] = { poll_act, CAP_MODERATE },
	[ACT_POLL_DROP] = { poll_act, CAP_MODERATE },
};

static enum deny refused(enum deny why)
{
	if (why)
		STAT_INC(act_refused);
	return why;
}

enum deny room_act(struct room *r, struct person *p, const struct act *a, uint64_t now_us)
{
	if ((unsigned)a->type >= ACT_COUNT || !acts[a->type].fn)
		return refused(DENY_ROLE);
	if (p->waiting)
		return refused(DENY_WAITING);
	if ((role_caps(p->role) & acts[a->type].needs) != acts[a->type].needs)
		return refused(DENY_ROLE);
	return refused(acts[a->type].fn(r, p, a, now_us));
}
