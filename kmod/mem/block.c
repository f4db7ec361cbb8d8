// SPDX-License-Identifier: GPL-2.0-only
/* Blocks: 2 MiB of an object in one piece */

/*
 * A block is allocated whole and split at once into 512 independent pages, so the EPT
 * maps it by one leaf, and any of its pages can still be freed or replaced
 * alone, which a compound page would not allow.
 */

#include <linux/io.h>
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

/* -- breaking and collapsing ---------------------------------------------------------- */

/* No large leaf of the slot's EPT holds anything of the run at @first. -ENOMEM. */
static int split_slot(struct mem_slot *slot, pgoff_t first, struct ept_cache *cache)
{
	pgoff_t last = first + MEM_BLOCK_PAGES - 1;
	struct emys_mem *mem = &slot->vm->mem;
	bool derived;
	int err;

	if (!mem_slot_clip(slot, &first, &last))
		return 0;
	err = ept_cache_fill(cache, EPT_CACHE_SPLIT);
	if (err)
		return err;
	read_lock(&mem->mmu_lock);
	derived = derived_any(mem);
	err = ept_split(&mem->ept, cache, mem_slot_gfn(slot, first) << PAGE_SHIFT, 1);
	read_unlock(&mem->mmu_lock);
	if (derived) {
		write_lock(&mem->mmu_lock);
		derived_drop(slot->vm, mem_slot_gfn(slot, first), mem_slot_gfn(slot, last) + 1, 2,
			     UINT_MAX);
		write_unlock(&mem->mmu_lock);
	}
	return err == -ENOENT ? 0 : err;
}

int mem_break(struct mem_object *obj, pgoff_t index)
{
	pgoff_t first = round_down(index, MEM_BLOCK_PAGES);
	struct ept_cache cache = {};
	struct mem_slot *slot;
	int err = 0;

	down_write(&obj->lock);
	if (obj->dead)
		err = -ESTALE;
	else if (!object_in_block(obj, index))
		err = -ENOENT;
	if (err)
		goto unlock;
	list_for_each_entry(slot, &obj->slots, link) {
		err = split_slot(slot, first, &cache);
		if (err)
			goto unlock;
	}
	object_set_block(obj, first, false);
	/* Who follows the dirty flags has not looked at them before */
	object_mark_dirty(obj, first, first + MEM_BLOCK_PAGES - 1);
	obj->counts.blocks_broken++;
unlock:
	up_write(&obj->lock);
	ept_cache_drain(&cache);
	return err;
}

/* 0: the run is all private; *@block is its first page when it is one block in order, or NULL. */
static int look_at_run(struct mem_object *obj, pgoff_t first, struct page **block)
{
	struct page *page, *head = NULL;
	bool whole = true;
	unsigned long i;

	for (i = 0; i < MEM_BLOCK_PAGES; i++) {
		void *entry = xa_load(&obj->pages, first + i);

		if (entry_state(entry) != MEM_PRIVATE)
			return -EAGAIN;
		page = entry_page(entry);
		if (!i)
			head = page;
		whole &= page_to_pfn(page) == page_to_pfn(head) + i;
	}
	whole &= IS_ALIGNED(page_to_pfn(head), MEM_BLOCK_PAGES);
	*block = whole ? head : NULL;
	return 0;
}

static bool run_alone(struct mem_object *obj, pgoff_t first)
{
	unsigned long i;

	for (i = 0; i < MEM_BLOCK_PAGES; i++)
		if (page_count(entry_page(xa_load(&obj->pages, first + i))) != 1)
			return false;
	return true;
}

/*
 * Move the pages of the run into @block. -EBUSY. Afterwards @block belongs to the object.
 */
