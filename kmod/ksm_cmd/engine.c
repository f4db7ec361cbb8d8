// SPDX-License-Identifier: GPL-2.0-only
/* Engines: one for each domain, its policy, objects and shared pages */

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "engine.h"

/* What the core calls a stable page: the owner's half of a shared page. */
struct engine_shared {
	struct dedup_stable core;
	struct mem_shared mem;
	struct dedup_engine *engine;
	struct llist_node gone;
};

static DEFINE_MUTEX(engines_lock);	/* engines, default_policy */
static DEFINE_XARRAY(engines);
static struct kmem_cache *item_cache, *shared_cache;

/* Off until somebody asks, as KSM is: merging is a side channel and takes time. */
static struct dedup_policy default_policy = {
	.algorithm = DEDUP_EMYS,
	.adaptive = true,
	.pages = 4096,
	.sleep_ms = 100,
	.cpu_permille = 100,
};

static const char * const names[DEDUP_ALGORITHMS] = {
	[DEDUP_EMYS] = "emys",
	[DEDUP_KSM] = "ksm",
	[DEDUP_CMD_ADDRESS] = "cmd-address",
	[DEDUP_CMD_COUNT] = "cmd-count",
	[DEDUP_CMD_SUBPAGE] = "cmd-subpage",
};

const char *emys_dedup_name(enum dedup_algorithm algorithm)
{
	return (unsigned int)algorithm < DEDUP_ALGORITHMS ? names[algorithm] : NULL;
}

/* -- what the core asks for ------------------------------------------ */

static struct dedup_object *owner_of(const struct dedup_item *item)
{
	return item->owner;
}

static const void *hold(struct dedup_item *item, void **page, bool large)
{
	struct mem_page p;

	*page = NULL;
	if (mem_page_get(owner_of(item)->obj, item->index, &p))
		return NULL;
	if (p.state != MEM_PRIVATE || (p.large && !large)) {
		mem_page_put(&p);
		return NULL;
	}
	*page = p.page;
	return page_address(p.page);
}

const void *dedup_hold(struct dedup_item *item, void **page)
{
	return hold(item, page, false);
}

const void *dedup_probed_hold(struct dedup_item *item, void **page)
{
	return hold(item, page, true);
}

static struct engine_shared *shared_of(const struct dedup_stable *node)
{
	return container_of(node, struct engine_shared, core);
}

const void *dedup_stable_hold(struct dedup_stable *node, void **page)
{
	*page = mem_shared_get(&shared_of(node)->mem);
	return *page ? page_address(*page) : NULL;
}

void dedup_release(void *page)
{
	put_page(page);
}

unsigned long dedup_stable_users(const struct dedup_stable *node)
{
	return READ_ONCE(shared_of(node)->mem.users);
}

/* Object lock held: only note it. */
static void shared_gone(struct mem_shared *mem)
{
	struct engine_shared *sh = container_of(mem, struct engine_shared, mem);

	llist_add(&sh->gone, &sh->engine->gone);
}

struct dedup_stable *dedup_stable_alloc(struct dedup_core *core)
{
	struct dedup_engine *engine = container_of(core, struct dedup_engine, core);
	struct engine_shared *sh;

	sh = kmem_cache_zalloc(shared_cache, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!sh)
		return NULL;
	sh->engine = engine;
	sh->mem.domain = engine->domain;
	sh->mem.gone = shared_gone;
	engine->nr_shared++;
	return &sh->core;
}

void dedup_stable_free(struct dedup_stable *node)
{
	struct engine_shared *sh = shared_of(node);

	sh->engine->nr_shared--;
	kmem_cache_free(shared_cache, sh);
}

void dedup_item_free(struct dedup_item *item, bool again)
{
	struct dedup_object *dobj = owner_of(item);
	unsigned long *late = again ? object_late(dobj, item->index) : NULL;
	u32 written;

	if (late)
		__set_bit(item->index % ENGINE_CHUNK, late);
	if (item->traced)
		mem_trace_end(dobj->obj, item->index, &written);
	xa_erase(&dobj->items, item->index);
	kmem_cache_free(item_cache, item);
}

