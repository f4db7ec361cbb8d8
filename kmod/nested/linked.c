// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow VMCS that L1 linked to vmcs12, for an L2 that is a hypervisor: VMREAD and VMWRITE of
 * L2 by L1's bitmaps. It is in L1's memory all the time, in the page that pages.c holds for it.
 *
 * Source: SDM volume 3, "VMCS Link Pointer", "VMCS Shadowing Bitmap Addresses"; "VMREAD" and
 * "VMWRITE" for the order of the checks.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "../emys.h"
#include "internal.h"

bool nested_has_linked(const struct vmcs12 *v)
{
	return n12_proc2(v, SECONDARY_EXEC_SHADOW_VMCS) && v->vmcs_link_pointer != VMCS12_NONE;
}

/* "Either the field is not in the bitmap, or its bit is 1." */
bool nested_field_exits(struct emys_vcpu *vcpu, u64 field, bool write)
{
	const struct nested_vcpu *n = vcpu->nested;

	if (!n12_proc2(n->v12, SECONDARY_EXEC_SHADOW_VMCS) || field >> 15)
		return true;
	return nested_page_bit(&n->pages[write ? NESTED_VMWRITE : NESTED_VMREAD], field);
}

struct vmcs12 *nested_linked_get(struct emys_vcpu *vcpu)
{
	struct nested_page *p = &vcpu->nested->pages[NESTED_LINKED];
	struct page *page;
	int r;

	if (vcpu->vmx.in_section)
		return p->page ? page_address(p->page) : NULL;
	/* What is held may be L1's no more. */
	do {
		r = mem_hold(vcpu, vcpu->nested->v12->vmcs_link_pointer, &page);
	} while (r == -EAGAIN && !fatal_signal_pending(current));
	return r ? NULL : page_address(page);
}

void nested_linked_put(struct emys_vcpu *vcpu, struct vmcs12 *linked)
{
	if (linked && !vcpu->vmx.in_section)
		mem_unhold(vcpu->vm, vcpu->nested->v12->vmcs_link_pointer, virt_to_page(linked));
}
