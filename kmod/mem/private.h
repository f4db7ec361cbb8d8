/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kmod/mem/ share: objects, slots, zap and flush; private */
#ifndef _EMYS_MEM_PRIVATE_H
#define _EMYS_MEM_PRIVATE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>

#include "../emys.h"

/* -- objects (object.c: life; user.c: the VMM's mappings) ---------------------- */

/**
 * struct mem_object - one open of /dev/emys-mem, or one file of a mounted emys-mem
 *
 * The struct is counted; its pages go with its inode ("dead").
 *
 * @lock: read to use a page (and to map it somewhere), write to change one
 * @pages: [lock] index -> entry, see below. The marks change under xa_lock alone:
 *	OBJECT_BLOCK	on the first index of an aligned run of MEM_BLOCK_PAGES private
 *			pages that are one physical block; written with lock held for writing
 *	OBJECT_DIRTY	changed since the last harvest, as far as the EPT does not know
 *	OBJECT_USER	some user's PTE may be writable, or was when the page was taken
 *			hold of by somebody else who still has it
 * @counts: [lock] but for state[MEM_ABSENT], which is worked out
 * @slots: [lock] mem_slot.link: all that map it
 * @dead: [lock] the inode is gone, and the pages
 * @domain, @domain_vm: [lock] to write; the VM that brought it there
 * @blocks_off: see mem_object_blocks()
 * @size: (a) bytes in use as far as known: the largest end of an mmap or slot
 * @inode: its own, so that unmapping hits nobody else; not to be used when dead
 */
struct mem_object {
	struct rw_semaphore lock;
	struct xarray pages;
	struct mem_counts counts;
	struct list_head slots;
	bool dead;
	bool blocks_off;
	u32 domain;
	u32 domain_vm;
	u32 id;				/* (c) */
	struct kref ref;		/* (a) */
	atomic64_t size;
	struct inode *inode;
};

#define OBJECT_MAX	BIT_ULL(EPT_GPA_BITS)	/* bytes; more no guest can have */

#define OBJECT_BLOCK	XA_MARK_0
#define OBJECT_DIRTY	XA_MARK_1
#define OBJECT_USER	XA_MARK_2

/* The object of a mapped file, or NULL when it is none. */
struct mem_object *object_from_file(const struct file *file);
/* Bytes up to @end are in use. */
void object_grow(struct mem_object *obj, u64 end);
/* The mapping of the VMM, for the object's file (user.c), and holes in it (punch.c) */
int object_mmap(struct file *file, struct vm_area_struct *vma);
long object_fallocate(struct file *file, int mode, loff_t offset, loff_t len);

/* -- pages (pages.c) ----------------------------------------------------------- */

/*
 * An entry of mem_object.pages: none is ABSENT; a pointer to the struct mem_shared is
 * SHARED; else a value of frame number (0 where there is none) and state.
 */
#define ENTRY_STATE_BITS	3

extern struct page *mem_zero_page;	/* what ZERO reads; (c) while the module lives */

static inline void *entry_make(enum mem_page_state state, struct page *page)
{
	return xa_mk_value((page ? page_to_pfn(page) : 0) << ENTRY_STATE_BITS | state);
}

static inline enum mem_page_state entry_state(const void *entry)
{
	if (!entry)
		return MEM_ABSENT;
	if (!xa_is_value(entry))
		return MEM_SHARED;
	return xa_to_value(entry) & ((1 << ENTRY_STATE_BITS) - 1);
}

/* The page that reads see, or NULL when there is none. The object's lock held. */
static inline struct page *entry_page(const void *entry)
{
	switch (entry_state(entry)) {
	case MEM_PRIVATE:
		return pfn_to_page(xa_to_value(entry) >> ENTRY_STATE_BITS);
	case MEM_SHARED:
		return ((const struct mem_shared *)entry)->page;
	case MEM_ZERO:
		return mem_zero_page;
	default:
		return NULL;
	}
}

/* May the page of @entry be used so as it is? */
static inline bool entry_usable(const void *entry, bool write)
{
	enum mem_page_state state = entry_state(entry);

	return state == MEM_PRIVATE || (!write && (state == MEM_SHARED || state == MEM_ZERO));
}

