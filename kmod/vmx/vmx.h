/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmx.h - the CPU: ownership of VMX operation, capabilities, the run section,
 * exits, and the architectural state of a vCPU (registers, events, MSRs, CPUID).
 *
 * The run section. vmx_run() takes the guest's FPU once, turns interrupts off,
 * owns VMX operation (own.c), makes the vCPU's VMCS current, and enters the
 * guest until something needs sleeping, memory policy or the VMM. No VMCS
 * outlives its section: it is VMCLEARed before VMX operation is given up, in
 * every ownership mode, so that CPU hotplug, migration, suspend and module
 * unload have nothing to chase on other CPUs.
 *
 * Source: Intel SDM volume 3, chapters "Introduction to Virtual-Machine
 * Extensions" to "VMX Instruction Reference".
 */
#ifndef _EMYS_VMX_H
#define _EMYS_VMX_H

#include <linux/kvm.h>
#include <linux/types.h>

#include "../ept/ept.h"

struct emys_vm;
struct emys_vcpu;

/* -- capabilities (caps.c) ------------------------------------------------ */

/* Controls emys runs with: required ones are there, optional ones as the CPU has them. */
struct vmx_caps {
	u64 basic, misc, ept_vpid, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u32 rev;		/* VMCS revision identifier */
	u32 pin, proc, proc2, exit, entry;	/* values to use as a base */
	bool ept_ad, ept_2m, ept_1g, ept_exec_only;
	bool spp;		/* sub-page write permissions */
	bool vpid, apicv, tpr_shadow, apic_access, vnmi, preemption_timer, pml, mtf;
	bool shadow_vmcs;	/* and exit information can be written there */
	bool tsc_scaling, xsaves, rdtscp, invpcid, ple;
	bool invept_context, invvpid_context;
	bool perf_global;	/* the host has IA32_PERF_GLOBAL_CTRL */
	bool perf_load;		/* and entries and exits switch it */
	bool pebs;		/* and IA32_PEBS_ENABLE */
	u64 host_xcr0;		/* XCR0 of the host */
	u64 host_xss;		/* IA32_XSS of the host */
	u64 xcr0;		/* what a guest may have of it */
};

extern struct vmx_caps vmx_caps;

/*
 * At load. 0; -EOPNOTSUPP with one line in dmesg: no VMX, locked off, no EPT, no
 * unrestricted guest; -ENOMEM.
 */
int vmx_init(void);
void vmx_exit(void);
/* "key: value" lines for debugfs emys/caps. */
struct seq_file;
int vmx_caps_show(struct seq_file *m, void *v);

/*
 * First VM wants VMX operation, last one gives it up. get: -EBUSY when some CPU
 * refuses. May sleep.
 */
int vmx_own_get(void);
void vmx_own_put(void);

/* -- per VM, per vCPU ----------------------------------------------------- */

struct vmx_vm {
	u64 __percpu *seen_gen;		/* EPT generation last flushed on each CPU */
	struct page *apic_access;	/* page behind the APIC-access address */
	bool apic_access_off;		/* [M] it is not mapped: see vmx_apic_access_update() */
};

/*
 * What the last exit left in the VMCS, read lazily while it is current and completed
 * at the end of the section.
 */
struct vmx_exit {
	u32 reason;			/* basic reason and the entry-failure bit */
	u32 intr_info, intr_error;
	u32 idt_info, idt_error;
	u32 insn_len, insn_info;
	u64 qual, gpa, gla;
};

/*
 * One VMCS and what emys remembers of its fields, so as not to write what they hold. A vCPU
 * has one for its guest (vmcs01) and, when that guest is a hypervisor, one for the guest's
 * guest (vmcs02, in nested/).
 */
struct vmx_vmcs {
	void *page;			/* (c) NULL = there is none */
	u64 pa;				/* (c) */
	unsigned long *msr_bitmap;	/* (c) page */
	u16 vpid;			/* (c) 0 = none */
	bool launched;			/* in this section */
	int cpu;			/* CPU whose host state is in it, -1 none */
	int tlb_cpu;			/* CPU whose TLB may hold this VPID, -1 none */
	unsigned long host_cr3, host_cr4, host_fs_base;	/* last written */
	u64 host_perf;			/* likewise, IA32_PERF_GLOBAL_CTRL */
	u32 exec, exec2;		/* controls in it */
	u32 exec_keep;			/* of exec: windows and the like that L1 wants for L2 */
	u64 shadow_pa;			/* of the shadow VMCS it links to, 0 none */
	struct mem_derived *derived;	/* the EPT it runs on, NULL = the VM's own */
};

