// SPDX-License-Identifier: GPL-2.0-only
/* exits/events: NMIs, external interrupts and their windows, no irqchip */
#include "vmm.h"

#define VECTOR	0x51
#define VECTOR2	0x61
#define PORT	0x2f0

static volatile u64 nmis, irqs, irqs2, depth, max_depth, order;

static void on_nmi(struct guest_frame *frame)
{
	(void)frame;
	nmis++;
	depth++;
	if (depth > max_depth)
		max_depth = depth;
	/* the VMM queues another one meanwhile */
	if (nmis == 1)
		GUEST_SYNC(10);
	depth--;
}

static void on_irq(struct guest_frame *frame)
{
	if (frame->vector == VECTOR)
		irqs++;
	else
		irqs2++;
	order = order << 8 | frame->vector;
}

static void guest_nmi(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi;
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(nmis, 2);
	GUEST_ASSERT_EQ(max_depth, 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(nmis, 3);
}

/*
 * KVM_NMI delivers vector 2 whatever RFLAGS.IF says; a second one waits until
 * the handler's IRET, and is not lost. Vol. 3, "Handling Multiple NMIs".
 */
static void test_nmi(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_vcpu_events ev;

	vcpu_call(vcpu, guest_nmi, 0);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_sync(vcpu, 10);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.nmi.masked, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_sync(vcpu, 2);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.nmi.masked, 0);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_done(vcpu);
}

static void guest_nmi_masked(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi;
	nmis = 100;
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(nmis, 100);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(nmis, 101);
}

/* KVM_SET_VCPU_EVENTS: a masked NMI stays pending until it is unmasked. */
static void test_nmi_events(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_vcpu_events ev;

	vcpu_call(vcpu, guest_nmi_masked, 0);
	vcpu_sync(vcpu, 1);
	vcpu_get_events(vcpu, &ev);
	ev.nmi.masked = 1;
	ev.nmi.pending = 1;
	ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	vcpu_set_events(vcpu, &ev);
	vcpu_sync(vcpu, 2);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.nmi.masked, 1);
	CHECK_EQ(ev.nmi.pending, 1);
	ev.nmi.masked = 0;
	ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	vcpu_set_events(vcpu, &ev);
	vcpu_done(vcpu);
}

static void interrupt(struct vcpu *vcpu, u32 vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	CHECK_OK(ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
}

static void guest_irq(void)
{
	guest_handlers[VECTOR] = on_irq;
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(irqs, 2);
}

/* KVM_INTERRUPT delivers when the guest is ready: RFLAGS.IF is set. */
static void test_irq(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_interrupt bad = { .irq = 256 };

	vcpu_call(vcpu, guest_irq, 0);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->run->if_flag, 1);
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_INTERRUPT, &bad), EINVAL);
	interrupt(vcpu, VECTOR);
	vcpu_sync(vcpu, 2);
	interrupt(vcpu, VECTOR);
	vcpu_done(vcpu);
}

static void guest_window(void)
{
	guest_handlers[VECTOR] = on_irq;
	GUEST_SYNC(1);
	/* closed: interrupts are off */
	outb(PORT, 1);
	GUEST_ASSERT_EQ(irqs, 0);
	sti();
	/* the window opens after the instruction that follows STI */
	asm volatile("nop\n.globl events_window\nevents_window: nop\n");
	GUEST_ASSERT_EQ(irqs, 1);
	cli();
	outb(PORT, 2);
	GUEST_ASSERT_EQ(irqs, 1);
}

extern const char events_window[];

/*
 * request_interrupt_window: KVM_EXIT_IRQ_WINDOW_OPEN when the guest can take an
 * interrupt, and not before; ready_for_interrupt_injection says the same.
 */
static void test_window(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;

	vcpu_call(vcpu, guest_window, 0);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	CHECK_EQ(vcpu->run->if_flag, 0);
	vcpu->run->request_interrupt_window = 1;
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	vcpu_expect(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
	CHECK_EQ(vcpu->run->if_flag, 1);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rip, (uintptr_t)events_window);
	vcpu->run->request_interrupt_window = 0;
	interrupt(vcpu, VECTOR);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	vcpu_done(vcpu);
}

