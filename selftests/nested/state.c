// SPDX-License-Identifier: GPL-2.0-only
/* nested/state: KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE: L1 and L2 go on in another VM */
#include <stdlib.h>

#include "vapic.h"

static const u32 kept_msrs[] = {
	MSR_FEATURE_CONTROL, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE, MSR_TSC,
};

struct saved {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	u64 msrs[ARRAY_SIZE(kept_msrs)];
	struct kvm_nested_state *nested;
};

static struct kvm_nested_state *state_buffer(void)
{
	int size = dev_cap(KVM_CAP_NESTED_STATE);
	struct kvm_nested_state *s = calloc(1, size);

	CHECK(s);
	s->size = size;
	return s;
}

static void save(struct vcpu *vcpu, struct saved *s)
{
	unsigned int i;

	/* the access that brought us here is finished first */
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	vcpu_get_regs(vcpu, &s->regs);
	vcpu_get_sregs(vcpu, &s->sregs);
	vcpu_get_events(vcpu, &s->events);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &s->debug));
	for (i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		CHECK_EQ(vcpu_get_msr(vcpu, kept_msrs[i], &s->msrs[i]), 1);
	s->nested = state_buffer();
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, s->nested));
}

static void restore(struct vcpu *vcpu, struct saved *s)
{
	unsigned int i;

	vcpu_set_sregs(vcpu, &s->sregs);
	for (i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		CHECK_EQ(vcpu_set_msr(vcpu, kept_msrs[i], s->msrs[i]), 1);
	vcpu_set_events(vcpu, &s->events);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &s->debug));
	vcpu_set_regs(vcpu, &s->regs);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, s->nested));
}

/* what is not to be taken from memory: the rest of this VMCS region */
static u64 forget;

/* a new VM that goes on where this one stopped, which is gone then */
static struct vcpu *move(struct vcpu *old, bool want_l2)
{
	struct vm *vm = vm_create();
	struct kvm_nested_state *again;
	struct saved s;
	struct vcpu *new;

	save(old, &s);
	CHECK_EQ(!!(s.nested->flags & KVM_STATE_NESTED_GUEST_MODE), want_l2);
	memcpy(vm->mem, old->vm->mem, vm->mem_size);
	if (forget)
		memset((u8 *)vm->mem + forget + 4, 0, 4092);
	new = vcpu_add_reset(vm, 0);
	vm_free(old->vm);
	restore(new, &s);
	/* it reads back as it was set */
	again = state_buffer();
	CHECK_OK(ioctl(new->fd, KVM_GET_NESTED_STATE, again));
	CHECK_EQ(again->size, s.nested->size);
	CHECK_EQ(again->flags, s.nested->flags);
	CHECK_EQ(again->hdr.vmx.vmxon_pa, s.nested->hdr.vmx.vmxon_pa);
	CHECK_EQ(again->hdr.vmx.vmcs12_pa, s.nested->hdr.vmx.vmcs12_pa);
	/* while L2 runs, what is in its registers need not be in the VMCS, too */
	CHECK_MSG(want_l2 || !memcmp(again->data.vmx, s.nested->data.vmx,
				     s.nested->size - sizeof(*again)),
		  "the VMCS reads back otherwise");
	free(again);
	free(s.nested);
	return new;
}

#define STAGE_L1	100
#define STAGE_L2	200

static volatile u64 in_l2;

static void l2_stages(void)
{
	u64 i, a = 0x1234;

	GUEST_SYNC(STAGE_L2);
	for (i = 0; i < 3; i++) {
		in_l2++;
		a = a * 3 + i;
		wrmsr(MSR_KERNEL_GS_BASE, 0x9000 + i);
		GUEST_SYNC(STAGE_L2);
		GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x9000 + i);
		GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_CS), 0x77);
		vmcall();
	}
	GUEST_ASSERT_EQ(a, ((0x1234ull * 3 + 0) * 3 + 1) * 3 + 2);
	GUEST_ASSERT_EQ(read_cr0() & X86_CR0_TS, X86_CR0_TS);
}

