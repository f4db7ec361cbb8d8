// SPDX-License-Identifier: GPL-2.0-only
/* Registers of a vCPU: read lazily from the VMCS, written back before entry. */
#include "../emys.h"
#include "internal.h"

/* Base, limit, access rights and selector of a segment are four fields two apart. */
#define SEG_SEL(seg)	(GUEST_ES_SELECTOR + 2 * (seg))
#define SEG_BASE(seg)	(GUEST_ES_BASE + 2 * (seg))
#define SEG_LIMIT(seg)	(GUEST_ES_LIMIT + 2 * (seg))
#define SEG_AR(seg)	(GUEST_ES_AR_BYTES + 2 * (seg))

#define AR_UNUSABLE	BIT(16)

void vmx_fill(struct emys_vcpu *vcpu, u32 bits)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	bits &= ~vmx->avail;
	vmx_vmcs_get(vcpu);
	if (bits & VMX_AV_RIP)
		vmx->rip = vmcs_readl(GUEST_RIP);
	if (bits & VMX_AV_RSP)
		vcpu->regs[4] = vmcs_readl(GUEST_RSP);
	if (bits & VMX_AV_RFLAGS)
		vmx->rflags = vmcs_readl(GUEST_RFLAGS);
	if (bits & VMX_AV_CR0)
		vmx->cr0 = (vmx->cr0 & ~vmx->cr0_owned) |
			   (vmcs_readl(GUEST_CR0) & vmx->cr0_owned);
	if (bits & VMX_AV_CR3)
		vmx->cr3 = vmcs_readl(GUEST_CR3);
	if (bits & VMX_AV_CR4)
		vmx->cr4 = (vmx->cr4 & ~vmx->cr4_owned) |
			   (vmcs_readl(GUEST_CR4) & vmx->cr4_owned);
	if (bits & VMX_AV_CS) {
		vmx->cs_base = vmcs_readl(GUEST_CS_BASE);
		vmx->cs_ar = vmcs_read32(GUEST_CS_AR_BYTES);
	}
	if (bits & VMX_AV_SS)
		vmx->ss_ar = vmcs_read32(GUEST_SS_AR_BYTES);
	if (bits & VMX_AV_INTR)
		vmx->intr_shadow = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	vmx_vmcs_put(vcpu);
	vmx->avail |= bits;
}

u64 vmx_get_rip(struct emys_vcpu *vcpu)
{
	return vmx_rip(vcpu);
}

u64 vmx_get_rflags(struct emys_vcpu *vcpu)
{
	return vmx_rflags(vcpu);
}

void vmx_set_rflags(struct emys_vcpu *vcpu, u64 rflags)
{
	vcpu->vmx.rflags = (rflags & 0x3f7fd5) | X86_EFLAGS_FIXED;
	vcpu->vmx.avail |= VMX_AV_RFLAGS;
	vcpu->vmx.dirty |= VMX_AV_RFLAGS;
}

u64 vmx_get_cr0(struct emys_vcpu *vcpu)
{
	vmx_need(vcpu, VMX_AV_CR0);
	return vcpu->vmx.cr0;
}

u64 vmx_get_cr3(struct emys_vcpu *vcpu)
{
	vmx_need(vcpu, VMX_AV_CR3);
	return vcpu->vmx.cr3;
}

u64 vmx_get_cr4(struct emys_vcpu *vcpu)
{
	vmx_need(vcpu, VMX_AV_CR4);
	return vcpu->vmx.cr4;
}

/* In every mode the CPL is the DPL of SS: the manual's "Guest Register State". */
int vmx_get_cpl(struct emys_vcpu *vcpu)
{
	return (vmx_ss_ar(vcpu) >> 5) & 3;
}

bool vmx_is_64bit(struct emys_vcpu *vcpu)
{
	if (!(vcpu->msrs.efer & EFER_LMA))
		return false;
	/* In the section without the base, which fewer ask for. */
	if (!(vcpu->vmx.avail & VMX_AV_CS) && vcpu->vmx.in_section)
		return vmcs_read32(GUEST_CS_AR_BYTES) & BIT(13);
	vmx_need(vcpu, VMX_AV_CS);
	return vcpu->vmx.cs_ar & BIT(13);
}

