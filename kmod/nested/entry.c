// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMLAUNCH and VMRESUME of L1: vmcs02 is made of vmcs01's needs and vmcs12's wishes.
 * SDM volume 3, chapter "VM Entries".
 */
#include "../emys.h"
#include "../trace.h"
#include "internal.h"

static void fill_env(struct emys_vcpu *vcpu, struct vmcs12_env *env)
{
	struct nested_vcpu *n = vcpu->nested;

	*env = (struct vmcs12_env) {
		.caps = &n->caps,
		.vmptr = n->ptr,
		.efer = vcpu->feat.efer_allowed,
		.debugctl = DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF,
		.maxphyaddr = vcpu->feat.maxphyaddr,
		.linear_bits = 48,
		.ia32e = vcpu->msrs.efer & EFER_LMA,
	};
}

/* The region that the VMCS link pointer names is a shadow VMCS if, and only if, there are such. */
static bool link_ok(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	bool shadow = vmcs12_proc2(v) & SECONDARY_EXEC_SHADOW_VMCS;
	u32 rev;

	if (v->vmcs_link_pointer == VMCS12_NONE)
		return true;
	if (vcpu->vmx.in_section)
		rev = READ_ONCE(nested_linked_get(vcpu)->revision);
	else if (mem_read(vcpu->vm, v->vmcs_link_pointer, &rev, sizeof(rev)))
		return false;
	return rev == (VMCS12_REVISION | (shadow ? VMCS12_SHADOW : 0));
}

/* PDPTEs of an L2 with EPT. */
static void copy_pdptes(const struct vmcs12 *v, u64 pdpte[4])
{
	pdpte[0] = v->guest_pdptr0;
	pdpte[1] = v->guest_pdptr1;
	pdpte[2] = v->guest_pdptr2;
	pdpte[3] = v->guest_pdptr3;
}

/* Of one without, as MOV to CR3 loads them. */
static const char *read_pdptes(struct emys_vcpu *vcpu, const struct vmcs12 *v,
			       const struct vmcs12_env *env, u64 pdpte[4])
{
	if (mem_read(vcpu->vm, v->guest_cr3 & 0xffffffe0, pdpte, 4 * sizeof(*pdpte)))
		return "PDPTEs outside memory";
	return vmcs12_check_pdptes(pdpte, env);
}

/* -- controls ---------------------------------------------------------------------------------- */

static void load_proc(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;
	u32 want = v->cpu_based_vm_exec_control;
	u32 exec = (vmx_caps.proc & ~CPU_BASED_TPR_SHADOW) |
		   (want & ~(CPU_BASED_TPR_SHADOW | CPU_BASED_USE_IO_BITMAPS));

	if (want & CPU_BASED_TPR_SHADOW) {
		exec |= CPU_BASED_TPR_SHADOW;
		exec &= ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
		exec |= want & (CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
	}
	/* vmcs02 is new, or L0 had a window of its own in it. */
	if (exec != vmcs->exec)
		vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, exec);
	vmcs->exec = exec;
	vmcs->exec_keep = want & (CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING |
				  CPU_BASED_MOV_DR_EXITING | CPU_BASED_MONITOR_TRAP_FLAG);
}

/* Of the secondary controls, those that L2 has when L1 says so, and those of the host's. */
#define PROC2_L1	(SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | \
			 SECONDARY_EXEC_XSAVES | SECONDARY_EXEC_DESC | \
			 SECONDARY_EXEC_ENABLE_VMFUNC | \
			 SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | \
			 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
			 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | \
			 SECONDARY_EXEC_WBINVD_EXITING | \
			 SECONDARY_EXEC_RDRAND_EXITING | SECONDARY_EXEC_RDSEED_EXITING)
#define PROC2_L0	(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST | \
			 SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_WBINVD_EXITING | \
			 SECONDARY_EXEC_PAUSE_LOOP_EXITING | SECONDARY_EXEC_ENCLS_EXITING)

/* Has it changed? */
static bool load_proc2(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;
	u32 exec2;

	exec2 = (vcpu->vmx.vmcs01.exec2 & PROC2_L0) | (vmcs12_proc2(v) & PROC2_L1);
	if (!vmcs->vpid)
		exec2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (nested_tsc_scales(vcpu))
		exec2 |= SECONDARY_EXEC_TSC_SCALING;
	/*
	 * An L2 that L1 lets at its own APIC finds it where L1 does. With a virtual-APIC page the
	 * CPU would answer from there: then these accesses have to be EPT violations.
	 */
	if (!n12_proc(v, CPU_BASED_TPR_SHADOW))
		exec2 |= vcpu->vmx.vmcs01.exec2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	else if (!vcpu->nested->ept02 && !n12_proc2(v, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES))
		vmx_apic_access_without(vcpu, true);
	if (exec2 == vmcs->exec2)
		return false;
	vmcs->exec2 = exec2;
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, exec2);
	return true;
}