static void guest_stages(u64 ept)
{
	u64 i, v;

	GUEST_SYNC(STAGE_L1);
	l1_vmx_on();
	GUEST_SYNC(STAGE_L1);
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP, &v), VMX_INVALID);
	l1_make_vmcs(l1_vmcs, l2_stages, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	if (ept)
		l1_use_ept(ept_identity(ept));
	vmwrite(GUEST_SYSENTER_CS, 0x77);
	vmwrite(HOST_SYSENTER_CS, 0x66);
	vmwrite(CR0_MASK, X86_CR0_TS);
	vmwrite(CR0_SHADOW, X86_CR0_TS);
	/* a field that nothing uses while there is no event */
	vmwrite(ENTRY_LENGTH, 0xabcdef);
	GUEST_SYNC(STAGE_L1);
	GUEST_ASSERT_EQ(vmread(ENTRY_LENGTH), 0xabcdef);
	for (i = 0; i < 3; i++) {
		L2_EXIT_SKIP(REASON_VMCALL);
		GUEST_ASSERT_EQ(in_l2, i + 1);
		GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_CS), 0x66);
		GUEST_ASSERT_EQ(vmread(ENTRY_LENGTH), 0xabcdef);
		vmwrite(ENTRY_LENGTH, 0xabcdef);
		GUEST_SYNC(STAGE_L1);
		GUEST_ASSERT_EQ(vmread(EXIT_REASON), REASON_VMCALL);
	}
	L2_DONE();
	/* the launch state has moved as well */
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_VALID(ERR_VMLAUNCH_NOT_CLEAR));
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_SYNC(STAGE_L1);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(vmread(ENTRY_LENGTH), 0xabcdef);
	l1_vmx_off();
	GUEST_SYNC(STAGE_L1);
}

static void stages(u64 ept)
{
	struct vcpu *vcpu = nested_vcpu(guest_stages, ept);
	unsigned int moved = 0;

	REQUIRE(nested_can(vcpu, PROC_CTL, PROC_MSR_BITMAPS), "no MSR bitmaps");
	REQUIRE(!ept || nested_can(vcpu, PROC2_CTL, PROC2_EPT), "no EPT");
	for (;;) {
		vcpu_expect(vcpu, EXIT_UCALL);
		if (vcpu->uc.cmd == UCALL_DONE)
			break;
		CHECK_EQ(vcpu->uc.cmd, UCALL_SYNC);
		vcpu = move(vcpu, vcpu->uc.arg[0] == STAGE_L2);
		moved++;
	}
	CHECK_EQ(moved, 12);
	vm_free(vcpu->vm);
}

/* Moved twelve times: before VMXON, without a VMCS, with one, in L2, and after its exits. */
static void test_stages(void)
{
	stages(0);
}

/* The same with EPT12. */
static void test_stages_ept(void)
{
	stages(1);
	stages(2);
}

#define VECTOR	0x51
#define VECTOR2	0x5a		/* of the same class, and above it */

static void on_virtual_synced(struct guest_frame *frame)
{
	GUEST_SYNC(STAGE_L2);
	on_virtual(frame);
}

static void l2_virtual(void)
{
	/* TPR holds them back */
	GUEST_SYNC(STAGE_L2);
	GUEST_ASSERT_EQ(handled, 0);
	x2apic_write(APIC_TPR, 0);
	GUEST_ASSERT_EQ(handled, 2);
}

static void guest_virtual(void)
{
	guest_handlers[VECTOR] = on_virtual_synced;
	guest_handlers[VECTOR2] = on_virtual_synced;
	l1_vmx_on();
	vapic_start_vid(l2_virtual, 0, PROC2_X2APIC);
	*vapic_reg(APIC_TPR) = 0x60;
	vapic_set(APIC_IRR, VECTOR, true);
	vapic_set(APIC_IRR, VECTOR2, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR2);
	vmwrite(EOI_EXIT1, 1ull << (VECTOR - 64));
	L2_EXIT(REASON_EOI);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), VECTOR);
	GUEST_SYNC(STAGE_L1);
	/* one after the other, though they were moved in between */
	GUEST_ASSERT_EQ(order, VECTOR2 << 8 | VECTOR);
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0);
	L2_DONE();
}

