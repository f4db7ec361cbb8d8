// SPDX-License-Identifier: GPL-2.0-only
/* The derived hierarchies of a VM: which there are, and how much memory they may have */

/*
 * A VM keeps the hierarchies that were used last, in use or not, so that who comes back to
 * one finds it filled. Their tables and nodes are bounded: above the limit, and when the host is
 * short of memory, those that nobody uses go, least recently used first; then those in use are
 * emptied, and fill again by faults.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "../compat/shrinker.h"
#include "private.h"

#define KEEP_MAX	32	/* hierarchies beyond two for each vCPU */
#define ROOT_MIN	64	/* pages that each may have in any case */

static unsigned long ept02_pages;
module_param(ept02_pages, ulong, 0644);
MODULE_PARM_DESC(ept02_pages, "Pages for the EPT02s of one VM (default 0: 1/64 of the host's memory)");

static struct kmem_cache *node_cache;
static struct shrinker *shrinker;

struct derived_node *derived_node_alloc(void)
{
	return kmem_cache_alloc(node_cache, GFP_KERNEL_ACCOUNT);
}

void derived_node_free(struct derived_node *n)
{
	kmem_cache_free(node_cache, n);
}

/* -- one of them ----------------------------------------------------------------------------- */

/* No CPU runs on it. A CPU's cached translations go when somebody else gets its root table. */
static void derived_release(struct kref *ref)
{
	struct mem_derived *d = container_of(ref, struct mem_derived, ref);
	struct emys_mem *mem = &d->vm->mem;

	derived_drop_all(d, d->gone);
	write_lock(&mem->mmu_lock);
	mem->derived.roots--;
	WRITE_ONCE(mem->derived.nr_tables,
		   mem->derived.nr_tables - atomic64_read(&d->ept.tables));
	write_unlock(&mem->mmu_lock);
	atomic64_add(atomic64_read(&d->faults), &mem->derived.faults);
	ept_destroy(&d->ept);
	free_percpu(d->seen);
	kfree(d);
}

void mem_derived_put(struct mem_derived *d)
{
	if (d)
		kref_put(&d->ref, derived_release);
}

/* One more exists. -EIO: the VM is dead. */
static int derived_announce(struct emys_mem *mem)
{
	int err = 0;

	/* Whoever holds mmu_lock after this, if only for reading, looks for derived leaves */
	write_lock(&mem->mmu_lock);
	if (mem->dead) {
		err = -EIO;
	} else {
		mem->derived.roots++;
		WRITE_ONCE(mem->derived.nr_tables, mem->derived.nr_tables + 1);
	}
	write_unlock(&mem->mmu_lock);
	return err;
}

static struct mem_derived *derived_alloc(struct emys_vm *vm, u64 key, bool ad)
{
	struct mem_derived *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	struct ept_format fmt = vm->mem.ept.fmt;
	int err = -ENOMEM;

	if (!d)
		return ERR_PTR(err);
	fmt.ad &= ad;
	fmt.spp = false;
	d->vm = vm;
	d->origin = &vm->mem.ept;
	d->key = key;
	d->leaves = RB_ROOT;
	kref_init(&d->ref);
	INIT_LIST_HEAD(&d->link);
	d->seen = alloc_percpu_gfp(u64, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!d->seen)
		goto free;
	err = ept_init(&d->ept, &fmt);
	if (err)
		goto free_seen;
	err = derived_announce(&vm->mem);
	if (err)
		goto destroy_ept;
	return d;

destroy_ept:
	ept_destroy(&d->ept);
free_seen:
	free_percpu(d->seen);
free:
	kfree(d);
	return ERR_PTR(err);
}

/* -- all of them ----------------------------------------------------------------------------- */

static struct mem_derived *find_locked(struct mem_derived_vm *v, u64 key)
{
	struct mem_derived *d;

	lockdep_assert_held(&v->lock);
	list_for_each_entry(d, &v->list, link) {
		if (d->key != key)
			continue;
		kref_get(&d->ref);
		list_move(&d->link, &v->list);
		return d;
	}
	return NULL;
}

struct mem_derived *mem_derived_find(struct emys_vm *vm, u64 key)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d;

	spin_lock(&v->lock);
	d = find_locked(v, key);
	spin_unlock(&v->lock);
	return d;
}

/* Off the list, whose reference is the caller's then. */
static struct mem_derived *unlist(struct mem_derived_vm *v, struct mem_derived *d,
				  enum mem_derived_why why)
{
	lockdep_assert_held(&v->lock);
	list_del_init(&d->link);
	v->nr--;
	d->gone = why;
	return d;
}

/* The least recently used that nobody but the list has, off it; or NULL. */
static struct mem_derived *unlist_idle(struct mem_derived_vm *v, enum mem_derived_why why)
{
	struct mem_derived *d;

