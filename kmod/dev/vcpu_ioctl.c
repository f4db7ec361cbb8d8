// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu_ioctl.c - ioctls of a vCPU's file descriptor.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dev.h"
#include "emys.h"
#include "vmx/mce.h"
#include "vmx/vclock.h"

static long vcpu_run(struct dev_call *call)
{
	return emys_vcpu_run(call->vcpu);
}

static long vcpu_set_signal_mask(struct dev_call *call)
{
	struct kvm_signal_mask __user *user = dev_uptr(call);
	struct emys_vcpu *vcpu = call->vcpu;
	struct kvm_signal_mask head;
	sigset_t set;

	if (!user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

/* -- registers -------------------------------------------------------------- */

static long vcpu_get_regs(struct dev_call *call)
{
	vmx_get_regs(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_regs(struct dev_call *call)
{
	vmx_set_regs(call->vcpu, call->buf);
	return 0;
}

static long vcpu_get_sregs(struct dev_call *call)
{
	vmx_get_sregs(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_sregs(struct dev_call *call)
{
	return vmx_set_sregs(call->vcpu, call->buf);
}

static long vcpu_get_debugregs(struct dev_call *call)
{
	vmx_get_debugregs(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_debugregs(struct dev_call *call)
{
	return vmx_set_debugregs(call->vcpu, call->buf);
}

static long vcpu_set_guest_debug(struct dev_call *call)
{
	return vmx_set_guest_debug(call->vcpu, call->buf);
}

static long vcpu_get_fpu(struct dev_call *call)
{
	fpu_get_fpu(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_fpu(struct dev_call *call)
{
	return fpu_set_fpu(call->vcpu, call->buf);
}

static long vcpu_get_xsave(struct dev_call *call)
{
	fpu_get_xsave(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_xsave(struct dev_call *call)
{
	return fpu_set_xsave(call->vcpu, call->buf);
}

static long vcpu_get_xcrs(struct dev_call *call)
{
	struct kvm_xcrs *xcrs = call->buf;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].value = call->vcpu->fpu.xcr0;
	return 0;
}

static long vcpu_set_xcrs(struct dev_call *call)
{
	const struct kvm_xcrs *xcrs = call->buf;
	u32 i;

	if (!boot_cpu_has(X86_FEATURE_XSAVE) || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == 0)
			return fpu_set_xcr(call->vcpu, 0, xcrs->xcrs[i].value);
	return 0;
}

static int vcpu_get_msr(struct dev_call *call, struct kvm_msr_entry *e)
{
	u64 val;
	int err;

	err = msr_read(call->vcpu, e->index, &val, true);
	if (!err)
		e->data = val;
	return err;
}

static int vcpu_set_msr(struct dev_call *call, struct kvm_msr_entry *e)
{
	return msr_write(call->vcpu, e->index, e->data, true);
}

static long vcpu_get_msrs(struct dev_call *call)
{
	return dev_msrs(call, vcpu_get_msr, true);
}

static long vcpu_set_msrs(struct dev_call *call)
{
	return dev_msrs(call, vcpu_set_msr, false);
}

/* -- CPUID --------------------------------------------------------------------- */

static long vcpu_set_cpuid2(struct dev_call *call)
{
	struct kvm_cpuid2 __user *user = dev_uptr(call);
	struct kvm_cpuid_entry2 *e = NULL;
	u32 nr;

	if (get_user(nr, &user->nent))
		return -EFAULT;
	if (nr > DEV_MAX_CPUID)
		return -E2BIG;
	if (nr) {
		e = vmemdup_user(user->entries, array_size(nr, sizeof(*e)));
		if (IS_ERR(e))
			return PTR_ERR(e);
	}
	return cpuid_set(call->vcpu, e, nr);
}

/* The first form: no flags, so the leaf alone decides. */
static long vcpu_set_cpuid(struct dev_call *call)
{
	struct kvm_cpuid __user *user = dev_uptr(call);
	struct kvm_cpuid_entry2 *e = NULL;
	struct kvm_cpuid_entry *old;
	u32 nr, i;

	if (get_user(nr, &user->nent))
		return -EFAULT;
	if (nr > DEV_MAX_CPUID)
		return -E2BIG;
	if (nr) {
		old = vmemdup_user(user->entries, array_size(nr, sizeof(*old)));
		if (IS_ERR(old))
			return PTR_ERR(old);
		e = kvcalloc(nr, sizeof(*e), GFP_KERNEL_ACCOUNT);
		if (!e) {
			kvfree(old);
			return -ENOMEM;
		}
		for (i = 0; i < nr; i++) {
			e[i].function = old[i].function;
			e[i].eax = old[i].eax;
			e[i].ebx = old[i].ebx;
			e[i].ecx = old[i].ecx;
			e[i].edx = old[i].edx;
		}
		kvfree(old);
	}
	return cpuid_set(call->vcpu, e, nr);
}

static long vcpu_get_cpuid2(struct dev_call *call)
{
	struct kvm_cpuid2 __user *user = dev_uptr(call);
	struct emys_vcpu *vcpu = call->vcpu;
	u32 room;

	if (get_user(room, &user->nent))
		return -EFAULT;
	if (room < vcpu->nr_cpuid)
		return -E2BIG;
	if (put_user(vcpu->nr_cpuid, &user->nent))
		return -EFAULT;
	return copy_to_user(user->entries, vcpu->cpuid, vcpu->nr_cpuid * sizeof(*vcpu->cpuid)) ?
	       -EFAULT : 0;
}

/* -- events ---------------------------------------------------------------------- */

static long vcpu_get_events(struct dev_call *call)
{
	vmx_get_events(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_events(struct dev_call *call)
{
	return vmx_set_events(call->vcpu, call->buf);
}

static long vcpu_interrupt(struct dev_call *call)
{
	const struct kvm_interrupt *irq = call->buf;

	return vmx_queue_interrupt(call->vcpu, irq->irq);
}

static long vcpu_nmi(struct dev_call *call)
{
	vmx_queue_nmi(call->vcpu);
	return 0;
}

static long vcpu_get_lapic(struct dev_call *call)
{
	lapic_get_state(call->vcpu, call->buf);
	return 0;
}

static long vcpu_set_lapic(struct dev_call *call)
{
	return lapic_set_state(call->vcpu, call->buf);
}

/*
 * There is no TPR page (KVM_CAP_VAPIC is absent), and 0 says that none is
 * wanted: QEMU does at every reset, whatever the capability.
 */
static long vcpu_set_vapic_addr(struct dev_call *call)
{
	const struct kvm_vapic_addr *va = call->buf;

	return va->vapic_addr ? -EINVAL : 0;
}

static long vcpu_get_mp_state(struct dev_call *call)
{
	struct kvm_mp_state *mp = call->buf;

	struct emys_vcpu *vcpu = call->vcpu;

	/*
	 * An INIT or SIPI that was sent before counts, even if it was not seen yet. In VMX
	 * operation an INIT stays in struct kvm_vcpu_events, and a SIPI is told here.
	 */
	if (!nested_on(vcpu))
		emys_vcpu_accept_events(vcpu);
	mp->mp_state = vcpu->mp_state;
	if (vcpu->lapic && vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED &&
	    test_bit(LAPIC_EV_SIPI, &vcpu->lapic->events))
		mp->mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	return 0;
}

static long vcpu_set_mp_state(struct dev_call *call)
{
	const struct kvm_mp_state *mp = call->buf;
	struct emys_vcpu *vcpu = call->vcpu;

	switch (mp->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		if (!vcpu->lapic)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	/* VMX root operation blocks INIT. */
	if (nested_init_blocked(vcpu) && (mp->mp_state == KVM_MP_STATE_INIT_RECEIVED ||
					  mp->mp_state == KVM_MP_STATE_SIPI_RECEIVED))
		return -EINVAL;
	if (mp->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		set_bit(LAPIC_EV_SIPI, &vcpu->lapic->events);
	} else {
		vcpu->mp_state = mp->mp_state;
	}
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}

static long vcpu_setup_mce(struct dev_call *call)
{
	return vmce_setup(call->vcpu, *(const u64 *)call->buf);
}

static long vcpu_set_mce(struct dev_call *call)
{
	return vmce_inject(call->vcpu, call->buf);
}

/* -- the rest ----------------------------------------------------------------------- */

static long vcpu_set_tsc_khz(struct dev_call *call)
{
	return clock_set_tsc_khz(call->vcpu, call->arg);
}

static long vcpu_get_tsc_khz(struct dev_call *call)
{
	return emys_guest_tsc_khz(call->vcpu);
}

static long vcpu_kvmclock_ctrl(struct dev_call *call)
{
	return clock_guest_stopped(call->vcpu);
}

static long vcpu_translate(struct dev_call *call)
{
	struct kvm_translation *tr = call->buf;
	u64 gpa = 0;
	u32 error;

	tr->valid = !mem_translate(call->vcpu, tr->linear_address, 0, &gpa, &error);
	tr->physical_address = tr->valid ? gpa : ~0ull;
	tr->writeable = 1;
	tr->usermode = 0;
	return 0;
}

/* What a guest's kvmclock and hypercalls may do follows from its CPUID, asked for or not. */
static long vcpu_enable_cap(struct dev_call *call)
{
	const struct kvm_enable_cap *cap = call->buf;

	return cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID ? -EINVAL : 0;
}

/* One attribute: what is added to the host's TSC. */
static long attr_tsc_offset(const struct kvm_device_attr *attr)
{
	if (attr->flags)
		return -EINVAL;
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET ? 0 : -ENXIO;
}

static long vcpu_has_attr(struct dev_call *call)
{
	return attr_tsc_offset(call->buf);
}

static long vcpu_get_attr(struct dev_call *call)
{
	const struct kvm_device_attr *attr = call->buf;
	long r = attr_tsc_offset(attr);

	if (r)
		return r;
	return put_user(call->vcpu->vmx.tsc_offset, (u64 __user *)(unsigned long)attr->addr) ?
	       -EFAULT : 0;
}

static long vcpu_set_attr(struct dev_call *call)
{
	const struct kvm_device_attr *attr = call->buf;
	long r = attr_tsc_offset(attr);
	u64 offset;

	if (r)
		return r;
	if (get_user(offset, (u64 __user *)(unsigned long)attr->addr))
		return -EFAULT;
	clock_give_offset(call->vcpu, offset);
	return 0;
}

static long vcpu_stats_fd(struct dev_call *call)
{
	return stats_vcpu_fd(call->vcpu);
}

/* -- nested VMX --------------------------------------------------------------- */

/* The second page of the state. */
static long copy_linked(struct emys_vcpu *vcpu, void __user *to)
{
	void *linked = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	long r;

	if (!linked)
		return -ENOMEM;
	nested_state_linked(vcpu, linked);
	r = copy_to_user(to, linked, PAGE_SIZE) ? -EFAULT : 0;
	kfree(linked);
	return r;
}

/* The size is the room there is, and is answered with the room that was wanted. */
static long vcpu_get_nested_state(struct dev_call *call)
{
	struct kvm_nested_state __user *user = dev_uptr(call);
	struct kvm_nested_state s;
	u32 room, size;

	if (get_user(room, &user->size))
		return -EFAULT;
	size = nested_state_get(call->vcpu, &s);
	if (size > room)
		return put_user(size, &user->size) ? -EFAULT : -E2BIG;
	if (copy_to_user(user, &s, sizeof(s)))
		return -EFAULT;
	if (size == sizeof(s))
		return 0;
	if (copy_to_user(user + 1, nested_state_vmcs12(call->vcpu), PAGE_SIZE))
		return -EFAULT;
	return size > sizeof(s) + PAGE_SIZE ?
	       copy_linked(call->vcpu, (void __user *)(user + 1) + PAGE_SIZE) : 0;
}

static long vcpu_set_nested_state(struct dev_call *call)
{
	struct kvm_nested_state __user *user = dev_uptr(call);
	struct kvm_nested_state s;
	void *vmcs12 = NULL;
	bool linked;
	long r;

	if (copy_from_user(&s, user, sizeof(s)))
		return -EFAULT;
	if (s.size < sizeof(s))
		return -EINVAL;
	linked = s.size >= sizeof(s) + 2 * PAGE_SIZE;
	if (s.size >= sizeof(s) + PAGE_SIZE && s.hdr.vmx.vmcs12_pa != ~0ull) {
		vmcs12 = memdup_user(user + 1, linked ? 2 * PAGE_SIZE : PAGE_SIZE);
		if (IS_ERR(vmcs12))
			return PTR_ERR(vmcs12);
	}
	r = nested_state_set(call->vcpu, &s, vmcs12,
			     vmcs12 && linked ? vmcs12 + PAGE_SIZE : NULL);
	kfree(vmcs12);
	return r;
}

#define DEV_IN(cmd, type, fn)		{ cmd, 0, sizeof(type), 0, fn }
#define DEV_OUT(cmd, type, fn)		{ cmd, 0, 0, sizeof(type), fn }

static const struct dev_row vcpu_rows[] = {
	{ KVM_RUN, DEV_ARG_ZERO, 0, 0, vcpu_run },
	DEV_OUT(KVM_GET_REGS, struct kvm_regs, vcpu_get_regs),
	DEV_IN(KVM_SET_REGS, struct kvm_regs, vcpu_set_regs),
	DEV_OUT(KVM_GET_SREGS, struct kvm_sregs, vcpu_get_sregs),
	DEV_IN(KVM_SET_SREGS, struct kvm_sregs, vcpu_set_sregs),
	DEV_OUT(KVM_GET_FPU, struct kvm_fpu, vcpu_get_fpu),
	DEV_IN(KVM_SET_FPU, struct kvm_fpu, vcpu_set_fpu),
	DEV_OUT(KVM_GET_XSAVE, struct kvm_xsave, vcpu_get_xsave),
	DEV_IN(KVM_SET_XSAVE, struct kvm_xsave, vcpu_set_xsave),
	DEV_OUT(KVM_GET_XCRS, struct kvm_xcrs, vcpu_get_xcrs),
	DEV_IN(KVM_SET_XCRS, struct kvm_xcrs, vcpu_set_xcrs),
	DEV_OUT(KVM_GET_DEBUGREGS, struct kvm_debugregs, vcpu_get_debugregs),
	DEV_IN(KVM_SET_DEBUGREGS, struct kvm_debugregs, vcpu_set_debugregs),
	DEV_IN(KVM_SET_GUEST_DEBUG, struct kvm_guest_debug, vcpu_set_guest_debug),
	DEV_OUT(KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events, vcpu_get_events),
	DEV_IN(KVM_SET_VCPU_EVENTS, struct kvm_vcpu_events, vcpu_set_events),
	DEV_OUT(KVM_GET_MP_STATE, struct kvm_mp_state, vcpu_get_mp_state),
	DEV_IN(KVM_SET_MP_STATE, struct kvm_mp_state, vcpu_set_mp_state),
	DEV_IN(KVM_INTERRUPT, struct kvm_interrupt, vcpu_interrupt),
	{ KVM_NMI, 0, 0, 0, vcpu_nmi },
	{ KVM_GET_LAPIC, DEV_LAPIC, 0, sizeof(struct kvm_lapic_state), vcpu_get_lapic },
	{ KVM_SET_LAPIC, DEV_LAPIC, sizeof(struct kvm_lapic_state), 0, vcpu_set_lapic },
	{ KVM_SET_VAPIC_ADDR, DEV_LAPIC, sizeof(struct kvm_vapic_addr), 0, vcpu_set_vapic_addr },
	{ KVM_GET_MSRS, DEV_RAW, 0, 0, vcpu_get_msrs },
	{ KVM_SET_MSRS, DEV_RAW, 0, 0, vcpu_set_msrs },
	{ KVM_SET_CPUID, DEV_RAW, 0, 0, vcpu_set_cpuid },
	{ KVM_SET_CPUID2, DEV_RAW, 0, 0, vcpu_set_cpuid2 },
	{ KVM_GET_CPUID2, DEV_RAW, 0, 0, vcpu_get_cpuid2 },
	{ KVM_SET_SIGNAL_MASK, DEV_RAW, 0, 0, vcpu_set_signal_mask },
	{ KVM_SET_TSC_KHZ, 0, 0, 0, vcpu_set_tsc_khz },
	{ KVM_GET_TSC_KHZ, 0, 0, 0, vcpu_get_tsc_khz },
	{ KVM_KVMCLOCK_CTRL, 0, 0, 0, vcpu_kvmclock_ctrl },
	{ KVM_TRANSLATE, 0, sizeof(struct kvm_translation), sizeof(struct kvm_translation),
	  vcpu_translate },
	DEV_IN(KVM_X86_SETUP_MCE, u64, vcpu_setup_mce),
	DEV_IN(KVM_X86_SET_MCE, struct kvm_x86_mce, vcpu_set_mce),
	DEV_IN(KVM_ENABLE_CAP, struct kvm_enable_cap, vcpu_enable_cap),
	DEV_IN(KVM_HAS_DEVICE_ATTR, struct kvm_device_attr, vcpu_has_attr),
	DEV_IN(KVM_GET_DEVICE_ATTR, struct kvm_device_attr, vcpu_get_attr),
	DEV_IN(KVM_SET_DEVICE_ATTR, struct kvm_device_attr, vcpu_set_attr),
	{ KVM_GET_STATS_FD, DEV_ASYNC, 0, 0, vcpu_stats_fd },
	{ KVM_GET_NESTED_STATE, DEV_RAW, 0, 0, vcpu_get_nested_state },
	{ KVM_SET_NESTED_STATE, DEV_RAW, 0, 0, vcpu_set_nested_state },
};

const struct dev_table dev_vcpu_table = {
	.rows = vcpu_rows,
	.nr = ARRAY_SIZE(vcpu_rows),
	.unknown = -EINVAL,
};
