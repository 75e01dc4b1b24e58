/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The only file that reads a clock; everything else is told the time. */
#include <palabre/base.h>

#include <time.h>

#define US_PER_S 1000000u
/* Seconds from 1900 (NTP's prime epoch) to 1970, RFC 5905 §6. */
#define NTP_UNIX_S 2208988800u

static uint64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for these clocks and a good pointer */
	return (uint64_t)ts.tv_sec * US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
	uint64_t now = read_us(CLOCK_MONOTONIC);

	return now ? now : 1;
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

uint64_t clock_thread_us(void)
{
	return read_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall_offset_us(void)
{
	uint64_t before = clock_now_us();
	uint64_t wall = clock_wall_us();
	uint64_t after = clock_now_us();

	/* The middle, so that being scheduled away in between costs half the error. */
	return (int64_t)(wall - (before + (after - before) / 2));
}

uint64_t ntp_from_wall_us(uint64_t wall_us)
{
	/* 32 bits of seconds wrap in 2036 by design (RFC 5905 §6: eras). */
	uint64_t s = wall_us / US_PER_S + NTP_UNIX_S;
	uint64_t us = wall_us % US_PER_S;

	/* Rounded up, so that the way back, which truncates, gives the same microsecond.
	 */
	return s << 32 | ((us << 32) + US_PER_S - 1) / US_PER_S;
}

uint64_t ntp_to_wall_us(uint64_t ntp)
{
	uint64_t s = ntp >> 32;
	uint64_t us = (ntp & UINT32_MAX) * US_PER_S >> 32;

	if (s < NTP_UNIX_S) /* before 1970 as era 0 means era 1: 2036 and later */
		s += UINT64_C(1) << 32;
	return (s - NTP_UNIX_S) * US_PER_S + us;
}
