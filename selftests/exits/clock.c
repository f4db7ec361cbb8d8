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

static void guest_both(void)
{
	volatile struct time_info *t = (void *)TIME_PAGE;
	u32 a, b, c, d;
	u64 tsc;
	int i;

	wrmsr(MSR_SYSTEM, TIME_PAGE | 1);
	cpuid(0, 0, &a, &b, &c, &d);
	for (i = 1; i <= 2; i++) {
		tsc = rdtsc();
		GUEST_SYNC2(i, t->system_time + scale(tsc - t->tsc_timestamp, t->tsc_to_system_mul,
						      t->tsc_shift), tsc);
	}
}

/* What the guest's clock said was then, and its TSC. */
static u64 sync_both(struct vcpu *vcpu, int i, u64 *tsc)
{
	u64 before = vm_clock(vcpu->vm), ns, after;

	vcpu_sync(vcpu, i);
	after = vm_clock(vcpu->vm);
	ns = vcpu->uc.arg[1];
	*tsc = vcpu->uc.arg[2];
	CHECK_MSG(ns + 1000000 >= before && ns <= after + 1000000, "guest %lu ns, VM %lu to %lu ns",
		  ns, before, after);
	return ns;
}

static void check_rate(struct vcpu *vcpu, u64 khz)
{
	u64 ns, tsc[2], got;

	CHECK_EQ(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	ns = sync_both(vcpu, 1, &tsc[0]);
	usleep(50000);
	ns = sync_both(vcpu, 2, &tsc[1]) - ns;
	CHECK(ns >= 50000000);
	got = (tsc[1] - tsc[0]) * 1000000 / ns;
	CHECK_MSG(got >= khz - khz / 1000 && got <= khz + khz / 1000, "%lu kHz, not %lu", got, khz);
	vcpu_done(vcpu);
}

/* The TSC at another frequency, of one vCPU and of all: the clock is right all the same. */
static void test_frequency(void)
{
	static const u32 rates[][2] = { { 1, 1 }, { 1, 2 }, { 3, 1 }, { 7, 5 } };
	struct vcpu *vcpu[2];
	struct vm *vm;
	u64 khz, a, b;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		vcpu[0] = start(guest_both);
		khz = vcpu_scale_tsc(vcpu[0], rates[i][0], rates[i][1]);
		check_rate(vcpu[0], khz);
		vm_free(vcpu[0]->vm);
	}
	vm = vm_create();
	CHECK_OK(ioctl(vm->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_EQ(ioctl(vm->fd, KVM_GET_TSC_KHZ, 0), khz);
	for (i = 0; i < 2; i++) {
		vcpu[i] = vcpu_add(vm, i);
		vcpu_call(vcpu[i], guest_both, 0);
	}
	CHECK(vcpu_get_msr(vcpu[0], MSR_TSC, &a) && vcpu_get_msr(vcpu[1], MSR_TSC, &b));
	CHECK_MSG(b >= a && b - a < khz * 1000, "%lu, then %lu", a, b);
	check_rate(vcpu[0], khz);
	check_rate(vcpu[1], khz);
}

/* None that the CPU cannot do; and without TSC scaling only the host's. */
static void test_bad_frequency(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u32 khz = CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));

	if (dev_cap(KVM_CAP_TSC_CONTROL) > 0) {
		CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, 0x80000000), EINVAL);
		CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, 0xffffffff), EINVAL);
		CHECK_ERRNO(ioctl(vm->fd, KVM_SET_TSC_KHZ, 0x80000000), EINVAL);
		/* the slowest there is does no harm */
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, 1));
		vcpu_call(vcpu, guest_return, 0);
		vcpu_done(vcpu);
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, khz));
	} else {
		CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, khz / 2), EINVAL);
	}
	CHECK_EQ(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	CHECK_EQ(ioctl(vm->fd, KVM_GET_TSC_KHZ, 0), khz);
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
	{ "clock: TSC at other frequencies", test_frequency },
	{ "clock: frequencies that cannot be", test_bad_frequency },
	{ "clock: wall clocks of two vCPUs", test_wall_two },
	{ "clock: addresses without memory", test_bad },
)
