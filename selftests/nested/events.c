// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/events: what L1 injects, what comes while L2 runs, and what L2's own delivery meets.
 * Vol. 3, "Event Injection", "Information for VM Exits That Occur During Event Delivery".
 */
#include "apic.h"
#include "nested.h"

#define VECTOR	0x51

static volatile u64 count, seen_vector, seen_error, seen_rip, seen_flags;

static void on_event(struct guest_frame *frame)
{
	count++;
	seen_vector = frame->vector;
	seen_error = frame->error;
	seen_rip = frame->rip;
	seen_flags = frame->rflags;
}

static void on_irq(struct guest_frame *frame)
{
	on_event(frame);
	apic_eoi();
}

asm(".text\n"
    ".globl l2_nops\n"
    "l2_nops: nop\nnop\nnop\nnop\nret\n");
void l2_nops(void);

static void set_handlers(void)
{
	unsigned int n;

	for (n = 0; n < 32; n++)
		guest_handlers[n] = on_event;
	guest_handlers[VECTOR] = on_event;
	guest_handlers[0x80] = on_event;
}

struct inject_row {
	u32 event, error, length;
};

static const struct inject_row inject_rows[] = {
	{ EVENT_EXTINT | VECTOR, 0, 0 },
	{ EVENT_EXTINT | 0x80, 0, 0 },
	{ EVENT_NMI | NMI_VECTOR, 0, 0 },
	{ EVENT_HARD | DE_VECTOR, 0, 0 },
	{ EVENT_HARD | DB_VECTOR, 0, 0 },
	{ EVENT_HARD | UD_VECTOR, 0, 0 },
	{ EVENT_HARD | EVENT_ERROR | GP_VECTOR, 0x1234, 0 },
	{ EVENT_HARD | EVENT_ERROR | PF_VECTOR, 0x6, 0 },
	{ EVENT_HARD | EVENT_ERROR | TS_VECTOR, 0xfff8, 0 },
	/* software: the frame has the address behind the instruction */
	{ EVENT_SOFT_INT | 0x80, 0, 2 },
	{ EVENT_SOFT_INT | VECTOR, 0, 3 },
	{ EVENT_SOFT_EXC | BP_VECTOR, 0, 1 },
	{ EVENT_PRIV_SOFT | DB_VECTOR, 0, 1 },
};

static void guest_inject(void)
{
	unsigned int n;
	u64 r;

	set_handlers();
	l1_start(l2_nops, 0);
	for (n = 0; n < ARRAY_SIZE(inject_rows); n++) {
		const struct inject_row *row = &inject_rows[n];

		l2_call(l2_nops, 0);
		vmwrite(GUEST_RFLAGS, 2 | X86_IF);
		vmwrite(ENTRY_EVENT, EVENT_VALID | row->event);
		vmwrite(ENTRY_ERROR, row->error);
		vmwrite(ENTRY_LENGTH, row->length);
		/* what would exit if L2 did it by itself does not when it is injected */
		vmwrite(EXCEPTION_BITMAP, ~0u);
		asm volatile("mov %0, %%cr2" : : "r"(0x77ull));
		count = 0;
		r = l2_run();
		GUEST_ASSERT_AT(r == REASON_VMCALL, n, r);
		GUEST_ASSERT_AT(count == 1, n, count);
		GUEST_ASSERT_AT(seen_vector == (row->event & 0xff), n, seen_vector);
		if (row->event & EVENT_ERROR)
			GUEST_ASSERT_AT(seen_error == row->error, n, seen_error);
		GUEST_ASSERT_AT(seen_rip == (uintptr_t)l2_nops + row->length, n, seen_rip);
		/* once */
		GUEST_ASSERT_AT(!(vmread(ENTRY_EVENT) & EVENT_VALID), n, vmread(ENTRY_EVENT));
		GUEST_ASSERT_AT(!(vmread(IDT_EVENT) & EVENT_VALID), n, vmread(IDT_EVENT));
		GUEST_ASSERT_AT(read_cr2() == 0x77, n, read_cr2());
		l2_call(l2_nops, 0);
		r = l2_run();
		GUEST_ASSERT_AT(r == REASON_VMCALL && count == 1, n, count);
	}
}

