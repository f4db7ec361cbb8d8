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

KSFT_MAIN(
	{ "switches: KVM_CAP_EXCEPTION_PAYLOAD", test_payload },
	{ "switches: KVM_CAP_X86_TRIPLE_FAULT_EVENT", test_triple_fault },
)
