// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/timer: the VMX-preemption timer of L2: while it halts, at 0, and beside other events.
 * Vol. 3, "VMX-Preemption Timer", "Priority of ... VM Exits".
 */
#include "apic.h"
#include "nested.h"

#define VECTOR	0x51
#define NEVER	0x7fffffff
#define MS	1000000		/* of the APIC's timer */

static volatile u64 count, seen_rip;

static void on_event(struct guest_frame *frame)
{
	count++;
	seen_rip = frame->rip;
}

static void on_irq(struct guest_frame *frame)
{
	on_event(frame);
	apic_eoi();
}

static void self_ipi(u8 vector)
{
	apic_icr(0, ICR_SELF | ICR_ASSERT | vector);
}

static void apic_timer_in(u32 n)
{
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, VECTOR);
	apic_write(APIC_TMICT, n);
}

asm(".text\n"
    ".globl timer_nops, timer_hlt, timer_halted\n"
    "timer_nops: nop\nnop\nnop\nret\n"
    "timer_hlt: hlt\n"
    "timer_halted: nop\nret\n");
void timer_nops(void);
void timer_hlt(void);
extern const char timer_halted[];

static void start(void *fn, u32 value)
{
	l2_call(fn, 0);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_PENDING_DB, 0);
	vmwrite(PREEMPTION_TIMER, value);
}

static struct vcpu *with_timer(void *fn, u64 arg)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(fn, arg);

	REQUIRE(nested_can(vcpu, PIN_CTL, PIN_TIMER), "no preemption timer");
	return vcpu;
}

/* -- HLT ---------------------------------------------------------------------------- */

/* 20 ms and more, in the timer's units */
static u64 some_time(void)
{
	return 100000000ull >> (l1_caps.misc & 31);
}

static void check_halted(u64 begin)
{
	GUEST_ASSERT((rdtsc() - begin) >> (l1_caps.misc & 31) >= some_time());
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(timer_halted));
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 0);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
}

static void guest_halt(void)
{
	u64 begin;

	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	l1_start(timer_hlt, 0);
	l1_control(PIN_CTL, PIN_TIMER | PIN_EXTINT, 0);
	/* it halts by itself */
	start(timer_hlt, some_time());
	begin = rdtsc();
	L2_EXIT(REASON_TIMER);
	check_halted(begin);
	/* it enters halted */
	begin = rdtsc();
	L2_EXIT(REASON_TIMER);
	check_halted(begin);
	vmwrite(PREEMPTION_TIMER, 0);
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(timer_halted));
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	/* an interrupt comes before */
	if (l1_can(EXIT_CTL, EXIT_SAVE_TIMER))
		l1_control(EXIT_CTL, EXIT_SAVE_TIMER, 0);
	vmwrite(PREEMPTION_TIMER, NEVER);
	apic_timer_in(10 * MS);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	GUEST_ASSERT(vmread(PREEMPTION_TIMER) > NEVER / 2);
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 1);
	/* and without the control the field is nothing */
	l1_control(PIN_CTL, 0, PIN_TIMER);
	if (l1_can(EXIT_CTL, EXIT_SAVE_TIMER))
		l1_control(EXIT_CTL, 0, EXIT_SAVE_TIMER);
	vmwrite(PREEMPTION_TIMER, 0);
	apic_timer_in(10 * MS);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	sti_nop_cli();
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	L2_DONE();
}

/* The timer ends HLT; an interrupt may come first. */
static void test_halt(void)
{
	struct vcpu *vcpu = with_timer(guest_halt, 0);

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	vcpu_done(vcpu);
}

#define SPAN	4000000ull	/* of L1's TSC */

static void l2_spin(void)
{
	for (;;)
		cpu_pause();
}

static void guest_count(void)
{
	u64 begin, took;

	l1_start(l2_spin, 0);
	l1_control(PIN_CTL, PIN_TIMER, 0);
	vmwrite(PREEMPTION_TIMER, SPAN >> (l1_caps.misc & 31));
	begin = rdtsc();
	L2_EXIT(REASON_TIMER);
	took = rdtsc() - begin;
	GUEST_ASSERT_AT(took + (1ull << (l1_caps.misc & 31)) >= SPAN && took < 2 * SPAN, took, SPAN);
}