/* Each type of event, injected once, with its error code and return address. */
static void test_inject(void)
{
	nested_run(guest_inject, 0);
}

/* NMIs are blocked in the handler: the exit shows it */
static void on_nmi(struct guest_frame *frame)
{
	on_event(frame);
	vmcall();
}

static void guest_inject_nmi(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi;
	l1_start(l2_nops, 0);
	l1_control(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI, 0);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_NMI | NMI_VECTOR);
	L2_EXIT_SKIP(REASON_VMCALL);
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(vmread(GUEST_BLOCKING), BLOCKING_NMI);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_BLOCKING), 0);
}

/* An injected NMI blocks virtual NMIs until the handler's IRET. */
static void test_inject_nmi(void)
{
	nested_run_with(guest_inject_nmi, 0, PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI);
}

static void guest_inject_hlt(void)
{
	guest_handlers[VECTOR] = on_event;
	l1_start(l2_nops, 0);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_HLT);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(seen_rip, (uintptr_t)l2_nops);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_ACTIVE);
}

/* An injected interrupt wakes an L2 that enters halted. */
static void test_inject_hlt(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_inject_hlt, 0);

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	vcpu_done(vcpu);
}

static void guest_inject_mtf(void)
{
	l1_start(l2_nops, 0);
	/* pending at entry, whatever the control says: before the first instruction */
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_OTHER);
	L2_EXIT(REASON_MTF);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nops);
	GUEST_ASSERT_EQ(vmread(ENTRY_EVENT) & EVENT_VALID, 0);
	l1_control(PROC_CTL, PROC_MTF, 0);
	L2_EXIT(REASON_MTF);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nops + 1);
	/* with an event: before the first instruction of its handler */
	guest_handlers[UD_VECTOR] = on_event;
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR);
	L2_EXIT(REASON_MTF);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP),
			(uintptr_t)guest_stubs + UD_VECTOR * GUEST_STUB_SIZE);
}

/* A pending MTF exit, and MTF with an injected event. */
static void test_inject_mtf(void)
{
	nested_run_with(guest_inject_mtf, 0, PROC_CTL, PROC_MTF);
}

static void guest_pending_db(void)
{
	l1_start(l2_nops, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << DB_VECTOR);
	vmwrite(GUEST_RFLAGS, 2 | X86_TF);
	vmwrite(GUEST_PENDING_DB, 1 << 14);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | DB_VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nops);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 1 << 14);
}

/* A pending debug exception comes before the first instruction. */
static void test_pending_db(void)
{
	nested_run(guest_pending_db, 0);
}

/* -- external interrupts ------------------------------------------------------------ */

static void self_ipi(u8 vector)
{
	apic_icr(0, ICR_SELF | ICR_ASSERT | vector);
}

/* long enough for L1 to enter L2, in ticks of the timer */
#define LATER	10000000

static void timer_in(u32 n)
{
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, VECTOR);
	apic_write(APIC_TMICT, n);
}

static volatile u64 spins;

static void l2_spin(void)
{
	for (;;)
		spins++;
}

static void l2_sti(void)
{
	sti();
	asm volatile("nop\n"
		     ".globl events_open\n"
		     "events_open: nop\n");
	cli();
}

extern const char events_open[];

static void guest_extint(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	l1_start(l2_nops, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	/* pending before the entry, and L2's RFLAGS.IF is clear: it exits all the same */
	self_ipi(VECTOR);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nops);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(count, 0);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 1);
	/* not acknowledged: L1 takes it when it opens its interrupts */
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 1);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	/* acknowledged: L1 has the vector, and has to end it */
	l1_control(EXIT_CTL, EXIT_ACK, 0);
	self_ipi(VECTOR);
	l2_call(l2_nops, 0);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_EXTINT | VECTOR);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 0);
	GUEST_ASSERT_EQ(apic_bit(APIC_ISR, VECTOR), 1);
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 1);
	apic_eoi();
	GUEST_ASSERT_EQ(apic_bit(APIC_ISR, VECTOR), 0);
	L2_DONE();
}

