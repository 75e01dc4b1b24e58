/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invariant: `heap` is a binary heap by (due_ns, order), so that without jitter, or with
 * reorder off, packets leave in the order in which they came.
 */
#include "path.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void path_init(struct path *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->set.queue_ms = 200;
	p->set.loss_bad = 1;
	/* xorshift must not start at 0; the factor spreads small seeds. */
	p->random = (seed + 1) * 0x9e3779b97f4a7c15u | 1;
}

void path_fini(struct path *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->heap[i].data);
	free(p->heap);
	memset(p, 0, sizeof(*p));
}

static double next_random(struct path *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (double)(p->random >> 11) / 9007199254740992.0;
}

static bool chance(struct path *p, double probability)
{
	return probability > 0 && next_random(p) < probability;
}

static bool earlier(const struct path_pkt *a, const struct path_pkt *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void swap(struct path_pkt *a, struct path_pkt *b)
{
	struct path_pkt t = *a;

	*a = *b;
	*b = t;
}

static bool push(struct path *p, const void *data, size_t len, int64_t due_ns)
{
	struct path_pkt pkt = { .due_ns = due_ns, .order = p->order++, .len = len };
	size_t i;

	if (p->n >= PATH_PKTS_MAX)
		return false;
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		struct path_pkt *heap = realloc(p->heap, room * sizeof(*heap));

		if (!heap)
			return false;
		p->heap = heap;
		p->room = room;
	}
	pkt.data = malloc(len);
	if (!pkt.data)
		return false;
	memcpy(pkt.data, data, len);
	p->heap[i = p->n++] = pkt;
	for (; i && earlier(&p->heap[i], &p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&p->heap[i], &p->heap[(i - 1) / 2]);
	return true;
}

static struct path_pkt pop(struct path *p)
{
	struct path_pkt first = p->heap[0];

	p->heap[0] = p->heap[--p->n];
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < p->n;
		     child++)
			if (earlier(&p->heap[child], &p->heap[least]))
				least = child;
		if (least == i)
			return first;
		swap(&p->heap[i], &p->heap[least]);
		i = least;
	}
}

static int set_bursts(struct path_settings *s, const char *value)
{
	double pct[4] = { 0, 0, 100, 0 };
	char *end = (char *)value;

	for (int i = 0; i < 4 && *value; i++, value = *end == ',' ? end + 1 : end) {
		pct[i] = strtod(value, &end);
		if (end == value || !(pct[i] >= 0 && pct[i] <= 100))
			return -EINVAL;
	}
	if (*value)
		return -EINVAL;
	s->to_bad = pct[0] / 100;
	s->to_good = pct[1] / 100;
	s->loss_bad = pct[2] / 100;
	s->loss_good = pct[3] / 100;
	return 0;
}

int path_set(struct path *p, const char *key, const char *value)
{
	static const struct {
		const char *key;
		size_t offset;
		double max, unit;
	} numbers[] = {
		{ "rate", offsetof(struct path_settings, rate_kbps), 1e7, 1 },
		{ "queue", offsetof(struct path_settings, queue_ms), 6e4, 1 },
		{ "delay", offsetof(struct path_settings, delay_ms), 6e4, 1 },
		{ "jitter", offsetof(struct path_settings, jitter_ms), 6e4, 1 },
		{ "loss", offsetof(struct path_settings, loss), 100, 0.01 },
		{ "dup", offsetof(struct path_settings, dup), 100, 0.01 },
	};
	char *end;
	double x;

	if (!strcmp(key, "ge")) {
		p->bad = false;
		return set_bursts(&p->set, value);
	}
	x = strtod(value, &end);
	if (end == value || *end || !isfinite(x) || x < 0)
		return -EINVAL;
	if (!strcmp(key, "reorder") || !strcmp(key, "down")) {
		if (x > 1)
			return -EINVAL;
		*(*key == 'r' ? &p->set.reorder : &p->set.down) = x > 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		double *field = (double *)(void *)((char *)&p->set + numbers[i].offset);

		if (strcmp(key, numbers[i].key))
			continue;
		if (x > numbers[i].max)
			return -EINVAL;
		*field = x * numbers[i].unit;
		return 0;
	}
	return -EINVAL;
}

