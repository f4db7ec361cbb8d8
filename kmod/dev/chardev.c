// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev.c - /dev/emys, the files of VMs and vCPUs, and the ioctl dispatcher.
 */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dev.h"
#include "emys.h"

/* Arguments up to this size live on the stack. */
#define DEV_STACK_ARG	512

static const struct dev_row *dev_find(const struct dev_table *table, unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < table->nr; i++)
		if (table->rows[i].cmd == cmd)
			return &table->rows[i];
	return NULL;
}

/* What the row asks of the VM. vm->lock is held when the row says so. */
static int dev_preconditions(const struct dev_row *row, struct emys_vm *vm)
{
	if ((row->flags & DEV_NO_VCPUS) && vm->nr_vcpus)
		return -EINVAL;
	if ((row->flags & DEV_IRQCHIP) && !READ_ONCE(vm->irqchip))
		return -ENXIO;
	if ((row->flags & DEV_PIT) && !READ_ONCE(vm->pit))
		return -ENXIO;
	return 0;
}

static long dev_call_locked(const struct dev_row *row, struct dev_call *call)
{
	bool lock = row->flags & (DEV_LOCK_VM | DEV_NO_VCPUS);
	struct emys_vm *vm = call->vm;
	struct emys_vcpu *vcpu = call->vcpu;
	bool own = vcpu && !(row->flags & DEV_ASYNC);
	long ret;

	if (own && mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (lock)
		mutex_lock(&vm->lock);
	ret = vm ? dev_preconditions(row, vm) : 0;
	if (!ret && (row->flags & DEV_LAPIC) && !vcpu->lapic)
		ret = -EINVAL;
	if (!ret)
		ret = row->fn(call);
	if (lock)
		mutex_unlock(&vm->lock);
	if (own)
		mutex_unlock(&vcpu->mutex);
	return ret;
}

/*
 * A call with an argument to copy. Apart from dev_dispatch(), because kernels
 * that clear every stack variable would clear this buffer for KVM_RUN as well.
 */
static noinline long dev_call_copy(const struct dev_row *row, struct dev_call *call)
{
	size_t size = max(row->in, row->out);
	u64 small[DEV_STACK_ARG / sizeof(u64)];
	long ret;

	if (size > sizeof(small)) {
		call->buf = kzalloc(size, GFP_KERNEL_ACCOUNT);
		if (!call->buf)
			return -ENOMEM;
	} else {
		memset(small, 0, size);
		call->buf = small;
	}
	ret = -EFAULT;
	if (row->in && copy_from_user(call->buf, dev_uptr(call), row->in))
		goto out;
	ret = dev_call_locked(row, call);
	if (ret >= 0 && row->out && copy_to_user(dev_uptr(call), call->buf, row->out))
		ret = -EFAULT;
out:
	if (size > sizeof(small))
		kfree(call->buf);
	return ret;
}

long dev_dispatch(const struct dev_table *table, struct emys_vm *vm, struct emys_vcpu *vcpu,
		  unsigned int cmd, unsigned long arg)
{
	struct dev_call call = { .vm = vm, .vcpu = vcpu, .arg = arg };
	const struct dev_row *row;

	if (vm && (vm->mm != current->mm || READ_ONCE(vm->dead)))
		return -EIO;
	row = dev_find(table, cmd);
	if (!row)
		return table->unknown;
	if ((row->flags & DEV_ARG_ZERO) && arg)
		return -EINVAL;
	if (!row->in && !row->out)
		return dev_call_locked(row, &call);
	return dev_call_copy(row, &call);
}

/* -- /dev/emys ------------------------------------------------------------- */

static long dev_system_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dev_dispatch(&dev_system_table, NULL, NULL, cmd, arg);
}

static const struct file_operations dev_system_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_system_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice dev_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "emys",
	.mode = 0660,
	.fops = &dev_system_fops,
};

int dev_init(void)
{
	return misc_register(&dev_misc);
}

void dev_exit(void)
{
	misc_deregister(&dev_misc);
}

/* -- VM --------------------------------------------------------------------- */

static long dev_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dev_dispatch(&dev_vm_table, file->private_data, NULL, cmd, arg);
}

static int dev_vm_release(struct inode *inode, struct file *file)
{
	struct emys_vm *vm = file->private_data;

	irqfd_release(vm);
	emys_vm_put(vm);
	return 0;
}

static const struct file_operations dev_vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = dev_vm_release,
	.llseek = noop_llseek,
};

int dev_vm_fd(struct emys_vm *vm)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile("kvm-vm", &dev_vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

/* -- vCPU --------------------------------------------------------------------- */

static long dev_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct emys_vcpu *vcpu = file->private_data;

	return dev_dispatch(&dev_vcpu_table, vcpu->vm, vcpu, cmd, arg);
}

static vm_fault_t dev_vcpu_fault(struct vm_fault *vmf)
{
	struct emys_vcpu *vcpu = vmf->vma->vm_file->private_data;
	void *addr;

	switch (vmf->pgoff) {
	case 0:
		addr = vcpu->run;
		break;
	case KVM_PIO_PAGE_OFFSET:
		addr = vcpu->pio_data;
		break;
	default:
		return VM_FAULT_SIGBUS;
	}
	vmf->page = virt_to_page(addr);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct dev_vcpu_vm_ops = {
	.fault = dev_vcpu_fault,
};

static int dev_vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &dev_vcpu_vm_ops;
	return 0;
}

static int dev_vcpu_release(struct inode *inode, struct file *file)
{
	struct emys_vcpu *vcpu = file->private_data;

	if (vcpu)	/* else its creation failed */
		emys_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations dev_vcpu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = dev_vcpu_mmap,
	.release = dev_vcpu_release,
	.llseek = noop_llseek,
};

struct file *dev_vcpu_file(u32 id)
{
	char name[24];

	snprintf(name, sizeof(name), "kvm-vcpu:%u", id);
	return anon_inode_getfile(name, &dev_vcpu_fops, NULL, O_RDWR);
}
