// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sweep over objects, region by region of 2 MiB: which are used, what they would
 * share, which to break and which to make large again.
 *
 * Shareability is estimated from a sample of the sub-pages, which deduplication looks up
 * and remembers without sharing them, so that the next block with the same content finds
 * them. So the sample must be of contents, not of places: a page is taken by a few
 * of its words, and then its copy is taken too, wherever in its block that lies. Contents that
 * this passes over are made up for by places.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../ksm_cmd/ksm_cmd.h"
#include "reclaim.h"

#define WINDOW		32			/* regions harvested at once */
#define WINDOW_PAGES	(WINDOW * MEM_BLOCK_PAGES)
/* A known block is probed every so many rounds, and always while broken ones wait for partners */
#define TURN		4

DEFINE_XARRAY(reclaim_objects);

struct reclaim_object *reclaim_object(u32 id)
{
	struct reclaim_object *ro = xa_load(&reclaim_objects, id);

	lockdep_assert_held(&reclaim_lock);
	if (ro)
		return ro;
	ro = kzalloc(sizeof(*ro), GFP_KERNEL);
	if (!ro)
		return NULL;
	ro->id = id;
	xa_init(&ro->regions);
	if (xa_err(xa_store(&reclaim_objects, id, ro, GFP_KERNEL))) {
		kfree(ro);
		return NULL;
	}
	return ro;
}

void reclaim_object_free(struct reclaim_object *ro)
{
	xa_erase(&reclaim_objects, ro->id);
	xa_destroy(&ro->regions);
	kfree(ro);
}

static struct region_record record_load(struct reclaim_object *ro, unsigned long region)
{
	void *entry = xa_load(&ro->regions, region);

	return region_unpack(entry ? xa_to_value(entry) : 0);
}

/* Without memory for it the region is not known: it stays as it is. */
static void record_store(struct reclaim_object *ro, unsigned long region,
			 const struct region_record *rec)
{
	xa_store(&ro->regions, region, xa_mk_value(region_pack(rec)), GFP_KERNEL | __GFP_NOWARN);
}

/* -- looking at pages --------------------------------------------- */

static bool is_zero(struct page *page)
{
	void *data = kmap_local_page(page);
	bool zero = !memchr_inv(data, 0, PAGE_SIZE);

	kunmap_local(data);
	return zero;
}

/* A few words of the page. The guest may write it meanwhile: then its copy is not found. */
static u64 peek(struct page *page)
{
	const u64 *data = kmap_local_page(page);
	u64 mix = 0;
	int i;

	for (i = 0; i < 8; i++)
		mix = hash_64(mix ^ READ_ONCE(data[i * 73 + 1]), 64);
	kunmap_local(data);
	return mix;
}

/**
 * struct probe - the sample of one block
 * @want: sub-pages to look at
 * @done: that were
 * @shareable: of these, with a partner
 * @zero: of these, holding zeros
 * @seen: sub-pages looked at
 */
struct probe {
	u32 want, done, shareable, zero;
	DECLARE_BITMAP(seen, MEM_BLOCK_PAGES);
};

static int probe_page(struct mem_object *obj, struct reclaim_object *ro, pgoff_t index,
		      struct page *page, struct probe *probe)
{
	int found;

	__set_bit(index % MEM_BLOCK_PAGES, probe->seen);
	if (is_zero(page)) {
		probe->zero++;
		found = 1;
	} else {
		found = ro->dedup ? emys_dedup_probe(obj, index) : 0;
	}
	if (found < 0)
		return found;
	probe->done++;
	probe->shareable += found;
	return 0;
}

/* By content: every page whose words fall into the part wanted. */
static int probe_contents(struct mem_object *obj, struct reclaim_object *ro, pgoff_t first,
			  struct probe *probe)
{
	u64 below = (u64)probe->want << 55;	/* of 512 << 55 */
	struct mem_page p;
	pgoff_t i;
	int err = 0;

	for (i = first; i < first + MEM_BLOCK_PAGES && probe->done < probe->want; i++) {
		if (mem_page_get(obj, i, &p))
			return -ESTALE;
		if (p.state == MEM_PRIVATE &&
		    (probe->want == MEM_BLOCK_PAGES || peek(p.page) < below))
			err = probe_page(obj, ro, i, p.page, probe);
		mem_page_put(&p);
		if (err)
			return err;
	}
	return 0;
}

