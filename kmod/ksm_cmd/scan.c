// SPDX-License-Identifier: GPL-2.0-only
/* The scan: passes over the objects of a domain, and what is looked at out of turn */

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/timex.h>

#include "../notice.h"
#include "engine.h"

#define SLICE		512U	/* pages in one hold of the engine's lock, without a budget */
#define SKIP_COST	64	/* pages known not to have changed that count as one */

/* Which pages are traced: one in so many, others in each pass; and how many in a pass at most */
#define TRACE_ONE_OF	16
#define TRACE_STRIDE	7
#define TRACE_MOST	64

/* -- one page ------------------------------------------ */

/* Is the page a candidate? Then it is held. */
static bool candidate(struct dedup_object *dobj, pgoff_t index, bool large, struct mem_page *p)
{
	if (mem_page_get(dobj->obj, index, p))
		return false;
	if (p->state == MEM_PRIVATE && (large || !p->large))
		return true;
	mem_page_put(p);
	return false;
}

/*
 * cmd-subpage counts what changed, by hashes, for what was written. Where the CPU can tell what
 * was written, it does so for a sample of the pages, to be compared. The trace begins before
 * the page is hashed and ends after it was hashed again, so that it misses no change.
 */
static void trace_begin(struct dedup_engine *engine, struct dedup_item *item)
{
	struct dedup_object *dobj = item->owner;

	if (engine->policy.algorithm != DEDUP_CMD_SUBPAGE || !engine->traces || item->traced ||
	    (item->index * TRACE_STRIDE + engine->core.seq) % TRACE_ONE_OF)
		return;
	if (mem_trace_begin(dobj->obj, item->index))
		return;
	item->traced = true;
	engine->traces--;
}

static void trace_end(struct dedup_engine *engine, struct dedup_item *item, u64 old)
{
	struct dedup_object *dobj = item->owner;
	struct dedup_stats *s = &engine->core.stats;
	u32 written, mask = GENMASK(MEM_TRACE_PARTS / DEDUP_SUBPAGES - 1, 0);
	bool wrote, changed;
	int i;

	item->traced = false;
	if (mem_trace_end(dobj->obj, item->index, &written))
		return;
	s->traced++;
	for (i = 0; i < DEDUP_SUBPAGES; i++) {
		wrote = written >> i * (MEM_TRACE_PARTS / DEDUP_SUBPAGES) & mask;
		changed = (u16)(item->hash >> 16 * i) != (u16)(old >> 16 * i);
		s->trace_written += wrote;
		s->trace_changed += wrote && changed;
		s->trace_other += !wrote && changed;
	}
}

/* ksm, cmd-*: false: it is no candidate. */
static bool visit(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t index, bool dirty)
{
	struct dedup_item *item;
	struct mem_page p;
	bool traced;
	u64 old;
	int r;

	if (!candidate(dobj, index, false, &p))
		return false;
	engine->core.stats.scanned++;
	item = object_item(dobj, index);
	/* Without memory for it a page is passed by; the next pass comes */
	if (!item)
		goto out;
	traced = item->traced;
	old = item->hash;
	if (!traced)
		trace_begin(engine, item);
	r = dedup_visit(&engine->core, item, page_address(p.page), p.page, dirty);
	if (traced && r != DEDUP_GONE)
		trace_end(engine, item, old);
out:
	mem_page_put(&p);
	return true;
}

/* emys: the page was written, or is late. false: it is no candidate. */
static bool look(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t index, bool dirty,
		 unsigned long *late)
{
	unsigned long bit = index % ENGINE_CHUNK;
	bool again = test_bit(bit, late) && !dobj->fresh;
	struct dedup_core *core = &engine->core;
	struct dedup_item *item;
	struct mem_page p;
	int r = -ENOMEM;

	if (!candidate(dobj, index, false, &p))
		return false;
	core->stats.scanned++;
	dobj->visited++;
	if (dirty && again) {
		core->stats.volatile_++;
		object_drop_items(engine, dobj, index, index + 1);
		goto out;
	}
	__clear_bit(bit, late);
	item = object_item(dobj, index);
	if (item && dirty)
		r = dedup_glance(core, item, page_address(p.page), p.page);
	else if (item)
		r = dedup_settle(core, item, page_address(p.page), p.page);
	if (r == DEDUP_LATER || r < 0)
		__set_bit(bit, late);
out:
	mem_page_put(&p);
	return true;
}

