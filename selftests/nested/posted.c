// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/posted: posted interrupts, and virtual interrupts that end L2's HLT. Vol. 3,
 * "Posted-Interrupt Processing", "Virtual-Interrupt Delivery".
 */
#include <pthread.h>

#include "vapic.h"

#define VECTOR	0x51
#define VECTOR2	0x91
#define LOWER	0xd1	/* below the notification, and above it; both in other classes */
#define NOTIFY	0xe1
#define HIGHER	0xf1
#define TIMER	0xc1

#define LATER	10000000
#define WHILE	2000000		/* of the TSC: long enough for an L2 to fall asleep */
#define ROUNDS	20

static struct {
	u64 pir[4];
	u64 control;		/* bit 0: outstanding notification */
	u64 unused[3];
} desc VMX_PAGE;

static volatile u64 in_l2, woke;

asm(".text\n"
    ".globl posted_nops\n"
    "posted_nops: nop\nnop\nret\n"
    ".globl posted_hlt, posted_halted\n"
    "posted_hlt: sti\nhlt\n"
    "posted_halted: nop\nret\n");
void posted_nops(void);
void posted_hlt(void);
extern const char posted_halted[];

static void post(u8 vector)
{
	__atomic_fetch_or(&desc.pir[vector / 64], 1ull << vector % 64, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&desc.control, 1, __ATOMIC_SEQ_CST);
}

static bool desc_empty(void)
{
	return !(desc.pir[0] | desc.pir[1] | desc.pir[2] | desc.pir[3] | desc.control);
}

static void self(u8 vector)
{
	apic_icr(0, ICR_SELF | vector);
}

static void start(void *fn, u64 arg)
{
	vapic_start_vid(fn, arg, PROC2_X2APIC);
	vmwrite(POSTED_VECTOR, NOTIFY);
	vmwrite(POSTED_DESC, pa(&desc));
	l1_control(EXIT_CTL, EXIT_ACK, 0);
	l1_control(PIN_CTL, PIN_POSTED, 0);
	desc.pir[0] = 0;
	desc.pir[1] = 0;
	desc.pir[2] = 0;
	desc.pir[3] = 0;
	desc.control = 0;
}

static void enter_l1(u64 x2apic)
{
	if (x2apic)
		x2apic_enable();
	else
		apic_enable();
	guest_handlers[VECTOR] = on_virtual;
	guest_handlers[VECTOR2] = on_virtual;
	l1_vmx_on();
}

static bool can(struct vcpu *vcpu)
{
	return nested_can(vcpu, PIN_CTL, PIN_POSTED) && nested_can(vcpu, PROC2_CTL, VAPIC_VID) &&
	       nested_can(vcpu, EXIT_CTL, EXIT_ACK);
}

static void run_alone(void *fn, u64 arg)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(fn, arg);

	REQUIRE(can(vcpu), "no posted interrupts");
	vcpu_done(vcpu);
	vm_free(vcpu->vm);
}

/* -- L1's CPU has the notification when L2 starts ------------------------------------------- */

#define EXTINT(vector)							\
	do {								\
		L2_EXIT(REASON_EXTINT);					\
		GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_EXTINT | (vector)); \
		apic_eoi();						\
	} while (0)

static void guest_posted(u64 x2apic)
{
	enter_l1(x2apic);
	start(posted_nops, 0);
	post(VECTOR);
	post(VECTOR2);
	self(NOTIFY);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR2 << 8 | VECTOR);
	GUEST_ASSERT(desc_empty());
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0);
	/* L1's APIC is done with it */
	GUEST_ASSERT(!apic_bit(APIC_IRR, NOTIFY) && !apic_bit(APIC_ISR, NOTIFY));
	/* posted, and nobody was notified */
	start(posted_nops, 0);
	post(VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT_EQ(desc.control, 1);
	GUEST_ASSERT(!vapic_has(APIC_IRR, VECTOR));
	/* the vector without the control */
	l1_control(PIN_CTL, 0, PIN_POSTED);
	l2_call(posted_nops, 0);
	self(NOTIFY);
	EXTINT(NOTIFY);
	GUEST_ASSERT_EQ(desc.control, 1);
	/* and another one with it */
	l1_control(PIN_CTL, PIN_POSTED, 0);
	vmwrite(POSTED_VECTOR, LOWER);
	self(NOTIFY);
	EXTINT(NOTIFY);
	GUEST_ASSERT_EQ(desc.control, 1);
	self(LOWER);
	vmset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	GUEST_ASSERT(desc_empty());
}

