// SPDX-License-Identifier: GPL-2.0-only
/* Derived hierarchies: leaves, the reverse map, and what happens when EPT01 changes */

/*
 * DOC: derived leaves
 *
 *	gpa2 --owner's translation--> gpa1 --EPT01--> memory
 *	gpa2 ------------- EPT02 -------------------> memory
 *
 * A node per leaf of EPT02 stands in two trees: the VM's reverse map, by the frames of gpa1, for
 * who takes something from EPT01, and the hierarchy's, by the frame of gpa2, for the owner.
 * Leaves come one by one, under mmu_lock for reading and rmap_lock, so that leaf and node
 * are there together or not at all; they go, and lose rights and flags, under mmu_lock for writing.
 *
 * Where the owner's page is large and EPT01 has a table of small leaves under it, the derived
 * hierarchy links that table: one node for 2 MiB, and neither leaves of its own nor flags. The
 * node goes when the table does; everything else that happens to EPT01's leaves happens to it by
 * itself, but for the flush, and a hierarchy with links follows EPT01's generation for that.
 *
 * While there are derived hierarchies, EPT01 loses nothing under mmu_lock held for reading. It is
 * split there: then a derived leaf is larger than what it lies over, which costs no more than that
 * its flags speak for all of it.
 *
 * A dropped leaf hands its flags to EPT01's: dirty there means written, through whatever hierarchy.
 * Where a derived one has no flags, as its owner wants none, write access stands in for the dirty
 * flag, and being there for the accessed flag.
 */

#include <linux/interval_tree_generic.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "private.h"

#define DROP_MAX	1024	/* leaves per hold of mmu_lock */
#define MAP_TRIES	4	/* until the guest tries again */

static_assert(MEM_FAULT_READ == EPT_R && MEM_FAULT_WRITE == EPT_W && MEM_FAULT_EXEC == EPT_X);

#define node_first(n)	((n)->first)
#define node_last(n)	((n)->first + ept_level_gfns((n)->level) - 1)

INTERVAL_TREE_DEFINE(struct derived_node, rmap, u64, rmap_last, node_first, node_last,
		     static, rmap)

static gfn_t node_end2(const struct derived_node *n)
{
	return n->gfn2 + ept_level_gfns(n->level);
}

/* The first leaf of @d that touches @gfn2 or lies above. */
static struct derived_node *leaf_from(const struct mem_derived *d, gfn_t gfn2)
{
	struct rb_node *rb = d->leaves.rb_node;
	struct derived_node *n, *found = NULL;

