// SPDX-License-Identifier: GPL-2.0-only
/* The host-state area: what L1 goes on with after an exit. */
#include "rule.h"

/* "Checks on Host Control Registers, MSRs, and SSP" */
static const char *check_registers(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const struct nested_caps *caps = env->caps;
	u32 exit = v->vm_exit_controls;
	bool host64 = exit & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	const char *broken = NULL;

	NEED(fixed_ok(v->host_cr0, caps->cr0_fixed0, caps->cr0_fixed1),
	     "host CR0: bits fixed in VMX operation");
	NEED(fixed_ok(v->host_cr4, caps->cr4_fixed0, caps->cr4_fixed1),
	     "host CR4: bits fixed in VMX operation");
	NEED(IMPLIES(v->host_cr4 & RULE_CR4_CET, v->host_cr0 & X86_CR0_WP),
	     "host CR4: CET with CR0.WP only");
	NEED(phys_ok(v->host_cr3, env), "host CR3: within the physical width");
	NEED(canonical(v->host_ia32_sysenter_esp, env), "host SYSENTER_ESP: canonical");
	NEED(canonical(v->host_ia32_sysenter_eip, env), "host SYSENTER_EIP: canonical");
	if (exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)
		NEED(!(v->host_ia32_perf_global_ctrl & ~env->perf_global),
		     "host PERF_GLOBAL_CTRL: reserved bits");
	if (exit & VM_EXIT_LOAD_IA32_PAT)
		NEED(pat_ok(v->host_ia32_pat), "host PAT: memory types");
	if (exit & VM_EXIT_LOAD_IA32_EFER) {
		NEED(!(v->host_ia32_efer & ~env->efer), "host EFER: reserved bits");
		NEED(!!(v->host_ia32_efer & EFER_LMA) == host64,
		     "host EFER: LMA is that of the host address-space size");
		NEED(!!(v->host_ia32_efer & EFER_LME) == host64,
		     "host EFER: LME is that of the host address-space size");
	}
	return broken;
}

#define RPL_TI	0x7	/* of a selector */

/* "Checks on Host Segment and Descriptor-Table Registers" */
static const char *check_segments(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	bool host64 = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	const char *broken = NULL;

	NEED(!(v->host_cs_selector & RPL_TI), "host CS: RPL and TI are 0");
	NEED(!(v->host_ss_selector & RPL_TI), "host SS: RPL and TI are 0");
	NEED(!(v->host_ds_selector & RPL_TI), "host DS: RPL and TI are 0");
	NEED(!(v->host_es_selector & RPL_TI), "host ES: RPL and TI are 0");
	NEED(!(v->host_fs_selector & RPL_TI), "host FS: RPL and TI are 0");
	NEED(!(v->host_gs_selector & RPL_TI), "host GS: RPL and TI are 0");
	NEED(!(v->host_tr_selector & RPL_TI), "host TR: RPL and TI are 0");
	NEED(v->host_cs_selector, "host CS: not 0");
	NEED(v->host_tr_selector, "host TR: not 0");
	NEED(host64 || v->host_ss_selector, "host SS: not 0 unless the host is 64-bit");
	NEED(canonical(v->host_fs_base, env), "host FS base: canonical");
	NEED(canonical(v->host_gs_base, env), "host GS base: canonical");
	NEED(canonical(v->host_gdtr_base, env), "host GDTR base: canonical");
	NEED(canonical(v->host_idtr_base, env), "host IDTR base: canonical");
	NEED(canonical(v->host_tr_base, env), "host TR base: canonical");
	return broken;
}

/* "Checks Related to Address-Space Size" */
static const char *check_address_space(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	bool host64 = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	bool guest64 = v->vm_entry_controls & VM_ENTRY_IA32E_MODE;
	const char *broken = NULL;

	NEED(env->ia32e || !guest64, "IA-32e mode guest: from IA-32e mode only");
	NEED(env->ia32e == host64, "host address-space size: that of the mode now");
	if (host64) {
		NEED(v->host_cr4 & X86_CR4_PAE, "host CR4: PAE for a 64-bit host");
		NEED(canonical(v->host_rip, env), "host RIP: canonical");
	} else {
		/* that the guest is not in IA-32e mode follows from the two above */
		NEED(!(v->host_cr4 & X86_CR4_PCIDE), "host CR4: no PCIDE for a 32-bit host");
		NEED(!(v->host_rip >> 32), "host RIP: 32 bits for a 32-bit host");
	}
	return broken;
}

const char *vmcs12_check_host(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	return check_registers(v, env) ?: check_segments(v, env) ?: check_address_space(v, env);
}
