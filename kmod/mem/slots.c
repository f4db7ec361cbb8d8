// SPDX-License-Identifier: GPL-2.0-only
/* Memslots: which guest frames there are, and the dirty log */

/*
 * DOC: memslots
 *
 * The slots of a VM are an array sorted by guest frame. Whoever changes them
 * makes a new array and publishes it; readers under srcu see the old or the new
 * one, whole. Then, in this order:
 *
 *  1. mem->generation is raised under mmu_lock: a fault that resolved its address
 *     by the old array sees that before it maps and tries again;
 *  2. what the old slot had mapped is zapped and flushed: no vCPU uses it;
 *  3. synchronize_srcu(): no copy to or from the old slot is under way;
 *  4. the old array and the old slot are freed.
 *
 * The dirty log: while a slot has KVM_MEM_LOG_DIRTY_PAGES its leaves are 4 KiB and
 * start write-protected. The first write faults, and the fault sets the page's
 * bit and maps it writable, both in one hold of mmu_lock. Reading the log takes
 * bits and write access in one hold of it too, so a write is either seen or
 * faults again.
 */

#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "private.h"

#define SLOT_MAX_PAGES	((1ULL << 31) - 1)
#define SLOT_FLAGS	(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)

struct mem_slot *mem_slot_find(const struct mem_slots *slots, gfn_t gfn)
{
	unsigned int lo = 0, hi = slots->nr;

	/* The last slot that does not start after gfn */
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (slots->slot[mid]->base <= gfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || gfn - slots->slot[lo - 1]->base >= slots->slot[lo - 1]->npages)
		return NULL;
	return slots->slot[lo - 1];
}

static struct mem_slot *slot_by_id(const struct mem_slots *slots, u32 id)
{
	unsigned int i;

	for (i = 0; i < slots->nr; i++)
		if (slots->slot[i]->id == id)
			return slots->slot[i];
	return NULL;
}

static bool slots_overlap(const struct mem_slots *slots,
			  const struct mem_slot *except, gfn_t base, u64 npages)
{
	unsigned int i;

	for (i = 0; i < slots->nr; i++) {
		const struct mem_slot *s = slots->slot[i];

		if (s != except && base < s->base + s->npages &&
		    s->base < base + npages)
			return true;
	}
	return false;
}

/* A new array: @old without @del and with @add. NULL: no memory. */
static struct mem_slots *slots_remake(const struct mem_slots *old,
				      const struct mem_slot *del,
				      struct mem_slot *add)
{
	struct mem_slots *new;
	unsigned int i;

	new = kvzalloc(struct_size(new, slot, old->nr + 1),
		       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!new)
		return NULL;
	for (i = 0; i < old->nr; i++) {
		if (add && add->base < old->slot[i]->base) {
			new->slot[new->nr++] = add;
			add = NULL;
		}
		if (old->slot[i] != del)
			new->slot[new->nr++] = old->slot[i];
	}
	if (add)
		new->slot[new->nr++] = add;
	for (i = 0; i < new->nr; i++)
		new->nr_foreign += !new->slot[i]->file;
	return new;
}

/*
 * The object knows the slot from before a vCPU can map it until nothing of it is
 * mapped: who takes a page from the object reaches every EPT.
 */
static void slot_link(struct mem_slot *slot)
{
	struct mem_object *obj = slot->obj;
	struct emys_vm *vm = slot->vm;

	down_write(&obj->lock);
	list_add_tail(&slot->link, &obj->slots);
	if (!obj->domain_vm) {
		obj->domain_vm = vm->id;
		WRITE_ONCE(obj->domain, mem_vm_domain(vm));
	}
	up_write(&obj->lock);
}

static void slot_unlink(struct mem_slot *slot)
{
	down_write(&slot->obj->lock);
	list_del(&slot->link);
	up_write(&slot->obj->lock);
}

/* @slot may be NULL. */
static void slot_free(struct mem_slot *slot)
{
	if (!slot)
		return;
	if (slot->file) {
		slot_unlink(slot);
		fput(slot->file);
	}
	kvfree(slot->dirty);
	kfree(slot);
}

