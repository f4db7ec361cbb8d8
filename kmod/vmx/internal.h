/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * internal.h - what the files of vmx/ share: lazy reads of the current VMCS,
 * exit handlers, events. Needs emys.h first.
 */
#ifndef _EMYS_VMX_INTERNAL_H
#define _EMYS_VMX_INTERNAL_H

#include <linux/bits.h>
#include <linux/types.h>

#include "vmcs.h"

/*
 * Make the vCPU's VMCS current outside the section, for a few field accesses:
 * interrupts are off until put. Nests, also inside the section. [V] held.
 * When VMX operation cannot be had the VM is marked broken, and reads give 0.
 */
void vmx_vmcs_load(struct emys_vcpu *vcpu);
void vmx_vmcs_unload(struct emys_vcpu *vcpu);

static inline void vmx_vmcs_get(struct emys_vcpu *vcpu)
{
	if (!vcpu->vmx.nest++)
		vmx_vmcs_load(vcpu);
}

static inline void vmx_vmcs_put(struct emys_vcpu *vcpu)
{
	if (!--vcpu->vmx.nest)
		vmx_vmcs_unload(vcpu);
}

/* Has L1 the monitor trap flag on? What emys executes for L2 is a boundary then: nested_trap(). */
static inline bool vmx_l1_traps(const struct emys_vcpu *vcpu)
{
	return vcpu->vmx.cur->exec_keep & CPU_BASED_MONITOR_TRAP_FLAG;
}

/* Parts of the vCPU's state that were read since the last exit: vmx.avail. */
#define VMX_AV_RIP	BIT(0)
#define VMX_AV_RSP	BIT(1)
#define VMX_AV_RFLAGS	BIT(2)
#define VMX_AV_CR0	BIT(3)
#define VMX_AV_CR3	BIT(4)
#define VMX_AV_CR4	BIT(5)
#define VMX_AV_CS	BIT(6)	/* cs_base, cs_ar */
#define VMX_AV_SS	BIT(7)	/* ss_ar */
#define VMX_AV_INTR	BIT(8)	/* intr_shadow */

/* To be written before the next entry: vmx.dirty, same bits. */

/* SDM volume 3, "Sub-Page Write Permissions": without names in <asm/vmx.h> */
#define SECONDARY_EXEC_SPP	BIT(23)
#define VMCS_SPPTP		0x2030
#define EXIT_REASON_SPP		66

/* Segments in the order of the VMCS fields. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR };

/* CR0 bits a guest may change without exit. */
#define VMX_CR0_OWNED	(X86_CR0_WP | X86_CR0_AM | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS)
/* CR4 bits a guest may change without exit, where its CPUID has them. */
#define VMX_CR4_OWNED	(X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PCE | X86_CR4_PGE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

/*
 * Exceptions that must exit. #DB and #AC loop in microcode when their delivery faults the same
 * way again, or a guest could hold the CPU for ever; a machine check is the host's.
 */
#define VMX_EXCEPTIONS	(BIT(1) | BIT(17) | BIT(18))

/* EFER bits emys knows; a guest gets those of its CPUID. */
#define VMX_EFER_BITS	((u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))

/* The class (stats.h) of each basic exit reason; those above have none. */
#define VMX_EXIT_CLASSES	(EXIT_REASON_XRSTORS + 1)
extern const u8 vmx_exit_classes[VMX_EXIT_CLASSES];

/* @first: the counter of the first class, as stats.exit_other. */
static inline void vmx_count_exit(u64 *first, u32 reason)
{
	first[likely(reason < VMX_EXIT_CLASSES) ? vmx_exit_classes[reason] : EMYS_EXIT_other]++;
}

void vmx_fill(struct emys_vcpu *vcpu, u32 bits);
#define vmx_need(vcpu, bits)						\
	do {								\
		if ((~(vcpu)->vmx.avail) & (bits))			\
			vmx_fill(vcpu, bits);				\
	} while (0)

