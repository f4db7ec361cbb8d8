// SPDX-License-Identifier: GPL-2.0-only
/* irq/pic: the in-kernel pair of 8259A, through the local APIC's LINT0 */
#include "apic.h"
#include "vmm.h"

#define BASE	0x30

static volatile u64 count[16], irqs, order;
static volatile u64 auto_quiet;

static void eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void on_irq(struct guest_frame *frame)
{
	unsigned int irq = frame->vector - BASE;

	count[irq]++;
	irqs++;
	order = order << 8 | irq;
	if (auto_quiet)
		outb(0x2f0, irq);
	eoi(irq);
}

static struct vcpu *start(void *fn)
{
	return vcpu_with_irqchip(fn, 0);
}

static void pulse(struct vcpu *vcpu, u32 irq)
{
	vm_line(vcpu->vm, irq, 1);
	vm_line(vcpu->vm, irq, 0);
}

static void setup(u16 mask)
{
	int i;

	for (i = 0; i < 16; i++)
		guest_handlers[BASE + i] = on_irq;
	/* virtual wire: the PIC's output comes as ExtINT on LINT0 */
	apic_enable();
	apic_write(APIC_LVT0, APIC_LVT_EXTINT);
	pic_init(BASE, mask);
}

static void guest_lines(void)
{
	setup(0);
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(count[3], 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(count[12], 1);
	GUEST_ASSERT_EQ(irqs, 2);
	/* masked: it waits in the request register */
	outb(0x21, 1 << 3);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(irqs, 2);
	outb(0x21, 0);
	asm volatile("nop");
	GUEST_SYNC(4);
	GUEST_ASSERT_EQ(count[3], 2);
	cli();
}

/* Lines of both chips reach the guest with the vectors of ICW2; OCW1 masks. */
static void test_lines(void)
{
	struct vcpu *vcpu = start(guest_lines);

	vcpu_sync(vcpu, 1);
	pulse(vcpu, 3);
	vcpu_sync(vcpu, 2);
	pulse(vcpu, 12);
	vcpu_sync(vcpu, 3);
	vm_line(vcpu->vm, 3, 1);
	vcpu_sync(vcpu, 4);
	vm_line(vcpu->vm, 3, 0);
	vcpu_done(vcpu);
}

static u8 pic_irr(u16 port)
{
	outb(port, 0x0a);
	return inb(port);
}

static u8 pic_isr(u16 port)
{
	outb(port, 0x0b);
	return inb(port);
}

static void guest_registers(void)
{
	setup(0xffff);
	GUEST_ASSERT_EQ(inb(0x21), 0xff);
	GUEST_ASSERT_EQ(inb(0xa1), 0xff);
	outb(0x21, 0x5a);
	GUEST_ASSERT_EQ(inb(0x21), 0x5a);
	outb(0x21, 0);
	outb(0xa1, 0);
	GUEST_ASSERT_EQ(pic_irr(0x20), 0);
	GUEST_ASSERT_EQ(pic_isr(0x20), 0);
	GUEST_SYNC(1);
	/* lines 4 and 9 are high: 9 shows as 2 on the master */
	GUEST_ASSERT_EQ(pic_irr(0x20), 1 << 4 | 1 << 2);
	GUEST_ASSERT_EQ(pic_irr(0xa0), 1 << 1);
	sti();
	asm volatile("nop; nop; nop; nop");
	cli();
	GUEST_ASSERT_EQ(irqs, 2);
	/* 9 counts as 2 and goes before 4 */
	GUEST_ASSERT_EQ(order, 9 << 8 | 4);
	GUEST_ASSERT_EQ(pic_isr(0x20), 0);
	GUEST_ASSERT_EQ(pic_isr(0xa0), 0);
}

/* Mask, request and in-service registers; priority over the cascade. */
static void test_registers(void)
{
	struct vcpu *vcpu = start(guest_registers);

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, 4, 1);
	vm_line(vcpu->vm, 9, 1);
	vcpu_done(vcpu);
}

static void guest_level(void)
{
	setup(0);
	/* ELCR: line 5 level-triggered */
	outb(0x4d0, 1 << 5);
	GUEST_ASSERT_EQ(inb(0x4d0), 1 << 5);
	outb(0x4d1, 1 << 3);
	GUEST_ASSERT_EQ(inb(0x4d1), 1 << 3);
	auto_quiet = 1;
	sti();
	GUEST_SYNC(1);
	asm volatile("nop; nop; nop; nop");
	GUEST_ASSERT_EQ(count[5], 3);
	cli();
}