	while (rb) {
		n = rb_entry(rb, struct derived_node, leaf);
		if (node_end2(n) > gfn2) {
			found = n;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return found;
}

static struct derived_node *leaf_next(const struct derived_node *n)
{
	return rb_entry_safe(rb_next(&n->leaf), struct derived_node, leaf);
}

static void leaf_insert(struct mem_derived *d, struct derived_node *n)
{
	struct rb_node **link = &d->leaves.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (n->gfn2 < rb_entry(parent, struct derived_node, leaf)->gfn2)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&n->leaf, parent, link);
	rb_insert_color(&n->leaf, &d->leaves);
}

/* -- leaves go ------------------------------------------------------------------------- */

/* What a derived leaf knew of accesses, in EPT01's terms. */
static void mark_origin(struct derived_node *n, u64 entry)
{
	struct mem_derived *d = n->d;

	if (!d->ept.fmt.ad)
		entry = EPT_A | (entry & EPT_W ? EPT_D : 0);
	if (entry & (EPT_A | EPT_D))
		ept_mark(&d->vm->mem.ept, n->first, node_last(n) + 1, entry & (EPT_A | EPT_D));
}

static void keep_flags(void *ctx, gfn_t gfn2, int level, u64 old)
{
	mark_origin(ctx, old);
}

static void node_drop(struct derived_node *n, enum mem_derived_why why)
{
	struct mem_derived *d = n->d;
	struct mem_derived_vm *v = &d->vm->mem.derived;
	struct ept_zap zap = { .leaf = keep_flags, .ctx = n };

	lockdep_assert_held_write(&d->vm->mem.mmu_lock);
	/* One leaf: no table goes with it */
	if (n->link)
		ept_unlink(&d->ept, n->gfn2 << PAGE_SHIFT);
	else
		ept_zap_range(&d->ept, n->gfn2, node_end2(n), 0, NULL, &zap);
	ept_gen_bump(&d->ept);
	rmap_remove(n, &v->rmap);
	rb_erase(&n->leaf, &d->leaves);
	d->nr_leaves--;
	d->drops++;
	WRITE_ONCE(v->drops[why], v->drops[why] + 1);
	WRITE_ONCE(v->nr_leaves, v->nr_leaves - 1);
	derived_node_free(n);
}

bool derived_drop(struct emys_vm *vm, gfn_t start, gfn_t end, int level, unsigned int max)
{
	struct emys_mem *mem = &vm->mem;
	struct derived_node *n, *next;
	bool any = false;

	lockdep_assert_held_write(&mem->mmu_lock);
	for (n = rmap_iter_first(&mem->derived.rmap, start, end - 1); n && max; n = next) {
		next = rmap_iter_next(n, start, end - 1);
		if (n->level < level)
			continue;
		/* The table that is linked stays, and loses what EPT01 does */
		if (n->link && (n->first < start || node_last(n) >= end))
			continue;
		node_drop(n, DERIVED_ORIGIN);
		any = true;
		max--;
	}
	if (any)
		atomic64_inc(&mem->zap_seq);
	return n;
}

void mem_derived_drop(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	if (derived_any(&vm->mem))
		derived_drop(vm, start, end, 1, UINT_MAX);
}

bool derived_drop_chunk(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	return derived_drop(vm, start, end, 1, DROP_MAX);
}

/* The same for gpa2 frames of one hierarchy. True: there are more. */
static bool drop_leaves(struct mem_derived *d, gfn_t start, gfn_t end, enum mem_derived_why why)
{
	struct emys_mem *mem = &d->vm->mem;
	struct derived_node *n, *next;
	unsigned int max = DROP_MAX;

	lockdep_assert_held_write(&mem->mmu_lock);
	n = leaf_from(d, start);
	if (n && n->gfn2 < end)
		atomic64_inc(&mem->zap_seq);
	for (; n && n->gfn2 < end; n = next) {
		if (!max--)
			return true;
		next = leaf_next(n);
		node_drop(n, why);
	}
	return false;
}

/* Leaves and, with @zap, tables. Leaves mmu_lock now and then. */
static void drop_range(struct mem_derived *d, gfn_t start, gfn_t end, struct ept_zap *zap,
		       enum mem_derived_why why)
{
	struct emys_mem *mem = &d->vm->mem;
	bool more;

	do {
		write_lock(&mem->mmu_lock);
		more = drop_leaves(d, start, end, why);
		if (!more && zap && ept_zap_range(&d->ept, start, end, 0, NULL, zap)) {
			ept_gen_bump(&d->ept);
			atomic64_inc(&mem->zap_seq);
			WRITE_ONCE(mem->derived.nr_tables,
				   mem->derived.nr_tables - zap->nr_tables);
		}
		write_unlock(&mem->mmu_lock);
		cond_resched();
	} while (more);
}

void derived_drop_all(struct mem_derived *d, enum mem_derived_why why)
{
	drop_range(d, 0, EPT_GFN_END, NULL, why);
}

/* -- EPT01 loses rights or flags --------------------------------------------------------- */

bool derived_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	struct emys_mem *mem = &vm->mem;
	struct derived_node *n;
	bool lost = false;

	lockdep_assert_held_write(&mem->mmu_lock);
	for (n = rmap_iter_first(&mem->derived.rmap, start, end - 1); n;
	     n = rmap_iter_next(n, start, end - 1)) {
		if (n->link || !ept_wrprot_range(&n->d->ept, n->gfn2, node_end2(n)))
			continue;
		ept_gen_bump(&n->d->ept);
		lost = true;
	}
	return lost;
}

static void pull_flags(void *ctx, gfn_t gfn2, int level, u64 bits)
{
	struct derived_node *n = ctx;

	ept_mark(&n->d->vm->mem.ept, n->first, node_last(n) + 1, bits);
}

/* True: who relies on it has to flush. May drop the node. */
static bool node_pull(struct derived_node *n, u64 want, u64 clear)
{
	struct mem_derived *d = n->d;
	bool ad = d->vm->mem.ept.fmt.ad;
	bool flush = false;

	/* The flags are EPT01's own */
	if (n->link)
		return false;
	/* Only an access is missed when the accessed flag is cleared and not flushed */
	if (ept_harvest(&d->ept, n->gfn2, node_end2(n), want, d->ept.fmt.ad ? clear : clear & EPT_D,
			pull_flags, n) && (clear & EPT_D)) {
		ept_gen_bump(&d->ept);
		flush = true;
	}
	/* Without flags a use shows when the leaf comes back */
	if (ad && !d->ept.fmt.ad && (clear & EPT_A)) {
		node_drop(n, DERIVED_ORIGIN);
		flush = true;
	}
	return flush;
}