/* External interrupts that exit, with and without acknowledgement. */
static void test_extint(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_extint, 0);

	REQUIRE(nested_can(vcpu, EXIT_CTL, EXIT_ACK), "no acknowledgement on exit");
	vcpu_done(vcpu);
}

static void guest_extint_async(u64 ack)
{
	u64 i;

	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	l1_start(l2_spin, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	if (ack)
		l1_control(EXIT_CTL, EXIT_ACK, 0);
	for (i = 1; i <= 20; i++) {
		u64 before = spins;

		timer_in(LATER);
		L2_EXIT(REASON_EXTINT);
		GUEST_ASSERT(spins > before);
		if (ack) {
			GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_EXTINT | VECTOR);
			apic_eoi();
		} else {
			sti_nop_cli();
			GUEST_ASSERT_EQ(count, i);
		}
	}
}

/* An interrupt that comes while L2 runs. */
static void test_extint_async(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_extint_async, 0);

	vcpu_done(vcpu);
	vm_free(vcpu->vm);
	vcpu = nested_vcpu_irqchip(guest_extint_async, 1);
	REQUIRE(nested_can(vcpu, EXIT_CTL, EXIT_ACK), "no acknowledgement on exit");
	vcpu_done(vcpu);
}

static void guest_extint_l2(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	l1_start(l2_sti, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	/* not before L2 opens its interrupts */
	self_ipi(VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(seen_rip, pa(events_open));
	/* open at entry */
	self_ipi(VECTOR);
	l2_call(l2_nops, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 2);
	GUEST_ASSERT_EQ(seen_rip, (uintptr_t)l2_nops);
	/* closed in L2: it is L1's then, because nobody took it */
	self_ipi(VECTOR);
	l2_call(l2_nops, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 2);
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 3);
}

/* External interrupts that do not exit are delivered by L2's IDT. */
static void test_extint_l2(void)
{
	vcpu_done(nested_vcpu_irqchip(guest_extint_l2, 0));
}

static void l2_halt(void)
{
	asm volatile("hlt\n"
		     ".globl events_halted\n"
		     "events_halted: nop\n");
}

extern const char events_halted[];

static void guest_halt(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	/* L2 halts, and HLT does not exit: it sleeps until the interrupt, which exits */
	l1_start(l2_halt, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	timer_in(LATER);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(events_halted));
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 1);
	/* it enters halted */
	timer_in(LATER);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(events_halted));
	sti_nop_cli();
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	L2_DONE();
	/* it is L2's interrupt: L2's handler runs, and L2 goes on */
	l1_control(PIN_CTL, 0, PIN_EXTINT);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	count = 0;
	l2_call(l2_halt, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	timer_in(LATER);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(seen_rip, pa(events_halted));
}

/* The HLT activity state. */
static void test_halt(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_halt, 0);

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	vcpu_done(vcpu);
}

static void guest_window_irq(void)
{
	u64 i;

	apic_enable();
	guest_handlers[VECTOR] = on_event;
	l1_start(l2_sti, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	l1_control(EXIT_CTL, EXIT_ACK, 0);
	/* what hypervisors do: take it, wait for the window, inject it */
	for (i = 1; i < 10; i++) {
		l2_call(l2_sti, 0);
		self_ipi(VECTOR);
		L2_EXIT(REASON_EXTINT);
		apic_eoi();
		l1_control(PROC_CTL, PROC_INTR_WINDOW, 0);
		L2_EXIT(REASON_INTR_WINDOW);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(events_open));
		l1_control(PROC_CTL, 0, PROC_INTR_WINDOW);
		vmwrite(ENTRY_EVENT, vmread(EXIT_EVENT) | EVENT_VALID | EVENT_EXTINT | VECTOR);
		L2_DONE();
		GUEST_ASSERT_EQ(count, i);
	}
}

/* Take an interrupt, wait for the window, inject it. */
static void test_window_irq(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_window_irq, 0);

	REQUIRE(nested_can(vcpu, EXIT_CTL, EXIT_ACK), "no acknowledgement on exit");
	vcpu_done(vcpu);
}

/* -- NMIs ----------------------------------------------------------------------------- */

