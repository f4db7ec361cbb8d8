// SPDX-License-Identifier: GPL-2.0-only
/* One vCPU's VMCS: made, made current for a moment, and its controls. */
#include <linux/idr.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/mm.h>
#include <asm/io.h>

#include "../emys.h"
#include "entry.h"
#include "internal.h"
#include "msr_filter.h"
#include "own.h"

static DEFINE_IDA(vpid_ida);

int __init vmx_vpid_init(void)
{
	return 0;
}

void vmx_vpid_exit(void)
{
	ida_destroy(&vpid_ida);
}

noinline void vmcs_read_failed(unsigned long field)
{
	struct emys_vcpu *vcpu = vmx_own_vcpu();

	if (vcpu)
		emys_vm_broken(vcpu->vm, "VMREAD of field 0x%lx failed", field);
}

noinline void vmcs_write_failed(unsigned long field, unsigned long val)
{
	struct emys_vcpu *vcpu = vmx_own_vcpu();

	if (vcpu)
		emys_vm_broken(vcpu->vm, "VMWRITE of 0x%lx to field 0x%lx failed", val, field);
}

void vmx_vmcs_load(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	unsigned long flags;
	int r;

	local_irq_save(flags);
	vmx->irqflags = flags;
	r = vmx_own_enter(vmx->cur->pa);
	vmx_own_set_vcpu(vcpu);
	if (r)
		emys_vm_broken(vcpu->vm, "no VMX operation on CPU %d: %d", smp_processor_id(), r);
}

void vmx_vmcs_unload(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	vmx_own_set_vcpu(NULL);
	vmx_own_leave(vmx->cur->pa);
	local_irq_restore(vmx->irqflags);
}

void vmx_exec_update(struct emys_vcpu *vcpu, u32 set, u32 clear)
{
	u32 val = (vcpu->vmx.cur->exec & ~clear) | set | vcpu->vmx.cur->exec_keep;

	if (val == vcpu->vmx.cur->exec)
		return;
	vcpu->vmx.cur->exec = val;
	vmx_vmcs_get(vcpu);
	vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, val);
	vmx_vmcs_put(vcpu);
}

void vmx_exec2_update(struct emys_vcpu *vcpu, u32 set, u32 clear)
{
	u32 val = (vcpu->vmx.cur->exec2 & ~clear) | (set & vmx_caps.proc2);

	if (val == vcpu->vmx.cur->exec2)
		return;
	vcpu->vmx.cur->exec2 = val;
	vmx_vmcs_get(vcpu);
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, val);
	vmx_vmcs_put(vcpu);
}

void vmx_msr_passthrough(struct emys_vcpu *vcpu, u32 msr, bool read, bool write)
{
	unsigned long *map = vcpu->vmx.vmcs01.msr_bitmap;
	unsigned int bit;

	/* Volume 3, "MSR-Bitmap Address": read low, read high, write low, write high. */
	if (msr < 0x2000)
		bit = msr;
	else if (msr >= 0xc0000000 && msr < 0xc0002000)
		bit = 0x2000 + (msr & 0x1fff);
	else
		return;
	read = read && msr_filter_allows(vcpu->vm, msr, KVM_MSR_FILTER_READ);
	write = write && msr_filter_allows(vcpu->vm, msr, KVM_MSR_FILTER_WRITE);
	__assign_bit(bit, map, !read);
	__assign_bit(bit + 0x4000, map, !write);
}

u64 vmx_eptp(struct emys_vcpu *vcpu)
{
	return ept_eptp(&vcpu->vm->mem.ept);
}

int vmx_vm_init(struct emys_vm *vm)
{
	vm->vmx.seen_gen = alloc_percpu_gfp(u64, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vm->vmx.seen_gen)
		return -ENOMEM;
	vm->vmx.apic_access = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vm->vmx.apic_access) {
		free_percpu(vm->vmx.seen_gen);
		vm->vmx.seen_gen = NULL;
		return -ENOMEM;
	}
	return 0;
}

void vmx_vm_destroy(struct emys_vm *vm)
{
	if (vm->vmx.apic_access)
		__free_page(vm->vmx.apic_access);
	free_percpu(vm->vmx.seen_gen);
	kfree(rcu_dereference_protected(vm->msr_filter, true));
}

/* MSRs that live in the VMCS or do not matter to the host while a guest runs. */
static const u32 passed_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