void derived_pull(struct emys_vm *vm, gfn_t start, gfn_t end, u64 want, u64 clear)
{
	struct emys_mem *mem = &vm->mem;
	struct derived_node *n, *next;
	bool flush = false;

	lockdep_assert_held_write(&mem->mmu_lock);
	for (n = rmap_iter_first(&mem->derived.rmap, start, end - 1); n; n = next) {
		next = rmap_iter_next(n, start, end - 1);
		flush |= node_pull(n, want, clear);
	}
	if (flush)
		atomic64_inc(&mem->zap_seq);
}

/* -- leaves come --------------------------------------------------------------------------- */

/* rmap_lock held: leaf or link, and node, or none. 0, also when it is there; errno of the map. */
static int insert(struct emys_vcpu *vcpu, struct mem_derived *d, const struct derived_map *map,
		  const u64 *table)
{
	struct mem_derived_vm *v = &d->vm->mem.derived;
	struct derived_node *n = vcpu->derived_node;
	s64 tables = atomic64_read(&d->ept.tables);
	struct ept_walk walk;
	bool there;
	int err;

	lockdep_assert_held(&v->rmap_lock);
	if (table) {
		WRITE_ONCE(d->linked, true);
		there = ept_linked(&d->ept, map->gpa2);
		err = ept_link(&d->ept, &vcpu->ept_cache, map->gpa2, table, map->prot);
	} else {
		there = ept_walk(&d->ept, map->gpa2, &walk);
		err = ept_map(&d->ept, &vcpu->ept_cache, map->gpa2, map->hpa, map->level,
			      map->prot, map->memtype, map->flags);
	}
	tables = atomic64_read(&d->ept.tables) - tables;
	WRITE_ONCE(v->nr_tables, v->nr_tables + tables);
	if (err || there)
		return err == -EEXIST ? 0 : err;

	vcpu->derived_node = NULL;
	n->first = map->first;
	n->gfn2 = map->gpa2 >> PAGE_SHIFT;
	n->level = map->level;
	n->link = table;
	n->d = d;
	rmap_insert(n, &v->rmap);
	leaf_insert(d, n);
	d->nr_leaves++;
	WRITE_ONCE(v->nr_leaves, v->nr_leaves + 1);
	return 0;
}

/*
 * The table of EPT01 to link for the leaf of it at @walk, with @map changed accordingly; or NULL.
 * Not where the page is that the CPU watches, as that is not to be had through a leaf.
 */
static const u64 *link_instead(const struct mem_derived *d, const struct ept_walk *walk,
			       const struct mem_derived_leaf *outer, struct derived_map *map)
{
	gfn_t mask = ept_level_gfns(2) - 1;

	if (walk->level != 1 || outer->level < 2 || !(outer->rights & EPT_R) ||
	    d->ept.fmt.ad != d->vm->mem.ept.fmt.ad ||
	    !((map->first ^ LAPIC_DEFAULT_BASE >> PAGE_SHIFT) & ~mask))
		return NULL;
	map->first &= ~mask;
	map->gpa2 &= ~(ept_level_size(2) - 1);
	map->level = 2;
	map->prot = outer->rights & EPT_RWX;
	return PTR_ALIGN_DOWN(walk->ptr, PAGE_SIZE);
}

/*
 * 0; -EACCES: EPT01 has to be asked first; -ENXIO: no memory; -EAGAIN; -EIO; -EINVAL; errno of
 * ept_map().
 */
static int install(struct emys_vcpu *vcpu, struct mem_derived *d, u64 seq, u64 gpa2,
		   const struct mem_derived_leaf *outer, u32 access, struct derived_map *map)
{
	struct emys_vm *vm = vcpu->vm;
	struct emys_mem *mem = &vm->mem;
	struct ept_walk walk;
	const u64 *table;
	int err;

	lockdep_assert_held(&mem->mmu_lock);
	if (mem->dead)
		return -EIO;
	if (!ept_walk(&mem->ept, outer->gpa1, &walk))
		return -EACCES;
	/* What the CPU watches is a page of nobody's */
	if (ept_leaf_hpa(walk.val, walk.level) == page_to_phys(vm->vmx.apic_access))
		return -ENXIO;
	err = derived_compose(&d->ept.fmt, gpa2, outer, walk.val, walk.level, access, map);
	if (err)
		return err;
	table = link_instead(d, &walk, outer, map);

	spin_lock(&mem->derived.rmap_lock);
	/* Who invalidates looks for leaves under this lock, after it has raised seq */
	if ((u64)atomic64_read(&d->seq) != seq)
		err = -EAGAIN;
	else
		err = insert(vcpu, d, map, table);
	spin_unlock(&mem->derived.rmap_lock);
	return err;
}