/* -- a pass ------------------------------------------ */

static void object_next(struct dedup_engine *engine)
{
	struct dedup_object *dobj = engine->at;
	struct mem_counts c;
	u64 small;

	if (engine->policy.algorithm == DEDUP_EMYS) {
		mem_object_counts(dobj->obj, &c);
		small = c.state[MEM_PRIVATE] - c.blocks * MEM_BLOCK_PAGES;
		if (small > dobj->visited) {
			engine->core.stats.scanned += small - dobj->visited;
			engine->core.stats.skipped += small - dobj->visited;
		}
		dobj->visited = 0;
		dobj->fresh = false;
	}
	engine_go_on(engine);
}

/* Which pages of the chunk at engine->next were written. The pages ahead, or -errno. */
static long harvest(struct dedup_engine *engine, pgoff_t end)
{
	pgoff_t first = round_down(engine->next, ENGINE_CHUNK);
	unsigned long n = min(end - first, ENGINE_CHUNK);
	int err;

	if (engine->chunk != first) {
		bitmap_zero(engine->dirty, ENGINE_CHUNK);
		err = mem_harvest(engine->at->obj, first, n, engine->dirty, NULL);
		if (err)
			return err;
		engine->chunk = first;
	}
	return first + n - engine->next;
}

/* emys: the next page at or behind @bit that was written or is late. */
static unsigned long next_work(const unsigned long *dirty, const unsigned long *late,
			       unsigned long bit, unsigned long n)
{
	unsigned long i = find_next_bit(dirty, n, bit);

	return min(i, find_next_bit(late, n, bit));
}

/* Part of one chunk. Returns what it cost, or -errno. */
static long step_emys(struct dedup_engine *engine, long budget)
{
	struct dedup_object *dobj = engine->at;
	pgoff_t end = mem_object_end(dobj->obj);
	unsigned long *late, bit, n;
	long cost = 0, left;
	pgoff_t first, next;

	if (engine->next >= end) {
		object_next(engine);
		return 1;
	}
	late = object_late_make(dobj, engine->next);
	if (!late)
		return -ENOMEM;
	left = harvest(engine, end);
	if (left < 0)
		return left;
	first = engine->chunk;
	bit = engine->next - first;
	n = bit + left;
	while (cost < budget) {
		bit = next_work(engine->dirty, late, bit, n);
		if (bit >= n)
			break;
		cost++;
		if (look(engine, dobj, first + bit, test_bit(bit, engine->dirty), late)) {
			bit++;
			continue;
		}
		/* Nor is what is between here and the next candidate */
		next = mem_page_next(dobj->obj, first + bit + 1, false);
		next = min_t(pgoff_t, next, first + n);
		object_drop_others(engine, dobj, first + bit, next, engine->dirty);
		bitmap_clear(late, bit, next - first - bit);
		bit = next - first;
	}
	engine->next = first + min(bit, n);
	return cost + left / SKIP_COST + 1;
}

static long step_ksm(struct dedup_engine *engine, long budget)
{
	struct dedup_object *dobj = engine->at;
	bool counting = engine->policy.algorithm == DEDUP_CMD_COUNT;
	pgoff_t end = mem_object_end(dobj->obj), next;
	bool dirty = false;
	long cost = 0, left;

	while (cost < budget) {
		next = min(mem_page_next(dobj->obj, engine->next, false), end);
		object_drop_others(engine, dobj, engine->next, next, NULL);
		engine->next = next;
		if (next >= end) {
			object_next(engine);
			return cost + 1;
		}
		if (counting) {
			left = harvest(engine, end);
			if (left < 0)
				return left;
			dirty = test_bit(next - engine->chunk, engine->dirty);
		}
		if (!visit(engine, dobj, next, dirty))
			object_drop_others(engine, dobj, next, next + 1, NULL);
		engine->next++;
		cost++;
	}
	return cost;
}

