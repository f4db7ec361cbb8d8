// SPDX-License-Identifier: GPL-2.0-only
/* Which pair of trees a page belongs to: CMD's classes; pure */

/*
 * DOC: classes
 *
 * A class is a vector of components, one for cmd-address and cmd-count, one for each
 * sub-page for cmd-subpage. A component has a key, of which a cut makes a level:
 *
 *  cmd-address	the page's place in its object, in 256 steps
 *  cmd-count	in how many of the last 8 passes it was written
 *  cmd-subpage	of a sub-page that changed of late: in how many passes, behind all others;
 *		else 8 bits of its hash
 *
 * Pages of like content must come together and the classes must be of like size. Keys
 * that are counts alone do the first but not the second: most pages change in no pass, so
 * that one class would be nearly as large as KSM's tree. Hashes of what does not change do
 * both.
 *
 * The cuts follow the histogram of the pass before. A cut that is about right stays, because
 * a new one costs a walk for each shared page that moves.
 */

#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "core.h"

#define HASH_KEYS	256	/* behind them, counts */
#define COUNT_MAX	3
#define SUBPAGE		(DEDUP_PAGE / DEDUP_SUBPAGES)

void dedup_cut_init(struct dedup_cut *cut, u16 levels, u32 keys)
{
	u32 i;

	memset(cut, 0, sizeof(*cut));
	cut->levels = levels;
	for (i = 0; i < DEDUP_KEYS; i++)
		cut->level[i] = min(i * levels / keys, levels - 1U);
}

static u32 largest(const struct dedup_cut *cut, const u16 *level)
{
	u32 sum = 0, most = 0, i;

	for (i = 0; i < DEDUP_KEYS; i++) {
		if (i && level[i] != level[i - 1])
			sum = 0;
		sum += cut->hist[i];
		most = max(most, sum);
	}
	return most;
}

bool dedup_recut(struct dedup_cut *cut)
{
	u64 total = 0, sum = 0;
	u16 level[DEDUP_KEYS];
	u32 now, then, i;

	for (i = 0; i < DEDUP_KEYS; i++)
		total += cut->hist[i];
	for (i = 0; i < DEDUP_KEYS; i++) {
		/* by the middle of the key's pages, so that a heavy one takes few others along */
		u64 mid = 2 * sum + cut->hist[i];

		level[i] = total ? min_t(u64, mid * cut->levels / (2 * total), cut->levels - 1) : 0;
		sum += cut->hist[i];
	}
	now = largest(cut, cut->level);
	then = largest(cut, level);
	memset(cut->hist, 0, sizeof(cut->hist));
	/* by more than half, and more than chance makes of few pages */
	if (2 * now <= 3 * then + 32)
		return false;
	memcpy(cut->level, level, sizeof(level));
	return true;
}

u16 dedup_class(const struct dedup_core *core, const u16 *key)
{
	u32 class = 0, i;

	for (i = 0; i < core->cuts; i++)
		class = class * core->cut[i].levels + core->cut[i].level[key[i]];
	return class;
}

static bool subpage_keys(struct dedup_core *core, struct dedup_item *item, const void *data,
			 u16 *key)
{
	bool changed = false;
	u64 sum = 0;
	int i;

	for (i = 0; i < DEDUP_SUBPAGES; i++) {
		u16 old = item->hash >> 16 * i;
		u16 hash = dedup_hash(data + i * SUBPAGE, SUBPAGE, core->seed, &core->stats.bytes);

		sum |= (u64)hash << 16 * i;
		if (hash != old) {
			changed = true;
			if (item->seen)
				item->count[i] = min(item->count[i] + 1, COUNT_MAX);
		} else if (item->count[i]) {
			item->count[i] /= 2;
		}
		key[i] = item->count[i] ? HASH_KEYS + item->count[i] - 1 : hash >> 8;
	}
	item->hash = sum;
	return changed;
}

bool dedup_classify(struct dedup_core *core, struct dedup_item *item, const void *data, bool dirty,
		    u16 *key)
{
	bool changed = false;
	u16 class;
	int i;

	switch (core->algorithm) {
	case DEDUP_CMD_ADDRESS:
		key[0] = min_t(u64, item->index * HASH_KEYS / max_t(u64, core->end, 1),
			       HASH_KEYS - 1);
		break;
	case DEDUP_CMD_COUNT:
		item->count[0] = item->count[0] << 1 | (dirty && item->seen);
		key[0] = hweight8(item->count[0]);
		break;
	case DEDUP_CMD_SUBPAGE:
		changed = subpage_keys(core, item, data, key);
		break;
	default:
		break;
	}
	for (i = 0; i < core->cuts; i++)
		core->cut[i].hist[key[i]]++;
	class = dedup_class(core, key);
	if (item->seen && class != item->class)
		core->stats.reclassified++;
	item->class = class;
	return changed;
}

void dedup_key_settle(const struct dedup_core *core, const struct dedup_item *item, u16 *key)
{
	int i;

	if (core->algorithm != DEDUP_CMD_SUBPAGE)
		return;
	for (i = 0; i < DEDUP_SUBPAGES; i++)
		key[i] = (u8)(item->hash >> (16 * i + 8));
}
