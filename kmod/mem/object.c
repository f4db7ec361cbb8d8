// SPDX-License-Identifier: GPL-2.0-only
/* Memory objects: pages owned by the module, behind /dev/emys-mem */

/*
 * DOC: memory objects
 *
 * An open of /dev/emys-mem is an object: an array of pages that appear when the
 * guest or the VMM first touches them, and go with the last reference to the
 * file (mappings and memslots hold one each).
 *
 * Each object has an inode of its own, of a file system that nobody can mount,
 * and the file's f_mapping points there: unmap_mapping_range() on it reaches all
 * user mappings of this object and no other.
 *
 * Pages come one by one, or as a block of 2 MiB that is split at once into 512
 * independent pages. The block is then one EPT leaf, and any of its pages can
 * still be freed or replaced alone, which a compound page would not allow.
 */

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>

#include "../compat/mm.h"
#include "private.h"

#define OBJECT_FS_MAGIC		0x454d5953	/* "EMYS" */
#define OBJECT_BLOCK		XA_MARK_0
#define STATE_BITS		3
#define FAULT_AROUND		16UL		/* pages mapped by one user fault */

#define PAGE_GFP	(GFP_USER | __GFP_ZERO | __GFP_ACCOUNT)
#define BLOCK_GFP	(PAGE_GFP | __GFP_NOWARN | __GFP_NORETRY)

static atomic_long_t pages_allocated;

static const char * const large_name[] = { "never", "auto", "always" };
enum { LARGE_NEVER, LARGE_AUTO, LARGE_ALWAYS };
static int large = LARGE_AUTO;

static int large_set(const char *val, const struct kernel_param *kp)
{
	int i = sysfs_match_string(large_name, val);

	if (i < 0) {
		pr_warn("emys: mem_large must be never, auto or always\n");
		return i;
	}
	WRITE_ONCE(large, i);
	return 0;
}

static int large_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", large_name[READ_ONCE(large)]);
}

static const struct kernel_param_ops large_ops = {
	.set = large_set,
	.get = large_get,
};

module_param_cb(mem_large, &large_ops, NULL, 0644);
MODULE_PARM_DESC(mem_large,
		 "2 MiB blocks of owned memory: never, auto (while the host has ample memory), always");

long mem_pages_allocated(void)
{
	return atomic_long_read(&pages_allocated);
}

void object_grow(struct mem_object *obj, u64 end)
{
	s64 old = atomic64_read(&obj->size);

	while ((u64)old < end &&
	       !atomic64_try_cmpxchg(&obj->size, &old, end))
		;
}

/* -- states ------------------------------------------------------------------- */

static void *state_entry(enum mem_page_state state, struct page *page)
{
	return xa_mk_value(page_to_pfn(page) << STATE_BITS | state);
}

static enum mem_page_state entry_state(void *entry)
{
	return entry ? xa_to_value(entry) & ((1 << STATE_BITS) - 1) : MEM_ABSENT;
}

static struct page *entry_page(void *entry)
{
	return pfn_to_page(xa_to_value(entry) >> STATE_BITS);
}

static void count_pages(struct mem_object *obj, long n)
{
	obj->nr += n;
	atomic_long_add(n, &pages_allocated);
}

/*
 * The one place where the state of pages changes; @n pages from @first on.
 * MEM_PRIVATE takes over the references on @page and those behind it; MEM_ABSENT
 * gives the old pages back, which nothing maps any more. -ENOMEM, or -EINVAL:
 * there is no such step; the pages before the one that failed have changed, and
 * *@done tells how many.
 */
static int object_set_state(struct mem_object *obj, pgoff_t first, unsigned long n,
			    enum mem_page_state to, struct page *page,
			    unsigned long *done)
{
	static const u8 legal[MEM_PAGE_STATES] = {
		[MEM_ABSENT] = BIT(MEM_PRIVATE),
		[MEM_PRIVATE] = BIT(MEM_ABSENT),
	};
	XA_STATE(xas, &obj->pages, first);
	unsigned long i = 0;
	void *old;

	lockdep_assert_held_write(&obj->lock);
	do {
		xas_lock(&xas);
		for (; i < n; i++) {
			xas_set(&xas, first + i);
			old = xas_load(&xas);
			if (WARN_ON_ONCE(!(legal[entry_state(old)] & BIT(to)))) {
				xas_set_err(&xas, -EINVAL);
				break;
			}
			xas_store(&xas, to == MEM_ABSENT ? NULL :
				  state_entry(to, page + i));
			if (xas_error(&xas))
				break;
			if (old) {
				xas_set(&xas, round_down(first + i, MEM_BLOCK_PAGES));
				xas_load(&xas);
				xas_clear_mark(&xas, OBJECT_BLOCK);
				put_page(entry_page(old));
			}
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL_ACCOUNT));

	count_pages(obj, to == MEM_ABSENT ? -(long)i : i);
	*done = i;
	return xas_error(&xas);
}

