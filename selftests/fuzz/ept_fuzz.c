// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: sequences of EPT operations against a flat model */

/*
 * The model is one word per page of 2 GiB: the leaf entry as if each page had
 * its own, and the level of the real leaf; plus which tables exist. Every
 * return value, flush request and zapped leaf must be as the model says, and
 * in the end every leaf.
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

static u64 model[PAGES];
static bool has_pt[PAGES / 512], has_pd[2];
static bool touched[PAGES / 512];	/* model parts to clear afterwards */

static struct ept_root root;
static struct ept_cache cache;
static struct ept_zap zap;

static struct {
	long leaves, bad;
} zapped;

static void on_zap(void *ctx, gfn_t gfn, int level, u64 old)
{
	u64 m = model[gfn - BASE];

	zapped.leaves++;
	/* the model still has it */
	if (!m || LEVEL(m) != level ||
	    (ENTRY(m) ^ old) & ~(level > 1 ? EPT_PS : 0))
		zapped.bad++;
}

static void set_pages(unsigned int first, unsigned int n, u64 entry, int level,
		      bool keep)
{
	unsigned int i;

	for (i = first; i < first + n; i++) {
		touched[i / 512] = true;
		if (keep)
			model[i] = ENTRY(model[i]) | (u64)level << LEVEL_SHIFT;
		else if (!entry)
			model[i] = 0;
		else
			model[i] = (entry + (u64)(i - first) * 4096) |
				   (u64)level << LEVEL_SHIFT;
	}
}

static bool has_table(unsigned int page, int level)
{
	return level == 3 ? has_pd[page >> 18] : level == 2 && has_pt[page >> 9];
}

static void set_table(unsigned int page, int level, bool have)
{
	if (level == 3)
		has_pd[page >> 18] = have;
	else
		has_pt[page >> 9] = have;
}

/* Split the leaf at @page down to @level in the model */
static void model_split(unsigned int page, int level)
{
	while (LEVEL(model[page]) > level) {
		int l = LEVEL(model[page]);
		unsigned int n = ept_level_gfns(l);

		set_pages(page & ~(n - 1), n, 0, l - 1, true);
		set_table(page, l, true);
	}
}

static int model_map(unsigned int page, u64 hpa, int level, u64 prot,
		     unsigned int mt, unsigned int flags)
{
	unsigned int n = 1 << 9 * (level - 1), i, first = page & ~(n - 1);
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

	old = model[first];
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
		set_pages(first, n, leaf, level, false);
		return 0;
	}
	if ((old ^ leaf) & SAME)
		return -EBUSY;
	if (!(prot & ~old))
		return -EEXIST;
	for (i = first; i < first + n; i++)
		model[i] |= leaf & ~SAME;
	return 0;
}

/* Returns whether a flush is needed; counts removed leaves */
static bool model_zap(unsigned int start, unsigned int end, bool split,
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
			if (!model[page] || level == 1)
				break;
			if (!split)
				break;
			model_split(page, level - 1);
		}
		/* count the leaves in it */
		for (unsigned int i = first; i < first + n;) {
			if (model[i]) {
				++*leaves;
				flush = true;
				i += ept_level_gfns(LEVEL(model[i]));
			} else {
				i++;
			}
		}
		if (has_table(page, level))
			flush = true;
		if (level == 3) {
			has_pd[page >> 18] = false;
			memset(&has_pt[first >> 9], 0, 512);
		} else if (level == 2) {
			has_pt[page >> 9] = false;
		}
		set_pages(first, n, 0, 0, false);
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
static bool model_flags(unsigned int start, unsigned int end, u64 want,
			u64 clear, bool wrprot, long *leaves, u64 *found)
{
	bool changed = false;
	unsigned int i, n, j;

	for (i = start; i < end; i = (i & ~(n - 1)) + n) {
		u64 old = model[i], new, bits;

		n = old ? ept_level_gfns(LEVEL(old)) : 1;
		if (!old)
			continue;
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
		for (j = i & ~(n - 1); j < (i & ~(n - 1)) + n; j++)
			model[j] &= ~(old ^ new);
	}
	return changed;
}

static int compare_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	unsigned int first = gfn - BASE, n = ept_level_gfns(level), i;

	check(gfn >= BASE && first + n <= PAGES, "leaf at gfn %#llx", gfn);
	check(ept_check_entry(&root.fmt, entry, level) == EPT_OK, "%#llx", entry);
	if (level > 1)
		entry &= ~EPT_PS;
	for (i = first; i < first + n; i++, entry += 4096)
		check(model[i] == (entry | (u64)level << LEVEL_SHIFT),
		      "page %#x: %#llx, model %#llx", i, entry, model[i]);
	*(unsigned long *)ctx += n;
	return 0;
}

static void compare_all(void)
{
	unsigned long mapped = 0, expected = 0, tables = 1, i;

	ept_visit(&root, 0, EPT_GFN_END, compare_leaf, &mapped);
	for (i = 0; i < PAGES / 512; i++) {
		unsigned int j;

		for (j = 0; touched[i] && j < 512; j++)
			expected += !!model[i * 512 + j];
		tables += has_pt[i];
	}
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

				if (model[at] && LEVEL(model[at]) == l &&
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

	check(ret == (model[page] ? 0 : -ENOENT), "split: %d", ret);
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
	for (i = first; i < first + n; i++)
		ad |= model[i] & (EPT_A | EPT_D);
	if (flags && root.fmt.ad)
		ad |= EPT_A;
	set_pages(first, n, hpa | prot | EPT_MT_WB << EPT_MT_SHIFT | ad, level, false);
	set_table(page, level, false);
	if (level == 3)
		memset(&has_pt[first >> 9], 0, 512);
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
	unsigned int page = take_page(in), first, n, i;
	u64 flags = take(in, 1) & 1 ? EPT_A | EPT_D : EPT_A;
	struct ept_walk w;
	bool there = ept_walk(&root, (BASE + page) << 12, &w);

	check(there == !!model[page], "walk of page %#x", page);
	if (!there || !root.fmt.ad)
		return;
	check(w.level == LEVEL(model[page]), "level %d", w.level);
	if (!(w.val & EPT_W))
		flags = EPT_A;
	*w.ptr |= flags;
	n = ept_level_gfns(w.level);
	first = page & ~(n - 1);
	for (i = first; i < first + n; i++)
		model[i] |= flags;
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

	check(!ept_init(&root, &fmt), "init");
	memset(&zap, 0, sizeof(zap));
	zap.leaf = on_zap;
	refill();
	while (in.pos < size && steps++ < 64) {
		ops[take(&in, 1) % 8](&in);
		refill();
	}
	compare_all();
	ept_destroy(&root);
	for (i = 0; i < 3; i++)
		check(!atomic64_read(&root.leaves[i]), "leaves left");
	ept_cache_drain(&cache);
	check(!backend_live(), "%ld tables left", backend_live());
	backend_reset();

	for (i = 0; i < PAGES / 512; i++) {
		if (touched[i])
			memset(&model[i * 512], 0, 512 * sizeof(*model));
		touched[i] = has_pt[i] = false;
	}
	has_pd[0] = has_pd[1] = false;
	return 0;
}
