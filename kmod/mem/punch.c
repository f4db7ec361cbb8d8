// SPDX-License-Identifier: GPL-2.0-only
/* Punching holes: pages that the guest gave away are freed at once */

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "private.h"

/* The first index in [first, last] that has something to give, or past @last. */
static pgoff_t next_present(struct mem_object *obj, pgoff_t first, pgoff_t last)
{
	unsigned long index = first;
	void *entry = xa_find(&obj->pages, &index, last, XA_PRESENT);

	while (entry && entry_state(entry) == MEM_BALLOONED)
		entry = xa_find_after(&obj->pages, &index, last, XA_PRESENT);
	return entry ? index : last + 1;
}

/* [first, last] lies in one aligned run, and there is something at @first. */
static void punch_run(struct mem_object *obj, pgoff_t first, pgoff_t last)
{
	bool block = object_in_block(obj, first);
	bool whole = last - first == MEM_BLOCK_PAGES - 1;
	pgoff_t run = round_down(first, MEM_BLOCK_PAGES);
	unsigned long index;
	void *entry;

	if (block) {
		object_set_block(obj, run, false);
		if (whole)
			obj->counts.blocks_freed++;
		else
			obj->counts.blocks_broken++;
		/* As with mem_break(): nobody has looked at them singly before */
		object_mark_dirty(obj, run, run + MEM_BLOCK_PAGES - 1);
	}
	object_unmap(obj, first, last, block && !whole);
	xa_for_each_range(&obj->pages, index, entry, first, last)
		if (entry_state(entry) != MEM_BALLOONED)
			object_drop(obj, index, entry_make(MEM_BALLOONED, NULL));
}

int mem_punch(struct mem_object *obj, pgoff_t first, unsigned long n)
{
	pgoff_t last, end;
	int err = 0;

	if (!n)
		return 0;
	/* Nothing is behind that, and sums stay clear of wrapping */
	last = min(first + min(n - 1, ULONG_MAX - first), (pgoff_t)LONG_MAX >> PAGE_SHIFT);
	while (!err && first <= last) {
		if (fatal_signal_pending(current))
			return -EINTR;
		down_write(&obj->lock);
		if (obj->dead)
			err = -ESTALE;
		else
			first = next_present(obj, first, last);
		if (!err && first <= last) {
			end = min(last, round_up(first + 1, MEM_BLOCK_PAGES) - 1);
			punch_run(obj, first, end);
			first = end + 1;
		}
		up_write(&obj->lock);
		cond_resched();
	}
	return err;
}

/* madvise(MADV_REMOVE) on a mapping comes here too. */
long object_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;
	return mem_punch(file_inode(file)->i_private, offset >> PAGE_SHIFT, len >> PAGE_SHIFT);
}
