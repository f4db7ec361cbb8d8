/* SPDX-License-Identifier: GPL-2.0-only */
/* internal.h - what the files of nested/ share. Needs emys.h first. */
#ifndef _EMYS_NESTED_INTERNAL_H
#define _EMYS_NESTED_INTERNAL_H

#include "../vmx/internal.h"
#include "check.h"
#include "vmcs12.h"

/* "VM-Instruction Error Numbers" */
enum {
	VMXERR_VMCLEAR_ADDRESS = 2,
	VMXERR_VMCLEAR_VMXON_PTR = 3,
	VMXERR_VMLAUNCH_NOT_CLEAR = 4,
	VMXERR_VMRESUME_NOT_LAUNCHED = 5,
	VMXERR_ENTRY_CONTROLS = 7,
	VMXERR_ENTRY_HOST_STATE = 8,
	VMXERR_VMPTRLD_ADDRESS = 9,
	VMXERR_VMPTRLD_VMXON_PTR = 10,
	VMXERR_VMPTRLD_REVISION = 11,
	VMXERR_FIELD_UNSUPPORTED = 12,
	VMXERR_FIELD_READ_ONLY = 13,
	VMXERR_VMXON_IN_ROOT = 15,
	VMXERR_ENTRY_MOV_SS = 26,
	VMXERR_INV_OPERAND = 28,
};

static inline bool n12_pin(const struct vmcs12 *v, u32 bit)
{
	return v->pin_based_vm_exec_control & bit;
}

static inline bool n12_proc(const struct vmcs12 *v, u32 bit)
{
	return v->cpu_based_vm_exec_control & bit;
}

static inline bool n12_proc2(const struct vmcs12 *v, u32 bit)
{
	return vmcs12_proc2(v) & bit;
}

static inline u64 nested_cr3_target(const struct vmcs12 *v, u32 i)
{
	const u64 target[] = { v->cr3_target_value0, v->cr3_target_value1,
			       v->cr3_target_value2, v->cr3_target_value3 };

	return target[i & 3];
}

/* A control, but not of what an entry delivers: each entry looks at that. */
static inline bool nested_is_control(u32 encoding)
{
	return !(encoding >> 10 & 3) && !(encoding >= VM_ENTRY_INTR_INFO_FIELD &&
					  encoding <= VM_ENTRY_INSTRUCTION_LEN);
}

/* May it be the address of a VMCS or VMXON region? */
static inline bool nested_region_valid(const struct emys_vcpu *vcpu, u64 gpa)
{
	return !(gpa & ~PAGE_MASK) && !(gpa >> vcpu->feat.maxphyaddr);
}

/* The VMX-preemption timer counts at the TSC's rate shifted right by so much. */
static inline unsigned int nested_timer_rate(const struct nested_caps *c)
{
	return c->misc & 31;
}

/* L1's TSC, in units of that timer. */
static inline u64 nested_timer_now(const struct emys_vcpu *vcpu)
{
	return clock_tsc_at(vcpu, rdtsc()) >> nested_timer_rate(&vcpu->nested->caps);
}

/* core.c: VMX operation. on: -ENOMEM. off: L1 runs. May sleep. */
int nested_vmx_on(struct emys_vcpu *vcpu);
void nested_vmx_off(struct emys_vcpu *vcpu);
/* Do CR0 and CR4 have what VMXON wants? */
bool nested_cr0_allows_vmxon(const struct emys_vcpu *vcpu, u64 cr0);
bool nested_cr4_allows_vmxon(const struct emys_vcpu *vcpu, u64 cr4);

/* insn.c: an instruction ends so; EMYS_RESUME. Without a current VMCS each is VMfailInvalid. */
int nested_fail_invalid(struct emys_vcpu *vcpu);
int nested_fail(struct emys_vcpu *vcpu, u32 error);
/* L1's memory gets its current VMCS back, and there is none. May sleep. */
void nested_vmcs_release(struct emys_vcpu *vcpu);

