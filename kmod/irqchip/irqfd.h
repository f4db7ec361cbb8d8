/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * irqfd.h - the eventfds bound to a VM; private to irqfd.c and ioeventfd.c.
 */
#ifndef _EMYS_IRQCHIP_IRQFD_H
#define _EMYS_IRQCHIP_IRQFD_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

struct emys_vm;
struct ioeventfd_table;

struct emys_irqfds {
	struct emys_vm *vm;
	struct mutex lock;		/* one KVM_IRQFD or KVM_IOEVENTFD at a time */
	spinlock_t list_lock;		/* list; taken under the wait-queue lock of an eventfd */
	struct list_head list;
	struct mutex resample_lock;	/* changes of resamplers; under lock, or the work's own */
	struct list_head resamplers;	/* RCU */
	struct ioeventfd_table __rcu *io;	/* lock to change */
};

/* The VM is going: free all of them. lock held, no vCPU can run. */
void ioeventfd_release(struct emys_irqfds *f);

#endif