/* By place, until half of what is wanted has been seen; the places are the same in all blocks. */
static int probe_places(struct mem_object *obj, struct reclaim_object *ro, pgoff_t first,
			struct probe *probe)
{
	u32 half = DIV_ROUND_UP(probe->want, 2);
	struct mem_page p;
	u32 step, at;
	int err = 0;

	for (step = 0; step < MEM_BLOCK_PAGES && probe->done < half; step++) {
		at = step * 197 % MEM_BLOCK_PAGES;	/* odd: reaches every place once */
		if (test_bit(at, probe->seen))
			continue;
		if (mem_page_get(obj, first + at, &p))
			return -ESTALE;
		if (p.state == MEM_PRIVATE)
			err = probe_page(obj, ro, first + at, p.page, probe);
		mem_page_put(&p);
		if (err)
			return err;
	}
	return 0;
}

/* False: nothing of the sample has a partner. Where it cannot be told nothing changes. */
static bool probe_region(struct reclaim_round *round, struct mem_object *obj,
			 struct reclaim_object *ro, pgoff_t first, struct region_record *rec)
{
	struct probe probe = { .want = round->policy.sample_pages };

	if (probe_contents(obj, ro, first, &probe) || probe_places(obj, ro, first, &probe))
		return true;
	/* What is broken keeps what it promised */
	if (!rec->broken)
		region_probed(rec, probe.done, probe.shareable, probe.zero);
	return probe.shareable;
}

/* Drop the pages that hold zeros; how many. */
static u32 drop_zeros(struct mem_object *obj, pgoff_t first)
{
	struct mem_page p;
	u32 dropped = 0;
	u64 bytes = 0;
	pgoff_t i;

	for (i = first; i < first + MEM_BLOCK_PAGES; i++) {
		if (mem_page_get(obj, i, &p))
			break;
		if (p.state == MEM_PRIVATE && !p.large && is_zero(p.page) &&
		    !mem_drop_zero(obj, i, p.page, &bytes))
			dropped++;
		mem_page_put(&p);
		cond_resched();
	}
	return dropped;
}

/* -- regions that are not blocks --------------------------------------------- */

static void count_merged(struct region_record *rec, u32 merged, u32 absent)
{
	bool was = rec->merged;

	region_looked(rec, merged, absent);
	if (rec->broken && rec->merged && !was)
		reclaim_counters.private--;
}

/* False: there is nothing in it, forget it. */
static bool look(struct mem_object *obj, pgoff_t first, struct region_record *rec)
{
	u32 state[MEM_PAGE_STATES], absent;

	if (mem_count_states(obj, first, MEM_BLOCK_PAGES, state))
		return false;
	absent = state[MEM_ABSENT] + state[MEM_BALLOONED];
	count_merged(rec, state[MEM_SHARED] + state[MEM_ZERO], absent);
	return absent < MEM_BLOCK_PAGES;
}

/* It stays large: no other block shall be broken to be shared with it. */
static void forget(struct mem_object *obj, pgoff_t first, struct region_record *rec)
{
	emys_dedup_unprobe(obj, first, MEM_BLOCK_PAGES);
	region_unknown(rec);
}

static void large_again(struct mem_object *obj, pgoff_t first, struct region_record *rec)
{
	/* What was probed and found nobody is remembered yet */
	if (!rec->merged)
		forget(obj, first, rec);
	region_collapsed(rec);
}

static void collapse(struct reclaim_round *round, struct mem_object *obj, pgoff_t first,
		     struct region_record *rec)
{
	round->budget.collapses--;
	if (mem_collapse(obj, first))
		return;
	reclaim_counters.collapsed++;
	large_again(obj, first, rec);
}

/*
 * The region should be a block again, unless its partners are there and may be broken yet. Where
 * others still wait for deduplication they may be these: what it is about to pair is not found.
 */
static void finish(struct reclaim_round *round, struct mem_object *obj, struct reclaim_object *ro,
		   pgoff_t first, struct region_record *rec)
{
	if (ro->dedup && round->waiting && choose_wait(rec, ro->large))
		return;
	if (ro->dedup && round->budget.probe && choose_wait(rec, ro->large)) {
		round->budget.probe--;
		if (probe_region(round, obj, ro, first, rec))
			return;
	}
	collapse(round, obj, first, rec);
}