struct vmx_vcpu {
	struct vmx_vmcs vmcs01;
	struct vmx_vmcs *cur;		/* the one that runs; NULL before it is made */
	struct vmx_vmcs *other;		/* likewise loaded in this section, NULL none */
	bool l2;			/* the guest's guest runs: cur is vmcs02, see nested/ */
	bool in_section;		/* it is current on this CPU, interrupts off */
	unsigned int nest;		/* vmx_vmcs_get() depth */
	unsigned long irqflags;		/* of the outermost vmx_vmcs_get() */

	/* Guest state read since the exit (avail) or to be written (dirty): VMX_AV_*. */
	u32 avail, dirty;
	u64 rip, rflags, cr0, cr3, cr4;
	u64 cs_base;
	u32 cs_ar, ss_ar;
	u32 intr_shadow;		/* GUEST_INTERRUPTIBILITY_INFO */
	u64 cr0_owned, cr4_owned;	/* bits the guest changes without exit */
	bool cpuid_osxsave;		/* what cpuid_update() found in CR4 */
	struct {
		u64 mask, shadow;	/* what L1 keeps of L2's register, 0 while L1 runs */
	} cr0_l1, cr4_l1;

	struct vmx_exit exit;
	bool events_check;		/* events.c has something to look at before entry */
	bool injected;			/* the last entry delivered an event */
	bool inject_raw;		/* the next one delivers what is in the VMCS already */
	bool shutdown;			/* a fault while delivering #DF */
	u8 event_insn_len;		/* of the software event to replay */
	bool tpr_exit;			/* MOV to CR8 was done, the VMM is to be told */
	bool user_irq_valid;		/* KVM_INTERRUPT waits */
	u8 user_irq;
	u64 tsc_offset;			/* of L1 */
	u64 tsc_ratio;			/* its TSC's rate of the host's, VMX_TSC_FRACTION; 0: 1 */
	u32 tsc_khz;
	bool tsc_moved;			/* while L2 ran: vmcs01 has the old offset or ratio */
	bool spec_ctrl_passed;		/* the guest writes SPEC_CTRL without exit */
	bool dr_loaded;			/* the guest's debug registers are in the CPU */
	bool dr_wanted;			/* a breakpoint is on: load them for each section */
	bool no_apic_access;		/* read by others: vmx_apic_access_without() */
	bool svi_dirty;			/* ISR changed by other than the CPU: rewrite SVI */
	u64 io_rip;			/* instruction that a pending access belongs to */
};

/* Derived from CPUID by cpuid_update(). [V] */
struct emys_features {
	u8 maxphyaddr;			/* of the guest */
	u64 cr4_reserved;		/* bits whose setting is #GP */
	u64 efer_allowed;
	u64 xcr0_allowed;
	u64 xss_allowed;
	bool has_1g, has_xsave, has_pcid, has_x2apic, has_tsc_deadline, has_tsc_adjust,
	     has_rdtscp, has_rdpid, has_invpcid, has_spec_ctrl, has_ibpb, has_arch_caps, has_mtrr,
	     has_mce, has_pat, has_vmx, has_xsaves, has_mwait, has_sse3,
	     has_long_mode, has_syscall, has_fsgsbase, has_kvmclock;
	u32 kvm_leaf;			/* 0x40000000-style base of the KVM leaf, 0 none */
	u32 kvm_features;
};

#define EMYS_MTRR_VAR	8
/* Guest MSRs that are plain values, not in the VMCS and not in the APIC. [V] */
struct emys_msrs {
	u64 star, lstar, cstar, fmask, tsc_aux;	/* loaded lazily, see usermsr.h */
	u64 kernel_gs_base;			/* loaded for each section */
	u64 efer, pat;				/* mirrored in the VMCS */
	u64 apic_base;				/* only while there is no in-kernel APIC */
	u64 spec_ctrl, arch_caps, xss;
	u64 misc_enable, feat_ctl, platform_info, ucode_rev;
	u64 misc_features;			/* CPUID faulting */
	u64 power_ctl;				/* a value, nothing more */
	u64 tsc_adjust;
	u64 mtrr_def, mtrr_fixed[11], mtrr_var[EMYS_MTRR_VAR * 2];
	u64 mcg_cap, mcg_status, mcg_ctl, mce_banks[32 * 4];
	u64 kvm_system_time, kvm_wall_clock;
	bool kvm_clock_new;			/* written through the new numbers */
};

