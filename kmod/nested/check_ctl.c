// SPDX-License-Identifier: GPL-2.0-only
/* "Checks on VMX Controls": the execution, exit and entry controls. */
#include "rule.h"

#define EPTP_MEMORY_TYPE	0x7ULL
#define EPTP_UC			0ULL
#define EPTP_WB			6ULL
#define EPTP_WALK		0x38ULL		/* levels less one */
#define EPTP_WALK_4		0x18ULL
#define EPTP_AD			0x40ULL
#define EPTP_RESERVED		0xf80ULL

const char *vmcs12_check_eptp(u64 eptp, const struct vmcs12_env *env)
{
	u64 cap = env->caps->ept_vpid;
	u64 type = eptp & EPTP_MEMORY_TYPE;
	const char *broken = NULL;

	NEED((type == EPTP_UC && cap & VMX_EPTP_UC_BIT) ||
	     (type == EPTP_WB && cap & VMX_EPTP_WB_BIT), "EPTP: the memory type is supported");
	NEED((eptp & EPTP_WALK) == EPTP_WALK_4 && cap & VMX_EPT_PAGE_WALK_4_BIT,
	     "EPTP: the length of the walk is supported");
	NEED(IMPLIES(eptp & EPTP_AD, cap & VMX_EPT_AD_BIT),
	     "EPTP: accessed and dirty flags are supported");
	NEED(!(eptp & EPTP_RESERVED), "EPTP: bits 11:7 are 0");
	NEED(phys_ok(eptp, env), "EPTP: the address is within the physical width");
	return broken;
}

/* The words of controls themselves */
static const char *check_words(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const struct nested_caps *caps = env->caps;
	const char *broken = NULL;

	NEED(nested_ctl_ok(caps->pin, v->pin_based_vm_exec_control),
	     "pin-based controls: reserved bits");
	NEED(nested_ctl_ok(caps->proc, v->cpu_based_vm_exec_control),
	     "primary processor-based controls: reserved bits");
	NEED(IMPLIES(v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
		     nested_ctl_ok(caps->proc2, v->secondary_vm_exec_control)),
	     "secondary processor-based controls: reserved bits");
	NEED(v->cr3_target_count <= nested_misc_cr3_targets(caps->misc),
	     "CR3-target count: not above what IA32_VMX_MISC says");
	return broken;
}

static const char *check_bitmaps(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 proc = v->cpu_based_vm_exec_control;
	const char *broken = NULL;

	if (proc & CPU_BASED_USE_IO_BITMAPS) {
		NEED(page_ok(v->io_bitmap_a, env), "I/O bitmap A: a page within the width");
		NEED(page_ok(v->io_bitmap_b, env), "I/O bitmap B: a page within the width");
	}
	if (proc & CPU_BASED_USE_MSR_BITMAPS)
		NEED(page_ok(v->msr_bitmap, env), "MSR bitmap: a page within the width");
	return broken;
}

#define PROC2_NEEDS_TPR	(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
			 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