/* Those that stay what they are until L1 writes them. */
static void load_steady_controls(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	u32 i;

	vmcs_write32(PIN_BASED_VM_EXEC_CONTROL, vmx_caps.pin |
		     (v->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER));
	nested_apic_controls(vcpu);
	nested_pages_load(vcpu);
	if (n12_proc(v, CPU_BASED_TPR_SHADOW))
		vmcs_write32(TPR_THRESHOLD, v->tpr_threshold);
	if (vcpu->vmx.cur->exec2 & SECONDARY_EXEC_XSAVES)
		vmcs_write64(XSS_EXIT_BITMAP, v->xss_exit_bitmap);
	/* None is the CPU's to carry out. */
	if (vcpu->vmx.cur->exec2 & SECONDARY_EXEC_ENABLE_VMFUNC)
		vmcs_write64(VM_FUNCTION_CONTROL, 0);
	vmcs_write32(EXCEPTION_BITMAP, vmx_exceptions(vcpu) | v->exception_bitmap);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MASK, v->page_fault_error_code_mask);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MATCH, v->page_fault_error_code_match);
	vmcs_write32(CR3_TARGET_COUNT, v->cr3_target_count);
	for (i = 0; i < v->cr3_target_count; i++)
		__vmcs_write(CR3_TARGET_VALUE0 + 2 * i, nested_cr3_target(v, i));
	nested_tsc_load(vcpu);
}

static void load_controls(struct emys_vcpu *vcpu, const struct vmcs12 *v)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;

	load_proc(vcpu, v);
	if (load_proc2(vcpu, v) || !n->controls_02 || n->tsc_offset_02 != vcpu->vmx.tsc_offset ||
	    n->tsc_ratio_02 != vcpu->vmx.tsc_ratio)
		load_steady_controls(vcpu, v);
	else
		nested_merge_msr_bitmap(vcpu);
	nested_apic_load(vcpu);
	n->controls_02 = true;
	/* The CPU tells one address space of L2 from another by VPID alone. */
	if (!(vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_VPID) ||
	    n->vpid12 != v->virtual_processor_id)
		vmcs->tlb_cpu = -1;
	n->vpid12 = v->virtual_processor_id;
	n->timer_on = n12_pin(v, PIN_BASED_VMX_PREEMPTION_TIMER);
	if (n->timer_on)
		n->timer_deadline = nested_timer_now(vcpu) + v->vmx_preemption_timer_value;
}

/* -- guest state ------------------------------------------------------------------------------- */

static u64 guest_efer(const struct vmcs12 *v, u64 efer)
{
	if (v->vm_entry_controls & VM_ENTRY_LOAD_IA32_EFER)
		return v->guest_ia32_efer;
	if (v->vm_entry_controls & VM_ENTRY_IA32E_MODE)
		return efer | EFER_LMA | EFER_LME;
	return efer & ~(u64)(EFER_LMA | EFER_LME);
}

static void load_guest(struct emys_vcpu *vcpu, const struct vmcs12 *v, const u64 *pdpte)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 dr7 = vcpu->dr.dr7, debugctl = n->l1_debugctl, efer = vcpu->msrs.efer;

	nested_rare_load(vcpu);
	vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS, v->guest_pending_dbg_exceptions);
	if (v->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS) {
		dr7 = v->guest_dr7;
		/* The records of branches are the host's. */
		debugctl = v->guest_ia32_debugctl & ~(u64)DEBUGCTLMSR_LBR;
	}
	vmx_set_dr7(vcpu, dr7);
	vmcs_write64(GUEST_IA32_DEBUGCTL, debugctl);
	if (v->vm_entry_controls & VM_ENTRY_LOAD_IA32_PAT)
		vcpu->msrs.pat = v->guest_ia32_pat;
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT)
		vmcs_write64(GUEST_IA32_PAT, vcpu->msrs.pat);

	vmx->cr0_l1.mask = v->cr0_guest_host_mask;
	vmx->cr0_l1.shadow = v->cr0_read_shadow & v->cr0_guest_host_mask;
	vmx->cr4_l1.mask = v->cr4_guest_host_mask;
	vmx->cr4_l1.shadow = v->cr4_read_shadow & v->cr4_guest_host_mask;
	vcpu->msrs.efer = guest_efer(v, vcpu->msrs.efer);
	vmx_write_cr4(vcpu, v->guest_cr4);
	vmx_write_cr0(vcpu, v->guest_cr0);
	vmcs_writel(GUEST_CR3, v->guest_cr3);
	vmx->cr3 = v->guest_cr3;
	vmx->avail |= VMX_AV_CR3;
	if (pdpte) {
		vmcs_write64(GUEST_PDPTR0, pdpte[0]);
		vmcs_write64(GUEST_PDPTR1, pdpte[1]);
		vmcs_write64(GUEST_PDPTR2, pdpte[2]);
		vmcs_write64(GUEST_PDPTR3, pdpte[3]);
	}
	vmx_set_rip(vcpu, v->guest_rip);
	vmx_set_gpr(vcpu, 4, v->guest_rsp);
	vmx_set_rflags(vcpu, v->guest_rflags);
	vmx->intr_shadow = v->guest_interruptibility_info;
	vmx->avail |= VMX_AV_INTR;
	vmx->dirty |= VMX_AV_INTR;
	/* L2's SYSCALL goes where IA32_STAR and so on say, if its EFER has SCE. */
	if ((efer ^ vcpu->msrs.efer) & EFER_SCE)
		vmx_user_msrs_changed(vcpu);
}

