/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dev.h - the user boundary: /dev/emys, the VM and vCPU file descriptors, and
 * the one table of ioctls each of the three has.
 *
 * It is the only code that touches __user. A table row says what its ioctl
 * needs and how large its argument is; the dispatcher checks the former, copies
 * the latter in and out, and takes the locks. A handler therefore sees kernel
 * memory, read once, and the right locks held. Only ioctls whose argument has a
 * variable length get the user's pointer, and take the header of it once.
 *
 * Rules for every VM and vCPU ioctl, as in Linux Documentation/virt/kvm/api.rst:
 *  -EIO	the caller's mm is not the one that created the VM, or the VM is dead
 *  -EFAULT	the argument is not readable (or writable)
 *  -EINTR	a fatal signal while waiting for the vCPU
 *  -ENXIO	the row needs an in-kernel irqchip or PIT, and there is none
 *  -EINVAL	unknown command on /dev/emys and on a vCPU; -ENOTTY on a VM
 */
#ifndef _EMYS_DEV_H
#define _EMYS_DEV_H

#include <linux/fs.h>
#include <linux/types.h>

struct emys_vm;
struct emys_vcpu;

/* What userspace may make the kernel hold for one call. */
#define DEV_MAX_CPUID		256
#define DEV_MAX_MSRS		256
#define DEV_MAX_ROUTES		4096

/*
 * What KVM does by default and a VMM can have otherwise, KVM_CAP_DISABLE_QUIRKS2: those of which
 * emys has both. LAPIC_MMIO_HOLE it has one only, the better: an x2APIC is not in memory.
 */
#define DEV_QUIRKS	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_LAPIC_MMIO_HOLE | \
			 KVM_X86_QUIRK_OUT_7E_INC_RIP | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | \
			 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)

/* Linux 6.8 has names for it. */
#define DEV_CAP_USER_MEMORY2	231

enum dev_row_flags {
	DEV_ARG_ZERO	= 1 << 0,	/* the argument is not used and must be 0, else -EINVAL */
	DEV_LOCK_VM	= 1 << 1,	/* vm->lock is held by the handler's caller */
	DEV_NO_VCPUS	= 1 << 2,	/* -EINVAL once the VM has a vCPU; implies LOCK_VM */
	DEV_IRQCHIP	= 1 << 3,	/* -ENXIO without PIC and IO-APIC in the kernel */
	DEV_LAPIC	= 1 << 4,	/* -EINVAL without a local APIC in the kernel */
	DEV_PIT		= 1 << 5,	/* -ENXIO without a PIT in the kernel */
	DEV_ASYNC	= 1 << 6,	/* without vcpu->mutex */
	DEV_RAW		= 1 << 7,	/* variable length: the handler copies it */
};

/* One call. vm is NULL on /dev/emys, vcpu is NULL but on a vCPU. */
struct dev_call {
	struct emys_vm *vm;
	struct emys_vcpu *vcpu;
	unsigned long arg;		/* as passed: a number, or a user pointer for DEV_RAW */
	void *buf;			/* the argument, zeroed when nothing was copied in */
};

static inline void __user *dev_uptr(const struct dev_call *call)
{
	return (void __user *)call->arg;
}

struct dev_row {
	unsigned int cmd;
	u16 flags;
	u16 in, out;			/* bytes of the argument; both 0: it is a number */
	long (*fn)(struct dev_call *call);
};

struct dev_table {
	const struct dev_row *rows;
	unsigned int nr;
	int unknown;			/* errno for a command not in the table */
};

extern const struct dev_table dev_system_table, dev_vm_table, dev_vcpu_table;

/* Run one ioctl by its table. Sleeps. Value for userspace or -errno. */
long dev_dispatch(const struct dev_table *table, struct emys_vm *vm, struct emys_vcpu *vcpu,
		  unsigned int cmd, unsigned long arg);

/* A VM's descriptor; takes over the caller's reference. -EMFILE, -ENFILE, -ENOMEM. */
int dev_vm_fd(struct emys_vm *vm);
/*
 * The file of a vCPU that is about to be made: its private_data is NULL until
 * the caller sets it to the vCPU, giving one VM reference with it, and installs
 * the file. ERR_PTR(-ENFILE, -ENOMEM).
 */
struct file *dev_vcpu_file(u32 id);

/* KVM_CHECK_EXTENSION. 0 = absent. @vm NULL on /dev/emys. */
int dev_extension(struct emys_vm *vm, long cap);

/*
 * The user's struct kvm_msrs, entry by entry, until @fn fails; @back: the entries go
 * back to the user. How many @fn did, or -E2BIG too many, -EFAULT, -ENOMEM.
 */
struct kvm_msr_entry;
long dev_msrs(struct dev_call *call, int (*fn)(struct dev_call *call, struct kvm_msr_entry *e),
	      bool back);

/* The netlink family, when all that it tells of is there. -errno of genl_register_family(). */
int netlink_init(void);
void netlink_exit(void);

/* /dev/emys, last at load and first at unload. init: -errno of misc_register(). */
int dev_init(void);
void dev_exit(void);

#endif