	lockdep_assert_held(&v->lock);
	list_for_each_entry_reverse(d, &v->list, link) {
		if (kref_read(&d->ref) != 1)
			continue;
		v->evictions += why != DERIVED_OWNER;
		return unlist(v, d, why);
	}
	return NULL;
}

struct mem_derived *mem_derived_create(struct emys_vm *vm, u64 key, bool ad)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d, *other, *old = NULL;

	d = mem_derived_find(vm, key);
	if (d)
		return d;
	d = derived_alloc(vm, key, ad);
	if (IS_ERR(d))
		return d;

	spin_lock(&v->lock);
	other = find_locked(v, key);
	if (!other) {
		kref_get(&d->ref);
		list_add(&d->link, &v->list);
		if (++v->nr > KEEP_MAX + 2 * emys_nr_vcpus(vm))
			old = unlist_idle(v, DERIVED_LIMIT);
	}
	spin_unlock(&v->lock);
	mem_derived_put(old);
	if (!other)
		return d;
	mem_derived_put(d);
	return other;
}

void mem_derived_forget(struct emys_vm *vm)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d;

	do {
		spin_lock(&v->lock);
		d = list_first_entry_or_null(&v->list, struct mem_derived, link);
		if (d)
			unlist(v, d, DERIVED_OWNER);
		spin_unlock(&v->lock);
		mem_derived_put(d);
	} while (d);
}

void mem_derived_forget_idle(struct emys_vm *vm)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d;

	do {
		spin_lock(&v->lock);
		d = unlist_idle(v, DERIVED_OWNER);
		spin_unlock(&v->lock);
		mem_derived_put(d);
	} while (d);
}

static void forget_work(struct work_struct *work)
{
	mem_derived_forget_idle(container_of(to_delayed_work(work), struct emys_vm,
					     mem.derived.forget));
}

void mem_derived_forget_later(struct emys_vm *vm)
{
	mod_delayed_work(system_unbound_wq, &vm->mem.derived.forget, HZ);
}

struct mem_derived **mem_derived_all(struct emys_vm *vm, unsigned int *nr)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived **all, *d;
	unsigned int room;

	for (*nr = 0; ; kfree(all)) {
		room = READ_ONCE(v->nr) + 1;
		all = kcalloc(room, sizeof(*all), GFP_KERNEL_ACCOUNT);
		if (!all)
			return NULL;
		spin_lock(&v->lock);
		if (v->nr <= room)
			break;
		spin_unlock(&v->lock);
	}
	list_for_each_entry(d, &v->list, link) {
		kref_get(&d->ref);
		all[(*nr)++] = d;
	}
	spin_unlock(&v->lock);
	return all;
}

void derived_vm_init(struct emys_vm *vm)
{
	struct mem_derived_vm *v = &vm->mem.derived;

	spin_lock_init(&v->lock);
	spin_lock_init(&v->rmap_lock);
	INIT_LIST_HEAD(&v->list);
	INIT_DELAYED_WORK(&v->forget, forget_work);
	v->rmap = RB_ROOT_CACHED;
}

/* -- memory ------------------------------------------------------------------------------------ */

static unsigned long derived_pages(struct emys_vm *vm)
{
	const struct mem_derived_vm *v = &vm->mem.derived;

	return READ_ONCE(v->nr_tables) +
	       DIV_ROUND_UP(READ_ONCE(v->nr_leaves) * sizeof(struct derived_node), PAGE_SIZE);
}

/* Each needs some tables at a time, or the vCPUs on them get nowhere. */
static unsigned long pages_max(struct emys_vm *vm)
{
	unsigned long max = READ_ONCE(ept02_pages) ?: totalram_pages() / 64;

	return max(max, (READ_ONCE(vm->mem.derived.roots) + 1UL) * ROOT_MIN);
}

/* Free the memory of one hierarchy. False: there is none. */
static bool reclaim_one(struct emys_vm *vm, enum mem_derived_why why)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d;
	bool used = false;

	spin_lock(&v->lock);
	d = unlist_idle(v, why);
	if (!d && !list_empty(&v->list)) {
		d = list_last_entry(&v->list, struct mem_derived, link);
		kref_get(&d->ref);
		list_move(&d->link, &v->list);
		v->evictions++;
		used = true;
	}
	spin_unlock(&v->lock);
	if (!d)
		return false;
	if (used)
		derived_clear(d, why);
	mem_derived_put(d);
	return true;
}

void derived_make_room(struct emys_vm *vm)
{
	unsigned long max = pages_max(vm);
	unsigned int tries = READ_ONCE(vm->mem.derived.nr);

	/* Each once: empty ones in use have a root table still */
	while (derived_pages(vm) >= max && tries-- && reclaim_one(vm, DERIVED_LIMIT))
		;
}

