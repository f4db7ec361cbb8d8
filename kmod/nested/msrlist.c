// SPDX-License-Identifier: GPL-2.0-only
/* The MSR lists of vmcs12: SDM volume 3, "Loading MSRs" and "Saving MSRs". */
#include <asm/apicdef.h>

#include "../emys.h"
#include "internal.h"

static int read_entry(struct emys_vcpu *vcpu, u64 gpa, u32 i, enum nested_msr_list list,
		      struct nested_msr_entry *e)
{
	bool x2apic = vcpu->lapic && (vcpu->lapic->base & X2APIC_ENABLE);

	if (mem_read(vcpu->vm, gpa + i * sizeof(*e), e, sizeof(*e)))
		return -EFAULT;
	return nested_msr_entry_check(list, e, x2apic);
}

/* Longer ones are "undefined" for the CPU; the manual has them fail or abort at the maximum. */
static u32 list_max(const struct emys_vcpu *vcpu)
{
	return nested_misc_msr_list_max(vcpu->nested->caps.misc);
}

u32 nested_msr_load(struct emys_vcpu *vcpu, u64 gpa, u32 count, enum nested_msr_list list)
{
	struct nested_msr_entry e;
	u32 i;

	for (i = 0; i < count; i++) {
		if (i >= list_max(vcpu) || read_entry(vcpu, gpa, i, list, &e) ||
		    msr_write(vcpu, e.index, e.value, false))
			return i + 1;
		cond_resched();
	}
	return 0;
}

/* The TSC is L1's at the exit, not of now, after the host's work. */
static int value_at_exit(struct emys_vcpu *vcpu, u32 msr, u64 *val)
{
	u64 tsc = vcpu->nested->reflect_tsc;

	if (msr != MSR_IA32_TSC || !tsc)
		return msr_read(vcpu, msr, val, false);
	*val = clock_tsc_at(vcpu, tsc);
	return 0;
}

u32 nested_msr_store(struct emys_vcpu *vcpu, u64 gpa, u32 count)
{
	struct nested_msr_entry e;
	u32 i;

	for (i = 0; i < count; i++) {
		if (i >= list_max(vcpu) ||
		    read_entry(vcpu, gpa, i, NESTED_MSR_EXIT_STORE, &e) ||
		    value_at_exit(vcpu, e.index, &e.value) ||
		    mem_write(vcpu->vm, gpa + i * sizeof(e) + offsetof(typeof(e), value),
			      &e.value, sizeof(e.value)))
			return i + 1;
		cond_resched();
	}
	return 0;
}
