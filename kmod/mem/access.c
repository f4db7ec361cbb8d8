// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory seen from the kernel: by physical and by linear address */

#include <linux/mm.h>
#include <linux/uaccess.h>

#include "private.h"

static int user_read(unsigned long hva, void *dst, size_t len)
{
	void __user *p = (void __user *)hva;

	if (len == 8 && IS_ALIGNED(hva, 8) && IS_ALIGNED((unsigned long)dst, 8))
		return get_user(*(u64 *)dst, (u64 __user *)p);
	if (len == 4 && IS_ALIGNED(hva, 4) && IS_ALIGNED((unsigned long)dst, 4))
		return get_user(*(u32 *)dst, (u32 __user *)p);
	return copy_from_user(dst, p, len) ? -EFAULT : 0;
}

static int user_write(unsigned long hva, const void *src, size_t len)
{
	void __user *p = (void __user *)hva;

	if (len == 8 && IS_ALIGNED(hva, 8) && IS_ALIGNED((unsigned long)src, 8))
		return put_user(*(const u64 *)src, (u64 __user *)p);
	if (len == 4 && IS_ALIGNED(hva, 4) && IS_ALIGNED((unsigned long)src, 4))
		return put_user(*(const u32 *)src, (u32 __user *)p);
	return copy_to_user(p, src, len) ? -EFAULT : 0;
}

/* The slot of @gpa, and how much of @len lies in it. NULL: none. */
static struct mem_slot *find(struct mem_slots *slots, u64 gpa, size_t *len)
{
	struct mem_slot *slot = mem_slot_find(slots, gpa >> PAGE_SHIFT);
	u64 end;

	if (!slot)
		return NULL;
	end = (slot->base + slot->npages) << PAGE_SHIFT;
	*len = min_t(u64, *len, end - gpa);
	return slot;
}

static int read_slot(const struct mem_slot *slot, u64 gpa, void *dst, size_t len)
{
	u64 offset = gpa - (slot->base << PAGE_SHIFT);

	if (slot->file)
		return object_read(slot->obj, ((u64)slot->first << PAGE_SHIFT) + offset,
				   dst, len);
	return user_read(slot->hva + offset, dst, len);
}

static int write_slot(struct mem_slot *slot, u64 gpa, const void *src, size_t len)
{
	u64 offset = gpa - (slot->base << PAGE_SHIFT);
	gfn_t gfn, last = (gpa + len - 1) >> PAGE_SHIFT;
	int err;

	if (slot->flags & KVM_MEM_READONLY)
		return -EFAULT;
	if (slot->file)
		err = object_write(slot->obj, ((u64)slot->first << PAGE_SHIFT) + offset,
				   src, len);
	else
		err = user_write(slot->hva + offset, src, len);

	/* After the write: a log read in between may miss it, the next one may not */
	for (gfn = gpa >> PAGE_SHIFT; gfn <= last; gfn++)
		mem_slot_dirty(slot, gfn);
	return err ? -EFAULT : 0;
}

/* Slot by slot, to @dst or, when that is NULL, from @src. */
static int copy(struct emys_vm *vm, u64 gpa, void *dst, const void *src, size_t len)
{
	struct emys_mem *mem = &vm->mem;
	int idx = srcu_read_lock(&mem->srcu);
	struct mem_slots *slots = mem_slots(mem);
	size_t done, n;
	int err = 0;

	for (done = 0; !err && done < len; done += n) {
		struct mem_slot *slot;

		n = len - done;
		slot = find(slots, gpa + done, &n);
		if (!slot)
			err = -EFAULT;
		else if (dst)
			err = read_slot(slot, gpa + done, dst + done, n);
		else
			err = write_slot(slot, gpa + done, src + done, n);
	}
	srcu_read_unlock(&mem->srcu, idx);
	return err ? -EFAULT : 0;
}

/* What walks of page tables read: one entry, that is in one slot. */
static int read_entry8(struct emys_vm *vm, u64 gpa, u64 *val)
{
	struct emys_mem *mem = &vm->mem;
	int idx = srcu_read_lock(&mem->srcu);
	const struct mem_slot *slot = mem_slot_find(mem_slots(mem), gpa >> PAGE_SHIFT);
	int err = slot ? read_slot(slot, gpa, val, sizeof(*val)) : -EFAULT;

	srcu_read_unlock(&mem->srcu, idx);
	return err ? -EFAULT : 0;
}

int mem_read(struct emys_vm *vm, u64 gpa, void *dst, size_t len)
{
	if (len == sizeof(u64) && IS_ALIGNED(gpa, sizeof(u64)))
		return read_entry8(vm, gpa, dst);
	return copy(vm, gpa, dst, NULL, len);
}

int mem_write(struct emys_vm *vm, u64 gpa, const void *src, size_t len)
{
	return copy(vm, gpa, NULL, src, len);
}

bool mem_has_slot(struct emys_vm *vm, u64 gpa, bool write)
{
	int idx = srcu_read_lock(&vm->mem.srcu);
	struct mem_slot *slot = mem_slot_find(mem_slots(&vm->mem),
					      gpa >> PAGE_SHIFT);
	bool has = slot && !(write && (slot->flags & KVM_MEM_READONLY));

	srcu_read_unlock(&vm->mem.srcu, idx);
	return has;
}

/* -- pages that are used for longer ------------------------------------------- */

