// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/msrlists: the MSR areas of VM entry and VM exit.
 * Vol. 3, "Loading MSRs" of "VM Entries", "Saving MSRs" and "Loading MSRs" of "VM Exits".
 */
#include "nested.h"

struct msr_entry {
	u32 index, reserved;
	u64 value;
};

static struct msr_entry entry_load[8] VMX_PAGE;
static struct msr_entry exit_store[8] VMX_PAGE;
static struct msr_entry exit_load[8] VMX_PAGE;

#define ODD		(1ull << 63)	/* no canonical address */
#define NO_MSR		0x1f00u

static void start(void *fn, u64 arg)
{
	l1_make_vmcs(l1_vmcs, fn, arg);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	vmwrite(ENTRY_LOAD_ADDR, pa(entry_load));
	vmwrite(EXIT_STORE_ADDR, pa(exit_store));
	vmwrite(EXIT_LOAD_ADDR, pa(exit_load));
}

static void l2_load(void)
{
	GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x1111);
	GUEST_ASSERT_EQ(rdmsr(MSR_LSTAR), 0x4444);
	GUEST_ASSERT_EQ(rdmsr(MSR_STAR), 0x3333000000000000ull);
	wrmsr(MSR_KERNEL_GS_BASE, 0x5555);
	wrmsr(MSR_LSTAR, 0x6666);
}

static void guest_lists(void)
{
	l1_vmx_on();
	wrmsr(MSR_KERNEL_GS_BASE, 0xaaaa);
	wrmsr(MSR_CSTAR, 0xbbbb);
	start(l2_load, 0);
	/* in order: the later one of two stays */
	entry_load[0] = (struct msr_entry) { MSR_KERNEL_GS_BASE, 0, 0x1111 };
	entry_load[1] = (struct msr_entry) { MSR_LSTAR, 0, 0x2222 };
	entry_load[2] = (struct msr_entry) { MSR_STAR, 0, 0x3333000000000000ull };
	entry_load[3] = (struct msr_entry) { MSR_LSTAR, 0, 0x4444 };
	vmwrite(ENTRY_LOAD_COUNT, 4);
	/* the values of L2, before those of L1 are loaded */
	exit_store[0] = (struct msr_entry) { MSR_KERNEL_GS_BASE, 0, 0 };
	exit_store[1] = (struct msr_entry) { MSR_LSTAR, 0, 0 };
	exit_store[2] = (struct msr_entry) { MSR_STAR, 0, 0 };
	exit_store[3] = (struct msr_entry) { MSR_CSTAR, 0, 0x123 };
	vmwrite(EXIT_STORE_COUNT, 3);
	exit_load[0] = (struct msr_entry) { MSR_KERNEL_GS_BASE, 0, 0x7777 };
	exit_load[1] = (struct msr_entry) { MSR_LSTAR, 0, 0x8888 };
	exit_load[2] = (struct msr_entry) { MSR_CSTAR, 0, 0x9999 };
	vmwrite(EXIT_LOAD_COUNT, 2);
	L2_DONE();
	GUEST_ASSERT_EQ(exit_store[0].value, 0x5555);
	GUEST_ASSERT_EQ(exit_store[1].value, 0x6666);
	GUEST_ASSERT_EQ(exit_store[2].value, 0x3333000000000000ull);
	/* what is beyond the counts is not used */
	GUEST_ASSERT_EQ(exit_store[3].value, 0x123);
	GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x7777);
	GUEST_ASSERT_EQ(rdmsr(MSR_LSTAR), 0x8888);
	GUEST_ASSERT_EQ(rdmsr(MSR_CSTAR), 0xbbbb);
	/* again by VMRESUME, with other counts */
	vmwrite(EXIT_STORE_COUNT, 0);
	vmwrite(EXIT_LOAD_COUNT, 3);
	exit_store[0].value = 0;
	l2_call(l2_load, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(exit_store[0].value, 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x7777);
	GUEST_ASSERT_EQ(rdmsr(MSR_CSTAR), 0x9999);
}

/* MSRs are loaded at entry, saved and loaded at exit, in the order of the lists. */
static void test_lists(void)
{
	nested_run_with(guest_lists, 0, PROC_CTL, PROC_MSR_BITMAPS);
}

static void l2_nothing(void)
{
}

static volatile u64 l2_tsc;

static void l2_stamp(void)
{
	l2_tsc = rdtsc();
}

static void guest_tsc(u64 offset)
{
	u64 before, after, at, n, late = ~0ull, whole = ~0ull;

	l1_vmx_on();
	start(l2_stamp, 0);
	if (offset) {
		l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
		vmwrite(TSC_OFFSET, offset);
	}
	exit_store[0] = (struct msr_entry) { MSR_TSC, 0, 0 };
	vmwrite(EXIT_STORE_COUNT, 1);
	for (n = 0; n < 50; n++) {
		l2_call(l2_stamp, 0);
		before = rdtsc();
		L2_DONE();
		after = rdtsc();
		at = exit_store[0].value;
		GUEST_ASSERT_AT(at >= before, before, at);
		GUEST_ASSERT_AT(at <= after, after, at);
		GUEST_ASSERT_AT(at >= l2_tsc - offset, l2_tsc, at);
		if (at - (l2_tsc - offset) < late)
			late = at - (l2_tsc - offset);
		if (after - (l2_tsc - offset) < whole)
			whole = after - (l2_tsc - offset);
	}
	/* of the exit's beginning, not of its end */
	GUEST_ASSERT_AT(late < whole / 4, late, whole);
}