/* The VM whose derived hierarchies have most, or NULL. emys_vms_lock held. */
static struct emys_vm *largest_vm(unsigned long *pages)
{
	struct emys_vm *vm, *found = NULL;
	unsigned long n;

	*pages = 0;
	list_for_each_entry(vm, &emys_vms, link) {
		n = derived_pages(vm);
		if (n > *pages) {
			*pages = n;
			found = vm;
		}
	}
	return found;
}

/*
 * Whoever allocates may hold emys_vms_lock: not waited for. Besides it only locks are taken under
 * which nobody allocates, and vCPUs are waited for, as the mmu notifier does in the same place.
 */
static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	struct emys_vm *vm;
	unsigned long sum = 0;

	if (!mutex_trylock(&emys_vms_lock))
		return 0;
	list_for_each_entry(vm, &emys_vms, link)
		sum += derived_pages(vm);
	mutex_unlock(&emys_vms_lock);
	return sum ?: SHRINK_EMPTY;
}

static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long before, after, freed = 0;
	struct emys_vm *vm;

	if (!mutex_trylock(&emys_vms_lock))
		return SHRINK_STOP;
	while (freed < sc->nr_to_scan) {
		vm = largest_vm(&before);
		if (!vm || !reclaim_one(vm, DERIVED_SHRINKER))
			break;
		after = derived_pages(vm);
		if (after >= before)
			break;
		freed += before - after;
	}
	mutex_unlock(&emys_vms_lock);
	return freed ?: SHRINK_STOP;
}

/* -- what userspace sees -------------------------------------------------------------------- */

void mem_derived_counts(struct emys_vm *vm, struct mem_derived_counts *c)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived *d;

	*c = (struct mem_derived_counts){
		.leaves = READ_ONCE(v->nr_leaves),
		.tables = READ_ONCE(v->nr_tables),
		.pages = derived_pages(vm),
		.faults = atomic64_read(&v->faults),
		.drops_zap = READ_ONCE(v->drops[DERIVED_ORIGIN]),
		.drops_l1 = READ_ONCE(v->drops[DERIVED_OWNER]),
		.drops_limit = READ_ONCE(v->drops[DERIVED_LIMIT]),
		.drops_shrinker = READ_ONCE(v->drops[DERIVED_SHRINKER]),
	};
	spin_lock(&v->lock);
	c->roots = v->nr;
	c->evictions = v->evictions;
	list_for_each_entry(d, &v->list, link)
		c->faults += atomic64_read(&d->faults);
	spin_unlock(&v->lock);
}

/*
 * One line per VM, then one per hierarchy that it keeps:
 *
 *	vm ID and the counters, by name; wrong N: leaves that are not as they must be, always 0
 *	root ID KEY leaves N tables N faults N drops N
 */
static void show_vm(struct seq_file *m, struct emys_vm *vm)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	struct mem_derived_counts c;
	struct mem_derived *d;
	unsigned long wrong;

	mem_derived_counts(vm, &c);
	write_lock(&vm->mem.mmu_lock);
	wrong = derived_wrong(vm);
	write_unlock(&vm->mem.mmu_lock);
	seq_printf(m, "vm %u roots %llu leaves %llu tables %llu pages %llu faults %llu drops %llu wrong %lu\n",
		   vm->id, c.roots, c.leaves, c.tables, c.pages, c.faults,
		   c.drops_zap + c.drops_l1 + c.drops_limit + c.drops_shrinker, wrong);
	spin_lock(&v->lock);
	list_for_each_entry(d, &v->list, link)
		seq_printf(m, "root %u 0x%llx leaves %lu tables %lld faults %lld drops %llu\n",
			   vm->id, d->key, READ_ONCE(d->nr_leaves),
			   atomic64_read(&d->ept.tables), atomic64_read(&d->faults),
			   READ_ONCE(d->drops));
	spin_unlock(&v->lock);
}

static int derived_show(struct seq_file *m, void *unused)
{
	struct emys_vm *vm;

	mutex_lock(&emys_vms_lock);
	list_for_each_entry(vm, &emys_vms, link)
		show_vm(m, vm);
	mutex_unlock(&emys_vms_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(derived);

void derived_debugfs_init(struct dentry *dir)
{
	debugfs_create_file("derived", 0400, dir, NULL, &derived_fops);
}

int mem_derived_init(void)
{
	node_cache = kmem_cache_create("emys_derived", sizeof(struct derived_node), 0,
				       SLAB_ACCOUNT, NULL);
	if (!node_cache)
		return -ENOMEM;
	shrinker = compat_shrinker_new("emys-ept02", shrink_count, shrink_scan);
	if (!shrinker) {
		kmem_cache_destroy(node_cache);
		return -ENOMEM;
	}
	return 0;
}

void mem_derived_exit(void)
{
	compat_shrinker_free(shrinker);
	kmem_cache_destroy(node_cache);
}
