/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * owned.h - owned guest memory, as deduplication and reclaim see it. Included by mem.h.
 *
 * An object (one open of /dev/emys-mem) is an array of pages; each is in one state:
 *
 *  ABSENT	never touched, or given back with its object's range: costs nothing
 *  PRIVATE	a page of its own
 *  SHARED	a page that several (object, index) pairs use, read-only everywhere
 *  ZERO	held zeros and was dropped: reads use the module's one zero page
 *  BALLOONED	the guest gave it away (hole punched): costs nothing, refaults as zeros
 *
 *	ABSENT -> PRIVATE			first touch
 *	PRIVATE -> SHARED			mem_share(), mem_merge()
 *	PRIVATE -> ZERO				mem_drop_zero()
 *	SHARED, ZERO -> PRIVATE			a write (copy-on-write), mem_unshare()
 *	PRIVATE, SHARED, ZERO -> BALLOONED	mem_punch()
 *	BALLOONED -> PRIVATE			touch; a read too
 *	any -> ABSENT				the object goes
 *
 * One setter makes every step, refuses others, counts, and fires the tracepoint
 * emys_page_state.
 *
 * Aligned runs of MEM_BLOCK_PAGES private pages may be one physical block, which the
 * EPT maps by one leaf. Only mem_break() makes a block's pages mergeable; punching a
 * page of a block, or copying on write never needs one, breaks it by itself.
 *
 * Pages that somebody else holds a reference on (GUP: DMA, O_DIRECT, vhost) keep
 * their frame: share, merge, drop and collapse say -EBUSY for them.
 *
 * All calls here: process context, may sleep, no lock of kmod/mem held, take the
 * object's lock. Never from memory reclaim (a shrinker's callbacks): pages are allocated
 * and user faults waited for under that lock. An object is used with a reference; when its
 * file is gone ("dead", phase one of its end) every call says -ESTALE, and it holds no page.
 */
#ifndef _EMYS_MEM_OWNED_H
#define _EMYS_MEM_OWNED_H

#include <linux/bits.h>
#include <linux/mm_types.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct emys_vm;
struct mem_object;

#define MEM_BLOCK_ORDER		9
#define MEM_BLOCK_PAGES		BIT(MEM_BLOCK_ORDER)	/* 2 MiB */

enum mem_page_state {
	MEM_ABSENT,
	MEM_PRIVATE,
	MEM_SHARED,
	MEM_ZERO,
	MEM_BALLOONED,
	MEM_PAGE_STATES
};

/* -- objects --------------------------------------------------------------- */

/*
 * The live object with the smallest id above @after, with a reference, or NULL.
 * Ids start at 1, are never used twice while the module lives. For walking all of
 * them: start at 0, go on with the id of the last one.
 */
struct mem_object *mem_object_next(u32 after);
struct mem_object *mem_object_find(u32 id);	/* with a reference, or NULL */
void mem_object_get(struct mem_object *obj);
void mem_object_put(struct mem_object *obj);
u32 mem_object_id(const struct mem_object *obj);
/* One behind the last page in use. Any context. */
pgoff_t mem_object_end(const struct mem_object *obj);
bool mem_object_dead(const struct mem_object *obj);

/**
 * struct mem_counts - of one object; pages unless it says otherwise
 * @state: pages now, by state; ABSENT counts up to mem_object_end()
 * @blocks: blocks now (their pages are in state[MEM_PRIVATE] too)
 * @blocks_made, @blocks_broken, @blocks_collapsed: blocks, ever
 * @blocks_kept: collapses that copied nothing, of @blocks_collapsed
 * @blocks_freed: blocks given back whole by mem_punch(), ever; so @blocks =
 *	@blocks_made + @blocks_collapsed - @blocks_broken - @blocks_freed
 * @merged: PRIVATE -> SHARED, ever; @zeroed: PRIVATE -> ZERO, ever
 * @copied: SHARED or ZERO -> PRIVATE by a write, ever
 * @unshared: the same by mem_unshare(), ever
 * @punched: -> BALLOONED, ever; @refaulted: BALLOONED -> PRIVATE, ever
 */
struct mem_counts {
	u64 state[MEM_PAGE_STATES];
	u64 blocks;
	u64 blocks_made, blocks_broken, blocks_collapsed, blocks_kept, blocks_freed;
	u64 merged, zeroed, copied, unshared, punched, refaulted;
};