/* A level-triggered line interrupts again after each EOI until it is low. */
static void test_level(void)
{
	struct vcpu *vcpu = start(guest_level);
	int i;

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, 5, 1);
	for (i = 1; i <= 3; i++) {
		vcpu_expect(vcpu, KVM_EXIT_IO);
		if (i == 3)
			vm_line(vcpu->vm, 5, 0);
	}
	vcpu_done(vcpu);
}

static void guest_lint0(void)
{
	setup(0);
	apic_write(APIC_LVT0, APIC_LVT_MASK | APIC_LVT_EXTINT);
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(irqs, 0);
	apic_write(APIC_LVT0, APIC_LVT_EXTINT);
	asm volatile("nop");
	GUEST_SYNC2(2, irqs, 0);
	outb(0x21, 0xff);
	outb(0x21, 0);
	asm volatile("nop");
	GUEST_ASSERT_EQ(irqs, 1);
	cli();
}

/* A masked LINT0 keeps the PIC's interrupts out until it is unmasked. */
static void test_lint0(void)
{
	struct vcpu *vcpu = start(guest_lint0);

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, 6, 1);
	vcpu_sync(vcpu, 2);
	/* KVM 6.1 looks at the PIC again only when the PIC's output changes */
	if (ksft_is_emys())
		CHECK_EQ(vcpu->uc.arg[1], 1);
	vcpu_done(vcpu);
}

static void guest_real(void)
{
	setup(0);
	/* after reset the APIC is off and the PIC's output goes straight in */
	apic_write(APIC_SVR, 0xff);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_EN);
	GUEST_SYNC(1);
	sti();
	asm volatile("nop; nop");
	GUEST_ASSERT_EQ(count[7], 1);
	cli();
	GUEST_SYNC(2);
	safe_halt();
	GUEST_ASSERT_EQ(count[10], 1);
	cli();
}

/* With the local APIC switched off, the PIC interrupts the CPU directly. */
static void test_no_apic(void)
{
	struct vcpu *vcpu = start(guest_real);

	vcpu_sync(vcpu, 1);
	vm_line(vcpu->vm, 7, 1);
	vcpu_sync(vcpu, 2);
	vm_line(vcpu->vm, 10, 1);
	vcpu_done(vcpu);
}

static void guest_chip(void)
{
	setup(0x1234);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(inb(0x21), 0x77);
	GUEST_ASSERT_EQ(inb(0xa1), 0x12);
}

/* KVM_GET_IRQCHIP and KVM_SET_IRQCHIP of the PICs. */
static void test_chip(void)
{
	struct vcpu *vcpu = start(guest_chip);
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_IRQCHIP, &c));
	CHECK_EQ(c.chip.pic.imr, 0x34);
	CHECK_EQ(c.chip.pic.irq_base, BASE);
	c.chip.pic.imr = 0x77;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_SET_IRQCHIP, &c));
	c.chip_id = KVM_IRQCHIP_PIC_SLAVE;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_IRQCHIP, &c));
	CHECK_EQ(c.chip.pic.imr, 0x12);
	CHECK_EQ(c.chip.pic.irq_base, BASE + 8);
	vcpu_done(vcpu);
}

static void guest_auto_eoi(void)
{
	setup(0);
	/* ICW4 with AEOI: the handler's own EOI finds nothing in service */
	outb(0x20, 0x11);
	outb(0x21, BASE);
	outb(0x21, 4);
	outb(0x21, 3);
	outb(0x21, 0);
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(count[1], 1);
	GUEST_ASSERT_EQ(pic_isr(0x20), 0);
	cli();
}

/* ICW4's automatic end of interrupt. */
static void test_auto_eoi(void)
{
	struct vcpu *vcpu = start(guest_auto_eoi);

	vcpu_sync(vcpu, 1);
	pulse(vcpu, 1);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "pic: lines and masks", test_lines },
	{ "pic: registers and priority", test_registers },
	{ "pic: level-triggered line", test_level },
	{ "pic: LINT0", test_lint0 },
	{ "pic: without a local APIC", test_no_apic },
	{ "pic: KVM_GET_IRQCHIP and KVM_SET_IRQCHIP", test_chip },
	{ "pic: automatic EOI", test_auto_eoi },
)
