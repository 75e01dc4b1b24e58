/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * wire, private: what the payload parsers share. A parser fills a view of its own, made
 * by frame_none(), and copies it out on success only.
 */
#ifndef PALABRE_WIRE_FRAME_PRIV_H
#define PALABRE_WIRE_FRAME_PRIV_H

#include <palabre/wire.h>

enum { FRAME_OFF_NONE = 0xffff };

static inline struct frame_view frame_none(void)
{
	return (struct frame_view) { .pid_off = FRAME_OFF_NONE,
				     .tl0_off = FRAME_OFF_NONE };
}

/* Picture id of VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2), which share the form: M bit,
 * then 7 or 15 bits. */
static inline void frame_read_pid(struct rd *r, const uint8_t *payload,
				  struct frame_view *f)
{
	f->pid_off = (uint16_t)(r->p - payload);
	f->pid = rd_u8(r);
	f->pid_bits = 7;
	if (f->pid & 0x80) {
		f->pid = (uint16_t)((f->pid & 0x7f) << 8 | rd_u8(r));
		f->pid_bits = 15;
	}
}

#endif
