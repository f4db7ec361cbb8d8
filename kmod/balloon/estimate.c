// SPDX-License-Identifier: GPL-2.0-only
/* Averages and the price of a page: pure, also built in userspace. */
#include <linux/minmax.h>

#include "estimate.h"

#define SLOW_SHIFT	4	/* weight of a sample: 1/16 */
#define FAST_SHIFT	1	/* 1/2 */
#define SHARE_SHIFT	1

/* Half of the divisor is added towards the sample, so that the average gets there. */
static u32 average(u32 old, u32 sample, unsigned int shift)
{
	u32 round = (1u << shift) - 1;

	if (sample > old)
		return old + ((sample - old + round) >> shift);
	return old - ((old - sample + round) >> shift);
}

void working_set_add(struct working_set *ws, u64 active, u64 total)
{
	if (!total)
		return;
	/* Keep the product in 64 bits for any number of pages there can be */
	while (total >> 40) {
		total >>= 1;
		active >>= 1;
	}
	ws->last = min(active, total) * ESTIMATE_ONE / total;
	if (!ws->known) {
		ws->slow = ws->last;
		ws->fast = ws->last;
		ws->known = true;
		return;
	}
	ws->slow = average(ws->slow, ws->last, SLOW_SHIFT);
	ws->fast = average(ws->fast, ws->last, FAST_SHIFT);
}

u64 working_set_pages(const struct working_set *ws, u64 total)
{
	u64 part = max(max(ws->slow, ws->fast), ws->last);

	if (!ws->known || part >= ESTIMATE_ONE)
		return total;
	return total / ESTIMATE_ONE * part + total % ESTIMATE_ONE * part / ESTIMATE_ONE;
}

u32 share_average(u32 old, bool known, u32 sample)
{
	return known ? average(old, sample, SHARE_SHIFT) : sample;
}

u64 idle_tax_price(u64 shares, u64 pages, u64 active, u32 tax_permille)
{
	u64 idle = pages - min(pages, active);
	u64 cost = pages - idle + idle * 1000 / (1000 - min(tax_permille, 999u));

	return cost ? (shares << 32) / cost : ~0ull;
}
