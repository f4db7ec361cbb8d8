// SPDX-License-Identifier: GPL-2.0-only
/* nested/debug: a debugger in the VMM and its breakpoints, in L1 and in L2. */
#include "nested.h"

extern const char in_l1[], in_l1_later[], in_l2[], in_l2_later[], in_l2_last[];

#define BREAKPOINT(label)	asm volatile(".globl " #label "\n" #label ": int3" : : : "memory")

static volatile u64 taken;

static void on_breakpoint(struct guest_frame *frame)
{
	taken = frame->rip;
}

static void l2_breaks(void)
{
	BREAKPOINT(in_l2);
	BREAKPOINT(in_l2_later);
	GUEST_SYNC(2);
	vmcall();
	BREAKPOINT(in_l2_last);
}

/* L2's own breakpoint is L1's, as L1 wants it */
static void breakpoint_exits(const char *at)
{
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_SOFT_EXC | BP_VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(at));
	l2_skip();
}

static void guest_breakpoints(void)
{
	guest_handlers[BP_VECTOR] = on_breakpoint;
	l1_start(l2_breaks, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << BP_VECTOR);
	GUEST_SYNC(1);
	/* the debugger has in_l2, and goes */
	breakpoint_exits(in_l2_later);
	BREAKPOINT(in_l1);
	GUEST_ASSERT_EQ(taken, pa(in_l1) + 1);
	taken = 0;
	/* it comes back while L2 runs: in_l1_later is its */
	L2_EXIT_SKIP(REASON_VMCALL);
	BREAKPOINT(in_l1_later);
	GUEST_ASSERT_EQ(taken, 0);
	/* and goes while L1 runs */
	breakpoint_exits(in_l2_last);
	L2_DONE();
}

static void debugger(struct vcpu *vcpu, u32 control)
{
	struct kvm_guest_debug d = { .control = control };

	CHECK_OK(ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &d));
}

static void breaks_at(struct vcpu *vcpu, const char *at)
{
	struct kvm_regs r;

	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(vcpu->run->debug.arch.exception, BP_VECTOR);
	CHECK_EQ(vcpu->run->debug.arch.pc, (uintptr_t)at);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rip, (uintptr_t)at);
	r.rip++;
	vcpu_set_regs(vcpu, &r);
	debugger(vcpu, 0);
}

/* Breakpoints are the VMM's while it has a debugger, and the guest's else, at both levels. */
static void test_breakpoints(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_breakpoints, 0);

	REQUIRE(ksft_is_emys(), "KVM gives INT3 of L2 to L1");
	vcpu_sync(vcpu, 1);
	debugger(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	breaks_at(vcpu, in_l2);
	vcpu_sync(vcpu, 2);
	debugger(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	breaks_at(vcpu, in_l1_later);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "debug: breakpoints", test_breakpoints },
)
