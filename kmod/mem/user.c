// SPDX-License-Identifier: GPL-2.0-only
/* The VMM's mappings of a memory object */

/*
 * DOC: user mappings
 *
 * User PTEs are made read-only, because vm_ops has a page_mkwrite(); the first
 * write comes there, marks the page OBJECT_USER and makes the PTE writable. SHARED and
 * ZERO pages are never writable: a write breaks the sharing first.
 *
 * Read-only PTEs are set under the object's lock, so who replaces a page under that
 * lock and unmaps then, misses none. A PTE that becomes writable is set by the kernel
 * after page_mkwrite() has left the lock, under the page's lock. So who replaces a page
 * waits for its page lock, having the object's lock, before it unmaps: what holds the page
 * lock then is on its way to a PTE, and nobody can start anew. See object_unmap().
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "../compat/mm.h"
#include "private.h"

#define FAULT_AROUND	16UL	/* pages mapped by one user fault */
/* One page may be in very many PTEs; keep its count from wrapping */
#define MAX_REFS	(INT_MAX / 2)

/* Map the page at @index, and those present behind it in an aligned window. */
static int insert_around(struct mem_object *obj, struct vm_area_struct *vma,
			 unsigned long addr, pgoff_t index)
{
	unsigned long n = FAULT_AROUND - index % FAULT_AROUND;
	struct page *pages[FAULT_AROUND];
	unsigned long i;
	int err;

	n = min(n, (vma->vm_end - addr) >> PAGE_SHIFT);
	for (i = 0; i < n; i++) {
		pages[i] = entry_page(xa_load(&obj->pages, index + i));
		if (!pages[i])
			break;
		if (page_count(pages[i]) > MAX_REFS)
			return -ENOMEM;
	}
	if (!i)
		return -ENOENT;
	err = vm_insert_pages(vma, addr, pages, &i);
	/* Mapped already: by another thread, or the next one earlier */
	return err == -EBUSY ? 0 : err;
}

/* A write: the kernel goes on to page_mkwrite() with the page. */
static int find_for_write(struct mem_object *obj, struct vm_fault *vmf)
{
	void *entry = xa_load(&obj->pages, vmf->pgoff);

	if (!entry_usable(entry, true))
		return -ENOENT;
	vmf->page = entry_page(entry);
	get_page(vmf->page);
	return 0;
}

static vm_fault_t object_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mem_object *obj = file_inode(vma->vm_file)->i_private;
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	int err;

	for (;;) {
		down_read(&obj->lock);
		if (write)
			err = find_for_write(obj, vmf);
		else
			err = insert_around(obj, vma, vmf->address & PAGE_MASK, vmf->pgoff);
		up_read(&obj->lock);
		if (!err)
			return write ? 0 : VM_FAULT_NOPAGE;
		if (err != -ENOENT)
			return vmf_error(err);
		/* Not VM_FAULT_OOM: that would try again for ever */
		if (object_touch(obj, vmf->pgoff, write, true))
			return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t object_page_mkwrite(struct vm_fault *vmf)
{
	struct mem_object *obj = file_inode(vmf->vma->vm_file)->i_private;
	pgoff_t index = vmf->pgoff;
	bool usable, same;
	void *entry;

	down_read(&obj->lock);
	entry = xa_load(&obj->pages, index);
	usable = entry_usable(entry, true);
	same = usable && entry_page(entry) == vmf->page;
	if (same) {
		xa_set_mark(&obj->pages, index, OBJECT_USER);
		lock_page(vmf->page);
	}
	up_read(&obj->lock);

	if (same)
		return VM_FAULT_LOCKED;
	/* Another page is there by now: fault again. Or this one is shared. */
	if (!usable && object_touch(obj, index, true, true))
		return VM_FAULT_SIGBUS;
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct object_vm_ops = {
	.fault = object_fault,
	.page_mkwrite = object_page_mkwrite,
};

int object_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mem_object *obj = file_inode(file)->i_private;
	u64 end = vma->vm_pgoff + vma_pages(vma);

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (end > OBJECT_MAX >> PAGE_SHIFT)
		return -EOVERFLOW;
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_ops = &object_vm_ops;
	object_grow(obj, end << PAGE_SHIFT);
	return 0;
}