void vmx_gwalk_regs(struct emys_vcpu *vcpu, struct gwalk_regs *r)
{
	vmx_need(vcpu, VMX_AV_CR0 | VMX_AV_CR3 | VMX_AV_CR4 | VMX_AV_RFLAGS | VMX_AV_SS);
	memset(r, 0, sizeof(*r));
	r->cr0 = vcpu->vmx.cr0;
	r->cr3 = vcpu->vmx.cr3;
	r->cr4 = vcpu->vmx.cr4;
	r->efer = vcpu->msrs.efer;
	r->rflags = vcpu->vmx.rflags;
	r->cpl = vmx_get_cpl(vcpu);
	r->maxphyaddr = vcpu->feat.maxphyaddr;
	r->has_1g = vcpu->feat.has_1g;
	if ((r->cr0 & X86_CR0_PG) && (r->cr4 & X86_CR4_PAE) && !(r->efer & EFER_LMA)) {
		vmx_vmcs_get(vcpu);
		r->pdptr[0] = vmcs_read64(GUEST_PDPTR0);
		r->pdptr[1] = vmcs_read64(GUEST_PDPTR1);
		r->pdptr[2] = vmcs_read64(GUEST_PDPTR2);
		r->pdptr[3] = vmcs_read64(GUEST_PDPTR3);
		vmx_vmcs_put(vcpu);
	}
}

void vmx_insn_done(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (unlikely(vmx_intr_shadow(vcpu) & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))) {
		vmx->intr_shadow &= ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);
		vmx->dirty |= VMX_AV_INTR;
		vmx->events_check = true;
	}
	if (unlikely(vmx_rflags(vcpu) & X86_EFLAGS_TF)) {
		vmx_vmcs_get(vcpu);
		vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS,
			    vmcs_readl(GUEST_PENDING_DBG_EXCEPTIONS) | BIT(14));
		vmx_vmcs_put(vcpu);
	}
	if (unlikely(vmx_l1_traps(vcpu)))
		nested_trap(vcpu);
}

void vmx_skip(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 rip = vmx_rip(vcpu);
	u32 len = vmx->in_section ? vmcs_read32(VM_EXIT_INSTRUCTION_LEN) : vmx->exit.insn_len;

	rip += len;
	/* Outside 64-bit mode the instruction pointer is 32 bits wide and wraps. */
	if (unlikely(rip >> 32) && !vmx_is_64bit(vcpu))
		rip = (u32)rip;
	vmx_set_rip(vcpu, rip);
	vmx_insn_done(vcpu);
}