/* FPU state: one XSAVE image in standard form, loaded once per section. */
struct emys_fpu {
	void *area;			/* (c) 64-byte aligned, EMYS_XSAVE_SIZE bytes */
	u64 xcr0;			/* guest's XCR0 */
};

#define EMYS_XSAVE_SIZE		4096	/* struct kvm_xsave's region */

/* A device access that the VMM has to finish. */
struct emys_io {
	/* Called at the next KVM_RUN: enum emys_next or -errno. */
	int (*complete)(struct emys_vcpu *vcpu);
	u8 insn_bytes[16];
	void *insn;				/* decoder state, see mmio.c */
	u32 size, count, done;			/* of a string or split access */
	u16 port;
	bool in, string;
	u64 gpa[2];				/* of the two pages an access may touch */
	u32 len[2], nr_frag, cur_frag;
	u8 data[16];
};

/* vCPU's VMCS, bitmaps, VPID, reset state. -ENOMEM. */
int vmx_vm_init(struct emys_vm *vm);
void vmx_vm_destroy(struct emys_vm *vm);
int vmx_vcpu_init(struct emys_vcpu *vcpu);
void vmx_vcpu_destroy(struct emys_vcpu *vcpu);
void vmx_vcpu_reset(struct emys_vcpu *vcpu, bool init);

/* MMIO machine of the vCPU (mmio.c). -ENOMEM. */
int vmx_mmio_init(struct emys_vcpu *vcpu);
void vmx_mmio_destroy(struct emys_vcpu *vcpu);

/* -- run section (run.c) -------------------------------------------------- */

/*
 * Run the guest until an exit that is not finished inside the section.
 * Preemption and interrupts on, [V] held. Returns EMYS_RESUME when only the
 * host needed the CPU or a request is waiting, EMYS_USER + 1... : 2 =
 * VMX_EXIT_PENDING: vcpu->vmx.exit wants vmx_handle_exit(); or -errno.
 */
#define VMX_EXIT_PENDING	2
#define VMX_EXIT_LEAVE		4	/* inside vmx/ only: finished, the section ends */
#define VMX_EXIT_HOST_IRQ	3	/* inside vmx/ only: the host has an interrupt to take */
int vmx_run(struct emys_vcpu *vcpu);
/*
 * Run on @to from now on: what was changed of the guest's state is written to the VMCS that
 * ran so far, and nothing is known of the new one's. [V]; in the section, or outside of
 * vmx_vmcs_get() and put.
 */
void vmx_switch(struct emys_vcpu *vcpu, struct vmx_vmcs *to);
/* Finish the last exit. May sleep. enum emys_next or -errno. */
int vmx_handle_exit(struct emys_vcpu *vcpu);

/* -- registers and events (state.c, events.c) ------------------------------ */

void vmx_get_regs(struct emys_vcpu *vcpu, struct kvm_regs *r);
void vmx_set_regs(struct emys_vcpu *vcpu, const struct kvm_regs *r);
void vmx_get_sregs(struct emys_vcpu *vcpu, struct kvm_sregs *s);
/* -EINVAL: a combination no CPU can be in (CR0, CR4, EFER, APIC base). */
int vmx_set_sregs(struct emys_vcpu *vcpu, const struct kvm_sregs *s);
/*
 * The VMM looks at registers: without KVM_CAP_EXCEPTION_PAYLOAD it is not told that an exception
 * that waits has yet to write CR2 or DR6.
 */
void vmx_events_settle(struct emys_vcpu *vcpu);
void vmx_get_events(struct emys_vcpu *vcpu, struct kvm_vcpu_events *e);
int vmx_set_events(struct emys_vcpu *vcpu, const struct kvm_vcpu_events *e);	/* -EINVAL */
void vmx_get_debugregs(struct emys_vcpu *vcpu, struct kvm_debugregs *d);
int vmx_set_debugregs(struct emys_vcpu *vcpu, const struct kvm_debugregs *d);	/* -EINVAL */
/*
 * KVM_SET_GUEST_DEBUG (debug.c). -EINVAL: a control bit not in EMYS_GUESTDBG, a DR7
 * above 32 bits, or a CPU that cannot step; -EBUSY: an event to inject, and an
 * exception waits already.
 */