static inline bool object_in_block(struct mem_object *obj, pgoff_t index)
{
	lockdep_assert_held(&obj->lock);
	return xa_get_mark(&obj->pages, round_down(index, MEM_BLOCK_PAGES), OBJECT_BLOCK);
}

/* Where no block can be asked for twice: take or clear the mark, and count. Write lock. */
void object_set_block(struct mem_object *obj, pgoff_t first, bool block);
/*
 * The one place where the state of a page changes. @entry takes over the caller's
 * reference on its page; what the old one held is the caller's to give back. Whoever calls
 * this has unmapped the old page, and no block holds it. Write lock. -EINVAL: there is no
 * such step; -ENOMEM, only where the page was ABSENT.
 */
int object_set(struct mem_object *obj, pgoff_t index, void *entry);
/* The same, and give back what the old entry held; no error is possible. */
void object_drop(struct mem_object *obj, pgoff_t index, void *entry);
/* Something of [first, last] changed, or may have. Any context that is not hard interrupt. */
void object_mark_dirty(struct mem_object *obj, pgoff_t first, pgoff_t last);
/*
 * Make @index usable for reading or writing, in the sense of entry_usable(), at least for a
 * moment: populate, or break sharing. May sleep, lock not held. 0, -ENOMEM, -ESTALE, -EINTR
 * (fatal signal). @user: for a user fault, which may invoke the OOM killer.
 */
int object_touch(struct mem_object *obj, pgoff_t index, bool write, bool user);
/* A page for an object, charged; zeroed with @zero. NULL: none to be had. May sleep. */
struct page *object_alloc(bool zero, bool user);
/* A reference of an object's. Wakes who waits for memory. */
void object_free(struct page *page);
/* Copy; absent pages read as zeros and are made by a write. May sleep. 0, -ENOMEM. */
int object_read(struct mem_object *obj, u64 pos, void *dst, size_t len);
int object_write(struct mem_object *obj, u64 pos, const void *src, size_t len);

/* -- sharing (share.c) ---------------------------------------------------------- */

extern atomic_long_t mem_shared_frames;

/* The entry that named @sh does so no more. An object's write lock held. */
void shared_unuse(struct mem_shared *sh);
/* SHARED or ZERO becomes PRIVATE; other states stay. Lock not held. 0, -ENOMEM. */
int object_unshare(struct mem_object *obj, pgoff_t index, bool by_write, bool user);

/* -- blocks (block.c) ------------------------------------------------------------ */

/* Try to fill the run around @index by a block. False: take a page. Lock not held. */
bool object_populate_block(struct mem_object *obj, pgoff_t index);

/* -- slots (slots.c) --------------------------------------------------------- */

/**
 * struct mem_slot - a memslot; constant once published, apart from the bits of @dirty
 * @file: of the object, NULL for a foreign slot
 * @first: index in the object of the slot's first page
 * @dirty: one bit per page since the log was read, NULL when not logged
 * @vm: it belongs to; it outlives the slot
 * @link: [obj->lock] in obj->slots, while vCPUs may have it mapped
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
	struct emys_vm *vm;
	struct list_head link;
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

/* The frame of @index, which the slot has. */
static inline gfn_t mem_slot_gfn(const struct mem_slot *slot, pgoff_t index)
{
	return slot->base + (index - slot->first);
}

/* Cut [*first, *last] to what the slot has of it. False: nothing. */
static inline bool mem_slot_clip(const struct mem_slot *slot, pgoff_t *first, pgoff_t *last)
{
	*first = max(*first, slot->first);
	*last = min_t(pgoff_t, *last, slot->first + slot->npages - 1);
	return *first <= *last;
}

int mem_slots_init(struct emys_vm *vm);
void mem_slots_destroy(struct emys_vm *vm);

/* -- zap and flush (zap.c) ------------------------------------------------------ */

/*
 * Remove every leaf in [start, end), leaving mmu_lock now and then. The tables go
 * to @zap, for ept_zap_free() after mem_flush(). @may_sleep: also reschedule.
 */
