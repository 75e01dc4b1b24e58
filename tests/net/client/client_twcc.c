/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), as a browser sends it: every 50 ms what
 * has become of all packets with a number, up to the last that has come.
 */
#include "client_internal.h"

#include <palabre/base.h>

#include <string.h>

enum {
	EVERY_US = 50000,
	MOST = 200, /* statuses in one */
	BYTES = 20 + 2 * (MOST / 7 + 1) + 2 * MOST + 3,
	SEAL_ROOM = 32,
	TICK_US = 250,
	REFERENCE_US = 64000,
	RTPFB = 205,
	FMT_TWCC = 15
};

/* The number in a packet's header extensions (RFC 8285 §4.2, one-byte form); they are not encrypted. */
static bool number_get(const uint8_t *data, size_t len, uint16_t *out)
{
	size_t at = 12 + 4 * (size_t)(data[0] & 15), end;

	if (!(data[0] & 0x10) || len < at + 4 || get_be16(data + at) != 0xbede)
		return false;
	end = at + 4 + 4 * (size_t)get_be16(data + at + 2);
	for (at += 4; at < end && end <= len;) {
		unsigned id = (unsigned)data[at] >> 4, bytes = (data[at] & 15u) + 1;

		if (!data[at]) {
			at++;
			continue;
		}
		if (id == CLIENT_TWCC_ID && bytes == 2 && at + 3 <= end) {
			*out = get_be16(data + at + 1);
			return true;
		}
		at += 1 + bytes;
	}
	return false;
}

void twcc_input(struct client *c, const uint8_t *data, size_t len, uint64_t at_us)
{
	struct client_twcc *t = &c->twcc;
	uint16_t number;

	if (!c->p.twcc || !number_get(data, len, &number))
		return;
	if (!t->any) {
		t->any = true;
		t->told = (uint16_t)(number - 1);
		t->newest = number;
	}
	if ((int16_t)(number - t->newest) > 0) {
		/* What lies between has not come yet, or never. */
		for (uint16_t n = (uint16_t)(t->newest + 1); n != number; n++)
			t->at_us[n % CLIENT_NUMBERS] = 0;
		t->newest = number;
	}
	t->at_us[number % CLIENT_NUMBERS] = at_us;
}

static size_t write_feedback(const struct client_twcc *t, unsigned count, uint8_t *data)
{
	uint64_t first_us = 0, at_us;
	size_t n = 20;

	for (unsigned i = 1; i <= count && !first_us; i++)
		first_us = t->at_us[(uint16_t)(t->told + i) % CLIENT_NUMBERS];
	at_us = first_us / REFERENCE_US * REFERENCE_US;
	memset(data, 0, n);
	data[0] = 0x80 | FMT_TWCC;
	data[1] = RTPFB;
	put_be32(data + 4, 1);
	put_be32(data + 8, 1);
	put_be16(data + 12, (uint16_t)(t->told + 1));
	put_be16(data + 14, (uint16_t)count);
	put_be24(data + 16, (uint32_t)(at_us / REFERENCE_US) & 0xffffff);
	data[19] = t->count;
	for (unsigned i = 0; i < count; i += 7, n += 2) {
		uint16_t chunk = 0xc000;

		for (unsigned k = 0; k < 7 && i + k < count; k++)
			if (t->at_us[(uint16_t)(t->told + 1 + i + k) % CLIENT_NUMBERS])
				chunk |= (uint16_t)(2 << (12 - 2 * k));
		put_be16(data + n, chunk);
	}
	for (unsigned i = 1; i <= count; i++) {
		uint64_t us = t->at_us[(uint16_t)(t->told + i) % CLIENT_NUMBERS];
		int64_t ticks = ((int64_t)us - (int64_t)at_us) / TICK_US;

		if (!us)
			continue;
		put_be16(data + n, (uint16_t)ticks);
		at_us = (uint64_t)((int64_t)at_us + ticks * TICK_US);
		n += 2;
	}
	while (n % 4)
		data[n++] = 0;
	put_be16(data + 2, (uint16_t)(n / 4 - 1));
	return n;
}

void twcc_run(struct client *c, uint64_t now_us)
{
	struct client_twcc *t = &c->twcc;
	uint8_t data[BYTES + SEAL_ROOM];

	if (!t->any || now_us < t->due_us)
		return;
	t->due_us = now_us + EVERY_US;
	if ((uint16_t)(t->newest - t->told) > CLIENT_NUMBERS)
		t->told = (uint16_t)(t->newest - CLIENT_NUMBERS);
	while (t->told != t->newest) {
		unsigned count = (uint16_t)(t->newest - t->told);
		size_t len;

		if (count > MOST)
			count = MOST;
		len = write_feedback(t, count, data);
		t->told = (uint16_t)(t->told + count);
		t->count++;
		(void)client_send_rtcp(c, data, len);
	}
}
