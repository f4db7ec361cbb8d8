// SPDX-License-Identifier: GPL-2.0-only
/* A VM exit from L2 to L1: state saved to vmcs12, host state loaded. SDM volume 3, "VM Exits". */
#include "../emys.h"
#include "../trace.h"
#include "internal.h"

/* -- L2's state into vmcs12 ------------------------------------------------------------------ */

static void save_controls(struct emys_vcpu *vcpu, struct vmcs12 *v)
{
	struct nested_vcpu *n = vcpu->nested;
	u64 now;

	if (vcpu->msrs.efer & EFER_LMA)
		v->vm_entry_controls |= VM_ENTRY_IA32E_MODE;
	else
		v->vm_entry_controls &= ~VM_ENTRY_IA32E_MODE;
	if (!(v->vm_exit_controls & VM_EXIT_SAVE_VMX_PREEMPTION_TIMER) || !n->timer_on)
		return;
	now = nested_timer_now(vcpu);
	v->vmx_preemption_timer_value = now < n->timer_deadline ? n->timer_deadline - now : 0;
}

static u32 activity(const struct emys_vcpu *vcpu)
{
	switch (vcpu->mp_state) {
	case KVM_MP_STATE_HALTED:
		return GUEST_ACTIVITY_HLT;
	case KVM_MP_STATE_INIT_RECEIVED:
		return GUEST_ACTIVITY_WAIT_SIPI;
	default:
		return GUEST_ACTIVITY_ACTIVE;
	}
}

static void save_guest(struct emys_vcpu *vcpu, struct vmcs12 *v)
{
	vmx_need(vcpu, VMX_AV_CR0 | VMX_AV_CR3 | VMX_AV_CR4 | VMX_AV_RSP);
	v->guest_cs_ar_bytes = vmcs_read32(GUEST_CS_AR_BYTES);
	v->guest_ss_ar_bytes = vmcs_read32(GUEST_SS_AR_BYTES);
	v->guest_pending_dbg_exceptions = vmcs_readl(GUEST_PENDING_DBG_EXCEPTIONS);
	v->guest_cr0 = vmx_get_cr0(vcpu);
	v->guest_cr3 = vmx_get_cr3(vcpu);
	v->guest_cr4 = vmx_get_cr4(vcpu);
	v->guest_rip = vmx_rip(vcpu);
	v->guest_rsp = vmx_gpr(vcpu, 4);
	v->guest_rflags = vmx_rflags(vcpu);
	v->guest_interruptibility_info = vmx_intr_shadow(vcpu);
	v->guest_activity_state = activity(vcpu);
	save_controls(vcpu, v);
	nested_apic_save(vcpu, v);
	if ((vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_EPT) && vmcs12_pae(v)) {
		v->guest_pdptr0 = vmcs_read64(GUEST_PDPTR0);
		v->guest_pdptr1 = vmcs_read64(GUEST_PDPTR1);
		v->guest_pdptr2 = vmcs_read64(GUEST_PDPTR2);
		v->guest_pdptr3 = vmcs_read64(GUEST_PDPTR3);
	}
	if (v->vm_exit_controls & VM_EXIT_SAVE_DEBUG_CONTROLS) {
		v->guest_dr7 = vcpu->dr.dr7;
		v->guest_ia32_debugctl = vmcs_read64(GUEST_IA32_DEBUGCTL);
	}
	if (v->vm_exit_controls & VM_EXIT_SAVE_IA32_EFER)
		v->guest_ia32_efer = vcpu->msrs.efer;
	if (v->vm_exit_controls & VM_EXIT_SAVE_IA32_PAT)
		v->guest_ia32_pat = vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT ?
				    vmcs_read64(GUEST_IA32_PAT) : vcpu->msrs.pat;
}

void nested_save_l2(struct emys_vcpu *vcpu)
{
	vmx_vmcs_get(vcpu);
	if (!vcpu->vmx.dr_wanted)
		vcpu->dr.dr7 = vmcs_readl(GUEST_DR7);
	save_guest(vcpu, vcpu->nested->v12);
	/* What the CPU ran with is what it can run with. */
	vcpu->nested->rules &= ~(u32)VMCS12_RULES_GUEST;
	vmx_vmcs_put(vcpu);
}

