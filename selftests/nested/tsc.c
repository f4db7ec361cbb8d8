// SPDX-License-Identifier: GPL-2.0-only
/* nested/tsc: L2 writes the time-stamp counter, which is L1's */
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

KSFT_MAIN(
	{ "tsc: L2 writes it", test_write },
)
