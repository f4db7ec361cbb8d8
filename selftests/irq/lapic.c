// SPDX-License-Identifier: GPL-2.0-only
/* irq/lapic: the in-kernel local APIC, in xAPIC and x2APIC mode */
#include "apic.h"
#include "vmm.h"

#define VECTOR	0x51
#define LOW	0x41
#define HIGH	0x71

static volatile u64 irqs, last, order, tsc_khz;

static void on_irq(struct guest_frame *frame)
{
	irqs++;
	last = frame->vector;
	order = order << 8 | frame->vector;
	apic_eoi();
}

static struct vcpu *start(void *fn, u64 arg)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	VM_VAR(vm, tsc_khz) = CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));
	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

static void run(void *fn, u64 arg)
{
	vcpu_done(start(fn, arg));
}

/* arg: 0 xAPIC, 1 x2APIC */
static void enable(u64 x2)
{
	if (x2)
		x2apic_enable();
	else
		apic_enable();
}

static void guest_registers(u64 x2)
{
	u32 v;

	enable(x2);
	GUEST_ASSERT_EQ(apic_read(APIC_ID) >> (x2 ? 0 : 24), 0);
	v = apic_read(APIC_VERSION);
	GUEST_ASSERT((v & 0xff) >= 0x10 && (v & 0xff) <= 0x15);
	GUEST_ASSERT((v >> 16 & 0xff) >= 4);
	GUEST_ASSERT_EQ(apic_read(APIC_SVR) & 0x1ff, 0x1ff);
	apic_write(APIC_TPR, 0x35);
	GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x35);
	GUEST_ASSERT_EQ(apic_read(APIC_PPR), 0x35);
	GUEST_ASSERT_EQ(read_cr8(), 3);
	write_cr8(7);
	GUEST_ASSERT_EQ(apic_read(APIC_TPR) & 0xf0, 0x70);
	apic_write(APIC_TPR, 0);
	GUEST_ASSERT_EQ(read_cr8(), 0);
	apic_write(APIC_LVTERR, 0xfe);
	GUEST_ASSERT_EQ(apic_read(APIC_LVTERR) & 0xff, 0xfe);
	apic_write(APIC_LVTERR, APIC_LVT_MASK);
	apic_write(APIC_TDCR, 0xb);
	GUEST_ASSERT_EQ(apic_read(APIC_TDCR), 0xb);
	if (x2) {
		/* the logical ID is derived from the APIC ID, and fixed */
		GUEST_ASSERT_EQ(apic_read(APIC_LDR), 1);
	} else {
		apic_write(APIC_LDR, 0x05000000);
		GUEST_ASSERT_EQ(apic_read(APIC_LDR), 0x05000000);
	}
}

/* Registers read back; CR8 and the TPR are one. */
static void test_registers(void)
{
	run(guest_registers, 0);
	run(guest_registers, 1);
}

static void guest_self_ipi(u64 x2)
{
	u64 i;

	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	/* interrupts off: it waits in the IRR */
	apic_icr(0, ICR_SELF | VECTOR);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 1);
	GUEST_ASSERT_EQ(apic_bit(APIC_ISR, VECTOR), 0);
	GUEST_ASSERT_EQ(irqs, 0);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 0);
	GUEST_ASSERT_EQ(apic_bit(APIC_ISR, VECTOR), 0);
	/* to a destination that is this CPU */
	apic_icr(0, VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 2);
	/* to nobody */
	apic_icr(0x33, VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 2);
	/* to all but this one: nobody */
	apic_icr(0, ICR_OTHERS | VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 2);
	apic_icr(0, ICR_ALL | VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 3);
	/* wakes from HLT */
	for (i = 0; i < 50; i++) {
		apic_icr(0, ICR_SELF | VECTOR);
		safe_halt();
		cli();
		GUEST_ASSERT_EQ(irqs, 4 + i);
	}
	if (x2) {
		x2apic_write(APIC_SELF_IPI, VECTOR);
		sti_nop_cli();
		GUEST_ASSERT_EQ(irqs, 54);
	} else {
		GUEST_ASSERT_EQ(apic_read(APIC_ICR) & ICR_BUSY, 0);
	}
}

/* Self-IPIs by shorthand, by destination and by the SELF IPI register. */
static void test_self_ipi(void)
{
	run(guest_self_ipi, 0);
	run(guest_self_ipi, 1);
}

