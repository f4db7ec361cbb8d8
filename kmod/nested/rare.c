// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest state that L1 seldom looks at: segments, descriptor tables, SYSENTER's MSRs (fields.h).
 *
 * An exit to L1 leaves it in vmcs02, and the next entry finds it there. It moves to vmcs12 when L1
 * reads or writes such a field, when a rule for entries does, and when vmcs12 goes to memory.
 */
#include "../emys.h"
#include "fields.h"
#include "internal.h"

bool nested_is_rare(u32 encoding)
{
#define ENCODING(encoding, member)	encoding
	static const u16 fields[] = { NESTED_RARE(ENCODING) };
#undef ENCODING
	unsigned int i;

	/* "Field Encoding": most of what L1 uses is not of the guest's state */
	if ((encoding >> 10 & 3) != 2)
		return false;
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i] == encoding)
			return true;
	return false;
}

void nested_rare_load(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	const struct vmcs12 *v = n->v12;

	if (n->rare == NESTED_RARE_12) {
#define LOAD(encoding, member)	__vmcs_write(encoding, v->member)
		NESTED_RARE(LOAD);
#undef LOAD
	}
	n->rare = NESTED_RARE_02;
}

void nested_rare_save(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmx_vcpu *vmx = &vcpu->vmx;
	struct vmcs12 *v = n->v12;

	if (n->rare != NESTED_RARE_02)
		return;
	vmx_vmcs_get(vcpu);
	if (!vmx->l2 && vmx_insn_vmptrld(n->vmcs02.pa))
		emys_vm_broken(vcpu->vm, "VMPTRLD of vmcs02 failed");
#define SAVE(encoding, member)	(v->member = __vmcs_read(encoding))
	NESTED_RARE(SAVE);
#undef SAVE
	if (!vmx->l2) {
		/* The section clears what it has entered, not this one. */
		if (vmx->other != &n->vmcs02)
			vmx_insn_vmclear(n->vmcs02.pa);
		if (vmx_insn_vmptrld(vmx->cur->pa))
			emys_vm_broken(vcpu->vm, "VMPTRLD failed");
		n->rare = NESTED_RARE_BOTH;
	}
	vmx_vmcs_put(vcpu);
}

void nested_rare_changes(struct emys_vcpu *vcpu)
{
	nested_rare_save(vcpu);
	vcpu->nested->rare = NESTED_RARE_12;
}