int dedup_share(struct dedup_item *item, void *page, struct dedup_stable *node)
{
	return mem_share(owner_of(item)->obj, item->index, page, &shared_of(node)->mem);
}

int dedup_merge(struct dedup_item *item, void *page, struct dedup_stable *node, u64 *bytes)
{
	return mem_merge(owner_of(item)->obj, item->index, page, &shared_of(node)->mem, bytes);
}

int dedup_drop_zero(struct dedup_item *item, void *page, u64 *bytes)
{
	return mem_drop_zero(owner_of(item)->obj, item->index, page, bytes);
}

void dedup_unshare(struct dedup_item *item)
{
	/* Where there is no memory for a copy the page stays shared, alone */
	mem_unshare(owner_of(item)->obj, item->index, 1);
}

/* -- objects ------------------------------------------ */

struct dedup_item *object_item(struct dedup_object *dobj, pgoff_t index)
{
	struct dedup_item *item = xa_load(&dobj->items, index);

	if (item)
		return item;
	item = kmem_cache_zalloc(item_cache, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!item)
		return NULL;
	item->owner = dobj;
	item->index = index;
	if (xa_err(xa_store(&dobj->items, index, item, GFP_KERNEL_ACCOUNT | __GFP_NOWARN))) {
		kmem_cache_free(item_cache, item);
		return NULL;
	}
	return item;
}

static void drop_items(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t first,
		       pgoff_t end, bool all, const unsigned long *dirty)
{
	struct dedup_item *item;
	unsigned long index;

	if (first >= end)
		return;
	xa_for_each_range(&dobj->items, index, item, first, end - 1) {
		if (!all && item->place == DEDUP_PROBED &&
		    !(dirty && test_bit(index % ENGINE_CHUNK, dirty)))
			continue;
		dedup_forget(&engine->core, item);
		dedup_item_free(item, false);
		cond_resched();
	}
}

void object_drop_items(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t first,
		       pgoff_t end)
{
	drop_items(engine, dobj, first, end, true, NULL);
}

void object_drop_others(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t first,
			pgoff_t end, const unsigned long *dirty)
{
	drop_items(engine, dobj, first, end, false, dirty);
}

unsigned long *object_late(struct dedup_object *dobj, pgoff_t index)
{
	return xa_load(&dobj->late, index / ENGINE_CHUNK);
}

unsigned long *object_late_make(struct dedup_object *dobj, pgoff_t index)
{
	unsigned long *late = object_late(dobj, index);

	if (late)
		return late;
	late = bitmap_zalloc(ENGINE_CHUNK, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!late)
		return NULL;
	if (dobj->fresh)
		bitmap_fill(late, ENGINE_CHUNK);
	if (xa_err(xa_store(&dobj->late, index / ENGINE_CHUNK, late,
			    GFP_KERNEL_ACCOUNT | __GFP_NOWARN))) {
		bitmap_free(late);
		return NULL;
	}
	return late;
}

static void object_forget(struct dedup_engine *engine, struct dedup_object *dobj)
{
	unsigned long chunk, *late;

	object_drop_items(engine, dobj, 0, ULONG_MAX);
	xa_for_each(&dobj->late, chunk, late)
		bitmap_free(late);
	xa_destroy(&dobj->late);
	xa_destroy(&dobj->items);
	dobj->fresh = true;
}

void engine_go_on(struct dedup_engine *engine)
{
	struct dedup_object *dobj = engine->at;

	engine->at = list_is_last(&dobj->link, &engine->objects) ? NULL :
		     list_next_entry(dobj, link);
	engine->next = 0;
	engine->chunk = ULONG_MAX;
}

static void object_drop(struct dedup_engine *engine, struct dedup_object *dobj)
{
	object_forget(engine, dobj);
	if (engine->at == dobj)
		engine_go_on(engine);
	list_del(&dobj->link);
	mem_object_put(dobj->obj);
	kfree(dobj);
}

struct dedup_object *engine_object(struct dedup_engine *engine, struct mem_object *obj)
{
	struct dedup_object *dobj;

