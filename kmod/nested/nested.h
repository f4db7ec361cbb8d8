/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nested.h - VMX for the guest: a guest (L1) that is a hypervisor and its own guests (L2).
 *
 * Terms. vmcs01 is the VMCS that runs L1; vmcs12 is the one that L1 wrote for L2, kept in L1's
 * memory and, while it is L1's current VMCS, in nested_vcpu.v12; vmcs02 is the hardware VMCS
 * that runs L2, built from both. EPT12 is L1's page table for L2, EPT02 what the hardware uses:
 * composed of EPT12 and EPT01 (mem/derived.h).
 *
 * While L2 runs, vmx->l2 is set and vmx->cur is vmcs02, so registers, segments, events and
 * exits that vmx/ handles are L2's. Every exit of L2 is offered to nested_fast_exit() first, in
 * the section, and what is left of it to nested_slow_exit() after the section: it is L1's, which
 * is a VM exit from L2 to L1 (nested_exit()), or L0's, which vmx/ handles as for any guest.
 *
 * There is none of it unless the module parameter "nested" is on, the VM's CPUID has VMX, and its
 * VMM has not refused it (EMYS_CAP_NESTED).
 *
 * Source: Intel SDM volume 3, chapters "VM Entries", "VM Exits", "VMX Instruction Reference";
 * M. Ben-Yehuda et al., "The Turtles Project", OSDI 2010.
 */
#ifndef _EMYS_NESTED_H
#define _EMYS_NESTED_H

#include <linux/hrtimer.h>
#include <linux/types.h>

#include "caps.h"

struct emys_vcpu;
struct emys_vm;
struct mem_derived;
struct vmcs12;

/* A page of L1's that the CPU or emys uses while L2 runs; held so that it stays what it is. */
struct nested_page {
	u64 gpa;
	struct page *page;		/* NULL: not held */
};

/* Who has what is newest of the guest state in fields.h; NESTED_RARE_BOTH: it is the same. */
enum nested_rare { NESTED_RARE_12, NESTED_RARE_BOTH, NESTED_RARE_02 };

enum {
	NESTED_MSR_BITMAP, NESTED_IO_A, NESTED_IO_B, NESTED_VAPIC, NESTED_APIC_ACCESS,
	NESTED_POSTED, NESTED_VMREAD, NESTED_VMWRITE,
	NESTED_LINKED,			/* the last, and no control: nested_pages_held() */
	NESTED_PAGES
};

/* [V] all of it. There is one for each vCPU when the module parameter is on. */
struct nested_vcpu {
	struct nested_caps caps;	/* what the virtual CPU's VMX can do */
	bool vmxon;			/* L1 is in VMX operation */
	bool checked_ia32e;		/* L1 was in IA-32e mode when the host state was checked */
	u64 vmxon_ptr;
	u32 rules;			/* VMCS12_RULES_* to be checked at the next entry */
	u64 ptr;			/* L1's current-VMCS pointer, NESTED_NO_VMCS */
	struct vmcs12 *v12;		/* its content; a page, while vmxon */
	struct vmx_vmcs vmcs02;		/* while vmxon */
	enum nested_rare rare;
	bool controls_02;		/* vmcs02 has vmcs12's controls, and pages */
	bool debug_changed;		/* while L2 ran: vmcs01 has the old exceptions */
	u64 tsc_offset_02, tsc_ratio_02;	/* of L1, in vmcs02's */
	void *shadow;			/* page of L1's shadow VMCS while vmxon; NULL: none */
	bool shadow_new;		/* no VMCLEAR has made a VMCS of it */
	bool entry_pending;		/* VM entry done, L2 has not run: its event is to come */
	bool exit_put_off;		/* a VM exit waits for that */
	bool mtf_due;			/* L1 traps what emys executed for L2 */
	bool reflect;			/* the exit is L1's, and not done in the section */
	u64 reflect_tsc;		/* when it came, by the host's TSC */
	bool apic_changed;		/* of L1's APIC, to be told to vmcs01 */
	bool timer_on;			/* the VMX-preemption timer counts */
	u64 timer_deadline;		/* in its units, of L1's TSC */
	struct hrtimer timer_wake;	/* ends the sleep of an L2 that halts */
	struct emys_vcpu *vcpu;		/* (c) */
	u16 vpid12;			/* that vmcs02's VPID stands for */
	bool status_read;		/* since L2 ran: */
	u16 status;			/* its guest interrupt status, SVI and RVI */
	struct nested_page pages[NESTED_PAGES];
	s64 pages_seq;			/* mem.zap_seq when they were looked up */
	struct page *nowhere;		/* stands in for a virtual-APIC page; or NULL */
	u64 l1_debugctl;		/* of L1 at the entry, for an L2 that shares it */
	struct mem_derived *ept02;	/* NULL: L2's physical addresses are L1's */
	/* The last access that emys made for L2, if it is an exit to L1; reason 0: it is none. */
	struct {
		u32 reason;
		u64 qual, gpa, gla;
	} refused;
};