static void init_controls(struct emys_vcpu *vcpu)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;

	vmcs_write32(PIN_BASED_VM_EXEC_CONTROL, vmx_caps.pin);
	vmcs->exec = vmx_caps.proc;
	if (!vcpu->lapic || !vmx_caps.tpr_shadow)
		vmcs->exec &= ~CPU_BASED_TPR_SHADOW;
	else
		vmcs->exec &= ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
	vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, vmcs->exec);
	/* The APIC's controls follow its mode: vmx_apic_mode_changed(). */
	vmcs->exec2 = vmx_caps.proc2 &
		     ~(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
		       SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
		       SECONDARY_EXEC_APIC_REGISTER_VIRT |
		       SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | SECONDARY_EXEC_TSC_SCALING);
	/* 0 is the host's. */
	if (!vmcs->vpid)
		vmcs->exec2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, vmcs->exec2);
	vmcs_write32(VM_EXIT_CONTROLS, vmx_caps.exit);
	vmcs_write32(VM_ENTRY_CONTROLS, vmx_caps.entry);

	vmcs_write32(EXCEPTION_BITMAP, VMX_EXCEPTIONS);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write32(CR3_TARGET_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write32(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmcs_write64(VMCS_LINK_POINTER, ~0ull);
	vmcs_write64(MSR_BITMAP, __pa(vmcs->msr_bitmap));
	vmcs_write64(EPT_POINTER, vmx_eptp(vcpu));
	if (vmx_caps.spp)
		vmcs_write64(VMCS_SPPTP, ept_spptp(&vcpu->vm->mem.ept));
	vmcs_write64(TSC_OFFSET, vcpu->vmx.tsc_offset);
	if (vmcs->vpid)
		vmcs_write16(VIRTUAL_PROCESSOR_ID, vmcs->vpid);
	if (vmx_caps.xsaves)
		vmcs_write64(XSS_EXIT_BITMAP, 0);
	if (vmcs->exec2 & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write64(ENCLS_EXITING_BITMAP, ~0ull);
	if (vmx_caps.ple) {
		vmcs_write32(PLE_GAP, 128);
		vmcs_write32(PLE_WINDOW, 4096);
	}
	if (vmx_caps.perf_load) {
		vmcs_write64(GUEST_IA32_PERF_GLOBAL_CTRL, 0);
		vmcs_write64(HOST_IA32_PERF_GLOBAL_CTRL, vmcs->host_perf);
	}
	if (vcpu->lapic && vmx_caps.tpr_shadow) {
		vmcs_write64(VIRTUAL_APIC_PAGE_ADDR, __pa(vcpu->lapic->regs));
		vmcs_write32(TPR_THRESHOLD, 0);
	}
	if (vcpu->lapic && vmx_caps.apic_access)
		vmcs_write64(APIC_ACCESS_ADDR, page_to_phys(vcpu->vm->vmx.apic_access));

	/* Host state that no CPU and no task changes. */
	vmcs_write16(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write16(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write16(HOST_DS_SELECTOR, 0);
	vmcs_write16(HOST_ES_SELECTOR, 0);
	vmcs_write16(HOST_FS_SELECTOR, 0);
	vmcs_write16(HOST_GS_SELECTOR, 0);
	vmcs_writel(HOST_RIP, (unsigned long)vmx_exit_here);
}

int vmx_vmcs_alloc(struct vmx_vmcs *vmcs)
{
	int r;

	vmcs->cpu = -1;
	vmcs->tlb_cpu = -1;
	vmcs->page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vmcs->msr_bitmap = (unsigned long *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmcs->page || !vmcs->msr_bitmap)
		goto err_free;
	vmcs->pa = __pa(vmcs->page);
	*(u32 *)vmcs->page = vmx_caps.rev;
	memset(vmcs->msr_bitmap, 0xff, PAGE_SIZE);
	if (vmx_caps.vpid) {
		/* Out of VPIDs is no failure: the vCPU runs with a flush per entry. */
		r = ida_alloc_range(&vpid_ida, 1, 0xffff, GFP_KERNEL_ACCOUNT);
		if (r == -ENOMEM)
			goto err_free;
		vmcs->vpid = r > 0 ? r : 0;
	}
	return 0;

err_free:
	vmx_vmcs_free(vmcs);
	return -ENOMEM;
}

void vmx_vmcs_free(struct vmx_vmcs *vmcs)
{
	/* No CPU holds it: it was cleared at the end of its last section. */
	if (vmcs->vpid)
		ida_free(&vpid_ida, vmcs->vpid);
	free_page((unsigned long)vmcs->msr_bitmap);
	free_page((unsigned long)vmcs->page);
	memset(vmcs, 0, sizeof(*vmcs));
}

void vmx_vmcs_setup(struct emys_vcpu *vcpu, struct vmx_vmcs *vmcs)
{
	struct vmx_vmcs *cur = vcpu->vmx.cur;

	vcpu->vmx.cur = vmcs;
	vmx_vmcs_get(vcpu);
	/* CLEAR makes the region a VMCS; then it is loaded afresh. */
	vmx_insn_vmclear(vmcs->pa);
	vmx_insn_vmptrld(vmcs->pa);
	init_controls(vcpu);
	vmx_vmcs_put(vcpu);
	vcpu->vmx.cur = cur;
}

void vmx_pass_msrs(struct emys_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(passed_msrs); i++)
		vmx_msr_passthrough(vcpu, passed_msrs[i], true, true);
	vmx_msr_passthrough(vcpu, MSR_IA32_TSC, true, false);
	/* Entries load it; a write has bits that are not for guests. */
	vmx_msr_passthrough(vcpu, MSR_IA32_DEBUGCTLMSR, true, false);
	vmx_msr_passthrough(vcpu, MSR_IA32_PRED_CMD, false, vcpu->feat.has_ibpb);
	if (vcpu->vmx.spec_ctrl_passed)
		vmx_msr_passthrough(vcpu, MSR_IA32_SPEC_CTRL, true, true);
}

int vmx_vcpu_init(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	int r;

	vmx->svi_dirty = true;
	r = vmx_vmcs_alloc(&vmx->vmcs01);
	if (r)
		return r;
	vmx->cur = &vmx->vmcs01;
	vmx_pass_msrs(vcpu);
	vmx_vmcs_setup(vcpu, &vmx->vmcs01);
	return 0;
}

void vmx_vcpu_destroy(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (!vmx->cur)
		return;
	vmx_forget_vcpu(vcpu);
	vmx_vmcs_free(&vmx->vmcs01);
}
