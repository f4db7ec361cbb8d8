// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: sequences of EPT operations against a flat model */

/*
 * The model is one word per page of 2 GiB: the leaf entry as if each page had
 * its own, and the level of the real leaf; plus which tables exist. For speed,
 * 512 pages whose words only count up are kept as their first. Every return
 * value, flush request and zapped leaf must be as the model says, and in the end
 * every leaf.
 */

#include <stdbool.h>
#include <string.h>

#include "../../kmod/ept/ept.h"
#include "../unit/shim/ept_backend.h"
#include "fuzz.h"

#define PAGES		(2 * 512 * 512)
#define BASE		(3ULL << 18)	/* gfn of the model's first page */
#define LEVEL_SHIFT	56
#define LEVEL(e)	((int)((e) >> LEVEL_SHIFT))
#define ENTRY(e)	((e) & ~(3ULL << LEVEL_SHIFT))
#define SAME		(EPT_ADDR_MASK | EPT_MT_MASK | EPT_IPAT)

#define BLOCKS		(PAGES / 512)
#define OP_BYTES	5

/* The model is not what the fuzzer shall explore */
#define MODEL		__attribute__((no_sanitize("coverage")))

static struct block {
	bool uniform;	/* @page[0] stands for all */
	bool has_pt;
	u64 page[512];
} model[BLOCKS];
static bool has_pd[2];

static struct ept_root root;
static struct ept_cache cache;
static struct ept_zap zap;

MODEL static u64 get(unsigned int page)
{
	struct block *b = &model[page / 512];
	u64 first = b->page[0];

	if (!b->uniform)
		return b->page[page % 512];
	return first ? first + (u64)(page % 512) * 4096 : 0;
}

/* Pages from @page on in its block that are like it */
MODEL static unsigned int run_of(unsigned int page)
{
	return model[page / 512].uniform ? 512 - page % 512 : 1;
}

/* One word of every page: f(word) = (word & keep) | set, + 4096 from @first on */
MODEL static void change(unsigned int first, unsigned int n, u64 keep, u64 set,
			 u64 step)
{
	unsigned int page = first, i;

	while (page < first + n) {
		struct block *b = &model[page / 512];
		u64 from = set + (page - first) * step;

		if (page % 512 == 0 && first + n - page >= 512 &&
		    (b->uniform || !keep)) {
			b->uniform = true;
			b->page[0] = (b->page[0] & keep) | from;
			page += 512;
			continue;
		}
		if (b->uniform) {
			for (i = 511; i; i--)
				b->page[i] = get((page & ~511U) + i);
			b->uniform = false;
		}
		b->page[page % 512] = (b->page[page % 512] & keep) | from;
		page++;
	}
}

static struct {
	long leaves, bad;
} zapped;

static void on_zap(void *ctx, gfn_t gfn, int level, u64 old)
{
	u64 m = get(gfn - BASE);

	zapped.leaves++;
	/* the model still has it */
	if (!m || LEVEL(m) != level ||
	    (ENTRY(m) ^ old) & ~(level > 1 ? EPT_PS : 0))
		zapped.bad++;
}

MODEL static void set_pages(unsigned int first, unsigned int n, u64 entry,
			    int level)
{
	if (entry)
		entry |= (u64)level << LEVEL_SHIFT;
	change(first, n, 0, entry, entry ? 4096 : 0);
}

MODEL static void set_level(unsigned int first, unsigned int n, int level)
{
	change(first, n, ENTRY(~0ULL), (u64)level << LEVEL_SHIFT, 0);
}

static bool has_table(unsigned int page, int level)
{
	return level == 3 ? has_pd[page >> 18] : level == 2 && model[page >> 9].has_pt;
}

static void set_table(unsigned int page, int level, bool have)
{
	if (level == 3)
		has_pd[page >> 18] = have;
	else
		model[page >> 9].has_pt = have;
}

/* A page directory goes, and all that it names */
MODEL static void forget_pts(unsigned int page)
{
	struct block *b = &model[page / 512];
	int i;

	for (i = 0; i < 512; i++)
		b[i].has_pt = false;
}

/* Split the leaf at @page down to @level in the model */
static void model_split(unsigned int page, int level)
{
	while (LEVEL(get(page)) > level) {
		int l = LEVEL(get(page));
		unsigned int n = ept_level_gfns(l);

		set_level(page & ~(n - 1), n, l - 1);
		set_table(page, l, true);
	}
}

