// SPDX-License-Identifier: GPL-2.0-only
/* exits/clock: the paravirtual clock of KVM's CPUID leaf and MSRs */
#include <time.h>
#include <unistd.h>

#include "vmm.h"

#define MSR_WALL	0x4b564d00
#define MSR_SYSTEM	0x4b564d01
#define TIME_PAGE	0x180000ull
#define WALL_PAGE	0x181000ull

/* the layout the guest reads: <asm/pvclock-abi.h> */
struct time_info {
	u32 version;
	u32 pad;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 flags;
	u8 pad2[2];
} __attribute__((packed));

struct wall_clock {
	u32 version;
	u32 sec;
	u32 nsec;
} __attribute__((packed));

static u64 scale(u64 delta, u32 mul, int shift)
{
	u64 lo, hi;

	if (shift < 0)
		delta >>= -shift;
	else
		delta <<= shift;
	asm("mulq %3" : "=a"(lo), "=d"(hi) : "a"(delta), "r"((u64)mul));
	return lo >> 32 | hi << 32;
}

static u64 clock_read(void)
{
	volatile struct time_info *t = (void *)TIME_PAGE;
	u32 version;
	u64 ns;

	do {
		version = t->version;
		asm volatile("" : : : "memory");
		ns = t->system_time + scale(rdtsc() - t->tsc_timestamp,
					    t->tsc_to_system_mul,
					    t->tsc_shift);
		asm volatile("" : : : "memory");
	} while (version & 1 || version != t->version);
	return ns;
}

static void guest_clock(void)
{
	u64 last, now;
	u32 a, b, c, d;
	int i;

	/* an exit, so that the page is filled by the next entry */
	wrmsr(MSR_SYSTEM, TIME_PAGE | 1);
	cpuid(0, 0, &a, &b, &c, &d);
	GUEST_ASSERT(((volatile struct time_info *)TIME_PAGE)->version);
	last = clock_read();
	GUEST_SYNC2(1, last, 0);
	for (i = 0; i < 500; i++) {
		now = clock_read();
		GUEST_ASSERT_AT(now >= last, now, last);
		last = now;
		if (i % 50 == 0)
			cpuid(0, 0, &a, &b, &c, &d);
	}
	GUEST_SYNC2(2, clock_read(), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSTEM), TIME_PAGE | 1);
	wrmsr(MSR_WALL, WALL_PAGE);
	GUEST_SYNC(3);
	/* off: the page is left alone */
	wrmsr(MSR_SYSTEM, 0);
	((volatile struct time_info *)TIME_PAGE)->version = 0x77777777;
	for (i = 0; i < 20; i++)
		cpuid(0, 0, &a, &b, &c, &d);
	GUEST_SYNC(4);
	GUEST_ASSERT_EQ(((volatile struct time_info *)TIME_PAGE)->version,
			0x77777777);
}

static u64 vm_clock(struct vm *vm)
{
	struct kvm_clock_data c = { 0 };

	CHECK_OK(ioctl(vm->fd, KVM_GET_CLOCK, &c));
	return c.clock;
}

static struct vcpu *start(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0x40000001, 0);

	REQUIRE(e && e->eax & 1 << 3, "no paravirtual clock");
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

/*
 * The system time is the VM's clock as KVM_GET_CLOCK reads it, never goes back,
 * and is switched on and off by its MSR; the wall clock is the time of the
 * VM's creation in real time.
 */