/* Does one shared, writable mapping of an object hold the whole slot? */
static void slot_find_object(struct emys_vm *vm, struct mem_slot *slot)
{
	unsigned long end = slot->hva + (slot->npages << PAGE_SHIFT);
	struct vm_area_struct *vma;

	mmap_read_lock(vm->mm);
	vma = find_vma(vm->mm, slot->hva);
	if (vma && vma->vm_start <= slot->hva && vma->vm_end >= end &&
	    (vma->vm_flags & VM_WRITE) && object_from_file(vma->vm_file)) {
		slot->file = get_file(vma->vm_file);
		slot->obj = object_from_file(vma->vm_file);
		slot->first = vma->vm_pgoff +
			      ((slot->hva - vma->vm_start) >> PAGE_SHIFT);
		object_grow(slot->obj,
			    ((u64)slot->first + slot->npages) << PAGE_SHIFT);
	}
	mmap_read_unlock(vm->mm);
}

/* -ENOMEM. @old: the same slot before a move or a change of flags. */
static struct mem_slot *slot_make(struct emys_vm *vm,
				  const struct kvm_userspace_memory_region *r,
				  const struct mem_slot *old)
{
	struct mem_slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return NULL;
	slot->base = r->guest_phys_addr >> PAGE_SHIFT;
	slot->npages = r->memory_size >> PAGE_SHIFT;
	slot->hva = r->userspace_addr;
	slot->flags = r->flags;
	slot->id = r->slot;
	slot->vm = vm;

	if (r->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		slot->dirty = kvcalloc(BITS_TO_LONGS(slot->npages),
				       sizeof(long), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!slot->dirty) {
			kfree(slot);
			return NULL;
		}
	}

	if (!old) {
		slot_find_object(vm, slot);
	} else if (old->file) {
		slot->file = get_file(old->file);
		slot->obj = old->obj;
		slot->first = old->first;
	}
	if (slot->file)
		slot_link(slot);
	return slot;
}

/*
 * Replace @del (or NULL) by @add (or NULL). Afterwards nobody uses @del, which is
 * freed. -ENOMEM: nothing has changed.
 */
static int slots_replace(struct emys_vm *vm, struct mem_slot *del,
			 struct mem_slot *add, bool zap_old)
{
	struct emys_mem *mem = &vm->mem;
	struct mem_slots *old = mem_slots(mem);
	struct mem_slots *new = slots_remake(old, del, add);
	struct ept_zap zap = {};

	lockdep_assert_held(&mem->slots_lock);
	if (!new)
		return -ENOMEM;
	rcu_assign_pointer(mem->slots, new);

	write_lock(&mem->mmu_lock);
	/* Pairs with the acquire in fault_slot(): who sees this sees the array */
	smp_store_release(&mem->generation, mem->generation + 1);
	/* Who knows that there is no memory looks again */
	if (add)
		atomic64_inc(&mem->zap_seq);
	write_unlock(&mem->mmu_lock);

	if (del && zap_old && del->file)
		mem_zap_slot(del, del->first, del->first + del->npages - 1, NULL, &zap);
	else if (del && zap_old)
		mem_zap(vm, del->base, del->base + del->npages, true, &zap);
	else if (add && add->dirty)
		mem_wrprot(vm, add->base, add->base + add->npages);
	mem_flush(vm);
	ept_zap_free(&zap);

	synchronize_srcu_expedited(&mem->srcu);
	kvfree(old);
	slot_free(del);
	return 0;
}

static int check_region(struct emys_vm *vm,
			const struct kvm_userspace_memory_region *r)
{
	unsigned int bits = min_t(unsigned int, vm->mem.ept.fmt.maxphyaddr,
				  EPT_GPA_BITS);

	if (r->flags & ~SLOT_FLAGS)
		return -EINVAL;
	/* The upper half of the number is an address space: there is only one */
	if (r->slot >= EMYS_MEM_SLOTS)
		return -EINVAL;
	if (!PAGE_ALIGNED(r->memory_size) || !PAGE_ALIGNED(r->guest_phys_addr) ||
	    !PAGE_ALIGNED(r->userspace_addr))
		return -EINVAL;
	if (r->memory_size >> PAGE_SHIFT > SLOT_MAX_PAGES)
		return -EINVAL;
	if (!access_ok((void __user *)(unsigned long)r->userspace_addr,
		       r->memory_size))
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr ||
	    r->guest_phys_addr + r->memory_size > BIT_ULL(bits))
		return -EINVAL;
	return 0;
}

