// SPDX-License-Identifier: GPL-2.0-only
/* Reading pages: compare, hash, look for zeros, and count the bytes; pure */

/*
 * A guest may write what is read here. A torn result is harmless: what is merged in the
 * end is compared once more with write access taken.
 */

#include <linux/compiler.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "core.h"

#define WORDS	(DEDUP_PAGE / sizeof(u64))

int dedup_compare(const void *a, const void *b, u64 *bytes)
{
	const u64 *x = a, *y = b;
	unsigned int i;
	u64 v, w;

	for (i = 0; i < WORDS; i++) {
		v = READ_ONCE(x[i]);
		w = READ_ONCE(y[i]);
		if (v != w)
			break;
	}
	*bytes += min(i + 1, (unsigned int)WORDS) * 2 * sizeof(u64);
	if (i == WORDS)
		return 0;
	/* The first byte of memory decides, as with memcmp() */
	return __builtin_bswap64(v) < __builtin_bswap64(w) ? -1 : 1;
}

bool dedup_is_zero(const void *data, u64 *bytes)
{
	const u64 *x = data;
	unsigned int i;

	for (i = 0; i < WORDS && !READ_ONCE(x[i]); i++)
		;
	*bytes += min(i + 1, (unsigned int)WORDS) * sizeof(u64);
	return i == WORDS;
}

u64 dedup_hash(const void *data, size_t len, u64 seed, u64 *bytes)
{
	*bytes += len;
	return xxh64(data, len, seed);
}