static void test_clock(void)
{
	struct vcpu *vcpu = start(guest_clock);
	struct vm *vm = vcpu->vm;
	volatile struct wall_clock *w;
	u64 before = vm_clock(vm), after, ns, first;
	struct timespec now;

	vcpu_sync(vcpu, 1);
	after = vm_clock(vm);
	first = vcpu->uc.arg[1];
	CHECK_MSG(first + 1000000 >= before && first <= after + 1000000,
		  "guest %llu ns, VM %llu to %llu ns",
		  (unsigned long long)first, (unsigned long long)before,
		  (unsigned long long)after);
	usleep(3000);
	vcpu_sync(vcpu, 2);
	ns = vcpu->uc.arg[1];
	CHECK(ns - first >= 2500000);
	CHECK(ns <= vm_clock(vm) + 1000000);
	vcpu_sync(vcpu, 3);
	w = vm_ptr(vm, WALL_PAGE);
	clock_gettime(CLOCK_REALTIME, &now);
	CHECK_EQ(w->version & 1, 0);
	CHECK(w->version && w->nsec < 1000000000);
	/* wall clock at the VM's clock 0, so now is that plus the clock */
	ns = w->sec * 1000000000ull + w->nsec + vm_clock(vm);
	CHECK_MSG(now.tv_sec * 1000000000ll + now.tv_nsec - (s64)ns <
		  2000000000ll &&
		  (s64)ns - now.tv_sec * 1000000000ll - now.tv_nsec <
		  2000000000ll, "wall clock is off");
	vcpu_sync(vcpu, 4);
	vcpu_done(vcpu);
}

static void guest_set(void)
{
	u32 a, b, c, d;

	wrmsr(MSR_SYSTEM, TIME_PAGE | 1);
	cpuid(0, 0, &a, &b, &c, &d);
	GUEST_SYNC(1);
	GUEST_SYNC2(2, clock_read(), 0);
}

/* KVM_SET_CLOCK is seen in the guest's page at its next entry. */
static void test_set(void)
{
	struct vcpu *vcpu = start(guest_set);
	struct kvm_clock_data c = { .clock = 1ull << 45 };

	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_SET_CLOCK, &c));
	vcpu_sync(vcpu, 2);
	CHECK(vcpu->uc.arg[1] >= 1ull << 45);
	CHECK(vcpu->uc.arg[1] < (1ull << 45) + 10000000000ull);
}

static void guest_bad(void)
{
	u32 a, b, c, d, i;

	/* no memory there: the guest's affair, nobody else's */
	try_wrmsr(MSR_SYSTEM, 0xd0000000ull | 1);
	for (i = 0; i < 20; i++)
		cpuid(0, 0, &a, &b, &c, &d);
	try_wrmsr(MSR_SYSTEM, ~0ull);
	try_wrmsr(MSR_WALL, 0xd0000000ull);
	try_wrmsr(MSR_WALL, ~0ull);
	/* across the end of a slot */
	try_wrmsr(MSR_SYSTEM, (VM_MEM - 16) | 1);
	for (i = 0; i < 20; i++)
		cpuid(0, 0, &a, &b, &c, &d);
	GUEST_SYNC(1);
}

/* An address without memory does no harm. */
static void test_bad(void)
{
	struct vcpu *vcpu = start(guest_bad);

	vcpu_sync(vcpu, 1);
	vcpu_done(vcpu);
}

/* Two vCPUs ask for the wall clock before either has got it: each gets its own. */
static void test_wall_two(void)
{
	struct vcpu *vcpu[2];
	struct vm *vm;
	int i;

	vcpu[0] = start(guest_return);
	vm = vcpu[0]->vm;
	vcpu[1] = vcpu_add(vm, 1);
	vcpu_call(vcpu[1], guest_return, 0);
	for (i = 0; i < 2; i++)
		vcpu_set_msr(vcpu[i], MSR_WALL, WALL_PAGE + i * 64);
	for (i = 0; i < 2; i++) {
		volatile struct wall_clock *w = vm_ptr(vm, WALL_PAGE + i * 64);

		CHECK(vcpu_exit(vcpu[i]) == EXIT_UCALL);
		CHECK(w->version && !(w->version & 1));
		CHECK(w->sec);
	}
}

KSFT_MAIN(
	{ "clock: system time and wall clock", test_clock },
	{ "clock: KVM_SET_CLOCK", test_set },
	{ "clock: wall clocks of two vCPUs", test_wall_two },
	{ "clock: addresses without memory", test_bad },
)
