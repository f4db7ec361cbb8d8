// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 82093AA IO-APIC: 24 pins.
 */
#include <linux/bitops.h>

#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/lapic.h"

#define IOAPIC_VERSION	(0x11 | (IOAPIC_PINS - 1) << 16)
#define IOAPIC_RANGE	0x100

/* Redirection table entry, "IOREDTBL[23:0]—I/O Redirection Table Registers" */
#define RED_DELIVERY(e)	((u32)((e) >> 8) & 7)
#define RED_LOGICAL	BIT_ULL(11)
#define RED_STATUS	BIT_ULL(12)
#define RED_REMOTE_IRR	BIT_ULL(14)
#define RED_LEVEL	BIT_ULL(15)
#define RED_MASK	BIT_ULL(16)
#define RED_READ_ONLY	(RED_STATUS | RED_REMOTE_IRR)
#define RED_WRITABLE	0xff0000000001afffull

void ioapic_init(struct ioapic *io)
{
	int i;

	raw_spin_lock_init(&io->lock);
	io->base = IOAPIC_DEFAULT_BASE;
	for (i = 0; i < IOAPIC_PINS; i++)
		io->redir[i] = RED_MASK;
}

static bool fixed_or_lowest(u64 e)
{
	return RED_DELIVERY(e) == DM_FIXED || RED_DELIVERY(e) == DM_LOWEST;
}

/*
 * Which EOIs matter: those of level-triggered entries, masked or not, and of
 * pins somebody watches. Lock held, so that a vCPU knows before an interrupt
 * that was sent under the new entries can reach it.
 */
static void update_map(struct emys_vm *vm)
{
	struct emys_irqchip *chip = vm->irqchip;
	struct ioapic *io = &chip->ioapic;
	unsigned long map[4] = { 0 };
	int pin, gsi, i;
	bool changed = false;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 e = io->redir[pin];

		if (!fixed_or_lowest(e))
			continue;
		gsi = routing_pin_gsi(chip, KVM_IRQCHIP_IOAPIC, pin);
		if (e & RED_LEVEL || (gsi >= 0 && irq_watched(chip, gsi)))
			__set_bit(e & 0xff, map);
	}
	for (i = 0; i < 4; i++) {
		changed |= io->eoi_map[i] != map[i];
		WRITE_ONCE(io->eoi_map[i], map[i]);
	}
	if (changed)
		emys_vm_request_all(vm, EMYS_REQ_EOIMAP);
}

void ioapic_update_map(struct emys_vm *vm)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&io->lock, flags);
	update_map(vm);
	raw_spin_unlock_irqrestore(&io->lock, flags);
}

void ioapic_eoi_map(struct emys_vcpu *vcpu)
{
	struct emys_irqchip *chip = vcpu->vm->irqchip;
	int i;

	if (!chip || !vcpu->lapic)
		return;
	for (i = 0; i < 4; i++)
		vcpu->lapic->eoi_exit[i] = READ_ONCE(chip->ioapic.eoi_map[i]);
}

/* Send the interrupt of @pin. >0 sent, 0 no APIC took it, -1 masked or in service. Lock held. */
static int service(struct emys_vm *vm, u32 pin)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	u64 e = io->redir[pin];
	struct lapic_msg msg = {
		.dest = e >> 56,
		.vector = e,
		.delivery = RED_DELIVERY(e),
		.logical = e & RED_LOGICAL,
		.level = e & RED_LEVEL,
		.assert = true,
	};
	int n;

	if (e & RED_MASK || (e & RED_LEVEL && e & RED_REMOTE_IRR))
		return -1;
	n = lapic_deliver(vm, NULL, &msg);
	if (n > 0 && e & RED_LEVEL && fixed_or_lowest(e))
		io->redir[pin] |= RED_REMOTE_IRR;
	return n;
}

int ioapic_set_irq(struct emys_vm *vm, u32 pin, int source, int level)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;
	bool was;
	int n;

	raw_spin_lock_irqsave(&io->lock, flags);
	was = io->irr & BIT(pin);
	if (!irq_line(&io->state[pin], source, level)) {
		io->irr &= ~BIT(pin);
		n = 1;
	} else {
		io->irr |= BIT(pin);
		if (was && !(io->redir[pin] & RED_LEVEL))
			n = 0;		/* no edge: coalesced */
		else
			n = service(vm, pin);
	}
	raw_spin_unlock_irqrestore(&io->lock, flags);
	return n;
}

