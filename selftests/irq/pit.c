// SPDX-License-Identifier: GPL-2.0-only
/* irq/pit: the in-kernel 8254 */
#include "apic.h"
#include "vmm.h"

#define HZ	1193182
#define BASE	0x30

static volatile u64 irqs, tsc_khz;

static void on_irq(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	outb(0x20, 0x20);
}

static struct vcpu *start(void *fn)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_PIT2, &config));
	vcpu = vcpu_add(vm, 0);
	VM_VAR(vm, tsc_khz) = CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

static u16 latch(int channel)
{
	u8 lo;

	outb(0x43, channel << 6);
	lo = inb(0x40 + channel);
	return lo | inb(0x40 + channel) << 8;
}

static void load(int channel, int mode, u16 count)
{
	outb(0x43, channel << 6 | 0x30 | mode << 1);
	outb(0x40 + channel, count);
	outb(0x40 + channel, count >> 8);
}

static void guest_counts(void)
{
	u16 a, b, last;
	int i, wraps = 0;

	load(0, 2, 0);
	a = latch(0);
	for (i = 0; i < 1000; i++)
		cpu_pause();
	b = latch(0);
	/* it counts down */
	GUEST_ASSERT((u16)(a - b) > 0 && (u16)(a - b) < 0x8000);
	/* a short count wraps within itself */
	load(0, 2, 1000);
	last = latch(0);
	for (i = 0; i < 2000 && wraps < 3; i++) {
		a = latch(0);
		GUEST_ASSERT_AT(a >= 1 && a <= 1000, i, a);
		wraps += a > last;
		last = a;
	}
	GUEST_ASSERT_EQ(wraps, 3);
	/* a latched count stays until it is read */
	outb(0x43, 0);
	a = inb(0x40);
	for (i = 0; i < 1000; i++)
		cpu_pause();
	(void)inb(0x40);
	/* low byte only, high byte only */
	outb(0x43, 0x14);
	outb(0x40, 200);
	b = inb(0x40);
	GUEST_ASSERT(b <= 200);
}

/* The counter counts down and wraps; latch and byte-wise access. */
static void test_counts(void)
{
	vcpu_done(start(guest_counts));
}

static void guest_readback(void)
{
	u8 status;

	load(0, 2, 5000);
	outb(0x43, 0xe2);		/* read-back: status of channel 0 */
	status = inb(0x40);
	GUEST_ASSERT_EQ(status & 0x3f, 0x34);
	load(2, 3, 5000);
	outb(0x43, 0xe8);		/* of channel 2 */
	status = inb(0x42);
	GUEST_ASSERT_EQ(status & 0x3f, 0x36);
}

/* The read-back command gives the mode as it was programmed. */
static void test_readback(void)
{
	vcpu_done(start(guest_readback));
}

static void guest_irq0(void)
{
	u64 t, took;

	guest_handlers[BASE] = on_irq;
	apic_enable();
	apic_write(APIC_LVT0, APIC_LVT_EXTINT);
	pic_init(BASE, 0xfffe);
	t = rdtsc();
	load(0, 2, HZ / 100);		/* every 10 ms */
	while (irqs < 5) {
		safe_halt();
		cli();
	}
	took = rdtsc() - t;
	GUEST_ASSERT_AT(took * 10 >= tsc_khz * 50 * 7, took, tsc_khz);
	/* mode 0: once */
	load(0, 0, HZ / 100);
	sti_nop_cli();
	irqs = 0;
	t = rdtsc();
	sti();
	while (rdtsc() - t < tsc_khz * 40)
		cpu_pause();
	cli();
	GUEST_ASSERT_EQ(irqs, 1);
}

/*
 * Channel 0 interrupts on line 0: again and again in mode 2, once in mode 0.
 */
static void test_irq0(void)
{
	vcpu_done(start(guest_irq0));
}

static void guest_speaker(void)
{
	u64 t = rdtsc();
	u8 v;

	/* gate of channel 2 off, then mode 0 with a count of 2 ms, gate on */
	outb(0x61, (inb(0x61) & ~3) | 0);
	load(2, 0, HZ / 500);
	outb(0x61, (inb(0x61) & ~2) | 1);
	while (!(inb(0x61) & 0x20))
		GUEST_ASSERT(rdtsc() - t < tsc_khz * 200);
	GUEST_ASSERT_AT((rdtsc() - t) * 10 >= tsc_khz * 2 * 9, rdtsc() - t,
			tsc_khz);
	/* the refresh bit toggles; gate and speaker read back */
	v = inb(0x61);
	GUEST_ASSERT_EQ(v & 3, 1);
}

/*
 * Channel 2 with its gate and output on port 61H: what Linux calibrates its
 * TSC by.
 */
static void test_speaker(void)
{
	vcpu_done(start(guest_speaker));
}

static void guest_state(void)
{
	load(0, 2, 0x1234);
	GUEST_SYNC(1);
	/* the VMM has set a count of 100 */
	GUEST_ASSERT(latch(0) <= 100);
}

/* KVM_GET_PIT2 and KVM_SET_PIT2. */
static void test_state(void)
{
	struct vcpu *vcpu = start(guest_state);
	struct kvm_pit_state2 s;

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_PIT2, &s));
	CHECK_EQ(s.channels[0].count, 0x1234);
	CHECK_EQ(s.channels[0].mode, 2);
	s.channels[0].count = 100;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_SET_PIT2, &s));
	vcpu_done(vcpu);
}

/* KVM_CREATE_PIT2 happens once: EEXIST. */
static void test_create(void)
{
	struct kvm_pit_config config = { 0 };
	struct vm *vm = vm_create();

	vm_irqchip(vm);
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_PIT2, &config));
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_PIT2, &config), EEXIST);
}

KSFT_MAIN(
	{ "pit: counts and wraps", test_counts },
	{ "pit: read-back", test_readback },
	{ "pit: interrupts", test_irq0 },
	{ "pit: channel 2 and port 61H", test_speaker },
	{ "pit: KVM_GET_PIT2 and KVM_SET_PIT2", test_state },
	{ "pit: creation", test_create },
)
