// SPDX-License-Identifier: GPL-2.0-only
/*
 * vm_ioctl.c - ioctls of a VM's file descriptor.
 */
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "../../include/uapi/linux/emys.h"
#include "dev.h"
#include "emys.h"
#include "vmx/msr_filter.h"

static long vm_check_extension(struct dev_call *call)
{
	return dev_extension(call->vm, call->arg);
}

static long vm_set_region(struct dev_call *call)
{
	return mem_set_region(call->vm, call->buf);
}

/*
 * The wider form of Linux 6.8, with a file for memory that is the guest's alone: there is none, and
 * its flag is not known.
 */
struct region2 {
	struct kvm_userspace_memory_region region;
	__u64 file_offset;
	__u32 file, pad1;
	__u64 pad2[14];
};

#define KVM_SET_REGION2	_IOW(KVMIO, 0x49, struct region2)

static long vm_set_region2(struct dev_call *call)
{
	const struct region2 *wide = call->buf;

	return mem_set_region(call->vm, &wide->region);
}

static long vm_get_dirty_log(struct dev_call *call)
{
	struct kvm_dirty_log *log = call->buf;

	/* A 32-bit caller writes half of the union that holds the pointer. */
	if (in_compat_syscall())
		log->dirty_bitmap = compat_ptr((u32)log->padding2);
	return mem_get_dirty_log(call->vm, log);
}

/*
 * Real mode runs natively in an unrestricted guest: neither the TSS nor the
 * identity map is needed, and the addresses are only checked.
 */
static long vm_set_tss_addr(struct dev_call *call)
{
	return call->arg > (unsigned int)(-3 * PAGE_SIZE) ? -EINVAL : 0;
}

static long vm_set_identity_map_addr(struct dev_call *call)
{
	return 0;
}

/*
 * A limit on shadow pages. There are none, and the EPT has no more tables than what is mapped
 * needs: as for KVM with an EPT, only a limit below KVM's smallest is an error.
 */
static long vm_set_nr_mmu_pages(struct dev_call *call)
{
	if (call->arg < 64)
		return -EINVAL;
	call->vm->nr_mmu_pages = call->arg;
	return 0;
}

static long vm_get_nr_mmu_pages(struct dev_call *call)
{
	return call->vm->nr_mmu_pages;
}

static long vm_set_boot_cpu_id(struct dev_call *call)
{
	if (call->vm->nr_vcpus)
		return -EBUSY;
	if (call->arg > (call->vm->max_vcpu_id ?: EMYS_MAX_VCPU_ID))
		return -EINVAL;
	call->vm->bsp_id = call->arg;
	return 0;
}

static long vm_create_vcpu(struct dev_call *call)
{
	struct emys_vm *vm = call->vm;
	struct emys_vcpu *vcpu;
	struct file *file;
	int fd;

	if (call->arg >= EMYS_MAX_VCPU_ID)
		return -EINVAL;
	/* Descriptor and file first: a vCPU, once in the VM, stays until the VM ends. */
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = dev_vcpu_file(call->arg);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	mutex_lock(&vm->lock);
	vcpu = emys_vcpu_create(vm, call->arg);
	mutex_unlock(&vm->lock);
	if (IS_ERR(vcpu)) {
		fput(file);
		put_unused_fd(fd);
		return PTR_ERR(vcpu);
	}
	emys_vm_get(vm);
	file->private_data = vcpu;
	fd_install(fd, file);
	return fd;
}

/* -- interrupt controllers ---------------------------------------------------- */

static long vm_create_irqchip(struct dev_call *call)
{
	if (call->vm->irqchip)
		return -EEXIST;
	if (call->vm->nr_vcpus)
		return -EINVAL;
	return irqchip_create(call->vm);
}

static long vm_get_irqchip(struct dev_call *call)
{
	return irqchip_get(call->vm, call->buf);
}

static long vm_set_irqchip(struct dev_call *call)
{
	return irqchip_set(call->vm, call->buf);
}

static long vm_irq_line(struct dev_call *call)
{
	struct kvm_irq_level *line = call->buf;

	line->status = irqchip_set_irq(call->vm, line->irq, 0, line->level);
	return 0;
}

static long vm_signal_msi(struct dev_call *call)
{
	struct kvm_msi *msi = call->buf;

	if (!READ_ONCE(call->vm->irqchip) || msi->flags)
		return -EINVAL;
	return irqchip_send_msi(call->vm, msi);
}