/* A notification that waits at VM entry. */
static void test_posted(void)
{
	run_alone(guest_posted, 0);
	run_alone(guest_posted, 1);
}

static void guest_others(void)
{
	enter_l1(0);
	/* one above it is an exit first, and holds it back until its EOI */
	start(posted_nops, 0);
	post(VECTOR);
	self(NOTIFY);
	self(HIGHER);
	L2_EXIT(REASON_EXTINT);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_EXTINT | HIGHER);
	GUEST_ASSERT_EQ(desc.control, 1);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT_EQ(desc.control, 1);
	apic_eoi();
	l2_call(posted_nops, 0);
	vmset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	/* L1's task priority holds it back */
	start(posted_nops, 0);
	post(VECTOR);
	apic_write(APIC_TPR, 0xe0);
	self(NOTIFY);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT_EQ(desc.control, 1);
	apic_write(APIC_TPR, 0xd0);
	l2_call(posted_nops, 0);
	vmset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	apic_write(APIC_TPR, 0);
}

/* Beside other interrupts of L1's. */
static void test_others(void)
{
	run_alone(guest_others, 0);
}

static void guest_above(void)
{
	enter_l1(0);
	start(posted_nops, 0);
	post(VECTOR);
	self(NOTIFY);
	self(LOWER);
	EXTINT(LOWER);
	GUEST_ASSERT(desc_empty());
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
}

/* It is above another interrupt, which is an exit all the same. */
static void test_above(void)
{
	REQUIRE(ksft_is_emys(), "KVM 6.1 forgets it");
	run_alone(guest_above, 0);
}

static void guest_requested(void)
{
	enter_l1(1);
	/* L2's task priority: it is requested */
	start(posted_nops, 0);
	*vapic_reg(APIC_TPR) = 0x60;
	post(VECTOR);
	self(NOTIFY);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT(desc_empty());
	GUEST_ASSERT(vapic_has(APIC_IRR, VECTOR));
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), VECTOR);
	/* the highest one that is requested stays so */
	*vapic_reg(APIC_TPR) = 0xa0;
	vapic_set(APIC_IRR, VECTOR2, true);
	vapic_set(APIC_IRR, VECTOR, false);
	vmwrite(GUEST_INTR_STATUS, VECTOR2);
	l2_call(posted_nops, 0);
	post(VECTOR);
	self(NOTIFY);
	L2_DONE();
	GUEST_ASSERT(vapic_has(APIC_IRR, VECTOR) && vapic_has(APIC_IRR, VECTOR2));
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), VECTOR2);
	/* all bits of the descriptor: those below 16 are as good as others */
	start(posted_nops, 0);
	*vapic_reg(APIC_TPR) = 0xf0;
	desc.pir[0] = -1ull;
	desc.pir[1] = -1ull;
	desc.pir[2] = -1ull;
	desc.pir[3] = -1ull;
	desc.control = -1ull;
	self(NOTIFY);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0xff);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_IRR), 0xffffffff);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_IRR + 0x70), 0xffffffff);
	/* the other bits are software's */
	GUEST_ASSERT_EQ(desc.control, -2ull);
}

/* What cannot be delivered at once. */
static void test_requested(void)
{
	run_alone(guest_requested, 0);
}

#define REFUSED()	GUEST_ASSERT_EQ(l2_run(), L2_FAILED | VMX_VALID(ERR_CONTROLS))

static void guest_controls(u64 notify)
{
	enter_l1(0);
	start(posted_nops, 0);
	l1_control(PROC2_CTL, 0, PROC2_VID);
	REFUSED();
	l1_control(PROC2_CTL, PROC2_VID, 0);
	l1_control(EXIT_CTL, 0, EXIT_ACK);
	REFUSED();
	l1_control(EXIT_CTL, EXIT_ACK, 0);
	vmwrite(POSTED_VECTOR, 0x100 | NOTIFY);
	REFUSED();
	vmwrite(POSTED_VECTOR, 0xff);
	vmwrite(POSTED_DESC, pa(&desc) + 0x20);
	REFUSED();
	vmwrite(POSTED_DESC, 1ull << 52);
	REFUSED();
	vmwrite(POSTED_DESC, pa(&desc) + 0x40);
	L2_DONE();
	/* nobody looks at it unless there is a notification */
	vmwrite(POSTED_DESC, GPA_MMIO);
	vmwrite(POSTED_VECTOR, NOTIFY);
	l2_call(posted_nops, 0);
	L2_DONE();
	if (!notify)
		return;
	self(NOTIFY);
	l2_call(posted_nops, 0);
	vmset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT(!apic_bit(APIC_IRR, NOTIFY) && !apic_bit(APIC_ISR, NOTIFY));
}

