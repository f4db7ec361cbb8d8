// SPDX-License-Identifier: GPL-2.0-only
/* The host's state by its free memory: pure, also built in userspace. */
#include <linux/minmax.h>

#include "ladder.h"

#define MIB_PAGES	256ull
#define GIB_PAGES	(1024 * MIB_PAGES)
#define KNEE		(28 * GIB_PAGES)	/* the formula is steep up to here */
#define KNEE_FREE	(899 * MIB_PAGES)
#define PERMILLE	1000

u64 ladder_min_free(u64 total)
{
	if (total > KNEE)
		return KNEE_FREE + (total - KNEE) / 100;
	return max_t(u64, total * KNEE_FREE / KNEE, 1);
}

const char *ladder_bad_bounds(const u32 *up, const u32 *down)
{
	int s;

	if (up[HOST_HIGH])
		return "up";
	if (down[HOST_HIGH])
		return "down";
	for (s = HOST_CLEAR; s < HOST_STATES; s++) {
		if (!down[s] || down[s] > 1000 * PERMILLE ||
		    (s > HOST_CLEAR && down[s] >= down[s - 1]))
			return "down";
		/* Left at its up, a state must not be entered again at once */
		if (up[s] < down[s] || up[s] > 1000 * PERMILLE ||
		    (s > HOST_CLEAR && up[s] > up[s - 1]))
			return "up";
	}
	return NULL;
}

/* Free memory in permille of min_free; far above every bound it saturates. */
static u64 permille(const struct ladder_free *f)
{
	u64 most = ~0ull / PERMILLE;

	return min(f->free, most) * PERMILLE / max_t(u64, f->min_free, 1);
}

enum host_state ladder_next(enum host_state now, const struct ladder_free *f, const u32 *up,
			    const u32 *down)
{
	u64 have = permille(f);

	while (now > HOST_HIGH && have >= up[now])
		now--;
	while (now < HOST_STATES - 1 && have < down[now + 1])
		now++;
	return now;
}

u64 ladder_deficit(const struct ladder_free *f, const u32 *up)
{
	u64 want = f->min_free * up[HOST_CLEAR] / PERMILLE;

	return want > f->free ? want - f->free : 0;
}
