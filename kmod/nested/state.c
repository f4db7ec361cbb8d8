// SPDX-License-Identifier: GPL-2.0-only
/* KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE: api.rst, with KVM's rules. */
#include "../emys.h"
#include "internal.h"

#define FLAGS	(KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING | \
		 KVM_STATE_NESTED_MTF_PENDING)

u32 nested_state_get(struct emys_vcpu *vcpu, struct kvm_nested_state *s)
{
	struct nested_vcpu *n = vcpu->nested;

	memset(s, 0, sizeof(*s));
	s->format = KVM_STATE_NESTED_FORMAT_VMX;
	s->size = sizeof(*s);
	s->hdr.vmx.vmxon_pa = ~0ull;
	s->hdr.vmx.vmcs12_pa = ~0ull;
	if (!n || !n->vmxon)
		return s->size;
	s->hdr.vmx.vmxon_pa = n->vmxon_ptr;
	s->hdr.vmx.vmcs12_pa = n->ptr;
	if (n->ptr != NESTED_NO_VMCS)
		s->size += VMCS12_SIZE;
	if (!vcpu->vmx.l2)
		return s->size;
	s->flags |= KVM_STATE_NESTED_GUEST_MODE;
	if (n->entry_pending)
		s->flags |= KVM_STATE_NESTED_RUN_PENDING;
	if (n->mtf_due)
		s->flags |= KVM_STATE_NESTED_MTF_PENDING;
	if (nested_has_linked(n->v12))
		s->size += VMCS12_SIZE;
	if (n->timer_on) {
		s->hdr.vmx.flags |= KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE;
		s->hdr.vmx.preemption_timer_deadline = n->timer_deadline;
	}
	return s->size;
}

const void *nested_state_vmcs12(struct emys_vcpu *vcpu)
{
	/* While L2 runs, its registers are the vCPU's, and vmcs12 has what they were. */
	if (vcpu->vmx.l2)
		nested_save_l2(vcpu);
	else
		nested_shadow_store(vcpu);
	nested_rare_save(vcpu);
	return vcpu->nested->v12;
}

void nested_state_linked(struct emys_vcpu *vcpu, void *linked)
{
	struct vmcs12 *copy = linked;

	if (mem_read(vcpu->vm, vcpu->nested->v12->vmcs_link_pointer, copy, VMCS12_SIZE))
		memset(copy, 0xff, VMCS12_SIZE);
	/* Whatever L1 did to it since the entry: it is one. */
	copy->revision = VMCS12_REVISION | VMCS12_SHADOW;
}

/* Outside VMX operation there is nothing else to say. */
static int set_off(struct emys_vcpu *vcpu, const struct kvm_nested_state *s)
{
	if (s->flags || s->hdr.vmx.smm.flags || s->hdr.vmx.vmcs12_pa != ~0ull)
		return -EINVAL;
	nested_leave(vcpu);
	return 0;
}

static int resume_l2(struct emys_vcpu *vcpu, const struct kvm_nested_state *s)
{
	struct nested_vcpu *n = vcpu->nested;
	int r;

	r = nested_reenter(vcpu, s->flags & KVM_STATE_NESTED_RUN_PENDING,
			   s->flags & KVM_STATE_NESTED_MTF_PENDING);
	if (r)
		return r;
	if (n->timer_on && (s->hdr.vmx.flags & KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE))
		n->timer_deadline = s->hdr.vmx.preemption_timer_deadline;
	return 0;
}

/* The current VMCS may be a shadow VMCS. L2 runs with none, but one may be linked to its VMCS. */
static bool kinds_ok(const struct nested_caps *caps, const struct kvm_nested_state *s,
		     const struct vmcs12 *v, const struct vmcs12 *linked)
{
	if (!(s->flags & KVM_STATE_NESTED_GUEST_MODE))
		return v->revision == VMCS12_REVISION ||
		       (v->revision == (VMCS12_REVISION | VMCS12_SHADOW) &&
			(caps->proc2.may & SECONDARY_EXEC_SHADOW_VMCS));
	if (v->revision != VMCS12_REVISION)
		return false;
	if (!nested_has_linked(v))
		return true;
	return linked && linked->revision == (VMCS12_REVISION | VMCS12_SHADOW);
}

int nested_state_set(struct emys_vcpu *vcpu, const struct kvm_nested_state *s, const void *vmcs12,
		     const void *linked)
{
	struct nested_vcpu *n = vcpu->nested;
	int r;

	if (s->format != KVM_STATE_NESTED_FORMAT_VMX || (s->flags & ~FLAGS))
		return -EINVAL;
	if ((s->flags & KVM_STATE_NESTED_RUN_PENDING) &&
	    !(s->flags & KVM_STATE_NESTED_GUEST_MODE))
		return -EINVAL;
	if (s->hdr.vmx.vmxon_pa == ~0ull)
		return set_off(vcpu, s);
	if (!nested_has_vmx(vcpu) || !nested_region_valid(vcpu, s->hdr.vmx.vmxon_pa))
		return -EINVAL;
	/* There is no SMM. */
	if (s->hdr.vmx.smm.flags ||
	    (s->hdr.vmx.flags & ~(u32)KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE))
		return -EINVAL;
	if (!vmcs12) {
		if ((s->flags & KVM_STATE_NESTED_GUEST_MODE) || s->hdr.vmx.vmcs12_pa != ~0ull)
			return -EINVAL;
	} else {
		if (s->hdr.vmx.vmcs12_pa == s->hdr.vmx.vmxon_pa ||
		    !nested_region_valid(vcpu, s->hdr.vmx.vmcs12_pa))
			return -EINVAL;
		if (!kinds_ok(&n->caps, s, vmcs12, linked))
			return -EINVAL;
	}

	nested_leave(vcpu);
	r = nested_vmx_on(vcpu);
	if (r)
		return r;
	n->vmxon_ptr = s->hdr.vmx.vmxon_pa;
	if (!vmcs12)
		return 0;
	memcpy(n->v12, vmcs12, VMCS12_SIZE);
	n->ptr = s->hdr.vmx.vmcs12_pa;
	n->rules = ~0u;
	nested_shadow_on(vcpu);
	if (!(s->flags & KVM_STATE_NESTED_GUEST_MODE))
		return 0;
	/* Memory that is to come has it: it is there while L2 runs. */
	if (nested_has_linked(n->v12))
		mem_write(vcpu->vm, n->v12->vmcs_link_pointer, linked, VMCS12_SIZE);
	return resume_l2(vcpu, s);
}
