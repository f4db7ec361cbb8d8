// SPDX-License-Identifier: GPL-2.0-only
/*
 * system.c - ioctls of /dev/emys itself, and what KVM_CHECK_EXTENSION says.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../../include/uapi/linux/emys.h"
#include "dev.h"
#include "emys.h"
#include "vmx/mce.h"

/*
 * What is there, with KVM's values. A capability that is not in this list is
 * absent, and so are the ioctls and fields that belong to it.
 */
static const struct dev_cap {
	u32 cap;
	int val;
} dev_caps[] = {
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_HLT, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_EXT_EMUL_CPUID, 1 },
	{ KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_MAX_VCPUS, EMYS_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID, EMYS_MAX_VCPU_ID },
	{ KVM_CAP_NR_MEMSLOTS, EMYS_MEM_SLOTS },
	{ KVM_CAP_PIT, 1 },
	{ KVM_CAP_PIT2, 1 },
	{ KVM_CAP_PIT_STATE2, 1 },
	{ KVM_CAP_REINJECT_CONTROL, 1 },
	{ KVM_CAP_NOP_IO_DELAY, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_IRQ_ROUTING, DEV_MAX_ROUTES },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_MCE, 32 },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_IRQFD_RESAMPLE, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_INTR_SHADOW, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	/* RFLAGS.TF is the guest's own: nothing here ever borrows it. */
	{ KVM_CAP_X86_ROBUST_SINGLESTEP, 1 },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS |
			      KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
	{ DEV_CAP_USER_MEMORY2, 1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
	{ KVM_CAP_DISABLE_QUIRKS, 1 },
	{ KVM_CAP_DISABLE_QUIRKS2, DEV_QUIRKS },
	{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
	/* The CPUID decides in any case. */
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1 },
	{ KVM_CAP_VCPU_ATTRIBUTES, 1 },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_X86_MSR_FILTER, 1 },
};

int dev_extension(struct emys_vm *vm, long cap)
{
	bool nested = vm ? nested_allowed(vm) : nested_offered();
	unsigned int i;

	switch (cap) {
	case KVM_CAP_NR_VCPUS:
		return min_t(unsigned int, num_online_cpus(), EMYS_MAX_VCPUS);
	case KVM_CAP_SET_GUEST_DEBUG:
		return vmx_caps.mtf;
	case KVM_CAP_SET_GUEST_DEBUG2:
		return vmx_caps.mtf ? EMYS_GUESTDBG : 0;
	case KVM_CAP_NESTED_STATE:
		return nested ? NESTED_STATE_MAX : 0;
	case EMYS_CAP_NESTED:
		return nested;
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return vmx_caps.tsc_scaling;
	case KVM_CAP_XCRS:
		return boot_cpu_has(X86_FEATURE_XSAVE);
	default:
		break;
	}
	for (i = 0; i < ARRAY_SIZE(dev_caps); i++)
		if (dev_caps[i].cap == cap)
			return dev_caps[i].val;
	return 0;
}

static long system_api_version(struct dev_call *call)
{
	return KVM_API_VERSION;
}

static long system_create_vm(struct dev_call *call)
{
	struct emys_vm *vm;
	int fd;

	if (call->arg)
		return -EINVAL;
	vm = emys_vm_create();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = dev_vm_fd(vm);
	if (fd < 0)
		emys_vm_put(vm);
	return fd;
}

static long system_check_extension(struct dev_call *call)
{
	return dev_extension(NULL, call->arg);
}

static long system_vcpu_mmap_size(struct dev_call *call)
{
	return (KVM_PIO_PAGE_OFFSET + 1) * PAGE_SIZE;
}

