// SPDX-License-Identifier: GPL-2.0-only
/*
 * GSI routing: which pins and messages a GSI stands for, and sending them.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "emys.h"
#include "irqchip/chip.h"

static u32 chip_pins(u32 chip)
{
	return chip == KVM_IRQCHIP_IOAPIC ? IOAPIC_PINS : 8;
}

static int check_entry(struct emys_vm *vm, const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= IRQ_MAX_GSI)
		return -EINVAL;
	switch (e->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (e->flags || e->u.irqchip.irqchip >= KVM_NR_IRQCHIPS ||
		    e->u.irqchip.pin >= chip_pins(e->u.irqchip.irqchip))
			return -EINVAL;
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		if (e->flags & ~KVM_MSI_VALID_DEVID)
			return -EINVAL;
		if (vm->x2apic_api && e->u.msi.address_hi & 0xff)
			return -EINVAL;
		return 0;
	default:
		return -EINVAL;
	}
}

static void fill_route(struct irq_route *r, const struct kvm_irq_routing_entry *e)
{
	*r = (struct irq_route) { .gsi = e->gsi, .type = e->type };
	if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
		r->chip = e->u.irqchip.irqchip;
		r->pin = e->u.irqchip.pin;
	} else {
		r->msi.address_lo = e->u.msi.address_lo;
		r->msi.address_hi = e->u.msi.address_hi;
		r->msi.data = e->u.msi.data;
	}
}

/* May @b stand beside @a? One MSI, or one pin of each chip. */
static bool conflict(const struct irq_route *a, const struct irq_route *b)
{
	return a->type == KVM_IRQ_ROUTING_MSI || b->type == KVM_IRQ_ROUTING_MSI ||
	       a->chip == b->chip;
}

/* A table of its own from @entries. ERR_PTR -EINVAL, -ENOMEM. */
static struct irq_routing *build(struct emys_vm *vm,
				 const struct kvm_irq_routing_entry *entries, u32 nr)
{
	struct irq_routing *t;
	u32 i, j, gsi, nr_gsi = 0;
	int err;

	for (i = 0; i < nr; i++) {
		err = check_entry(vm, &entries[i]);
		if (err)
			return ERR_PTR(err);
		nr_gsi = max(nr_gsi, entries[i].gsi + 1);
	}
	t = kvzalloc(struct_size(t, route, nr), GFP_KERNEL_ACCOUNT);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->first = kvcalloc(nr_gsi + 2, sizeof(*t->first), GFP_KERNEL_ACCOUNT);
	if (!t->first) {
		kvfree(t);
		return ERR_PTR(-ENOMEM);
	}
	t->nr_gsi = nr_gsi;
	memset(t->pin_gsi, 0xff, sizeof(t->pin_gsi));

	/* counting sort by GSI: first[g + 1] walks from the start of g to its end */
	for (i = 0; i < nr; i++)
		t->first[entries[i].gsi + 2]++;
	for (i = 2; i < nr_gsi + 2; i++)
		t->first[i] += t->first[i - 1];
	for (i = 0; i < nr; i++) {
		struct irq_route *r;

		gsi = entries[i].gsi;
		r = &t->route[t->first[gsi + 1]++];
		fill_route(r, &entries[i]);
		if (r->type == KVM_IRQ_ROUTING_IRQCHIP)
			t->pin_gsi[r->chip][r->pin] = gsi;
	}
	/* now first[g] is the start of g; of three that go together the fourth conflicts */
	err = -EINVAL;
	for (gsi = 0; gsi < nr_gsi; gsi++)
		for (i = t->first[gsi]; i < t->first[gsi + 1]; i++)
			for (j = t->first[gsi]; j < i; j++)
				if (conflict(&t->route[j], &t->route[i]))
					goto err_free;
	return t;

err_free:
	kvfree(t->first);
	kvfree(t);
	return ERR_PTR(err);
}

static void free_table(struct irq_routing *t)
{
	if (!t)
		return;
	kvfree(t->first);
	kvfree(t);
}