/* What VM entry wants of the controls; a descriptor where there is no memory. */
static void test_controls(void)
{
	/* KVM ends the guest at the notification */
	run_alone(guest_controls, ksft_is_emys());
}

/* -- another CPU of L1's notifies ------------------------------------------------------------ */

static void wait_for(volatile u64 *what, u64 value)
{
	while (*what < value)
		cpu_pause();
}

static void wait_while(u64 ticks)
{
	u64 t = rdtsc();

	while (rdtsc() - t < ticks)
		cpu_pause();
}

static void l2_spin(void)
{
	u64 i;

	for (i = 1; i <= ROUNDS; i++) {
		in_l2 = i;
		wait_for(&handled, i);
	}
}

static void guest_spin(u64 x2apic)
{
	enter_l1(x2apic);
	start(l2_spin, 0);
	/* ROUNDS interrupts, and no exit */
	L2_DONE();
	GUEST_ASSERT_EQ(handled, ROUNDS);
	GUEST_ASSERT(desc_empty());
	in_l2 = ROUNDS + 1;
}

static void guest_notify(u64 x2apic)
{
	u64 i;

	if (x2apic)
		x2apic_enable();
	else
		apic_enable();
	for (i = 1; i <= ROUNDS; i++) {
		wait_for(&in_l2, i);
		post(VECTOR);
		apic_icr(0, NOTIFY);
		wait_for(&handled, i);
	}
	wait_for(&in_l2, ROUNDS + 1);
}

static void *run_done(void *arg)
{
	vcpu_done(arg);
	return NULL;
}

static void run_two(void *l1, void *other, u64 x2apic)
{
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct vcpu *vcpu = nested_vcpu_irqchip(l1, x2apic), *ap;
	pthread_t t;

	REQUIRE(can(vcpu), "no posted interrupts");
	ap = vcpu_add(vcpu->vm, 1);
	CHECK_OK(ioctl(ap->fd, KVM_SET_MP_STATE, &mp));
	vcpu_call(ap, other, x2apic);
	CHECK_EQ(pthread_create(&t, NULL, run_done, ap), 0);
	vcpu_done(vcpu);
	pthread_join(t, NULL);
	vm_free(vcpu->vm);
}

/* L2 runs. */
static void test_spin(void)
{
	run_two(guest_spin, guest_notify, 0);
	run_two(guest_spin, guest_notify, 1);
}

static void l2_sleep(void)
{
	u64 i;

	for (i = 1; i <= ROUNDS; i++) {
		cli();
		in_l2 = i;
		while (handled < i) {
			safe_halt();
			cli();
		}
	}
}

static void guest_sleep(u64 x2apic)
{
	enter_l1(x2apic);
	start(l2_sleep, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, ROUNDS);
	GUEST_ASSERT(desc_empty());
	in_l2 = ROUNDS + 1;
}

static void guest_notify_asleep(u64 x2apic)
{
	u64 i;

	if (x2apic)
		x2apic_enable();
	else
		apic_enable();
	for (i = 1; i <= ROUNDS; i++) {
		wait_for(&in_l2, i);
		/* sometimes it is asleep, sometimes not yet */
		if (i & 1)
			wait_while(WHILE);
		post(i & 2 ? VECTOR : VECTOR2);
		apic_icr(0, NOTIFY);
		wait_for(&handled, i);
	}
	wait_for(&in_l2, ROUNDS + 1);
}

/* L2 is in HLT, which does not exit. */
static void test_sleep(void)
{
	REQUIRE(ksft_is_emys(), "KVM 6.1 may sleep on");
	run_two(guest_sleep, guest_notify_asleep, 0);
	run_two(guest_sleep, guest_notify_asleep, 1);
}

static void l2_masked(void)
{
	x2apic_write(APIC_TPR, 0x60);
	in_l2 = 1;
	safe_halt();
	woke = 1;
	x2apic_write(APIC_TPR, 0);
}

static void guest_masked(void)
{
	enter_l1(1);
	start(l2_masked, 0);
	vmunset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR2 << 8 | VECTOR);
	in_l2 = 2;
}