static void guest_shadow(void)
{
	guest_handlers[VECTOR] = on_irq;
	cli();
	asm volatile("mov $0x2f0, %%edx\n"
		     "mov %%ss, %%ecx\n"
		     "sti\n"
		     "outb %%al, %%dx\n"	/* in STI's shadow */
		     ".globl events_sti\n"
		     "events_sti: nop\n"
		     : : : "rax", "rcx", "rdx", "memory");
	cli();
}

extern const char events_sti[];

/*
 * STI holds interrupts off for one instruction more. KVM_GET_VCPU_EVENTS may
 * show the shadow; the interrupt comes after the instruction in it.
 */
static void test_shadow(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;

	vcpu_call(vcpu, guest_shadow, 0);
	vcpu->run->request_interrupt_window = 1;
	vcpu_expect(vcpu, KVM_EXIT_IO);
	vcpu_expect(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rip, (uintptr_t)events_sti);
	vcpu->run->request_interrupt_window = 0;
	interrupt(vcpu, VECTOR);
	vcpu_done(vcpu);
	CHECK_EQ(VM_VAR(vm, irqs), 1);
}

static void guest_hlt(void)
{
	guest_handlers[VECTOR] = on_irq;
	safe_halt();
	GUEST_ASSERT_EQ(irqs, 1);
	cli();
	asm volatile("hlt");
	GUEST_ASSERT_EQ(irqs, 1);
}

/*
 * The VMM wakes a halted guest by KVM_INTERRUPT and the next run; a run
 * without an event simply goes on, as KVM leaves the halt to the VMM.
 */
static void test_hlt(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, guest_hlt, 0);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
	interrupt(vcpu, VECTOR);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	vcpu_done(vcpu);
}

static void guest_both(void)
{
	guest_handlers[NMI_VECTOR] = on_irq;
	guest_handlers[VECTOR] = on_irq;
	sti();
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_ASSERT_EQ(irqs2, 1);
	cli();
}

/* An NMI and an interrupt at once: both arrive, once each. */
static void test_both(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, guest_both, 0);
	vcpu_sync(vcpu, 1);
	interrupt(vcpu, VECTOR);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_done(vcpu);
}

static void guest_storm(void)
{
	u64 i;

	guest_handlers[VECTOR] = on_irq;
	guest_handlers[VECTOR2] = on_irq;
	sti();
	for (i = 0; i < 400; i++)
		outb(PORT, i);
	cli();
	GUEST_ASSERT_EQ(irqs + irqs2, 400);
	GUEST_ASSERT_EQ(irqs, 200);
}

/* Four hundred interrupts of two vectors, one after each exit: none is lost. */
static void test_storm(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	int i;

	vcpu_call(vcpu, guest_storm, 0);
	for (i = 0; i < 400; i++) {
		vcpu_expect(vcpu, KVM_EXIT_IO);
		CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
		interrupt(vcpu, i & 1 ? VECTOR : VECTOR2);
	}
	vcpu_done(vcpu);
}

/* With an in-kernel irqchip KVM_INTERRUPT is ENXIO. */
static void test_enxio(void)
{
	struct kvm_interrupt irq = { .irq = VECTOR };
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_INTERRUPT, &irq), ENXIO);
}

KSFT_MAIN(
	{ "events: NMI and NMI blocking", test_nmi },
	{ "events: NMI state by KVM_SET_VCPU_EVENTS", test_nmi_events },
	{ "events: KVM_INTERRUPT", test_irq },
	{ "events: interrupt window", test_window },
	{ "events: STI shadow", test_shadow },
	{ "events: HLT and KVM_INTERRUPT", test_hlt },
	{ "events: NMI and interrupt at once", test_both },
	{ "events: four hundred interrupts", test_storm },
	{ "events: KVM_INTERRUPT with an irqchip", test_enxio },
)
