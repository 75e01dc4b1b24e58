/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariant: an address is in the table exactly while it has a connection, so the table
 * is never larger than the number of connections. Keyed hash: the peers choose the keys.
 */
#include "count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct count {
	struct hash *by_address;
	unsigned total, max, per_address_max;
};

struct count_address {
	struct hash_node node;
	uint8_t key[9]; /* family, IPv4 or the /64 */
	unsigned connections;
};

struct count_ticket {
	struct count *count;
	struct count_address *address;
};

static void count_destroy(void *obj)
{
	struct count *c = obj;

	hash_destroy(c->by_address); /* empty: every ticket holds a reference */
}

struct count *count_create(unsigned max, unsigned per_address_max)
{
	struct count *c = mem_create(sizeof *c, count_destroy);

	if (!c)
		return NULL;
	c->max = max;
	c->per_address_max = per_address_max;
	c->by_address = hash_create(64);
	if (!c->by_address)
		return mem_unref(c);
	return c;
}

unsigned count_total(const struct count *c)
{
	return c->total;
}

static void ticket_destroy(void *obj)
{
	struct count_ticket *t = obj;

	if (!t->address)
		return;
	t->count->total--;
	if (--t->address->connections == 0) {
		hash_remove(t->count->by_address, &t->address->node);
		free(t->address);
	}
	mem_unref(t->count);
}

static struct count_address *find(struct count *c, const uint8_t key[9], uint64_t hash)
{
	struct hash_node *n;

	for (n = hash_find(c->by_address, hash); n; n = hash_next(n)) {
		struct count_address *a = CONTAINER_OF(n, struct count_address, node);

		if (memcmp(a->key, key, sizeof a->key) == 0)
			return a;
	}
	return NULL;
}

int count_take(struct count *c, const struct addr *peer, bool exempt,
	       struct count_ticket **out)
{
	uint8_t key[9] = { peer->family };
	struct count_ticket *t;
	struct count_address *a;
	uint64_t hash;

	if (c->total >= c->max)
		return -ENOBUFS;
	memcpy(key + 1, peer->ip, 8);
	hash = hash_bytes(key, sizeof key);
	a = find(c, key, hash);
	if (a && !exempt && a->connections >= c->per_address_max)
		return -ENOBUFS;
	t = mem_create(sizeof *t, ticket_destroy);
	if (!t)
		return -ENOMEM;
	if (!a) {
		a = calloc(1, sizeof *a);
		if (!a) {
			mem_unref(t);
			return -ENOMEM;
		}
		memcpy(a->key, key, sizeof key);
		hash_insert(c->by_address, &a->node, hash);
	}
	a->connections++;
	c->total++;
	t->count = mem_ref(c);
	t->address = a;
	*out = t;
	return 0;
}
