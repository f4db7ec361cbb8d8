/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mem.h - guest memory: objects (owned pages), memslots, foreign memory, faults.
 *
 * A memslot maps guest frames to the VMM's addresses. If, when it is set, its
 * addresses lie in one shared mapping of a /dev/emys-mem file, the slot is
 * owned: it holds a reference on that object and faults are served from the
 * object's pages. Otherwise it is foreign: pages come from GUP without keeping
 * a reference, and the mmu notifier of vm->mm zaps what the host takes away.
 *
 * The reference is the slot's own: munmap() by the VMM does not take owned memory
 * from the guest, only deleting the slot does.
 *
 * Locks, outermost first:
 *
 *  slots_lock (mutex)	changes slots
 *    mmap_lock		of the VMM; find_vma() and user faults nest under slots_lock
 *      object lock (rwsem, object.c): read to use pages, write to change them
 *        i_mmap_rwsem, page-table locks
 *  mmu_lock (rwlock)	innermost, nothing sleeps under it: read to map (several
 *			vCPUs fault at once, ept_map() publishes by
 *			compare-exchange), write to zap and write-protect
 *    derived.rmap_lock	(spinlock) leaves of derived hierarchies come, see derived.h
 *
 * The srcu read side uses slots and may be entered anywhere but under mmu_lock; it
 * is held across copies to and from user memory, so synchronize_srcu() happens
 * under slots_lock alone, never under mmap_lock or in a notifier. No GUP and no
 * copy_*_user under the object lock or mmu_lock. The notifiers take mmu_lock and
 * srcu only, because memory reclaim may call them.
 *
 * Flush. Whoever removes leaves or rights raises zap_seq under mmu_lock, leaves
 * the lock, and calls mem_flush(), which is done when flush_seq has caught up. So
 * nobody returns while a translation that another thread removed is still in a
 * TLB, even when there was nothing left to remove.
 */
#ifndef _EMYS_MEM_H
#define _EMYS_MEM_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rwlock.h>
#include <linux/srcu.h>
#include <linux/types.h>

#include "../ept/ept.h"
#include "derived.h"
#include "gwalk.h"
#include "owned.h"

struct emys_vm;
struct emys_vcpu;
struct mem_slots;		/* private: sorted array, one RCU generation */

#define EMYS_MEM_SLOTS		512	/* KVM_CAP_NR_MEMSLOTS */

/*
 * Keys: (c) constant from init to destroy; [S] srcu to read, slots_lock to
 * change; [M] mmu_lock; (a) atomic.
 */
struct emys_mem {
	struct mutex slots_lock;		/* see above */
	struct srcu_struct srcu;
	struct mem_slots __rcu *slots;		/* [S] */
	u64 generation;				/* [M] to write; a fault retries when it moved */
	rwlock_t mmu_lock;
	struct ept_root ept;			/* [M] */
	bool dead;				/* [M] nothing is mapped any more */
	u32 domain;				/* slots_lock to write; 0: the VM's own */
	atomic64_t zap_seq, flush_seq;		/* (a) see "Flush" */
	struct mmu_notifier notifier;
	bool notifier_on;			/* (c) */
	unsigned long inval_seq;		/* [M] invalidations that ended */
	unsigned long inval_count;		/* [M] in flight */
	unsigned long inval_start, inval_end;	/* [M] hva range in flight */
	struct mem_derived_vm derived;		/* hierarchies composed over @ept */
};

/* Access of a fault, bits. */
#define MEM_FAULT_READ	1
#define MEM_FAULT_WRITE	2
#define MEM_FAULT_EXEC	4

/* What a fault found. */
enum mem_fault_result {
	MEM_MAPPED = 0,		/* mapped, or spurious: enter again */
	MEM_MMIO = 1,		/* no slot there, or a write to a read-only one: an I/O access */
};

/*
 * VM creation and death. init: current->mm is vm->mm; -ENOMEM, or -EINTR (fatal
 * signal). kill is phase one: the EPT is zapped and stays empty, faults end with
 * -EIO; may sleep, also called by the mmu notifier when the mm goes, idempotent.
 * destroy: last reference, no vCPU runs, and before they go; may sleep, not from a notifier.
 */