/* What of the exit's information the CPU left in vmcs02; after the section it was copied. */
static void save_information(struct emys_vcpu *vcpu, struct vmcs12 *v)
{
	const struct vmx_exit *e = &vcpu->vmx.exit;

	if (vcpu->vmx.in_section) {
		v->vm_exit_instruction_len = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
		v->vmx_instruction_info = vmcs_read32(VMX_INSTRUCTION_INFO);
		v->guest_linear_address = vmcs_readl(GUEST_LINEAR_ADDRESS);
		v->guest_physical_address = vmcs_read64(GUEST_PHYSICAL_ADDRESS);
	} else {
		v->vm_exit_instruction_len = e->insn_len;
		v->vmx_instruction_info = e->insn_info;
		v->guest_linear_address = e->gla;
		v->guest_physical_address = e->gpa;
	}
	v->idt_vectoring_info_field = e->idt_info;
	v->idt_vectoring_error_code = e->idt_info & VECTORING_INFO_DELIVER_CODE_MASK ?
				      e->idt_error : 0;
}

/* -- L1's state from vmcs12's host-state area ------------------------------------------------ */

#define AR_UNUSABLE	BIT(16)
#define AR_DATA		0xc093		/* present, writable, accessed, 32-bit, in pages */
#define AR_CODE64	0xa09b
#define AR_CODE32	0xc09b
#define AR_TSS		0x8b

static __always_inline void write_segment(int seg, u16 selector, u64 base, u32 ar)
{
	__vmcs_write(GUEST_ES_SELECTOR + 2 * seg, selector);
	__vmcs_write(GUEST_ES_BASE + 2 * seg, base);
	__vmcs_write(GUEST_ES_LIMIT + 2 * seg, seg == SEG_TR ? 0x67 : 0xffffffff);
	__vmcs_write(GUEST_ES_AR_BYTES + 2 * seg, ar);
}

static u32 data_ar(u16 selector)
{
	return selector ? AR_DATA : AR_UNUSABLE | AR_DATA;
}

