// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IRQFD: an eventfd drives a GSI, and another one hears of its EOI.
 *
 * An irqfd is on the list of its VM while it is wanted; whoever takes it off
 * (KVM_IRQFD with DEASSIGN, the eventfd's last close, the VM's end) queues its
 * shutdown on a workqueue, which alone frees it. Signals arrive with the
 * eventfd's wait-queue lock held and interrupts off.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/eventfd.h"
#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/irqfd.h"

struct irqfd {
	struct emys_irqfds *owner;
	struct list_head link;			/* owner->list_lock */
	struct list_head resample_link;		/* RCU; owner->resample_lock to change */
	u32 gsi;
	struct eventfd_ctx *ctx;
	struct eventfd_ctx *resample;		/* or NULL */
	poll_table pt;
	wait_queue_entry_t wait;
	struct work_struct shutdown;
};

static struct workqueue_struct *shutdown_wq;

struct emys_irqfds *irqfds_get(struct emys_vm *vm)
{
	struct emys_irqfds *f = READ_ONCE(vm->irqfds), *old;	/* whole since its cmpxchg */

	if (f)
		return f;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return NULL;
	f->vm = vm;
	mutex_init(&f->lock);
	mutex_init(&f->resample_lock);
	spin_lock_init(&f->list_lock);
	INIT_LIST_HEAD(&f->list);
	INIT_LIST_HEAD(&f->resamplers);
	old = cmpxchg(&vm->irqfds, NULL, f);
	if (old) {
		kfree(f);
		return old;
	}
	return f;
}

void irqfds_free(struct emys_vm *vm)
{
	kfree(vm->irqfds);
	vm->irqfds = NULL;
}

static void inject(struct irqfd *irqfd)
{
	struct emys_vm *vm = irqfd->owner->vm;

	if (irqfd->resample) {
		irqchip_set_irq(vm, irqfd->gsi, IRQ_SRC_RESAMPLE, 1);
	} else {
		irqchip_set_irq(vm, irqfd->gsi, IRQ_SRC_USER, 1);
		irqchip_set_irq(vm, irqfd->gsi, IRQ_SRC_USER, 0);
	}
}

/* Take it off the list, once. */
static void deactivate(struct irqfd *irqfd)
{
	lockdep_assert_held(&irqfd->owner->list_lock);
	if (list_empty(&irqfd->link))
		return;
	list_del_init(&irqfd->link);
	queue_work(shutdown_wq, &irqfd->shutdown);
}

static int wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	int ret = 0;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->ctx, &count);
		inject(irqfd);
		ret = 1;
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&irqfd->owner->list_lock, flags);
		deactivate(irqfd);
		spin_unlock_irqrestore(&irqfd->owner->list_lock, flags);
	}
	return ret;
}

static void enqueue(struct file *file, wait_queue_head_t *head, poll_table *pt)
{
	struct irqfd *irqfd = container_of(pt, struct irqfd, pt);

	add_wait_queue_priority(head, &irqfd->wait);
}

static void resample_add(struct irqfd *irqfd)
{
	struct emys_irqfds *f = irqfd->owner;

	mutex_lock(&f->resample_lock);
	list_add_rcu(&irqfd->resample_link, &f->resamplers);
	set_bit(irqfd->gsi, f->vm->irqchip->resampled);
	mutex_unlock(&f->resample_lock);
	ioapic_update_map(f->vm);
}

static void resample_del(struct irqfd *irqfd)
{
	struct emys_irqfds *f = irqfd->owner;
	struct irqfd *other;
	bool last = true;

	mutex_lock(&f->resample_lock);
	list_del_rcu(&irqfd->resample_link);
	list_for_each_entry(other, &f->resamplers, resample_link)
		if (other->gsi == irqfd->gsi)
			last = false;
	if (last) {
		clear_bit(irqfd->gsi, f->vm->irqchip->resampled);
		irqchip_set_irq(f->vm, irqfd->gsi, IRQ_SRC_RESAMPLE, 0);
	}
	mutex_unlock(&f->resample_lock);
	ioapic_update_map(f->vm);
	synchronize_rcu_expedited();
}

