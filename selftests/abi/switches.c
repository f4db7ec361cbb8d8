// SPDX-License-Identifier: GPL-2.0-only
/* abi/switches: what KVM_ENABLE_CAP changes of a VM, and what is refused before it */
#include "vmm.h"

#define DR6_INIT	0xffff0ff0u
#define DR6_B0		0x1
#define DR6_BS		0x4000

static int try_cap(int fd, u32 cap, u64 arg)
{
	struct kvm_enable_cap e = { .cap = cap, .args = { arg } };

	return ioctl(fd, KVM_ENABLE_CAP, &e);
}

static void enable(struct vm *vm, u32 cap, u64 arg)
{
	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, cap) > 0);
	CHECK_OK(try_cap(vm->fd, cap, arg));
}

/* -- exceptions that wait, with what they leave in registers -------------------- */

static volatile u64 db_dr6, pf_cr2, exceptions;

static void on_exception(struct guest_frame *frame)
{
	exceptions++;
	if (frame->vector == DB_VECTOR)
		db_dr6 = read_dr6();
	else
		pf_cr2 = read_cr2();
}

static void guest_exceptions(void)
{
	guest_handlers[DB_VECTOR] = on_exception;
	guest_handlers[PF_VECTOR] = on_exception;
	exceptions = 0;
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(exceptions, 1);
	GUEST_ASSERT_EQ(db_dr6, DR6_INIT | DR6_BS);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(exceptions, 2);
	GUEST_ASSERT_EQ(pf_cr2, 0x1234);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(exceptions, 3);
	GUEST_ASSERT_EQ(pf_cr2, 0x1234);
}

/* The port access of the last exit is done, and nothing else. */
static void finish(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
}

static struct kvm_vcpu_events waits(struct vcpu *vcpu, u8 nr, u64 payload)
{
	struct kvm_vcpu_events ev;

	finish(vcpu);
	vcpu_get_events(vcpu, &ev);
	CHECK(ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	CHECK(!ev.exception.pending && !ev.exception.injected);
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.pending = 1;
	ev.exception.nr = nr;
	ev.exception.has_error_code = nr == PF_VECTOR;
	ev.exception.error_code = 0;
	ev.exception_has_payload = 1;
	ev.exception_payload = payload;
	vcpu_set_events(vcpu, &ev);
	memset(&ev, 0xff, sizeof(ev));
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.exception.pending, 1);
	CHECK_EQ(ev.exception.injected, 0);
	CHECK_EQ(ev.exception.nr, nr);
	CHECK_EQ(ev.exception_has_payload, 1);
	CHECK_EQ(ev.exception_payload, payload);
	return ev;
}

/*
 * KVM_CAP_EXCEPTION_PAYLOAD: an exception that waits keeps CR2 or the bits of DR6 until it is
 * delivered; one that is injected has delivered them. Without it the flag is EINVAL.
 */
static void test_payload(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_debugregs dr;
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;

	vcpu_get_events(vcpu, &ev);
	CHECK(!(ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD));
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);

	enable(vm, KVM_CAP_EXCEPTION_PAYLOAD, 1);
	ev.exception.pending = 1;
	ev.exception.nr = NMI_VECTOR;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);
	ev.exception.nr = 32;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);

	vcpu_call(vcpu, guest_exceptions, 0);
	vcpu_sync(vcpu, 1);
	waits(vcpu, DB_VECTOR, DR6_BS);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	CHECK_EQ(dr.dr6, DR6_INIT);

	vcpu_sync(vcpu, 2);
	waits(vcpu, PF_VECTOR, 0x1234);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK(sregs.cr2 != 0x1234);

	/* injected: the payload is not looked at */
	vcpu_sync(vcpu, 3);
	finish(vcpu);
	vcpu_get_events(vcpu, &ev);
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.injected = 1;
	ev.exception.nr = PF_VECTOR;
	ev.exception.has_error_code = 1;
	ev.exception.error_code = 0;
	ev.exception_has_payload = 1;
	ev.exception_payload = 0x5678;
	vcpu_set_events(vcpu, &ev);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.exception.pending, 0);
	CHECK_EQ(ev.exception.injected, 1);
	CHECK_EQ(ev.exception_has_payload, 0);
	vcpu_done(vcpu);

	/* off again: what waits is told as KVM always did */
	CHECK_OK(try_cap(vm->fd, KVM_CAP_EXCEPTION_PAYLOAD, 0));
	vcpu_get_events(vcpu, &ev);
	CHECK(!(ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD));
}

