// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a VM: creation, and death in two phases */

#include <linux/cpu.h>
#include <linux/sched.h>

#include "private.h"

/*
 * ITLB multihit: executable large leaves could stop the machine. As with the
 * kernel's own measures, mitigations=off turns this one off.
 */
static void ept_format(struct ept_format *fmt)
{
	*fmt = (struct ept_format){
		.maxphyaddr = boot_cpu_data.x86_phys_bits,
		.ad = vmx_caps.ept_ad,
		.exec_only = vmx_caps.ept_exec_only,
		.has_2m = vmx_caps.ept_2m,
		.has_1g = vmx_caps.ept_1g,
		.nx_large = boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) &&
			    !cpu_mitigations_off(),
		.spp = vmx_caps.spp,
	};
}

int mem_vm_init(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	struct ept_format fmt;
	int err;

	ept_format(&fmt);
	rwlock_init(&mem->mmu_lock);
	derived_vm_init(vm);
	err = ept_init(&mem->ept, &fmt);
	if (err)
		return err;
	err = mem_slots_init(vm);
	if (err)
		goto destroy_ept;
	err = mem_notifier_init(vm);
	if (err)
		goto destroy_slots;
	return 0;

destroy_slots:
	mem_slots_destroy(vm);
destroy_ept:
	ept_destroy(&mem->ept);
	return err;
}

/*
 * The notifier stays registered: this may run inside of it, where it cannot be
 * unregistered.
 */
void mem_vm_kill(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	struct ept_zap zap = {};
	struct mem_slots *slots;
	unsigned int i;
	int idx;

	write_lock(&mem->mmu_lock);
	WRITE_ONCE(mem->dead, true);
	write_unlock(&mem->mmu_lock);

	/* First the owned slots, whose objects may live on and be scanned */
	idx = srcu_read_lock(&mem->srcu);
	slots = mem_slots(mem);
	for (i = 0; i < slots->nr; i++) {
		struct mem_slot *slot = slots->slot[i];

		if (slot->file)
			mem_zap_slot(slot, slot->first, slot->first + slot->npages - 1, NULL,
				     &zap);
	}
	srcu_read_unlock(&mem->srcu, idx);
	mem_zap(vm, 0, EPT_GFN_END, true, &zap);
	mem_flush(vm);
	ept_zap_free(&zap);
	mem_derived_forget(vm);
}

void mem_vm_destroy(struct emys_vm *vm)
{
	/* A VM that failed half-made was never killed */
	WRITE_ONCE(vm->mem.dead, true);
	mem_notifier_destroy(vm);
	/* The objects forget the VM before its EPT goes */
	mem_slots_destroy(vm);
	cancel_delayed_work_sync(&vm->mem.derived.forget);
	mem_derived_forget(vm);
	ept_destroy(&vm->mem.ept);
}

void mem_vcpu_destroy(struct emys_vcpu *vcpu)
{
	ept_cache_drain(&vcpu->ept_cache);
	if (vcpu->derived_node)
		derived_node_free(vcpu->derived_node);
	vcpu->derived_node = NULL;
}
