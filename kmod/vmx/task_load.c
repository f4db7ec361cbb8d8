// SPDX-License-Identifier: GPL-2.0-only
/*
 * The new task of a task switch: registers and segments, loaded after the commit
 * point. A fault is the new task's, whose first instruction has not run.
 */
#include "../emys.h"
#include "internal.h"
#include "task.h"

#define DR7_LOCAL	0x155ull	/* L0 to L3 and LE */

/*
 * Selectors of the new task with segments that a VM entry takes: a fault while
 * they are loaded is delivered with them, at the new CPL. No instruction of the
 * task ever runs with them.
 */
static void blank_segments(struct task_switch *t)
{
	struct kvm_segment s = { .limit = ~0u, .s = 1, .present = 1, .db = 1, .g = 1 };
	unsigned int i;

	s.dpl = t->new.regs.sel[SEG_CS] & 3;
	for (i = SEG_ES; i <= SEG_GS; i++) {
		s.selector = t->new.regs.sel[i];
		s.type = i == SEG_CS ? 11 : 3;
		s.unusable = i != SEG_CS && i != SEG_SS;
		vmx_set_segment(t->vcpu, i, &s);
	}
	memset(&t->ldt, 0, sizeof(t->ldt));
	t->ldt.selector = t->new.ldt;
	t->ldt.unusable = 1;
	vmx_set_segment(t->vcpu, SEG_LDTR, &t->ldt);
}

static void v86_segments(struct task_switch *t)
{
	struct kvm_segment s = { .limit = 0xffff, .type = 3, .s = 1, .dpl = 3, .present = 1 };
	unsigned int i;

	for (i = SEG_ES; i <= SEG_GS; i++) {
		s.selector = t->new.regs.sel[i];
		s.base = s.selector << 4;
		vmx_set_segment(t->vcpu, i, &s);
	}
}

int task_load(struct task_switch *t)
{
	struct emys_vcpu *vcpu = t->vcpu;
	const struct tss32 *new = &t->new;
	u32 eflags = new->regs.eflags;
	unsigned int i;

	if (task_nests(t))
		eflags |= X86_EFLAGS_NT;
	t->tss.type |= TYPE_BUSY;
	vmx_set_segment(vcpu, SEG_TR, &t->tss);
	vmx_write_cr0(vcpu, vmx_get_cr0(vcpu) | X86_CR0_TS);
	vmx_set_rip(vcpu, new->regs.eip);
	vmx_set_rflags(vcpu, eflags);
	for (i = 0; i < 8; i++)
		vmx_set_gpr(vcpu, i, new->regs.gpr[i]);
	vmx_set_dr7(vcpu, vcpu->dr.dr7 & ~DR7_LOCAL);
	vcpu->vmx.intr_shadow &= ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);
	if (t->source == TASK_IRET)
		vcpu->vmx.intr_shadow &= ~GUEST_INTR_STATE_NMI;
	vcpu->vmx.dirty |= VMX_AV_INTR;
	if (eflags & X86_EFLAGS_VM)
		v86_segments(t);
	else
		blank_segments(t);
	if ((vmx_get_cr0(vcpu) & X86_CR0_PG) && (t->tss.type & TYPE_WIDE) &&
	    vmx_set_cr3(vcpu, new->cr3)) {
		vmx_inject_gp(vcpu);
		return 1;
	}
	return 0;
}

static int load_ldt(struct task_switch *t)
{
	u16 sel = t->new.ldt;
	u64 desc;
	int r;

	if (sel & SEL_TI)
		return task_fault(t, VEC_TS, sel);
	if (sel < 4)
		return 0;
	if ((sel | 7) > t->gdt.limit)
		return task_fault(t, VEC_TS, sel);
	r = task_read(t, task_gdt_entry(t, sel), &desc, sizeof(desc));
	if (r)
		return r;
	task_decode(desc, sel, &t->ldt);
	if (t->ldt.s || t->ldt.type != 2 || !t->ldt.present)
		return task_fault(t, VEC_TS, sel);
	vmx_set_segment(t->vcpu, SEG_LDTR, &t->ldt);
	return 0;
}