/* The TSC is saved as RDMSR reads it at the exit: L1's, whatever L2's offset is. */
static void test_tsc(void)
{
	REQUIRE(ksft_is_emys(), "KVM has the CPU save it, and the emulated one adds the offset");
	nested_run_with(guest_tsc, 0, PROC_CTL, PROC_MSR_BITMAPS);
	nested_run_with(guest_tsc, 1ull << 50, PROC_CTL, PROC_MSR_BITMAPS | PROC_TSC_OFFSET);
}

static const struct msr_entry bad[] = {
	/* segment bases are the VMCS's */
	{ MSR_FS_BASE, 0, 0 },
	{ MSR_GS_BASE, 0, 0 },
	{ NO_MSR, 0, 0 },
	/* what a list reads as that nobody wrote */
	{ 0, 0, 0 },
	/* bits 63:32 of the first half */
	{ MSR_LSTAR, 1, 0x1234 },
	/* what WRMSR would refuse */
	{ MSR_KERNEL_GS_BASE, 0, ODD },
	{ MSR_LSTAR, 0, ODD },
	{ MSR_PAT, 0, 2 },
};

static void guest_bad(void)
{
	unsigned int i, at;

	l1_vmx_on();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (at = 1; at <= 3; at++) {
			u64 r;

			start(l2_nothing, 0);
			entry_load[0] = (struct msr_entry) { MSR_KERNEL_GS_BASE, 0, 0x1111 };
			entry_load[1] = (struct msr_entry) { MSR_LSTAR, 0, 0x2222 };
			entry_load[2] = (struct msr_entry) { MSR_STAR, 0, 0x3333 };
			entry_load[at - 1] = bad[i];
			vmwrite(ENTRY_LOAD_COUNT, 3);
			/* the exit's own list is loaded all the same, nothing is saved */
			exit_load[0] = (struct msr_entry) { MSR_KERNEL_GS_BASE, 0, 0x7777 };
			vmwrite(EXIT_LOAD_COUNT, 1);
			exit_store[0] = (struct msr_entry) { MSR_LSTAR, 0, 0x4321 };
			vmwrite(EXIT_STORE_COUNT, 1);
			r = l2_run();
			GUEST_ASSERT_AT(r == (REASON_MSR_LOAD | REASON_ENTRY_FAILURE), i, r);
			GUEST_ASSERT_AT(vmread(QUALIFICATION) == at, i, vmread(QUALIFICATION));
			GUEST_ASSERT_AT(rdmsr(MSR_KERNEL_GS_BASE) == 0x7777, i, at);
			GUEST_ASSERT_AT(exit_store[0].value == 0x4321, i, at);
			/* the VMCS is still clear, and good when the list is */
			GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
			vmwrite(ENTRY_LOAD_COUNT, 0);
			L2_DONE();
		}
	}
}

/* An entry that cannot be loaded: an exit that names it, counted from 1. */
static void test_bad(void)
{
	nested_run_with(guest_bad, 0, PROC_CTL, PROC_MSR_BITMAPS);
}

static void guest_abort(u64 n)
{
	l1_vmx_on();
	start(l2_nothing, 0);
	exit_load[0] = (struct msr_entry) { MSR_LSTAR, 0, 0x1111 };
	exit_store[0] = (struct msr_entry) { MSR_LSTAR, 0, 0 };
	if (n < ARRAY_SIZE(bad)) {
		exit_load[1] = bad[n];
		vmwrite(EXIT_LOAD_COUNT, 2);
	} else {
		exit_store[1] = (struct msr_entry) { NO_MSR, 0, 0 };
		vmwrite(EXIT_STORE_COUNT, 2);
	}
	l2_run();
	GUEST_SYNC(99);
}

/* the indicator is the second word of the VMCS region */
static u32 aborted(u64 n)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_abort, n, PROC_CTL, PROC_MSR_BITMAPS);
	u32 indicator;

	vcpu_expect(vcpu, KVM_EXIT_SHUTDOWN);
	indicator = *(u32 *)vm_ptr(vcpu->vm, pa(l1_vmcs) + 4);
	vm_free(vcpu->vm);
	return indicator;
}

/* An exit that cannot load or save an MSR of L1's is a VMX abort: the VM shuts down. */
static void test_abort(void)
{
	u64 n;

	for (n = 0; n <= ARRAY_SIZE(bad); n++)
		aborted(n);
}

/* And the VMX-abort indicator says why: 1 for saving, 4 for loading. */
static void test_indicator(void)
{
	u64 n;

	REQUIRE(ksft_is_emys(), "KVM does not write it");
	for (n = 0; n < ARRAY_SIZE(bad); n++)
		CHECK_EQ(aborted(n), 4);
	CHECK_EQ(aborted(n), 1);
}

KSFT_MAIN(
	{ "msrlists: loaded and saved", test_lists },
	{ "msrlists: the TSC", test_tsc },
	{ "msrlists: an entry that fails", test_bad },
	{ "msrlists: an exit that fails", test_abort },
	{ "msrlists: VMX-abort indicator", test_indicator },
)