bool vmx_interrupt_allowed(struct emys_vcpu *vcpu)
{
	return (vmx_rflags(vcpu) & X86_EFLAGS_IF) &&
	       !(vmx_intr_shadow(vcpu) & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
}

void vmx_get_regs(struct emys_vcpu *vcpu, struct kvm_regs *r)
{
	const u64 *g = vcpu->regs;

	vmx_need(vcpu, VMX_AV_RIP | VMX_AV_RSP | VMX_AV_RFLAGS);
	r->rax = g[0];
	r->rcx = g[1];
	r->rdx = g[2];
	r->rbx = g[3];
	r->rsp = g[4];
	r->rbp = g[5];
	r->rsi = g[6];
	r->rdi = g[7];
	r->r8 = g[8];
	r->r9 = g[9];
	r->r10 = g[10];
	r->r11 = g[11];
	r->r12 = g[12];
	r->r13 = g[13];
	r->r14 = g[14];
	r->r15 = g[15];
	r->rip = vcpu->vmx.rip;
	r->rflags = vcpu->vmx.rflags;
}

void vmx_set_regs(struct emys_vcpu *vcpu, const struct kvm_regs *r)
{
	u64 *g = vcpu->regs;

	g[0] = r->rax;
	g[1] = r->rcx;
	g[2] = r->rdx;
	g[3] = r->rbx;
	vmx_set_gpr(vcpu, 4, r->rsp);
	g[5] = r->rbp;
	g[6] = r->rsi;
	g[7] = r->rdi;
	g[8] = r->r8;
	g[9] = r->r9;
	g[10] = r->r10;
	g[11] = r->r11;
	g[12] = r->r12;
	g[13] = r->r13;
	g[14] = r->r14;
	g[15] = r->r15;
	vmx_set_rip(vcpu, r->rip);
	vmx_set_rflags(vcpu, r->rflags);
	vcpu->debug.entered = false;
	/* As KVM: new registers forget an exception that was queued for the old ones. */
	vcpu->ev.exception.pending = false;
	vcpu->vmx.events_check = true;
}

void vmx_get_segment(struct emys_vcpu *vcpu, int seg, struct kvm_segment *s)
{
	u32 ar;

	vmx_vmcs_get(vcpu);
	s->base = __vmcs_read(SEG_BASE(seg));
	s->limit = __vmcs_read(SEG_LIMIT(seg));
	s->selector = __vmcs_read(SEG_SEL(seg));
	ar = __vmcs_read(SEG_AR(seg));
	vmx_vmcs_put(vcpu);
	s->unusable = !!(ar & AR_UNUSABLE);
	s->type = ar & 15;
	s->s = (ar >> 4) & 1;
	s->dpl = (ar >> 5) & 3;
	/* An unusable segment is not present for the ABI's users, who load it back. */
	s->present = !s->unusable;
	s->avl = (ar >> 12) & 1;
	s->l = (ar >> 13) & 1;
	s->db = (ar >> 14) & 1;
	s->g = (ar >> 15) & 1;
	s->padding = 0;
}

void vmx_set_segment(struct emys_vcpu *vcpu, int seg, const struct kvm_segment *s)
{
	u32 ar = AR_UNUSABLE;

	if (!s->unusable && s->present) {
		ar = (s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 | BIT(7) |
		     (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14 | (s->g & 1) << 15;
		/* A loaded segment was accessed; VM entry insists. */
		if (seg != SEG_LDTR)
			ar |= 1;
	}
	vmx_vmcs_get(vcpu);
	__vmcs_write(SEG_BASE(seg), s->base);
	__vmcs_write(SEG_LIMIT(seg), s->limit);
	__vmcs_write(SEG_SEL(seg), s->selector);
	__vmcs_write(SEG_AR(seg), ar);
	vmx_vmcs_put(vcpu);
	if (seg == SEG_CS)
		vcpu->vmx.avail &= ~VMX_AV_CS;
	if (seg == SEG_SS)
		vcpu->vmx.avail &= ~VMX_AV_SS;
}

static void get_table(unsigned long base, unsigned long limit, struct kvm_dtable *t)
{
	memset(t, 0, sizeof(*t));
	t->base = __vmcs_read(base);
	t->limit = __vmcs_read(limit);
}

void vmx_get_sregs(struct emys_vcpu *vcpu, struct kvm_sregs *s)
{
	memset(s, 0, sizeof(*s));
	vmx_events_settle(vcpu);
	vmx_vmcs_get(vcpu);
	vmx_get_segment(vcpu, SEG_CS, &s->cs);
	vmx_get_segment(vcpu, SEG_DS, &s->ds);
	vmx_get_segment(vcpu, SEG_ES, &s->es);
	vmx_get_segment(vcpu, SEG_FS, &s->fs);
	vmx_get_segment(vcpu, SEG_GS, &s->gs);
	vmx_get_segment(vcpu, SEG_SS, &s->ss);
	vmx_get_segment(vcpu, SEG_TR, &s->tr);
	vmx_get_segment(vcpu, SEG_LDTR, &s->ldt);
	get_table(GUEST_GDTR_BASE, GUEST_GDTR_LIMIT, &s->gdt);
	get_table(GUEST_IDTR_BASE, GUEST_IDTR_LIMIT, &s->idt);
	s->cr0 = vmx_get_cr0(vcpu);
	s->cr3 = vmx_get_cr3(vcpu);
	s->cr4 = vmx_get_cr4(vcpu);
	vmx_vmcs_put(vcpu);
	s->cr2 = vcpu->cr2;
	s->efer = vcpu->msrs.efer;
	s->cr8 = vcpu->lapic ? lapic_get_cr8(vcpu) : vcpu->cr8;
	s->apic_base = vcpu->lapic ? vcpu->lapic->base : vcpu->msrs.apic_base;
	if (vcpu->ev.interrupt.injected && !vcpu->ev.interrupt.soft)
		__set_bit(vcpu->ev.interrupt.nr, (unsigned long *)s->interrupt_bitmap);
	else if (vcpu->ev.interrupt.waiting)
		__set_bit(vcpu->ev.interrupt.waiting_nr, (unsigned long *)s->interrupt_bitmap);
}

static bool cr0_valid(u64 cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return false;
	return !(cr0 & X86_CR0_PG) || (cr0 & X86_CR0_PE);
}

static bool sregs_valid(struct emys_vcpu *vcpu, const struct kvm_sregs *s)
{
	if (!cr0_valid(s->cr0) || !vmx_cr4_valid(vcpu, s->cr4))
		return false;
	if (s->efer & ~VMX_EFER_BITS)
		return false;
	if ((s->efer & EFER_LME) && (s->cr0 & X86_CR0_PG)) {
		if (!(s->cr4 & X86_CR4_PAE) || !(s->efer & EFER_LMA))
			return false;
		if (s->cr3 & ~X86_CR3_PCID_NOFLUSH & ~GENMASK_ULL(vcpu->feat.maxphyaddr - 1, 0))
			return false;
	} else if ((s->efer & EFER_LMA) || s->cs.l) {
		return false;
	}
	return true;
}

int vmx_set_sregs(struct emys_vcpu *vcpu, const struct kvm_sregs *s)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	unsigned long irq;
	int r;

	if (!sregs_valid(vcpu, s))
		return -EINVAL;
	if (vcpu->lapic) {
		r = lapic_set_base(vcpu, s->apic_base, true);
		if (r)
			return -EINVAL;
	} else {
		vcpu->msrs.apic_base = s->apic_base;
	}

	vmx_vmcs_get(vcpu);
	vcpu->msrs.efer = s->efer;
	vmx_write_cr4(vcpu, s->cr4);
	vmx_write_cr0(vcpu, s->cr0);
	vmx->cr3 = s->cr3;
	vmx->avail |= VMX_AV_CR3;
	vmcs_writel(GUEST_CR3, s->cr3);
	vmx_set_segment(vcpu, SEG_CS, &s->cs);
	vmx_set_segment(vcpu, SEG_DS, &s->ds);
	vmx_set_segment(vcpu, SEG_ES, &s->es);
	vmx_set_segment(vcpu, SEG_FS, &s->fs);
	vmx_set_segment(vcpu, SEG_GS, &s->gs);
	vmx_set_segment(vcpu, SEG_SS, &s->ss);
	vmx_set_segment(vcpu, SEG_TR, &s->tr);
	vmx_set_segment(vcpu, SEG_LDTR, &s->ldt);
	vmcs_writel(GUEST_GDTR_BASE, s->gdt.base);
	vmcs_write32(GUEST_GDTR_LIMIT, s->gdt.limit);
	vmcs_writel(GUEST_IDTR_BASE, s->idt.base);
	vmcs_write32(GUEST_IDTR_LIMIT, s->idt.limit);
	vmx->cur->tlb_cpu = -1;		/* other page tables: nothing cached holds */
	vmx_vmcs_put(vcpu);

	vcpu->cr2 = s->cr2;
	if (vcpu->lapic)
		lapic_set_cr8(vcpu, s->cr8 & 15);
	else
		vcpu->cr8 = s->cr8 & 15;
	/* Tables that are not there yet are the guest's problem at entry, not the ioctl's. */
	vmx_load_pdptrs(vcpu, s->cr3);
	irq = find_first_bit((const unsigned long *)s->interrupt_bitmap, KVM_NR_INTERRUPTS);
	if (irq < KVM_NR_INTERRUPTS) {
		vcpu->ev.interrupt.injected = false;
		vcpu->ev.interrupt.waiting = true;
		vcpu->ev.interrupt.waiting_nr = irq;
	}
	/* A BSP set up by hand at its reset vector, or whatever else: it may run. */
	cpuid_update(vcpu);
	vmx->events_check = true;
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}

void vmx_get_debugregs(struct emys_vcpu *vcpu, struct kvm_debugregs *d)
{
	memset(d, 0, sizeof(*d));
	vmx_events_settle(vcpu);
	memcpy(d->db, vcpu->dr.db, sizeof(d->db));
	d->dr6 = vcpu->dr.dr6;
	d->dr7 = vcpu->dr.dr7;
}

int vmx_set_debugregs(struct emys_vcpu *vcpu, const struct kvm_debugregs *d)
{
	if (d->flags || d->dr6 >> 32 || d->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->dr.db, d->db, sizeof(d->db));
	vcpu->dr.dr6 = (d->dr6 | 0xffff0ff0) & ~BIT_ULL(12);
	vmx_set_dr7(vcpu, d->dr7);
	return 0;
}

void vmx_sipi(struct emys_vcpu *vcpu, u8 vector)
{
	struct kvm_segment cs;

	vmx_get_segment(vcpu, SEG_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	vmx_set_segment(vcpu, SEG_CS, &cs);
	vmx_set_rip(vcpu, 0);
}

/* "Processor State After Reset"; INIT keeps the FPU, most MSRs and the cache bits of CR0. */
void vmx_vcpu_reset(struct emys_vcpu *vcpu, bool init)
{
	const struct kvm_segment data = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };
	struct kvm_segment cs = data, ldt = data, tr = data;
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u64 cr0 = X86_CR0_NW | X86_CR0_CD | X86_CR0_ET;

	cs.type = 11;
	cs.selector = 0xf000;
	cs.base = 0xffff0000;
	ldt.type = 2;
	ldt.s = 0;
	tr.type = 11;
	tr.s = 0;
	if (init)
		cr0 = (vmx_get_cr0(vcpu) & (X86_CR0_NW | X86_CR0_CD)) | X86_CR0_ET;

	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[2] = 0x600;
	memset(&vcpu->ev, 0, sizeof(vcpu->ev));
	memset(&vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr.dr6 = 0xffff0ff0;
	vcpu->cr2 = 0;
	vcpu->cr8 = 0;
	vcpu->msrs.efer = 0;
	if (!init)
		vcpu->msrs.pat = 0x0007040600070406ull;

	vmx_vmcs_get(vcpu);
	vmx_set_segment(vcpu, SEG_CS, &cs);
	vmx_set_segment(vcpu, SEG_DS, &data);
	vmx_set_segment(vcpu, SEG_ES, &data);
	vmx_set_segment(vcpu, SEG_FS, &data);
	vmx_set_segment(vcpu, SEG_GS, &data);
	vmx_set_segment(vcpu, SEG_SS, &data);
	vmx_set_segment(vcpu, SEG_LDTR, &ldt);
	vmx_set_segment(vcpu, SEG_TR, &tr);
	vmcs_writel(GUEST_GDTR_BASE, 0);
	vmcs_write32(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_writel(GUEST_IDTR_BASE, 0);
	vmcs_write32(GUEST_IDTR_LIMIT, 0xffff);
	vmx_write_cr4(vcpu, 0);
	vmx_write_cr0(vcpu, cr0);
	vmcs_writel(GUEST_CR3, 0);
	vmx_set_dr7(vcpu, 0);
	vmcs_write32(GUEST_SYSENTER_CS, 0);
	vmcs_writel(GUEST_SYSENTER_ESP, 0);
	vmcs_writel(GUEST_SYSENTER_EIP, 0);
	vmcs_write64(GUEST_IA32_DEBUGCTL, 0);
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PAT)
		vmcs_write64(GUEST_IA32_PAT, vcpu->msrs.pat);
	vmcs_write32(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmx->dirty = 0;
	vmx->avail = VMX_AV_CR0 | VMX_AV_CR4;
	vmx_set_gpr(vcpu, 4, 0);
	vmx_set_rip(vcpu, 0xfff0);
	vmx_set_rflags(vcpu, X86_EFLAGS_FIXED);
	vmx->cur->tlb_cpu = -1;
	vmx->events_check = true;
	vmx_vmcs_put(vcpu);
}
