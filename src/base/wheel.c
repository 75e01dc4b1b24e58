/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A hashed timer wheel (Varghese and Lauck 1987, scheme 6): SLOTS lists of SLOT_US each.
 *
 * Invariant: an armed timer lies in the slot of tick max(due / SLOT_US, w->tick when
 * armed), modulo SLOTS; later rounds share the slot and are told apart by due_us. A
 * slot's bit in `busy` is set if it has timers, and its min_us is at most the earliest
 * due time in it (a disarmed timer leaves it too low: a visit for nothing, which then
 * puts it right). While wheel_run() fires, the timers still to fire are in `firing`, a
 * list like any other, so that handlers can disarm and re-arm them.
 */
#include <palabre/base.h>

#include <stdlib.h>

enum { SLOT_US = 4000, SLOTS = 1024, NEXT_MAX_US = 1000000 };

struct slot {
	struct timer head; /* ring of timers; only next and prev are used */
	uint64_t min_us;
};

struct wheel {
	uint64_t tick; /* time of the last run, in SLOT_US */
	unsigned count;
	bool running;
	struct timer firing;
	uint64_t busy[SLOTS / 64];
	struct slot slot[SLOTS];
};

static void list_init(struct timer *head)
{
	head->next = head->prev = head;
}

static void list_append(struct timer *head, struct timer *t)
{
	t->prev = head->prev;
	t->next = head;
	head->prev->next = t;
	head->prev = t;
}

static void list_unlink(struct timer *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

struct wheel *wheel_create(uint64_t now_us)
{
	struct wheel *w = calloc(1, sizeof *w);
	unsigned i;

	if (!w)
		return NULL;
	w->tick = now_us / SLOT_US;
	list_init(&w->firing);
	for (i = 0; i < SLOTS; i++)
		list_init(&w->slot[i].head);
	return w;
}

void wheel_destroy(struct wheel *w)
{
	free(w);
}

unsigned wheel_count(const struct wheel *w)
{
	return w->count;
}

static void place(struct wheel *w, struct timer *t)
{
	uint64_t tick = t->due_us / SLOT_US;
	unsigned i = (unsigned)((tick > w->tick ? tick : w->tick) % SLOTS);
	struct slot *s = &w->slot[i];
	uint64_t bit = UINT64_C(1) << (i % 64);

	if (!(w->busy[i / 64] & bit) || t->due_us < s->min_us)
		s->min_us = t->due_us;
	w->busy[i / 64] |= bit;
	list_append(&s->head, t);
}

static void unplace(struct wheel *w, struct timer *t)
{
	struct timer *head = t->next;
	bool alone = t->next == t->prev;
	size_t i;

	list_unlink(t);
	if (!alone || head == &w->firing)
		return;
	/* Only the head is left, and a head is its slot's first member. */
	i = (size_t)(CONTAINER_OF(head, struct slot, head) - w->slot);
	w->busy[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_us)
{
	if (t->due_us)
		unplace(w, t);
	else
		w->count++;
	t->due_us = due_us ? due_us : 1;
	place(w, t);
}

void wheel_disarm(struct wheel *w, struct timer *t)
{
	if (!t->due_us)
		return;
	unplace(w, t);
	t->due_us = 0;
	w->count--;
}

/* Moves what is due from a slot to `firing`. */
static void collect(struct wheel *w, unsigned i, uint64_t now_us)
{
	struct slot *s = &w->slot[i];
	uint64_t min_us = UINT64_MAX;
	struct timer *t, *next;

	if (!(w->busy[i / 64] >> (i % 64) & 1) || s->min_us > now_us)
		return;
	for (t = s->head.next; t != &s->head; t = next) {
		next = t->next;
		if (t->due_us <= now_us) {
			list_unlink(t);
			list_append(&w->firing, t);
		} else if (t->due_us < min_us) {
			min_us = t->due_us;
		}
	}
	s->min_us = min_us;
	if (s->head.next == &s->head)
		w->busy[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void wheel_run(struct wheel *w, uint64_t now_us)
{
	uint64_t to = now_us / SLOT_US, from = w->tick, tick;
	struct timer *t;

	if (w->running) /* a handler's mistake; firing twice at once would be worse */
		return;
	if (to < from)
		to = from;
	w->tick = to;
	if (!w->count)
		return;
	if (to - from >= SLOTS)
		from = to - SLOTS + 1;
	/* All first, then fire: what a handler arms for the past waits for the next run,
	 * so two handlers that arm each other can't keep us here. */
	for (tick = from; tick <= to; tick++)
		collect(w, (unsigned)(tick % SLOTS), now_us);
	w->running = true;
	while ((t = w->firing.next) != &w->firing) {
		list_unlink(t);
		t->due_us = 0;
		w->count--;
		t->fn(t, now_us); /* may free t */
	}
	w->running = false;
}

uint64_t wheel_next_us(const struct wheel *w, uint64_t now_us)
{
	uint64_t limit_us = now_us + NEXT_MAX_US;
	uint64_t tick = w->tick, end = limit_us / SLOT_US + 1;

	if (!w->count)
		return UINT64_MAX;
	if (end > tick + SLOTS)
		end = tick + SLOTS;
	while (tick < end) {
		unsigned i = (unsigned)(tick % SLOTS);
		uint64_t rest = w->busy[i / 64] >> (i % 64);

		if (!rest) {
			tick += 64 - i % 64;
			continue;
		}
		tick += (unsigned)__builtin_ctzll(rest);
		i = (unsigned)(tick % SLOTS);
		/* Else all in it are of later rounds. */
		if (tick < end && w->slot[i].min_us < (tick + 1) * SLOT_US)
			return w->slot[i].min_us < limit_us ? w->slot[i].min_us
							    : limit_us;
		tick++;
	}
	return limit_us;
}
