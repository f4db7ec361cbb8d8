// SPDX-License-Identifier: GPL-2.0-only
/* Blocks: 2 MiB of an object in one piece */

/*
 * A block is allocated whole and split at once into 512 independent pages, so the EPT
 * maps it by one leaf, and any of its pages can still be freed or replaced
 * alone, which a compound page would not allow.
 */

#include <linux/mm.h>
#include <linux/module.h>

#include "private.h"

#define BLOCK_GFP	(GFP_USER | __GFP_ZERO | __GFP_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY)

static const char * const large_name[] = { "never", "auto", "always" };
enum { BLOCKS_NEVER, BLOCKS_AUTO, BLOCKS_ALWAYS };
static int large = BLOCKS_AUTO;

static int large_set(const char *val, const struct kernel_param *kp)
{
	int i = sysfs_match_string(large_name, val);

	if (i < 0) {
		pr_warn("emys: mem_large must be never, auto or always\n");
		return i;
	}
	WRITE_ONCE(large, i);
	return 0;
}

static int large_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", large_name[READ_ONCE(large)]);
}

static const struct kernel_param_ops large_ops = {
	.set = large_set,
	.get = large_get,
};

module_param_cb(mem_large, &large_ops, NULL, 0644);
MODULE_PARM_DESC(mem_large,
		 "2 MiB blocks of owned memory: never, auto (while the host has ample memory), always");

void object_set_block(struct mem_object *obj, pgoff_t first, bool block)
{
	lockdep_assert_held_write(&obj->lock);
	if (block) {
		xa_set_mark(&obj->pages, first, OBJECT_BLOCK);
		obj->counts.blocks++;
	} else {
		xa_clear_mark(&obj->pages, first, OBJECT_BLOCK);
		obj->counts.blocks--;
	}
}

void mem_object_blocks(struct mem_object *obj, bool allowed)
{
	WRITE_ONCE(obj->blocks_off, !allowed);
}

bool mem_is_block(struct mem_object *obj, pgoff_t index)
{
	bool is;

	down_read(&obj->lock);
	is = object_in_block(obj, index);
	up_read(&obj->lock);
	return is;
}

pgoff_t mem_block_next(struct mem_object *obj, pgoff_t index)
{
	pgoff_t next;

	if (index > ULONG_MAX - MEM_BLOCK_PAGES)
		return ULONG_MAX;
	next = round_up(index, MEM_BLOCK_PAGES);
	down_read(&obj->lock);
	if (!xa_find(&obj->pages, &next, ULONG_MAX - 1, OBJECT_BLOCK))
		next = ULONG_MAX;
	up_read(&obj->lock);
	return next;
}

/* -- population ------------------------------------------------------------------- */

static u64 pages_present(const struct mem_object *obj)
{
	return READ_ONCE(obj->counts.state[MEM_PRIVATE]) +
	       READ_ONCE(obj->counts.state[MEM_SHARED]) + READ_ONCE(obj->counts.state[MEM_ZERO]);
}

/*
 * A block spends 2 MiB where the guest perhaps wants 4 KiB. That is no loss when
 * everything that is missing of the object fits in what is free; an object that
 * does not fit gets blocks only while half of the host's memory is free.
 */
static bool block_affordable(struct mem_object *obj)
{
	unsigned long total = totalram_pages();
	u64 want = mem_object_end(obj);
	long free = si_mem_available();

	if (READ_ONCE(large) != BLOCKS_AUTO)
		return READ_ONCE(large) == BLOCKS_ALWAYS;

	want -= min(want, pages_present(obj));
	if (free >= (long)(want + total / 16))
		return true;
	return free >= (long)(total / 2 + MEM_BLOCK_PAGES);
}

static bool block_empty(struct mem_object *obj, pgoff_t first)
{
	pgoff_t i = first;

	return !xa_find(&obj->pages, &i, first + MEM_BLOCK_PAGES - 1, XA_PRESENT);
}

static bool block_wanted(struct mem_object *obj, pgoff_t first)
{
	return !READ_ONCE(obj->blocks_off) && first + MEM_BLOCK_PAGES <= mem_object_end(obj) &&
	       block_empty(obj, first) && block_affordable(obj);
}

/* Publish a split block; false when it cannot be, and then it is freed. */
static bool block_publish(struct mem_object *obj, pgoff_t first, struct page *block)
{
	unsigned long i, n = 0;
	bool ok;

	down_write(&obj->lock);
	ok = !obj->dead && block_empty(obj, first);
	while (ok && n < MEM_BLOCK_PAGES) {
		ok = !object_set(obj, first + n, entry_make(MEM_PRIVATE, block + n));
		n += ok;
	}
	if (ok) {
		object_set_block(obj, first, true);
		obj->counts.blocks_made++;
	} else {
		for (i = 0; i < n; i++)
			object_drop(obj, first + i, NULL);
	}
	up_write(&obj->lock);

	for (i = ok ? MEM_BLOCK_PAGES : n; i < MEM_BLOCK_PAGES; i++)
		put_page(block + i);
	return ok;
}

bool object_populate_block(struct mem_object *obj, pgoff_t index)
{
	pgoff_t first = round_down(index, MEM_BLOCK_PAGES);
	struct page *block;

	if (!block_wanted(obj, first))
		return false;
	block = alloc_pages(BLOCK_GFP, MEM_BLOCK_ORDER);
	if (!block)
		return false;
	split_page(block, MEM_BLOCK_ORDER);
	return block_publish(obj, first, block);
}
