// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/signals: INIT and start-up IPIs in VMX operation. Vol. 3, "Other Causes of VM Exits",
 * "Restrictions on VMX Operation"; the VMM sends them as messages.
 */
#include <pthread.h>
#include <unistd.h>

#include "apic.h"
#include "nested.h"

#define VECTOR		0x51
#define SIPI_VECTOR	0x9a

/* after INIT the boot processor begins here */
#define RESET_PAGE	0xfffff000ull
#define RESET_PORT	0x77

static volatile u64 count, seen_rip;

static void on_irq(struct guest_frame *frame)
{
	count++;
	seen_rip = frame->rip;
	apic_eoi();
}

static void on_event(struct guest_frame *frame)
{
	count++;
	seen_rip = frame->rip;
}

static void self_ipi(u8 vector)
{
	apic_icr(0, ICR_SELF | ICR_ASSERT | vector);
}

static void timer_in(u32 n)
{
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, VECTOR);
	apic_write(APIC_TMICT, n);
}

#define LATER	10000000

asm(".text\n"
    ".globl signals_nops\n"
    "signals_nops: nop\nnop\nnop\nret\n");
void signals_nops(void);

/* -- the VMM ----------------------------------------------------------------------- */

static void send(struct vm *vm, u32 delivery, u8 vector)
{
	struct kvm_msi msi = {
		.address_lo = APIC_BASE_GPA,
		.data = ICR_ASSERT | delivery | vector,
	};

	CHECK_OK(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi));
}

static u32 mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state mp;

	CHECK_OK(ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp));
	return mp.mp_state;
}

static int try_mp_state(struct vcpu *vcpu, u32 state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
}

static bool latched(struct vcpu *vcpu)
{
	struct kvm_vcpu_events ev;

	vcpu_get_events(vcpu, &ev);
	CHECK(ev.flags & KVM_VCPUEVENT_VALID_SMM);
	return ev.smi.latched_init;
}

static void latch(struct vcpu *vcpu, bool on)
{
	struct kvm_vcpu_events ev;

	vcpu_get_events(vcpu, &ev);
	ev.smi.latched_init = on;
	ev.flags |= KVM_VCPUEVENT_VALID_SMM;
	vcpu_set_events(vcpu, &ev);
}

static struct vcpu *with_reset_code(void *fn, u64 arg)
{
	static const u8 code[] = { 0xe6, RESET_PORT, 0xeb, 0xfc };
	struct vcpu *vcpu = nested_vcpu_irqchip(fn, arg);
	u8 *mem = host_memory(2 << 20);

	memcpy(mem + 0xff0, code, sizeof(code));
	vm_region(vcpu->vm, 1, 0, RESET_PAGE, 4096, mem);
	return vcpu;
}

/* it was reset, and so out of VMX operation */
static void expect_reset(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, RESET_PORT);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cs.base, 0xffff0000);
	CHECK_EQ(sregs.cr4 & X86_CR4_VMXE, 0);
}

/* -- INIT ---------------------------------------------------------------------------- */

static void guest_init_root(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	l1_start(signals_nops, 0);
	GUEST_SYNC(1);
	/* it waits: L1 goes on, and halts as ever */
	GUEST_ASSERT_EQ(read_cr4() & X86_CR4_VMXE, X86_CR4_VMXE);
	timer_in(LATER);
	safe_halt();
	cli();
	GUEST_ASSERT_EQ(count, 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	/* not reached */
	GUEST_SYNC(3);
}

/* INIT in VMX root operation waits for VMXOFF. */
static void test_init_root(void)
{
	struct vcpu *vcpu = with_reset_code(guest_init_root, 0);

	vcpu_sync(vcpu, 1);
	CHECK(!latched(vcpu));
	send(vcpu->vm, ICR_INIT, 0);
	CHECK(latched(vcpu));
	CHECK_EQ(mp_state(vcpu), KVM_MP_STATE_RUNNABLE);
	CHECK(latched(vcpu));
	CHECK_ERRNO(try_mp_state(vcpu, KVM_MP_STATE_INIT_RECEIVED), EINVAL);
	CHECK_ERRNO(try_mp_state(vcpu, KVM_MP_STATE_SIPI_RECEIVED), EINVAL);
	CHECK_OK(try_mp_state(vcpu, KVM_MP_STATE_RUNNABLE));
	vcpu_sync(vcpu, 2);
	CHECK(latched(vcpu));
	expect_reset(vcpu);
	CHECK(!latched(vcpu));
}

static void guest_init_plain(void)
{
	apic_enable();
	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	GUEST_SYNC(1);
	/* not reached */
	GUEST_SYNC(2);
}

/* Outside VMX operation, after it, nothing holds INIT back. */
static void test_init_plain(void)
{
	struct vcpu *vcpu = with_reset_code(guest_init_plain, 0);

	vcpu_sync(vcpu, 1);
	send(vcpu->vm, ICR_INIT, 0);
	expect_reset(vcpu);
}

static void l2_sync(void)
{
	GUEST_SYNC(10);
	GUEST_SYNC(11);
}

static void guest_init_l2(void)
{
	u64 v;

	apic_enable();
	guest_handlers[UD_VECTOR] = on_event;
	l1_start(signals_nops, 0);
	/* one that waited in root operation, before the first instruction */
	vmwrite(QUALIFICATION, 0x77);
	GUEST_SYNC(1);
	L2_EXIT(REASON_INIT);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)signals_nops);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 0);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_ACTIVE);
	/* once; what L2 is stays what it was */
	L2_DONE();
	/* after the event that L1 injects */
	l2_call(signals_nops, 0);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR);
	GUEST_SYNC(2);
	L2_EXIT(REASON_INIT);
	v = vmread(GUEST_RIP);
	GUEST_ASSERT_EQ(v, (uintptr_t)guest_stubs + UD_VECTOR * GUEST_STUB_SIZE);
	GUEST_ASSERT_EQ(count, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(count, 1);
	/* while L2 runs */
	l2_call(l2_sync, 0);
	L2_EXIT(REASON_INIT);
	L2_DONE();
	/* the VMM's state has it, and can take it away */
	l2_call(signals_nops, 0);
	GUEST_SYNC(3);
	L2_DONE();
	l2_call(signals_nops, 0);
	GUEST_SYNC(4);
	L2_EXIT(REASON_INIT);
	L2_DONE();
}

