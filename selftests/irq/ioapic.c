// SPDX-License-Identifier: GPL-2.0-only
/* irq/ioapic: the in-kernel IO-APIC, edge and level */
#include "apic.h"
#include "vmm.h"

#define VECTOR	0x55
#define PIN	20		/* on no PIC: the IO-APIC's alone */
#define EOI_PORT 0x2f0		/* the handler tells the VMM */

static volatile u64 irqs, tell_vmm;

static void on_irq(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	/* a level-triggered device is quieted before the EOI */
	if (tell_vmm)
		outb(EOI_PORT, irqs);
	apic_eoi();
}

static struct vcpu *start(void *fn)
{
	return vcpu_with_irqchip(fn, 0);
}

static void guest_registers(void)
{
	int pin;

	GUEST_ASSERT_EQ(ioapic_read(1) >> 16 & 0xff, 23);
	for (pin = 0; pin < 24; pin++) {
		GUEST_ASSERT(ioapic_read(0x10 + 2 * pin) & IOAPIC_MASKED);
		ioapic_set(pin, IOAPIC_MASKED | (0x30 + pin), pin);
	}
	for (pin = 0; pin < 24; pin++) {
		GUEST_ASSERT_EQ(ioapic_read(0x10 + 2 * pin),
				IOAPIC_MASKED | (0x30 + pin));
		GUEST_ASSERT_EQ(ioapic_read(0x11 + 2 * pin) >> 24, pin);
	}
	/* delivery status and remote IRR are read-only */
	ioapic_write(0x10, IOAPIC_MASKED | IOAPIC_REMOTE_IRR | 1 << 12 | 0x30);
	GUEST_ASSERT_EQ(ioapic_read(0x10), IOAPIC_MASKED | 0x30);
	ioapic_write(0, 5u << 24);
	GUEST_ASSERT_EQ(ioapic_read(0) >> 24 & 0xf, 5);
}

/* 24 pins, masked at first; what software may write reads back. */
static void test_registers(void)
{
	vcpu_done(start(guest_registers));
}

static void guest_edge(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	ioapic_set(PIN, VECTOR, 0);
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(irqs, 1);
	/* still high: no new edge */
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(irqs, 2);
	/* an edge while masked is lost */
	ioapic_set(PIN, IOAPIC_MASKED | VECTOR, 0);
	GUEST_SYNC(4);
	ioapic_write(0x10 + 2 * PIN, VECTOR);
	GUEST_ASSERT_EQ(irqs, 2);
	GUEST_SYNC(5);
	GUEST_ASSERT_EQ(irqs, 3);
	cli();
}

/* Edge-triggered: one interrupt for each change from low to high. */
static void test_edge(void)
{
	struct vcpu *vcpu = start(guest_edge);

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_sync(vcpu, 2);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_sync(vcpu, 3);
	vm_line(vcpu->vm, PIN, 0);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_sync(vcpu, 4);
	vm_line(vcpu->vm, PIN, 0);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_sync(vcpu, 5);
	vm_line(vcpu->vm, PIN, 0);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_done(vcpu);
}

static void on_level(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	GUEST_ASSERT(ioapic_read(0x10 + 2 * PIN) & IOAPIC_REMOTE_IRR);
	outb(EOI_PORT, irqs);
	apic_eoi();
	GUEST_ASSERT_EQ(ioapic_read(0x10 + 2 * PIN) & IOAPIC_REMOTE_IRR,
			irqs < 3 ? IOAPIC_REMOTE_IRR : 0);
}

static void guest_level(void)
{
	guest_handlers[VECTOR] = on_level;
	apic_enable();
	ioapic_set(PIN, IOAPIC_LEVEL | VECTOR, 0);
	sti();
	GUEST_SYNC(1);
	/* high over two EOIs, quieted in the third handler */
	asm volatile("nop; nop; nop; nop");
	GUEST_ASSERT_EQ(irqs, 3);
	GUEST_ASSERT_EQ(apic_bit(APIC_TMR, VECTOR), 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(irqs, 3);
	/* high while masked: it comes when the mask goes */
	ioapic_write(0x10 + 2 * PIN, IOAPIC_MASKED | IOAPIC_LEVEL | VECTOR);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(irqs, 3);
	ioapic_write(0x10 + 2 * PIN, IOAPIC_LEVEL | VECTOR);
	asm volatile("nop; nop");
	GUEST_ASSERT_EQ(irqs, 4);
	cli();
}

/*
 * Level-triggered: again after each EOI as long as the line is high; remote
 * IRR is set from the delivery to the EOI.
 */
static void test_level(void)
{
	struct vcpu *vcpu = start(guest_level);
	int i;

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, PIN, 1);
	for (i = 1; i <= 3; i++) {
		vcpu_expect(vcpu, KVM_EXIT_IO);
		CHECK_EQ(vcpu->run->io.port, EOI_PORT);
		if (i == 3)
			vm_line(vcpu->vm, PIN, 0);
	}
	vcpu_sync(vcpu, 2);
	vcpu_sync(vcpu, 3);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	vm_line(vcpu->vm, PIN, 0);
	vcpu_done(vcpu);
}

