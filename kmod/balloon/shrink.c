// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's shrinker: it asks, the thread gives.
 *
 * Whoever allocates memory may hold an object's lock, or any other of kmod/mem; so
 * nothing is taken or waited for here. What has come free since the last call is reported,
 * and the thread is woken to give more.
 */
#include "../compat/shrinker.h"
#include "reclaim.h"

static struct shrinker *shrinker;
static atomic_long_t offer;		/* pages that can be had quickly, by the last round */
static atomic_long_t gave;		/* pages given and not yet reported */
static atomic64_t total;
static bool wanted;

static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long pages = atomic_long_read(&offer) + atomic_long_read(&gave);

	return pages ?: SHRINK_EMPTY;
}

static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long pages;

	/* A file system's own thread is not to be kept busy with us */
	if (!(sc->gfp_mask & __GFP_FS))
		return SHRINK_STOP;
	pages = atomic_long_xchg(&gave, 0);
	if (atomic_long_read(&offer) && !READ_ONCE(wanted)) {
		WRITE_ONCE(wanted, true);
		reclaim_wake();
	}
	return pages ?: SHRINK_STOP;
}

bool shrink_wanted(void)
{
	return READ_ONCE(wanted) && xchg(&wanted, false);
}

void shrink_offer(u64 pages)
{
	atomic_long_set(&offer, pages);
}

void shrink_gave(u64 pages)
{
	atomic_long_add(pages, &gave);
	atomic64_add(pages, &total);
}

u64 shrink_total(void)
{
	return atomic64_read(&total);
}

int shrink_init(void)
{
	shrinker = compat_shrinker_new("emys", shrink_count, shrink_scan);
	return shrinker ? 0 : -ENOMEM;
}

void shrink_exit(void)
{
	compat_shrinker_free(shrinker);
}
