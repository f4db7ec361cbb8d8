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

static volatile u64 rip_of[256];

static void on_event(struct guest_frame *frame)
{
	order = order << 8 | frame->vector;
	rip_of[frame->vector] = frame->rip;
}

static void guest_exception_first(void)
{
	guest_handlers[DB_VECTOR] = on_event;
	guest_handlers[VECTOR] = on_event;
	guest_handlers[NMI_VECTOR] = on_event;
	asm volatile("mov $0x2f0, %%edx\n"
		     "sti\n"
		     "nop\n"
		     "outb %%al, %%dx\n"
		     ".globl events_first\n"
		     "events_first: cli\n" : : : "rax", "rdx", "memory");
}

extern const char events_first[];

/* the port access is finished first */
static void finish_io(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
}

static struct vm *exception_and(u32 vector, u64 expected)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB };
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_vcpu_events ev;

	vcpu_call(vcpu, guest_exception_first, 0);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	finish_io(vcpu);
	vcpu_get_events(vcpu, &ev);
	if (vector == NMI_VECTOR) {
		ev.nmi.injected = 1;
	} else {
		ev.interrupt.injected = 1;
		ev.interrupt.nr = vector;
	}
	ev.flags = 0;
	vcpu_set_events(vcpu, &ev);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(vector == NMI_VECTOR ? ev.nmi.injected : ev.interrupt.injected, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &d));
	vcpu_done(vcpu);
	CHECK_EQ(VM_VAR(vm, order), expected);
	CHECK_EQ(VM_VAR(vm, rip_of[DB_VECTOR]), (uintptr_t)events_first);
	return vm;
}

/*
 * An exception that waits beside an interrupt whose delivery was cut short: it is the
 * instruction's before, so it is delivered there; the interrupt follows and is not lost.
 */
static void test_exception_first(void)
{
	struct vm *vm;

	REQUIRE(ksft_is_emys(), "KVM loses the interrupt");
	vm = exception_and(VECTOR, DB_VECTOR << 8 | VECTOR);
	CHECK_EQ(VM_VAR(vm, rip_of[VECTOR]), (uintptr_t)events_first);
}

/* The same for an NMI, which comes in the handler of the exception. */
static void test_exception_and_nmi(void)
{
	struct vm *vm;

	REQUIRE(ksft_is_emys(), "KVM loses the NMI");
	vm = exception_and(NMI_VECTOR, NMI_VECTOR << 8 | DB_VECTOR);
	CHECK_EQ(VM_VAR(vm, rip_of[NMI_VECTOR]),
		 (uintptr_t)guest_stubs + DB_VECTOR * GUEST_STUB_SIZE);
}

static void guest_closed(void)
{
	guest_handlers[VECTOR] = on_irq;
	GUEST_SYNC(1);
	outb(PORT, 1);
	GUEST_ASSERT_EQ(irqs, 0);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_SYNC(2);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
}

/*
 * KVM_SET_VCPU_EVENTS with an interrupt for a guest that has them off: it waits,
 * shows, and is delivered once.
 */
static void test_closed(void)
{
	struct vcpu *vcpu = vcpu_add(vm_create(), 0);
	struct kvm_vcpu_events ev;
	struct kvm_sregs s;

	REQUIRE(ksft_is_emys(), "KVM fails the entry");
	vcpu_call(vcpu, guest_closed, 0);
	vcpu_sync(vcpu, 1);
	vcpu_get_events(vcpu, &ev);
	ev.interrupt.injected = 1;
	ev.interrupt.nr = VECTOR;
	ev.flags = 0;
	vcpu_set_events(vcpu, &ev);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.interrupt.injected, 1);
	CHECK_EQ(ev.interrupt.nr, VECTOR);
	/* saved and restored, by both of the ioctls that show it */
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.interrupt_bitmap[VECTOR / 64], 1ull << VECTOR % 64);
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_events(vcpu, &ev);
	vcpu_sync(vcpu, 2);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.interrupt.injected, 0);
	vcpu_done(vcpu);
}

#define NMI_STACK	0x10000000ull

static volatile u64 nmi_rips[4];

static void on_nmi_stack(struct guest_frame *frame)
{
	if (nmis < 4)
		nmi_rips[nmis] = frame->rip;
	/* the page of the frame goes away meanwhile, and another NMI comes */
	if (!nmis++)
		outb(PORT, 1);
}

static void guest_nmi_iret(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi_stack;
	/* CS and what follows in the frame are on another page than the handler's stack */
	asm volatile("mov %%rsp, %%rbx\n"
		     "mov %0, %%rsp\n"
		     "mov $0x2f0, %%edx\n"
		     "outb %%al, %%dx\n"
		     ".globl events_nmi\n"
		     "events_nmi: mov %%rbx, %%rsp\n"
		     : : "r"(NMI_STACK + 0x1020) : "rax", "rbx", "rdx", "memory");
	GUEST_ASSERT_EQ(nmis, 2);
}

extern const char events_nmi[];

/*
 * The IRET of an NMI handler exits for a page to be mapped, and runs again: until it
 * is done the next NMI waits. Vol. 3, "Resuming Guest Software after Handling an Exception".
 */
static void test_nmi_iret(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u8 *mem = host_memory(0x2000);

	vm_region(vm, 1, 0, NMI_STACK, 0x2000, mem);
	vcpu_call(vcpu, guest_nmi_iret, 0);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_expect(vcpu, KVM_EXIT_IO);
	vm_region(vm, 1, 0, NMI_STACK, 0, mem);
	vm_region(vm, 1, 0, NMI_STACK, 0x2000, mem);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_done(vcpu);
	CHECK_EQ(VM_VAR(vm, nmi_rips[0]), (uintptr_t)events_nmi);
	CHECK_EQ(VM_VAR(vm, nmi_rips[1]), (uintptr_t)events_nmi);
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
	{ "events: exception before interrupt", test_exception_first },
	{ "events: exception and NMI", test_exception_and_nmi },
	{ "events: interrupt set while they are off", test_closed },
	{ "events: IRET of an NMI handler exits", test_nmi_iret },
	{ "events: KVM_INTERRUPT with an irqchip", test_enxio },
)