struct page *object_page(struct mem_object *obj, pgoff_t index)
{
	void *entry;

	lockdep_assert_held(&obj->lock);
	entry = xa_load(&obj->pages, index);
	return entry ? entry_page(entry) : NULL;
}

bool object_in_block(struct mem_object *obj, pgoff_t index)
{
	lockdep_assert_held(&obj->lock);
	return xa_get_mark(&obj->pages, round_down(index, MEM_BLOCK_PAGES),
			   OBJECT_BLOCK);
}

/* -- population ---------------------------------------------------------------- */

/*
 * A block spends 2 MiB where the guest perhaps wants 4 KiB. That is no loss when
 * everything that is missing of the object fits in what is free; an object that
 * does not fit gets blocks only while half of the host's memory is free.
 */
static bool block_affordable(struct mem_object *obj)
{
	unsigned long total = totalram_pages();
	unsigned long want = atomic64_read(&obj->size) >> PAGE_SHIFT;
	long free = si_mem_available();

	if (READ_ONCE(large) != LARGE_AUTO)
		return READ_ONCE(large) == LARGE_ALWAYS;

	want -= min(want, READ_ONCE(obj->nr));
	if (free >= (long)(want + total / 16))
		return true;
	return free >= (long)(total / 2 + MEM_BLOCK_PAGES);
}

static bool block_empty(struct mem_object *obj, pgoff_t first)
{
	pgoff_t i = first;

	return !xa_find(&obj->pages, &i, first + MEM_BLOCK_PAGES - 1,
			XA_PRESENT);
}

static bool block_wanted(struct mem_object *obj, pgoff_t first)
{
	u64 end = ((u64)first + MEM_BLOCK_PAGES) << PAGE_SHIFT;

	return end <= (u64)atomic64_read(&obj->size) &&
	       block_empty(obj, first) && block_affordable(obj);
}

/* Publish a split block; false when it cannot be, and then it is freed. */
static bool block_publish(struct mem_object *obj, pgoff_t first,
			  struct page *block)
{
	unsigned long i, done = 0;
	bool ok;

	down_write(&obj->lock);
	ok = block_empty(obj, first) &&
	     !object_set_state(obj, first, MEM_BLOCK_PAGES, MEM_PRIVATE, block,
			       &done);
	if (ok)
		xa_set_mark(&obj->pages, first, OBJECT_BLOCK);
	else
		object_set_state(obj, first, done, MEM_ABSENT, NULL, &i);
	up_write(&obj->lock);

	for (i = done; i < MEM_BLOCK_PAGES; i++)
		put_page(block + i);
	return ok;
}

static bool populate_block(struct mem_object *obj, pgoff_t index)
{
	pgoff_t first = round_down(index, MEM_BLOCK_PAGES);
	struct page *block;

	if (!block_wanted(obj, first))
		return false;
	block = alloc_pages(BLOCK_GFP, MEM_BLOCK_ORDER);
	if (!block)
		return false;
	split_page(block, MEM_BLOCK_ORDER);
	return block_publish(obj, first, block);
}

int object_populate(struct mem_object *obj, pgoff_t index, bool user)
{
	gfp_t gfp = PAGE_GFP;
	unsigned long done;
	struct page *page;
	int err = 0;

	if (populate_block(obj, index))
		return 0;

	/*
	 * The OOM killer does not see memory that only the guest has mapped and
	 * would choose somebody else. So for the guest fail rather.
	 */
	if (!user)
		gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	page = alloc_page(gfp);
	if (!page)
		return -ENOMEM;

	down_write(&obj->lock);
	if (!object_page(obj, index)) {
		err = object_set_state(obj, index, 1, MEM_PRIVATE, page, &done);
		if (!err)
			page = NULL;
	}
	up_write(&obj->lock);
	if (page)
		put_page(page);
	return err;
}

/* -- access from the kernel ----------------------------------------------------- */

/* Aligned words in one access: page-table entries must not be torn. */
static void copy_atomic(void *dst, const void *src, size_t len)
{
	unsigned long both = (unsigned long)dst | (unsigned long)src;

	if (len == 8 && IS_ALIGNED(both, 8))
		WRITE_ONCE(*(u64 *)dst, READ_ONCE(*(const u64 *)src));
	else if (len == 4 && IS_ALIGNED(both, 4))
		WRITE_ONCE(*(u32 *)dst, READ_ONCE(*(const u32 *)src));
	else
		memcpy(dst, src, len);
}

static size_t chunk(u64 pos, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(pos));
}