/* -- a triple fault ------------------------------------------------------------- */

static void guest_sync(void)
{
	GUEST_SYNC(1);
	GUEST_SYNC(2);
}

/* KVM_CAP_X86_TRIPLE_FAULT_EVENT: one can be given, seen and taken back. */
static void test_triple_fault(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_vcpu_events ev;

	vcpu_get_events(vcpu, &ev);
	CHECK(!(ev.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT));
	ev.flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	ev.triple_fault.pending = 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);

	enable(vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
	vcpu_call(vcpu, guest_sync, 0);
	vcpu_sync(vcpu, 1);
	vcpu_set_events(vcpu, &ev);
	finish(vcpu);
	vcpu_get_events(vcpu, &ev);
	CHECK(ev.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	CHECK_EQ(ev.triple_fault.pending, 1);
	ev.triple_fault.pending = 0;
	vcpu_set_events(vcpu, &ev);
	vcpu_sync(vcpu, 2);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.triple_fault.pending, 0);
	ev.triple_fault.pending = 1;
	vcpu_set_events(vcpu, &ev);
	vcpu_expect(vcpu, KVM_EXIT_SHUTDOWN);
	/* told, and over */
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.triple_fault.pending, 0);
}

/* -- quirks -------------------------------------------------------------------- */

#define LVT0		0x350
#define QUIRKS2		KVM_CAP_DISABLE_QUIRKS2
#define MWAIT_ENABLED	(1ull << 18)	/* IA32_MISC_ENABLE */
#define CPUID_MWAIT	(1u << 3)
#define CPUID_SSE3	(1u << 0)

static u32 lint0(u64 off)
{
	struct vm *vm = vm_create();
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	u32 val;

	enable(vm, QUIRKS2, off);
	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic));
	memcpy(&val, lapic.regs + LVT0, sizeof(val));
	vm_free(vm);
	return val;
}

static void guest_out_7e(void)
{
	asm volatile(".globl switches_out, switches_behind\n"
		     "switches_out: outb %%al, $0x7e\n"
		     "switches_behind:" : : "a"(5) : "memory");
}

extern const char switches_out[], switches_behind[];

static u64 rip_at_7e(u64 off)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;

	enable(vm, QUIRKS2, off);
	vcpu_call(vcpu, guest_out_7e, 0);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x7e);
	vcpu_get_regs(vcpu, &regs);
	vcpu_done(vcpu);
	vm_free(vm);
	return regs.rip;
}

/* KVM_CAP_DISABLE_QUIRKS2: which there are; LINT0 at reset, RIP at a port access to 0x7e. */
static void test_quirks(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	u64 all = ioctl(vm->fd, KVM_CHECK_EXTENSION, QUIRKS2);

	CHECK(all & KVM_X86_QUIRK_LINT0_REENABLED);
	CHECK_OK(try_cap(vm->fd, QUIRKS2, all));
	CHECK_OK(try_cap(vm->fd, QUIRKS2, 0));
	CHECK_ERRNO(try_cap(vm->fd, QUIRKS2, all | 1ull << 40), EINVAL);
	CHECK_ERRNO(try_cap(vm->fd, QUIRKS2, ~all), EINVAL);
	/* the older capability takes what it does not know */
	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS) > 0);
	CHECK_OK(try_cap(vm->fd, KVM_CAP_DISABLE_QUIRKS, ~0ull));

	CHECK_EQ(lint0(0), 0x700);
	CHECK_EQ(lint0(KVM_X86_QUIRK_LINT0_REENABLED), 0x10000);
	CHECK_EQ(rip_at_7e(0), (uintptr_t)switches_behind);
	CHECK_EQ(rip_at_7e(KVM_X86_QUIRK_OUT_7E_INC_RIP), (uintptr_t)switches_out);
}

