// SPDX-License-Identifier: GPL-2.0-only
/* Control and debug registers, EFER: what the guest may set, and what the CPU then has. */
#include <linux/bug.h>
#include <linux/percpu.h>
#include <asm/special_insns.h>
#include <asm/debugreg.h>

#include "../emys.h"
#include "internal.h"

/* What the guest sees of CR0 and what runs: NE must be on, caching is the host's business. */
void vmx_write_cr0(struct emys_vcpu *vcpu, u64 cr0)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 *efer = &vcpu->msrs.efer;
	u32 entry;
	u64 hw;

	cr0 |= X86_CR0_ET;
	hw = cr0 & ~(X86_CR0_CD | X86_CR0_NW);
	hw |= vmx_caps.cr0_fixed0 & ~(X86_CR0_PE | X86_CR0_PG);
	hw &= vmx_caps.cr0_fixed1;

	if ((cr0 & X86_CR0_PG) && (*efer & EFER_LME))
		*efer |= EFER_LMA;
	else
		*efer &= ~EFER_LMA;

	vmx->cr0 = cr0;
	vmx->cr0_owned = VMX_CR0_OWNED & ~vmx->cr0_l1.mask;
	vmx->avail |= VMX_AV_CR0;
	entry = vmx_caps.entry | (*efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0);
	vmx_vmcs_get(vcpu);
	vmcs_writel(CR0_GUEST_HOST_MASK, ~vmx->cr0_owned);
	vmcs_writel(CR0_READ_SHADOW, (cr0 & ~vmx->cr0_l1.mask) | vmx->cr0_l1.shadow);
	vmcs_writel(GUEST_CR0, hw);
	vmcs_write32(VM_ENTRY_CONTROLS, entry);
	vmcs_write64(GUEST_IA32_EFER, *efer);
	vmx_vmcs_put(vcpu);
}

void vmx_write_cr4(struct emys_vcpu *vcpu, u64 cr4)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 hw = cr4 | vmx_caps.cr4_fixed0;

	/* With MCE clear, a machine check in the guest would shut the CPU down. */
	hw |= __read_cr4() & X86_CR4_MCE;
	vmx->cr4 = cr4;
	vmx->cr4_owned = VMX_CR4_OWNED & ~vcpu->feat.cr4_reserved & ~vmx->cr4_l1.mask;
	vmx->avail |= VMX_AV_CR4;
	vmx_vmcs_get(vcpu);
	vmcs_writel(CR4_GUEST_HOST_MASK, ~vmx->cr4_owned);
	vmcs_writel(CR4_READ_SHADOW, (cr4 & ~vmx->cr4_l1.mask) | vmx->cr4_l1.shadow);
	vmcs_writel(GUEST_CR4, hw);
	vmx_vmcs_put(vcpu);
}

bool vmx_cr4_valid(struct emys_vcpu *vcpu, u64 cr4)
{
	return !(cr4 & vcpu->feat.cr4_reserved) && !(cr4 & ~vmx_caps.cr4_fixed1 & ~X86_CR4_VMXE);
}

/* @gpa is the running guest's own. -EFAULT: what its hypervisor has there forbids it. */
static int read_pdptes(struct emys_vcpu *vcpu, u64 gpa, u64 pdpte[4])
{
	if (unlikely(vcpu->gpa_map) && vcpu->gpa_map(vcpu, gpa, GWALK_PDPTE, &gpa))
		return -EFAULT;
	if (mem_read(vcpu->vm, gpa, pdpte, 4 * sizeof(*pdpte)))
		memset(pdpte, 0, 4 * sizeof(*pdpte));
	return 0;
}

/* "PDPTE Registers": PAE paging loads four entries with MOV to CR; reserved bits there are #GP. */
int vmx_load_pdptrs(struct emys_vcpu *vcpu, u64 cr3)
{
	u64 pdpte[4], reserved;
	int i;

	if (!(vmx_get_cr0(vcpu) & X86_CR0_PG) || !(vmx_get_cr4(vcpu) & X86_CR4_PAE) ||
	    (vcpu->msrs.efer & EFER_LMA))
		return 0;
	if (read_pdptes(vcpu, cr3 & 0xffffffe0, pdpte))
		return -EFAULT;
	reserved = ~GENMASK_ULL(vcpu->feat.maxphyaddr - 1, 12) & ~(u64)(BIT(0) | BIT(3) | BIT(4)) &
		   ~GENMASK_ULL(11, 9);
	for (i = 0; i < 4; i++)
		if ((pdpte[i] & 1) && (pdpte[i] & reserved))
			return -EINVAL;
	vmx_vmcs_get(vcpu);
	vmcs_write64(GUEST_PDPTR0, pdpte[0]);
	vmcs_write64(GUEST_PDPTR1, pdpte[1]);
	vmcs_write64(GUEST_PDPTR2, pdpte[2]);
	vmcs_write64(GUEST_PDPTR3, pdpte[3]);
	vmx_vmcs_put(vcpu);
	return 0;
}

