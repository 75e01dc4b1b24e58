/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The template structure of a dependency descriptor (AV1 RTP specification, appendix A.8.2), as far as it
 * says which layer a frame belongs to and where more layers can be taken. Frame and chain differences are
 * the decoder's business.
 */
#include <palabre/wire.h>

#include <errno.h>
#include <string.h>

enum {
	HEAD_BITS = 29, /* mandatory fields and five flags */
	FLAGS_BYTE = 3,
	FLAG_CUSTOM_DTIS = 0x20,
	NEXT_TID = 1,
	NEXT_SID = 2,
	NEXT_END = 3,
	DTI_SWITCH = 2,
	TARGETS_MAX = 32
};

struct bits {
	const uint8_t *data;
	size_t bit, end;
	bool bad;
};

static unsigned bits_get(struct bits *b, unsigned n)
{
	unsigned v = 0;

	if (b->end - b->bit < n) {
		b->bad = true;
		b->bit = b->end;
		return 0;
	}
	for (; n--; b->bit++)
		v = v << 1 | ((unsigned)b->data[b->bit / 8] >> (7 - b->bit % 8) & 1u);
	return v;
}

/* template_layers() */
static bool read_layers(struct bits *b, struct dd_layers *l)
{
	uint8_t sid = 0, tid = 0;

	while (l->count < DD_TEMPLATES_MAX) {
		l->of[l->count].sid = sid;
		l->of[l->count].tid = tid;
		l->count++;
		switch (bits_get(b, 2)) {
		case NEXT_TID:
			tid++;
			break;
		case NEXT_SID:
			tid = 0;
			sid++;
			break;
		case NEXT_END:
			return !b->bad;
		default:
			break;
		}
	}
	return false;
}

struct target {
	uint8_t sid, tid;
};

/* Two passes over template_dtis(): a target's layer is the highest that is in it. */
static void read_targets(struct bits b, const struct dd_layers *l, struct target *targets,
			 unsigned count)
{
	for (unsigned i = 0; i < l->count; i++)
		for (unsigned k = 0; k < count; k++) {
			if (!bits_get(&b, 2))
				continue;
			if (l->of[i].sid > targets[k].sid)
				targets[k].sid = l->of[i].sid;
			if (l->of[i].tid > targets[k].tid)
				targets[k].tid = l->of[i].tid;
		}
}

static void read_switches(struct bits *b, struct dd_layers *l,
			  const struct target *targets, unsigned count)
{
	uint8_t top = l->of[l->count - 1].sid;

	for (unsigned i = 0; i < l->count; i++)
		for (unsigned k = 0; k < count; k++)
			/* Of its own layer it says nothing about who lacks those before it. */
			if (bits_get(b, 2) == DTI_SWITCH && targets[k].sid == top &&
			    targets[k].tid > l->of[i].up_tid &&
			    targets[k].tid > l->of[i].tid)
				l->of[i].up_tid = targets[k].tid;
}

int dd_layers_parse(const uint8_t *dd, size_t len, struct dd_layers *l)
{
	struct bits b = { .data = dd, .bit = HEAD_BITS, .end = len * 8 };
	struct target targets[TARGETS_MAX] = { 0 };
	struct dd_layers found;
	unsigned count;

	if (b.end < HEAD_BITS)
		return -EBADMSG;
	memset(&found, 0, sizeof found);
	found.offset = (uint8_t)bits_get(&b, 6);
	count = bits_get(&b, 5) + 1;
	if (!read_layers(&b, &found))
		return -EBADMSG;
	read_targets(b, &found, targets, count);
	read_switches(&b, &found, targets, count);
	if (b.bad)
		return -EBADMSG;
	*l = found;
	return 0;
}

void dd_layers_put(const struct dd_layers *l, const uint8_t *dd, size_t len,
		   struct frame_view *f)
{
	unsigned i = (f->dd_template - l->offset) & (DD_TEMPLATES_MAX - 1);

	if (i >= l->count)
		return;
	f->sid = l->of[i].sid;
	f->tid = l->of[i].tid;
	/* What a frame says of itself instead is not looked at: it is no such point then. */
	f->up_tid = len > FLAGS_BYTE && (dd[FLAGS_BYTE] & FLAG_CUSTOM_DTIS)
			    ? 0
			    : l->of[i].up_tid;
}