static void guest_tpr(u64 x2)
{
	guest_handlers[VECTOR] = on_irq;
	guest_handlers[HIGH] = on_irq;
	enable(x2);
	sti();
	apic_write(APIC_TPR, 0x50);
	apic_icr(0, ICR_SELF | VECTOR);
	cpu_pause();
	GUEST_ASSERT_EQ(irqs, 0);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 1);
	/* a class above the TPR's gets through */
	apic_icr(0, ICR_SELF | HIGH);
	asm volatile("nop");
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_ASSERT_EQ(last, HIGH);
	/* lowered, through the register and through CR8 */
	apic_write(APIC_TPR, 0x40);
	asm volatile("nop");
	GUEST_ASSERT_EQ(irqs, 2);
	write_cr8(5);
	apic_icr(0, ICR_SELF | VECTOR);
	asm volatile("nop");
	GUEST_ASSERT_EQ(irqs, 2);
	write_cr8(4);
	asm volatile("nop");
	GUEST_ASSERT_EQ(irqs, 3);
	write_cr8(0);
	cli();
}

/*
 * The task-priority register holds back interrupts of its class and below.
 * Vol. 3, "Task and Processor Priorities".
 */
static void test_tpr(void)
{
	run(guest_tpr, 0);
	run(guest_tpr, 1);
}

static volatile u64 nested_ok;

static void on_low(struct guest_frame *frame)
{
	(void)frame;
	/* in service: only a higher class interrupts this handler */
	GUEST_ASSERT_EQ(apic_bit(APIC_ISR, LOW), 1);
	GUEST_ASSERT_EQ(apic_read(APIC_PPR) & 0xf0, LOW & 0xf0);
	apic_icr(0, ICR_SELF | (LOW + 1));
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 0);
	apic_icr(0, ICR_SELF | HIGH);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_ASSERT_EQ(last, HIGH);
	nested_ok = 1;
	apic_eoi();
}

static void guest_priority(u64 x2)
{
	guest_handlers[LOW] = on_low;
	guest_handlers[LOW + 1] = on_irq;
	guest_handlers[VECTOR] = on_irq;
	guest_handlers[HIGH] = on_irq;
	enable(x2);
	apic_icr(0, ICR_SELF | LOW);
	sti_nop_cli();
	sti_nop_cli();
	GUEST_ASSERT_EQ(nested_ok, 1);
	GUEST_ASSERT_EQ(irqs, 2);
	GUEST_ASSERT_EQ(last, LOW + 1);
	/* three pending: the highest vector first */
	order = 0;
	apic_icr(0, ICR_SELF | VECTOR);
	apic_icr(0, ICR_SELF | (LOW + 1));
	apic_icr(0, ICR_SELF | HIGH);
	sti();
	asm volatile("nop; nop; nop; nop");
	cli();
	GUEST_ASSERT_EQ(order, HIGH << 16 | VECTOR << 8 | (LOW + 1));
}

/* Pending interrupts by priority; a handler is interrupted by a higher one. */
static void test_priority(void)
{
	run(guest_priority, 0);
	run(guest_priority, 1);
}

static void guest_oneshot(u64 x2)
{
	u64 start, ticks = 20000000;	/* 20 ms at the APIC's 1 GHz */
	u32 a, b;

	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	apic_write(APIC_TDCR, 0xb);	/* by 1 */
	apic_write(APIC_LVTT, VECTOR);
	start = rdtsc();
	apic_write(APIC_TMICT, ticks);
	a = apic_read(APIC_TMCCT);
	b = apic_read(APIC_TMCCT);
	GUEST_ASSERT(a && a <= ticks);
	GUEST_ASSERT(b < a);
	while (!irqs) {
		sti();
		cpu_pause();
		cli();
	}
	GUEST_ASSERT_AT((rdtsc() - start) * 10 >= tsc_khz * 20 * 9,
			rdtsc() - start, tsc_khz);
	GUEST_ASSERT_EQ(apic_read(APIC_TMCCT), 0);
	/* once only; and waking from HLT, with another divider */
	/* KVM 6.1 fires an expired timer again when the divider changes */
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TDCR, 0);	/* by 2 */
	start = rdtsc();
	apic_write(APIC_TMICT, ticks / 2);
	safe_halt();
	cli();
	GUEST_ASSERT_EQ(irqs, 2);
	GUEST_ASSERT_AT((rdtsc() - start) * 10 >= tsc_khz * 20 * 9,
			rdtsc() - start, tsc_khz);
	/* writing 0 stops it */
	apic_write(APIC_TMICT, 5000000);
	apic_write(APIC_TMICT, 0);
	start = rdtsc();
	sti();
	while (rdtsc() - start < tsc_khz * 10)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, 2);
	/* masked: the count runs out, nothing comes */
	apic_write(APIC_LVTT, APIC_LVT_MASK | VECTOR);
	apic_write(APIC_TMICT, 100000);
	start = rdtsc();
	sti();
	while (rdtsc() - start < tsc_khz)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, 2);
	GUEST_ASSERT_EQ(apic_read(APIC_TMCCT), 0);
}

