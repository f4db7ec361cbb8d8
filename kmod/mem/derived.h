/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * derived.h - translations composed over a VM's EPT. Included by mem.h.
 *
 * The VM's own hierarchy, "EPT01", maps its physical addresses (gpa1) to the host's. A derived
 * hierarchy, "EPT02", maps other addresses (gpa2) that somebody translates to gpa1. This is
 * the mechanism; who translates, and why, is not known here (kmod/nested/ does).
 *
 * EPT02 is a cache. A leaf can always be dropped: the access faults, and is composed anew. Each
 * leaf has a node in the reverse map of the VM, by the frames of gpa1 that it uses. Whoever takes
 * leaves, rights or flags from EPT01 does the same to the leaves derived from it, in the same hold
 * of mmu_lock, so at any time under it:
 *
 *  - a derived leaf lies within present leaves of EPT01, and maps the same memory;
 *  - it has EPT_W only where they have, without EPT_SPP;
 *  - where it has no leaves of its own but a table of EPT01's, it is the one that EPT01 has there;
 *  - flags A and D: what a derived leaf knew goes to EPT01's leaf when it is dropped, and
 *    before EPT01's are harvested.
 *
 * Flush. Each hierarchy has its generation, raised in the hold of mmu_lock in which a derived leaf
 * loses something. mem_flush() makes every vCPU leave the guest, whatever hierarchy it is on;
 * before it enters again it compares the generation: mem_derived_behind(). A hierarchy that has
 * tables of EPT01's counts EPT01's generation with its own, as their leaves change unseen by it.
 */
#ifndef _EMYS_MEM_DERIVED_H
#define _EMYS_MEM_DERIVED_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "compose.h"

struct emys_vm;
struct emys_vcpu;
struct derived_node;		/* private: one leaf in the reverse map */

/* Why a leaf is dropped */
enum mem_derived_why {
	DERIVED_OWNER,		/* the owner's translation is another, or nobody wants them */
	DERIVED_ORIGIN,		/* EPT01 loses what it lies over */
	DERIVED_LIMIT,		/* the VM has too much of them */
	DERIVED_SHRINKER,	/* the host wants the memory */
	DERIVED_WHYS
};

/**
 * struct mem_derived - one derived hierarchy
 *
 * Keys: (c) constant, (a) atomic, [M] mmu_lock for writing, or for reading with rmap_lock, [l]
 * mem->derived.lock
 *
 * @vm: (c) which outlives it
 * @key: (c) the creator's name for it
 * @ept: [M] the tables; its own leaves are never traced (EPT_SPP)
 * @origin: (c) EPT01
 * @linked: [M], read anywhere; it has had a table of EPT01's
 * @seen: generation last flushed on each CPU; interrupts off
 * @ref: (a) users, and the VM's list
 * @link: [l] in the VM's list, most recently found first; empty when it is not there
 * @seq: (a) invalidations begun, see mem_derived_begin()
 * @leaves: [M] by the gpa2 frame
 * @nr_leaves: [M]
 * @faults: (a) calls of mem_derived_map()
 * @drops: [M] leaves dropped
 * @gone: [l] why it is off the list, and then why its leaves are dropped
 */
struct mem_derived {
	struct emys_vm *vm;
	u64 key;
	struct ept_root ept;
	const struct ept_root *origin;
	bool linked;
	u64 __percpu *seen;
	struct kref ref;
	struct list_head link;
	atomic64_t seq;
	struct rb_root leaves;
	unsigned long nr_leaves;
	atomic64_t faults;
	u64 drops;
	enum mem_derived_why gone;
};

/**
 * struct mem_derived_vm - the derived hierarchies of a VM; in struct emys_mem
 * @roots: mmu_lock for writing; how many exist, kept by the VM or not. 0: nobody has to look here
 * @forget: mem_derived_forget_later()
 * @lock: innermost: the list
 * @list, @nr: [lock]
 * @rmap_lock: inside mmu_lock held for reading; who holds that for writing needs it not
 * @rmap: [M] all derived leaves by the gpa1 frames they use
 * @nr_leaves, @nr_tables: [M], read anywhere; table pages of all hierarchies
 * @faults: (a) of hierarchies that are gone
 * @drops: [M] leaves dropped, of all that ever were
 * @evictions: [lock] hierarchies emptied or given up for their memory
 */
struct mem_derived_vm {
	unsigned int roots;
	struct delayed_work forget;
	spinlock_t lock;		/* see above */
	struct list_head list;
	unsigned int nr;
	spinlock_t rmap_lock;		/* see above */
	struct rb_root_cached rmap;
	unsigned long nr_leaves;
	unsigned long nr_tables;
	atomic64_t faults;
	u64 drops[DERIVED_WHYS];
	u64 evictions;
};

/*
 * The hierarchy of @key with a reference, most recently used from now on, or NULL. Any context.
 */
struct mem_derived *mem_derived_find(struct emys_vm *vm, u64 key);

/*
 * Find it or make an empty one, with a reference. @ad: accessed and dirty flags in it, if the CPU
 * has them; the same for each call with one key. With them the CPU's accesses to
 * paging structures count as writes. The VM keeps it, beyond the last mem_derived_put(), until
 * too many are kept, memory is short, or mem_derived_forget(). May sleep, no lock held.
 * -ENOMEM; -EIO the VM is dead.
 */
