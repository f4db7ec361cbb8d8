// SPDX-License-Identifier: GPL-2.0-only
/*
 * Task switches, which VMX leaves to software.
 *
 * Volume 3, chapters "Task Management" and "Interrupt 10—Invalid TSS Exception",
 * and "Treatment of Task Switches" for what the CPU checks before the exit. Other
 * vCPUs can change the tables meanwhile, so it is checked here again.
 *
 * Here is what comes before the commit point, where a fault belongs to the old
 * task, of which nothing has changed; task_load.c has the rest.
 */
#include "../emys.h"
#include "internal.h"
#include "task.h"

#define DR6_BT	BIT(15)

int task_fault(struct task_switch *t, u8 vector, u16 sel)
{
	vmx_queue_exception(t->vcpu, vector, true, (sel & ~3) | t->ext);
	return 1;
}

int task_read(struct task_switch *t, u64 gva, void *buf, size_t len)
{
	u32 error;
	u64 at;
	int r;

	r = mem_read_gva(t->vcpu, gva, buf, len, GWALK_IMPLICIT, &error, &at);
	if (r > 0)
		vmx_inject_pf(t->vcpu, at, error);
	return r;
}

int task_write(struct task_switch *t, u64 gva, const void *buf, size_t len)
{
	u32 error;
	u64 at;
	int r;

	r = mem_write_gva(t->vcpu, gva, buf, len, GWALK_IMPLICIT, &error, &at);
	if (r > 0)
		vmx_inject_pf(t->vcpu, at, error);
	return r;
}

/* Would a write of at most a page work? So that nothing is half done when it does not. */
static int can_write(struct task_switch *t, u64 gva, size_t len)
{
	u64 gpa, at[2] = { (u32)gva, (u32)(gva + len - 1) };
	u32 error;
	int i, r;

	for (i = 0; i < 2; i++) {
		r = mem_translate(t->vcpu, at[i], GWALK_WRITE | GWALK_IMPLICIT, &gpa, &error);
		if (r > 0)
			vmx_inject_pf(t->vcpu, at[i], error);
		if (r)
			return r;
		if (!mem_has_slot(t->vcpu->vm, gpa, true))
			return -EFAULT;
	}
	return 0;
}

/* One byte, so that the rest of the descriptor stays what another vCPU makes it. */
static int set_busy(struct task_switch *t, u16 sel, bool busy)
{
	u64 at = task_gdt_entry(t, sel) + DESC_ACCESS;
	u8 byte;
	int r = task_read(t, at, &byte, 1);

	if (r)
		return r;
	byte = busy ? byte | TYPE_BUSY : byte & ~TYPE_BUSY;
	return task_write(t, at, &byte, 1);
}