MODEL static int model_map(unsigned int page, u64 hpa, int level, u64 prot,
		     unsigned int mt, unsigned int flags)
{
	unsigned int n = 1 << 9 * (level - 1), first = page & ~(n - 1);
	u64 leaf = hpa | prot | mt << EPT_MT_SHIFT |
		   (flags & EPT_MAP_IPAT ? EPT_IPAT : 0);
	u64 old;
	int l;

	if (root.fmt.ad)
		leaf |= (flags & EPT_MAP_ACCESSED ? EPT_A : 0) |
			(flags & EPT_MAP_DIRTY ? EPT_D : 0);
	if (hpa & ((u64)n * 4096 - 1) || hpa >> root.fmt.maxphyaddr ||
	    !(prot & EPT_R || (prot == EPT_X && root.fmt.exec_only)) ||
	    mt == 2 || mt == 3 || mt == 7 ||
	    level > ept_max_level(&root.fmt, prot))
		return -EINVAL;

	old = get(first);
	for (l = 3; l > level; l--) {
		if (old && LEVEL(old) == l) {
			bool same = !((old ^ leaf) & SAME);

			return same && !(prot & ~old) ? -EEXIST : -EBUSY;
		}
		set_table(first, l, true);
	}
	if (has_table(first, level))
		return -ENOTEMPTY;
	if (!old) {
		set_pages(first, n, leaf, level);
		return 0;
	}
	if ((old ^ leaf) & SAME)
		return -EBUSY;
	if (!(prot & ~old))
		return -EEXIST;
	change(first, n, ~0ULL, leaf & ~SAME, 0);
	return 0;
}

/* Returns whether a flush is needed; counts removed leaves */
MODEL static bool model_zap(unsigned int start, unsigned int end, bool split,
		      long *leaves)
{
	unsigned int page, n;
	bool flush = false;
	int level;

	for (page = start; page < end; page = (page & ~(n - 1)) + n) {
		unsigned int first;

		/* the largest entry there that is no table, or is covered */
		for (level = 3;; level--) {
			n = 1 << 9 * (level - 1);
			first = page & ~(n - 1);
			if (start <= first && first + n <= end)
				break;
			if (has_table(page, level))
				continue;
			if (!get(page) || level == 1)
				break;
			if (!split)
				break;
			model_split(page, level - 1);
		}
		/* count the leaves in it */
		for (unsigned int i = first; i < first + n;) {
			if (get(i)) {
				++*leaves;
				flush = true;
				i += ept_level_gfns(LEVEL(get(i)));
			} else {
				i += run_of(i);
			}
		}
		if (has_table(page, level))
			flush = true;
		if (level == 3) {
			has_pd[page >> 18] = false;
			forget_pts(first);
		} else if (level == 2) {
			model[page >> 9].has_pt = false;
		}
		set_pages(first, n, 0, 0);
	}
	return flush;
}

static u64 seen_flags;
static long seen_leaves;

static void on_harvest(void *ctx, gfn_t gfn, int level, u64 bits)
{
	seen_leaves++;
	seen_flags |= bits;
}

/* Write protection and harvesting: the same walk over the model's leaves */
MODEL static bool model_flags(unsigned int start, unsigned int end, u64 want,
			u64 clear, bool wrprot, long *leaves, u64 *found)
{
	bool changed = false;
	unsigned int i, n;

	for (i = start; i < end; i = (i & ~(n - 1)) + n) {
		u64 old = get(i), new, bits;

		if (!old) {
			n = 1;
			i += run_of(i) - 1;
			continue;
		}
		n = ept_level_gfns(LEVEL(old));
		if (wrprot) {
			new = old & ~EPT_W;
		} else if (root.fmt.ad) {
			bits = old & want;
			new = bits ? old & ~clear : old;
		} else {
			bits = (EPT_A | (old & EPT_W ? EPT_D : 0)) & want;
			new = bits && clear & EPT_D ? old & ~EPT_W : old;
		}
		if (!wrprot && bits) {
			++*leaves;
			*found |= bits;
		}
		if (new == old)
			continue;
		changed = true;
		change(i & ~(n - 1), n, ~(old ^ new), 0, 0);
	}
	return changed;
}

MODEL static int compare_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	unsigned int first = gfn - BASE, n = ept_level_gfns(level), i;

	check(gfn >= BASE && first + n <= PAGES, "leaf at gfn %#llx", gfn);
	check(ept_check_entry(&root.fmt, entry, level) == EPT_OK, "%#llx", entry);
	if (level > 1)
		entry &= ~EPT_PS;
	for (i = first; i < first + n; i++, entry += 4096) {
		check(get(i) == (entry | (u64)level << LEVEL_SHIFT),
		      "page %#x: %#llx, model %#llx", i, entry, get(i));
		if (model[i / 512].uniform && level > 1) {
			/* the other 511 of this block follow */
			i += 511;
			entry += 511 * 4096;
		}
	}
	*(unsigned long *)ctx += n;
	return 0;
}