/*
 * shadow.c. alloc: -ENOMEM. on, off: L1 has a current VMCS, or has no more, and vmcs12 is complete.
 * load: vmcs12 is what L1 is to see; store: vmcs12 gets what L1 wrote. L1 runs, for all of these.
 */
int nested_shadow_init(void);
void nested_shadow_exit(void);
int nested_shadow_alloc(struct nested_vcpu *n);
void nested_shadow_free(struct nested_vcpu *n);
void nested_shadow_on(struct emys_vcpu *vcpu);
void nested_shadow_off(struct emys_vcpu *vcpu);
void nested_shadow_load(struct emys_vcpu *vcpu);
void nested_shadow_store(struct emys_vcpu *vcpu);
/* Does L1 read this field without an exit? Then, after a write of emys's to vmcs12: */
bool nested_shadow_reads(const struct emys_vcpu *vcpu, u32 field);
void nested_shadow_renew(struct emys_vcpu *vcpu);

/*
 * entry.c: VMLAUNCH and VMRESUME past the first checks. EMYS_RESUME or -errno; may sleep. In the
 * section, after nested_entry_is_quick(): also VMX_EXIT_LEAVE.
 */
int nested_enter(struct emys_vcpu *vcpu, bool launch);
/* May it be done in the section, interrupts off? vmcs12 is complete then. */
bool nested_entry_is_quick(struct emys_vcpu *vcpu);
/*
 * L2 goes on as vmcs12 has it, after KVM_SET_NESTED_STATE. @pending: the entry was made and L2
 * has not run; @mtf: a monitor-trap-flag exit is due. -EINVAL: no entry would be made of it.
 */
int nested_reenter(struct emys_vcpu *vcpu, bool pending, bool mtf);

/*
 * exit.c: a VM exit from L2 to L1. Outside the section; may sleep when vmcs12 has MSR lists.
 * @intr_info, @error: of the exit's own event, 0 none.
 */
void nested_exit(struct emys_vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 error);
/* An entry that failed after the checks of controls and host state, L1 still loaded. */
void nested_entry_failed(struct emys_vcpu *vcpu, u32 reason, u64 qual);

/* vmcs12's guest-state area is what L2 is. */
void nested_save_l2(struct emys_vcpu *vcpu);
/* From vmcs02 to vmcs01. That is no exit yet: L1's state is what vmcs01 has. */
void nested_leave_l2(struct emys_vcpu *vcpu);

/*
 * rare.c. load: vmcs02 is current, and L2 will run. save: vmcs12 has it too. changes: and L1 is
 * about to write it.
 */
bool nested_is_rare(u32 encoding);
void nested_rare_load(struct emys_vcpu *vcpu);
void nested_rare_save(struct emys_vcpu *vcpu);
void nested_rare_changes(struct emys_vcpu *vcpu);

/* timer.c: has L2's TSC another rate than the host's? */
bool nested_tsc_scales(const struct emys_vcpu *vcpu);
/* load: vmcs02, which is current, is told what is left. */
void nested_timer_init(struct nested_vcpu *n);
void nested_timer_load(struct emys_vcpu *vcpu);

/* whose.c: may an exit be done with interrupts off? */
bool nested_exit_is_quick(const struct vmcs12 *v);
/* Would this exception be an exit to L1? @error: 0 when it has none. */
bool nested_exception_exits(const struct vmcs12 *v, u8 vector, u32 error);

/* msrlist.c: the lists of vmcs12. 0, or the number of the entry, from 1, that fails. May sleep. */
u32 nested_msr_load(struct emys_vcpu *vcpu, u64 gpa, u32 count, enum nested_msr_list list);
u32 nested_msr_store(struct emys_vcpu *vcpu, u64 gpa, u32 count);

/*
 * pages.c. 0; a page that vmcs12 names is no memory: -EFAULT, or -ENXIO for the APIC-access page;
 * -errno. May sleep.
 */