#define NESTED_NO_VMCS	(~0ull)

/* The offer on this host, at load; -ENOMEM. And at unload. */
int nested_init(void);
void nested_cleanup(void);
/* Is VMX offered to guests? To those of this VM, by their CPUID? */
bool nested_offered(void);
bool nested_allowed(const struct emys_vm *vm);

/* -ENOMEM. destroy: no vCPU runs, and the VM's memory is still there; may sleep. */
int nested_vcpu_init(struct emys_vcpu *vcpu);
void nested_vcpu_destroy(struct emys_vcpu *vcpu);
/* Out of VMX operation, as by power-up or the VMM's will. May sleep. */
void nested_leave(struct emys_vcpu *vcpu);

/* May the guest's CPUID and IA32_FEATURE_CONTROL be used for VMX? */
bool nested_has_vmx(const struct emys_vcpu *vcpu);
/* What L1 may access without exit is another. */
void nested_msrs_changed(struct emys_vcpu *vcpu);
/* Is it in VMX operation? */
bool nested_on(const struct emys_vcpu *vcpu);
/* In VMX root operation, where an INIT has to wait? */
bool nested_init_blocked(const struct emys_vcpu *vcpu);
/* In VMX operation some bits of CR0 and CR4 are fixed. */
bool nested_cr0_valid(const struct emys_vcpu *vcpu, u64 cr0);
bool nested_cr4_valid(const struct emys_vcpu *vcpu, u64 cr4);

/* The VMX capability MSRs, to be written by the VMM alone. 0, or -EPERM. */
int nested_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val);
int nested_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val);
int nested_msr_feature(u32 msr, u64 *val);	/* -EINVAL: there is none */
/* The vCPU's CPUID is another: what VMX offers follows. */
void nested_cpuid_changed(struct emys_vcpu *vcpu);

/*
 * KVM_GET_NESTED_STATE: the header, and how many bytes the whole has; then, if that is more,
 * VMCS12_SIZE bytes of the current vmcs12, up to date until the vCPU runs; and, if it is still
 * more, as many of the shadow VMCS that is linked to it, which are copied. May sleep.
 */
#define NESTED_STATE_MAX	(sizeof(struct kvm_nested_state) + 2 * 0x1000)
u32 nested_state_get(struct emys_vcpu *vcpu, struct kvm_nested_state *s);
const void *nested_state_vmcs12(struct emys_vcpu *vcpu);
void nested_state_linked(struct emys_vcpu *vcpu, void *linked);
/*
 * KVM_SET_NESTED_STATE. @vmcs12, @linked: NULL, or a copy. -EINVAL: a state that no CPU is in, or
 * not with this vCPU's CPUID and capabilities; -ENOMEM. May sleep.
 */
int nested_state_set(struct emys_vcpu *vcpu, const struct kvm_nested_state *s, const void *vmcs12,
		     const void *linked);

/*
 * An exit because of a VMX instruction of L1. In the section: EMYS_RESUME, or VMX_EXIT_PENDING
 * when it needs memory; after it, may sleep: EMYS_RESUME.
 */