/* Snapshot, consistent in itself. A dead object has what it counted, and no page. */
void mem_object_counts(struct mem_object *obj, struct mem_counts *counts);
/* Call @fn once for each distinct object of the VM's slots. @fn's nonzero return ends it. */
int mem_vm_objects(struct emys_vm *vm, int (*fn)(void *ctx, struct mem_object *obj), void *ctx);
/* 4 KiB and 2 MiB leaves in the VM's EPT now (owned and foreign), and table pages. */
void mem_vm_leaves(struct emys_vm *vm, u64 *small, u64 *large, u64 *tables);
/* Pages of all objects now: owned frames (a shared frame once), of which shared frames. */
long mem_pages_allocated(void);
long mem_pages_shared(void);

/* -- domains ---------------------------------------------------------------- */

/*
 * Pages are merged within a domain only. A VM starts in a domain of its own,
 * MEM_DOMAIN_OWN | its id; domains below that are shared and have no owner. An object is in
 * the domain of the first VM that made a slot of it, or in none (0) before that.
 */
#define MEM_DOMAIN_OWN		0x80000000U

u32 mem_vm_domain(struct emys_vm *vm);
u32 mem_object_domain(const struct mem_object *obj);
/*
 * Move the VM and the objects that came with it. Their shared pages become private
 * first, because merging across domains is a side channel; ZERO pages stay. An object's domain
 * changes under its lock before its pages are copied: no merge of the old domain comes between.
 * @domain 0: back to its own. -ENOMEM: pages of some objects have been copied, nothing has moved;
 * -EINVAL another VM's own domain; -EINTR.
 */
int mem_vm_set_domain(struct emys_vm *vm, u32 domain);

/* -- pages ------------------------------------------------------------------- */

/* A page that the holder may read, at any time: the guest may write it meanwhile. */
struct mem_page {
	struct page *page;		/* with a reference; NULL when the state has none */
	enum mem_page_state state;
	bool large;			/* in a block */
	struct mem_shared *shared;	/* of a SHARED page; its owner knows whether it lives on */
};

/* 0, -ESTALE. mem_page_put() is due after 0. */
int mem_page_get(struct mem_object *obj, pgoff_t index, struct mem_page *p);
void mem_page_put(struct mem_page *p);
/*
 * How many of the @n pages from @first on are in each state. 0, -ESTALE. Cost: linear in the
 * entries there are.
 */
int mem_count_states(struct mem_object *obj, pgoff_t first, unsigned long n,
		     u32 state[MEM_PAGE_STATES]);
/*
 * The first PRIVATE page at or behind @index, or ULONG_MAX; with @large also such as
 * are in blocks. Cost: linear in the entries skipped.
 */
pgoff_t mem_page_next(struct mem_object *obj, pgoff_t index, bool large);

/**
 * mem_harvest() - which pages were written (read) since the last harvest
 * @dirty: bitmap of @n bits to set bits in, or NULL: then the dirty flags stay. Deduplication alone
 *	collects them: who else did would hide writes from it
 * @young: likewise or NULL
 *
 * Collected and cleared: the EPT's flags through every slot of the object, writes by the
 * VMM through its mapping (which is taken away, so that the next write shows), writes
 * of the kernel. Dirty is also what has changed its frame or state, and what others hold a
 * reference on (they may write any time). A large leaf's flag speaks for all its pages.
 * When it returns the TLBs know: a page found clean holds what it held at the
 * harvest before. @young clears without a flush, and misses an access now and then; it knows of
 * the guest's accesses only. -ESTALE.
 */
int mem_harvest(struct mem_object *obj, pgoff_t first, unsigned long n, unsigned long *dirty,
		unsigned long *young);

/**
 * struct mem_shared - a page that is shared; embedded by who keeps the index of them
 * @users: (object, index) pairs; at 0 the page is given back
 * @page: [lock] NULL once @users fell to 0
 * @domain: set by the owner before mem_share(), as @gone: objects of other domains are refused
 * @gone: called once when that happens, object lock held, must not sleep and must not
 *	call kmod/mem; the owner may free it afterwards
 */
struct mem_shared {
	spinlock_t lock;		/* @users, @page */
	unsigned long users;
	struct page *page;
	u32 domain;
	void (*gone)(struct mem_shared *sh);
};

