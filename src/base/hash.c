/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A hash table of chains through the caller's nodes; a power of two of buckets, doubled
 * when there are as many nodes as buckets, never shrunk.
 */
#include <palabre/base.h>

#include <stdlib.h>

enum { BITS_MIN = 3, BITS_MAX = 28 };

struct hash {
	struct hash_node **bucket;
	unsigned bits;
	unsigned count;
	unsigned visiting; /* depth of hash_each: buckets stay where they are */
};

/* Callers may pass plain numbers (ids, SSRCs); Fibonacci hashing spreads those too. */
static size_t bucket_of(unsigned bits, uint64_t hash)
{
	return (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

struct hash *hash_create(unsigned buckets_hint)
{
	struct hash *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->bits = BITS_MIN;
	while (h->bits < BITS_MAX && 1u << h->bits < buckets_hint)
		h->bits++;
	h->bucket = calloc((size_t)1 << h->bits, sizeof(struct hash_node *));
	if (!h->bucket) {
		free(h);
		return NULL;
	}
	return h;
}

void hash_destroy(struct hash *h)
{
	if (!h)
		return;
	free(h->bucket);
	free(h);
}

unsigned hash_count(const struct hash *h)
{
	return h->count;
}

static void grow(struct hash *h)
{
	struct hash_node **to, *n, *next;
	unsigned bits = h->bits + 1;
	size_t i;

	if (bits > BITS_MAX)
		return;
	to = calloc((size_t)1 << bits, sizeof(struct hash_node *));
	if (!to)
		return;
	for (i = 0; i < (size_t)1 << h->bits; i++) {
		for (n = h->bucket[i]; n; n = next) {
			struct hash_node **head = &to[bucket_of(bits, n->hash)];

			next = n->next;
			n->next = *head;
			*head = n;
		}
	}
	free(h->bucket);
	h->bucket = to;
	h->bits = bits;
}

void hash_insert(struct hash *h, struct hash_node *n, uint64_t hash)
{
	struct hash_node **head;

	if (h->count >= 1u << h->bits && !h->visiting)
		grow(h);
	head = &h->bucket[bucket_of(h->bits, hash)];
	n->hash = hash;
	n->next = *head;
	*head = n;
	h->count++;
}

void hash_remove(struct hash *h, struct hash_node *n)
{
	struct hash_node **at = &h->bucket[bucket_of(h->bits, n->hash)];

	for (; *at; at = &(*at)->next) {
		if (*at == n) {
			*at = n->next;
			n->next = NULL;
			h->count--;
			return;
		}
	}
}

static struct hash_node *first_with(struct hash_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct hash_node *hash_find(const struct hash *h, uint64_t hash)
{
	return first_with(h->bucket[bucket_of(h->bits, hash)], hash);
}

struct hash_node *hash_next(const struct hash_node *n)
{
	return first_with(n->next, n->hash);
}

void hash_each(struct hash *h, void (*fn)(struct hash_node *n, void *arg), void *arg)
{
	struct hash_node *n, *next;
	size_t i;

	h->visiting++;
	for (i = 0; i < (size_t)1 << h->bits; i++) {
		for (n = h->bucket[i]; n; n = next) {
			next = n->next;
			fn(n, arg);
		}
	}
	h->visiting--;
}