/* INIT while L2 runs, or before, is a VM exit, and resets nothing. */
static void test_init_l2(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_init_l2, 0);

	vcpu_sync(vcpu, 1);
	send(vcpu->vm, ICR_INIT, 0);
	vcpu_sync(vcpu, 2);
	send(vcpu->vm, ICR_INIT, 0);
	vcpu_sync(vcpu, 10);
	send(vcpu->vm, ICR_INIT, 0);
	CHECK(latched(vcpu));
	vcpu_sync(vcpu, 11);
	CHECK(!latched(vcpu));
	vcpu_sync(vcpu, 3);
	send(vcpu->vm, ICR_INIT, 0);
	CHECK(latched(vcpu));
	latch(vcpu, false);
	CHECK(!latched(vcpu));
	vcpu_sync(vcpu, 4);
	latch(vcpu, true);
	CHECK(latched(vcpu));
	vcpu_done(vcpu);
}

/* -- messages that come while the vCPU runs ------------------------------------------------ */

static volatile bool sender_stop;

static void *send_often(void *vm)
{
	while (!sender_stop) {
		usleep(2000);
		send(vm, ICR_INIT, 0);
	}
	return NULL;
}

static void l2_spin(void)
{
	for (;;)
		cpu_pause();
}

static void l2_halt(void)
{
	asm volatile("hlt\n"
		     ".globl signals_halted\n"
		     "signals_halted: nop\n");
}

extern const char signals_halted[];

static void guest_init_async(u64 halt)
{
	apic_enable();
	l1_start(halt ? l2_halt : l2_spin, 0);
	GUEST_SYNC(1);
	L2_EXIT(REASON_INIT);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), halt ? ACTIVITY_HLT : ACTIVITY_ACTIVE);
	if (halt)
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(signals_halted));
	/* and again, entered in that state */
	L2_EXIT(REASON_INIT);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), halt ? ACTIVITY_HLT : ACTIVITY_ACTIVE);
}

static void init_async(u64 halt)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_init_async, halt);
	pthread_t thread;

	/* in VMX operation from here on */
	vcpu_sync(vcpu, 1);
	sender_stop = false;
	CHECK_EQ(pthread_create(&thread, NULL, send_often, vcpu->vm), 0);
	vcpu_done(vcpu);
	sender_stop = true;
	pthread_join(thread, NULL);
	vm_free(vcpu->vm);
}

/* INIT ends an L2 that spins, and one that halts. */
static void test_init_async(void)
{
	init_async(0);
	init_async(1);
}

/* -- SIPI ---------------------------------------------------------------------------------- */

static struct vcpu *with_wait_sipi(void *fn)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(fn, 0);

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_WAIT_SIPI, "no wait-for-SIPI state");
	return vcpu;
}

static void wait_sipi(void)
{
	vmwrite(GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
	L2_EXIT(REASON_SIPI);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), SIPI_VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_WAIT_SIPI);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
}

static void guest_sipi(void)
{
	unsigned int i;

	apic_enable();
	l1_start(l2_sync, 0);
	/* lost in root operation, and while L2 runs */
	GUEST_SYNC(1);
	L2_DONE();
	l2_call(signals_nops, 0);
	for (i = 0; i < 3; i++) {
		wait_sipi();
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)signals_nops);
		GUEST_SYNC(20);
	}
	/* L1 lets it run */
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	L2_DONE();
}

