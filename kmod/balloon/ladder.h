/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ladder.h - the host's state by its free memory, with hysteresis. Pure; private to balloon/.
 *
 * Pages are of 4 KiB. @up and @down are permille of min_free, by state, as in struct
 * reclaim_policy; both are 0 for HOST_HIGH.
 */
#ifndef _EMYS_BALLOON_LADDER_H
#define _EMYS_BALLOON_LADDER_H

#include "balloon.h"

/* What there is of one kind of memory (the budget's, the host's). */
struct ladder_free {
	u64 free, min_free;
};

/*
 * minFree of the paper for a host of @total pages: 899 MB for the first 28 GB and 1 % of what is
 * above. A smaller host keeps back the same part as one of 28 GB. At least 1.
 */
u64 ladder_min_free(u64 total);

/* NULL when the bounds are in order, else the field that is not: "up" or "down". */
const char *ladder_bad_bounds(const u32 *up, const u32 *down);

/*
 * The state after @now. A state is entered below its down, and left for the better from its
 * up on.
 */
enum host_state ladder_next(enum host_state now, const struct ladder_free *f, const u32 *up,
			    const u32 *down);

/* Pages that must come free until the state can be HOST_HIGH. */
u64 ladder_deficit(const struct ladder_free *f, const u32 *up);

#endif
