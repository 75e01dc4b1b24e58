/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One producer, one consumer. `tail` is the producer's, `head` the consumer's; both only
 * grow (and wrap as 32 bits), tail - head is the number of items.
 *
 * No wake-up is lost: the producer publishes tail and then looks at head; the consumer
 * publishes head and then looks at tail; all four are sequentially consistent, so when
 * the consumer finds the ring empty without seeing an item, its producer saw the head
 * that made the ring empty before that item, and signals.
 */
#include <palabre/base.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { CACHE_LINE_BYTES = 64, RING_SLOTS_MAX = 1 << 24 };

struct ring {
	/* the producer's line */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t tail;
	uint32_t head_seen; /* saves reading the consumer's line while there is room */
	/* the consumer's line */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t head;
	uint32_t tail_seen;
	/* constant */
	alignas(CACHE_LINE_BYTES) uint32_t mask;
	int fd;
	size_t item_bytes;
	uint8_t *items;
};

struct ring *ring_create(unsigned slots, size_t item_bytes)
{
	struct ring *r;
	uint32_t n = 1;

	if (!item_bytes || slots > RING_SLOTS_MAX)
		return NULL;
	while (n < slots)
		n *= 2;
	r = aligned_alloc(CACHE_LINE_BYTES, sizeof *r);
	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->mask = n - 1;
	r->item_bytes = item_bytes;
	r->items = calloc(n, item_bytes);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r->items || r->fd < 0) {
		ring_destroy(r);
		return NULL;
	}
	return r;
}

void ring_destroy(struct ring *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->items);
	free(r);
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

int ring_push(struct ring *r, const void *item)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const uint64_t one = 1;

	if (tail - r->head_seen > r->mask) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen > r->mask)
			return -ENOBUFS;
	}
	memcpy(r->items + (size_t)(tail & r->mask) * r->item_bytes, item, r->item_bytes);
	atomic_store(&r->tail, tail + 1);
	r->head_seen = atomic_load(&r->head);
	/* Was empty. (The consumer may have taken the item already: head == tail + 1.) A
	 * write fails only when the counter is full, and then the descriptor is readable
	 * anyway. */
	if (r->head_seen == tail) {
		while (write(r->fd, &one, sizeof one) < 0 && errno == EINTR)
			;
	}
	return 0;
}

bool ring_pop(struct ring *r, void *item)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load(&r->tail);
		if (head == r->tail_seen)
			return false;
	}
	memcpy(item, r->items + (size_t)(head & r->mask) * r->item_bytes, r->item_bytes);
	atomic_store(&r->head, head + 1);
	return true;
}

void ring_clear(struct ring *r)
{
	uint64_t n;

	while (read(r->fd, &n, sizeof n) < 0 && errno == EINTR)
		;
}