/* The APIC timer in one-shot mode: Vol. 3, "APIC Timer". */
static void test_oneshot(void)
{
	run(guest_oneshot, 0);
	run(guest_oneshot, 1);
}

static void guest_periodic(u64 x2)
{
	u64 start, took;

	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, APIC_LVT_PERIODIC | VECTOR);
	start = rdtsc();
	apic_write(APIC_TMICT, 1000000);
	while (irqs < 5) {
		safe_halt();
		cli();
	}
	took = rdtsc() - start;
	GUEST_ASSERT_AT(took * 10 >= tsc_khz * 5 * 8, took, tsc_khz);
	GUEST_ASSERT(apic_read(APIC_TMCCT) <= 1000000);
	apic_write(APIC_LVTT, APIC_LVT_MASK);
	apic_write(APIC_TMICT, 0);
	sti_nop_cli();
	took = irqs;
	start = rdtsc();
	sti();
	while (rdtsc() - start < tsc_khz * 3)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, took);
}

/* Periodic mode goes on until it is stopped. */
static void test_periodic(void)
{
	run(guest_periodic, 0);
	run(guest_periodic, 1);
}

static void guest_deadline(u64 x2)
{
	u64 start, i;

	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	apic_write(APIC_LVTT, APIC_LVT_DEADLINE | VECTOR);
	for (i = 0; i < 10; i++) {
		start = rdtsc();
		wrmsr(MSR_TSC_DEADLINE, start + tsc_khz);
		GUEST_ASSERT(rdmsr(MSR_TSC_DEADLINE) == start + tsc_khz ||
			     rdtsc() >= start + tsc_khz);
		if (i & 1) {
			safe_halt();
			cli();
		}
		while (irqs == i) {
			sti();
			cpu_pause();
			cli();
		}
		GUEST_ASSERT_EQ(irqs, i + 1);
		GUEST_ASSERT_AT(rdtsc() >= start + tsc_khz, start, rdtsc());
		/* it has disarmed itself */
		GUEST_ASSERT_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	}
	/* a deadline in the past fires at once */
	wrmsr(MSR_TSC_DEADLINE, 1);
	start = rdtsc();
	sti();
	while (irqs == 10 && rdtsc() - start < tsc_khz * 100)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, 11);
	/* 0 disarms */
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz * 8);
	wrmsr(MSR_TSC_DEADLINE, 0);
	start = rdtsc();
	sti();
	while (rdtsc() - start < tsc_khz * 20)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, 11);
	/* in another mode the MSR reads 0 and a write is ignored */
	apic_write(APIC_LVTT, VECTOR);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100);
	GUEST_ASSERT_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
}