/* The table of "Exception Conditions Checked During a Task Switch", from the code segment on. */
static bool segment_allowed(const struct kvm_segment *s, int seg, u8 cpl)
{
	u8 rpl = s->selector & 3;
	bool code = s->type & 8, conforming = code && (s->type & 4);

	if (!s->s)
		return false;
	switch (seg) {
	case SEG_CS:
		return code && (conforming ? s->dpl <= rpl : s->dpl == rpl);
	case SEG_SS:
		return !code && (s->type & 2) && rpl == cpl && s->dpl == cpl;
	default:
		/* Readable, and no more privileged than who uses it. */
		return (!code || (s->type & 2)) && (conforming || s->dpl >= max(rpl, cpl));
	}
}

static int load_segment(struct task_switch *t, int seg)
{
	u16 sel = t->new.regs.sel[seg];
	u64 desc, at, limit = t->gdt.limit;
	struct kvm_segment s;
	int r;

	if (sel < 4)
		return seg == SEG_CS || seg == SEG_SS ? task_fault(t, VEC_TS, sel) : 0;
	at = task_gdt_entry(t, sel);
	if (sel & SEL_TI) {
		at = t->ldt.base + (sel & ~7);
		limit = t->ldt.limit;
	}
	if (((sel & SEL_TI) && t->ldt.unusable) || (sel | 7) > limit)
		return task_fault(t, VEC_TS, sel);
	r = task_read(t, at, &desc, sizeof(desc));
	if (r)
		return r;
	task_decode(desc, sel, &s);
	if (!segment_allowed(&s, seg, t->new.regs.sel[SEG_CS] & 3))
		return task_fault(t, VEC_TS, sel);
	if (!s.present)
		return task_fault(t, seg == SEG_SS ? VEC_SS : VEC_NP, sel);
	if (!(s.type & 1)) {
		u8 byte = (desc >> 40) | 1;

		r = task_write(t, at + DESC_ACCESS, &byte, 1);
		if (r)
			return r;
	}
	vmx_set_segment(t->vcpu, seg, &s);
	return 0;
}

int task_load_segments(struct task_switch *t)
{
	static const u8 order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	unsigned int i;
	int r = load_ldt(t);

	if (t->new.regs.eflags & X86_EFLAGS_VM)
		return r;
	for (i = 0; !r && i < ARRAY_SIZE(order); i++)
		r = load_segment(t, order[i]);
	return r;
}

int task_push_error(struct task_switch *t, u32 error)
{
	struct emys_vcpu *vcpu = t->vcpu;
	u32 size = t->tss.type & TYPE_WIDE ? 4 : 2, mask, sp, pf;
	struct kvm_segment ss;
	bool fits;
	u64 at;
	int r;

	vmx_get_segment(vcpu, SEG_SS, &ss);
	mask = ss.db ? ~0u : 0xffff;
	sp = (vmx_gpr(vcpu, 4) - size) & mask;
	if (ss.type & 4)		/* expand-down: above the limit */
		fits = sp > ss.limit && sp <= mask - (size - 1);
	else
		fits = ss.limit >= size - 1 && sp <= ss.limit - (size - 1);
	if (!fits)
		return task_fault(t, VEC_SS, 0);
	r = mem_write_gva(vcpu, (u32)(ss.base + sp), &error, size,
			  vmx_get_cpl(vcpu) == 3 ? GWALK_USER : 0, &pf, &at);
	if (r > 0)
		vmx_inject_pf(vcpu, at, pf);
	if (!r)
		vmx_set_gpr(vcpu, 4, (vmx_gpr(vcpu, 4) & ~mask) | sp);
	return r;
}