static void load_event(struct emys_vcpu *vcpu, const struct vmcs12 *v, u32 info)
{
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, info & INTR_INFO_VALID_MASK ? info : 0);
	if (!(info & INTR_INFO_VALID_MASK))
		return;
	if (info & INTR_INFO_DELIVER_CODE_MASK)
		vmcs_write32(VM_ENTRY_EXCEPTION_ERROR_CODE, v->vm_entry_exception_error_code);
	vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, v->vm_entry_instruction_len);
	vcpu->vmx.event_insn_len = v->vm_entry_instruction_len;
	vcpu->vmx.inject_raw = true;
	vcpu->vmx.injected = true;
}

/* @event: VM-entry interruption information. */
static void enter_l2(struct emys_vcpu *vcpu, const u64 *pdpte, u32 event)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmcs12 *v = n->v12;

	vmx_vmcs_get(vcpu);
	n->l1_debugctl = vmcs_read64(GUEST_IA32_DEBUGCTL);
	vmx_vmcs_put(vcpu);
	if (vcpu->vmx.dr_loaded)
		vmx_dr_save(vcpu);
	vmx_switch(vcpu, &n->vmcs02);
	vcpu->vmx.l2 = true;
	vmx_vmcs_get(vcpu);
	nested_ept_load(vcpu);
	load_controls(vcpu, v);
	load_guest(vcpu, v, pdpte);
	load_event(vcpu, v, event);
	vmx_vmcs_put(vcpu);
	vcpu->vmx.events_check = true;
}

static int refuse(struct emys_vcpu *vcpu, u32 error, const char *why)
{
	trace_emys_nested_refused(vcpu->id, error, why);
	return nested_fail(vcpu, error);
}

static int get_memory(struct emys_vcpu *vcpu)
{
	int r = nested_pages_get(vcpu);

	return r ? r : nested_ept_get(vcpu);
}

/*
 * With interrupts off: L1's memory has been looked at before and is the same, and nothing of it is
 * needed if the entry fails.
 */
bool nested_entry_is_quick(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	const struct vmcs12 *v;

	if (!nested_on(vcpu) || n->ptr == NESTED_NO_VMCS)
		return false;
	nested_shadow_store(vcpu);
	v = n->v12;
	if (v->vm_entry_msr_load_count ||
	    (v->vmcs_link_pointer != VMCS12_NONE && !nested_has_linked(v)) ||
	    !nested_exit_is_quick(v))
		return false;
	if (!n12_proc2(v, SECONDARY_EXEC_ENABLE_EPT))
		return !n->ept02 && !vmcs12_pae(v) && nested_pages_held(vcpu);
	return n->ept02 && n->ept02->key == v->ept_pointer && nested_pages_held(vcpu);
}