#define EMYS_GUESTDBG	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | \
			 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | \
			 KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_BLOCKIRQ)
int vmx_set_guest_debug(struct emys_vcpu *vcpu, const struct kvm_guest_debug *d);
/*
 * KVM_INTERRUPT without in-kernel irqchip. -EINVAL vector, -EEXIST one is queued,
 * -ENXIO irqchip in kernel.
 */
int vmx_queue_interrupt(struct emys_vcpu *vcpu, u32 vector);
/* KVM_NMI. */
void vmx_queue_nmi(struct emys_vcpu *vcpu);
/*
 * An exception for the guest, merged with one already pending as in
 * "Interrupt 8—Double Fault Exception".
 */
void vmx_queue_exception(struct emys_vcpu *vcpu, u8 vector, bool has_error, u32 error);
void vmx_inject_gp(struct emys_vcpu *vcpu);	/* #GP(0) */
void vmx_inject_ud(struct emys_vcpu *vcpu);
void vmx_inject_pf(struct emys_vcpu *vcpu, u64 cr2, u32 error);
/* Past the instruction that exited: RIP, and vmx_insn_done(). */
void vmx_skip(struct emys_vcpu *vcpu);
/* emys has executed an instruction of the guest's: interrupt shadow, single step, L1's MTF. */
void vmx_insn_done(struct emys_vcpu *vcpu);
u64 vmx_get_rip(struct emys_vcpu *vcpu);
u64 vmx_get_rflags(struct emys_vcpu *vcpu);
u64 vmx_get_cr0(struct emys_vcpu *vcpu);
u64 vmx_get_cr3(struct emys_vcpu *vcpu);
u64 vmx_get_cr4(struct emys_vcpu *vcpu);
int vmx_get_cpl(struct emys_vcpu *vcpu);
/* Can a maskable interrupt be taken now (IF, shadow)? For ready_for_interrupt_injection and HLT. */
bool vmx_interrupt_allowed(struct emys_vcpu *vcpu);
/* Real-mode start address of SIPI. */
void vmx_sipi(struct emys_vcpu *vcpu, u8 vector);
/* EFER as EFER register: value checked; sets LMA-related controls. -EINVAL. host: from an ioctl. */
int vmx_set_efer(struct emys_vcpu *vcpu, u64 efer, bool host);

/* VMCS-backed MSRs, for msr.c. 1 = not one of them. */
int vmx_vmcs_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val);
int vmx_vmcs_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val);
/* All that may be accessed without exit, as the MSR filter is now. The vCPU's own thread. */
void vmx_pass_msrs(struct emys_vcpu *vcpu);
/* Let the guest access @msr without exit (or not), where the filter lets it. */
void vmx_msr_passthrough(struct emys_vcpu *vcpu, u32 msr, bool read, bool write);
/* tsc_offset or tsc_ratio is a new one. */
void vmx_tsc_changed(struct emys_vcpu *vcpu);
/* A value of star..tsc_aux changed: reload before entry. */
void vmx_user_msrs_changed(struct emys_vcpu *vcpu);
/* EMYS_REQ_EOIMAP: which EOIs of virtual-interrupt delivery must exit. vCPU thread. */
void vmx_eoi_map_changed(struct emys_vcpu *vcpu);
/*
 * EMYS_REQ_APICV, before vmx_apic_mode_changed(): @vcpu's APIC may have changed its mode.
 * The page that the CPU watches is in the EPT that all vCPUs share, and plain memory to one
 * whose APIC is not there (x2APIC, off, moved): it is mapped only while there is none such.
 * May sleep.
 */
void vmx_apic_access_update(struct emys_vcpu *vcpu);
/*
 * From the vCPU's next section on it runs with the VM's EPT and without having the CPU watch that
 * page, or does no longer. The vCPU's thread, also in the section.
 */
void vmx_apic_access_without(struct emys_vcpu *vcpu, bool without);
/* cpuid_update() ran: masks, controls and intercepts follow. */
void vmx_cpuid_changed(struct emys_vcpu *vcpu);

/* -- MSRs (msr.c) ----------------------------------------------------------- */

