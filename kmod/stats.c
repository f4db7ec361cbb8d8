// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c - counters for userspace: the binary statistics of KVM_GET_STATS_FD,
 * and debugfs for humans.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD".
 */
#include <linux/anon_inodes.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "emys.h"
#include "stats.h"

#define STATS_NAME_SIZE	48

/* One list of counters: names, and how to read counter n of a VM or vCPU. */
struct stats_set {
	const char (*names)[STATS_NAME_SIZE];
	unsigned int nr;
	unsigned int now, now_end;	/* those in between are no sums: they can go down */
	u64 (*read)(void *owner, unsigned int n);
};

#define X(n)	{ #n }
#define EXIT(n)	{ "exit_" #n }
#define FAST(n)	{ "nested_fast_" #n }
#define SLOW(n)	{ "nested_slow_" #n }
#define L1(n)	{ "nested_l1_" #n }
#define EPT02(n) { "ept02_" #n }
static const char stats_vcpu_names[][STATS_NAME_SIZE] = {
	EMYS_VCPU_STATS(X, EXIT, FAST, SLOW, L1)
};

static const char stats_vm_names[][STATS_NAME_SIZE] = {
	EMYS_VM_STATS(X), EMYS_EPT02_STATS(EPT02)
};

#undef X
#undef EXIT
#undef FAST
#undef SLOW
#undef L1
#undef EPT02

static u64 stats_vcpu_read(void *owner, unsigned int n)
{
	const struct emys_vcpu *vcpu = owner;

	BUILD_BUG_ON(sizeof(vcpu->stats) != ARRAY_SIZE(stats_vcpu_names) * sizeof(u64));
	return READ_ONCE(((const u64 *)&vcpu->stats)[n]);
}

#define OFFSET(n)	offsetof(struct mem_derived_counts, n)
static const u8 stats_ept02[] = { EMYS_EPT02_STATS(OFFSET) };
#undef OFFSET

#define STATS_VM_OWN	(sizeof(struct emys_vm_stats) / sizeof(atomic64_t))

static u64 stats_vm_read(void *owner, unsigned int n)
{
	struct emys_vm *vm = owner;
	struct mem_derived_counts c;

	BUILD_BUG_ON(STATS_VM_OWN + ARRAY_SIZE(stats_ept02) != ARRAY_SIZE(stats_vm_names));
	if (n < STATS_VM_OWN)
		return atomic64_read((const atomic64_t *)&vm->stats + n);
	mem_derived_counts(vm, &c);
	return *(u64 *)((u8 *)&c + stats_ept02[n - STATS_VM_OWN]);
}

static const struct stats_set stats_vcpu_set = {
	.names = stats_vcpu_names,
	.nr = ARRAY_SIZE(stats_vcpu_names),
	.read = stats_vcpu_read,
};

static const struct stats_set stats_vm_set = {
	.names = stats_vm_names,
	.nr = ARRAY_SIZE(stats_vm_names),
	.now = STATS_VM_OWN,
	.now_end = STATS_VM_OWN + EMYS_EPT02_NOW,
	.read = stats_vm_read,
};

/* -- KVM_GET_STATS_FD --------------------------------------------------------- */

struct stats_file {
	const struct stats_set *set;
	void *owner;
	struct emys_vm *vm;		/* the reference that keeps owner */
	char id[STATS_NAME_SIZE];
};

/* A descriptor and the name behind it; newer kernels' struct has room for theirs. */
#define STATS_DESC_HEAD	offsetof(struct kvm_stats_desc, name)
#define STATS_DESC_SIZE	(STATS_DESC_HEAD + STATS_NAME_SIZE)

/*
 * The whole file as it is now: header, id, descriptors, data. It is small, and
 * one picture keeps every offset in it true.
 */
static void *stats_image(const struct stats_file *sf, size_t *size)
{
	const struct stats_set *set = sf->set;
	struct kvm_stats_header head = {
		.name_size = STATS_NAME_SIZE,
		.num_desc = set->nr,
		.id_offset = sizeof(head),
		.desc_offset = sizeof(head) + STATS_NAME_SIZE,
		.data_offset = sizeof(head) + STATS_NAME_SIZE + set->nr * STATS_DESC_SIZE,
	};
	unsigned int i;
	void *image;
	u64 *data;

	BUILD_BUG_ON((sizeof(head) + STATS_NAME_SIZE) % sizeof(u64));
	BUILD_BUG_ON(STATS_DESC_SIZE % sizeof(u64));

	*size = head.data_offset + set->nr * sizeof(u64);
	image = kvzalloc(*size, GFP_KERNEL_ACCOUNT);
	if (!image)
		return NULL;
	memcpy(image, &head, sizeof(head));
	memcpy(image + head.id_offset, sf->id, sizeof(sf->id));
	data = image + head.data_offset;
	for (i = 0; i < set->nr; i++) {
		void *at = image + head.desc_offset + i * STATS_DESC_SIZE;
		bool now = i >= set->now && i < set->now_end;
		struct kvm_stats_desc desc = {
			.flags = (now ? KVM_STATS_TYPE_INSTANT : KVM_STATS_TYPE_CUMULATIVE) |
				 KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10,
			.size = 1,
			.offset = i * sizeof(u64),
		};

		memcpy(at, &desc, STATS_DESC_HEAD);
		memcpy(at + STATS_DESC_HEAD, set->names[i], STATS_NAME_SIZE);
		data[i] = set->read(sf->owner, i);
	}
	return image;
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct stats_file *sf = file->private_data;
	size_t size;
	ssize_t ret;
	void *image;

	image = stats_image(sf, &size);
	if (!image)
		return -ENOMEM;
	ret = simple_read_from_buffer(buf, len, pos, image, size);
	kvfree(image);
	return ret;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *sf = file->private_data;

	emys_vm_put(sf->vm);
	kfree(sf);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = noop_llseek,
};