static void l2_nmi(void)
{
	GUEST_SYNC(1);
	asm volatile("nop");
	GUEST_SYNC(2);
}

static void guest_nmi(void)
{
	guest_handlers[NMI_VECTOR] = on_event;
	l1_start(l2_nmi, 0);
	l1_control(PIN_CTL, PIN_NMI, 0);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_NMI | NMI_VECTOR);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(count, 0);
	/* L1 has NMIs blocked as in a handler */
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(count, 0);
	asm volatile("mov %%rsp, %%rcx\n"
		     "push %0\n"
		     "push %%rcx\n"
		     "pushfq\n"
		     "push %1\n"
		     "push $1f\n"
		     "iretq\n"
		     "1: nop\n" : : "i"(SEL_DATA), "i"(SEL_CODE64) : "rcx", "memory");
	GUEST_ASSERT_EQ(count, 1);
	L2_DONE();
	/* without the control it is L2's */
	l1_control(PIN_CTL, 0, PIN_NMI);
	l2_call(l2_nmi, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 2);
}

/* An NMI while L2 runs: it exits, and blocks further ones in L1; or it is L2's. */
static void test_nmi(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_nmi, 0);

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_sync(vcpu, 3);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_sync(vcpu, 2);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_sync(vcpu, 2);
	vcpu_done(vcpu);
}

/* -- faults on the way to a handler ------------------------------------------------------ */

static u64 idt[512] VMX_PAGE;

#define NOT_PRESENT(vector)	(idt[2 * (vector)] &= ~(1ull << 47))

L2_SNIPPET(l2_ud, "", "ud2");
L2_SNIPPET(l2_int80, "", "int $0x80");
L2_SNIPPET(l2_int3, "", "int3");

static void own_idt(void)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		idt[i] = ((u64 *)GPA_IDT)[i];
	vmwrite(GUEST_IDTR_BASE, pa(idt));
}

static void vectoring(void *fn, u32 vector, u32 idt_event, u32 error, u32 length)
{
	l1_make_vmcs(l1_vmcs, fn, 0);
	own_idt();
	NOT_PRESENT(vector);
	vmwrite(EXCEPTION_BITMAP, 1 << NP_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | EVENT_ERROR | NP_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), error);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT), idt_event);
	if (length)
		GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), length);
}

static void guest_vectoring(void)
{
	l1_vmx_on();
	/* an earlier exception is external to the program, INT n and INT3 are not */
	vectoring(l2_ud, UD_VECTOR, EVENT_VALID | EVENT_HARD | UD_VECTOR, 6 * 8 + 3, 0);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_ud_at));
	vectoring(l2_int80, 0x80, EVENT_VALID | EVENT_SOFT_INT | 0x80, 0x80 * 8 + 2, 2);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_int80_at));
	vectoring(l2_int3, BP_VECTOR, EVENT_VALID | EVENT_SOFT_EXC | BP_VECTOR, 3 * 8 + 2, 1);
	/* L1 repairs the gate and injects again what the exit kept from L2 */
	own_idt();
	guest_handlers[BP_VECTOR] = on_event;
	vmwrite(ENTRY_EVENT, vmread(IDT_EVENT));
	vmwrite(ENTRY_LENGTH, vmread(EXIT_LENGTH));
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(seen_rip, pa(l2_int3_at) + 1);
}

/* A fault in the delivery of an event: the exit keeps both. */
static void test_vectoring(void)
{
	nested_run(guest_vectoring, 0);
}

static void injected(u32 event, u32 vector, u32 error)
{
	l1_make_vmcs(l1_vmcs, l2_nops, 0);
	own_idt();
	NOT_PRESENT(vector);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	vmwrite(EXCEPTION_BITMAP, 1 << NP_VECTOR);
	vmwrite(ENTRY_EVENT, event);
	vmwrite(ENTRY_ERROR, 0x18);
	vmwrite(ENTRY_LENGTH, 2);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | EVENT_ERROR | NP_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), error);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT), event);
	if (event & EVENT_ERROR)
		GUEST_ASSERT_EQ(vmread(IDT_ERROR), 0x18);
	GUEST_ASSERT_EQ(vmread(ENTRY_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nops);
}