int nested_pages_get(struct emys_vcpu *vcpu);
void nested_pages_put(struct emys_vcpu *vcpu);
/* Are the pages that were looked up still those? Any context. */
bool nested_pages_valid(const struct emys_vcpu *vcpu);
/* Are all that vmcs12 names now held, and valid? Any context. */
bool nested_pages_held(struct emys_vcpu *vcpu);
/* vmcs02, which is current, is told of them. */
void nested_pages_load(struct emys_vcpu *vcpu);
/* vmcs02's bitmap: no exit where neither L0 nor L1 wants one, as L1's bitmap is now. */
void nested_merge_msr_bitmap(struct emys_vcpu *vcpu);
/* A bit of a bitmap; one in no memory has all bits set. */
bool nested_page_bit(const struct nested_page *p, u32 bit);
/* The task priority in the virtual-APIC page, which is held. */
u8 nested_vtpr(struct emys_vcpu *vcpu);
/* Does L1 want the exit that this access of L2's makes? The pages are held. */
bool nested_msr_exits(struct emys_vcpu *vcpu, u32 msr, bool write);
bool nested_io_exits(struct emys_vcpu *vcpu, u16 port, unsigned int size);

/* linked.c: has vmcs12 a shadow VMCS? */
bool nested_has_linked(const struct vmcs12 *v);
/* Is L2's VMREAD or VMWRITE of this an exit to L1? The pages are held. */
bool nested_field_exits(struct emys_vcpu *vcpu, u64 field, bool write);
/*
 * The shadow VMCS, to be put; NULL: no memory. In the section, when the pages are held; else may
 * sleep.
 */
struct vmcs12 *nested_linked_get(struct emys_vcpu *vcpu);
void nested_linked_put(struct emys_vcpu *vcpu, struct vmcs12 *linked);

/* insn.c: in the section, is the VMREAD or VMWRITE that exited L1's? */
bool nested_vmread_exits(struct emys_vcpu *vcpu, bool write);

/* vmfunc.c: VMFUNC of L2. As vmx_handle_exit(); may sleep. */
int nested_handle_vmfunc(struct emys_vcpu *vcpu);

/*
 * apic.c, vmcs02 current: the virtual APIC's controls of vmcs12 into it; its state, and what became
 * of that.
 */
void nested_apic_controls(struct emys_vcpu *vcpu);
void nested_apic_load(struct emys_vcpu *vcpu);
void nested_apic_save(struct emys_vcpu *vcpu, struct vmcs12 *v);
/* The APIC's MSRs in vmcs02's bitmap, whose controls are there. */
void nested_apic_msrs(struct emys_vcpu *vcpu);
/* For L1's APIC: is @vector no exit but says that something is posted? -1 is none. */
bool nested_is_notification(const struct emys_vcpu *vcpu, int vector);

/* ept02.c: the EPT02 of vmcs12's EPTP, if it has one. get: -errno. May sleep. */
int nested_ept_get(struct emys_vcpu *vcpu);
void nested_ept_put(struct emys_vcpu *vcpu);
/* vmcs02, which is current, is told of it. */
void nested_ept_load(struct emys_vcpu *vcpu);
bool nested_eptp_valid(const struct emys_vcpu *vcpu, u64 eptp);
/* An EPT violation of L2. NESTED_L0, or as vmx_handle_exit(). May sleep. */
int nested_handle_ept(struct emys_vcpu *vcpu);
/*
 * L2's physical to L1's physical, for emys's own accesses on behalf of L2. @access: GWALK_*.
 * 0; -EFAULT: not mapped, or not for this; see nested_access_exits(). May sleep.
 */
int nested_translate(struct emys_vcpu *vcpu, u64 gpa2, u32 access, u64 *gpa1);
/* 0 or -errno. May sleep. */
int nested_invept(struct emys_vcpu *vcpu, u64 type, u64 eptp);

#endif
