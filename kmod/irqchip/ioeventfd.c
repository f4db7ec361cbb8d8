// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IOEVENTFD: a guest's write to a port or address signals an eventfd.
 *
 * The table is sorted by space and address and replaced as a whole, so that
 * the run section can look into it under RCU.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat/eventfd.h"
#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/irqfd.h"

#define MAX_IOEVENTFDS	1000

struct ioeventfd {
	bool pio;
	bool match;			/* only writes of @data */
	u32 len;			/* 0 any */
	u64 addr;
	u64 data;
	struct eventfd_ctx *ctx;
};

struct ioeventfd_table {
	u32 nr;
	struct ioeventfd entry[];
};

static bool below(const struct ioeventfd *e, bool pio, u64 addr)
{
	return e->pio != pio ? e->pio < pio : e->addr < addr;
}

/* Index of the first entry not below (@pio, @addr). */
static u32 lower_bound(const struct ioeventfd_table *t, bool pio, u64 addr)
{
	u32 lo = 0, hi = t->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (below(&t->entry[mid], pio, addr))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool ioeventfd_match(struct emys_vm *vm, bool pio, u64 addr, int len, const void *val)
{
	struct emys_irqfds *f = READ_ONCE(vm->irqfds);	/* whole since its cmpxchg */
	const struct ioeventfd_table *t;
	bool found = false;
	u64 data = 0;
	u32 i;

	if (!f)
		return false;
	memcpy(&data, val, min_t(int, len, sizeof(data)));
	rcu_read_lock();
	t = rcu_dereference(f->io);
	for (i = t ? lower_bound(t, pio, addr) : 0; t && i < t->nr; i++) {
		const struct ioeventfd *e = &t->entry[i];

		if (e->pio != pio || e->addr != addr)
			break;
		if ((e->len && e->len != len) || (e->match && e->data != data))
			continue;
		compat_eventfd_signal(e->ctx);
		found = true;
		break;
	}
	rcu_read_unlock();
	return found;
}

/* Could one write mean both? */
static bool collide(const struct ioeventfd *a, const struct ioeventfd *b)
{
	if (a->pio != b->pio || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len && (!a->match || !b->match || a->data == b->data);
}

static void publish(struct emys_irqfds *f, struct ioeventfd_table *t)
{
	t = rcu_replace_pointer(f->io, t, lockdep_is_held(&f->lock));
	synchronize_rcu_expedited();
	kfree(t);
}

static struct ioeventfd_table *alloc_table(u32 nr)
{
	struct ioeventfd_table *t = kmalloc(struct_size(t, entry, nr), GFP_KERNEL_ACCOUNT);

	if (t)
		t->nr = nr;
	return t;
}

static int assign(struct emys_irqfds *f, const struct ioeventfd *e)
{
	struct ioeventfd_table *t, *old = rcu_dereference_protected(f->io, true);
	u32 nr = old ? old->nr : 0, i, at;

	if (nr >= MAX_IOEVENTFDS)
		return -ENOSPC;
	for (i = 0; i < nr; i++)
		if (collide(&old->entry[i], e))
			return -EEXIST;
	t = alloc_table(nr + 1);
	if (!t)
		return -ENOMEM;
	at = old ? lower_bound(old, e->pio, e->addr) : 0;
	if (old) {
		memcpy(t->entry, old->entry, at * sizeof(*e));
		memcpy(t->entry + at + 1, old->entry + at, (nr - at) * sizeof(*e));
	}
	t->entry[at] = *e;
	publish(f, t);
	return 0;
}

static int deassign(struct emys_irqfds *f, const struct ioeventfd *e)
{
	struct ioeventfd_table *t, *old = rcu_dereference_protected(f->io, true);
	u32 i;

	for (i = 0; old && i < old->nr; i++) {
		const struct ioeventfd *o = &old->entry[i];
		struct eventfd_ctx *ctx = o->ctx;

		if (ctx != e->ctx || o->pio != e->pio || o->addr != e->addr ||
		    o->len != e->len || o->match != e->match ||
		    (e->match && o->data != e->data))
			continue;
		t = alloc_table(old->nr - 1);
		if (!t)
			return -ENOMEM;
		memcpy(t->entry, old->entry, i * sizeof(*o));
		memcpy(t->entry + i, o + 1, (old->nr - 1 - i) * sizeof(*o));
		publish(f, t);
		eventfd_ctx_put(ctx);
		return 0;
	}
	return -ENOENT;
}

int ioeventfd_ioctl(struct emys_vm *vm, const struct kvm_ioeventfd *args)
{
	struct ioeventfd e = {
		.pio = args->flags & KVM_IOEVENTFD_FLAG_PIO,
		.match = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
		.len = args->len,
		.addr = args->addr,
	};
	struct emys_irqfds *f;
	bool undo = args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	int err;

	if (args->flags & ~(KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH |
			    KVM_IOEVENTFD_FLAG_DEASSIGN))
		return -EINVAL;
	if (args->len > 8 || (args->len & (args->len - 1)))
		return -EINVAL;
	if (args->addr + args->len < args->addr || (!args->len && e.match))
		return -EINVAL;
	if (e.match)
		memcpy(&e.data, &args->datamatch, args->len);

	f = irqfds_get(vm);
	if (!f)
		return -ENOMEM;
	e.ctx = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(e.ctx))
		return PTR_ERR(e.ctx);
	mutex_lock(&f->lock);
	err = undo ? deassign(f, &e) : assign(f, &e);
	mutex_unlock(&f->lock);
	if (err || undo)
		eventfd_ctx_put(e.ctx);
	return err;
}

void ioeventfd_release(struct emys_irqfds *f)
{
	struct ioeventfd_table *t;
	u32 i;

	t = rcu_replace_pointer(f->io, NULL, lockdep_is_held(&f->lock));
	if (!t)
		return;
	synchronize_rcu_expedited();
	for (i = 0; i < t->nr; i++)
		eventfd_ctx_put(t->entry[i].ctx);
	kfree(t);
}
