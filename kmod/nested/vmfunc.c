// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM functions of L2: another EPT12 from L1's list, without L1. vmcs02 has no function enabled, so
 * each VMFUNC exits. SDM volume 3, "VM Functions".
 */
#include "../emys.h"
#include "internal.h"

#define EPTP_LIST_ENTRIES	512

/* False: VMFUNC is an exit to L1. */
static bool read_eptp(struct emys_vcpu *vcpu, u64 *eptp)
{
	const struct vmcs12 *v = vcpu->nested->v12;
	u32 index = vcpu->regs[1];

	if (index >= EPTP_LIST_ENTRIES)
		return false;
	if (mem_read(vcpu->vm, v->eptp_list_address + index * sizeof(*eptp), eptp, sizeof(*eptp)))
		return false;
	return nested_eptp_valid(vcpu, *eptp);
}

/* Only this changes: PDPTEs, for one, stay what they are. */
static int switch_eptp(struct emys_vcpu *vcpu, u64 eptp)
{
	struct vmcs12 *v = vcpu->nested->v12;
	u64 old = v->ept_pointer;
	int r;

	v->ept_pointer = eptp;
	r = nested_ept_get(vcpu);
	if (r) {
		v->ept_pointer = old;
		return r;
	}
	vmx_vmcs_get(vcpu);
	nested_ept_load(vcpu);
	vmx_vmcs_put(vcpu);
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

int nested_handle_vmfunc(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;
	u32 function = vcpu->regs[0];
	u64 eptp;

	if (!n12_proc2(v, SECONDARY_EXEC_ENABLE_VMFUNC) || function > 63) {
		vmx_inject_ud(vcpu);
		return EMYS_RESUME;
	}
	if ((v->vm_function_control & BIT_ULL(function) & VMX_VMFUNC_EPTP_SWITCHING) &&
	    read_eptp(vcpu, &eptp))
		return switch_eptp(vcpu, eptp);
	nested_exit(vcpu, EXIT_REASON_VMFUNC, 0, 0, 0);
	return EMYS_RESUME;
}
