// SPDX-License-Identifier: GPL-2.0-only
/* Domains: whose pages may be merged with whose; and a VM's objects and leaves */

#include <linux/mm.h>
#include <linux/slab.h>

#include "private.h"

u32 mem_vm_domain(struct emys_vm *vm)
{
	return READ_ONCE(vm->mem.domain) ?: MEM_DOMAIN_OWN | vm->id;
}

/* References on the VM's objects, each once; *@nr of them. NULL: no memory. */
static struct mem_object **vm_objects(struct emys_vm *vm, unsigned int *nr)
{
	struct mem_object **list;
	struct mem_slots *slots;
	unsigned int i, j;
	int idx;

	*nr = 0;
	list = kvcalloc(EMYS_MEM_SLOTS, sizeof(*list), GFP_KERNEL_ACCOUNT);
	if (!list)
		return NULL;
	idx = srcu_read_lock(&vm->mem.srcu);
	slots = mem_slots(&vm->mem);
	for (i = 0; i < slots->nr; i++) {
		struct mem_slot *slot = slots->slot[i];

		if (!slot->file)
			continue;
		for (j = 0; j < *nr && list[j] != slot->obj; j++)
			;
		if (j < *nr)
			continue;
		mem_object_get(slot->obj);
		list[(*nr)++] = slot->obj;
	}
	srcu_read_unlock(&vm->mem.srcu, idx);
	return list;
}

static void put_objects(struct mem_object **list, unsigned int nr)
{
	while (nr)
		mem_object_put(list[--nr]);
	kvfree(list);
}

int mem_vm_objects(struct emys_vm *vm, int (*fn)(void *ctx, struct mem_object *obj), void *ctx)
{
	struct mem_object **list;
	unsigned int i, nr;
	int ret = 0;

	list = vm_objects(vm, &nr);
	if (!list)
		return -ENOMEM;
	for (i = 0; !ret && i < nr; i++)
		ret = fn(ctx, list[i]);
	put_objects(list, nr);
	return ret;
}

static void set_domain(struct mem_object *obj, u32 vm, u32 domain)
{
	down_write(&obj->lock);
	if (obj->domain_vm == vm)
		WRITE_ONCE(obj->domain, domain);
	up_write(&obj->lock);
}

int mem_vm_set_domain(struct emys_vm *vm, u32 domain)
{
	u32 own = MEM_DOMAIN_OWN | vm->id, was;
	struct mem_object **list;
	unsigned int i, nr;
	int err = 0;

	if (!domain)
		domain = own;
	if (domain & MEM_DOMAIN_OWN && domain != own)
		return -EINVAL;

	/* No object joins meanwhile */
	mutex_lock(&vm->mem.slots_lock);
	was = mem_vm_domain(vm);
	if (was == domain)
		goto unlock;
	list = vm_objects(vm, &nr);
	if (!list) {
		err = -ENOMEM;
		goto unlock;
	}
	/* In no domain, so nothing is merged behind our back */
	for (i = 0; !err && i < nr; i++) {
		set_domain(list[i], vm->id, 0);
		if (mem_object_domain(list[i]))
			continue;
		err = mem_unshare(list[i], 0, ULONG_MAX);
		if (err == -ESTALE)
			err = 0;
	}
	if (!err)
		WRITE_ONCE(vm->mem.domain, domain == own ? 0 : domain);
	for (i = 0; i < nr; i++)
		set_domain(list[i], vm->id, err ? was : domain);
	put_objects(list, nr);
unlock:
	mutex_unlock(&vm->mem.slots_lock);
	return err;
}

void mem_vm_leaves(struct emys_vm *vm, u64 *small, u64 *large, u64 *tables)
{
	const struct ept_root *ept = &vm->mem.ept;

	*small = atomic64_read(&ept->leaves[0]);
	/* Only foreign memory has leaves of 1 GiB */
	*large = atomic64_read(&ept->leaves[1]) + atomic64_read(&ept->leaves[2]) * EPT_ENTRIES;
	*tables = atomic64_read(&ept->tables);
}