/* The page with a reference, or NULL when it is gone. Any context but NMI. */
struct page *mem_shared_get(struct mem_shared *sh);

/*
 * The private page at @index, which must still be @page (the caller holds one reference), becomes
 * @sh's page, @sh->users = 1. The rest of @sh is initialised by this. From then on its content is
 * constant, and @sh->gone() may be called at any time.
 * -EAGAIN: it is another page by now, or in a block; -EBUSY: others hold references;
 * -EXDEV: the object has left @sh->domain (told under the object's lock, so a merge never
 * races with a move).
 */
int mem_share(struct mem_object *obj, pgoff_t index, struct page *page, struct mem_shared *sh);
/*
 * Replace the private page at @index, still @page (the caller holds one reference), by @sh's,
 * when both hold the same: write access is taken, then they are compared. The caller sees to
 * it that @sh is not freed meanwhile, though its last user may go.
 * -EAGAIN, -EBUSY, -EXDEV as mem_share(); -ENOENT @sh is gone; -EILSEQ the contents differ.
 * @bytes: += bytes compared.
 */
int mem_merge(struct mem_object *obj, pgoff_t index, struct page *page, struct mem_shared *sh,
	      u64 *bytes);
/* Drop the private page at @index, still @page, when it holds zeros. Errors as mem_merge(). */
int mem_drop_zero(struct mem_object *obj, pgoff_t index, struct page *page, u64 *bytes);
/* Give private copies to all SHARED pages in the range. -ENOMEM part-way, -EINTR, -ESTALE. */
int mem_unshare(struct mem_object *obj, pgoff_t first, unsigned long n);
/*
 * Free the pages in the range: states as above; whole blocks go whole, others break. Pages that
 * were ABSENT stay so. What guest and VMM had mapped is unmapped and flushed before it returns.
 * Also fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) and madvise(MADV_REMOVE)
 * on the VMM's mapping. Takes no memory. 0, -ESTALE, -EINTR (fatal signal; some are freed).
 */
int mem_punch(struct mem_object *obj, pgoff_t first, unsigned long n);

/* -- traces of writes -------------------------------------------------------------- */

/*
 * Trace which parts of the page at @index the guest writes until mem_trace_end(). Guests
 * only: not the VMM's writes. 0; -EOPNOTSUPP: the CPU has no sub-page write permissions;
 * -EAGAIN: no guest has it mapped writable as a small page, or several have; -ENOMEM; -ESTALE.
 */
#define MEM_TRACE_PARTS		32
int mem_trace_begin(struct mem_object *obj, pgoff_t index);
/*
 * Bit i of *@written: the guest wrote to bytes 128 i to 128 i + 127 of the page since.
 * -ENOENT: nobody knows, the trace was lost (another frame, or a write that cannot be traced).
 */
int mem_trace_end(struct mem_object *obj, pgoff_t index, u32 *written);

/* -- blocks -------------------------------------------------------------------- */

/* Is the aligned run that holds @index a block? */
bool mem_is_block(struct mem_object *obj, pgoff_t index);
/* The first index of the next block at or behind @index, or ULONG_MAX. */
pgoff_t mem_block_next(struct mem_object *obj, pgoff_t index);
/*
 * Make 512 pages of the block at @index: large leaves are split in place, nothing is
 * copied or unmapped. All are dirty in the next harvest. -ENOENT no block there; -ENOMEM; -ESTALE.
 */
int mem_break(struct mem_object *obj, pgoff_t index);
/*
 * Make one block of the 512 pages around @index again; 0 when it is one. All must be PRIVATE.
 * When they still are the frames of one block in order nothing is copied; else they are, into a
 * new block.
 * The EPT gets a large leaf at the next fault, or at once when the range is mapped.
 * -EAGAIN some page is not private; -EBUSY others hold references; -ENOMEM no block to be had;
 * -ESTALE.
 */
int mem_collapse(struct mem_object *obj, pgoff_t index);

/* -- what reclaim tells mem ------------------------------------------------------- */

/* May new blocks be made for the object? They may until told otherwise. */
void mem_object_blocks(struct mem_object *obj, bool allowed);
/*
 * While on, a new page waits for memory to come free, at most 10 ms, then is made
 * all the same. Returns how many waited since the last call.
 */
u64 mem_throttle(bool on);

#endif