__printf(5, 6)
static int stats_fd(const char *name, const struct stats_set *set, void *owner,
		    struct emys_vm *vm, const char *id, ...)
{
	struct stats_file *sf;
	struct file *file;
	va_list args;
	int fd;

	sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);
	if (!sf)
		return -ENOMEM;
	sf->set = set;
	sf->owner = owner;
	sf->vm = vm;
	va_start(args, id);
	vsnprintf(sf->id, sizeof(sf->id), id, args);
	va_end(args);

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto err_free;
	file = anon_inode_getfile(name, &stats_fops, sf, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err_free;
	}
	emys_vm_get(vm);
	file->f_mode |= FMODE_PREAD;
	fd_install(fd, file);
	return fd;

err_free:
	kfree(sf);
	return fd;
}

int stats_vm_fd(struct emys_vm *vm)
{
	return stats_fd("kvm-vm-stats", &stats_vm_set, vm, vm, "kvm-%d", vm->owner);
}

int stats_vcpu_fd(struct emys_vcpu *vcpu)
{
	return stats_fd("kvm-vcpu-stats", &stats_vcpu_set, vcpu, vcpu->vm, "kvm-%d/vcpu-%u",
			vcpu->vm->owner, vcpu->id);
}

/* -- debugfs --------------------------------------------------------------------- */

static struct dentry *stats_dir;

static int caps_show(struct seq_file *m, void *v)
{
	return vmx_caps_show(m, v);
}
DEFINE_SHOW_ATTRIBUTE(caps);

static int totals_show(struct seq_file *m, void *v)
{
	unsigned int vms = 0, vcpus = 0;
	struct emys_vm *vm;

	mutex_lock(&emys_vms_lock);
	list_for_each_entry(vm, &emys_vms, link) {
		vms++;
		vcpus += READ_ONCE(vm->nr_vcpus);
	}
	mutex_unlock(&emys_vms_lock);
	seq_printf(m, "vms: %u\nvcpus: %u\npages: %ld\nshared: %ld\n", vms, vcpus,
		   mem_pages_allocated(), mem_pages_shared());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(totals);

/* One line per counter that is not 0. */
static void show_set(struct seq_file *m, const struct stats_set *set, void *owner)
{
	unsigned int i;
	u64 val;

	for (i = 0; i < set->nr; i++) {
		val = set->read(owner, i);
		if (val)
			seq_printf(m, "    %s: %llu\n", set->names[i], val);
	}
}

static void show_vm(struct seq_file *m, struct emys_vm *vm)
{
	struct emys_vcpu *vcpu;
	unsigned int i;

	seq_printf(m, "vm %u: owner %d, vcpus %u%s\n", vm->id, vm->owner, READ_ONCE(vm->nr_vcpus),
		   READ_ONCE(vm->dead) ? ", dead" : "");
	show_set(m, &stats_vm_set, vm);
	emys_for_each_vcpu(i, vcpu, vm) {
		seq_printf(m, "  vcpu %u: cpu %d\n", vcpu->id, READ_ONCE(vcpu->cpu));
		show_set(m, &stats_vcpu_set, vcpu);
	}
}

static int vms_show(struct seq_file *m, void *v)
{
	struct emys_vm *vm;

	mutex_lock(&emys_vms_lock);
	list_for_each_entry(vm, &emys_vms, link)
		show_vm(m, vm);
	mutex_unlock(&emys_vms_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vms);

int stats_init(void)
{
	stats_dir = debugfs_create_dir("emys", NULL);
	debugfs_create_file("caps", 0444, stats_dir, NULL, &caps_fops);
	debugfs_create_file("stats", 0444, stats_dir, NULL, &totals_fops);
	debugfs_create_file("vms", 0444, stats_dir, NULL, &vms_fops);
	mem_debugfs_init(stats_dir);
	return 0;
}

void stats_exit(void)
{
	debugfs_remove(stats_dir);
}
