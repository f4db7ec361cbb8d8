// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/allowed: who may be a hypervisor: CPUID has VMX, and the VM's VMM has not refused it by
 * EMYS_CAP_NESTED; api.rst, "Capabilities".
 */
#include <linux/emys.h>
#include <sys/ioctl.h>

#include "nested.h"

static int enable(struct vm *vm, u64 arg0, u64 arg1, u32 flags)
{
	struct kvm_enable_cap cap = {
		.cap = EMYS_CAP_NESTED, .flags = flags, .args = { arg0, arg1 },
	};

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

static int extension(struct vm *vm, long cap)
{
	return CHECK_OK(ioctl(vm->fd, KVM_CHECK_EXTENSION, cap));
}

/* VMX as a guest finds it that has it */
static void guest_has(void)
{
	l1_vmx_on();
	l1_vmx_off();
}

/* and as one that has not */
static void guest_has_not(void)
{
	u64 v;
	u32 msr;

	GUEST_ASSERT_EQ(try_write_cr4(read_cr4() | X86_CR4_VMXE), FAULT(GP_VECTOR));
	for (msr = MSR_VMX_BASIC; msr <= MSR_VMX_VMFUNC; msr++)
		GUEST_ASSERT_AT(try_rdmsr(msr, &v) == FAULT(GP_VECTOR), msr, v);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_FEATURE_CONTROL, FEAT_CTL_LOCK | FEAT_CTL_VMX),
			FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), FAULT(UD_VECTOR));
}

static struct vm *emys_vm(void)
{
	REQUIRE(ksft_is_emys(), "not emys");
	REQUIRE(dev_cap(EMYS_CAP_NESTED), "no VMX for guests");
	return vm_create();
}

/* What the VMM is told and may set; CPUID has VMX. */
static void check_vmm(struct vm *vm, struct vcpu *vcpu, bool has)
{
	struct {
		struct kvm_nested_state head;
		u8 data[8192];
	} state = { .head = { .size = sizeof(state) } };
	u64 v;

	CHECK_EQ(extension(vm, EMYS_CAP_NESTED), has);
	CHECK_EQ(extension(vm, KVM_CAP_NESTED_STATE) > 0, has);
	CHECK(vcpu_leaf(vcpu, 1, 0)->ecx & 1u << 5);
	CHECK_EQ(vcpu_get_msr(vcpu, MSR_VMX_BASIC, &v), has);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, FEAT_CTL_LOCK | FEAT_CTL_VMX), has);
	if (has)
		CHECK_OK(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0));
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, &state));
	CHECK_EQ(state.head.hdr.vmx.vmxon_pa, ~0ull);
	state.head.size = sizeof(state.head);
	state.head.hdr.vmx.vmxon_pa = 0x1000;
	state.head.hdr.vmx.vmcs12_pa = ~0ull;
	if (has)
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, &state));
	else
		CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, &state), EINVAL);
	state.head.hdr.vmx.vmxon_pa = ~0ull;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, &state));
}

static void run(struct vm *vm, bool has)
{
	struct vcpu *vcpu = vcpu_add(vm, 0);

	check_vmm(vm, vcpu, has);
	vcpu_call(vcpu, has ? (void *)guest_has : (void *)guest_has_not, 0);
	vcpu_done(vcpu);
	vm_free(vm);
}

/* A VMM that does not know the capability decides by CPUID. */
static void test_default(void)
{
	run(emys_vm(), true);
}

static void test_refused(void)
{
	struct vm *vm = emys_vm();

	CHECK_OK(enable(vm, 0, 0, 0));
	run(vm, false);
}

static void test_changed(void)
{
	struct vm *vm = emys_vm();

	CHECK_OK(enable(vm, 0, 0, 0));
	CHECK_EQ(extension(vm, EMYS_CAP_NESTED), 0);
	CHECK_OK(enable(vm, 1, 0, 0));
	run(vm, true);
}

/* It is not CPUID's business alone, nor the capability's. */
static void test_cpuid(void)
{
	struct vm *vm = emys_vm();
	struct vcpu *vcpu;

	CHECK_OK(enable(vm, 1, 0, 0));
	vcpu = vcpu_add(vm, 0);
	vcpu_leaf(vcpu, 1, 0)->ecx &= ~(1u << 5);
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_has_not, 0);
	vcpu_done(vcpu);
}

static void test_errors(void)
{
	struct vm *vm = emys_vm();

	CHECK_ERRNO(enable(vm, 2, 0, 0), EINVAL);
	CHECK_ERRNO(enable(vm, 0, 1, 0), EINVAL);
	CHECK_ERRNO(enable(vm, 0, 0, 1), EINVAL);
	CHECK_EQ(extension(vm, EMYS_CAP_NESTED), 1);
	vcpu_add(vm, 0);
	CHECK_ERRNO(enable(vm, 0, 0, 0), EBUSY);
	CHECK_ERRNO(enable(vm, 1, 0, 0), EBUSY);
	CHECK_EQ(extension(vm, EMYS_CAP_NESTED), 1);
}

KSFT_MAIN(
	{ "allowed: by default", test_default },
	{ "allowed: refused", test_refused },
	{ "allowed: refused, and allowed again", test_changed },
	{ "allowed: CPUID without VMX", test_cpuid },
	{ "allowed: errors", test_errors },
)