static int move_run(struct mem_object *obj, pgoff_t first, struct page *block)
{
	unsigned long i;

	object_unmap(obj, first, first + MEM_BLOCK_PAGES - 1, false);
	if (!run_alone(obj, first)) {
		/* They may write and mark nothing: let the next harvest look */
		for (i = 0; i < MEM_BLOCK_PAGES; i++)
			if (page_count(entry_page(xa_load(&obj->pages, first + i))) != 1)
				xa_set_mark(&obj->pages, first + i, OBJECT_USER);
		return -EBUSY;
	}
	for (i = 0; i < MEM_BLOCK_PAGES; i++) {
		struct page *old = entry_page(xa_load(&obj->pages, first + i));

		memcpy(page_address(block + i), page_address(old), PAGE_SIZE);
		/* In place of an entry, so this takes no memory and cannot fail */
		if (object_set(obj, first + i, entry_make(MEM_PRIVATE, block + i)))
			put_page(block + i);
		else
			object_free(old);
	}
	return 0;
}

/* One large leaf instead of what small ones there are. */
static void collapse_slot(struct mem_slot *slot, pgoff_t first, struct page *block,
			  struct ept_zap *zap)
{
	struct emys_mem *mem = &slot->vm->mem;
	u64 prot = EPT_R | EPT_X | (slot->flags & KVM_MEM_READONLY ? 0 : EPT_W);
	gfn_t gfn = mem_slot_gfn(slot, first);

	if (slot->dirty || first < slot->first || !IS_ALIGNED(gfn, MEM_BLOCK_PAGES) ||
	    first + MEM_BLOCK_PAGES > slot->first + slot->npages)
		return;
	if (ept_max_level(&mem->ept.fmt, prot) < 2)
		prot &= ~EPT_X;
	if (ept_max_level(&mem->ept.fmt, prot) < 2)
		return;

	write_lock(&mem->mmu_lock);
	if (!mem->dead && !ept_collapse(&mem->ept, gfn << PAGE_SHIFT, page_to_phys(block), 2, prot,
					EPT_MT_WB, EPT_MAP_IPAT, zap)) {
		atomic64_inc(&mem->zap_seq);
		atomic64_inc(&slot->vm->stats.mem_pages_2m);
		/* Large ones may take their place */
		mem_derived_drop(slot->vm, gfn, gfn + MEM_BLOCK_PAGES);
	}
	write_unlock(&mem->mmu_lock);
}

static void collapse_slots(struct mem_object *obj, pgoff_t first, struct page *block)
{
	struct ept_zap zap = {};
	struct mem_slot *slot;

	list_for_each_entry(slot, &obj->slots, link)
		collapse_slot(slot, first, block, &zap);
	list_for_each_entry(slot, &obj->slots, link)
		mem_flush(slot->vm);
	ept_zap_free(&zap);
}

/* @block: for a copy, or NULL. 1: one is needed. */
static int collapse_locked(struct mem_object *obj, pgoff_t first, struct page **block)
{
	struct page *whole;
	int err;

	if (obj->dead)
		return -ESTALE;
	if (object_in_block(obj, first))
		return 0;
	err = look_at_run(obj, first, &whole);
	if (err)
		return err;
	if (!whole && !*block)
		return 1;
	if (!whole) {
		err = move_run(obj, first, *block);
		if (err)
			return err;
		*block = NULL;
	} else {
		obj->counts.blocks_kept++;
		collapse_slots(obj, first, whole);
	}
	object_set_block(obj, first, true);
	obj->counts.blocks_collapsed++;
	return 0;
}

int mem_collapse(struct mem_object *obj, pgoff_t index)
{
	pgoff_t first = round_down(index, MEM_BLOCK_PAGES);
	struct page *block = NULL;
	unsigned long i;
	int err;

	for (;;) {
		down_write(&obj->lock);
		err = collapse_locked(obj, first, &block);
		up_write(&obj->lock);
		if (err != 1)
			break;
		block = alloc_pages(BLOCK_GFP & ~__GFP_ZERO, MEM_BLOCK_ORDER);
		if (!block)
			return -ENOMEM;
		split_page(block, MEM_BLOCK_ORDER);
	}
	for (i = 0; block && i < MEM_BLOCK_PAGES; i++)
		put_page(block + i);
	return err;
}