/* It counts by L1's TSC, whatever the rate of that. */
static void test_rate(void)
{
	static const u32 rates[][2] = { { 1, 1 }, { 3, 1 }, { 1, 3 } };
	struct vcpu *vcpu;
	u32 i;

	for (i = 0; i < 2 * ARRAY_SIZE(rates); i++) {
		vcpu = with_timer(i & 1 ? guest_halt : guest_count, 0);
		vcpu_scale_tsc(vcpu, rates[i / 2][0], rates[i / 2][1]);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

static void guest_wait_sipi(void)
{
	apic_enable();
	l1_start(timer_nops, 0);
	l1_control(PIN_CTL, PIN_TIMER, 0);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
	vmwrite(PREEMPTION_TIMER, 0);
	L2_EXIT(REASON_SIPI);
	vmwrite(PREEMPTION_TIMER, 1000);
	L2_EXIT(REASON_SIPI);
}

/* In wait-for-SIPI it is no exit. */
static void test_wait_sipi(void)
{
	struct vcpu *vcpu = with_timer(guest_wait_sipi, 0);
	struct kvm_msi msi = { .address_lo = APIC_BASE_GPA, .data = ICR_ASSERT | ICR_STARTUP };
	int i;

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_WAIT_SIPI, "no wait-for-SIPI state");
	REQUIRE(ksft_is_emys(), "in KVM it is");
	for (i = 0; i < 2; i++) {
		vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
		CHECK_OK(ioctl(vcpu->vm->fd, KVM_SIGNAL_MSI, &msi));
	}
	vcpu_done(vcpu);
}

/* -- 0 --------------------------------------------------------------------------------- */

#define STUB(vector)	((uintptr_t)guest_stubs + (vector) * GUEST_STUB_SIZE)

static void guest_zero(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	guest_handlers[UD_VECTOR] = on_event;
	guest_handlers[DB_VECTOR] = on_event;
	l1_start(timer_nops, 0);
	l1_control(PIN_CTL, PIN_TIMER, 0);
	/* after an injected event, whose exception L1 would want if L2 raised it */
	start(timer_nops, 0);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR);
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), STUB(UD_VECTOR));
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	/* after a debug exception that is pending: it exits */
	start(timer_nops, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_TF);
	vmwrite(GUEST_PENDING_DB, 1 << 14);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | DB_VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
	/* or it is delivered */
	start(timer_nops, 0);
	vmwrite(EXCEPTION_BITMAP, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_TF);
	vmwrite(GUEST_PENDING_DB, 1 << 14);
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), STUB(DB_VECTOR));
	GUEST_ASSERT_EQ(vmread(GUEST_PENDING_DB), 0);
	GUEST_ASSERT_EQ(count, 0);
	/* before windows that are open */
	if (l1_can(PROC_CTL, PROC_INTR_WINDOW)) {
		start(timer_nops, 0);
		vmwrite(GUEST_RFLAGS, 2 | X86_IF);
		l1_control(PROC_CTL, PROC_INTR_WINDOW, 0);
		L2_EXIT(REASON_TIMER);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
		vmwrite(PREEMPTION_TIMER, NEVER);
		L2_EXIT(REASON_INTR_WINDOW);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
		l1_control(PROC_CTL, 0, PROC_INTR_WINDOW);
	}
	/* before an interrupt, whether it exits or is L2's */
	start(timer_nops, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	self_ipi(VECTOR);
	L2_EXIT(REASON_TIMER);
	vmwrite(PREEMPTION_TIMER, NEVER);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
	l1_control(PIN_CTL, 0, PIN_EXTINT);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	start(timer_nops, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT_EQ(count, 0);
	vmwrite(PREEMPTION_TIMER, NEVER);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	/* before an NMI */
	guest_handlers[NMI_VECTOR] = on_event;
	start(timer_nops, 0);
	l1_control(PIN_CTL, PIN_NMI, 0);
	GUEST_SYNC(1);
	/* that one was L1's */
	GUEST_ASSERT_EQ(count, 2);
	L2_EXIT(REASON_TIMER);
	/* after a monitor-trap exit */
	if (l1_can(PROC_CTL, PROC_MTF)) {
		start(timer_nops, 0);
		vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_OTHER);
		L2_EXIT(REASON_MTF);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
		L2_EXIT(REASON_TIMER);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)timer_nops);
	}
}

/* A timer of 0 and what comes before it and after it. */
static void test_zero(void)
{
	struct vcpu *vcpu = with_timer(guest_zero, 0);

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_done(vcpu);
}

/* -- single steps ------------------------------------------------------------------------ */

/*
 * TF is on from the first POPF to the second: each instruction in between, and the second POPF, ends
 * in a #DB. RDMSR of IA32_APIC_BASE is L0's to do, so that the trap is the work of L0, too.
 */
asm(".text\n"
    ".globl timer_steps\n"
    "timer_steps:\n"
    "	mov $0x1b, %ecx\n"
    "	pushfq\n"
    "	pushfq\n"
    "	orl $0x100, (%rsp)\n"
    "	popfq\n"
    ".rept 10\n"
    "	rdmsr\n"
    "	nop\n"
    ".endr\n"
    "	popfq\n"
    "	ret\n");
void timer_steps(void);
#define STEPS	21

static void guest_steps(u64 interrupts)
{
	u64 i, r, exits = 0;

	apic_enable();
	guest_handlers[DB_VECTOR] = on_event;
	guest_handlers[VECTOR] = on_irq;
	l1_start(timer_steps, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PIN_CTL, interrupts ? PIN_EXTINT : PIN_TIMER, 0);
	if (interrupts)
		l1_control(EXIT_CTL, EXIT_ACK, 0);
	for (i = 0; i < 150; i++) {
		start(timer_steps, interrupts ? 0 : i * 40);
		count = 0;
		if (interrupts)
			apic_timer_in(i * 1000 + 1);
		while ((r = l2_run()) != REASON_VMCALL) {
			GUEST_ASSERT_EQ(r, interrupts ? REASON_EXTINT : REASON_TIMER);
			/* no trap of an instruction that is over is left behind */
			GUEST_ASSERT_AT(!vmread(GUEST_PENDING_DB), i, vmread(GUEST_PENDING_DB));
			exits++;
			if (interrupts)
				apic_eoi();
			else
				vmwrite(PREEMPTION_TIMER, NEVER);
		}
		GUEST_ASSERT_AT(count == STEPS, i, count);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_end_call);
	}
	GUEST_ASSERT(exits > 10);
}

/* L2 single-steps itself while the timer expires: each step once. */
static void test_steps(void)
{
	vcpu_done(with_timer(guest_steps, 0));
}

/* The same with interrupts that exit. */
static void test_steps_irq(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_steps, 1);

	REQUIRE(nested_can(vcpu, EXIT_CTL, EXIT_ACK), "no acknowledgement on exit");
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "timer: HLT", test_halt },
	{ "timer: L1's TSC at other rates", test_rate },
	{ "timer: wait-for-SIPI", test_wait_sipi },
	{ "timer: 0", test_zero },
	{ "timer: single steps", test_steps },
	{ "timer: single steps and interrupts", test_steps_irq },
)
