/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * emys.h - the two nouns, a VM and a vCPU, and what every part may ask of them.
 *
 * Lifetimes. A VM is created by EMYS's KVM_CREATE_VM and referenced by its fd,
 * by each vCPU fd and by whoever calls emys_vm_get(). It dies in two phases:
 * vm_kill() (fd gone or VMM's mm gone: no vCPU can enter the guest any more,
 * notifiers are off, guest memory mappings are dropped) and vm_destroy() (last
 * reference: everything is freed). A vCPU lives exactly as long as its VM; its
 * fd only holds a VM reference.
 *
 * Lock keys used behind the fields:
 *  (c) constant after creation            (a) atomic or bit operations
 *  [L] vm->lock (mutex)                   [V] vcpu->mutex, held by every vCPU ioctl
 *  [S] vm->mem.srcu read side to use, slots_lock to change
 *  [M] vm->mem.mmu_lock (rwlock)          [r] only by the thread in the run section
 * The order of the locks is in Documentation/locking.rst.
 */
#ifndef _EMYS_H
#define _EMYS_H

#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include "balloon/balloon.h"
#include "irqchip/irqchip.h"
#include "mem/mem.h"
#include "stats.h"
#include "vmx/vmx.h"
#include "nested/nested.h"

#define EMYS_MAX_VCPUS		256	/* KVM_CAP_MAX_VCPUS */
#define EMYS_MAX_VCPU_ID	1024	/* KVM_CAP_MAX_VCPU_ID; an APIC ID */

/*
 * What a handler wants next. Nothing else is returned but a negative errno,
 * which ends KVM_RUN with that errno.
 */
enum emys_next {
	EMYS_USER = 0,		/* kvm_run is filled in: return to the VMM */
	EMYS_RESUME = 1,	/* enter the guest again */
};

/* Requests to a vCPU: set by anybody, taken by the vCPU before it enters. */
enum emys_request {
	EMYS_REQ_EVENT,		/* interrupts or NMIs may have become pending */
	EMYS_REQ_NMI,		/* one more NMI (vcpu->nmi_queued was raised) */
	EMYS_REQ_CLOCK,		/* rewrite the pv-clock page */
	EMYS_REQ_WALL_CLOCK,	/* write the wall-clock structure */
	EMYS_REQ_TLB,		/* drop this vCPU's TLB entries (VPID) */
	EMYS_REQ_EOIMAP,	/* recompute the EOI-exit bitmap */
	EMYS_REQ_APICV,		/* APIC mode or APICv activation changed */
	EMYS_REQ_MSRS,		/* the MSR filter is another */
	EMYS_REQ_KICK,		/* nothing but an exit wanted */
	EMYS_REQ_DEAD,		/* the VM is dead: KVM_RUN ends with -EIO */
};

enum emys_mode {
	EMYS_OUTSIDE,		/* not in a run section */
	EMYS_IN_GUEST,		/* in a run section: must be kicked by IPI */
	EMYS_EXITING,		/* was kicked, will look at its requests */
};

struct emys_vm {
	struct kref ref;			/* (a) */
	struct mutex lock;			/* vCPU creation, irqchip creation */
	struct mm_struct *mm;			/* (c) of the creating VMM, mmgrab'bed */
	struct list_head link;			/* all VMs, under vms_lock of vm.c */
	u32 id;					/* (c) unique while the module lives */
	pid_t owner;				/* (c) tgid of the creator */
	kuid_t uid;				/* (c) its effective user, who may set its policy */
	bool dead;				/* set once, by vm_kill() or vm_broken() */

	struct xarray vcpus;			/* index -> emys_vcpu; [L] to add */
	unsigned int nr_vcpus;			/* [L], smp_store_release after xa_store */

	struct emys_mem mem;
	struct emys_irqchip *irqchip;		/* [L] to create, then (c); NULL = none */
	struct emys_pit *pit;			/* [L] to create, then (c) */
	struct emys_irqfds *irqfds;		/* by cmpxchg on first use, then (c) */

