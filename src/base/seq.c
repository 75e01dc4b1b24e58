/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Wrapping counters made 64 bit. Never 0, which means "nothing seen". */
#include <palabre/base.h>

static uint64_t extend(uint64_t last, int64_t step, uint64_t cycle)
{
	/* Below the first cycle there is nothing; only a caller that walks backwards gets
	 * here. */
	if (step < 0 && last <= (uint64_t)-step)
		return last + (uint64_t)step + cycle;
	return last + (uint64_t)step;
}

uint64_t seq_extend16(uint64_t last, uint16_t v)
{
	const uint64_t cycle = UINT64_C(1) << 16;

	if (!last)
		return cycle + v;
	return extend(last, (int16_t)(uint16_t)(v - (uint16_t)last), cycle);
}

uint64_t seq_extend32(uint64_t last, uint32_t v)
{
	const uint64_t cycle = UINT64_C(1) << 32;

	if (!last)
		return cycle + v;
	return extend(last, (int32_t)(v - (uint32_t)last), cycle);
}
