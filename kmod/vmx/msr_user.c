// SPDX-License-Identifier: GPL-2.0-only
/*
 * msr_user.c - RDMSR and WRMSR, as far as they exit; and the VMM's say in them: MSRs that the guest
 * may not have (KVM_X86_SET_MSR_FILTER), and accesses that the VMM answers
 * (KVM_CAP_X86_USER_SPACE_MSR). Source: Linux Documentation/virt/kvm/api.rst.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <asm/apicdef.h>

#include "../emys.h"
#include "internal.h"
#include "msr_filter.h"

static bool filter_allows(const struct msr_filter *f, u32 msr, u32 access)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		const struct msr_range *r = &f->ranges[i];

		if (msr - r->base < r->nmsrs && (r->flags & access))
			return test_bit(msr - r->base, r->bitmap);
	}
	return !f->deny;
}

bool msr_filter_allows(struct emys_vm *vm, u32 msr, u32 access)
{
	const struct msr_filter *f;
	bool allowed = true;

	if (likely(!rcu_access_pointer(vm->msr_filter)))
		return true;
	/* The APIC's are no business of it: the CPU may answer them by itself. */
	if (msr >= APIC_BASE_MSR && msr <= APIC_BASE_MSR + 0xff)
		return true;
	rcu_read_lock();
	f = rcu_dereference(vm->msr_filter);
	if (f)
		allowed = filter_allows(f, msr, access);
	rcu_read_unlock();
	return allowed;
}

void msr_filter_set(struct emys_vm *vm, struct msr_filter *f)
{
	struct msr_filter *old;

	lockdep_assert_held(&vm->lock);
	old = rcu_replace_pointer(vm->msr_filter, f, lockdep_is_held(&vm->lock));
	emys_vm_request_all(vm, EMYS_REQ_MSRS);
	synchronize_rcu();
	kfree(old);
}

/* -- the instructions ---------------------------------------------------------------- */

static u32 index_of(const struct emys_vcpu *vcpu)
{
	return vcpu->regs[1];
}

static u64 value_of(const struct emys_vcpu *vcpu)
{
	return (u32)vcpu->regs[0] | vcpu->regs[2] << 32;
}

static void done(struct emys_vcpu *vcpu, bool read, u64 val)
{
	if (read) {
		vcpu->regs[0] = (u32)val;
		vcpu->regs[2] = val >> 32;
	}
	vmx_skip(vcpu);
}

/* 0: it is done; else why not, one of KVM_MSR_EXIT_REASON_*. */
static u32 try_msr(struct emys_vcpu *vcpu, bool read)
{
	u32 msr = index_of(vcpu);
	u64 val = value_of(vcpu);
	int r;

	if (unlikely(!msr_filter_allows(vcpu->vm, msr,
					read ? KVM_MSR_FILTER_READ : KVM_MSR_FILTER_WRITE)))
		return KVM_MSR_EXIT_REASON_FILTER;
	r = read ? msr_read(vcpu, msr, &val, false) : msr_write(vcpu, msr, val, false);
	if (likely(!r)) {
		done(vcpu, read, val);
		return 0;
	}
	return r == -ENOENT ? KVM_MSR_EXIT_REASON_UNKNOWN : KVM_MSR_EXIT_REASON_INVAL;
}

static bool is_users(const struct emys_vcpu *vcpu, u32 why)
{
	return READ_ONCE(vcpu->vm->user_msrs) & why;
}

/*
 * Inside the section its value is the CPU's, as the guest has it without an exit. That there is one
 * is of a bitmap that is behind the VMM's filter or L1's.
 */
static bool is_loaded(const struct emys_vcpu *vcpu, u32 msr)
{
	return msr == MSR_KERNEL_GS_BASE ||
	       (msr == MSR_IA32_SPEC_CTRL && vcpu->vmx.spec_ctrl_passed);
}

static int fast_msr(struct emys_vcpu *vcpu, bool read)
{
	u32 why;

	if (unlikely(is_loaded(vcpu, index_of(vcpu))))
		return VMX_EXIT_PENDING;
	why = try_msr(vcpu, read);
	if (unlikely(why)) {
		if (is_users(vcpu, why))
			return VMX_EXIT_PENDING;
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	/* How SPEC_CTRL is switched is decided once per section. */
	return !read && index_of(vcpu) == MSR_IA32_SPEC_CTRL ? VMX_EXIT_LEAVE : EMYS_RESUME;
}

int vmx_fast_rdmsr(struct emys_vcpu *vcpu)
{
	return fast_msr(vcpu, true);
}

int vmx_fast_wrmsr(struct emys_vcpu *vcpu)
{
	return fast_msr(vcpu, false);
}

static int complete_msr(struct emys_vcpu *vcpu)
{
	bool read = vcpu->vmx.exit.reason == EXIT_REASON_MSR_READ;

	/* The VMM may have moved the vCPU meanwhile. */
	if (vmx_rip(vcpu) != vcpu->vmx.io_rip)
		return EMYS_RESUME;
	if (READ_ONCE(vcpu->run->msr.error))
		vmx_inject_gp(vcpu);
	else
		done(vcpu, read, READ_ONCE(vcpu->run->msr.data));
	return EMYS_RESUME;
}

/* Once more, as the VMM may have another filter by now. */
int vmx_handle_msr(struct emys_vcpu *vcpu)
{
	bool read = vcpu->vmx.exit.reason == EXIT_REASON_MSR_READ;
	struct kvm_run *run = vcpu->run;
	u32 why = try_msr(vcpu, read);

	if (!why)
		return EMYS_RESUME;
	if (!is_users(vcpu, why)) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	run->exit_reason = read ? KVM_EXIT_X86_RDMSR : KVM_EXIT_X86_WRMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = why;
	run->msr.index = index_of(vcpu);
	run->msr.data = read ? 0 : value_of(vcpu);
	vcpu->io.complete = complete_msr;
	vcpu->vmx.io_rip = vmx_rip(vcpu);
	return EMYS_USER;
}