/*
 * The part that every skipped instruction needs, read without a call while the
 * VMCS is current.
 */
static __always_inline u64 vmx_rip(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (!(vmx->avail & VMX_AV_RIP)) {
		if (!vmx->in_section) {
			vmx_fill(vcpu, VMX_AV_RIP);
		} else {
			vmx->rip = vmcs_readl(GUEST_RIP);
			vmx->avail |= VMX_AV_RIP;
		}
	}
	return vmx->rip;
}

static __always_inline void vmx_set_rip(struct emys_vcpu *vcpu, u64 rip)
{
	vcpu->vmx.rip = rip;
	vcpu->vmx.avail |= VMX_AV_RIP;
	vcpu->vmx.dirty |= VMX_AV_RIP;
}

static __always_inline u64 vmx_rflags(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (!(vmx->avail & VMX_AV_RFLAGS)) {
		if (!vmx->in_section) {
			vmx_fill(vcpu, VMX_AV_RFLAGS);
		} else {
			vmx->rflags = vmcs_readl(GUEST_RFLAGS);
			vmx->avail |= VMX_AV_RFLAGS;
		}
	}
	return vmx->rflags;
}

static __always_inline u32 vmx_intr_shadow(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (!(vmx->avail & VMX_AV_INTR)) {
		if (!vmx->in_section) {
			vmx_fill(vcpu, VMX_AV_INTR);
		} else {
			vmx->intr_shadow = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
			vmx->avail |= VMX_AV_INTR;
		}
	}
	return vmx->intr_shadow;
}

static __always_inline u32 vmx_ss_ar(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (!(vmx->avail & VMX_AV_SS)) {
		if (!vmx->in_section) {
			vmx_fill(vcpu, VMX_AV_SS);
		} else {
			vmx->ss_ar = vmcs_read32(GUEST_SS_AR_BYTES);
			vmx->avail |= VMX_AV_SS;
		}
	}
	return vmx->ss_ar;
}

void vmx_set_rflags(struct emys_vcpu *vcpu, u64 rflags);
static inline u64 vmx_gpr(struct emys_vcpu *vcpu, unsigned int reg)
{
	if (reg == 4)
		vmx_need(vcpu, VMX_AV_RSP);
	return vcpu->regs[reg & 15];
}

static inline void vmx_set_gpr(struct emys_vcpu *vcpu, unsigned int reg, u64 val)
{
	vcpu->regs[reg & 15] = val;
	if (reg == 4) {
		vcpu->vmx.avail |= VMX_AV_RSP;
		vcpu->vmx.dirty |= VMX_AV_RSP;
	}
}

/* The guest runs 64-bit code (CS.L in IA-32e mode). */
bool vmx_is_64bit(struct emys_vcpu *vcpu);

/* run.c: a vCPU goes. Another one at its address is another one. */
void vmx_forget_vcpu(const struct emys_vcpu *vcpu);

/* vmcs.c */
int vmx_vpid_init(void);
void vmx_vpid_exit(void);
u64 vmx_eptp(struct emys_vcpu *vcpu);
/* A VMCS region, its MSR bitmap (all exits) and VPID. May sleep. -ENOMEM: nothing is kept. */
int vmx_vmcs_alloc(struct vmx_vmcs *vmcs);
/* Give it the controls and host state that no guest changes. Outside vmx_vmcs_get() and put. */
void vmx_vmcs_setup(struct emys_vcpu *vcpu, struct vmx_vmcs *vmcs);
/* Of one that is not loaded anywhere; none at all is fine. */
void vmx_vmcs_free(struct vmx_vmcs *vmcs);
void vmx_exec_update(struct emys_vcpu *vcpu, u32 set, u32 clear);
void vmx_exec2_update(struct emys_vcpu *vcpu, u32 set, u32 clear);