int scan_begin(struct dedup_engine *engine)
{
	int err;

	lockdep_assert_held(&engine->lock);
	engine->in_pass = false;
	err = engine_sync(engine);
	if (err)
		return err;
	dedup_pass_begin(&engine->core);
	engine->begin = engine->core.stats;
	engine->traces = TRACE_MOST;
	engine->at = list_first_entry_or_null(&engine->objects, struct dedup_object, link);
	engine->next = 0;
	engine->chunk = ULONG_MAX;
	engine->in_pass = true;
	return 0;
}

static void scan_end(struct dedup_engine *engine)
{
	struct dedup_stats *s = &engine->core.stats, *b = &engine->begin;
	struct emys_notice notice = {
		.type = NOTICE_PASS_END,
		.domain = engine->domain,
	};

	engine_reap(engine);
	dedup_pass_end(&engine->core);
	engine->in_pass = false;
	WRITE_ONCE(s->passes, s->passes + 1);
	s->pass_scanned = s->scanned - b->scanned;
	notice.passes = s->passes;
	notice.scanned = s->pass_scanned;
	notice.merged = s->merged + s->zeroed - b->merged - b->zeroed;
	notice.ticks = s->pass_ticks;
	emys_notify(&notice);
}

int scan_step(struct dedup_engine *engine, u32 budget)
{
	u64 begin = get_cycles();
	long left = budget, cost;
	int err = 0;

	lockdep_assert_held(&engine->lock);
	if (!engine->in_pass)
		err = scan_begin(engine);
	while (!err && engine->at && left > 0) {
		engine_reap(engine);
		if (engine->policy.algorithm == DEDUP_EMYS)
			cost = step_emys(engine, min(left, (long)SLICE));
		else
			cost = step_ksm(engine, min(left, (long)SLICE));
		if (cost == -ESTALE) {
			object_next(engine);
			cost = 1;
		}
		if (cost < 0)
			err = cost;
		left -= cost;
		cond_resched();
	}
	engine->core.stats.ticks += get_cycles() - begin;
	if (err)
		return err;
	if (engine->at)
		return 0;
	engine->core.stats.pass_ticks = engine->core.stats.ticks - engine->begin.ticks;
	scan_end(engine);
	return 1;
}

/* -- out of turn ------------------------------------------ */

/*
 * Or the rest of the pass under way: what has been harvested for it would not show up again, if
 * it were begun anew.
 */
static int scan_pass(struct dedup_engine *engine)
{
	int r;

	mutex_lock(&engine->lock);
	r = engine->in_pass ? 0 : scan_begin(engine);
	while (!r) {
		r = scan_step(engine, SLICE);
		mutex_unlock(&engine->lock);
		if (!r && signal_pending(current))
			return -EINTR;
		cond_resched();
		mutex_lock(&engine->lock);
	}
	mutex_unlock(&engine->lock);
	return min(r, 0);
}

int emys_dedup_scan(u32 domain, unsigned int passes)
{
	struct dedup_engine *engine = engine_get(domain);
	int err;

	if (IS_ERR(engine))
		return PTR_ERR(engine);
	err = mutex_lock_interruptible(&engine->scan_lock);
	if (!err) {
		/* Only who holds scan_lock begins a pass */
		if (passes && READ_ONCE(engine->in_pass))
			err = scan_pass(engine);
		while (!err && passes--)
			err = scan_pass(engine);
		mutex_unlock(&engine->scan_lock);
	}
	engine_put(engine);
	return err;
}

/* Pages merged, or -errno. */
static long clone_page(struct dedup_engine *engine, struct dedup_object *from,
		       struct dedup_object *to, pgoff_t index)
{
	struct dedup_stats *s = &engine->core.stats;
	u64 before = s->merged + s->zeroed;
	struct dedup_item *item, *other;
	struct mem_page p, q;
	int r = 0;