void ioapic_eoi(struct emys_vm *vm, struct emys_vcpu *vcpu, u8 vector)
{
	struct ioapic *io;
	unsigned long flags, pins = 0;
	bool level = lapic_vec_test(vcpu->lapic, APIC_TMR, vector);
	u32 pin;

	if (!vm->irqchip)
		return;
	io = &vm->irqchip->ioapic;

	raw_spin_lock_irqsave(&io->lock, flags);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if ((io->redir[pin] & 0xff) == vector && fixed_or_lowest(io->redir[pin]))
			__set_bit(pin, &pins);
	raw_spin_unlock_irqrestore(&io->lock, flags);

	/* whoever holds the line may let it go now, before it is looked at again */
	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		irq_acked(vm, KVM_IRQCHIP_IOAPIC, pin);
	if (!level)
		return;

	raw_spin_lock_irqsave(&io->lock, flags);
	for_each_set_bit(pin, &pins, IOAPIC_PINS) {
		if (!(io->redir[pin] & RED_LEVEL))
			continue;
		io->redir[pin] &= ~RED_REMOTE_IRR;
		if (io->irr & BIT(pin))
			service(vm, pin);
	}
	raw_spin_unlock_irqrestore(&io->lock, flags);
}

bool ioapic_in_range(struct emys_irqchip *chip, u64 gpa)
{
	return gpa - READ_ONCE(chip->ioapic.base) < IOAPIC_RANGE;
}

static u32 read_window(struct ioapic *io)
{
	u32 pin;

	switch (io->select) {
	case 0:		/* identification */
	case 2:		/* arbitration, loaded from the ID */
		return (io->id & 0xf) << 24;
	case 1:
		return IOAPIC_VERSION;
	}
	pin = (io->select - 0x10) >> 1;
	if (io->select < 0x10 || pin >= IOAPIC_PINS)
		return ~0u;
	return io->select & 1 ? io->redir[pin] >> 32 : io->redir[pin];
}

u32 ioapic_read(struct emys_vm *vm, u32 offset)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;
	u32 val = 0;

	raw_spin_lock_irqsave(&io->lock, flags);
	if (offset == 0)
		val = io->select;
	else if (offset == 0x10)
		val = read_window(io);
	raw_spin_unlock_irqrestore(&io->lock, flags);
	return val;
}

/* Returns the pin that was unmasked, or -1. Lock held. */
static int write_window(struct emys_vm *vm, u32 val)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	u64 old, e;
	u32 pin;

	if (io->select == 0) {
		io->id = val >> 24 & 0xf;
		return -1;
	}
	pin = (io->select - 0x10) >> 1;
	if (io->select < 0x10 || pin >= IOAPIC_PINS)
		return -1;
	old = io->redir[pin];
	if (io->select & 1)
		e = (u32)old | (u64)val << 32;
	else
		e = (old >> 32 << 32) | val;
	e = (e & RED_WRITABLE) | (old & RED_READ_ONLY);
	/* an edge-triggered entry has none: old kernels end a stuck one so */
	if (!(e & RED_LEVEL))
		e &= ~RED_REMOTE_IRR;
	io->redir[pin] = e;
	update_map(vm);
	if (e & RED_LEVEL && io->irr & BIT(pin))
		service(vm, pin);
	return old & RED_MASK && !(e & RED_MASK) ? (int)pin : -1;
}

void ioapic_write(struct emys_vm *vm, u32 offset, u32 val)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;
	int unmasked = -1;

	raw_spin_lock_irqsave(&io->lock, flags);
	if (offset == 0)
		io->select = val & 0xff;
	else if (offset == 0x10)
		unmasked = write_window(vm, val);
	raw_spin_unlock_irqrestore(&io->lock, flags);
	if (unmasked >= 0)
		irq_unmasked(vm, KVM_IRQCHIP_IOAPIC, unmasked);
}

void ioapic_get(struct emys_vm *vm, struct kvm_ioapic_state *s)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;
	int i;

	memset(s, 0, sizeof(*s));
	raw_spin_lock_irqsave(&io->lock, flags);
	s->base_address = io->base;
	s->ioregsel = io->select;
	s->id = io->id;
	s->irr = io->irr;
	for (i = 0; i < IOAPIC_PINS; i++)
		s->redirtbl[i].bits = io->redir[i];
	raw_spin_unlock_irqrestore(&io->lock, flags);
}

void ioapic_set(struct emys_vm *vm, const struct kvm_ioapic_state *s)
{
	struct ioapic *io = &vm->irqchip->ioapic;
	unsigned long flags;
	u32 pin;

	raw_spin_lock_irqsave(&io->lock, flags);
	WRITE_ONCE(io->base, s->base_address & ~(u64)(IOAPIC_RANGE - 1));
	io->select = s->ioregsel & 0xff;
	io->id = s->id & 0xf;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 e = s->redirtbl[pin].bits & (RED_WRITABLE | RED_REMOTE_IRR);

		if (!(e & RED_LEVEL))
			e &= ~RED_REMOTE_IRR;
		io->redir[pin] = e;
	}
	update_map(vm);
	/* what the saved machine had pending is raised here */
	io->irr = s->irr & (BIT(IOAPIC_PINS) - 1);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (io->irr & BIT(pin))
			service(vm, pin);
	raw_spin_unlock_irqrestore(&io->lock, flags);
}