static void load_host_segments(const struct vmcs12 *v, bool wide)
{
	write_segment(SEG_CS, v->host_cs_selector, 0, wide ? AR_CODE64 : AR_CODE32);
	write_segment(SEG_SS, v->host_ss_selector, 0, data_ar(v->host_ss_selector));
	write_segment(SEG_DS, v->host_ds_selector, 0, data_ar(v->host_ds_selector));
	write_segment(SEG_ES, v->host_es_selector, 0, data_ar(v->host_es_selector));
	write_segment(SEG_FS, v->host_fs_selector, v->host_fs_base, data_ar(v->host_fs_selector));
	write_segment(SEG_GS, v->host_gs_selector, v->host_gs_base, data_ar(v->host_gs_selector));
	write_segment(SEG_TR, v->host_tr_selector, v->host_tr_base, AR_TSS);
	write_segment(SEG_LDTR, 0, 0, AR_UNUSABLE);
	vmcs_writel(GUEST_GDTR_BASE, v->host_gdtr_base);
	vmcs_write32(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_writel(GUEST_IDTR_BASE, v->host_idtr_base);
	vmcs_write32(GUEST_IDTR_LIMIT, 0xffff);
}

static void load_host_crs(struct emys_vcpu *vcpu, const struct vmcs12 *v, u64 cr0, bool wide)
{
	const u64 kept = X86_CR0_CD | X86_CR0_NW;
	u64 efer = vcpu->msrs.efer, cr4 = v->host_cr4;

	if (v->vm_exit_controls & VM_EXIT_LOAD_IA32_EFER)
		efer = v->host_ia32_efer;
	else if (wide)
		efer |= EFER_LMA | EFER_LME;
	else
		efer &= ~(u64)(EFER_LMA | EFER_LME);
	vcpu->msrs.efer = efer;
	if (wide)
		cr4 |= X86_CR4_PAE;
	else
		cr4 &= ~X86_CR4_PCIDE;
	vmx_write_cr4(vcpu, cr4);
	vmx_write_cr0(vcpu, (v->host_cr0 & ~kept) | (cr0 & kept));
	vmcs_writel(GUEST_CR3, v->host_cr3);
	vcpu->vmx.cr3 = v->host_cr3;
	vcpu->vmx.avail |= VMX_AV_CR3;
}

/* L1 goes on at its VM-exit handler. vmcs01 is the one that runs. @cr0: of L2. */
static void load_host(struct emys_vcpu *vcpu, const struct vmcs12 *v, u64 cr0)
{
	bool wide = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 efer = vcpu->msrs.efer;

	load_host_segments(v, wide);
	load_host_crs(vcpu, v, cr0, wide);
	vmcs_write32(GUEST_SYSENTER_CS, v->host_ia32_sysenter_cs);
	vmcs_writel(GUEST_SYSENTER_ESP, v->host_ia32_sysenter_esp);
	vmcs_writel(GUEST_SYSENTER_EIP, v->host_ia32_sysenter_eip);
	vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write64(GUEST_IA32_DEBUGCTL, 0);
	vmx_set_dr7(vcpu, 0x400);
	if (v->vm_exit_controls & VM_EXIT_LOAD_IA32_PAT)
		vcpu->msrs.pat = v->host_ia32_pat;
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT)
		vmcs_write64(GUEST_IA32_PAT, vcpu->msrs.pat);
	vmx_set_rip(vcpu, v->host_rip);
	vmx_set_gpr(vcpu, 4, v->host_rsp);
	vmx_set_rflags(vcpu, X86_EFLAGS_FIXED);
	/* Without virtual NMIs it is L1's own NMIs that L2 had blocked, or not. */
	vmx_intr_shadow(vcpu);
	vmx->intr_shadow &= GUEST_INTR_STATE_NMI;
	vmx->dirty |= VMX_AV_INTR;
	/* No VPID of its own: the exit left nothing in the TLB. */
	if (!(vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_VPID))
		vmx->vmcs01.tlb_cpu = -1;
	if ((efer ^ vcpu->msrs.efer) & EFER_SCE)
		vmx_user_msrs_changed(vcpu);
}

/* What was on its way to L2 and is told in vmcs12, or belongs to nobody any more. */
static void forget_events(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;

	ev->exception.pending = false;
	ev->exception.injected = false;
	ev->interrupt.injected = false;
	ev->nmi_injected = false;
	vcpu->vmx.inject_raw = false;
	vcpu->vmx.injected = false;
}

/* What changed of L1's while L2 ran, and is in vmcs01. */
static void catch_up(struct emys_vcpu *vcpu)
{
	if (vcpu->vmx.tsc_moved)
		vmx_tsc_changed(vcpu);
	if (unlikely(vcpu->nested->debug_changed)) {
		vmx_vmcs_get(vcpu);
		vmcs_write32(EXCEPTION_BITMAP, vmx_exceptions(vcpu));
		vmx_vmcs_put(vcpu);
		vcpu->nested->debug_changed = false;
	}
}

static void resume_apic(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	/* What changed of L1's APIC meanwhile shows in vmcs01 from now on. */
	if (n->apic_changed) {
		n->apic_changed = false;
		emys_vcpu_request(vcpu, EMYS_REQ_APICV);
		emys_vcpu_request(vcpu, EMYS_REQ_EOIMAP);
	}
}

void nested_leave_l2(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	vmx_vmcs_get(vcpu);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmx_vmcs_put(vcpu);
	forget_events(vcpu);
	if (vcpu->vmx.dr_loaded)
		vmx_dr_save(vcpu);
	vmx_switch(vcpu, &vcpu->vmx.vmcs01);
	vcpu->vmx.l2 = false;
	vcpu->gpa_map = NULL;
	vcpu->vmx.cr0_l1.mask = 0;
	vcpu->vmx.cr0_l1.shadow = 0;
	vcpu->vmx.cr4_l1.mask = 0;
	vcpu->vmx.cr4_l1.shadow = 0;
	n->entry_pending = false;
	n->mtf_due = false;
	n->timer_on = false;
	catch_up(vcpu);
	resume_apic(vcpu);
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu->vmx.events_check = true;
}