/* events.c: interrupts off, VMCS current. */
void vmx_events_before_entry(struct emys_vcpu *vcpu);
void vmx_events_after_exit(struct emys_vcpu *vcpu);
/*
 * The instruction that exited will run again. If it was an IRET that ended the blocking of
 * NMIs, they are blocked again. @info: the field of the exit that has INTR_INFO_UNBLOCK_NMI.
 */
void vmx_events_runs_again(struct emys_vcpu *vcpu, u64 info);
/*
 * exits.c: inside the section. EMYS_RESUME = finished, enter again; else the section
 * ends: VMX_EXIT_PENDING = vmx_handle_exit() goes on, VMX_EXIT_LEAVE = finished,
 * VMX_EXIT_HOST_IRQ.
 */
int vmx_fast_exit(struct emys_vcpu *vcpu, u32 reason);
/* RDMSR and WRMSR. */
int vmx_fast_rdmsr(struct emys_vcpu *vcpu);
int vmx_fast_wrmsr(struct emys_vcpu *vcpu);
int vmx_handle_msr(struct emys_vcpu *vcpu);
/* Fill kvm_run with KVM_EXIT_INTERNAL_ERROR. EMYS_USER. */
int vmx_internal_error(struct emys_vcpu *vcpu, u32 suberror);

/* cr.c. 0 or -EINVAL (→ #GP) for the values; set_cr0/4 may need PDPTEs: may sleep. */
int vmx_set_cr0(struct emys_vcpu *vcpu, u64 cr0);
int vmx_set_cr3(struct emys_vcpu *vcpu, u64 cr3);
int vmx_set_cr4(struct emys_vcpu *vcpu, u64 cr4);
void vmx_write_cr0(struct emys_vcpu *vcpu, u64 cr0);
void vmx_write_cr4(struct emys_vcpu *vcpu, u64 cr4);
bool vmx_cr4_valid(struct emys_vcpu *vcpu, u64 cr4);
int vmx_load_pdptrs(struct emys_vcpu *vcpu, u64 cr3);
int vmx_handle_cr(struct emys_vcpu *vcpu);
int vmx_handle_dr(struct emys_vcpu *vcpu);
void vmx_dr_load(struct emys_vcpu *vcpu);
void vmx_dr_save(struct emys_vcpu *vcpu);

/* The guest's DR7, its fixed bits put right. */
void vmx_set_dr7(struct emys_vcpu *vcpu, u64 dr7);

/* debug.c: exceptions that exit, whatever an L1 wants of its L2. */
u32 vmx_exceptions(const struct emys_vcpu *vcpu);
/* With vcpu->debug.control only; VMCS current but in vmx_handle_debug(). */
bool vmx_debug_before_entry(struct emys_vcpu *vcpu, bool busy);
/* Is the #DB that exited the debugger's? @qual: its exit qualification. */
bool vmx_debug_takes_db(struct emys_vcpu *vcpu, u64 qual);
/* The guest gets a #DB: DR6 has @bits of it, and DR7.GD is off. */
void vmx_debug_report(struct emys_vcpu *vcpu, u64 bits);
int vmx_debug_mov_dr(struct emys_vcpu *vcpu);
int vmx_handle_debug(struct emys_vcpu *vcpu);

/* io.c, mmio.c */
int vmx_fast_io(struct emys_vcpu *vcpu);
int vmx_handle_io(struct emys_vcpu *vcpu);
int vmx_handle_mmio(struct emys_vcpu *vcpu, u64 gpa);
int vmx_handle_apic_access(struct emys_vcpu *vcpu);

/* task.c */
int vmx_handle_task_switch(struct emys_vcpu *vcpu);

/* state.c */
void vmx_get_segment(struct emys_vcpu *vcpu, int seg, struct kvm_segment *s);
void vmx_set_segment(struct emys_vcpu *vcpu, int seg, const struct kvm_segment *s);

#endif