int irqchip_set_routing(struct emys_vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr)
{
	struct emys_irqchip *chip = vm->irqchip;
	struct irq_routing *t;

	if (!chip || nr > IRQ_MAX_GSI)
		return -EINVAL;
	t = build(vm, entries, nr);
	if (IS_ERR(t))
		return PTR_ERR(t);
	mutex_lock(&chip->routing_lock);
	t = rcu_replace_pointer(chip->routing, t, lockdep_is_held(&chip->routing_lock));
	ioapic_update_map(vm);
	mutex_unlock(&chip->routing_lock);
	/* when the ioctl returns nobody sends by the old table any more */
	synchronize_rcu_expedited();
	free_table(t);
	return 0;
}

int routing_init(struct emys_irqchip *chip)
{
	struct kvm_irq_routing_entry *e;
	struct irq_routing *t;
	u32 gsi, nr = 0;

	/* GSI 0 to 15: pin of a PIC and of the IO-APIC; 16 to 23: IO-APIC */
	e = kcalloc(16 + IOAPIC_PINS, sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	for (gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		e[nr].gsi = gsi;
		e[nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		e[nr].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e[nr++].u.irqchip.pin = gsi;
		if (gsi >= 16)
			continue;
		e[nr].gsi = gsi;
		e[nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		e[nr].u.irqchip.irqchip = gsi >> 3;	/* master, slave */
		e[nr++].u.irqchip.pin = gsi & 7;
	}
	t = build(chip->vm, e, nr);
	kfree(e);
	if (IS_ERR(t))
		return PTR_ERR(t);
	RCU_INIT_POINTER(chip->routing, t);
	return 0;
}

void routing_destroy(struct emys_irqchip *chip)
{
	free_table(rcu_dereference_protected(chip->routing, true));
}

int routing_pin_gsi(struct emys_irqchip *chip, u32 type, u32 pin)
{
	const struct irq_routing *t;
	int gsi = -1;

	rcu_read_lock();
	t = rcu_dereference(chip->routing);
	if (t)
		gsi = t->pin_gsi[type][pin];
	rcu_read_unlock();
	return gsi;
}

/* "Message Signalled Interrupts": address and data */
int irqchip_send_msi(struct emys_vm *vm, const struct kvm_msi *msi)
{
	u32 lo = msi->address_lo, data = msi->data;
	struct lapic_msg msg = {
		.dest = lo >> 12 & 0xff,
		.logical = lo & BIT(2),
		.vector = data,
		.delivery = data >> 8 & 7,
		.level = data & BIT(15),
		.assert = data & BIT(14),
	};

	if (vm->x2apic_api) {
		if (msi->address_hi & 0xff)
			return -EINVAL;
		/* an 8-bit ID of all ones keeps meaning everybody */
		if (msi->address_hi) {
			msg.dest |= msi->address_hi;
			msg.x2apic = true;
		}
	}
	/* redirection hint: any one of the logical destination's processors */
	if (lo & BIT(3) && msg.logical && msg.delivery == 0)
		msg.delivery = 1;
	return lapic_deliver(vm, NULL, &msg);
}

static int send_route(struct emys_vm *vm, const struct irq_route *r, int source, int level)
{
	if (r->type == KVM_IRQ_ROUTING_MSI)
		return level ? irqchip_send_msi(vm, &r->msi) : -1;
	if (r->chip == KVM_IRQCHIP_IOAPIC)
		return ioapic_set_irq(vm, r->pin, source, level);
	return pic_set_irq(vm, r->chip * 8 + r->pin, source, level);
}

int irqchip_set_irq(struct emys_vm *vm, u32 gsi, int source, int level)
{
	struct emys_irqchip *chip = vm->irqchip;
	const struct irq_routing *t;
	int n, ret = -1;
	u32 i;

	if (!chip)
		return -1;
	rcu_read_lock();
	t = rcu_dereference(chip->routing);
	if (t && gsi < t->nr_gsi) {
		for (i = t->first[gsi]; i < t->first[gsi + 1]; i++) {
			n = send_route(vm, &t->route[i], source, level);
			if (n >= 0)
				ret = n + max(ret, 0);
		}
	}
	rcu_read_unlock();
	return ret;
}