static u64 try_monitor(void)
{
	u64 f;

	GUEST_TRY(f, "monitor", GUEST_NO_OUT, "a"(&db_dr6), "c"(0), "d"(0));
	return f;
}

static u64 try_mwait(void)
{
	u64 f;

	GUEST_TRY(f, "mwait", GUEST_NO_OUT, "a"(0), "c"(0));
	return f;
}

static void guest_mwait(u64 fault)
{
	GUEST_ASSERT_EQ(try_monitor(), fault);
	GUEST_ASSERT_EQ(try_mwait(), fault);
}

static u32 has_mwait(struct vcpu *vcpu)
{
	char room[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)] = {};
	struct kvm_cpuid2 *c = (void *)room;
	u32 i;

	c->nent = 256;
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_CPUID2, c));
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			return c->entries[i].ecx & CPUID_MWAIT;
	FAIL("no leaf 1");
	return 0;
}

static void mwait_faults(u64 off, u64 fault)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	enable(vm, QUIRKS2, off);
	vcpu_leaf(vcpu, 1, 0)->ecx &= ~CPUID_MWAIT;
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_mwait, fault);
	vcpu_done(vcpu);
	vm_free(vm);
}

/*
 * MONITOR and MWAIT do nothing, in the CPUID or not; without that quirk they are #UD when they are
 * not there. Without the other the bit of IA32_MISC_ENABLE is the one in the CPUID.
 */
static void test_mwait(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 misc;

	mwait_faults(0, 0);
	mwait_faults(KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS, FAULT(UD_VECTOR));

	vcpu_leaf(vcpu, 1, 0)->ecx |= CPUID_SSE3;
	vcpu_leaf(vcpu, 1, 0)->ecx &= ~CPUID_MWAIT;
	vcpu_set_cpuid(vcpu);
	CHECK(vcpu_get_msr(vcpu, MSR_MISC_ENABLE, &misc));
	misc &= ~MWAIT_ENABLED;
	CHECK(vcpu_set_msr(vcpu, MSR_MISC_ENABLE, misc));
	CHECK(vcpu_set_msr(vcpu, MSR_MISC_ENABLE, misc | MWAIT_ENABLED));
	CHECK(!has_mwait(vcpu));
	CHECK(vcpu_set_msr(vcpu, MSR_MISC_ENABLE, misc));
	enable(vm, QUIRKS2, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT |
			    KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS);
	CHECK(vcpu_set_msr(vcpu, MSR_MISC_ENABLE, misc | MWAIT_ENABLED));
	CHECK(has_mwait(vcpu));
	vcpu_call(vcpu, guest_mwait, 0);
	vcpu_done(vcpu);
	CHECK(vcpu_set_msr(vcpu, MSR_MISC_ENABLE, misc));
	CHECK(!has_mwait(vcpu));
	vcpu_call(vcpu, guest_mwait, FAULT(UD_VECTOR));
	vcpu_done(vcpu);
}

/* -- MSR_PLATFORM_INFO, and CPUID faulting, which it offers ----------------------- */

#define MSR_PLATFORM_INFO	0xce
#define MSR_MISC_FEATURES	0x140
#define PLATFORM_CPUID_FAULT	(1ull << 31)

static u64 user_cpuid(u64 arg)
{
	u64 a = arg, b, c = 0, d, f;

	GUEST_TRY(f, "cpuid", "+a"(a) _GUEST_COMMA "=b"(b) _GUEST_COMMA
		  "+c"(c) _GUEST_COMMA "=d"(d) _GUEST_COMMA);
	return f;
}

