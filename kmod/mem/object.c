// SPDX-License-Identifier: GPL-2.0-only
/* Memory objects: their life, and the files behind /dev/emys-mem */

/*
 * DOC: memory objects
 *
 * An open of /dev/emys-mem is an object: an array of pages that appear when the
 * guest or the VMM first touches them.
 *
 * The pages belong to a regular file without a name, on a file system that nobody can
 * mount. The open device holds a reference on it, and so does each mapping (mmap of the
 * device puts the regular file into the vma) and each memslot. A device's own
 * inode would be common to all objects, and is no place to punch holes in: fallocate() and
 * madvise(MADV_REMOVE) want a regular file. With an inode of its own,
 * unmap_mapping_pages() reaches all user mappings of this object and no other.
 *
 * When the last reference to the file goes, the object is dead and has no page.
 * The struct itself is counted, for those who look at objects from outside.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>

#include "private.h"

#define OBJECT_FS_MAGIC		0x454d5953	/* "EMYS" */

/* All live objects by id */
static DEFINE_MUTEX(objects_lock);
static DEFINE_XARRAY(objects);
static u32 object_last_id;

void object_grow(struct mem_object *obj, u64 end)
{
	s64 old = atomic64_read(&obj->size);

	while ((u64)old < end &&
	       !atomic64_try_cmpxchg(&obj->size, &old, end))
		;
}

/* -- references ------------------------------------------------------------------ */

struct mem_object *mem_object_next(u32 after)
{
	unsigned long id = (unsigned long)after + 1;
	struct mem_object *obj;

	mutex_lock(&objects_lock);
	obj = xa_find(&objects, &id, U32_MAX, XA_PRESENT);
	if (obj)
		kref_get(&obj->ref);
	mutex_unlock(&objects_lock);
	return obj;
}

struct mem_object *mem_object_find(u32 id)
{
	struct mem_object *obj;

	mutex_lock(&objects_lock);
	obj = xa_load(&objects, id);
	if (obj)
		kref_get(&obj->ref);
	mutex_unlock(&objects_lock);
	return obj;
}

void mem_object_get(struct mem_object *obj)
{
	kref_get(&obj->ref);
}

static void object_free_struct(struct kref *ref)
{
	kfree(container_of(ref, struct mem_object, ref));
}

void mem_object_put(struct mem_object *obj)
{
	kref_put(&obj->ref, object_free_struct);
}

u32 mem_object_id(const struct mem_object *obj)
{
	return obj->id;
}

pgoff_t mem_object_end(const struct mem_object *obj)
{
	return atomic64_read(&obj->size) >> PAGE_SHIFT;
}

bool mem_object_dead(const struct mem_object *obj)
{
	return READ_ONCE(obj->dead);
}

u32 mem_object_domain(const struct mem_object *obj)
{
	return READ_ONCE(obj->domain);
}

/* -- the regular file -------------------------------------------------------------- */

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

/* Phase one of the end: no mapping and no slot is left, so nobody uses a page. */
static int object_release(struct inode *inode, struct file *file)
{
	struct mem_object *obj = file->private_data;
	unsigned long index = 0;
	void *entry;

	mutex_lock(&objects_lock);
	xa_erase(&objects, obj->id);
	mutex_unlock(&objects_lock);

	do {
		unsigned int batch = MEM_BLOCK_PAGES;

		down_write(&obj->lock);
		WRITE_ONCE(obj->dead, true);
		while (batch-- && (entry = xa_find(&obj->pages, &index, ULONG_MAX, XA_PRESENT)))
			object_drop(obj, index, NULL);
		up_write(&obj->lock);
		cond_resched();
	} while (entry);
	xa_destroy(&obj->pages);

	simple_release_fs(&object_mnt, &object_mnt_count);
	mem_object_put(obj);
	return 0;
}

static const struct file_operations object_file_fops = {
	.owner = THIS_MODULE,
	.release = object_release,
	.mmap = object_mmap,
	.fallocate = object_fallocate,
};

struct mem_object *object_from_file(const struct file *file)
{
	return file && file->f_op == &object_file_fops ? file->private_data : NULL;
}

static struct inode *object_inode(void)
{
	struct inode *inode = new_inode(object_mnt->mnt_sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	/* No business of a security module's: the device decided who may open */
	inode->i_flags |= S_PRIVATE;
	return inode;
}

static int object_register(struct mem_object *obj)
{
	int err;

	mutex_lock(&objects_lock);
	if (object_last_id == U32_MAX) {
		err = -ENOSPC;
	} else {
		obj->id = object_last_id + 1;
		err = xa_err(xa_store(&objects, obj->id, obj, GFP_KERNEL_ACCOUNT));
	}
	if (!err)
		object_last_id++;
	mutex_unlock(&objects_lock);
	return err;
}

/* A new object, with the only reference to its file. */
static struct file *object_make(void)
{
	struct mem_object *obj;
	struct file *file;
	int err;

	obj = kzalloc(sizeof(*obj), GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	init_rwsem(&obj->lock);
	xa_init(&obj->pages);
	INIT_LIST_HEAD(&obj->slots);
	kref_init(&obj->ref);

	err = simple_pin_fs(&object_fs, &object_mnt, &object_mnt_count);
	if (err)
		goto free_obj;
	obj->inode = object_inode();
	if (!obj->inode) {
		err = -ENOMEM;
		goto release_fs;
	}
	/* The file's last fput() drops a reference on the module that nobody took */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(obj->inode, object_mnt, "emys-mem", O_RDWR, &object_file_fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		iput(obj->inode);
		err = PTR_ERR(file);
		goto release_fs;
	}
	/* From here on the file's end is the object's */
	file->private_data = obj;
	err = object_register(obj);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	return file;

release_fs:
	simple_release_fs(&object_mnt, &object_mnt_count);
free_obj:
	kfree(obj);
	return ERR_PTR(err);
}

/* -- /dev/emys-mem --------------------------------------------------------------- */

static int device_open(struct inode *inode, struct file *file)
{
	struct file *object = object_make();

	if (IS_ERR(object))
		return PTR_ERR(object);
	file->private_data = object;
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	fput(file->private_data);
	return 0;
}

static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	int err = object_mmap(file->private_data, vma);

	if (!err)
		vma_set_file(vma, file->private_data);
	return err;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.mmap = device_mmap,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.get_unmapped_area = thp_get_unmapped_area,
#endif
};

static struct miscdevice object_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "emys-mem",
	.mode = 0660,
	.fops = &device_fops,
};

int mem_dev_init(void)
{
	int err;

	mem_zero_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!mem_zero_page)
		return -ENOMEM;
	err = misc_register(&object_dev);
	if (err)
		put_page(mem_zero_page);
	return err;
}

void mem_dev_exit(void)
{
	misc_deregister(&object_dev);
	put_page(mem_zero_page);
}