struct mem_derived *mem_derived_create(struct emys_vm *vm, u64 key, bool ad);
/* The last one frees it: no CPU runs on it then. May sleep, not under mmu_lock. NULL is fine. */
void mem_derived_put(struct mem_derived *d);
/*
 * The VM keeps none: each goes with its last user, and what is in use then is in no limit and out
 * of the shrinker's reach. May sleep.
 */
void mem_derived_forget(struct emys_vm *vm);
/* Those go that have no user. May sleep. */
void mem_derived_forget_idle(struct emys_vm *vm);
/* The same a second after the last call. Any context; nothing comes after mem_vm_destroy(). */
void mem_derived_forget_later(struct emys_vm *vm);
/*
 * All that the VM keeps, with a reference each: an array for kfree(), and their number. NULL: no
 * memory. May sleep.
 */
struct mem_derived **mem_derived_all(struct emys_vm *vm, unsigned int *nr);

/* For the VMCS */
static inline u64 mem_derived_eptp(const struct mem_derived *d)
{
	return ept_eptp(&d->ept);
}

/* The flush generation: it only grows. Any context. */
static inline u64 mem_derived_gen(const struct mem_derived *d)
{
	return ept_gen(&d->ept) + (READ_ONCE(d->linked) ? ept_gen(d->origin) : 0);
}

/*
 * Must this CPU execute INVEPT for mem_derived_eptp() before it enters the guest? The caller
 * does if so. In the run section (mode is IN_GUEST, full barrier, interrupts off), see ept_gen().
 */
static inline bool mem_derived_behind(struct mem_derived *d)
{
	u64 *seen = this_cpu_ptr(d->seen);
	u64 gen = mem_derived_gen(d);

	if (likely(*seen == gen))
		return false;
	*seen = gen;
	return true;
}

/* To be taken before the owner's translation is looked up, for mem_derived_map(). */
static inline u64 mem_derived_begin(struct mem_derived *d)
{
	u64 seq = atomic64_read(&d->seq);

	smp_mb();	/* pairs with the increment in invalidation_begin() */
	return seq;
}

/**
 * mem_derived_map() - answer an access to @gpa2
 * @seq: of mem_derived_begin(). If an invalidation began since, nothing is mapped
 * @access: EPT_R | EPT_W | EPT_X, within @leaf->rights
 *
 * Maps the largest leaf that both sides allow, with the AND of their rights, or, where only EPT01's
 * are small, all of them in 2 MiB. EPT01 is made to allow
 * the access first, by mem_fault(). The vCPU's thread, may sleep, srcu and locks not held.
 *
 * Return: MEM_MAPPED: enter again, also when something moved; MEM_MMIO: gpa1 is no
 * memory, or read-only memory and this is a write, or the page that the CPU watches for accesses
 * to the APIC; -EINVAL the access is not within the rights, or the translation senseless;
 * the errnos of mem_fault().
 */
int mem_derived_map(struct emys_vcpu *vcpu, struct mem_derived *d, u64 seq, u64 gpa2,
		    const struct mem_derived_leaf *leaf, u32 access);

/*
 * Invalidations. When they return, the hierarchy has none of what they name, and none comes back by
 * a mem_derived_map() whose mem_derived_begin() was before the call. The calling CPU drops cached
 * translations at its next entry, others at theirs and not earlier, as with the
 * instruction; memory is nevertheless never given away before all of them have. May sleep, no
 * lock held.
 */

/* Leaves that touch the gpa2 frames [start, end) */
void mem_derived_zap(struct mem_derived *d, gfn_t start, gfn_t end);
/* All leaves and tables. Waits for every CPU. */
void mem_derived_clear(struct mem_derived *d);
/**
 * mem_derived_revalidate() - drop the leaves that their owner's translations do not bear out
 * @fn: called without a lock, upward by gpa2 (aligned to the leaf): 0 and *@now, the translation as
 *	it is; anything else: there is none, or one whose next use should be seen
 *
 * A leaf stays when @fn's translation has the same gpa1 and at least its size; it loses EPT_W where
 * that alone is too much, and goes where other rights are. Cost: linear in the leaves. -EINTR: a
 * fatal signal came, and everything was dropped.
 */
int mem_derived_revalidate(struct mem_derived *d,
			   int (*fn)(void *ctx, u64 gpa2, struct mem_derived_leaf *now), void *ctx);

/**
 * struct mem_derived_counts - of a VM
 * @roots: hierarchies that the VM keeps
 * @leaves, @tables: now; tables are pages
 * @pages: memory for all of it, tables and nodes, rounded up
 * @faults: calls of mem_derived_map() ever
 * @drops_zap, @drops_l1, @drops_limit, @drops_shrinker: leaves dropped ever: because EPT01 lost
 *	what they lay over; because of the owner; for the limit; for the shrinker
 * @evictions: hierarchies that the latter two emptied or freed
 */
struct mem_derived_counts {
	u64 roots, leaves, tables, pages, faults;
	u64 drops_zap, drops_l1, drops_limit, drops_shrinker, evictions;
};

/*
 * Drop the leaves derived from the gpa1 frames [start, end), which are about to go from EPT01, or
 * just have. mmu_lock held for writing; then mem_flush() is due, as after any zap.
 */
void mem_derived_drop(struct emys_vm *vm, gfn_t start, gfn_t end);

/* Each number is right by itself. Any context. */
void mem_derived_counts(struct emys_vm *vm, struct mem_derived_counts *c);

/* At load and unload. -ENOMEM. */
int mem_derived_init(void);
void mem_derived_exit(void);

#endif
