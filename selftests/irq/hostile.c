// SPDX-License-Identifier: GPL-2.0-only
/* irq/hostile: interrupt controllers in the hands of a guest and a VMM that mean harm */
#include <stdlib.h>

#include "apic.h"
#include "vmm.h"

/*
 * Nothing is expected of the VM under attack but that it can be ended. What is
 * tested is the host: its kernel must have nothing to report (the harness looks
 * at that), and a well-behaved VM beside it must go on as before.
 */

#define VECTOR	0x55

static volatile u64 irqs;

static void on_irq(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	apic_eoi();
}

static void ignore(struct guest_frame *frame)
{
	(void)frame;
}

static u64 next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A value that is often near a boundary. */
static u64 value(u64 *seed)
{
	u64 v = next(seed);

	switch (v >> 60) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << (v & 63);
	case 3:
		return v & 0xff;
	default:
		return v;
	}
}

static void attack_apic(u64 *seed)
{
	u32 reg = next(seed) & 0x3f0;

	if (next(seed) % 4 == 0)
		reg = next(seed) & 0xff0;
	/* INIT and SIPI would end the attack too early, mostly */
	if (x2apic_on()) {
		u64 v = value(seed), old;

		if ((v & 0x700) >= 0x500 && next(seed) % 64)
			v &= ~0x500ull;
		if (next(seed) % 2)
			try_rdmsr(0x800 + (reg >> 4), &old);
		try_wrmsr(0x800 + (reg >> 4), v);
	} else {
		u32 v = value(seed);

		if (reg == APIC_ICR && (v & 0x700) >= 0x500 && next(seed) % 64)
			v &= ~0x500u;
		if (next(seed) % 2)
			xapic_read(reg);
		xapic_write(reg, v);
	}
}

static void guest_attack(u64 seed)
{
	static const u16 ports[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61,
	};
	u64 r;

	guest_handlers[NMI_VECTOR] = ignore;
	for (;;) {
		r = next(&seed);
		switch (r >> 8 & 7) {
		case 0:
			ioapic_write(next(&seed) & 0x3f, value(&seed));
			break;
		case 1:
		case 2:
			outb(ports[next(&seed) % ARRAY_SIZE(ports)], value(&seed));
			break;
		case 3:
			inb(ports[next(&seed) % ARRAY_SIZE(ports)]);
			break;
		case 4:
			try_wrmsr(MSR_TSC_DEADLINE, r & 1 ? rdtsc() + (r >> 40) : value(&seed));
			break;
		case 5:
			/* now and then another mode, or none */
			if (r % 64 == 0)
				try_wrmsr(MSR_APIC_BASE, APIC_BASE_GPA |
					  (next(&seed) & (APIC_BASE_EN | APIC_BASE_X2 |
							  APIC_BASE_BSP)));
			break;
		default:
			attack_apic(&seed);
			break;
		}
	}
}

/* The witness: a timer that fires and an IPI that arrives. */
static void guest_witness(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, VECTOR);
	apic_write(APIC_TMICT, 100000);
	safe_halt();
	cli();
	apic_icr(0, ICR_SELF | VECTOR);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 2);
}

static void witness(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_witness, 0);
	vcpu_done(vcpu);
	vm_free(vm);
}

static struct vcpu *victim(u64 seed)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_PIT2, &pit));
	vcpu = vcpu_add(vm, 0);
	vcpu_add_reset(vm, 1);
	vcpu_call(vcpu, guest_attack, seed);
	return vcpu;
}

/* Run until the time is up or the guest is beyond it. */
static void run_for(struct vcpu *vcpu, unsigned int usec)
{
	int r;

	vcpu_kick_after(vcpu, usec);
	do {
		r = vcpu_run_raw(vcpu);
	} while (!r && (vcpu->run->exit_reason == KVM_EXIT_MMIO ||
			vcpu->run->exit_reason == KVM_EXIT_IO));
	vcpu_kick_cancel();
	CHECK_MSG(!r || r == -EINTR, "KVM_RUN: %s", strerror(-r));
}