int nested_enter(struct emys_vcpu *vcpu, bool launch)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmcs12 *v = n->v12;
	struct vmcs12_env env;
	bool has_ept = vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_EPT;
	u64 pdpte[4], qual = VMCS12_FAIL_DEFAULT;
	const char *why;
	u32 failed;
	int r;

	if (!vcpu->vmx.in_section)
		nested_shadow_store(vcpu);
	fill_env(vcpu, &env);
	if (n->rules & VMCS12_RULES_CONTROLS) {
		why = vmcs12_check_controls(v, &env);
		if (why)
			return refuse(vcpu, VMXERR_ENTRY_CONTROLS, why);
		/* Which of the guest's rules hold depends on controls. */
		n->rules |= VMCS12_RULES_GUEST;
	}
	if ((n->rules & VMCS12_RULES_HOST) || n->checked_ia32e != env.ia32e) {
		why = vmcs12_check_host(v, &env);
		if (why)
			return refuse(vcpu, VMXERR_ENTRY_HOST_STATE, why);
		n->checked_ia32e = env.ia32e;
	}
	if (n->rules & (VMCS12_RULES_SEGMENTS | VMCS12_RULES_REGISTERS))
		nested_rare_save(vcpu);
	/* In the section it is there: nested_entry_is_quick() */
	r = vcpu->vmx.in_section ? 0 : get_memory(vcpu);
	/* The host is busy with the page: the instruction is executed again. */
	if (r == -EAGAIN)
		return EMYS_RESUME;
	if (r == -EFAULT)
		return refuse(vcpu, VMXERR_ENTRY_CONTROLS, "a page outside memory");
	/* Nothing is wrong with that, but it is more than emys can do. */
	if (r == -ENXIO)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	if (r)
		return r;
	if (v->cpu_based_vm_exec_control & CPU_BASED_TPR_SHADOW) {
		why = vmcs12_check_vtpr(v, nested_vtpr(vcpu));
		if (why)
			return refuse(vcpu, VMXERR_ENTRY_CONTROLS, why);
	}

	why = vmcs12_check_guest_rules(v, &env, n->rules & VMCS12_RULES_GUEST, &qual);
	if (!why && !link_ok(vcpu, v)) {
		why = "VMCS link pointer: no such region";
		qual = VMCS12_FAIL_LINK;
	}
	if (!why && vmcs12_pae(v)) {
		if (has_ept) {
			copy_pdptes(v, pdpte);
		} else {
			why = read_pdptes(vcpu, v, &env, pdpte);
			qual = VMCS12_FAIL_PDPTE;
		}
	}
	if (why) {
		trace_emys_nested_refused(vcpu->id, EXIT_REASON_INVALID_STATE, why);
		nested_entry_failed(vcpu, EXIT_REASON_INVALID_STATE, qual);
		return EMYS_RESUME;
	}

	n->rules = 0;
	enter_l2(vcpu, vmcs12_pae(v) ? pdpte : NULL, v->vm_entry_intr_info_field);
	n->entry_pending = true;
	failed = nested_msr_load(vcpu, v->vm_entry_msr_load_addr, v->vm_entry_msr_load_count,
				 NESTED_MSR_ENTRY_LOAD);
	if (failed) {
		nested_entry_failed(vcpu, EXIT_REASON_MSR_LOAD_FAIL, failed);
		return EMYS_RESUME;
	}
	if (launch)
		v->launch_state = 1;
	vcpu->stats.nested_entries++;
	if (v->guest_activity_state != GUEST_ACTIVITY_ACTIVE &&
	    !(v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK)) {
		vcpu->mp_state = v->guest_activity_state == GUEST_ACTIVITY_HLT ?
				 KVM_MP_STATE_HALTED : KVM_MP_STATE_INIT_RECEIVED;
		n->entry_pending = false;
		/* It sleeps outside the section. */
		return vcpu->vmx.in_section ? VMX_EXIT_LEAVE : EMYS_RESUME;
	}
	return EMYS_RESUME;
}

int nested_reenter(struct emys_vcpu *vcpu, bool pending, bool mtf)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmcs12 *v = n->v12;
	struct vmcs12_env env;
	u64 pdpte[4], qual;
	const char *why;
	int r;

	fill_env(vcpu, &env);
	why = vmcs12_check_controls(v, &env);
	if (!why)
		why = vmcs12_check_host(v, &env);
	if (!why)
		why = vmcs12_check_guest(v, &env, &qual);
	if (why) {
		trace_emys_nested_refused(vcpu->id, VMXERR_ENTRY_CONTROLS, why);
		return -EINVAL;
	}
	r = nested_ept_get(vcpu);
	if (r)
		return r;
	copy_pdptes(v, pdpte);
	/* Memory may come later: its pages are looked up before L2 runs. */
	nested_pages_put(vcpu);
	n->pages_seq = -1;
	enter_l2(vcpu, vmcs12_pae(v) && (vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_EPT) ?
		 pdpte : NULL, pending ? v->vm_entry_intr_info_field : 0);
	n->entry_pending = pending;
	/* It waits for a boundary of instructions, and ends HLT. */
	n->mtf_due = mtf && !pending;
	return 0;
}