/* "VMX Aborts": L1's CPU is shut down. */
static void vmx_abort(struct emys_vcpu *vcpu, u32 indicator)
{
	struct nested_vcpu *n = vcpu->nested;

	n->v12->abort = indicator;
	mem_write(vcpu->vm, n->ptr + offsetof(struct vmcs12, abort), &indicator, sizeof(indicator));
	vcpu->vmx.shutdown = true;
}

/* vmcs01 runs; load L1, and do what may sleep last. */
static void arrive(struct emys_vcpu *vcpu, struct vmcs12 *v, u64 cr0, bool nmi)
{
	nested_shadow_load(vcpu);
	vmx_vmcs_get(vcpu);
	load_host(vcpu, v, cr0);
	if (nmi)
		vcpu->vmx.intr_shadow |= GUEST_INTR_STATE_NMI;
	vmx_vmcs_put(vcpu);
	/* L1's memory may have to be waited for; its host is 64-bit where that cannot be. */
	if (!(v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE) &&
	    (v->host_cr4 & X86_CR4_PAE) && vmx_load_pdptrs(vcpu, v->host_cr3)) {
		vmx_abort(vcpu, 2);
		return;
	}
	/* L2's is nobody's business: its CPUID is an exit to L1. */
	if (vcpu->vmx.cpuid_osxsave != !!(v->host_cr4 & X86_CR4_OSXSAVE))
		cpuid_update(vcpu);
	if (v->vm_exit_msr_load_count &&
	    nested_msr_load(vcpu, v->vm_exit_msr_load_addr, v->vm_exit_msr_load_count,
			    NESTED_MSR_EXIT_LOAD))
		vmx_abort(vcpu, 4);
}

void nested_exit(struct emys_vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 error)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmcs12 *v = n->v12;
	bool nmi = reason == EXIT_REASON_EXCEPTION_NMI &&
		   (intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR;
	bool own_nmi = !n12_pin(v, PIN_BASED_VIRTUAL_NMIS);
	u64 cr0;

	/* DR7 of L2, from the CPU if it is there. */
	if (vcpu->vmx.dr_loaded)
		vmx_dr_save(vcpu);
	nested_save_l2(vcpu);
	save_information(vcpu, v);
	cr0 = v->guest_cr0;
	v->vm_exit_reason = reason;
	v->exit_qualification = qual;
	v->vm_exit_intr_info = intr_info;
	v->vm_exit_intr_error_code = error;
	v->vm_entry_intr_info_field &= ~INTR_INFO_VALID_MASK;
	own_nmi = own_nmi && (v->guest_interruptibility_info & GUEST_INTR_STATE_NMI);
	if (v->vm_exit_msr_store_count &&
	    nested_msr_store(vcpu, v->vm_exit_msr_store_addr, v->vm_exit_msr_store_count)) {
		nested_leave_l2(vcpu);
		vmx_abort(vcpu, 1);
		return;
	}
	trace_emys_nested_exit(vcpu->id, reason, qual, intr_info);
	vmx_count_exit(&vcpu->stats.nested_l1_other, reason);
	nested_leave_l2(vcpu);
	arrive(vcpu, v, cr0, nmi || own_nmi);
}

void nested_entry_failed(struct emys_vcpu *vcpu, u32 reason, u64 qual)
{
	struct vmcs12 *v = vcpu->nested->v12;

	/* Guest state, launch state and the event to inject stay what they were. */
	v->vm_exit_reason = reason | VMX_EXIT_REASONS_FAILED_VMENTRY;
	v->exit_qualification = qual;
	vcpu->stats.nested_l1_entry_failure++;
	if (vcpu->vmx.l2)
		nested_leave_l2(vcpu);
	arrive(vcpu, v, vmx_get_cr0(vcpu), false);
}