void task_decode(u64 desc, u16 sel, struct kvm_segment *s)
{
	u32 ar = desc >> 40;

	memset(s, 0, sizeof(*s));
	s->selector = sel;
	s->base = (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
	s->limit = (desc & 0xffff) | (desc >> 32 & 0xf0000);
	s->type = ar & 15;
	s->s = ar >> 4 & 1;
	s->dpl = ar >> 5 & 3;
	s->present = ar >> 7 & 1;
	s->avl = ar >> 12 & 1;
	s->l = ar >> 13 & 1;
	s->db = ar >> 14 & 1;
	s->g = ar >> 15 & 1;
	if (s->g)
		s->limit = s->limit << 12 | 0xfff;
}

/* The new TSS: its descriptor is right, and what will be read of it can be. */
static int find_tss(struct task_switch *t)
{
	bool iret = t->source == TASK_IRET;
	u8 vector = iret ? VEC_TS : VEC_GP;
	struct tss32 tss;
	size_t size;
	u64 desc;
	int r;

	if ((t->sel & SEL_TI) || t->sel < 8 || (t->sel | 7) > t->gdt.limit)
		return task_fault(t, vector, t->sel);
	r = task_read(t, task_gdt_entry(t, t->sel), &desc, sizeof(desc));
	if (r)
		return r;
	task_decode(desc, t->sel, &t->tss);
	if (t->tss.s || (t->tss.type & ~TYPE_WIDE) != (iret ? 1 | TYPE_BUSY : 1))
		return task_fault(t, vector, t->sel);
	if (!t->tss.present)
		return task_fault(t, VEC_NP, t->sel);
	size = t->tss.type & TYPE_WIDE ? sizeof(struct tss32) : sizeof(struct tss16);
	if (t->tss.limit < size - 1)
		return task_fault(t, VEC_TS, t->sel);
	return task_read(t, t->tss.base, &tss, size);
}

/* Where the old task goes on: after an instruction that switched, at one that faulted. */
static u32 old_eip(struct emys_vcpu *vcpu)
{
	u32 eip = vmx_get_rip(vcpu);

	if (vcpu->vmx.exit.idt_info & VECTORING_INFO_VALID_MASK) {
		switch (vcpu->vmx.exit.idt_info & VECTORING_INFO_TYPE_MASK) {
		case INTR_TYPE_HARD_EXCEPTION:
		case INTR_TYPE_EXT_INTR:
		case INTR_TYPE_NMI_INTR:
			return eip;
		}
	}
	return eip + vcpu->vmx.exit.insn_len;
}

static int save_old(struct task_switch *t)
{
	struct emys_vcpu *vcpu = t->vcpu;
	bool wide = t->old.type & TYPE_WIDE;
	u64 at = t->old.base + (wide ? offsetof(struct tss32, regs) : offsetof(struct tss16, regs));
	size_t len = wide ? sizeof_field(struct tss32, regs) : sizeof_field(struct tss16, regs);
	u32 eip = old_eip(vcpu), eflags = vmx_get_rflags(vcpu);
	struct kvm_segment seg;
	struct tss32 save;
	struct tss16 save16;
	unsigned int i;
	int r;

	if (t->old.limit < at + len - 1 - t->old.base)
		return task_fault(t, VEC_TS, t->old.selector);
	/* All that is written before the commit point, so that a fault comes before all of it. */
	r = can_write(t, at, len);
	if (!r && !task_nests(t))
		r = can_write(t, task_gdt_entry(t, t->old.selector) + DESC_ACCESS, 1);
	if (!r && t->source != TASK_IRET)
		r = can_write(t, task_gdt_entry(t, t->sel) + DESC_ACCESS, 1);
	if (!r && task_nests(t))
		r = can_write(t, t->tss.base, sizeof(t->old.selector));
	/* The upper halves of the selectors' fields are left as they are. */
	if (!r && wide)
		r = task_read(t, at, &save.regs, len);
	if (!r && !task_nests(t))
		r = set_busy(t, t->old.selector, false);
	if (r)
		return r;

	if (t->source == TASK_IRET)
		eflags &= ~X86_EFLAGS_NT;
	save.regs.eip = eip;
	save.regs.eflags = eflags;
	for (i = 0; i < 8; i++)
		save.regs.gpr[i] = vmx_gpr(vcpu, i);
	for (i = SEG_ES; i <= SEG_GS; i++) {
		vmx_get_segment(vcpu, i, &seg);
		save.regs.sel[i] = (wide ? save.regs.sel[i] & ~0xffffu : 0) | seg.selector;
	}
	if (wide)
		return task_write(t, at, &save.regs, len);
	save16.regs.ip = eip;
	save16.regs.flags = eflags;
	for (i = 0; i < 8; i++)
		save16.regs.gpr[i] = save.regs.gpr[i];
	for (i = SEG_ES; i <= SEG_DS; i++)
		save16.regs.sel[i] = save.regs.sel[i];
	return task_write(t, at, &save16.regs, len);
}

/* The last steps that can fail for the old task; after them the switch is committed. */
static int read_new(struct task_switch *t)
{
	struct tss32 *new = &t->new;
	struct tss16 tss;
	unsigned int i;
	int r = 0;

	if (task_nests(t))
		r = task_write(t, t->tss.base, &t->old.selector, sizeof(t->old.selector));
	if (!r && t->source != TASK_IRET)
		r = set_busy(t, t->sel, true);
	if (r)
		return r;
	if (t->tss.type & TYPE_WIDE)
		return task_read(t, t->tss.base, new, sizeof(*new));

	r = task_read(t, t->tss.base, &tss, sizeof(tss));
	if (r)
		return r;
	memset(new, 0, sizeof(*new));
	new->regs.eip = tss.regs.ip;
	new->regs.eflags = tss.regs.flags;
	for (i = 0; i < 8; i++)
		new->regs.gpr[i] = tss.regs.gpr[i];
	for (i = SEG_ES; i <= SEG_DS; i++)
		new->regs.sel[i] = tss.regs.sel[i];
	new->ldt = tss.ldt;
	return 0;
}

static int task_switch(struct task_switch *t)
{
	const struct emys_events *ev = &t->vcpu->ev;
	int r = find_tss(t);

	if (!r)
		r = save_old(t);
	if (!r)
		r = read_new(t);
	if (!r)
		r = task_load(t);
	if (!r)
		r = task_load_segments(t);
	if (!r && ev->exception.injected && ev->exception.has_error)
		r = task_push_error(t, ev->exception.error);
	return r;
}

/* What kind of event goes through a task gate, for the EXT bit. */
static bool from_outside(u32 idt_info)
{
	u32 type = idt_info & VECTORING_INFO_TYPE_MASK;

	return (idt_info & VECTORING_INFO_VALID_MASK) && type != INTR_TYPE_SOFT_INTR &&
	       type != INTR_TYPE_SOFT_EXCEPTION;
}

int vmx_handle_task_switch(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;
	u64 qual = vcpu->vmx.exit.qual;
	struct task_switch t = {
		.vcpu = vcpu,
		.source = qual >> 30 & 3,
		.sel = qual,
		.ext = from_outside(vcpu->vmx.exit.idt_info),
	};
	int r;

	BUILD_BUG_ON(sizeof(struct tss32) != 0x68 || sizeof(struct tss16) != 0x2c);
	if ((vcpu->msrs.efer & EFER_LMA) || !(vmx_get_cr0(vcpu) & X86_CR0_PE))
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	vmx_vmcs_get(vcpu);
	t.gdt.base = vmcs_readl(GUEST_GDTR_BASE);
	t.gdt.limit = vmcs_read32(GUEST_GDTR_LIMIT);
	vmx_get_segment(vcpu, SEG_TR, &t.old);
	vmx_vmcs_put(vcpu);

	r = task_switch(&t);
	if (r < 0)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	/* Delivered, or lost to the fault that took its place: not to be replayed. */
	if (ev->nmi_injected) {
		vcpu->vmx.intr_shadow |= GUEST_INTR_STATE_NMI;
		vcpu->vmx.dirty |= VMX_AV_INTR;
	}
	ev->nmi_injected = false;
	ev->interrupt.injected = false;
	ev->exception.injected = false;
	if (!r && (t.tss.type & TYPE_WIDE) && (t.new.trap & 1)) {
		vcpu->dr.dr6 |= DR6_BT;
		vmx_queue_exception(vcpu, 1, false, 0);
	}
	return EMYS_RESUME;
}