/* Entering IA-32e mode wants a 64-bit TSS; the manual lets the type stay what it was. */
static void busy_tss64(struct emys_vcpu *vcpu)
{
	u32 ar;

	vmx_vmcs_get(vcpu);
	ar = vmcs_read32(GUEST_TR_AR_BYTES);
	if ((ar & 0xf) != 0xb)
		vmcs_write32(GUEST_TR_AR_BYTES, (ar & ~0xfu) | 0xb);
	vmx_vmcs_put(vcpu);
}

int vmx_set_cr0(struct emys_vcpu *vcpu, u64 cr0)
{
	u64 old = vmx_get_cr0(vcpu), cr4 = vmx_get_cr4(vcpu), efer = vcpu->msrs.efer;
	int r;

	if (cr0 >> 32)
		return -EINVAL;
	cr0 &= X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE |
	       X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return -EINVAL;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return -EINVAL;
	if (!nested_cr0_valid(vcpu, cr0))
		return -EINVAL;
	if ((cr0 & X86_CR0_PG) && !(old & X86_CR0_PG) && (efer & EFER_LME)) {
		if (!(cr4 & X86_CR4_PAE))
			return -EINVAL;
		vmx_need(vcpu, VMX_AV_CS);
		if (vcpu->vmx.cs_ar & BIT(13))
			return -EINVAL;
		busy_tss64(vcpu);
	}
	if (!(cr0 & X86_CR0_PG) && (old & X86_CR0_PG)) {
		if ((cr4 & X86_CR4_PCIDE) || vmx_is_64bit(vcpu))
			return -EINVAL;
	}
	vmx_write_cr0(vcpu, cr0);
	if ((cr0 ^ old) & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) {
		r = vmx_load_pdptrs(vcpu, vmx_get_cr3(vcpu));
		if (r) {
			vmx_write_cr0(vcpu, old);
			return r;
		}
	}
	/* Software that changes PE or PG counts on a flushed TLB. */
	if ((cr0 ^ old) & (X86_CR0_PG | X86_CR0_PE))
		vcpu->vmx.cur->tlb_cpu = -1;
	return 0;
}

int vmx_set_cr3(struct emys_vcpu *vcpu, u64 cr3)
{
	int r;

	if (vcpu->msrs.efer & EFER_LMA) {
		if (vmx_get_cr4(vcpu) & X86_CR4_PCIDE)
			cr3 &= ~X86_CR3_PCID_NOFLUSH;
		if (cr3 & ~GENMASK_ULL(vcpu->feat.maxphyaddr - 1, 0))
			return -EINVAL;
	}
	r = vmx_load_pdptrs(vcpu, cr3);
	if (r)
		return r;
	vmx_vmcs_get(vcpu);
	vmcs_writel(GUEST_CR3, cr3);
	vmx_vmcs_put(vcpu);
	vcpu->vmx.cr3 = cr3;
	vcpu->vmx.avail |= VMX_AV_CR3;
	vcpu->vmx.cur->tlb_cpu = -1;
	return 0;
}

