// SPDX-License-Identifier: GPL-2.0-only
/* VMX for the guest: on and off, what it offers, what it fixes in the control registers. */
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>

#include "../emys.h"
#include "internal.h"

static bool nested;
module_param(nested, bool, 0444);
MODULE_PARM_DESC(nested, "Let guests be hypervisors: offer VMX in their CPUID (default off)");

/* What a vCPU with every feature in its CPUID has at most. */
static struct nested_caps caps_max __ro_after_init;

/* Of the CPU's, but not offered: emys does not give them to L2. */
#define ENTRY_WITHHELD	(VM_ENTRY_LOAD_BNDCFGS | VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
#define EXIT_WITHHELD	(VM_EXIT_CLEAR_BNDCFGS | VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)

int __init nested_init(void)
{
	struct nested_caps hw = { };
	u64 val;
	u32 msr;

	if (!nested)
		return 0;
	for (msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_VMFUNC; msr++)
		if (!rdmsrq_safe(msr, &val))
			nested_caps_put(&hw, msr, val);
	nested_caps_init(&caps_max, &hw);
	caps_max.entry.may &= ~ENTRY_WITHHELD;
	caps_max.exit.may &= ~EXIT_WITHHELD;
	caps_max.misc &= ~NESTED_MISC_SHUTDOWN;
	return nested_shadow_init();
}

void nested_cleanup(void)
{
	nested_shadow_exit();
}

bool nested_offered(void)
{
	return nested;
}

bool nested_allowed(const struct emys_vm *vm)
{
	return nested && !READ_ONCE(vm->nested_refused);
}

int nested_vcpu_init(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n;

	if (!nested_allowed(vcpu->vm))
		return 0;
	n = kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n)
		return -ENOMEM;
	n->caps = caps_max;
	n->ptr = NESTED_NO_VMCS;
	n->vcpu = vcpu;
	nested_timer_init(n);
	vcpu->nested = n;
	return 0;
}

void nested_vcpu_destroy(struct emys_vcpu *vcpu)
{
	if (!vcpu->nested)
		return;
	vcpu->vmx.l2 = false;
	vcpu->vmx.cur = &vcpu->vmx.vmcs01;
	nested_vmx_off(vcpu);
	kfree(vcpu->nested);
	vcpu->nested = NULL;
}

int nested_vmx_on(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	int r;

	n->v12 = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!n->v12)
		return -ENOMEM;
	r = nested_shadow_alloc(n);
	if (r)
		goto err_v12;
	r = vmx_vmcs_alloc(&n->vmcs02);
	if (r)
		goto err_shadow;
	vmx_vmcs_setup(vcpu, &n->vmcs02);
	atomic_inc(&vcpu->vm->nested_on);
	n->rare = NESTED_RARE_12;
	n->controls_02 = false;
	n->vmxon = true;
	n->ptr = NESTED_NO_VMCS;
	return 0;

err_shadow:
	nested_shadow_free(n);
err_v12:
	free_page((unsigned long)n->v12);
	n->v12 = NULL;
	return r;
}

void nested_vmx_off(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!n->vmxon)
		return;
	n->vmxon = false;
	n->ptr = NESTED_NO_VMCS;
	nested_shadow_off(vcpu);
	nested_shadow_free(n);
	nested_pages_put(vcpu);
	nested_ept_put(vcpu);
	/* An L1 that leaves VMX operation between runs of L2 finds them again */
	if (atomic_dec_and_test(&vcpu->vm->nested_on))
		mem_derived_forget_later(vcpu->vm);
	vmx_apic_access_without(vcpu, false);
	vmx_vmcs_free(&n->vmcs02);
	free_page((unsigned long)n->v12);
	n->v12 = NULL;
}

void nested_leave(struct emys_vcpu *vcpu)
{
	if (!vcpu->nested)
		return;
	if (vcpu->vmx.l2)
		nested_leave_l2(vcpu);
	nested_vmx_off(vcpu);
	/* What L1 has in its memory may be something else from here on */
	if (!atomic_read(&vcpu->vm->nested_on))
		mem_derived_forget_idle(vcpu->vm);
}

bool nested_on(const struct emys_vcpu *vcpu)
{
	return vcpu->nested && vcpu->nested->vmxon;
}

u32 nested_debug_changed(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!nested_on(vcpu))
		return 0;
	n->controls_02 = false;
	n->debug_changed = vcpu->vmx.l2;
	return vcpu->vmx.l2 ? n->v12->exception_bitmap : 0;
}

bool nested_init_blocked(const struct emys_vcpu *vcpu)
{
	return nested_on(vcpu) && !vcpu->vmx.l2;
}

bool nested_has_vmx(const struct emys_vcpu *vcpu)
{
	return vcpu->nested && vcpu->feat.has_vmx;
}

/* -- what VMX operation fixes ------------------------------------------------------------- */

static bool fixed_ok(u64 val, u64 fixed0, u64 fixed1)
{
	return (val & fixed0) == fixed0 && !(val & ~fixed1);
}

bool nested_cr0_allows_vmxon(const struct emys_vcpu *vcpu, u64 cr0)
{
	const struct nested_caps *c = &vcpu->nested->caps;

	return fixed_ok(cr0, c->cr0_fixed0, c->cr0_fixed1);
}

bool nested_cr4_allows_vmxon(const struct emys_vcpu *vcpu, u64 cr4)
{
	const struct nested_caps *c = &vcpu->nested->caps;

	return fixed_ok(cr4, c->cr4_fixed0, c->cr4_fixed1);
}

bool nested_cr0_valid(const struct emys_vcpu *vcpu, u64 cr0)
{
	const struct nested_vcpu *n = vcpu->nested;
	u64 fixed0;

	if (!nested_on(vcpu))
		return true;
	fixed0 = n->caps.cr0_fixed0;
	if (vcpu->vmx.l2 && (vmcs12_proc2(n->v12) & SECONDARY_EXEC_UNRESTRICTED_GUEST))
		fixed0 &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return fixed_ok(cr0, fixed0, n->caps.cr0_fixed1);
}

bool nested_cr4_valid(const struct emys_vcpu *vcpu, u64 cr4)
{
	if (!nested_on(vcpu))
		return true;
	return nested_cr4_allows_vmxon(vcpu, cr4);
}

/* -- MSRs --------------------------------------------------------------------------------- */

int nested_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val)
{
	if (!vcpu->nested || nested_caps_get(&vcpu->nested->caps, msr, val))
		return -EPERM;
	return 0;
}

int nested_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!n || n->vmxon || nested_caps_set(&n->caps, &caps_max, msr, val))
		return -EPERM;
	return 0;
}

int nested_msr_feature(u32 msr, u64 *val)
{
	return nested && !nested_caps_get(&caps_max, msr, val) ? 0 : -EINVAL;
}

void nested_cpuid_changed(struct emys_vcpu *vcpu)
{
	const struct emys_features *f = &vcpu->feat;
	struct nested_cpuid cpuid = {
		.cr4 = ~f->cr4_reserved,
		.rdtscp = f->has_rdtscp || f->has_rdpid,
		.invpcid = f->has_invpcid,
		.xsaves = f->has_xsaves,
	};

	if (vcpu->nested)
		nested_caps_cpuid(&vcpu->nested->caps, &caps_max, &cpuid);
}
