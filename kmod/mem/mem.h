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
 * Locks: slots_lock (mutex) changes slots; srcu read side uses them; mmu_lock
 * (rwlock): read to map (several vCPUs fault at once, ept_map publishes by
 * compare-exchange), write to zap. Order: mmap_lock -> slots_lock is NOT taken
 * under mmap_lock; slots_lock -> srcu (synchronize) ; mmap_lock -> object lock ->
 * i_mmap_rwsem; mmu_lock is innermost and nothing sleeps under it.
 * No GUP and no copy_*_user under the object lock or mmu_lock.
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

struct emys_vm;
struct emys_vcpu;
struct mem_slots;		/* private: sorted array, one RCU generation */
struct mem_object;		/* private: one open of /dev/emys-mem */

#define EMYS_MEM_SLOTS		512	/* KVM_CAP_NR_MEMSLOTS */

struct emys_mem {
	struct mutex slots_lock;
	struct srcu_struct srcu;
	struct mem_slots __rcu *slots;		/* [S] */
	u64 generation;				/* slots_lock; bumps at every change */
	rwlock_t mmu_lock;
	struct ept_root ept;			/* [M] */
	struct mmu_notifier notifier;
	bool notifier_on;			/* slots_lock */
	unsigned long inval_seq;		/* [M] as in a seqcount: faults that raced retry */
	unsigned long inval_count;		/* [M] */
	u64 inval_start, inval_end;		/* [M] hva range in flight */
};

/* Access of a fault, bits. */
#define MEM_READ	1
#define MEM_WRITE	2
#define MEM_EXEC	4

/* What a fault found. */
enum mem_fault_result {
	MEM_MAPPED = 0,		/* mapped, or spurious: enter again */
	MEM_MMIO = 1,		/* no slot there, or a write to a read-only one: an I/O access */
};

/* VM creation and death. init: -ENOMEM. kill = phase one: notifier off, EPT zapped, no new faults. */
int mem_vm_init(struct emys_vm *vm);
void mem_vm_kill(struct emys_vm *vm);
void mem_vm_destroy(struct emys_vm *vm);

/*
 * KVM_SET_USER_MEMORY_REGION. -EINVAL misaligned, wraps, unknown flags, slot
 * number out of range, size change of a slot; -EEXIST overlaps another; -ENOMEM.
 * memory_size 0 deletes. May sleep. Returns after all vCPUs have stopped using what went.
 */
int mem_set_region(struct emys_vm *vm, const struct kvm_userspace_memory_region *r);
/* KVM_GET_DIRTY_LOG / KVM_CLEAR_DIRTY_LOG. -ENOENT no such slot or not logged, -EFAULT. */
int mem_get_dirty_log(struct emys_vm *vm, const struct kvm_dirty_log *log);

/*
 * Serve an EPT violation at @gpa. The vCPU's thread, current->mm == vm->mm,
 * may sleep, srcu not held. enum mem_fault_result, or -EFAULT (hva not backed
 * or not writable), -ENOMEM, -EINTR (fatal signal), -EIO (VM dead).
 * When the answer is MEM_MMIO for a read-only slot, reads of it still map.
 */
int mem_fault(struct emys_vcpu *vcpu, u64 gpa, u32 access);

/*
 * Copy to and from guest memory; crosses slots and pages. May sleep, current->mm
 * == vm->mm. 0, or -EFAULT when a byte is not backed by a (writable) slot:
 * then what precedes it may have been written.
 */
int mem_read(struct emys_vm *vm, u64 gpa, void *dst, size_t len);
int mem_write(struct emys_vm *vm, u64 gpa, const void *src, size_t len);
/* Is there a slot under @gpa (readable; with @write also not read-only)? Any sleepable context. */
bool mem_has_slot(struct emys_vm *vm, u64 gpa, bool write);

/*
 * The guest's own page tables: linear to physical address. gwalk.c is pure: it
 * gets registers and a reader of guest-physical memory, and also compiles in userspace.
 */
struct gwalk_regs {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;			/* for AC and SMAP */
	u64 pdptr[4];			/* PAE paging */
	u8 cpl;
	u8 maxphyaddr;
	bool has_1g;			/* CPUID.80000001H:EDX.Page1GB */
};

#define GWALK_WRITE	1
#define GWALK_EXEC	2
#define GWALK_USER	4		/* access with CPL 3 rights */
#define GWALK_IMPLICIT	8		/* implicit supervisor access: SMAP regardless of AC */

/* read: 0 or -EFAULT. It is called with gpa aligned to @size (4 or 8). */
typedef int (*gwalk_read_fn)(void *ctx, u64 gpa, void *val, int size);

/*
 * 0 and *gpa; or 1 and *error = the #PF error code to inject; or -EFAULT when a
 * table lies outside guest memory. Accessed/dirty bits are not set by this walk.
 * Source: SDM volume 3, "Paging".
 */
int gwalk(const struct gwalk_regs *r, u64 gva, u32 access, gwalk_read_fn read, void *ctx,
	  u64 *gpa, u32 *error);

/* Linear memory of the vCPU, through gwalk with its registers now. As gwalk; crosses pages. 1: *error and *fault_gva. */
int mem_read_gva(struct emys_vcpu *vcpu, u64 gva, void *dst, size_t len, u32 access,
		 u32 *error, u64 *fault_gva);
int mem_write_gva(struct emys_vcpu *vcpu, u64 gva, const void *src, size_t len, u32 access,
		  u32 *error, u64 *fault_gva);
int mem_translate(struct emys_vcpu *vcpu, u64 gva, u32 access, u64 *gpa, u32 *error);
/* Provided by vmx: the registers of a walk. */
void vmx_gwalk_regs(struct emys_vcpu *vcpu, struct gwalk_regs *r);

/* /dev/emys-mem and its pseudo file system. */
int mem_dev_init(void);
void mem_dev_exit(void);

#endif