static void guest_notify_masked(void)
{
	x2apic_enable();
	wait_for(&in_l2, 1);
	wait_while(WHILE);
	/* it is requested, and L2 sleeps on */
	post(VECTOR);
	apic_icr(0, NOTIFY);
	while (!vapic_has(APIC_IRR, VECTOR))
		cpu_pause();
	wait_while(WHILE);
	GUEST_ASSERT_EQ(woke, 0);
	post(VECTOR2);
	apic_icr(0, NOTIFY);
	wait_for(&in_l2, 2);
}

/* L2 is in HLT, and what is posted may not be delivered. */
static void test_masked(void)
{
	REQUIRE(ksft_is_emys(), "KVM 6.1 may sleep on");
	run_two(guest_masked, guest_notify_masked, 0);
}

/* -- HLT, and what is requested already ------------------------------------------------------ */

static void timer_in(u32 n)
{
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, TIMER);
	apic_write(APIC_TMICT, n);
}

/* L2 sleeps until L1's timer */
static void sleeps(const void *rip)
{
	timer_in(LATER);
	EXTINT(TIMER);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(rip));
	GUEST_ASSERT_EQ(handled, 0);
}

static void start_requested(void *fn)
{
	vapic_start_vid(fn, 0, PROC2_X2APIC);
	l1_control(EXIT_CTL, EXIT_ACK, 0);
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
}

/* The CPU makes PPR of TPR when L2 starts to run; KVM takes it from the page before that. */
static void set_priority(u8 tpr, u8 ppr)
{
	*vapic_reg(APIC_TPR) = tpr;
	*vapic_reg(APIC_PPR) = ppr;
}

static void guest_halted(u64 on_emys)
{
	enter_l1(0);
	start_requested(posted_nops);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_HLT);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_ACTIVE);
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0);
	/* not while its class is TPR's, or that of one in service, or interrupts are off */
	start_requested(posted_nops);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_HLT);
	set_priority(VECTOR, VECTOR);
	sleeps(posted_nops);
	set_priority(0, VECTOR & 0xf0);
	vapic_set(APIC_ISR, VECTOR + 1, true);
	vmwrite(GUEST_INTR_STATUS, (VECTOR + 1) << 8 | VECTOR);
	sleeps(posted_nops);
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), (VECTOR + 1) << 8 | VECTOR);
	vapic_set(APIC_ISR, VECTOR + 1, false);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	set_priority(0, 0);
	if (on_emys) {
		vmunset(GUEST_RFLAGS, X86_IF);
		sleeps(posted_nops);
		vmset(GUEST_RFLAGS, X86_IF);
	}
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	/* the same by its own HLT, which does not exit */
	start_requested(posted_hlt);
	set_priority(0x60, 0x60);
	vmunset(GUEST_RFLAGS, X86_IF);
	sleeps(posted_halted);
	set_priority(0x40, 0x40);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	start_requested(posted_hlt);
	vmunset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
}

/* A virtual interrupt ends HLT if it can be delivered. */
static void test_halted(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_halted, ksft_is_emys());

	REQUIRE(nested_can(vcpu, PROC2_CTL, VAPIC_VID), "no virtual-interrupt delivery");
	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	vcpu_done(vcpu);
}

static void guest_halted_alone(void)
{
	guest_handlers[VECTOR] = on_virtual;
	l1_vmx_on();
	vapic_start_vid(posted_hlt, 0, PROC2_X2APIC);
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	vmunset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	vapic_start_vid(posted_nops, 0, PROC2_X2APIC);
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_HLT);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
}

/* The same where L1 has no APIC of its own in the kernel. */
static void test_halted_alone(void)
{
	REQUIRE(ksft_is_emys(), "KVM's VMM is told of the HLT");
	nested_run_with(guest_halted_alone, 0, PROC2_CTL, VAPIC_VID);
}

KSFT_MAIN(
	{ "posted: at entry", test_posted },
	{ "posted: beside other interrupts", test_others },
	{ "posted: above another interrupt", test_above },
	{ "posted: requested only", test_requested },
	{ "posted: controls", test_controls },
	{ "posted: L2 spins", test_spin, 60 },
	{ "posted: L2 sleeps", test_sleep, 60 },
	{ "posted: L2 sleeps on", test_masked, 60 },
	{ "posted: HLT", test_halted },
	{ "posted: HLT, no irqchip", test_halted_alone },
)
