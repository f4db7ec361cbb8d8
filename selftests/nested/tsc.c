// SPDX-License-Identifier: GPL-2.0-only
/* nested/tsc: L2 writes the time-stamp counter, which is L1's */
#include <unistd.h>

#include "nested.h"

#define OFFSET	(1ull << 50)
#define VALUE	(3ull << 40)
#define STEP	(1ull << 44)

static volatile u64 l2_before, l2_after;

static void l2_write(u64 msr)
{
	u64 v = msr == MSR_TSC ? VALUE : rdmsr(msr) + STEP;

	l2_before = rdtsc();
	wrmsr(msr, v);
	l2_after = rdtsc();
	GUEST_ASSERT(rdmsr(MSR_TSC) >= l2_after);
	GUEST_ASSERT(rdmsr(MSR_TSC) - l2_after < STEP / 2);
}

/* from A to B it is some time that is nothing beside the steps */
#define SOON_AFTER(a, b)						\
	do {								\
		GUEST_ASSERT_AT((b) >= (a), a, b);			\
		GUEST_ASSERT_AT((b) - (a) < STEP / 2, a, b);		\
	} while (0)

static void guest_write(u64 offset)
{
	u64 t, adjust, v;

	l1_start(l2_write, MSR_TSC);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	if (offset) {
		l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
		vmwrite(TSC_OFFSET, offset);
	}
	adjust = rdmsr(MSR_TSC_ADJUST);
	t = rdtsc();
	L2_DONE();
	SOON_AFTER(t + offset, l2_before);
	/* what is written is the counter itself, whatever is added to read it */
	SOON_AFTER(VALUE + offset, l2_after);
	v = rdtsc();
	SOON_AFTER(VALUE, v);
	/* IA32_TSC_ADJUST has the difference */
	v = l2_before - offset + rdmsr(MSR_TSC_ADJUST) - adjust;
	SOON_AFTER(v, VALUE + STEP / 4);
	/* IA32_TSC_ADJUST moves it for both */
	adjust = rdmsr(MSR_TSC_ADJUST);
	l2_call(l2_write, MSR_TSC_ADJUST);
	t = rdtsc();
	L2_DONE();
	SOON_AFTER(t + offset, l2_before);
	SOON_AFTER(l2_before + STEP, l2_after);
	v = rdtsc();
	SOON_AFTER(t + STEP, v);
	GUEST_ASSERT_EQ(rdmsr(MSR_TSC_ADJUST), adjust + STEP);
	/* the next L2 starts from there */
	GUEST_ASSERT_EQ(vmread(TSC_OFFSET), offset);
}

/* WRMSR of IA32_TSC and IA32_TSC_ADJUST that does not exit to L1. */
static void test_write(void)
{
	nested_run_with(guest_write, 0, PROC_CTL, PROC_MSR_BITMAPS);
	nested_run_with(guest_write, OFFSET, PROC_CTL, PROC_MSR_BITMAPS | PROC_TSC_OFFSET);
}

static void sync_twice(u64 first)
{
	GUEST_SYNC2(first, rdtsc(), 0);
	GUEST_SYNC2(first + 1, rdtsc(), 0);
}

static void l2_rates(void)
{
	sync_twice(1);
	sync_twice(3);
}

static void guest_rates(void)
{
	l1_start(l2_rates, 0);
	L2_DONE();
	sync_twice(5);
	l2_call(l2_rates, 0);
	L2_DONE();
}

static u64 sync_tsc(struct vcpu *vcpu, u64 i, u64 *ns)
{
	struct kvm_clock_data c = { 0 };

	vcpu_sync(vcpu, i);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_CLOCK, &c));
	*ns = c.clock;
	return vcpu->uc.arg[1];
}

/* Who runs reads a TSC of so many kHz, from sync @i to the next. */
static void expect_rate(struct vcpu *vcpu, u64 i, u64 khz)
{
	u64 from, to, tsc = sync_tsc(vcpu, i, &from), got;

	usleep(50000);
	tsc = sync_tsc(vcpu, i + 1, &to) - tsc;
	got = tsc * 1000000 / (to - from);
	CHECK_MSG(got > khz - khz / 10 && got < khz + khz / 10, "%lu kHz, not %lu", got, khz);
}

/* KVM_SET_TSC_KHZ while L2 runs is for it, and for L1 when that goes on. */
static void test_rates(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_rates, 0);
	u64 khz = CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));

	expect_rate(vcpu, 1, khz);
	expect_rate(vcpu, 3, vcpu_scale_tsc(vcpu, 3, 1));
	expect_rate(vcpu, 5, khz * 3);
	expect_rate(vcpu, 1, khz * 3);
	expect_rate(vcpu, 3, vcpu_scale_tsc(vcpu, 1, 2));
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "tsc: another rate while L2 runs", test_rates },
	{ "tsc: L2 writes it", test_write },
)