/* Moved while virtual interrupts are requested, and in service. */
static void test_virtual(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_virtual, 0, PROC2_CTL, VAPIC_VID);

	vcpu_sync(vcpu, STAGE_L2);
	vcpu = move(vcpu, true);
	vcpu_sync(vcpu, STAGE_L2);
	vcpu = move(vcpu, true);
	vcpu_sync(vcpu, STAGE_L2);
	vcpu = move(vcpu, true);
	vcpu_sync(vcpu, STAGE_L1);
	vcpu = move(vcpu, false);
	vcpu_done(vcpu);
}

/* -- with a shadow VMCS ------------------------------------------------------------------- */

static u8 shadow[4096] VMX_PAGE, bitmap[4096] VMX_PAGE;

static void l2_linked(void)
{
	u64 i, v;

	for (i = 0; i < 3; i++) {
		GUEST_SYNC(STAGE_L2);
		GUEST_ASSERT_EQ(try_vmread(GUEST_RIP, &v), VMX_OK);
		GUEST_ASSERT_EQ(v, 0x4321);
		GUEST_ASSERT_EQ(try_vmread(GUEST_ES_BASE, &v), VMX_OK);
		GUEST_ASSERT_EQ(v, i);
		GUEST_ASSERT_EQ(try_vmwrite(GUEST_ES_BASE, i + 1), VMX_OK);
	}
	GUEST_SYNC(STAGE_L2);
}

static void guest_linked(void)
{
	u64 v;

	l1_vmx_on();
	*(volatile u32 *)shadow = l1_revision() | 1u << 31;
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	vmwrite(GUEST_RIP, 0x4321);
	vmwrite(GUEST_ES_BASE, 0);
	/* it may be the current one, too */
	GUEST_SYNC(STAGE_L1);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x4321);
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	l1_make_vmcs(l1_vmcs, l2_linked, 0);
	vmwrite(VMREAD_BITMAP, pa(bitmap));
	vmwrite(VMWRITE_BITMAP, pa(bitmap));
	vmwrite(LINK_POINTER, pa(shadow));
	l1_control(PROC2_CTL, PROC2_SHADOW_VMCS, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmread(GUEST_ES_BASE, &v), VMX_OK);
	GUEST_ASSERT_EQ(v, 3);
}

/* The shadow VMCS of a running L2 is in the state. */
static void test_linked(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_linked, 0, PROC2_CTL, PROC2_SHADOW_VMCS);

	vcpu_sync(vcpu, STAGE_L1);
	vcpu = move(vcpu, false);
	forget = pa(shadow);
	for (;;) {
		vcpu_expect(vcpu, EXIT_UCALL);
		if (vcpu->uc.cmd == UCALL_DONE)
			break;
		CHECK_EQ(vcpu->uc.arg[0], STAGE_L2);
		vcpu = move(vcpu, true);
	}
}

static void guest_states(void)
{
	GUEST_SYNC(0);
	l1_vmx_on();
	GUEST_SYNC(1);
	l1_make_vmcs(l1_vmcs, l2_stages, 0);
	GUEST_SYNC(2);
	l2_run();
}

static struct kvm_nested_state *get_state(struct vcpu *vcpu)
{
	struct kvm_nested_state *s = state_buffer();

	CHECK_OK(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, s));
	return s;
}

/* What the state says at each point. */
static void test_states(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_states, 0);
	struct kvm_nested_state *s;

	vcpu_sync(vcpu, 0);
	s = get_state(vcpu);
	CHECK_EQ(s->hdr.vmx.vmxon_pa, -1ull);
	vcpu_sync(vcpu, 1);
	s = get_state(vcpu);
	CHECK_EQ(s->hdr.vmx.vmxon_pa, pa(l1_vmxon));
	CHECK_EQ(s->hdr.vmx.vmcs12_pa, -1ull);
	CHECK_EQ(s->size, sizeof(*s));
	vcpu_sync(vcpu, 2);
	s = get_state(vcpu);
	CHECK_EQ(s->hdr.vmx.vmxon_pa, pa(l1_vmxon));
	CHECK_EQ(s->hdr.vmx.vmcs12_pa, pa(l1_vmcs));
	CHECK_EQ(s->flags & KVM_STATE_NESTED_GUEST_MODE, 0);
	CHECK_MSG(s->size > sizeof(*s), "no VMCS in the state");
	vcpu_sync(vcpu, STAGE_L2);
	s = get_state(vcpu);
	CHECK_EQ(s->flags & KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_GUEST_MODE);
	CHECK_EQ(s->hdr.vmx.vmcs12_pa, pa(l1_vmcs));
	/* a buffer that is too small says how much is needed */
	s->size = sizeof(*s) + 8;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, s), E2BIG);
	CHECK_MSG(s->size > sizeof(*s) + 8, "size: %u", s->size);
}