static long vm_set_gsi_routing(struct dev_call *call)
{
	struct kvm_irq_routing __user *user = dev_uptr(call);
	struct kvm_irq_routing_entry *e = NULL;
	struct kvm_irq_routing head;
	long ret;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (!READ_ONCE(call->vm->irqchip))
		return -EINVAL;
	if (head.nr > DEV_MAX_ROUTES || head.flags)
		return -EINVAL;
	if (head.nr) {
		e = vmemdup_user(user->entries, array_size(head.nr, sizeof(*e)));
		if (IS_ERR(e))
			return PTR_ERR(e);
	}
	ret = irqchip_set_routing(call->vm, e, head.nr);
	kvfree(e);
	return ret;
}

static long vm_irqfd(struct dev_call *call)
{
	return irqfd_ioctl(call->vm, call->buf);
}

static long vm_ioeventfd(struct dev_call *call)
{
	return ioeventfd_ioctl(call->vm, call->buf);
}

static long vm_create_pit(struct dev_call *call)
{
	static const struct kvm_pit_config plain;

	return pit_create(call->vm, &plain);
}

static long vm_create_pit2(struct dev_call *call)
{
	return pit_create(call->vm, call->buf);
}

static long vm_get_pit2(struct dev_call *call)
{
	return pit_get(call->vm, call->buf);
}

static long vm_set_pit2(struct dev_call *call)
{
	return pit_set(call->vm, call->buf);
}

/* The older form has the channels alone. */
static long vm_get_pit(struct dev_call *call)
{
	struct kvm_pit_state *ps = call->buf;
	struct kvm_pit_state2 ps2;
	long ret;

	memset(&ps2, 0, sizeof(ps2));
	ret = pit_get(call->vm, &ps2);
	if (!ret)
		memcpy(ps->channels, ps2.channels, sizeof(ps->channels));
	return ret;
}

static long vm_set_pit(struct dev_call *call)
{
	const struct kvm_pit_state *ps = call->buf;
	struct kvm_pit_state2 ps2;
	long ret;

	memset(&ps2, 0, sizeof(ps2));
	ret = pit_get(call->vm, &ps2);
	if (ret)
		return ret;
	memcpy(ps2.channels, ps->channels, sizeof(ps->channels));
	return pit_set(call->vm, &ps2);
}

static long vm_reinject(struct dev_call *call)
{
	const struct kvm_reinject_control *rc = call->buf;

	return pit_reinject(call->vm, rc->pit_reinject);
}

/* -- clock ---------------------------------------------------------------------- */

static long vm_get_clock(struct dev_call *call)
{
	return clock_get(call->vm, call->buf);
}

static long vm_set_clock(struct dev_call *call)
{
	return clock_set(call->vm, call->buf);
}

/* What a new vCPU has. */
static long vm_get_tsc_khz(struct dev_call *call)
{
	return READ_ONCE(call->vm->clock.tsc_khz);
}

static long vm_set_tsc_khz(struct dev_call *call)
{
	return clock_vm_set_tsc_khz(call->vm, call->arg);
}

/* -- capabilities to switch on ---------------------------------------------------- */

#define DEV_MSR_EXITS	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
			 KVM_MSR_EXIT_REASON_FILTER)

static long vm_enable_nested(struct emys_vm *vm, const __u64 *args)
{
	if (args[0] > 1 || args[1] || args[2] || args[3])
		return -EINVAL;
	if (vm->nr_vcpus)
		return -EBUSY;
	if (args[0] && !nested_offered())
		return -EOPNOTSUPP;
	WRITE_ONCE(vm->nested_refused, !args[0]);
	return 0;
}

