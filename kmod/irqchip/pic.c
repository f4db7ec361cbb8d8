// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pair of 8259A interrupt controllers of a PC, and their ELCR ports.
 */
#include <linux/bitops.h>

#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/lapic.h"

/* LINT0 of each APIC sees INTR rise; who takes ExtINT asks pic_pending(). */
static void output_raised(struct emys_vm *vm, bool rose)
{
	struct emys_vcpu *vcpu;
	unsigned int i;

	emys_for_each_vcpu(i, vcpu, vm) {
		struct emys_lapic *l = vcpu->lapic;
		u32 lvt;

		if (!l)
			continue;
		if (lapic_accepts_pic(vcpu)) {
			emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
			emys_vcpu_kick(vcpu);
			continue;
		}
		lvt = lapic_reg(l, APIC_LVT0);
		if (rose && !(lvt & APIC_LVT_MASKED)) {
			struct lapic_msg msg = {
				.vector = lvt,
				.delivery = lvt >> 8 & 7,
				.assert = true,
			};

			/* the pin is wired here as fixed interrupt or NMI watchdog */
			if (msg.delivery == DM_FIXED || msg.delivery == DM_NMI)
				lapic_local(vcpu, &msg);
		}
	}
}

/* Unlock, and tell the world what happened meanwhile. */
static void pic_unlock(struct emys_vm *vm, unsigned long flags)
	__releases(&vm->irqchip->pic.lock)
{
	struct pic_pair *p = &vm->irqchip->pic;
	unsigned long acked = p->core.acked, unmasked = p->core.unmasked;
	bool raised = p->core.raised, tell = p->core.notify;
	int irq;

	p->core.acked = 0;
	p->core.unmasked = 0;
	p->core.raised = false;
	p->core.notify = false;
	raw_spin_unlock_irqrestore(&p->lock, flags);

	for_each_set_bit(irq, &unmasked, 16)
		irq_unmasked(vm, irq >> 3, irq & 7);
	for_each_set_bit(irq, &acked, 16)
		irq_acked(vm, irq >> 3, irq & 7);
	if (tell)
		output_raised(vm, raised);
}

void pic_init(struct pic_pair *p)
{
	raw_spin_lock_init(&p->lock);
	pic_core_init(&p->core);
}

int pic_set_irq(struct emys_vm *vm, u32 irq, int source, int level)
{
	struct pic_pair *p = &vm->irqchip->pic;
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&p->lock, flags);
	ret = pic_core_input(&p->core, irq, irq_line(&p->state[irq], source, level));
	pic_unlock(vm, flags);
	return ret;
}

bool pic_pending(struct emys_vm *vm)
{
	return vm->irqchip && READ_ONCE(vm->irqchip->pic.core.output);
}

int pic_ack(struct emys_vm *vm)
{
	struct pic_pair *p = &vm->irqchip->pic;
	unsigned long flags;
	int vector;

	raw_spin_lock_irqsave(&p->lock, flags);
	vector = pic_core_intack(&p->core);
	pic_unlock(vm, flags);
	return vector & 0xff;
}

bool pic_port(u16 port)
{
	return (port & ~0x81) == 0x20 || (port & ~1) == 0x4d0;
}

u8 pic_read(struct emys_vm *vm, u16 port)
{
	struct pic_pair *p = &vm->irqchip->pic;
	unsigned long flags;
	u8 val;

	if (likely(!pic_core_polled(&p->core, port)))
		return pic_core_peek(&p->core, port);
	raw_spin_lock_irqsave(&p->lock, flags);
	val = pic_core_read(&p->core, port);
	pic_unlock(vm, flags);
	return val;
}

void pic_write(struct emys_vm *vm, u16 port, u8 val)
{
	struct pic_pair *p = &vm->irqchip->pic;
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	pic_core_write(&p->core, port, val);
	pic_unlock(vm, flags);
}

void pic_get(struct emys_vm *vm, int n, struct kvm_pic_state *s)
{
	struct pic_pair *p = &vm->irqchip->pic;
	const struct pic *c = &p->core.chip[n];
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	*s = (struct kvm_pic_state) {
		.last_irr = c->last_irr, .irr = c->irr, .imr = c->imr, .isr = c->isr,
		.priority_add = c->priority_add, .irq_base = c->irq_base,
		.read_reg_select = c->read_isr, .poll = c->poll,
		.special_mask = c->special_mask, .init_state = c->init_state,
		.auto_eoi = c->auto_eoi, .rotate_on_auto_eoi = c->rotate_on_auto_eoi,
		.special_fully_nested_mode = c->special_fully_nested,
		.init4 = c->init4, .elcr = c->elcr, .elcr_mask = c->elcr_mask,
	};
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

void pic_set(struct emys_vm *vm, int n, const struct kvm_pic_state *s)
{
	struct pic_pair *p = &vm->irqchip->pic;
	struct pic *c = &p->core.chip[n];
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	*c = (struct pic) {
		.last_irr = s->last_irr, .irr = s->irr, .imr = s->imr, .isr = s->isr,
		.priority_add = s->priority_add & 7, .irq_base = s->irq_base & 0xf8,
		.read_isr = !!s->read_reg_select, .poll = !!s->poll,
		.special_mask = !!s->special_mask, .init_state = s->init_state & 3,
		.auto_eoi = !!s->auto_eoi, .rotate_on_auto_eoi = !!s->rotate_on_auto_eoi,
		.special_fully_nested = !!s->special_fully_nested_mode,
		.init4 = !!s->init4, .elcr = s->elcr & c->elcr_mask, .elcr_mask = c->elcr_mask,
	};
	pic_core_update(&p->core);
	pic_unlock(vm, flags);
}