	struct vmx_vm vmx;
	atomic_t nested_on;			/* (a) vCPUs in VMX operation */
	struct emys_clock {
		raw_spinlock_t lock;
		u64 base_tsc, base_ns;		/* kvmclock as a line over the host's TSC */
		u32 mul;			/* slope: ns = ((ticks << shift) * mul) >> 32 */
		s8 shift;
		bool used;			/* some vCPU has a kvmclock page */
		bool tsc_write_valid;		/* tsc_offset is set */
		s64 offset;			/* ns to boot time, where the TSC is no good */
		u32 tsc_khz;			/* default for new vCPUs */
		u64 tsc_offset;			/* last offset written, for matching */
		u64 tsc_ratio;			/* and at which rate */
		struct mutex wall_lock;		/* one writer of a wall clock at a time */
	} clock;
	u32 bsp_id;				/* [L] KVM_SET_BOOT_CPU_ID, default 0 */
	bool x2apic_api;			/* [L] KVM_CAP_X2APIC_API: 32-bit IDs */
	bool nested_refused;			/* [L] (c) with the first vCPU: EMYS_CAP_NESTED */
	bool exception_payload;			/* [L] to set: KVM_CAP_EXCEPTION_PAYLOAD */
	bool triple_fault_event;		/* [L] to set: KVM_CAP_X86_TRIPLE_FAULT_EVENT */
	bool platform_info_hidden;		/* [L] to set: KVM_CAP_MSR_PLATFORM_INFO */
	u32 user_msrs;				/* [L] to set: KVM_MSR_EXIT_REASON_* to the VMM */
	struct msr_filter __rcu *msr_filter;	/* [L] to set: vmx/msr_filter.h; NULL = none */
	u64 quirks_off;				/* [L] to set: KVM_CAP_DISABLE_QUIRKS2 */
	u32 nr_mmu_pages;			/* [L] what the VMM has set, for it to read */
	u32 max_vcpu_id;			/* [L] ids are below it; KVM_CAP_MAX_VCPU_ID */
	struct emys_vm_stats stats;
	struct emys_vm_reclaim reclaim;		/* balloon/ */
};

/* Is what KVM calls a quirk still wanted? @quirk: KVM_X86_QUIRK_* */
static inline bool emys_quirk(const struct emys_vm *vm, u64 quirk)
{
	return !(READ_ONCE(vm->quirks_off) & quirk);
}

/* Events of a vCPU, in the terms of struct kvm_vcpu_events. [V] */
struct emys_events {
	struct {
		bool pending;			/* queued, never tried */
		bool injected;			/* was being delivered: replay */
		bool has_error;
		bool has_payload;
		u8 nr;
		u32 error;
		u64 payload;			/* CR2 of #PF, DR6 bits of #DB: with its delivery */
	} exception;
	struct {
		bool injected;
		bool soft;
		u8 nr;
		bool waiting;			/* taken from its source, not yet tried: */
		u8 waiting_nr;			/* an external one, kept for the next window */
	} interrupt;
	u8 nmi_pending;				/* 0..2 */
	bool nmi_injected;
};

struct emys_vcpu {
	struct emys_vm *vm;			/* (c) */
	unsigned int idx;			/* (c) order of creation */
	u32 id;					/* (c) APIC ID */
	struct mutex mutex;			/* the V lock: one ioctl at a time */
	struct kvm_run *run;			/* (c) shared with the VMM: never trust a re-read */
	void *pio_data;				/* (c) page at KVM_PIO_PAGE_OFFSET of the mapping */
	struct pid __rcu *pid;			/* last thread that ran it */

	unsigned long requests;			/* (a) bits of enum emys_request */
	int mode;				/* (a) enum emys_mode */
	int cpu;				/* CPU of the current or last run section */
	struct rcuwait wait;			/* blocked in HLT or waiting for SIPI */
	atomic_t nmi_queued;			/* (a) NMIs from other contexts */
	u32 mp_state;				/* [V] KVM_MP_STATE_*; INIT, SIPI: lapic->events */
	bool sigset_active;			/* [V] KVM_SET_SIGNAL_MASK */
	sigset_t sigset;

	u64 regs[16];				/* [V] RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
	u64 cr2;				/* [V] */
	u64 cr8;				/* [V] only while there is no in-kernel APIC */
	struct emys_events ev;			/* [V] */
	struct emys_io io;			/* [V] an access the VMM has yet to finish */

	struct kvm_cpuid_entry2 *cpuid;		/* [V] */
	u32 nr_cpuid;				/* [V] */
	struct emys_features feat;		/* [V] derived from cpuid by cpuid_update() */