static bool visit_small(struct reclaim_round *round, struct mem_object *obj,
			struct reclaim_object *ro, unsigned long region, struct region_record *rec)
{
	pgoff_t first = region * MEM_BLOCK_PAGES;
	bool due = region % round->look_every == round->number % round->look_every;

	if (!rec->large && !rec->broken &&
	    mem_page_next(obj, first, true) >= first + MEM_BLOCK_PAGES)
		return false;
	/* The region's pages wait for their partners: look sooner at what is new */
	if (round->budget.look && (due || (rec->broken && !rec->merged && rec->age < 8))) {
		round->budget.look--;
		if (!look(obj, first, rec))
			return false;
		if (round->budget.collapses && choose_collapse(rec, round->state, ro->large))
			finish(round, obj, ro, first, rec);
	}
	ro->sums.broken += rec->broken;
	ro->sums.pending += region_pending(rec);
	return true;
}

/* -- blocks --------------------------------------------- */

static void offer_block(struct reclaim_round *round, struct reclaim_object *ro,
			unsigned long region, const struct region_record *rec)
{
	struct candidate c = {
		.object = ro->id,
		.region = region,
		.share = rec->share,
		.score = choose_break(rec, round->state, ro->large, &round->policy),
	};

	candidates_add(&round->best, &c);
}

static void count_block(struct reclaim_round *round, struct sweep_sums *sums,
			const struct region_record *rec)
{
	bool cold = rec->cold >= round->policy.cold_samples;

	sums->blocks++;
	sums->cold += cold;
	sums->shareable += rec->probed && rec->share >= round->policy.share_permille;
	sums->probed += rec->probed;
	sums->share += rec->probed ? rec->share : 0;
	if (cold && rec->probed && !rec->rest)
		sums->zero += rec->zero * MEM_BLOCK_PAGES / 1000;
}

static void visit_block(struct reclaim_round *round, struct mem_object *obj,
			struct reclaim_object *ro, unsigned long region, struct region_record *rec)
{
	bool turn = round->waiting || region % TURN == round->number % TURN;
	pgoff_t first = region * MEM_BLOCK_PAGES;

	if (rec->broken)	/* made again by somebody else */
		large_again(obj, first, rec);
	rec->large = 1;
	if (rec->probed && !choose_known(rec, round->state, ro->large, round->policy.cold_samples))
		forget(obj, first, rec);
	if (round->budget.probe &&
	    choose_probe(rec, round->state, ro->large, round->policy.cold_samples, turn)) {
		round->budget.probe--;
		probe_region(round, obj, ro, first, rec);
	}
	count_block(round, &ro->sums, rec);
	offer_block(round, ro, region, rec);
}

static void visit(struct reclaim_round *round, struct mem_object *obj, struct reclaim_object *ro,
		  unsigned long region, u32 young)
{
	struct region_record rec = record_load(ro, region);
	bool keep = true;

	/* Without accessed flags nothing can be called cold */
	region_sampled(&rec, young || !vmx_caps.ept_ad);
	if (ro->passed)
		region_passed(&rec);
	ro->sums.active += vmx_caps.ept_ad ? young : MEM_BLOCK_PAGES;
	round->sampled++;
	if (mem_is_block(obj, region * MEM_BLOCK_PAGES))
		visit_block(round, obj, ro, region, &rec);
	else
		keep = visit_small(round, obj, ro, region, &rec);
	if (keep)
		record_store(ro, region, &rec);
	else
		xa_erase(&ro->regions, region);
}

/* -- the sweep --------------------------------------------- */

/* The first region from @region on with anything in it, or ULONG_MAX. */
static unsigned long region_next(struct mem_object *obj, struct reclaim_object *ro,
				 unsigned long region)
{
	pgoff_t page = mem_page_next(obj, region * MEM_BLOCK_PAGES, true);
	unsigned long known = region;

	if (!xa_find(&ro->regions, &known, ULONG_MAX, XA_PRESENT))
		known = ULONG_MAX;
	return page == ULONG_MAX ? known : min(page / MEM_BLOCK_PAGES, known);
}

static bool stopped(void)
{
	if (current->flags & PF_KTHREAD)
		return kthread_should_stop();
	return signal_pending(current);
}

/* Sample the window from @region on. */
static int sweep_window(struct reclaim_round *round, struct mem_object *obj,
			struct reclaim_object *ro, unsigned long region, unsigned long *young)
{
	unsigned long base = region, end = region + WINDOW;
	u32 used;
	int err;