void mem_zap(struct emys_vm *vm, gfn_t start, gfn_t end, bool may_sleep, struct ept_zap *zap);
/*
 * The same for the indices [first, last] of an owned slot; what was dirty marks the
 * object. With @cache a large leaf at the edge is split, as far as its tables go.
 */
void mem_zap_slot(struct mem_slot *slot, pgoff_t first, pgoff_t last, struct ept_cache *cache,
		  struct ept_zap *zap);
/*
 * Take [first, last] of the object from every vCPU and user. When it returns nobody
 * has a translation. @split: a large leaf may hold more than that. Write lock held.
 */
void object_unmap(struct mem_object *obj, pgoff_t first, pgoff_t last, bool split);
/* Take write access from every leaf in [start, end). Then mem_flush(). */
void mem_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end);
/*
 * ept_harvest() of EPT01, with what derived leaves know. A cleared EPT_D makes mem_flush() due, a
 * cleared EPT_A does not. Takes mmu_lock.
 */
void mem_harvest_leaves(struct emys_vm *vm, gfn_t start, gfn_t end, u64 want, u64 clear,
			void (*fn)(void *ctx, gfn_t gfn, int level, u64 bits), void *ctx);
/* Wait until no CPU uses what was removed before the call. No lock but those of the context. */
void mem_flush(struct emys_vm *vm);

/* -- derived hierarchies (derived.c: leaves; roots.c: which there are) ----------------- */

/**
 * struct derived_node - one leaf of a derived hierarchy, or 2 MiB of EPT01's
 * @rmap, @rmap_last: in mem->derived.rmap
 * @leaf: in d->leaves
 * @first: gpa1 frame; @gfn2: gpa2 frame; both the first of the leaf
 * @link: it is a link to EPT01's table of small leaves, at @level 2
 */
struct derived_node {
	struct rb_node rmap;
	u64 rmap_last;
	struct rb_node leaf;
	gfn_t first;
	gfn_t gfn2;
	struct mem_derived *d;
	int level;
	bool link;
};

/* NULL: no memory. May sleep. */
struct derived_node *derived_node_alloc(void);
void derived_node_free(struct derived_node *n);

/*
 * May there be derived leaves? Under mmu_lock, however held: that there are none stays so until it
 * is left. Whoever takes something from EPT01 while there are holds it for writing.
 */
static inline bool derived_any(const struct emys_mem *mem)
{
	return unlikely(READ_ONCE(mem->derived.roots));
}

/* mmu_lock held for writing, and derived_any(): the leaves over the gpa1 frames [start, end)... */
/* ... that are as large as @level or larger go, @max at a time. True: there are more. */
bool derived_drop(struct emys_vm *vm, gfn_t start, gfn_t end, int level, unsigned int max);
/* ... go, as many as are good for one hold of mmu_lock. True: there are more. */
bool derived_drop_chunk(struct emys_vm *vm, gfn_t start, gfn_t end);
/* ... lose write access. True: one did, so a flush is due. */
bool derived_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end);
/* ... give the flags of @want to EPT01's leaves, and lose those of @clear, as ept_harvest(). */
void derived_pull(struct emys_vm *vm, gfn_t start, gfn_t end, u64 want, u64 clear);

/* All leaves of one, no flush. May sleep. */
void derived_drop_all(struct mem_derived *d, enum mem_derived_why why);
/* mem_derived_clear(), and why. */
void derived_clear(struct mem_derived *d, enum mem_derived_why why);
/* How many leaves are not as they must be? 0. mmu_lock held for writing. */
unsigned long derived_wrong(struct emys_vm *vm);

void derived_vm_init(struct emys_vm *vm);
/* Above the limit, free what was used least recently. May sleep, no lock held. */
void derived_make_room(struct emys_vm *vm);
void derived_debugfs_init(struct dentry *dir);

/* -- traces (trace.c) --------------------------------------------------------------- */

/* A write at @gpa caused an EPT violation. True: that was to be traced, enter again. */
bool mem_trace_write(struct emys_vm *vm, u64 gpa);

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