static void guest_platform_info(void)
{
	u32 a, b, c, d;
	u64 v;

	GUEST_ASSERT_EQ(try_rdmsr(MSR_PLATFORM_INFO, &v), 0);
	GUEST_ASSERT_EQ(v, PLATFORM_CPUID_FAULT | 0xff00);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_PLATFORM_INFO, v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_cpuid, 0), 0);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_MISC_FEATURES, 2), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_MISC_FEATURES, 1), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_MISC_FEATURES), 1);
	GUEST_ASSERT_EQ(guest_user_call(user_cpuid, 0), FAULT(GP_VECTOR));
	cpuid(0, 0, &a, &b, &c, &d);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(try_rdmsr(MSR_PLATFORM_INFO, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_MISC_FEATURES, 0), 0);
	GUEST_ASSERT_EQ(guest_user_call(user_cpuid, 0), 0);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_MISC_FEATURES, 1), FAULT(GP_VECTOR));
}

/* KVM_CAP_MSR_PLATFORM_INFO: the guest may read what the VMM has set, or not. */
static void test_platform_info(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	u64 v;

	vm_map_user(vm);
	vcpu = vcpu_add(vm, 0);
	CHECK(vcpu_get_msr(vcpu, MSR_PLATFORM_INFO, &v));
	CHECK_EQ(v, PLATFORM_CPUID_FAULT);
	CHECK(vcpu_set_msr(vcpu, MSR_PLATFORM_INFO, v | 0xff00));
	vcpu_call(vcpu, guest_platform_info, 0);
	vcpu_sync(vcpu, 1);
	/* not while the guest uses it */
	CHECK(!vcpu_set_msr(vcpu, MSR_PLATFORM_INFO, 0));
	enable(vm, KVM_CAP_MSR_PLATFORM_INFO, 0);
	vcpu_sync(vcpu, 2);
	CHECK(vcpu_get_msr(vcpu, MSR_PLATFORM_INFO, &v));
	CHECK_EQ(v, PLATFORM_CPUID_FAULT | 0xff00);
	CHECK(vcpu_set_msr(vcpu, MSR_PLATFORM_INFO, 0));
	vcpu_done(vcpu);
}

/* -- MSRs of the VMM's ------------------------------------------------------------ */

#define MSR_NOBODYS	0x12345
#define NOT_CANONICAL	0x8000000000000000ull

static void guest_user_msr(void)
{
	u64 v;

	GUEST_ASSERT_EQ(try_rdmsr(MSR_NOBODYS, &v), 0);
	GUEST_ASSERT_EQ(v, 0x1122334455667788ull);
	GUEST_ASSERT_EQ(try_rdmsr(MSR_NOBODYS, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_NOBODYS, 7), 0);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_LSTAR, NOT_CANONICAL), FAULT(GP_VECTOR));
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_LSTAR, NOT_CANONICAL), 0);
}

static void expect_msr(struct vcpu *vcpu, u32 exit, u32 index, u32 reason)
{
	vcpu_expect(vcpu, exit);
	CHECK_EQ(vcpu->run->msr.index, index);
	CHECK_EQ(vcpu->run->msr.reason, reason);
	CHECK_EQ(vcpu->run->msr.error, 0);
}

/* KVM_CAP_X86_USER_SPACE_MSR: the VMM answers, or has the guest get its #GP. */
static void test_user_msr(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	CHECK_ERRNO(try_cap(vm->fd, KVM_CAP_X86_USER_SPACE_MSR, 1u << 31), EINVAL);
	enable(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu_call(vcpu, guest_user_msr, 0);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, MSR_NOBODYS, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.data = 0x1122334455667788ull;
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, MSR_NOBODYS, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.error = 1;
	expect_msr(vcpu, KVM_EXIT_X86_WRMSR, MSR_NOBODYS, KVM_MSR_EXIT_REASON_UNKNOWN);
	CHECK_EQ(vcpu->run->msr.data, 7);
	vcpu_sync(vcpu, 1);
	enable(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_INVAL);
	expect_msr(vcpu, KVM_EXIT_X86_WRMSR, MSR_LSTAR, KVM_MSR_EXIT_REASON_INVAL);
	CHECK_EQ(vcpu->run->msr.data, NOT_CANONICAL);
	vcpu_done(vcpu);
}

static void guest_filter(void)
{
	u64 v;

	/* one that the CPU gives without an exit, else */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_KERNEL_GS_BASE, 0x1000), 0);
	GUEST_ASSERT_EQ(try_rdmsr(MSR_KERNEL_GS_BASE, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_rdmsr(MSR_LSTAR, &v), 0);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_LSTAR, 0), FAULT(GP_VECTOR));
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(try_rdmsr(MSR_KERNEL_GS_BASE, &v), 0);
	GUEST_ASSERT_EQ(v, 0x5678);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(try_rdmsr(MSR_KERNEL_GS_BASE, &v), 0);
	GUEST_ASSERT_EQ(v, 0x1000);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_LSTAR, 0), 0);
}