static long vm_enable_cap(struct dev_call *call)
{
	const u64 x2apic = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	const struct kvm_enable_cap *cap = call->buf;
	struct emys_vm *vm = call->vm;

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_X2APIC_API:
		if (cap->args[0] & ~x2apic)
			return -EINVAL;
		/* The broadcast quirk is never there: disabling it changes nothing. */
		if (cap->args[0] & KVM_X2APIC_API_USE_32BIT_IDS)
			vm->x2apic_api = true;
		return 0;
	case KVM_CAP_MAX_VCPU_ID:
		/* Once, and before there is a vCPU, or one is named, that could be above it */
		if (!cap->args[0] || cap->args[0] > EMYS_MAX_VCPU_ID ||
		    cap->args[0] < vm->bsp_id || vm->nr_vcpus ||
		    (vm->max_vcpu_id && vm->max_vcpu_id != cap->args[0]))
			return -EINVAL;
		vm->max_vcpu_id = cap->args[0];
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		WRITE_ONCE(vm->exception_payload, !!cap->args[0]);
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		WRITE_ONCE(vm->triple_fault_event, !!cap->args[0]);
		return 0;
	case KVM_CAP_MSR_PLATFORM_INFO:
		WRITE_ONCE(vm->platform_info_hidden, !cap->args[0]);
		return 0;
	case KVM_CAP_DISABLE_QUIRKS2:
		if (cap->args[0] & ~(u64)DEV_QUIRKS)
			return -EINVAL;
		fallthrough;
	case KVM_CAP_DISABLE_QUIRKS:
		/* The older one asks for whatever of it there is. */
		WRITE_ONCE(vm->quirks_off, cap->args[0] & DEV_QUIRKS);
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		if (cap->args[0] & ~(u64)DEV_MSR_EXITS)
			return -EINVAL;
		WRITE_ONCE(vm->user_msrs, cap->args[0]);
		return 0;
	case EMYS_CAP_NESTED:
		return vm_enable_nested(vm, cap->args);
	default:
		return -EINVAL;
	}
}

/* -- MSRs of the VMM's ------------------------------------------------------------- */

static size_t range_longs(const struct kvm_msr_filter_range *r)
{
	return BITS_TO_LONGS((size_t)r->nmsrs);
}

static bool range_ok(const struct kvm_msr_filter_range *r)
{
	if (!r->nmsrs)
		return true;
	return r->flags && !(r->flags & ~(u32)(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)) &&
	       range_longs(r) * sizeof(long) <= KVM_MSR_FILTER_MAX_BITMAP_SIZE;
}

/* Ranges without an MSR are none. */
static long vm_set_msr_filter(struct dev_call *call)
{
	const struct kvm_msr_filter *user = call->buf;
	struct msr_filter *f;
	size_t longs = 0;
	unsigned int i;

	if (user->flags & ~(u32)KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		if (!range_ok(&user->ranges[i]))
			return -EINVAL;
		longs += range_longs(&user->ranges[i]);
	}
	/* What denies all is a mistake; what denies nothing is none. */
	if (!longs) {
		if (user->flags & KVM_MSR_FILTER_DEFAULT_DENY)
			return -EINVAL;
		msr_filter_set(call->vm, NULL);
		return 0;
	}
	f = kzalloc(struct_size(f, bits, longs), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->deny = user->flags & KVM_MSR_FILTER_DEFAULT_DENY;
	longs = 0;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		const struct kvm_msr_filter_range *r = &user->ranges[i];
		unsigned long *bits = &f->bits[longs];

		if (!r->nmsrs)
			continue;
		if (copy_from_user(bits, (void __user *)r->bitmap,
				   range_longs(r) * sizeof(long))) {
			kfree(f);
			return -EFAULT;
		}
		longs += range_longs(r);
		f->ranges[f->nr++] = (struct msr_range){
			.flags = r->flags, .base = r->base, .nmsrs = r->nmsrs, .bitmap = bits,
		};
	}
	msr_filter_set(call->vm, f);
	return 0;
}

/* As a 32-bit VMM has it: its pointers are smaller. */
struct msr_filter32 {
	__u32 flags;
	struct {
		__u32 flags, nmsrs, base, bitmap;
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
};

#define KVM_X86_SET_MSR_FILTER32	_IOW(KVMIO, 0xc6, struct msr_filter32)

static long vm_set_msr_filter32(struct dev_call *call)
{
	const struct msr_filter32 *user = call->buf;
	struct dev_call wide = *call;
	struct kvm_msr_filter *f;
	unsigned int i;
	long r;

	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->flags = user->flags;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		f->ranges[i].flags = user->ranges[i].flags;
		f->ranges[i].nmsrs = user->ranges[i].nmsrs;
		f->ranges[i].base = user->ranges[i].base;
		f->ranges[i].bitmap = (__force __u8 *)compat_ptr(user->ranges[i].bitmap);
	}
	wide.buf = f;
	r = vm_set_msr_filter(&wide);
	kfree(f);
	return r;
}

static long vm_stats_fd(struct dev_call *call)
{
	return stats_vm_fd(call->vm);
}

