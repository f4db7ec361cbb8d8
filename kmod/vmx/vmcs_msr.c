// SPDX-License-Identifier: GPL-2.0-only
/* MSRs that the VMCS holds, and what in the VMCS follows from MSRs and CPUID. */
#include "../emys.h"
#include "internal.h"
#include "usermsr.h"

/* The natural-width or 64-bit field of an MSR; 0 = none. SYSENTER_CS is 32 bits wide. */
static unsigned long msr_field(u32 msr)
{
	switch (msr) {
	case MSR_FS_BASE:
		return GUEST_FS_BASE;
	case MSR_GS_BASE:
		return GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:
		return GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:
		return GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:
		return GUEST_SYSENTER_EIP;
	case MSR_IA32_DEBUGCTLMSR:
		return GUEST_IA32_DEBUGCTL;
	case MSR_IA32_CR_PAT:
		return vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT ? GUEST_IA32_PAT : 0;
	}
	return 0;
}

int vmx_vmcs_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val)
{
	unsigned long field = msr_field(msr);

	if (!field)
		return 1;
	vmx_vmcs_get(vcpu);
	*val = __vmcs_read(field);
	vmx_vmcs_put(vcpu);
	return 0;
}

int vmx_vmcs_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val)
{
	unsigned long field = msr_field(msr);

	if (!field)
		return 1;
	vmx_vmcs_get(vcpu);
	__vmcs_write(field, val);
	vmx_vmcs_put(vcpu);
	return 0;
}

/* vmcs01, which is current. */
static void tsc_load(struct emys_vcpu *vcpu)
{
	u64 ratio = vcpu->vmx.tsc_ratio;

	if (ratio)
		vmcs_write64(TSC_MULTIPLIER, ratio);
	vmx_exec2_update(vcpu, ratio ? SECONDARY_EXEC_TSC_SCALING : 0, SECONDARY_EXEC_TSC_SCALING);
	vmcs_write64(TSC_OFFSET, vcpu->vmx.tsc_offset);
}

void vmx_tsc_changed(struct emys_vcpu *vcpu)
{
	vmx_vmcs_get(vcpu);
	if (vcpu->vmx.l2)
		nested_tsc_load(vcpu);
	else
		tsc_load(vcpu);
	vmx_vmcs_put(vcpu);
	vcpu->vmx.tsc_moved = vcpu->vmx.l2;
}

void vmx_user_msrs_changed(struct emys_vcpu *vcpu)
{
	if (vcpu->vmx.in_section)
		usermsr_load(vcpu);
}

void vmx_cpuid_changed(struct emys_vcpu *vcpu)
{
	struct emys_features *f = &vcpu->feat;
	u32 set = 0, all = SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID |
			   SECONDARY_EXEC_XSAVES;

	if (!vcpu->vmx.cur)
		return;
	/* The instruction is #UD for a guest whose CPUID does not have it. */
	if (f->has_rdtscp || f->has_rdpid)
		set |= SECONDARY_EXEC_ENABLE_RDTSCP;
	if (f->has_invpcid)
		set |= SECONDARY_EXEC_ENABLE_INVPCID;
	if (f->has_xsaves)
		set |= SECONDARY_EXEC_XSAVES;
	vmx_vmcs_get(vcpu);
	vmx_exec2_update(vcpu, set, all & ~set);
	vmx_write_cr4(vcpu, vmx_get_cr4(vcpu));
	vmx_msr_passthrough(vcpu, MSR_IA32_PRED_CMD, false, f->has_ibpb);
	vmx_vmcs_put(vcpu);
}