/* APIC virtualization, and NMIs between, as in the manual */
static const char *check_apic(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 pin = v->pin_based_vm_exec_control;
	u32 proc = v->cpu_based_vm_exec_control;
	u32 proc2 = vmcs12_proc2(v);
	const char *broken = NULL;

	if (proc & CPU_BASED_TPR_SHADOW) {
		NEED(page_ok(v->virtual_apic_page_addr, env),
		     "virtual-APIC address: a page within the width");
		NEED(proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY || !(v->tpr_threshold >> 4),
		     "TPR threshold: bits 31:4 are 0 without virtual-interrupt delivery");
	}
	NEED(IMPLIES(pin & PIN_BASED_VIRTUAL_NMIS, pin & PIN_BASED_NMI_EXITING),
	     "virtual NMIs: with NMI exiting only");
	NEED(IMPLIES(proc & CPU_BASED_NMI_WINDOW_EXITING, pin & PIN_BASED_VIRTUAL_NMIS),
	     "NMI-window exiting: with virtual NMIs only");
	if (proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		NEED(page_ok(v->apic_access_addr, env),
		     "APIC-access address: a page within the width");
	NEED(IMPLIES(proc2 & PROC2_NEEDS_TPR, proc & CPU_BASED_TPR_SHADOW),
	     "x2APIC mode, APIC registers, virtual interrupts: with the TPR shadow only");
	NEED(IMPLIES(proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE,
		     !(proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)),
	     "virtualize x2APIC mode: not with APIC accesses virtualized");
	NEED(IMPLIES(proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY,
		     pin & PIN_BASED_EXT_INTR_MASK),
	     "virtual-interrupt delivery: with external-interrupt exiting only");
	if (pin & PIN_BASED_POSTED_INTR) {
		NEED(proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY,
		     "posted interrupts: with virtual-interrupt delivery only");
		NEED(v->vm_exit_controls & VM_EXIT_ACK_INTR_ON_EXIT,
		     "posted interrupts: with acknowledging on exit only");
		NEED(v->posted_intr_nv < 256, "posted-interrupt vector: bits 15:8 are 0");
		NEED(!(v->posted_intr_desc_addr & 0x3f),
		     "posted-interrupt descriptor: bits 5:0 of the address are 0");
		NEED(phys_ok(v->posted_intr_desc_addr, env),
		     "posted-interrupt descriptor: the address is within the width");
	}
	return broken;
}

/* Address translation, and what else the secondary controls bring */
static const char *check_secondary(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 proc2 = vmcs12_proc2(v);
	bool ept = proc2 & SECONDARY_EXEC_ENABLE_EPT;
	const char *broken = NULL;

	NEED(IMPLIES(proc2 & SECONDARY_EXEC_ENABLE_VPID, v->virtual_processor_id),
	     "VPID: not 0");
	if (ept)
		broken = broken ?: vmcs12_check_eptp(v->ept_pointer, env);
	if (proc2 & SECONDARY_EXEC_ENABLE_PML) {
		NEED(ept, "page-modification logging: with EPT only");
		NEED(page_ok(v->pml_address, env), "PML address: a page within the width");
	}
	NEED(IMPLIES(proc2 & SECONDARY_EXEC_UNRESTRICTED_GUEST, ept),
	     "unrestricted guest: with EPT only");
	if (proc2 & SECONDARY_EXEC_ENABLE_VMFUNC) {
		NEED(!(v->vm_function_control & ~env->caps->vmfunc),
		     "VM-function controls: reserved bits");
		if (v->vm_function_control & VMX_VMFUNC_EPTP_SWITCHING) {
			NEED(ept, "EPTP switching: with EPT only");
			NEED(page_ok(v->eptp_list_address, env),
			     "EPTP list: a page within the width");
		}
	}
	if (proc2 & SECONDARY_EXEC_SHADOW_VMCS) {
		NEED(page_ok(v->vmread_bitmap, env), "VMREAD bitmap: a page within the width");
		NEED(page_ok(v->vmwrite_bitmap, env), "VMWRITE bitmap: a page within the width");
	}
	/* not in the manual's list; CPUs refuse it, and nothing could be scaled back from it */
	NEED(IMPLIES(proc2 & SECONDARY_EXEC_TSC_SCALING, v->tsc_multiplier),
	     "TSC multiplier: not 0");
	return broken;
}

static bool list_ok(u64 addr, u32 count, const struct vmcs12_env *env)
{
	return !(addr & 0xf) && phys_ok(addr, env) &&
	       phys_ok(addr + count * 16ULL - 1, env);
}

static const char *check_exit(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 exit = v->vm_exit_controls;
	const char *broken = NULL;

	NEED(nested_ctl_ok(env->caps->exit, exit), "VM-exit controls: reserved bits");
	NEED(IMPLIES(exit & VM_EXIT_SAVE_VMX_PREEMPTION_TIMER,
		     v->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER),
	     "save VMX-preemption timer value: with the timer only");
	if (v->vm_exit_msr_store_count)
		NEED(list_ok(v->vm_exit_msr_store_addr, v->vm_exit_msr_store_count, env),
		     "VM-exit MSR-store list: aligned to 16, and within the width");
	if (v->vm_exit_msr_load_count)
		NEED(list_ok(v->vm_exit_msr_load_addr, v->vm_exit_msr_load_count, env),
		     "VM-exit MSR-load list: aligned to 16, and within the width");
	return broken;
}

/* Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC */
#define HAS_ERROR_CODE	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17))

#define INFO_RESERVED	0x7ffff000u

static const char *check_event(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 info = v->vm_entry_intr_info_field;
	u32 type = info & INTR_INFO_INTR_TYPE_MASK, vector = info & INTR_INFO_VECTOR_MASK;
	u32 len = v->vm_entry_instruction_len;
	bool code = info & INTR_INFO_DELIVER_CODE_MASK;
	/* real-address mode, which only an unrestricted guest can be in, has no error codes */
	bool protected = !(vmcs12_proc2(v) & SECONDARY_EXEC_UNRESTRICTED_GUEST) ||
			 v->guest_cr0 & X86_CR0_PE;
	bool wants_code = type == INTR_TYPE_HARD_EXCEPTION && protected && vector < 32 &&
			  HAS_ERROR_CODE >> vector & 1;
	const char *broken = NULL;

	NEED(type != INTR_TYPE_RESERVED, "event: type 1 is reserved");
	NEED(IMPLIES(type == INTR_TYPE_OTHER_EVENT,
		     env->caps->proc.may & CPU_BASED_MONITOR_TRAP_FLAG),
	     "event: type 7 where there is the monitor trap flag only");
	NEED(IMPLIES(type == INTR_TYPE_NMI_INTR, vector == 2), "event: the vector of an NMI is 2");
	NEED(IMPLIES(type == INTR_TYPE_HARD_EXCEPTION, vector < 32),
	     "event: the vector of an exception is below 32");
	NEED(IMPLIES(type == INTR_TYPE_OTHER_EVENT, !vector),
	     "event: the vector of type 7 is 0");
	NEED(code == wants_code, "event: an error code for the exceptions that push one only");
	NEED(!(info & INFO_RESERVED), "event: bits 30:12 are 0");
	NEED(IMPLIES(code, !(v->vm_entry_exception_error_code >> 16)),
	     "event: bits 31:16 of the error code are 0");
	if (type == INTR_TYPE_SOFT_INTR || type == INTR_TYPE_SOFT_EXCEPTION ||
	    type == INTR_TYPE_PRIV_SW_EXCEPTION)
		NEED(len <= 15 && (len || env->caps->misc & NESTED_MISC_ZERO_LEN),
		     "event: the instruction length is 1 to 15, or 0 where that is supported");
	return broken;
}

static const char *check_entry(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const char *broken = NULL;

	/* the two controls of SMM are among the reserved ones */
	NEED(nested_ctl_ok(env->caps->entry, v->vm_entry_controls),
	     "VM-entry controls: reserved bits");
	if (v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK)
		broken = broken ?: check_event(v, env);
	if (v->vm_entry_msr_load_count)
		NEED(list_ok(v->vm_entry_msr_load_addr, v->vm_entry_msr_load_count, env),
		     "VM-entry MSR-load list: aligned to 16, and within the width");
	return broken;
}

const char *vmcs12_check_controls(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	return check_words(v, env) ?: check_bitmaps(v, env) ?: check_apic(v, env) ?:
	       check_secondary(v, env) ?: check_exit(v, env) ?: check_entry(v, env);
}

const char *vmcs12_check_vtpr(const struct vmcs12 *v, u8 vtpr)
{
	u32 other = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	const char *broken = NULL;

	if (v->cpu_based_vm_exec_control & CPU_BASED_TPR_SHADOW && !(vmcs12_proc2(v) & other))
		NEED((v->tpr_threshold & 0xf) <= vtpr >> 4,
		     "TPR threshold: not above bits 7:4 of the virtual TPR");
	return broken;
}