	lockdep_assert_held(&engine->lock);
	list_for_each_entry(dobj, &engine->objects, link)
		if (dobj->obj == obj)
			return dobj;
	dobj = kzalloc(sizeof(*dobj), GFP_KERNEL_ACCOUNT);
	if (!dobj)
		return NULL;
	mem_object_get(obj);
	dobj->obj = obj;
	dobj->id = mem_object_id(obj);
	dobj->fresh = true;
	xa_init(&dobj->items);
	xa_init(&dobj->late);
	list_add_tail(&dobj->link, &engine->objects);
	engine->used = true;
	return dobj;
}

void engine_reap(struct dedup_engine *engine)
{
	struct engine_shared *sh, *next;

	lockdep_assert_held(&engine->lock);
	if (llist_empty(&engine->gone))
		return;
	llist_for_each_entry_safe(sh, next, llist_del_all(&engine->gone), gone) {
		dedup_stable_gone(&engine->core, &sh->core);
		dedup_stable_free(&sh->core);
		cond_resched();
	}
}

static bool object_stays(const struct dedup_engine *engine, const struct dedup_object *dobj)
{
	return !mem_object_dead(dobj->obj) && mem_object_domain(dobj->obj) == engine->domain;
}

void engine_drop_left(struct dedup_engine *engine)
{
	struct dedup_object *dobj, *tmp;

	lockdep_assert_held(&engine->lock);
	engine_reap(engine);
	list_for_each_entry_safe(dobj, tmp, &engine->objects, link)
		if (!object_stays(engine, dobj))
			object_drop(engine, dobj);
}

int engine_sync(struct dedup_engine *engine)
{
	struct mem_object *obj;
	int err = 0;
	u64 end = 0;
	u32 id = 0;

	engine_drop_left(engine);
	while (!err && (obj = mem_object_next(id))) {
		id = mem_object_id(obj);
		if (mem_object_domain(obj) == engine->domain) {
			end = max_t(u64, end, mem_object_end(obj));
			if (!engine_object(engine, obj))
				err = -ENOMEM;
		}
		mem_object_put(obj);
	}
	engine->core.end = end;
	return err;
}

/* -- engines ------------------------------------------ */

static struct dedup_engine *engine_alloc(u32 domain, const struct dedup_policy *policy)
{
	struct dedup_engine *engine;

	engine = kzalloc(sizeof(*engine), GFP_KERNEL_ACCOUNT);
	if (!engine)
		return NULL;
	engine->dirty = bitmap_zalloc(ENGINE_CHUNK, GFP_KERNEL_ACCOUNT);
	if (!engine->dirty ||
	    dedup_core_init(&engine->core, policy->algorithm, policy->classes, get_random_u64())) {
		bitmap_free(engine->dirty);
		kfree(engine);
		return NULL;
	}
	engine->domain = domain;
	engine->policy = *policy;
	engine->rate = policy->pages;
	refcount_set(&engine->ref, 1);
	mutex_init(&engine->scan_lock);
	mutex_init(&engine->lock);
	INIT_LIST_HEAD(&engine->objects);
	init_llist_head(&engine->gone);
	return engine;
}

void engine_put(struct dedup_engine *engine)
{
	if (!refcount_dec_and_test(&engine->ref))
		return;
	dedup_core_destroy(&engine->core);
	bitmap_free(engine->dirty);
	mutex_destroy(&engine->lock);
	mutex_destroy(&engine->scan_lock);
	kfree(engine);
}

struct dedup_engine *engine_find(u32 domain)
{
	struct dedup_engine *engine;

	mutex_lock(&engines_lock);
	engine = xa_load(&engines, domain);
	if (engine)
		refcount_inc(&engine->ref);
	mutex_unlock(&engines_lock);
	return engine;
}

struct dedup_engine *engine_next(u32 after)
{
	struct dedup_engine *engine;
	unsigned long domain = after;

	mutex_lock(&engines_lock);
	engine = xa_find_after(&engines, &domain, U32_MAX, XA_PRESENT);
	if (engine)
		refcount_inc(&engine->ref);
	mutex_unlock(&engines_lock);
	return engine;
}