static void guest_sipi_blocks(void)
{
	apic_enable();
	guest_handlers[VECTOR] = on_irq;
	guest_handlers[NMI_VECTOR] = on_event;
	l1_start(signals_nops, 0);
	l1_control(PIN_CTL, PIN_EXTINT | PIN_NMI, 0);
	self_ipi(VECTOR);
	wait_sipi();
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 1);
	/* the NMI is L1's, after the exit */
	GUEST_ASSERT_EQ(count, 1);
	GUEST_ASSERT_EQ(seen_rip, (uintptr_t)l2_exited);
	sti_nop_cli();
	GUEST_ASSERT_EQ(count, 2);
}

/* The wait-for-SIPI activity state; a SIPI elsewhere is lost. */
static void test_sipi(void)
{
	struct vcpu *vcpu = with_wait_sipi(guest_sipi);
	unsigned int i;

	vcpu_sync(vcpu, 1);
	send(vcpu->vm, ICR_STARTUP, 0x11);
	vcpu_sync(vcpu, 10);
	send(vcpu->vm, ICR_STARTUP, 0x22);
	vcpu_sync(vcpu, 11);
	for (i = 0; i < 3; i++) {
		vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
		send(vcpu->vm, ICR_STARTUP, SIPI_VECTOR);
		vcpu_sync(vcpu, 20);
	}
	vcpu_done(vcpu);
}

/* Interrupts and NMIs wait for the end of the state. */
static void test_sipi_blocks(void)
{
	struct vcpu *vcpu = with_wait_sipi(guest_sipi_blocks);

	REQUIRE(ksft_is_emys(), "in KVM they are exits");
	vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
	send(vcpu->vm, ICR_STARTUP, SIPI_VECTOR);
	vcpu_done(vcpu);
}

static void guest_sipi_init(void)
{
	apic_enable();
	l1_start(signals_nops, 0);
	wait_sipi();
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	L2_DONE();
}

/* INIT ends no wait for a SIPI. */
static void test_sipi_init(void)
{
	struct vcpu *vcpu = with_wait_sipi(guest_sipi_init);

	vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
	send(vcpu->vm, ICR_INIT, 0);
	vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
	send(vcpu->vm, ICR_STARTUP, SIPI_VECTOR);
	vcpu_done(vcpu);
}

static void guest_sipi_not(void)
{
	l1_start(signals_nops, 0);
	if (l1_caps.misc & MISC_WAIT_SIPI) {
		/* it takes no event */
		vmwrite(GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
		vmwrite(GUEST_RFLAGS, 2 | X86_IF);
		vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | VECTOR);
		GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
		vmwrite(ENTRY_EVENT, 0);
	}
	if (!(l1_caps.misc & MISC_WAIT_SIPI)) {
		vmwrite(GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
		GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	}
	if (!(l1_caps.misc & MISC_SHUTDOWN)) {
		vmwrite(GUEST_ACTIVITY, ACTIVITY_SHUTDOWN);
		GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	}
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	L2_DONE();
}

/* Activity states that are not offered, and an event that the state does not take. */
static void test_sipi_not(void)
{
	REQUIRE(ksft_is_emys(), "KVM checks no activity state");
	vcpu_done(nested_vcpu_irqchip(guest_sipi_not, 0));
}

static void guest_sipi_moved(void)
{
	l1_start(signals_nops, 0);
	GUEST_SYNC(1);
	wait_sipi();
	GUEST_SYNC(2);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
	L2_EXIT(REASON_SIPI);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 0x33);
}

/* What the VMM reads of a vCPU that waits, and has its SIPI, it can set. */
static void test_sipi_state(void)
{
	struct vcpu *vcpu = with_wait_sipi(guest_sipi_moved);
	struct kvm_vcpu_events ev;
	unsigned int i;

	for (i = 1; i <= 2; i++) {
		vcpu_sync(vcpu, i);
		vcpu_expect_waiting(vcpu, KVM_MP_STATE_INIT_RECEIVED);
		vcpu_get_events(vcpu, &ev);
		ev.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
		ev.sipi_vector = i == 1 ? SIPI_VECTOR : 0x33;
		vcpu_set_events(vcpu, &ev);
		CHECK_OK(try_mp_state(vcpu, KVM_MP_STATE_SIPI_RECEIVED));
		if (ksft_is_emys()) {
			CHECK_EQ(mp_state(vcpu), KVM_MP_STATE_SIPI_RECEIVED);
			CHECK_EQ(mp_state(vcpu), KVM_MP_STATE_SIPI_RECEIVED);
		}
	}
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "signals: INIT in root operation", test_init_root },
	{ "signals: INIT after VMXOFF", test_init_plain },
	{ "signals: INIT in L2", test_init_l2 },
	{ "signals: INIT while L2 spins and halts", test_init_async },
	{ "signals: wait-for-SIPI", test_sipi },
	{ "signals: events in wait-for-SIPI", test_sipi_blocks },
	{ "signals: INIT in wait-for-SIPI", test_sipi_init },
	{ "signals: activity states not offered", test_sipi_not },
	{ "signals: SIPI in the VMM's state", test_sipi_state },
)