static void guest_status(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	ioapic_set(PIN, VECTOR, 0);
	GUEST_SYNC(1);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_SYNC(2);
	ioapic_set(PIN, IOAPIC_MASKED | VECTOR, 0);
	GUEST_SYNC(3);
}

static int status(struct vcpu *vcpu, u32 level)
{
	struct kvm_irq_level l = { .irq = PIN, .level = level };

	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IRQ_LINE_STATUS, &l));
	return l.status;
}

/*
 * KVM_IRQ_LINE_STATUS: positive when the interrupt is on its way, not negative
 * when it merged with one that already was (it comes once), not positive when
 * it was masked away.
 */
static void test_status(void)
{
	struct vcpu *vcpu = start(guest_status);

	vcpu_sync(vcpu, 1);
	CHECK_EQ(status(vcpu, 1) > 0, 1);
	status(vcpu, 0);
	CHECK_EQ(status(vcpu, 1) >= 0, 1);
	status(vcpu, 0);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(status(vcpu, 1) > 0, 1);
	status(vcpu, 0);
	vcpu_sync(vcpu, 3);
	CHECK_EQ(status(vcpu, 1) <= 0, 1);
}

static void guest_chip(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	ioapic_set(PIN, IOAPIC_LEVEL | IOAPIC_MASKED | 0x99, 7);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(ioapic_read(0x10 + 2 * PIN), VECTOR);
	GUEST_ASSERT_EQ(ioapic_read(0x11 + 2 * PIN), 0);
	sti();
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(irqs, 1);
	cli();
}

/* KVM_GET_IRQCHIP and KVM_SET_IRQCHIP of the IO-APIC. */
static void test_chip(void)
{
	struct vcpu *vcpu = start(guest_chip);
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_IOAPIC };

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_IRQCHIP, &c));
	CHECK_EQ(c.chip.ioapic.redirtbl[PIN].fields.vector, 0x99);
	CHECK_EQ(c.chip.ioapic.redirtbl[PIN].fields.mask, 1);
	CHECK_EQ(c.chip.ioapic.redirtbl[PIN].fields.trig_mode, 1);
	CHECK_EQ(c.chip.ioapic.redirtbl[PIN].fields.dest_id, 7);
	c.chip.ioapic.redirtbl[PIN].bits = VECTOR;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_SET_IRQCHIP, &c));
	vcpu_sync(vcpu, 2);
	vm_line(vcpu->vm, PIN, 1);
	vcpu_done(vcpu);
	c.chip_id = 77;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_GET_IRQCHIP, &c), EINVAL);
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_SET_IRQCHIP, &c), EINVAL);
}

static void guest_logical(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	apic_write(APIC_DFR, 0xffffffff);
	apic_write(APIC_LDR, 4u << 24);
	/* logical destination, flat: bit 2 is this CPU's */
	ioapic_set(PIN, 1 << 11 | VECTOR, 4);
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(irqs, 1);
	/* not this CPU */
	ioapic_set(PIN, 1 << 11 | VECTOR, 8);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(irqs, 1);
	/* lowest priority among one */
	ioapic_set(PIN, 1 << 8 | 1 << 11 | VECTOR, 0xff);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(irqs, 2);
	cli();
}

/* Logical destinations and lowest-priority delivery. */
static void test_logical(void)
{
	struct vcpu *vcpu = start(guest_logical);
	int i;

	for (i = 1; i <= 3; i++) {
		vcpu_sync(vcpu, i);
		vm_line(vcpu->vm, PIN, 1);
		vm_line(vcpu->vm, PIN, 0);
	}
	vcpu_done(vcpu);
}

static void guest_halted(void)
{
	u64 i;

	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	ioapic_set(PIN, VECTOR, 0);
	for (i = 1; i <= 3; i++) {
		GUEST_SYNC(i);
		safe_halt();
		cli();
		GUEST_ASSERT_EQ(irqs, i);
	}
}

/* A line that rises before HLT wakes the vCPU. */
static void test_halted(void)
{
	struct vcpu *vcpu = start(guest_halted);
	int i;

	for (i = 1; i <= 3; i++) {
		vcpu_sync(vcpu, i);
		vm_line(vcpu->vm, PIN, 1);
		vm_line(vcpu->vm, PIN, 0);
	}
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "ioapic: registers", test_registers },
	{ "ioapic: edge", test_edge },
	{ "ioapic: level and remote IRR", test_level },
	{ "ioapic: KVM_IRQ_LINE_STATUS", test_status },
	{ "ioapic: KVM_GET_IRQCHIP and KVM_SET_IRQCHIP", test_chip },
	{ "ioapic: logical destination", test_logical },
	{ "ioapic: wakes from HLT", test_halted },
)