static const struct dev_row vm_rows[] = {
	{ KVM_IRQ_LINE_STATUS, DEV_IRQCHIP, sizeof(struct kvm_irq_level),
	  sizeof(struct kvm_irq_level), vm_irq_line },
	{ KVM_IRQ_LINE, DEV_IRQCHIP, sizeof(struct kvm_irq_level), 0, vm_irq_line },
	{ KVM_SIGNAL_MSI, 0, sizeof(struct kvm_msi), 0, vm_signal_msi },
	{ KVM_CHECK_EXTENSION, 0, 0, 0, vm_check_extension },
	{ KVM_SET_USER_MEMORY_REGION, 0, sizeof(struct kvm_userspace_memory_region), 0,
	  vm_set_region },
	{ KVM_SET_REGION2, 0, sizeof(struct region2), 0, vm_set_region2 },
	{ KVM_GET_DIRTY_LOG, 0, sizeof(struct kvm_dirty_log), 0, vm_get_dirty_log },
	{ KVM_SET_NR_MMU_PAGES, DEV_LOCK_VM, 0, 0, vm_set_nr_mmu_pages },
	{ KVM_GET_NR_MMU_PAGES, DEV_LOCK_VM, 0, 0, vm_get_nr_mmu_pages },
	{ KVM_SET_TSS_ADDR, 0, 0, 0, vm_set_tss_addr },
	{ KVM_SET_IDENTITY_MAP_ADDR, DEV_NO_VCPUS, sizeof(u64), 0, vm_set_identity_map_addr },
	{ KVM_SET_BOOT_CPU_ID, DEV_LOCK_VM, 0, 0, vm_set_boot_cpu_id },
	{ KVM_CREATE_VCPU, 0, 0, 0, vm_create_vcpu },
	{ KVM_CREATE_IRQCHIP, DEV_LOCK_VM, 0, 0, vm_create_irqchip },
	{ KVM_GET_IRQCHIP, DEV_IRQCHIP, sizeof(struct kvm_irqchip), sizeof(struct kvm_irqchip),
	  vm_get_irqchip },
	{ KVM_SET_IRQCHIP, DEV_IRQCHIP, sizeof(struct kvm_irqchip), 0, vm_set_irqchip },
	{ KVM_SET_GSI_ROUTING, DEV_RAW, 0, 0, vm_set_gsi_routing },
	{ KVM_IRQFD, 0, sizeof(struct kvm_irqfd), 0, vm_irqfd },
	{ KVM_IOEVENTFD, 0, sizeof(struct kvm_ioeventfd), 0, vm_ioeventfd },
	{ KVM_CREATE_PIT, DEV_LOCK_VM, 0, 0, vm_create_pit },
	{ KVM_CREATE_PIT2, DEV_LOCK_VM, sizeof(struct kvm_pit_config), 0, vm_create_pit2 },
	{ KVM_GET_PIT, DEV_PIT, sizeof(struct kvm_pit_state), sizeof(struct kvm_pit_state),
	  vm_get_pit },
	{ KVM_SET_PIT, DEV_PIT | DEV_LOCK_VM, sizeof(struct kvm_pit_state), 0, vm_set_pit },
	{ KVM_GET_PIT2, DEV_PIT, 0, sizeof(struct kvm_pit_state2), vm_get_pit2 },
	{ KVM_SET_PIT2, DEV_PIT | DEV_LOCK_VM, sizeof(struct kvm_pit_state2), 0, vm_set_pit2 },
	{ KVM_REINJECT_CONTROL, DEV_PIT, sizeof(struct kvm_reinject_control), 0, vm_reinject },
	{ KVM_GET_CLOCK, 0, 0, sizeof(struct kvm_clock_data), vm_get_clock },
	{ KVM_SET_CLOCK, 0, sizeof(struct kvm_clock_data), 0, vm_set_clock },
	{ KVM_GET_TSC_KHZ, 0, 0, 0, vm_get_tsc_khz },
	{ KVM_SET_TSC_KHZ, 0, 0, 0, vm_set_tsc_khz },
	{ KVM_ENABLE_CAP, DEV_LOCK_VM, sizeof(struct kvm_enable_cap), 0, vm_enable_cap },
	{ KVM_X86_SET_MSR_FILTER, DEV_LOCK_VM, sizeof(struct kvm_msr_filter), 0,
	  vm_set_msr_filter },
	{ KVM_X86_SET_MSR_FILTER32, DEV_LOCK_VM, sizeof(struct msr_filter32), 0,
	  vm_set_msr_filter32 },
	{ KVM_GET_STATS_FD, 0, 0, 0, vm_stats_fd },
};

const struct dev_table dev_vm_table = {
	.rows = vm_rows,
	.nr = ARRAY_SIZE(vm_rows),
	.unknown = -ENOTTY,
};
