// SPDX-License-Identifier: GPL-2.0-only
/* An exit of L2: is it L0's or L1's? SDM volume 3, "Instructions That Cause VM Exits" and after. */
#include <asm/trapnr.h>

#include "../emys.h"
#include "internal.h"

bool nested_exception_exits(const struct vmcs12 *v, u8 vector, u32 error)
{
	bool bit = v->exception_bitmap & BIT(vector);

	if (vector != X86_TRAP_PF)
		return bit;
	/* "Page faults" and the two fields for them: a mismatch inverts the bit. */
	if ((error & v->page_fault_error_code_mask) == v->page_fault_error_code_match)
		return bit;
	return !bit;
}

static bool exception_is_l1s(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	struct vmx_exit *e = &vcpu->vmx.exit;
	u32 info;

	if (vcpu->vmx.in_section) {
		e->intr_info = vmcs_read32(VM_EXIT_INTR_INFO);
		e->intr_error = vmcs_read32(VM_EXIT_INTR_ERROR_CODE);
	}
	info = e->intr_info;
	/* The host's. One for L1 comes by way of its APIC. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return false;
	if ((info & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC)
		return false;
	if ((info & INTR_INFO_VECTOR_MASK) == X86_TRAP_DB && vcpu->debug.control)
		return false;
	if ((info & INTR_INFO_VECTOR_MASK) == X86_TRAP_BP &&
	    (vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP))
		return false;
	return nested_exception_exits(v, info & INTR_INFO_VECTOR_MASK, e->intr_error);
}

static bool cr_write_exits(struct emys_vcpu *vcpu, const struct vmcs12 *v, u64 qual)
{
	u64 val = vmx_gpr(vcpu, qual >> 8 & 15);
	u32 i;

	if (!vmx_is_64bit(vcpu))
		val = (u32)val;
	switch (qual & 15) {
	case 0:
		return (val ^ v->cr0_read_shadow) & v->cr0_guest_host_mask;
	case 3:
		if (!n12_proc(v, CPU_BASED_CR3_LOAD_EXITING))
			return false;
		for (i = 0; i < v->cr3_target_count; i++)
			if (nested_cr3_target(v, i) == val)
				return false;
		return true;
	case 4:
		return (val ^ v->cr4_read_shadow) & v->cr4_guest_host_mask;
	case 8:
		return n12_proc(v, CPU_BASED_CR8_LOAD_EXITING);
	}
	return false;
}

static bool cr_is_l1s(struct emys_vcpu *vcpu, const struct vmcs12 *v, u64 qual)
{
	u64 msw, diff;

	switch (qual >> 4 & 3) {
	case 0:
		return cr_write_exits(vcpu, v, qual);
	case 1:
		return n12_proc(v, (qual & 15) == 3 ? CPU_BASED_CR3_STORE_EXITING :
						      CPU_BASED_CR8_STORE_EXITING);
	case 2:			/* CLTS */
		return (v->cr0_guest_host_mask & X86_CR0_TS) && (v->cr0_read_shadow & X86_CR0_TS);
	default:		/* LMSW: PE can be set, not cleared */
		msw = qual >> 16 & 15;
		diff = (msw ^ v->cr0_read_shadow) & v->cr0_guest_host_mask & 15;
		if (!(msw & X86_CR0_PE))
			diff &= ~(u64)X86_CR0_PE;
		return diff;
	}
}

/*
 * Those that are always L1's when they happen in L2, those never, and those that a control of
 * vmcs12 decides.
 */
