/* SPDX-License-Identifier: GPL-2.0-only */
/* Shrinkers: allocated by the kernel from 6.7 on, and by the caller before */
#ifndef _EMYS_COMPAT_SHRINKER_H
#define _EMYS_COMPAT_SHRINKER_H

#include <linux/shrinker.h>
#include <linux/slab.h>

typedef unsigned long (*compat_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

/* NULL: no memory. */
static inline struct shrinker *compat_shrinker_new(const char *name, compat_shrink_fn count,
						   compat_shrink_fn scan)
{
	struct shrinker *shrinker;

#ifdef HAVE_SHRINKER_ALLOC
	shrinker = shrinker_alloc(0, "%s", name);
#else
	shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
#endif
	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
#ifdef HAVE_SHRINKER_ALLOC
	shrinker_register(shrinker);
#else
	if (register_shrinker(shrinker, "%s", name)) {
		kfree(shrinker);
		return NULL;
	}
#endif
	return shrinker;
}

/* No call is under way when it returns. */
static inline void compat_shrinker_free(struct shrinker *shrinker)
{
#ifdef HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
	kfree(shrinker);
#endif
}

#endif