/* TSC-deadline mode: Vol. 3, "TSC-Deadline Mode". */
static void test_deadline(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	u64 x2;

	REQUIRE(dev_cap(KVM_CAP_TSC_DEADLINE_TIMER) > 0, "no TSC deadline");
	vm_free(vm);
	for (x2 = 0; x2 < 2; x2++) {
		vcpu = start(guest_deadline, x2);
		vcpu_leaf(vcpu, 1, 0)->ecx |= 1 << 24;
		vcpu_set_cpuid(vcpu);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

/* It counts by the guest's TSC, whatever the rate of that. */
static void test_deadline_scaled(void)
{
	static const u32 rates[][2] = { { 3, 1 }, { 1, 2 } };
	struct vcpu *vcpu;
	u32 i;

	REQUIRE(dev_cap(KVM_CAP_TSC_DEADLINE_TIMER) > 0, "no TSC deadline");
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		vcpu = start(guest_deadline, 1);
		VM_VAR(vcpu->vm, tsc_khz) = vcpu_scale_tsc(vcpu, rates[i][0], rates[i][1]);
		vcpu_leaf(vcpu, 1, 0)->ecx |= 1 << 24;
		vcpu_set_cpuid(vcpu);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

static void guest_disabled(void)
{
	guest_handlers[VECTOR] = on_irq;
	/* software-disabled: LVT entries are masked and IPIs not accepted */
	apic_write(APIC_SVR, 0xff);
	apic_write(APIC_LVTT, VECTOR);
	GUEST_ASSERT(apic_read(APIC_LVTT) & APIC_LVT_MASK);
	apic_icr(0, ICR_SELF | VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 0);
	apic_enable();
	apic_write(APIC_LVTT, VECTOR);
	GUEST_ASSERT_EQ(apic_read(APIC_LVTT) & APIC_LVT_MASK, 0);
	apic_icr(0, ICR_SELF | VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
}

/*
 * A software-disabled APIC: Vol. 3, "Local APIC State After It Has Been
 * Software Disabled".
 */
static void test_disabled(void)
{
	run(guest_disabled, 0);
}

static void guest_modes(u64 strict)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u64 v;

	GUEST_ASSERT_EQ(base & ~0xfffull, APIC_BASE_GPA);
	GUEST_ASSERT_EQ(base & 0xfff, APIC_BASE_EN | APIC_BASE_BSP);
	/* x2APIC registers are not there in xAPIC mode */
	GUEST_ASSERT_EQ(try_rdmsr(0x802, &v), FAULT(GP_VECTOR));
	/* xAPIC disabled to x2APIC is an illegal change */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_EN) |
				  APIC_BASE_X2), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2), 0);
	GUEST_ASSERT_EQ(try_rdmsr(0x802, &v), 0);
	/* back to xAPIC directly is illegal too */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, base), FAULT(GP_VECTOR));
	/* registers without a meaning, read-only and reserved ones */
	GUEST_ASSERT_EQ(try_rdmsr(0x801, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(0x802, 1), FAULT(GP_VECTOR));
	if (strict)
		GUEST_ASSERT_EQ(try_wrmsr(0x80b, 1), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(0x808, 0x100), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_rdmsr(0x80e, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_rdmsr(0x83f, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(0x808, 0x20), 0);
	/* x2APIC to disabled to xAPIC */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_EN), 0);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, base), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_APIC_BASE), base);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_APIC_BASE, base | 1ull << 52),
			FAULT(GP_VECTOR));
}

/*
 * IA32_APIC_BASE and the x2APIC MSRs: Vol. 3, "x2APIC State Transitions",
 * "x2APIC Register Address Space".
 */
static void test_modes(void)
{
	/* KVM 6.1 takes any value as an EOI */
	run(guest_modes, ksft_is_emys());
}

/* the access of a vCPU whose APIC is not there is the VMM's */
static void guest_no_xapic(u64 other)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	GUEST_ASSERT_EQ(xapic_read(APIC_ID), other << 24);
	GUEST_SYNC(1);
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
	GUEST_ASSERT_EQ(xapic_read(APIC_ID), 0x11223344);
	xapic_write(APIC_EOI, 0x55667788);
	GUEST_SYNC(2);
	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_EN);
	GUEST_ASSERT_EQ(xapic_read(APIC_VERSION), 0x99aabbcc);
	wrmsr(MSR_APIC_BASE, base);
	GUEST_ASSERT_EQ(xapic_read(APIC_ID), other << 24);
	GUEST_SYNC(3);
}

static void guest_xapic(u64 id)
{
	u64 i;

	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	for (i = 0; i < 3; i++) {
		GUEST_ASSERT_EQ(xapic_read(APIC_ID), id << 24);
		irqs = 0;
		apic_icr(0, ICR_SELF | VECTOR);
		sti_nop_cli();
		GUEST_ASSERT_EQ(irqs, 1);
		GUEST_ASSERT_EQ(apic_bit(APIC_ISR, VECTOR), 0);
		GUEST_SYNC(i);
	}
}

static void expect_mmio(struct vcpu *vcpu, u32 reg, int write, u32 val)
{
	struct kvm_run *run = vcpu->run;

	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.phys_addr, APIC_BASE_GPA + reg);
	CHECK_EQ(run->mmio.len, 4);
	CHECK_EQ(run->mmio.is_write, write);
	if (write)
		CHECK_EQ(*(u32 *)run->mmio.data, val);
	else
		*(u32 *)run->mmio.data = val;
}

/*
 * At the APIC's address there is no APIC for a vCPU in x2APIC mode or with its APIC off,
 * and there is one for another vCPU of the VM in xAPIC mode, at any time.
 */
static void test_mixed_modes(void)
{
	struct kvm_mp_state runs = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vcpu *a, *b;
	struct vm *vm;

	REQUIRE(ksft_is_emys(), "KVM 6.1 has memory there");
	vm = vm_create();
	vm_irqchip(vm);
	a = vcpu_add(vm, 0);
	b = vcpu_add(vm, 1);
	vcpu_call(a, guest_no_xapic, 0);
	vcpu_call(b, guest_xapic, 1);
	CHECK_OK(ioctl(b->fd, KVM_SET_MP_STATE, &runs));
	vcpu_sync(a, 1);
	vcpu_sync(b, 0);
	expect_mmio(a, APIC_ID, 0, 0x11223344);
	expect_mmio(a, APIC_EOI, 1, 0x55667788);
	vcpu_sync(a, 2);
	vcpu_sync(b, 1);
	expect_mmio(a, APIC_VERSION, 0, 0x99aabbcc);
	vcpu_sync(a, 3);
	vcpu_sync(b, 2);
	vcpu_done(a);
	vcpu_done(b);
}