/* A guest writes everything to every register. */
static void test_registers(void)
{
	u64 seed;

	for (seed = 1; seed <= 12; seed++) {
		struct vcpu *vcpu = victim(seed * 0x9e3779b97f4a7c15);

		run_for(vcpu, 100000);
		vm_free(vcpu->vm);
	}
	witness();
}

static void fill(void *to, size_t bytes, u64 *seed)
{
	u8 *p = to;

	while (bytes--)
		*p++ = next(seed) % 4 ? next(seed) : 0;
}

/* A VMM hands in saved state that no machine ever saved, while the guest runs on. */
static void test_state(void)
{
	u64 seed = 0x1234567;
	int round, i;

	for (round = 0; round < 12; round++) {
		struct vcpu *vcpu = victim(next(&seed));
		int vm = vcpu->vm->fd;

		for (i = 0; i < 40; i++) {
			struct kvm_lapic_state lapic;
			struct kvm_irqchip chip;
			struct kvm_pit_state2 pit;
			struct kvm_msi msi;
			struct kvm_irq_level line;

			fill(&lapic, sizeof(lapic), &seed);
			if (i % 4)
				memset(&lapic.regs[APIC_ID], 0, 4);
			ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
			CHECK_OK(ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic));
			/* what was given out is taken back */
			CHECK_OK(ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic));
			fill(&chip, sizeof(chip), &seed);
			chip.chip_id = i % 3;
			CHECK_OK(ioctl(vm, KVM_SET_IRQCHIP, &chip));
			CHECK_OK(ioctl(vm, KVM_GET_IRQCHIP, &chip));
			CHECK_OK(ioctl(vm, KVM_SET_IRQCHIP, &chip));
			fill(&pit, sizeof(pit), &seed);
			CHECK_OK(ioctl(vm, KVM_SET_PIT2, &pit));
			CHECK_OK(ioctl(vm, KVM_GET_PIT2, &pit));
			fill(&msi, sizeof(msi), &seed);
			/* not the modes that end the guest */
			msi.data &= ~0x400u;
			msi.flags = 0;
			ioctl(vm, KVM_SIGNAL_MSI, &msi);
			fill(&line, sizeof(line), &seed);
			line.irq %= 32;
			ioctl(vm, KVM_IRQ_LINE, &line);
			run_for(vcpu, 1000);
		}
		vm_free(vcpu->vm);
	}
	witness();
}

static void guest_fast_timers(void)
{
	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, APIC_LVT_PERIODIC | VECTOR);
	apic_write(APIC_TMICT, 1);
	/* the PIT on pin 0, not as the PIC's vector 0 */
	apic_write(APIC_LVT0, APIC_LVT_MASK);
	ioapic_set(0, VECTOR, 0);
	outb(0x43, 0x34);
	outb(0x40, 2);
	outb(0x40, 0);
	GUEST_SYNC(1);
	sti();
	for (;;)
		cpu_pause();
}

/* Timers of one nanosecond: the guest may drown in them, the host not. */
static void test_timers(void)
{
	struct vcpu *vcpu = victim(0);
	u64 n;

	vcpu_call(vcpu, guest_fast_timers, 0);
	vcpu_sync(vcpu, 1);
	run_for(vcpu, 50000);
	n = VM_VAR(vcpu->vm, irqs);
	CHECK_MSG(n > 0, "no interrupt came");
	/* two timers in 50 ms, each at most once in 200 us, and the clock's grain */
	if (ksft_is_emys())
		CHECK_MSG(n <= 600, "%llu interrupts in 50 ms", (unsigned long long)n);
	vm_free(vcpu->vm);
	witness();
}

KSFT_MAIN(
	{ "hostile: registers", test_registers, 60 },
	{ "hostile: saved state", test_state, 60 },
	{ "hostile: timers of a nanosecond", test_timers, 40 },
)