static void guest_injected(void)
{
	l1_vmx_on();
	injected(EVENT_VALID | EVENT_EXTINT | VECTOR, VECTOR, VECTOR * 8 + 3);
	injected(EVENT_VALID | EVENT_NMI | NMI_VECTOR, NMI_VECTOR, NMI_VECTOR * 8 + 3);
	injected(EVENT_VALID | EVENT_HARD | UD_VECTOR, UD_VECTOR, UD_VECTOR * 8 + 3);
	injected(EVENT_VALID | EVENT_SOFT_INT | 0x80, 0x80, 0x80 * 8 + 2);
	injected(EVENT_VALID | EVENT_SOFT_EXC | BP_VECTOR, BP_VECTOR, BP_VECTOR * 8 + 2);
}

/* The same for events that L1 injects. */
static void test_injected(void)
{
	nested_run(guest_injected, 0);
}

static void guest_df(void)
{
	/* #GP cannot be delivered, and neither can the #NP that follows: #DF */
	l1_start(l2_nops, 0);
	own_idt();
	NOT_PRESENT(GP_VECTOR);
	vmwrite(EXCEPTION_BITMAP, 1 << DF_VECTOR);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | EVENT_ERROR | DF_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), 0);
	/* an exit by #DF itself is not one during event delivery */
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	/* and no #DF either: triple fault */
	NOT_PRESENT(DF_VECTOR);
	vmwrite(EXCEPTION_BITMAP, 0);
	l2_call(l2_nops, 0);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR);
	L2_EXIT(REASON_TRIPLE_FAULT);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	/* the #NP in between, when L1 wants it, comes first */
	l2_call(l2_nops, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << NP_VECTOR);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT), EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR);
}

/* Double and triple faults in delivery. */
static void test_df(void)
{
	nested_run(guest_df, 0);
}

/* -- interrupts of a VMM that has the controllers itself ------------------------------- */

static void l2_sync(void)
{
	GUEST_SYNC(1);
}

static void guest_interrupt(u64 exits)
{
	guest_handlers[VECTOR] = on_event;
	l1_start(l2_sync, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	if (exits) {
		l1_control(PIN_CTL, PIN_EXTINT, 0);
		l1_control(EXIT_CTL, EXIT_ACK, 0);
		L2_EXIT(REASON_EXTINT);
		GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_EXTINT | VECTOR);
	}
	L2_DONE();
	GUEST_ASSERT_EQ(count, !exits);
}

static void interrupt_l2(u64 exits)
{
	struct kvm_interrupt irq = { .irq = VECTOR };
	struct vcpu *vcpu = nested_vcpu_with(guest_interrupt, exits, EXIT_CTL, EXIT_ACK);

	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
	vcpu_done(vcpu);
}

/* KVM_INTERRUPT while L2 runs: L2's, where it does not exit. */
static void test_interrupt(void)
{
	interrupt_l2(0);
}

/* The same where it exits. */
static void test_interrupt_exits(void)
{
	REQUIRE(ksft_is_emys(), "KVM gives it to L2");
	interrupt_l2(1);
}

KSFT_MAIN(
	{ "events: injection", test_inject },
	{ "events: injected NMI blocks NMIs", test_inject_nmi },
	{ "events: injection into HLT", test_inject_hlt },
	{ "events: injection and MTF", test_inject_mtf },
	{ "events: pending debug exception", test_pending_db },
	{ "events: external interrupt exits", test_extint },
	{ "events: external interrupt while L2 runs", test_extint_async },
	{ "events: external interrupt of L2", test_extint_l2 },
	{ "events: HLT activity state", test_halt },
	{ "events: interrupt window and injection", test_window_irq },
	{ "events: NMI", test_nmi },
	{ "events: fault in delivery", test_vectoring },
	{ "events: fault in delivery of an injected event", test_injected },
	{ "events: double and triple fault", test_df },
	{ "events: KVM_INTERRUPT in L2", test_interrupt },
	{ "events: KVM_INTERRUPT in L2, exits", test_interrupt_exits },
)