int mem_vm_init(struct emys_vm *vm);
void mem_vm_kill(struct emys_vm *vm);
void mem_vm_destroy(struct emys_vm *vm);
/* A vCPU goes: give back its spare table pages. */
void mem_vcpu_destroy(struct emys_vcpu *vcpu);

/*
 * KVM_SET_USER_MEMORY_REGION. current->mm == vm->mm. -EINVAL misaligned, wraps,
 * beyond the guest's physical address width, unknown flags, slot number out of
 * range, change of size, address or KVM_MEM_READONLY of a slot, deletion of none;
 * -EEXIST overlaps another; -ENOMEM; -EIO VM dead. memory_size 0 deletes. May
 * sleep. Returns after all vCPUs have stopped using what went.
 */
int mem_set_region(struct emys_vm *vm, const struct kvm_userspace_memory_region *r);
/*
 * KVM_GET_DIRTY_LOG: fetch and clear. -EINVAL slot number out of range, -ENOENT no
 * such slot or not logged, -EFAULT, -ENOMEM. May sleep.
 */
int mem_get_dirty_log(struct emys_vm *vm, const struct kvm_dirty_log *log);

/*
 * Serve an EPT violation at @gpa. The vCPU's thread, current->mm == vm->mm,
 * may sleep, srcu not held. enum mem_fault_result, or -EFAULT (hva not backed,
 * not writable, or device memory, which has no struct page), -ENOMEM, -EINTR
 * (fatal signal), -EIO (VM dead). A fault that raced with a change of the
 * mappings is MEM_MAPPED too: the guest then faults again.
 * When the answer is MEM_MMIO for a read-only slot, reads of it still map.
 */
int mem_fault(struct emys_vcpu *vcpu, u64 gpa, u32 access);

/*
 * Copy to and from guest memory; crosses slots and pages. May sleep, current->mm
 * == vm->mm. 0, or -EFAULT when a byte is not backed by a (writable) slot:
 * then what precedes it may have been copied. Aligned 4 and 8 byte accesses are
 * single-copy atomic.
 */
int mem_read(struct emys_vm *vm, u64 gpa, void *dst, size_t len);
int mem_write(struct emys_vm *vm, u64 gpa, const void *src, size_t len);
/* Is there a slot under @gpa (readable; with @write also not read-only)? Any sleepable context. */
bool mem_has_slot(struct emys_vm *vm, u64 gpa, bool write);

/*
 * Hold the page at @gpa, writable, for the kernel or the CPU to use by its physical address:
 * while it is held nobody merges it. It stays the guest's page as long as zap_seq does not change;
 * who uses it looks again then, before the guest runs. The vCPU's thread, may sleep.
 * -EFAULT no memory, or read-only; -EAGAIN it does not stay; the errnos of mem_fault().
 */
int mem_hold(struct emys_vcpu *vcpu, u64 gpa, struct page **page);
/* Not any more; it may have been written to. May sleep. */
void mem_unhold(struct emys_vm *vm, u64 gpa, struct page *page);
/* One atomic compare-exchange of an aligned u64. As mem_hold(), and -EAGAIN: it was not @old. */
int mem_cmpxchg8(struct emys_vcpu *vcpu, u64 gpa, u64 old, u64 new);

/*
 * Linear memory of the vCPU, through gwalk() with its registers now. @access:
 * GWALK_*. Returns as gwalk(); with 1 also *fault_gva. Crosses pages; a write
 * translates all of them before it changes a byte. [V], may sleep.
 */
int mem_read_gva(struct emys_vcpu *vcpu, u64 gva, void *dst, size_t len, u32 access,
		 u32 *error, u64 *fault_gva);
int mem_write_gva(struct emys_vcpu *vcpu, u64 gva, const void *src, size_t len, u32 access,
		  u32 *error, u64 *fault_gva);
int mem_translate(struct emys_vcpu *vcpu, u64 gva, u32 access, u64 *gpa, u32 *error);
/* Provided by vmx: the registers of a walk. */
void vmx_gwalk_regs(struct emys_vcpu *vcpu, struct gwalk_regs *r);

struct dentry;
/* The module's directory in debugfs gets its files "objects" (walk.c) and "derived" (roots.c). */
void mem_debugfs_init(struct dentry *dir);

/* /dev/emys-mem and its pseudo file system. At load and unload; errno of misc_register(). */
int mem_dev_init(void);
void mem_dev_exit(void);

#endif