int object_read(struct mem_object *obj, u64 pos, void *dst, size_t len)
{
	while (len) {
		size_t n = chunk(pos, len);
		struct page *page;

		down_read(&obj->lock);
		page = object_page(obj, pos >> PAGE_SHIFT);
		if (page)
			copy_atomic(dst, page_address(page) + offset_in_page(pos),
				    n);
		else
			memset(dst, 0, n);
		up_read(&obj->lock);
		pos += n;
		dst += n;
		len -= n;
	}
	return 0;
}

int object_write(struct mem_object *obj, u64 pos, const void *src, size_t len)
{
	while (len) {
		size_t n = chunk(pos, len);
		struct page *page;

		down_read(&obj->lock);
		page = object_page(obj, pos >> PAGE_SHIFT);
		if (page)
			copy_atomic(page_address(page) + offset_in_page(pos), src,
				    n);
		up_read(&obj->lock);
		if (!page) {
			int err = object_populate(obj, pos >> PAGE_SHIFT, false);

			if (err)
				return err;
			continue;
		}
		pos += n;
		src += n;
		len -= n;
	}
	return 0;
}

/* -- the file --------------------------------------------------------------------- */

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
		pages[i] = object_page(obj, index + i);
		if (!pages[i])
			break;
	}
	if (!i)
		return -ENOENT;
	err = vm_insert_pages(vma, addr, pages, &i);
	/* Mapped already: by another thread, or the next one earlier */
	return err == -EBUSY ? 0 : err;
}

/*
 * PTEs are set under the object lock, so that whoever replaces a page under that
 * lock and zaps then, misses no mapping.
 */
static vm_fault_t object_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mem_object *obj = vma->vm_file->private_data;
	int err;

	for (;;) {
		down_read(&obj->lock);
		err = insert_around(obj, vma, vmf->address & PAGE_MASK,
				    vmf->pgoff);
		up_read(&obj->lock);
		if (err != -ENOENT)
			return err ? vmf_error(err) : VM_FAULT_NOPAGE;
		/* Not VM_FAULT_OOM: that would try again for ever */
		if (object_populate(obj, vmf->pgoff, true))
			return VM_FAULT_SIGBUS;
	}
}

static const struct vm_operations_struct object_vm_ops = {
	.fault = object_fault,
};

static int object_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mem_object *obj = file->private_data;
	u64 end = ((u64)vma->vm_pgoff << PAGE_SHIFT) + vma->vm_end - vma->vm_start;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_ops = &object_vm_ops;
	object_grow(obj, end);
	return 0;
}

static int object_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, OBJECT_FS_MAGIC) ? 0 : -ENOMEM;
}

/* Mounted only while objects exist: a mount holds the module. */
static struct file_system_type object_fs = {
	.name = "emys-mem",
	.owner = THIS_MODULE,
	.init_fs_context = object_init_fs_context,
	.kill_sb = kill_anon_super,
};

static struct vfsmount *object_mnt;
static int object_mnt_count;

static int object_open(struct inode *inode, struct file *file)
{
	struct mem_object *obj;
	int err;

	obj = kzalloc(sizeof(*obj), GFP_KERNEL_ACCOUNT);
	if (!obj)
		return -ENOMEM;
	err = simple_pin_fs(&object_fs, &object_mnt, &object_mnt_count);
	if (err)
		goto free_obj;
	obj->inode = alloc_anon_inode(object_mnt->mnt_sb);
	if (IS_ERR(obj->inode)) {
		err = PTR_ERR(obj->inode);
		goto release_fs;
	}

	init_rwsem(&obj->lock);
	xa_init(&obj->pages);
	file->private_data = obj;
	file->f_mapping = obj->inode->i_mapping;
	return 0;

release_fs:
	simple_release_fs(&object_mnt, &object_mnt_count);
free_obj:
	kfree(obj);
	return err;
}

static int object_release(struct inode *inode, struct file *file)
{
	struct mem_object *obj = file->private_data;
	unsigned long index;
	void *entry;

	/* Nobody else has the object; its pages go with it */
	xa_for_each(&obj->pages, index, entry) {
		put_page(entry_page(entry));
		cond_resched();
	}
	xa_destroy(&obj->pages);
	count_pages(obj, -(long)obj->nr);

	iput(obj->inode);
	simple_release_fs(&object_mnt, &object_mnt_count);
	kfree(obj);
	return 0;
}

static const struct file_operations object_fops = {
	.owner = THIS_MODULE,
	.open = object_open,
	.release = object_release,
	.mmap = object_mmap,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.get_unmapped_area = thp_get_unmapped_area,
#endif
};

struct mem_object *object_from_file(const struct file *file)
{
	return file && file->f_op == &object_fops ? file->private_data : NULL;
}

static struct miscdevice object_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "emys-mem",
	.mode = 0660,
	.fops = &object_fops,
};

int mem_dev_init(void)
{
	return misc_register(&object_dev);
}

void mem_dev_exit(void)
{
	misc_deregister(&object_dev);
}