MODEL static void compare_all(void)
{
	unsigned long mapped = 0, expected = 0, tables = 1, i;

	ept_visit(&root, 0, EPT_GFN_END, compare_leaf, &mapped);
	for (i = 0; i < PAGES; i += run_of(i))
		expected += get(i) ? run_of(i) : 0;
	for (i = 0; i < BLOCKS; i++)
		tables += model[i].has_pt;
	check(mapped == expected, "%lu pages, model %lu", mapped, expected);
	/* the root's one page-directory-pointer table, and the directories */
	tables += has_pd[0] + has_pd[1];
	check((unsigned long)atomic64_read(&root.tables) - tables <= 1,
	      "%lld tables, model %lu", atomic64_read(&root.tables), tables);
	check(backend_live() == atomic64_read(&root.tables) + cache.nr, "leak");
}

static void refill(void)
{
	ept_zap_free(&zap);
	check(!ept_cache_fill(&cache, EPT_CACHE_MAX), "cache");
}

/* Few places, many meetings */
static unsigned int take_page(struct input *in)
{
	unsigned int b = take(in, 1);

	/* 1 GiB half, 2 MiB 0, 1, 2 or 511, page 0, 1, 2 or 511 */
	static const unsigned int few[4] = { 0, 1, 2, 511 };

	return (b & 1) << 18 | few[b >> 1 & 3] << 9 | few[b >> 3 & 3];
}

static unsigned int take_length(struct input *in)
{
	static const unsigned int length[] = {
		1, 2, 3, 511, 512, 513, 1024, 3 * 512 + 7, 1, 2, 3, 511, 512,
		1024, 4, 1 << 18,
	};

	return length[take(in, 1) % 16];
}

static void do_map(struct input *in)
{
	static const u8 types[] = { 6, 6, 6, 0, 1, 4, 5, 2 };
	unsigned int page = take_page(in), b = take(in, 1), c = take(in, 1);
	int level = b % 16 ? 1 + b % 2 : 3, ret, want;
	u64 hpa = (u64)page << 12;
	u64 prot = c & 7;
	unsigned int mt = c & 0x80 ? types[c >> 4 & 7] : 6;
	unsigned int flags = b >> 2 & 7;

	/* mostly the same memory for the same page, sometimes another or none */
	if (b & 0x80)
		hpa += 1ULL << 32;
	if (!(b & 0x40))
		hpa &= ~(ept_level_size(level) - 1);
	if (!(b & 0x20))
		flags = 0;
	want = model_map(page, hpa, level, prot, mt, flags);
	ret = ept_map(&root, &cache, (BASE + page) << 12, hpa, level, prot, mt,
		      flags);
	check(ret == want, "map page %#x hpa %#llx level %d prot %llu: %d, model %d",
	      page, hpa, level, prot, ret, want);
}

static void do_zap(struct input *in)
{
	unsigned int start = take_page(in), end = start + take_length(in);
	bool split = take(in, 1) & 1, flush, want;
	long leaves = 0;

	if (end > PAGES)
		end = PAGES;
	zapped.leaves = zapped.bad = 0;
	if (split) {
		/* removed leaves are then the split ones: let the model split first */
		static const int edges = 2;

		for (int i = 0; i < edges; i++) {
			unsigned int at = i ? end - 1 : start;
			int l;

			for (l = 3; l > 1; l--) {
				unsigned int n = 1 << 9 * (l - 1);
				unsigned int first = at & ~(n - 1);

				if (get(at) && LEVEL(get(at)) == l &&
				    (first < start || first + n > end))
					model_split(at, l - 1);
			}
		}
	}
	flush = ept_zap_range(&root, BASE + start, BASE + end,
			      split ? EPT_ZAP_SPLIT : 0, &cache, &zap);
	want = model_zap(start, end, split, &leaves);
	check(flush == want, "zap %#x..%#x: flush %d, model %d", start, end, flush, want);
	check(zapped.leaves == leaves, "%ld leaves, model %ld", zapped.leaves, leaves);
	check(!zapped.bad, "%ld wrong leaves", zapped.bad);
}

static void do_split(struct input *in)
{
	unsigned int page = take_page(in);
	int level = 1 + take(in, 1) % 2;
	int ret = ept_split(&root, &cache, (BASE + page) << 12, level);

	check(ret == (get(page) ? 0 : -ENOENT), "split: %d", ret);
	if (!ret)
		model_split(page, level);
}