/* Fill in a struct kvm_cpuid2 of the user's with what @fill has. */
static long system_cpuid(struct dev_call *call, int (*fill)(struct kvm_cpuid_entry2 *e, u32 max))
{
	struct kvm_cpuid2 __user *user = dev_uptr(call);
	struct kvm_cpuid_entry2 *e;
	u32 max;
	long ret;

	if (get_user(max, &user->nent))
		return -EFAULT;
	max = min_t(u32, max, DEV_MAX_CPUID);
	/* One more than asked for, so that 0 entries is no special case. */
	e = kvcalloc(max + 1, sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	ret = fill(e, max);
	if (ret < 0)
		goto out;
	max = ret;
	ret = 0;
	if (copy_to_user(user->entries, e, max * sizeof(*e)) || put_user(max, &user->nent))
		ret = -EFAULT;
out:
	kvfree(e);
	return ret;
}

static long system_supported_cpuid(struct dev_call *call)
{
	return system_cpuid(call, cpuid_supported);
}

/* No instruction is emulated that the CPU does not have. */
static int system_no_cpuid(struct kvm_cpuid_entry2 *e, u32 max)
{
	return max ? 0 : -E2BIG;
}

static long system_emulated_cpuid(struct dev_call *call)
{
	return system_cpuid(call, system_no_cpuid);
}

static long system_index_list(struct dev_call *call, const u32 *list, u32 nr)
{
	struct kvm_msr_list __user *user = dev_uptr(call);
	u32 room;

	/* nmsrs is the true number in any case, so that the next try fits. */
	if (get_user(room, &user->nmsrs) || put_user(nr, &user->nmsrs))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	return copy_to_user(user->indices, list, nr * sizeof(*list)) ? -EFAULT : 0;
}

static long system_msr_list(struct dev_call *call)
{
	return system_index_list(call, msr_list, msr_list_nr());
}

static long system_msr_feature_list(struct dev_call *call)
{
	return system_index_list(call, msr_feature_list, msr_feature_list_nr());
}

long dev_msrs(struct dev_call *call, int (*fn)(struct dev_call *call, struct kvm_msr_entry *e),
	      bool back)
{
	struct kvm_msrs __user *user = dev_uptr(call);
	struct kvm_msr_entry *e;
	u32 nr, i;
	long ret;

	if (get_user(nr, &user->nmsrs))
		return -EFAULT;
	if (nr >= DEV_MAX_MSRS)
		return -E2BIG;
	if (!nr)
		return 0;
	e = memdup_user(user->entries, nr * sizeof(*e));
	if (IS_ERR(e))
		return PTR_ERR(e);
	for (i = 0; i < nr; i++)
		if (fn(call, &e[i]))
			break;
	ret = i;
	if (back && copy_to_user(user->entries, e, nr * sizeof(*e)))
		ret = -EFAULT;
	kfree(e);
	return ret;
}

/* Feature MSRs: what a new vCPU would have. */
static int system_get_msr(struct dev_call *call, struct kvm_msr_entry *e)
{
	u64 val;

	if (msr_feature_read(e->index, &val))
		return -EINVAL;
	e->data = val;
	return 0;
}

static long system_get_msrs(struct dev_call *call)
{
	return dev_msrs(call, system_get_msr, true);
}

static long system_mce_cap(struct dev_call *call)
{
	*(u64 *)call->buf = MCE_CAP_SUPPORTED;
	return 0;
}

static const struct dev_row system_rows[] = {
	{ KVM_GET_API_VERSION, DEV_ARG_ZERO, 0, 0, system_api_version },
	{ KVM_CREATE_VM, 0, 0, 0, system_create_vm },
	{ KVM_CHECK_EXTENSION, 0, 0, 0, system_check_extension },
	{ KVM_GET_VCPU_MMAP_SIZE, DEV_ARG_ZERO, 0, 0, system_vcpu_mmap_size },
	{ KVM_GET_SUPPORTED_CPUID, DEV_RAW, 0, 0, system_supported_cpuid },
	{ KVM_GET_EMULATED_CPUID, DEV_RAW, 0, 0, system_emulated_cpuid },
	{ KVM_GET_MSR_INDEX_LIST, DEV_RAW, 0, 0, system_msr_list },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST, DEV_RAW, 0, 0, system_msr_feature_list },
	{ KVM_GET_MSRS, DEV_RAW, 0, 0, system_get_msrs },
	{ KVM_X86_GET_MCE_CAP_SUPPORTED, 0, 0, sizeof(u64), system_mce_cap },
};

const struct dev_table dev_system_table = {
	.rows = system_rows,
	.nr = ARRAY_SIZE(system_rows),
	.unknown = -EINVAL,
};
