// SPDX-License-Identifier: GPL-2.0-only
/* Memory objects: their life, and the files behind /dev/emys-mem */

/*
 * DOC: memory objects
 *
 * An object is an array of pages that appear when the guest or the VMM first touches
 * them. It belongs to the inode of a regular file, on a file system of its own kind, and goes
 * with it: when the last open file, mapping and memslot, and the name if it has one, are gone.
 *
 *  - Each open of the device /dev/emys-mem makes one, in a file without a name. mmap() of
 *    the device puts that file into the vma. The device's own inode would be common
 *    to all objects, and is no place to punch holes in: fallocate() and MADV_REMOVE want
 *    a regular file.
 *  - `mount -t emys-mem` shows a flat directory of such files, for VMMs that call
 *    fallocate() on the file that they mapped.
 *
 * With an inode of its own, unmap_mapping_pages() reaches all user mappings of this object
 * and no other. The struct itself is counted, for those who look at objects from outside.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "../compat/fs.h"
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

/* -- life ------------------------------------------------------------------------- */

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

/* An empty object for @inode, whose end is the object's. -ENOMEM, -ENOSPC (no id is left). */
static int object_make(struct inode *inode)
{
	struct mem_object *obj = kzalloc(sizeof(*obj), GFP_KERNEL_ACCOUNT);
	int err;

	if (!obj)
		return -ENOMEM;
	init_rwsem(&obj->lock);
	xa_init(&obj->pages);
	INIT_LIST_HEAD(&obj->slots);
	kref_init(&obj->ref);
	obj->inode = inode;
	err = object_register(obj);
	if (err)
		kfree(obj);
	else
		inode->i_private = obj;
	return err;
}

/* Phase one of the end: no mapping and no slot is left, so nobody uses a page. */
static void object_end(struct mem_object *obj)
{
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
	mem_object_put(obj);
}

/* -- the file system ------------------------------------------------------------------ */

static void object_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (inode->i_private)
		object_end(inode->i_private);
}

static const struct super_operations object_super_ops = {
	.statfs = simple_statfs,
	.evict_inode = object_evict_inode,
};

/* A file grows; what it has is taken back by punching holes, not by cutting it. */
static int object_setattr(struct emys_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (attr->ia_valid & ATTR_SIZE && attr->ia_size < i_size_read(inode))
		return -EINVAL;
	err = simple_setattr(idmap, dentry, attr);
	if (!err && attr->ia_valid & ATTR_SIZE)
		object_grow(inode->i_private, PAGE_ALIGN(attr->ia_size));
	return err;
}

static const struct inode_operations object_inode_ops = {
	.setattr = object_setattr,
};

static const struct file_operations named_fops = {
	.owner = THIS_MODULE,
	.mmap = object_mmap,
	.fallocate = object_fallocate,
	.llseek = generic_file_llseek,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.get_unmapped_area = thp_get_unmapped_area,
#endif
};

static struct inode *object_inode(struct super_block *sb, umode_t mode)
{
	struct inode *inode = new_inode(sb);
	int err;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | (mode & 0777);
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	inode->i_op = &object_inode_ops;
	inode->i_fop = &named_fops;
	err = object_make(inode);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return inode;
}

static int object_create(struct emys_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode, bool excl)
{
	struct inode *inode = object_inode(dir->i_sb, mode);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	inode_init_owner(idmap, inode, dir, inode->i_mode);
	emys_d_create(dentry, inode);
	return 0;
}

static const struct inode_operations object_dir_ops = {
	.create = object_create,
	.lookup = simple_lookup,
	.unlink = simple_unlink,
};

static int object_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *dir;

	sb->s_magic = OBJECT_FS_MAGIC;
	sb->s_op = &object_super_ops;
	sb->s_maxbytes = OBJECT_MAX;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	sb->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	dir = new_inode(sb);
	if (!dir)
		return -ENOMEM;
	dir->i_ino = get_next_ino();
	dir->i_mode = S_IFDIR | 0755;
	dir->i_op = &object_dir_ops;
	dir->i_fop = &simple_dir_operations;
	set_nlink(dir, 2);
	sb->s_root = d_make_root(dir);
	return sb->s_root ? 0 : -ENOMEM;
}

static int object_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, object_fill_super);
}

static const struct fs_context_operations object_context_ops = {
	.get_tree = object_get_tree,
};

static int object_init_fs_context(struct fs_context *fc)
{
	fc->ops = &object_context_ops;
	return 0;
}

static struct file_system_type object_fs = {
	.name = "emys-mem",
	.owner = THIS_MODULE,
	.init_fs_context = object_init_fs_context,
	.kill_sb = emys_kill_sb,
};
MODULE_ALIAS_FS("emys-mem");

/* -- files without a name -------------------------------------------------------------- */

/* Where they live. Mounted only while there are some: a mount holds the module. */
static struct vfsmount *object_mnt;
static int object_mnt_count;

static int nameless_release(struct inode *inode, struct file *file)
{
	/* The file's own reference on the mount goes after its inode */
	simple_release_fs(&object_mnt, &object_mnt_count);
	return 0;
}

static const struct file_operations nameless_fops = {
	.owner = THIS_MODULE,
	.release = nameless_release,
	.mmap = object_mmap,
	.fallocate = object_fallocate,
};

struct mem_object *object_from_file(const struct file *file)
{
	if (!file || (file->f_op != &named_fops && file->f_op != &nameless_fops))
		return NULL;
	return file_inode(file)->i_private;
}

static struct file *nameless_open(void)
{
	struct inode *inode;
	struct file *file;
	int err;

	err = simple_pin_fs(&object_fs, &object_mnt, &object_mnt_count);
	if (err)
		return ERR_PTR(err);
	inode = object_inode(object_mnt->mnt_sb, 0600);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto release_fs;
	}
	/* No business of a security module's: the device decided who may open */
	inode->i_flags |= S_PRIVATE;
	/* The file's last fput() drops a reference on the module that nobody took */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(inode, object_mnt, "emys-mem", O_RDWR, &nameless_fops);
	if (!IS_ERR(file))
		return file;
	module_put(THIS_MODULE);
	iput(inode);
release_fs:
	simple_release_fs(&object_mnt, &object_mnt_count);
	return file;
}

/* -- /dev/emys-mem --------------------------------------------------------------- */

static int device_open(struct inode *inode, struct file *file)
{
	struct file *object = nameless_open();

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
	err = register_filesystem(&object_fs);
	if (err)
		goto free_zero;
	err = misc_register(&object_dev);
	if (err)
		goto unregister_fs;
	return 0;

unregister_fs:
	unregister_filesystem(&object_fs);
free_zero:
	put_page(mem_zero_page);
	return err;
}

void mem_dev_exit(void)
{
	misc_deregister(&object_dev);
	unregister_filesystem(&object_fs);
	put_page(mem_zero_page);
}