/*
 * One MSR. 0, or -ENOENT: unknown, -EPERM: reserved bits, not in this guest's CPUID: the
 * guest gets #GP or the VMM is asked, the VMM's ioctl stops there. @host: from an ioctl (more is
 * allowed: read-only values, CPUID not yet consulted). Never sleeps unless @host:
 * the run section calls it with interrupts off; what must sleep (kvmclock's page)
 * is left to a request.
 */
int msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val, bool host);
int msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host);
void msr_reset(struct emys_vcpu *vcpu, bool init);
/* KVM_GET_MSR_INDEX_LIST and KVM_GET_MSR_FEATURE_INDEX_LIST. */
extern const u32 msr_list[], msr_feature_list[];
unsigned int msr_list_nr(void);
unsigned int msr_feature_list_nr(void);
int msr_feature_read(u32 msr, u64 *val);	/* -EINVAL unknown */

/* -- CPUID (cpuid.c) --------------------------------------------------------- */

/* Fill at most @max entries of what this host can give a guest. Number, or -E2BIG. */
int cpuid_supported(struct kvm_cpuid_entry2 *e, u32 max);
/* Take ownership of @e (kvmalloc'ed). -EINVAL senseless (e.g. maxphyaddr). */
int cpuid_set(struct emys_vcpu *vcpu, struct kvm_cpuid_entry2 *e, u32 nr);
/* Recompute what depends on CR4, XCR0, XSS and APIC base (OSXSAVE, leaf 0xD sizes, APIC bit). */
void cpuid_update(struct emys_vcpu *vcpu);
/* The CPUID instruction, on vcpu->regs. Never sleeps. */
void cpuid_emulate(struct emys_vcpu *vcpu);

/* -- FPU (fpu.c) --------------------------------------------------------------- */

int fpu_init(struct emys_vcpu *vcpu);		/* -ENOMEM */
void fpu_destroy(struct emys_vcpu *vcpu);
void fpu_reset(struct emys_vcpu *vcpu);
void fpu_get_fpu(struct emys_vcpu *vcpu, struct kvm_fpu *f);
int fpu_set_fpu(struct emys_vcpu *vcpu, const struct kvm_fpu *f);	/* -EINVAL mxcsr */
void fpu_get_xsave(struct emys_vcpu *vcpu, struct kvm_xsave *x);
int fpu_set_xsave(struct emys_vcpu *vcpu, const struct kvm_xsave *x);	/* -EINVAL */
/* XSETBV by the guest (or KVM_SET_XCRS): -EINVAL → #GP. */
int fpu_set_xcr(struct emys_vcpu *vcpu, u32 index, u64 val);
/* Between kernel_fpu_begin and end, preemption off. */
void fpu_load(struct emys_vcpu *vcpu);
void fpu_save(struct emys_vcpu *vcpu);

/* -- clock (clock.c) -------------------------------------------------------------- */

#define VMX_TSC_FRACTION	48	/* bits of a TSC multiplier behind the point */

void clock_vm_init(struct emys_vm *vm);
int clock_get(struct emys_vm *vm, struct kvm_clock_data *d);
int clock_set(struct emys_vm *vm, const struct kvm_clock_data *d);	/* -EINVAL flags */
/* Guest (or host) wrote IA32_TIME_STAMP_COUNTER: matching writes of several vCPUs stay in step. */
void clock_write_tsc(struct emys_vcpu *vcpu, u64 tsc);
/* The VMM gives the offset itself, and other vCPUs may be in step with it from now on. */
void clock_give_offset(struct emys_vcpu *vcpu, u64 offset);
/* L1's TSC when the host's is @tsc. Any context. */
u64 clock_tsc_at(const struct emys_vcpu *vcpu, u64 tsc);
/* What IA32_TSC of a new vCPU is, at the VM's frequency. */
void clock_vcpu_init(struct emys_vcpu *vcpu);
/*
 * KVM_SET_TSC_KHZ, of one vCPU [V] or of those to come; 0 is the host's. -EINVAL: not the host's
 * frequency and no TSC scaling, or more than it can.
 */
int clock_set_tsc_khz(struct emys_vcpu *vcpu, u32 khz);
int clock_vm_set_tsc_khz(struct emys_vm *vm, u32 khz);
/* EMYS_REQ_CLOCK: rewrite the vCPU's pv-clock page. May sleep. */
void clock_update(struct emys_vcpu *vcpu);
/* MSR_KVM_WALL_CLOCK: write the wall-clock structure. May sleep. */
void clock_write_wall(struct emys_vcpu *vcpu);

#endif