static void count_in(struct path_counts *c, const unsigned char *data, size_t len)
{
	int protocol = -1;

	if (len >= 20 && data[0] >> 4 == 4)
		protocol = data[9];
	else if (len >= 40 && data[0] >> 4 == 6)
		protocol = data[6];
	c->in_pkts++;
	c->in_bytes += len;
	c->udp_pkts += protocol == 17;
	c->tcp_pkts += protocol == 6;
	c->other_pkts += protocol != 17 && protocol != 6;
	c->size_pkts[(len > 128) + (len > 512) + (len > 1200)]++;
}

/* Always draws the same number of random numbers for the same settings, so that a change
 * of rate does not change which packets are lost. */
static bool is_lost(struct path *p)
{
	const struct path_settings *s = &p->set;
	bool lost = chance(p, s->loss);

	if (s->to_bad > 0) {
		if (chance(p, p->bad ? s->to_good : s->to_bad))
			p->bad = !p->bad;
		lost |= chance(p, p->bad ? s->loss_bad : s->loss_good);
	}
	return lost || s->down;
}

void path_put(struct path *p, const void *data, size_t len, int64_t now_ns)
{
	const struct path_settings *s = &p->set;
	bool lost = is_lost(p);
	double queue_ms;
	int64_t due_ns;

	if (!len || len > PATH_PKT_MAX_BYTES)
		return;
	count_in(&p->counts, data, len);
	if (p->free_ns < now_ns)
		p->free_ns = now_ns;
	queue_ms = (double)(p->free_ns - now_ns) / 1e6;
	if (s->rate_kbps > 0) {
		if (queue_ms > s->queue_ms) {
			p->counts.queue_drops_pkts++;
			return;
		}
		p->free_ns += (int64_t)((double)len * 8e6 / s->rate_kbps);
	}
	if (queue_ms > p->counts.queue_max_ms)
		p->counts.queue_max_ms = queue_ms;
	if (lost) { /* after the bottleneck: the packet has used its share of the rate */
		p->counts.lost_pkts++;
		return;
	}
	due_ns = p->free_ns + (int64_t)(s->delay_ms * 1e6);
	if (s->jitter_ms > 0)
		due_ns += (int64_t)(s->jitter_ms * 1e6 * next_random(p));
	if (!s->reorder && due_ns < p->last_ns)
		due_ns = p->last_ns;
	p->last_ns = due_ns;
	if (!push(p, data, len, due_ns)) {
		p->counts.overflow_pkts++;
	} else if (chance(p, s->dup)) {
		if (push(p, data, len, due_ns))
			p->counts.dup_pkts++;
	}
}

size_t path_take(struct path *p, void *data, int64_t now_ns)
{
	struct path_pkt pkt;

	if (path_next_ns(p) > now_ns)
		return 0;
	pkt = pop(p);
	memcpy(data, pkt.data, pkt.len);
	free(pkt.data);
	p->counts.out_pkts++;
	p->counts.out_bytes += pkt.len;
	return pkt.len;
}

int64_t path_next_ns(const struct path *p)
{
	return p->n ? p->heap[0].due_ns : INT64_MAX;
}

void path_print(const struct path *p, FILE *out)
{
	const struct path_counts *c = &p->counts;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "in_pkts", c->in_pkts },
		{ "in_bytes", c->in_bytes },
		{ "out_pkts", c->out_pkts },
		{ "out_bytes", c->out_bytes },
		{ "waiting_pkts", p->n },
		{ "queue_drops_pkts", c->queue_drops_pkts },
		{ "lost_pkts", c->lost_pkts },
		{ "dup_pkts", c->dup_pkts },
		{ "overflow_pkts", c->overflow_pkts },
		{ "udp_pkts", c->udp_pkts },
		{ "tcp_pkts", c->tcp_pkts },
		{ "other_pkts", c->other_pkts },
		{ "to_128_bytes_pkts", c->size_pkts[0] },
		{ "to_512_bytes_pkts", c->size_pkts[1] },
		{ "to_1200_bytes_pkts", c->size_pkts[2] },
		{ "longer_pkts", c->size_pkts[3] },
	};

	fprintf(out, "{");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		fprintf(out, "\"%s\":%llu,", counts[i].name,
			(unsigned long long)counts[i].value);
	fprintf(out, "\"queue_max_ms\":%.1f}", c->queue_max_ms);
}
