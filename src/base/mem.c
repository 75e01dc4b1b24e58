/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Control memory: a header with the count before each object. The count is atomic
 * although an object belongs to one thread, because what never changes once made (a
 * certificate) may be held by several.
 */
#include <palabre/base.h>

#include <stdalign.h>
#include <stdlib.h>

struct head {
	alignas(max_align_t) mem_destroy_fn destroy;
	_Atomic size_t refs;
};

static _Thread_local unsigned fail_in;

void mem_fail_after(unsigned n)
{
	fail_in = n;
}

static struct head *head_of(void *obj)
{
	return (struct head *)obj - 1;
}

void *mem_create(size_t size, mem_destroy_fn destroy)
{
	struct head *h;

	if (fail_in && --fail_in == 0)
		return NULL;
	if (size > SIZE_MAX - sizeof *h)
		return NULL;
	h = calloc(1, sizeof *h + size);
	if (!h)
		return NULL;
	h->destroy = destroy;
	atomic_init(&h->refs, 1);
	return h + 1;
}

void *mem_ref(void *obj)
{
	if (obj)
		atomic_fetch_add_explicit(&head_of(obj)->refs, 1, memory_order_relaxed);
	return obj;
}

void *mem_unref(void *obj)
{
	struct head *h;

	if (!obj)
		return NULL;
	h = head_of(obj);
	if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1) {
		if (h->destroy)
			h->destroy(obj);
		free(h);
	}
	return NULL;
}