/* KVM_X86_SET_MSR_FILTER: what is denied is #GP or the VMM's, until there is another filter. */
static void test_filter(void)
{
	u64 none = 0, big[KVM_MSR_FILTER_MAX_BITMAP_SIZE / 8 + 1] = {};
	struct kvm_msr_filter bad = {}, off = {}, f = {
		.ranges = {
			{ .flags = KVM_MSR_FILTER_READ, .nmsrs = 1, .base = MSR_KERNEL_GS_BASE,
			  .bitmap = (u8 *)&none },
			{ .flags = KVM_MSR_FILTER_WRITE, .nmsrs = 2, .base = MSR_STAR,
			  .bitmap = (u8 *)&none },
		},
	};
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 v;

	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) > 0);
	bad.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EINVAL);
	bad = f;
	bad.flags = 1u << 31;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EINVAL);
	bad = f;
	bad.ranges[1].flags = 4;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EINVAL);
	bad = f;
	bad.ranges[1].bitmap = (u8 *)big;
	bad.ranges[1].nmsrs = KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8;
	CHECK_OK(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad));
	bad.ranges[1].nmsrs++;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EINVAL);
	bad.ranges[1].nmsrs = ~0u;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EINVAL);
	bad = f;
	bad.ranges[1].bitmap = (u8 *)8;
	CHECK_ERRNO(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &bad), EFAULT);

	CHECK_OK(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &f));
	vcpu_call(vcpu, guest_filter, 0);
	vcpu_sync(vcpu, 1);
	/* the VMM's own accesses are not filtered */
	CHECK(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &v));
	CHECK_EQ(v, 0x1000);
	enable(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, MSR_KERNEL_GS_BASE, KVM_MSR_EXIT_REASON_FILTER);
	vcpu->run->msr.data = 0x5678;
	vcpu_sync(vcpu, 2);
	CHECK_OK(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &off));
	vcpu_done(vcpu);
}

/* -- the rest ----------------------------------------------------------------------- */

static void guest_tsc(void)
{
	GUEST_SYNC2(1, rdtsc(), 0);
}

/* KVM_VCPU_TSC_OFFSET: what the guest's TSC is ahead of the host's. */
static void test_tsc_offset(void)
{
	const u64 offset = 1ull << 50;
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 val = offset, before;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&val,
	};
	struct kvm_device_attr bad = attr;

	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_VCPU_ATTRIBUTES) > 0);
	CHECK_OK(ioctl(vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr));
	bad.attr = 77;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_HAS_DEVICE_ATTR, &bad), ENXIO);
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &bad), ENXIO);
	bad = attr;
	bad.group = 77;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &bad), ENXIO);
	bad = attr;
	bad.addr = 8;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &bad), EFAULT);
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &bad), EFAULT);

	CHECK_OK(ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr));
	val = 0;
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr));
	CHECK_EQ(val, offset);
	before = rdtsc();
	vcpu_call(vcpu, guest_tsc, 0);
	vcpu_sync(vcpu, 1);
	CHECK(vcpu->uc.arg[1] >= before + offset && vcpu->uc.arg[1] <= rdtsc() + offset);
	vcpu_done(vcpu);
}

/* As Linux 6.8 has it. */
struct region2 {
	struct kvm_userspace_memory_region region;
	u64 file_offset;
	u32 file, pad1;
	u64 pad2[14];
};