static void guest_state(u64 x2)
{
	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	apic_write(APIC_TPR, 0x20);
	apic_icr(0, ICR_SELF | VECTOR);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x30);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, VECTOR), 0);
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, HIGH), 1);
	guest_handlers[HIGH] = on_irq;
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	GUEST_ASSERT_EQ(last, HIGH);
}

static u32 *lapic_reg(struct kvm_lapic_state *s, u32 reg)
{
	return (u32 *)((u8 *)s->regs + reg);
}

/* KVM_GET_LAPIC shows the page of registers, KVM_SET_LAPIC replaces it. */
static void test_state(void)
{
	struct kvm_lapic_state s;
	struct vcpu *vcpu;
	u64 x2;

	for (x2 = 0; x2 < 2; x2++) {
		vcpu = start(guest_state, x2);
		vcpu_sync(vcpu, 1);
		CHECK_OK(ioctl(vcpu->fd, KVM_GET_LAPIC, &s));
		CHECK_EQ(*lapic_reg(&s, APIC_TPR), 0x20);
		CHECK_EQ(*lapic_reg(&s, APIC_SVR) & 0x1ff, 0x1ff);
		CHECK_EQ(*lapic_reg(&s, APIC_IRR + (VECTOR >> 5) * 16),
			 1u << (VECTOR & 31));
		*lapic_reg(&s, APIC_TPR) = 0x30;
		*lapic_reg(&s, APIC_IRR + (VECTOR >> 5) * 16) = 0;
		*lapic_reg(&s, APIC_IRR + (HIGH >> 5) * 16) =
			1u << (HIGH & 31);
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_LAPIC, &s));
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

static void guest_nmi_self(u64 x2)
{
	guest_handlers[NMI_VECTOR] = on_irq;
	enable(x2);
	/* an NMI needs no EOI; the handler's is harmless */
	apic_icr(0, ICR_NMI);
	cpu_pause();
	GUEST_ASSERT_EQ(irqs, 1);
}

/* An IPI with NMI delivery mode, interrupts off. */
static void test_nmi(void)
{
	run(guest_nmi_self, 0);
	run(guest_nmi_self, 1);
}

static void guest_storm(u64 x2)
{
	u64 i;

	guest_handlers[VECTOR] = on_irq;
	enable(x2);
	sti();
	for (i = 1; i <= 1000; i++) {
		apic_icr(0, ICR_SELF | VECTOR);
		asm volatile("nop");
		GUEST_ASSERT_EQ(irqs, i);
	}
	cli();
}

/* A thousand self-IPIs: each is there at the next instruction but one. */
static void test_storm(void)
{
	run(guest_storm, 0);
	run(guest_storm, 1);
}

static void guest_moved(void)
{
	volatile u32 *moved = (u32 *)0xe0000000ull;

	wrmsr(MSR_APIC_BASE, (rdmsr(MSR_APIC_BASE) & 0xfff) | 0xe0000000ull);
	GUEST_ASSERT(((moved[APIC_VERSION / 4]) & 0xff) >= 0x10);
}

/* The page of registers is where IA32_APIC_BASE says; 4 KiB and no more. */
static void test_moved(void)
{
	run(guest_moved, 0);
}

KSFT_MAIN(
	{ "lapic: registers", test_registers },
	{ "lapic: self-IPI", test_self_ipi },
	{ "lapic: TPR", test_tpr },
	{ "lapic: priority and nesting", test_priority },
	{ "lapic: one-shot timer", test_oneshot },
	{ "lapic: periodic timer", test_periodic },
	{ "lapic: TSC-deadline timer", test_deadline },
	{ "lapic: TSC-deadline timer, at other rates", test_deadline_scaled },
	{ "lapic: software-disabled", test_disabled },
	{ "lapic: modes and x2APIC faults", test_modes },
	{ "lapic: vCPUs in different modes", test_mixed_modes },
	{ "lapic: KVM_GET_LAPIC and KVM_SET_LAPIC", test_state },
	{ "lapic: NMI to oneself", test_nmi },
	{ "lapic: a thousand self-IPIs", test_storm },
	{ "lapic: a moved register page", test_moved },
)
