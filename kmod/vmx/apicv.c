// SPDX-License-Identifier: GPL-2.0-only
/* What the CPU does of the local APIC by itself: controls, MSR bitmap, EOI exits by mode. */
#include "../emys.h"
#include "internal.h"

#define APIC_BASE_ENABLE	BIT(11)
#define APIC_BASE_X2APIC	BIT(10)

#define EXEC2_APIC	(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | \
			 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
			 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

/*
 * x2APIC registers that may be read straight from the virtual-APIC page. Not the
 * ICR, whose halves lie apart in the page, and not the timer's current count,
 * which nobody keeps there.
 */
static const struct { u16 first, last; } x2apic_reads[] = {
	{ 0x802, 0x803 }, { 0x808, 0x808 }, { 0x80a, 0x80a }, { 0x80d, 0x80d }, { 0x80f, 0x828 },
	{ 0x832, 0x838 }, { 0x83e, 0x83e },
};

static void pass_x2apic(struct emys_vcpu *vcpu, bool pass)
{
	unsigned int i, msr;

	for (i = 0; i < ARRAY_SIZE(x2apic_reads); i++)
		for (msr = x2apic_reads[i].first; msr <= x2apic_reads[i].last; msr++)
			vmx_msr_passthrough(vcpu, msr, pass, false);
	/* TPR, EOI and SELF IPI are what virtual-interrupt delivery carries out. */
	vmx_msr_passthrough(vcpu, 0x808, pass, pass);
	vmx_msr_passthrough(vcpu, 0x80b, false, pass);
	vmx_msr_passthrough(vcpu, 0x83f, false, pass);
}

/* Are the APIC's registers where the CPU can watch for them? */
static bool at_access_page(const struct emys_lapic *apic)
{
	u64 base = READ_ONCE(apic->base);

	return (base & (PAGE_MASK | APIC_BASE_ENABLE | APIC_BASE_X2APIC)) ==
	       (LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE);
}

void vmx_apic_access_update(struct emys_vcpu *vcpu)
{
	struct emys_vm *vm = vcpu->vm;
	gfn_t gfn = LAPIC_DEFAULT_BASE >> PAGE_SHIFT;
	struct ept_zap zap = { };
	struct emys_vcpu *other;
	bool off = false, changed;
	unsigned int i;

	if (!vmx_caps.apic_access)
		return;
	write_lock(&vm->mem.mmu_lock);
	emys_for_each_vcpu(i, other, vm)
		off |= !at_access_page(other->lapic) || READ_ONCE(other->vmx.no_apic_access);
	changed = vm->vmx.apic_access_off != off;
	WRITE_ONCE(vm->vmx.apic_access_off, off);
	if (changed && off) {
		mem_derived_drop(vm, gfn, gfn + 1);
		if (ept_zap_range(&vm->mem.ept, gfn, gfn + 1, 0, NULL, &zap))
			atomic64_inc(&vm->mem.zap_seq);
	}
	write_unlock(&vm->mem.mmu_lock);
	if (!changed)
		return;
	ept_gen_bump(&vm->mem.ept);
	emys_vm_kick_all_wait(vm);
	ept_zap_free(&zap);
	emys_vm_request_all(vm, EMYS_REQ_APICV);
}

void vmx_apic_access_without(struct emys_vcpu *vcpu, bool without)
{
	if (vcpu->vmx.no_apic_access == without || !vcpu->lapic || !vmx_caps.apic_access)
		return;
	WRITE_ONCE(vcpu->vmx.no_apic_access, without);
	emys_vcpu_request(vcpu, EMYS_REQ_APICV);
}

void vmx_apic_mode_changed(struct emys_vcpu *vcpu)
{
	struct emys_lapic *apic = vcpu->lapic;
	bool apicv = false;
	u32 set = 0;

	if (!vcpu->vmx.cur || !apic)
		return;
	/* vmcs02 has nothing of L1's APIC: when L1 runs again. */
	if (vcpu->vmx.l2) {
		vcpu->nested->apic_changed = true;
		return;
	}
	if (!(apic->base & APIC_BASE_ENABLE)) {
		set = 0;
	} else if (apic->base & APIC_BASE_X2APIC) {
		if (vmx_caps.apicv && lapic_soft_enabled(vcpu)) {
			apicv = true;
			set = SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
		}
	} else if (at_access_page(apic) && vmx_caps.apic_access &&
		   !READ_ONCE(vcpu->vm->vmx.apic_access_off)) {
		apicv = vmx_caps.apicv && lapic_soft_enabled(vcpu);
		set = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	}
	if (apicv)
		set |= SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;

	vmx_vmcs_get(vcpu);
	pass_x2apic(vcpu, set & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);
	lapic_set_apicv(vcpu, apicv);
	vmx_exec2_update(vcpu, set, EXEC2_APIC & ~set);
	if (apicv) {
		vmcs_write32(TPR_THRESHOLD, 0);
		vcpu->vmx.svi_dirty = true;
	}
	vmx_vmcs_put(vcpu);
	vmx_eoi_map_changed(vcpu);
	/* Translations of the APIC page differ between the modes. */
	vcpu->vmx.cur->tlb_cpu = -1;
	vcpu->vmx.events_check = true;
}

void vmx_eoi_map_changed(struct emys_vcpu *vcpu)
{
	struct emys_lapic *apic = vcpu->lapic;

	if (!apic)
		return;
	if (vcpu->vmx.l2) {
		vcpu->nested->apic_changed = true;
		return;
	}
	ioapic_eoi_map(vcpu);
	if (!apic->apicv)
		return;
	vmx_vmcs_get(vcpu);
	vmcs_write64(EOI_EXIT_BITMAP0, apic->eoi_exit[0]);
	vmcs_write64(EOI_EXIT_BITMAP1, apic->eoi_exit[1]);
	vmcs_write64(EOI_EXIT_BITMAP2, apic->eoi_exit[2]);
	vmcs_write64(EOI_EXIT_BITMAP3, apic->eoi_exit[3]);
	vmx_vmcs_put(vcpu);
}