	struct emys_msrs msrs;			/* [V] values of emulated MSRs, see vmx/vmx.h */
	struct emys_fpu fpu;			/* [V] */
	struct emys_dr {
		u64 db[4], dr6, dr7;		/* the guest's */
	} dr;					/* [V] */
	struct emys_debug {
		u32 control;			/* KVM_GUESTDBG_*, 0 = there is no debugger */
		bool general_detect;		/* its DR7.GD: a MOV DR of the guest's is told */
		bool entered;			/* by the last entry, to run one instruction */
		bool stepped;			/* which emys did: the next entry tells */
		u64 db[4], dr7;			/* the debugger's breakpoints */
	} debug;				/* [V] */
	struct vmx_vcpu vmx;			/* [V] [r] */
	struct nested_vcpu *nested;		/* (c) NULL unless VMX is offered to guests */
	/* [V] from what the running guest takes for physical; NULL: that is the VM's. 0, -EFAULT */
	int (*gpa_map)(struct emys_vcpu *vcpu, u64 gpa, u32 access, u64 *out);
	u64 walked_gva;				/* [V] what is translated to it, linear */
	struct ept_cache ept_cache;		/* [V] spare tables of mem_fault() */
	struct derived_node *derived_node;	/* [V] a spare one of mem_derived_map(), or NULL */
	struct emys_lapic *lapic;		/* (c) NULL without in-kernel irqchip */
	struct emys_vcpu_stats stats;		/* plain u64, only written by the runner */
};

/* -- vm.c ---------------------------------------------------------------- */

/* All VMs by link; one in it may be dying, but is not freed before it left the list. */
extern struct list_head emys_vms;
extern struct mutex emys_vms_lock;

/*
 * Make a VM for current->mm. May sleep. -ENOMEM; -EBUSY when VMX operation
 * cannot be had on some CPU.
 */
struct emys_vm *emys_vm_create(void);
void emys_vm_get(struct emys_vm *vm);
void emys_vm_put(struct emys_vm *vm);	/* may sleep */
/* The VM with the smallest id above @after, with a reference, or NULL. May sleep. */
struct emys_vm *emys_vm_next(u32 after);
/* Phase one of death; idempotent. May sleep. */
void emys_vm_kill(struct emys_vm *vm);
/*
 * Something that must not happen did (a VMX instruction failed, the EPT is
 * inconsistent): say so once in the log, stop all vCPUs, KVM_RUN = -EIO. Any context.
 */
__printf(2, 3) void emys_vm_broken(struct emys_vm *vm, const char *fmt, ...);
/* Kick every vCPU out of the guest and wait until all have left. IRQs on. */
void emys_vm_kick_all_wait(struct emys_vm *vm);
/* Set request @req on every vCPU and kick. Any context. */
void emys_vm_request_all(struct emys_vm *vm, enum emys_request req);
struct emys_vcpu *emys_vcpu_by_apic_id(struct emys_vm *vm, u32 id);	/* RCU or VM ref */

/* How many vCPUs there are; each of them is found in vm->vcpus. Any context. */
static inline unsigned int emys_nr_vcpus(const struct emys_vm *vm)
{
	/* pairs with the release in emys_vcpu_create() */
	return smp_load_acquire(&vm->nr_vcpus);
}

#define emys_for_each_vcpu(i, vcpu, vm) \
	for ((i) = 0; (i) < emys_nr_vcpus(vm) && \
	     ((vcpu) = xa_load(&(vm)->vcpus, (i))) != NULL; (i)++)

/* -- vcpu.c -------------------------------------------------------------- */

/* -EEXIST the id is taken, -EINVAL id out of range, -ENOMEM. Caller holds vm->lock. */
struct emys_vcpu *emys_vcpu_create(struct emys_vm *vm, u32 id);
void emys_vcpu_destroy(struct emys_vcpu *vcpu);
/*
 * KVM_RUN. [V] held. 0 with run->exit_reason set, or -EINTR (signal or
 * immediate_exit), -EIO (VM dead), -EFAULT (guest memory not backed), -EINVAL.
 */
int emys_vcpu_run(struct emys_vcpu *vcpu);
/* Make the vCPU look at its requests soon, awake or asleep. Any context, IRQs on or off. */
void emys_vcpu_kick(struct emys_vcpu *vcpu);
static inline void emys_vcpu_request(struct emys_vcpu *vcpu, enum emys_request req)
{
	set_bit(req, &vcpu->requests);
	smp_mb__after_atomic();		/* pairs with the barrier after mode = IN_GUEST */
}

/* Test and take a request. The vCPU's own thread. */
static inline bool emys_vcpu_take(struct emys_vcpu *vcpu, enum emys_request req)
{
	return test_bit(req, &vcpu->requests) && test_and_clear_bit(req, &vcpu->requests);
}

/* Is there anything that ends HLT? The vCPU's own thread. */
bool emys_vcpu_runnable(struct emys_vcpu *vcpu);
/* INIT and SIPI that were sent to it, as far as its state lets them in. [V], may sleep. */
void emys_vcpu_accept_events(struct emys_vcpu *vcpu);

/* Reset to the state of the manual's "Processor State After Reset" / INIT. [V] */
void emys_vcpu_reset(struct emys_vcpu *vcpu, bool init);

#endif