#define CAP_USER_MEMORY2	231
#define SET_REGION2		_IOW(KVMIO, 0x49, struct region2)
#define MEM_GUEST_MEMFD		(1u << 2)

static void guest_store(u64 at)
{
	*(volatile u64 *)at = 0x1234;
}

/* KVM_SET_USER_MEMORY_REGION2 makes a slot; a file for the guest's own memory there is none. */
static void test_region2(void)
{
	const u64 gpa = 64ull << 20;
	struct region2 r = { .region = { .slot = 1, .guest_phys_addr = gpa } };
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 *mem = host_memory(2ull << 20);

	REQUIRE(ksft_is_emys(), "Linux before 6.8 does not have it");
	CHECK_EQ(ioctl(vm->fd, KVM_CHECK_EXTENSION, CAP_USER_MEMORY2), 1);
	r.region.memory_size = 2ull << 20;
	r.region.userspace_addr = (uintptr_t)mem;
	r.region.flags = MEM_GUEST_MEMFD;
	CHECK_ERRNO(ioctl(vm->fd, SET_REGION2, &r), EINVAL);
	r.region.flags = 0;
	CHECK_OK(ioctl(vm->fd, SET_REGION2, &r));
	vcpu_call(vcpu, guest_store, gpa + 8);
	vcpu_done(vcpu);
	CHECK_EQ(mem[1], 0x1234);
}

/* The bootstrap processor is one that there may be. */
static void test_boot_id(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	REQUIRE(ksft_is_emys(), "Linux before 6.12 does not ask");
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_BOOT_CPU_ID, max + 1), EINVAL);
	CHECK_OK(ioctl(vm->fd, KVM_SET_BOOT_CPU_ID, 8));
	CHECK_ERRNO(try_cap(vm->fd, KVM_CAP_MAX_VCPU_ID, 7), EINVAL);
	CHECK_OK(try_cap(vm->fd, KVM_CAP_MAX_VCPU_ID, 9));
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_BOOT_CPU_ID, 10), EINVAL);
}

/* KVM_ENABLE_CAP of a vCPU; the number of MMU pages that a VMM allows. */
static void test_small(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_enable_cap e = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };

	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, e.cap) > 0);
	CHECK_OK(ioctl(vcpu->fd, KVM_ENABLE_CAP, &e));
	e.flags = 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_ENABLE_CAP, &e), EINVAL);
	CHECK_ERRNO(try_cap(vcpu->fd, 9999, 0), EINVAL);
	CHECK_ERRNO(try_cap(vcpu->fd, KVM_CAP_EXCEPTION_PAYLOAD, 1), EINVAL);
	CHECK_ERRNO(try_cap(vm->fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1), EINVAL);

	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 63), EINVAL);
	CHECK_OK(ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 128));
	CHECK_EQ(ioctl(vm->fd, KVM_GET_NR_MMU_PAGES, 0), 128);
}

KSFT_MAIN(
	{ "switches: KVM_CAP_EXCEPTION_PAYLOAD", test_payload },
	{ "switches: KVM_CAP_X86_TRIPLE_FAULT_EVENT", test_triple_fault },
	{ "switches: KVM_CAP_DISABLE_QUIRKS2", test_quirks },
	{ "switches: quirks of MONITOR and MWAIT", test_mwait },
	{ "switches: KVM_CAP_MSR_PLATFORM_INFO", test_platform_info },
	{ "switches: KVM_CAP_X86_USER_SPACE_MSR", test_user_msr },
	{ "switches: KVM_X86_SET_MSR_FILTER", test_filter },
	{ "switches: KVM_VCPU_TSC_OFFSET", test_tsc_offset },
	{ "switches: KVM_SET_USER_MEMORY_REGION2", test_region2 },
	{ "switches: the bootstrap processor's ID", test_boot_id },
	{ "switches: KVM_ENABLE_CAP of a vCPU, KVM_SET_NR_MMU_PAGES", test_small },
)