static int set_region_locked(struct emys_vm *vm,
			     const struct kvm_userspace_memory_region *r)
{
	struct mem_slots *slots = mem_slots(&vm->mem);
	struct mem_slot *old = slot_by_id(slots, r->slot);
	gfn_t base = r->guest_phys_addr >> PAGE_SHIFT;
	struct mem_slot *new;
	bool zap_old = false;
	int err;

	if (READ_ONCE(vm->mem.dead))
		return -EIO;
	if (!r->memory_size)
		return old ? slots_replace(vm, old, NULL, true) : -EINVAL;

	if (old) {
		if (r->userspace_addr != old->hva ||
		    r->memory_size >> PAGE_SHIFT != old->npages ||
		    ((r->flags ^ old->flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (base == old->base && r->flags == old->flags)
			return 0;
		/*
		 * Moved: the old place goes. Logging off: let large leaves come
		 * back, which a table in their place would prevent.
		 */
		zap_old = base != old->base || old->dirty;
	}
	if ((!old || base != old->base) &&
	    slots_overlap(slots, old, base, r->memory_size >> PAGE_SHIFT))
		return -EEXIST;

	new = slot_make(vm, r, old);
	if (!new)
		return -ENOMEM;
	err = slots_replace(vm, old, new, zap_old);
	if (err)
		slot_free(new);
	return err;
}

int mem_set_region(struct emys_vm *vm,
		   const struct kvm_userspace_memory_region *r)
{
	int err = check_region(vm, r);

	if (err)
		return err;
	mutex_lock(&vm->mem.slots_lock);
	err = set_region_locked(vm, r);
	mutex_unlock(&vm->mem.slots_lock);
	return err;
}

/*
 * Move @words words of the bitmap, from word @first on, to @out, and take write
 * access from the pages whose bits were set.
 */
static void dirty_harvest(struct emys_vm *vm, struct mem_slot *slot,
			  unsigned long first, unsigned long words,
			  unsigned long *out)
{
	struct emys_mem *mem = &vm->mem;
	gfn_t base = slot->base + first * BITS_PER_LONG;
	unsigned long i, start, end;
	bool lost = false;

	write_lock(&mem->mmu_lock);
	for (i = 0; i < words; i++)
		out[i] = READ_ONCE(slot->dirty[first + i]) ?
			 xchg(&slot->dirty[first + i], 0) : 0;
	for_each_set_bitrange(start, end, out, words * BITS_PER_LONG) {
		lost |= ept_wrprot_range(&mem->ept, base + start, base + end);
		if (derived_any(mem))
			lost |= derived_wrprot(vm, base + start, base + end);
	}
	if (lost)
		atomic64_inc(&mem->zap_seq);
	write_unlock(&mem->mmu_lock);
}

static int get_dirty_locked(struct emys_vm *vm, const struct kvm_dirty_log *log,
			    unsigned long *buf)
{
	struct mem_slot *slot = slot_by_id(mem_slots(&vm->mem), log->slot);
	unsigned long __user *out = log->dirty_bitmap;
	unsigned long first, words, n;
	int err = 0;

	if (!slot || !slot->dirty)
		return -ENOENT;

	words = BITS_TO_LONGS(slot->npages);
	for (first = 0; !err && first < words; first += n) {
		n = min(words - first, PAGE_SIZE / sizeof(long));
		dirty_harvest(vm, slot, first, n, buf);
		if (copy_to_user(out + first, buf, n * sizeof(long)))
			err = -EFAULT;
		cond_resched();
	}
	/* Before the VMM reads a page that it now takes for clean */
	mem_flush(vm);
	return err;
}

int mem_get_dirty_log(struct emys_vm *vm, const struct kvm_dirty_log *log)
{
	unsigned long *buf;
	int err;

	if (log->slot >= EMYS_MEM_SLOTS)
		return -EINVAL;
	buf = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	mutex_lock(&vm->mem.slots_lock);
	err = get_dirty_locked(vm, log, buf);
	mutex_unlock(&vm->mem.slots_lock);
	free_page((unsigned long)buf);
	return err;
}

int mem_slots_init(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	struct mem_slots *none = kvzalloc(sizeof(*none), GFP_KERNEL_ACCOUNT);
	int err;

	if (!none)
		return -ENOMEM;
	err = init_srcu_struct(&mem->srcu);
	if (err) {
		kvfree(none);
		return err;
	}
	mutex_init(&mem->slots_lock);
	rcu_assign_pointer(mem->slots, none);
	return 0;
}

void mem_slots_destroy(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	struct mem_slots *slots = rcu_dereference_protected(mem->slots, true);
	unsigned int i;

	for (i = 0; i < slots->nr; i++)
		slot_free(slots->slot[i]);
	RCU_INIT_POINTER(mem->slots, NULL);
	kvfree(slots);
	cleanup_srcu_struct(&mem->srcu);
}