struct dedup_engine *engine_get(u32 domain)
{
	struct dedup_engine *engine;
	int err = -ENOMEM;

	if (!domain)
		return ERR_PTR(-EINVAL);
	mutex_lock(&engines_lock);
	engine = xa_load(&engines, domain);
	if (!engine) {
		engine = engine_alloc(domain, &default_policy);
		if (engine)
			err = xa_err(xa_store(&engines, domain, engine, GFP_KERNEL_ACCOUNT));
		if (err) {
			if (engine)
				engine_put(engine);
			engine = ERR_PTR(-ENOMEM);
		}
	}
	if (!IS_ERR(engine))
		refcount_inc(&engine->ref);
	mutex_unlock(&engines_lock);
	return engine;
}

bool engine_make_default(void)
{
	struct dedup_engine *engine;
	struct mem_object *obj;
	u32 domain, id = 0;

	if (!READ_ONCE(default_policy.run))
		return false;
	while ((obj = mem_object_next(id))) {
		id = mem_object_id(obj);
		domain = mem_object_domain(obj);
		mem_object_put(obj);
		engine = domain ? engine_get(domain) : NULL;
		if (!IS_ERR_OR_NULL(engine))
			engine_put(engine);
		cond_resched();
	}
	return true;
}

/*
 * A domain of a VM's own does not come back; a shared one is kept while somebody has set
 * its policy.
 */
void engine_retire(struct dedup_engine *engine)
{
	bool retire;

	mutex_lock(&engines_lock);
	mutex_lock(&engine->lock);
	/* The table's reference and the caller's: nobody is about to set a policy */
	retire = list_empty(&engine->objects) && !engine->nr_shared &&
		 (!engine->chosen || (engine->used && engine->domain >= MEM_DOMAIN_OWN)) &&
		 refcount_read(&engine->ref) == 2 && xa_erase(&engines, engine->domain);
	mutex_unlock(&engine->lock);
	mutex_unlock(&engines_lock);
	if (retire)
		engine_put(engine);
}

/* -- policy and counters ------------------------------------------ */

int engine_check_policy(const struct dedup_policy *policy, const char **bad)
{
	if ((unsigned int)policy->algorithm >= DEDUP_ALGORITHMS)
		*bad = "algorithm";
	else if (policy->classes > DEDUP_CLASSES)
		*bad = "classes";
	else if (!policy->pages || policy->pages > 1 << 20)
		*bad = "pages";
	else if (policy->sleep_ms > 3600000)
		*bad = "sleep_ms";
	else if (!policy->cpu_permille || policy->cpu_permille > 1000)
		*bad = "cpu_permille";
	else
		return 0;
	return -EINVAL;
}

void emys_dedup_default_get(struct dedup_policy *policy)
{
	mutex_lock(&engines_lock);
	*policy = default_policy;
	mutex_unlock(&engines_lock);
}

int emys_dedup_default_set(const struct dedup_policy *policy, const char **bad)
{
	int err = engine_check_policy(policy, bad);

	if (err)
		return err;
	mutex_lock(&engines_lock);
	default_policy = *policy;
	mutex_unlock(&engines_lock);
	thread_wake();
	return 0;
}

int emys_dedup_policy_get(u32 domain, struct dedup_policy *policy)
{
	struct dedup_engine *engine;

	if (!domain)
		return -EINVAL;
	engine = engine_find(domain);
	if (!engine) {
		emys_dedup_default_get(policy);
		return 0;
	}
	mutex_lock(&engine->lock);
	*policy = engine->policy;
	mutex_unlock(&engine->lock);
	engine_put(engine);
	return 0;
}

static int engine_set_policy(struct dedup_engine *engine, const struct dedup_policy *policy)
{
	struct dedup_object *dobj;
	int err = 0;

	lockdep_assert_held(&engine->lock);
	if (policy->algorithm != engine->policy.algorithm ||
	    policy->classes != engine->policy.classes) {
		engine_reap(engine);
		list_for_each_entry(dobj, &engine->objects, link)
			object_forget(engine, dobj);
		engine->in_pass = false;
		err = dedup_core_switch(&engine->core, policy->algorithm, policy->classes);
	}
	if (err)
		return err;
	engine->policy = *policy;
	engine->chosen = true;
	engine->rate = policy->pages;
	return 0;
}

