/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kmod/mem/ share: objects, slots, zap and flush; private */
#ifndef _EMYS_MEM_PRIVATE_H
#define _EMYS_MEM_PRIVATE_H

#include <linux/rwsem.h>
#include <linux/xarray.h>

#include "../emys.h"

#define MEM_BLOCK_ORDER		9
#define MEM_BLOCK_PAGES		BIT(MEM_BLOCK_ORDER)	/* 2 MiB */

/* -- objects (object.c) --------------------------------------------------- */

/* What a page of an object is. One function changes it: object_set_state(). */
enum mem_page_state {
	MEM_ABSENT,		/* never touched: reads as zeros */
	MEM_PRIVATE,		/* a page of its own */
	MEM_PAGE_STATES
};

/**
 * struct mem_object - one open of /dev/emys-mem
 * @lock: read to use a page (and to map it somewhere), write to change one
 * @pages: [lock] index -> value entry of frame number and state; no entry is
 *	MEM_ABSENT. OBJECT_BLOCK marks the first index of an aligned run of
 *	MEM_BLOCK_PAGES private pages that are one physical block.
 * @nr: [lock] pages owned
 * @size: (a) bytes in use as far as known: the largest end of an mmap or slot
 * @inode: (c) its own, so that unmap_mapping_range() hits nobody else
 */
struct mem_object {
	struct rw_semaphore lock;
	struct xarray pages;
	unsigned long nr;
	atomic64_t size;
	struct inode *inode;
};

/* The object of an open file, or NULL when it is no /dev/emys-mem. */
struct mem_object *object_from_file(const struct file *file);
/* Bytes up to @end are in use. */
void object_grow(struct mem_object *obj, u64 end);
/* The page at @index or NULL. lock held. */
struct page *object_page(struct mem_object *obj, pgoff_t index);
/* Is @index in a physically contiguous, aligned 2 MiB block? lock held. */
bool object_in_block(struct mem_object *obj, pgoff_t index);
/*
 * Make @index present. May sleep, lock not held. 0, -ENOMEM. @user: for a user
 * fault, which may invoke the OOM killer.
 */
int object_populate(struct mem_object *obj, pgoff_t index, bool user);
/* Copy; absent pages read as zeros and are made by a write. May sleep. 0, -ENOMEM. */
int object_read(struct mem_object *obj, u64 pos, void *dst, size_t len);
int object_write(struct mem_object *obj, u64 pos, const void *src, size_t len);

/* -- slots (slots.c) --------------------------------------------------------- */

/**
 * struct mem_slot - a memslot; constant once published, apart from the bits of @dirty
 * @file: of the object, NULL for a foreign slot
 * @first: index in the object of the slot's first page
 * @dirty: one bit per page since the log was read, NULL when not logged
 */
struct mem_slot {
	gfn_t base;
	u64 npages;
	unsigned long hva;
	u32 flags;
	u32 id;
	struct file *file;
	struct mem_object *obj;
	pgoff_t first;
	unsigned long *dirty;
};

struct mem_slots {
	unsigned int nr;
	unsigned int nr_foreign;
	struct mem_slot *slot[];	/* upward by base */
};

/* The slot of @gfn or NULL. srcu or slots_lock held. */
struct mem_slot *mem_slot_find(const struct mem_slots *slots, gfn_t gfn);

static inline struct mem_slots *mem_slots(struct emys_mem *mem)
{
	return srcu_dereference_check(mem->slots, &mem->srcu,
				      lockdep_is_held(&mem->slots_lock));
}

static inline unsigned long mem_slot_hva(const struct mem_slot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

static inline pgoff_t mem_slot_index(const struct mem_slot *slot, gfn_t gfn)
{
	return slot->first + (gfn - slot->base);
}

static inline void mem_slot_dirty(struct mem_slot *slot, gfn_t gfn)
{
	if (slot->dirty && !test_bit(gfn - slot->base, slot->dirty))
		set_bit(gfn - slot->base, slot->dirty);
}

int mem_slots_init(struct emys_vm *vm);
void mem_slots_destroy(struct emys_vm *vm);

/* -- zap and flush (zap.c) ------------------------------------------------------ */

/*
 * Remove every leaf in [start, end), leaving mmu_lock now and then. The tables go
 * to @zap, for ept_zap_free() after mem_flush(). @may_sleep: also reschedule.
 */
void mem_zap(struct emys_vm *vm, gfn_t start, gfn_t end, bool may_sleep, struct ept_zap *zap);
/* Take write access from every leaf in [start, end). Then mem_flush(). */
void mem_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end);
/* Wait until no CPU uses what was removed before the call. No lock but those of the context. */
void mem_flush(struct emys_vm *vm);

/* -- notifier (notifier.c) --------------------------------------------------------- */

int mem_notifier_init(struct emys_vm *vm);
void mem_notifier_destroy(struct emys_vm *vm);

/*
 * Take @seq, then look at the user's page tables, then ask mem_inval_raced() under
 * mmu_lock: false means that what was seen is still so, until mmu_lock is left.
 */
static inline unsigned long mem_inval_begin(struct emys_mem *mem)
{
	unsigned long seq = READ_ONCE(mem->inval_seq);

	smp_rmb();	/* pairs with the lock in invalidate_range_end() */
	return seq;
}

static inline bool mem_inval_raced(struct emys_mem *mem, unsigned long seq, unsigned long hva)
{
	lockdep_assert_held(&mem->mmu_lock);
	if (mem->inval_count && hva >= mem->inval_start && hva < mem->inval_end)
		return true;
	return mem->inval_seq != seq;
}

#endif