static int prepare(struct emys_vcpu *vcpu)
{
	if (!vcpu->derived_node)
		vcpu->derived_node = derived_node_alloc();
	if (!vcpu->derived_node)
		return -ENOMEM;
	return ept_cache_fill(&vcpu->ept_cache, EPT_CACHE_MAP);
}

/* Something else is mapped where @map is to be: small leaves, or other memory. */
static void make_way(struct mem_derived *d, const struct derived_map *map, bool tables)
{
	gfn_t gfn2 = map->gpa2 >> PAGE_SHIFT;
	struct ept_zap zap = {};

	drop_range(d, gfn2, gfn2 + ept_level_gfns(map->level), tables ? &zap : NULL,
		   DERIVED_OWNER);
	if (!zap.tables)
		return;
	mem_flush(d->vm);
	ept_zap_free(&zap);
}

int mem_derived_map(struct emys_vcpu *vcpu, struct mem_derived *d, u64 seq, u64 gpa2,
		    const struct mem_derived_leaf *leaf, u32 access)
{
	struct emys_mem *mem = &vcpu->vm->mem;
	struct derived_map map;
	int err, tries;

	atomic64_inc(&d->faults);
	derived_make_room(vcpu->vm);
	for (tries = 0; tries < MAP_TRIES; tries++) {
		err = prepare(vcpu);
		if (err)
			return err;
		read_lock(&mem->mmu_lock);
		err = install(vcpu, d, seq, gpa2, leaf, access, &map);
		read_unlock(&mem->mmu_lock);
		switch (err) {
		case 0:
		case -EAGAIN:
			return MEM_MAPPED;
		case -ENXIO:
			return MEM_MMIO;
		case -EACCES:
			err = mem_fault(vcpu, leaf->gpa1, access);
			if (err != MEM_MAPPED)
				return err;
			break;
		case -EBUSY:
		case -ENOTEMPTY:
			make_way(d, &map, err == -ENOTEMPTY);
			break;
		case -ENOMEM:
			break;
		default:
			return err;
		}
	}
	return MEM_MAPPED;
}

/* -- invalidations ------------------------------------------------------------------------- */

static void invalidation_begin(struct mem_derived *d)
{
	atomic64_inc(&d->seq);
	smp_mb__after_atomic();	/* pairs with mem_derived_begin() */
}

void mem_derived_zap(struct mem_derived *d, gfn_t start, gfn_t end)
{
	invalidation_begin(d);
	drop_range(d, start, end, NULL, DERIVED_OWNER);
}

void derived_clear(struct mem_derived *d, enum mem_derived_why why)
{
	struct ept_zap zap = {};

	invalidation_begin(d);
	drop_range(d, 0, EPT_GFN_END, &zap, why);
	mem_flush(d->vm);
	ept_zap_free(&zap);
}

void mem_derived_clear(struct mem_derived *d)
{
	derived_clear(d, DERIVED_OWNER);
}

/* A leaf as it was when a chunk of them was collected, and what is to be done about it. */
struct seen_leaf {
	gfn_t gfn2;
	gfn_t first;
	u64 entry;
	u8 level;
	enum { LEAF_KEEP, LEAF_WRPROT, LEAF_DROP } verdict;
};

#define SEEN_MAX	(PAGE_SIZE / sizeof(struct seen_leaf))

static unsigned int collect(struct mem_derived *d, gfn_t gfn2, struct seen_leaf *seen)
{
	struct emys_mem *mem = &d->vm->mem;
	struct derived_node *n;
	struct ept_walk walk;
	unsigned int nr = 0;

	read_lock(&mem->mmu_lock);
	spin_lock(&mem->derived.rmap_lock);
	for (n = leaf_from(d, gfn2); n && nr < SEEN_MAX; n = leaf_next(n)) {
		ept_walk(&d->ept, n->gfn2 << PAGE_SHIFT, &walk);
		seen[nr++] = (struct seen_leaf){
			.gfn2 = n->gfn2, .first = n->first, .level = n->level,
			.entry = n->link ? ept_linked(&d->ept, n->gfn2 << PAGE_SHIFT) : walk.val,
		};
	}
	spin_unlock(&mem->derived.rmap_lock);
	read_unlock(&mem->mmu_lock);
	return nr;
}

static void judge(struct seen_leaf *s, int ret, const struct mem_derived_leaf *now)
{
	u64 more;

	s->verdict = LEAF_DROP;
	if (ret || now->gpa1 != s->first << PAGE_SHIFT || now->level < s->level)
		return;
	more = s->entry & EPT_RWX & ~now->rights;
	if (!more)
		s->verdict = LEAF_KEEP;
	else if (more == EPT_W)
		s->verdict = LEAF_WRPROT;
}