void resample_acked(struct emys_vm *vm, u32 gsi)
{
	struct emys_irqfds *f = READ_ONCE(vm->irqfds);	/* whole since its cmpxchg */
	struct irqfd *irqfd;
	bool first = true;

	if (!f)
		return;
	rcu_read_lock();
	list_for_each_entry_rcu(irqfd, &f->resamplers, resample_link) {
		if (irqfd->gsi != gsi)
			continue;
		if (first)
			irqchip_set_irq(vm, gsi, IRQ_SRC_RESAMPLE, 0);
		first = false;
		compat_eventfd_signal(irqfd->resample);
	}
	rcu_read_unlock();
}

static void shutdown(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, shutdown);
	u64 count;

	/* after this no signal comes */
	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	if (irqfd->resample) {
		resample_del(irqfd);
		eventfd_ctx_put(irqfd->resample);
	}
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

static int assign(struct emys_irqfds *f, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd, *other;
	struct file *file;
	int err = 0;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->owner = f;
	irqfd->gsi = args->gsi;
	INIT_LIST_HEAD(&irqfd->link);
	INIT_WORK(&irqfd->shutdown, shutdown);
	init_waitqueue_func_entry(&irqfd->wait, wakeup);
	init_poll_funcptr(&irqfd->pt, enqueue);

	file = eventfd_fget(args->fd);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_free;
	}
	irqfd->ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->ctx)) {
		err = PTR_ERR(irqfd->ctx);
		goto err_file;
	}
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resample = eventfd_ctx_fdget(args->resamplefd);
		if (IS_ERR(irqfd->resample)) {
			err = PTR_ERR(irqfd->resample);
			goto err_ctx;
		}
	}

	spin_lock_irq(&f->list_lock);
	list_for_each_entry(other, &f->list, link)
		if (other->ctx == irqfd->ctx)
			err = -EBUSY;
	if (!err)
		list_add_tail(&irqfd->link, &f->list);
	spin_unlock_irq(&f->list_lock);
	if (err)
		goto err_resample;

	if (irqfd->resample)
		resample_add(irqfd);
	/* what was signalled before anybody listened counts */
	if (vfs_poll(file, &irqfd->pt) & EPOLLIN)
		inject(irqfd);
	/* the last close may free @irqfd from here on */
	fput(file);
	return 0;

err_resample:
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
err_ctx:
	eventfd_ctx_put(irqfd->ctx);
err_file:
	fput(file);
err_free:
	kfree(irqfd);
	return err;
}

static int deassign(struct emys_irqfds *f, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd, *next;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	spin_lock_irq(&f->list_lock);
	list_for_each_entry_safe(irqfd, next, &f->list, link)
		if (irqfd->ctx == ctx && irqfd->gsi == args->gsi)
			deactivate(irqfd);
	spin_unlock_irq(&f->list_lock);
	eventfd_ctx_put(ctx);
	/* no interrupt comes from it once the ioctl has returned */
	flush_workqueue(shutdown_wq);
	return 0;
}

int irqfd_ioctl(struct emys_vm *vm, const struct kvm_irqfd *args)
{
	struct emys_irqfds *f;
	int err;

	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (!vm->irqchip || args->gsi >= IRQ_MAX_GSI)
		return -EINVAL;
	f = irqfds_get(vm);
	if (!f)
		return -ENOMEM;
	mutex_lock(&f->lock);
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		err = deassign(f, args);
	else
		err = assign(f, args);
	mutex_unlock(&f->lock);
	return err;
}

void irqfd_release(struct emys_vm *vm)
{
	struct emys_irqfds *f = vm->irqfds;
	struct irqfd *irqfd, *next;

	if (!f)
		return;
	mutex_lock(&f->lock);
	spin_lock_irq(&f->list_lock);
	list_for_each_entry_safe(irqfd, next, &f->list, link)
		deactivate(irqfd);
	spin_unlock_irq(&f->list_lock);
	ioeventfd_release(f);
	mutex_unlock(&f->lock);
	flush_workqueue(shutdown_wq);
}

int irqfd_module_init(void)
{
	shutdown_wq = alloc_workqueue("emys-irqfd", WQ_UNBOUND, 0);
	return shutdown_wq ? 0 : -ENOMEM;
}

void irqfd_module_exit(void)
{
	destroy_workqueue(shutdown_wq);
}