int vmx_set_cr4(struct emys_vcpu *vcpu, u64 cr4)
{
	const u64 pdptr_bits = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP;
	u64 old = vmx_get_cr4(vcpu);
	int r;

	if (!vmx_cr4_valid(vcpu, cr4) || !nested_cr4_valid(vcpu, cr4))
		return -EINVAL;
	if ((vcpu->msrs.efer & EFER_LMA) && !(cr4 & X86_CR4_PAE))
		return -EINVAL;
	if ((cr4 & X86_CR4_PCIDE) && !(old & X86_CR4_PCIDE)) {
		if (!(vcpu->msrs.efer & EFER_LMA) || (vmx_get_cr3(vcpu) & 0xfff))
			return -EINVAL;
	}
	vmx_write_cr4(vcpu, cr4);
	if ((cr4 ^ old) & pdptr_bits) {
		r = vmx_load_pdptrs(vcpu, vmx_get_cr3(vcpu));
		if (r) {
			vmx_write_cr4(vcpu, old);
			return r;
		}
	}
	if ((cr4 ^ old) & (pdptr_bits | X86_CR4_SMAP | X86_CR4_PCIDE))
		vcpu->vmx.cur->tlb_cpu = -1;
	if ((cr4 ^ old) & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		cpuid_update(vcpu);
	return 0;
}

int vmx_set_efer(struct emys_vcpu *vcpu, u64 efer, bool host)
{
	u64 old = vcpu->msrs.efer;

	if (efer & ~(host ? VMX_EFER_BITS : vcpu->feat.efer_allowed | EFER_LMA))
		return -EINVAL;
	/* LME is frozen while paging is on; LMA is the CPU's to set. */
	if (!host && (vmx_get_cr0(vcpu) & X86_CR0_PG) && ((efer ^ old) & EFER_LME))
		return -EINVAL;
	vcpu->msrs.efer = (efer & ~EFER_LMA) | (old & EFER_LMA);
	if (host)
		vcpu->msrs.efer = efer;
	vmx_vmcs_get(vcpu);
	vmcs_write64(GUEST_IA32_EFER, vcpu->msrs.efer);
	vmcs_write32(VM_ENTRY_CONTROLS, vmx_caps.entry |
		     (vcpu->msrs.efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0));
	if ((efer ^ old) & EFER_NX)
		vcpu->vmx.cur->tlb_cpu = -1;
	vmx_vmcs_put(vcpu);
	/* With SCE on, the targets of SYSCALL must be the guest's before it runs on. */
	vmx_user_msrs_changed(vcpu);
	return 0;
}

static void put_cr(struct emys_vcpu *vcpu, unsigned int reg, u64 val)
{
	vmx_set_gpr(vcpu, reg, vmx_is_64bit(vcpu) ? val : (u32)val);
}

/* "Exit Qualification for Control-Register Accesses". */
int vmx_handle_cr(struct emys_vcpu *vcpu)
{
	u64 qual = vcpu->vmx.exit.qual, val, old, cr0;
	unsigned int cr = qual & 15, reg = (qual >> 8) & 15;
	int r = 0;

	switch ((qual >> 4) & 3) {
	case 0:			/* MOV to CR */
		val = vmx_gpr(vcpu, reg);
		if (!vmx_is_64bit(vcpu))
			val = (u32)val;
		switch (cr) {
		case 0:
			r = vmx_set_cr0(vcpu, val);
			break;
		case 3:
			r = vmx_set_cr3(vcpu, val);
			break;
		case 4:
			r = vmx_set_cr4(vcpu, val);
			break;
		case 8:
			if (val & ~15ull) {
				r = -EINVAL;
				break;
			}
			if (vcpu->lapic) {
				lapic_set_cr8(vcpu, val);
				break;
			}
			old = vcpu->cr8;
			vcpu->cr8 = val;
			vmx_skip(vcpu);
			/* The VMM's APIC holds something back only while the priority is high. */
			if (val >= old)
				return EMYS_RESUME;
			vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
			vcpu->vmx.tpr_exit = true;
			return EMYS_USER;
		default:
			vmx_inject_ud(vcpu);
			return EMYS_RESUME;
		}
		break;
	case 1:			/* MOV from CR */
		if (cr == 3) {
			put_cr(vcpu, reg, vmx_get_cr3(vcpu));
		} else if (cr == 8) {
			put_cr(vcpu, reg, vcpu->lapic ? lapic_get_cr8(vcpu) : vcpu->cr8);
		} else {
			vmx_inject_ud(vcpu);
			return EMYS_RESUME;
		}
		break;
	case 2:			/* CLTS */
		vmx_write_cr0(vcpu, vmx_get_cr0(vcpu) & ~X86_CR0_TS);
		break;
	case 3:			/* LMSW: cannot clear PE */
		cr0 = vmx_get_cr0(vcpu);
		val = (qual >> 16) & 15;
		r = vmx_set_cr0(vcpu, (cr0 & ~0xeull) | val);
		break;
	}
	if (r == -EFAULT)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	if (r)
		vmx_inject_gp(vcpu);
	else
		vmx_skip(vcpu);
	return EMYS_RESUME;
}

static void load_breakpoints(const u64 *db)
{
	set_debugreg(db[0], 0);
	set_debugreg(db[1], 1);
	set_debugreg(db[2], 2);
	set_debugreg(db[3], 3);
}

void vmx_dr_load(struct emys_vcpu *vcpu)
{
	/* A breakpoint of the host's must not meet an address of the guest's before the entry. */
	if (unlikely(hw_breakpoint_active()))
		set_debugreg(0, 7);
	/* The guest's own are not in the CPU then: dr_loaded stays off. */
	if (unlikely(vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP)) {
		load_breakpoints(vcpu->debug.db);
		set_debugreg(DR6_RESERVED, 6);
		return;
	}
	load_breakpoints(vcpu->dr.db);
	set_debugreg(vcpu->dr.dr6, 6);
	vcpu->vmx.dr_loaded = true;
	vmx_exec_update(vcpu, 0, CPU_BASED_MOV_DR_EXITING);
}

/* The exit saved DR7 in the VMCS and left a harmless one in the CPU. */
void vmx_dr_save(struct emys_vcpu *vcpu)
{
	get_debugreg(vcpu->dr.db[0], 0);
	get_debugreg(vcpu->dr.db[1], 1);
	get_debugreg(vcpu->dr.db[2], 2);
	get_debugreg(vcpu->dr.db[3], 3);
	get_debugreg(vcpu->dr.dr6, 6);
	vcpu->dr.dr7 = vmcs_readl(GUEST_DR7);
	vcpu->vmx.dr_wanted = vcpu->dr.dr7 & 0xff;
	vcpu->vmx.dr_loaded = false;
	set_debugreg(DR6_RESERVED, 6);
	vmx_exec_update(vcpu, CPU_BASED_MOV_DR_EXITING, 0);
}

/*
 * The first MOV DR of a section: give the guest the registers for the rest of
 * it, and let it do the MOV again. Whoever debugs the host keeps his: they are
 * in the task's and the CPU's own state and come back at the section's end.
 */
int vmx_handle_dr(struct emys_vcpu *vcpu)
{
	if (unlikely(vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP))
		return vmx_debug_mov_dr(vcpu);
	vmx_dr_load(vcpu);
	return EMYS_RESUME;
}