int nested_fast_insn(struct emys_vcpu *vcpu);
int nested_slow_insn(struct emys_vcpu *vcpu);

/*
 * An exit of L2. NESTED_L0: vmx/ is to handle it; else as vmx_fast_exit() and
 * vmx_handle_exit() return.
 */
#define NESTED_L0	16
int nested_fast_exit(struct emys_vcpu *vcpu, u32 reason);
int nested_slow_exit(struct emys_vcpu *vcpu);

/*
 * emys could not carry out an instruction of L2. True: because EPT12 forbids an access it makes, so
 * it was a VM exit, and L1 runs. May sleep.
 */
bool nested_access_exits(struct emys_vcpu *vcpu);

/*
 * Before the section with vmx->l2: events that are a VM exit to L1, and what of L1's memory L2 runs
 * with. EMYS_RESUME, also when it is L1 that runs now; EMYS_USER or -errno. May sleep.
 */
int nested_before_section(struct emys_vcpu *vcpu);
/*
 * INIT and SIPI that wait at the APIC of a guest in VMX operation: root operation holds an INIT
 * back and loses a SIPI; while L2 runs they are VM exits. May sleep.
 */
void nested_accept_events(struct emys_vcpu *vcpu);
/* L2 is shut down, by no instruction of its own: a VM exit. After the section. May sleep. */
void nested_triple_fault(struct emys_vcpu *vcpu);
/* L2 is halted, and about to sleep. May sleep. */
void nested_before_halt(struct emys_vcpu *vcpu);
/*
 * What ends L2's HLT is here. False: it was a notification of posted interrupts, of which none is
 * for now, and L2 stays halted. An exit that wakes L2 finds it halted. May sleep.
 */
bool nested_halt_ends(struct emys_vcpu *vcpu);
/*
 * With vmx->l2: what L1's APIC has been notified of is posted to L2. False: not while L1's memory
 * has to be looked up. In the section or not.
 */
bool nested_take_posted(struct emys_vcpu *vcpu);
/* With vmx->l2: does an interrupt in L2's virtual APIC, which may be delivered now, end its HLT? */
bool nested_virtual_interrupt(struct emys_vcpu *vcpu);
/*
 * With vmx->l2, around the sleep in HLT or wait-for-SIPI: the VMX-preemption timer wakes by a
 * request. expired: it has, which ends HLT.
 */
void nested_sleep_begins(struct emys_vcpu *vcpu);
void nested_sleep_ends(struct emys_vcpu *vcpu);
bool nested_timer_expired(const struct emys_vcpu *vcpu);
/* With vmx->l2: vmcs02, which is current, is told how L2's TSC follows from the host's. */
void nested_tsc_load(struct emys_vcpu *vcpu);
/* Before each entry of the section: false, nested_before_section() has something to do. */
bool nested_before_entry(struct emys_vcpu *vcpu);
/* L1 has the monitor trap flag on, and emys executed an instruction of L2's. Any context. */
void nested_trap(struct emys_vcpu *vcpu);
/*
 * With vmx->l2 in HLT, what the CPU would see there: a trap that is due, a window that L1 waits
 * for and that is open. Any context, with RFLAGS and interruptibility read.
 */
bool nested_halt_exits(struct emys_vcpu *vcpu);
/* With vmx->l2: would this exception, @error 0 when it has none, be an exit to L1? */
bool nested_takes_exception(const struct emys_vcpu *vcpu, u8 vector, u32 error);
/* The CPU has entered L2, and whatever was to be delivered is the business of the exit. */
void nested_entered(struct emys_vcpu *vcpu);

/*
 * The VMM's debugger is another: both VMCSs are told in time. The exceptions of L2 that L1 wants,
 * 0 when L1 runs.
 */
u32 nested_debug_changed(struct emys_vcpu *vcpu);

/* With vmx->l2: would an interrupt for L1 be a VM exit, whatever L2's RFLAGS.IF? An NMI? */
bool nested_interrupt_exits(const struct emys_vcpu *vcpu);
bool nested_nmi_exits(const struct emys_vcpu *vcpu);

#endif