static void guest_idle(void)
{
	l1_vmx_on();
	GUEST_SYNC(1);
}

static void refuse(struct vcpu *vcpu, const struct kvm_nested_state *s)
{
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, s), EINVAL);
}

/* States that cannot be. */
static void test_refused(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_idle, 0);
	struct kvm_nested_state *s, *good;

	vcpu_sync(vcpu, 1);
	good = get_state(vcpu);
	s = state_buffer();
#define WITH(change)	do { *s = *good; change; refuse(vcpu, s); } while (0)
	WITH(s->flags = 1 << 12);
	WITH(s->format = 7);
	WITH(s->size = sizeof(*s) - 1);
	WITH(s->hdr.vmx.vmxon_pa = 1);
	WITH(s->hdr.vmx.vmxon_pa = 1ull << 52);
	WITH(s->hdr.vmx.vmcs12_pa = 1);
	WITH(s->hdr.vmx.vmcs12_pa = s->hdr.vmx.vmxon_pa);
	WITH(s->hdr.vmx.vmxon_pa = -1ull; s->hdr.vmx.vmcs12_pa = 0x1000);
	WITH(s->hdr.vmx.vmxon_pa = -1ull; s->flags = KVM_STATE_NESTED_GUEST_MODE);
	/* a VMCS of another revision */
	WITH(s->hdr.vmx.vmcs12_pa = pa(l1_vmcs); s->size = dev_cap(KVM_CAP_NESTED_STATE);
	     memset(s->data.vmx, 0x5a, 4096));
	/* the good one, and out of VMX operation */
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, good));
	*s = *good;
	s->hdr.vmx.vmxon_pa = -1ull;
	s->hdr.vmx.vmcs12_pa = -1ull;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, s));
	s = get_state(vcpu);
	CHECK_EQ(s->hdr.vmx.vmxon_pa, -1ull);
}

/* L2 with a shadow VMCS, and none or another thing in the state. */
static void test_linked_refused(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_linked, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
	struct kvm_nested_state *s, *good;
	u32 *revision;

	vcpu_sync(vcpu, STAGE_L1);
	vcpu_sync(vcpu, STAGE_L2);
	good = get_state(vcpu);
	CHECK_EQ(good->size, sizeof(*good) + 2 * 4096);
	s = state_buffer();
	memcpy(s, good, good->size);
	revision = (u32 *)s->data.vmx[0].shadow_vmcs12;
	*revision ^= 1;
	refuse(vcpu, s);
	*revision ^= 1 | 1u << 31;
	refuse(vcpu, s);
	*revision ^= 1u << 31;
	s->size -= 4096;
	refuse(vcpu, s);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, good));
}

/* A VM without VMX takes none. */
static void test_without(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_idle, 0);
	struct kvm_nested_state *s;

	vcpu_sync(vcpu, 1);
	s = get_state(vcpu);
	vcpu = nested_vcpu(guest_idle, 0);
	vcpu_leaf(vcpu, 1, 0)->ecx &= ~(1u << 5);
	vcpu_set_cpuid(vcpu);
	refuse(vcpu, s);
}

KSFT_MAIN(
	{ "state: moved at each stage", test_stages, 60 },
	{ "state: moved at each stage, with EPT", test_stages_ept, 60 },
	{ "state: moved with virtual interrupts", test_virtual, 60 },
	{ "state: moved with a shadow VMCS", test_linked, 60 },
	{ "state: what it says", test_states },
	{ "state: refused", test_refused },
	{ "state: shadow VMCS refused", test_linked_refused },
	{ "state: no VMX in CPUID", test_without },
)