int emys_dedup_policy_set(u32 domain, const struct dedup_policy *policy, const char **bad)
{
	struct dedup_engine *engine;
	int err;

	err = engine_check_policy(policy, bad);
	if (err)
		return err;
	engine = engine_get(domain);
	if (IS_ERR(engine)) {
		*bad = "domain";
		return PTR_ERR(engine);
	}
	mutex_lock(&engine->lock);
	err = engine_set_policy(engine, policy);
	mutex_unlock(&engine->lock);
	engine_put(engine);
	thread_wake();
	return err;
}

int emys_dedup_policy_remove(u32 domain)
{
	struct dedup_engine *engine = engine_find(domain);
	struct dedup_policy policy;
	int err;

	if (!engine)
		return -ENOENT;
	emys_dedup_default_get(&policy);
	mutex_lock(&engine->lock);
	err = engine_set_policy(engine, &policy);
	if (!err) {
		engine->chosen = false;
		engine_drop_left(engine);
	}
	mutex_unlock(&engine->lock);
	if (!err)
		engine_retire(engine);
	engine_put(engine);
	thread_wake();
	return err;
}

int emys_dedup_stats(u32 domain, struct dedup_stats *stats)
{
	struct dedup_engine *engine = engine_find(domain);

	if (!engine)
		return -ENOENT;
	mutex_lock(&engine->lock);
	engine_reap(engine);
	dedup_core_census(&engine->core);
	*stats = engine->core.stats;
	stats->rate = engine->rate;
	mutex_unlock(&engine->lock);
	engine_put(engine);
	return 0;
}

u64 emys_dedup_passes(u32 domain)
{
	struct dedup_engine *engine = engine_find(domain);
	u64 passes;

	if (!engine)
		return 0;
	passes = READ_ONCE(engine->core.stats.passes);
	engine_put(engine);
	return passes;
}

u32 emys_dedup_next(u32 after)
{
	unsigned long domain = after;
	void *engine;

	mutex_lock(&engines_lock);
	engine = xa_find_after(&engines, &domain, U32_MAX, XA_PRESENT);
	mutex_unlock(&engines_lock);
	return engine ? domain : 0;
}

int emys_dedup_reset(u32 domain)
{
	struct dedup_engine *engine = engine_find(domain);

	if (!engine)
		return -ENOENT;
	mutex_lock(&engine->lock);
	memset(&engine->core.stats, 0, sizeof(engine->core.stats));
	memset(&engine->begin, 0, sizeof(engine->begin));
	mutex_unlock(&engine->lock);
	engine_put(engine);
	return 0;
}

/* -- load and unload ------------------------------------------ */

static void engines_free(void)
{
	struct dedup_object *dobj, *tmp;
	struct dedup_engine *engine;
	unsigned long domain;

	xa_for_each(&engines, domain, engine) {
		mutex_lock(&engine->lock);
		list_for_each_entry_safe(dobj, tmp, &engine->objects, link)
			object_drop(engine, dobj);
		engine_reap(engine);
		WARN_ON_ONCE(engine->nr_shared);
		mutex_unlock(&engine->lock);
		engine_put(engine);
	}
	xa_destroy(&engines);
}

int emys_dedup_init(void)
{
	int err = -ENOMEM;

	item_cache = KMEM_CACHE(dedup_item, SLAB_ACCOUNT);
	shared_cache = KMEM_CACHE(engine_shared, SLAB_ACCOUNT);
	if (item_cache && shared_cache)
		err = thread_init();
	if (err) {
		kmem_cache_destroy(shared_cache);
		kmem_cache_destroy(item_cache);
	}
	return err;
}

void emys_dedup_exit(void)
{
	thread_exit();
	engines_free();
	kmem_cache_destroy(shared_cache);
	kmem_cache_destroy(item_cache);
}