int mem_hold(struct emys_vcpu *vcpu, u64 gpa, struct page **page)
{
	struct emys_mem *mem = &vcpu->vm->mem;
	struct ept_walk walk;
	unsigned int tries;
	int r;

	*page = NULL;
	/* It may be taken away again between the fault and the look. */
	for (tries = 0; tries < 16; tries++) {
		r = mem_fault(vcpu, gpa, MEM_FAULT_READ | MEM_FAULT_WRITE);
		if (r)
			return r == MEM_MMIO ? -EFAULT : r;
		read_lock(&mem->mmu_lock);
		if (ept_walk(&mem->ept, gpa, &walk) && (walk.val & EPT_W)) {
			u64 offset = gpa & (ept_level_size(walk.level) - 1);

			*page = pfn_to_page((ept_leaf_hpa(walk.val, walk.level) + offset) >>
					    PAGE_SHIFT);
			get_page(*page);
		}
		read_unlock(&mem->mmu_lock);
		if (*page)
			return 0;
		cond_resched();
	}
	return -EAGAIN;
}

void mem_unhold(struct emys_vm *vm, u64 gpa, struct page *page)
{
	int idx = srcu_read_lock(&vm->mem.srcu);
	struct mem_slot *slot = mem_slot_find(mem_slots(&vm->mem), gpa >> PAGE_SHIFT);

	if (slot) {
		pgoff_t index = mem_slot_index(slot, gpa >> PAGE_SHIFT);

		if (slot->file)
			object_mark_dirty(slot->obj, index, index);
		else if (!PageDirty(page))
			set_page_dirty_lock(page);
		mem_slot_dirty(slot, gpa >> PAGE_SHIFT);
	}
	srcu_read_unlock(&vm->mem.srcu, idx);
	put_page(page);
}

int mem_cmpxchg8(struct emys_vcpu *vcpu, u64 gpa, u64 old, u64 new)
{
	struct page *page;
	u64 *p;
	int r;

	r = mem_hold(vcpu, gpa, &page);
	if (r)
		return r;
	p = page_address(page) + offset_in_page(gpa);
	r = cmpxchg(p, old, new) == old ? 0 : -EAGAIN;
	mem_unhold(vcpu->vm, gpa, page);
	return r;
}

/* -- linear addresses ----------------------------------------------------------- */

/*
 * To an address of the VM, from one that the running guest takes for physical: for the guest's
 * own guest that is something else. 0 or -EFAULT.
 */
static int vm_gpa(struct emys_vcpu *vcpu, u64 gpa, u32 access, u64 *out)
{
	if (unlikely(vcpu->gpa_map))
		return vcpu->gpa_map(vcpu, gpa, access, out);
	*out = gpa;
	return 0;
}

static int read_entry(void *ctx, u64 gpa, void *val, int size)
{
	struct emys_vcpu *vcpu = ctx;

	if (vm_gpa(vcpu, gpa, GWALK_TABLE, &gpa))
		return -EFAULT;
	return mem_read(vcpu->vm, gpa, val, size);
}

static int walk(struct emys_vcpu *vcpu, const struct gwalk_regs *regs, u64 gva,
		u32 access, u64 *gpa, u32 *error)
{
	int r;

	vcpu->walked_gva = gva;
	r = gwalk(regs, gva, access, read_entry, vcpu, gpa, error);
	return r ? r : vm_gpa(vcpu, *gpa, access, gpa);
}

/* Outside IA-32e mode linear addresses wrap at 4 GiB. */
static u64 linear(const struct gwalk_regs *regs, u64 gva)
{
	return regs->efer & EFER_LMA ? gva : (u32)gva;
}

int mem_translate(struct emys_vcpu *vcpu, u64 gva, u32 access, u64 *gpa,
		  u32 *error)
{
	struct gwalk_regs regs;

	vmx_gwalk_regs(vcpu, &regs);
	return walk(vcpu, &regs, gva, access, gpa, error);
}

static size_t chunk(u64 gva, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(gva));
}

int mem_read_gva(struct emys_vcpu *vcpu, u64 gva, void *dst, size_t len,
		 u32 access, u32 *error, u64 *fault_gva)
{
	struct gwalk_regs regs;
	int ret;

	vmx_gwalk_regs(vcpu, &regs);
	while (len) {
		u64 gpa, at = linear(&regs, gva);
		size_t n = chunk(at, len);

		ret = walk(vcpu, &regs, at, access, &gpa, error);
		if (ret) {
			*fault_gva = at;
			return ret;
		}
		if (mem_read(vcpu->vm, gpa, dst, n))
			return -EFAULT;
		gva += n;
		dst += n;
		len -= n;
	}
	return 0;
}

int mem_write_gva(struct emys_vcpu *vcpu, u64 gva, const void *src, size_t len,
		  u32 access, u32 *error, u64 *fault_gva)
{
	bool crosses = chunk(gva, len) < len;
	struct gwalk_regs regs;
	size_t done, n;
	bool dry;
	int ret;

	vmx_gwalk_regs(vcpu, &regs);
	access |= GWALK_WRITE;
	/* All faults come before the first byte */
	for (dry = crosses;; dry = false) {
		for (done = 0; done < len; done += n) {
			u64 gpa, at = linear(&regs, gva + done);

			n = chunk(at, len - done);
			ret = walk(vcpu, &regs, at, access, &gpa, error);
			if (ret) {
				*fault_gva = at;
				return ret;
			}
			if (dry ? !mem_has_slot(vcpu->vm, gpa, true) :
				  mem_write(vcpu->vm, gpa, src + done, n))
				return -EFAULT;
		}
		if (!dry)
			return 0;
	}
}
