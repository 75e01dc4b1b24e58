/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A worker's packets: one mapping. The free list is last in, first out, and a packet
 * never used before is taken only when the list is empty, so the memory that is resident
 * is the most that was ever in use at once. Hot path, but for create and destroy.
 */
#include <palabre/base.h>

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Under the address sanitizer a free packet is poisoned, so that use after the last
 * unref, and a second unref, stop the program as they would with malloc(). */
#if defined(__SANITIZE_ADDRESS__)
#define PKT_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PKT_POISON 1
#endif
#endif
#ifdef PKT_POISON
#include <sanitizer/asan_interface.h>
#define poison(p, len)	 __asan_poison_memory_region(p, len)
#define unpoison(p, len) __asan_unpoison_memory_region(p, len)
#else
#define poison(p, len)	 ((void)0)
#define unpoison(p, len) ((void)0)
#endif

enum { CACHE_LINE_BYTES = 64 };
/* What follows the two pointers that a free packet needs. */
#define POISON_OFF   offsetof(struct pkt, refs)
#define POISON_BYTES (sizeof(struct pkt) - POISON_OFF)

struct pkt_pool {
	struct pkt *free;
	uint8_t *base;
	size_t stride;
	unsigned size;
	unsigned fresh; /* packets from this index on were never taken */
	unsigned free_count;
};

struct pkt_pool *pkt_pool_create(unsigned count)
{
	struct pkt_pool *pool = calloc(1, sizeof *pool);
	void *map;

	if (!pool)
		return NULL;
	pool->stride = (sizeof(struct pkt) + CACHE_LINE_BYTES - 1) &
		       ~(size_t)(CACHE_LINE_BYTES - 1);
	map = mmap(NULL, pool->stride * (count ? count : 1), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		free(pool);
		return NULL;
	}
	pool->base = map;
	pool->size = pool->free_count = count;
	return pool;
}

void pkt_pool_destroy(struct pkt_pool *pool)
{
	size_t bytes;

	if (!pool)
		return;
	bytes = pool->stride * (pool->size ? pool->size : 1);
	unpoison(pool->base, bytes);
	munmap(pool->base, bytes);
	free(pool);
}

unsigned pkt_pool_free_count(const struct pkt_pool *pool)
{
	return pool->free_count;
}

bool pkt_pool_scarce(const struct pkt_pool *pool)
{
	return pool->free_count < pool->size / 8;
}

unsigned pkt_pool_size(const struct pkt_pool *pool)
{
	return pool->size;
}

struct pkt *pkt_take(struct pkt_pool *pool)
{
	struct pkt *p = pool->free;

	if (p) {
		pool->free = p->next;
	} else {
		if (pool->fresh == pool->size)
			return NULL;
		p = (struct pkt *)(void *)(pool->base + pool->stride * pool->fresh++);
	}
	pool->free_count--;
	unpoison((uint8_t *)p + POISON_OFF, POISON_BYTES);
	memset(p, 0,
	       offsetof(struct pkt, buf)); /* nothing of the last packet shows through */
	p->pool = pool;
	p->refs = 1;
	p->data = p->buf + PKT_HEADROOM_BYTES;
	return p;
}

void pkt_put(struct pkt *p)
{
	struct pkt_pool *pool = p->pool;

	p->next = pool->free;
	pool->free = p;
	pool->free_count++;
	poison((uint8_t *)p + POISON_OFF, POISON_BYTES);
}