	bitmap_zero(young, WINDOW_PAGES);
	err = mem_harvest(obj, base * MEM_BLOCK_PAGES, WINDOW_PAGES, NULL, young);
	if (err)
		return err;
	while (region < end) {
		used = bitmap_weight(young + BIT_WORD((region - base) * MEM_BLOCK_PAGES),
				     MEM_BLOCK_PAGES);
		visit(round, obj, ro, region, used);
		if (stopped())
			return -EINTR;
		cond_resched();
		region = region_next(obj, ro, region + 1);
	}
	return 0;
}

/* Once a sweep, which takes several rounds and meets each region once: all see the same passes. */
static void sweep_begins(struct mem_object *obj, struct reclaim_object *ro)
{
	u64 passes = emys_dedup_passes(mem_object_domain(obj));

	ro->passed = !ro->dedup || passes != ro->passes;
	ro->passes = passes;
}

static void sweep_ended(struct reclaim_object *ro)
{
	ro->last = ro->sums;
	ro->sums = (struct sweep_sums) { 0 };
	ro->swept = true;
	ro->cursor = 0;
}

int sweep_object(struct reclaim_round *round, struct mem_object *obj, struct reclaim_object *ro)
{
	struct dedup_policy dedup;
	unsigned long *young, region;
	u64 until = round->sampled + round->limit;
	int err = 0;

	ro->dedup = !emys_dedup_policy_get(mem_object_domain(obj), &dedup) && dedup.run;
	if (!ro->cursor)
		sweep_begins(obj, ro);
	mem_object_blocks(obj, ro->large != LARGE_SMALL);
	young = bitmap_alloc(WINDOW_PAGES, GFP_KERNEL);
	if (!young)
		return 0;
	for (;;) {
		region = region_next(obj, ro, ro->cursor);
		if (region == ULONG_MAX) {
			sweep_ended(ro);
			break;
		}
		if (round->sampled >= until)
			break;
		err = sweep_window(round, obj, ro, region, young);
		if (err)
			break;
		ro->cursor = region + WINDOW;
	}
	bitmap_free(young);
	return err == -EINTR ? err : 0;
}

void sweep_known(struct reclaim_round *round, struct reclaim_object *ro)
{
	unsigned long region;
	void *entry;

	xa_for_each(&ro->regions, region, entry) {
		struct region_record rec = region_unpack(xa_to_value(entry));

		if (rec.large && !rec.broken)
			offer_block(round, ro, region, &rec);
	}
}

/* -- breaking --------------------------------------------- */

static int break_block(struct reclaim_round *round, struct mem_object *obj,
		       struct reclaim_object *ro, unsigned long region)
{
	struct region_record rec = record_load(ro, region);
	pgoff_t first = region * MEM_BLOCK_PAGES;
	int err;

	round->budget.breaks--;
	/* What was known may be old: its partners have changed, or are in use and stay large */
	if (ro->large == LARGE_PROACTIVE && !probe_region(round, obj, ro, first, &rec)) {
		forget(obj, first, &rec);
		record_store(ro, region, &rec);
		return 0;
	}
	err = mem_break(obj, first);
	if (err)
		return err;
	reclaim_counters.broken[round->state]++;
	reclaim_counters.private++;
	region_broken(&rec);
	/* The first rung: they need no partner */
	if (ro->large == LARGE_PROACTIVE && rec.zero)
		count_merged(&rec, drop_zeros(obj, first), 0);
	round->pending += region_pending(&rec);
	record_store(ro, region, &rec);
	return 0;
}

static int break_candidate(struct reclaim_round *round, const struct candidate *c)
{
	struct reclaim_object *ro = xa_load(&reclaim_objects, c->object);
	struct mem_object *obj;
	int err;

	obj = ro ? mem_object_find(c->object) : NULL;
	if (!obj)
		return 0;
	err = break_block(round, obj, ro, c->region);
	mem_object_put(obj);
	return err == -ENOMEM ? err : 0;
}

int sweep_break(struct reclaim_round *round)
{
	u32 i;

	for (i = 0; i < round->best.nr && round->budget.breaks; i++) {
		const struct candidate *c = &round->best.at[i];

		/* What is under way may be enough: then spare what is in use */
		if (c->score < CHOOSE_URGENT && round->pending >= round->deficit)
			break;
		if (stopped())
			return -EINTR;
		if (break_candidate(round, c))
			break;
		cond_resched();
	}
	return 0;
}