/*
 * The leaves may have changed since they were collected, but not in a way that matters: who maps
 * anew has looked after the invalidation began, and its leaf may go like any other.
 */
static void carry_out(struct mem_derived *d, const struct seen_leaf *seen, unsigned int nr)
{
	struct emys_mem *mem = &d->vm->mem;
	struct derived_node *n;
	bool changed = false;
	unsigned int i;

	write_lock(&mem->mmu_lock);
	for (i = 0; i < nr; i++) {
		if (seen[i].verdict == LEAF_KEEP)
			continue;
		n = leaf_from(d, seen[i].gfn2);
		if (!n || n->gfn2 != seen[i].gfn2)
			continue;
		if (seen[i].verdict == LEAF_DROP || n->link) {
			node_drop(n, DERIVED_OWNER);
		} else {
			if (!ept_wrprot_range(&d->ept, n->gfn2, node_end2(n)))
				continue;
			ept_gen_bump(&d->ept);
		}
		changed = true;
	}
	if (changed)
		atomic64_inc(&mem->zap_seq);
	write_unlock(&mem->mmu_lock);
}

int mem_derived_revalidate(struct mem_derived *d,
			   int (*fn)(void *ctx, u64 gpa2, struct mem_derived_leaf *now), void *ctx)
{
	struct seen_leaf *seen = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	struct mem_derived_leaf now;
	unsigned int i, nr, bad;
	gfn_t from = 0;
	int err = 0;

	if (!seen) {
		mem_derived_clear(d);
		return 0;
	}
	invalidation_begin(d);
	while ((nr = collect(d, from, seen))) {
		for (i = 0, bad = 0; i < nr; i++) {
			int ret = fn(ctx, seen[i].gfn2 << PAGE_SHIFT, &now);

			judge(&seen[i], ret, &now);
			bad += seen[i].verdict != LEAF_KEEP;
		}
		if (bad)
			carry_out(d, seen, nr);
		from = seen[nr - 1].gfn2 + ept_level_gfns(seen[nr - 1].level);
		if (fatal_signal_pending(current)) {
			mem_derived_clear(d);
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	kfree(seen);
	return err;
}

/* -- for debugfs --------------------------------------------------------------------------- */

/* Does the link name the table that EPT01 has there? */
static bool link_good(const struct derived_node *n)
{
	u64 link = ept_linked(&n->d->ept, n->gfn2 << PAGE_SHIFT);
	struct ept_walk origin;

	ept_walk(&n->d->vm->mem.ept, n->first << PAGE_SHIFT, &origin);
	return ept_present(link) && origin.level == 1 &&
	       (link & EPT_ADDR_MASK) == __pa(PTR_ALIGN_DOWN(origin.ptr, PAGE_SIZE));
}

/* Is the leaf of @n there, over EPT01's, with no more than these allow? */
static bool node_good(const struct derived_node *n)
{
	const struct emys_mem *mem = &n->d->vm->mem;
	struct ept_walk leaf, origin;
	gfn_t i, step;
	hpa_t hpa;

	if (n->link)
		return link_good(n);
	if (!ept_walk(&n->d->ept, n->gfn2 << PAGE_SHIFT, &leaf) || leaf.level != n->level)
		return false;
	for (i = 0; i < ept_level_gfns(n->level); i += step) {
		u64 gpa1 = (n->first + i) << PAGE_SHIFT;

		if (!ept_walk(&mem->ept, gpa1, &origin))
			return false;
		hpa = ept_leaf_hpa(origin.val, origin.level) |
		      (gpa1 & (ept_level_size(origin.level) - 1));
		if (hpa != ept_leaf_hpa(leaf.val, leaf.level) + (i << PAGE_SHIFT))
			return false;
		if (leaf.val & EPT_W & ~origin.val)
			return false;
		step = ept_level_gfns(min(origin.level, n->level));
	}
	return true;
}

unsigned long derived_wrong(struct emys_vm *vm)
{
	struct mem_derived_vm *v = &vm->mem.derived;
	unsigned long wrong = 0, nr = 0;
	struct derived_node *n;

	lockdep_assert_held_write(&vm->mem.mmu_lock);
	for (n = rmap_iter_first(&v->rmap, 0, ~0ULL); n; n = rmap_iter_next(n, 0, ~0ULL)) {
		wrong += !node_good(n);
		nr++;
	}
	return wrong + (nr != v->nr_leaves);
}