static bool is_l1s(struct emys_vcpu *vcpu, u32 reason, u64 qual)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		return exception_is_l1s(vcpu, v);
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_MCE_DURING_VMENTRY:
	case EXIT_REASON_EPT_VIOLATION:		/* nested_handle_ept() tells */
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_PML_FULL:
	case EXIT_REASON_ENCLS:
		return false;
	case EXIT_REASON_INTERRUPT_WINDOW:
		return n12_proc(v, CPU_BASED_INTR_WINDOW_EXITING);
	case EXIT_REASON_NMI_WINDOW:
		return n12_proc(v, CPU_BASED_NMI_WINDOW_EXITING);
	case EXIT_REASON_HLT:
		return n12_proc(v, CPU_BASED_HLT_EXITING);
	case EXIT_REASON_INVLPG:
		return n12_proc(v, CPU_BASED_INVLPG_EXITING);
	case EXIT_REASON_RDPMC:
		return n12_proc(v, CPU_BASED_RDPMC_EXITING);
	case EXIT_REASON_RDTSC:
	case EXIT_REASON_RDTSCP:
		return n12_proc(v, CPU_BASED_RDTSC_EXITING);
	case EXIT_REASON_CR_ACCESS:
		return cr_is_l1s(vcpu, v, qual);
	case EXIT_REASON_DR_ACCESS:
		return n12_proc(v, CPU_BASED_MOV_DR_EXITING);
	case EXIT_REASON_IO_INSTRUCTION:
		return nested_io_exits(vcpu, qual >> 16, (qual & 7) + 1);
	case EXIT_REASON_MSR_READ:
		return nested_msr_exits(vcpu, vcpu->regs[1], false);
	case EXIT_REASON_MSR_WRITE:
		return nested_msr_exits(vcpu, vcpu->regs[1], true);
	case EXIT_REASON_MWAIT_INSTRUCTION:
		return n12_proc(v, CPU_BASED_MWAIT_EXITING);
	case EXIT_REASON_MONITOR_INSTRUCTION:
		return n12_proc(v, CPU_BASED_MONITOR_EXITING);
	case EXIT_REASON_MONITOR_TRAP_FLAG:
		/* Without the control it was injected, or is of KVM_SET_GUEST_DEBUG. */
		return n12_proc(v, CPU_BASED_MONITOR_TRAP_FLAG) || !vcpu->debug.control;
	case EXIT_REASON_PAUSE_INSTRUCTION:
		/* Loops of pauses are L0's: L1 is not offered an exit for them. */
		return n12_proc(v, CPU_BASED_PAUSE_EXITING);
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
		return n12_proc(v, CPU_BASED_TPR_SHADOW);
	case EXIT_REASON_APIC_ACCESS:
		return n12_proc2(v, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	case EXIT_REASON_WBINVD:
		return n12_proc2(v, SECONDARY_EXEC_WBINVD_EXITING);
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		return n12_proc2(v, SECONDARY_EXEC_DESC);
	case EXIT_REASON_INVPCID:
		return n12_proc2(v, SECONDARY_EXEC_ENABLE_INVPCID) &&
		       n12_proc(v, CPU_BASED_INVLPG_EXITING);
	case EXIT_REASON_RDRAND:
		return n12_proc2(v, SECONDARY_EXEC_RDRAND_EXITING);
	case EXIT_REASON_RDSEED:
		return n12_proc2(v, SECONDARY_EXEC_RDSEED_EXITING);
	case EXIT_REASON_XSAVES:
	case EXIT_REASON_XRSTORS:
		return n12_proc2(v, SECONDARY_EXEC_XSAVES);
	case EXIT_REASON_VMREAD:
		return nested_vmread_exits(vcpu, false);
	case EXIT_REASON_VMWRITE:
		return nested_vmread_exits(vcpu, true);
	case EXIT_REASON_PREEMPTION_TIMER:
		return n12_pin(v, PIN_BASED_VMX_PREEMPTION_TIMER);
	}
	/* CPUID, GETSEC, INVD, XSETBV, task switch, triple fault, other VMX instructions. */
	return true;
}

/* Of the exits that have none the field is undefined; zero tells nothing. */
static u64 qualification(struct emys_vcpu *vcpu)
{
	return vcpu->vmx.in_section ? vmcs_readl(EXIT_QUALIFICATION) : vcpu->vmx.exit.qual;
}

/* "Blocking by NMI" of an IRET that the exit cut short is in vmcs12's bit too. */
static void reflect(struct emys_vcpu *vcpu, u32 reason, u64 qual)
{
	u32 info = 0, error = 0;

	if (reason == EXIT_REASON_EXCEPTION_NMI) {
		info = vcpu->vmx.exit.intr_info;
		error = info & INTR_INFO_DELIVER_CODE_MASK ? vcpu->vmx.exit.intr_error : 0;
	}
	nested_exit(vcpu, reason, qual, info, error);
}

/* May it be done with interrupts off? */
bool nested_exit_is_quick(const struct vmcs12 *v)
{
	return !v->vm_exit_msr_store_count && !v->vm_exit_msr_load_count &&
	       (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE);
}

int nested_fast_exit(struct emys_vcpu *vcpu, u32 reason)
{
	struct nested_vcpu *n = vcpu->nested;
	u64 qual;

	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		return NESTED_L0;
	if (reason == EXIT_REASON_VMFUNC)
		return VMX_EXIT_PENDING;
	qual = vmcs_readl(EXIT_QUALIFICATION);
	if (!is_l1s(vcpu, reason, qual))
		return NESTED_L0;
	n->reflect = true;
	if (!nested_exit_is_quick(n->v12)) {
		n->reflect_tsc = rdtsc();
		return VMX_EXIT_PENDING;
	}
	n->reflect = false;
	reflect(vcpu, reason, qual);
	return EMYS_RESUME;
}

int nested_slow_exit(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	u32 reason = vcpu->vmx.exit.reason;
	int next = NESTED_L0;

	if (n->reflect) {
		n->reflect = false;
		reflect(vcpu, reason, qualification(vcpu));
		n->reflect_tsc = 0;
		return EMYS_RESUME;
	}
	/* The checks of vmcs12 let pass what the CPU does not. */
	if (reason & EMYS_EXIT_REASON_FAILED) {
		if ((u16)reason == 0xffff)
			return NESTED_L0;
		/* It has run: the state is the VMM's, and there is no entry of L1's to fail. */
		if (!n->entry_pending) {
			nested_triple_fault(vcpu);
			return EMYS_RESUME;
		}
		nested_entry_failed(vcpu, (u16)reason, vcpu->vmx.exit.qual);
		return EMYS_RESUME;
	}
	if (reason == EXIT_REASON_EPT_VIOLATION || reason == EXIT_REASON_EPT_MISCONFIG)
		next = nested_handle_ept(vcpu);
	else if (reason == EXIT_REASON_VMFUNC)
		next = nested_handle_vmfunc(vcpu);
	/* What became L1's was counted by nested_exit(). */
	if (vcpu->vmx.l2)
		vmx_count_exit(&vcpu->stats.nested_slow_other, reason);
	return next;
}