static void do_collapse(struct input *in)
{
	unsigned int page = take_page(in), b = take(in, 1);
	int level = 2 + (b & 1), ret, want = 0;
	unsigned int n = ept_level_gfns(level), first = page & ~(n - 1), i;
	u64 prot = b >> 1 & 7;
	u64 hpa = (u64)first << 12, ad = 0;
	bool flags = b & 0x10;

	if (level > ept_max_level(&root.fmt, prot) ||
	    !(prot & EPT_R || (prot == EPT_X && root.fmt.exec_only)))
		want = -EINVAL;
	else if (!has_table(page, level))
		want = -ENOENT;
	ret = ept_collapse(&root, (BASE + page) << 12, hpa, level, prot, EPT_MT_WB,
			   flags ? EPT_MAP_ACCESSED : 0, &zap);
	check(ret == want, "collapse level %d: %d, model %d", level, ret, want);
	if (ret)
		return;
	for (i = first; i < first + n; i += run_of(i))
		ad |= get(i) & (EPT_A | EPT_D);
	if (flags && root.fmt.ad)
		ad |= EPT_A;
	set_pages(first, n, hpa | prot | EPT_MT_WB << EPT_MT_SHIFT | ad, level);
	set_table(page, level, false);
	if (level == 3)
		forget_pts(first);
}

static void do_flags(struct input *in)
{
	unsigned int start = take_page(in), end = start + take_length(in);
	unsigned int b = take(in, 1);
	u64 want = (u64)(b & 3) << 8, clear = (u64)(b >> 2 & 3) << 8, found = 0;
	bool wrprot = b & 0x10, ret, model_ret;
	long leaves = 0;

	if (end > PAGES)
		end = PAGES;
	seen_leaves = 0;
	seen_flags = 0;
	if (wrprot)
		ret = ept_wrprot_range(&root, BASE + start, BASE + end);
	else
		ret = ept_harvest(&root, BASE + start, BASE + end, want, clear,
				  on_harvest, NULL);
	model_ret = model_flags(start, end, want, clear, wrprot, &leaves, &found);
	check(ret == model_ret, "flags %#x..%#x: %d, model %d", start, end, ret,
	      model_ret);
	check(seen_leaves == leaves && seen_flags == found,
	      "%ld leaves with %#llx, model %ld with %#llx", seen_leaves,
	      seen_flags, leaves, found);
}

/* The CPU reads or writes a page */
static void do_touch(struct input *in)
{
	unsigned int page = take_page(in), n;
	u64 flags = take(in, 1) & 1 ? EPT_A | EPT_D : EPT_A;
	struct ept_walk w;
	bool there = ept_walk(&root, (BASE + page) << 12, &w);

	check(there == !!get(page), "walk of page %#x", page);
	if (!there || !root.fmt.ad)
		return;
	check(w.level == LEVEL(get(page)), "level %d", w.level);
	if (!(w.val & EPT_W))
		flags = EPT_A;
	*w.ptr |= flags;
	n = ept_level_gfns(w.level);
	change(page & ~(n - 1), n, ~0ULL, flags, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ops[])(struct input *in) = {
		do_map, do_map, do_map, do_zap, do_split, do_collapse,
		do_flags, do_touch,
	};
	struct input in = { .data = data, .size = size };
	u8 bits = take(&in, 1);
	struct ept_format fmt = {
		.maxphyaddr = 36, .ad = bits & 1, .exec_only = bits & 2,
		.has_2m = !(bits & 4), .has_1g = !(bits & 12),
		.nx_large = bits & 16,
	};
	unsigned int i, steps = 0;

	set_pages(0, PAGES, 0, 0);
	check(!ept_init(&root, &fmt), "init");
	memset(&zap, 0, sizeof(zap));
	zap.leaf = on_zap;
	refill();
	/* ops of one length, so that mutations do not shift those that follow */
	while (in.pos < size && steps++ < 48) {
		size_t next = in.pos + OP_BYTES;

		ops[take(&in, 1) % 8](&in);
		refill();
		in.pos = next;
	}
	compare_all();
	ept_destroy(&root);
	for (i = 0; i < 3; i++)
		check(!atomic64_read(&root.leaves[i]), "leaves left");
	ept_cache_drain(&cache);
	check(!backend_live(), "%ld tables left", backend_live());
	backend_reset();

	set_pages(0, PAGES, 0, 0);
	forget_pts(0);
	forget_pts(PAGES / 2);
	has_pd[0] = has_pd[1] = false;
	return 0;
}