	if (!candidate(to, index, false, &p))
		return 0;
	s->scanned++;
	item = object_item(to, index);
	if (!item)
		r = -ENOMEM;
	if (!r && engine->policy.algorithm == DEDUP_EMYS)
		r = dedup_glance(&engine->core, item, page_address(p.page), p.page);
	/* Not zero, not shared yet: then with the page it was copied from */
	if (r != DEDUP_GONE && r >= 0 && candidate(from, index, false, &q)) {
		mem_page_put(&q);
		other = object_item(from, index);
		if (!other)
			r = -ENOMEM;
		else
			r = dedup_pair(&engine->core, item, page_address(p.page), p.page, other);
		other = xa_load(&from->items, index);
		if (other && other->place == DEDUP_NOWHERE && !other->seen)
			object_drop_items(engine, from, index, index + 1);
	} else if (r != DEDUP_GONE && r >= 0 && engine->policy.algorithm != DEDUP_EMYS) {
		r = dedup_visit(&engine->core, item, page_address(p.page), p.page, false);
	}
	mem_page_put(&p);
	return r < 0 ? r : (long)(s->merged + s->zeroed - before);
}

long emys_dedup_clone(struct mem_object *from, struct mem_object *to)
{
	struct dedup_object *dfrom, *dto;
	u32 domain = mem_object_domain(to);
	struct dedup_engine *engine;
	long merged = 0, r = 0;
	pgoff_t index = 0;

	if (from == to || !domain || mem_object_domain(from) != domain)
		return -EXDEV;
	engine = engine_get(domain);
	if (IS_ERR(engine))
		return PTR_ERR(engine);
	mutex_lock(&engine->lock);
	while ((index = mem_page_next(to, index, false)) != ULONG_MAX) {
		engine_reap(engine);
		dfrom = engine_object(engine, from);
		dto = engine_object(engine, to);
		r = dfrom && dto ? clone_page(engine, dfrom, dto, index) : -ENOMEM;
		if (r < 0)
			break;
		merged += r;
		if (!(++index % SLICE)) {
			mutex_unlock(&engine->lock);
			cond_resched();
			mutex_lock(&engine->lock);
			if (signal_pending(current)) {
				r = -EINTR;
				break;
			}
		}
	}
	mutex_unlock(&engine->lock);
	engine_put(engine);
	return r < 0 ? r : merged;
}

int emys_dedup_probe(struct mem_object *obj, pgoff_t index)
{
	struct dedup_engine *engine;
	struct dedup_object *dobj;
	struct dedup_item *item;
	struct mem_page p;
	int r = 0;

	engine = engine_get(mem_object_domain(obj));
	if (IS_ERR(engine))
		return PTR_ERR(engine);
	mutex_lock(&engine->lock);
	engine_reap(engine);
	dobj = engine_object(engine, obj);
	if (!dobj) {
		r = -ENOMEM;
	} else if (candidate(dobj, index, true, &p)) {
		item = object_item(dobj, index);
		r = item ? dedup_probe(&engine->core, item, page_address(p.page)) : -ENOMEM;
		if (item && item->place == DEDUP_NOWHERE && !item->seen)
			dedup_item_free(item, false);
		mem_page_put(&p);
	}
	mutex_unlock(&engine->lock);
	engine_put(engine);
	return r;
}

void emys_dedup_unprobe(struct mem_object *obj, pgoff_t first, unsigned long n)
{
	struct dedup_engine *engine = engine_find(mem_object_domain(obj));
	struct dedup_object *dobj;
	struct dedup_item *item;
	unsigned long index;

	if (!engine)
		return;
	mutex_lock(&engine->lock);
	list_for_each_entry(dobj, &engine->objects, link) {
		if (dobj->obj != obj)
			continue;
		xa_for_each_range(&dobj->items, index, item, first, first + n - 1) {
			if (item->place != DEDUP_PROBED)
				continue;
			dedup_forget(&engine->core, item);
			dedup_item_free(item, false);
		}
	}
	mutex_unlock(&engine->lock);
	engine_put(engine);
}
